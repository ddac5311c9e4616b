//! System prompts and request guardrails. None can be configured yet: what is admitted is guarded.

use super::gate::Gated;
use crate::refusal::Refusal;

/// A request that may be sent.
pub struct Guarded(pub Box<Gated>);

/// Applies the guardrails of the environment, the team and the key to a request.
///
/// # Errors
/// 400 `guardrail_blocked`, once there are guardrails.
pub fn guard(gated: Box<Gated>) -> Result<Guarded, Refusal> {
    Ok(Guarded(gated))
}
