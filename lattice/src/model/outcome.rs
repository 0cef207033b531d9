//! How a run ended: the reasons, what a supervisor saw, and the conclusion from it.

use serde::{Deserialize, Serialize};

use nix::sys::signal::Signal;

use super::definition::EngineKind;
use super::engine::class::Class;
use super::engine::{Account, preset, verdict};
use super::suspect::Suspect;

/// Why a run ended, in the words of the terminal event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    Exited,
    Signaled,
    TimedOut,
    Idle,
    Stopped,
    SpawnFailed,
    WorktreeFailed,
    SetupFailed,
    OomKilled,
    LogLimit,
    SupervisorKilled,
    SupervisorLost,
    MachineRebooted,
    MemoryLimit,
    ProcessLimit,
    CpuLimit,
    FileSizeLimit,
    EngineError,
    NoResult,
    DeliverableMissing,
    Internal,
    Reported,
}

/// Who wrote the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndedBy {
    Shim,
    Warden,
    Reaper,
    Cli,
}

/// How a process ended: by `exit` with a code, or by a signal. Both `None`: nobody saw it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    pub code: Option<i32>,
    pub signal: Option<i32>,
}

impl Exit {
    /// The reason if nothing but the exit itself decides.
    pub fn reason(self) -> Reason {
        match self.signal {
            None => Reason::Exited,
            Some(signal) => limit_of(signal).unwrap_or(Reason::Signaled),
        }
    }

    /// The signal that ended it, or by its status the program that it ran: a shell hands that on as 128 and more.
    pub fn likely_signal(self) -> Option<i32> {
        self.signal.or_else(|| self.code.filter(|code| *code > 128).map(|code| code - 128))
    }
}

/// The limit that the kernel speaks of with a signal (setrlimit(2)).
pub fn limit_of(signal: i32) -> Option<Reason> {
    match Signal::try_from(signal) {
        Ok(Signal::SIGXCPU) => Some(Reason::CpuLimit),
        Ok(Signal::SIGXFSZ) => Some(Reason::FileSizeLimit),
        _ => None,
    }
}

/// What a supervisor knows of an end. What it does not know is `None`, never a guess.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    pub reason: Reason,
    pub exit: Exit,
    /// Where the exit alone does not say it: one sentence that a person can act on.
    pub error: Option<String>,
    /// Time awake between the take-over and the end.
    pub duration_seconds: Option<f64>,
    /// How much of it the run had no slot.
    pub waited_seconds: Option<f64>,
    pub cpu_seconds: Option<f64>,
    pub max_rss_kb: Option<u64>,
    /// The main checkout had changes that the worktree did not see.
    pub dirty: Option<bool>,
    /// The engine became another user's program, which the kernel does not end with its supervisor.
    pub unbound: bool,
    pub swept: usize,
    pub survivors: Survivors,
    pub stop_requested: bool,
    /// A signal to the supervisor that nobody had announced.
    pub ended_by_signal: Option<&'static str>,
    pub log_losses: Losses,
    /// It had told its result, but would not exit, and was ended: its exit is our doing.
    pub lingered: bool,
    /// What the engine told, if its output was understood.
    pub told: Option<Box<Told>>,
}

/// An engine's own account of what it did.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    pub engine: EngineKind,
    pub account: Account,
}

impl Facts {
    pub fn new(reason: Reason) -> Self {
        Self {
            reason,
            exit: Exit::default(),
            error: None,
            duration_seconds: None,
            waited_seconds: None,
            cpu_seconds: None,
            max_rss_kb: None,
            dirty: None,
            unbound: false,
            swept: 0,
            survivors: Survivors::None,
            stop_requested: false,
            ended_by_signal: None,
            log_losses: Losses::default(),
            lingered: false,
            told: None,
        }
    }

    /// Processes that had to be ended beside the leader, and those that could not be.
    pub fn add(&mut self, ended: usize, survivors: Vec<i32>) {
        self.swept += ended;
        if !survivors.is_empty() {
            self.survivors = Survivors::Pids(survivors);
        }
    }

    #[must_use]
    pub fn because(mut self, error: impl Into<String>) -> Self {
        self.error = Some(error.into());
        self
    }
}

/// What of an engine's output is not in its log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Losses {
    /// Bytes of the middle, for the sake of the limit.
    pub dropped: u64,
    /// Bytes that a full disk did not take. The engine is never made to wait for space.
    pub unwritten: u64,
}

/// Processes of the run that nobody could end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Survivors {
    None,
    Pids(Vec<i32>),
    /// They would be in a pid namespace that the ender cannot look into.
    Unknown,
}

impl Survivors {
    pub fn any(&self) -> bool {
        *self != Self::None
    }
}

/// The verdict: what the terminal event says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conclusion {
    pub completed: bool,
    pub reason: Reason,
    pub class: Option<Class>,
    /// `result` of a completed run, `error` of a failed one.
    pub sentence: String,
}

impl Conclusion {
    /// Where nothing else explains it.
    #[must_use]
    pub fn or_blame(self, suspect: Suspect) -> Self {
        let told = matches!(self.reason, Reason::Exited | Reason::EngineError | Reason::NoResult);
        if self.completed || self.class.is_some() || !told {
            return self;
        }
        let sentence = format!("{}; {}", self.sentence, suspect.sentence());
        Self::failed(self.reason, Some(suspect.class()), &sentence)
    }

    fn failed(reason: Reason, class: Option<Class>, sentence: &str) -> Self {
        let class = class.or_else(|| Class::of_reason(reason));
        Self { completed: false, reason, class, sentence: shorten(sentence) }
    }
}

