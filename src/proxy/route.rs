//! The edge's own address in requests: in the top Route, and in the Request-URI.

use super::Proxy;
use crate::sip::{Forward, HeaderName, Message, NameAddr, Scheme, Uri};
use crate::transport::{Flow, FlowSeal};

/// What the top Route says about us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnRoute {
    /// There is none, or it names somebody else.
    None,
    /// It names this edge and no flow: a preloaded route, which is removed and means nothing else.
    Plain,
    /// It names this edge and a flow that we sealed into a Path or Record-Route (RFC 5626 §5.3).
    Sealed(Flow),
    /// It names this edge with a user part that we did not seal: forged, or sealed by another key.
    Forged,
}

impl Proxy {
    /// Reads the top Route. RFC 5626 §5.3.2: a token that does not check is answered 403, and never a reason to look
    /// for another way.
    pub fn flow_of_route(&self, request: &Message, seal: &FlowSeal) -> OwnRoute {
        let Some(route) = request.values(HeaderName::Route).next() else {
            return OwnRoute::None;
        };
        let Ok(route) = NameAddr::parse(route) else {
            return OwnRoute::None;
        };
        if !self.is_edge(&route.uri) {
            return OwnRoute::None;
        }
        match route.uri.user() {
            None => OwnRoute::Plain,
            Some(token) => seal.open(token).map_or(OwnRoute::Forged, OwnRoute::Sealed),
        }
    }

    /// RFC 3261 §16.4: a strict router before us has put our Record-Route value into the Request-URI, and what was there at
    /// the end of Route. The request as it was meant, with our value back in Route; `None`: it is no such request.
    pub fn loosened(&self, request: &Message, seal: &FlowSeal) -> Option<Message> {
        let text = request.request_uri()?;
        let uri = Uri::parse(text).ok()?;
        // Ours and nothing else: only a Record-Route of this edge has a token that opens.
        if !self.is_edge(&uri) || seal.open(uri.user()?).is_none() {
            return None;
        }
        let mut routes: Vec<&str> = request.values(HeaderName::Route).collect();
        let last = NameAddr::parse(routes.pop()?).ok()?;
        let mut route = format!("<{text}>");
        for value in routes {
            route.push_str(", ");
            route.push_str(value);
        }
        let forward = Forward::new(request)
            .request_uri(last.uri.without_headers())
            .set(HeaderName::Route, route);
        Message::parse(forward.print()).ok()
    }

    /// How many Route values at the top are ours: those of a double Record-Route are two.
    pub(super) fn own_routes(&self, request: &Message) -> usize {
        let ours = |route: &&str| NameAddr::parse(route).is_ok_and(|route| self.is_edge(&route.uri));
        request.values(HeaderName::Route).take_while(ours).count()
    }

    /// Whether a SIP URI names this edge: one of its advertised addresses. A port that is not given is 5060 (5061 for
    /// sips).
    pub fn is_edge(&self, uri: &Uri) -> bool {
        self.config
            .edges
            .iter()
            .any(|edge| same_host_port(uri, &Uri::sip(None, edge)))
    }

    /// Whether a SIP URI names this edge or the domain that it serves, on any port.
    pub(super) fn is_here(&self, uri: &Uri) -> bool {
        let domain = Uri::sip(None, &self.config.domain);
        self.is_edge(uri) || uri.host().eq_ignore_ascii_case(domain.host())
    }
}

/// RFC 3261 §19.1.4, host and port only. IPv6 addresses are compared as addresses.
fn same_host_port(a: &Uri, b: &Uri) -> bool {
    let sip = |uri: &Uri| matches!(uri.scheme(), Scheme::Sip | Scheme::Sips);
    let port = |uri: &Uri| {
        uri.port()
            .unwrap_or(if uri.scheme() == Scheme::Sips { 5061 } else { 5060 })
    };
    let same_host = match (a.addr(), b.addr()) {
        (Some(a), Some(b)) => a.ip().to_canonical() == b.ip().to_canonical(),
        (None, None) => a.host().eq_ignore_ascii_case(b.host()),
        (Some(_), None) | (None, Some(_)) => false,
    };
    sip(a) && sip(b) && same_host && port(a) == port(b)
}
