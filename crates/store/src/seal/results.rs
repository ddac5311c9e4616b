//! What is kept of replies, for requests that may be sent twice: their names, the parameters they came with, and the
//! replies themselves, none of them readable without the master key.
//!
//! Whether the content of requests is logged has no say here: without the reply there is nothing to repeat. So it is
//! encrypted, each reply with a key of its own, and gone after its time.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{hmac, rand};
use zeroize::Zeroizing;

use super::SealError;

/// The label of the subkey of the master key.
pub(super) const LABEL: &[u8] = b"crossway idempotent results v1";

/// Hashes and seals what is kept of replies.
pub struct ResultKeys {
    hashing: hmac::Key,
    sealing: hmac::Key,
}

impl std::fmt::Debug for ResultKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[result keys]")
    }
}

impl ResultKeys {
    /// Derives the keys from that subkey.
    pub(super) fn derive(root: &hmac::Key) -> Self {
        let subkey = |label: &[u8]| hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(root, label).as_ref());
        Self { hashing: subkey(b"hash"), sealing: subkey(b"seal") }
    }

    /// Returns the keyed hash of some parts. Where one ends and the next begins is part of it.
    pub fn hash(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.hashing);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        digest(&context.sign())
    }

    /// Encrypts a reply with AES-256-GCM, a key that its name yields, and a random nonce. It opens only under the same
    /// name.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn seal(&self, name: &[u8; 32], reply: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).map_err(|_| SealError::Random)?;
        let mut sealed = Vec::with_capacity(NONCE_LEN + reply.len() + AES_256_GCM.tag_len());
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(reply);
        let (_, text) = sealed.split_at_mut(NONCE_LEN);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self.key(name)?.seal_in_place_separate_tag(nonce, Aad::from(name), text);
        sealed.extend_from_slice(tag.map_err(|_| SealError::Seal)?.as_ref());
        Ok(sealed)
    }

    /// Opens what [`ResultKeys::seal`] made under the same name.
    ///
    /// # Errors
    /// [`SealError::Open`].
    pub fn open(&self, name: &[u8; 32], sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let (nonce, text) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(SealError::Open)?;
        let mut text = text.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self.key(name)?.open_in_place(nonce, Aad::from(name), &mut text).map_err(|_| SealError::Open)?;
        let length = opened.len();
        text.truncate(length);
        Ok(text)
    }

    fn key(&self, name: &[u8; 32]) -> Result<LessSafeKey, SealError> {
        let key = Zeroizing::new(digest(&hmac::sign(&self.sealing, name)));
        UnboundKey::new(&AES_256_GCM, key.as_slice()).map(LessSafeKey::new).map_err(|_| SealError::Seal)
    }
}

fn digest(tag: &hmac::Tag) -> [u8; 32] {
    let mut digest = [0; 32];
    for (to, from) in digest.iter_mut().zip(tag.as_ref()) {
        *to = *from;
    }
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(byte: u8) -> ResultKeys {
        ResultKeys::derive(&hmac::Key::new(hmac::HMAC_SHA256, &[byte; 32]))
    }

    #[test]
    fn a_reply_opens_under_its_name_alone() {
        let (keys, name) = (keys(1), [7; 32]);
        for reply in [b"".as_slice(), b"x", &[9; 100_000]] {
            let sealed = keys.seal(&name, reply).unwrap();
            assert_eq!(keys.open(&name, &sealed).unwrap(), reply);
            assert!(keys.open(&[8; 32], &sealed).is_err());
            assert_ne!(keys.seal(&name, reply).unwrap(), sealed);
            let mut changed = sealed.clone();
            *changed.last_mut().unwrap() ^= 1;
            assert!(keys.open(&name, &changed).is_err());
        }
        assert!(keys.open(&name, b"short").is_err());
    }

    #[test]
    fn another_master_key_opens_nothing_and_hashes_otherwise() {
        let sealed = keys(1).seal(&[7; 32], b"reply").unwrap();
        assert!(keys(2).open(&[7; 32], &sealed).is_err());
        assert_ne!(keys(1).hash(&[b"a"]), keys(2).hash(&[b"a"]));
    }

    #[test]
    fn where_a_part_ends_matters() {
        let keys = keys(1);
        assert_eq!(keys.hash(&[b"ab", b"c"]), keys.hash(&[b"ab", b"c"]));
        assert_ne!(keys.hash(&[b"ab", b"c"]), keys.hash(&[b"a", b"bc"]));
        assert_ne!(keys.hash(&[b"ab"]), keys.hash(&[b"ab", b""]));
    }
}
