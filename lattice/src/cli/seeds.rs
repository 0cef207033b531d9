//! The example tasks of `lattice init --seed`.

use lattice::model::config::Config;
use lattice::model::event::Author;
use lattice::model::failure::Result;
use lattice::storage::layout::Layout;
use lattice::storage::task::{NewTask, create_task};

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

pub(crate) fn plant(layout: &Layout, config: &Config) -> Result<()> {
    for (title, description, status) in SEEDS {
        let new = NewTask {
            title: title.to_owned(),
            description: Some(description.to_owned()),
            status: status.to_owned(),
            kind: "task".to_owned(),
            priority: config.default_priority().to_owned(),
            ..NewTask::default()
        };
        create_task(layout, config, &new, &Author::new(ACTOR))?;
    }
    Ok(())
}
