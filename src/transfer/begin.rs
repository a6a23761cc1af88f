//! How a transfer begins: who moves whom, and where to.
//!
//! RFC 3515 §2.4.2, RFC 5589 §6–7. Replaces is resolved against live dialogs first; only what matches nothing of ours is
//! dialled (LESSONS 2). Who may move whom is decided here, before the target hears anything (LESSONS 12, 20).

use std::time::{Duration, Instant};

use super::{Dial, State, Transfer, Transfers};
use crate::call::CallState;
use crate::dialog::Match;
use crate::leg::Leg;
use crate::sip::{HeaderName, Message, ReferTo, Replaces, Scheme, Uri};
use crate::transaction::ServerHandle;
use crate::vocabulary::{
    CallHandle, Event, LegHandle, LegOwner, Refusal, TransferFailure, TransferHandle, TransferKind, TransferMode,
    TransferTarget,
};

/// What the site allows and prefers, asked once for each transfer.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// The mode of the transferee's peer profile, or the one that was asked for.
    pub mode: TransferMode,
}

/// A refusal of the REFER itself: nothing was started.
struct Refused {
    status: u16,
    reason: Option<String>,
}

impl Refused {
    fn because(status: u16, reason: &str) -> Refused {
        Refused {
            status,
            reason: Some(reason.to_owned()),
        }
    }
}

/// What Refer-To came to.
enum Target {
    /// The transferor's other leg, and the party beyond it.
    Consult {
        call: CallHandle,
        consult: LegHandle,
        party: LegHandle,
    },
    /// Somebody to dial.
    Uri(Uri, Option<Replaces>),
    /// It names a dialog that is not alive any more.
    Dead(u16),
}

impl Transfers {
    /// A party's REFER. Accepted or refused here; whom it wants dialled goes to [`Transfers::dials`].
    pub fn refer_received(
        &mut self,
        now: Instant,
        call: CallHandle,
        transferor: LegHandle,
        server: ServerHandle,
        request: &Message,
        policy: impl FnOnce(&Leg) -> Policy,
    ) {
        match self.examine(call, transferor, request) {
            Err(Refused { status, reason }) => self.calls.legs.refuse(now, server, request, status, reason.as_deref()),
            Ok((transferee, target)) => {
                let Some(policy) = self.calls.legs.get(transferee).map(policy) else {
                    return;
                };
                let referred_by = request.text(HeaderName::ReferredBy).map(str::to_owned);
                self.calls.legs.accept_refer(now, transferor, server, request);
                let handle = self.start(now, call, transferor, transferee, target, policy, referred_by, None);
                tracing::info!(transfer = %handle, "REFER accepted");
            }
        }
    }

    fn examine(
        &self,
        call: CallHandle,
        transferor: LegHandle,
        request: &Message,
    ) -> Result<(LegHandle, Target), Refused> {
        let refer_to = ReferTo::of(request).map_err(|error| Refused {
            status: error.status(),
            reason: Some(error.reason()),
        })?;
        let uri = &refer_to.target.uri;
        if matches!(uri.scheme(), Scheme::Other) {
            return Err(Refused::because(416, "Refer-To Must Be sip, sips or tel"));
        }
        if uri
            .param("method")
            .flatten()
            .is_some_and(|method| !method.eq_ignore_ascii_case("INVITE"))
        {
            return Err(Refused::because(501, "Refer-To Method Is Not INVITE"));
        }
        let transferee = self
            .calls
            .get(call)
            .and_then(|call| call.other(transferor))
            .filter(|leg| self.is_alive(*leg));
        // LESSONS 11: a REFER that has nobody to move is refused, never passed along.
        let transferee = transferee.ok_or_else(|| Refused::because(481, "Nobody To Transfer"))?;
        if self.calls.legs.get(transferee).is_none_or(Leg::is_early) {
            return Err(Refused::because(491, "Call Not Answered Yet"));
        }
        let target = match &refer_to.replaces {
            Some(replaces) => self.resolve(transferor, replaces, uri)?,
            None if uri.user().is_none() => return Err(Refused::because(484, "Refer-To Names No User")),
            None => Target::Uri(uri.clone(), None),
        };
        if let Target::Consult { call: other, .. } = &target
            && *other == call
        {
            return Err(Refused::because(400, "Replaces Names The Same Call"));
        }
        Ok((transferee, target))
    }

