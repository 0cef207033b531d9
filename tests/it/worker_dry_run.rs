//! `worker run --dry-run`: it tells what a run would be, by the same checks, and changes nothing at all.

use fs_err as fs;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::sandbox::Sandbox;
use crate::harness::tree::Tree;
use crate::harness::waiting::SOON;

/// The whole base, with what a command is otherwise free to touch: the name of the store, lock files, git.
fn everything(sandbox: &Sandbox) -> Tree {
    Tree::of(&sandbox.base, &["s"])
}

fn dry_run(sandbox: &Sandbox, worker: &str) -> crate::harness::call::Call {
    sandbox.lattice(["worker", "run", worker, "LAT-1", "--dry-run"])
}

#[test]
fn it_tells_what_would_happen_and_changes_nothing() {
    let sandbox = Sandbox::new();
    sandbox.write(".env", "SECRET=1\n");
    let definition = json!({
        "command": ["sh", "-c", "touch made; echo $CHOSEN"], "worktree": true, "setup": ["make deps"],
        "copy": [".env"], "env": {"set": {"CHOSEN": "sky-blue"}}, "timeout_minutes": 3,
        "idle_timeout_minutes": 1, "artifact_role": "review", "nice": 5,
        "limits": {"memory_mb": 9, "processes": 50, "cpu_minutes": 1.5, "open_files": 64, "file_size_mb": 3},
    });
    sandbox.worker("Check", definition);
    fs::remove_file(sandbox.lattice_dir().join("runs/.store")).unwrap_or_default();
    // A `.lattice` of the Python tool: not even its ignore file is completed.
    fs::remove_file(sandbox.lattice_dir().join(".gitignore")).unwrap();
    let before = everything(&sandbox);
    let told = dry_run(&sandbox, "check").env("CLAUDECODE", "value-of-it").run().ok().silent();
    let sha = sandbox.git(["rev-parse", "HEAD"]);
    let expected = format!(
        "Worker:      Check (workers/check.json)\n\
         Command:     sh -c 'touch made; echo $CHOSEN'\n\
         Directory:   $DIR/.lattice/worktrees/<run>-<random>\n\
         Worktree:    $DIR/.lattice/worktrees/<run>-<random>\n\
         Commit:      {sha}\n\
         Limits:      time 3m, silence 1m, grace 10s, memory 9 MiB, processes 50, processor time 1m 30s, \
         open files 64, file size 3 MiB, nice 5\n\
         Setup:       make deps\n\
         Copy:        .env\n\
         Report:      asked for at $LATTICE_REPORT, role review\n\
         Log:         $DIR/.lattice/logs/workers/<run>.log\n"
    );
    let text = told.stdout.replace(&sandbox.project.display().to_string(), "$DIR");
    assert!(text.starts_with(&expected), "{text}");
    assert!(text.contains("\n  without CLAUDECODE: ") && text.contains("CHOSEN"), "{text}");
    assert!(!text.contains("value-of-it") && !text.contains("sky-blue"), "no values: {text}");

    let data = dry_run(&sandbox, "Check").arg("--json").arg("--timeout").arg("90s");
    let data = data.env("CLAUDECODE", "value-of-it").run().ok().silent().data();
    assert_eq!(data["argv"], json!(["sh", "-c", "touch made; echo $CHOSEN"]));
    assert_eq!(
        data["limits"],
        json!({"timeout_seconds": 90.0, "idle_seconds": 60.0, "grace_seconds": 10.0, "setup_timeout_seconds": 300.0,
            "memory_bytes": 9 << 20, "processes": 50, "cpu_seconds": 90.0, "open_files": 64,
            "file_size_bytes": 3 << 20})
    );
    assert_eq!(data["nice"], 5);
    assert_eq!((&data["commit_sha"], &data["dry_run"]), (&json!(sha), &json!(true)));
    let environment = &data["environment"];
    let names = |key: &str| environment[key].as_array().unwrap().clone();
    assert!(names("added").contains(&json!("CHOSEN")), "{environment}");
    assert!(names("inherited").contains(&json!("PATH")), "{environment}");
    assert!(names("dropped").iter().any(|row| row["name"] == "CLAUDECODE"), "{environment}");
    assert!(!data.to_string().contains("sky-blue"), "{data}");
    let differences = before.differences(&everything(&sandbox));
    assert!(differences.is_empty(), "changed: {differences:#?}");
    assert_eq!(sandbox.assert_runs_ended(), 0);
}

#[test]
fn it_refuses_what_a_run_would_be_refused() {
    let sandbox = Sandbox::new();
    sandbox.worker("Lost", json!({"command": ["no-such-program"]}));
    sandbox.worker("Busy", json!({"command": sandbox.fake(&["connect=main", "wait"])}));
    let refused = |worker: &str, status, code: &str| -> Value {
        dry_run(&sandbox, worker).arg("--json").run().refused(status, code)
    };
    refused("Nobody", 1, "NOT_FOUND");
    refused("Lost", 1, "SPAWN_ERROR");
    dry_run(&sandbox, "Busy").run().ok();
    let run = sandbox.start("Busy");
    let main = sandbox.socket.peer("main");
    let before = everything(&sandbox);
    assert_eq!(refused("Busy", 3, "ALREADY_RUNNING")["run"], json!(run.id));
    dry_run(&sandbox, "Busy").arg("--wait").run().exits(2);
    // A dead run is no obstacle; it is told of, and left for the real thing to end.
    let (shim, warden) = run.supervisors(&main);
    warden.signal(Signal::STOP);
    shim.kill();
    warden.kill();
    for process in [&shim, &warden, &*main] {
        process.wait_dead(SOON);
    }
    let told = dry_run(&sandbox, "Busy").run().ok();
    assert!(told.stderr.contains(&run.id) && told.stderr.contains("ended first"), "{told}");
    assert!(run.terminal().is_none());
    let differences = before.differences(&everything(&sandbox));
    assert!(differences.iter().all(|path| path.contains("/runs/ev_")), "{differences:#?}");
    sandbox.lattice(["worker", "reap"]).run().ok();
    sandbox.assert_clean();
}
