//! Requests of ours: how they start, what their responses find, how they are cancelled, how they end.

use std::fmt;
use std::time::Instant;

use bytes::Bytes;

use super::client_invite::{self, ClientInvite};
use super::client_other::ClientOther;
use super::deadlines::Armed;
use super::large::{Printed, printed};
use super::{ClientHandle, Event, Received, Timers, Transactions, Whose};
use crate::sip::{Draft, Message, Method};
use crate::transport::{Flow, ViaParam};

/// How a client transaction ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// No final response in time.
    TimedOut,
    /// The flow failed before one.
    TransportFailed,
    /// After one.
    Ended,
}

/// What a machine wants done.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Step {
    /// Bytes to send on the transaction's flow.
    pub(super) send: Option<Bytes>,
    /// Whether the user gets the response.
    pub(super) pass: bool,
    /// That it is over.
    pub(super) end: Option<End>,
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
    pub(super) fn end(end: End) -> Step {
        Step {
            end: Some(end),
            ..Step::default()
        }
    }
    pub(super) fn and(self, end: End) -> Step {
        Step { end: Some(end), ..self }
    }
}

/// A request of ours.
#[derive(Debug)]
pub(super) struct Client<U> {
    flow: Flow,
    user: U,
    /// RFC 3261 §17.1.3: a response matches by branch and by the method in its CSeq.
    method: Method,
    machine: Machine<U>,
    /// The same request for a datagram, in case the connection that it is too large for one cannot be made.
    fallback: Option<Box<(Flow, Bytes)>>,
    pub(super) armed: Armed,
}

#[derive(Debug)]
enum Machine<U> {
    Invite {
        invite: ClientInvite,
        cancelling: Cancelling<U>,
    },
    /// `cancels`: the INVITE whose branch this CANCEL shares.
    Other {
        other: ClientOther,
        cancels: Option<ClientHandle>,
    },
}

/// Where the CANCEL of an INVITE is.
#[derive(Debug)]
enum Cancelling<U> {
    No,
    /// It waits for a provisional response (RFC 3261 §9.1).
    Wanted {
        user: U,
        reason: Option<String>,
    },
    /// It has its own transaction, which is found through this one.
    Sent(ClientHandle),
}

impl<U> Client<U> {
    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.machine {
            Machine::Invite { invite, .. } => invite.deadline(),
            Machine::Other { other, .. } => other.deadline(),
        }
    }

    fn is_terminated(&self) -> bool {
        match &self.machine {
            Machine::Invite { invite, .. } => invite.is_terminated(),
            Machine::Other { other, .. } => other.is_terminated(),
        }
    }
}

impl<U: Clone + fmt::Debug> Transactions<U> {
    /// Sends a request. The Via gets `sent_by` (our `host[:port]` for that flow) and a branch that leads its responses
    /// back here; the message is printed once and kept for its retransmissions.
    ///
    /// The end comes by event; at once, as [`Event::TransportFailed`], when the flow leads nowhere.
    pub fn request(&mut self, now: Instant, flow: Flow, sent_by: &str, draft: &Draft, user: U) -> ClientHandle {
        let method = draft.method().cloned().unwrap_or(Method::Options);
        let stream = self.stream_for(&flow);
        self.start(now, method, user, |branch| {
            printed(flow, sent_by, stream, branch, |via| draft.print_with_via(via))
        })
    }

