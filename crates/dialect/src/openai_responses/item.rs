//! Items and their parts, as requests and replies have them.

use ir::chat::extras::Extras;
use ir::chat::message::{Citation, Content, Document, Part, Role, Signature, Source, ToolCall, ToolResult};
use ir::dialect::Dialect;
use ir::json::Json;

use crate::json::object::{Object, Path, Wrong, elements, string};

/// What a member's name begins with that stands beside the content of a model's message (its id, its phase). Such
/// members are kept with the first part, because one turn of the model may hold several messages.
pub(super) const OF_MESSAGE: &str = "message.";

/// Keeps what stands beside the content of a model's message.
pub(super) fn keep_beside(parts: &mut [Part], extras: &Extras) {
    if let Some(first) = parts.first_mut() {
        for (name, value) in extras.of(Dialect::OpenaiResponses) {
            first.extras.push(Dialect::OpenaiResponses, format!("{OF_MESSAGE}{name}"), value.clone());
        }
    }
}

/// Notes on how a thing was written where there are two ways that mean the same.
pub(super) mod note {
    /// A message is the request's `instructions`.
    pub const INSTRUCTIONS: &str = "instructions";
    /// A message is the whole `input`.
    pub const WHOLE: &str = "whole";
    /// The message of a part has no `type`.
    pub const UNTYPED: &str = "untyped";
    /// A text stands as a part, not in the place of the list.
    pub const PART: &str = "part";
    /// A part says that it has no annotations.
    pub const NO_ANNOTATIONS: &str = "no annotations";
    /// A request says that it has no tools.
    pub const NO_TOOLS: &str = "no tools";
    /// A request says that it wants no stream.
    pub const NO_STREAM: &str = "no stream";
}

/// Notes how a thing was written.
pub(super) fn note(extras: &mut Extras, name: &str) {
    extras.note(Dialect::OpenaiResponses, name, Json::of(&true));
}

/// Whether it was noted.
pub(super) fn noted(extras: &Extras, name: &str) -> bool {
    extras.noted(Dialect::OpenaiResponses, name).is_some()
}

/// One item.
pub(super) enum Item {
    /// A message.
    Message {
        /// Who speaks.
        role: Role,
        /// What is said.
        parts: Vec<Part>,
        /// What stands beside it.
        extras: Extras,
    },
    /// A piece of the model's turn that is not a message: reasoning, a call, what only this dialect knows.
    Piece(Part),
    /// What a tool answered.
    Answer {
        /// The answer.
        part: Part,
        /// Whether the tool is a custom one.
        custom: bool,
    },
}

/// Reads an item. What has a type that is not known is carried whole.
pub(super) fn read(text: &str, path: Path) -> Result<Item, Wrong> {
    let mut item = Object::read(text, path)?;
    let kind = item.peek("type").and_then(string);
    let message = kind.as_deref() == Some("message") || kind.is_none() && item.peek("role").is_some();
    if message {
        return read_message(item);
    }
    Ok(match kind.as_deref() {
        Some("reasoning") => Item::Piece(reasoning(item)?),
        Some("function_call") => Item::Piece(call(item, false)?),
        Some("custom_tool_call") => Item::Piece(call(item, true)?),
        Some(kind @ ("function_call_output" | "custom_tool_call_output")) => {
            item.take("type");
            let call_id = item.need_text("call_id")?;
            let parts = contents(&mut item, "output")?;
            let answer = Content::ToolResult(ToolResult { call_id, name: None, parts, is_error: None });
            let custom = kind.starts_with("custom");
            Item::Answer { part: Part { extras: rest(item), ..Part::new(answer) }, custom }
        }
        _ => Item::Piece(Part::new(foreign(text))),
    })
}

/// Returns what only this dialect knows, whole.
pub(super) fn foreign(text: &str) -> Content {
    // The text was read as an object before: at worst a control character stands raw in it.
    let block = Json::parse(text).unwrap_or_else(|| Json::of(&text));
    Content::Foreign { dialect: Dialect::OpenaiResponses, block }
}

fn read_message(mut item: Object<'_>) -> Result<Item, Wrong> {
    let untyped = item.take("type").is_none();
    let role = match item.text("role")?.as_deref() {
        None | Some("assistant") => Role::Assistant,
        Some("user") => Role::User,
        Some("system") => Role::System,
        Some("developer") => Role::Developer,
        Some(_) => return Err(item.wrong("role", "`user`, `assistant`, `system` or `developer`")),
    };
    let mut parts = contents(&mut item, "content")?;
    if let Some(first) = parts.first_mut().filter(|_| untyped) {
        note(&mut first.extras, note::UNTYPED);
    }
    Ok(Item::Message { role, parts, extras: rest(item) })
}

/// Takes what is a text or a list of parts.
fn contents(item: &mut Object<'_>, name: &'static str) -> Result<Vec<Part>, Wrong> {
    if let Some(text) = item.peek(name).and_then(string) {
        item.take(name);
        return Ok(vec![Part::text(text)]);
    }
    let path = item.path().member(name);
    let list = item.list(name)?.unwrap_or_default();
    let parts = list.into_iter().enumerate().map(|(index, text)| part(text, path.element(index)));
    let mut parts: Vec<Part> = parts.collect::<Result<_, _>>()?;
    parts.iter_mut().for_each(|part| note(&mut part.extras, note::PART));
    Ok(parts)
}

