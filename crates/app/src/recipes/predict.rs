//! Predicts the rows of a file, with a model that `train_tabular_mlp` left: model -> rows -> predictions, a chunk at a time.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Result;
use clap::Args;
use dataset::{DataConfig, EncodedRows, OutputFormat, RowReader, RowWriter, Rows};

use crate::bundle::TrainedModel;
use crate::cli::profile_of_environment;
use crate::config;
use crate::console::{Console, number};
use crate::download::find_or_download;
use crate::exit::Mistake;
use crate::fitting::Learner;
use crate::forecast::job::ForecastJob;
use crate::model_place::ModelPlace;
use crate::pipeline::in_order;
use crate::program::{ProgramConfig, check_threads};
use crate::recipes::tabular_mlp::{self, Config};
use crate::resume::EFFECTIVE_CONFIG;
use crate::tabular::batch::{BatchPredictor, Keep, Spent};
use crate::tabular::job::TabularJob;
use crate::tabular::outputs::TabularNet;
use crate::tabular::predictor::Predictor;

/// Rows of a chunk where `--batch-rows` does not say it: of Parquet more, since each chunk is a row group.
const CSV_ROWS: usize = 16_384;
const PARQUET_ROWS: usize = 65_536;

#[allow(missing_docs)]
#[derive(Args, Debug, Clone, Default)]
pub struct PredictFlags {
    /// The model: a run's id, a folder, `models:/NAME@ALIAS` or `runs:/RUN_ID/model` [default: the newest one below the
    /// models folder]
    #[arg(long, short, value_name = "RUN_ID|PATH|URI")]
    pub model: Option<String>,
    /// CSV or Parquet file with the columns that the model was trained on [default: the data of the model's run]
    #[arg(long, short, value_name = "FILE")]
    pub data: Option<PathBuf>,
    /// Where the predictions are written, as CSV or (`.parquet`) Parquet [default: CSV on stdout]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Columns of the file to repeat beside the predictions: all, ids (`data.id_columns` of the training), none, or a list
    /// of names
    #[arg(long, value_name = "COLUMNS", default_value = "all")]
    pub keep: Keep,
    /// Two classes: predict the positive one from this probability on
    #[arg(long, value_name = "P", default_value_t = 0.5)]
    pub threshold: f32,
    /// How the file is written, where it differs from the training's: delimiter, quote, has_header, columns, null_values, trim
    /// or format; may be repeated
    #[arg(long = "set", value_name = "data.KEY=VALUE")]
    pub set: Vec<String>,
    /// Threads to compute with; the result is the same with any number [default: one per core]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Rows in memory at once, for each thread [default: 16384; with Parquet 65536]
    #[arg(long, value_name = "N")]
    pub batch_rows: Option<usize>,
    /// Config that says where runs are, by `mlflow` and `paths` [default: configs/train_tabular_baseline.yaml, if it is there]
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder with the output folders of runs; replaces `paths.models_dir`
    #[arg(long, value_name = "FOLDER")]
    pub models_dir: Option<PathBuf>,
    /// No notes, no progress: only errors, and the predictions
    #[arg(long, short)]
    pub quiet: bool,
}

/// The program.
pub fn main(flags: &PredictFlags) -> Result<()> {
    let console = Console::new(flags.quiet);
    console.stop_on_signal();
    let threads = threads(flags)?;

    // Model
    let place = find_model(flags)?;
    let model = TrainedModel::<TabularNet>::read(&place.folder)?;
    console.note(&format!("model: {}", model.folder.display()));
    let settings = with_overrides(&model.net.file, &flags.set)?;
    let data = data_of(flags, settings, &model.folder, &console)?;
    let predictor = BatchPredictor::new(Predictor::load(model)?, flags.threshold)?;

    // Rows
    let mut reader = RowReader::open(&data)?;
    let check = predictor.check_columns(reader.origin(), reader.columns())?;
    predictor.describe(&check, reader.origin()).iter().for_each(|line| console.note(line));
    let columns = predictor.output_columns(&flags.keep, reader.origin(), reader.columns())?;
    let format = flags.output.as_deref().map_or(OutputFormat::Csv, OutputFormat::of_path);
    let batch_rows = flags.batch_rows.unwrap_or(match (reader.is_parquet(), format) {
        (false, OutputFormat::Csv) => CSV_ROWS,
        _ => PARQUET_ROWS,
    });

    // Predictions
    let writer = RowWriter::create(flags.output.as_deref(), format, columns)?;
    let started = Instant::now();
    let spent = predict(&predictor, &mut reader, writer, (threads, batch_rows), &console)?;
    predictor.unknown_values(&spent).iter().for_each(|warning| console.warn_plainly(warning));
    let seconds = started.elapsed().as_secs_f64();
    let (rows, to) = (reader.n_read(), flags.output.as_deref().map_or("stdout".into(), Path::to_string_lossy));
    console.note(&format!("{rows} rows in {} s ({spent}) -> {to}", number(seconds)));
    Ok(())
}

