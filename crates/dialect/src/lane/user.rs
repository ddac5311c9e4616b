//! For whom a request is made, as it says itself.

use crate::json::{each_member, string};

/// Returns the value of one of some members, the first that is there and no empty text; `within` is a member whose
/// object they are in, empty for the request itself.
pub(super) fn named(body: &[u8], within: &[u8], names: &[&[u8]]) -> Option<String> {
    let mut range = 0..body.len();
    if !within.is_empty() {
        let mut inner = None;
        let _ = each_member(body, range, |name, value| {
            if name == within {
                inner = Some(value);
            }
            Ok(())
        });
        range = inner?;
    }
    let mut found: Vec<Option<String>> = vec![None; names.len()];
    // What is no object names nobody.
    let _ = each_member(body, range, |name, value| {
        if let Some(place) = names.iter().position(|known| *known == name).and_then(|at| found.get_mut(at)) {
            *place = string(body.get(value).unwrap_or_default()).filter(|user| !user.is_empty());
        }
        Ok(())
    });
    found.into_iter().flatten().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_user() {
        let openai = |body: &str| named(body.as_bytes(), b"", &[b"user", b"safety_identifier"]);
        assert_eq!(openai(r#"{"messages":[{"user":"no"}],"user":"ann"}"#).as_deref(), Some("ann"));
        assert_eq!(openai(r#"{"safety_identifier":"h","user":""}"#).as_deref(), Some("h"));
        assert_eq!(openai(r#"{"safety_identifier":"h","user":"a\u006en"}"#).as_deref(), Some("ann"));
        assert_eq!((openai(r#"{"user":7}"#), openai("[]")), (None, None));
        let anthropic = |body: &str| named(body.as_bytes(), b"metadata", &[b"user_id"]);
        assert_eq!(anthropic(r#"{"metadata":{"user_id":"ann"}}"#).as_deref(), Some("ann"));
        assert_eq!((anthropic(r#"{"metadata":null}"#), anthropic(r#"{"user_id":"ann"}"#)), (None, None));
    }
}
