//! All endpoints of one media thread, and the way of a packet from one to the next.
//!
//! Owns the table of sessions by handle, who listens to whom, which leg has which port, the index of deadlines, the queue
//! of outputs. A packet costs one look by port, one by slot for each listener, and no allocation, whatever the number
//! of legs. Refuses clocks and sockets: time is an argument, and what is to be sent is an output.
//!
//! ```
//! use std::time::Instant;
//! use warmline::driver::dtls_certificate;
//! use warmline::media::{MediaSettings, Sessions};
//!
//! # #[expect(clippy::disallowed_methods)]
//! # let now = Instant::now();
//! let mut sessions = Sessions::new(MediaSettings::new(now), dtls_certificate()?);
//! assert!(sessions.poll_output().is_none() && sessions.poll_timeout().is_none());
//! # Ok::<(), warmline::driver::DtlsCertificateError>(())
//! ```

mod deadlines;
mod hub;
mod hubs;
mod listen;
mod playing;
mod shared;
mod table;

use std::net::SocketAddr;
use std::time::Instant;

use super::audio::Prompts;
use super::output::{MediaOutput, Outputs};
use super::secure::Certificate;
use super::session::{MediaSession, Taken};
use super::{Endpoint, Hear, LegQuality, Local, LocalPort, MediaCommand, MediaEvent, MediaFailure, MediaSettings};
use crate::vocabulary::LegHandle;

use deadlines::Deadlines;
use hubs::Hubs;
use playing::Playing;
use shared::Shared;
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
    certificate: Certificate,
    shared: Shared,
    prompts: Prompts,
    playing: Playing,
    hubs: Hubs,
    /// Datagrams on ports that are nobody's.
    stray: u64,
}

impl Sessions {
    /// None yet.
    pub fn new(settings: MediaSettings, certificate: Certificate) -> Sessions {
        Sessions {
            settings,
            table: Table::default(),
            ports: vec![0; 1 << 16],
            deadlines: Deadlines::default(),
            out: Outputs::default(),
            certificate,
            shared: Shared::default(),
            prompts: Prompts::default(),
            playing: Playing::default(),
            hubs: Hubs::default(),
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

    /// Endpoints that are opened from now on show this certificate; the others keep theirs, which their parties know.
    pub fn set_certificate(&mut self, certificate: Certificate) {
        self.certificate = certificate;
    }

    /// The prompts that parties may hear.
    pub fn prompts(&mut self) -> &mut Prompts {
        &mut self.prompts
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
            MediaCommand::Record { leg, name } => {
                if let Some(session) = self.table.get(leg).and_then(|row| row.session.as_mut()) {
                    session.record(now, name);
                    self.arm(leg);
                }
            }
            MediaCommand::StopRecording { leg } => {
                if let Some(session) = self.table.get(leg).and_then(|row| row.session.as_mut()) {
                    session.stop_recording(now, &mut self.out);
                }
            }
            MediaCommand::Mix { call, members } => self.mix(now, call, members),
            MediaCommand::Announce { to, name, again } => self.announce(now, to, name, again),
            MediaCommand::StopAnnouncing { to } => self.stop_announcing(to),
            MediaCommand::RecordHub { call, name } => self.record_hub(now, call, name),
            MediaCommand::StopRecordingHub { call } => self.stop_recording_hub(now, call),
            MediaCommand::Close { leg } => self.close(now, leg),
        }
    }

    fn endpoint(&mut self, now: Instant, leg: LegHandle, endpoint: Box<Endpoint>) {
        let Some(row) = self.table.row(leg) else { return };
        let local = endpoint.local;
        let before = row.session.as_ref().map(|session| session.local());
        match &mut row.session {
            Some(session) => session.update(now, endpoint, &self.certificate),
            None => {
                let session = MediaSession::new(now, leg, endpoint, &self.settings, &self.certificate);
                row.session = Some(Box::new(session));
                self.table.count(true);
            }
        }
        if before != Some(local) {
            before.into_iter().for_each(|port| self.unbind(leg, port));
            self.bind(leg, local);
        }
        if let Some(session) = self.table.session(leg.slot) {
            session.flush(&mut self.out);
            if local == LocalPort::Shared {
                self.shared.names(leg.slot, session.ufrags());
            }
        }
        self.learn(now, leg, before.is_none());
        self.arm(leg);
    }

    fn close(&mut self, now: Instant, leg: LegHandle) {
        let Some(row) = self.table.get(leg) else { return };
        let hears = std::mem::replace(&mut row.hears, Hear::Nothing);
        row.listeners.clear();
        let (place, _) = (row.place.take(), row.announced.take());
        let session = row.session.take();
        if let Hear::Leg(source) = hears {
            self.table.forget_listener(source, leg.slot);
        }
        self.forget_place(leg, place);
        if let Some(mut session) = session {
            self.table.count(false);
            session.close(now, &mut self.out);
            self.unbind(leg, session.local());
        }
    }

    /// Closes all of them: the thread ends.
    pub fn close_all(&mut self, now: Instant) {
        self.close_hubs(now);
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
        let LocalPort::Own(port) = port else {
            return self.shared.forget(leg.slot);
        };
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
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        let slot = match local {
            Local::Rtp(port) | Local::Rtcp(port) => self.owner(port),
            Local::Shared => self.shared.owner(from, packet),
        };
        let Some((slot, session)) = slot.and_then(|slot| Some((slot, self.table.session(slot)?))) else {
            self.stray += 1;
            return;
        };
        match session.datagram(now, slot, (local, from), packet, &mut self.out) {
            Taken::Packet { packet: taken, payload } => {
                self.spread(now, &taken, packet.get(payload).unwrap_or_default());
            }
            Taken::Handshake => {
                if local == Local::Shared && session.is_validated(now, from) {
                    self.shared.address(slot, from);
                }
                let leg = session.leg();
                self.arm(leg);
            }
            Taken::Nothing => {}
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
        [self.deadlines.next(), self.playing.next()].into_iter().flatten().min()
    }

    /// Does everything that is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.play(now);
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
