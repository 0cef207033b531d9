//! The comments of a task, as its events have left them.

use serde_json::{Map, Value, json};

use super::actor;
use super::event::{
    COMMENT_ADDED, COMMENT_DELETED, COMMENT_EDITED, Event, REACTION_ADDED, REACTION_REMOVED,
};
use super::failure::{Code, Failure, Result};

/// A comment's ID is that of the event that added it.
#[derive(Debug, Clone, PartialEq)]
pub struct Comment {
    pub id: String,
    pub body: String,
    pub role: Option<String>,
    pub author: Value,
    pub created_at: String,
    /// The earlier bodies, oldest first, as objects.
    pub edits: Vec<Value>,
    pub edited_at: Option<String>,
    /// Who deleted it, and when. Its words stay in the log.
    pub deleted: Option<(Value, String)>,
    pub parent: Option<String>,
    /// What was said in one word, and by whom; in the order of saying.
    pub reactions: Vec<(String, Vec<Value>)>,
}

/// All comments in the order of their making, deleted ones too: threads hang on them.
pub fn comments(events: &[Event]) -> Vec<Comment> {
    let mut comments: Vec<Comment> = Vec::new();
    for event in events {
        if event.kind() == COMMENT_ADDED {
            // A line that a merge has doubled is one comment.
            if !comments.iter().any(|comment| comment.id == event.id()) {
                comments.push(added(event));
            }
            continue;
        }
        let about = text(event, "comment_id");
        let Some(comment) = comments.iter_mut().find(|comment| Some(&comment.id) == about.as_ref())
        else {
            continue;
        };
        match event.kind() {
            COMMENT_EDITED if comment.deleted.is_none() => edit(comment, event),
            COMMENT_DELETED if comment.deleted.is_none() => {
                comment.deleted = Some((event.actor().clone(), event.ts().to_owned()));
            }
            REACTION_ADDED if comment.deleted.is_none() => react(comment, event),
            // Also from a deleted one: what was said before may be taken back.
            REACTION_REMOVED => unreact(comment, event),
            _ => {}
        }
    }
    comments
}

fn added(event: &Event) -> Comment {
    Comment {
        id: event.id().to_owned(),
        body: text(event, "body").unwrap_or_default(),
        role: text(event, "role"),
        author: event.actor().clone(),
        created_at: event.ts().to_owned(),
        edits: Vec::new(),
        edited_at: None,
        deleted: None,
        parent: text(event, "parent_id").filter(|parent| !parent.is_empty()),
        reactions: Vec::new(),
    }
}

fn edit(comment: &mut Comment, event: &Event) {
    comment.edits.push(json!({
        "body": comment.body, "edited_at": event.ts(), "edited_by": event.actor(),
    }));
    if let Some(body) = text(event, "body") {
        comment.body = body;
    }
    if event.data().contains_key("role") {
        comment.role = text(event, "role");
    }
    comment.edited_at = Some(event.ts().to_owned());
}

fn react(comment: &mut Comment, event: &Event) {
    let emoji = text(event, "emoji").unwrap_or_default();
    if comment.has_reaction(&emoji, actor::display(event.actor())) {
        return;
    }
    match comment.reactions.iter_mut().find(|(known, _)| *known == emoji) {
        Some((_, actors)) => actors.push(event.actor().clone()),
        None => comment.reactions.push((emoji, vec![event.actor().clone()])),
    }
}

fn unreact(comment: &mut Comment, event: &Event) {
    let emoji = text(event, "emoji").unwrap_or_default();
    for (known, actors) in &mut comment.reactions {
        if *known == emoji {
            actors.retain(|by| actor::display(by) != actor::display(event.actor()));
        }
    }
    comment.reactions.retain(|(_, actors)| !actors.is_empty());
}

impl Comment {
    /// Whether somebody, by the display form, has said this about it.
    pub fn has_reaction(&self, emoji: &str, who: &str) -> bool {
        let mut said = self.reactions.iter().filter(|(known, _)| known == emoji);
        said.any(|(_, actors)| actors.iter().any(|by| actor::display(by) == who))
    }

    /// The JSON of the contract, with its answers in it.
    pub fn to_value(&self, replies: &[Value]) -> Value {
        let (deleted_by, deleted_at) = self.deleted.clone().unzip();
        let reactions: Map<String, Value> =
            self.reactions.iter().map(|(emoji, by)| (emoji.clone(), by.clone().into())).collect();
        json!({
            "id": self.id, "body": self.body, "role": self.role,
            "author": self.author, "created_at": self.created_at,
            "edited": self.edited_at.is_some(), "edited_at": self.edited_at,
            "edit_history": self.edits,
            "deleted": self.deleted.is_some(), "deleted_by": deleted_by, "deleted_at": deleted_at,
            "parent_id": self.parent, "reactions": reactions, "replies": replies,
        })
    }
}

/// The comment that something is to be done with. One that was deleted is there only for its thread.
pub fn find<'a>(comments: &'a [Comment], id: &str) -> Result<&'a Comment> {
    let refuse = |why: &str| {
        Err(Failure::new(Code::ValidationError, why).hint("`lattice comments TASK` shows them all"))
    };
    match comments.iter().find(|comment| comment.id == id) {
        None => refuse(&format!("this task has no comment {id}")),
        Some(comment) if comment.deleted.is_some() => {
            refuse(&format!("the comment {id} was deleted"))
        }
        Some(comment) => Ok(comment),
    }
}

