//! Every metric against scikit-learn 1.9.1, on f32 values in double precision; log loss (clipped at the resolution of f32)
//! and calibration error against their formulas in numpy.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::time::Instant;

use training::metrics::{
    Band, Kind, METRICS, Predictions, auc_interval, auc_of, average_precision_of, bootstrap_interval,
    calibration_curve, compute_all, confusion_matrix, metrics_for, per_class_report, pr_band, precision_recall_curve,
    roc_band, roc_curve,
};

#[rustfmt::skip]
const BINARY_TARGET: [f32; 40] = [0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0];
#[rustfmt::skip]
const BINARY_PROBABILITY: [f32; 40] = [0.16, 0.53, 0.31, 0.0, 0.74, 1.0, 0.28, 0.32, 0.3, 0.52, 0.23, 0.71, 0.22, 0.23, 0.19, 0.09, 0.49, 0.23, 0.59, 0.35, 0.75, 0.65, 0.41, 0.3, 0.61, 0.14, 0.24, 0.06, 0.58, 0.13, 0.4, 0.54, 0.58, 0.77, 0.08, 0.81, 0.89, 0.6, 0.34, 0.41];
#[rustfmt::skip]
const MULTICLASS_TARGET: [f32; 30] = [2.0, 0.0, 2.0, 1.0, 1.0, 2.0, 2.0, 1.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 2.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 2.0, 2.0, 1.0, 2.0, 1.0, 0.0, 0.0, 0.0, 2.0];
#[rustfmt::skip]
const MULTICLASS_PROBABILITY: [f32; 90] = [0.34, 0.412, 0.248, 0.627, 0.259, 0.114, 0.487, 0.094, 0.419, 0.207, 0.665, 0.128, 0.415, 0.275, 0.31, 0.292, 0.144, 0.564, 0.166, 0.292, 0.542, 0.396, 0.366, 0.238, 0.943, 0.034, 0.023, 0.229, 0.667, 0.104, 0.758, 0.183, 0.059, 0.734, 0.127, 0.139, 0.372, 0.458, 0.17, 0.79, 0.111, 0.099, 0.473, 0.075, 0.452, 0.291, 0.527, 0.182, 0.761, 0.11, 0.129, 0.348, 0.406, 0.246, 0.449, 0.474, 0.077, 0.244, 0.674, 0.082, 0.511, 0.239, 0.25, 0.162, 0.041, 0.797, 0.04, 0.333, 0.627, 0.097, 0.723, 0.18, 0.048, 0.028, 0.924, 0.068, 0.501, 0.431, 0.27, 0.062, 0.668, 0.609, 0.168, 0.223, 0.519, 0.099, 0.382, 0.075, 0.038, 0.887];
#[rustfmt::skip]
const REGRESSION_TARGET: [f32; 20] = [9.82, 11.22, 7.03, 8.03, 7.0, 7.34, 10.59, 7.65, 11.07, 11.02, 16.08, 5.82, 12.66, 9.73, 9.96, 5.65, 8.62, 12.23, 9.75, 10.24];
#[rustfmt::skip]
const REGRESSION_PREDICTED: [f32; 20] = [9.53, 12.37, 7.01, 5.83, 6.31, 5.37, 7.34, 7.12, 12.4, 11.07, 14.91, 4.88, 13.79, 9.89, 10.01, 5.6, 8.66, 13.04, 10.3, 10.46];

