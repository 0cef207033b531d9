//! What a run would do, before it does anything: its command, its place, its limits, its environment by name.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::slots::Slots;
use super::surroundings;
use crate::model::command_line::quoted;
use crate::model::definition::EngineKind;
use crate::model::duration;
use crate::model::run::{SandboxSpec, Spec};
use crate::process::env::{self, Action};
use crate::storage::layout::Layout;

/// Names of variables only: values may be secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    pub inherited: Vec<String>,
    /// What the caller has and the engine does not get, and why.
    pub dropped: Vec<(String, &'static str)>,
    pub added: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct Plan {
    pub spec: Spec,
    pub environment: Environment,
    pub log_path: PathBuf,
    /// Where runs are limited in number.
    pub slots: Option<Slots>,
}

impl Plan {
    pub fn new(spec: Spec, layout: &Layout, caller: &[(OsString, OsString)]) -> Self {
        let environment = environment(&spec, caller);
        Self { environment, log_path: layout.dir.join(&spec.log_path), spec, slots: None }
    }

    /// The same where there is no run yet: its name and the end of its worktree's stay open.
    #[must_use]
    pub fn without_names(mut self) -> Self {
        let spec = &mut self.spec;
        if let Some(path) = &mut spec.worktree_path {
            path.set_file_name("<run>-<random>");
            spec.cwd = path.join(&spec.prefix).components().collect();
        }
        self.log_path.set_file_name("<run>.log");
        self
    }

    #[must_use]
    pub fn within(mut self, slots: Slots) -> Self {
        self.slots = Some(slots).filter(Slots::are_limited);
        self
    }
}

fn environment(spec: &Spec, caller: &[(OsString, OsString)]) -> Environment {
    let mut found = Environment { inherited: Vec::new(), dropped: Vec::new(), added: Vec::new() };
    let engine = EngineKind::parse(&spec.engine).unwrap_or(EngineKind::Script);
    let added = surroundings::names(engine, spec.worktree_path.is_some(), spec.is_sandboxed());
    for (name, action) in env::explain(caller, &surroundings::rules(spec), &added) {
        match action {
            Action::Keep(_) => found.inherited.push(name),
            Action::Set(_) => found.added.push(name),
            // Those of an outer run are replaced, or mean nothing here.
            Action::Drop(_) if name.starts_with("LATTICE_") => {}
            Action::Drop(why) => found.dropped.push((name, why)),
        }
    }
    found
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spec = &self.spec;
        line(f, "Worker", format_args!("{} ({})", spec.worker, spec.definition.path.display()))?;
        line(f, "Command", quoted(&spec.argv))?;
        line(f, "Directory", spec.cwd.display())?;
        match &spec.worktree_path {
            Some(path) => line(f, "Worktree", path.display())?,
            None => line(f, "Worktree", "none: it works in place")?,
        }
        line(f, "Commit", &spec.commit_sha)?;
        line(f, "Limits", limits(spec))?;
        if let Some(slots) = &self.slots {
            line(f, "Parallel", slots.text())?;
        }
        if let Some(prompt) = &spec.prompt {
            let way = if spec.prompt_on_stdin { ", on its standard input" } else { "" };
            line(f, "Prompt", format_args!("{} bytes{way}", prompt.len()))?;
        }
        if let Some(sandbox) = &spec.sandbox {
            line(f, "Sandbox", may_write(sandbox))?;
        }
        for command in &spec.setup {
            line(f, "Setup", command)?;
        }
        for path in &spec.copy {
            line(f, "Copy", path.display())?;
        }
        for path in &spec.include {
            line(f, "Include", path.display())?;
        }
        for path in &spec.link {
            line(f, "Link", path.display())?;
        }
        if let Some(report) = &spec.report {
            let role = report.role.as_deref().unwrap_or("none");
            line(f, "Report", format_args!("asked for at $LATTICE_REPORT, role {role}"))?;
        }
        if spec.record {
            line(f, "Log", self.log_path.display())?;
        }
        let Environment { inherited, dropped, added } = &self.environment;
        line(f, "Environment", format_args!("{} variables of the caller", inherited.len()))?;
        for (name, why) in dropped {
            writeln!(f, "  without {name}: {why}")?;
        }
        write!(f, "  with {}", added.join(", "))
    }
}

fn line(f: &mut fmt::Formatter<'_>, what: &str, text: impl fmt::Display) -> fmt::Result {
    let pad = 11_usize.saturating_sub(what.len());
    writeln!(f, "{what}: {:pad$}{text}", "")
}

fn may_write(sandbox: &SandboxSpec) -> String {
    if sandbox.missing {
        return "none: this kernel makes none".to_owned();
    }
    let listed = sandbox.write.iter().map(|path| format!(", {}", path.display()));
    format!(
        "it writes only its worktree, its report and git's objects{}",
        listed.collect::<String>()
    )
}

fn limits(spec: &Spec) -> String {
    let text = |milliseconds| duration::text(Duration::from_millis(milliseconds));
    let limits = &spec.limits;
    let mut words = vec![format!("time {}", text(spec.timeout_ms))];
    words.extend(spec.idle_ms.map(|idle| format!("silence {}", text(idle))));
    words.push(format!("grace {}", text(spec.grace_ms)));
    words.extend(spec.memory_limit_bytes.map(|bytes| format!("memory {} MiB", bytes >> 20)));
    words.extend(limits.processes.map(|count| format!("processes {count}")));
    words.extend(limits.cpu_ms.map(|cpu| format!("processor time {}", text(cpu))));
    words.extend(limits.open_files.map(|count| format!("open files {count}")));
    words.extend(limits.file_size_bytes.map(|bytes| format!("file size {} MiB", bytes >> 20)));
    words.extend(Some(spec.nice).filter(|nice| *nice > 0).map(|nice| format!("nice {nice}")));
    words.join(", ")
}
