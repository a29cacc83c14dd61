//! An evaluation as a page: `report.html`, `report.md`.

use std::path::Path;

use evaluation::gains::Decile;
use evaluation::gates::GateResult;
use report::{Block, Cell, Document, Figure as Picture, Section, Table, TableColumn, Tone};

use super::calibration::Calibrated;
use super::card;
use super::config::Config;
use super::figures::{Figure, SliceScore};
use super::operating_point::ChosenThreshold;
use super::reliance::ColumnImportance;
use super::windows::{Breakdown, SlotScore};
use super::{Evaluation, TableFindings, at_threshold};
use crate::console::number;

/// Rows of a table on the page; the files beside it have them all.
const MOST_ROWS: usize = 40;
/// In the head of the page.
const MOST_SUMMARY: usize = 4;

/// The whole page. `plots`: the folder with the pictures.
pub fn document(found: &Evaluation, config: &Config, plots: &Path) -> Document {
    let page = Page { found, config, plots };
    let mut sections: Vec<Section> = vec![page.verdict(), page.metrics()].into_iter().flatten().collect();
    if let Some(table) = &found.table {
        sections.extend(page.table_sections(table));
    }
    if let Some(breakdown) = &found.forecast {
        sections.extend(page.forecast_sections(breakdown));
    }
    sections.push(card::section(found, config));
    Document {
        title: format!("Evaluation: {}", found.subject.title()),
        subtitle: page.subtitle(),
        summary: page.summary(),
        sections,
        footer: "Written by `evaluate`.".to_owned(),
    }
}

/// A number with its interval.
pub fn with_interval(figure: &Figure) -> String {
    let (low, high) = (figure.interval.low, figure.interval.high);
    if low.is_nan() {
        number(figure.value)
    } else {
        format!("{} [{}, {}]", short(figure.value), short(low), short(high))
    }
}

/// Four significant digits.
fn short(value: f64) -> String {
    if !value.is_finite() {
        return "-".to_owned();
    }
    let digits = if value == 0.0 { 0 } else { (3 - value.abs().log10().floor() as i32).clamp(0, 8) as usize };
    format!("{value:.digits$}")
}

struct Page<'a> {
    found: &'a Evaluation,
    config: &'a Config,
    plots: &'a Path,
}

