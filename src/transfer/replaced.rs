//! INVITE with Replaces: a newcomer takes a party's place.
//!
//! RFC 3891 §3–5. Everything is checked before the table is touched; a newcomer that cannot be served leaves the dialog
//! that it named unchanged. The 2xx goes out before the BYE (confirmed) or CANCEL (early, ours) of the replaced dialog.

use std::time::Instant;

use compact_str::CompactString;

use super::recovery::Plan;
use super::{Asked, State, Transfer, Transfers};
use crate::dialog::Match;
use crate::leg::Leg;
use crate::sdp::{Description, Direction};
use crate::sip::{Message, NameAddr, Replaces};
use crate::transaction::ServerHandle;
use crate::transport::Flow;
use crate::vocabulary::{
    CallHandle, Cause, Denied, Event, LegHandle, LegOwner, OnFailure, TransferFailure, TransferHandle, TransferKind,
    TransferMode,
};

/// Why an INVITE with Replaces is refused; the dialog that it named is unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplacesRefused {
    /// It names no dialog of ours, or one that is not in a call of two.
    #[error("Replaces Matches No Dialog")]
    Unknown,
    /// It names a dialog that has ended.
    #[error("Replaced Dialog Has Ended")]
    Ended,
    /// The dialog is confirmed, and `early-only` was given.
    #[error("Replaces Is Early-Only But The Dialog Is Confirmed")]
    EarlyOnly,
    /// The dialog is early, and we did not start it.
    #[error("Replaced Dialog Was Not Started Here")]
    NotOurs,
    /// The newcomer is not the party that it wants to replace, nor somebody trusted.
    #[error("Not Allowed To Replace That Dialog")]
    Forbidden,
    /// No more may take part where it wants to join.
    #[error("Nobody Else Can Take Part")]
    Full,
    /// The INVITE's own headers cannot be read.
    #[error("Bad INVITE")]
    Malformed,
}

impl ReplacesRefused {
    /// The one place where a refusal becomes a status (RFC 3891 §3).
    pub fn status(self) -> u16 {
        match self {
            ReplacesRefused::Malformed => 400,
            ReplacesRefused::Forbidden => 403,
            ReplacesRefused::Unknown | ReplacesRefused::NotOurs => 481,
            ReplacesRefused::EarlyOnly => 486,
            ReplacesRefused::Full => 488,
            ReplacesRefused::Ended => 603,
        }
    }
}

/// The place that a newcomer takes.
struct Place {
    call: CallHandle,
    /// Who leaves; `None` when a running transfer will release it.
    replaced: LegHandle,
    /// Who stays.
    peer: LegHandle,
    early: bool,
    /// The transfer in mode `refer` that made the newcomer call.
    by: Option<TransferHandle>,
}

