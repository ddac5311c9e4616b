//! A request, as far as its surface reads it, and as a provider gets it.

use std::sync::Arc;

use bytes::Bytes;
use ir::chat::message::{Message, Role};
use ir::chat::needs::{Need, features, needs};
use ir::chat::request::Request;
use ir::dialect::Dialect;
use ir::failure::{Code, Failure, Fault};

use super::weight::{Weight, weigh};
use super::{Surface, proofs, user, words};
use crate::anthropic::request::MessagesRequest;
use crate::guard::{self, Said};
use crate::json::each_member;
use crate::openai_chat::request::ChatRequest;
use crate::openai_chat::request::departs::departs;
use crate::translate::{Callee, Encoded};
use crate::{anthropic, cohere, gemini, ollama, openai_chat, openai_responses};

/// A request that was understood as far as routing and accounting need.
#[derive(Debug)]
pub struct Asked {
    surface: Surface,
    read: Read,
    /// A system prompt that is appended to the caller's.
    prompt: Option<Arc<str>>,
    /// The whole request in the canonical vocabulary, once an attempt wanted it.
    canonical: Option<Box<Request>>,
}

#[derive(Debug)]
enum Read {
    OpenaiChat(ChatRequest),
    Anthropic(MessagesRequest),
}

/// A request on its way to a provider.
#[derive(Debug, Default)]
pub struct Outgoing {
    /// The body.
    pub body: Vec<Bytes>,
    /// The parameters that the provider cannot be told, by the names that the caller used.
    pub dropped: Vec<String>,
}

impl Asked {
    /// Reads a request body.
    ///
    /// # Errors
    /// A 400 that names the field.
    pub fn decode(surface: Surface, body: Bytes) -> Result<Self, Failure> {
        let read = match surface {
            Surface::OpenaiChat => Read::OpenaiChat(ChatRequest::decode(body)?),
            Surface::AnthropicMessages => Read::Anthropic(MessagesRequest::decode(body)?),
            Surface::AnthropicCount => Read::Anthropic(MessagesRequest::decode_count(body)?),
        };
        Ok(Self { surface, read, prompt: None, canonical: None })
    }

    /// Returns the surface that was called.
    pub fn surface(&self) -> Surface {
        self.surface
    }

    /// Returns the model asked for, if any.
    pub fn model(&self) -> Option<&str> {
        match &self.read {
            Read::OpenaiChat(request) => request.model.as_deref(),
            Read::Anthropic(request) => request.model.as_deref(),
        }
    }

    /// Whether the answer is asked for as a stream.
    pub fn stream(&self) -> bool {
        match &self.read {
            Read::OpenaiChat(request) => request.stream,
            Read::Anthropic(request) => request.stream,
        }
    }

    /// Returns the most output tokens asked for.
    pub fn max_tokens(&self) -> Option<u64> {
        match &self.read {
            Read::OpenaiChat(request) => request.max_tokens,
            Read::Anthropic(request) => request.max_tokens,
        }
    }

    /// Sets the most output tokens, for a request that says none.
    pub fn cap(&mut self, tokens: u64) {
        if let Some(request) = &mut self.canonical {
            request.max_tokens = Some(tokens);
        }
        match &mut self.read {
            Read::OpenaiChat(request) => request.cap = Some(tokens),
            // A message always says how long it may be.
            Read::Anthropic(_) => debug_assert!(false, "max_tokens is there"),
        }
    }

    /// Returns the user that the request is made for, as it names them.
    pub fn user(&self) -> Option<String> {
        match &self.read {
            Read::OpenaiChat(request) => user::named(request.body(), b"", &[b"user", b"safety_identifier"]),
            Read::Anthropic(request) => user::named(request.body(), b"metadata", &[b"user_id"]),
        }
    }

    /// Returns the session that the request belongs to, as it names it.
    pub fn session(&self) -> Option<String> {
        let body = self.body();
        let of_metadata = || user::named(body, b"metadata", &[b"session_id"]);
        match &self.read {
            Read::OpenaiChat(_) => user::named(body, b"", &[b"session_id", b"prompt_cache_key"]).or_else(of_metadata),
            // Claude Code names the session within the user.
            Read::Anthropic(_) => of_metadata().or_else(|| {
                let user = self.user()?;
                user.split_once("_session_").map(|(_, session)| session.to_owned()).filter(|name| !name.is_empty())
            }),
        }
    }

    /// Returns what the caller says of the request: the text of its `metadata`.
    pub fn metadata(&self) -> Option<&[u8]> {
        let mut found = None;
        // The scan has checked that it is an object.
        let _ = each_member(self.body(), 0..self.body().len(), |name, value| {
            if name == b"metadata" {
                found = Some(value);
            }
            Ok(())
        });
        self.body().get(found?)
    }

    /// Weighs its input, the system prompt that is appended included.
    pub fn weight(&self) -> Weight {
        let prompt = self.prompt.as_ref().map_or(0, |prompt| prompt.len()) as u64;
        let mut weight = weigh(self.body());
        weight.estimate = weight.estimate.saturating_add(ir::usage::estimate_tokens(prompt));
        weight.bound = weight.bound.saturating_add(prompt);
        weight
    }

