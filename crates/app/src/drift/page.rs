//! What was found out as pictures in `plots/` and as a page: `report.html`, `report.md`.

use std::path::Path;

use anyhow::Result;
use evaluation::drift::Verdict;
use report::{
    Block, Cell, Document, DriftBins, DriftHistograms, DriftPanel, Figure, Section, Table, TableColumn, Tone,
    drift_histograms,
};

use super::config::Config;
use super::{ComparedColumn, Drift, Role, shown, word};

/// Panels of one picture.
const PANELS: usize = 16;
/// Pictures of inputs, the most drifted first.
const MOST_PICTURES: usize = 4;

/// Draws the histograms and puts the page together; `plots` is the folder for the pictures.
pub fn document(found: &Drift, config: &Config, plots: &Path) -> Result<Document> {
    let inputs: Vec<&ComparedColumn> = found.of(Role::Features).collect();
    let others: Vec<&ComparedColumn> = found.columns.iter().filter(|column| column.role != Role::Features).collect();
    let mut sections = vec![verdict(found), inputs_section(found, &inputs, plots)?];
    if !others.is_empty() {
        sections.push(others_section(found, &others, plots)?);
    }
    sections.push(method(config));
    let (reference, current) = (&found.reference, &found.current);
    let subtitle =
        format!("{}: {} rows · against {}: {} rows", current.name, current.n_rows, reference.name, reference.n_rows);
    Ok(Document {
        title: format!("Drift: {}", current.name),
        subtitle,
        summary: summary(found),
        sections,
        footer: footer(found),
    })
}

fn footer(found: &Drift) -> String {
    let model = &found.model;
    let registered = model.registered.as_ref().map(|(name, version)| format!(", `{name}` version {version}"));
    format!("Written by `drift` for the model `{}`{}.", model.asked, registered.unwrap_or_default())
}

fn summary(found: &Drift) -> Vec<(String, String)> {
    let of_inputs = |n: usize| format!("{n} of {}", found.summary.n_features);
    let mut all = vec![
        ("inputs drifted".to_owned(), of_inputs(found.summary.n_drifted_features)),
        ("worth watching".to_owned(), of_inputs(found.summary.n_watched_features)),
    ];
    for (role, name) in [(Role::Predictions, "predictions"), (Role::Target, "target")] {
        let worst = found.of(role).max_by_key(|column| column.verdict);
        all.extend(worst.map(|column| (name.to_owned(), word(column).to_lowercase())));
    }
    all
}

fn verdict(found: &Drift) -> Section {
    let (tone, text) = match found.alarms.as_slice() {
        [] => (Tone::Good, format!("No alarm: {}.", found.without_alarm())),
        alarms => (Tone::Bad, alarms.join("\n\n")),
    };
    Section { title: "Verdict".to_owned(), text: None, blocks: vec![Block::Note { tone, text }] }
}

fn inputs_section(found: &Drift, inputs: &[&ComparedColumn], plots: &Path) -> Result<Section> {
    let mut blocks = vec![Block::Table(table(inputs))];
    blocks.extend(reasons(inputs));
    for (index, columns) in inputs.chunks(PANELS).take(MOST_PICTURES).enumerate() {
        let stem = if index == 0 { "drift_histograms".to_owned() } else { format!("drift_histograms_{}", index + 1) };
        blocks.push(picture(found, "Inputs", columns, &plots.join(stem))?);
    }
    let drawn = PANELS * MOST_PICTURES;
    let left = inputs.len().saturating_sub(drawn);
    let note =
        if left > 0 { format!(" Of {} columns the first {drawn} are drawn.", inputs.len()) } else { String::new() };
    let text = format!("Each column that the model takes, the most drifted first.{note}");
    Ok(Section { title: "Inputs".to_owned(), text: Some(text), blocks })
}

fn others_section(found: &Drift, columns: &[&ComparedColumn], plots: &Path) -> Result<Section> {
    let mut blocks = vec![Block::Table(table(columns))];
    blocks.extend(reasons(columns));
    blocks.push(picture(found, "Predictions and target", columns, &plots.join("drift_outcomes"))?);
    let text = "What the model predicts, against its predictions for rows that it did not learn from; and the target, where \
                both sides have it. Inputs may drift without either, and a model that answers otherwise than it did deserves \
                a look even where no single input stands out.";
    Ok(Section { title: "Predictions and target".to_owned(), text: Some(text.to_owned()), blocks })
}

fn table(columns: &[&ComparedColumn]) -> Table {
    let mut heads = ["column", "verdict"].map(TableColumn::left).to_vec();
    let figures = ["PSI", "p", "KS", "W / sd", "JS", "missing", "before", "unseen"];
    heads.extend(figures.map(TableColumn::right));
    Table { caption: String::new(), columns: heads, rows: columns.iter().map(|column| row(column)).collect() }
}

