//! `lattice set-project-code`, `lattice set-subproject-code`: what stands before the number of a short ID.

use clap::Args;
use serde_json::{Map, Value, json};

use lattice::model::config::Config;
use lattice::model::failure::{Code, Failure, Result};
use lattice::storage::layout::Layout;
use lattice::storage::{config_file, scaffold};

use super::session::Session;

/// Set the project code: 1 to 5 letters in front of the tasks' numbers
///
/// Tasks keep the short IDs that they have; `lattice backfill-ids` gives one to those that have none.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lattice set-project-code LAT
  lattice set-project-code NEW --force      new tasks are NEW-1, NEW-2, ...")]
pub(crate) struct SetProjectCodeArgs {
    /// 1 to 5 letters
    code: String,
    /// Replace a code that is set already
    #[arg(long)]
    force: bool,
}

/// Set the subproject code: 1 to 5 letters more, as F in LAT-F-42
///
/// Tasks keep the short IDs that they have. The numbers of each subproject begin with 1.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lattice set-subproject-code F
  lattice set-subproject-code API --force")]
pub(crate) struct SetSubprojectCodeArgs {
    /// 1 to 5 letters
    code: String,
    /// Replace a code that is set already
    #[arg(long)]
    force: bool,
}

pub(crate) fn set_project_code(session: &Session, args: &SetProjectCodeArgs) -> Result<()> {
    let layout = session.layout()?;
    let had_code = set(session, &layout, &PROJECT, &args.code, args.force)?;
    if !had_code && session.out.form() == super::out::Form::Human {
        session.out.note("Run 'lattice backfill-ids' to give short IDs to tasks that have none.");
    }
    Ok(())
}

pub(crate) fn set_subproject_code(session: &Session, args: &SetSubprojectCodeArgs) -> Result<()> {
    let layout = session.layout()?;
    set(session, &layout, &SUBPROJECT, &args.code, args.force)?;
    Ok(())
}

/// One of the two codes.
pub(crate) struct Setting {
    what: &'static str,
    key: &'static str,
    present: fn(&Config) -> Option<&str>,
}

pub(crate) const PROJECT: Setting =
    Setting { what: "project code", key: "project_code", present: Config::project_code };
const SUBPROJECT: Setting =
    Setting { what: "subproject code", key: "subproject_code", present: Config::subproject_code };

/// Whether there was a code before.
fn set(
    session: &Session,
    layout: &Layout,
    setting: &Setting,
    text: &str,
    force: bool,
) -> Result<bool> {
    let code = checked(setting.what, text)?;
    let mut before = None;
    let config = change(layout, setting, &code, force, &mut before)?;
    scaffold::ensure_ids(layout, &config)?;
    let mut name = setting.what.to_owned();
    name[..1].make_ascii_uppercase();
    let done = if before.as_deref() == Some(code.as_str()) {
        format!("{name} is already {code}.")
    } else {
        format!("{name} set to {code}.")
    };
    session.out.answer(json!({(setting.key): code}), &code, done)?;
    Ok(before.is_some())
}

/// Sets one of the codes; another one that is set already only with `force`.
pub(crate) fn change(
    layout: &Layout,
    setting: &Setting,
    code: &str,
    force: bool,
    before: &mut Option<String>,
) -> Result<Config> {
    config_file::change(layout, |config| {
        *before = (setting.present)(config).map(str::to_owned);
        let mut wanted = Map::new();
        match before.as_deref() {
            Some(known) if known == code => return Ok(wanted),
            Some(known) if !force => {
                let message = format!("the {} is already set to {known}", setting.what);
                return Err(Failure::new(Code::ValidationError, message)
                    .hint("add --force to change it; tasks keep the short IDs that they have"));
            }
            _ => {}
        }
        if setting.key == SUBPROJECT.key && config.project_code().is_none() {
            let message = "a subproject code needs a project code in front of it";
            return Err(
                Failure::new(Code::ValidationError, message).hint("lattice set-project-code CODE")
            );
        }
        wanted.insert(setting.key.to_owned(), Value::from(code));
        Ok(wanted)
    })
}

/// 1 to 5 letters, in capitals.
pub(crate) fn checked(what: &str, text: &str) -> Result<String> {
    let is_code =
        (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphabetic());
    if is_code {
        return Ok(text.to_ascii_uppercase());
    }
    Err(Failure::new(Code::ValidationError, format!("'{text}' is no {what}"))
        .hint("use 1 to 5 letters, such as LAT"))
}
