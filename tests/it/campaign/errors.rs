//! Which system call can return which of the errors that are injected, by its page in section 2 of the Linux manual
//! (man-pages 6.9, <https://man7.org/linux/man-pages/dir_section_2.html>).
//!
//! Beyond the pages: EIO wherever a disk is read, because file systems hand it through (as ext4 does from a directory's
//! block), and ENOSPC where a copy-on-write file system needs a block to shorten a file or to sync it. What a page gives
//! only for arguments that nobody here passes is left out: EACCES of mmap(2) and of prctl(2), EAGAIN of execve(2). EAGAIN
//! of a read, a write, an open or a lock is for those that do not wait. close(2) is not here: it lets go of the
//! descriptor whatever it returns, and nobody looks.

/// The faults of this table. `short`: with fewer bytes than were asked for.
pub const FAULTS: [&str; 8] =
    ["ENOSPC", "EIO", "EMFILE", "EAGAIN", "ENOMEM", "EACCES", "EINTR", "short"];

/// Calls of one page, or of pages that list the same.
const CAN: &[(&str, &str)] = &[
    ("open openat", "ENOSPC EIO EMFILE EAGAIN ENOMEM EACCES EINTR"),
    ("openat2", "ENOSPC EIO EMFILE EAGAIN ENOMEM EACCES EINTR"),
    ("read pread64", "EIO EAGAIN EINTR short"),
    ("readv", "EIO EAGAIN EINTR"),
    ("write pwrite64", "ENOSPC EIO EAGAIN EINTR short"),
    ("writev", "ENOSPC EIO EAGAIN EINTR"),
    ("fsync fdatasync syncfs", "ENOSPC EIO EINTR"),
    ("ftruncate", "ENOSPC EIO EINTR"),
    ("fallocate", "ENOSPC EIO EINTR"),
    ("copy_file_range", "ENOSPC EIO ENOMEM short"),
    ("splice", "ENOSPC EIO EAGAIN ENOMEM EINTR short"),
    ("mkdir mkdirat symlink symlinkat", "ENOSPC EIO ENOMEM EACCES"),
    ("rename renameat renameat2 link linkat", "ENOSPC EIO ENOMEM EACCES"),
    ("unlink unlinkat rmdir", "EIO ENOMEM EACCES"),
    ("stat lstat newfstatat statx readlink readlinkat", "EIO ENOMEM EACCES"),
    // Of what is open already, as the tracer calls it: no path is searched.
    ("fstat", "EIO"),
    ("access faccessat faccessat2 chdir fchdir", "EIO ENOMEM EACCES"),
    ("chmod fchmod fchmodat chown fchown fchownat", "EIO ENOMEM EACCES"),
    ("utimensat", "EIO EACCES"),
    ("statfs fstatfs", "EIO ENOMEM EACCES EINTR"),
    ("getdents64", "EIO"),
    ("getcwd", "ENOMEM EACCES"),
    // fcntl(2) of F_DUPFD and F_DUPFD_CLOEXEC, as the tracer calls it.
    ("dupfd", "EMFILE"),
    ("dup", "EMFILE ENOMEM"),
    ("dup2 dup3", "EMFILE EINTR"),
    ("pipe pipe2", "EMFILE"),
    ("socket", "EMFILE ENOMEM EACCES"),
    ("socketpair", "EMFILE"),
    ("connect", "EAGAIN EACCES EINTR"),
    ("sendto", "EAGAIN ENOMEM EACCES EINTR short"),
    ("sendmsg", "EAGAIN ENOMEM EACCES EINTR"),
    ("recvfrom", "EAGAIN ENOMEM EINTR short"),
    ("recvmsg", "EAGAIN ENOMEM EINTR"),
    ("memfd_create pidfd_open eventfd2", "EMFILE ENOMEM"),
    ("flock", "EAGAIN EINTR"),
    ("poll ppoll", "ENOMEM EINTR"),
    ("wait4 waitid", "EINTR"),
    ("nanosleep clock_nanosleep", "EINTR"),
    ("getrandom", "EAGAIN EINTR"),
    ("clone clone3 fork vfork", "EAGAIN ENOMEM"),
    ("execve execveat", "EIO EMFILE ENOMEM EACCES"),
    ("setpgid", "EACCES"),
    ("mmap mprotect munmap mremap brk sigaltstack", "ENOMEM"),
];

pub fn can_return(call: &str, fault: &str) -> bool {
    let has = |words: &str, word: &str| words.split(' ').any(|known| known == word);
    CAN.iter().any(|(calls, faults)| has(calls, call) && has(faults, fault))
}
