//! What waits to be launched: every scheduled instance, unless its app's launches are delayed.
//!
//! The queue holds no list of its own: it is the index of scheduled instances. What it adds is
//! `backoff`, a bound on launches under way, and what is shown of both.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use meros_proto::time::{Now, Timestamp};

use crate::apps::AppSpec;
use crate::offers::explain::OfferStats;
use crate::output::ChangeError;
use crate::path_id::PathId;
use crate::placement::Rules;
use crate::state::Marathon;
use crate::timers::Timer;
use crate::version::Version;
use crate::view::DelayLeft;

pub(crate) mod backoff;

use backoff::Delays;

/// What an app has waiting.
#[derive(Debug, Clone)]
pub struct QueueItem {
    /// The app's definition: the current one, or the last if it is being removed.
    pub app: Arc<AppSpec>,
    /// How many instances are left to launch.
    pub count: usize,
    /// Why they aren't launched yet, if not for lack of offers.
    pub delay: Option<DelayLeft>,
    /// Since when the app has something waiting.
    pub since: Timestamp,
    /// What became of the offers since then.
    pub stats: Arc<OfferStats>,
}

/// Delays, launch tokens and what became of offers.
#[derive(Debug)]
pub(crate) struct LaunchQueue {
    pub(crate) delays: Delays,
    /// By app, since it last had nothing waiting.
    pub(crate) stats: BTreeMap<PathId, (Timestamp, Arc<OfferStats>)>,
    /// The constraints of apps that something waits of, read.
    rules: BTreeMap<PathId, (Version, Arc<Rules>)>,
    pub(crate) tokens: u64,
}

impl LaunchQueue {
    pub(crate) fn new(tokens: u64) -> Self {
        Self { delays: Delays::default(), stats: BTreeMap::new(), rules: BTreeMap::new(), tokens }
    }

    /// The constraints of an app. Read once for each of its versions: patterns are costly.
    pub(crate) fn rules_of(&mut self, spec: &AppSpec) -> Arc<Rules> {
        match self.rules.get(&spec.id) {
            Some((version, rules)) if *version == spec.version => Arc::clone(rules),
            _ => {
                let rules = Arc::new(Rules::of(spec));
                self.rules.insert(spec.id.clone(), (spec.version, Arc::clone(&rules)));
                rules
            }
        }
    }

    /// Forgets an app.
    pub(crate) fn forget(&mut self, app: &PathId) {
        self.stats.remove(app);
        self.rules.remove(app);
    }
}

impl Marathon {
    /// An app is about to have something waiting. If it had nothing before, what is known of
    /// offers begins anew.
    pub(crate) fn queue_begins(&mut self, now: Now, app: &PathId) {
        if self.instances.waiting(app).is_none() {
            self.queue.stats.insert(app.clone(), (now.wall, Arc::default()));
        }
    }

    /// What waits, app by app.
    pub(crate) fn queue_items(&self, now: Now) -> Vec<QueueItem> {
        let waiting = self.instances.all_waiting().iter();
        waiting
            .filter_map(|(id, waiting)| {
                let mut instances = waiting.values().flatten();
                let first = instances.next().and_then(|id| self.instances.get(id))?;
                let app = self.root.apps.get(id).unwrap_or(&first.spec);
                let (since, stats) =
                    self.queue.stats.get(id).cloned().unwrap_or((first.since, Arc::default()));
                let delay = self.queue.delays.left(now, app);
                Some(QueueItem {
                    app: Arc::clone(app),
                    count: waiting.values().map(BTreeSet::len).sum(),
                    delay,
                    since,
                    stats,
                })
            })
            .collect()
    }

    /// Lets an app's waiting instances be launched without further delay.
    pub(crate) fn reset_delay(&mut self, app: &PathId) -> Result<(), ChangeError> {
        if self.instances.waiting(app).is_none() {
            return Err(ChangeError::NotQueued(app.clone()));
        }
        self.forget_delay(app);
        Ok(())
    }

    /// A launch of an app failed, or ended too soon.
    pub(crate) fn launch_failed(&mut self, now: Now, spec: &AppSpec) {
        let times = self.queue.delays.failed(now.mono, spec);
        self.set_delay_timers(&spec.id, times);
    }

    /// A launch of an app came a step further: its delay, if it has one, begins anew.
    pub(crate) fn launch_went_on(&mut self, now: Now, spec: &AppSpec) {
        if let Some(times) = self.queue.delays.went_on(now.mono, spec) {
            self.set_delay_timers(&spec.id, times);
        }
    }

    fn set_delay_timers(&mut self, app: &PathId, times: backoff::Times) {
        self.snapshot = None;
        self.connection.demand.touch(app);
        self.timers.set(Timer::DelayOver(app.clone()), times.over);
        self.timers.set(Timer::DelayForgotten(app.clone()), times.forgotten);
    }

    /// Launches of an app may go on.
    pub(crate) fn delay_over(&mut self, app: &PathId) {
        self.snapshot = None;
        self.connection.demand.touch(app);
        let waiting = self.instances.waiting(app).into_iter().flat_map(BTreeMap::values);
        let roles: Vec<String> = waiting
            .filter_map(|instances| self.instances.get(instances.first()?))
            .map(|instance| instance.spec.role.clone())
            .collect();
        for role in roles {
            self.connection.demand.refresh(role);
        }
    }

    /// Forgets an app's delay: its next failure is its first.
    pub(crate) fn forget_delay(&mut self, app: &PathId) {
        self.timers.cancel(&Timer::DelayOver(app.clone()));
        self.timers.cancel(&Timer::DelayForgotten(app.clone()));
        if self.queue.delays.forget(app) {
            self.delay_over(app);
        }
    }

    /// A launch has come to an end, well: another may begin.
    pub(crate) fn give_token_back(&mut self) {
        if self.queue.tokens == 0 {
            self.connection.demand.refresh_all();
        }
        self.queue.tokens = self.config.launch_tokens.min(self.queue.tokens + 1);
    }

    /// Fills up the launch tokens.
    pub(crate) fn refill_tokens(&mut self) {
        if self.queue.tokens == 0 {
            self.connection.demand.refresh_all();
        }
        self.queue.tokens = self.config.launch_tokens;
    }
}
