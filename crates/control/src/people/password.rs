//! Passwords: which ones are taken, and how they are kept.
//!
//! A password is its UTF-8 bytes as they were sent: nothing is trimmed, folded or normalised. It is kept as argon2id
//! with a salt of its own, in PHC form, so that parameters can grow without a migration.

use std::sync::atomic::{AtomicU64, Ordering};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::rand;
use policy::secret::Secret;

/// The shortest password, in characters.
pub const MIN_CHARACTERS: usize = 12;

/// The longest password, in bytes. What is longer is refused before any work is done.
pub const MAX_BYTES: usize = 256;

/// The fewest different characters in a password.
const MIN_DIFFERENT: usize = 5;

/// Long passwords that are guessed first, one a line, in lower case.
const COMMON: &str = include_str!("common_passwords.txt");

/// Memory in KiB, passes and lanes: the first of OWASP's recommended settings for argon2id (Password Storage Cheat
/// Sheet).
const PARAMETERS: (u32, u32, u32) = (19_456, 2, 1);

/// The most memory that a stored hash may ask for, in KiB.
const MAX_STORED_KIB: u32 = 256 << 10;

/// Hashes and verifies passwords. Each call takes tens of milliseconds and the memory of its parameters: whoever calls
/// it bounds how many run at once.
pub struct Hasher {
    argon2: Argon2<'static>,
    /// A well-formed hash of no password, verified where there is none.
    dummy: String,
    verified: AtomicU64,
}

/// A password could not be hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the password could not be hashed")]
pub struct HashFailure;

impl Default for Hasher {
    fn default() -> Self {
        let (memory_kib, passes, lanes) = PARAMETERS;
        Self::new(memory_kib, passes, lanes)
    }
}

impl Hasher {
    /// Returns a hasher with given parameters; those that argon2 does not know become the usual ones.
    pub fn new(memory_kib: u32, passes: u32, lanes: u32) -> Self {
        let params = Params::new(memory_kib, passes, lanes, None).unwrap_or(Params::DEFAULT);
        let (salt, output) = ("AAAAAAAAAAAAAAAAAAAAAA", "A".repeat(43));
        let dummy =
            format!("$argon2id$v=19$m={},t={},p={}${salt}${output}", params.m_cost(), params.t_cost(), params.p_cost());
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        Self { argon2, dummy, verified: AtomicU64::new(0) }
    }

    /// Returns the hash of a password under a new salt.
    ///
    /// # Errors
    /// When the system gives no random bytes or no memory.
    pub fn hash(&self, password: &Secret) -> Result<Secret, HashFailure> {
        let mut salt = [0; 16];
        rand::fill(&mut salt).map_err(|_| HashFailure)?;
        let hash = self.argon2.hash_password_with_salt(password.expose().as_bytes(), &salt).map_err(|_| HashFailure)?;
        Ok(Secret::new(hash.to_string()))
    }

    /// Returns whether a password is the one that was hashed. Without a hash it does the same work and says no.
    pub fn verify(&self, password: &Secret, hash: Option<&Secret>) -> bool {
        self.verified.fetch_add(1, Ordering::Relaxed);
        let text = hash.map_or(self.dummy.as_str(), Secret::expose);
        let right = PasswordHash::new(text).is_ok_and(|parsed| {
            let modest = parsed.params.get_decimal("m").is_some_and(|kib| kib <= MAX_STORED_KIB);
            modest && self.argon2.verify_password(password.expose().as_bytes(), &parsed).is_ok()
        });
        right && hash.is_some()
    }

    /// Returns whether a stored hash was made with other parameters than today's.
    pub fn is_outdated(&self, hash: &Secret) -> bool {
        let today = self.argon2.params();
        PasswordHash::new(hash.expose()).is_ok_and(|parsed| {
            let is = |name: &str, value: u32| parsed.params.get_decimal(name) == Some(value);
            !(is("m", today.m_cost()) && is("t", today.t_cost()) && is("p", today.p_cost()))
        })
    }

    /// Returns how many passwords were verified so far, right and wrong ones.
    pub fn verified(&self) -> u64 {
        self.verified.load(Ordering::Relaxed)
    }
}

/// Checks a new password of somebody with an address.
///
/// # Errors
/// What is wrong with it; the text does not repeat it.
pub fn check(password: &Secret, email: &str) -> Result<(), String> {
    let text = password.expose();
    if text.len() > MAX_BYTES {
        return Err(format!("a password has at most {MAX_BYTES} bytes"));
    }
    if text.chars().count() < MIN_CHARACTERS {
        return Err(format!("a password has at least {MIN_CHARACTERS} characters"));
    }
    let lower = text.to_lowercase();
    let different: std::collections::BTreeSet<char> = lower.chars().collect();
    if different.len() < MIN_DIFFERENT {
        return Err(format!("a password has at least {MIN_DIFFERENT} different characters"));
    }
    if is_common(&lower) {
        return Err("this password is one of those that are guessed first: choose another".to_owned());
    }
    let local = email.split('@').next().unwrap_or_default();
    if lower == email || (local.len() >= MIN_DIFFERENT && lower.trim_matches(|c: char| !c.is_alphabetic()) == local) {
        return Err("the password is the email address: choose another".to_owned());
    }
    Ok(())
}

