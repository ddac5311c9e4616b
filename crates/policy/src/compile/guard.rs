//! Guardrails and prompts: each is checked alone, then all that are enabled are merged, in the order of their names: those
//! of the environment, and beside them those of each team and of each key.

mod fields;

use std::collections::BTreeMap;
use std::sync::Arc;

use self::fields::{Checked, Scope, check_guardrail, check_prompt};
use super::Report;
use crate::guard::banned::Banned;
use crate::guard::disclaimer::Disclaimers;
use crate::guard::length::Lengths;
use crate::guard::observe::Watched;
use crate::guard::reply::ReplyRules;
use crate::guard::request::RequestRules;
use crate::guard::scope::{Bound, Scoped};
use crate::guard::{Guards, prompt};
use crate::problem::Origin;
use crate::spec::Entry;
use crate::spec::guardrail::GuardrailSpec;
use crate::spec::prompt::PromptSpec;

/// Compiles every guardrail and every prompt: what binds everybody, and what teams and keys have of their own.
pub(super) fn compile_guards(
    guardrails: &[Entry<GuardrailSpec>],
    prompts: &[Entry<PromptSpec>],
    report: &mut Report,
) -> (Bound, Scoped) {
    let mut drafts = Drafts::default();
    for entry in in_order(guardrails) {
        let checked = check_guardrail(entry, report);
        if entry.spec.enabled != Some(false) {
            drafts.of(&checked.scope, |draft| draft.merge(&checked, &entry.origin, report));
        }
    }
    for entry in in_order(prompts) {
        let (text, scope) = check_prompt(entry, report);
        if entry.spec.enabled != Some(false) && !text.is_empty() {
            drafts.of(&scope, |draft| draft.prompts.push(text.to_owned()));
        }
    }
    for draft in drafts.teams.values().chain(drafts.keys.values()) {
        let origin = |guard: &str| guardrails.iter().find(|entry| entry.name == guard).map(|entry| &entry.origin);
        draft.check_under(&drafts.everybody, origin, report);
    }
    let bound = drafts.everybody.compile();
    let compiled = |drafts: BTreeMap<Arc<str>, Draft>| drafts.into_iter().map(|(name, draft)| (name, draft.compile()));
    let scoped = Scoped::new(&bound, compiled(drafts.teams), compiled(drafts.keys));
    (bound, scoped)
}

/// What is said in all, by scope.
#[derive(Default)]
struct Drafts {
    everybody: Draft,
    teams: BTreeMap<Arc<str>, Draft>,
    keys: BTreeMap<Arc<str>, Draft>,
}

impl Drafts {
    /// Does something to every draft of a scope.
    fn of(&mut self, scope: &Scope, mut change: impl FnMut(&mut Draft)) {
        let (drafts, names) = match scope {
            Scope::Everybody => return change(&mut self.everybody),
            Scope::Teams(names) => (&mut self.teams, names),
            Scope::Keys(names) => (&mut self.keys, names),
        };
        for name in names {
            change(drafts.entry(Arc::clone(name)).or_default());
        }
    }
}

/// What the guardrails and prompts of one scope say together.
#[derive(Default)]
struct Draft {
    requests: Rules,
    replies: Rules,
    observed_requests: Vec<Watched<RequestRules>>,
    observed_replies: Vec<Watched<ReplyRules>>,
    prompts: Vec<String>,
}

/// What guardrails say about one stage.
#[derive(Clone, Default)]
struct Rules {
    phrases: Vec<(Arc<str>, usize, String)>,
    lengths: Lengths,
    disclaimers: Vec<String>,
}

