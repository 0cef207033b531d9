//! `lattice completions` in a real shell, the manual pages, and `--version` of both programs.

use fs_err as fs;
use serde_json::json;

use crate::harness::binaries::{self, variable, workspace};
use crate::harness::sandbox::Sandbox;

fn project() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.worker("Review", json!({"command": "true", "description": "Looks at it"}));
    sandbox.worker("Retest", json!({"command": sandbox.fake(&["connect=main", "wait"])}));
    sandbox.write("workers/broken.json", "{");
    sandbox.create("Second task");
    sandbox
}

/// What bash offers for the last of these words.
fn offered(sandbox: &Sandbox, words: &[&str]) -> Vec<String> {
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let script = format!(
        "source <(lattice completions bash) || exit 9
         COMP_WORDS=({}) COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)) COMP_TYPE=9
         _clap_complete_lattice lattice \"${{COMP_WORDS[COMP_CWORD]}}\" x
         printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        quoted.join(" ")
    );
    let finished = sandbox.program(["bash", "-c", &script]).run().ok().silent();
    finished
        .stdout
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| line.trim().to_owned())
        .collect()
}

#[test]
fn bash_offers_what_is_there() {
    let sandbox = project();
    let run = sandbox.start("Retest");
    let main = sandbox.socket.peer("main");
    let before = sandbox.tree();
    assert_eq!(offered(&sandbox, &["lattice", "worker", "run", "Re"]), ["Retest", "Review"]);
    assert_eq!(offered(&sandbox, &["lattice", "worker", "run", "REV"]), ["Review"]);
    assert_eq!(offered(&sandbox, &["lattice", "worker", "run", "Review", "L"]), ["LAT-1", "LAT-2"]);
    assert_eq!(offered(&sandbox, &["lattice", "show", "LAT-2"]), ["LAT-2"]);
    for command in ["check", "env"] {
        assert_eq!(offered(&sandbox, &["lattice", "worker", command, "rev"]), ["Review"]);
    }
    let shipped = offered(&sandbox, &["lattice", "worker", "add", "code"]);
    assert_eq!(shipped, ["CodeReviewHeavy", "CodeReviewLite"]);
    let engines = offered(&sandbox, &["lattice", "worker", "new", "X", "--engine", "c"]);
    assert_eq!(engines, ["claude", "codex"]);
    let suffix = &run.id[run.id.len() - 6..];
    let targets = offered(&sandbox, &["lattice", "worker", "stop", ""]);
    assert!(
        targets.contains(&suffix.to_owned()) && targets.contains(&"LAT-1".to_owned()),
        "{targets:?}"
    );
    let commands = offered(&sandbox, &["lattice", "work"]);
    assert_eq!(commands, ["worker"]);
    let options = offered(&sandbox, &["lattice", "worker", "run", "--dry"]);
    assert_eq!(options, ["--dry-run"]);
    // What it offers is taken.
    sandbox.lattice(["worker", "show", suffix]).run().ok();
    sandbox.assert_unchanged(&before);
    main.tell("exit 0");
    run.ended();
}

#[test]
fn every_shell_gets_a_script_and_no_project_is_no_trouble() {
    let sandbox = project();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = sandbox.lattice(["completions", shell]).run().ok().silent().stdout;
        assert!(script.contains("LATTICE_COMPLETE") && script.contains("lattice"), "{script}");
    }
    sandbox.sh("lattice completions bash | bash -n");
    let ask = || {
        let call = sandbox.lattice(["--", "lattice", "worker", "run", ""]);
        call.env("LATTICE_COMPLETE", "fish")
    };
    let told = ask().run().ok().silent().stdout;
    assert!(told.contains("Review\tLooks at it"), "{told}");
    assert!(!told.contains("broken"), "{told}");
    let outside = ask().current_dir(&sandbox.base).run().ok().silent();
    assert!(!outside.stdout.contains("Review"), "{outside}");
    sandbox.lattice(["completions", "cmd"]).run().exits(2);
    // The usual variable of other programs does not turn this one into something else.
    let listed = sandbox.lattice(["list"]).env("COMPLETE", "fish").run().ok();
    assert!(listed.stdout.contains("LAT-1"), "{listed}");
}

