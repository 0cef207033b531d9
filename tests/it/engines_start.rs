//! Before an agent begins: prompts, what is refused, submodules, and git inside.

use fs_err as fs;
use serde_json::{Value, json};

use crate::harness::engines::stream;
use crate::harness::sandbox::Sandbox;

/// A sandbox with an agent that would succeed.
fn with_codex() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.install("codex", &[&format!("cat={}", stream("codex-fine"))]);
    sandbox.agent("codex", &json!({}));
    sandbox
}

#[track_caller]
fn refused(sandbox: &Sandbox, code: &str) -> Value {
    let before = sandbox.events();
    let error =
        sandbox.lattice(["worker", "run", "Agent", "LAT-1", "--json"]).run().refused(1, code);
    assert_eq!(sandbox.events(), before, "a refusal changes nothing");
    sandbox.assert_clean();
    error
}

#[test]
fn every_placeholder_has_its_value() {
    let sandbox = with_codex();
    let names = [
        "task.id",
        "task.short_id",
        "task.title",
        "task.description",
        "task.type",
        "task.priority",
        "worker",
        "run",
        "commit",
        "report",
        "worktree",
        "actor",
    ];
    let text: Vec<String> = names.iter().map(|name| format!("{name}={{{{{name}}}}}")).collect();
    sandbox.prompt(&text.join("\n"));
    let run = sandbox.start("Agent");
    run.ended();
    let seen = sandbox.seen("codex");
    let found: Vec<&str> = seen["prompt"].as_str().unwrap().lines().collect();
    let env = |name: &str| seen["env"][name].as_str().unwrap();
    let commit = sandbox.git(["rev-parse", "HEAD"]);
    let expected = [
        format!("task.id={}", sandbox.task),
        "task.short_id=LAT-1".to_owned(),
        "task.title=First task".to_owned(),
        "task.description=".to_owned(),
        "task.type=task".to_owned(),
        "task.priority=medium".to_owned(),
        "worker=Agent".to_owned(),
        format!("run={}", run.id),
        format!("commit={commit}"),
        format!("report={}", env("LATTICE_REPORT")),
        format!("worktree={}", env("LATTICE_WORKTREE")),
        "actor=agent:worker".to_owned(),
    ];
    assert_eq!(found, expected);
}

#[test]
fn the_prompt_is_the_one_of_the_commit() {
    let sandbox = with_codex();
    let old = sandbox.git(["rev-parse", "HEAD"]);
    sandbox.prompt("The new one.\n");
    sandbox.write("prompts/p.md", "Not committed.\n");
    let started = sandbox.start("Agent");
    started.ended();
    assert_eq!(sandbox.seen("codex")["prompt"], "The new one.\n");
    sandbox.start_with("Agent", &["--commit", &old]).ended();
    assert_eq!(sandbox.seen("codex")["prompt"], "Review LAT-1.\n");
    // In place there is only the tree as it is.
    sandbox.agent("codex", &json!({"worktree": false}));
    sandbox.run_to_end("Agent");
    assert_eq!(sandbox.seen("codex")["prompt"], "Not committed.\n");
    assert_eq!(sandbox.seen("codex")["cwd"], sandbox.project.display().to_string());
}

#[test]
fn a_prompt_that_is_not_committed_is_told() {
    let sandbox = with_codex();
    sandbox.write("prompts/p.md", "Changed.\n");
    let call = sandbox.lattice(["worker", "run", "Agent", "LAT-1"]).run().ok();
    assert!(call.stderr.contains("prompts/p.md has changes that the run does not see"), "{call}");
    eventually_over(&sandbox);
}

fn eventually_over(sandbox: &Sandbox) {
    sandbox.lattice(["worker", "wait", "LAT-1"]).run().ok();
}

#[test]
fn a_script_reads_its_prompt_too_and_else_nothing() {
    let sandbox = Sandbox::new();
    sandbox.prompt("Do {{task.short_id}}.\n");
    sandbox.worker("Agent", json!({"command": "cat", "prompt_file": "prompts/p.md"}));
    let run = sandbox.start("Agent");
    run.ended();
    assert_eq!(run.log(), "Do LAT-1.\n");
    sandbox.worker("Agent", json!({"command": "readlink /proc/self/fd/0"}));
    let run = sandbox.start("Agent");
    run.ended();
    assert_eq!(run.log(), "/dev/null\n");
}

#[test]
fn unknown_placeholders_are_refused() {
    let sandbox = with_codex();
    sandbox.prompt("Fine: \\{{x}} {{ .Values.y | quote }}\nReview {{task.titel}}.\n");
    let error = refused(&sandbox, "INVALID_DEFINITION");
    assert_eq!(
        error["message"],
        "prompts/p.md line 2: {{task.titel}} is not a placeholder; did you mean {{task.title}}?"
    );
}

#[test]
fn prompts_that_say_nothing_are_refused() {
    let sandbox = with_codex();
    sandbox.prompt(" \n");
    assert_eq!(
        refused(&sandbox, "INVALID_DEFINITION")["message"],
        "the prompt prompts/p.md is empty"
    );
    fs::write(sandbox.project.join("prompts/p.md"), b"\xff").unwrap();
    sandbox.git(["commit", "-q", "-am", "Another encoding"]);
    let message = "the prompt prompts/p.md is not UTF-8";
    assert_eq!(refused(&sandbox, "INVALID_DEFINITION")["message"], message);
}