// Few rows of class 1, none called so, scores full of ties.
#[rustfmt::skip]
const RARE_TARGET: [f32; 60] = [0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
#[rustfmt::skip]
const RARE_PROBABILITY: [f32; 60] = [0.2, 0.1, 0.1, 0.2, 0.2, 0.2, 0.2, 0.2, 0.4, 0.1, 0.1, 0.2, 0.1, 0.2, 0.2, 0.3, 0.3, 0.2, 0.2, 0.2, 0.2, 0.3, 0.1, 0.3, 0.1, 0.3, 0.1, 0.1, 0.0, 0.2, 0.2, 0.4, 0.3, 0.1, 0.3, 0.1, 0.2, 0.0, 0.2, 0.0, 0.3, 0.2, 0.0, 0.2, 0.1, 0.1, 0.2, 0.0, 0.4, 0.1, 0.3, 0.0, 0.0, 0.1, 0.1, 0.3, 0.3, 0.1, 0.1, 0.2];
#[rustfmt::skip]
const FOUR_TARGET: [f32; 40] = [1.0, 3.0, 0.0, 1.0, 0.0, 3.0, 2.0, 1.0, 3.0, 2.0, 3.0, 2.0, 2.0, 2.0, 0.0, 2.0, 3.0, 2.0, 1.0, 0.0, 2.0, 0.0, 3.0, 0.0, 1.0, 0.0, 2.0, 0.0, 1.0, 0.0, 3.0, 0.0, 0.0, 2.0, 0.0, 3.0, 3.0, 1.0, 1.0, 1.0];
#[rustfmt::skip]
const FOUR_PROBABILITY: [f32; 160] = [0.07, 0.73, 0.19, 0.01, 0.12, 0.03, 0.83, 0.02, 0.19, 0.64, 0.17, 0.0, 0.09, 0.26, 0.65, 0.0, 0.64, 0.19, 0.17, 0.0, 0.21, 0.48, 0.31, 0.0, 0.11, 0.36, 0.53, 0.0, 0.0, 0.9, 0.1, 0.0, 0.39, 0.59, 0.01, 0.01, 0.13, 0.34, 0.53, 0.0, 0.06, 0.4, 0.54, 0.0, 0.02, 0.9, 0.08, 0.0, 0.08, 0.14, 0.78, 0.0, 0.06, 0.26, 0.66, 0.02, 0.82, 0.07, 0.09, 0.02, 0.22, 0.05, 0.72, 0.01, 0.58, 0.06, 0.34, 0.02, 0.03, 0.04, 0.93, 0.0, 0.23, 0.46, 0.31, 0.0, 0.68, 0.09, 0.23, 0.0, 0.56, 0.03, 0.41, 0.0, 0.45, 0.53, 0.02, 0.0, 0.8, 0.03, 0.11, 0.06, 0.72, 0.09, 0.19, 0.0, 0.26, 0.65, 0.09, 0.0, 0.38, 0.45, 0.17, 0.0, 0.31, 0.1, 0.58, 0.01, 0.86, 0.09, 0.05, 0.0, 0.18, 0.62, 0.19, 0.01, 0.46, 0.27, 0.26, 0.01, 0.56, 0.18, 0.24, 0.02, 0.33, 0.24, 0.43, 0.0, 0.11, 0.67, 0.21, 0.01, 0.02, 0.44, 0.54, 0.0, 0.54, 0.26, 0.2, 0.0, 0.07, 0.72, 0.2, 0.01, 0.38, 0.03, 0.58, 0.01, 0.16, 0.75, 0.08, 0.01, 0.22, 0.59, 0.18, 0.01, 0.51, 0.43, 0.05, 0.01];
#[rustfmt::skip]
const ZEROS_TARGET: [f32; 9] = [0.0, 0.0, -1.5, 2.0, 3.25, -4.0, 0.5, 10.0, -0.25];
#[rustfmt::skip]
const ZEROS_PREDICTED: [f32; 9] = [0.1, 0.0, -1.0, 2.5, 3.0, -4.5, 0.25, 7.0, 0.0];

fn binary() -> Predictions<'static> {
    Predictions { kind: Kind::Binary, target: &BINARY_TARGET, predicted: &BINARY_PROBABILITY }
}

fn rare() -> Predictions<'static> {
    Predictions { kind: Kind::Binary, target: &RARE_TARGET, predicted: &RARE_PROBABILITY }
}

fn three() -> Predictions<'static> {
    Predictions { kind: Kind::Multiclass, target: &MULTICLASS_TARGET, predicted: &MULTICLASS_PROBABILITY }
}

fn four() -> Predictions<'static> {
    Predictions { kind: Kind::Multiclass, target: &FOUR_TARGET, predicted: &FOUR_PROBABILITY }
}

