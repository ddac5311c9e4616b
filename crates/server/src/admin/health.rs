//! Health and metrics: for probes, without a token.

use std::sync::atomic::Ordering;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Response, StatusCode};
use engine::metrics::More;

use super::call::Call;
use super::problem::Problem;
use super::route::Outcome;

/// Alive: the process answers.
pub(super) async fn alive(_: Call) -> Outcome {
    Ok(text(StatusCode::OK, "ok\n"))
}

/// Ready: serving, and able to record what is served.
pub(super) async fn ready(call: Call) -> Outcome {
    if call.admin.gateway.is_draining() {
        return Ok(text(StatusCode::SERVICE_UNAVAILABLE, "draining\n"));
    }
    if !(call.admin.journal_healthy)() {
        return Ok(text(StatusCode::SERVICE_UNAVAILABLE, "the journal cannot be written\n"));
    }
    Ok(text(StatusCode::OK, "ready\n"))
}

/// The counters, as OpenMetrics.
pub(super) async fn metrics(call: Call) -> Outcome {
    let gateway = &call.admin.gateway;
    let counts = &call.admin.events.counts;
    let waiting = counts.waiting.load(Ordering::Relaxed);
    let more = More {
        counts: counts.all().to_vec(),
        gauges: vec![("event_deliveries_waiting", "Deliveries that wait to be tried", waiting)],
    };
    let Ok(metrics) = gateway.metrics.render(gateway.held.now().0, &more) else {
        return Err(Problem::internal("the metrics could not be rendered"));
    };
    let mut response = Response::new(Body::from(metrics));
    let kind = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    Ok(response)
}

fn text(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
