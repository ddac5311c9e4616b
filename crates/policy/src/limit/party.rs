//! Users, addresses and buckets: who shares a count without being configured.
//!
//! Anybody with a key can make up any number of them. Counters and records know them by a digest, which has one length
//! whatever the name; how many are told apart is bounded where they are counted ([`super::book`]). Names are kept beside
//! the counters while those live, for people who want to know who it is, and nowhere else.

use std::fmt::{self, Display, Formatter};
use std::net::{IpAddr, Ipv6Addr};

use ir::settlement::{Party, PartyKind};
use sha2::{Digest as _, Sha256};

/// The most bytes of a name that are kept.
const NAME_BYTES: usize = 128;

/// A user, an address or a bucket, as the request names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Called<'a> {
    /// A user, by name.
    User(&'a str),
    /// A bucket, by name.
    Bucket(&'a str),
    /// One address.
    Address(IpAddr),
    /// The network of an address, as [`network`] has it.
    Network(IpAddr),
}

impl Called<'_> {
    /// Returns what it is counted and recorded as.
    pub fn party(self) -> Party {
        match self {
            Self::User(name) => user(name),
            Self::Bucket(name) => bucket(name),
            Self::Address(ip) => address(ip),
            Self::Network(ip) => network(ip),
        }
    }
}

/// In words; a name that is too long ends with an ellipsis.
impl Display for Called<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) | Self::Bucket(name) if name.len() > NAME_BYTES => {
                write!(out, "{}…", name.get(..name.floor_char_boundary(NAME_BYTES)).unwrap_or_default())
            }
            Self::User(name) | Self::Bucket(name) => out.write_str(name),
            Self::Address(ip) => write!(out, "{ip}"),
            Self::Network(IpAddr::V4(ip)) => write!(out, "{ip}"),
            Self::Network(IpAddr::V6(ip)) => write!(out, "{}/64", prefix(*ip)),
        }
    }
}

/// Returns a user, by the name that requests give.
pub fn user(name: &str) -> Party {
    party(PartyKind::User, b"user", name.as_bytes())
}

/// Returns a bucket, by its name.
pub fn bucket(name: &str) -> Party {
    party(PartyKind::Bucket, b"bucket", name.as_bytes())
}

/// Returns an address, or the network that begins with it.
pub fn address(address: IpAddr) -> Party {
    match address {
        IpAddr::V4(address) => party(PartyKind::Address, b"ipv4", &address.octets()),
        IpAddr::V6(address) => party(PartyKind::Address, b"ipv6", &address.octets()),
    }
}

/// Of an IPv6 address the network that its peer can choose addresses in at will; of an IPv4 address itself.
pub fn network(peer: IpAddr) -> Party {
    address(match peer {
        IpAddr::V4(_) => peer,
        IpAddr::V6(address) => IpAddr::V6(prefix(address)),
    })
}

fn prefix(address: Ipv6Addr) -> Ipv6Addr {
    (u128::from(address) & !u128::from(u64::MAX)).into()
}

fn party(kind: PartyKind, word: &[u8], name: &[u8]) -> Party {
    let whole = Sha256::new().chain_update(word).chain_update([0]).chain_update(name).finalize();
    let mut digest = [0; 16];
    for (to, from) in digest.iter_mut().zip(whole) {
        *to = from;
    }
    Party { kind, digest }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_not_the_same_is_told_apart() {
        let ip = |text: &str| address(text.parse().unwrap());
        let all = [user("a"), user("b"), user(""), bucket("a"), ip("10.0.0.1"), ip("::ffff:10.0.0.1"), ip("::1")];
        for (index, one) in all.iter().enumerate() {
            assert!(all.iter().skip(index + 1).all(|other| other.digest != one.digest), "{one:?}");
        }
        assert_eq!(user("ann"), user("ann"));
        let net = |text: &str| network(text.parse().unwrap());
        assert_eq!(net("2001:db8:1:2::1"), net("2001:db8:1:2:ffff::9"));
        assert_ne!(net("2001:db8:1:2::1"), net("2001:db8:1:3::1"));
        assert_eq!(net("10.0.0.1"), ip("10.0.0.1"));
    }

    #[test]
    fn who_it_is_in_words() {
        let check = |called: Called<'_>, expect: &str| assert_eq!(called.to_string(), expect);
        let ip = |text: &str| text.parse().unwrap();
        check(Called::User("ann"), "ann");
        check(Called::Bucket("nightly"), "nightly");
        check(Called::Address(ip("10.0.0.1")), "10.0.0.1");
        check(Called::Address(ip("2001:db8::1")), "2001:db8::1");
        check(Called::Network(ip("10.0.0.1")), "10.0.0.1");
        check(Called::Network(ip("2001:db8:1:2::1")), "2001:db8:1:2::/64");
        let long = "é".repeat(100);
        check(Called::User(&long), &format!("{}…", "é".repeat(64)));
        for called in [Called::User("ann"), Called::Bucket("ann"), Called::Network(ip("2001:db8:1:2::1"))] {
            assert_eq!(called.party(), called.party());
        }
        assert_ne!(Called::User("ann").party(), Called::Bucket("ann").party());
        assert_eq!(Called::Network(ip("2001:db8:1:2::1")).party(), network(ip("2001:db8:1:2::9")));
    }

    /// Records hold it: it never changes.
    #[test]
    fn a_digest_is_what_it_was() {
        let hex: String = user("ann").digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "a0f3b5cd8cc4469122686f9478835635");
    }
}