fn assert_close(name: &str, found: f64, wanted: f64) {
    let close = (found - wanted).abs() <= 1e-6 * wanted.abs().max(1.0) || (found.is_nan() && wanted.is_nan());
    assert!(close, "{name}: {found} in place of {wanted}");
}

fn assert_all(predictions: &Predictions, expected: &[(&str, f64)]) {
    let found = compute_all(predictions);
    assert_eq!(found.len(), expected.len());
    for &(expected_name, wanted) in expected {
        let (name, value) = found.iter().find(|(name, _)| *name == expected_name).unwrap();
        assert_close(name, *value, wanted);
    }
}

#[test]
fn binary_metrics_agree_with_scikit_learn() {
    assert_all(
        &binary(),
        &[
            ("auc", 0.7429667519181585),
            ("accuracy", 0.725),
            ("balanced_accuracy", 0.7148337595907929),
            ("log_loss", 1.2746327982544012),
            ("brier", 0.20764999729618444),
            ("ece", 0.2319999978877604),
            ("average_precision", 0.6873497196826868),
            ("precision", 0.6875),
            ("recall", 0.6470588235294118),
            ("f1", 0.6666666666666666),
            ("mcc", 0.43356607298305033),
        ],
    );
    assert_all(
        &rare(),
        &[
            ("auc", 0.8119999999999999),
            ("accuracy", 0.8333333333333334),
            ("balanced_accuracy", 0.5),
            ("log_loss", 0.36468114738701074),
            ("brier", 0.11483333350221318),
            ("ece", 0.09500000129143396),
            ("average_precision", 0.5142857142857142),
            ("precision", 0.0),
            ("recall", 0.0),
            ("f1", 0.0),
            ("mcc", 0.0),
        ],
    );
    assert_eq!(confusion_matrix(&binary()), [[18, 5], [6, 11]]);
}

#[test]
fn multiclass_metrics_agree_with_scikit_learn() {
    assert_all(
        &three(),
        &[
            ("auc", 0.9023737373737374),
            ("auc_weighted", 0.9021212121212121),
            ("accuracy", 0.7),
            ("balanced_accuracy", 0.7000000000000001),
            ("log_loss", 0.6566093538084553),
            ("brier", 0.37301579744006924),
            ("ece", 0.2699666639169057),
            ("average_precision", 0.8465713684463685),
            ("precision_macro", 0.7164835164835165),
            ("precision_micro", 0.7),
            ("precision_weighted", 0.7226373626373627),
            ("recall_macro", 0.7000000000000001),
            ("recall_micro", 0.7),
            ("recall_weighted", 0.7),
            ("f1_macro", 0.6975163398692811),
            ("f1_micro", 0.7),
            ("f1_weighted", 0.7010718954248366),
            ("mcc", 0.5519791387628913),
        ],
    );
    assert_all(
        &four(),
        &[
            ("auc", 0.8178075396825397),
            ("auc_weighted", 0.818452380952381),
            ("accuracy", 0.55),
            ("balanced_accuracy", 0.5402777777777779),
            ("log_loss", 2.047994729778415),
            ("brier", 0.6472149973100428),
            ("ece", 0.13325000032782555),
            ("average_precision", 0.6033547667156736),
            ("precision_macro", 0.41634615384615387),
            ("precision_micro", 0.55),
            ("precision_weighted", 0.4338461538461538),
            ("recall_macro", 0.5402777777777779),
            ("recall_micro", 0.55),
            ("recall_weighted", 0.55),
            ("f1_macro", 0.46557971014492755),
            ("f1_micro", 0.55),
            ("f1_weighted", 0.48016304347826083),
            ("mcc", 0.41826977752524414),
        ],
    );
}

