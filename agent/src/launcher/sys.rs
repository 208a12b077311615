//! System calls that have no safe wrapper among our dependencies, each made safe here.

use std::{
    ffi::{CStr, CString},
    io,
    mem::MaybeUninit,
    os::fd::{FromRawFd, OwnedFd, RawFd},
    ptr,
};

use super::wire::End;

/// Every signal number that Linux has.
const SIGNALS: std::ops::RangeInclusive<libc::c_int> = 1..=64;

/// Gives every signal its default action and holds all of them back in this thread and in the
/// threads it will start; [`signal_fd`] tells of those that matter.
///
/// Children inherit default actions so, without a system call for each of them. Call it before any
/// other thread exists.
pub(super) fn hold_signals() {
    // The kernel's own structure: handler, flags, restorer, mask. The C library's call would spare
    // the signals that it keeps for itself, and a parent may have left those ignored.
    let default = [0_u64; 4];
    for signal in SIGNALS {
        #[expect(unsafe_code, reason = "sigaction(2) has no safe wrapper among our dependencies")]
        // SAFETY: no handler of ours is installed; a fault is to end us at once, whatever the
        // runtime had in mind for it. Signals 9 and 19 are refused with an error, which is fine.
        unsafe {
            let (action, size) = (default.as_ptr(), 8_usize);
            libc::syscall(libc::SYS_rt_sigaction, signal, action, ptr::null::<u64>(), size);
        }
    }
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    #[expect(unsafe_code, reason = "sigprocmask(2) has no safe wrapper among our dependencies")]
    // SAFETY: `sigfillset` initialises the set; the old mask is not asked for.
    unsafe {
        libc::sigfillset(set.as_mut_ptr());
        for fault in [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGABRT] {
            libc::sigdelset(set.as_mut_ptr(), fault);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, set.as_ptr(), ptr::null_mut());
    }
}

/// A descriptor that is readable when a child ended or somebody asks us to (SIGTERM).
pub(super) fn signal_fd() -> io::Result<OwnedFd> {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    #[expect(unsafe_code, reason = "signalfd(2) has no safe wrapper among our dependencies")]
    // SAFETY: `sigemptyset` initialises the set; the descriptor is new and nobody else's.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGCHLD);
        libc::sigaddset(set.as_mut_ptr(), libc::SIGTERM);
        let fd = libc::signalfd(-1, set.as_ptr(), libc::SFD_NONBLOCK | libc::SFD_CLOEXEC);
        if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(OwnedFd::from_raw_fd(fd)) }
    }
}

/// Takes all pending signals out of a [`signal_fd`]. True if SIGTERM was among them.
pub(super) fn take_signals(fd: &OwnedFd) -> bool {
    let mut asked_to_end = false;
    let mut buffer = [0_u8; size_of::<libc::signalfd_siginfo>() * 8];
    while let Ok(length @ 1..) = rustix::io::read(fd, &mut buffer) {
        for info in buffer[..length].chunks_exact(size_of::<libc::signalfd_siginfo>()) {
            // `ssi_signo` is the first field.
            let signal = info.first_chunk().map_or(0, |bytes| u32::from_ne_bytes(*bytes));
            asked_to_end |= signal == libc::SIGTERM.cast_unsigned();
        }
    }
    asked_to_end
}

/// A child that ended and is not collected yet, so that its number can't be given to another.
pub(super) fn ended_child() -> Option<(i32, End)> {
    wait(libc::P_ALL, 0, libc::WNOWAIT)
}

/// Collects a child that ended.
pub(super) fn collect(pid: i32) {
    wait(libc::P_PID, pid.cast_unsigned(), 0);
}

fn wait(kind: libc::idtype_t, id: u32, flags: libc::c_int) -> Option<(i32, End)> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    #[expect(unsafe_code, reason = "the safe wrappers of waitid(2) don't tell which child it was")]
    // SAFETY: `info` outlives the call, and all zeros is a valid value of it. The fields read are
    // those that waitid fills in for every child.
    unsafe {
        if libc::waitid(kind, id, info.as_mut_ptr(), libc::WEXITED | libc::WNOHANG | flags) != 0 {
            return None;
        }
        let info = info.assume_init_ref();
        let value = u8::try_from(info.si_status()).unwrap_or(u8::MAX);
        match (info.si_pid(), info.si_code) {
            (0, _) => None,
            (pid, libc::CLD_EXITED) => Some((pid, End::Exit(value))),
            (pid, _) => Some((pid, End::Signal(value))),
        }
    }
}

/// Closes every descriptor from `first` on: what a careless parent left open to us.
pub(super) fn close_from(first: u32) {
    #[expect(unsafe_code, reason = "close_range(2) has no safe wrapper among our dependencies")]
    // SAFETY: called before we opened any descriptor of our own; nobody owns one from `first` on.
    unsafe {
        libc::syscall(libc::SYS_close_range, first, u32::MAX, 0);
    }
}

/// Goes on as another program. Returns only if that failed.
///
/// Not by way of the standard library, which lets signals through before it tries: one that comes
/// then, and finds its default action, ends us.
pub(super) fn execute(program: &CStr, argv: &[CString], env: &[CString]) -> io::Error {
    let pointers = |strings: &[CString]| -> Vec<*const libc::c_char> {
        strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
    };
    let (argv, env) = (pointers(argv), pointers(env));
    #[expect(unsafe_code, reason = "execve(2) has no safe wrapper that leaves signals alone")]
    // SAFETY: NUL-terminated strings, and NULL-terminated arrays of such, that outlive the call.
    unsafe {
        libc::execve(program.as_ptr(), argv.as_ptr(), env.as_ptr());
    }
    io::Error::last_os_error()
}

/// A descriptor that the program before us, in this same process, left open to us by its number.
pub(super) fn inherited(fd: RawFd) -> io::Result<OwnedFd> {
    #[expect(unsafe_code, reason = "a number becomes a descriptor")]
    // SAFETY: asked for its flags only, a number that is no descriptor is an error. Each is taken
    // once, before we opened anything that could have got the number by chance.
    unsafe {
        if libc::fcntl(fd, libc::F_GETFD) < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Keeps the allocator small: one arena for all threads.
pub(super) fn use_one_arena() {
    #[cfg(target_env = "gnu")]
    #[expect(unsafe_code, reason = "mallopt(3) has no safe wrapper")]
    // SAFETY: it sets a number; called before other threads exist.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Gives memory back that a burst of starts needed.
pub(super) fn trim_memory() {
    #[cfg(target_env = "gnu")]
    #[expect(unsafe_code, reason = "malloc_trim(3) has no safe wrapper")]
    // SAFETY: it may be called at any time, and touches only what is free.
    unsafe {
        libc::malloc_trim(0);
    }
}
