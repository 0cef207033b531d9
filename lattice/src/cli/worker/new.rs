//! `lattice worker new`

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use lattice::model::definition::{EngineKind, parse, template};
use lattice::model::failure::{Code, Failure, Result};
use lattice::storage::definitions;
use lattice::storage::layout::Layout;

use super::lay::lay;
use crate::cli::out::Form;
use crate::cli::question;
use crate::cli::session::Session;

/// Make a worker of your own: a definition, and a prompt or a script to fill in
///
/// An agent gets a prompt in prompts/, a script without --command a program in scripts/. Both are a beginning that
/// runs as it is. On a terminal the engine is asked for if it is not given; elsewhere nothing is asked.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lattice worker new Review --engine claude
  lattice worker new Review --engine codex --model gpt-5 --role review
  lattice worker new Lint --engine script --command \"make lint\"
  lattice worker new Clean --engine script --in-place")]
pub(crate) struct NewArgs {
    /// What it is called
    name: String,
    /// claude, codex, gemini, opencode or script
    #[arg(long, value_parser = PossibleValuesParser::new(EngineKind::ALL.map(EngineKind::name)).map(|name| engine(&name)))]
    engine: Option<EngineKind>,
    /// A line for bash, instead of a script in scripts/; for an agent, what is called instead of its program
    #[arg(long, value_name = "LINE")]
    command: Option<String>,
    /// The agent's model
    #[arg(long)]
    model: Option<String>,
    /// What it is for, in a sentence
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// The role of its report, such as review or test
    #[arg(long, default_value = "report")]
    role: String,
    /// Its limit, in minutes
    #[arg(long, value_name = "MINUTES", default_value_t = 30)]
    timeout: u32,
    /// Work in the project itself instead of a worktree
    #[arg(long)]
    in_place: bool,
    /// Replace files that are there with another content
    #[arg(long)]
    force: bool,
}

fn engine(name: &str) -> EngineKind {
    EngineKind::parse(name).expect("the parser takes the names of engines only")
}

pub(crate) fn new(session: &Session, args: &NewArgs) -> Result<()> {
    let layout = session.layout()?;
    let engine = match args.engine {
        Some(engine) => engine,
        None => ask(session)?,
    };
    let wanted = template::Wanted {
        name: &args.name,
        engine,
        command: args.command.as_deref(),
        model: args.model.as_deref(),
        description: args.description.as_deref().unwrap_or_default(),
        role: &args.role,
        timeout_minutes: args.timeout,
        worktree: !args.in_place,
    };
    let files = template::files(&wanted);
    let definition = files.last().expect("the definition is the last of the files");
    if let Err(problems) = parse(definition.text.as_bytes()) {
        let list: Vec<String> = problems.iter().map(ToString::to_string).collect();
        return Err(
            Failure::new(Code::ValidationError, list.join("; ")).hint("lattice worker new --help")
        );
    }
    refuse_taken(&layout, &args.name, &definition.path)?;
    lay(session, &layout, &args.name, &files, args.force)
}

/// A second definition of one name would make both unusable.
fn refuse_taken(layout: &Layout, name: &str, path: &str) -> Result<()> {
    let same = |found: &definitions::Found| {
        found.name().to_lowercase() == name.to_lowercase() && found.path.as_os_str() != path
    };
    match definitions::all(layout)?.iter().find(|found| same(found)) {
        None => Ok(()),
        Some(found) => {
            let message = format!("{} defines a worker called {name}", found.path.display());
            Err(Failure::new(Code::Conflict, message)
                .hint("choose another name, or change that one"))
        }
    }
}

fn ask(session: &Session) -> Result<EngineKind> {
    const GIVE: &str = "lattice worker new NAME --engine ENGINE";
    let caller = &session.caller;
    if !caller.stdin_is_tty || !caller.stderr_is_tty || session.out.form() != Form::Human {
        let names = EngineKind::ALL.map(EngineKind::name);
        let message = format!("which engine? there are {}", names.join(", "));
        return Err(Failure::new(Code::ValidationError, message).hint(GIVE));
    }
    let text = "Engine: claude, codex, gemini, opencode or script? (Enter: script) ";
    let named = question::ask(text, GIVE, |name| match EngineKind::parse(name) {
        Some(engine) => Ok(engine.name().to_owned()),
        None => Err(Failure::new(Code::ValidationError, format!("{name} is not an engine"))
            .hint("one of those named above")),
    })?;
    Ok(named.and_then(|name| EngineKind::parse(&name)).unwrap_or(EngineKind::Script))
}
