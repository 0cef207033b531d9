//! From a preset and a definition to a command line.

use std::path::Path;

use super::preset::{Preset, Travel, Word};
use crate::model::definition::{CommandLine, Definition};
use crate::model::ids::RunId;

/// The longest single argument that Linux takes, its end included (MAX_ARG_STRLEN, execve(2)).
const LONGEST_ARGUMENT: usize = 128 * 1024;

/// What a command line needs to know of a run.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    pub id: &'a RunId,
    pub cwd: &'a Path,
    /// The rendered prompt and the file that holds it.
    pub prompt: Option<(&'a str, &'a Path)>,
}

/// The program that has to be there: the definition's own, else the preset's.
pub fn program<'a>(preset: &Preset, definition: &'a Definition) -> &'a str {
    match &definition.command {
        Some(CommandLine::Shell(_)) => SHELL,
        Some(CommandLine::Argv(words)) => &words[0],
        None => preset.program.unwrap_or_default(),
    }
}

/// The whole command line.
pub fn argv(preset: &Preset, definition: &Definition, run: &Run<'_>) -> Vec<String> {
    let mut argv = command(preset, definition);
    for word in preset.words {
        add(&mut argv, *word, definition, run);
    }
    argv.extend(definition.args.iter().cloned());
    argv.extend(preset.tail.iter().map(|word| (*word).to_owned()));
    if let (Travel::Argument(flag), Some((text, path))) = (preset.prompt, run.prompt) {
        argv.push(flag.to_owned());
        argv.push(argument(text, path));
    }
    argv
}

/// The flags that the preset puts on the command line, and those among the definition's own arguments.
pub fn flags<'a>(preset: &Preset, definition: &'a Definition) -> (Vec<&'static str>, Vec<&'a str>) {
    let mut ours = Vec::new();
    for word in preset.words {
        match word {
            Word::Plain(word) => ours.push(*word),
            Word::Unless(words, flags) if !overridden(definition, flags) => ours.extend(*words),
            Word::Model(flag) if definition.model.is_some() => ours.push(flag),
            Word::Session(flag) | Word::Directory(flag) => ours.push(flag),
            Word::Unless(..) | Word::Model(_) => {}
        }
    }
    ours.retain(|word| word.starts_with('-'));
    let given = definition.args.iter().filter(|arg| arg.len() > 1 && arg.starts_with('-'));
    (ours, given.map(|arg| arg.split('=').next().unwrap_or(arg)).collect())
}

/// Whether the preset or the definition puts this word on the command line.
pub fn has_word(preset: &Preset, definition: &Definition, word: &str) -> bool {
    let given = definition.args.iter().any(|arg| arg == word);
    let chosen = preset.words.iter().any(|candidate| match candidate {
        Word::Plain(plain) => *plain == word,
        Word::Unless(words, flags) => words.contains(&word) && !overridden(definition, flags),
        _ => false,
    });
    given || chosen
}

fn overridden(definition: &Definition, flags: &[&str]) -> bool {
    definition.args.iter().any(|arg| flags.iter().any(|flag| is_flag(arg, flag)))
}

const SHELL: &str = "bash";

/// The words of the definition's `command`, or the preset's program. A command of a shell that stands for an agent
/// gets the agent's arguments behind it.
fn command(preset: &Preset, definition: &Definition) -> Vec<String> {
    match &definition.command {
        Some(CommandLine::Shell(text)) => {
            let arguments = if preset.program.is_some() { " \"$@\"" } else { "" };
            vec![
                SHELL.to_owned(),
                "-c".to_owned(),
                format!("{text}{arguments}"),
                definition.name.clone(),
            ]
        }
        Some(CommandLine::Argv(words)) => words.clone(),
        None => preset.program.into_iter().map(str::to_owned).collect(),
    }
}

fn add(argv: &mut Vec<String>, word: Word, definition: &Definition, run: &Run<'_>) {
    let mut flag = |flag: &str, value: String| argv.extend([flag.to_owned(), value]);
    match word {
        Word::Plain(word) => argv.push(word.to_owned()),
        Word::Unless(words, flags) => {
            if !overridden(definition, flags) {
                argv.extend(words.iter().map(|word| (*word).to_owned()));
            }
        }
        Word::Model(name) => {
            if let Some(model) = &definition.model {
                flag(name, model.clone());
            }
        }
        Word::Session(name) => flag(name, run.id.uuid()),
        Word::Directory(name) => flag(name, run.cwd.display().to_string()),
    }
}

/// `--flag`, or `--flag=value`.
fn is_flag(arg: &str, flag: &str) -> bool {
    arg.strip_prefix(flag).is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
}

fn argument(text: &str, path: &Path) -> String {
    if text.len() < LONGEST_ARGUMENT {
        text.to_owned()
    } else {
        format!("Read the file {} and do what it says.", path.display())
    }
}
