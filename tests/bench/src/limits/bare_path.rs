//! The least that a task's way from ACCEPT to TASK_RUNNING takes: its start in the same isolation,
//! eight messages one way (offer's acceptance, launch, order to the launcher and back, two updates
//! by way of the master), two durable writes.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use anyhow::Context;

/// About what a status update takes.
const MESSAGE: usize = 256;
/// There and back is two one-way messages.
const ROUND_TRIPS: usize = 4;
const SYNCS: u64 = 2;
/// What a disk writes at least.
const BLOCK: usize = 4_096;

/// The v1 hierarchies that an agent uses, with what it sets.
const GROUPS: [(&str, &[(&str, &str)]); 3] = [
    ("/sys/fs/cgroup/freezer", &[]),
    ("/sys/fs/cgroup/cpu", &[("cpu.shares", "205")]),
    ("/sys/fs/cgroup/memory", &[("memory.limit_in_bytes", "67108864")]),
];

/// All that the way needs, set up.
#[derive(Debug)]
pub(crate) struct BarePath {
    log: File,
    /// A process's own folder in each hierarchy; none where groups can't be made.
    groups: Vec<(PathBuf, &'static [(&'static str, &'static str)])>,
    peer: TcpStream,
    echo: Option<JoinHandle<()>>,
}

impl BarePath {
    /// Sets up below `dir`, the disk that agents use.
    pub(crate) fn new(dir: &Path) -> anyhow::Result<Self> {
        let log = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .custom_flags(libc::O_DSYNC)
            .open(dir.join("bare.log"))
            .context("make a log")?;
        log.write_all_at(&vec![0; BLOCK * 256], 0).context("fill the log")?;
        let (peer, echo) = echo().context("make a connection")?;
        let own = format!("meros-bench-{}", std::process::id());
        let groups = GROUPS.map(|(mount, settings)| (Path::new(mount).join(&own), settings));
        let made = groups.iter().all(|(dir, _)| fs::create_dir(dir).is_ok());
        let mut path = Self { log, groups: groups.into(), peer, echo: Some(echo) };
        if !made {
            path.remove_groups();
        }
        Ok(path)
    }

    /// Whether starts are put into groups.
    pub(crate) fn isolates(&self) -> bool {
        !self.groups.is_empty()
    }

    /// Seconds that one way takes. Blocks.
    pub(crate) fn once(&mut self, number: u64) -> anyhow::Result<f64> {
        let began = Instant::now();
        for sync in 0..SYNCS {
            let block = [u8::try_from(number % 251).unwrap_or(0); BLOCK];
            let at = (number * SYNCS + sync) % 256 * BLOCK as u64;
            self.log.write_all_at(&block, at).context("write the log")?;
        }
        let mut message = [7; MESSAGE];
        for _ in 0..ROUND_TRIPS {
            self.peer.write_all(&message).context("send a message")?;
            self.peer.read_exact(&mut message).context("get a message back")?;
        }
        let before_start = began.elapsed();
        let start = self.start(number)?;
        Ok(before_start.as_secs_f64() + start)
    }

    /// Starts a program in fresh groups; what came before it ran is what counts.
    fn start(&self, number: u64) -> anyhow::Result<f64> {
        let began = Instant::now();
        let thread = rustix::thread::gettid().as_raw_nonzero().to_string();
        let mut made = Vec::new();
        for (parent, settings) in &self.groups {
            let dir = parent.join(number.to_string());
            fs::create_dir(&dir).context("make a group")?;
            for (file, value) in *settings {
                fs::write(dir.join(file), value).context("set up a group")?;
            }
            // A child begins where the thread is that makes it.
            fs::write(dir.join("tasks"), &thread).context("join a group")?;
            made.push(dir);
        }
        let mut child =
            Command::new("/bin/true").stdin(Stdio::null()).spawn().context("run /bin/true")?;
        let took = began.elapsed().as_secs_f64();
        child.wait().context("wait for /bin/true")?;
        for (parent, _) in &self.groups {
            fs::write(parent.join("tasks"), &thread).context("leave a group")?;
        }
        for dir in made {
            fs::remove_dir(&dir).context("remove a group")?;
        }
        Ok(took)
    }

    fn remove_groups(&mut self) {
        let thread = rustix::thread::gettid().as_raw_nonzero().to_string();
        for (dir, _) in self.groups.drain(..) {
            if let Some(above) = dir.parent() {
                // Where there are no groups there is nothing to leave.
                let _ = fs::write(above.join("tasks"), &thread);
            }
            let _ = fs::remove_dir(dir);
        }
    }
}

impl Drop for BarePath {
    fn drop(&mut self) {
        self.remove_groups();
        let _ = self.peer.shutdown(std::net::Shutdown::Both);
        if let Some(echo) = self.echo.take() {
            let _ = echo.join();
        }
    }
}

/// A connection to a thread that sends back what it gets.
fn echo() -> std::io::Result<(TcpStream, JoinHandle<()>)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let near = TcpStream::connect(listener.local_addr()?)?;
    let (mut far, _) = listener.accept()?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let echo = thread::spawn(move || {
        let mut message = [0; MESSAGE];
        while far.read_exact(&mut message).is_ok() && far.write_all(&message).is_ok() {}
    });
    Ok((near, echo))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_takes_some_time_and_leaves_nothing_behind() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut path = BarePath::new(dir.path()).expect("it can be set up");
        let groups: Vec<PathBuf> = path.groups.iter().map(|(dir, _)| dir.clone()).collect();
        for number in 0..3 {
            let seconds = path.once(number).expect("it can be gone");
            assert!(seconds > 0.0 && seconds < 10.0, "{seconds}");
        }
        drop(path);
        assert!(groups.iter().all(|dir| !dir.exists()), "{groups:?}");
    }
}
