//! Reading small files that an engine could have replaced by anything: a FIFO must not hang a supervisor, nor a
//! link lead it away.

use std::io::{self, Read};
use std::path::Path;

use fs_err::os::unix::fs::OpenOptionsExt;
use rustix::fs::OFlags;

/// More than any reflog that a run can have written in good faith; what is longer is cut.
const LIMIT: u64 = 64 * 1024 * 1024;

/// The content of a regular file, opened without following a link and without waiting for a writer.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = fs_err::OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other(format!("{} is not a regular file", path.display())));
    }
    let mut bytes = Vec::new();
    file.take(LIMIT).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_a_fifo_nor_a_link_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        nix::unistd::mkfifo(&path("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        fs_err::write(path("file"), "text").unwrap();
        fs_err::os::unix::fs::symlink(path("file"), path("link")).unwrap();
        assert_eq!(read(&path("file")).unwrap(), b"text");
        assert!(read(&path("fifo")).is_err() && read(&path("link")).is_err());
    }
}
