//! All endpoints of one media thread, and the way of a packet from one to the next.
//!
//! Owns the table of sessions by handle, who listens to whom, which leg has which port, the index of deadlines, the queue
//! of outputs. A packet costs one look by port, one by slot for each listener, and no allocation, whatever the number
//! of legs. Refuses clocks and sockets: time is an argument, and what is to be sent is an output.
//!
//! ```
//! use std::time::Instant;
//! use warmline::media::{MediaSettings, Sessions};
//!
//! # #[expect(clippy::disallowed_methods)]
//! # let now = Instant::now();
//! let mut sessions = Sessions::new(MediaSettings::new(now));
//! assert!(sessions.poll_output().is_none() && sessions.poll_timeout().is_none());
//! ```

mod deadlines;
mod table;

use std::net::SocketAddr;
use std::time::Instant;

use super::output::{MediaOutput, Outputs};
use super::session::{Incoming, MediaSession};
use super::{Endpoint, Hear, LegQuality, Local, LocalPort, MediaCommand, MediaEvent, MediaFailure, MediaSettings};
use crate::vocabulary::LegHandle;

use deadlines::Deadlines;
use table::Table;

/// All endpoints of one media thread.
#[derive(Debug)]
pub struct Sessions {
    settings: MediaSettings,
    table: Table,
    /// The slot that has a port, plus one; 0: nobody.
    ports: Vec<u32>,
    deadlines: Deadlines,
    out: Outputs,
    /// Datagrams on ports that are nobody's.
    stray: u64,
}

impl Sessions {
    /// None yet.
    pub fn new(settings: MediaSettings) -> Sessions {
        Sessions {
            settings,
            table: Table::default(),
            ports: vec![0; 1 << 16],
            deadlines: Deadlines::default(),
            out: Outputs::default(),
            stray: 0,
        }
    }

    /// How many endpoints are open.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether no endpoint is open.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A leg's counters; `None`: it has no endpoint here.
    pub fn quality(&mut self, leg: LegHandle) -> Option<LegQuality> {
        Some(self.table.get(leg)?.session.as_ref()?.quality())
    }

    /// Does as the describing half says. What concerns a leg without an endpoint waits for it, or is void.
    pub fn handle_command(&mut self, now: Instant, command: MediaCommand) {
        match command {
            MediaCommand::Endpoint { leg, endpoint } => self.endpoint(now, leg, endpoint),
            MediaCommand::Hear { leg, what } => self.hear(now, leg, what),
            MediaCommand::Digits { leg, digits } => {
                if let Some(session) = self.table.get(leg).and_then(|row| row.session.as_mut()) {
                    session.press(now, &digits);
                    self.arm(leg);
                }
            }
            MediaCommand::Record { .. } | MediaCommand::StopRecording { .. } => {}
            MediaCommand::Close { leg } => self.close(now, leg),
        }
    }

    fn endpoint(&mut self, now: Instant, leg: LegHandle, endpoint: Box<Endpoint>) {
        let Some(row) = self.table.row(leg) else { return };
        let local = endpoint.local;
        let before = row.session.as_ref().map(|session| session.local());
        match &mut row.session {
            Some(session) => session.update(now, endpoint),
            None => {
                row.session = Some(Box::new(MediaSession::new(now, leg, endpoint, &self.settings)));
                self.table.count(true);
            }
        }
        if before != Some(local) {
            before.into_iter().for_each(|port| self.unbind(leg, port));
            self.bind(leg, local);
        }
        self.learn(now, leg, before.is_none());
        self.arm(leg);
    }

    /// Everybody whose payload types depend on this leg's description looks at it again.
    fn learn(&mut self, now: Instant, leg: LegHandle, opened: bool) {
        let Some(row) = self.table.get(leg) else { return };
        let hears = row.hears.clone();
        if opened {
            self.tune(now, leg, &hears);
        } else if let Hear::Leg(source) = hears {
            self.relearn(leg.slot, source);
        }
        let mut at = 0;
        while let Some(listener) = self.table.listener(leg.slot, at) {
            self.relearn(listener, leg);
            at += 1;
        }
    }

    fn relearn(&mut self, listener: u32, source: LegHandle) {
        match self.table.pair(listener, source.slot) {
            Some((listener, source_session)) => {
                listener.learn(source_session.filter(|session| session.leg() == source));
            }
            None if listener == source.slot => {
                self.table
                    .session(listener)
                    .into_iter()
                    .for_each(MediaSession::learn_itself);
            }
            None => {}
        }
    }

    fn hear(&mut self, now: Instant, leg: LegHandle, what: Hear) {
        let Some(row) = self.table.row(leg) else { return };
        let before = std::mem::replace(&mut row.hears, what.clone());
        if let Hear::Leg(source) = before {
            self.table.forget_listener(source, leg.slot);
        }
        if let Hear::Leg(source) = &what
            && let Some(row) = self.table.row(*source)
        {
            row.listeners.push(leg.slot);
        }
        self.tune(now, leg, &what);
        self.arm(leg);
    }

