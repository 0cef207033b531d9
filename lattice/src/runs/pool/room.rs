//! How much the pool may hold: what is too old, too much, or only half a member, goes.

use std::io;
use std::path::{Path, PathBuf};

use super::facts::Facts;
use super::member::{self, Member};
use crate::model::run::PoolRules;

/// Looks only. What is held is in use.
pub fn surplus(root: &Path, rules: &PoolRules) -> io::Result<Vec<PathBuf>> {
    let found = held_surplus(root, rules)?.into_iter();
    Ok(found.map(|member| member.path().to_owned()).collect())
}

/// Keeps the pool within its limits.
pub(super) fn make(root: &Path, rules: &PoolRules) -> io::Result<()> {
    // One after another: who looks holds what he looks at, and another would take it for in use.
    let turn = fs_err::File::open(root)?.into_file();
    turn.lock()?;
    let surplus = held_surplus(root, rules)?;
    drop(turn);
    surplus.into_iter().try_for_each(Member::delete)
}

/// Deletes one that was found to be surplus, unless somebody holds it now.
pub fn prune(path: &Path) -> io::Result<()> {
    Member::hold(path.to_owned())?.map_or(Ok(()), Member::delete)
}

/// Deletes what a kill has left of members: beside a worktree that was to become one, or was to be made of one.
pub fn collect(root: &Path) {
    for path in member::all(root).unwrap_or_default() {
        let member = Member::hold(path).ok().flatten();
        if let Some(member) = member.filter(|member| member.facts().is_none()) {
            // What cannot be deleted now is left to the next who looks.
            drop(member.delete());
        }
    }
}

fn held_surplus(root: &Path, rules: &PoolRules) -> io::Result<Vec<Member>> {
    let mut usable: Vec<(Member, Facts)> = Vec::new();
    let mut surplus = Vec::new();
    for path in member::all(root)? {
        let Some(member) = Member::hold(path)? else { continue };
        match member.facts() {
            Some(facts) if facts.is_usable(rules) => usable.push((member, facts)),
            _ => surplus.push(member),
        }
    }
    usable.sort_by_key(|(_, facts)| std::cmp::Reverse(facts.put_at));
    let mut bytes = 0;
    for (count, (member, facts)) in usable.into_iter().enumerate() {
        bytes += facts.bytes;
        if count as u64 >= rules.members || bytes > rules.max_bytes {
            surplus.push(member);
        }
    }
    Ok(surplus)
}
