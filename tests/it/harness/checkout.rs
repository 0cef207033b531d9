//! Everything about a worktree that a worker could tell it from another by.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use fs_err as fs;

use super::sandbox::Sandbox;
use super::tree::Tree;

/// Questions to git, asked in the worktree.
const QUESTIONS: &[&str] = &[
    "git ls-files --stage -v -t --full-name",
    // Without times and inodes, which no two checkouts share.
    "git ls-files --debug | grep -v -e ctime: -e mtime: -e ' dev: '",
    "git status --porcelain=v2 --branch --ignored --untracked-files=all",
    "git status --porcelain --ignored",
    "git diff-files; git diff-index HEAD",
    "git clean -ndffx",
    "git config --list --show-scope --show-origin",
    "git for-each-ref; git log -g --format=%gD%gs; git symbolic-ref HEAD",
    "git ls-files | git check-attr --stdin --all",
    "git sparse-checkout list; git bisect log; git stash list",
    "find . -print0 | sort -z | xargs -0 sh -c 'getfacl -P \"$@\"; getfattr -h -d -m - \"$@\"' .",
    "find . -type d -print0 | sort -z | xargs -0 lsattr -d",
    "umask; env | grep -v -e STARTED_EVENT -e WORKTREE | sort",
];

/// By topic.
#[derive(Debug, PartialEq, Eq)]
pub struct Description(BTreeMap<String, String>);

impl Description {
    #[track_caller]
    pub fn assert_same(&self, other: &Self) {
        for (topic, text) in &self.0 {
            assert_eq!(Some(text), other.0.get(topic), "{topic}");
        }
        assert_eq!(self.0.len(), other.0.len());
    }
}

impl Sandbox {
    /// Of a worktree that nobody works in at this moment. Its name and its run's are replaced.
    #[track_caller]
    pub fn describe(&self, worktree: &Path, run: &str) -> Description {
        let name = worktree.file_name().expect("a worktree has a name").to_string_lossy();
        let entry = self.project.join(".git/worktrees").join(&*name);
        let plain = |text: &str| text.replace(&*name, "NAME").replace(run, "RUN");
        let mut topics = BTreeMap::new();
        // Before git looks, which may refresh the index.
        topics.insert("index".to_owned(), index(&fs::read(entry.join("index")).expect("an index")));
        let mut put = |kind: &str, root: &Path| {
            for (path, text) in paths(root) {
                topics.insert(format!("{kind} {path}"), plain(&text));
            }
        };
        put("file", worktree);
        put("entry", &entry);
        for question in QUESTIONS {
            let script = format!("cd {} && {question}", worktree.display());
            let answer = self.program(["bash", "-c", &script]).run();
            topics.insert((*question).to_owned(), plain(&answer.stdout));
        }
        Description(topics)
    }
}

/// Version, and which extensions it has. What is in them is a cache.
fn index(bytes: &[u8]) -> String {
    let contains = |name: &&&str| bytes.windows(4).any(|window| window == name.as_bytes());
    let names = ["TREE", "EOIE", "IEOT", "link", "UNTR", "FSMN", "sdir", "REUC"];
    let found: Vec<_> = names.iter().filter(contains).collect();
    format!("version {} {found:?}", bytes[7])
}

/// Owner, mode, kind, links and content of each path below a directory.
fn paths(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(path) = open.pop() {
        let meta = fs::symlink_metadata(&path).expect("a listed path is there");
        if meta.is_dir() {
            let entries = fs::read_dir(&path).expect("a directory can be listed");
            open.extend(entries.map(|entry| entry.expect("a directory can be listed").path()));
        }
        let links = if meta.is_dir() { 0 } else { meta.nlink() };
        let mut text = format!("{:o} {}:{} {links}", meta.mode(), meta.uid(), meta.gid());
        if meta.is_symlink() {
            text += &fs::read_link(&path).expect("a link can be read").display().to_string();
        } else if meta.is_file() && path.file_name().is_some_and(|name| name != "index") {
            let bytes = fs::read(&path).expect("a file can be read");
            text += &without_times(&path, &String::from_utf8_lossy(&bytes));
        }
        let below: PathBuf = path.strip_prefix(root).expect("it is below").to_owned();
        found.insert(below.display().to_string(), text);
    }
    found
}

/// A reflog says when, and the reason of a lock who.
fn without_times(path: &Path, text: &str) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let is_log = path.components().any(|part| part.as_os_str() == "logs");
    if is_log {
        let line = |line: &str| {
            let words = line.split('>').next().unwrap_or_default();
            format!("{words} {}\n", line.split('\t').nth(1).unwrap_or_default())
        };
        return text.lines().map(line).collect();
    }
    match name.as_deref() {
        Some("locked") => text.split(" pid ").next().unwrap_or_default().to_owned(),
        _ => text.to_owned(),
    }
}

/// A whole directory, to show that nothing outside of a worktree was touched.
pub fn tree(directory: &Path) -> Tree {
    Tree::of(directory, &[])
}
