//! Which row belongs to train, valid and test.
//!
//! The random split is the same on every machine and in every version: ChaCha8 (`rand_chacha`, whose stream is
//! value-stable) drives a Fisher-Yates shuffle of our own, and a test pins the result.

use std::borrow::Cow;
use std::collections::HashMap;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::column::plain_number;
use crate::{Column, ColumnType, Error, Result, SplitConfig};

/// The parts, in the order used everywhere.
pub(crate) const PARTS: [&str; 3] = ["train", "valid", "test"];

/// Row numbers of train, valid and test, each ascending; together they are all rows.
pub(crate) type Rows = [Vec<u32>; 3];

/// Shuffles the rows of each class and deals them out by ratio. `class_of_row` may be all zeros (no stratification).
///
/// Each class gets its share of `valid` and of `test` to within one row where it has enough of them, and at least one row in train.
pub(crate) fn by_ratio(class_of_row: &[u32], config: &SplitConfig, seed: u64) -> Rows {
    let n_classes = class_of_row.iter().max().map_or(0, |&largest| largest as usize + 1);
    let mut rows_of_class = vec![Vec::new(); n_classes];
    for (row, &class) in class_of_row.iter().enumerate() {
        rows_of_class[class as usize].push(row as u32);
    }
    let counts: Vec<usize> = rows_of_class.iter().map(Vec::len).collect();
    let spare: Vec<usize> = counts.iter().map(|count| count.saturating_sub(1)).collect();
    let n_test = apportion(&counts, config.test, &spare);
    let spare: Vec<usize> = spare.iter().zip(&n_test).map(|(spare, taken)| spare - taken).collect();
    let n_valid = apportion(&counts, config.valid, &spare);

    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut parts = Rows::default();
    for (class, mut rows) in rows_of_class.into_iter().enumerate() {
        shuffle(&mut rows, &mut rng);
        let (test, rest) = rows.split_at(n_test[class]);
        let (valid, train) = rest.split_at(n_valid[class]);
        for (part, rows) in parts.iter_mut().zip([train, valid, test]) {
            part.extend_from_slice(rows);
        }
    }
    parts.iter_mut().for_each(|rows| rows.sort_unstable());
    parts
}

/// Rounds `count * ratio` per class so that the sum is right too: largest remainders first, never above `limit`.
fn apportion(counts: &[usize], ratio: f64, limit: &[usize]) -> Vec<usize> {
    let quota = |class: usize| counts[class] as f64 * ratio;
    let mut taken: Vec<usize> = (0..counts.len()).map(|class| (quota(class) as usize).min(limit[class])).collect();
    let wanted = (counts.iter().sum::<usize>() as f64 * ratio).round() as usize;
    let mut left = wanted.saturating_sub(taken.iter().sum());
    let mut classes: Vec<usize> = (0..counts.len()).collect();
    classes.sort_by(|&a, &b| quota(b).fract().total_cmp(&quota(a).fract()).then(a.cmp(&b)));
    for class in classes {
        if left > 0 && taken[class] < limit[class] {
            taken[class] += 1;
            left -= 1;
        }
    }
    taken
}

pub(crate) fn shuffle(rows: &mut [u32], rng: &mut ChaCha8Rng) {
    for last in (1..rows.len()).rev() {
        // The high half of a 128-bit product is uniform on 0..=last but for 1 part in 2^64 / rows.
        let chosen = (u128::from(rng.next_u64()) * (last as u128 + 1)) >> 64;
        rows.swap(last, chosen as usize);
    }
}

/// Shuffles the groups and gives whole ones to test, then to valid, as long as that brings the part nearer to its share
/// of the rows; the rest is train. Each part gets a group where there are enough of them.
pub(crate) fn by_group(group_of_row: &[u32], config: &SplitConfig, seed: u64) -> Rows {
    let n_groups = group_of_row.iter().max().map_or(0, |&largest| largest as usize + 1);
    let mut sizes = vec![0usize; n_groups];
    group_of_row.iter().for_each(|&group| sizes[group as usize] += 1);
    let mut groups: Vec<u32> = (0..n_groups as u32).collect();
    shuffle(&mut groups, &mut ChaCha8Rng::seed_from_u64(seed));
    let mut part_of_group = vec![0; n_groups];
    let mut n_left = n_groups;
    for (part, ratio, n_reserved) in [(2, config.test, 1 + usize::from(config.valid > 0.0)), (1, config.valid, 1)] {
        let wanted = group_of_row.len() as f64 * ratio;
        let mut taken = 0;
        for &group in &groups {
            let size = sizes[group as usize];
            let is_nearer = (taken as f64 - wanted).abs() > ((taken + size) as f64 - wanted).abs();
            if part_of_group[group as usize] == 0 && is_nearer && n_left > n_reserved {
                part_of_group[group as usize] = part;
                taken += size;
                n_left -= 1;
            }
        }
        // Where every group is too large, the smallest one.
        let free = groups.iter().filter(|&&group| part_of_group[group as usize] == 0);
        let smallest = free.min_by_key(|&&group| sizes[group as usize]).copied();
        if let Some(group) = smallest.filter(|_| taken == 0 && ratio > 0.0 && n_left > n_reserved) {
            part_of_group[group as usize] = part;
            n_left -= 1;
        }
    }
    let mut parts = Rows::default();
    for (row, &group) in (0..).zip(group_of_row) {
        parts[part_of_group[group as usize]].push(row);
    }
    parts
}

