//! What a worker has: its environment, the CLI, its report. And what it must not be able to fool us with.

use fs_err as fs;
use serde_json::{Value, json};

use crate::harness::sandbox::Sandbox;
use crate::harness::waiting::skipped;

#[test]
fn the_cli_inside_speaks_of_the_main_project() {
    let sandbox = Sandbox::new();
    let other = sandbox.create("Made after the commit");
    let script = format!(
        "lattice show $LATTICE_TASK_ID --json >/dev/null && lattice show {other} --quiet >/dev/null; echo show $?; \
         lattice comment $LATTICE_TASK_ID 'From inside'; cd /; lattice comment $LATTICE_TASK_ID 'From elsewhere'; \
         cd $LATTICE_WORKTREE; env -u LATTICE_ROOT lattice comment $LATTICE_TASK_ID 'From the frozen copy'"
    );
    sandbox.worker("Talk", json!({"command": script, "worktree": true, "actor": "agent:talker"}));
    let run = sandbox.start("Talk");
    let end = run.ended();
    assert_eq!(end["type"], "process_completed", "{}", run.log());
    assert!(run.log().contains("show 0\n"), "{}", run.log());
    let events = sandbox.events();
    let comments: Vec<_> = events.iter().filter(|event| event["type"] == "comment_added").collect();
    let bodies: Vec<_> = comments.iter().map(|event| &event["data"]["body"]).collect();
    assert_eq!(bodies, ["From inside", "From elsewhere", "From the frozen copy"], "{}", run.log());
    for comment in comments {
        assert_eq!(comment["actor"], "agent:talker");
        assert_eq!(comment["agent_meta"]["session"], run.id);
    }
    assert!(
        end["data"].get("preserved_ref").is_none_or(Value::is_null),
        "the frozen copy was not written: {end}"
    );
    sandbox.assert_clean();
}

#[test]
fn m10_a_worker_sees_its_run_and_may_not_wait_for_it() {
    let sandbox = Sandbox::new();
    let script = "lattice worker ps --json; lattice worker reap --json; \
                  lattice worker wait $LATTICE_TASK_ID; echo wait $?; \
                  lattice worker wait $LATTICE_STARTED_EVENT_ID; echo wait $?; \
                  lattice worker stop $LATTICE_STARTED_EVENT_ID; echo stop $?";
    sandbox.worker("Look", json!({"command": script}));
    let run = sandbox.start("Look");
    let end = run.ended();
    assert_eq!(end["type"], "process_completed", "{}", run.log());
    assert!(run.log().contains(&run.id), "{}", run.log());
    assert!(run.log().contains("wait 1\n") && run.log().ends_with("stop 1\n"), "{}", run.log());
    assert_eq!(run.log().matches("wait 1\n").count(), 2, "{}", run.log());
    sandbox.assert_clean();
}

/// What is left of a worktree that cannot be deleted is named, and goes when somebody may delete it.
#[test]
fn m17_trash_that_is_another_users_is_named() {
    let name = "m17_trash_that_is_another_users_is_named";
    if !rustix::process::geteuid().is_root() {
        return skipped(name, "only root can give a file away");
    }
    let sandbox = Sandbox::new();
    let fake = sandbox.fake_line(&["mkdir=theirs", "write=theirs/file:x", "connect=main", "wait"]);
    let script = format!("mkdir -p closed/deep && chmod 555 closed && exec {fake}");
    let definition = json!({"command": script, "worktree": true, "on_changes": "discard"});
    sandbox.worker("Work", definition);
    // Root deletes everything, unless it gives up its capabilities.
    let powerless = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"];
    let call = sandbox.lattice(["worker", "run", "Work", "LAT-1", "--json"]).through(powerless);
    let run = sandbox.run_of(&call.run().ok().data());
    let main = sandbox.socket.peer("main");
    let worktree = run.started["worktree_path"].as_str().unwrap();
    sandbox.program(["chown", "-R", "65534", &format!("{worktree}/theirs")]).run().ok();
    main.tell("exit 0");
    let end = run.ended();
    assert_eq!(end["type"], "process_completed", "{end}");
    sandbox.assert_left(&["worktree .trash-"]);
    let left = sandbox.sh("cd .lattice/worktrees/.trash-* && find . -type d").stdout;
    assert_eq!(left, ".\n./theirs\n", "what was only closed is opened, and gone");
    let found = sandbox.lattice(["doctor", "--json"]).run().ok();
    let finding = &found.data()["findings"][0];
    assert_eq!(finding["check"], "leftover", "{found}");
    assert!(finding["message"].to_string().contains(".trash-"), "{found}");
    sandbox.lattice(["worker", "reap"]).run().ok();
    sandbox.assert_clean();
}

