//! The conversation in Anthropic's shape.
//!
//! System prompts are hoisted into `system`, wherever they stood; only what Anthropic's own callers put into the
//! conversation stays there. Results of tools become blocks of a user message, those of one answer in one message and
//! in the order of its calls. Messages of one role that follow each other are one. Empty texts are left out. A system
//! prompt alone is what the user says.

use std::borrow::Cow;

use ir::chat::extras::Extras;
use ir::chat::message::{Content, Document, Message, Part, Role, Signature, Source, ToolResult};
use ir::failure::Failure;
use serde::Serialize;

use super::{Dropped, unsupported};
use crate::anthropic::wire::{self, Block, Body, Citations, DIALECT, Members};
use crate::json::object::Path;

/// The conversation.
pub(super) struct Conversation<'a> {
    /// The system prompt.
    pub system: Vec<Block<'a>>,
    /// Whether the system prompt was a list.
    pub is_list: bool,
    /// The messages.
    pub messages: Vec<Turn<'a>>,
    /// Whether the last answer is a tool call without a thought before it, and its results follow.
    pub mid_loop: bool,
}

/// One message.
#[derive(Serialize)]
pub(super) struct Turn<'a> {
    role: &'static str,
    content: Body<'a>,
    #[serde(flatten)]
    extras: Members<'a>,
}

/// Returns a text block.
pub(super) fn text(text: &str) -> Block<'_> {
    Block::Text(wire::Text { text, citations: Vec::new(), cache_control: None, extras: Members::NONE })
}

/// Returns the conversation of a request.
///
/// # Errors
/// A 400 that names a part which Anthropic has no word for.
pub(super) fn encode<'a>(messages: &'a [Message], dropped: &mut Dropped) -> Result<Conversation<'a>, Failure> {
    let mut writer = Writer { dropped, calls: 0, results: 0 };
    let mut system = Vec::new();
    let mut is_list = false;
    let mut turns: Vec<Draft<'a>> = Vec::new();
    // The calls of the last answer, by the provider's id.
    let mut calls: Vec<&str> = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        let blocks = writer.message(message, Path::default().member("messages").element(at))?;
        let hoisted = message.extras.noted(DIALECT, "role").is_none();
        let role = match message.role {
            Role::System | Role::Developer if hoisted => {
                system.extend(blocks.into_iter().map(|(_, block)| block));
                is_list |= wire::is_list(&message.extras);
                continue;
            }
            Role::System | Role::Developer => "system",
            Role::User | Role::Tool => "user",
            Role::Assistant => {
                calls = called(message);
                "assistant"
            }
        };
        if blocks.is_empty() {
            continue;
        }
        let joins = |last: &&mut Draft<'_>| last.role == role && last.extras.is_empty() && message.extras.is_empty();
        match turns.last_mut().filter(joins) {
            Some(last) => {
                last.blocks.extend(blocks);
                last.results &= message.role == Role::Tool;
            }
            None => turns.push(Draft { role, blocks, extras: &message.extras, results: message.role == Role::Tool }),
        }
        if let Some(last) = turns.last_mut().filter(|last| last.results) {
            let order = |answers| calls.iter().position(|call| Some(*call) == answers).unwrap_or(usize::MAX);
            last.blocks.sort_by_key(|(answers, _)| order(*answers));
        }
    }
    let mid_loop = mid_loop(&turns);
    let mut messages: Vec<Turn<'a>> = turns.into_iter().map(Draft::turn).collect();
    if messages.is_empty() && !system.is_empty() {
        // Anthropic wants one message at least, OpenAI's callers may send a system prompt alone.
        let content = Body::of(std::mem::take(&mut system), is_list);
        messages.push(Turn { role: "user", content, extras: Members::NONE });
    }
    Ok(Conversation { system, is_list, messages, mid_loop })
}

/// A block, and the call that it answers.
type Answering<'a> = (Option<&'a str>, Block<'a>);

struct Draft<'a> {
    role: &'static str,
    blocks: Vec<Answering<'a>>,
    extras: &'a Extras,
    /// Whether it is nothing but results of tools, from messages of their own.
    results: bool,
}

