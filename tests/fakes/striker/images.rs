//! Copies of a disk's image, as they are when a sync begins and when it has ended: what a loss of power would leave.

use std::io;
use std::path::PathBuf;

use fs_err as fs;

pub struct Images {
    image: PathBuf,
    into: PathBuf,
    taken: usize,
    last: Vec<u8>,
}

impl Images {
    /// `IMAGE=DIRECTORY`.
    pub fn parse(text: &str) -> io::Result<Self> {
        let (image, into) =
            text.split_once('=').ok_or_else(|| io::Error::other("IMAGE=DIRECTORY"))?;
        Ok(Self { image: image.into(), into: into.into(), taken: 0, last: Vec::new() })
    }

    /// All others stand still at their next system call while this one is not let go.
    pub fn take(&mut self, role: &str, call: &str) -> io::Result<()> {
        let mut bytes = fs::read(&self.image)?;
        // The kernel may be writing: only what two readings agree on was there in one moment.
        loop {
            let again = fs::read(&self.image)?;
            if again == bytes {
                break;
            }
            bytes = again;
        }
        if bytes == self.last {
            return Ok(());
        }
        self.taken += 1;
        fs::write(self.into.join(format!("{:04}-{role}-{call}", self.taken)), &bytes)?;
        self.last = bytes;
        Ok(())
    }
}
