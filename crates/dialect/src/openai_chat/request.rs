//! A chat completion request: what routing needs is read, the bytes are kept.

pub mod decode;
pub mod departs;
pub mod encode;
pub(crate) mod refused;

use std::ops::Range;

use bytes::Bytes;
use ir::dialect::Quirk;
use ir::failure::Failure;

use crate::carry::Dropped;
use crate::json::each_member;
use crate::splice::control::{Control, Place, boolean, check_messages, integer, rename, text};
use crate::splice::{Patch, apply};
use crate::translate::Callee;

/// A request that was understood as far as routing and accounting need.
#[derive(Clone, Debug)]
pub struct ChatRequest {
    body: Bytes,
    /// Where the first member starts: just after the `{`.
    members_start: usize,
    /// Where the messages stand.
    messages: Range<usize>,
    model_place: Option<Place>,
    /// What else is changed in the bytes that a provider gets.
    changes: Vec<Patch>,
    stream_options: Option<StreamOptions>,
    /// The model asked for; `None` when there is none (or `null`).
    pub model: Option<String>,
    /// Whether the answer is asked for as a stream.
    pub stream: bool,
    /// The most output tokens asked for, of `max_completion_tokens` and `max_tokens` the larger: which of the two binds is
    /// the provider's affair, and what is reserved for the answer must be enough either way.
    pub max_tokens: Option<u64>,
    /// How many choices are asked for; 1 when not said.
    pub choices: u64,
    /// The service tier asked for.
    pub service_tier: Option<String>,
    /// The most output tokens that a provider is told, where the caller says none.
    pub cap: Option<u64>,
    /// Where `max_tokens` and `max_completion_tokens` stand, if they do.
    max_places: [Option<Range<usize>>; 2],
}

/// Where `stream_options` stands, and what it says.
#[derive(Clone, Debug)]
struct StreamOptions {
    /// The member with one of its commas, for removal.
    member: Range<usize>,
    value: Range<usize>,
    include_usage: Option<(Range<usize>, bool)>,
    empty: bool,
}

/// What a provider does about usage in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskUsage {
    /// `stream_options.include_usage` is set to true.
    Ask,
    /// `stream_options` is taken out: the provider would refuse it.
    Leave,
}

/// The members that we act on. Each may appear once.
const CONTROL: [&str; 9] = [
    "model",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "n",
    "messages",
    "service_tier",
    "tools",
];

impl ChatRequest {
    /// Reads a request body.
    ///
    /// # Errors
    /// A 400 that names the field: text that is not JSON or nests too deep, a control member that appears twice, is
    /// spelled with escapes or has the wrong type, no messages.
    pub fn decode(body: Bytes) -> Result<Self, Failure> {
        let Control { start, found } = Control::read(&body, &CONTROL)?;
        let [model, stream, stream_options, max_tokens, max_completion, n, messages, tier, _tools] = found;
        let value = |place: &Option<Place>| place.as_ref().map(|place| place.text(&body));
        match value(&messages) {
            Some(messages) => check_messages(messages)?,
            None => return Err(Failure::invalid("messages", "`messages` is missing")),
        }
        let range = |place: &Option<Place>| place.as_ref().map(|place| place.value.clone());
        let max_places = [range(&max_tokens), range(&max_completion)];
        let max_tokens = integer("max_tokens", value(&max_tokens))?;
        let max_completion = integer("max_completion_tokens", value(&max_completion))?;
        Ok(Self {
            members_start: start,
            messages: range(&messages).unwrap_or_default(),
            model: text("model", value(&model))?,
            model_place: model,
            changes: Vec::new(),
            stream: boolean("stream", value(&stream))?.unwrap_or(false),
            max_tokens: max_tokens.max(max_completion),
            choices: integer("n", value(&n))?.unwrap_or(1),
            service_tier: text("service_tier", value(&tier))?,
            cap: None,
            max_places,
            stream_options: stream_options.map(|place| stream_options_of(&body, &place)).transpose()?,
            body,
        })
    }

    /// Returns the body.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Returns nothing, and the messages as they were sent.
    pub fn prompt_parts(&self) -> (&[u8], &[u8]) {
        (&[], self.body.get(self.messages.clone()).unwrap_or_default())
    }

    /// Returns the size of the body in bytes.
    pub fn body_bytes(&self) -> u64 {
        self.body.len() as u64
    }

    /// Changes something in the bytes that a provider gets.
    pub fn change(&mut self, patch: Patch) {
        self.changes.push(patch);
    }

    /// Lets go of the body: once a target has answered, it is not needed any more.
    pub fn forget_body(&mut self) {
        self.body = Bytes::new();
        self.changes.clear();
    }

