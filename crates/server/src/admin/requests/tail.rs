//! New requests as they are recorded, as server-sent events: `request` with a record, `dropped` with how many went by
//! unseen because the reader was too slow, and a comment when nothing happens.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue, Response};
use bytes::Bytes;
use http_body::Frame;
use net::deadline::after;
use settle::tail::{Seen, Watch};
use store::records::filter::Filter;
use tokio::time::{Instant, Sleep, sleep_until};

use super::{filter, known, scope};
use crate::admin::call::Call;
use crate::admin::principal::{Principal, SignedIn};
use crate::admin::problem::Problem;
use crate::admin::route::Outcome;

/// A comment is sent when nothing else was for so long.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// A tail ends after so long, and the reader asks again: what somebody may see is decided anew then.
const LONGEST: Duration = Duration::from_secs(30 * 60);

/// How many watch at once.
const WATCHERS: usize = 64;

/// New requests.
pub(in crate::admin) async fn tail(call: Call, who: SignedIn) -> Outcome {
    known(&call)?;
    let filter = filter(&call)?;
    let (actor, environment) = (who.actor().clone(), call.path("env").to_owned());
    let keys = {
        let environment = environment.clone();
        call.blocking(move |admin| scope::visible_keys(&admin.plane, &actor, &environment)).await??
    };
    if call.admin.tail.watchers() >= WATCHERS {
        let message = format!("{WATCHERS} readers watch already");
        return Err(Problem::rate_limited(message, Duration::from_secs(10)));
    }
    let filter = Filter { visible_keys: keys, ..filter };
    let mut response = Response::new(Body::new(Tail::new(call.admin.tail.watch(), environment, filter)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(response)
}

type Waiting = Pin<Box<dyn Future<Output = (Watch, Option<Seen>)> + Send>>;

/// The body of a tail.
struct Tail {
    waiting: Option<Waiting>,
    environment: String,
    filter: Filter,
    dropped: u64,
    beat: Pin<Box<Sleep>>,
    ends: Instant,
    begun: bool,
}

impl Tail {
    fn new(watch: Watch, environment: String, filter: Filter) -> Self {
        let beat = Box::pin(sleep_until(after(HEARTBEAT)));
        let ends = after(LONGEST);
        Self { waiting: Some(next(watch)), environment, filter, dropped: 0, beat, ends, begun: false }
    }

    /// Returns what the reader is told of something; `None` when it is not meant.
    fn event(&mut self, seen: &Seen) -> Option<String> {
        match seen {
            Seen::Missed(missed) => {
                self.dropped = self.dropped.saturating_add(*missed);
                Some(format!("event: dropped\ndata: {{\"dropped\":{missed},\"total\":{}}}\n\n", self.dropped))
            }
            Seen::Record(record) => {
                let meant = record.environment == self.environment && self.filter.matches(record);
                let data = serde_json::to_string(&**record).ok().filter(|_| meant)?;
                Some(format!("event: request\nid: {}\ndata: {data}\n\n", record.id))
            }
        }
    }
}

fn next(mut watch: Watch) -> Waiting {
    Box::pin(async move {
        let seen = watch.next().await;
        (watch, seen)
    })
}

impl http_body::Body for Tail {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let send = |text: String| Poll::Ready(Some(Ok(Frame::data(Bytes::from(text)))));
        if !self.begun {
            // The reader sees at once that it is connected.
            self.begun = true;
            return send(": connected\n\n".to_owned());
        }
        while let Some(waiting) = &mut self.waiting {
            let Poll::Ready((watch, seen)) = waiting.as_mut().poll(context) else { break };
            let Some(seen) = seen else {
                self.waiting = None;
                break;
            };
            self.waiting = Some(next(watch));
            if let Some(event) = self.event(&seen) {
                self.beat.as_mut().reset(after(HEARTBEAT));
                return send(event);
            }
        }
        if self.waiting.is_none() || after(Duration::ZERO) >= self.ends {
            return Poll::Ready(None);
        }
        if self.beat.as_mut().poll(context).is_ready() {
            self.beat.as_mut().reset(after(HEARTBEAT));
            return send(": nothing new\n\n".to_owned());
        }
        Poll::Pending
    }
}
