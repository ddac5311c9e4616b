//! The experiment on the ledger: whatever callers, upstreams and the process do, what is charged is what the upstream's
//! journal says, to the nano-dollar.
//!
//! Callers leave at any byte of their request or of the answer; upstreams fail, answer with errors, and cut, reset or
//! stall their answers at any byte; the gateway retries and fails over; now and then the process dies at some moment and
//! another one looks at what is on the disk. The upstream's scripts say what it would bill for each answer, its journal
//! which of them it gave to whom, and how many bytes of them were taken.
//!
//! A few hundred requests run with the other tests. `CROSSWAY_LEDGER_REQUESTS=100000 cargo test -p server --test api
//! ledger_faults -- --nocapture` runs as many as it says, and `CROSSWAY_LEDGER_SEED` others.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use fastrand::Rng;
use store::records::record::RequestRecord;
use testkit::client::Client;
use testkit::gateway::Gateway;
use testkit::provider::Received;
use testkit::script::{Script, Step, chunk};
use tokio::task::JoinSet;

use crate::billing::{standing, top_up};

/// Its letters, small or large, are the bits of a request's number: that is how a record is known again.
const SLUG: &str = "experimental";

/// How many requests one gateway serves, and how many at a time.
const CHUNK: usize = 200;
const AT_ONCE: usize = 8;

/// Pico-dollars per token of input and output, and millionths of margin: none of them is round.
const INPUT: u64 = 137_001;
const OUTPUT: u64 = 611_003;
const MARGIN: u64 = 55_001;

/// An answer that an upstream has ready, and what it would bill for it.
#[derive(Clone)]
struct Answer {
    script: Script,
    /// Whether it is a whole answer, if nobody cuts it.
    good: bool,
    prompt: u64,
    completion: u64,
    /// How many bytes of it have to be taken until the usage is told; more than it has when it is cut before.
    told_at: usize,
    /// Where each piece of its content ends.
    pieces: Vec<usize>,
}

/// What was seen over all gateways.
#[derive(Debug, Default)]
struct Sum {
    requests: usize,
    records: usize,
    reported: usize,
    estimated: usize,
    free: usize,
    asked: usize,
    failed_over: usize,
    kills: usize,
    finished_before_kills: usize,
    reported_nanos: u64,
    estimated_nanos: u64,
    /// What the upstream would have billed for the pieces that were taken of answers that were estimated.
    produced_nanos: u64,
}

