//! One try of a stream, up to its first content.

use bytes::Bytes;
use dialect::lane::opening::{Opening, is_stream_type, judge};
use dialect::lane::read_error;
use dialect::lane::stream::ReplyStream;
use dialect::meta::{self, Route};
use dialect::passed::Progress;
use dialect::splice::events::MAX_EVENT_BYTES;
use dialect::translate::NotAReply;
use ir::dialect::Dialect;
use ir::report::Report;
use net::deadline::after;
use net::h1::{Connection, ResponseHead};
use policy::clock::Monotonic;
use tokio::time::{Instant, timeout_at};
use upstream::attempt::{exchange, transport_failure};
use upstream::classify::in_band;
use upstream::failure::{AttemptFailure, Class};
use upstream::target::{Purpose, Target};

use super::Run;
use super::attempt::Errand;
use super::buffered::whole_body;
use super::letter::Letter;

/// More bytes than any stream sends before it says something: its first content may be the largest event there is.
const MAX_PREAMBLE_BYTES: usize = MAX_EVENT_BYTES + (1 << 20);

/// A stream whose first content is there.
pub struct Begun {
    /// The connection with the rest of it.
    pub connection: Connection,
    /// The machine that it runs through.
    pub stream: ReplyStream,
    /// What may go to the caller already.
    pub out: Vec<Bytes>,
    /// What it amounts to already.
    pub progress: Progress,
    /// The policy that chose the target.
    pub policy: Option<Box<str>>,
    /// When the target was asked.
    pub asked: Monotonic,
    /// When its first content was there.
    pub heard: Monotonic,
}

/// Asks a target and reads its answer up to the first content.
pub(super) async fn ask(
    run: &Run<'_>,
    errand: Errand<'_>,
    target: &Target,
    letter: &Letter<'_>,
    route: Route<'_>,
) -> Result<(ResponseHead, Begun), AttemptFailure> {
    let deadline = run.deadline.min(after(target.timeouts.first_token));
    let answer = exchange(
        target,
        run.worker.surroundings(),
        letter.asking(errand.call, target.dialect, Purpose::ChatStream),
        deadline,
    )
    .await?;
    let (mut connection, head) = (answer.connection, answer.head);
    let named = is_stream_type(target.dialect, head.get("content-type").unwrap_or_default());
    let (first, begun) = opening(&mut connection, target.dialect, deadline).await?;
    let meta_key = errand.meta_key();
    let mut block = Vec::with_capacity(192);
    meta::render(&mut block, meta_key, &route, None);
    let (surface, label) = (errand.surface, letter.label(errand.call));
    let (first, mut stream) = if begun.unwrap_or(named) {
        let stream = ReplyStream::new(surface, target.dialect, meta_key, block, errand.wants_usage, &label);
        (Some(first).filter(|bytes| !bytes.is_empty()), stream)
    } else {
        let body = whole_body(&mut connection, first, target.timeouts.idle, run.deadline).await?;
        let said = (target.dialect, &*body);
        let stream = ReplyStream::whole(surface, said, meta_key, block, errand.wants_usage, &label);
        (None, stream.map_err(|why| not_a_stream(target, &body, why).compressed(&head))?)
    };
    if let Some(watch) = errand.watch {
        stream = stream.guarded(watch);
    }
    let policy = route.policy.map(Into::into);
    let begun = Begun {
        connection,
        stream,
        out: Vec::new(),
        progress: Progress::More,
        policy,
        asked: Monotonic::default(),
        heard: Monotonic::default(),
    };
    let begun = up_to_content(target, begun, first, (&head, deadline)).await?;
    Ok((head, begun))
}

/// Reads an answer, whose first bytes may be there, up to its first content.
async fn up_to_content(
    target: &Target,
    mut begun: Begun,
    mut first: Option<Bytes>,
    (head, deadline): (&ResponseHead, Instant),
) -> Result<Begun, AttemptFailure> {
    let mut seen = 0;
    loop {
        let bytes = match first.take() {
            Some(bytes) => Some(bytes),
            None => next(&mut begun.connection, deadline).await?,
        };
        let (stream, out) = (&mut begun.stream, &mut begun.out);
        let progress = match bytes {
            Some(bytes) => {
                seen += bytes.len();
                stream.push(bytes, out)
            }
            None => stream.end(out),
        };
        let has_content = stream.passed().has_content;
        if progress == Progress::Complete && stream.passed().is_nothing() {
            return Err(AttemptFailure::new(Class::Broken, "the stream ended before its first content"));
        }
        begun.progress = match progress {
            // What a guard holds back is no content yet, but it is no nothing.
            Progress::More if stream.passed().content_bytes == 0 && !has_content && seen > MAX_PREAMBLE_BYTES => {
                return Err(AttemptFailure::new(Class::Malformed, "the stream begins with megabytes of nothing"));
            }
            Progress::More if !has_content => continue,
            progress @ (Progress::More | Progress::Complete | Progress::Blocked(_)) => progress,
            Progress::Failed(report) if report == Report::default() => {
                let failure = AttemptFailure::new(Class::Broken, "the stream ended before its first content");
                return Err(failure.compressed(head));
            }
            Progress::Failed(report) => return Err(in_band(target, report)),
            Progress::Malformed(detail) => return Err(AttemptFailure::new(Class::Malformed, detail)),
            Progress::TooLarge => return Err(AttemptFailure::new(Class::Malformed, "an event is too large")),
        };
        return Ok(begun);
    }
}

/// Reads until it shows whether a stream begins; `None` when the body says nothing clear. Blank lines that come before
/// are dropped.
async fn opening(
    connection: &mut Connection,
    dialect: Dialect,
    deadline: Instant,
) -> Result<(Bytes, Option<bool>), AttemptFailure> {
    let (mut read, mut seen) = (Bytes::new(), 0);
    while let Some(piece) = next(connection, deadline).await? {
        seen += piece.len();
        read = if read.is_empty() { piece } else { [read, piece].concat().into() };
        match judge(dialect, &read) {
            Opening::Stream => return Ok((read, Some(true))),
            Opening::Other => return Ok((read, Some(false))),
            Opening::Unclear => return Ok((read, None)),
            Opening::Blank if seen > MAX_PREAMBLE_BYTES => {
                return Err(AttemptFailure::new(Class::Malformed, "the stream begins with megabytes of nothing"));
            }
            Opening::Blank => read = Bytes::new(),
            Opening::Short => {}
        }
    }
    Ok((read, None))
}

/// Returns the next bytes of the body; `None` at its end.
async fn next(connection: &mut Connection, deadline: Instant) -> Result<Option<Bytes>, AttemptFailure> {
    match timeout_at(deadline, connection.data()).await {
        Err(_) => Err(AttemptFailure::new(Class::Timeout, "no content in time")),
        Ok(read) => read.transpose().map_err(|error| transport_failure(&error)),
    }
}

/// Judges what came instead of a stream, and is no answer either.
fn not_a_stream(target: &Target, body: &[u8], why: NotAReply) -> AttemptFailure {
    let report = match why {
        NotAReply::Error(report) => report,
        NotAReply::Malformed(_) => read_error(target.dialect, body),
    };
    if report == Report::default() {
        AttemptFailure::new(Class::Malformed, "a stream was asked for and something else came")
    } else {
        in_band(target, report)
    }
}
