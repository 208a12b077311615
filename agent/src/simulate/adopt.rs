//! Pretended containers outlive their process: what a log says to run is found running.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use meros_agent_core::input::Found;
use meros_agent_core::task::TaskKey;
use meros_agent_core::{Agent, Record};
use meros_proto::ids::ContainerId;
use meros_proto::task_state::is_terminal;
use meros_proto::time::Timestamp;
use meros_proto::v1::TaskState;
use meros_shell::clock::Clock;

use bytes::Bytes;

use super::containers::Containers;
use super::herd::Member;
use super::terms::Terms;

/// A task that was started and has not ended.
struct Left {
    container: ContainerId,
    encoded: Bytes,
    launched: bool,
    /// When it was said to run.
    since: Option<Timestamp>,
}

/// Takes up what each of `agents` left running; what each finds.
pub(super) fn adopt(
    agents: &[Agent],
    terms: &Terms,
    containers: &mut Containers,
) -> Vec<Vec<(ContainerId, Found)>> {
    let (now, wall) = (Instant::now(), Clock::start().now().wall);
    let members = (0..).map(Member).zip(agents);
    let found = members.map(|(member, agent)| {
        let launched = left(agent).into_values().filter(|left| left.launched);
        let adopted = launched.filter_map(|left| {
            // A task whose labels make no sense was not launched.
            let terms = terms.of_task(&left.encoded).ok()?;
            let ran = left.since.map_or(Duration::ZERO, |since| passed(since, wall));
            let pid = containers.adopt(now, member, left.container.clone(), terms, ran);
            Some((left.container, Found::Running { pid }))
        });
        adopted.collect()
    });
    found.collect()
}

/// What has not ended by the agent's log.
fn left(agent: &Agent) -> BTreeMap<TaskKey, Left> {
    let mut left = BTreeMap::new();
    for record in agent.records() {
        match record {
            Record::Accepted { task, container } => {
                let encoded = task.encoded.clone();
                let new = Left { container, encoded, launched: false, since: None };
                left.insert(task.key.clone(), new);
            }
            Record::Update { task, update } if is_terminal(update.status.state) => {
                left.remove(&task);
            }
            Record::Update { task, update } => {
                if let Some(left) = left.get_mut(&task) {
                    // A task is launched once this is on record.
                    left.launched = true;
                    if update.status.state == TaskState::TaskRunning {
                        left.since = Some(update.status.timestamp);
                    }
                }
            }
            _ => {}
        }
    }
    left
}

fn passed(since: Timestamp, now: Timestamp) -> Duration {
    Duration::from_nanos(now.as_nanos().saturating_sub(since.as_nanos()))
}