    /// Replaces in Refer-To names a dialog as its other end sees it. With us at that end it is our local tag; a phone that
    /// was told the far end's identifiers names them with our tag on the other side.
    fn resolve(&self, transferor: LegHandle, replaces: &Replaces, uri: &Uri) -> Result<Target, Refused> {
        let leg = match self.calls.legs.find_replaced(replaces) {
            Match::Found(leg) => LegHandle::from(leg),
            Match::Gone(_) => return Ok(Target::Dead(603)),
            Match::Forged | Match::Mismatch => return Ok(Target::Dead(481)),
            Match::NotOurs | Match::OtherNode(_) => match self.calls.legs.find_beyond(replaces) {
                Some(beyond) => match self.partner(beyond) {
                    Some((_, leg)) => leg,
                    None => return Ok(Target::Dead(481)),
                },
                None => return Ok(Target::Uri(uri.clone(), Some(replaces.clone()))),
            },
        };
        // LESSONS 20: both tags matched; and it must be the transferor's own dialog.
        if !self.same_party(transferor, leg) {
            return Err(Refused::because(403, "Not A Party Of That Dialog"));
        }
        if replaces.early_only && self.calls.legs.get(leg).is_some_and(Leg::is_confirmed) {
            return Ok(Target::Dead(486));
        }
        if self
            .calls
            .legs
            .get(leg)
            .is_some_and(|leg| leg.is_early() && leg.we_called())
        {
            // The transferor's own phone rings there: the party beyond waits for her, and cannot be joined with anybody.
            return Err(Refused::because(491, "Consult Not Answered By The Transferor"));
        }
        match self.partner(leg) {
            Some((call, party)) => Ok(Target::Consult {
                call,
                consult: leg,
                party,
            }),
            None => Ok(Target::Dead(481)),
        }
    }

    /// The call of a leg that is no transfer's at the moment, and the party on its other side.
    pub(crate) fn partner(&self, leg: LegHandle) -> Option<(CallHandle, LegHandle)> {
        match self.calls.legs.get(leg)?.owner {
            LegOwner::Call(call) => Some((call, self.calls.get(call)?.other(leg)?)),
            LegOwner::Transfer(_) | LegOwner::Nobody => None,
        }
    }

    /// Whether two legs are the same party's: the same authenticated user, or the same address of record from the same host.
    pub(crate) fn same_party(&self, one: LegHandle, other: LegHandle) -> bool {
        let (Some(one), Some(other)) = (self.calls.legs.get(one), self.calls.legs.get(other)) else {
            return false;
        };
        match (&one.user, &other.user) {
            (Some(one), Some(other)) => one == other,
            (Some(_) | None, None) | (None, Some(_)) => {
                one.dialog.flow.remote.ip() == other.dialog.flow.remote.ip()
                    && one.party.uri.user() == other.party.uri.user()
            }
        }
    }

    /// An API client's order.
    ///
    /// # Errors
    /// When a leg does not exist, or talks with nobody, or is busy; nothing was started.
    pub fn command(
        &mut self,
        now: Instant,
        transferor: LegHandle,
        target: TransferTarget,
        ring_timeout: Option<Duration>,
        policy: impl FnOnce(&Leg) -> Policy,
    ) -> Result<TransferHandle, Refusal> {
        let call = self.calls.connected_call(transferor)?;
        let not_found = |what, handle: LegHandle| Refusal::NotFound {
            what,
            handle: handle.to_string(),
        };
        let transferee = self
            .calls
            .get(call)
            .and_then(|call| call.other(transferor))
            .ok_or_else(|| not_found("leg", transferor))?;
        let target = match target {
            TransferTarget::Uri(uri) if matches!(uri.scheme(), Scheme::Other) => {
                return Err(Refusal::Invalid {
                    field: "target",
                    why: format!("{uri} is not a sip, sips or tel URI"),
                });
            }
            TransferTarget::Uri(uri) => Target::Uri(uri.without_headers(), None),
            TransferTarget::Leg(consult) => {
                let other = self.calls.connected_call(consult)?;
                if other == call {
                    let why = format!("{consult} is in the same call; name the transferor's leg in its consult call");
                    return Err(Refusal::Invalid { field: "target", why });
                }
                let party = self
                    .calls
                    .get(other)
                    .and_then(|call| call.other(consult))
                    .ok_or_else(|| not_found("leg", consult))?;
                Target::Consult {
                    call: other,
                    consult,
                    party,
                }
            }
        };
        let policy = policy(
            self.calls
                .legs
                .get(transferee)
                .ok_or_else(|| not_found("leg", transferee))?,
        );
        Ok(self.start(now, call, transferor, transferee, target, policy, None, ring_timeout))
    }

