//! Transactions: RFC 3261 §17 as amended by RFC 6026 (Accepted, timers L and M) and RFC 4320 (non-INVITE manners).
//!
//! **Owns** what makes one request and its responses arrive over a network that loses, doubles and reorders:
//! retransmission and its timers A–M, the absorbing of what comes twice, the ACK for a final response that is no 2xx,
//! CANCEL on both sides (RFC 3261 §9) with its own 200 or 481, the 100 after 200 ms, and the matching of messages to
//! transactions ([`Transactions::receive`]).
//!
//! **Refuses** to know dialogs: the ACK of a 2xx and the repetition of a 2xx are the leg's (it hands them in through
//! [`Transactions::send_ack`] and [`Transactions::respond`]). No timer C, no routing, no authentication. A handle or a
//! branch whose transaction has ended does nothing, quietly.
//!
//! The four machines have a file each with its transition table: `client_invite`, `client_other`, `server_invite`,
//! `server_other`. What the table around them does:
//!
//! | a message | finds | becomes |
//! |---|---|---|
//! | response with a branch of ours | its client transaction, by array index | [`Received::Response`] or nothing |
//! | response with any other branch | nothing, and no table is touched | nothing (RFC 6026 §6: no stray responses) |
//! | request that matches | its server transaction | nothing: the last response goes out again |
//! | CANCEL | itself, then the INVITE of its branch | [`Received::Cancel`]; 200 or 481 has been sent |
//! | ACK | the INVITE of its branch | nothing after 300–699, else [`Received::Ack`] |
//! | any other request | nothing | [`Received::Request`] |
//!
//! A client transaction ends with exactly one event: [`Event::TimedOut`], [`Event::TransportFailed`] or
//! [`Event::Ended`]. Time is an argument; after each call drain [`Transactions::poll_transmit`] and
//! [`Transactions::poll_event`], and come back at [`Transactions::poll_timeout`].
//!
//! ```
//! use std::time::{Duration, Instant};
//! use warmline::sip::{Draft, HeaderName, Message, Method};
//! use warmline::transaction::{Received, Timers, Transactions};
//! use warmline::transport::{Flow, Transport};
//!
//! let now = Instant::now();
//! let flow = Flow {
//!     transport: Transport::Udp,
//!     local: "192.0.2.1:5060".parse().unwrap(),
//!     remote: "192.0.2.2:5060".parse().unwrap(),
//!     connection: 0,
//! };
//! let mut here: Transactions<&str> = Transactions::new(Timers::default(), [1; 16]);
//! let options = Draft::request(&Method::Options, "sip:192.0.2.2")
//!     .header(HeaderName::MaxForwards, 70)
//!     .header(HeaderName::From, "<sip:192.0.2.1>;tag=a")
//!     .header(HeaderName::To, "<sip:192.0.2.2>")
//!     .header(HeaderName::CallId, "c1")
//!     .header(HeaderName::CSeq, "1 OPTIONS");
//! here.request(now, flow, "192.0.2.1:5060", &options, "mine");
//! let first = here.poll_transmit().unwrap();
//!
//! // Nothing comes back for half a second: timer E sends the same bytes again.
//! let at = here.poll_timeout().unwrap();
//! assert_eq!(at, now + Duration::from_millis(500));
//! here.handle_timeout(at);
//! assert_eq!(here.poll_transmit().unwrap().bytes, first.bytes);
//!
//! // The other side answers once; the response finds its transaction by the branch.
//! let mut there: Transactions<()> = Transactions::new(Timers::default(), [2; 16]);
//! let back = Flow { local: flow.remote, remote: flow.local, ..flow };
//! let request = Message::parse(first.bytes).unwrap();
//! let Some(Received::Request { server, message }) = there.receive(at, back, request) else { panic!() };
//! there.respond(at, server, message.respond(200).to_tag("b").print(), 200);
//! let response = Message::parse(there.poll_transmit().unwrap().bytes).unwrap();
//! assert!(matches!(here.receive(at, flow, response), Some(Received::Response { user: "mine", .. })));
//! ```

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use compact_str::CompactString;

