//! `lattice init`

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};
use serde_json::{Map, Value, json};

use lattice::model::config::{Config, Fresh};
use lattice::model::failure::{Code, Failure, Result};
use lattice::storage::layout::Layout;
use lattice::storage::{scaffold, task};

use super::identity::checked_actor;
use super::out::Form;
use super::session::Session;
use super::{codes, question, seeds};

/// Make a project: create .lattice/
///
/// Every option can be left out. On a terminal it asks for the actor and the project code that are not given, and
/// an empty answer leaves them out; elsewhere it asks nothing. Without a project code tasks have only their long
/// IDs. Where a .lattice/ is there already, only what is missing in it is made.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  lattice init
  lattice init --actor human:ana --project-code LAT --project-name \"Lattice\"
  lattice init --path services/api --project-code LAT --subproject-code API")]
pub(crate) struct InitArgs {
    /// The project root [default: the current directory]
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
    /// The actor to note down as the usual one
    #[arg(long)]
    actor: Option<String>,
    /// 1 to 5 letters in front of the tasks' numbers, as LAT in LAT-42
    #[arg(long, value_name = "CODE")]
    project_code: Option<String>,
    /// What the project is called
    #[arg(long, value_name = "NAME")]
    project_name: Option<String>,
    /// What this part of it is called
    #[arg(long, value_name = "NAME")]
    instance_name: Option<String>,
    /// 1 to 5 letters more, as F in LAT-F-42
    #[arg(long, value_name = "CODE")]
    subproject_code: Option<String>,
    /// The agents' usual model
    #[arg(long)]
    model: Option<String>,
    /// What the project is for, for .lattice/context.md
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// The names that statuses are displayed with
    #[arg(long, value_enum, default_value = "classic")]
    workflow: Workflow,
    /// Let agents go on with the next task by themselves, ten times at most
    #[arg(long, overrides_with = "no_heartbeat")]
    heartbeat: bool,
    #[arg(long, hide = true)]
    no_heartbeat: bool,
    /// Make four tasks to look at
    #[arg(long, overrides_with = "no_seed")]
    seed: bool,
    #[arg(long, hide = true)]
    no_seed: bool,
    /// What the Python tool can be told not to do is never done here.
    #[arg(long = "no-setup-claude", alias = "no-setup-agents")]
    #[arg(hide = true, action = ArgAction::Count)]
    never_done: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Workflow {
    Classic,
    Opinionated,
}

/// What the opinionated workflow calls the statuses.
const OPINIONATED: [(&str, &str); 9] = [
    ("backlog", "thinking about it"),
    ("in_planning", "figuring it out"),
    ("planned", "ready to go"),
    ("in_progress", "on it"),
    ("review", "check my work"),
    ("done", "shipped"),
    ("blocked", "stuck"),
    ("needs_human", "ask flesh"),
    ("cancelled", "never mind"),
];

pub(crate) fn init(session: &Session, args: &InitArgs) -> Result<()> {
    let layout = layout(session, args)?;
    let exists = fs_err::symlink_metadata(layout.config()).is_ok();
    let asked;
    let args = if exists {
        args
    } else {
        // What is given is checked before anything is asked, and everything before anything is made.
        config(args)?;
        asked = ask(session, args)?;
        &asked
    };
    let config = if exists { task::read_config(&layout)? } else { config(args)? };
    let completed = scaffold::complete(&layout, &config, &context(&layout, args))?;
    let seed = || {
        if args.seed {
            session.out.warn_all(seeds::plant(&layout, &config)?);
        }
        Ok(())
    };
    let created = !exists && scaffold::publish_config(&layout, &config, seed)?;
    let config = if created { config } else { task::read_config(&layout)? };
    let human = if created { summary(&layout, args, &config) } else { already(completed) };
    let data = json!({"created": created, "path": layout.root.display().to_string(), "config": config.raw()});
    session.out.answer(data, layout.root.display(), human)
}

const INSTEAD: &str = "lattice init --actor ACTOR --project-code CODE";

/// The two things that nobody can guess, if somebody is there to be asked.
fn ask(session: &Session, args: &InitArgs) -> Result<InitArgs> {
    let mut args = args.clone();
    let caller = &session.caller;
    if !caller.stdin_is_tty || !caller.stderr_is_tty || session.out.form() != Form::Human {
        return Ok(args);
    }
    if args.actor.is_none() {
        args.actor = question::ask(
            "Who are you, as in human:ana? (Enter: not noted down) ",
            INSTEAD,
            |name| {
                // A bare name is a person's.
                let actor =
                    if name.contains(':') { name.to_owned() } else { format!("human:{name}") };
                checked_actor(&actor)
            },
        )?;
    }
    if args.project_code.is_none() {
        args.project_code =
            question::ask("Project code, as LAT in LAT-42? (Enter: none) ", INSTEAD, |text| {
                codes::checked("project code", text)
            })?;
    }
    Ok(args)
}

fn layout(session: &Session, args: &InitArgs) -> Result<Layout> {
    let cwd = session.caller.cwd()?;
    let root = args.path.as_ref().map_or_else(|| cwd.to_owned(), |path| cwd.join(path));
    if !root.is_dir() {
        return Err(Failure::new(
            Code::Usage,
            format!("--path {} is no directory", root.display()),
        )
        .hint("make the directory first"));
    }
    let layout = Layout::at(&fs_err::canonicalize(root)?);
    if layout.dir.symlink_metadata().is_ok() && !layout.dir.is_dir() {
        let path = layout.dir.display();
        return Err(Failure::new(
            Code::ValidationError,
            format!("{path} is there and is no directory"),
        )
        .hint(format!("move {path} away and try again")));
    }
    Ok(layout)
}

fn config(args: &InitArgs) -> Result<Config> {
    let project_code = args
        .project_code
        .as_deref()
        .map(|text| codes::checked("project code", text))
        .transpose()?;
    let subproject_code = args
        .subproject_code
        .as_deref()
        .map(|text| codes::checked("subproject code", text))
        .transpose()?;
    if subproject_code.is_some() && project_code.is_none() {
        return Err(Failure::new(
            Code::ValidationError,
            "a subproject code needs a project code in front of it",
        )
        .hint("add --project-code"));
    }
    let fresh = Fresh {
        default_actor: args.actor.as_deref().map(checked_actor).transpose()?,
        project_code,
        subproject_code,
        project_name: args.project_name.clone(),
        instance_name: args.instance_name.clone(),
        model: args.model.clone(),
        heartbeat: args.heartbeat,
    };
    let config = Config::fresh(&fresh);
    Ok(if args.workflow == Workflow::Opinionated { opinionated(&config) } else { config })
}

fn opinionated(config: &Config) -> Config {
    let mut raw = config.raw().clone();
    let names: Map<String, Value> =
        OPINIONATED.iter().map(|(status, name)| ((*status).to_owned(), (*name).into())).collect();
    raw.insert("workflow_preset".to_owned(), "opinionated".into());
    raw["workflow"]["display_names"] = names.into();
    Config::from_value(Value::Object(raw))
}

fn context(layout: &Layout, args: &InitArgs) -> String {
    let directory = || layout.root.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let name = args.project_name.clone().unwrap_or_else(directory);
    let purpose =
        args.description.as_deref().unwrap_or("<!-- What this project is for, and for whom. -->");
    format!(
        "# {name}\n\n## Purpose\n\n{purpose}\n\n\
         ## Related projects\n\n<!-- Other projects that this one works with, and how. -->\n\n\
         ## Conventions\n\n<!-- How work is done here: names, statuses, habits that a newcomer should know. -->\n"
    )
}

fn already(completed: bool) -> String {
    let more = if completed { "\n  What was missing in it has been added." } else { "" };
    format!("Lattice already initialized in .lattice/{more}")
}

fn summary(layout: &Layout, args: &InitArgs, config: &Config) -> String {
    let mut lines =
        vec![format!(".lattice/ created \u{2014} {} can hold tasks now.", layout.root.display())];
    let settings = [
        ("Default actor", "default_actor"),
        ("Project name", "project_name"),
        ("Project code", "project_code"),
        ("Subproject code", "subproject_code"),
        ("Instance name", "instance_name"),
        ("Model", "model"),
    ];
    for (what, key) in settings {
        let value = config.raw().get(key).and_then(Value::as_str);
        lines.extend(value.map(|value| format!("{what}: {value}")));
    }
    if args.heartbeat {
        lines.push("Heartbeat: enabled (at most 10 advances in a session)".to_owned());
    }
    if args.workflow == Workflow::Opinionated {
        lines.push("Workflow: opinionated".to_owned());
    }
    let actor = args.actor.as_deref().unwrap_or("human:NAME");
    lines.push(format!("Next: lattice create \"What is to be done\" --actor {actor}"));
    lines.join("\n")
}