impl Draft {
    /// Adds a guardrail.
    fn merge(&mut self, checked: &Checked, origin: &Origin, report: &mut Report) {
        let rules =
            |disclaimers| Rules { phrases: checked.phrases.clone(), lengths: checked.lengths.clone(), disclaimers };
        let requests = checked.on_requests.then(|| rules(Vec::new()));
        let replies = checked.on_replies.then(|| rules(Vec::from_iter(checked.disclaimer.clone())));
        if checked.observes {
            let guard = || Arc::clone(&checked.guard);
            let requests = requests.and_then(Rules::of_requests).map(|rules| Watched { guard: guard(), rules });
            let replies = replies.and_then(Rules::of_replies).map(|rules| Watched { guard: guard(), rules });
            self.observed_requests.extend(requests);
            self.observed_replies.extend(replies);
            return;
        }
        for (own, more) in [(&mut self.requests, requests), (&mut self.replies, replies)] {
            if let Some(more) = more {
                own.merge(more, origin, report);
            }
        }
    }

    /// Reports lengths that no text can have under those of everybody.
    fn check_under<'a>(&self, all: &Self, origin: impl Fn(&str) -> Option<&'a Origin>, report: &mut Report) {
        for (own, all) in
            [(&self.requests.lengths, &all.requests.lengths), (&self.replies.lengths, &all.replies.lengths)]
        {
            let mut both = all.clone();
            both.merge(own.clone());
            let message = contradiction(&both).filter(|_| contradiction(own).or(contradiction(all)).is_none());
            let guards = [&own.least, &own.most].into_iter().flatten().map(|limit| &*limit.guard);
            let origin = guards.filter_map(&origin).next();
            if let (Some(message), Some(origin)) = (message, origin) {
                report_once(origin, message, report);
            }
        }
    }

    fn compile(self) -> Bound {
        let guards = Guards {
            requests: self.requests.of_requests(),
            replies: self.replies.of_replies(),
            observed_requests: self.observed_requests,
            observed_replies: self.observed_replies,
        };
        Bound { guards, prompt: prompt::join(self.prompts.iter().map(String::as_str)) }
    }
}

impl Rules {
    fn merge(&mut self, other: Self, origin: &Origin, report: &mut Report) {
        let reported = contradiction(&self.lengths).is_some();
        self.phrases.extend(other.phrases);
        self.lengths.merge(other.lengths);
        self.disclaimers.extend(other.disclaimers);
        if let Some(message) = contradiction(&self.lengths).filter(|_| !reported) {
            report_once(origin, message, report);
        }
    }

    fn of_requests(self) -> Option<Arc<RequestRules>> {
        let nothing = self.phrases.is_empty() && self.lengths.is_empty();
        (!nothing).then(|| Arc::new(RequestRules { banned: Banned::new(self.phrases), lengths: self.lengths }))
    }

    fn of_replies(self) -> Option<Arc<ReplyRules>> {
        let nothing = self.phrases.is_empty() && self.lengths.is_empty() && self.disclaimers.is_empty();
        let disclaimers = Disclaimers::new(self.disclaimers);
        (!nothing)
            .then(|| Arc::new(ReplyRules { banned: Banned::new(self.phrases), lengths: self.lengths, disclaimers }))
    }
}

/// Reports what may be found for several teams or keys.
fn report_once(origin: &Origin, message: String, report: &mut Report) {
    if !report.problems.contains(&origin.problem("", message.as_str())) {
        report.add(origin, "", message);
    }
}

/// Returns what is wrong with lengths that no text can have.
fn contradiction(lengths: &Lengths) -> Option<String> {
    let (least, most) = (lengths.least.as_ref()?, lengths.most.as_ref()?);
    (least.characters > most.characters).then(|| {
        format!(
            "no text is allowed: guardrails.{} wants at least {} characters, guardrails.{} at most {}",
            least.guard, least.characters, most.guard, most.characters
        )
    })
}

/// Returns entries in the order of their names, whatever the order of the file.
fn in_order<T>(entries: &[Entry<T>]) -> Vec<&Entry<T>> {
    let mut entries: Vec<&Entry<T>> = entries.iter().collect();
    entries.sort_by(|one, other| one.name.cmp(&other.name));
    entries
}
