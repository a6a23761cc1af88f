//! The state of one dialog (RFC 3261 §12), apart from what its usage makes of it.
//!
//! **Owns** the identifier, both parties' header values, the remote target, the route set, and the two sequences;
//! builds every request that goes out within the dialog. **Refuses** to know whether the dialog is early, confirmed
//! or held: that is the leg's; sends nothing.
//!
//! **RFC sections**: RFC 3261 §12.1.1, §12.1.2, §12.2.1.1, §12.2.1.2, §12.2.2, §13.2.2.4; RFC 3311 §5.2 and RFC 6665 §4.4.1
//! (further target refreshes).
//!
//! | value | of a UAS | of a UAC | later |
//! |---|---|---|---|
//! | remote target | Contact of the request | Contact of the response, else the Request-URI | target refreshes |
//! | route set | Record-Route in order | Record-Route in reverse | once more at the first 2xx, then never |
//! | local sequence | empty (0) | CSeq of the request | + 1 a request |
//! | remote sequence | CSeq of the request | empty | CSeq of every request; a lower one: 500 |
//!
//! ```
//! use std::net::SocketAddr;
//! use warmline::dialog::Dialog;
//! use warmline::sip::{HeaderName, Message, Method};
//! use warmline::transport::{Flow, Transport};
//!
//! let invite = Message::parse(bytes::Bytes::from_static(b"INVITE sip:bob@edge SIP/2.0\r\n\
//!     Via: SIP/2.0/UDP pc33;branch=z9hG4bK776\r\nRecord-Route: <sip:p2;lr>, <sip:p1;lr>\r\n\
//!     From: Alice <sip:alice@a.example>;tag=1928\r\nTo: <sip:bob@edge>\r\nCall-ID: a84b4c76e66710\r\n\
//!     CSeq: 314159 INVITE\r\nContact: <sip:alice@pc33>\r\nMax-Forwards: 70\r\n\r\n"))?;
//! let here = SocketAddr::from(([127, 0, 0, 1], 5060));
//! let flow = Flow { transport: Transport::Udp, local: here, remote: here, connection: 0 };
//! let mut dialog = Dialog::from_uas(&invite, "ours", flow)?;
//! let bye = dialog.next_request(&Method::Bye);
//! assert_eq!(bye.request_uri(), Some("sip:alice@pc33"));
//! assert_eq!(bye.get(HeaderName::Route), Some("<sip:p2;lr>, <sip:p1;lr>"));
//! assert_eq!(bye.get(HeaderName::To), Some("Alice <sip:alice@a.example>;tag=1928"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use super::id::DialogId;
use super::route::RouteSet;
use crate::sip::{Draft, HeaderName, Message, Method, NameAddr, ParseError, Scheme, Uri};
use crate::transport::Flow;
use compact_str::{CompactString, format_compact};

/// RFC 3261 §8.1.1.6: the value that a request starts with.
const MAX_FORWARDS: u8 = 70;

/// RFC 3261 §8.1.1.5: a sequence number is less than 2^31.
const LAST_CSEQ: u32 = (1 << 31) - 1;

/// Which side of the dialog's first request we were.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// We sent it, and with it made the Call-ID (RFC 3261 §14.1 asks who did).
    Uac,
    /// We received it.
    Uas,
}

/// Why a message cannot make or change a dialog.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DialogError {
    /// RFC 3261 §8.1.1.8, §12.1.1: a request that can make a dialog has exactly one Contact, a SIP or SIPS URI.
    #[error("Missing or unusable Contact")]
    Contact,
    /// RFC 3261 §12.2.2: lower than a sequence number that has been seen.
    #[error("CSeq {received} out of order")]
    OutOfOrder {
        /// The request's number.
        received: u32,
    },
    /// From, To, Contact or Record-Route does not parse.
    #[error("{}", .0.reason())]
    Parse(#[from] ParseError),
}

impl DialogError {
    /// The status that refuses the request.
    pub fn status(&self) -> u16 {
        match self {
            DialogError::Contact => 400,
            DialogError::OutOfOrder { .. } => 500,
            DialogError::Parse(error) => error.status(),
        }
    }
}

/// One dialog's state. Plain data: what the store keeps of a dialog.
#[derive(Clone, Debug)]
pub struct Dialog {
    /// Call-ID and both tags.
    pub id: DialogId,
    /// Who sent the request that made it.
    pub role: Role,
    /// The value of From in our requests, tag and all.
    pub local: CompactString,
    /// The value of To in our requests, tag and all; as the peer wrote it.
    pub remote: CompactString,
    /// Where the peer wants to be reached.
    pub remote_target: Uri,
    /// The proxies on the way, nearest first.
    pub route_set: RouteSet,
    /// The number of our latest request; 0 if there was none.
    pub local_cseq: u32,
    /// The number of the peer's latest request.
    pub remote_cseq: Option<u32>,
    /// The network association that leads to the peer.
    pub flow: Flow,
}

impl Dialog {
    /// As UAS: the state after our response with `local_tag` to `request` (RFC 3261 §12.1.1).
    pub fn from_uas(request: &Message, local_tag: &str, flow: Flow) -> Result<Dialog, DialogError> {
        let to = value(request, HeaderName::To);
        Ok(Dialog {
            id: DialogId {
                call_id: request.call_id().into(),
                local_tag: local_tag.into(),
                remote_tag: request.from_tag().unwrap_or_default().into(),
            },
            role: Role::Uas,
            local: match request.to_tag() {
                None => format_compact!("{to};tag={local_tag}"),
                Some(_) => to, // the dialog is being made again from a request within it
            },
            remote: value(request, HeaderName::From),
            remote_target: contact(request)?.ok_or(DialogError::Contact)?,
            route_set: RouteSet::of_request(request)?,
            local_cseq: 0,
            remote_cseq: Some(request.cseq()),
            flow,
        })
    }

