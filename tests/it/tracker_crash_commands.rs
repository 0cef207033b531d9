//! The commands of the crash campaigns: every one that writes, and what each of them may leave.

/// One command, on a task that is made ready before each trial.
pub struct Command {
    pub name: &'static str,
    /// As it is typed. `C0ID` is a number of the trial that makes IDs, `SCENE` the last word of what the scene prints.
    pub line: &'static str,
    /// Its events, which come together or not at all; none for a command that writes no event.
    pub kinds: &'static [&'static str],
    /// What a second, successful call is told where the first one had been successful already.
    pub repeated: Repeated,
    /// In `.lattice`, before each trial; `T.` is the task.
    pub scene: &'static str,
    /// What a call that was refused may have changed all the same.
    pub used_up: &'static [&'static str],
}

#[derive(PartialEq)]
pub enum Repeated {
    /// Nothing new: it is known to be the same.
    Same,
    /// The events once more.
    Again,
    Conflict,
}

use Repeated::{Again, Conflict, Same};

impl Command {
    pub fn named(name: &str) -> &'static Self {
        COMMANDS.iter().find(|command| command.name == name).expect("a command of the table")
    }

    /// Whether it mends what is broken: then a refusal may come when half of that is done.
    pub fn repairs(&self) -> bool {
        ["doctor", "rebuild", "rebuild_one"].contains(&self.name)
    }

    const fn used_up(mut self, paths: &'static [&'static str]) -> Self {
        self.used_up = paths;
        self
    }
}

/// One that writes events.
const fn tells(
    name: &'static str,
    line: &'static str,
    kinds: &'static [&'static str],
    repeated: Repeated,
    scene: &'static str,
) -> Command {
    Command { name, line, kinds, repeated, scene, used_up: &[] }
}

/// One that writes other files only.
const fn makes(name: &'static str, line: &'static str, scene: &'static str) -> Command {
    Command { name, line, kinds: &[], repeated: Again, scene, used_up: &[] }
}

/// Prints the ID of a new comment.
const A_COMMENT: &str =
    "lattice comment LAT-1 Old --actor human:ana --json | grep last_event_id | cut -d'\"' -f4";
const A_REACTION: &str = "C=$(lattice comment LAT-1 Old --actor human:ana --json | grep last_event_id | cut -d'\"' -f4); \
                          lattice react LAT-1 $C eyes --actor human:ana; echo $C";
const IN_PROGRESS: &str = "lattice status LAT-1 in_progress --force --reason x --actor human:ana";
const NO_FILES: &str = "rm -rf ../workers ../prompts ../scripts";

/// Folders that stay empty.
const FOLDERS: &[&str] = &["project/workers", "project/scripts", "project/prompts"];

