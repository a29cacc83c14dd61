//! Forecasts as a table: a row is one step of one target of one window.

use std::iter::repeat_n;

use dataset::OutputColumn;

use crate::forecast::scoring::Forecast;

/// Where a forecast belongs.
pub struct Place<'a> {
    /// Name of its series.
    pub series: &'a str,
    /// Name of its target.
    pub target: &'a str,
    /// Epoch seconds of its steps, `[horizon]`.
    pub times: &'a [i64],
}

/// Columns in the making: `series`, `target`, `window`, `step`, `time`, `y_test`, `y_pred`, `y_lower`, `y_upper`, `y_q0.1`, ..;
/// those that say nothing are left out.
pub struct ForecastTable {
    series: Option<Vec<String>>,
    target: Option<Vec<String>>,
    window: Vec<i64>,
    step: Vec<i64>,
    time: Vec<i64>,
    actual: Vec<f64>,
    predicted: Vec<f64>,
    bounds: [Vec<f64>; 2],
    levels: Vec<f64>,
    quantiles: Vec<Vec<f64>>,
}

impl ForecastTable {
    /// Without rows. `is_grouped`: the data names its series; `levels`: quantiles.
    pub fn new(is_grouped: bool, n_targets: usize, levels: &[f64]) -> Self {
        Self {
            series: is_grouped.then(Vec::new),
            target: (n_targets > 1).then(Vec::new),
            window: Vec::new(),
            step: Vec::new(),
            time: Vec::new(),
            actual: Vec::new(),
            predicted: Vec::new(),
            bounds: Default::default(),
            levels: levels.to_vec(),
            quantiles: vec![Vec::new(); levels.len()],
        }
    }

    /// Adds the rows of one forecast. `bounds`: lower and upper, of all forecasts or of none.
    pub fn push(&mut self, place: &Place, forecast: &Forecast, bounds: Option<&(Vec<f64>, Vec<f64>)>) {
        let horizon = forecast.point().len();
        let repeat = |column: &mut Option<Vec<String>>, name: &str| {
            column.iter_mut().for_each(|column| column.extend(repeat_n(name.to_owned(), horizon)));
        };
        repeat(&mut self.series, place.series);
        repeat(&mut self.target, place.target);
        self.window.extend(repeat_n(forecast.index as i64, horizon));
        self.step.extend(1..=horizon as i64);
        self.time.extend(place.times);
        self.actual.extend(forecast.actual);
        self.predicted.extend(forecast.point());
        if let Some((lower, upper)) = bounds {
            self.bounds[0].extend(lower);
            self.bounds[1].extend(upper);
        }
        for (column, values) in self.quantiles.iter_mut().zip(forecast.quantiles().chunks(horizon)) {
            column.extend(values);
        }
    }

    /// The columns. Of forecasts whose truth is not known yet there is one window for each series, which goes without number.
    pub fn into_columns(self) -> Vec<(String, OutputColumn)> {
        let mut columns: Vec<(String, OutputColumn)> = Vec::new();
        let mut push = |name: &str, column| columns.push((name.to_owned(), column));
        self.series.into_iter().for_each(|names| push("series", OutputColumn::Text(names)));
        self.target.into_iter().for_each(|names| push("target", OutputColumn::Text(names)));
        let is_known = !self.actual.is_empty();
        if is_known {
            push("window", OutputColumn::Whole(self.window));
        }
        push("step", OutputColumn::Whole(self.step));
        push("time", OutputColumn::Time(self.time));
        if is_known {
            push("y_test", OutputColumn::Number(self.actual));
        }
        push("y_pred", OutputColumn::Number(self.predicted));
        for (name, values) in ["y_lower", "y_upper"].into_iter().zip(self.bounds) {
            if !values.is_empty() {
                push(name, OutputColumn::Number(values));
            }
        }
        for (level, values) in self.levels.iter().zip(self.quantiles) {
            push(&format!("y_q{level}"), OutputColumn::Number(values));
        }
        columns
    }
}
