//! How a transfer begins: who moves whom, and where to.
//!
//! RFC 3515 §2.4.2, RFC 5589 §6–7. Replaces is resolved against live dialogs first; only what matches nothing of ours is
//! dialled (LESSONS 2). Who may move whom is decided here, before the target hears anything (LESSONS 12, 20).

use std::time::{Duration, Instant};

use super::start::Beginning;
use super::{Answer, Asked, Policy, Referral, Transfers};
use crate::dialog::Match;
use crate::leg::Leg;
use crate::sip::{HeaderName, Message, ReferTo, Replaces, Scheme, Uri, unsupported};
use crate::vocabulary::{
    CallHandle, LegHandle, LegOwner, Refusal, TransferHandle, TransferKind, TransferMode, TransferTarget,
};

/// A refusal of the REFER itself: nothing was started.
pub(super) struct Refused {
    pub(super) status: u16,
    pub(super) reason: Option<String>,
}

impl Refused {
    pub(super) fn because(status: u16, reason: &str) -> Refused {
        Refused {
            status,
            reason: Some(reason.to_owned()),
        }
    }
}

/// What Refer-To came to.
pub(super) enum Target {
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

/// Whom a REFER names: somebody who can be called.
pub(super) fn whom(request: &Message) -> Result<ReferTo, Refused> {
    let refer_to = ReferTo::of(request).map_err(|error| Refused {
        status: error.status(),
        reason: Some(error.reason()),
    })?;
    let uri = &refer_to.target.uri;
    if matches!(uri.scheme(), Scheme::Other) {
        return Err(Refused::because(416, "Refer-To Must Be sip, sips or tel"));
    }
    let method = uri.param("method").flatten();
    if method.is_some_and(|method| !method.eq_ignore_ascii_case("INVITE")) {
        return Err(Refused::because(501, "Refer-To Method Is Not INVITE"));
    }
    Ok(refer_to)
}

impl Transfers {
    /// A party's REFER. Accepted or refused here (in mode `pass` by the transferee); whom it wants dialled goes to
    /// [`Transfers::dials`].
    pub fn refer_received(
        &mut self,
        now: Instant,
        call: CallHandle,
        transferor: LegHandle,
        referral: Referral,
        ask: impl FnOnce(&Asked<'_>) -> Answer,
    ) {
        let Referral { server, request, .. } = &referral;
        if self.refused_options(now, &referral) {
            return;
        }
        let examined = self.examine(call, transferor, request);
        let judged = examined.and_then(|(transferee, target)| {
            let policy = self.ask(transferor, transferee, &target, ask)?;
            match &target {
                // In mode `pass` nothing is promised that the transferee has not promised.
                Target::Dead(status) if policy.mode == TransferMode::Pass => {
                    Err(Refused::because(*status, "Replaces Matches No Dialog"))
                }
                Target::Consult { .. } | Target::Uri(..) | Target::Dead(_) => Ok((transferee, target, policy)),
            }
        });
        match judged {
            Err(Refused { status, reason }) => {
                self.calls.legs.refuse(now, *server, request, status, reason.as_deref());
            }
            Ok((transferee, target, policy)) => {
                let referred_by = request.text(HeaderName::ReferredBy).map(str::to_owned);
                let status = referral.status(policy.answer);
                let mut pending = None;
                if policy.mode == TransferMode::Pass {
                    pending = Some(Box::new((referral, status)));
                } else {
                    let Referral {
                        server,
                        request,
                        outside,
                    } = referral;
                    self.calls
                        .legs
                        .accept_refer(now, transferor, server, &request, status, outside);
                }
                let beginning = Beginning {
                    call,
                    transferor,
                    transferee,
                    target,
                    policy,
                    referred_by,
                    ring_timeout: None,
                    pending,
                };
                let handle = self.start(now, beginning);
                tracing::info!(transfer = %handle, "REFER accepted");
            }
        }
    }

    /// Whether a REFER asks for what nobody here can do; it has its answer then.
    pub(super) fn refused_options(&mut self, now: Instant, referral: &Referral) -> bool {
        let Referral { server, request, .. } = referral;
        let options = unsupported(request);
        if options.is_empty() {
            return false;
        }
        // RFC 7614 §4: explicitsub wants a URI to subscribe to, which this edge does not serve.
        let tag = request.stateless_tag(&self.calls.legs.identity.key);
        let draft = request
            .respond(420)
            .to_tag(&tag)
            .header(HeaderName::Unsupported, options.join(", "));
        self.calls.legs.transactions.respond(now, *server, draft.print(), 420);
        true
    }

    /// The site's answer; and a call that goes round is stopped here.
    pub(super) fn ask(
        &self,
        transferor: LegHandle,
        transferee: LegHandle,
        target: &Target,
        ask: impl FnOnce(&Asked<'_>) -> Answer,
    ) -> Result<Policy, Refused> {
        let legs = &self.calls.legs;
        let gone = || Refused::because(481, "Nobody To Transfer");
        let (Some(from), Some(moved)) = (legs.get(transferor), legs.get(transferee)) else {
            return Err(gone());
        };
        let deep = |leg: &Leg| match leg.owner {
            LegOwner::Call(call) => self
                .calls
                .get(call)
                .is_some_and(|call| call.transfers >= self.limits.depth),
            LegOwner::Transfer(_) | LegOwner::Nobody => false,
        };
        if deep(from) {
            return Err(Refused::because(403, "Transferred Too Often"));
        }
        let (kind, uri) = match target {
            Target::Consult { party, .. } => (TransferKind::Attended, legs.get(*party).map(|leg| &leg.party.uri)),
            Target::Uri(uri, _) => (TransferKind::Blind, Some(uri)),
            Target::Dead(_) => (TransferKind::Attended, None),
        };
        let asked = Asked {
            kind,
            transferor: from,
            transferee: moved,
            target: uri,
        };
        ask(&asked).map_err(|denied| Refused {
            status: denied.status,
            reason: Some(denied.reason),
        })
    }

    fn examine(
        &self,
        call: CallHandle,
        transferor: LegHandle,
        request: &Message,
    ) -> Result<(LegHandle, Target), Refused> {
        let refer_to = whom(request)?;
        let uri = &refer_to.target.uri;
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
    pub(super) fn resolve(&self, transferor: LegHandle, replaces: &Replaces, uri: &Uri) -> Result<Target, Refused> {
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
        ask: impl FnOnce(&Asked<'_>) -> Answer,
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
        let policy = self
            .ask(transferor, transferee, &target, ask)
            .map_err(|refused| Refusal::Conflict {
                why: format!(
                    "refused by policy: {} {}",
                    refused.status,
                    refused.reason.unwrap_or_default()
                ),
            })?;
        // There is no REFER of the transferor to be passed: the edge sends its own.
        let mode = match policy.mode {
            TransferMode::Pass => TransferMode::Refer,
            mode @ (TransferMode::Native | TransferMode::Refer | TransferMode::Auto) => mode,
        };
        let beginning = Beginning {
            call,
            transferor,
            transferee,
            target,
            policy: Policy { mode, ..policy },
            referred_by: None,
            ring_timeout,
            pending: None,
        };
        Ok(self.start(now, beginning))
    }
}
