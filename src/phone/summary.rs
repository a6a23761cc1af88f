//! One message in one line, for ladders.

use crate::sdp::{Description, Direction};
use crate::sip::{HeaderName, Message, Method, ReferTo, Sipfrag};

use super::transfer::user_of;

/// The message in one line: what it is, and what of it decides a transfer — the description's media address and direction,
/// Replaces, the target of a REFER, the sipfrag of a NOTIFY. No tags, so that ladders can be compared.
///
/// ```
/// let bytes = "BYE sip:bob@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r\nMax-Forwards: 70\r\n\
///              From: <sip:alice@a>;tag=1\r\nTo: <sip:bob@a>;tag=2\r\nCall-ID: x\r\nCSeq: 3 BYE\r\nContent-Length: 0\r\n\r\n";
/// let message = warmline::sip::Message::parse(bytes.into()).expect("a message");
/// assert_eq!(warmline::phone::summary(&message), "BYE bob");
/// ```
pub fn summary(message: &Message) -> String {
    let mut line = match message.status() {
        Some(status) => format!("{status} {}", message.method()),
        None => format!(
            "{} {}",
            message.method(),
            user_of(message.request_uri().unwrap_or_default())
        ),
    };
    if message.method() == &Method::Refer
        && message.is_request()
        && let Ok(refer_to) = ReferTo::of(message)
    {
        line.push_str(&format!(" to {}", user_of(refer_to.target.uri.as_str())));
        line.push_str(if refer_to.replaces.is_some() {
            " with Replaces"
        } else {
            ""
        });
    }
    if message.header(HeaderName::Replaces).is_some() {
        line.push_str(" replaces");
    }
    if let Some(sipfrag) = Sipfrag::parse(&message.body()) {
        line.push_str(&format!(" says {}", sipfrag.status));
    }
    if let Some(state) = message.text(HeaderName::SubscriptionState) {
        line.push_str(&format!(" {}", state.split(';').next().unwrap_or_default()));
    }
    if let Some(description) = description(message) {
        let direction = match description.direction() {
            Direction::SendRecv => "sendrecv",
            Direction::SendOnly => "sendonly",
            Direction::RecvOnly => "recvonly",
            Direction::Inactive => "inactive",
        };
        match description.media_address() {
            Some((host, port)) => line.push_str(&format!(" [{host}:{port} {direction}]")),
            None => line.push_str(&format!(" [{direction}]")),
        }
    }
    line
}

/// The message's session description, if it has a readable one.
pub(super) fn description(message: &Message) -> Option<Description> {
    let content_type = message.text(HeaderName::ContentType)?;
    let is_sdp = content_type
        .split(';')
        .next()
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/sdp"));
    if !is_sdp || message.body().is_empty() {
        return None;
    }
    Description::parse(message.body()).ok()
}
