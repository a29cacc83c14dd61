//! Pictures of how a model is judged: operating point, gain, slices, dependence, drift, slots.

use std::path::Path;

use report::{
    Calibration, CalibrationBin, CalibrationCurve, DependenceGrid, DriftBins, DriftHistograms, DriftPanel, ErrorBySlot,
    FeatureDependence, GainAndLift, GainPoint, OperatingPoint, PartialDependence, Result, SliceScore, SliceScores,
    SlotError, SlotPanel, ThresholdCurve, calibration, drift_histograms, error_by_slot, gain_and_lift, operating_point,
    partial_dependence, slice_scores,
};

use crate::Noise;

pub(crate) const SUBTITLE: &str = "adult-mlp-128x64 · Adult census income · 16,281 test rows";
const BASE_RATE: f64 = 0.236;

pub(crate) fn draw_all(folder: &Path) -> Result<()> {
    for points in [0, 2, 101] {
        draw_gain(points, &folder.join(format!("gain_and_lift_{points}")))?;
        draw_operating_point(points, &folder.join(format!("operating_point_{points}")))?;
    }
    for slices in [0, 1, 12, 70] {
        draw_slices(slices, &folder.join(format!("slice_scores_{slices}")))?;
    }
    for (features, outputs) in [(0, 1), (1, 1), (6, 1), (3, 4), (30, 1)] {
        draw_dependence(features, outputs, &folder.join(format!("partial_dependence_{features}_{outputs}")))?;
    }
    for features in [0, 1, 6, 40] {
        draw_drift(features, &folder.join(format!("drift_histograms_{features}")))?;
    }
    draw_slots(false, &folder.join("error_by_slot"))?;
    draw_slots(true, &folder.join("error_by_slot_series"))?;
    draw_scaled_calibration(&folder.join("calibration_scaled"))
}

fn draw_gain(points: usize, stem: &Path) -> Result<()> {
    let point = |i: usize| {
        let share = i as f64 / (points.max(2) - 1) as f64;
        let gain = 1.0 - (1.0 - share).powf(4.2);
        GainPoint { share, gain, lift: if share > 0.0 { gain / share } else { f64::NAN } }
    };
    let points: Vec<GainPoint> = (0..points).map(point).collect();
    let spec = GainAndLift {
        title: "Gain and lift",
        subtitle: SUBTITLE,
        class: ">50K",
        points: &points,
        base_rate: BASE_RATE,
        selected: Some(0.27),
    };
    gain_and_lift(&spec, stem)
}

fn draw_operating_point(points: usize, stem: &Path) -> Result<()> {
    let thresholds: Vec<f64> = (0..points).map(|i| i as f64 / (points.max(2) - 1) as f64).collect();
    let recall: Vec<f64> = thresholds.iter().map(|t| 1.0 - t.powf(1.1)).collect();
    let precision: Vec<f64> = thresholds
        .iter()
        .map(|t| if *t < 0.97 { BASE_RATE + (1.0 - BASE_RATE) * t.powf(0.5) } else { f64::NAN })
        .collect();
    let f1: Vec<f64> = precision.iter().zip(&recall).map(|(p, r)| 2.0 * p * r / (p + r)).collect();
    let cost: Vec<f64> = thresholds.iter().map(|t| 0.9 - 1.7 * t + 2.4 * t * t).collect();
    let curve = |name, values| ThresholdCurve { name, values };
    let spec = OperatingPoint {
        title: "Operating point",
        subtitle: "adult-mlp-128x64 · Adult census income · 3,256 validation rows",
        thresholds: &thresholds,
        curves: &[curve("precision", &precision), curve("recall", &recall), curve("F1", &f1)],
        below: (points > 2).then_some(curve("Cost per row (1 per false positive, 5 per false negative)", &cost)),
        chosen: Some(0.36),
        goal: "highest F1",
    };
    operating_point(&spec, stem)
}

