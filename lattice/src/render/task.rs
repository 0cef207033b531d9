//! Tasks as text: one line in a list, a whole page for one.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use lattice::model::event::Event;
use lattice::model::ids::TaskId;
use lattice::model::reduce::Snapshot;
use lattice::runs::task_runs::TaskRun;
use lattice::storage::artifact::NewArtifact;

use super::clock::Clock;
use super::event::{self, actor_text, one_line};
use super::paint::Paint;
use super::task_run;

pub(crate) fn created(task: &Snapshot) -> String {
    let id = head(task);
    let (status, priority, kind) =
        (field(task, "status"), field(task, "priority"), field(task, "type"));
    format!(
        "Created task {id} \"{}\"\n  status: {status}  priority: {priority}  type: {kind}",
        field(task, "title")
    )
}

pub(crate) fn attached(artifact: &NewArtifact, task: &TaskId) -> String {
    let sensitive = if artifact.sensitive { "True" } else { "False" };
    format!(
        "Attached artifact {} \"{}\" to task {task}\n  type: {}  sensitive: {sensitive}",
        artifact.id,
        one_line(&artifact.title),
        artifact.kind
    )
}

/// `<id>  <status>  <priority>  "<title>"`
pub(crate) fn next_line(task: &Snapshot) -> String {
    let (status, priority) = (field(task, "status"), field(task, "priority"));
    format!("{}  {status}  {priority}  \"{}\"", task.display_id(), field(task, "title"))
}

/// `<id>  <status>  <priority>  <type>  "<title>"  <assignee>`
pub(crate) fn list_line(task: &Snapshot, status: &str, archived: bool, paint: Paint) -> String {
    let needs_human = task.status() == "needs_human";
    format!(
        "{}{}  {}  {}  {}  \"{}\"  {}{}",
        if needs_human { paint.warning(">>> ") } else { String::new() },
        paint.heading(task.display_id()),
        one_line(status),
        field(task, "priority"),
        field(task, "type"),
        field(task, "title"),
        assignee(task),
        if archived { " [A]" } else { "" },
    )
}

/// Everything that `show` found out about one task. Paths are relative to `.lattice`.
pub(crate) struct Page<'a> {
    pub(crate) task: &'a Snapshot,
    pub(crate) archived: bool,
    /// As people call it.
    pub(crate) status: String,
    pub(crate) next: Vec<String>,
    /// The newest first.
    pub(crate) runs: &'a [TaskRun],
    pub(crate) relations_out: &'a [Value],
    pub(crate) relations_in: &'a [Value],
    pub(crate) artifacts: &'a [Value],
    pub(crate) plan: Option<&'a str>,
    pub(crate) notes: Option<&'a str>,
    /// When and by whom the task was last sent back.
    pub(crate) reopened: Option<String>,
    /// What the newest review is of, and how far that is behind.
    pub(crate) review: Option<String>,
    /// Branches and commits that name the task, but that nobody has linked.
    pub(crate) branches: &'a [String],
    pub(crate) commits: &'a [Value],
    /// What the runs have used, in one line.
    pub(crate) usage: Option<String>,
    pub(crate) events: &'a [Event],
    /// Events with all their data.
    pub(crate) full: bool,
    pub(crate) clock: Clock,
}

/// Only the head of the page.
pub(crate) fn brief(page: &Page<'_>, paint: Paint) -> String {
    let mut text = Text::head(page, paint);
    text.line(format!("Assigned: {}", assignee(page.task)));
    text.next(page);
    text.lines.join("\n")
}

pub(crate) fn page(page: &Page<'_>, paint: Paint) -> String {
    let task = page.task;
    let by = task.get("created_by").map_or("?".into(), actor_text);
    let mut text = Text::head(page, paint);
    text.next(page);
    text.line(format!("Assigned: {}  Created by: {by}", assignee(task)));
    text.line(format!(
        "Created: {}  Updated: {}",
        page.clock.both(&field(task, "created_at")),
        page.clock.both(&field(task, "updated_at"))
    ));
    if let Some(reopened) = &page.reopened {
        text.line(format!("{} {}", paint.warning("Warning:"), one_line(reopened)));
    }
    let comments = task.get("comment_count").and_then(Value::as_u64).unwrap_or(0);
    if comments > 0 {
        text.line(format!("Comments: {comments}"));
    }
    let description = task.text("description").unwrap_or_default();
    text.section("Description:", description.lines().map(|line| format!("  {}", one_line(line))));
    text.section("Runs:", task_run::lines(page.runs, &page.clock).into_iter());
    text.block(page.usage.iter().map(|usage| format!("Usage: {usage}")));
    text.section("Relationships (outgoing):", page.relations_out.iter().map(relation_out));
    text.section("Relationships (incoming):", page.relations_in.iter().map(relation_in));
    text.section("Artifacts:", page.artifacts.iter().map(artifact));
    let review = page.review.iter().map(|review| format!("  {review}"));
    text.section("Review evidence:", evidence(task).chain(review));
    let found = page.branches.iter().map(|name| format!("  {} (auto-detected)", one_line(name)));
    text.section("Branch links:", list(task, "branch_links").map(branch).chain(found));
    text.section("Commits:", page.commits.iter().map(commit));
    let files = [("Plan", page.plan), ("Notes", page.notes)];
    text.block(files.iter().filter_map(|(what, path)| path.map(|path| format!("{what}: {path}"))));
    let events = page.events.iter().rev().map(|event| event::lines(event, page.full, &page.clock));
    text.section("Events (latest first):", events);
    text.lines.join("\n")
}

