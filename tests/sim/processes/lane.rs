//! One of a driver's two queues of calls: they are sent one after the other, and again when that
//! can do no harm. The SDK's lane without its sockets.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use meros_proto::v1::scheduler::Call;
use meros_proto::v1::scheduler::call::Type;
use meros_sdk::driver::answer::{self, ToCall};
use meros_sdk::driver::machine::Input;
use meros_sdk::driver::{CallFailed, CallFailure, Link};
use rand::RngExt;

use super::master::MASTER;
use crate::kernel::Kernel;
use crate::network::{ConnId, Node, Packet};
use crate::schedule::Timer;
use crate::wire;

const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_LAST: Duration = Duration::from_secs(1);
const TRIES_MAX: u32 = 6;
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// A call, and the subscription that it was meant for.
#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) epoch: u64,
    pub(crate) call: Call,
}

#[derive(Debug)]
struct Current {
    queued: Queued,
    stream_id: String,
    body: Bytes,
    /// Names this sending of it.
    number: u64,
    tries: u32,
    ceiling: Duration,
    /// It is on its way, not waiting to be sent again.
    sent: bool,
}

/// A queue and what is on its way.
#[derive(Debug)]
pub(crate) struct Lane {
    node: Node,
    index: usize,
    queue: VecDeque<Queued>,
    current: Option<Current>,
    conn: Option<ConnId>,
    numbers: u64,
}

impl Lane {
    pub(crate) fn new(node: Node, index: usize) -> Self {
        Self { node, index, queue: VecDeque::new(), current: None, conn: None, numbers: 0 }
    }

    /// Calls that were taken and not answered.
    pub(crate) fn unanswered(&self) -> usize {
        self.queue.len() + usize::from(self.current.is_some())
    }

    pub(crate) fn push(&mut self, queued: Queued) {
        self.queue.push_back(queued);
    }

    pub(crate) fn owns(&self, conn: ConnId) -> bool {
        self.conn == Some(conn)
    }

