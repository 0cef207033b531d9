//! Applies the table and a definition's rules to an environment.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::git_config::with_attached_gc;
use super::table::{TABLE, Verdict, When};

pub type Variable = (OsString, OsString);

/// What a definition says about the environment. Names may have one `*` for any characters.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// Inherited whatever else is said. With `inherit: false` nothing else is inherited.
    pub keep: &'a [String],
    pub drop: &'a [String],
    /// Set last, over everything but the variables of the run itself.
    pub set: &'a BTreeMap<String, String>,
    pub inherit: bool,
}

/// What becomes of a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Inherited from the caller, because of this.
    Keep(&'static str),
    /// Not inherited, for this reason.
    Drop(&'static str),
    /// Given its value by us or by the definition.
    Set(&'static str),
}

impl Action {
    pub fn is_keep(self) -> bool {
        matches!(self, Self::Keep(_))
    }
}

/// Nobody sits at an engine's terminal.
pub(super) const DEFAULTS: &[(&str, &str)] =
    &[("GIT_EDITOR", "true"), ("GIT_TERMINAL_PROMPT", "0")];

/// Variables of the run, which no definition may set otherwise.
const OWN: &str = "LATTICE_";

/// The environment of an engine: what the caller has and may hand on, our defaults, `added` by the run, and what the
/// definition sets. Sorted by name.
pub fn engine_env(
    caller: &[Variable],
    rules: &Rules<'_>,
    added: &[(String, OsString)],
) -> Vec<Variable> {
    let mut env = BTreeMap::new();
    for (name, value) in caller {
        if inherited(name, caller, rules).is_keep()
            && let Some(value) = cleaned(name, value, caller)
        {
            env.insert(name.clone(), value);
        }
    }
    for (name, value) in DEFAULTS {
        env.entry(OsString::from(name)).or_insert_with(|| OsString::from(value));
    }
    env.extend(added.iter().map(|(name, value)| (OsString::from(name), value.clone())));
    let settable = rules.set.iter().filter(|(name, _)| !name.starts_with(OWN));
    env.extend(settable.map(|(name, value)| (OsString::from(name), OsString::from(value))));
    env.into_iter().collect()
}

/// The names that the caller has and an engine does not get, sorted. Never values: some are secrets.
/// The variables of an outer run are left out; the engine gets its own.
pub fn dropped_names(caller: &[Variable], rules: &Rules<'_>) -> Vec<String> {
    let mut names: Vec<String> = caller
        .iter()
        .filter(|(name, _)| matches!(inherited(name, caller, rules), Action::Drop(_)))
        .map(|(name, _)| name.to_string_lossy().into_owned())
        .filter(|name| !name.starts_with(OWN) && !rules.set.contains_key(name))
        .collect();
    names.sort();
    names
}

/// What becomes of every variable, sorted by name. `added`: what the run adds, and what for.
pub fn explain(
    caller: &[Variable],
    rules: &Rules<'_>,
    added: &[(&str, &'static str)],
) -> Vec<(String, Action)> {
    let text = |name: &OsStr| name.to_string_lossy().into_owned();
    let mut all: BTreeMap<String, Action> = caller
        .iter()
        .map(|(name, value)| (text(name), of_inherited(name, value, caller, rules)))
        .collect();
    for (name, _) in DEFAULTS {
        if !all.get(*name).is_some_and(|action| action.is_keep()) {
            all.insert((*name).to_owned(), Action::Set("nobody sits at an engine's terminal"));
        }
    }
    for (name, why) in added {
        all.insert((*name).to_owned(), Action::Set(why));
    }
    let settable = rules.set.keys().filter(|name| !name.starts_with(OWN));
    all.extend(settable.map(|name| (name.clone(), Action::Set("the definition sets it"))));
    for variable in with_attached_gc(engine_env(caller, rules, &[])) {
        let name = text(&variable.0);
        let is_given = caller.contains(&variable) || rules.set.contains_key(&name);
        if name.starts_with("GIT_CONFIG_") && (name == "GIT_CONFIG_COUNT" || !is_given) {
            all.insert(name, Action::Set("no collection of garbage in git detaches itself"));
        }
    }
    all.into_iter().collect()
}

fn of_inherited(name: &OsStr, value: &OsStr, caller: &[Variable], rules: &Rules<'_>) -> Action {
    let action = inherited(name, caller, rules);
    match cleaned(name, value, caller) {
        _ if !action.is_keep() => action,
        Some(left) if left == value => action,
        Some(_) if name == "PATH" => {
            Action::Keep("without the directories that codex deletes when it exits")
        }
        Some(_) => Action::Keep("without its debug port, which can be bound once"),
        None => Action::Drop("holds nothing but a debug port, which can be bound once"),
    }
}

/// A definition's `keep` wins over its `drop`, and both over the table.
pub(super) fn inherited(name: &OsStr, caller: &[Variable], rules: &Rules<'_>) -> Action {
    // Every name that a rule can mean is ASCII.
    let Some(name) = name.to_str() else {
        return if rules.inherit { Action::Keep(PLAIN) } else { Action::Drop(NOT_LISTED) };
    };
    if rules.keep.iter().any(|pattern| matches(pattern, name)) {
        Action::Keep("the definition keeps it")
    } else if !rules.inherit {
        Action::Drop(NOT_LISTED)
    } else if rules.drop.iter().any(|pattern| matches(pattern, name)) {
        Action::Drop("the definition drops it")
    } else {
        by_table(name, caller)
    }
}

const PLAIN: &str = "no rule concerns it";
const NOT_LISTED: &str = "the definition inherits only what it lists";

fn by_table(name: &str, caller: &[Variable]) -> Action {
    let mut action = Action::Keep(PLAIN);
    for rule in TABLE {
        if !rule.patterns.iter().any(|pattern| matches(pattern, name)) || !holds(rule.when, caller)
        {
            continue;
        }
        match rule.verdict {
            Verdict::Keep => return Action::Keep(rule.why),
            Verdict::Drop => action = Action::Drop(rule.why),
        }
    }
    action
}

/// Names by which the calling tool hides the user's own settings, for instance git's, from whatever it starts. Not only
/// an engine does without them: a supervisor's git and its hooks are to see what the user has set.
pub fn veiled<'a>(caller: &'a [Variable], keep: &[String]) -> Vec<&'a OsStr> {
    let conditional = || TABLE.iter().filter(|rule| rule.when != When::Always);
    let is_veil = |name: &str| {
        conditional().any(|rule| {
            holds(rule.when, caller) && rule.patterns.iter().any(|pattern| matches(pattern, name))
        })
    };
    let is_kept = |name: &str| keep.iter().any(|pattern| matches(pattern, name));
    let names = caller.iter().map(|(name, _)| name.as_os_str());
    names.filter(|name| name.to_str().is_some_and(|name| is_veil(name) && !is_kept(name))).collect()
}

fn holds(when: When, caller: &[Variable]) -> bool {
    match when {
        When::Always => true,
        When::Set(name, value) => value_of(caller, name).is_some_and(|found| found == value),
    }
}

fn value_of<'a>(caller: &'a [Variable], name: &str) -> Option<&'a OsStr> {
    caller.iter().find(|(candidate, _)| candidate == name).map(|(_, value)| value.as_os_str())
}

