//! Requests that come to us: which transaction they belong to, how they are answered, how they end.

use std::collections::hash_map::Entry;
use std::fmt;
use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;

use super::deadlines::Armed;
use super::key::{self, Key};
use super::server_invite::ServerInvite;
use super::server_other::ServerOther;
use super::{Event, Received, ServerHandle, Timers, Transactions, Whose};
use crate::sip::{Message, Method};
use crate::transport::{Flow, Reception, stamped};

/// What a machine wants done.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Step {
    /// Bytes to send to where the request came from.
    pub(super) send: Option<Bytes>,
    /// Whether the user gets the ACK.
    pub(super) pass: bool,
    /// Whether it ended without what it waited for.
    pub(super) timed_out: bool,
}

impl Step {
    pub(super) fn nothing() -> Step {
        Step::default()
    }
    pub(super) fn pass() -> Step {
        Step {
            pass: true,
            ..Step::default()
        }
    }
    pub(super) fn send(bytes: Bytes) -> Step {
        Step {
            send: Some(bytes),
            ..Step::default()
        }
    }
    pub(super) fn timed_out() -> Step {
        Step {
            timed_out: true,
            ..Step::default()
        }
    }
}

/// A request that came to us.
#[derive(Debug)]
pub(super) struct Server {
    /// Where its responses go.
    reply: Flow,
    /// Where else they may be tried once the connection has gone (RFC 3261 §18.2.2).
    fallback: Option<SocketAddr>,
    key: Key,
    /// The key by which merged requests meet, if this is the first of them.
    merge_key: Option<Key>,
    /// The first of them, if this is another (RFC 3261 §8.2.2.2).
    merged_with: Option<ServerHandle>,
    machine: Machine,
    pub(super) armed: Armed,
}

#[derive(Debug)]
enum Machine {
    Invite(ServerInvite),
    Other(ServerOther),
}

impl Server {
    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.machine {
            Machine::Invite(invite) => invite.deadline(),
            Machine::Other(other) => other.deadline(),
        }
    }

    fn is_terminated(&self) -> bool {
        match &self.machine {
            Machine::Invite(invite) => invite.is_terminated(),
            Machine::Other(other) => other.is_terminated(),
        }
    }
}

impl<U: Clone + fmt::Debug> Transactions<U> {
    /// Answers a request: provisional or final, printed, with its status. A 2xx to an INVITE may be handed in again to
    /// be sent again (RFC 6026 §8.5).
    ///
    /// Returns false, and sends nothing, when the transaction has ended or has its final response, and for what RFC
    /// 4320 forbids on a non-INVITE request: 408, a provisional other than 100, a 100 that comes too early over UDP.
    pub fn respond(&mut self, now: Instant, server: ServerHandle, response: Bytes, status: u16) -> bool {
        self.run_server(server, |machine, reliable, timers| match machine {
            Machine::Invite(invite) => invite.respond(now, timers, reliable, response, status),
            Machine::Other(other) => other.respond(now, timers, reliable, response, status),
        })
        .is_some()
    }

    /// Answers a request that nobody has answered yet, once, and forgets it (RFC 3261 §8.2.7): for strangers over UDP,
    /// who could aim the retransmissions of a refusal at somebody else. A request that comes again is a new one, so
    /// that its To tag must be made from the request alone; the ACK of such a refusal comes up as [`Received::Ack`].
    ///
    /// Returns false, and sends nothing, when the transaction has ended or has been answered.
    pub fn respond_and_forget(&mut self, server: ServerHandle, response: Bytes) -> bool {
        let Some(found) = self.servers.get(server.slot, server.generation) else {
            return false;
        };
        match &found.machine {
            Machine::Invite(ServerInvite::Trying { .. }) | Machine::Other(ServerOther::Trying { .. }) => {}
            Machine::Invite(_) | Machine::Other(_) => return false,
        }
        let reply = found.reply;
        self.transmit(reply, response);
        self.free_server(server);
        self.prune_if_front(Whose::Server(server));
        true
    }

    /// The transaction that is still going on for the same request, when this one has come by another way: same From
    /// tag, Call-ID and CSeq, no To tag, another branch. A user agent answers such a merged request with 482 (RFC 3261
    /// §8.2.2.2); a proxy does not care.
    pub fn merged_with(&self, server: ServerHandle) -> Option<ServerHandle> {
        let first = self.servers.get(server.slot, server.generation)?.merged_with?;
        self.servers.get(first.slot, first.generation).map(|_| first)
    }

