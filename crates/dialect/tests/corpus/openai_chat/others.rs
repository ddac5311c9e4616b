//! What other dialects' providers answered, said in this one: texts, thoughts, calls, proofs and usage survive.

use dialect::openai_chat::{response, stream};
use dialect::translate::{Decode, Encode, NotAReply};
use dialect::{anthropic, cohere, gemini, ollama, openai_responses};
use ir::chat::message::Content;
use ir::chat::response::Response;
use ir::dialect::Dialect;

use super::LABEL;
use crate::exchanges::{self, Exchange};
use crate::laws;

/// What must survive. Texts that a provider interleaves with thoughts are joined in a whole message.
#[derive(Debug, Default, PartialEq)]
struct Facts {
    text: String,
    thoughts: String,
    calls: Vec<(String, String)>,
    proofs: Vec<(Dialect, String)>,
    usage: Option<(u64, u64, u64, u64)>,
}

impl Facts {
    fn of(response: &Response) -> Self {
        let mut facts = Self::default();
        for part in response.choices.iter().flat_map(|choice| &choice.parts) {
            match &part.content {
                Content::Text { text, .. } | Content::Refusal(text) => facts.text.push_str(text),
                Content::Thinking { text, .. } => facts.thoughts.push_str(text),
                Content::ToolCall(call) => facts.calls.push((call.name.clone(), call.arguments.clone())),
                _ => {}
            }
            // The schema has no place for the proof of a text.
            if let (Some(proof), false) = (&part.signature, matches!(part.content, Content::Text { .. })) {
                facts.proofs.push((proof.by, proof.text.clone()));
            }
        }
        facts.proofs.sort_by(|(_, a), (_, b)| a.cmp(b));
        facts.usage = response
            .usage
            .map(|usage| (usage.input_tokens(), usage.output_tokens(), usage.cached_input, usage.reasoning));
        facts
    }
}

/// Returns the answer, and the same after it was said in this dialect; `None` where there is no answer.
fn said<D: Decode>(
    exchange: &Exchange,
    dialect: Dialect,
    decoder: D,
    whole: fn(&str, &str) -> Result<Response, NotAReply>,
) -> Option<(Response, Response)> {
    let body = &exchange.response.body;
    if !exchange.is_stream() {
        let first = whole(body, LABEL.seed).ok()?;
        let encoded = String::from_utf8(response::encode::encode(&first, &LABEL)).unwrap();
        return Some((first, response::decode::decode(&encoded, LABEL.seed).unwrap()));
    }
    let events = laws::events(dialect, decoder, body.as_bytes(), body.len()).ok()?;
    let mut encoder = stream::encode::Encoder::new(&LABEL, true, Vec::new());
    let mut out = Vec::new();
    events.iter().for_each(|event| encoder.event(event.clone(), &mut out));
    encoder.finish(b"\"crossway\":{}", &mut out);
    let again = laws::events(Dialect::OpenaiChat, stream::decode::Decoder::new(LABEL.seed), &out, out.len()).unwrap();
    Some((laws::folded(events), laws::folded(again)))
}

fn check<D: Decode>(
    dialect: Dialect,
    (file, endpoints): (&str, &[&str]),
    decoder: fn(&str) -> D,
    whole: fn(&str, &str) -> Result<Response, NotAReply>,
) {
    let mut count = 0;
    for exchange in exchanges::of(file, endpoints).iter().filter(|exchange| exchange.succeeded()) {
        if let Some((expect, found)) = said(exchange, dialect, decoder(LABEL.seed), whole) {
            assert_eq!(Facts::of(&expect), Facts::of(&found), "{}", exchange.id);
            count += 1;
        }
    }
    println!("openai_chat says {count} answers of {}", dialect.name());
}

#[test]
fn what_others_answer_can_be_said() {
    use ir::dialect::Dialect::{Anthropic, Cohere, Gemini, Ollama, OpenaiResponses};
    let generate: &[&str] = &["generateContent", "streamGenerateContent"];
    check(
        Anthropic,
        ("anthropic", &["messages"]),
        anthropic::stream::decode::Decoder::new,
        anthropic::response::decode::decode,
    );
    check(Gemini, ("gemini", generate), gemini::stream::decode::Decoder::new, gemini::response::decode::decode);
    check(Ollama, ("ollama", &["api.chat"]), ollama::stream::decode::Decoder::new, ollama::response::decode::decode);
    check(Cohere, ("cohere", &["v2.chat"]), cohere::stream::decode::Decoder::new, cohere::response::decode::decode);
    check(
        OpenaiResponses,
        ("openai", &["responses"]),
        openai_responses::stream::decode::Decoder::new,
        openai_responses::response::decode::decode,
    );
}
