//! Which WebSocket URLs a browser can use, seen from the address by which it reached the page.

use std::net::IpAddr;

use super::Asked;
use crate::engine::{Listener, Transport};

/// A listener for browsers.
#[derive(Clone, Debug)]
pub(super) struct Server {
    secure: bool,
    port: u16,
    bound: IpAddr,
    advertised: IpAddr,
}

pub(super) fn of(listeners: &[Listener]) -> Vec<Server> {
    let server = |listener: &Listener| {
        let secure = match listener.transport {
            Transport::Wss => true,
            Transport::Ws => false,
            Transport::Udp | Transport::Tcp | Transport::Tls => return None,
        };
        Some(Server {
            secure,
            port: listener.advertised.port(),
            bound: listener.address.ip(),
            advertised: listener.advertised.ip(),
        })
    };
    let mut servers: Vec<Server> = listeners.iter().filter_map(server).collect();
    servers.sort_by_key(|server| !server.secure); // stable: the file's order otherwise
    servers
}

/// Those that a page from there may use: a page that came over TLS must not connect without (mixed content). The one that
/// the page itself came from is the first.
pub(super) fn urls(servers: &[Server], asked: &Asked<'_>) -> Vec<String> {
    let host = asked.host.and_then(host_name);
    let usable = servers.iter().filter(|server| server.secure || !asked.tls);
    let (mut here, mut others) = (Vec::new(), Vec::new());
    for server in usable {
        let own = server.port == asked.port && server.secure == asked.tls;
        let scheme = if server.secure { "wss" } else { "ws" };
        let url = match host {
            Some(host) if own || same_machine(server, host) => format!("{scheme}://{host}:{}", server.port),
            Some(_) | None => format!(
                "{scheme}://{}",
                std::net::SocketAddr::new(server.advertised, server.port)
            ),
        };
        if own {
            here.push(url);
        } else {
            others.push(url);
        }
    }
    here.append(&mut others);
    here
}

/// Whether the name by which the page was reached leads to this listener too.
fn same_machine(server: &Server, host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>().ok();
    let loopback = host.eq_ignore_ascii_case("localhost") || address.is_some_and(|ip| ip.is_loopback());
    match address {
        Some(address) if address == server.bound || address == server.advertised => true,
        _ if server.bound.is_unspecified() => true,
        _ if loopback => host.eq_ignore_ascii_case("localhost") && server.bound.is_loopback(),
        Some(_) => false,
        // A name: as good as the address that it was given for, and what a certificate says.
        None => !server.bound.is_loopback(),
    }
}

/// The host of a Host header without its port. It goes into a policy and a configuration: nothing but a name or an
/// address may pass.
fn host_name(header: &str) -> Option<&str> {
    let host = match header.strip_prefix('[') {
        Some(rest) => header.get(..rest.find(']')? + 2)?,
        None => header.split(':').next()?,
    };
    let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    let literal = |host: &str| {
        host.strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .is_some_and(|ip| ip.parse::<std::net::Ipv6Addr>().is_ok())
    };
    let good = literal(host) || (!host.is_empty() && host.chars().all(name));
    good.then_some(host)
}