pub(super) fn matches(pattern: &str, name: &str) -> bool {
    // Each name of a caller is asked about for each pattern, and most differ in the first letter.
    if !pattern.starts_with('*') && pattern.as_bytes().first() != name.as_bytes().first() {
        return false;
    }
    match pattern.split_once('*') {
        Some((start, end)) => {
            name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
        }
        None => pattern == name,
    }
}

/// The value to hand on; `None` if nothing of it is left.
fn cleaned(name: &OsStr, value: &OsStr, caller: &[Variable]) -> Option<OsString> {
    match name.to_str() {
        Some("PATH") => Some(without(value, b':', |entry| is_codex_path(entry, caller))),
        // A debug port can be bound once: the second node of a tree with this option does not start.
        Some("NODE_OPTIONS") => {
            let left = without(value, b' ', |word| word.starts_with(b"--inspect"));
            (!left.is_empty()).then_some(left)
        }
        _ => Some(value.to_owned()),
    }
}

fn without(value: &OsStr, separator: u8, unwanted: impl Fn(&[u8]) -> bool) -> OsString {
    let parts = value.as_bytes().split(|byte| *byte == separator);
    let left: Vec<&[u8]> = parts.filter(|part| !unwanted(part)).collect();
    OsString::from_vec(left.join(&separator))
}

/// Directories that codex puts on the PATH of its tools and deletes when it exits.
fn is_codex_path(entry: &[u8], caller: &[Variable]) -> bool {
    const TEMPORARY: &[u8] = b"/.codex/tmp/arg0";
    let below_home = value_of(caller, "CODEX_HOME").is_some_and(|home| {
        entry.strip_prefix(home.as_bytes()).is_some_and(|rest| rest.starts_with(b"/tmp/arg0"))
    });
    below_home
        || entry.windows(TEMPORARY.len()).any(|window| window == TEMPORARY)
        || entry.strip_suffix(b"/").unwrap_or(entry).ends_with(b"/codex-path")
}
