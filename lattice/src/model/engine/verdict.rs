//! What follows from an engine's own account and its exit, where the supervisors have nothing to say against it.

use super::account::{Account, Outcome, Trouble};
use super::class::Class;
use super::preset::Preset;
use crate::model::outcome::{Exit, Reason};

/// Why the engine is not believed to have done its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub reason: Reason,
    pub class: Option<Class>,
    pub sentence: String,
}

/// The longest sentence of a terminal event.
const LONGEST: usize = 200;
/// Of the engine's own words that a remedy leaves room for.
const FEWEST: usize = 30;

/// `None`: it did what it says. `lingered`: its exit is our doing, and says nothing.
pub fn of(preset: &Preset, account: &Account, exit: Exit, lingered: bool) -> Option<Verdict> {
    let told = |reason, class, trouble: &Trouble| {
        Some(Verdict { reason, class, sentence: sentence(preset, class, trouble) })
    };
    if let Some(Outcome::Failure(trouble)) = &account.outcome {
        return told(Reason::EngineError, Class::of_trouble(trouble), trouble);
    }
    if !account.denied.is_empty() {
        let trouble = Trouble::new(&denied(&account.denied));
        return told(Reason::EngineError, Some(Class::Permissions), &trouble);
    }
    let clean = lingered || exit.code == Some(0);
    if account.outcome.is_some() {
        let name = preset.kind.name();
        let sentence = format!("{name} reported success, but {}", how(exit));
        return (!clean).then_some(Verdict { reason: exit.reason(), class: None, sentence });
    }
    Some(without_result(preset, account, exit))
}

/// The last error that it told of and did not get over, for the sentence of an end that others have decided.
pub fn last_trouble(account: &Account) -> Option<&str> {
    let told = account.trouble.as_ref().map(|trouble| trouble.words.as_str());
    told.or_else(|| spoken(account).map(|(_, line)| line))
}

/// The last of its last words that are known to mean something.
fn spoken(account: &Account) -> Option<(Class, &str)> {
    account.words.iter().rev().find_map(|line| Some((Class::of_words(line)?, line.as_str())))
}

/// It died, gave up, or fell silent: its last words may say why.
fn without_result(preset: &Preset, account: &Account, exit: Exit) -> Verdict {
    let reason = if exit.code == Some(0) { Reason::NoResult } else { exit.reason() };
    if let Some(complaint) = misunderstanding(account, exit) {
        let class = Some(Class::BadFlags);
        return Verdict { reason, class, sentence: sentence(preset, class, &complaint) };
    }
    let by_exit =
        preset.exits.iter().find(|(code, _)| exit.code == Some(*code)).map(|found| found.1);
    let by_trouble = account.trouble.as_ref().map(|trouble| (Class::of_trouble(trouble), trouble));
    let (class, trouble) = match (by_exit, by_trouble, spoken(account)) {
        (known, Some((class, trouble)), _) => (known.or(class), trouble.clone()),
        (known, None, Some((class, line))) => (known.or(Some(class)), Trouble::new(line)),
        (known, None, None) => (known, Trouble::new(&last_error(account))),
    };
    let sentence = if class.is_some() {
        sentence(preset, class, &trouble)
    } else {
        let head = format!("{} left no result record and {}", preset.kind.name(), how(exit));
        fit(&head, &trouble.words, "see its log")
    };
    Verdict { reason, class, sentence }
}

/// Who is told how to call it was not understood. Some say before it what they did not understand, some nothing; what
/// the help goes on to speak of is no trouble.
fn misunderstanding(account: &Account, exit: Exit) -> Option<Trouble> {
    let failed = exit.code.is_some_and(|code| code != 0);
    if account.records > 0 || !account.explained_itself || !failed {
        return None;
    }
    let complaint = account.opening.as_deref();
    let complaint = complaint.filter(|line| Class::of_words(line) == Some(Class::BadFlags));
    Some(Trouble::new(complaint.unwrap_or("it answered with its help")))
}

/// The line that calls itself an error, else the last one.
fn last_error(account: &Account) -> String {
    let is_error = |line: &&String| line.to_lowercase().starts_with("error");
    account.words.iter().rev().find(is_error).or(account.words.back()).cloned().unwrap_or_default()
}

fn how(exit: Exit) -> String {
    match (exit.code, exit.signal) {
        (_, Some(signal)) => format!("was ended by signal {signal}"),
        (Some(code), None) => format!("exited {code}"),
        (None, None) => "nobody saw its exit".to_owned(),
    }
}

/// `2 tool calls: Bash, Edit`
fn denied(tools: &[String]) -> String {
    let mut names: Vec<&str> = tools.iter().map(String::as_str).collect();
    names.sort_unstable();
    names.dedup();
    let calls = if tools.len() == 1 { "call" } else { "calls" };
    format!("{} tool {calls} denied, of {}", tools.len(), names.join(", "))
}

fn sentence(preset: &Preset, class: Option<Class>, trouble: &Trouble) -> String {
    let says = class.map_or("reported an error", Class::says);
    let status = trouble.status.map(|status| format!(" (HTTP {status})")).unwrap_or_default();
    let remedy = class.map_or("see its log", |class| class.remedy(preset));
    fit(&format!("{} {says}{status}", preset.kind.name()), &trouble.words, remedy)
}

/// `HEAD: WORDS; REMEDY`, in which the words give way.
fn fit(head: &str, words: &str, remedy: &str) -> String {
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    let words = words.trim_end_matches('.');
    let tail = if remedy.is_empty() { String::new() } else { format!("; {remedy}") };
    let room = LONGEST.saturating_sub(head.chars().count() + tail.chars().count() + 2).max(FEWEST);
    let words = if words.chars().count() > room {
        words.chars().take(room - 1).chain(['…']).collect()
    } else {
        words.to_owned()
    };
    let middle = if words.is_empty() { String::new() } else { format!(": {words}") };
    format!("{head}{middle}{tail}")
}
