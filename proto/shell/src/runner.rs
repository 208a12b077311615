//! The two threads of a role: one that decides, one that makes durable and then performs.
//!
//! ```text
//! Inbox ──batch──▶ core thread: handle*, round ──outputs──▶ gate thread: commit, then perform
//! ```
//!
//! While the gate syncs one batch the core handles the next; whatever gathered meanwhile is
//! committed together, with one sync.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use meros_proto::machine::{Core, Outputs};
use meros_proto::time::Mono;
use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::durable::Durable;
use crate::inbox::{Bounds, Inbox};

/// Inputs that are handled before the next round.
const BATCH_MAX: usize = 4_096;
/// Batches that may wait for the disk before the core does.
const BATCHES_AHEAD: usize = 64;

/// A running core.
#[derive(Debug)]
pub struct Runner<I> {
    inbox: Inbox<I>,
    ended: oneshot::Receiver<io::Result<()>>,
}

impl<I: Send + 'static> Runner<I> {
    /// Starts `core` on threads named after `name`.
    ///
    /// `perform` carries out one effect. It runs on the gate thread and must only queue: what may
    /// block belongs behind a queue of its own.
    ///
    /// # Errors
    /// The operating system refused a thread.
    pub fn spawn<C, D>(
        name: &str,
        core: C,
        bounds: Bounds,
        durable: D,
        perform: impl FnMut(C::Effect) + Send + 'static,
    ) -> io::Result<Self>
    where
        C: Core<Input = I, Record = D::Record> + Send + 'static,
        C::Effect: Send + 'static,
        D: Durable,
    {
        let inbox = Inbox::new(bounds);
        let (to_gate, from_core) = sync_channel(BATCHES_AHEAD);
        let (report, ended) = oneshot::channel();
        let gate_inbox = inbox.clone();
        thread::Builder::new().name(format!("{name}-gate")).spawn(move || {
            let result = release(&from_core, durable, perform);
            gate_inbox.close();
            // The role may have been dropped: then nobody asks how it ended.
            let _ = report.send(result);
        })?;
        let core_inbox = inbox.clone();
        thread::Builder::new()
            .name(format!("{name}-core"))
            .spawn(move || decide(core, &core_inbox, &to_gate))?;
        Ok(Self { inbox, ended })
    }

    /// The way in.
    pub fn inbox(&self) -> Inbox<I> {
        self.inbox.clone()
    }

    /// Takes no further inputs, lets those that wait be handled and their effects leave.
    ///
    /// # Errors
    /// As [`Runner::ended`].
    pub async fn stop(mut self) -> io::Result<()> {
        self.inbox.close();
        self.ended().await
    }

    /// Waits until the role has ended, by [`Runner::stop`] or by a failure. Call it once.
    ///
    /// # Errors
    /// Records could not be made durable, or the core panicked.
    pub async fn ended(&mut self) -> io::Result<()> {
        (&mut self.ended).await.unwrap_or_else(|_| Err(io::Error::other("the core's thread died")))
    }
}

impl<I> Drop for Runner<I> {
    fn drop(&mut self) {
        self.inbox.close();
    }
}

fn decide<C: Core>(
    mut core: C,
    inbox: &Inbox<C::Input>,
    gate: &SyncSender<Outputs<C::Record, C::Effect>>,
) {
    // The core's thread and the gate both end when the other does: a panic here closes the gate.
    let _close = CloseOnDrop(inbox);
    let clock = Clock::start();
    let mut batch = Vec::new();
    loop {
        let until = core.deadline().map(|deadline| instant_of(&clock, deadline));
        if !inbox.drain(&mut batch, BATCH_MAX, until) {
            return;
        }
        let now = clock.now();
        let mut out = Outputs::default();
        for input in batch.drain(..) {
            core.handle(now, input, &mut out);
        }
        core.round(now, &mut out);
        if !out.is_empty() && gate.send(out).is_err() {
            return;
        }
    }
}

fn instant_of(clock: &Clock, deadline: Mono) -> Instant {
    let wait = deadline.since(clock.now().mono).min(Duration::from_hours(1));
    Instant::now() + wait
}

