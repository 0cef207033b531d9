//! `worker env`: what a worker would inherit, lose and get, by name.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::harness::sandbox::Sandbox;

const SECRET: &str = "planted-value-3141";

fn project() -> Sandbox {
    let sandbox = Sandbox::new();
    let rules = json!({"keep": ["TMUX"], "drop": ["MINE_*"], "set": {"CHOSEN": SECRET}});
    sandbox.worker(
        "Review",
        json!({"command": "env -0 | cut -z -d= -f1 > \"$LATTICE_REPORT\"",
        "worktree": true, "artifact_role": "test", "env": rules}),
    );
    sandbox
}

const CALLER: [(&str, &str); 6] = [
    ("CLAUDECODE", "1"),
    ("GIT_DIR", "/nowhere"),
    ("TMUX", "/tmp/t"),
    ("MINE_A", SECRET),
    ("ANTHROPIC_API_KEY", SECRET),
    ("LATTICE_DEPTH", "1"),
];

fn told(sandbox: &Sandbox, options: &[&str]) -> crate::harness::call::Finished {
    let call = sandbox.lattice(["worker", "env", "review"]);
    let call = options.iter().fold(call, |call, option| call.arg(*option));
    let told = CALLER.iter().fold(call, |call, (name, value)| call.env(name, *value)).run();
    assert!(!told.stdout.contains(SECRET) && !told.stderr.contains(SECRET), "{told}");
    told
}

#[test]
fn every_variable_has_its_reason_and_none_its_value() {
    let sandbox = project();
    let before = sandbox.tree();
    let rows = told(&sandbox, &["--json"]).ok().data();
    let of: BTreeMap<&str, (&str, &str)> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let text = |key: &str| row[key].as_str().unwrap();
            (text("name"), (text("action"), text("why")))
        })
        .collect();
    assert_eq!(of["CLAUDECODE"], ("dropped", "marks a child of claude"));
    assert_eq!(of["GIT_DIR"].0, "dropped");
    assert_eq!(of["TMUX"], ("kept", "the definition keeps it"));
    assert_eq!(of["MINE_A"], ("dropped", "the definition drops it"));
    assert_eq!(of["ANTHROPIC_API_KEY"], ("kept", "credentials, endpoint and model of claude"));
    assert_eq!(of["CHOSEN"], ("set", "the definition sets it"));
    assert_eq!(of["LATTICE_DEPTH"], ("set", "how many runs deep it is"));
    assert_eq!(of["HOME"], ("kept", "no rule concerns it"));
    assert_eq!(of["GIT_CONFIG_KEY_1"].0, "set");
    let page = told(&sandbox, &["--explain"]).ok().silent().stdout;
    let line = page.lines().find(|line| line.starts_with("CLAUDECODE ")).unwrap();
    assert_eq!(line.split_whitespace().nth(1), Some("dropped"), "{page}");
    assert!(line.ends_with("  marks a child of claude"), "{page}");
    let short = told(&sandbox, &[]).ok().silent().stdout;
    assert!(
        short.starts_with("dropped (4): CLAUDECODE, GIT_DIR, LATTICE_TEST_ID, MINE_A\nset ("),
        "{short}"
    );
    sandbox.assert_unchanged(&before);
}

/// What is told is what an engine finds.
#[test]
fn a_run_has_just_these_variables() {
    let sandbox = project();
    let mut names: Vec<String> =
        told(&sandbox, &["--quiet"]).ok().silent().stdout.lines().map(str::to_owned).collect();
    // From outside of any run, or it would be one run deeper.
    let call = sandbox.lattice(["worker", "run", "Review", "LAT-1", "--json"]);
    let callers = CALLER.iter().filter(|(name, _)| *name != "LATTICE_DEPTH");
    let call = callers.fold(call, |call, (name, value)| call.env(name, *value));
    let run = sandbox.run_of(&call.run().ok().data());
    let end = run.ended();
    let id = end["data"]["artifact_id"].as_str().unwrap_or_else(|| panic!("{end}"));
    let payload = sandbox.lattice_dir().join(format!("artifacts/payload/{id}.md"));
    let found = fs_err::read_to_string(payload).unwrap();
    // The shell's own.
    let mut found: Vec<&str> = found
        .split_terminator('\0')
        .filter(|name| !["SHLVL", "_", "OLDPWD"].contains(name))
        .collect();
    found.sort_unstable();
    names.retain(|name| !["SHLVL", "_", "OLDPWD"].contains(&name.as_str()));
    names.sort_unstable();
    assert_eq!(found, names);
}

#[test]
fn unknown_and_broken_workers_are_refused() {
    let sandbox = project();
    sandbox.write("workers/broken.json", r#"{"name": "Broken", "comand": "true"}"#);
    let refused = |name: &str, code: &str| -> Value {
        sandbox.lattice(["worker", "env", name, "--json"]).run().refused(1, code)
    };
    refused("Nobody", "NOT_FOUND");
    let error = refused("Broken", "INVALID_DEFINITION");
    assert!(error["message"].as_str().unwrap().contains("comand"), "{error}");
}
