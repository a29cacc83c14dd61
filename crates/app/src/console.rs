//! What a person sees: progress and notes on stderr, results on stdout, everything in a log file.

use std::fs::{self, File};
use std::io::{IsTerminal, Write, stderr, stdout};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result};
use chrono::Utc;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::exit::Interrupted;

/// The `logging:` section.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LoggingConfig {
    /// Least level that goes to the log file.
    pub level: Level,
    /// `text` for people, `json` for machines (one object per line).
    pub format: LogFormat,
}

impl Default for LoggingConfig {
    fn default() -> Self {
        Self { level: Level::Info, format: LogFormat::Text }
    }
}

/// Level of the log file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

/// Format of the log file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum LogFormat {
    Text,
    Json,
}

/// The terminal of one program: what it shows, and whether Ctrl-C came from it.
#[derive(Clone)]
pub struct Console {
    bars: MultiProgress,
    quiet: bool,
    terminal: bool,
    interrupted: Arc<AtomicBool>,
}

impl Console {
    /// `quiet` hides all but errors. Bars are drawn only on a terminal.
    pub fn new(quiet: bool) -> Self {
        let terminal = stderr().is_terminal();
        let target =
            if quiet || !terminal { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr_with_hz(10) };
        Self { bars: MultiProgress::with_draw_target(target), quiet, terminal, interrupted: Arc::default() }
    }

    /// Whether only errors are shown.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Notes Ctrl-C or SIGTERM; true if it is not the first.
    pub fn interrupt(&self) -> bool {
        self.interrupted.swap(true, Ordering::Relaxed)
    }

    /// True after Ctrl-C or SIGTERM: end in good order, soon.
    pub fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// For a program without a run: Ctrl-C or SIGTERM ends it in good order, the second one at once.
    pub fn stop_on_signal(&self) {
        let console = self.clone();
        let handler = move || {
            if console.interrupt() {
                std::process::exit(130);
            }
        };
        if let Err(error) = ctrlc::set_handler(handler) {
            self.warn_plainly(&format!("cannot handle Ctrl-C: {error}"));
        }
    }

    /// Turns an interruption into the error that ends the program.
    pub fn stop_if_interrupted(&self) -> Result<()> {
        if self.is_interrupted() { Err(Interrupted.into()) } else { Ok(()) }
    }

    /// A line on stderr that does not disturb the bars.
    pub fn note(&self, text: &str) {
        tracing::info!("{text}");
        if !self.quiet {
            self.bars.suspend(|| eprintln!("{text}"));
        }
    }

    /// A line on stderr that stands out.
    pub fn warn(&self, text: &str) {
        tracing::warn!("{text}");
    }

    /// The same from a program that keeps no log.
    pub fn warn_plainly(&self, text: &str) {
        if !self.quiet {
            self.bars.suspend(|| eprintln!(" WARN {text}"));
        }
    }

    /// A bar over training steps; on a pipe or in CI ten plain lines take its place.
    pub fn training_bar(&self, steps_per_epoch: usize, epochs: usize) -> TrainingBar {
        let bar = self.bars.add(ProgressBar::new((steps_per_epoch * epochs) as u64));
        bar.set_style(style("epoch {prefix} [{bar:30}] {elapsed}<{eta} {msg}"));
        bar.enable_steady_tick(Duration::from_millis(200));
        TrainingBar { bar, epochs, console: self.clone() }
    }

    /// A bar over things that are counted.
    pub fn count_bar(&self, what: &str) -> ProgressBar {
        let bar = self.bars.add(ProgressBar::new(0));
        bar.set_style(style("{prefix} [{bar:30}] {pos}/{len} {eta} {wide_msg}"));
        bar.set_prefix(what.to_owned());
        bar
    }

    /// A line below the bars, for text that changes; nothing where bars are not drawn.
    pub fn line(&self) -> ProgressBar {
        let line = self.bars.add(ProgressBar::new(0));
        line.set_style(style("{wide_msg}"));
        line
    }

    /// A bar over something whose share that is done is known, in thousandths.
    pub fn share_bar(&self) -> ProgressBar {
        let bar = self.bars.add(ProgressBar::new(1000));
        bar.set_style(style("[{bar:30}] {percent}% {elapsed}<{eta} {msg}"));
        bar
    }

    /// A bar over bytes.
    pub fn download_bar(&self, what: &str, total: Option<u64>) -> ProgressBar {
        self.note(&format!("downloading {what}"));
        let bar = self.bars.add(total.map_or_else(ProgressBar::no_length, ProgressBar::new));
        bar.set_style(style("[{bar:30}] {bytes}/{total_bytes} {binary_bytes_per_sec} {eta}"));
        bar
    }
}

/// Templates are literals of this file, so the fallback is never seen.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ")
}

