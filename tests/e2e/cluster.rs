//! Clusters: `meros dev`, or the roles apart.

use meros_sdk::http::HttpClient;
use rustix::process::Signal;

use crate::home::Home;
use crate::http::{Api, list};
use crate::leftovers::cgroups_of;
use crate::process::{Ended, Process};
use crate::wait::until;

/// Warnings that a healthy cluster may log, since they are the host's: what can't be limited here.
const ALLOWED: &[&str] = &["tasks are not limited in "];

/// A cluster of one process.
pub(crate) struct Dev {
    pub(crate) process: Process,
    pub(crate) master: Api,
    pub(crate) marathon: Api,
    pub(crate) agents: Vec<Api>,
    pub(crate) home: Home,
}

impl Dev {
    /// Starts `meros dev` on free ports; returns when all roles listen.
    pub(crate) async fn start(arguments: &[&str]) -> Self {
        Self::start_in(Home::new(), arguments).await
    }

    /// The same in a folder that may have been used before.
    pub(crate) async fn start_in(home: Home, arguments: &[&str]) -> Self {
        let ports = ["dev", "--master-port", "0", "--marathon-port", "0"];
        let mut process = Process::start(&home, &[&ports, arguments].concat());
        let master = Api::at(&process.says("master    ").await);
        let marathon = Api::at(&process.says("marathon  ").await);
        let wanted = arguments.iter().skip_while(|word| **word != "--agents").nth(1);
        let wanted = wanted.map_or(3, |count| count.parse().expect("a number of agents"));
        let mut agents = Vec::new();
        for number in 1..=wanted {
            agents.push(Api::at(&process.says(&format!("agent {number}   ")).await));
        }
        Self { process, master, marathon, agents, home }
    }

    /// Waits until every agent is registered and Marathon subscribed.
    pub(crate) async fn is_whole(&self) {
        registered(&self.master, self.agents.len()).await;
        subscribed(&self.master).await;
    }

    /// Runs a verb against the cluster.
    pub(crate) async fn verb(&self, arguments: &[&str]) -> Ended {
        let (master, marathon) =
            (self.master.address.to_string(), self.marathon.address.to_string());
        let mut line = arguments.to_vec();
        line.extend(["--master", &master, "--marathon", &marathon]);
        Process::run(&self.home, &line).await
    }

    /// Presses Ctrl-C, and checks that the cluster ends in order, leaves nothing and logged nothing
    /// unexpected. Returns the folder, for a second start on it.
    pub(crate) async fn stop(self) -> Home {
        self.stop_allowing(&[]).await
    }

    /// The same, where the log may hold warnings with these words.
    pub(crate) async fn stop_allowing(mut self, allowed: &[&str]) -> Home {
        let groups =
            self.agents.iter().flat_map(|agent| cgroups_of(agent.address.port())).collect();
        self.process.signal(Signal::INT);
        let ended = self.process.ended().await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        self.home.assert_nothing_left(groups);
        assert_log_is_clean(&ended.stderr, allowed);
        self.home
    }
}

/// One role as a process of its own.
pub(crate) struct Role {
    pub(crate) process: Process,
    pub(crate) api: Api,
}

impl Role {
    /// Starts a role on a free port of 127.0.0.1 unless told otherwise; returns when it listens.
    pub(crate) async fn start(home: &Home, verb: &str, arguments: &[&str]) -> Self {
        let mut line = vec![verb, "--ip", "127.0.0.1"];
        if !arguments.contains(&"--port") {
            line.extend(["--port", "0"]);
        }
        line.extend(arguments);
        Self::listening(Process::start(home, &line)).await
    }

    /// A role that was started; returns when it listens.
    pub(crate) async fn listening(mut process: Process) -> Self {
        let line = process.logs(" address=").await;
        let (_, address) = line.split_once(" address=").expect("it was looked for");
        let address = address.split_whitespace().next().unwrap_or_default();
        Self { api: Api::at(address), process }
    }

    /// Ends the role for good, an agent with its tasks, and checks that it ends in order and logged
    /// nothing unexpected.
    pub(crate) async fn stop(self) {
        self.stop_allowing(&[]).await;
    }

