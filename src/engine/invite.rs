//! An INVITE outside of dialogs: who is it, does it take somebody's place, whom does it call.
//!
//! RFC 3261 §8.2, §16.3 (Max-Forwards, loops), §22.3; RFC 3891 §3–4.

use std::time::Instant;

use bytes::Bytes;
use compact_str::CompactString;

use super::Engine;
use super::plugin::{NewCall, Routing};
use super::route::{Caller, Way};
use super::secure::{is_secure, wants_sips};
use crate::leg::Invitation;
use crate::sdp::Description;
use crate::sip::{HeaderName, Message, NameAddr, Replaces, Uri, unsupported};
use crate::transaction::ServerHandle;
use crate::transfer::{Asked, Dial};
use crate::transport::Flow;
use crate::vocabulary::LegHandle;

/// Where a new call goes.
enum Onward {
    Ways(Vec<Way>),
    /// To nobody's phone: a client of the API has it.
    Application(String),
}

/// A refusal: the status, and a reason where the status says too little.
pub(super) struct Refused(pub(super) u16, pub(super) Option<String>);

impl Engine {
    pub(super) fn invite(&mut self, now: Instant, flow: Flow, server: ServerHandle, request: Message) {
        let options = unsupported(&request);
        if !options.is_empty() {
            let draft = self
                .refusal(&request, 420)
                .header(HeaderName::Unsupported, options.join(", "));
            self.legs().transactions.respond(now, server, draft.print(), 420);
            return;
        }
        if !accepts_descriptions(&request) {
            self.legs().refuse(now, server, &request, 406, None);
            return;
        }
        if self.legs().transactions.merged_with(server).is_some() {
            // RFC 3261 §8.2.2.2: the same INVITE by another way.
            self.legs().refuse(now, server, &request, 482, None);
            return;
        }
        if let Some(least) = self.legs().interval_too_small(&request) {
            let draft = self.refusal(&request, 422).header(HeaderName::MinSe, least);
            self.legs().transactions.respond(now, server, draft.print(), 422);
            return;
        }
        if let Some(seconds) = self.draining
            && request.header(HeaderName::Replaces).is_none()
            && request.header(HeaderName::Join).is_none()
        {
            // RFC 3261 §21.5.4. What takes a place in a running call is no new call.
            let draft = self.refusal(&request, 503).header(HeaderName::RetryAfter, seconds);
            self.legs().transactions.respond(now, server, draft.print(), 503);
            return;
        }
        let caller = self.caller(&flow, &request);
        let user = match self.authenticate(now, flow, &request, caller) {
            Ok(user) => user,
            Err(challenge) => {
                self.challenge(now, flow, server, &challenge);
                return;
            }
        };
        if let Some(user) = &user
            && !request
                .from()
                .is_ok_and(|from| from.uri.user_unescaped().is_some_and(|name| name == user.as_str()))
        {
            // RFC 3261 §22.1: who proved to be alice does not call as bob.
            self.legs()
                .refuse(now, server, &request, 403, Some("From Is Not The Authenticated User"));
            return;
        }
        if let Some(user) = &user
            && !self.guard.may_call(now, user)
        {
            self.refuse_too_many(now, server, &request);
            return;
        }
        if wants_sips(&request) && !is_secure(&flow) {
            self.refuse_sips(now, server, &request);
            return;
        }
        if let Err(Refused(status, reason)) = self.begin_call(now, flow, server, &request, caller, user) {
            if status == 480 && wants_sips(&request) {
                self.refuse_sips(now, server, &request);
            } else if status == 415 {
                let draft = self
                    .refusal(&request, 415)
                    .header(HeaderName::Accept, "application/sdp");
                self.legs().transactions.respond(now, server, draft.print(), 415);
            } else {
                self.legs().refuse(now, server, &request, status, reason.as_deref());
            }
        }
    }

    /// A refusal with a To tag (RFC 3261 §8.2.6.2), to be completed.
    fn refusal(&self, request: &Message, status: u16) -> crate::sip::Draft {
        let tag = request.stateless_tag(&self.transfers.calls.legs.identity.key);
        request.respond(status).to_tag(&tag)
    }

