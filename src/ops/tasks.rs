//! `meros tasks`: the tasks of all frameworks.

use serde::Deserialize;
use serde_json::Value;

use super::agents::Agents;
use super::frameworks::Frameworks;
use super::listing::{Amounts, Listing};
use super::table::Table;
use super::{Api, Failure, number, print_json};

/// What is asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    /// Only tasks whose id holds this text
    #[arg(value_name = "TEXT", default_value = "")]
    filter: String,
    /// Tasks that have ended too
    #[arg(short, long)]
    all: bool,
    #[command(flatten)]
    listing: Listing,
}

/// Tasks, newest first, as `/tasks` tells them.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Tasks {
    pub(crate) tasks: Vec<Task>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Task {
    pub(crate) id: String,
    pub(crate) framework_id: String,
    pub(super) executor_id: String,
    pub(crate) slave_id: String,
    pub(crate) state: String,
    pub(super) resources: Amounts,
}

const ALL: &str = "/tasks?limit=-1";

impl Tasks {
    pub(crate) async fn of(master: &Api) -> Result<Self, Failure> {
        master.get(ALL).await
    }
}

impl Task {
    /// The executor that runs it; a command task's is named after the task.
    pub(crate) fn executor(&self) -> &str {
        if self.executor_id.is_empty() { &self.id } else { &self.executor_id }
    }

    pub(crate) fn has_ended(&self) -> bool {
        has_ended(&self.state)
    }
}

/// Prints the list.
pub(crate) async fn run(flags: Flags) -> Result<(), Failure> {
    let master = Api::master(&flags.listing.cluster.master);
    if flags.listing.format.json {
        let mut answer: Value = master.get(ALL).await?;
        if let Some(tasks) = answer["tasks"].as_array_mut() {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            tasks.retain(|task| flags.shows(&text(&task["id"]), &text(&task["state"])));
        }
        print_json(&answer["tasks"]);
        return Ok(());
    }
    let tasks = Tasks::of(&master).await?.tasks;
    let agents = Agents::of(&master).await?;
    let frameworks = master.get::<Frameworks>("/frameworks").await?.frameworks;
    let mut table = Table::new(&["TASK", "STATE", "FRAMEWORK", "AGENT", "PORTS", "CPUS", "MEM"]);
    for task in tasks.into_iter().filter(|task| flags.shows(&task.id, &task.state)) {
        let framework = frameworks.iter().find(|framework| framework.id == task.framework_id);
        let framework = framework.map_or(task.framework_id, |framework| framework.name.clone());
        let agent =
            agents.find(&task.slave_id).map_or(task.slave_id, |agent| agent.hostname.clone());
        let ports = task.resources.ports.unwrap_or_default();
        let ports = shown(&ports);
        let (cpus, mem) = (number(task.resources.cpus), number(task.resources.mem));
        table.row(vec![task.id, task.state, framework, agent, ports, cpus, mem]);
    }
    table.print(if flags.all { "no tasks" } else { "no running tasks; --all shows ended ones" });
    Ok(())
}

impl Flags {
    fn shows(&self, id: &str, state: &str) -> bool {
        id.contains(&self.filter) && (self.all || !has_ended(state))
    }
}

/// Ports as a person reads them: `[31000-31000, 31002-31005]` is `31000, 31002-31005`.
fn shown(ports: &str) -> String {
    let ranges =
        ports.trim_matches(['[', ']']).split(", ").map(|range| match range.split_once('-') {
            Some((begin, end)) if begin == end => begin,
            _ => range,
        });
    ranges.collect::<Vec<_>>().join(", ")
}

fn has_ended(state: &str) -> bool {
    use meros_proto::v1::TaskState;
    TaskState::from_str_name(state).is_some_and(meros_proto::task_state::is_terminal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_one_port_is_shown_as_that_port() {
        assert_eq!(shown("[31000-31000, 31002-31005]"), "31000, 31002-31005");
        assert_eq!(shown(""), "");
    }
}
