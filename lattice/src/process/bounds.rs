//! What the kernel holds each process to: its limits (setrlimit(2)) and its niceness (nice(2)). A process sets them for
//! itself, right before it becomes another program by exec, and whatever that one starts inherits them.

use std::fmt;
use std::io;
use std::str::FromStr;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Between SIGXCPU, of which a process may make something, and SIGKILL.
const LAST_SECONDS: u64 = 5;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bounds {
    pub open_files: Option<u64>,
    /// In bytes.
    pub file_size: Option<u64>,
    pub cpu_seconds: Option<u64>,
    /// Added to the own niceness; nobody is refused to become nicer.
    pub nice: u8,
}

impl Bounds {
    /// A hard limit that is lower already stays, so that none of this can be refused.
    pub fn apply(self) -> io::Result<()> {
        limit(Resource::RLIMIT_NOFILE, self.open_files, 0)?;
        limit(Resource::RLIMIT_FSIZE, self.file_size, 0)?;
        limit(Resource::RLIMIT_CPU, self.cpu_seconds, LAST_SECONDS)?;
        if self.nice > 0 {
            rustix::process::nice(self.nice.into())?;
        }
        Ok(())
    }

    /// The hard limits of this process that are lower: its option of ulimit(1), what is wanted, and the limit.
    pub fn beyond_own(self) -> Vec<(char, u64, u64)> {
        let lower = |(option, resource, wanted): (char, Resource, Option<u64>)| {
            let (wanted, (_, hard)) = (wanted?, getrlimit(resource).ok()?);
            (hard < wanted).then_some((option, wanted, hard))
        };
        [
            ('n', Resource::RLIMIT_NOFILE, self.open_files),
            ('f', Resource::RLIMIT_FSIZE, self.file_size),
            ('t', Resource::RLIMIT_CPU, self.cpu_seconds),
        ]
        .into_iter()
        .filter_map(lower)
        .collect()
    }
}

/// Soft and hard: nobody below raises it again.
fn limit(resource: Resource, wanted: Option<u64>, slack: u64) -> io::Result<()> {
    let Some(wanted) = wanted else { return Ok(()) };
    let (_, hard) = getrlimit(resource)?;
    let bounded = |value: u64| value.min(hard);
    Ok(setrlimit(resource, bounded(wanted), bounded(wanted.saturating_add(slack)))?)
}

/// One word for the command line of another process, such as `512,-,60,5`.
impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for limit in [self.open_files, self.file_size, self.cpu_seconds] {
            match limit {
                Some(number) => write!(f, "{number},")?,
                None => f.write_str("-,")?,
            }
        }
        write!(f, "{}", self.nice)
    }
}

impl FromStr for Bounds {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        let fields: Vec<&str> = word.split(',').collect();
        let [open_files, file_size, cpu_seconds, nice] = fields[..] else { return Err(()) };
        let limit = |field: &str| match field {
            "-" => Ok(None),
            number => number.parse().map(Some).map_err(drop),
        };
        Ok(Self {
            open_files: limit(open_files)?,
            file_size: limit(file_size)?,
            cpu_seconds: limit(cpu_seconds)?,
            nice: nice.parse().map_err(drop)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_says_all_of_them() {
        let bounds = Bounds { open_files: Some(20), nice: 19, ..Bounds::default() };
        let full = Bounds { file_size: Some(u64::MAX), cpu_seconds: Some(1), ..bounds };
        for (bounds, word) in [
            (Bounds::default(), "-,-,-,0"),
            (bounds, "20,-,-,19"),
            (full, "20,18446744073709551615,1,19"),
        ] {
            assert_eq!(bounds.to_string(), word);
            assert_eq!(word.parse(), Ok(bounds));
        }
        for wrong in ["", "20", "-,-,-", "-,-,-,-", "-,-,-,1,1", "x,-,-,0", "-,-,-,256"] {
            assert_eq!(wrong.parse::<Bounds>(), Err(()), "{wrong}");
        }
    }

    #[test]
    fn a_lower_hard_limit_is_named() {
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        let bounds = |open_files| Bounds { open_files: Some(open_files), ..Bounds::default() };
        assert_eq!(bounds(hard).beyond_own(), []);
        if hard < u64::MAX {
            assert_eq!(bounds(hard + 1).beyond_own(), [('n', hard + 1, hard)]);
        }
    }
}
