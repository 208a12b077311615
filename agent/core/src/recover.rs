//! From the log of an earlier life to the state in which the agent goes on.
//!
//! Tasks don't outlive the agent yet: the shell makes sure that none is left before it says
//! [`Input::Start`](crate::Input::Start), and what was live then is reported as ended.

use std::sync::Arc;

use meros_proto::ids::FrameworkId;
use meros_proto::time::Now;
use meros_proto::v1::TaskState;
use meros_proto::v1::task_status::Reason;

use crate::dispatch::{Agent, Config, Out, info};
use crate::record::Record;
use crate::run::dropped_or_lost;
use crate::status::Status;
use crate::task::{Phase, Task, TaskKey};

impl Agent {
    /// The agent as its log leaves it. `seed` as for [`Agent::new`].
    pub fn recover(config: Config, seed: [u8; 32], records: Vec<Record>) -> Self {
        let mut agent = Self::new(config, seed);
        for record in records {
            agent.replay(record);
        }
        agent
    }

    /// The shortest log that leads to the state as it is: what a log is compacted to.
    pub fn records(&self) -> Vec<Record> {
        let mut records: Vec<Record> = self.id.iter().cloned().map(Record::Admitted).collect();
        let used = |id: &FrameworkId| self.tasks.keys().any(|key| key.framework == *id);
        let frameworks = self.frameworks.values().filter(|framework| used(&framework.id));
        records.extend(frameworks.cloned().map(Record::Framework));
        for (key, task) in self.tasks.iter().filter(|(_, task)| !task.silent) {
            let (spec, container) = (Arc::clone(&task.spec), task.container.clone());
            records.push(Record::Accepted { task: spec, container });
            let said = task.updates.said();
            let key = || key.clone();
            records.extend(
                said.iter().map(|update| Record::Update { task: key(), update: update.clone() }),
            );
            let heard = &said[..task.updates.acknowledged()];
            records.extend(
                heard.iter().map(|update| Record::Acknowledged { task: key(), uuid: update.uuid }),
            );
        }
        records
    }

    /// Reports the end of all that was live in the earlier life.
    ///
    /// What never came as far as TASK_STARTING was not launched (its start waits for that record),
    /// so it is dropped, as Mesos says for "agent restarted, task never reached executor". The rest
    /// may have done some of its work: it has failed, as when an executor ends under its tasks.
    pub(crate) fn end_what_was_left(&mut self, now: Now, out: &mut Out) {
        let live: Vec<TaskKey> = self
            .tasks
            .iter()
            .filter(|(_, task)| task.is_live())
            .map(|(key, _)| key.clone())
            .collect();
        if !live.is_empty() {
            info(out, format!("{} tasks ended with the agent's earlier life", live.len()));
        }
        for key in live {
            let started = self
                .tasks
                .get(&key)
                .is_some_and(|task| task.updates.state() != TaskState::TaskStaging);
            let status = match self.frameworks.get(&key.framework) {
                Some(framework) if !started => {
                    let state = dropped_or_lost(framework);
                    Status::of_agent(state, Reason::AgentRestarted, now.wall)
                        .saying("The agent restarted before it launched the task")
                }
                _ => {
                    let failed = TaskState::TaskFailed;
                    Status::of_agent(failed, Reason::ExecutorTerminated, now.wall)
                        .saying("The agent restarted, and the task ended with it")
                }
            };
            self.end(now, &key, status, out);
        }
    }

    /// Takes in one record of the log. Those of what is no longer there change nothing: a log may
    /// be cut after any of them.
    pub fn replay(&mut self, record: Record) {
        match record {
            Record::Admitted(id) => self.id = Some(id),
            Record::Framework(framework) => {
                self.frameworks.insert(framework.id.clone(), framework);
            }
            Record::Accepted { task, container } => {
                self.tasks.insert(task.key.clone(), Task::new(task, container));
            }
            Record::Update { task, update } => {
                if let Some(task) = self.tasks.get_mut(&task) {
                    if meros_proto::task_state::is_terminal(update.status.state) {
                        task.phase = Phase::Ended;
                    }
                    task.updates.push(update);
                }
            }
            Record::Acknowledged { task: key, uuid } => {
                if let Some(task) = self.tasks.get_mut(&key) {
                    task.updates.acknowledge(&uuid);
                    // Its name may be given to another task from here on.
                    if !task.is_live() && !task.updates.are_owed() {
                        self.retire(&key);
                    }
                }
            }
            Record::FrameworkRemoved(id) => {
                let keys: Vec<TaskKey> = self.tasks_of(&id).cloned().collect();
                for key in keys {
                    let Some(task) = self.tasks.get_mut(&key) else { continue };
                    task.silent = true;
                    if !task.is_live() {
                        self.retire(&key);
                    }
                }
            }
            Record::Forgotten(key) => self.retire(&key),
            Record::Left => {
                self.id = None;
                self.tasks.clear();
                self.frameworks.clear();
                self.completed.clear();
            }
        }
    }
}
