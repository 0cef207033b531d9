//! All tasks, some at a time: a list of them would grow with their number.

use std::borrow::Borrow;
use std::path::PathBuf;

use super::read::ids_in;
use crate::model::ids::TaskId;
use crate::storage::agreement::Sum;

/// As many as all cores have to do for a while.
const SOME: usize = 4096;

/// A directory with a file for each task, and how these end.
pub(in crate::storage) type Place = (PathBuf, &'static str);

/// Whether a task has been seen in no earlier place. It asks the file system, so threads should ask it.
pub(in crate::storage) type IsNew<'a> = &'a (dyn Fn(&TaskId) -> bool + Sync);

/// Shows every task with a file in one of the places. One that has files in several comes again, and is new only once.
/// Mostly a place has the tasks of an earlier one and no others; then none of them comes again.
pub(in crate::storage) fn each_in(
    places: &[Place],
    warnings: &mut Vec<String>,
    visit: &mut dyn FnMut(&[TaskId], IsNew<'_>),
) {
    let mut seen = Vec::new();
    for (number, (dir, extension)) in places.iter().enumerate() {
        let mut unlisted = Vec::new();
        if number > 0
            && seen.contains(&sum(ids_in(dir, extension, &mut unlisted)))
            && unlisted.is_empty()
        {
            continue;
        }
        let mut here = Sum::default();
        let is_new = |task: &TaskId| {
            let mut earlier = places[..number].iter();
            !earlier.any(|(dir, extension)| dir.join(task.file_name(extension)).exists())
        };
        let mut some = Vec::with_capacity(SOME);
        for task in ids_in(dir, extension, warnings) {
            here.add(task.as_str().as_bytes());
            some.push(task);
            if some.len() == SOME {
                visit(&some, &is_new);
                some.clear();
            }
        }
        visit(&some, &is_new);
        seen.push(here);
    }
}

/// Of the same tasks in any order the same.
pub(super) fn sum<T: Borrow<TaskId>>(tasks: impl IntoIterator<Item = T>) -> Sum {
    let mut sum = Sum::default();
    tasks.into_iter().for_each(|task| sum.add(task.borrow().as_str().as_bytes()));
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_that_an_earlier_place_has_too_do_not_come_again() {
        let dir = tempfile::tempdir().unwrap();
        let places = [(dir.path().join("a"), "json"), (dir.path().join("b"), "jsonl")];
        let tasks: Vec<TaskId> = (0..9).map(|_| TaskId::generate()).collect();
        for (dir, extension) in &places {
            fs_err::create_dir(dir).unwrap();
            for task in &tasks {
                fs_err::write(dir.join(format!("{task}.{extension}")), "").unwrap();
            }
        }
        let shown = || {
            let mut shown = Vec::new();
            each_in(&places, &mut Vec::new(), &mut |some, is_new| {
                shown.push((some.len(), some.iter().filter(|task| is_new(task)).count()));
            });
            shown
        };
        assert_eq!(shown(), [(9, 9)]);
        fs_err::remove_file(places[0].0.join(format!("{}.json", tasks[3]))).unwrap();
        assert_eq!(shown(), [(8, 8), (9, 1)]);
    }

    #[test]
    fn what_cannot_be_listed_is_told_although_there_is_nothing_new_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let places = [(dir.path().join("a"), "json"), (dir.path().join("b"), "jsonl")];
        fs_err::create_dir(&places[0].0).unwrap();
        fs_err::write(&places[1].0, "no directory").unwrap();
        let mut warnings = Vec::new();
        each_in(&places, &mut warnings, &mut |some, _| assert!(some.is_empty()));
        assert_eq!(warnings.len(), 1, "{warnings:?}");
    }

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
