//! Most events of a stream are one event with another text. One that is the last one again but for its text need not be
//! read again: comparing it takes a tenth of the time.

use std::ops::Range;

use memchr::memchr2;

/// An event without its text, and without its padding where it has one: providers pad events so that nobody who sees only
/// sizes can tell the text. OpenAI does it with `"obfuscation":"…"`, Anthropic with white space before the last brace.
#[derive(Debug, Default)]
pub(super) struct Template {
    /// Up to the opening quote of the text; empty when nothing was learnt.
    before: Vec<u8>,
    /// From its closing quote up to the padding, or to the end.
    between: Vec<u8>,
    /// What follows the padding; empty when there is none.
    after: Vec<u8>,
}

impl Template {
    /// Forgets what was learnt.
    pub fn forget(&mut self) {
        self.before.clear();
    }

    /// Learns an event that says nothing but one text: where that stands, with its quotes, and where its padding does.
    pub fn learn(&mut self, data: &[u8], text: &Range<usize>, padding: Option<Range<usize>>) {
        let part = |range: Range<usize>| data.get(range).unwrap_or_default();
        let padding = padding.unwrap_or(data.len()..data.len());
        if padding.start < text.end {
            return self.forget();
        }
        for (place, learnt) in [
            (&mut self.before, part(0..text.start + 1)),
            (&mut self.between, part(text.end - 1..padding.start)),
            (&mut self.after, part(padding.end..data.len())),
        ] {
            place.clear();
            place.extend_from_slice(learnt);
        }
    }

    /// Returns where the text of an event stands, with its quotes, when the event is the one that was learnt but for its
    /// text, which has no escapes, and its padding, which holds no string.
    pub fn text(&self, data: &[u8]) -> Option<Range<usize>> {
        let plain = |bytes: &[u8]| memchr2(b'"', b'\\', bytes).is_none();
        if self.before.is_empty() {
            return None;
        }
        let rest = data.strip_prefix(self.before.as_slice())?;
        let length = memchr2(b'"', b'\\', rest)?;
        let padding = rest.get(length..)?.strip_prefix(self.between.as_slice())?.strip_suffix(self.after.as_slice())?;
        let same = if self.after.is_empty() { padding.is_empty() } else { plain(padding) };
        let start = self.before.len() - 1;
        same.then_some(start..start + length + 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Learns an event (`T` and `P` stand for its text and padding) and reads another.
    fn check(learnt: &str, chunk: &str, expect: Option<&str>) {
        let place = |of: &str| learnt.find(of).map(|at| at..at + of.len());
        let mut template = Template::default();
        template.learn(learnt.as_bytes(), &place("\"T\"").unwrap(), place("P"));
        let found = template.text(chunk.as_bytes()).and_then(|range| chunk.get(range));
        assert_eq!(found, expect, "{chunk}");
    }

    #[test]
    fn an_event_is_known_again() {
        let plain = r#"{"a":"T","b":1}"#;
        check(plain, r#"{"a":"text, longer","b":1}"#, Some("\"text, longer\""));
        check(plain, r#"{"a":"","b":1}"#, Some("\"\""));
        for other in [
            r#"{"a":"T","b":2}"#,
            r#"{"a":"T","b":1} "#,
            r#"{"a":"T\n","b":1}"#,
            r#"{"a":"x","c":"","b":1}"#,
            r#"{"a":"T"#,
            "",
        ] {
            check(plain, other, None);
        }
        let padded = r#"{"a":"T","p":"P"}"#;
        check(padded, r#"{"a":"text","p":"0123"}"#, Some("\"text\""));
        check(padded, r#"{"a":"text","p":""}"#, Some("\"text\""));
        check(padded, r#"{"a":"text","p":"","a":"more"}"#, None);
        check(r#"{"p":"P","a":"T"}"#, r#"{"p":"P","a":"T"}"#, None);
        assert_eq!(Template::default().text(b"\"\""), None);
    }
}
