//! A worktree becomes a member, after the end of its run: nobody waits for what is done here but its directory's
//! rename.

use std::fs::{File, Permissions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::content;
use super::facts::{self, Facts, Origin, VERSION};
use super::member::Member;
use super::place::Place;
use super::restore;
use super::room;
use super::take::Pool;
use super::tree::{self, Stranger, Walk};
use crate::git::conversion;
use crate::git::index::Index;
use crate::model::failure::Result;
use crate::model::json;
use crate::model::run::{PoolRules, Spec};
use crate::process::helper::Helpers;
use crate::process::{identity, table};
use crate::storage::{delete, replace};

/// What git had made, noted before anybody else could touch it.
#[derive(Debug, Clone)]
pub struct Checkout {
    noted: Noted,
    /// A copy that has no name: the engine cannot come at it.
    index: Rc<File>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Noted {
    rules: PoolRules,
    pub(super) origin: Origin,
    has_filters: bool,
    pub(super) place: Place,
    pub(super) commit: String,
    /// The caller's umask has made it, or git's `core.sharedRepository`.
    index_mode: u32,
}

impl Checkout {
    /// To be called before anything but git has written into the worktree.
    pub fn note(pool: Pool, worktree: &Path, entry: &Path, commit: &str) -> io::Result<Self> {
        let root = worktree.parent().unwrap_or(worktree);
        // Of the same file system, so that its times are as fine as those of the files.
        let mut index = tempfile::tempfile_in(root)?;
        let mut original = File::from(fs_err::File::open(entry.join("index"))?);
        io::copy(&mut original, &mut index)?;
        let noted = Noted {
            rules: pool.rules,
            origin: pool.origin,
            has_filters: pool.has_filters,
            place: Place::of(fs_err::File::open(worktree)?)?,
            commit: commit.to_owned(),
            index_mode: original.metadata()?.permissions().mode(),
        };
        Ok(Self::of(noted, index))
    }

    /// The same again, from another image of this process.
    pub fn of(noted: Noted, index: File) -> Self {
        Self { noted, index: Rc::new(index) }
    }

    pub fn noted(&self) -> &Noted {
        &self.noted
    }

    /// A place for the worktree, which is to be renamed to [`Slot::tree`]. `None`: it goes, as if there were no pool.
    pub fn slot(&self, worktree: &Path) -> Option<Slot> {
        let member = Member::make(worktree).ok()??;
        Some(Slot { member, checkout: self.clone() })
    }
}

impl AsFd for Checkout {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.index.as_fd()
    }
}

/// A worktree on its way into the pool, held.
#[derive(Debug)]
pub struct Slot {
    member: Member,
    checkout: Checkout,
}

impl Slot {
    pub fn tree(&self) -> PathBuf {
        self.member.tree()
    }

    /// Cleans it and makes it a member; where there is any doubt it is deleted.
    pub fn fill(self, spec: &Spec, h: &mut dyn Helpers) {
        let rules = self.checkout.noted.rules;
        let root = self.member.path().parent().map(Path::to_owned);
        let Self { member, checkout } = self;
        match checkout.clean(&member, spec, h) {
            Ok(()) => drop(member),
            // What cannot be deleted now is garbage for whoever gets its lock.
            Err(_) => drop(member.delete()),
        }
        if let Some(root) = root {
            drop(room::make(&root, &rules));
        }
    }
}

impl Checkout {
    fn clean(self, member: &Member, spec: &Spec, h: &mut dyn Helpers) -> Result<()> {
        let tree = member.tree();
        let name = member.path().file_name().unwrap_or_default();
        if !matches!(delete::has_mount(&tree), Ok(false)) || table::is_used(name) {
            return doubt("somebody is at work in it");
        }
        let Self { noted, index } = self;
        let mut witness: &File = &index;
        let before = tree::changed(witness)?;
        let mut bytes = Vec::new();
        witness.seek(SeekFrom::Start(0))?;
        witness.read_to_end(&mut bytes)?;
        fs_err::write(member.index(), &bytes)?;
        fs_err::set_permissions(member.index(), Permissions::from_mode(noted.index_mode))?;
        let Some(index) = Index::parse(bytes, noted.commit.len() / 2) else {
            return doubt("its index says more than where files are");
        };
        delete::delete_tree(&tree.join(".git"))?;
        let mut walk = Walk::of(&tree, &index, &noted.place);
        walk.stranger = Stranger::Goes;
        walk.before = Some(before);
        walk.read = !content::is_told_by_times(fs_err::File::open(&tree)?)?;
        walk.run()?;
        let (kept, mut bytes) = (walk.kept, walk.bytes);
        if kept * 2 < index.len() {
            return doubt("too little of it is as it was");
        }
        if noted.has_filters && may_filter(&tree, &index)? {
            return doubt("a program of the user's may have written files of it");
        }
        if kept < index.len() {
            bytes = restore::files(member, &noted, spec, h)?;
        }
        noted.vouch(member, bytes, facts::attributes(&index))
    }
}

impl Noted {
    /// From here on it is a member.
    fn vouch(self, member: &Member, bytes: u64, attributes: String) -> Result<()> {
        let put_at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let facts = Facts {
            version: VERSION,
            boot_id: identity::own().boot_id,
            put_at: put_at.map_or(0, |time| time.as_secs()),
            bytes,
            commit: self.commit,
            attributes,
            origin: self.origin,
            place: self.place,
        };
        let facts = serde_json::to_value(facts).map_err(io::Error::other)?;
        Ok(replace::replace(&member.facts_path(), json::pretty(&facts).as_bytes())?)
    }
}

pub(super) fn doubt<T>(why: &str) -> Result<T> {
    Err(io::Error::other(why.to_owned()).into())
}

/// A file of attributes that was changed is not there any more: then nobody knows.
fn may_filter(tree: &Path, index: &Index) -> io::Result<bool> {
    use std::os::unix::ffi::OsStrExt;
    for (path, _) in index.entries().filter(|(path, _)| conversion::is_attributes(path)) {
        let content = fs_err::read(tree.join(std::ffi::OsStr::from_bytes(path)))?;
        if conversion::names_filter(&content) {
            return Ok(true);
        }
    }
    Ok(false)
}
