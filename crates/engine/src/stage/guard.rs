//! System prompts and guardrails on requests. Those on replies act where the reply is read (`dispatch`).

use std::sync::Arc;

use ir::guard::{Blocked, Subject};
use policy::guard::observe::{Finding, Watched};
use policy::guard::request::{RequestRules, RequestWatch};

use super::gate::Gated;
use crate::gateway::Gateway;
use crate::metrics::guardrails::Mode;
use crate::refusal::Refusal;

/// A request that may be sent.
pub struct Guarded(pub Box<Gated>);

/// Judges what the caller asks, then appends the system prompt that binds the key.
///
/// # Errors
/// 400 `guardrail_blocked`.
pub fn guard(gateway: &Arc<Gateway>, mut gated: Box<Gated>) -> Result<Guarded, Refusal> {
    let bound = gated.bound();
    if !bound.guards.observed_requests.is_empty() {
        observe(gateway, &bound.guards.observed_requests, &gated);
    }
    if let Some(Err(blocked)) = bound.guards.requests.as_deref().map(|rules| judge(rules, &gated)) {
        count(gateway, &gated, &blocked, Subject::Request);
        return Err(gated.ticket.refuse(blocked.failure(Subject::Request)));
    }
    if let Some(prompt) = bound.prompt.clone() {
        gated.request.inject(&prompt);
    }
    Ok(Guarded(gated))
}

/// Counts what a guardrail blocks.
pub(crate) fn count(gateway: &Gateway, gated: &Gated, blocked: &Blocked, subject: Subject) {
    let environment = &gated.key.compiled.environment;
    gateway.metrics.guardrails.hit(environment, &blocked.guard, Mode::Enforce, subject, Finding::Block(blocked.reason));
}

fn judge(rules: &RequestRules, gated: &Gated) -> Result<(), Blocked> {
    let mut watch = rules.watch();
    gated.request.texts(|said| watch.push(said.text, said.starts, said.by_user))?;
    watch.end()
}

/// Lets every guardrail judge that only observes; each says at most once what it would have done.
fn observe(gateway: &Arc<Gateway>, guards: &[Watched<RequestRules>], gated: &Gated) {
    let observer = gated.observer(gateway);
    let saw = |guard: &Watched<RequestRules>, blocked: &Blocked| {
        observer.saw(&guard.guard, Subject::Request, Finding::Block(blocked.reason));
    };
    let mut watches: Vec<Option<RequestWatch<'_>>> = guards.iter().map(|guard| Some(guard.rules.watch())).collect();
    // The closure never ends the reading: every guardrail hears every text.
    let _read_to_its_end: Result<(), Blocked> = gated.request.texts(|said| {
        for (guard, watch) in guards.iter().zip(&mut watches) {
            if let Some(Err(blocked)) = watch.as_mut().map(|watch| watch.push(said.text, said.starts, said.by_user)) {
                saw(guard, &blocked);
                *watch = None;
            }
        }
        Ok(())
    });
    for (guard, watch) in guards.iter().zip(watches) {
        if let Some(Err(blocked)) = watch.map(RequestWatch::end) {
            saw(guard, &blocked);
        }
    }
}
