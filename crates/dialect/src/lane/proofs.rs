//! Proofs of thought across a tool call: what a provider signed, for callers whose client loses it.
//!
//! Anthropic and Google want their signed thoughts back with the results of the tools that they led to, and OpenAI's
//! encrypted reasoning is of use only when it comes back. A surface carries them (`reasoning_details`,
//! `extra_content`), but most clients send back only what they know. So the answer's thoughts and calls are kept under
//! the ids of the calls, as the assistant message of a chat completion, and put in again where they are missing.

use ir::chat::event::{Delta, Event, Opening};
use ir::chat::extras::Extras;
use ir::chat::message::{Content, Part, Role, ToolCall};
use ir::chat::request::Request;
use ir::chat::response::{Choice, Finish, Response};
use ir::dialect::Dialect;

use crate::json::object::{Object, Path};
use crate::openai_chat;
use crate::translate::Label;

/// More than any turn signs; a longer one is not kept.
const MAX_BYTES: usize = 256 << 10;

/// What is to be kept of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proofs {
    /// The ids of the calls that bring it back.
    pub calls: Vec<String>,
    /// An assistant message of the dialect `openai_chat`.
    pub message: String,
}

/// Whether a provider of a dialect signs what it thinks.
pub fn signs(dialect: Dialect) -> bool {
    match dialect {
        Dialect::Anthropic | Dialect::Gemini | Dialect::OpenaiResponses => true,
        Dialect::OpenaiChat | Dialect::Cohere | Dialect::Ollama => false,
    }
}

/// Returns what is to be kept of an answer's parts; `None` when nothing is signed, or no tool is called.
pub fn of(parts: impl IntoIterator<Item = Part>) -> Option<Proofs> {
    let kept = |part: &Part| match &part.content {
        Content::ToolCall(_) => true,
        Content::Thinking { .. } | Content::Redacted => part.signature.is_some(),
        _ => false,
    };
    let parts: Vec<Part> = parts.into_iter().filter(kept).collect();
    let calls: Vec<String> = parts.iter().filter_map(call).map(|call| call.id.clone()).collect();
    if calls.is_empty() || calls.iter().any(String::is_empty) || parts.iter().all(|part| part.signature.is_none()) {
        return None;
    }
    let choice = Choice { index: 0, parts, finish: Finish::ToolCalls, logprobs: None, extras: Extras::default() };
    let response = Response { choices: vec![choice], ..Response::default() };
    let label = Label { seed: "", model: "", created: 0 };
    let body = String::from_utf8(openai_chat::response::encode::encode(&response, &label)).ok()?;
    let mut body = Object::read(&body, Path::default()).ok()?;
    let choices = body.list("choices").ok()??;
    let mut choice = Object::read(choices.first()?, Path::default()).ok()?;
    let message = choice.take("message")?.to_owned();
    (message.len() <= MAX_BYTES).then_some(Proofs { calls, message })
}

fn call(part: &Part) -> Option<&ToolCall> {
    match &part.content {
        Content::ToolCall(call) => Some(call),
        _ => None,
    }
}

/// Puts what was kept back into the messages that call tools and bear no proof. `recall` returns the message that is
/// kept under a call's id.
pub fn restore(request: &mut Request, recall: &mut dyn FnMut(&str) -> Option<String>) {
    for message in request.messages.iter_mut().filter(|message| message.role == Role::Assistant) {
        let proven = |part: &Part| part.signature.as_ref().is_some_and(|signature| !signature.text.is_empty());
        if message.parts.iter().any(proven) {
            continue;
        }
        let first = message.parts.iter().find_map(call).map(|call| call.id.clone());
        let Some(kept) = first.and_then(|id| recall(&id)).and_then(|message| parts(&message)) else { continue };
        let (calls, thoughts): (Vec<Part>, Vec<Part>) = kept.into_iter().partition(|part| call(part).is_some());
        for part in &mut message.parts {
            let id = call(part).map(|call| &call.id);
            if let Some(kept) = calls.iter().find(|kept| id.is_some() && call(kept).map(|call| &call.id) == id) {
                part.signature.clone_from(&kept.signature);
            }
        }
        if !thoughts.is_empty() {
            message.parts.retain(|part| !matches!(part.content, Content::Thinking { .. } | Content::Redacted));
            message.parts.splice(0..0, thoughts);
        }
    }
}

/// Reads a message that was kept.
fn parts(message: &str) -> Option<Vec<Part>> {
    let body = format!("{{\"messages\":[{message}]}}");
    let request = openai_chat::request::decode::decode(&body).ok()?;
    request.messages.into_iter().next().map(|message| message.parts)
}

/// Collects what is to be kept of a stream. Text passes by: what it holds does not grow with the answer's length, but
/// with its signed thoughts, and these have a bound.
#[derive(Debug, Default)]
pub struct Collector {
    parts: Vec<(u32, Part)>,
    bytes: usize,
}

