//! Bytes that earlier releases wrote.

use bytes::Bytes;
use meros_proto::ids::{AgentId, FrameworkId};
use meros_proto::record::{BadRecord, Record, RecordKind};
use meros_proto::resources::Role;
use meros_proto::time::Timestamp;

use crate::registry::ops::{
    AgentAdmitted, AgentRemoved, AgentUnreachable, FrameworkRemoved, WeightsSet,
};
use crate::registry::{Op, State};

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat()
}

/// The five records of the first release, as it wrote them.
fn first_release() -> Vec<(u16, Vec<u8>, Op)> {
    let agent = AgentId::parse("m-S0").expect("a valid id");
    let framework = FrameworkId::parse("m-0000").expect("a valid id");
    let web = Role::parse("eng/web").expect("a valid role");
    vec![
        (1, [text("m-S0"), text("info")].concat(), {
            let info = Bytes::from_static(b"info");
            AgentAdmitted { agent: agent.clone(), info }.into()
        }),
        (2, [text("m-S0"), 7_000_000_u64.to_le_bytes().to_vec()].concat(), {
            let since = Timestamp::from_millis(7);
            AgentUnreachable { agent: agent.clone(), since }.into()
        }),
        (1, [text("m-S0"), text("")].concat(), {
            AgentAdmitted { agent: agent.clone(), info: Bytes::new() }.into()
        }),
        (3, text("m-S0"), AgentRemoved { agent }.into()),
        (4, text("m-0000"), FrameworkRemoved { framework, at: Timestamp::default() }.into()),
        (5, [text("eng/web"), 2.5_f64.to_bits().to_le_bytes().to_vec()].concat(), {
            WeightsSet { weights: [(web, 2.5)].into() }.into()
        }),
    ]
}

#[test]
fn the_records_of_the_first_release_are_read_and_fit_each_other() {
    let mut state = State::default();
    for (number, body, op) in first_release() {
        let read = Op::decode(RecordKind { number, version: 1 }, &body).expect("it is known");
        assert_eq!(read, op);
        assert_eq!(state.apply(&read), Ok(()), "{read:?}");
    }
    assert!(state.admitted().is_empty() && state.weights().len() == 1);
    assert_eq!(state.cluster(), None);
}

#[test]
fn what_a_later_release_wrote_is_refused() {
    for (number, body, op) in first_release() {
        let newer = RecordKind { number, version: op.kind().version + 1 };
        assert!(matches!(Op::decode(newer, &body), Err(BadRecord::Unknown(_))), "{op:?}");
    }
    for number in [0, 25, State::SNAPSHOT.number] {
        let unknown = RecordKind { number, version: 1 };
        assert!(matches!(Op::decode(unknown, &[]), Err(BadRecord::Unknown(_))), "{number}");
    }
    let newer = RecordKind { version: State::SNAPSHOT.version + 1, ..State::SNAPSHOT };
    let bytes = State::default().encode();
    assert!(matches!(State::decode(newer, &bytes), Err(BadRecord::Unknown(_))));
}

#[test]
fn texts_that_are_no_ids_are_refused() {
    let removed = RecordKind { number: 3, version: 1 };
    for body in [&[1, 0, 0, 0, 0xff][..], &[1, 0, 0, 0, b'/'], &[0, 0, 0, 0]] {
        assert!(matches!(Op::decode(removed, body), Err(BadRecord::Body { .. })), "{body:?}");
    }
}
