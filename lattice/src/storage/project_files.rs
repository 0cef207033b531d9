//! Files of the user's project that a command makes for them: definitions, prompts, scripts. Nothing that is there
//! is replaced unless that was asked for.

use std::fs::Permissions;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

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

/// Makes the files in their order, all of them or none: what cannot be written or replaced refuses before the first is
/// there. Without `force` that is also one which is there with another content. A crash leaves the first ones, whole.
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
    let mut prepared = Vec::new();
    for (file, state) in files.iter().zip(&states).filter(|(_, state)| **state != Laid::Same) {
        prepared.push(prepare(layout.root.join(&*file.path), file, *state)?);
    }
    let mut made = Vec::new();
    for New { temporary, path, state } in prepared {
        if let Err(error) = publish(temporary, &path, state) {
            for path in made {
                drop(fs_err::remove_file::<PathBuf>(path));
            }
            return Err(error.into());
        }
        made.extend((state == Laid::Made).then_some(path));
    }
    Ok(states)
}

/// A whole file that has not got its name yet.
struct New {
    temporary: NamedTempFile,
    path: PathBuf,
    state: Laid,
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

fn prepare(path: PathBuf, file: &NewFile, state: Laid) -> io::Result<New> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    fs_err::create_dir_all(parent)?;
    // The umask takes from these what the user does not give; one that is replaced keeps its own.
    let mode = if file.executable { 0o777 } else { 0o666 };
    let mut temporary = tempfile::Builder::new()
        .prefix(".tmp.")
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(parent)?;
    temporary.write_all(file.text.as_bytes())?;
    if state == Laid::Replaced {
        replace::inherit(&temporary, &fs_err::symlink_metadata(&path)?)?;
    }
    temporary.as_file().sync_all()?;
    Ok(New { temporary, path, state })
}

fn publish(temporary: NamedTempFile, path: &Path, state: Laid) -> io::Result<()> {
    match state {
        Laid::Replaced => temporary.persist(path),
        // Somebody who was quicker is not overwritten.
        _ => temporary.persist_noclobber(path),
    }
    .map_err(|error| error.error)?;
    // It is there; whether its name outlives a power loss is no reason to say that it is not.
    drop(replace::sync_dir(path.parent().unwrap_or(Path::new("/"))));
    Ok(())
}
