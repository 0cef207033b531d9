//! Two users and root on one `.lattice`: nobody's files change hands, nobody ends another's run, and who may not do
//! something is told so.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

use fs_err as fs;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::binaries;
use crate::harness::call::Call;
use crate::harness::process::Process;
use crate::harness::run::Run;
use crate::harness::sandbox::{ACTOR, Sandbox};
use crate::harness::socket::Peer;
use crate::harness::waiting::{SOON, skipped};

const ANA: u32 = 65_534;
const BO: u32 = 65_533;
const ROOT: u32 = 0;

/// Ana's project, in which nobody has done anything yet but her.
struct Shared {
    sandbox: Sandbox,
}

impl Shared {
    /// `Err` is the reason where there is only one user.
    fn new() -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("only root can act as two users".to_owned());
        }
        let mut sandbox = Sandbox::empty();
        let bin = sandbox.base.join("bin");
        fs::create_dir(&bin).unwrap();
        for program in ["lattice", "lattice-shim", "fake-engine"] {
            fs::copy(binaries::directory().join(program), bin.join(program)).unwrap();
        }
        for (path, mode) in [(".", 0o755), ("home", 0o777), ("tmp", 0o1777), ("s", 0o777)] {
            let open = PermissionsExt::from_mode(mode);
            fs::set_permissions(sandbox.base.join(path), open).unwrap();
        }
        fs::write(sandbox.base.join("home/.gitconfig"), "[safe]\n\tdirectory = *\n").unwrap();
        let give = ["chown", "-R", &ANA.to_string(), sandbox.project.to_str().unwrap()];
        sandbox.program(give).run().ok();
        let shared = |sandbox| Self { sandbox };
        sandbox.task = {
            let shared = shared(sandbox);
            let probe = shared.user(BO, &["lattice", "--version"]).run();
            if probe.code != Some(0) {
                return Err(format!("no other user can be had: {}", probe.stderr.trim()));
            }
            shared.make();
            sandbox = shared.sandbox;
            let listed = sandbox.lattice(["list", "--json"]).run().ok().data();
            listed[0]["id"].as_str().expect("a task has an ID").to_owned()
        };
        Ok(shared(sandbox))
    }

    fn make(&self) {
        let steps = format!("socket={}", self.sandbox.socket.path().display());
        let engine = self.sandbox.base.join("bin/fake-engine").display().to_string();
        let work = json!({"name": "Work", "command": [engine, steps, "connect=main", "wait"]});
        let quick = json!({"name": "Quick", "command": "echo x > new; exit 3", "worktree": true});
        let script = format!(
            "git init -q -b main && git config user.name Ana && git config user.email ana@example.org && \
             git config maintenance.auto false && lattice init --project-code LAT --actor {ACTOR} && \
             lattice create One --actor {ACTOR} && mkdir workers && echo '{work}' > workers/work.json && \
             echo '{quick}' > workers/quick.json && git add -A && git commit -q -m Begin"
        );
        self.user(ANA, &["sh", "-c", &script]).run().ok();
    }

    fn user(&self, user: u32, words: &[&str]) -> Call {
        let user = user.to_string();
        let drop = ["setpriv", "--reuid", &user, "--regid", &user, "--clear-groups", "--"];
        self.sandbox.program(words.iter().copied()).through(drop)
    }

    fn lattice(&self, user: u32, line: &str) -> Call {
        let words: Vec<_> = ["lattice"].into_iter().chain(line.split(' ')).collect();
        self.user(user, &words)
    }

    fn start(&self) -> (Run<'_>, Peer) {
        let started = self.lattice(ANA, "worker run Work LAT-1 --json").run().ok().data();
        (self.sandbox.run_of(&started), self.sandbox.socket.peer("main"))
    }

    /// Who owns what, git's files excepted.
    fn owners(&self) -> BTreeMap<PathBuf, u32> {
        let listed = self.sandbox.sh("find . -path ./.git -prune -o -print").stdout;
        let owner = |name: &str| {
            let path = self.sandbox.project.join(name);
            Some((path.clone(), fs::symlink_metadata(path).ok()?.uid()))
        };
        listed.lines().filter_map(owner).collect()
    }

    #[track_caller]
    fn assert_all_anas(&self, but: &str) {
        let others: Vec<_> = self
            .owners()
            .into_iter()
            .filter(|(path, owner)| *owner != ANA && !path.display().to_string().ends_with(but))
            .collect();
        assert!(others.is_empty(), "{others:?}");
    }
}

