//! Random answers and what must become of them, worked out without any of the machines.

use ir::guard::Reason;
use proptest::prelude::*;

use crate::rules::Rules;

/// One answer: choices of pieces.
#[derive(Clone, Debug)]
pub struct Case {
    pub rules: Rules,
    pub choices: Vec<Answer>,
    /// Write every character as `\uXXXX`.
    pub escape: bool,
    /// Bytes per read.
    pub read: usize,
}

/// One choice.
#[derive(Clone, Debug)]
pub struct Answer {
    pub pieces: Vec<Piece>,
    /// Whether it calls a tool at its end.
    pub calls: bool,
}

#[derive(Clone, Debug)]
pub enum Piece {
    /// A delta.
    Text(String),
    /// The part ends and another begins.
    NewPart,
    /// A thought stands between two parts.
    Thought,
}

/// What must become of a choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Its text, and whether it was cut.
    Passes { text: String, cut: bool },
    /// It is blocked. `safe`: so many folded bytes stand before the phrase.
    Blocked { reason: Reason, safe: usize },
}

impl Answer {
    pub fn text(&self) -> String {
        let text = |piece: &Piece| if let Piece::Text(text) = piece { Some(text.clone()) } else { None };
        self.pieces.iter().filter_map(text).collect()
    }

    /// Whether nothing but text stands in it, so that nothing is let go early.
    pub fn is_plain(&self) -> bool {
        !self.calls && !self.pieces.iter().any(|piece| matches!(piece, Piece::Thought))
    }

    /// Returns what must become of it.
    pub fn expect(&self, rules: &Rules) -> Expect {
        let whole = self.text();
        let most = rules.most.map_or(usize::MAX, |most| most as usize);
        let mut text: String = whole.chars().take(most).collect();
        let cut = text != whole;
        let folded = fold(&text);
        let mut first: Option<(usize, usize, usize)> = None;
        for (index, phrase) in rules.phrases.iter().enumerate() {
            let phrase = fold(phrase);
            let at = folded.windows(phrase.len()).position(|window| *window == *phrase);
            if let Some(start) = at {
                let found = (start + phrase.len(), start, index);
                // Of phrases that end at one place the longest says how much was held.
                first = Some(first.map_or(found, |other| other.min(found)));
            }
        }
        if let Some((_, safe, index)) = first {
            return Expect::Blocked { reason: Reason::Phrase(index), safe };
        }
        let least = rules.least.filter(|_| !self.calls).unwrap_or(0);
        if (text.chars().count() as u64) < least {
            return Expect::Blocked { reason: Reason::TooShort(least), safe: 0 };
        }
        if let Some(disclaimer) = rules.disclaimer.as_deref().filter(|_| !self.calls) {
            let wanted = fold(disclaimer);
            if !folded.windows(wanted.len()).any(|window| *window == *wanted) {
                text = if text.is_empty() { disclaimer.to_owned() } else { format!("{text}\n\n{disclaimer}") };
            }
        }
        Expect::Passes { text, cut }
    }
}

impl Case {
    /// Whether a choice is blocked.
    pub fn is_blocked(&self) -> bool {
        self.choices.iter().any(|answer| matches!(answer.expect(&self.rules), Expect::Blocked { .. }))
    }

    /// Whether nothing happens to the answer.
    pub fn is_untouched(&self) -> bool {
        let same = |answer: &Answer| answer.expect(&self.rules) == Expect::Passes { text: answer.text(), cut: false };
        self.choices.iter().all(same)
    }

    /// Returns a text as a JSON string.
    pub fn json(&self, text: &str) -> String {
        if !self.escape {
            return serde_json::to_string(text).unwrap();
        }
        let escaped: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
        format!("\"{escaped}\"")
    }

    /// Checks what a machine made of each choice: its text and whether it says that it was cut.
    pub fn check(&self, blocked: Option<Reason>, found: &[(String, bool)]) {
        assert_eq!(blocked.is_some(), self.is_blocked(), "{blocked:?}");
        if let (Some(blocked), [answer]) = (blocked, self.choices.as_slice()) {
            assert_eq!(answer.expect(&self.rules), expect_blocked(blocked, answer.expect(&self.rules)));
        }
        for (answer, (text, cut)) in self.choices.iter().zip(found) {
            match answer.expect(&self.rules) {
                Expect::Passes { text: expect, cut: expect_cut } if blocked.is_none() => {
                    assert_eq!((text, *cut), (&expect, expect_cut && !answer.calls));
                }
                Expect::Passes { text: expect, .. } => assert!(expect.starts_with(text.as_str())),
                Expect::Blocked { reason: Reason::Phrase(_), safe } => {
                    let leaked = fold(text);
                    assert!(fold(&answer.text()).starts_with(&leaked));
                    if answer.is_plain() {
                        assert!(leaked.len() <= safe, "{text:?} leaks");
                    }
                    for phrase in &self.rules.phrases {
                        let phrase = fold(phrase);
                        assert!(!leaked.windows(phrase.len()).any(|window| *window == *phrase), "{text:?} leaks");
                    }
                }
                Expect::Blocked { .. } => assert_eq!(text, "", "it was too short"),
            }
        }
    }
}

fn expect_blocked(reason: Reason, expect: Expect) -> Expect {
    match expect {
        Expect::Blocked { safe, .. } => Expect::Blocked { reason, safe },
        passes => passes,
    }
}

/// Folds case, as the documentation of the guards says.
pub fn fold(text: &str) -> Vec<u8> {
    let lower = text.chars().flat_map(char::to_lowercase);
    let upper = lower.flat_map(char::to_uppercase);
    upper.flat_map(char::to_lowercase).collect::<String>().into_bytes()
}

fn answer() -> impl Strategy<Value = Answer> {
    let piece = prop_oneof![
        8 => "[abAsSßé机\u{1f600}\"\\\\\n ]{0,5}".prop_map(Piece::Text),
        1 => Just(Piece::NewPart),
        1 => Just(Piece::Thought),
    ];
    let calls = prop::bool::weighted(0.2);
    (prop::collection::vec(piece, 0..14), calls).prop_map(|(pieces, calls)| Answer { pieces, calls })
}

/// Returns random answers with random rules.
pub fn case(choices: usize) -> impl Strategy<Value = Case> {
    let rules = (
        prop::collection::vec("[abAsSßé机 ]{1,5}", 0..3),
        prop::option::weighted(0.3, 1u64..12),
        prop::option::weighted(0.3, 12u64..30),
        prop::option::weighted(0.3, "[abs]{1,3}"),
    );
    let rules = rules.prop_map(|(phrases, least, most, disclaimer)| Rules { phrases, least, most, disclaimer });
    (rules, prop::collection::vec(answer(), 1..=choices), any::<bool>(), 1usize..400)
        .prop_map(|(rules, choices, escape, read)| Case { rules, choices, escape, read })
}
