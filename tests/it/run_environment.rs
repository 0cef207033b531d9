//! Every variable that agents, editors, git and npm were seen to export, planted in the environment of one call: what
//! the engine gets, what setup commands, our own git and the tracker's hooks get.

use std::collections::BTreeMap;

use fs_err as fs;
use serde_json::json;

use crate::harness::binaries;
use crate::harness::call::Call;
use crate::harness::run::Run;
use crate::harness::sandbox::Sandbox;

/// `VERDICT NAME` for each, which the unit tests of the table read too.
const ROWS: &str = include_str!("../environment.txt");

fn rows() -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = ROWS.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_once(' ').expect("a verdict and a name"))
}

/// What says that nothing can be started from there at all.
fn is_a_sandbox(name: &str) -> bool {
    name.starts_with("CODEX_SANDBOX")
}

/// Most could be anything; some must make sense to whom they are meant for.
fn planted(sandbox: &Sandbox, name: &str) -> String {
    let text = match name {
        "GEMINI_CLI" | "GIT_CONFIG_COUNT" | "GIT_CONFIG_NOSYSTEM" | "LATTICE_DEPTH" => "1",
        "GIT_TRACE" | "GIT_TRACE_PACKET" => "0",
        "GIT_CONFIG_KEY_0" => "planted.key",
        "GIT_CONFIG_GLOBAL" | "GIT_CONFIG_SYSTEM" => "/dev/null",
        "LATTICE_STARTED_EVENT_ID" => "ev_01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "LATTICE_ROOT" => return sandbox.project.display().to_string(),
        "LATTICE_SHIM" => {
            return binaries::directory().join("lattice-shim").display().to_string();
        }
        _ => return format!("planted-{name}"),
    };
    text.to_owned()
}

fn plant(sandbox: &Sandbox, call: Call, gemini: bool) -> Call {
    let names = rows().map(|(_, name)| name).filter(|name| !is_a_sandbox(name));
    let names = names.filter(|name| gemini || *name != "GEMINI_CLI");
    names.fold(call, |call, name| call.env(name, planted(sandbox, name)))
}

/// What a process wrote down of its environment.
#[track_caller]
fn environment(path: &std::path::Path) -> BTreeMap<String, String> {
    let text = fs::read_to_string(path).unwrap();
    let entries = text.lines().filter_map(|line| line.split_once('='));
    entries.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// A `git` on the PATH that adds what it gets to a file for each call.
fn listen_to_git(sandbox: &Sandbox) {
    let real = sandbox.sh("command -v git").stdout;
    let told = sandbox.base.join("git");
    fs::create_dir_all(sandbox.bin()).unwrap();
    fs::create_dir_all(&told).unwrap();
    let script = format!("#!/bin/sh\nenv > {}/$$\nexec {} \"$@\"\n", told.display(), real.trim());
    fs::write(sandbox.bin().join("git"), script).unwrap();
    sandbox.sh(&format!("chmod +x {}", sandbox.bin().join("git").display()));
}

/// A run whose engine, setup command and hooks write down what they have.
fn started(sandbox: &Sandbox, gemini: bool) -> Run<'_> {
    let dump = |name: &str| format!("env > {}", sandbox.base.join(name).display());
    sandbox.worker(
        "Dump",
        json!({"command": format!("{}; echo made > made", dump("engine")), "setup": [dump("setup")],
               "worktree": true}),
    );
    sandbox.configure("hooks", json!({"post_event": dump("hook.$LATTICE_EVENT_TYPE")}));
    let call = sandbox.lattice(["worker", "run", "Dump", "LAT-1", "--json"]);
    sandbox.run_of(&plant(sandbox, call, gemini).run().ok().data())
}

