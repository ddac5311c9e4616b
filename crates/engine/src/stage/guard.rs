//! System prompts and guardrails on requests. Those on replies act where the reply is read (`dispatch`).

use ir::guard::{Blocked, Subject};
use policy::guard::request::RequestRules;

use super::gate::Gated;
use crate::refusal::Refusal;

/// A request that may be sent.
pub struct Guarded(pub Box<Gated>);

/// Judges what the caller asks, then appends the environment's system prompt.
///
/// # Errors
/// 400 `guardrail_blocked`.
pub fn guard(mut gated: Box<Gated>) -> Result<Guarded, Refusal> {
    let environment = &gated.configuration.snapshot.environment;
    let prompt = environment.prompt.clone();
    if let Some(Err(blocked)) = environment.guards.requests.as_deref().map(|rules| judge(rules, &gated)) {
        return Err(gated.ticket.refuse(blocked.failure(Subject::Request)));
    }
    if let Some(prompt) = prompt {
        gated.request.inject(&prompt);
    }
    Ok(Guarded(gated))
}

fn judge(rules: &RequestRules, gated: &Gated) -> Result<(), Blocked> {
    let mut watch = rules.watch();
    gated.request.texts(|said| watch.push(said.text, said.starts, said.by_user))?;
    watch.end()
}
