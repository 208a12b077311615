//! A containerizer in a work directory of its own, and how to ask it for things.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use meros_agent::containerizer::{
    ContainerEvent, Containerizer, ContainerizerConfig, Found, LaunchSpec, Limits, WaitStatus,
};
use meros_proto::{ids::ContainerId, v1};
use tokio::sync::mpsc;

/// Nothing here takes longer, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Host {
    pub(crate) containers: Containerizer,
    pub(crate) events: mpsc::Receiver<ContainerEvent>,
    pub(crate) work: tempfile::TempDir,
    /// Files that show what still runs: each is the pid of a process that a task left there.
    marks: Vec<PathBuf>,
    /// What it was started with, its work directory aside.
    config: ContainerizerConfig,
}

/// How an agent goes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Leave {
    /// In order, its tasks left where they are.
    Detached,
    /// Without a word, as by SIGKILL: its streams are closed.
    Killed,
}

pub(crate) fn config(work_dir: &Path) -> ContainerizerConfig {
    ContainerizerConfig {
        launcher_args: Vec::new(),
        recovery_timeout: Duration::from_secs(2),
        stop_grace: Duration::from_millis(500),
        start_deadline: Duration::from_secs(20),
        ..ContainerizerConfig::new(
            work_dir.to_owned(),
            env!("CARGO_BIN_EXE_meros-test-launcher").into(),
            "test".to_owned(),
        )
    }
}

