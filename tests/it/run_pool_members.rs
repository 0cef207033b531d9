//! The pool is as big as it may be, a member is for one run, and a kill leaves none that is half made.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

use fs_err as fs;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::campaign::{assert_settled, sampled};
use crate::harness::run::Run;
use crate::harness::sandbox::Sandbox;
use crate::harness::strace::{self, Who};
use crate::harness::waiting::{SOON, eventually, skipped};

/// With a worker that does nothing, and one that waits.
fn project(members: u64) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.pool(members);
    for number in 0..20 {
        sandbox.write(&format!("calm/f{number}"), "calm\n");
    }
    sandbox.commit("Files");
    sandbox.worker("Idle", json!({"command": "true", "worktree": true}));
    let wait = sandbox.fake(&["connect=main", "wait"]);
    sandbox.worker("Wait", json!({"command": wait.clone(), "worktree": true}));
    sandbox.worker("Also", json!({"command": wait, "worktree": true}));
    sandbox
}

fn members(sandbox: &Sandbox) -> Vec<PathBuf> {
    let found = fs::read_dir(sandbox.lattice_dir().join("worktrees")).expect("it was made");
    let paths = found.map(|entry| entry.expect("it can be listed").path());
    paths.filter(|path| path.join("facts.json").exists()).collect()
}

/// Lets a run fill the pool, whose one member it gives.
#[track_caller]
fn filled(sandbox: &Sandbox) -> PathBuf {
    sandbox.run_to_end("Idle");
    sandbox.assert_clean();
    let [member] = &members(sandbox)[..] else { panic!("{:?}", members(sandbox)) };
    member.clone()
}

fn worktree(run: &Run<'_>) -> PathBuf {
    PathBuf::from(run.started["worktree_path"].as_str().expect("it has a worktree"))
}

/// Of a file that is in every worktree: no two worktrees share it.
fn inode(worktree: PathBuf) -> u64 {
    fs::symlink_metadata(worktree.join("calm/f0")).expect("it is in the commit").ino()
}

/// The inodes of two runs that are alive at once.
fn of_two(sandbox: &Sandbox) -> [u64; 2] {
    let runs = [sandbox.start("Wait"), sandbox.start("Also")];
    let peers = [sandbox.socket.peer("main"), sandbox.socket.peer("main")];
    let inodes = runs.each_ref().map(|run| inode(worktree(run)));
    peers.iter().for_each(|peer| peer.tell("exit 0"));
    runs.iter().for_each(|run| drop(run.ended()));
    sandbox.assert_clean();
    inodes
}

#[test]
fn two_runs_never_share_a_member() {
    let sandbox = project(2);
    let kept = inode(filled(&sandbox).join("tree"));
    let [one, other] = of_two(&sandbox);
    assert!(one != other && (one == kept || other == kept), "{kept}: {one}, {other}");
    let mut pooled: Vec<_> =
        members(&sandbox).into_iter().map(|path| inode(path.join("tree"))).collect();
    pooled.sort_unstable();
    let mut used = [one, other];
    used.sort_unstable();
    assert_eq!(pooled, used, "both went into the pool");
    let mut again = of_two(&sandbox);
    again.sort_unstable();
    assert_eq!(again, used, "and both came out of it");
}

#[test]
fn many_runs_at_once_never_share_a_member() {
    let sandbox = project(2);
    filled(&sandbox);
    let definition = json!({"command": sandbox.fake(&["connect=main", "wait"]), "worktree": true});
    let names: Vec<String> = (0..6).map(|number| format!("Many{number}")).collect();
    names.iter().for_each(|name| sandbox.worker(name, definition.clone()));
    for _ in 0..3 {
        let runs: Vec<_> = names.iter().map(|name| sandbox.start(name)).collect();
        let peers: Vec<_> = runs.iter().map(|_| sandbox.socket.peer("main")).collect();
        let mut inodes: Vec<_> = runs.iter().map(|run| inode(worktree(run))).collect();
        inodes.sort_unstable();
        inodes.dedup();
        assert_eq!(inodes.len(), runs.len());
        peers.iter().for_each(|peer| peer.tell("exit 0"));
        runs.iter().for_each(|run| drop(run.ended()));
        sandbox.assert_clean();
        assert!(members(&sandbox).len() <= 2, "{:?}", members(&sandbox));
    }
}

