//! As many questions at once as are allowed; the others wait their turn.
//!
//! Asking only queues, so the core's effects never wait for a task that is slow to answer.

use std::collections::VecDeque;

use meros_marathon_core::health::{
    Probe, ProbeOutcome, ProbeTarget, ReadinessOutcome, ReadinessProbe,
};
use meros_marathon_core::input::Input;
use meros_shell::client::trust;
use meros_shell::inbox::Inbox;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{http, tcp};

/// Questions that may wait, where nobody says otherwise. The core has only a few of each check of
/// each task under way, so that tens of thousands of tasks must be slow to answer at the same time.
const WAITING_MAX: usize = 65_536;

/// How much is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Questions under way.
    at_once_max: usize,
    /// Questions that wait. What is beyond is answered without being asked.
    waiting_max: usize,
}

impl Limits {
    /// At most so many under way; at least one.
    pub(crate) fn at_once(max: usize) -> Self {
        Self { at_once_max: max.max(1), waiting_max: WAITING_MAX }
    }
}

/// What is to be asked.
#[derive(Debug)]
pub(crate) enum Question {
    /// Whether a task works.
    Health(Probe),
    /// Whether a task is ready.
    Readiness(ReadinessProbe),
}

/// The way to the prober. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Prober {
    /// Without a bound of its own: the other end takes everything in at once, and has one.
    questions: mpsc::UnboundedSender<Question>,
}

impl Prober {
    /// A way to a prober, and the end that [`run`] is to be given.
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<Question>) {
        let (questions, asked) = mpsc::unbounded_channel();
        (Self { questions }, asked)
    }

    /// Has a question asked. The answer comes as an input of the core.
    pub(crate) fn ask(&self, question: Question) {
        // When the prober has ended, so has the core soon.
        let _ = self.questions.send(question);
    }
}

/// Asks what is `asked`, within `limits`, and tells the answers to the core behind `inbox`, until
/// `shutdown`.
pub(crate) async fn run(
    mut asked: mpsc::UnboundedReceiver<Question>,
    inbox: Inbox<Input>,
    limits: Limits,
    shutdown: CancellationToken,
) {
    let tls = trust::any();
    let mut waiting = VecDeque::new();
    let mut under_way = JoinSet::new();
    let mut turned_away = JoinSet::new();
    loop {
        while under_way.len() < limits.at_once_max
            && let Some(question) = waiting.pop_front()
        {
            under_way.spawn(tell(inbox.clone(), answer(tls.clone(), question)));
        }
        tokio::select! {
            question = asked.recv() => match question {
                None => return,
                Some(question) if waiting.len() < limits.waiting_max => waiting.push_back(question),
                Some(question) => {
                    warn!("a health check was left out: too many wait");
                    turned_away.spawn(tell(inbox.clone(), async { not_asked(question) }));
                }
            },
            Some(_) = under_way.join_next() => {}
            Some(_) = turned_away.join_next() => {}
            () = shutdown.cancelled() => return,
        }
    }
}

async fn tell(inbox: Inbox<Input>, answer: impl Future<Output = Input>) {
    // It is refused only by a core that has stopped.
    let _ = inbox.send(answer.await).await;
}

async fn answer(tls: TlsConnector, question: Question) -> Input {
    match question {
        Question::Health(Probe { id, target, timeout }) => {
            let outcome = match target {
                ProbeTarget::Http { url, ignore_1xx } => {
                    http::check(&tls, &url, ignore_1xx, timeout).await
                }
                ProbeTarget::Tcp { host, port } => tcp::check(&host, port, timeout).await,
            };
            Input::Probed { id, outcome }
        }
        Question::Readiness(ReadinessProbe { id, url, timeout, keep_body }) => {
            let outcome = http::ready(&tls, &url, keep_body, timeout).await;
            Input::ReadinessProbed { id, outcome }
        }
    }
}

