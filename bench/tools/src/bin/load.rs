//! Load generator, one thread.  Prints one JSON line; times in microseconds.
//!
//! load --addr 127.0.0.1:8080 --path /v1/chat/completions --body FILE [-H 'name: value']...
//!      [--conns 32] [--secs 5] [--count N] [--rate R] [--stream] [--events N] [--ids PREFIX] [--log FILE] [--hold N]
//!
//! closed loop  (default) each of --conns connections sends its next request when the last was answered
//! open loop    --rate R: requests are due at a fixed rate whatever the replies do, and every time counts from the
//!              moment the request was due, also while it waits for one of --conns connections
//! --stream     a reply is good only when it ends with [DONE] (and carried at least --events events)
//! --ids P      puts "P-0000000n" in place of the body's "user" value "bench-id-00000000"; --log writes one line a
//!              request: id, status, the reply's id, whether it was good
//! --hold N     opens N streams, prints {"open":N} when each has its first byte, then reads them to their end
use bench_tools::http1::Input;
use bench_tools::{json, stats::Times};
use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinHandle, spawn_local};

const PLACE: &[u8] = b"bench-id-00000000";

struct Cfg {
    addr: String,
    conns: usize,
    secs: f64,
    count: u64,
    rate: f64,
    stream: bool,
    events: u64,
    hold: usize,
    ids: Option<String>,
    log: Option<String>,
    request: Vec<u8>,
    place: Option<usize>,
}

#[derive(Default)]
struct Totals {
    n: u64,
    ok: u64,
    bad: u64,
    err: u64,
    bytes: u64,
    conns: u64,
    lat: Times,
    ttfb: Times,
    gap: Times,
    first_bad: String,
    log: String,
}

/// What a run's tasks share.
struct Run {
    cfg: Cfg,
    totals: RefCell<Totals>,
    next: Cell<u64>,
    open: Cell<usize>,
}

#[derive(Default)]
struct Conn {
    socket: Option<TcpStream>,
    input: Input,
}

/// One reply as it was read.
struct Reply {
    status: u16,
    close: bool,
    first: Option<Instant>,
    max_gap: Duration,
    bytes: u64,
    newlines: u64,
    /// the first 300 bytes and the last 64
    start: Vec<u8>,
    tail: Vec<u8>,
}

impl Reply {
    fn take(&mut self, piece: &[u8], last: &mut Instant) {
        let now = Instant::now();
        if self.first.is_none() {
            self.first = Some(now);
        } else {
            self.max_gap = self.max_gap.max(now - *last);
        }
        *last = now;
        self.bytes += piece.len() as u64;
        self.newlines += memchr::memchr_iter(b'\n', piece).count() as u64;
        let room = 300usize.saturating_sub(self.start.len()).min(piece.len());
        self.start.extend_from_slice(&piece[..room]);
        self.tail.extend_from_slice(&piece[piece.len().saturating_sub(64)..]);
        let extra = self.tail.len().saturating_sub(64);
        self.tail.drain(..extra);
    }

    fn good(&self, cfg: &Cfg) -> bool {
        let ended =
            !cfg.stream || (memchr::memmem::find(&self.tail, b"[DONE]").is_some() && self.newlines / 2 >= cfg.events);
        self.status == 200 && self.bytes > 0 && ended
    }
}

impl Run {
    /// The number of the next request, until --count is reached.
    fn ticket(&self) -> Option<u64> {
        let n = self.next.get();
        (n < self.cfg.count).then(|| self.next.replace(n + 1))
    }

    async fn exchange(&self, c: &mut Conn, n: u64) -> io::Result<Reply> {
        if c.socket.is_none() {
            let s = TcpStream::connect(&self.cfg.addr).await?;
            s.set_nodelay(true)?;
            c.input = Input::default();
            c.socket = Some(s);
            self.totals.borrow_mut().conns += 1;
        }
        let s = c.socket.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        match (&self.cfg.ids, self.cfg.place) {
            (Some(_), Some(at)) => {
                let mut request = self.cfg.request.clone();
                request[at..at + PLACE.len()].copy_from_slice(self.id(n).as_bytes());
                s.write_all(&request).await?;
            }
            _ => s.write_all(&self.cfg.request).await?,
        }
        let head = c.input.head(s, false).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let (status, close) = (head.status(), head.close);
        let (mut last, mut counted) = (Instant::now(), false);
        let (start, tail) = (vec![], vec![]);
        let mut r = Reply { status, close, first: None, max_gap: Duration::ZERO, bytes: 0, newlines: 0, start, tail };
        let body = c.input.body(s, head.length, |piece| {
            r.take(piece, &mut last);
            if self.cfg.hold > 0 && !counted {
                counted = true;
                self.opened();
            }
        });
        body.await?;
        Ok(r)
    }