#[test]
fn an_agent_that_is_not_installed_is_refused() {
    let sandbox = with_codex();
    let keys = json!({"command": ["codex-next"]});
    sandbox.agent("codex", &keys);
    let error = refused(&sandbox, "SPAWN_ERROR");
    assert!(error["message"].as_str().unwrap().contains("`codex-next`"), "{error}");
}

/// As root, because that is when it refuses.
#[test]
fn claude_as_root_needs_a_sandbox_or_other_permissions() {
    if !nix::unistd::Uid::effective().is_root() {
        crate::harness::waiting::skipped("claude_as_root", "it is not run by root");
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.install("claude", &[&format!("cat={}", stream("claude-fine"))]);
    sandbox.agent("claude", &json!({"env": {}}));
    for args in [json!([]), json!(["--permission-mode", "bypassPermissions"])] {
        sandbox.agent("claude", &json!({"env": {}, "args": args}));
        let error = refused(&sandbox, "SPAWN_ERROR");
        assert!(error["hint"].as_str().unwrap().contains("IS_SANDBOX"), "{error}");
    }
    sandbox.agent("claude", &json!({"env": {}}));
    let call = sandbox.lattice(["worker", "run", "Agent", "LAT-1", "--json"]);
    let started = call.env("IS_SANDBOX", "1").run().ok().data();
    assert_eq!(sandbox.run_of(&started).ended()["type"], "process_completed");
    let args = json!(["--permission-mode", "acceptEdits", "--allowedTools", "Bash"]);
    sandbox.agent("claude", &json!({"env": {}, "args": args}));
    let end = sandbox.run_to_end("Agent");
    assert_eq!(end["type"], "process_completed", "{end}");
    assert!(!sandbox.seen("claude")["argv"].to_string().contains("dangerously"));
}

/// Where its tools are to have no secrets, claude wants to lock them in, and does not start where it cannot.
#[test]
fn claude_without_the_bubblewrap_that_it_was_told_to_use() {
    let sandbox = Sandbox::new();
    sandbox.install("claude", &[&format!("cat={}", stream("claude-fine"))]);
    // Nothing but what is needed, lest bubblewrap be there.
    let path = sandbox.base.join("path");
    sandbox.sh(&format!(
        "mkdir {0} && for program in git bash sh env; do ln -s \"$(command -v $program)\" {0}; done",
        path.display()
    ));
    let path = format!("{}:{}", sandbox.bin().display(), path.display());
    let call = || {
        let call = sandbox.lattice(["worker", "run", "Agent", "LAT-1", "--json"]);
        call.env("PATH", path.as_str()).env("CLAUDE_CODE_SUBPROCESS_ENV_SCRUB", "1")
    };
    sandbox.agent("claude", &json!({}));
    let before = sandbox.events();
    let error = call().run().refused(1, "SPAWN_ERROR");
    assert!(error["hint"].as_str().unwrap().contains("bubblewrap"), "{error}");
    assert_eq!(sandbox.events(), before);
    let env = json!({"set": {"IS_SANDBOX": "1"}, "drop": ["CLAUDE_CODE_SUBPROCESS_ENV_SCRUB"]});
    sandbox.agent("claude", &json!({"env": env}));
    let started = call().run().ok().data();
    assert_eq!(sandbox.run_of(&started).ended()["type"], "process_completed");
}

#[test]
fn codex_with_a_home_that_is_not_there_is_refused() {
    let sandbox = with_codex();
    sandbox.agent("codex", &json!({"env": {"set": {"CODEX_HOME": "/nonexistent"}}}));
    let error = refused(&sandbox, "SPAWN_ERROR");
    assert!(error["message"].as_str().unwrap().contains("CODEX_HOME"), "{error}");
}

#[test]
fn submodules_are_checked_out_where_they_are_wanted() {
    let sandbox = Sandbox::new();
    let module = sandbox.base.join("module");
    let module = module.display();
    sandbox.sh(&format!(
        "git init -q -b main {module} && cd {module} && git config user.name A && git config user.email a@b \
         && echo inside > file && git add file && git commit -q -m Begin"
    ));
    sandbox.sh("git config --global protocol.file.allow always");
    sandbox.git(["submodule", "add", "-q", &module.to_string(), "lib"]);
    sandbox.commit("Use a module");
    for (wanted, expected) in [(true, "inside\n"), (false, "none\n")] {
        let command = "cat lib/file 2>/dev/null || echo none";
        sandbox
            .worker("Agent", json!({"command": command, "worktree": true, "submodules": wanted}));
        let run = sandbox.start("Agent");
        let end = run.ended();
        assert_eq!(run.log(), expected, "{end}");
        sandbox.assert_clean();
    }
    sandbox.sh(&format!("rm -rf {module}"));
    let command = json!({"command": "true", "worktree": true, "submodules": true});
    sandbox.worker("Agent", command);
    let end = sandbox.run_to_end("Agent");
    assert_eq!(
        (&end["data"]["reason"], &end["data"]["class"]),
        (&json!("worktree_failed"), &json!("setup")),
        "{end}"
    );
    sandbox.assert_clean();
}

#[test]
fn git_inside_never_collects_garbage_in_the_background() {
    let sandbox = Sandbox::new();
    let command = "git config --get gc.autoDetach; git config --get maintenance.autoDetach; git config --get a.b";
    sandbox.worker("Agent", json!({"command": command, "worktree": true}));
    let call = sandbox.lattice(["worker", "run", "Agent", "LAT-1", "--json"]);
    let call = call
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "a.b")
        .env("GIT_CONFIG_VALUE_0", "mine");
    let run = sandbox.run_of(&call.run().ok().data());
    run.ended();
    assert_eq!(run.log(), "false\nfalse\nmine\n");
}
