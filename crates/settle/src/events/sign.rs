//! Signatures: who has the secret can tell that a delivery is ours, whole, and fresh.

use std::fmt::Write as _;

use aws_lc_rs::hmac;
use policy::notify::Webhook;
use policy::secret::Secret;

/// The signatures of one delivery, as hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signatures {
    /// Of the body alone, with the current secret.
    pub(super) plain: String,
    /// Of the time, a dot and the body; while a secret is being replaced one for each, with a comma between.
    pub(super) timed: String,
}

/// Signs a body as of an instant (Unix seconds).
pub(super) fn sign(hook: &Webhook, body: &str, at_s: u64) -> Signatures {
    let timed = |secret: &Secret| digits(secret, &[at_s.to_string().as_bytes(), b".", body.as_bytes()]);
    let mut all = timed(&hook.secret);
    if let Some((before, until_ms)) = &hook.previous
        && at_s.saturating_mul(1_000) < *until_ms
    {
        all.push(',');
        all.push_str(&timed(before));
    }
    Signatures { plain: digits(&hook.secret, &[body.as_bytes()]), timed: all }
}

fn digits(secret: &Secret, parts: &[&[u8]]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
    let mut context = hmac::Context::with_key(&key);
    for part in parts {
        context.update(part);
    }
    let mut text = String::with_capacity(64);
    for byte in context.sign().as_ref() {
        // Writing into a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook(previous: Option<(&str, u64)>) -> Webhook {
        Webhook {
            name: "h".into(),
            url: "https://example.com/".into(),
            events: Vec::new(),
            secret: Secret::new("key"),
            previous: previous.map(|(secret, until_ms)| (Secret::new(secret), until_ms)),
            signature_header: "x-crossway-signature".into(),
            headers: Vec::new(),
            enabled: true,
        }
    }

    /// The values are those of Python's `hmac.new(key, message, "sha256").hexdigest()`.
    #[test]
    fn signatures_are_those_of_everybody_else() {
        let signed = sign(&hook(None), "The quick brown fox jumps over the lazy dog", 1);
        assert_eq!(signed.plain, "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8");
        assert_ne!(signed.plain, signed.timed);
        assert_eq!(signed.timed, sign(&hook(None), "The quick brown fox jumps over the lazy dog", 1).timed);
        assert_ne!(signed.timed, sign(&hook(None), "The quick brown fox jumps over the lazy dog", 2).timed);
    }

    #[test]
    fn the_secret_before_signs_for_a_while() {
        let check = |at_s: u64, count: usize| {
            let signed = sign(&hook(Some(("old", 5_000))), "{}", at_s);
            let all: Vec<&str> = signed.timed.split(',').collect();
            assert_eq!(all.len(), count, "{at_s}");
            assert_eq!(all[0], sign(&hook(None), "{}", at_s).timed);
        };
        check(4, 2);
        check(5, 1);
    }
}
