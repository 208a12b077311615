//! What every handler has at hand, and how it asks the core.

use std::sync::Arc;

use http::StatusCode;
use meros_master_core::{Answer, Input, ReplyTo};
use meros_shell::inbox::{Inbox, Refused};
use tokio_util::task::TaskTracker;

use crate::api::Authorization;
use crate::api::respond::Rejection;
use crate::api::views::Views;
use crate::identity::Identity;
use crate::metrics::{Counter, Counters};
use crate::outlets::Outlets;

/// The API of one master.
pub(crate) struct Api {
    pub(crate) identity: Arc<Identity>,
    pub(crate) inbox: Inbox<Input>,
    pub(crate) outlets: Arc<Outlets>,
    pub(crate) authorization: Authorization,
    pub(crate) counters: Arc<Counters>,
    pub(crate) views: Views,
    /// The tasks of streams and links; the role waits for them when it stops.
    pub(crate) tasks: TaskTracker,
}

impl Api {
    /// Sends the core an input that it answers, and waits for the answer.
    ///
    /// # Errors
    /// 503 when too many inputs wait already, or when the role stops.
    pub(crate) async fn ask(
        &self,
        urgent: bool,
        input: impl FnOnce(ReplyTo) -> Input,
    ) -> Result<Answer, Rejection> {
        let (to, answer) = self.outlets.expect_answer();
        let input = input(to);
        let sent = if urgent { self.inbox.send_urgent(input) } else { self.inbox.try_send(input) };
        if let Err(refused) = sent {
            self.outlets.forget_call(to);
            return Err(self.turned_away(refused));
        }
        answer.await.map_err(|_| self.turned_away(Refused::Stopped))
    }

    /// 503: the core is too busy, or stops.
    pub(crate) fn turned_away(&self, refused: Refused) -> Rejection {
        self.counters.add(Counter::CallsTurnedAway);
        Rejection::new(StatusCode::SERVICE_UNAVAILABLE, refused.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use std::sync::mpsc;

    use meros_master_core::Effect;
    use meros_master_core::registry::Op;
    use meros_plugin_api::authz::PermitAll;
    use meros_proto::ids::MasterId;
    use meros_proto::machine::{Core, Outputs};
    use meros_proto::time::{Mono, Now, Timestamp};
    use meros_shell::durable::Durable;
    use meros_shell::inbox::Bounds;
    use meros_shell::runner::Runner;

    use crate::api::views::Source;
    use crate::{Config, Flags};

    /// A core that does nothing until it is let go.
    struct Busy(mpsc::Receiver<()>);

    impl Core for Busy {
        type Input = Input;
        type Record = Op;
        type Effect = Effect;

        fn handle(&mut self, _: Now, _: Input, _: &mut Outputs<Op, Effect>) {
            // An error: the test is over.
            let _ = self.0.recv();
        }

        fn round(&mut self, _: Now, _: &mut Outputs<Op, Effect>) {}

        fn deadline(&self) -> Option<Mono> {
            None
        }
    }

    struct NoDisk;

    impl Durable for NoDisk {
        type Record = Op;

        fn commit(&mut self, _: Vec<Op>) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn api(runner: &Runner<Input>) -> Api {
        let config = Config::try_from(Flags::default()).expect("the defaults are valid");
        let id = MasterId::parse("master").expect("a valid id");
        let identity = Arc::new(Identity::new(id, &config, 5050, Timestamp::default()));
        let counters = Arc::new(Counters::new());
        let outlets = Arc::new(Outlets::new(Arc::clone(&counters)));
        let authorization = Authorization::new(Arc::new(PermitAll));
        let (views, _) = Views::start(Source {
            inbox: runner.inbox(),
            outlets: Arc::clone(&outlets),
            identity: Arc::clone(&identity),
            authorization: authorization.clone(),
            counters: Arc::clone(&counters),
            state_bytes: AtomicUsize::new(0),
        })
        .expect("a thread");
        let (inbox, tasks) = (runner.inbox(), TaskTracker::new());
        Api { identity, inbox, outlets, authorization, counters, views, tasks }
    }

    #[tokio::test]
    async fn a_core_that_is_behind_turns_calls_away_but_not_kills() {
        let (let_go, busy) = mpsc::channel();
        let bounds = Bounds { ordinary: 1, urgent: 1 };
        let runner = Runner::spawn("busy", Busy(busy), bounds, NoDisk, |_| {}).expect("threads");
        let api = api(&runner);
        let view = |reply| Input::View { reply };
        // One is being handled, which frees its place at a time of the core's choosing; one waits.
        while api.inbox.try_send(view(ReplyTo(0))).is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let rejection = api.ask(false, view).await.expect_err("the queue is full");
        assert_eq!(rejection.into_response().status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(api.inbox.send_urgent(view(ReplyTo(0))).is_ok(), "urgent inputs have room");
        let counted = api.counters.read().find(|(key, _)| key.ends_with("turned_away"));
        assert_eq!(counted, Some(("master/http_requests_turned_away", 1)));
        drop(let_go);
        runner.stop().await.expect("nothing failed");
        let rejection = api.ask(true, view).await.expect_err("the core has stopped");
        assert_eq!(rejection.into_response().status(), StatusCode::SERVICE_UNAVAILABLE);
    }
}
