//! Cross-validation: which rows are left out in which fold.
//!
//! The test part of `data.split` stays aside and is the same for all folds. The other rows are dealt out to `folds`
//! folds; each fold is the valid part once and belongs to the train part otherwise.

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::split::shuffle;
use crate::{Error, Result};

/// The `cv:` block: k-fold cross-validation, repeated if wanted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CrossValidationConfig {
    /// The number of folds, at least 2.
    pub folds: usize,
    /// How often the rows are dealt out anew; there are `folds * repeats` trainings.
    pub repeats: usize,
    /// Classification: whether each fold has the classes in the same proportions.
    pub stratify: bool,
    /// A column such as a patient or a shop: rows with the same value stay in one fold. It cannot be a feature.
    pub group: Option<String>,
}

impl Default for CrossValidationConfig {
    fn default() -> Self {
        Self { folds: 5, repeats: 1, stratify: true, group: None }
    }
}

impl CrossValidationConfig {
    /// Finds what is wrong with the settings themselves.
    pub fn check(&self) -> Result<()> {
        if self.folds < 2 {
            let problem = format!("`{}` folds leave no rows to train on; it must be at least 2, like 5", self.folds);
            return Err(Error::Setting { key: "cv.folds", problem });
        }
        if self.repeats == 0 {
            return Err(Error::Setting { key: "cv.repeats", problem: "it must be at least 1".to_string() });
        }
        Ok(())
    }
}

/// One training of a cross-validation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fold {
    /// From 1 to `repeats`.
    pub repeat: usize,
    /// From 1 to `folds`.
    pub fold: usize,
    /// 0-based data rows to learn from, ascending.
    pub train: Vec<u32>,
    /// 0-based data rows to choose the best epoch and to score by, ascending.
    pub valid: Vec<u32>,
}

/// What is known of the rows that are dealt out; all lists go with `rows`.
pub(crate) struct Members<'a> {
    /// 0-based data rows, ascending.
    pub rows: &'a [u32],
    /// Class indices; empty without stratification.
    pub classes: &'a [u32],
    /// Group numbers from 0; empty without groups.
    pub groups: &'a [u32],
}

/// Deals the rows out. Repeat `r` uses stream `r` of ChaCha8, so that it does not depend on the number of repeats.
pub(crate) fn deal(members: &Members, config: &CrossValidationConfig, seed: u64) -> Vec<Fold> {
    let mut folds = Vec::new();
    for repeat in 1..=config.repeats {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        // Stream 0 is the one that `data.split` is drawn from.
        rng.set_stream(repeat as u64);
        let fold_of = match members.groups {
            [] => deal_rows(members.rows.len(), members.classes, config.folds, &mut rng),
            groups => deal_groups(groups, members.classes, config.folds, &mut rng),
        };
        for fold in 0..config.folds {
            let part = |is_valid: bool| {
                let chosen = members.rows.iter().zip(&fold_of).filter(|(_, of)| (**of == fold) == is_valid);
                chosen.map(|(&row, _)| row).collect()
            };
            folds.push(Fold { repeat, fold: fold + 1, train: part(false), valid: part(true) });
        }
    }
    folds
}

/// The fold of each row. Class by class the shuffled rows go to the folds in turn, and the next class goes on where the
/// last one ended: folds differ by at most one row, and by at most one row of each class, as in scikit-learn's
/// `StratifiedKFold`.
fn deal_rows(n_rows: usize, classes: &[u32], n_folds: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
    let mut order: Vec<u32> = (0..n_rows as u32).collect();
    shuffle(&mut order, rng);
    if !classes.is_empty() {
        order.sort_by_key(|&i| classes[i as usize]);
    }
    let mut fold_of = vec![0; n_rows];
    order.iter().enumerate().for_each(|(turn, &i)| fold_of[i as usize] = turn % n_folds);
    fold_of
}

/// The fold of each row where whole groups are dealt out, in random order among equals.
fn deal_groups(groups: &[u32], classes: &[u32], n_folds: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
    let n_groups = groups.iter().max().map_or(0, |&last| last as usize + 1);
    let n_classes = classes.iter().max().map_or(1, |&last| last as usize + 1);
    let mut counts = vec![vec![0; n_classes]; n_groups];
    for (i, &group) in groups.iter().enumerate() {
        counts[group as usize][classes.get(i).map_or(0, |&class| class as usize)] += 1;
    }
    let mut order: Vec<u32> = (0..n_groups as u32).collect();
    shuffle(&mut order, rng);
    let shuffled: Vec<Vec<usize>> = order.iter().map(|&group| counts[group as usize].clone()).collect();
    let mut fold_of_group = vec![0; n_groups];
    let dealt = if n_classes == 1 { by_size(&shuffled, n_folds) } else { by_classes(&shuffled, n_folds) };
    order.iter().zip(dealt).for_each(|(&group, fold)| fold_of_group[group as usize] = fold);
    groups.iter().map(|&group| fold_of_group[group as usize]).collect()
}