/// The answer to a question that there is no room for.
fn not_asked(question: Question) -> Input {
    match question {
        Question::Health(Probe { id, .. }) => Input::Probed { id, outcome: ProbeOutcome::Ignored },
        Question::Readiness(ReadinessProbe { id, .. }) => Input::ReadinessProbed {
            id,
            outcome: ReadinessOutcome::Failed { cause: "too many checks wait".to_owned() },
        },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::convert::Infallible;
    use std::time::Duration;

    use meros_marathon_core::health::ProbeId;
    use meros_proto::machine::{Core, Outputs};
    use meros_proto::time::{Mono, Now};
    use meros_shell::durable::NoRecords;
    use meros_shell::inbox::Bounds;
    use meros_shell::runner::Runner;
    use tokio::net::TcpListener;

    use super::*;

    /// A core that passes on what it is told.
    struct Echo;

    impl Core for Echo {
        type Input = Input;
        type Record = Infallible;
        type Effect = Input;

        fn handle(&mut self, _: Now, input: Input, out: &mut Outputs<Infallible, Input>) {
            out.effect(input);
        }

        fn round(&mut self, _: Now, _: &mut Outputs<Infallible, Input>) {}

        fn deadline(&self) -> Option<Mono> {
            None
        }
    }

    struct World {
        prober: Prober,
        told: mpsc::UnboundedReceiver<Input>,
        _core: Runner<Input>,
    }

    fn world(limits: Limits) -> World {
        let (tell, told) = mpsc::unbounded_channel();
        let perform = move |input| drop(tell.send(input));
        let core = Runner::spawn("echo", Echo, Bounds::default(), NoRecords, perform);
        let core = core.expect("there are threads");
        let (prober, asked) = Prober::new();
        tokio::spawn(run(asked, core.inbox(), limits, CancellationToken::new()));
        World { prober, told, _core: core }
    }

    impl World {
        /// Asks for health at a place that takes the connection and says nothing.
        fn ask(&self, id: u64, port: u16, timeout: Duration) {
            let url = format!("http://127.0.0.1:{port}/");
            let target = ProbeTarget::Http { url, ignore_1xx: false };
            self.prober.ask(Question::Health(Probe { id: ProbeId(id), target, timeout }));
        }

        async fn told(&mut self) -> (u64, ProbeOutcome) {
            match self.told.recv().await.expect("the core runs") {
                Input::Probed { id, outcome } => (id.0, outcome),
                other => panic!("{other:?}"),
            }
        }
    }

    async fn silent() -> (TcpListener, u16) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        (listener, port)
    }

    #[tokio::test]
    async fn every_question_is_answered_once_though_only_some_are_asked_at_once() {
        let (listener, port) = silent().await;
        let mut world = world(Limits::at_once(2));
        for id in 0..5 {
            world.ask(id, port, Duration::from_millis(300));
        }
        let mut held = Vec::new();
        for _ in 0..2 {
            held.push(listener.accept().await.expect("a question"));
        }
        let third = tokio::time::timeout(Duration::from_millis(100), listener.accept()).await;
        assert!(third.is_err(), "the third waits until one of the first is answered");
        let mut ids = BTreeSet::new();
        for _ in 0..5 {
            let (id, outcome) = world.told().await;
            assert!(matches!(outcome, ProbeOutcome::Unhealthy { .. }), "{outcome:?}");
            assert!(ids.insert(id), "{id} was answered twice");
        }
        assert_eq!(ids, (0..5).collect());
    }

    #[tokio::test]
    async fn what_there_is_no_room_for_is_answered_without_being_asked() {
        let (_listener, port) = silent().await;
        let mut world = world(Limits { at_once_max: 1, waiting_max: 1 });
        for id in 0..4 {
            world.ask(id, port, Duration::from_secs(60));
        }
        let readiness = ReadinessProbe {
            id: ProbeId(4),
            url: format!("http://127.0.0.1:{port}/"),
            timeout: Duration::from_secs(60),
            keep_body: false,
        };
        world.prober.ask(Question::Readiness(readiness));
        let mut left_out = BTreeSet::new();
        for _ in 0..3 {
            match world.told.recv().await.expect("the core runs") {
                Input::Probed { id, outcome: ProbeOutcome::Ignored } => left_out.insert(id.0),
                Input::ReadinessProbed { id, outcome: ReadinessOutcome::Failed { .. } } => {
                    left_out.insert(id.0)
                }
                other => panic!("{other:?}"),
            };
        }
        assert_eq!(left_out, BTreeSet::from([2, 3, 4]));
    }
}
