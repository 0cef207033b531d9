//! How a failure looks, and which exit status it has.

use std::panic::PanicHookInfo;
use std::process::ExitCode;

use serde_json::{Map, Value};

use lattice::model::failure::{Code, Failure, Result};

use super::out::{Out, note};

/// Prints what went wrong and gives the exit status.
pub(crate) fn exit_code(out: &Out, result: Result<()>) -> ExitCode {
    let result = result.and_then(|()| out.flush());
    if out.is_closed() {
        return ExitCode::SUCCESS;
    }
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report(out, &failure),
    }
}

fn report(out: &Out, failure: &Failure) -> ExitCode {
    if out.is_answered() {
        return ExitCode::from(failure.code().exit_status());
    }
    // Wrong words are told like the parser tells them: in text, whatever form the answer would have had.
    let in_json = out.is_json() && failure.code() != Code::Usage;
    let written = in_json && out.error(as_json(failure)).and_then(|()| out.flush()).is_ok();
    if !written && !out.is_closed() {
        print(out, failure);
    }
    ExitCode::from(failure.code().exit_status())
}

/// Where there is no session yet, there is no other form than text.
pub(crate) fn without_session(failure: &Failure) -> ExitCode {
    note(format_args!("Error: {failure}"));
    ExitCode::from(failure.code().exit_status())
}

fn print(out: &Out, failure: &Failure) {
    // What was printed before belongs before it, also where both streams are one file.
    if out.flush().is_err() {
        // The failure itself matters more.
    }
    note(format_args!("{} {failure}", out.error_paint.error("Error:")));
    if let Some(hint) = hint(failure) {
        note(format_args!("  {} {hint}", out.error_paint.hint("hint:")));
    }
}

fn as_json(failure: &Failure) -> Value {
    let mut error: Map<String, Value> = failure.details().clone();
    error.insert("code".to_owned(), failure.code().as_str().into());
    error.insert("message".to_owned(), failure.message().into());
    if let Some(hint) = hint(failure) {
        error.insert("hint".to_owned(), hint.into());
    }
    Value::Object(error)
}

/// What to do next. The system's own errors come without one; there the same things are worth a look.
fn hint(failure: &Failure) -> Option<&str> {
    failure.hint_text().or(match failure.code() {
        Code::IoError => Some("look at the permissions of that path, and at the room on its disk"),
        Code::Internal => Some("this is a bug in lattice: please report it"),
        _ => None,
    })
}

/// The one line of a panic.
pub(crate) fn bug(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map_or_else(String::new, |place| format!(" at {place}"));
    let what = panic.payload_as_str().unwrap_or("no message");
    note(format_args!(
        "lattice: this is a bug, please report it: {what}{place} (version {})",
        super::VERSION
    ));
}
