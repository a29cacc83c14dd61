//! Operating points, gains and calibration, against scikit-learn 1.9.1, scipy 1.17.1 and pandas 3.1.1.

use evaluation::calibrate::{Isotonic, Temperature};
use evaluation::gains::{deciles, gains};
use evaluation::threshold::{Costs, Goal, OperatingPoint, at, choose, sweep};

fn uniform(n: usize, a: usize, b: usize) -> Vec<f64> {
    (0..n).map(|i| ((i * a + b) % 1_000_003) as f64 / 1_000_003.0).collect()
}

/// 300 rows with scores `np.floor(u * 50) / 50`, of which 134 are positive.
fn rows() -> (Vec<bool>, Vec<f64>) {
    let scores: Vec<f64> = uniform(300, 791_993, 13).into_iter().map(|u| (u * 50.0).floor() / 50.0).collect();
    let target = uniform(300, 123_791, 77).into_iter().zip(&scores).map(|(u, score)| u < score * 0.7 + 0.1).collect();
    (target, scores)
}

#[track_caller]
fn close(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance, "{found} is not {expected}");
}

const GOALS: [Goal; 5] = [
    Goal::F1,
    Goal::Youden,
    Goal::Cost(Costs { false_positive: 1.0, false_negative: 5.0 }),
    Goal::Recall(0.9),
    Goal::Precision(0.7),
];

/// A loop over `np.unique(scores)[::-1]` with `f1_score` and the four counts, the first best kept.
#[test]
fn thresholds_equal_those_of_brute_force() {
    let (target, scores) = rows();
    let counts = |point: OperatingPoint| (point.threshold, point.tp, point.fp, point.tn, point.fn_);
    let found = GOALS.map(|goal| counts(choose(&target, &scores, &goal).unwrap()));
    assert_eq!(
        found,
        [
            (0.36, 112, 79, 87, 22),
            (0.38, 110, 76, 90, 24),
            (0.1, 133, 136, 30, 1),
            (0.24, 123, 104, 62, 11),
            (0.7, 64, 27, 139, 70),
        ]
    );
    let best = choose(&target, &scores, &Goal::F1).unwrap();
    close(best.f1, 0.6892307692307692, 1e-12);
    assert_eq!(at(0.36, &target, &scores), best);
    let youden = choose(&target, &scores, &Goal::Youden).unwrap();
    close(2.0 * youden.balanced_accuracy - 1.0, 0.3630641970868549, 1e-12);
    assert_eq!(choose(&target, &scores, &Goal::Precision(0.999)), None);
}

#[test]
fn thresholds_of_odd_rows_are_defined() {
    for (target, scores) in [(vec![], vec![]), (vec![true; 3], vec![0.1, 0.2, 0.3]), (vec![false; 2], vec![0.5; 2])] {
        assert!(GOALS.iter().all(|goal| choose(&target, &scores, goal).is_none()));
    }
    // A score that is NaN is never positive, whatever the threshold.
    let (target, scores) = ([true, true, false], [0.9, f64::NAN, 0.2]);
    let best = choose(&target, &scores, &Goal::F1).unwrap();
    assert_eq!((best.threshold, best.tp, best.fn_, best.tn), (0.9, 1, 1, 1));
    assert_eq!(choose(&[true, false], &[f64::NAN; 2], &Goal::F1), None);
    // Constant scores: all or, where that is cheaper, none.
    let cost = |fp, fn_| Goal::Cost(Costs { false_positive: fp, false_negative: fn_ });
    let (target, scores) = ([true, false, false], [0.5; 3]);
    assert_eq!(choose(&target, &scores, &Goal::F1).unwrap().threshold, 0.5);
    assert_eq!(choose(&target, &scores, &cost(1.0, 5.0)).unwrap().fp, 2);
    let none = choose(&target, &scores, &cost(5.0, 1.0)).unwrap();
    assert_eq!((none.tp + none.fp, none.cost(&Costs { false_positive: 5.0, false_negative: 1.0 })), (0, 1.0));
    assert!(none.threshold > 0.5);
    assert_eq!((none.precision, none.recall, none.f1), (0.0, 0.0, 0.0));
}

#[test]
fn a_sweep_has_few_points_and_agrees_with_single_thresholds() {
    let (target, scores) = rows();
    let points = sweep(&target, &scores);
    assert_eq!(points.len(), 50);
    assert!(points.iter().all(|point| *point == at(point.threshold, &target, &scores)));
    let many = uniform(300, 791_993, 13);
    let points = sweep(&target, &many);
    assert_eq!(points.len(), 201);
    assert!(points.is_sorted_by(|a, b| a.threshold < b.threshold && a.recall >= b.recall));
    assert!(points[..200].iter().all(|point| *point == at(point.threshold, &target, &many)));
    assert_eq!((points[0].tp, points[200].tp + points[200].fp), (134, 1));
    assert!(sweep(&[], &[]).is_empty());
}