    /// Sends a request that somebody else prints, with the given Via on top: a proxy that splices. It is asked twice
    /// for a message that is too large for a datagram. `print` may lengthen the branch by a dot and more.
    pub fn forward(
        &mut self,
        now: Instant,
        flow: Flow,
        sent_by: &str,
        method: Method,
        user: U,
        print: impl Fn(ViaParam<'_>) -> Bytes,
    ) -> ClientHandle {
        let stream = self.stream_for(&flow);
        self.start(now, method, user, |branch| {
            printed(flow, sent_by, stream, branch, print)
        })
    }

    fn start(&mut self, now: Instant, method: Method, user: U, print: impl FnOnce(&str) -> Printed) -> ClientHandle {
        let (keys, timers) = (&self.keys, &self.timers);
        let mut first = None;
        let (slot, generation) = self.clients.insert_with(|slot, generation| {
            let Printed { flow, bytes, fallback } = print(keys.branch(slot, generation).as_str());
            let reliable = flow.transport.is_reliable();
            first = Some((flow, bytes.clone()));
            let machine = if method == Method::Invite {
                let invite = ClientInvite::start(now, timers, reliable, bytes);
                Machine::Invite {
                    invite,
                    cancelling: Cancelling::No,
                }
            } else {
                Machine::Other {
                    other: ClientOther::start(now, timers, reliable, bytes),
                    cancels: None,
                }
            };
            Client {
                flow,
                user,
                method,
                machine,
                fallback,
                armed: None,
            }
        });
        let handle = ClientHandle { slot, generation };
        if let Some((flow, bytes)) = first {
            self.begin(handle, flow, bytes);
        }
        handle
    }

    /// Cancels an INVITE (RFC 3261 §9.1): now when a provisional response has come, else as soon as one comes, and not
    /// at all when a final one comes first. Asking again changes nothing. `user` comes back with the CANCEL's response;
    /// the INVITE's own end comes to the INVITE's user, at the latest 64*T1 after the CANCEL.
    ///
    /// Returns whether the INVITE was one that can still be cancelled.
    pub fn cancel(&mut self, now: Instant, invite: ClientHandle, user: U) -> bool {
        self.cancel_because(now, invite, user, None)
    }

    /// What would cancel an INVITE that has no final response yet, and where it goes: for a process that comes after this one.
    pub fn cancel_of(&self, invite: ClientHandle) -> Option<(Flow, Bytes)> {
        let client = self.clients.get(invite.slot, invite.generation)?;
        match &client.machine {
            Machine::Invite { invite: machine, .. } => {
                let (request, _) = machine.cancellable()?;
                Some((client.flow, client_invite::cancel(request, None)?))
            }
            Machine::Other { .. } => None,
        }
    }

    /// The same with the value of a Reason header, such as `SIP;cause=200;text="Call completed elsewhere"` (RFC 3326).
    pub fn cancel_because(&mut self, now: Instant, invite: ClientHandle, user: U, reason: Option<&str>) -> bool {
        let Some(client) = self.clients.get_mut(invite.slot, invite.generation) else {
            return false;
        };
        let Machine::Invite {
            invite: machine,
            cancelling,
        } = &mut client.machine
        else {
            return false;
        };
        if machine.cancellable().is_none() {
            return false;
        }
        match cancelling {
            Cancelling::No => {
                *cancelling = Cancelling::Wanted {
                    user,
                    reason: reason.map(str::to_owned),
                }
            }
            Cancelling::Wanted { .. } | Cancelling::Sent(_) => {}
        }
        self.send_wanted_cancel(now, invite);
        true
    }

    pub(super) fn receive_response(&mut self, now: Instant, message: Message) -> Option<Received<U>> {
        // A branch that we did not seal ends here, before any table is touched.
        let (slot, generation) = self.keys.open(message.branch()?)?;
        let mut handle = ClientHandle { slot, generation };
        let client = self.clients.get(slot, generation)?;
        if client.method != *message.method() {
            handle = match &client.machine {
                Machine::Invite {
                    cancelling: Cancelling::Sent(cancel),
                    ..
                } if *message.method() == Method::Cancel => *cancel,
                Machine::Invite { .. } | Machine::Other { .. } => return None,
            };
        }
        let user = self.run_client(handle, |machine, reliable, timers| match machine {
            Machine::Invite { invite, .. } => invite.receive(now, timers, reliable, &message),
            Machine::Other { other, .. } => other.receive(now, timers, reliable, &message),
        });
        self.send_wanted_cancel(now, handle);
        Some(Received::Response {
            client: handle,
            user: user?,
            message,
        })
    }

    pub(super) fn client_timeout(&mut self, now: Instant, handle: ClientHandle) {
        self.run_client(handle, |machine, _, timers| match machine {
            Machine::Invite { invite, .. } => invite.timeout(now),
            Machine::Other { other, .. } => other.timeout(now, timers),
        });
    }

    pub(super) fn client_flow_failed(&mut self, now: Instant, handle: ClientHandle, failed: &Flow) {
        let client = self.clients.get(handle.slot, handle.generation);
        if client.is_some_and(|client| client.flow.fails_with(failed)) && !self.fall_back(now, handle) {
            self.fail_client(handle);
        }
    }

    /// RFC 3261 §18.1.1: who takes no connection gets the datagram, however large it is.
    fn fall_back(&mut self, now: Instant, handle: ClientHandle) -> bool {
        let Some(client) = self.clients.get_mut(handle.slot, handle.generation) else {
            return false;
        };
        let Some((flow, bytes)) = client.fallback.take().map(|fallback| *fallback) else {
            return false;
        };
        match &mut client.machine {
            Machine::Invite { invite, .. } if matches!(invite.cancellable(), Some((_, false))) => {
                *invite = ClientInvite::start(now, &self.timers, false, bytes.clone());
            }
            Machine::Other { other, .. } if other.is_unanswered() => {
                *other = ClientOther::start(now, &self.timers, false, bytes.clone());
            }
            Machine::Invite { .. } | Machine::Other { .. } => return false,
        }
        let failed = std::mem::replace(&mut client.flow, flow);
        self.connected.remove(&(failed.remote, Whose::Client(handle)));
        self.begin(handle, flow, bytes);
        true
    }

    fn fail_client(&mut self, handle: ClientHandle) {
        self.run_client(handle, |machine, _, _| match machine {
            Machine::Invite { invite, .. } => invite.flow_failed(),
            Machine::Other { other, .. } => other.flow_failed(),
        });
    }

    /// The first transmission of a request.
    fn begin(&mut self, handle: ClientHandle, flow: Flow, bytes: Bytes) {
        if flow.transport.is_reliable() {
            self.connected.insert((flow.remote, Whose::Client(handle)));
        }
        if flow.is_sendable() && !bytes.is_empty() {
            self.transmit(flow, bytes);
            self.settle_client(handle);
        } else {
            self.fail_client(handle);
        }
    }

    /// A CANCEL that is wanted goes out if it may by now.
    fn send_wanted_cancel(&mut self, now: Instant, invite: ClientHandle) {
        let Some(client) = self.clients.get_mut(invite.slot, invite.generation) else {
            return;
        };
        let Machine::Invite {
            invite: machine,
            cancelling,
        } = &mut client.machine
        else {
            return;
        };
        let request = match machine.cancellable() {
            Some((request, true)) => request.clone(),
            Some((_, false)) | None => return,
        };
        let (user, reason) = match std::mem::replace(cancelling, Cancelling::No) {
            Cancelling::Wanted { user, reason } => (user, reason),
            other @ (Cancelling::No | Cancelling::Sent(_)) => {
                *cancelling = other;
                return;
            }
        };
        let Some(bytes) = client_invite::cancel(&request, reason.as_deref()) else {
            return;
        };
        machine.cancelled(now, &self.timers);
        let (flow, timers) = (client.flow, &self.timers);
        let (slot, generation) = self.clients.insert_with(|_, _| Client {
            flow,
            user,
            method: Method::Cancel,
            machine: Machine::Other {
                other: ClientOther::start(now, timers, flow.transport.is_reliable(), bytes.clone()),
                cancels: Some(invite),
            },
            fallback: None,
            armed: None,
        });
        let handle = ClientHandle { slot, generation };
        if let Some(client) = self.clients.get_mut(invite.slot, invite.generation)
            && let Machine::Invite { cancelling, .. } = &mut client.machine
        {
            *cancelling = Cancelling::Sent(handle);
        }
        self.settle_client(invite);
        self.begin(handle, flow, bytes);
    }

    /// Gives an input to a machine and does what it wants. `Some`: the user gets the response.
    fn run_client(
        &mut self,
        handle: ClientHandle,
        input: impl FnOnce(&mut Machine<U>, bool, &Timers) -> Step,
    ) -> Option<U> {
        let client = self.clients.get_mut(handle.slot, handle.generation)?;
        let flow = client.flow;
        let step = input(&mut client.machine, flow.transport.is_reliable(), &self.timers);
        let user = step.pass.then(|| client.user.clone());
        if let Some(end) = step.end {
            let user = client.user.clone();
            self.events.push_back(match end {
                End::TimedOut => Event::TimedOut { client: handle, user },
                End::TransportFailed => Event::TransportFailed { client: handle, user },
                End::Ended => Event::Ended { client: handle, user },
            });
        }
        if let Some(bytes) = step.send {
            self.transmit(flow, bytes);
        }
        self.settle_client(handle);
        user
    }

    /// After a change: arms the deadline, or frees the slot. An INVITE's slot stays while its CANCEL lives, because the
    /// CANCEL's responses carry the INVITE's branch.
    fn settle_client(&mut self, handle: ClientHandle) {
        let Some(client) = self.clients.get_mut(handle.slot, handle.generation) else {
            return;
        };
        if !client.is_terminated() {
            let wanted = client.deadline();
            self.deadlines.arm(Whose::Client(handle), wanted, &mut client.armed);
        } else if !self.waits_for_cancel(handle) {
            self.free_client(handle);
        }
        self.prune_if_front(Whose::Client(handle));
    }

    fn waits_for_cancel(&self, handle: ClientHandle) -> bool {
        match self
            .clients
            .get(handle.slot, handle.generation)
            .map(|client| &client.machine)
        {
            Some(Machine::Invite {
                cancelling: Cancelling::Sent(cancel),
                ..
            }) => self.clients.get(cancel.slot, cancel.generation).is_some(),
            Some(Machine::Invite { .. } | Machine::Other { .. }) | None => false,
        }
    }

    fn free_client(&mut self, handle: ClientHandle) {
        let Some(client) = self.clients.remove(handle.slot, handle.generation) else {
            return;
        };
        self.deadlines.disarm(client.armed);
        if client.flow.transport.is_reliable() {
            self.connected.remove(&(client.flow.remote, Whose::Client(handle)));
        }
        match client.machine {
            Machine::Other {
                cancels: Some(invite), ..
            } => self.settle_client(invite),
            Machine::Other { cancels: None, .. } | Machine::Invite { .. } => {}
        }
    }
}
