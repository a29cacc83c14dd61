//! Operating point, gain, slices, dependence, drift and slots.

use std::fs;

use report::{
    DependenceGrid, DriftBins, DriftHistograms, DriftPanel, ErrorBySlot, FeatureDependence, GainAndLift, GainPoint,
    OperatingPoint, PartialDependence, SliceScore, SliceScores, SlotError, SlotPanel, ThresholdCurve, drift_histograms,
    error_by_slot, gain_and_lift, operating_point, partial_dependence, slice_scores,
};

use crate::{HOSTILE_NUMBERS, HOSTILE_TEXT, LONG_NAME, assert_contains, check, folder};

fn gain<'a>(points: &'a [GainPoint], base_rate: f64, selected: Option<f64>) -> GainAndLift<'a> {
    GainAndLift { title: "Gain", subtitle: "test", class: LONG_NAME, points, base_rate, selected }
}

#[test]
fn gain_and_lift_stand_beside_random_and_perfect_order() {
    let folder = folder();
    let stem = folder.path().join("gain");
    let point = |share: f64| GainPoint { share, gain: share.sqrt(), lift: 1.0 / share.sqrt() };
    let points: Vec<GainPoint> = (1..=1_000).map(|i| point(f64::from(i) / 1_000.0)).collect();
    gain_and_lift(&gain(&points, 0.05, Some(0.27)), &stem).unwrap();
    let (text, size) = check(&stem);
    assert_eq!(size.0, 1600);
    assert_contains(
        &text,
        &["workclass", "random order", "perfect order (5.0% positives)", "27.0% of the rows", "Lift"],
    );
    for (base_rate, share) in
        HOSTILE_NUMBERS.into_iter().chain([1.0, 0.5, 1e-9, -0.1]).zip(HOSTILE_NUMBERS.into_iter().rev().cycle())
    {
        let points = HOSTILE_NUMBERS.map(|value| GainPoint { share, gain: value, lift: value });
        gain_and_lift(&gain(&points, base_rate, Some(share)), &stem).unwrap();
        let is_empty = !share.is_finite() || share.abs() > 1e98;
        assert_eq!(check(&stem).0.contains("no data"), is_empty, "{share}");
    }
    gain_and_lift(&gain(&[], f64::NAN, None), &stem).unwrap();
    let (text, _) = check(&stem);
    assert!(text.contains("no data") && !text.contains("perfect"));
}

#[test]
fn operating_point_names_the_values_at_the_chosen_threshold() {
    let folder = folder();
    let stem = folder.path().join("threshold");
    let thresholds: Vec<f64> = (0..=200).map(|i| f64::from(i) / 200.0).collect();
    let recall: Vec<f64> = thresholds.iter().map(|t| 1.0 - t).collect();
    let cost: Vec<f64> = thresholds.iter().map(|t| 1_000.0 * t).collect();
    let curve = |name, values| ThresholdCurve { name, values };
    let curves = [curve("recall", &recall[..]), curve(LONG_NAME, &recall)];
    let spec = |chosen, below| OperatingPoint {
        title: "Operating point",
        subtitle: "valid",
        thresholds: &thresholds,
        curves: &curves,
        below,
        chosen,
        goal: "highest F1",
    };
    operating_point(&spec(Some(0.36), Some(curve("Cost per row", &cost))), &stem).unwrap();
    let (text, _) = check(&stem);
    let parts =
        ["recall (0.640)", "workclass", "chosen threshold 0.360: highest F1", "Cost per row (360)", "Threshold"];
    assert_contains(&text, &parts);
    operating_point(&spec(None, None), &stem).unwrap();
    let (text, _) = check(&stem);
    assert!(!text.contains("chosen") && !text.contains("recall ("), "{text}");

    let error = operating_point(&spec(None, Some(curve("Cost", &[1.0]))), &folder.path().join("x")).unwrap_err();
    assert_contains(&error.to_string(), &["`operating_point`", "201 thresholds, but 1 values of `Cost`"]);
    for chosen in HOSTILE_NUMBERS.map(Some) {
        let below = Some(curve(HOSTILE_TEXT, &HOSTILE_NUMBERS));
        let (thresholds, goal) = (&HOSTILE_NUMBERS, HOSTILE_TEXT);
        let curves = &[curve(HOSTILE_TEXT, &HOSTILE_NUMBERS[..])];
        operating_point(&OperatingPoint { thresholds, curves, goal, ..spec(chosen, below) }, &stem).unwrap();
        check(&stem);
    }
    let nothing = OperatingPoint { thresholds: &[], curves: &[], ..spec(Some(0.5), None) };
    operating_point(&nothing, &stem).unwrap();
    assert_contains(&check(&stem).0, &["no data"]);
}

