//! The messages.

use ir::chat::extras::Extras;
use ir::chat::message::{Content, Message, Part, Role, Signature, ToolCall, ToolResult};
use ir::dialect::Dialect;
use ir::json::Json;

use super::{OWN, note, part};
use crate::carry::keep;
use crate::json::object::{Object, Path, Wrong, elements, string};
use crate::openai_chat::reasoning::Entry;

/// The calls of the older `function_call`, which has no ids: they are counted instead.
#[derive(Debug, Default)]
struct Legacy {
    calls: usize,
}

impl Legacy {
    fn id(&self) -> String {
        format!("call_function_{}", self.calls)
    }
}

/// Takes the messages of a request.
pub(super) fn all(object: &mut Object<'_>) -> Result<Vec<Message>, Wrong> {
    let mut legacy = Legacy::default();
    object.objects("messages")?.into_iter().map(|message| one(message, &mut legacy)).collect()
}

fn one(mut object: Object<'_>, legacy: &mut Legacy) -> Result<Message, Wrong> {
    let role = match object.need_text("role")?.as_str() {
        "system" => Role::System,
        "developer" => Role::Developer,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        role @ ("tool" | "function") => return answer(object, role == "function", legacy),
        _ => return Err(object.wrong("role", "one of system, developer, user, assistant, tool")),
    };
    let mut message = Message { role, parts: Vec::new(), name: object.text("name")?, extras: Extras::default() };
    let Message { parts, extras, .. } = &mut message;
    if role == Role::Assistant {
        thoughts(&mut object, parts, extras)?;
    }
    content(&mut object, parts, extras)?;
    if role == Role::Assistant {
        if let Some(refusal) = object.text("refusal")? {
            parts.push(Part::new(Content::Refusal(refusal)));
        }
        calls(&mut object, parts, extras, legacy)?;
    }
    cache(&mut object, parts, extras);
    keep(object, OWN, "", extras);
    Ok(message)
}

/// Reads what a tool answered.
fn answer(mut object: Object<'_>, is_legacy: bool, legacy: &Legacy) -> Result<Message, Wrong> {
    let mut extras = Extras::default();
    let name = object.text("name")?;
    if name.is_some() {
        note(&mut extras, "name");
    }
    let call_id = if is_legacy {
        note(&mut extras, "function");
        legacy.id()
    } else {
        object.need_text("tool_call_id")?
    };
    let mut parts = Vec::new();
    content(&mut object, &mut parts, &mut extras)?;
    let result = Part::new(Content::ToolResult(ToolResult { call_id, name, parts, is_error: None }));
    let mut parts = vec![result];
    cache(&mut object, &mut parts, &mut extras);
    keep(object, OWN, "", &mut extras);
    Ok(Message { role: Role::Tool, parts, name: None, extras })
}

/// Takes the content: text, or parts.
fn content(object: &mut Object<'_>, parts: &mut Vec<Part>, extras: &mut Extras) -> Result<(), Wrong> {
    let Some(value) = object.take("content") else { return Ok(()) };
    if let Some(text) = string(value) {
        parts.push(Part::text(text));
        return Ok(());
    }
    let path = object.path().member("content");
    let list = elements(value).map_err(|_| object.wrong("content", "a string or an array of parts"))?;
    note(extras, "parts");
    for (at, text) in list.into_iter().enumerate() {
        parts.push(part::read(text, path.element(at))?);
    }
    Ok(())
}

/// A mark of the whole message stands at its end.
fn cache(object: &mut Object<'_>, parts: &mut [Part], extras: &mut Extras) {
    if object.peek("cache_control").is_some()
        && let Some(last) = parts.last_mut().filter(|last| last.cache_control.is_none())
    {
        last.cache_control = object.json("cache_control");
        note(extras, "cache_control");
    }
}

/// Takes the thoughts. Where a vendor says them twice, as entries and as text, the entries count: they have the proofs.
fn thoughts(object: &mut Object<'_>, parts: &mut Vec<Part>, extras: &mut Extras) -> Result<(), Wrong> {
    let has_entries = object.peek("reasoning_details").is_some();
    if has_entries {
        match entries(object)? {
            Some(found) => {
                note(extras, "reasoning_details");
                parts.extend(found);
            }
            // An entry that is not known: the list is this dialect's affair.
            None => extras.push(OWN, "reasoning_details", Json::of(&object.json("reasoning_details"))),
        }
    }
    let mut shown: String = parts.iter().filter_map(text_of).collect();
    for name in ["reasoning_content", "reasoning"] {
        let Some(text) = object.text(name)? else { continue };
        if shown.is_empty() && !has_entries {
            shown.clone_from(&text);
            if !text.is_empty() {
                parts.push(Part::new(Content::Thinking { text: text.clone(), id: None }));
            }
        }
        if text == shown {
            note(extras, name);
        } else {
            extras.push(OWN, name, Json::of(&text));
        }
    }
    Ok(())
}

