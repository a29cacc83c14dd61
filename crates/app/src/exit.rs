//! How a program ends: one place prints errors and picks the exit code.

use std::fmt;
use std::process::ExitCode;

/// Wrong use: a bad flag or config. Exit code 2, the same as for an unknown flag.
#[derive(Debug)]
pub struct Mistake {
    message: String,
    hint: Option<String>,
}

impl Mistake {
    /// A mistake with what was found.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    /// Adds what to do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Mistake {}

/// The user pressed Ctrl-C, or the system asked to stop. Exit code 130.
#[derive(Debug)]
pub struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

/// Prints `error: what: why` and, on a line of its own, `hint: ...`; gives 0, 1, 2 (wrong use) or 130 (interrupted).
pub fn report(result: anyhow::Result<()>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    eprintln!("error: {}", describe(&error));
    if error.is::<Mistake>() {
        ExitCode::from(2)
    } else if error.is::<Interrupted>() {
        ExitCode::from(130)
    } else {
        ExitCode::FAILURE
    }
}

/// The chain of causes in one line, hints after it. A cause that its parent already quotes is not said twice.
pub fn describe(error: &anyhow::Error) -> String {
    let (mut parts, mut hints): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    for cause in error.chain() {
        let text = cause.to_string();
        let (message, hint) = text.split_once("\nhint: ").unwrap_or((&text, ""));
        if !parts.iter().any(|part| part.contains(message)) {
            parts.push(message.to_owned());
        }
        if !hint.is_empty() && !hints.iter().any(|known| known == hint) {
            hints.push(hint.to_owned());
        }
    }
    hints.iter().fold(parts.join(": "), |text, hint| format!("{text}\nhint: {hint}"))
}
