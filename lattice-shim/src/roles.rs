//! Which of its roles the program was started for.

use std::ffi::OsString;
use std::path::Path;

use lattice::model::failure::{Code, Failure, Result};
use lattice::process::inherit;

use crate::{finish, gate, shim, stage0, warden};

pub(crate) fn run(arguments: &[OsString]) -> Result<()> {
    let (Some(role), rest) = (arguments.first(), arguments.get(1..).unwrap_or_default()) else {
        return Err(usage());
    };
    inherit::take_name(c"lattice-shim");
    match (role.to_str(), rest) {
        (Some("stage0"), [next, directory]) => stage0::run(next, Path::new(directory)),
        (Some("warden"), [directory]) => warden::run(Path::new(directory)),
        (Some("shim"), [directory]) => shim::run(Path::new(directory)),
        (Some("finish"), [directory]) => finish::run(Path::new(directory), false),
        (Some("finish-forced"), [directory]) => finish::run(Path::new(directory), true),
        (Some("gate"), words) => gate::run(words),
        (Some("helper"), words) => gate::run_helper(words),
        _ => Err(usage()),
    }
}

fn usage() -> Failure {
    Failure::new(Code::Usage, "lattice-shim is started by `lattice worker run`, not by hand")
        .hint("lattice worker run --help")
}
