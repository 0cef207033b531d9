//! All tasks, some at a time: a list of them would grow with their number.

use std::path::PathBuf;

use super::read::ids_in;
use crate::model::ids::TaskId;

/// As many as all cores have to do for a while.
const SOME: usize = 4096;

/// A directory with a file for each task, and how these end.
pub(in crate::storage) type Place = (PathBuf, &'static str);

/// Whether a task has been seen in no earlier place. It asks the file system, so threads should ask it.
pub(in crate::storage) type IsNew<'a> = &'a (dyn Fn(&TaskId) -> bool + Sync);

/// Shows every task with a file in one of the places. One that has files in several comes again, and is new only once.
pub(in crate::storage) fn each_in(
    places: &[Place],
    warnings: &mut Vec<String>,
    visit: &mut dyn FnMut(&[TaskId], IsNew<'_>),
) {
    for (number, (dir, extension)) in places.iter().enumerate() {
        let is_new = |task: &TaskId| {
            let mut earlier = places[..number].iter();
            !earlier.any(|(dir, extension)| dir.join(format!("{task}.{extension}")).exists())
        };
        let mut some = Vec::with_capacity(SOME);
        for task in ids_in(dir, extension, warnings) {
            some.push(task);
            if some.len() == SOME {
                visit(&some, &is_new);
                some.clear();
            }
        }
        visit(&some, &is_new);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_is_new_once() {
        let dir = tempfile::tempdir().unwrap();
        let places = [(dir.path().join("a"), "json"), (dir.path().join("b"), "jsonl")];
        let mut expected = Vec::new();
        for (number, (dir, extension)) in places.iter().enumerate() {
            fs_err::create_dir(dir).unwrap();
            for _ in 0..SOME + number {
                let task = TaskId::generate();
                fs_err::write(dir.join(format!("{task}.{extension}")), "").unwrap();
                expected.push(task);
            }
        }
        let both = dir.path().join("b").join(format!("{}.jsonl", expected[0]));
        fs_err::write(both, "").unwrap();
        let (mut seen, mut warnings, mut most) = (Vec::new(), Vec::new(), 0);
        each_in(&places, &mut warnings, &mut |some, is_new| {
            most = most.max(some.len());
            seen.extend(some.iter().filter(|task| is_new(task)).cloned());
        });
        seen.sort();
        expected.sort();
        assert!(seen == expected && warnings.is_empty());
        assert_eq!(most, SOME);
    }
}
