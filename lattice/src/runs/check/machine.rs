//! The machine, the caller and the project, as any worker would find them.

use std::path::Path;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit};

use super::line::Line;
use super::parallel::parallel;
use crate::git::{command, repository};
use crate::model::failure::Result;
use crate::process::cgroup;
use crate::process::env::CLEANERS;
use crate::process::helper::Helpers;
use crate::process::landlock;
use crate::process::oom;
use crate::process::spawn;
use crate::runs::context::Context;
use crate::runs::handover::VERSION;
use crate::runs::start::variable;
use crate::runs::{preflight, sandbox, store};
use crate::storage::task;

/// Less makes a start fail or an end late.
const LEAST_ROOM: u64 = 256 << 20;
const LEAST_FILES: u64 = 256;
/// `git worktree add --reason` (release notes of git 2.33).
const OLDEST_GIT: (u32, u32) = (2, 33);
const PATIENCE: Duration = Duration::from_secs(10);

pub fn machine(ctx: &Context, helpers: &mut dyn Helpers) -> Vec<Line> {
    let mut lines = vec![supervisor(ctx, helpers), git(ctx, helpers)];
    lines.extend(config(ctx));
    lines.extend(parallel(ctx));
    lines.extend(file_system(ctx));
    let nesting = if ctx.depth == 0 {
        "outside of any run".to_owned()
    } else {
        format!("{} runs deep", ctx.depth)
    };
    lines.push(Line::of("nesting", &preflight::refuse_deep(ctx), nesting));
    let common_dir = repository::discover(&ctx.layout.root).ok().flatten();
    let common_dir = common_dir.as_ref().map(|repository| repository.common_dir.as_path());
    lines.push(Line::of("caller", &sandbox::refuse(ctx, common_dir), "in no agent's sandbox"));
    lines.extend(cleaners(ctx));
    lines.push(containment());
    lines.push(confinement());
    lines.push(limits());
    lines
}