    fn tune(&mut self, now: Instant, leg: LegHandle, what: &Hear) {
        if let Some(session) = self.table.session(leg.slot) {
            session.hears(now, None, what);
        }
        if let Hear::Leg(source) = what {
            self.relearn(leg.slot, *source);
        }
    }

    fn close(&mut self, now: Instant, leg: LegHandle) {
        let Some(row) = self.table.get(leg) else { return };
        let hears = std::mem::replace(&mut row.hears, Hear::Nothing);
        row.listeners.clear();
        let session = row.session.take();
        if let Hear::Leg(source) = hears {
            self.table.forget_listener(source, leg.slot);
        }
        if let Some(mut session) = session {
            self.table.count(false);
            session.close(now, &mut self.out);
            self.unbind(leg, session.local());
        }
    }

    /// Closes all of them: the thread ends.
    pub fn close_all(&mut self, now: Instant) {
        for leg in self.table.legs() {
            self.close(now, leg);
        }
    }

    fn bind(&mut self, leg: LegHandle, port: LocalPort) {
        let LocalPort::Own(port) = port else { return };
        if let Some(owner) = self.ports.get_mut(usize::from(port)) {
            *owner = leg.slot + 1;
        }
        self.out.bind(Local::Rtp(port));
        self.out.bind(Local::Rtcp(port));
    }

    fn unbind(&mut self, leg: LegHandle, port: LocalPort) {
        let LocalPort::Own(port) = port else { return };
        // Another leg may have it by now.
        if let Some(owner) = self
            .ports
            .get_mut(usize::from(port))
            .filter(|owner| **owner == leg.slot + 1)
        {
            *owner = 0;
            self.out.unbind(Local::Rtp(port));
            self.out.unbind(Local::Rtcp(port));
        }
    }

    /// A socket that [`MediaOutput::Bind`] asked for cannot be opened.
    pub fn bind_failed(&mut self, local: Local) {
        let (Local::Rtp(port) | Local::Rtcp(port)) = local else {
            return;
        };
        let Some(session) = self.owner(port).and_then(|slot| self.table.session(slot)) else {
            return;
        };
        let leg = session.leg();
        let why = MediaFailure::Port {
            port: local.number().unwrap_or(port),
        };
        self.out.event(MediaEvent::Failed { leg, why });
    }

    fn owner(&self, port: u16) -> Option<u32> {
        self.ports.get(usize::from(port))?.checked_sub(1)
    }

    /// A datagram. `packet` is the driver's buffer: what is in it afterwards means nothing.
    pub fn handle_datagram(&mut self, now: Instant, local: Local, from: SocketAddr, packet: &mut Vec<u8>) {
        let slot = match local {
            Local::Rtp(port) | Local::Rtcp(port) => self.owner(port),
            Local::Shared => None,
        };
        let Some((slot, session)) = slot.and_then(|slot| Some((slot, self.table.session(slot)?))) else {
            self.stray += 1;
            return;
        };
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        let Some(taken) = session.datagram(now, slot, (local, from), packet, &mut self.out) else {
            return;
        };
        let payload = packet.get(taken.payload).unwrap_or_default();
        self.spread(now, &taken.packet, payload);
    }

    /// A packet goes to everybody who hears its leg.
    fn spread(&mut self, now: Instant, packet: &Incoming, payload: &[u8]) {
        let mut at = 0;
        while let Some(listener) = self.table.listener(packet.slot, at) {
            if let Some(session) = self.table.session(listener) {
                session.relay(now, packet, payload, &mut self.out);
            }
            at += 1;
        }
    }

    fn arm(&mut self, leg: LegHandle) {
        if let Some(session) = self.table.get(leg).and_then(|row| row.session.as_mut()) {
            let deadline = session.deadline();
            self.deadlines.arm(leg, deadline, &mut session.armed);
        }
    }

    /// What is to be done next; its octets are there until the next call.
    pub fn poll_output(&mut self) -> Option<MediaOutput<'_>> {
        self.out.poll()
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called, at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// Does everything that is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((at, leg)) = self.deadlines.due(now) {
            let Some(session) = self.table.get(leg).and_then(|row| row.session.as_mut()) else {
                continue;
            };
            if session.armed != Some(at) {
                continue; // an earlier entry stood for it and has fired
            }
            session.armed = None;
            session.handle_timeout(now, &mut self.out);
            let deadline = session.deadline();
            self.deadlines.arm(leg, deadline, &mut session.armed);
        }
    }

    /// Datagrams that came to ports of nobody, and so were nobody's.
    pub fn stray(&self) -> u64 {
        self.stray
    }
}

#[cfg(test)]
mod tests;
