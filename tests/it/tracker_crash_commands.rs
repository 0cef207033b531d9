//! The commands of the crash campaigns, and what each of them may leave.

use crate::harness::sandbox::ACTOR;

/// One command, on a task that is made ready before each trial.
pub struct Command {
    pub name: &'static str,
    /// `ID` is a number of the trial that makes IDs.
    pub argv: &'static [&'static str],
    /// Its events, which come together or not at all; none for a command that only makes copies.
    pub kinds: &'static [&'static str],
    /// What a second, successful call is told where the first one had been successful already.
    pub repeated: Repeated,
    /// In `.lattice`, before each trial; `T.` is the task.
    pub scene: &'static str,
}

#[derive(PartialEq)]
pub enum Repeated {
    /// Nothing new: it is known to be the same.
    Same,
    /// The events once more.
    Again,
    Conflict,
}

pub const COMMANDS: &[Command] = &[
    Command {
        name: "create",
        argv: &["create", "New", "--id", "task_01KA000000000000000000C0ID", "--actor", ACTOR],
        kinds: &["task_created"],
        repeated: Repeated::Same,
        scene: "true",
    },
    Command {
        name: "comment",
        argv: &["comment", "LAT-1", "Hello", "--actor", ACTOR],
        kinds: &["comment_added"],
        repeated: Repeated::Again,
        scene: "true",
    },
    Command {
        name: "attach",
        argv: &[
            "attach",
            "LAT-1",
            "--inline",
            "x",
            "--id",
            "art_01KA000000000000000000A0ID",
            "--actor",
            ACTOR,
        ],
        kinds: &["artifact_attached"],
        repeated: Repeated::Same,
        scene: "true",
    },
    Command {
        name: "archive",
        argv: &["archive", "LAT-1", "--actor", ACTOR],
        kinds: &["task_archived"],
        repeated: Repeated::Conflict,
        scene: "test ! -e archive/tasks/T.json || lattice unarchive LAT-1 --actor human:ana",
    },
    Command {
        name: "unarchive",
        argv: &["unarchive", "LAT-1", "--actor", ACTOR],
        kinds: &["task_unarchived"],
        repeated: Repeated::Conflict,
        scene: "test ! -e tasks/T.json || lattice archive LAT-1 --actor human:ana",
    },
    Command {
        name: "rebuild",
        argv: &["rebuild", "--all"],
        kinds: &[],
        repeated: Repeated::Again,
        scene: "rm -f tasks/T.json ids.json events/_lifecycle.jsonl",
    },
    Command {
        name: "doctor",
        argv: &["doctor", "--fix"],
        kinds: &[],
        repeated: Repeated::Again,
        scene: "rm -f tasks/T.json events/_lifecycle.jsonl; tail -n1 events/T.jsonl > l; cat l >> events/T.jsonl; rm l; \
                cp events/T.jsonl archive/events/; printf '{torn' >> events/T.jsonl; echo '{torn' > ids.json",
    },
];

/// Tried in a full campaign only: what they have of their own are several events at once, and other files.
pub const MORE: &[Command] = &[
    Command {
        name: "status",
        argv: &["status", "LAT-1", "planned", "--actor", ACTOR],
        kinds: &["status_changed"],
        repeated: Repeated::Same,
        scene: "lattice status LAT-1 backlog --force --reason x --actor human:ana",
    },
    Command {
        name: "update",
        argv: &["update", "LAT-1", "title=C0ID", "custom_fields.k=C0ID", "--actor", ACTOR],
        kinds: &["field_updated", "field_updated"],
        repeated: Repeated::Same,
        scene: "true",
    },
    Command {
        name: "complete",
        argv: &["complete", "LAT-1", "--review", "Fine", "--actor", ACTOR],
        kinds: &["comment_added", "status_changed", "artifact_attached", "status_changed"],
        repeated: Repeated::Conflict,
        scene: "lattice status LAT-1 in_progress --force --reason x --actor human:ana",
    },
    Command {
        name: "next",
        argv: &["next", "--claim", "--actor", "agent:bot"],
        kinds: &["assignment_changed", "status_changed", "status_changed"],
        repeated: Repeated::Same,
        scene: "lattice status LAT-1 backlog --force --reason x --actor human:ana; \
                lattice assign LAT-1 none --actor human:ana; echo Do it. > plans/T.md",
    },
    Command {
        name: "link",
        argv: &["link", "LAT-1", "blocks", "LAT-2", "--actor", ACTOR],
        kinds: &["relationship_added"],
        repeated: Repeated::Conflict,
        scene: "lattice unlink LAT-1 blocks LAT-2 --actor human:ana; true",
    },
    Command {
        name: "event",
        argv: &["event", "LAT-1", "x_a", "--id", "ev_01KA000000000000000000C0ID", "--actor", ACTOR],
        kinds: &["x_a"],
        repeated: Repeated::Same,
        scene: "true",
    },
    Command {
        name: "set-project-code",
        argv: &["set-project-code", "NEW", "--force"],
        kinds: &[],
        repeated: Repeated::Again,
        scene: "lattice set-project-code LAT --force",
    },
];
