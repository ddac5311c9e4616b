//! What an ID token says: checked, and turned into somebody and their role.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::OidcError;
use crate::actor::Role;
use crate::people::token::same;
use crate::people::{Claimed, rank};

/// How far two clocks may be apart, in seconds.
const LEEWAY: i64 = 60;

/// The longest subject (OpenID Connect Core 1.0 section 2), in bytes.
const MAX_SUBJECT: usize = 255;

/// What a token has to say.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The issuer.
    pub issuer: &'a str,
    /// The client that it is for.
    pub client_id: &'a str,
    /// What was sent along at the start.
    pub nonce: &'a str,
    /// The time now, Unix seconds.
    pub now: u64,
}

/// Checks the claims of a token whose signature is good (OpenID Connect Core 1.0 section 3.1.3.7), and returns the
/// subject.
///
/// # Errors
/// [`OidcError::Token`].
pub fn check(claims: &Map<String, Value>, expected: Expected<'_>) -> Result<String, OidcError> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let wrong = |what: &'static str| Err(OidcError::Token(what));
    if text("iss") != Some(expected.issuer) {
        return wrong("it is from another issuer");
    }
    let audiences: Vec<&str> = match claims.get("aud") {
        Some(Value::String(one)) => vec![one.as_str()],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if !audiences.contains(&expected.client_id) {
        return wrong("it is for another client");
    }
    let party = claims.get("azp");
    let several = audiences.len() > 1;
    if (several || party.is_some()) && text("azp") != Some(expected.client_id) {
        return wrong("it was issued to another client");
    }
    times(claims, i64::try_from(expected.now).unwrap_or(i64::MAX))?;
    if !text("nonce").is_some_and(|nonce| same(expected.nonce, nonce)) {
        return wrong("it does not belong to this sign-in");
    }
    match text("sub") {
        Some(subject) if !subject.is_empty() && subject.len() <= MAX_SUBJECT => Ok(subject.to_owned()),
        _ => wrong("it names nobody"),
    }
}

fn times(claims: &Map<String, Value>, now: i64) -> Result<(), OidcError> {
    let instant = |name: &str| match claims.get(name) {
        None => Ok(None),
        Some(value) => match seconds(value) {
            Some(seconds) => Ok(Some(seconds)),
            None => Err(OidcError::Token("one of its times is no number")),
        },
    };
    let (Some(expires), Some(issued)) = (instant("exp")?, instant("iat")?) else {
        return Err(OidcError::Token("it does not say from when to when it is good"));
    };
    if now >= expires.saturating_add(LEEWAY) {
        return Err(OidcError::Token("it has expired"));
    }
    let begins = instant("nbf")?.unwrap_or(issued).max(issued);
    if begins > now.saturating_add(LEEWAY) {
        return Err(OidcError::Token("it is from the future: compare the clocks"));
    }
    Ok(())
}

/// Returns whole seconds; a number with a fraction loses it.
fn seconds(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| {
        let number = value.as_f64()?;
        // The cast saturates.
        number.is_finite().then_some(number as i64)
    })
}

/// Adds what the user info endpoint says to what the token says. The token wins; an address and whether it is verified
/// come from the same place.
///
/// # Errors
/// [`OidcError::Provider`] when it is about somebody else.
pub fn complete(claims: &mut Map<String, Value>, more: Map<String, Value>) -> Result<(), OidcError> {
    if more.get("sub") != claims.get("sub") {
        return Err(OidcError::provider("its user info is about somebody else"));
    }
    if !(claims.contains_key("email") && claims.contains_key("email_verified")) && more.contains_key("email") {
        claims.remove("email");
        claims.remove("email_verified");
    } else if claims.contains_key("email") {
        claims.entry("email_verified").or_insert(Value::Bool(false));
    }
    for (name, value) in more {
        claims.entry(name).or_insert(value);
    }
    Ok(())
}