fn text_of(part: &Part) -> Option<&str> {
    match &part.content {
        Content::Thinking { text, .. } => Some(text),
        _ => None,
    }
}

/// Takes the entries; none is taken when one of them is not known.
fn entries(object: &mut Object<'_>) -> Result<Option<Vec<Part>>, Wrong> {
    let path = object.path().member("reasoning_details");
    let whole = object.peek("reasoning_details").unwrap_or_default();
    let list = elements(whole).map_err(|_| object.wrong("reasoning_details", "an array"))?;
    let mut parts = Vec::with_capacity(list.len());
    for (at, text) in list.into_iter().enumerate() {
        let mut entry = Object::read(text, path.element(at))?;
        let Some(found) = Entry::read(&mut entry)? else { return Ok(None) };
        let mut part = found.into_part();
        keep(entry, OWN, "", &mut part.extras);
        parts.push(part);
    }
    object.take("reasoning_details");
    Ok(Some(parts))
}

fn calls(
    object: &mut Object<'_>,
    parts: &mut Vec<Part>,
    extras: &mut Extras,
    legacy: &mut Legacy,
) -> Result<(), Wrong> {
    let path = object.path().member("tool_calls");
    if let Some(list) = object.list("tool_calls")? {
        if list.is_empty() {
            note(extras, "no calls");
        }
        for (at, text) in list.into_iter().enumerate() {
            parts.push(call(text, path.element(at))?);
        }
    }
    if let Some(mut function) = object.object("function_call")? {
        legacy.calls += 1;
        let call = ToolCall {
            id: legacy.id(),
            name: function.need_text("name")?,
            arguments: function.text("arguments")?.unwrap_or_default(),
            custom: false,
        };
        let mut part = Part::new(Content::ToolCall(call));
        note(&mut part.extras, "function_call");
        keep(function, OWN, "function.", &mut part.extras);
        parts.push(part);
    }
    Ok(())
}

fn call(text: &str, path: Path) -> Result<Part, Wrong> {
    let mut object = Object::read(text, path)?;
    let kind = object.text("type")?;
    let mut extras = Extras::default();
    let call = match kind.as_deref() {
        Some("function") | None => {
            let mut function = object.object("function")?.ok_or(Wrong::Missing(path.member("function")))?;
            let call = ToolCall {
                id: object.need_text("id")?,
                name: function.need_text("name")?,
                arguments: function.text("arguments")?.unwrap_or_default(),
                custom: false,
            };
            keep(function, OWN, "function.", &mut extras);
            call
        }
        Some("custom") => {
            let mut custom = object.object("custom")?.ok_or(Wrong::Missing(path.member("custom")))?;
            ToolCall {
                id: object.need_text("id")?,
                name: custom.need_text("name")?,
                arguments: custom.text("input")?.unwrap_or_default(),
                custom: true,
            }
        }
        Some(_) => {
            let block = Json::parse(text).ok_or(Wrong::Form { path, expected: "a tool call" })?;
            let mut part = Part::new(Content::Foreign { dialect: OWN, block });
            note(&mut part.extras, "tool_calls");
            return Ok(part);
        }
    };
    let signature = object.peek("extra_content").and_then(thought_signature);
    if signature.is_some() {
        object.take("extra_content");
        note(&mut extras, "extra_content");
    }
    let cache_control = object.json("cache_control");
    if cache_control.is_some() {
        note(&mut extras, "cache_control");
    }
    keep(object, OWN, "", &mut extras);
    Ok(Part { content: Content::ToolCall(call), signature, cache_control, extras })
}

/// Returns the signature that Google's `extra_content` holds, if it holds nothing else.
fn thought_signature(extra_content: &str) -> Option<Signature> {
    let mut object = Object::read(extra_content, Path::default()).ok()?;
    let mut google = object.object("google").ok()??;
    let text = google.text("thought_signature").ok()??;
    let alone = google.leftovers().next().is_none() && object.leftovers().next().is_none();
    alone.then_some(Signature { by: Dialect::Gemini, text })
}
