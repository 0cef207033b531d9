//! Copies of a disk's image, as they are when a sync begins and when it has ended: what a loss of power would leave.

use std::io;
use std::path::PathBuf;

use fs_err as fs;

pub struct Images {
    image: PathBuf,
    into: PathBuf,
    /// The name of the one that is wanted, or all.
    only: Option<String>,
    last: Vec<u8>,
}

impl Images {
    /// `IMAGE=DIRECTORY`, or `IMAGE=DIRECTORY=NAME`.
    pub fn parse(text: &str) -> io::Result<Self> {
        let mut parts = text.split('=');
        let (Some(image), Some(into)) = (parts.next(), parts.next()) else {
            return Err(io::Error::other("IMAGE=DIRECTORY"));
        };
        let only = parts.next().map(str::to_owned);
        Ok(Self { image: image.into(), into: into.into(), only, last: Vec::new() })
    }

    /// All others stand still at their next system call while this one is not let go. The name says at which sync of
    /// which role it was taken, so that it comes again in another run.
    pub fn take(&mut self, name: &str) -> io::Result<()> {
        if self.only.as_ref().is_some_and(|only| only != name) {
            return Ok(());
        }
        let mut bytes = fs::read(&self.image)?;
        // The kernel may be writing: only what two readings agree on was there in one moment.
        loop {
            let again = fs::read(&self.image)?;
            if again == bytes {
                break;
            }
            bytes = again;
        }
        if bytes != self.last {
            fs::write(self.into.join(name), &bytes)?;
            self.last = bytes;
        }
        Ok(())
    }
}
