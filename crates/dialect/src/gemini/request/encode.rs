//! A request, written for `generateContent` and `streamGenerateContent`.
//!
//! What Gemini cannot say and only tunes is named in `dropped`; what the answer depends on is refused.

mod config;
mod contents;
mod result;

use ir::chat::request::Request;
use ir::dialect::Dialect;
use ir::failure::{Code, Failure, Fault};

use super::super::generation::Generation;
use super::super::wire;
use crate::carry::Dropped;
use crate::translate::{Callee, Encoded};

/// Writes a request.
///
/// # Errors
/// A 400 that names what cannot be said: a tool, a part or a source of another dialect; a result of a call that is not
/// in the conversation.
pub fn encode(request: &Request, callee: &Callee<'_>) -> Result<Encoded, Failure> {
    let mut dropped = Dropped::default();
    let generation = Generation::of(callee.model);
    dropped.foreign(&request.extras, Dialect::Gemini);
    let (system_instruction, contents) = contents::encode(&request.messages, generation, &mut dropped)?;
    let body = wire::Request {
        system_instruction,
        contents,
        tools: config::tools(&request.tools, &mut dropped)?,
        tool_config: config::tool_config(request)?,
        generation_config: config::generation_config(request, generation, &mut dropped),
        extras: wire::Members::of(&request.extras, ""),
    };
    if request.parallel_tool_calls == Some(false) {
        dropped.name("parallel_tool_calls");
    }
    if request.service_tier.is_some() {
        dropped.name("service_tier");
    }
    if request.user.is_some() {
        dropped.name("user");
    }
    let body = serde_json::to_vec(&body).map_err(|error| {
        Failure::new(Code::InternalError, Fault::Gateway, "the request cannot be encoded")
            .with_detail(error.to_string())
    })?;
    Ok(Encoded { body, dropped: dropped.into_names() })
}

/// Returns the refusal of something that cannot be said to Gemini.
fn refused(param: impl Into<String>, message: impl Into<String>) -> Failure {
    Failure::new(Code::UnsupportedParameter, Fault::Caller, message).with_param(param)
}

#[cfg(test)]
mod tests;
