//! A provider that follows scripts, and remembers every request.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use net::connector::{ConnectError, Connecting, Connector, Origin};
use net::io::BoxIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, duplex};
use tokio::sync::watch;

use crate::data;
use crate::pipe::Resettable;
use crate::script::{Script, Step};

/// What a pipe to a provider holds.
const PIPE_BYTES: usize = 16 << 10;

/// One request that a provider got.
#[derive(Clone, Debug, Default)]
pub struct Received {
    /// Its head, as it came.
    pub head: String,
    /// Its body.
    pub body: Bytes,
    /// Whether the gateway closed the connection before the script was over.
    pub cancelled: bool,
    /// How many bytes of the answer were taken.
    pub sent: usize,
    /// Whether the script is over.
    pub over: bool,
}

impl Received {
    /// Returns the value of a header; names in requests of the gateway are lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// Returns the body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("the gateway sends JSON")
    }
}

/// A provider. The last script is repeated.
pub struct Provider {
    scripts: Mutex<VecDeque<Script>>,
    journal: watch::Sender<Vec<Received>>,
    connections: Mutex<usize>,
}

impl Provider {
    /// Returns a provider that follows one script after the other.
    pub fn new(scripts: Vec<Script>) -> Arc<Self> {
        let journal = watch::Sender::new(Vec::new());
        Arc::new(Self { scripts: Mutex::new(scripts.into()), journal, connections: Mutex::new(0) })
    }

    /// Returns every request so far.
    pub fn requests(&self) -> Vec<Received> {
        self.journal.borrow().clone()
    }

    /// Returns the only request.
    pub fn request(&self) -> Received {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "one request");
        requests.remove(0)
    }

    /// Returns how many connections were opened.
    pub fn connections(&self) -> usize {
        *self.connections.lock().expect("no test panics with it")
    }

    /// Waits until the journal is as wanted.
    pub async fn wait(&self, wanted: impl FnMut(&Vec<Received>) -> bool) {
        let mut journal = self.journal.subscribe();
        let waiting = tokio::time::timeout(crate::client::PATIENCE, journal.wait_for(wanted));
        assert!(waiting.await.is_ok_and(|found| found.is_ok()), "the provider never saw that");
    }

    /// Waits for a number of requests.
    pub async fn received(&self, count: usize) {
        self.wait(|journal| journal.len() >= count).await;
    }

    /// Waits until the gateway has closed the connection of the last request.
    pub async fn cancelled(&self) {
        self.wait(|journal| journal.last().is_some_and(|last| last.cancelled)).await;
    }

    /// Returns the next script if it concerns the connection itself.
    fn connecting(&self) -> Option<Script> {
        *self.connections.lock().expect("no test panics with it") += 1;
        let next = self.scripts.lock().expect("no test panics with it").front().cloned();
        next.filter(|script| !matches!(script, Script::Steps(_))).map(|_| self.next())
    }

    fn next(&self) -> Script {
        let mut scripts = self.scripts.lock().expect("no test panics with it");
        if scripts.len() > 1 { scripts.pop_front() } else { scripts.front().cloned() }.expect("a script")
    }

    /// Serves one connection until it is closed.
    pub async fn serve<I>(self: Arc<Self>, io: I, reset: Arc<AtomicBool>)
    where
        I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (mut reader, mut writer) = tokio::io::split(io);
        let mut buffer = Vec::new();
        while let Some((head, body)) = read_request(&mut reader, &mut buffer).await {
            let index = self.journal.borrow().len();
            let received = Received { head, body, ..Received::default() };
            self.journal.send_modify(|journal| journal.push(received.clone()));
            let note = |change: &dyn Fn(&mut Received)| {
                self.journal.send_modify(|journal| {
                    if let Some(entry) = journal.get_mut(index) {
                        change(entry);
                    }
                });
            };
            let Script::Steps(steps) = self.next() else { return };
            let mut byte = [0];
            let goes_on = tokio::select! {
                goes_on = follow(steps, &received, &mut writer, &reset, &note) => goes_on,
                // Only a close can come here: the gateway does not send a request before the answer.
                read = reader.read(&mut byte) => {
                    assert!(read.map_or(true, |length| length == 0), "the gateway sent more than a request");
                    note(&|entry| entry.cancelled = true);
                    return;
                }
            };
            match goes_on {
                Ok(true) => note(&|entry| entry.over = true),
                Ok(false) => return note(&|entry| entry.over = true),
                Err(_) => return note(&|entry| entry.cancelled = true),
            }
        }
    }
}