fn variable(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Computed here on its own: the cost, half up, and the margin on that, half up.
fn charge(prompt: u64, completion: u64) -> (u64, u64) {
    let cost = (prompt * INPUT + completion * OUTPUT + 500) / 1_000;
    (cost, cost + (cost * MARGIN + 500_000) / 1_000_000)
}

fn answer(random: &mut Rng, stream: bool) -> Answer {
    let (prompt, count) = (random.u64(1..400), random.usize(1..12));
    let completion = count as u64;
    let mut pieces = Vec::new();
    let usage = format!(
        r#"{{"prompt_tokens":{prompt},"completion_tokens":{completion},"total_tokens":{}}}"#,
        prompt + completion
    );
    let piece = |delta: &str, finish: &str| {
        let event = format!(
            r#"{{"id":"c","object":"chat.completion.chunk","model":"x","choices":[{{"index":0,"delta":{delta},"finish_reason":{finish}}}]}}"#
        );
        chunk(format!("data: {event}\n\n").as_bytes())
    };
    let mut bytes;
    let mut told_at;
    if !stream {
        let content = "word ".repeat(count);
        let body = format!(
            r#"{{"id":"c","object":"chat.completion","model":"x","choices":[{{"index":0,"message":{{"role":"assistant","content":"{content}"}},"finish_reason":"stop"}}],"usage":{usage}}}"#
        );
        bytes = format!("HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
        bytes.push_str(&body);
        told_at = bytes.len();
        return faulty(random, bytes.into_bytes(), Answer { prompt, completion, told_at, pieces, ..Answer::empty() });
    }
    let mut stream =
        b"HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    stream.extend(piece(r#"{"role":"assistant","content":""}"#, "null"));
    for _ in 0..count {
        stream.extend(piece(r#"{"content":"word "}"#, "null"));
        pieces.push(stream.len());
    }
    stream.extend(piece("{}", "\"stop\""));
    let event = format!(r#"{{"id":"c","object":"chat.completion.chunk","model":"x","choices":[],"usage":{usage}}}"#);
    stream.extend(chunk(format!("data: {event}\n\n").as_bytes()));
    // The line end of the chunk is framing.
    told_at = stream.len() - 2;
    stream.extend(chunk(b"data: [DONE]\n\n"));
    stream.extend(b"0\r\n\r\n");
    if random.u8(0..20) == 0 {
        // An upstream that never says what it used.
        let from =
            stream.len() - 5 - chunk(b"data: [DONE]\n\n").len() - chunk(format!("data: {event}\n\n").as_bytes()).len();
        stream.drain(from..stream.len() - 5 - chunk(b"data: [DONE]\n\n").len());
        told_at = usize::MAX;
    }
    faulty(random, stream, Answer { prompt, completion, told_at, pieces, ..Answer::empty() })
}

impl Answer {
    fn empty() -> Self {
        Self { script: Script::new(), good: false, prompt: 0, completion: 0, told_at: usize::MAX, pieces: Vec::new() }
    }
}

/// Makes the script of an answer: whole, or cut at any byte, in segments of any size.
fn faulty(random: &mut Rng, bytes: Vec<u8>, answer: Answer) -> Answer {
    let size = random.usize(1..200);
    // Short of the last byte: what is whole is not cut.
    let cut = random.usize(0..bytes.len());
    let (length, end) = match random.u8(0..10) {
        0 => (cut, Some(Step::Close)),
        1 => (cut, Some(Step::Reset)),
        2 => (cut, Some(Step::Stall)),
        _ => (bytes.len(), None),
    };
    let mut script = Script::new();
    if random.u8(0..4) == 0 {
        script = script.wait(random.u64(0..3));
    }
    // In two parts, with time between them. Nothing is behind the last byte: another request may follow it at once.
    let (first, rest) = bytes[..length].split_at(random.usize(0..length.max(1)));
    let (second, last) = rest.split_at(rest.len().saturating_sub(1));
    script = script.cut(first.to_vec(), size).wait(random.u64(0..2)).cut(second.to_vec(), size).send(last.to_vec());
    let good = end.is_none();
    if let Some(end) = end {
        script = script.step(end);
    }
    Answer { script, good, ..answer }
}

/// What an upstream has ready: answers, and errors between them.
fn answers(random: &mut Rng, count: usize, stream: bool) -> Vec<Answer> {
    let one = |random: &mut Rng| match random.u8(0..12) {
        0 => Answer {
            script: Script::error([400, 401, 408, 429, 500, 503][random.usize(0..6)], "no"),
            ..Answer::empty()
        },
        1 => Answer { script: Script::new().close(), ..Answer::empty() },
        _ => answer(random, stream),
    };
    (0..count).map(|_| one(random)).collect()
}

/// What a caller does.
#[derive(Clone, Copy)]
struct Caller {
    number: usize,
    stream: bool,
    anthropic: bool,
    /// How many bytes of the request are sent, and of the answer read, before the caller leaves.
    sends: Option<usize>,
    reads: Option<usize>,
}

fn caller(random: &mut Rng, number: usize, stream: bool) -> Caller {
    let anthropic = random.u8(0..4) == 0;
    let sends = (random.u8(0..20) == 0).then(|| random.usize(0..500));
    // Heads are some 700 bytes, events some 200.
    let reads = (random.u8(0..3) == 0).then(|| random.usize(0..3_500));
    Caller { number, stream, anthropic, sends, reads }
}

fn slug(number: usize) -> String {
    let bit = |(at, letter): (usize, char)| if number >> at & 1 == 1 { letter.to_ascii_uppercase() } else { letter };
    SLUG.chars().enumerate().map(bit).collect()
}

fn number_of(slug: &str) -> usize {
    slug.chars().enumerate().filter(|(_, letter)| letter.is_ascii_uppercase()).map(|(at, _)| 1 << at).sum()
}

impl Caller {
    fn request(self, secret: &str) -> Vec<u8> {
        let (model, content) = (slug(self.number), format!("number {:05}", self.number));
        let body = format!(
            r#"{{"model":"{model}","max_tokens":64,"stream":{},"messages":[{{"role":"user","content":"{content}"}}]}}"#,
            self.stream
        );
        let path = if self.anthropic { "/v1/messages" } else { "/v1/chat/completions" };
        format!(
            "POST {path} HTTP/1.1\r\nhost: gateway.test\r\nauthorization: Bearer {secret}\r\nanthropic-version: 2023-06-01\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    }

    /// Asks, and returns whether the answer was seen to its last byte.
    async fn ask(self, mut client: Client, secret: String) -> (usize, bool) {
        let request = self.request(&secret);
        if let Some(sends) = self.sends.filter(|sends| *sends < request.len()) {
            client.send(&request[..sends]).await;
            return (self.number, false);
        }
        client.send(&request).await;
        if let Some(reads) = self.reads {
            client.read_bytes(reads).await;
            return (self.number, false);
        }
        let reply = client.reply().await;
        let text = String::from_utf8_lossy(&reply.body);
        let ended = if self.anthropic { text.contains("message_stop") } else { text.contains("[DONE]") };
        (self.number, reply.status == 200 && reply.whole && (!self.stream || ended))
    }
}

const CONFIG: &str = "[environment]\nbilling = { enabled = true, margin_percent = \"5.5001\" }\n";

/// The upstreams with what they have ready.
struct Upstreams(Vec<(&'static str, Vec<Answer>)>);

impl Upstreams {
    fn new(random: &mut Rng, stream: bool) -> Self {
        // More than can be asked for: the last one would be repeated.
        Self(["p", "q"].map(|name| (name, answers(random, 4 * CHUNK, stream))).into())
    }

    fn start(&self) -> Gateway {
        let timeouts = "first_token_timeout_ms = 3000\nidle_timeout_ms = 4000\ntimeout_ms = 30000";
        let mut builder = Gateway::builder();
        let mut config = CONFIG.to_owned();
        for (name, answers) in &self.0 {
            let scripts = answers.iter().map(|answer| answer.script.clone()).collect();
            builder = builder.provider_with(name, timeouts, scripts);
            config.push_str(&format!(
                "[[models]]\nslug = \"{SLUG}\"\nprovider = \"{name}\"\nupstream_name = \"x\"\ninput_price = \"0.137001\"\n\
                 output_price = \"0.611003\"\nmax_output_tokens = 1000\n"
            ));
        }
        builder.config(&config).start()
    }

    /// Returns what the upstreams were asked for each request: the upstream, the answer it gave, and its journal.
    fn journal(&self, gateway: &Gateway) -> HashMap<usize, Vec<(&'static str, Answer, Received)>> {
        let mut all: HashMap<usize, Vec<_>> = HashMap::new();
        for (name, answers) in &self.0 {
            for (answer, received) in answers.iter().zip(gateway.provider(name).requests()) {
                let text = String::from_utf8_lossy(&received.body).into_owned();
                let at = text.find("number ").unwrap() + 7;
                let number = text[at..at + 5].parse().unwrap();
                all.entry(number).or_default().push((*name, answer.clone(), received));
            }
        }
        all
    }
}

/// Serves some requests, and compares the ledger with what the upstreams say.
async fn run(random: &mut Rng, sum: &mut Sum) {
    let stream = (sum.requests / CHUNK).is_multiple_of(2);
    let upstreams = Upstreams::new(random, stream);
    let gateway = upstreams.start();
    top_up(&gateway, "1000", "a").await;
    let callers: Vec<Caller> = (0..CHUNK).map(|number| caller(random, number, stream)).collect();
    let finished: Arc<Mutex<Vec<usize>>> = Arc::default();
    let kill_at = random.usize(0..CHUNK);
    let mut tasks = JoinSet::new();
    for caller in &callers {
        if tasks.len() == AT_ONCE {
            tasks.join_next().await.unwrap().unwrap();
        }
        gateway.assembly.journal.tick();
        let client = gateway.client_from("127.0.0.1:40000", random.usize(1..4_096));
        let (caller, secret, saw) = (*caller, gateway.secret.clone(), Arc::clone(&finished));
        tasks.spawn(async move {
            let (number, whole) = caller.ask(client, secret).await;
            if whole {
                saw.lock().unwrap().push(number);
            }
        });
        if caller.number == kill_at {
            let seen = finished.lock().unwrap().clone();
            killed(&gateway, &seen, sum);
        }
    }
    tasks.join_all().await;
    let records = gateway.recorded().await;
    let journal = upstreams.journal(&gateway);
    let seen = finished.lock().unwrap().clone();
    compare(&records, &journal, &seen, sum);
    let spent: u64 = records.iter().map(|record| record.charged_usd.unwrap().0).sum();
    let left = 1_000_000_000_000 - spent;
    let expect = ir::money::NanoUsd(left).to_string();
    assert_eq!(standing(&gateway).await, (expect, "0".to_owned()));
    sum.requests += CHUNK;
}

/// The process dies at this moment: another one finds every request whose last byte somebody saw, once. What it finds of
/// the ledger is checked where it is read.
fn killed(gateway: &Gateway, finished: &[usize], sum: &mut Sum) {
    let found = gateway.assembly.after_a_kill();
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    for record in &found {
        *counts.entry(number_of(&record.requested_model)).or_default() += 1;
        assert!(record.charged_usd.is_some(), "{record:#?}");
    }
    assert!(counts.values().all(|count| *count == 1), "recorded twice");
    for number in finished {
        let record = found.iter().find(|record| number_of(&record.requested_model) == *number);
        let record = record.unwrap_or_else(|| panic!("request {number} was seen whole, and is lost"));
        assert_eq!(record.outcome, "succeeded");
    }
    sum.kills += 1;
    sum.finished_before_kills += finished.len();
}

fn compare(
    records: &[RequestRecord],
    journal: &HashMap<usize, Vec<(&'static str, Answer, Received)>>,
    seen: &[usize],
    sum: &mut Sum,
) {
    let mut numbers = BTreeMap::new();
    for record in records {
        let number = number_of(&record.requested_model);
        assert!(numbers.insert(number, record).is_none(), "one record for each request: {number}");
        let asked = journal.get(&number).map(Vec::as_slice).unwrap_or_default();
        let answered = asked.iter().rev().find(|(name, ..)| record.provider.as_deref() == Some(name));
        let (cost, charged) = (record.cost_usd.unwrap().0, record.charged_usd.unwrap().0);
        sum.asked += asked.len();
        sum.failed_over += usize::from(asked.len() > 1);
        match record.usage.origin.as_str() {
            "reported" => {
                let (_, answer, received) = answered.unwrap();
                assert_eq!((cost, charged), charge(answer.prompt, answer.completion), "{number}: {record:#?}");
                assert!(received.sent >= answer.told_at, "{number}: reported before it was told");
                (sum.reported, sum.reported_nanos) = (sum.reported + 1, sum.reported_nanos + charged);
            }
            "estimated" => {
                // Somebody left, or the usage was never told.
                let left = record.outcome == "cancelled";
                let (_, answer, received) = answered.unwrap();
                assert!(left || !answer.good || answer.told_at == usize::MAX, "{number}: {record:#?}");
                let made = answer.pieces.iter().filter(|end| **end <= received.sent).count() as u64;
                (sum.estimated, sum.estimated_nanos) = (sum.estimated + 1, sum.estimated_nanos + charged);
                // The scripts make up the input: what can be compared is the output alone.
                sum.produced_nanos += charge(record.usage.input_tokens, made).1;
            }
            _ => {
                assert_eq!((cost, charged), (0, 0), "{number}: {record:#?}");
                sum.free += 1;
            }
        }
    }
    for (number, asked) in journal {
        assert!(
            numbers.contains_key(number),
            "request {number} reached an upstream {} times, and is lost",
            asked.len()
        );
    }
    for number in seen {
        let record = numbers.get(number).unwrap_or_else(|| panic!("request {number} was seen whole, and is lost"));
        assert_eq!(record.outcome, "succeeded", "{record:#?}");
    }
    sum.records += records.len();
}

#[test]
fn the_ledger_is_what_the_upstream_says() {
    let seed = variable("CROSSWAY_LEDGER_SEED", 20_261_121);
    let wanted = usize::try_from(variable("CROSSWAY_LEDGER_REQUESTS", 600)).unwrap();
    let mut sum = Sum::default();
    let mut random = Rng::with_seed(seed);
    while sum.requests < wanted {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.unwrap().block_on(run(&mut random, &mut sum));
    }
    assert!(sum.reported > wanted / 4 && sum.estimated > wanted / 20 && sum.failed_over > wanted / 20, "{sum:?}");
    println!("seed {seed}: {sum:#?}");
}
