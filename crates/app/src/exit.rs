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

/// A panic in the recipe: a bug in the program, not in its use. Exit code 101, as Rust's own.
#[derive(Debug)]
pub struct Panicked(pub String);

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the program panicked: {}\nhint: this is a bug; the lines above say where", self.0)
    }
}

impl std::error::Error for Panicked {}

/// Prints `error: what: why` and, on a line of its own, `hint: ...`; gives 0, 1, 2 (wrong use), 75 (the
/// study's database is away), 101 (panic) or 130 (interrupted).
pub fn report(result: anyhow::Result<()>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    eprintln!("error: {}", describe(&error));
    if error.is::<Mistake>() {
        ExitCode::from(2)
    } else if error.is::<Interrupted>() {
        ExitCode::from(130)
    } else if error.is::<Panicked>() {
        ExitCode::from(101)
    } else if matches!(error.downcast_ref(), Some(tuning::Error::Unreachable { .. })) {
        // EX_TEMPFAIL of sysexits.h: worth starting again.
        ExitCode::from(75)
    } else {
        ExitCode::FAILURE
    }
}

/// What stands between a message and its hint: our own form, and that of errors that fit on one line.
const HINT_MARKS: [&str; 2] = ["\nhint: ", ". Hint: "];

/// The chain of causes in one line, hints after it. A cause that its parent already quotes is not said twice.
pub fn describe(error: &anyhow::Error) -> String {
    let (mut parts, mut hints): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    for cause in error.chain() {
        let text = cause.to_string();
        let (message, hint) = HINT_MARKS.iter().find_map(|mark| text.split_once(mark)).unwrap_or((&text, ""));
        if !parts.iter().any(|part| part.contains(message)) {
            parts.push(message.to_owned());
        }
        if !hint.is_empty() && !hints.iter().any(|known| known == hint) {
            hints.push(hint.to_owned());
        }
    }
    hints.iter().fold(parts.join(": "), |text, hint| format!("{text}\nhint: {hint}"))
}