impl<'a> Draft<'a> {
    fn turn(self) -> Turn<'a> {
        let blocks = self.blocks.into_iter().map(|(_, block)| block).collect();
        Turn {
            role: self.role,
            content: Body::of(blocks, wire::is_list(self.extras)),
            extras: Members::of(self.extras),
        }
    }
}

fn called(message: &Message) -> Vec<&str> {
    let calls = message.parts.iter().filter_map(|part| match &part.content {
        Content::ToolCall(call) => Some(call.id.as_str()),
        _ => None,
    });
    calls.collect()
}

fn mid_loop(turns: &[Draft<'_>]) -> bool {
    let [.., answer, results] = turns else { return false };
    let thought = |block: &Answering<'_>| matches!(block.1, Block::Thinking { .. } | Block::RedactedThinking { .. });
    results.blocks.iter().any(|(answers, _)| answers.is_some())
        && answer.role == "assistant"
        && !answer.blocks.first().is_some_and(thought)
}

struct Writer<'d> {
    dropped: &'d mut Dropped,
    /// Calls and results without an id so far: the n-th of each belong together.
    calls: u32,
    results: u32,
}

impl Writer<'_> {
    fn message<'a>(&mut self, message: &'a Message, path: Path) -> Result<Vec<Answering<'a>>, Failure> {
        if message.name.is_some() {
            self.dropped.name("name");
        }
        self.dropped.foreign(&message.extras, DIALECT);
        let mut blocks = Vec::with_capacity(message.parts.len());
        for (at, part) in message.parts.iter().enumerate() {
            let path = path.member("content").element(at);
            if let Some(block) = self.part(part, message.role, path)? {
                let answers = match &part.content {
                    Content::ToolResult(result) => Some(result.call_id.as_str()),
                    _ => None,
                };
                blocks.push((answers, block));
            }
        }
        Ok(blocks)
    }

    /// Returns the block of a part; `None` when there is nothing to say.
    fn part<'a>(&mut self, part: &'a Part, role: Role, path: Path) -> Result<Option<Block<'a>>, Failure> {
        self.dropped.foreign(&part.extras, DIALECT);
        let spoken = matches!(role, Role::User | Role::Tool);
        let refuse = |what: &str| {
            let message = format!("{what} cannot be sent to Anthropic's models as `{path}`");
            Err(unsupported(&path.to_string(), message))
        };
        let cache_control = part.cache_control.as_ref();
        let extras = Members::of(&part.extras);
        Ok(match &part.content {
            Content::Text { text, citations } => {
                let written: Vec<_> = citations.iter().filter_map(original).collect();
                if written.len() < citations.len() {
                    self.dropped.name("citations");
                }
                let text = wire::Text { text, citations: written, cache_control, extras };
                (!text.text.is_empty()).then_some(Block::Text(text))
            }
            Content::Refusal(said) => (!said.is_empty()).then(|| text(said)),
            Content::Thinking { text, .. } => {
                self.proof(part).map(|signature| Block::Thinking { thinking: text, signature, extras })
            }
            Content::Redacted => self.proof(part).map(|data| Block::RedactedThinking { data, extras }),
            Content::Image { source, detail } if spoken => {
                if detail.is_some() {
                    self.dropped.name("detail");
                }
                match self.source(source, path)? {
                    Some(source) => Some(Block::Image { source, cache_control, extras }),
                    None => return refuse("a picture from this source"),
                }
            }
            Content::Document(document) if spoken => match self.document(document, path)? {
                Some(source) => Some(Block::Document {
                    source,
                    title: document.title.as_deref(),
                    context: document.context.as_deref(),
                    citations: document.citations.map(|enabled| Citations { enabled }),
                    cache_control,
                    extras,
                }),
                None => return refuse("a file of this kind"),
            },
            Content::ToolCall(call) => Some(Block::ToolUse {
                id: id(&call.id, &mut self.calls),
                name: &call.name,
                input: wire::input(&call.arguments),
                cache_control,
                extras,
            }),
            Content::ToolResult(result) => Some(Block::ToolResult {
                tool_use_id: id(&result.call_id, &mut self.results),
                content: self.result(result, wire::is_list(&part.extras), path)?,
                is_error: result.is_error,
                cache_control,
                extras,
            }),
            Content::Foreign { dialect: DIALECT, block } => Some(Block::Raw(Cow::Borrowed(block))),
            Content::Foreign { dialect, .. } => return refuse(&format!("a part that only `{}` knows", dialect.name())),
            Content::Image { .. } => return refuse("a picture that is not the user's"),
            Content::Document(_) => return refuse("a file that is not the user's"),
            Content::Audio(_) => return refuse("sound"),
            Content::Video(_) => return refuse("a film"),
        })
    }

    /// Returns the proof of a thought, without which it is refused: one that Anthropic made.
    fn proof<'a>(&mut self, part: &'a Part) -> Option<&'a str> {
        match &part.signature {
            Some(Signature { by: DIALECT, text }) if !text.is_empty() => Some(text),
            // Another provider's thought, as Anthropic's callers were shown it.
            Some(Signature { by: DIALECT, .. }) => {
                self.dropped.name("thinking");
                None
            }
            _ => {
                self.dropped.name("reasoning");
                None
            }
        }
    }

    fn source<'a>(&mut self, source: &'a Source, path: Path) -> Result<Option<wire::Source<'a>>, Failure> {
        Ok(match source {
            Source::Url(url) => Some(wire::Source::Url { url }),
            Source::Base64 { media_type, data } => Some(wire::Source::Base64 { media_type, data }),
            // Ids of Anthropic's files; OpenAI's begin with `file-`.
            Source::File(file_id) => file_id.starts_with("file_").then_some(wire::Source::File { file_id }),
            Source::Text(data) => Some(wire::Source::Text { media_type: "text/plain", data }),
            Source::Parts(parts) => Some(wire::Source::Content { content: self.parts(parts, false, path)? }),
        })
    }

    /// Returns where a file is: files that are sent along must be PDF or text.
    fn document<'a>(&mut self, document: &'a Document, path: Path) -> Result<Option<wire::Source<'a>>, Failure> {
        match &document.source {
            Source::Base64 { media_type, .. } if media_type != "application/pdf" => Ok(None),
            source => self.source(source, path),
        }
    }

    fn result<'a>(&mut self, result: &'a ToolResult, list: bool, path: Path) -> Result<Option<Body<'a>>, Failure> {
        if result.parts.is_empty() { Ok(None) } else { self.parts(&result.parts, list, path).map(Some) }
    }

    fn parts<'a>(&mut self, parts: &'a [Part], list: bool, path: Path) -> Result<Body<'a>, Failure> {
        let mut blocks = Vec::with_capacity(parts.len());
        for (at, part) in parts.iter().enumerate() {
            blocks.extend(self.part(part, Role::User, path.member("content").element(at))?);
        }
        Ok(if blocks.is_empty() { Body::Text("") } else { Body::of(blocks, list) })
    }
}

