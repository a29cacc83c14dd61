//! Gates: what is understood, what is refused and how, what is measured.

use evaluation::gates::{Direction, FactError, Facts, Gate, GateResult, Measured, parse};
use evaluation::{Difference, Interval};

struct Known;

impl Facts for Known {
    fn metric(&self, name: &str) -> Option<Measured> {
        let interval = Some(Interval { low: 0.7712, high: 0.8101 });
        let measured = |value, interval| Some(Measured { value, interval, n_rows: None });
        match name {
            "test_auc" => measured(0.791_23, interval),
            "test_f1" => measured(0.799_996, None),
            "latency_ms_p99" => measured(12.345, None),
            "test_mcc" => measured(f64::NAN, None),
            _ => None,
        }
    }

    fn names(&self) -> Vec<String> {
        ["test_auc", "val_auc", "test_f1", "latency_ms_p99", "test_mcc"].map(str::to_owned).to_vec()
    }

    fn main_metric(&self) -> &str {
        "test_auc"
    }

    fn direction(&self, metric: &str) -> Option<Direction> {
        let down = metric.contains("loss") || metric.contains("latency");
        let known = metric == "test_log_loss" || self.metric(metric).is_some();
        known.then_some(if down { Direction::Minimize } else { Direction::Maximize })
    }

    fn slice(&self, column: &str, level: &str, metric: &str) -> Result<Measured, FactError> {
        let unknown = |what, name: &str, known: &[&str]| {
            let known = known.iter().map(|name| (*name).to_owned()).collect();
            Err(FactError::Unknown { what, name: name.to_owned(), known })
        };
        match (column, level) {
            ("sex", "Female") | ("hours per week", "(40, 50]") | ("age", "<= 25") => {
                let known = self.metric(metric).ok_or(FactError::Failed("no such metric".to_owned()))?;
                Ok(Measured { n_rows: Some(412), ..known })
            }
            ("sex", level) => unknown("level of `sex`", level, &["Female", "Male"]),
            _ => unknown("column", column, &["sex", "age"]),
        }
    }

    /// 0.001 below the reference, from 0.004 below to 0.002 above; half of that for the middle half.
    fn difference(&self, reference: &str, _metric: &str, level: f64) -> Result<Difference, FactError> {
        if reference == "@missing" {
            return Err(FactError::Failed("model `income` has no alias `missing`".to_owned()));
        }
        assert!((0.0..1.0).contains(&level));
        let half = 0.003 * level / 0.9;
        Ok(Difference { value: -0.001, interval: Interval { low: -0.001 - half, high: -0.001 + half } })
    }
}

fn check(text: &str) -> GateResult {
    parse(text).unwrap_or_else(|error| panic!("{error}")).check(&Known)
}

#[test]
fn a_result_says_what_was_measured() {
    for (gate, passed, reason) in [
        ("test_auc >= 0.80", false, "test_auc 0.7912 [0.771, 0.810] < 0.80"),
        ("test_auc>=0.79", true, "test_auc 0.7912 [0.771, 0.810] >= 0.79"),
        ("  test_auc   > 0.5", true, "test_auc 0.7912 [0.771, 0.810] > 0.5"),
        ("test_auc ≥ 5e-1", true, "test_auc 0.7912 [0.771, 0.810] >= 5e-1"),
        ("latency_ms_p99 <= 5", false, "latency_ms_p99 12.35 > 5"),
        ("latency_ms_p99 < 20", true, "latency_ms_p99 12.35 < 20"),
        // Four digits would read `0.8000 < 0.80`.
        ("test_f1 >= 0.80", false, "test_f1 0.799996 < 0.80"),
        ("test_mcc >= 0.1", false, "test_mcc is not defined for these rows"),
        ("slice sex=Female test_auc >= 0.78", true, "test_auc of sex=Female 0.7912 [0.771, 0.810] (412 rows) >= 0.78"),
        (
            "slice \"hours per week\"=\"(40, 50]\" test_f1 >= 0.9",
            false,
            "test_f1 of hours per week=(40, 50] 0.8000 (412 rows) < 0.9",
        ),
        (
            "slice hours per week=(40, 50] test_f1 < 0.9",
            true,
            "test_f1 of hours per week=(40, 50] 0.8000 (412 rows) < 0.9",
        ),
        ("slice age=<= 25 test_f1 >= 0.5", true, "test_f1 of age=<= 25 0.8000 (412 rows) >= 0.5"),
        ("test_acu >= 0.8", false, "there is no metric `test_acu`; did you mean `test_auc`?"),
        ("auc >= 0.8", false, "there is no metric `auc`; did you mean `val_auc` or `test_auc`?"),
        (
            "rmse <= 3",
            false,
            "there is no metric `rmse`; there are `test_auc`, `val_auc`, `test_f1`, `latency_ms_p99`, `test_mcc`",
        ),
        ("slice sex=female test_auc >= 0.78", false, "there is no level of `sex` `female`; did you mean `Female`?"),
        ("slice sx=Female test_auc >= 0.78", false, "there is no column `sx`; did you mean `sex`?"),
    ] {
        let found = check(gate);
        assert_eq!((found.passed, found.reason.as_str()), (passed, reason), "{gate}");
        assert_eq!(found.value.is_some(), !reason.contains("there is no") && !reason.contains("not defined"));
    }
}

