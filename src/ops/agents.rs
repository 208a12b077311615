//! `meros agents`: the agents that the master knows.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::listing::{Amounts, Listing};
use super::table::Table;
use super::{Api, Failure, number, print_json};

/// All agents, as `/slaves` tells them.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Agents {
    pub(crate) slaves: Vec<Agent>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Agent {
    pub(crate) id: String,
    pub(crate) hostname: String,
    /// `slave(1)@ip:port`
    pid: String,
    active: bool,
    resources: Amounts,
    used_resources: Amounts,
    attributes: BTreeMap<String, Value>,
}

impl Agents {
    pub(crate) async fn of(master: &Api) -> Result<Self, Failure> {
        master.get("/slaves").await
    }

    pub(crate) fn find(&self, id: &str) -> Option<&Agent> {
        self.slaves.iter().find(|agent| agent.id == id)
    }
}

impl Agent {
    /// `ip:port` of its HTTP API.
    pub(crate) fn address(&self) -> &str {
        self.pid.split_once('@').map_or("", |(_, address)| address)
    }
}

/// Prints the list.
pub(crate) async fn run(asked: Listing) -> Result<(), Failure> {
    let master = Api::master(&asked.cluster.master);
    if asked.format.json {
        print_json(&master.get::<Value>("/slaves").await?["slaves"]);
        return Ok(());
    }
    let headings =
        ["AGENT", "HOST", "ADDRESS", "STATE", "CPUS USED", "MEM USED", "DISK USED", "ATTRIBUTES"];
    let mut table = Table::new(&headings);
    for agent in Agents::of(&master).await?.slaves {
        let used = |of: fn(&Amounts) -> f64| {
            format!("{}/{}", number(of(&agent.used_resources)), number(of(&agent.resources)))
        };
        let state = if agent.active { "active" } else { "inactive" };
        let cells = [used(|a| a.cpus), used(|a| a.mem), used(|a| a.disk), attributes(&agent)];
        let address = agent.address().to_owned();
        let mut row = vec![agent.id, agent.hostname, address, state.to_owned()];
        row.extend(cells);
        table.row(row);
    }
    table.print("no agents; start one with `meros agent --master HOST:PORT`");
    Ok(())
}

fn attributes(agent: &Agent) -> String {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let pairs = agent.attributes.iter().map(|(name, value)| format!("{name}:{}", text(value)));
    pairs.collect::<Vec<_>>().join(";")
}
