//! Forecasts judged: every test window of the model's own run, or every window of a file.

use std::collections::BTreeMap;

use anyhow::Result;
use burn::tensor::Device;
use dataset::{Frequency, SeriesDataConfig, SeriesEncoder, SeriesSource, SeriesSplits, Window};
use evaluation::{Difference, Interval, bootstrap_intervals, paired_difference};
use modeling::Forecaster;
use serde::Serialize;
use training::TrainingConfig;
use training::metrics::{FORECAST_METRICS, ForecastErrors};

use super::config::{Config, IntervalsConfig};
use super::figures::Figure;
use super::table_rows::run_config;
use crate::bundle::TrainedModel;
use crate::config;
use crate::exit::Mistake;
use crate::forecast::intervals::Intervals;
use crate::forecast::job::{ForecastJob, Networks};
use crate::forecast::outputs::ForecastNet;
use crate::forecast::predictions::{PredictionsConfig, TestScores, score_test};
use crate::forecast::scoring::{Forecast, channel_of, for_each_forecast, no_errors};
use crate::model_place::ModelPlace;
use crate::program::ProgramConfig;
use crate::recipes::ts_mlp;
use crate::session::Session;

/// With fewer blocks an interval would say more about chance than about the model.
const FEWEST_BLOCKS: usize = 10;
const DAY_SECONDS: i64 = 86_400;
const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// A forecaster with the windows that it is judged on.
pub struct WindowSubject {
    /// Shape, intervals.
    pub net: ForecastNet,
    /// The networks.
    pub models: Vec<Forecaster>,
    /// The windows; `test` are those that are judged.
    pub splits: SeriesSplits,
}

/// Reads the model and the series.
pub fn open(config: &Config, place: &ModelPlace, session: &Session) -> Result<WindowSubject> {
    let model = TrainedModel::<ForecastNet>::read(&place.folder)?;
    let known_digest = model.dataset_digest().map(str::to_owned);
    let encoder = SeriesEncoder::from_json(&model.preprocessor)?;
    let splits = match &config.data {
        Some(path) => {
            let data = SeriesDataConfig { path: Some(path.clone()), ..encoder.file_settings() };
            let mut splits = SeriesSource::open_for(&data, &encoder.windows(), &encoder)?.splits()?;
            // The model has seen none of them.
            let parts = [&splits.train, &splits.valid, &splits.test].map(Clone::clone);
            splits.test = parts.concat();
            splits.test.sort_unstable();
            splits
        }
        None => own_splits(place, known_digest.as_deref(), &encoder, config, session)?,
    };
    let device = Device::flex();
    let net = model.net;
    let load = |file| crate::forecast::job::load(&net.model, &net.shape, file, &device);
    let models = model.weights.iter().map(|file| load(file)).collect::<Result<Vec<_>>>()?;
    Ok(WindowSubject { net, models, splits })
}

fn own_splits(
    place: &ModelPlace,
    known_digest: Option<&str>,
    encoder: &SeriesEncoder,
    config: &Config,
    session: &Session,
) -> Result<SeriesSplits> {
    let file = run_config(place, (&config.mlflow, &config.paths))?;
    let of_run = config::load_again::<ts_mlp::Config>(&file, &[], ProgramConfig::check)?.config;
    let data = ts_mlp::found_data(&of_run, session)?;
    let splits = SeriesSource::open_for(&data, &of_run.windows, encoder)?.splits()?;
    if known_digest.is_some_and(|known| known != splits.info.digest) {
        let problem =
            "the data, or its split, is not what the model was trained with, so its test windows are not known";
        return Err(Mistake::new(problem).hint("give rows that it has not seen with `--data FILE`").into());
    }
    Ok(splits)
}

impl WindowSubject {
    /// Another model with the same windows. An error if it does not see what this one sees.
    pub fn same_windows(&self, model: TrainedModel<ForecastNet>) -> Result<Self> {
        let encoder = SeriesEncoder::from_json(&model.preprocessor)?;
        if encoder != self.splits.encoder {
            let problem = "the model sees the series in another way (columns, scaling, calendar, look-back or horizon)";
            return Err(Mistake::new(problem).hint("evaluate it by itself, and compare the two runs").into());
        }
        let device = Device::flex();
        let net = model.net;
        let load = |file| crate::forecast::job::load(&net.model, &net.shape, file, &device);
        let models = model.weights.iter().map(|file| load(file)).collect::<Result<Vec<_>>>()?;
        Ok(Self { net, models, splits: self.splits.clone() })
    }

