//! `init`: what it lays down, that it completes what is half there, and that it takes nothing over.

use std::os::unix::fs::PermissionsExt;

use fs_err as fs;
use serde_json::{Value, json};

use crate::harness::sandbox::{ACTOR, Sandbox};

fn init(sandbox: &Sandbox) -> crate::harness::call::Finished {
    sandbox.lattice(["init", "--project-code", "LAT", "--actor", ACTOR]).run()
}

fn config(sandbox: &Sandbox) -> Value {
    let text = fs::read_to_string(sandbox.lattice_dir().join("config.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn everything_that_the_python_tool_expects_is_there() {
    let sandbox = Sandbox::empty();
    init(&sandbox).ok().silent();
    let lattice = sandbox.lattice_dir();
    let directories = [
        "tasks",
        "events",
        "archive/tasks",
        "archive/events",
        "artifacts/meta",
        "artifacts/payload",
    ];
    for directory in
        directories.iter().chain(&["locks", "plans", "notes", "archive/plans", "archive/notes"])
    {
        assert!(lattice.join(directory).is_dir(), "{directory}");
    }
    assert_eq!(fs::read(lattice.join("events/_lifecycle.jsonl")).unwrap(), b"");
    let config = config(&sandbox);
    assert_eq!(config["schema_version"], 1);
    assert_eq!(sandbox.normal(config["instance_id"].as_str().unwrap()), "<inst1>");
    assert_eq!(config["default_actor"], ACTOR);
    assert_eq!(config["default_status"], "backlog");
    assert_eq!(config["default_priority"], "medium");
    assert_eq!(config["project_code"], "LAT");
    assert_eq!(config["task_types"], json!(["task", "bug", "spike", "chore"]));
    assert_eq!(config["workflow"]["universal_targets"], json!(["needs_human", "cancelled"]));
    assert_eq!(config["workflow"]["transitions"]["done"], json!([]));
    assert_eq!(config["workflow"]["wip_limits"], json!({"in_progress": 10, "review": 5}));
    let mode = |name: &str| fs::metadata(lattice.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("config.json"), mode("ids.json")), (0o600, 0o600));
}

#[test]
fn git_ignores_what_is_not_history_and_unites_logs() {
    let sandbox = Sandbox::new();
    for ignored in ["locks/x.lock", "logs/workers/x.log", "runs/x/lock", "worktrees/x/f"] {
        sandbox.git(["check-ignore", &format!(".lattice/{ignored}")]);
    }
    let log = format!(".lattice/events/{}.jsonl", sandbox.task);
    let merge = sandbox.git(["check-attr", "merge", &log]);
    assert!(merge.ends_with("merge: union"), "{merge}");
    let tracked = sandbox.git(["ls-files", ".lattice"]);
    assert!(tracked.contains(&log), "{tracked}");
}

#[test]
fn a_second_init_changes_nothing() {
    let sandbox = Sandbox::without_git();
    let before = sandbox.tree();
    let again = init(&sandbox).ok().silent();
    assert!(again.stdout.contains("already initialized"), "{again}");
    sandbox.assert_unchanged(&before);
}

#[test]
fn a_half_finished_directory_is_completed() {
    let sandbox = Sandbox::empty();
    fs::create_dir_all(sandbox.lattice_dir().join("events")).unwrap();
    init(&sandbox).ok();
    assert_eq!(config(&sandbox)["project_code"], "LAT");
    sandbox.create("Works");
}

#[test]
fn a_file_in_the_way_is_refused_and_left_alone() {
    let sandbox = Sandbox::empty();
    sandbox.write(".lattice", "mine");
    let before = sandbox.tree();
    let refused = init(&sandbox).exits(1).stdout("");
    assert!(refused.stderr.starts_with("Error: "), "{refused}");
    sandbox.assert_unchanged(&before);
}

#[test]
fn bad_values_are_refused_before_anything_is_made() {
    for (option, value) in
        [("--project-code", "TOOLONG"), ("--project-code", "A1"), ("--actor", "ana")]
    {
        let sandbox = Sandbox::empty();
        let refused = sandbox.lattice(["init", option, value]).run().exits(1);
        assert!(refused.stderr.starts_with("Error: "), "{refused}");
        assert!(!sandbox.lattice_dir().exists(), "{option} {value}");
    }
}

#[test]
fn a_project_without_a_code_has_no_short_ids() {
    let sandbox = Sandbox::empty();
    sandbox.lattice(["init", "--actor", ACTOR]).input("").run().ok();
    let created = sandbox.lattice(["create", "Plain", "--actor", ACTOR]).run().ok();
    created.stdout(
        "Created task <task1> \"Plain\"\n  status: backlog  priority: medium  type: task\n",
    );
    assert!(!sandbox.lattice_dir().join("ids.json").exists());
}

/// `lattice init` at a terminal, with these lines typed.
fn at_a_terminal(sandbox: &Sandbox, options: &str, typed: &str) -> crate::harness::call::Finished {
    let command = format!("lattice init {options}");
    sandbox
        .program(["script", "-qec", &command, "/dev/null"])
        .env("NO_COLOR", "1")
        .input(typed)
        .run()
}

#[test]
fn at_a_terminal_it_asks_for_what_is_missing() {
    let sandbox = Sandbox::empty();
    let answered = at_a_terminal(&sandbox, "", "bot:ana\nana\n1\nqx\n").ok();
    assert!(answered.stdout.contains("is not an actor") && answered.stdout.contains("QX"));
    assert_eq!(config(&sandbox)["default_actor"], "human:ana");
    assert_eq!(config(&sandbox)["project_code"], "QX");
    assert!(at_a_terminal(&sandbox, "", "").ok().stdout.contains("already initialized"));

    let sandbox = Sandbox::empty();
    let answered = at_a_terminal(&sandbox, "--actor agent:a", "\n").ok();
    assert!(!answered.stdout.contains("Who are you"), "{answered}");
    assert_eq!(config(&sandbox).get("project_code"), None);

    let sandbox = Sandbox::empty();
    at_a_terminal(&sandbox, "--actor agent:a --project-code LAT", "").ok();
}

#[test]
fn the_end_of_the_input_aborts_and_nothing_is_made() {
    for typed in ["", "ana\n"] {
        let sandbox = Sandbox::empty();
        // 4 is what a terminal takes for the end of the input.
        let aborted = at_a_terminal(&sandbox, "", &format!("{typed}\u{4}")).exits(1);
        assert!(aborted.stdout.contains("Error: aborted"), "{aborted}");
        assert!(!sandbox.lattice_dir().exists());
    }
    // Bad options are told before anything is asked.
    let sandbox = Sandbox::empty();
    let refused = at_a_terminal(&sandbox, "--project-code A1", "").exits(1);
    assert!(!refused.stdout.contains("Who are you"), "{refused}");
}

#[test]
fn options_for_the_heartbeat_and_examples() {
    let sandbox = Sandbox::empty();
    let options = ["init", "--project-code", "LAT", "--heartbeat", "--seed"];
    let made = sandbox.lattice(options).run().ok().silent();
    assert!(made.stdout.contains("\nHeartbeat: enabled"), "{made}");
    assert_eq!(config(&sandbox)["heartbeat"], json!({"enabled": true, "max_advances": 10}));
    let listed = sandbox.lattice(["list", "--json"]).run().ok().data();
    let listed = listed.as_array().unwrap();
    let mut statuses: Vec<_> =
        listed.iter().map(|task| (task["short_id"].as_str(), task["status"].as_str())).collect();
    statuses.sort_unstable();
    let statuses: Vec<_> = statuses.into_iter().filter_map(|(_, status)| status).collect();
    assert_eq!(statuses, ["backlog", "done", "in_progress", "backlog"]);
    assert_eq!(listed[0]["created_by"], "system:init");
    let sandbox = Sandbox::empty();
    let options = [
        "init",
        "--heartbeat",
        "--no-heartbeat",
        "--seed",
        "--no-seed",
        "--no-setup-claude",
        "--no-setup-agents",
    ];
    sandbox.lattice(options).run().ok();
    assert_eq!(config(&sandbox).get("heartbeat"), None);
    assert_eq!(sandbox.lattice(["list"]).run().ok().stdout, "");
}
