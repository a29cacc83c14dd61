//! Draws every kind of picture with made-up numbers: `cargo run -p report --example gallery -- FOLDER`.

use std::path::{Path, PathBuf};

use report::{
    ConfusionMatrix, CurvePanel, LearningCurves, Predictions, RankingCurve, RankingCurves, Result, Series,
    confusion_matrix, learning_curves, pr_curve, predicted_vs_actual, residuals, roc_curve,
};

fn main() -> Result<()> {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| "gallery".to_string()));
    std::fs::create_dir_all(&folder).map_err(|source| report::Error::Write { path: folder.clone(), source })?;
    for (epochs, planned) in [(60, 100), (3, 3), (1, 1), (5_000, 5_000)] {
        draw_learning_curves(epochs, planned, &folder.join(format!("learning_curves_{epochs}")))?;
    }
    for classes in [1, 3, 10, 26] {
        draw_ranking(classes, &folder)?;
    }
    for classes in [2, 3, 10, 26, 30] {
        draw_confusion(classes, &folder.join(format!("confusion_matrix_{classes}")))?;
    }
    for rows in [40, 4_128, 500_000] {
        draw_regression(rows, &folder)?;
    }
    Ok(())
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
    let curves = |of_roc: bool| RankingCurves {
        title: if of_roc { "ROC curve" } else { "Precision-recall curve" },
        subtitle: "adult-mlp-128x64 · Adult census income · 16,281 test rows",
        curves: names
            .iter()
            .zip(&ranked)
            .enumerate()
            .map(|(i, (class, ranked))| RankingCurve {
                class,
                points: if of_roc { &ranked.roc } else { &ranked.pr },
                area: if of_roc { ranked.auc } else { ranked.average_precision },
                base_rate: positives(i) as f64 / rows as f64,
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
    residuals(&Predictions { title: "Residuals", ..spec }, &folder.join(format!("residuals_{rows}")))
}
