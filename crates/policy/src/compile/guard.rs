//! Guardrails and prompts: each is checked alone, then all that are enabled are merged, in the order of their names.

use std::collections::HashMap;
use std::sync::Arc;

use super::Report;
use crate::guard::disclaimer::Disclaimers;
use crate::guard::length::{Lengths, Limit};
use crate::guard::reply::ReplyRules;
use crate::guard::request::RequestRules;
use crate::guard::{Banned, Guards, prompt};
use crate::problem::{Origin, did_you_mean};
use crate::spec::Entry;
use crate::spec::guardrail::GuardrailSpec;
use crate::spec::prompt::PromptSpec;

/// The most phrases of one guardrail.
const MAX_PHRASES: usize = 10_000;

/// The most characters of a phrase: so much of a stream may be held back for it.
const MAX_PHRASE: usize = 500;

/// The largest `min_length`: so much of every stream is held back for it.
const MAX_LEAST: u64 = 10_000;

/// The most characters of a disclaimer.
const MAX_DISCLAIMER: usize = 10_000;

/// The most characters of a prompt.
const MAX_PROMPT: usize = 100_000;

const STAGES: [&str; 2] = ["request", "reply"];

/// Compiles every guardrail.
pub(super) fn compile_guards(entries: &[Entry<GuardrailSpec>], report: &mut Report) -> Guards {
    let (mut requests, mut replies) = (Draft::default(), Draft::default());
    for entry in in_order(entries) {
        check_name(&entry.name, &entry.origin, report);
        let (on_requests, on_replies) = stages(entry, report);
        let lengths = lengths(entry, report);
        let phrases = phrases(entry, report);
        let disclaimer = disclaimer(entry, on_replies, report);
        if says_nothing(entry) {
            report.warn(&entry.origin, "", "it says nothing: add banned_phrases, a length or a disclaimer");
        }
        if entry.spec.enabled == Some(false) {
            continue;
        }
        let draft = Draft { phrases, lengths, disclaimers: Vec::new() };
        if on_requests {
            requests.merge(draft.clone(), &entry.origin, report);
        }
        if on_replies {
            replies.merge(Draft { disclaimers: Vec::from_iter(disclaimer), ..draft }, &entry.origin, report);
        }
    }
    Guards {
        requests: requests
            .some()
            .map(|draft| Arc::new(RequestRules { banned: Banned::new(draft.phrases), lengths: draft.lengths })),
        replies: replies.some().map(|draft| {
            let disclaimers = Disclaimers::new(draft.disclaimers);
            Arc::new(ReplyRules { banned: Banned::new(draft.phrases), lengths: draft.lengths, disclaimers })
        }),
    }
}

/// Compiles every prompt into one.
pub(super) fn compile_prompt(entries: &[Entry<PromptSpec>], report: &mut Report) -> Option<Arc<str>> {
    let mut texts = Vec::new();
    for Entry { name, spec, origin } in in_order(entries) {
        check_name(name, origin, report);
        let text = spec.text.as_deref().unwrap_or_default();
        if spec.text.is_none() {
            report.add(origin, "text", "missing");
        } else {
            check_text(text, MAX_PROMPT, origin, "text", report);
        }
        if spec.enabled != Some(false) {
            texts.push(text.trim());
        }
    }
    prompt::join(texts.into_iter().filter(|text| !text.is_empty()))
}

/// What the guardrails of one stage say together.
#[derive(Clone, Default)]
struct Draft {
    phrases: Vec<(Arc<str>, usize, String)>,
    lengths: Lengths,
    disclaimers: Vec<String>,
}

impl Draft {
    fn merge(&mut self, other: Self, origin: &Origin, report: &mut Report) {
        let contradict = |lengths: &Lengths| match (&lengths.least, &lengths.most) {
            (Some(least), Some(most)) => least.characters > most.characters,
            _ => false,
        };
        let reported = contradict(&self.lengths);
        self.phrases.extend(other.phrases);
        self.lengths.merge(other.lengths);
        self.disclaimers.extend(other.disclaimers);
        if let (Some(least), Some(most)) = (&self.lengths.least, &self.lengths.most)
            && contradict(&self.lengths)
            && !reported
        {
            let message = format!(
                "no text is allowed: guardrails.{} wants at least {} characters, guardrails.{} at most {}",
                least.guard, least.characters, most.guard, most.characters
            );
            report.add(origin, "", message);
        }
    }

    fn some(self) -> Option<Self> {
        let nothing = self.phrases.is_empty() && self.lengths.is_empty() && self.disclaimers.is_empty();
        (!nothing).then_some(self)
    }
}

/// Returns entries in the order of their names, whatever the order of the file.
fn in_order<T>(entries: &[Entry<T>]) -> Vec<&Entry<T>> {
    let mut entries: Vec<&Entry<T>> = entries.iter().collect();
    entries.sort_by(|one, other| one.name.cmp(&other.name));
    entries
}

