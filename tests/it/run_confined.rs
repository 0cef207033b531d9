//! `sandbox: "worktree"`: the kernel keeps a worker, and all that it starts, from writing what is not its own.

use fs_err as fs;
use serde_json::{Value, json};

use crate::harness::binaries;
use crate::harness::engines::stream;
use crate::harness::sandbox::Sandbox;
use crate::harness::strace;
use crate::harness::waiting::skipped;

/// `try NAME COMMAND`: says whether it could be done.
const TRY: &str = "try() { if (eval \"$2\") >/dev/null 2>&1; then echo \"$1 done\"; else echo \"$1 denied\"; fi; }\n";

/// A project with a confined worker, or why there can be none.
fn confined(script: &str, keys: &Value) -> Result<Sandbox, String> {
    let sandbox = Sandbox::new();
    define(&sandbox, script, keys);
    let planned =
        sandbox.lattice(["worker", "run", "Confined", "LAT-1", "--dry-run", "--json"]).run();
    match planned.json()["error"]["message"].as_str() {
        Some(message) if message.contains("this kernel makes none") => Err(message.to_owned()),
        _ => Ok(sandbox),
    }
}

fn define(sandbox: &Sandbox, script: &str, keys: &Value) {
    let mut definition =
        json!({"command": format!("{TRY}{script}"), "worktree": true, "sandbox": "worktree"});
    for (key, value) in keys.as_object().unwrap() {
        definition[key] = value.clone();
    }
    sandbox.worker("Confined", definition);
}

