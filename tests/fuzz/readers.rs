//! What must hold for any bytes: nothing panics, and what was read is written so that it reads the same. For the fuzz
//! targets, and for the mutations that the ordinary tests try.

use std::path::Path;

use lattice::model::comments::{comments, threads};
use lattice::model::config::Config;
use lattice::model::definition;
use lattice::model::event::Event;
use lattice::model::hooks::{hook_env, hooks_for};
use lattice::model::json;
use lattice::model::log_text::{examine, mended};
use lattice::model::policy::{claim_path, is_backward, last_reopening, valid_transitions};
use lattice::model::reduce::{open_runs, replay};
use lattice::model::usage::Total;

/// The bytes of an event log.
pub(crate) fn events(bytes: &[u8]) {
    let lines = bytes.split(|byte| *byte == b'\n');
    let events: Vec<Event> = lines.filter_map(Event::parse).collect();
    let config = Config::default();
    for event in &events {
        let line = event.line();
        assert!(line.is_ascii() && line.matches('\n').count() == 1, "{line:?}");
        let again = Event::parse(line.as_bytes()).expect("what was written is read");
        assert_eq!(again.line(), line);
        let hooks = hooks_for(&config, event);
        assert!(hooks.is_empty() && !hook_env(Path::new("/x"), event).is_empty());
    }
    if let Some(state) = replay(&events) {
        let text = state.file_text();
        let again = json::parse_line(text.as_bytes()).expect("what was written is read");
        assert_eq!(json::pretty(&again), text);
    }
    assert!(open_runs(&events).len() <= events.len());
    assert!(threads(&comments(&events)).len() <= events.len());
    assert!(last_reopening(&config, &events).is_none_or(|reopened| !reopened.words().is_empty()));
    drop(Total::of(&events).to_value());
    log(bytes);
}

/// A log that was mended keeps every event, and has nothing left to mend.
fn log(bytes: &[u8]) {
    drop(examine(bytes));
    let ended = [bytes, b"\n"].concat();
    let Some(mended) = mended(&ended) else { return };
    assert_eq!(self::mended(&mended.kept), None);
    let whole = |log: &[u8]| log.split(|byte| *byte == b'\n').filter_map(Event::parse).count();
    let aside: usize = mended.aside.iter().map(|(_, bytes)| whole(bytes)).sum();
    assert!(whole(&mended.kept) + aside >= whole(&ended));
}

/// The bytes of a definition.
pub(crate) fn definition(bytes: &[u8]) {
    match definition::parse(bytes) {
        Ok(definition) => assert!(!definition.name.is_empty()),
        Err(problems) => assert!(!problems.is_empty()),
    }
}

/// The bytes of `config.json`.
pub(crate) fn config(bytes: &[u8]) {
    let Some(value) = json::parse_line(bytes) else { return };
    let config = Config::from_value(value);
    let text = config.file_text();
    let again = json::parse_line(text.as_bytes()).map(Config::from_value);
    assert_eq!(again.map(|config| config.file_text()), Some(text));
    let statuses = config.statuses();
    for status in statuses.iter().take(20) {
        assert!(config.find_status(&config.display_status(status)).is_some());
        drop(valid_transitions(&config, status));
        for other in statuses.iter().take(20) {
            let steps = claim_path(&config, status, other);
            assert!(steps.is_none_or(|steps| steps.len() < 20));
            assert!(!(is_backward(&config, status, other) && is_backward(&config, other, status)));
        }
    }
    drop((config.roles(), config.task_types(), config.short_id_prefix(), config.worker_warnings()));
    drop((config.workers(), config.default_status(), config.default_priority()));
    for kind in ["status_changed", "comment_added"] {
        let event = format!(r#"{{"type":"{kind}","data":{{"from":"a","to":"b"}}}}"#);
        let event = Event::parse(event.as_bytes()).expect("it is an object");
        assert!(hooks_for(&config, &event).iter().all(|hook| !hook.key.is_empty()));
    }
}