    /// Whether the caller asked for a usage chunk at the end of the stream.
    pub fn wants_usage(&self) -> bool {
        self.stream
            && self.stream_options.as_ref().is_some_and(|options| options.include_usage.as_ref().is_some_and(|u| u.1))
    }

    /// Returns the body for a provider: its name of the model, and, in a stream, what it does about usage. Every
    /// other byte is the caller's.
    pub fn encode(&self, upstream_model: &str, usage: AskUsage) -> Vec<Bytes> {
        self.encode_with(upstream_model, usage, None)
    }

    fn encode_with(&self, upstream_model: &str, usage: AskUsage, cap: Option<Patch>) -> Vec<Bytes> {
        let mut patches = self.changes.clone();
        patches.extend(cap);
        let asked = self.model.as_deref();
        patches.extend(rename(&self.body, self.members_start, self.model_place.as_ref(), asked, upstream_model));
        if self.stream {
            patches.extend(self.patch_usage(usage));
        }
        // The sort is stable: what is put before the first member stays before a change of that member.
        patches.sort_by_key(|patch: &Patch| patch.range.start);
        apply(&self.body, patches)
    }

    /// Returns the body for a provider without what it refuses, and the names of that.
    ///
    /// # Errors
    /// A 400 that names what the answer depends on and the provider refuses.
    pub fn spliced(&self, callee: &Callee<'_>) -> Result<(Vec<Bytes>, Vec<String>), Failure> {
        let usage = if callee.ask_usage { AskUsage::Ask } else { AskUsage::Leave };
        let parts = self.encode_with(callee.model, usage, self.patch_cap(callee));
        if callee.refuses.is_empty() {
            return Ok((parts, Vec::new()));
        }
        let mut dropped = Dropped::default();
        let parts = refused::without(parts.concat().into(), callee.refuses, &mut dropped)?;
        Ok((parts, dropped.into_names()))
    }

    /// Says the most output tokens in the member that the vendor knows. Where the caller's says `null`, it takes its
    /// place.
    fn patch_cap(&self, callee: &Callee<'_>) -> Option<Patch> {
        let cap = self.cap?;
        let [older, newer] = &self.max_places;
        let (name, place) = if callee.has(Quirk::MaxTokens) || (older.is_some() && newer.is_none()) {
            ("max_tokens", older)
        } else {
            ("max_completion_tokens", newer)
        };
        Some(match place {
            Some(range) => Patch { range: range.clone(), with: cap.to_string().into() },
            None => {
                let at = self.members_start;
                Patch { range: at..at, with: format!("\"{name}\":{cap},").into() }
            }
        })
    }

    fn patch_usage(&self, usage: AskUsage) -> Option<Patch> {
        let patch = |range, with: &'static [u8]| Some(Patch { range, with: Bytes::from_static(with) });
        match (usage, &self.stream_options) {
            (AskUsage::Leave, None) => None,
            (AskUsage::Leave, Some(options)) => patch(options.member.clone(), b""),
            (AskUsage::Ask, None) => {
                let at = self.members_start;
                patch(at..at, b"\"stream_options\":{\"include_usage\":true},")
            }
            (AskUsage::Ask, Some(StreamOptions { include_usage: Some((_, true)), .. })) => None,
            (AskUsage::Ask, Some(StreamOptions { include_usage: Some((value, false)), .. })) => {
                patch(value.clone(), b"true")
            }
            (AskUsage::Ask, Some(options)) if options.empty => {
                patch(options.value.clone(), b"{\"include_usage\":true}")
            }
            (AskUsage::Ask, Some(options)) => {
                let at = options.value.start + 1;
                patch(at..at, b"\"include_usage\":true,")
            }
        }
    }
}

fn stream_options_of(body: &Bytes, place: &Place) -> Result<StreamOptions, Failure> {
    let value = place.value.clone();
    let (mut include_usage, mut empty) = (None, true);
    if place.text(body) != b"null" {
        let mut twice = false;
        each_member(body, value.clone(), |name, member| {
            empty = false;
            if name.contains(&b'\\') || name == b"include_usage" {
                twice |= include_usage.is_some() || name != b"include_usage";
                include_usage = Some(member);
            }
            Ok(())
        })
        .map_err(|_| Failure::invalid("stream_options", "`stream_options` must be an object or null"))?;
        if twice {
            return Err(Failure::invalid("stream_options", "`stream_options.include_usage` must appear once, plainly"));
        }
    }
    let include_usage = match include_usage {
        Some(range) => {
            let on = boolean("stream_options.include_usage", body.get(range.clone()))?.unwrap_or(false);
            Some((range, on))
        }
        None => None,
    };
    Ok(StreamOptions { member: place.removal(body), value, include_usage, empty })
}

#[cfg(test)]
mod tests;
