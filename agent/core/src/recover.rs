//! From the log of an earlier life to the state in which the agent goes on, and back.
//!
//! What became of the tasks meanwhile is not in the log: see [`Input::Start`](crate::Input::Start).

use std::sync::Arc;

use meros_proto::ids::FrameworkId;
use meros_proto::time::Mono;

use crate::dispatch::{Agent, Config};
use crate::record::Record;
use crate::task::{Phase, Stop, Task, TaskKey};

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
        let mut records: Vec<Record> = self.boot_id.iter().cloned().map(Record::Booted).collect();
        records.extend(self.id.iter().cloned().map(Record::Admitted));
        let tasks = || self.tasks.iter().filter(|(_, task)| task.recorded);
        let used = |id: &FrameworkId| tasks().any(|(key, _)| key.framework == *id);
        let frameworks = self.frameworks.values().filter(|framework| used(&framework.id));
        records.extend(frameworks.cloned().map(Record::Framework));
        // The removal silences what was there before it, and nothing that comes later.
        let mut removed: Vec<&FrameworkId> = Vec::new();
        for (key, task) in tasks().filter(|(_, task)| task.silent) {
            tell(key, task, &mut records);
            removed.push(&key.framework);
        }
        removed.dedup();
        records.extend(removed.into_iter().cloned().map(Record::FrameworkRemoved));
        for (key, task) in tasks().filter(|(_, task)| !task.silent) {
            tell(key, task, &mut records);
        }
        records
    }

    /// Takes in one record of the log. Those of what is no longer there change nothing: a log may
    /// be cut after any of them.
    pub fn replay(&mut self, record: Record) {
        match record {
            Record::Admitted(id) => self.id = Some(id),
            Record::Booted(boot_id) => self.boot_id = Some(boot_id),
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
            Record::Stopping { task, stop } => {
                if let Some(task) = self.tasks.get_mut(&task).filter(|task| task.is_live()) {
                    task.phase = will_stop(stop);
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

/// The records of one task, which has begun to end if its phase says so.
fn tell(key: &TaskKey, task: &Task, records: &mut Vec<Record>) {
    let (spec, container) = (Arc::clone(&task.spec), task.container.clone());
    records.push(Record::Accepted { task: spec, container });
    // Before its end, if that was recorded too: what has ended isn't stopped any more.
    if let Phase::Stopping { stop, .. } = task.phase {
        records.push(Record::Stopping { task: key.clone(), stop });
    }
    let said = task.updates.said();
    let key = || key.clone();
    records
        .extend(said.iter().map(|update| Record::Update { task: key(), update: update.clone() }));
    let heard = &said[..task.updates.acknowledged()];
    records
        .extend(heard.iter().map(|update| Record::Acknowledged { task: key(), uuid: update.uuid }));
}

fn will_stop(stop: Stop) -> Phase {
    // The clock of these is known once the agent has started.
    let (since, kill_at) = (Mono::default(), Mono::default());
    Phase::Stopping { stop, pid: None, since, kill_at }
}