#[test]
fn manual_pages_say_what_help_says() {
    let sandbox = Sandbox::empty();
    sandbox.lattice(["man", "share/man1"]).run().ok().silent().stdout("");
    let read =
        |name: &str| fs::read_to_string(sandbox.project.join("share/man1").join(name)).unwrap();
    assert!(read("lattice.1").contains(".TH lattice 1"));
    let page = read("lattice-worker-run.1");
    assert!(page.contains("dry\\-run") && page.contains("Start a worker on a task"), "{page}");
    let pages = fs::read_dir(sandbox.project.join("share/man1")).unwrap().count();
    assert!(pages > 20, "a page for each command: {pages}");
}

#[test]
fn both_programs_tell_one_version() {
    let sandbox = Sandbox::empty();
    let of = |name: &str| {
        let program = binaries::directory().join(name).into_os_string();
        let told = sandbox.program([program, "--version".into()]).run().ok().silent().stdout;
        told.strip_prefix(&format!("{name} ")).expect("its name comes first").to_owned()
    };
    assert_eq!(of("lattice"), of("lattice-shim"));
    assert!(of("lattice").starts_with("0.") && of("lattice").lines().count() == 1);
}

/// The build script alone, in repositories and outside of any.
#[test]
fn the_version_names_the_commit_where_there_is_one() {
    let sandbox = Sandbox::empty();
    let script = workspace().join("lattice/build.rs").display().to_string();
    let program = sandbox.base.join("build-script").display().to_string();
    let rustc = variable("RUSTC").unwrap_or_else(|| "rustc".into());
    let home = variable("HOME").unwrap_or_default();
    let words = ["--edition=2024", "-Aunknown_lints", "-o", &program, &script];
    let call = sandbox.program([rustc.clone()]);
    words.iter().fold(call, |call, word| call.arg(*word)).env("HOME", home).run().ok();
    sandbox.write("lattice/build.rs", "");
    let text = |environment: &[(&str, &str)]| {
        let call = sandbox.program([program.as_str()]).current_dir(sandbox.project.join("lattice"));
        let call = call.env("CARGO_PKG_VERSION", "1.2.3");
        let call = environment.iter().fold(call, |call, (name, value)| call.env(name, *value));
        let told = call.run().ok().silent().stdout;
        let line = told
            .lines()
            .find_map(|line| line.strip_prefix("cargo:rustc-env=LATTICE_VERSION_TEXT="));
        line.expect("the text is told").to_owned()
    };
    let release = ("PROFILE", "release");
    assert_eq!(text(&[release]), "1.2.3", "outside of any repository");
    sandbox.make_repository();
    assert_eq!(text(&[("PROFILE", "debug")]), "1.2.3", "a debug build does not ask");
    let commit = sandbox.git(["log", "-1", "--abbrev=10", "--format=%h %cs"]);
    assert_eq!(text(&[release]), format!("1.2.3 ({commit})"));
    sandbox.write("lattice/build.rs", "// changed\n");
    assert_eq!(text(&[release]), format!("1.2.3 ({commit}, changed)"));
    assert_eq!(
        text(&[release, ("LATTICE_COMMIT", "v1-from-a-tarball")]),
        "1.2.3 (v1-from-a-tarball)"
    );
    assert_eq!(text(&[release, ("PATH", "/nonexistent")]), "1.2.3", "without git");
    sandbox.git(["rm", "-q", "--cached", "lattice/build.rs"]);
    sandbox.git(["commit", "-q", "-m", "Somebody else's repository"]);
    assert_eq!(text(&[release]), "1.2.3", "none of its files");
}
