//! Branches and commits that are named after a task. Nobody has said that they belong to it, so this is only shown.

use serde_json::{Value, json};

use lattice::git::branches::{local, names_short_id};
use lattice::git::history::Commit;
use lattice::git::repository::discover;
use lattice::model::reduce::Snapshot;
use lattice::storage::layout::Layout;

use super::freshness::Drifts;

#[derive(Debug, Default)]
pub(crate) struct Mentions {
    pub(crate) branches: Vec<String>,
    /// `sha`, `date` and `subject`.
    pub(crate) commits: Vec<Value>,
}

impl Mentions {
    /// A task without a short ID is named nowhere. Without git there is nothing to say.
    pub(crate) fn of(task: &Snapshot, layout: &Layout, drifts: &mut Drifts<'_>) -> Self {
        let Some(short_id) = task.short_id() else { return Self::default() };
        let commits = drifts.history().into_iter().flat_map(|history| history.mentions(short_id));
        let commits = commits.map(commit).collect();
        Self { branches: branches(task, short_id, layout).unwrap_or_default(), commits }
    }

    /// What JSON says beside the task, as far as there is something.
    pub(crate) fn entries(self) -> impl Iterator<Item = (String, Value)> {
        let entries: [(&str, Vec<Value>); 2] = [
            ("auto_detected_branches", self.branches.into_iter().map(Value::from).collect()),
            ("auto_detected_commits", self.commits),
        ];
        let entries = entries.into_iter().filter(|(_, found)| !found.is_empty());
        entries.map(|(key, found)| (key.to_owned(), found.into()))
    }
}

/// Those that are not linked already.
fn branches(task: &Snapshot, short_id: &str, layout: &Layout) -> Option<Vec<String>> {
    let repository = discover(&layout.root).ok()??;
    let links = task.get("branch_links").and_then(Value::as_array);
    let linked: Vec<String> = links
        .into_iter()
        .flatten()
        .filter_map(|link| Some(link["branch"].as_str()?.to_lowercase()))
        .collect();
    let names = local(&repository.common_dir).ok()?.into_iter();
    let about =
        |name: &String| names_short_id(name, short_id) && !linked.contains(&name.to_lowercase());
    Some(names.filter(about).collect())
}

fn commit(commit: &Commit) -> Value {
    json!({"sha": commit.short, "date": commit.date, "subject": commit.subject()})
}
