//! Trials in parallel, each in a stage that its thread keeps until a trial fails in it.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::table::Row;

thread_local! {
    static LAST_PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Keeps what a panicking thread says, for the one who catches it.
pub fn catch_words() {
    panic::set_hook(Box::new(|info| {
        LAST_PANIC.with(|last| *last.borrow_mut() = info.to_string());
    }));
}

pub fn last_words() -> String {
    LAST_PANIC.with(|last| last.borrow().clone())
}

/// More than processors: a trial waits for half of its time.
fn threads() -> usize {
    2 * thread::available_parallelism().map_or(2, usize::from) + 1
}

/// How far a series of trials goes.
#[derive(Clone, Copy)]
pub struct Limits {
    /// No trial begins later than this.
    pub until: Instant,
    /// No trial begins after so many violations: the series is lost anyway.
    pub violations: usize,
}

impl Limits {
    pub fn within(time: Duration) -> Self {
        Self { until: Instant::now() + time, violations: 20 }
    }
}

/// What a trial says of itself.
pub struct Tried {
    /// How long after its fault the record was there, if that can be said.
    pub time: Option<Duration>,
    /// The moment of its fault never came.
    pub missed: bool,
}

impl From<Option<Duration>> for Tried {
    fn from(time: Option<Duration>) -> Self {
        Self { time, missed: false }
    }
}

/// The log of a stage grows with every trial, and is read by each.
const TRIALS_OF_A_STAGE: usize = 40;
const NEWS: Duration = Duration::from_secs(30);

/// One trial for each seed.
pub fn each<S>(
    row: &mut Row,
    seeds: &[String],
    limits: Limits,
    stage: impl Fn() -> S + Sync,
    trial: impl Fn(&S, &str) -> Tried + Sync,
) {
    let trials: Vec<_> = seeds.iter().map(|seed| (0, seed.clone())).collect();
    all(std::slice::from_mut(row), &trials, limits, stage, trial);
}

/// One trial for each seed, counted in the row of its number.
pub fn all<S>(
    rows: &mut [Row],
    trials: &[(usize, String)],
    limits: Limits,
    stage: impl Fn() -> S + Sync,
    trial: impl Fn(&S, &str) -> Tried + Sync,
) {
    for (row, _) in trials {
        rows[*row].moments += 1;
    }
    let next = AtomicUsize::new(0);
    let begin = Instant::now();
    let shared = Mutex::new((rows, begin));
    let work = || {
        let mut kept: Option<(S, usize)> = None;
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some((row, seed)) = trials.get(number) else { return };
            {
                let mut shared = shared.lock().expect("no thread panics with it");
                let (rows, told) = &mut *shared;
                let lost = rows.iter().map(|row| row.failures.len()).sum::<usize>();
                if Instant::now() > limits.until || lost >= limits.violations {
                    return;
                }
                if told.elapsed() > NEWS {
                    println!("{number} of {} trials, {lost} violations", trials.len());
                    *told = Instant::now();
                }
            }
            let mut here = kept.take().filter(|(_, tried)| *tried < TRIALS_OF_A_STAGE);
            let tried = catch_unwind(AssertUnwindSafe(|| {
                let (stage, tried) = here.take().unwrap_or_else(|| (stage(), 0));
                let outcome = trial(&stage, seed);
                ((stage, tried + 1), outcome)
            }));
            let mut shared = shared.lock().expect("no thread panics with it");
            let row = &mut shared.0[*row];
            row.trials += 1;
            match tried {
                Ok((stage, outcome)) => {
                    kept = Some(stage);
                    row.times.extend(outcome.time);
                    row.missed += usize::from(outcome.missed);
                }
                Err(_) => {
                    println!("VIOLATION {seed}\n{}\n", last_words());
                    row.failures.push(seed.clone());
                }
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..threads() {
            scope.spawn(work);
        }
    });
}
