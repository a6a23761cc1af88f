//! The connection a party is reached by: lost with its calls up, and found again.
//!
//! A WebSocket breaks in mid-call and its phone comes back on another one. Nothing in the dialog says so: the phone only
//! registers again (RFC 5626 §4.5). Its live dialogs go over to the new flow with its binding (LESSONS 32, 33); without
//! that, the edge's next request would go into the dead connection.
//!
//! | event | what is done |
//! |---|---|
//! | the connection fails | the leg is *lost*; over WebSocket it waits 64*T1 for its party: nobody can connect to a browser (RFC 7118 §5) |
//! | the party registers the same contact for the same address of record | the leg goes over to that flow |
//! | the binding moves while the old connection still seems alive | likewise |
//! | a request in the dialog from the same host | likewise (`dispatch`) |
//! | our BYE finds no connection, or went into one that the party has left | it is sent when the party is back, if that is within 64*T1 |
//! | 64*T1 are over | the party is lost: the other one is told |
//!
//! RFC 3261 §12.2.1.2 (what no answer in 64*T1 means), RFC 5626 §4.5, §5.3, RFC 7118 §5.

use std::time::Instant;

use compact_str::CompactString;

use super::{LegEvent, LegHandle, Legs};
use crate::sip::Uri;
use crate::transport::{Flow, Transport};
use crate::vocabulary::Cause;

/// A leg whose connection is gone.
#[derive(Debug)]
pub(crate) struct Lost {
    /// Who was registered on that connection.
    aors: Vec<CompactString>,
    /// It is given up then; `None`: the party can be connected to, or connects when it has something to say.
    until: Option<Instant>,
}

impl Legs {
    /// From now on the party is reached on this flow.
    pub(crate) fn move_to(&mut self, handle: LegHandle, flow: Flow) {
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return;
        };
        let before = std::mem::replace(&mut leg.dialog.flow, flow);
        if before != flow {
            tracing::debug!(leg = %handle, %flow, "the party is on another flow");
            self.on_connection.remove(&(before.connection, handle));
        }
        self.lost.remove(&handle);
        self.note_connection(handle);
    }

    /// A dialog was made: it lives and dies with its connection, if it has one of its own.
    pub(crate) fn note_connection(&mut self, handle: LegHandle) {
        if let Some(leg) = self.get(handle)
            && leg.dialog.flow.connection != 0
        {
            let connection = leg.dialog.flow.connection;
            self.on_connection.insert((connection, handle));
        }
    }

    /// The leg leaves the table.
    pub(crate) fn forget_connection(&mut self, handle: LegHandle) {
        if let Some(leg) = self.get(handle) {
            let connection = leg.dialog.flow.connection;
            self.on_connection.remove(&(connection, handle));
            self.lost.remove(&handle);
        }
    }

    /// The connection carries nothing any more; `aors` were registered on it.
    pub fn flow_lost(&mut self, now: Instant, flow: &Flow, aors: &[CompactString]) {
        if flow.connection == 0 {
            return;
        }
        let until = match flow.transport {
            Transport::Ws | Transport::Wss => Some(now + self.identity.t1 * 64),
            Transport::Udp | Transport::Tcp | Transport::Tls => None,
        };
        for handle in self.legs_on(flow.connection) {
            tracing::debug!(leg = %handle, %flow, "the party's connection is gone");
            // A request into the dead connection says once more that it is dead; who was registered there is known from the first time.
            if aors.is_empty() && self.lost.contains_key(&handle) {
                continue;
            }
            let aors = aors.to_vec();
            self.lost.insert(handle, Lost { aors, until });
            if let Some(until) = until {
                self.deadlines.add(until, handle);
            }
        }
    }

    /// A connection that was believed lost with the process before this one is there: its legs are reached by it.
    pub fn flow_back(&mut self, flow: &Flow) {
        let on =
            |leg: &super::Leg| leg.dialog.flow.transport == flow.transport && leg.dialog.flow.remote == flow.remote;
        let lost = self.lost.keys().copied();
        let here: Vec<LegHandle> = lost.filter(|handle| self.get(*handle).is_some_and(on)).collect();
        for handle in here {
            self.move_to(handle, *flow);
            self.offer_what_holds(handle);
        }
    }

    /// A phone has registered this contact on a flow that it was not on before; `before`: where it was, if that still lives.
    pub fn flow_found(&mut self, now: Instant, aor: &str, contact: &Uri, flow: Flow, before: Option<Flow>) {
        let lost = self
            .lost
            .iter()
            .filter(|(_, lost)| lost.aors.iter().any(|known| known == aor));
        let mut candidates: Vec<LegHandle> = lost.map(|(handle, _)| *handle).collect();
        if let Some(before) = before.filter(|before| before.connection != 0 && *before != flow) {
            candidates.extend(self.legs_on(before.connection));
        }
        for handle in candidates {
            // The contact is the remote target that the phone gave in the dialog: its connection carries nobody else's legs.
            let same = |leg: &super::Leg| {
                let target = &leg.dialog.remote_target;
                leg.dialog.route_set.is_empty() && target.same_user(contact) && target.port() == contact.port()
            };
            if self.get(handle).is_some_and(same) {
                self.move_to(handle, flow);
                self.offer_what_holds(handle);
                self.say_bye_again(now, handle);
            }
        }
    }

    /// A party that came back after a restart may not have what holds now: its owner offers it.
    fn offer_what_holds(&mut self, handle: LegHandle) {
        let in_doubt = |leg: &super::Leg| {
            let moved = leg.media.end.as_ref().is_some_and(|end| end.moved);
            leg.is_confirmed() && (moved || leg.sent.is_none())
        };
        if self.get(handle).is_some_and(in_doubt) {
            self.tell(handle, LegEvent::Refreshed { changed: true });
        }
    }

    /// A leg is lost whose connection ended with the process before this one.
    pub(crate) fn note_lost(&mut self, handle: LegHandle, aors: Vec<CompactString>, until: Option<Instant>) {
        self.lost.insert(handle, Lost { aors, until });
        if let Some(until) = until {
            self.deadlines.add(until, handle);
        }
    }

    fn legs_on(&self, connection: u64) -> Vec<LegHandle> {
        let first = LegHandle { slot: 0, generation: 0 };
        self.on_connection
            .range((connection, first)..)
            .take_while(|(other, _)| *other == connection)
            .map(|(_, handle)| *handle)
            .collect()
    }

    /// The deadline of a lost leg.
    pub(crate) fn flow_timeout(&mut self, now: Instant, handle: LegHandle) {
        let until = self.lost.get(&handle).and_then(|lost| lost.until);
        if until.is_none_or(|until| now < until) {
            return;
        }
        self.lost.remove(&handle);
        if self.get(handle).is_some_and(super::Leg::is_confirmed) {
            self.release(now, handle, Cause::Lost);
            self.tell(handle, LegEvent::Released { cause: Cause::Lost });
        }
    }
}
