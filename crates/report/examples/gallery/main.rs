//! Draws every kind of picture with made-up numbers, and a page with them: `cargo run -p report --example gallery -- FOLDER`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use report::{
    Band, Calibration, CalibrationBin, CalibrationCurve, ConfusionMatrix, CurvePanel, ErrorByStep, FoldMetric,
    FoldScores, ForecastWindow, ForecastWindows, Importance, Interval, LearningCurves, LearningRateFinder,
    LearningRateSchedule, ModelComparison, ModelScore, PermutationImportance, Predictions, RankingCurve, RankingCurves,
    ResidualsOverTime, Result, ScoreGroup, ScoreHistograms, Series, SeriesOverview, SeriesPanel, SeriesPart,
    StepErrors, calibration, confusion_matrix, error_by_step, fold_scores, forecast_windows, learning_curves,
    learning_rate_finder, learning_rate_schedule, model_comparison, permutation_importance, pr_curve,
    predicted_vs_actual, residuals, residuals_over_time, roc_curve, score_histograms, series_overview,
};

mod judging;
mod page;
mod search;

fn main() -> Result<()> {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| "gallery".to_string()));
    std::fs::create_dir_all(&folder).map_err(|source| report::Error::Write { path: folder.clone(), source })?;
    for (epochs, planned) in [(60, 100), (3, 3), (1, 1), (5_000, 5_000)] {
        draw_learning_curves(epochs, planned, &folder.join(format!("learning_curves_{epochs}")))?;
    }
    for classes in [1, 2, 3, 4, 10, 26] {
        draw_ranking(classes, &folder)?;
    }
    for classes in [2, 3, 4, 10, 26, 30] {
        draw_confusion(classes, &folder.join(format!("confusion_matrix_{classes}")))?;
    }
    for rows in [0, 1, 40, 4_128, 500_000] {
        draw_regression(rows, &folder)?;
    }
    for classes in [0, 1, 3, 4, 10, 26] {
        draw_calibration(classes, &folder.join(format!("calibration_{classes}")))?;
    }
    for rows in [0, 1, 16_281, 300_000] {
        draw_scores(rows, &folder)?;
    }
    for features in [0, 1, 14, 105, 1_000] {
        draw_importance(features, &folder.join(format!("permutation_importance_{features}")))?;
    }
    draw_ugly_importance(&folder)?;
    draw_learning_rates(&folder)?;
    for models in [0, 1, 9, 60] {
        draw_comparison(models, &folder.join(format!("model_comparison_{models}")))?;
    }
    draw_ugly_comparisons(&folder)?;
    for folds in [0, 1, 5, 50] {
        draw_folds(folds, &folder.join(format!("fold_scores_{folds}")))?;
    }
    for (series, steps) in [(1, 50_000), (1, 20), (7, 17_420), (30, 400)] {
        draw_series(series, steps, &folder.join(format!("series_overview_{series}_{steps}")))?;
    }
    for horizon in [1, 24, 96, 720] {
        draw_forecasts(horizon, &folder)?;
    }
    draw_residuals_over_time(&folder)?;
    judging::draw_all(&folder)?;
    search::draw_all(&folder)?;
    page::write(&folder)
}

/// A small linear congruential generator: pictures must not change from run to run.
struct Noise(u64);

