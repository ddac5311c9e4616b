//! The idempotency database through its public functions.

use super::*;
use crate::tests::{Directory, NOW_MS};

const DAY_MS: u64 = 86_400_000;
const PLENTY: u64 = 1 << 30;

fn hash(number: u8) -> Hash {
    [number; 32]
}

fn claim(store: &mut Idempotency, name: u8, request: u8, now_ms: u64) -> Found {
    let (name, request) = (hash(name), hash(request));
    let wanted =
        Wanted { name: &name, request: &request, environment: "default", expires_ms: now_ms.saturating_add(DAY_MS) };
    store.at_once(|batch| batch.claim(wanted, now_ms)).unwrap()
}

fn keep(store: &mut Idempotency, name: u8, result: Option<&[u8]>, most_bytes: u64) {
    store.at_once(|batch| batch.keep(&hash(name), result, most_bytes)).unwrap();
}

/// Returns the sum that the totals must show.
fn counted(store: &Idempotency) -> u64 {
    let sql = "SELECT coalesce(sum(bytes), 0) FROM entries";
    from_sql(store.connection.query_row(sql, [], |row| row.get(0)).unwrap())
}

#[test]
fn a_name_is_claimed_once_and_answers_with_what_became_of_it() {
    let dir = Directory::new();
    assert!(!Idempotency::exists(&dir));
    let mut store = Idempotency::open(&dir).unwrap();
    assert_eq!(claim(&mut store, 1, 1, NOW_MS), Found::New);
    assert_eq!(claim(&mut store, 1, 1, NOW_MS), Found::Open);
    assert_eq!(claim(&mut store, 1, 2, NOW_MS), Found::Another);
    assert_eq!(claim(&mut store, 2, 1, NOW_MS), Found::New);
    keep(&mut store, 1, Some(b"sealed"), PLENTY);
    keep(&mut store, 2, None, PLENTY);
    drop(store);
    assert!(Idempotency::exists(&dir));
    let mut store = Idempotency::open(&dir).unwrap();
    assert_eq!(claim(&mut store, 1, 1, NOW_MS), Found::Kept(b"sealed".to_vec()));
    assert_eq!(claim(&mut store, 1, 2, NOW_MS), Found::Another);
    assert_eq!(claim(&mut store, 2, 1, NOW_MS), Found::NotKept);
}

#[test]
fn what_is_over_stays_as_it_is() {
    let mut store = Idempotency::open(&Directory::new()).unwrap();
    claim(&mut store, 1, 1, NOW_MS);
    keep(&mut store, 1, Some(b"first"), PLENTY);
    keep(&mut store, 1, Some(b"second"), PLENTY);
    keep(&mut store, 9, Some(b"never claimed"), PLENTY);
    assert_eq!(claim(&mut store, 1, 1, NOW_MS), Found::Kept(b"first".to_vec()));
    assert_eq!(claim(&mut store, 9, 1, NOW_MS), Found::New);
    assert_eq!(store.kept_bytes("default").unwrap(), 5);
}

#[test]
fn a_name_that_is_freed_or_expired_may_be_claimed_again() {
    let mut store = Idempotency::open(&Directory::new()).unwrap();
    claim(&mut store, 1, 1, NOW_MS);
    store.at_once(|batch| batch.free(&hash(1))).unwrap();
    assert_eq!(claim(&mut store, 1, 2, NOW_MS), Found::New);
    keep(&mut store, 1, Some(b"sealed"), PLENTY);
    assert_eq!(claim(&mut store, 1, 3, NOW_MS + DAY_MS - 1), Found::Another);
    assert_eq!(claim(&mut store, 1, 3, NOW_MS + DAY_MS), Found::New);
    assert_eq!(store.kept_bytes("default").unwrap(), 0);
}

#[test]
fn expired_entries_are_swept_and_counted_off() {
    let mut store = Idempotency::open(&Directory::new()).unwrap();
    for name in 0..3 {
        claim(&mut store, name, 1, NOW_MS + u64::from(name));
        keep(&mut store, name, Some(&[0; 100]), PLENTY);
    }
    assert_eq!(store.kept_bytes("default").unwrap(), 300);
    assert_eq!(store.sweep(NOW_MS + DAY_MS - 1).unwrap(), 0);
    assert_eq!(store.sweep(NOW_MS + DAY_MS + 1).unwrap(), 2);
    assert_eq!((store.kept_bytes("default").unwrap(), counted(&store)), (100, 100));
    assert_eq!(store.kept_bytes("other").unwrap(), 0);
}

#[test]
fn an_environment_keeps_no_more_than_it_may_and_lets_go_of_the_oldest() {
    let mut store = Idempotency::open(&Directory::new()).unwrap();
    for name in 0..40 {
        claim(&mut store, name, 1, NOW_MS + u64::from(name));
        keep(&mut store, name, Some(&[name; 100]), 2_000);
        let kept = store.kept_bytes("default").unwrap();
        assert!(kept <= 2_000, "{kept}");
        assert_eq!(kept, counted(&store));
    }
    assert_eq!(claim(&mut store, 0, 1, NOW_MS), Found::NotKept);
    assert_eq!(claim(&mut store, 39, 1, NOW_MS), Found::Kept(vec![39; 100]));
}

#[test]
fn what_fails_halfway_is_not_done() {
    let mut store = Idempotency::open(&Directory::new()).unwrap();
    let (name, request) = (hash(1), hash(1));
    let wanted = Wanted { name: &name, request: &request, environment: "default", expires_ms: NOW_MS + DAY_MS };
    let failed: Result<(), StoreError> = store.at_once(|batch| {
        batch.claim(wanted, NOW_MS)?;
        Err(StoreError::BadCursor)
    });
    assert!(failed.is_err());
    assert_eq!(claim(&mut store, 1, 1, NOW_MS), Found::New);
}
