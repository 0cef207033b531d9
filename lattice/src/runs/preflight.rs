//! Everything that can be refused before a run exists: no event, no file, no process has been made yet.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::sys::stat::{Mode, umask};
use sha2::{Digest, Sha256};
use ulid::Ulid;

use super::context::Context;
use super::handover::VERSION;
use super::start::{Request, variable};
use super::store;
use crate::git::repository::{self, Repository};
use crate::model::actor;
use crate::model::config::Config;
use crate::model::definition::{CommandLine, Definition, OnChanges};
use crate::model::failure::{Code, Failure, Result};
use crate::model::ids::RunId;
use crate::model::reduce::Snapshot;
use crate::model::run::{DefinitionRef, ReportSpec, SPEC_VERSION, Spec};
use crate::model::time;
use crate::process::helper::Helpers;
use crate::storage::definitions::{self, Found};
use crate::storage::task;

/// A worker may start a worker, whose hook may start one more; deeper it is a fork bomb.
const DEPTH_LIMIT: u32 = 2;

const GRACE: Duration = Duration::from_secs(10);

/// A run that may be started, and what its caller should know of it.
pub struct Checked {
    pub spec: Spec,
    pub notes: Vec<String>,
}

pub fn check(ctx: &Context, request: &Request, helpers: &mut dyn Helpers) -> Result<Checked> {
    if ctx.depth >= DEPTH_LIMIT {
        let message = format!(
            "this is already {} runs deep, and a run may not start another one there",
            ctx.depth
        );
        return Err(Failure::new(Code::NestingLimit, message)
            .hint("start it from outside, or from a hook of the task"));
    }
    let found = definitions::by_name(&ctx.layout, &request.worker)?;
    let definition = valid(&found)?;
    let actor = request.actor.clone().unwrap_or_else(|| definition.actor.clone());
    actor::validate(&actor)?;
    let (_, snapshot, is_archived) = task::read_task(&ctx.layout, &request.task)?;
    let config = task::read_config(&ctx.layout)?;
    let place = place(ctx, request, &definition, helpers)?;
    let argv = argv(&definition);
    find_program(ctx, &argv[0], &place)?;
    let mut notes = config.worker_warnings();
    let spec = spec(
        ctx,
        request,
        Parts { found: &found, definition, snapshot, config, place, argv, actor },
    )?;
    if is_archived {
        return Err(archived(&spec));
    }
    if store::is_shared(&spec.file_system) {
        let note = format!(
            "{} is on {}, where a lock proves little: if this machine dies, end the run with `lattice worker reap --force {}`",
            ctx.layout.dir.display(),
            spec.file_system,
            spec.run_id
        );
        notes.push(note);
    }
    Ok(Checked { spec, notes })
}

pub(super) fn archived(spec: &Spec) -> Failure {
    let task = spec.short_id.as_deref().unwrap_or(spec.task_id.as_str());
    Failure::new(
        Code::NotFound,
        format!("{task} is archived, and no run starts on an archived task"),
    )
    .hint(format!("lattice unarchive {task}"))
}

fn valid(found: &Found) -> Result<Definition> {
    let definition = match &found.result {
        Ok(definition) => definition.clone(),
        Err(problems) => {
            let list: Vec<String> = problems
                .iter()
                .map(|problem| format!("{}: {}", problem.key, problem.message))
                .collect();
            let message =
                format!("{} is not a valid definition: {}", found.path.display(), list.join("; "));
            return Err(Failure::new(Code::InvalidDefinition, message).hint("lattice worker list"));
        }
    };
    if definition.engine.available() {
        return Ok(definition);
    }
    let message = format!(
        "{} asks for the engine {}, which this version cannot run",
        found.path.display(),
        definition.engine.name()
    );
    Err(Failure::new(Code::InvalidDefinition, message)
        .hint("use the engine `script` with a `command` that calls it"))
}

/// Where the run works: a commit, and a repository unless there is none.
struct Place {
    repository: Option<Repository>,
    commit_sha: String,
}

const UNKNOWN: &str = "unknown";

