//! `[dns]`: whom host names are asked from, for how long, and how long a place that failed is left alone.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::fields::Fields;
use super::report::Problems;

/// The section, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dns {
    /// Name servers; empty: those of the system.
    pub servers: Vec<SocketAddr>,
    /// For how long one look-up is waited for.
    pub timeout: Duration,
    /// For how long a place that failed is tried last (RFC 3263 §4.3).
    pub avoid: Duration,
}

impl Default for Dns {
    fn default() -> Dns {
        Dns {
            servers: Vec::new(),
            timeout: Duration::from_secs(5),
            avoid: Duration::from_secs(32),
        }
    }
}

pub(super) fn dns(file: &mut Fields<'_>, problems: &mut Problems) -> Dns {
    let mut dns = Dns::default();
    let Some(mut fields) = file.table("dns", "[dns]", problems) else {
        return dns;
    };
    for given in fields.texts("servers", problems) {
        let address = given.value.parse::<SocketAddr>().ok();
        let address = address.or_else(|| given.value.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, 53)));
        match address {
            Some(address) => dns.servers.push(address),
            None => problems.add(
                given.span.clone(),
                format!("`servers` has no address: \"{}\"", given.value.escape_debug()),
                "write the IP of a name server, with a port if it is not 53: \"192.0.2.53\", \"127.0.0.1:5353\"",
            ),
        }
    }
    if let Some(millis) = fields.number("timeout_ms", 500..=30_000, problems) {
        dns.timeout = Duration::from_millis(millis);
    }
    if let Some(seconds) = fields.number("avoid_s", 0..=3_600, problems) {
        dns.avoid = Duration::from_secs(seconds);
    }
    fields.finish(problems);
    dns
}

/// `reach` of `[edge]`: host names, `*.` before one for all below it, `*` for all.
pub(super) fn reach(fields: &mut Fields<'_>, problems: &mut Problems) -> Vec<String> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '_');
    let mut reach = Vec::new();
    for given in fields.texts("reach", problems) {
        let name = given.value.strip_prefix("*.").unwrap_or(given.value);
        if given.value == "*" || (!name.is_empty() && name.chars().all(good)) {
            reach.push(given.value.to_ascii_lowercase());
        } else {
            problems.add(
                given.span.clone(),
                format!("`reach` has no host: \"{}\"", given.value.escape_debug()),
                "write \"partner.example\", \"*.partner.example\" for all hosts below it, or \"*\" for every host",
            );
        }
    }
    reach
}
