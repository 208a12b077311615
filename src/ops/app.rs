//! `meros app`: long-running apps, through Marathon.

mod definitions;
mod show;

use std::path::PathBuf;

use clap::Subcommand;
use meros_sdk::http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::deployment::{Follower, Progress};
use super::listing::Listing;
use super::table::Table;
use super::{Api, Cluster, Failure, Format, number, print_json};

pub(crate) use definitions::Definitions;

/// What is asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Create the apps of JSON files, or change them where they exist
    Deploy {
        /// JSON files or folders of them: an app, or a list of apps; `-` reads standard input
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        #[command(flatten)]
        change: Change,
    },
    /// List all apps
    List(Listing),
    /// Show one app and its tasks
    Show {
        /// The app's id
        id: String,
        #[command(flatten)]
        listing: Listing,
    },
    /// Change the number of an app's instances
    Scale {
        /// The app's id
        id: String,
        /// How many instances there shall be
        instances: u32,
        #[command(flatten)]
        change: Change,
    },
    /// Replace all instances of an app
    Restart {
        /// The app's id
        id: String,
        #[command(flatten)]
        change: Change,
    },
    /// End all instances of an app and forget it
    Remove {
        /// The app's id
        id: String,
        #[command(flatten)]
        change: Change,
    },
}

/// How a change is made.
#[derive(Debug, clap::Args)]
struct Change {
    /// Override deployments that hold the app
    #[arg(long)]
    force: bool,
    /// Don't wait for the deployment's end
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    cluster: Cluster,
    #[command(flatten)]
    format: Format,
}

/// Carries out the verb.
pub(crate) async fn run(flags: Flags) -> Result<(), Failure> {
    match flags.verb {
        Verb::Deploy { files, change } => {
            let apps = Definitions::read(&files)?.into_body();
            change.make(Method::PUT, "/v2/apps", Some(&apps)).await
        }
        Verb::List(Listing { cluster, format }) => {
            list(&Api::marathon(&cluster.marathon), format).await
        }
        Verb::Show { id, listing: Listing { cluster, format } } => {
            show::run(&Api::marathon(&cluster.marathon), &path(&id), format).await
        }
        Verb::Scale { id, instances, change } => {
            let body = json!({ "instances": instances });
            let path = path(&id);
            // PUT would create an app that isn't there: from a number of instances it can't.
            change.make(Method::PATCH, &path, Some(&body)).await
        }
        Verb::Restart { id, change } => {
            change.make(Method::POST, &format!("{}/restart", path(&id)), None).await
        }
        Verb::Remove { id, change } => change.make(Method::DELETE, &path(&id), None).await,
    }
}

/// An app as the list shows it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Listed {
    id: String,
    instances: u64,
    tasks_running: u64,
    cpus: f64,
    mem: f64,
    cmd: Option<String>,
    args: Vec<String>,
    deployments: Vec<Value>,
}

#[derive(Debug, Deserialize)]
struct AppList {
    apps: Vec<Listed>,
}

async fn list(marathon: &Api, format: Format) -> Result<(), Failure> {
    if format.json {
        print_json(&marathon.get::<Value>("/v2/apps").await?["apps"]);
        return Ok(());
    }
    let mut table = Table::new(&["ID", "RUNNING", "STATE", "CPUS", "MEM", "COMMAND"]);
    for app in marathon.get::<AppList>("/v2/apps").await?.apps {
        let running = format!("{}/{}", app.tasks_running, app.instances);
        let (state, command) = (app.state().to_owned(), app.command());
        table.row(vec![app.id, running, state, number(app.cpus), number(app.mem), command]);
    }
    table.print("no apps; create one with `meros app deploy FILE`");
    Ok(())
}

impl Listed {
    fn state(&self) -> &'static str {
        if !self.deployments.is_empty() {
            "deploying"
        } else if self.instances == 0 {
            "suspended"
        } else if self.tasks_running < self.instances {
            "waiting"
        } else {
            "running"
        }
    }

    /// The command on one line of bearable length.
    fn command(&self) -> String {
        const WIDTH: usize = 60;
        let command = self.cmd.clone().unwrap_or_else(|| self.args.join(" "));
        let line = command.split_whitespace().collect::<Vec<_>>().join(" ");
        match line.char_indices().nth(WIDTH) {
            Some((end, _)) => format!("{}…", &line[..end]),
            None => line,
        }
    }
}

impl Change {
    /// Makes the change, and waits until it is carried out.
    async fn make(self, method: Method, path: &str, body: Option<&Value>) -> Result<(), Failure> {
        let marathon = Api::marathon(&self.cluster.marathon);
        // Never left out: DELETE overrides by default.
        let path = format!("{path}?force={}", self.force);
        let shown = if self.format.json { Progress::Silent } else { Progress::Shown };
        let follower = match self.no_wait {
            true => None,
            false => Some(Follower::start(&marathon, shown).await?),
        };
        let answer = marathon.call(method, &path, body).await?;
        if self.format.json {
            print_json(&answer);
        }
        let Some(id) = answer["deploymentId"].as_str() else {
            return Err(Failure::new("Marathon named no deployment"));
        };
        match follower {
            Some(follower) => follower.follow(&marathon, id).await,
            None if self.format.json => Ok(()),
            None => {
                println!("deployment {id} is under way");
                Ok(())
            }
        }
    }
}

/// The path of an app: ids may be given with or without a leading slash.
fn path(id: &str) -> String {
    format!("/v2/apps/{}", id.trim_start_matches('/'))
}
