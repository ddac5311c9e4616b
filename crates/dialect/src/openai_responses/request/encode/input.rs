//! The conversation as a list of items.

use std::borrow::Cow;

use ir::chat::extras::Extras;
use ir::chat::message::{Citation, Document, Message, Part, Role, Source, ToolCall, ToolResult};
use ir::dialect::Dialect;
use ir::failure::Failure;
use ir::json::Json;

use super::{Dropped, own, unsupported};
use crate::openai_responses::item::{BETWEEN, OF_MESSAGE, note, noted, texts};
use crate::openai_responses::wire::{Content, Contents, Input, Item, Members};

type Canonical = ir::chat::message::Content;

/// Writes messages. `first` is the number of the first one, for errors; `again` as in [`super::encode_again`].
pub(super) fn input<'a>(
    messages: &'a [Message],
    first: usize,
    again: bool,
    dropped: &mut Dropped,
) -> Result<Input<'a>, Failure> {
    if let [message] = messages
        && noted(&message.extras, note::WHOLE)
        && let [Part { content: Canonical::Text { text, .. }, .. }] = message.parts.as_slice()
    {
        return Ok(Input::Text(text));
    }
    let mut writer = Writer { items: Vec::new(), custom: Vec::new(), again, dropped };
    for (index, message) in messages.iter().enumerate() {
        writer.message(message, first + index)?;
    }
    Ok(Input::Items(writer.items))
}

struct Writer<'a, 'd> {
    items: Vec<Item<'a>>,
    /// The calls of custom tools so far.
    custom: Vec<&'a str>,
    again: bool,
    dropped: &'d mut Dropped,
}

/// A message whose parts are still being collected.
struct Open<'a> {
    role: Role,
    members: Vec<(&'a str, &'a Json)>,
    contents: Vec<Content<'a>>,
    /// Whether its text stood as a part.
    parts: bool,
    untyped: bool,
}

/// Where a part stands, for errors.
#[derive(Clone, Copy)]
struct At {
    message: usize,
    part: usize,
}

impl At {
    fn refuse(self, what: &str) -> Failure {
        let param = format!("messages[{}].content[{}]", self.message, self.part);
        unsupported(param, format!("the model cannot be given {what}"))
    }
}

