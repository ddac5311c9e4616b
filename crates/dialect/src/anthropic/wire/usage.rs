//! Usage: <https://docs.claude.com/en/api/messages#response-usage>.
//!
//! Anthropic's input buckets are disjoint already: `input_tokens` holds neither what was read from the cache nor what
//! was written to it. `output_tokens` holds the thinking.

use ir::chat::extras::Extras;
use ir::json::Json;
use ir::usage::Usage;
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{DIALECT, Members};
use crate::anthropic::usage::{self, Reported};
use crate::json::object::{Object, Path};

/// Reads a `usage` object. Returns the tier of service; what else it says beside the tokens goes into the extras.
pub(in crate::anthropic) fn read(text: &str, reported: &mut Reported, extras: &mut Extras) -> Option<String> {
    reported.update(&usage::read(text.as_bytes()));
    let mut object = Object::read(text, Path::default()).ok()?;
    for name in TOKENS {
        object.take(name);
    }
    let tier = object.text("service_tier").ok().flatten();
    for (name, value) in object.leftovers() {
        if let Some(value) = Json::parse(value) {
            set(extras, format!("usage.{name}"), value);
        }
    }
    tier
}

/// What the canonical usage says.
const TOKENS: [&str; 4] = ["input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens"];

/// Sets an extra: what a later report says replaces what an earlier one said.
pub(in crate::anthropic) fn set(extras: &mut Extras, name: String, value: Json) {
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
        let members = Members::inside(self.extras, "usage.");
        let said = |name| members.iter().find(|(found, _)| *found == name).map(|(_, value)| value);
        let usage = without_compactions(self.usage.unwrap_or_default(), said("iterations"));
        let mut map = serializer.serialize_map(None)?;
        let fresh = usage.input.saturating_add(usage.audio_input).saturating_add(usage.image_input);
        map.serialize_entry("input_tokens", &fresh)?;
        map.serialize_entry("cache_creation_input_tokens", &usage.cache_writes())?;
        map.serialize_entry("cache_read_input_tokens", &usage.cached_input)?;
        map.serialize_entry("output_tokens", &usage.output_tokens())?;
        if usage.reasoning > 0 && said("output_tokens_details").is_none() {
            let details = std::collections::BTreeMap::from([("thinking_tokens", usage.reasoning)]);
            map.serialize_entry("output_tokens_details", &details)?;
        }
        if self.whole {
            for name in ALWAYS {
                match said(name) {
                    None if name == "cache_creation" => map.serialize_entry(name, &creation(&usage))?,
                    value => map.serialize_entry(name, &value)?,
                }
            }
            map.serialize_entry("service_tier", &self.service_tier.and_then(tier))?;
        }
        for (name, value) in members.iter().filter(|(name, _)| !self.whole || !ALWAYS.contains(name)) {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// Returns what was written to the cache by time, where somebody told the times apart.
fn creation(usage: &Usage) -> Option<std::collections::BTreeMap<&'static str, u64>> {
    let times = [("ephemeral_1h_input_tokens", usage.cache_write_1h), ("ephemeral_5m_input_tokens", usage.cache_write)];
    (usage.cache_write_1h > 0).then(|| times.into())
}

/// Returns the sums as Anthropic says them: what compactions consumed stands in the iterations alone.
fn without_compactions(usage: Usage, iterations: Option<&Json>) -> Usage {
    let read = |iterations: &Json| usage::read(format!("{{\"iterations\":{}}}", iterations.as_str()).as_bytes());
    let Some(more) = iterations.and_then(|iterations| read(iterations).compaction) else { return usage };
    Usage {
        input: usage.input.saturating_sub(more.input),
        cached_input: usage.cached_input.saturating_sub(more.cached_input),
        cache_write: usage.cache_write.saturating_sub(more.cache_write),
        cache_write_1h: usage.cache_write_1h.saturating_sub(more.cache_write_1h),
        output: usage.output.saturating_sub(more.output),
        ..usage
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

    #[test]
    fn what_is_read_is_written() {
        let text = concat!(
            r#"{"input_tokens":10,"cache_creation_input_tokens":0,"cache_read_input_tokens":2,"output_tokens":9,"#,
            r#""output_tokens_details":{"thinking_tokens":4},"#,
            r#""iterations":[{"type":"compaction","input_tokens":100,"output_tokens":5},{"type":"message"}]}"#,
        );
        let (mut reported, mut extras) = (Reported::default(), Extras::default());
        assert_eq!(read(text, &mut reported, &mut extras), None);
        let usage = reported.usage();
        assert_eq!(usage.map(|usage| (usage.input, usage.output, usage.reasoning)), Some((110, 10, 4)));
        let written = Written { usage, service_tier: None, extras: &extras, whole: false };
        assert_eq!(serde_json::to_string(&written).unwrap(), text);
    }

    #[test]
    fn cache_writes_are_told_apart() {
        let text = concat!(
            r#"{"input_tokens":10,"cache_creation_input_tokens":30,"cache_read_input_tokens":2,"output_tokens":9,"#,
            r#""cache_creation":{"ephemeral_5m_input_tokens":20,"ephemeral_1h_input_tokens":10}}"#,
        );
        let (mut reported, mut extras) = (Reported::default(), Extras::default());
        read(text, &mut reported, &mut extras);
        let usage = reported.usage().unwrap();
        assert_eq!((usage.cache_write, usage.cache_write_1h, usage.input_tokens()), (20, 10, 42));
        let written = Written { usage: Some(usage), service_tier: None, extras: &extras, whole: false };
        assert_eq!(serde_json::to_string(&written).unwrap(), text);
        // The same usage from somewhere else.
        let extras = Extras::default();
        let written = Written { usage: Some(usage), service_tier: None, extras: &extras, whole: true };
        let again = serde_json::to_string(&written).unwrap();
        let expect = r#""cache_creation":{"ephemeral_1h_input_tokens":10,"ephemeral_5m_input_tokens":20}"#;
        assert!(again.contains(expect), "{again}");
        assert_eq!(usage::read(again.as_bytes()).usage(), Some(usage));
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
