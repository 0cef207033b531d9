//! Comments as a person reads them.

use lattice::model::actor;
use lattice::model::comments::{Comment, Thread};
use lattice::model::reduce::Snapshot;

use super::clock::Clock;
use super::event::{actor_text, one_line};

/// The task in one line, then its threads with an empty line before each comment but the first.
pub(crate) fn page(task: &Snapshot, threads: &[Thread], clock: &Clock) -> String {
    let field = |key: &str| one_line(task.text(key).unwrap_or("?")).into_owned();
    let head = format!("{} \"{}\" ({})\n---\n", task.display_id(), field("title"), field("status"));
    if threads.is_empty() {
        return head + "No comments.";
    }
    let mut comments = Vec::new();
    for thread in threads {
        collect(thread, "", clock, &mut comments);
    }
    head + &comments.join("\n\n")
}

fn collect(thread: &Thread, indent: &str, clock: &Clock, into: &mut Vec<String>) {
    into.push(comment(&thread.comment, indent, clock));
    let deeper = format!("{indent}  ");
    for reply in &thread.replies {
        collect(reply, &deeper, clock, into);
    }
}

/// `[<id>] <author> (<time>)`, its words and what was said about it. The words of a deleted one are not shown.
fn comment(comment: &Comment, indent: &str, clock: &Clock) -> String {
    let is = |what: bool, mark: &'static str| if what { mark } else { "" };
    let mut lines = vec![format!(
        "{indent}[{}] {} ({}){}{}",
        one_line(&comment.id),
        actor_text(&comment.author),
        clock.local(&comment.created_at),
        is(comment.deleted.is_some(), " [deleted]"),
        is(comment.edited_at.is_some(), " [edited]"),
    )];
    if comment.deleted.is_none() {
        lines.extend(comment.body.lines().map(|line| format!("{indent}  {}", one_line(line))));
        lines.extend(comment.reactions.iter().map(|(emoji, by)| {
            let names: Vec<&str> = by.iter().map(actor::display).collect();
            one_line(&format!("{indent}  :{emoji}: {}", names.join(", "))).into_owned()
        }));
    }
    lines.join("\n")
}