use crate::sip::{Message, Method};
use crate::transport::Flow;

mod client;
mod client_invite;
mod client_other;
mod deadlines;
mod key;
mod large;
mod server;
mod server_invite;
mod server_other;
mod slots;
mod timers;
mod words;

pub use large::SentAck;
pub use timers::{TRYING_AFTER, Timers};
pub use words::{ClientHandle, Event, Received, ServerHandle, Transmit};

use client::Client;
use deadlines::{Deadlines, Front};
use key::{Index, Keys};
use server::Server;
use slots::Slots;

/// Whose deadline or flow it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Whose {
    Client(ClientHandle),
    Server(ServerHandle),
}

/// All transactions of an engine. `U` is what a user wants back with the responses to its request.
pub struct Transactions<U> {
    timers: Timers,
    keys: Keys,
    clients: Slots<Client<U>>,
    servers: Slots<Server>,
    /// Server transactions by key, and the first of those that may be merged by theirs. Never iterated.
    index: Index<ServerHandle>,
    deadlines: Deadlines<Whose>,
    /// Transactions on connections, by their remote: what ends with a connection is found without a search.
    connected: BTreeSet<(SocketAddr, Whose)>,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event<U>>,
    large: Vec<Large>,
}

/// A place that is reached by UDP, and by TCP with what is too large for a datagram (RFC 3261 §18.1.1). Phones are no such
/// places: behind a NAT nothing reaches them but the flow that they opened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Large {
    /// The place.
    pub remote: SocketAddr,
    /// Our address of the connection.
    pub local: SocketAddr,
    /// Our name in its Via.
    pub sent_by: CompactString,
}

impl<U: Clone + fmt::Debug> Transactions<U> {
    /// No transactions. The seed must be unpredictable and of this process alone: a branch must be unique in space and
    /// time (RFC 3261 §8.1.1.7), and it is so through the seed.
    pub fn new(timers: Timers, seed: [u8; 16]) -> Transactions<U> {
        Transactions::starting_at(timers, seed, 0)
    }

