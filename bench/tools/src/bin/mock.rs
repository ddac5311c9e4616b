//! Mock language model upstream, one thread.  usage: mock [ADDR]      (default 127.0.0.1:9000)
//!
//! POST …/chat/completions   an OpenAI-shaped reply of about 1.2 KB, or server-sent events with `"stream":true`
//! POST …/messages           the same answer in Anthropic's shape
//! GET  anything else        200 with a list of one model
//! POST /__mock/set?delay_ms=&chunks=&gap_us=&allow=     from now on; `allow` bounds the content chunks that any stream
//!                           may have sent, and holds the stream there until it is raised
//! GET  /__mock/stats        {"conns","open_streams","requests","req_bytes"}
//! GET  /__mock/journal?since=0&limit=200000             what was served, for comparisons one by one
//!
//! Each event is a write of its own with TCP_NODELAY, and between two events the other connections have their turn.
use bench_tools::http1::{Head, Input};
use bench_tools::json;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;

const RING: usize = 200_000;
const PROMPT_TOKENS: u64 = 42;
const WORDS: [&str; 8] = ["A", " key", " opens", " one", " door", ",", " not", " all"];
const MODEL: &str = "gpt-4o-mini";

/// One served request, for the journal.
struct Entry {
    id: Option<String>,
    completion: u64,
    stream: bool,
    done: bool,
}

#[derive(Default)]
struct Journal {
    first: u64,
    ring: VecDeque<Entry>,
    prompt: u64,
    completion: u64,
    finished: u64,
}

impl Journal {
    /// Enters a request and returns its number.
    fn begin(&mut self, id: Option<String>, stream: bool) -> u64 {
        if self.ring.len() == RING {
            self.ring.pop_front();
            self.first += 1;
        }
        self.ring.push_back(Entry { id, completion: 0, stream, done: false });
        self.prompt += PROMPT_TOKENS;
        self.first + self.ring.len() as u64 - 1
    }

    fn end(&mut self, n: u64, completion: u64, done: bool) {
        self.completion += completion;
        self.finished += u64::from(done);
        if let Some(e) = n.checked_sub(self.first).and_then(|i| self.ring.get_mut(i as usize)) {
            e.completion = completion;
            e.done = done;
        }
    }

    fn json(&self, since: u64, limit: usize) -> String {
        let total = self.first + self.ring.len() as u64;
        let mut out = format!(
            r#"{{"total":{total},"finished":{},"prompt_tokens":{},"completion_tokens":{},"first":{},"entries":["#,
            self.finished, self.prompt, self.completion, self.first
        );
        let skip = since.saturating_sub(self.first) as usize;
        for (i, e) in self.ring.iter().enumerate().skip(skip).take(limit) {
            let (n, comma) = (self.first + i as u64, if i == skip { "" } else { "," });
            let id = e.id.as_ref().map_or("null".into(), |s| format!("\"{s}\""));
            let _ = write!(
                out,
                r#"{comma}{{"n":{n},"id":{id},"prompt":{PROMPT_TOKENS},"completion":{},"stream":{},"done":{}}}"#,
                e.completion, e.stream, e.done
            );
        }
        out.push_str("]}");
        out
    }
}

struct State {
    delay_ms: Cell<u64>,
    gap_us: Cell<u64>,
    chunks: Cell<u64>,
    allow: watch::Sender<u64>,
    conns: Cell<u64>,
    open_streams: Cell<u64>,
    requests: Cell<u64>,
    req_bytes: Cell<u64>,
    journal: RefCell<Journal>,
    text: String,
}

fn bump(c: &Cell<u64>, n: u64) {
    c.set(c.get() + n);
}

fn usage(completion: u64) -> String {
    let total = PROMPT_TOKENS + completion;
    format!(
        concat!(
            r#"{{"prompt_tokens":{},"completion_tokens":{},"total_tokens":{},"prompt_tokens_details":{{"cached_tokens":0,"#,
            r#""audio_tokens":0}},"completion_tokens_details":{{"reasoning_tokens":0,"audio_tokens":0}}}}"#
        ),
        PROMPT_TOKENS, completion, total
    )
}

fn reply(n: u64, text: &str, completion: u64) -> String {
    format!(
        concat!(
            r#"{{"id":"chatcmpl-{}","object":"chat.completion","created":1760000000,"model":"{}","choices":[{{"index":0,"#,
            r#""message":{{"role":"assistant","content":"{}","refusal":null,"annotations":[]}},"logprobs":null,"#,
            r#""finish_reason":"stop"}}],"usage":{},"service_tier":"default","system_fingerprint":"fp_bench"}}"#
        ),
        n,
        MODEL,
        text,
        usage(completion)
    )
}

/// What a reply is shaped like.
#[derive(Clone, Copy, PartialEq)]
enum Shape {
    OpenAi,
    Anthropic,
}