    /// As UAC: the state after `response` to our `request` (RFC 3261 §12.1.2); each fork's response makes one.
    pub fn from_uac(request: &Draft, response: &Message, flow: Flow) -> Result<Dialog, DialogError> {
        let asked = request.request_uri().unwrap_or_default();
        // What is ours comes from our request: a response could have changed it on the way.
        let local = request.get(HeaderName::From).unwrap_or_default();
        Ok(Dialog {
            id: DialogId {
                call_id: request.get(HeaderName::CallId).unwrap_or_default().into(),
                local_tag: NameAddr::parse(local)?.tag().unwrap_or_default().into(),
                remote_tag: response.to_tag().unwrap_or_default().into(),
            },
            role: Role::Uac,
            local: local.into(),
            remote: value(response, HeaderName::To),
            // A provisional response often comes without Contact: until one tells, the peer is where we called it.
            remote_target: match contact(response)? {
                Some(contact) => contact,
                None => Uri::parse(asked)?.without_headers(),
            },
            route_set: RouteSet::of_response(response)?,
            local_cseq: response.cseq(),
            remote_cseq: None,
            flow,
        })
    }

    /// The first 2xx to the INVITE of an early dialog: RFC 3261 §13.2.2.4 has the route set computed once more.
    pub fn confirm(&mut self, response: &Message) -> Result<(), DialogError> {
        self.route_set = RouteSet::of_response(response)?;
        self.refresh_target(response).map(drop)
    }

    /// Takes the Contact of a target refresh that has been accepted: a request received, or the 2xx to one sent
    /// (RFC 3261 §12.2.2, §12.2.1.2). `true` if the remote target has changed.
    pub fn refresh_target(&mut self, message: &Message) -> Result<bool, DialogError> {
        match contact(message)? {
            Some(target) if refreshes_target(message.method()) && target != self.remote_target => {
                self.remote_target = target;
                Ok(true)
            }
            Some(_) | None => Ok(false),
        }
    }

    /// Checks and takes a received request's sequence number (RFC 3261 §12.2.2). ACK and CANCEL have their INVITE's.
    pub fn check_cseq(&mut self, request: &Message) -> Result<(), DialogError> {
        if matches!(request.method(), Method::Ack | Method::Cancel) {
            return Ok(());
        }
        let received = request.cseq();
        if self.remote_cseq.is_some_and(|seen| received < seen) {
            return Err(DialogError::OutOfOrder { received });
        }
        self.remote_cseq = Some(received);
        Ok(())
    }

    /// The next request within the dialog (RFC 3261 §12.2.1.1): Request-URI, Route, Max-Forwards, From, To, Call-ID
    /// and the next CSeq. Contact, body and the rest are the caller's. For ACK see [`Dialog::ack_for_2xx`].
    pub fn next_request(&mut self, method: &Method) -> Draft {
        self.local_cseq = self.local_cseq.saturating_add(1).min(LAST_CSEQ);
        self.request(method, self.local_cseq)
    }

    /// The ACK for a 2xx to our INVITE number `cseq` (RFC 3261 §13.2.2.4). Credentials, if the INVITE had any, are the
    /// caller's.
    pub fn ack_for_2xx(&self, cseq: u32) -> Draft {
        self.request(&Method::Ack, cseq)
    }

    /// The URI that says where a request within the dialog goes first (RFC 3261 §8.1.2).
    pub fn next_hop(&self) -> &Uri {
        self.route_set.first().unwrap_or(&self.remote_target)
    }

    fn request(&self, method: &Method, cseq: u32) -> Draft {
        let (request_uri, route) = self.route_set.apply(&self.remote_target);
        let draft = Draft::request(method, &request_uri);
        let draft = match route {
            Some(route) => draft.header(HeaderName::Route, route),
            None => draft,
        };
        draft
            .header(HeaderName::MaxForwards, MAX_FORWARDS)
            .header(HeaderName::From, &self.local)
            .header(HeaderName::To, &self.remote)
            .header(HeaderName::CallId, &self.id.call_id)
            .header(HeaderName::CSeq, format_args!("{cseq} {method}"))
    }
}

/// Whether a request of this method, or the 2xx to it, moves the remote target.
pub fn refreshes_target(method: &Method) -> bool {
    match method {
        // RFC 3261 §12.2, RFC 3311 §5.2, RFC 6665 §4.4.1, RFC 3515 (by RFC 6665).
        Method::Invite | Method::Update | Method::Subscribe | Method::Notify | Method::Refer => true,
        Method::Ack
        | Method::Bye
        | Method::Cancel
        | Method::Register
        | Method::Options
        | Method::Prack
        | Method::Info
        | Method::Message
        | Method::Publish
        | Method::Extension(_) => false,
    }
}

/// A header's value as it stands. The field is not all UTF-8, but a display name is no part of the dialog's identity.
fn value(message: &Message, name: HeaderName) -> CompactString {
    let value = message.header(name).unwrap_or_default();
    match std::str::from_utf8(value) {
        Ok(text) => text.into(),
        Err(_) => CompactString::from_utf8_lossy(value),
    }
}

/// RFC 3261 §12.1.1: a remote target is a SIP or SIPS URI. Its headers would become part of our Request-URI.
fn contact(message: &Message) -> Result<Option<Uri>, DialogError> {
    match message.contact()? {
        Some(contact) => match contact.uri.scheme() {
            Scheme::Sip | Scheme::Sips => Ok(Some(contact.uri.without_headers())),
            Scheme::Tel | Scheme::Other => Err(DialogError::Contact),
        },
        None => Ok(None),
    }
}

#[cfg(test)]
#[path = "dialog_tests.rs"]
mod tests;
