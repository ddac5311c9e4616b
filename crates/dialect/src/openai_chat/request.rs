//! A chat completion request: what routing needs is read, the bytes are kept.
//!
//! Top-level names are compared as a provider's parser would see them: a control member that appears twice, or whose
//! name is spelled with escapes, is refused, so that we and the provider can never read two different requests.

pub mod decode;
pub mod encode;

use std::ops::Range;

use bytes::Bytes;
use ir::failure::{Code, Failure, Fault};

use crate::json::{JsonError, Scanner, each_member, string};
use crate::splice::{Patch, apply};

/// A request that was understood as far as routing and accounting need.
#[derive(Clone, Debug)]
pub struct ChatRequest {
    body: Bytes,
    /// Where the first member starts: just after the `{`.
    members_start: usize,
    model_value: Option<Range<usize>>,
    stream_options: Option<StreamOptions>,
    /// The model asked for; `None` when there is none (or `null`).
    pub model: Option<String>,
    /// Whether the answer is asked for as a stream.
    pub stream: bool,
    /// The most output tokens asked for, of `max_completion_tokens` and `max_tokens` the smaller.
    pub max_tokens: Option<u64>,
    /// How many choices are asked for; 1 when not said.
    pub choices: u64,
    /// The service tier asked for.
    pub service_tier: Option<String>,
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

/// More members than any request has.
const MAX_MEMBERS: usize = 1_000;

impl ChatRequest {
    /// Reads a request body.
    ///
    /// # Errors
    /// A 400 that names the field: text that is not JSON or nests too deep, a control member that appears twice, is
    /// spelled with escapes or has the wrong type, no messages.
    pub fn decode(body: Bytes) -> Result<Self, Failure> {
        if simdutf8::basic::from_utf8(&body).is_err() {
            return Err(malformed("the request body is not valid UTF-8"));
        }
        let mut scanner = Scanner::new(&body, 0);
        if scanner.enter_object().is_err() {
            return Err(malformed(if body.is_empty() {
                "the request body is empty: a JSON object is expected"
            } else {
                "the request body is not a JSON object"
            }));
        }
        let members_start = scanner.position();
        let mut found: [Option<Range<usize>>; CONTROL.len()] = Default::default();
        let mut options_member = None;
        let (mut count, mut comma) = (0, members_start);
        while let Some(member) = scanner.member(count == 0).map_err(json_failure)? {
            count += 1;
            if count > MAX_MEMBERS {
                return Err(malformed("the request has too many members"));
            }
            if let Some(control) = control(body.get(member.name.clone()).unwrap_or_default())? {
                if control == "stream_options" {
                    options_member = Some((count == 1, comma, member.name.start - 1));
                }
                let place = CONTROL.iter().position(|name| *name == control).and_then(|at| found.get_mut(at));
                if place.is_some_and(|place| place.replace(member.value.clone()).is_some()) {
                    let message = format!("`{control}` appears more than once");
                    return Err(Failure::invalid(control, message));
                }
            }
            comma = member.value.end;
        }
        scanner.end().map_err(json_failure)?;
        let [model_value, stream, stream_options, max_tokens, max_completion, n, messages, tier, _tools] = found;
        check_messages(&body, messages)?;
        let max_tokens = integer(&body, max_tokens, "max_tokens")?;
        let max_completion = integer(&body, max_completion, "max_completion_tokens")?;
        let mut request = Self {
            members_start,
            model: text(&body, model_value.clone(), "model")?,
            model_value,
            stream_options: None,
            stream: boolean(&body, stream, "stream")?.unwrap_or(false),
            max_tokens: max_tokens.into_iter().chain(max_completion).min(),
            choices: integer(&body, n, "n")?.unwrap_or(1),
            service_tier: text(&body, tier, "service_tier")?,
            body,
        };
        if let (Some(value), Some(place)) = (stream_options, options_member) {
            request.stream_options = Some(stream_options_of(&request.body, value, place)?);
        }
        Ok(request)
    }

