//! Forecasts that need no network, to see the network beside.

use anyhow::{Context, Result, bail};
use dataset::{SeriesBatch, SeriesSplits, Window};
use modeling::forecast_baselines::{CalendarProfile, LeastSquares, LeastSquaresFit, repeat_last, seasonal_naive};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use training::metrics::ForecastErrors;

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

    /// The name used in a run file.
    pub fn name(self) -> &'static str {
        match self {
            Self::RepeatLast => "repeat_last",
            Self::SeasonalNaive => "seasonal_naive",
            Self::CalendarProfile => "calendar_profile",
            Self::LeastSquares => "least_squares",
        }
    }
}

/// The wrong key and the reason, if a baseline is listed twice.
pub fn check(kinds: &[BaselineKind]) -> Result<(), (String, String)> {
    match (1..kinds.len()).find(|&place| kinds[..place].contains(&kinds[place])) {
        None => Ok(()),
        Some(place) => Err(("baselines".to_owned(), format!("`{}` is listed twice", kinds[place].name()))),
    }
}

/// A baseline's scores, and its errors by step of the horizon for the picture of them.
pub type SimpleScores = (ModelScores, Vec<Option<f64>>);

/// Fits the baselines on the train windows and scores them on all valid and test windows. `shown`: the metric that is kept by
/// step.
pub fn fit_simple(
    kinds: &[BaselineKind],
    splits: &SeriesSplits,
    shown: &str,
    session: &Session,
) -> Result<Vec<SimpleScores>> {
    let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
    fit_baselines(&names, shown, session, |name, nested| {
        let Some(kind) = kinds.iter().find(|kind| kind.name() == name) else { bail!("no baseline `{name}`") };
        log_input(&nested.run, &splits.info, "training");
        let baseline = Baseline::fit(*kind, splits).with_context(|| format!("baseline `{name}`"))?;
        nested.write_text("model/baseline.json", &serde_json::to_string(&baseline)?)?;
        let (mut metrics, mut by_step) = (Vec::new(), Vec::new());
        for (prefix, windows) in [("val", &splits.valid), ("test", &splits.test)] {
            let scores = score(splits, windows, &[], baseline.predictor(splits, windows))?;
            metrics.extend(scores.metrics.named_without_loss(prefix));
            by_step = step_errors(&scores.errors, shown);
        }
        Ok((metrics, by_step))
    })
}

/// One metric for each step; what is not a number is `None`: JSON has no NaN.
pub fn step_errors(errors: &ForecastErrors, metric: &str) -> Vec<Option<f64>> {
    let of_metric = errors.by_step().into_iter().find(|(name, _)| *name == metric);
    let values = of_metric.map(|(_, values)| values).unwrap_or_default();
    values.into_iter().map(|value| Some(value).filter(|value| value.is_finite())).collect()
}

/// A fitted baseline.
#[derive(Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
enum Baseline {
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
    fn fit(kind: BaselineKind, splits: &SeriesSplits) -> Result<Self> {
        let shape = splits.shape();
        Ok(match kind {
            BaselineKind::RepeatLast => Self::RepeatLast,
            BaselineKind::SeasonalNaive => Self::SeasonalNaive { season_steps: splits.season_steps() },
            BaselineKind::CalendarProfile => {
                let channels = (0..shape.n_series).flat_map(|series| (0..shape.n_targets).map(move |t| (series, t)));
                let profiles = channels.map(|(series, target)| profile_of(splits, series, target));
                Self::CalendarProfile { profiles: profiles.collect::<Result<_>>()? }
            }
            BaselineKind::LeastSquares => Self::LeastSquares { model: least_squares(splits)? },
        })
    }

    /// Scaled forecasts `[batch * targets, horizon]` for the windows in their order, batch after batch.
    fn predictor<'a>(
        &'a self,
        splits: &'a SeriesSplits,
        windows: &'a [Window],
    ) -> impl FnMut(&mut SeriesBatch) -> Result<Vec<f32>> + 'a {
        let shape = splits.shape();
        let (lookback, horizon, n_targets) = (shape.lookback, shape.horizon, shape.n_targets);
        let mut done = 0;
        move |batch| {
            let (pasts, n_windows) = (batch.past.chunks(lookback), batch.past.len() / (lookback * n_targets));
            let here = &windows[done..done + n_windows];
            done += n_windows;
            Ok(match self {
                Self::RepeatLast => pasts.filter_map(|past| repeat_last(past, horizon)).flatten().collect(),
                Self::SeasonalNaive { season_steps } => here
                    .iter()
                    .flat_map(|window| {
                        (0..n_targets).map(move |target| last_season(splits, *window, target, *season_steps))
                    })
                    .filter_map(|season| seasonal_naive(&season, *season_steps, horizon))
                    .flatten()
                    .collect(),
                Self::CalendarProfile { profiles } => {
                    let of_window = |window: &Window| {
                        let slots = splits.profile(*window);
                        let channels = window.series as usize * n_targets..(window.series as usize + 1) * n_targets;
                        profiles[channels].iter().flat_map(|profile| profile.forecast(slots)).collect::<Vec<f32>>()
                    };
                    here.iter().flat_map(of_window).collect()
                }
                Self::LeastSquares { model } => model.forecast(&batch.past)?,
            })
        }
    }
}

/// The season before a window, scaled, `[season]`: also where it is longer than the look-back. A missing value is that of a
/// season earlier, or the last one known.
fn last_season(splits: &SeriesSplits, window: Window, target: usize, season: usize) -> Vec<f32> {
    let (series, origin) = (window.series as usize, window.origin as usize);
    let (values, scale) = (&splits.values(series, target)[..origin], splits.scale(series, target));
    let last = values.iter().rev().find(|value| value.is_finite()).copied().unwrap_or(scale.offset);
    let at = |place: usize| {
        let mut earlier = (1..).map_while(|seasons| (origin + place).checked_sub(seasons * season));
        earlier.find_map(|step| values.get(step).copied().filter(|value| value.is_finite())).unwrap_or(last)
    };
    (0..season).map(|place| scale.apply(at(place)) as f32).collect()
}

/// The mean of each slot of the calendar over the train steps, scaled.
fn profile_of(splits: &SeriesSplits, series: usize, target: usize) -> Result<CalendarProfile> {
    let ((slots, train), scale) = (splits.profile_of_series(series), splits.scale(series, target));
    let values = splits.values(series, target)[train.clone()].iter().map(|&value| scale.apply(value) as f32);
    let mut profile = CalendarProfile::new(splits.n_profile_slots());
    profile.add(&slots[train], &values.collect::<Vec<f32>>())?;
    Ok(profile)
}

fn least_squares(splits: &SeriesSplits) -> Result<LeastSquares> {
    const CHUNK: usize = 256;
    let shape = splits.shape();
    let mut sums = LeastSquaresFit::new(shape.lookback, shape.horizon);
    for windows in splits.train.chunks(CHUNK) {
        let batch = splits.batch(windows);
        sums.add(&batch.past, &batch.target)?;
    }
    Ok(sums.solve(0.0)?)
}
