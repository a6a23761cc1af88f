//! Transfers: the one object for every transfer, whoever asked for it.
//!
//! **Owns** the legs of the calls that it works on, from the moment it is accepted to the moment it gives them back,
//! joined or as they were. **Refuses** to lose anybody: the target is dialled before anything is torn down, the original
//! call is kept until the join holds, and there is exactly one terminal event.
//!
//! RFC 3515, RFC 3891, RFC 5589; and the races that others lost callers in (`manual::transfers`).
//!
//! | state | event | next | what is done |
//! |---|---|---|---|
//! | — | REFER, command | Trying, Joining, Referring | 202 and NOTIFY 100; legs are lent by their calls |
//! | — | INVITE with Replaces | Taking | the newcomer's leg is made, nothing is answered |
//! | Trying | target rings | Trying | NOTIFY 18x |
//! | Trying | target answers | Joining | the other forks are cancelled |
//! | Trying, Joining, Referring | the target cannot be had, policy has a next | Recovering | what was made is released, NOTIFY 181 |
//! | Recovering | ways to the next target | Trying | it is dialled |
//! | Trying, Joining, Referring | the same, and an application is next | Entrusted | the transferee waits there, NOTIFY 182 |
//! | Entrusted | the application takes it | Reporting | last NOTIFY 200 |
//! | Entrusted | it does not | as if a target had refused | |
//! | Trying | all targets refuse | *failed* | last NOTIFY; the call is given back untouched |
//! | Joining | both sides matched | Reporting | transferee and target are the call now; last NOTIFY 200 |
//! | Joining | a side refuses its offer | *failed* | the sides are brought together as they were |
//! | Referring | sipfrag 2xx | Reporting | BYE to the transferee, last NOTIFY |
//! | Referring | sipfrag ≥ 300, refusal, silence | *failed* | last NOTIFY; the call is given back |
//! | Taking | the peer answers the newcomer's offer | *completed* | 200 to the newcomer, then BYE (or CANCEL) to the replaced |
//! | Reporting | NOTIFY answered, guard timer | *completed* | BYE to the transferor |
//! | any but Reporting | cancelled by order | *failed* | as it was: targets and newcomers are released, calls given back |
//! | any but Reporting | the total timer | *failed* | the same, with 408 |
//! | any | the transferor leaves | same | the transfer goes on |
//! | any | the transferee leaves | *failed* | targets are released, the transferor is told |
//! | Joining | the target leaves | *failed* | the call is given back |
//!
//! [`policy`] asks the site, [`begin`] resolves who moves whom, [`start`] makes the transfer, [`recovery`] finds another
//! target, [`application`] offers the transferee to a client, [`blind`] dials, [`join`] brings together, [`fallback`] asks who refuses for its own offer, [`refer_mode`] lets the transferee do it,
//! [`replaced`] serves INVITE with Replaces, [`hub`] does both where a hub is concerned, [`outcome`] ends each of them once.
//!
//! [`policy`]: self
//! [`begin`]: self
//! [`start`]: self
//! [`recovery`]: self
//! [`application`]: self
//! [`blind`]: self
//! [`join`]: self
//! [`fallback`]: self
//! [`refer_mode`]: self
//! [`replaced`]: self
//! [`hub`]: self
//! [`outcome`]: self

mod application;
mod begin;
mod blind;
mod fallback;
mod hub;
mod join;
mod kept;
mod outcome;
mod policy;
mod recovery;
mod refer_mode;
mod replaced;
mod start;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::call::Calls;
use crate::leg::{Deadlines, Leg, LegEvent};
use crate::sip::{Replaces, Uri};
use crate::vocabulary::{
    CallHandle, Event, LegHandle, LegOwner, Slots, TransferFailure, TransferHandle, TransferKind, TransferMode,
    TransferView,
};
use recovery::Plan;

