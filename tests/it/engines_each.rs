//! What every engine must stand, the same for each: how it is called, its output in every shape, its ways not to end.

use std::fmt::Write;

use fs_err as fs;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::engines::{PROMPT, stream};
use crate::harness::known::{busy_record, expected_argv, failures, last_words};
use crate::harness::process::stat_field;
use crate::harness::sandbox::Sandbox;
use crate::harness::waiting::{SOON, eventually};

macro_rules! of_each_engine {
    ($($case:ident)*) => {
        of_each_engine!(@ claude { $($case)* } codex { $($case)* } gemini { $($case)* } opencode { $($case)* });
    };
    (@ $($engine:ident { $($case:ident)* })*) => {
        $(mod $engine {
            $(#[test]
            fn $case() {
                super::$case(stringify!($engine));
            })*
        })*
    };
}

of_each_engine! {
    is_called_as_it_wants_to_be
    reads_prompts_of_any_size_and_beginning
    fails_with_a_class
    does_not_know_a_flag
    exits_0_and_was_denied_its_tools
    leaves_tools_behind_that_are_in_sessions_of_their_own
    hangs_on_after_its_result
    ignores_signals_behind_a_wrapper
    is_cut_in_the_middle_of_a_line
    prints_far_more_than_its_supervisor_has_memory
    prints_invalid_utf_8
    reports_success_and_dies
}

fn fine(engine: &str) -> String {
    format!("cat={}", stream(&format!("{engine}-fine")))
}

#[track_caller]
fn assert_completed(end: &Value) {
    assert_eq!(end["type"], "process_completed", "{end}");
    assert!(end["data"]["usage"]["output_tokens"].as_u64().unwrap() > 0, "{end}");
    assert!(end["data"]["usage"]["session_id"].is_string(), "{end}");
}

fn is_called_as_it_wants_to_be(engine: &str) {
    let sandbox = Sandbox::new();
    sandbox.install(engine, &[&fine(engine)]);
    sandbox.agent(engine, &json!({}));
    let call = sandbox.lattice(["worker", "run", "Agent", "LAT-1", "--json"]);
    let caller = [("CLAUDECODE", "1"), ("GIT_DIR", "/nowhere"), ("CLAUDE_CODE_OAUTH_TOKEN", "t")];
    let call = caller.iter().fold(call, |call, (name, value)| call.env(name, *value));
    let run = sandbox.run_of(&call.run().ok().data());
    assert_completed(&run.ended());
    let seen = sandbox.seen(engine);
    let (env, cwd) = (&seen["env"], seen["cwd"].as_str().unwrap());
    let argv = seen["argv"].as_array().unwrap();
    let session = argv.get(6).and_then(Value::as_str).unwrap_or_default();
    assert_eq!(seen["argv"], json!(expected_argv(engine, session, cwd)));
    assert!(cwd.contains("/.lattice/worktrees/"), "{cwd}");
    assert_eq!((&env["PWD"], &env["LATTICE_WORKTREE"]), (&json!(cwd), &json!(cwd)));
    assert_eq!(env["LATTICE_WORKER"], "Agent");
    assert_eq!((&env["CLAUDECODE"], &env["GIT_DIR"]), (&Value::Null, &Value::Null));
    assert_eq!(env["CLAUDE_CODE_OAUTH_TOKEN"], "t");
    let is_gemini = engine == "gemini";
    assert_eq!(env["GEMINI_CLI_NO_RELAUNCH"] == "true", is_gemini);
    assert_eq!(seen["prompt"], PROMPT.replace("{{task.short_id}}", "LAT-1"));
    let prompt = run.directory().join("work/prompt").display().to_string();
    assert_eq!((&seen["stdin"], &seen["descriptors"]), (&json!(prompt), &json!(["0", "1", "2"])));
    assert_eq!(seen["leads_its_group"], true);
    let own = stat_field(std::process::id().cast_signed(), 6).unwrap();
    assert_ne!(seen["session"].to_string(), own, "a session of its supervisors");
    sandbox.assert_clean();
}

fn reads_prompts_of_any_size_and_beginning(engine: &str) {
    let sandbox = Sandbox::new();
    sandbox.install(engine, &[&fine(engine)]);
    sandbox.agent(engine, &json!({}));
    for text in ["-p --help\n".to_owned(), format!("--\n{}", "a long prompt\n".repeat(22_000))] {
        sandbox.prompt(&text);
        assert_completed(&sandbox.run_to_end("Agent"));
        assert!(sandbox.seen(engine)["prompt"] == text.as_str(), "{} bytes", text.len());
    }
}

#[track_caller]
fn assert_failed(engine: &str, end: &Value, reason: &str, class: &str, code: u8) {
    let data = &end["data"];
    assert_eq!(end["type"], "process_failed", "{end}");
    assert_eq!((&data["reason"], &data["class"]), (&json!(reason), &json!(class)), "{end}");
    assert_eq!(data["exit_code"], code, "{end}");
    let error = data["error"].as_str().unwrap();
    assert!(error.starts_with(engine) && error.chars().count() <= 200, "{error}");
    // What happened, in its words or in ours, and what to do.
    assert!(error.contains("; "), "{error}");
}