/// The first line that a program prints for `--version`, or why there is none.
pub(super) fn first_line(
    helpers: &mut dyn Helpers,
    mut program: std::process::Command,
    patience: Duration,
) -> Result<String, String> {
    program.arg("--version");
    let output = helpers.run(program, None, patience).map_err(|error| error.to_string())?;
    if output.timed_out {
        return Err(format!("gives no version within {} s", patience.as_secs()));
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    match text.lines().map(str::trim).find(|line| !line.is_empty()) {
        Some(line) if output.success() => Ok(line.chars().take(100).collect()),
        _ => Err("gives no version".to_owned()),
    }
}

fn supervisor(ctx: &Context, helpers: &mut dyn Helpers) -> Line {
    const INSTALL: &str = "install both programs from one build: scripts/install";
    let path = ctx.shim.display();
    match first_line(helpers, spawn::command(&ctx.shim), PATIENCE) {
        Ok(told) if told.split_whitespace().nth(1) == Some(VERSION) => {
            Line::fine("supervisor", format!("{path}, {told}"))
        }
        Ok(told) => Line::stops(
            "supervisor",
            format!("{path} is {told}, and lattice is {VERSION}"),
            INSTALL,
        ),
        Err(why) => Line::stops("supervisor", format!("{path}: {why}"), INSTALL),
    }
}

fn git(ctx: &Context, helpers: &mut dyn Helpers) -> Line {
    match first_line(helpers, command::git(&ctx.layout.root), PATIENCE) {
        Err(why) => Line::doubtful("git", format!("git: {why}"), "install it for worktrees"),
        Ok(told) if is_old(&told) => Line::doubtful(
            "git",
            format!("{told} is too old for worktrees"),
            format!("install git {}.{} or later", OLDEST_GIT.0, OLDEST_GIT.1),
        ),
        Ok(told) => Line::fine("git", told),
    }
}

fn is_old(version: &str) -> bool {
    let number = version.split_whitespace().nth(2).unwrap_or_default();
    let mut parts = number.split('.').map(|part| part.parse::<u32>().ok());
    match (parts.next().flatten(), parts.next().flatten()) {
        (Some(major), Some(minor)) => (major, minor) < OLDEST_GIT,
        _ => false,
    }
}

fn config(ctx: &Context) -> Vec<Line> {
    match task::read_config(&ctx.layout) {
        Err(failure) => vec![Line::of_failure("config", &failure)],
        Ok(config) => {
            let warnings = config.worker_warnings().into_iter();
            let hint = "correct it in .lattice/config.json";
            warnings.map(|warning| Line::doubtful("config", warning, hint)).collect()
        }
    }
}

fn file_system(ctx: &Context) -> Vec<Line> {
    let dir = &ctx.layout.dir;
    let kind = match store::file_system(&ctx.layout) {
        Err(failure) => Line::of_failure("file system", &failure),
        Ok(kind) if store::is_shared(&kind) => Line::doubtful(
            "file system",
            format!("{} is on {kind}, where a lock proves little", dir.display()),
            "keep .lattice on a disk of this machine",
        ),
        Ok(kind) => Line::fine("file system", kind),
    };
    vec![kind, writable(dir), room("room", dir)]
}

/// Whether a file can be made there, or in the nearest directory above that exists.
pub(super) fn writable(path: &Path) -> Line {
    let there = nearest(path);
    match rustix::fs::access(there, rustix::fs::Access::WRITE_OK) {
        Ok(()) => Line::fine("writable", path.display().to_string()),
        Err(error) => Line::stops(
            "writable",
            format!("{} cannot be written to: {error}", there.display()),
            "change its owner or mode, or mount it for writing",
        ),
    }
}

pub(super) fn nearest(path: &Path) -> &Path {
    path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"))
}

pub(super) fn room(what: &'static str, path: &Path) -> Line {
    let Ok(found) = rustix::fs::statvfs(nearest(path)) else {
        return Line::unknown(what, "its size is not told");
    };
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let says = format!("{} MiB free", free >> 20);
    // Some file systems have no table of files, and say 0 of 0.
    let is_out_of_files = found.f_files > 0 && found.f_favail < LEAST_FILES;
    if free < LEAST_ROOM || is_out_of_files {
        let files = if is_out_of_files { ", and hardly a file more" } else { "" };
        return Line::doubtful(
            what,
            format!("only {says}{files}"),
            "lattice worker prune --dry-run",
        );
    }
    Line::fine(what, says)
}

fn cleaners(ctx: &Context) -> Vec<Line> {
    let set = CLEANERS.iter().filter(|name| variable(ctx, name).is_some());
    let mut lines: Vec<Line> = set
        .map(|name| {
            Line::doubtful(
                "cleaner",
                format!("{name} is set: this is a CI job. A run loses that mark, and is not ended with the job by it; a container or machine that goes takes it along"),
                "wait for the run inside of the job: lattice worker run NAME TASK --wait",
            )
        })
        .collect();
    let cgroup = fs_err::read_to_string("/proc/self/cgroup").unwrap_or_default();
    if let Some(service) = service_of(&cgroup) {
        lines.push(Line::doubtful(
            "cleaner",
            format!("this is part of {service}: systemd ends its runs with it"),
            "start it from outside of the service, or with systemd-run --scope",
        ));
    }
    if lines.is_empty() {
        lines.push(Line::fine("cleaner", "no service ends what is started here"));
    }
    lines
}

/// The unit that a process belongs to by its control groups (systemd.kill(5): KillMode), but for a user's manager.
fn service_of(cgroup: &str) -> Option<&str> {
    let path = cgroup.lines().find_map(|line| line.strip_prefix("0::"))?;
    let unit = path.rsplit('/').next()?;
    (unit.ends_with(".service") && !unit.starts_with("user@")).then_some(unit)
}

fn containment() -> Line {
    if cfg!(target_os = "linux") {
        let oom = if oom::is_told() { "is seen" } else { "is not told of here" };
        let group = match cgroup::delegated() {
            Ok(base) => format!("by a control group below {}", base.display()),
            Err(why) => format!("by looking, because {why}"),
        };
        Line::fine(
            "containment",
            format!(
                "subreaper; limits of memory and processes are kept {group}; the kernel's OOM killer {oom}"
            ),
        )
    } else {
        Line::doubtful(
            "containment",
            "process group: what a worker detaches can outlive it",
            "use Linux where that matters",
        )
    }
}

fn confinement() -> Line {
    match landlock::check() {
        Ok(()) => Line::fine("sandbox", "Landlock: a worker can be kept to its worktree"),
        Err(error) => Line::doubtful(
            "sandbox",
            format!("no worker can be kept to its worktree: {error}"),
            "use Linux 6.2 or later with Landlock where that matters",
        ),
    }
}

/// Limits of the caller, which hold for its runs too.
fn limits() -> Line {
    let soft = |resource| getrlimit(resource).map_or(u64::MAX, |(soft, _)| soft);
    let size = soft(Resource::RLIMIT_FSIZE);
    let files = soft(Resource::RLIMIT_NOFILE);
    if size != nix::libc::RLIM_INFINITY && size < u64::MAX {
        let says = format!("ulimit -f: no file of a run may become longer than {size} bytes");
        return Line::doubtful("limits", says, "ulimit -f unlimited");
    }
    if files < LEAST_FILES {
        let says = format!("ulimit -n: a run may open only {files} files");
        return Line::doubtful("limits", says, format!("ulimit -n {}", LEAST_FILES * 16));
    }
    Line::fine("limits", format!("{files} open files, files of any length"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_git() {
        for (told, old) in [
            ("git version 2.47.3", false),
            ("git version 2.33.0 (Apple Git-1)", false),
            ("git version 2.32.9", true),
            ("git version 1.99.1", true),
            ("git version 3.0.rc1", false),
            ("something else", false),
        ] {
            assert_eq!(is_old(told), old, "{told}");
        }
    }

    #[test]
    fn services_are_told_from_sessions() {
        for (cgroup, service) in [
            ("0::/system.slice/runner.service\n", Some("runner.service")),
            ("12:cpu:/a.service\n0::/user.slice/user-1000.slice/session-3.scope\n", None),
            ("0::/user.slice/user-1000.slice/user@1000.service\n", None),
            ("0::/\n", None),
            ("", None),
        ] {
            assert_eq!(service_of(cgroup), service, "{cgroup:?}");
        }
    }
}
