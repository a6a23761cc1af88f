//! A phone that forwards its calls: it answers our INVITE with 3xx, and the edge follows.
//!
//! RFC 3261 §8.1.3.4, §16.7 point 4 (a proxy may recurse), RFC 5359 §2.7–2.9, RFC 5806 (Diversion). Followed are phones
//! that are registered here, by their own dialling rights: whoever may not call a number cannot have it called by
//! forwarding. What cannot be followed, and what a PBX or trunk says, goes back to the caller as it came.

use std::time::Instant;

use compact_str::{CompactString, format_compact};

use super::Engine;
use super::route::Caller;
use crate::leg::{Called, Invitation, LegEvent, LegHandle, LegOwner};
use crate::sip::{HeaderName, Message, NameAddr, Scheme, Uri};
use crate::vocabulary::{Cause, Refusal};

/// A call that is forwarded in a circle is stopped here at the latest.
const MOST_DIVERSIONS: usize = 5;
const DIVERSION: &str = "Diversion";

/// A refusal that says where else to try.
struct Redirect {
    /// The user whose phone it was.
    by: Uri,
    targets: Vec<Uri>,
    /// The header that tells the next party who sent the call on, and why.
    diversion: CompactString,
}

impl Engine {
    /// Follows the 3xx of a phone; whatever is not followed is handed back, to be told to the leg's owner.
    pub(super) fn diverted(
        &mut self,
        now: Instant,
        leg: LegHandle,
        owner: LegOwner,
        event: LegEvent,
    ) -> Option<LegEvent> {
        let LegEvent::Refused {
            status: 300..=302,
            response: Some(response),
            called: Some(called),
        } = &event
        else {
            return Some(event);
        };
        let Some(redirect) = self.redirect(now, response, called) else {
            return Some(event);
        };
        if goes_round(&called.invitation, &redirect) {
            return Some(LegEvent::Refused {
                status: 482,
                response: None,
                called: None,
            });
        }
        let mut invitations = Vec::new();
        for target in &redirect.targets {
            invitations.extend(self.forward_ways(now, target, &redirect, &called.invitation));
        }
        let Some(to) = redirect.targets.first().filter(|_| !invitations.is_empty()) else {
            return Some(event);
        };
        match owner {
            LegOwner::Call(call) => self.transfers.calls.forward(now, call, leg, to, invitations),
            LegOwner::Transfer(transfer) => self.transfers.forward(now, transfer, leg, to, invitations),
            LegOwner::Nobody => return Some(event),
        }
        None
    }

    /// An API client sends a ringing phone's call on. The dialling rights are those of the party that rings.
    pub(super) fn divert(
        &mut self,
        now: Instant,
        handle: LegHandle,
        to: &Uri,
        headers: &[(String, String)],
    ) -> Result<(), Refusal> {
        let headers = super::hub::headers(headers)?;
        let conflict = |why: String| Refusal::Conflict { why };
        let calls = &self.transfers.calls;
        let leg = calls.legs.get(handle).filter(|leg| leg.is_alive());
        let leg = leg.ok_or_else(|| Refusal::NotFound {
            what: "leg",
            handle: handle.to_string(),
        })?;
        let LegOwner::Call(call) = leg.owner else {
            return Err(conflict(format!("{handle} does not ring in a call")));
        };
        let old = calls.legs.invitation(handle).cloned();
        let old = old.ok_or_else(|| conflict(format!("{handle} does not ring")))?;
        let by = leg.party.uri.clone();
        let forks = calls.ringing_with(call, &by);
        if !forks.contains(&handle) {
            return Err(conflict(format!("{call} does not ring")));
        }
        // RFC 5806 §5: the word for a call that is sent on while it rings.
        let redirect = Redirect {
            diversion: format_compact!("<{by}>;reason=deflection"),
            targets: vec![to.without_headers()],
            by,
        };
        if goes_round(&old, &redirect) {
            return Err(conflict("the call would go in a circle".to_owned()));
        }
        let mut invitations = self.forward_ways(now, to, &redirect, &old);
        for invitation in &mut invitations {
            invitation.extra.extend(headers.iter().cloned());
        }
        if invitations.is_empty() {
            let why = "there is no way to it".to_owned();
            return Err(Refusal::Invalid { field: "to", why });
        }
        self.transfers.calls.forward(now, call, handle, to, invitations);
        for fork in forks {
            self.transfers.calls.drop_fork(call, fork);
            self.legs().release(now, fork, Cause::Command);
        }
        Ok(())
    }

    fn redirect(&self, now: Instant, response: &Message, called: &Called) -> Option<Redirect> {
        if self.settings.registers_through() {
            return None;
        }
        let invitation = &called.invitation;
        let bindings = self.registrar.all(now);
        let theirs = |contact: &Uri| contact.without_headers() == invitation.request_uri;
        let binding = bindings
            .iter()
            .find(|binding| binding.flow == invitation.flow && theirs(&binding.contact.uri))?;
        let by = Uri::parse(&binding.aor).ok()?;
        let contacts = response
            .values(HeaderName::Contact)
            .filter_map(|value| NameAddr::parse(value).ok());
        let targets: Vec<_> = contacts
            .filter(|contact| contact.uri.scheme() != Scheme::Other && contact.uri.user().is_some())
            .map(|contact| contact.uri.without_headers())
            .collect();
        // RFC 5806 §5: only whether it rang can be seen from here; a phone that knows more says so itself.
        let reason = if called.rang { "no-answer" } else { "unknown" };
        let own = response.values(HeaderName::Diversion).next().map(CompactString::from);
        let diversion = own.unwrap_or_else(|| format_compact!("<{by}>;reason={reason}"));
        (!targets.is_empty()).then_some(Redirect { by, targets, diversion })
    }

    /// The same call to somebody else: who calls and with what stays as it was.
    fn forward_ways(&mut self, now: Instant, target: &Uri, redirect: &Redirect, old: &Invitation) -> Vec<Invitation> {
        let user = redirect.by.user_unescaped();
        let Ok(ways) = self.ways(now, target, Caller::Phone, user.as_deref(), None) else {
            return Vec::new();
        };
        let mut invitations = Vec::new();
        for way in ways {
            let mut extra = old.extra.clone();
            extra.push((DIVERSION.into(), redirect.diversion.clone()));
            self.rewrite(&way.request_uri, false, &mut extra);
            let party = NameAddr::new(redirect.by.clone());
            let credentials = match way.to_pbx {
                true => self.settings.credentials(&party),
                false => self.settings.peer_credentials(&way.flow),
            };
            invitations.push(Invitation {
                credentials,
                call_id: old.call_id.clone().filter(|_| self.settings.keeps_call_id(&way.flow)),
                // Whose leg it is: by that name it may hold, transfer and be replaced.
                to: NameAddr::new(target.clone()),
                flow: way.flow,
                request_uri: way.request_uri,
                routes: way.routes,
                extra,
                max_forwards: old.max_forwards.saturating_sub(1),
                next: way.next,
                wanted: way.wanted,
                reached: way.reached,
                ..old.clone()
            });
        }
        invitations
    }
}

/// Whether this user has sent the call on before, or too many have.
fn goes_round(invitation: &Invitation, redirect: &Redirect) -> bool {
    let diversions = || {
        invitation
            .extra
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case(DIVERSION))
    };
    let before = |value: &str| NameAddr::parse(value).is_ok_and(|party| party.uri.same_user(&redirect.by));
    invitation.max_forwards == 0
        || diversions().count() >= MOST_DIVERSIONS
        || diversions().any(|(_, value)| before(value))
        || redirect.targets.iter().any(|target| target.same_user(&redirect.by))
}
