//! An INVITE outside of dialogs: who is it, does it take somebody's place, whom does it call.
//!
//! RFC 3261 §8.2, §16.3 (Max-Forwards, loops), §22.3; RFC 3891 §3–4.

use std::time::Instant;

use compact_str::CompactString;

use super::Engine;
use super::route::{Caller, Way};
use crate::leg::Invitation;
use crate::sdp::Description;
use crate::sip::{HeaderName, Message, NameAddr, Replaces, Uri, unsupported};
use crate::transaction::ServerHandle;
use crate::transfer::Dial;
use crate::transport::Flow;

/// A refusal: the status, and a reason where the status says too little.
pub(super) struct Refused(pub(super) u16, pub(super) Option<String>);

impl Engine {
    pub(super) fn invite(&mut self, now: Instant, flow: Flow, server: ServerHandle, request: Message) {
        let options = unsupported(&request);
        if !options.is_empty() {
            let draft = request.respond(420).header(HeaderName::Unsupported, options.join(", "));
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
        if let Err(Refused(status, reason)) = self.begin_call(now, flow, server, &request, caller, user) {
            if status == 415 {
                let draft = request.respond(415).header(HeaderName::Accept, "application/sdp");
                self.legs().transactions.respond(now, server, draft.print(), 415);
            } else {
                self.legs().refuse(now, server, &request, status, reason.as_deref());
            }
        }
    }

    /// Known sources are trusted by their address; in `through` mode the PBX challenges by itself; everybody else proves
    /// who they are (LESSONS 40).
    fn authenticate(
        &mut self,
        now: Instant,
        flow: Flow,
        request: &Message,
        caller: Caller,
    ) -> Result<Option<CompactString>, Box<crate::sip::Draft>> {
        match caller {
            Caller::Pbx | Caller::Trusted => Ok(None),
            Caller::Phone if self.settings.registers_through() => Ok(None),
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
        let replaces = Replaces::of(request).map_err(bad)?;
        if let Some(replaces) = replaces {
            if request.header(HeaderName::Join).is_some() {
                return Err(Refused(400, Some("Replaces Together With Join".to_owned())));
            }
            let trusted = matches!(caller, Caller::Pbx | Caller::Trusted);
            return match self
                .transfers
                .replace(now, flow, server, request, &replaces, user, trusted)
            {
                Ok(_) => Ok(()),
                Err(refused) => Err(Refused(refused.status(), Some(refused.to_string()))),
            };
        }
        if request.header(HeaderName::Join).is_some() {
            return Err(Refused(420, Some("Join Is Not Supported".to_owned())));
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
        let ways = self
            .ways(now, &target, caller, Some(request))
            .map_err(|status| Refused(status, None))?;
        let (from, to) = (
            without_tag(&request.from().map_err(bad)?),
            without_tag(&request.to().map_err(bad)?),
        );
        let invitations = ways
            .into_iter()
            .map(|way| Invitation {
                flow: way.flow,
                request_uri: way.request_uri,
                routes: way.routes,
                from: from.clone(),
                to: to.clone(),
                offer: offer.clone(),
                extra: passed_on(request, way.to_pbx),
                replaces: None,
                // The phone answers the PBX's challenge itself.
                credentials: None,
                ring_timeout: None,
                max_forwards,
            })
            .collect();
        match self
            .transfers
            .calls
            .start(now, flow, server, request, user, invitations)
        {
            Ok(_) => Ok(()),
            Err(error) => Err(Refused(error.status(), Some(error.to_string()))),
        }
    }

    /// Where the target of a blind transfer is dialled, and as whom: the transferee, whose call it becomes.
    pub(super) fn transfer_ways(&mut self, now: Instant, dial: Dial) -> Result<Vec<Invitation>, u16> {
        let ways = self.ways(now, &dial.target, Caller::Phone, None)?;
        let legs = &self.transfers.calls.legs;
        let transferee = legs.get(dial.transferee).ok_or(487_u16)?;
        let offer = transferee
            .remote
            .as_ref()
            .ok_or(488_u16)?
            .with_direction(crate::sdp::Direction::SendRecv);
        let transferor = legs.get(dial.transferor).map(|leg| leg.party.clone());
        // RFC 3892 §2.1: the referrer's own header, as it came.
        let extra: Vec<_> = dial
            .referred_by
            .iter()
            .map(|value| (CompactString::from("Referred-By"), CompactString::from(value)))
            .collect();
        let invitation = |way: Way| {
            let mut from = without_tag(&transferee.party);
            let mut credentials = None;
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
                to: NameAddr::new(way.request_uri.without_headers()),
                request_uri: way.request_uri,
                routes: way.routes,
                from,
                offer: Some(offer.clone()),
                extra: extra.clone(),
                replaces: dial.replaces.clone(),
                credentials,
                ring_timeout: dial.ring_timeout,
                max_forwards: 70,
            }
        };
        Ok(ways.into_iter().map(invitation).collect())
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
fn description(request: &Message) -> Result<Option<Description>, Refused> {
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
    Description::parse(request.body())
        .map(Some)
        .map_err(|error| Refused(400, Some(format!("Bad Session Description: {error}"))))
}

/// Headers that are the parties' own business go over as they came; those that the edge owns in every dialog do not.
/// Credentials go to the PBX and to nobody else (LESSONS 37).
fn passed_on(request: &Message, to_pbx: bool) -> Vec<(CompactString, CompactString)> {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "what the edge does not own passes, whatever it is"
    )]
    let passes = |name: HeaderName| match name {
        HeaderName::Authorization | HeaderName::ProxyAuthorization => to_pbx,
        HeaderName::Via
        | HeaderName::From
        | HeaderName::To
        | HeaderName::CallId
        | HeaderName::CSeq
        | HeaderName::Contact
        | HeaderName::ContentLength
        | HeaderName::ContentType
        | HeaderName::MaxForwards
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
        | HeaderName::Timestamp => false,
        _ => true,
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
fn without_tag(name_addr: &NameAddr) -> NameAddr {
    name_addr.clone().without_params()
}
