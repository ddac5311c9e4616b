//! What providers report, against the most that a request can amount to: every recorded report is believed.

use bytes::Bytes;
use dialect::lane::Surface;
use dialect::lane::asked::Asked;
use dialect::lane::reply::Reply;
use dialect::lane::stream::ReplyStream;
use dialect::lane::weight::{ADDED_TOKENS, ROUNDS};
use dialect::passed::Progress;
use dialect::translate::{Callee, Label};
use dialect::{anthropic, cohere, gemini, ollama, openai_chat, openai_responses};
use ir::dialect::Dialect;
use ir::usage::Usage;
use ir::usage::most::{Most, outgrown};
use serde_json::Value;

use crate::exchanges::{self, Exchange};

const LABEL: Label<'_> = Label { seed: "0123456789abcdef0123456789abcdef", model: "m", created: 0 };

/// Endpoints whose answers callers can have.
const ENDPOINTS: [(&str, Dialect); 9] = [
    ("chat.completions", Dialect::OpenaiChat),
    ("v1.chat.completions", Dialect::OpenaiChat),
    ("messages", Dialect::Anthropic),
    ("anthropic.rawPredict", Dialect::Anthropic),
    ("anthropic.streamRawPredict", Dialect::Anthropic),
    ("generateContent", Dialect::Gemini),
    ("streamGenerateContent", Dialect::Gemini),
    ("v2.chat", Dialect::Cohere),
    ("responses", Dialect::OpenaiResponses),
];

/// What stands in the provider's store and no caller of ours can name: how long it is, nobody can tell from the request.
const STORED: [&str; 4] = ["cachedContent", "prompt", "previous_response_id", "conversation"];

fn dialect(exchange: &Exchange) -> Option<Dialect> {
    let found = ENDPOINTS.into_iter().find(|(endpoint, _)| exchange.endpoint == *endpoint);
    found.map(|(_, dialect)| dialect).or_else(|| (exchange.endpoint == "api.chat").then_some(Dialect::Ollama))
}

fn surface(dialect: Dialect) -> Surface {
    if dialect == Dialect::Anthropic { Surface::AnthropicMessages } else { Surface::OpenaiChat }
}

/// Returns the request as a caller of ours would have made it; `None` for one that no caller could.
fn asked(exchange: &Exchange, dialect: Dialect) -> Option<Asked> {
    let text = exchange.asked()?;
    let body: Value = serde_json::from_str(text).ok()?;
    let request = match dialect {
        Dialect::OpenaiChat | Dialect::Anthropic => {
            return Asked::decode(surface(dialect), Bytes::copy_from_slice(text.as_bytes())).ok();
        }
        _ if STORED.iter().any(|name| body.get(name).is_some_and(|value| !value.is_null())) => return None,
        Dialect::OpenaiResponses => openai_responses::request::decode::decode(text),
        Dialect::Gemini => gemini::request::decode::decode(text),
        Dialect::Ollama => ollama::request::decode::decode(text),
        Dialect::Cohere => cohere::request::decode::decode(text),
    };
    let request = request.ok()?;
    let callee = Callee { model: "m", max_output_tokens: None, ask_usage: false, quirks: &[], refuses: &[] };
    // What only Anthropic's surface can say is said there.
    let encoded = openai_chat::request::encode::encode(&request, &callee).map(|encoded| (encoded, Surface::OpenaiChat));
    let encoded = encoded.or_else(|_| {
        anthropic::request::encode::encode(&request, &callee).map(|encoded| (encoded, Surface::AnthropicMessages))
    });
    let (encoded, surface) = encoded.ok()?;
    Asked::decode(surface, encoded.body.into()).ok()
}

/// Returns what was reported, how many bytes were said, and whether more was said than the report can know of, as the
/// gateway reads them.
fn answered(exchange: &Exchange, dialect: Dialect) -> Option<(Usage, u64, bool)> {
    let (surface, body) = (surface(dialect), Bytes::copy_from_slice(exchange.response.body.as_bytes()));
    if !exchange.is_stream() {
        let mut reply = Reply::decode(surface, dialect, body, "crossway", &LABEL, None).ok()?;
        reply.measure();
        return Some((reply.usage?, reply.content_bytes, false));
    }
    let mut out = Vec::new();
    let mut stream = ReplyStream::new(surface, dialect, "crossway", br#""crossway":{}"#.to_vec(), true, &LABEL);
    let complete = [stream.push(body, &mut out), stream.end(&mut out)].contains(&Progress::Complete);
    let passed = stream.passed();
    Some((passed.usage?, passed.content_bytes, passed.is_partial(complete)))
}

/// `quality.md` section 3: a lying upstream overshoots by no more than a chunk. Nobody here lies.
#[test]
fn every_recorded_report_is_believed() {
    let files = ["anthropic", "azure", "cohere", "gemini", "mistral", "ollama", "openai", "openai_compatible"];
    let more = ["openrouter", "parallel", "perplexity", "together", "vertex"];
    let mut nothing = Vec::new();
    let (mut looked, mut open, mut untold, mut beyond, mut wrong) = (0, 0, 0, Vec::new(), Vec::new());
    for exchange in files.into_iter().chain(more).flat_map(exchanges::read).filter(Exchange::succeeded) {
        let Some(dialect) = dialect(&exchange) else { continue };
        let Some((usage, said_bytes, partial)) = answered(&exchange, dialect) else { continue };
        let Some(asked) = asked(&exchange, dialect) else {
            untold += 1;
            continue;
        };
        looked += 1;
        let weight = asked.weight();
        let rounds = if weight.searches { ROUNDS } else { 1 };
        open += u32::from(asked.max_tokens().is_none());
        // Where the request bounds nothing, its model does, or nobody.
        let output = asked.max_tokens().map_or(u64::MAX, |max| max.saturating_mul(asked.choices()));
        let most = Most { input: weight.bound, added: ADDED_TOKENS, output: output.saturating_mul(rounds) };
        if let Some(doubt) = most.believe(&usage, said_bytes).1 {
            wrong.push(format!("{} {doubt:?}: {most:?}, {said_bytes} bytes said, {usage:?}", exchange.id));
        }
        if usage.is_nothing() && said_bytes > 0 {
            nothing.push(exchange.id);
            continue;
        }
        if partial && outgrown(&usage, said_bytes).is_some() {
            wrong.push(format!("{} is not of the whole answer: {said_bytes} bytes said, {usage:?}", exchange.id));
        }
        if usage.input_tokens() > weight.bound {
            let (tokens, bound) = (usage.input_tokens(), weight.bound);
            beyond.push(format!("{} {} ({tokens} of {bound})", exchange.id, tokens - bound));
        }
    }
    println!("{looked} reports, {open} of them without max_tokens; {untold} of requests that no caller can make");
    println!("{} count nothing, though something was said: {nothing:?}", nothing.len());
    println!("{} have more input than is reserved: {beyond:#?}", beyond.len());
    assert!(wrong.is_empty(), "{} of {looked} are not believed:\n{}", wrong.len(), wrong.join("\n"));
    assert!(nothing.len() * 1_000 <= looked, "so many providers do not count nothing");
    assert!(beyond.len() * 100 <= looked, "the bound of the input is too low");
}
