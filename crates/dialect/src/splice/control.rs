//! The members of a request that we act on: found by name, read as values, and their places kept, so that they can be
//! patched in the bytes.
//!
//! Top-level names are compared as a provider's parser would see them: a control member that appears twice, or whose
//! name is spelled with escapes, is refused, so that we and the provider can never read two different requests.

use std::ops::Range;

use ir::failure::{Code, Failure, Fault};

use super::Patch;
use crate::json::{JsonError, Scanner, string};

/// More members than any request has.
const MAX_MEMBERS: usize = 1_000;

/// The control members of a request body.
#[derive(Clone, Debug)]
pub struct Control<const N: usize> {
    /// Where the first member starts: just after the `{`.
    pub start: usize,
    /// Where each of the names was found, in the order in which they were asked for.
    pub found: [Option<Place>; N],
}

/// Where a member stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Whether it is the first member.
    first: bool,
    /// Where the member before it ended, or its object starts.
    before: usize,
    /// The opening quote of its name.
    name: usize,
    /// Its value, from the first to the last byte.
    pub value: Range<usize>,
}

impl<const N: usize> Control<N> {
    /// Finds the members of these names. The whole body is checked to be one JSON object on the way.
    ///
    /// # Errors
    /// A 400: text that is not a JSON object or nests too deep, too many members, a control member that appears twice
    /// or is spelled with escapes.
    pub fn read(body: &[u8], names: &[&'static str; N]) -> Result<Self, Failure> {
        if simdutf8::basic::from_utf8(body).is_err() {
            return Err(malformed("the request body is not valid UTF-8"));
        }
        let mut scanner = Scanner::new(body, 0);
        if scanner.enter_object().is_err() {
            return Err(malformed(if body.is_empty() {
                "the request body is empty: a JSON object is expected"
            } else {
                "the request body is not a JSON object"
            }));
        }
        let start = scanner.position();
        let mut found = [const { None }; N];
        let (mut count, mut before) = (0, start);
        while let Some(member) = scanner.member(count == 0).map_err(json_failure)? {
            count += 1;
            if count > MAX_MEMBERS {
                return Err(malformed("the request has too many members"));
            }
            let end = member.value.end;
            if let Some((at, control)) = control(names, body.get(member.name.clone()).unwrap_or_default())? {
                let place = Place { first: count == 1, before, name: member.name.start - 1, value: member.value };
                if found.get_mut(at).is_some_and(|found| found.replace(place).is_some()) {
                    return Err(Failure::invalid(control, format!("`{control}` appears more than once")));
                }
            }
            before = end;
        }
        scanner.end().map_err(json_failure)?;
        Ok(Self { start, found })
    }
}

impl Place {
    /// Returns the text of the value.
    pub fn text<'a>(&self, body: &'a [u8]) -> &'a [u8] {
        body.get(self.value.clone()).unwrap_or_default()
    }

    /// Returns what is taken out to remove the member: the comma before it goes too, or, for the first member, the one
    /// after it.
    pub fn removal(&self, body: &[u8]) -> Range<usize> {
        if !self.first {
            return self.before..self.value.end;
        }
        let mut scanner = Scanner::new(body, self.value.end);
        let after = if scanner.expect(b',').is_ok() { scanner.position() } else { self.value.end };
        self.name..after
    }
}

/// Returns what gives a body the provider's name of the model; `None` when it has it already. `start` is where the
/// first member starts, `place` where the model is named and `asked` the model that was read there.
pub fn rename(
    body: &[u8],
    start: usize,
    place: Option<&Place>,
    asked: Option<&str>,
    upstream_model: &str,
) -> Option<Patch> {
    let Some(place) = place else {
        let with = [b"\"model\":", quoted(upstream_model).as_slice(), b","].concat();
        return Some(Patch { range: start..start, with: with.into() });
    };
    if asked == Some(upstream_model) && !place.text(body).contains(&b'\\') {
        return None;
    }
    Some(Patch { range: place.value.clone(), with: quoted(upstream_model).into() })
}

/// Checks that the messages are a list of objects, as far as its first element.
///
/// # Errors
/// A 400 that names what is wrong.
pub fn check_messages(messages: &[u8]) -> Result<(), Failure> {
    let mut scanner = Scanner::new(messages, 0);
    if scanner.enter_array().is_err() {
        return Err(Failure::invalid("messages", "`messages` must be an array"));
    }
    match scanner.peek() {
        // An empty list is the provider's to refuse: it knows its own words for it.
        Ok(b'{' | b']') => Ok(()),
        _ => Err(Failure::invalid("messages[0]", "each message must be an object")),
    }
}

/// Reads a member that is a string; `null` counts as absent.
///
/// # Errors
/// A 400 that names it, when it is something else.
pub fn text(name: &str, value: Option<&[u8]>) -> Result<Option<String>, Failure> {
    let Some(value) = value.filter(|value| *value != b"null") else { return Ok(None) };
    match string(value) {
        Some(text) => Ok(Some(text)),
        None => Err(Failure::invalid(name, format!("`{name}` must be a string"))),
    }
}

/// Reads a member that is a boolean; `null` counts as absent.
///
/// # Errors
/// A 400 that names it, when it is something else.
pub fn boolean(name: &str, value: Option<&[u8]>) -> Result<Option<bool>, Failure> {
    match value {
        None | Some(b"null") => Ok(None),
        Some(b"true") => Ok(Some(true)),
        Some(b"false") => Ok(Some(false)),
        Some(_) => Err(Failure::invalid(name, format!("`{name}` must be a boolean"))),
    }
}

/// Reads a member that is a whole number, not negative; `null` counts as absent.
///
/// # Errors
/// A 400 that names it, when it is something else.
pub fn integer(name: &str, value: Option<&[u8]>) -> Result<Option<u64>, Failure> {
    let Some(value) = value.filter(|value| *value != b"null") else { return Ok(None) };
    match std::str::from_utf8(value).ok().and_then(|digits| digits.parse().ok()) {
        Some(number) => Ok(Some(number)),
        None => Err(Failure::invalid(name, format!("`{name}` must be a whole number, 0 or more"))),
    }
}

/// Returns which control member a name is, if any. A control name that is spelled with escapes is refused.
fn control(names: &[&'static str], name: &[u8]) -> Result<Option<(usize, &'static str)>, Failure> {
    let which = |name: &[u8]| names.iter().position(|control| control.as_bytes() == name);
    if !name.contains(&b'\\') {
        return Ok(which(name).and_then(|at| names.get(at).map(|control| (at, *control))));
    }
    let plain = string(&[b"\"", name, b"\""].concat()).unwrap_or_default();
    match which(plain.as_bytes()).and_then(|at| names.get(at)) {
        Some(control) => Err(Failure::invalid(control, format!("`{control}` must be spelled without escapes"))),
        None => Ok(None),
    }
}

fn malformed(message: &str) -> Failure {
    Failure::new(Code::InvalidRequest, Fault::Caller, message)
}

fn json_failure(error: JsonError) -> Failure {
    malformed(&format!("the request body is not valid: {error}"))
}

fn quoted(text: &str) -> Vec<u8> {
    // Serialising a string cannot fail.
    serde_json::to_vec(text).unwrap_or_default()
}
