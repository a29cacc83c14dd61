//! Runs of missing values, and what stands in for them.

use serde::Serialize;

use super::config::GapPolicy;
use super::raw::NO_ROW;

/// Steps `from..to` of one series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Run {
    pub from: usize,
    pub to: usize,
}

/// The runs among `n` steps of which all are missing.
pub(crate) fn missing_runs(n: usize, is_missing: impl Fn(usize) -> bool) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for step in (0..n).filter(|&step| is_missing(step)) {
        match runs.last_mut() {
            Some(run) if run.to == step => run.to += 1,
            _ => runs.push(Run { from: step, to: step + 1 }),
        }
    }
    runs
}

/// Whether a run lies within one of these, which are ascending.
pub(crate) fn is_within(run: Run, runs: &[Run]) -> bool {
    let last = runs.partition_point(|other| other.from <= run.from).checked_sub(1);
    last.is_some_and(|last| run.to <= runs[last].to)
}

/// Fills the runs of missing values that are no longer than `longest`; which ones. A run at the beginning has nothing
/// before it and stays. So does one at the end, but for `forward_fill` of what is a column's `past`: its end is the
/// forecast's origin, while a column known over the horizon ends where nothing is known.
pub(crate) fn fill(column: &mut [f64], runs: &[Run], policy: GapPolicy, longest: usize, is_past: bool) -> Vec<Run> {
    let (mut filled, n) = (Vec::new(), column.len());
    for &run in runs.iter().filter(|run| run.from > 0 && run.from < n) {
        let run = Run { to: run.to.min(n), ..run };
        let before = column[run.from - 1];
        let after = column.get(run.to).copied();
        match (policy, after) {
            _ if run.to - run.from > longest => continue,
            // In the arithmetic of `numpy.interp`, which pandas uses.
            (GapPolicy::Interpolate, Some(after)) => {
                let slope = (after - before) / (run.to + 1 - run.from) as f64;
                for (i, value) in (1..).zip(&mut column[run.from..run.to]) {
                    *value = slope * f64::from(i) + before;
                }
            }
            (GapPolicy::ForwardFill, after) if is_past || after.is_some() => column[run.from..run.to].fill(before),
            _ => continue,
        }
        filled.push(run);
    }
    filled
}

/// Texts of steps without a row: the last one before. There is no line between two texts, so `interpolate` does the
/// same.
pub(crate) fn fill_texts(column: &mut [u32], policy: GapPolicy, longest: usize) {
    if !matches!(policy, GapPolicy::Interpolate | GapPolicy::ForwardFill) {
        return;
    }
    let n = column.len();
    let runs = missing_runs(n, |step| column[step] == NO_ROW);
    for run in runs.into_iter().filter(|run| run.from > 0 && run.to < n && run.to - run.from <= longest) {
        let before = column[run.from - 1];
        column[run.from..run.to].fill(before);
    }
}
