//! The one gate for addresses that somebody else than the operator chose: only public ones pass.
//!
//! A caller can name a URL (a picture to look at), and what answers there must not be something that only this machine
//! can reach. The check is on the resolved address at the time of the connection, and that very address is connected
//! to; there is one URL parser for the check and for the use.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use crate::connector::Origin;

/// A URL that may be fetched, unless its host resolves to an address that may not be connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Where it is.
    pub origin: Origin,
    /// Path and query.
    pub target: String,
    /// The value of the Host header.
    pub host: String,
    /// The URL itself, for redirects.
    pub url: Url,
}

/// Why a URL may not be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It cannot be parsed.
    #[error("not a URL")]
    NotAUrl,
    /// Neither http nor https.
    #[error("not an http or https URL")]
    Scheme,
    /// It holds a user name or a password.
    #[error("a URL may not hold credentials")]
    Credentials,
    /// It has no host.
    #[error("the URL has no host")]
    NoHost,
    /// The host is, or resolves to, an address that only this network can reach.
    #[error("the address is not a public one")]
    Private,
}

/// Checks a URL that a caller names. `allow_private` is the operator's leave to reach private addresses.
///
/// # Errors
/// When it may not be fetched.
pub fn check(text: &str, allow_private: bool) -> Result<Checked, Refused> {
    let url = Url::parse(text.trim()).map_err(|_| Refused::NotAUrl)?;
    let tls = match url.scheme() {
        "https" => true,
        "http" => false,
        _ => return Err(Refused::Scheme),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Refused::Credentials);
    }
    // The parser has brought every spelling of an address (decimal, octal, hexadecimal, short) to the one form.
    let literal = match url.host().ok_or(Refused::NoHost)? {
        Host::Ipv4(address) => Some(IpAddr::V4(address)),
        Host::Ipv6(address) => Some(IpAddr::V6(address)),
        // Whatever a resolver says of it, this name is this machine (RFC 6761 section 6.3).
        Host::Domain(name) if !allow_private && is_localhost(name) => return Err(Refused::Private),
        Host::Domain(_) => None,
    };
    if literal.is_some_and(|address| !allow_private && !is_public(address)) {
        return Err(Refused::Private);
    }
    let name = url.host_str().ok_or(Refused::NoHost)?;
    let port = url.port_or_known_default().unwrap_or(if tls { 443 } else { 80 });
    let host = url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"));
    let target = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
    Ok(Checked { origin: Origin { tls, host: name.into(), port }, target, host, url })
}

fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name == "localhost" || name.ends_with(".localhost")
}

/// Whether an address is one of the public internet.
///
/// Refused are loopback, private, shared, link-local (where clouds keep their metadata), multicast, documentation and
/// reserved ranges (IANA special-purpose registries, RFC 6890), and IPv6 forms that carry such an IPv4 address
/// (mapped, compatible, 6to4, NAT64).
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = match (a, b, c) {
        // This network, private, loopback, multicast and reserved, broadcast.
        (0 | 10 | 127 | 224..=255, _, _) => true,
        // Shared address space (RFC 6598).
        (100, 64..=127, _) => true,
        // Link-local, private.
        (169, 254, _) | (172, 16..=31, _) | (192, 168, _) => true,
        // IETF protocol assignments, documentation, 6to4 relays, benchmarks.
        (192, 0, 0 | 2) | (192, 88, 99) | (198, 18..=19, _) | (198, 51, 100) | (203, 0, 113) => true,
        _ => false,
    };
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let carried = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        // Unspecified, loopback, IPv4-compatible and IPv4-mapped.
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] => carried(high, low) && (high, low) != (0, 0),
        // NAT64 (RFC 6052, RFC 8215).
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => carried(high, low),
        [0x64, 0xff9b, ..] => false,
        // 6to4 (RFC 3056) and Teredo (RFC 4380).
        [0x2002, high, low, ..] => carried(high, low),
        [0x2001, 0, ..] => false,
        // Documentation (RFC 3849, RFC 9637).
        [0x2001, 0xdb8, ..] => false,
        [0x3fff, second, ..] if second < 0x1000 => false,
        // Global unicast is 2000::/3; everything else is local, multicast or reserved.
        [first, ..] => (0x2000..0x4000).contains(&first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(url: &str, expect: Refused) {
        assert_eq!(check(url, false).unwrap_err(), expect, "{url}");
    }

    #[test]
    fn private_addresses_in_every_spelling() {
        for host in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f.1",
            "017700000001",
            "0",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "192.0.2.7",
            "[::]",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:a9fe:a9fe]",
            "[::127.0.0.1]",
            "[fd00::1]",
            "[fe80::1]",
            "[ff02::1]",
            "[2002:7f00:1::]",
            "[64:ff9b::7f00:1]",
            "[64:ff9b:1::1]",
            "[2001::1]",
            "[2001:db8::1]",
            "127%2e0.0.1",
            "127。0。0。1",
            "①②⑦.0.0.1",
            "localhost",
            "LocalHost.",
            "a.localhost",
        ] {
            refused(&format!("http://{host}/x"), Refused::Private);
        }
    }

    #[test]
    fn what_is_no_plain_web_address() {
        refused("ftp://example.com/x", Refused::Scheme);
        refused("file:///etc/passwd", Refused::Scheme);
        refused("gopher://127.0.0.1:70/_", Refused::Scheme);
        refused("http://allowed@127.0.0.1/", Refused::Credentials);
        refused("http://", Refused::NotAUrl);
        refused("example.com/x.png", Refused::NotAUrl);
        refused("http://a b/", Refused::NotAUrl);
    }

    #[test]
    fn public_ones_pass() {
        let checked = check("https://example.com/a.png?x=1#y", false).unwrap();
        assert_eq!(
            (checked.origin.port, checked.target.as_str(), checked.host.as_str()),
            (443, "/a.png?x=1", "example.com")
        );
        for host in ["1.1.1.1", "93.184.215.14", "[2606:4700::1111]", "[2002:101:101::]"] {
            assert!(check(&format!("http://{host}:8080/"), false).is_ok(), "{host}");
        }
        // What a parser makes of a trick is what is connected to.
        assert_eq!(check("http://example.com\\@127.0.0.1/", false).unwrap().host, "example.com");
        assert!(check("http://127.0.0.1:9/", true).is_ok());
    }
}