impl Noise {
    /// Uniform in 0..1.
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Nearly standard normal: twelve uniform numbers, summed.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

fn draw_learning_curves(epochs: usize, planned: usize, stem: &Path) -> Result<()> {
    let mut noise = Noise(7);
    let progress: Vec<f64> = (1..=epochs).map(|e| e as f64 / epochs.max(60) as f64).collect();
    let train: Vec<f64> = progress.iter().map(|t| 0.27 + 0.25 * (-6.0 * t).exp() - 0.03 * t).collect();
    let val: Vec<f64> =
        progress.iter().map(|t| 0.29 + 0.22 * (-7.0 * t).exp() + 0.03 * t * t + 0.004 * noise.normal()).collect();
    let auc: Vec<f64> = val.iter().map(|loss| 0.928 - (loss - 0.29).abs() * 0.35 + 0.0006 * noise.normal()).collect();
    let rate: Vec<f64> = progress.iter().map(|t| 1e-5 + 1e-3 * 0.5 * (1.0 + (t * 3.1).cos())).collect();
    let best = auc.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map(|(i, _)| i + 1);
    let series = |name, values| Series { name, values };
    let spec = LearningCurves {
        title: "Learning curves",
        subtitle: "adult-mlp-128x64 · Adult census income · 32,561 train, 3,256 validation rows",
        panels: vec![
            CurvePanel {
                label: "Cross-entropy loss",
                series: vec![series("train", &train), series("val", &val)],
                log_if_wide: true,
            },
            CurvePanel { label: "ROC AUC", series: vec![series("val", &auc)], log_if_wide: false },
            CurvePanel { label: "learning rate", series: vec![series("learning rate", &rate)], log_if_wide: true },
        ],
        best_epoch: best,
        best_series: "val",
        planned_epochs: planned,
    };
    learning_curves(&spec, stem)
}

struct Ranked {
    roc: Vec<(f64, f64)>,
    pr: Vec<(f64, f64)>,
    auc: f64,
    average_precision: f64,
}

/// Both curves of normal scores, those of the positive rows higher by `separation`.
fn rank(separation: f64, positives: usize, rows: usize) -> Ranked {
    let mut noise = Noise(11 + (separation * 1000.0) as u64);
    let mut scores: Vec<(f64, bool)> =
        (0..rows).map(|i| (noise.normal() + if i < positives { separation } else { 0.0 }, i < positives)).collect();
    scores.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut hits, mut misses, mut auc, mut precision_sum) = (0.0, 0.0, 0.0, 0.0);
    let (mut roc, mut pr) = (vec![(0.0, 0.0)], vec![(0.0, 1.0)]);
    let (positives, negatives) = (positives as f64, (rows - positives) as f64);
    for (_, positive) in scores {
        if positive {
            hits += 1.0;
            precision_sum += hits / (hits + misses);
        } else {
            misses += 1.0;
            auc += hits;
        }
        roc.push((misses / negatives, hits / positives));
        pr.push((hits / positives, hits / (hits + misses)));
    }
    Ranked { roc, pr, auc: auc / (positives * negatives), average_precision: precision_sum / positives }
}

fn class_names(classes: usize) -> Vec<String> {
    match classes {
        1 => vec![">50K".to_string()],
        2 => ["≤50K", ">50K"].map(String::from).to_vec(),
        3 => ["setosa", "versicolor", "virginica"].map(String::from).to_vec(),
        4 => [
            "Self-employed, not incorporated, without any employees at all",
            "Self-employed, incorporated, with one or several employees",
            "Without pay, in the business or on the farm of a relative",
            "東京 & Παρίσι <b>",
        ]
        .map(String::from)
        .to_vec(),
        10 => [
            "Adm-clerical",
            "Exec-managerial",
            "Craft-repair",
            "Prof-specialty",
            "Machine-op-inspct",
            "Other-service",
            "Handlers-cleaners and general labour of all kinds",
            "Tech-support",
            "Protective-serv",
            "Armed-Forces",
        ]
        .map(String::from)
        .to_vec(),
        _ => (0..classes).map(|i| format!("{}{}", char::from(b'A' + (i % 26) as u8), "′".repeat(i / 26))).collect(),
    }
}

fn draw_ranking(classes: usize, folder: &Path) -> Result<()> {
    let names = class_names(classes);
    let rows = 16_281;
    let positives = |i: usize| if classes == 1 { 3_846 } else { rows / (classes + i % 3) };
    let ranked: Vec<_> = (0..classes).map(|i| rank(2.05 - 0.06 * (i * 7 % 26) as f64, positives(i), rows)).collect();
    // Normal intervals around each rate, a little wide, to be seen.
    let x: Vec<f64> = (0..=100).map(|i| f64::from(i) / 100.0).collect();
    let bounds = |points: &[(f64, f64)], i: usize, sign: f64| -> Vec<f64> {
        let at = |x: f64| points[points.partition_point(|p| p.0 < x).min(points.len() - 1)].1;
        let half = |y: f64| 4.0 * (y * (1.0 - y) / positives(i) as f64).sqrt() + 0.005;
        x.iter().map(|x| at(*x)).map(|y| (y + sign * half(y)).clamp(0.0, 1.0)).collect()
    };
    let both = |points: &[(f64, f64)], i: usize| (bounds(points, i, -1.0), bounds(points, i, 1.0));
    let bands: Vec<_> = ranked.iter().enumerate().map(|(i, r)| [both(&r.roc, i), both(&r.pr, i)]).collect();
    let curves = |of_roc: bool| RankingCurves {
        title: if of_roc { "ROC curve" } else { "Precision-recall curve" },
        subtitle: "adult-mlp-128x64 · Adult census income · 16,281 test rows",
        band_label: if classes == 26 { "" } else { "95% interval, 1,000 bootstrap samples" },
        curves: names
            .iter()
            .zip(&ranked)
            .enumerate()
            .map(|(i, (class, ranked))| {
                let area = if of_roc { ranked.auc } else { ranked.average_precision };
                let (lower, upper) = &bands[i][usize::from(!of_roc)];
                RankingCurve {
                    class,
                    points: if of_roc { &ranked.roc } else { &ranked.pr },
                    area,
                    interval: (classes != 26).then_some((area - 0.006, area + 0.005)),
                    band: Some(Band { x: &x, lower, upper }),
                    base_rate: positives(i) as f64 / rows as f64,
                }
            })
            .collect(),
    };
    roc_curve(&curves(true), &folder.join(format!("roc_{classes}")))?;
    pr_curve(&curves(false), &folder.join(format!("pr_{classes}")))
}

