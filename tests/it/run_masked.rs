//! Attack S23 in every file of a run: what the engine prints and reports is hidden while it is written, however it
//! comes, and whoever writes it.

use std::path::Path;

use fs_err as fs;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::run::Run;
use crate::harness::sandbox::Sandbox;
use crate::harness::waiting::{SOON, eventually};

const SECRET: &str = "tulip-4711-planted";
/// `<API_TOKEN>`, and stars for the rest of it.
const HIDDEN: &str = "<API_TOKEN>*******";

#[track_caller]
fn start<'a>(sandbox: &'a Sandbox, worker: &str) -> Run<'a> {
    let call = sandbox.lattice(["worker", "run", worker, "LAT-1", "--json"]);
    sandbox.run_of(&call.env("API_TOKEN", SECRET).run().ok().data())
}

/// A step that prints exactly this.
fn printing(sandbox: &Sandbox, name: &str, text: &str) -> String {
    let path = sandbox.base.join(name);
    fs::write(&path, text).unwrap();
    format!("cat={}", path.display())
}

/// Every file of `.lattice`, of runs too, but not what a worker has in its worktree.
#[track_caller]
fn assert_nowhere(sandbox: &Sandbox, parts: &[&str]) {
    let listed =
        sandbox.sh("find .lattice -path .lattice/worktrees -prune -o -type f -print").stdout;
    assert!(listed.contains("events/"), "{listed}");
    for name in listed.lines() {
        // It may have been a temporary file.
        let Ok(bytes) = fs::read(sandbox.project.join(name)) else { continue };
        let text = String::from_utf8_lossy(&bytes);
        let found = parts.iter().find(|part| text.contains(**part));
        assert!(found.is_none(), "{found:?} in {name}");
    }
}

#[track_caller]
fn assert_not_in_git(sandbox: &Sandbox, part: &str) {
    let script = "git for-each-ref --format='%(refname)' refs/lattice | xargs -r git log -p";
    let found = sandbox.sh(script).stdout;
    assert!(!found.contains(part), "{found}");
}

/// A file of the project that is not committed, and that git is not to speak of.
fn ignored(sandbox: &Sandbox, name: &str, text: &str) {
    sandbox.write(name, text);
    sandbox.write(".gitignore", "/.env\n/linked\n/selected.env\n");
    sandbox.commit("Ignore");
}

#[track_caller]
fn await_log(run: &Run<'_>, wanted: &str) {
    eventually("the log is as far as it can be", SOON, || {
        let log = run.log();
        if log == wanted { Ok(()) } else { Err(log) }
    });
}

#[test]
fn s23_a_secret_that_comes_in_pieces_is_never_on_disk() {
    let sandbox = Sandbox::new();
    let steps = [
        "connect=main".to_owned(),
        printing(&sandbox, "1", "before tul"),
        "wait".to_owned(),
        printing(&sandbox, "2", "ip-4711-pl"),
        "wait".to_owned(),
        printing(&sandbox, "3", "anted after\ntulip-"),
        "wait".to_owned(),
        printing(&sandbox, "4", "s and tulip-4711-p"),
    ];
    let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
    sandbox.fake_worker("Leak", &steps);
    let run = start(&sandbox, "Leak");
    let main = sandbox.socket.peer("main");
    let after = format!("before {HIDDEN} after\n");
    for (log, parts) in
        [("before ", &["tul", SECRET][..]), ("before ", &["4711"]), (&after, &["4711"])]
    {
        await_log(&run, log);
        let own = parts.iter().filter(|part| **part != "tul").copied().collect::<Vec<_>>();
        assert_nowhere(&sandbox, &own);
        main.tell("go");
    }
    let end = run.ended();
    // What was cut by the end of the engine is as secret as the rest of it.
    let whole = format!("{after}tulip-s and ************");
    assert_eq!((run.log(), &end["data"]["log_bytes"]), (whole.clone(), &json!(whole.len())));
    sandbox.assert_clean();
    assert_nowhere(&sandbox, &["4711"]);
}

/// A shim is killed that has the beginning of a secret, and the rest of it is in the pipe.
#[test]
fn s23_the_warden_goes_on_in_the_middle_of_a_secret() {
    let sandbox = Sandbox::new();
    let steps = [
        "connect=main".to_owned(),
        printing(&sandbox, "1", "before tulip-4711"),
        "wait".to_owned(),
        printing(&sandbox, "2", "-planted after tulip-4711-planted\n"),
        "connect=printed".to_owned(),
        "wait".to_owned(),
    ];
    let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
    sandbox.fake_worker("Leak", &steps);
    let run = start(&sandbox, "Leak");
    let main = sandbox.socket.peer("main");
    await_log(&run, "before ");
    let (shim, _) = run.supervisors(&main);
    shim.signal(Signal::STOP);
    main.tell("go");
    sandbox.socket.peer("printed");
    shim.kill();
    let end = run.ended();
    assert_eq!(end["data"]["ended_by"], "warden");
    assert_eq!(
        run.log(),
        format!("before ******** after {HIDDEN}\n"),
        "what the shim had read is gone"
    );
    sandbox.assert_clean();
    assert_nowhere(&sandbox, &["planted", "4711"]);
}