fn slices<'a>(slices: &'a [SliceScore<'a>], overall: f64, lower_is_better: bool) -> SliceScores<'a> {
    let (title, subtitle, metric, interval_label) = ("Slices", "test", "RMSE", "95% interval");
    SliceScores { title, subtitle, metric, lower_is_better, overall, interval_label, slices }
}

#[test]
fn slice_scores_tell_worse_from_better() {
    let folder = folder();
    let stem = folder.path().join("slices");
    let slice = |name, count, value: f64, half: f64| {
        let interval = Some((value - half, value + half));
        SliceScore { name, count, value, interval }
    };
    let all =
        [slice("sex=Female", 12_345, 0.7, 0.05), slice(LONG_NAME, 9, 0.9, 0.5), slice("one class", 3, f64::NAN, 0.1)];
    for (lower_is_better, verdict, other) in [(false, "worse", "better"), (true, "better", "worse")] {
        slice_scores(&slices(&all, 0.8, lower_is_better), &stem).unwrap();
        let (text, size) = check(&stem);
        assert_eq!(size.0, 1400);
        assert_contains(
            &text,
            &["sex=Female", "12,345", "0.700", "[0.650, 0.750]", "n/a", "all rows (0.8)", "workclass"],
        );
        assert_contains(&text, &[&format!("{verdict} than all rows")]);
        assert!(!text.contains(&format!("{other} than all rows")));
    }
    let many: Vec<SliceScore> = (0..70).map(|i| slice(LONG_NAME, i, f64::from(i as u32), 1.0)).collect();
    slice_scores(&slices(&many, f64::NAN, false), &stem).unwrap();
    let (text, _) = check(&stem);
    assert!(text.contains("and 30 more") && !text.contains("all rows"), "{text}");
    for (value, overall) in HOSTILE_NUMBERS.into_iter().zip(HOSTILE_NUMBERS.into_iter().rev()) {
        let rows = HOSTILE_NUMBERS.map(|end| {
            let interval = Some((end, value));
            SliceScore { name: HOSTILE_TEXT, count: u64::MAX, value, interval }
        });
        slice_scores(&slices(&rows, overall, true), &stem).unwrap();
        check(&stem);
    }
    slice_scores(&slices(&[], 0.5, true), &stem).unwrap();
    assert_contains(&check(&stem).0, &["no data"]);
}

fn dependence<'a>(outputs: &'a [&'a str], features: &'a [FeatureDependence<'a>]) -> PartialDependence<'a> {
    PartialDependence { title: "Dependence", subtitle: "valid", outputs, overall: 0.24, features }
}

#[test]
fn partial_dependence_shows_numbers_and_levels() {
    let folder = folder();
    let stem = folder.path().join("dependence");
    let grid: Vec<f64> = (0..20).map(f64::from).collect();
    let levels: Vec<&str> = (0..12).map(|i| ["Private", LONG_NAME, HOSTILE_TEXT][i % 3]).collect();
    let counts: Vec<u64> = (0..12).map(|i| 10u64.pow(i)).collect();
    for outputs in [vec!["probability of >50K"], vec!["A", "B", LONG_NAME]] {
        let (numbers, few) = (vec![grid.clone(); outputs.len()], vec![grid[..12].to_vec(); outputs.len()]);
        let number = |values| FeatureDependence {
            feature: LONG_NAME,
            grid: DependenceGrid::Numbers { grid: &grid, values },
            means: &numbers,
        };
        let level = || FeatureDependence {
            feature: "workclass",
            grid: DependenceGrid::Levels { names: &levels, counts: &counts },
            means: &few,
        };
        for count in [1, 2, 5, 20] {
            let features: Vec<FeatureDependence> =
                (0..count).map(|i: usize| if i.is_multiple_of(2) { number(&grid[..i]) } else { level() }).collect();
            partial_dependence(&dependence(&outputs, &features), &stem).unwrap();
            let (text, size) = check(&stem);
            assert_eq!(size.0, 1600);
            assert_contains(&text, &outputs[..1]);
            assert_eq!(text.contains("mean of all rows (0.24)"), outputs.len() == 1);
            assert_eq!(text.contains("where the rows are"), count > 2);
            assert_eq!(text.contains("and 4 more levels"), count > 1);
            assert_eq!(text.contains("and 4 more, not drawn"), count == 20);
        }
    }
}

#[test]
fn partial_dependence_takes_any_numbers_and_checks_lengths() {
    let folder = folder();
    let stem = folder.path().join("dependence");
    let hostile = [HOSTILE_NUMBERS.to_vec()];
    for overall in HOSTILE_NUMBERS {
        let grid = DependenceGrid::Numbers { grid: &HOSTILE_NUMBERS, values: &HOSTILE_NUMBERS };
        let levels = DependenceGrid::Levels { names: &[HOSTILE_TEXT; 9], counts: &[u64::MAX; 9] };
        let features = [grid, levels].map(|grid| FeatureDependence { feature: HOSTILE_TEXT, grid, means: &hostile });
        partial_dependence(&PartialDependence { overall, ..dependence(&[HOSTILE_TEXT], &features) }, &stem).unwrap();
        check(&stem);
    }
    partial_dependence(&dependence(&[], &[]), &stem).unwrap();
    assert_contains(&check(&stem).0, &["no data"]);

    let numbers = |grid| DependenceGrid::Numbers { grid, values: &[] };
    let levels = |counts| DependenceGrid::Levels { names: &["a", "b"], counts };
    let stem = folder.path().join("wrong");
    for (grid, means, problem) in [
        (numbers(&[1.0][..]), vec![], "`age` has means of 0 outputs, but there are 1"),
        (numbers(&[1.0]), vec![vec![1.0, 2.0]], "`age` has 1 places, but 2 means"),
        (levels(&[1][..]), vec![vec![1.0, 2.0]], "`age` has 2 levels, but 1 counts"),
    ] {
        let features = [FeatureDependence { feature: "age", grid, means: &means }];
        let error = partial_dependence(&dependence(&["p"], &features), &stem).unwrap_err();
        assert_contains(&error.to_string(), &["`partial_dependence`", problem]);
    }
    assert!(!fs::exists(stem.with_extension("svg")).unwrap());
}

fn drift<'a>(features: &'a [DriftPanel<'a>]) -> DriftHistograms<'a> {
    DriftHistograms { title: "Drift", subtitle: "", reference: "train", current: LONG_NAME, features }
}

#[test]
fn drift_histograms_show_both_sides() {
    let folder = folder();
    let stem = folder.path().join("drift");
    let (even, uneven) = ([0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 2.0, 30.0]);
    let names = ["a", LONG_NAME, "missing", HOSTILE_TEXT, "e", "f", "g", "h", "i", "j"];
    let (before, after) = ([1.0; 10], [2.0, 0.0, 0.0, 1.0, 5.0, 0.0, 0.0, 0.0, 0.0, 9.0]);
    let panel = |i: usize| {
        let (bins, n) = [
            (DriftBins::Edges(&even), 3),
            (DriftBins::Levels(&names), 10),
            (DriftBins::Edges(&uneven), 3),
            (DriftBins::Levels(&names[..1]), 1),
        ][i % 4];
        let (reference, current) = (&before[..n], &after[..n]);
        DriftPanel { feature: LONG_NAME, remark: "PSI 0.31", is_drift: i.is_multiple_of(2), bins, reference, current }
    };
    for count in [1, 2, 5, 20] {
        let panels: Vec<DriftPanel> = (0..count).map(panel).collect();
        drift_histograms(&drift(&panels), &stem).unwrap();
        let (text, size) = check(&stem);
        assert_eq!(size.0, 1600);
        assert_contains(&text, &["train", "workclass", "PSI 0.31", "%"]);
        assert_eq!(text.contains("PSI 0.31, 2 more levels"), count > 1);
        assert_eq!(text.contains("and 4 more, not drawn"), count == 20);
    }
    let wrong = [DriftPanel { current: &[1.0], ..panel(0) }];
    let error = drift_histograms(&drift(&wrong), &folder.path().join("wrong")).unwrap_err();
    assert_contains(&error.to_string(), &["`drift_histograms`", "4 edges, but 3 reference and 1 current bars"]);
}

#[test]
fn drift_histograms_take_any_numbers() {
    let folder = folder();
    let stem = folder.path().join("drift");
    let hostile = HOSTILE_NUMBERS;
    for edge in hostile {
        let (edges, current) = ([&[edge][..], &hostile].concat(), [edge; 9]);
        let panels = [DriftBins::Edges(&edges), DriftBins::Levels(&[HOSTILE_TEXT; 9])].map(|bins| DriftPanel {
            feature: HOSTILE_TEXT,
            remark: HOSTILE_TEXT,
            is_drift: true,
            bins,
            reference: &hostile,
            current: &current,
        });
        drift_histograms(&drift(&panels), &stem).unwrap();
        check(&stem);
    }
    for bins in [DriftBins::Edges(&[]), DriftBins::Edges(&[1.0]), DriftBins::Levels(&[])] {
        let empty = DriftPanel { feature: "x", remark: "", is_drift: false, bins, reference: &[], current: &[] };
        drift_histograms(&drift(&[empty]), &stem).unwrap();
        assert_contains(&check(&stem).0, &["no data"]);
    }
    drift_histograms(&drift(&[]), &stem).unwrap();
    assert_contains(&check(&stem).0, &["no data"]);
}

fn by_slot<'a>(panels: &'a [SlotPanel<'a>], overall: f64) -> ErrorBySlot<'a> {
    let (title, subtitle, metric) = ("Error by slot", "test", "MAE (vehicles per hour)");
    ErrorBySlot { title, subtitle, metric, overall, interval_label: "95% interval", panels }
}

fn panel<'a>(title: &'a str, slots: &'a [SlotError<'a>]) -> SlotPanel<'a> {
    SlotPanel { title, slots }
}

#[test]
fn error_by_slot_names_every_slot() {
    let folder = folder();
    let stem = folder.path().join("slots");
    let names: Vec<String> = (0..60).map(|i| i.to_string()).collect();
    let slot = |name, value: f64| SlotError { name, count: 5_772, value, interval: Some((value - 1.0, value + 2.0)) };
    let slots: Vec<SlotError> = names.iter().map(|name| slot(name, 230.0)).collect();
    let long: Vec<SlotError> = (0..20).map(|_| slot(LONG_NAME, 100.0)).collect();
    let panels = [
        panel("By hour of the day", &slots[..24]),
        panel("By weekday", &slots[..7]),
        panel("By month", &slots[..12]),
        panel("By quarter", &slots[..4]),
        panel(LONG_NAME, &long),
        panel("By series", &slots),
    ];
    for count in 1..=panels.len() {
        error_by_slot(&by_slot(&panels[..count], 231.4), &stem).unwrap();
        let (text, size) = check(&stem);
        assert_eq!(size.0, 1600);
        assert_contains(
            &text,
            &["By hour of the day", "MAE (vehicles per hour)", "all rows (231.4)", "95% interval", "23"],
        );
        assert_eq!(text.contains("n 5,772"), count > 1);
        assert_eq!(text.contains("By series, 12 more not drawn"), count == 6);
    }
    for value in HOSTILE_NUMBERS {
        let slots = HOSTILE_NUMBERS.map(|end| SlotError {
            name: HOSTILE_TEXT,
            count: u64::MAX,
            value,
            interval: Some((end, value)),
        });
        let panels = [panel(HOSTILE_TEXT, &slots[..]), panel(HOSTILE_TEXT, &[])];
        error_by_slot(&by_slot(&panels, value), &stem).unwrap();
        assert_contains(&check(&stem).0, &["no data"]);
    }
    error_by_slot(&by_slot(&[], f64::NAN), &stem).unwrap();
    assert_contains(&check(&stem).0, &["no data"]);
}
