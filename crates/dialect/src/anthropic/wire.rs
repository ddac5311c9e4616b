//! The objects of the wire format as they are written: blocks, sources, citations. `wire/block` reads blocks,
//! `wire/usage` reads and writes usage.
//!
//! <https://docs.claude.com/en/api/messages>; the members of each object stand in the OpenAPI document behind it.

pub(super) mod block;
pub(super) mod usage;

use std::borrow::Cow;

use ir::chat::extras::Extras;
use ir::chat::message::Citation;
use ir::dialect::Dialect;
use ir::json::Json;
use serde::ser::{Serialize, SerializeMap, Serializer};

/// The dialect.
pub(super) const DIALECT: Dialect = Dialect::Anthropic;

/// Members of members are carried under both names: `usage.inference_geo`.
const INSIDE: [&str; 3] = ["output_config.", "metadata.", "usage."];

/// What a fold of a stream adds to a part, and is no member of it.
const DELTA: &str = "delta";

/// The members of an object that only this dialect knows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Members<'a> {
    extras: Option<&'a Extras>,
    inside: &'static str,
    except: &'static [&'static str],
}

impl<'a> Members<'a> {
    /// No members.
    pub(super) const NONE: Self = Self { extras: None, inside: "", except: &[] };

    /// Returns the members of the object itself.
    pub(super) fn of(extras: &'a Extras) -> Self {
        Self { extras: Some(extras), ..Self::NONE }
    }

    /// Returns the members of a member (`usage.`).
    pub(super) fn inside(extras: &'a Extras, inside: &'static str) -> Self {
        Self { extras: Some(extras), inside, except: &[] }
    }

    /// Leaves out what is written otherwise.
    pub(super) fn except(self, except: &'static [&'static str]) -> Self {
        Self { except, ..self }
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// Returns them with their names in their object.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'a str, &'a Json)> {
        let Self { extras, inside, except } = *self;
        extras.into_iter().flat_map(|extras| extras.of(DIALECT)).filter_map(move |(name, value)| {
            let nested = INSIDE.iter().any(|prefix| name.starts_with(prefix));
            let name = name.strip_prefix(inside).filter(|_| nested != inside.is_empty())?;
            (name != DELTA && !except.contains(&name)).then_some((name, value))
        })
    }
}

impl Serialize for Members<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.iter() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// A content block.
#[derive(Debug, serde::Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Block<'a> {
    Text(Text<'a>),
    Thinking {
        thinking: &'a str,
        signature: &'a str,
        #[serde(flatten)]
        extras: Members<'a>,
    },
    RedactedThinking {
        data: &'a str,
        #[serde(flatten)]
        extras: Members<'a>,
    },
    Image {
        source: Source<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<&'a Json>,
        #[serde(flatten)]
        extras: Members<'a>,
    },
    Document {
        source: Source<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        context: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        citations: Option<Citations>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<&'a Json>,
        #[serde(flatten)]
        extras: Members<'a>,
    },
    ToolUse {
        id: Cow<'a, str>,
        name: &'a str,
        input: Json,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<&'a Json>,
        #[serde(flatten)]
        extras: Members<'a>,
    },
    ToolResult {
        tool_use_id: Cow<'a, str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        content: Option<Body<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        is_error: Option<bool>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<&'a Json>,
        #[serde(flatten)]
        extras: Members<'a>,
    },
    /// A block that is carried whole.
    #[serde(untagged)]
    Raw(Cow<'a, Json>),
}

/// A text block.
#[derive(Debug, serde::Serialize)]
pub(super) struct Text<'a> {
    pub text: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub citations: Vec<Cow<'a, Json>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<&'a Json>,
    #[serde(flatten)]
    pub extras: Members<'a>,
}