fn place(
    ctx: &Context,
    request: &Request,
    definition: &Definition,
    helpers: &mut dyn Helpers,
) -> Result<Place> {
    let repository = match repository::discover(&ctx.layout.root) {
        Ok(repository) => repository,
        // In place nothing of git is needed, so nothing of it can be in the way.
        Err(_) if !definition.worktree && request.commit.is_none() => None,
        Err(failure) => return Err(failure),
    };
    if request.commit.is_some() && !definition.worktree {
        let message =
            format!("{} works in place, so there is no commit to choose", definition.name);
        return Err(Failure::new(Code::ValidationError, message)
            .hint("set \"worktree\": true in its definition"));
    }
    let needed = committed_files(definition);
    let Some(repository) = repository else {
        if definition.worktree {
            let message = format!(
                "{} needs a worktree, but {} is in no git repository",
                definition.name,
                ctx.layout.root.display()
            );
            return Err(
                Failure::new(Code::GitError, message).hint("git init && git add -A && git commit")
            );
        }
        need_here(ctx, &needed)?;
        return Ok(Place { repository: None, commit_sha: UNKNOWN.to_owned() });
    };
    let revision = request.commit.as_deref().unwrap_or("HEAD");
    if definition.worktree {
        let preflight = repository.preflight(helpers, revision, &needed)?;
        if let Some((path, _)) = needed.iter().zip(&preflight.objects).find(|(_, exists)| !**exists)
        {
            let short = preflight.commit_sha.get(..10).unwrap_or_default();
            let message = format!(
                "{} needs {}, which is not in commit {short}",
                definition.name,
                path.display()
            );
            return Err(Failure::new(Code::InvalidDefinition, message)
                .hint(format!("git add {0} && git commit {0}", path.display())));
        }
        return Ok(Place { repository: Some(repository), commit_sha: preflight.commit_sha });
    }
    need_here(ctx, &needed)?;
    let commit_sha = repository
        .preflight(helpers, revision, &[])
        .map_or_else(|_| UNKNOWN.to_owned(), |found| found.commit_sha);
    Ok(Place { repository: Some(repository), commit_sha })
}

/// Files of the project that the definition names.
fn committed_files(definition: &Definition) -> Vec<&Path> {
    let program = match &definition.command {
        Some(CommandLine::Argv(words)) => {
            words.first().map(Path::new).filter(|path| is_below_project(path))
        }
        _ => None,
    };
    program.into_iter().chain(definition.prompt_file.as_deref()).collect()
}

fn is_below_project(program: &Path) -> bool {
    program.is_relative() && program.components().count() > 1
}

fn need_here(ctx: &Context, needed: &[&Path]) -> Result<()> {
    match needed.iter().find(|path| fs_err::metadata(ctx.layout.root.join(path)).is_err()) {
        None => Ok(()),
        Some(path) => {
            let message = format!("{} is not in {}", path.display(), ctx.layout.root.display());
            Err(Failure::new(Code::InvalidDefinition, message)
                .hint("create it, or correct the definition"))
        }
    }
}

fn argv(definition: &Definition) -> Vec<String> {
    let mut argv = match &definition.command {
        Some(CommandLine::Shell(text)) => {
            vec!["bash".to_owned(), "-c".to_owned(), text.clone(), definition.name.clone()]
        }
        Some(CommandLine::Argv(words)) => words.clone(),
        None => Vec::new(),
    };
    argv.extend(definition.args.iter().cloned());
    argv
}

/// The spawn would fail later with the same news, but then a run would have begun.
fn find_program(ctx: &Context, program: &str, place: &Place) -> Result<()> {
    let path = Path::new(program);
    if is_below_project(path) && place.repository.is_some() {
        return Ok(());
    }
    let found = if program.contains('/') {
        is_executable(&ctx.layout.root.join(path))
    } else {
        let search = variable(ctx, "PATH")
            .unwrap_or_else(|| OsStr::new("/usr/local/bin:/usr/bin:/bin").to_owned());
        std::env::split_paths(&search).any(|directory| is_executable(&directory.join(path)))
    };
    if found {
        return Ok(());
    }
    let message = format!("the program `{program}` was not found, or is not executable");
    Err(Failure::new(Code::SpawnError, message)
        .hint("install it, put it on PATH, or correct `command` in the definition"))
}