fn draw_confusion(classes: usize, stem: &Path) -> Result<()> {
    let mut noise = Noise(5);
    let scale = 12_000.0 / classes as f64;
    let count = |noise: &mut Noise, i: usize, j: usize| {
        let near = if i == j { 0.7 + 0.3 * noise.uniform() } else { 0.35 * noise.uniform().powi(5) };
        (near * scale * (1.0 + 0.3 * (i % 4) as f64)) as u64
    };
    let counts: Vec<Vec<u64>> = (0..classes).map(|i| (0..classes).map(|j| count(&mut noise, i, j)).collect()).collect();
    let spec = ConfusionMatrix {
        title: "Confusion matrix",
        subtitle: "run bold-otter-271 · test split",
        classes: &class_names(classes),
        counts: &counts,
    };
    confusion_matrix(&spec, stem)
}

fn draw_regression(rows: usize, folder: &Path) -> Result<()> {
    let mut noise = Noise(3);
    // House values as in the California census: skewed, and cut off at 5.
    let actual: Vec<f64> = (0..rows).map(|_| (0.6 * noise.normal() + 0.55).exp().clamp(0.15, 5.0)).collect();
    let predicted: Vec<f64> =
        actual.iter().map(|a| (a * 0.88 + 0.22 + 0.2 * a.sqrt() * noise.normal() * 1.3).max(0.1)).collect();
    let spec = Predictions {
        title: "Predicted against actual values",
        subtitle: "california-mlp · California housing · test split",
        target: "median house value (100,000 USD)",
        actual: &actual,
        predicted: &predicted,
        scores: &[("RMSE", 0.4712), ("MAE", 0.3128), ("R²", 0.8301)],
    };
    predicted_vs_actual(&spec, &folder.join(format!("predicted_vs_actual_{rows}")))?;
    let start = Instant::now();
    residuals(&Predictions { title: "Residuals", ..spec }, &folder.join(format!("residuals_{rows}")))?;
    println!("residuals of {rows} rows: {:.2?}", start.elapsed());
    Ok(())
}

fn draw_calibration(classes: usize, stem: &Path) -> Result<()> {
    let mut noise = Noise(13);
    let names = class_names(classes);
    let mut bins = |class: usize| -> Vec<CalibrationBin> {
        let bin = |i: usize| {
            let (low, predicted) = (i as f64 / 10.0, (i as f64 + 0.3 + 0.4 * noise.uniform()) / 10.0);
            let bent =
                predicted + 0.04 * (class as f64 + 2.0) * (predicted - 0.5) * predicted * (1.0 - predicted) * 4.0;
            let count =
                (9_000.0 * (-5.0 * predicted).exp() + 700.0 * predicted * predicted) / (1.0 + class as f64 * 0.3);
            let half = 1.96 * (bent * (1.0 - bent) / count).sqrt();
            let observed = (bent + noise.normal() * half * 0.5).clamp(0.0, 1.0);
            let interval = Some(((observed - half).max(0.0), (observed + half).min(1.0)));
            CalibrationBin { low, high: low + 0.1, predicted, observed, interval, count: count as u64 }
        };
        (0..10).map(bin).collect()
    };
    let all: Vec<Vec<CalibrationBin>> = (0..classes).map(&mut bins).collect();
    let curve =
        |(i, class): (usize, _)| CalibrationCurve { class, bins: &all[i], ece: 0.008 + 0.003 * (i * 7 % 26) as f64 };
    let spec = Calibration {
        title: "Calibration",
        subtitle: "adult-mlp-128x64 · Adult census income · 16,281 test rows",
        interval_label: "95% Wilson interval",
        curves: names.iter().map(String::as_str).enumerate().map(curve).collect(),
    };
    calibration(&spec, stem)
}

