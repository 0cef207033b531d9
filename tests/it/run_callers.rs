//! Callers in every state: what they ignore, block, leak and wait for must reach neither us nor the engine.

use fs_err::os::unix::fs::OpenOptionsExt;
use std::io::Read;

use fs_err as fs;
use serde_json::json;

use crate::harness::call::Finished;
use crate::harness::run::Run;
use crate::harness::sandbox::Sandbox;
use crate::harness::waiting::{SOON, eventually};

/// A worker that writes down what it was given, and then waits.
pub fn curious(sandbox: &Sandbox) {
    let path = |name: &str| sandbox.base.join(name).display().to_string();
    let steps = [
        format!("status-dump={}", path("status")),
        format!("fds-dump={}", path("fds")),
        format!("env-dump={}", path("env")),
        format!("read-stdin={}", path("stdin")),
        "connect=main".to_owned(),
        "wait".to_owned(),
    ];
    sandbox
        .worker("Curious", json!({"command": sandbox.fake(&steps.each_ref().map(String::as_str))}));
}

pub fn dumped(sandbox: &Sandbox, name: &str) -> String {
    fs::read_to_string(sandbox.base.join(name)).unwrap()
}

/// The engine was given default signals, an empty mask, stdin at EOF, and the descriptors 0 to 2.
#[track_caller]
pub fn assert_plain_engine(sandbox: &Sandbox) {
    let status = dumped(sandbox, "status");
    let mask = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        u64::from_str_radix(line.rsplit('\t').next().unwrap(), 16).unwrap()
    };
    // The fake is a Rust program, whose runtime ignores SIGPIPE (13) before `main`. glibc's posix_spawn ignores
    // the two signals that it keeps for itself (32, 33) in every child, and nobody can set them otherwise.
    let (sigpipe, of_glibc) = (1 << 12, 0b11 << 31);
    assert_eq!((mask("SigBlk"), mask("SigIgn") & !of_glibc), (0, sigpipe), "{status}");
    let fds = dumped(sandbox, "fds");
    let lines: Vec<_> = fds.lines().collect();
    assert_eq!(lines.len(), 3, "{fds}");
    assert_eq!(lines[0], "0 /dev/null");
    assert!(lines[1].starts_with("1 pipe:") && lines[2].starts_with("2 pipe:"), "{fds}");
    assert_eq!(lines[1][2..], lines[2][2..], "one pipe for both");
    assert_eq!(dumped(sandbox, "stdin"), "0 bytes");
}

/// The call came back while the engine still works; then the run ends as it should.
#[track_caller]
pub fn assert_works(sandbox: &Sandbox, finished: &Finished) {
    assert_goes_on(sandbox, &sandbox.run_of(&finished.data()));
}

#[track_caller]
pub fn assert_goes_on(sandbox: &Sandbox, run: &Run<'_>) {
    let main = sandbox.socket.peer("main");
    assert!(run.terminal().is_none(), "the call did not wait for the run");
    assert_plain_engine(sandbox);
    main.tell("exit 0");
    assert_eq!(run.ended()["type"], "process_completed");
    sandbox.assert_clean();
    assert_eq!(sandbox.assert_runs_ended(), 1);
}

#[track_caller]
fn called_through(wrapper: &[&str]) {
    let sandbox = Sandbox::new();
    curious(&sandbox);
    let call = sandbox.lattice(["worker", "run", "Curious", "LAT-1", "--json"]);
    assert_works(&sandbox, &call.through(wrapper.iter().copied()).run().ok());
}

#[test]
fn an_ordinary_caller() {
    called_through(&[]);
}

/// An agent that loses its patience with a call ends all that is below it, by the numbers of parents.
#[test]
fn a_caller_that_waits_has_no_supervisor_below_it() {
    let sandbox = Sandbox::new();
    sandbox.fake_worker("Work", &["connect=main", "wait"]);
    let words = ["worker", "run", "Work", "LAT-1", "--wait", "--json"];
    let calling = sandbox.lattice(words).start();
    let main = sandbox.socket.peer("main");
    let caller = calling.process();
    assert_ne!(main.ancestor("warden").parent().pid, caller.pid);
    assert_eq!(caller.child("warden").map(|child| child.pid), None);
    main.tell("go");
    calling.finish().ok();
    sandbox.assert_clean();
}

#[test]
fn s12_a_caller_that_ignores_the_death_of_its_children() {
    called_through(&["env", "--ignore-signal=CHLD"]);
}

