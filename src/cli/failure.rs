//! How a command ends badly: what went wrong, what to do, and the exit code that says which kind it was.

use std::fmt;
use std::io::Write;
use std::process::ExitCode;

/// What was asked for did not happen: a demo that failed, an order that was refused.
pub(super) const FAILED: u8 = 1;
/// The command line or the configuration is wrong; nothing was started.
pub(super) const WRONG: u8 = 2;
/// The edge could not start: a port in use, an unknown host.
pub(super) const UNSTARTED: u8 = 3;
/// The edge stopped while calls were still up.
pub(super) const CALLS_LEFT: u8 = 4;

/// Why a command ended badly.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) code: u8,
    pub(super) what: String,
    pub(super) hint: Option<String>,
}

impl Failure {
    pub(super) fn new(code: u8, what: impl fmt::Display) -> Failure {
        Failure {
            code,
            what: what.to_string(),
            hint: None,
        }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }

    /// Tells it on standard error.
    pub(super) fn tell(&self) -> ExitCode {
        // A report of the configuration says `error` itself, once a line.
        let lead = if self.what.starts_with("error") { "" } else { "error: " };
        let mut error = std::io::stderr().lock();
        writeln!(error, "{lead}{}", self.what).ok(); // where nobody reads, the exit code still says it
        if let Some(hint) = &self.hint {
            writeln!(error, "  hint: {hint}").ok(); // likewise
        }
        ExitCode::from(self.code)
    }
}