#[test]
fn s23_a_log_that_is_cut_in_the_middle_shows_no_part_of_a_secret() {
    let sandbox = Sandbox::new();
    let script = "yes \"a secret: $API_TOKEN.\" | head -n 100000; exit 3";
    sandbox.worker("Loud", json!({"command": script, "limits": {"log_bytes": 65536}}));
    let run = start(&sandbox, "Loud");
    let end = run.ended();
    assert_eq!(end["data"]["log_truncated"], true, "{end}");
    let log = run.log();
    assert!(log.ends_with(&format!("a secret: {HIDDEN}.\n")), "{}", &log[log.len() - 100..]);
    assert!(end["data"]["log_tail"].as_str().unwrap().contains("<API_TOKEN>"), "{end}");
    sandbox.assert_clean();
    assert_nowhere(&sandbox, &["4711", "tulip", "planted"]);
}

/// Names of many patterns, files of both kinds, values of many lines, and what JSON makes of them.
#[test]
fn s23_every_source_and_every_form() {
    let sandbox = Sandbox::new();
    ignored(
        &sandbox,
        ".env",
        "# x\nexport DB_PASSWORD='copied-quoted-1'\nCERT_KEY=\"copied-one\ncopied-two\"\nPORT=copied-port\n",
    );
    ignored(&sandbox, "linked/.env.local", "LINKED_TOKEN=linked-value-2\n");
    ignored(&sandbox, "linked/other", "OTHER_TOKEN=other-value-3\n");
    ignored(&sandbox, "selected.env", "SELECTED_TOKEN=selected-value-4\n");
    sandbox.write(".worktreeinclude", "/selected.env\n");
    sandbox.commit("Select");
    let script = r#"cat .env linked/.env.local selected.env; env; printf '%s' "$JSON_SECRET" | od -c >/dev/null
        echo '{"a":"se\"cret\u00fc\\x","b":"se\"cretü\\x"}'; echo "$MANY_KEY" >&2; exit 3"#;
    let definition =
        json!({"command": script, "worktree": true, "copy": [".env"], "link": ["linked"]});
    sandbox.worker("Leak", definition);
    let call = sandbox.lattice(["worker", "run", "Leak", "LAT-1", "--json"]);
    let given = [
        ("aws_secret_access_id", "planted-lower-5"),
        ("SENTRY_DSN", "planted-dsn-6"),
        ("MANY_KEY", "planted-line-7\n  planted-line-8\n"),
        ("JSON_SECRET", "se\"cretü\\x"),
        ("PLAIN", "not-secret-9"),
    ];
    let call = given.iter().fold(call, |call, (name, value)| call.env(name, *value));
    let run = sandbox.run_of(&call.run().ok().data());
    let end = run.ended();
    sandbox.assert_clean();
    let hidden = [
        "copied-quoted",
        "copied-one",
        "copied-two",
        "linked-value",
        "selected-value",
        "planted-",
        r#"se\"cret"#,
    ];
    assert_nowhere(&sandbox, &hidden);
    assert_not_in_git(&sandbox, "copied-");
    assert!(
        run.log().contains("not-secret-9") && run.log().contains("PORT=copied-port"),
        "{}",
        run.log()
    );
    let shown = sandbox.lattice(["worker", "logs", &run.id]).run().ok().stdout;
    assert!(!hidden.iter().any(|part| shown.contains(part) || end.to_string().contains(part)));
}

/// What the worker writes itself is hidden before it becomes anything that stays.
#[test]
fn s23_a_report_is_attached_without_its_secrets() {
    let sandbox = Sandbox::new();
    let script = "printf 'It is %s, ok? \\377\\n' $API_TOKEN > $LATTICE_REPORT";
    let keys = json!({"command": script, "worktree": true, "artifact_role": "review", "report_dir": "reviews"});
    sandbox.worker("Report", keys);
    let end = start(&sandbox, "Report").ended();
    assert_eq!(end["type"], "process_completed", "{end}");
    let expected = format!("It is {HIDDEN}, ok? ").into_bytes();
    let id = end["data"]["artifact_id"].as_str().unwrap();
    let payload = sandbox.lattice_dir().join(format!("artifacts/payload/{id}.md"));
    let copy = sandbox.project.join(end["data"]["report_path"].as_str().unwrap());
    for path in [payload, copy] {
        let bytes = fs::read(&path).unwrap();
        assert_eq!(bytes[..expected.len()], expected, "{}", path.display());
        assert_eq!(bytes[expected.len()..], *b"\xff\n");
    }
    eventually("the directory is gone", SOON, || {
        if sandbox.traces().is_empty() { Ok(()) } else { Err(String::new()) }
    });
    assert_nowhere(&sandbox, &["4711"]);
}

