//! Tables of what the workflow allows.

use serde_json::{Value, json};

use super::*;
use crate::model::config::Config;
use crate::model::drift::Drift;
use crate::model::event::Event;
use crate::model::failure::{Code, Result};
use crate::model::reduce::Snapshot;

fn config(changes: &Value) -> Config {
    let mut workflow = json!({
        "statuses": ["backlog", "in_planning", "planned", "in_progress", "review", "done", "blocked", "cancelled"],
        "transitions": {
            "backlog": ["in_planning", "planned", "cancelled"],
            "in_planning": ["planned"],
            "planned": ["in_progress", "review", "blocked"],
            "in_progress": ["review", "blocked"],
            "review": ["done", "in_progress", "in_planning"],
            "blocked": ["in_progress"],
        },
        "universal_targets": ["cancelled"],
    });
    for (key, value) in changes.as_object().unwrap() {
        workflow[key] = value.clone();
    }
    Config::from_value(json!({"workflow": workflow}))
}

fn task(status: &str) -> Snapshot {
    let fields = json!({
        "id": "task_01KA00000000000000000000T1", "short_id": "LAT-1", "status": status,
        "evidence_refs": [], "assigned_to": null, "description": null,
    });
    Snapshot(fields.as_object().unwrap().clone())
}

fn moved(from: &str, to: &str) -> Event {
    Event::from_value(json!({"type": "status_changed", "data": {"from": from, "to": to}})).unwrap()
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T>, code: Code) {
    let failure = result.unwrap_err();
    assert_eq!(failure.code(), code, "{failure}");
    assert!(failure.hint_text().is_some_and(|hint| !hint.contains('\n')), "{failure}");
}

fn wish(to: &str) -> Wish<'_> {
    Wish { to, force: false, reason: None, plan: &Plan::Unreadable, review: &Review::None }
}

fn forced(to: &str) -> Wish<'_> {
    Wish { force: true, reason: Some("it must be"), ..wish(to) }
}

#[test]
fn own_transitions_come_first_and_none_twice() {
    let config = Config::from_value(json!({"workflow": {
        "transitions": {"a": ["b", "c"], "odd": 3},
        "universal_targets": ["z", "c"],
    }}));
    assert_eq!(valid_transitions(&config, "a"), ["b", "c", "z"]);
    assert_eq!(valid_transitions(&config, "odd"), ["z", "c"]);
    assert!(valid_transitions(&Config::default(), "a").is_empty());
}

#[test]
fn a_status_is_known_by_both_its_names() {
    let config = config(&json!({"display_names": {"review": "Check My Work"}}));
    for (typed, meant) in [
        ("review", "review"),
        ("check my work", "review"),
        ("in progress", "in_progress"),
        ("In Progress", "in_progress"),
    ] {
        assert_eq!(resolve_status(&config, typed).unwrap(), meant);
    }
    for typed in ["", "Review", "reviewed"] {
        refused(resolve_status(&config, typed), Code::ValidationError);
    }
}

#[test]
fn steps_of_the_workflow_and_ways_out_of_it() {
    let config = config(&json!({}));
    let decide = |from, wish: &Wish<'_>| decide(&config, &task(from), &[], wish);
    assert_eq!(decide("backlog", &wish("backlog")).unwrap(), None);
    let planned = decide("backlog", &wish("planned")).unwrap().unwrap();
    assert_eq!(planned.data, json!({"from": "backlog", "to": "planned"}));
    assert!(!planned.backward);
    assert!(decide("review", &wish("in_planning")).unwrap().unwrap().backward);
    assert!(decide("done", &wish("cancelled")).unwrap().is_some());
    refused(decide("backlog", &wish("done")), Code::InvalidTransition);
    let details = decide("backlog", &wish("done")).unwrap_err();
    assert_eq!(
        details.details()["valid_transitions"],
        json!(["in_planning", "planned", "cancelled"])
    );

    refused(decide("backlog", &Wish { reason: None, ..forced("done") }), Code::ValidationError);
    refused(decide("backlog", &Wish { reason: Some(""), ..forced("done") }), Code::ValidationError);
    let done = decide("backlog", &forced("done")).unwrap().unwrap();
    assert_eq!(
        done.data,
        json!({"from": "backlog", "to": "done", "force": true, "reason": "it must be"})
    );
    let needless = decide("backlog", &Wish { reason: None, ..forced("planned") });
    assert_eq!(
        needless.unwrap().unwrap().data,
        json!({"from": "backlog", "to": "planned", "force": true, "reason": null})
    );
}