#[test]
fn limits_hold_at_every_end() {
    let sandbox = project(1);
    filled(&sandbox);
    of_two(&sandbox);
    assert_eq!(members(&sandbox).len(), 1);
    for limit in [
        json!({"worktree_pool": 1, "worktree_pool_days": 0}),
        json!({"worktree_pool": 1, "worktree_pool_mb": 0}),
    ] {
        sandbox.configure("workers", limit.clone());
        sandbox.run_to_end("Idle");
        sandbox.assert_clean();
        assert_eq!(members(&sandbox), [""; 0].map(PathBuf::from), "{limit}");
    }
}

#[test]
fn what_the_pool_has_no_room_for_is_told_and_pruned() {
    let sandbox = project(1);
    let member = filled(&sandbox);
    let doctor = || sandbox.lattice(["doctor"]).run().stdout;
    let prune = || sandbox.lattice(["worker", "prune", "--json"]).run().ok().data();
    assert!(!doctor().contains(".pool-"), "{}", doctor());
    assert_eq!(prune(), json!([]));
    let mut half = member.clone();
    half.set_file_name(".pool-half");
    fs::create_dir_all(half.join("tree")).unwrap();
    fs::set_permissions(&half, PermissionsExt::from_mode(0o700)).unwrap();
    assert!(doctor().contains(".pool-half") && !doctor().contains(member.to_str().unwrap()));
    sandbox.pool(0);
    assert!(doctor().contains(member.to_str().unwrap()), "{}", doctor());
    let gone = prune();
    let kinds: Vec<_> = gone.as_array().unwrap().iter().map(|item| item["kind"].clone()).collect();
    assert_eq!(kinds, ["pool", "pool"], "{gone}");
    assert!(!member.exists() && !half.exists());
    assert!(!doctor().contains(".pool-"));
}

/// Changes a member behind our back; then nobody gets it, and it goes.
#[track_caller]
fn refused(change: impl FnOnce(&Sandbox, &PathBuf)) {
    let sandbox = project(1);
    let member = filled(&sandbox);
    let kept = inode(member.join("tree"));
    change(&sandbox, &member);
    let run = sandbox.start("Wait");
    let peer = sandbox.socket.peer("main");
    assert_ne!(inode(worktree(&run)), kept);
    let status =
        sandbox.git(["-C", worktree(&run).to_str().unwrap(), "status", "--porcelain", "--ignored"]);
    assert_eq!(status, "");
    peer.tell("exit 0");
    assert_eq!(run.ended()["type"], "process_completed");
    sandbox.assert_clean();
    assert_ne!(members(&sandbox), [member], "what is in doubt does not stay");
}

#[test]
fn a_member_that_was_touched_is_refused() {
    refused(|_, member| fs::write(member.join("tree/more"), "").unwrap());
    refused(|_, member| fs::create_dir(member.join("tree/calm/empty")).unwrap());
    refused(|_, member| fs::write(member.join("tree/calm/f7"), "CALM\n").unwrap());
    refused(|_, member| {
        fs::set_permissions(member.join("tree/calm/f7"), PermissionsExt::from_mode(0o600)).unwrap();
    });
    refused(|_, member| {
        fs::set_permissions(member.join("tree/calm"), PermissionsExt::from_mode(0o777)).unwrap();
    });
    refused(|_, member| fs::write(member.join("index"), "no index").unwrap());
}

#[test]
fn a_member_of_another_boot_umask_or_version_is_refused() {
    let change = |key: &'static str, value: Value| {
        move |_: &Sandbox, member: &PathBuf| {
            let path = member.join("facts.json");
            let mut facts: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            *facts.pointer_mut(key).expect("it is in the facts") = value;
            fs::write(path, facts.to_string()).unwrap();
        }
    };
    refused(change("/boot_id", json!("another")));
    refused(change("/version", json!(3)));
    refused(|sandbox, _| {
        // Another umask is another mode of every file. Its member stays for runs with its own.
        sandbox.sh("umask 027; lattice worker run Idle LAT-1 && lattice worker wait LAT-1");
        sandbox.assert_clean();
    });
}