#[test]
fn regression_metrics_agree_with_scikit_learn() {
    let kind = Kind::Regression;
    let predictions = Predictions { kind, target: &REGRESSION_TARGET, predicted: &REGRESSION_PREDICTED };
    assert_all(
        &predictions,
        &[
            ("rmse", 1.1787154274459215),
            ("mae", 0.8300000667572022),
            ("mse", 1.3893700588990214),
            ("medae", 0.6200001239776611),
            ("mape", 0.088963732263209),
            ("max_error", 3.25),
            ("r2", 0.7727167201831786),
            ("explained_variance", 0.7856337354965375),
        ],
    );
    let zeros = Predictions { kind, target: &ZEROS_TARGET, predicted: &ZEROS_PREDICTED };
    assert_all(
        &zeros,
        &[
            ("rmse", 1.0513219192097591),
            ("mae", 0.5944444446100129),
            ("mse", 1.1052777778108913),
            ("medae", 0.25),
            ("mape", 50039996605326.51),
            ("max_error", 3.0),
            ("r2", 0.9184723961273241),
            ("explained_variance", 0.9248673875828527),
        ],
    );
}

#[test]
fn per_class_scores_agree_with_scikit_learn() {
    let check = |predictions: &Predictions, expected: &[[f64; 5]]| {
        let report = per_class_report(predictions);
        assert_eq!(report.len(), expected.len());
        for (class, (found, wanted)) in report.iter().zip(expected).enumerate() {
            let found = [found.precision, found.recall, found.f1, found.support as f64, found.auc];
            for (found, wanted) in found.into_iter().zip(wanted) {
                assert_close(&format!("class {class}"), found, *wanted);
            }
        }
    };
    check(
        &four(),
        &[
            [0.5833333333333334, 0.5833333333333334, 0.5833333333333334, 12.0, 0.818452380952381],
            [0.4666666666666667, 0.7777777777777778, 0.5833333333333334, 9.0, 0.8422939068100358],
            [0.6153846153846154, 0.8, 0.6956521739130435, 10.0, 0.8416666666666667],
            [0.0, 0.0, 0.0, 9.0, 0.7688172043010753],
        ],
    );
    check(
        &binary(),
        &[
            [0.75, 0.782608695652174, 0.7659574468085106, 23.0, 0.7429667519181585],
            [0.6875, 0.6470588235294118, 0.6666666666666666, 17.0, 0.7429667519181585],
        ],
    );
}

#[test]
fn calibration_bins_are_those_of_scikit_learn() {
    let expected = [
        (0.10624999878928065, 0.125, 8),
        (0.27916666865348816, 0.3333333333333333, 12),
        (0.5049999922513961, 0.3, 10),
        (0.6899999976158142, 1.0, 7),
        (0.899999996026357, 0.6666666666666666, 3),
    ];
    let bins = calibration_curve(&BINARY_TARGET, &BINARY_PROBABILITY, 5);
    assert_eq!(bins.len(), expected.len());
    for (bin, (predicted, observed, count)) in bins.iter().zip(expected) {
        assert_close("predicted", bin.predicted, predicted);
        assert_close("observed", bin.observed, observed);
        assert_eq!(bin.count, count);
    }
    // Edges belong below, 0 to the first bin; empty bins are left out.
    let edges = calibration_curve(&[0.0, 1.0, 1.0, 0.0], &[0.0, 0.25, 0.5, 1.0], 4);
    assert_eq!(edges.iter().map(|bin| bin.count).collect::<Vec<_>>(), [2, 1, 1]);
}

/// DeLong's formula by its definition over all pairs, in numpy.
#[test]
fn auc_interval_agrees_with_delong() {
    for (predictions, wanted) in
        [(binary(), (0.5727545058625898, 0.9131789979737273)), (rare(), (0.6930313609350058, 0.9309686390649943))]
    {
        let (lower, upper) = auc_interval(predictions.target, predictions.predicted, 1.0);
        assert_close("lower", lower, wanted.0);
        assert_close("upper", upper, wanted.1);
    }
    assert_eq!(auc_interval(&[0.0, 0.0, 1.0, 1.0], &[0.1, 0.2, 0.3, 0.4], 1.0), (1.0, 1.0));
    assert!(auc_interval(&[0.0, 1.0, 1.0], &[0.1, 0.2, 0.3], 1.0).0.is_nan());
    assert!(auc_interval(&[1.0, 1.0], &[0.1, 0.2], 1.0).0.is_nan());
}

