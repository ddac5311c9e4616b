//! The fields of a guardrail and of a prompt, each checked alone.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::Report;
use crate::guard::length::{Lengths, Limit};
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

/// The most teams or keys that one guardrail or prompt names.
const MAX_NAMED: usize = 1_000;

const STAGES: [&str; 2] = ["request", "reply"];

const MODES: [&str; 2] = ["enforce", "observe"];

/// For whom a guardrail or a prompt is.
pub(super) enum Scope {
    /// Every key of the environment.
    Everybody,
    /// The keys of these teams.
    Teams(Vec<Arc<str>>),
    /// These keys.
    Keys(Vec<Arc<str>>),
}

/// A guardrail as far as it is without fault.
pub(super) struct Checked {
    pub guard: Arc<str>,
    pub scope: Scope,
    pub observes: bool,
    pub on_requests: bool,
    pub on_replies: bool,
    pub phrases: Vec<(Arc<str>, usize, String)>,
    pub lengths: Lengths,
    pub disclaimer: Option<String>,
}

/// Checks a guardrail.
pub(super) fn check_guardrail(entry: &Entry<GuardrailSpec>, report: &mut Report) -> Checked {
    check_name(&entry.name, &entry.origin, report);
    let scope = scope(entry.spec.teams.as_deref(), entry.spec.keys.as_deref(), &entry.origin, report);
    let observes = observes(entry, report);
    let (on_requests, on_replies) = stages(entry, report);
    let lengths = lengths(entry, report);
    let phrases = phrases(entry, report);
    let disclaimer = disclaimer(entry, on_replies, report);
    if says_nothing(entry) {
        report.warn(&entry.origin, "", "it says nothing: add banned_phrases, a length or a disclaimer");
    }
    let guard = Arc::from(entry.name.as_str());
    Checked { guard, scope, observes, on_requests, on_replies, phrases, lengths, disclaimer }
}

/// Checks a prompt and returns its text.
pub(super) fn check_prompt<'a>(entry: &'a Entry<PromptSpec>, report: &mut Report) -> (&'a str, Scope) {
    let Entry { name, spec, origin } = entry;
    check_name(name, origin, report);
    let scope = scope(spec.teams.as_deref(), spec.keys.as_deref(), origin, report);
    match spec.text.as_deref() {
        None => report.add(origin, "text", "missing"),
        Some(text) => check_text(text, MAX_PROMPT, origin, "text", report),
    }
    (spec.text.as_deref().unwrap_or_default().trim(), scope)
}

/// Returns for whom something is. Where that is faulty the configuration is not used.
fn scope(teams: Option<&[String]>, keys: Option<&[String]>, origin: &Origin, report: &mut Report) -> Scope {
    let mut names = |field: &str, written: &[String]| {
        if written.is_empty() {
            let hint = Some("leave it out for the whole environment, or write enabled = false".to_owned());
            report.add_hint(origin, field, "empty", hint);
        } else if written.len() > MAX_NAMED {
            report.add(origin, field, format!("more than {MAX_NAMED}"));
        }
        let mut names: Vec<Arc<str>> = Vec::with_capacity(written.len());
        for (index, name) in written.iter().enumerate() {
            let path = format!("{field}[{index}]");
            if name.trim().is_empty() {
                report.add(origin, &path, "empty");
            } else if names.iter().any(|other| **other == **name) {
                report.add(origin, &path, "the same name twice");
            } else {
                names.push(Arc::from(name.as_str()));
            }
        }
        names
    };
    match (teams, keys) {
        (None, None) => Scope::Everybody,
        (Some(teams), None) => Scope::Teams(names("teams", teams)),
        (None, Some(keys)) => Scope::Keys(names("keys", keys)),
        (Some(teams), Some(_)) => {
            let teams = names("teams", teams);
            let hint = Some("write one for the teams and one for the keys".to_owned());
            report.add_hint(origin, "keys", "teams are named too", hint);
            Scope::Teams(teams)
        }
    }
}

/// Returns whether a guardrail only observes.
fn observes(entry: &Entry<GuardrailSpec>, report: &mut Report) -> bool {
    let Some(mode) = entry.spec.mode.as_deref() else { return false };
    if !MODES.contains(&mode) {
        let off = (mode == "off").then(|| "write enabled = false".to_owned());
        let hint = off.or_else(|| did_you_mean(mode, MODES)).unwrap_or_else(|| format!("known: {}", MODES.join(", ")));
        report.add_hint(&entry.origin, "mode", "unknown mode", Some(hint));
    }
    mode == "observe"
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
