//! Reading settings from environment variables, or from whatever stands in for them.

use std::str::FromStr;

use crate::{Error, Result};

/// Gives the value of a variable. One that is empty counts as one that is not set, as it does for MLflow.
pub(crate) struct Variables<F>(pub(crate) F);

impl<F: Fn(&str) -> Option<String>> Variables<F> {
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        (self.0)(name).filter(|value| !value.is_empty())
    }

    /// Errors name the variable and what it should be: "a whole number".
    pub(crate) fn number<T: FromStr>(&self, name: &str, what: &str) -> Result<Option<T>> {
        let Some(value) = self.text(name) else { return Ok(None) };
        value.trim().parse().map(Some).map_err(|_| Error::Invalid(format!("{name}: `{value}` is not {what}")))
    }

    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>> {
        match self.text(name).as_deref().map(str::to_lowercase).as_deref() {
            None => Ok(None),
            Some("false" | "0") => Ok(Some(false)),
            Some("true" | "1") => Ok(Some(true)),
            Some(other) => Err(Error::Invalid(format!("{name}: `{other}` is not true or false"))),
        }
    }
}

/// A variable of this process.
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_or_named() {
        let variables = Variables(|name: &str| match name {
            "NUMBER" => Some(" 7 ".into()),
            "YES" => Some("True".into()),
            "NO" => Some("0".into()),
            "ODD" => Some("maybe".into()),
            "EMPTY" => Some(String::new()),
            _ => None,
        });
        assert_eq!(variables.number::<u64>("NUMBER", "a whole number").expect("a number"), Some(7));
        assert_eq!(variables.number::<u64>("EMPTY", "a whole number").expect("nothing"), None);
        let error = variables.number::<u64>("ODD", "a whole number").expect_err("no number").to_string();
        assert_eq!(error, "ODD: `maybe` is not a whole number");
        assert_eq!([variables.flag("YES").ok(), variables.flag("NO").ok()], [Some(Some(true)), Some(Some(false))]);
        assert_eq!(variables.flag("NONE").ok(), Some(None));
        assert!(variables.flag("ODD").is_err_and(|error| error.to_string().contains("ODD")));
        assert_eq!((variables.text("EMPTY"), variables.text("NONE")), (None, None));
    }
}