/// Returns whether something is missing that the user info endpoint may know.
pub fn is_incomplete(claims: &Map<String, Value>, role_claim: Option<&str>) -> bool {
    let verified = claims.contains_key("email_verified") || claims.contains_key("xms_edov");
    !claims.contains_key("email") || !verified || role_claim.is_some_and(|path| find(claims, path).is_none())
}

/// Returns who it is, in the words of the control plane.
pub fn claimed(
    claims: &Map<String, Value>,
    issuer: &str,
    subject: String,
    role_claim: Option<&str>,
    role_map: &BTreeMap<String, String>,
) -> Claimed {
    let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
    Claimed {
        issuer: issuer.to_owned(),
        subject,
        email: text("email"),
        email_verified: is_true(claims.get("email_verified")) || is_true(claims.get("xms_edov")),
        name: text("name").or_else(|| text("preferred_username")),
        role: role_claim.and_then(|path| role(claims, path, role_map)),
    }
}

/// Some providers write truth as text, or as a number.
fn is_true(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Bool(flag)) => *flag,
        Some(Value::String(text)) => text == "true" || text == "1",
        Some(Value::Number(number)) => number.as_u64() == Some(1),
        _ => false,
    }
}

/// Returns the highest role that the settings give to one of the values of a claim.
fn role(claims: &Map<String, Value>, path: &str, map: &BTreeMap<String, String>) -> Option<Role> {
    let values: Vec<&str> = match find(claims, path)? {
        Value::String(one) => vec![one.as_str()],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    values.into_iter().filter_map(|value| map.get(value)).filter_map(|name| rank::parse(name)).max()
}

/// Finds a claim by its name, else by the names of objects and members with dots between them.
fn find<'a>(claims: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    if let Some(value) = claims.get(path) {
        return Some(value);
    }
    let (first, rest) = path.split_once('.')?;
    find(claims.get(first)?.as_object()?, rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const NOW: u64 = 1_795_000_000;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn good() -> Map<String, Value> {
        object(json!({
            "iss": "https://i.test", "aud": "client", "sub": "s1", "nonce": "n", "iat": NOW, "exp": NOW + 300,
        }))
    }

    fn checked(changes: Value) -> Result<String, OidcError> {
        let mut claims = good();
        for (name, value) in object(changes) {
            if value.is_null() {
                claims.remove(&name);
            } else {
                claims.insert(name, value);
            }
        }
        check(&claims, Expected { issuer: "https://i.test", client_id: "client", nonce: "n", now: NOW })
    }

    #[test]
    fn good_tokens_pass() {
        for changes in [
            json!({}),
            json!({"aud": ["client"]}),
            json!({"aud": ["other", "client"], "azp": "client"}),
            json!({"azp": "client"}),
            json!({"exp": NOW - 59, "iat": NOW - 400}),
            json!({"iat": NOW + 60, "nbf": NOW + 60}),
            json!({"exp": NOW as f64 + 0.5, "iat": NOW as f64 - 0.5}),
        ] {
            assert_eq!(checked(changes.clone()).as_deref(), Ok("s1"), "{changes}");
        }
    }

    #[test]
    fn each_fault_is_refused() {
        for changes in [
            json!({"iss": "https://evil.test"}),
            json!({"iss": "https://i.test/"}),
            json!({"iss": ["https://i.test"]}),
            json!({"iss": null}),
            json!({"aud": "other"}),
            json!({"aud": []}),
            json!({"aud": null}),
            json!({"aud": "client2"}),
            json!({"aud": ["client", "other"]}),
            json!({"aud": ["client", "other"], "azp": "other"}),
            json!({"azp": "other"}),
            json!({"azp": 1}),
            json!({"exp": NOW - 60}),
            json!({"exp": null}),
            json!({"exp": "soon"}),
            json!({"iat": null}),
            json!({"iat": NOW + 61}),
            json!({"nbf": NOW + 61}),
            json!({"nbf": "x"}),
            json!({"nonce": "m"}),
            json!({"nonce": ""}),
            json!({"nonce": null}),
            json!({"nonce": ["n"]}),
            json!({"sub": ""}),
            json!({"sub": null}),
            json!({"sub": 1}),
            json!({"sub": "x".repeat(256)}),
        ] {
            assert!(checked(changes.clone()).is_err(), "{changes}");
        }
    }

    proptest! {
        /// Whatever the times are, a token is good only between them, give or take a minute.
        #[test]
        fn times_bind(iat in any::<i64>(), exp in any::<i64>()) {
            let now = i64::try_from(NOW).unwrap();
            let good = checked(json!({"iat": iat, "exp": exp})).is_ok();
            prop_assert_eq!(good, iat <= now + 60 && exp > now - 60);
        }
    }

    #[test]
    fn roles_are_mapped_from_wherever_they_stand() {
        let map: BTreeMap<String, String> =
            [("ops", "operator"), ("devs", "developer"), ("odd", "root")].map(|(a, b)| (a.into(), b.into())).into();
        let check = |claims: Value, path: &str, expect: Option<Role>| {
            assert_eq!(role(&object(claims.clone()), path, &map), expect, "{claims} {path}");
        };
        check(json!({"role": "ops"}), "role", Some(Role::Operator));
        check(json!({"groups": ["x", "devs", "ops"]}), "groups", Some(Role::Operator));
        check(json!({"groups": ["devs"]}), "groups", Some(Role::Developer));
        check(json!({"groups": ["x", "odd", 1]}), "groups", None);
        check(json!({"realm_access": {"roles": ["devs"]}}), "realm_access.roles", Some(Role::Developer));
        check(json!({"https://x.test/roles": ["devs"]}), "https://x.test/roles", Some(Role::Developer));
        check(json!({"groups": {"ops": true}}), "groups", None);
        check(json!({}), "groups", None);
        check(json!({"a": 1}), "a.b", None);
    }

    #[test]
    fn user_info_adds_what_is_missing() {
        let merge = |mut claims: Map<String, Value>, more: Value| complete(&mut claims, object(more)).map(|()| claims);
        let with = |extra: Value| {
            let mut claims = object(json!({"sub": "s1"}));
            claims.extend(object(extra));
            claims
        };
        let email = json!({"sub": "s1", "email": "a@x.test", "email_verified": true, "sub2": 1});
        assert_eq!(merge(with(json!({})), email.clone()).unwrap()["email"], "a@x.test");
        let kept = merge(with(json!({"email": "t@x.test", "email_verified": true})), email.clone()).unwrap();
        assert_eq!(kept["email"], "t@x.test");
        let both = merge(with(json!({"email": "t@x.test"})), email).unwrap();
        assert_eq!((&both["email"], &both["email_verified"]), (&json!("a@x.test"), &json!(true)));
        let half = merge(with(json!({"email": "t@x.test"})), json!({"sub": "s1", "email_verified": true})).unwrap();
        assert_eq!(half["email_verified"], false, "it is not said of which address");
        assert!(merge(with(json!({})), json!({"sub": "s2", "email": "a@x.test"})).is_err());
        assert!(merge(with(json!({})), json!({"email": "a@x.test"})).is_err());
    }

    #[test]
    fn an_address_is_verified_only_when_it_is_said() {
        let check = |value: Value, expect: bool| {
            let claims = object(json!({"email": "a@x.test", "email_verified": value}));
            let found = claimed(&claims, "i", "s".to_owned(), None, &BTreeMap::new());
            assert_eq!(found.email_verified, expect, "{claims:?}");
        };
        check(json!(true), true);
        check(json!("true"), true);
        for value in [json!(false), json!("false"), json!(null), json!("yes"), json!([true]), json!({})] {
            check(value, false);
        }
        assert!(!claimed(&good(), "i", "s".to_owned(), None, &BTreeMap::new()).email_verified);
    }
}
