//! The connection to the master: what becomes of it, and what is asked again when it is back.

use std::collections::BTreeSet;
use std::time::Duration;

use meros_proto::ids::FrameworkId;
use meros_proto::time::{Mono, Now};

use crate::events::EventKind;
use crate::output::{Call, Effect};
use crate::records::Record;
use crate::state::{Marathon, Out};
use crate::timers::Timer;

mod demand;

use demand::Demand;

/// How long a new connection may take to bring all news that came while there was none.
pub(crate) const SETTLES_IN: Duration = Duration::from_secs(30);

/// What is known of the master.
#[derive(Debug, Default)]
pub(crate) struct Connection {
    /// The id that the framework goes by: given once, kept for ever.
    pub(crate) framework: Option<FrameworkId>,
    /// The master, while connected.
    pub(crate) master: Option<Master>,
    /// Since when, for this process.
    up_since: Option<Mono>,
    /// Whether this process was registered before.
    registered_before: bool,
    /// The roles that the master was told of.
    pub(crate) roles: BTreeSet<String>,
    pub(crate) demand: Demand,
}

/// A master that took the subscription.
#[derive(Debug, Clone)]
pub(crate) struct Master {
    /// Its host name.
    pub(crate) host: String,
    /// Its region, where it has one.
    pub(crate) region: Option<String>,
}

impl Connection {
    /// Whether calls reach a master.
    pub(crate) fn is_up(&self) -> bool {
        self.master.is_some()
    }

    /// Whether a master has been there for so long that it has told what it knows.
    pub(crate) fn is_settled(&self, now: Mono) -> bool {
        self.is_up() && self.up_since.is_some_and(|since| now >= since + SETTLES_IN)
    }
}

impl Marathon {
    /// The master took the subscription: all that it may not know is told and asked again.
    pub(crate) fn registered(
        &mut self,
        now: Now,
        framework: FrameworkId,
        master: Master,
        out: &mut Out,
    ) {
        self.snapshot = None;
        self.connection.master = Some(master.clone());
        self.connection.up_since = Some(now.mono);
        if self.connection.framework.as_ref() != Some(&framework) {
            out.persist(Record::Framework(framework.clone()));
            self.connection.framework = Some(framework.clone());
        }
        let event = match std::mem::replace(&mut self.connection.registered_before, true) {
            true => EventKind::SchedulerReregistered { master: master.host },
            false => EventKind::SchedulerRegistered { framework, master: master.host },
        };
        self.publish(now, event, out);
        self.announce_roles(out);
        let roles = self.roles();
        self.connection.demand.start_over(roles);
        self.kills.retry_all();
        self.reconcile(now, out);
        self.timers.set(Timer::Reconcile, now.mono + self.config.reconcile_after);
        self.timers.set_once(Timer::ScaleCheck, now.mono + self.config.scale_check_every);
    }

    /// The connection is gone, and with it all offers.
    pub(crate) fn disconnected(&mut self, now: Now, out: &mut Out) {
        self.snapshot = None;
        self.offers.clear();
        if self.connection.master.take().is_some() {
            self.publish(now, EventKind::SchedulerDisconnected, out);
        }
    }

    /// Asks for the latest status of all tasks that are thought to be, and of all others that the
    /// master knows: those are strays, and are killed when they turn up.
    pub(crate) fn reconcile(&mut self, now: Now, out: &mut Out) {
        self.timers.set(Timer::Reconcile, now.mono + self.config.reconcile_every);
        if !self.connection.is_up() {
            return;
        }
        let known = self.instances.all().filter_map(|instance| instance.task.as_ref());
        let tasks: Vec<_> =
            known.map(|task| (task.id.clone(), Some(task.agent.id.clone()))).collect();
        if !tasks.is_empty() {
            out.effect(Effect::Call(Call::Reconcile { tasks }));
        }
        out.effect(Effect::Call(Call::Reconcile { tasks: Vec::new() }));
    }

    /// Subscribes to the roles of new apps. Roles are never given up while connected: offers of
    /// them may be under way.
    pub(crate) fn announce_roles(&mut self, out: &mut Out) {
        let of_apps = self.root.apps.values().map(|spec| &spec.role);
        let missing: BTreeSet<String> =
            of_apps.filter(|role| !self.connection.roles.contains(*role)).cloned().collect();
        if missing.is_empty() || !self.connection.is_up() {
            return;
        }
        self.connection.roles.extend(missing);
        let roles: Vec<String> = self.connection.roles.iter().cloned().collect();
        let suppressed = self.connection.demand.suppressed();
        out.effect(Effect::Call(Call::ChangeRoles { roles, suppressed }));
    }
}

