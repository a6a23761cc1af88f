//! What goes in and out of the table: handles, what a message was, what a timer came to.

use bytes::Bytes;

use crate::sip::Message;
use crate::transport::Flow;

/// Names a client transaction: a request of ours.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ClientHandle {
    pub(super) slot: u32,
    pub(super) generation: u32,
}

/// Names a server transaction: a request that came to us.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ServerHandle {
    pub(super) slot: u32,
    pub(super) generation: u32,
}

/// Bytes to send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transmit {
    /// Where.
    pub flow: Flow,
    /// One whole message.
    pub bytes: Bytes,
}

/// What a message was that has to be acted on.
#[derive(Clone, Debug)]
pub enum Received<U> {
    /// A new request, its top Via stamped. It is to be answered through [`Transactions::respond`](super::Transactions::respond).
    Request {
        /// The transaction that was made for it.
        server: ServerHandle,
        /// The request.
        message: Message,
    },
    /// An ACK for a 2xx, or one that belongs to no INVITE that is known here. It is never answered.
    Ack {
        /// The ACK.
        message: Message,
    },
    /// A CANCEL, which has been answered: 200, or 481 when there is no such INVITE. The user answers the INVITE 487
    /// unless it has already given it a final response (RFC 3261 §9.2).
    Cancel {
        /// The CANCEL's own transaction.
        server: ServerHandle,
        /// The INVITE that it is for.
        invite: Option<ServerHandle>,
        /// The CANCEL.
        message: Message,
    },
    /// A response to a request of ours. After the first 2xx of an INVITE further ones come too: repetitions, which are
    /// to be acknowledged again, and those of other forks (RFC 6026 §8.4).
    Response {
        /// The transaction.
        client: ClientHandle,
        /// What its user gave with the request.
        user: U,
        /// The response.
        message: Message,
    },
}

/// What a transaction came to without a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event<U> {
    /// Timer B or F, or 64*T1 after a CANCEL: no final response has come; as if it had been 408 (RFC 3261 §8.1.3.1).
    TimedOut {
        /// The transaction, which has ended.
        client: ClientHandle,
        /// What its user gave.
        user: U,
    },
    /// The flow failed before a final response: as if it had been 503.
    TransportFailed {
        /// The transaction, which has ended.
        client: ClientHandle,
        /// What its user gave.
        user: U,
    },
    /// A client transaction that has had its final response is over; nothing more will come for it.
    Ended {
        /// The transaction.
        client: ClientHandle,
        /// What its user gave.
        user: U,
    },
    /// A server transaction has ended without what it waited for: the ACK of a 300–699 (timer H), or, for a non-INVITE
    /// request, the user's answer (RFC 4320 §4.2). Nothing is left to do.
    ServerTimedOut {
        /// The transaction.
        server: ServerHandle,
    },
    /// The flow of a server transaction failed and there is no other way to answer (RFC 3261 §17.2.4).
    ServerTransportFailed {
        /// The transaction, which has ended.
        server: ServerHandle,
    },
}
