//! A random tree of processes that fork, have sessions of their own, change their parents, exec and die. Every one of
//! them says its name to the test before anything else, so the test knows each that ever was.

use std::io;
use std::process::Stdio;

use super::{command_self, number, split};

/// What a member does next, by a random number.
pub enum Act {
    Spawn(Child),
    Session,
    Exec,
    Leave,
    Stay,
}

/// How a child is started.
pub struct Child {
    /// Through a process that dies at once.
    pub orphaned: bool,
    pub session: bool,
    pub naked: bool,
    pub elsewhere: bool,
    pub deaf: bool,
}

pub struct Tree {
    state: u64,
    pub depth: u32,
}

impl Tree {
    /// `SEED:DEPTH`.
    pub fn parse(value: &str) -> io::Result<Self> {
        let (seed, depth) = split(value)?;
        Ok(Self { state: number::<u64>(seed)? | 1, depth: number(depth)? })
    }

    fn random(&mut self, limit: u64) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        (self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % limit
    }

    pub fn act(&mut self) -> Act {
        match self.random(10) {
            0..=5 if self.depth > 0 => {
                let mut is = |one_in: u64| self.random(one_in) == 0;
                Act::Spawn(Child {
                    orphaned: is(3),
                    session: is(3),
                    naked: is(4),
                    elsewhere: is(4),
                    deaf: is(5),
                })
            }
            6 => Act::Session,
            7 if self.depth > 0 => Act::Exec,
            8 => Act::Leave,
            _ => Act::Stay,
        }
    }

    /// The words of a member one step further from the root, or of this one after an exec.
    pub fn words(&mut self, socket: &str, deeper: bool) -> Vec<String> {
        self.depth -= u32::from(deeper || self.depth > 0);
        let seed = self.random(1 << 30);
        vec![format!("socket={socket}"), format!("tree={seed}:{}", self.depth)]
    }

    pub fn spawn(&mut self, child: &Child, socket: &str) -> io::Result<()> {
        let depth = self.depth;
        let tree = self.words(socket, true);
        self.depth = depth;
        let mut words: Vec<String> = Vec::new();
        if child.session {
            words.push("setsid".to_owned());
        }
        if child.elsewhere {
            words.push("chdir=/".to_owned());
        }
        if child.deaf {
            words.push("ignore=TERM,HUP,INT".to_owned());
        }
        words.extend(tree);
        if child.orphaned {
            // `exec` hands the words to a child of its own, which the intermediary does not wait for.
            words = vec!["background".to_owned()].into_iter().chain(words).collect();
        }
        let mut command = command_self()?;
        if child.naked {
            command.env_clear();
        }
        command.args(words).stdin(Stdio::null()).spawn().map(drop)
    }
}
