//! What goes into the engine and what comes out of it.
//!
//! Everything that waits is outside: the driver turns bytes and API calls into an [`Input`], and performs each
//! [`Output`]. One [`Command`] and [`Event`] vocabulary serves the HTTP API, the command line, the tests and an
//! embedding host alike; the dialects under `api/` only translate it.

use bytes::Bytes;

use super::{Settings, Stored};
use crate::media::{MediaCommand, MediaEvent};
use crate::transport::locate::{Found, LookupFailed, Wanted};
use crate::transport::{Flow, Transport};
use crate::vocabulary::{Command, CommandId, Event, Refusal, Reply};

/// Names a look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LookupId(pub u64);

/// What the outside tells the engine.
#[derive(Debug)]
pub enum Input {
    /// One whole message: a datagram, or what [`crate::transport::StreamFramer`] cut from a stream.
    Received {
        /// Where it came from.
        flow: Flow,
        /// The message.
        bytes: Bytes,
    },
    /// The flow can carry no more messages: a connection closed, could not be opened, or a send failed.
    FlowFailed {
        /// The flow, as it was given in [`Output::Transmit`] or [`Input::Received`].
        flow: Flow,
    },
    /// What came of an [`Output::Resolve`]. One that never comes is given up by the engine itself.
    Resolved {
        /// Its id.
        id: LookupId,
        /// Where the host leads.
        found: Result<Found, LookupFailed>,
    },
    /// What an earlier process had the host keep ([`Output::Store`]). Once, before the first message.
    Restored {
        /// All of it, in any order. Needs [`Engine::keeping`](super::Engine::keeping) for more than registrations.
        records: Vec<Stored>,
    },
    /// After [`Input::Restored`]: the earlier process still runs beside this one, to finish what cannot be handed over
    /// ([`Engine::knows`](super::Engine::knows)).
    Beside {
        /// Connections that it keeps open for this one, as they are named in messages from now on.
        flows: Vec<Flow>,
        /// Media ports that it needs itself.
        ports: Vec<u16>,
    },
    /// The process of [`Input::Beside`] has ended.
    Alone,
    /// Other nodes of the cluster keep these registrations now, in place of what was known of the same users.
    Learned {
        /// All bindings of each.
        users: Vec<crate::registrar::StoredUser>,
        /// They have just changed. Else they were read, and what stands there of a connection to us is of an earlier process.
        live: bool,
    },
    /// What the host kept is lost (a shared store that came back empty): everything is to be kept once more.
    StoreForgot,
    /// Other settings from now on. Taken over: users, routes, peers, transfer and hold policy, ring timeout, bounds of
    /// bindings, digest algorithms. Everything else stays as the engine began; calls go on.
    Reloaded {
        /// The new ones.
        settings: Box<Settings>,
    },
    /// The edge is about to stop: new calls are refused with 503 and Retry-After, running ones go on.
    Draining {
        /// In how many seconds callers may try again.
        retry_after: u32,
    },
    /// An order from an API client; answered by exactly one [`Output::Reply`] with the same id.
    Command {
        /// Echoed in the reply.
        id: CommandId,
        /// The order.
        command: Command,
    },
    /// What the packet half of media tells.
    Media(MediaEvent),
}

/// What the engine asks the outside to do.
#[derive(Debug)]
pub enum Output {
    /// Send this message. A stream flow with connection 0 means: any connection to that remote address, opened if there is none.
    Transmit {
        /// Where to.
        flow: Flow,
        /// One whole message.
        bytes: Bytes,
    },
    /// Find out where this leads (RFC 3263 §4) with [`Locate`](crate::transport::locate::Locate), and tell it by
    /// [`Input::Resolved`] with the same id. Never for a host that is an address. What is asked often should be kept for
    /// as long as its records live: the engine asks for every call.
    Resolve {
        /// Names the question.
        id: LookupId,
        /// The host, with what its URI says.
        wanted: Wanted,
        /// The transports that we can send by, the favourite first.
        ours: Vec<Transport>,
        /// For the dice among servers of one priority (RFC 2782).
        seed: u64,
    },
    /// Keep these for the next process, all of them or none, each in place of what was kept of the same before. They come
    /// before whatever else follows from the same input.
    Store {
        /// What is new.
        changes: Vec<Stored>,
    },
    /// An order for the packet half of media. What it is about may be told to a party by the next message.
    Media(MediaCommand),
    /// Something happened that an observer may want to know.
    Event(Event),
    /// The answer to a command.
    Reply {
        /// The command's id.
        id: CommandId,
        /// What came of it.
        reply: Result<Reply, Refusal>,
    },
}