#[test]
fn a_caller_that_blocks_every_signal() {
    called_through(&["env", "--block-signal"]);
}

#[test]
fn a_caller_that_ignores_interrupts() {
    called_through(&["env", "--ignore-signal=INT", "--ignore-signal=QUIT", "--ignore-signal=HUP"]);
}

#[test]
fn a_caller_that_does_all_of_it() {
    let all = [
        "env",
        "--ignore-signal=CHLD,INT,QUIT,HUP,TERM,PIPE,USR1,ALRM,TSTP,TTOU",
        "--block-signal",
    ];
    called_through(&all);
}

#[test]
fn a_caller_without_stdin() {
    called_through(&["bash", "-c", r#"exec "$@" <&-"#, "bash"]);
}

#[test]
fn a_caller_without_any_standard_stream() {
    let sandbox = Sandbox::new();
    curious(&sandbox);
    let call = sandbox.lattice(["worker", "run", "Curious", "LAT-1"]);
    call.through(["bash", "-c", r#"exec "$@" <&- >&- 2>&-"#, "bash"]).run();
    let main = sandbox.socket.peer("main");
    assert_plain_engine(&sandbox);
    main.tell("exit 0");
    eventually("the run has ended", SOON, || {
        let runs = sandbox.runs_of(&sandbox.task);
        if runs.values().all(|(_, ends)| ends.len() == 1) {
            Ok(())
        } else {
            Err(format!("{runs:?}"))
        }
    });
    sandbox.assert_clean();
    assert_eq!(sandbox.assert_runs_ended(), 1);
}

#[test]
fn a_caller_that_leaks_500_descriptors_gets_them_all_back() {
    let sandbox = Sandbox::new();
    curious(&sandbox);
    let fifo = sandbox.base.join("fifo");
    sandbox.sh(&format!("mkfifo {}", fifo.display()));
    // Both ends, so that the leaking caller's open for writing does not block.
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let mut reader =
        fs::OpenOptions::new().read(true).custom_flags(nonblocking).open(&fifo).unwrap();
    let leak = format!("leak-fds=500:{}", fifo.display());
    let fake = crate::harness::binaries::fake_engine();
    let call = sandbox.lattice(["worker", "run", "Curious", "LAT-1", "--json"]);
    let wrapper = [fake.as_str(), &leak, "exec=env"];
    let finished = call.through(wrapper).run().ok();
    let main = sandbox.socket.peer("main");
    // Every writer is gone: EOF, not "nothing to read yet".
    let mut bytes = Vec::new();
    assert_eq!(reader.read_to_end(&mut bytes).expect("EOF while the engine runs"), 0);
    let run = sandbox.run_of(&finished.data());
    let (shim, warden) = run.supervisors(&main);
    for process in [shim, warden] {
        let count = fs::read_dir(format!("/proc/{}/fd", process.pid)).unwrap().count();
        assert!(
            count < 40,
            "{count} descriptors in {}",
            crate::harness::process::describe(process.pid)
        );
    }
    assert_plain_engine(&sandbox);
    main.tell("exit 0");
    run.ended();
    sandbox.assert_clean();
}

#[test]
fn a_caller_that_reads_to_the_end_of_output_is_not_kept() {
    let sandbox = Sandbox::new();
    curious(&sandbox);
    let shell =
        r#"answer=$(lattice worker run Curious LAT-1 --json 2>&1); printf '%s\n\n' "$answer""#;
    let finished = sandbox.program(["bash", "-c", shell]).run().ok();
    assert_works(&sandbox, &finished);
}

#[test]
fn the_terminal_of_the_caller_is_not_the_engines() {
    let sandbox = Sandbox::new();
    sandbox.fake_worker("Curious", &["connect=main", "wait"]);
    let script = "lattice worker run Curious LAT-1 --json";
    let terminal = sandbox.program(["script", "-qec", script, "/dev/null"]).run().ok();
    let answer: serde_json::Value = serde_json::from_str(&terminal.stdout).unwrap();
    let run = sandbox.run_of(&answer["data"]);
    let main = sandbox.socket.peer("main");
    assert_eq!(
        crate::harness::process::stat_field(main.pid, 7).as_deref(),
        Some("0"),
        "no controlling terminal"
    );
    main.tell("exit 0");
    assert_eq!(
        run.ended()["type"],
        "process_completed",
        "the hangup of the terminal did not reach it"
    );
    sandbox.assert_clean();
}