#[test]
fn s9_a_report_without_end_is_cut() {
    let sandbox = Sandbox::new();
    let command = "echo begin > $LATTICE_REPORT; truncate -s 10G $LATTICE_REPORT";
    sandbox.worker("Report", json!({ "command": command }));
    let (_, bytes) = artifact(&sandbox, &sandbox.run_to_end("Report"));
    assert!(bytes.starts_with(b"begin\n") && bytes.len() == 16 << 20, "{}", bytes.len());
    sandbox.assert_clean();
}

#[test]
fn the_environment_is_the_callers_and_what_the_run_adds() {
    let sandbox = Sandbox::new();
    let dump = sandbox.base.join("env").display().to_string();
    let command = sandbox.fake(&[&format!("env-dump={dump}")]);
    let env = json!({"set": {"MINE": "set"}, "drop": ["UNWANTED"], "keep": ["CLAUDECODE"]});
    sandbox.worker("Dump", json!({"command": command, "worktree": true, "env": env}));
    let call = sandbox.lattice(["worker", "run", "Dump", "LAT-1", "--json"]);
    let given = [
        ("ANTHROPIC_API_KEY", "key"),
        ("CLAUDE_CODE_OAUTH_TOKEN", "token"),
        ("CODEX_HOME", "/codex"),
        ("UNWANTED", "x"),
        ("CLAUDECODE", "1"),
        ("CLAUDE_CODE_ENTRYPOINT", "claude-vscode"),
        ("GIT_DIR", "/nonexistent"),
        ("GIT_INDEX_FILE", "/nonexistent"),
        ("TMUX", "x"),
        ("GIT_SSH_COMMAND", "ssh -v"),
    ];
    let finished = given.iter().fold(call, |call, (name, value)| call.env(name, *value)).run().ok();
    let run = sandbox.run_of(&finished.data());
    run.ended();
    let text = fs::read_to_string(dump).unwrap();
    let get = |name: &str| {
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap_or("unset")
    };
    for (name, value) in [
        ("ANTHROPIC_API_KEY", "key"),
        ("CLAUDE_CODE_OAUTH_TOKEN", "token"),
        ("CODEX_HOME", "/codex"),
    ] {
        assert_eq!(get(name), value, "credentials and configuration survive");
    }
    assert_eq!((get("MINE"), get("CLAUDECODE"), get("GIT_SSH_COMMAND")), ("set", "1", "ssh -v"));
    for name in ["UNWANTED", "CLAUDE_CODE_ENTRYPOINT", "GIT_DIR", "GIT_INDEX_FILE", "TMUX"] {
        assert_eq!(get(name), "unset", "{name}");
    }
    assert_eq!(get("LATTICE_ROOT"), sandbox.project.to_str().unwrap());
    assert_eq!(get("LATTICE_DIR"), sandbox.lattice_dir().to_str().unwrap());
    assert_eq!(
        (get("LATTICE_TASK_ID"), get("LATTICE_STARTED_EVENT_ID")),
        (&*sandbox.task, &*run.id)
    );
    assert_eq!(get("LATTICE_WORKTREE"), run.started["worktree_path"]);
    assert_eq!((get("LATTICE_ACTOR"), get("LATTICE_WORKER")), ("agent:worker", "Dump"));
    assert_eq!(get("LATTICE_COMMIT_SHA"), sandbox.git(["rev-parse", "HEAD"]));
    assert!(
        get("LATTICE_REPORT").starts_with(run.directory().join("work").to_str().unwrap()),
        "{text}"
    );
    assert!(get("TMPDIR").starts_with(run.directory().join("work").to_str().unwrap()), "{text}");
    assert!(
        !serde_json::to_string(&run.record()).unwrap().contains("\"token\""),
        "no value is on disk"
    );
}