/// 20,000 draws with numpy's generator: accuracy 0.575 to 0.85, RMSE 0.704 to 1.615.
#[test]
fn bootstrap_agrees_with_numpy_and_depends_on_the_seed_alone() {
    let value =
        |name: &'static str| move |p: &Predictions| METRICS.iter().find(|metric| metric.name == name).unwrap().value(p);
    let interval = |seed| bootstrap_interval(&binary(), value("accuracy"), 4000, seed, 0.95);
    let (lower, upper) = interval(1);
    assert!((lower - 0.575).abs() <= 0.026 && (upper - 0.85).abs() <= 0.026, "{lower} {upper}");
    assert_eq!(interval(1), (lower, upper));
    let regression =
        Predictions { kind: Kind::Regression, target: &REGRESSION_TARGET, predicted: &REGRESSION_PREDICTED };
    let (lower, upper) = bootstrap_interval(&regression, value("rmse"), 4000, 1, 0.95);
    assert!((lower - 0.704).abs() < 0.02 && (upper - 1.615).abs() < 0.02, "{lower} {upper}");
    let one_class = Predictions { kind: Kind::Binary, target: &[1.0, 1.0], predicted: &[0.2, 0.9] };
    assert!(bootstrap_interval(&one_class, value("auc"), 10, 1, 0.95).0.is_nan());
}

/// 4,000 stratified draws in numpy from scikit-learn's curves, read at 0, 0.1, 0.25, 0.5, 0.75 and 1.
#[test]
fn bands_of_the_curves_agree_with_numpy() {
    let check = |band: &Band, lower: [f64; 6], upper: [f64; 6], tolerance: f64| {
        assert_eq!(band.grid.len(), 101);
        for (index, point) in [0, 10, 25, 50, 75, 100].into_iter().enumerate() {
            let (low, high) = (band.lower[point], band.upper[point]);
            let close = (low - lower[index]).abs() < tolerance && (high - upper[index]).abs() < tolerance;
            assert!(close, "at {point} %: {low}..{high} in place of {}..{}", lower[index], upper[index]);
        }
    };
    let roc = |seed| roc_band(&BINARY_TARGET, &BINARY_PROBABILITY, 1.0, 4000, seed, 0.95).unwrap();
    // One row of the class is 0.059.
    check(&roc(1), [0.0, 0.0, 0.412, 0.49, 0.706, 1.0], [0.706, 0.824, 0.882, 0.951, 1.0, 1.0], 0.06);
    assert_eq!(roc(1), roc(1));
    let pr = pr_band(&BINARY_TARGET, &BINARY_PROBABILITY, 1.0, 4000, 1, 0.95).unwrap();
    check(&pr, [0.0, 0.4, 0.6, 0.455, 0.424, 0.425], [1.0, 1.0, 1.0, 1.0, 0.933, 0.586], 0.03);
    assert_eq!(roc_band(&[1.0, 1.0], &[0.1, 0.2], 1.0, 10, 1, 0.95), None);
}

#[test]
fn area_under_the_drawn_curve_is_the_metric() {
    let curve = roc_curve(&BINARY_TARGET, &BINARY_PROBABILITY, 1.0);
    let area: f64 = curve.windows(2).map(|w| (w[1].0 - w[0].0) * (w[1].1 + w[0].1) / 2.0).sum();
    assert!((area - 0.7429667519181585).abs() < 1e-12, "{area}");
    assert!((auc_of(&BINARY_TARGET, &BINARY_PROBABILITY, 1.0) - area).abs() < 1e-12);
    assert!((average_precision_of(&BINARY_TARGET, &BINARY_PROBABILITY, 1.0) - 0.6873497196826868).abs() < 1e-12);
    assert_eq!((curve[0], curve[curve.len() - 1]), ((0.0, 0.0), (1.0, 1.0)));
    let last = *precision_recall_curve(&BINARY_TARGET, &BINARY_PROBABILITY, 1.0).last().unwrap();
    assert_eq!(last, (1.0, 17.0 / 40.0));
}

