//! The review workers that come with Lattice, from `worker add` to the attached report, with stand-in agents.

use fs_err as fs;
use serde_json::{Value, json};

use crate::harness::engines::stream;
use crate::harness::sandbox::Sandbox;

/// A project in which somebody has changed something, with one of the workers.
fn project(worker: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.lattice(["worker", "add", worker]).run().ok();
    sandbox.commit("Add a worker");
    sandbox.write("sum.sh", "echo $(($1 - $2))\n");
    sandbox.commit("Add sum.sh");
    sandbox
}

/// An agent that answers each part of a review with its own name, and does what else is said.
fn answering(sandbox: &Sandbox, engine: &str, more: &str) {
    let script = format!(
        "prompt=$(cat {}/{engine}.$$.prompt); part=$(sed -n 's/^# Your part: //p' <<<\"$prompt\"); \
         echo \"[$part] $(git rev-parse HEAD)\" >> {}; {more} answer=\"$part by {engine}.\"; {}",
        sandbox.bin().display(),
        sandbox.base.join("parts").display(),
        records(engine),
    );
    sandbox.install(engine, &["exec=bash", "-c", &script]);
}

/// Prints `$answer` as the agent does.
fn records(engine: &str) -> &'static str {
    match engine {
        "claude" => {
            r#"printf '{"type":"result","subtype":"success","is_error":false,"session_id":"s","num_turns":2,"total_cost_usd":0.25,"usage":{"input_tokens":100,"output_tokens":10},"result":"%s"}\n' "$answer""#
        }
        "codex" => {
            r#"printf '{"type":"thread.started","thread_id":"t"}\n{"type":"turn.started"}\n{"type":"item.completed","item":{"type":"agent_message","text":"%s"}}\n{"type":"turn.completed","usage":{"input_tokens":50,"cached_input_tokens":40,"output_tokens":5}}\n' "$answer""#
        }
        "gemini" => {
            r#"printf '{"type":"init","session_id":"g","model":"m"}\n{"type":"message","role":"assistant","content":"%s"}\n{"type":"result","status":"success","stats":{"input_tokens":30,"output_tokens":3}}\n' "$answer""#
        }
        _ => {
            r#"printf '{"type":"text","sessionID":"o","part":{"text":"%s"}}\n{"type":"step_finish","sessionID":"o","part":{"reason":"stop","cost":0.5,"tokens":{"input":20,"output":2}}}\n' "$answer""#
        }
    }
}

/// What was asked of whom, in the order of the alphabet.
fn parts(sandbox: &Sandbox) -> Vec<String> {
    let text = fs::read_to_string(sandbox.base.join("parts")).unwrap();
    let mut parts: Vec<String> =
        text.lines().map(|line| line[1..].split(']').next().unwrap().to_owned()).collect();
    parts.sort();
    parts
}

/// The run's end, and its report, which is attached with the role of a review.
#[track_caller]
fn reviewed(sandbox: &Sandbox, worker: &str, prefix: &str) -> (Value, String) {
    let head = sandbox.git(["rev-parse", "HEAD"]);
    let run = sandbox.start(worker);
    let end = run.ended();
    assert_eq!(end["type"], "process_completed", "{end}\n{}", run.log());
    let id = end["data"]["artifact_id"].as_str().unwrap();
    let artifacts = sandbox.lattice_dir().join("artifacts");
    let meta = fs::read_to_string(artifacts.join(format!("meta/{id}.json"))).unwrap();
    assert!(meta.contains(&format!("\"{prefix}First task\"")), "{meta}");
    let shown = sandbox.lattice(["show", "LAT-1", "--json"]).run().ok().data();
    assert_eq!(shown["evidence_refs"][0]["role"], "review", "{shown}");
    sandbox.assert_clean();
    assert_eq!(sandbox.git(["rev-parse", "HEAD"]), head, "the main checkout stays where it was");
    (end.clone(), fs::read_to_string(artifacts.join(format!("payload/{id}.md"))).unwrap())
}