#[test]
fn a_definition_may_start_from_nothing() {
    let sandbox = Sandbox::new();
    let dump = sandbox.base.join("env").display().to_string();
    let command = sandbox.fake(&[&format!("env-dump={dump}")]);
    sandbox.worker(
        "Dump",
        json!({"command": command, "env": {"inherit": false, "keep": ["HOME", "PATH"]}}),
    );
    let finished =
        sandbox.lattice(["worker", "run", "Dump", "LAT-1", "--json"]).env("OTHER", "x").run().ok();
    sandbox.run_of(&finished.data()).ended();
    let text = fs::read_to_string(dump).unwrap();
    assert!(
        text.contains("HOME=") && text.contains("LATTICE_TASK_ID=") && !text.contains("OTHER="),
        "{text}"
    );
}

/// The artifact that the run left, from its metadata and the bytes of its payload.
#[track_caller]
fn artifact(sandbox: &Sandbox, end: &Value) -> (Value, Vec<u8>) {
    let id = end["data"]["artifact_id"].as_str().unwrap_or_else(|| panic!("artifact_id in {end}"));
    let artifacts = sandbox.lattice_dir().join("artifacts");
    let meta: Value =
        serde_json::from_slice(&fs::read(artifacts.join(format!("meta/{id}.json"))).unwrap())
            .unwrap();
    let payload = artifacts.join("payload").join(meta["payload"]["file"].as_str().unwrap());
    (meta, fs::read(payload).unwrap())
}

#[test]
fn the_report_becomes_an_artifact_with_its_role() {
    let sandbox = Sandbox::new();
    let command = "echo '# All fine' > $LATTICE_REPORT";
    sandbox
        .worker("Report", json!({"command": command, "artifact_role": "review", "worktree": true}));
    let end = sandbox.run_to_end("Report");
    let (meta, bytes) = artifact(&sandbox, &end);
    assert_eq!(bytes, b"# All fine\n");
    assert_eq!(meta["created_by"], "agent:worker");
    let shown = sandbox.lattice(["show", "LAT-1", "--json"]).run().ok().data();
    assert_eq!(shown["evidence_refs"][0]["id"], meta["id"]);
    assert_eq!(shown["evidence_refs"][0]["role"], "review");
    let attached: Vec<_> =
        sandbox.events().into_iter().filter(|event| event["type"] == "artifact_attached").collect();
    assert_eq!(attached.len(), 1);
    sandbox.assert_clean();
}

#[test]
fn a_report_is_kept_when_the_worker_fails() {
    let sandbox = Sandbox::new();
    sandbox.worker("Report", json!({"command": "echo bad news > $LATTICE_REPORT; exit 1"}));
    let end = sandbox.run_to_end("Report");
    assert_eq!((&end["type"], &end["data"]["exit_code"]), (&json!("process_failed"), &json!(1)));
    assert_eq!(artifact(&sandbox, &end).1, b"bad news\n");
}

