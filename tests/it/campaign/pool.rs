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

/// More than processors: a trial mostly waits.
fn threads() -> usize {
    thread::available_parallelism().map_or(2, usize::from) + 1
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

/// One trial for each seed. It answers how long after its fault the record was there, if that can be said.
pub fn each<S>(
    row: &mut Row,
    seeds: &[String],
    limits: Limits,
    stage: impl Fn() -> S + Sync,
    trial: impl Fn(&S, &str) -> Option<Duration> + Sync,
) {
    let next = AtomicUsize::new(0);
    let shared = Mutex::new(row);
    let work = || {
        let mut kept: Option<S> = None;
        loop {
            let seed = seeds.get(next.fetch_add(1, Ordering::Relaxed));
            let lost = shared.lock().expect("no thread panics with it").failures.len();
            let Some(seed) = seed else { return };
            if Instant::now() > limits.until || lost >= limits.violations {
                return;
            }
            let mut here = kept.take();
            let tried = catch_unwind(AssertUnwindSafe(|| {
                let stage = here.take().unwrap_or_else(&stage);
                let time = trial(&stage, seed);
                (stage, time)
            }));
            let mut row = shared.lock().expect("no thread panics with it");
            row.trials += 1;
            match tried {
                Ok((stage, time)) => {
                    kept = Some(stage);
                    row.times.extend(time);
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