/// Chunk by chunk, from the file to the file.
fn predict(
    predictor: &BatchPredictor,
    reader: &mut RowReader,
    writer: RowWriter,
    (threads, batch_rows): (usize, usize),
    console: &Console,
) -> Result<Spent> {
    let bar = console.share_bar();
    let (mut total, mut read_seconds) = (Spent::default(), 0.0);
    let next = || -> Result<Option<Rows>> {
        console.stop_if_interrupted()?;
        let started = Instant::now();
        let rows = reader.next_rows(batch_rows)?;
        read_seconds += started.elapsed().as_secs_f64();
        bar.set_position((1000.0 * reader.fraction()) as u64);
        bar.set_message(format!("{} rows", reader.n_read()));
        Ok(rows)
    };
    let work = |rows: Rows| predictor.predict(rows, &writer);
    let done = |(rows, spent): (EncodedRows, Spent)| {
        total.add(spent);
        Ok(writer.write(rows)?)
    };
    in_order(threads, next, work, done)?;
    bar.finish_and_clear();
    console.stop_if_interrupted()?;
    writer.finish()?;
    total.reading = read_seconds;
    Ok(total)
}

fn threads(flags: &PredictFlags) -> Result<usize> {
    check_threads(flags.threads).map_err(|(key, problem)| Mistake::new(format!("`--{key}`: {problem}")))?;
    if flags.batch_rows == Some(0) {
        return Err(Mistake::new("`--batch-rows`: `0` is not at least 1").into());
    }
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    Ok(flags.threads.unwrap_or_else(cores))
}

/// The model that is named, else the newest one. A forecaster takes another program.
fn find_model(flags: &PredictFlags) -> Result<ModelPlace> {
    let default = Some(PathBuf::from(tabular_mlp::DEFAULT_CONFIG)).filter(|file| file.is_file());
    let file = flags.config.clone().or(default);
    let profile = file.as_ref().and_then(|_| profile_of_environment());
    let mut places = config::load::<Config>(file.as_deref(), profile.as_deref(), &[], Config::check)?.config;
    if let Some(folder) = &flags.models_dir {
        places.paths.models_dir.clone_from(folder);
    }
    let Some(what) = &flags.model else {
        return Ok(ModelPlace::newest(&places.paths.models_dir, |kind| kind == TabularJob::MODEL_TYPE)?);
    };
    let place = ModelPlace::find("--model", what, &places.mlflow, &places.paths)?;
    if place.model_type()? == ForecastJob::MODEL_TYPE {
        let problem = format!("`--model {what}` is a forecaster: it predicts what follows the last rows of a file");
        return Err(Mistake::new(problem).hint(format!("use `cargo run --bin forecast -- --model {what}`")).into());
    }
    Ok(place)
}

/// The file settings of the model, with those of `--set`.
fn with_overrides(file: &DataConfig, set: &[String]) -> Result<DataConfig> {
    const KEYS: [&str; 7] = ["delimiter", "quote", "has_header", "columns", "null_values", "trim", "format"];
    let mut settings = serde_yaml::to_value(file)?;
    for text in set {
        let change = config::Override::parse_set(text)?;
        let key = change.key.strip_prefix("data.").filter(|key| KEYS.contains(key)).ok_or_else(|| {
            let keys = KEYS.map(|key| format!("data.{key}")).join(", ");
            Mistake::new(format!("`--set {}` says nothing of how the file is written", change.key))
                .hint(format!("the model decides all else; there are {keys}"))
        })?;
        settings[key] = change.value;
        let _: DataConfig = serde_yaml::from_value(settings.clone())
            .map_err(|error| Mistake::new(format!("`--set {}`: {error}", change.key)))?;
    }
    let settings: DataConfig = serde_yaml::from_value(settings)?;
    settings.check().map_err(|error| Mistake::new(error.to_string()))?;
    Ok(settings)
}

/// The file that is named, else the data that the model's run was given: its test file where it has one.
fn data_of(flags: &PredictFlags, settings: DataConfig, model_folder: &Path, console: &Console) -> Result<DataConfig> {
    if let Some(path) = &flags.data {
        return Ok(DataConfig { path: Some(path.clone()), ..settings });
    }
    let of_run = model_folder.parent().map(|run| run.join(EFFECTIVE_CONFIG)).filter(|file| file.is_file());
    let config = of_run.map(|file| config::load_again::<Config>(&file, &[], Config::check)).transpose()?;
    if let Some(source) = config.as_ref().and_then(|loaded| loaded.config.data.source) {
        return Ok(DataConfig { source: Some(source), ..settings });
    }
    let found = config.and_then(|loaded| {
        let Config { data, paths, .. } = loaded.config;
        let path = data.path.or(data.test_path)?;
        Some((path, data.url, data.sha256, paths.data_dir))
    });
    let Some((path, url, sha256, data_dir)) = found else {
        let problem = "`--data` is needed: the model's folder does not name a file that it was trained on";
        return Err(Mistake::new(problem).into());
    };
    let path = find_or_download("data.path", &path, url.as_deref(), sha256.as_deref(), &data_dir, console)?;
    console.note(&format!("data: {}", path.display()));
    Ok(DataConfig { path: Some(path), ..settings })
}
