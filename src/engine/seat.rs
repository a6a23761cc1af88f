//! REFER, Replaces and Join that concern a hub: whom they may move, and where the one is who is to be dialled.
//!
//! RFC 3515, RFC 3891, RFC 3911, RFC 3892 §2.1 (Referred-By goes on as it came).

use std::time::Instant;

use compact_str::CompactString;

use super::invite::{Refused, without_tag};
use super::route::Caller;
use super::{Denied, Engine};
use crate::leg::{Invitation, voice};
use crate::sdp::Description;
use crate::sip::{Message, NameAddr, Replaces};
use crate::transaction::ServerHandle;
use crate::transfer::{Asked, Policy, Referral, ReplacesRefused, Seat};
use crate::transport::Flow;
use crate::vocabulary::{CallHandle, LegHandle};

impl Engine {
    /// A REFER of a participant, or one that names a place in a hub. Any other is given back.
    pub(super) fn refer_about_hub(
        &mut self,
        now: Instant,
        call: CallHandle,
        transferor: LegHandle,
        referral: Referral,
    ) -> Option<Referral> {
        let Engine {
            settings,
            transfers,
            plugin,
            ..
        } = self;
        let ask = |asked: &Asked<'_>| -> Result<Policy, Denied> {
            if let Some(plugin) = plugin {
                plugin.allow(asked)?;
            }
            Ok(settings.transfer_policy(asked.transferor, asked.transferee))
        };
        if transfers.calls.hub(call).is_none() {
            return transfers.refer_into_hub(now, call, transferor, referral, ask);
        }
        if let Some(seat) = transfers.member_refers(now, call, transferor, referral, ask) {
            self.dial_for_place(now, seat);
        }
        None
    }

    fn dial_for_place(&mut self, now: Instant, seat: Seat) {
        let place = seat.place;
        let ways = self.seat_ways(now, &seat);
        let refused = match ways {
            Ok(ways) => {
                let calls = &mut self.transfers.calls;
                calls
                    .add_party(now, seat.hub, seat.role, ways, Some(place))
                    .err()
                    .map(|_| 481)
            }
            Err(status) => Some(status),
        };
        if let Some(status) = refused {
            self.legs().report(now, place, status, true);
        }
    }

    fn seat_ways(&mut self, now: Instant, seat: &Seat) -> Result<Vec<Invitation>, u16> {
        let (user, rights) = (self.user_of(now, seat.place), self.rights_of(seat.place));
        let from = self
            .legs()
            .get(seat.place)
            .map(|leg| without_tag(&leg.party))
            .ok_or(481_u16)?;
        let ways = self.ways(now, &seat.target, rights, user.as_deref(), None)?;
        let mut invitations = Vec::new();
        for way in ways {
            let referred_by = seat.referred_by.iter();
            let mut extra = referred_by
                .map(|value| (CompactString::from("Referred-By"), CompactString::from(value)))
                .collect();
            self.rewrite(&way.request_uri, true, &mut extra);
            let credentials = match way.to_pbx {
                true => self.settings.credentials(&from),
                false => self.settings.peer_credentials(&way.flow),
            };
            invitations.push(Invitation {
                flow: way.flow,
                to: NameAddr::new(seat.target.without_headers()),
                request_uri: way.request_uri,
                routes: way.routes,
                from: from.clone(),
                offer: voice(),
                extra,
                replaces: seat.replaces.clone(),
                credentials,
                call_id: None,
                ring_timeout: None,
                max_forwards: 70,
                next: way.next,
                wanted: way.wanted,
                reached: way.reached,
            });
        }
        Ok(invitations)
    }

    /// An INVITE with Replaces or Join that concerns a hub, or makes one. `None`: it does not.
    pub(super) fn invite_into_hub(
        &mut self,
        now: Instant,
        flow: Flow,
        server: ServerHandle,
        request: &Message,
        caller: Caller,
        user: Option<&CompactString>,
    ) -> Result<Option<()>, Refused> {
        let bad = |error: crate::sip::ParseError| Refused(error.status(), Some(error.reason()));
        let replaces = Replaces::of(request).map_err(bad)?;
        let join = Replaces::of_join(request).map_err(bad)?;
        let (named, header) = match (&replaces, &join) {
            (Some(_), Some(_)) => return Err(Refused(400, Some("Replaces Together With Join".to_owned()))),
            (Some(replaces), None) => match self.transfers.seat_named(replaces) {
                Some(seat) => (seat, "Replaces"),
                None => return Ok(None),
            },
            (None, Some(join)) => (self.transfers.joined_by(join).map_err(|why| told(why, "Join"))?, "Join"),
            (None, None) => return Ok(None),
        };
        // RFC 3891 §4, RFC 3911 §5: the same user, on whatever phone; a leg that we called has proved nothing, its binding has.
        let same_user = user.is_some() && self.user_of(now, named).as_ref() == user;
        let trusted = same_user || matches!(caller, Caller::Pbx | Caller::Trusted);
        self.check_newcomer(&flow, super::invite::description(request)?.as_ref())?;
        let plugin = &mut self.plugin;
        let allow = |asked: &Asked<'_>| plugin.as_mut().map_or(Ok(()), |plugin| plugin.allow(asked));
        let transfers = &mut self.transfers;
        let user = user.cloned();
        let newcomer = match (replaces, join) {
            (Some(replaces), _) => {
                transfers.replace_in_hub(now, flow, server, request, &replaces, named, user, trusted, allow)
            }
            (None, Some(join)) => transfers.join_in(now, flow, server, request, &join, user, trusted, allow),
            (None, None) => return Ok(None),
        };
        let newcomer = newcomer.map_err(|why| told(why, header))?;
        let credentials = self.settings.peer_credentials(&flow);
        self.legs().set_credentials(newcomer, credentials);
        Ok(Some(()))
    }

    fn check_newcomer(&self, flow: &Flow, offer: Option<&Description>) -> Result<(), Refused> {
        let Some(offer) = offer else { return Ok(()) };
        let legs = &self.transfers.calls.legs;
        legs.check_offer(flow, std::iter::empty(), offer)
            .map_err(|error| Refused(error.status(), Some(error.to_string())))
    }
}

/// What an INVITE with this header is told.
fn told(why: ReplacesRefused, header: &str) -> Refused {
    Refused(why.status(), Some(why.to_string().replace("Replaces", header)))
}