#[test]
fn goals_are_written_in_yaml_as_a_name_or_one_key() {
    let texts = ["f1", "youden", "cost: {false_positive: 1, false_negative: 5}", "recall: 0.9", "precision: 0.7"];
    for (text, goal) in texts.into_iter().zip(GOALS) {
        assert_eq!(serde_yaml::from_str::<Goal>(text).unwrap(), goal);
        let json = serde_json::to_string(&goal).unwrap();
        assert_eq!(serde_json::from_str::<Goal>(&json).unwrap(), goal, "{json}");
        assert_eq!(goal.check(), Ok(()));
    }
    for (text, expected) in [
        ("youdn", "did you mean `youden`?"),
        ("recall", "`recall` needs a value"),
        ("{recall: 0.9, precision: 0.8}", "give exactly one of"),
        ("{recal: 0.9}", "unknown field `recal`"),
        ("cost: {false_positive: 1}", "missing field `false_negative`"),
        ("3", "expected `f1`, `youden`, `cost:"),
    ] {
        let message = serde_yaml::from_str::<Goal>(text).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
    let wrong = [Goal::Recall(0.0), Goal::Precision(1.1), Goal::Recall(f64::NAN)];
    assert!(wrong.iter().all(|goal| goal.check().is_err()));
    assert!(Goal::Cost(Costs { false_positive: 0.0, false_negative: 0.0 }).check().is_err());
}

/// `groupby("score").agg(["size", "sum"])` from the highest down, `cumsum`, `np.interp` between.
#[test]
fn gains_equal_those_by_hand() {
    let (target, scores) = rows();
    let points = gains(&target, &scores);
    assert_eq!(points.len(), 101);
    for (step, gain) in [
        (1, 0.014925373134328358),
        (10, 0.19402985074626866),
        (25, 0.4141791044776119),
        (50, 0.691231343283582),
        (100, 1.0),
    ] {
        close(points[step].gain, gain, 1e-12);
        close(points[step].lift, gain / points[step].share, 1e-9);
    }
    assert_eq!((points[0].share, points[0].gain), (0.0, 0.0));
    let table = deciles(&target, &scores);
    let cumulative = [26.0, 45.0, 63.375, 78.625, 92.625, 106.57142857142857, 114.0, 124.0, 133.0, 134.0];
    let mut before = 0.0;
    assert_eq!(table.len(), 10);
    for (row, cumulative) in table.iter().zip(cumulative) {
        assert_eq!(row.rows, 30);
        close(row.positives, cumulative - before, 1e-9);
        close(row.gain, cumulative / 134.0, 1e-12);
        close(row.lift, row.rate / (134.0 / 300.0), 1e-12);
        before = cumulative;
    }
    assert!(table.is_sorted_by(|a, b| a.low >= b.high));
    // Scores that say nothing gain nothing, whatever the order of the rows.
    assert!(gains(&[true, true, false, false], &[0.5; 4]).iter().all(|point| (point.lift - 1.0).abs() < 1e-12));
    assert_eq!(deciles(&[true, false, true], &[0.3, 0.2, f64::NAN]).iter().map(|row| row.rows).sum::<usize>(), 3);
    assert!(gains(&[false; 3], &[0.1, 0.2, 0.3]).is_empty() && deciles(&[], &[]).is_empty());
}

fn digits(text: &str) -> Vec<usize> {
    text.bytes().map(|digit| usize::from(digit - b'0')).collect()
}

/// `IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")` on probabilities with many ties.
#[test]
fn isotonic_equals_scikit_learns() {
    let p: Vec<f64> = uniform(60, 791_993, 13).into_iter().map(|u| (u * 20.0).floor() / 20.0).collect();
    let target = digits("011001000011000001001000011001000011000001001000011001000011");
    let fitted = Isotonic::fit(&target, &p, 2).unwrap();
    let grid = [-0.1, 0.0, 0.03, 0.1, 0.22, 0.35, 0.5, 0.61, 0.77, 0.83, 0.9, 0.975, 1.0, 1.5];
    let (a, b) = (0.35714285714285715, 0.6153846153846154);
    let expected = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, a, a, b, b, 1.0, 1.0, 1.0, 1.0];
    fitted.apply(&grid).into_iter().zip(expected).for_each(|(found, expected)| close(found, expected, 1e-12));
    let back: Isotonic = serde_json::from_str(&serde_json::to_string(&fitted).unwrap()).unwrap();
    assert_eq!(back, fitted);
    assert!(fitted.apply(&[f64::NAN])[0].is_nan());
}