/// The number of each row's group, from 0 in the order in which the groups occur. Numbers are compared by value (`17` and
/// `17.0` are one group), other cells by text; missing cells are a group too.
pub(crate) fn group_numbers(column: &Column) -> Vec<u32> {
    let is_number = matches!(column.column_type(), Some(ColumnType::Long | ColumnType::Double));
    let mut ids: HashMap<Option<String>, u32> = HashMap::new();
    let rows: Vec<u32> = (0..column.len() as u32).collect();
    let of_row = column.map_texts(&rows, |text| {
        let next = ids.len() as u32;
        let id = text.map(|text| if is_number { plain_number(text) } else { text.to_string() });
        *ids.entry(id).or_insert(next)
    });
    let mut numbers = HashMap::new();
    let number = |id| {
        let next = numbers.len() as u32;
        *numbers.entry(id).or_insert(next)
    };
    of_row.into_iter().map(number).collect()
}
/// An error if rows of one group are in two parts.
pub(crate) fn check_groups(column: &Column, groups: &[u32], parts: &Rows, file: &str) -> Result<()> {
    let mut part_of_group = HashMap::new();
    for (part, &row) in (0..).zip(parts).flat_map(|(part, rows)| rows.iter().map(move |row| (part, row))) {
        if *part_of_group.entry(groups[row as usize]).or_insert(part) != part {
            let group = column.text(row as usize).map_or("a missing value".to_string(), Cow::into_owned);
            let (file, column, row) = (file.to_string(), column.name.clone(), row as usize + 1);
            return Err(Error::SplitGroup { file, column, group, row, part: PARTS[part] });
        }
    }
    Ok(())
}

/// The parts that a column names.
pub(crate) fn by_column(column: &Column, file: &str) -> Result<Rows> {
    let mut parts = Rows::default();
    let part = |text: Option<&str>| match text.unwrap_or_default().to_ascii_lowercase().as_str() {
        "train" => Some(0),
        "val" | "valid" | "validation" => Some(1),
        "test" => Some(2),
        _ => None,
    };
    let rows: Vec<u32> = (0..column.len() as u32).collect();
    for (row, part) in (0..).zip(column.map_texts(&rows, part)) {
        let Some(part) = part else {
            let found = column.text(row).map_or("a missing value".to_string(), Cow::into_owned);
            let (file, column) = (file.to_string(), column.name.clone());
            return Err(Error::SplitValue { file, column, found, row: row + 1 });
        };
        let rows: &mut Vec<u32> = &mut parts[part];
        rows.push(row as u32);
    }
    Ok(parts)
}

