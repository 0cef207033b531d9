//! Colour and where there is none, readers that have gone, terminals without room.

use serde_json::json;

use crate::harness::sandbox::Sandbox;
use crate::harness::screen::Screen;

/// An answer on stdout, a refusal on stderr, and the parser's help: coloured all three, or none.
#[test]
fn colour_is_decided_in_one_way() {
    let sandbox = Sandbox::new();
    let cases = [
        (&[][..], false, true),
        (&[("NO_COLOR", "1")], false, false),
        (&[("NO_COLOR", "")], false, true),
        (&[("CLICOLOR_FORCE", "1")], true, true),
        (&[("CLICOLOR_FORCE", "0")], false, true),
        (&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false, false),
        (&[("CLICOLOR", "0")], false, false),
        (&[("TERM", "dumb")], false, false),
    ];
    for (environment, in_pipe, on_terminal) in cases {
        for words in [&["list"][..], &["show", "LAT-9"], &["list", "--help"]] {
            let call = || {
                let call = sandbox.lattice(words.iter().copied());
                environment.iter().fold(call, |call, (name, value)| call.env(name, *value))
            };
            let piped = call().run();
            let has_colour = (piped.stdout.clone() + &piped.stderr).contains('\u{1b}');
            assert_eq!(has_colour, in_pipe, "{environment:?} {piped}");
            // The harness's terminal is an xterm.
            if !environment.iter().any(|(name, _)| *name == "TERM") {
                let (_, shown) = Screen::start(call(), 100).finish();
                assert_eq!(shown.contains('\u{1b}'), on_terminal, "{environment:?} {shown:?}");
            }
        }
    }
    let forced = sandbox.lattice(["list", "--json"]).env("CLICOLOR_FORCE", "1").run().ok();
    assert!(!forced.stdout.contains('\u{1b}'), "{forced}");
}

#[test]
fn a_reader_that_has_gone_is_no_failure_and_a_full_disk_is_one() {
    let sandbox = Sandbox::new();
    sandbox.worker("Fix", json!({"command": "seq 100000; echo new >made.txt", "worktree": true}));
    sandbox.run_to_end("Fix");
    sandbox.assert_clean();
    for words in [
        "list",
        "list --json",
        "show LAT-1",
        "comments LAT-1",
        "--help",
        "worker run --help",
        "completions zsh",
        "worker ps --all",
        "worker list",
        "worker logs LAT-1",
        "worker logs LAT-1 -f",
        "worker diff LAT-1",
        "worker refs",
        "doctor",
    ] {
        // The other end of 3 is closed before the first byte.
        let script = format!("exec 3> >(:); wait $!; lattice {words} >&3 2>err; echo $? >status");
        sandbox.program(["bash", "-c", &script]).run().ok();
        let read = |name: &str| fs_err::read_to_string(sandbox.project.join(name)).unwrap();
        let told = if words.ends_with("-f") { "Worker Fix completed" } else { "" };
        assert_eq!(read("status"), "0\n", "{words}: {}", read("err"));
        assert!(
            read("err").is_empty() || read("err").starts_with(told),
            "{words}: {}",
            read("err")
        );
    }
    for words in ["list", "list --json", "show LAT-1"] {
        let full = sandbox.program(["bash", "-c", &format!("lattice {words} >/dev/full")]).run();
        let full = full.exits(1);
        assert!(full.stderr.contains("Error: cannot write the answer"), "{full}");
        // Nor may a refusal get lost with the stream that nobody reads.
        let script = format!("exec 3> >(:); wait $!; lattice {words} nonsense >&3 2>&3");
        sandbox.program(["bash", "-c", &script]).run();
    }
}

/// It goes to its end, with its log, also where nobody looks on any more.
#[test]
fn a_debug_run_outlives_its_reader() {
    let sandbox = Sandbox::new();
    sandbox.worker("Check", json!({"command": "seq 100000"}));
    let script = "exec 3> >(:); wait $!
        lattice-shim debug workers/check.json --task LAT-1 --record >&3 2>&3";
    sandbox.program(["bash", "-c", script]).run().ok();
    assert_eq!(sandbox.assert_runs_ended(), 1);
    let logged = sandbox.lattice(["worker", "logs", "LAT-1"]).run().ok().stdout;
    assert!(logged.ends_with("\n100000\n"), "{}", logged.len());
    sandbox.assert_clean();
}

#[test]
fn forty_columns_are_enough_for_tables() {
    let sandbox = Sandbox::new();
    let steps = ["print=0123456789012345678901234567890123456789", "write=made.txt:new"];
    sandbox.worker("Fix", json!({"command": sandbox.fake(&steps), "worktree": true}));
    sandbox.run_to_end("Fix");
    sandbox.assert_clean();
    for words in [&["worker", "ps", "--all"][..], &["worker", "refs"]] {
        let call = sandbox.lattice(words.iter().copied()).env("NO_COLOR", "1");
        let (status, shown) = Screen::start(call, 40).finish();
        assert_eq!(status, Some(0), "{shown}");
        assert!(shown.contains("Fix"), "{shown}");
        for line in shown.lines() {
            assert!(line.chars().count() <= 40, "{line:?}");
        }
    }
}