#[test]
fn one_agent_reviews_and_its_last_message_is_the_review() {
    let sandbox = project("CodeReviewLite");
    sandbox.install("claude", &[&format!("cat={}", stream("claude-fine"))]);
    let (end, report) = reviewed(&sandbox, "CodeReviewLite", "Review: ");
    assert_eq!(report, "The change is fine.\n\nNothing to add.\n");
    assert!(end["data"]["usage"]["cost_usd"].is_number(), "{end}");
    let seen = sandbox.seen("claude");
    let prompt = seen["prompt"].as_str().unwrap();
    assert!(prompt.starts_with("# Review of LAT-1: First task\n"), "{prompt}");
    assert!(!prompt.contains("{{"), "{prompt}");
    // A reviewer that may not write needs nobody's leave, root's neither.
    assert!(!seen["argv"].to_string().contains("--dangerously-skip-permissions"), "{seen}");
}

#[test]
fn a_panel_makes_one_review_of_several() {
    let sandbox = project("CodeReviewHeavy");
    answering(&sandbox, "claude", "");
    answering(&sandbox, "codex", "");
    let (end, report) = reviewed(&sandbox, "CodeReviewHeavy", "Review by a panel: ");
    assert_used_by_a_panel(&sandbox, &end);
    assert!(report.starts_with("one review out of several by claude.\n"), "{report}");
    assert!(report.contains("4 of 4 reviews came about."), "{report}");
    let expected = [
        "one review out of several",
        "the critical review",
        "the critical review",
        "the standard review",
        "the standard review",
    ];
    assert_eq!(parts(&sandbox), expected);
    // The last one was asked with all the others' words, and with the range that is under review.
    let asked = sandbox.seen("claude")["prompt"].as_str().unwrap().to_owned();
    for words in [
        "# Review by codex:critical\n\nthe critical review by codex.",
        "# The task: LAT-1, First task",
    ] {
        assert!(asked.contains(words), "{words} in {asked}");
    }
    let (base, head) = (sandbox.git(["rev-parse", "HEAD^"]), sandbox.git(["rev-parse", "HEAD"]));
    assert!(asked.contains(&format!("`git diff {base} {head}`")), "{asked}");
}

/// Each agent's own, and the sum of it: for the run, and for its task.
#[track_caller]
fn assert_used_by_a_panel(sandbox: &Sandbox, end: &Value) {
    let usage = &end["data"]["usage"];
    let sum = json!([8, 400, 80, 40, 0.75]);
    let keys = ["turns", "input_tokens", "cached_input_tokens", "output_tokens", "cost_usd"];
    assert_eq!(json!(keys.map(|key| &usage[key])), sum, "{usage}");
    let mut agents: Vec<String> = usage["agents"].as_array().unwrap().iter().map(name).collect();
    agents.sort();
    let expected = [
        "claude:critical s",
        "claude:standard s",
        "claude:synthesis s",
        "codex:critical t",
        "codex:standard t",
    ];
    assert_eq!(agents, expected, "{usage}");
    let shown = sandbox.lattice(["show", "LAT-1", "--json"]).run().ok().data();
    assert_eq!(json!(keys.map(|key| &shown["usage"][key])), sum, "{shown}");
    let page = sandbox.lattice(["show", "LAT-1"]).run().ok().stdout;
    assert!(
        page.contains("\nUsage: 1 run, 8 turns, 400 tokens in (80 cached), 40 out, $0.7500\n"),
        "{page}"
    );
    let run = end["data"]["started_event_id"].as_str().unwrap();
    let page = sandbox.lattice(["worker", "show", run]).run().ok().stdout;
    assert!(page.contains("$0.7500, of 5 agents, of which 3 told what they cost\n"), "{page}");
}

fn name(agent: &Value) -> String {
    format!("{} {}", agent["agent"].as_str().unwrap(), agent["session_id"].as_str().unwrap())
}

#[test]
fn a_change_begins_behind_the_branch_that_the_remote_names() {
    let sandbox = project("CodeReviewHeavy");
    let begin = sandbox.git(["rev-parse", "HEAD~2"]);
    sandbox.git(["update-ref", "refs/remotes/origin/trunk", &begin]);
    sandbox.git(["symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/trunk"]);
    answering(&sandbox, "claude", "");
    answering(&sandbox, "codex", "");
    let (_, report) = reviewed(&sandbox, "CodeReviewHeavy", "Review by a panel: ");
    let head = sandbox.git(["rev-parse", "HEAD"]);
    assert!(report.contains(&format!("Under review: `{begin}..{head}`.")), "{report}");
}

