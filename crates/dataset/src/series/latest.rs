//! The last window of every series in a file: what a stored model forecasts from.

use super::config::SeriesDataConfig;
use super::encoder::SeriesEncoder;
use super::error::{SeriesError, of_series};
use super::features::WindowsConfig;
use super::layout::{Layout, Place};
use super::raw::{NO_ROW, NO_TEXT, Raw, RawSeries, clean};
use super::roles::Covariate;
use super::scaling::{Scale, Scales, fit};
use super::source::read_series;
use super::store::{SeriesBatch, SeriesShape, Store, Window};
use super::windows::Holes;
use crate::datetime::DAY_SECONDS;
use crate::error::listed;
use crate::{Result, format_time};

/// What a model is to forecast.
#[derive(Clone, Debug)]
pub struct Latest {
    /// One window for each series, in the order of `series`; without targets.
    pub batch: SeriesBatch,
    /// The series of the windows.
    pub series: Vec<LatestSeries>,
    /// Sizes of the arrays.
    pub shape: SeriesShape,
    /// What a user should look at, though it is no error.
    pub warnings: Vec<String>,
}

/// One series and what is to be forecast of it.
#[derive(Clone, Debug)]
pub struct LatestSeries {
    /// Its name; the data set's where the file has one series only.
    pub name: String,
    /// Epoch seconds of the steps to forecast, `[horizon]`.
    pub times: Vec<i64>,
    /// Epoch seconds of the steps that the model sees, `[lookback]`.
    pub past_times: Vec<i64>,
    /// The values of each target that the model sees, in original units, `[lookback]` each.
    pub past: Vec<Vec<f64>>,
    /// How each target is scaled.
    pub scales: Vec<Scale>,
}

impl SeriesEncoder {
    /// Reads a file and takes the last window of each series: its origin is the step after the last one with a target.
    /// Of `data`, only the settings of the file itself count (`path`, `delimiter`, `null_values` and the like). What
    /// the model needs to know of the horizon beside the calendar comes from rows after the origin, whose targets are
    /// empty. A series that cannot be forecast is told in `warnings`; it is an error if none can.
    pub fn latest(&self, data: &SeriesDataConfig) -> Result<Latest> {
        let data = &self.data.with_file_of(data);
        let table = read_series(data)?;
        let roles = self.roles(&table, data)?;
        let raw = clean(&table, data, &self.features, &roles, Some(self.frequency), self.windows.horizon)?;
        self.check_zone(raw.zone)?;
        let layout = Layout::new(self);
        let (mut windows, mut warnings, mut first) = (Vec::new(), Vec::new(), None);
        for (number, series) in raw.series.iter().enumerate() {
            match self.forecastable(series, &layout, table.origin()) {
                Ok(()) => windows.push(Window { series: number as u32, origin: series.n_known as u32 }),
                Err(error) => {
                    warnings.push(error.to_string());
                    first.get_or_insert(error);
                }
            }
        }
        if let Some(error) = first.filter(|_| windows.is_empty()) {
            return Err(error);
        }
        warnings.extend(self.unknown_holidays(&raw));
        warnings.extend(self.unknown_texts(&raw, &windows));
        let scales = self.latest_scales(&raw, &windows, &mut warnings);
        let store = Store::new(&raw, self, scales);
        let name = data.display_name();
        let series = windows.iter().map(|&window| latest_series(&store, window, &name)).collect();
        let shape = SeriesShape { n_series: windows.len(), ..store.shape };
        Ok(Latest { batch: store.inputs(&windows), series, shape, warnings })
    }

    /// Whether the window after the last known step has all that the model needs.
    fn forecastable(&self, series: &RawSeries, layout: &Layout, file: &str) -> Result<()> {
        let (origin, horizon) = (series.n_known, self.windows.horizon);
        let time = |step: usize| format_time(series.time(self.frequency, step));
        for channel in &layout.future {
            let Place::Stored(stored) = channel.place else { continue };
            let is_missing = |step: usize| match series.numbers.get(stored) {
                Some(values) => values[step].is_nan(),
                None => layout
                    .one_hot
                    .get(stored - layout.n_numbers)
                    .is_some_and(|(column, _)| [NO_ROW, NO_TEXT].contains(&series.texts[*column][step])),
            };
            if let Some(step) = (origin..origin + horizon).find(|&step| is_missing(step)) {
                return Err(SeriesError::FutureMissing {
                    file: file.to_string(),
                    of_series: of_series(&series.name),
                    column: column_of(self, stored, layout),
                    origin: time(origin),
                    horizon,
                    missing: time(step),
                }
                .into());
            }
        }
        let holes = Holes::new(series, layout, self);
        if holes.has_inputs(origin) {
            return Ok(());
        }
        let needed = self.windows.lookback + self.reach();
        let reason = match origin < needed {
            true => format!("the file has {origin} steps before it, and the model needs {needed}"),
            false => format!(
                "a value is missing in the {needed} steps before it, which the model needs; fill it in the file"
            ),
        };
        let (file, of_series) = (file.to_string(), of_series(&series.name));
        Err(SeriesError::NoForecast { file, of_series, origin: time(origin), reason }.into())
    }

