//! `meros frameworks`: the frameworks that the master knows.

use serde::Deserialize;
use serde_json::Value;

use super::listing::{Amounts, Listing};
use super::table::Table;
use super::{Api, Failure, number, print_json};

/// All frameworks, as `/frameworks` tells them.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Frameworks {
    pub(crate) frameworks: Vec<Framework>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Framework {
    pub(crate) id: String,
    pub(crate) name: String,
    active: bool,
    connected: bool,
    role: Option<String>,
    roles: Vec<String>,
    tasks: Vec<Value>,
    used_resources: Amounts,
}

/// Prints the list.
pub(crate) async fn run(asked: Listing) -> Result<(), Failure> {
    let master = Api::master(&asked.cluster.master);
    if asked.format.json {
        print_json(&master.get::<Value>("/frameworks").await?["frameworks"]);
        return Ok(());
    }
    let mut table = Table::new(&["FRAMEWORK", "NAME", "STATE", "ROLES", "TASKS", "CPUS", "MEM"]);
    for framework in master.get::<Frameworks>("/frameworks").await?.frameworks {
        let state = framework.state().to_owned();
        let roles = framework.role.into_iter().chain(framework.roles).collect::<Vec<_>>().join(",");
        let used = framework.used_resources;
        table.row(vec![
            framework.id,
            framework.name,
            state,
            roles,
            framework.tasks.len().to_string(),
            number(used.cpus),
            number(used.mem),
        ]);
    }
    table.print("no frameworks; start one, such as `meros marathon --master HOST:PORT`");
    Ok(())
}

impl Framework {
    fn state(&self) -> &'static str {
        match (self.connected, self.active) {
            (true, true) => "active",
            (true, false) => "inactive",
            (false, _) => "disconnected",
        }
    }
}