impl Page<'_> {
    fn subtitle(&self) -> String {
        let subject = &self.found.subject;
        format!("{} · {} {} · `{}`: {}", subject.data, subject.n_rows, subject.unit, subject.target, subject.task)
    }

    fn summary(&self) -> Vec<(String, String)> {
        let main = self.found.main_figure();
        let others = self.found.figures.iter().filter(|figure| figure.name != self.found.metric);
        let shown = main.into_iter().chain(others).take(MOST_SUMMARY);
        let mut all: Vec<(String, String)> =
            shown.map(|figure| (format!("test {}", figure.name), with_interval(figure))).collect();
        if !self.found.gates.is_empty() {
            let (all_gates, failed) = (self.found.gates.len(), self.found.n_failed());
            all.push(("gates passed".to_owned(), format!("{} of {all_gates}", all_gates - failed)));
        }
        all
    }

    fn verdict(&self) -> Option<Section> {
        let gates = &self.found.gates;
        if gates.is_empty() {
            return None;
        }
        let (tone, text) = match self.found.n_failed() {
            0 => (Tone::Good, format!("All {} gates hold.", gates.len())),
            failed => (Tone::Bad, format!("{failed} of {} gates do not hold.", gates.len())),
        };
        let row = |gate: &GateResult| {
            let (tone, word) = if gate.passed { (Tone::Good, "pass") } else { (Tone::Bad, "fail") };
            vec![Cell::toned(word, tone), Cell::plain(&gate.gate), Cell::plain(&gate.reason)]
        };
        let table = Table {
            caption: String::new(),
            columns: ["", "gate", "measured"].map(TableColumn::left).to_vec(),
            rows: gates.iter().map(row).collect(),
        };
        Some(Section {
            title: "Gates".to_owned(),
            text: None,
            blocks: vec![Block::Note { tone, text }, Block::Table(table)],
        })
    }

    fn metrics(&self) -> Option<Section> {
        let level = 100.0 * self.found.level;
        let samples = self.config.intervals.samples;
        let how = match self.found.forecast {
            None => format!("Intervals hold the middle {level} % of {samples} bootstrap draws of the rows."),
            Some(_) => format!(
                "Intervals hold the middle {level} % of {samples} bootstrap draws of blocks of windows as long as the \
                 horizon, because windows that overlap are not independent. Too few blocks: no interval."
            ),
        };
        let mut blocks = vec![Block::Table(figures_table("test_", &self.found.figures))];
        if let Some(latency) = &self.found.latency_ms {
            let text = format!(
                "One prediction takes {} ms (median; 99 of 100 at most {} ms), with the model in memory.",
                short(latency.p50),
                short(latency.p99)
            );
            blocks.push(Block::Text(text));
        }
        blocks.extend(self.pictures(&[
            "roc",
            "precision_recall",
            "predicted_vs_actual",
            "residuals",
            "confusion_matrix",
            "score_histograms",
            "forecasts",
            "worst_windows",
            "residuals_over_time",
        ]));
        Some(Section { title: "Metrics".to_owned(), text: Some(how), blocks })
    }

    fn table_sections(&self, table: &TableFindings) -> Vec<Section> {
        let mut sections = Vec::new();
        sections.extend(table.threshold.as_ref().map(|chosen| self.threshold(chosen, &table.deciles)));
        if !table.calibration.is_empty() {
            sections.push(self.calibration(&table.calibration));
        }
        if !table.slices.is_empty() {
            sections.push(self.slices(&table.slices));
        }
        if !table.importance.is_empty() {
            sections.push(self.reliance(&table.importance));
        }
        sections
    }

    fn threshold(&self, chosen: &ChosenThreshold, deciles: &[Decile]) -> Section {
        let text = format!(
            "From a probability of {} on a row counts as positive. The threshold was chosen on validation rows for {}; \
             the figures are of rows that had no part in it.",
            number(chosen.test.threshold),
            chosen.goal
        );
        let figures: Vec<Figure> = chosen.figures.clone();
        let mut table = figures_table("", &figures);
        for (row, figure) in table.rows.iter_mut().zip(&figures) {
            row[0] = Cell::plain(at_threshold(&figure.name));
        }
        let counts = &chosen.test;
        let facts = [
            ("true positives", counts.tp),
            ("false positives", counts.fp),
            ("false negatives", counts.fn_),
            ("true negatives", counts.tn),
        ]
        .map(|(name, count)| (name.to_owned(), count.to_string()));
        let mut blocks = vec![Block::Table(table), Block::Facts(facts.to_vec())];
        blocks.extend(self.pictures(&["operating_point", "gain_and_lift"]));
        let row = |decile: &Decile| {
            let rate = format!("{:.1} %", 100.0 * decile.rate);
            let cells = [
                decile.decile.to_string(),
                decile.rows.to_string(),
                short(decile.low),
                rate,
                short(decile.lift),
                format!("{:.1} %", 100.0 * decile.gain),
            ];
            cells.map(Cell::plain).to_vec()
        };
        if !deciles.is_empty() {
            blocks.push(Block::Table(Table {
                caption: "Tenths of the rows, from the highest probability down".to_owned(),
                columns: ["tenth", "rows", "lowest probability", "positive", "lift", "all positives so far"]
                    .map(TableColumn::right)
                    .to_vec(),
                rows: deciles.iter().map(row).collect(),
            }));
        }
        Section { title: "Operating point".to_owned(), text: Some(text), blocks }
    }

    fn calibration(&self, all: &[Calibrated]) -> Section {
        let row = |calibrated: &Calibrated| {
            let name = match calibrated.temperature {
                Some(temperature) => format!("{} {}", calibrated.name, short(temperature)),
                None => calibrated.name.to_owned(),
            };
            vec![
                Cell::plain(name),
                Cell::plain(short(calibrated.ece)),
                Cell::plain(short(calibrated.log_loss)),
                Cell::plain(short(calibrated.brier)),
            ]
        };
        let mut columns = vec![TableColumn::left("probabilities")];
        columns.extend(["ECE", "log loss", "Brier score"].map(TableColumn::right));
        let table = Table { caption: String::new(), columns, rows: all.iter().map(row).collect() };
        let mut blocks = vec![Block::Table(table)];
        blocks.extend(self.pictures(&["calibration", "calibration_rescaled"]));
        let text = "Whether of the rows given 70 % about 70 % are positive. Rescaling is fitted on validation rows.";
        Section { title: "Calibration".to_owned(), text: Some(text.to_owned()), blocks }
    }

    fn slices(&self, slices: &[SliceScore]) -> Section {
        let overall = self.found.main_figure().map_or(f64::NAN, |figure| figure.value);
        let is_worse = |slice: &SliceScore| match self.found.lower_is_better {
            true => slice.interval.low > overall,
            false => slice.interval.high < overall,
        };
        let row = |slice: &SliceScore| {
            let figure = Figure { name: String::new(), value: slice.value, interval: slice.interval };
            let tone = if is_worse(slice) { Tone::Warning } else { Tone::Plain };
            vec![
                Cell::plain(&slice.column),
                Cell::plain(&slice.level),
                Cell::plain(slice.n_rows.to_string()),
                Cell::toned(with_interval(&figure), tone),
            ]
        };
        let shown = slices.len().min(MOST_ROWS);
        let caption = match slices.len() > shown {
            true => format!("The worst {shown} of {} slices; slices.csv has all", slices.len()),
            false => "The worst first".to_owned(),
        };
        let mut columns = ["column", "slice"].map(TableColumn::left).to_vec();
        columns.extend(["rows", self.found.metric.as_str()].map(TableColumn::right));
        let table = Table { caption, columns, rows: slices[..shown].iter().map(row).collect() };
        let mut blocks = self.pictures(&["slices"]);
        blocks.push(Block::Table(table));
        let text = format!(
            "`{}` of the rows that share a value. Marked are slices whose whole interval lies on the worse side of all \
             rows ({}); of many slices some do so by chance.",
            self.found.metric,
            short(overall)
        );
        Section { title: "Slices".to_owned(), text: Some(text), blocks }
    }

    fn reliance(&self, importance: &[ColumnImportance]) -> Section {
        let row = |one: &ColumnImportance| {
            vec![Cell::plain(&one.column), Cell::plain(short(one.mean)), Cell::plain(short(one.std))]
        };
        let mut columns = vec![TableColumn::left("column")];
        columns.extend(["loss when shuffled", "spread"].map(TableColumn::right));
        let table =
            Table { caption: String::new(), columns, rows: importance.iter().take(MOST_ROWS).map(row).collect() };
        let mut blocks = self.pictures(&["permutation_importance", "partial_dependence"]);
        blocks.push(Block::Table(table));
        let text = format!(
            "How much worse `{}` becomes when a column is shuffled, and the mean prediction if a column had one value in \
             all rows. Columns that go together share their importance.",
            self.found.metric
        );
        Section { title: "What the model relies on".to_owned(), text: Some(text), blocks }
    }

    fn forecast_sections(&self, breakdown: &Breakdown) -> Vec<Section> {
        let mut blocks = self.pictures(&["error_by_step", "error_by_slot"]);
        let kinds = [
            ("step", &breakdown.by_step),
            ("series", &breakdown.by_series),
            ("hour", &breakdown.by_hour),
            ("weekday", &breakdown.by_weekday),
        ];
        let tables = kinds.into_iter().filter(|(_, slots)| slots.len() > 1);
        blocks.extend(tables.map(|(name, slots)| Block::Table(slot_table(name, slots))));
        let text = "Errors by how far ahead, by series, and by the time that was forecast. Of several targets on the \
                    standardised scale.";
        vec![Section { title: "Where the errors are".to_owned(), text: Some(text.to_owned()), blocks }]
    }

    /// The pictures that were drawn.
    fn pictures(&self, stems: &[&str]) -> Vec<Block> {
        let stems = stems.iter().map(|stem| self.plots.join(stem));
        let drawn = stems.filter(|stem| stem.with_extension("svg").is_file());
        drawn.map(|stem| Block::Figure(Picture { stem, ..Picture::default() })).collect()
    }
}

