//! Starts one task: cgroups, sandbox files, and the step from our process into the task's program.
//!
//! The child shares our memory until it executes the program, and the starting thread waits that
//! long (`CLONE_VM | CLONE_VFORK`): that is what makes a start cost the same however large the
//! launcher is. The price is a rule: [`child`] calls the kernel and nothing else. It neither
//! allocates nor panics nor takes a lock; all it needs is laid out in [`Plan`] before.

use std::{
    ffi::{CStr, CString},
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd, RawFd},
    path::Path,
    ptr,
    sync::atomic::{AtomicI32, Ordering},
    time::Duration,
};

use rustix::fs::{Mode, OFlags};

use super::{
    cgroups, pidfd,
    wire::{Credentials, Start},
};

/// Where names are looked for when the environment has no `PATH`.
const DEFAULT_PATH: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The child's stack; it calls a handful of thin wrappers.
const STACK_WORDS: usize = 2048;
/// How often, a millisecond apart, the cgroups of a failed start are tried to be removed.
const CLEAN_TRIES: u32 = 100;

/// What all starts have in common.
#[derive(Debug)]
pub(super) struct Common {
    /// `/dev/null`, to read from.
    pub(super) null: OwnedFd,
    /// What tasks get as `oom_score_adj`, when the launcher's own was changed.
    pub(super) oom_score: Option<Vec<u8>>,
}

/// A program that was executed.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) pid: i32,
    /// See [`pidfd::identity`]; 0 for one that ended at once.
    pub(super) identity: u64,
    /// Readable when the task ran out of memory.
    pub(super) oom_events: Option<OwnedFd>,
}

/// A program that was not.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) step: String,
    pub(super) errno: i32,
}

/// The stack of the children of one thread, which has one at a time.
pub(super) struct Stack(Vec<u128>);

impl Stack {
    pub(super) fn new() -> Self {
        Self(vec![0; STACK_WORDS])
    }
}

/// Starts a task. `pid` is set by the kernel before the child runs its first instruction.
///
/// After a failure nothing of the task is left but its sandbox; a child that got as far as failing
/// is to be collected by whoever collects.
pub(super) fn start(
    order: &Start,
    common: &Common,
    stack: &mut Stack,
    pid: &AtomicI32,
) -> Result<Started, Failure> {
    let program = Program::of(order)?;
    let files = Files::open(order)?;
    let started = join_and_run(order, common, &program, &files, stack, pid);
    if started.is_err() {
        remove_groups(order);
    }
    started
}

fn join_and_run(
    order: &Start,
    common: &Common,
    program: &Program,
    files: &Files,
    stack: &mut Stack,
    pid: &AtomicI32,
) -> Result<Started, Failure> {
    let mut groups = Vec::with_capacity(order.groups.len());
    for group in &order.groups {
        groups.push(cgroups::make(group).map_err(|(step, error)| failure(step, &error))?);
    }
    let oom_events = match &order.oom_watch {
        Some(dir) => Some(watch_oom(cgroups::path(dir)).map_err(|e| failure("watch memory", &e))?),
        None => None,
    };
    let joins: Vec<RawFd> = groups.iter().map(AsRawFd::as_raw_fd).collect();
    let argv = pointers(&program.argv);
    let env = pointers(&program.env);
    let candidates = pointers(&program.candidates);
    let plan = Plan {
        joins: &joins,
        sandbox: &files.sandbox,
        descriptors: [common.null.as_raw_fd(), files.stdout.as_raw_fd(), files.stderr.as_raw_fd()],
        oom_score: common.oom_score.as_deref(),
        user: order.user.as_ref(),
        launcher: std::process::id(),
        candidates: &candidates,
        argv: &argv,
        env: &env,
        failed: AtomicI32::new(0),
        errno: AtomicI32::new(0),
    };
    let number = spawn(&plan, stack, pid)?;
    match Step::from_code(plan.failed.load(Ordering::Relaxed)) {
        None => Ok(Started { pid: number, identity: identity(number), oom_events }),
        Some(step) => Err(Failure {
            step: step.describe(order, program),
            errno: plan.errno.load(Ordering::Relaxed),
        }),
    }
}