    /// The model's scales; a series that it does not know is scaled by its own known steps.
    fn latest_scales(&self, raw: &Raw, windows: &[Window], warnings: &mut Vec<String>) -> Vec<Vec<Scale>> {
        let numbers = windows.iter().map(|window| window.series as usize);
        let unknown: Vec<usize> =
            numbers.filter(|&number| self.scales.of(&raw.series[number].name).is_none()).collect();
        let mut own = Scales::default();
        if !unknown.is_empty() {
            let known: Vec<_> = raw.series.iter().map(|series| 0..series.n_known).collect();
            own = fit(raw, &known, &self.features, self.data.targets.len()).scales;
            let names = listed(unknown.iter().map(|&number| raw.series[number].name.as_str()));
            warnings.push(format!("not in the training of the model, so scaled by their own steps: {names}"));
        }
        let none = || vec![Scale::NONE; raw.number_names.len()];
        let scales = raw.series.iter().map(|series| self.scales.of(&series.name).or(own.of(&series.name)));
        scales.map(|scales| scales.map_or_else(none, <[Scale]>::to_vec)).collect()
    }

    /// A warning for each text column with a text in the windows that is none of its levels.
    fn unknown_texts(&self, raw: &Raw, windows: &[Window]) -> Vec<String> {
        let WindowsConfig { lookback, horizon, .. } = self.windows;
        let covariates = self.covariates.iter().filter_map(|covariate| Some((covariate, covariate.levels.as_ref()?)));
        let warning = |(column, (covariate, levels)): (usize, (&Covariate, &Vec<String>))| {
            let seen = windows.iter().flat_map(|window| {
                let origin = window.origin as usize;
                let end = if covariate.is_future { origin + horizon } else { origin };
                &raw.series[window.series as usize].texts[column][origin - lookback..end]
            });
            let unknown = seen.filter_map(|&place| raw.texts[column].get(place as usize));
            let unknown: Vec<&String> = unknown.filter(|text| !levels.contains(text)).collect();
            let first = unknown.first().filter(|_| !levels.is_empty())?;
            let (name, n) = (&covariate.name, unknown.len());
            Some(format!(
                "`{name}` is `{first}` or the like in {n} steps: none of the texts that the model has learned"
            ))
        };
        covariates.enumerate().filter_map(warning).collect()
    }

    /// A warning where the horizon has days of which the file does not say whether they are holidays.
    fn unknown_holidays(&self, raw: &Raw) -> Option<String> {
        let column = self.data.holiday.as_ref()?;
        let first_unknown = |series: &RawSeries| {
            let day = |step: usize| series.time(raw.frequency, step).div_euclid(DAY_SECONDS);
            let last = series.n_known + self.windows.horizon - 1;
            let unknown = day(series.n_given.max(1) - 1) + 1;
            (unknown <= day(last)).then_some(unknown * DAY_SECONDS)
        };
        let from = format_time(raw.series.iter().filter_map(first_unknown).min()?);
        Some(format!("`{column}` is not known from {from} on; these days are taken for no holidays"))
    }
}

/// The column that a stored channel comes from.
fn column_of(encoder: &SeriesEncoder, stored: usize, layout: &Layout) -> String {
    let texts = || encoder.covariates.iter().filter(|covariate| covariate.is_text());
    match stored.checked_sub(layout.n_numbers) {
        None => encoder.number_names()[stored].clone(),
        Some(i) => texts().nth(layout.one_hot[i].0).map(|covariate| covariate.name.clone()).unwrap_or_default(),
    }
}

fn latest_series(store: &Store, window: Window, name: &str) -> LatestSeries {
    let (number, origin) = (window.series as usize, window.origin as usize);
    let SeriesShape { n_targets, lookback, horizon, .. } = store.shape;
    let series = &store.series[number];
    LatestSeries {
        name: if series.name.is_empty() { name.to_string() } else { series.name.clone() },
        times: store.times(number, origin, origin + horizon),
        past_times: store.times(number, origin - lookback, origin),
        past: series.actual.iter().map(|values| values[origin - lookback..origin].to_vec()).collect(),
        scales: series.scales[..n_targets].to_vec(),
    }
}
