//! Metrics and curves of the order that the scores give.

use super::Scored;

/// The rows of one class against all others, by falling score.
pub(super) struct Ranking {
    /// For each distinct score from the highest down: rows of the class and other rows that score at least as much.
    corners: Vec<(usize, usize)>,
    /// Rows of the class.
    positives: f64,
    /// Other rows.
    negatives: f64,
}

impl Ranking {
    /// `target` and `scores` `[rows]`; no score is NaN.
    pub fn new(target: &[f32], scores: &[f32], class: f32) -> Self {
        let (mut hits, mut misses) = (0, 0);
        let mut corners = Vec::new();
        let mut last = None;
        for key in falling(target, scores, class) {
            if last.is_some_and(|last| !same_score(last, key)) {
                corners.push((hits, misses));
            }
            last = Some(key);
            if is_hit(key) { hits += 1 } else { misses += 1 }
        }
        corners.extend(last.map(|_| (hits, misses)));
        Self { corners, positives: hits as f64, negatives: misses as f64 }
    }

    /// Probability that a row of the class scores higher than another one, ties counted as one half.
    pub fn area(&self) -> f64 {
        let (mut area, mut last) = (0.0, (0, 0));
        for &(hits, misses) in &self.corners {
            area += (misses - last.1) as f64 * (hits + last.0) as f64 / 2.0;
            last = (hits, misses);
        }
        area / (self.positives * self.negatives)
    }

    /// Precision averaged over the gains in recall; 0 if no row is of the class.
    fn average_precision(&self) -> f64 {
        let (mut area, mut last_hits) = (0.0, 0);
        for &(hits, misses) in &self.corners {
            area += (hits - last_hits) as f64 * hits as f64 / (hits + misses) as f64;
            last_hits = hits;
        }
        if self.positives == 0.0 { 0.0 } else { area / self.positives }
    }
}

/// Order-preserving bits of each score, and in the last place whether the row is of the class, from the highest down.
/// Plain numbers sort several times faster than rows by a key elsewhere.
pub(super) fn falling(target: &[f32], scores: &[f32], class: f32) -> Vec<u64> {
    let key = |(&score, &target): (&f32, &f32)| (u64::from(ordered_bits(score)) << 1) | u64::from(target == class);
    let mut keys: Vec<u64> = scores.iter().zip(target).map(key).collect();
    keys.sort_unstable_by(|a, b| b.cmp(a));
    keys
}

/// Whether a key of [`falling`] is of the class.
pub(super) fn is_hit(key: u64) -> bool {
    key & 1 == 1
}

/// Whether two keys of [`falling`] are of rows with equal scores.
pub(super) fn same_score(key: u64, other: u64) -> bool {
    key >> 1 == other >> 1
}

/// Bits that order as the numbers do; 0 and -0 are one number.
fn ordered_bits(score: f32) -> u32 {
    let bits = (score + 0.0).to_bits();
    if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }
}

/// Area under the ROC curve; more classes: mean of one-against-rest over the classes (macro).
pub(super) fn auc(s: &Scored) -> f64 {
    let rankings = s.rankings();
    rankings.iter().map(Ranking::area).sum::<f64>() / rankings.len() as f64
}

/// Mean of one-against-rest, weighted by the rows of each class; a class without rows does not count.
pub(super) fn auc_weighted(s: &Scored) -> f64 {
    let occurring = s.rankings().iter().filter(|ranking| ranking.positives > 0.0);
    occurring.map(|ranking| ranking.positives * ranking.area()).sum::<f64>() / s.rows.n_rows()
}

/// Average precision of class 1; more classes: mean of one-against-rest over the classes (macro).
pub(super) fn average_precision(s: &Scored) -> f64 {
    let rankings = s.rankings();
    rankings.iter().map(Ranking::average_precision).sum::<f64>() / rankings.len() as f64
}

/// Probability that a row of `class` scores higher than another one, ties counted as one half (Mann-Whitney U).
pub fn auc_of(target: &[f32], scores: &[f32], class: f32) -> f64 {
    Ranking::new(target, scores, class).area()
}

/// Precision averaged over the gains in recall, sum of (R_n - R_{n-1}) P_n; 0 if no row is of `class`.
pub fn average_precision_of(target: &[f32], scores: &[f32], class: f32) -> f64 {
    Ranking::new(target, scores, class).average_precision()
}

/// Corners of the ROC curve of one class as (false positive rate, true positive rate), from (0, 0) to (1, 1).
pub fn roc_curve(target: &[f32], scores: &[f32], class: f32) -> Vec<(f64, f64)> {
    let ranking = Ranking::new(target, scores, class);
    let corner =
        |&(hits, misses): &(usize, usize)| (misses as f64 / ranking.negatives, hits as f64 / ranking.positives);
    std::iter::once((0.0, 0.0)).chain(ranking.corners.iter().map(corner)).collect()
}

/// Corners of the precision-recall curve of one class as (recall, precision), from the strictest threshold on.
pub fn precision_recall_curve(target: &[f32], scores: &[f32], class: f32) -> Vec<(f64, f64)> {
    let ranking = Ranking::new(target, scores, class);
    let corner =
        |&(hits, misses): &(usize, usize)| (hits as f64 / ranking.positives, hits as f64 / (hits + misses) as f64);
    ranking.corners.iter().map(corner).collect()
}
