//! A new definition, with the prompt or the script that it needs, as text for a person to go on with.

use std::fmt::Write;

use serde_json::Value;

use super::types::EngineKind;
use crate::model::new_file::NewFile;

/// What is to be made.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    pub name: &'a str,
    pub engine: EngineKind,
    pub command: Option<&'a str>,
    pub model: Option<&'a str>,
    pub description: &'a str,
    pub role: &'a str,
    pub timeout_minutes: u32,
    pub worktree: bool,
}

/// The files, the definition last. Whether the definition is a valid one is for the parser to say.
pub fn files(wanted: &Wanted<'_>) -> Vec<NewFile> {
    let stem = kebab(wanted.name);
    let is_agent = wanted.engine != EngineKind::Script;
    let mut files = Vec::new();
    let mut keys: Vec<(&str, Value)> = vec![
        ("$schema", "./.schema.json".into()),
        ("name", wanted.name.into()),
        ("description", wanted.description.into()),
        ("engine", wanted.engine.name().into()),
    ];
    if let Some(command) = wanted.command {
        keys.push(("command", command.into()));
    }
    if is_agent {
        let path = format!("prompts/{stem}.md");
        keys.push(("prompt_file", path.as_str().into()));
        files.push(NewFile { path: path.into(), text: PROMPT.into(), executable: false });
    } else if wanted.command.is_none() {
        let path = format!("scripts/{stem}");
        keys.push(("command", vec![path.as_str()].into()));
        files.push(NewFile { path: path.into(), text: SCRIPT.into(), executable: true });
    }
    if let Some(model) = wanted.model {
        keys.push(("model", model.into()));
    }
    keys.push(("worktree", wanted.worktree.into()));
    keys.push(("timeout_minutes", wanted.timeout_minutes.into()));
    // A command that knows nothing of reports cannot owe one.
    if is_agent || wanted.command.is_none() {
        keys.push(("artifact_role", wanted.role.into()));
    }
    if is_agent {
        keys.push(("report_from", "final_message".into()));
    }
    let path = format!("workers/{}.json", file_name(wanted.name));
    files.push(NewFile { path: path.into(), text: object(&keys).into(), executable: false });
    files
}

/// One key a line, in the order in which a person reads them.
fn object(keys: &[(&str, Value)]) -> String {
    let mut text = "{\n".to_owned();
    for (index, (key, value)) in keys.iter().enumerate() {
        let comma = if index + 1 == keys.len() { "" } else { "," };
        writeln!(text, "  {}: {value}{comma}", Value::from(*key)).expect("a string takes all text");
    }
    text + "}\n"
}

/// The name with what no file should be called replaced.
fn file_name(name: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let name: String = name.chars().map(plain).collect();
    name.trim_start_matches(['.', '-']).to_owned()
}

/// `CodeReviewLite` and `Code review lite` are both `code-review-lite`.
fn kebab(name: &str) -> String {
    let mut text = String::new();
    let mut before = '-';
    for c in file_name(name).chars() {
        let begins = c.is_uppercase() && (before.is_lowercase() || before.is_numeric());
        if (begins || c == '-') && !text.ends_with('-') {
            text.push('-');
        }
        if c != '-' {
            text.extend(c.to_lowercase());
        }
        before = c;
    }
    text
}

const PROMPT: &str = "\
# {{task.short_id}}: {{task.title}}

You are in a checkout of this project at commit {{commit}}. Nobody can answer questions meanwhile: where something is
unclear, say what you assumed.

The task, in its author's words:

> {{task.type}}, priority {{task.priority}}
> {{task.description}}

## What to do

Say here what is to be done, what to read first, and what is not to be touched.

## What to answer

Your last message becomes the report of this run. Say here what shape it has.
";

const SCRIPT: &str = "\
#!/bin/sh
# What this worker does. It is started in the directory that it is to work in; its output becomes the log of the run,
# its exit status decides whether the run has completed, and what it writes to the file $LATTICE_REPORT is attached to
# the task $LATTICE_TASK_ID.

set -eu

{
    echo \"# Report\"
    echo
    echo \"Commit: $LATTICE_COMMIT_SHA\"
} >\"$LATTICE_REPORT\"
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::definition::parse;
    use crate::model::engine::prompt;

    fn wanted(name: &str, engine: EngineKind) -> Wanted<'_> {
        Wanted {
            name,
            engine,
            command: None,
            model: None,
            description: "d",
            role: "review",
            timeout_minutes: 30,
            worktree: true,
        }
    }

    #[test]
    fn every_engine_gets_a_valid_definition() {
        for engine in EngineKind::ALL {
            let files = files(&wanted("Say \"hi\" 2", engine));
            assert_eq!(files.len(), 2);
            assert_eq!(files[1].path, "workers/Say--hi--2.json");
            let definition = parse(files[1].text.as_bytes()).unwrap();
            assert_eq!((definition.engine, definition.name.as_str()), (engine, "Say \"hi\" 2"));
            assert_eq!(files[0].executable, engine == EngineKind::Script);
            assert_eq!(prompt::check(&files[0].text), Ok(()));
        }
        let line = Wanted { command: Some("make"), ..wanted("Lint", EngineKind::Script) };
        let files = files(&line);
        assert_eq!(files.len(), 1);
        assert!(!files[0].text.contains("artifact_role"), "{}", files[0].text);
    }

    #[test]
    fn names_of_files() {
        for (name, file, stem) in [
            ("CodeReviewLite", "CodeReviewLite", "code-review-lite"),
            ("Code review", "Code-review", "code-review"),
            ("HTTPCheck2Go", "HTTPCheck2Go", "httpcheck2-go"),
            ("../.x", "x", "x"),
            ("lint_all", "lint_all", "lint_all"),
        ] {
            assert_eq!((file_name(name).as_str(), kebab(name).as_str()), (file, stem), "{name}");
        }
    }
}
