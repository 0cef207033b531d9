//! The words of `lattice-shim debug`, and its help. Looks at nothing but the words.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use lattice::model::duration;
use lattice::model::failure::{Code, Failure, Result};

pub(crate) const HELP: &str = "\
Run a worker definition in the foreground, to see what it does before anybody relies on it

Usage: lattice-shim debug DEFINITION [OPTIONS]

  DEFINITION          a definition such as workers/review.json; it need not be in workers/ yet
  --task TASK         the task to work on [default: a placeholder that is no task]
  --timeout DURATION  its limit instead of the definition's: 90s, 10m, 2h, or a number of minutes
  --keep-worktree     leave the worktree for a look; git knows it as locked
  --record            make it a real run: its start and its end become events of TASK, hooks run
  -h, --help          this text

It does what `lattice worker run` does, with the same checks, worktree, environment, setup, limits and end:
work that the worker leaves in its worktree is saved in refs/lattice/runs/. What is different:

  - It stays on your terminal until the worker ends. The worker itself has no terminal, as in every run.
  - Nothing is written into any task, and no hook runs, unless --record says so. What would have been recorded
    is printed at the end.
  - Nobody stands by: if this program is killed, the next lattice command cleans up behind it.

The output of the worker goes to stdout, everything else to stderr:

  lattice-shim debug workers/review.json
  lattice-shim debug /tmp/draft.json --task LAT-42 --timeout 2m
  lattice-shim debug workers/review.json --keep-worktree 2>plan.txt | tee output.txt

Ctrl-C once stops the worker and gives it its grace; twice kills it. Both end like any other run. Ctrl-Z does
nothing: its time would go on, and nobody would be there to end it. For the background there is `lattice worker run`.
With the placeholder, `lattice show $LATTICE_TASK_ID` inside the worker finds nothing: give it a --task.

Exit status: 0 completed, 4 did not, 130 stopped by Ctrl-C, 1 refused (the reason is printed), 2 wrong usage.

The supervisor's other roles are started by lattice only.
";

/// What was typed, and nothing that follows from it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) definition: PathBuf,
    pub(crate) task: Option<String>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) keep_worktree: bool,
    pub(crate) record: bool,
}

/// `None`: help is wanted.
pub(crate) fn parse(words: &[OsString]) -> Result<Option<Options>> {
    let mut definition = None;
    let (mut task, mut timeout) = (None, None);
    let (mut keep_worktree, mut record) = (false, false);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let (name, mut value) = split(word);
        match name {
            Some("-h" | "--help") => return Ok(None),
            Some("--keep-worktree") => keep_worktree = true,
            Some("--record") => record = true,
            Some(option @ ("--task" | "--timeout")) => {
                value = value.or_else(|| words.next()?.to_str());
                let value = value.ok_or_else(|| usage(format!("{option} needs a value")))?;
                if option == "--task" {
                    task = Some(value.to_owned());
                } else {
                    timeout = Some(
                        duration::minutes(value)
                            .map_err(|why| usage(format!("--timeout {value}: {why}")))?,
                    );
                }
                continue;
            }
            Some(option) if option.starts_with('-') && option.len() > 1 => {
                return Err(usage(format!("there is no option {option}")));
            }
            _ if definition.is_none() => {
                definition = Some(PathBuf::from(word));
                continue;
            }
            _ => {
                return Err(usage(format!(
                    "one definition at a time, not also {}",
                    word.display()
                )));
            }
        }
        if value.is_some() {
            return Err(usage(format!("{} takes no value", name.unwrap_or_default())));
        }
    }
    let definition = definition.ok_or_else(|| usage("which definition?".to_owned()))?;
    if record && task.is_none() {
        return Err(usage("--record needs a --task, whose events it writes".to_owned()));
    }
    Ok(Some(Options { definition, task, timeout, keep_worktree, record }))
}

/// `--name=value` in its parts; a word that is no option is all name.
fn split(word: &OsString) -> (Option<&str>, Option<&str>) {
    match word.to_str() {
        Some(text) if text.starts_with("--") => match text.split_once('=') {
            Some((name, value)) => (Some(name), Some(value)),
            None => (Some(text), None),
        },
        other => (other, None),
    }
}

fn usage(message: String) -> Failure {
    Failure::new(Code::Usage, message).hint("lattice-shim debug --help")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Option<Options>> {
        parse(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn options_come_in_any_order_and_both_forms() {
        let expected = Options {
            definition: "a.json".into(),
            task: Some("LAT-1".into()),
            timeout: Some(Duration::from_secs(90)),
            keep_worktree: true,
            record: true,
        };
        let words = ["--task", "LAT-1", "--record", "a.json", "--timeout=90s", "--keep-worktree"];
        assert_eq!(parsed(&words).unwrap().unwrap(), expected);
        assert!(parsed(&["a.json", "--help"]).unwrap().is_none());
    }

    #[test]
    fn wrong_words_are_named() {
        for (words, said) in [
            (&[][..], "which definition?"),
            (&["a", "b"], "one definition at a time, not also b"),
            (&["a", "--colour"], "there is no option --colour"),
            (&["a", "--task"], "--task needs a value"),
            (&["a", "--record=yes", "--task", "x"], "--record takes no value"),
            (&["a", "--record"], "--record needs a --task, whose events it writes"),
        ] {
            let failure = parsed(words).unwrap_err();
            assert_eq!((failure.code(), failure.message()), (Code::Usage, said));
        }
        assert!(parsed(&["a", "--timeout", "soon"]).unwrap_err().message().contains("90s"));
    }
}
