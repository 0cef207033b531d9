//! `create`, `show`, `list`, `comment`, `attach`: exact output in the three forms, exact bytes on disk.

use fs_err as fs;
use serde_json::{Value, json};

use crate::harness::sandbox::{ACTOR, Sandbox};

fn task_log(sandbox: &Sandbox) -> String {
    let path = sandbox.lattice_dir().join(format!("events/{}.jsonl", sandbox.task));
    sandbox.normal(&fs::read_to_string(path).unwrap())
}

fn snapshot(sandbox: &Sandbox) -> String {
    fs::read_to_string(sandbox.lattice_dir().join(format!("tasks/{}.json", sandbox.task))).unwrap()
}

#[test]
fn create_writes_one_line_and_its_snapshot() {
    let sandbox = Sandbox::without_git();
    assert_eq!(
        task_log(&sandbox),
        "{\"actor\":\"human:ana\",\"data\":{\"priority\":\"medium\",\"short_id\":\"LAT-1\",\"status\":\"backlog\",\
         \"title\":\"First task\",\"type\":\"task\"},\"id\":\"<ev1>\",\"schema_version\":1,\"task_id\":\"<task1>\",\
         \"ts\":\"<time>\",\"type\":\"task_created\"}\n"
    );
    let lifecycle =
        fs::read_to_string(sandbox.lattice_dir().join("events/_lifecycle.jsonl")).unwrap();
    assert_eq!(sandbox.normal(&lifecycle), task_log(&sandbox));
    let expected = json!({
        "assigned_to": null, "branch_links": [], "comment_count": 0, "complexity": null, "created_at": "<time>",
        "created_by": "human:ana", "custom_fields": {}, "description": null, "done_at": null, "evidence_refs": [],
        "id": "<task1>", "last_event_id": "<ev1>", "last_status_changed_at": "<time>", "priority": "medium",
        "relationships_out": [], "reopened_count": 0, "schema_version": 1, "short_id": "LAT-1", "status": "backlog",
        "tags": null, "title": "First task", "type": "task", "updated_at": "<time>", "urgency": null,
    });
    let pretty = format!("{}\n", serde_json::to_string_pretty(&expected).unwrap());
    assert_eq!(sandbox.normal(&snapshot(&sandbox)), pretty);
    let plan = fs::read_to_string(sandbox.lattice_dir().join(format!("plans/{}.md", sandbox.task)))
        .unwrap();
    assert_eq!(plan, "# LAT-1: First task\n");
}

