//! A request that has passed the door, as a handler sees it.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use control::refusal::Refusal;
use control::resource::Expect;
use ir::id::RequestId;
use serde::Serialize;
use serde_json::{Map, Value};

use super::Admin;
use super::problem::{Code, Problem};

/// A request whose parameters have the declared forms and whose body is JSON.
pub struct Call {
    /// What the admin side works with.
    pub admin: Arc<Admin>,
    /// The request.
    pub id: RequestId,
    /// The TCP peer.
    pub peer: IpAddr,
    /// The headers.
    pub headers: HeaderMap,
    /// The parameters of the path, decoded.
    pub(super) path: Vec<(String, String)>,
    /// The parameters of the query, decoded, each once.
    pub(super) query: Vec<(String, String)>,
    /// The body.
    pub(super) body: Option<Value>,
}

impl Call {
    /// Returns a parameter of the path; empty when the route has none of the name.
    pub fn path(&self, name: &str) -> &str {
        let found = self.path.iter().find(|(other, _)| other == name);
        found.map_or("", |(_, value)| value)
    }

    /// Returns a parameter of the query.
    pub fn query(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Returns a whole number of the query. Its bounds are the declared ones.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.query(name)?.parse().ok()
    }

    /// Returns every parameter of the query.
    pub fn queries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.query.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Takes the body, which must be an object; an absent one is empty where the route allows that.
    ///
    /// # Errors
    /// 400 for anything but an object.
    pub fn object(&mut self) -> Result<Members, Problem> {
        match self.body.take() {
            None => Ok(Members(Map::new())),
            Some(Value::Object(members)) => Ok(Members(members)),
            Some(_) => Err(Problem::new(Code::InvalidRequest, "the body must be a JSON object")),
        }
    }

    /// Returns which versions a change is meant for, by `If-Match` (RFC 9110 section 13.1.1).
    ///
    /// # Errors
    /// 400 for what is no list of entity tags.
    pub fn expect(&self) -> Result<Match, Problem> {
        let Some(tags) = tags(&self.headers, IF_MATCH)? else { return Ok(Match::Any) };
        if tags.iter().any(|tag| tag == "*") {
            return Ok(Match::Any);
        }
        // A weak tag never matches, nor does one that is not ours.
        Ok(Match::OneOf(tags.iter().filter_map(|tag| version(tag)).collect()))
    }

    /// Returns whether the caller has a version already, by `If-None-Match`; there a weak tag is as good as a strong one.
    ///
    /// # Errors
    /// 400 for what is no list of entity tags.
    pub fn has(&self, current: u64) -> Result<bool, Problem> {
        let tags = tags(&self.headers, IF_NONE_MATCH)?.unwrap_or_default();
        let same = |tag: &String| tag == "*" || version(tag.strip_prefix("W/").unwrap_or(tag)) == Some(current);
        Ok(tags.iter().any(same))
    }

    /// Runs something that blocks (a database, a file) on a thread that may.
    ///
    /// # Errors
    /// 503 when no thread is free in time or it takes too long; what it does then may still take effect.
    pub async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Admin) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let admin = Arc::clone(&self.admin);
        self.admin.blocking.run(move || work(&admin)).await
    }
}

/// Which versions a change is meant for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// Whichever there is.
    Any,
    /// One of these; none of them when it is empty.
    OneOf(Vec<u64>),
}

impl Match {
    /// Returns the one version that a change is meant for. The current one is only asked for where several would do.
    ///
    /// # Errors
    /// [`Refusal::Stale`] when none of them is current, and what asking for it brings.
    pub fn resolve(self, current: impl FnOnce() -> Result<u64, Refusal>) -> Result<Expect, Refusal> {
        match self {
            Self::Any => Ok(Expect::Any),
            Self::OneOf(versions) => match versions.as_slice() {
                [only] => Ok(Expect::Version(*only)),
                several => {
                    let current = current()?;
                    let found = several.contains(&current);
                    if found { Ok(Expect::Version(current)) } else { Err(Refusal::Stale { current }) }
                }
            },
        }
    }
}

/// Reads a list of entity tags; `None` without the header.
fn tags(headers: &HeaderMap, header: HeaderName) -> Result<Option<Vec<String>>, Problem> {
    let mut tags = Vec::new();
    for value in headers.get_all(&header) {
        let text = value.to_str().unwrap_or("?");
        for tag in text.split(',').map(str::trim).filter(|tag| !tag.is_empty()) {
            let opaque = tag.strip_prefix("W/").unwrap_or(tag);
            let quoted = opaque.len() >= 2 && opaque.starts_with('"') && opaque.ends_with('"');
            if tag != "*" && !quoted {
                return Err(malformed(&header));
            }
            tags.push(tag.to_owned());
        }
    }
    match (tags.is_empty(), headers.contains_key(&header)) {
        (true, true) => Err(malformed(&header)),
        (true, false) => Ok(None),
        (false, _) => Ok(Some(tags)),
    }
}