#[test]
fn s17_what_root_makes_in_a_project_is_its_owners() {
    let test = "s17_what_root_makes_in_a_project_is_its_owners";
    let shared = match Shared::new() {
        Ok(shared) => shared,
        Err(reason) => return skipped(test, &reason),
    };
    let write = |user, what: &str| {
        for line in [
            format!("comment LAT-1 {what} --actor {ACTOR}"),
            format!("create {what} --actor {ACTOR}"),
            format!("attach LAT-1 --inline {what} --actor {ACTOR}"),
            format!("assign LAT-1 human:{what} --actor {ACTOR}"),
        ] {
            shared.lattice(user, &line).run().ok();
        }
    };
    // All that git ignores may be missing, and then root is the first who needs it.
    let clean = ["rm", "-rf", "locks", "logs", "runs", "worktrees"];
    shared.user(ANA, &clean).current_dir(shared.sandbox.lattice_dir()).run().ok();
    write(ROOT, "root");
    shared.assert_all_anas(".");
    write(ANA, "ana");
    let run = |user| {
        let ended = shared.lattice(user, "worker run Quick LAT-1 --wait --json").run().exits(4);
        let end = &ended.json()["data"]["outcome"]["data"];
        assert_eq!(end["exit_code"], 3, "{ended}");
        assert!(end["preserved_ref"].is_string(), "{ended}");
        shared.sandbox.assert_clean();
    };
    shared.user(ANA, &clean).current_dir(shared.sandbox.lattice_dir()).run().ok();
    run(ROOT);
    // What its worker printed is root's own.
    shared.assert_all_anas(".log");
    run(ANA);
}

#[test]
fn s17_root_does_not_end_the_run_of_another() {
    let test = "s17_root_does_not_end_the_run_of_another";
    let shared = match Shared::new() {
        Ok(shared) => shared,
        Err(reason) => return skipped(test, &reason),
    };
    let (run, main) = shared.start();
    let look = || {
        for line in
            ["list", "show LAT-1", "next", "worker ps", "worker list", "doctor", "worker reap"]
        {
            shared.lattice(ROOT, line).run().ok();
        }
        shared.assert_all_anas(".");
    };
    look();
    assert!(!main.is_dead() && run.terminal().is_none());
    run.lose_supervisors(&main);
    look();
    assert!(run.terminal().is_none() && run.directory().exists());
    let row = &shared.lattice(ROOT, "worker reap --json").run().ok().data()[0];
    assert_eq!(
        (&row["run"], &row["action"], &row["reason"]),
        (&json!(run.id), &json!("left"), &json!("it is another user's"))
    );
    let told = shared.lattice(ROOT, "worker reap").run().ok();
    assert!(told.stdout.contains("it is another user's"), "{told}");
    shared
        .lattice(ROOT, &format!("worker reap --force {} --json", run.id))
        .run()
        .refused(1, "IO_ERROR");
    shared.lattice(ANA, "worker reap").run().ok();
    assert_eq!(run.ended()["data"]["reason"], "supervisor_lost");
    shared.sandbox.assert_clean();
    shared.assert_all_anas(".");
}

