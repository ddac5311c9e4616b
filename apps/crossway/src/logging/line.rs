//! One line of the log, in the shape of the Ballerina gateway's:
//! `{"timestamp", "level", "component", "message", "metadata": {…}}`. `metadata` holds every other field of the event; on a
//! terminal they follow the message as `name=value`.
//!
//! Some of it comes from callers and providers. Whatever that is, an event is one line, and no byte of it means anything to a
//! terminal: controls, line ends of every kind and marks that reorder text are escaped.

use std::fmt::Write as _;

use ir::plain::is_unsafe;
use serde_json::{Map, Value, json};
use tracing::Level;

/// The most bytes of one value; what a provider says may be long.
const MAX_VALUE_BYTES: usize = 8 << 10;

/// One line.
#[derive(Debug)]
pub(super) struct Line {
    timestamp: String,
    level: &'static str,
    component: String,
    message: String,
    metadata: Map<String, Value>,
}

impl Line {
    /// Begins a line. The component is the event's target unless a field says otherwise.
    pub(super) fn new(timestamp: String, level: Level, target: &str) -> Self {
        let (component, message) = (target.to_owned(), String::new());
        Self { timestamp, level: level.as_str(), component, message, metadata: Map::new() }
    }

    /// Adds a field of the event.
    pub(super) fn put(&mut self, name: &str, value: Value) {
        let value = match value {
            Value::String(text) => Value::String(shortened(text)),
            other => other,
        };
        match (name, value) {
            ("message", Value::String(text)) => self.message = text,
            ("component", Value::String(text)) => self.component = text,
            (name, value) => {
                self.metadata.insert(name.to_owned(), value);
            }
        }
    }

    /// Returns the line as JSON.
    pub(super) fn json(&self) -> String {
        let Self { timestamp, level, component, message, metadata } = self;
        let written = json!({
            "timestamp": timestamp,
            "level": level,
            "component": component,
            "message": message,
            "metadata": metadata,
        })
        .to_string();
        // JSON escapes the controls of ASCII itself. Outside of strings there is nothing else to escape.
        let mut escaped = String::with_capacity(written.len());
        for character in written.chars() {
            if is_unsafe(character) {
                let mut units = [0; 2];
                for unit in character.encode_utf16(&mut units) {
                    let _infallible = write!(escaped, "\\u{unit:04x}");
                }
            } else {
                escaped.push(character);
            }
        }
        escaped
    }

    /// Returns the line as text for people.
    pub(super) fn text(&self) -> String {
        let (component, message) = (printable(&self.component), printable(&self.message));
        let mut line = format!("{} {:>5} {component}: {message}", self.timestamp, self.level);
        for (name, value) in &self.metadata {
            let value = match value {
                Value::String(text) if is_plain(text) => text.clone(),
                Value::String(text) => format!("\"{}\"", printable(text).replace('"', "\\\"")),
                other => other.to_string(),
            };
            let _infallible = write!(line, " {}={value}", printable(name));
        }
        line
    }
}

/// Cuts a value that is too long, and says so.
fn shortened(mut text: String) -> String {
    if text.len() > MAX_VALUE_BYTES {
        let end = text.floor_char_boundary(MAX_VALUE_BYTES);
        let left = text.len() - end;
        text.truncate(end);
        let _infallible = write!(text, "… ({left} more bytes)");
    }
    text
}

/// Returns a text in which everything that must not stand there is written as Rust does it; the backslash too, so that no
/// text looks like another one escaped.
fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => printable.push_str("\\n"),
            '\r' => printable.push_str("\\r"),
            '\t' => printable.push_str("\\t"),
            '\\' => printable.push_str("\\\\"),
            unsafe_one if is_unsafe(unsafe_one) => {
                let _infallible = write!(printable, "\\u{{{:x}}}", u32::from(unsafe_one));
            }
            other => printable.push(other),
        }
    }
    printable
}

/// Whether a value needs no quotes.
fn is_plain(text: &str) -> bool {
    let plain = |character: char| !character.is_whitespace() && !is_unsafe(character) && !"\"\\=".contains(character);
    !text.is_empty() && text.chars().all(plain)
}
