//! A page with every kind of block, over the pictures of the gallery.

use std::fs;
use std::path::Path;

use report::{Block, Cell, Document, Error, Figure, Result, Section, Table, TableColumn, Tone};

pub(crate) fn write(folder: &Path) -> Result<()> {
    let page = document(folder);
    let save = |name: &str, text: String| {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|source| Error::Write { path, source })
    };
    save("page.html", page.to_html()?)?;
    save("page.md", page.to_markdown(Path::new("."))?)
}

fn forecasts(folder: &Path) -> Section {
    let names = [
        "forecast_windows_24",
        "error_by_step_24",
        "error_by_slot",
        "residuals_over_time_hourly",
        "series_overview_7_17420",
    ];
    section("Forecasts", "", figures(folder, &names))
}

fn search(folder: &Path) -> Section {
    let names = [
        "search_history_120",
        "parameter_importance",
        "parallel_coordinates_120",
        "search_slices_120",
        "search_contour_120_01",
        "search_timeline_120",
        "pareto_front_120",
    ];
    section("Search", "How the hyperparameters were found.", figures(folder, &names))
}

fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> Vec<(String, String)> {
    pairs.map(|(name, value)| (name.to_string(), value.to_string())).to_vec()
}

fn document(folder: &Path) -> Document {
    Document {
        title: "Evaluation of adult-mlp-128x64".to_string(),
        subtitle: "models:/adult/7 · Adult census income · 16,281 test rows · 2026-03-14".to_string(),
        summary: pairs([
            ("test ROC AUC", "0.9124 [0.9078, 0.9169]"),
            ("test F1", "0.709 [0.697, 0.720]"),
            ("threshold", "0.362 (highest F1 on validation rows)"),
            ("calibration error", "0.008 (0.071 before scaling)"),
            ("worst slice", "0.801 (race=Amer-Indian-Eskimo)"),
            ("gates", "3 of 4 passed"),
        ]),
        sections: vec![
            model_card(),
            metrics(),
            section(
                "Ranking",
                "How well the model puts positives before negatives.",
                figures(folder, &["roc_1", "pr_1", "gain_and_lift_101"]),
            ),
            section(
                "Operating point",
                "",
                figures(folder, &["operating_point_101", "confusion_matrix_2", "score_histograms_16281"]),
            ),
            section(
                "Calibration",
                "Whether of the rows given 70 %, 70 % are positive.",
                figures(folder, &["calibration_scaled", "calibration_1"]),
            ),
            slices(folder),
            section(
                "What the model looks at",
                "",
                figures(folder, &["permutation_importance_14", "partial_dependence_6_1"]),
            ),
            section("Drift", "", figures(folder, &["drift_histograms_6"])),
            forecasts(folder),
            section("Regression", "", figures(folder, &["predicted_vs_actual_4128", "residuals_4128"])),
            search(folder),
            section(
                "More pictures",
                "",
                figures(
                    folder,
                    &[
                        "confusion_matrix_26",
                        "confusion_matrix_10",
                        "roc_10",
                        "learning_curves_60",
                        "fold_scores_5",
                        "model_comparison_9",
                    ],
                ),
            ),
            reproduction(),
        ],
        footer: "Written by `evaluate` 0.1.0 on 2026-03-14 12:31 UTC.".to_string(),
    }
}

fn section(title: &str, text: &str, blocks: Vec<Block>) -> Section {
    Section { title: title.to_string(), text: (!text.is_empty()).then(|| text.to_string()), blocks }
}

fn figures(folder: &Path, names: &[&str]) -> Vec<Block> {
    let figure = |name: &&str| Block::Figure(Figure { stem: folder.join(name), ..Figure::default() });
    names.iter().map(figure).collect()
}

fn model_card() -> Section {
    let facts = pairs([
        ("model", "tabular MLP, 128 and 64 units, ensemble of 5"),
        ("training rows", "29,305 of `data/adult.csv`"),
        ("data digest", "`sha256:9f2c1a77b0d4e8f3a6c5b4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a8b7c6d5e4f3`"),
        ("target", "income: `>50K` or `<=50K`"),
        ("intended use", "Exercises and comparisons of methods. Not for decisions about people."),
        ("out of scope", "Any country but the United States; any year but 1994."),
        ("licence", "CC BY 4.0"),
    ]);
    let limits = "Known limits:\n- Few rows of `race=Amer-Indian-Eskimo`, so its score is uncertain.\n- Income is from 1994 & in dollars of that year; <b>tags</b> are shown as they are.\n\nThe census counts households, *not* people.";
    section(
        "Model card",
        "A network for a table of 14 columns, trained to tell who earns more than 50,000 USD a year.",
        vec![Block::Facts(facts), Block::Text(limits.to_string())],
    )
}

