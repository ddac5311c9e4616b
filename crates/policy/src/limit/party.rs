//! Users, addresses and buckets: who shares a count without being configured.
//!
//! Anybody with a key can make up any number of them. Counters and records know them by a digest, which has one length
//! whatever the name; how many are told apart is bounded where they are counted ([`super::book`]).

use std::net::IpAddr;

use ir::settlement::{Party, PartyKind};
use sha2::{Digest as _, Sha256};

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
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) & !u128::from(u64::MAX)).into()),
    })
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

    /// Records hold it: it never changes.
    #[test]
    fn a_digest_is_what_it_was() {
        let hex: String = user("ann").digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "a0f3b5cd8cc4469122686f9478835635");
    }
}