#[test]
fn s8_a_worktree_that_somebody_is_in_is_not_kept() {
    let sandbox = project(1);
    let run = sandbox.start("Wait");
    let peer = sandbox.socket.peer("main");
    let place = worktree(&run);
    let line = sandbox.fake_line(&["connect=bystander", "wait"]);
    let script = format!("cd {} && exec {line}", place.join("calm").display());
    let bystander = sandbox.program(["bash", "-c", &script]).start();
    let process = sandbox.socket.peer("bystander");
    peer.tell("exit 0");
    run.ended();
    eventually("the worktree is gone", SOON, || {
        let left = fs::read_dir(place.parent().unwrap()).unwrap().count();
        if left == 0 { Ok(()) } else { Err(format!("{left} are left")) }
    });
    process.tell("exit 0");
    bystander.finish();
    sandbox.assert_clean();
}

#[test]
fn s4_the_shim_killed_while_it_fills_the_pool() {
    let sandbox = project(1);
    if !strace::available(&sandbox) {
        return skipped("s4_the_shim_killed_while_it_fills_the_pool", "no strace");
    }
    let traced = |moment: Option<&strace::Moment>| {
        let run = sandbox.start("Wait");
        let peer = sandbox.socket.peer("main");
        let shim = peer.parent();
        let tracing = strace::attached(&sandbox, &shim, moment);
        peer.tell("exit 0");
        run.ended();
        strace::traced(&sandbox, tracing)
    };
    let moments = traced(None);
    let last = moments.len() / 2;
    for moment in sampled(moments[last..].to_vec(), 8) {
        traced(Some(&moment));
        assert_settled(&sandbox, &moment);
        assert!(members(&sandbox).len() <= 1, "{moment:?}");
        // Whatever is there is good.
        let run = sandbox.start("Wait");
        let peer = sandbox.socket.peer("main");
        let place = worktree(&run).display().to_string();
        let seen = sandbox.git(["-C", &place, "status", "--porcelain", "--ignored"]);
        assert_eq!(seen, "", "{moment:?}");
        peer.tell("exit 0");
        assert_eq!(run.ended()["type"], "process_completed", "{moment:?}");
        sandbox.assert_clean();
    }
}

/// Puts a git in front of the real one, which kills the supervisor at the step with this word. The answer takes it away.
fn deadly(sandbox: &Sandbox, word: &str) -> impl FnOnce() {
    let git = sandbox.base.join("bin/git");
    let real = sandbox.sh("command -v git").stdout.trim().to_owned();
    fs::create_dir_all(git.parent().unwrap()).unwrap();
    let script = format!(
        "#!/bin/sh\ncase \" $* \" in *' {word} '*) kill -9 $PPID;; esac\nexec {real} \"$@\"\n"
    );
    fs::write(&git, script).unwrap();
    fs::set_permissions(&git, PermissionsExt::from_mode(0o755)).unwrap();
    move || fs::remove_file(git).unwrap()
}

#[track_caller]
fn killed_at(word: &str, next: impl FnOnce(&Sandbox)) {
    let sandbox = project(1);
    let member = filled(&sandbox);
    next(&sandbox);
    let harmless = deadly(&sandbox, word);
    let end = sandbox.run_to_end("Idle");
    assert_eq!(end["data"]["ended_by"], "warden", "{end}");
    harmless();
    sandbox.assert_clean();
    assert!(!member.exists(), "what was taken is not put back");
    filled(&sandbox);
}

#[test]
fn s4_the_shim_killed_while_it_takes_a_member() {
    killed_at("--no-checkout", |_| {});
    killed_at("ORIG_HEAD", |_| {});
    killed_at("read-tree", |sandbox| {
        sandbox.write("calm/f3", "another\n");
        sandbox.commit("The next");
    });
}