/// The fold of each group: the largest groups first, each to the fold that is smallest so far (scikit-learn's `GroupKFold`).
fn by_size(counts: &[Vec<usize>], n_folds: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..counts.len()).collect();
    order.sort_by_key(|&group| std::cmp::Reverse(counts[group][0]));
    let mut sizes = vec![0; n_folds];
    let mut fold_of = vec![0; counts.len()];
    for group in order {
        let smallest = (0..n_folds).min_by_key(|&fold| sizes[fold]).unwrap_or(0);
        fold_of[group] = smallest;
        sizes[smallest] += counts[group][0];
    }
    fold_of
}

/// The fold of each group: the most lopsided groups first, each to the fold that keeps the share of every class most
/// even over the folds, the smaller fold among equals (scikit-learn's `StratifiedGroupKFold`).
fn by_classes(counts: &[Vec<usize>], n_folds: usize) -> Vec<usize> {
    let n_classes = counts[0].len();
    let total: Vec<f64> = (0..n_classes).map(|class| counts.iter().map(|of| of[class]).sum::<usize>() as f64).collect();
    let lopsided: Vec<f64> =
        counts.iter().map(|of| spread(&of.iter().map(|&n| n as f64).collect::<Vec<_>>())).collect();
    let mut order: Vec<usize> = (0..counts.len()).collect();
    order.sort_by(|&a, &b| lopsided[b].total_cmp(&lopsided[a]));
    let mut dealt = vec![vec![0; n_classes]; n_folds];
    let mut fold_of = vec![0; counts.len()];
    for group in order {
        let cost = |fold: usize| {
            let share = |other: usize, class: usize| {
                let own = if other == fold { counts[group][class] } else { 0 };
                (dealt[other][class] + own) as f64 / total[class].max(1.0)
            };
            let of_class = |class| spread(&(0..n_folds).map(|other| share(other, class)).collect::<Vec<_>>());
            (0..n_classes).map(of_class).sum::<f64>() / n_classes as f64
        };
        let size = |fold: usize| dealt[fold].iter().sum::<usize>();
        let mut best = (f64::INFINITY, 0);
        for fold in 0..n_folds {
            let cost = cost(fold);
            let is_equal = (cost - best.0).abs() <= 1e-12;
            if (cost < best.0 && !is_equal) || (is_equal && size(fold) < size(best.1)) {
                best = (cost, fold);
            }
        }
        fold_of[group] = best.1;
        (0..n_classes).for_each(|class| dealt[best.1][class] += counts[group][class]);
    }
    fold_of
}

/// The population standard deviation.
fn spread(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt()
}

