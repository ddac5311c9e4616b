//! One exchange: a connection from the pool or a new one, the request out, the answer's head in.

use std::time::Duration;

use bytes::Bytes;
use ir::money::push_digits;
use net::connector::Connector;
use net::deadline::{after, passed};
use net::h1::ResponseHead;
use net::h1::{Connection, H1Error};
use net::pool::Pool;
use policy::clock::Clock;
use tokio::time::{Instant, timeout_at};

use crate::classify::classify;
use crate::credentials::Head;
use crate::failure::{AttemptFailure, Class};
use crate::target::{Purpose, Target};

/// The largest error body that is read.
const MAX_ERROR_BYTES: usize = 256 << 10;

/// A reused connection that breaks within this time was closed before the request reached it; later, the provider may
/// have worked on the request, and sending it again is a retry like any other.
const STALE: Duration = Duration::from_secs(1);

/// What an attempt needs of its surroundings.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// Idle connections.
    pub pool: &'a Pool,
    /// New ones.
    pub connector: &'a dyn Connector,
    /// The clock that the pool goes by.
    pub clock: &'a Clock,
}

/// What is asked.
#[derive(Clone, Copy)]
pub struct Asking<'a> {
    /// For what.
    pub purpose: Purpose,
    /// The provider's name of the model.
    pub model: &'a str,
    /// Further header lines, each with its line end.
    pub fields: [&'a str; 2],
    /// The body.
    pub body: &'a [Bytes],
}

/// A successful answer whose body has not been read.
pub struct Exchange {
    /// The connection, with the body to come.
    pub connection: Connection,
    /// The answer's head.
    pub head: ResponseHead,
}

/// Sends one request and reads the answer's head; `deadline` bounds it all.
///
/// # Errors
/// When no answer came, or one that is not a success; the body of an error is read and judged.
pub async fn exchange(
    target: &Target,
    around: Surroundings<'_>,
    asking: Asking<'_>,
    deadline: Instant,
) -> Result<Exchange, AttemptFailure> {
    let now = around.clock.now().0;
    let credential = target.heads.next(now);
    let (head, body) = (request_head(target, credential, asking), asking.body);
    let pooled = around.pool.checkout(&target.origin, now);
    let mut reused = pooled.is_some();
    let stale = after(STALE);
    let mut connection = match pooled {
        Some(connection) => connection,
        None => connect(target, around.connector, deadline).await?,
    };
    let head = loop {
        let mut alarm = std::mem::take(connection.alarm());
        let answer = alarm.within(deadline, round_trip(&mut connection, &head, body)).await;
        *connection.alarm() = alarm;
        match answer {
            None => return Err(AttemptFailure::new(Class::Timeout, "no answer in time")),
            // So some say that they close an idle connection: it answers no request (RFC 9110, section 15.5.9).
            Some(Ok(head)) if reused && !passed(stale) && is_farewell(&head) => {
                reused = false;
                connection = connect(target, around.connector, deadline).await?;
            }
            Some(Ok(head)) => break head,
            // The provider closed an idle connection while the request was on its way: that is no failure of its.
            Some(Err(_)) if reused && connection.response_bytes() == 0 && !passed(stale) => {
                reused = false;
                connection = connect(target, around.connector, deadline).await?;
            }
            Some(Err(error)) => return Err(transport_failure(&error)),
        }
    };
    // Servers exist that answer 201 or 202; what has no body, or a part of one, is no answer.
    if matches!(head.status, 200..=203) {
        return Ok(Exchange { connection, head });
    }
    let failure = error_answer(target, around, connection, &head, deadline).await;
    if let Some(credential) = credential {
        target.heads.judge(credential, &failure, around.clock.now().0);
    }
    Err(failure)
}

/// Whether an answer says that its connection has waited for a request long enough, and closes.
fn is_farewell(head: &ResponseHead) -> bool {
    let closes = |options: &str| options.split(',').any(|option| option.trim().eq_ignore_ascii_case("close"));
    head.status == 408 && head.get_all("connection").any(closes)
}

/// Returns the failure of a connection that broke or did not speak HTTP.
pub fn transport_failure(error: &H1Error) -> AttemptFailure {
    let class = match error {
        H1Error::Closed | H1Error::Truncated | H1Error::Io(_) => Class::Broken,
        H1Error::Malformed(_) | H1Error::TooLarge => Class::Malformed,
    };
    AttemptFailure::new(class, error.to_string())
}

/// Reads the rest of an error answer, and keeps the connection when that is possible.
async fn error_answer(
    target: &Target,
    around: Surroundings<'_>,
    mut connection: Connection,
    head: &ResponseHead,
    deadline: Instant,
) -> AttemptFailure {
    let deadline = deadline.min(after(Duration::from_secs(10)));
    let body = match timeout_at(deadline, connection.collect(MAX_ERROR_BYTES)).await {
        Ok(Ok(body)) => body,
        _ => Bytes::new(),
    };
    if connection.is_reusable() {
        around.pool.put_back(&target.origin, connection, around.clock.now().0);
    }
    classify(target, head, &body)
}

async fn connect(target: &Target, connector: &dyn Connector, deadline: Instant) -> Result<Connection, AttemptFailure> {
    let limit = deadline.min(after(target.timeouts.connect));
    match timeout_at(limit, connector.connect(&target.origin)).await {
        Ok(Ok(io)) => Ok(Connection::new(io)),
        Ok(Err(error)) => Err(AttemptFailure::new(Class::Connect, error.to_string())),
        Err(_) => Err(AttemptFailure::new(Class::Connect, "no connection in time")),
    }
}

/// Sends the request and reads the head. A provider that answers before it has read everything (a 413, say) may close
/// its side early: then its answer counts, not the failed write.
async fn round_trip(connection: &mut Connection, head: &[u8], body: &[Bytes]) -> Result<ResponseHead, H1Error> {
    let sent = connection.send(head, body).await;
    match (connection.head().await, sent) {
        (Err(_), Err(error)) => Err(error),
        (answer, _) => answer,
    }
}

fn request_head(target: &Target, credential: Option<&Head>, asking: Asking<'_>) -> Vec<u8> {
    let length: usize = asking.body.iter().map(Bytes::len).sum();
    let fixed = credential.map_or("", |head| head.text.expose());
    let mut head = Vec::with_capacity(fixed.len() + asking.fields[0].len() + 160);
    head.extend_from_slice(b"POST ");
    target.path(asking.purpose).write(&mut head, asking.model);
    head.extend_from_slice(b" HTTP/1.1\r\n");
    head.extend_from_slice(fixed.as_bytes());
    for fields in asking.fields {
        head.extend_from_slice(fields.as_bytes());
    }
    head.extend_from_slice(b"content-length: ");
    push_digits(&mut head, length as u64);
    head.extend_from_slice(b"\r\n\r\n");
    head
}
