//! `meros status`: how the cluster is, at a glance.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::listing::Listing;
use super::table::{colours, painted};
use super::{Api, Failure, number, print_json};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Info {
    version: String,
    leader: Option<String>,
    #[serde(rename = "frameworkId")]
    framework_id: Option<String>,
}

/// Prints the state of master, agents, tasks and Marathon. Fails when the master is not there.
pub(crate) async fn run(asked: Listing) -> Result<(), Failure> {
    let master = Api::master(&asked.cluster.master);
    let metrics: BTreeMap<String, f64> = master.get("/metrics/snapshot").await?;
    // Marathon is one framework of many: a cluster without it is whole.
    let marathon = Api::marathon(&asked.cluster.marathon).get::<Value>("/v2/info").await;
    if asked.format.json {
        print_json(&json!({ "master": metrics, "marathon": marathon.ok() }));
        return Ok(());
    }
    let metric = |name: &str| metrics.get(&format!("master/{name}")).copied().unwrap_or_default();
    let count = |name: &str| number(metric(name));
    let state = |ok: bool, good: &str, bad: &str| painted(if ok { good } else { bad }, colours());
    println!(
        "master      {}  {}  up {} s",
        asked.cluster.master,
        state(metric("elected") == 1.0, "active", "inactive"),
        number(metric("uptime_secs").floor())
    );
    println!(
        "agents      {} active, {} disconnected, {} unreachable",
        count("slaves_active"),
        count("slaves_disconnected"),
        count("slaves_unreachable")
    );
    println!(
        "frameworks  {} active, {} disconnected",
        count("frameworks_active"),
        count("frameworks_disconnected")
    );
    println!(
        "tasks       {} running, {} staging, {} starting, {} failed, {} lost",
        count("tasks_running"),
        count("tasks_staging"),
        count("tasks_starting"),
        count("tasks_failed"),
        count("tasks_lost")
    );
    let used = |name: &str| {
        format!("{}/{}", count(&format!("{name}_used")), count(&format!("{name}_total")))
    };
    println!(
        "used        cpus {}, mem {} MiB, disk {} MiB",
        used("cpus"),
        used("mem"),
        used("disk")
    );
    match marathon.map(serde_json::from_value::<Info>) {
        Ok(Ok(info)) => println!(
            "marathon    {}  {}  version {}, framework {}",
            info.leader.as_deref().unwrap_or("no leader"),
            state(info.framework_id.is_some(), "active", "disconnected"),
            info.version,
            info.framework_id.as_deref().unwrap_or("not registered yet")
        ),
        Ok(Err(_)) | Err(_) => println!("marathon    none at {}", asked.cluster.marathon),
    }
    Ok(())
}
