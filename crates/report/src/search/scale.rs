//! The objective's range, without the few awful trials that would press all others together.

use crate::axes::{Axis, bounds};
use crate::style::{self, MUTED, Swatch};

/// Values are cut off beyond so many distances between the best and the value that nine of ten reach.
const REACH: f64 = 3.0;
/// Values this many times farther off than those of the better part are of another kind: the training diverged.
const DIVERGED: f64 = 50.0;

pub(super) struct Scale {
    pub low: f64,
    pub high: f64,
    lower_is_better: bool,
    beyond: usize,
    worst: f64,
}

impl Scale {
    /// From 0 to 1 where there is no value.
    pub fn of(values: impl Iterator<Item = f64>, lower_is_better: bool) -> Scale {
        let values: Vec<f64> = values.filter(|value| style::is_drawable(*value)).collect();
        let (low, high) = bounds(values.iter().copied()).unwrap_or((0.0, 1.0));
        let (best, worst) = if lower_is_better { (low, high) } else { (high, low) };
        let mut distances: Vec<f64> = values.iter().map(|value| (value - best).abs()).collect();
        distances.sort_by(f64::total_cmp);
        let reach = reach(&distances);
        let within = values.iter().copied().filter(|value| (value - best).abs() <= reach);
        let (low, high) = bounds(within).unwrap_or((low, high));
        let beyond = values.iter().filter(|value| **value < low || **value > high).count();
        Scale { low, high, lower_is_better, beyond, worst }
    }

    /// 1 for the best value, 0 for the worst on the scale and those beyond; 1 for all if they are equal.
    pub fn goodness(&self, value: f64) -> f64 {
        if self.high <= self.low {
            return 1.0;
        }
        let share = ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        if self.lower_is_better { 1.0 - share } else { share }
    }

    pub fn is_beyond(&self, value: f64) -> bool {
        value < self.low || value > self.high
    }

    /// With a `share` of room more on the good side.
    pub fn axis(&self, count: usize, share: f64) -> Axis {
        let axis = Axis::padded(self.low, self.high, count);
        let room = (axis.high - axis.low) * share;
        let (below, above) = if self.lower_is_better { (room, 0.0) } else { (0.0, room) };
        Axis::linear(axis.low - below, axis.high + above, count)
    }

    /// How many values are beyond the axis.
    pub fn beyond_entry(&self) -> Option<(Swatch, String)> {
        let text = format!(
            "beyond the axis ({}, worst {})",
            style::grouped(self.beyond as f64, 0),
            style::significant(self.worst)
        );
        (self.beyond > 0).then_some((Swatch::Triangle(MUTED, self.lower_is_better), text))
    }
}

/// How far from the best value the scale goes; `distances` rise.
fn reach(distances: &[f64]) -> f64 {
    let Some(farthest) = distances.last() else { return 0.0 };
    let at = |quantile: f64| distances[(quantile * (distances.len() - 1) as f64) as usize];
    let mut typical = at(0.9);
    for distance in [at(0.75), at(0.5)] {
        if distance > 0.0 && typical > DIVERGED * distance {
            typical = distance;
        }
    }
    if typical > 0.0 { REACH * typical } else { *farthest }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(values: &[f64]) -> (f64, f64) {
        let scale = Scale::of(values.iter().copied(), true);
        (scale.low, scale.high)
    }

    #[test]
    fn only_awful_values_are_cut_off() {
        assert_eq!(range(&[]), (0.0, 1.0));
        assert_eq!(range(&[0.5, 1e6]), (0.5, 1e6));
        assert_eq!(range(&[0.5, 0.6, 1e6]), (0.5, 0.6));
        assert_eq!(range(&[0.5, 0.6, 0.7, 0.8, 1.4]), (0.5, 1.4));
        assert_eq!(range(&[1.0, 1.0, f64::NAN, 1.0]), (1.0, 1.0));
        let mut many: Vec<f64> = (0..70).map(|i| 1.0 + f64::from(i) / 70.0).collect();
        many.extend([1e6; 30]);
        let scale = Scale::of(many.iter().copied(), true);
        assert!(scale.high < 2.0 && scale.is_beyond(1e6) && scale.goodness(1e6) == 0.0 && scale.goodness(1.0) == 1.0);
        let scale = Scale::of(many.iter().map(|value| -value), false);
        assert!(scale.low > -2.0 && scale.goodness(-1.0) == 1.0);
        assert_eq!(scale.beyond_entry().unwrap().1, "beyond the axis (30, worst −1,000,000)");
    }
}
