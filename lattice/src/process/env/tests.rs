//! Every row of the table, and how a definition bends it.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;

use super::GIT_LOCAL;
use super::rules::{
    Action, DEFAULTS, Rules, Variable, dropped_names, engine_env, explain, inherited, matches,
};
use super::table::TABLE;
use crate::process::spawn;

fn env(variables: &[(&str, &str)]) -> Vec<Variable> {
    variables.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

struct Defined {
    keep: Vec<String>,
    drop: Vec<String>,
    set: BTreeMap<String, String>,
    inherit: bool,
}

impl Defined {
    fn new(keep: &[&str], drop: &[&str], set: &[(&str, &str)]) -> Self {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let set =
            set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { keep: owned(keep), drop: owned(drop), set, inherit: true }
    }

    fn rules(&self) -> Rules<'_> {
        Rules { keep: &self.keep, drop: &self.drop, set: &self.set, inherit: self.inherit }
    }

    /// The environment, without the defaults.
    fn check(&self, caller: &[(&str, &str)], expected: &[(&str, &str)]) {
        let mut found = engine_env(&env(caller), &self.rules(), &[]);
        found.retain(|(name, value)| {
            !DEFAULTS.iter().any(|default| (name, value) == (&default.0.into(), &default.1.into()))
        });
        assert_eq!(found, env(expected));
    }
}

fn plain() -> Defined {
    Defined::new(&[], &[], &[])
}

fn handed_on(name: &str, caller: &[(&str, &str)]) -> bool {
    inherited(OsStr::new(name), &env(caller), &plain().rules()).is_keep()
}

/// `VERDICT NAME` for each variable that callers were seen to export.
const ROWS: &str = include_str!("../../../../tests/environment.txt");

fn rows() -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = ROWS.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_once(' ').expect("a verdict and a name"))
}

#[test]
fn every_row_is_followed() {
    for (verdict, name) in rows() {
        let expected = match verdict {
            "keep" => (true, true),
            "drop" => (false, false),
            "gemini" => (true, false),
            _ => panic!("{verdict} {name}"),
        };
        let below = |gemini| handed_on(name, &[("GEMINI_CLI", gemini)]);
        assert_eq!((below("0"), below("1")), expected, "{name}");
    }
}

#[test]
fn every_pattern_of_the_table_is_in_a_row() {
    for pattern in TABLE.iter().flat_map(|rule| rule.patterns) {
        assert!(rows().any(|(_, name)| matches(pattern, name)), "{pattern}");
    }
}

#[test]
fn everything_git_calls_local_is_dropped_but_one() {
    let mut git = spawn::command("git");
    let output = git
        .args(["rev-parse", "--local-env-vars"])
        .stdout(std::process::Stdio::piped())
        .output()
        .unwrap();
    for name in
        String::from_utf8(output.stdout).unwrap().lines().filter(|name| *name != "GIT_CONFIG_COUNT")
    {
        assert!(GIT_LOCAL.contains(&name), "{name}");
    }
}

#[test]
fn codex_directories_leave_the_path() {
    let caller = [("PATH", "/home/u/.codex/tmp/arg0/codex-arg0Ab:/usr/bin::/opt/codex-path:/bin")];
    plain().check(&caller, &[("PATH", "/usr/bin::/bin")]);
    let caller = [("CODEX_HOME", "/c"), ("PATH", "/c/tmp/arg0/x:/c/bin:/usr/codex-path-tools")];
    plain().check(&caller, &[("CODEX_HOME", "/c"), ("PATH", "/c/bin:/usr/codex-path-tools")]);
}

#[test]
fn debug_ports_leave_the_options_of_node() {
    let options = "--max-old-space-size=4096 --inspect-brk=0 --require \"./a  b.js\" --inspect";
    let caller = [("NODE_OPTIONS", options)];
    plain()
        .check(&caller, &[("NODE_OPTIONS", "--max-old-space-size=4096 --require \"./a  b.js\"")]);
    plain().check(&[("NODE_OPTIONS", "--inspect")], &[]);
}

#[test]
fn a_definition_keeps_drops_and_sets() {
    let defined = Defined::new(
        &["TMUX", "AWS_REGION"],
        &["AWS_*", "SECRET"],
        &[("A", "1"), ("LATTICE_ROOT", "x")],
    );
    let caller = [
        ("A", "0"),
        ("AWS_KEY", "k"),
        ("AWS_REGION", "r"),
        ("SECRET", "s"),
        ("TMUX", "t"),
        ("STY", "s"),
    ];
    defined.check(&caller, &[("A", "1"), ("AWS_REGION", "r"), ("TMUX", "t")]);
    assert_eq!(dropped_names(&env(&caller), &defined.rules()), ["AWS_KEY", "SECRET", "STY"]);
}

