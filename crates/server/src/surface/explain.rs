//! `POST /v1/route`: where a request would go and why, told to its caller. The body and the headers are those of the
//! request, in OpenAI's shape or, with `anthropic-version`, in Anthropic's.

use bytes::Bytes;
use dialect::lane::Surface;
use engine::body::ReplyBody;
use engine::explain::explain_own;
use engine::limits;
use engine::pipeline::Arrival;
use engine::refusal::Refusal;
use engine::refusal::render::label;
use engine::stage::authenticate::{Identity, identify};
use engine::worker::Worker;
use http::Response;
use http_body::Body;

use crate::admin::explain::{refused, shown};

/// Answers with the plan of a request that is not made.
pub(super) async fn own<B>(
    worker: &Worker,
    surface: Surface,
    arrival: Arrival<B>,
) -> Result<Response<ReplyBody>, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let (id, peer) = (arrival.id, arrival.peer.ip());
    let Identity { key, configuration } = identify(&worker.gateway, &arrival)?;
    let explained = explain_own(&worker.gateway, surface, arrival).await?;
    let body = explained.as_ref().map_or_else(refused, shown);
    let mut response = Response::new(ReplyBody::full(body.to_string()));
    label(response.headers_mut(), surface, id);
    if let Some(standing) = limits::standing(&worker.gateway, &key, &configuration, peer) {
        standing.write(response.headers_mut());
    }
    Ok(response)
}
