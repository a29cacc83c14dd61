//! The data report: findings on a made-up table, figures on public data that is not part of the project.
//!
//! Figures: pandas 3.1 (`isna`, `nunique`, `describe`), numpy 2 (PSI by its formula over `np.quantile` bins,
//! half a row added to each), scipy 1.17
//! (`ks_2samp`), scikit-learn 1.9.1 (`roc_auc_score`).

#![allow(clippy::unwrap_used)]

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use dataset::*;

fn report(data: &DataConfig, features: &FeaturesConfig) -> DataReport {
    Source::open(data, features, 1).unwrap().report().unwrap()
}

/// A number from 0 to 1 that looks random.
fn noise(row: usize, column: usize) -> f64 {
    let mixed = (row * 7919 + column * 104_729 + 12_345) as f64;
    ((mixed.sin() * 43_758.545_3).fract()).abs()
}

/// 1,000 rows with one of each fault.
fn faulty() -> (tempfile::TempDir, DataConfig) {
    let mut text = "key,fine,copy,fixed,gaps,told,region,late,city,mostly,code,y,part\n".to_string();
    for row in 0..1000 {
        let y = noise(row, 0) < if row < 600 { 0.3 } else { 0.6 };
        let part = ["train", "valid", "test"][if row < 600 { 0 } else { 1 + usize::from(row >= 800) }];
        let fine = (noise(row, 1) * 100.0).round() / 10.0;
        let gap = if noise(row, 2) < 0.7 { String::new() } else { fine.to_string() };
        let told = if y { 5.0 + noise(row, 3) } else { noise(row, 3) };
        let region = format!("{}{}", if y { "n" } else { "s" }, row % 4);
        let late = noise(row, 4) + if row < 800 { 0.0 } else { 0.5 };
        let city = format!("c{}", row * 31 % 211);
        let mostly = if y || noise(row, 5) < 0.002 { "" } else { "x" };
        let _ = writeln!(
            text,
            "{},{fine},{fine},7,{gap},{told:.3},{region},{late:.3},{city},{mostly},{},{y},{part}",
            9000 - row,
            row % 10
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("faulty.csv");
    fs::write(&path, text).unwrap();
    let mut data = DataConfig { path: Some(path), target: "y".to_string(), ..DataConfig::default() };
    data.split.column = Some("part".to_string());
    (folder, data)
}

#[test]
fn each_fault_is_found_once() {
    let (_folder, data) = faulty();
    let report = report(&data, &FeaturesConfig::default());
    let found: Vec<(WarningKind, String)> =
        report.warnings.iter().map(|warning| (warning.kind, warning.columns.join(","))).collect();
    use WarningKind::{Drift, DuplicateColumns, Encoding, Identifier, Leak, ManyLevels, Missing};
    let expected = [
        (Encoding, ""),
        (Identifier, "key"),
        (Drift, "key"),
        (Drift, "key"),
        (Missing, "gaps"),
        (Leak, "told"),
        (Drift, "told"),
        (Drift, "told"),
        (Leak, "region"),
        (Drift, "region"),
        (Drift, "late"),
        (ManyLevels, "city"),
        (Leak, "mostly"),
        (Drift, "mostly"),
        (DuplicateColumns, "fine,copy"),
        (Drift, "y"),
        (Drift, "y"),
    ];
    assert_eq!(found, expected.map(|(kind, columns)| (kind, columns.to_string())), "{:#?}", report.warnings);
    assert_eq!(report.columns.iter().filter(|column| column.role == Role::Dropped).count(), 1, "the constant column");
    assert!(report.warnings.iter().all(|warning| warning.message.len() < 200));
}

#[test]
fn good_data_have_no_warnings() {
    let wines = DataConfig { source: Some(Builtin::WineQuality), target: "quality".into(), ..DataConfig::default() };
    let report = report(&wines, &FeaturesConfig::default());
    let kinds: Vec<WarningKind> = report.warnings.iter().map(|warning| warning.kind).collect();
    // The wines hold 240 duplicates (pandas: `duplicated().sum()`), so many test rows have a twin in train.
    assert_eq!(kinds, [WarningKind::RepeatedRows; 2], "{:?}", report.warnings);
    assert_eq!(report.columns[0].alone.as_ref().unwrap().measure, "accuracy");
}

fn report_of(text: &str, change: impl Fn(&mut DataConfig)) -> DataReport {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made_up.csv");
    fs::write(&path, text).unwrap();
    let mut data = DataConfig { path: Some(path), target: "y".to_string(), ..DataConfig::default() };
    change(&mut data);
    report(&data, &FeaturesConfig::default())
}

/// Noise in columns of many levels, small parts, few rows of a class, few levels, numbers far apart: nothing to say.
#[test]
fn chance_is_no_warning() {
    let level = |row, column, n: f64| (noise(row, column) * n) as usize;
    let levels: String = (0..600).map(|row| format!("l{},{}\n", level(row, 1, 40.0), noise(row, 2))).collect();
    assert_eq!(report_of(&format!("x,y\n{levels}"), |_| {}).warnings, [], "40 levels in 120 rows");

    let classes: String = (0..500).map(|row| format!("{},c{}\n", noise(row, 1), level(row, 2, 18.0))).collect();
    let dealt = |data: &mut DataConfig| data.split.stratify = false;
    assert_eq!(report_of(&format!("x,y\n{classes}"), dealt).warnings, [], "18 classes in 100 rows");

    let alike: String = (0..1000).map(|row| format!("{},{},{}\n", row % 5, row % 3, row % 2)).collect();
    let report = report_of(&format!("a,b,y\n{alike}"), |_| {});
    assert_eq!((report.warnings.as_slice(), report.repeated_rows[1].repeated), (&[][..], 200), "30 kinds of rows");

    let rare: String = (0..600).map(|row| format!("{},{}\n", noise(row, 1) + f64::from(row < 4), row < 4)).collect();
    assert_eq!(report_of(&format!("x,y\n{rare}"), |_| {}).warnings, [], "4 rows are separated by luck");

    let far: String = (0..600).map(|row| format!("{},{}\n", row * row + 17, noise(row, 1))).collect();
    assert_eq!(report_of(&format!("x,y\n{far}"), |_| {}).warnings, [], "no identifier");
    let named = report_of(&format!("user_ID,y\n{far}"), |_| {});
    assert_eq!(named.warnings[0].kind, WarningKind::Identifier);
}

#[test]
fn rows_that_an_identifier_tells_apart_or_that_are_empty_do_not_repeat() {
    let rows: String = (0..600).map(|row| format!("{row},{},{}\n", row % 50, usize::from(row % 3 == 0))).collect();
    let with_id = report_of(&format!("id,x,y\n{rows}"), |data| data.id_columns = vec!["id".to_string()]);
    assert_eq!((with_id.repeated_rows[1].repeated, with_id.warnings.len()), (0, 0), "{:?}", with_id.warnings);
    let rows = rows.lines().map(|row| row.split_once(',').unwrap().1).collect::<Vec<_>>().join("\n");
    let without = report_of(&format!("x,y\n{rows}"), |_| {});
    assert_eq!((without.repeated_rows[1].repeated, without.warnings[0].kind), (120, WarningKind::RepeatedRows));
    let empty = |row: usize| if row.is_multiple_of(2) { String::new() } else { noise(row, 1).to_string() };
    let rows: String = (0..600).map(|row| format!("{},{}\n", empty(row), row % 4 / 2)).collect();
    let report = report_of(&format!("x,y\n{rows}"), |_| {});
    assert!(report.repeated_rows.iter().all(|of| of.repeated == 0 && of.compared < 120), "{:?}", report.repeated_rows);
}

#[test]
fn nearly_all_is_not_100_percent() {
    let gap = |row: usize| if row.is_multiple_of(1200) { row.to_string() } else { String::new() };
    let rows: String = (0..20_000).map(|row| format!("{},{},{}\n", gap(row), noise(row, 1), noise(row, 2))).collect();
    let report = report_of(&format!("gap,x,y\n{rows}"), |_| {});
    let is_said = report.warnings.iter().any(|of| of.message == "column `gap` is missing in 99.9 % of the rows");
    assert!(is_said, "{:?}", report.warnings);
}

#[test]
fn copies_in_the_test_part_are_counted() {
    let (folder, mut data) = faulty();
    let text = fs::read_to_string(data.path.as_ref().unwrap()).unwrap();
    let copies: Vec<String> = text.lines().skip(1).take(20).map(|line| line.replace(",train", ",test")).collect();
    let path = folder.path().join("copies.csv");
    fs::write(&path, text + &copies.join("\n")).unwrap();
    data.path = Some(path);
    let report = report(&data, &FeaturesConfig::default());
    let repeated: Vec<(usize, usize)> = report.repeated_rows.iter().map(|of| (of.repeated, of.compared)).collect();
    assert_eq!(repeated, [(0, 200), (20, 220)]);
    let warning = report.warnings.iter().find(|warning| warning.kind == WarningKind::RepeatedRows).unwrap();
    assert!(warning.message.contains("20 of 220 test rows (9.1 %) occur in train"), "{}", warning.message);
}

#[test]
fn texts_are_whole_and_narrow() {
    let (_folder, data) = faulty();
    let report = report(&data, &FeaturesConfig::default());
    let text = report.to_text();
    assert!(text.lines().count() <= 25, "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
    assert!(text.contains("`y` in train / valid / test: false 67.7% / 44.5% / 33.5%"), "{text}");
    let markdown = report.to_markdown();
    let rows = markdown.lines().filter(|line| line.starts_with("| ") && line.matches(" | ").count() == 13).count();
    assert_eq!(rows, 14, "a head and 13 columns: {markdown}");
    let html = report.to_html();
    assert!(html.starts_with("<!doctype html>") && !html.contains("http"));
    assert_eq!(html.matches("<tr").count(), html.matches("</tr>").count());
    assert_eq!(html.matches("<svg").count(), 8, "a histogram per numeric column");
    let json: serde_json::Value = serde_json::from_str(&report.to_json().unwrap()).unwrap();
    assert_eq!(json["columns"].as_array().unwrap().len(), 13);
    assert_eq!(json["warnings"][1]["kind"], "identifier");
}

#[test]
fn wide_data_are_cut_on_the_console_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wide.csv");
    let mut text: String =
        (0..200).map(|column| format!("a_rather_long_column_name_{column},")).collect::<String>() + "y\n";
    for row in 0..300 {
        (0..200).for_each(|column| text += &format!("{},", if column == 7 { row as f64 } else { noise(row, column) }));
        text += &format!("{}\n", noise(row, 999));
    }
    fs::write(&path, text).unwrap();
    let data = DataConfig { path: Some(path), target: "y".to_string(), ..DataConfig::default() };
    let report = report(&data, &FeaturesConfig::default());
    let text = report.to_text();
    assert!(text.contains("a_rather_long_column_…") && text.lines().count() <= 25, "{text}");
    assert!(text.contains("more columns, all of them in the report"), "{text}");
    assert_eq!(report.to_markdown().matches("| feature |").count(), 200);
}

fn public(file: &str, target: &str) -> Option<DataConfig> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")).join(file);
    if !path.exists() {
        eprintln!("skipped: there is no {}", path.display());
        return None;
    }
    Some(DataConfig { path: Some(path), target: target.to_string(), ..DataConfig::default() })
}

fn column<'a>(report: &'a DataReport, name: &str) -> &'a ColumnReport {
    report.columns.iter().find(|column| column.name == name).unwrap()
}

fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-9 * expected.abs().max(1.0), "{found} is not {expected}");
}

#[test]
fn adult_has_the_figures_of_pandas_and_scipy() {
    let Some(mut data) = public("adult.csv", "class") else { return };
    data.split.column = Some("split".to_string());
    let report = report(&data, &FeaturesConfig::default());
    for (name, missing, distinct) in
        [("workclass", 2799, 8), ("occupation", 2809, 14), ("native_country", 857, 41), ("fnlwgt", 0, 28_523)]
    {
        assert_eq!((column(&report, name).missing, column(&report, name).distinct), (missing, distinct), "{name}");
    }
    let age = column(&report, "age").numbers.as_ref().unwrap();
    close(age.mean, 38.64358543876172);
    close(age.std, 13.71036957798689);
    assert_eq!((age.min, age.quantiles, age.max), (17.0, [19.0, 28.0, 37.0, 48.0, 63.0], 90.0));
    let drift = &column(&report, "age").drift;
    close(drift[0].stability_index, 0.0016175809378484315);
    close(drift[1].stability_index, 0.0013775910216248146);
    close(drift[0].kolmogorov_smirnov.unwrap(), 0.008047668601560809);
    close(drift[1].kolmogorov_smirnov.unwrap(), 0.008841319553384297);
    close(column(&report, "occupation").drift[0].stability_index, 0.002571717216666148);
    close(column(&report, "workclass").drift[1].stability_index, 0.0005098984730420616);
    let areas = [("age", 0.683378225021932), ("education_num", 0.7184618001456283), ("fnlwgt", 0.5047749561008661)];
    for (name, area) in areas {
        close(column(&report, name).alone.as_ref().unwrap().value, area);
    }
    assert_eq!([&report.repeated_rows[0], &report.repeated_rows[1]].map(|of| of.repeated), [10, 18]);
    assert_eq!(report.warnings, [], "good data");
}

