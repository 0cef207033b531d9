//! The example tasks of `lattice init --seed`.

use lattice::model::config::Config;
use lattice::model::event::Author;
use lattice::model::failure::Result;
use lattice::storage::layout::Layout;
use lattice::storage::task::{NewTask, create_task, list_snapshots};

/// Not an actor that anybody could name: these tasks are nobody's.
const ACTOR: &str = "system:init";

/// Title, description, status.
const SEEDS: [(&str, &str, &str); 4] = [
    (
        "Look around",
        "This task and the three below it are examples. `lattice list` shows them, `lattice show` one of them.",
        "backlog",
    ),
    ("Set up Lattice", "Done by `lattice init`.", "done"),
    (
        "Write down what is to be done",
        "`lattice create \"...\" --actor human:NAME`, one task for each thing.",
        "in_progress",
    ),
    (
        "Archive the examples",
        "`lattice archive TASK --actor human:NAME` puts a task away; nothing is ever deleted.",
        "backlog",
    ),
];

/// Those that are not there yet: an `init` that was cut off may have made some.
/// Gives what could not be written of those that are there now.
pub(crate) fn plant(layout: &Layout, config: &Config) -> Result<Vec<String>> {
    let mut troubles = Vec::new();
    let (tasks, _) = list_snapshots(layout, false);
    let is_there = |title: &str| {
        tasks.iter().any(|(task, _)| {
            let is = |key: &str, text: &str| task.get(key).is_some_and(|value| value == text);
            is("title", title) && is("created_by", ACTOR)
        })
    };
    for (title, description, status) in SEEDS.into_iter().filter(|(title, ..)| !is_there(title)) {
        let new = NewTask {
            title: title.to_owned(),
            description: Some(description.to_owned()),
            status: status.to_owned(),
            kind: "task".to_owned(),
            priority: config.default_priority().to_owned(),
            ..NewTask::default()
        };
        let created = create_task(layout, config, &new, &Author::new(ACTOR))?;
        troubles.extend(created.trouble.map(|failure| failure.to_string()));
    }
    Ok(troubles)
}