fn identity(pid: i32) -> u64 {
    pidfd::open(pid).map_or(0, |process| pidfd::identity(process.as_fd()))
}

/// Waits for the last process to be out of them: it ended, but it may be on its way yet.
fn remove_groups(order: &Start) {
    for group in order.groups.iter().rev() {
        let dir = cgroups::path(&group.dir);
        for _ in 0..CLEAN_TRIES {
            match cgroups::remove(dir) {
                Ok(cgroups::Removal::Busy) => std::thread::sleep(Duration::from_millis(1)),
                _ => break,
            }
        }
    }
}

/// Asks a v1 memory cgroup to tell when it is out of memory.
fn watch_oom(dir: &Path) -> io::Result<OwnedFd> {
    use rustix::event::{EventfdFlags, eventfd};
    let events = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let control = rustix::fs::open(dir.join("memory.oom_control"), flags, Mode::empty())?;
    let request = format!("{} {}", events.as_raw_fd(), control.as_raw_fd());
    cgroups::write(&dir.join("cgroup.event_control"), request.as_bytes())?;
    Ok(events)
}

/// What is executed, as the kernel takes it.
struct Program {
    candidates: Vec<CString>,
    argv: Vec<CString>,
    env: Vec<CString>,
}

impl Program {
    fn of(order: &Start) -> Result<Self, Failure> {
        Ok(Self {
            candidates: candidates(&order.program, &order.env)?,
            argv: order.argv.iter().map(|bytes| c_string(bytes)).collect::<Result<_, _>>()?,
            env: order.env.iter().map(|bytes| c_string(bytes)).collect::<Result<_, _>>()?,
        })
    }
}

/// The files that a name may stand for, in the order to be tried: as `execvp` does.
fn candidates(program: &[u8], env: &[Vec<u8>]) -> Result<Vec<CString>, Failure> {
    if program.is_empty() || program.contains(&b'/') {
        return Ok(vec![c_string(program)?]);
    }
    let path = env.iter().rev().find_map(|variable| variable.strip_prefix(b"PATH="));
    path.unwrap_or(DEFAULT_PATH)
        .split(|byte| *byte == b':')
        .map(|dir| match dir {
            // An empty entry is the working directory.
            [] => c_string(program),
            dir => c_string(&[dir, b"/", program].concat()),
        })
        .collect()
}

/// The sandbox as the child needs it.
struct Files {
    sandbox: CString,
    stdout: OwnedFd,
    stderr: OwnedFd,
}

impl Files {
    fn open(order: &Start) -> Result<Self, Failure> {
        let sandbox = cgroups::path(&order.sandbox);
        let open = |name: &str| {
            let path = sandbox.join(name);
            // The sandbox is the task's: a link in the place of its output leads nowhere.
            let flags = OFlags::WRONLY
                | OFlags::APPEND
                | OFlags::CREATE
                | OFlags::NOFOLLOW
                | OFlags::NOCTTY
                | OFlags::CLOEXEC;
            let opened = rustix::fs::open(&path, flags, Mode::from_raw_mode(0o644))
                .and_then(|file| own(file, order.user.as_ref()));
            opened.map_err(|error| failure(format!("open {}", path.display()), &error.into()))
        };
        Ok(Self {
            stdout: open("stdout")?,
            stderr: open("stderr")?,
            sandbox: c_string(&order.sandbox)?,
        })
    }
}

fn own(file: OwnedFd, user: Option<&Credentials>) -> rustix::io::Result<OwnedFd> {
    if let Some(user) = user {
        let owner = rustix::fs::Uid::from_raw(user.uid);
        rustix::fs::fchown(&file, Some(owner), Some(rustix::fs::Gid::from_raw(user.gid)))?;
    }
    Ok(file)
}

fn c_string(bytes: &[u8]) -> Result<CString, Failure> {
    CString::new(bytes).map_err(|_| Failure {
        step: format!("pass on {:?}", String::from_utf8_lossy(bytes)),
        errno: libc::EINVAL,
    })
}

/// A NULL-terminated array over strings that outlive it.
fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
}