    /// The same, with generations that start here: a test starts them near their wrap.
    pub fn starting_at(timers: Timers, seed: [u8; 16], generation: u32) -> Transactions<U> {
        Transactions {
            timers,
            keys: Keys::new(seed),
            clients: Slots::new(generation),
            servers: Slots::new(generation),
            index: Index::default(),
            deadlines: Deadlines::new(),
            connected: BTreeSet::new(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            large: Vec::new(),
        }
    }

    /// From now on, large requests to these places go over TCP.
    pub fn large_to(&mut self, places: Vec<Large>) {
        self.large = places;
    }

    /// A message has come on `flow`. `None`: there is nothing to do for it.
    ///
    /// A response is taken from any flow (its branch proves that it answers us); a request is stamped with the flow's
    /// source (RFC 3261 §18.2.1) and answered there.
    pub fn receive(&mut self, now: Instant, flow: Flow, message: Message) -> Option<Received<U>> {
        if message.is_request() {
            self.receive_request(now, flow, message)
        } else {
            self.receive_response(now, message)
        }
    }

    /// Time has come to `now`: everything due by then happens, in the order of its deadlines.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.prune();
        while let Some((at, whose)) = self.deadlines.front() {
            if at > now {
                return;
            }
            match whose {
                Whose::Client(client) => self.client_timeout(now, client),
                Whose::Server(server) => self.server_timeout(now, server),
            }
            self.prune();
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.front().map(|(at, _)| at)
    }

    /// A flow has failed: a send did, or its connection is closed. Users of that flow that still wait for something are
    /// told by event, in no other order than that of their handles.
    pub fn flow_failed(&mut self, now: Instant, flow: &Flow) {
        let failed: Vec<Whose> = if flow.transport.is_reliable() {
            let first = Whose::Client(ClientHandle { slot: 0, generation: 0 });
            self.connected
                .range((flow.remote, first)..)
                .take_while(|(remote, _)| *remote == flow.remote)
                .map(|(_, whose)| *whose)
                .collect()
        } else {
            let clients = self
                .clients
                .iter()
                .map(|((slot, generation), _)| Whose::Client(ClientHandle { slot, generation }));
            let servers = self
                .servers
                .iter()
                .map(|((slot, generation), _)| Whose::Server(ServerHandle { slot, generation }));
            clients.chain(servers).collect()
        };
        for whose in failed {
            match whose {
                Whose::Client(client) => self.client_flow_failed(now, client, flow),
                Whose::Server(server) => self.server_flow_failed(server, flow),
            }
        }
    }

    /// The next message to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next thing to know.
    pub fn poll_event(&mut self) -> Option<Event<U>> {
        self.events.pop_front()
    }

    /// Whether a message belongs to a transaction here: a response by its branch, also when that transaction has ended, a
    /// request by RFC 3261 §17.2.3, an ACK or a CANCEL by its INVITE, too.
    pub fn has(&self, message: &Message) -> bool {
        if !message.is_request() {
            return message.branch().is_some_and(|branch| self.keys.open(branch).is_some());
        }
        let Some(via) = message.top_via() else { return false };
        let known = |method: &Method| {
            let key = self.keys.request(message, &via, method.as_str());
            key.is_some_and(|key| self.index.contains_key(&key))
        };
        let of_invite = matches!(message.method(), Method::Ack | Method::Cancel) && known(&Method::Invite);
        of_invite || known(message.method())
    }

    /// How many client and server transactions there are.
    pub fn live(&self) -> (usize, usize) {
        (self.clients.len(), self.servers.len())
    }

    /// Sends bytes that belong to no transaction: a response to what could not be parsed, a stateless refusal.
    pub fn send_stateless(&mut self, flow: Flow, bytes: Bytes) {
        self.transmit(flow, bytes);
    }

    fn transmit(&mut self, flow: Flow, bytes: Bytes) {
        if flow.is_sendable() && !bytes.is_empty() {
            self.transmits.push_back(Transmit { flow, bytes });
        }
    }

    /// Frees the index's front of what is stale, so that [`poll_timeout`](Self::poll_timeout) tells the truth.
    fn prune(&mut self) {
        while let Some((at, whose)) = self.deadlines.front() {
            let (deadline, armed) = match whose {
                Whose::Client(handle) => match self.clients.get_mut(handle.slot, handle.generation) {
                    Some(client) => (client.deadline(), &mut client.armed),
                    None => {
                        self.deadlines.pop(false);
                        continue;
                    }
                },
                Whose::Server(handle) => match self.servers.get_mut(handle.slot, handle.generation) {
                    Some(server) => (server.deadline(), &mut server.armed),
                    None => {
                        self.deadlines.pop(false);
                        continue;
                    }
                },
            };
            match Front::of(at, deadline, *armed) {
                Front::Stale => self.deadlines.pop(false),
                Front::Idle => {
                    *armed = None;
                    self.deadlines.pop(true);
                }
                Front::Later(later) => {
                    *armed = Some(later);
                    self.deadlines.postpone(later);
                }
                Front::Valid => return,
            }
        }
    }

    /// After a transaction has changed: only its own entry can have become stale at the front.
    fn prune_if_front(&mut self, whose: Whose) {
        if self.deadlines.front().is_some_and(|(_, front)| front == whose) {
            self.prune();
        }
        if self.deadlines.is_littered() {
            let (clients, servers) = (&self.clients, &self.servers);
            self.deadlines.sweep(|at, whose| {
                let armed = match whose {
                    Whose::Client(handle) => clients.get(handle.slot, handle.generation).and_then(|c| c.armed),
                    Whose::Server(handle) => servers.get(handle.slot, handle.generation).and_then(|s| s.armed),
                };
                armed == Some(at)
            });
        }
    }
}

impl<U> fmt::Debug for Transactions<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transactions")
            .field("clients", &self.clients.len())
            .field("servers", &self.servers.len())
            .finish_non_exhaustive() // the seed stays out of logs
    }
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
