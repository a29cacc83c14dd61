//! From text to a condition. Words are separated by single spaces here.

use super::{Comparison, Condition};
use crate::names::nearest;

const FORMS: &str = "`METRIC >= NUMBER`, `slice COLUMN=LEVEL METRIC >= NUMBER` or \
                     `[METRIC] not worse than @ALIAS by more than NUMBER with 95 % confidence`";

/// A text that is no gate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("gate `{text}`: {problem}{}", hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default())]
pub struct GateError {
    /// The whole gate.
    pub text: String,
    /// What was found, and what was expected.
    pub problem: String,
    /// What may have been meant.
    pub hint: Option<String>,
}

type Parsed<T> = Result<T, Problem>;

/// Without the text, which is the same for all.
struct Problem {
    problem: String,
    hint: Option<String>,
}

fn problem<T>(problem: String, hint: Option<String>) -> Parsed<T> {
    Err(Problem { problem, hint })
}

pub(super) fn condition(text: &str) -> Result<Condition, GateError> {
    let parsed = if text.is_empty() {
        problem("is empty".to_owned(), Some(format!("write {FORMS}")))
    } else if is_comparison_of_models(text) {
        Words { words: text.split(' ').collect(), place: 0 }.reference()
    } else {
        bound(text)
    };
    parsed.map_err(|Problem { problem, hint }| GateError { text: text.to_owned(), problem, hint })
}

/// Whether another model is meant, be it misspelt. A level of a slice may be called anything.
fn is_comparison_of_models(text: &str) -> bool {
    let names_model = |word: &str| ["@", "models:/", "runs:/"].iter().any(|start| word.starts_with(start));
    let phrases = ["worse than", "better than", "not worse"];
    !text.starts_with("slice ")
        && (text.split(' ').any(names_model) || phrases.iter().any(|phrase| text.contains(phrase)))
}

struct Words<'a> {
    words: Vec<&'a str>,
    place: usize,
}

impl<'a> Words<'a> {
    fn reference(&mut self) -> Parsed<Condition> {
        let metric = match self.peek() {
            Some("not" | "better") => None,
            // `nott worse than`: a misspelt `not` is no metric.
            Some(word) if self.words.get(self.place + 1).is_some_and(|next| matches!(*next, "not" | "better")) => {
                self.place += 1;
                Some(word.to_owned())
            }
            _ => None,
        };
        let better = self.peek() == Some("better");
        self.phrase(if better { &["better", "than"] } else { &["not", "worse", "than"] })?;
        let reference = self.model()?;
        let mut margin = 0.0;
        if self.peek().is_some_and(|word| !is_near(word, "with")) {
            self.phrase(&["by", "more", "than"])?;
            margin = self.number("a margin in the units of the metric, such as 0.002")?;
            if margin < 0.0 {
                return problem(format!("the margin {margin} is below 0"), None);
            }
        }
        let mut confidence = None;
        if self.peek().is_some() {
            self.phrase(&["with"])?;
            confidence = Some(self.confidence()?);
            self.phrase(&["confidence"])?;
        }
        match self.peek() {
            None => Ok(Condition::Reference { metric, reference, better, margin, confidence }),
            Some(word) => {
                problem(format!("`{word}` is left over at the end"), Some("write one gate per line".to_owned()))
            }
        }
    }

    fn peek(&self) -> Option<&'a str> {
        self.words.get(self.place).copied()
    }

    /// Exactly these words.
    fn phrase(&mut self, phrase: &[&str]) -> Parsed<()> {
        for expected in phrase {
            let found = self.peek();
            if found != Some(*expected) {
                let whole = phrase.join(" ");
                let problem_text = match found {
                    None => format!("ends where `{whole}` is expected"),
                    Some(found) => format!("found `{found}`, expected `{expected}` (of `{whole}`)"),
                };
                let near = found.is_some_and(|found| is_near(found, expected));
                let hint = if near { format!("did you mean `{expected}`?") } else { format!("write {FORMS}") };
                return problem(problem_text, Some(hint));
            }
            self.place += 1;
        }
        Ok(())
    }

    fn model(&mut self) -> Parsed<String> {
        const EXPECTED: &str =
            "a model: `@champion`, `models:/NAME/VERSION`, `models:/NAME@ALIAS` or `runs:/RUN_ID/model`";
        let Some(word) = self.peek() else { return problem(format!("ends where there should be {EXPECTED}"), None) };
        self.place += 1;
        let rest = ["@", "models:/", "runs:/"].iter().find_map(|start| word.strip_prefix(start));
        match rest {
            Some("") | None => {
                let hint = (!word.contains([':', '/', '@'])).then(|| format!("did you mean `@{word}`?"));
                problem(format!("found `{word}`, expected {EXPECTED}"), hint)
            }
            Some(_) => Ok(word.to_owned()),
        }
    }

    fn number(&mut self, expected: &str) -> Parsed<f64> {
        let Some(word) = self.peek() else { return problem(format!("ends where there should be {expected}"), None) };
        self.place += 1;
        if let (Some(percent), _) | (None, Some(percent)) =
            (word.strip_suffix('%'), (self.peek() == Some("%")).then_some(word))
        {
            let hint = "shares are written as 0.01, not as 1 %".to_owned();
            return problem(format!("found `{percent} %`, expected {expected}"), Some(hint));
        }
        number(word, expected)
    }

    /// `95 %`, `95%` or `0.95`, as a share.
    fn confidence(&mut self) -> Parsed<f64> {
        const EXPECTED: &str = "a confidence such as `95 %`";
        let Some(word) = self.peek() else { return problem(format!("ends where there should be {EXPECTED}"), None) };
        self.place += 1;
        let percent = word.strip_suffix('%');
        let value = number(percent.unwrap_or(word), EXPECTED)?;
        let apart = self.peek() == Some("%");
        self.place += usize::from(apart);
        let share = if percent.is_some() || apart || value > 1.0 { value / 100.0 } else { value };
        if (0.5..1.0).contains(&share) {
            return Ok(share);
        }
        problem(format!("a confidence of `{word}` cannot be had; it lies between 50 % and 100 %"), None)
    }
}

