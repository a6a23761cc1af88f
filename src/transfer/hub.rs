//! Transfers that concern a hub: somebody takes a participant's place, or is joined to those who talk.
//!
//! A hub answers by itself, so nothing has to be matched and nobody waits: there is no transfer of several steps, only a
//! change of who takes part, and `hub.joined` and `hub.left` tell of it. Who may is decided as for a pair.
//!
//! | comes | names | then |
//! |---|---|---|
//! | REFER of a participant | somebody to dial | it rings; once it answers it has the participant's place and role |
//! | | the participant's call with a third party | that party has its place, at once or when it answers |
//! | | the participant's call that is a hub itself | 488: two hubs are not made one |
//! | REFER of a party of a pair | its own place in a hub | the other side has that place |
//! | INVITE with Replaces | a participant, or one that rings | the newcomer has its place |
//! | INVITE with Join (RFC 3911) | a party of a pair or hub | the newcomer takes part; a pair becomes a hub for it |
//!
//! RFC 3515, RFC 3891 §3, RFC 3911 §4, RFC 5589 §6–7, RFC 4579 §5.5 (a REFER to a focus).

use std::time::Instant;

use compact_str::CompactString;

use super::begin::{Refused, Target, whom};
use super::{Answer, Asked, Referral, ReplacesRefused, Transfers};
use crate::call::CallState;
use crate::dialog::Match;
use crate::leg::Leg;
use crate::sip::{Message, Replaces, Uri};
use crate::transaction::ServerHandle;
use crate::transport::Flow;
use crate::vocabulary::{CallHandle, Denied, HubSettings, LegHandle, LegOwner, Role, TransferKind};

/// Somebody who is to be dialled for a participant's place.
#[derive(Clone, Debug)]
pub struct Seat {
    /// The hub.
    pub hub: CallHandle,
    /// The participant.
    pub place: LegHandle,
    /// Its role, which goes over.
    pub role: Role,
    /// Whom to dial.
    pub target: Uri,
    /// A dialog at the target that is not ours, to be taken over there.
    pub replaces: Option<Replaces>,
    /// Referred-By of the REFER (RFC 3892), as it came.
    pub referred_by: Option<String>,
}

/// What a participant's REFER came to.
enum Wish {
    Dial(Uri, Option<Replaces>),
    /// A party that talks with the participant, or rings for it, in this call.
    Party(CallHandle, LegHandle),
}

