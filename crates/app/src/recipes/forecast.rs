//! Forecasts what follows the last rows of a file, with a model that `train_ts_mlp` left: model -> rows -> forecast.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use burn::tensor::Device;
use clap::Args;
use dataset::{Latest, LatestSeries, OutputColumn, OutputFormat, SeriesDataConfig, SeriesEncoder, write_columns};
use modeling::Forecaster;

use crate::bundle::TrainedModel;
use crate::config;
use crate::console::{Console, print_result};
use crate::exit::Mistake;
use crate::forecast::intervals::Intervals;
use crate::forecast::job::{Networks, load};
use crate::forecast::outputs::ForecastNet;
use crate::forecast::plots::{LatestPanel, plot_latest};
use crate::forecast::scoring::Forecast;
use crate::program::RunConfig;
use crate::recipes::ts_mlp::{self, Config};
use crate::resume::EFFECTIVE_CONFIG;

#[allow(missing_docs)]
#[derive(Args, Debug, Clone, Default)]
pub struct ForecastFlags {
    /// The model: a run's id, its output folder, or a folder with a `bundle.json` [default: the newest one below the
    /// models folder]
    #[arg(long, short, value_name = "RUN_ID|PATH")]
    pub model: Option<String>,
    /// CSV or Parquet file with the columns that the model was trained on [default: the data of the model's run]
    #[arg(long, short, value_name = "FILE")]
    pub data: Option<PathBuf>,
    /// Where the forecast is written, as CSV or (`.parquet`) Parquet [default: CSV on stdout]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Draw past and forecast into this PNG file (and an SVG beside it)
    #[arg(long, value_name = "FILE.png")]
    pub plot: Option<PathBuf>,
    /// Config that says where runs are, by `mlflow` and `paths` [default: configs/train_ts_baseline.yaml, if it is there]
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder with the output folders of runs; replaces `paths.models_dir`
    #[arg(long, value_name = "FOLDER")]
    pub models_dir: Option<PathBuf>,
    /// No notes: only errors, and the forecast
    #[arg(long, short)]
    pub quiet: bool,
}

/// The program.
pub fn main(flags: &ForecastFlags) -> Result<()> {
    let console = Console::new(flags.quiet);

    // Model
    let default = Some(PathBuf::from(ts_mlp::DEFAULT_CONFIG)).filter(|file| file.is_file());
    let mut places = match flags.config.clone().or(default) {
        Some(file) => config::load::<Config>(&file, None, &[], Config::check)?.config,
        None => Config::default(),
    };
    if let Some(folder) = &flags.models_dir {
        places.paths.models_dir.clone_from(folder);
    }
    let what = flags.model.clone().map_or_else(|| newest_model(&places.paths.models_dir), Ok)?;
    let model = TrainedModel::<ForecastNet>::find("--model", &what, &places.mlflow, &places.paths)?;
    console.note(&format!("model: {}", model.folder.display()));
    let encoder = SeriesEncoder::from_json(&model.preprocessor)?;

    // Rows
    let data = data_of(flags, &model.folder)?;
    let latest = encoder.latest(&data)?;
    latest.warnings.iter().for_each(|warning| console.warn_plainly(warning));

    // Forecast
    let device = Device::flex();
    let net = &model.net;
    let models = model.weights.iter().map(|file| load(&net.model, &net.shape, file, &device));
    let models = models.collect::<Result<Vec<Forecaster>>>()?;
    let scaled = Networks::of(&net.model, &net.shape, &models, &device).predict(&mut latest.batch.clone());
    let forecasts = forecasts(&scaled, &latest, net);
    let columns = columns(&forecasts, &latest, encoder.target_names(), net);
    match &flags.output {
        Some(path) => write_columns(&columns, format_of(path), path)?,
        None => print_columns(&columns)?,
    }
    match &flags.plot {
        Some(path) => plot(&forecasts, &latest, encoder.target_names(), net.intervals.as_ref(), path),
        None => Ok(()),
    }
}

/// The run below `models_dir` with the newest bundle of a forecaster.
fn newest_model(models_dir: &Path) -> Result<String> {
    let entries = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let runs = entries(models_dir).flat_map(|experiment| entries(&experiment).collect::<Vec<_>>());
    let is_forecaster = |run: &PathBuf| TrainedModel::<ForecastNet>::read(&run.join("model")).is_ok();
    let modified = |run: PathBuf| Some((fs::metadata(run.join("model/bundle.json")).ok()?.modified().ok()?, run));
    let newest = runs.filter(is_forecaster).filter_map(modified).max();
    newest.map(|(_, run)| run.display().to_string()).ok_or_else(|| {
        Mistake::new(format!("no forecaster below `{}`", models_dir.display()))
            .hint("train one with `cargo run --bin train_ts_mlp`, or name one with `--model`")
            .into()
    })
}

