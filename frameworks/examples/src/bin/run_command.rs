//! Runs one command on the cluster, prints the states it goes through, and exits as it did.
//!
//!     cargo run -p meros-examples --bin run_command -- 127.0.0.1:5050 'echo hello'

use std::{env::args, io::stderr, process::ExitCode};

use anyhow::Context;
use meros_proto::resources::{Resources, Role};
use meros_proto::{ids::TaskId, task_state::is_terminal, v1};
use meros_sdk::scheduler::{Cluster, Handler, HandlerResult, Scheduler, command_task};
use meros_sdk::{matching::Want, offers::Offer};
use tracing_subscriber::filter::LevelFilter;

const USAGE: &str = "usage: run_command MASTER:PORT COMMAND";

struct RunCommand {
    command: String,
    launched: bool,
    last: v1::TaskState,
}

impl Handler for RunCommand {
    async fn offers(&mut self, cluster: &mut Cluster, offers: Vec<Offer>) -> HandlerResult {
        let resources = Resources::parse("cpus:0.1;mem:32", &Role::star())?;
        let want = Want { resources, ..Want::default() };
        for offer in offers {
            match want.try_offer(&offer, &[]) {
                Ok(fit) if !self.launched => {
                    println!("launching on {}", offer.site().hostname);
                    let id = TaskId::parse("run-command")?;
                    let task = command_task(&id, &offer, &fit.resources, &self.command);
                    cluster.launch(offer, vec![task]).await?;
                    self.launched = true;
                    cluster.want(0);
                }
                Ok(_) => {} // Dropped, so declined.
                Err(reasons) => println!("{}: {}", offer.site().hostname, reasons[0]),
            }
        }
        Ok(())
    }

    async fn update(&mut self, cluster: &mut Cluster, status: &v1::TaskStatus) -> HandlerResult {
        self.last = status.state();
        println!("{} {}", self.last.as_str_name(), status.message());
        if is_terminal(self.last) {
            cluster.finish();
        }
        Ok(())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    tracing_subscriber::fmt().with_max_level(LevelFilter::WARN).with_writer(stderr).init();
    let (master, command) = args().skip(1).zip(args().skip(2)).next().context(USAGE)?;
    let mut run = RunCommand { command, launched: false, last: v1::TaskState::TaskStaging };
    Scheduler::ephemeral(&master, "run-command").run(&mut run).await?;
    Ok(if run.last == v1::TaskState::TaskFinished { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
