//! The answer of `doctor` for people: one line for each check that found nothing, one for each finding.

use lattice::model::finding::{Check, Finding, Level};
use lattice::storage::doctor::Survey;

use super::paint::Paint;
use super::plural::count;

/// `fixed` is `None` where it was only looked.
pub(crate) fn page(survey: &Survey, fixed: Option<&[Finding]>, paint: Paint) -> String {
    let advice = if fixed.is_some() { "" } else { " lattice doctor --fix repairs what it can." };
    let fixed = fixed.unwrap_or_default();
    let mut lines = vec![format!(
        "Checking {}, {}, {}...",
        count(survey.tasks, "task"),
        count(survey.events, "event"),
        count(survey.artifacts, "artifact")
    )];
    for (check, _, fine) in Check::ALL {
        let of_check = |finding: &&Finding| finding.check == check;
        let before = lines.len();
        let repaired = fixed.iter().filter(of_check);
        lines.extend(repaired.map(|finding| format!("\u{2713} {} (fixed)", finding.message)));
        for finding in survey.findings.iter().filter(of_check) {
            let mark = match finding.level {
                Level::Error => paint.error("\u{26a0}"),
                Level::Warning => paint.warning("\u{26a0}"),
            };
            lines.push(format!("{mark} {}", finding.message));
        }
        if lines.len() == before {
            lines.push(format!("\u{2713} {fine}"));
        }
    }
    let of = |level| survey.findings.iter().filter(|finding| finding.level == level).count();
    lines.push(String::new());
    lines.push(match (of(Level::Error), of(Level::Warning)) {
        (0, 0) if fixed.is_empty() => "No issues found.".to_owned(),
        (0, 0) => format!("{} fixed; no others found.", count(fixed.len(), "issue")),
        (errors, warnings) => format!("{}.{advice}", found(errors, warnings)),
    });
    lines.join("\n")
}

/// `1 warning and 2 errors found`
pub(crate) fn found(errors: usize, warnings: usize) -> String {
    let parts = [(warnings, "warning"), (errors, "error")];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, what)| count(*number, what))
        .collect();
    format!("{} found", parts.join(" and "))
}
