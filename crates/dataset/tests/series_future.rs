//! No window sees the future, and a forecast from the last rows of a file sees what a window of training saw there.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;

use dataset::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use support::*;

struct Draws(ChaCha8Rng);

impl Draws {
    fn below(&mut self, n: usize) -> usize {
        (self.0.next_u64() % n as u64) as usize
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn value(&mut self) -> f64 {
        self.below(2000) as f64 / 10.0 - 100.0
    }
}

/// A cell of each column of one step of one series; `None` is an empty cell.
#[derive(Clone)]
struct Row {
    series: usize,
    step: usize,
    targets: Vec<Option<f64>>,
    past: Option<f64>,
    word: Option<&'static str>,
    known: Option<f64>,
    color: &'static str,
}

const WORDS: [&str; 3] = ["calm", "rain", "wind"];
const COLORS: [&str; 3] = ["blue", "green", "red"];

/// A random file, its settings, features and windows.
struct Case {
    rows: Vec<Row>,
    data: SeriesDataConfig,
    features: SeriesFeaturesConfig,
    windows: WindowsConfig,
    n_targets: usize,
}

impl Case {
    fn new(draws: &mut Draws, gaps: GapPolicy) -> Self {
        let n_targets = 1 + draws.below(2);
        let n_series = 1 + draws.below(3);
        let holes = if gaps == GapPolicy::Error { 0 } else { draws.below(4) };
        let mut rows = Vec::new();
        for series in 0..n_series {
            for step in 0..150 + draws.below(60) {
                let cell = |draws: &mut Draws| (!draws.chance(holes)).then(|| draws.value());
                let row = Row {
                    series,
                    step,
                    targets: (0..n_targets).map(|_| cell(draws)).collect(),
                    past: cell(draws),
                    word: (draws.chance(90) || gaps == GapPolicy::Error).then(|| WORDS[draws.below(3)]),
                    known: cell(draws),
                    color: COLORS[draws.below(3)],
                };
                if step == 0 || !draws.chance(holes) {
                    rows.push(row);
                }
            }
        }
        // Rows of all series in turn, not quite in order.
        rows.sort_by_key(|row| (row.step, row.series));
        for _ in 0..draws.below(5) {
            let (a, b) = (draws.below(rows.len()), draws.below(rows.len()));
            rows.swap(a, b);
        }
        let lookback = 1 + draws.below(12);
        let horizon = 1 + draws.below(6);
        let some = |draws: &mut Draws, most: usize| -> Vec<usize> {
            let found: std::collections::BTreeSet<usize> = (0..draws.below(3)).map(|_| 1 + draws.below(most)).collect();
            found.into_iter().collect()
        };
        let rolling = some(draws, 6).into_iter().map(|window| window + 1).collect();
        let features = SeriesFeaturesConfig {
            per_series: draws.chance(50),
            scaling: if draws.chance(50) { SeriesScaling::Standard } else { SeriesScaling::MinMax },
            calendar: if draws.chance(50) { None } else { Some(Vec::new()) },
            calendar_encoding: if draws.chance(50) { CalendarEncoding::Cyclic } else { CalendarEncoding::OneHot },
            lags: some(draws, 12),
            differences: some(draws, 6),
            rolling: RollingConfig {
                windows: rolling,
                statistics: vec![RollingStatistic::Mean, RollingStatistic::Std, RollingStatistic::Median],
            },
            season_steps: None,
        };
        let data = SeriesDataConfig {
            time: "t".to_string(),
            group: Some("series".to_string()),
            targets: (0..n_targets).map(|target| format!("y{target}")).collect(),
            past_covariates: if draws.chance(50) { names(&["past", "word"]) } else { Vec::new() },
            future_covariates: if draws.chance(50) { names(&["known", "color"]) } else { Vec::new() },
            gaps,
            max_gap_steps: draws.chance(50).then_some(2),
            frequency: Some("h".to_string()),
            ..SeriesDataConfig::default()
        };
        Self { rows, data, features, windows: windows(lookback, horizon), n_targets }
    }

