//! Address blocks: who a source is.

use std::net::{IpAddr, Ipv6Addr};

/// An address block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Any address inside.
    pub address: IpAddr,
    /// Prefix length in bits.
    pub prefix: u8,
}

impl Network {
    /// Whether `address` lies in the block. IPv4-mapped IPv6 addresses count as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let bits = |ip: IpAddr| match ip.to_canonical() {
            IpAddr::V4(v4) => (32u32, u128::from(u32::from(v4)) << 96),
            IpAddr::V6(v6) => (128u32, u128::from(v6)),
        };
        let ((width, ours), (other_width, theirs)) = (bits(self.address), bits(address));
        let prefix = u32::from(self.prefix).min(width);
        width == other_width && (prefix == 0 || (ours ^ theirs) >> (128 - prefix) == 0)
    }
}

/// An address as it is counted: who has one IPv6 address has 2^64 of them, a /64 (RFC 4291 §2.5.1).
pub fn source_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

/// This machine.
pub const LOOPBACK: [Network; 2] = [
    Network {
        address: IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 0)),
        prefix: 8,
    },
    Network {
        address: IpAddr::V6(Ipv6Addr::LOCALHOST),
        prefix: 128,
    },
];

#[cfg(test)]
mod tests {
    use super::{Network, source_of};

    #[test]
    fn a_source_is_an_ipv4_address_or_the_64_of_an_ipv6_one() {
        let source = |text: &str| source_of(text.parse().unwrap()).to_string();
        assert_eq!(source("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(source("2001:db8:1:2:ffff::1"), source("2001:db8:1:2::9"));
        assert_ne!(source("2001:db8:1:3::9"), source("2001:db8:1:2::9"));
        assert_eq!(
            (source("192.0.2.7"), source("::ffff:192.0.2.7")),
            ("192.0.2.7".into(), "192.0.2.7".into())
        );
    }

    #[test]
    fn a_network_contains_its_addresses_only() {
        let block = Network {
            address: "10.1.0.0".parse().unwrap(),
            prefix: 16,
        };
        assert!(block.contains("10.1.255.7".parse().unwrap()));
        assert!(block.contains("::ffff:10.1.2.3".parse().unwrap()));
        assert!(!block.contains("10.2.0.1".parse().unwrap()));
        assert!(!block.contains("::1".parse().unwrap()));
        let all = Network {
            address: "::".parse().unwrap(),
            prefix: 0,
        };
        assert!(all.contains("2001:db8::1".parse().unwrap()));
    }
}