fn fails_with_a_class(engine: &str) {
    let sandbox = Sandbox::new();
    for (name, code, class) in failures(engine) {
        let end = sandbox.agent_ends(engine, name, *code);
        assert_failed(engine, &end, "engine_error", class, *code);
    }
    for (words, code, class) in last_words(engine) {
        sandbox.install(engine, &[&format!("eprint={words}"), &format!("exit={code}")]);
        let end = sandbox.run_to_end("Agent");
        assert_failed(engine, &end, "exited", class, *code);
    }
    sandbox.assert_clean();
}

fn does_not_know_a_flag(engine: &str) {
    let sandbox = Sandbox::new();
    sandbox.install(engine, &["exit=0"]);
    sandbox.agent(engine, &json!({"args": ["--full-auto"]}));
    let end = sandbox.run_to_end("Agent");
    assert_failed(engine, &end, "exited", "bad_flags", if engine == "codex" { 2 } else { 1 });
    let error = end["data"]["error"].as_str().unwrap();
    let words = if engine == "opencode" { "it answered with its help" } else { "full-auto" };
    assert!(error.contains(words), "{error}");
}

fn exits_0_and_was_denied_its_tools(engine: &str) {
    let sandbox = Sandbox::new();
    let end = sandbox.agent_ends(engine, &format!("{engine}-denied"), 0);
    assert_failed(engine, &end, "engine_error", "permissions", 0);
    assert!(!end["data"]["denied"].as_array().unwrap().is_empty(), "{end}");
}

/// All of them give each tool a session of its own, and exit without a look at it.
fn leaves_tools_behind_that_are_in_sessions_of_their_own(engine: &str) {
    let sandbox = Sandbox::new();
    let steps = ["ignore=TERM,HUP", "spawn-setsid=tool", "spawn-double-fork=server", &fine(engine)];
    sandbox.install(engine, &[&steps[..], &["connect=main", "wait"]].concat());
    sandbox.agent(engine, &json!({"result_grace_seconds": 60, "grace_seconds": 0.2}));
    let run = sandbox.start("Agent");
    let [tool, server, main] = ["tool", "server", "main"].map(|name| sandbox.socket.peer(name));
    main.tell("exit 0");
    let end = run.ended();
    assert_completed(&end);
    assert_eq!(end["data"]["swept"], 2, "{end}");
    assert!(tool.is_dead() && server.is_dead());
    sandbox.assert_clean();
}

fn hangs_on_after_its_result(engine: &str) {
    let sandbox = Sandbox::new();
    let steps = ["ignore=TERM", "spawn-setsid=tool", "connect=main", "wait", &fine(engine), "wait"];
    sandbox.install(engine, &steps);
    sandbox.agent(
        engine,
        &json!({"result_grace_seconds": 0.2, "grace_seconds": 0.2, "timeout_minutes": 5}),
    );
    let run = sandbox.start("Agent");
    let (main, tool) = (sandbox.socket.peer("main"), sandbox.socket.peer("tool"));
    main.tell("go");
    let end = run.ended();
    assert_completed(&end);
    assert!(main.is_dead() && tool.is_dead());
    let data = &end["data"];
    assert_eq!(
        (&data["lingered"], &data["reason"], &data["exit_code"]),
        (&json!(true), &json!("exited"), &Value::Null)
    );
    sandbox.assert_clean();
}

fn ignores_signals_behind_a_wrapper(engine: &str) {
    let sandbox = Sandbox::new();
    let steps =
        ["ignore=TERM,INT,HUP", "spawn-child=real", "spawn-setsid=tool", "connect=wrapper", "wait"];
    sandbox.install(engine, &steps);
    sandbox.agent(engine, &json!({"grace_seconds": 0.2}));
    let run = sandbox.start("Agent");
    let peers = ["real", "tool", "wrapper"].map(|name| sandbox.socket.peer(name));
    sandbox.lattice(["worker", "stop", &run.id]).run().exits(0);
    let end = run.ended();
    assert!(peers.iter().all(|peer| peer.is_dead()), "{end}");
    let data = &end["data"];
    assert_eq!(
        (&data["reason"], &data["signal"], &data["swept"]),
        (&json!("stopped"), &json!(9), &json!(2))
    );
    sandbox.assert_clean();
}

