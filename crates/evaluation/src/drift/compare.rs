//! All figures of a column, and what follows for the data set.

use serde::{Deserialize, Serialize};

use super::distances::{Binned, KolmogorovSmirnov, counts, kolmogorov_smirnov, wasserstein};
use super::distribution::{Distribution, Levels, Numbers, Shape};
use super::thresholds::{Thresholds, Verdict};

/// How far a column has moved. What cannot be told (no values on one side; figures of numbers for a column of levels) is
/// `None`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ColumnDrift {
    /// Whether the reference has numbers; else levels.
    pub is_numeric: bool,
    /// Numbers on one side, levels on the other: nothing else is measured.
    pub type_changed: bool,
    /// Reference rows with a value (a sum of weights may be a fraction).
    pub n_reference: f64,
    /// Current rows with a value.
    pub n_current: f64,
    /// Population stability index, 0 and up.
    pub psi: Option<f64>,
    /// Distance, base 2, 0 to 1.
    pub jensen_shannon: Option<f64>,
    /// p-value of the chi-squared test over the bins of the PSI.
    pub p_value: Option<f64>,
    /// Numbers only.
    pub kolmogorov_smirnov: Option<KolmogorovSmirnov>,
    /// Numbers only, in the column's own units.
    pub wasserstein: Option<f64>,
    /// The same in standard deviations of the reference; `None` if that is 0.
    pub wasserstein_sd: Option<f64>,
    /// Current mean less reference mean.
    pub mean_difference: Option<f64>,
    /// Current standard deviation over that of the reference; `None` if that is 0.
    pub std_ratio: Option<f64>,
    /// Share of the reference's rows without a value.
    pub missing_share_reference: Option<f64>,
    /// Share of the current rows without a value.
    pub missing_share_current: Option<f64>,
    /// Current less reference.
    pub missing_share_change: Option<f64>,
    /// Share of the current rows with a value that have a level that the reference does not have, or a number outside of
    /// its range. `None` where the reference does not name all of its levels.
    pub unseen_share: Option<f64>,
}

/// Measures everything. The bins are those of the reference, so the sides cannot be swapped.
pub fn compare(reference: &Distribution, current: &Distribution) -> ColumnDrift {
    let missing = [reference, current].map(Distribution::missing_share);
    let mut drift = ColumnDrift {
        is_numeric: reference.is_numeric(),
        type_changed: reference.is_numeric() != current.is_numeric() && reference.n() > 0.0 && current.n() > 0.0,
        n_reference: reference.n(),
        n_current: current.n(),
        missing_share_reference: missing[0],
        missing_share_current: missing[1],
        missing_share_change: missing[0].zip(missing[1]).map(|(was, is)| is - was),
        ..ColumnDrift::default()
    };
    if let Some(binned) = Binned::new(reference, current) {
        drift.psi = finite(binned.psi());
        drift.jensen_shannon = finite(binned.jensen_shannon());
        drift.p_value = finite(binned.p_value());
        match (&reference.shape, &current.shape) {
            (Shape::Numbers(a), Shape::Numbers(b)) => {
                drift.kolmogorov_smirnov = kolmogorov_smirnov(reference, current);
                drift.wasserstein = wasserstein(reference, current).and_then(finite);
                drift.wasserstein_sd = drift.wasserstein.and_then(|distance| finite(distance / a.sd));
                drift.mean_difference = finite(b.mean - a.mean);
                drift.std_ratio = finite(b.sd / a.sd);
                drift.unseen_share = outside_share(a, b);
            }
            (Shape::Levels(a), Shape::Levels(b)) => drift.unseen_share = unseen_share(a, b),
            _ => {}
        }
    }
    drift
}

