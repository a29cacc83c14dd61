//! Intervals by drawing rows, slices of rows, grids of values.

use std::sync::atomic::{AtomicUsize, Ordering};

use evaluation::dependence::{level_grid, number_grid};
use evaluation::slices::{Values, groups};
use evaluation::{Interval, bootstrap_intervals, paired_difference};

/// Numbers that look random, in 0..1 (Weyl's sequence, hashed by splitmix64).
fn noise(seed: u64, i: u64) -> f64 {
    let mut z = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(i.wrapping_mul(0xBF58_476D_1CE4_E5B9));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

fn mean(values: &[f64], rows: &[u32]) -> f64 {
    rows.iter().map(|&row| values[row as usize]).sum::<f64>() / rows.len() as f64
}

/// Means of 100 uniform numbers: about 95 of 100 intervals hold 0.5.
#[test]
fn ninety_five_percent_of_the_intervals_hold_the_truth() {
    let holds = |trial: u64| {
        let values: Vec<f64> = (0..100).map(|i| noise(trial, i)).collect();
        let interval = bootstrap_intervals(100, 400, trial, 0.95, |rows| vec![mean(&values, rows)])[0];
        interval.low <= 0.5 && 0.5 <= interval.high
    };
    let share = (1..=2000).filter(|&trial| holds(trial)).count() as f64 / 2000.0;
    assert!((0.93..=0.97).contains(&share), "{share}");
}

/// scipy's normal approximation: 1.959964 standard errors to each side.
#[test]
fn an_interval_is_as_wide_as_theory_says() {
    let values: Vec<f64> = (0..2000).map(|i| noise(7, i)).collect();
    let all: Vec<u32> = (0..2000).collect();
    let centre = mean(&values, &all);
    let error = (values.iter().map(|v| (v - centre).powi(2)).sum::<f64>() / 2000.0 / 2000.0).sqrt();
    let interval = bootstrap_intervals(2000, 20_000, 1, 0.95, |rows| vec![mean(&values, rows)])[0];
    assert!((interval.low - (centre - 1.959964 * error)).abs() < 0.06 * error, "{interval:?} {centre} {error}");
    assert!((interval.high - (centre + 1.959964 * error)).abs() < 0.06 * error, "{interval:?} {centre} {error}");
}

#[test]
fn draws_are_of_the_right_size_in_order_and_the_same_for_any_threads() {
    let calls = AtomicUsize::new(0);
    let figures = |rows: &[u32]| {
        calls.fetch_add(1, Ordering::Relaxed);
        assert!(rows.len() == 50 && rows.is_sorted() && rows[49] < 50);
        let sum: u32 = rows.iter().sum();
        vec![f64::from(sum), f64::NAN, if rows[0] == 0 { f64::NAN } else { f64::from(rows[0]) }]
    };
    let with_threads = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| bootstrap_intervals(50, 333, 9, 0.9, figures))
    };
    let one = with_threads(1);
    assert_eq!(calls.load(Ordering::Relaxed), 333);
    assert_eq!(one.len(), 3);
    assert!(one[1].low.is_nan() && one[1].high.is_nan());
    assert!(one[2].low >= 1.0, "draws without a value do not count: {:?}", one[2]);
    let four = with_threads(4);
    assert_eq!((one[0], one[2]), (four[0], four[2]));
    assert_ne!(one[0], bootstrap_intervals(50, 333, 10, 0.9, figures)[0]);
    let json = serde_json::to_string(&one[1]).unwrap();
    assert_eq!(json, r#"{"low":null,"high":null}"#);
    assert!(serde_json::from_str::<Interval>(&json).unwrap().low.is_nan());
    assert!(bootstrap_intervals(0, 10, 1, 0.95, |_| vec![1.0]).is_empty());
    assert!(bootstrap_intervals(5, 0, 1, 0.95, |_| vec![1.0]).is_empty());
    let single = bootstrap_intervals(1, 10, 1, 0.95, |rows| vec![f64::from(rows[0])]);
    assert_eq!(single, [Interval { low: 0.0, high: 0.0 }]);
}