    /// Where the responses of a request go; `None` when it has ended.
    pub fn reply_flow(&self, server: ServerHandle) -> Option<Flow> {
        self.servers
            .get(server.slot, server.generation)
            .map(|server| server.reply)
    }

    pub(super) fn receive_request(&mut self, now: Instant, flow: Flow, message: Message) -> Option<Received<U>> {
        if *message.method() == Method::Ack {
            return self.receive_ack(now, message);
        }
        // Read once: matching, the way back and the stamp all ask for it.
        let via = message.top_via()?;
        let key = self.keys.request(&message, &via, message.method().as_str())?;
        if let Some(server) = self.index.get(&key).copied() {
            self.receive_again(server);
            return None;
        }
        let reception = Reception::of(&via, &flow);
        if !reception.reply.is_sendable() {
            return None; // nobody to answer to
        }
        let is_cancel = *message.method() == Method::Cancel;
        let cancelled = if is_cancel {
            self.keys.request(&message, &via, Method::Invite.as_str())
        } else {
            None
        };
        let message = if reception.wants_stamp {
            stamped(message, flow.remote)
        } else {
            message
        };
        let server = self.insert_server(now, reception, key, &message);
        if is_cancel {
            let invite = cancelled.and_then(|key| self.index.get(&key)).copied();
            self.answer_cancel(now, server, key, invite, &message);
            return Some(Received::Cancel {
                server,
                invite,
                message,
            });
        }
        Some(Received::Request { server, message })
    }

    /// What the same request once more brings forth: the last response.
    fn receive_again(&mut self, server: ServerHandle) {
        self.run_server(server, |machine, _, _| {
            Some(match machine {
                Machine::Invite(invite) => invite.receive_again(),
                Machine::Other(other) => other.receive_again(),
            })
        });
    }

    /// RFC 3261 §9.2. The layer answers the CANCEL itself; what becomes of the INVITE is its user's.
    fn answer_cancel(
        &mut self,
        now: Instant,
        server: ServerHandle,
        key: Key,
        invite: Option<ServerHandle>,
        message: &Message,
    ) {
        let status = if invite.is_some() { 200 } else { 481 };
        // RFC 3261 §9.2: the To tag is that of the INVITE's responses, when one is known.
        let chosen = invite.and_then(|invite| self.last_response(invite));
        let sealed = self.keys.tag(key);
        let tag = chosen
            .as_ref()
            .and_then(Message::to_tag)
            .or(std::str::from_utf8(&sealed).ok())
            .unwrap_or("cancel");
        let response = message.respond(status).to_tag(tag).print();
        self.respond(now, server, response, status);
    }

    fn receive_ack(&mut self, now: Instant, message: Message) -> Option<Received<U>> {
        let Some(server) = self.find_acknowledged(&message) else {
            return Some(Received::Ack { message });
        };
        let step = self.run_server(server, |machine, reliable, timers| match machine {
            Machine::Invite(invite) => Some(invite.receive_ack(now, timers, reliable)),
            Machine::Other(_) => None,
        });
        step.filter(|step| step.pass).map(|_| Received::Ack { message })
    }

    /// The INVITE of an ACK (RFC 3261 §17.2.3).
    fn find_acknowledged(&self, ack: &Message) -> Option<ServerHandle> {
        let invite = Method::Invite.as_str();
        if let Some(server) = self.index.get(&self.keys.request(ack, &ack.top_via()?, invite)?) {
            return Some(*server);
        }
        if key::compliant_branch(ack).is_some() {
            return None;
        }
        // RFC 2543: the INVITE had no To tag, its ACK has the one of our response.
        let server = *self.index.get(&self.keys.old_request(ack, invite, None)?)?;
        let ours = self.last_response(server);
        ours.is_none_or(|response| response.to_tag() == ack.to_tag())
            .then_some(server)
    }

    fn last_response(&self, invite: ServerHandle) -> Option<Message> {
        match &self.servers.get(invite.slot, invite.generation)?.machine {
            Machine::Invite(invite) => Message::parse(invite.last()?.clone()).ok(),
            Machine::Other(_) => None,
        }
    }

