//! A run's work on top of another commit: its commits picked one by one, what it had not committed merged.
//! All of it happens among git's objects: no working tree, no index and no ref is touched.

use std::process::Command;

use super::command;
use super::repository::{Repository, is_object_name};
use super::salvage::{is_salvage, preserved_ref};
use crate::model::failure::{Code, Failure, Result};
use crate::model::ids::RunId;
use crate::process::helper::Helpers;

/// What a run has left, as its ref has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// Where the run began.
    pub base: String,
    /// Where it stood at its end.
    pub head: String,
    /// What the ref names: `head`, or a commit of what was not committed on top of it.
    pub target: String,
    /// Commits that the run made and left behind.
    pub left_behind: Vec<String>,
}

/// What work comes to on top of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// The commit to stand on.
    pub tip: String,
    /// The commits that are new behind the one that was given.
    pub picked: Vec<String>,
    /// Commits whose changes were there already.
    pub skipped: usize,
    /// The tree of `tip`, and with what was not committed.
    pub tip_tree: String,
    pub tree: String,
}

/// The committer of new commits, as the caller's environment names one; else git's configuration does.
pub type Identity<'a> = &'a [(&'static str, std::ffi::OsString)];

/// `None`: the run has no ref.
pub fn find(
    h: &mut dyn Helpers,
    repository: &Repository,
    run: &RunId,
    base: &str,
) -> Result<Option<Work>> {
    let name = preserved_ref(run);
    let doing = format!("cannot read {name}");
    let mut git = command::git(&repository.top);
    git.args(["for-each-ref", "--format=%(objectname)", &name]);
    if command::checked(h, git, None, &doing)?.is_empty() {
        return Ok(None);
    }
    let mut git = command::git(&repository.top);
    git.args(["log", "-1", "--no-show-signature", "--format=%H%x00%P%x00%ce%x00%s", &name, "--"]);
    let output = command::checked(h, git, None, &doing)?;
    let output = String::from_utf8_lossy(&output);
    let mut fields = output.trim_end().split('\0');
    let mut next = || fields.next().unwrap_or_default();
    let (target, parents, email, subject) = (next().to_owned(), next(), next(), next());
    let mut parents = parents.split(' ').filter(|parent| !parent.is_empty()).map(str::to_owned);
    let base = base.to_owned();
    Ok(Some(match parents.next() {
        Some(head) if is_salvage(run, email, subject) => {
            Work { base, head, target, left_behind: parents.collect() }
        }
        _ => Work { base, head: target.clone(), target, left_behind: Vec::new() },
    }))
}

/// The work on top of `onto`. A conflict is a refusal that names the commit and the files.
pub fn replay(
    h: &mut dyn Helpers,
    repository: &Repository,
    work: &Work,
    onto: &str,
    identity: Identity<'_>,
) -> Result<Replayed> {
    let mut scene = Scene { h, repository, identity };
    let mut tip = onto.to_owned();
    let (mut picked, mut skipped) = (Vec::new(), 0);
    for Link { commit, parent } in scene.chain(work)? {
        // Where nothing has moved, the run's own commit is the very one to have.
        let next = if parent == tip { Some(commit) } else { scene.pick(&tip, &parent, &commit)? };
        match next {
            Some(next) => {
                picked.push(next.clone());
                tip = next;
            }
            None => skipped += 1,
        }
    }
    let tip_tree = scene.tree_of(&tip)?;
    let tree = if work.target == work.head {
        tip_tree.clone()
    } else if tip == work.head {
        scene.tree_of(&work.target)?
    } else {
        let what = "what it had not committed";
        scene.merge(&tip_tree, &work.head, &work.target, what)?
    };
    Ok(Replayed { tip, picked, skipped, tip_tree, tree })
}

struct Scene<'a> {
    h: &'a mut dyn Helpers,
    repository: &'a Repository,
    identity: Identity<'a>,
}

/// A commit of the run, and the first of its parents.
struct Link {
    commit: String,
    parent: String,
}

impl Scene<'_> {
    fn git(&self, arguments: &[&str]) -> Command {
        let mut git = command::git(&self.repository.top);
        git.args(arguments);
        git
    }

    fn ask(&mut self, doing: &str, arguments: &[&str]) -> Result<String> {
        let git = self.git(arguments);
        let output = command::checked(self.h, git, None, doing)?;
        Ok(String::from_utf8_lossy(&output).trim_end().to_owned())
    }

    fn tree_of(&mut self, commit: &str) -> Result<String> {
        self.ask("cannot look up a tree", &["rev-parse", "--verify", &format!("{commit}^{{tree}}")])
    }

    /// The way from the base to the head, oldest first. A merge stands in it for all that it brought.
    fn chain(&mut self, work: &Work) -> Result<Vec<Link>> {
        let range = format!("{}..{}", work.base, work.head);
        let list = self.ask(
            "cannot list the commits of the run",
            &["rev-list", "--reverse", "--topo-order", "--first-parent", "--parents", &range, "--"],
        )?;
        let links = list.lines().map(|line| {
            let mut names = line.split(' ').map(str::to_owned);
            Link {
                commit: names.next().unwrap_or_default(),
                parent: names.next().unwrap_or_default(),
            }
        });
        let links: Vec<Link> = links.collect();
        let mut at = work.base.as_str();
        for Link { commit, parent } in &links {
            if parent != at {
                return Err(elsewhere(work));
            }
            at = commit;
        }
        if at == work.head { Ok(links) } else { Err(elsewhere(work)) }
    }

    /// `None`: `tip` has the change already.
    fn pick(&mut self, tip: &str, parent: &str, commit: &str) -> Result<Option<String>> {
        let tip_tree = self.tree_of(tip)?;
        let doing = "cannot read a commit of the run";
        let format = "--format=%an%x00%ae%x00%ad%x00%s%x00%B";
        let shown = self.ask(
            doing,
            &["log", "-1", "--no-show-signature", "--date=raw", format, commit, "--"],
        )?;
        let mut fields = shown.splitn(5, '\0');
        let mut next = || fields.next().unwrap_or_default();
        let (name, email, date, subject, message) = (next(), next(), next(), next(), next());
        let what = format!("its commit {} ({subject})", short(commit));
        let tree = self.merge(&tip_tree, parent, commit, &what)?;
        if tree == tip_tree {
            return Ok(None);
        }
        let mut git = self.git(&["commit-tree", &tree, "-p", tip, "-F", "-"]);
        git.env("GIT_AUTHOR_NAME", name)
            .env("GIT_AUTHOR_EMAIL", email)
            .env("GIT_AUTHOR_DATE", date);
        for variable in ["GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"] {
            match self.identity.iter().find(|(name, _)| *name == variable) {
                Some((_, value)) => git.env(variable, value),
                None => git.env_remove(variable),
            };
        }
        let message = Some(format!("{}\n", message.trim_end()).into_bytes());
        let output = command::checked(self.h, git, message, "cannot make a commit")?;
        named(&output).map(Some)
    }

    /// What leads from `before` to `after`, on top of the tree `ours`. The base of the merge is given by a commit
    /// that only serves for that: older gits know no other way.
    fn merge(&mut self, ours: &str, before: &str, after: &str, what: &str) -> Result<String> {
        let git = self.git(&["commit-tree", ours, "-p", before, "-m", "merge base"]);
        let ours = named(&command::checked(self.h, git, None, "cannot prepare a merge")?)?;
        let git =
            self.git(&["merge-tree", "--write-tree", "--name-only", "--no-messages", &ours, after]);
        let doing = "cannot merge (git 2.38 or newer is needed)";
        let output = command::run(self.h, git, None, doing)?;
        let text = String::from_utf8_lossy(&output.stdout);
        let mut lines = text.lines();
        let tree = lines.next().unwrap_or_default().to_owned();
        match output.code {
            Some(0) if is_object_name(&tree) => Ok(tree),
            Some(1) if is_object_name(&tree) => {
                let files: Vec<&str> = lines.take_while(|line| !line.is_empty()).collect();
                Err(conflict(what, &files))
            }
            _ => Err(command::refused(doing, &output)),
        }
    }
}

fn named(output: &[u8]) -> Result<String> {
    let name = String::from_utf8_lossy(output).trim().to_owned();
    if is_object_name(&name) {
        Ok(name)
    } else {
        Err(Failure::internal(format!("git named the object {name:?}")))
    }
}

fn conflict(what: &str, files: &[&str]) -> Failure {
    let message = format!("{what} conflicts with the current branch in {}", files.join(", "));
    Failure::new(Code::Conflict, message)
        .hint("apply it where it began (git switch --detach BASE), then merge that")
        .detail("files", files.to_vec())
}

fn elsewhere(work: &Work) -> Failure {
    let message = format!(
        "the run ended on {}, which does not follow from {} where it began",
        short(&work.head),
        short(&work.base)
    );
    Failure::new(Code::Conflict, message)
        .hint(format!("look at it with git log {}, and merge what you want", short(&work.target)))
}

fn short(commit: &str) -> &str {
    commit.get(..10).unwrap_or(commit)
}
