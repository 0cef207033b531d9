//! Finding the repository of a project without starting git, and the one question asked before a run.
//! Knows nothing of runs.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use super::command;
use crate::model::failure::{Code, Failure, Result};
use crate::process::helper::Helpers;

/// Where a project lies in git. All paths are free of symbolic links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// The top of the working tree.
    pub top: PathBuf,
    /// The git directory of this working tree: `.git`, or an entry below `.git/worktrees`.
    pub git_dir: PathBuf,
    /// The git directory that all working trees share.
    pub common_dir: PathBuf,
    /// The project root below `top`, `""` at the top.
    pub prefix: PathBuf,
}

/// What one `git cat-file --batch-check` said before a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preflight {
    /// 40 or 64 lower-case hexadecimal digits.
    pub commit_sha: String,
    /// Which of the asked paths exist at that commit, in the order of asking.
    pub objects: Vec<bool>,
}

/// The repository around `project_root`; `None` outside of any. A bare one is refused.
///
/// Follows the order of gitrepository-layout(5): in each directory upwards first `.git` (a directory, or a file
/// with `gitdir: PATH`), then the directory itself as a bare repository.
pub fn discover(project_root: &Path) -> Result<Option<Repository>> {
    let root = fs_err::canonicalize(project_root)?;
    for top in root.ancestors() {
        if let Some(git_dir) = git_dir_of(top)? {
            let common_dir = common_dir_of(&git_dir)?;
            if git_dir == common_dir && configured_bare(&git_dir)? {
                return Err(bare(&git_dir));
            }
            let prefix = root.strip_prefix(top).expect("top is an ancestor of the root").to_owned();
            return Ok(Some(Repository { top: top.to_owned(), git_dir, common_dir, prefix }));
        }
        if is_git_directory(top) {
            return Err(bare(top));
        }
    }
    Ok(None)
}

