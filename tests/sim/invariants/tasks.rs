//! Tasks: what runs, how often, how it ends, and whether its framework hears of it.

use std::collections::{BTreeMap, BTreeSet};

use meros_agent_core::exit::Exit;
use meros_agent_core::status::Update;
use meros_agent_core::task::TaskKey;
use meros_marathon_core::instances::InstanceId;
use meros_proto::ids::{ContainerId, FrameworkId, TaskId};
use meros_proto::task_state::is_terminal;
use meros_proto::v1;
use meros_proto::v1::TaskState;

use super::Breach;
use crate::clock::Time;

const DROPPED: &str = "what was dropped doesn't run";
/// A rule that is also checked elsewhere.
const TWO_ENDS: &str = "no task is in two terminal states";

#[derive(Debug, Default)]
struct Task {
    /// Its container, once it was asked for, and on which host.
    launched: Option<(usize, ContainerId)>,
    /// Since when it has a process.
    began: Option<Time>,
    over: bool,
    /// How its process ended, while somebody can tell the agent.
    exit: Option<Exit>,
    /// The end that its agent has on record.
    end: Option<TaskState>,
    /// The end that its framework was told by its agent.
    told: Option<TaskState>,
    /// The master said that it is out of reach, or doesn't exist.
    given_up: bool,
    /// The master said that it was never started.
    dropped: bool,
}

/// An update on an agent's disk that its framework has not heard.
#[derive(Debug, Clone)]
pub(crate) struct Owed {
    pub(crate) host: usize,
    pub(crate) key: TaskKey,
    pub(crate) state: TaskState,
}

/// All tasks there ever were.
#[derive(Debug, Default)]
pub(crate) struct TaskWatch {
    tasks: BTreeMap<TaskKey, Task>,
    containers: BTreeMap<ContainerId, TaskKey>,
    /// Updates on agents' disks, and whether each tells an end.
    stored: BTreeMap<[u8; 16], bool>,
    owed: BTreeMap<[u8; 16], Owed>,
    heard: BTreeSet<[u8; 16]>,
    removed: BTreeSet<FrameworkId>,
    forgotten: BTreeSet<TaskKey>,
    /// Tasks that are to end, as their agents have it on record.
    stopping: BTreeSet<TaskKey>,
    /// The tasks of each of Marathon's instances.
    instances: BTreeMap<InstanceId, Vec<TaskKey>>,
}

impl TaskWatch {
    /// An agent has it on record that it took a task.
    pub(crate) fn accepted(&mut self, key: &TaskKey, container: &ContainerId) {
        self.containers.insert(container.clone(), key.clone());
    }

    /// Whether the taking of this container's task is on record.
    pub(crate) fn is_accepted(&self, container: &ContainerId) -> bool {
        self.containers.contains_key(container)
    }

    /// A container is asked for.
    pub(crate) fn launched(
        &mut self,
        host: usize,
        key: &TaskKey,
        container: &ContainerId,
    ) -> Option<String> {
        let task = self.tasks.entry(key.clone()).or_default();
        let before = task.launched.replace((host, container.clone()));
        let twice = before.map(|(other, was)| {
            format!("{key} was started on host {other} as {was}, and on host {host} as {container}")
        });
        let dropped = self.tasks.get(key).is_some_and(|task| task.dropped);
        let dropped = dropped.then(|| format!("{key} is started, which the master calls dropped"));
        twice.or(dropped).or_else(|| self.beside_another(key))
    }

    /// Whether the instance of a task has another one that runs, and that was not given up.
    fn beside_another(&mut self, key: &TaskKey) -> Option<String> {
        let instance = InstanceId::of_task(key.task.as_str())?;
        let tasks = self.instances.entry(instance).or_default();
        let other = tasks.iter().find(|other| {
            let other = self.tasks.get(*other);
            other.is_some_and(|task| {
                let is_there = task.launched.is_some() && !task.over && task.end.is_none();
                is_there && !task.given_up
            })
        });
        let other = other.map(|other| format!("{key} is started beside {other}"));
        tasks.push(key.clone());
        other
    }

    /// A task has a process.
    pub(crate) fn began(&mut self, now: Time, _host: usize, key: &TaskKey, _: &ContainerId) {
        self.tasks.entry(key.clone()).or_default().began = Some(now);
    }

    /// A task has no process any more.
    pub(crate) fn ended(&mut self, key: &TaskKey, exit: Option<Exit>) {
        let task = self.tasks.entry(key.clone()).or_default();
        task.over = true;
        task.exit = exit;
    }

    /// An update is on an agent's disk.
    pub(crate) fn update_stored(
        &mut self,
        host: usize,
        key: &TaskKey,
        update: &Update,
    ) -> Option<Breach> {
        let state = update.status.state;
        let is_new = self.stored.insert(update.uuid, is_terminal(state)).is_none();
        if is_new && !self.removed.contains(&key.framework) {
            let owed = Owed { host, key: key.clone(), state };
            self.owed.insert(update.uuid, owed);
        }
        if !is_terminal(state) {
            return None;
        }
        let task = self.tasks.entry(key.clone()).or_default();
        let before = task.end.replace(state);
        if let Some(before) = before.filter(|_| is_new) {
            let how = format!("{key} ended as {before:?} and as {state:?} on its agent");
            return Some((TWO_ENDS, how));
        }
        let runs = task.began.is_some() && !task.over;
        if is_new && runs {
            return Some((
                "what is said to have ended has",
                format!("{key} is {state:?} and runs"),
            ));
        }
        let exit = task.exit?;
        (is_new && !may_be_told(exit, state)).then(|| {
            ("the end that is told is the one that was", format!("{key}: {exit:?} is {state:?}"))
        })
    }