    /// Known sources are trusted by their address; in `through` mode the PBX challenges by itself; everybody else proves
    /// who they are (LESSONS 40).
    pub(super) fn authenticate(
        &mut self,
        now: Instant,
        flow: Flow,
        request: &Message,
        caller: Caller,
    ) -> Result<Option<CompactString>, Box<crate::sip::Draft>> {
        match caller {
            Caller::Pbx | Caller::Trusted => Ok(None),
            Caller::Stranger => Ok(None),
            Caller::Phone if self.settings.registers_through() => Ok(None),
            Caller::Phone if self.proven.is_some() => Ok(self.proven.take()),
            Caller::Phone => self.registrar.authenticate(now, flow, request, true),
        }
    }

    fn begin_call(
        &mut self,
        now: Instant,
        flow: Flow,
        server: ServerHandle,
        request: &Message,
        caller: Caller,
        user: Option<CompactString>,
    ) -> Result<(), Refused> {
        let bad = |error: crate::sip::ParseError| Refused(error.status(), Some(error.reason()));
        if let Some(()) = self.invite_into_hub(now, flow, server, request, caller, user.as_ref())? {
            return Ok(());
        }
        let replaces = Replaces::of(request).map_err(bad)?;
        if let Some(replaces) = replaces {
            let replaced = self.transfers.replaced_by(&replaces);
            // RFC 3891 §4: the same user, on whatever phone; a leg that we called has proved nothing, its binding has.
            let same_user = user.is_some() && replaced.and_then(|leg| self.user_of(now, leg)) == user;
            let trusted = same_user || matches!(caller, Caller::Pbx | Caller::Trusted);
            let plugin = &mut self.plugin;
            let allow = |asked: &Asked<'_>| plugin.as_mut().map_or(Ok(()), |plugin| plugin.allow(asked));
            return match self
                .transfers
                .replace(now, flow, server, request, &replaces, user, trusted, allow)
            {
                Ok(_) => Ok(()),
                Err(refused) => Err(Refused(refused.status(), Some(refused.to_string()))),
            };
        }
        let offer = description(request)?;
        let max_forwards = match request.number(HeaderName::MaxForwards) {
            Some(0) => return Err(Refused(483, None)),
            Some(hops) => u8::try_from(hops.min(255)).unwrap_or(70).saturating_sub(1),
            None => 70,
        };
        let target = request
            .request_uri()
            .map(Uri::parse)
            .transpose()
            .map_err(bad)?
            .ok_or(Refused(400, None))?;
        let ways = match self.call_ways(now, &flow, &target, caller, user.as_deref(), request)? {
            Onward::Ways(ways) => ways,
            Onward::Application(name) => return self.arrive(now, flow, server, request, user, offer, &name),
        };
        let share = breadth(request, ways.len())?;
        if let Some(offer) = &offer {
            let legs = &self.transfers.calls.legs;
            legs.check_offer(&flow, ways.iter().map(|way| &way.flow), offer)
                .map_err(|error| Refused(error.status(), Some(error.to_string())))?;
        }
        let (from, to) = (
            without_tag(&request.from().map_err(bad)?),
            without_tag(&request.to().map_err(bad)?),
        );
        let ways: Vec<_> = ways
            .into_iter()
            .map(|way| {
                let mut extra = self.passed_on(request, &way);
                extra.extend(share.clone());
                (extra, way)
            })
            .collect();
        let invitations: Vec<_> = ways
            .into_iter()
            .map(|(extra, way)| Invitation {
                // The phone answers the PBX's challenge itself, a trunk's we do.
                credentials: self.settings.peer_credentials(&way.flow).filter(|_| !way.to_pbx),
                call_id: self.settings.keeps_call_id(&way.flow).then(|| request.call_id().into()),
                flow: way.flow,
                request_uri: way.request_uri,
                routes: way.routes,
                from: from.clone(),
                to: to.clone(),
                offer: offer.clone(),
                extra,
                replaces: None,
                ring_timeout: None,
                max_forwards,
                next: way.next,
                wanted: way.wanted,
                reached: way.reached,
            })
            .collect();
        match self
            .transfers
            .calls
            .start(now, flow, server, request, user, invitations)
        {
            Ok(call) => {
                let credentials = self.settings.peer_credentials(&flow);
                if let Some(caller) = self.transfers.calls.get(call).map(|call| call.caller) {
                    self.legs().set_credentials(caller, credentials);
                }
                Ok(())
            }
            Err(error) => Err(Refused(error.status(), Some(error.to_string()))),
        }
    }

    fn passed_on(&mut self, request: &Message, way: &Way) -> Vec<(CompactString, CompactString)> {
        let mut extra = passed_on(request, way.to_pbx);
        self.rewrite(&way.request_uri, false, &mut extra);
        extra
    }

