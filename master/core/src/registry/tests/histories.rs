//! What holds for any operation on any state.

use meros_proto::record::{Record, RecordKind};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::registry::tests::any::{history, op};
use crate::registry::{Op, State};

/// The state that a history leads to, without what didn't fit; and what did.
fn state_of(history: Vec<Op>) -> (State, Vec<Op>) {
    let mut state = State::default();
    let fitting = history.into_iter().filter(|op| state.apply(op).is_ok()).collect();
    (state, fitting)
}

fn bytes_of(op: &Op) -> Vec<u8> {
    let mut bytes = Vec::new();
    op.encode(&mut bytes);
    bytes
}

proptest! {
    #[test]
    fn an_operation_applies_or_is_refused_without_a_change(history in history(), op in op()) {
        let (before, _) = state_of(history);
        let mut after = before.clone();
        let checked = op.check(&before);
        prop_assert_eq!(format!("{:?}", after.apply(&op)), format!("{checked:?}"));
        if checked.is_err() {
            prop_assert_eq!(after, before);
        }
    }

    #[test]
    fn a_snapshot_reads_back_and_equal_histories_give_equal_bytes(history in history()) {
        let (state, fitting) = state_of(history);
        let bytes = state.encode();
        let read = State::decode(State::SNAPSHOT, &bytes).expect("it was written just now");
        prop_assert_eq!(&read, &state);
        let again = State::fold(&fitting).expect("they fitted before");
        prop_assert_eq!(again.encode(), bytes);
    }

    #[test]
    fn a_snapshot_in_the_middle_of_a_history_changes_nothing(
        history in history(),
        at in any::<prop::sample::Index>(),
    ) {
        let (state, fitting) = state_of(history);
        let (before, after) = fitting.split_at(at.index(fitting.len()));
        let snapshot = State::fold(before).expect("they fitted before").encode();
        let mut read = State::decode(State::SNAPSHOT, &snapshot).expect("written just now");
        for op in after {
            prop_assert_eq!(read.apply(op), Ok(()));
        }
        prop_assert_eq!(read.encode(), state.encode());
    }

    #[test]
    fn numbers_of_ids_are_handed_out_once(history in history()) {
        let (_, fitting) = state_of(history);
        let (mut frameworks, mut agents) = (0, 0);
        for op in fitting {
            let (next, first, count) = match op {
                Op::FrameworkIdsTaken(block) => (&mut frameworks, block.first, block.count),
                Op::AgentIdsTaken(block) => (&mut agents, block.first, block.count),
                _ => continue,
            };
            prop_assert!(first >= *next);
            *next = first + u64::from(count);
        }
    }

    #[test]
    fn an_operation_reads_back_as_it_was_written(op in op()) {
        let read = Op::decode(op.kind(), &bytes_of(&op)).expect("it was written just now");
        prop_assert_eq!(bytes_of(&read), bytes_of(&op));
        prop_assert_eq!(format!("{read:?}"), format!("{op:?}"));
    }

    #[test]
    fn a_cut_or_longer_operation_is_refused(op in op()) {
        let body = bytes_of(&op);
        for length in 0..body.len() {
            prop_assert!(Op::decode(op.kind(), &body[..length]).is_err(), "{:?}", op);
        }
        prop_assert!(Op::decode(op.kind(), &[body.as_slice(), &[0]].concat()).is_err());
    }

    #[test]
    fn no_bytes_make_reading_panic(
        number in 0..30_u16,
        version in 0..4_u16,
        body in vec(any::<u8>(), 0..200),
    ) {
        // Errors are what is expected; only a panic would be wrong.
        let _ = Op::decode(RecordKind { number, version }, &body);
        let _ = State::decode(State::SNAPSHOT, &body);
    }

    #[test]
    fn a_changed_snapshot_is_refused_or_reads_as_another_state_that_is_sound(
        history in history(),
        at in any::<prop::sample::Index>(),
        to in any::<u8>(),
    ) {
        let (state, _) = state_of(history);
        let mut bytes = state.encode();
        let at = at.index(bytes.len());
        bytes[at] = to;
        if let Ok(read) = State::decode(State::SNAPSHOT, &bytes) {
            let again = State::decode(State::SNAPSHOT, &read.encode()).expect("it is sound");
            prop_assert_eq!(again.encode(), read.encode());
        }
    }
}
