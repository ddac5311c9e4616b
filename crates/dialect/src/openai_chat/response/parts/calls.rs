//! Calls of tools, as they come together: vendors tell them apart by number, by id, or not at all.

use ir::chat::event::{Delta, Event, Opening};
use ir::chat::message::Signature;
use ir::dialect::Dialect;

use super::{Open, Reader};
use crate::json::object::{Object, string};
use crate::openai_chat::wire::reply::call_id;
use crate::openai_chat::wire::{object, word};

/// One call.
#[derive(Debug)]
pub(super) struct Call {
    index: Option<u64>,
    id: String,
    custom: bool,
    /// As far as it is there.
    name: String,
    /// `None` until its name is whole.
    part: Option<u32>,
    /// What it is given, as far as that came before its name.
    early: String,
}

/// How much a call may be given before its name: more, and the name is not waited for.
const MAX_EARLY_BYTES: usize = 64 << 10;

impl Call {
    /// Takes one more piece of its name. Some servers repeat the whole of it, or what there is so far.
    fn named(&mut self, piece: String) {
        if piece.starts_with(&self.name) {
            self.name = piece;
        } else {
            self.name.push_str(&piece);
        }
    }

    /// Whether its name may go on: until it is given something.
    fn waits(&self) -> bool {
        if self.name.is_empty() { self.early.len() < MAX_EARLY_BYTES } else { self.early.is_empty() }
    }
}

impl Reader {
    /// Reads one entry of `tool_calls`. `seed` is for the id of one that has none.
    pub(super) fn call(&mut self, text: &str, seed: &str, out: &mut Vec<Event>) {
        let Some(mut call) = object(text) else { return };
        let index = call.integer("index").ok().flatten();
        let id = word(&mut call, "id").unwrap_or_default();
        let (custom, function) = (call.object("custom").ok().flatten(), call.object("function").ok().flatten());
        let (is_custom, mut inner) = match (custom, function) {
            (Some(custom), _) => (true, Some(custom)),
            (None, function) => (false, function),
        };
        let name = inner.as_mut().and_then(|inner| word(inner, "name")).unwrap_or_default();
        let arguments = inner.as_mut().and_then(|inner| inner.take(if is_custom { "input" } else { "arguments" }));
        let at = self.known_call(index, &id, &name).unwrap_or_else(|| {
            let id = call_id(&id, seed, self.index, self.calls.len()).into_owned();
            self.named_calls(out);
            self.calls.push(Call {
                index,
                id,
                custom: is_custom,
                name: String::new(),
                part: None,
                early: String::new(),
            });
            self.calls.len() - 1
        });
        let google = call.object("extra_content").ok().flatten().and_then(|mut extra| extra.object("google").ok()?);
        let proof = google.and_then(|mut google| word(&mut google, "thought_signature"));
        let Some(known) = self.calls.get_mut(at) else { return };
        let part = match known.part {
            Some(part) => {
                self.arguments(part, arguments, out);
                part
            }
            None => {
                known.named(name);
                let early = arguments.map(|value| string(value).unwrap_or_else(|| value.to_owned()));
                known.early.push_str(&early.unwrap_or_default());
                // Some servers send the id first, or the name in pieces, and nobody can be told of half of it.
                if !self.whole && proof.is_none() && known.waits() {
                    return;
                }
                let Some(part) = self.begin_call(at, out) else { return };
                part
            }
        };
        self.sign(part, proof.map(|text| Signature { by: Dialect::Gemini, text }), out);
    }

    /// Opens a call, with what came before its name.
    fn begin_call(&mut self, at: usize, out: &mut Vec<Event>) -> Option<u32> {
        let call = self.calls.get_mut(at)?;
        let (early, name) = (std::mem::take(&mut call.early), std::mem::take(&mut call.name));
        let opening = Opening::ToolCall { id: call.id.clone(), name, custom: call.custom };
        let part = self.open_next(Open::Other, opening, out);
        if let Some(call) = self.calls.get_mut(at) {
            call.part = Some(part);
        }
        if !early.is_empty() {
            self.grow(part, Delta::Arguments(early), out);
        }
        Some(part)
    }

    /// Opens the calls whose names would not go on, or never came: nothing more is said of them.
    pub(in crate::openai_chat) fn waiting_calls(&mut self, out: &mut Vec<Event>) {
        self.begin_calls(|_| true, out);
    }

    /// Opens the calls that have names, for something else begins.
    pub(super) fn named_calls(&mut self, out: &mut Vec<Event>) {
        self.begin_calls(|call| !call.name.is_empty(), out);
    }

    fn begin_calls(&mut self, which: fn(&Call) -> bool, out: &mut Vec<Event>) {
        for at in 0..self.calls.len() {
            if self.calls.get(at).is_some_and(|call| call.part.is_none() && which(call)) {
                self.begin_call(at, out);
            }
        }
    }

    /// Returns the place of the call that goes on. Some vendors give every call the number 0, or none: then the id tells
    /// them apart.
    fn known_call(&self, index: Option<u64>, id: &str, name: &str) -> Option<usize> {
        if self.whole {
            return None;
        }
        let mut calls = self.calls.iter().enumerate().rev();
        let (at, found) = match (index, id) {
            (Some(index), _) => calls.find(|(_, call)| call.index == Some(index)),
            (None, "") => calls.next().filter(|_| name.is_empty()),
            (None, id) => calls.find(|(_, call)| call.id == id),
        }?;
        let is_another = !id.is_empty() && !name.is_empty() && found.id != id;
        (!is_another).then_some(at)
    }

    fn arguments(&mut self, part: u32, value: Option<&str>, out: &mut Vec<Event>) {
        let Some(value) = value else { return };
        let arguments = string(value).unwrap_or_else(|| value.to_owned());
        if !arguments.is_empty() {
            self.grow(part, Delta::Arguments(arguments), out);
        }
    }

    /// Reads the older form of a single call.
    pub(super) fn function_call(&mut self, mut function: Object<'_>, seed: &str, out: &mut Vec<Event>) {
        let name = word(&mut function, "name").unwrap_or_default();
        let part = match self.function {
            Some(part) => part,
            None => {
                let id = call_id("", seed, self.index, self.calls.len()).into_owned();
                let part = self.open(Open::Other, Opening::ToolCall { id, name, custom: false }, out);
                self.function = Some(part);
                part
            }
        };
        self.arguments(part, function.take("arguments"), out);
    }
}