    /// The ways of a new call: where the plugin says, else as usual.
    fn call_ways(
        &mut self,
        now: Instant,
        flow: &Flow,
        target: &Uri,
        caller: Caller,
        user: Option<&str>,
        request: &Message,
    ) -> Result<Onward, Refused> {
        // Where the PBX authenticates, who calls is who is registered on that flow.
        let registered = match (caller, user) {
            (Caller::Phone, None) if self.settings.registers_through() => self.registered_as(flow, request),
            (Caller::Phone | Caller::Stranger | Caller::Pbx | Caller::Trusted, _) => None,
        };
        let user = user.or(registered.as_deref());
        let call = NewCall {
            now,
            target,
            request,
            source: flow.remote,
            user,
        };
        let routing = self
            .plugin
            .as_mut()
            .map_or(Routing::AsUsual, |plugin| plugin.route(&call));
        let targets = match routing {
            Routing::AsUsual => vec![target.clone()],
            Routing::To(targets) => targets,
            Routing::Refuse(denied) => return Err(Refused(denied.status, Some(denied.reason))),
        };
        if let [target] = targets.as_slice()
            && let Some(name) = self.application_for(target, caller)
        {
            return Ok(Onward::Application(name));
        }
        let (mut ways, mut why) = (Vec::new(), 480);
        for target in &targets {
            match self.ways(now, target, caller, user, Some(request)) {
                Ok(found) => ways.extend(found),
                Err(status) => why = status,
            }
        }
        if ways.is_empty() {
            Err(Refused(why, None))
        } else {
            Ok(Onward::Ways(ways))
        }
    }

    fn registered_as(&self, flow: &Flow, request: &Message) -> Option<CompactString> {
        let from = request.from().ok()?;
        let from = from.uri.user_unescaped()?;
        self.registered_user(flow)?.into_iter().find(|user| *user == from)
    }

    /// Whose phone a leg leads to: who proved it in its INVITE, or whose binding the edge called.
    pub(super) fn user_of(&self, now: Instant, leg: LegHandle) -> Option<CompactString> {
        let leg = self.transfers.calls.legs.get(leg)?;
        if leg.user.is_some() {
            return leg.user.clone();
        }
        if !leg.we_called() {
            let through = self.settings.registers_through();
            let users = through.then(|| self.registered_user(&leg.dialog.flow)).flatten()?;
            return users
                .into_iter()
                .find(|user| leg.party.uri.user_unescaped().is_some_and(|from| *user == from));
        }
        let bindings = self.registrar.all(now);
        let theirs = bindings.iter().find(|binding| binding.flow == leg.dialog.flow)?;
        Uri::parse(&theirs.aor).ok()?.user_unescaped().map(CompactString::from)
    }

    /// Where the target of a blind transfer is dialled, and as whom: the transferee, whose call it becomes.
    pub(super) fn transfer_ways(&mut self, now: Instant, dial: Dial) -> Result<Vec<Invitation>, u16> {
        let user = self.user_of(now, dial.transferor);
        let rights = self.rights_of(dial.transferor);
        let ways = self.ways(now, &dial.target, rights, user.as_deref(), None)?;
        let rewritten: Vec<_> = ways
            .iter()
            .map(|way| {
                // RFC 3892 §2.1: the referrer's own header, as it came.
                let referred_by = dial.referred_by.iter();
                let mut extra = referred_by
                    .map(|value| (CompactString::from("Referred-By"), CompactString::from(value)))
                    .collect();
                self.rewrite(&way.request_uri, true, &mut extra);
                extra
            })
            .collect();
        let legs = &self.transfers.calls.legs;
        let transferee = legs.get(dial.transferee).ok_or(487_u16)?;
        let offer = transferee
            .remote
            .as_ref()
            .ok_or(488_u16)?
            .with_direction(crate::sdp::Direction::SendRecv);
        let transferor = legs.get(dial.transferor).map(|leg| leg.party.clone());
        let invitation = |(way, extra): (Way, Vec<_>)| {
            let mut from = without_tag(&transferee.party);
            let mut credentials = self.settings.peer_credentials(&way.flow);
            if way.to_pbx {
                // The PBX knows its own users only: the transferee if it is one whose password we have, else the transferor.
                let known = [Some(&transferee.party), transferor.as_ref()];
                if let Some((party, found)) = known
                    .into_iter()
                    .flatten()
                    .find_map(|party| Some((party, self.settings.credentials(party)?)))
                {
                    from = without_tag(party);
                    credentials = Some(found);
                }
            }
            Invitation {
                flow: way.flow,
                // RFC 3261 §8.1.1.2: whom the transferor asked for, not at which of its contacts we look for it.
                to: NameAddr::new(dial.target.without_headers()),
                request_uri: way.request_uri,
                routes: way.routes,
                from,
                offer: Some(offer.clone()),
                extra,
                replaces: dial.replaces.clone(),
                credentials,
                call_id: None,
                ring_timeout: dial.ring_timeout,
                max_forwards: 70,
                next: way.next,
                wanted: way.wanted,
                reached: way.reached,
            }
        };
        Ok(ways.into_iter().zip(rewritten).map(invitation).collect())
    }
}

