//! What `worker new` and `worker add` have in common: files laid down, and told of.

use serde_json::{Value, json};

use lattice::model::definition::schema;
use lattice::model::failure::Result;
use lattice::model::new_file::NewFile;
use lattice::storage::layout::Layout;
use lattice::storage::project_files::{Laid, lay_down};

use crate::cli::session::Session;

/// Where the definitions that we write look for their schema.
const SCHEMA: &str = "workers/.schema.json";

/// Lays the files of a worker down, and the schema if there is none.
pub(super) fn lay(
    session: &Session,
    layout: &Layout,
    worker: &str,
    files: &[NewFile],
    force: bool,
) -> Result<()> {
    // Another one belongs to another version, or to the user.
    let lacks_schema = fs_err::symlink_metadata(layout.root.join(SCHEMA)).is_err();
    let schema = NewFile { path: SCHEMA.into(), text: schema::text().into(), executable: false };
    // Before the definition, which is the last.
    let files: Vec<NewFile> =
        lacks_schema.then_some(schema).into_iter().chain(files.iter().cloned()).collect();
    let laid = lay_down(layout, &files, force)?;
    let mut rows: Vec<(&str, Laid)> = files.iter().map(|file| &*file.path).zip(laid).collect();
    rows.rotate_left(usize::from(lacks_schema));
    let data = json!({
        "worker": worker,
        "files": rows.iter().map(|(path, laid)| json!({"path": path, "action": laid.word()})).collect::<Value>(),
    });
    let mut text: Vec<String> =
        rows.iter().map(|(path, laid)| format!("  {:<9}  {path}", laid.word())).collect();
    text.insert(0, format!("Worker {worker}"));
    let paths: Vec<&str> =
        rows.iter().filter(|(_, laid)| *laid != Laid::Same).map(|(path, _)| *path).collect();
    if !paths.is_empty()
        && lattice::git::repository::discover(&layout.root).is_ok_and(|found| found.is_some())
    {
        text.push(format!("Next: git add {} && git commit -m \"Add {worker}\"", paths.join(" ")));
    }
    text.push(format!("Then: lattice worker check {worker}"));
    session.out.answer(data, worker, text.join("\n"))
}
