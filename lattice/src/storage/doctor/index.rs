//! `ids.json` against the short IDs that the tasks themselves have.

use std::collections::{BTreeMap, HashSet};

use crate::model::finding::{Check, Finding};
use crate::model::ids::TaskId;
use crate::storage::layout::Layout;
use crate::storage::task::named::Named;
use crate::storage::task::short_ids;

/// The index as it was read. Entries that a task has confirmed are taken out.
#[derive(Default)]
pub(super) struct Index {
    /// `None` if there is no index, or none that can be read.
    entries: Option<BTreeMap<String, String>>,
    is_absent: bool,
    counters: BTreeMap<String, u64>,
    named: Named,
    /// Tasks that are there and cannot be read.
    unknown: HashSet<String>,
}

impl Index {
    pub(super) fn read(layout: &Layout, findings: &mut Vec<Finding>) -> Self {
        match short_ids::read(layout) {
            Ok(None) => Self { is_absent: true, ..Self::default() },
            Ok(Some(index)) => Self {
                entries: Some(short_ids::entries(&index)),
                counters: short_ids::counters(&index),
                ..Self::default()
            },
            Err(failure) => {
                findings.push(Finding::error(Check::AliasIntegrity, failure.to_string()));
                Self::default()
            }
        }
    }

    /// What the index says of such a task may be right.
    pub(super) fn pass_over(&mut self, task: &TaskId) {
        self.unknown.insert(task.to_string());
    }

    pub(super) fn compare(&mut self, task: &TaskId, short_id: &str) -> Vec<Finding> {
        let mut findings = Vec::new();
        if let Some((older, newer)) = self.named.add(short_id, task) {
            let message = format!(
                "{older} and {newer} both have the short ID {short_id}; `lattice backfill-ids` gives the second, which is newer, another"
            );
            findings.push(Finding::error(Check::AliasIntegrity, message).of(&newer));
            return findings;
        }
        let Some(entries) = &mut self.entries else { return findings };
        match entries.get(short_id) {
            Some(known) if known == task.as_str() => drop(entries.remove(short_id)),
            // The entry stays, and is found to be wrong in the end.
            Some(_) => {}
            None => {
                let message = format!("the short ID {short_id} of {task} is not in ids.json");
                findings.push(Finding::warning(Check::AliasIntegrity, message).of(task));
            }
        }
        findings
    }

    /// Entries that no task has confirmed, and counters that would give out a number twice.
    pub(super) fn finish(self, layout: &Layout) -> Vec<Finding> {
        let warn = |message| Finding::warning(Check::AliasIntegrity, message);
        let mut findings = Vec::new();
        if self.is_absent && !self.named.is_empty() {
            findings.push(warn("ids.json is missing, and tasks have short IDs".to_owned()));
        }
        let Some(entries) = self.entries else { return findings };
        let doubtful = entries.iter().filter(|(_, task)| !self.unknown.contains(*task));
        for (short_id, text) in doubtful {
            let task = TaskId::parse(text);
            let exists = task.as_ref().is_some_and(|task| layout.has_task(task));
            let what = if exists { "which has no such short ID" } else { "which does not exist" };
            let mut finding = warn(format!("ids.json maps {short_id} to {text}, {what}"));
            finding.task = task;
            findings.push(finding);
        }
        let mut highest = self.named.highest();
        for (prefix, number) in entries.keys().filter_map(|id| short_ids::split(id)) {
            let known = highest.entry(prefix.to_owned()).or_default();
            *known = number.max(*known);
        }
        for (prefix, number) in highest {
            let next = self.counters.get(&prefix).copied().unwrap_or(1);
            if next <= number {
                findings.push(warn(format!(
                    "the next number of {prefix} in ids.json is {next}, but {prefix}-{number} is taken"
                )));
            }
        }
        findings
    }
}
