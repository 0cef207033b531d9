//! A worktree becomes a member, after the end of its run: nobody waits for what is done here but its directory's
//! rename.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::content;
use super::facts::{self, Facts, Origin, VERSION};
use super::member::Member;
use super::place::Place;
use super::room;
use super::take::Pool;
use super::tree::{self, Stranger, Walk};
use crate::git::conversion;
use crate::git::index::Index;
use crate::model::json;
use crate::model::run::PoolRules;
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
    origin: Origin,
    has_filters: bool,
    place: Place,
    object_bytes: usize,
}

impl Checkout {
    /// To be called before anything but git has written into the worktree.
    pub fn note(pool: Pool, worktree: &Path, entry: &Path, commit: &str) -> io::Result<Self> {
        let root = worktree.parent().unwrap_or(worktree);
        // Of the same file system, so that its times are as fine as those of the files.
        let mut index = tempfile::tempfile_in(root)?;
        io::copy(&mut File::from(fs_err::File::open(entry.join("index"))?), &mut index)?;
        let noted = Noted {
            rules: pool.rules,
            origin: pool.origin,
            has_filters: pool.has_filters,
            place: Place::of(fs_err::File::open(worktree)?)?,
            object_bytes: commit.len() / 2,
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
    pub fn fill(self) {
        let rules = self.checkout.noted.rules;
        let root = self.member.path().parent().map(Path::to_owned);
        let Self { member, checkout } = self;
        match checkout.clean(&member) {
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
    fn clean(self, member: &Member) -> io::Result<()> {
        let doubt = |why: &str| Err(io::Error::other(why.to_owned()));
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
        let Some(index) = Index::parse(bytes.clone(), noted.object_bytes) else {
            return doubt("its index says more than where files are");
        };
        delete::delete_tree(&tree.join(".git"))?;
        let mut walk = Walk {
            top: &tree,
            index: &index,
            place: &noted.place,
            stranger: Stranger::Goes,
            before: Some(before),
            read: !content::is_told_by_times(fs_err::File::open(&tree)?)?,
            kept: 0,
            bytes: 0,
        };
        walk.run()?;
        let (kept, size) = (walk.kept, walk.bytes);
        if kept * 2 < index.len() {
            return doubt("too little of it is as it was");
        }
        if noted.has_filters && may_filter(&tree, &index)? {
            return doubt("a program of the user's may have written files of it");
        }
        let put_at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let facts = Facts {
            version: VERSION,
            boot_id: identity::own().boot_id,
            put_at: put_at.map_or(0, |time| time.as_secs()),
            bytes: size,
            attributes: facts::attributes(&index),
            origin: noted.origin,
            place: noted.place,
        };
        fs_err::write(member.index(), bytes)?;
        let facts = serde_json::to_value(facts).map_err(io::Error::other)?;
        replace::replace(&member.facts_path(), json::pretty(&facts).as_bytes())
    }
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
