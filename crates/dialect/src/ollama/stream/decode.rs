//! One line after the other: each holds what was added, the last says why it ended and what was consumed.

use ir::chat::event::{Delta, Event, Opening, Started};
use ir::chat::extras::Extras;
use ir::chat::response::Finish;
use ir::dialect::Dialect;
use ir::json::Json;
use ir::usage::Usage;
use serde::Serialize;

use crate::carry::keep;
use crate::json::object::{Object, Path, Wrong, elements, string};
use crate::ollama::{error, wire};
use crate::translate::{Decode, Frame, NotAReply, Step};

/// Reads the lines of one answer.
#[derive(Debug)]
pub struct Decoder {
    seed: Box<str>,
    started: bool,
    /// The part that grows.
    open: Option<Growing>,
    parts: u32,
    calls: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Growing {
    Text,
    Thinking,
}

impl Decoder {
    /// Starts an answer. `seed` makes ids of tool calls that have none.
    pub fn new(seed: &str) -> Self {
        Self { seed: seed.into(), started: false, open: None, parts: 0, calls: 0 }
    }
}

impl Decode for Decoder {
    fn frame(&mut self, frame: Frame<'_>, out: &mut Vec<Event>) -> Result<Step, NotAReply> {
        let mut object = Object::read(frame.data, Path::default()).map_err(malformed)?;
        if let Some(error) = object.take("error") {
            return Err(NotAReply::Error(error::member(error)));
        }
        if !std::mem::replace(&mut self.started, true) {
            let model = said(&mut object, "model").unwrap_or_default();
            out.push(Event::Started(Started { model, ..Started::default() }));
        }
        if let Some(message) = object.object("message").map_err(malformed)? {
            self.message(message, out)?;
        }
        if let Some(logprobs) = object.take("logprobs").and_then(logprobs) {
            out.push(Event::Logprobs { choice: 0, logprobs });
        }
        if object.take("done") != Some("true") {
            return Ok(Step::More);
        }
        self.close(out);
        if let Some(usage) = usage(&mut object) {
            out.push(Event::Usage(usage));
        }
        let finish = self.finish(said(&mut object, "done_reason"));
        object.take("model");
        let mut extras = Extras::default();
        keep(object, Dialect::Ollama, "", &mut extras);
        if !extras.is_empty() {
            out.push(Event::Extras(extras));
        }
        out.push(Event::Finished { choice: 0, finish });
        Ok(Step::Complete)
    }
}

impl Decoder {
    fn message(&mut self, mut message: Object<'_>, out: &mut Vec<Event>) -> Result<(), NotAReply> {
        if let Some(text) = said(&mut message, "thinking") {
            self.grow(Growing::Thinking, text, out);
        }
        if let Some(text) = said(&mut message, "content") {
            self.grow(Growing::Text, text, out);
        }
        let images = message.take("images").and_then(|list| elements(list).ok()).unwrap_or_default();
        for data in images.into_iter().filter_map(string) {
            let opening = Opening::Media { media_type: wire::media_type(&data).to_owned() };
            self.whole(opening, Delta::Data(data), out);
        }
        for call in message.objects("tool_calls").map_err(malformed)? {
            self.call(call, out)?;
        }
        Ok(())
    }

    fn call(&mut self, mut call: Object<'_>, out: &mut Vec<Event>) -> Result<(), NotAReply> {
        let path = call.path().member("function");
        let function = call.object("function").and_then(|function| function.ok_or(Wrong::Missing(path)));
        let mut function = function.map_err(malformed)?;
        let name = function.need_text("name").map_err(malformed)?;
        // Some servers write the object as a text, as OpenAI does.
        let arguments = function.take("arguments").unwrap_or("{}");
        let arguments = string(arguments).unwrap_or_else(|| arguments.to_owned());
        let id = said(&mut call, "id").unwrap_or_else(|| format!("call_{}{}", self.seed, self.calls));
        self.calls += 1;
        self.whole(Opening::ToolCall { id, name, custom: false }, Delta::Arguments(arguments), out);
        Ok(())
    }

    /// A part that comes at once.
    fn whole(&mut self, opening: Opening, delta: Delta, out: &mut Vec<Event>) {
        self.close(out);
        let part = self.parts;
        self.parts += 1;
        out.push(Event::Opened { choice: 0, part, opening });
        out.push(Event::Delta { choice: 0, part, delta });
        out.push(Event::Closed { choice: 0, part });
    }

    fn grow(&mut self, what: Growing, text: String, out: &mut Vec<Event>) {
        if self.open != Some(what) {
            self.close(out);
            let opening = match what {
                Growing::Text => Opening::Text,
                Growing::Thinking => Opening::Thinking { id: None },
            };
            out.push(Event::Opened { choice: 0, part: self.parts, opening });
            self.parts += 1;
            self.open = Some(what);
        }
        out.push(Event::Delta { choice: 0, part: self.parts - 1, delta: Delta::Text(text) });
    }

    fn close(&mut self, out: &mut Vec<Event>) {
        if self.open.take().is_some() {
            out.push(Event::Closed { choice: 0, part: self.parts - 1 });
        }
    }

    /// The server says `stop` for calls, too, and old ones say nothing. `load` and `unload` answer a request without
    /// messages.
    fn finish(&self, reason: Option<String>) -> Finish {
        match reason.as_deref() {
            None | Some("stop") if self.calls > 0 => Finish::ToolCalls,
            None | Some("stop") => Finish::Stop,
            Some("length") => Finish::Length,
            Some(other) => Finish::Other(other.to_owned()),
        }
    }
}

/// Takes a text that says something; anything else says nothing.
fn said(object: &mut Object<'_>, name: &'static str) -> Option<String> {
    object.text(name).ok().flatten().filter(|text| !text.is_empty())
}

/// More tokens than any model can read or write in one answer: such a report is a lie.
const ABSURD_TOKENS: u64 = 1 << 32;

/// Reads what was consumed. A prompt that the server has in its cache whole may go uncounted; it costs nothing there.
fn usage(object: &mut Object<'_>) -> Option<Usage> {
    let mut count =
        |name| object.integer(name).ok().filter(|tokens| tokens.is_none_or(|tokens| tokens <= ABSURD_TOKENS));
    let (input, output) = (count("prompt_eval_count")?, count("eval_count")?);
    input.or(output)?;
    Some(Usage { input: input.unwrap_or(0), output: output.unwrap_or(0), ..Usage::default() })
}

/// One token as OpenAI writes it; Ollama leaves out what is empty.
#[derive(Serialize)]
struct Token {
    token: String,
    logprob: Json,
    bytes: Option<Json>,
    top_logprobs: Vec<Json>,
}

fn logprobs(list: &str) -> Option<Json> {
    #[derive(Serialize)]
    struct Logprobs {
        content: Vec<Token>,
        refusal: (),
    }
    let token = |text| {
        let mut object = Object::read(text, Path::default()).ok()?;
        let top = object.list("top_logprobs").ok().flatten().unwrap_or_default();
        Some(Token {
            token: object.need_text("token").ok()?,
            logprob: object.number("logprob").ok().flatten()?,
            bytes: object.json("bytes"),
            top_logprobs: top.into_iter().filter_map(Json::parse).collect(),
        })
    };
    let content: Vec<Token> = elements(list).ok()?.into_iter().filter_map(token).collect();
    (!content.is_empty()).then(|| Json::of(&Logprobs { content, refusal: () }))
}

fn malformed(wrong: Wrong) -> NotAReply {
    NotAReply::Malformed(wrong.to_string())
}

#[cfg(test)]
mod tests;