    /// Whether an update is on an agent's disk.
    pub(crate) fn is_stored(&self, uuid: &[u8; 16]) -> bool {
        self.stored.contains_key(uuid)
    }

    /// Whether an update tells the end of its task.
    pub(crate) fn is_end(&self, uuid: &[u8]) -> bool {
        let uuid: Result<[u8; 16], _> = uuid.try_into();
        uuid.is_ok_and(|uuid| self.stored.get(&uuid) == Some(&true))
    }

    /// An agent has it on record that a task is to end.
    pub(crate) fn stopping(&mut self, key: &TaskKey) {
        self.stopping.insert(key.clone());
    }

    /// The task of a container, if a kill of it would be forgotten with the agent.
    pub(crate) fn is_killed_unrecorded(&self, container: &ContainerId) -> Option<&TaskKey> {
        let key = self.containers.get(container)?;
        let has_ended = self.tasks.get(key).is_some_and(|task| task.end.is_some());
        let nobody_asks = self.removed.contains(&key.framework) || self.forgotten.contains(key);
        (!has_ended && !nobody_asks && !self.stopping.contains(key)).then_some(key)
    }

    /// Whether an agent has it on record that a task is to end.
    pub(crate) fn is_stopping(&self, key: &TaskKey) -> bool {
        self.stopping.contains(key)
    }

    /// A task of a removed framework is over, and nobody asks.
    pub(crate) fn forgotten(&mut self, key: &TaskKey) {
        self.forgotten.insert(key.clone());
    }

    /// Why the end of a container may not be forgotten yet.
    pub(crate) fn may_not_be_forgotten(&self, container: &ContainerId) -> Option<String> {
        let key = self.containers.get(container)?;
        if self.removed.contains(&key.framework) || self.forgotten.contains(key) {
            return None;
        }
        let end = self.tasks.get(key).and_then(|task| task.end);
        end.is_none().then(|| format!("{key} may be forgotten, and its end is not on record"))
    }

    /// A framework was removed: nothing is owed to it.
    pub(crate) fn framework_removed(&mut self, framework: &FrameworkId) {
        self.removed.insert(framework.clone());
        self.owed.retain(|_, owed| owed.key.framework != *framework);
    }

    /// An agent left the cluster: what it still had to say is lost with it.
    pub(crate) fn agent_left(&mut self, host: usize) {
        self.owed.retain(|_, owed| owed.host != host);
    }

    /// A framework hears of its task.
    pub(crate) fn heard(
        &mut self,
        framework: &FrameworkId,
        task: &TaskId,
        status: &v1::TaskStatus,
    ) -> Option<Breach> {
        let key = TaskKey { framework: framework.clone(), task: task.clone() };
        let Some(uuid) = status.uuid.as_deref().filter(|uuid| !uuid.is_empty()) else {
            let live = [TaskState::TaskStaging, TaskState::TaskStarting, TaskState::TaskRunning];
            let task_id = task.clone();
            let task = self.tasks.entry(key).or_default();
            task.given_up |= !live.contains(&status.state());
            task.dropped |= status.state() == TaskState::TaskDropped;
            let runs = task.began.is_some() && !task.over;
            let how = || format!("the master calls {} dropped, and it runs", task_id);
            return (task.dropped && runs).then(|| (DROPPED, how()));
        };
        let uuid: [u8; 16] = uuid.try_into().ok()?;
        self.owed.remove(&uuid);
        if !self.heard.insert(uuid) {
            // Its acknowledgement was lost, perhaps after later ones had come.
            return None;
        }
        let state = status.state();
        if !is_terminal(state) {
            let told = self.tasks.get(&key).and_then(|task| task.told)?;
            let how = format!("{key} was told {told:?} by its agent, and {state:?} after that");
            return Some(("updates of a task come in order", how));
        }
        let told = &mut self.tasks.entry(key.clone()).or_default().told;
        let before = told.replace(state);
        let another = before.filter(|before| *before != state)?;
        Some((TWO_ENDS, format!("{key} was told {another:?} and {state:?}")))
    }

    /// What no framework has heard.
    pub(crate) fn owed(&self) -> impl Iterator<Item = &Owed> {
        self.owed.values()
    }
}

/// Whether an end may be told as that state: one that was asked for is a kill, however it came.
fn may_be_told(exit: Exit, state: TaskState) -> bool {
    match exit {
        Exit::Code(0) => matches!(state, TaskState::TaskFinished | TaskState::TaskKilled),
        Exit::Code(_) | Exit::Signal(_) => {
            matches!(state, TaskState::TaskFailed | TaskState::TaskKilled)
        }
        Exit::Unknown => state != TaskState::TaskFinished,
    }
}