fn draw_scores(rows: usize, folder: &Path) -> Result<()> {
    let mut noise = Noise(17);
    let mut scores = |shift: f64, rows: usize| -> Vec<f64> {
        (0..rows).map(|_| 1.0 / (1.0 + (-shift - 1.6 * noise.normal()).exp())).collect()
    };
    let (negative, positive) = (scores(-2.4, rows * 3 / 4), scores(1.1, rows.div_ceil(4)));
    let spec = ScoreHistograms {
        title: "Predicted probabilities",
        subtitle: "adult-mlp-128x64 · Adult census income · test split",
        score: "Predicted probability of >50K",
        groups: vec![ScoreGroup { name: "≤50K", scores: &negative }, ScoreGroup { name: ">50K", scores: &positive }],
        threshold: Some(0.5),
    };
    let start = Instant::now();
    score_histograms(&spec, &folder.join(format!("score_histograms_{rows}")))?;
    println!("score_histograms of {rows} rows: {:.2?}", start.elapsed());
    let right: Vec<f64> = positive.iter().chain(&negative).map(|p| p.max(1.0 - p)).collect();
    let wrong: Vec<f64> = negative.iter().map(|p| 0.34 + 0.6 * p).collect();
    let groups = vec![ScoreGroup { name: "right", scores: &right }, ScoreGroup { name: "wrong", scores: &wrong }];
    let spec = ScoreHistograms { score: "Probability of the predicted class", groups, threshold: None, ..spec };
    score_histograms(&spec, &folder.join(format!("score_histograms_confidence_{rows}")))
}

fn draw_importance(features: usize, stem: &Path) -> Result<()> {
    let mut noise = Noise(19);
    let known = [
        "age",
        "native-country=Outlying-US(Guam-USVI-etc) or Trinadad&Tobago or anything else that goes on",
        "native-country=Outlying-US(Guam-USVI-etc) or Holand-Netherlands or anything else that goes on",
        "education-num",
        "capital-gain",
    ];
    let names: Vec<String> =
        (0..features).map(|i| known.get(i).map_or_else(|| format!("feature_{i}"), |s| s.to_string())).collect();
    let importance = |feature| {
        let mean = 0.07 * noise.uniform().powi(4) + 0.0006 * noise.normal();
        Importance { feature, mean, spread: 0.0004 + 0.04 * mean.abs() }
    };
    let features: Vec<Importance> = names.iter().map(String::as_str).map(importance).collect();
    let spec = PermutationImportance {
        title: "Permutation importance",
        subtitle: "adult-mlp-128x64 · Adult census income · 16,281 test rows, 10 repeats",
        metric: "ROC AUC",
        lower_is_better: false,
        features: &features,
    };
    permutation_importance(&spec, stem)
}

fn draw_ugly_importance(folder: &Path) -> Result<()> {
    let cases: [(&str, [f64; 4]); 4] = [
        ("equal", [0.02; 4]),
        ("zero", [0.0; 4]),
        ("negative", [-0.02, -0.001, -0.3, f64::NAN]),
        ("tiny", [3e-9, 2e-9, -1e-9, 1e-14]),
    ];
    for (name, means) in cases {
        let feature = |mean: &f64| Importance { feature: "a feature", mean: *mean, spread: mean.abs() / 5.0 };
        let features: Vec<Importance> = means.iter().map(feature).collect();
        let spec = PermutationImportance {
            title: "Permutation importance",
            subtitle: "",
            metric: "mean absolute percentage error",
            lower_is_better: true,
            features: &features,
        };
        permutation_importance(&spec, &folder.join(format!("permutation_importance_{name}")))?;
    }
    Ok(())
}