fn metrics() -> Section {
    let rows = [
        ("ROC AUC", "0.9124", "[0.9078, 0.9169]", "0.9141", "0.9203"),
        ("average precision", "0.7811", "[0.7690, 0.7931]", "0.7834", "0.8012"),
        ("log loss", "0.3102", "[0.3034, 0.3173]", "0.3077", "0.2961"),
        ("accuracy", "0.8563", "[0.8509, 0.8617]", "0.8571", "0.8622"),
        ("F1", "0.7090", "[0.6970, 0.7204]", "0.7112", "0.7245"),
    ];
    let row = |r: &(&str, &str, &str, &str, &str)| [r.0, r.1, r.2, r.3, r.4].map(Cell::plain).to_vec();
    let table = Table {
        caption: "Metrics with 95 % bootstrap intervals (1,000 samples)".to_string(),
        columns: vec![
            TableColumn::left("metric"),
            TableColumn::right("test"),
            TableColumn::right("interval"),
            TableColumn::right("valid"),
            TableColumn::right("train"),
        ],
        rows: rows.iter().map(row).collect(),
    };
    let gate = |text: &str, value: &str, passed: bool, reason: &str| {
        let verdict = if passed { Cell::toned("passed", Tone::Good) } else { Cell::toned("failed", Tone::Bad) };
        vec![Cell::plain(format!("`{text}`")), Cell::plain(value), verdict, Cell::plain(reason)]
    };
    let gates = Table {
        caption: "Gates".to_string(),
        columns: vec![
            TableColumn::left("gate"),
            TableColumn::right("value"),
            TableColumn::left("verdict"),
            TableColumn::left("reason"),
        ],
        rows: vec![
            gate("val_auc >= 0.80", "0.9141", true, ""),
            gate(
                "slice race=Amer-Indian-Eskimo test_auc >= 0.84",
                "0.801",
                false,
                "0.039 below the limit, on 159 rows",
            ),
            gate("latency_ms_p99 <= 5", "1.8", true, ""),
            gate(
                "not worse than @champion by more than 0.002 with 95 % confidence",
                "−0.0003",
                true,
                "difference −0.0003 [−0.0011, 0.0006]",
            ),
        ],
    };
    let note = |tone, text: &str| Block::Note { tone, text: text.to_string() };
    section(
        "Metrics and gates",
        "",
        vec![
            note(Tone::Bad, "One gate failed: `slice race=Amer-Indian-Eskimo test_auc >= 0.84`."),
            Block::Table(gates),
            Block::Table(table),
            note(Tone::Warning, "2 of 14 columns have drifted."),
            note(Tone::Good, "No row of the test file is also a training row."),
            note(Tone::Plain, "Intervals are percentiles of the bootstrap.\n- One\n- Two"),
        ],
    )
}

fn slices(folder: &Path) -> Section {
    let columns = [
        "slice",
        "rows",
        "share",
        "ROC AUC",
        "interval",
        "F1",
        "interval",
        "precision",
        "recall",
        "accuracy",
        "log loss",
        "Brier score",
    ];
    let column = |(i, name): (usize, &&str)| if i == 0 { TableColumn::left(*name) } else { TableColumn::right(*name) };
    let row = |i: usize| {
        let name = format!("native-country=Outlying-US(Guam-USVI-etc) {i}");
        let tone = if i < 3 {
            Tone::Bad
        } else if i < 6 {
            Tone::Warning
        } else {
            Tone::Plain
        };
        let number = |of: f64| Cell::plain(format!("{:.4}", of + 0.002 * i as f64));
        let mut cells = vec![
            Cell::plain(name),
            Cell::plain(format!("{}", 40 + 37 * i)),
            Cell::plain(format!("{:.1}%", 0.3 * i as f64)),
        ];
        cells.push(Cell::toned(format!("{:.4}", 0.801 + 0.003 * i as f64), tone));
        cells.push(Cell::plain("[0.7923, 0.8441]"));
        cells.push(number(0.61));
        cells.push(Cell::plain("[0.5712, 0.6630]"));
        cells.extend([0.62, 0.58, 0.83, 0.39, 0.11].map(number));
        cells
    };
    let table = Table {
        caption: "All slices, worst first".to_string(),
        columns: columns.iter().enumerate().map(column).collect(),
        rows: (0..34).map(row).collect(),
    };
    let mut blocks = figures(folder, &["slice_scores_12"]);
    blocks.push(Block::Table(table));
    section(
        "Slices",
        "The same metrics on parts of the test rows, worst first. A slice whose interval lies below the metric on all rows is worse by more than chance.",
        blocks,
    )
}

fn reproduction() -> Section {
    let command = "cargo run --bin train_tabular_mlp -- --config configs/train_tabular_baseline.yaml --set seed=1\ncargo run --bin evaluate -- --model models:/adult/7 --data data/adult.csv # and one line that is much longer than a phone is wide";
    section("How to reproduce", "", vec![Block::Code(command.to_string())])
}