    fn text(&self) -> String {
        let number = |cell: &Option<f64>| cell.map_or(String::new(), |value| value.to_string());
        let targets = (0..self.n_targets).fold(String::new(), |text, i| text + &format!("y{i},"));
        let mut text = format!("t,series,{targets}past,word,known,color\n");
        for row in &self.rows {
            let targets = row.targets.iter().fold(String::new(), |text, cell| text + &number(cell) + ",");
            let (past, known, word) = (number(&row.past), number(&row.known), row.word.unwrap_or_default());
            text += &format!("{},s{},{targets}{past},{word},{known},{}\n", hour(row.step), row.series, row.color);
        }
        text
    }

    /// The settings for this case's file.
    fn file(&self) -> (tempfile::TempDir, SeriesDataConfig) {
        let (folder, data) = file(&self.text());
        (folder, SeriesDataConfig { path: data.path, ..self.data.clone() })
    }

    /// Other values of targets and past covariates at and after `origin` of one series; what is missing stays missing.
    fn scrambled(&self, draws: &mut Draws, series: usize, origin: usize) -> Self {
        let mut rows = self.rows.clone();
        for row in rows.iter_mut().filter(|row| row.series == series && row.step >= origin) {
            row.targets.iter_mut().chain([&mut row.past]).flatten().for_each(|value| *value = draws.value());
            row.word = row.word.map(|_| WORDS[draws.below(3)]);
        }
        Self { rows, data: self.data.clone(), features: self.features.clone(), ..*self }
    }

    /// The file as it is at `origin` of one series: nothing of that series is known from there on but the known
    /// columns.
    fn until(&self, series: usize, origin: usize) -> Self {
        let mut rows: Vec<Row> = self.rows.iter().filter(|row| row.series == series).cloned().collect();
        for row in rows.iter_mut().filter(|row| row.step >= origin) {
            row.targets.fill(None);
            (row.past, row.word) = (None, None);
        }
        Self { rows, data: self.data.clone(), features: self.features.clone(), ..*self }
    }