/// Of the difference the 5 % quantile counts, the low end of the middle 90 %: -0.004. For losses the high end: 0.002.
#[test]
fn comparisons_know_which_way_is_better() {
    let sure = "by more than 0.002 with 95 % confidence";
    for (gate, passed, reason) in [
        (
            format!("not worse than @champion {sure}"),
            false,
            "test_auc is 0.00100 worse than @champion's, with 95 % confidence at most 0.00400 worse; allowed: 0.002 worse",
        ),
        (
            "not worse than models:/income/3 by more than 0.005 with 95% confidence".to_owned(),
            true,
            "test_auc is 0.00100 worse than models:/income/3's, with 95 % confidence at most 0.00400 worse; allowed: 0.005 worse",
        ),
        (
            "not worse than @champion by more than 0.002".to_owned(),
            true,
            "test_auc is 0.00100 worse than @champion's; allowed: 0.002 worse",
        ),
        ("not worse than @champion".to_owned(), false, "test_auc is 0.00100 worse than @champion's; allowed: no worse"),
        (
            format!("test_log_loss not worse than runs:/abc/model {sure}"),
            true,
            "test_log_loss is 0.00100 better than runs:/abc/model's, with 95 % confidence at most 0.00200 worse; allowed: 0.002 worse",
        ),
        (
            "test_log_loss better than @champion with 0.6 confidence".to_owned(),
            true,
            "test_log_loss is 0.00100 better than @champion's, with 60 % confidence at least 0.000333 better; wanted: better",
        ),
        (
            "test_log_loss better than @champion by more than 0.0010".to_owned(),
            false,
            "test_log_loss is 0.00100 better than @champion's; wanted: more than 0.001 better",
        ),
        ("not worse than @missing".to_owned(), false, "model `income` has no alias `missing`"),
        (
            "test_acu not worse than @champion".to_owned(),
            false,
            "there is no metric `test_acu`; did you mean `test_auc`?",
        ),
    ] {
        let found = check(&gate);
        assert_eq!((found.passed, found.reason.as_str()), (passed, reason), "{gate}");
    }
}

