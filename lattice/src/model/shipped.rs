//! The workers that come with Lattice, with every file that they need, as they are in its own repository.

use std::borrow::Cow;

use super::new_file::NewFile;

/// A worker. The definition is the last of its files: what is laid down only in part does not define one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shipped {
    pub name: &'static str,
    pub files: &'static [NewFile],
}

macro_rules! file {
    ($path:literal) => {
        file!($path, false)
    };
    ($path:literal, executable) => {
        file!($path, true)
    };
    ($path:literal, $executable:literal) => {
        NewFile {
            path: Cow::Borrowed($path),
            text: Cow::Borrowed(include_str!(concat!("../../../", $path))),
            executable: $executable,
        }
    };
}

pub const WORKERS: &[Shipped] = &[
    Shipped {
        name: "CodeReviewHeavy",
        files: &[
            file!("scripts/agent", executable),
            file!("scripts/review-panel", executable),
            file!("prompts/review-context.md"),
            file!("prompts/review-standard.md"),
            file!("prompts/review-critical.md"),
            file!("prompts/review-synthesis.md"),
            file!("workers/CodeReviewHeavy.json"),
        ],
    },
    Shipped {
        name: "CodeReviewLite",
        files: &[file!("prompts/code-review-lite.md"), file!("workers/CodeReviewLite.json")],
    },
    Shipped {
        name: "TestRunner",
        files: &[file!("scripts/test-runner", executable), file!("workers/TestRunner.json")],
    },
    Shipped {
        name: "TripleThreatReview",
        files: &[
            file!("scripts/agent", executable),
            file!("scripts/review-panel", executable),
            file!("prompts/review-context.md"),
            file!("prompts/review-correctness.md"),
            file!("prompts/review-security.md"),
            file!("prompts/review-design.md"),
            file!("prompts/review-synthesis.md"),
            file!("prompts/review-fix.md"),
            file!("prompts/review-again.md"),
            file!("workers/TripleThreatReview.json"),
        ],
    },
];

pub fn by_name(name: &str) -> Option<&'static Shipped> {
    WORKERS.iter().find(|worker| worker.name.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;
    use crate::model::definition::{CommandLine, parse};
    use crate::model::engine::prompt;

    #[test]
    fn every_worker_has_all_that_it_names() {
        for worker in WORKERS {
            let paths: Vec<&str> = worker.files.iter().map(|file| &*file.path).collect();
            let definition = parse(worker.files.last().unwrap().text.as_bytes()).unwrap();
            assert_eq!(definition.name, worker.name);
            assert!(!definition.description.is_empty(), "{}", worker.name);
            if let Some(path) = &definition.prompt_file {
                assert!(paths.contains(&path.to_str().unwrap()), "{path:?}");
            }
            if let Some(CommandLine::Argv(words)) = &definition.command {
                let script = worker.files.iter().find(|file| file.path == words[0]).unwrap();
                assert!(script.executable, "{}", words[0]);
                let parts = words.iter().filter_map(|word| Some(word.split_once(':')?.1));
                for part in parts {
                    let path = format!("prompts/review-{part}.md");
                    assert!(paths.contains(&path.as_str()), "{} needs {path}", worker.name);
                }
            }
            for file in worker.files.iter().filter(|file| file.path.starts_with("prompts/")) {
                assert_eq!(prompt::check(&file.text), Ok(()), "{}", file.path);
            }
        }
    }

    /// A file beside them that no worker takes along would be a worker that nobody can add.
    #[test]
    fn every_file_of_the_repository_belongs_to_a_worker() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let shipped: BTreeSet<&str> =
            WORKERS.iter().flat_map(|worker| worker.files).map(|file| &*file.path).collect();
        for folder in ["workers", "prompts"] {
            for entry in fs_err::read_dir(root.join(folder)).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                let path = format!("{folder}/{name}");
                let is_other = name == "README.md" || name.starts_with('.');
                assert!(is_other || shipped.contains(path.as_str()), "{path} is in no worker");
            }
        }
    }
}
