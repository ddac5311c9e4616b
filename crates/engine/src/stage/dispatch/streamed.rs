//! One try of a stream, up to its first content.

use bytes::Bytes;
use dialect::lane::read_error;
use dialect::lane::stream::ReplyStream;
use dialect::meta::{self, Route};
use dialect::passed::Progress;
use dialect::splice::events::MAX_EVENT_BYTES;
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
use super::letter::Letter;

/// More bytes than any stream sends before it says something: its first content may be the largest event there is.
const MAX_PREAMBLE_BYTES: usize = MAX_EVENT_BYTES + (1 << 20);

/// The largest body that is read when a stream was asked for and something else came.
const MAX_OTHER_BYTES: usize = 256 << 10;

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
    let named = is_stream(target.dialect, head.get("content-type").unwrap_or_default());
    let (opening, begun) = opening(&mut connection, target.dialect, deadline).await?;
    if !begun.unwrap_or(named) {
        return Err(not_a_stream(target, connection, opening, deadline).await.compressed(&head));
    }
    let mut first = Some(opening).filter(|bytes| !bytes.is_empty());
    let meta_key = errand.meta_key();
    let mut block = Vec::with_capacity(192);
    meta::render(&mut block, meta_key, &route, None);
    let (surface, label) = (errand.surface, letter.label(errand.call));
    let mut stream = ReplyStream::new(surface, target.dialect, meta_key, block, errand.wants_usage, &label);
    if let Some(watch) = errand.watch {
        stream = stream.guarded(watch);
    }
    let mut out = Vec::new();
    let mut seen = 0;
    loop {
        let bytes = match first.take() {
            Some(bytes) => Some(bytes),
            None => next(&mut connection, deadline).await?,
        };
        let progress = match bytes {
            Some(bytes) => {
                seen += bytes.len();
                stream.push(bytes, &mut out)
            }
            None => stream.end(&mut out),
        };
        let has_content = stream.passed().has_content;
        if progress == Progress::Complete && stream.passed().is_nothing() {
            return Err(AttemptFailure::new(Class::Broken, "the stream ended before its first content"));
        }
        let progress = match progress {
            // What a guard holds back is no content yet, but it is no nothing.
            Progress::More if stream.passed().content_bytes == 0 && !has_content && seen > MAX_PREAMBLE_BYTES => {
                return Err(AttemptFailure::new(Class::Malformed, "the stream begins with megabytes of nothing"));
            }
            Progress::More if !has_content => continue,
            progress @ (Progress::More | Progress::Complete | Progress::Blocked(_)) => progress,
            Progress::Failed(report) if report == Report::default() => {
                let failure = AttemptFailure::new(Class::Broken, "the stream ended before its first content");
                return Err(failure.compressed(&head));
            }
            Progress::Failed(report) => return Err(in_band(target, report)),
            Progress::Malformed(detail) => return Err(AttemptFailure::new(Class::Malformed, detail)),
            Progress::TooLarge => return Err(AttemptFailure::new(Class::Malformed, "an event is too large")),
        };
        let policy = route.policy.map(Into::into);
        let (asked, heard) = Default::default();
        return Ok((head, Begun { connection, stream, out, progress, policy, asked, heard }));
    }
}

/// Whether a content type is the one of a dialect's streams.
fn is_stream(dialect: Dialect, kind: &str) -> bool {
    let kind = kind.split(';').next().unwrap_or_default().trim();
    match dialect {
        Dialect::Ollama => {
            kind.eq_ignore_ascii_case("application/x-ndjson") || kind.eq_ignore_ascii_case("application/json")
        }
        _ => kind.eq_ignore_ascii_case("text/event-stream"),
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
        match begins_stream(dialect, &read) {
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

/// What the first bytes of a body say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opening {
    /// A stream begins.
    Stream,
    /// Something else does, such as an error: no line of a stream begins like this.
    Other,
    /// It may be a stream if it is called one.
    Unclear,
    /// Nothing yet.
    Blank,
    /// It may end within a word.
    Short,
}

/// Judges the first bytes of an answer: servers exist that name no type, or the one of plain text, for a stream, and
/// others that call an error a stream.
fn begins_stream(dialect: Dialect, bytes: &[u8]) -> Opening {
    const MARK: &[u8] = "\u{feff}".as_bytes();
    if !bytes.is_empty() && bytes.len() < MARK.len() && MARK.starts_with(bytes) {
        return Opening::Short;
    }
    let bytes = bytes.strip_prefix(MARK).unwrap_or(bytes).trim_ascii_start();
    if bytes.is_empty() {
        return Opening::Blank;
    }
    if dialect == Dialect::Ollama {
        return if bytes.starts_with(b"{") { Opening::Stream } else { Opening::Unclear };
    }
    if bytes.starts_with(b"{") || bytes.starts_with(b"[") {
        return Opening::Other;
    }
    let fields = [&b"data:"[..], b"event:", b"id:", b"retry:", b":"];
    if fields.iter().any(|field| bytes.starts_with(field)) {
        Opening::Stream
    } else if fields.iter().any(|field| field.starts_with(bytes)) {
        Opening::Short
    } else {
        Opening::Unclear
    }
}

/// Returns the next bytes of the body; `None` at its end.
async fn next(connection: &mut Connection, deadline: Instant) -> Result<Option<Bytes>, AttemptFailure> {
    match timeout_at(deadline, connection.data()).await {
        Err(_) => Err(AttemptFailure::new(Class::Timeout, "no content in time")),
        Ok(read) => read.transpose().map_err(|error| transport_failure(&error)),
    }
}

/// Judges what came instead of a stream.
async fn not_a_stream(target: &Target, mut connection: Connection, first: Bytes, deadline: Instant) -> AttemptFailure {
    match timeout_at(deadline, connection.collect(MAX_OTHER_BYTES)).await {
        Ok(Ok(rest)) => {
            let report = read_error(target.dialect, &[first, rest].concat());
            if report == Report::default() {
                AttemptFailure::new(Class::Malformed, "a stream was asked for and something else came")
            } else {
                in_band(target, report)
            }
        }
        Ok(Err(error)) => transport_failure(&error),
        Err(_) => AttemptFailure::new(Class::Timeout, "no content in time"),
    }
}
