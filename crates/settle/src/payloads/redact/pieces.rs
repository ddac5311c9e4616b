//! What a stream says in several events: a model writes `jane@exam` and then `ple.com`, and neither is an address.
//!
//! The texts of one choice or block are put together in the order of their events. What must not be kept is looked for in
//! the whole; where it goes over the end of an event, what stands for it is put where it begins, and the rest is left out.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::ops::Range;

use serde_json::Value;

use super::{Mark, marks};

/// The members that hold what a model says, piece by piece, on the surfaces of the gateway.
const SAID: [&str; 9] = [
    "content",
    "text",
    "thinking",
    "reasoning",
    "reasoning_content",
    "refusal",
    "arguments",
    "partial_json",
    "summary",
];

/// How deep an event is looked into.
const DEPTH: usize = 12;

/// The pieces of one text, each with the number of its event and its path there. The text begins with a quotation mark, as
/// its pieces do where they stand: digits alone are no number then.
struct Said {
    text: String,
    pieces: Vec<Piece>,
}

impl Default for Said {
    fn default() -> Self {
        Self { text: "\"".to_owned(), pieces: Vec::new() }
    }
}

struct Piece {
    event: usize,
    pointer: String,
    /// Where it begins in the text.
    start: usize,
}

/// Returns a stream of events without what goes over the end of one; `None` when nothing does, or it is no such stream.
pub(super) fn redact_across(body: &[u8]) -> Option<Vec<u8>> {
    let lines: Vec<&[u8]> = body.split_inclusive(|byte| *byte == b'\n').collect();
    let mut events: Vec<Option<Value>> = lines.iter().map(|line| event(line)).collect();
    if events.iter().flatten().count() < 2 {
        return None;
    }
    let mut texts: HashMap<String, Said> = HashMap::new();
    for (number, value) in events.iter().enumerate() {
        if let Some(value) = value {
            gather(value, number, &mut Place::default(), &mut texts);
        }
    }
    let mut changed = vec![false; events.len()];
    for said in texts.values() {
        said.replace(&mut events, &mut changed);
    }
    if !changed.contains(&true) {
        return None;
    }
    let mut out = Vec::with_capacity(body.len());
    for ((line, event), changed) in lines.iter().zip(&events).zip(changed) {
        match event {
            Some(event) if changed => {
                out.extend_from_slice(b"data: ");
                out.extend_from_slice(event.to_string().as_bytes());
                out.push(b'\n');
            }
            _ => out.extend_from_slice(line),
        }
    }
    Some(out)
}

/// Reads a line of an event stream that holds JSON.
fn event(line: &[u8]) -> Option<Value> {
    serde_json::from_slice(line.strip_prefix(b"data:")?).ok()
}

/// Where a value stands in its event, and which text it belongs to: an item of a list is known by its `index`, as items
/// of one list come one at a time.
#[derive(Default)]
struct Place {
    pointer: String,
    text: String,
    depth: usize,
}

fn gather(value: &Value, event: usize, place: &mut Place, texts: &mut HashMap<String, Said>) {
    if place.depth > DEPTH {
        return;
    }
    let (pointer, text) = (place.pointer.len(), place.text.len());
    place.depth += 1;
    match value {
        Value::Object(members) => {
            if let Some(index) = members.get("index").and_then(Value::as_u64) {
                let _ = write!(place.text, "#{index}");
            }
            let inner = place.text.len();
            for (name, value) in members {
                let _ = write!(place.pointer, "/{}", name.replace('~', "~0").replace('/', "~1"));
                let _ = write!(place.text, "/{name}");
                match value {
                    Value::String(piece) if SAID.contains(&name.as_str()) => {
                        let said = texts.entry(place.text.clone()).or_default();
                        said.pieces.push(Piece { event, pointer: place.pointer.clone(), start: said.text.len() });
                        said.text.push_str(piece);
                    }
                    _ => gather(value, event, place, texts),
                }
                place.pointer.truncate(pointer);
                place.text.truncate(inner);
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                let _ = write!(place.pointer, "/{at}");
                gather(item, event, place, texts);
                place.pointer.truncate(pointer);
            }
        }
        _ => {}
    }
    place.depth -= 1;
    place.text.truncate(text);
}

impl Said {
    /// Puts what stands for it in the place of what goes over the end of an event.
    fn replace(&self, events: &mut [Option<Value>], changed: &mut [bool]) {
        let mut marks = marks(format!("{}\"", self.text).as_bytes());
        marks.retain(|mark| self.piece_at(mark.range.start) != self.piece_at(mark.range.end.saturating_sub(1)));
        for (number, piece) in self.pieces.iter().enumerate() {
            let end = self.pieces.get(number + 1).map_or(self.text.len(), |next| next.start);
            let inside = marks.iter().filter(|mark| mark.range.start < end && piece.start < mark.range.end);
            let Some(text) = rewritten(&self.text, piece.start..end, inside) else { continue };
            let Some(event) = events.get_mut(piece.event).and_then(Option::as_mut) else { continue };
            if let (Some(value), Some(changed)) = (event.pointer_mut(&piece.pointer), changed.get_mut(piece.event)) {
                *value = Value::String(text);
                *changed = true;
            }
        }
    }

