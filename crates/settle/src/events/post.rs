//! One try of one delivery to a webhook: a request, and the status of its answer. Nothing else of the answer is looked at
//! or kept, so that a webhook is no way to read what answers at an address.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use net::connector::{ConnectError, Connector};
use net::deadline::after;
use net::h1::{Connection, H1Error};
use net::url_guard::check;
use policy::clock::Clock;
use policy::notify::Webhook;
use tokio::time::timeout_at;

use super::sign::sign;

/// How long a try may take, until the head of the answer is there.
const DEADLINE: Duration = Duration::from_secs(10);

/// How long and how far the body of an answer is read, so that its sender is not cut off in the middle of a word.
const LINGER: Duration = Duration::from_millis(500);
const LINGER_BYTES: usize = 16 << 10;

/// Sends deliveries.
pub struct Poster {
    /// How receivers are reached.
    pub connector: Arc<dyn Connector>,
    /// Whether they may have private addresses.
    pub private: bool,
    /// Names the product and its version.
    pub user_agent: Box<str>,
    /// Tells the time.
    pub clock: Clock,
}

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub struct Posted<'a> {
    /// The number of the delivery.
    pub delivery: u64,
    /// The type of the event.
    pub kind: &'a str,
    /// The envelope.
    pub body: &'a str,
}

/// How a try went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What the receiver answered.
    pub status: Option<u16>,
    /// What went wrong, in our words.
    pub error: Option<String>,
}

impl Answer {
    /// Returns whether the receiver took it.
    pub fn is_taken(&self) -> bool {
        self.error.is_none()
    }

    fn failed(error: impl Into<String>) -> Self {
        Self { status: None, error: Some(error.into()) }
    }
}

impl Poster {
    /// Tries once.
    pub async fn post(&self, hook: &Webhook, posted: Posted<'_>) -> Answer {
        match timeout_at(after(DEADLINE), self.exchange(hook, posted)).await {
            Ok(Ok((status, connection))) => {
                // What is taken is taken, however the rest of the answer goes.
                linger(connection).await;
                Answer { status: Some(status), error: fault(status) }
            }
            Ok(Err(error)) => Answer::failed(error),
            Err(_) => Answer::failed("no answer within 10 s"),
        }
    }

    async fn exchange(&self, hook: &Webhook, posted: Posted<'_>) -> Result<(u16, Connection), String> {
        // The address was good when it was written; what it may be is asked at every try, and so is what it resolves to.
        let checked = check(&hook.url, self.private).map_err(|refused| refused.to_string())?;
        let connecting = match self.private {
            true => self.connector.connect(&checked.origin),
            false => self.connector.connect_public(&checked.origin),
        };
        let io = connecting.await.map_err(|error| unreachable(&error))?;
        let head = self.head(hook, posted, &checked.target, &checked.host);
        let mut connection = Connection::new(io);
        let body = Bytes::copy_from_slice(posted.body.as_bytes());
        // One that answers before it has read everything may have closed already.
        let sent = connection.send(head.as_bytes(), &[body]).await;
        match (connection.head().await, sent) {
            (Ok(head), _) => Ok((head.status, connection)),
            (Err(_), Err(error)) | (Err(error), Ok(())) => Err(broken(&error).to_owned()),
        }
    }

    fn head(&self, hook: &Webhook, posted: Posted<'_>, target: &str, host: &str) -> String {
        let Posted { delivery, kind, body } = posted;
        let at_s = self.clock.unix_ms() / 1_000;
        let signed = sign(hook, body, at_s);
        let mut head = format!(
            "POST {target} HTTP/1.1\r\nhost: {host}\r\nuser-agent: {}\r\naccept: */*\r\naccept-encoding: identity\r\n\
             connection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\nX-Crossway-Event: {kind}\r\n\
             X-Crossway-Delivery: dlv_{delivery}\r\nX-Crossway-Timestamp: {at_s}\r\nX-Crossway-Signature-V2: {}\r\n\
             {}: {}\r\n",
            self.user_agent,
            body.len(),
            signed.timed,
            hook.signature_header,
            signed.plain,
        );
        for (name, value) in &hook.headers {
            head.push_str(name);
            head.push_str(": ");
            head.push_str(value.expose());
            head.push_str("\r\n");
        }
        head.push_str("\r\n");
        head
    }
}

async fn linger(mut connection: Connection) {
    // Whatever comes of it.
    let _ = timeout_at(after(LINGER), connection.collect(LINGER_BYTES)).await;
}

/// Returns what is wrong with a status; nothing when it says that the delivery was taken.
fn fault(status: u16) -> Option<String> {
    match status {
        200..=299 => None,
        300..=399 => Some(format!("status {status}: redirects are not followed")),
        _ => Some(format!("status {status}")),
    }
}

fn unreachable(error: &ConnectError) -> String {
    match error {
        ConnectError::Private => "the address is not a public one".to_owned(),
        other => other.to_string(),
    }
}

fn broken(error: &H1Error) -> &'static str {
    match error {
        H1Error::Closed | H1Error::Truncated => "the connection was closed before an answer",
        H1Error::Malformed(_) => "what answers does not speak HTTP",
        H1Error::TooLarge => "the head of the answer is too large",
        H1Error::Io(_) => "the connection broke",
    }
}