fn failure(step: impl Into<String>, error: &io::Error) -> Failure {
    Failure { step: step.into(), errno: error.raw_os_error().unwrap_or(libc::EIO) }
}

/// All that the child needs, laid out before it exists.
struct Plan<'a> {
    joins: &'a [RawFd],
    sandbox: &'a CStr,
    /// What becomes 0, 1 and 2. None of them is any of these now.
    descriptors: [RawFd; 3],
    oom_score: Option<&'a [u8]>,
    user: Option<&'a Credentials>,
    /// The child's parent, without which it isn't to go on.
    launcher: u32,
    /// NULL-terminated, as the next two.
    candidates: &'a [*const libc::c_char],
    argv: &'a [*const libc::c_char],
    env: &'a [*const libc::c_char],
    /// The code of the [`Step`] that failed, and why; 0 while none did.
    failed: AtomicI32,
    errno: AtomicI32,
}

/// What the child does, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Session = 1,
    Join,
    Sandbox,
    Output,
    OomScore,
    User,
    Exec,
}

impl Step {
    fn from_code(code: i32) -> Option<Self> {
        [
            Self::Session,
            Self::Join,
            Self::Sandbox,
            Self::Output,
            Self::OomScore,
            Self::User,
            Self::Exec,
        ]
        .into_iter()
        .find(|step| *step as i32 == code)
    }

    fn describe(self, order: &Start, program: &Program) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match self {
            Self::Session => "begin a session".to_owned(),
            Self::Join => "join its cgroups".to_owned(),
            Self::Sandbox => format!("enter {}", text(&order.sandbox)),
            Self::Output => "redirect its output".to_owned(),
            Self::OomScore => "set its oom_score_adj".to_owned(),
            Self::User => {
                format!("become user {}", order.user.as_ref().map_or(0, |user| user.uid))
            }
            Self::Exec => match program.candidates.as_slice() {
                [only] => format!("exec {}", text(only.as_bytes())),
                _ => format!("exec {}", text(&order.program)),
            },
        }
    }
}

#[expect(unsafe_code, reason = "a child that shares our memory until it executes its program")]
fn spawn(plan: &Plan<'_>, stack: &mut Stack, pid: &AtomicI32) -> Result<i32, Failure> {
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PARENT_SETTID | libc::SIGCHLD;
    let top = stack.0.as_mut_ptr_range().end;
    // SAFETY: the stack is ours alone, aligned to 16 bytes, grows down from `top`, and outlives the
    // child's use of it, as `plan` does: CLONE_VFORK suspends this thread until the child executed
    // its program or ended. The child keeps to what the module's header says. The kernel writes
    // the child's number to `pid`, which is atomic, so that others may look at it meanwhile.
    let number = unsafe {
        libc::clone(child, top.cast(), flags, ptr::from_ref(plan).cast_mut().cast(), pid.as_ptr())
    };
    if number < 0 {
        return Err(failure("start a process", &io::Error::last_os_error()));
    }
    Ok(number)
}