fn draw_slices(slices: usize, stem: &Path) -> Result<()> {
    let mut noise = Noise(61);
    let known = [
        "native-country=Outlying-US(Guam-USVI-etc) and other territories with long names",
        "relationship=Husband",
        "age (61, 90]",
        "education=Doctorate",
        "hours-per-week (0, 35]",
        "race=Amer-Indian-Eskimo",
        "sex=Male",
        "workclass missing",
        "sex=Female",
        "age (17, 26]",
        "one class only",
    ];
    let names: Vec<String> =
        (0..slices).map(|i| known.get(i).map_or_else(|| format!("level={i}"), |s| s.to_string())).collect();
    let slice = |(i, name): (usize, &String)| {
        let count = (30.0 * 1.45f64.powi(i.min(18) as i32)) as u64;
        let half = 0.4 / (count as f64).sqrt();
        let value = if i == 10 { f64::NAN } else { 0.79 + 0.014 * i.min(11) as f64 + 0.004 * noise.normal() };
        (name.clone(), count, value, (value - half, (value + half).min(1.0)))
    };
    let all: Vec<_> = names.iter().enumerate().map(slice).collect();
    let slices: Vec<SliceScore> = all
        .iter()
        .map(|(name, count, value, interval)| SliceScore {
            name,
            count: *count,
            value: *value,
            interval: Some(*interval),
        })
        .collect();
    let spec = SliceScores {
        title: "Slices",
        subtitle: SUBTITLE,
        metric: "ROC AUC",
        lower_is_better: false,
        overall: 0.9124,
        interval_label: "95% interval, 1,000 bootstrap samples",
        slices: &slices,
    };
    slice_scores(&spec, stem)
}

