//! A vendor: how to speak to one kind of upstream. One row of `data/providers/*.toml`.

use std::collections::BTreeMap;

use ir::dialect::{Dialect, Quirk};
use serde::Deserialize;

/// How a vendor is spoken to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vendor {
    /// The `kind` that configurations name, such as `groq`.
    pub kind: Box<str>,
    /// Its name for people, such as `Groq`.
    pub title: Box<str>,
    /// The wire format it speaks.
    pub dialect: Dialect,
    /// Its usual address; `None` when only the operator knows it (Azure, Cloudflare, …). A vendor without one serves
    /// what its operator deployed: the catalogue describes its models, but does not list them as served.
    pub base_url: Option<Box<str>>,
    /// Paths of a base URL that people write and that mean another one, such as `/v1` for Ollama's root.
    #[serde(default)]
    pub base_paths: BTreeMap<Box<str>, Box<str>>,
    /// The path of chat completions, appended to the base URL, such as `/chat/completions`. `{model}` in it is the
    /// provider's name of the model.
    pub chat_path: Box<str>,
    /// The path of streamed ones, where it is another.
    pub stream_path: Option<Box<str>>,
    /// The path of the Responses interface, for the models that are served only there.
    pub responses_path: Option<Box<str>>,
    /// The path that counts the tokens of a request without answering it, where there is one.
    pub count_path: Option<Box<str>>,
    /// How a credential is presented.
    pub auth: Auth,
    /// The environment variable that holds a credential, such as `GROQ_API_KEY`.
    pub credential_env: Option<Box<str>>,
    /// Whether it works without a credential (a server on the operator's own machine).
    #[serde(default)]
    pub credential_optional: bool,
    /// Whether it serves far more models than the catalogue lists: names that the catalogue does not know are accepted.
    #[serde(default)]
    pub serves_others: bool,
    /// How usage is obtained in a stream.
    pub stream_usage: StreamUsage,
    /// Where it spells something otherwise than its dialect.
    #[serde(default)]
    pub quirks: Vec<Quirk>,
    /// Members of its dialect's requests that it refuses, as paths of names: `store`, `messages.refusal` (lists are
    /// passed through). What only tunes the answer is left out and named to the caller; what the answer depends on is
    /// refused before it is sent.
    #[serde(default)]
    pub refuses: Vec<Box<str>>,
    /// Where its API is documented.
    pub documentation: Box<str>,
}

/// How a credential is presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Auth {
    /// `Authorization: Bearer …`
    Bearer,
    /// `api-key: …` (Azure).
    ApiKeyHeader,
    /// `x-api-key: …` (Anthropic).
    XApiKey,
    /// `x-goog-api-key: …` (Google).
    XGoogApiKey,
    /// Nothing is sent.
    None,
}

/// How usage is obtained in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamUsage {
    /// It is asked for with `stream_options.include_usage`.
    Ask,
    /// It comes without being asked, and asking is refused.
    Always,
    /// It never comes, and asking is refused: usage is estimated.
    Never,
}
