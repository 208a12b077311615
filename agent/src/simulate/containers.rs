//! What takes the place of processes: containers that only pretend to run.
//!
//! Decides when each starts and how it ends; reads no clock.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::{Duration, Instant};

use meros_agent_core::exit::Exit;
use meros_agent_core::input::ContainerEvent;
use meros_proto::ids::ContainerId;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::herd::Member;
use super::terms::Terms;

const SIGTERM: i32 = 15;
const SIGKILL: i32 = 9;

/// What has become of a container, and whose it is.
pub(super) type Seen = (Member, ContainerId, ContainerEvent);

/// All pretended containers of the herd.
#[derive(Debug)]
pub(super) struct Containers {
    live: HashMap<ContainerId, Live>,
    /// What comes next of each; entries of what was changed since are skipped.
    due: BinaryHeap<Reverse<(Instant, u64, ContainerId)>>,
    /// Numbers the entries, so that equal times keep their order, and the pids.
    counted: u64,
    rng: StdRng,
}

#[derive(Debug)]
struct Live {
    member: Member,
    terms: Terms,
    /// The entry in `due` that counts.
    entry: u64,
    next: Next,
}

#[derive(Debug, Clone, Copy)]
enum Next {
    Start,
    End(Exit),
    /// It runs until somebody wants it to end.
    Nothing,
}

impl Containers {
    pub(super) fn new(seed: [u8; 32]) -> Self {
        let (live, due) = (HashMap::new(), BinaryHeap::new());
        Self { live, due, counted: 0, rng: StdRng::from_seed(seed) }
    }

    /// A container is to be started.
    pub(super) fn launch(
        &mut self,
        now: Instant,
        member: Member,
        container: ContainerId,
        terms: Terms,
    ) {
        self.live.insert(container.clone(), Live { member, terms, entry: 0, next: Next::Nothing });
        self.plan(&container, Next::Start, now + terms.start_delay);
    }

    /// A container runs already, and has for so long. Returns its first process.
    pub(super) fn adopt(
        &mut self,
        now: Instant,
        member: Member,
        container: ContainerId,
        terms: Terms,
        ran: Duration,
    ) -> u32 {
        self.live.insert(container.clone(), Live { member, terms, entry: 0, next: Next::Nothing });
        self.began(now, &container, ran);
        self.pid()
    }

    /// A container is to end: at its own pace, and after `grace` in any case.
    pub(super) fn kill(&mut self, now: Instant, container: &ContainerId, grace: Duration) {
        let Some(live) = self.live.get(container) else { return };
        let (exit, wait) = match live.terms.kill_delay {
            own if own <= grace => (Exit::Signal(SIGTERM), own),
            _ => (Exit::Signal(SIGKILL), grace),
        };
        self.plan(container, Next::End(exit), now + wait);
    }

    /// When something happens next, if nothing else is asked for.
    pub(super) fn next(&self) -> Option<Instant> {
        self.due.peek().map(|Reverse((at, ..))| *at)
    }