pub use hub::Seat;
pub use kept::{StoredState, StoredTransfer};
pub use policy::{Answer, Asked, Limits, Policy, Referral};
pub use replaced::ReplacesRefused;

/// How many transfers that have ended can still be looked at.
const REMEMBERED: usize = 256;

/// What a transfer needs from above: somebody to dial.
#[derive(Clone, Debug)]
pub struct Dial {
    /// The transfer.
    pub transfer: TransferHandle,
    /// Whom.
    pub target: Uri,
    /// A dialog at the target that is not ours, to be taken over there.
    pub replaces: Option<Replaces>,
    /// Referred-By of the REFER (RFC 3892), as it came.
    pub referred_by: Option<String>,
    /// On whose behalf: the transferee, whose description is offered.
    pub transferee: LegHandle,
    /// By whose dialling rights.
    pub transferor: LegHandle,
    /// How long the target may ring.
    pub ring_timeout: Option<Duration>,
}

/// Where a transfer stands (table in the module doc).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// The targets ring.
    Trying { forks: Vec<LegHandle>, best: Option<u16> },
    /// The target has answered; `offered` is the side whose answer is awaited, if the offers have begun.
    Joining {
        target: LegHandle,
        offered: Option<LegHandle>,
        offers: u8,
    },
    /// The transferee does it; its outcome is awaited.
    Referring {
        target: Option<LegHandle>,
        until: Instant,
        fall_back: bool,
    },
    /// A newcomer takes the place of `transferor` beside `transferee`.
    Taking { newcomer: LegHandle, offered: bool },
    /// The target cannot be had; the next one is looked up.
    Recovering { reason: TransferFailure },
    /// The transferee waits in this hub until an application takes it.
    Entrusted { hub: CallHandle },
    /// It is decided; the transferor is told before it is released.
    Reporting {
        target: Option<LegHandle>,
        failure: Option<(TransferFailure, Option<u16>)>,
        until: Instant,
    },
}

/// One transfer.
#[derive(Clone, Debug)]
pub struct Transfer {
    /// Its handle.
    pub handle: TransferHandle,
    /// What triggered it.
    pub kind: TransferKind,
    /// Who performs it.
    pub mode: TransferMode,
    pub(crate) state: State,
    /// The customer's call.
    pub(crate) call: CallHandle,
    /// The operator's leg in the customer's call; in a take-over, the leg that is replaced.
    pub(crate) transferor: LegHandle,
    /// The customer's leg.
    pub(crate) transferee: LegHandle,
    /// The operator's call with the consult, and its leg there.
    pub(crate) consult: Option<(CallHandle, LegHandle)>,
    pub(crate) target_name: String,
    pub(crate) referred_by: Option<String>,
    /// The call of a take-over is one in which the replaced leg was still ringing.
    pub(crate) early: bool,
    /// Whom the edge would dial if the transferee refuses to.
    pub(crate) dial: Option<Box<Dial>>,
    /// In mode `pass`: the REFER that the transferee has not answered yet, and the status that accepts it.
    pub(crate) pending: Option<Box<(Referral, u16)>>,
    /// In a take-over: the transfer in mode `refer` or `pass` whose transferee the newcomer is.
    pub(crate) by: Option<TransferHandle>,
    /// What is done when the target cannot be had.
    pub(crate) plan: Plan,
}

impl Transfer {
    fn state_name(&self) -> &'static str {
        match &self.state {
            State::Trying { .. } => "trying",
            State::Joining { .. } | State::Taking { .. } => "joining",
            State::Referring { .. } => "referring",
            State::Recovering { .. } | State::Entrusted { .. } => "recovering",
            State::Reporting { .. } => "reporting",
        }
    }

    fn target(&self) -> Option<LegHandle> {
        match &self.state {
            State::Trying { forks, .. } => forks.first().copied().filter(|_| forks.len() == 1),
            State::Joining { target, .. } => Some(*target),
            State::Referring { target, .. } | State::Reporting { target, .. } => *target,
            State::Taking { newcomer, .. } => Some(*newcomer),
            State::Recovering { .. } | State::Entrusted { .. } => None,
        }
    }

    fn view(&self) -> TransferView {
        TransferView {
            id: self.handle,
            kind: self.kind,
            mode: self.mode,
            state: self.state_name(),
            transferor: self.transferor,
            transferee: self.transferee,
            target_leg: self.target(),
            target: self.target_name.clone(),
            reason: None,
            status: None,
        }
    }
}

