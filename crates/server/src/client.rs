//! Where a request comes from: the TCP peer, or whom a proxy says that it speaks for, when the operator trusts the proxy.
//!
//! A caller may write anything into `X-Forwarded-For`; a proxy appends whom it saw to it. So it is read from its end, only
//! when the peer itself is trusted, and the first address that is not a proxy's of ours is the caller's.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName};
use policy::snapshot::Network;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The most addresses that are read: chains of proxies are shorter.
const MOST: usize = 32;

/// Returns who sends a request. Without trusted proxies, which is usual, no header is looked at.
pub fn of(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    if trusted.is_empty() || !is_trusted(peer) {
        return peer;
    }
    let lines: Vec<&str> = headers.get_all(FORWARDED_FOR).iter().map(|line| line.to_str().unwrap_or("?")).collect();
    let mut nearest = peer;
    for said in lines.iter().rev().flat_map(|line| line.rsplit(',')).take(MOST) {
        // What is no address was not written by a proxy: whoever was known so far counts.
        let Some(address) = address(said.trim()) else { break };
        nearest = address;
        if !is_trusted(address) {
            break;
        }
    }
    nearest
}

/// Reads an address, with or without a port or brackets, as proxies write them.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.split(']').next()).unwrap_or(text);
    let found = bare.parse().ok().or_else(|| text.parse().ok().map(|socket: std::net::SocketAddr| socket.ip()));
    found.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(peer: &str, lines: &[&str], trusted: &[&str], expect: &str) {
        let trusted: Vec<Network> = trusted.iter().map(|text| Network::parse(text).unwrap()).collect();
        let headers = lines.iter().map(|line| (FORWARDED_FOR, line.parse().unwrap())).collect();
        let found = of(peer.parse().unwrap(), &headers, &trusted);
        assert_eq!(found, expect.parse::<IpAddr>().unwrap(), "{peer} {lines:?} {trusted:?}");
    }

    /// Acceptance AUTH-13: a client's address is never the attacker's choice.
    #[test]
    fn who_is_not_trusted_says_nothing() {
        check("8.8.8.8", &["1.2.3.4"], &[], "8.8.8.8");
        check("8.8.8.8", &["1.2.3.4"], &["127.0.0.0/8"], "8.8.8.8");
        check("127.0.0.1", &["1.2.3.4"], &[], "127.0.0.1");
    }

    #[test]
    fn the_nearest_that_is_no_proxy_counts() {
        let ours = &["127.0.0.0/8", "10.0.0.0/8"];
        check("127.0.0.1", &[], ours, "127.0.0.1");
        check("127.0.0.1", &["1.2.3.4"], ours, "1.2.3.4");
        check("127.0.0.1", &["6.6.6.6, 1.2.3.4"], ours, "1.2.3.4");
        check("127.0.0.1", &["127.0.0.1, 1.2.3.4"], ours, "1.2.3.4");
        check("127.0.0.1", &["6.6.6.6, 1.2.3.4, 10.0.0.9"], ours, "1.2.3.4");
        check("127.0.0.1", &["6.6.6.6", "1.2.3.4", "10.0.0.9"], ours, "1.2.3.4");
        check("127.0.0.1", &["10.0.0.7, 10.0.0.9"], ours, "10.0.0.7");
        check("::ffff:127.0.0.1", &["1.2.3.4"], ours, "1.2.3.4");
    }

    #[test]
    fn nonsense_ends_the_chain() {
        let ours = &["127.0.0.0/8", "10.0.0.0/8"];
        check("127.0.0.1", &["1.2.3.4, unknown"], ours, "127.0.0.1");
        check("127.0.0.1", &["1.2.3.4, , 10.0.0.9"], ours, "10.0.0.9");
        check("127.0.0.1", &["\u{e9}"], ours, "127.0.0.1");
        check("127.0.0.1", &[""], ours, "127.0.0.1");
        check("127.0.0.1", &["2001:db8::1"], ours, "2001:db8::1");
        check("127.0.0.1", &["[2001:db8::1]:443"], ours, "2001:db8::1");
        check("127.0.0.1", &["1.2.3.4:80"], ours, "1.2.3.4");
        check("127.0.0.1", &[&format!("6.6.6.6{}", ", 10.0.0.1".repeat(99))], ours, "10.0.0.1");
    }
}
