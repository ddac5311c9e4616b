//! Connections to the demo provider: an in-memory pipe with a small server at its other end.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use net::connector::{ConnectError, Connector, Origin};
use net::io::BoxIo;
use tokio::io::{DuplexStream, duplex};

use crate::reply::{Reply, answer, error};

/// The host of the demo provider's origin. Its port is 0, which no real address has.
pub const HOST: &str = "demo";

/// How much the pipe holds.
const PIPE_BYTES: usize = 64 << 10;

/// The largest request that it reads.
const MAX_BODY_BYTES: usize = 64 << 20;

/// Connects to the demo provider where that is meant, and elsewhere as the connector it wraps.
pub struct DemoConnector(pub Arc<dyn Connector>);

impl Connector for DemoConnector {
    fn connect<'a>(
        &'a self,
        origin: &'a Origin,
    ) -> Pin<Box<dyn Future<Output = Result<BoxIo, ConnectError>> + Send + 'a>> {
        if &*origin.host == HOST && origin.port == 0 {
            return Box::pin(async {
                let (ours, theirs) = duplex(PIPE_BYTES);
                #[expect(clippy::disallowed_methods, reason = "the server ends when its only connection does")]
                tokio::spawn(serve(theirs));
                Ok(Box::new(ours) as BoxIo)
            });
        }
        self.0.connect(origin)
    }
}

async fn serve(io: DuplexStream) {
    // The connection's end is no error of anybody's.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(io), service_fn(handle)).await;
}

async fn handle(request: Request<Incoming>) -> Result<Response<Reply>, Infallible> {
    let body = Limited::new(request.into_body(), MAX_BODY_BYTES).collect().await;
    Ok(match body.map(http_body_util::Collected::to_bytes) {
        Ok(body) => match serde_json::from_slice(&body) {
            Ok(request) => answer(&request),
            Err(problem) => error(&format!("the request is not valid JSON: {problem}")),
        },
        Err(_) => error("the request is too large for the demo provider"),
    })
}