fn is_executable(path: &Path) -> bool {
    fs_err::metadata(path)
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

struct Parts<'a> {
    found: &'a Found,
    definition: Definition,
    snapshot: Snapshot,
    config: Config,
    place: Place,
    argv: Vec<String>,
    actor: String,
}

fn spec(ctx: &Context, request: &Request, parts: Parts<'_>) -> Result<Spec> {
    let Parts { found, definition, snapshot, config, place, argv, actor } = parts;
    let workers = config.workers();
    let run_id = RunId::generate();
    let layout = &ctx.layout;
    let prefix =
        place.repository.as_ref().map(|repository| repository.prefix.clone()).unwrap_or_default();
    let worktree_path = definition.worktree.then(|| {
        let root = workers
            .worktree_root
            .as_ref()
            .map_or_else(|| layout.worktrees(), |root| layout.root.join(root));
        root.join(format!(
            "{}-{:08x}",
            run_id.ulid().to_lowercase(),
            Ulid::generate().random() as u32
        ))
    });
    let grace = definition.grace.or_else(|| seconds(workers.grace_seconds)).unwrap_or(GRACE);
    Ok(Spec {
        version: SPEC_VERSION,
        lattice_version: VERSION.to_owned(),
        record: true,
        project_root: layout.root.clone(),
        lattice_dir: layout.dir.clone(),
        git_dir: place.repository.map(|repository| repository.common_dir),
        cwd: worktree_path.as_ref().map_or_else(|| layout.root.clone(), |path| path.join(&prefix)),
        prefix,
        task_id: request.task.clone(),
        short_id: snapshot.short_id().map(str::to_owned),
        engine: definition.engine.name().to_owned(),
        definition: DefinitionRef { path: found.path.clone(), sha256: sha256(&found.bytes) },
        actor,
        commit_sha: place.commit_sha,
        argv,
        env_set: definition.env.set.clone(),
        env_drop: definition.env.drop.clone(),
        env_keep: definition.env.keep.clone(),
        env_inherit: definition.env.inherit,
        worktree_path,
        prompt_path: definition.prompt_file.clone(),
        report: report(&definition, &snapshot),
        timeout_ms: milliseconds(request.timeout.unwrap_or(definition.timeout)),
        idle_ms: definition.idle_timeout.map(milliseconds),
        grace_ms: milliseconds(grace),
        end_limit_ms: milliseconds(seconds(Some(workers.end_limit_seconds)).unwrap_or_default()),
        setup: definition.setup.clone(),
        setup_timeout_ms: milliseconds(definition.setup_timeout),
        copy: definition.copy.clone(),
        link: definition.link.clone(),
        discard: definition.on_changes == OnChanges::Discard,
        log_tail: definition.log_tail,
        log_path: PathBuf::from(format!("logs/workers/{run_id}.log")),
        umask: current_umask(),
        depth: ctx.depth + 1,
        store: store::id(layout)?,
        host: store::host(),
        boot_id: store::boot_id(),
        file_system: store::file_system(layout)?,
        started_at: time::timestamp(SystemTime::now()),
        worker: definition.name,
        run_id,
    })
}

fn report(definition: &Definition, snapshot: &Snapshot) -> Option<ReportSpec> {
    let role = definition.artifact_role.clone()?;
    let prefix =
        definition.report_prefix.clone().unwrap_or_else(|| format!("{}: ", definition.name));
    Some(ReportSpec { role: Some(role), title: format!("{prefix}{}", snapshot.title()) })
}

fn seconds(value: Option<f64>) -> Option<Duration> {
    Duration::try_from_secs_f64(value?).ok()
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// umask(2) can only be read by setting it, so it is set back at once; the CLI has one thread here.
fn current_umask() -> u32 {
    let current = umask(Mode::from_bits_truncate(0o077));
    umask(current);
    u32::from(current.bits())
}