/// Whether a password is on the list, also with digits or signs around it, or is a run such as `abcdefghijkl`.
fn is_common(lower: &str) -> bool {
    let bare = lower.trim_matches(|c: char| !c.is_alphabetic());
    let listed = |text: &str| COMMON.lines().any(|line| line == text);
    let steps: Vec<i64> = lower
        .chars()
        .zip(lower.chars().skip(1))
        .map(|(one, next)| i64::from(u32::from(next)) - i64::from(u32::from(one)))
        .collect();
    let run = |step: i64| steps.iter().filter(|found| **found == step).count() * 10 >= steps.len() * 8;
    listed(lower) || (!bare.is_empty() && listed(bare)) || run(1) || run(-1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Hasher {
        Hasher::new(8, 1, 1)
    }

    #[test]
    fn a_hash_verifies_its_password_alone() {
        let hasher = small();
        let password = Secret::new("correct horse battery");
        let hash = hasher.hash(&password).unwrap();
        assert!(hasher.verify(&password, Some(&hash)));
        assert_ne!(hash, hasher.hash(&password).unwrap(), "each has its salt");
        for wrong in ["", "correct horse batterz", "Correct horse battery", "correct horse battery ", hash.expose()] {
            assert!(!hasher.verify(&Secret::new(wrong), Some(&hash)), "{wrong}");
        }
        for broken in ["", "x", "$argon2id$", "correct horse battery"] {
            assert!(!hasher.verify(&password, Some(&Secret::new(broken))), "{broken}");
        }
        assert!(!hasher.verify(&password, None));
    }

    #[test]
    fn the_work_without_a_password_is_the_same() {
        let hasher = Hasher::default();
        let parsed = PasswordHash::new(&hasher.dummy).unwrap();
        assert_eq!(parsed.algorithm.as_str(), "argon2id");
        assert_eq!(parsed.params.get_decimal("m"), Some(19_456));
        assert_eq!((parsed.params.get_decimal("t"), parsed.params.get_decimal("p")), (Some(2), Some(1)));
        assert_eq!(parsed.hash.unwrap().as_bytes().len(), 32, "the output of a real one");
        let real = hasher.hash(&Secret::new("correct horse battery")).unwrap();
        let real = PasswordHash::new(real.expose()).unwrap();
        assert_eq!((real.params, real.version), (parsed.params, parsed.version));
        assert_eq!(real.salt.unwrap().as_ref().len(), parsed.salt.unwrap().as_ref().len());
    }

    #[test]
    fn a_stored_hash_cannot_take_all_memory() {
        let huge = Secret::new(Hasher::new(MAX_STORED_KIB + 8, 1, 1).dummy);
        assert!(!small().verify(&Secret::new("x"), Some(&huge)));
    }

    #[test]
    fn older_parameters_are_noticed() {
        let (old, new) = (small(), Hasher::new(16, 1, 1));
        let hash = old.hash(&Secret::new("correct horse battery")).unwrap();
        assert!(new.is_outdated(&hash) && !old.is_outdated(&hash));
        assert!(new.verify(&Secret::new("correct horse battery"), Some(&hash)));
    }

    #[test]
    fn weak_passwords_are_refused() {
        let check = |password: &str, expect: Option<&str>| {
            let found = check(&Secret::new(password), "marianne@x.test").err();
            assert_eq!(
                found.as_deref().map(|found| expect.is_some_and(|part| found.contains(part))),
                expect.map(|_| true),
                "{password}: {found:?}"
            );
        };
        check("correct horse battery", None);
        check("пароль-для-входа", None);
        check("ééééééééé", Some("at least 12"));
        check("short", Some("at least 12"));
        check("", Some("at least 12"));
        check(&"abcde ".repeat(43), Some("at most 256"));
        check(&format!("{}abcdefg", "z".repeat(249)), None);
        check("aaaaaaaaaaaaaaaa", Some("different"));
        check("ababababababab", Some("different"));
        check("password1234", Some("guessed first"));
        check("PassWordPassWord", Some("guessed first"));
        check("qwertyuiop12", Some("guessed first"));
        check("1234567890123", Some("guessed first"));
        check("abcdefghijklm", Some("guessed first"));
        check("lkjihgfedcba", Some("guessed first"));
        check("marianne2026!", Some("email"));
        check("marianne@x.test", Some("email"));
    }

    #[test]
    fn the_list_is_in_the_form_that_is_compared() {
        for line in COMMON.lines() {
            assert!(line == line.trim() && line == line.to_lowercase() && !line.is_empty(), "{line:?}");
        }
    }
}
