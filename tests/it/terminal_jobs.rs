//! Ctrl-Z, `fg` and `bg` in a shell with job control, and windows that change.

use serde_json::json;

use crate::harness::sandbox::Sandbox;
use crate::harness::screen::Screen;
use crate::harness::socket::Peer;

const ENTER: &str = "\u{1b}[?1049h";
const LEAVE: &str = "\u{1b}[?25h\u{1b}[?1049l";
const CTRL_C: &str = "\u{3}";
const CTRL_Z: &str = "\u{1a}";

/// A project with one run, whose engine has printed a line.
fn with_run(line: &str) -> (Sandbox, Peer) {
    let sandbox = Sandbox::new();
    sandbox.fake_worker("Check", &[&format!("print={line}"), "connect=main", "wait"]);
    sandbox.start("Check");
    let main = sandbox.socket.peer("main");
    (sandbox, main)
}

/// A shell that controls jobs, as a person has it.
fn shell(sandbox: &Sandbox) -> Screen {
    let words = ["bash", "--norc", "--noprofile", "--noediting", "-i"];
    let screen = Screen::start(sandbox.program(words).env("PS1", "ready> "), 100);
    screen.until("ready> ");
    screen
}

#[test]
fn ctrl_z_gives_the_screen_back_and_fg_draws_again() {
    let (sandbox, main) = with_run("hello");
    let mut screen = shell(&sandbox);
    screen.press("lattice worker ps --watch\n");
    screen.until("hello");
    screen.press(CTRL_Z);
    let shown = screen.until("Stopped");
    let (_, behind) = shown.rsplit_once(ENTER).unwrap();
    assert!(behind.contains(LEAVE), "{shown:?}");
    // In the background it leaves the terminal to the shell.
    screen.press("bg\necho a''b\n");
    screen.until("ab\r\n");
    screen.press("fg\n");
    let shown = screen.until_times(ENTER, 2);
    let (_, behind) = shown.rsplit_once("ab\r\n").unwrap();
    assert!(behind.contains(ENTER), "{shown:?}");
    main.tell("exit 0");
    screen.until("No active worker processes.");
    screen.press(CTRL_C);
    screen.until_times(LEAVE, 2);
    screen.press("exit\n");
    screen.finish();
}

/// What has no shell behind it could not be continued: the system does not let Ctrl-Z stop it.
#[test]
fn without_a_shell_ctrl_z_stops_nothing() {
    let (sandbox, main) = with_run("hello");
    let mut screen = Screen::start(sandbox.lattice(["worker", "ps", "--watch"]), 100);
    screen.until("hello");
    screen.press(CTRL_Z);
    screen.until_times(ENTER, 2);
    screen.press(CTRL_C);
    let (status, shown) = screen.finish();
    assert_eq!(status, Some(0), "{shown}");
    main.tell("exit 0");
}

#[test]
fn a_window_that_gets_narrower_is_drawn_again() {
    let (sandbox, main) = with_run(&"0123456789".repeat(12));
    let mut screen = Screen::start(sandbox.lattice(["worker", "ps", "--watch"]), 100);
    screen.until("23\u{2026}");
    screen.resize(75);
    // Twenty-five columns fewer, so the line ends elsewhere.
    screen.until("78\u{2026}");
    screen.press(CTRL_C);
    screen.finish();
    main.tell("exit 0");
}

#[test]
fn a_debug_run_is_not_paused_and_says_so() {
    let sandbox = Sandbox::new();
    let steps = ["print=begun", "connect=main", "wait"];
    sandbox.worker("Check", json!({"command": sandbox.fake(&steps)}));
    let mut screen = shell(&sandbox);
    screen.press("lattice-shim debug workers/check.json\n");
    let main = sandbox.socket.peer("main");
    screen.until("begun");
    screen.press(CTRL_Z);
    screen.until("Ctrl-Z does nothing: a run is not paused");
    main.tell("exit 0");
    screen.until("\"process_completed\"");
    // Nor does a terminal stop it that only takes words of the foreground.
    screen.press("stty tostop; lattice-shim debug workers/check.json &\n");
    let main = sandbox.socket.peer("main");
    main.tell("exit 0");
    screen.until_times("\"process_completed\"", 2);
    screen.press("wait\nstty -tostop\nexit\n");
    let (_, shown) = screen.finish();
    assert!(!shown.contains("Stopped"), "{shown:?}");
}

#[test]
fn git_shows_a_difference_as_part_of_the_job() {
    let sandbox = Sandbox::new();
    sandbox.worker("Fix", json!({"command": "echo new >made.txt", "worktree": true}));
    sandbox.run_to_end("Fix");
    let mut screen = shell(&sandbox);
    screen.press("stty tostop; lattice worker diff LAT-1 --stat; echo a''b\n");
    let shown = screen.until("ab\r\n");
    assert!(shown.contains("1 file changed"), "{shown:?}");
    screen.press("exit\n");
    screen.finish();
}