#[test]
fn a_report_that_is_too_long_is_cut_and_the_record_says_so() {
    let sandbox = Sandbox::new();
    let command = "head -c 17000000 /dev/zero | tr '\\0' x >$LATTICE_REPORT";
    sandbox.worker("Report", json!({"command": command, "artifact_role": "review"}));
    let end = sandbox.run_to_end("Report");
    assert_eq!(end["type"], "process_completed", "{end}");
    let said = "the report is longer than 16 MiB; only its beginning is kept";
    assert_eq!(end["data"]["report_cut"], said);
    let (_, payload) = artifact(&sandbox, &end);
    assert!(payload.len() == 16 << 20 && payload.iter().all(|byte| *byte == b'x'));
    sandbox.assert_clean();
}

#[test]
fn s9_a_report_that_is_no_plain_file_is_not_followed() {
    for script in [
        "mkfifo $LATTICE_REPORT",
        "ln -s $HOME/secret $LATTICE_REPORT",
        "ln $HOME/secret $LATTICE_REPORT",
        "mkdir $LATTICE_REPORT",
    ] {
        let sandbox = Sandbox::new();
        fs::write(sandbox.base.join("home/secret"), "hunter2").unwrap();
        sandbox.worker("Report", json!({"command": format!("{script} && echo made")}));
        let run = sandbox.start("Report");
        let end = run.ended();
        assert_eq!(run.log(), "made\n", "{script}");
        assert!(end["data"].get("artifact_id").is_none_or(Value::is_null), "{script}: {end}");
        sandbox.assert_clean();
        let payloads =
            fs::read_dir(sandbox.lattice_dir().join("artifacts/payload")).unwrap().count();
        assert_eq!(payloads, 0, "{script}");
    }
}

#[test]
fn secrets_are_masked_where_they_would_be_committed() {
    let sandbox = Sandbox::new();
    sandbox.worker("Leak", json!({"command": "echo the token is $MY_API_TOKEN; exit 1"}));
    let call = sandbox.lattice(["worker", "run", "Leak", "LAT-1", "--json"]);
    let finished = call.env("MY_API_TOKEN", "hunter2hunter2").run().ok();
    let end = sandbox.run_of(&finished.data()).ended();
    assert!(!end.to_string().contains("hunter2hunter2"), "{end}");
    assert!(end["data"]["log_tail"].to_string().contains("the token is"), "{end}");
}

#[test]
fn a_worker_that_wrecks_its_surroundings_still_has_one_end() {
    for script in [
        "rm -rf \"$LATTICE_WORKTREE\"",
        "rm -rf \"$(git rev-parse --absolute-git-dir)\"",
        "rm -rf \"$LATTICE_DIR/runs/$LATTICE_STARTED_EVENT_ID\"",
        "chmod -R 000 \"$LATTICE_WORKTREE\"",
        "mkdir -p d/e && chmod 555 d/e d",
        "rm -rf \"$LATTICE_DIR/worktrees\"",
    ] {
        let sandbox = Sandbox::new();
        sandbox
            .worker("Wreck", json!({"command": script, "worktree": true, "on_changes": "discard"}));
        let run = sandbox.start("Wreck");
        let end = run.ended();
        assert_eq!(end["data"]["reason"], "exited", "{script}: {end}");
        sandbox.assert_clean();
        assert_eq!(sandbox.assert_runs_ended(), 1, "{script}");
    }
}

#[test]
fn history_that_git_takes_away_comes_back() {
    let sandbox = Sandbox::new();
    sandbox.fake_worker("Work", &["connect=main", "wait"]);
    let run = sandbox.start("Work");
    let main = sandbox.socket.peer("main");
    // The log of the last commit, without the start that is not committed yet.
    sandbox.git(["checkout", "-q", "--", ".lattice"]);
    assert!(sandbox.runs_of(&sandbox.task).is_empty());
    main.tell("exit 0");
    let end = run.ended();
    assert_eq!(end["type"], "process_completed");
    assert_eq!(sandbox.assert_runs_ended(), 1);
    sandbox.assert_clean();
}