    /// The same, where the log may hold warnings with these words.
    pub(crate) async fn stop_allowing(mut self, allowed: &[&str]) {
        let ended = match self.process.is_agent() {
            true => self.process.left().await,
            false => self.process.terminated().await,
        };
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_log_is_clean(&ended.stderr, allowed);
    }

    /// `host:port`, as an argument.
    pub(crate) fn address(&self) -> String {
        self.api.address.to_string()
    }
}

/// A master and agents as processes of their own; a test adds what else it needs.
pub(crate) struct Roles {
    pub(crate) agents: Vec<Role>,
    pub(crate) master: Role,
    pub(crate) home: Home,
}

impl Roles {
    /// Starts a master, and agents that are registered on return.
    pub(crate) async fn start(agents: usize) -> Self {
        let home = Home::new();
        let master = Role::start(&home, "master", &["--work-dir", &home.join("master")]).await;
        let mut roles = Self { agents: Vec::new(), master, home };
        for number in 1..=agents {
            let agent = roles.agent(number, &[]).await;
            roles.agents.push(agent);
        }
        registered(&roles.master.api, agents).await;
        roles
    }

    /// Starts the agent of this number, with more arguments.
    pub(crate) async fn agent(&self, number: usize, arguments: &[&str]) -> Role {
        let (master, work_dir) =
            (self.master.address(), self.home.join(&format!("agent-{number}")));
        let hostname = format!("127.0.0.{number}");
        let mut line = vec![
            "--master",
            &master,
            "--work-dir",
            &work_dir,
            "--hostname",
            &hostname,
            "--recovery-timeout",
            "2secs",
        ];
        if !arguments.contains(&"--resources") {
            line.extend(["--resources", "cpus:4;mem:2048;disk:4096;ports:[21000-22000]"]);
        }
        line.extend(arguments);
        Role::start(&self.home, "agent", &line).await
    }

    /// Starts a Marathon.
    pub(crate) async fn marathon(&self) -> Role {
        let (master, work_dir) = (self.master.address(), self.home.join("marathon"));
        let line = ["--master", &master, "--work-dir", &work_dir, "--hostname", "127.0.0.1"];
        Role::start(&self.home, "marathon", &line).await
    }

    /// Has the agents leave, stops the master, and checks that nothing is left.
    pub(crate) async fn stop(self) {
        self.stop_allowing(&[]).await;
    }

    /// The same, where the master's log may hold warnings with these words.
    pub(crate) async fn stop_allowing(self, allowed: &[&str]) {
        let ports = self.agents.iter().map(|agent| agent.api.address.port());
        let groups = ports.flat_map(cgroups_of).collect();
        for agent in self.agents {
            agent.stop().await;
        }
        self.master.stop_allowing(allowed).await;
        self.home.assert_nothing_left(groups);
    }
}

/// Waits until so many agents are registered and active.
pub(crate) async fn registered(master: &Api, count: usize) {
    until(&format!("{count} agents"), async || {
        let agents = master.get("/slaves").await;
        let active = list(&agents["slaves"]).iter().filter(|agent| agent["active"] == true);
        if active.count() == count { Ok(()) } else { Err(agents) }
    })
    .await;
}

/// Waits until a framework is subscribed.
pub(crate) async fn subscribed(master: &Api) {
    until("a framework", async || {
        let frameworks = master.get("/frameworks").await;
        let found = list(&frameworks["frameworks"]).iter().any(|one| one["active"] == true);
        if found { Ok(()) } else { Err(frameworks) }
    })
    .await;
}

/// Checks a log for warnings and errors that nobody expects.
///
/// # Panics
/// When there are any.
#[track_caller]
pub(crate) fn assert_log_is_clean(log: &str, allowed: &[&str]) {
    let loud = |line: &&str| {
        line.contains(" WARN ") || line.contains(" ERROR ") || line.contains("panicked")
    };
    let expected = |line: &&str| ALLOWED.iter().chain(allowed).any(|words| line.contains(words));
    let unexpected: Vec<&str> = log.lines().filter(loud).filter(|line| !expected(line)).collect();
    assert!(unexpected.is_empty(), "the log holds {unexpected:#?}");
}

/// Whether an address answers HTTP at all.
pub(crate) async fn answers(url: &str) -> bool {
    HttpClient::new().get(url).await.is_ok()
}
