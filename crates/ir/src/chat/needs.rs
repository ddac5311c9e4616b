//! What a request needs a model to be able to do, in the words of the catalogue's capabilities.

use super::message::{Content, Part, Source};
use super::request::{Format, Request, Tool};
use crate::dialect::Dialect;

/// A capability that a request needs, and the place that needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// `vision`, `audio`, `pdf`, `tools` or `json_schema`.
    pub capability: &'static str,
    /// Where, such as `messages[2].content[0]`.
    pub place: String,
}

/// The features that somebody may be allowed or not: capabilities, and what else a request may ask for.
pub const FEATURES: [&str; 7] = ["streaming", "tools", "vision", "audio", "pdf", "json_schema", "reasoning"];

/// Returns the features that a request uses, each with the first place that does: what it needs a model to be able to do,
/// `streaming`, and `reasoning` where it is asked for.
pub fn features(request: &Request) -> Vec<Need> {
    let mut found = needs(request);
    if request.stream {
        found.push(Need { capability: "streaming", place: "stream".to_owned() });
    }
    if request.reasoning.is_some() {
        found.push(Need { capability: "reasoning", place: "reasoning".to_owned() });
    }
    found
}

/// Returns what a request needs: what the answer depends on, not what merely tunes it. Each capability is named once.
pub fn needs(request: &Request) -> Vec<Need> {
    let mut found: Vec<Need> = Vec::new();
    let mut note = |capability, place: &dyn Fn() -> String| {
        if !found.iter().any(|need| need.capability == capability) {
            found.push(Need { capability, place: place() });
        }
    };
    for (at, message) in request.messages.iter().enumerate() {
        for (index, part) in message.parts.iter().enumerate() {
            each(part, &mut |capability| note(capability, &|| format!("messages[{at}].content[{index}]")));
        }
    }
    if !request.tools.is_empty() {
        note("tools", &|| "tools".to_owned());
    }
    if matches!(request.format, Some(Format::JsonSchema(_))) {
        note("json_schema", &|| "response_format".to_owned());
    }
    found
}

/// Members by which a request has its provider run or keep something, each with its dialect.
const ACTS: [(Dialect, &str); 7] = [
    (Dialect::OpenaiChat, "store"),
    (Dialect::OpenaiChat, "web_search_options"),
    (Dialect::OpenaiResponses, "store"),
    (Dialect::OpenaiResponses, "background"),
    (Dialect::OpenaiResponses, "conversation"),
    (Dialect::Anthropic, "mcp_servers"),
    (Dialect::Anthropic, "container"),
];

/// Returns whether asking twice may do something twice: the provider runs a tool itself, or keeps the answer.
pub fn acts(request: &Request) -> bool {
    let member = |(dialect, name): &(Dialect, &str)| {
        request.extras.get(*dialect, name).is_some_and(|value| !matches!(value.as_str(), "false" | "null"))
    };
    request.tools.iter().any(|tool| matches!(tool, Tool::Foreign { .. })) || ACTS.iter().any(member)
}

fn each(part: &Part, note: &mut impl FnMut(&'static str)) {
    match &part.content {
        Content::Image { .. } => note("vision"),
        Content::Audio(_) => note("audio"),
        Content::Document(document) => match &document.source {
            Source::Base64 { media_type, .. } if media_type == "application/pdf" => note("pdf"),
            Source::Parts(parts) => parts.iter().for_each(|part| each(part, note)),
            _ => {}
        },
        Content::ToolResult(result) => result.parts.iter().for_each(|part| each(part, note)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::extras::Extras;
    use crate::chat::message::{Message, Role};
    use crate::chat::request::Function;
    use crate::json::Json;

    #[test]
    fn what_is_done_twice_when_asked_twice_is_known() {
        let check = |change: &dyn Fn(&mut Request), expect: bool| {
            let mut request = Request { tools: vec![Tool::Function(Function::default())], ..Request::default() };
            change(&mut request);
            assert_eq!(acts(&request), expect, "{request:?}");
        };
        let json = |text: &str| Json::parse(text).unwrap();
        let foreign = || Tool::Foreign { dialect: Dialect::Anthropic, tool: json(r#"{"type":"web_search_20250305"}"#) };
        check(&|_| {}, false);
        check(&|request| request.tools.push(foreign()), true);
        check(&|request| request.extras.push(Dialect::OpenaiChat, "store", json("true")), true);
        check(&|request| request.extras.push(Dialect::OpenaiChat, "store", json("false")), false);
        check(&|request| request.extras.push(Dialect::Anthropic, "mcp_servers", json("[]")), true);
        check(&|request| request.extras.push(Dialect::OpenaiChat, "seed", json("1")), false);
    }

    #[test]
    fn each_capability_is_named_with_its_first_place() {
        let image = || Part::new(Content::Image { source: Source::Url("https://x/y.png".to_owned()), detail: None });
        let parts = vec![Part::text("look"), image(), image()];
        let request = Request {
            messages: vec![Message { role: Role::User, parts, name: None, extras: Extras::default() }],
            tools: vec![Tool::Function(Function::default())],
            ..Request::default()
        };
        let found = needs(&request);
        let found: Vec<_> = found.iter().map(|need| (need.capability, need.place.as_str())).collect();
        assert_eq!(found, [("vision", "messages[0].content[1]"), ("tools", "tools")]);
    }
}