struct Text {
    lines: Vec<String>,
    paint: Paint,
}

impl Text {
    fn head(page: &Page<'_>, paint: Paint) -> Self {
        let task = page.task;
        let archived = if page.archived { "  [ARCHIVED]" } else { "" };
        let title = paint.heading(&format!("\"{}\"", field(task, "title")));
        let (priority, kind) = (field(task, "priority"), field(task, "type"));
        let mut text = Self { lines: vec![format!("{}  {title}{archived}", head(task))], paint };
        text.line(format!(
            "Status: {}  Priority: {priority}  Type: {kind}",
            one_line(&page.status)
        ));
        text
    }

    /// Where the task may go.
    fn next(&mut self, page: &Page<'_>) {
        if !page.next.is_empty() {
            self.line(format!("  Next: {}", page.next.join(" | ")));
        }
    }

    fn line(&mut self, line: String) {
        self.lines.push(line);
    }

    /// A heading and its lines, nothing where there are no lines.
    fn section(&mut self, heading: &str, lines: impl Iterator<Item = String>) {
        let heading = self.paint.heading(heading);
        let mut lines = lines.peekable();
        if lines.peek().is_some() {
            self.block(std::iter::once(heading).chain(lines));
        }
    }

    /// Lines behind an empty one.
    fn block(&mut self, lines: impl Iterator<Item = String>) {
        let end = self.lines.len();
        self.lines.extend(lines);
        if self.lines.len() > end {
            self.lines.insert(end, String::new());
        }
    }
}

/// `<short> (<full>)`, or the full ID alone.
fn head(task: &Snapshot) -> String {
    task.short_id().map_or_else(|| task.id().to_owned(), |short| format!("{short} ({})", task.id()))
}

fn assignee(task: &Snapshot) -> Cow<'_, str> {
    match task.get("assigned_to") {
        None => "unassigned".into(),
        Some(actor) => event::assignee(actor),
    }
}

fn field<'a>(task: &'a Snapshot, key: &str) -> Cow<'a, str> {
    task.text(key).map_or("?".into(), one_line)
}

fn relation_out(relation: &Value) -> String {
    format!(
        "  {} -> {}{}",
        text(relation, "type"),
        text(relation, "target_task_id"),
        quoted(relation, "target_title")
    )
}

fn relation_in(relation: &Value) -> String {
    let source = text(relation, "source_task_id");
    format!("  {source}{} --[{}]--> this", quoted(relation, "source_title"), text(relation, "type"))
}

fn artifact(artifact: &Value) -> String {
    let role = artifact["role"].as_str().map(|role| format!("role: {}", one_line(role)));
    let parts: Vec<String> =
        artifact["type"].as_str().map(str::to_owned).into_iter().chain(role).collect();
    let parts = if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) };
    format!("  {}{}{parts}", text(artifact, "id"), quoted(artifact, "title"))
}

/// Per role, what vouches for it: `  review: artifact, comment x2`
fn evidence(task: &Snapshot) -> impl Iterator<Item = String> {
    let mut roles: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    for reference in list(task, "evidence_refs") {
        if let Some(role) = reference["role"].as_str() {
            let source = text(reference, "source_type").into_owned();
            *roles.entry(one_line(role).into_owned()).or_default().entry(source).or_default() += 1;
        }
    }
    let count = |(source, count): (String, usize)| {
        if count > 1 { format!("{source} x{count}") } else { source }
    };
    roles.into_iter().map(move |(role, sources)| {
        format!("  {role}: {}", sources.into_iter().map(count).collect::<Vec<_>>().join(", "))
    })
}

fn branch(link: &Value) -> String {
    let repo = link["repo"]
        .as_str()
        .map_or_else(String::new, |repo| format!(" (repo: {})", one_line(repo)));
    format!("  {}{repo} by {}", text(link, "branch"), actor_text(&link["linked_by"]))
}

fn commit(commit: &Value) -> String {
    let (sha, date) = (text(commit, "sha"), text(commit, "date"));
    format!("  {sha}  {date}  {}", text(commit, "subject"))
}

fn list<'a>(task: &'a Snapshot, key: &str) -> impl Iterator<Item = &'a Value> {
    task.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn text<'a>(value: &'a Value, key: &str) -> Cow<'a, str> {
    value[key].as_str().map_or("?".into(), one_line)
}

fn quoted(value: &Value, key: &str) -> String {
    value[key].as_str().map_or_else(String::new, |title| format!(" \"{}\"", one_line(title)))
}

/// The fields of a task that a table needs, with counts instead of lists.
pub(crate) fn compact(task: &Snapshot) -> Map<String, Value> {
    const KEPT: [&str; 13] = [
        "id",
        "title",
        "status",
        "priority",
        "urgency",
        "complexity",
        "type",
        "assigned_to",
        "tags",
        "done_at",
        "last_status_changed_at",
        "comment_count",
        "reopened_count",
    ];
    const COUNTED: [(&str, &str); 3] = [
        ("relationships_out_count", "relationships_out"),
        ("evidence_ref_count", "evidence_refs"),
        ("branch_link_count", "branch_links"),
    ];
    let mut map = Map::new();
    for key in KEPT {
        map.insert(key.to_owned(), task.get(key).cloned().unwrap_or(Value::Null));
    }
    for (count, key) in COUNTED {
        map.insert(count.to_owned(), list(task, key).count().into());
    }
    if let Some(short) = task.short_id() {
        map.insert("short_id".to_owned(), short.into());
    }
    map
}
