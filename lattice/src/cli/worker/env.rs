//! `lattice worker env`

use clap::Args;
use serde_json::{Value, json};

use lattice::model::failure::Result;
use lattice::runs::preflight::valid;
use lattice::runs::surroundings::{Action, explain};
use lattice::storage::definitions;

use crate::cli::out::Form;
use crate::cli::session::Session;
use crate::render;

/// Tell which variables a worker would get, lose and inherit, if it were started from here
///
/// What marks the session of the calling agent, editor or git hook goes; credentials and settings stay; `env.keep`,
/// `env.drop`, `env.set` and `env.inherit` of the definition decide before that. Names are told, and never a value.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lattice worker env Review                 what it loses and gets
  lattice worker env Review --explain       every variable, with the reason
  lattice worker env Review --quiet         the names that it would have, one on a line
  lattice worker env Review --json | jq -r '.data[] | select(.action == \"dropped\") | .name'")]
pub(crate) struct EnvArgs {
    /// The worker's name, in any case
    name: String,
    /// Name every variable, and say why
    #[arg(long)]
    explain: bool,
}

pub(crate) fn env(session: &Session, args: &EnvArgs) -> Result<()> {
    let layout = session.layout()?;
    let definition = valid(&definitions::by_name(&layout, &args.name)?)?;
    let rows = explain(&definition, session.caller.env());
    match session.out.form() {
        Form::Json => session.out.data(rows.iter().map(as_json).collect()),
        Form::Quiet => rows
            .iter()
            .filter(|(_, action)| !matches!(action, Action::Drop(_)))
            .try_for_each(|(name, _)| session.out.line(name)),
        Form::Human if args.explain => {
            session.out.line(render::variables::table(&rows, session.out.paint))
        }
        Form::Human => session.out.line(render::variables::summary(&rows, session.out.paint)),
    }
}

fn as_json((name, action): &(String, Action)) -> Value {
    let (action, why) = render::variables::words(*action);
    json!({"name": name, "action": action, "why": why})
}