/// The comment that an answer can be given to: no answer itself.
pub fn find_parent<'a>(comments: &'a [Comment], id: &str) -> Result<&'a Comment> {
    let comment = find(comments, id)?;
    match &comment.parent {
        None => Ok(comment),
        Some(first) => {
            let message = format!("cannot reply to {id}: it is a reply itself");
            Err(Failure::new(Code::ValidationError, message).hint(format!("--reply-to {first}")))
        }
    }
}

/// The words without the white space around them.
pub fn checked_body(text: &str) -> Result<String> {
    match text.trim() {
        "" => Err(Failure::new(Code::ValidationError, "the comment is empty")
            .hint("write something other than white space")),
        text => Ok(text.to_owned()),
    }
}

/// A reaction: a word without its colons.
pub fn check_emoji(emoji: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if (1..=50).contains(&emoji.len()) && emoji.chars().all(fits) {
        return Ok(());
    }
    Err(Failure::new(Code::ValidationError, format!("{emoji:?} is no reaction"))
        .hint("use 1 to 50 letters, digits, _ and -, for example thumbs_up"))
}

/// A comment with its answers, and theirs.
#[derive(Debug, Clone, PartialEq)]
pub struct Thread {
    pub comment: Comment,
    pub replies: Vec<Thread>,
}

/// Comments under those that they answer. One whose parent is missing, or comes later in a log that git has put
/// together, stands alone.
pub fn threads(comments: &[Comment]) -> Vec<Thread> {
    // From the last one on, so that each takes its answers with it.
    let mut threads: Vec<Thread> = Vec::new();
    for comment in comments.iter().rev() {
        let is_reply = |thread: &mut Thread| thread.comment.parent.as_ref() == Some(&comment.id);
        let mut replies: Vec<Thread> = threads.extract_if(.., is_reply).collect();
        replies.reverse();
        threads.push(Thread { comment: comment.clone(), replies });
    }
    threads.reverse();
    threads
}

impl Thread {
    pub fn to_value(&self) -> Value {
        let replies: Vec<Value> = self.replies.iter().map(Self::to_value).collect();
        self.comment.to_value(&replies)
    }
}

fn text(event: &Event, key: &str) -> Option<String> {
    event.data().get(key).and_then(Value::as_str).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: &str, kind: &str, by: &str, data: &Value) -> Event {
        Event::from_value(json!({
            "id": id, "type": kind, "actor": by, "ts": format!("T-{id}"), "data": data,
        }))
        .unwrap()
    }

    fn add(id: &str, parent: Option<&str>) -> Event {
        event(id, COMMENT_ADDED, "a:b", &json!({"body": id, "parent_id": parent}))
    }

    #[track_caller]
    fn check_threads(events: &[Event], expected: &str) {
        fn shape(threads: &[Thread]) -> String {
            let each = |thread: &Thread| match &thread.replies[..] {
                [] => thread.comment.id.clone(),
                replies => format!("{}({})", thread.comment.id, shape(replies)),
            };
            threads.iter().map(each).collect::<Vec<_>>().join(" ")
        }
        assert_eq!(shape(&threads(&comments(events))), expected);
    }

    #[test]
    fn answers_hang_on_what_they_answer() {
        check_threads(&[], "");
        check_threads(
            &[add("1", None), add("2", Some("1")), add("3", None), add("4", Some("1"))],
            "1(2 4) 3",
        );
        check_threads(&[add("1", None), add("2", Some("1")), add("3", Some("2"))], "1(2(3))");
        check_threads(&[add("2", Some("1")), add("1", None), add("3", Some("3"))], "2 1 3");
        check_threads(&[add("1", Some("gone")), add("1", None)], "1");
    }

    #[test]
    fn edits_and_deletions_are_remembered() {
        let edited = json!({"comment_id": "1", "body": "new", "role": "review"});
        let found = comments(&[
            add("1", None),
            event("2", COMMENT_EDITED, "c:d", &edited),
            event("3", COMMENT_DELETED, "e:f", &json!({"comment_id": "1"})),
            event("4", COMMENT_EDITED, "c:d", &json!({"comment_id": "1", "body": "late"})),
            event("5", COMMENT_EDITED, "c:d", &json!({"comment_id": "none", "body": "x"})),
        ]);
        let expected = json!([{
            "id": "1", "body": "new", "role": "review", "author": "a:b", "created_at": "T-1",
            "edited": true, "edited_at": "T-2",
            "edit_history": [{"body": "1", "edited_at": "T-2", "edited_by": "c:d"}],
            "deleted": true, "deleted_by": "e:f", "deleted_at": "T-3",
            "parent_id": null, "reactions": {}, "replies": [],
        }]);
        let values: Vec<Value> = threads(&found).iter().map(Thread::to_value).collect();
        assert_eq!(Value::from(values), expected);
    }

    #[test]
    fn a_reaction_is_somebodys_once() {
        let say =
            |id, kind, by: &str| event(id, kind, by, &json!({"comment_id": "1", "emoji": "ok"}));
        let mut events = vec![
            add("1", None),
            say("2", REACTION_ADDED, "a:b"),
            say("3", REACTION_ADDED, "a:b"),
            say("4", REACTION_ADDED, "c:d"),
            say("5", REACTION_REMOVED, "a:b"),
        ];
        assert_eq!(comments(&events)[0].reactions, [("ok".to_owned(), vec![json!("c:d")])]);
        assert!(comments(&events)[0].has_reaction("ok", "c:d"));
        assert!(!comments(&events)[0].has_reaction("no", "c:d"));
        events.push(event("6", COMMENT_DELETED, "a:b", &json!({"comment_id": "1"})));
        events.push(say("7", REACTION_REMOVED, "c:d"));
        events.push(say("8", REACTION_ADDED, "c:d"));
        assert!(comments(&events)[0].reactions.is_empty());
    }
}
