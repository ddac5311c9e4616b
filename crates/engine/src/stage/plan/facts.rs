//! What the rules of a route may know of a request: found out only as far as they look.

use std::collections::BTreeMap;

use dialect::lane::asked::Asked;
use ir::chat::needs::features;
use ir::failure::Failure;
use policy::condition::{Facts, Looks};
use policy::limit::zone::Civil;
use serde_json::Value;

use super::Circumstances;

/// The header that names the session of a request, as OpenRouter's clients do; Codex leaves the first letters out.
const SESSION: [&str; 2] = ["x-session-id", "session_id"];

/// What the caller says of a request, as JSON.
const METADATA: &str = "x-crossway-metadata";

/// The most of a name that is compared, in bytes.
const MAX_NAME: usize = 512;

/// What was found out.
#[derive(Default)]
pub(crate) struct Known {
    user: String,
    session: String,
    metadata: BTreeMap<String, Value>,
    features: Vec<&'static str>,
    time: Civil,
}

impl Known {
    /// Finds out what a route looks at.
    ///
    /// # Errors
    /// 400 when it looks at the features and the request cannot be understood whole.
    pub(crate) fn of(looks: Looks, around: &Circumstances<'_>, request: &mut Asked) -> Result<Self, Failure> {
        let mut known =
            Self { time: around.configuration.snapshot.environment.zone.civil((around.unix_ms)()), ..Self::default() };
        if looks.features {
            known.features = features(request.canonical()?).iter().map(|need| need.capability).collect();
        }
        let header = |name: &str| around.headers.iter().find(|(other, _)| **other == *name).map(|(_, value)| &**value);
        if looks.metadata || looks.session {
            known.metadata = object(request.metadata());
            known.metadata.extend(object(header(METADATA).map(str::as_bytes)));
        }
        if looks.user {
            known.user = short(request.user().unwrap_or_default());
        }
        if looks.session {
            let said = SESSION.into_iter().find_map(header).filter(|name| !name.is_empty()).map(str::to_owned);
            let noted = || known.metadata.get("session_id").and_then(Value::as_str).map(str::to_owned);
            known.session = short(said.or_else(|| request.session()).or_else(noted).unwrap_or_default());
        }
        Ok(known)
    }

    /// Returns the facts as conditions see them.
    pub(crate) fn facts<'a>(&'a self, around: &Circumstances<'a>, request: &'a Asked) -> Facts<'a> {
        Facts {
            model: request.model().unwrap_or_default(),
            provider: around.provider.unwrap_or_default(),
            surface: request.surface().right(),
            stream: request.stream(),
            input_tokens: around.input_tokens,
            max_tokens: request.max_tokens().unwrap_or(0),
            features: &self.features,
            headers: around.headers,
            metadata: &self.metadata,
            user: &self.user,
            session: &self.session,
            key: Some(around.key),
            time: self.time,
            ..Facts::default()
        }
    }
}

/// Reads an object; what is none says nothing.
fn object(text: Option<&[u8]>) -> BTreeMap<String, Value> {
    text.and_then(|text| serde_json::from_slice(text).ok()).unwrap_or_default()
}

/// Cuts a name at a character's start.
fn short(mut name: String) -> String {
    name.truncate(name.floor_char_boundary(MAX_NAME));
    name
}
