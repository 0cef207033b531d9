//! The shipped `TestRunner` on a scratch clone of this repository: the main job, from `init` to the report.

use std::time::Duration;

use fs_err as fs;
use serde_json::{Value, json};

use crate::harness::binaries::{self, variable, workspace};
use crate::harness::call::Call;
use crate::harness::sandbox::{ACTOR, Sandbox};
use crate::harness::waiting::skipped;

/// The clone is compiled from nothing, beside all other tests.
const COMPILES_WITHIN: Duration = Duration::from_mins(15);

/// A clone of the repository that these tests are in; `Err` where there is none, as in a source archive.
fn clone() -> Result<Sandbox, String> {
    let mut sandbox = Sandbox::empty();
    let source = workspace().display().to_string();
    let url = format!("file://{source}");
    let clone =
        ["git", "-c", "safe.directory=*", "clone", "-q", "--no-local", "--depth=1", &url, "."];
    let cloned = sandbox.program(clone).run();
    if cloned.code != Some(0) {
        return Err(format!("git clone: {}", cloned.stderr.trim()));
    }
    sandbox.identify();
    // What is being tested is the tree as it is now, not as it was committed.
    for shipped in ["workers", "scripts", "prompts"] {
        let copy = format!(
            "rm -rf {shipped} && if [ -d {source}/{shipped} ]; then cp -a {source}/{shipped} .; fi"
        );
        sandbox.sh(&copy);
    }
    // A real and small part of the tests: those of the pure layer.
    sandbox.write(".lattice-test", "cargo test -q --locked -p lattice --lib model::\n");
    sandbox.commit("As it is");
    sandbox.make_lattice();
    sandbox.commit("Start to track");
    Ok(sandbox)
}

/// The toolchain of the machine, which a home of its own would hide.
fn with_toolchain(sandbox: &Sandbox, call: Call) -> Call {
    let home = variable("HOME").unwrap_or_default();
    let or_below_home = |name: &str, folder: &str| {
        variable(name).unwrap_or_else(|| std::path::Path::new(&home).join(folder).into_os_string())
    };
    call.env("CARGO_HOME", or_below_home("CARGO_HOME", ".cargo"))
        .env("RUSTUP_HOME", or_below_home("RUSTUP_HOME", ".rustup"))
        .env("CARGO_TARGET_DIR", sandbox.base.join("target"))
        .env("CARGO_NET_OFFLINE", "true")
        .env("LATTICE_BIN_DIR", binaries::directory())
}

#[test]
fn the_main_job_on_a_clone_of_this_repository() {
    let sandbox = match clone() {
        Ok(sandbox) => sandbox,
        Err(reason) => return skipped("the_main_job_on_a_clone_of_this_repository", &reason),
    };
    let worktrees = sandbox.git(["worktree", "list"]);
    let head = sandbox.git(["rev-parse", "HEAD"]);
    let call = sandbox.lattice(["worker", "run", "TestRunner", "LAT-1", "--json"]);
    let run = sandbox.run_of(&with_toolchain(&sandbox, call).run().ok().data());
    let waiting = sandbox.lattice(["worker", "wait", &run.id, "--json"]).start();
    let waited = waiting.finish_within(COMPILES_WITHIN);
    let end = run.ended();
    assert_eq!(waited.code, Some(0), "{waited}\n{}", run.log());
    assert_eq!((&end["type"], &end["data"]["exit_code"]), (&json!("process_completed"), &json!(0)));
    sandbox.assert_clean();
    assert_eq!(sandbox.assert_runs_ended(), 1);
    assert_eq!(sandbox.git(["worktree", "list"]), worktrees);
    assert_eq!(sandbox.git(["rev-parse", "HEAD"]), head);
    let report = report(&sandbox, &end);
    assert!(report.contains("test result: ok") && !report.contains(" 0 passed"), "{report}");
}

/// The text of the attached report; its role is `test`.
fn report(sandbox: &Sandbox, end: &Value) -> String {
    let shown = sandbox.lattice(["show", "LAT-1", "--json"]).run().ok().data();
    let evidence = &shown["evidence_refs"][0];
    assert_eq!(
        (&evidence["role"], &evidence["id"]),
        (&json!("test"), &end["data"]["artifact_id"]),
        "{shown}"
    );
    let payloads = sandbox.lattice_dir().join("artifacts/payload");
    let mut files = fs::read_dir(payloads).unwrap();
    fs::read_to_string(files.next().unwrap().unwrap().path()).unwrap()
}

/// A project that is no Rust project names its own command.
fn project_with_tests(script: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    let source = workspace().display().to_string();
    sandbox.sh(&format!("cp -a {source}/workers {source}/scripts . "));
    sandbox.write("run-tests", &format!("#!/bin/sh\n{script}\n"));
    sandbox.sh("chmod +x run-tests");
    sandbox.write(".lattice-test", "./run-tests\n");
    sandbox.commit("Tests");
    sandbox
}

#[test]
fn a_failing_test_is_a_failed_run_with_its_report() {
    let sandbox = project_with_tests("echo 1 test failed; exit 5");
    let end = sandbox.run_to_end("TestRunner");
    assert_eq!(
        (&end["type"], &end["data"]["exit_code"]),
        (&json!("process_failed"), &json!(5)),
        "{end}"
    );
    assert!(report(&sandbox, &end).contains("1 test failed"));
    sandbox.assert_clean();
    assert_eq!(sandbox.assert_runs_ended(), 1);
}

#[test]
fn a_passing_test_is_told_with_its_output() {
    let sandbox = project_with_tests("echo all 3 tests passed");
    let end = sandbox.run_to_end("TestRunner");
    assert_eq!(end["type"], "process_completed", "{end}");
    assert!(report(&sandbox, &end).contains("all 3 tests passed"));
    sandbox.lattice(["comment", "LAT-1", "Seen", "--actor", ACTOR]).run().ok();
    sandbox.assert_clean();
}
