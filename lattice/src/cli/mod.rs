//! The command line: words in, one command, an exit status out.
//!
//! Each command is one file with its arguments and one function that is given the session.

mod alone;
pub(crate) mod archive;
pub(crate) mod assign;
pub(crate) mod attach;
pub(crate) mod backfill_ids;
pub(crate) mod branch_link;
pub(crate) mod branch_unlink;
pub(crate) mod caller;
pub(crate) mod change;
pub(crate) mod codes;
pub(crate) mod comment;
pub(crate) mod comment_delete;
pub(crate) mod comment_edit;
pub(crate) mod comments;
pub(crate) mod complete;
pub(crate) mod complete_words;
pub(crate) mod completions;
pub(crate) mod create;
pub(crate) mod doctor;
pub(crate) mod event;
pub(crate) mod failure;
pub(crate) mod freshness;
pub(crate) mod hooks;
pub(crate) mod identity;
pub(crate) mod init;
pub(crate) mod interrupt;
pub(crate) mod job;
pub(crate) mod link;
pub(crate) mod list;
pub(crate) mod man;
pub(crate) mod mentions;
pub(crate) mod moving;
pub(crate) mod next;
pub(crate) mod out;
pub(crate) mod progress;
pub(crate) mod question;
pub(crate) mod react;
pub(crate) mod rebuild;
pub(crate) mod runs;
pub(crate) mod seeds;
pub(crate) mod session;
pub(crate) mod show;
pub(crate) mod status;
pub(crate) mod terminal;
pub(crate) mod unarchive;
pub(crate) mod unlink;
pub(crate) mod unreact;
pub(crate) mod update;
pub(crate) mod worker;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::CompleteEnv;

use lattice::model::failure::Result;

use crate::render::paint::Paint;
use caller::Caller;
use out::{Form, Out};
use session::Session;

pub(crate) const VERSION: &str = lattice::runs::handover::VERSION_TEXT;

/// A task tracker that lives in `.lattice/`, and that runs workers on its tasks.
///
/// Tasks, their events and the work of autonomous workers are plain files beside the code. A worker is a
/// definition in `workers/*.json`: `lattice worker run NAME TASK` starts it in the background, supervised, and
/// its end is always an event of the task.
#[derive(Debug, Parser)]
#[command(name = "lattice", version = VERSION, propagate_version = false, max_term_width = 100)]
#[command(after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    form: FormArgs,
    #[command(subcommand)]
    command: Command,
}

// Without a description of its own, which would be taken for that of the program.
#[derive(Debug, Args)]
struct FormArgs {
    /// Answer in JSON
    ///
    /// On stdout, as {"data": ..., "ok": true} or {"error": {"code", "message", "hint"}, "ok": false}, with
    /// "warnings" where there are some.
    #[arg(long, global = true, display_order = 900)]
    json: bool,
    /// Print only the one value that a script needs
    #[arg(long, global = true, display_order = 901)]
    quiet: bool,
}

const EXAMPLES: &str = "\
A first session:
  lattice init --actor human:ana --project-code LAT
  lattice create \"Parser drops the last line\" --actor human:ana
  lattice list
  lattice show LAT-1
  lattice worker add CodeReviewLite
  lattice worker run CodeReviewLite LAT-1 --follow

Exit status:
  0 done                  3 busy: already running, or locked    70 a bug in lattice
  1 refused or failed     4 the awaited run did not complete   130 interrupted
  2 wrong usage

Environment:
  LATTICE_ROOT   the project, if it is not found from the current directory upwards
  LATTICE_SHIM   the lattice-shim binary, if it is not beside lattice
  NO_COLOR       no colour; CLICOLOR_FORCE=1: colour in a pipe too";

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::InitArgs),
    Create(create::CreateArgs),
    Show(show::ShowArgs),
    List(list::ListArgs),
    Next(next::NextArgs),
    Status(status::StatusArgs),
    Assign(assign::AssignArgs),
    Update(update::UpdateArgs),
    Complete(complete::CompleteArgs),
    Comment(comment::CommentArgs),
    CommentEdit(comment_edit::CommentEditArgs),
    CommentDelete(comment_delete::CommentDeleteArgs),
    Comments(comments::CommentsArgs),
    React(react::ReactArgs),
    Unreact(unreact::UnreactArgs),
    Attach(attach::AttachArgs),
    Link(link::LinkArgs),
    Unlink(unlink::UnlinkArgs),
    BranchLink(branch_link::BranchLinkArgs),
    BranchUnlink(branch_unlink::BranchUnlinkArgs),
    Event(event::EventArgs),
    Archive(archive::ArchiveArgs),
    Unarchive(unarchive::UnarchiveArgs),
    Doctor(doctor::DoctorArgs),
    Rebuild(rebuild::RebuildArgs),
    SetProjectCode(codes::SetProjectCodeArgs),
    SetSubprojectCode(codes::SetSubprojectCodeArgs),
    BackfillIds(backfill_ids::BackfillIdsArgs),
    #[command(subcommand)]
    Worker(worker::command::WorkerCommand),
    Completions(completions::CompletionsArgs),
    #[command(hide = true)]
    Man(man::ManArgs),
}

