//! System calls by number, and the errors that they can return.

use nix::libc;

macro_rules! table {
    ($($name:ident)*) => {
        &[$((stringify!($name), libc::$name)),*]
    };
}

/// Those that the product makes; the names begin with `SYS_`.
const CALLS: &[(&str, i64)] = table! {
    SYS_read SYS_write SYS_open SYS_close SYS_stat SYS_fstat SYS_lstat SYS_poll SYS_lseek SYS_mmap SYS_mprotect
    SYS_munmap SYS_brk SYS_rt_sigaction SYS_rt_sigprocmask SYS_rt_sigreturn SYS_ioctl SYS_pread64 SYS_pwrite64
    SYS_readv SYS_writev SYS_access SYS_pipe SYS_dup SYS_dup2 SYS_nanosleep SYS_getpid SYS_socket SYS_connect
    SYS_sendto SYS_recvfrom SYS_sendmsg SYS_recvmsg SYS_socketpair SYS_setsockopt SYS_getsockopt SYS_clone SYS_fork
    SYS_vfork SYS_execve SYS_exit SYS_wait4 SYS_kill SYS_uname SYS_fcntl SYS_flock SYS_fsync SYS_fdatasync
    SYS_truncate SYS_ftruncate SYS_getcwd SYS_chdir SYS_fchdir SYS_rename SYS_mkdir SYS_rmdir SYS_creat SYS_link
    SYS_unlink SYS_symlink SYS_readlink SYS_chmod SYS_fchmod SYS_umask SYS_getrlimit SYS_getuid SYS_geteuid
    SYS_setpgid SYS_getppid SYS_setsid SYS_statfs SYS_fstatfs SYS_prctl SYS_gettid SYS_futex SYS_getdents64
    SYS_clock_nanosleep SYS_exit_group SYS_tgkill SYS_waitid SYS_openat SYS_mkdirat SYS_newfstatat SYS_unlinkat
    SYS_renameat SYS_linkat SYS_symlinkat SYS_readlinkat SYS_fchmodat SYS_faccessat SYS_ppoll SYS_splice
    SYS_utimensat SYS_fallocate SYS_eventfd2 SYS_dup3 SYS_pipe2 SYS_prlimit64 SYS_syncfs SYS_getrandom SYS_renameat2
    SYS_memfd_create SYS_execveat SYS_copy_file_range SYS_statx SYS_pidfd_send_signal SYS_clone3 SYS_close_range
    SYS_openat2 SYS_pidfd_open SYS_faccessat2
};

pub fn name(number: u64) -> &'static str {
    let known = CALLS.iter().find(|(_, known)| u64::try_from(*known) == Ok(number));
    known.map_or("other", |(name, _)| &name["SYS_".len()..])
}

const ERRORS: &[(&str, i32)] = table! {
    ENOSPC EIO EMFILE EAGAIN ENOMEM EACCES EINTR
};

pub fn error(name: &str) -> Option<i32> {
    ERRORS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
}