#[test]
fn titanic_shows_its_faults() {
    let Some(data) = public("titanic_train.csv", "Survived") else { return };
    let report = report(&data, &FeaturesConfig::default());
    let expected = [("Age", 177, 88), ("Ticket", 0, 681), ("Fare", 0, 248), ("Cabin", 687, 147), ("Embarked", 2, 3)];
    for (name, missing, distinct) in expected {
        assert_eq!((column(&report, name).missing, column(&report, name).distinct), (missing, distinct), "{name}");
    }
    let fare = column(&report, "Fare").numbers.as_ref().unwrap();
    close(fare.mean, 32.204207968574636);
    close(fare.std, 49.6655344447741);
    close(fare.quantiles[4], 112.07915);
    let level = |level: &LevelCount| (level.level.clone(), level.count);
    let levels: Vec<(String, usize)> = column(&report, "Embarked").levels.iter().map(level).collect();
    assert_eq!(levels, [("S".to_string(), 644), ("C".to_string(), 168), ("Q".to_string(), 77)]);
    for (column, kind) in
        [("PassengerId", WarningKind::Identifier), ("Cabin", WarningKind::Missing), ("Name", WarningKind::Encoding)]
    {
        let is_named = |warning: &&DataWarning| warning.kind == kind && warning.message.contains(column);
        assert_eq!(report.warnings.iter().filter(is_named).count(), 1, "{column}: {:#?}", report.warnings);
    }
    println!("{}", report.to_text());
    report.warnings.iter().for_each(|warning| println!("{}", warning.message));
}