#[test]
fn create_answers_in_three_forms() {
    let sandbox = Sandbox::without_git();
    let create = |extra: &[&str]| {
        let call = sandbox.lattice([
            "create",
            "Next \"one\"",
            "--type",
            "bug",
            "--priority",
            "high",
            "--actor",
            ACTOR,
        ]);
        extra.iter().fold(call, |call, option| call.arg(option)).run().ok().silent()
    };
    create(&[]).stdout(
        "Created task LAT-2 (<task1>) \"Next \"one\"\"\n  status: backlog  priority: high  type: bug\n",
    );
    create(&["--quiet"]).stdout("LAT-3\n");
    let data = create(&["--json"]).data();
    assert_eq!(
        (&data["short_id"], &data["type"], &data["priority"]),
        (&json!("LAT-4"), &json!("bug"), &json!("high"))
    );
    // `--json` wins.
    assert_eq!(create(&["--quiet", "--json"]).data()["short_id"], "LAT-5");
    let ids = fs::read_to_string(sandbox.lattice_dir().join("ids.json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&ids).unwrap()["next_seqs"], json!({"LAT": 6}));
}

#[test]
fn text_is_ascii_on_disk_and_itself_on_the_screen() {
    let sandbox = Sandbox::without_git();
    let title = "Zoë \u{1F980} \u{2028} \u{7f}";
    let id = sandbox.create(title);
    let line = fs::read(sandbox.lattice_dir().join(format!("events/{id}.jsonl"))).unwrap();
    assert!(line.is_ascii());
    let text = String::from_utf8(line).unwrap();
    assert!(text.contains(r#""title":"Zo\u00eb \ud83e\udd80 \u2028 \u007f""#), "{text}");
    let shown = sandbox.lattice(["show", &id, "--json"]).run().ok();
    assert!(shown.stdout.is_ascii());
    assert_eq!(shown.data()["title"], title);
}

#[test]
fn show_tells_the_task_and_its_events() {
    let sandbox = Sandbox::without_git();
    sandbox.lattice(["comment", "LAT-1", "Hello", "--actor", "agent:bot"]).run().ok();
    let shown = sandbox.lattice(["show", "lat-1"]).run().ok().silent();
    let text = shown.normal(&shown.stdout);
    assert!(
        text.starts_with(
            "LAT-1 (<task1>)  \"First task\"\nStatus: backlog  Priority: medium  Type: task\n"
        ),
        "{text}"
    );
    assert!(text.contains("Created by: human:ana"), "{text}");
    assert!(text.contains("Events (latest first):\n  <time>  comment_added"), "{text}");
    let (comment, created) =
        (text.find("comment_added").unwrap(), text.find("task_created").unwrap());
    assert!(comment < created, "{text}");
    let data = sandbox.lattice(["show", &sandbox.task, "--json"]).run().ok().silent().data();
    let types: Vec<_> =
        data["events"].as_array().unwrap().iter().map(|event| &event["type"]).collect();
    assert_eq!(types, ["task_created", "comment_added"]);
    assert_eq!((&data["comment_count"], &data["short_id"]), (&json!(1), &json!("LAT-1")));
}

#[test]
fn list_has_one_line_for_each_task() {
    let sandbox = Sandbox::without_git();
    sandbox.create("Second");
    let lines = "LAT-1  backlog  medium  task  \"First task\"  unassigned\n\
                 LAT-2  backlog  medium  task  \"Second\"  unassigned\n";
    sandbox.lattice(["list"]).run().ok().silent().stdout(lines);
    sandbox.lattice(["list", "--quiet"]).run().ok().silent().stdout("LAT-1\nLAT-2\n");
    let data = sandbox.lattice(["list", "--json"]).run().ok().silent().data();
    let titles: Vec<_> = data.as_array().unwrap().iter().map(|task| &task["title"]).collect();
    assert_eq!(titles, ["First task", "Second"]);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let sandbox = Sandbox::without_git();
    let script = "lattice show LAT-1 | true; echo ${PIPESTATUS[0]}";
    sandbox.sh(script).silent().stdout("0\n");
}

#[test]
fn comment_is_stripped_counted_and_signed() {
    let sandbox = Sandbox::without_git();
    let comment = |extra: &[&str]| {
        let call = sandbox.lattice(["comment", "LAT-1", "  Looks good \n", "--actor", "agent:bot"]);
        extra.iter().fold(call, |call, option| call.arg(option)).run().ok().silent()
    };
    comment(&[]).stdout("Comment added to <task1>\n");
    comment(&["--quiet"]).stdout("ok\n");
    let data = comment(&["--json", "--role", "review"]).data();
    assert_eq!(data["comment_count"], 3);
    assert_eq!(data["evidence_refs"][0]["role"], "review");
    let last = sandbox.events().pop().unwrap();
    assert_eq!(last["data"], json!({"body": "Looks good", "role": "review"}));
    assert_eq!(last["actor"], "agent:bot");
    assert_eq!(serde_json::from_str::<Value>(&snapshot(&sandbox)).unwrap(), data);
}

#[test]
fn attach_copies_files_keeps_texts_and_notes_addresses() {
    let sandbox = Sandbox::without_git();
    sandbox.write("crash.log", "boom\n");
    let attach = |arguments: &[&str]| {
        let call = sandbox.lattice(["attach", "LAT-1", "--actor", ACTOR]);
        arguments.iter().fold(call, |call, argument| call.arg(argument)).run().ok().silent()
    };
    attach(&["crash.log"]).stdout(
        "Attached artifact <artifact1> \"crash.log\" to task <task1>\n  type: file  sensitive: False\n",
    );
    let file = attach(&["crash.log", "--title", "The crash", "--json"]).data();
    let payload = sandbox
        .lattice_dir()
        .join("artifacts/payload")
        .join(file["payload"]["file"].as_str().unwrap());
    assert_eq!(fs::read(payload).unwrap(), b"boom\n");
    assert_eq!((&file["title"], &file["payload"]["size_bytes"]), (&json!("The crash"), &json!(5)));
    let id = file["id"].as_str().unwrap();
    let meta = fs::read_to_string(sandbox.lattice_dir().join(format!("artifacts/meta/{id}.json")))
        .unwrap();
    assert_eq!(serde_json::from_str::<Value>(&meta).unwrap(), file);
    let text = attach(&["--inline", "A note", "--role", "review", "--json"]).data();
    assert_eq!((&text["type"], &text["title"]), (&json!("note"), &json!("Inline: review")));
    assert_eq!(text["payload"]["content_type"], "text/markdown");
    let address = attach(&["https://example.org/x", "--json"]).data();
    assert_eq!(address["custom_fields"]["url"], "https://example.org/x");
    assert_eq!(address["payload"], json!({"content_type": null, "file": null, "size_bytes": null}));
    let refs = serde_json::from_str::<Value>(&snapshot(&sandbox)).unwrap()["evidence_refs"].clone();
    assert_eq!(refs.as_array().unwrap().len(), 4);
}

#[test]
fn the_same_artifact_id_again_changes_nothing() {
    let sandbox = Sandbox::without_git();
    let id = "art_01JABCDEFGHJKMNPQRSTVWXYZ0";
    let attach = |text: &str| {
        sandbox.lattice(["attach", "LAT-1", "--inline", text, "--id", id, "--actor", ACTOR]).run()
    };
    attach("A note").ok();
    let before = sandbox.tree();
    attach("A note").ok();
    sandbox.assert_unchanged(&before);
}
