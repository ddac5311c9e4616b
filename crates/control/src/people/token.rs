//! Random ids and codes: made, hashed for the database, and turned into the token against cross-site requests.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;

use aws_lc_rs::{digest, hmac, rand};
use policy::secret::Secret;
use store::people::Hash;

/// Bytes of a session's id and of whatever else stands for it.
const ID_BYTES: usize = 32;

/// Bytes of a code that goes into a link.
const CODE_BYTES: usize = 20;

/// What a hash is of, so that one kind of secret never opens another's door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The id of a session.
    Session,
    /// A code for the set-up, an invitation or a new password.
    Code,
    /// What binds a sign-in at the OpenID provider to a browser.
    Browser,
}

impl Purpose {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Session => b"crossway session v1:",
            Self::Code => b"crossway code v1:",
            Self::Browser => b"crossway browser v1:",
        }
    }
}

/// The system gave no random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system's random generator failed")]
pub struct NoRandom;

/// Returns 256 random bits as 64 lower-case hexadecimal digits.
///
/// # Errors
/// When the system gives no random bytes.
pub fn new_id() -> Result<Secret, NoRandom> {
    random::<ID_BYTES>()
}

/// Returns 160 random bits as 40 lower-case hexadecimal digits.
///
/// # Errors
/// When the system gives no random bytes.
pub fn new_code() -> Result<Secret, NoRandom> {
    random::<CODE_BYTES>()
}

/// Returns whether a text has the form of what [`new_id`] returns.
pub fn is_id(text: &str) -> bool {
    text.len() == ID_BYTES * 2 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// Returns the hash under which a random id is stored. There is nothing to guess in it that a slow hash would protect.
pub fn hash(purpose: Purpose, secret: &str) -> Hash {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(purpose.label());
    context.update(secret.as_bytes());
    let mut hash = [0; 32];
    for (to, from) in hash.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    hash
}

/// Returns the token that a page has to send with every change: it can be made of the session's id alone, and the id
/// cannot be made of it.
pub fn csrf(session: &Secret) -> Secret {
    let key = hmac::Key::new(hmac::HMAC_SHA256, session.expose().as_bytes());
    Secret::new(hex(hmac::sign(&key, b"crossway csrf v1").as_ref()))
}

/// Returns whether a given token is the one of a session, without telling by the time taken where it differs.
pub fn csrf_matches(session: &Secret, given: &str) -> bool {
    same(csrf(session).expose(), given)
}

/// Compares without telling by the time taken where the difference is.
pub fn same(expected: &str, given: &str) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(expected.as_bytes(), given.as_bytes()).is_ok()
}

fn random<const N: usize>() -> Result<Secret, NoRandom> {
    let mut bytes = zeroize::Zeroizing::new([0; N]);
    // The first use of aws-lc's generator gathers entropy from the jitter of the clock, which takes 25 ms of CPU and would
    // be most of the time until a new installation is ready. What seeds it is as good.
    let system = File::open("/dev/urandom").and_then(|mut system| system.read_exact(bytes.as_mut_slice()));
    if system.is_err() {
        rand::fill(bytes.as_mut_slice()).map_err(|_| NoRandom)?;
    }
    Ok(Secret::new(hex(bytes.as_slice())))
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing into a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_have_their_form_and_do_not_repeat() {
        let ids: Vec<Secret> = (0..1_000).map(|_| new_id().unwrap()).collect();
        assert!(ids.iter().all(|id| is_id(id.expose())));
        assert_eq!(ids.iter().map(Secret::expose).collect::<HashSet<_>>().len(), 1_000);
        assert_eq!(new_code().unwrap().expose().len(), 40);
        for text in ["", "0", &"g".repeat(64), &"A".repeat(64), &"0".repeat(63), &"0".repeat(65), &"é".repeat(32)] {
            assert!(!is_id(text), "{text}");
        }
    }

    #[test]
    fn a_hash_is_of_one_purpose() {
        assert_eq!(hash(Purpose::Session, "x"), hash(Purpose::Session, "x"));
        assert_ne!(hash(Purpose::Session, "x"), hash(Purpose::Code, "x"));
        assert_ne!(hash(Purpose::Session, "x"), hash(Purpose::Session, "y"));
    }

    #[test]
    fn the_token_of_a_session_is_its_own() {
        let (one, other) = (new_id().unwrap(), new_id().unwrap());
        let token = csrf(&one);
        assert!(csrf_matches(&one, token.expose()));
        assert!(!csrf_matches(&other, token.expose()));
        assert!(!csrf_matches(&one, one.expose()) && !csrf_matches(&one, ""));
        assert!(!csrf_matches(&one, &token.expose()[1..]));
    }
}
