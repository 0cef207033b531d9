//! Random trees of processes, random kills in them, and the one who knows every process that was ever started.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use super::seeds::Random;
use super::stage::{Stage, command};
use crate::harness::process::Process;
use crate::harness::socket::Peer;
use crate::harness::waiting::{SOON, eventually};

/// How a trial ends.
#[derive(Clone, Copy, Debug)]
enum Blow {
    /// The engine exits by itself.
    Exit,
    Shim,
    Warden,
    Both,
    Stop,
}

const BLOWS: [Blow; 5] = [Blow::Exit, Blow::Shim, Blow::Warden, Blow::Both, Blow::Stop];

/// `tree NUMBER`.
pub fn trial(stage: &Stage, seed: &str) -> Option<Duration> {
    let number: u64 = seed.split(' ').nth(1).and_then(|n| n.parse().ok()).expect("a number");
    let mut random = Random::new(number);
    let blow = *random.pick(&BLOWS);
    let before = stage.runs();
    let (main, shim, warden) = plant(stage, &mut random);
    let mut members = grown(stage, 4 + random.below(12));
    for _ in 0..random.below(6) {
        if let Some(victim) = (!members.is_empty()).then(|| random.pick(&members)) {
            victim.kill();
        }
        members.extend(stage.sandbox.socket.others());
    }
    let begin = Instant::now();
    match blow {
        Blow::Exit => main.tell("exit 3"),
        Blow::Shim => shim.kill(),
        Blow::Warden => {
            warden.kill();
            main.tell("exit 3");
        }
        Blow::Both => {
            for process in [&warden, &shim] {
                process.signal(Signal::STOP);
                process.kill();
            }
            warden.wait_dead(SOON);
            shim.wait_dead(SOON);
        }
        Blow::Stop => drop(stage.sandbox.lattice(["worker", "stop", "--all"]).run()),
    }
    let time = (!matches!(blow, Blow::Both)).then(|| stage.wait_recorded(&before, begin));
    // Behind the record nobody lives who was ever heard of.
    if time.is_some() {
        members.extend(stage.sandbox.socket.others());
        assert_dead(seed, blow, &members);
    }
    let settled = stage.settle(&format!("{seed} {blow:?}"), &before, None);
    members.extend(stage.sandbox.socket.others());
    assert_dead(seed, blow, &members);
    assert!(settled.end.is_some(), "{seed}: it had begun");
    time.filter(|_| matches!(blow, Blow::Shim))
}

fn plant(stage: &Stage, random: &mut Random) -> (Peer, Process, Process) {
    let sandbox = &stage.sandbox;
    let roots = (0..1 + random.below(3)).map(|_| {
        let root = sandbox.fake_line(&[&format!("tree={}:3", random.next() >> 34)]);
        format!("{root} &")
    });
    let roots: Vec<_> = roots.collect();
    let engine = command(sandbox, &["connect=main", "wait"]);
    let engine = engine.replacen("exec", &format!("{} exec", roots.join(" ")), 1);
    sandbox.worker("Tree", json!({"command": engine, "worktree": true}));
    let answer = stage.start("Tree").run().ok().data();
    let main = sandbox.socket.peer("main");
    let (shim, warden) = sandbox.run_of(&answer).supervisors(&main);
    (main, shim, warden)
}

/// Those that have spoken, once they are so many; a small tree may stay smaller.
fn grown(stage: &Stage, wanted: usize) -> Vec<Peer> {
    let mut members: Vec<Peer> = Vec::new();
    let begin = Instant::now();
    eventually("the tree has grown", SOON, || {
        members.extend(stage.sandbox.socket.others());
        let enough = members.len() >= wanted || begin.elapsed() > Duration::from_millis(300);
        if enough { Ok(()) } else { Err(format!("{} members", members.len())) }
    });
    members
}

#[track_caller]
fn assert_dead(seed: &str, blow: Blow, members: &[Peer]) {
    let alive: Vec<_> = members.iter().filter(|peer| !Process::is_dead(peer)).collect();
    assert!(alive.is_empty(), "{seed} {blow:?}: of {} members live {alive:?}", members.len());
}
