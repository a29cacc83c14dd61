//! What a resumed run has logged before, so that going on from an older checkpoint doubles no step.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use crate::{Metric, Result, Store};

/// The points that a run has, by metric.
#[derive(Debug, Default)]
pub(crate) struct Logged(HashMap<String, Points>);

#[derive(Debug, PartialEq)]
enum Points {
    /// A curve with one point for each step, as training makes it: steps in ascending ranges.
    Curve(Vec<RangeInclusive<i64>>),
    /// Single figures, or several points for a step: the last one.
    Last { step: i64, value: u64 },
}

impl Logged {
    /// Reads the history of these metrics of a run.
    pub(crate) fn read<'a>(store: &dyn Store, run_id: &str, keys: impl Iterator<Item = &'a String>) -> Result<Self> {
        let mut logged = HashMap::new();
        for key in keys {
            if let Some(points) = Points::of(&store.metric_history(run_id, key)?) {
                logged.insert(key.clone(), points);
            }
        }
        Ok(Self(logged))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the run has this point already, under a key that the store takes. On a curve any point of a step that it has: the step is not doubled, also
    /// where the value is another one (on a GPU).
    pub(crate) fn has(&self, key: &str, metric: &Metric) -> bool {
        match self.0.get(key) {
            None => false,
            Some(Points::Curve(ranges)) => {
                let at = ranges.partition_point(|range| *range.end() < metric.step);
                ranges.get(at).is_some_and(|range| range.contains(&metric.step))
            }
            Some(Points::Last { step, value }) => (*step, *value) == (metric.step, metric.value.to_bits()),
        }
    }
}

impl Points {
    /// Of a history in order of steps; none of an empty one.
    fn of(history: &[Metric]) -> Option<Self> {
        let last = history.last()?;
        let is_curve = history.len() > 1 && history.windows(2).all(|pair| pair[0].step < pair[1].step);
        if !is_curve {
            return Some(Self::Last { step: last.step, value: last.value.to_bits() });
        }
        let mut ranges: Vec<RangeInclusive<i64>> = Vec::new();
        for point in history {
            match ranges.last_mut() {
                Some(range) if range.end().checked_add(1) == Some(point.step) => *range = *range.start()..=point.step,
                _ => ranges.push(point.step..=point.step),
            }
        }
        Some(Self::Curve(ranges))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(steps: &[i64]) -> Vec<Metric> {
        let point = |&step: &i64| Metric { key: "m".into(), value: step as f64, timestamp_ms: 0, step };
        steps.iter().map(point).collect()
    }

    fn has(history: &[i64], step: i64, value: f64) -> bool {
        let logged = Logged(Points::of(&points(history)).map(|points| ("m".to_owned(), points)).into_iter().collect());
        logged.has("m", &Metric { key: "m".into(), value, timestamp_ms: 9, step })
    }

    #[test]
    fn a_curve_keeps_one_point_for_each_step() {
        let history = [-3, 0, 1, 2, 5, 6, i64::MAX];
        for step in history {
            assert!(has(&history, step, 0.25), "{step}");
        }
        for step in [i64::MIN, -4, -1, 3, 4, 7, i64::MAX - 1] {
            assert!(!has(&history, step, 0.25), "{step}");
        }
        assert_eq!(Points::of(&points(&[0, 1, 2, 5])), Some(Points::Curve(vec![0..=2, 5..=5])));
    }

    #[test]
    fn single_figures_are_repeated_only_when_they_differ() {
        assert!(has(&[4], 4, 4.0) && !has(&[4], 4, 5.0) && !has(&[4], 5, 4.0));
        assert!(has(&[4, 4], 4, 4.0) && !has(&[4, 4], 4, 0.5));
        assert!(!has(&[], 0, 0.0));
    }
}
