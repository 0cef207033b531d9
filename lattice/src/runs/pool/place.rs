//! What a directory hands on to the files that are made in it: every directory of a checkout has the same.

use std::io;
use std::os::fd::AsFd;

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    mode: rustix::fs::RawMode,
    uid: u32,
    gid: u32,
    /// As of ioctl_iflags(2), without what the file system does for itself.
    flags: u32,
    /// Access control lists, labels and whatever else has a name.
    extended: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Place {
    pub(super) fn of(directory: impl AsFd) -> io::Result<Self> {
        let stat = rustix::fs::fstat(&directory)?;
        Ok(Self {
            mode: stat.st_mode,
            uid: stat.st_uid,
            gid: stat.st_gid,
            flags: flags(&directory)?,
            extended: extended(&directory)?,
        })
    }
}

#[cfg(target_os = "linux")]
fn flags(directory: impl AsFd) -> io::Result<u32> {
    use rustix::fs::IFlags;
    /// How it is stored; the name of the second is not in the crate (linux/fs.h).
    const STORAGE: u32 = 0x0008_0000 | 0x1000_0000;
    const INDEXED: u32 = 0x0000_1000;
    match rustix::fs::ioctl_getflags(directory) {
        Ok(flags) => Ok(IFlags::bits(&flags) & !STORAGE & !INDEXED),
        Err(Errno::NOTTY | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn flags(_directory: impl AsFd) -> io::Result<u32> {
    Err(Errno::NOSYS.into())
}

fn extended(directory: impl AsFd) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    // Without room for any the answer is how much they need, which is nearly always nothing.
    let mut room = match rustix::fs::flistxattr(&directory, &mut [0_u8; 0][..]) {
        Ok(0) | Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
        Ok(length) => vec![0; length],
        Err(error) => return Err(error.into()),
    };
    let length = rustix::fs::flistxattr(&directory, &mut room[..])?;
    let names = room[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let mut found = Vec::new();
    for name in names {
        let mut value = vec![0; 64 * 1024];
        let length = rustix::fs::fgetxattr(&directory, name, &mut value[..])?;
        value.truncate(length);
        found.push((name.to_vec(), value));
    }
    found.sort();
    Ok(found)
}
