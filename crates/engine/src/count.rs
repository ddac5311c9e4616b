//! `count_tokens`: how many tokens a request has, without answering it.
//!
//! It walks the corridor up to the plan, so that keys, rights and limits are those of the request that will follow. A
//! provider that counts is asked; where none does, the count is an estimate, and the reply says so.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dialect::lane::{Surface, count};
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Response};
use http_body::Body;
use ir::settlement::Outcome;
use net::deadline::{after, passed};
use routing::plan::{Plan, Planned};
use tokio::time::{Instant, timeout_at};
use upstream::attempt::exchange;
use upstream::target::Purpose;

use crate::body::ReplyBody;
use crate::idempotency;
use crate::limits::Demand;
use crate::pipeline::Arrival;
use crate::refusal::Refusal;
use crate::stage::authenticate::Authenticated;
use crate::stage::cache::Missed;
use crate::stage::decode::Decoded;
use crate::stage::dispatch::letter::Letter;
use crate::stage::gate::Gated;
use crate::stage::reply::{ANTHROPIC_REQUEST_ID, REQUEST_ID, id_value};
use crate::stage::{authenticate, decode, gate, guard, plan};
use crate::ticket::Ending;
use crate::worker::Worker;

/// `x-crossway-estimated: true`, on a count that no provider made.
const ESTIMATED: HeaderName = HeaderName::from_static("x-crossway-estimated");

/// How long a provider may take to count.
const DEADLINE: Duration = Duration::from_secs(30);

/// The largest answer that is read.
const MAX_REPLY_BYTES: usize = 64 << 10;

/// Answers one request for a count.
///
/// # Errors
/// A refusal, for the surface to render.
pub async fn count_tokens<B>(worker: &Arc<Worker>, arrival: Arrival<B>) -> Result<Response<ReplyBody>, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let authenticated = authenticate::authenticate(&worker.gateway, Surface::AnthropicCount, arrival)?;
    let identity = authenticated.identity.clone();
    let peer = authenticated.arrival.peer.ip();
    let answer = answer(worker, authenticated).await;
    answer.map_err(|refusal| refusal.of(&worker.gateway, &identity, peer))
}

async fn answer<B>(worker: &Arc<Worker>, authenticated: Authenticated<B>) -> Result<Response<ReplyBody>, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let decoded = decode::decode(&worker.gateway, Surface::AnthropicCount, authenticated).await?;
    if decoded.call.once.is_some() {
        return idempotency::once(worker, decoded, |worker, decoded| Box::pin(serve(worker, decoded))).await;
    }
    served(worker, decoded).await
}

/// Counts what is understood; a future that owns what it needs.
async fn serve(worker: Arc<Worker>, decoded: Decoded) -> Result<Response<ReplyBody>, Refusal> {
    served(&worker, decoded).await
}

async fn served(worker: &Arc<Worker>, decoded: Decoded) -> Result<Response<ReplyBody>, Refusal> {
    let gated = gate::gate(worker, decoded)?;
    let guarded = guard::guard(&worker.gateway, gated)?;
    let planned = plan::plan(&worker.gateway, Missed(guarded.0))?;
    let mut gated = planned.gated;
    let revoked = gated.key.revoked.clone();
    let Some(counted) = revoked.run_until_cancelled(asked(worker, &mut gated, &planned.plan)).await else {
        return Err(gated.ticket.refuse(authenticate::revoked()));
    };
    let tokens = counted.unwrap_or_else(|| count::estimate(&gated.request));
    let id = gated.call.id;
    gated.ticket.settle(Outcome::Succeeded, Ending { status: 200, ..Ending::default() });
    let mut response = Response::new(ReplyBody::full(format!("{{\"input_tokens\":{tokens}}}")));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(REQUEST_ID, id_value(id));
    headers.insert(ANTHROPIC_REQUEST_ID, id_value(id));
    if counted.is_none() {
        headers.insert(ESTIMATED, HeaderValue::from_static("true"));
    }
    if let Some(standing) = gated.ticket.standing(&worker.gateway.clock) {
        standing.write(headers);
    }
    Ok(response)
}

/// Asks one target after the other; `None` when none counts.
async fn asked(worker: &Arc<Worker>, gated: &mut Gated, plan: &Plan) -> Option<u64> {
    let deadline = gated.call.timeout.map(after);
    for target in &plan.attempts {
        let each = after(DEADLINE);
        let counted = ask(worker, gated, target, deadline.map_or(each, |deadline| deadline.min(each))).await;
        if counted.is_some() {
            return counted;
        }
        gated.ticket.leave();
        if deadline.is_some_and(passed) {
            break;
        }
    }
    None
}

/// Asks a target to count; `None` when it cannot, or does not.
async fn ask(worker: &Arc<Worker>, gated: &mut Gated, planned: &Planned, deadline: Instant) -> Option<u64> {
    let configuration = Arc::clone(&gated.configuration);
    let own = configuration.credential(&gated.key.compiled, planned, &[]);
    let target = configuration.asked(planned.model, own).filter(|target| target.serves(Purpose::CountTokens))?;
    let (model, snapshot) = (configuration.snapshot.model(planned.model)?, &configuration.snapshot);
    let letter = Letter::count(gated, target, model)?;
    // A count is a request to its target, and nothing else.
    gated.ticket.enter(&Demand::default(), model, &snapshot.provider(model.provider)?.name).ok()?;
    gated.ticket.knock();
    let asking = letter.asking(&gated.call, target.dialect, Purpose::CountTokens);
    let mut answer = match exchange(target, worker.surroundings(), asking, deadline).await {
        Ok(answer) => answer,
        Err(error) => {
            let (request_id, provider) = (gated.call.id, &target.origin.host);
            tracing::warn!(component = "dispatch", requestId = %request_id, provider = %provider, error = %error, "Tokens could not be counted");
            return None;
        }
    };
    let body = timeout_at(deadline, answer.connection.collect(MAX_REPLY_BYTES)).await.ok()?.ok()?;
    if answer.connection.is_reusable() {
        worker.pool.put_back(&target.origin, answer.connection, worker.gateway.clock.now().0);
    }
    count::read(target.dialect, std::str::from_utf8(&body).ok()?)
}