#[cfg(test)]
mod tests {
    use meros_proto::caller::Caller;
    use meros_proto::machine::{Core, Outputs};
    use std::sync::Arc;

    use super::*;
    use crate::apps::tests::app;
    use crate::config::Config;
    use crate::input::{Expect, Input, PutApp, ReplyTo, RootChange};
    use crate::output::Answer;

    /// What a batch of inputs makes Marathon call, its records and its events.
    fn batch(
        marathon: &mut Marathon,
        inputs: Vec<Input>,
    ) -> (Vec<Call>, Vec<Record>, Vec<EventKind>) {
        let mut out = Outputs::default();
        for input in inputs {
            marathon.handle(Now::default(), input, &mut out);
        }
        marathon.round(Now::default(), &mut out);
        let (mut calls, mut events) = (Vec::new(), Vec::new());
        for effect in out.effects {
            match effect {
                Effect::Call(call) => calls.push(call),
                Effect::Publish(event) => events.push(event.kind),
                Effect::Reply { answer: Answer::Changed(result), .. } => drop(result.unwrap()),
                other => panic!("{other:?}"),
            }
        }
        (calls, out.records, events)
    }

    fn registered() -> Input {
        let framework = FrameworkId::parse("f").unwrap();
        Input::Registered { framework, master: "m".into(), region: None }
    }

    fn put(name: &str, role: &str) -> Input {
        let mut spec = app(name, 1);
        spec.role = role.into();
        let put = PutApp { spec: Arc::new(spec), expect: Expect::Absent };
        let change = RootChange::PutApps(vec![put]);
        Input::Change { caller: Caller::default(), reply: ReplyTo(1), force: false, change }
    }

    fn roles(roles: &[&str]) -> Vec<String> {
        roles.iter().map(|role| (*role).to_owned()).collect()
    }

    #[test]
    fn an_idle_marathon_asks_for_all_tasks_and_wants_no_offers() {
        let mut marathon = Marathon::new(Config::default(), 1);
        marathon.connection.roles = marathon.roles();
        let (calls, records, events) = batch(&mut marathon, vec![registered()]);
        let all = Call::Reconcile { tasks: Vec::new() };
        assert_eq!(calls, [all.clone(), Call::Suppress { roles: roles(&["*"]) }]);
        assert_eq!(records, [Record::Framework(FrameworkId::parse("f").unwrap())]);
        assert!(matches!(events[..], [EventKind::SchedulerRegistered { .. }]));

        let (calls, records, events) =
            batch(&mut marathon, vec![Input::Disconnected, Input::Disconnected, registered()]);
        assert_eq!(calls, [all, Call::Suppress { roles: roles(&["*"]) }]);
        assert_eq!(records, [], "the id is known");
        let again = EventKind::SchedulerReregistered { master: "m".into() };
        assert_eq!(events, [EventKind::SchedulerDisconnected, again]);
    }

    #[test]
    fn a_role_is_announced_once_and_revived_when_something_waits_for_it() {
        let mut marathon = Marathon::new(Config::default(), 1);
        marathon.connection.roles = marathon.roles();
        // Nothing can be told while there is no connection.
        assert_eq!(batch(&mut marathon, vec![put("/a", "dev")]).0, []);
        let (calls, ..) = batch(&mut marathon, vec![registered()]);
        let change = Call::ChangeRoles { roles: roles(&["*", "dev"]), suppressed: Vec::new() };
        assert_eq!(calls[0], change);
        let revive = Call::Revive { roles: roles(&["dev"]) };
        let suppress = Call::Suppress { roles: roles(&["*"]) };
        assert_eq!(calls[calls.len() - 2..], [revive, suppress]);
        let (calls, ..) = batch(&mut marathon, vec![put("/b", "*")]);
        assert_eq!(calls, [Call::Revive { roles: roles(&["*"]) }]);
        assert_eq!(batch(&mut marathon, Vec::new()).0, [], "nothing is new");
        let (calls, ..) = batch(&mut marathon, vec![Input::Disconnected, registered()]);
        assert_eq!(calls[1..], [Call::Revive { roles: roles(&["*", "dev"]) }]);
    }
}