/// Why each verdict is what it is, where there is a reason.
fn reasons(columns: &[&ComparedColumn]) -> Option<Block> {
    let told = columns.iter().filter(|column| !column.reasons.is_empty());
    let line = |column: &&ComparedColumn| format!("- `{}`: {}", column.name, column.reasons.join(", "));
    let lines: Vec<String> = told.map(line).collect();
    (!lines.is_empty()).then(|| Block::Text(lines.join("\n")))
}

fn row(column: &ComparedColumn) -> Vec<Cell> {
    let figures = &column.figures;
    let tone = match column.verdict {
        _ if !column.is_judged => Tone::Plain,
        Verdict::Drift => Tone::Bad,
        Verdict::Watch => Tone::Warning,
        Verdict::Stable => Tone::Good,
    };
    let percent = |share: Option<f64>| share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", 100.0 * share));
    let values = [
        shown(figures.psi),
        shown(figures.p_value),
        shown(figures.kolmogorov_smirnov.map(|ks| ks.statistic)),
        shown(figures.wasserstein_sd),
        shown(figures.jensen_shannon),
        percent(figures.missing_share_current),
        percent(figures.missing_share_reference),
        percent(figures.unseen_share),
    ];
    let mut cells = vec![Cell::plain(&column.name), Cell::toned(word(column).to_lowercase(), tone)];
    cells.extend(values.map(Cell::plain));
    cells
}

/// The bins of a column as the picture wants them.
enum Bars<'a> {
    Edges(Vec<f64>),
    Levels(Vec<&'a str>),
}

fn bars(column: &ComparedColumn) -> Bars<'_> {
    let ranges: Option<Vec<(f64, f64)>> = column.histogram.iter().map(|bin| bin.range).collect();
    match ranges {
        Some(ranges) if ranges.len() > 1 => {
            Bars::Edges(ranges.iter().take(1).map(|range| range.0).chain(ranges.iter().map(|range| range.1)).collect())
        }
        _ => Bars::Levels(column.histogram.iter().map(|bin| bin.label.as_str()).collect()),
    }
}

fn picture(found: &Drift, title: &str, columns: &[&ComparedColumn], stem: &Path) -> Result<Block> {
    let prepared: Vec<(Bars, [Vec<f64>; 2], String)> = columns
        .iter()
        .map(|column| {
            let side = |of: fn(&evaluation::drift::HistogramBin) -> f64| column.histogram.iter().map(of).collect();
            let psi = column.figures.psi.map(|psi| format!("PSI {psi:.3}"));
            (bars(column), [side(|bin| bin.reference), side(|bin| bin.current)], psi.unwrap_or_default())
        })
        .collect();
    let panels: Vec<DriftPanel> = columns
        .iter()
        .zip(&prepared)
        .map(|(column, (bars, [reference, current], remark))| DriftPanel {
            feature: &column.name,
            remark,
            is_drift: column.is_judged && column.verdict == Verdict::Drift,
            bins: match bars {
                Bars::Edges(edges) => DriftBins::Edges(edges),
                Bars::Levels(levels) => DriftBins::Levels(levels),
            },
            reference,
            current,
        })
        .collect();
    let name = |side: &super::SideFacts| format!("{} ({} rows)", side.name, side.n_rows);
    let (reference, current) = (name(&found.reference), name(&found.current));
    let spec = DriftHistograms { title, subtitle: "", reference: &reference, current: &current, features: &panels };
    drift_histograms(&spec, stem)?;
    Ok(Block::Figure(Figure { stem: stem.to_owned(), ..Figure::default() }))
}

fn method(config: &Config) -> Section {
    let limits = &config.thresholds;
    let limit = |value: Option<f64>| value.map_or_else(|| "not judged".to_owned(), |value| value.to_string());
    let facts = [
        ("PSI", limit(limits.psi)),
        ("PSI, worth watching", limit(limits.psi_watch)),
        ("Jensen-Shannon distance", limit(limits.jensen_shannon)),
        ("Kolmogorov-Smirnov", limit(limits.kolmogorov_smirnov)),
        ("Wasserstein distance in standard deviations", limit(limits.wasserstein)),
        ("change of the missing share", limit(limits.missing_share)),
        ("unseen share", limit(limits.unseen_share)),
        ("significance", limit(limits.significance)),
        ("share of drifted inputs", limits.drifted_share.to_string()),
    ];
    let facts = facts.map(|(name, value)| (name.to_owned(), value)).to_vec();
    let mut blocks = vec![Block::Facts(facts)];
    if !config.columns.is_empty() {
        let names: Vec<String> = config.columns.keys().map(|name| format!("`{name}`")).collect();
        blocks.push(Block::Text(format!("With limits of their own: {}.", names.join(", "))));
    }
    let text = "A column has drifted when one of its figures is at its limit or above, unless chance alone gives as much \
                (significance). PSI and Jensen-Shannon (JS) compare shares in tenths of the earlier numbers, or of levels; \
                Kolmogorov-Smirnov (KS) and Wasserstein (W, here in standard deviations) the numbers themselves.";
    Section { title: "Limits".to_owned(), text: Some(text.to_owned()), blocks }
}
