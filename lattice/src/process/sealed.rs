//! Bytes that are kept outside of a process, in memory, where nobody can change them.

use std::fs::File;
use std::io::{self, Read, Seek, Write};

use super::helper::scratch_file;

/// A file without a name that holds them, sealed where the system can (memfd_create(2), F_ADD_SEALS).
pub fn keep(bytes: &[u8]) -> io::Result<File> {
    let mut file = scratch_file()?;
    file.write_all(bytes)?;
    seal(&file)?;
    Ok(file)
}

pub fn read(file: &File) -> io::Result<Vec<u8>> {
    let (mut file, mut bytes) = (file, Vec::new());
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(target_os = "linux")]
fn seal(file: &File) -> io::Result<()> {
    use rustix::fs::{SealFlags, fcntl_add_seals};
    let all = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    Ok(fcntl_add_seals(file, all)?)
}

#[cfg(not(target_os = "linux"))]
fn seal(_file: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_stays_as_it_is() {
        let mut file = keep(b"words").unwrap();
        assert!(file.write_all(b"more").is_err() && file.set_len(0).is_err());
        assert_eq!(
            (read(&file).unwrap(), read(&file).unwrap()),
            (b"words".into(), b"words".into())
        );
    }
}
