//! DTLS-SRTP (RFC 5763, 5764, 8842): a handshake beside the media, whose keys count only when the certificate is the described one.
//!
//! **Owns** the association, its timers, and the comparison of fingerprints. **Refuses** records in which no honest party
//! has a part ([`screen`]), more octets than a handshake needs, and a second association unless a new description
//! (another fingerprint, RFC 8842 §4) or a restarted ICE with a new ClientHello asks for one (a page that was loaded again).
//!
//! | state | datagram | timer |
//! |---|---|---|
//! | no association, passive or role unknown | ClientHello → association | 30 s → failed |
//! | no association, active | dropped; starts when a path is there | 30 s → failed |
//! | handshake | feeds it; doubt shortens the time left to 5 s | repeats the flight; dead → a new one; 30 s → failed |
//! | complete, fingerprint unknown | repeats of the last flight | — |
//! | verified | repeats, close_notify; ClientHello of a newer ICE generation → handshake | — |
//! | failed | dropped | — |
//!
//! RFC 6347 §4.1.2.7, §4.2.4 · RFC 5763 §5, §6.7 · RFC 5764 §4 · RFC 8842 §4, §5 · RFC 8122 §5.

mod association;
mod repeats;
mod screen;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use compact_str::{CompactString, format_compact};
use subtle::ConstantTimeEq;

use super::super::{DtlsRole, Fingerprint};
use super::Certificate;
pub(super) use association::Established;
use association::{Association, Step};
use screen::screen;

/// How often a flight is repeated; the library gives up after eight.
pub(super) const FLIGHT: Duration = Duration::from_millis(500);
/// From the first path on which a handshake could run.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(30);
/// After something that the handshake cannot digest: long enough for an honest party's repetition.
const DOUBT: Duration = Duration::from_secs(5);

/// The DTLS side of an endpoint.
pub(super) struct Dtls {
    certificate: Certificate,
    role: Option<DtlsRole>,
    expected: Option<Fingerprint>,
    association: Option<Association>,
    state: State,
    /// Until when the handshake must be over; `None` while nobody waits for it.
    deadline: Option<Instant>,
    /// Why the last try went wrong.
    doubt: Option<CompactString>,
    /// ICE's, when the association began.
    generation: u32,
}

enum State {
    /// There is no finished handshake.
    Handshake,
    /// It finished before the party's description came (RFC 5763 §5).
    Unverified(Box<Established>),
    Verified,
    Failed,
}

/// What the endpoint must know.
pub(super) enum Told {
    /// Nothing.
    Nothing,
    /// Keys of a verified party.
    Keys(Box<Established>),
    /// The party closed.
    Closed,
    /// It will not work.
    Failed(CompactString),
}

impl Dtls {
    pub(super) fn new(certificate: &Certificate, role: Option<DtlsRole>, expected: Option<Fingerprint>) -> Dtls {
        Dtls {
            certificate: certificate.clone(),
            role,
            expected,
            association: None,
            state: State::Handshake,
            deadline: None,
            doubt: None,
            generation: 0,
        }
    }

    /// Takes a new description. A handshake begins anew only with another fingerprint (RFC 8842 §4).
    pub(super) fn update(
        &mut self,
        now: Instant,
        role: Option<DtlsRole>,
        expected: Option<Fingerprint>,
        path: bool,
    ) -> Told {
        let other_party = expected.is_some() && self.expected.is_some() && expected != self.expected;
        let other_role = match (&self.association, role) {
            (Some(association), Some(role)) => role != association.role(),
            (None, _) | (_, None) => false,
        };
        let unfinished = match self.state {
            State::Handshake | State::Failed => true,
            State::Unverified(_) | State::Verified => false,
        };
        if other_party || (other_role && unfinished) {
            self.begin_anew();
        }
        self.role = role.or(self.role);
        self.expected = expected.or(self.expected);
        let told = self.verify(now);
        if path {
            self.path_is_there(now);
        }
        told
    }

    fn begin_anew(&mut self) {
        self.association = None;
        self.state = State::Handshake;
        self.deadline = None;
        self.doubt = None;
    }

