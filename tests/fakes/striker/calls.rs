//! System calls by number, and the errors that they can return.

use fs_err as fs;
use nix::libc::{self, user_regs_struct};
use nix::unistd::Pid;

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
    SYS_openat2 SYS_pidfd_open SYS_faccessat2 SYS_arch_prctl SYS_set_tid_address SYS_set_robust_list SYS_rseq
    SYS_sigaltstack SYS_alarm SYS_getgid SYS_getegid SYS_getpgrp SYS_getpgid SYS_getsid SYS_sched_getaffinity
    SYS_setrlimit SYS_getgroups SYS_getresuid SYS_getresgid SYS_madvise SYS_mremap SYS_sysinfo SYS_getrusage
    SYS_chown SYS_fchown SYS_fchownat SYS_mknod SYS_mknodat SYS_sync_file_range SYS_umount2 SYS_mount SYS_getxattr
    SYS_lgetxattr SYS_shutdown SYS_bind SYS_listen SYS_accept4 SYS_getsockname SYS_sched_yield SYS_exit_group
    SYS_landlock_create_ruleset SYS_landlock_add_rule SYS_landlock_restrict_self SYS_rt_sigpending
    SYS_rt_sigtimedwait SYS_signalfd4 SYS_timerfd_create SYS_timerfd_settime SYS_clock_gettime SYS_setpriority
    SYS_getpriority SYS_capget SYS_fadvise64 SYS_personality
};

/// By what they do rather than by their numbers: fcntl(2) that makes a descriptor, which no other of its commands
/// does, and a look at what is open already, which searches no path.
const MORE: [&str; 3] = ["dupfd", "fstat", "other"];

/// One of the table, or what `name` calls the others.
pub fn named(name: &str) -> Option<&'static str> {
    let known = |(known, _): &(&'static str, i64)| &known["SYS_".len()..];
    CALLS.iter().map(known).chain(MORE).find(|known| *known == name)
}

pub fn name(registers: &user_regs_struct) -> &'static str {
    let is = |number: i64| u64::try_from(number) == Ok(registers.orig_rax);
    let has = |register: u64, flag: i32| register & u64::from(flag.unsigned_abs()) != 0;
    let makes = [libc::F_DUPFD, libc::F_DUPFD_CLOEXEC].map(i64::from);
    let [dupfd, fstat, other] = MORE;
    if is(libc::SYS_fcntl) && makes.contains(&registers.rsi.cast_signed()) {
        return dupfd;
    }
    if is(libc::SYS_statx) && has(registers.rdx, libc::AT_EMPTY_PATH)
        || is(libc::SYS_newfstatat) && has(registers.r10, libc::AT_EMPTY_PATH)
    {
        return fstat;
    }
    let known = CALLS.iter().find(|(_, number)| is(*number));
    known.map_or(other, |(name, _)| &name["SYS_".len()..])
}

/// Whether the call refuses rather than waits: by its descriptor, or as it opens one.
pub fn would_block(pid: Pid, call: &str, registers: &user_regs_struct) -> bool {
    let flags = match call {
        "open" => Some(registers.rsi),
        "openat" => Some(registers.rdx),
        "flock" => return registers.rsi & 4 != 0,
        "getrandom" => return registers.rdx & u64::from(libc::GRND_NONBLOCK) != 0,
        "read" | "write" | "splice" => {
            fs::read_to_string(format!("/proc/{pid}/fdinfo/{}", registers.rdi)).ok().and_then(
                |text| {
                    let flags = text.lines().find_map(|line| line.strip_prefix("flags:"))?;
                    u64::from_str_radix(flags.trim(), 8).ok()
                },
            )
        }
        _ => return true,
    };
    flags.is_some_and(|flags| flags & u64::from(libc::O_NONBLOCK.unsigned_abs()) != 0)
}

/// How many bytes the call is asked for, where fewer may come. Of signals whole ones come, and a read with no room for
/// one is refused (signalfd(2)).
pub fn length<'a>(
    pid: Pid,
    call: &str,
    registers: &'a mut user_regs_struct,
) -> Option<&'a mut u64> {
    match call {
        "read" if is_of_signals(pid, registers.rdi) => None,
        "read" | "write" | "pread64" | "pwrite64" | "sendto" | "recvfrom" => {
            Some(&mut registers.rdx)
        }
        "splice" | "copy_file_range" => Some(&mut registers.r8),
        _ => None,
    }
}

fn is_of_signals(pid: Pid, descriptor: u64) -> bool {
    let file = fs::read_link(format!("/proc/{pid}/fd/{descriptor}"));
    file.is_ok_and(|file| file.as_os_str() == "anon_inode:[signalfd]")
}

const ERRORS: &[(&str, i32)] = table! {
    ENOSPC EIO EMFILE EAGAIN ENOMEM EACCES EINTR
};

pub fn error(name: &str) -> Option<i32> {
    ERRORS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
}