/// The child, from its first instruction to the program's.
#[expect(unsafe_code, reason = "between vfork and exec only the kernel may be called")]
extern "C" fn child(plan: *mut libc::c_void) -> libc::c_int {
    // SAFETY: `spawn` passes a `Plan` that outlives this function.
    let plan = unsafe { &*plan.cast_const().cast::<Plan<'_>>() };
    let failed = become_task(plan);
    // SAFETY: errno is a number of the suspended thread, whose thread-local memory this child uses.
    let errno = unsafe { *libc::__errno_location() };
    plan.errno.store(errno, Ordering::Relaxed);
    plan.failed.store(failed as i32, Ordering::Relaxed);
    // SAFETY: ends this process without running anything that the parent registered.
    unsafe { libc::_exit(127) }
}

/// Returns only if a step failed, with `errno` set.
#[expect(unsafe_code, reason = "between vfork and exec only the kernel may be called")]
fn become_task(plan: &Plan<'_>) -> Step {
    // SAFETY: each call is async-signal-safe and gets pointers into `plan`, NUL-terminated where
    // the kernel wants it so. User and groups are set by system call, not by the C library, whose
    // functions would make every thread of the launcher follow.
    unsafe {
        if libc::setsid() < 0 {
            return Step::Session;
        }
        for join in plan.joins {
            if libc::write(*join, c"0".as_ptr().cast(), 1) != 1 {
                return Step::Join;
            }
        }
        if libc::chdir(plan.sandbox.as_ptr()) != 0 {
            return Step::Sandbox;
        }
        let [input, output, errors] = plan.descriptors;
        if libc::dup2(input, 0) < 0 || libc::dup2(output, 1) < 0 || libc::dup2(errors, 2) < 0 {
            return Step::Output;
        }
        if let Some(score) = plan.oom_score {
            let flags = libc::O_WRONLY | libc::O_CLOEXEC;
            let file = libc::open(c"/proc/self/oom_score_adj".as_ptr(), flags);
            if file < 0 || libc::write(file, score.as_ptr().cast(), score.len()) < 0 {
                return Step::OomScore;
            }
        }
        if let Some(user) = plan.user {
            let groups = (user.groups.len(), user.groups.as_ptr());
            if libc::syscall(libc::SYS_setgroups, groups.0, groups.1) != 0
                || libc::syscall(libc::SYS_setresgid, user.gid, user.gid, user.gid) != 0
                || libc::syscall(libc::SYS_setresuid, user.uid, user.uid, user.uid) != 0
            {
                return Step::User;
            }
        }
        // Of a launcher that died before it said so nobody knows this start: who looks for what it
        // left must not find a program that is executed after he looked.
        if libc::getppid().cast_unsigned() != plan.launcher {
            return Step::Exec;
        }
        let none: u64 = 0;
        let how = libc::SIG_SETMASK;
        // Eight bytes: the kernel's signal set, not the C library's larger one.
        libc::syscall(libc::SYS_rt_sigprocmask, how, &raw const none, ptr::null::<u8>(), 8_usize);
        execute(plan);
    }
    Step::Exec
}

/// Tries each candidate. One that may not be executed is remembered, as `execvp` does it.
#[expect(unsafe_code, reason = "between vfork and exec only the kernel may be called")]
fn execute(plan: &Plan<'_>) {
    let mut denied = false;
    for candidate in plan.candidates {
        if candidate.is_null() {
            break;
        }
        // SAFETY: NUL-terminated strings, and NULL-terminated arrays of such.
        let errno = unsafe {
            libc::execve(*candidate, plan.argv.as_ptr(), plan.env.as_ptr());
            *libc::__errno_location()
        };
        match errno {
            libc::EACCES => denied = true,
            libc::ENOENT | libc::ENOTDIR | libc::ESTALE | libc::ENODEV | libc::ETIMEDOUT => {}
            _ => return,
        }
    }
    if denied {
        // SAFETY: as in `child`.
        unsafe { *libc::__errno_location() = libc::EACCES };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_a_slash_is_looked_for_in_the_path_of_the_task() {
        let found = |program: &str, env: &[&str]| -> Vec<String> {
            let env: Vec<_> = env.iter().map(|v| v.as_bytes().to_vec()).collect();
            let found = candidates(program.as_bytes(), &env).expect("no NUL in it");
            found.iter().map(|path| path.to_string_lossy().into_owned()).collect()
        };
        assert_eq!(found("/bin/true", &["PATH=/x"]), ["/bin/true"]);
        assert_eq!(found("./run", &["PATH=/x"]), ["./run"]);
        assert_eq!(found("run", &["PATH=/a::/b"]), ["/a/run", "run", "/b/run"]);
        assert_eq!(found("run", &["PATH=/a", "PATH=/b"]), ["/b/run"]);
        assert_eq!(found("run", &[]).len(), 6);
        assert_eq!(found("", &["PATH=/a"]), [""]);
        assert!(candidates(b"a\0b", &[]).is_err());
    }

    #[test]
    fn every_step_has_its_code() {
        for step in [Step::Session, Step::Join, Step::Output, Step::User, Step::Exec] {
            assert_eq!(Step::from_code(step as i32), Some(step));
        }
        assert_eq!(Step::from_code(0), None);
    }
}
