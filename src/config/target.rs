//! Addresses and the URIs that name a place.

use std::net::{IpAddr, SocketAddr};

use super::fields::Found;
use super::report::Problems;
use crate::engine::Listener;
use crate::sip::{Scheme, Uri};
use crate::transport::Transport;
use crate::transport::locate::Wanted;

/// Where messages to a PBX or a route go, as the file says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// A host name or an address; IPv6 without brackets.
    pub host: String,
    /// That of the transport where the file does not say.
    pub port: u16,
    /// UDP, TCP or TLS.
    pub transport: Transport,
    /// Whether the file says the port; if not, SRV records may (RFC 3263 §4.2).
    pub port_given: bool,
    /// Whether the file says the transport; if not, NAPTR and SRV records may (RFC 3263 §4.1).
    pub transport_given: bool,
    /// The key and its line, for messages: `[pbx] uri, line 7`.
    pub place: String,
}

impl Target {
    /// The address, if the host is one already.
    pub fn address(&self) -> Option<SocketAddr> {
        self.host
            .parse::<IpAddr>()
            .ok()
            .map(|ip| SocketAddr::new(ip, self.port))
    }

    /// What is to be located (RFC 3263 §4).
    pub fn wanted(&self) -> Wanted {
        Wanted {
            host: self.host.clone(),
            port: self.port_given.then_some(self.port),
            transport: self.transport_given.then_some(self.transport),
            secure: false,
        }
    }

    /// The host as it is written in a URI.
    pub(super) fn uri_host(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        }
    }
}

const ADDRESS_HINT: &str = "write IP:port, as in 127.0.0.1:5060 or [::1]:5060; host names are not looked up here";

pub(super) fn socket_address(key: &str, given: &Found<&str>, problems: &mut Problems) -> Option<Found<SocketAddr>> {
    match given.value.parse() {
        Ok(address) => Some(given.with(address)),
        Err(_) => {
            problems.add(
                given.span.clone(),
                format!("`{key}` is no address: \"{}\"", given.value.escape_debug()),
                ADDRESS_HINT,
            );
            None
        }
    }
}

/// A SIP URI that names a place: host, port, transport.
pub(super) fn target(
    key: &str,
    given: &Found<&str>,
    text: &str,
    listeners: &[Listener],
    problems: &mut Problems,
) -> Option<Target> {
    let mut wrong = |what: String, hint: &str| {
        problems.add(given.span.clone(), what, hint);
        None
    };
    let example = "write sip:host or sip:host:port, with ;transport=tcp for TCP or ;transport=tls for TLS";
    let uri = match Uri::parse(given.value) {
        Ok(uri) => uri,
        Err(error) => return wrong(format!("{key} is no SIP URI: {}", error.reason()), example),
    };
    match uri.scheme() {
        Scheme::Sip => {}
        Scheme::Sips => {
            return wrong(
                format!("{key}: sips is not in this version"),
                "use sip: with ;transport=tls",
            );
        }
        Scheme::Tel | Scheme::Other => return wrong(format!("{key} is no SIP URI"), example),
    }
    if uri.user().is_some() {
        return wrong(format!("{key} has a user part, which would never be used"), example);
    }
    let transport = match uri.param("transport") {
        None => Transport::Udp,
        Some(Some(name)) if name.eq_ignore_ascii_case("udp") => Transport::Udp,
        Some(Some(name)) if name.eq_ignore_ascii_case("tcp") => Transport::Tcp,
        Some(Some(name)) if name.eq_ignore_ascii_case("tls") => Transport::Tls,
        Some(_) => {
            return wrong(
                format!("{key}: nobody is called over this transport"),
                "udp, tcp or tls",
            );
        }
    };
    let host = uri.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    if host.is_empty() {
        return wrong(format!("{key} names no host"), example);
    }
    let address = host.parse::<IpAddr>().ok();
    let fits = |listener: &Listener| {
        let family = address.is_none_or(|address| address.is_ipv4() == listener.address.is_ipv4());
        listener.transport == transport && family
    };
    if !listeners.is_empty() && !listeners.iter().any(fits) {
        let name = transport.param();
        let hint = format!("add a [[listen]] with transport = \"{name}\" and an address of the same family");
        return wrong(
            format!("{key} cannot be reached from any listener: none sends {name} to it"),
            &hint,
        );
    }
    let start = given.span.start.min(text.len());
    let line = text.get(..start).unwrap_or_default().matches('\n').count() + 1;
    Some(Target {
        host,
        port: uri.port().unwrap_or(transport.default_port()),
        port_given: uri.port().is_some(),
        transport_given: uri.param("transport").is_some(),
        transport,
        place: format!("{key}, line {line}"),
    })
}