#[test]
fn work_comes_back_from_review_only_so_often() {
    let config = config(&json!({"review_cycle_limit": 2}));
    let once = [moved("review", "in_progress"), moved("in_progress", "review")];
    let twice = [&once[..], &[moved("review", "in_planning")]].concat();
    assert!(decide(&config, &task("review"), &once, &wish("in_progress")).unwrap().is_some());
    let again = |wish| decide(&config, &task("review"), &twice, &wish);
    refused(again(wish("in_progress")), Code::ReviewCycleLimit);
    refused(again(wish("in_planning")), Code::ReviewCycleLimit);
    assert!(again(wish("done")).unwrap().is_some());
    assert!(again(forced("in_planning")).unwrap().is_some());
    // Without a limit of its own a project has three.
    let config = self::config(&json!({}));
    assert!(decide(&config, &task("review"), &twice, &wish("in_progress")).unwrap().is_some());
    let thrice = [&twice[..], &[moved("review", "in_progress")]].concat();
    refused(
        decide(&config, &task("review"), &thrice, &wish("in_progress")),
        Code::ReviewCycleLimit,
    );
}

#[test]
fn a_policy_asks_for_evidence_and_somebody() {
    let policy = json!({"done": {"require_roles": ["review", "qa"], "require_assigned": true}});
    let config = config(&json!({"completion_policies": policy}));
    let mut task = task("review");
    let decide = |task: &Snapshot, wish: &Wish<'_>| decide(&config, task, &[], wish);
    let failure = decide(&task, &wish("done")).unwrap_err();
    assert_eq!(failure.code(), Code::CompletionBlocked);
    for part in ["review", "qa", "nobody is assigned"] {
        assert!(failure.message().contains(part), "{failure}");
    }
    refused(decide(&task, &Wish { reason: None, ..forced("done") }), Code::ValidationError);
    assert!(decide(&task, &forced("done")).unwrap().is_some());
    task.0["assigned_to"] = json!({"name": "Ana-1"});
    task.0["evidence_refs"] = json!([
        {"id": "ev_1", "role": "review", "source_type": "comment"},
        {"id": "art_1", "role": null, "source_type": "artifact"},
    ]);
    refused(decide(&task, &wish("done")), Code::CompletionBlocked);
    task.0["evidence_refs"][1]["role"] = json!("qa");
    assert!(decide(&task, &wish("done")).unwrap().is_some());
}

#[test]
fn universal_targets_have_no_policy() {
    let policies = json!({
        "cancelled": {"require_roles": ["review"], "require_fresh_review": true},
        "done": {"require_fresh_review": true},
        "review": {"require_fresh_review": false},
    });
    let config = config(&json!({"completion_policies": policies}));
    assert!(decide(&config, &task("backlog"), &[], &wish("cancelled")).unwrap().is_some());
    let wants = ["cancelled", "done", "review", "none"].map(|to| wants_fresh_review(&config, to));
    assert_eq!(wants, [false, true, false, false]);
}

#[test]
fn a_review_must_be_of_head_where_that_is_asked_for() {
    let config = config(&json!({"completion_policies": {"done": {"require_fresh_review": true}}}));
    let of = |drift| Review::Of("abc1234ffff".to_owned(), drift);
    let decide =
        |review: &Review| decide(&config, &task("review"), &[], &Wish { review, ..wish("done") });
    assert!(decide(&of(Drift::Behind(0))).unwrap().is_some());
    for (review, words) in [
        (of(Drift::Behind(1)), "is of abc1234, 1 commit behind"),
        (of(Drift::Behind(3)), "is of abc1234, 3 commits behind"),
        (of(Drift::FarBehind(1000)), "more than 1000 commits behind"),
        (of(Drift::Elsewhere), "not in the history of HEAD"),
        (Review::None, "no artifact has the role review"),
        (Review::Unknown("why".to_owned()), "why"),
    ] {
        let failure = decide(&review).unwrap_err();
        assert_eq!(failure.code(), Code::CompletionBlocked);
        assert!(failure.message().contains(words), "{failure}");
    }
}

#[test]
fn the_newest_artifact_of_a_role() {
    let mut task = task("review");
    let (a, b) = ("art_01KA00000000000000000000A1", "art_01KA00000000000000000000A2");
    task.0["evidence_refs"] = json!([
        {"id": a, "role": "review", "source_type": "artifact"},
        {"id": b, "role": "review", "source_type": "artifact"},
        {"id": "ev_1", "role": "review", "source_type": "comment"},
        {"id": a, "role": "qa", "source_type": "artifact"},
    ]);
    let newest = |role| newest_artifact(&task, role).map(|id| id.to_string());
    assert_eq!(newest("review").as_deref(), Some(b));
    assert_eq!(newest("qa").as_deref(), Some(a));
    assert_eq!(newest("none"), None);
}

