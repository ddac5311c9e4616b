//! What a Claude model can be told about its thinking and its sampling, by its name.
//!
//! Anthropic refuses a request that tells a model what it does not know, so that a request from another dialect must
//! be cut to the model. The table follows
//! <https://platform.claude.com/docs/en/build-with-claude/thinking-troubleshooting>,
//! <https://platform.claude.com/docs/en/build-with-claude/effort> and the models' "what's new" pages. It is not a
//! catalogue: what a model costs and how much it reads stands there.

use ir::chat::request::Effort;

/// What a model understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Model {
    /// How it thinks.
    pub thinking: Thinking,
    /// The type of `thinking` that tells it not to, as far as it can be told.
    pub off: Option<&'static str>,
    /// Whether it thinks without being asked.
    pub thinks_by_default: bool,
    /// The words of `output_config.effort` that it knows, least first.
    pub efforts: &'static [Effort],
    /// How it can be told to sample.
    pub sampling: Sampling,
    /// Whether `tool_choice` may force a call.
    pub forced_tools: bool,
    /// Whether it knows `output_config.format` and `strict` tools.
    pub structured: bool,
}

/// How a model thinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thinking {
    /// Not at all.
    Never,
    /// Within a budget of tokens.
    Budget,
    /// Within a budget, or as it sees fit.
    Either,
    /// As it sees fit.
    Adaptive,
}

/// How a model can be told to sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sampling {
    /// By temperature and nucleus.
    Free,
    /// By temperature or nucleus, not both.
    OneOf,
    /// Not at all: only the values that change nothing are accepted.
    Fixed,
}

const UP_TO_HIGH: &[Effort] = &[Effort::Low, Effort::Medium, Effort::High];
const WITH_MAX: &[Effort] = &[Effort::Low, Effort::Medium, Effort::High, Effort::Max];
const ALL: &[Effort] = &[Effort::Low, Effort::Medium, Effort::High, Effort::XHigh, Effort::Max];

impl Model {
    /// Returns what a model understands. A name that is not Claude's (other vendors speak the dialect too) gets the
    /// oldest form of everything, a Claude without a version the newest.
    pub(super) fn of(name: &str) -> Self {
        let Some((family, version)) = parse(name) else {
            return Self {
                thinking: Thinking::Budget,
                off: Some("disabled"),
                thinks_by_default: false,
                efforts: &[],
                sampling: Sampling::Free,
                forced_tools: true,
                structured: true,
            };
        };
        let newest = match family {
            Family::Opus | Family::Sonnet => version >= (5, 5),
            Family::Fable => version >= (5, 1),
            Family::Other => false,
        };
        Self {
            thinking: match version {
                (0..=2, _) | (3, 0..=6) => Thinking::Never,
                (3, _) | (4, 0..=5) => Thinking::Budget,
                (4, 6) => Thinking::Either,
                _ => Thinking::Adaptive,
            },
            off: match family {
                Family::Sonnet if newest => Some("between_tools"),
                Family::Opus if newest => None,
                Family::Fable => None,
                Family::Opus | Family::Sonnet | Family::Other => Some("disabled"),
            },
            thinks_by_default: version >= (5, 0),
            efforts: match version {
                (4, 5) if family == Family::Opus => UP_TO_HIGH,
                (4, 6) => WITH_MAX,
                version if version > (4, 6) => ALL,
                _ => &[],
            },
            sampling: match version {
                version if version <= (4, 0) => Sampling::Free,
                version if version <= (4, 6) => Sampling::OneOf,
                _ => Sampling::Fixed,
            },
            forced_tools: !newest,
            structured: version >= (4, 5) || (family == Family::Opus && version == (4, 1)),
        }
    }