    /// Returns the number of the piece that holds a place of the text.
    fn piece_at(&self, place: usize) -> usize {
        self.pieces.partition_point(|piece| piece.start <= place)
    }
}

/// Returns a piece of a text without what is marked in it; `None` when nothing is.
fn rewritten<'a>(text: &str, piece: Range<usize>, marks: impl Iterator<Item = &'a Mark>) -> Option<String> {
    let mut out = None::<String>;
    let mut at = piece.start;
    for mark in marks {
        let out = out.get_or_insert_default();
        out.push_str(text.get(at..mark.range.start.max(at)).unwrap_or_default());
        if piece.contains(&mark.range.start) {
            out.push_str(std::str::from_utf8(mark.with).unwrap_or_default());
        }
        at = mark.range.end.min(piece.end);
    }
    let mut out = out?;
    out.push_str(text.get(at..piece.end).unwrap_or_default());
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::super::redact;
    use super::*;

    fn stream(pieces: &[&str]) -> String {
        pieces.iter().map(|piece| format!("data: {}\n\n", said(piece))).collect::<String>() + "data: [DONE]\n\n"
    }

    fn said(piece: &str) -> Value {
        serde_json::json!({"id": "chatcmpl-1", "choices": [{"index": 0, "delta": {"content": piece}}]})
    }

    fn check(pieces: &[&str], expect: &[&str]) {
        let found = redact(stream(pieces).as_bytes());
        assert_eq!(String::from_utf8(found).unwrap(), stream(expect), "{pieces:?}");
    }

    #[test]
    fn what_goes_over_the_end_of_an_event_is_found() {
        check(&["write to jane@exam", "ple.com, please"], &["write to [email]", ", please"]);
        check(&["my key: sk-cw-01", "2345", "6789abc"], &["my key: [secret]", "", ""]);
        check(&["card 4111 11", "11 1111 11", "11!"], &["card [card]", "", "!"]);
        check(&["Bear", "er abc", ".def-ghi ok"], &["Bear", "er [secret]", " ok"]);
        check(&["a@b.example and c", "@d.example and e@f", ".example"], &["[email] and [email]", " and [email]", ""]);
        check(&["", "030 1234 ", "", "5678 90", ""], &["", "[number]", "", "", ""]);
    }

    #[test]
    fn nothing_else_is_touched() {
        for pieces in [&["plain ", "words"][..], &["one alone@", " example.com"], &["é", "東京"], &[]] {
            assert_eq!(redact_across(stream(pieces).as_bytes()), None, "{pieces:?}");
        }
        assert_eq!(redact_across(b"{\"content\":\"jane@exam\"}"), None);
    }

    #[test]
    fn texts_are_told_apart() {
        let two = |first: &str, second: &str| {
            let choice = |index: u64, text: &str| serde_json::json!({"index": index, "delta": {"content": text}});
            let event = |choice: Value| format!("data: {}\n\n", serde_json::json!({"choices": [choice]}));
            event(choice(0, first)) + &event(choice(1, "meanwhile ")) + &event(choice(0, second))
        };
        let found = redact(two("jane@exam", "ple.com").as_bytes());
        assert_eq!(String::from_utf8(found).unwrap(), two("[email]", ""));
        let block = |index: u64, text: &str| {
            let event = serde_json::json!({"type": "content_block_delta", "index": index,
                "delta": {"type": "input_json_delta", "partial_json": text}});
            format!("event: content_block_delta\ndata: {event}\n\n")
        };
        let blocks = |first: &str, second: &str| block(1, first) + &block(2, "jane@") + &block(1, second);
        let found = redact(blocks("{\"to\":\"jane@exam", "ple.com\"}").as_bytes());
        assert_eq!(String::from_utf8(found).unwrap(), blocks("{\"to\":\"[email]", "\"}"));
    }

    proptest::proptest! {
        #[test]
        fn no_way_of_cutting_lets_it_through(
            cuts in proptest::collection::vec(0usize..60, 0..6),
            before in "[a-c@. ]{0,12}",
            secret in "jane@example\\.com|sk-cw-0123456789abcdef|4111 1111 1111 1111",
            after in "[ !é]{1,8}[a-d0-9 ]{0,20}",
        ) {
            let text = format!("{before} {secret}{after}");
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| text.floor_char_boundary(cut)).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&str> = cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
            let found = String::from_utf8(redact(stream(&pieces).as_bytes())).unwrap();
            let events = found.lines().filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok());
            let said = |event: Value| event["choices"][0]["delta"]["content"].as_str().map(str::to_owned);
            let joined: String = events.filter_map(said).collect();
            let lost = ["example.com", "456789ab", "1111 1111"];
            proptest::prop_assert!(!lost.iter().any(|part| joined.contains(part)), "{joined}");
            proptest::prop_assert!(joined.starts_with(before.trim_end()), "{joined}");
        }
    }
}