/// An error if a part has no rows.
pub(crate) fn check_not_empty(parts: &Rows, config: &SplitConfig, file: &str) -> Result<()> {
    let Some(empty) = parts.iter().position(Vec::is_empty) else { return Ok(()) };
    let hint = match config.column {
        Some(_) => "mark some rows for it in the column named by `data.split.column`",
        None if config.group.is_some() => "`data.split.group` needs more groups, as each goes into one part",
        None => "use more rows, or a larger share in `data.split`",
    };
    let rows = parts.iter().map(Vec::len).sum();
    Err(Error::EmptyPart { file: file.to_string(), part: PARTS[empty], rows, hint })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn config(valid: f64, test: f64) -> SplitConfig {
        SplitConfig { valid, test, ..SplitConfig::default() }
    }

    #[test]
    fn the_order_is_pinned() {
        let parts = by_ratio(&[0; 20], &config(0.2, 0.2), 42);
        assert_eq!(parts[1..], [vec![0, 6, 17, 19], vec![1, 3, 11, 12]]);
        let parts = by_ratio(&[0, 1, 0, 1, 1, 1, 0, 1, 1, 1], &config(0.2, 0.2), 7);
        assert_eq!(parts[1..], [vec![6, 8], vec![2, 4]]);
    }

    /// Random class sizes and ratios; the figures checked are the promises in the doc of `by_ratio`.
    #[test]
    fn no_row_is_lost_and_classes_keep_their_shares() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for round in 0..300 {
            let n_rows = 1 + rng.next_u64() % 400;
            let n_classes = 1 + rng.next_u64() % 6;
            let classes: Vec<u32> = (0..n_rows).map(|_| (rng.next_u64() % n_classes) as u32).collect();
            let ratio = |number: u64| 0.05 + 0.4 * (number % 1000) as f64 / 1000.0;
            let config = config(ratio(rng.next_u64()), ratio(rng.next_u64()));
            let parts = by_ratio(&classes, &config, round);
            assert_eq!(parts, by_ratio(&classes, &config, round), "repeatable");

            let mut all = parts.concat();
            all.sort_unstable();
            assert_eq!(all, (0..n_rows as u32).collect::<Vec<_>>(), "each row once");
            assert!(parts.iter().all(|rows| rows.is_sorted()));
            for class in 0..n_classes as u32 {
                let count = |rows: &[u32]| rows.iter().filter(|&&row| classes[row as usize] == class).count() as f64;
                let total = count(&all);
                assert!((count(&parts[1]) - total * config.valid).abs() <= 1.0, "valid, round {round}");
                assert!((count(&parts[2]) - total * config.test).abs() <= 1.0, "test, round {round}");
                assert!(total == 0.0 || count(&parts[0]) > 0.0, "train, round {round}");
            }
        }
    }

    #[test]
    fn seeds_differ() {
        let split = |seed| by_ratio(&[0; 100], &SplitConfig::default(), seed);
        assert_ne!(split(1), split(2));
        assert_eq!(split(1).map(|rows| rows.len()), [60, 20, 20]);
    }

    #[test]
    fn the_shuffle_reaches_every_place_equally_often() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut counts = [[0; 5]; 5];
        for _ in 0..10_000 {
            let mut rows = [0, 1, 2, 3, 4];
            shuffle(&mut rows, &mut rng);
            rows.iter().enumerate().for_each(|(place, &row)| counts[row as usize][place] += 1);
        }
        // 2,000 expected, standard deviation 40.
        assert!(counts.as_flattened().iter().all(|count| (1800..2200).contains(count)), "{counts:?}");
    }

    /// Random group sizes; the figures checked are the promises in the doc of `by_group`.
    #[test]
    fn groups_stay_together() {
        let mut rng = ChaCha8Rng::seed_from_u64(9);
        for round in 0..200 {
            let n_groups = 3 + rng.next_u64() % 60;
            let mut groups: Vec<u32> = (0..n_groups as u32).collect();
            groups.extend((0..1000).map(|_| (rng.next_u64() % n_groups) as u32));
            let parts = by_group(&groups, &config(0.2, 0.1), round);
            let mut all = parts.concat();
            all.sort_unstable();
            assert_eq!(all, (0..groups.len() as u32).collect::<Vec<_>>(), "each row once");
            assert!(parts.iter().all(|rows| rows.is_sorted()));
            let column = Column::new("g", groups.iter().map(|group| Some(group.to_string())).collect());
            assert_eq!(group_numbers(&column).len(), groups.len());
            check_groups(&column, &group_numbers(&column), &parts, "f").unwrap();
            if n_groups > 20 {
                let n_rows = groups.len() as f64;
                assert!((parts[1].len() as f64 - 0.2 * n_rows).abs() < 0.05 * n_rows, "valid, round {round}");
                assert!((parts[2].len() as f64 - 0.1 * n_rows).abs() < 0.05 * n_rows, "test, round {round}");
            }
        }
        for (large, small) in [(4, 1), (80, 10), (45, 45)] {
            let mut groups = vec![0; large];
            groups.extend(vec![1; small]);
            groups.extend(vec![2; 100 - large.min(90) - small.min(45)]);
            for seed in 0..20 {
                let three = by_group(&groups, &config(0.2, 0.2), seed);
                assert!(three.iter().all(|rows| !rows.is_empty()), "{large} {small} {seed}: {three:?}");
            }
        }
    }

    #[test]
    fn groups_are_numbered_by_value_and_as_they_occur() {
        let numbers = |cells: &[&str]| {
            let cells = cells.iter().map(|cell| (!cell.is_empty()).then(|| cell.to_string())).collect();
            group_numbers(&Column::new("g", cells))
        };
        assert_eq!(numbers(&["17", "17.0", "5", "", "1.7e1", "+5", "17.25", "-0", "0"]), [0, 0, 1, 2, 0, 1, 3, 4, 4]);
        assert_eq!(numbers(&["9007199254740993", "9007199254740992", "9007199254740993.0"]), [0, 1, 0]);
        assert_eq!(numbers(&["18446744073709551615", "18446744073709551614"]), [0, 1]);
        assert_eq!(numbers(&["b", "17", "17.0", "b"]), [0, 1, 2, 0], "texts stay as they are");
    }

    #[test]
    fn a_column_can_name_the_parts() {
        let cells = ["train", "Val", "valid", "validation", "TEST"].map(|text| Some(text.to_string())).to_vec();
        let parts = by_column(&Column::new("part", cells), "f").unwrap();
        assert_eq!(parts, [vec![0], vec![1, 2, 3], vec![4]]);
    }
}