    /// The next thing that has happened by `now`.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Seen> {
        while let Some(Reverse((at, ..))) = self.due.peek()
            && *at <= now
        {
            let Reverse((_, entry, container)) = self.due.pop()?;
            let Some(live) = self.live.get(&container).filter(|live| live.entry == entry) else {
                continue;
            };
            let member = live.member;
            match live.next {
                Next::Start => {
                    self.began(now, &container, Duration::ZERO);
                    let event = ContainerEvent::Started { pid: self.pid() };
                    return Some((member, container, event));
                }
                Next::End(exit) => {
                    self.live.remove(&container);
                    let event = ContainerEvent::Exited { exit, overrun: None };
                    return Some((member, container, event));
                }
                Next::Nothing => {}
            }
        }
        None
    }

    /// A number that the kernel could have given; it comes again after some millions.
    fn pid(&self) -> u32 {
        const PIDS: u64 = 1 << 22;
        u32::try_from(1 + self.counted % PIDS).expect("there are fewer")
    }

    /// It runs, and has for so long: settles how it will end by itself.
    fn began(&mut self, now: Instant, container: &ContainerId, ran: Duration) {
        let Some(terms) = self.live.get(container).map(|live| live.terms) else { return };
        let fails = terms.failure_rate > 0.0 && self.rng.random::<f64>() < terms.failure_rate;
        let next = match (fails, terms.run_time) {
            (false, None) => (Next::Nothing, now),
            (false, Some(time)) => (Next::End(Exit::Code(0)), now + time.saturating_sub(ran)),
            (true, time) => {
                let left = time.unwrap_or_default().saturating_sub(ran);
                (Next::End(Exit::Code(1)), now + left)
            }
        };
        self.plan(container, next.0, next.1);
    }

    fn plan(&mut self, container: &ContainerId, next: Next, at: Instant) {
        let Some(live) = self.live.get_mut(container) else { return };
        self.counted += 1;
        live.entry = self.counted;
        live.next = next;
        if !matches!(next, Next::Nothing) {
            self.due.push(Reverse((at, self.counted, container.clone())));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn id(text: &str) -> ContainerId {
        ContainerId::parse(text).expect("an id")
    }

    /// What happens to a container that is launched at the beginning, with the second of it.
    fn life(terms: Terms, kill: Option<(u64, u64)>) -> Vec<(u64, Option<Exit>)> {
        let begin = Instant::now();
        let mut containers = Containers::new([1; 32]);
        containers.launch(begin, Member(4), id("c"), terms);
        let mut seen = Vec::new();
        for second in 0..100 {
            let now = begin + Duration::from_secs(second);
            if let Some((at, grace)) = kill
                && at == second
            {
                containers.kill(now, &id("c"), Duration::from_secs(grace));
            }
            while let Some((member, container, event)) = containers.take_due(now) {
                assert_eq!((member, container), (Member(4), id("c")));
                seen.push(match event {
                    ContainerEvent::Exited { exit, .. } => (second, Some(exit)),
                    _ => (second, None),
                });
            }
        }
        seen
    }

    #[test]
    fn a_container_starts_and_ends_when_its_terms_say() {
        let plain = Terms::default();
        let timed = Terms { start_delay: 2 * SECOND, run_time: Some(5 * SECOND), ..plain };
        assert_eq!(life(plain, None), [(0, None)]);
        assert_eq!(life(timed, None), [(2, None), (7, Some(Exit::Code(0)))]);
        let failing = Terms { failure_rate: 1.0, ..timed };
        assert_eq!(life(failing, None), [(2, None), (7, Some(Exit::Code(1)))]);
        let failing = Terms { failure_rate: 1.0, ..plain };
        assert_eq!(life(failing, None), [(0, None), (0, Some(Exit::Code(1)))]);
    }

    #[test]
    fn a_kill_is_followed_at_the_containers_pace_and_no_later_than_its_grace() {
        let timed = Terms { start_delay: SECOND, run_time: Some(50 * SECOND), ..Terms::default() };
        let (term, kill) = (Some(Exit::Signal(15)), Some(Exit::Signal(9)));
        assert_eq!(life(timed, Some((10, 3))), [(1, None), (10, term)]);
        let slow = Terms { kill_delay: 2 * SECOND, ..timed };
        assert_eq!(life(slow, Some((10, 3))), [(1, None), (12, term)]);
        assert_eq!(life(slow, Some((10, 1))), [(1, None), (11, kill)]);
        // Before it has started: it never does.
        assert_eq!(life(timed, Some((0, 3))), [(0, term)]);
        assert_eq!(life(timed, Some((60, 3))), [(1, None), (51, Some(Exit::Code(0)))]);
    }

    #[test]
    fn an_adopted_container_has_only_the_rest_of_its_time() {
        let begin = Instant::now();
        let mut containers = Containers::new([1; 32]);
        let terms = Terms { run_time: Some(5 * SECOND), ..Terms::default() };
        containers.adopt(begin, Member(0), id("long"), terms, SECOND);
        containers.adopt(begin, Member(0), id("over"), terms, 9 * SECOND);
        let seen = containers.take_due(begin).expect("its time is over");
        assert_eq!(seen.1, id("over"));
        assert_eq!(containers.take_due(begin), None);
        assert_eq!(containers.next(), Some(begin + 4 * SECOND));
    }

    #[test]
    fn as_many_fail_as_the_rate_says() {
        let begin = Instant::now();
        let mut containers = Containers::new([7; 32]);
        let terms = Terms { failure_rate: 0.25, ..Terms::default() };
        for number in 0..4_000 {
            containers.launch(begin, Member(0), id(&number.to_string()), terms);
        }
        let mut failed = 0;
        while let Some((_, _, event)) = containers.take_due(begin) {
            failed += usize::from(matches!(event, ContainerEvent::Exited { .. }));
        }
        assert!((900..1_100).contains(&failed), "{failed}");
    }
}