/// The supervisor's own facts come first, then the engine's account, then the declared deliverable, then the exit.
pub fn conclude(facts: &Facts, report_missing: bool, limit_minutes: f64) -> Conclusion {
    if let Some(verdict) = engine_verdict(facts) {
        return Conclusion::failed(verdict.reason, verdict.class, &verdict.sentence);
    }
    let exited_well =
        facts.reason == Reason::Exited && (facts.exit.code == Some(0) || facts.lingered);
    if exited_well && report_missing {
        let sentence =
            "exited 0 but left no report at $LATTICE_REPORT, which its definition asks for";
        return Conclusion::failed(Reason::DeliverableMissing, None, sentence);
    }
    let sentence = match &facts.error {
        Some(error) if !exited_well => shorten(error),
        _ => describe(facts, limit_minutes),
    };
    if exited_well {
        return Conclusion { completed: true, reason: facts.reason, class: None, sentence };
    }
    Conclusion::failed(facts.reason, None, &with_last_trouble(facts, sentence))
}

/// Only where the engine came to its end by itself: else the supervisors know better.
fn engine_verdict(facts: &Facts) -> Option<verdict::Verdict> {
    let told = facts.told.as_ref()?;
    if !matches!(facts.reason, Reason::Exited | Reason::Signaled) {
        return None;
    }
    verdict::of(preset::preset(told.engine), &told.account, facts.exit, facts.lingered)
}

/// An engine that was out of time may have said what it was waiting for.
fn with_last_trouble(facts: &Facts, sentence: String) -> String {
    let trouble = facts.told.as_ref().and_then(|told| verdict::last_trouble(&told.account));
    match trouble.filter(|_| matches!(facts.reason, Reason::TimedOut | Reason::Idle)) {
        Some(words) => format!("{sentence}; the last error of its engine: {words}"),
        None => sentence,
    }
}

fn describe(facts: &Facts, limit_minutes: f64) -> String {
    match facts.reason {
        Reason::Exited if facts.lingered => {
            "reported success, did not exit by itself and was ended".to_owned()
        }
        Reason::Exited => format!("exited {}", facts.exit.code.unwrap_or_default()),
        Reason::Signaled => format!("ended by signal {}", facts.exit.signal.unwrap_or_default()),
        Reason::TimedOut => {
            format!("ran longer than its limit of {limit_minutes} minutes and was ended")
        }
        Reason::Idle => "printed nothing for longer than its idle limit and was ended".to_owned(),
        Reason::Stopped => match facts.ended_by_signal {
            Some(signal) => format!(
                "its supervisor got {signal}, which nobody had asked for with `worker stop`"
            ),
            None => "stopped by request".to_owned(),
        },
        Reason::SupervisorKilled => {
            "its supervisor was killed, perhaps by the OOM killer: see `dmesg`".to_owned()
        }
        Reason::SupervisorLost => "both of its supervisors ended without a record".to_owned(),
        Reason::MachineRebooted => "the machine was restarted while it ran".to_owned(),
        Reason::WorktreeFailed => "its worktree could not be made".to_owned(),
        Reason::SetupFailed => "its setup did not succeed".to_owned(),
        Reason::SpawnFailed => "its engine could not be started".to_owned(),
        Reason::Internal => {
            "its supervisor was stuck, or refused what it needs to watch it".to_owned()
        }
        Reason::OomKilled => "the OOM killer ended it".to_owned(),
        Reason::LogLimit => "it printed more than its log may hold".to_owned(),
        Reason::MemoryLimit => "it needed more memory than its definition allows".to_owned(),
        Reason::ProcessLimit => "it ran more processes than its definition allows".to_owned(),
        Reason::CpuLimit => {
            "it used more processor time than `limits.cpu_minutes` or `ulimit -t` allows".to_owned()
        }
        Reason::FileSizeLimit => {
            "it wrote a longer file than `limits.file_size_mb` or `ulimit -f` allows".to_owned()
        }
        Reason::EngineError => "its engine reported an error".to_owned(),
        Reason::NoResult => "its engine left no result record".to_owned(),
        Reason::DeliverableMissing => "it left no report".to_owned(),
        Reason::Reported => "it reported its own failure".to_owned(),
    }
}

/// At most 200 characters on one line.
pub(super) fn shorten(text: &str) -> String {
    const LIMIT: usize = 200;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= LIMIT {
        return line;
    }
    line.chars().take(LIMIT - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exited(code: i32) -> Facts {
        Facts { exit: Exit { code: Some(code), signal: None }, ..Facts::new(Reason::Exited) }
    }

    #[test]
    fn only_an_exit_of_zero_with_all_deliverables_completes() {
        assert_eq!(conclude(&exited(0), false, 10.0).sentence, "exited 0");
        assert!(conclude(&exited(0), false, 10.0).completed);
        assert_eq!(conclude(&exited(0), true, 10.0).reason, Reason::DeliverableMissing);
        assert!(!conclude(&exited(3), false, 10.0).completed);
        assert_eq!(conclude(&exited(3), true, 10.0).reason, Reason::Exited);
    }

    #[test]
    fn a_supervisors_reason_wins_over_an_exit_of_zero() {
        let facts = Facts { reason: Reason::TimedOut, ..exited(0) };
        let conclusion = conclude(&facts, false, 0.5);
        assert!(!conclusion.completed);
        assert_eq!(conclusion.sentence, "ran longer than its limit of 0.5 minutes and was ended");
    }

    #[test]
    fn a_sentence_is_one_line_of_at_most_200_characters() {
        let facts = Facts::new(Reason::SpawnFailed).because("a\nb ".repeat(300));
        let sentence = conclude(&facts, false, 1.0).sentence;
        assert_eq!(sentence.chars().count(), 200);
        assert!(!sentence.contains('\n'));
    }
}
