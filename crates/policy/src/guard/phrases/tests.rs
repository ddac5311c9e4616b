//! What is found, and how much is held back, however the text is cut.

use super::*;

/// Reads a text in pieces of a size, and returns the phrase that was found, else the pending end.
fn read(phrases: &[&str], text: &str, size: usize) -> Result<String, usize> {
    let set = Phrases::new(phrases.iter().copied());
    let mut scan = Scan::default();
    let characters: Vec<char> = text.chars().collect();
    for piece in characters.chunks(size) {
        if let Some(found) = set.push(&mut scan, &String::from_iter(piece)) {
            return Err(found.phrase);
        }
    }
    Ok(scan.pending)
}

fn check(phrases: &[&str], text: &str, expect: Result<&str, usize>) {
    for size in [1, 2, 3, 7, 1000] {
        assert_eq!(read(phrases, text, size), expect.map(str::to_owned), "{text:?} in pieces of {size}");
    }
}

#[test]
fn phrases_are_found_whatever_the_case() {
    check(&["obscene words"], "such OBSCENE Words!", Err(0));
    check(&["OBSCENE"], "xobscenex", Err(0));
    check(&["straße"], "in der STRASSE", Err(0));
    check(&["STRASSE"], "in der straße", Err(0));
    check(&["kill"], "\u{212a}ILL", Err(0));
    check(&["机密"], "这是机密文件", Err(0));
    check(&["é"], "É", Err(0));
    check(&["resume"], "résumé", Ok(""));
    check(&["a", "b"], "xxb", Err(1));
}

#[test]
fn phrases_may_overlap() {
    check(&["she", "his", "hers", "he"], "ahishers", Err(1));
    check(&["abab", "baa"], "xababaa", Err(0));
    check(&["abcd", "bc"], "abce", Err(1));
    check(&["aab"], "aaab", Err(0));
    check(&["same", "SAME"], "same", Err(0));
}

#[test]
fn only_what_may_begin_a_phrase_is_held() {
    check(&["obscene"], "no obs", Ok("obs"));
    check(&["obscene"], "no obst", Ok(""));
    check(&["obscene", "scenery"], "no obscen", Ok("obscen"));
    check(&["obscenely", "scenes"], "no obscened", Ok(""));
    check(&["obscenely", "nest"], "no obscene", Ok("obscene"));
    check(&["abac"], "ababa", Ok("aba"));
    check(&["ssx"], "ẞ", Ok("ẞ"));
    check(&["sx"], "aß", Ok("ß"));
    check(&["机密"], "这是机", Ok("机"));
}

#[test]
fn what_is_pending_goes_on_in_the_next_piece() {
    let set = Phrases::new(["abcdef"]);
    let mut scan = Scan::default();
    for (piece, pending) in [("xxab", 2), ("c", 3), ("", 3), ("de", 5), ("ab", 2), ("ca", 1)] {
        assert_eq!(set.push(&mut scan, piece), None);
        assert_eq!(scan.pending_bytes(), pending, "{piece:?}");
    }
}

#[test]
fn the_place_of_a_phrase_is_told() {
    let set = Phrases::new(["bad", "é"]);
    let mut scan = Scan::default();
    assert_eq!(set.push(&mut scan, "so b"), None);
    assert_eq!(set.push(&mut scan, "ad word"), Some(Found { phrase: 0, end: 2 }));
    assert_eq!(set.push(&mut Scan::default(), "aÉb"), Some(Found { phrase: 1, end: 3 }));
}

#[test]
fn no_phrases_find_nothing() {
    check(&[], "anything", Ok(""));
    assert!(Phrases::new([]).is_empty());
}

#[test]
fn long_texts_are_searched_as_short_ones_are() {
    for place in [0, 1, 63, 64, 65, 1000, 4093, 9_987] {
        for odd in ["", "ü", "机"] {
            let mut text = "a quick brown fox jumped over the lazy dog; ".repeat(250);
            text.truncate(10_000);
            text.insert_str(place, "Project Nightjar");
            text.insert_str(place.saturating_sub(5), odd);
            check(&["internal use only", "project nightjar", "do not distribute"], &text, Err(1));
        }
    }
}

/// What the automaton must find, found without it: the end of the earliest match.
fn naive(phrases: &[String], text: &str) -> bool {
    let text = folded(text);
    let within = |phrase: &String| {
        let phrase = folded(phrase);
        text.windows(phrase.len()).any(|window| *window == *phrase)
    };
    phrases.iter().any(within)
}

/// The longest end of a text that begins a phrase, in folded bytes.
fn naive_pending(phrases: &[String], text: &str) -> usize {
    let text = folded(text);
    let begins = |length: &usize| {
        let end = &text[text.len() - length..];
        phrases.iter().any(|phrase| folded(phrase).starts_with(end))
    };
    (0..=text.len()).rev().find(begins).unwrap_or(0)
}

proptest::proptest! {
    #[test]
    fn any_cutting_finds_the_same(
        phrases in proptest::collection::vec("[abAsSßẞKKké机 ]{1,7}", 1..5),
        text in "[abAsSßẞKKké机 ]{0,60}",
        size in 1usize..20,
    ) {
        let set: Vec<&str> = phrases.iter().map(String::as_str).collect();
        let found = read(&set, &text, size);
        proptest::prop_assert_eq!(found.is_err(), naive(&phrases, &text));
        if let Ok(pending) = found {
            // The pending text is the shortest end that folds to at least what may begin a phrase.
            let least = naive_pending(&phrases, &text);
            proptest::prop_assert!(text.ends_with(&pending) && folded(&pending).len() >= least);
            let rest: String = pending.chars().skip(1).collect();
            proptest::prop_assert!(least == 0 && pending.is_empty() || folded(&rest).len() < least);
        }
    }

    #[test]
    fn long_words_are_found_in_long_texts(
        phrases in proptest::collection::vec("[ab ]{4,9}", 1..4),
        text in "[abcü ]{0,400}",
        size in 1usize..500,
    ) {
        let set: Vec<&str> = phrases.iter().map(String::as_str).collect();
        proptest::prop_assert_eq!(read(&set, &text, size).is_err(), naive(&phrases, &text));
    }
}