const CLASSES: &str = "000110111200111110220111100111111201111101211101101101011210011012220011100020011200111110";

/// `[90, 3]`, rows with the sum 1.
fn three_classes() -> Vec<f64> {
    let columns = [(791_993, 13), (123_791, 77), (345_679, 991)].map(|(a, b)| uniform(90, a, b));
    let row = |i: usize| {
        let raw = [0, 1, 2].map(|class: usize| columns[class][i] + 0.05);
        raw.map(|value| value / raw.iter().sum::<f64>())
    };
    (0..90).flat_map(row).collect()
}

/// The same for each class against the rest, divided by the sum.
#[test]
fn isotonic_of_three_classes_is_one_against_the_rest() {
    let (target, p) = (digits(CLASSES), three_classes());
    let found = Isotonic::fit(&target, &p, 3).unwrap().apply(&p);
    let expected = [
        (0, [0.39024390243902446, 0.48780487804878053, 0.12195121951219513]),
        (1, [0.9219088937093275, 0.0, 0.07809110629067245]),
        (7, [0.2060875079264426, 0.7609384908053266, 0.032974001268230815]),
    ];
    for (row, expected) in expected {
        found[row * 3..].iter().zip(expected).for_each(|(found, expected)| close(*found, expected, 1e-12));
    }
    close(found.iter().map(|p| p * p).sum(), 51.59390980596608, 1e-9);
    // A class that no row has keeps its probabilities, before they are divided by the sum.
    let two: Vec<usize> = target.iter().map(|&class| class.min(1)).collect();
    let rare = Isotonic::fit(&two, &p, 3).unwrap().apply(&p);
    assert!(rare.chunks(3).all(|row| row[2] > 0.0 && (row.iter().sum::<f64>() - 1.0).abs() < 1e-12));
}

/// `optimize.minimize_scalar` over the mean log loss of `expit(logit(p) / T)` and `softmax(log(p) / T)`.
#[test]
fn temperature_is_that_of_the_lowest_log_loss() {
    let p: Vec<f64> = uniform(400, 791_993, 13).into_iter().map(|u| u * 0.96 + 0.02).collect();
    let overconfident = |p: f64| 1.0 / (1.0 + ((1.0 / p - 1.0).ln() / 2.2).exp());
    let target: Vec<usize> =
        uniform(400, 123_791, 77).into_iter().zip(&p).map(|(u, &p)| usize::from(u < overconfident(p))).collect();
    assert_eq!(target.iter().sum::<usize>(), 201);
    let fitted = Temperature::fit(&target, &p, 2).unwrap();
    close(fitted.temperature, 1.9468040150522765, 1e-6);
    let expected = [0.24441371822595745, 0.5, 0.7555862817740426];
    fitted.apply(&[0.1, 0.5, 0.9]).into_iter().zip(expected).for_each(|(found, expected)| close(found, expected, 1e-7));
    assert_eq!(fitted.apply(&[0.0, 1.0]), [0.0, 1.0]);

    let fitted = Temperature::fit(&digits(CLASSES), &three_classes(), 3).unwrap();
    close(fitted.temperature, 0.707109154595551, 1e-6);
    let expected = [0.15556149973960184, 0.2760145220460357, 0.5684239782143623];
    fitted.apply(&[0.2, 0.3, 0.5]).into_iter().zip(expected).for_each(|(found, expected)| close(found, expected, 1e-6));
    assert_eq!(fitted.apply(&[0.0, 0.0, 1.0]), [0.0, 0.0, 1.0]);
    assert_eq!(serde_json::from_str::<Temperature>(&serde_json::to_string(&fitted).unwrap()).unwrap(), fitted);
}

#[test]
fn calibration_of_odd_rows_is_defined() {
    for (target, p) in [(vec![], vec![]), (vec![1, 1], vec![0.2, 0.9]), (vec![0, 1], vec![f64::NAN, 0.4])] {
        assert_eq!(Temperature::fit(&target, &p, 2), None);
        assert_eq!(Isotonic::fit(&target, &p, 2), None);
    }
    // Told apart without error: as sure as it gets, and still finite; the other way round: as unsure as it gets.
    let sure = Temperature::fit(&[0, 1], &[0.4, 0.6], 2).unwrap();
    close(sure.temperature, 0.01, 1e-9);
    let unsure = Temperature::fit(&[1, 0], &[0.0, 1.0], 2).unwrap();
    close(unsure.temperature, 100.0, 1e-6);
    assert!(sure.apply(&[0.2, 0.5, 0.8]).iter().all(|p| p.is_finite()));
    // One probability for all becomes the share of positives.
    assert_eq!(Isotonic::fit(&[0, 1, 1, 1], &[0.5; 4], 2).unwrap().apply(&[0.1, 0.5, 0.9]), [0.75; 3]);
}
