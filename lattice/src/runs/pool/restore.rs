//! What a run has changed is written anew when its worktree becomes a member: then nobody waits for it, and whoever
//! takes the member finds it whole.

use std::thread;
use std::time::Duration;

use super::member::Member;
use super::put::{Noted, doubt};
use super::take::Pool;
use super::tree::{self, Walk};
use crate::git::command;
use crate::git::index::{Index, Time};
use crate::git::repository;
use crate::model::failure::Result;
use crate::model::run::Spec;
use crate::process::helper::Helpers;

/// The clock of a file system goes on within a few of these (time(7), "jiffy").
const TICK: Duration = Duration::from_millis(4);
const TICKS: usize = 250;

/// Writes what is missing, with git, and looks once more at everything. The answer is how much is on the disk.
pub(super) fn files(
    member: &Member,
    noted: &Noted,
    spec: &Spec,
    h: &mut dyn Helpers,
) -> Result<u64> {
    let repo = repository::discover(&spec.project_root)?;
    // The run may have changed what git would make of a file now.
    let now = repo.as_ref().and_then(|repo| Some((repo, Pool::of(spec, h, repo)?)));
    let Some((repo, _)) = now.filter(|(_, pool)| pool.origin == noted.origin) else {
        return doubt("git would write its files in another way");
    };
    let mut git = command::git(&member.tree());
    git.env("GIT_DIR", &repo.git_dir)
        .env("GIT_WORK_TREE", member.tree())
        .env("GIT_INDEX_FILE", member.index())
        .args(["checkout-index", "--quiet", "--all", "--index"]);
    command::checked(h, git, None, "cannot restore what a run has changed")?;
    let (index, before) = witness(member, noted)?;
    let tree = member.tree();
    let mut walk = Walk::of(&tree, &index, &noted.place);
    walk.before = Some(before);
    walk.run()?;
    if walk.kept == index.len() { Ok(walk.bytes) } else { doubt("not all of it could be restored") }
}

/// A copy of the index that is younger than every file in it, so that no later change of one has an earlier time.
fn witness(member: &Member, noted: &Noted) -> Result<(Index, Time)> {
    let bytes = fs_err::read(member.index())?;
    let Some(index) = Index::parse(bytes.clone(), noted.commit.len() / 2) else {
        return doubt("its index says more than where files are");
    };
    let youngest = (0..index.len()).map(|at| index.entry(at).seen.changed).max();
    for _ in 0..TICKS {
        fs_err::write(member.index(), &bytes)?;
        let before = tree::changed(fs_err::File::open(member.index())?)?;
        if youngest.is_none_or(|youngest| youngest < before) {
            return Ok((index, before));
        }
        thread::sleep(TICK);
    }
    doubt("the clock stands still")
}
