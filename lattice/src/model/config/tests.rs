//! Defaults, odd values and the display of a configuration.

use serde_json::json;

use super::*;

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
                max_parallel: None,
                worktree_pool: 0,
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
        (workers.grace_seconds, workers.keep_days, workers.max_parallel),
        (Some(2.5), 7.0, Some(3))
    );
    assert!(good.worker_warnings().is_empty());
    let bad = config(json!({"workers": {"grace_seconds": -1, "max_parallel": 0, "keepdays": 1}}));
    assert_eq!((bad.workers().grace_seconds, bad.workers().max_parallel), (None, None));
    assert_eq!(bad.worker_warnings().len(), 3);
}