impl Collector {
    /// Takes note of an event.
    pub fn note(&mut self, event: &Event) {
        match event {
            Event::Opened { choice: 0, part, opening } => {
                let content = match opening {
                    Opening::Thinking { id } => Content::Thinking { text: String::new(), id: id.clone() },
                    Opening::Redacted => Content::Redacted,
                    Opening::ToolCall { id, name, custom } => Content::ToolCall(ToolCall {
                        id: id.clone(),
                        name: name.clone(),
                        arguments: String::new(),
                        custom: *custom,
                    }),
                    _ => return,
                };
                self.parts.push((*part, Part::new(content)));
            }
            Event::Delta { choice: 0, part, delta } => {
                let Some((_, found)) = self.parts.iter_mut().rev().find(|(number, _)| number == part) else { return };
                match (delta, &mut found.content) {
                    (Delta::Text(more), Content::Thinking { text, .. }) if self.bytes + more.len() <= MAX_BYTES => {
                        self.bytes += more.len();
                        text.push_str(more);
                    }
                    (Delta::Text(more), _) => self.bytes += more.len(),
                    (Delta::Signature(signature), _) => found.signature = Some(signature.clone()),
                    _ => {}
                }
            }
            _ => {}
        }
    }

    /// Returns what is to be kept.
    pub fn finish(&mut self) -> Option<Proofs> {
        let parts = std::mem::take(&mut self.parts);
        if self.bytes > MAX_BYTES { None } else { of(parts.into_iter().map(|(_, part)| part)) }
    }
}

#[cfg(test)]
mod tests {
    use ir::chat::message::{Message, Signature};

    use super::*;

    fn signed(content: Content, by: Dialect, text: &str) -> Part {
        Part { signature: Some(Signature { by, text: text.to_owned() }), ..Part::new(content) }
    }

    fn called(id: &str) -> Content {
        let (id, name) = (id.to_owned(), "f".to_owned());
        Content::ToolCall(ToolCall { id, name, arguments: "{}".to_owned(), custom: false })
    }

    fn thought(text: &str) -> Content {
        Content::Thinking { text: text.to_owned(), id: None }
    }

    fn assistant(parts: Vec<Part>) -> Request {
        let message = Message { role: Role::Assistant, parts, name: None, extras: Extras::default() };
        Request { messages: vec![message], ..Request::default() }
    }

    #[test]
    fn thoughts_and_signatures_come_back() {
        let parts = [
            signed(thought("hm"), Dialect::Anthropic, "sig"),
            signed(Content::Redacted, Dialect::Anthropic, "data"),
            Part::text("I look"),
            Part::new(called("c1")),
            signed(called("c2"), Dialect::Gemini, "g"),
        ];
        let proofs = of(parts.clone()).unwrap();
        assert_eq!(proofs.calls, ["c1", "c2"]);
        let mut request = assistant(vec![Part::text("I look"), Part::new(called("c1")), Part::new(called("c2"))]);
        restore(&mut request, &mut |id| (id == "c1").then(|| proofs.message.clone()));
        let found = &request.messages[0].parts;
        assert_eq!(found.len(), 5);
        for (found, expect) in found.iter().zip(&parts) {
            assert_eq!((&found.content, &found.signature), (&expect.content, &expect.signature));
        }
    }

    #[test]
    fn what_a_caller_sent_is_not_touched() {
        let mut request = assistant(vec![signed(thought("own"), Dialect::Anthropic, "own"), Part::new(called("c1"))]);
        let before = request.clone();
        restore(&mut request, &mut |_| panic!("it is not asked for"));
        assert_eq!(request, before);
        let mut request = assistant(vec![Part::new(called("c1"))]);
        let before = request.clone();
        restore(&mut request, &mut |_| None);
        assert_eq!(request, before);
    }

    #[test]
    fn nothing_is_kept_without_a_call_or_a_signature() {
        assert_eq!(of([signed(thought("hm"), Dialect::Anthropic, "sig")]), None);
        assert_eq!(of([Part::new(called("c1"))]), None);
        assert_eq!(of([signed(thought("hm"), Dialect::Anthropic, "sig"), Part::new(called(""))]), None);
        assert_eq!(
            of([signed(thought(&"x".repeat(MAX_BYTES)), Dialect::Anthropic, "s"), Part::new(called("c"))]),
            None
        );
    }

    #[test]
    fn a_stream_keeps_the_same() {
        let mut collector = Collector::default();
        let open = |part, opening| Event::Opened { choice: 0, part, opening };
        let delta = |part, delta| Event::Delta { choice: 0, part, delta };
        let signature = Signature { by: Dialect::Anthropic, text: "sig".to_owned() };
        for event in [
            open(0, Opening::Thinking { id: None }),
            delta(0, Delta::Text("h".to_owned())),
            delta(0, Delta::Text("m".to_owned())),
            delta(0, Delta::Signature(signature)),
            open(1, Opening::Text),
            delta(1, Delta::Text("I look".to_owned())),
            open(2, Opening::ToolCall { id: "c1".to_owned(), name: "f".to_owned(), custom: false }),
        ] {
            collector.note(&event);
        }
        let call = Content::ToolCall(ToolCall {
            id: "c1".to_owned(),
            name: "f".to_owned(),
            arguments: String::new(),
            custom: false,
        });
        assert_eq!(collector.finish(), of([signed(thought("hm"), Dialect::Anthropic, "sig"), Part::new(call)]));
    }
}
