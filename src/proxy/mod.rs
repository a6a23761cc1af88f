//! The proxy: what becomes of a request that is no INVITE and belongs to no dialog of the edge.
//!
//! **Owns** the decision ([`Proxy::what_to_do`]), the checks and edits of a request that passes ([`Proxy::forward`],
//! [`Proxy::register_through`]), the reading of the Route by which a request comes back to a phone
//! ([`Proxy::flow_of_route`]), and the way of a response ([`response_back`]).
//!
//! **Refuses** to let anything fall through: a request is answered, refused, or passed on purpose (LESSONS 11). It
//! forwards to the PBX and to flows that the edge has sealed, never to where a Request-URI points: an edge that resolved
//! foreign hosts for strangers would be an open relay. It authenticates nobody: the engine challenges a request from an
//! untrusted source first (LESSONS 40, [`crate::registrar::Registrar::authenticate`]), unless the PBX does. Forks and the
//! best answer are the engine's, which knows the bindings; INVITE, ACK, CANCEL and REGISTER have procedures of their own.
//!
//! RFC 3261 §16.3 (validation), §16.4 (own Route), §16.6 (forwarding), §16.7 (response), §11 (OPTIONS), §8.2.1 (405, 501); RFC 5393 §4 (loops), RFC 5658 §4 (two Record-Routes)
//! · RFC 3327 §5.1 (Path) · RFC 5626 §5 (flow token) · RFC 4320 (non-INVITE).
//!
//! | request without a dialog of ours | from a phone, PBX there | from a phone, no PBX | from the PBX |
//! |---|---|---|---|
//! | OPTIONS to the edge itself, or with Max-Forwards 0 | 200 | 200 | 200 |
//! | OPTIONS to a user, MESSAGE | to the PBX | to the user's bindings | to the user's bindings |
//! | SUBSCRIBE | to the PBX | 405 | to the user's binding |
//! | NOTIFY | 481 | 481 | to the user's binding |
//! | PUBLISH | to the PBX | 405 | 405 |
//! | these, along a sealed Route | to the PBX | 403 | to the sealed flow |
//! | these, with a To tag and no sealed Route | 481 | 481 | 481 |
//! | along a Route with a token that is not ours | 403 | 403 | 403 |
//! | REFER | 403 | 403 | 403 |
//! | BYE, INFO, REFER with a To tag | 481 | 481 | 481 |
//! | a known method that [`crate::sip::ALLOW`] does not list | 405 | 405 | 405 |
//! | a method nobody knows | 501 | 501 | 501 |
//! | INVITE, ACK, CANCEL, REGISTER | [`Decision::NotMine`] | same | same |
//!
//! ```
//! use warmline::proxy::{Decision, Proxy, ProxyConfig, Side};
//! use warmline::sip::Message;
//! use warmline::transport::FlowSeal;
//!
//! let proxy = Proxy::new(ProxyConfig {
//!     domain: "example.com".into(),
//!     edges: vec!["192.0.2.1:5060".into()],
//!     pbx_host: None,
//!     key: [7; 16],
//! });
//! let options = "OPTIONS sip:192.0.2.1 SIP/2.0\r\n\
//!     Via: SIP/2.0/UDP 198.51.100.7;branch=z9hG4bK1\r\n\
//!     From: <sip:alice@example.com>;tag=1\r\nTo: <sip:192.0.2.1>\r\n\
//!     Call-ID: o1\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n";
//! let options = Message::parse(options.into()).unwrap();
//! let decision = proxy.what_to_do(&options, Side::Phone, &FlowSeal::new([7; 16]));
//! let Decision::AnswerHere(response) = decision else { panic!() };
//! assert_eq!(response.status(), Some(200));
//! ```

use crate::sip::{Draft, Message};

mod decide;
mod forward;
mod loops;
mod route;
#[cfg(test)]
mod tests;

pub use decide::{Decision, Side};
pub use forward::{Refused, response_back};
pub use route::OwnRoute;

/// What the proxy is told.
#[derive(Clone, Debug)]
pub struct ProxyConfig {
    /// The SIP domain that is served here.
    pub domain: String,
    /// Every `host` or `host:port` by which others name this edge: the advertised addresses of its listeners.
    pub edges: Vec<String>,
    /// Host part (`host` or `host:port`) of the PBX, which takes the place of the edge's own in Request-URIs; `None`: no PBX.
    pub pbx_host: Option<String>,
    /// Makes the To tags of refusals.
    pub key: [u8; 16],
}

/// The procedures of RFC 3261 §16, without any state.
#[derive(Clone, Debug)]
pub struct Proxy {
    config: ProxyConfig,
}

impl Proxy {
    /// A proxy for this edge.
    pub fn new(config: ProxyConfig) -> Proxy {
        Proxy { config }
    }

    /// A final response with a To tag: for whatever the engine has to refuse without a dialog.
    pub fn answer(&self, request: &Message, status: u16) -> Draft {
        request.respond(status).to_tag(&request.stateless_tag(&self.config.key))
    }
}
