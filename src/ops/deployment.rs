//! Follows a deployment to its end, and shows how it goes.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::events::Events;
use super::table::{colours, painted};
use super::{Api, Failure};

/// Where progress goes: nowhere when the answer is for a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    Shown,
    Silent,
}

/// Watches a change from before it is made, so that nothing of it is missed.
pub(crate) struct Follower {
    events: Events,
    progress: Progress,
    began: Instant,
}

impl Follower {
    /// To be called before the change.
    pub(crate) async fn start(marathon: &Api, progress: Progress) -> Result<Self, Failure> {
        Ok(Self { events: Events::open(marathon).await?, progress, began: Instant::now() })
    }

    /// Shows the deployment's steps and its tasks' states until it has ended.
    pub(crate) async fn follow(mut self, marathon: &Api, id: &str) -> Result<(), Failure> {
        let mut apps = BTreeSet::new();
        let mut step = 0;
        loop {
            let Some(event) = self.events.next().await? else {
                self.reopen(marathon).await?;
                if !is_running(marathon, id).await? {
                    break;
                }
                continue;
            };
            match event["eventType"].as_str().unwrap_or_default() {
                "deployment_info" if event["plan"]["id"] == id => {
                    step += 1;
                    self.say_step(step, &event, &mut apps);
                }
                "status_update_event" if apps.contains(text(&event["appId"])) => {
                    self.say_status(&event);
                }
                "deployment_success" if event["id"] == id => break,
                "deployment_failed" if event["id"] == id => {
                    let reason =
                        event["reason"].as_str().unwrap_or("it was cancelled or overridden");
                    return Err(Failure::new(format!("deployment {id} failed: {reason}")));
                }
                _ => {}
            }
        }
        self.say(&format!("deployment {id} done in {}", shown(self.began.elapsed())));
        Ok(())
    }

    async fn reopen(&mut self, marathon: &Api) -> Result<(), Failure> {
        self.events = Events::open(marathon).await?;
        Ok(())
    }

    fn say_step(&self, step: usize, event: &Value, apps: &mut BTreeSet<String>) {
        let total = event["plan"]["steps"].as_array().map_or(0, Vec::len);
        let actions = event["currentStep"]["actions"].as_array().into_iter().flatten();
        let actions: Vec<String> = actions
            .map(|action| {
                let app = text(&action["app"]);
                apps.insert(app.to_owned());
                format!("{} {app}", text(&action["action"]))
            })
            .collect();
        self.say(&format!("  step {step}/{total}  {}", actions.join(", ")));
    }

    fn say_status(&self, event: &Value) {
        let state = text(&event["taskStatus"]);
        let ports = event["ports"].as_array().into_iter().flatten();
        let ports: Vec<String> = ports.map(|port| format!(":{port}")).collect();
        let message = Some(text(&event["message"])).filter(|text| !text.is_empty());
        self.say(&format!(
            "    {}  {}  {}{}{}",
            painted(state, colours()),
            text(&event["taskId"]),
            text(&event["host"]),
            ports.join(","),
            message.map(|message| format!("  {message}")).unwrap_or_default()
        ));
    }

    fn say(&self, line: &str) {
        if self.progress == Progress::Shown {
            println!("{line}");
        }
    }
}

/// A time as a person reads it: `38 ms`, `1.5 s`.
fn shown(took: Duration) -> String {
    match took.as_secs_f64() {
        seconds if seconds < 1.0 => format!("{:.0} ms", seconds * 1e3),
        seconds => format!("{seconds:.1} s"),
    }
}

async fn is_running(marathon: &Api, id: &str) -> Result<bool, Failure> {
    let running: Value = marathon.get("/v2/deployments").await?;
    Ok(running.as_array().into_iter().flatten().any(|deployment| deployment["id"] == id))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
