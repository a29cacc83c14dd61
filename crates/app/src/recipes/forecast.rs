//! Forecasts what follows the last rows of a file, with a model that `train_ts_mlp` left: model -> rows -> forecast.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use burn::tensor::Device;
use clap::Args;
use dataset::{Latest, OutputColumn, OutputFormat, SeriesDataConfig, SeriesEncoder, write_columns};
use modeling::Forecaster;

use crate::bundle::TrainedModel;
use crate::cli::profile_of_environment;
use crate::config;
use crate::console::{Console, print_result};
use crate::download::find_or_download;
use crate::exit::Mistake;
use crate::fitting::Learner;
use crate::forecast::intervals::Intervals;
use crate::forecast::job::{ForecastJob, Networks, load};
use crate::forecast::outputs::ForecastNet;
use crate::forecast::plots::{LatestPanel, plot_latest};
use crate::forecast::scoring::Forecast;
use crate::forecast::table::{ForecastTable, Place};
use crate::model_place::ModelPlace;
use crate::program::ProgramConfig;
use crate::recipes::ts_mlp::{self, Config};
use crate::resume::EFFECTIVE_CONFIG;

#[allow(missing_docs)]
#[derive(Args, Debug, Clone, Default)]
pub struct ForecastFlags {
    /// The model: a run's id, a folder, `models:/NAME@ALIAS` or `runs:/RUN_ID/model` [default: the newest one below the
    /// models folder]
    #[arg(long, short, value_name = "RUN_ID|PATH|URI")]
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
    let file = flags.config.clone().or(default);
    let profile = file.as_ref().and_then(|_| profile_of_environment());
    let mut places = config::load::<Config>(file.as_deref(), profile.as_deref(), &[], Config::check)?.config;
    if let Some(folder) = &flags.models_dir {
        places.paths.models_dir.clone_from(folder);
    }
    let place = match &flags.model {
        Some(what) => ModelPlace::find("--model", what, &places.mlflow, &places.paths)?,
        None => ModelPlace::newest(&places.paths.models_dir, |kind| kind == ForecastJob::MODEL_TYPE)?,
    };
    let model = TrainedModel::<ForecastNet>::read(&place.folder)?;
    console.note(&format!("model: {}", model.folder.display()));
    let encoder = SeriesEncoder::from_json(&model.preprocessor)?;

    // Rows
    let data = data_of(flags, &model.folder, &encoder, &console)?;
    let mut latest = encoder.latest(&data)?;
    latest.warnings.iter().for_each(|warning| console.warn_plainly(warning));

    // Forecast
    let device = Device::flex();
    let net = &model.net;
    let models = model.weights.iter().map(|file| load(&net.model, &net.shape, file, &device));
    let models = models.collect::<Result<Vec<Forecaster>>>()?;
    let scaled = Networks::of(&net.model, &net.shape, &models, &device).predict(&mut latest.batch);
    let forecasts = forecasts(&scaled, &latest, net);
    let columns = columns(&forecasts, &latest, &encoder, net);
    match &flags.output {
        Some(path) => write_columns(&columns, OutputFormat::of_path(path), path)?,
        None => print_columns(&columns)?,
    }
    match &flags.plot {
        Some(path) => plot(&forecasts, &latest, encoder.target_names(), net.intervals.as_ref(), path),
        None => Ok(()),
    }
}

/// The file that is named, else the data that the model's run was given.
fn data_of(
    flags: &ForecastFlags,
    model_folder: &Path,
    encoder: &SeriesEncoder,
    console: &Console,
) -> Result<SeriesDataConfig> {
    if let Some(path) = &flags.data {
        return Ok(SeriesDataConfig { path: Some(path.clone()), ..encoder.file_settings() });
    }
    let of_run = model_folder.parent().map(|run| run.join(EFFECTIVE_CONFIG)).filter(|file| file.is_file());
    let Some(file) = of_run else {
        let problem = "`--data` is needed: the model's folder does not say what it was trained on";
        return Err(Mistake::new(problem).into());
    };
    let Config { data, paths, .. } = config::load_again::<Config>(&file, &[], Config::check)?.config;
    let find = |path: &PathBuf| {
        find_or_download("data.path", path, data.url.as_deref(), data.sha256.as_deref(), &paths.data_dir, console)
    };
    Ok(SeriesDataConfig { path: data.path.as_ref().map(find).transpose()?, ..data })
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

fn columns(
    forecasts: &[Forecast],
    latest: &Latest,
    encoder: &SeriesEncoder,
    net: &ForecastNet,
) -> Vec<(String, OutputColumn)> {
    let mut table = ForecastTable::new(encoder.is_grouped(), net.shape.n_targets, &net.model.quantiles);
    for forecast in forecasts {
        let series = &latest.series[forecast.index];
        let target = &encoder.target_names()[forecast.target];
        let bounds = net.intervals.as_ref().map(|intervals| intervals.bounds(forecast));
        table.push(&Place { series: &series.name, target, times: &series.times }, forecast, bounds.as_ref());
    }
    table.into_columns()
}

fn print_columns(columns: &[(String, OutputColumn)]) -> Result<()> {
    print_result(&dataset::columns_to_csv(columns).context("the forecast as CSV")?);
    Ok(())
}

/// The path without `.png` or `.svg`: both are written.
fn picture_stem(path: &Path) -> Result<PathBuf, Mistake> {
    match path.extension().and_then(|extension| extension.to_str()) {
        None => Ok(path.to_owned()),
        Some("png" | "svg") => Ok(path.with_extension("")),
        Some(_) => Err(Mistake::new(format!("`--plot {}`: a picture is written as PNG and SVG", path.display()))
            .hint("give a name that ends with `.png`")),
    }
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
    plot_latest("Forecast", coverage, panels.collect(), &picture_stem(path)?)
}
