//! Worker definitions in the project's `workers/` directory. Reads only.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::layout::Layout;
use crate::model::definition::{self, Definition, Problem};
use crate::model::failure::{Code, Failure, Result};

/// One file in `workers/`.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Relative to the project root, such as `workers/review.json`.
    pub path: PathBuf,
    pub bytes: Vec<u8>,
    pub result: Result<Definition, Vec<Problem>>,
}

impl Found {
    /// What it calls itself; a broken file by the name that can still be read in it, else by its own.
    pub fn name(&self) -> String {
        if let Ok(definition) = &self.result {
            return definition.name.clone();
        }
        let value = serde_json::from_slice::<Value>(&self.bytes).unwrap_or_default();
        let name = value.get("name").and_then(Value::as_str).filter(|name| !name.is_empty());
        name.map_or_else(|| self.stem(), str::to_owned)
    }

    fn stem(&self) -> String {
        self.path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// A broken file answers to its own name too: what it calls itself may be the very thing that is wrong.
    fn is_called(&self, name: &str) -> bool {
        let same = |own: String| own.to_lowercase() == name.to_lowercase();
        same(self.name()) || (self.result.is_err() && same(self.stem()))
    }
}

/// Every `workers/*.json`, sorted by file name; none if there is no such directory. A file that cannot be read is
/// found with that as its problem.
pub fn all(layout: &Layout) -> Result<Vec<Found>> {
    let directory = layout.definitions();
    let children = match fs_err::read_dir(&directory) {
        Ok(children) => children,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut paths = Vec::new();
    for child in children {
        let path = child?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if path.extension().is_some_and(|extension| extension == "json")
            && !hidden
            && !path.is_dir()
        {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths.iter().map(|path| read(&layout.root, path)).collect())
}

/// One definition, wherever its file is.
pub fn at(layout: &Layout, path: &Path) -> Result<Found> {
    match fs_err::canonicalize(path) {
        Ok(path) => Ok(read(&layout.root, &path)),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let message = format!("there is no definition {}", path.display());
            Err(Failure::new(Code::NotFound, message)
                .hint("name a file such as workers/review.json"))
        }
        Err(error) => Err(error.into()),
    }
}

fn read(root: &Path, path: &Path) -> Found {
    let relative = path.strip_prefix(root).unwrap_or(path).to_owned();
    match fs_err::read(path) {
        Ok(bytes) => Found { path: relative, result: definition::parse(&bytes), bytes },
        Err(error) => {
            let problem = Problem::new("file", format!("cannot be read: {error}"));
            Found { path: relative, bytes: Vec::new(), result: Err(vec![problem]) }
        }
    }
}

/// The one definition called `name`, without regard to case. It may be broken: then its problems are in it.
pub fn by_name(layout: &Layout, name: &str) -> Result<Found> {
    let mut found = all(layout)?;
    let called: Vec<usize> =
        (0..found.len()).filter(|index| found[*index].is_called(name)).collect();
    match called[..] {
        [index] => Ok(found.swap_remove(index)),
        [] => Err(unknown(name, &found)),
        [..] => {
            let paths: Vec<String> =
                called.iter().map(|index| found[*index].path.display().to_string()).collect();
            let message = format!("{} all define a worker called {name}", paths.join(", "));
            Err(Failure::new(Code::InvalidDefinition, message).hint("rename or remove all but one"))
        }
    }
}

fn unknown(name: &str, found: &[Found]) -> Failure {
    if found.is_empty() {
        let message = format!("no worker {name:?}: the project has no definition in workers/");
        return Failure::new(Code::NotFound, message).hint(
            "lattice worker add, for those that come with Lattice, or lattice worker new NAME",
        );
    }
    let names: Vec<String> = found.iter().map(Found::name).collect();
    let message = format!("no worker is called {name:?}; there are {}", names.join(", "));
    Failure::new(Code::NotFound, message).hint("lattice worker list")
}

#[cfg(test)]
mod tests {
    use tempfile::{TempDir, tempdir};

    use super::*;

    fn project(files: &[(&str, &str)]) -> (TempDir, Layout) {
        let dir = tempdir().unwrap();
        for (path, content) in files {
            let path = dir.path().join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, content).unwrap();
        }
        let layout = Layout::at(dir.path());
        (dir, layout)
    }

    const REVIEW: &str = r#"{"name": "Review", "command": "true"}"#;

    #[test]
    fn files_are_sorted_and_others_left_out() {
        let (_dir, layout) = project(&[
            ("workers/b.json", REVIEW),
            ("workers/a.json", "{"),
            ("workers/.hidden.json", REVIEW),
            ("workers/readme.md", ""),
            ("workers/sub.json/x.json", REVIEW),
        ]);
        let found = all(&layout).unwrap();
        let paths: Vec<_> = found.iter().map(|found| found.path.to_str().unwrap()).collect();
        assert_eq!(paths, ["workers/a.json", "workers/b.json"]);
        assert!(found[0].result.is_err() && found[1].result.is_ok());
        assert_eq!(found[1].bytes, REVIEW.as_bytes());
    }

    #[test]
    fn no_directory_is_no_definition() {
        let (_dir, layout) = project(&[]);
        assert!(all(&layout).unwrap().is_empty());
        assert_eq!(by_name(&layout, "x").unwrap_err().code(), Code::NotFound);
    }

    #[test]
    fn names_are_found_without_regard_to_case() {
        let (_dir, layout) = project(&[("workers/x.json", REVIEW)]);
        assert_eq!(by_name(&layout, "REVIEW").unwrap().path, Path::new("workers/x.json"));
        let failure = by_name(&layout, "x").unwrap_err();
        assert_eq!(failure.message(), "no worker is called \"x\"; there are Review");
    }

    #[test]
    fn broken_files_are_found_by_what_is_left_of_them() {
        let (_dir, layout) = project(&[
            ("workers/half.json", "{\"name\": "),
            ("workers/x.json", r#"{"name": "Named", "comand": "true"}"#),
        ]);
        for (name, path) in [("half", "workers/half.json"), ("named", "workers/x.json")] {
            let found = by_name(&layout, name).unwrap();
            assert_eq!(found.path, Path::new(path));
            assert!(found.result.is_err());
        }
        std::os::unix::fs::symlink("nowhere", layout.definitions().join("gone.json")).unwrap();
        let problems = by_name(&layout, "gone").unwrap().result.unwrap_err();
        assert!(problems[0].to_string().starts_with("file: cannot be read: "));
    }

    #[test]
    fn two_of_one_name_are_refused() {
        let (_dir, layout) = project(&[
            ("workers/a.json", REVIEW),
            ("workers/b.json", &REVIEW.replace("Review", "REVIEW")),
        ]);
        let failure = by_name(&layout, "review").unwrap_err();
        assert_eq!(failure.code(), Code::InvalidDefinition);
        assert_eq!(
            failure.message(),
            "workers/a.json, workers/b.json all define a worker called review"
        );
    }
}
