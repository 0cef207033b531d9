//! Every key of a definition, with the shape of its value: what the parser knows, what it calls unknown, and what
//! the JSON Schema says to editors all come from here.

use super::types::EngineKind;

/// A week.
pub(super) const MOST_MINUTES: u32 = 10_080;
pub(super) const MOST_GRACE_SECONDS: u32 = 3600;
pub(super) const LONGEST_NAME: usize = 64;
/// _POSIX_OPEN_MAX of limits.h: with fewer a program may not even load.
pub(super) const LEAST_OPEN_FILES: u64 = 20;
/// The nicest that nice(2) makes.
pub(super) const MOST_NICE: u64 = 19;

#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    pub(super) about: &'static str,
    /// As JSON; `None` if nothing happens without it.
    pub(super) default: Option<&'static str>,
}

/// What a value has to be. `null` is as good as no value everywhere but in a name.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    Name,
    Actor,
    Engine,
    Command,
    Text,
    Flag,
    OneOf(&'static [&'static str]),
    /// Above 0, at most [`MOST_MINUTES`].
    Minutes,
    /// At least 0, at most [`MOST_GRACE_SECONDS`].
    Seconds,
    /// A whole number from the first to the second.
    Whole(u64, u64),
    Texts,
    /// Below the project root.
    Path,
    /// Paths to bring into the worktree.
    Carried,
    /// Names of variables, in each of which one `*` may stand.
    Patterns,
    /// Variables and their values.
    Variables,
    Object(&'static [Key]),
    /// Paths below the project root, or absolute.
    Places,
}

const COUNT: Shape = Shape::Whole(1, u64::MAX);

const fn key(name: &'static str, shape: Shape, about: &'static str) -> Key {
    Key { name, shape, about, default: None }
}

const fn or(name: &'static str, shape: Shape, default: &'static str, about: &'static str) -> Key {
    Key { name, shape, about, default: Some(default) }
}

pub(super) const KEYS: &[Key] = &[
    key("name", Shape::Name, "What the worker is called; found in any case."),
    key("description", Shape::Text, "What `lattice worker list` says of it."),
    or(
        "actor",
        Shape::Actor,
        "\"agent:worker\"",
        "Who the events of its runs are by: PREFIX:NAME.",
    ),
    or(
        "engine",
        Shape::Engine,
        "\"script\"",
        "What does the work: a script, or an agent's command-line tool.",
    ),
    key(
        "command",
        Shape::Command,
        "A string for `bash -c`, or an array: program and arguments. A relative path such as scripts/x is a file of \
         the commit. For an agent, what is called instead of its own program.",
    ),
    or(
        "worktree",
        Shape::Flag,
        "false",
        "Work in a git worktree of the commit; else in the project itself.",
    ),
    or("timeout_minutes", Shape::Minutes, "10", "How long a run may take."),
    key("idle_timeout_minutes", Shape::Minutes, "The longest silence of a run."),
    key(
        "grace_seconds",
        Shape::Seconds,
        "Between TERM and KILL; the project's value, or 10, without it.",
    ),
    or(
        "result_grace_seconds",
        Shape::Seconds,
        "15",
        "How long an agent that has told its result may take to exit.",
    ),
    or("setup", Shape::Texts, "[]", "Shell commands in the worktree, before the worker."),
    or("setup_timeout_minutes", Shape::Minutes, "5", "How long all of `setup` may take."),
    or(
        "copy",
        Shape::Carried,
        "[]",
        "Paths of the project to copy into the worktree although they are not committed.",
    ),
    or(
        "link",
        Shape::Carried,
        "[]",
        "Paths of the project that the worktree gets a symbolic link to.",
    ),
    key("env", Shape::Object(ENV_KEYS), "What becomes of the caller's environment."),
    key(
        "prompt_file",
        Shape::Path,
        "What an agent is to do: a file of the commit, with placeholders such as {{task.title}}.",
    ),
    key("model", Shape::Text, "The agent's model."),
    or("args", Shape::Texts, "[]", "Further arguments of the command."),
    key(
        "artifact_role",
        Shape::Text,
        "The role of the report, such as review or test. With it a report is a duty.",
    ),
    key("report_prefix", Shape::Text, "What the report's title begins with."),
    key("report_dir", Shape::Path, "A directory of the project that gets a copy of the report."),
    or(
        "report_from",
        Shape::OneOf(REPORT_FROM),
        "\"file\"",
        "Where the report comes from: $LATTICE_REPORT, or an agent's last message.",
    ),
    or(
        "on_changes",
        Shape::OneOf(ON_CHANGES),
        "\"keep\"",
        "Whether what the worker changed in its worktree is saved.",
    ),
    or("log_tail", Shape::Flag, "true", "Whether the event of a failure quotes the log."),
    key("limits", Shape::Object(LIMIT_KEYS), "What a run may use up."),
    or(
        "nice",
        Shape::Whole(0, MOST_NICE),
        "0",
        "How far it gives way to others for a processor: added to the caller's niceness, as nice(1) does.",
    ),
    or(
        "sandbox",
        Shape::OneOf(SANDBOXES),
        "\"none\"",
        "With \"worktree\" it can write only its worktree and what belongs to that; needs Linux 6.2.",
    ),
    or(
        "sandbox_write",
        Shape::Places,
        "[]",
        "Where it may write in spite of its sandbox: below the project, absolute, or beginning with ~/.",
    ),
    or("sandbox_required", Shape::Flag, "true", "Whether it is refused where there is no sandbox."),
    or("submodules", Shape::Flag, "false", "Check submodules out too."),
];

pub(super) const ENV_KEYS: &[Key] = &[
    or(
        "keep",
        Shape::Patterns,
        "[]",
        "Variables to inherit whatever else is said; a name may hold one `*`.",
    ),
    or("drop", Shape::Patterns, "[]", "Variables not to inherit; a name may hold one `*`."),
    or("set", Shape::Variables, "{}", "Variables to set."),
    or(
        "inherit",
        Shape::Flag,
        "true",
        "Inherit the caller's variables; else only those of `keep`.",
    ),
];

pub(super) const LIMIT_KEYS: &[Key] = &[
    or("log_bytes", COUNT, "1073741824", "Of a longer log the beginning and the end are kept."),
    key("memory_mb", COUNT, "MiB, for all processes of the run together."),
    key(
        "processes",
        COUNT,
        "Processes of the run together; each thread counts, as for `ulimit -u`.",
    ),
    key("cpu_minutes", Shape::Minutes, "Processor time of all processes of the run together."),
    key(
        "open_files",
        Shape::Whole(LEAST_OPEN_FILES, u64::MAX),
        "Files that one process may have open, as `ulimit -n`.",
    ),
    key("file_size_mb", COUNT, "MiB, the longest file that it may write, as `ulimit -f`."),
];

pub(super) const REPORT_FROM: &[&str] = &["file", "final_message"];
pub(super) const SANDBOXES: &[&str] = &["none", "worktree"];
pub(super) const ON_CHANGES: &[&str] = &["keep", "discard"];
pub(super) const ENGINES: [&str; EngineKind::ALL.len()] = {
    let mut names = [""; EngineKind::ALL.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = EngineKind::ALL[index].name();
        index += 1;
    }
    names
};