/// All transfers, above all calls.
#[derive(Debug)]
pub struct Transfers {
    /// The layer below.
    pub calls: Calls,
    /// Whom transfers want dialled; the engine routes each and answers with [`Transfers::dial`].
    pub dials: VecDeque<Dial>,
    pub(crate) table: Slots<TransferHandle, Transfer>,
    pub(crate) deadlines: Deadlines<TransferHandle>,
    pub(crate) ended: VecDeque<TransferView>,
    /// Bounds of every transfer.
    pub limits: Limits,
}

impl Transfers {
    /// No transfers yet.
    pub fn new(calls: Calls) -> Transfers {
        Transfers {
            calls,
            dials: VecDeque::new(),
            table: Slots::default(),
            deadlines: Deadlines::default(),
            limits: Limits::default(),
            ended: VecDeque::new(),
        }
    }

    /// How many have no terminal event yet.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// What an observer sees of a transfer, running or ended.
    pub fn view(&self, handle: TransferHandle) -> Option<TransferView> {
        self.table
            .get(handle)
            .map(Transfer::view)
            .or_else(|| self.ended.iter().rev().find(|ended| ended.id == handle).cloned())
    }

    /// Those that run, and the last ones that ended.
    pub fn views(&self) -> Vec<TransferView> {
        self.ended
            .iter()
            .cloned()
            .chain(self.table.iter().map(|(_, transfer)| transfer.view()))
            .collect()
    }

