//! Conversations stay where they were, and nobody else's do.

use proptest::prelude::*;

use super::*;

fn at(second: u64) -> Monotonic {
    Monotonic(second * 1_000_000_000)
}

/// A conversation after so many turns, of some hundred bytes each.
fn conversation(seed: u64, turns: usize) -> Vec<u8> {
    let turn = |turn: usize| format!(r#"{{"role":"user","content":"{seed} {turn} {}"}}"#, "word ".repeat(300));
    format!("[{}]", (0..turns).map(turn).collect::<Vec<_>>().join(",")).into_bytes()
}

fn prefix(seed: u64, turns: usize) -> Prefix {
    Prefix::of(b"", &conversation(seed, turns)).unwrap()
}

#[test]
fn the_next_turn_is_found_for_five_minutes() {
    let warmth = Warmth::default();
    assert_eq!(warmth.find(&prefix(1, 4), at(0)), None);
    warmth.note(&prefix(1, 3), ModelIndex(7), at(0));
    let found = warmth.find(&prefix(1, 4), at(299)).unwrap();
    assert_eq!(found.model, ModelIndex(7));
    let length = conversation(1, 3).len() as u64;
    assert!(found.tokens * 4 <= length && found.tokens * 4 + 300 >= length, "{found:?} of {length} bytes");
    assert_eq!(warmth.find(&prefix(1, 4), at(300)), None, "it is gone");
    assert_eq!(warmth.find(&prefix(2, 4), at(1)), None, "another conversation");
    // Each turn is noted anew, where it went.
    warmth.note(&prefix(1, 4), ModelIndex(8), at(200));
    assert_eq!(warmth.find(&prefix(1, 5), at(450)).unwrap().model, ModelIndex(8));
}

#[test]
fn targets_that_are_renamed_stay_warm_and_those_that_are_gone_do_not() {
    assert_eq!(Warmth::default().moved(Some).find(&prefix(1, 4), at(0)), None);
    let warmth = Warmth::default();
    warmth.note(&prefix(1, 3), ModelIndex(7), at(0));
    warmth.note(&prefix(2, 3), ModelIndex(8), at(0));
    let moved = warmth.moved(|was| (was == ModelIndex(7)).then_some(ModelIndex(0)));
    let before = warmth.find(&prefix(1, 4), at(299)).unwrap();
    assert_eq!(moved.find(&prefix(1, 4), at(299)), Some(Warm { model: ModelIndex(0), ..before }));
    assert_eq!((moved.find(&prefix(2, 4), at(1)), moved.find(&prefix(1, 4), at(300))), (None, None));
}

#[test]
fn what_stands_before_the_messages_counts() {
    let warmth = Warmth::default();
    let with = |head: &str, turns| Prefix::of(head.as_bytes(), &conversation(1, turns)).unwrap();
    warmth.note(&with("one", 3), ModelIndex(1), at(0));
    assert!(warmth.find(&with("one", 4), at(1)).is_some() && warmth.find(&with("two", 4), at(1)).is_none());
}

#[test]
fn short_prompts_are_nobodys() {
    assert_eq!(Prefix::of(b"", b"[]"), None);
    assert_eq!(Prefix::of(b"", b""), None);
    assert_eq!(Prefix::of(b"", &[b'x'; LEAST_BYTES]), None);
    assert!(Prefix::of(b"", &[b'x'; LEAST_BYTES + 1]).is_some());
    assert!(Prefix::of(&[b's'; LEAST_BYTES], b"[]").is_some());
}

#[test]
fn memory_is_bounded_and_the_newest_are_kept() {
    let warmth = Warmth::default();
    for number in 0..60_000 {
        warmth.note(&Prefix { head: LEAST_BYTES, marks: vec![block(number, b"x")] }, ModelIndex(3), at(number / 1_000));
    }
    let kept = |from: u64| {
        let known = |number: &u64| {
            warmth.find(&Prefix { head: LEAST_BYTES, marks: vec![block(*number, b"x")] }, at(60)).is_some()
        };
        (from..from + 1_000).filter(known).count()
    };
    assert!(kept(59_000) > 950 && kept(0) < 50, "{} {}", kept(59_000), kept(0));
}

proptest! {
    #[test]
    fn what_is_packed_is_what_was_said(model in 0_usize..1 << 20, second in 1_u64..1 << 31, blocks in 0_usize..1 << 12) {
        prop_assert_eq!(unpack(pack(ModelIndex(model), second, blocks).unwrap()), (ModelIndex(model), second, blocks));
    }

    /// Whatever was noted, what is found was noted of that very beginning.
    #[test]
    fn nothing_is_found_that_was_not_noted(
        noted in proptest::collection::vec((0_u64..40, 3_usize..6, 0_usize..9), 0..60), asked in (0_u64..40, 3_usize..7),
    ) {
        let (warmth, mut last) = (Warmth::default(), std::collections::HashMap::new());
        for (seed, turns, model) in noted {
            warmth.note(&prefix(seed, turns), ModelIndex(model), at(0));
            last.insert((seed, turns), model);
        }
        let (seed, turns) = asked;
        let expect = (3..=turns).rev().find_map(|turns| last.get(&(seed, turns)).copied());
        prop_assert_eq!(warmth.find(&prefix(seed, turns), at(1)).map(|warm| warm.model.0), expect);
    }
}