#[test]
fn work_begins_with_a_plan() {
    let config = config(&json!({}));
    let decide = |plan: &Plan, wish: &Wish<'_>| {
        decide(&config, &task("planned"), &[], &Wish { plan, ..wish.clone() })
    };
    let scaffold = Plan::Text("# LAT-1: Title\n".to_owned());
    refused(decide(&Plan::Missing, &wish("in_progress")), Code::PlanRequired);
    refused(decide(&scaffold, &wish("in_progress")), Code::PlanRequired);
    assert!(decide(&scaffold, &wish("review")).unwrap().is_some());
    assert!(decide(&Plan::Unreadable, &wish("in_progress")).unwrap().is_some());
    assert!(decide(&Plan::Text("Do it.".to_owned()), &wish("in_progress")).unwrap().is_some());
    assert!(decide(&Plan::Missing, &forced("in_progress")).unwrap().is_some());
    refused(
        decide(&Plan::Unreadable, &Wish { reason: None, ..forced("in_progress") }),
        Code::ValidationError,
    );
}

#[test]
fn scaffolds() {
    let check = |plan: &str, description: Option<&str>, expected: bool| {
        assert_eq!(is_scaffold(plan, description), expected, "{plan:?} {description:?}");
    };
    for scaffold in ["", " \n\n", "# Title", "# Title\n\n", "\n# Title\n"] {
        check(scaffold, None, true);
    }
    check("# T\n\nAs described.\n", Some("As described."), true);
    check("# T\n\n  As\n\n described. \n", Some(" As\ndescribed.\n\n"), true);
    check("# T\n\nAs described.\n", None, false);
    check("# T\n\nAs described.\n", Some(""), false);
    check("# T\n\nAs described.\nAnd so on.\n", Some("As described."), false);
    check("Title\n", None, false);
    check("#Title\n", None, false);
    for body in ["## A", "### A", "- a", "* a", "```", "1. a", "12. a", "123. a"] {
        check(&format!("# T\n\n{body}\n"), Some(body), false);
    }
    for body in ["1.a", "1234. a", "-a", "#### A", "1."] {
        check(&format!("# T\n\n{body}\n"), Some(body), true);
    }
}

#[test]
fn the_shortest_way_by_the_workflows_own_steps() {
    let config = config(&json!({}));
    let check = |from: &str, to: &str, expected: Option<&[&str]>| {
        assert_eq!(
            claim_path(&config, from, to).as_deref(),
            expected
                .map(|path| path.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>())
                .as_deref()
        );
    };
    check("backlog", "in_progress", Some(&["planned", "in_progress"]));
    check("in_planning", "in_progress", Some(&["planned", "in_progress"]));
    check("in_progress", "in_progress", Some(&[]));
    check("backlog", "done", Some(&["planned", "review", "done"]));
    check("in_planning", "done", Some(&["planned", "review", "done"]));
    check("blocked", "cancelled", None);
    check("done", "in_progress", None);
    let chain = json!({"a": ["b", "a"], "b": ["c"], "c": ["d"], "d": ["e"]});
    let config = self::config(&json!({"transitions": chain}));
    assert_eq!(claim_path(&config, "a", "d").unwrap(), ["b", "c", "d"]);
    assert_eq!(claim_path(&config, "a", "e"), None);
}

#[test]
fn claiming() {
    let config = config(&json!({}));
    let mut task = task("backlog");
    let steps = claim_steps(&config, &task, "a:b").unwrap();
    let kinds: Vec<_> = steps.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, ["assignment_changed", "status_changed", "status_changed"]);
    assert_eq!(steps[0].1, json!({"from": null, "to": "a:b"}));
    assert_eq!(steps[2].1, json!({"from": "planned", "to": "in_progress"}));
    task.0["assigned_to"] = json!("c:d");
    refused(claim_steps(&config, &task, "a:b"), Code::AlreadyClaimed);
    task.0["assigned_to"] = json!({"name": "a:b"});
    assert_eq!(claim_steps(&config, &task, "a:b").unwrap().len(), 2);
    task.0["status"] = json!("in_progress");
    assert!(claim_steps(&config, &task, "a:b").unwrap().is_empty());
    task.0["status"] = json!("done");
    refused(claim_steps(&config, &task, "a:b"), Code::InvalidTransition);
    task.0["assigned_to"] = Value::Null;
    refused(claim_steps(&config, &task, "a:b"), Code::AlreadyClaimed);
}
