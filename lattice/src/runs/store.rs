//! Which directory on which machine this is: a clone of a repository must never end another one's runs.

use std::io;

use crate::model::failure::Result;
use crate::model::ids::new_ulid;
use crate::process::table;
use crate::storage::layout::Layout;
use crate::storage::{owner, replace};

/// The random name of this `.lattice/runs`, made at the first use. It is ignored by git, so no clone has it.
pub fn id(layout: &Layout) -> Result<String> {
    let path = layout.store_file();
    if let Some(id) = read(layout)? {
        return Ok(id);
    }
    owner::make_dirs(&layout.runs(), 0o777)?;
    match replace::publish_exclusive(&path, format!("{}\n", new_ulid()).as_bytes()) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error.into()),
    }
    Ok(fs_err::read_to_string(path)?.trim().to_owned())
}

/// The name if there is one: a reader never makes it.
pub fn read(layout: &Layout) -> Result<Option<String>> {
    match fs_err::read_to_string(layout.store_file()) {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub fn host() -> String {
    nix::unistd::gethostname()
        .map_or_else(|_| "unknown".to_owned(), |name| name.to_string_lossy().into_owned())
}

pub fn boot_id() -> String {
    table::boot_id()
}

/// The type of the file system below `.lattice`, by the magic numbers of statfs(2).
pub fn file_system(layout: &Layout) -> Result<String> {
    let name =
        rustix::fs::statfs(&layout.dir).map_err(io::Error::from).map(|found| name_of(&found))?;
    Ok(name)
}

#[cfg(target_os = "linux")]
fn name_of(found: &rustix::fs::StatFs) -> String {
    let name = match u64::try_from(found.f_type).unwrap_or_default() {
        0x6969 => "nfs",
        0x517B => "smb",
        0xFE53_4D42 => "smb2",
        0xFF53_4D42 => "cifs",
        0x0102_1997 => "9p",
        0x6573_5546 => "fuse",
        0x00C3_6400 => "ceph",
        0x5346_414F => "afs",
        0x786F_4256 => "vboxsf",
        0xEF53 => "ext4",
        0x0102_1994 => "tmpfs",
        0x5846_5342 => "xfs",
        0x9123_683E => "btrfs",
        0x794C_7630 => "overlay",
        0x2FC1_2FC1 => "zfs",
        magic => return format!("{magic:#x}"),
    };
    name.to_owned()
}

#[cfg(not(target_os = "linux"))]
fn name_of(_found: &rustix::fs::StatFs) -> String {
    "unknown".to_owned()
}

/// On these another machine may hold a lock that looks free here.
pub fn is_shared(file_system: &str) -> bool {
    matches!(
        file_system,
        "nfs" | "smb" | "smb2" | "cifs" | "9p" | "fuse" | "ceph" | "afs" | "vboxsf"
    )
}