/// Changes what the journal says of the request.
type Note<'a> = dyn Fn(&dyn Fn(&mut Received)) + Sync + 'a;

/// Makes the steps; returns whether the connection goes on.
async fn follow<W: AsyncWrite + Unpin>(
    steps: Vec<Step>,
    request: &Received,
    writer: &mut W,
    reset: &AtomicBool,
    note: &Note<'_>,
) -> io::Result<bool> {
    for step in steps {
        let (bytes, size, again) = match step {
            Step::Send(bytes) => (bytes, usize::MAX, false),
            Step::Cut(bytes, size) => (bytes, size, false),
            Step::Flood(bytes) => (bytes, usize::MAX, true),
            Step::Echo => {
                let body = data::completion(&String::from_utf8_lossy(&request.body));
                let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length";
                (Bytes::from(format!("{head}: {}\r\n\r\n{body}", body.len())), usize::MAX, false)
            }
            Step::Wait(time) => {
                tokio::time::sleep(time).await;
                continue;
            }
            Step::Until(told) => {
                told.notified().await;
                continue;
            }
            Step::Do(call) => {
                call();
                continue;
            }
            Step::Stall => std::future::pending().await,
            Step::Close => return Ok(false),
            Step::Reset => {
                reset.store(true, Ordering::Relaxed);
                return Ok(false);
            }
        };
        loop {
            for piece in bytes.chunks(size.min(1 << 20)) {
                let mut rest = piece;
                while !rest.is_empty() {
                    let written = writer.write(rest).await?;
                    note(&|entry| entry.sent += written);
                    rest = rest.get(written..).unwrap_or_default();
                }
                if size < usize::MAX {
                    // So that the gateway reads each segment on its own.
                    tokio::task::yield_now().await;
                }
            }
            if !again {
                break;
            }
        }
    }
    Ok(true)
}

async fn read_request<R: AsyncRead + Unpin>(reader: &mut R, buffer: &mut Vec<u8>) -> Option<(String, Bytes)> {
    let mut piece = [0; 4096];
    loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(buffer.get(..end)?).into_owned();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            let whole = end + 4 + length.unwrap_or(0);
            if buffer.len() >= whole {
                let request: Vec<u8> = buffer.drain(..whole).collect();
                return Some((head, Bytes::from(request).slice(end + 4..)));
            }
        }
        match reader.read(&mut piece).await {
            Ok(length) if length > 0 => buffer.extend_from_slice(piece.get(..length)?),
            _ => return None,
        }
    }
}

/// Connects to scripted hosts: `NAME.test`, as in the base URL of a provider, or an address.
#[derive(Default)]
pub struct Scripted {
    /// The hosts by their names.
    pub hosts: HashMap<String, Arc<Provider>>,
    /// Those whose name leads to a private address.
    pub private: HashSet<String>,
}

/// Returns the name of a host.
fn name(origin: &Origin) -> &str {
    origin.host.strip_suffix(".test").unwrap_or(&origin.host)
}

impl Connector for Scripted {
    fn connect<'a>(&'a self, origin: &'a Origin) -> Connecting<'a> {
        let provider = self.hosts.get(name(origin)).map(Arc::clone);
        Box::pin(async move {
            let Some(provider) = provider else {
                return Err(ConnectError::Dns(io::ErrorKind::NotFound.into()));
            };
            match provider.connecting() {
                Some(Script::Refuse) => return Err(io::Error::from(io::ErrorKind::ConnectionRefused).into()),
                Some(Script::Unreachable) => std::future::pending().await,
                Some(Script::Panic) => panic!("the script says so"),
                Some(Script::Steps(_)) | None => {}
            }
            let (ours, theirs) = duplex(PIPE_BYTES);
            let reset = Arc::new(AtomicBool::new(false));
            let serving = provider.serve(theirs, Arc::clone(&reset));
            #[expect(clippy::disallowed_methods, reason = "the task ends with its connection")]
            tokio::spawn(serving);
            Ok(Box::new(Resettable { io: ours, reset }) as BoxIo)
        })
    }

    fn connect_public<'a>(&'a self, origin: &'a Origin) -> Connecting<'a> {
        if self.private.contains(name(origin)) {
            return Box::pin(async { Err(ConnectError::Private) });
        }
        self.connect(origin)
    }
}