/// Two models whose errors go together: the difference is far surer than either.
#[test]
fn a_paired_difference_cancels_what_both_share() {
    let shared: Vec<f64> = (0..500).map(|i| noise(1, i)).collect();
    let better: Vec<f64> = (0..500).map(|i| shared[i as usize] - 0.02 - 0.01 * noise(2, i)).collect();
    let found = paired_difference(500, 1000, 3, 0.95, |rows| mean(&better, rows) - mean(&shared, rows));
    assert!((found.value + 0.025).abs() < 0.001);
    assert!(found.interval.low < found.value && found.value < found.interval.high && found.interval.high < -0.02);
    let alone = bootstrap_intervals(500, 1000, 3, 0.95, |rows| vec![mean(&shared, rows)])[0];
    assert!(alone.high - alone.low > 10.0 * (found.interval.high - found.interval.low));
    assert!(paired_difference(0, 10, 3, 0.95, |_| 1.0).value.is_nan());
}

/// What these seeds gave in the first version: a run repeated after an update has the same intervals.
#[test]
fn draws_never_change() {
    let values: Vec<f64> = (0..100).map(|i| noise(1, i)).collect();
    let other: Vec<f64> = (0..100).map(|i| noise(2, i)).collect();
    let found = bootstrap_intervals(100, 77, 5, 0.9, |rows| vec![mean(&values, rows), values[rows[50] as usize]]);
    let difference = paired_difference(100, 50, u64::MAX, 0.95, |rows| mean(&values, rows) - mean(&other, rows));
    assert_eq!(found[0], Interval { low: 0.47102954238795997, high: 0.5638348127378756 });
    assert_eq!(found[1], Interval { low: 0.0008490092269438643, high: 0.8747332996200609 });
    assert_eq!(difference.value, 0.05457586806353848);
    assert_eq!(difference.interval, Interval { low: -0.03394054397122778, high: 0.12347912946701124 });
}

fn labels(values: &Values, max_levels: usize, bins: usize) -> Vec<(String, usize)> {
    let found = groups(values, max_levels, bins);
    let mut rows: Vec<u32> = found.iter().flat_map(|group| group.rows.clone()).collect();
    rows.sort_unstable();
    let n = match values {
        Values::Text(values) => values.len(),
        Values::Number(values) => values.len(),
    };
    assert_eq!(rows, (0..n as u32).collect::<Vec<u32>>(), "each row in one group");
    assert!(found.iter().all(|group| group.rows.is_sorted()));
    found.into_iter().map(|group| (group.label, group.rows.len())).collect()
}

fn named(expected: &[(&str, usize)]) -> Vec<(String, usize)> {
    expected.iter().map(|(label, n)| ((*label).to_owned(), *n)).collect()
}

#[test]
fn levels_are_sliced_by_frequency() {
    let texts = vec![Some("b"), Some("a"), None, Some("b"), Some("c"), Some("d"), Some("a"), Some("b")];
    let values = Values::Text(texts);
    assert_eq!(labels(&values, 2, 5), named(&[("b", 3), ("a", 2), ("other", 2), ("missing", 1)]));
    assert_eq!(labels(&values, 4, 5), named(&[("b", 3), ("a", 2), ("c", 1), ("d", 1), ("missing", 1)]));
    assert_eq!(labels(&values, 0, 5), named(&[("other", 7), ("missing", 1)]));
    let confusing = Values::Text(vec![Some("missing"), Some("other"), None, Some("x"), Some("missing"), Some("other")]);
    assert_eq!(labels(&confusing, 2, 5), named(&[("missing", 2), ("other", 2), ("(other)", 1), ("(missing)", 1)]));
    assert!(groups(&Values::Text(vec![]), 3, 3).is_empty());
    assert_eq!(labels(&Values::Text(vec![None; 3]), 3, 3), named(&[("missing", 3)]));
}

