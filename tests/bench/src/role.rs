//! One role as a process: started, looked at, and gone when dropped.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};

use crate::machine;

/// How long a role that is asked to stop is waited for.
const STOP_WITHIN: Duration = Duration::from_secs(20);

/// A running role.
#[derive(Debug)]
pub(crate) struct Role {
    child: Child,
    /// Whether it has tasks of its own to end, and so is asked before it is killed.
    in_order: bool,
    /// A process that it leaves behind for a moment.
    launcher: Option<u32>,
}

impl Role {
    /// Starts `meros` with these arguments.
    pub(crate) fn start(binary: &Path, arguments: &[&str]) -> anyhow::Result<Self> {
        let child = Command::new(binary)
            .args(arguments)
            .env("MEROS_LOG", "error")
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| format!("start {}", binary.display()))?;
        Ok(Self { child, in_order: false, launcher: None })
    }

    /// The same, to be stopped in order: it has real tasks.
    pub(crate) fn stopped_in_order(mut self) -> Self {
        self.in_order = true;
        self
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// CPU time that it has used.
    pub(crate) fn cpu_time(&self) -> anyhow::Result<Duration> {
        machine::cpu_time(self.pid())
    }

    /// Memory that is its alone.
    pub(crate) fn private_bytes(&self) -> anyhow::Result<u64> {
        machine::private_bytes(self.pid())
    }

    /// The launcher of an agent.
    pub(crate) fn launcher(&mut self) -> anyhow::Result<u32> {
        let found = machine::child_called(self.pid(), "launcher");
        self.launcher = self.launcher.or(found);
        self.launcher.context("find the agent's launcher")
    }

    fn signal(pid: u32, signal: Signal) {
        if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
            // A role that is gone already needs no signal.
            let _ = kill_process(pid, signal);
        }
    }

    fn ends_within(&mut self, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        while Instant::now() < deadline {
            if matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        if self.in_order {
            let launcher = self.launcher().ok();
            // An agent with a launcher is to leave: SIGTERM would leave its tasks to the next one.
            let end = if launcher.is_some() { Signal::USR1 } else { Signal::TERM };
            Self::signal(self.pid(), end);
            if !self.ends_within(STOP_WITHIN) {
                eprintln!("process {} did not stop in time; killing it", self.pid());
            }
            if let Some(launcher) = launcher {
                let gone = || !Path::new(&format!("/proc/{launcher}")).exists();
                let deadline = Instant::now() + STOP_WITHIN;
                while !gone() && Instant::now() < deadline {
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
