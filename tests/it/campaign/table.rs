//! What a campaign prints.

use std::time::Duration;

/// One line of the table.
#[derive(Default)]
pub struct Row {
    pub name: String,
    pub trials: usize,
    /// Planned: more than were tried, if there was not the time.
    pub moments: usize,
    /// Trials whose moment never came.
    pub missed: usize,
    /// Seeds of the trials after which something was wrong.
    pub failures: Vec<String>,
    pub skipped: Option<String>,
    pub note: Option<String>,
    /// From the fault to the record.
    pub times: Vec<Duration>,
}

impl Row {
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    pub fn skipped(name: impl Into<String>, why: impl Into<String>) -> Self {
        Self { skipped: Some(why.into()), ..Self::new(name) }
    }

    pub fn median(&self) -> Option<Duration> {
        let mut times = self.times.clone();
        times.sort();
        times.get(times.len() / 2).copied()
    }

    pub fn line(&self) -> String {
        let time = |time: Option<Duration>| {
            time.map_or("-".to_owned(), |time| format!("{:.2} s", time.as_secs_f64()))
        };
        let worst = self.times.iter().max().copied();
        let left = self.moments.saturating_sub(self.trials);
        let mut notes: Vec<_> = self.skipped.iter().chain(&self.note).cloned().collect();
        notes.extend((left > 0).then(|| format!("{left} not tried: no time")));
        notes.extend((self.missed > 0).then(|| format!("{} moments that never came", self.missed)));
        format!(
            "| {} | {} | {} | {} | {} | {} |",
            self.name,
            self.trials,
            self.failures.len(),
            time(self.median()),
            time(worst),
            notes.join("; ")
        )
    }
}

/// `replay`: the command that tries a seed again.
pub fn print(rows: &[Row], replay: &str) {
    println!("\n| scenario | trials | violations | median time to record | worst | notes |");
    println!("| --- | ---: | ---: | ---: | ---: | --- |");
    for row in rows {
        println!("{}", row.line());
    }
    let trials: usize = rows.iter().map(|row| row.trials).sum();
    let failures: usize = rows.iter().map(|row| row.failures.len()).sum();
    let skipped = rows.iter().filter(|row| row.skipped.is_some()).count();
    println!("| **all** | {trials} | {failures} | | | {skipped} scenarios |");
    for seed in rows.iter().flat_map(|row| &row.failures) {
        println!("again: scripts/campaign {replay} '{seed}'");
    }
}