/// The file that is named, else the data that the model's run was given.
fn data_of(flags: &ForecastFlags, folder: &Path) -> Result<SeriesDataConfig> {
    let of_run = folder.parent().map(|run| run.join(EFFECTIVE_CONFIG)).filter(|file| file.is_file());
    let known = of_run.map(|file| config::load_again::<Config>(&file, &[], Config::check)).transpose()?;
    match (&flags.data, known) {
        (Some(path), known) => Ok(SeriesDataConfig {
            source: None,
            path: Some(path.clone()),
            url: None,
            sha256: None,
            name: None,
            ..known.map(|known| known.config.data).unwrap_or_default()
        }),
        (None, Some(known)) => {
            let (data, data_dir) = (known.config.data, known.config.paths.data_dir);
            let below = data.path.as_ref().map(|path| data_dir.join(path)).filter(|path| path.exists());
            Ok(SeriesDataConfig { path: below.or(data.path.clone()), ..data })
        }
        (None, None) => {
            Err(Mistake::new("`--data` is needed: the model's folder does not say what it was trained on").into())
        }
    }
}

/// One for each target of each series.
fn forecasts<'a>(scaled: &[f32], latest: &Latest, net: &'a ForecastNet) -> Vec<Forecast<'a>> {
    let n_targets = net.shape.n_targets;
    let columns = net.shape.horizon * net.model.n_quantiles();
    let of_row = |(row, values): (usize, &[f32])| {
        let (series, target) = (row / n_targets, row % n_targets);
        Forecast::new(values, (series, target), latest.series[series].scales[target], &net.model.quantiles)
    };
    scaled.chunks(columns).enumerate().map(of_row).collect()
}

/// `series`, `target` (where there are several), `step`, `time`, `forecast`, `lower`, `upper`, quantiles.
fn columns(
    forecasts: &[Forecast],
    latest: &Latest,
    targets: &[String],
    net: &ForecastNet,
) -> Vec<(String, OutputColumn)> {
    let horizon = net.shape.horizon;
    let series_of = |forecast: &Forecast| -> &LatestSeries { &latest.series[forecast.index] };
    let repeated = |name: &dyn Fn(&Forecast) -> String| {
        OutputColumn::Text(forecasts.iter().flat_map(|f| std::iter::repeat_n(name(f), horizon)).collect())
    };
    let numbers = |values: &dyn Fn(&Forecast) -> Vec<f64>| {
        OutputColumn::Single(forecasts.iter().flat_map(values).map(|value| value as f32).collect())
    };
    let mut columns: Vec<(String, OutputColumn)> = Vec::new();
    let mut push = |name: &str, column| columns.push((name.to_owned(), column));
    if latest.series.len() > 1 {
        push("series", repeated(&|forecast| series_of(forecast).name.clone()));
    }
    if targets.len() > 1 {
        push("target", repeated(&|forecast| targets[forecast.target].clone()));
    }
    push("step", OutputColumn::Whole(forecasts.iter().flat_map(|_| 1..=horizon as i64).collect()));
    push("time", OutputColumn::Time(forecasts.iter().flat_map(|f| series_of(f).times.clone()).collect()));
    push("forecast", numbers(&|forecast| forecast.point().to_vec()));
    if let Some(intervals) = &net.intervals {
        push("lower", numbers(&|forecast| intervals.bounds(forecast).0));
        push("upper", numbers(&|forecast| intervals.bounds(forecast).1));
    }
    for (index, level) in net.model.quantiles.iter().enumerate() {
        push(&format!("q{level}"), numbers(&|forecast| forecast.quantiles()[index * horizon..][..horizon].to_vec()));
    }
    columns
}

/// Parquet by the file's extension, else CSV.
fn format_of(path: &Path) -> OutputFormat {
    if path.extension().is_some_and(|extension| extension == "parquet") {
        OutputFormat::Parquet
    } else {
        OutputFormat::Csv
    }
}

fn print_columns(columns: &[(String, OutputColumn)]) -> Result<()> {
    print_result(&dataset::columns_to_csv(columns).context("the forecast as CSV")?);
    Ok(())
}

fn plot(
    forecasts: &[Forecast],
    latest: &Latest,
    targets: &[String],
    intervals: Option<&Intervals>,
    path: &Path,
) -> Result<()> {
    let seconds = |times: &[i64]| times.iter().map(|&time| time as f64).collect::<Vec<f64>>();
    let panels = forecasts.iter().map(|forecast| {
        let series = &latest.series[forecast.index];
        let shown = series.past_times.len().min(3 * series.times.len());
        let first = series.past_times.len() - shown;
        LatestPanel {
            title: series.name.clone(),
            target: targets[forecast.target].clone(),
            past_times: seconds(&series.past_times[first..]),
            past: series.past[forecast.target][first..].to_vec(),
            times: seconds(&series.times),
            forecast: forecast.point().to_vec(),
            bounds: intervals.map(|intervals| intervals.bounds(forecast)),
        }
    });
    let coverage = intervals.map(|intervals| intervals.coverage);
    plot_latest("Forecast", coverage, panels.collect(), &path.with_extension(""))
}
