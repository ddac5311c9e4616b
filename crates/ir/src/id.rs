//! Identifiers: 128 bits, ordered by time (UUID version 7, RFC 9562 section 5.7), printed with a prefix that says
//! what they name.
//!
//! They are unique, not secret: nothing may be granted to a caller because it knows one.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Makes the 16 bytes of a version 7 UUID from Unix milliseconds and 74 random bits.
fn version7(unix_ms: u64, random: u128) -> [u8; 16] {
    let mut bytes = random.to_be_bytes();
    let time = unix_ms.to_be_bytes();
    bytes[..6].copy_from_slice(&time[2..]);
    bytes[6] = (bytes[6] & 0x0f) | 0x70;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    bytes
}

/// Writes a prefix of four bytes and 32 hexadecimal digits.
fn text(prefix: &[u8], bytes: &[u8; 16]) -> [u8; 36] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [b'_'; 36];
    for (place, byte) in text.iter_mut().zip(prefix) {
        *place = *byte;
    }
    let (_, digits) = text.split_at_mut(4);
    for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
        if let [high, low] = pair {
            *high = DIGITS[usize::from(byte >> 4)];
            *low = DIGITS[usize::from(byte & 15)];
        }
    }
    text
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub struct $name(pub [u8; 16]);

        impl $name {
            /// What the printed form starts with.
            pub const PREFIX: &'static str = $prefix;

            /// Returns a new identifier for the given instant (Unix milliseconds).
            pub fn new(unix_ms: u64) -> Self {
                Self(version7(unix_ms, fastrand::u128(..)))
            }

            /// Returns the printed form as bytes, which are ASCII.
            pub fn text(&self) -> [u8; 36] {
                text($prefix.as_bytes(), &self.0)
            }

            /// Returns the instant at which it was made, in Unix milliseconds.
            pub fn unix_ms(&self) -> u64 {
                let mut time = [0; 8];
                time[2..].copy_from_slice(&self.0[..6]);
                u64::from_be_bytes(time)
            }

            /// Reads the printed form: the prefix and 32 hexadecimal digits. Anything else is `None`.
            pub fn parse(text: &str) -> Option<Self> {
                let hex = text.strip_prefix(Self::PREFIX)?;
                if hex.len() != 32 || !hex.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase()) {
                    return None;
                }
                u128::from_str_radix(hex, 16).ok().map(|n| Self(n.to_be_bytes()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(std::str::from_utf8(&self.text()).unwrap_or_default())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

id! {
    /// One request of a caller, however many attempts it takes. It is the `x-request-id` that the caller sees.
    RequestId, "req_"
}
id! {
    /// One stored resource (an API key, a provider, a team, …).
    ResourceId, "res_"
}
id! {
    /// One transfer of the ledger. That of a request has the bits of the request's id.
    EntryId, "ent_"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_and_parses_back() {
        let id = RequestId::new(1_795_000_000_123);
        assert_eq!(RequestId::parse(&id.to_string()), Some(id));
        assert_eq!(id.unix_ms(), 1_795_000_000_123);
    }

    #[test]
    fn later_sorts_later() {
        assert!(RequestId::new(1_000) < RequestId::new(1_001));
    }

    #[test]
    fn refuses_what_it_did_not_print() {
        for text in
            ["", "req_", "res_0", "req_0000000000000000000000000000000G", "req_0190A000000070008000000000000000"]
        {
            assert_eq!(RequestId::parse(text), None, "{text}");
        }
    }
}
