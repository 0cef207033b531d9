//! `lattice worker verdict`

use std::io::{self, Read};
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use lattice::model::definition::EngineKind;
use lattice::model::engine::evidence::Evidence;
use lattice::model::engine::preset::{self, Preset};
use lattice::model::engine::{Account, verdict};
use lattice::model::failure::{Code, Failure, Result};
use lattice::model::outcome::Exit;
use lattice::model::usage::Share;
use lattice::runs::used;

use crate::cli::session::Session;

/// Understand what an agent has printed: its last message, or why it did not do its work
///
/// For scripts that run agents by themselves, such as scripts/agent. Standard input is the agent's machine-readable
/// output, as a worker with that engine would leave it in its log. The last message is printed; the exit status is 4 if
/// the agent's own records or its exit say that it failed. $LATTICE_USAGE is the file in which a run looks for what its
/// agents have used: lines of JSON, which any script may write, with the keys of `usage` and a name, `agent`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  claude -p --output-format stream-json --verbose <prompt | lattice worker verdict claude
  lattice worker verdict codex --exit 1 <records         why it exited with 1
  lattice worker verdict codex --usage \"$LATTICE_USAGE\" --agent codex:critical <records
  lattice worker verdict gemini --json <records | jq .data.usage
  echo '{\"agent\": \"mine\", \"output_tokens\": 812, \"cost_usd\": 0.04}' >> \"$LATTICE_USAGE\"")]
pub(crate) struct VerdictArgs {
    /// claude, codex, gemini or opencode
    engine: String,
    /// What it exited with
    #[arg(long, value_name = "CODE", default_value_t = 0)]
    exit: i32,
    /// Append what it has used to this file
    #[arg(long, value_name = "FILE")]
    usage: Option<PathBuf>,
    /// Who it is, for that file
    #[arg(long, value_name = "NAME", requires = "usage")]
    agent: Option<String>,
}

pub(crate) fn verdict(session: &Session, args: &VerdictArgs) -> Result<()> {
    let preset = agent(&args.engine)?;
    let account = understand(preset)?;
    if let Some(path) = &args.usage {
        let agent = args.agent.clone().or_else(|| Some(args.engine.clone()));
        used::tell(path, &Share { agent, usage: account.usage.clone() })?;
    }
    let exit = Exit { code: Some(args.exit), signal: None };
    let failure = verdict::of(preset, &account, exit, false);
    let message = account.message.as_deref().map(str::trim_end).filter(|text| !text.is_empty());
    let data = json!({
        "completed": failure.is_none(),
        "error": failure.as_ref().map(|failure| &failure.sentence),
        "reason": failure.as_ref().map(|failure| failure.reason),
        "class": failure.as_ref().and_then(|failure| failure.class),
        "denied": account.denied,
        "usage": account.usage.to_value(),
        "message": message,
    });
    answer(session, data, message, failure.as_ref())
}

fn answer(
    session: &Session,
    data: Value,
    message: Option<&str>,
    failure: Option<&verdict::Verdict>,
) -> Result<()> {
    if session.out.is_json() {
        session.out.data(data)?;
        session.out.answered();
    }
    match (failure, message) {
        (Some(failure), _) => Err(Failure::new(Code::RunFailed, &failure.sentence)),
        (None, Some(message)) if !session.out.is_json() => session.out.line(message),
        (None, _) => Ok(()),
    }
}

fn agent(name: &str) -> Result<&'static Preset> {
    let agents = || preset::TABLE.iter().filter(|preset| preset.program.is_some());
    agents().find(|preset| preset.kind.name() == name).ok_or_else(|| {
        let names: Vec<&str> = agents().map(|preset| EngineKind::name(preset.kind)).collect();
        let message = format!("no agent is called \"{name}\"; there are {}", names.join(", "));
        Failure::new(Code::Usage, message)
    })
}

/// Piece by piece: it may be longer than memory.
fn understand(preset: &Preset) -> Result<Account> {
    let mut evidence = Evidence::new(preset.records, true);
    let mut buffer = vec![0; 64 * 1024];
    let mut input = io::stdin().lock();
    loop {
        match input.read(&mut buffer) {
            Ok(0) => return Ok(evidence.finish()),
            Ok(count) => evidence.feed(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Failure::io("reading standard input", error)),
        }
    }
}
