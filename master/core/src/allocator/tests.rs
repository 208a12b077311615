//! The allocator by itself: fairness, and what a round looks at.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use meros_proto::resources::{Resources, Role};
use meros_proto::time::{Mono, Now, Timestamp};

use crate::allocator::{Allocator, AllocatorInput, NewOffer, Return, Settings};
use crate::arena::{AgentIx, Dense, FrameworkIx};
use crate::model::Capabilities;

fn resources(text: &str) -> Resources {
    Resources::parse(text, &Role::star()).expect("resources of a test")
}

fn role(name: &str) -> Role {
    Role::parse(name).expect("a role of a test")
}

/// An allocator, and the clock that a test turns.
struct Bench {
    allocator: Allocator,
    now: Now,
}

impl Bench {
    fn new() -> Self {
        let settings = Settings {
            interval: Duration::from_secs(1),
            release_quiet: Duration::from_millis(5),
            release_held_max: Duration::from_millis(20),
            min_allocatable: Vec::new(),
            filter_gpu_resources: true,
        };
        let now = Now { mono: Mono::from_nanos(1), wall: Timestamp::default() };
        Self { allocator: Allocator::new(settings, 7), now }
    }

    fn tell(&mut self, input: AllocatorInput) {
        self.allocator.handle(self.now, input);
    }

    fn agent(&mut self, number: u32, total: &str) -> AgentIx {
        let agent = AgentIx::of(number);
        let total = resources(total);
        self.tell(AllocatorInput::AgentAdded {
            agent,
            total,
            multi_role: true,
            hierarchical_role: true,
        });
        self.tell(AllocatorInput::AgentActivated { agent });
        agent
    }

    fn framework(&mut self, number: u32, name: &str) -> FrameworkIx {
        let framework = FrameworkIx::of(number);
        self.tell(AllocatorInput::FrameworkDescribed {
            framework,
            name: format!("{number:06}"),
            roles: vec![role(name)],
            suppressed: BTreeSet::new(),
            capabilities: Capabilities::default(),
            min_allocatable: BTreeMap::new(),
        });
        self.tell(AllocatorInput::FrameworkActivated { framework });
        framework
    }

    #[track_caller]
    fn round(&mut self) -> Vec<NewOffer> {
        let mut offers = Vec::new();
        self.allocator.round(self.now, &mut offers);
        if let Some(broken) = self.allocator.broken_invariant() {
            panic!("{broken}");
        }
        offers
    }

    fn wait(&mut self, time: Duration) {
        self.now.mono = self.now.mono + time;
    }

    /// Uses `task` of an offer, and leaves the rest over for no time.
    fn launch(&mut self, offer: NewOffer, task: &Resources) -> bool {
        let mut rest = offer.resources.unallocated();
        let fits = rest.try_subtract(task);
        let resources = rest.allocated_to(&offer.role);
        self.give_back(NewOffer { resources, ..offer }, Duration::ZERO);
        fits
    }

    fn give_back(&mut self, offer: NewOffer, refuse_for: Duration) {
        self.tell(AllocatorInput::Returned {
            framework: offer.framework,
            role: offer.role,
            agent: offer.agent,
            resources: offer.resources,
            why: Return::LeftOver { refuse_for },
        });
    }
}

/// The example of the paper (Ghodsi et al., "Dominant Resource Fairness", NSDI 2011, section 4.1):
/// of 9 CPUs and 18 GB, A with tasks of <1 CPU, 4 GB> runs three, B with <3 CPUs, 1 GB> two.
#[test]
fn dominant_shares_are_equalised_as_in_the_paper() {
    for names in [("*", "*"), ("a", "b"), ("eng/a", "eng/b"), ("b", "a")] {
        let mut bench = Bench::new();
        bench.agent(0, "cpus:9;mem:18");
        let a = bench.framework(0, names.0);
        bench.framework(1, names.1);
        let (task_a, task_b) = (resources("cpus:1;mem:4"), resources("cpus:3;mem:1"));
        let (mut runs_a, mut runs_b) = (0, 0);
        for _ in 0..20 {
            for offer in bench.round() {
                let of_a = offer.framework == a;
                let launched = bench.launch(offer, if of_a { &task_a } else { &task_b });
                *(if of_a { &mut runs_a } else { &mut runs_b }) += u32::from(launched);
            }
            bench.wait(Duration::from_secs(1));
        }
        assert_eq!((runs_a, runs_b), (3, 2), "{names:?}");
    }
}

#[test]
fn weights_divide_the_cluster_in_their_proportion() {
    let mut bench = Bench::new();
    for number in 0..30 {
        bench.agent(number, "cpus:1;mem:1");
    }
    let weights = std::sync::Arc::new([(role("gold"), 2.0)].into());
    bench.tell(AllocatorInput::WeightsChanged { weights });
    let gold = bench.framework(0, "gold");
    bench.framework(1, "lead");
    let offers = bench.round();
    let won = offers.iter().filter(|offer| offer.framework == gold).count();
    assert_eq!((won, offers.len()), (20, 30));
}

#[test]
fn a_round_without_a_change_looks_at_nothing() {
    let mut bench = Bench::new();
    bench.agent(0, "cpus:1;mem:1");
    bench.framework(0, "*");
    assert!(bench.allocator.round(bench.now, &mut Vec::new()));
    assert!(!bench.allocator.round(bench.now, &mut Vec::new()));
    assert_eq!(bench.allocator.deadline(), None);
}

#[test]
fn a_full_cluster_is_handed_out_in_one_round_and_a_change_costs_little() {
    let mut bench = Bench::new();
    for number in 0..1_000 {
        bench.agent(number, "cpus:8;mem:4096;ports:[31000-32000]");
    }
    for number in 0..100 {
        bench.framework(number, if number % 2 == 0 { "*" } else { "eng/web" });
    }
    let offers = bench.round();
    assert_eq!(offers.len(), 1_000);
    let mut won: BTreeMap<FrameworkIx, u32> = BTreeMap::new();
    for offer in &offers {
        *won.entry(offer.framework).or_default() += 1;
    }
    assert!(won.values().all(|count| *count == 10), "{won:?}");
    // All decline for an hour: each agent makes the round of all frameworks, then there is peace.
    let hour = Duration::from_secs(3_600);
    let mut open = offers;
    let mut made = open.len();
    while !open.is_empty() {
        for offer in open {
            bench.give_back(offer, hour);
        }
        open = Vec::new();
        bench.allocator.round(bench.now, &mut open);
        made += open.len();
    }
    assert_eq!(made, 100 * 1_000);
    assert_eq!(bench.round(), []);
    bench.wait(Duration::from_secs(10));
    assert_eq!(bench.round(), []);
    bench.agent(1_000, "cpus:1;mem:64");
    assert_eq!(bench.round().len(), 1);
}