fn release<D: Durable, E>(
    from_core: &Receiver<Outputs<D::Record, E>>,
    mut durable: D,
    mut perform: impl FnMut(E),
) -> io::Result<()> {
    while let Ok(mut outputs) = from_core.recv() {
        while let Ok(more) = from_core.try_recv() {
            outputs.records.extend(more.records);
            outputs.effects.extend(more.effects);
        }
        if !outputs.records.is_empty() {
            durable.commit(outputs.records)?;
        }
        outputs.effects.into_iter().for_each(&mut perform);
    }
    Ok(())
}

struct CloseOnDrop<'a, I>(&'a Inbox<I>);

impl<I> Drop for CloseOnDrop<'_, I> {
    fn drop(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meros_proto::time::Now;
    use std::sync::{Arc, Mutex};

    /// Records and echoes each input; wakes once, half a second after the first.
    #[derive(Default)]
    struct Echo {
        wake: Option<Mono>,
    }

    impl Core for Echo {
        type Input = u32;
        type Record = u32;
        type Effect = String;

        fn handle(&mut self, now: Now, input: u32, out: &mut Outputs<u32, String>) {
            self.wake.get_or_insert(now.mono + Duration::from_millis(50));
            out.persist(input);
            out.effect(format!("did {input}"));
        }

        fn round(&mut self, now: Now, out: &mut Outputs<u32, String>) {
            if self.wake.is_some_and(|wake| wake <= now.mono) {
                self.wake = None;
                out.effect("woke".to_owned());
            }
        }

        fn deadline(&self) -> Option<Mono> {
            self.wake
        }
    }

    type Trace = Arc<Mutex<Vec<String>>>;

    struct Disk(Trace, Option<u32>);

    impl Durable for Disk {
        type Record = u32;

        fn commit(&mut self, records: Vec<u32>) -> io::Result<()> {
            if records.iter().any(|record| Some(*record) == self.1) {
                return Err(io::Error::other("disk full"));
            }
            let mut trace = self.0.lock().expect("no panic holds it");
            trace.extend(records.iter().map(|record| format!("stored {record}")));
            Ok(())
        }
    }

    fn start(fails_at: Option<u32>) -> (Runner<u32>, Trace) {
        let trace = Trace::default();
        let effects = Arc::clone(&trace);
        let runner = Runner::spawn(
            "echo",
            Echo::default(),
            Bounds::default(),
            Disk(Arc::clone(&trace), fails_at),
            move |effect| effects.lock().expect("no panic holds it").push(effect),
        );
        (runner.expect("two threads"), trace)
    }

    #[tokio::test]
    async fn an_effect_leaves_only_after_the_records_before_it_are_durable() {
        let (runner, trace) = start(None);
        for input in 0..1_000 {
            runner.inbox().send(input).await.expect("running");
        }
        runner.stop().await.expect("no failure");
        let trace = trace.lock().expect("no panic holds it");
        let at = |text: &str| trace.iter().position(|line| line == text).expect(text);
        for input in 0..1_000 {
            assert!(at(&format!("stored {input}")) < at(&format!("did {input}")));
        }
    }

    #[tokio::test]
    async fn nothing_leaves_after_a_record_could_not_be_made_durable() {
        let (mut runner, trace) = start(Some(7));
        runner.inbox().send(7).await.expect("running");
        let error = runner.ended().await.expect_err("the disk is full");
        assert_eq!(error.to_string(), "disk full");
        assert!(runner.inbox().send(8).await.is_err());
        assert!(trace.lock().expect("no panic holds it").is_empty());
    }

    #[tokio::test]
    async fn a_deadline_wakes_the_core_without_an_input() {
        let (runner, trace) = start(None);
        runner.inbox().send(1).await.expect("running");
        let deadline = Instant::now() + Duration::from_secs(10);
        while !trace.lock().expect("no panic holds it").contains(&"woke".to_owned()) {
            assert!(Instant::now() < deadline, "the core was not woken");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
