//! Which directories have something mounted on them. Knows nothing of what is to be deleted there.

#[cfg(target_os = "linux")]
pub use linux::has_mount;

/// There is no table of mounts to read here; `delete_tree` stops at another device.
#[cfg(not(target_os = "linux"))]
pub fn has_mount(_path: &std::path::Path) -> std::io::Result<bool> {
    Ok(false)
}

#[cfg(target_os = "linux")]
mod linux {
    use std::ffi::OsString;
    use std::io;
    use std::os::unix::ffi::OsStringExt;
    use std::path::{Path, PathBuf};

    /// Whether something is mounted at or below `path`.
    pub fn has_mount(path: &Path) -> io::Result<bool> {
        let path = match fs_err::canonicalize(path) {
            Ok(path) => path,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let table = fs_err::read("/proc/self/mountinfo")?;
        Ok(mount_points(&table).any(|point| point.starts_with(&path)))
    }

    /// The fifth field of each line (proc_pid_mountinfo(5)), in which blanks are octal escapes.
    fn mount_points(table: &[u8]) -> impl Iterator<Item = PathBuf> {
        let fifth = |line: &[u8]| Some(unescape(line.split(|byte| *byte == b' ').nth(4)?));
        table.split(|byte| *byte == b'\n').filter_map(fifth)
    }

    fn unescape(field: &[u8]) -> PathBuf {
        let mut plain = Vec::with_capacity(field.len());
        let mut rest = field;
        while let Some((&byte, after)) = rest.split_first() {
            let octal = after
                .get(..3)
                .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
            if let (b'\\', Some(escaped)) = (byte, octal) {
                plain.push(escaped);
                rest = &after[3..];
            } else {
                plain.push(byte);
                rest = after;
            }
        }
        OsString::from_vec(plain).into()
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn mount_points_are_unescaped() {
            let table =
                b"36 35 98:0 / /mnt/with\\040blank\\134 rw shared:1 - ext4 /dev/root rw\n\n";
            assert_eq!(
                mount_points(table).collect::<Vec<_>>(),
                [PathBuf::from("/mnt/with blank\\")]
            );
            assert_eq!(unescape(b"end\\04"), PathBuf::from("end\\04"));
        }
    }
}
