//! Who writes, and why: the options that all writing commands share.

use std::time::SystemTime;

use clap::Args;

use lattice::model::event::{Author, Provenance};
use lattice::model::failure::{Code, Failure, Result};
use lattice::model::{actor, time};

use super::caller::Caller;

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Who and why")]
pub(crate) struct WriteArgs {
    /// Who acts, as agent:NAME, human:NAME, team:NAME or dashboard:NAME (inside a worker: the worker)
    #[arg(long, value_name = "ACTOR")]
    pub(crate) actor: Option<String>,
    /// The model behind the actor
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: Option<String>,
    /// The session that the actor is in (inside a worker: the run)
    #[arg(long, value_name = "SESSION")]
    pub(crate) session: Option<String>,
    /// What led to this, usually the ID of an event
    #[arg(long, value_name = "EVENT")]
    pub(crate) triggered_by: Option<String>,
    /// Whom the actor acts for
    #[arg(long, value_name = "ACTOR")]
    pub(crate) on_behalf_of: Option<String>,
    /// Why, in words
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// A named session of the Python tool: refused, with the way to say it here.
    #[arg(long, hide = true, value_name = "NAME")]
    pub(crate) name: Option<String>,
}

impl WriteArgs {
    /// Words that no project can make right.
    pub(crate) fn check_usage(&self) -> Result<()> {
        if self.name.is_none() {
            return Ok(());
        }
        Err(Failure::new(Code::Usage, "named sessions (--name) are not supported by this tool")
            .hint("say who you are with --actor, for example --actor human:ana"))
    }

    pub(crate) fn author(&self, caller: &Caller) -> Result<Author> {
        let worker_run = caller.worker_run();
        let worker_actor = worker_run.as_ref().and_then(|_| caller.text("LATTICE_ACTOR"));
        let name = self.actor.as_deref().or(worker_actor).ok_or_else(missing_actor)?;
        let behalf = self.on_behalf_of.as_deref().map(checked_actor).transpose()?;
        Ok(Author {
            actor: checked_actor(name)?,
            model: self.model.clone(),
            session: self.session.clone().or_else(|| worker_run.map(|run| run.to_string())),
            provenance: Provenance {
                triggered_by: self.triggered_by.clone(),
                on_behalf_of: behalf,
                reason: self.reason.clone(),
            },
        })
    }
}

/// An actor as an option may name it.
pub(crate) fn checked_actor(text: &str) -> Result<String> {
    actor::validate(text).map(|()| text.to_owned())
}

fn missing_actor() -> Failure {
    Failure::new(Code::MissingActor, "this command writes an event, and an event needs an actor")
        .hint("add --actor, for example --actor human:ana or --actor agent:claude")
}

/// The time of an event that is written now.
pub(crate) fn now() -> String {
    time::timestamp(SystemTime::now())
}
