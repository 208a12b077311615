//! What the author of a framework uses. The shortest way to run something on a cluster:
//!
//! ```no_run
//! use meros_sdk::run_command::{Command, run_command};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let outcome = run_command("127.0.0.1:5050", Command::new("echo hello")).await?;
//! println!("{} on {}", outcome.state.as_str_name(), outcome.hostname);
//! # Ok(())
//! # }
//! ```
//!
//! A scheduler of one's own says what it wants of offers, and what it makes of updates:
//!
//! ```no_run
//! use meros_proto::{ids::TaskId, resources::{Resources, Role}, v1};
//! use meros_sdk::{matching::Want, offers::Offer};
//! use meros_sdk::scheduler::{Cluster, Handler, HandlerResult, Scheduler, command_task};
//!
//! struct Sweepers { started: u64, wanted: u64 }
//!
//! impl Handler for Sweepers {
//!     async fn offers(&mut self, cluster: &mut Cluster, offers: Vec<Offer>) -> HandlerResult {
//!         let resources = Resources::parse("cpus:0.1;mem:32", &Role::star())?;
//!         let want = Want { resources, ..Want::default() };
//!         for offer in offers {
//!             let Ok(fit) = want.try_offer(&offer, &[]) else { continue }; // declined by being dropped
//!             if self.started == self.wanted { continue }
//!             self.started += 1;
//!             let id = TaskId::parse(&format!("sweeper-{}", self.started))?;
//!             let task = command_task(&id, &offer, &fit.resources, "sweep");
//!             cluster.launch(offer, vec![task]).await?;
//!         }
//!         cluster.want(self.wanted - self.started);
//!         Ok(())
//!     }
//!     async fn update(&mut self, _: &mut Cluster, status: &v1::TaskStatus) -> HandlerResult {
//!         println!("{}", status.state().as_str_name()); // acknowledged once this returns Ok
//!         Ok(())
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut sweepers = Sweepers { started: 0, wanted: 3 };
//! Scheduler::ephemeral("127.0.0.1:5050", "sweepers").run(&mut sweepers).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Four levels, each usable alone and each made of the one below: [`mod@run_command`]; a
//! [`scheduler`] with a handler; its parts ([`offers`], [`matching`], [`updates`], [`reconcile`],
//! [`state`]), which decide but speak to nobody; and the [`driver`], one subscription with its
//! calls and events, which Marathon builds on. [`http`] is the client below them all, and
//! [`testing`] a master for tests.
//!
//! Everything goes over the Mesos v1 scheduler API: a framework made with this runs on Mesos too.

pub mod run_command;
pub mod scheduler;

pub mod matching;
pub mod offers;
pub mod reconcile;
pub mod state;
pub mod updates;

pub mod driver;
pub mod http;

pub mod testing;

mod backoff;
mod clock;