#[test]
fn reviewers_that_fail_are_named_and_the_others_count() {
    let sandbox = project("CodeReviewHeavy");
    // It cannot make one of several, so the next one has to.
    answering(
        &sandbox,
        "claude",
        "case $part in one*) echo overloaded >&2; exit 1;; *critical*) exit 0;; esac;",
    );
    answering(
        &sandbox,
        "codex",
        "case $part in *critical*) echo quota exceeded >&2; exit 3;; esac;",
    );
    let (end, report) = reviewed(&sandbox, "CodeReviewHeavy", "Review by a panel: ");
    assert_eq!(end["data"]["usage"]["agents"].as_array().unwrap().len(), 3, "{end}");
    assert!(report.starts_with("one review out of several by codex.\n"), "{report}");
    assert!(
        report.contains("2 of 4 reviews came about.\n\n- claude:standard: answered\n"),
        "{report}"
    );
    assert!(
        report.contains(
            "- claude:critical: **failed**: Error: claude left no result record and exited 0"
        ),
        "{report}"
    );
    assert!(
        report.contains(
            "- codex:critical: **failed**: Error: codex was told to come back later: quota exceeded; wait"
        ),
        "{report}"
    );
    assert!(report.ends_with("- synthesis: codex\n"), "{report}");
}

#[test]
fn reviews_that_nobody_can_bring_together_stand_as_they_are() {
    let sandbox = project("CodeReviewHeavy");
    let no_synthesis = "case $part in one*) exit 1;; esac;";
    answering(&sandbox, "claude", no_synthesis);
    let (_, report) = reviewed(&sandbox, "CodeReviewHeavy", "Review by a panel: ");
    assert!(
        report.contains("# Review by claude:critical\n\nthe critical review by claude."),
        "{report}"
    );
    assert!(
        report.contains("- codex:standard: **failed**: agent: codex is not installed"),
        "{report}"
    );
    assert!(report.contains("- synthesis: **failed**"), "{report}");
}

#[test]
fn a_panel_of_which_nobody_answers_fails() {
    let sandbox = project("CodeReviewHeavy");
    answering(&sandbox, "claude", "exit 1;");
    let run = sandbox.start("CodeReviewHeavy");
    let end = run.ended();
    assert_eq!(end["type"], "process_failed", "{end}");
    assert_eq!(
        (&end["data"]["exit_code"], end["data"].get("artifact_id")),
        (&json!(1), None),
        "{end}"
    );
    assert_eq!(end["data"].get("usage"), None, "nobody has told anything: {end}");
    assert!(run.log().contains("no review came about"), "{}", run.log());
    sandbox.assert_clean();
}

#[test]
fn three_reviews_fixes_on_a_ref_and_a_second_look() {
    let sandbox = project("TripleThreatReview");
    // What it commits, and what it forgets to.
    let fix = "case $part in mend*) echo 'echo $(($1 + $2))' > sum.sh; git -c user.name=f -c user.email=f@x \
               commit -qam 'Add instead of taking away'; echo tested > notes.txt;; esac;";
    answering(&sandbox, "claude", fix);
    // A reviewer that builds something leaves it out of the fixes.
    answering(&sandbox, "codex", "echo junk > built.o;");
    answering(&sandbox, "gemini", "");
    let (end, report) = reviewed(&sandbox, "TripleThreatReview", "Review and fixes: ");
    let expected = [
        "is it correct?",
        "is it safe?",
        "look at the fixes",
        "mend what was found",
        "one review out of several",
        "will it last?",
    ];
    assert_eq!(parts(&sandbox), expected);
    for words in [
        "one review out of several by claude.",
        "# Fixes\n\nIn `",
        "Add instead of taking away",
        "mend what was found by claude.",
        "# Second look\n\nlook at the fixes by claude.",
        "3 of 3 reviews came about.",
    ] {
        assert!(report.contains(words), "{words} in {report}");
    }
    // The fixes are on the ref, and nowhere else.
    let name = end["data"]["preserved_ref"].as_str().unwrap();
    assert!(report.contains(name), "{report}");
    assert_eq!(fs::read_to_string(sandbox.project.join("sum.sh")).unwrap(), "echo $(($1 - $2))\n");
    assert!(!sandbox.project.join("notes.txt").exists());
    let changed = sandbox.git(["diff", "--name-only", "HEAD", &format!("{name}^")]);
    let changed: Vec<&str> = changed.lines().filter(|path| *path != "built.o").collect();
    assert_eq!(changed, ["notes.txt", "sum.sh"], "{end}");
    let run = end["data"]["started_event_id"].as_str().unwrap();
    sandbox.lattice(["worker", "apply", run]).run().ok();
    assert_eq!(fs::read_to_string(sandbox.project.join("sum.sh")).unwrap(), "echo $(($1 + $2))\n");
}

