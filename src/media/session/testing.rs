//! What tests of one session share.

use crate::media::{Endpoint, LocalPort, Payload, Security};
use crate::sdp::Direction;

/// An endpoint without a remote side.
pub(in crate::media) fn endpoint() -> Endpoint {
    Endpoint {
        local: LocalPort::Own(40_000),
        remote: None,
        remote_rtcp: None,
        latch: false,
        source: None,
        security: Security::None,
        receive: Vec::<Payload>::new(),
        send: Vec::new(),
        direction: Direction::SendRecv,
        adopted: false,
        ssrc: 1,
        cname: "edge".into(),
        packet_ms: 20,
    }
}