    /// Sends what is next. What the machine must know comes into `told`.
    pub(crate) fn pump(
        &mut self,
        kernel: &mut Kernel,
        link: Option<&Link>,
        told: &mut VecDeque<Input>,
    ) {
        while self.current.is_none() {
            let Some(queued) = self.queue.pop_front() else { return };
            let Some(link) = link.filter(|link| link.epoch == queued.epoch) else {
                told.extend(given_up(queued));
                continue;
            };
            if queued.call.r#type() == Type::Teardown {
                told.push_back(Input::TearingDown { attempt: queued.epoch });
            }
            self.current = Some(Current {
                body: wire::encoded(&queued.call),
                stream_id: link.stream_id.clone(),
                queued,
                number: 0,
                tries: 0,
                ceiling: RETRY_FIRST,
                sent: false,
            });
            self.send(kernel);
        }
    }

    fn send(&mut self, kernel: &mut Kernel) {
        let Some(current) = &mut self.current else { return };
        self.numbers += 1;
        current.number = self.numbers;
        current.sent = true;
        let packet = Packet::Call {
            number: current.number,
            stream_id: current.stream_id.clone(),
            body: current.body.clone(),
        };
        match self.conn {
            Some(conn) => kernel.send(conn, self.node, packet),
            None => self.conn = Some(kernel.open(self.node, MASTER, packet)),
        }
        let overdue = Timer::LaneOverdue { lane: self.index, number: current.number };
        kernel.after(ANSWER_WITHIN, self.node, overdue);
    }

    /// The subscription is another, or gone: calls of the one before are given up.
    pub(crate) fn link_changed(
        &mut self,
        kernel: &mut Kernel,
        link: Option<&Link>,
        told: &mut VecDeque<Input>,
    ) {
        let Some(current) = &self.current else { return };
        let is_teardown = current.queued.call.r#type() == Type::Teardown;
        let is_over = match link {
            Some(link) => link.epoch != current.queued.epoch,
            None => !is_teardown,
        };
        if !is_over {
            return;
        }
        if let Some(Current { queued, sent, .. }) = self.current.take() {
            if sent {
                self.hang_up(kernel);
            }
            told.extend(given_up(queued));
        }
    }

    fn hang_up(&mut self, kernel: &mut Kernel) {
        if let Some(conn) = self.conn.take() {
            kernel.close(conn, self.node);
        }
    }

    /// The master answered.
    pub(crate) fn answered(
        &mut self,
        kernel: &mut Kernel,
        number: u64,
        status: u16,
        text: &str,
        told: &mut VecDeque<Input>,
    ) {
        if self.current.as_ref().is_none_or(|current| current.number != number) {
            return;
        }
        let meaning = ToCall::of(status, text);
        if meaning == ToCall::Busy {
            return self.wait(kernel);
        }
        let Some(Current { queued: Queued { epoch, call }, .. }) = self.current.take() else {
            return;
        };
        let kind = call.r#type();
        match (meaning, kind) {
            (ToCall::Taken, Type::Teardown) => told.push_back(Input::TornDown { attempt: epoch }),
            (ToCall::Taken, Type::UpdateFramework) => told.extend(changed(epoch, call, true)),
            (ToCall::Unsubscribed, Type::UpdateFramework) => {
                told.extend(changed(epoch, call, false));
            }
            (ToCall::Refused, Type::UpdateFramework) if status == 501 => {
                told.extend(changed(epoch, call, false));
            }
            (ToCall::Taken | ToCall::Busy, _) => {}
            (ToCall::Unsubscribed, _) => {
                let why = format!("{} was answered {status}: {text}", kind.as_str_name());
                told.push_back(Input::Unsubscribed { attempt: epoch, call: kind, why });
            }
            (ToCall::Refused, _) => {
                let why = CallFailure::Refused { status, message: text.to_owned() };
                told.push_back(failed(call, why));
            }
        }
    }

    /// The connection broke; `unsent` when it never came about.
    pub(crate) fn broke(&mut self, kernel: &mut Kernel, unsent: bool, told: &mut VecDeque<Input>) {
        self.conn = None;
        let Some(current) = &mut self.current else { return };
        if !current.sent {
            return;
        }
        current.tries += 1;
        let kind = current.queued.call.r#type();
        let again = unsent || answer::may_repeat(kind);
        if again && current.tries < TRIES_MAX {
            kernel.counts.add("a call was sent again");
            return self.wait(kernel);
        }
        let Some(Current { queued: Queued { epoch, call }, .. }) = self.current.take() else {
            return;
        };
        match kind {
            Type::UpdateFramework => told.extend(changed(epoch, call, false)),
            _ => told.push_back(failed(call, CallFailure::Unanswered("it broke".to_owned()))),
        }
    }

    fn wait(&mut self, kernel: &mut Kernel) {
        let Some(current) = &mut self.current else { return };
        current.sent = false;
        let delay = current.ceiling.mul_f64(kernel.chance.random());
        current.ceiling = (current.ceiling * 2).min(RETRY_LAST);
        let again = Timer::LaneRetry { lane: self.index, number: current.number };
        kernel.after(delay, self.node, again);
    }

    /// The wait is over.
    pub(crate) fn retry(&mut self, kernel: &mut Kernel, number: u64) {
        let waits = |current: &Current| current.number == number && !current.sent;
        if self.current.as_ref().is_some_and(waits) {
            self.send(kernel);
        }
    }

    /// The answer took too long.
    pub(crate) fn overdue(&mut self, kernel: &mut Kernel, number: u64, told: &mut VecDeque<Input>) {
        let is_late = |current: &Current| current.number == number && current.sent;
        if self.current.as_ref().is_some_and(is_late) {
            self.hang_up(kernel);
            self.broke(kernel, false, told);
        }
    }
}

/// The call was dropped: only what changes the framework itself must not be forgotten.
fn given_up(queued: Queued) -> Option<Input> {
    match queued.call.r#type() {
        Type::UpdateFramework => changed(queued.epoch, queued.call, false),
        _ => None,
    }
}

fn changed(epoch: u64, call: Call, taken: bool) -> Option<Input> {
    let update = Box::new(call.update_framework?);
    Some(Input::FrameworkChanged { attempt: epoch, update, taken })
}

fn failed(call: Call, why: CallFailure) -> Input {
    Input::CallFailed { failed: Box::new(CallFailed { call, why }) }
}
