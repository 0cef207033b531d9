//! Which of its roles the program was started for.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use lattice::model::failure::{Code, Failure, Result};
use lattice::process::inherit;

use lattice::runs::handover::{FROM_CALLER, VERSION_TEXT};
use lattice::runs::pool::{self, SURVEY};

use crate::renew::WAITS;
use crate::{debug, exits, finish, gate, hook, shim, stage0, waiting, warden};

/// No role is inlined: the frame of each would then be that of all, and a page that a stack has touched stays.
pub(crate) fn run(arguments: &[OsString]) -> Result<ExitCode> {
    let (Some(role), rest) = (arguments.first(), arguments.get(1..).unwrap_or_default()) else {
        return Err(usage());
    };
    inherit::take_name(c"lattice-shim");
    match (role.to_str(), rest) {
        (Some("debug"), words) => return debug::run(words),
        (Some("--help" | "-h" | "help"), []) => exits::answer(debug::HELP),
        (Some("--version" | "-V"), []) => exits::answer(&format!("lattice-shim {VERSION_TEXT}\n")),
        (Some("stage0"), [next, directory]) => stage0::run(next, Path::new(directory))?,
        (Some("warden"), [directory]) => warden::run(Path::new(directory))?,
        (Some("warden"), [word, directory]) if word == FROM_CALLER => {
            stage0::leave_caller()?;
            warden::run(Path::new(directory))?;
        }
        (Some("shim"), [directory]) => shim::run(Path::new(directory))?,
        (Some("warden"), [word, directory]) if word == WAITS => {
            warden::go_on(Path::new(directory))?;
        }
        (Some("shim"), [word, directory]) if word == WAITS => waiting::go_on(Path::new(directory))?,
        (Some("finish"), [directory]) => finish::run(Path::new(directory), false)?,
        (Some("finish-forced"), [directory]) => finish::run(Path::new(directory), true)?,
        (Some("gate"), words) => gate::run(words)?,
        (Some("gate-apart"), words) => gate::run_apart(words)?,
        (Some("helper"), words) => gate::run_helper(words)?,
        (Some("hook"), words) => hook::run(words)?,
        (Some(SURVEY), [member, object_bytes]) => survey(Path::new(member), object_bytes)?,
        _ => return Err(usage()),
    }
    Ok(ExitCode::SUCCESS)
}

#[inline(never)]
fn survey(member: &Path, object_bytes: &OsString) -> Result<()> {
    let object_bytes =
        object_bytes.to_str().and_then(|word| word.parse().ok()).ok_or_else(usage)?;
    pool::survey(member, object_bytes, std::io::stdin().lock())
}

fn usage() -> Failure {
    Failure::new(
        Code::Usage,
        "lattice-shim is started by `lattice worker run`; by hand only to debug a definition",
    )
    .hint("lattice-shim debug --help")
}
