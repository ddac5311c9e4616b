//! One try that waits for the whole answer.

use std::time::Duration;

use bytes::Bytes;
use dialect::guard::ReplyGuard;
use dialect::lane::reply::Reply;
use dialect::meta::{self, Account};
use dialect::translate::NotAReply;
use ir::guard::Subject;
use ir::settlement::Outcome;
use net::deadline::{after, within};
use net::h1::{Connection, ResponseHead};
use policy::clock::Monotonic;
use settle::journal::batch::Due;
use tokio::time::Instant;
use upstream::attempt::{exchange, transport_failure};
use upstream::classify::in_band;
use upstream::failure::{AttemptFailure, Class};
use upstream::target::{Purpose, Target};

use super::super::gate::Gated;
use super::super::guard;
use super::attempt::Errand;
use super::letter::Letter;
use super::{Run, Trail};
use crate::gateway::Gateway;
use crate::refusal::Refusal;
use crate::ticket::{CLIENT_CLOSED_REQUEST, Ending};

/// The largest buffered answer, in bytes.
const MAX_REPLY_BYTES: usize = 256 << 20;

/// A whole answer.
pub(super) struct Whole(Reply);

/// Asks a target and reads its whole answer.
pub(super) async fn ask(
    run: &Run<'_>,
    errand: Errand<'_>,
    target: &Target,
    letter: &Letter<'_>,
) -> Result<(ResponseHead, Whole, Monotonic), AttemptFailure> {
    let first = run.deadline.min(after(target.timeouts.first_token));
    let mut answer =
        exchange(target, run.worker.surroundings(), letter.asking(errand.call, target.dialect, Purpose::Chat), first)
            .await?;
    let began = run.worker.gateway.clock.now();
    let body = whole_body(&mut answer.connection, Bytes::new(), target.timeouts.idle, run.deadline).await?;
    if answer.connection.is_reusable() {
        run.worker.pool.put_back(&target.origin, answer.connection, run.worker.gateway.clock.now().0);
    }
    let label = letter.label(errand.call);
    let guard = errand.watch.as_ref().map(|watch| watch as &dyn ReplyGuard);
    let (surface, meta_key) = (errand.surface, errand.meta_key());
    let reply = match Reply::decode(surface, target.dialect, body.clone(), meta_key, &label, guard) {
        // Some stream, whatever they are asked for.
        Err(NotAReply::Malformed(detail)) => {
            Reply::of_stream(surface, (target.dialect, &body), meta_key, &label, guard)
                .and_then(|reply| reply.ok_or(NotAReply::Malformed(detail)))
        }
        reply => reply,
    };
    match reply {
        Ok(reply) => Ok((answer.head, Whole(reply), began)),
        Err(NotAReply::Error(report)) => Err(in_band(target, report)),
        Err(NotAReply::Malformed(detail)) => {
            Err(AttemptFailure::new(Class::Malformed, detail).compressed(&answer.head))
        }
    }
}

/// Reads a body, whose first bytes may be there, to its end. It may trickle, as long as it does not stop.
pub(super) async fn whole_body(
    connection: &mut Connection,
    first: Bytes,
    idle: Duration,
    deadline: Instant,
) -> Result<Bytes, AttemptFailure> {
    let mut length = first.len();
    let mut pieces: Vec<Bytes> = if first.is_empty() { Vec::new() } else { vec![first] };
    while !connection.body_ended() {
        match within(|| deadline.min(after(idle)), connection.data()).await {
            Err(_) => return Err(AttemptFailure::new(Class::Timeout, "the answer's body stopped arriving")),
            Ok(Some(Err(error))) => return Err(transport_failure(&error)),
            Ok(Some(Ok(piece))) => {
                length += piece.len();
                if length > MAX_REPLY_BYTES {
                    return Err(AttemptFailure::new(Class::Malformed, "the answer is too large"));
                }
                pieces.push(piece);
            }
            Ok(None) => break,
        }
    }
    // Nearly every answer comes in one piece, which is passed on as it is.
    if let [whole] = pieces.as_mut_slice() {
        return Ok(std::mem::take(whole));
    }
    Ok(pieces.concat().into())
}

impl Whole {
    /// Returns how many tokens it has, as far as the provider says.
    pub(super) fn output_tokens(&self) -> u64 {
        self.0.usage.map_or(0, |usage| usage.output_tokens())
    }

    /// Settles the request and returns the reply with its meta block, and what it must wait for.
    ///
    /// # Errors
    /// 400 `guardrail_blocked` when the caller may not see it; the provider has charged for it, and so is it settled.
    pub(super) fn settle(
        self,
        gateway: &Gateway,
        gated: &mut Gated,
        trail: &Trail,
        policy: Option<&str>,
        abandoned: bool,
    ) -> Result<(Account, Vec<Bytes>, Option<Due>), Refusal> {
        let Self(mut reply) = self;
        if let Some(proofs) = reply.proofs.take() {
            gateway.proofs.keep(&gated.key.compiled.environment, proofs, gateway.clock.now());
        }
        if reply.usage.is_some_and(|report| gated.ticket.doubts(&report)) {
            reply.measure();
        }
        let ending = Ending {
            status: 200,
            error: None,
            usage: reply.usage,
            partial: false,
            service_tier: reply.service_tier,
            begun: None,
            content_bytes: reply.content_bytes,
            upstream_id: reply.id.take(),
            finish_reason: reply.finish_reason.take(),
        };
        if let Some(blocked) = reply.blocked.take() {
            guard::count(gateway, gated, &blocked, Subject::Reply);
            return Err(gated.ticket.block(blocked.failure(Subject::Reply), ending));
        }
        let (outcome, status) =
            if abandoned { (Outcome::Cancelled, CLIENT_CLOSED_REQUEST) } else { (Outcome::Succeeded, 200) };
        let (account, due) = gated.ticket.settle_with(outcome, Ending { status, ..ending });
        let configuration = &gated.configuration;
        let route = super::route(configuration, gated.call.id, trail.model, policy);
        let mut block = Vec::with_capacity(384);
        meta::render(&mut block, &configuration.snapshot.environment.meta_key, &route, Some(&account));
        Ok((account, reply.encode(block), due))
    }
}