    /// Returns the size of the body in bytes.
    pub fn body_bytes(&self) -> u64 {
        self.body.len() as u64
    }

    /// Lets go of the body: once a target has answered, it is not needed any more.
    pub fn forget_body(&mut self) {
        self.body = Bytes::new();
    }

    /// Whether the caller asked for a usage chunk at the end of the stream.
    pub fn wants_usage(&self) -> bool {
        self.stream
            && self.stream_options.as_ref().is_some_and(|options| options.include_usage.as_ref().is_some_and(|u| u.1))
    }

    /// Returns the body for a provider: its name of the model, and, in a stream, what it does about usage. Every
    /// other byte is the caller's.
    pub fn encode(&self, upstream_model: &str, usage: AskUsage) -> Vec<Bytes> {
        let mut patches = Vec::with_capacity(3);
        let mut head = Vec::new();
        match &self.model_value {
            Some(value) if self.model.as_deref() == Some(upstream_model) && self.spells_plainly(value) => {}
            Some(value) => patches.push(Patch { range: value.clone(), with: quoted(upstream_model) }),
            None => {
                head.extend_from_slice(b"\"model\":");
                head.extend_from_slice(&quoted(upstream_model));
                head.push(b',');
            }
        }
        if self.stream {
            self.patch_usage(usage, &mut head, &mut patches);
        }
        if !head.is_empty() {
            patches.insert(0, Patch { range: self.members_start..self.members_start, with: head.into() });
        }
        // The sort is stable: what is put before the first member stays before a change of that member.
        patches.sort_by_key(|patch| patch.range.start);
        apply(&self.body, patches)
    }

    fn spells_plainly(&self, value: &Range<usize>) -> bool {
        !self.body.get(value.clone()).unwrap_or_default().contains(&b'\\')
    }

    fn patch_usage(&self, usage: AskUsage, head: &mut Vec<u8>, patches: &mut Vec<Patch>) {
        let ask = Bytes::from_static(b"{\"include_usage\":true}");
        match (usage, &self.stream_options) {
            (AskUsage::Leave, None) => {}
            (AskUsage::Leave, Some(options)) => {
                patches.push(Patch { range: options.member.clone(), with: Bytes::new() });
            }
            (AskUsage::Ask, None) => {
                head.extend_from_slice(b"\"stream_options\":{\"include_usage\":true},");
            }
            (AskUsage::Ask, Some(StreamOptions { include_usage: Some((_, true)), .. })) => {}
            (AskUsage::Ask, Some(StreamOptions { include_usage: Some((value, false)), .. })) => {
                patches.push(Patch { range: value.clone(), with: Bytes::from_static(b"true") });
            }
            (AskUsage::Ask, Some(options)) if options.empty => {
                patches.push(Patch { range: options.value.clone(), with: ask });
            }
            (AskUsage::Ask, Some(options)) => {
                let at = options.value.start + 1;
                patches.push(Patch { range: at..at, with: Bytes::from_static(b"\"include_usage\":true,") });
            }
        }
    }
}

fn malformed(message: &str) -> Failure {
    Failure::new(Code::InvalidRequest, Fault::Caller, message)
}

fn json_failure(error: JsonError) -> Failure {
    malformed(&format!("the request body is not valid: {error}"))
}

/// Returns which control member a name is, if any. A control name that is spelled with escapes is refused.
fn control(name: &[u8]) -> Result<Option<&'static str>, Failure> {
    if !name.contains(&b'\\') {
        return Ok(CONTROL.into_iter().find(|control| control.as_bytes() == name));
    }
    let quoted = [b"\"", name, b"\""].concat();
    let plain = string(&quoted).unwrap_or_default();
    match CONTROL.into_iter().find(|control| *control == plain) {
        Some(control) => Err(Failure::invalid(control, format!("`{control}` must be spelled without escapes"))),
        None => Ok(None),
    }
}

