//! Members that a vendor refuses, left out of a request's bytes: data of the vendor's row decides, no code knows whose
//! they are. What is left out is named; what the answer depends on is not left out but refused.

use bytes::Bytes;
use ir::failure::{Code, Failure, Fault};

use crate::carry::Dropped;
use crate::json::text::name as plainly;
use crate::json::{JsonError, Scanner};
use crate::splice::{Patch, apply};

/// Without these the answer would be to another question.
const ESSENTIAL: [&str; 13] = [
    "audio",
    "file",
    "function_call",
    "functions",
    "image_url",
    "input_audio",
    "modalities",
    "response_format",
    "tool_calls",
    "tool_choice",
    "tools",
    "video_url",
    "web_search_options",
];

/// Returns a request without what a vendor refuses. `refuses` are paths of names; lists are passed through. Every other
/// byte stays.
///
/// # Errors
/// A 400 that names what the answer depends on.
pub fn without(body: Bytes, refuses: &[Box<str>], dropped: &mut Dropped) -> Result<Vec<Bytes>, Failure> {
    if refuses.is_empty() {
        return Ok(vec![body]);
    }
    let mut search = Search { text: &body, refuses, patches: Vec::new(), essential: None, dropped };
    // What is sent is JSON; if it were none, the vendor would say so.
    let read = search.value(&mut Scanner::new(&body, 0), "");
    let Search { patches, essential, .. } = search;
    match essential {
        Some(path) => {
            let message = format!("the provider cannot be asked for `{path}`");
            Err(Failure::new(Code::UnsupportedParameter, Fault::Caller, message).with_param(path))
        }
        None if read.is_ok() => Ok(apply(&body, patches)),
        None => Ok(vec![body]),
    }
}

struct Search<'a> {
    text: &'a [u8],
    refuses: &'a [Box<str>],
    patches: Vec<Patch>,
    /// The first member that is refused and must not be left out.
    essential: Option<String>,
    dropped: &'a mut Dropped,
}