/// Called by hand in the user's own checkout, it would change the user's files.
#[test]
fn fixes_are_refused_outside_of_a_worktree() {
    let sandbox = project("TripleThreatReview");
    answering(&sandbox, "claude", "touch mended;");
    let call = sandbox.program(["scripts/review-panel", "--fix", "claude:correctness"]);
    let refused = call.input("Context\n").run().exits(2);
    assert!(refused.stderr.contains("works in a linked worktree only"), "{refused}");
    assert!(!sandbox.project.join("mended").exists());
    // Without fixes it may be called anywhere, and prints its report.
    let call = sandbox.program(["scripts/review-panel", "claude:correctness"]);
    let printed = call.input("Context\n").env("IS_SANDBOX", "1").run().ok().stdout;
    assert!(printed.contains("is it correct? by claude."), "{printed}");
}

/// An agent says itself that it failed, whatever it exits with, and what it has used until then counts.
#[test]
fn an_agent_of_a_panel_is_judged_by_its_records() {
    let sandbox = project("CodeReviewHeavy");
    answering(&sandbox, "claude", "case $part in one*) ;; *) sleep 0;; esac;");
    sandbox.install("codex", &[&format!("cat={}", stream("codex-401")), "exit=0"]);
    let denied = format!("cat={}", stream("claude-denied"));
    let (_, report) = reviewed(&sandbox, "CodeReviewHeavy", "Review by a panel: ");
    assert!(
        report.contains("- codex:standard: **failed**: Error: codex could not sign in (HTTP 401)"),
        "{report}"
    );
    assert!(report.contains("2 of 4 reviews came about."), "{report}");
    sandbox.install("claude", &[&denied]);
    let run = sandbox.start("CodeReviewHeavy");
    let end = run.ended();
    assert_eq!(
        (&end["type"], &end["data"]["exit_code"]),
        (&json!("process_failed"), &json!(1)),
        "{end}"
    );
    assert!(
        run.log().contains("2 tool calls denied") || run.log().contains("1 tool call denied"),
        "{}",
        run.log()
    );
    let agents = end["data"]["usage"]["agents"].as_array().unwrap();
    assert_eq!(agents.len(), 4, "{end}");
    assert!(end["data"]["usage"]["cost_usd"].as_f64().unwrap() > 0.0, "{end}");
}

/// The helper's flags are those of Lattice's own table, but for the session, which is the run's.
#[test]
fn the_helper_calls_agents_as_lattice_does() {
    for engine in ["claude", "codex", "gemini", "opencode"] {
        let sandbox = project("CodeReviewHeavy");
        answering(&sandbox, engine, "");
        let script = format!("scripts/agent {engine} answer <prompts/review-context.md");
        sandbox.program(["bash", "-c", &script]).env("IS_SANDBOX", "1").run().ok();
        let by_hand = flags(&sandbox.seen(engine)["argv"]);
        sandbox.install(engine, &[&format!("cat={}", stream(&format!("{engine}-fine")))]);
        sandbox.agent(engine, &json!({}));
        sandbox.run_to_end("Agent");
        let ours = flags(&sandbox.seen(engine)["argv"]);
        let ours: Vec<String> = ours.into_iter().filter(|flag| flag != "--session-id").collect();
        assert_eq!(by_hand, ours, "{engine}");
    }
}

fn flags(argv: &Value) -> Vec<String> {
    let words = argv.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned());
    let mut flags: Vec<String> = words.filter(|word| word.starts_with('-')).collect();
    flags.sort();
    flags
}
