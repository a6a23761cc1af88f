//! Messages that are too large for a datagram (RFC 3261 §18.1.1): by connection where the place takes one, with the datagram in
//! reserve.
//!
//! | message | goes by connection | and if that fails |
//! |---|---|---|
//! | request of ours, or one that a proxy splices | above 1,300 octets | the datagram, by its transaction, while nothing was heard |
//! | ACK of a 2xx | above 1,300 octets | the datagram, when the 2xx comes again |

use std::fmt;

use bytes::Bytes;
use compact_str::CompactString;

use super::Transactions;
use crate::sip::Draft;
use crate::transport::{Flow, Transport, ViaParam};

/// RFC 3261 §18.1.1: a request within 200 octets of an MTU that nobody knows goes over a congestion-controlled transport.
const LARGE: usize = 1_300;

/// A request as it goes out first, and as it goes out if that fails.
pub(super) struct Printed {
    pub(super) flow: Flow,
    pub(super) bytes: Bytes,
    pub(super) fallback: Option<Box<(Flow, Bytes)>>,
}

/// An ACK that went out.
#[derive(Clone, Debug)]
pub struct SentAck {
    /// The connection that it went by, because it was too large for a datagram.
    pub stream: Option<Flow>,
    /// As it went out.
    pub bytes: Bytes,
    /// The same for a datagram, if it went out otherwise.
    datagram: Option<Bytes>,
}

/// RFC 3261 §18.1.1: what is too large for a datagram goes over the connection, with the datagram in reserve.
pub(super) fn printed(
    flow: Flow,
    sent_by: &str,
    stream: Option<(Flow, CompactString)>,
    branch: &str,
    print: impl Fn(ViaParam<'_>) -> Bytes,
) -> Printed {
    let by = |transport, sent_by: &str| {
        print(ViaParam {
            transport,
            sent_by,
            branch,
        })
    };
    let bytes = by(flow.transport, sent_by);
    match stream {
        Some((stream, sent_by)) if bytes.len() > LARGE => Printed {
            flow: stream,
            bytes: by(stream.transport, &sent_by),
            fallback: Some(Box::new((flow, bytes))),
        },
        Some(_) | None => Printed {
            flow,
            bytes,
            fallback: None,
        },
    }
}

impl<U: Clone + fmt::Debug> Transactions<U> {
    /// RFC 3261 §18.1.1: the connection that takes what is too large for a datagram on this flow, and our name on it.
    pub(super) fn stream_for(&self, flow: &Flow) -> Option<(Flow, CompactString)> {
        if flow.transport.is_reliable() {
            return None;
        }
        let found = self.large.iter().find(|large| large.remote == flow.remote)?;
        let stream = Flow {
            transport: Transport::Tcp,
            local: found.local,
            remote: found.remote,
            connection: 0,
        };
        Some((stream, found.sent_by.clone()))
    }

    /// Sends the ACK of a 2xx and gives it back, to be sent again when the 2xx comes again (RFC 3261 §13.2.2.4).
    /// It has a branch of its own and no transaction: nothing answers an ACK.
    pub fn send_ack(&mut self, flow: Flow, sent_by: &str, draft: &Draft) -> SentAck {
        let branch = self.keys.branch_of_ack();
        let stream = self.stream_for(&flow);
        let printed = printed(flow, sent_by, stream, branch.as_str(), |via| draft.print_with_via(via));
        let Printed { flow, bytes, fallback } = printed;
        self.transmit(flow, bytes.clone());
        SentAck {
            stream: fallback.is_some().then_some(flow),
            bytes,
            datagram: fallback.map(|fallback| fallback.1),
        }
    }

    /// Sends an ACK again, on the flow that its dialog has now. RFC 3261 §18.1.1: one that was too large for a datagram and
    /// did not arrive goes as a datagram from now on; there is no transaction that could have told that its connection failed.
    pub fn send_ack_again(&mut self, flow: Flow, ack: &mut SentAck) {
        if let Some(datagram) = ack.datagram.take() {
            (ack.stream, ack.bytes) = (None, datagram);
        }
        self.transmit(flow, ack.bytes.clone());
    }
}