    #[expect(clippy::too_many_arguments, reason = "the one place where a transfer is made")]
    fn start(
        &mut self,
        now: Instant,
        call: CallHandle,
        transferor: LegHandle,
        transferee: LegHandle,
        target: Target,
        policy: Policy,
        referred_by: Option<String>,
        ring_timeout: Option<Duration>,
    ) -> TransferHandle {
        let consult = match &target {
            Target::Consult { call, consult, .. } => Some((*call, *consult)),
            Target::Uri(..) | Target::Dead(_) => None,
        };
        let target_name = match &target {
            Target::Consult { party, .. } => self
                .calls
                .legs
                .get(*party)
                .map(|leg| leg.party.uri.to_string())
                .unwrap_or_default(),
            Target::Uri(uri, _) => uri.to_string(),
            Target::Dead(_) => String::new(),
        };
        let kind = if consult.is_some() || matches!(target, Target::Dead(_)) {
            TransferKind::Attended
        } else {
            TransferKind::Blind
        };
        let mode = self.choose(policy.mode, transferee, &target);
        let handle = self.table.insert_with(|handle| Transfer {
            handle,
            kind,
            mode,
            state: State::Trying {
                forks: Vec::new(),
                best: None,
            },
            call,
            transferor,
            transferee,
            consult,
            target_name: target_name.clone(),
            referred_by: referred_by.clone(),
            early: false,
            dial: None,
        });
        let owner = LegOwner::Transfer(handle);
        self.calls.lend(call, owner);
        if let Some((other, _)) = consult {
            self.calls.lend(other, owner);
        }
        self.tell(Event::TransferRequested {
            transfer: handle,
            kind,
            mode,
            transferor,
            transferee,
            target: target_name,
        });
        let falls_back = policy.mode == TransferMode::Auto;
        match target {
            Target::Dead(status) => self.fail(now, handle, TransferFailure::TargetGone, Some(status)),
            Target::Consult { party, .. } if mode == TransferMode::Refer => {
                self.refer_attended(now, handle, party, falls_back)
            }
            Target::Consult { party, .. } => self.consult_found(now, handle, party),
            Target::Uri(target, replaces) => {
                let dial = Dial {
                    transfer: handle,
                    target,
                    replaces,
                    referred_by,
                    transferee,
                    transferor,
                    ring_timeout,
                };
                if mode == TransferMode::Refer {
                    let (target, replaces) = (dial.target.clone(), dial.replaces.clone());
                    if let Some(transfer) = self.table.get_mut(handle) {
                        transfer.dial = Some(Box::new(dial));
                    }
                    self.refer_blind(now, handle, &target, replaces.as_ref(), falls_back);
                } else {
                    self.dials.push_back(dial);
                }
            }
        }
        handle
    }

    /// `auto`: REFER where the transferee says that it can; else the edge does it, whatever the parties can do.
    fn choose(&self, wish: TransferMode, transferee: LegHandle, target: &Target) -> TransferMode {
        let abilities = self
            .calls
            .legs
            .get(transferee)
            .map(|leg| leg.abilities)
            .unwrap_or_default();
        // A party can only take over a dialog that it can reach itself: one at the same next hop as its own.
        let reachable = match target {
            Target::Consult { party, call, .. } => {
                let hop = |leg: LegHandle| self.calls.legs.get(leg).map(|leg| leg.dialog.flow.remote);
                let answered = self
                    .calls
                    .get(*call)
                    .is_some_and(|call| matches!(call.state, CallState::Connected { .. }));
                hop(transferee) == hop(*party) && abilities.replaces && answered
            }
            Target::Uri(..) => true,
            Target::Dead(_) => false,
        };
        match wish {
            TransferMode::Native => TransferMode::Native,
            TransferMode::Refer => TransferMode::Refer,
            TransferMode::Auto if abilities.refer && reachable => TransferMode::Refer,
            TransferMode::Auto => TransferMode::Native,
        }
    }
}
