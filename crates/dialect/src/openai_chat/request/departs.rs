//! Whether a request says something that a vendor of the same dialect spells otherwise: then it is encoded anew instead
//! of spliced. Most vendors spell everything as OpenAI does, and nothing is looked at; for the others the request is
//! passed over once.

use ir::dialect::Quirk;

use super::encode::ids;
use crate::json::{JsonError, Scanner, each_member, string};
use crate::translate::Callee;

/// Whether a request must be encoded anew. What is only refused is no reason: it is left out of the bytes.
pub fn departs(body: &[u8], callee: &Callee<'_>) -> bool {
    if callee.quirks.is_empty() && callee.refuses.is_empty() {
        return false;
    }
    let look = Look { body, callee };
    // A body that is not JSON was refused before.
    look.request().unwrap_or(true)
}

struct Look<'a> {
    body: &'a [u8],
    callee: &'a Callee<'a>,
}

/// What a message says, wherever its role stands.
#[derive(Default)]
struct Message {
    named: bool,
    of_tool: bool,
    reasoning: bool,
    content: bool,
    details: bool,
}

impl Look<'_> {
    fn has(&self, quirk: Quirk) -> bool {
        self.callee.has(quirk)
    }

    fn text(&self, range: std::ops::Range<usize>) -> &[u8] {
        self.body.get(range).unwrap_or_default()
    }

    fn request(&self) -> Result<bool, JsonError> {
        let mut scanner = Scanner::new(self.body, 0);
        scanner.enter_object()?;
        let mut first = true;
        while let Some(name) = scanner.member_name(first)? {
            first = false;
            let name = self.text(name);
            if name == b"messages" {
                if self.messages(&mut scanner)? {
                    return Ok(true);
                }
                continue;
            }
            let value = scanner.value()?;
            if self.parameter(name, self.text(value)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn parameter(&self, name: &[u8], value: &[u8]) -> bool {
        if value == b"null" {
            return false;
        }
        match name {
            b"max_completion_tokens" => self.has(Quirk::MaxTokens),
            b"seed" => self.has(Quirk::RandomSeed),
            b"temperature" => self.has(Quirk::LowTemperature) && number(value) > 1.5,
            b"reasoning_effort" => self.has(Quirk::NoneOrHighEffort) && !matches!(value, b"\"none\"" | b"\"high\""),
            // Those have another form, too, which is not refused.
            b"reasoning" => self.callee.refuses("reasoning"),
            b"functions" => self.callee.refuses("functions"),
            b"function_call" => self.callee.refuses("function_call"),
            _ => false,
        }
    }

    fn messages(&self, scanner: &mut Scanner<'_>) -> Result<bool, JsonError> {
        scanner.enter_array()?;
        let mut first = true;
        while scanner.element(first)? {
            first = false;
            if scanner.enter_or_pass(b'{')? && self.message(scanner)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn message(&self, scanner: &mut Scanner<'_>) -> Result<bool, JsonError> {
        let mut message = Message::default();
        let mut first = true;
        while let Some(member) = scanner.member(first)? {
            first = false;
            let (name, value) = (self.text(member.name), self.text(member.value.clone()));
            if value == b"null" {
                continue;
            }
            let departs = match name {
                b"role" => {
                    message.of_tool = value == b"\"tool\"";
                    (value == b"\"developer\"" && self.has(Quirk::NoDeveloperRole))
                        || (value == b"\"function\"" && self.callee.refuses("functions"))
                }
                b"refusal" => self.callee.refuses("messages.refusal"),
                b"function_call" => self.callee.refuses("messages.function_call"),
                b"tool_call_id" => self.has(Quirk::NineCharacterToolIds) && !fits(value),
                b"tool_calls" => {
                    self.has(Quirk::NineCharacterToolIds) && self.any(member.value, b"id", |id| !fits(id))?
                }
                b"content" => {
                    let file = |kind: &[u8]| matches!(kind, b"\"file\"" | b"\"file_url\"");
                    self.has(Quirk::DocumentUrl) && self.any(member.value, b"type", file)?
                }
                _ => {
                    message.named |= name == b"name";
                    message.reasoning |= name == b"reasoning";
                    message.content |= name == b"reasoning_content";
                    message.details |= name == b"reasoning_details";
                    false
                }
            };
            if departs {
                return Ok(true);
            }
        }
        let Message { named, of_tool, reasoning, content, details } = message;
        Ok((named && !of_tool && self.has(Quirk::NoNames))
            || ((reasoning || content || details) && self.has(Quirk::ReasoningParts))
            || ((reasoning || details) && !content && self.has(Quirk::ReasoningContent))
            || ((content || details) && !reasoning && self.has(Quirk::Reasoning)))
    }

    /// Whether the value of a member is such in any of a list's objects.
    fn any(
        &self,
        list: std::ops::Range<usize>,
        name: &[u8],
        is_such: impl Fn(&[u8]) -> bool,
    ) -> Result<bool, JsonError> {
        let mut scanner = Scanner::new(self.body, list.start);
        if !scanner.enter_or_pass(b'[')? {
            return Ok(false);
        }
        let (mut first, mut found) = (true, false);
        while scanner.element(first)? {
            first = false;
            let element = scanner.value()?;
            if self.body.get(element.start) == Some(&b'{') {
                each_member(self.body, element, |member, value| {
                    found |= member == name && is_such(self.text(value));
                    Ok(())
                })?;
            }
        }
        Ok(found)
    }
}

fn number(value: &[u8]) -> f64 {
    std::str::from_utf8(value).ok().and_then(|digits| digits.parse().ok()).unwrap_or_default()
}

fn fits(id: &[u8]) -> bool {
    string(id).is_some_and(|id| ids::has_nine(&id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, quirks: &[Quirk], refuses: &[&str], expect: bool) {
        let refuses: Vec<Box<str>> = refuses.iter().map(|path| Box::from(*path)).collect();
        let callee = Callee { model: "m", max_output_tokens: None, ask_usage: false, quirks, refuses: &refuses };
        assert_eq!(departs(body.as_bytes(), &callee), expect, "{body}");
    }

    fn message(members: &str) -> String {
        format!(r#"{{"messages":[{{"role":"user","content":"a"}},{{{members}}}]}}"#)
    }

    #[test]
    fn a_vendor_without_quirks_looks_at_nothing() {
        check("not even JSON", &[], &[], false);
    }

    #[test]
    fn parameters() {
        let quirks = [Quirk::MaxTokens, Quirk::RandomSeed, Quirk::LowTemperature, Quirk::NoneOrHighEffort];
        for (body, expect) in [
            (r#"{"max_tokens":1,"random_seed":1,"temperature":1.5,"reasoning_effort":"high","store":1}"#, false),
            (r#"{"max_completion_tokens":null,"seed":null,"stop":"\"seed\""}"#, false),
            (r#"{"metadata":{"seed":1,"max_completion_tokens":1}}"#, false),
            (r#"{"max_completion_tokens":1}"#, true),
            (r#"{"seed":1}"#, true),
            (r#"{"temperature":1.51}"#, true),
            (r#"{"reasoning_effort":"medium"}"#, true),
        ] {
            check(body, &quirks, &["functions", "reasoning", "store"], expect);
            check(body, &[Quirk::CacheControl], &["store"], false);
        }
        for body in [r#"{"functions":[]}"#, r#"{"function_call":"auto"}"#, r#"{"reasoning":{}}"#] {
            check(body, &[], &["functions", "function_call", "reasoning"], true);
            check(body, &[Quirk::MaxTokens], &["store"], false);
        }
    }

    #[test]
    fn messages() {
        let quirks = [Quirk::NoDeveloperRole, Quirk::NoNames, Quirk::NineCharacterToolIds, Quirk::DocumentUrl];
        let refuses = ["functions", "messages.refusal", "messages.function_call"];
        for (members, expect) in [
            (r#""role":"system","content":"developer"#, false),
            (r#""name":"f","role":"tool","tool_call_id":"abcDEF123""#, false),
            (
                r#""role":"assistant","refusal":null,"name":null,"tool_calls":[{"id":"abcDEF123","x":{"id":"y"}}]"#,
                false,
            ),
            (r#""role":"user","content":[{"type":"text","text":"file"},{"type":"document_url"}]"#, false),
            (r#""role":"developer""#, true),
            (r#""role":"function""#, true),
            (r#""name":"n","role":"user""#, true),
            (r#""tool_call_id":"call_1""#, true),
            (r#""tool_calls":[{"id":"abcDEF123"},{"id":"call_1"}]"#, true),
            (r#""refusal":"no""#, true),
            (r#""function_call":{}"#, true),
            (r#""content":[{"type":"file"}]"#, true),
        ] {
            let members = if members.ends_with("developer") { format!("{members}\"") } else { members.to_owned() };
            check(&message(&members), &quirks, &refuses, expect);
            check(&message(&members), &[Quirk::MaxTokens], &["store"], false);
        }
    }

    #[test]
    fn thoughts() {
        let all = [r#""reasoning":"t""#, r#""reasoning_content":"t""#, r#""reasoning_details":[]"#];
        let check = |members: &[&str], quirk, expect| check(&message(&members.join(",")), &[quirk], &[], expect);
        for (at, member) in all.iter().enumerate() {
            check(&[member], Quirk::ReasoningParts, true);
            check(&[member], Quirk::ReasoningDetails, false);
            check(&[member], Quirk::ReasoningContent, at != 1);
            check(&[member], Quirk::Reasoning, at != 0);
        }
        check(&all, Quirk::ReasoningContent, false);
        check(&all, Quirk::Reasoning, false);
    }
}
