//! Forecasts that need no network, to see the network beside.

use anyhow::{Result, bail};
use dataset::{SeriesBatch, SeriesSplits, Window};
use modeling::forecast_baselines::{CalendarProfile, LeastSquares, repeat_last, seasonal_naive};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::baselines::{ModelScores, fit_baselines};
use crate::forecast::scoring::score;
use crate::outputs::log_input;
use crate::session::Session;

/// A name of the list `baselines:`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BaselineKind {
    /// The last value, for every step.
    RepeatLast,
    /// The value one season before (`features.season_steps`).
    SeasonalNaive,
    /// The mean of the train rows at the same place in the calendar: weekday and hour, weekday, or month.
    CalendarProfile,
    /// One linear map from look-back to horizon for all targets, on values minus the last one, in closed form.
    LeastSquares,
}

impl BaselineKind {
    /// All, in the order in which they are shown.
    pub const ALL: [Self; 4] = [Self::RepeatLast, Self::SeasonalNaive, Self::CalendarProfile, Self::LeastSquares];

    fn name(self) -> &'static str {
        match self {
            Self::RepeatLast => "repeat_last",
            Self::SeasonalNaive => "seasonal_naive",
            Self::CalendarProfile => "calendar_profile",
            Self::LeastSquares => "least_squares",
        }
    }
}

/// Fits the baselines on the train windows and scores them on all valid and test windows.
pub fn fit_simple(kinds: &[BaselineKind], splits: &SeriesSplits, session: &Session) -> Result<Vec<ModelScores>> {
    let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
    fit_baselines(&names, session, |name, nested| {
        let Some(kind) = kinds.iter().find(|kind| kind.name() == name) else { bail!("no baseline `{name}`") };
        log_input(&nested.run, &splits.info);
        let baseline = Baseline::fit(*kind, splits)?;
        nested.write_text("model/baseline.json", &baseline.to_json()?)?;
        let mut metrics = Vec::new();
        for (prefix, windows) in [("val", &splits.valid), ("test", &splits.test)] {
            let scores = score(splits, windows, &[], baseline.predictor(splits, windows))?;
            metrics.extend(scores.metrics.named_without_loss(prefix));
        }
        Ok(metrics)
    })
}

/// A fitted baseline.
#[derive(Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Baseline {
    /// See [`BaselineKind`].
    RepeatLast,
    /// See [`BaselineKind`].
    SeasonalNaive {
        /// Steps of a season.
        season_steps: usize,
    },
    /// See [`BaselineKind`].
    CalendarProfile {
        /// Of each target of each series.
        profiles: Vec<CalendarProfile>,
    },
    /// See [`BaselineKind`].
    LeastSquares {
        /// The map.
        model: LeastSquares,
    },
}

impl Baseline {
    /// Fits it on the train part.
    pub fn fit(kind: BaselineKind, splits: &SeriesSplits) -> Result<Self> {
        let shape = splits.shape();
        Ok(match kind {
            BaselineKind::RepeatLast => Self::RepeatLast,
            BaselineKind::SeasonalNaive => Self::SeasonalNaive { season_steps: splits.season_steps() },
            BaselineKind::CalendarProfile => {
                let channels = (0..shape.n_series).flat_map(|series| (0..shape.n_targets).map(move |t| (series, t)));
                let profiles = channels.map(|(series, target)| {
                    profile_of(splits, series, target)
                });
                Self::CalendarProfile { profiles: profiles.collect() }
            }
            BaselineKind::LeastSquares => Self::LeastSquares { model: least_squares(splits)? },
        })
    }

    fn to_json(&self) -> Result<String> {
        Ok(serde_json::to_string(self)?)
    }

    /// Scaled forecasts `[batch * targets, horizon]` for the windows in their order, batch after batch.
    pub fn predictor<'a>(
        &'a self,
        splits: &'a SeriesSplits,
        windows: &'a [Window],
    ) -> impl FnMut(&mut SeriesBatch) -> Result<Vec<f32>> + 'a {
        let shape = splits.shape();
        let (lookback, horizon, n_targets) = (shape.lookback, shape.horizon, shape.n_targets);
        let mut done = 0;
        move |batch| {
            let (pasts, n_windows) = (batch.past.chunks(lookback), batch.past.len() / (lookback * n_targets));
            let forecasts = match self {
                Self::RepeatLast => pasts.flat_map(|past| repeat_last(past, horizon)).collect(),
                Self::SeasonalNaive { season_steps } => {
                    pasts.flat_map(|past| seasonal_naive(past, *season_steps, horizon)).collect()
                }
                Self::CalendarProfile { profiles } => {
                    let here = &windows[done..done + n_windows];
                    let of_window = |window: &Window| {
                        let slots = splits.profile(*window);
                        let channels = window.series as usize * n_targets..(window.series as usize + 1) * n_targets;
                        profiles[channels].iter().flat_map(|profile| profile.predict(slots)).collect::<Vec<f32>>()
                    };
                    here.iter().flat_map(of_window).collect()
                }
                Self::LeastSquares { model } => model.predict(&batch.past),
            };
            done += n_windows;
            Ok(forecasts)
        }
    }
}

/// The mean of each slot of the calendar over the train steps, scaled.
fn profile_of(splits: &SeriesSplits, series: usize, target: usize) -> CalendarProfile {
    let ((slots, train), scale) = (splits.profile_of_series(series), splits.scale(series, target));
    let values = splits.values(series, target)[train.clone()].iter().map(|&value| scale.apply(value) as f32);
    let pairs = slots[train].iter().copied().zip(values).filter(|(_, value)| value.is_finite());
    CalendarProfile::fit(splits.n_profile_slots(), pairs)
}

fn least_squares(splits: &SeriesSplits) -> Result<LeastSquares> {
    const CHUNK: usize = 256;
    let shape = splits.shape();
    let mut sums = LeastSquares::sums(shape.lookback, shape.horizon);
    for windows in splits.train.chunks(CHUNK) {
        let batch = splits.batch(windows);
        sums.add(&batch.past, &batch.target);
    }
    Ok(sums.solve()?)
}