impl ColumnDrift {
    /// What is known, under short names for a tracking server: `psi`, `jensen_shannon`, `ks`, `ks_p_value`, ..
    pub fn metrics(&self) -> Vec<(&'static str, f64)> {
        let values = [
            ("psi", self.psi),
            ("jensen_shannon", self.jensen_shannon),
            ("p_value", self.p_value),
            ("ks", self.kolmogorov_smirnov.map(|ks| ks.statistic)),
            ("ks_p_value", self.kolmogorov_smirnov.map(|ks| ks.p_value)),
            ("wasserstein", self.wasserstein),
            ("wasserstein_sd", self.wasserstein_sd),
            ("mean_difference", self.mean_difference),
            ("std_ratio", self.std_ratio),
            ("missing_share", self.missing_share_current),
            ("missing_share_change", self.missing_share_change),
            ("unseen_share", self.unseen_share),
        ];
        values.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

fn outside_share(reference: &Numbers, current: &Numbers) -> Option<f64> {
    let (low, high) = (reference.values.first()?, reference.values.last()?);
    Some(current.share_up_to(low.next_down()) + 1.0 - current.share_up_to(*high))
}

fn unseen_share(reference: &Levels, current: &Levels) -> Option<f64> {
    let unseen = current.counts.iter().filter(|(level, _)| !reference.counts.contains_key(*level));
    let unseen: u64 = unseen.map(|(_, count)| count).sum();
    (reference.rest == 0).then(|| (unseen + current.rest) as f64 / current.n())
}

/// The whole table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatasetDrift {
    /// Columns compared.
    pub n_features: usize,
    /// Of these, drifted.
    pub n_drifted_features: usize,
    /// Worth watching.
    pub n_watched_features: usize,
    /// Drifted columns over all; 0 without columns.
    pub share_drifted: f64,
    /// Whether that is more than [`Thresholds::drifted_share`].
    pub is_drift: bool,
    /// Mean over the columns of numbers of the distance between the means. Adds up columns in different units: kept for
    /// those who have a history of it.
    pub drift_mean_mean_diff: Option<f64>,
    /// Mean over the columns of numbers of the ratio of the standard deviations (to that of the reference + 1e-8 in the
    /// programs where the name comes from; here columns that are constant in the reference do not count).
    pub drift_mean_std_ratio: Option<f64>,
}

/// Puts the columns together.
pub fn summarize<'a>(
    columns: impl IntoIterator<Item = (&'a ColumnDrift, Verdict)>,
    thresholds: &Thresholds,
) -> DatasetDrift {
    let columns: Vec<(&ColumnDrift, Verdict)> = columns.into_iter().collect();
    let count = |wanted: Verdict| columns.iter().filter(|(_, verdict)| *verdict == wanted).count();
    let mean = |figure: fn(&ColumnDrift) -> Option<f64>| {
        let values: Vec<f64> = columns.iter().filter_map(|(column, _)| figure(column)).collect();
        finite(values.iter().sum::<f64>() / values.len() as f64)
    };
    let n_drifted_features = count(Verdict::Drift);
    let share_drifted = n_drifted_features as f64 / columns.len().max(1) as f64;
    DatasetDrift {
        n_features: columns.len(),
        n_drifted_features,
        n_watched_features: count(Verdict::Watch),
        share_drifted,
        is_drift: share_drifted > thresholds.drifted_share,
        drift_mean_mean_diff: mean(|column| column.mean_difference.map(f64::abs)),
        drift_mean_std_ratio: mean(|column| column.std_ratio),
    }
}

impl DatasetDrift {
    /// What is known, under the names that drift monitors have used before: `n_drifted_features`, `share_drifted`,
    /// `is_drift` (0 or 1), `drift_mean_mean_diff`, `drift_mean_std_ratio`.
    pub fn metrics(&self) -> Vec<(&'static str, f64)> {
        let values = [
            ("n_features", Some(self.n_features as f64)),
            ("n_drifted_features", Some(self.n_drifted_features as f64)),
            ("n_watched_features", Some(self.n_watched_features as f64)),
            ("share_drifted", Some(self.share_drifted)),
            ("is_drift", Some(f64::from(self.is_drift))),
            ("drift_mean_mean_diff", self.drift_mean_mean_diff),
            ("drift_mean_std_ratio", self.drift_mean_std_ratio),
        ];
        values.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// Rows of both sides in one bar of a picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistogramBin {
    /// The level, `other`, or a range of numbers.
    pub label: String,
    /// The range; `None` for levels.
    pub range: Option<(f64, f64)>,
    /// Share of the reference's values, 0 to 1.
    pub reference: f64,
    /// Share of the current values.
    pub current: f64,
}

/// For a picture. Numbers: up to `max_bins` bins of equal width over the middle 99 % of both sides (all outside is in the
/// outer bins). Levels: the most frequent on either side, then `other`. Empty if a side has no values.
pub fn histogram(reference: &Distribution, current: &Distribution, max_bins: usize) -> Vec<HistogramBin> {
    if reference.n() == 0.0 || current.n() == 0.0 {
        return Vec::new();
    }
    match (&reference.shape, &current.shape) {
        (Shape::Numbers(reference), Shape::Numbers(current)) => number_bars(reference, current, max_bins.max(1)),
        (Shape::Levels(reference), Shape::Levels(current)) => level_bars(reference, current, max_bins.max(1)),
        _ => Vec::new(),
    }
}

fn number_bars(reference: &Numbers, current: &Numbers, bins: usize) -> Vec<HistogramBin> {
    let low = reference.quantile(0.005).min(current.quantile(0.005));
    let high = reference.quantile(0.995).max(current.quantile(0.995));
    let edge = |i: usize| if i == bins { high } else { low + (high - low) * i as f64 / bins as f64 };
    let edges: Vec<f64> = if low < high { (1..bins).map(edge).collect() } else { Vec::new() };
    let sides = [counts(reference, &edges), counts(current, &edges)];
    let bar = |i: usize| {
        let range = if low < high { (edge(i), edge(i + 1)) } else { (low, high) };
        HistogramBin {
            label: if range.0 < range.1 { format!("{:.4} to {:.4}", range.0, range.1) } else { low.to_string() },
            range: Some(range),
            reference: sides[0][i] / reference.n,
            current: sides[1][i] / current.n,
        }
    };
    (0..=edges.len()).map(bar).collect()
}

fn level_bars(reference: &Levels, current: &Levels, bins: usize) -> Vec<HistogramBin> {
    let share = |levels: &Levels, level: &str| levels.counts.get(level).copied().unwrap_or(0) as f64 / levels.n();
    let bar = |label: &String| HistogramBin {
        label: label.clone(),
        range: None,
        reference: share(reference, label),
        current: share(current, label),
    };
    let new = current.counts.keys().filter(|level| !reference.counts.contains_key(*level));
    let mut bars: Vec<HistogramBin> = reference.counts.keys().chain(new).map(bar).collect();
    // By name already, and the sort is stable.
    bars.sort_by(|a, b| (b.reference + b.current).total_cmp(&(a.reference + a.current)));
    let has_rest = reference.rest + current.rest > 0;
    if bars.len() > bins || has_rest {
        bars.truncate(bins.saturating_sub(1));
        let left = |side: fn(&HistogramBin) -> f64| (1.0 - bars.iter().map(side).sum::<f64>()).max(0.0);
        let (reference, current) = (left(|bar| bar.reference), left(|bar| bar.current));
        bars.push(HistogramBin { label: "other".to_owned(), range: None, reference, current });
    }
    bars
}