/// Reads `stream_options`. `place`: whether it is the first member, where the member before it ended, where its name
/// starts (the quote).
fn stream_options_of(body: &Bytes, value: Range<usize>, place: (bool, usize, usize)) -> Result<StreamOptions, Failure> {
    let (first, before, name) = place;
    let wrong = || Failure::invalid("stream_options", "`stream_options` must be an object or null");
    let text = body.get(value.clone()).unwrap_or_default();
    let (mut include_usage, mut empty) = (None, true);
    if text != b"null" {
        let mut twice = false;
        each_member(body, value.clone(), |name, member| {
            empty = false;
            if name.contains(&b'\\') || name == b"include_usage" {
                twice |= include_usage.is_some() || name != b"include_usage";
                include_usage = Some(member);
            }
            Ok(())
        })
        .map_err(|_| wrong())?;
        if twice {
            return Err(Failure::invalid("stream_options", "`stream_options.include_usage` must appear once, plainly"));
        }
    }
    let include_usage = match include_usage {
        Some(range) => {
            let on = boolean(body, Some(range.clone()), "stream_options.include_usage")?.unwrap_or(false);
            Some((range, on))
        }
        None => None,
    };
    // Removal takes the comma before it, or, for the first member, the one after it.
    let member = if first {
        let mut scanner = Scanner::new(body, value.end);
        let after = if scanner.expect(b',').is_ok() { scanner.position() } else { value.end };
        name..after
    } else {
        before..value.end
    };
    Ok(StreamOptions { member, value, include_usage, empty })
}

fn check_messages(body: &Bytes, value: Option<Range<usize>>) -> Result<(), Failure> {
    let Some(value) = value else {
        return Err(Failure::invalid("messages", "`messages` is missing"));
    };
    let mut scanner = Scanner::new(body, value.start);
    let listed = scanner.enter_array().is_ok();
    if !listed {
        return Err(Failure::invalid("messages", "`messages` must be an array"));
    }
    match scanner.peek() {
        // An empty list is the provider's to refuse: it knows its own words for it.
        Ok(b'{' | b']') => Ok(()),
        _ => Err(Failure::invalid("messages[0]", "each message must be an object")),
    }
}

fn text(body: &Bytes, value: Option<Range<usize>>, name: &str) -> Result<Option<String>, Failure> {
    let Some(value) = value.and_then(|range| body.get(range)).filter(|value| *value != b"null") else {
        return Ok(None);
    };
    if let Some(inner) = value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")) {
        if !inner.contains(&b'\\') {
            return Ok(Some(String::from_utf8_lossy(inner).into_owned()));
        }
        if let Some(text) = string(value) {
            return Ok(Some(text));
        }
    }
    Err(Failure::invalid(name, format!("`{name}` must be a string")))
}

fn boolean(body: &Bytes, value: Option<Range<usize>>, name: &str) -> Result<Option<bool>, Failure> {
    match value.and_then(|range| body.get(range)) {
        None | Some(b"null") => Ok(None),
        Some(b"true") => Ok(Some(true)),
        Some(b"false") => Ok(Some(false)),
        Some(_) => Err(Failure::invalid(name, format!("`{name}` must be a boolean"))),
    }
}

fn integer(body: &Bytes, value: Option<Range<usize>>, name: &str) -> Result<Option<u64>, Failure> {
    let Some(value) = value.and_then(|range| body.get(range)).filter(|value| *value != b"null") else {
        return Ok(None);
    };
    match std::str::from_utf8(value).ok().and_then(|digits| digits.parse().ok()) {
        Some(number) => Ok(Some(number)),
        None => Err(Failure::invalid(name, format!("`{name}` must be a whole number"))),
    }
}

fn quoted(text: &str) -> Bytes {
    // Serialising a string cannot fail.
    serde_json::to_vec(text).unwrap_or_default().into()
}

#[cfg(test)]
mod tests;
