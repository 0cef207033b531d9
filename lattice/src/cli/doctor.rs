//! `lattice doctor`

use clap::Args;
use serde_json::{Value, json};

use lattice::model::failure::{Code, Failure, Result};
use lattice::model::finding::{Finding, Level};
use lattice::model::ids::TaskId;
use lattice::model::reduce::OpenRun;
use lattice::runs::context::Context;
use lattice::runs::{doctor as of_runs, reap};
use lattice::storage::doctor::{Survey, repair, survey};
use lattice::storage::task::read_config;

use super::out::Form;
use super::progress::Progress;
use super::runs::{context, reap_among, reap_first};
use super::session::Session;
use crate::render;

/// Look for everything that is wrong in .lattice/
///
/// Errors make it fail, warnings do not. With --fix what can be repaired is: from the logs, which hold the truth,
/// and under the locks. No line is lost: what cannot be read moves to .lattice/logs/torn. What stays after that
/// needs a person.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lattice doctor
  lattice doctor --fix
  lattice doctor --json | jq -r '.data.findings[].message'")]
pub(crate) struct DoctorArgs {
    /// Repair what can be repaired, then look again
    #[arg(long)]
    fix: bool,
}

pub(crate) fn doctor(session: &Session, args: &DoctorArgs) -> Result<()> {
    let layout = session.layout()?;
    let ctx = context(session, &layout);
    let before = look(session, &ctx);
    let (survey, fixed) = if args.fix {
        let survey = fix(session, &ctx, &before);
        let mut gone = before.findings;
        gone.retain(|old| !survey.findings.contains(old));
        (survey, gone)
    } else {
        // What has been found is told although it is being ended now, as by any command that shows runs.
        reap_among(session, &ctx, &before.open);
        (before, Vec::new())
    };
    answer(session, args, &survey, &fixed)
}

fn look(session: &Session, ctx: &Context) -> Survey {
    let _progress = Progress::new(session, "reading all logs");
    let of_task = |task: &TaskId, open: &[OpenRun]| of_runs::of_task(ctx, task, open);
    let mut survey = survey(&ctx.layout, &of_task);
    let config = read_config(&ctx.layout).unwrap_or_default();
    survey.findings.extend(of_runs::of_directories(ctx, &config));
    survey
}

/// Runs first, because their ends are events; no lock is held meanwhile.
fn fix(session: &Session, ctx: &Context, before: &Survey) -> Survey {
    reap_first(session, ctx, reap::thoroughly);
    let progress = Progress::new(session, "repairing");
    let warnings = repair(&ctx.layout, before);
    drop(progress);
    session.out.warn_all(warnings);
    look(session, ctx)
}

fn answer(session: &Session, args: &DoctorArgs, survey: &Survey, fixed: &[Finding]) -> Result<()> {
    let count = |level| survey.findings.iter().filter(|finding| finding.level == level).count();
    let (errors, warnings) = (count(Level::Error), count(Level::Warning));
    match session.out.form() {
        Form::Json => session.out.data(as_json(args, survey, fixed, (errors, warnings)))?,
        Form::Quiet => survey.findings.iter().try_for_each(|f| session.out.line(&f.message))?,
        Form::Human => {
            let fixed = args.fix.then_some(fixed);
            session.out.line(render::doctor::page(survey, fixed, session.out.paint))?;
        }
    }
    if errors == 0 {
        return Ok(());
    }
    session.out.answered();
    Err(Failure::new(Code::ValidationError, render::doctor::found(errors, warnings)))
}

fn as_json(
    args: &DoctorArgs,
    survey: &Survey,
    fixed: &[Finding],
    (errors, warnings): (usize, usize),
) -> Value {
    let list = |findings: &[Finding]| -> Value { findings.iter().map(Finding::to_value).collect() };
    let mut data = json!({
        "findings": list(&survey.findings),
        "summary": {
            "artifacts": survey.artifacts, "errors": errors, "events": survey.events,
            "resources": survey.resources, "tasks": survey.tasks, "warnings": warnings,
        },
    });
    if args.fix {
        data["fixed"] = list(fixed);
    }
    data
}
