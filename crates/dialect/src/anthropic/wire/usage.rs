//! Usage: <https://docs.claude.com/en/api/messages#response-usage>.
//!
//! Anthropic's input buckets are disjoint already: `input_tokens` holds neither what was read from the cache nor what
//! was written to it. `output_tokens` holds the thinking.

use ir::chat::extras::Extras;
use ir::usage::Usage;
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{DIALECT, Members};
use crate::json::integer;
use crate::json::object::{Object, Path};

/// More tokens than any model can read or write in one answer: such a report is a lie.
const ABSURD_TOKENS: u64 = 1 << 32;

/// What was reported so far. A stream reports twice: the second report is cumulative, and what it does not say stays
/// as it was.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::anthropic) struct Report {
    input: Option<u64>,
    cache_read: Option<u64>,
    cache_write: Option<u64>,
    output: Option<u64>,
    thinking: Option<u64>,
    unreadable: bool,
}

impl Report {
    /// Takes a `usage` object. Returns the tier of service; what else it says goes into the extras.
    pub(in crate::anthropic) fn read(&mut self, text: &str, extras: &mut Extras) -> Option<String> {
        let Ok(mut object) = Object::read(text, Path::default()) else {
            self.unreadable = true;
            return None;
        };
        for (name, place) in [
            ("input_tokens", &mut self.input),
            ("cache_read_input_tokens", &mut self.cache_read),
            ("cache_creation_input_tokens", &mut self.cache_write),
            ("output_tokens", &mut self.output),
        ] {
            if let Some(number) = object.take(name) {
                *place = integer(number.as_bytes()).filter(|tokens| *tokens <= ABSURD_TOKENS);
                self.unreadable |= place.is_none();
            }
        }
        if let Some(details) = object.peek("output_tokens_details")
            && let Ok(mut details) = Object::read(details, Path::default())
        {
            self.thinking = details.take("thinking_tokens").and_then(|number| integer(number.as_bytes()));
        }
        let tier = object.text("service_tier").ok().flatten();
        for (name, value) in object.leftovers() {
            if let Some(value) = ir::json::Json::parse(value) {
                set(extras, format!("usage.{name}"), value);
            }
        }
        tier
    }

    /// Returns the usage in disjoint buckets; `None` when nothing was reported, or it cannot be believed.
    pub(in crate::anthropic) fn usage(&self) -> Option<Usage> {
        if self.unreadable || (self.input.is_none() && self.output.is_none()) {
            return None;
        }
        let output = self.output.unwrap_or(0);
        let reasoning = self.thinking.unwrap_or(0).min(output);
        Some(Usage {
            input: self.input.unwrap_or(0),
            cached_input: self.cache_read.unwrap_or(0),
            cache_write: self.cache_write.unwrap_or(0),
            output: output - reasoning,
            reasoning,
            audio_input: 0,
            audio_output: 0,
        })
    }
}

/// Sets an extra: what a later report says replaces what an earlier one said.
pub(in crate::anthropic) fn set(extras: &mut Extras, name: String, value: ir::json::Json) {
    let mut kept = Extras::default();
    for (other, value) in extras.of(DIALECT).filter(|(other, _)| *other != name) {
        kept.push(DIALECT, other, value.clone());
    }
    kept.push(DIALECT, name, value);
    *extras = kept;
}

/// What is written in a message even when nobody said it.
const ALWAYS: [&str; 3] = ["cache_creation", "inference_geo", "server_tool_use"];

/// Usage as it is written.
#[derive(Clone, Copy, Debug)]
pub(in crate::anthropic) struct Written<'a> {
    /// What was consumed; zeros when nobody knows, because the SDKs demand numbers.
    pub usage: Option<Usage>,
    /// The tier of service that was given.
    pub service_tier: Option<&'a str>,
    /// The extras of the reply.
    pub extras: &'a Extras,
    /// Whether what nobody said is written as `null`: in a message, not in a `message_delta`.
    pub whole: bool,
}

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let usage = self.usage.unwrap_or_default();
        let members = Members::inside(self.extras, "usage.");
        let said = |name| members.iter().find(|(found, _)| *found == name).map(|(_, value)| value);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("input_tokens", &usage.input.saturating_add(usage.audio_input))?;
        map.serialize_entry("cache_creation_input_tokens", &usage.cache_write)?;
        map.serialize_entry("cache_read_input_tokens", &usage.cached_input)?;
        map.serialize_entry("output_tokens", &usage.output_tokens())?;
        if usage.reasoning > 0 && said("output_tokens_details").is_none() {
            let details = std::collections::BTreeMap::from([("thinking_tokens", usage.reasoning)]);
            map.serialize_entry("output_tokens_details", &details)?;
        }
        if self.whole {
            for name in ALWAYS {
                map.serialize_entry(name, &said(name))?;
            }
            map.serialize_entry("service_tier", &self.service_tier.and_then(tier))?;
        }
        for (name, value) in members.iter().filter(|(name, _)| !self.whole || !ALWAYS.contains(name)) {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// Returns the tier in Anthropic's word; OpenAI's `default` is the standard one.
fn tier(tier: &str) -> Option<&str> {
    match tier {
        "standard" | "priority" | "batch" => Some(tier),
        "default" => Some("standard"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(texts: &[&str]) -> Option<Usage> {
        let mut report = Report::default();
        for text in texts {
            report.read(text, &mut Extras::default());
        }
        report.usage()
    }

    #[test]
    fn buckets_are_disjoint() {
        let usage = read(&[r#"{"input_tokens":10,"cache_creation_input_tokens":20,"cache_read_input_tokens":30,
            "output_tokens":9,"output_tokens_details":{"thinking_tokens":4}}"#])
        .unwrap();
        assert_eq!((usage.input, usage.cache_write, usage.cached_input), (10, 20, 30));
        assert_eq!((usage.output, usage.reasoning), (5, 4));
    }

    #[test]
    fn a_later_report_is_cumulative() {
        let usage = read(&[r#"{"input_tokens":10,"output_tokens":1}"#, r#"{"output_tokens":7}"#]).unwrap();
        assert_eq!((usage.input, usage.output), (10, 7));
    }

    #[test]
    fn lies_are_not_believed() {
        for report in ["[]", "{}", r#"{"input_tokens":-1}"#, r#"{"input_tokens":1,"output_tokens":99999999999}"#] {
            assert_eq!(read(&[report]), None, "{report}");
        }
    }

    #[test]
    fn every_key_is_written() {
        let usage = Usage { input: 1, output: 2, reasoning: 3, ..Usage::default() };
        let extras = Extras::default();
        let written = Written { usage: Some(usage), service_tier: Some("default"), extras: &extras, whole: true };
        assert_eq!(
            serde_json::to_string(&written).unwrap(),
            r#"{"input_tokens":1,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":5,"output_tokens_details":{"thinking_tokens":3},"cache_creation":null,"inference_geo":null,"server_tool_use":null,"service_tier":"standard"}"#
        );
    }
}
