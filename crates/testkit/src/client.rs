//! A plain HTTP/1.1 client: it sends what it is given and shows what came, byte for byte.

use std::time::Duration;

use net::deadline::after;
use net::io::BoxIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

/// How long a test waits, in the time of the runtime, before it fails.
pub const PATIENCE: Duration = Duration::from_secs(3_600);

/// Returns the time of the runtime, for measuring how long something took in it.
pub fn now() -> Instant {
    after(Duration::ZERO)
}

/// One connection to the gateway.
pub struct Client {
    io: BoxIo,
    buffer: Vec<u8>,
}

/// The head of a reply.
#[derive(Clone, Debug)]
pub struct Head {
    /// Its status.
    pub status: u16,
    /// Its headers; names are lower case.
    pub headers: Vec<(String, String)>,
}

/// A whole reply.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Its status.
    pub status: u16,
    /// Its headers; names are lower case.
    pub headers: Vec<(String, String)>,
    /// Its body, without framing.
    pub body: Vec<u8>,
    /// Whether the body came to its end; a stream may break off.
    pub whole: bool,
}

impl Head {
    /// Returns the value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

impl Reply {
    /// Returns the value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// Returns the body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }

    /// Returns the body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// Returns the code of an error, after checking its form: four members, the code in the header, a request id.
    pub fn code(&self) -> String {
        let json = self.json();
        let error = json.get("error").and_then(|error| error.as_object()).expect("an error");
        let members: Vec<&str> = error.keys().map(String::as_str).collect();
        assert_eq!(members, ["message", "type", "param", "code"]);
        let code = error.get("code").and_then(|code| code.as_str()).expect("a code").to_owned();
        assert_eq!(self.header("x-crossway-error-code"), Some(code.as_str()));
        assert_eq!(self.header("content-type"), Some("application/json"));
        assert!(self.header("x-request-id").is_some_and(|id| id.starts_with("req_")), "{:?}", self.headers);
        code
    }

    /// Returns the message of an error.
    pub fn message(&self) -> String {
        self.json().pointer("/error/message").and_then(|message| message.as_str()).expect("a message").to_owned()
    }

    /// Returns the data of the events of a stream, in order.
    pub fn events(&self) -> Vec<String> {
        let text = self.text().replace("\r\n", "\n").replace('\r', "\n");
        let data = |event: &str| {
            let lines = event.lines().filter_map(|line| line.strip_prefix("data:"));
            lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n")
        };
        text.split("\n\n").map(data).filter(|data| !data.is_empty()).collect()
    }

    /// Returns the contents of a stream, joined.
    pub fn content(&self) -> String {
        let events = self.events();
        let chunks = events.iter().filter_map(|event| serde_json::from_str::<serde_json::Value>(event).ok());
        chunks.filter_map(|chunk| Some(chunk.pointer("/choices/0/delta/content")?.as_str()?.to_owned())).collect()
    }
}

impl Client {
    /// Takes over a connection.
    pub fn new(io: BoxIo) -> Self {
        Self { io, buffer: Vec::new() }
    }

    /// Sends bytes as they are. A peer that has closed is no error here: what it said can still be read.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = tokio::time::timeout(PATIENCE, self.io.write_all(bytes.as_ref())).await.expect("the gateway reads");
    }

    /// Sends a request with a body of declared length. `fields` are further header lines, each with its line end.
    pub async fn request(&mut self, line: &str, fields: &str, body: &[u8]) {
        let head = format!("{line} HTTP/1.1\r\nhost: gateway.test\r\n{fields}content-length: {}\r\n\r\n", body.len());
        self.send(head).await;
        self.send(body).await;
    }

    /// Reads the head of a reply.
    pub async fn head(&mut self) -> Head {
        loop {
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                let head: Vec<u8> = self.buffer.drain(..end + 4).collect();
                return parse(&String::from_utf8(head).expect("a head is text"));
            }
            assert!(self.read().await, "closed before a head: {:?}", String::from_utf8_lossy(&self.buffer));
        }
    }

    /// Reads one chunk of a chunked body, `None` at its end or when it breaks off (then `broken` is set).
    pub async fn chunk(&mut self) -> Result<Option<Vec<u8>>, Broken> {
        loop {
            if let Some(line) = self.buffer.windows(2).position(|window| window == b"\r\n") {
                let size = String::from_utf8_lossy(self.buffer.get(..line).unwrap_or_default()).into_owned();
                let size = usize::from_str_radix(&size, 16).expect("a chunk's size");
                if self.buffer.len() >= line + 2 + size + 2 {
                    let chunk: Vec<u8> = self.buffer.drain(..line + 2 + size + 2).collect();
                    let data = chunk.get(line + 2..line + 2 + size).unwrap_or_default().to_vec();
                    return Ok((size > 0).then_some(data));
                }
            }
            if !self.read().await {
                return Err(Broken);
            }
        }
    }

    /// Reads chunks until the body holds a text.
    pub async fn read_until(&mut self, text: &str) -> String {
        let mut seen = Vec::new();
        loop {
            let piece = self.chunk().await.expect("the stream goes on").expect("the stream goes on");
            seen.extend_from_slice(&piece);
            if seen.windows(text.len()).any(|window| window == text.as_bytes()) {
                return String::from_utf8(seen).expect("a stream is text");
            }
        }
    }

    /// Reads a whole reply.
    pub async fn reply(&mut self) -> Reply {
        let head = self.head().await;
        self.rest(head).await
    }

    /// Reads the rest of a reply.
    pub async fn rest(&mut self, head: Head) -> Reply {
        let (mut body, mut whole) = (Vec::new(), true);
        if let Some(length) = head.header("content-length") {
            let length: usize = length.parse().expect("a length");
            while self.buffer.len() < length {
                assert!(self.read().await, "closed inside a body");
            }
            body.extend(self.buffer.drain(..length));
        } else if head.header("transfer-encoding").is_some() {
            loop {
                match self.chunk().await {
                    Ok(Some(data)) => body.extend_from_slice(&data),
                    Ok(None) => break,
                    Err(Broken) => {
                        whole = false;
                        break;
                    }
                }
            }
        }
        Reply { status: head.status, headers: head.headers, body, whole }
    }

    /// Reads until so many bytes have come, or the gateway closes. What it has sent beyond them stays in the pipe.
    pub async fn read_bytes(&mut self, count: usize) {
        let mut left = count;
        let mut piece = [0; 4096];
        while left > 0 {
            let part = piece.get_mut(..left.min(4096)).unwrap_or_default();
            let read = tokio::time::timeout(PATIENCE, self.io.read(part)).await.expect("the gateway answers");
            match read {
                Ok(length) if length > 0 => left -= length,
                _ => return,
            }
        }
    }

    /// Reads until the gateway closes and returns all of it.
    pub async fn read_to_end(&mut self) -> Vec<u8> {
        while self.read().await {}
        std::mem::take(&mut self.buffer)
    }

    async fn read(&mut self) -> bool {
        let mut piece = [0; 4096];
        let read = tokio::time::timeout(PATIENCE, self.io.read(&mut piece)).await.expect("the gateway answers");
        let length = read.unwrap_or(0);
        self.buffer.extend_from_slice(piece.get(..length).unwrap_or_default());
        length > 0
    }
}

/// The connection closed inside a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

fn parse(head: &str) -> Head {
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("a status");
    let headers = lines.filter_map(|line| line.split_once(": "));
    Head { status, headers: headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect() }
}
