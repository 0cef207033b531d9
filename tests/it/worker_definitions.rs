//! `worker schema`, `new` and `add`: definitions made and checked before anything runs.

use fs_err as fs;
use serde_json::{Value, json};

use crate::harness::binaries::workspace;
use crate::harness::sandbox::Sandbox;
use crate::harness::screen::Screen;

#[test]
fn the_schema_is_printed_as_it_is_committed() {
    let sandbox = Sandbox::empty();
    let committed = fs::read_to_string(workspace().join("workers/.schema.json")).unwrap();
    let printed = sandbox.lattice(["worker", "schema"]).run().ok().silent();
    assert!(printed.stdout == committed);
    let data = sandbox.lattice(["worker", "schema", "--json"]).run().ok().data();
    assert_eq!(data, serde_json::from_str::<Value>(&committed).unwrap());
    assert_eq!(data["properties"]["engine"]["default"], json!("script"));
}

#[test]
fn every_shipped_worker_can_be_added_and_would_start() {
    let sandbox = Sandbox::new();
    let names = sandbox.lattice(["worker", "add", "--quiet"]).run().ok().silent().stdout;
    let names: Vec<&str> = names.lines().collect();
    assert_eq!(names, ["CodeReviewHeavy", "CodeReviewLite", "TestRunner", "TripleThreatReview"]);
    for name in &names {
        let added = sandbox.lattice(["worker", "add", name, "--json"]).run().ok().data();
        let files = added["files"].as_array().unwrap();
        assert!(files.iter().all(|file| file["action"] != "replaced"), "{added}");
        for file in files {
            let path = file["path"].as_str().unwrap();
            let there = fs::read(sandbox.project.join(path)).unwrap();
            assert!(there == fs::read(workspace().join(path)).unwrap(), "{path}");
        }
    }
    sandbox.sh(
        "test -x scripts/agent && test -x scripts/test-runner && ! test -x prompts/review-fix.md",
    );
    sandbox.commit("Add them all");
    sandbox.install("claude", &[]);
    sandbox.install("codex", &[]);
    sandbox.write(".lattice-test", "true\n");
    let checked = sandbox.lattice(["worker", "check", "--json"]).run().ok().data();
    assert_eq!(checked["workers"].as_array().unwrap().len(), names.len(), "{checked:#}");
}

#[test]
fn what_is_there_is_only_replaced_when_that_is_asked_for() {
    let sandbox = Sandbox::new();
    let add = |options: &[&str]| {
        let call = sandbox.lattice(["worker", "add", "codereviewlite", "--json"]);
        options.iter().fold(call, |call, option| call.arg(*option)).run()
    };
    let path = sandbox.project.join("prompts/code-review-lite.md");
    sandbox.write("prompts/code-review-lite.md", "Mine.\n");
    let before = sandbox.tree();
    let error = add(&[]).refused(1, "CONFLICT");
    assert!(
        error["message"].as_str().unwrap().contains("prompts/code-review-lite.md is there already")
    );
    sandbox.assert_unchanged(&before);
    assert!(!sandbox.project.join("workers").exists(), "nothing at all is written");
    assert_eq!(fs::read_to_string(&path).unwrap(), "Mine.\n");
    let replaced = add(&["--force"]).ok().data();
    assert_eq!(
        replaced["files"][0],
        json!({"path": "prompts/code-review-lite.md", "action": "replaced"})
    );
    let again = add(&[]).ok().data();
    assert!(again["files"].as_array().unwrap().iter().all(|file| file["action"] == "unchanged"));
    sandbox.lattice(["worker", "add", "Nobody", "--json"]).run().refused(1, "NOT_FOUND");
    sandbox.lattice(["worker", "add", "--force"]).run().exits(2);
    // The schema of another version is the user's to renew.
    sandbox.write("workers/.schema.json", "{}\n");
    add(&[]).ok();
    let schema = sandbox.project.join("workers/.schema.json");
    assert_eq!(fs::read_to_string(schema).unwrap(), "{}\n");
}

