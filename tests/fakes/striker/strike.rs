//! What is done to whom, and when: `ROLE:CALL:ORDINAL:FAULT`.

use std::io;

use nix::libc::user_regs_struct;

use super::calls;

/// The n-th call (from 1) of one kind in all processes of one role.
pub struct Strike {
    pub role: String,
    pub call: String,
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
        Ok(Self { role: role.to_owned(), call: call.to_owned(), ordinal, fault })
    }

    pub fn hits(&self, role: &str, call: &str, ordinal: usize) -> bool {
        let last = match self.fault {
            Fault::Error { times, .. } => self.ordinal + times - 1,
            Fault::Kill | Fault::KillBehind | Fault::KillAll | Fault::Hold | Fault::Short => {
                self.ordinal
            }
        };
        self.role == role && self.call == call && (self.ordinal..=last).contains(&ordinal)
    }
}

/// Halves the length that the call is asked for. `false`: there is nothing to halve.
pub fn shorten(call: &str, registers: &mut user_regs_struct) -> bool {
    let length = match call {
        "read" | "write" | "pread64" | "pwrite64" | "sendto" => &mut registers.rdx,
        "splice" | "copy_file_range" => &mut registers.r8,
        _ => return false,
    };
    *length /= 2;
    *length > 0
}

fn nonsense(text: &str) -> io::Error {
    io::Error::other(format!("{text} is no ROLE:CALL:ORDINAL:FAULT"))
}