fn git_dir_of(top: &Path) -> Result<Option<PathBuf>> {
    let link = top.join(".git");
    match fs_err::metadata(&link) {
        // Like git, an empty `.git` directory is passed over and the search goes on above it.
        Ok(meta) if meta.is_dir() => {
            Ok(is_git_directory(&link).then(|| fs_err::canonicalize(&link)).transpose()?)
        }
        Ok(_) => linked_git_dir(top, &link).map(Some),
        Err(error)
            if error.kind() == io::ErrorKind::NotFound
                && fs_err::symlink_metadata(&link).is_err() =>
        {
            Ok(None)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(nowhere(&link, &link)),
        Err(error) => Err(error.into()),
    }
}

/// The target of a `.git` file, relative to the directory that the file is in.
fn linked_git_dir(top: &Path, link: &Path) -> Result<PathBuf> {
    let content = fs_err::read(link)?;
    let Some(target) = content.trim_ascii_end().strip_prefix(b"gitdir: ") else {
        let message =
            format!("{} is neither a git directory nor a file with `gitdir: PATH`", link.display());
        return Err(Failure::new(Code::GitError, message)
            .hint("restore it, or remove it and run `git init`"));
    };
    let target = top.join(OsStr::from_bytes(target));
    match fs_err::canonicalize(&target) {
        Ok(git_dir) if is_git_directory(&git_dir) => Ok(git_dir),
        _ => Err(nowhere(link, &target)),
    }
}

fn nowhere(link: &Path, target: &Path) -> Failure {
    let message =
        format!("{} points to {}, which is not a git directory", link.display(), target.display());
    Failure::new(Code::GitError, message)
        .hint("if the repository was moved: `git worktree repair` in it")
}

/// `commondir` is there in the entries of linked worktrees only, and relative to the entry.
fn common_dir_of(git_dir: &Path) -> Result<PathBuf> {
    match fs_err::read(git_dir.join("commondir")) {
        Ok(content) => {
            let target = git_dir.join(OsStr::from_bytes(content.trim_ascii_end()));
            Ok(fs_err::canonicalize(target)?)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(git_dir.to_owned()),
        Err(error) => Err(error.into()),
    }
}

/// Git's own test: `HEAD`, and `objects` and `refs` in the common directory.
fn is_git_directory(path: &Path) -> bool {
    if fs_err::symlink_metadata(path.join("HEAD")).is_err() {
        return false;
    }
    let common = common_dir_of(path).unwrap_or_else(|_| path.to_owned());
    common.join("objects").is_dir() && common.join("refs").is_dir()
}

fn configured_bare(git_dir: &Path) -> Result<bool> {
    match fs_err::read(git_dir.join("config")) {
        Ok(config) => Ok(says_bare(&String::from_utf8_lossy(&config))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The last `core.bare` of a git configuration file (git-config(1), syntax).
fn says_bare(config: &str) -> bool {
    let mut in_core = false;
    let mut bare = false;
    for line in config.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            in_core = section
                .split(']')
                .next()
                .is_some_and(|name| name.trim().eq_ignore_ascii_case("core"));
            continue;
        }
        let (key, value) = line.split_once('=').unwrap_or((line, "true"));
        if in_core && key.trim().eq_ignore_ascii_case("bare") {
            let value =
                value.split(['#', ';']).next().unwrap_or_default().trim().to_ascii_lowercase();
            bare = matches!(value.as_str(), "true" | "yes" | "on" | "1");
        }
    }
    bare
}

fn bare(git_dir: &Path) -> Failure {
    let message =
        format!("{} is a bare repository, in which no project can live", git_dir.display());
    Failure::new(Code::GitError, message)
        .hint("work in a clone of it, or in a worktree: `git worktree add`")
}

impl Repository {
    /// The branch that HEAD is on, if it is on one.
    pub fn branch(&self) -> Option<String> {
        let head = fs_err::read_to_string(self.git_dir.join("HEAD")).ok()?;
        head.trim_end().strip_prefix("ref: refs/heads/").map(str::to_owned)
    }

    /// The commit that HEAD names, without starting git and without a look at the commit itself. `None` where only git
    /// can tell: before the first commit, or where refs are kept in another way than as files.
    pub fn head(&self) -> Option<String> {
        let text = |path: PathBuf| fs_err::read_to_string(path).ok();
        let commit = match self.branch() {
            None => text(self.git_dir.join("HEAD"))?,
            Some(branch) => {
                let name = format!("refs/heads/{branch}");
                text(self.common_dir.join(&name)).or_else(|| {
                    let packed = text(self.common_dir.join("packed-refs"))?;
                    let refs = packed.lines().filter_map(|line| line.split_once(' '));
                    refs.filter(|(_, known)| *known == name)
                        .map(|(at, _)| at.to_owned())
                        .next_back()
                })?
            }
        };
        Some(commit.trim_end()).filter(|text| is_object_name(text)).map(str::to_owned)
    }

    /// Resolves `revision` and asks which of `paths` (relative to the project root) exist there.
    pub fn preflight(
        &self,
        h: &mut dyn Helpers,
        revision: &str,
        paths: &[&Path],
    ) -> Result<Preflight> {
        refuse_odd_revision(revision)?;
        let mut questions = format!("HEAD^{{commit}}\n{revision}^{{commit}}\n").into_bytes();
        for path in paths {
            questions.extend(revision.as_bytes());
            questions.push(b':');
            questions.extend(self.tree_path(path)?);
            questions.push(b'\n');
        }
        let mut git = command::git(&self.top);
        git.args(["cat-file", "--batch-check=%(objectname) %(objecttype)"]);
        let output = command::checked(h, git, Some(questions), "cannot look up the commit")?;
        let answers: Vec<Option<String>> =
            output.split(|byte| *byte == b'\n').map(object_name).collect();
        let answer = |index: usize| answers.get(index).cloned().flatten();
        match (answer(0), answer(1)) {
            (_, Some(commit_sha)) => {
                let objects = (0..paths.len()).map(|index| answer(index + 2).is_some()).collect();
                Ok(Preflight { commit_sha, objects })
            }
            (None, None) => Err(self.no_commit()),
            (Some(_), None) => Err(self.unknown(revision)),
        }
    }

    /// The bytes of a file (relative to the project root) as of a commit.
    pub fn read_file(&self, h: &mut dyn Helpers, commit: &str, path: &Path) -> Result<Vec<u8>> {
        refuse_odd_revision(commit)?;
        let mut object = format!("{commit}:").into_bytes();
        object.extend(self.tree_path(path)?);
        let mut git = command::git(&self.top);
        git.args(["cat-file", "blob"]).arg(OsString::from_vec(object));
        command::checked(h, git, None, &format!("cannot read {} at {commit}", path.display()))
    }

    /// A path below the project root as git's trees name it: from the top, without `.` and `..`.
    fn tree_path(&self, path: &Path) -> Result<Vec<u8>> {
        let mut below_top = self.prefix.clone();
        for component in path.components() {
            match component {
                Component::Normal(name) => below_top.push(name),
                Component::CurDir => {}
                _ => return Err(odd_path(path)),
            }
        }
        let bytes = below_top.into_os_string().into_vec();
        if bytes.contains(&b'\n') { Err(odd_path(path)) } else { Ok(bytes) }
    }

    fn no_commit(&self) -> Failure {
        let message = format!("the repository {} has no commit yet", self.top.display());
        Failure::new(Code::GitError, message).hint("git add -A && git commit")
    }

    fn unknown(&self, revision: &str) -> Failure {
        let message = format!("{revision} names no commit in {}", self.top.display());
        Failure::new(Code::GitError, message)
            .hint("name a branch, a tag or a hash of `git log --all --oneline`")
    }
}

/// A line of `%(objectname) %(objecttype)`; `None` for `NAME missing` and `NAME ambiguous`.
pub(super) fn object_name(line: &[u8]) -> Option<String> {
    let (name, kind) = std::str::from_utf8(line).ok()?.split_once(' ')?;
    let known = matches!(kind, "commit" | "tree" | "blob" | "tag");
    (known && is_object_name(name)).then(|| name.to_owned())
}

/// A full hash, as git writes it.
pub fn is_object_name(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// One line is one question to git, and a leading dash an option.
fn refuse_odd_revision(revision: &str) -> Result<()> {
    if revision.is_empty() || revision.starts_with('-') || revision.chars().any(char::is_control) {
        let message = format!("{revision:?} cannot name a commit");
        return Err(Failure::new(Code::GitError, message)
            .hint("name a branch, a tag or a hash, such as `HEAD`"));
    }
    Ok(())
}

fn odd_path(path: &Path) -> Failure {
    Failure::new(
        Code::GitError,
        format!("{} is not a plain path below the project root", path.display()),
    )
}
