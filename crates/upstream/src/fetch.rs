//! Fetches what a caller names by URL, for providers that want the data itself.
//!
//! Every hop of the way passes the URL guard, and what comes back is bounded. A caller is told that it failed and in
//! which step, but nothing that the other side said.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ir::failure::Failure;
use net::connector::Connector;
use net::deadline::after;
use net::h1::Connection;
use net::url_guard::{Checked, check};
use tokio::time::{Instant, timeout_at};
use url::Url;

/// The largest thing that is fetched: what the strictest provider takes (Gemini: 20 MB of inline data per request).
const MAX_BYTES: usize = 20 << 20;

/// How long it may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// How often it may lead elsewhere.
const MAX_REDIRECTS: usize = 3;

/// How things are fetched.
#[derive(Clone, Copy)]
pub struct Fetcher<'a> {
    /// New connections.
    pub connector: &'a dyn Connector,
    /// Whether the operator lets callers name private addresses.
    pub allow_private: bool,
    /// Names the product and its version.
    pub user_agent: &'a str,
}

/// What was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// Such as `image/png`.
    pub media_type: String,
    /// Base64 with padding.
    pub data: String,
}

/// Fetches a picture, a sound, a film or a document.
///
/// # Errors
/// A 400 for the caller, without a field: only the caller of this knows which one it is.
pub async fn media(fetcher: Fetcher<'_>, url: &str, deadline: Instant) -> Result<Media, Failure> {
    let deadline = deadline.min(after(DEADLINE));
    match timeout_at(deadline, follow(fetcher, url)).await {
        Ok(fetched) => fetched,
        Err(_) => Err(failed("it did not arrive in time")),
    }
}

fn failed(why: &str) -> Failure {
    Failure::invalid("", format!("the URL could not be fetched: {why}"))
}

async fn follow(fetcher: Fetcher<'_>, url: &str) -> Result<Media, Failure> {
    let mut url = url.to_owned();
    for _ in 0..=MAX_REDIRECTS {
        let checked = check(&url, fetcher.allow_private).map_err(|refused| failed(&refused.to_string()))?;
        match get(fetcher, &checked).await? {
            Got::Media(media) => return Ok(media),
            Got::Elsewhere(next) => url = next.into(),
        }
    }
    Err(failed("it leads elsewhere too often"))
}

enum Got {
    Media(Media),
    Elsewhere(Url),
}

async fn get(fetcher: Fetcher<'_>, checked: &Checked) -> Result<Got, Failure> {
    let origin = &checked.origin;
    let connecting = match fetcher.allow_private {
        true => fetcher.connector.connect(origin),
        false => fetcher.connector.connect_public(origin),
    };
    let io = connecting.await.map_err(|_| failed("no connection to a public address could be made"))?;
    let mut connection = Connection::new(io);
    let head = format!(
        "GET {} HTTP/1.1\r\nhost: {}\r\nuser-agent: {}\r\naccept: */*\r\naccept-encoding: identity\r\nconnection: close\r\n\r\n",
        checked.target, checked.host, fetcher.user_agent
    );
    let broken = |_| failed("the answer could not be read");
    connection.send(head.as_bytes(), &[]).await.map_err(broken)?;
    let head = connection.head().await.map_err(broken)?;
    match head.status {
        200 => {}
        301 | 302 | 303 | 307 | 308 => {
            let next = head.get("location").and_then(|location| checked.url.join(location).ok());
            return next.map(Got::Elsewhere).ok_or_else(|| failed("it leads nowhere"));
        }
        _ => return Err(failed("the answer is not a success")),
    }
    let media_type = head.get("content-type").unwrap_or_default().split(';').next().unwrap_or_default();
    let media_type = media_type.trim().to_ascii_lowercase();
    if !is_media(&media_type) {
        return Err(failed("what is there is no picture, sound, film or document"));
    }
    let body = connection.collect(MAX_BYTES).await.map_err(|_| failed("it is larger than 20 MiB, or incomplete"))?;
    Ok(Got::Media(Media { media_type, data: STANDARD.encode(&body) }))
}

fn is_media(kind: &str) -> bool {
    let family = kind.split('/').next().unwrap_or_default();
    matches!(family, "image" | "audio" | "video") || matches!(kind, "application/pdf" | "text/plain")
}

#[cfg(test)]
mod tests {
    use net::connector::TcpConnector;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    async fn fetched(answer: &'static str, allow_private: bool) -> Result<Media, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = async {
            loop {
                let (mut peer, _) = listener.accept().await.unwrap();
                let mut asked = [0; 1_024];
                let _ = peer.read(&mut asked).await;
                peer.write_all(answer.as_bytes()).await.unwrap();
            }
        };
        let connector = TcpConnector::default();
        let fetcher = Fetcher { connector: &connector, allow_private, user_agent: "crossway/test" };
        let url = format!("http://127.0.0.1:{port}/a.png");
        tokio::select! {
            media = media(fetcher, &url, after(DEADLINE)) => media,
            () = server => unreachable!(),
        }
    }

    async fn refused(answer: &'static str, expect: &str) {
        let failure = fetched(answer, true).await.unwrap_err();
        assert_eq!((failure.status, failure.message), (400, format!("the URL could not be fetched: {expect}")));
    }

    #[tokio::test]
    async fn a_picture_comes_as_base64() {
        let answer = "HTTP/1.1 200 OK\r\ncontent-type: Image/PNG; x=y\r\ncontent-length: 3\r\n\r\nabc";
        let expect = Media { media_type: "image/png".to_owned(), data: "YWJj".to_owned() };
        assert_eq!(fetched(answer, true).await.unwrap(), expect);
    }

    #[tokio::test]
    async fn what_cannot_be_had_is_said_without_a_word_of_the_other_side() {
        let private = fetched("", false).await.unwrap_err();
        assert_eq!(private.message, "the URL could not be fetched: the address is not a public one");
        refused("HTTP/1.1 500 Oops\r\ncontent-length: 6\r\n\r\nsecret", "the answer is not a success").await;
        let page = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\nsecret";
        refused(page, "what is there is no picture, sound, film or document").await;
        let round = "HTTP/1.1 302 Found\r\nlocation: /b.png\r\ncontent-length: 0\r\n\r\n";
        refused(round, "it leads elsewhere too often").await;
        let away = "HTTP/1.1 302 Found\r\nlocation: file:///etc/passwd\r\ncontent-length: 0\r\n\r\n";
        refused(away, "not an http or https URL").await;
        let large = "HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-length: 99999999\r\n\r\n";
        refused(large, "it is larger than 20 MiB, or incomplete").await;
    }
}
