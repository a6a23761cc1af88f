//! `sips:`: TLS on every hop, or a refusal that says why.
//!
//! RFC 3261 §26.2.2: a request to a sips URI comes by TLS and goes on by TLS. Whatever cannot is refused with 480 and
//! `Warning: 380` (RFC 5630 §5, §7), never quietly sent in the clear.

use std::time::Instant;

use super::Engine;
use super::forward::Onward;
use super::route::Way;
use crate::sip::{HeaderName, Message, Scheme, Uri};
use crate::transaction::ServerHandle;
use crate::transport::{Flow, Transport};

const NOT_ALLOWED: &str = "SIPS Not Allowed";

pub(super) fn is_secure(flow: &Flow) -> bool {
    match flow.transport {
        Transport::Tls | Transport::Wss => true,
        Transport::Udp | Transport::Tcp | Transport::Ws => false,
    }
}

/// Whether a request asks for TLS on every hop.
pub(super) fn wants_sips(request: &Message) -> bool {
    let uri = request.request_uri().unwrap_or_default();
    uri.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("sips:"))
}

/// Of the ways to a target those that keep what its scheme asks for.
///
/// # Errors
/// 480 when a sips URI leads nowhere by TLS.
pub(super) fn kept_secure(target: &Uri, ways: Vec<Way>) -> Result<Vec<Way>, u16> {
    if target.scheme() != Scheme::Sips {
        return Ok(ways);
    }
    let mut kept = Vec::new();
    for mut way in ways {
        way.next.retain(is_secure);
        // What is looked up for a sips URI is looked up for TLS only.
        if way.wanted.is_some() || is_secure(&way.flow) {
            way.request_uri = as_sips(&way.request_uri, target);
            kept.push(way);
        }
    }
    if kept.is_empty() { Err(480) } else { Ok(kept) }
}

/// RFC 3261 §16.6 step 2: what was asked for as sips goes on as sips; a phone's own contact stays as it registered it.
fn as_sips(uri: &Uri, target: &Uri) -> Uri {
    let same = uri.user() == target.user() && uri.scheme() == Scheme::Sip;
    let text = uri.as_str().get(4..).filter(|_| same);
    text.and_then(|rest| Uri::parse(&format!("sips:{rest}")).ok())
        .unwrap_or_else(|| uri.clone())
}

/// The same for what is forwarded.
pub(super) fn onward_secure(request: &Message, ways: Vec<Onward>) -> Vec<Onward> {
    if !wants_sips(request) {
        return ways;
    }
    let secure = |mut way: Onward| {
        way.next.retain(is_secure);
        (way.wanted.is_some() || is_secure(&way.flow)).then_some(way)
    };
    ways.into_iter().filter_map(secure).collect()
}

impl Engine {
    pub(super) fn refuse_sips(&mut self, now: Instant, server: ServerHandle, request: &Message) {
        let domain = &self.settings.domain;
        let draft = request
            .respond(480)
            .to_tag(&request.stateless_tag(&self.settings.key))
            .reason_phrase(NOT_ALLOWED)
            .header(HeaderName::Warning, format_args!("380 {domain} \"{NOT_ALLOWED}\""))
            .header(HeaderName::Reason, format_args!("SIP;cause=480;text=\"{NOT_ALLOWED}\""));
        self.answer(now, server, &draft);
    }
}