#[test]
fn without_inheritance_only_what_is_listed_comes_through() {
    let mut defined = Defined::new(&["PATH", "LC_*"], &[], &[("A", "1")]);
    defined.inherit = false;
    let caller = [("HOME", "/h"), ("LC_ALL", "C"), ("PATH", "/bin")];
    defined.check(&caller, &[("A", "1"), ("LC_ALL", "C"), ("PATH", "/bin")]);
    assert_eq!(dropped_names(&env(&caller), &defined.rules()), ["HOME"]);
}

#[test]
fn the_run_replaces_an_outer_one() {
    let caller = env(&[
        ("LATTICE_DEPTH", "1"),
        ("LATTICE_WORKTREE", "/outer"),
        ("TMPDIR", "/tmp"),
        ("STY", "1"),
    ]);
    let added = [("LATTICE_DEPTH".to_owned(), "2".into()), ("TMPDIR".to_owned(), "/run".into())];
    let found = engine_env(&caller, &plain().rules(), &added);
    let expected = [
        ("GIT_EDITOR", "true"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("LATTICE_DEPTH", "2"),
        ("TMPDIR", "/run"),
    ];
    assert_eq!(found, env(&expected));
    assert_eq!(dropped_names(&caller, &plain().rules()), ["STY"]);
}

#[test]
fn names_that_are_not_text_are_handed_on() {
    let odd = OsString::from_vec(vec![0xff]);
    let caller = [(odd.clone(), "x".into())];
    assert!(engine_env(&caller, &plain().rules(), &[]).contains(&(odd, "x".into())));
}

#[test]
fn an_explanation_names_every_variable() {
    let defined = Defined::new(&["GIT_EDITOR"], &["B"], &[("C", "1")]);
    let caller = env(&[("A", ""), ("B", ""), ("C", ""), ("GIT_EDITOR", "vi"), ("TMUX", "")]);
    let added = [("LATTICE_DEPTH", "the run sets it")];
    let expected = [
        ("A", Action::Keep("no rule concerns it")),
        ("B", Action::Drop("the definition drops it")),
        ("C", Action::Set("the definition sets it")),
        ("GIT_EDITOR", Action::Keep("the definition keeps it")),
        ("GIT_TERMINAL_PROMPT", Action::Set("nobody sits at an engine's terminal")),
        ("LATTICE_DEPTH", Action::Set("the run sets it")),
    ];
    let mut found = explain(&caller, &defined.rules(), &added);
    assert!(matches!(found.pop(), Some((name, Action::Drop(why)))
        if name == "TMUX" && why.contains("terminal")));
    found.retain(|(name, _)| !name.starts_with("GIT_CONFIG_"));
    assert_eq!(found, expected.map(|(name, action)| (name.to_owned(), action)));
}

#[test]
fn settings_of_git_are_told_apart_from_the_callers() {
    let caller = env(&[
        ("GIT_CONFIG_COUNT", "1"),
        ("GIT_CONFIG_KEY_0", "safe.directory"),
        ("GIT_CONFIG_VALUE_0", "*"),
    ]);
    let found = explain(&caller, &plain().rules(), &[]);
    let is_kept: Vec<(&str, bool)> = found
        .iter()
        .filter(|(name, _)| name.starts_with("GIT_CONFIG_"))
        .map(|(name, action)| (name.trim_start_matches("GIT_CONFIG_"), action.is_keep()))
        .collect();
    let expected = ["COUNT", "KEY_0", "KEY_1", "KEY_2", "VALUE_0", "VALUE_1", "VALUE_2"];
    assert_eq!(is_kept, expected.map(|name| (name, name.ends_with('0'))));
}

#[test]
fn what_is_taken_out_of_a_value_is_explained() {
    let caller = env(&[("NODE_OPTIONS", "--inspect"), ("PATH", "/opt/codex-path:/bin")]);
    let found = explain(&caller, &plain().rules(), &[]);
    let of = |name: &str| found.iter().find(|(found, _)| found == name).map(|(_, action)| *action);
    assert!(matches!(of("NODE_OPTIONS"), Some(Action::Drop(why)) if why.contains("debug port")));
    assert!(matches!(of("PATH"), Some(Action::Keep(why)) if why.contains("codex")));
}
