//! Which addresses a URL of somebody else may lead us to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::engine::Network;

/// Blocks that are nobody's in public, the narrow ones first (RFC 6890, RFC 4291, and the metadata services of clouds).
const BLOCKS: [(IpAddr, u8, &str); 30] = [
    (v4(169, 254, 169, 254), 32, "a metadata service"),
    (v4(100, 100, 100, 200), 32, "a metadata service"),
    (v4(168, 63, 129, 16), 32, "a metadata service"),
    (v4(192, 0, 0, 192), 32, "a metadata service"),
    (v6(0xfd00, 0xec2, 0x254), 128, "a metadata service"),
    (v6(0xfd20, 0xce, 0x254), 128, "a metadata service"),
    (v4(0, 0, 0, 0), 8, "unspecified"),
    (v4(10, 0, 0, 0), 8, "private"),
    (v4(100, 64, 0, 0), 10, "private"),
    (v4(127, 0, 0, 0), 8, "loopback"),
    (v4(169, 254, 0, 0), 16, "link-local"),
    (v4(172, 16, 0, 0), 12, "private"),
    (v4(192, 0, 0, 0), 24, "reserved"),
    (v4(192, 0, 2, 0), 24, "for documentation"),
    (v4(192, 168, 0, 0), 16, "private"),
    (v4(198, 18, 0, 0), 15, "for benchmarks"),
    (v4(198, 51, 100, 0), 24, "for documentation"),
    (v4(203, 0, 113, 0), 24, "for documentation"),
    (v4(224, 0, 0, 0), 4, "multicast"),
    (v4(240, 0, 0, 0), 4, "reserved"),
    (v6(0, 0, 0), 128, "unspecified"),
    (v6(0, 0, 1), 128, "loopback"),
    (v6(0, 0, 0), 96, "reserved"),
    (v6(0x100, 0, 0), 64, "reserved"),
    (v6(0x2001, 0, 0), 23, "reserved"),
    (v6(0x2001, 0xdb8, 0), 32, "for documentation"),
    (v6(0xfc00, 0, 0), 7, "private"),
    (v6(0xfe80, 0, 0), 10, "link-local"),
    (v6(0xfec0, 0, 0), 10, "private"),
    (v6(0xff00, 0, 0), 8, "multicast"),
];

const fn v4(a: u8, b: u8, c: u8, d: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

/// By its first two groups and its last.
const fn v6(first: u16, second: u16, last: u16) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(first, second, 0, 0, 0, 0, 0, last))
}

/// Why this address may not be asked; `None`: it may. One that stands for an IPv4 address is judged as that.
pub(super) fn forbidden(address: IpAddr, allow: &[Network]) -> Option<&'static str> {
    let inner = embedded(address);
    let block = |address: IpAddr| {
        BLOCKS.iter().find_map(|(block, prefix, why)| {
            let network = Network {
                address: *block,
                prefix: *prefix,
            };
            network.contains(address).then_some(*why)
        })
    };
    let listed = |address: IpAddr| allow.iter().any(|network| network.contains(address));
    let judged = inner.unwrap_or(address);
    if listed(judged) { None } else { block(judged) }
}

/// The IPv4 address that is reached through this one: mapped (RFC 4291 §2.5.5.2), NAT64 (RFC 6052 §2.1), 6to4 (RFC 3056 §2).
fn embedded(address: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(v6) = address else { return None };
    let of = |high: u16, low: u16| {
        let [[a, b], [c, d]] = [high.to_be_bytes(), low.to_be_bytes()];
        Some(IpAddr::V4(Ipv4Addr::new(a, b, c, d)))
    };
    match v6.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] => of(high, low),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => of(high, low),
        [0x2002, high, low, ..] => of(high, low),
        [_, _, _, _, _, _, _, _] => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(address: &str) -> Option<&'static str> {
        forbidden(address.parse().unwrap(), &[])
    }

    #[test]
    fn nobody_leads_us_into_our_own_network() {
        for (address, expect) in [
            ("127.0.0.1", "loopback"),
            ("127.255.1.2", "loopback"),
            ("10.1.2.3", "private"),
            ("172.31.255.255", "private"),
            ("192.168.1.1", "private"),
            ("100.64.0.1", "private"),
            ("169.254.0.7", "link-local"),
            ("169.254.169.254", "a metadata service"),
            ("100.100.100.200", "a metadata service"),
            ("168.63.129.16", "a metadata service"),
            ("0.0.0.0", "unspecified"),
            ("224.0.0.1", "multicast"),
            ("239.255.255.250", "multicast"),
            ("255.255.255.255", "reserved"),
            ("::1", "loopback"),
            ("::", "unspecified"),
            ("::7f00:1", "reserved"),
            ("fe80::1", "link-local"),
            ("fd12:3456::1", "private"),
            ("fd00:ec2::254", "a metadata service"),
            ("ff02::1", "multicast"),
            ("::ffff:127.0.0.1", "loopback"),
            ("::ffff:169.254.169.254", "a metadata service"),
            ("64:ff9b::10.0.0.1", "private"),
            ("2002:7f00:1::1", "loopback"),
            ("2001:0:7f00:1::", "reserved"),
        ] {
            assert_eq!(why(address), Some(expect), "{address}");
        }
        for address in [
            "8.8.8.8",
            "172.15.0.1",
            "172.32.0.1",
            "100.128.0.1",
            "2606:4700::1",
            "::ffff:8.8.8.8",
            "2002:808:808::1",
        ] {
            assert_eq!(why(address), None, "{address}");
        }
    }

    #[test]
    fn a_listed_network_is_asked_in_whatever_form() {
        let allow = [Network {
            address: "127.0.0.0".parse().unwrap(),
            prefix: 8,
        }];
        for (address, free) in [
            ("127.0.0.1", true),
            ("::ffff:127.0.0.1", true),
            ("::1", false),
            ("10.0.0.1", false),
        ] {
            assert_eq!(forbidden(address.parse().unwrap(), &allow).is_none(), free, "{address}");
        }
    }
}
