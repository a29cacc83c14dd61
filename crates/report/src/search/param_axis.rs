//! The axis of one hyperparameter: numbers or names, and a slot for trials that do not have it.

use crate::axes::{Axis, bounds};
use crate::render::text_width;
use crate::style::{self, TICK};

use super::{ParamScale, Search, drawable};

/// The share of an axis that the slot of absent values takes.
const ABSENT: f64 = 0.1;

/// Multiples of these two fill a square evenly (Roberts, The unreasonable effectiveness of quasirandom sequences, 2018).
pub(super) const RATIOS: [f64; 2] = [0.754_877_666_246_69, 0.569_840_290_998_05];
/// Numbers with so few values are spread like choices.
const FEW: usize = 12;

pub(super) struct ParamAxis<'a> {
    axis: Axis,
    /// Empty for numbers.
    pub choices: &'a [String],
    /// The share of the slot of absent values at the low end; 0 where no trial needs it.
    pub absent: f64,
    /// How far trials of one value are spread, as a share of the axis.
    spread: f64,
    /// Its multiples say where they stand; the two axes of a picture have different ones.
    pub ratio: f64,
}

impl<'a> ParamAxis<'a> {
    /// For the values that `param` has in the complete trials; `count` ticks, if they are numbers.
    pub fn new(search: &Search<'a>, param: usize, count: usize) -> ParamAxis<'a> {
        let trials = search.complete();
        let values = || trials.iter().filter_map(|(trial, _)| drawable(trial.params[param]));
        let has_absent = trials.iter().any(|(trial, _)| drawable(trial.params[param]).is_none());
        let absent = if has_absent { ABSENT } else { 0.0 };
        let (low, high) = bounds(values()).unwrap_or((0.0, 1.0));
        let (axis, choices): (Axis, &[String]) = match search.params[param].scale {
            ParamScale::Choices(choices) if !choices.is_empty() => {
                let names: Vec<&str> = choices.iter().map(String::as_str).collect();
                (Axis::named(&names), choices)
            }
            ParamScale::Log if low > 0.0 => (log_axis(low, high, count), &[]),
            _ => {
                let is_whole = values().all(|value| value.fract() == 0.0) && high - low < 1e6 && high.abs() < 1e9;
                (if is_whole { whole_axis(low, high, count) } else { Axis::padded(low, high, count) }, &[])
            }
        };
        let mut distinct: Vec<f64> = values().collect();
        distinct.sort_by(f64::total_cmp);
        distinct.dedup();
        let spread = match choices.len() {
            0 if distinct.len() <= FEW && trials.len() > 2 * distinct.len() => 0.03,
            0 => 0.0,
            n => 0.45 * (1.0 - absent) / n as f64,
        };
        ParamAxis { axis, choices, absent, spread, ratio: RATIOS[0] }
    }

    /// Where a value stands, 0 to 1.
    pub fn share(&self, value: Option<f64>) -> f64 {
        match drawable(value) {
            Some(value) => self.absent + (1.0 - self.absent) * self.axis.share(value),
            None => self.absent * 0.4,
        }
    }

    /// As `share`, but trials of one choice, or of one of a few numbers, stand beside each other; `number` decides where.
    pub fn spread_share(&self, value: Option<f64>, number: u32) -> f64 {
        let width = if drawable(value).is_some() { self.spread } else { self.absent * 0.5 };
        let shift = (f64::from(number) * self.ratio).fract() - 0.5;
        (self.share(value) + width * shift).clamp(0.0, 1.0)
    }

    /// The shares and labels of the ticks, those of absent values too.
    pub fn ticks(&self) -> Vec<(f64, String)> {
        let absent = (self.absent > 0.0).then(|| (self.share(None), "–".to_string()));
        absent
            .into_iter()
            .chain(self.axis.ticks.iter().map(|(v, label)| (self.share(Some(*v)), label.clone())))
            .collect()
    }

    /// An axis along the bottom of a frame of this width, with as many ticks as have room.
    pub fn lying(&self, width: f64) -> Axis {
        let name_room = width / self.choices.len().clamp(1, 6) as f64 - 16.0;
        let shorten = |(share, label): (f64, String)| (share, style::shorten_middle(&label, TICK, name_room.max(60.0)));
        let ticks: Vec<(f64, String)> = self.ticks().into_iter().map(shorten).collect();
        let ends = |(share, label): &(f64, String)| {
            let half = text_width(label, TICK.size, TICK.bold) / 2.0 + 9.0;
            (share * width - half, share * width + half)
        };
        Axis::shares(apart(ticks, ends))
    }

    /// An axis along the left of a frame of this height, with as many ticks as have room.
    pub fn standing(&self, height: f64, name_room: f64) -> Axis {
        let shorten = |(share, label): (f64, String)| (share, style::shorten_middle(&label, TICK, name_room));
        let ticks: Vec<(f64, String)> = self.ticks().into_iter().map(shorten).collect();
        Axis::shares(apart(ticks, |(share, _)| (share * height - 13.0, share * height + 13.0)))
    }
}

fn whole_axis(low: f64, high: f64, count: usize) -> Axis {
    let padding = if low == high { 1.0 } else { (high - low) * 0.05 };
    Axis::whole(low - padding, high + padding, count)
}

/// A range within a decade or so may have no round powers: then it gets the ticks of an even scale.
fn log_axis(low: f64, high: f64, count: usize) -> Axis {
    let padding = if high / low < 1.001 { 1.5 } else { (high / low).powf(0.05) };
    let (low, high) = (low / padding, high * padding);
    let mut axis = Axis::log(low, high);
    if axis.ticks.len() < 3 {
        axis.ticks = Axis::linear(low, high, count).ticks.into_iter().filter(|(value, _)| *value > 0.0).collect();
    }
    axis
}

/// Leaves out every second tick, or more, until none runs into the next; `ends` says where a tick begins and ends.
fn apart(ticks: Vec<(f64, String)>, ends: impl Fn(&(f64, String)) -> (f64, f64)) -> Vec<(f64, String)> {
    let (absent, ticks): (Vec<_>, Vec<_>) = ticks.into_iter().partition(|(_, label)| label == "–");
    let thinned =
        |every: usize| -> Vec<(f64, String)> { absent.iter().chain(ticks.iter().step_by(every)).cloned().collect() };
    let is_apart = |ticks: &Vec<(f64, String)>| ticks.windows(2).all(|pair| ends(&pair[0]).1 <= ends(&pair[1]).0);
    (1..=ticks.len()).map(thinned).find(is_apart).unwrap_or_else(|| thinned(ticks.len().max(1)))
}