    /// Forecasts every judged window once; writes the forecasts.
    pub fn score(&self, session: &Session) -> Result<TestScores> {
        let device = Device::flex();
        let training = TrainingConfig::default();
        let job = ForecastJob::new(&self.net.model, &training, &self.splits, &device)?;
        score_test(&job, &self.models, self.net.intervals.as_ref(), &PredictionsConfig::default(), session)
    }

    /// Forecasts every judged window: errors by block and by what the forecast steps have in common.
    pub fn tally(&self) -> Result<(Blocks, Breakdown)> {
        let device = Device::flex();
        let (net, splits) = (&self.net, &self.splits);
        let mut networks = Networks::of(&net.model, &net.shape, &self.models, &device);
        let (mut blocks, mut slots) = (Blocks::new(splits, &net.model.quantiles), Slots::new(splits));
        let visit = |window: Window, forecast: &Forecast| {
            blocks.add(splits, window, forecast, net.intervals.as_ref());
            slots.add(splits, window, forecast);
            Ok(())
        };
        for_each_forecast(splits, &splits.test, &net.model.quantiles, |batch| Ok(networks.predict(batch)), visit)?;
        Ok((blocks, slots.breakdown(splits)))
    }

    /// The metrics with intervals of a block bootstrap.
    pub fn figures(&self, scores: &TestScores, blocks: &Blocks, settings: &IntervalsConfig, seed: u64) -> Vec<Figure> {
        let values = &scores.scores.metrics.values;
        let intervals = if blocks.sums.len() < FEWEST_BLOCKS {
            vec![Interval { low: f64::NAN, high: f64::NAN }; values.len()]
        } else {
            let draw = |chosen: &[u32]| blocks.total(chosen).values().into_iter().map(|(_, x)| x).collect();
            bootstrap_intervals(blocks.sums.len(), settings.samples, seed, settings.level, draw)
        };
        let figure =
            |(&(name, value), interval): (&(&str, f64), Interval)| Figure { name: name.to_owned(), value, interval };
        values.iter().zip(intervals).map(figure).collect()
    }
}

/// Errors by block: windows of one series that follow each other, as many as the horizon has steps. Windows that overlap go
/// together, so that blocks are nearly independent.
pub struct Blocks {
    /// Of all channels, with nothing in it.
    empty: ForecastErrors,
    /// First channel of the block's series, and its sums.
    sums: Vec<(usize, ForecastErrors)>,
    /// Where the last block begins.
    first: Option<Window>,
}

impl Blocks {
    fn new(splits: &SeriesSplits, levels: &[f64]) -> Self {
        Self { empty: no_errors(splits, levels), sums: Vec::new(), first: None }
    }

    fn add(&mut self, splits: &SeriesSplits, window: Window, forecast: &Forecast, intervals: Option<&Intervals>) {
        let shape = splits.shape();
        let belongs =
            |first: Window| first.series == window.series && ((window.origin - first.origin) as usize) < shape.horizon;
        if !self.first.is_some_and(belongs) {
            let channel = channel_of(splits, window, 0);
            self.sums.push((channel, self.empty.only(channel..channel + shape.n_targets)));
            self.first = Some(window);
        }
        let Some((_, sums)) = self.sums.last_mut() else { return };
        sums.add(forecast.target, forecast.actual, forecast.point(), forecast.quantiles());
        if let Some(intervals) = intervals {
            let (lower, upper) = intervals.bounds(forecast);
            sums.add_interval(forecast.target, forecast.actual, &lower, &upper, intervals.coverage);
        }
    }

    fn total(&self, chosen: &[u32]) -> ForecastErrors {
        let mut total = self.empty.clone();
        for &block in chosen {
            let (first, sums) = &self.sums[block as usize];
            total.merge_at(*first, sums);
        }
        total
    }

    /// The metric less that of another forecaster on the same windows, with the middle `level` of the draws; `None` if there
    /// are too few blocks, or others.
    pub fn difference(
        &self,
        other: &Self,
        metric: &str,
        level: f64,
        (samples, seed): (usize, u64),
    ) -> Option<Difference> {
        let compute = |chosen: &[u32]| self.total(chosen).value(metric) - other.total(chosen).value(metric);
        let n_blocks = self.sums.len();
        let is_fit = n_blocks >= FEWEST_BLOCKS && n_blocks == other.sums.len();
        is_fit.then(|| paired_difference(n_blocks, samples, seed, level, compute))
    }
}