#[test]
fn california_has_the_figures_of_pandas() {
    let Some(data) = public("california_housing_raw.csv", "median_house_value") else { return };
    let report = report(&data, &FeaturesConfig::default());
    let bedrooms = column(&report, "total_bedrooms");
    assert_eq!((bedrooms.missing, bedrooms.distinct), (207, 1923));
    let numbers = bedrooms.numbers.as_ref().unwrap();
    close(numbers.mean, 537.8705525375618);
    close(numbers.std, 421.37475856260727);
    close(numbers.quantiles[4], 1275.4);
    assert_eq!(column(&report, "ocean_proximity").levels[0].count, 9136);
    assert_eq!(column(&report, "median_income").alone.as_ref().unwrap().measure, "spearman");
    assert_eq!(report.warnings, [], "good data");
    println!("{}", report.to_text());
}

/// Writes pages to look at: `REPORT_FOLDER=/tmp/x cargo test --workspace --test data_report -- --ignored pages`.
#[test]
#[ignore = "writes files"]
fn pages_to_look_at() {
    let folder = PathBuf::from(std::env::var("REPORT_FOLDER").unwrap());
    let (_guard, faulty) = faulty();
    for (name, data) in [
        ("faulty", Some(faulty)),
        ("titanic", public("titanic_train.csv", "Survived")),
        ("california", public("california_housing_raw.csv", "median_house_value")),
    ] {
        let Some(data) = data else { continue };
        let report = report(&data, &FeaturesConfig::default());
        fs::write(folder.join(format!("{name}.html")), report.to_html()).unwrap();
        fs::write(folder.join(format!("{name}.md")), report.to_markdown()).unwrap();
        fs::write(folder.join(format!("{name}.txt")), report.to_text()).unwrap();
    }
}
