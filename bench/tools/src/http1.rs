//! Reading HTTP/1.1 messages from a socket into one buffer that is used again.
use std::io;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// A connection's unread bytes: `buf[pos..]`.
#[derive(Default)]
pub struct Input {
    buf: Vec<u8>,
    pos: usize,
}

/// How a message's body ends.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Length {
    Bytes(usize),
    Chunked,
    UntilClose,
}

/// A message's first line and the few header fields that matter here.
#[derive(Debug)]
pub struct Head {
    pub line: String,
    pub length: Length,
    pub close: bool,
    pub expect: bool,
    pub id: Option<String>,
}

impl Head {
    pub fn status(&self) -> u16 {
        self.line.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0)
    }
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

impl Input {
    fn rest(&self) -> &[u8] {
        &self.buf[self.pos..]
    }

    /// Reads once more; false at the end of the input.
    async fn fill(&mut self, s: &mut TcpStream) -> io::Result<bool> {
        if self.pos == self.buf.len() {
            self.buf.clear();
            self.pos = 0;
        } else if self.pos > 64 * 1024 {
            self.buf.drain(..self.pos);
            self.pos = 0;
        }
        self.buf.reserve(4096);
        Ok(s.read_buf(&mut self.buf).await? > 0)
    }

    /// Gives the buffer back when it is empty, so that a held connection costs little.
    pub fn release(&mut self) {
        if self.rest().is_empty() {
            *self = Self::default();
        }
    }

    /// The next head; `None` when the peer closed between messages.
    pub async fn head(&mut self, s: &mut TcpStream, request: bool) -> io::Result<Option<Head>> {
        loop {
            if let Some(end) = memchr::memmem::find(self.rest(), b"\r\n\r\n") {
                let head = parse_head(&self.rest()[..end], request)?;
                self.pos += end + 4;
                return Ok(Some(head));
            }
            if self.rest().len() > 64 * 1024 {
                return Err(bad("head too long"));
            }
            if !self.fill(s).await? {
                return if self.rest().is_empty() { Ok(None) } else { Err(bad("closed inside a head")) };
            }
        }
    }

    /// Calls `piece` with every piece of the body's data as it arrives.
    pub async fn body(&mut self, s: &mut TcpStream, length: Length, mut piece: impl FnMut(&[u8])) -> io::Result<()> {
        match length {
            Length::Bytes(n) => self.counted(s, n, &mut piece).await,
            Length::UntilClose => loop {
                if !self.rest().is_empty() {
                    piece(self.rest());
                    self.pos = self.buf.len();
                }
                if !self.fill(s).await? {
                    return Ok(());
                }
            },
            Length::Chunked => loop {
                let line = self.line(s).await?;
                let size = line.split(';').next().unwrap_or("").trim();
                let n = usize::from_str_radix(size, 16).map_err(|_| bad("chunk size"))?;
                if n == 0 {
                    while !self.line(s).await?.is_empty() {}
                    return Ok(());
                }
                self.counted(s, n, &mut piece).await?;
                if !self.line(s).await?.is_empty() {
                    return Err(bad("chunk end"));
                }
            },
        }
    }

    async fn counted(&mut self, s: &mut TcpStream, mut n: usize, piece: &mut impl FnMut(&[u8])) -> io::Result<()> {
        while n > 0 {
            if self.rest().is_empty() && !self.fill(s).await? {
                return Err(bad("closed inside a body"));
            }
            let take = n.min(self.rest().len());
            piece(&self.rest()[..take]);
            self.pos += take;
            n -= take;
        }
        Ok(())
    }

    async fn line(&mut self, s: &mut TcpStream) -> io::Result<String> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', self.rest()) {
                let line = String::from_utf8_lossy(&self.rest()[..end]).trim_end().to_owned();
                self.pos += end + 1;
                return Ok(line);
            }
            if !self.fill(s).await? {
                return Err(bad("closed inside a line"));
            }
        }
    }
}

fn parse_head(text: &[u8], request: bool) -> io::Result<Head> {
    let text = std::str::from_utf8(text).map_err(|_| bad("head is not UTF-8"))?;
    let mut lines = text.split("\r\n");
    let line = lines.next().unwrap_or("").to_owned();
    let length = if request { Length::Bytes(0) } else { Length::UntilClose };
    let mut head = Head { line, length, close: false, expect: false, id: None };
    for field in lines {
        let Some((name, value)) = field.split_once(':') else { return Err(bad("header field")) };
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            if head.length != Length::Chunked {
                head.length = Length::Bytes(value.parse().map_err(|_| bad("content-length"))?);
            }
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            head.length = Length::Chunked;
        } else if name.eq_ignore_ascii_case("connection") {
            head.close = value.eq_ignore_ascii_case("close");
        } else if name.eq_ignore_ascii_case("expect") {
            head.expect = true;
        } else if name.eq_ignore_ascii_case("x-bench-id") {
            head.id = Some(value.to_owned());
        }
    }
    if head.line.contains(" 204") && !request {
        head.length = Length::Bytes(0);
    }
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    #[tokio::test]
    async fn chunked_in_single_bytes() {
        let l = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = l.local_addr().unwrap();
        let writer = tokio::spawn(async move {
            let mut s = TcpStream::connect(addr).await.unwrap();
            s.set_nodelay(true).unwrap();
            for b in b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x\r\nhello\r\n1\r\n!\r\n0\r\n\r\n" {
                s.write_all(&[*b]).await.unwrap();
                tokio::task::yield_now().await;
            }
        });
        let (mut s, _) = l.accept().await.unwrap();
        let mut input = Input::default();
        let head = input.head(&mut s, false).await.unwrap().unwrap();
        assert_eq!((head.status(), head.length), (200, Length::Chunked));
        let mut got = vec![];
        input.body(&mut s, head.length, |p| got.extend_from_slice(p)).await.unwrap();
        assert_eq!(got, b"hello!");
        writer.await.unwrap();
    }
}
