//! Every metric against scikit-learn 1.9.1 (log loss of `binary`: numpy in double precision, clipped at the resolution of f32).

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use training::metrics::{
    Kind, METRICS, Predictions, compute_all, confusion_matrix, metrics_for, precision_recall_curve, roc_curve,
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

fn binary() -> Predictions<'static> {
    Predictions { kind: Kind::Binary, target: &BINARY_TARGET, predicted: &BINARY_PROBABILITY }
}

fn assert_all(predictions: &Predictions, expected: &[(&str, f64)]) {
    let found = compute_all(predictions);
    assert_eq!(found.len(), expected.len());
    for ((name, value), (expected_name, wanted)) in found.iter().zip(expected) {
        assert_eq!(name, expected_name);
        assert!((value - wanted).abs() < 1e-6, "{name}: {value} != {wanted}");
    }
}

#[test]
fn binary_metrics_agree_with_scikit_learn() {
    assert_all(
        &binary(),
        &[
            ("auc", 0.7429667519181585),
            ("accuracy", 0.725),
            ("log_loss", 1.2746327982544012),
            ("average_precision", 0.6873497196826868),
            ("precision", 0.6875),
            ("recall", 0.6470588235294118),
            ("f1", 0.6666666666666666),
        ],
    );
    assert_eq!(confusion_matrix(&binary()), [[18, 5], [6, 11]]);
}

#[test]
fn multiclass_metrics_agree_with_scikit_learn() {
    let predictions =
        Predictions { kind: Kind::Multiclass, target: &MULTICLASS_TARGET, predicted: &MULTICLASS_PROBABILITY };
    assert_all(
        &predictions,
        &[
            ("auc", 0.9023737373737374),
            ("accuracy", 0.7),
            ("log_loss", 0.6566093538084553),
            ("f1_macro", 0.6975163398692811),
        ],
    );
}

#[test]
fn regression_metrics_agree_with_scikit_learn() {
    let predictions =
        Predictions { kind: Kind::Regression, target: &REGRESSION_TARGET, predicted: &REGRESSION_PREDICTED };
    assert_all(
        &predictions,
        &[
            ("rmse", 1.1787154274459215),
            ("mae", 0.8300000667572022),
            ("mse", 1.3893700588990214),
            ("r2", 0.7727167201831786),
        ],
    );
}

#[test]
fn area_under_the_drawn_curve_is_the_metric() {
    let curve = roc_curve(&BINARY_TARGET, &BINARY_PROBABILITY, 1.0);
    let area: f64 = curve.windows(2).map(|w| (w[1].0 - w[0].0) * (w[1].1 + w[0].1) / 2.0).sum();
    assert!((area - 0.7429667519181585).abs() < 1e-12, "{area}");
    assert_eq!((curve[0], curve[curve.len() - 1]), ((0.0, 0.0), (1.0, 1.0)));
    let last = *precision_recall_curve(&BINARY_TARGET, &BINARY_PROBABILITY, 1.0).last().unwrap();
    assert_eq!(last, (1.0, 17.0 / 40.0));
}

#[test]
fn metrics_of_one_class_are_undefined_not_wrong() {
    let predictions = Predictions { kind: Kind::Binary, target: &[1.0, 1.0], predicted: &[0.2, 0.9] };
    let values = compute_all(&predictions);
    assert!(values[0].1.is_nan(), "AUC of one class: {}", values[0].1);
    assert_eq!(values[1], ("accuracy", 0.5));
}

#[test]
fn degenerate_cases_are_those_of_scikit_learn() {
    let value = |p: &Predictions, name: &str| compute_all(p).into_iter().find(|(n, _)| *n == name).unwrap().1;
    let constant = |predicted| Predictions { kind: Kind::Regression, target: &[2.0, 2.0], predicted };
    assert_eq!(value(&constant(&[2.0, 3.0]), "r2"), 0.0);
    assert_eq!(value(&constant(&[2.0, 2.0]), "r2"), 1.0);
    let negatives = Predictions { kind: Kind::Binary, target: &[0.0, 0.0], predicted: &[0.2, 0.9] };
    assert_eq!(value(&negatives, "average_precision"), 0.0);
    let absent = [0.8, 0.1, 0.1, 0.1, 0.8, 0.1];
    let absent = Predictions { kind: Kind::Multiclass, target: &[0.0, 1.0], predicted: &absent };
    assert_eq!(value(&absent, "f1_macro"), 1.0, "the third class occurs nowhere");
}

#[test]
fn names_are_unique_and_every_kind_has_some() {
    let mut names: Vec<_> = METRICS.iter().map(|metric| metric.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), METRICS.len());
    let counts = [Kind::Binary, Kind::Multiclass, Kind::Regression].map(|kind| metrics_for(kind).count());
    assert_eq!(counts, [7, 4, 4]);
}
