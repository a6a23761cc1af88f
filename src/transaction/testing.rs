//! What the unit tests of this room share.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Timers;
use crate::sip::Message;
use crate::transport::{Flow, Transport};

/// An instant to count from. Tests advance it by hand; nothing waits.
#[expect(clippy::disallowed_methods, reason = "the only instant there is to begin with")]
pub(super) fn start() -> Instant {
    Instant::now()
}

pub(super) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(super) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) const TIMERS: Timers = Timers {
    t1: ms_const(500),
    t2: ms_const(4000),
    t4: ms_const(5000),
};

const fn ms_const(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(super) fn flow(transport: Transport) -> Flow {
    Flow {
        transport,
        local: "192.0.2.1:5060".parse().unwrap(),
        remote: "192.0.2.9:5060".parse().unwrap(),
        connection: if transport.is_reliable() { 7 } else { 0 },
    }
}

/// A request as text, with its Via and To values.
pub(super) fn request_text(method: &str, via: &str, to: &str) -> String {
    format!(
        "{method} sip:bob@192.0.2.9 SIP/2.0\r\nVia: {via}\r\nRoute: <sip:p1.example.com;lr>\r\n\
         Route: <sip:p2.example.com;lr>\r\nMax-Forwards: 70\r\nFrom: \"A\" <sip:a@example.com>;tag=a1\r\nTo: {to}\r\n\
         Call-ID: c1@192.0.2.1\r\nCSeq: 7 {method}\r\nContact: <sip:a@192.0.2.1>\r\nContent-Length: 0\r\n\r\n"
    )
}

pub(super) fn request(method: &str, via: &str, to: &str) -> Message {
    Message::parse(Bytes::from(request_text(method, via, to))).unwrap()
}

/// An INVITE of ours, printed.
pub(super) fn invite() -> Bytes {
    Bytes::from(request_text(
        "INVITE",
        "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKours;rport",
        "<sip:bob@example.com>",
    ))
}

/// A response to [`invite`].
pub(super) fn response(status: u16) -> Message {
    let draft = Message::parse(invite()).unwrap().respond(status);
    Message::parse(draft.to_tag("b1").print()).unwrap()
}
