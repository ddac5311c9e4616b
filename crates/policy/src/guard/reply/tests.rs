//! What stays, what may leave and what is appended.

use ir::guard::Reason;

use super::*;
use crate::guard::length::Limit;

fn watch(phrases: &[&str], least: Option<u64>, most: Option<u64>, disclaimer: Option<&str>) -> ReplyWatch {
    let guard: Arc<str> = Arc::from("g");
    let limit = |characters| Limit { characters, guard: Arc::clone(&guard) };
    let phrases = phrases.iter().enumerate();
    ReplyWatch::new(&Arc::new(ReplyRules {
        banned: Banned::new(phrases.map(|(index, text)| (Arc::clone(&guard), index, (*text).to_owned())).collect()),
        lengths: Lengths { least: least.map(limit), most: most.map(limit) },
        disclaimers: Disclaimers::new(disclaimer.map(str::to_owned)),
    }))
}

/// Pushes pieces; of each: how much stays, and how much of all may leave.
fn check(mut watch: ReplyWatch, pieces: &[(&str, usize, u64)], end: Result<Option<&str>, Reason>) {
    for (piece, stays, clear) in pieces {
        assert_eq!(watch.push(piece), Ok(*stays), "{piece:?}");
        assert_eq!(watch.clear(), *clear, "after {piece:?}");
    }
    let found = watch.end().map_err(|blocked| blocked.reason);
    assert_eq!(found, end.map(|text| text.map(str::to_owned)));
    if found.is_ok() {
        assert_eq!(watch.clear(), watch.kept());
        assert_eq!(watch.end(), Ok(None), "it is appended once");
    }
}

#[test]
fn what_may_begin_a_phrase_is_held() {
    check(watch(&["obscene"], None, None, None), &[("an ob", 5, 3), ("scen", 4, 3), ("t", 1, 10)], Ok(None));
    check(watch(&["obscene"], None, None, None), &[("an obscen", 9, 3)], Ok(None));
    let mut found = watch(&["fine", "obscene"], None, None, None);
    assert_eq!(found.push("an obs"), Ok(6));
    assert_eq!(found.push("cene word").map_err(|blocked| blocked.reason), Err(Reason::Phrase(1)));
    assert_eq!(found.clear(), 3);
}

#[test]
fn a_short_answer_is_held_until_it_is_long_enough() {
    check(watch(&["x"], Some(4), None, None), &[("üa", 3, 0), ("b", 1, 0), ("c", 1, 5), ("d", 1, 6)], Ok(None));
    check(watch(&[], Some(4), None, None), &[("abc", 3, 0)], Err(Reason::TooShort(4)));
    check(watch(&[], Some(1), None, None), &[], Err(Reason::TooShort(1)));
}

#[test]
fn a_long_answer_is_cut_and_judged_after_that() {
    check(watch(&[], None, Some(4), None), &[("abc", 3, 3), ("de", 1, 4), ("f", 0, 4)], Ok(None));
    check(watch(&[], None, Some(4), None), &[("abcd", 4, 4), ("", 0, 4)], Ok(None));
    check(watch(&["abcd"], None, Some(3), None), &[("ab", 2, 0), ("cd", 1, 3), ("abcd", 0, 3)], Ok(None));
}

#[test]
fn a_full_answer_is_not_cut_yet() {
    let mut full = watch(&[], None, Some(2), None);
    assert_eq!((full.push("a"), full.is_full()), (Ok(1), false));
    assert_eq!((full.push("b"), full.is_full(), full.is_cut()), (Ok(1), true, false));
    assert_eq!((full.push("c"), full.is_full(), full.is_cut()), (Ok(0), true, true));
}

#[test]
fn a_disclaimer_is_appended_once() {
    check(watch(&[], None, None, Some("D")), &[("a", 1, 1)], Ok(Some("\n\nD")));
    check(watch(&[], None, None, Some("D")), &[("a d", 3, 3)], Ok(None));
    check(watch(&[], None, Some(2), Some("D")), &[("a d", 2, 2)], Ok(Some("\n\nD")));
    check(watch(&[], None, None, Some("D")), &[], Ok(Some("D")));
}

#[test]
fn an_answer_that_calls_tools_is_a_step() {
    let mut step = watch(&["bad"], Some(9), None, Some("D"));
    assert_eq!((step.push("b"), step.clear(), step.may_append()), (Ok(1), 0, true));
    step.interrupt(Interruption::ToolCall);
    assert_eq!((step.clear(), step.may_append()), (1, false));
    check(step, &[], Ok(None));
}

#[test]
fn a_phrase_is_found_around_what_is_no_text() {
    let mut watch = watch(&["bad"], None, None, None);
    assert_eq!((watch.push("b"), watch.clear()), (Ok(1), 0));
    watch.interrupt(Interruption::Other);
    assert_eq!(watch.clear(), 1);
    assert_eq!((watch.push("a"), watch.clear()), (Ok(1), 1));
    assert_eq!(watch.push("d").map_err(|blocked| blocked.reason), Err(Reason::Phrase(0)));
}
