//! Transfers, whoever asked for them: an API client, a phone with REFER, or an INVITE with Replaces.
//!
//! | transfer | transferor | others |
//! |---|---|---|
//! | blind | Disconnected/BlindTransfer when accepted | a new party of the same session: Setup, Proceeding, Answered |
//! | blind, failed | comes back as a new party, Answered | that party: Disconnected with its reason |
//! | attended | Gone/AttendedTransfer, `peerId` its party in the other session | that one: Gone, `peerId` back; the consult: Answered/AttendedTransfer |
//! | picked up | Gone/Pickup, `peerId` the newcomer | a new party of the same session: Setup, Answered |

use super::desk::{Desk, Move, Place};
use super::party::Status;
use super::people::Who;
use super::words::{Code, Direction, Reason};
use crate::engine::{CallHandle, Event, LegHandle, TransferFailure, TransferHandle, TransferKind};

/// Transfers that have ended, for clients that wait for one.
const REMEMBERED: usize = 256;

impl Desk {
    pub(super) fn transfer(&mut self, event: &Event) {
        if let Event::TransferRequested {
            transfer,
            kind,
            transferor,
            transferee,
            target,
            target_leg,
            ..
        } = event
        {
            self.requested(*transfer, *kind, (*transferor, *transferee), target, *target_leg);
        } else if let Event::TransferCompleted {
            transfer,
            transferee,
            target,
            call,
        } = event
        {
            self.completed(*transfer, *transferee, *target, *call);
        } else if let Event::TransferFailed { transfer, reason, .. } = event {
            self.failed(*transfer, *reason);
        }
    }

    fn requested(
        &mut self,
        transfer: TransferHandle,
        kind: TransferKind,
        (transferor, transferee): (LegHandle, LegHandle),
        target: &str,
        target_leg: Option<LegHandle>,
    ) {
        let Some(from) = self.place(transferor) else { return };
        let (target, consult) = match kind {
            TransferKind::Blind => (self.sent_on(&from, transferee, target), None),
            TransferKind::Attended => {
                let target = target_leg.and_then(|leg| self.place(leg));
                let consult = target_leg.and_then(|leg| self.consulted_by(leg));
                (target, consult)
            }
            TransferKind::Replaced => (target_leg.and_then(|leg| self.newcomer(&from, transferee, leg)), None),
        };
        for place in [Some(&from), consult.as_ref()].into_iter().flatten() {
            if let Some(party) = self.party_mut(place).filter(|party| !party.status.code.is_last()) {
                party.moving = true;
            }
        }
        let moving = Move {
            kind,
            transferor,
            from,
            consult,
            target,
        };
        self.moves.insert(transfer, moving);
    }

    /// The transferor's own party in the session of its consult.
    fn consulted_by(&self, target: LegHandle) -> Option<Place> {
        if let Some(place) = self.other(target).and_then(|leg| self.place(leg)) {
            return Some(place);
        }
        // The target only rings: nobody talks with it yet, its caller will.
        let place = self.place(target).filter(|place| place.party > 1)?;
        Some(Place { party: 1, ..place })
    }

    /// The transferor leaves at once, as clients expect; who comes is a new party of its session.
    fn sent_on(&mut self, from: &Place, transferee: LegHandle, target: &str) -> Option<Place> {
        let reason = self.marks.get(from).copied().unwrap_or(Reason::BlindTransfer);
        let status = Status {
            code: Code::Disconnected,
            reason: Some(reason),
            peer: None,
        };
        self.becomes(from, status);
        let who = self.directory.who(target);
        let place = self.arrives(from, transferee, who)?;
        self.tell(&place);
        Some(place)
    }

    /// A new party of the session that somebody leaves; it has the transferee on the other side.
    fn arrives(&mut self, from: &Place, transferee: LegHandle, who: Who) -> Option<Place> {
        let caller = self
            .place(transferee)
            .and_then(|place| self.party(&place).map(|party| party.who.clone()));
        let caller = caller.unwrap_or_else(|| who.clone());
        let session = self.sessions.get_mut(&from.session)?;
        let added = session.add(who.clone(), Direction::Inbound, caller, who)?;
        added.moving = true;
        Some(Place {
            session: from.session.clone(),
            party: added.number,
        })
    }

    /// Somebody takes a party's place by INVITE with Replaces.
    fn newcomer(&mut self, from: &Place, transferee: LegHandle, leg: LegHandle) -> Option<Place> {
        let who = self.directory.who(&self.legs.get(&leg)?.party);
        let place = self.arrives(from, transferee, who)?;
        self.seat(leg, &place);
        self.tell(&place);
        Some(place)
    }

    /// A leg by which a transfer dials its target.
    pub(super) fn target_started(&mut self, leg: LegHandle, transfer: TransferHandle) {
        if let Some(place) = self.moves.get(&transfer).and_then(|moving| moving.target.clone()) {
            self.seat(leg, &place);
        }
    }