#[test]
fn what_is_no_gate_is_refused_with_what_was_expected() {
    for (text, expected) in [
        ("", "gate ``: is empty; write `METRIC >= NUMBER`"),
        ("test_auc", "gate `test_auc`: has no comparison; expected `>=`, `<=`, `>` or `<`; write"),
        ("test_auc => 0.8", "`=>` is no comparison; expected `>=`, `<=`, `>` or `<`; did you mean `>=`?"),
        ("test_auc == 0.8", "`==` is no comparison"),
        ("test_auc >= ", "found nothing, expected a number after the comparison"),
        (">= 0.8", "has no metric before the comparison"),
        ("test_auc >= high", "found `high`, expected a number after the comparison"),
        ("test_auc >= 80 %", "found `80 %`, expected a number after the comparison; shares are written as 0.8"),
        ("latency_ms_p99 <= 5ms", "found `5ms`, expected a number after the comparison; did you mean `5`?"),
        ("test_auc >= 0,8", "did you mean `0.8`?"),
        ("test_auc >= nan", "found `nan`"),
        (
            "test auc >= 0.8",
            "found `test auc` before the comparison, expected one name of a metric; did you mean `test_auc`?",
        ),
        ("slise sex=Female test_auc >= 0.8", "did you mean `slice`?"),
        ("slice sex test_auc >= 0.8", "found `sex` after `slice`, expected `COLUMN=LEVEL`"),
        ("slice sex= test_auc >= 0.8", "expected `COLUMN=LEVEL`"),
        ("slice sex=Female test_auc", "has no comparison after `Female test_auc`"),
        ("sex=Female >= 0.8", "`sex=Female` is no name of a metric; write `slice sex=Female METRIC >= NUMBER`"),
        ("not worse then @champion", "found `then`, expected `than` (of `not worse than`); did you mean `than`?"),
        ("not wors than @champion", "found `wors`, expected `worse` (of `not worse than`); did you mean `worse`?"),
        ("worse than @champion", "found `worse`, expected `not`"),
        ("test_auc worse than @champion", "found `test_auc`, expected `not` (of `not worse than`)"),
        ("not worse than champion", "found `champion`, expected a model: `@champion`"),
        ("not worse than champion", "did you mean `@champion`?"),
        ("not worse than", "ends where there should be a model"),
        ("not worse than @champion by 0.002", "found `0.002`, expected `more` (of `by more than`)"),
        ("not worse than @champion by > 0.002", "found `>`, expected `more` (of `by more than`)"),
        ("test_auc >= @champion", "found `test_auc`, expected `not` (of `not worse than`)"),
        ("not worse than @champion by more than 1 %", "found `1 %`, expected a margin in the units of the metric"),
        ("not worse than @champion by more than -1", "the margin -1 is below 0"),
        ("not worse than @champion with 100 % confidence", "a confidence of `100` cannot be had"),
        ("not worse than @champion with 95 % confidens", "did you mean `confidence`?"),
        ("not worse than @champion with 95 %", "ends where `confidence` is expected"),
        ("not worse than @champion with 95 % confidence and test_f1", "`and` is left over at the end"),
    ] {
        let message = parse(text).unwrap_err().to_string();
        assert!(message.contains(expected), "{text}: {message}");
        assert!(message.starts_with(&format!("gate `{}`: ", text.trim())), "{message}");
    }
}

/// No text makes the parser panic: every prefix and every gate with one word left out.
#[test]
fn no_text_is_too_odd() {
    let gates = [
        "slice \"hours per week\"=\"(40, 50]\" test_auc >= 0.75",
        "test_auc not worse than models:/income/3 by more than 0.002 with 95 % confidence",
        "sliçe größe=≤ 3 ≥ test ≥ 0.8 %",
        "slice \"=\"\" = \"\"=\" <=> =",
    ];
    let mut tried = 0;
    for gate in gates {
        let starts = gate.char_indices().map(|(end, _)| gate[..end].to_owned());
        let words: Vec<&str> = gate.split(' ').collect();
        let without = (0..words.len()).map(|out| [&words[..out], &words[out + 1..]].concat().join(" "));
        for text in starts.chain(without) {
            if let Ok(gate) = parse(&text) {
                gate.check(&Known);
            }
            tried += 1;
        }
    }
    assert!(tried > 200, "{tried}");
}

#[test]
fn gates_stand_in_yaml_as_text() {
    let gates: Vec<Gate> =
        serde_yaml::from_str("- test_auc >= 0.80\n- slice sex=Female test_auc >= 0.78\n- not worse than '@champion'")
            .unwrap_or_default();
    assert!(gates.is_empty(), "quotes around an alias belong to YAML, not to the gate");
    let text =
        "- val_auc >= 0.80\n- slice sex=Female test_auc >= 0.78\n- not worse than @champion by more than 0.002\n";
    let gates: Vec<Gate> = serde_yaml::from_str(text).unwrap();
    assert_eq!(gates.iter().map(Gate::slice).collect::<Vec<_>>(), [None, Some(("sex", "Female")), None]);
    assert_eq!(gates.iter().map(Gate::metric).collect::<Vec<_>>(), [Some("val_auc"), Some("test_auc"), None]);
    assert_eq!(gates.iter().map(Gate::reference).collect::<Vec<_>>(), [None, None, Some("@champion")]);
    assert_eq!(serde_yaml::to_string(&gates).unwrap(), text);
    let wrong = serde_yaml::from_str::<Vec<Gate>>("- val_auc => 0.80").unwrap_err().to_string();
    assert!(wrong.contains("did you mean `>=`?"), "{wrong}");
    let json = serde_json::to_value(gates[0].check(&Known)).unwrap();
    assert_eq!(json["passed"], false);
    assert_eq!(json["gate"], "val_auc >= 0.80");
}