    /// Returns the word that the model knows for an effort: the greatest that is not above it, else its least.
    pub(super) fn effort(&self, effort: Effort) -> Option<Effort> {
        let below = self.efforts.iter().rev().find(|known| **known <= effort);
        below.or(self.efforts.first()).copied()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Opus,
    Sonnet,
    /// Fable and Mythos, which are one model under two names.
    Fable,
    /// Haiku, and the families before it.
    Other,
}

/// Reads `claude-3-7-sonnet-20250219`, `claude-opus-4-6`, `us.anthropic.claude-sonnet-4-5-20250929-v1:0`,
/// `anthropic/claude-opus-4.8`, `claude-haiku-4-5@20251001`.
fn parse(name: &str) -> Option<(Family, (u32, u32))> {
    let words = name.split(|letter: char| !letter.is_ascii_alphanumeric());
    let words: Vec<&str> = words.skip_while(|word| *word != "claude").skip(1).collect();
    if words.is_empty() && !name.ends_with("claude") {
        return None;
    }
    let family = match () {
        () if words.contains(&"opus") => Family::Opus,
        () if words.contains(&"sonnet") => Family::Sonnet,
        () if words.contains(&"fable") || words.contains(&"mythos") => Family::Fable,
        () => Family::Other,
    };
    let number = |word: &&str| if word.len() <= 2 { word.parse::<u32>().ok() } else { None };
    let at = words.iter().position(|word| number(word).is_some());
    let version = match at {
        Some(at) => {
            (words.get(at).and_then(number).unwrap_or_default(), words.get(at + 1).and_then(number).unwrap_or_default())
        }
        None => (5, 0),
    };
    Some((family, version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read() {
        for (name, expect) in [
            ("claude-3-7-sonnet-20250219", (Family::Sonnet, (3, 7))),
            ("claude-sonnet-4-20250514", (Family::Sonnet, (4, 0))),
            ("us.anthropic.claude-3-haiku-20240307-v1:0", (Family::Other, (3, 0))),
            ("anthropic.claude-opus-4-6-v1", (Family::Opus, (4, 6))),
            ("claude-haiku-4-5@20251001", (Family::Other, (4, 5))),
            ("anthropic/claude-opus-4.8", (Family::Opus, (4, 8))),
            ("claude-opus-5-5", (Family::Opus, (5, 5))),
            ("claude-mythos-preview", (Family::Fable, (5, 0))),
            ("claude-2.1", (Family::Other, (2, 1))),
        ] {
            assert_eq!(parse(name), Some(expect), "{name}");
        }
        assert_eq!(parse("kimi-k2-thinking"), None);
    }

    #[test]
    fn models_differ_in_how_they_think() {
        for (name, expect) in [
            ("claude-3-5-haiku-latest", Thinking::Never),
            ("claude-3-7-sonnet-latest", Thinking::Budget),
            ("claude-haiku-4-5", Thinking::Budget),
            ("claude-sonnet-4-6", Thinking::Either),
            ("claude-opus-4-7", Thinking::Adaptive),
            ("claude-haiku-5-5", Thinking::Adaptive),
            ("claude-sonnet-5", Thinking::Adaptive),
            ("claude-fable-5", Thinking::Adaptive),
            ("minimax-m2", Thinking::Budget),
        ] {
            assert_eq!(Model::of(name).thinking, expect, "{name}");
        }
    }

    #[test]
    fn not_every_model_can_be_told_not_to_think() {
        for (name, expect) in [
            ("claude-opus-5", Some("disabled")),
            ("claude-opus-5-5", None),
            ("claude-sonnet-5-5", Some("between_tools")),
            ("claude-fable-5", None),
        ] {
            assert_eq!(Model::of(name).off, expect, "{name}");
        }
    }

    #[test]
    fn efforts_are_cut_to_what_is_known() {
        let check = |name, effort, expect| assert_eq!(Model::of(name).effort(effort), expect, "{name}");
        check("claude-opus-4-5", Effort::Max, Some(Effort::High));
        check("claude-opus-4-6", Effort::XHigh, Some(Effort::High));
        check("claude-opus-4-6", Effort::Max, Some(Effort::Max));
        check("claude-opus-4-7", Effort::Minimal, Some(Effort::Low));
        check("claude-haiku-4-5", Effort::High, None);
    }
}