    fn opened(&self) {
        self.open.set(self.open.get() + 1);
        if self.open.get() == self.cfg.hold {
            println!("{{\"open\":{}}}", self.cfg.hold);
        }
    }

    /// The id in place of the placeholder, of the same length.
    fn id(&self, n: u64) -> String {
        let prefix = self.cfg.ids.as_deref().unwrap_or("");
        format!("{prefix:-<8.8}-{n:08}")
    }

    /// One request from the moment it was due, with all its accounting.
    async fn one(&self, c: &mut Conn, n: u64, due: Instant) {
        let result = self.exchange(c, n).await;
        let end = Instant::now();
        let mut t = self.totals.borrow_mut();
        t.n += 1;
        let (status, good, start) = match result {
            Ok(r) => {
                let good = r.good(&self.cfg);
                t.bytes += r.bytes;
                if good {
                    t.ok += 1;
                    t.lat.push(end - due);
                    t.ttfb.push(r.first.unwrap_or(end) - due);
                    t.gap.push(r.max_gap);
                } else {
                    t.bad += 1;
                    if t.first_bad.is_empty() {
                        t.first_bad = format!("{} {}", r.status, String::from_utf8_lossy(&r.start));
                    }
                }
                if r.close {
                    c.socket = None;
                }
                (r.status, good, r.start)
            }
            Err(e) => {
                t.err += 1;
                if t.first_bad.is_empty() {
                    t.first_bad = e.to_string();
                }
                c.socket = None;
                (0, false, vec![])
            }
        };
        if self.cfg.log.is_some() {
            let reply = json::string(&start, "id").map(String::from_utf8_lossy).unwrap_or_default();
            let id = self.id(n);
            let _ = writeln!(t.log, "{id} {status} {} {good}", if reply.is_empty() { "-" } else { &reply });
        }
    }
}

fn closed(run: &Rc<Run>, end: Instant) -> Vec<JoinHandle<()>> {
    let one = |run: Rc<Run>| async move {
        let mut c = Conn::default();
        while Instant::now() < end {
            let Some(n) = run.ticket() else { return };
            run.one(&mut c, n, Instant::now()).await;
            if c.socket.is_none() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
    };
    (0..run.cfg.conns).map(|_| spawn_local(one(run.clone()))).collect()
}

/// A thread of its own sleeps until each request is due, because the runtime's timers only know milliseconds.
async fn open(run: &Rc<Run>, start: Instant, end: Instant) -> Vec<JoinHandle<()>> {
    let (tx, mut rx) = mpsc::unbounded_channel();
    let step = Duration::from_secs_f64(1.0 / run.cfg.rate);
    std::thread::spawn(move || {
        let mut due = start;
        while due < end {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if tx.send(due).is_err() {
                return;
            }
            due += step;
        }
    });
    let idle: Rc<RefCell<Vec<Conn>>> = Rc::default();
    let slots = Rc::new(Semaphore::new(run.cfg.conns));
    let mut tasks = vec![];
    while let Some(due) = rx.recv().await {
        let Some(n) = run.ticket() else { break };
        let (run, idle, slots) = (run.clone(), idle.clone(), slots.clone());
        tasks.push(spawn_local(async move {
            let Ok(_slot) = slots.acquire().await else { return };
            let mut c = idle.borrow_mut().pop().unwrap_or_default();
            run.one(&mut c, n, due).await;
            idle.borrow_mut().push(c);
        }));
    }
    tasks
}

fn hold(run: &Rc<Run>) -> Vec<JoinHandle<()>> {
    // at most 64 are being opened at a time
    let gate = Arc::new(Semaphore::new(64));
    let one = |run: Rc<Run>, gate: Arc<Semaphore>, n: u64| async move {
        let mut c = Conn::default();
        let Ok(slot) = gate.acquire_owned().await else { return };
        spawn_local(async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            drop(slot);
        });
        run.one(&mut c, n, Instant::now()).await;
    };
    (0..run.cfg.hold).map(|n| spawn_local(one(run.clone(), gate.clone(), n as u64))).collect()
}

