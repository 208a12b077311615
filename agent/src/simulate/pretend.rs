//! Drives the pretended containers by the clock, and tells the herd what becomes of them.

use std::future;
use std::time::{Duration, Instant};

use meros_agent_core::Input;
use meros_agent_core::checks::{Answer, How, Probe};
use meros_agent_core::effect::Launch;
use meros_agent_core::input::ContainerEvent;
use meros_proto::ids::ContainerId;
use meros_shell::inbox::Inbox;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::containers::Containers;
use super::herd::Member;
use super::terms::Terms;

/// Orders that are taken in before the clock is looked at again.
const BATCH: usize = 1_024;

/// What a container's agent wants of it.
#[derive(Debug)]
pub(super) enum Order {
    Launch(Member, Launch),
    Kill(ContainerId, Duration),
    Look(Member, Box<Probe>),
}

/// Carries orders out until `done`.
pub(super) async fn run(
    mut containers: Containers,
    terms: Terms,
    mut orders: mpsc::UnboundedReceiver<Order>,
    inbox: Inbox<(Member, Input)>,
    done: CancellationToken,
) {
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        let next = containers.next();
        let alarm = async {
            match next {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => future::pending().await,
            }
        };
        tokio::select! {
            () = done.cancelled() => return,
            taken = orders.recv_many(&mut batch, BATCH) => if taken == 0 { return },
            () = alarm => {}
        }
        let now = Instant::now();
        for order in batch.drain(..) {
            if let Some(failed) = carry_out(&mut containers, &terms, now, order)
                && inbox.send(failed).await.is_err()
            {
                return;
            }
        }
        while let Some((member, container, event)) = containers.take_due(now) {
            if inbox.send((member, Input::Container(container, event))).await.is_err() {
                return;
            }
        }
    }
}

/// What to tell the herd at once: what a look saw, or a launch that made no sense.
fn carry_out(
    containers: &mut Containers,
    terms: &Terms,
    now: Instant,
    order: Order,
) -> Option<(Member, Input)> {
    match order {
        Order::Kill(container, grace) => containers.kill(now, &container, grace),
        // What only pretends to run is well.
        Order::Look(member, probe) => {
            let answer = match probe.how {
                How::Command => Answer::Exited(0),
                How::Http { .. } => Answer::Http(200),
                How::Tcp { .. } => Answer::Tcp(true),
            };
            return Some((member, Input::Checked { probe: probe.id, answer }));
        }
        Order::Launch(member, launch) => match terms.of_task(&launch.task.encoded) {
            Ok(terms) => containers.launch(now, member, launch.container, terms),
            Err(message) => {
                let event = ContainerEvent::LaunchFailed { message };
                return Some((member, Input::Container(launch.container, event)));
            }
        },
    }
    None
}
