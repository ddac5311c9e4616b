//! The chunk that ends an answer whose provider did not: OpenAI's streams with sound never say why they ended, and send
//! the usage chunk before the last content.

use bytes::Bytes;

use crate::json::object::{Object, Path};
use crate::sse::{self, Data};

/// What chunks of an answer have in common.
const COMMON: [&str; 6] = ["id", "object", "created", "model", "system_fingerprint", "service_tier"];

/// Returns the event. `first` is the first event of the answer, which says whose it is; `reason` is why the answer ended,
/// where nobody has said it yet; `index` is the choice; `account` is the meta block (`"key":{…}`).
pub(super) fn chunk(first: &[u8], index: u64, reason: Option<&'static str>, account: Option<&[u8]>) -> Bytes {
    let data = match sse::data(first) {
        Data::None => Vec::new(),
        Data::Line(range) => first.get(range).unwrap_or_default().to_vec(),
        Data::Joined(joined) => joined,
    };
    let object = std::str::from_utf8(&data).ok().and_then(|text| Object::read(text, Path::default()).ok());
    let mut event = b"data: {".to_vec();
    for name in COMMON {
        if let Some(value) = object.as_ref().and_then(|object| object.peek(name)) {
            event.extend_from_slice(format!("\"{name}\":{value},").as_bytes());
        }
    }
    let reason = reason.map_or("null".to_owned(), |word| format!("\"{word}\""));
    let choices = format!(r#""choices":[{{"index":{index},"delta":{{}},"finish_reason":{reason}}}]"#);
    event.extend_from_slice(choices.as_bytes());
    if let Some(account) = account {
        event.push(b',');
        event.extend_from_slice(account);
    }
    event.extend_from_slice(b"}\n\n");
    event.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(first: &str, reason: Option<&'static str>, account: Option<&str>, expect: &str) {
        let event = chunk(first.as_bytes(), 0, reason, account.map(str::as_bytes));
        assert_eq!(String::from_utf8(event.to_vec()).unwrap(), format!("data: {expect}\n\n"));
    }

    #[test]
    fn it_says_whose_it_is() {
        let choices = |reason: &str| format!(r#""choices":[{{"index":0,"delta":{{}},"finish_reason":{reason}}}]"#);
        let first = "data: {\"id\":\"c1\",\"created\":7,\"choices\":[],\"model\":\"m\",\"k\":{}}\n\n";
        let own = r#""id":"c1","created":7,"model":"m","#;
        check(first, Some("stop"), None, &format!("{{{own}{}}}", choices("\"stop\"")));
        check(first, None, Some(r#""k":{"cost":1}"#), &format!("{{{own}{},\"k\":{{\"cost\":1}}}}", choices("null")));
        check("", Some("tool_calls"), None, &format!("{{{}}}", choices("\"tool_calls\"")));
    }
}