impl Transfers {
    /// An INVITE with Replaces. `trusted`: from the PBX or a peer that needs no authentication.
    ///
    /// # Errors
    /// By the rules of RFC 3891 §3; the caller answers with [`ReplacesRefused::status`].
    #[expect(
        clippy::too_many_arguments,
        reason = "what an INVITE is: its flow, transaction, message, user"
    )]
    pub fn replace(
        &mut self,
        now: Instant,
        flow: Flow,
        server: ServerHandle,
        request: &Message,
        replaces: &Replaces,
        user: Option<CompactString>,
        trusted: bool,
        allow: impl FnOnce(&Asked<'_>) -> Result<(), Denied>,
    ) -> Result<TransferHandle, ReplacesRefused> {
        let place = self.find_place(replaces)?;
        let party = request.from().map_err(|_| ReplacesRefused::Malformed)?;
        let allowed =
            trusted || place.by.is_some() || self.may_take(place.replaced, place.early, user.as_deref(), &party, &flow);
        if !allowed {
            return Err(ReplacesRefused::Forbidden);
        }
        if replaces.early_only && !place.early {
            return Err(ReplacesRefused::EarlyOnly);
        }
        if let (Some(transferor), Some(transferee)) =
            (self.calls.legs.get(place.replaced), self.calls.legs.get(place.peer))
        {
            let kind = TransferKind::Replaced;
            let target = Some(&party.uri);
            allow(&Asked {
                kind,
                transferor,
                transferee,
                target,
            })
            .map_err(|_| ReplacesRefused::Forbidden)?;
        }
        let newcomer = self
            .calls
            .legs
            .incoming(
                LegOwner::Nobody,
                flow,
                server,
                request,
                user,
                crate::leg::description(request),
            )
            .map_err(|_| ReplacesRefused::Malformed)?;
        let until = now + self.limits.total;
        let handle = self.table.insert_with(|handle| Transfer {
            handle,
            kind: TransferKind::Replaced,
            mode: TransferMode::Native,
            state: State::Taking {
                newcomer,
                offered: false,
            },
            call: place.call,
            transferor: place.replaced,
            transferee: place.peer,
            consult: None,
            target_name: party.uri.to_string(),
            referred_by: None,
            early: place.early,
            dial: None,
            pending: None,
            by: place.by,
            plan: Plan::new(OnFailure::Transferor, until, None),
        });
        match place.by {
            Some(by) => self.hand_over(by, handle, place.peer),
            None => self.calls.lend(place.call, LegOwner::Transfer(handle)),
        }
        self.deadlines.add(until, handle);
        self.own(newcomer, handle);
        self.tell(Event::TransferRequested {
            transfer: handle,
            kind: TransferKind::Replaced,
            mode: TransferMode::Native,
            transferor: place.replaced,
            transferee: place.peer,
            target: party.uri.to_string(),
            target_leg: Some(newcomer),
        });
        self.join_if_quiet(now, handle);
        Ok(handle)
    }

    /// Whether somebody is the party of this leg, or may take a call that still rings at it.
    pub(super) fn may_take(
        &self,
        leg: LegHandle,
        early: bool,
        user: Option<&str>,
        party: &NameAddr,
        flow: &Flow,
    ) -> bool {
        // Whoever knows both tags of a ringing dialog was told them by its phone (RFC 4235): still no proof of a right.
        if self.limits.pick_up && early && user.is_some() {
            return true;
        }
        self.calls.legs.get(leg).is_some_and(|leg| match (&leg.user, user) {
            (Some(theirs), Some(ours)) => theirs == ours,
            // Where the PBX does the authentication we know no users: the same address of record from the same host.
            (Some(_) | None, None) | (None, Some(_)) => {
                leg.party.uri.user().is_some()
                    && leg.party.uri.user() == party.uri.user()
                    && leg.dialog.flow.remote.ip() == flow.remote.ip()
            }
        })
    }

    /// The party whose place this names, if somebody could take it.
    pub fn replaced_by(&self, replaces: &Replaces) -> Option<LegHandle> {
        self.find_place(replaces).ok().map(|place| place.replaced)
    }

    fn find_place(&self, replaces: &Replaces) -> Result<Place, ReplacesRefused> {
        let replaced = match self.calls.legs.find_replaced(replaces) {
            Match::Found(leg) => LegHandle::from(leg),
            Match::Gone(_) => return Err(ReplacesRefused::Ended),
            Match::Forged | Match::Mismatch | Match::OtherNode(_) => return Err(ReplacesRefused::Unknown),
            // The far end's identifiers, as we gave them away in a REFER of our own.
            Match::NotOurs => {
                let beyond = self.calls.legs.find_beyond(replaces).ok_or(ReplacesRefused::Unknown)?;
                return self.place_beyond(beyond);
            }
        };
        let leg = self.calls.legs.get(replaced).ok_or(ReplacesRefused::Unknown)?;
        if !leg.is_alive() {
            return Err(ReplacesRefused::Ended);
        }
        if leg.is_early() && !leg.we_called() {
            return Err(ReplacesRefused::NotOurs);
        }
        let early = leg.is_early();
        let (call, peer) = self.partner(replaced).ok_or(ReplacesRefused::Unknown)?;
        Ok(Place {
            call,
            replaced,
            peer,
            early,
            by: None,
        })
    }

    fn place_beyond(&self, peer: LegHandle) -> Result<Place, ReplacesRefused> {
        let leg = self
            .calls
            .legs
            .get(peer)
            .filter(|leg| leg.is_confirmed())
            .ok_or(ReplacesRefused::Unknown)?;
        match leg.owner {
            LegOwner::Call(_) => {
                let (call, replaced) = self.partner(peer).ok_or(ReplacesRefused::Unknown)?;
                Ok(Place {
                    call,
                    replaced,
                    peer,
                    early: false,
                    by: None,
                })
            }
            LegOwner::Transfer(by) => match self.table.get(by) {
                Some(Transfer {
                    state: State::Referring {
                        target: Some(target), ..
                    },
                    consult: Some((call, replaced)),
                    ..
                }) if *target == peer => Ok(Place {
                    call: *call,
                    replaced: *replaced,
                    peer,
                    early: false,
                    by: Some(by),
                }),
                Some(_) | None => Err(ReplacesRefused::Unknown),
            },
            LegOwner::Nobody => Err(ReplacesRefused::Unknown),
        }
    }

    /// The newcomer is the transferee of a REFER of ours: the consult's call passes from that transfer to this one.
    fn hand_over(&mut self, by: TransferHandle, to: TransferHandle, peer: LegHandle) {
        if let Some(transfer) = self.table.get_mut(by)
            && let State::Referring { target, .. } = &mut transfer.state
        {
            *target = None;
        }
        self.own(peer, to);
    }

    /// The take-over failed: the peer goes back to the transfer whose REFER it was, if that one still waits.
    pub(crate) fn hand_back(&mut self, by: TransferHandle, peer: LegHandle) {
        if let Some(transfer) = self.table.get_mut(by)
            && let State::Referring { target, .. } = &mut transfer.state
        {
            *target = Some(peer);
            self.own(peer, by);
        }
    }

    /// Offers the newcomer's description to the peer; or answers both at once, when the replaced party had not answered yet.
    pub(crate) fn offer_newcomer(&mut self, now: Instant, handle: TransferHandle) {
        let Some(transfer) = self.table.get_mut(handle) else {
            return;
        };
        let State::Taking { newcomer, .. } = transfer.state else {
            return;
        };
        let (peer, early) = (transfer.transferee, transfer.early);
        transfer.state = State::Taking {
            newcomer,
            offered: true,
        };
        let description = |leg: LegHandle| self.calls.legs.get(leg).and_then(|leg| leg.remote.clone());
        match (description(newcomer), description(peer)) {
            (Some(offer), Some(theirs)) if early => {
                // Both have offered: each offer is the answer to the other.
                self.calls.legs.answer(now, peer, Some(&offer));
                self.taken(now, handle, &theirs);
            }
            (Some(offer), _) if !early => {
                self.calls
                    .legs
                    .offer(now, peer, Some(offer.with_direction(Direction::SendRecv)))
            }
            (None, Some(theirs)) if !early => self.taken(now, handle, &theirs.with_direction(Direction::SendRecv)),
            (Some(_) | None, _) => self.fail(now, handle, TransferFailure::JoinRefused, Some(488)),
        }
    }

    pub(crate) fn peer_answered(&mut self, now: Instant, handle: TransferHandle, answer: Option<&Description>) {
        match answer {
            Some(answer) => self.taken(now, handle, answer),
            None => self.fail(now, handle, TransferFailure::JoinRefused, Some(488)),
        }
    }

    /// RFC 3891 §3: 2xx to the newcomer, then the replaced dialog is ended.
    fn taken(&mut self, now: Instant, handle: TransferHandle, answer: &Description) {
        let Some(transfer) = self.table.get(handle).cloned() else {
            return;
        };
        let State::Taking { newcomer, .. } = transfer.state else {
            return;
        };
        if !self.calls.legs.get(newcomer).is_some_and(Leg::is_early) {
            self.fail(now, handle, TransferFailure::TargetGone, Some(487));
            return;
        }
        self.calls.legs.answer(now, newcomer, Some(answer));
        let forks: Vec<_> = self
            .calls
            .get(transfer.call)
            .map(|call| call.legs())
            .unwrap_or_default();
        self.calls.join(transfer.call, transfer.transferee, newcomer);
        for leg in forks
            .into_iter()
            .filter(|leg| *leg != transfer.transferee && *leg != transfer.transferor)
        {
            if self.calls.legs.get(leg).is_some_and(Leg::is_early) {
                self.drop_leg(now, leg, Cause::OtherParty);
            }
        }
        // Another transfer's, if it lent the leg to this one, and still runs.
        let mine = self
            .calls
            .legs
            .get(transfer.transferor)
            .is_some_and(|leg| matches!(leg.owner, LegOwner::Nobody) || leg.owner == LegOwner::Transfer(handle));
        if mine {
            self.drop_leg(now, transfer.transferor, Cause::Transferred);
        }
        let (transferee, call) = (transfer.transferee, transfer.call);
        self.end(handle, None);
        self.tell(Event::TransferCompleted {
            transfer: handle,
            transferee,
            target: Some(newcomer),
            call: Some(call),
        });
    }
}