fn figures_table(prefix: &str, figures: &[Figure]) -> Table {
    let row = |figure: &Figure| {
        let ends = [figure.value, figure.interval.low, figure.interval.high].map(|value| Cell::plain(short(value)));
        std::iter::once(Cell::plain(format!("{prefix}{}", figure.name))).chain(ends).collect()
    };
    let mut columns = vec![TableColumn::left("metric")];
    columns.extend(["value", "low", "high"].map(TableColumn::right));
    Table { caption: String::new(), columns, rows: figures.iter().map(row).collect() }
}

fn slot_table(name: &str, slots: &[SlotScore]) -> Table {
    let row = |slot: &SlotScore| {
        let values = [slot.n.to_string(), short(slot.mae), short(slot.rmse), short(slot.bias)];
        std::iter::once(Cell::plain(&slot.slot)).chain(values.map(Cell::plain)).collect()
    };
    let mut columns = vec![TableColumn::left(name)];
    columns.extend(["values", "MAE", "RMSE", "bias"].map(TableColumn::right));
    let shown = slots.len().min(MOST_ROWS);
    let caption = if slots.len() > shown { format!("By {name}, the first {shown}") } else { format!("By {name}") };
    Table { caption, columns, rows: slots[..shown].iter().map(row).collect() }
}
