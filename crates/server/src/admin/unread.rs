//! Heads that cannot be read. hyper answers them itself, with a status and no body, before there is a request that a
//! handler could be given: here such an answer gets the body and the headers that every error has.

use std::fmt::Write as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use ir::id::RequestId;
use policy::clock::Clock;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::frame::mark;
use super::problem::{Code, Problem};

/// Wraps a connection: answers without a word are replaced as they are written.
pub(super) struct Explained<T> {
    inner: T,
    clock: Clock,
    /// What is written in place of hyper's answer, and how much of it is.
    instead: Option<(Vec<u8>, usize)>,
}

impl<T> Explained<T> {
    /// Wraps a connection.
    pub(super) fn new(inner: T, clock: Clock) -> Self {
        Self { inner, clock, instead: None }
    }
}

/// Returns what is said in place of an answer that says nothing; `None` for every other one.
fn explanation(written: &[u8], clock: &Clock) -> Option<Vec<u8>> {
    // No handler answers an error without a body, so that this is hyper's.
    let head = written.strip_prefix(b"HTTP/1.1 4").and_then(|rest| std::str::from_utf8(rest).ok())?;
    let (line, fields) = head.strip_suffix("\r\n\r\n")?.split_once("\r\n")?;
    if fields.contains("\r\n\r\n") || !fields.split("\r\n").any(|field| field == "content-length: 0") {
        return None;
    }
    let message = match line.get(..2) {
        Some("14") => "the request target is too long",
        Some("31") => "the request's head is larger than 65536 bytes or has more than 100 fields",
        _ => "the request's head is not one of HTTP/1.1: its first line, a header or its framing is invalid",
    };
    let id = RequestId::new(clock.unix_ms());
    let body = Problem::new(Code::InvalidRequest, message).body(id);
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    mark(&mut headers, id);
    let mut answer = format!("HTTP/1.1 4{line}\r\n");
    for field in fields.split("\r\n").filter(|field| *field != "content-length: 0") {
        // Writing to a string cannot fail.
        let _ = write!(answer, "{field}\r\n");
    }
    for (name, value) in &headers {
        let _ = write!(answer, "{name}: {}\r\n", value.to_str().unwrap_or_default());
    }
    let _ = write!(answer, "content-length: {}\r\n\r\n", body.len());
    Some([answer.into_bytes(), body].concat())
}

impl<T: AsyncRead + Unpin> AsyncRead for Explained<T> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Explained<T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.instead.is_none() {
            this.instead = explanation(buf, &this.clock).map(|answer| (answer, 0));
        }
        let Some((answer, written)) = &mut this.instead else {
            return Pin::new(&mut this.inner).poll_write(context, buf);
        };
        while let Some(rest) = answer.get(*written..).filter(|rest| !rest.is_empty()) {
            match ready!(Pin::new(&mut this.inner).poll_write(context, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                more => *written += more,
            }
        }
        this.instead = None;
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match bufs {
            // An answer without a body is one piece.
            [one] => self.poll_write(context, one),
            several => Pin::new(&mut self.inner).poll_write_vectored(context, several),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_that_says_nothing_is_replaced() {
        let said = |written: &str| {
            explanation(written.as_bytes(), &Clock::system()).map(|answer| String::from_utf8(answer).unwrap())
        };
        let text =
            said("HTTP/1.1 414 URI Too Long\r\nconnection: close\r\ncontent-length: 0\r\ndate: x\r\n\r\n").unwrap();
        assert!(
            text.starts_with("HTTP/1.1 414 URI Too Long\r\nconnection: close\r\ndate: x\r\ncontent-type: "),
            "{text}"
        );
        assert!(text.contains("the request target is too long") && !text.contains("content-length: 0\r\n"), "{text}");
        for other in [
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}",
            "HTTP/1.1 404 Not Found\r\ncontent-length: 40\r\n\r\nHTTP/1.1 400 X\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 4",
            "",
        ] {
            assert_eq!(said(other), None, "{other}");
        }
    }
}
