//! The pictures of a table's test rows: from scores to `report`.

use std::path::Path;

use anyhow::Result;
use modeling::Task;
use report::{
    CalibrationBin, CalibrationCurve, ConfusionMatrix, PermutationImportance, RankingCurve, RankingCurves, ScoreGroup,
    ScoreHistograms,
};
use training::Importance;
use training::metrics::{
    Band, Direction, auc_interval, auc_of, average_precision_of, calibration_curve, confusion_matrix, pr_band,
    precision_recall_curve, roc_band, roc_curve,
};

use crate::session::Session;
use crate::tabular::job::TabularJob;
use crate::tabular::scoring::{ScoredRows, Scores};

/// A confusion matrix of more classes cannot be read.
const MOST_CLASSES_DRAWN: usize = 100;
/// More curves in one picture cannot be told apart.
const MOST_CURVES: usize = 20;
const CALIBRATION_BINS: usize = 15;
const BAND_SAMPLES: usize = 200;
const BAND_MOST_ROWS: usize = 100_000;
const BAND_SEED: u64 = 0;
const BAND_LABEL: &str = "95% interval";

/// The pictures of the test rows, in the folder `plots/`.
pub fn plot_test(session: &Session, job: &TabularJob, test: &Scores) -> Result<()> {
    let splits = job.splits;
    let rows = ScoredRows {
        target: &splits.test.target,
        predicted: &test.predicted,
        task: job.task,
        labels: splits.preprocessor.target.labels(),
        target_name: &splits.info.target,
    };
    let subtitle = format!("{} · {} test rows", session.run.name(), splits.test.n_rows());
    plot_scored(&rows, &subtitle, &session.folder("plots")?)
}

/// For classes ROC, precision-recall, calibration, scores and confusion matrix; for numbers predicted-vs-actual and residuals.
pub fn plot_scored(rows: &ScoredRows, subtitle: &str, folder: &Path) -> Result<()> {
    match rows.task {
        Task::Regression => plot_regression(rows, subtitle, folder),
        Task::Binary | Task::Multiclass { .. } => {
            let classes = scores_by_class(rows);
            plot_ranking(rows, &classes, subtitle, folder)?;
            plot_calibration(rows, &classes, subtitle, folder)?;
            plot_scores(rows, subtitle, folder)?;
            plot_confusion(rows, subtitle, folder)
        }
    }
}

/// Class and its probability row by row: of two classes only the positive one.
fn scores_by_class(rows: &ScoredRows) -> Vec<(usize, Vec<f32>)> {
    let columns = rows.task.n_outputs();
    let first_class = if rows.task == Task::Binary { 1 } else { 0 };
    let of_column = |column| rows.predicted.iter().skip(column).step_by(columns).copied().collect();
    (0..columns.min(MOST_CURVES)).map(|column| (first_class + column, of_column(column))).collect()
}

/// One class against the rest.
struct Curve {
    points: Vec<(f64, f64)>,
    area: f64,
    interval: Option<(f64, f64)>,
    band: Option<Band>,
}

fn plot_ranking(rows: &ScoredRows, classes: &[(usize, Vec<f32>)], subtitle: &str, folder: &Path) -> Result<()> {
    let (target, labels) = (rows.target, rows.labels);
    // Bands of many curves hide each other; those of many rows are as thin as the line, and take long.
    let samples = if classes.len() <= 3 && target.len() <= BAND_MOST_ROWS { BAND_SAMPLES } else { 0 };
    let roc = |(class, scores): &(usize, Vec<f32>)| {
        let class = *class as f32;
        Curve {
            points: roc_curve(target, scores, class),
            area: auc_of(target, scores, class),
            interval: Some(auc_interval(target, scores, class)).filter(|(low, _)| low.is_finite()),
            band: (samples > 0).then(|| roc_band(target, scores, class, samples, BAND_SEED, 0.95)).flatten(),
        }
    };
    let precision_recall = |(class, scores): &(usize, Vec<f32>)| {
        let class = *class as f32;
        Curve {
            points: precision_recall_curve(target, scores, class),
            area: average_precision_of(target, scores, class),
            interval: None,
            band: (samples > 0).then(|| pr_band(target, scores, class, samples, BAND_SEED, 0.95)).flatten(),
        }
    };
    let (roc, precision_recall): (Vec<Curve>, Vec<Curve>) =
        classes.iter().map(|one| (roc(one), precision_recall(one))).unzip();
    let base_rates: Vec<f64> = classes.iter().map(|(class, _)| share(target, *class)).collect();
    let names: Vec<&str> = classes.iter().map(|(class, _)| labels[*class].as_str()).collect();
    let spec = |title, found| RankingCurves {
        title,
        subtitle,
        band_label: BAND_LABEL,
        curves: drawn(found, &names, &base_rates),
    };
    report::roc_curve(&spec("ROC curve, test", &roc), &folder.join("roc"))?;
    Ok(report::pr_curve(&spec("Precision-recall curve, test", &precision_recall), &folder.join("precision_recall"))?)
}

