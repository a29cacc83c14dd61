//! What one gains by taking the rows with the highest scores first.
//!
//! Where rows share a score, their order is a matter of chance: what is shown is what a random order gives on average.

use serde::{Deserialize, Serialize};

const STEPS: usize = 100;
const DECILES: usize = 10;

/// The rows with the highest scores against all rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GainPoint {
    /// Share of the rows taken, 0 to 1.
    pub share: f64,
    /// Share of all positives among them.
    pub gain: f64,
    /// How many times more positives than among as many random rows; at share 0 that of the highest score.
    pub lift: f64,
}

/// A tenth of the rows, by falling score.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Decile {
    /// 1 has the highest scores.
    pub decile: usize,
    /// Rows.
    pub rows: usize,
    /// Highest score.
    pub high: f64,
    /// Lowest score.
    pub low: f64,
    /// Positives; a fraction where rows with one score are in two deciles.
    pub positives: f64,
    /// Share of positives.
    pub rate: f64,
    /// Rate over that of all rows.
    pub lift: f64,
    /// Share of all positives in this decile and those before.
    pub gain: f64,
    /// Lift of this decile and those before together.
    pub cumulative_lift: f64,
}

/// Gain and lift at the shares 0, 0.01, .., 1. `target` and `scores` `[rows]`; NaN is the lowest score. Empty without
/// positives.
pub fn gains(target: &[bool], scores: &[f64]) -> Vec<GainPoint> {
    let ranked = Ranked::new(target, scores);
    let point = |step: usize| {
        let share = step as f64 / STEPS as f64;
        let gain = ranked.positives(share * ranked.rows as f64) / ranked.total;
        let first = ranked.corners.first().map_or(f64::NAN, |&(rows, positives)| positives / rows);
        let lift = if step == 0 { first * ranked.rows as f64 / ranked.total } else { gain / share };
        GainPoint { share, gain, lift }
    };
    if ranked.total > 0.0 { (0..=STEPS).map(point).collect() } else { Vec::new() }
}

/// The rows in ten parts of equal size (as far as that goes; with fewer than ten rows, one part each). Empty without
/// positives.
pub fn deciles(target: &[bool], scores: &[f64]) -> Vec<Decile> {
    let ranked = Ranked::new(target, scores);
    let base = ranked.total / ranked.rows as f64;
    let border = |decile: usize| (decile * ranked.rows + DECILES / 2) / DECILES;
    let part = |decile: usize| {
        let (from, to) = (border(decile), border(decile + 1));
        let until = ranked.positives(to as f64);
        let positives = until - ranked.positives(from as f64);
        let rate = positives / (to - from) as f64;
        Decile {
            decile: decile + 1,
            rows: to - from,
            high: ranked.scores[from],
            low: ranked.scores[to - 1],
            positives,
            rate,
            lift: rate / base,
            gain: until / ranked.total,
            cumulative_lift: until / to as f64 / base,
        }
    };
    let filled = (0..DECILES).filter(|&decile| border(decile) < border(decile + 1));
    if ranked.total > 0.0 { filled.map(part).collect() } else { Vec::new() }
}

/// Rows by falling score.
struct Ranked {
    rows: usize,
    /// Positives.
    total: f64,
    /// From the highest down.
    scores: Vec<f64>,
    /// Rows and positives with at least each score that occurs.
    corners: Vec<(f64, f64)>,
}

impl Ranked {
    fn new(target: &[bool], scores: &[f64]) -> Self {
        let key = |(&score, &target): (&f64, &bool)| (if score.is_nan() { f64::NEG_INFINITY } else { score }, target);
        let mut pairs: Vec<(f64, bool)> = scores.iter().zip(target).map(key).collect();
        pairs.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        let (mut rows, mut positives) = (0.0, 0.0);
        let corner = |equal: &[(f64, bool)]| {
            rows += equal.len() as f64;
            positives += equal.iter().filter(|(_, positive)| *positive).count() as f64;
            (rows, positives)
        };
        let corners: Vec<(f64, f64)> = pairs.chunk_by(|a, b| a.0 == b.0).map(corner).collect();
        Self { rows: pairs.len(), total: positives, scores: pairs.into_iter().map(|pair| pair.0).collect(), corners }
    }

    /// Positives among the first `rows`, linear within rows of one score.
    fn positives(&self, rows: f64) -> f64 {
        let next = self.corners.partition_point(|corner| corner.0 < rows);
        let before = next.checked_sub(1).map_or((0.0, 0.0), |before| self.corners[before]);
        let Some(after) = self.corners.get(next) else { return self.total };
        before.1 + (after.1 - before.1) * (rows - before.0) / (after.0 - before.0)
    }
}