fn draw_ugly_comparisons(folder: &Path) -> Result<()> {
    for (name, values) in [("equal", [0.5; 3]), ("huge", [3e12, -7e12, 2e9]), ("far", [0.4712, 0.5, 1_250_000.0])] {
        let model =
            |value: &f64| ModelScore { name: "a model", value: *value, interval: None, highlight: *value == 0.5 };
        let models: Vec<ModelScore> = values.iter().map(model).collect();
        let spec = ModelComparison {
            title: "Models",
            subtitle: "",
            metric: "RMSE",
            lower_is_better: true,
            interval_label: "95% interval",
            models: &models,
        };
        model_comparison(&spec, &folder.join(format!("model_comparison_{name}")))?;
    }
    Ok(())
}

fn draw_learning_rates(folder: &Path) -> Result<()> {
    let cosine = |steps: usize, warmup: usize, floor: f64| -> Vec<f64> {
        let rate = |i: usize| match i < warmup {
            true => 1e-3 * (i + 1) as f64 / warmup as f64,
            false => {
                floor
                    + (1e-3 - floor)
                        * 0.5
                        * (1.0 + (std::f64::consts::PI * (i - warmup) as f64 / (steps - warmup) as f64).cos())
            }
        };
        (0..steps).map(rate).collect()
    };
    let steps: Vec<f64> = (0..30).map(|i| 1e-2 * 0.1f64.powi(i / 10)).collect();
    let schedules = [
        ("cosine", cosine(300_000, 15_000, 0.0), Some(5_000), 15_000),
        ("wide", cosine(30_000, 1_000, 1e-6), Some(500), 1_000),
        ("step", steps, None, 0),
        ("constant", vec![3e-4; 40], None, 3),
        ("one", vec![3e-4], None, 0),
        ("empty", vec![], None, 0),
    ];
    for (name, rates, steps_per_epoch, warmup) in &schedules {
        let spec = LearningRateSchedule {
            title: "Learning rate",
            subtitle: "adult-mlp-128x64 · AdamW · warm-up, then cosine",
            rates,
            steps_per_epoch: *steps_per_epoch,
            warmup: *warmup,
            best_epoch: Some(24),
        };
        let start = Instant::now();
        learning_rate_schedule(&spec, &folder.join(format!("learning_rate_schedule_{name}")))?;
        println!("learning_rate_schedule of {} steps: {:.2?}", rates.len(), start.elapsed());
    }
    for tries in [0, 1, 200] {
        draw_finder(tries, &folder.join(format!("learning_rate_finder_{tries}")))?;
    }
    Ok(())
}

fn draw_finder(tries: usize, stem: &Path) -> Result<()> {
    let mut noise = Noise(23);
    let rates: Vec<f64> = (0..tries).map(|i| 1e-7 * 1e8f64.powf(i as f64 / tries as f64)).collect();
    let trend = |rate: f64| 0.31 + 0.4 / (1.0 + (rate / 5e-4).powf(1.2)) + (rate * 3.0).powi(3);
    let smoothed: Vec<f64> = rates.iter().map(|rate| trend(*rate)).collect();
    let losses: Vec<f64> = smoothed.iter().map(|loss| loss * (1.0 + 0.06 * noise.normal())).collect();
    let spec = LearningRateFinder {
        title: "Learning rate finder",
        subtitle: "adult-mlp-128x64 · Adult census income · 200 steps",
        loss: "Cross-entropy loss",
        rates: &rates,
        losses: &losses,
        smoothed: &smoothed,
        suggestion: Some(1.3e-3),
    };
    learning_rate_finder(&spec, stem)
}

fn draw_comparison(models: usize, stem: &Path) -> Result<()> {
    let mut noise = Noise(29);
    let known = [
        "MLP 128x64, ensemble of 5",
        "MLP 128x64, seed 1",
        "MLP 128x64, seed 2",
        "logistic regression",
        "decision tree, depth 8",
        "random forest of 200 trees with a name that is far too long for its place",
        "elastic net",
        "most frequent class",
        "a baseline that failed",
    ];
    let names: Vec<String> =
        (0..models).map(|i| known.get(i).map_or_else(|| format!("trial {i}"), |s| s.to_string())).collect();
    let score = |(i, name): (usize, _)| {
        let value = if i == 8 { f64::NAN } else { 0.915 - 0.0042 * (i.min(9) as f64) + 0.001 * noise.normal() };
        ModelScore { name, value, interval: Some((value - 0.0048, value + 0.0045)), highlight: i == 0 }
    };
    let models: Vec<ModelScore> = names.iter().map(String::as_str).enumerate().map(score).collect();
    let spec = ModelComparison {
        title: "Models",
        subtitle: "Adult census income · 16,281 test rows",
        metric: "ROC AUC",
        lower_is_better: false,
        interval_label: "95% interval, 1,000 bootstrap samples",
        models: &models,
    };
    model_comparison(&spec, stem)
}