#[test]
fn s4_the_shim_killed_while_it_restores_what_a_run_has_changed() {
    let sandbox = project(1);
    sandbox.worker("Change", json!({"command": "echo x > calm/f3", "worktree": true}));
    let harmless = deadly(&sandbox, "checkout-index");
    assert_eq!(sandbox.run_to_end("Change")["data"]["ended_by"], "shim");
    eventually("the shim is killed", SOON, || {
        let left = sandbox.traces();
        if left.iter().any(|trace| trace.starts_with("process")) {
            Err(left.join("; "))
        } else {
            Ok(())
        }
    });
    assert_eq!(members(&sandbox), [""; 0].map(PathBuf::from));
    harmless();
    sandbox.lattice(["list"]).run().ok();
    sandbox.assert_clean();
    filled(&sandbox);
}

#[test]
fn what_a_run_has_changed_is_whole_again_before_anybody_takes_it() {
    let sandbox = project(1);
    let change = "echo x > calm/f3; rm calm/f4; chmod +x calm/f5; mkdir new; mv calm/f6 new";
    sandbox.worker("Change", json!({"command": change, "worktree": true}));
    sandbox.run_to_end("Change");
    sandbox.assert_clean();
    let [member] = &members(&sandbox)[..] else { panic!("{:?}", members(&sandbox)) };
    let files = fs::read_dir(member.join("tree/calm")).unwrap().map(|file| file.unwrap().path());
    let files: Vec<_> = files.collect();
    assert_eq!(files.len(), 20);
    assert!(files.iter().all(|file| fs::read(file).unwrap() == b"calm\n"));
    let kept = inode(member.join("tree"));
    let run = sandbox.start("Wait");
    let peer = sandbox.socket.peer("main");
    assert_eq!(inode(worktree(&run)), kept);
    peer.tell("exit 0");
    run.ended();
    sandbox.assert_clean();
}

/// What a run has written into git's configuration is not what its worktree was made with, and no program of it is run.
#[test]
fn nothing_is_restored_in_another_way() {
    for change in [
        "git config core.autocrlf true",
        "git config filter.own.smudge \"touch $ran && cat\"; echo '* filter=own' >> $(git rev-parse --git-common-dir)/info/attributes",
        "git config core.sparseCheckout true",
    ] {
        let sandbox = project(1);
        let ran = sandbox.base.join("ran");
        let script = format!("ran={}; echo x > calm/f3; {change}", ran.display());
        sandbox.worker("Change", json!({"command": script, "worktree": true}));
        sandbox.run_to_end("Change");
        sandbox.assert_clean();
        assert_eq!(members(&sandbox), [""; 0].map(PathBuf::from), "{change}");
        assert!(!ran.exists());
    }
}

/// A waiter is let go before the disk is freed. What is left then is put away and held: nobody else frees it, unless
/// its shim is killed.
#[test]
fn s4_the_disk_is_freed_when_nobody_waits() {
    for killed in [false, true] {
        let sandbox = project(0);
        if !strace::available(&sandbox) {
            return skipped("s4_the_disk_is_freed_when_nobody_waits", "no strace");
        }
        let run = sandbox.start("Wait");
        let peer = sandbox.socket.peer("main");
        let worktrees = sandbox.lattice_dir().join("worktrees");
        let shim = peer.parent();
        let stop = strace::stopping(&sandbox, &shim, Who::Itself, "openat2", Some(&worktrees));
        peer.tell("exit 0");
        let shim = stop.reached();
        sandbox.lattice(["worker", "wait", &run.id]).run().ok();
        let ps = sandbox.lattice(["worker", "ps", "--json"]).run().ok().data();
        assert_eq!(ps, json!([]), "the run is over");
        let name = worktree(&run).file_name().unwrap().to_string_lossy().into_owned();
        let left = sandbox.traces();
        let begins: Vec<_> = left.iter().map(|trace| trace.split(' ').next().unwrap()).collect();
        assert_eq!(begins, ["run", "worktree", "process"], "{left:#?}");
        assert_eq!(left[0], format!("run .old-{}", run.id));
        assert_eq!(left[1], format!("worktree .trash-{name}"));
        if killed {
            shim.kill();
            shim.wait_dead(SOON);
            sandbox.lattice(["list"]).run().ok();
            assert_eq!(sandbox.traces(), [""; 0]);
        } else {
            shim.signal(Signal::CONT);
        }
        sandbox.assert_clean();
    }
}
