//! Attack S23: secrets of the environment, in the output and in copied files reach nothing that is committed.

use fs_err as fs;
use serde_json::{Value, json};

use crate::harness::sandbox::Sandbox;
use crate::harness::waiting::{SOON, eventually};

/// One for each way in.
const PLANTED: [&str; 4] =
    ["planted-env-4711", "planted-set-4711", "planted-copy-4711", "line-two-4711"];

/// Every file of `.lattice`.
fn files(sandbox: &Sandbox) -> Vec<(String, String)> {
    let listed = sandbox.sh("find .lattice -type f").stdout;
    let read = |name: &str| {
        let bytes = fs::read(sandbox.project.join(name)).unwrap();
        (name.to_owned(), String::from_utf8_lossy(&bytes).into_owned())
    };
    listed.lines().map(read).collect()
}

#[track_caller]
fn assert_absent(planted: &[&str], place: &str, text: &str) {
    let found = planted.iter().find(|secret| text.contains(**secret));
    assert!(found.is_none(), "{found:?} in {place}: {text}");
}

#[test]
fn s23_planted_secrets_are_nowhere() {
    let sandbox = Sandbox::new();
    sandbox.write(".env", "TOKEN=planted-copy-4711\n");
    fs::create_dir_all(sandbox.project.join("conf/deep")).unwrap();
    sandbox.write("conf/deep/key", "planted-copy-4711\n");
    sandbox.write("conf/public", "nothing\n");
    let script = "env | grep -v ^LATTICE_; echo \"the key is $DEPLOY_KEY\"; cat .env; echo changed > conf/public; \
                  echo done > work; exit 3";
    sandbox.worker(
        "Leak",
        json!({
            "command": script, "worktree": true, "copy": [".env", "conf"],
            "env": {"set": {"OWN_PASSWORD": "planted-set-4711"}},
        }),
    );
    let call = sandbox.lattice(["worker", "run", "Leak", "LAT-1", "--json"]);
    let call = call.env("SERVICE_TOKEN", "planted-env-4711");
    let answer = call.env("DEPLOY_KEY", "-----BEGIN-----\nline-two-4711\n-----END-----").run().ok();
    let run = sandbox.run_of(&answer.data());
    let end = run.ended();
    sandbox.record_is_there(&run.id);
    // Its worktree too, also where it stays in a pool.
    eventually("the end is over", SOON, || match sandbox.traces() {
        left if left.is_empty() => Ok(()),
        left => Err(format!("{left:?}")),
    });
    assert_eq!(end["data"]["exit_code"], 3, "{end}");
    let tail = end["data"]["log_tail"].as_str().unwrap();
    assert!(tail.contains("<DEPLOY_KEY>"), "the tail is there, and masked: {tail}");
    // What a definition sets is in the definition, which is committed, and so may be in the spec.
    let by_environment = [PLANTED[0], PLANTED[2], PLANTED[3]];
    for (name, text) in files(&sandbox) {
        assert_absent(&by_environment, &name, &text);
    }
    assert_absent(&PLANTED, "the event", &end.to_string());
    assert_absent(&PLANTED, "the log", &run.log());
    // Copies that the worker left alone are not in the ref; what it made is.
    let name = end["data"]["preserved_ref"].as_str().unwrap();
    let tree = sandbox.git(["ls-tree", "-r", "--name-only", name]);
    assert!(tree.contains("\nwork") && tree.contains("conf/public"), "{tree}");
    assert!(!tree.contains(".env") && !tree.contains("conf/deep"), "{tree}");
    let content = sandbox.program(["git", "grep", "-F", "planted", name]).run();
    let found: Vec<&str> =
        content.stdout.lines().filter(|line| !line.contains(":workers/")).collect();
    assert!(found.is_empty(), "{found:?}");
    for command in [
        &["worker", "show"][..],
        &["worker", "logs"],
        &["worker", "wait"],
        &["worker", "apply"],
        &["worker", "diff"],
    ] {
        let call =
            command.iter().fold(sandbox.lattice(Vec::<&str>::new()), |call, word| call.arg(*word));
        let said = call.arg(&run.id).run();
        assert_absent(
            &by_environment,
            &command.join(" "),
            &format!("{}{}", said.stdout, said.stderr),
        );
    }
    for command in [
        &["show", "LAT-1", "--json"][..],
        &["worker", "ps", "--all", "--json"],
        &["list", "--json"],
    ] {
        let said = sandbox.lattice(command).run().ok();
        assert_absent(&by_environment, &command.join(" "), &said.stdout);
    }
}

/// What git ignores is not saved and not missed; what it does not is kept where it is instead of in a ref.
#[test]
fn s23_a_changed_copy_with_secrets_comes_into_no_ref() {
    for ignored in [true, false] {
        let sandbox = Sandbox::new();
        sandbox.write(".env", "TOKEN=planted-copy-4711\n");
        sandbox.write(".gitignore", if ignored { ".env\n" } else { "" });
        sandbox.git(["add", ".gitignore"]);
        let script = "echo MORE=x >> .env; echo done > work; git add work";
        sandbox.worker("Leak", json!({"command": script, "worktree": true, "copy": [".env"]}));
        let run = sandbox.start("Leak");
        let end = run.ended();
        sandbox.record_is_there(&run.id);
        let name = end["data"]["preserved_ref"].as_str().unwrap();
        let tree = sandbox.git(["ls-tree", "-r", "--name-only", name]);
        assert!(tree.contains("\nwork\n") && !tree.contains(".env"), "{tree}");
        let why = ".env was copied, has changes, and holds secrets, so that it is not saved in git";
        let kept = &end["data"]["kept_because"];
        assert_eq!(*kept, if ignored { Value::Null } else { json!(why) }, "{end}");
        if !ignored {
            let path = std::path::Path::new(end["data"]["kept_worktree"].as_str().unwrap());
            assert!(fs::read_to_string(path.join(".env")).unwrap().ends_with("MORE=x\n"));
        }
    }
}

/// Whoever ends the run for the dead does not know what was secret, so it quotes nothing.
#[test]
fn s23_a_reaper_quotes_no_output() {
    let sandbox = Sandbox::new();
    let line = sandbox.fake_line(&["connect=main", "wait"]);
    sandbox.worker("Leak", json!({"command": format!("echo $SERVICE_TOKEN; {line}")}));
    let call = sandbox.lattice(["worker", "run", "Leak", "LAT-1", "--json"]);
    let answer = call.env("SERVICE_TOKEN", PLANTED[0]).run().ok().data();
    let run = sandbox.run_of(&answer);
    let main = sandbox.socket.peer("main");
    run.lose_supervisors(&main);
    sandbox.lattice(["worker", "reap"]).run().ok();
    let end = run.ended();
    assert_eq!(end["data"]["reason"], "supervisor_lost");
    assert!(end["data"].get("log_tail").is_none_or(Value::is_null), "{end}");
    sandbox.assert_clean();
}

impl Sandbox {
    #[track_caller]
    fn record_is_there(&self, run: &str) {
        let directory = self.lattice_dir().join("runs").join(run);
        crate::harness::waiting::eventually(
            "the end of the run",
            crate::harness::waiting::SOON,
            || {
                if directory.exists() { Err(directory.display().to_string()) } else { Ok(()) }
            },
        );
    }
}