#[test]
fn numbers_are_sliced_by_quantile_with_true_labels() {
    let of = |values: Vec<f64>, bins| labels(&Values::Number(values), 10, bins);
    let hundred: Vec<f64> = (1..=100).map(f64::from).chain([f64::NAN; 2]).collect();
    let quarters = [("<= 25", 25), ("(25, 50]", 25), ("(50, 75]", 25), ("> 75", 25), ("missing", 2)];
    assert_eq!(of(hundred, 4), named(&quarters));
    // Few distinct numbers are slices of their own.
    assert_eq!(of(vec![1.0, 0.0, 1.0, 1.0], 4), named(&[("0", 1), ("1", 3)]));
    assert_eq!(of(vec![0.3; 4], 4), named(&[("0.3", 4)]));
    // Borders are rounded up, never past a value that many rows share.
    let fine: Vec<f64> = (0..1000).map(|i| f64::from(i) / 3.0 + 1000.0).collect();
    let found = of(fine, 3);
    assert_eq!(
        found.iter().map(|(label, _)| label.as_str()).collect::<Vec<_>>(),
        ["<= 1120", "(1120, 1230]", "> 1230"]
    );
    assert!(found.iter().all(|(_, n)| (300..370).contains(n)), "{found:?}");
    let zeros: Vec<f64> = (0..100).map(|i| if i < 60 { 0.3 } else { f64::from(i) / 7.0 }).collect();
    let found = of(zeros, 4);
    assert_eq!(found[0].1, 60, "{found:?}");
    let ends = of(vec![f64::NEG_INFINITY, 1.0, 2.0, 3.0, f64::INFINITY, f64::NAN], 2);
    assert_eq!(ends, named(&[("<= 2", 3), ("> 2", 2), ("missing", 1)]));
    assert_eq!(of(vec![f64::NAN; 2], 3), named(&[("missing", 2)]));
    assert_eq!(of(vec![f64::INFINITY; 2], 3), named(&[("all", 2)]));
    assert!(of(vec![], 3).is_empty());
    // Tiny, huge and far apart: whatever the rounding, every row is in the group that its label names.
    for values in [[1e-9, 2e-9, 3e-9, 4e-9], [1e12, 1e12 + 1.0, 1e12 + 2.0, 1e15], [-5e-300, 0.0, 1.0, 1e300]] {
        assert_eq!(of(values.to_vec(), 2).iter().map(|(_, n)| n).sum::<usize>(), 4);
    }
}

#[test]
fn grids_hold_values_that_occur() {
    let hundred: Vec<f64> = (1..=100).map(f64::from).chain([f64::NAN, f64::INFINITY]).collect();
    assert_eq!(number_grid(&hundred, 10), [5.0, 15.0, 25.0, 35.0, 45.0, 55.0, 65.0, 75.0, 85.0, 95.0]);
    assert_eq!(number_grid(&hundred, 1), [50.0]);
    assert_eq!(number_grid(&[3.0, 1.0, 3.0], 10), [1.0, 3.0]);
    let skewed: Vec<f64> = (0..100).map(|i| if i < 80 { 0.0 } else { f64::from(i) }).collect();
    assert_eq!(number_grid(&skewed, 5), [0.0, 94.0]);
    assert!(number_grid(&[f64::NAN], 5).is_empty() && number_grid(&[], 0).is_empty());
    let texts = [Some("b"), None, Some("a"), Some("c"), Some("c")];
    assert_eq!(level_grid(&texts, 2), ["c", "a"]);
    assert!(level_grid(&[None], 3).is_empty());
}

/// Twelve figures of 10,000 rows, 1,000 draws: `cargo test -p evaluation --test rows speed -- --nocapture --ignored`.
#[test]
#[ignore = "a measurement"]
fn speed() {
    let values: Vec<f64> = (0..10_000).map(|i| noise(7, i)).collect();
    let start = std::time::Instant::now();
    bootstrap_intervals(10_000, 1000, 1, 0.95, |rows| vec![f64::from(rows[rows.len() / 2])]);
    println!("draws alone: {:?}", start.elapsed());
    let start = std::time::Instant::now();
    bootstrap_intervals(10_000, 1000, 1, 0.95, |rows| vec![mean(&values, rows); 12]);
    println!("and a mean: {:?}", start.elapsed());
}