fn draw_folds(folds: usize, stem: &Path) -> Result<()> {
    let mut noise = Noise(31);
    let mut values = |center: f64, sd: f64| -> Vec<f64> { (0..folds).map(|_| center + sd * noise.normal()).collect() };
    let all = [
        ("ROC AUC", false, values(0.9112, 0.004)),
        ("Accuracy", false, values(0.8537, 0.003)),
        ("Log loss", true, values(0.311, 0.006)),
        ("Rows of the rarest class", false, values(1_240.0, 90.0)),
        ("A metric that is the same in all folds", false, vec![0.5; folds]),
        ("A metric that no fold has", false, vec![f64::NAN; folds]),
    ];
    let mean_and_sd = |values: &[f64]| {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let sd = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (values.len() as f64 - 1.0)).sqrt();
        (mean, sd)
    };
    let metrics: Vec<FoldMetric> = all
        .iter()
        .map(|(name, lower_is_better, values)| {
            let (mean, sd) = mean_and_sd(values);
            FoldMetric { name, lower_is_better: *lower_is_better, values, mean, sd }
        })
        .collect();
    let spec = FoldScores {
        title: "Cross-validation",
        subtitle: "adult-mlp-128x64 · Adult census income · stratified folds",
        metrics: &metrics,
    };
    fold_scores(&spec, stem)
}

/// 2016-07-01 00:00.
const START: f64 = 1_467_331_200.0;

/// Traffic by the hour: a daily and a weekly cycle, and noise that lasts.
fn traffic(steps: usize, seed: u64) -> (Vec<f64>, Vec<f64>) {
    let (mut noise, mut lasting) = (Noise(seed), 0.0);
    let mut value = |hour: usize| {
        lasting = 0.8 * lasting + 200.0 * noise.normal();
        let day = 1.0 - ((hour % 24) as f64 / 24.0 * std::f64::consts::TAU).cos();
        let weekend = if hour / 24 % 7 < 2 { 0.6 } else { 1.0 };
        (400.0 + 2_400.0 * day * weekend + lasting).max(0.0)
    };
    ((0..steps).map(|i| START + 3_600.0 * i as f64).collect(), (0..steps).map(&mut value).collect())
}

fn draw_series(series: usize, steps: usize, stem: &Path) -> Result<()> {
    let names = [
        "traffic_volume (vehicles per hour)",
        "a series whose name is far too long for the line that it stands in, with its unit and more (vehicles per hour)",
    ];
    let names: Vec<String> =
        (0..series).map(|i| names.get(i).map_or_else(|| format!("sensor {i}"), |name| name.to_string())).collect();
    let mut all: Vec<_> = (0..series).map(|i| traffic(steps, 41 + i as u64)).collect();
    // One long gap, and many of an hour.
    let long = steps / 5..steps / 5 + steps / 9;
    let gaps: Vec<(usize, usize)> = std::iter::once((long.start, long.end - 1))
        .chain((steps / 2..steps * 3 / 5).step_by(17).map(|i| (i, i)))
        .collect();
    for (first, last) in &gaps {
        all.iter_mut().for_each(|(_, values)| values[*first..=*last].fill(f64::NAN));
    }
    let times = all[0].0.clone();
    let gaps: Vec<(f64, f64)> = gaps.into_iter().map(|(first, last)| (times[first], times[last])).collect();
    let at = |share: f64| times[(share * (steps - 1) as f64) as usize];
    let parts = [("train", 0.0, 0.7), ("valid", 0.7, 0.8), ("test", 0.8, 1.0)].map(|(name, start, end)| SeriesPart {
        name,
        start: at(start),
        end: at(end),
    });
    let panels: Vec<SeriesPanel> = names
        .iter()
        .zip(&all)
        .map(|(name, (times, values))| SeriesPanel { name, times, values, parts: &parts, gaps: &gaps })
        .collect();
    let subtitle = "traffic · hourly · chronological split 70 / 10 / 20";
    let start = Instant::now();
    series_overview(&SeriesOverview { title: "Series", subtitle, panels: &panels }, stem)?;
    println!("series_overview of {series} x {steps} steps: {:.2?}", start.elapsed());
    Ok(())
}