    fn insert_server(&mut self, now: Instant, reception: Reception, key: Key, message: &Message) -> ServerHandle {
        let Reception {
            reply,
            fallback,
            wants_stamp: _,
        } = reception;
        let machine = if *message.method() == Method::Invite {
            Machine::Invite(ServerInvite::start(now, message.bytes().clone()))
        } else {
            Machine::Other(ServerOther::start(now, &self.timers, message.bytes().clone()))
        };
        let (slot, generation) = self.servers.insert_with(|_, _| Server {
            reply,
            fallback: fallback.map(|flow| flow.remote),
            key,
            merge_key: None,
            merged_with: None,
            machine,
            armed: None,
        });
        let handle = ServerHandle { slot, generation };
        self.index.insert(key, handle);
        if *message.method() != Method::Cancel
            && let Some(merge_key) = self.keys.merged(message)
            && let Some(server) = self.servers.get_mut(slot, generation)
        {
            match self.index.entry(merge_key) {
                Entry::Occupied(first) => server.merged_with = Some(*first.get()),
                Entry::Vacant(place) => {
                    place.insert(handle);
                    server.merge_key = Some(merge_key);
                }
            }
        }
        if reply.transport.is_reliable() {
            self.connected.insert((reply.remote, Whose::Server(handle)));
        }
        self.settle_server(handle);
        handle
    }

    pub(super) fn server_timeout(&mut self, now: Instant, handle: ServerHandle) {
        self.run_server(handle, |machine, _, timers| {
            Some(match machine {
                Machine::Invite(invite) => invite.timeout(now, timers, trying),
                Machine::Other(other) => other.timeout(now, trying),
            })
        });
    }

    /// RFC 3261 §17.2.4 and §18.2.2: a response may still find its way by a connection of our own; else it is over.
    pub(super) fn server_flow_failed(&mut self, handle: ServerHandle, failed: &Flow) {
        let Some(server) = self.servers.get_mut(handle.slot, handle.generation) else {
            return;
        };
        if !server.reply.fails_with(failed) {
            return;
        }
        if let Some(remote) = server.fallback.take() {
            let old = server.reply.remote;
            server.reply = Flow {
                remote,
                connection: 0,
                ..server.reply
            };
            self.connected.remove(&(old, Whose::Server(handle)));
            self.connected.insert((remote, Whose::Server(handle)));
            // The last response may have gone down with the connection.
            self.receive_again(handle);
            return;
        }
        self.free_server(handle);
        self.prune_if_front(Whose::Server(handle));
        self.events.push_back(Event::ServerTransportFailed { server: handle });
    }

    /// Gives an input to a machine and does what it wants. `None`: there is no such transaction, or it refuses.
    fn run_server(
        &mut self,
        handle: ServerHandle,
        input: impl FnOnce(&mut Machine, bool, &Timers) -> Option<Step>,
    ) -> Option<Step> {
        let server = self.servers.get_mut(handle.slot, handle.generation)?;
        let reply = server.reply;
        let mut step = input(&mut server.machine, reply.transport.is_reliable(), &self.timers)?;
        if step.timed_out {
            self.events.push_back(Event::ServerTimedOut { server: handle });
        }
        if let Some(bytes) = step.send.take() {
            self.transmit(reply, bytes);
        }
        self.settle_server(handle);
        Some(step)
    }

    /// After a change: arms the deadline, or frees the slot.
    fn settle_server(&mut self, handle: ServerHandle) {
        let Some(server) = self.servers.get_mut(handle.slot, handle.generation) else {
            return;
        };
        if server.is_terminated() {
            self.free_server(handle);
        } else {
            let wanted = server.deadline();
            self.deadlines.arm(Whose::Server(handle), wanted, &mut server.armed);
        }
        self.prune_if_front(Whose::Server(handle));
    }

    fn free_server(&mut self, handle: ServerHandle) {
        let Some(server) = self.servers.remove(handle.slot, handle.generation) else {
            return;
        };
        self.deadlines.disarm(server.armed);
        self.index.remove(&server.key);
        if let Some(merge_key) = server.merge_key {
            self.index.remove(&merge_key);
        }
        if server.reply.transport.is_reliable() {
            self.connected.remove(&(server.reply.remote, Whose::Server(handle)));
        }
    }
}

/// The 100 that the layer sends by itself.
fn trying(request: &Bytes) -> Option<Bytes> {
    Some(Message::parse(request.clone()).ok()?.respond(100).print())
}