pub const COMMANDS: &[Command] = &[
    // A number once given is not given again.
    tells(
        "create",
        "create New --description Long --id task_01KA000000000000000000C0ID",
        &["task_created"],
        Same,
        "true",
    )
    .used_up(&[".lattice/ids.json"]),
    tells("comment", "comment LAT-1 Hello", &["comment_added"], Again, "true"),
    tells("reply", "comment LAT-1 Hello --reply-to SCENE", &["comment_added"], Again, A_COMMENT),
    tells("comment_edit", "comment-edit LAT-1 SCENE New", &["comment_edited"], Again, A_COMMENT),
    tells(
        "comment_delete",
        "comment-delete LAT-1 SCENE",
        &["comment_deleted"],
        Conflict,
        A_COMMENT,
    ),
    tells("react", "react LAT-1 SCENE eyes", &["reaction_added"], Same, A_COMMENT),
    tells("unreact", "unreact LAT-1 SCENE eyes", &["reaction_removed"], Conflict, A_REACTION),
    // Its payload and metadata are there before its event, and found again by the ID.
    tells(
        "attach",
        "attach LAT-1 --inline x --id art_01KA000000000000000000C0ID",
        &["artifact_attached"],
        Same,
        "true",
    )
    .used_up(&["01KA000000000000000000C0ID.json", "01KA000000000000000000C0ID.md"]),
    tells("attach_file", "attach LAT-1 f.txt", &["artifact_attached"], Again, "echo x > ../f.txt"),
    tells(
        "attach_url",
        "attach LAT-1 https://example.org/x",
        &["artifact_attached"],
        Again,
        "true",
    ),
    tells(
        "archive",
        "archive LAT-1",
        &["task_archived"],
        Conflict,
        "test ! -e archive/tasks/T.json || lattice unarchive LAT-1 --actor human:ana",
    ),
    tells(
        "unarchive",
        "unarchive LAT-1",
        &["task_unarchived"],
        Conflict,
        "test ! -e tasks/T.json || lattice archive LAT-1 --actor human:ana",
    ),
    tells(
        "status",
        "status LAT-1 planned",
        &["status_changed"],
        Same,
        "lattice status LAT-1 backlog --force --reason x --actor human:ana",
    ),
    // A move back is noted down in the plan.
    tells(
        "status_back",
        "status LAT-1 in_planning",
        &["status_changed"],
        Same,
        "lattice status LAT-1 blocked --force --reason x --actor human:ana; echo Do it. > plans/T.md",
    ),
    tells(
        "assign",
        "assign LAT-1 agent:bot",
        &["assignment_changed"],
        Same,
        "lattice assign LAT-1 none --actor human:ana",
    ),
    tells(
        "update",
        "update LAT-1 title=C0ID custom_fields.k=C0ID",
        &["field_updated", "field_updated"],
        Same,
        "true",
    ),
    tells(
        "complete",
        "complete LAT-1 --review Fine",
        &["comment_added", "status_changed", "artifact_attached", "status_changed"],
        Conflict,
        IN_PROGRESS,
    ),
    tells(
        "next",
        "next --claim",
        &["assignment_changed", "status_changed", "status_changed"],
        Same,
        "lattice status LAT-1 backlog --force --reason x --actor human:ana; \
         lattice assign LAT-1 none --actor human:ana; echo Do it. > plans/T.md",
    ),
    tells(
        "link",
        "link LAT-1 blocks LAT-2",
        &["relationship_added"],
        Conflict,
        "lattice unlink LAT-1 blocks LAT-2 --actor human:ana; true",
    ),
    tells(
        "unlink",
        "unlink LAT-1 blocks LAT-2",
        &["relationship_removed"],
        Conflict,
        "lattice link LAT-1 blocks LAT-2 --actor human:ana; true",
    ),
    tells(
        "branch_link",
        "branch-link LAT-1 feature",
        &["branch_linked"],
        Conflict,
        "lattice branch-unlink LAT-1 feature --actor human:ana; true",
    ),
    tells(
        "branch_unlink",
        "branch-unlink LAT-1 feature",
        &["branch_unlinked"],
        Conflict,
        "lattice branch-link LAT-1 feature --actor human:ana; true",
    ),
    tells("event", "event LAT-1 x_a --id ev_01KA000000000000000000C0ID", &["x_a"], Same, "true"),
    tells(
        "backfill_ids",
        "backfill-ids",
        &["task_short_id_assigned"],
        Same,
        "O=task_01KA0000000000000000000000; sed -i '/\"project_code\"/d' config.json; \
         lattice create Old --id $O --actor human:ana; sed -i /short_id_assigned/d events/$O.jsonl; \
         lattice rebuild $O; lattice set-project-code LAT",
    )
    .used_up(&[".lattice/ids.json"]),
    makes(
        "backfill_code",
        "backfill-ids --code NEW --force",
        "lattice set-project-code LAT --force; rm -f ids.json",
    )
    .used_up(&[".lattice/config.json", ".lattice/ids.json"]),
    makes(
        "set_project_code",
        "set-project-code NEW --force",
        "lattice set-project-code LAT --force",
    ),
    makes(
        "set_first_code",
        "set-project-code NEW",
        "sed -i '/\"project_code\"/d' config.json; rm -f ids.json",
    )
    .used_up(&[".lattice/config.json"]),
    makes(
        "set_subproject_code",
        "set-subproject-code F",
        "sed -i '/\"subproject_code\"/d' config.json",
    ),
    makes("worker_new", "worker new Mine --engine script", NO_FILES).used_up(FOLDERS),
    makes("worker_add", "worker add CodeReviewHeavy", NO_FILES).used_up(FOLDERS),
    makes(
        "worker_add_force",
        "worker add TestRunner --force",
        "rm -rf ../workers ../scripts; mkdir ../workers; echo {} > ../workers/TestRunner.json",
    )
    .used_up(FOLDERS),
    makes("rebuild", "rebuild --all", "rm -f tasks/T.json ids.json events/_lifecycle.jsonl"),
    makes("rebuild_one", "rebuild LAT-1", "rm -f tasks/T.json"),
    makes(
        "doctor",
        "doctor --fix",
        "rm -f tasks/T.json events/_lifecycle.jsonl; tail -n1 events/T.jsonl > l; cat l >> events/T.jsonl; rm l; \
         cp events/T.jsonl archive/events/; printf '{torn' >> events/T.jsonl; echo '{torn' > ids.json; rm -r locks plans",
    ),
];
