//! The path of a request: the base URL's and the vendor's, with the model's name where the vendor wants it.

/// Where the model's name goes.
const PLACE: &str = "{model}";

/// A path, cut where the model's name goes.
#[derive(Debug)]
pub struct Path {
    before: Box<str>,
    after: Option<Box<str>>,
}

impl Path {
    /// Makes the path of a vendor below a base URL's.
    pub fn new(base: &str, tail: &str) -> Self {
        let whole = format!("{}{tail}", base.trim_end_matches('/'));
        match whole.split_once(PLACE) {
            Some((before, after)) => Self { before: before.into(), after: Some(after.into()) },
            None => Self { before: whole.into(), after: None },
        }
    }

    /// Appends the path for a model.
    pub fn write(&self, out: &mut Vec<u8>, model: &str) {
        out.extend_from_slice(self.before.as_bytes());
        let Some(after) = &self.after else { return };
        // Google's own name of a model repeats the collection that the path already names.
        let model = if self.before.ends_with("/models/") { model.trim_start_matches("models/") } else { model };
        for byte in model.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                out.push(byte);
            } else {
                const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
                out.extend_from_slice(&[b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
            }
        }
        out.extend_from_slice(after.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(base: &str, tail: &str, model: &str, expect: &str) {
        let mut out = Vec::new();
        Path::new(base, tail).write(&mut out, model);
        assert_eq!(String::from_utf8(out).unwrap(), expect);
    }

    #[test]
    fn the_model_goes_where_the_vendor_wants_it() {
        check("/v1", "/chat/completions", "any", "/v1/chat/completions");
        let tail = "/models/{model}:streamGenerateContent?alt=sse";
        check("/v1beta/", tail, "models/gemini-2.5-pro", "/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse");
        check("", tail, "a/../b c?", "/models/a%2F..%2Fb%20c%3F:streamGenerateContent?alt=sse");
    }
}
