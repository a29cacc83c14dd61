//! Exported forecasters give what ours give: each is trained by the program, and a Python script runs its graph on the raw
//! file.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod support;

use std::env;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use app::bundle::TrainedModel;
use app::export::series;
use app::forecast::job::load;
use app::forecast::outputs::ForecastNet;
use burn::tensor::Device;
use dataset::SeriesEncoder;
use serde_json::json;
use support::{Finished, Workdir};

/// The settings that all share.
const COMMON: &str = "\
seed: 7
baselines: []
training: {epochs: 2, warmup_epochs: 0, batch_size: 32, learning_rate: 2.0e-3}
mlflow: {enabled: false}
";

/// Trains, exports, and lets Python compare. `settings` is YAML; the file is `data.csv`.
fn check(data: &str, settings: &str, time_format: Option<&str>) -> series::SeriesExport {
    let dir = Workdir::new();
    dir.write("data.csv", data);
    dir.write("run.yaml", format!("{COMMON}{settings}"));
    let command = dir.command_of(env!("CARGO_BIN_EXE_train_ts_mlp"), &["--config", "run.yaml", "--json"]).output();
    let finished = Finished::from(command.unwrap()).ok();
    let folder = dir.path(finished.json()["outputs"].as_str().unwrap());

    let model = TrainedModel::<ForecastNet>::read(&folder.join("model")).unwrap();
    let encoder = SeriesEncoder::from_json(&model.preprocessor).unwrap();
    let (device, net) = (Device::flex(), &model.net);
    let networks: Vec<_> =
        model.weights.iter().map(|path| load(&net.model, &net.shape, path, &device).unwrap()).collect();
    let bundle = fs::read_to_string(folder.join("model/bundle.json")).unwrap();
    let bundle: serde_json::Value = serde_json::from_str(&bundle).unwrap();
    let export = || series::graph(net, &encoder, &networks, &bundle["schema"].to_string()).unwrap();
    let exported = export();
    assert_eq!(exported, export(), "the same model gives the same bytes");

    let onnx = dir.write("model.onnx", &exported.bytes);
    let columns = |columns: &[series::Column]| -> Vec<_> {
        columns.iter().map(|(name, element, meaning)| json!([name, format!("{element:?}"), meaning])).collect()
    };
    let data = encoder.data();
    let spec = json!({
        "onnx": onnx,
        "file": dir.path("data.csv"),
        "predictions": folder.join("predictions/test_predictions.csv"),
        "time": data.time,
        "time_format": time_format,
        "epoch": exported.inputs.iter().any(|(_, _, meaning)| meaning.contains("seconds since")),
        "group": data.group,
        "targets": data.targets,
        "rows_per_window": exported.rows_per_window,
        "horizon": exported.horizon,
        "ahead": exported.has_horizon,
        "inputs": columns(&exported.inputs),
        "outputs": columns(&exported.outputs),
    });
    let spec = dir.write("spec.json", spec.to_string());
    compare(&spec);
    exported
}