fn draw_forecasts(horizon: usize, folder: &Path) -> Result<()> {
    const LOOKBACK: usize = 168;
    let mut noise = Noise(43);
    let names = ["good window (10th percentile)", "median window", "bad window (90th percentile)"];
    let windows: Vec<_> = (0..3u32)
        .map(|i| {
            let (times, values) = traffic(LOOKBACK + horizon, 50 + u64::from(i));
            let spread = 150.0 * f64::from(i + 1);
            let forecast: Vec<f64> = values[LOOKBACK..].iter().map(|value| value + spread * noise.normal()).collect();
            let bound = |sign: f64| -> Vec<f64> {
                let width = |(step, value): (usize, &f64)| value + sign * 400.0 * (1.0 + step as f64 / 100.0);
                forecast.iter().enumerate().map(width).collect()
            };
            let bounds = [bound(-1.0), bound(1.0)];
            (format!("{}, MAE {} · 2016-07-08 00:00", names[i as usize], 0.8 * spread), times, values, forecast, bounds)
        })
        .collect();
    let panels: Vec<ForecastWindow> = windows
        .iter()
        .map(|(title, times, values, forecast, [lower, upper])| ForecastWindow {
            title,
            target: "traffic_volume (vehicles per hour)",
            history_times: &times[..LOOKBACK],
            history: &values[..LOOKBACK],
            times: &times[LOOKBACK..],
            actual: &values[LOOKBACK..],
            forecast,
            interval: Some(Interval { lower, upper }),
        })
        .collect();
    let interval_label = "90% interval, split conformal (88.7% of the test steps)";
    let spec =
        ForecastWindows {
            title: "Forecasts", subtitle: "traffic-mlp · test windows", interval_label, panels: &panels
        };
    forecast_windows(&spec, &folder.join(format!("forecast_windows_{horizon}")))?;

    let grow = |from: f64, to: f64| -> Vec<f64> {
        let error = |step: usize| to + (from - to) * (-(step as f64) / 30.0).exp() + 4.0 * (step as f64 * 0.26).sin();
        (0..horizon).map(error).collect()
    };
    let curves = [
        ("seasonal naive (168 steps)", grow(310.0, 320.0), false),
        ("repeat last", grow(300.0, 2_200.0), false),
        ("weekday x hour profile", grow(268.0, 272.0), false),
        ("MLP 168-256-24", grow(120.0, 225.0), true),
    ];
    let models: Vec<StepErrors> =
        curves.iter().map(|(name, values, highlight)| StepErrors { name, values, highlight: *highlight }).collect();
    let spec = ErrorByStep {
        title: "Error by step",
        subtitle: "traffic · 5,772 test windows",
        metric: "MAE (vehicles per hour)",
        step: "step of the horizon (1 hour each)",
        models: &models,
    };
    error_by_step(&spec, &folder.join(format!("error_by_step_{horizon}")))
}

fn draw_residuals_over_time(folder: &Path) -> Result<()> {
    let mut noise = Noise(47);
    for (name, step, times, repeats) in [
        ("hourly", 3_600.0, 5_772, 24),
        ("daily", 86_400.0, 730, 7),
        ("monthly", 2_629_800.0, 36, 3),
        ("none", 1.0, 0, 0),
    ] {
        let times: Vec<f64> = (0..times * repeats).map(|i| START + step * f64::from(i / repeats)).collect();
        let (_, actual) = traffic(times.len(), 53);
        let predicted: Vec<f64> = actual.iter().map(|value| value * 0.98 + 0.1 * value * noise.normal()).collect();
        let spec = ResidualsOverTime {
            title: "Residuals over time",
            subtitle: "traffic-mlp · test windows",
            target: "traffic_volume (vehicles per hour)",
            times: &times,
            actual: &actual,
            predicted: &predicted,
        };
        let start = Instant::now();
        residuals_over_time(&spec, &folder.join(format!("residuals_over_time_{name}")))?;
        println!("residuals_over_time of {} rows: {:.2?}", times.len(), start.elapsed());
    }
    Ok(())
}