#[test]
fn a_new_worker_runs_as_it_is() {
    let sandbox = Sandbox::new();
    let new = |args: &[&str]| {
        let call = sandbox.lattice(["worker", "new"]);
        args.iter().fold(call, |call, arg| call.arg(*arg)).run()
    };
    let told = new(&["CountLines", "--engine", "script", "--role", "test"]).ok().silent().stdout;
    let expected = "Worker CountLines\n  made       scripts/count-lines\n  made       workers/CountLines.json\n  \
                    made       workers/.schema.json\nNext: git add scripts/count-lines workers/CountLines.json \
                    workers/.schema.json && git commit -m \"Add CountLines\"\nThen: lattice worker check CountLines\n";
    assert_eq!(told, expected);
    new(&["Lint", "--engine", "script", "--command", "echo clean", "--in-place"]).ok();
    sandbox.install("codex", &[&format!("cat={}", crate::harness::engines::stream("codex-fine"))]);
    new(&["Ask", "--engine", "codex", "--model", "m"]).ok();
    sandbox.commit("Define them");
    for (worker, words) in [("CountLines", "# Report"), ("Ask", "The change is fine.")] {
        let end = sandbox.run_to_end(worker);
        assert_eq!(end["type"], "process_completed", "{end}");
        let id = end["data"]["artifact_id"].as_str().unwrap();
        let payload = sandbox.lattice_dir().join(format!("artifacts/payload/{id}.md"));
        assert!(fs::read_to_string(payload).unwrap().contains(words));
    }
    assert!(sandbox.seen("codex")["prompt"].as_str().unwrap().starts_with("# LAT-1: First task\n"));
    assert_eq!(sandbox.run_to_end("Lint")["type"], "process_completed");
    sandbox.assert_clean();
}

#[test]
fn a_new_worker_that_cannot_be_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.worker("Other", json!({"command": "true"}));
    let before = sandbox.tree();
    let refused = |args: &[&str], code: &str| {
        let call = sandbox.lattice(["worker", "new", "--json"]);
        args.iter().fold(call, |call, arg| call.arg(*arg)).run().refused(1, code)
    };
    // No terminal: nothing is asked.
    let error = refused(&["X"], "VALIDATION_ERROR");
    assert!(error["message"].as_str().unwrap().contains("claude, codex"), "{error}");
    refused(&["a/b", "--engine", "script"], "VALIDATION_ERROR");
    refused(&["X", "--engine", "script", "--timeout", "0"], "VALIDATION_ERROR");
    sandbox.sh("mv workers/other.json workers/elsewhere.json");
    refused(&["OTHER", "--engine", "script"], "CONFLICT");
    sandbox.sh("mv workers/elsewhere.json workers/other.json");
    sandbox.lattice(["worker", "new", "X", "--engine", "cladue"]).run().exits(2);
    sandbox.assert_unchanged(&before);
    assert!(!sandbox.project.join("scripts").exists());
}

#[test]
fn on_a_terminal_the_engine_is_asked_for() {
    let sandbox = Sandbox::new();
    let mut screen = Screen::start(sandbox.lattice(["worker", "new", "Asked"]), 200);
    screen.until("(Enter: script) ");
    screen.press("cladue\n");
    screen.until("cladue is not an engine");
    screen.until_times("(Enter: script) ", 2);
    screen.press("gemini\n");
    let (code, shown) = screen.finish();
    assert_eq!(code, Some(0), "{shown}");
    let path = sandbox.project.join("workers/Asked.json");
    assert!(fs::read_to_string(path).unwrap().contains("\"engine\": \"gemini\""));
    // The end of the input is no answer.
    let mut screen = Screen::start(sandbox.lattice(["worker", "new", "Never"]), 200);
    screen.until("(Enter: script) ");
    screen.press("\u{4}");
    let (code, shown) = screen.finish();
    assert_eq!(code, Some(1), "{shown}");
    assert!(shown.contains("lattice worker new NAME --engine ENGINE"), "{shown}");
    assert!(!sandbox.project.join("workers/Never.json").exists());
}
