//! Asking a person at a terminal.

use std::io::{self, BufRead, Write};

use lattice::model::failure::{Code, Failure, Result};

use super::out::note;

/// Asks until the answer is a good one. An empty answer is none; the end of the input ends
/// the command, with `instead` for what to type.
pub(crate) fn ask(
    text: &str,
    instead: &str,
    check: impl Fn(&str) -> Result<String>,
) -> Result<Option<String>> {
    loop {
        let answer = line(text, instead)?;
        match answer.trim() {
            "" => return Ok(None),
            answer => match check(answer) {
                Ok(good) => return Ok(Some(good)),
                Err(failure) => {
                    note(format_args!("{failure}: {}", failure.hint_text().unwrap_or_default()));
                }
            },
        }
    }
}

fn line(text: &str, instead: &str) -> Result<String> {
    let mut stderr = io::stderr();
    let mut answer = String::new();
    let asked = write!(stderr, "{text}").and_then(|()| stderr.flush());
    let read = asked.and_then(|()| io::stdin().lock().read_line(&mut answer));
    match read.map_err(|error| Failure::io("cannot ask on the terminal", error))? {
        0 => {
            note("");
            Err(Failure::new(Code::ValidationError, "aborted; nothing has been created")
                .hint(format!("give the answers as options: {instead}")))
        }
        _ => Ok(answer),
    }
}