/// Checks that the rows suffice: as many groups as folds, and as many rows (or groups) of each class as folds. `group`
/// is the column that the groups are in.
pub(crate) fn check_enough(
    members: &Members,
    labels: &[String],
    config: &CrossValidationConfig,
    group: Option<&str>,
    file: &str,
) -> Result<()> {
    let few = |what: String, found: usize, hint: &'static str| {
        Err(Error::TooFewForFolds { file: file.to_string(), folds: config.folds, what, found, hint })
    };
    if !members.groups.is_empty() {
        let groups: std::collections::BTreeSet<u32> = members.groups.iter().copied().collect();
        if groups.len() < config.folds {
            let what = format!("groups in `{}`", group.unwrap_or_default());
            return few(what, groups.len(), "lower `cv.folds`");
        }
    }
    if members.rows.len() < config.folds {
        return few("rows beside the test part".to_string(), members.rows.len(), "lower `cv.folds`");
    }
    let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
    members.classes.iter().for_each(|&class| *counts.entry(class).or_default() += 1);
    match counts.into_iter().min_by_key(|(_, count)| *count) {
        Some((class, found)) if found < config.folds => {
            let what = format!("rows of class `{}` beside the test part", labels[class as usize]);
            few(what, found, "lower `cv.folds`, or set `cv.stratify: false`")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(folds: usize, repeats: usize) -> CrossValidationConfig {
        CrossValidationConfig { folds, repeats, ..CrossValidationConfig::default() }
    }

    #[test]
    fn each_row_is_valid_once_per_repeat() {
        let rows: Vec<u32> = (0..23).map(|i| i * 2).collect();
        let classes: Vec<u32> = (0..23).map(|i| u32::from(i % 3 == 0)).collect();
        let groups: Vec<u32> = (0..23).map(|i| i % 9).collect();
        let mut n_checked = 0;
        for (classes, groups) in
            [(vec![], vec![]), (classes.clone(), vec![]), (vec![], groups.clone()), (classes, groups)]
        {
            let members = Members { rows: &rows, classes: &classes, groups: &groups };
            let folds = deal(&members, &config(4, 3), 7);
            assert_eq!(folds.len(), 12);
            for repeat in folds.chunks(4) {
                let mut valid: Vec<u32> = repeat.iter().flat_map(|fold| fold.valid.clone()).collect();
                valid.sort_unstable();
                assert_eq!(valid, rows);
                for fold in repeat {
                    let mut all = [fold.train.clone(), fold.valid.clone()].concat();
                    assert!(fold.train.is_sorted() && fold.valid.is_sorted());
                    all.sort_unstable();
                    assert_eq!(all, rows);
                    n_checked += 1;
                }
            }
            assert_ne!(folds[0].valid, folds[4].valid, "repeats differ");
            assert_eq!(folds[..8], deal(&members, &config(4, 2), 7), "and are the same whatever their number");
        }
        assert_eq!(n_checked, 48);
    }

    /// `StratifiedKFold(4)` gives folds of 6, 6, 6, 5 rows with 2 of the 8 rows of class 1 each.
    #[test]
    fn sizes_and_classes_are_even() {
        let rows: Vec<u32> = (0..23).collect();
        let classes: Vec<u32> = (0..23).map(|i| u32::from(i % 3 == 0)).collect();
        let folds = deal(&Members { rows: &rows, classes: &classes, groups: &[] }, &config(4, 1), 1);
        let sizes: Vec<usize> = folds.iter().map(|fold| fold.valid.len()).collect();
        assert_eq!(sizes, [6, 6, 6, 5]);
        for fold in &folds {
            assert_eq!(fold.valid.iter().filter(|&&row| classes[row as usize] == 1).count(), 2);
        }
    }

    #[test]
    fn the_order_is_pinned() {
        let rows: Vec<u32> = (0..10).collect();
        let folds = deal(&Members { rows: &rows, classes: &[], groups: &[] }, &config(3, 2), 42);
        let valid: Vec<Vec<u32>> = folds.into_iter().map(|fold| fold.valid).collect();
        assert_eq!(valid, PINNED.map(|rows| rows.to_vec()));
    }

    const PINNED: [&[u32]; 6] = [&[5, 6, 7, 8], &[2, 3, 9], &[0, 1, 4], &[0, 1, 5, 7], &[3, 4, 8], &[2, 6, 9]];

    #[test]
    fn groups_stay_together() {
        let rows: Vec<u32> = (0..60).collect();
        let groups: Vec<u32> = (0..60).map(|i| (i * i) % 17).collect();
        for classes in [vec![], (0..60).map(|i| i % 2).collect()] {
            for fold in deal(&Members { rows: &rows, classes: &classes, groups: &groups }, &config(3, 2), 3) {
                let is_in = |part: &[u32], group: u32| part.iter().any(|&row| groups[row as usize] == group);
                assert!((0..17).all(|group| !(is_in(&fold.train, group) && is_in(&fold.valid, group))));
            }
        }
    }

    /// scikit-learn 1.9.1: `GroupKFold(3).split(x, groups=g)` with groups of 1, 2, .. 9 rows: folds of 15 rows.
    #[test]
    fn groups_are_dealt_by_size_like_scikit_learn() {
        let counts: Vec<Vec<usize>> = (1..=9).map(|n| vec![n]).collect();
        assert_eq!(by_size(&counts, 3), GROUP_K_FOLD);
    }

    const GROUP_K_FOLD: [usize; 9] = [2, 1, 0, 0, 1, 2, 2, 1, 0];

    /// scikit-learn 1.9.1: `StratifiedGroupKFold(3)`, the groups' rows per class as below.
    #[test]
    fn groups_are_dealt_by_class_like_scikit_learn() {
        let counts = GROUPS.map(|of| of.to_vec());
        assert_eq!(by_classes(&counts, 3), STRATIFIED_GROUP_K_FOLD);
    }

    const GROUPS: [[usize; 2]; 10] = [[5, 1], [2, 2], [0, 7], [9, 0], [3, 4], [1, 1], [6, 2], [2, 5], [4, 0], [1, 3]];
    const STRATIFIED_GROUP_K_FOLD: [usize; 10] = [2, 0, 1, 0, 2, 0, 1, 0, 2, 2];
}
