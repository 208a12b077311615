//! What every store must do, as a test that any implementation can call.

use super::{Expect, Row, StateError, StateStore, Transaction};

/// Puts `store`, which must be empty, through the contract.
///
/// # Panics
/// When it breaks a rule of [`StateStore`], naming the rule.
pub fn check(store: &dyn StateStore) {
    rows_come_back_with_the_revision_of_their_commit(store);
    prefixes_select_by_bytes_and_in_order(store);
    a_conflict_changes_nothing(store);
    a_row_made_again_has_a_version_never_seen(store);
    the_last_of_two_changes_to_a_key_stays(store);
    odd_transactions_are_no_trouble(store);
}

#[track_caller]
fn commit(store: &dyn StateStore, transaction: Transaction) -> u64 {
    store.commit(transaction).expect("the store commits")
}

#[track_caller]
fn get(store: &dyn StateStore, key: &str) -> Option<Row> {
    store.get(key).expect("the store reads")
}

fn rows_come_back_with_the_revision_of_their_commit(store: &dyn StateStore) {
    assert_eq!(get(store, "absent"), None, "an absent row is none");
    assert!(
        store.list("").expect("the store lists").is_empty(),
        "the contract needs an empty store"
    );
    let first = commit(store, Transaction::new().put("a/1", "one").put("a/2", "two"));
    let second = commit(store, Transaction::new().put("a/2", "zwei"));
    assert!(second > first, "revisions grow: {first}, {second}");
    let one = Row { key: "a/1".into(), value: "one".into(), version: first };
    let two = Row { key: "a/2".into(), value: "zwei".into(), version: second };
    assert_eq!(get(store, "a/1"), Some(one), "a row keeps the version of its last write");
    assert_eq!(get(store, "a/2"), Some(two), "a write moves the version");
}

fn prefixes_select_by_bytes_and_in_order(store: &dyn StateStore) {
    commit(
        store,
        Transaction::new().put("p/b", "").put("p/a", "").put("p", "").put("pé", "").put("q", ""),
    );
    let keys = |prefix| -> Vec<String> {
        store.list(prefix).expect("the store lists").into_iter().map(|row| row.key).collect()
    };
    assert_eq!(keys("p/"), ["p/a", "p/b"], "a prefix selects what starts with it, sorted");
    assert_eq!(keys("p"), ["p", "p/a", "p/b", "pé"], "a key starts with itself");
    assert_eq!(keys("nothing"), [] as [&str; 0], "no match is no error");
}

fn a_conflict_changes_nothing(store: &dyn StateStore) {
    let version = commit(store, Transaction::new().put("c", "old"));
    for (key, expect, found) in [
        ("c", Expect::Absent, Some(version)),
        ("c", Expect::Version(version + 1), Some(version)),
        ("gone", Expect::Version(version), None),
    ] {
        let attempt = Transaction::new()
            .put("c/beside", "must not appear")
            .put_expecting(key, "new", expect)
            .delete("c");
        match store.commit(attempt) {
            Err(StateError::Conflict { key: named, found: at }) => {
                assert_eq!((named.as_str(), at), (key, found), "the conflict names the row");
            }
            other => panic!("{key} {expect:?} is a conflict, not {other:?}"),
        }
        assert_eq!(get(store, "c").expect("still there").version, version, "{expect:?}");
        assert_eq!(get(store, "c/beside"), None, "nothing of a refused transaction applies");
    }
    let next = Transaction::new().put_expecting("c", "new", Expect::Version(version));
    assert!(commit(store, next) > version, "the expected version is accepted");
    let refused = store.commit(Transaction::new().delete_expecting("c", Expect::Version(version)));
    assert!(matches!(refused, Err(StateError::Conflict { .. })), "deletes expect too");
}

fn a_row_made_again_has_a_version_never_seen(store: &dyn StateStore) {
    let first = commit(store, Transaction::new().put("d", "1"));
    commit(store, Transaction::new().delete("d"));
    assert_eq!(get(store, "d"), None, "a deleted row is gone");
    commit(store, Transaction::new().put_expecting("d", "2", Expect::Absent));
    let stale = Transaction::new().put_expecting("d", "3", Expect::Version(first));
    assert!(matches!(store.commit(stale), Err(StateError::Conflict { .. })), "no ABA");
}

fn the_last_of_two_changes_to_a_key_stays(store: &dyn StateStore) {
    commit(store, Transaction::new().put("e", "1").delete("e").put("f", "1").put("f", "2"));
    assert_eq!(get(store, "e"), None, "put then delete is a delete");
    assert_eq!(get(store, "f").expect("is there").value, "2", "the second put stays");
}

fn odd_transactions_are_no_trouble(store: &dyn StateStore) {
    let before = commit(store, Transaction::new().put("g", vec![0_u8, 255, 10]));
    assert_eq!(get(store, "g").expect("is there").value.as_ref(), [0, 255, 10], "any bytes");
    assert_eq!(commit(store, Transaction::new()), before, "an empty commit takes no revision");
    commit(store, Transaction::new().delete("never there"));
    for key in [String::new(), "k".repeat(2_000)] {
        let refused = store.commit(Transaction::new().put(key, "v"));
        assert!(matches!(refused, Err(StateError::Key(_))), "{refused:?}");
    }
}