/// Degenerate cases as scikit-learn 1.9 has them.
#[test]
fn edge_cases_are_those_of_scikit_learn() {
    let check = |p: &Predictions, expected: &[(&str, f64)]| {
        let found = compute_all(p);
        for &(name, wanted) in expected {
            assert_close(name, found.iter().find(|(known, _)| *known == name).unwrap().1, wanted);
        }
    };
    let binary = |target, predicted| Predictions { kind: Kind::Binary, target, predicted };
    let one_class = [("auc", f64::NAN), ("accuracy", 0.5), ("balanced_accuracy", 0.5), ("mcc", 0.0), ("brier", 0.325)];
    check(&binary(&[1.0, 1.0], &[0.2, 0.9]), &one_class);
    check(&binary(&[1.0, 1.0], &[0.2, 0.9]), &[("average_precision", 1.0)]);
    check(&binary(&[0.0, 0.0], &[0.2, 0.9]), &[("average_precision", 0.0), ("recall", 0.0)]);
    check(&binary(&[0.0, 1.0], &[0.0, -0.0]), &[("auc", 0.5)]);
    check(&binary(&[0.0, 1.0], &[0.2, f32::NAN]), &[("auc", f64::NAN), ("accuracy", f64::NAN)]);

    // The third class is never true and once called.
    let predicted = [0.8, 0.1, 0.1, 0.1, 0.8, 0.1, 0.2, 0.3, 0.5];
    let absent = Predictions { kind: Kind::Multiclass, target: &[0.0, 1.0, 1.0], predicted: &predicted };
    check(
        &absent,
        &[
            ("auc", f64::NAN),
            ("auc_weighted", 1.0),
            ("balanced_accuracy", 0.75),
            ("brier", 0.3),
            ("ece", 0.3),
            ("average_precision", 0.6666666666666666),
            ("precision_macro", 0.6666666666666666),
            ("recall_macro", 0.5),
            ("f1_macro", 0.5555555555555555),
            ("f1_weighted", 0.7777777777777777),
            ("mcc", 0.6123724356957946),
        ],
    );
    // Neither true nor called: it does not count.
    let twice = Predictions { target: &absent.target[..2], predicted: &predicted[..6], ..absent };
    check(&twice, &[("f1_macro", 1.0), ("recall_macro", 1.0)]);

    let regression = |target, predicted| Predictions { kind: Kind::Regression, target, predicted };
    check(&regression(&[2.0, 2.0], &[2.0, 3.0]), &[("r2", 0.0), ("explained_variance", 0.0)]);
    check(&regression(&[2.0, 2.0], &[3.0, 3.0]), &[("r2", 0.0), ("explained_variance", 1.0)]);
    check(&regression(&[2.0, 2.0], &[2.0, 2.0]), &[("r2", 1.0), ("explained_variance", 1.0), ("max_error", 0.0)]);
    check(&regression(&[2.0], &[3.0]), &[("r2", f64::NAN), ("explained_variance", 1.0), ("medae", 1.0)]);
    check(&regression(&[1.0, 2.0], &[2.0, 4.0]), &[("medae", 1.5)]);
}

#[test]
fn names_are_unique_and_every_kind_has_some() {
    let mut names: Vec<_> = METRICS.iter().map(|metric| metric.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), METRICS.len());
    let counts = [Kind::Binary, Kind::Multiclass, Kind::Regression].map(|kind| metrics_for(kind).count());
    assert_eq!(counts, [11, 18, 8]);
}

/// They are computed after every epoch. About 3 ms; the limit leaves room for a busy machine.
#[test]
fn thirty_thousand_rows_take_milliseconds() {
    let number = |i: u32| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 24) as f32;
    let probability: Vec<f32> = (0..30_000).map(number).collect();
    let target: Vec<f32> = (0..30_000).map(|i| f32::from(number(i + 77_777) < probability[i as usize])).collect();
    let predictions = Predictions { kind: Kind::Binary, target: &target, predicted: &probability };
    let seconds = |_| {
        let start = Instant::now();
        assert_eq!(compute_all(&predictions).len(), 11);
        start.elapsed().as_secs_f64()
    };
    let fastest = (0..5).map(seconds).fold(f64::INFINITY, f64::min);
    println!("{:.2} ms", fastest * 1e3);
    assert!(fastest < 0.05, "{fastest} s");
}
