//! From the events of an answer to the whole answer: a stream says, event by event, what the buffered form says at once.

use serde::{Deserialize, Serialize};

use super::event::{Delta, Event, Opening};
use super::extras::Extras;
use super::message::{Content, Part, Source, ToolCall};
use super::response::{Choice, Finish, Response};
use crate::json::Json;

/// Collects events.
#[derive(Debug, Default)]
pub struct Fold {
    response: Response,
    /// The log probabilities of each choice, piece by piece.
    logprobs: Vec<(u32, Logprobs)>,
}

/// Log probabilities in OpenAI's shape; a stream brings them in pieces.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Logprobs {
    content: Option<Vec<Json>>,
    refusal: Option<Vec<Json>>,
}

impl Fold {
    /// Takes the next event. Events that cannot be (a delta of a part that was never opened) are passed over: a decoder
    /// that yields one is at fault, and its tests say so.
    pub fn push(&mut self, event: Event) {
        match event {
            Event::Started(started) => {
                self.response.id = started.id;
                self.response.model = started.model;
                self.response.created = started.created;
                self.response.service_tier = started.service_tier;
                self.response.usage = started.usage.or(self.response.usage);
            }
            Event::Opened { choice, part, opening } => {
                let parts = &mut self.choice(choice).parts;
                debug_assert_eq!(parts.len(), part as usize, "parts are opened in order");
                parts.push(opened(opening));
            }
            Event::Delta { choice, part, delta } => {
                let found = self.choice(choice).parts.get_mut(part as usize);
                debug_assert!(found.is_some(), "a delta of a part that was never opened");
                if let Some(found) = found {
                    grow(found, delta);
                }
            }
            Event::Closed { .. } => {}
            Event::Logprobs { choice, logprobs } => self.join(choice, &logprobs),
            Event::Finished { choice, finish } => self.choice(choice).finish = finish,
            Event::Usage(usage) => self.response.usage = Some(usage),
            Event::Extras(extras) => self.response.extras = extras,
        }
    }

    /// Returns the whole answer.
    pub fn finish(mut self) -> Response {
        for (choice, logprobs) in std::mem::take(&mut self.logprobs) {
            self.choice(choice).logprobs = Some(Json::of(&logprobs));
        }
        self.response
    }

    fn join(&mut self, choice: u32, piece: &Json) {
        let piece: Logprobs = serde_json::from_str(piece.as_str()).unwrap_or_default();
        let found = match self.logprobs.iter().position(|(index, _)| *index == choice) {
            Some(at) => self.logprobs.get_mut(at),
            None => {
                self.logprobs.push((choice, Logprobs::default()));
                self.logprobs.last_mut()
            }
        };
        if let Some((_, whole)) = found {
            append(&mut whole.content, piece.content);
            append(&mut whole.refusal, piece.refusal);
        }
    }

    fn choice(&mut self, index: u32) -> &mut Choice {
        let choices = &mut self.response.choices;
        let at = choices.iter().position(|choice| choice.index == index).unwrap_or_else(|| {
            choices.push(Choice {
                index,
                parts: Vec::new(),
                finish: Finish::Other(String::new()),
                logprobs: None,
                extras: Extras::default(),
            });
            choices.len() - 1
        });
        &mut choices[at]
    }
}

fn append(whole: &mut Option<Vec<Json>>, piece: Option<Vec<Json>>) {
    if let Some(piece) = piece {
        whole.get_or_insert_default().extend(piece);
    }
}

fn opened(opening: Opening) -> Part {
    Part::new(match opening {
        Opening::Text => Content::Text { text: String::new(), citations: Vec::new() },
        Opening::Thinking { id } => Content::Thinking { text: String::new(), id },
        Opening::Redacted => Content::Redacted,
        Opening::Refusal => Content::Refusal(String::new()),
        Opening::ToolCall { id, name, custom } => {
            Content::ToolCall(ToolCall { id, name, arguments: String::new(), custom })
        }
        Opening::Media { media_type } => {
            let source = Source::Base64 { data: String::new(), media_type };
            match &source {
                Source::Base64 { media_type, .. } if media_type.starts_with("audio/") => Content::Audio(source),
                _ => Content::Image { source, detail: None },
            }
        }
        Opening::Foreign { dialect, block } => Content::Foreign { dialect, block },
    })
}

fn grow(part: &mut Part, delta: Delta) {
    match (delta, &mut part.content) {
        (Delta::Text(more), Content::Text { text, .. } | Content::Thinking { text, .. } | Content::Refusal(text)) => {
            text.push_str(&more);
        }
        (Delta::Arguments(more), Content::ToolCall(call)) => call.arguments.push_str(&more),
        (Delta::Citation(citation), Content::Text { citations, .. }) => citations.push(citation),
        (Delta::Data(more), Content::Audio(source) | Content::Image { source, .. }) => {
            if let Source::Base64 { data, .. } = source {
                data.push_str(&more);
            }
        }
        (Delta::Signature(signature), _) => part.signature = Some(signature),
        (Delta::Foreign { dialect, delta }, _) => part.extras.push(dialect, "delta", delta),
        (delta, _) => debug_assert!(false, "a delta that its part cannot take: {delta:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_probabilities_are_joined() {
        let mut fold = Fold::default();
        for piece in [r#"{"content":[{"token":"a"}]}"#, r#"{"content":[{"token":"b"}],"refusal":null}"#] {
            fold.push(Event::Logprobs { choice: 0, logprobs: Json::parse(piece).unwrap() });
        }
        let found = fold.finish().choices.pop().unwrap().logprobs.unwrap();
        assert_eq!(found.as_str(), r#"{"content":[{"token":"a"},{"token":"b"}],"refusal":null}"#);
    }

    #[test]
    fn text_and_a_call_come_together() {
        let mut fold = Fold::default();
        let open = |part, opening| Event::Opened { choice: 0, part, opening };
        let delta = |part, delta| Event::Delta { choice: 0, part, delta };
        for event in [
            open(0, Opening::Text),
            delta(0, Delta::Text("Hel".to_owned())),
            delta(0, Delta::Text("lo".to_owned())),
            Event::Closed { choice: 0, part: 0 },
            open(1, Opening::ToolCall { id: "c1".to_owned(), name: "f".to_owned(), custom: false }),
            delta(1, Delta::Arguments("{\"a\"".to_owned())),
            delta(1, Delta::Arguments(":1}".to_owned())),
            Event::Finished { choice: 0, finish: Finish::ToolCalls },
        ] {
            fold.push(event);
        }
        let response = fold.finish();
        let choice = &response.choices[0];
        assert_eq!(choice.parts[0], Part::text("Hello"));
        assert!(matches!(&choice.parts[1].content, Content::ToolCall(call) if call.arguments == "{\"a\":1}"));
        assert_eq!(choice.finish, Finish::ToolCalls);
    }
}