fn draw_dependence(features: usize, outputs: usize, stem: &Path) -> Result<()> {
    let mut noise = Noise(67);
    let grid: Vec<f64> = (0..21).map(|i| 20.0 + 2.0 * f64::from(i)).collect();
    let values: Vec<f64> = (0..4_000).map(|_| 38.0 + 11.0 * noise.normal()).collect();
    let names: Vec<String> = (0..10)
        .map(|i| {
            ["Married-civ-spouse", "Never-married", "Divorced"]
                .get(i)
                .map_or_else(|| format!("level {i} with a long name"), |s| s.to_string())
        })
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let counts: Vec<u64> = (0..10).map(|i| 14_000 / (i * i + 1)).collect();
    let curve = |shift: f64, i: usize| -> Vec<f64> {
        grid.iter().map(|x| 0.1 + 0.05 * shift + 0.16 / (1.0 + (-(x - 34.0) / (4.0 + i as f64)).exp())).collect()
    };
    let levels = |shift: f64| -> Vec<f64> { (0..10).map(|i| 0.36 - 0.03 * f64::from(i) + 0.02 * shift).collect() };
    let means: Vec<Vec<Vec<f64>>> = (0..features)
        .map(|i| (0..outputs).map(|o| if i % 3 == 1 { levels(o as f64) } else { curve(o as f64, i) }).collect())
        .collect();
    let feature = |(i, means): (usize, &'static str)| (i, means);
    let feature_names =
        ["age", "marital-status", "hours-per-week, with a name that is far too long for the place that it has here"];
    let panels: Vec<FeatureDependence> = means
        .iter()
        .enumerate()
        .map(|(i, means)| {
            let (i, name) = feature((i, feature_names[i % 3]));
            let grid = if i % 3 == 1 {
                DependenceGrid::Levels { names: &names, counts: &counts }
            } else {
                DependenceGrid::Numbers { grid: &grid, values: if i == 5 { &[] } else { &values } }
            };
            FeatureDependence { feature: name, grid, means }
        })
        .collect();
    let classes = ["probability of >50K", "probability of B", "probability of C", "probability of D"];
    let spec = PartialDependence {
        title: "Partial dependence",
        subtitle: "adult-mlp-128x64 · Adult census income · 1,000 validation rows",
        outputs: &classes[..outputs],
        overall: 0.2391,
        features: &panels,
    };
    partial_dependence(&spec, stem)
}

fn draw_drift(features: usize, stem: &Path) -> Result<()> {
    let edges: Vec<f64> = (0..=24).map(|i| 17.0 + 3.0 * f64::from(i)).collect();
    let uneven = [0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 40.0];
    let bell = |n: usize, center: f64, width: f64| -> Vec<f64> {
        (0..n).map(|i| 1_000.0 * (-((i as f64 - center) / width).powi(2)).exp()).collect()
    };
    let (before, after) = (bell(24, 8.0, 5.0), bell(24, 12.0, 4.0));
    let (few_before, few_after) = (bell(6, 1.0, 2.0), bell(6, 2.0, 2.0));
    let names = [
        "Private",
        "Self-emp-not-inc",
        "Local-gov",
        "missing",
        "State-gov",
        "other",
        "Federal-gov",
        "a level that is new, with a long name",
        "x",
        "y",
    ];
    let (levels_before, levels_after) =
        ([22.0, 3.0, 2.0, 1.8, 1.3, 1.0, 0.9, 0.0, 0.1, 0.1], [12.0, 3.0, 2.0, 6.8, 1.3, 1.0, 0.9, 1.4, 0.1, 0.1]);
    let panels: Vec<DriftPanel> = (0..features)
        .map(|i| match i % 3 {
            0 => DriftPanel {
                feature: "age",
                remark: "PSI 0.52, KS 0.31",
                is_drift: true,
                bins: DriftBins::Edges(&edges),
                reference: &before,
                current: if i == 3 { &before } else { &after },
            },
            1 => DriftPanel {
                feature: "workclass",
                remark: "PSI 0.24, 4.2% unseen",
                is_drift: true,
                bins: DriftBins::Levels(&names[..if i == 1 { 10 } else { 2 }]),
                reference: &levels_before[..if i == 1 { 10 } else { 2 }],
                current: &levels_after[..if i == 1 { 10 } else { 2 }],
            },
            _ => DriftPanel {
                feature: "capital-gain, in thousands, of the year before, as it stands in the file of the office",
                remark: "PSI 0.04",
                is_drift: false,
                bins: DriftBins::Edges(&uneven),
                reference: &few_before,
                current: &few_after,
            },
        })
        .collect();
    let spec = DriftHistograms {
        title: "Drift",
        subtitle: "adult-mlp-128x64 · 29,305 training rows, 4,000 rows of july.csv",
        reference: "training rows",
        current: "july.csv",
        features: &panels,
    };
    drift_histograms(&spec, stem)
}

fn draw_slots(by_series: bool, stem: &Path) -> Result<()> {
    let hours: Vec<String> = (0..24).map(|i| i.to_string()).collect();
    let days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].map(String::from);
    let sensors: Vec<String> = (0..60).map(|i| format!("sensor {i} on the northern bridge")).collect();
    let slots = |names: &'static str, all: &[String]| -> Vec<(String, f64)> {
        let value = |i: usize| 220.0 + 90.0 * (i as f64 * 0.5 + names.len() as f64).sin();
        all.iter().enumerate().map(|(i, name)| (name.clone(), value(i))).collect()
    };
    let groups = if by_series {
        vec![("By series", slots("series", &sensors)), ("By month", slots("m", &days[..2]))]
    } else {
        let series = ["HUFL", "HULL", "MUFL", "MULL", "OT"].map(String::from);
        vec![
            ("By hour of the day", slots("hours", &hours)),
            ("By weekday", slots("d", &days)),
            ("By series", slots("of", &series)),
        ]
    };
    let errors: Vec<Vec<SlotError>> = groups
        .iter()
        .map(|(_, slots)| {
            let error = |(name, value): &'_ (String, f64)| (name.clone(), *value);
            slots
                .iter()
                .map(error)
                .zip(slots)
                .map(|((_, value), (name, _))| SlotError {
                    name,
                    count: 5_772,
                    value,
                    interval: Some((value - 18.0, value + 21.0)),
                })
                .collect()
        })
        .collect();
    let panels: Vec<SlotPanel> =
        groups.iter().zip(&errors).map(|((title, _), slots)| SlotPanel { title, slots }).collect();
    let spec = ErrorBySlot {
        title: "Error by time and series",
        subtitle: "traffic-mlp · 5,772 test windows",
        metric: "MAE (vehicles per hour)",
        overall: 231.4,
        interval_label: "95% interval",
        panels: &panels,
    };
    error_by_slot(&spec, stem)
}

/// One class, before and after.
fn draw_scaled_calibration(stem: &Path) -> Result<()> {
    let bins = |bend: f64| -> Vec<CalibrationBin> {
        let bin = |i: u32| {
            let (low, high) = (f64::from(i) / 10.0, f64::from(i + 1) / 10.0);
            let predicted = (low + high) / 2.0;
            let observed = predicted.powf(bend);
            let interval = Some(((observed - 0.03).max(0.0), (observed + 0.03).min(1.0)));
            CalibrationBin { low, high, predicted, observed, interval, count: 1_400 / u64::from(i + 1) }
        };
        (0..10).map(bin).collect()
    };
    let (raw, temperature, isotonic) = (bins(1.5), bins(1.1), bins(1.02));
    let curve = |class, bins, ece| CalibrationCurve { class, bins, ece };
    let spec = Calibration {
        title: "Calibration before and after scaling",
        subtitle: SUBTITLE,
        interval_label: "95% Wilson interval",
        curves: vec![
            curve("as trained", &raw, 0.071),
            curve("temperature", &temperature, 0.022),
            curve("isotonic", &isotonic, 0.009),
        ],
    };
    calibration(&spec, stem)
}
