//! The one place of the supervisor that speaks to a person: to one who calls it by hand.

use std::io::Write;
use std::process::ExitCode;

use lattice::model::failure::Failure;

pub(crate) fn report(failure: &Failure) -> ExitCode {
    let hint = failure.hint_text().map(|hint| format!("  hint: {hint}\n")).unwrap_or_default();
    let text = format!("Error: {failure}\n{hint}");
    say(&text);
    ExitCode::from(failure.code().exit_status())
}

/// In every role but a call by hand standard error is /dev/null. A reader that has gone is no failure.
pub(crate) fn say(text: &str) {
    drop(std::io::stderr().write_all(text.as_bytes()));
}

/// What was asked for, such as help.
pub(crate) fn answer(text: &str) {
    drop(std::io::stdout().write_all(text.as_bytes()));
}