async fn drive(run: Rc<Run>) -> f64 {
    let start = Instant::now();
    let end = start + Duration::from_secs_f64(run.cfg.secs);
    let tasks = if run.cfg.hold > 0 {
        hold(&run)
    } else if run.cfg.rate > 0.0 {
        open(&run, start, end).await
    } else {
        closed(&run, end)
    };
    // what is still open this long after the end counts as failed
    let last = end + Duration::from_secs(10);
    for t in tasks {
        if tokio::time::timeout_at(last.into(), t).await.is_err() {
            let mut t = run.totals.borrow_mut();
            t.n += 1;
            t.err += 1;
        }
    }
    start.elapsed().as_secs_f64()
}

fn options() -> Cfg {
    let (mut path, mut headers, mut body) = ("/".to_owned(), String::new(), vec![]);
    let addr = "127.0.0.1:9000".to_owned();
    let (request, place) = (vec![], None);
    let (ids, log) = (None, None);
    let mut c = Cfg {
        addr,
        conns: 32,
        secs: 5.0,
        count: u64::MAX,
        rate: 0.0,
        stream: false,
        events: 1,
        hold: 0,
        ids,
        log,
        request,
        place,
    };
    let mut args = std::env::args().skip(1);
    while let Some(name) = args.next() {
        if name == "--stream" {
            c.stream = true;
            continue;
        }
        let value = args.next().unwrap_or_else(|| panic!("{name} wants a value"));
        let number = || value.parse::<f64>().unwrap_or_else(|_| panic!("{name} wants a number"));
        match name.as_str() {
            "--addr" => c.addr = value,
            "--path" => path = value,
            "--body" => body = std::fs::read(&value).unwrap_or_else(|e| panic!("{value}: {e}")),
            "-H" => headers.push_str(&format!("{value}\r\n")),
            "--conns" => c.conns = number() as usize,
            "--secs" => c.secs = number(),
            "--count" => c.count = number() as u64,
            "--rate" => c.rate = number(),
            "--events" => c.events = number() as u64,
            "--hold" => c.hold = number() as usize,
            "--ids" => c.ids = Some(value),
            "--log" => c.log = Some(value),
            _ => panic!("unknown option {name}"),
        }
    }
    assert!(c.addr.starts_with("127.0.0.1:"), "loopback only");
    let (addr, n) = (&c.addr, body.len());
    let fixed = format!("POST {path} HTTP/1.1\r\nhost: {addr}\r\ncontent-type: application/json\r\n");
    c.request = format!("{fixed}{headers}content-length: {n}\r\n\r\n").into_bytes();
    c.request.extend_from_slice(&body);
    c.place = memchr::memmem::find(&c.request, PLACE);
    c
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let run = Rc::new(Run { cfg: options(), totals: RefCell::default(), next: Cell::new(0), open: Cell::new(0) });
    let wall = tokio::task::LocalSet::new().run_until(drive(run.clone())).await;
    let t = &mut *run.totals.borrow_mut();
    if let Some(file) = &run.cfg.log {
        std::fs::write(file, &t.log).unwrap_or_else(|e| panic!("{file}: {e}"));
    }
    let rps = t.ok as f64 / wall;
    let first_bad = t.first_bad.replace(|c: char| c == '"' || c == '\\' || c.is_control(), "'");
    println!(
        r#"{{"n":{},"ok":{},"bad":{},"err":{},"wall":{wall:.3},"rps":{rps:.1},"bytes":{},"conns":{},"lat":{},"ttfb":{},"gap":{},"first_bad":"{first_bad}"}}"#,
        t.n,
        t.ok,
        t.bad,
        t.err,
        t.bytes,
        t.conns,
        t.lat.json(),
        t.ttfb.json(),
        t.gap.json()
    );
}