/// Returns a citation that Anthropic made: no other can be sent back.
fn original(citation: &ir::chat::message::Citation) -> Option<Cow<'_, ir::json::Json>> {
    citation.original.as_ref().and_then(|(by, original)| (*by == DIALECT).then_some(Cow::Borrowed(original)))
}

/// Returns the id of a call as Anthropic accepts it, `^[a-zA-Z0-9_-]+$`. It is a function of the id alone, so that a
/// call and its result find each other; those without one are counted.
fn id<'a>(id: &'a str, unnamed: &mut u32) -> Cow<'a, str> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
    if id.is_empty() {
        *unnamed += 1;
        return Cow::Owned(format!("toolu_{unnamed}"));
    }
    if id.chars().all(allowed) {
        return Cow::Borrowed(id);
    }
    // FNV-1a (RFC 9923 section 2): ids that differ only in what is not allowed stay different.
    let hash = id
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let plain: String = id.chars().map(|letter| if allowed(letter) { letter } else { '_' }).collect();
    Cow::Owned(format!("{plain}_{hash:016x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_mapped_by_themselves_alone() {
        let mut unnamed = 0;
        assert_eq!(id("toolu_01-a", &mut unnamed), "toolu_01-a");
        let mapped = id("functions.get:0", &mut unnamed).into_owned();
        assert_eq!(mapped, id("functions.get:0", &mut unnamed));
        assert_ne!(mapped, id("functions:get.0", &mut unnamed));
        assert!(mapped.starts_with("functions_get_0_"));
        assert_eq!(id("", &mut unnamed), "toolu_1");
        assert_eq!(id("", &mut unnamed), "toolu_2");
    }
}