/// Progress of one training.
pub struct TrainingBar {
    bar: ProgressBar,
    epochs: usize,
    console: Console,
}

impl TrainingBar {
    /// After a step.
    pub fn step(&self, global_step: usize, epoch: usize) {
        self.bar.set_position(global_step as u64);
        self.bar.set_prefix(format!("{epoch}/{}", self.epochs));
    }

    /// After an epoch, with what to show of it.
    pub fn epoch(&self, epoch: usize, text: &str) {
        tracing::info!("epoch {epoch}/{} {text}", self.epochs);
        self.bar.set_message(text.to_owned());
        let every = self.epochs.div_ceil(10);
        if !self.console.terminal && !self.console.quiet && (epoch.is_multiple_of(every) || epoch == self.epochs) {
            eprintln!("epoch {epoch}/{} {text}", self.epochs);
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Target of events that the program prints itself.
pub const LOG_FILE_ONLY: &str = "log_file_only";

/// Sends warnings to stderr and everything from `config.level` on to a new file in `folder`, whose path is returned.
pub fn start_logging(config: &LoggingConfig, folder: &Path, program: &str, console: &Console) -> Result<PathBuf> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create folder `{}`", folder.display()))?;
    let stamp = Utc::now().format("%Y%m%dT%H%M%S");
    let path = folder.join(format!("{program}-{stamp}-{}.log", std::process::id()));
    let file = File::create(&path).with_context(|| format!("cannot write log file `{}`", path.display()))?;
    let level = match config.level {
        Level::Debug => LevelFilter::DEBUG,
        Level::Info => LevelFilter::INFO,
        Level::Warn => LevelFilter::WARN,
        Level::Error => LevelFilter::ERROR,
    };
    let file_layer = match config.format {
        LogFormat::Text => fmt::layer().with_ansi(false).with_writer(Mutex::new(file)).boxed(),
        LogFormat::Json => fmt::layer().json().with_writer(Mutex::new(file)).boxed(),
    };
    let stderr_layer = fmt::layer()
        .without_time()
        .with_target(false)
        .with_ansi(false)
        .with_writer(BarsAside(console.clone()))
        .with_filter(if console.quiet { LevelFilter::ERROR } else { LevelFilter::WARN })
        .with_filter(filter_fn(|event| event.target() != LOG_FILE_ONLY));
    tracing_subscriber::registry().with(file_layer.with_filter(level)).with(stderr_layer).init();
    Ok(path)
}

/// Writes to stderr with the bars out of the way.
struct BarsAside(Console);

impl Write for BarsAside {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        self.0.bars.suspend(|| stderr().write(buffer))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        stderr().flush()
    }
}

impl<'a> MakeWriter<'a> for BarsAside {
    type Writer = BarsAside;

    fn make_writer(&'a self) -> BarsAside {
        BarsAside(self.0.clone())
    }
}

/// Columns that a table on stdout may have: those of the terminal, else COLUMNS, else 120.
pub fn terminal_width() -> Option<usize> {
    const ELSEWHERE: usize = 120;
    if stdout().is_terminal() {
        return Some(usize::from(console::Term::stdout().size().1));
    }
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    Some(columns.unwrap_or(ELSEWHERE))
}

/// Prints a result. A reader that closed the pipe (`| head`) has seen enough: no error.
pub fn print_result(text: &str) {
    let _ = writeln!(stdout(), "{}", text.trim_end());
}

/// Rows of `(name, values)` under a heading, columns aligned, for stdout.
pub fn table(heading: &[&str], rows: &[(String, Vec<f64>)]) -> String {
    let shown: Vec<(String, Vec<String>)> =
        rows.iter().map(|(name, values)| (name.clone(), values.iter().map(|&value| number(value)).collect())).collect();
    let name_width = shown.iter().map(|(name, _)| name.len()).chain([heading[0].len()]).max().unwrap_or(0);
    let mut text = format!("  {:name_width$}", heading[0]);
    let widths: Vec<usize> = heading[1..].iter().map(|title| title.len().max(12)).collect();
    heading[1..].iter().zip(&widths).for_each(|(title, width)| text.push_str(&format!("  {title:>width$}")));
    for (name, values) in &shown {
        text.push_str(&format!("\n  {name:name_width$}"));
        values.iter().zip(&widths).for_each(|(value, width)| text.push_str(&format!("  {value:>width$}")));
    }
    text
}

/// Six significant digits, without an exponent where a person would write none.
pub fn number(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let magnitude = value.abs().log10().floor();
    if !value.is_finite() {
        "-".to_owned()
    } else if (-4.0..9.0).contains(&magnitude) {
        format!("{value:.*}", (5.0 - magnitude).clamp(0.0, 8.0) as usize)
    } else {
        format!("{value:.5e}")
    }
}
