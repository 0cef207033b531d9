//! The look at a member before it is taken, at every name in it: in a process of its own, on every core. It supervises
//! nothing and is gone before anybody uses the tree; the supervisor keeps its one thread and hears a stop meanwhile.

use std::io::{self, Read};
use std::path::Path;
use std::thread;

use super::member::Member;
use super::place::Place;
use super::tree::{Walk, different};
use crate::git::command::LIMIT;
use crate::git::index::Index;
use crate::model::failure::Result;
use crate::process::helper::Helpers;
use crate::process::spawn;

/// The role of `lattice-shim` that calls [`survey`].
pub const ROLE: &str = "survey";

/// More threads than this wait for one another.
const THREADS: usize = 8;
/// Fewer files than this are sooner looked at than a thread is started.
const FEW: usize = 1000;

/// An error, unless the tree holds every file as git had left it, and nothing else.
pub(super) fn order(
    h: &mut dyn Helpers,
    member: &Member,
    place: &Place,
    commit: &str,
) -> Result<()> {
    let mut role = spawn::own_role(ROLE);
    role.arg(member.path()).arg((commit.len() / 2).to_string());
    let place = serde_json::to_vec(place).map_err(io::Error::other)?;
    let output = h.run(role, Some(place), LIMIT)?;
    if output.success() { Ok(()) } else { Err(different(&member.tree()).into()) }
}

/// Succeeds if the tree of a member is what its index says. `place` is JSON: what each of its directories must be like.
pub fn survey(member: &Path, object_bytes: usize, place: impl Read) -> Result<()> {
    let place: Place = serde_json::from_reader(place).map_err(io::Error::other)?;
    let path = member.join("index");
    let index = Index::parse(fs_err::read(&path)?, object_bytes).ok_or_else(|| different(&path))?;
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let parts = cores.min(THREADS).min(index.len().div_ceil(FEW)).max(1);
    Ok(look(&member.join("tree"), &index, &place, parts)?)
}

/// Each part by a thread of its own, the first by this one.
fn look(tree: &Path, index: &Index, place: &Place, parts: usize) -> io::Result<()> {
    let walk = |number: usize| {
        let border = |number: usize| index.len() * number / parts;
        let mut walk = Walk::of(tree, index, place);
        walk.part = border(number)..border(number + 1);
        walk.run().map(|()| walk.kept)
    };
    let kept: io::Result<usize> = thread::scope(|scope| {
        let others: Vec<_> = (1..parts).map(|number| scope.spawn(move || walk(number))).collect();
        let own = walk(0);
        let joined = others.into_iter().map(|other| {
            other.join().unwrap_or_else(|_| Err(io::Error::other("a bug of the survey")))
        });
        joined.chain([own]).sum()
    });
    if kept? == index.len() { Ok(()) } else { Err(different(tree)) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use fs_err as fs;
    use tempfile::tempdir;

    use super::*;

    const FILES: &[&str] = &["a/b/1", "a/b/2", "a/c", "a.d", "ab", "e/f/g/h", "e/f/i", "z"];

    /// What a thread does not look at is looked at by another one, however many there are.
    #[track_caller]
    fn check(change: impl FnOnce(&Path), is_clean: bool) {
        let dir = tempdir().unwrap();
        let tree = dir.path().join("tree");
        for file in FILES {
            let file = tree.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "text\n").unwrap();
        }
        for words in [&["init", "--quiet"][..], &["add", "--all"]] {
            assert!(
                spawn::command("git").arg("-C").arg(&tree).args(words).status().unwrap().success()
            );
        }
        let bytes = fs::read(tree.join(".git/index")).unwrap();
        let index = Index::parse(bytes, 20).unwrap();
        fs::remove_dir_all(tree.join(".git")).unwrap();
        let place = Place::of(fs::File::open(&tree).unwrap()).unwrap();
        change(&tree);
        for parts in 1..=FILES.len() + 2 {
            let looked = look(&tree, &index, &place, parts);
            assert_eq!(looked.is_ok(), is_clean, "{parts}: {looked:?}");
        }
    }

    #[test]
    fn every_name_is_looked_at_in_any_number_of_parts() {
        check(|_| {}, true);
        for file in FILES {
            check(|tree| fs::write(tree.join(file), "TEXT\n").unwrap(), false);
            check(|tree| fs::remove_file(tree.join(file)).unwrap(), false);
            check(|tree| fs::write(tree.join(file).with_extension("more"), "").unwrap(), false);
            check(
                |tree| {
                    fs::remove_file(tree.join(file)).unwrap();
                    fs::create_dir(tree.join(file)).unwrap();
                },
                false,
            );
            check(
                |tree| {
                    let parent = tree.join(file).parent().unwrap().to_owned();
                    fs::set_permissions(&parent, PermissionsExt::from_mode(0o700 ^ 0o022)).unwrap();
                    assert_ne!(fs::metadata(parent).unwrap().mode() & 0o777, 0o755);
                },
                false,
            );
        }
        check(|tree| fs::create_dir(tree.join("a/b/empty")).unwrap(), false);
        check(|tree| fs::rename(tree.join("e"), tree.join("f")).unwrap(), false);
        check(
            |tree| {
                fs::rename(tree.join("e"), tree.with_file_name("e")).unwrap();
                symlink(tree.with_file_name("e"), tree.join("e")).unwrap();
            },
            false,
        );
    }
}