impl Transfers {
    /// A participant's REFER: accepted or refused here. `Some`: the caller dials and says what came of it.
    pub fn member_refers(
        &mut self,
        now: Instant,
        hub: CallHandle,
        place: LegHandle,
        referral: Referral,
        ask: impl FnOnce(&Asked<'_>) -> Answer,
    ) -> Option<Seat> {
        if self.refused_options(now, &referral) {
            return None;
        }
        let judged = self.examine_member(place, &referral.request, ask);
        let (wish, role, status) = match judged {
            Ok((wish, role, answer)) => (wish, role, referral.status(answer.answer)),
            Err(Refused { status, reason }) => {
                let Referral { server, request, .. } = referral;
                self.calls.legs.refuse(now, server, &request, status, reason.as_deref());
                return None;
            }
        };
        let referred_by = self.accept(now, place, referral, status);
        match wish {
            Wish::Dial(target, replaces) => Some(Seat {
                hub,
                place,
                role,
                target,
                replaces,
                referred_by,
            }),
            Wish::Party(call, party) => {
                if self.calls.legs.get(party).is_some_and(Leg::is_early) {
                    self.calls.ring_for_place(now, hub, place, call);
                } else {
                    self.calls.seat_from_pair(now, hub, place, party);
                }
                None
            }
        }
    }

    fn accept(&mut self, now: Instant, transferor: LegHandle, referral: Referral, status: u16) -> Option<String> {
        let Referral {
            server,
            request,
            outside,
        } = referral;
        let referred_by = request.text(crate::sip::HeaderName::ReferredBy).map(str::to_owned);
        let legs = &mut self.calls.legs;
        legs.accept_refer(now, transferor, server, &request, status, outside);
        referred_by
    }

    fn examine_member(
        &self,
        place: LegHandle,
        request: &Message,
        ask: impl FnOnce(&Asked<'_>) -> Answer,
    ) -> Result<(Wish, Role, super::Policy), Refused> {
        let refer_to = whom(request)?;
        let (_, role) = self
            .calls
            .seat(place)
            .ok_or_else(|| Refused::because(481, "Not In A Conference"))?;
        let uri = &refer_to.target.uri;
        let target = match &refer_to.replaces {
            Some(replaces) if self.seat_named(replaces).is_some() => {
                return Err(Refused::because(488, "Two Conferences Are Not Made One"));
            }
            Some(replaces) => self.resolve(place, replaces, uri)?,
            None if uri.user().is_none() => return Err(Refused::because(484, "Refer-To Names No User")),
            None => Target::Uri(uri.clone(), None),
        };
        let policy = self.ask(place, place, &target, ask)?;
        let wish = match target {
            Target::Uri(uri, replaces) => Wish::Dial(uri, replaces),
            Target::Consult { call, party, .. } => Wish::Party(call, party),
            Target::Dead(status) => return Err(Refused::because(status, "Replaces Matches No Dialog")),
        };
        Ok((wish, role, policy))
    }

    /// The leg in a hub that a Replaces names; `None`: it names nobody there.
    pub fn seat_named(&self, replaces: &Replaces) -> Option<LegHandle> {
        let leg = self.calls.legs.find_replaced(replaces).handle().map(LegHandle::from)?;
        self.calls.seat(leg).map(|_| leg)
    }

    /// A REFER of a party of a pair whose Refer-To names a place in a hub: its other side goes there. Else it is given back.
    pub fn refer_into_hub(
        &mut self,
        now: Instant,
        call: CallHandle,
        transferor: LegHandle,
        referral: Referral,
        ask: impl FnOnce(&Asked<'_>) -> Answer,
    ) -> Option<Referral> {
        let named = whom(&referral.request).ok().and_then(|refer_to| refer_to.replaces);
        let Some((seat, replaces)) = named.and_then(|replaces| Some((self.seat_named(&replaces)?, replaces))) else {
            return Some(referral);
        };
        if self.refused_options(now, &referral) {
            return None;
        }
        match self.examine_into_hub(call, transferor, seat, &replaces, ask) {
            Ok((transferee, hub, policy)) => {
                let status = referral.status(policy.answer);
                self.accept(now, transferor, referral, status);
                self.calls.legs.report(now, transferor, 200, true);
                self.calls.seat_from_pair(now, hub, seat, transferee);
            }
            Err(Refused { status, reason }) => {
                let Referral { server, request, .. } = referral;
                self.calls.legs.refuse(now, server, &request, status, reason.as_deref());
            }
        }
        None
    }

    fn examine_into_hub(
        &self,
        call: CallHandle,
        transferor: LegHandle,
        seat: LegHandle,
        replaces: &Replaces,
        ask: impl FnOnce(&Asked<'_>) -> Answer,
    ) -> Result<(LegHandle, CallHandle, super::Policy), Refused> {
        let transferee = self.calls.get(call).and_then(|call| call.other(transferor));
        let transferee = transferee
            .filter(|leg| self.is_alive(*leg))
            .ok_or_else(|| Refused::because(481, "Nobody To Transfer"))?;
        if !self.same_party(transferor, seat) {
            return Err(Refused::because(403, "Not A Party Of That Dialog"));
        }
        if self.calls.legs.get(transferee).is_none_or(|leg| !leg.is_confirmed()) {
            return Err(Refused::because(491, "Call Not Answered Yet"));
        }
        let confirmed = self.calls.legs.get(seat).is_some_and(Leg::is_confirmed);
        if !confirmed {
            return Err(Refused::because(491, "Consult Not Answered By The Transferor"));
        }
        if replaces.early_only {
            return Err(Refused::because(
                486,
                "Replaces Is Early-Only But The Dialog Is Confirmed",
            ));
        }
        let (hub, _) = self
            .calls
            .seat(seat)
            .ok_or_else(|| Refused::because(481, "Replaces Matches No Dialog"))?;
        let target = Target::Consult {
            call: hub,
            consult: seat,
            party: seat,
        };
        let policy = self.ask(transferor, transferee, &target, ask)?;
        Ok((transferee, hub, policy))
    }

    /// An INVITE with Replaces that names somebody in a hub.
    ///
    /// # Errors
    /// By the rules of RFC 3891 §3; the caller answers with [`ReplacesRefused::status`].
    #[expect(
        clippy::too_many_arguments,
        reason = "what an INVITE is: its flow, transaction, message, user"
    )]
    pub fn replace_in_hub(
        &mut self,
        now: Instant,
        flow: Flow,
        server: ServerHandle,
        request: &Message,
        replaces: &Replaces,
        seat: LegHandle,
        user: Option<CompactString>,
        trusted: bool,
        allow: impl FnOnce(&Asked<'_>) -> Result<(), Denied>,
    ) -> Result<LegHandle, ReplacesRefused> {
        let (hub, role) = self.calls.seat(seat).ok_or(ReplacesRefused::Unknown)?;
        let replaced = self.calls.legs.get(seat).ok_or(ReplacesRefused::Unknown)?;
        let early = replaced.is_early();
        if early && !replaced.we_called() {
            return Err(ReplacesRefused::NotOurs);
        }
        let party = request.from().map_err(|_| ReplacesRefused::Malformed)?;
        if !trusted && !self.may_take(seat, early, user.as_deref(), &party, &flow) {
            return Err(ReplacesRefused::Forbidden);
        }
        if replaces.early_only && !early {
            return Err(ReplacesRefused::EarlyOnly);
        }
        self.allowed(seat, &party.uri, allow)?;
        let newcomer = self.newcomer(hub, flow, server, request, user)?;
        self.calls.seat_newcomer(now, hub, seat, newcomer, role);
        Ok(newcomer)
    }

    /// An INVITE with Join: the newcomer takes part where the named party talks.
    ///
    /// # Errors
    /// As for Replaces (RFC 3911 §4): unknown or not answered 481, ended 603, not allowed 403; full or busy 488.
    #[expect(
        clippy::too_many_arguments,
        reason = "what an INVITE is: its flow, transaction, message, user"
    )]
    pub fn join_in(
        &mut self,
        now: Instant,
        flow: Flow,
        server: ServerHandle,
        request: &Message,
        join: &Replaces,
        user: Option<CompactString>,
        trusted: bool,
        allow: impl FnOnce(&Asked<'_>) -> Result<(), Denied>,
    ) -> Result<LegHandle, ReplacesRefused> {
        let joined = self.joined_by(join)?;
        let leg = self.calls.legs.get(joined).ok_or(ReplacesRefused::Unknown)?;
        let call = match leg.owner {
            LegOwner::Call(call) if leg.is_confirmed() => call,
            LegOwner::Call(_) | LegOwner::Transfer(_) | LegOwner::Nobody => return Err(ReplacesRefused::Unknown),
        };
        let party = request.from().map_err(|_| ReplacesRefused::Malformed)?;
        if !trusted && !self.may_take(joined, false, user.as_deref(), &party, &flow) {
            return Err(ReplacesRefused::Forbidden);
        }
        self.allowed(joined, &party.uri, allow)?;
        match self.calls.get(call).map(|call| &call.state) {
            Some(CallState::Hub(_)) => {}
            Some(CallState::Connected { .. }) => {
                let settings = HubSettings::default();
                self.calls
                    .to_hub(now, call, settings)
                    .map_err(|_| ReplacesRefused::Full)?;
            }
            Some(CallState::Alerting { .. }) | None => return Err(ReplacesRefused::Unknown),
        }
        self.calls.check_room(call).map_err(|_| ReplacesRefused::Full)?;
        let newcomer = self.newcomer(call, flow, server, request, user)?;
        if self.calls.answer_newcomer(now, newcomer) {
            self.calls.join_hub(now, call, newcomer, Role::default());
        }
        Ok(newcomer)
    }

    /// The leg whose party a Join names, with us or the far end at the other end of its dialog.
    pub fn joined_by(&self, join: &Replaces) -> Result<LegHandle, ReplacesRefused> {
        match self.calls.legs.find_replaced(join) {
            Match::Found(leg) => {
                let leg = LegHandle::from(leg);
                let alive = self.calls.legs.get(leg).is_some_and(Leg::is_alive);
                if alive { Ok(leg) } else { Err(ReplacesRefused::Ended) }
            }
            Match::Gone(_) => Err(ReplacesRefused::Ended),
            Match::Forged | Match::Mismatch | Match::OtherNode(_) | Match::NotOurs => Err(ReplacesRefused::Unknown),
        }
    }

    fn allowed(
        &self,
        leg: LegHandle,
        target: &Uri,
        allow: impl FnOnce(&Asked<'_>) -> Result<(), Denied>,
    ) -> Result<(), ReplacesRefused> {
        let Some(leg) = self.calls.legs.get(leg) else {
            return Err(ReplacesRefused::Unknown);
        };
        let asked = Asked {
            kind: TransferKind::Replaced,
            transferor: leg,
            transferee: leg,
            target: Some(target),
        };
        allow(&asked).map_err(|_| ReplacesRefused::Forbidden)
    }

    fn newcomer(
        &mut self,
        hub: CallHandle,
        flow: Flow,
        server: ServerHandle,
        request: &Message,
        user: Option<CompactString>,
    ) -> Result<LegHandle, ReplacesRefused> {
        let offer = crate::leg::description(request);
        let legs = &mut self.calls.legs;
        legs.incoming(LegOwner::Call(hub), flow, server, request, user, offer)
            .map_err(|_| ReplacesRefused::Malformed)
    }
}
