//! What becomes of the variables of an environment, by name. Values are never told: some are secrets.

use lattice::runs::surroundings::Action;

use super::event::one_line;
use super::paint::Paint;
use super::table::{Cell, lines};

pub(crate) fn words(action: Action) -> (&'static str, &'static str) {
    match action {
        Action::Keep(why) => ("kept", why),
        Action::Drop(why) => ("dropped", why),
        Action::Set(why) => ("set", why),
    }
}

/// Every variable, each with its reason.
pub(crate) fn table(rows: &[(String, Action)], paint: Paint) -> String {
    let cells: Vec<Vec<Cell>> = rows
        .iter()
        .map(|(name, action)| {
            let (word, why) = words(*action);
            let painter = match action {
                Action::Keep(_) => |_: Paint, text: &str| text.to_owned(),
                Action::Drop(_) => Paint::warning,
                Action::Set(_) => Paint::good,
            };
            vec![Cell::new(one_line(name)), Cell::painted(word, painter), Cell::new(why)]
        })
        .collect();
    lines(&["VARIABLE", "ACTION", "WHY"], &cells, None, paint).join("\n")
}

/// What is dropped and set by name; of the rest only how many.
pub(crate) fn summary(rows: &[(String, Action)], paint: Paint) -> String {
    let of = |wanted: &str| -> Vec<String> {
        let fitting = rows.iter().filter(|(_, action)| words(*action).0 == wanted);
        fitting.map(|(name, _)| one_line(name).into_owned()).collect()
    };
    let named = |what: &str| {
        let names = of(what);
        let heading = paint.heading(&format!("{what} ({})", names.len()));
        let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        format!("{heading}: {names}")
    };
    let kept = paint.heading(&format!("kept ({})", of("kept").len()));
    format!(
        "{}\n{}\n{kept}: all others of the caller (--explain names them)",
        named("dropped"),
        named("set")
    )
}
