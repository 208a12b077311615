//! What `meros dev` tells the person who started it.

use serde::Deserialize;

use super::cluster::Cluster;
use crate::ops::table::Table;
use crate::ops::{Api, Failure};

/// Where to find what.
pub(super) fn addresses(cluster: &Cluster) {
    println!("master    http://{}", cluster.master);
    println!("marathon  http://{}", cluster.marathon);
    for (index, agent) in cluster.agents.iter().enumerate() {
        println!("agent {}   http://{agent}", index + 1);
    }
    println!();
}

/// For whoever started it without a file.
pub(super) fn how_to_submit(cluster: &Cluster) {
    println!("no apps yet. Deploy some from another terminal:");
    println!("  meros app deploy --marathon {} examples/hello.json", cluster.marathon);
    println!(
        "  curl -X POST -H 'Content-Type: application/json' http://{}/v2/apps -d @examples/hello.json",
        cluster.marathon
    );
    println!("Ctrl-C stops the cluster");
}

#[derive(Debug, Deserialize)]
struct Tasks {
    tasks: Vec<Task>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Task {
    id: String,
    app_id: String,
    host: String,
    ports: Vec<u16>,
    state: String,
    slave_id: Option<String>,
}

/// The instances of the apps, with the addresses to open.
pub(super) async fn instances(marathon: &Api, apps: &[String]) -> Result<(), Failure> {
    let mut tasks = marathon.get::<Tasks>("/v2/tasks").await?.tasks;
    tasks.retain(|task| apps.contains(&task.app_id));
    tasks.sort_by(|a, b| (&a.app_id, &a.host, &a.ports).cmp(&(&b.app_id, &b.host, &b.ports)));
    let mut table = Table::new(&["APP", "INSTANCE", "AGENT", "ADDRESS", "STATE"]);
    for task in tasks {
        let addresses: Vec<String> =
            task.ports.iter().map(|port| format!("http://{}:{port}", task.host)).collect();
        // An agent's id ends in its number: `…-S0`.
        let agent = task.slave_id.unwrap_or_default();
        let agent = agent.rsplit('-').next().unwrap_or_default().to_owned();
        table.row(vec![task.app_id, task.id, agent, addresses.join(" "), task.state]);
    }
    println!();
    table.print("no instances");
    println!("\nCtrl-C ends the tasks and stops the cluster");
    Ok(())
}