    /// Whether some target or past covariate of a step is missing.
    fn is_gap(&self, series: usize, step: usize) -> bool {
        let row = self.rows.iter().find(|row| row.series == series && row.step == step);
        row.is_none_or(|row| row.past.is_none() || row.targets.contains(&None))
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn series_number(splits: &SeriesSplits, window: Window) -> usize {
    splits.series_name(window.series as usize)[1..].parse().unwrap()
}

/// For many random files and settings: whatever the targets and past covariates are from the origin on, the window's
/// inputs are the same, bit for bit. The scales are those of the unchanged file.
#[test]
fn no_window_sees_the_future() {
    let mut draws = Draws(ChaCha8Rng::seed_from_u64(11));
    let mut n_checked = BTreeMap::new();
    let mut n_spanned = 0;
    for turn in 0..120 {
        let gaps = [GapPolicy::Error, GapPolicy::Mask, GapPolicy::ForwardFill, GapPolicy::Interpolate][turn % 4];
        let case = Case::new(&mut draws, gaps);
        let (_folder, data) = case.file();
        // Some have no whole window.
        let Ok(source) = SeriesSource::open(&data, &case.features, &case.windows) else { continue };
        let splits = source.splits().unwrap();
        let all: Vec<Window> = [&splits.train[..], &splits.valid, &splits.test].concat();
        for _ in 0..6 {
            let window = all[draws.below(all.len())];
            let (series, origin) = (series_number(&splits, window), window.origin as usize);
            if gaps == GapPolicy::Interpolate && case.is_gap(series, origin - 1) {
                n_spanned += 1;
                continue;
            }
            let other = case.scrambled(&mut draws, series, origin);
            let (_folder, data) = other.file();
            let changed = SeriesSource::open_for(&data, &case.windows, &splits.encoder).unwrap().splits().unwrap();
            let parts = [&changed.train, &changed.valid, &changed.test];
            assert!(parts.iter().any(|part| part.contains(&window)), "the same windows");
            let (before, after) = (splits.batch(&[window]), changed.batch(&[window]));
            if !case.is_gap(series, origin) {
                assert_ne!(bits(&before.target), bits(&after.target), "the future did change");
            }
            assert_eq!(bits(&before.past), bits(&after.past), "{gaps:?}");
            assert_eq!(bits(&before.past_covariates), bits(&after.past_covariates), "{gaps:?}");
            assert_eq!(bits(&before.future_covariates), bits(&after.future_covariates), "{gaps:?}");
            assert!(before.past.iter().chain(&before.future_covariates).all(|value| value.is_finite()));
            *n_checked.entry(format!("{gaps:?}")).or_insert(0) += 1;
        }
    }
    println!("{n_checked:?}, {n_spanned} spanned by a gap");
    assert_eq!(n_checked.len(), 4);
    assert!(n_checked.values().all(|n| *n > 100), "{n_checked:?}");
}

/// The exception is real, and it is told.
#[test]
fn interpolation_looks_ahead_and_says_so() {
    let text = |last: &str| {
        hourly(60, |i| match i {
            30 => String::new(),
            31 => last.to_string(),
            i => (i % 7).to_string(),
        })
    };
    let (_folder, data) = file(&text("5"));
    let data = SeriesDataConfig { gaps: GapPolicy::Interpolate, ..data };
    let source = SeriesSource::open(&data, &plain(), &windows(4, 2)).unwrap();
    assert_eq!(source.report().n_windows_ahead, 1, "the window whose look-back ends with step 30");
    assert!(source.report().warnings[0].starts_with("1 of "), "{:?}", source.report().warnings);
    let window = Window { series: 0, origin: 31 };
    let before = source.splits().unwrap().batch(&[window]).past;
    let (_folder, other) = file(&text("9"));
    let other = SeriesDataConfig { gaps: GapPolicy::Interpolate, ..other };
    let after = SeriesSource::open(&other, &plain(), &windows(4, 2)).unwrap().splits().unwrap().batch(&[window]).past;
    assert_ne!(before, after);
}

/// For many random files and settings: the file cut off at an origin gives the window that training had there. What is
/// stored with the model goes through its JSON.
#[test]
fn the_last_rows_give_the_window_of_training() {
    let mut draws = Draws(ChaCha8Rng::seed_from_u64(12));
    let mut n_checked = 0;
    for turn in 0..120 {
        let gaps = [GapPolicy::Error, GapPolicy::Mask, GapPolicy::ForwardFill, GapPolicy::Interpolate][turn % 4];
        let case = Case::new(&mut draws, gaps);
        let (_folder, data) = case.file();
        let Ok(source) = SeriesSource::open(&data, &case.features, &case.windows) else { continue };
        let splits = source.splits().unwrap();
        let encoder = SeriesEncoder::from_json(&splits.encoder.to_json().unwrap()).unwrap();
        assert_eq!(encoder, splits.encoder);
        let all: Vec<Window> = [&splits.train[..], &splits.valid, &splits.test].concat();
        for _ in 0..4 {
            let window = all[draws.below(all.len())];
            let (series, origin) = (series_number(&splits, window), window.origin as usize);
            // The origin is the step after the last target that is there.
            let last = case.rows.iter().find(|row| row.series == series && row.step + 1 == origin);
            if last.is_none_or(|row| row.targets.contains(&None)) {
                continue;
            }
            if gaps == GapPolicy::Interpolate && case.is_gap(series, origin - 1) {
                continue;
            }
            let (_folder, data) = case.until(series, origin).file();
            let latest = encoder.latest(&data).unwrap();
            let expected = splits.batch(&[window]);
            assert_eq!(latest.series.len(), 1);
            assert_eq!(latest.series[0].name, splits.series_name(window.series as usize));
            assert_eq!(latest.series[0].times, splits.times(window));
            assert_eq!(latest.series[0].scales[0], splits.scale(window.series as usize, 0));
            assert_eq!(bits(&latest.batch.past), bits(&expected.past));
            assert_eq!(bits(&latest.batch.past_covariates), bits(&expected.past_covariates));
            assert_eq!(bits(&latest.batch.future_covariates), bits(&expected.future_covariates));
            assert!(latest.batch.target.is_empty() && latest.batch.actual.is_empty());
            let lookback = case.windows.lookback;
            let original = &splits.values(window.series as usize, 0)[origin - lookback..origin];
            assert_eq!(latest.series[0].past[0], original);
            n_checked += 1;
        }
    }
    println!("{n_checked} windows");
    assert!(n_checked > 150, "{n_checked}");
}
