//! The answer of `doctor` for people: one line for each check that found nothing, one for each finding.

use lattice::model::finding::{Check, Finding, Level};
use lattice::storage::doctor::Survey;

use super::paint::Paint;

pub(crate) fn page(survey: &Survey, fixed: &[Finding], paint: Paint) -> String {
    let mut lines = vec![format!(
        "Checking {} tasks, {} events, {} artifacts...",
        survey.tasks, survey.events, survey.artifacts
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
    let count = |level| survey.findings.iter().filter(|finding| finding.level == level).count();
    lines.push(String::new());
    lines.push(match (count(Level::Error), count(Level::Warning)) {
        (0, 0) => "No issues found.".to_owned(),
        (errors, warnings) => format!("{}.", found(errors, warnings)),
    });
    lines.join("\n")
}

/// `1 warning and 2 errors found`
pub(crate) fn found(errors: usize, warnings: usize) -> String {
    let plural = |count: usize, what: &str| match count {
        0 => None,
        1 => Some(format!("1 {what}")),
        _ => Some(format!("{count} {what}s")),
    };
    let parts: Vec<String> =
        [plural(warnings, "warning"), plural(errors, "error")].into_iter().flatten().collect();
    format!("{} found", parts.join(" and "))
}