/// The instance's name, which its cgroups and marks bear.
pub(crate) fn instance(work_dir: &Path) -> String {
    fs::read_to_string(work_dir.join("launcher.instance")).expect("made at the start")
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

pub(crate) fn container(name: &str) -> ContainerId {
    ContainerId::parse(name).expect("a valid id")
}

pub(crate) fn shell(line: &str) -> v1::CommandInfo {
    v1::CommandInfo { value: Some(line.to_owned()), ..Default::default() }
}

pub(crate) fn exec(argv: &[&str]) -> v1::CommandInfo {
    v1::CommandInfo {
        shell: Some(false),
        value: argv.first().map(|program| (*program).to_owned()),
        arguments: argv.iter().map(|argument| (*argument).to_owned()).collect(),
        ..Default::default()
    }
}

impl Host {
    /// With cgroups where the host has them.
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut ContainerizerConfig)) -> Self {
        let work = tempfile::tempdir().expect("a temporary directory");
        let mut config = config(work.path());
        change(&mut config);
        let started = Containerizer::start(config.clone()).await.expect("it starts");
        let (containers, found, events) = started;
        assert_eq!(found, []);
        Self { containers, events, work, marks: Vec::new(), config }
    }

    /// The agent goes, `meanwhile` happens, and another comes in its place.
    pub(crate) async fn replaced(
        self,
        leave: Leave,
        meanwhile: impl AsyncFnOnce(&Path),
        change: impl FnOnce(&mut ContainerizerConfig),
    ) -> (Self, Vec<Found>) {
        let Self { containers, events, work, marks, mut config } = self;
        if let Leave::Detached = leave {
            containers.detach().await;
        }
        drop((containers, events));
        meanwhile(work.path()).await;
        change(&mut config);
        let started = Containerizer::start(config.clone()).await.expect("it starts");
        let (containers, mut found, events) = started;
        found.sort_by_key(|found| format!("{found:?}"));
        (Self { containers, events, work, marks, config }, found)
    }

    /// The same, with nothing in between.
    pub(crate) async fn comes_back(self, leave: Leave) -> (Self, Vec<Found>) {
        self.replaced(leave, async |_| {}, |_| {}).await
    }

    /// The launcher's process.
    pub(crate) fn launcher(&self) -> i32 {
        launcher_pid(self.work.path())
    }

    /// Launches, and waits until it runs.
    pub(crate) async fn running(&mut self, name: &str, line: &str) -> i32 {
        self.run(name, line);
        let (started, pid) = Self::started(self.event().await);
        assert_eq!(started, name);
        pid
    }

    /// Both ways of holding a task's processes together, as far as the host has them.
    pub(crate) async fn all() -> Vec<Self> {
        let mut hosts = vec![Self::start_with(|config| config.cgroups = false).await];
        if is_root() {
            hosts.push(Self::start().await);
        }
        hosts
    }

    pub(crate) fn spec(&self, name: &str, command: v1::CommandInfo) -> LaunchSpec {
        LaunchSpec {
            container: container(name),
            command,
            env: vec![("WORK".to_owned(), self.work.path().display().to_string())],
            sandbox: self.sandbox(name),
            limits: Limits::default(),
            user: None,
        }
    }

    pub(crate) fn sandbox(&self, name: &str) -> PathBuf {
        self.work.path().join("runs").join(name)
    }

    pub(crate) fn output(&self, name: &str) -> String {
        fs::read_to_string(self.sandbox(name).join("stdout")).expect("the sandbox has it")
    }

    pub(crate) fn run(&self, name: &str, line: &str) {
        self.containers.launch(self.spec(name, shell(line)));
    }

    pub(crate) async fn event(&mut self) -> ContainerEvent {
        let event = tokio::time::timeout(PATIENCE, self.events.recv()).await;
        event.expect("an event in time").expect("the containerizer lives")
    }

    /// The next event, which is a start.
    #[track_caller]
    pub(crate) fn started(event: ContainerEvent) -> (String, i32) {
        match event {
            ContainerEvent::Started { container, pid } => (container.as_str().to_owned(), pid),
            other => panic!("not a start: {other:?}"),
        }
    }

    /// The next event, which is an end.
    #[track_caller]
    pub(crate) fn exited(event: ContainerEvent) -> (String, WaitStatus, bool) {
        match event {
            ContainerEvent::Exited { container, status, oom, .. } => {
                (container.as_str().to_owned(), status, oom)
            }
            other => panic!("not an end: {other:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn failed(event: ContainerEvent) -> (String, String) {
        match event {
            ContainerEvent::LaunchFailed { container, message } => {
                (container.as_str().to_owned(), message)
            }
            other => panic!("not a failure: {other:?}"),
        }
    }

    /// Waits until a task wrote a process number into `file` of the work directory, and remembers
    /// that this process is to be gone in the end.
    pub(crate) async fn process(&mut self, file: &str) -> i32 {
        let path = self.work.path().join(file);
        let pid = eventually(|| fs::read_to_string(&path).ok()?.trim().parse().ok()).await;
        self.marks.push(path);
        pid
    }

    /// Stops, and checks that nothing is left.
    pub(crate) async fn stop(mut self) {
        self.containers.stop().await;
        while self.events.try_recv().is_ok() {}
        for mark in &self.marks {
            let pid = fs::read_to_string(mark).expect("read before").trim().parse();
            assert!(!is_alive(pid.expect("a number")), "{} lives", mark.display());
        }
        let instance = instance(self.work.path());
        assert_eq!(left_of(&instance), Vec::<String>::new());
        for file in ["launcher.sock", "launcher.pid"] {
            assert!(!self.work.path().join(file).exists(), "{file} is left");
        }
    }
}

pub(crate) fn launcher_pid(work_dir: &Path) -> i32 {
    let noted = fs::read_to_string(work_dir.join("launcher.pid")).expect("the launcher runs");
    noted.split(' ').next().and_then(|pid| pid.parse().ok()).expect("a number")
}

pub(crate) fn kill(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).expect("not 0");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it lives");
}

pub(crate) async fn gone(pid: i32) {
    eventually(|| (!is_alive(pid)).then_some(())).await;
}

/// Whether a process exists and is not merely uncollected.
pub(crate) fn is_alive(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit_once(')').is_some_and(|(_, rest)| rest.starts_with(" Z")))
}

/// Processes and cgroups of an instance.
pub(crate) fn left_of(instance: &str) -> Vec<String> {
    let mut left = Vec::new();
    let mark = format!("MEROS_CONTAINER={instance}/").into_bytes();
    for entry in fs::read_dir("/proc").expect("readable").filter_map(Result::ok) {
        let env = fs::read(entry.path().join("environ")).unwrap_or_default();
        if env.split(|byte| *byte == 0).any(|variable| variable.starts_with(&mark)) {
            left.push(entry.path().display().to_string());
        }
    }
    for hierarchy in fs::read_dir("/sys/fs/cgroup").into_iter().flatten().filter_map(Result::ok) {
        let group = hierarchy.path().join("meros").join(instance);
        if group.exists() {
            left.push(group.display().to_string());
        }
    }
    left
}

/// Polls until `look` finds something.
pub(crate) async fn eventually<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = look() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, found).await.expect("found in time")
}
