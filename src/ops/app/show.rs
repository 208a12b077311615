//! `meros app show`: one app with its tasks.

use serde::Deserialize;
use serde_json::Value;

use crate::ops::table::Table;
use crate::ops::{Api, Failure, Format, number, print_json};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct App {
    id: String,
    instances: u64,
    tasks_running: u64,
    tasks_staged: u64,
    cpus: f64,
    mem: f64,
    disk: f64,
    cmd: Option<String>,
    args: Vec<String>,
    version: String,
    deployments: Vec<Deployment>,
    last_task_failure: Option<Ended>,
    tasks: Vec<Task>,
}

#[derive(Debug, Default, Deserialize)]
struct Deployment {
    id: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Ended {
    task_id: String,
    state: String,
    message: String,
    host: String,
    timestamp: String,
}

/// A task of an app, as Marathon tells it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Task {
    id: String,
    state: String,
    host: String,
    ports: Vec<u16>,
    started_at: Option<String>,
}

/// Prints the app at `path`.
pub(super) async fn run(marathon: &Api, path: &str, format: Format) -> Result<(), Failure> {
    let mut answer: Value = marathon.get(path).await?;
    let value = answer["app"].take();
    if format.json {
        print_json(&value);
        return Ok(());
    }
    let app: App =
        serde_json::from_value(value).map_err(|error| Failure::new(error.to_string()))?;
    let command = app.cmd.clone().unwrap_or_else(|| app.args.join(" "));
    println!("id         {}", app.id);
    println!("version    {}", app.version);
    println!("command    {command}");
    println!(
        "each       {} cpus, {} MiB memory, {} MiB disk",
        number(app.cpus),
        number(app.mem),
        number(app.disk)
    );
    println!(
        "instances  {} wanted, {} running, {} starting",
        app.instances, app.tasks_running, app.tasks_staged
    );
    for deployment in &app.deployments {
        println!("deploying  {}", deployment.id);
    }
    if let Some(ended) = &app.last_task_failure {
        println!(
            "last end   {} {} on {} at {}: {}",
            ended.task_id, ended.state, ended.host, ended.timestamp, ended.message
        );
    }
    println!();
    print_tasks(app.tasks);
    Ok(())
}

fn print_tasks(tasks: Vec<Task>) {
    let mut table = Table::new(&["TASK", "STATE", "AGENT", "ADDRESS", "STARTED"]);
    for task in tasks {
        let addresses: Vec<String> =
            task.ports.iter().map(|port| format!("{}:{port}", task.host)).collect();
        let started = task.started_at.unwrap_or_default();
        table.row(vec![task.id, task.state, task.host, addresses.join(" "), started]);
    }
    table.print("no tasks");
}