impl<'a> Writer<'a, '_> {
    fn message(&mut self, message: &'a Message, index: usize) -> Result<(), Failure> {
        if message.name.is_some() {
            self.dropped.name("name");
        }
        self.dropped.foreign(&message.extras, Dialect::OpenaiResponses);
        let mut open = Open { members: own(&message.extras).collect(), ..Open::new(message.role) };
        for (part_index, part) in message.parts.iter().enumerate() {
            let at = At { message: index, part: part_index };
            self.note(part);
            if let Some(item) = self.item(part, message.role, at)? {
                self.close(&mut open);
                self.items.push(item);
                continue;
            }
            let beside = own(&part.extras).filter_map(|(name, value)| Some((name.strip_prefix(OF_MESSAGE)?, value)));
            let mut beside = beside.filter(|_| message.role == Role::Assistant).peekable();
            if beside.peek().is_some() {
                self.close(&mut open);
                open.members.extend(beside);
            }
            open.parts |= noted(&part.extras, note::PART);
            open.untyped |= noted(&part.extras, note::UNTYPED);
            self.contents(part, message.role, at, &mut open.contents)?;
        }
        if message.parts.is_empty() {
            self.items.push(open.item());
        } else {
            self.close(&mut open);
        }
        Ok(())
    }

    /// Ends the message that is being collected, if anything was.
    fn close(&mut self, open: &mut Open<'a>) {
        if !open.contents.is_empty() {
            let role = open.role;
            self.items.push(std::mem::replace(open, Open::new(role)).item());
        }
    }

    /// Names what a part says that cannot be said here.
    fn note(&mut self, part: &Part) {
        if part.cache_control.is_some() {
            self.dropped.name("cache_control");
        }
        if part.signature.as_ref().is_some_and(|signature| signature.by != Dialect::OpenaiResponses) {
            self.dropped.name("reasoning");
        }
        self.dropped.foreign(&part.extras, Dialect::OpenaiResponses);
    }

    /// Returns the item that a part is on its own; `None` when it belongs to a message.
    fn item(&mut self, part: &'a Part, role: Role, at: At) -> Result<Option<Item<'a>>, Failure> {
        let members = || Members(own(&part.extras).collect());
        Ok(Some(match &part.content {
            Canonical::ToolCall(ToolCall { id, name, arguments, custom: false }) => {
                Item::FunctionCall { call_id: id, name, arguments, members: members() }
            }
            Canonical::ToolCall(ToolCall { id, name, arguments, custom: true }) => {
                self.custom.push(id);
                Item::CustomToolCall { call_id: id, name, input: arguments, members: members() }
            }
            Canonical::ToolResult(result) => self.answer(result, &part.extras, at)?,
            Canonical::Thinking { text, id } if can_return(part, id.as_deref()) => reasoning(part, text, id.as_deref()),
            Canonical::Foreign { dialect: Dialect::OpenaiResponses, block } if role == Role::Assistant => {
                Item::Foreign(block)
            }
            _ => return Ok(None),
        }))
    }

    fn answer(&mut self, result: &'a ToolResult, extras: &'a Extras, at: At) -> Result<Item<'a>, Failure> {
        if result.is_error == Some(true) {
            self.dropped.name("is_error");
        }
        let mut contents = Vec::new();
        for part in &result.parts {
            self.note(part);
            self.contents(part, Role::Tool, at, &mut contents)?;
        }
        let parts = result.parts.iter().any(|part| noted(&part.extras, note::PART));
        let (call_id, output) = (result.call_id.as_str(), short(contents, parts));
        let members = Members(own(extras).collect());
        Ok(if self.custom.contains(&call_id) {
            Item::CustomToolCallOutput { call_id, output, members }
        } else {
            Item::FunctionCallOutput { call_id, output, members }
        })
    }

    /// Appends what a part of a message says. Reasoning that cannot be sent again is left out.
    fn contents(&mut self, part: &'a Part, role: Role, at: At, out: &mut Vec<Content<'a>>) -> Result<(), Failure> {
        let spoken = role == Role::Assistant;
        let members = Members(own(&part.extras).filter(|(name, _)| !name.starts_with(OF_MESSAGE)).collect());
        out.push(match &part.content {
            Canonical::Text { text, citations } if spoken => {
                let bare = self.again && citations.is_empty() && !noted(&part.extras, note::NO_ANNOTATIONS);
                let annotations = self.annotations(citations);
                Content::OutputText { text, annotations: (!bare).then_some(annotations), members }
            }
            Canonical::Text { text, citations } => {
                if !citations.is_empty() {
                    self.dropped.name("citations");
                }
                Content::InputText { text, members }
            }
            Canonical::Refusal(refusal) => Content::Refusal { refusal, members },
            Canonical::Image { source, detail } if !spoken => {
                let (image_url, file_id) = match source {
                    Source::Url(url) => (Some(Cow::Borrowed(url.as_str())), None),
                    Source::Base64 { media_type, data } => (Some(Cow::Owned(data_url(media_type, data))), None),
                    Source::File(id) => (None, Some(id.as_str())),
                    Source::Text(_) | Source::Parts(_) => return Err(at.refuse("a picture in this form")),
                };
                Content::InputImage { detail: detail.as_deref(), image_url, file_id, members }
            }
            Canonical::Document(document) if !spoken => return self.document(document, members, role, at, out),
            Canonical::Foreign { dialect: Dialect::OpenaiResponses, block } => Content::Foreign(block),
            Canonical::Image { .. } | Canonical::Document(_) => return Err(at.refuse("a file as its own words")),
            Canonical::Audio(_) => return Err(at.refuse("sound")),
            Canonical::Video(_) => return Err(at.refuse("a film")),
            Canonical::Foreign { dialect, .. } => {
                return Err(at.refuse(&format!("a block of the dialect {}", dialect.name())));
            }
            Canonical::ToolCall(_) | Canonical::ToolResult(_) => return Err(at.refuse("a call inside a tool's answer")),
            Canonical::Thinking { .. } | Canonical::Redacted => {
                self.dropped.name("reasoning");
                return Ok(());
            }
        });
        Ok(())
    }

    fn annotations(&mut self, citations: &'a [Citation]) -> Vec<&'a Json> {
        let mut annotations = Vec::with_capacity(citations.len());
        for citation in citations {
            match &citation.original {
                Some((Dialect::OpenaiResponses, original)) => annotations.push(original),
                _ => self.dropped.name("citations"),
            }
        }
        annotations
    }

    /// Appends a file. A text that came as a file goes as text.
    fn document(
        &mut self,
        document: &'a Document,
        members: Members<'a>,
        role: Role,
        at: At,
        out: &mut Vec<Content<'a>>,
    ) -> Result<(), Failure> {
        let plain = matches!(document.source, Source::Text(_) | Source::Parts(_));
        for (name, said) in [
            ("title", plain && document.title.is_some()),
            ("context", document.context.is_some()),
            ("citations", document.citations.is_some()),
        ] {
            if said {
                self.dropped.name(name);
            }
        }
        let filename = document.title.as_deref();
        let (mut file_data, mut file_url, mut file_id) = (None, None, None);
        let filename = match &document.source {
            Source::Text(text) => {
                out.push(Content::InputText { text, members });
                return Ok(());
            }
            Source::Parts(parts) => return parts.iter().try_for_each(|part| self.contents(part, role, at, out)),
            Source::Base64 { media_type, data } => {
                file_data = Some(data_url(media_type, data));
                // Data without a name is refused.
                let name = if media_type == "application/pdf" { "document.pdf" } else { "document" };
                filename.or((!self.again).then_some(name))
            }
            Source::Url(url) => {
                file_url = Some(url.as_str());
                filename
            }
            Source::File(id) => {
                file_id = Some(id.as_str());
                filename
            }
        };
        out.push(Content::InputFile { filename, file_data, file_url, file_id, members });
        Ok(())
    }
}

