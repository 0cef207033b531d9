//! A breadth-first search over all states, with the shortest way to the first one that breaks a property.

use std::collections::HashMap;
use std::fmt::Write;
use std::hash::{BuildHasherDefault, Hasher};

use super::processes::{Scope, steps};
use super::state::{Daemon, Dir, Engine, STUCK, State};

/// Beyond this the model is too big for the ordinary tests.
const MOST_STATES: usize = 1_000_000;

/// The states are small, and there are many: FNV-1a over whole words is quicker than a keyed hash.
#[derive(Default)]
pub struct Fnv(u64);

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 29)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.write_u64(u64::from(value));
    }

    fn write_isize(&mut self, value: isize) {
        self.write_u64(value.cast_unsigned() as u64);
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(5) ^ value).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
}

type Known = HashMap<State, u32, BuildHasherDefault<Fnv>>;

/// What a search has found.
pub struct Found {
    pub states: usize,
    /// What was broken, with the steps that lead there.
    pub violation: Option<String>,
    /// Every function that took a step.
    pub by: Vec<&'static str>,
}

struct Search {
    known: Known,
    all: Vec<State>,
    /// From which state and by which step each was first reached.
    from: Vec<(u32, &'static str)>,
    /// Steps that are no faults, backwards: from where each state is reached.
    back: Vec<(u32, u32)>,
    by: Vec<&'static str>,
}

pub fn search(scope: Scope) -> Found {
    let mut search = Search {
        known: Known::default(),
        all: Vec::new(),
        from: Vec::new(),
        back: Vec::new(),
        by: Vec::new(),
    };
    search.note(State::begin(), 0, "");
    let mut next = 0;
    while next < search.all.len() {
        if let Some(what) = search.expand(next, scope) {
            let way = search.way(next, &what);
            return search.found(Some(way));
        }
        assert!(search.all.len() <= MOST_STATES, "the model is too big");
        next += 1;
    }
    let stuck = search.stuck();
    search.found(stuck)
}

impl Search {
    /// All steps from one state; the property that it breaks, if any.
    fn expand(&mut self, index: usize, scope: Scope) -> Option<String> {
        let state = self.all[index];
        if let Some(what) = broken(&state) {
            return Some(what.to_owned());
        }
        let number = u32::try_from(index).expect("fewer states than that");
        let mut goes_on = false;
        for step in steps(&state, scope) {
            let to = self.note(step.to, number, step.by);
            if step.who.is_some() && !step.is_fault() && !self.by.contains(&step.by) {
                self.by.push(step.by);
            }
            if !step.is_fault() {
                goes_on |= to != number;
                self.back.push((to, number));
            }
        }
        (!goes_on && !is_settled(&state))
            .then(|| "nobody goes on, and it is not settled".to_owned())
    }

    fn note(&mut self, state: State, from: u32, by: &'static str) -> u32 {
        let state = state.canonical();
        let next = u32::try_from(self.all.len()).expect("fewer states than that");
        let number = *self.known.entry(state).or_insert(next);
        if number == next {
            self.all.push(state);
            self.from.push((from, by));
        }
        number
    }

    /// A state from which no way without faults leads to a settled one.
    fn stuck(&mut self) -> Option<String> {
        self.back.sort_unstable();
        let mut reaches = vec![false; self.all.len()];
        let mut todo: Vec<u32> = (0..).take(self.all.len()).collect();
        todo.retain(|number| is_settled(&self.all[*number as usize]));
        while let Some(number) = todo.pop() {
            if std::mem::replace(&mut reaches[number as usize], true) {
                continue;
            }
            let first = self.back.partition_point(|(to, _)| *to < number);
            let into = self.back[first..].iter().take_while(|(to, _)| *to == number);
            todo.extend(into.map(|(_, from)| *from));
        }
        let index = reaches.iter().position(|reaches| !reaches)?;
        Some(self.way(index, STUCK))
    }

    fn way(&self, index: usize, what: &str) -> String {
        let mut steps = Vec::new();
        let mut index = u32::try_from(index).expect("fewer states than that");
        while index != 0 {
            let (from, by) = self.from[index as usize];
            steps.push((by, self.all[index as usize]));
            index = from;
        }
        let mut text = format!("{what}, by these {} steps:\n", steps.len());
        for (by, _) in steps.iter().rev() {
            writeln!(text, "  {by}").expect("text grows");
        }
        write!(text, "{:#?}", steps.first().map(|(_, state)| state)).expect("text grows");
        text
    }

    fn found(self, violation: Option<String>) -> Found {
        Found { states: self.all.len(), violation, by: self.by }
    }
}

fn is_named_as_kept(state: &State) -> bool {
    state.terminal.is_some_and(|record| record.kept) || state.kept_record
}

/// What must hold in every state.
fn broken(state: &State) -> Option<&'static str> {
    let alive = state.engine == Engine::Running || state.daemon == Daemon::Alive;
    let worktree = state.tree || state.entry;
    if state.ends > 1 {
        Some("two terminal events")
    } else if state.ends == 1 && !state.start {
        Some("an end without a start")
    } else if (state.terminal.is_some() || state.ends > 0) && alive {
        Some("an engine outlives the record")
    } else if worktree && !(state.dir == Dir::Run && state.leads) && !is_named_as_kept(state) {
        Some("a worktree to which no directory leads")
    } else if state.replaced {
        Some("a record became another one")
    } else if state.stranger_killed {
        Some("a stranger was killed")
    } else {
        None
    }
}

/// The run has its one end, or never began, and nothing of it is left.
fn is_settled(state: &State) -> bool {
    let idle = state.processes.iter().all(|process| {
        use super::state::At::{Dead, Done, Off};
        matches!(process.at, Off | Done | Dead)
    });
    let counts = state.ends == u8::from(state.start);
    let nothing = !matches!(state.dir, Dir::Bare | Dir::Draft | Dir::Run)
        && state.engine != Engine::Running
        && state.daemon != Daemon::Alive
        && (is_named_as_kept(state) || !(state.tree || state.entry));
    idle && counts && nothing
}