fn says_nothing(entry: &Entry<GuardrailSpec>) -> bool {
    let spec = &entry.spec;
    let lengths = spec.min_length.is_some() || spec.max_length.is_some();
    let disclaimer = spec.disclaimer.is_some() || spec.require_disclaimer.is_some();
    spec.banned_phrases.is_empty() && !lengths && !disclaimer && entry.origin.broken.is_empty()
}

fn check_name(name: &str, origin: &Origin, report: &mut Report) {
    let valid = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    if name.is_empty() || name.len() > 63 || !name.bytes().all(valid) || name.starts_with(['.', '_', '-']) {
        report.add(origin, "", "not a name: 1 to 63 lower-case letters, digits, dots, dashes or underscores");
    }
}

/// Returns whether a guardrail applies to requests and to replies.
fn stages(entry: &Entry<GuardrailSpec>, report: &mut Report) -> (bool, bool) {
    let Some(written) = &entry.spec.apply_to else { return (false, true) };
    if written.is_empty() {
        let hint = Some("leave it out for replies, or write enabled = false".to_owned());
        report.add_hint(&entry.origin, "apply_to", "empty", hint);
    }
    for (index, stage) in written.iter().enumerate() {
        if !STAGES.contains(&stage.as_str()) {
            let hint = did_you_mean(stage, STAGES).unwrap_or_else(|| format!("known: {}", STAGES.join(", ")));
            report.add_hint(&entry.origin, &format!("apply_to[{index}]"), "unknown stage", Some(hint));
        }
    }
    let has = |stage: &str| written.iter().any(|other| other == stage);
    (has("request"), has("reply"))
}

fn lengths(entry: &Entry<GuardrailSpec>, report: &mut Report) -> Lengths {
    let (spec, origin) = (&entry.spec, &entry.origin);
    let mut least = spec.min_length.filter(|least| *least > 0);
    let mut most = spec.max_length;
    // What is faulty is left out, so that it is not reported again as a contradiction.
    if least.take_if(|least| *least > MAX_LEAST).is_some() {
        let message = format!("more than {MAX_LEAST}: so much of every stream would be held back");
        report.add(origin, "min_length", message);
    }
    if most.take_if(|most| *most == 0).is_some() {
        report.add(origin, "max_length", "zero: nothing could be said");
    }
    if most.take_if(|most| least.is_some_and(|least| least > *most)).is_some() {
        report.add(origin, "max_length", "less than min_length");
    }
    let limit = |characters| Limit { characters, guard: Arc::from(entry.name.as_str()) };
    Lengths { least: least.map(limit), most: most.map(limit) }
}

fn phrases(entry: &Entry<GuardrailSpec>, report: &mut Report) -> Vec<(Arc<str>, usize, String)> {
    let (spec, origin) = (&entry.spec, &entry.origin);
    if spec.banned_phrases.len() > MAX_PHRASES {
        report.add(origin, "banned_phrases", format!("more than {MAX_PHRASES}"));
    }
    let mut seen: HashMap<String, usize> = HashMap::new();
    let guard: Arc<str> = Arc::from(entry.name.as_str());
    let mut found = Vec::with_capacity(spec.banned_phrases.len());
    for (index, phrase) in spec.banned_phrases.iter().enumerate() {
        let field = format!("banned_phrases[{index}]");
        check_text(phrase, MAX_PHRASE, origin, &field, report);
        match seen.get(&phrase.to_lowercase()) {
            Some(first) => report.warn(origin, &field, format!("the same phrase as banned_phrases[{first}]")),
            None => {
                seen.insert(phrase.to_lowercase(), index);
                found.push((Arc::clone(&guard), index, phrase.clone()));
            }
        }
    }
    found
}

fn disclaimer(entry: &Entry<GuardrailSpec>, on_replies: bool, report: &mut Report) -> Option<String> {
    let (spec, origin) = (&entry.spec, &entry.origin);
    let required = spec.require_disclaimer == Some(true);
    match &spec.disclaimer {
        None if required => {
            report.add(origin, "disclaimer", "missing: require_disclaimer is true");
            None
        }
        None => None,
        Some(text) => {
            check_text(text, MAX_DISCLAIMER, origin, "disclaimer", report);
            if !required && !origin.is_broken("require_disclaimer") {
                let message = "not used: require_disclaimer is not true";
                report.warn(origin, "disclaimer", message);
            } else if !on_replies {
                report.add(origin, "require_disclaimer", "a disclaimer is for replies, and apply_to leaves them out");
            }
            required.then(|| text.trim().to_owned())
        }
    }
}

fn check_text(text: &str, most: usize, origin: &Origin, field: &str, report: &mut Report) {
    if text.trim().is_empty() {
        report.add(origin, field, "empty");
    } else if text.chars().count() > most {
        report.add(origin, field, format!("longer than {most} characters"));
    }
}