impl Search<'_> {
    /// Passes a value. `path` is where it stands, with a point at its end.
    fn value(&mut self, scanner: &mut Scanner<'_>, path: &str) -> Result<(), JsonError> {
        match scanner.peek()? {
            b'{' => self.object(scanner, path),
            b'[' => {
                scanner.enter_array()?;
                let mut first = true;
                while scanner.element(first)? {
                    first = false;
                    self.value(scanner, path)?;
                }
                Ok(())
            }
            _ => scanner.value().map(|_| ()),
        }
    }

    fn object(&mut self, scanner: &mut Scanner<'_>, path: &str) -> Result<(), JsonError> {
        scanner.enter_object()?;
        // A member goes with the comma before it; the first ones, before any that stays, with the comma after them.
        let (mut first, mut stays, mut leading, mut before) = (true, false, None, scanner.position());
        while let Some(range) = scanner.member_name(first)? {
            first = false;
            let start = range.start - 1;
            if let Some(from) = leading.take() {
                self.cut(from, start);
            }
            // A vendor reads a name however it is spelled.
            let name = plainly(self.text.get(range).unwrap_or_default());
            let name = std::str::from_utf8(&name).unwrap_or_default();
            let (mut refused, mut deeper) = (false, false);
            for rest in self.refuses.iter().filter_map(|refused| refused.strip_prefix(path)?.strip_prefix(name)) {
                refused |= rest.is_empty();
                deeper |= rest.starts_with('.');
            }
            if refused {
                let value = scanner.value()?;
                self.note(path, name, self.text.get(value).unwrap_or_default());
                match stays {
                    true => self.cut(before, scanner.position()),
                    false => leading = Some(start),
                }
            } else {
                stays = true;
                match deeper {
                    true => self.value(scanner, &format!("{path}{name}."))?,
                    false => scanner.value().map(|_| ())?,
                }
            }
            before = scanner.position();
        }
        if let Some(from) = leading {
            self.cut(from, before);
        }
        Ok(())
    }

    fn cut(&mut self, from: usize, to: usize) {
        self.patches.push(Patch { range: from..to, with: Bytes::new() });
    }

    /// Names what is left out, if it says anything.
    fn note(&mut self, path: &str, name: &str, value: &[u8]) {
        if matches!(value, b"null" | b"[]" | b"{}" | b"\"\"") {
            return;
        }
        let harmless = name == "modalities" && memchr::memmem::find(value, b"audio").is_none();
        if ESSENTIAL.contains(&name) && !harmless {
            self.essential.get_or_insert_with(|| format!("{path}{name}"));
        } else {
            self.dropped.name(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSES: [&str; 7] =
        ["store", "user", "modalities", "tools", "messages.refusal", "messages.audio", "messages.content.mark"];

    fn run(body: &str) -> Result<(String, Vec<String>), Failure> {
        let refuses = REFUSES.map(Box::from);
        let mut dropped = Dropped::default();
        let parts = without(Bytes::copy_from_slice(body.as_bytes()), &refuses, &mut dropped)?;
        Ok((String::from_utf8(parts.concat()).unwrap(), dropped.into_names()))
    }

    fn check(body: &str, expect: &str, dropped: &[&str]) {
        let (found, names) = run(body).unwrap();
        assert_eq!(found, expect);
        assert_eq!(names, dropped);
        serde_json::from_str::<serde_json::Value>(&found).unwrap();
    }

    #[test]
    fn what_is_refused_is_left_out_and_named() {
        check(r#"{"a":1,"b":[2]}"#, r#"{"a":1,"b":[2]}"#, &[]);
        check(r#"{"store":true}"#, "{}", &["store"]);
        check(r#"{ "store" : true , "a" : 1 }"#, r#"{ "a" : 1 }"#, &["store"]);
        check(r#"{"store":1,"user":"u","a":1,"store2":2}"#, r#"{"a":1,"store2":2}"#, &["store", "user"]);
        check(r#"{"a":1,"store":1, "user":"u"}"#, r#"{"a":1}"#, &["store", "user"]);
        check(r#"{"a":1,"store":1,"b":2,"user":"u","c":3}"#, r#"{"a":1,"b":2,"c":3}"#, &["store", "user"]);
        check(r#"{"store":1,"user":"u"}"#, "{}", &["store", "user"]);
        check(r#"{"st\u006fre":1,"a":1,"\u0075ser":"u"}"#, r#"{"a":1}"#, &["store", "user"]);
        check(r#"{"metadata":{"store":1},"a":[{"user":1}]}"#, r#"{"metadata":{"store":1},"a":[{"user":1}]}"#, &[]);
    }

    #[test]
    fn it_may_stand_deeper() {
        check(
            r#"{"messages":[{"refusal":null,"role":"user","content":[{"mark":1,"text":"a"},"b"]},{"refusal":"no"}],"user":""}"#,
            r#"{"messages":[{"role":"user","content":[{"text":"a"},"b"]},{}]}"#,
            &["mark", "refusal"],
        );
        check(r#"{"messages":"refusal","content":{"mark":1}}"#, r#"{"messages":"refusal","content":{"mark":1}}"#, &[]);
    }

    #[test]
    fn what_the_answer_depends_on_is_refused() {
        for (body, param) in [
            (r#"{"tools":[{}]}"#, "tools"),
            (r#"{"modalities":["text","audio"]}"#, "modalities"),
            (r#"{"store":1,"messages":[{"audio":{"id":"a"}}]}"#, "messages.audio"),
        ] {
            let failure = run(body).unwrap_err();
            assert_eq!((failure.status, failure.param.as_deref()), (400, Some(param)), "{body}");
        }
        check(
            r#"{"tools":[],"modalities":["text"],"messages":[{"audio":null}]}"#,
            r#"{"messages":[{}]}"#,
            &["modalities"],
        );
    }

    #[test]
    fn what_is_no_json_stays() {
        check_raw("{\"store\":");
        check_raw("");
    }

    fn check_raw(body: &str) {
        assert_eq!(run(body).unwrap().0, body);
    }
}