fn compare(spec: &Path) {
    let Some(python) = env::var_os("MLFLOW_PYTHON") else {
        println!("skipped: MLFLOW_PYTHON names no Python with onnx, onnxruntime and pandas");
        return;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/py/check_series.py");
    let out = Command::new(python).arg(script).arg(spec).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    println!("{said}");
    assert!(out.status.success(), "{said}");
}

/// Year, month and day that many days after 2023-10-01.
fn date(day: usize) -> (usize, usize, usize) {
    let (mut rest, mut place) = (day, 9);
    loop {
        let (year, month) = (2023 + place / 12, place % 12);
        let length = [31, if year == 2024 { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month];
        if rest < length {
            return (year, month + 1, rest + 1);
        }
        rest -= length;
        place += 1;
    }
}

/// An uneven number from 0 to 96.
fn noise(i: usize) -> usize {
    (i * i * 31 + i * 17) % 97
}

/// Daily sales of two shops over 300 days; in the last 30 it hails, which no train row knows.
fn shops(names: [&str; 2]) -> String {
    let mut text = "day,shop,sales,promotion,weather,plan\n".to_owned();
    for (shop, name) in names.into_iter().enumerate() {
        for i in 0..300 {
            let (year, month, day) = date(i);
            let sales = 100.0 + 10.0 * (i % 7) as f64 + 50.0 * shop as f64 + noise(i + 11 * shop) as f64 / 10.0;
            let weather = if i > 270 && i % 3 == 0 { "hail" } else { ["dry", "wet", "snow", ""][noise(i) % 4] };
            let plan = ["sale", "usual"][usize::from(i % 9 > 1)];
            let promotion = usize::from(i % 11 == 0);
            writeln!(text, "{year}-{month:02}-{day:02},{name},{sales},{promotion},{weather},{plan}").unwrap();
        }
    }
    text
}

const SHOPS: &str = "
data:
  path: data.csv
  time: day
  group: shop
  targets: [sales]
  past_covariates: [weather]
  future_covariates: [promotion, plan]
windows: {lookback: 14, horizon: 5}
";

#[test]
fn grouped_series_with_texts_lags_and_rolling_statistics() {
    let settings = format!(
        "{SHOPS}
features:
  lags: [7, 1, 3]
  differences: [1, 7]
  rolling: {{windows: [3, 6], statistics: [mean, std, min, max, median]}}
model: {{kind: mlp, hidden_dims: [16], quantiles: [0.1, 0.5, 0.9], norm: batch}}
ensemble: 2
interval_coverage: 0.8
"
    );
    let exported = check(&shops(["north", "south"]), &settings, None);
    let outputs: Vec<&str> = exported.outputs.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(outputs, ["sales_pred", "sales_lower", "sales_upper", "sales_q0.1", "sales_q0.5", "sales_q0.9"]);
    let inputs: Vec<&str> = exported.inputs.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(inputs, ["day", "shop", "sales", "promotion", "weather", "plan"]);
    // Lag 7 and look-back, then the horizon.
    assert_eq!((exported.rows_per_window, exported.horizon), (7 + 14 + 5, 5));
}

#[test]
fn groups_with_numbers_for_names_and_one_scale() {
    let settings =
        format!("{SHOPS}\nfeatures: {{calendar: []}}\nmodel: {{kind: tide, hidden_size: 16, temporal_hidden: 8}}\n");
    check(&shops(["1", "22"]), &settings, None);
    let settings = format!("{SHOPS}\nfeatures: {{per_series: false, scaling: min_max}}\nmodel: {{kind: tsmixer}}\n");
    check(&shops(["1", "22"]), &settings, None);
}

/// Hourly, two targets, a holiday of which only the row at midnight tells. `time` writes year, month, day and hour.
fn hours(header: &str, time: impl Fn(usize, usize, usize, usize) -> String) -> String {
    let mut text = format!("{header},load,price,holiday\n");
    for i in 0..24 * 120 {
        let (year, month, day) = date(i / 24);
        let load = 100 + 10 * (i % 24) + noise(i);
        let price = 5.0 + 0.25 * ((i / 24) % 7) as f64 + noise(i + 3) as f64 / 100.0;
        let holiday = if i % 24 == 0 && (i / 24) % 6 == 2 { "Founders Day" } else { "None" };
        writeln!(text, "{},{load},{price},{holiday}", time(year, month, day, i % 24)).unwrap();
    }
    text
}

const HOURS: &str = "
windows: {lookback: 24, horizon: 12, stride: 7, eval_stride: 5}
model: {kind: mlp, hidden_dims: [16], mix_channels: true}
";

#[test]
fn calendar_and_holidays_in_many_ways_of_writing_the_time() {
    let all = "[hour, minute, weekday, day, month, quarter, is_weekend, day_of_year]";
    let iso = hours("at", |y, m, d, h| format!("{y}-{m:02}-{d:02}T{h:02}:00:00.0+02:00"));
    let data = "data: {path: data.csv, time: at, targets: [load, price], holiday: holiday}";
    let exported =
        check(&iso, &format!("{data}\nfeatures: {{calendar: {all}, calendar_encoding: cyclic}}\n{HOURS}"), None);
    assert_eq!(exported.rows_per_window, 23 + 24 + 12, "a holiday may be told at midnight");
    assert_eq!(exported.inputs[0].0, "at");

    let dots = hours("at", |y, m, d, h| format!("{d:02}.{m:02}.{y} {h:02}:00"));
    let dotted = "%d.%m.%Y %H:%M";
    let data = "data: {path: data.csv, time: at, time_format: '%d.%m.%Y %H:%M', targets: [load], holiday: holiday}";
    check(&dots, &format!("{data}\nfeatures: {{calendar: {all}}}\n{HOURS}"), Some(dotted));

    let digits = hours("at", |y, m, d, h| format!("{y}{m:02}{d:02}{h:02}"));
    let data = "data: {path: data.csv, time: at, time_format: '%Y%m%d%H', targets: [load]}";
    check(&digits, &format!("{data}\nfeatures: {{calendar: {all}, lags: [24]}}\n{HOURS}"), Some("%Y%m%d%H"));

    let names = |m: usize| ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][m - 1];
    let named = hours("at", |y, m, d, h| format!("{d:02}-{}-{:02} {h:02}", names(m), y % 100));
    let data = "data: {path: data.csv, time: at, time_format: '%d-%b-%y %H', targets: [price]}";
    check(&named, &format!("{data}\nfeatures: {{calendar: {all}}}\n{HOURS}"), Some("%d-%b-%y %H"));

    // No graph takes these apart: the time enters as a number.
    let together = hours("at", |y, m, d, h| format!("{d:02}{}{y} {h:02}", names(m)));
    let data = "data: {path: data.csv, time: at, time_format: '%d%b%Y %H', targets: [price], holiday: holiday}";
    let exported = check(&together, &format!("{data}\nfeatures: {{calendar: {all}}}\n{HOURS}"), Some("%d%b%Y %H"));
    assert!(exported.inputs[0].2.contains("seconds since 1970"), "{:?}", exported.inputs[0]);
}

#[test]
fn networks_without_covariates_take_nothing_but_targets() {
    let data = hours("at", |y, m, d, h| format!("{y}-{m:02}-{d:02} {h:02}:00"));
    for (targets, model) in [
        ("[load]", "{kind: nlinear}"),
        ("[load]", "{kind: linear}"),
        ("[load, price]", "{kind: dlinear, individual: true, quantiles: [0.2, 0.5, 0.8]}"),
        ("[load, price]", "{kind: rlinear, mix_channels: true}"),
    ] {
        let settings = format!(
            "data: {{path: data.csv, time: at, targets: {targets}}}\nwindows: {{lookback: 24, horizon: 6, stride: 7}}\n\
             model: {model}\n"
        );
        let exported = check(&data, &settings, None);
        assert_eq!(exported.inputs.len(), if targets == "[load]" { 1 } else { 2 });
        assert_eq!(exported.rows_per_window, 24);
    }
}
