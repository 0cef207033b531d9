//! The one place of the supervisor that speaks to a person: a mistaken call by hand.

use std::io::Write;
use std::process::ExitCode;

use lattice::model::failure::Failure;

pub(crate) fn report(failure: &Failure) -> ExitCode {
    let hint = failure.hint_text().map(|hint| format!("  hint: {hint}\n")).unwrap_or_default();
    let text = format!("Error: {failure}\n{hint}");
    // In every role but a call by hand standard error is /dev/null.
    drop(std::io::stderr().write_all(text.as_bytes()));
    ExitCode::from(failure.code().exit_status())
}
