//! How far a commit is behind HEAD. For commands that somebody waits for: one short git process, or no answer.

use std::collections::HashMap;
use std::process::Command;
use std::time::Duration;

use super::branches::names_short_id;
use super::command;
use super::repository::{Repository, is_object_name};
use crate::model::drift::Drift;
use crate::model::failure::{Code, Failure, Result};
use crate::process::helper::Helpers;

const LIMIT: Duration = Duration::from_secs(5);
/// Nobody acts differently on a review that is older.
const NEWEST: usize = 1000;

/// The newest commits that HEAD contains, in the order of git.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    commits: Vec<Commit>,
    /// There are no others.
    is_whole: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Commit {
    name: String,
    parents: Vec<String>,
    /// As git abbreviates it.
    pub short: String,
    /// The author's, `YYYY-MM-DD`.
    pub date: String,
    message: String,
}

impl Commit {
    pub fn subject(&self) -> &str {
        self.message.lines().next().unwrap_or_default()
    }
}

/// The commit that HEAD is.
pub fn head(h: &mut dyn Helpers, repository: &Repository) -> Result<String> {
    let mut git = command::git(&repository.top);
    git.args(["rev-parse", "--verify", "HEAD^{commit}"]);
    let output = ask(h, git, "cannot look up HEAD")?;
    let name = output.trim_end();
    if is_object_name(name) {
        return Ok(name.to_owned());
    }
    Err(Failure::new(Code::GitError, format!("git names HEAD '{name}', which is no commit")))
}

/// HEAD and what led to it.
pub fn read(h: &mut dyn Helpers, repository: &Repository) -> Result<History> {
    let mut git = command::git(&repository.top);
    git.args(["log", "-z", "--format=%H %P%n%h%n%ad%n%B", "--date=short", "--encoding=UTF-8"]);
    git.args(["--no-show-signature", "--no-color", &format!("--max-count={}", NEWEST + 1)]);
    git.args(["HEAD", "--"]);
    Ok(History::parse(&ask(h, git, "cannot read the history of HEAD")?))
}

fn ask(h: &mut dyn Helpers, git: Command, doing: &str) -> Result<String> {
    let output = command::run_within(h, git, None, doing, LIMIT)?;
    if output.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(command::refused(doing, &output))
    }
}

impl History {
    /// Records that end in NUL: `COMMIT PARENT...`, abbreviation, date, and the message in any number of lines.
    fn parse(text: &str) -> Self {
        let commits: Vec<_> = text.split('\0').filter_map(Commit::parse).collect();
        Self { is_whole: commits.len() <= NEWEST, commits }
    }

    /// The commits whose messages name a short ID.
    pub fn mentions<'a>(&'a self, short_id: &str) -> impl Iterator<Item = &'a Commit> {
        self.commits.iter().filter(move |commit| names_short_id(&commit.message, short_id))
    }

    /// Where a commit lies, by its full name.
    pub fn drift(&self, commit: &str) -> Drift {
        let places: HashMap<&str, usize> = self
            .commits
            .iter()
            .enumerate()
            .map(|(at, commit)| (commit.name.as_str(), at))
            .collect();
        let Some(&start) = places.get(commit) else {
            return if self.is_whole { Drift::Elsewhere } else { Drift::FarBehind(NEWEST) };
        };
        let mut is_contained = vec![false; self.commits.len()];
        let mut queue = vec![start];
        let mut contained = 0;
        while let Some(at) = queue.pop() {
            if !std::mem::replace(&mut is_contained[at], true) {
                contained += 1;
                let parents = self.commits[at].parents.iter();
                queue.extend(parents.filter_map(|parent| places.get(parent.as_str())));
            }
        }
        Drift::Behind(self.commits.len() - contained)
    }
}

impl Commit {
    fn parse(record: &str) -> Option<Self> {
        let mut lines = record.splitn(4, '\n');
        let mut names = lines.next()?.split_whitespace().map(str::to_owned);
        let name = names.next()?;
        let mut line = || lines.next().unwrap_or_default().to_owned();
        Some(Self { name, parents: names.collect(), short: line(), date: line(), message: line() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(history: &str, commit: &str, expected: Drift) {
        let history = History::parse(&history.replace('\n', "\0"));
        assert_eq!(history.drift(commit), expected, "{commit}");
    }

    #[test]
    fn commits_name_tasks() {
        let history = History::parse(
            "b a\nb0\n2026-03-02\nFix the end\n\nFor lat-1.\n\0a\na0\n2026-03-01\nLAT-12: begin\n\0",
        );
        let found: Vec<_> = history.mentions("LAT-1").collect();
        assert_eq!(found.len(), 1);
        let commit = found[0];
        assert_eq!((&*commit.short, &*commit.date), ("b0", "2026-03-02"));
        assert_eq!(commit.subject(), "Fix the end");
    }

    #[test]
    fn commits_that_a_review_has_not_seen_are_counted() {
        let line = "d c\nc b\nb a\na\n";
        check(line, "d", Drift::Behind(0));
        check(line, "c", Drift::Behind(1));
        check(line, "a", Drift::Behind(3));
        check(line, "x", Drift::Elsewhere);
        check("", "x", Drift::Elsewhere);
        // A merge brings in everything of the other side.
        let merge = "m c f\nc b\nf e\ne b\nb a\na\n";
        check(merge, "c", Drift::Behind(3));
        check(merge, "f", Drift::Behind(2));
        check(merge, "b", Drift::Behind(4));
    }

    #[test]
    fn a_long_history_is_not_counted_to_its_end() {
        let lines: Vec<String> = (0..=NEWEST).rev().map(|n| format!("{} {n}", n + 1)).collect();
        let line = lines.join("\n");
        check(&line, "1", Drift::Behind(NEWEST));
        check(&line, "0", Drift::FarBehind(NEWEST));
    }
}