fn drawn<'a>(found: &'a [Curve], names: &[&'a str], base_rates: &[f64]) -> Vec<RankingCurve<'a>> {
    let curve = |((found, class), base_rate): ((&'a Curve, &&'a str), &f64)| RankingCurve {
        class,
        points: &found.points,
        area: found.area,
        interval: found.interval,
        band: found.band.as_ref().map(|band| report::Band { x: &band.grid, lower: &band.lower, upper: &band.upper }),
        base_rate: *base_rate,
    };
    found.iter().zip(names).zip(base_rates).map(curve).collect()
}

/// Share of the rows that belong to a class.
fn share(target: &[f32], class: usize) -> f64 {
    target.iter().filter(|&&value| value as usize == class).count() as f64 / target.len() as f64
}

fn plot_calibration(rows: &ScoredRows, classes: &[(usize, Vec<f32>)], subtitle: &str, folder: &Path) -> Result<()> {
    let (target, labels) = (rows.target, rows.labels);
    let is_class = |class: usize| target.iter().map(|&value| f32::from(value as usize == class)).collect::<Vec<f32>>();
    let curves: Vec<(&str, Vec<f32>, Vec<f32>)> =
        classes.iter().map(|(class, scores)| (labels[*class].as_str(), is_class(*class), scores.clone())).collect();
    calibration_curves("Calibration, test", subtitle, &curves, &folder.join("calibration"))
}

/// Reliability of each curve `(name, whether the row is a hit, its probability)`.
pub fn calibration_curves(
    title: &str,
    subtitle: &str,
    curves: &[(&str, Vec<f32>, Vec<f32>)],
    stem: &Path,
) -> Result<()> {
    let bins: Vec<Vec<CalibrationBin>> =
        curves.iter().map(|(_, is_hit, scores)| calibration_bins(is_hit, scores)).collect();
    let error = |bins: &[CalibrationBin]| {
        let rows: u64 = bins.iter().map(|bin| bin.count).sum();
        bins.iter().map(|bin| (bin.predicted - bin.observed).abs() * bin.count as f64 / rows as f64).sum()
    };
    let drawn = curves.iter().zip(&bins).map(|((class, ..), bins)| CalibrationCurve { class, bins, ece: error(bins) });
    let interval_label = "95% Wilson interval";
    let calibration = report::Calibration { title, subtitle, interval_label, curves: drawn.collect() };
    Ok(report::calibration(&calibration, stem)?)
}

fn calibration_bins(is_hit: &[f32], scores: &[f32]) -> Vec<CalibrationBin> {
    let width = 1.0 / CALIBRATION_BINS as f64;
    let with_edges = |bin: training::metrics::CalibrationBin| {
        let number = (bin.predicted / width).ceil().clamp(1.0, CALIBRATION_BINS as f64);
        CalibrationBin {
            low: (number - 1.0) * width,
            high: number * width,
            predicted: bin.predicted,
            observed: bin.observed,
            interval: Some(wilson_interval(bin.observed, bin.count)),
            count: bin.count as u64,
        }
    };
    calibration_curve(is_hit, scores, CALIBRATION_BINS).into_iter().map(with_edges).collect()
}

/// The 95 % score interval of a share (Wilson 1927).
fn wilson_interval(share: f64, rows: usize) -> (f64, f64) {
    let (z, n) = (1.959_964, rows as f64);
    let middle = (share + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let reach = z / (1.0 + z * z / n) * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
    ((middle - reach).max(0.0), (middle + reach).min(1.0))
}

/// Binary: the probability of the positive class in rows of either class. More classes: how sure right and wrong rows are.
fn plot_scores(rows: &ScoredRows, subtitle: &str, folder: &Path) -> Result<()> {
    let (target, labels) = (rows.target, rows.labels);
    let (columns, task) = (rows.task.n_outputs(), rows.task);
    let (score, names, threshold) = match task {
        Task::Binary => {
            (format!("Predicted probability of `{}`", labels[1]), [labels[0].clone(), labels[1].clone()], Some(0.5))
        }
        _ => ("Probability of the predicted class".to_owned(), ["wrong".to_owned(), "right".to_owned()], None),
    };
    let classes = rows.predictions().classes();
    let mut groups = [Vec::new(), Vec::new()];
    for (row, scores) in rows.predicted.chunks(columns).enumerate() {
        let is_second = if task == Task::Binary { target[row] == 1.0 } else { target[row] as usize == classes[row] };
        groups[usize::from(is_second)].push(f64::from(scores.iter().copied().fold(f32::MIN, f32::max)));
    }
    let groups = names.iter().zip(&groups).map(|(name, scores)| ScoreGroup { name, scores }).collect();
    let histograms = ScoreHistograms { title: "Scores, test", subtitle, score: &score, groups, threshold };
    Ok(report::score_histograms(&histograms, &folder.join("score_histograms"))?)
}

/// Rows by true and predicted class.
pub fn plot_confusion(rows: &ScoredRows, subtitle: &str, folder: &Path) -> Result<()> {
    let labels = rows.labels;
    if labels.len() > MOST_CLASSES_DRAWN {
        return Ok(());
    }
    let counts: Vec<Vec<u64>> = confusion_matrix(&rows.predictions())
        .into_iter()
        .map(|row| row.into_iter().map(|count| count as u64).collect())
        .collect();
    let matrix = ConfusionMatrix { title: "Confusion matrix, test", subtitle, classes: labels, counts: &counts };
    Ok(report::confusion_matrix(&matrix, &folder.join("confusion_matrix"))?)
}

fn plot_regression(rows: &ScoredRows, subtitle: &str, folder: &Path) -> Result<()> {
    let wide = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect::<Vec<f64>>();
    let (actual, predicted) = (wide(rows.target), wide(rows.predicted));
    let spec = |title| report::Predictions {
        title,
        subtitle,
        target: rows.target_name,
        actual: &actual,
        predicted: &predicted,
        scores: &[],
    };
    let scores = [("RMSE", "rmse"), ("MAE", "mae"), ("R²", "r2")].map(|(shown, name)| (shown, rows.value(name)));
    let versus = report::Predictions { scores: &scores, ..spec("Predicted against actual, test") };
    report::predicted_vs_actual(&versus, &folder.join("predicted_vs_actual"))?;
    Ok(report::residuals(&spec("Residuals, test"), &folder.join("residuals"))?)
}

/// How much worse the metric becomes without each input column.
pub fn plot_importance(
    session: &Session,
    features: &[(&str, Importance)],
    metric: &str,
    direction: Direction,
    rows: usize,
) -> Result<()> {
    let features: Vec<report::Importance> = features
        .iter()
        .map(|(feature, found)| report::Importance { feature, mean: found.mean, spread: found.std })
        .collect();
    let importance = PermutationImportance {
        title: "Permutation importance, val",
        subtitle: &format!("{} · {rows} val rows", session.run.name()),
        metric,
        lower_is_better: direction == Direction::Minimize,
        features: &features,
    };
    Ok(report::permutation_importance(&importance, &session.folder("plots")?.join("permutation_importance"))?)
}