fn message(n: u64, text: &str, completion: u64) -> String {
    format!(
        concat!(
            r#"{{"id":"chatcmpl-{}","type":"message","role":"assistant","model":"{}","content":[{{"type":"text","text":"{}"}}],"#,
            r#""stop_reason":"end_turn","stop_sequence":null,"usage":{{"input_tokens":{},"cache_creation_input_tokens":0,"#,
            r#""cache_read_input_tokens":0,"output_tokens":{},"service_tier":"standard"}}}}"#
        ),
        n, MODEL, text, PROMPT_TOKENS, completion
    )
}

/// Appends one named event as one HTTP chunk.
fn named(out: &mut Vec<u8>, name: &str, rest: &str) {
    chunk(out, format!("event: {name}\ndata: {{\"type\":\"{name}\"{rest}}}\n\n").as_bytes());
}

/// Appends the events of one step of a stream in Anthropic's shape: -1 begins it, `chunks` ends it.
fn anthropic_step(out: &mut Vec<u8>, n: u64, step: Option<u64>, chunks: u64) {
    match step {
        None => {
            let start = message(n, "", 1).replace(r#""content":[{"type":"text","text":""}]"#, r#""content":[]"#);
            named(out, "message_start", &format!(",\"message\":{}", start.replace("\"end_turn\"", "null")));
            named(out, "content_block_start", r#","index":0,"content_block":{"type":"text","text":""}"#);
        }
        Some(i) if i < chunks => {
            let word = WORDS[i as usize % WORDS.len()];
            let delta = format!(r#","index":0,"delta":{{"type":"text_delta","text":"{word}"}}"#);
            named(out, "content_block_delta", &delta);
        }
        Some(_) => {
            named(out, "content_block_stop", r#","index":0"#);
            let usage = format!(r#","usage":{{"output_tokens":{chunks}}}"#);
            named(out, "message_delta", &format!(r#","delta":{{"stop_reason":"end_turn","stop_sequence":null}}{usage}"#));
            named(out, "message_stop", "");
        }
    }
}

/// Appends one event as one HTTP chunk.
fn event(out: &mut Vec<u8>, n: u64, choices: &str, usage: &str) {
    let data = format!(
        concat!(
            r#"data: {{"id":"chatcmpl-{}","object":"chat.completion.chunk","created":1760000000,"model":"{}","#,
            r#""service_tier":"default","system_fingerprint":"fp_bench","choices":[{}]{}}}"#,
            "\n\n"
        ),
        n, MODEL, choices, usage
    );
    chunk(out, data.as_bytes());
}

fn chunk(out: &mut Vec<u8>, data: &[u8]) {
    out.extend_from_slice(format!("{:x}\r\n", data.len()).as_bytes());
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
}

async fn json_reply(s: &mut TcpStream, body: &str) -> io::Result<()> {
    let n = body.len();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req_bench\r\n";
    s.write_all(format!("{head}content-length: {n}\r\n\r\n{body}").as_bytes()).await
}

/// Sends a stream; `sent` counts its content chunks as they go.
async fn stream(
    st: &State,
    s: &mut TcpStream,
    n: u64,
    shape: Shape,
    with_usage: bool,
    sent: &mut u64,
) -> io::Result<()> {
    let null = if with_usage { ",\"usage\":null" } else { "" };
    let mut out = Vec::with_capacity(512);
    out.extend_from_slice(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n\
          x-request-id: req_bench\r\ntransfer-encoding: chunked\r\n\r\n",
    );
    let delta =
        r#"{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}"#;
    match shape {
        Shape::OpenAi => event(&mut out, n, delta, null),
        Shape::Anthropic => anthropic_step(&mut out, n, None, st.chunks.get()),
    }
    s.write_all(&out).await?;
    let mut allow = st.allow.subscribe();
    let mut due = Instant::now();
    let chunks = st.chunks.get();
    for i in 0..chunks + 4 {
        out.clear();
        match i.checked_sub(chunks) {
            None => {
                if *allow.borrow() <= i {
                    // Held: this is the only place where a client that left is noticed without writing to it.
                    tokio::select! {
                        r = allow.wait_for(|a| *a > i) => { r.map_err(io::Error::other)?; }
                        _ = gone(s) => return Err(io::ErrorKind::ConnectionReset.into()),
                    }
                    due = Instant::now();
                }
                if shape == Shape::Anthropic {
                    anthropic_step(&mut out, n, Some(i), chunks);
                } else {
                    let word = WORDS[i as usize % WORDS.len()];
                    let delta =
                        format!(r#"{{"index":0,"delta":{{"content":"{word}"}},"logprobs":null,"finish_reason":null}}"#);
                    event(&mut out, n, &delta, null);
                }
            }
            Some(0) if shape == Shape::Anthropic => anthropic_step(&mut out, n, Some(chunks), chunks),
            Some(1 | 2) if shape == Shape::Anthropic => continue,
            Some(0) => event(&mut out, n, r#"{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}"#, null),
            Some(1) if with_usage => event(&mut out, n, "", &format!(",\"usage\":{}", usage(chunks))),
            Some(1) => continue,
            Some(2) => chunk(&mut out, b"data: [DONE]\n\n"),
            _ => out.extend_from_slice(b"0\r\n\r\n"),
        }
        match st.gap_us.get() {
            gap if gap > 0 && i <= chunks => {
                due += Duration::from_micros(gap);
                tokio::time::sleep_until(due).await;
            }
            _ => tokio::task::yield_now().await,
        }
        s.write_all(&out).await?;
        *sent += u64::from(i < chunks);
    }
    Ok(())
}

async fn gone(s: &TcpStream) {
    let mut b = [0u8; 1];
    while matches!(s.peek(&mut b).await, Ok(n) if n > 0) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn set(st: &State, query: &str) {
    for (name, value) in query.split('&').filter_map(|p| p.split_once('=')) {
        let v: u64 = value.parse().unwrap_or(0);
        match name {
            "delay_ms" => st.delay_ms.set(v),
            "gap_us" => st.gap_us.set(v),
            "chunks" => st.chunks.set(v),
            "allow" => drop(st.allow.send_replace(if v == 0 { u64::MAX } else { v })),
            _ => {}
        }
    }
}

fn control(st: &State, path: &str) -> String {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let arg = |name: &str, default: u64| {
        let found = query.split('&').filter_map(|p| p.split_once('=')).find(|p| p.0 == name);
        found.and_then(|p| p.1.parse().ok()).unwrap_or(default)
    };
    match path {
        "/__mock/set" => set(st, query),
        "/__mock/journal" => return st.journal.borrow().json(arg("since", 0), arg("limit", RING as u64) as usize),
        "/__mock/stats" => {
            return format!(
                r#"{{"conns":{},"open_streams":{},"requests":{},"req_bytes":{}}}"#,
                st.conns.get(),
                st.open_streams.get(),
                st.requests.get(),
                st.req_bytes.get()
            );
        }
        _ => return format!(r#"{{"object":"list","data":[{{"id":"{MODEL}","object":"model","owned_by":"bench"}}]}}"#),
    }
    "{}".into()
}

async fn chat(st: &State, s: &mut TcpStream, shape: Shape, head: Head, body: &[u8]) -> io::Result<()> {
    bump(&st.requests, 1);
    bump(&st.req_bytes, body.len() as u64);
    let id = head.id.or_else(|| json::string(body, "user").map(|v| String::from_utf8_lossy(v).into_owned()));
    let streams = json::is_true(body, "stream");
    let n = st.journal.borrow_mut().begin(id, streams);
    if st.delay_ms.get() > 0 {
        tokio::time::sleep(Duration::from_millis(st.delay_ms.get())).await;
    }
    if !streams {
        let tokens = 160;
        let text = match shape {
            Shape::OpenAi => reply(n, &st.text, tokens),
            Shape::Anthropic => message(n, &st.text, tokens),
        };
        let done = json_reply(s, &text).await;
        st.journal.borrow_mut().end(n, tokens, done.is_ok());
        return done;
    }
    bump(&st.open_streams, 1);
    let mut sent = 0;
    let done = stream(st, s, n, shape, json::is_true(body, "include_usage"), &mut sent).await;
    st.open_streams.set(st.open_streams.get() - 1);
    st.journal.borrow_mut().end(n, sent, done.is_ok());
    done
}

async fn serve(st: Rc<State>, mut s: TcpStream) -> io::Result<()> {
    let (mut input, mut body) = (Input::default(), Vec::new());
    while let Some(head) = input.head(&mut s, true).await? {
        if head.expect {
            s.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        body.clear();
        input.body(&mut s, head.length, |p| body.extend_from_slice(p)).await?;
        let close = head.close;
        let path = head.line.split(' ').nth(1).unwrap_or("/");
        let shape = [("/chat/completions", Shape::OpenAi), ("/messages", Shape::Anthropic)]
            .into_iter()
            .find(|(tail, _)| head.line.starts_with("POST") && path.ends_with(tail));
        if let Some((_, shape)) = shape {
            chat(&st, &mut s, shape, head, &body).await?;
        } else {
            let text = control(&st, path);
            json_reply(&mut s, &text).await?;
        }
        if close {
            break;
        }
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let addr = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9000".into());
    let sentence =
        "The gateway takes a request in, finds the key and its limits, sends it on, and settles what it cost. ";
    let st = Rc::new(State {
        delay_ms: Cell::new(0),
        gap_us: Cell::new(0),
        chunks: Cell::new(100),
        allow: watch::Sender::new(u64::MAX),
        conns: Cell::new(0),
        open_streams: Cell::new(0),
        requests: Cell::new(0),
        req_bytes: Cell::new(0),
        journal: RefCell::default(),
        text: sentence.repeat(7),
    });
    let sock = tokio::net::TcpSocket::new_v4()?;
    sock.set_reuseaddr(true)?;
    sock.bind(addr.parse().map_err(io::Error::other)?)?;
    let listener = sock.listen(4096)?;
    let local = tokio::task::LocalSet::new();
    let accept = async move {
        loop {
            let Ok((s, _)) = listener.accept().await else { continue };
            let _ = s.set_nodelay(true);
            bump(&st.conns, 1);
            tokio::task::spawn_local(serve(st.clone(), s));
        }
    };
    local.run_until(accept).await
}