/// Whatever it exits with then, half a result is none.
fn is_cut_in_the_middle_of_a_line(engine: &str) {
    let sandbox = Sandbox::new();
    let whole = fs::read(stream(&format!("{engine}-fine"))).unwrap();
    let path = sandbox.base.join("cut");
    fs::write(&path, &whole[..whole.len() - 40]).unwrap();
    let cat = format!("cat={}", path.display());
    for (last, reason, how) in [
        ("exit=0", "no_result", "exited 0"),
        ("kill-self=KILL", "signaled", "was ended by signal 9"),
    ] {
        sandbox.install(engine, &[&cat, last]);
        sandbox.agent(engine, &json!({}));
        let end = sandbox.run_to_end("Agent");
        assert_eq!(
            (&end["type"], &end["data"]["reason"]),
            (&json!("process_failed"), &json!(reason))
        );
        let error = end["data"]["error"].as_str().unwrap();
        let expected = format!("{engine} left no result record and {how}");
        assert!(error.starts_with(&expected), "{error}");
    }
}

/// Private memory of a process in kB (proc_pid_status(5)).
#[track_caller]
pub fn anonymous_kb(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a live process");
    let line =
        status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("it has RssAnon");
    line.trim().trim_end_matches(" kB").parse().expect("a number of kB")
}

/// 64 MB of records, then a result.
fn prints_far_more_than_its_supervisor_has_memory(engine: &str) {
    let sandbox = Sandbox::new();
    let mut records = String::new();
    for _ in 0..1000 {
        writeln!(records, "{}", busy_record(engine, &"x".repeat(960))).unwrap();
    }
    let path = sandbox.base.join("records");
    fs::write(&path, records).unwrap();
    let flood = format!("flood=66:{}", path.display());
    let steps = ["connect=before", "wait", &flood, &fine(engine), "connect=after", "wait"];
    sandbox.install(engine, &steps);
    sandbox.agent(engine, &json!({"result_grace_seconds": 60}));
    let run = sandbox.start("Agent");
    let before = sandbox.socket.peer("before");
    let (shim, _) = run.supervisors(&before);
    let small = anonymous_kb(shim.pid);
    before.tell("go");
    let after = sandbox.socket.peer("after");
    eventually("it has read all of it", SOON, || {
        let io = fs::read_to_string(format!("/proc/{}/io", shim.pid)).unwrap();
        let read = io.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap();
        if read.parse::<u64>().unwrap() > 64_000_000 { Ok(()) } else { Err(io) }
    });
    let grown = anonymous_kb(shim.pid);
    assert!(grown < small + 512 && grown < 2048, "from {small} kB to {grown} kB");
    after.tell("exit 0");
    let end = run.ended();
    assert_completed(&end);
    assert!(end["data"]["log_bytes"].as_u64().unwrap() > 64_000_000, "{end}");
}

/// Around its records, in them, and in its last message, which is the report.
fn prints_invalid_utf_8(engine: &str) {
    let sandbox = Sandbox::new();
    let mut bytes = b"\xff\xfe\x00 noise\n".to_vec();
    bytes.extend(garbled(busy_record(engine, "ODD").to_string().into_bytes(), b"ODD"));
    bytes.extend(b"\nprogress 10% ");
    bytes.extend(garbled(fs::read(stream(&format!("{engine}-fine"))).unwrap(), b"Nothing"));
    bytes.extend(b"\xf0\x9f\n{\"type\":\"mess");
    let path = sandbox.base.join("broken");
    fs::write(&path, bytes).unwrap();
    sandbox.install(engine, &[&format!("cat={}", path.display()), "exit=0"]);
    sandbox.agent(engine, &json!({"report_from": "final_message", "artifact_role": "review"}));
    let end = sandbox.run_to_end("Agent");
    assert_completed(&end);
    let id = end["data"]["artifact_id"].as_str().unwrap();
    let payload = sandbox.lattice_dir().join(format!("artifacts/payload/{id}.md"));
    let report = fs::read_to_string(payload).unwrap();
    assert!(report.contains('\u{fffd}'), "{report}");
}

/// The last place of a word begins with a byte that begins nothing.
fn garbled(mut bytes: Vec<u8>, word: &[u8]) -> Vec<u8> {
    let at = bytes.windows(word.len()).rposition(|window| window == word).expect("it is there");
    bytes[at] = 0xff;
    bytes
}

fn reports_success_and_dies(engine: &str) {
    let sandbox = Sandbox::new();
    sandbox.install(engine, &[&fine(engine), "connect=main", "wait"]);
    sandbox.agent(engine, &json!({"result_grace_seconds": 60}));
    for (code, how) in [(Some(3), "exited 3"), (None, "was ended by signal 9")] {
        let run = sandbox.start("Agent");
        let main = sandbox.socket.peer("main");
        match code {
            Some(code) => main.tell(&format!("exit {code}")),
            None => main.signal(Signal::KILL),
        }
        main.wait_dead(SOON);
        let end = run.ended();
        assert_eq!(end["type"], "process_failed", "{end}");
        assert_eq!(end["data"]["error"], format!("{engine} reported success, but {how}"), "{end}");
        assert!(end["data"]["usage"]["session_id"].is_string(), "both are kept: {end}");
    }
    sandbox.assert_clean();
}
