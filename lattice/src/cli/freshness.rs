//! What a review speaks of, and how far that is behind: the one place where the tracker asks git. Without git, or
//! without an answer in time, there is nothing to say.

use serde_json::{Map, Value, json};

use lattice::git::history::{self, History};
use lattice::git::repository::{discover, is_object_name};
use lattice::model::drift::Drift;
use lattice::model::failure::Result;
use lattice::model::ids::ArtifactId;
use lattice::model::policy::{REVIEW, Review, newest_artifact};
use lattice::model::reduce::Snapshot;
use lattice::process::bounded::Bounded;
use lattice::storage::artifact::read_meta;
use lattice::storage::layout::Layout;

use super::session::Session;

const COMMIT: &str = "commit_sha";

/// The history of HEAD, or why it cannot be read.
pub(crate) struct Head(Result<History, String>);

impl Head {
    /// At most one git process. Not to be called while a task is locked.
    pub(crate) fn look(layout: &Layout) -> Self {
        let repository = match discover(&layout.root) {
            Ok(Some(repository)) => repository,
            Ok(None) => return Self(Err("the project is in no git repository".to_owned())),
            Err(failure) => return Self(Err(failure.to_string())),
        };
        let history = history::read(&mut Bounded, &repository);
        Self(history.map_err(|failure| failure.to_string()))
    }
}

/// The newest review of a task for a policy that wants it to be fresh; `None` where none does.
pub(crate) fn review(layout: &Layout, task: &Snapshot, head: Option<&Head>) -> Review {
    let (Some(head), Some(artifact)) = (head, newest_artifact(task, REVIEW)) else {
        return Review::None;
    };
    match commit_of(layout, &artifact) {
        Ok(commit) => review_of(commit.as_deref(), head),
        Err(failure) => Review::Unknown(failure.to_string()),
    }
}

/// What a review of a commit is worth.
pub(crate) fn review_of(commit: Option<&str>, Head(head): &Head) -> Review {
    match (commit, head) {
        (Some(commit), Ok(history)) => Review::Of(commit.to_owned(), history.drift(commit)),
        (None, _) => Review::Unknown("the newest review does not say what it is of".to_owned()),
        (_, Err(why)) => Review::Unknown(format!("the newest review cannot be compared: {why}")),
    }
}

/// How far the newest review of a task is behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReviewDrift {
    artifact: ArtifactId,
    commit: String,
    drift: Drift,
}

impl ReviewDrift {
    /// `review @ abc1234, 3 commits behind`
    pub(crate) fn words(&self) -> String {
        let short: String = self.commit.chars().take(7).collect();
        format!("{REVIEW} @ {short}, {}", self.drift)
    }

    pub(crate) fn is_fresh(&self) -> bool {
        self.drift.is_fresh()
    }

    /// What JSON says beside the task. `commits_behind` is null where nobody counted that far, or HEAD does not
    /// contain the commit.
    pub(crate) fn entry(&self) -> (String, Value) {
        let behind = self.drift.counts().map(|(behind, _)| behind);
        let value = json!({
            "artifact_id": self.artifact.as_str(), COMMIT: self.commit,
            "commits_behind": behind, "drift": self.drift.to_string(),
        });
        ("review_drift".to_owned(), value)
    }
}

/// Asks git once for as many tasks as there are, and not at all where nobody wants to know.
pub(crate) struct Drifts<'a> {
    layout: &'a Layout,
    head: Option<Head>,
}

impl<'a> Drifts<'a> {
    pub(crate) fn new(layout: &'a Layout) -> Self {
        Self { layout, head: None }
    }

    /// An artifact that cannot be read is passed over: other commands name it.
    pub(crate) fn of(&mut self, task: &Snapshot) -> Option<ReviewDrift> {
        let artifact = newest_artifact(task, REVIEW)?;
        let commit = commit_of(self.layout, &artifact).ok()??;
        let drift = self.history()?.drift(&commit);
        Some(ReviewDrift { artifact, commit, drift })
    }

    /// The same for any commit that HEAD contains, if git was asked already.
    pub(crate) fn of_commit(&self, commit: &str) -> Option<Drift> {
        let Head(head) = self.head.as_ref()?;
        Some(head.as_ref().ok()?.drift(commit)).filter(|drift| drift.counts().is_some())
    }

    pub(crate) fn history(&mut self) -> Option<&History> {
        let Head(head) = self.head.get_or_insert_with(|| Head::look(self.layout));
        head.as_ref().ok()
    }
}

fn commit_of(layout: &Layout, artifact: &ArtifactId) -> Result<Option<String>> {
    let meta = read_meta(layout, artifact)?.unwrap_or_default();
    let commit = meta["custom_fields"][COMMIT].as_str();
    Ok(commit.filter(|commit| is_object_name(commit)).map(str::to_ascii_lowercase))
}

/// What an artifact with a role speaks of: the commit that a worker's run is frozen at, else HEAD.
pub(crate) fn reviewed_commit(session: &Session, layout: &Layout) -> Option<String> {
    let caller = &session.caller;
    let frozen = caller.worker_run().and_then(|_| caller.text("LATTICE_COMMIT_SHA"));
    if let Some(commit) = frozen.filter(|commit| is_object_name(commit)) {
        return Some(commit.to_owned());
    }
    let repository = discover(&layout.root).ok()??;
    history::head(&mut Bounded, &repository).ok()
}

/// The same for the metadata of the artifact.
pub(crate) fn custom_fields(commit: Option<&str>) -> Map<String, Value> {
    commit.map(|commit| (COMMIT.to_owned(), commit.into())).into_iter().collect()
}
