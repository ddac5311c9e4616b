//! One try that waits for the whole answer.

use bytes::Bytes;
use dialect::meta::{self, Account};
use dialect::openai_chat::request::AskUsage;
use dialect::openai_chat::response::{ChatResponse, NotAReply};
use ir::settlement::Outcome;
use net::deadline::after;
use net::h1::ResponseHead;
use tokio::time::timeout_at;
use upstream::attempt::{exchange, transport_failure};
use upstream::classify::in_band;
use upstream::failure::{AttemptFailure, Class};
use upstream::target::Target;

use super::super::gate::Gated;
use super::{Run, Trail};
use crate::ticket::{CLIENT_CLOSED_REQUEST, Ending};

/// The largest buffered answer, in bytes.
const MAX_REPLY_BYTES: usize = 256 << 20;

/// A whole answer.
pub(super) struct Whole(ChatResponse);

/// Asks a target and reads its whole answer.
pub(super) async fn ask(
    run: &Run<'_>,
    gated: &mut Gated,
    target: &Target,
    upstream_model: &str,
) -> Result<(ResponseHead, Whole), AttemptFailure> {
    let body = gated.request.encode(upstream_model, AskUsage::Leave);
    let first = run.deadline.min(after(target.timeouts.first_token));
    let mut answer = exchange(target, run.worker.surroundings(), &gated.call.fields, &body, first).await?;
    gated.ticket.first_content();
    let limit = run.deadline.min(after(target.timeouts.idle));
    let body = match timeout_at(limit, answer.connection.collect(MAX_REPLY_BYTES)).await {
        Err(_) => return Err(AttemptFailure::new(Class::Timeout, "the answer's body stopped arriving")),
        Ok(Err(error)) => return Err(transport_failure(&error)),
        Ok(Ok(body)) => body,
    };
    if answer.connection.is_reusable() {
        run.worker.pool.put_back(&target.origin, answer.connection, run.worker.gateway.clock.now().0);
    }
    let meta_key = &gated.state.configuration.snapshot.environment.meta_key;
    match ChatResponse::decode(body, meta_key) {
        Ok(reply) => Ok((answer.head, Whole(reply))),
        Err(NotAReply::Error(report)) => Err(in_band(target, report)),
        Err(NotAReply::Malformed(error)) => Err(AttemptFailure::new(Class::Malformed, error.to_string())),
        Err(NotAReply::NoChoices) => Err(AttemptFailure::new(Class::Malformed, "the answer has no choices")),
    }
}

impl Whole {
    /// Settles the request and returns the reply with its meta block.
    pub(super) fn settle(
        self,
        gated: &mut Gated,
        trail: &Trail,
        policy: Option<&str>,
        abandoned: bool,
    ) -> (Account, Vec<Bytes>) {
        let Self(mut reply) = self;
        let (outcome, status) =
            if abandoned { (Outcome::Cancelled, CLIENT_CLOSED_REQUEST) } else { (Outcome::Succeeded, 200) };
        let account = gated.ticket.settle(
            outcome,
            Ending {
                status,
                error: None,
                usage: reply.usage,
                content_bytes: reply.choices_bytes,
                upstream_id: reply.id.take(),
                finish_reason: reply.finish_reason.take(),
            },
        );
        let configuration = &gated.state.configuration;
        let route = super::route(configuration, gated, trail.model, policy);
        let mut block = Vec::with_capacity(384);
        meta::render(&mut block, &configuration.snapshot.environment.meta_key, &route, Some(&account));
        (account, reply.encode(block))
    }
}
