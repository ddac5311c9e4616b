//! A provider made ready for requests: where it is, and the head of every request to it, rendered once.

use std::fmt;

use catalog::vendor::{Auth, StreamUsage};
use ir::dialect::{Dialect, Quirk};
use net::backoff::{RetryBudget, RetryBudgetOptions};
use net::connector::Origin;
use policy::secret::Secret;
use policy::snapshot::{Provider, Timeouts};
use url::Url;

use crate::credentials::Credentials;
use crate::path::Path;

/// A provider made ready.
pub struct Target {
    /// Where it is.
    pub origin: Origin,
    /// The wire format it speaks.
    pub dialect: Dialect,
    /// Where it spells something otherwise.
    pub quirks: Vec<Quirk>,
    /// Members of requests that it refuses, as paths of names.
    pub refuses: Vec<Box<str>>,
    /// Its deadlines.
    pub timeouts: Timeouts,
    /// How usage is obtained in a stream.
    pub stream_usage: StreamUsage,
    /// How many retries it may still get.
    pub retries: RetryBudget,
    chat: Path,
    stream: Path,
    count: Option<Path>,
    /// Request heads, one for each credential.
    pub(crate) heads: Credentials,
    /// The credentials, to be blotted out of whatever the provider says.
    credentials: Vec<Secret>,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// What is asked of a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// An answer, whole.
    Chat,
    /// An answer, as it comes.
    ChatStream,
    /// How many tokens a request has.
    CountTokens,
}

impl Target {
    /// Makes a provider ready. `user_agent` names the product and its version.
    pub fn new(provider: &Provider, user_agent: &str) -> Self {
        let url = &provider.base_url;
        let origin = origin(url);
        let vendor = &provider.vendor;
        let path = |tail: &str| Path::new(url.path(), tail);
        let head = |credential: Option<&Secret>| Secret::new(head(provider, user_agent, credential));
        let heads = if provider.credentials.is_empty() {
            vec![(head(None), 1)]
        } else {
            provider.credentials.iter().map(|one| (head(Some(&one.value)), one.weight)).collect()
        };
        Self {
            origin,
            dialect: vendor.dialect,
            quirks: vendor.quirks.clone(),
            refuses: vendor.refuses.clone(),
            chat: path(&vendor.chat_path),
            stream: path(vendor.stream_path.as_deref().unwrap_or(&vendor.chat_path)),
            count: vendor.count_path.as_deref().map(path),
            timeouts: provider.timeouts,
            stream_usage: vendor.stream_usage,
            retries: RetryBudget::new(RetryBudgetOptions::default()),
            heads: Credentials::new(heads),
            credentials: provider.credentials.iter().map(|credential| credential.value.clone()).collect(),
        }
    }

    /// Makes a provider's Responses interface ready, where it has one beside the usual.
    pub fn responses(provider: &Provider, user_agent: &str) -> Option<Self> {
        let tail = provider.vendor.responses_path.as_deref()?;
        let path = || Path::new(provider.base_url.path(), tail);
        Some(Self {
            dialect: Dialect::OpenaiResponses,
            stream_usage: StreamUsage::Always,
            quirks: Vec::new(),
            refuses: Vec::new(),
            chat: path(),
            stream: path(),
            count: None,
            ..Self::new(provider, user_agent)
        })
    }

    /// Whether it can be asked this.
    pub fn serves(&self, purpose: Purpose) -> bool {
        purpose != Purpose::CountTokens || self.count.is_some()
    }

    /// Returns the path for a purpose.
    pub(crate) fn path(&self, purpose: Purpose) -> &Path {
        match purpose {
            Purpose::Chat => &self.chat,
            Purpose::ChatStream => &self.stream,
            Purpose::CountTokens => self.count.as_ref().unwrap_or(&self.chat),
        }
    }

    /// Whether it has several credentials, and one of them was not refused lately.
    pub fn has_another_credential(&self, now: u64) -> bool {
        self.heads.has_another(now)
    }

    /// Returns what a provider said without our credentials and without what looks like one.
    pub fn scrub(&self, text: &str) -> String {
        let mut clean = text.to_owned();
        for credential in &self.credentials {
            let secret = credential.expose();
            if !secret.is_empty() {
                clean = clean.replace(secret, "[redacted]");
            }
        }
        scrub_patterns(&clean)
    }
}

/// Returns where a base URL leads. A URL without a host is the built-in provider that its scheme names: port 0.
fn origin(url: &Url) -> Origin {
    let Some(host) = url.host_str() else {
        return Origin { tls: false, host: url.scheme().into(), port: 0 };
    };
    let tls = url.scheme() == "https";
    let port = url.port().unwrap_or(if tls { 443 } else { 80 });
    Origin { tls, host: host.trim_start_matches('[').trim_end_matches(']').into(), port }
}

/// Prefixes of credentials and account names that providers are known to print back.
const TELLTALES: [&str; 10] = ["sk-", "sk_", "gsk_", "xai-", "org-", "proj_", "key-", "AIza", "Bearer ", "pplx-"];

/// Blots out words that start like a credential or an account's name.
fn scrub_patterns(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for piece in text.split_inclusive([' ', '\n', '"', '\'', '`', ',', ':', '(', ')']) {
        let word = piece.trim_end_matches([' ', '\n', '"', '\'', '`', ',', ':', '(', ')', '.']);
        let telltale = TELLTALES.iter().any(|start| word.len() > start.len() + 6 && word.starts_with(start));
        if telltale {
            clean.push_str("[redacted]");
            clean.push_str(piece.get(word.len()..).unwrap_or_default());
        } else {
            clean.push_str(piece);
        }
    }
    clean
}

fn head(provider: &Provider, user_agent: &str, credential: Option<&Secret>) -> String {
    let url = &provider.base_url;
    let host = match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (host, _) => host.unwrap_or("localhost").to_owned(),
    };
    let mut head = format!(
        "host: {host}\r\nuser-agent: {user_agent}\r\ncontent-type: application/json\r\naccept-encoding: identity\r\n"
    );
    if let Some(credential) = credential {
        let (name, scheme) = match provider.vendor.auth {
            Auth::Bearer => ("authorization", "Bearer "),
            Auth::ApiKeyHeader => ("api-key", ""),
            Auth::XApiKey => ("x-api-key", ""),
            Auth::XGoogApiKey => ("x-goog-api-key", ""),
            Auth::None => ("", ""),
        };
        if !name.is_empty() {
            for part in [name, ": ", scheme, credential.expose(), "\r\n"] {
                head.push_str(part);
            }
        }
    }
    for (name, value) in &provider.headers {
        for part in [name.as_str(), ": ", value, "\r\n"] {
            head.push_str(part);
        }
    }
    head
}

#[cfg(test)]
mod tests {
    use super::scrub_patterns;

    #[test]
    fn what_looks_like_a_credential_is_blotted_out() {
        let text = "Incorrect API key provided: sk-abcdefghijkl. Org org-1234567890 (key 'AIzaSyAbcdefgh') is fine.";
        let clean = scrub_patterns(text);
        assert_eq!(clean, "Incorrect API key provided: [redacted]. Org [redacted] (key '[redacted]') is fine.");
        assert_eq!(scrub_patterns("ask sk-1, organisation"), "ask sk-1, organisation");
    }
}