/// The prompt, the records and the last message of an agent, whose records can be read in spite of it.
#[test]
fn s23_what_an_agent_is_asked_and_says_is_hidden_and_understood() {
    let sandbox = Sandbox::new();
    let said = format!("The token is {SECRET}, the key is a\"b\\c-planted, the number 471147.");
    let record = json!({"type": "result", "subtype": "success", "is_error": false, "session_id": "s-1",
                        "result": said, "num_turns": 3, "usage": {"input_tokens": 471_147}});
    let printed = printing(&sandbox, "records", &format!("{record}\n"));
    sandbox.install("claude", &["eprint=hello", &printed]);
    sandbox.prompt(&format!("Never tell {SECRET} or 471147.\n"));
    let keys = json!({
        "artifact_role": "review", "report_from": "final_message",
        "command": "tee /dev/stderr | claude", "env": {"set": {"IS_SANDBOX": "1"}},
    });
    sandbox.agent("claude", &keys);
    let call = sandbox.lattice(["worker", "run", "Agent", "LAT-1", "--json"]);
    let call =
        call.env("API_TOKEN", SECRET).env("ODD_KEY", "a\"b\\c-planted").env("PASSCODE", "471147");
    let run = sandbox.run_of(&call.run().ok().data());
    let end = run.ended();
    sandbox.assert_clean();
    let data = &end["data"];
    assert_eq!(
        (&data["usage"]["session_id"], &data["usage"]["turns"]),
        (&json!("s-1"), &json!(3)),
        "{end}"
    );
    let id = data["artifact_id"].as_str().unwrap_or_else(|| panic!("{end}"));
    let report = sandbox.lattice_dir().join(format!("artifacts/payload/{id}.md"));
    let report = fs::read_to_string(report).unwrap();
    assert!(report.starts_with(&format!("The token is {HIDDEN}, the key is ")), "{report}");
    assert!(report.ends_with(", the number 999999.\n"), "{report}");
    assert!(run.log().contains(&format!("Never tell {HIDDEN} or 999999.")), "{}", run.log());
    assert_nowhere(&sandbox, &["4711", "planted"]);
}

/// Whoever ends the run for the dead has not got its environment: what may be full of secrets is not published.
#[test]
fn s23_a_reaper_publishes_no_report_that_it_cannot_judge() {
    for secret in [true, false] {
        let sandbox = Sandbox::new();
        ignored(&sandbox, ".env", "FILE_TOKEN=copied-value-1\n");
        let wait = sandbox.fake_line(&["connect=main", "wait"]);
        let script = format!(
            "echo It is $API_TOKEN and $(cat .env) > $LATTICE_REPORT; \
             lattice worker fail --error \"$API_TOKEN $(cat .env)\"; {wait}"
        );
        let keys = json!({"command": script, "worktree": true, "copy": [".env"]});
        sandbox.worker("Report", keys);
        let run = if secret { start(&sandbox, "Report") } else { sandbox.start("Report") };
        let main = sandbox.socket.peer("main");
        let said = fs::read_to_string(run.directory().join("reported")).unwrap();
        assert!(said.contains("<FILE_TOKEN>") && !said.contains(SECRET), "{said}");
        run.lose_supervisors(&main);
        sandbox.lattice(["worker", "reap"]).run().ok();
        let end = run.ended();
        sandbox.assert_clean();
        let data = &end["data"];
        let beside = sandbox.lattice_dir().join(format!("logs/workers/{}.report", run.id));
        if secret {
            assert_eq!((data.get("artifact_id"), beside.is_file()), (None, true), "{end}");
            assert_eq!(data["report_not_attached"], "nobody knows any more what in it is secret");
            assert_eq!(mode(&beside), 0o600);
            let kept = fs::read_to_string(&beside).unwrap();
            assert!(kept.contains(SECRET) && !kept.contains("copied-value"), "{kept}");
            fs::remove_file(beside).unwrap();
            assert_nowhere(&sandbox, &[SECRET]);
        } else {
            assert!(data["artifact_id"].is_string() && !beside.exists(), "{end}");
            assert!(data.get("report_not_attached").is_none_or(Value::is_null));
        }
        assert_nowhere(&sandbox, &["copied-value"]);
    }
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}