#[test]
fn a_confined_worker_writes_only_what_is_its_own() {
    const TEST: &str = "a_confined_worker_writes_only_what_is_its_own";
    let denied = [
        ("changed", "echo x >> $LATTICE_ROOT/README.md"),
        ("truncated", "truncate -s 0 $LATTICE_ROOT/README.md"),
        ("made", "echo x > $LATTICE_ROOT/new"),
        ("removed", "rm -f $LATTICE_ROOT/README.md"),
        ("renamed", "mv $LATTICE_ROOT/README.md $LATTICE_ROOT/other"),
        ("moved-here", "mv $LATTICE_ROOT/README.md moved"),
        ("linked-here", "ln $LATTICE_ROOT/README.md linked && echo x >> linked"),
        ("through-a-link", "ln -s $LATTICE_ROOT/README.md link && echo x >> link"),
        ("moved-there", "echo x > gift && mv gift $LATTICE_ROOT/gift"),
        ("home", "echo x > $HOME/x"),
        ("tmp", "echo x > /tmp/$LATTICE_STARTED_EVENT_ID && rm /tmp/$LATTICE_STARTED_EVENT_ID"),
        ("callers-tmp", "echo x > $HOME/../tmp/x"),
        ("events", "echo x >> $LATTICE_DIR/events/$LATTICE_TASK_ID.jsonl"),
        ("cli", "lattice comment $LATTICE_TASK_ID hello"),
        ("own-record", "echo x > $LATTICE_DIR/runs/$LATTICE_STARTED_EVENT_ID/terminal.json"),
        ("own-spec", "echo x >> $LATTICE_DIR/runs/$LATTICE_STARTED_EVENT_ID/spec.json"),
        ("own-lock", "rm $LATTICE_DIR/runs/$LATTICE_STARTED_EVENT_ID/lock"),
        ("own-log", "echo x >> $LATTICE_DIR/logs/workers/$LATTICE_STARTED_EVENT_ID.log"),
        ("other-run", "echo x > $LATTICE_DIR/runs/$OTHER_RUN/work/report"),
        ("other-worktree", "echo x > $OTHER_WORKTREE/x"),
        (
            "other-entry",
            "echo x > $(git rev-parse --git-common-dir)/worktrees/$(basename $OTHER_WORKTREE)/HEAD",
        ),
        ("ref", "git branch mine"),
        ("main", "git update-ref refs/heads/main HEAD"),
        ("config", "git config core.editor x"),
        ("hook", "echo x > $(git rev-parse --git-common-dir)/hooks/pre-commit"),
        ("in-background", "(setsid sh -c 'echo x > $HOME/x') & wait $!"),
    ];
    let done = [
        ("own", "echo x > own && mkdir d && mv own d/own && truncate -s 0 d/own"),
        ("report", "echo All is well > $LATTICE_REPORT"),
        ("temporary", "echo x > $(mktemp)"),
        ("null", "echo x > /dev/null"),
        ("commit", "git add d && git commit -q -m Own && git commit -q --allow-empty -m More"),
        ("read", "cat $LATTICE_ROOT/README.md $HOME/readable"),
        ("show", "lattice show $LATTICE_TASK_ID"),
    ];
    let line = |(name, command): &(&str, &str)| format!("try {name} {}\n", quoted(command));
    let script: String = denied.iter().chain(&done).map(line).collect();
    let sandbox = match confined(&script, &json!({})) {
        Ok(sandbox) => sandbox,
        Err(reason) => return skipped(TEST, &reason),
    };
    fs::write(sandbox.base.join("home/readable"), "x").unwrap();
    sandbox.worker(
        "Other",
        json!({"command": sandbox.fake(&["connect=other", "wait"]), "worktree": true}),
    );
    let other = sandbox.start("Other");
    let peer = sandbox.socket.peer("other");
    let call = sandbox.lattice(["worker", "run", "Confined", "LAT-1", "--json"]);
    let call = call.env("OTHER_RUN", &other.id);
    let call = call.env("OTHER_WORKTREE", other.started["worktree_path"].as_str().unwrap());
    let run = sandbox.run_of(&call.run().ok().data());
    let end = run.ended();
    let told = |names: &[(&str, &str)], word: &str| -> String {
        names.iter().map(|(name, _)| format!("{name} {word}\n")).collect()
    };
    assert_eq!(run.log(), told(&denied, "denied") + &told(&done, "done"));
    let data = &end["data"];
    assert_eq!(
        (&end["type"], &data["sandbox"]),
        (&json!("process_completed"), &json!("worktree")),
        "{end}"
    );
    assert!(data["artifact_id"].is_string(), "{end}");
    let name = data["preserved_ref"].as_str().unwrap();
    let saved = sandbox.git(["log", "--format=%s", &format!("main..{name}")]);
    assert!(saved.ends_with("\nMore\nOwn"), "{saved}");
    peer.tell("exit 0");
    other.ended();
    sandbox.assert_clean();
    assert_eq!(fs::read_to_string(sandbox.project.join("README.md")).unwrap(), "A project.\n");
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[test]
fn a_confined_run_says_so_and_so_does_its_failure() {
    const TEST: &str = "a_confined_run_says_so_and_so_does_its_failure";
    let sandbox = match confined("echo x > $LATTICE_ROOT/README.md || exit 3", &json!({})) {
        Ok(sandbox) => sandbox,
        Err(reason) => return skipped(TEST, &reason),
    };
    let planned =
        sandbox.lattice(["worker", "run", "Confined", "LAT-1", "--dry-run"]).run().ok().stdout;
    let line = "Sandbox:     it writes only its worktree, its report and git's objects\n";
    assert!(planned.contains(line), "{planned}");
    let run = sandbox.start("Confined");
    let end = run.ended();
    sandbox.assert_clean();
    let data = &end["data"];
    let error = "exited 3; its sandbox has perhaps denied it something: see its log";
    assert_eq!((&data["class"], &data["error"]), (&json!("permissions"), &json!(error)), "{end}");
    assert!(data["log_tail"].as_str().unwrap().ends_with("README.md: Permission denied"), "{end}");
    let started = sandbox.events().into_iter().find(|event| event["id"] == run.id).unwrap();
    assert_eq!(started["data"]["sandbox"], "worktree");
    let shown = sandbox.lattice(["worker", "show", &run.id]).run().ok().stdout;
    assert!(shown.contains("\nSandbox: worktree\n"), "{shown}");
    let again = sandbox.lattice(["worker", "rerun", &run.id, "--json"]).run().ok().data();
    assert_eq!(sandbox.run_of(&again).ended()["data"]["sandbox"], "worktree");
    let shim = binaries::directory().join("lattice-shim").display().to_string();
    let debug = sandbox.program([shim.as_str(), "debug", "workers/confined.json"]).run().exits(4);
    assert!(debug.stderr.contains(line) && debug.stdout.contains("Permission denied"), "{debug}");
    sandbox.assert_clean();
}

#[test]
fn what_a_definition_lists_can_be_written() {
    const TEST: &str = "what_a_definition_lists_can_be_written";
    let script = "try listed 'echo x > $HOME/cache/x'; try file 'echo x > $HOME/one'; try home 'echo x > $HOME/x'
        try comment 'lattice comment $LATTICE_TASK_ID \"From inside\"'; try main 'echo x > $LATTICE_ROOT/x'
        lattice worker run Confined LAT-1 --json | grep -o '\"SANDBOXED\"'; env | grep LATTICE_SANDBOX";
    let keys = json!({"sandbox_write": ["~/cache", "~/one", ".lattice"], "setup": ["test -w ."]});
    let sandbox = match confined(script, &keys) {
        Ok(sandbox) => sandbox,
        Err(reason) => return skipped(TEST, &reason),
    };
    let call = || sandbox.lattice(["worker", "run", "Confined", "LAT-1", "--json"]);
    let error = call().run().refused(1, "INVALID_DEFINITION");
    assert_eq!(error["message"], "the sandbox is to let it write ~/cache, which is not there");
    fs::create_dir(sandbox.base.join("home/cache")).unwrap();
    fs::write(sandbox.base.join("home/one"), "").unwrap();
    let checked = sandbox.lattice(["worker", "check", "Confined"]).run().ok().stdout;
    let line = "sandbox     it can write only its worktree, and what its definition lists (3)\n";
    assert!(checked.contains(line), "{checked}");
    let run = sandbox.start("Confined");
    run.ended();
    let told = "listed done\nfile done\nhome denied\ncomment done\nmain denied\n\"SANDBOXED\"\nLATTICE_SANDBOX=worktree\n";
    assert_eq!(run.log(), told);
    assert!(sandbox.events().iter().any(|event| event["data"]["body"] == "From inside"));
    sandbox.assert_clean();
}

/// They run code of the commit, and so they are confined like the worker.
#[test]
fn setup_commands_are_confined_too() {
    const TEST: &str = "setup_commands_are_confined_too";
    let keys = json!({"setup": ["echo x > made", "echo x > $HOME/x"]});
    let sandbox = match confined("true", &keys) {
        Ok(sandbox) => sandbox,
        Err(reason) => return skipped(TEST, &reason),
    };
    let end = sandbox.run_to_end("Confined");
    assert_eq!(end["data"]["reason"], "setup_failed", "{end}");
    assert!(end["data"]["log_tail"].as_str().unwrap().contains("Permission denied"), "{end}");
    assert!(!sandbox.base.join("home/x").exists());
    sandbox.assert_clean();
}

/// Never without a word: refused, unless the definition says that it does without.
#[test]
fn without_landlock_it_is_refused_or_said() {
    const TEST: &str = "without_landlock_it_is_refused_or_said";
    let sandbox = match confined("try home 'echo x > $HOME/x'", &json!({})) {
        Ok(sandbox) if strace::available(&sandbox) => sandbox,
        Ok(_) => return skipped(TEST, "no strace"),
        Err(reason) => return skipped(TEST, &reason),
    };
    let call = || sandbox.lattice(["worker", "run", "Confined", "LAT-1", "--json"]);
    let without =
        ["strace", "-o", "/dev/null", "-e", "inject=landlock_create_ruleset:error=EOPNOTSUPP"];
    let error = call().through(without).run().refused(1, "SPAWN_ERROR");
    assert!(error["message"].as_str().unwrap().contains("this kernel makes none"), "{error}");
    assert!(error["hint"].as_str().unwrap().contains("sandbox_required"), "{error}");
    assert_eq!(sandbox.runs_of(&sandbox.task).len(), 0);
    // The kernel that could a moment ago refuses behind the gate: no engine has begun.
    let refusing =
        ["strace", "-f", "-o", "/dev/null", "-e", "inject=landlock_restrict_self:error=EPERM"];
    let run = sandbox.run_of(&call().through(refusing).run().ok().data());
    let end = run.ended();
    assert_eq!(end["data"]["reason"], "spawn_failed", "{end}");
    assert!(!run.log().contains("home"), "{}", run.log());
    assert!(end["data"]["error"].as_str().unwrap().contains("its sandbox cannot be made"), "{end}");
    define(&sandbox, "try home 'echo x > $HOME/x'", &json!({"sandbox_required": false}));
    let finished = call().through(without).run().ok();
    assert!(
        finished.json()["warnings"].to_string().contains("without a sandbox")
            || finished.stderr.contains("without a sandbox"),
        "{finished}"
    );
    let run = sandbox.run_of(&finished.data());
    let end = run.ended();
    assert_eq!(
        (&end["data"]["sandbox"], run.log().as_str()),
        (&json!("unavailable"), "home done\n"),
        "{end}"
    );
    sandbox.assert_clean();
}

#[test]
fn a_sandbox_needs_a_worktree() {
    let sandbox = Sandbox::new();
    sandbox.worker(
        "Odd",
        json!({"command": "true", "sandbox": "worktree", "sandbox_write": ["../x"]}),
    );
    let listed = sandbox.lattice(["worker", "list"]).run().ok().stdout;
    assert!(listed.contains("sandbox: needs \"worktree\": true; sandbox_write: "), "{listed}");
}

/// It would end at once. What its definition lists is enough, and so is a directory above.
#[test]
fn an_agent_that_could_not_keep_its_state_is_refused_with_what_to_list() {
    let sandbox = Sandbox::new();
    let fine = format!("cat={}", stream("codex-fine"));
    sandbox.install("codex", &[&fine]);
    let home = sandbox.base.join("home");
    sandbox.agent("codex", &json!({"sandbox": "worktree"}));
    let error = sandbox
        .lattice(["worker", "run", "Agent", "LAT-1", "--json"])
        .run()
        .refused(1, "INVALID_DEFINITION");
    let place = format!("\"{}/.codex\"", home.display());
    assert_eq!(error["message"], format!("codex does not begin where it cannot write {place}"));
    let hint = error["hint"].as_str().unwrap();
    assert!(hint.contains(&format!("\"sandbox_write\": [{place}]")), "{hint}");
    let page = sandbox.lattice(["worker", "check", "Agent"]).run().stdout;
    assert!(page.contains("codex does not begin where it cannot write"), "{page}");
    fs::create_dir_all(home.join(".codex")).unwrap();
    for (listed, variable) in [("~/.codex", "~/.codex"), ("~", "~/.codex"), ("~/other", "~/other")]
    {
        fs::create_dir_all(home.join("other")).unwrap();
        sandbox.agent("codex", &json!({"sandbox": "worktree", "sandbox_write": [listed]}));
        let call = sandbox.lattice(["worker", "run", "Agent", "LAT-1", "--dry-run", "--json"]);
        let variable = variable.replace('~', &home.display().to_string());
        let planned = call.env("CODEX_HOME", variable).run().json();
        let message = planned["error"]["message"].as_str().unwrap_or_default();
        assert!(planned["ok"] == true || message.contains("this kernel makes none"), "{planned}");
    }
}