/// Runs the command that the process was given.
pub(crate) fn run(caller: Caller) -> ExitCode {
    if caller.text(completions::VARIABLE).is_some() {
        return complete(&caller);
    }
    let cli = match parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&caller, &error),
    };
    let session = Session::new(caller_out(&cli, &caller), caller);
    let result = dispatch(&session, cli.command);
    failure::exit_code(&session.out, result)
}

/// Only the command that is named is built; help and errors may have to speak of all, the version of none.
fn parse() -> Result<Cli, clap::Error> {
    let words: Vec<_> = std::env::args_os().collect();
    alone::parse(&words).or_else(|error| match error.kind() {
        ErrorKind::DisplayVersion => Err(error),
        _ => Cli::from_arg_matches_mut(&mut whole().try_get_matches()?),
    })
}

fn whole() -> clap::Command {
    let mut command = Cli::command();
    command.build();
    command
}

/// Answers a shell that asks what a word may become.
fn complete(caller: &Caller) -> ExitCode {
    let command = || complete_words::teach(whole());
    let environment = CompleteEnv::with_factory(command).var(completions::VARIABLE);
    match environment.try_complete(std::env::args_os(), caller.cwd().ok()) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => usage(caller, &error),
    }
}

fn dispatch(session: &Session, command: Command) -> Result<()> {
    match command {
        Command::Init(args) => init::init(session, &args),
        Command::Create(args) => create::create(session, &args),
        Command::Show(args) => show::show(session, &args),
        Command::List(args) => list::list(session, &args),
        Command::Next(args) => next::next(session, &args),
        Command::Status(args) => status::status(session, &args),
        Command::Assign(args) => assign::assign(session, &args),
        Command::Update(args) => update::update(session, &args),
        Command::Complete(args) => complete::complete(session, &args),
        Command::Comment(args) => comment::comment(session, &args),
        Command::CommentEdit(args) => comment_edit::comment_edit(session, &args),
        Command::CommentDelete(args) => comment_delete::comment_delete(session, &args),
        Command::Comments(args) => comments::comments(session, &args),
        Command::React(args) => react::react(session, &args),
        Command::Unreact(args) => unreact::unreact(session, &args),
        Command::Attach(args) => attach::attach(session, &args),
        Command::Link(args) => link::link(session, &args),
        Command::Unlink(args) => unlink::unlink(session, &args),
        Command::BranchLink(args) => branch_link::branch_link(session, &args),
        Command::BranchUnlink(args) => branch_unlink::branch_unlink(session, &args),
        Command::Event(args) => event::event(session, &args),
        Command::Archive(args) => archive::archive(session, &args),
        Command::Unarchive(args) => unarchive::unarchive(session, &args),
        Command::Doctor(args) => doctor::doctor(session, &args),
        Command::Rebuild(args) => rebuild::rebuild(session, &args),
        Command::SetProjectCode(args) => codes::set_project_code(session, &args),
        Command::SetSubprojectCode(args) => codes::set_subproject_code(session, &args),
        Command::BackfillIds(args) => backfill_ids::backfill_ids(session, &args),
        Command::Worker(command) => worker::command::worker(session, command),
        Command::Completions(args) => completions::completions(session, &args),
        Command::Man(args) => man::man(session, &args, Cli::command()),
    }
}

/// Help and the version are answers; everything else that the parser says is a usage error.
fn usage(caller: &Caller, error: &clap::Error) -> ExitCode {
    let (is_refusal, text) = (error.use_stderr(), error.render());
    let is_tty = if is_refusal { caller.stderr_is_tty } else { caller.stdout_is_tty };
    let has_colour = caller.wants_colour(is_tty);
    let text = if has_colour { text.ansi().to_string() } else { text.to_string() };
    let text = if is_refusal { in_our_words(&text) } else { text };
    let written = if is_refusal {
        io::stderr().write_all(text.as_bytes())
    } else {
        io::stdout().write_all(text.as_bytes())
    };
    if written.is_err() {
        // Nobody reads it.
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

/// The parser's refusals begin and advise as all others do. Behind their first line nothing is the user's.
fn in_our_words(text: &str) -> String {
    let (first, rest) = text.split_at(text.find('\n').unwrap_or(text.len()));
    first.replacen("error:", "Error:", 1) + &rest.replace("tip:", "hint:")
}

fn caller_out(cli: &Cli, caller: &Caller) -> Out {
    let form = match (cli.form.json, cli.form.quiet) {
        (true, _) => Form::Json,
        (false, true) => Form::Quiet,
        (false, false) => Form::Human,
    };
    let paint = |is_tty| Paint { on: caller.wants_colour(is_tty) };
    Out::new(form, paint(caller.stdout_is_tty), paint(caller.stderr_is_tty))
}