#[test]
fn s17_a_stranger_reads_what_he_may_and_is_told_the_rest() {
    let test = "s17_a_stranger_reads_what_he_may_and_is_told_the_rest";
    let shared = match Shared::new() {
        Ok(shared) => shared,
        Err(reason) => return skipped(test, &reason),
    };
    let (run, main) = shared.start();
    // As it was made, the configuration is Ana's alone.
    let refused = |line: &str, path: &str| {
        let error = shared.lattice(BO, &format!("{line} --json")).run().refused(1, "IO_ERROR");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(path) && message.contains("Permission denied"), "{line}: {error}");
    };
    refused("list", ".lattice/config.json");
    let config = shared.sandbox.lattice_dir().join("config.json");
    fs::set_permissions(config, PermissionsExt::from_mode(0o644)).unwrap();
    let (before, owners) = (shared.sandbox.tree(), shared.owners());
    // The snapshots are hers too, and what they say is in the logs.
    let listed = shared.lattice(BO, "list --json").run().ok().data();
    assert_eq!(listed[0]["title"], "One", "{listed}");
    for line in ["list", "show LAT-1", "next", "worker list", "worker ps"] {
        let finished = shared.lattice(BO, line).run().ok();
        assert!(finished.stdout.contains("LAT-1") || line == "worker list", "{finished}");
    }
    let row = &shared.lattice(BO, "worker ps --json").run().ok().data()[0];
    assert_eq!((&row["run"], &row["state"]), (&json!(run.id), &json!("unsupervised")));
    let found = shared.lattice(BO, "doctor --json").run().stdout;
    assert!(found.contains("another user's") && !found.contains("are dead"), "{found}");
    for line in [
        &format!("comment LAT-1 hello --actor {ACTOR}"),
        &format!("create Two --actor {ACTOR}"),
        &format!("attach LAT-1 --inline hello --actor {ACTOR}"),
        "worker run Work LAT-1",
        "worker stop LAT-1",
        "worker wait LAT-1 --timeout 1",
        "worker logs LAT-1",
        "worker show LAT-1",
        "worker reap",
        "rebuild --all",
    ] {
        refused(line, ".lattice/");
    }
    refused("worker run Quick LAT-1", ".git");
    shared.sandbox.assert_unchanged(&before);
    assert_eq!(shared.owners(), owners);
    assert!(!main.is_dead() && run.terminal().is_none());
    main.tell("exit 3");
    assert_eq!(run.ended()["data"]["exit_code"], 3);
    shared.sandbox.assert_clean();
}

/// A group in which everybody may write: whoever writes a snapshot anew owns that, and nothing else.
#[test]
fn s17_a_group_shares_a_project() {
    let shared = match Shared::new() {
        Ok(shared) => shared,
        Err(reason) => return skipped("s17_a_group_shares_a_project", &reason),
    };
    let sandbox = &shared.sandbox;
    let group = 60_000.to_string();
    sandbox.sh(&format!(
        "chgrp -R {group} . && chmod -R g+rwX . && find . -type d -exec chmod g+s {{}} +"
    ));
    let member = |user: u32, line: &str| {
        let user = user.to_string();
        let drop = ["setpriv", "--reuid", &user, "--regid", &group, "--clear-groups", "--"];
        let script = format!("umask 002; exec lattice {line}");
        sandbox.program(["sh", "-c", &script]).through(drop)
    };
    let before = shared.owners();
    member(BO, &format!("comment LAT-1 hello --actor {ACTOR}")).run().ok();
    member(BO, &format!("create Two --actor {ACTOR}")).run().ok();
    let after = shared.owners();
    let changed: Vec<_> =
        before.keys().filter(|path| after.get(*path) != Some(&before[*path])).collect();
    let caches = ["tasks", "ids.json"];
    assert!(
        changed
            .iter()
            .all(|path| caches.iter().any(|name| path.display().to_string().contains(name))),
        "{changed:?}"
    );
    member(ANA, &format!("comment LAT-1 hello --actor {ACTOR}")).run().ok();
    member(ANA, &format!("comment LAT-2 hello --actor {ACTOR}")).run().ok();
    let shown = member(ANA, "show LAT-1 --json").run().ok().data();
    assert_eq!(shown["comment_count"], 2, "{shown}");
    // Bo may write where the run is recorded, and yet it is not his.
    let started = member(ANA, "worker run Work LAT-1 --json").run().ok().data();
    let run = sandbox.run_of(&started);
    let main = sandbox.socket.peer("main");
    // What a run needs is private to the user who was the first to start one.
    member(BO, "worker run Work LAT-1 --json").run().refused(1, "IO_ERROR");
    let warden: Value = started["pid"].clone();
    let warden = Process::open(warden.as_i64().unwrap() as i32).unwrap();
    let shim = warden.child(" shim ").unwrap();
    for process in [&warden, &shim] {
        process.signal(Signal::STOP);
    }
    for process in [&warden, &shim] {
        process.kill();
        process.wait_dead(SOON);
    }
    main.wait_dead(SOON);
    for line in ["list", "worker ps", "show LAT-1"] {
        member(BO, line).run().ok();
    }
    assert!(run.terminal().is_none() && run.directory().exists());
    member(ANA, "worker reap").run().ok();
    assert_eq!(run.ended()["data"]["reason"], "supervisor_lost");
    sandbox.assert_clean();
}