fn part(text: &str, path: Path) -> Result<Part, Wrong> {
    let mut part = Object::read(text, path)?;
    let bare = part.peek("annotations").is_some_and(|list| elements(list).is_ok_and(|list| list.is_empty()));
    let content = match part.peek("type").and_then(string).as_deref() {
        Some("input_text" | "output_text" | "text") => {
            let annotations = part.list("annotations")?.unwrap_or_default();
            let citations = annotations.into_iter().map(citation).collect();
            Content::Text { text: part.text("text")?.unwrap_or_default(), citations }
        }
        Some("refusal") => Content::Refusal(part.text("refusal")?.unwrap_or_default()),
        Some("input_image") => match source(&mut part, ["image_url", "image_url"])? {
            Some(source) => Content::Image { source, detail: part.text("detail")? },
            None => foreign(text),
        },
        Some("input_file") => match source(&mut part, ["file_data", "file_url"])? {
            Some(source) => {
                Content::Document(Document { source, title: part.text("filename")?, context: None, citations: None })
            }
            None => foreign(text),
        },
        _ => foreign(text),
    };
    if matches!(content, Content::Foreign { .. }) {
        return Ok(Part::new(content));
    }
    part.take("type");
    let mut extras = rest(part);
    if bare {
        note(&mut extras, note::NO_ANNOTATIONS);
    }
    Ok(Part { extras, ..Part::new(content) })
}

/// Takes where a picture or a file is: in the member that holds data, at an address, in the provider's store.
fn source(part: &mut Object<'_>, [data, url]: [&'static str; 2]) -> Result<Option<Source>, Wrong> {
    if let Some(id) = part.text("file_id")? {
        return Ok(Some(Source::File(id)));
    }
    let Some(text) = part.text(data)? else { return Ok(part.text(url)?.map(Source::Url)) };
    let inline = text.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
    Ok(match inline {
        Some((media_type, data)) => Some(Source::Base64 { media_type: media_type.to_owned(), data: data.to_owned() }),
        None if data == url => Some(Source::Url(text)),
        // Base64 that does not say of what: it is a PDF, which is what the interface took first.
        None => Some(Source::Base64 { media_type: "application/pdf".to_owned(), data: text }),
    })
}

/// Reads an annotation (<https://platform.openai.com/docs/guides/tools-web-search#output-and-citations>).
pub(super) fn citation(text: &str) -> Citation {
    let original = Json::parse(text).map(|json| (Dialect::OpenaiResponses, json));
    let Ok(mut annotation) = Object::read(text, Path::default()) else {
        return Citation { original, ..Citation::default() };
    };
    let mut word = |name| annotation.text(name).ok().flatten();
    let (url, title) = (word("url"), word("title").or_else(|| word("filename")));
    let mut number = |name| annotation.integer(name).ok().flatten();
    let span = number("start_index").zip(number("end_index"));
    Citation { url, title, cited_text: None, span, original }
}

fn call(mut item: Object<'_>, custom: bool) -> Result<Part, Wrong> {
    item.take("type");
    let call = ToolCall {
        id: item.text("call_id")?.unwrap_or_default(),
        name: item.text("name")?.unwrap_or_default(),
        arguments: item.text(if custom { "input" } else { "arguments" })?.unwrap_or_default(),
        custom,
    };
    Ok(Part { extras: rest(item), ..Part::new(Content::ToolCall(call)) })
}

/// Reads reasoning. Its text is the thought itself where it is shown (open models), and the summary where it is not.
/// A form that one text cannot give back (several summaries, a thought) is kept beside it.
fn reasoning(mut item: Object<'_>) -> Result<Part, Wrong> {
    item.take("type");
    let mut kept = Extras::default();
    let content = texts(item.peek("content"));
    let summary = texts(item.peek("summary"));
    for (name, form) in [("summary", summary.len() > 1 || !content.is_empty()), ("content", !content.is_empty())] {
        if let Some(value) = item.take(name).filter(|_| form) {
            keep(&mut kept, name, value);
        }
    }
    let text = if content.is_empty() { summary } else { content }.join(BETWEEN);
    let id = item.text("id")?;
    let signature = item
        .text("encrypted_content")?
        .filter(|text| !text.is_empty())
        .map(|text| Signature { by: Dialect::OpenaiResponses, text });
    for (name, value) in item.leftovers() {
        keep(&mut kept, name, value);
    }
    Ok(Part { signature, extras: kept, ..Part::new(Content::Thinking { text, id }) })
}

/// What stands between two summaries, or two thoughts, of one item.
pub(super) const BETWEEN: &str = "\n\n";

/// Returns the texts of `[{"type": …, "text": …}, …]`.
pub(super) fn texts(list: Option<&str>) -> Vec<String> {
    let list = list.and_then(|list| elements(list).ok()).unwrap_or_default();
    let text = |part| Object::read(part, Path::default()).ok()?.text("text").ok()?;
    list.into_iter().filter_map(text).collect()
}

/// Returns what nobody took.
pub(super) fn rest(object: Object<'_>) -> Extras {
    let mut extras = Extras::default();
    for (name, value) in object.leftovers() {
        keep(&mut extras, name, value);
    }
    extras
}

/// Keeps a member of this dialect.
pub(super) fn keep(extras: &mut Extras, name: impl Into<Box<str>>, value: &str) {
    if let Some(json) = Json::parse(value) {
        extras.push(Dialect::OpenaiResponses, name, json);
    }
}