    /// The next deadline of a transfer, or of a call below.
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.deadlines.next(), self.calls.poll_timeout()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Lets the transfers and calls whose deadlines have come act on them.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.calls.handle_timeout(now);
        while let Some(handle) = self.deadlines.pop_due(now) {
            let Some(transfer) = self.table.get(handle) else {
                continue;
            };
            let late = now >= transfer.plan.until;
            match &transfer.state {
                State::Reporting { until, .. } if now >= *until => self.finish(now, handle),
                State::Referring { until, .. } if now >= *until => {
                    self.fail(now, handle, TransferFailure::NoOutcome, None)
                }
                State::Referring { .. }
                | State::Trying { .. }
                | State::Joining { .. }
                | State::Taking { .. }
                | State::Recovering { .. }
                | State::Entrusted { .. }
                    if late =>
                {
                    self.fail(now, handle, TransferFailure::TimedOut, Some(408))
                }
                State::Reporting { .. }
                | State::Referring { .. }
                | State::Trying { .. }
                | State::Joining { .. }
                | State::Taking { .. }
                | State::Recovering { .. }
                | State::Entrusted { .. } => {}
            }
        }
    }

    /// What a leg reports that a transfer owns.
    pub fn handle(&mut self, now: Instant, handle: TransferHandle, leg: LegHandle, event: LegEvent) {
        let Some(transfer) = self.table.get(handle) else { return };
        match (&transfer.state, event) {
            (_, LegEvent::Referred { server, request }) => {
                // One at a time: the parties of a running transfer are not moved again before its end.
                self.calls.legs.refuse(now, server, &request, 491, None);
            }
            (_, LegEvent::Released { .. }) => self.party_left(now, handle, leg),
            (_, LegEvent::ReportSettled) => self.report_settled(now, handle, leg),
            (State::Trying { .. }, LegEvent::Ringing { status, description }) => {
                self.target_rings(now, handle, leg, status, description.as_ref());
            }
            (State::Trying { .. }, LegEvent::Answered { .. }) => self.target_answered(now, handle, leg),
            (State::Trying { .. }, LegEvent::Refused { status, response, .. }) => {
                self.target_refused(now, handle, leg, status, response.as_ref());
            }
            (State::Joining { offered, .. }, LegEvent::OfferAnswered { description }) if *offered == Some(leg) => {
                self.side_answered(now, handle, leg, description.as_ref());
            }
            (State::Joining { offered, .. }, LegEvent::OfferRefused { status }) if *offered == Some(leg) => {
                self.side_refused(now, handle, leg, status);
            }
            (State::Taking { offered: true, .. }, LegEvent::OfferAnswered { description })
                if leg == transfer.transferee =>
            {
                self.peer_answered(now, handle, description.as_ref());
            }
            (State::Taking { offered: true, .. }, LegEvent::OfferRefused { status }) if leg == transfer.transferee => {
                self.fail(now, handle, TransferFailure::JoinRefused, Some(status));
            }
            (State::Taking { newcomer, .. }, LegEvent::Acked { .. }) if leg == *newcomer => {}
            (State::Referring { .. }, LegEvent::Progress(progress)) => self.refer_progress(now, handle, leg, progress),
            (
                State::Joining { offered: Some(_), .. } | State::Taking { offered: true, .. } | State::Reporting { .. },
                LegEvent::Offered { .. },
            ) => {
                self.calls.legs.refuse_offer(now, leg, 491);
            }
            // Until the offers of the join begin, the calls go on as they were: hold, resume, INFO (LESSONS 25).
            (_, event) => {
                self.pass_to_call(now, handle, leg, event);
                self.join_if_quiet(now, handle);
            }
        }
    }

    /// Hands what a lent leg reports to the call it was lent by.
    fn pass_to_call(&mut self, now: Instant, handle: TransferHandle, leg: LegHandle, event: LegEvent) {
        let Some(transfer) = self.table.get(handle) else { return };
        let calls = [Some(transfer.call), transfer.consult.map(|(call, _)| call)];
        let call = calls
            .into_iter()
            .flatten()
            .find(|call| self.calls.get(*call).is_some_and(|call| call.legs().contains(&leg)));
        match (call, event) {
            // A lent leg's REFER never comes here, so there is no demand.
            (Some(call), event) => drop(self.calls.handle(now, call, leg, event)),
            // A target that was dialled is in no call before the join; it tries again after it.
            (None, LegEvent::Offered { .. }) => self.calls.legs.refuse_offer(now, leg, 491),
            (None, LegEvent::Asked { server, request } | LegEvent::Referred { server, request }) => {
                self.calls.legs.refuse(now, server, &request, 480, None);
            }
            (
                None,
                LegEvent::Ringing { .. }
                | LegEvent::Answered { .. }
                | LegEvent::Refused { .. }
                | LegEvent::Acked { .. }
                | LegEvent::OfferAnswered { .. }
                | LegEvent::OfferRefused { .. }
                | LegEvent::Refreshed { .. }
                | LegEvent::Progress(_)
                | LegEvent::ReportSettled
                | LegEvent::Released { .. },
            ) => {}
        }
    }

    pub(crate) fn is_alive(&self, leg: LegHandle) -> bool {
        self.calls.legs.get(leg).is_some_and(Leg::is_alive)
    }

    pub(crate) fn own(&mut self, leg: LegHandle, transfer: TransferHandle) {
        self.calls.legs.set_owner(leg, LegOwner::Transfer(transfer));
    }

    pub(crate) fn tell(&mut self, event: Event) {
        self.calls.legs.events.push_back(event);
    }

    pub(crate) fn progress(&mut self, handle: TransferHandle, status: Option<u16>, rule: &'static str) {
        if let Some(transfer) = self.table.get(handle) {
            let state = transfer.state_name();
            self.tell(Event::TransferProgress {
                transfer: handle,
                state,
                status,
                rule,
            });
        }
    }
}
