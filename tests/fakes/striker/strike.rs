//! What is done to whom, and when: `ROLE:CALL:ORDINAL:FAULT`.

use std::io;

use nix::libc::user_regs_struct;
use nix::unistd::Pid;

use super::{calls, roles};

/// The n-th call (from 1) of one kind in all processes of one role.
pub struct Strike {
    pub role: &'static str,
    pub call: &'static str,
    pub ordinal: usize,
    pub fault: Fault,
}

pub enum Fault {
    Kill,
    /// The same when the call has been made.
    KillBehind,
    /// That process, and all others of the product in the same moment.
    KillAll,
    /// It waits, and with it all others, until the file of the report's name and `.go` is there.
    Hold,
    /// This call and the following ones of its kind in that role, so many, fail without being made.
    Error {
        number: i32,
        times: usize,
    },
    /// The call is made with half of its bytes.
    Short,
}

impl Strike {
    pub fn parse(text: &str) -> io::Result<Self> {
        let parts: Vec<_> = text.split(':').collect();
        let [role, call, ordinal, fault] = parts[..] else { return Err(nonsense(text)) };
        let (fault, times) = fault.split_once('*').unwrap_or((fault, "1"));
        let fault = match fault {
            "kill" => Fault::Kill,
            "kill-behind" => Fault::KillBehind,
            "kill-all" => Fault::KillAll,
            "hold" => Fault::Hold,
            "short" => Fault::Short,
            name => Fault::Error {
                number: calls::error(name).ok_or_else(|| nonsense(text))?,
                times: times.parse().map_err(|_| nonsense(text))?,
            },
        };
        let ordinal = ordinal.parse().map_err(|_| nonsense(text))?;
        let role = roles::named(role).ok_or_else(|| nonsense(text))?;
        let call = calls::named(call).ok_or_else(|| nonsense(text))?;
        Ok(Self { role, call, ordinal, fault })
    }

    pub fn hits(&self, role: &str, call: &str, ordinal: usize) -> bool {
        let is_meant = (self.ordinal..=self.last()).contains(&ordinal);
        self.role == role && self.call == call && is_meant
    }

    /// Behind this call of its kind the strike is over.
    pub fn last(&self) -> usize {
        match self.fault {
            Fault::Error { times, .. } => self.ordinal + times - 1,
            Fault::Kill | Fault::KillBehind | Fault::KillAll | Fault::Hold | Fault::Short => {
                self.ordinal
            }
        }
    }
}

/// Halves the length that the call is asked for. `false`: there is nothing to halve.
pub fn shorten(pid: Pid, call: &str, registers: &mut user_regs_struct) -> bool {
    let Some(length) = calls::length(pid, call, registers) else { return false };
    *length /= 2;
    *length > 0
}

fn nonsense(text: &str) -> io::Error {
    io::Error::other(format!("{text} is no ROLE:CALL:ORDINAL:FAULT"))
}
