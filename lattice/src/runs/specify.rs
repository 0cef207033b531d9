//! Writing the spec: all that a supervisor will need, fixed at the start.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use super::context::Context;
use super::engine;
use super::handover::VERSION;
use super::place::Place;
use super::preflight::LONGEST;
use super::start::Request;
use super::{secrets, store};
use crate::model::config::Config;
use crate::model::definition::{Definition, Limits, OnChanges, ReportFrom};
use crate::model::failure::Result;
use crate::model::ids::{RunId, new_ulid};
use crate::model::reduce::Snapshot;
use crate::model::run::{DefinitionRef, LimitsSpec, ReportSpec, SPEC_VERSION, SandboxSpec, Spec};
use crate::model::time;
use crate::process::cgroup::{self, Group};
use crate::process::inherit;
use crate::storage::definitions::Found;

const GRACE: Duration = Duration::from_secs(10);

/// What the checks have found.
pub(super) struct Parts<'a> {
    pub(super) found: &'a Found,
    pub(super) definition: Definition,
    pub(super) snapshot: Snapshot,
    pub(super) config: Config,
    pub(super) place: Place,
    pub(super) actor: String,
    pub(super) sandbox: Option<SandboxSpec>,
    /// What `.worktreeinclude` selects.
    pub(super) include: Vec<PathBuf>,
}

/// `template`: the prompt, in which the placeholders still stand.
pub(super) fn spec(
    ctx: &Context,
    request: &Request,
    parts: Parts<'_>,
    template: Option<&str>,
) -> Result<Spec> {
    let Parts { found, definition, snapshot, config, place, actor, sandbox, include } = parts;
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
        root.join(worktree_name(&run_id))
    });
    let grace = definition.grace.or_else(|| seconds(workers.grace_seconds)).unwrap_or(GRACE);
    let mut spec = Spec {
        version: SPEC_VERSION,
        lattice_version: VERSION.to_owned(),
        record: true,
        project_root: layout.root.clone(),
        lattice_dir: layout.dir.clone(),
        git_dir: place.repository.map(|repository| repository.common_dir),
        cwd: worktree_path
            .as_ref()
            .map_or_else(|| layout.root.clone(), |path| below(path, &prefix)),
        prefix,
        task_id: request.task.clone(),
        short_id: snapshot.short_id().map(str::to_owned),
        engine: definition.engine.name().to_owned(),
        definition: DefinitionRef { path: found.path.clone(), sha256: sha256(&found.bytes) },
        definition_text: String::from_utf8_lossy(&found.bytes).into_owned(),
        actor,
        commit_sha: place.commit_sha,
        argv: Vec::new(),
        env_set: definition.env.set.clone(),
        env_drop: definition.env.drop.clone(),
        env_keep: definition.env.keep.clone(),
        env_inherit: definition.env.inherit,
        has_secrets: !secrets::of_environment(&ctx.caller_env).is_empty(),
        worktree_path,
        pool: Some(workers.pool()).filter(|pool| pool.members > 0 && definition.worktree),
        prompt_path: None,
        prompt_on_stdin: false,
        prompt: None,
        report: report(&definition, &snapshot),
        report_from_message: definition.report_from == ReportFrom::FinalMessage,
        report_dir: definition.report_dir.clone(),
        timeout_ms: milliseconds(request.timeout.unwrap_or(definition.timeout)),
        idle_ms: definition.idle_timeout.map(milliseconds),
        grace_ms: milliseconds(grace),
        result_grace_ms: milliseconds(definition.result_grace),
        memory_limit_bytes: definition.limits.memory_mb.map(mebibytes),
        limits: limits(&definition.limits),
        nice: definition.nice,
        control_group: control_group(&definition.limits, &run_id),
        sandbox,
        keep_worktree: false,
        end_limit_ms: milliseconds(seconds(Some(workers.end_limit_seconds)).unwrap_or_default()),
        setup: definition.setup.clone(),
        setup_timeout_ms: milliseconds(definition.setup_timeout),
        copy: definition.copy.clone(),
        include,
        link: definition.link.clone(),
        submodules: definition.submodules,
        discard: definition.on_changes == OnChanges::Discard,
        log_tail: definition.log_tail,
        log_limit: definition.limits.log_bytes,
        log_path: log_path(&run_id),
        umask: inherit::current_umask(),
        depth: ctx.depth + 1,
        // The first run of a directory gives it its name, and a check makes nothing.
        store: store::read(layout)?.unwrap_or_default(),
        host: store::host(),
        boot_id: store::boot_id(),
        file_system: store::file_system(layout)?,
        started_at: time::timestamp(SystemTime::now()),
        worker: definition.name.clone(),
        run_id,
    };
    engine::complete(&mut spec, &definition, &snapshot, template)?;
    Ok(spec)
}

pub(super) fn limits(limits: &Limits) -> LimitsSpec {
    LimitsSpec {
        processes: limits.processes,
        cpu_ms: limits.cpu.map(milliseconds),
        open_files: limits.open_files,
        file_size_bytes: limits.file_size_mb.map(mebibytes),
    }
}

/// Named before it is made: whoever ends the run finds it.
fn control_group(limits: &Limits, run: &RunId) -> Option<PathBuf> {
    limits.memory_mb.or(limits.processes)?;
    Some(Group::path_below(&cgroup::delegated().ok()?, run.as_str()))
}

fn mebibytes(number: u64) -> u64 {
    number.saturating_mul(1 << 20)
}

fn report(definition: &Definition, snapshot: &Snapshot) -> Option<ReportSpec> {
    let role = definition.artifact_role.clone()?;
    let prefix =
        definition.report_prefix.clone().unwrap_or_else(|| format!("{}: ", definition.name));
    Some(ReportSpec { role: Some(role), title: format!("{prefix}{}", snapshot.title()) })
}

fn seconds(value: Option<f64>) -> Option<Duration> {
    Some(Duration::try_from_secs_f64(value?).unwrap_or(LONGEST))
}

/// At most the longest that a run may take: sums of these never overflow a clock.
fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.min(LONGEST).as_millis()).expect("a week has few milliseconds")
}

/// Relative to `.lattice`.
pub(super) fn log_path(run: &RunId) -> PathBuf {
    PathBuf::from(format!("logs/workers/{run}.log"))
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// The run's own, and with an end that nobody can foresee.
pub(super) fn worktree_name(run: &RunId) -> String {
    let random = new_ulid().to_string();
    format!("{}-{}", run.ulid(), &random[random.len() - 8..]).to_lowercase()
}

/// Joining with nothing would leave a slash at the end, and a path that no tool takes for its directory.
fn below(path: &Path, prefix: &Path) -> PathBuf {
    if prefix.as_os_str().is_empty() { path.to_owned() } else { path.join(prefix) }
}
