//! The answer of `worker check` for people: a block for the project and one for each worker.

use lattice::runs::check::{Checked, Line, State};

use super::event::one_line;
use super::paint::Paint;

pub(crate) fn page(root: &str, machine: &[Line], workers: &[Checked], paint: Paint) -> String {
    let mut text = vec![paint.heading(&format!("Project {root}"))];
    text.extend(block(machine, paint));
    for worker in workers {
        text.push(String::new());
        let name = paint.heading(&one_line(&worker.worker));
        text.push(format!("{name} ({})", worker.path));
        text.extend(block(&worker.lines, paint));
    }
    text.push(String::new());
    text.push(summary(machine, workers));
    text.join("\n")
}

fn block(lines: &[Line], paint: Paint) -> Vec<String> {
    let width = |text: fn(&Line) -> &str| {
        lines.iter().map(|line| text(line).len()).max().unwrap_or_default()
    };
    let (states, checks) = (width(|line| line.state.word()), width(|line| line.what));
    let mut text = Vec::new();
    for line in lines {
        let word = line.state.word();
        let painted = match line.state {
            State::Fine => paint.good(word),
            State::Doubtful | State::Unknown => paint.warning(word),
            State::Stops => paint.error(word),
        };
        let pad = " ".repeat(states - word.len());
        text.push(format!("  {painted}{pad}  {:checks$}  {}", line.what, one_line(&line.says)));
        let indent = " ".repeat(states + checks + 6);
        let hint = line.hint.as_deref().filter(|_| line.state != State::Fine);
        text.extend(hint.map(|hint| format!("{indent}{} {}", paint.hint("hint:"), one_line(hint))));
    }
    text
}

fn summary(machine: &[Line], workers: &[Checked]) -> String {
    let stopped = machine.iter().filter(|line| line.state == State::Stops).count();
    let start = workers.iter().filter(|worker| worker.starts()).count();
    match (stopped, workers.len()) {
        (0, 0) => {
            "There are no workers: lattice worker new NAME, or lattice worker add NAME.".to_owned()
        }
        (0, 1) if start == 1 => "It would start.".to_owned(),
        (0, 1) => "It would not start.".to_owned(),
        (0, all) if start == all => format!("All {all} workers would start."),
        (0, all) => format!("{start} of {all} workers would start."),
        _ => "No worker would start here.".to_owned(),
    }
}
