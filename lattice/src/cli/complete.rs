//! `lattice complete`

use clap::Args;
use serde_json::{Map, Value, json};

use lattice::model::comments::checked_body;
use lattice::model::event::{ARTIFACT_ATTACHED, COMMENT_ADDED, STATUS_CHANGED};
use lattice::model::failure::Result;
use lattice::model::ids::ArtifactId;
use lattice::model::policy::{
    REVIEW, Review, check_completion, check_transition, wants_fresh_review,
};
use lattice::model::reduce::replay;
use lattice::storage::artifact::{NewArtifact, discard, store_bytes};

use super::change::Change;
use super::freshness::{Head, custom_fields, review_of, reviewed_commit};
use super::identity::{WriteArgs, now};
use super::session::Session;

const DONE: &str = "done";
const SUMMARY: usize = 200;

/// Review a task and close it, in one step
///
/// Adds the review as a comment and as an artifact, and takes the task through review to done, by the rules of the
/// workflow.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lattice complete LAT-42 --review \"Read all of it; the edge cases are tested\" --actor agent:claude")]
pub(crate) struct CompleteArgs {
    /// Short ID (LAT-42) or full ID of the task
    #[arg(value_name = "TASK")]
    task: String,
    /// What the review found
    #[arg(long, value_name = "TEXT")]
    review: String,
    #[command(flatten)]
    write: WriteArgs,
}

pub(crate) fn complete(session: &Session, args: &CompleteArgs) -> Result<()> {
    let change = Change::new(session, &args.write)?;
    let task = change.task(&args.task)?;
    let body = checked_body(&args.review)?;
    change.check_role(Some(REVIEW))?;
    let commit = reviewed_commit(session, &change.layout);
    let head = wants_fresh_review(&change.config, DONE).then(|| Head::look(&change.layout));
    let review = head.map_or(Review::None, |head| review_of(commit.as_deref(), &head));

    let txn = change.begin(&task)?;
    let from = txn.snapshot().status().to_owned();
    let artifact =
        NewArtifact { custom_fields: custom_fields(commit.as_deref()), ..describe(&change, &body) };
    let event = |kind: &str, data: Value| {
        change.author.event(kind, &task, artifact.created_at.clone(), data)
    };
    let mut events = vec![event(COMMENT_ADDED, json!({"body": body, "role": REVIEW}))];
    if from != REVIEW {
        check_transition(&change.config, &from, REVIEW)?;
        events.push(event(STATUS_CHANGED, json!({"from": from, "to": REVIEW})));
    }
    check_transition(&change.config, REVIEW, DONE)?;
    let attached = json!({"artifact_id": artifact.id.as_str(), "role": REVIEW});
    events.push(event(ARTIFACT_ATTACHED, attached));
    let reviewed =
        replay(txn.events().iter().chain(&events)).expect("a task under its locks has a beginning");
    check_completion(&change.config, &reviewed, DONE, &review)?;
    events.push(event(STATUS_CHANGED, json!({"from": REVIEW, "to": DONE})));

    // Small, so the locks do not mind; and now nothing refuses any more. A crash leaves an artifact of no task.
    let stored = store_bytes(&change.layout, &artifact, body.as_bytes());
    let recorded = stored.and_then(|_| change.record(txn, &events));
    let snapshot = recorded.inspect_err(|_| discard(&change.layout, &task, &artifact))?;
    change.fire(&events)?;
    let (id, count) = (snapshot.display_id(), events.len());
    let human = format!("Completed {id}: {count} events ({from} -> {REVIEW} -> {DONE})");
    session.out.answer(Value::Object(snapshot.0), "ok", human)
}

fn describe(change: &Change<'_>, body: &str) -> NewArtifact {
    NewArtifact {
        id: ArtifactId::generate(),
        kind: "note".to_owned(),
        title: "Review findings".to_owned(),
        summary: Some(body.chars().take(SUMMARY).collect()),
        content_type: Some("text/markdown".to_owned()),
        extension: ".md".to_owned(),
        created_at: now(),
        created_by: change.author.actor.as_str().into(),
        model: change.author.model.clone(),
        sensitive: false,
        custom_fields: Map::new(),
    }
}
