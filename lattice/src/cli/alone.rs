//! The parser with no command but the one that is named: to build all of them takes longer than most commands.

use std::ffi::OsString;

use clap::{Args, Command, Error, FromArgMatches};

use super::{Cli, FormArgs, VERSION, worker};
use super::{
    archive, assign, attach, backfill_ids, branch_link, branch_unlink, codes, comment,
    comment_delete, comment_edit, comments, complete, create, doctor, event, init, link, list,
    next, react, rebuild, show, status, unarchive, unlink, unreact, update,
};

/// What the words say. Whatever is no success is to be told by the whole parser, which knows of all commands; but of the
/// version this one knows all.
pub(super) fn parse(words: &[OsString]) -> Result<Cli, Error> {
    let mut parser = FormArgs::augment_args(Command::new("lattice").version(VERSION));
    let mut names = words.iter().skip(1).filter_map(|word| word.to_str());
    let mut name = || names.find(|word| !word.starts_with('-'));
    if let Some(named) = name().and_then(|first| command(first, name)) {
        parser = parser.subcommand(named);
    }
    Cli::from_arg_matches_mut(&mut parser.try_get_matches_from(words)?)
}

fn command<'a>(name: &str, second: impl FnOnce() -> Option<&'a str>) -> Option<Command> {
    Some(match name {
        "init" => of::<init::InitArgs>("init"),
        "create" => of::<create::CreateArgs>("create"),
        "show" => of::<show::ShowArgs>("show"),
        "list" => of::<list::ListArgs>("list"),
        "next" => of::<next::NextArgs>("next"),
        "status" => of::<status::StatusArgs>("status"),
        "assign" => of::<assign::AssignArgs>("assign"),
        "update" => of::<update::UpdateArgs>("update"),
        "complete" => of::<complete::CompleteArgs>("complete"),
        "comment" => of::<comment::CommentArgs>("comment"),
        "comment-edit" => of::<comment_edit::CommentEditArgs>("comment-edit"),
        "comment-delete" => of::<comment_delete::CommentDeleteArgs>("comment-delete"),
        "comments" => of::<comments::CommentsArgs>("comments"),
        "react" => of::<react::ReactArgs>("react"),
        "unreact" => of::<unreact::UnreactArgs>("unreact"),
        "attach" => of::<attach::AttachArgs>("attach"),
        "link" => of::<link::LinkArgs>("link"),
        "unlink" => of::<unlink::UnlinkArgs>("unlink"),
        "branch-link" => of::<branch_link::BranchLinkArgs>("branch-link"),
        "branch-unlink" => of::<branch_unlink::BranchUnlinkArgs>("branch-unlink"),
        "event" => of::<event::EventArgs>("event"),
        "archive" => of::<archive::ArchiveArgs>("archive"),
        "unarchive" => of::<unarchive::UnarchiveArgs>("unarchive"),
        "doctor" => of::<doctor::DoctorArgs>("doctor"),
        "rebuild" => of::<rebuild::RebuildArgs>("rebuild"),
        "set-project-code" => of::<codes::SetProjectCodeArgs>("set-project-code"),
        "set-subproject-code" => of::<codes::SetSubprojectCodeArgs>("set-subproject-code"),
        "backfill-ids" => of::<backfill_ids::BackfillIdsArgs>("backfill-ids"),
        "worker" => Command::new("worker").subcommand(worker::command::alone(second()?)?),
        _ => return None,
    })
}

/// A command by the name that its variant has in the enum.
pub(super) fn of<A: Args>(name: &'static str) -> Command {
    A::augment_args(Command::new(name))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// Commands that are called once, by a shell or a packager.
    const RARE: [&str; 2] = ["completions", "man"];

    /// All that is said of each argument, but of those that every command has.
    fn arguments(command: &Command) -> Vec<String> {
        let shared = |arg: &&clap::Arg| ["json", "quiet", "help"].contains(&arg.get_id().as_str());
        let own = command.get_arguments().filter(|arg| !shared(arg));
        own.map(|arg| format!("{arg:?}")).collect()
    }

    #[track_caller]
    fn check(whole: &Command, alone: Option<Command>) {
        let name = whole.get_name();
        let mut alone = alone.unwrap_or_else(|| panic!("{name} is not known"));
        alone.build();
        assert_eq!(alone.get_name(), name);
        assert!(arguments(whole) == arguments(&alone), "{name} has other arguments alone");
    }

    #[test]
    fn every_command_is_parsed_alone_as_among_all() {
        let mut whole = Cli::command();
        whole.build();
        for group in whole.get_subcommands() {
            let name = group.get_name();
            match name {
                "help" => {}
                "worker" => {
                    for one in group.get_subcommands().filter(|one| one.get_name() != "help") {
                        check(one, worker::command::alone(one.get_name()));
                    }
                }
                _ if RARE.contains(&name) => assert!(command(name, || None).is_none()),
                _ => check(group, command(name, || None)),
            }
        }
    }

    #[test]
    fn what_is_no_success_is_left_to_the_whole_parser() {
        let fails = |words: &[&str]| {
            let words: Vec<OsString> = words.iter().map(OsString::from).collect();
            parse(&words).map(drop).map_err(|error| error.kind())
        };
        for words in [
            &["lattice"][..],
            &["lattice", "--json"],
            &["lattice", "nonsense"],
            &["lattice", "worker"],
            &["lattice", "worker", "nonsense"],
            &["lattice", "comment", "--nonsense"],
            &["lattice", "help", "comment"],
        ] {
            let kind = fails(words).expect_err(&words.join(" "));
            assert!(kind != clap::error::ErrorKind::DisplayVersion, "{words:?}");
        }
        assert_eq!(fails(&["lattice", "-V"]), Err(clap::error::ErrorKind::DisplayVersion));
        assert_eq!(fails(&["lattice", "--json", "worker", "--quiet", "ps"]), Ok(()));
    }
}