    fn completed(
        &mut self,
        transfer: TransferHandle,
        transferee: LegHandle,
        target: Option<LegHandle>,
        call: Option<CallHandle>,
    ) {
        let Some(moving) = self.settle(transfer) else { return };
        if let (Some(target), Some(place)) = (target, &moving.target) {
            self.only_leg(place, &[target]);
        }
        for place in [self.place(transferee), moving.target.clone()].into_iter().flatten() {
            if let Some(party) = self.party_mut(&place) {
                party.moving = false;
                party.call = call.or(party.call);
            }
        }
        match moving.kind {
            TransferKind::Blind => {
                if let Some(place) = &moving.target {
                    self.answered(place);
                }
            }
            TransferKind::Attended => self.joined(&moving, transferee),
            TransferKind::Replaced => {
                self.picked_up(&moving.from.session);
                if let Some(place) = &moving.target {
                    self.code(place, Code::Answered);
                }
                self.gone(&moving.from, Reason::Pickup, moving.target.as_ref());
            }
        }
        self.tidy(&moving.from.session);
    }

    fn settle(&mut self, transfer: TransferHandle) -> Option<Move> {
        self.settled.push_back(transfer);
        if self.settled.len() > REMEMBERED {
            self.settled.pop_front();
        }
        self.moves.remove(&transfer)
    }

    /// Setup, Proceeding, Answered: what was left out is made up for.
    pub(super) fn answered(&mut self, place: &Place) {
        if self.party(place).is_some_and(|party| party.status.code == Code::Setup) {
            self.code(place, Code::Proceeding);
        }
        self.code(place, Code::Answered);
    }

    fn joined(&mut self, moving: &Move, transferee: LegHandle) {
        self.gone(&moving.from, Reason::AttendedTransfer, moving.consult.as_ref());
        if let Some(consult) = &moving.consult {
            self.gone(consult, Reason::AttendedTransfer, Some(&moving.from));
        }
        let customer = self
            .place(transferee)
            .and_then(|place| self.party(&place).map(|party| party.who.clone()));
        let Some(target) = &moving.target else { return };
        if let (Some(party), Some(customer)) = (self.party_mut(target), customer) {
            match party.direction {
                Direction::Inbound => party.from = customer,
                Direction::Outbound => party.to = customer,
            }
        }
        let status = Status {
            code: Code::Answered,
            reason: Some(Reason::AttendedTransfer),
            peer: None,
        };
        self.becomes(target, status);
    }

    /// A call that was picked up while it rang: its caller is answered now.
    fn picked_up(&mut self, session: &str) {
        let Some(found) = self.sessions.get_mut(session) else {
            return;
        };
        if std::mem::replace(&mut found.answered, true) {
            return;
        }
        let first = Place {
            session: session.to_owned(),
            party: 1,
        };
        self.code(&first, Code::Answered);
    }

    fn failed(&mut self, transfer: TransferHandle, reason: TransferFailure) {
        let Some(moving) = self.settle(transfer) else { return };
        match moving.kind {
            TransferKind::Blind => self.sent_back(&moving, reason),
            TransferKind::Replaced => {
                if let Some(place) = &moving.target {
                    self.give_up(place, reason);
                }
            }
            TransferKind::Attended => {}
        }
        for place in [Some(&moving.from), moving.consult.as_ref()].into_iter().flatten() {
            let Some(party) = self.party_mut(place) else { continue };
            party.moving = false;
            if party.legs.is_empty() && party.ended.is_some() {
                self.disconnect(place);
            }
        }
    }

    fn give_up(&mut self, place: &Place, reason: TransferFailure) {
        self.unseat(place);
        let status = Status {
            code: Code::Disconnected,
            reason: because(reason),
            peer: None,
        };
        self.becomes(place, status);
    }

    /// The target cannot be had: the transferor is back, if it is still there.
    fn sent_back(&mut self, moving: &Move, reason: TransferFailure) {
        let back = self.party(&moving.from).map(|party| {
            (
                party.who.clone(),
                party.direction,
                party.from.clone(),
                party.to.clone(),
                party.call,
            )
        });
        let alive = self.legs.contains_key(&moving.transferor) && reason != TransferFailure::TransfereeGone;
        if let (true, Some((who, direction, from, to, call))) = (alive, back) {
            let Some(session) = self.sessions.get_mut(&moving.from.session) else {
                return;
            };
            if let Some(party) = session.add(who, direction, from, to) {
                party.call = call;
                let place = Place {
                    session: moving.from.session.clone(),
                    party: party.number,
                };
                self.unseat(&moving.from);
                self.seat(moving.transferor, &place);
                self.code(&place, Code::Answered);
            }
        }
        if let Some(place) = &moving.target {
            self.give_up(place, reason);
        }
        self.tidy(&moving.from.session);
    }
}

fn because(reason: TransferFailure) -> Option<Reason> {
    match reason {
        TransferFailure::TargetBusy => Some(Reason::TargetBusy),
        TransferFailure::TargetNoAnswer | TransferFailure::NoOutcome | TransferFailure::TimedOut => {
            Some(Reason::NoAnswer)
        }
        TransferFailure::TargetRefused | TransferFailure::ReferRefused => Some(Reason::Rejected),
        TransferFailure::TargetUnreachable => Some(Reason::InvalidNumber),
        TransferFailure::TransfereeGone | TransferFailure::Cancelled | TransferFailure::TargetGone => {
            Some(Reason::Cancelled)
        }
        TransferFailure::JoinRefused | TransferFailure::Interrupted => Some(Reason::InternalError),
    }
}
