//! From a whole answer to the events of a stream that says the same: for callers of a stream whose provider answers at
//! once. The inverse of [`fold`](super::fold).

use super::event::{Delta, Event, Opening, Started};
use super::message::{Content, Part, Source};
use super::response::Response;
use crate::usage::Usage;

/// Returns the events of an answer: each part opened, filled by one delta of each sort, and closed. What a stream has no
/// place for (members of one choice that only its dialect knows) is left out, as it is where a provider streams it.
pub fn unfold(response: Response) -> Vec<Event> {
    // A stream begins before its output is counted.
    let begun = |usage: Usage| Usage { output: 0, reasoning: 0, audio_output: 0, image_output: 0, images: 0, ..usage };
    let mut events = vec![Event::Started(Started {
        id: response.id,
        model: response.model,
        created: response.created,
        service_tier: response.service_tier,
        usage: response.usage.map(begun),
    })];
    for choice in response.choices {
        let index = choice.index;
        let parts = choice.parts.into_iter().filter_map(opened);
        for (part, (opening, deltas)) in (0..).zip(parts) {
            events.push(Event::Opened { choice: index, part, opening });
            events.extend(deltas.into_iter().map(|delta| Event::Delta { choice: index, part, delta }));
            events.push(Event::Closed { choice: index, part });
        }
        events.extend(choice.logprobs.map(|logprobs| Event::Logprobs { choice: index, logprobs }));
        events.push(Event::Finished { choice: index, finish: choice.finish });
    }
    events.extend(response.usage.map(Event::Usage));
    events.push(Event::Extras(response.extras));
    events
}

/// Returns how a part begins and what it grows by; `None` for what no provider answers with.
fn opened(part: Part) -> Option<(Opening, Vec<Delta>)> {
    let mut deltas = Vec::new();
    let text = |text: String| (!text.is_empty()).then_some(Delta::Text(text));
    let opening = match part.content {
        Content::Text { text: said, citations } => {
            deltas.extend(text(said).into_iter().chain(citations.into_iter().map(Delta::Citation)));
            Opening::Text
        }
        Content::Thinking { text: thought, id } => {
            deltas.extend(text(thought));
            Opening::Thinking { id }
        }
        Content::Redacted => Opening::Redacted,
        Content::Refusal(said) => {
            deltas.extend(text(said));
            Opening::Refusal
        }
        Content::ToolCall(call) => {
            deltas.extend((!call.arguments.is_empty()).then_some(Delta::Arguments(call.arguments)));
            Opening::ToolCall { id: call.id, name: call.name, custom: call.custom }
        }
        Content::Image { source: Source::Base64 { media_type, data }, .. }
        | Content::Audio(Source::Base64 { media_type, data }) => {
            deltas.push(Delta::Data(data));
            Opening::Media { media_type }
        }
        Content::Foreign { dialect, block } => Opening::Foreign { dialect, block },
        Content::Image { .. }
        | Content::Audio(_)
        | Content::Video(_)
        | Content::Document(_)
        | Content::ToolResult(_) => return None,
    };
    let own = part.extras.named("delta");
    deltas.extend(own.map(|(dialect, delta)| Delta::Foreign { dialect, delta: delta.clone() }));
    deltas.extend(part.signature.map(Delta::Signature));
    Some((opening, deltas))
}

#[cfg(test)]
mod tests {
    use super::super::extras::Extras;
    use super::super::fold::Fold;
    use super::super::message::{Citation, Signature, ToolCall};
    use super::super::response::{Choice, Finish};
    use super::*;
    use crate::dialect::Dialect;
    use crate::json::Json;

    fn response() -> Response {
        let json = |text| Json::parse(text).unwrap();
        let call = ToolCall { id: "c1".to_owned(), name: "f".to_owned(), arguments: "{}".to_owned(), custom: false };
        let sound = Source::Base64 { media_type: "audio/pcm16".to_owned(), data: "AAA=".to_owned() };
        let picture = Source::Base64 { media_type: "image/png".to_owned(), data: "iVBO".to_owned() };
        let mut audio = Part::new(Content::Audio(sound));
        audio.extras.push(Dialect::OpenaiChat, "delta", json(r#"{"id":"a1"}"#));
        let signature = |text: &str| Some(Signature { by: Dialect::Anthropic, text: text.to_owned() });
        let thought = Content::Thinking { text: "hm".to_owned(), id: Some("t".to_owned()) };
        let cited = Citation { url: Some("https://a.test".to_owned()), ..Citation::default() };
        let parts = vec![
            Part { signature: signature("s1"), ..Part::new(thought) },
            Part { signature: signature("s2"), ..Part::new(Content::Redacted) },
            Part::new(Content::Text { text: "Hello".to_owned(), citations: vec![cited] }),
            Part::text(""),
            Part::new(Content::ToolCall(call)),
            audio,
            Part::new(Content::Image { source: picture, detail: None }),
            Part::new(Content::Foreign { dialect: Dialect::Gemini, block: json(r#"{"x":1}"#) }),
        ];
        let refused = vec![Part::new(Content::Refusal("no".to_owned()))];
        let logprobs = Some(json(r#"{"content":[{"token":"a"}],"refusal":null}"#));
        let choice =
            |index, parts, finish, logprobs| Choice { index, parts, finish, logprobs, extras: Extras::default() };
        let mut extras = Extras::default();
        extras.push(Dialect::OpenaiChat, "system_fingerprint", json("\"fp\""));
        Response {
            id: "r1".to_owned(),
            model: "m".to_owned(),
            created: Some(7),
            choices: vec![
                choice(0, parts, Finish::ToolCalls, logprobs),
                choice(1, refused, Finish::StopSequence(Some("END".to_owned())), None),
            ],
            usage: Some(Usage { input: 9, cached_input: 1, output: 4, reasoning: 2, searches: 1, ..Usage::default() }),
            service_tier: Some("flex".to_owned()),
            extras,
        }
    }

    #[test]
    fn folded_again_it_is_the_same() {
        let mut fold = Fold::default();
        unfold(response()).into_iter().for_each(|event| fold.push(event));
        assert_eq!(fold.finish(), response());
    }

    #[test]
    fn what_no_answer_holds_leaves_no_gap() {
        let mut response = response();
        response.choices.truncate(1);
        let address = Content::Image { source: Source::Url("https://a.test".to_owned()), detail: None };
        response.choices[0].parts = vec![Part::new(address), Part::text("Hello")];
        let opened = unfold(response).into_iter().filter_map(|event| match event {
            Event::Opened { part, opening, .. } => Some((part, opening)),
            _ => None,
        });
        assert_eq!(opened.collect::<Vec<_>>(), [(0, Opening::Text)]);
    }

    #[test]
    fn it_begins_before_its_output_is_counted() {
        let events = unfold(response());
        let Some(Event::Started(started)) = events.first() else { panic!("{events:?}") };
        let usage = started.usage.unwrap();
        assert_eq!((usage.input_tokens(), usage.output_tokens()), (10, 0));
    }
}