/// Content: "Using a string for content is shorthand for an array of one content block of type text".
#[derive(Debug, serde::Serialize)]
#[serde(untagged)]
pub(super) enum Body<'a> {
    Text(&'a str),
    Blocks(Vec<Block<'a>>),
}

impl<'a> Body<'a> {
    /// Returns blocks in their shortest form, or as a list.
    pub(super) fn of(blocks: Vec<Block<'a>>, list: bool) -> Self {
        match blocks.as_slice() {
            [Block::Text(block)] if block.is_plain() && !list => Self::Text(block.text),
            _ => Self::Blocks(blocks),
        }
    }
}

impl Text<'_> {
    fn is_plain(&self) -> bool {
        self.citations.is_empty() && self.cache_control.is_none() && self.extras.is_empty()
    }
}

/// The note that content was a list, though a string might have said the same.
pub(super) const LIST: &str = "list";

/// Whether content was noted to be a list.
pub(super) fn is_list(extras: &Extras) -> bool {
    extras.noted(DIALECT, LIST).is_some()
}

/// Where data is.
#[derive(Debug, serde::Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Source<'a> {
    Base64 { media_type: &'a str, data: &'a str },
    Url { url: &'a str },
    File { file_id: &'a str },
    Text { media_type: &'static str, data: &'a str },
    Content { content: Body<'a> },
}

/// Whether a document is cited.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub(super) struct Citations {
    pub enabled: bool,
}

/// A citation of a web page that another provider made. Anthropic's own carries an index which lets the page be cited
/// again; an empty one says that there is none.
#[derive(serde::Serialize)]
struct Page<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    cited_text: &'a str,
    url: &'a str,
    title: Option<&'a str>,
    encrypted_index: &'static str,
}

/// The type of a citation of a web page.
const PAGE: &str = "web_search_result_location";

/// Returns a citation as a reply says it: the original, or a web page. `None` when it is neither (a document of
/// another dialect, whose index here nobody knows).
pub(super) fn citation(citation: &Citation) -> Option<Cow<'_, Json>> {
    if let Some((DIALECT, original)) = &citation.original {
        return Some(Cow::Borrowed(original));
    }
    let page = Page {
        kind: PAGE,
        cited_text: citation.cited_text.as_deref().unwrap_or_default(),
        url: citation.url.as_deref()?,
        title: citation.title.as_deref(),
        encrypted_index: "",
    };
    Some(Cow::Owned(Json::of(&page)))
}

/// Returns the input of a tool call. It must be an object: of arguments that are none (broken JSON, the plain text of
/// a custom tool) the text becomes the member `input`.
pub(super) fn input(arguments: &str) -> Json {
    #[derive(serde::Serialize)]
    struct Wrapped<'a> {
        input: &'a str,
    }
    let text = arguments.trim();
    let object = if text.is_empty() { "{}" } else { text };
    let object = object.starts_with('{').then(|| Json::parse(object)).flatten();
    object.unwrap_or_else(|| Json::of(&Wrapped { input: arguments }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_is_always_an_object() {
        for (arguments, expect) in [
            ("", "{}"),
            (" {\"a\": 1} ", "{\"a\": 1}"),
            ("[1]", r#"{"input":"[1]"}"#),
            ("{\"a\":", r#"{"input":"{\"a\":"}"#),
            ("plain \"text\"", r#"{"input":"plain \"text\""}"#),
        ] {
            assert_eq!(input(arguments).as_str(), expect);
        }
    }

    #[test]
    fn members_stay_in_their_object() {
        let mut extras = Extras::default();
        for name in ["container", "usage.speed", "delta", "metadata.x"] {
            extras.push(DIALECT, name, Json::of(&1));
        }
        extras.push(Dialect::Gemini, "safety", Json::of(&1));
        let names = |members: Members<'_>| members.iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>();
        assert_eq!(names(Members::of(&extras)), ["container"]);
        assert_eq!(names(Members::inside(&extras, "usage.")), ["speed"]);
        assert!(Members::inside(&extras, "output_config.").is_empty());
    }

    #[test]
    fn foreign_pages_are_cited_without_an_index() {
        let page = Citation { url: Some("https://a.example".to_owned()), ..Citation::default() };
        assert_eq!(
            citation(&page).unwrap().as_str(),
            r#"{"type":"web_search_result_location","cited_text":"","url":"https://a.example","title":null,"encrypted_index":""}"#
        );
        assert!(citation(&Citation::default()).is_none());
    }
}
