//! What holds for every dialect.

use dialect::frames::Frames;
use dialect::translate::{Decode, NotAReply, Step};
use ir::chat::event::Event;
use ir::chat::fold::Fold;
use ir::chat::response::Response;
use ir::dialect::Dialect;
use serde_json::Value;

/// Runs a stream through a decoder, in pieces of `size` bytes.
///
/// # Errors
/// What the decoder says; a stream that ends before the answer does.
pub fn events(dialect: Dialect, mut decoder: impl Decode, body: &[u8], size: usize) -> Result<Vec<Event>, NotAReply> {
    let mut frames = Frames::new(dialect);
    let mut out = Vec::new();
    let mut step = Step::More;
    for piece in body.chunks(size.max(1)) {
        step = frames.push(piece, |frame| decoder.frame(frame, &mut out))?;
        if step == Step::Complete {
            break;
        }
    }
    if step == Step::More {
        step = frames.end(|frame| decoder.frame(frame, &mut out))?;
    }
    if step == Step::More {
        step = decoder.end(&mut out)?;
    }
    match step {
        Step::Complete => Ok(out),
        Step::More => Err(NotAReply::Malformed("the stream ended before the answer did".to_owned())),
    }
}

/// Returns the whole answer that events amount to.
pub fn folded(events: Vec<Event>) -> Response {
    let mut fold = Fold::default();
    events.into_iter().for_each(|event| fold.push(event));
    fold.finish()
}

/// Compares two JSON texts up to the order of members; numbers compare by value.
///
/// # Errors
/// The first place where they differ.
pub fn same_json(expect: &str, found: &str) -> Result<(), String> {
    let read = |text: &str| serde_json::from_str::<Value>(text).map_err(|error| format!("{error}: {text}"));
    differ(&read(expect)?, &read(found)?, "$")
}

fn differ(expect: &Value, found: &Value, path: &str) -> Result<(), String> {
    match (expect, found) {
        (Value::Object(a), Value::Object(b)) => {
            for (name, value) in a {
                match b.get(name) {
                    Some(other) => differ(value, other, &format!("{path}.{name}"))?,
                    None => return Err(format!("{path}.{name} is lost (it was {value})")),
                }
            }
            match b.iter().find(|(name, _)| !a.contains_key(*name)) {
                Some((name, value)) => Err(format!("{path}.{name} is new ({value})")),
                None => Ok(()),
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).enumerate().try_for_each(|(at, (a, b))| differ(a, b, &format!("{path}[{at}]")))
        }
        (Value::Number(a), Value::Number(b)) if a.as_f64() == b.as_f64() => Ok(()),
        (a, b) if a == b => Ok(()),
        (a, b) => Err(format!("{path}: expected {a}, found {b}")),
    }
}
