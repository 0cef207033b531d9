//! Files of the user's project that a command makes for them: definitions, prompts, scripts. Nothing that is there
//! is replaced unless that was asked for.

use std::fs::Permissions;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::layout::Layout;
use super::replace;
use crate::model::failure::{Code, Failure, Result};
use crate::model::new_file::NewFile;

/// What became of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Laid {
    Made,
    /// It was there already, just so.
    Same,
    Replaced,
}

impl Laid {
    pub fn word(self) -> &'static str {
        match self {
            Self::Made => "made",
            Self::Same => "unchanged",
            Self::Replaced => "replaced",
        }
    }
}

/// Makes the files in their order. Without `force` nothing at all is written if one of them is there with another
/// content. A crash leaves the first ones, whole.
pub fn lay_down(layout: &Layout, files: &[NewFile], force: bool) -> Result<Vec<Laid>> {
    let states = files.iter().map(|file| state(layout, file)).collect::<io::Result<Vec<_>>>()?;
    let others: Vec<&str> = files
        .iter()
        .zip(&states)
        .filter(|(_, state)| **state == Laid::Replaced)
        .map(|(file, _)| &*file.path)
        .collect();
    if !others.is_empty() && !force {
        let is = if others.len() == 1 { "is" } else { "are" };
        let message = format!("{} {is} there already, with another content", others.join(", "));
        return Err(Failure::new(Code::Conflict, message)
            .hint("keep yours, or add --force to replace it; nothing was written"));
    }
    for (file, state) in files.iter().zip(&states) {
        write(&layout.root.join(&*file.path), file, *state)?;
    }
    Ok(states)
}

/// What would become of it.
fn state(layout: &Layout, file: &NewFile) -> io::Result<Laid> {
    match fs_err::read(layout.root.join(&*file.path)) {
        Ok(bytes) if bytes == file.text.as_bytes() => Ok(Laid::Same),
        Ok(_) => Ok(Laid::Replaced),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Laid::Made),
        Err(error) => Err(error),
    }
}

fn write(path: &Path, file: &NewFile, state: Laid) -> io::Result<()> {
    match state {
        Laid::Same => Ok(()),
        Laid::Replaced => replace::replace(path, file.text.as_bytes()),
        Laid::Made => {
            let parent = path.parent().unwrap_or(Path::new("/"));
            fs_err::create_dir_all(parent)?;
            // The umask takes from these what the user does not give.
            let mode = if file.executable { 0o777 } else { 0o666 };
            let mut temporary = tempfile::Builder::new()
                .prefix(".tmp.")
                .permissions(Permissions::from_mode(mode))
                .tempfile_in(parent)?;
            temporary.write_all(file.text.as_bytes())?;
            // Somebody who was quicker is not overwritten.
            temporary.persist_noclobber(path).map_err(|error| error.error)?;
            replace::sync_dir(parent)
        }
    }
}