    /// There is somewhere to send to: an active side begins.
    pub(super) fn path_is_there(&mut self, now: Instant) {
        match self.state {
            State::Handshake => {}
            State::Unverified(_) | State::Verified | State::Failed => return,
        }
        if self.deadline.is_none() && self.expected.is_some() {
            self.deadline = Some(now + HANDSHAKE);
        }
        if self.association.is_none() && self.role == Some(DtlsRole::Active) {
            self.association = Some(Association::new(now, &self.certificate, DtlsRole::Active));
        }
    }

    /// Takes a datagram from a validated path; `false` beside it when it was of no use.
    pub(super) fn handle_datagram(&mut self, now: Instant, datagram: &[u8], generation: u32) -> (Told, bool) {
        let screened = screen(datagram);
        if let Some(alert) = screened.alert {
            self.doubt(now, format_compact!("the party refuses (alert {alert})"));
        }
        if screened.records.is_empty() {
            return (Told::Nothing, screened.alert.is_some());
        }
        match self.state {
            State::Failed => return (Told::Nothing, false),
            // RFC 8842 §4: the party that answers the restart is another instance of the same certificate's owner.
            State::Verified if screened.client_hello && generation > self.generation => self.begin_anew(),
            State::Handshake | State::Unverified(_) | State::Verified => {}
        }
        if self.association.is_none() {
            let passive = self.role != Some(DtlsRole::Active);
            if !(passive && screened.client_hello) {
                return (Told::Nothing, false);
            }
            self.generation = generation;
            self.association = Some(Association::new(now, &self.certificate, DtlsRole::Passive));
            self.path_is_there(now);
        }
        let Some(association) = &mut self.association else {
            return (Told::Nothing, false);
        };
        if !association.has_room(screened.records.len()) {
            return (Told::Nothing, false);
        }
        let step = association.handle(now, screened.records);
        (self.take(now, step), true)
    }

    fn take(&mut self, now: Instant, step: Step) -> Told {
        match step {
            Step::Nothing => Told::Nothing,
            Step::Complete(established) => {
                self.state = State::Unverified(established);
                self.verify(now)
            }
            Step::Closed => {
                self.state = State::Failed;
                Told::Closed
            }
            Step::Doubt(reason) => {
                self.doubt(now, reason);
                Told::Nothing
            }
            Step::Dead(reason) => {
                self.doubt.get_or_insert(reason);
                self.association = None;
                Told::Nothing
            }
        }
    }

    /// Anybody can write what raises doubt, so it only shortens the wait for a good end.
    fn doubt(&mut self, now: Instant, reason: CompactString) {
        match self.state {
            State::Handshake => {
                self.doubt = Some(reason);
                let soon = now + DOUBT;
                self.deadline = Some(self.deadline.map_or(soon, |deadline| deadline.min(soon)));
            }
            State::Unverified(_) | State::Verified | State::Failed => {}
        }
    }

    fn verify(&mut self, now: Instant) -> Told {
        let Some(expected) = self.expected else {
            return Told::Nothing;
        };
        match std::mem::replace(&mut self.state, State::Failed) {
            State::Unverified(established) => {
                self.deadline = None;
                if bool::from(established.fingerprint.0.ct_eq(&expected.0)) {
                    self.state = State::Verified;
                    return Told::Keys(established);
                }
                if let Some(association) = &mut self.association {
                    association.close(now);
                }
                Told::Failed("the certificate is not the described one".into())
            }
            other @ (State::Handshake | State::Verified | State::Failed) => {
                self.state = other;
                Told::Nothing
            }
        }
    }

    pub(super) fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.association.as_mut()?.poll_transmit()
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let flight = self.association.as_ref().and_then(Association::poll_timeout);
        [flight, self.deadline].into_iter().flatten().min()
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) -> Told {
        let step = self
            .association
            .as_mut()
            .map(|association| association.handle_timeout(now));
        let told = step.map_or(Told::Nothing, |step| self.take(now, step));
        if self.deadline.is_some_and(|deadline| now >= deadline) {
            let reason = self.doubt.take();
            self.begin_anew();
            self.state = State::Failed;
            return Told::Failed(reason.unwrap_or_else(|| "no handshake within 30 s".into()));
        }
        if self.association.is_none() && self.deadline.is_some() {
            self.path_is_there(now);
        }
        told
    }

    /// Says goodbye to the party.
    pub(super) fn close(&mut self, now: Instant) {
        if let Some(association) = &mut self.association {
            association.close(now);
        }
    }
}
