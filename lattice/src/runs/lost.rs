//! Runs that are open in a log but have no directory: their record is appended again, or they are given up,
//! but only if they are ours, late, and nobody carries their cookie.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use nix::unistd::Pid;
use serde_json::json;

use super::context::{Context, cookie};
use super::reap::{Action, Reaped};
use super::{record, store};
use crate::model::event::{Event, PROCESS_FAILED};
use crate::model::failure::{Code, Failure, Result};
use crate::model::ids::{EventId, RunId, TaskId};
use crate::model::reduce::OpenRun;
use crate::model::time;
use crate::process::table;
use crate::storage::task::{self, TaskTxn};

/// A checkout may have taken back a line that a snapshot says nothing of.
pub(super) fn settle_recorded(ctx: &Context) -> Result<Vec<Reaped>> {
    let mut tasks = BTreeSet::new();
    for run in record::all(&ctx.layout)? {
        // A record that cannot be read at all is for `worker show` to name.
        tasks.extend(record::task(&ctx.layout, &run));
    }
    let mut reaped = Vec::new();
    for task in tasks {
        reaped.extend(settle(ctx, &task)?);
    }
    Ok(reaped)
}

pub(super) fn settle(ctx: &Context, task: &TaskId) -> Result<Vec<Reaped>> {
    let open = match task::open_runs_of(&ctx.layout, task) {
        Err(failure) if failure.code() == Code::NotFound => return Ok(Vec::new()),
        open => open?,
    };
    let homeless =
        open.iter().filter(|open| fs_err::symlink_metadata(ctx.layout.run_dir(&open.run)).is_err());
    homeless.filter_map(|open| settle_one(ctx, task, open).transpose()).collect()
}

fn settle_one(ctx: &Context, task: &TaskId, open: &OpenRun) -> Result<Option<Reaped>> {
    let record = match record::read(&ctx.layout, &open.run) {
        Err(failure) if failure.code() == Code::VersionMismatch => {
            let (run, task) = (open.run.clone(), Some(task.clone()));
            let reason = failure.to_string();
            return Ok(Some(Reaped { run, task, action: Action::Left, reason }));
        }
        record => record?,
    };
    if let Some(record) = record
        && let Some(terminal) = record.event()
    {
        end(ctx, task, open, &terminal)?;
        return Ok(Some(reaped(
            task,
            open,
            "its record was there and its line had been taken back",
        )));
    }
    if is_ours(ctx, open)? && is_late(open) && !somebody_carries(&open.run) {
        end(ctx, task, open, &given_up(task, open))?;
        return Ok(Some(reaped(task, open, "supervisor_lost")));
    }
    Ok(None)
}

/// Ends an open run of any origin that has no directory here.
pub(super) fn force(ctx: &Context, run: &RunId) -> Result<Reaped> {
    if record::is_newer(&ctx.layout, run) {
        record::read(&ctx.layout, run)?;
    }
    for task in task::read_open_runs(&ctx.layout) {
        let open = task::open_runs_of(&ctx.layout, &task)?;
        if let Some(open) = open.iter().find(|open| open.run == *run) {
            end(ctx, &task, open, &given_up(&task, open))?;
            return Ok(reaped(&task, open, "supervisor_lost"));
        }
    }
    Err(Failure::new(Code::NotFound, format!("no open run {run}")).hint("lattice worker ps"))
}

fn reaped(task: &TaskId, open: &OpenRun, reason: &str) -> Reaped {
    let (run, task) = (open.run.clone(), Some(task.clone()));
    Reaped { run, task, action: Action::Finished, reason: reason.to_owned() }
}

fn is_ours(ctx: &Context, open: &OpenRun) -> Result<bool> {
    let store = open.event.data().get("store").and_then(|store| store.as_str());
    Ok(store.is_some() && store == store::read(&ctx.layout)?.as_deref())
}

fn is_late(open: &OpenRun) -> bool {
    let minutes = open.event.data().get("timeout_minutes").and_then(serde_json::Value::as_f64);
    let limit = minutes.and_then(|minutes| Duration::try_from_secs_f64(minutes * 60.0).ok());
    let (Some(started), Some(limit)) = (time::parse(open.event.ts()), limit) else { return false };
    started.checked_add(limit).is_some_and(|deadline| SystemTime::now() > deadline)
}

/// Whether a process of the run is alive here; the caller may be one.
pub(super) fn is_alive(ctx: &Context, run: &RunId) -> bool {
    ctx.own_run.as_ref() == Some(run) || somebody_carries(run)
}

fn somebody_carries(run: &RunId) -> bool {
    let cookie = cookie(run);
    let own = Pid::this().as_raw();
    table::all().iter().any(|process| {
        process.pid != own && !process.is_dead() && table::carries(process.pid, &cookie)
    })
}

/// Under the locks, and only if it is still open there.
fn end(ctx: &Context, task: &TaskId, open: &OpenRun, terminal: &Event) -> Result<()> {
    let mut txn = TaskTxn::begin(&ctx.layout, task)?;
    if !txn.events().iter().any(|event| event.ended_run() == Some(open.run.as_str())) {
        txn.append(terminal)?;
        txn.write_snapshot()?;
    }
    Ok(())
}

fn given_up(task: &TaskId, open: &OpenRun) -> Event {
    let start = &open.event;
    let data = json!({
        "process_type": start.data().get("process_type"),
        "started_event_id": open.run,
        "commit_sha": start.data().get("commit_sha"),
        "error": "its directory is gone, its time is over and no process of it is left",
        "reason": "supervisor_lost",
        "exit_code": null,
        "signal": null,
        "duration_seconds": null,
        "log_path": start.data().get("log_path"),
        "ended_by": "reaper",
    });
    let ts = time::timestamp(SystemTime::now());
    Event::new(PROCESS_FAILED, task, "", ts, data)
        .with_actor(start.actor().clone())
        .with_id(EventId::generate())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(when: SystemTime, minutes: &serde_json::Value) -> OpenRun {
        let task = TaskId::parse("task_01KA0000000000000000000000").unwrap();
        let data = json!({"process_type": "Check", "timeout_minutes": minutes});
        let event = Event::new("process_started", &task, "", time::timestamp(when), data)
            .with_id(EventId::generate());
        crate::model::reduce::open_runs(&[event]).pop().unwrap()
    }

    /// The time of day may jump: what began in the future, or has no limit that can be read, is never over.
    #[test]
    fn a_run_is_late_when_its_own_limit_has_passed_and_not_before() {
        let now = SystemTime::now();
        let minute = Duration::from_mins(1);
        assert!(is_late(&started(now - 61 * minute, &json!(60))));
        assert!(!is_late(&started(now - 59 * minute, &json!(60))));
        assert!(!is_late(&started(now + 60 * minute, &json!(0.5))));
        for limit in [json!(null), json!("60"), json!(-1), json!(1e300)] {
            assert!(!is_late(&started(now - 600 * minute, &limit)), "{limit}");
        }
    }
}
