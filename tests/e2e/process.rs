//! A process of the binary under test: what it writes is kept, and it is gone when dropped.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::home::Home;
use crate::wait::until;

/// How long a dropped process may take to end in order before it is killed.
const ENDS_WITHIN: Duration = Duration::from_secs(8);

/// A started process.
///
/// It is in the process group of the tests, so that Ctrl-C ends it too.
pub(crate) struct Process {
    line: String,
    child: Child,
    stdout: Captured,
    stderr: Captured,
}

/// How a process ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// None: a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Process {
    /// Starts `meros` with these arguments.
    pub(crate) fn start(home: &Home, arguments: &[&str]) -> Self {
        Self::start_with(home, arguments, &[])
    }

    /// Starts `meros` with these arguments and variables. `MEROS_*` of the tests' own environment
    /// is kept from it.
    pub(crate) fn start_with(home: &Home, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        Self::spawn(home, Path::new(env!("CARGO_BIN_EXE_meros")), arguments, variables)
    }

    /// Starts another program than the `meros` that was built for this test.
    pub(crate) fn start_program(home: &Home, program: &Path, arguments: &[&str]) -> Self {
        Self::spawn(home, program, arguments, &[])
    }

    fn spawn(home: &Home, program: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(program);
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("MEROS_"))
        {
            command.env_remove(name);
        }
        command
            .args(arguments)
            .env("TMPDIR", home.temporary())
            .envs(variables.iter().copied())
            .current_dir(home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary was built for this test");
        Self {
            line: format!("{} {}", program.display(), arguments.join(" ")),
            stdout: Captured::start(child.stdout.take().expect("it is piped")),
            stderr: Captured::start(child.stderr.take().expect("it is piped")),
            child,
        }
    }

    /// Runs `meros` with these arguments to its end.
    pub(crate) async fn run(home: &Home, arguments: &[&str]) -> Ended {
        Self::start(home, arguments).ended().await
    }

    /// All that it wrote to standard output so far.
    pub(crate) fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// All that it wrote to standard error so far.
    pub(crate) fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Waits for a line on standard output that begins so; returns the rest of it.
    pub(crate) async fn says(&mut self, begin: &str) -> String {
        self.find(&format!("a line {begin:?}"), |process| {
            let stdout = process.stdout();
            // The last line may not be whole yet.
            let whole = &stdout[..stdout.rfind('\n').unwrap_or(0)];
            whole
                .lines()
                .find_map(|line| line.strip_prefix(begin))
                .map(|rest| rest.trim().to_owned())
        })
        .await
    }

    /// Waits for a line of the log that holds `part`; returns it.
    pub(crate) async fn logs(&mut self, part: &str) -> String {
        self.find(&format!("a log line with {part:?}"), |process| {
            process.stderr().lines().find(|line| line.contains(part)).map(str::to_owned)
        })
        .await
    }

    async fn find(&mut self, what: &str, look: impl Fn(&Self) -> Option<String>) -> String {
        let line = self.line.clone();
        until(&format!("{what} of `{line}`"), async || {
            // In this order: what it wrote before it ended is there.
            let ended = self.child.try_wait().expect("it is our child");
            match (look(self), ended) {
                (Some(found), _) => Ok(found),
                (None, None) => Err("none"),
                (None, Some(status)) => panic!("`{line}` ended with {status}, without {what}"),
            }
        })
        .await
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.expect("a child has a pid");
        kill_process(pid, signal).expect("a child that was not waited for can be signalled");
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> Ended {
        let line = self.line.clone();
        let status = until(&format!("the end of `{line}`"), async || {
            self.child.try_wait().expect("it is our child").ok_or("that it runs on")
        })
        .await;
        // A pipe ends with its last writer, which is this process: nothing inherits it.
        until("the end of its output", async || match self.is_read() {
            true => Ok(()),
            false => Err("that somebody holds its pipes"),
        })
        .await;
        Ended { code: status.code(), stdout: self.stdout(), stderr: self.stderr() }
    }

    /// Tells it to stop in order, and waits until it has.
    pub(crate) async fn terminated(&mut self) -> Ended {
        self.signal(Signal::TERM);
        self.ended().await
    }

    /// Tells an agent to leave its cluster for good, and waits until it has.
    pub(crate) async fn left(&mut self) -> Ended {
        self.signal(Signal::USR1);
        self.ended().await
    }

    /// Whether it is an agent.
    pub(crate) fn is_agent(&self) -> bool {
        self.line.split(' ').any(|word| word == "agent")
    }

    fn is_read(&self) -> bool {
        [&self.stdout, &self.stderr].iter().all(|captured| captured.reader.is_finished())
    }

    fn end(&mut self) -> Option<ExitStatus> {
        if let Ok(Some(status)) = self.child.try_wait() {
            return Some(status);
        }
        self.signal(Signal::TERM);
        let began = Instant::now();
        while began.elapsed() < ENDS_WITHIN {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            thread::sleep(Duration::from_millis(20));
        }
        self.signal(Signal::KILL);
        self.child.wait().ok()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let running = matches!(self.child.try_wait(), Ok(None));
        let status = self.end();
        if thread::panicking() {
            let how = status.map_or_else(|| "unknown".to_owned(), |status| status.to_string());
            let when = if running { "at the test's end" } else { "by itself" };
            eprintln!("---- {}\n     ended {when}: {how}", self.line);
            eprintln!("---- its standard output:\n{}", self.stdout());
            eprintln!("---- its standard error:\n{}", self.stderr());
        }
    }
}

/// What comes out of a pipe, read by a thread.
struct Captured {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Captured {
    fn start(mut pipe: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&bytes);
        let reader = thread::spawn(move || {
            let mut piece = [0; 8 << 10];
            while let Ok(length) = pipe.read(&mut piece)
                && length > 0
            {
                kept.lock().expect("nobody panics with it").extend_from_slice(&piece[..length]);
            }
        });
        Self { bytes, reader }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().expect("nobody panics with it")).into_owned()
    }
}
