//! Runs the hooks of the events that a command has written. Called without locks; a hook that fails never fails
//! the command.

use std::io;
use std::time::Duration;

use lattice::model::config::Config;
use lattice::model::event::Event;
use lattice::model::failure::{Code, Failure, Result};
use lattice::model::hooks::{hook_env, hooks_for};
use lattice::model::json;
use lattice::process::bounded::{Ended, input, run_until};
use lattice::process::spawn;
use lattice::runs::spare;
use lattice::storage::layout::Layout;

use super::session::Session;

const LIMIT: Duration = Duration::from_secs(10);

/// All hooks of all events, one after the other. Only an interruption stops them.
pub(crate) fn fire(
    session: &Session,
    layout: &Layout,
    config: &Config,
    events: &[Event],
) -> Result<()> {
    for event in events {
        for hook in hooks_for(config, event) {
            let watch = session.interrupts.watch()?;
            match run(session, layout, event, &hook.command, &|| watch.interrupted()) {
                Ok(Ended::ByItself(_)) => {}
                Ok(Ended::TimedOut) => {
                    let limit = LIMIT.as_secs();
                    session.out.note(format_args!(
                        "lattice: hook timed out after {limit}s: {}",
                        hook.command
                    ));
                }
                Ok(Ended::GivenUp) => return Err(interrupted(&hook.key, event)),
                Err(error) => session.out.note(format_args!("lattice: hook error: {error}")),
            }
        }
    }
    Ok(())
}

/// The event is its input; its output goes nowhere, so that a job which it leaves behind holds nobody.
fn run(
    session: &Session,
    layout: &Layout,
    event: &Event,
    hook: &str,
    give_up: &dyn Fn() -> bool,
) -> io::Result<Ended> {
    let mut command = spawn::command("/bin/sh");
    command.arg("-c").arg(hook);
    command.stdin(input(json::compact(&event.to_value()).as_bytes())?);
    command
        .env_clear()
        .envs(session.caller.env().iter().cloned())
        .envs(hook_env(&layout.dir, event));
    // Once more, because a path need not be text.
    command.env("LATTICE_ROOT", &layout.dir);
    run_until(command, LIMIT, give_up, &spare::is_supervisor)
}

fn interrupted(key: &str, event: &Event) -> Failure {
    Failure::new(Code::Interrupted, format!("interrupted in the hook {key}"))
        .hint(format!("{} is recorded all the same", event.id()))
}
