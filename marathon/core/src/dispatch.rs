//! Where every input goes, and what ends a batch.

use meros_proto::machine::Core;
use meros_proto::time::{Mono, Now};

use crate::connection::Master;
use crate::input::Input;
use crate::output::{Answer, Effect};
use crate::records::Record;
use crate::state::{Marathon, Out};
use crate::timers::Timer;

impl Core for Marathon {
    type Input = Input;
    type Record = Record;
    type Effect = Effect;

    fn handle(&mut self, now: Now, input: Input, out: &mut Out) {
        match input {
            Input::Change { reply, force, change, .. } => {
                let result = self.change(now, &change, force, out);
                out.effect(Effect::Reply { to: reply, answer: Answer::Changed(result) });
            }
            Input::Kill { reply, targets, mode, .. } => {
                let result = self.kill_tasks(now, &targets, mode, out);
                out.effect(Effect::Reply { to: reply, answer: Answer::Killed(result) });
            }
            Input::CancelDeployment { reply, id, force, .. } => {
                let result = self.cancel_deployment(now, &id, force, out);
                out.effect(Effect::Reply { to: reply, answer: Answer::Changed(result) });
            }
            Input::ResetDelay { reply, app, .. } => {
                let result = self.reset_delay(&app);
                out.effect(Effect::Reply { to: reply, answer: Answer::DelayReset(result) });
            }
            Input::View { reply } => {
                let answer = Answer::View(self.view(now));
                out.effect(Effect::Reply { to: reply, answer });
            }
            Input::Registered { framework, master, region } => {
                self.registered(now, framework, Master { host: master, region }, out);
            }
            Input::Disconnected => self.disconnected(now, out),
            Input::Offers(offers) => self.offers.extend(offers),
            Input::Rescinded(offer) => self.offers.retain(|known| known.id != offer),
            Input::Probed { id, outcome } => self.probed(now, id, outcome, out),
            Input::ReadinessProbed { id, outcome } => self.readiness_probed(now, id, outcome),
            Input::Status(update) => self.status(now, update, out),
        }
    }

    fn round(&mut self, now: Now, out: &mut Out) {
        while let Some(timer) = self.timers.take_due(now.mono) {
            self.act_on(now, timer, out);
        }
        self.settle(now, out);
        self.refresh_demand(now);
        self.match_offers(now, out);
        self.settle(now, out);
        self.send_kills(now, out);
        self.revive_or_suppress(now, out);
    }

    fn deadline(&self) -> Option<Mono> {
        self.timers.next()
    }
}

impl Marathon {
    fn act_on(&mut self, now: Now, timer: Timer, out: &mut Out) {
        match timer {
            Timer::DelayOver(app) => self.delay_over(&app),
            Timer::DelayForgotten(app) => self.forget_delay(&app),
            Timer::HealthCheck(instance, at) => self.health_check_due(now, &instance, at, out),
            Timer::Readiness(instance, at) => self.readiness_due(now, &instance, at, out),
            Timer::LaunchOverdue(instance) => self.launch_overdue(now, &instance),
            Timer::Inactive(instance) => self.replace_unreachable(now, &instance, out),
            Timer::Expunge(instance) => self.give_up_unreachable(now, &instance, out),
            Timer::KillRetry(task) => self.kills.retry(task),
            Timer::Reconcile => self.reconcile(now, out),
            Timer::ScaleCheck => self.check_all_apps(now),
            Timer::RefillTokens => self.refill_tokens(),
            Timer::Revive(_) => {}
            Timer::ReviveAgain(role) => self.connection.demand.repeat(role),
        }
    }

    /// Compares every app that something happened to with what is wanted of it, until nothing is
    /// left to do.
    fn settle(&mut self, now: Now, out: &mut Out) {
        while let Some(app) = self.dirty.pop_first() {
            match self.deployments.lock_of(&app).cloned() {
                Some(deployment) => self.advance(now, &deployment, &app, out),
                None => self.keep(now, &app, out),
            }
        }
    }

    /// Has all apps looked at, though nothing happened: the net under the changes.
    fn check_all_apps(&mut self, now: Now) {
        self.timers.set(Timer::ScaleCheck, now.mono + self.config.scale_check_every);
        let apps = self.root.apps.keys().chain(self.instances.by_app().keys());
        self.dirty.extend(apps.cloned());
    }
}