fn malformed(header: &HeaderName) -> Problem {
    let field = if *header == IF_MATCH { "If-Match" } else { "If-None-Match" };
    Problem::invalid(field, format!("{field} must be an entity tag such as \"3\", a list of them, or *"))
        .hint("send the ETag of a GET as it is")
}

/// Reads an entity tag: a version in quotes.
pub(super) fn version(tag: &str) -> Option<u64> {
    let digits = tag.strip_prefix('"')?.strip_suffix('"')?;
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

/// The members of an object, taken one by one. What is left over at the end was not known.
#[derive(Debug)]
pub struct Members(Map<String, Value>);

impl Members {
    /// Returns the members of an object.
    pub fn of(members: Map<String, Value>) -> Self {
        Self(members)
    }

    /// Takes a member. Null is as good as none.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.0.shift_remove(name).filter(|value| !value.is_null())
    }

    /// Takes a text.
    ///
    /// # Errors
    /// 400 when it is something else.
    pub fn text(&mut self, name: &str) -> Result<Option<String>, Problem> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Problem::invalid(name, format!("{name} must be a string"))),
        }
    }

    /// Takes a text that must be there.
    ///
    /// # Errors
    /// 400 when it is missing or something else.
    pub fn required_text(&mut self, name: &str) -> Result<String, Problem> {
        self.text(name)?.ok_or_else(|| Problem::invalid(name, format!("{name} is missing")))
    }

    /// Takes a truth value.
    ///
    /// # Errors
    /// 400 when it is something else.
    pub fn flag(&mut self, name: &str) -> Result<Option<bool>, Problem> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(_) => Err(Problem::invalid(name, format!("{name} must be true or false"))),
        }
    }

    /// Takes an object.
    ///
    /// # Errors
    /// 400 when it is something else.
    pub fn object(&mut self, name: &str) -> Result<Option<Map<String, Value>>, Problem> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Object(members)) => Ok(Some(members)),
            Some(_) => Err(Problem::invalid(name, format!("{name} must be an object"))),
        }
    }

    /// Checks that nothing is left.
    ///
    /// # Errors
    /// 400 that names the first member which was not taken.
    pub fn finish(self, hint: &str) -> Result<(), Problem> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => {
                let name: String = name.chars().take(64).collect();
                Err(Problem::invalid(&name, "unknown member").hint(hint))
            }
        }
    }
}

/// Returns a JSON reply.
///
/// # Errors
/// 500 when it cannot be written as JSON.
pub fn json(status: StatusCode, body: &impl Serialize) -> Result<Response<Body>, Problem> {
    let Ok(text) = serde_json::to_vec(body) else {
        return Err(Problem::internal("the answer could not be written"));
    };
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entity_tag_is_a_version_in_quotes() {
        for (tag, expect) in [("\"3\"", Some(3)), ("3", None), ("\"\"", None), ("\"x\"", None), ("\"+3\"", None)] {
            assert_eq!(version(tag), expect, "{tag}");
        }
        assert_eq!(version("\"99999999999999999999\""), None);
    }

    #[test]
    fn lists_of_entity_tags_are_read() {
        let check = |values: &[&str], expect: Option<&[&str]>| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(IF_MATCH, value.parse().unwrap());
            }
            let read = tags(&headers, IF_MATCH).unwrap_or(Some(vec!["malformed".to_owned()]));
            let expect = expect.map(|tags| tags.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>());
            assert_eq!(read, expect, "{values:?}");
        };
        check(&[], None);
        check(&["*"], Some(&["*"]));
        check(&["\"1\", W/\"2\"", "\"3\""], Some(&["\"1\"", "W/\"2\"", "\"3\""]));
        for bad in ["", " , ", "3", "\"", "W/3", "\"1\" 2"] {
            check(&[bad], Some(&["malformed"]));
        }
    }

    #[test]
    fn one_of_several_versions_will_do() {
        let resolve = |versions: &[u64]| Match::OneOf(versions.to_vec()).resolve(|| Ok(3));
        assert!(matches!(Match::Any.resolve(|| Ok(3)), Ok(Expect::Any)));
        assert!(matches!(resolve(&[2]), Ok(Expect::Version(2))));
        assert!(matches!(resolve(&[2, 3]), Ok(Expect::Version(3))));
        assert!(matches!(resolve(&[1, 2]), Err(Refusal::Stale { current: 3 })));
        assert!(matches!(resolve(&[]), Err(Refusal::Stale { current: 3 })));
    }
}