#[test]
fn an_engine_gets_what_the_table_says_and_so_do_setup_commands() {
    for gemini in [false, true] {
        let sandbox = Sandbox::new();
        let run = started(&sandbox, gemini);
        assert_eq!(run.ended()["type"], "process_completed", "{}", run.log());
        sandbox.assert_clean();
        for who in ["engine", "setup"] {
            let found = environment(&sandbox.base.join(who));
            for (verdict, name) in rows().filter(|(_, name)| !is_a_sandbox(name)) {
                let kept = verdict == "keep" || (verdict == "gemini" && !gemini);
                // Ours begin behind the caller's.
                let expected = match name {
                    "GIT_CONFIG_COUNT" if kept => "3".to_owned(),
                    _ => planted(&sandbox, name),
                };
                let has = found.get(name) == Some(&expected);
                // The run has a value of its own for these, which can be the same.
                if !["LATTICE_DEPTH", "LATTICE_ROOT"].contains(&name) {
                    assert_eq!(has, kept, "{name} of {who}, gemini {gemini}: {found:#?}");
                }
            }
            assert_eq!(found["LATTICE_DEPTH"], "2");
            assert_eq!(found["LATTICE_STARTED_EVENT_ID"], run.id);
            assert_eq!(found["GIT_EDITOR"], "true");
        }
        let engine = fs::read_to_string(sandbox.base.join("engine")).unwrap();
        let temporary = run.directory().join("work/tmp").display().to_string();
        assert!(engine.contains(&format!("\nTMPDIR={temporary}\n")), "{engine}");
    }
}

/// Numbered options mean nothing without their count, and the last one is only a way of printing messages.
const HARMLESS: [&str; 2] = ["GIT_PUSH_OPTION_0", "GIT_INTERNAL_GETTEXT_SH_SCHEME"];

fn is_of_the_calling_git(verdict: &str, name: &str) -> bool {
    let of_tools = ["GIT_EDITOR", "GIT_SEQUENCE_EDITOR", "GIT_PAGER"];
    verdict == "drop"
        && name.starts_with("GIT_")
        && !of_tools.contains(&name)
        && !HARMLESS.contains(&name)
}

#[test]
fn our_own_git_and_the_hooks_of_a_run_serve_no_other_repository() {
    let sandbox = Sandbox::new();
    listen_to_git(&sandbox);
    let run = started(&sandbox, false);
    assert_eq!(run.ended()["type"], "process_completed", "{}", run.log());
    sandbox.assert_clean();
    let calls: Vec<_> = fs::read_dir(sandbox.base.join("git")).unwrap().collect();
    let mut seen: Vec<_> =
        calls.into_iter().map(|entry| environment(&entry.unwrap().path())).collect();
    seen.retain(|git| git.contains_key("CLAUDECODE"));
    assert!(seen.len() > 4, "preflight, worktree, salvage: {} calls", seen.len());
    for hook in ["hook.process_started", "hook.process_completed"] {
        let told = environment(&sandbox.base.join(hook));
        assert_eq!(told["LATTICE_ROOT"], sandbox.lattice_dir().display().to_string());
        assert_eq!(told["LATTICE_DEPTH"], "1", "it does not begin anew");
        for name in
            ["LATTICE_STARTED_EVENT_ID", "LATTICE_WORKTREE", "LATTICE_REPORT", "LATTICE_WORKER"]
        {
            assert_eq!(told.get(name), None, "{name} of {hook}");
        }
        seen.push(told);
    }
    for told in &seen {
        for (_, name) in rows().filter(|(verdict, name)| is_of_the_calling_git(verdict, name)) {
            assert_ne!(told.get(name), Some(&planted(&sandbox, name)), "{name} in {told:#?}");
        }
    }
}

/// Whoever ends the run, whatever is in it.
#[test]
fn the_temporary_directory_is_the_runs_own_and_goes_with_it() {
    for lost in [false, true] {
        let sandbox = Sandbox::new();
        let fake = sandbox.fake_line(&["connect=main", "wait"]);
        let script = "test -z \"$(ls -A $TMPDIR)\" && mktemp && mkdir -m 700 $TMPDIR/deep && \
                      echo x > $TMPDIR/deep/x && ln -s / $TMPDIR/root && chmod 500 $TMPDIR/deep";
        sandbox.worker("Work", json!({"command": format!("{script} && exec {fake}")}));
        let run = sandbox.start("Work");
        let main = sandbox.socket.peer("main");
        let made = run.log();
        let temporary = std::path::Path::new(made.trim()).parent().unwrap().to_owned();
        assert!(
            temporary.starts_with(run.directory()) && temporary.join("deep/x").exists(),
            "{made}"
        );
        if lost {
            run.lose_supervisors(&main);
            sandbox.lattice(["worker", "reap"]).run().ok();
        } else {
            main.tell("exit 0");
        }
        run.ended();
        sandbox.assert_clean();
        assert!(!temporary.exists());
        let left = fs::read_dir(sandbox.base.join("tmp")).unwrap().count();
        assert_eq!(left, 0, "nothing in the caller's directory for temporary files");
    }
}
