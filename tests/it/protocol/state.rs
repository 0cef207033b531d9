//! What the model knows: the disk, the engine, and where each process stands. Contents are abstract: an event is
//! there or not.

/// A broken variant, which the search must find out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mistake {
    /// The engine inherits the life lock.
    LeakedLock,
    /// The worktree is made before anything on disk leads to it.
    LateIntent,
    /// Only the leader's group is killed.
    GroupKill,
    /// The leader is reaped before its group is killed.
    EarlyReap,
    /// The record is published by a rename that replaces.
    Replace,
    /// The end is appended without a look for one.
    BlindAppend,
    /// The start is recorded without a look for the directory.
    BlindStart,
    /// A directory without a start is removed without the task's locks.
    BlindRemoval,
    /// Who had no directory to publish in keeps a record of his own, although the log has another end.
    OwnWord,
}

/// What each of them breaks first.
pub const MISTAKES: [(Mistake, &str); 9] = [
    (Mistake::LeakedLock, STUCK),
    (Mistake::LateIntent, "a worktree to which no directory leads"),
    (Mistake::GroupKill, "an engine outlives the record"),
    (Mistake::EarlyReap, "a stranger was killed"),
    (Mistake::Replace, "a record became another one"),
    (Mistake::BlindAppend, "two terminal events"),
    (Mistake::BlindStart, "nobody goes on"),
    (Mistake::BlindRemoval, "nobody goes on"),
    (Mistake::OwnWord, "a record became another one"),
];

