//! IP networks: where a key may be used from.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An IP network: an address and how many of its leading bits count (RFC 4632, RFC 4291 section 2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its address; bits behind the prefix are zero.
    pub address: IpAddr,
    /// The length of its prefix in bits.
    pub prefix: u8,
}

/// What is wrong with the text of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkFault {
    /// It is no address, or no address and a prefix.
    NotANetwork,
    /// The prefix has more bits than the address: so many at most.
    PrefixTooLong(u8),
    /// Bits behind the prefix are set; the network that is probably meant.
    HostBits(Network),
}

impl NetworkFault {
    /// Returns what is wrong, and what to write instead.
    pub fn told(self) -> (&'static str, String) {
        match self {
            Self::NotANetwork => {
                ("not a network", "write an address, or one and its prefix, such as 10.0.0.0/8".to_owned())
            }
            Self::PrefixTooLong(bits) => {
                ("the prefix is longer than the address", format!("it has at most {bits} bits"))
            }
            Self::HostBits(network) => ("bits behind the prefix are set", format!("the network is {network}")),
        }
    }
}

impl Network {
    /// A network that nobody is in: the unspecified address is no peer's (RFC 1122 section 3.2.1.3).
    pub const NOBODY: Self = Self { address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), prefix: 32 };

    /// Reads `10.0.0.0/8`, `2001:db8::/32`, or an address, which is a network of its own. An IPv4 network that is
    /// written as a part of IPv6 (`::ffff:10.0.0.0/104`, RFC 4291 section 2.5.5.2) is that IPv4 network.
    ///
    /// # Errors
    /// When it is no network, or names an address in one instead of the network.
    pub fn parse(text: &str) -> Result<Self, NetworkFault> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkFault::NotANetwork)?;
        let bits = width(address);
        let prefix = match prefix {
            None => bits,
            Some(digits) if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) => {
                return Err(NetworkFault::NotANetwork);
            }
            Some(digits) => {
                digits.parse().ok().filter(|prefix| *prefix <= bits).ok_or(NetworkFault::PrefixTooLong(bits))?
            }
        };
        let (address, prefix) = match (address, address.to_canonical()) {
            (IpAddr::V6(_), inner @ IpAddr::V4(_)) if prefix >= 96 => (inner, prefix - 96),
            _ => (address, prefix),
        };
        let network = Self { address: masked(address, prefix), prefix };
        if network.address != address {
            return Err(NetworkFault::HostBits(network));
        }
        Ok(network)
    }

    /// Returns whether a peer is in it. An IPv4 peer is one also where the socket shows it as a part of IPv6.
    pub fn contains(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        peer.is_ipv4() == self.address.is_ipv4() && masked(peer, self.prefix) == self.address && *self != Self::NOBODY
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// Clears the bits behind a prefix.
fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(prefix.into())).unwrap_or(0);
            Ipv4Addr::from_bits(address.to_bits() & mask).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(prefix.into())).unwrap_or(0);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Result<&str, NetworkFault>) {
        assert_eq!(Network::parse(text).map(|network| network.to_string()), expect.map(str::to_owned), "{text}");
    }

    #[test]
    fn reads_networks() {
        check("10.0.0.0/8", Ok("10.0.0.0/8"));
        check("192.0.2.7", Ok("192.0.2.7/32"));
        check("0.0.0.0/0", Ok("0.0.0.0/0"));
        check("2001:DB8::/32", Ok("2001:db8::/32"));
        check("::1", Ok("::1/128"));
        check("::/0", Ok("::/0"));
        check("::ffff:10.0.0.0/104", Ok("10.0.0.0/8"));
        check("::ffff:10.1.2.3", Ok("10.1.2.3/32"));
        for text in [
            "",
            "/8",
            "10.0.0.0/",
            "10.0.0/8",
            "10.0.0.0/+8",
            "10.0.0.0/8/8",
            " 10.0.0.0/8",
            "example.com",
            "fe80::1%eth0",
        ] {
            check(text, Err(NetworkFault::NotANetwork));
        }
        check("10.0.0.0/33", Err(NetworkFault::PrefixTooLong(32)));
        check("::/999", Err(NetworkFault::PrefixTooLong(128)));
        let meant = Network { address: [10, 0, 0, 0].into(), prefix: 8 };
        check("10.0.0.1/8", Err(NetworkFault::HostBits(meant)));
        check("::ffff:10.1.0.0/104", Err(NetworkFault::HostBits(meant)));
    }

    #[test]
    fn knows_who_is_in_it() {
        let check = |network: &str, peer: &str, expect: bool| {
            let network = Network::parse(network).unwrap();
            assert_eq!(network.contains(peer.parse().unwrap()), expect, "{network} {peer}");
        };
        check("10.0.0.0/8", "10.255.0.1", true);
        check("10.0.0.0/8", "11.0.0.1", false);
        check("10.0.0.0/8", "::ffff:10.0.0.1", true);
        check("10.0.0.0/8", "::10.0.0.1", false);
        check("0.0.0.0/0", "255.255.255.255", true);
        check("0.0.0.0/0", "::1", false);
        check("::/0", "2001:db8::1", true);
        check("::/0", "::ffff:10.0.0.1", false);
        check("2001:db8::/33", "2001:db8:8000::", false);
        check("192.0.2.7", "192.0.2.7", true);
        check("192.0.2.7", "192.0.2.6", false);
        check("0.0.0.0", "0.0.0.0", false);
        assert!(!Network::NOBODY.contains(IpAddr::V4(Ipv4Addr::UNSPECIFIED)));
    }

    proptest::proptest! {
        /// A network has exactly the addresses that agree with it in its leading bits.
        #[test]
        fn leading_bits_decide(bits: u32, other: u32, prefix in 0u8..=32) {
            let network = Network { address: masked(Ipv4Addr::from_bits(bits).into(), prefix), prefix };
            proptest::prop_assume!(network != Network::NOBODY);
            let agree = (bits ^ other).leading_zeros() >= u32::from(prefix);
            proptest::prop_assert_eq!(network.contains(Ipv4Addr::from_bits(other).into()), agree);
            proptest::prop_assert_eq!(Network::parse(&network.to_string()), Ok(network));
        }
    }
}
