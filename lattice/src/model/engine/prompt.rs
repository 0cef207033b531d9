//! Prompts: a text with placeholders such as `{{task.title}}`, filled in once before a run.

use crate::model::definition::nearest;

/// What a placeholder may name, and its value in this run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Values<'a> {
    pub task_id: &'a str,
    pub short_id: &'a str,
    pub title: &'a str,
    pub description: &'a str,
    pub kind: &'a str,
    pub priority: &'a str,
    pub worker: &'a str,
    pub run: &'a str,
    pub commit: &'a str,
    pub report: &'a str,
    pub worktree: &'a str,
    pub actor: &'a str,
}

pub const NAMES: &[&str] = &[
    "task.id",
    "task.short_id",
    "task.title",
    "task.description",
    "task.type",
    "task.priority",
    "worker",
    "run",
    "commit",
    "report",
    "worktree",
    "actor",
];

/// A placeholder that means nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    pub name: String,
    pub line: usize,
    pub nearest: &'static str,
}

const OPEN: &str = "{{";
const CLOSE: &str = "}}";
/// Before a placeholder it makes plain text of it.
const ESCAPE: char = '\\';

/// Fills in every placeholder. What stands between double braces and is no name (letters, digits, dots, underscores)
/// stays as it is: templates of other tools are no mistakes. Values are never looked at again.
pub fn render(text: &str, values: &Values<'_>) -> Result<String, Unknown> {
    let mut rendered = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(OPEN) {
        let (before, from) = rest.split_at(at);
        let Some((name, length)) = placeholder(from) else {
            rendered.push_str(&rest[..=at]);
            rest = &rest[at + 1..];
            continue;
        };
        if let Some(before) = before.strip_suffix(ESCAPE) {
            rendered.push_str(before);
            rendered.push_str(&from[..length]);
        } else {
            rendered.push_str(before);
            let line = 1 + text[..text.len() - from.len()].matches('\n').count();
            rendered.push_str(value(name, values).ok_or_else(|| unknown(name, line))?);
        }
        rest = &from[length..];
    }
    rendered.push_str(rest);
    Ok(rendered)
}

/// Whether every placeholder means something.
pub fn check(text: &str) -> Result<(), Unknown> {
    render(text, &Values::default()).map(drop)
}

/// The name in `{{ name }}` at the beginning of a text, and the length of all of it.
fn placeholder(text: &str) -> Option<(&str, usize)> {
    let inside = &text[OPEN.len()..];
    let end = inside.find(CLOSE)?;
    let name = inside[..end].trim_matches([' ', '\t']);
    let is_name =
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '_');
    is_name.then_some((name, OPEN.len() + end + CLOSE.len()))
}

fn value<'a>(name: &str, values: &Values<'a>) -> Option<&'a str> {
    Some(match name {
        "task.id" => values.task_id,
        "task.short_id" => values.short_id,
        "task.title" => values.title,
        "task.description" => values.description,
        "task.type" => values.kind,
        "task.priority" => values.priority,
        "worker" => values.worker,
        "run" => values.run,
        "commit" => values.commit,
        "report" => values.report,
        "worktree" => values.worktree,
        "actor" => values.actor,
        _ => return None,
    })
}

fn unknown(name: &str, line: usize) -> Unknown {
    let nearest = nearest(name, NAMES).expect("there are names");
    Unknown { name: name.to_owned(), line, nearest }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: Values<'_> = Values {
        task_id: "task_1",
        short_id: "LAT-1",
        title: "Say {{run}}",
        description: "",
        kind: "bug",
        priority: "high",
        worker: "W",
        run: "ev_1",
        commit: "abc",
        report: "/r",
        worktree: "/w",
        actor: "agent:a",
    };

    #[test]
    fn placeholders_are_filled_in_once() {
        for (text, expected) in [
            ("", ""),
            ("-{{worker}}", "-W"),
            ("{{ task.title }}!", "Say {{run}}!"),
            ("{{task.id}}{{task.short_id}}", "task_1LAT-1"),
            ("a{{task.description}}b {{task.type}} {{task.priority}}", "ab bug high"),
            ("{{commit}} {{report}} {{worktree}} {{actor}} {{run}}", "abc /r /w agent:a ev_1"),
            (r"\{{worker}} {{worker}}", "{{worker}} W"),
            (
                "{{ .Values.x | quote }} {{}} {{{worker}}} {{ open",
                "{{ .Values.x | quote }} {{}} {W} {{ open",
            ),
            ("é {{worker}} €{{", "é W €{{"),
        ] {
            assert_eq!(render(text, &VALUES).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn every_name_has_a_value() {
        for name in NAMES {
            assert!(value(name, &VALUES).is_some(), "{name}");
        }
    }

    #[test]
    fn an_unknown_one_is_named_with_its_line_and_the_nearest() {
        let error = render("x\n{{worker}}\n {{task.titel}}", &VALUES).unwrap_err();
        let expected = Unknown { name: "task.titel".into(), line: 3, nearest: "task.title" };
        assert_eq!(error, expected);
    }
}