/// RFC 5393 §5.3.3: a request that is forked shares its breadth among the forks; where it has not enough it is refused.
fn breadth(request: &Message, forks: usize) -> Result<Option<(CompactString, CompactString)>, Refused> {
    let given = request.number(HeaderName::MaxBreadth);
    let forks = u32::try_from(forks).unwrap_or(u32::MAX).max(1);
    match (given.unwrap_or(super::forward::MAX_BREADTH) / forks, given) {
        (0, _) => Err(Refused(440, None)),
        (_, None) if forks == 1 => Ok(None),
        (share, Some(_) | None) => Ok(Some(("Max-Breadth".into(), compact_str::format_compact!("{share}")))),
    }
}

/// Whether the caller can read the description of an answer (RFC 3261 §20.1: no Accept means application/sdp).
fn accepts_descriptions(request: &Message) -> bool {
    let mut accepted = request.values(HeaderName::Accept).map(|range| {
        let range = range.split(';').next().unwrap_or_default().trim();
        ["application/sdp", "application/*", "*/*"]
            .iter()
            .any(|good| range.eq_ignore_ascii_case(good))
    });
    request.header(HeaderName::Accept).is_none() || accepted.any(|good| good)
}

/// The offer of an INVITE; a body that is something else is 415 (RFC 3261 §8.2.3).
pub(super) fn description(request: &Message) -> Result<Option<Description>, Refused> {
    if request.body().is_empty() {
        return Ok(None);
    }
    let content_type = request.text(HeaderName::ContentType).unwrap_or_default();
    if !content_type
        .split(';')
        .next()
        .is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/sdp"))
    {
        return Err(Refused(415, None));
    }
    // Copied: legs that keep the description for the length of a call would keep the whole datagram with it.
    Description::parse(Bytes::copy_from_slice(&request.body()))
        .map(Some)
        .map_err(|error| Refused(400, Some(format!("Bad Session Description: {error}"))))
}

/// Whether the edge owns this header in every dialog, or keeps it for itself.
pub(super) fn is_ours(name: HeaderName) -> bool {
    matches!(
        name,
        HeaderName::Authorization
            | HeaderName::ProxyAuthorization
            | HeaderName::Via
            | HeaderName::From
            | HeaderName::To
            | HeaderName::CallId
            | HeaderName::CSeq
            | HeaderName::Contact
            | HeaderName::ContentLength
            | HeaderName::ContentType
            | HeaderName::MaxForwards
            | HeaderName::MaxBreadth
            | HeaderName::Route
            | HeaderName::RecordRoute
            | HeaderName::Require
            | HeaderName::ProxyRequire
            | HeaderName::Supported
            | HeaderName::Allow
            | HeaderName::Replaces
            | HeaderName::Join
            | HeaderName::SessionExpires
            | HeaderName::MinSe
            | HeaderName::Path
            | HeaderName::Timestamp
    )
}

/// Headers that are the parties' own business go over as they came; those that the edge owns in every dialog do not.
/// Credentials go to the PBX and to nobody else (LESSONS 37).
fn passed_on(request: &Message, to_pbx: bool) -> Vec<(CompactString, CompactString)> {
    let passes = |name: HeaderName| {
        let credentials = matches!(name, HeaderName::Authorization | HeaderName::ProxyAuthorization);
        (credentials && to_pbx) || !is_ours(name)
    };
    request
        .all_headers()
        .filter(|(name, ..)| passes(*name))
        .filter_map(|(_, name, value)| {
            Some((
                CompactString::from_utf8(name).ok()?,
                CompactString::from_utf8(value).ok()?,
            ))
        })
        .collect()
}

/// From or To for a new dialog of the same parties.
pub(super) fn without_tag(name_addr: &NameAddr) -> NameAddr {
    name_addr.clone().without_params()
}
