//! Completions where they are used: Tab in a real shell, with the scripts where `scripts/install` puts them.

use fs_err as fs;
use serde_json::json;

use crate::harness::sandbox::{ACTOR, Sandbox};
use crate::harness::screen::Screen;
use crate::harness::waiting::skipped;

/// One open run, whose last characters are answered; a second worker; a task in the archive.
fn project() -> (Sandbox, String) {
    let sandbox = Sandbox::new();
    sandbox.worker("Review", json!({"command": "true", "description": "Looks at it"}));
    sandbox.fake_worker("Soak", &["print=from the run", "connect=main", "wait"]);
    for title in ["Second task", "Third task"] {
        sandbox.create(title);
    }
    sandbox.lattice(["archive", "LAT-3", "--actor", ACTOR]).run().ok();
    let run = sandbox.start("Soak");
    let suffix = run.id[run.id.len() - 6..].to_owned();
    (sandbox, suffix)
}

fn has(sandbox: &Sandbox, test: &str, shell: &str) -> bool {
    let found = sandbox.program(["bash", "-c", &format!("command -v {shell}")]).run().code;
    if found != Some(0) {
        skipped(test, &format!("there is no {shell}"));
    }
    found == Some(0)
}

/// Words that only Tab makes whole, in a command that then runs.
fn press_tab(sandbox: &Sandbox, suffix: &str, mut screen: Screen) {
    let main = sandbox.socket.peer("main");
    screen.press("lattice wor\trun Rev\tLAT-2 --dry-run\n");
    screen.until("Review (workers/review.json)");
    screen.press(&format!("lattice worker logs {}\t\n", &suffix[..4]));
    screen.until("from the run\r\n");
    screen.press("lattice unarchive LAT-\t--actor human:ana\n");
    screen.until("Unarchived task");
    screen.press(&format!("lattice attach LAT-2 READ\t--actor {ACTOR}\n"));
    screen.until("\"README.md\"");
    main.tell("exit 0");
    screen.press("exit\n");
    screen.finish();
    sandbox.assert_clean();
}

#[test]
fn tab_in_bash() {
    let (sandbox, suffix) = project();
    let words = ["bash", "--norc", "--noprofile", "-i"];
    let mut screen = Screen::start(sandbox.program(words).env("PS1", "ready> "), 200);
    screen.until("ready> ");
    screen.press("source <(lattice completions bash); echo lo''aded\n");
    screen.until("loaded");
    press_tab(&sandbox, &suffix, screen);
}

#[test]
fn tab_in_zsh() {
    let (sandbox, suffix) = project();
    if !has(&sandbox, "tab_in_zsh", "zsh") {
        sandbox.socket.peer("main").tell("exit 0");
        return;
    }
    let home = sandbox.base.join("home");
    fs::create_dir(home.join("functions")).unwrap();
    sandbox.sh("lattice completions zsh >~/functions/_lattice");
    let rc = "PS1='ready> '; fpath=(~/functions $fpath); autoload -U compinit; compinit -u -D\n";
    fs::write(home.join(".zshrc"), rc).unwrap();
    let screen = Screen::start(sandbox.program(["zsh", "-o", "no_global_rcs", "-i"]), 200);
    screen.until("ready> ");
    press_tab(&sandbox, &suffix, screen);
}

#[test]
fn fish_offers_what_is_there() {
    let (sandbox, suffix) = project();
    let main = sandbox.socket.peer("main");
    if !has(&sandbox, "fish_offers_what_is_there", "fish") {
        main.tell("exit 0");
        return;
    }
    let completions = sandbox.base.join("home/.config/fish/completions");
    fs::create_dir_all(&completions).unwrap();
    sandbox.sh("lattice completions fish >~/.config/fish/completions/lattice.fish");
    for (line, offered) in [
        (
            "lattice wor",
            vec!["worker\tRun workers on tasks, and watch, end and inspect the runs".to_owned()],
        ),
        ("lattice worker run Rev", vec!["Review\tLooks at it".to_owned()]),
        ("lattice unarchive LAT", vec!["LAT-3\tThird task, backlog".to_owned()]),
        ("lattice worker stop LAT", vec!["LAT-1\tFirst task".to_owned()]),
        (
            &format!("lattice worker logs {}", &suffix[..4]),
            vec![format!("{suffix}\tSoak on LAT-1, running")],
        ),
    ] {
        let script = format!("complete -C '{line}'");
        let told = sandbox.program(["fish", "-c", &script]).run().ok().stdout;
        assert_eq!(told.lines().collect::<Vec<_>>(), offered, "{line}");
    }
    main.tell("exit 0");
}

#[test]
fn only_what_runs_can_be_stopped() {
    let (sandbox, suffix) = project();
    let main = sandbox.socket.peer("main");
    let ask = |words: &[&str]| {
        let all = ["--", "lattice"].iter().chain(words).copied();
        let asked = sandbox.lattice(all).env("LATTICE_COMPLETE", "fish").run().ok().stdout;
        let names = asked.lines().filter(|line| !line.starts_with('-'));
        names.map(|line| line.split('\t').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ask(&["worker", "stop", ""]), [suffix.as_str(), "LAT-1"]);
    main.tell("exit 0");
    sandbox.assert_clean();
    assert_eq!(ask(&["worker", "stop", ""]), [""; 0]);
    assert_eq!(ask(&["worker", "show", ""]), [suffix.as_str(), "LAT-1", "LAT-2"]);
}