/// Errors over the forecast steps that share something.
#[derive(Debug, Clone, Serialize)]
pub struct SlotScore {
    /// `step 3`, a series, `08:00`, `Monday`.
    pub slot: String,
    /// Forecast values.
    pub n: usize,
    /// Mean absolute error; of several targets on the standardised scale.
    pub mae: f64,
    /// Root mean squared error, the same way.
    pub rmse: f64,
    /// Mean of predicted minus actual, the same way.
    pub bias: f64,
}

#[derive(Default, Clone, Copy)]
struct Slot {
    n: usize,
    absolute: f64,
    squared: f64,
    error: f64,
}

impl Slot {
    fn add(&mut self, error: f64) {
        self.n += 1;
        self.absolute += error.abs();
        self.squared += error * error;
        self.error += error;
    }

    fn score(&self, slot: String) -> SlotScore {
        let n = self.n as f64;
        SlotScore { slot, n: self.n, mae: self.absolute / n, rmse: (self.squared / n).sqrt(), bias: self.error / n }
    }
}

/// Errors by what the forecast steps have in common.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Breakdown {
    /// By step of the horizon.
    pub by_step: Vec<SlotScore>,
    /// By series (and target).
    pub by_series: Vec<SlotScore>,
    /// By hour of the day; empty for data that has no hours.
    pub by_hour: Vec<SlotScore>,
    /// By day of the week; empty for data of weeks or longer.
    pub by_weekday: Vec<SlotScore>,
}

/// [`Breakdown`] in the making.
struct Slots {
    by_step: Vec<Slot>,
    by_channel: Vec<Slot>,
    by_hour: BTreeMap<i64, Slot>,
    by_weekday: BTreeMap<i64, Slot>,
}

impl Slots {
    fn new(splits: &SeriesSplits) -> Self {
        let shape = splits.shape();
        Self {
            by_step: vec![Slot::default(); shape.horizon],
            by_channel: vec![Slot::default(); shape.n_series * shape.n_targets],
            by_hour: BTreeMap::new(),
            by_weekday: BTreeMap::new(),
        }
    }

    fn add(&mut self, splits: &SeriesSplits, window: Window, forecast: &Forecast) {
        let unit = if splits.shape().n_targets > 1 { forecast.scale.factor } else { 1.0 };
        let channel = channel_of(splits, window, forecast.target);
        let steps = forecast.actual.iter().zip(forecast.point()).zip(splits.times(window)).enumerate();
        for (step, ((actual, point), time)) in steps.filter(|(_, ((actual, _), _))| actual.is_finite()) {
            let error = (point - actual) / unit;
            self.by_step[step].add(error);
            self.by_channel[channel].add(error);
            self.by_hour.entry(time.rem_euclid(DAY_SECONDS) / 3600).or_default().add(error);
            // 1970-01-01 was a Thursday.
            self.by_weekday.entry((time.div_euclid(DAY_SECONDS) + 3).rem_euclid(7)).or_default().add(error);
        }
    }

    fn breakdown(&self, splits: &SeriesSplits) -> Breakdown {
        let shape = splits.shape();
        let steps = self.by_step.iter().enumerate().map(|(step, slot)| slot.score((step + 1).to_string()));
        let channels = self.by_channel.iter().enumerate().filter(|(_, slot)| slot.n > 0);
        let name = |channel: usize| {
            let series = splits.series_name(channel / shape.n_targets);
            let target = &splits.target_names()[channel % shape.n_targets];
            match (shape.n_series, shape.n_targets) {
                (1, _) => target.clone(),
                (_, 1) => series.to_owned(),
                _ => format!("{series}, {target}"),
            }
        };
        let hours = self.by_hour.iter().map(|(hour, slot)| slot.score(format!("{hour:02}:00")));
        let weekdays = self.by_weekday.iter().map(|(day, slot)| slot.score(WEEKDAYS[*day as usize].to_owned()));
        // Daily data has one hour, monthly data no weekday of its own.
        let has_hours = self.by_hour.len() > 1;
        let has_weekdays = self.by_weekday.len() > 1
            && matches!(splits.encoder.frequency(), Frequency::Seconds(step) if step <= DAY_SECONDS);
        Breakdown {
            by_step: steps.collect(),
            by_series: channels.map(|(channel, slot)| slot.score(name(channel))).collect(),
            by_hour: if has_hours { hours.collect() } else { Vec::new() },
            by_weekday: if has_weekdays { weekdays.collect() } else { Vec::new() },
        }
    }
}

/// Which way a metric of forecasts is better; `None` for one that has no better side, or no such name.
pub fn direction_of(metric: &str) -> Option<training::metrics::Direction> {
    FORECAST_METRICS.iter().find(|known| known.name == metric)?.direction
}