fn bound(text: &str) -> Parsed<Condition> {
    const SIGNS: [char; 6] = ['<', '>', '=', '!', '≤', '≥'];
    const EXPECTED: &str = "expected `>=`, `<=`, `>` or `<`";
    let Some(last) = text.rfind(SIGNS) else {
        return problem(format!("has no comparison; {EXPECTED}"), Some(format!("write {FORMS}")));
    };
    let (before, from_sign) = text.split_at(text[..last].trim_end_matches(SIGNS).len());
    let right = from_sign.trim_start_matches(SIGNS);
    let sign = &from_sign[..from_sign.len() - right.len()];
    let comparison = match sign {
        ">=" | "≥" => Comparison::AtLeast,
        "<=" | "≤" => Comparison::AtMost,
        ">" => Comparison::Above,
        "<" => Comparison::Below,
        "=>" | "=<" => {
            let turned: String = sign.chars().rev().collect();
            return problem(
                format!("`{sign}` is no comparison; {EXPECTED}"),
                Some(format!("did you mean `{turned}`?")),
            );
        }
        _ if before.split(' ').next().is_some_and(|word| is_near(word, "slice")) => {
            let hint = "write `slice COLUMN=LEVEL METRIC >= NUMBER`".to_owned();
            return problem(format!("has no comparison after `{}`; {EXPECTED}", right.trim()), Some(hint));
        }
        _ => return problem(format!("`{sign}` is no comparison; {EXPECTED}"), None),
    };
    let bound = number(right.trim(), "a number after the comparison")?;
    let (slice, metric) = left_side(before.trim())?;
    Ok(Condition::Bound { slice, metric, comparison, bound })
}

/// `[slice COLUMN=LEVEL] METRIC`.
fn left_side(text: &str) -> Parsed<(Option<(String, String)>, String)> {
    let Some((rest, metric)) = text.rsplit_once(' ') else {
        return match text {
            "" => problem("has no metric before the comparison".to_owned(), Some(format!("write {FORMS}"))),
            "slice" => problem("has no column and metric after `slice`".to_owned(), None),
            metric if metric.contains('=') => {
                let hint = format!("write `slice {metric} METRIC >= NUMBER`");
                problem(format!("`{metric}` is no name of a metric"), Some(hint))
            }
            metric => Ok((None, metric.to_owned())),
        };
    };
    let (first, slice) = rest.split_once(' ').unwrap_or((rest, ""));
    if first != "slice" {
        let hint = if is_near(first, "slice") {
            "did you mean `slice`?".to_owned()
        } else {
            format!("did you mean `{}`? Several conditions are several gates", text.replace(' ', "_"))
        };
        return problem(format!("found `{text}` before the comparison, expected one name of a metric"), Some(hint));
    }
    let Some((column, level)) = split_slice(slice) else {
        let hint = "write `slice COLUMN=LEVEL METRIC >= NUMBER`, names with spaces in double quotes".to_owned();
        return problem(format!("found `{slice}` after `slice`, expected `COLUMN=LEVEL`"), Some(hint));
    };
    Ok((Some((column, level)), metric.to_owned()))
}

/// At the first `=` outside of quotes. A level may be empty, if quoted.
fn split_slice(text: &str) -> Option<(String, String)> {
    let column_end = if let Some(quoted) = text.strip_prefix('"') { quoted.find('"')? + 2 } else { 0 };
    let sign = column_end + text[column_end..].find('=')?;
    let (column, level) = (text[..sign].trim(), text[sign + 1..].trim());
    let unquoted = |text: &str| text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).map(str::to_owned);
    let level = unquoted(level).or_else(|| (!level.is_empty()).then(|| level.to_owned()))?;
    let column = unquoted(column).unwrap_or_else(|| column.to_owned());
    (!column.is_empty()).then_some((column, level))
}

fn number(text: &str, expected: &str) -> Parsed<f64> {
    if let Some(value) = text.parse::<f64>().ok().filter(|value| value.is_finite()) {
        return Ok(value);
    }
    let digits = text.trim_end_matches(|c: char| c.is_alphabetic() || matches!(c, '%' | ' '));
    let hint = match digits.parse::<f64>() {
        Ok(percent) if text.ends_with('%') => Some(format!("shares are written as {}", percent / 100.0)),
        Ok(_) => Some(format!("did you mean `{digits}`? Units belong to the metric's name")),
        Err(_) if text.contains(',') => Some(format!("did you mean `{}`?", text.replace(',', "."))),
        Err(_) => None,
    };
    let found = if text.is_empty() { "nothing".to_owned() } else { format!("`{text}`") };
    problem(format!("found {found}, expected {expected}"), hint)
}

fn is_near(word: &str, expected: &str) -> bool {
    !nearest(word, [expected]).is_empty()
}
