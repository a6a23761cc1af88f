//! A request that passes, and the response on its way back: RFC 3261 §16.3, §16.6, §16.7. Everything that is not edited
//! here goes on byte for byte.

use bytes::Bytes;
use compact_str::CompactString;
use std::fmt::Display;

use super::{OwnRoute, Proxy};
use crate::sip::{Draft, Forward, HeaderName, Message, Uri, unsupported_by_proxy};
use crate::transport::{Flow, FlowSeal, Transport};

/// RFC 3261 §16.6 step 3: where the request has no Max-Forwards.
const MAX_FORWARDS: u8 = 70;

/// The refusal of a request that may not pass.
pub type Refused = Box<Draft>;

impl Proxy {
    /// A REGISTER on its way to the PBX (RFC 3327 §5.1). Our Path, a sealed token of the phone's `flow`, brings every
    /// request for this contact back to that flow. `edge_host` is our advertised `host:port` and `transport` the
    /// transport on which the PBX reaches it.
    ///
    /// The transaction layer adds the Via: hand
    /// `|branch| forward.push_via(ViaParam { transport, sent_by, branch }).print()` to
    /// [`crate::transaction::Transactions::forward`].
    ///
    /// Refusals: 400, 403, 416, 420, 483.
    pub fn register_through<'m>(
        &self,
        request: &'m Message,
        flow: &Flow,
        seal: &FlowSeal,
        edge_host: &str,
        transport: Transport,
    ) -> Result<Forward<'m>, Refused> {
        let mut forward = self.forward(request, seal, None)?;
        // RFC 5626 §5.1: `ob` promises that the flow is kept, and only its first hop may promise it. Over UDP the promise
        // would need STUN on this port.
        let first_hop = request.values(HeaderName::Via).count() == 1;
        let ob = if first_hop && flow.transport.is_reliable() {
            ";ob"
        } else {
            ""
        };
        let token = seal.token(flow);
        let transport = transport.param();
        forward = forward.push(
            HeaderName::Path,
            format_args!("<sip:{token}@{edge_host};transport={transport};lr{ob}>"),
        );
        // A registrar refuses a Path that the phone did not say it supports (RFC 3327 §5.3); the phone loses nothing.
        if !request.has_token(HeaderName::Supported, "path") {
            forward = forward.push(HeaderName::Supported, "path");
        }
        Ok(forward)
    }

    /// Any other request on its way: to the PBX, or with `target` as its new Request-URI to a phone.
    ///
    /// Refusals: 400, 403 for a Route that was not sealed here, 416, 420, 483.
    pub fn forward<'m>(
        &self,
        request: &'m Message,
        seal: &FlowSeal,
        target: Option<&Uri>,
    ) -> Result<Forward<'m>, Refused> {
        // RFC 3261 §16.3 step 2.
        let Ok(uri) = Uri::parse(request.request_uri().unwrap_or_default()) else {
            return Err(self.refuse(request, 400, "Bad Request-URI"));
        };
        // Step 3.
        let hops = match (
            request.header(HeaderName::MaxForwards),
            request.number(HeaderName::MaxForwards),
        ) {
            (None, _) => MAX_FORWARDS,
            (Some(_), Some(0)) => return Err(Box::new(self.answer(request, 483))),
            (Some(_), Some(hops)) => u8::try_from(hops).unwrap_or(u8::MAX) - 1,
            (Some(_), None) => return Err(self.refuse(request, 400, "Bad Max-Forwards header")),
        };
        // Step 5.
        let unknown = unsupported_by_proxy(request);
        if !unknown.is_empty() {
            return Err(Box::new(
                self.answer(request, 420)
                    .header(HeaderName::Unsupported, unknown.join(", ")),
            ));
        }
        let forward = Forward::new(request).max_forwards(hops);
        // §16.4: our own Route has done its work.
        let forward = match self.flow_of_route(request, seal) {
            OwnRoute::None => forward,
            // RFC 5658 §4: of a double Record-Route both are ours.
            OwnRoute::Plain | OwnRoute::Sealed(_) => forward.pop_routes(self.own_routes(request)),
            OwnRoute::Forged => return Err(self.refuse(request, 403, "Route Is Not Ours")),
        };
        Ok(match (target, &self.config.pbx_host) {
            (Some(target), _) => forward.request_uri(target),
            // A phone that was given our address for its domain means the PBX; any other host is the PBX's to judge.
            (None, Some(pbx)) if self.is_edge(&uri) => forward.request_uri(at_host(&uri, pbx)),
            (None, _) => forward,
        })
    }

    /// The same as [`Proxy::forward`] with a Record-Route on top, for a request that makes a dialog between phone and PBX
    /// (SUBSCRIBE): what they send each other later comes along the sealed flow `phone`, which is the phone's whoever of
    /// the two subscribes. RFC 3261 §16.6 step 4.
    ///
    /// `sides` are our transport and `host:port` towards the sender and towards the next hop. Where they differ there are
    /// two Record-Routes, the next hop's on top, so that each side finds us by what it can reach (RFC 5658 §4).
    pub fn forward_recorded<'m>(
        &self,
        request: &'m Message,
        phone: &Flow,
        seal: &FlowSeal,
        sides: &[(Transport, CompactString); 2],
        target: Option<&Uri>,
    ) -> Result<Forward<'m>, Refused> {
        let mut forward = self.forward(request, seal, target)?;
        let token = seal.token(phone);
        let [sender, next_hop] = sides;
        for (transport, edge_host) in [Some(sender).filter(|sender| *sender != next_hop), Some(next_hop)]
            .into_iter()
            .flatten()
        {
            let transport = transport.param();
            let record = format_args!("<sip:{token}@{edge_host};transport={transport};lr>");
            forward = forward.push(HeaderName::RecordRoute, record);
        }
        Ok(forward)
    }

    pub(super) fn refuse(&self, request: &Message, status: u16, why: impl Display) -> Refused {
        Box::new(self.answer(request, status).reason_phrase(&why.to_string()))
    }
}

/// The same URI at another host; its parameters said how to reach us and are left out, its user part stays as it came.
fn at_host(uri: &Uri, host: &str) -> String {
    match uri.user() {
        Some(user) => format!("sip:{user}@{host}"),
        None => format!("sip:{host}"),
    }
}

/// A response on its way back: without our Via, which is the top one (RFC 3261 §16.7 step 3).
pub fn response_back(response: &Message) -> Bytes {
    Forward::new(response).pop_via().print()
}