impl<'a> Open<'a> {
    fn new(role: Role) -> Self {
        Self { role, members: Vec::new(), contents: Vec::new(), parts: false, untyped: false }
    }

    fn item(self) -> Item<'a> {
        let role = match self.role {
            Role::System => "system",
            Role::Developer => "developer",
            Role::Assistant => "assistant",
            Role::User | Role::Tool => "user",
        };
        let (content, members) = (short(self.contents, self.parts), Members(self.members));
        if self.untyped { Item::Untyped { role, content, members } } else { Item::Message { role, content, members } }
    }
}

/// Returns the short form of contents that are one plain text, unless that stood as a part.
fn short(mut contents: Vec<Content<'_>>, parts: bool) -> Contents<'_> {
    if contents.len() == 1 && !parts {
        match contents.pop() {
            Some(Content::InputText { text, members }) if members.0.is_empty() => return Contents::Text(text),
            Some(Content::OutputText { text, annotations, members })
                if members.0.is_empty() && annotations.iter().all(Vec::is_empty) =>
            {
                return Contents::Text(text);
            }
            other => contents.extend(other),
        }
    }
    Contents::Parts(contents)
}

fn data_url(media_type: &str, data: &str) -> String {
    format!("data:{media_type};base64,{data}")
}

/// Whether reasoning can be sent again: it was made here.
fn can_return(part: &Part, id: Option<&str>) -> bool {
    match &part.signature {
        Some(signature) => signature.by == Dialect::OpenaiResponses,
        None => id.is_some() || own(&part.extras).next().is_some(),
    }
}

/// Writes reasoning, in the form in which it came as long as that says the same.
fn reasoning<'a>(part: &'a Part, text: &'a str, id: Option<&'a str>) -> Item<'a> {
    let said =
        |name| part.extras.get(Dialect::OpenaiResponses, name).map(|list| texts(Some(list.as_str())).join(BETWEEN));
    let kept = said("content").or_else(|| said("summary")).is_some_and(|kept| kept == text);
    let is_form = |name: &str| matches!(name, "summary" | "content");
    let members = own(&part.extras).filter(|(name, _)| kept || !is_form(name)).collect::<Vec<_>>();
    let summary = (!kept).then(|| if text.is_empty() { Vec::new() } else { vec![Content::SummaryText { text }] });
    let encrypted_content = part.signature.as_ref().map(|signature| signature.text.as_str());
    Item::Reasoning { id, summary, encrypted_content, members: Members(members) }
}
