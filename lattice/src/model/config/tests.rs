//! Defaults, odd values and the display of a configuration.

use serde_json::json;

use super::*;
use crate::model::definition::EngineKind;

fn config(value: serde_json::Value) -> Config {
    Config::from_value(value)
}

#[test]
fn a_fresh_one_has_what_python_writes() {
    let fresh = Config::fresh(&Fresh {
        default_actor: Some("human:ana".to_owned()),
        project_code: Some("QX".to_owned()),
        ..Fresh::default()
    });
    let keys: Vec<_> = fresh.raw().keys().map(String::as_str).collect();
    let expected = [
        "default_actor",
        "default_priority",
        "default_status",
        "instance_id",
        "project_code",
        "schema_version",
        "task_types",
        "workflow",
        "workflow_preset",
    ];
    assert_eq!(keys, expected);
    assert_eq!(fresh.statuses().len(), 9);
    assert_eq!((fresh.roles(), fresh.task_types().len()), (vec!["review"], 4));
    assert_eq!(fresh.short_id_prefix().as_deref(), Some("QX"));
    assert!(fresh.file_text().ends_with("}\n"));
}

#[test]
fn odd_values_mean_defaults() {
    for odd in [
        json!(null),
        json!([]),
        json!({}),
        json!({"workflow": 1, "workers": [], "hooks": "x", "project_code": ""}),
    ] {
        let config = config(odd);
        assert_eq!((config.default_status(), config.default_priority()), ("backlog", "medium"));
        assert!(
            config.statuses().is_empty() && config.roles().is_empty() && config.hooks().is_empty()
        );
        assert_eq!(config.short_id_prefix(), None);
        assert_eq!(
            config.workers(),
            Workers {
                grace_seconds: None,
                worktree_root: None,
                keep_days: 30.0,
                max_parallel: MaxParallel::default(),
                when_full: WhenFull::Refuse,
                worktree_pool: 0,
                worktree_pool_days: 7.0,
                worktree_pool_mb: 4096,
                end_limit_seconds: 300.0
            }
        );
    }
}

#[test]
fn roles_are_collected_from_everywhere() {
    let config = config(json!({"workflow": {
        "roles": ["review", "audit"],
        "completion_policies": {"done": {"require_roles": ["sign-off", "review"]}, "x": null},
    }}));
    assert_eq!(config.roles(), ["audit", "review", "sign-off"]);
}

#[test]
fn names_for_people() {
    let config = config(json!({"workflow": {"display_names": {"done": "shipped"}}}));
    assert_eq!(
        (config.display_status("done"), config.display_status("in_progress")),
        ("shipped".into(), "in progress".into())
    );
    let sub = Config::from_value(json!({"project_code": "QX", "subproject_code": "F"}));
    assert_eq!(sub.short_id_prefix().as_deref(), Some("QX-F"));
}

#[test]
fn worker_settings() {
    let good = config(
        json!({"workers": {"grace_seconds": 2.5, "worktree_root": "/w", "keep_days": 7, "max_parallel": 3}}),
    );
    let workers = good.workers();
    assert_eq!(
        (workers.grace_seconds, workers.keep_days, workers.max_parallel.total),
        (Some(2.5), 7.0, Some(3))
    );
    assert!(good.worker_warnings().is_empty());
    let bad = config(json!({"workers": {"grace_seconds": -1, "max_parallel": 0, "keepdays": 1}}));
    assert_eq!((bad.workers().grace_seconds, bad.workers().max_parallel.total), (None, None));
    assert_eq!(bad.worker_warnings().len(), 3);
}

#[test]
fn limits_of_engines() {
    let good = config(json!({"workers": {
        "max_parallel": {"total": 8, "claude": 2}, "when_full": "wait",
    }}));
    let workers = good.workers();
    let limits = workers.max_parallel;
    assert_eq!((limits.total, limits.of(EngineKind::Claude)), (Some(8), Some(2)));
    assert_eq!((limits.of(EngineKind::Codex), workers.when_full), (None, WhenFull::Wait));
    assert!(good.worker_warnings().is_empty());

    let bad = config(json!({"workers": {
        "max_parallel": {"total": "8", "clade": 2, "codex": 1.5, "gemini": 3}, "when_full": "queue",
    }}));
    let workers = bad.workers();
    assert_eq!((workers.max_parallel.total, workers.when_full), (None, WhenFull::Refuse));
    assert_eq!(workers.max_parallel.engines, [(EngineKind::Gemini, 3)], "what fits counts");
    let warnings = bad.worker_warnings();
    for part in ["max_parallel.total'", "max_parallel.clade'", "max_parallel.codex'", "when_full'"]
    {
        assert!(warnings.iter().any(|warning| warning.contains(part)), "{part}: {warnings:?}");
    }
    assert_eq!(warnings.len(), 4);
}
