//! Which windows there are: parts of a series, and the stretches without a missing value.

use std::ops::Range;

use super::config::SeriesDataConfig;
use super::encoder::SeriesEncoder;
use super::features::WindowsConfig;
use super::frequency::Frequency;
use super::gaps::missing_runs;
use super::layout::{Layout, Place};
use super::raw::{NO_ROW, RawSeries};
use super::store::Window;
use crate::Result;

/// Where train, valid and test end, in steps of one series; each begins where the one before it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parts(pub [usize; 3]);

impl Parts {
    /// As `data.split` says. Borders may lie beyond the series' end.
    pub(crate) fn new(series: &RawSeries, data: &SeriesDataConfig, frequency: Frequency) -> Result<Self> {
        let n = series.n_known;
        if let Some(borders) = data.split.borders {
            return Ok(Self(borders));
        }
        if let Some(dates) = data.split.dates(data)? {
            let first_from = |time: i64| match frequency.step(series.start, time) {
                (step, true) => step,
                (step, false) => step + 1,
            };
            let [valid, test] = dates.map(|time| first_from(time).clamp(0, n as i64) as usize);
            return Ok(Self([valid, test, n]));
        }
        // 0.7 of 10 steps are 7, though 1 - 0.1 - 0.2 is a little less.
        let border = |share: f64| (n as f64 * share + 1e-9) as usize;
        Ok(Self([border(1.0 - data.split.valid - data.split.test), border(1.0 - data.split.test), n]))
    }

    /// Train, valid or test.
    pub(crate) fn range(&self, part: usize) -> Range<usize> {
        if part == 0 { 0..self.0[0] } else { self.0[part - 1]..self.0[part] }
    }
}

/// How many steps with a missing value there are before each step, `[n_steps + 1]` each.
pub(crate) struct Holes {
    targets: Vec<u32>,
    past: Vec<u32>,
    future: Vec<u32>,
    lookback: usize,
    horizon: usize,
    /// Steps before the look-back that lags and rolling statistics reach back to.
    reach: usize,
    /// Lags known up to the forecast, and those known over the horizon.
    lags: [Vec<usize>; 2],
}

impl Holes {
    pub(crate) fn new(series: &RawSeries, layout: &Layout, encoder: &SeriesEncoder) -> Self {
        let side = |channels: &[super::layout::Channel]| {
            let places = channels.iter().map(|channel| channel.place);
            let lag = |place| if let Place::Lag { steps, .. } = place { Some(steps) } else { None };
            let lags: Vec<usize> = places.clone().filter_map(lag).collect();
            let stored = places.filter_map(|place| if let Place::Stored(i) = place { Some(i) } else { None });
            (count(series, layout, &stored.collect::<Vec<_>>()), lags)
        };
        let (past, past_lags) = side(&layout.past);
        let (future, future_lags) = side(&layout.future);
        let targets = count(series, layout, &(0..layout.n_targets).collect::<Vec<_>>());
        let lags = [past_lags, future_lags];
        let WindowsConfig { lookback, horizon, .. } = encoder.windows;
        Self { targets, past, future, lookback, horizon, reach: encoder.reach(), lags }
    }

    /// Whether a model can be shown this window: nothing of what it sees is missing.
    pub(crate) fn has_inputs(&self, origin: usize) -> bool {
        let Some(first) = origin.checked_sub(self.lookback) else { return false };
        let end = origin + self.horizon;
        let none = |counts: &[u32], from: usize, to: usize| to < counts.len() && counts[to] == counts[from];
        let lagged = |lags: &[usize], to: usize| {
            lags.iter().all(|lag| first >= *lag && none(&self.targets, first - lag, to - lag))
        };
        none(&self.targets, first, origin)
            && none(&self.past, first, origin)
            && none(&self.future, first, end)
            && lagged(&self.lags[0], origin)
            && lagged(&self.lags[1], end)
    }

    /// Whether it can be scored, too.
    pub(crate) fn is_whole(&self, origin: usize) -> bool {
        let end = origin + self.horizon;
        end < self.targets.len() && self.targets[end] == self.targets[origin] && self.has_inputs(origin)
    }

    /// The longest stretch within these steps in which nothing is missing: its first step and its length.
    pub(crate) fn longest_stretch(&self, steps: Range<usize>) -> (usize, usize) {
        let is_hole = |counts: &[u32], step: usize| counts[step + 1] > counts[step];
        let all = [&self.targets, &self.past, &self.future];
        let first = steps.start;
        let whole = missing_runs(steps.len(), |i| !all.iter().any(|counts| is_hole(counts, first + i)));
        let longest = whole.iter().max_by_key(|run| (run.to - run.from, std::cmp::Reverse(run.from)));
        longest.map_or((first, 0), |run| (first + run.from, run.to - run.from))
    }
}

fn count(series: &RawSeries, layout: &Layout, stored: &[usize]) -> Vec<u32> {
    let text = |i: &usize| Some(layout.one_hot.get(i.checked_sub(layout.n_numbers)?)?.0);
    let mut texts: Vec<usize> = stored.iter().filter_map(text).collect();
    texts.dedup();
    let numbers: Vec<&[f64]> =
        stored.iter().filter(|i| **i < layout.n_numbers).map(|&i| series.numbers[i].as_slice()).collect();
    let mut counts = vec![0; series.n_steps + 1];
    for step in 0..series.n_steps {
        let is_missing = numbers.iter().any(|values| values[step].is_nan())
            || texts.iter().any(|&column| series.texts[column][step] == NO_ROW);
        counts[step + 1] = counts[step] + u32::from(is_missing);
    }
    counts
}

/// The windows of one series in one part (0 is train), and how many more there are that touch a missing value.
pub(crate) fn windows_of(
    number: usize,
    holes: &Holes,
    parts: &Parts,
    part: usize,
    windows: &WindowsConfig,
) -> (Vec<Window>, usize) {
    let Range { start, end } = parts.range(part);
    let behind = windows.lookback + holes.reach;
    let (first, stride) = match part {
        0 => (start + behind, windows.stride),
        // Those of valid and test look back across the border.
        _ => (start.max(behind), windows.eval_stride),
    };
    let origins = (first..).step_by(stride).take_while(|origin| origin + windows.horizon <= end);
    let n_all = origins.clone().count();
    let window = |origin| Window { series: number as u32, origin: origin as u32 };
    let whole: Vec<Window> = origins.filter(|&origin| holes.is_whole(origin)).map(window).collect();
    let n_left_out = n_all - whole.len();
    (whole, n_left_out)
}