pub const STUCK: &str = "however it goes on from here, it is never settled";

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Dir {
    Absent,
    /// `.new-`, with no lock in it yet.
    Bare,
    /// `.new-`, locked.
    Draft,
    Run,
    /// Renamed away, and with that garbage.
    Gone,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Engine {
    None,
    Gated,
    Running,
    /// A zombie of its parent's, which keeps the number of its group taken.
    Exited,
    Reaped,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Daemon {
    None,
    Alive,
    Dead,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Disk {
    Room,
    Full,
    /// It was full once, and is not again.
    Emptied,
}

/// `terminal.json`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Record {
    /// It names the worktree as kept.
    pub kept: bool,
    /// It was never published, because the directory was gone.
    pub stray: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Who {
    Cli,
    Warden,
    Shim,
    ReaperA,
    ReaperB,
}

pub const ALL: [Who; 5] = [Who::Cli, Who::Warden, Who::Shim, Who::ReaperA, Who::ReaperB];

/// The step that a process takes next.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum At {
    /// Not started, or a reaper between two calls.
    Off,
    /// Exited with status 0; only of the shim does somebody ask.
    Done,
    /// Killed, or given up with a failure.
    Dead,
    Make,
    Lock,
    Fill,
    Show,
    Spawn,
    Hear,
    Append,
    Copy,
    Go,
    CallOff,
    Sit,
    Wanted,
    Remove,
    Begin,
    Watch,
    Equip,
    Entry,
    Tree,
    Lead,
    Gate,
    Open,
    Supervise,
    Sweep,
    Killing,
    Published,
    Save,
    Resweep,
    Draft,
    Link,
    Publish,
    Rename,
    Forget,
    Retry,
    Keep,
    Retire,
    Take,
    Look,
    Examine,
    Unborn,
    UnbornBlind,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Process {
    pub at: At,
    /// It holds the life lock.
    pub holds: bool,
    /// It could not save the worktree.
    pub veto: bool,
    /// What it takes for the record: its own draft, or the one it found.
    pub record: Option<Record>,
}

/// What the CLI has told the warden.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Answer {
    None,
    Go,
    No,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct State {
    pub dir: Dir,
    /// The specification in it names the worktree.
    pub leads: bool,
    pub reserves: u8,
    /// The start is in the log, and its copy in the directory.
    pub start: bool,
    pub copy: bool,
    pub terminal: Option<Record>,
    /// Terminal events in the log.
    pub ends: u8,
    pub kept_record: bool,
    /// git's administrative entry, and the tree itself.
    pub entry: bool,
    pub tree: bool,
    pub engine: Engine,
    pub daemon: Daemon,
    /// A stranger's process has got the number of the leader's group; and was killed for it.
    pub stranger: bool,
    pub stranger_killed: bool,
    /// `terminal.json`, or the record that is kept of it, was there and has become another one.
    pub replaced: bool,
    pub disk: Disk,
    pub answer: Answer,
    pub hello: bool,
    /// One ender may come although another holds the lock, as on a file system where locks prove nothing.
    pub lock_failed: bool,
    /// Kills of reapers so far.
    pub kills: u8,
    pub processes: [Process; 5],
}

impl State {
    pub fn begin() -> Self {
        let off = Process { at: At::Off, holds: false, veto: false, record: None };
        let mut processes = [off; 5];
        processes[Who::Cli as usize].at = At::Make;
        Self {
            dir: Dir::Absent,
            leads: false,
            reserves: 0,
            start: false,
            copy: false,
            terminal: None,
            ends: 0,
            kept_record: false,
            entry: false,
            tree: false,
            engine: Engine::None,
            daemon: Daemon::None,
            stranger: false,
            stranger_killed: false,
            replaced: false,
            disk: Disk::Room,
            answer: Answer::None,
            hello: false,
            lock_failed: false,
            kills: 0,
            processes,
        }
    }

    /// One of many states between which nothing that comes later can tell: the two reapers are alike, and what
    /// nobody looks at any more is forgotten.
    pub fn canonical(mut self) -> Self {
        let (a, b) = (Who::ReaperA as usize, Who::ReaperB as usize);
        if self.processes[a] > self.processes[b] {
            self.processes.swap(a, b);
        }
        for who in [Who::Cli, Who::Warden] {
            if self.is_gone(who) {
                self.of_mut(who).at = At::Done;
            }
        }
        if self.is_gone(Who::Warden) && self.is_gone(Who::Shim) {
            self.of_mut(Who::Shim).at = At::Done;
        }
        self.hello &= !self.is_gone(Who::Cli);
        if self.of(Who::Warden).at > At::Wanted || self.is_gone(Who::Warden) {
            self.answer = Answer::None;
        }
        if self.dir == Dir::Gone {
            (self.leads, self.copy, self.reserves) = (false, self.copy && !self.start, 0);
        }
        self
    }

    pub fn of(&self, who: Who) -> &Process {
        &self.processes[who as usize]
    }

    pub fn of_mut(&mut self, who: Who) -> &mut Process {
        &mut self.processes[who as usize]
    }

    pub fn is_gone(&self, who: Who) -> bool {
        matches!(self.of(who).at, At::Done | At::Dead)
    }

    pub fn room(&self) -> bool {
        self.disk != Disk::Full
    }

    /// Whether flock(2) would be refused.
    pub fn is_held(&self, mistake: Option<Mistake>) -> bool {
        let leaked = mistake == Some(Mistake::LeakedLock)
            && (self.engine == Engine::Running || self.daemon == Daemon::Alive);
        leaked || self.processes.iter().any(|process| process.holds)
    }

    /// The process leaves, and with it whatever it held.
    pub fn leave(&mut self, who: Who, at: At) {
        *self.of_mut(who) = Process { at, holds: false, veto: false, record: None };
        // PDEATHSIG: the engine dies with the shim. Its zombie is then the warden's, or nobody's.
        if who == Who::Shim
            && matches!(self.engine, Engine::Gated | Engine::Running | Engine::Exited)
        {
            self.engine = if self.is_gone(Who::Warden) { Engine::Reaped } else { Engine::Exited };
        }
        if who == Who::Warden && self.is_gone(Who::Shim) && self.engine == Engine::Exited {
            self.engine = Engine::Reaped;
        }
    }
}
