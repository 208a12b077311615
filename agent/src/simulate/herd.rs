//! Many agents' cores as one: each input is for one member, each output of one.
//!
//! A round costs what the batch touched and what is due, not the herd.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use meros_agent_core::{Agent, Effect, Input, Record};
use meros_proto::machine::{Core, Outputs};
use meros_proto::time::{Mono, Now};

/// One of the herd, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Member(pub(crate) u32);

impl Member {
    /// Its place in a list of all members.
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }

    /// As it is called outside, where counting begins with 1.
    pub(crate) fn number(self) -> u32 {
        self.0 + 1
    }
}

/// All agents of the process.
#[derive(Debug)]
pub(crate) struct Herd {
    agents: Vec<Agent>,
    /// When each member is to be looked at. A member may have entries that came too early.
    due: BinaryHeap<Reverse<(Mono, Member)>>,
    /// The earliest entry of each in `due`.
    wake: Vec<Option<Mono>>,
    /// Members that had an input since the last round; some more than once.
    touched: Vec<Member>,
    /// A member's outputs, before they are marked as its own.
    own: Outputs<Record, Effect>,
}

type Out = Outputs<(Member, Record), (Member, Effect)>;

impl Herd {
    /// A herd of these, in this order.
    pub(crate) fn new(agents: Vec<Agent>) -> Self {
        let wake = vec![None; agents.len()];
        let (due, touched) = (BinaryHeap::new(), Vec::new());
        Self { agents, due, wake, touched, own: Outputs::default() }
    }

    fn take_due(&mut self, now: Mono) {
        while let Some(Reverse((due, member))) = self.due.peek().copied()
            && due <= now
        {
            self.due.pop();
            self.wake[member.index()] = None;
            self.touched.push(member);
        }
    }

    fn hand_on(&mut self, member: Member, out: &mut Out) {
        out.records.extend(self.own.records.drain(..).map(|record| (member, record)));
        out.effects.extend(self.own.effects.drain(..).map(|effect| (member, effect)));
    }

    fn set_alarm(&mut self, member: Member) {
        let Some(deadline) = self.agents[member.index()].deadline() else { return };
        let wake = &mut self.wake[member.index()];
        // An entry that comes too early looks, and sets the next one.
        if wake.is_none_or(|wake| deadline < wake) {
            *wake = Some(deadline);
            self.due.push(Reverse((deadline, member)));
        }
    }
}

impl Core for Herd {
    type Input = (Member, Input);
    type Record = (Member, Record);
    type Effect = (Member, Effect);

    fn handle(&mut self, now: Now, (member, input): (Member, Input), out: &mut Out) {
        self.agents[member.index()].handle(now, input, &mut self.own);
        self.hand_on(member, out);
        self.touched.push(member);
    }

    fn round(&mut self, now: Now, out: &mut Out) {
        self.take_due(now.mono);
        let mut touched = std::mem::take(&mut self.touched);
        touched.sort_unstable();
        touched.dedup();
        for member in touched.drain(..) {
            self.agents[member.index()].round(now, &mut self.own);
            self.hand_on(member, out);
            self.set_alarm(member);
        }
        self.touched = touched;
    }

    fn deadline(&self) -> Option<Mono> {
        self.due.peek().map(|Reverse((due, _))| *due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meros_agent_core::Config;
    use meros_agent_core::effect::ToMaster;
    use meros_agent_core::input::FromMaster;
    use meros_proto::ids::AgentId;
    use std::time::Duration;

    const SILENCE: Duration = Duration::from_secs(75);

    fn at(seconds: u64) -> Now {
        Now { mono: Mono::default() + Duration::from_secs(1_000 + seconds), ..Now::default() }
    }

    fn herd(size: u8) -> Herd {
        Herd::new((0..size).map(|n| Agent::new(Config::default(), [n; 32])).collect())
    }

    fn step(herd: &mut Herd, now: Now, inputs: Vec<(u32, Input)>) -> Out {
        let mut out = Out::default();
        for (member, input) in inputs {
            herd.handle(now, (Member(member), input), &mut out);
        }
        herd.round(now, &mut out);
        out
    }

    fn registered(id: &str) -> Input {
        let message = FromMaster::Registered {
            agent: AgentId::parse(id).expect("an id"),
            master: "m".to_owned(),
            silence: SILENCE,
            removed: Vec::new(),
        };
        Input::FromMaster { session: 1, message }
    }

    fn disconnected(out: &Out) -> Vec<u32> {
        let effects = out.effects.iter();
        effects
            .filter(|(_, effect)| matches!(effect, Effect::Disconnect { .. }))
            .map(|(member, _)| member.0)
            .collect()
    }

    #[test]
    fn what_a_member_asks_for_is_marked_as_its_own() {
        let mut herd = herd(3);
        let up = |member| (member, Input::LinkUp { session: 1 });
        let out = step(&mut herd, at(0), vec![up(2), up(0), (2, registered("m-S7"))]);
        let registering: Vec<u32> = out
            .effects
            .iter()
            .filter_map(|(member, effect)| match effect {
                Effect::ToMaster { message: ToMaster::Register(_), .. } => Some(member.0),
                _ => None,
            })
            .collect();
        assert_eq!(registering, [2, 0]);
        let admitted = Record::Admitted(AgentId::parse("m-S7").expect("an id"));
        assert_eq!(out.records, [(Member(2), admitted)]);
    }

    #[test]
    fn each_member_is_woken_when_it_wants_to_be_and_no_other_is_touched() {
        let mut herd = herd(3);
        for (member, second) in [(1, 0), (0, 20)] {
            let up = (member, Input::LinkUp { session: 1 });
            step(&mut herd, at(second), vec![up, (member, registered("m-S1"))]);
        }
        assert_eq!(herd.deadline(), Some(at(0).mono + SILENCE));
        assert_eq!(disconnected(&step(&mut herd, at(74), Vec::new())), [0; 0]);
        // Member 1 heard of its master just now: its old alarm finds nothing to do.
        let message = FromMaster::Ping { sequence: 1 };
        step(&mut herd, at(74), vec![(1, Input::FromMaster { session: 1, message })]);
        assert_eq!(disconnected(&step(&mut herd, at(75), Vec::new())), [0; 0]);
        assert_eq!(disconnected(&step(&mut herd, at(95), Vec::new())), [0]);
        assert_eq!(disconnected(&step(&mut herd, at(149), Vec::new())), [1]);
        assert_eq!(herd.deadline(), None);
    }
}
