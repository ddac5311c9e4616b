//! What one attempt sends: the request in the provider's dialect, and the header lines that go with it.

use std::sync::Arc;

use bytes::Bytes;
use catalog::vendor::StreamUsage;
use dialect::lane::asked::Asked;
use dialect::lane::count;
use dialect::translate::{Callee, Label};
use ir::dialect::Dialect;
use ir::failure::{Code, Failure, Fault};
use ir::id::RequestId;
use policy::snapshot::Model;
use upstream::attempt::Asking;
use upstream::failure::AttemptFailure;
use upstream::target::{Purpose, Target};

use super::super::decode::{ANTHROPIC_FIELDS, Call};
use super::super::gate::Gated;
use crate::gateway::Gateway;

/// What one attempt sends.
pub(crate) struct Letter<'a> {
    model: &'a str,
    body: Vec<Bytes>,
    /// The request's id; its digits are the seed of ids that are made up.
    id: [u8; 36],
    /// The parameters that the provider cannot be told.
    pub(super) dropped: Vec<String>,
}

impl<'a> Letter<'a> {
    /// Writes the request for a target.
    ///
    /// # Errors
    /// When the target's dialect cannot express it, or drops something that the caller does not want dropped.
    pub(super) fn write(
        gateway: &Gateway,
        (request, call, environment): (&mut Asked, &Call, &Arc<str>),
        target: &Target,
        model: &'a Model,
    ) -> Result<Self, AttemptFailure> {
        let recall = &mut |call: &str| gateway.proofs.recall(environment, call, gateway.clock.now());
        request.restore(target.dialect, recall).map_err(AttemptFailure::refused)?;
        let callee = Callee {
            model: &model.upstream_name,
            max_output_tokens: model.max_output_tokens,
            ask_usage: request.stream() && target.stream_usage == StreamUsage::Ask,
            quirks: &target.quirks,
            refuses: &target.refuses,
        };
        let outgoing =
            request.outgoing(target.dialect, &callee, &model.capabilities).map_err(AttemptFailure::refused)?;
        if let Some(first) = outgoing.dropped.first().filter(|_| call.strict) {
            let message = format!("the provider cannot be told `{first}`, and x-crossway-strict forbids to drop it");
            let failure = Failure::new(Code::UnsupportedParameter, Fault::Caller, message).with_param(first.as_str());
            return Err(AttemptFailure::refused(failure));
        }
        Ok(Self { model: &model.upstream_name, body: outgoing.body, id: call.id.text(), dropped: outgoing.dropped })
    }

    /// Writes the question how many tokens the request has; `None` for a target that cannot be asked.
    pub(crate) fn count(gated: &mut Gated, target: &Target, model: &'a Model) -> Option<Self> {
        let callee = Callee {
            model: &model.upstream_name,
            max_output_tokens: model.max_output_tokens,
            ask_usage: false,
            quirks: &target.quirks,
            refuses: &target.refuses,
        };
        let outgoing = count::outgoing(&mut gated.request, target.dialect, &callee)?.ok()?;
        Some(Self { model: &model.upstream_name, body: outgoing.body, id: gated.call.id.text(), dropped: Vec::new() })
    }

    /// Returns it as an attempt wants it.
    pub(crate) fn asking<'b>(&'b self, call: &'b Call, dialect: Dialect, purpose: Purpose) -> Asking<'b> {
        let more = match dialect {
            Dialect::Anthropic => call.anthropic.as_deref().unwrap_or(ANTHROPIC_FIELDS),
            _ => "",
        };
        Asking { purpose, model: self.model, fields: [&call.fields, more], body: &self.body }
    }

    /// Returns what the reply says where the provider says nothing.
    pub(super) fn label(&self, call: &Call) -> Label<'_> {
        let digits = self.id.get(RequestId::PREFIX.len()..).unwrap_or_default();
        let seed = std::str::from_utf8(digits).unwrap_or_default();
        Label { seed, model: self.model, created: call.id.unix_ms() / 1_000 }
    }
}
