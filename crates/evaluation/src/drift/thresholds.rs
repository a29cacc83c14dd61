//! From which size on a difference counts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::compare::ColumnDrift;

/// From which value on a column counts as drifted; `null` measures without judging.
///
/// PSI is what decides by default, with the limits that the field has used for decades, beside missing and unseen values.
/// The other distances see the same shifts at other scales (for a shift of a normal column by d standard deviations PSI
/// is about d^2, Kolmogorov-Smirnov 0.4 d, Wasserstein d, Jensen-Shannon 0.42 d), so one at its own limit would overrule
/// the rest. Evidently, for one, takes 0.1 for `jensen_shannon` and for `wasserstein`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Thresholds {
    /// PSI from which a column is worth watching, but has not drifted yet.
    pub psi_watch: Option<f64>,
    /// Population stability index.
    pub psi: Option<f64>,
    /// Jensen-Shannon distance, 0 to 1.
    pub jensen_shannon: Option<f64>,
    /// Statistic of Kolmogorov and Smirnov, 0 to 1.
    pub kolmogorov_smirnov: Option<f64>,
    /// Wasserstein distance in standard deviations of the reference.
    pub wasserstein: Option<f64>,
    /// Change of the share of missing values, either way: 0.05 is from 1 % to 6 %.
    pub missing_share: Option<f64>,
    /// Share of rows with a level that the reference does not have, or a number outside of its range.
    pub unseen_share: Option<f64>,
    /// A distance counts only if chance alone gives one as large less often than this (chi-squared or Kolmogorov-Smirnov):
    /// with few rows large distances are common. `null`: every distance counts.
    pub significance: Option<f64>,
    /// The data set as a whole has drifted if more than this share of its columns has.
    pub drifted_share: f64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            psi_watch: Some(0.1),
            psi: Some(0.2),
            jensen_shannon: None,
            kolmogorov_smirnov: None,
            wasserstein: None,
            missing_share: Some(0.05),
            unseen_share: Some(0.05),
            significance: Some(0.05),
            drifted_share: 0.5,
        }
    }
}

/// What is to be said of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As the reference, as far as can be told.
    Stable,
    /// PSI is between its two limits.
    Watch,
    /// Something is at or above its limit.
    Drift,
}

/// A verdict with its reasons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// The most serious one.
    pub verdict: Verdict,
    /// What led to it, in words; none for a stable column, except where rows are too few to tell.
    pub reasons: Vec<String>,
}

impl Thresholds {
    /// The first key that is out of range, with the reason.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let limits = [
            ("psi_watch", self.psi_watch, f64::INFINITY),
            ("psi", self.psi, f64::INFINITY),
            ("jensen_shannon", self.jensen_shannon, 1.0),
            ("kolmogorov_smirnov", self.kolmogorov_smirnov, 1.0),
            ("wasserstein", self.wasserstein, f64::INFINITY),
            ("missing_share", self.missing_share, 1.0),
            ("unseen_share", self.unseen_share, 1.0),
            ("significance", self.significance, 1.0),
        ];
        for (key, limit, highest) in limits {
            if limit.is_some_and(|limit| !(limit > 0.0 && limit <= highest)) {
                let range = if highest.is_finite() { "above 0, up to 1, or null" } else { "above 0, or null" };
                return Err((key, format!("must be {range}")));
            }
        }
        if self.psi_watch.zip(self.psi).is_some_and(|(watch, drift)| watch > drift) {
            return Err(("psi_watch", "must not be above `psi`".to_owned()));
        }
        let fine = (0.0..=1.0).contains(&self.drifted_share);
        if fine { Ok(()) } else { Err(("drifted_share", "must be from 0 to 1".to_owned())) }
    }

    /// Holds what was measured against the limits.
    pub fn judge(&self, column: &ColumnDrift) -> Judgement {
        if column.type_changed {
            let (was, is) = if column.is_numeric { ("numbers", "text") } else { ("text", "numbers") };
            return Judgement { verdict: Verdict::Drift, reasons: vec![format!("was {was}, is now {is}")] };
        }
        let distances = [
            ("PSI", column.psi, self.psi),
            ("Jensen-Shannon distance", column.jensen_shannon, self.jensen_shannon),
            ("Kolmogorov-Smirnov", column.kolmogorov_smirnov.map(|ks| ks.statistic), self.kolmogorov_smirnov),
            ("Wasserstein distance in standard deviations", column.wasserstein_sd, self.wasserstein),
        ];
        let mut reasons: Vec<String> =
            distances.into_iter().filter_map(|(name, x, limit)| at_least(name, x, limit)).collect();
        let mut verdict = if reasons.is_empty() { Verdict::Stable } else { Verdict::Drift };
        if reasons.is_empty()
            && let Some(reason) = at_least("PSI", column.psi, self.psi_watch)
        {
            reasons.push(reason);
            verdict = Verdict::Watch;
        }
        if let Some(p_value) = self.by_chance(column).filter(|_| !reasons.is_empty()) {
            reasons = vec![format!("{}, but chance alone gives as much (p = {p_value:.2})", reasons.join(", "))];
            verdict = Verdict::Stable;
        }
        let shares = self.shares(column);
        if !shares.is_empty() {
            // What chance explains is of no interest beside what it does not.
            let distances = if verdict == Verdict::Stable { Vec::new() } else { reasons };
            return Judgement { verdict: Verdict::Drift, reasons: [shares, distances].concat() };
        }
        Judgement { verdict, reasons }
    }

    /// The lower p-value, if chance explains the distances.
    fn by_chance(&self, column: &ColumnDrift) -> Option<f64> {
        let significance = self.significance?;
        let p_values = column.p_value.into_iter().chain(column.kolmogorov_smirnov.map(|ks| ks.p_value));
        let lowest = p_values.fold(f64::NAN, f64::min);
        (lowest >= significance).then_some(lowest)
    }

    fn shares(&self, column: &ColumnDrift) -> Vec<String> {
        let percent = |share: Option<f64>| share.map_or_else(|| "none".to_owned(), |s| format!("{:.1} %", s * 100.0));
        let change = column.missing_share_change;
        let missing = at_least("change", change.map(f64::abs), self.missing_share).map(|_| {
            let (was, is) = (percent(column.missing_share_reference), percent(column.missing_share_current));
            format!("{is} missing (was {was})")
        });
        let unseen = at_least("share", column.unseen_share, self.unseen_share).map(|_| {
            let what = if column.is_numeric { "outside the reference's range" } else { "of unseen levels" };
            format!("{} of the rows {what}", percent(column.unseen_share))
        });
        missing.into_iter().chain(unseen).collect()
    }
}

/// `PSI 0.312 >= 0.2`, if so.
fn at_least(name: &str, value: Option<f64>, limit: Option<f64>) -> Option<String> {
    let (value, limit) = value.zip(limit)?;
    (value >= limit).then(|| format!("{name} {value:.3} >= {limit}"))
}