    /// Returns how many choices are asked for.
    pub fn choices(&self) -> u64 {
        match &self.read {
            Read::OpenaiChat(request) => request.choices,
            Read::Anthropic(_) => 1,
        }
    }

    /// Returns the service tier asked for.
    pub fn service_tier(&self) -> Option<&str> {
        match &self.read {
            Read::OpenaiChat(request) => request.service_tier.as_deref(),
            Read::Anthropic(request) => request.service_tier.as_deref(),
        }
    }

    /// Whether the caller asked for a usage chunk at the end of the stream.
    pub fn wants_usage(&self) -> bool {
        match &self.read {
            Read::OpenaiChat(request) => request.wants_usage(),
            Read::Anthropic(_) => false,
        }
    }

    /// Returns the size of the body in bytes, with the system prompt that is appended.
    pub fn body_bytes(&self) -> u64 {
        (self.body().len() + self.prompt.as_ref().map_or(0, |prompt| prompt.len())) as u64
    }

    /// Passes every text that the caller sends on, in its order, for guards to judge.
    ///
    /// # Errors
    /// What `visit` says of the first text that it refuses.
    pub fn texts<E>(&self, visit: impl FnMut(Said<'_>) -> Result<(), E>) -> Result<(), E> {
        match &self.read {
            Read::OpenaiChat(request) => guard::openai_chat::request::texts(request.body(), visit),
            Read::Anthropic(request) => guard::anthropic::request::texts(request.body(), visit),
        }
    }

    /// Appends a system prompt to the caller's, whatever is spoken to the provider.
    pub fn inject(&mut self, prompt: &Arc<str>) {
        match &mut self.read {
            Read::OpenaiChat(request) => {
                let patch = guard::openai_chat::request::inject(request.body(), prompt);
                patch.into_iter().for_each(|patch| request.change(patch));
            }
            Read::Anthropic(request) => {
                let patch = guard::anthropic::request::inject(request.body(), prompt);
                patch.into_iter().for_each(|patch| request.change(patch));
            }
        }
        if let Some(request) = &mut self.canonical {
            guard::canonical::request::inject(request, prompt);
        }
        self.prompt = Some(Arc::clone(prompt));
    }

    /// Returns the body.
    pub fn body(&self) -> &Bytes {
        match &self.read {
            Read::OpenaiChat(request) => request.body(),
            Read::Anthropic(request) => request.body(),
        }
    }

    /// Returns what providers put before the messages (nothing where the system prompt is one of them), and the messages, as
    /// they were sent.
    pub fn prompt_parts(&self) -> (&[u8], &[u8]) {
        match &self.read {
            Read::OpenaiChat(request) => request.prompt_parts(),
            Read::Anthropic(request) => request.prompt_parts(),
        }
    }

    /// Lets go of the body: once a target has answered, it is not needed any more.
    pub fn forget_body(&mut self) {
        self.canonical = None;
        match &mut self.read {
            Read::OpenaiChat(request) => request.forget_body(),
            Read::Anthropic(request) => request.forget_body(),
        }
    }

    /// Returns the request for a provider. `capabilities` is what the model is known to be able to do (`vision`,
    /// `tools`, …), empty when nobody has said; only where the request is translated is it looked at, because a provider
    /// of the caller's own dialect says best itself what it takes.
    ///
    /// # Errors
    /// 400 when the request cannot be understood whole, or asks for what the provider's dialect cannot express.
    pub fn outgoing(
        &mut self,
        dialect: Dialect,
        callee: &Callee<'_>,
        capabilities: &[Box<str>],
    ) -> Result<Outgoing, Failure> {
        match (&self.read, dialect) {
            (Read::OpenaiChat(request), Dialect::OpenaiChat) if !departs(request.body(), callee) => {
                let (body, dropped) = request.spliced(callee)?;
                Ok(Outgoing { body, dropped })
            }
            (Read::Anthropic(request), Dialect::Anthropic) => {
                Ok(Outgoing { body: request.encode(callee.model), dropped: request.dropped() })
            }
            // Encoded anew for a vendor that spells something otherwise: it still is the caller's own dialect.
            (Read::OpenaiChat(_), Dialect::OpenaiChat) => self.translated(dialect, callee, &[]),
            _ => self.translated(dialect, callee, capabilities),
        }
    }

    fn translated(
        &mut self,
        dialect: Dialect,
        callee: &Callee<'_>,
        capabilities: &[Box<str>],
    ) -> Result<Outgoing, Failure> {
        let surface = self.surface;
        let request = self.canonical()?;
        let encoded = check_capabilities(request, callee.model, capabilities)
            .and_then(|()| check_expressible(request, dialect))
            .and_then(|()| encode(request, dialect, callee));
        match encoded {
            Ok(Encoded { body, dropped }) => {
                let dropped = dropped.into_iter().map(|name| words::name(surface, name)).collect();
                Ok(Outgoing { body: vec![body.into()], dropped })
            }
            Err(failure) => Err(words::failure(surface, prompted(request), failure)),
        }
    }

    /// Returns the whole request in the canonical vocabulary.
    ///
    /// # Errors
    /// 400 when it cannot be understood.
    pub fn canonical(&mut self) -> Result<&mut Request, Failure> {
        let request = match self.canonical.take() {
            Some(request) => request,
            None => Box::new(self.decode_whole()?),
        };
        Ok(self.canonical.insert(request))
    }

    /// Returns the features that it uses.
    ///
    /// # Errors
    /// As [`Asked::canonical`].
    pub fn features(&self) -> Result<Vec<Need>, Failure> {
        Ok(features(&self.decode_whole()?))
    }

    /// Puts back what providers signed and the caller's client has lost, where the request goes to a provider of a
    /// dialect that wants it. `recall` returns what is kept under the id of a tool call.
    ///
    /// # Errors
    /// As [`Asked::canonical`].
    pub fn restore(&mut self, dialect: Dialect, recall: &mut dyn FnMut(&str) -> Option<String>) -> Result<(), Failure> {
        if dialect != self.surface.dialect() && proofs::signs(dialect) {
            proofs::restore(self.canonical()?, recall);
        }
        Ok(())
    }

    fn decode_whole(&self) -> Result<Request, Failure> {
        // The scan has checked that it is UTF-8.
        let text = std::str::from_utf8(self.body()).unwrap_or_default();
        let mut request = match &self.read {
            Read::OpenaiChat(_) => openai_chat::request::decode::decode(text),
            Read::Anthropic(_) => anthropic::request::decode::decode(text),
        }?;
        if let Some(prompt) = &self.prompt {
            guard::canonical::request::inject(&mut request, prompt);
        }
        if let Read::OpenaiChat(ChatRequest { cap: Some(cap), .. }) = &self.read {
            request.max_tokens = Some(*cap);
        }
        Ok(request)
    }
}

/// Whether the first message came as Anthropic's system prompt. A system message in the conversation has its role noted.
fn prompted(request: &Request) -> bool {
    let noted = |message: &Message| message.extras.noted(Dialect::Anthropic, "role").is_some();
    request.messages.first().is_some_and(|first| first.role == Role::System && !noted(first))
}

/// Refuses what the model is known not to be able to do, by name.
fn check_capabilities(request: &Request, model: &str, capabilities: &[Box<str>]) -> Result<(), Failure> {
    let can = |capability: &str| capabilities.iter().any(|known| **known == *capability);
    match needs(request).into_iter().find(|need| !capabilities.is_empty() && !can(need.capability)) {
        None => Ok(()),
        Some(Need { capability, place }) => {
            let message = format!("the model `{model}` is not known to have the capability `{capability}`");
            Err(Failure::new(Code::UnsupportedParameter, Fault::Caller, message).with_param(place))
        }
    }
}

/// Members that only one dialect knows and that the answer depends on: another one cannot leave them out.
const ESSENTIAL: [(Dialect, &str); 5] = [
    (Dialect::OpenaiChat, "audio"),
    (Dialect::OpenaiChat, "modalities"),
    (Dialect::OpenaiChat, "web_search_options"),
    (Dialect::Anthropic, "mcp_servers"),
    (Dialect::Anthropic, "container"),
];

/// Refuses by name what the answer depends on and another dialect has no word for.
fn check_expressible(request: &Request, dialect: Dialect) -> Result<(), Failure> {
    let asked = |(of, name): &(Dialect, &'static str)| match request.extras.get(*of, name) {
        // Text alone is what every dialect answers with.
        Some(value) if *name == "modalities" => value.as_str().contains("audio"),
        found => found.is_some(),
    };
    let several = || (request.choices.unwrap_or(1) > 1).then_some("n");
    let single = matches!(dialect, Dialect::Anthropic | Dialect::OpenaiResponses | Dialect::Cohere | Dialect::Ollama);
    let essential = ESSENTIAL.iter().filter(|(of, _)| *of != dialect).find(|member| asked(member));
    let named = essential.map(|(_, name)| *name).or_else(|| single.then(several).flatten());
    match named {
        None => Ok(()),
        Some(name) => {
            let message = format!("the provider cannot be asked for `{name}`");
            Err(Failure::new(Code::UnsupportedParameter, Fault::Caller, message).with_param(name))
        }
    }
}

fn encode(request: &Request, dialect: Dialect, callee: &Callee<'_>) -> Result<Encoded, Failure> {
    match dialect {
        Dialect::OpenaiChat => openai_chat::request::encode::encode(request, callee),
        Dialect::OpenaiResponses => openai_responses::request::encode::encode(request, callee),
        Dialect::Anthropic => anthropic::request::encode::encode(request, callee),
        Dialect::Gemini => gemini::request::encode::encode(request, callee),
        Dialect::Ollama => ollama::request::encode::encode(request, callee),
        Dialect::Cohere => cohere::request::encode::encode(request, callee),
    }
}
