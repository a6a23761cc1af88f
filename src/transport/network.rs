//! Address blocks: who a source is.

use std::net::IpAddr;

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

/// This machine.
pub const LOOPBACK: [Network; 2] = [
    Network {
        address: IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 0)),
        prefix: 8,
    },
    Network {
        address: IpAddr::V6(std::net::Ipv6Addr::LOCALHOST),
        prefix: 128,
    },
];

#[cfg(test)]
mod tests {
    use super::Network;

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
