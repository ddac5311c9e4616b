//! Rules as a configuration would compile to, and streams run through a guard.

use std::sync::Arc;

use bytes::Bytes;
use dialect::guard::stream::{Gate, StreamGuard, StreamGuarding};
use dialect::passed::Progress;
use ir::guard::Reason;
use policy::guard::banned::Banned;
use policy::guard::disclaimer::Disclaimers;
use policy::guard::length::{Lengths, Limit};
use policy::guard::reply::{ReplyRules, ReplyWatch};

/// What a guardrail says.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    pub phrases: Vec<String>,
    pub least: Option<u64>,
    pub most: Option<u64>,
    pub disclaimer: Option<String>,
}

impl Rules {
    pub fn banned(phrases: &[&str]) -> Self {
        Self { phrases: phrases.iter().map(|phrase| (*phrase).to_owned()).collect(), ..Self::default() }
    }

    pub fn least(least: u64) -> Self {
        Self { least: Some(least), ..Self::default() }
    }

    pub fn most(most: u64) -> Self {
        Self { most: Some(most), ..Self::default() }
    }

    pub fn disclaimer(text: &str) -> Self {
        Self { disclaimer: Some(text.to_owned()), ..Self::default() }
    }

    pub fn watch(&self) -> ReplyWatch {
        ReplyWatch::new(&Arc::new(self.of("g")))
    }

    /// Returns the rules as those of a guardrail.
    pub fn of(&self, guard: &str) -> ReplyRules {
        let guard: Arc<str> = Arc::from(guard);
        let limit = |characters| Limit { characters, guard: Arc::clone(&guard) };
        let phrases = self.phrases.iter().enumerate();
        ReplyRules {
            banned: Banned::new(phrases.map(|(index, text)| (Arc::clone(&guard), index, text.clone())).collect()),
            lengths: Lengths { least: self.least.map(limit), most: self.most.map(limit) },
            disclaimers: Disclaimers::new(self.disclaimer.clone()),
        }
    }
}

/// What a guard makes of a stream.
#[derive(Debug)]
pub struct Ran {
    /// What was let through after each piece.
    pub steps: Vec<String>,
    /// All that was let through.
    pub out: String,
    /// Why it was blocked.
    pub blocked: Option<Reason>,
}

/// Runs pieces of bytes through a guard.
pub fn run_pieces<'a>(gate: impl Gate + Send, pieces: impl IntoIterator<Item = &'a [u8]>) -> Ran {
    let mut guard = StreamGuard::new(gate);
    let mut ran = Ran { steps: Vec::new(), out: String::new(), blocked: None };
    let mut progress = Progress::More;
    for piece in pieces {
        let mut out = Vec::new();
        progress = guard.push(Bytes::copy_from_slice(piece), &mut out);
        let step = String::from_utf8(out.concat()).unwrap();
        ran.out.push_str(&step);
        ran.steps.push(step);
        if progress != Progress::More {
            break;
        }
    }
    let mut out = Vec::new();
    if progress == Progress::More {
        progress = guard.end(&mut out);
    }
    ran.out.push_str(&String::from_utf8(out.concat()).unwrap());
    ran.blocked = match progress {
        Progress::More => None,
        Progress::Blocked(blocked) => Some(blocked.reason),
        other => panic!("a guard says {other:?}"),
    };
    ran
}

/// Runs a stream through a guard, one event at a time.
pub fn run_events(gate: impl Gate + Send, events: &[String]) -> Ran {
    run_pieces(gate, events.iter().map(String::as_bytes))
}
