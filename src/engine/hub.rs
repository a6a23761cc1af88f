//! Orders about hubs: who is called into one and how, and what the calls layer is told.

use std::time::Instant;

use compact_str::CompactString;

use super::route::{Caller, Way};
use super::{Engine, Peer, Refusal, Reply};
use crate::leg::{Credentials, Invitation, Reached, voice};
use crate::sip::{HeaderName, NameAddr, Scheme, Uri};
use crate::transport::Transport;
use crate::transport::locate::Place;
use crate::vocabulary::{CallHandle, HubSettings, NewParty};

/// More headers of its own than these no INVITE needs.
const MOST_HEADERS: usize = 32;
const LONGEST: usize = 1_024;
/// What the edge calls itself where nobody says as whom it calls.
const OURSELVES: &str = "warmline";

impl Engine {
    /// A hub with nobody in it.
    pub(super) fn open_hub(&mut self, now: Instant, settings: HubSettings) -> Result<Reply, Refusal> {
        if self.draining.is_some() {
            let why = "the edge is stopping and takes no new calls".to_owned();
            return Err(Refusal::Conflict { why });
        }
        let call = self.transfers.calls.open_hub(now, settings);
        let view = self.transfers.calls.view(call);
        view.map(Reply::Call).ok_or_else(|| Refusal::NotFound {
            what: "call",
            handle: call.to_string(),
        })
    }

    /// Calls somebody into a hub.
    pub(super) fn add_party(&mut self, now: Instant, call: CallHandle, party: NewParty) -> Result<Reply, Refusal> {
        self.transfers.calls.check_room(call)?;
        self.transfers.calls.check_role(call, &party.role, None)?;
        let ways = self.party_ways(now, &party)?;
        let role = party.role;
        let legs = self.transfers.calls.add_party(now, call, role, ways, None)?;
        Ok(Reply::Legs(legs))
    }

    fn party_ways(&mut self, now: Instant, party: &NewParty) -> Result<Vec<Invitation>, Refusal> {
        let headers = headers(&party.headers)?;
        let ways = match &party.peer {
            Some(name) => vec![self.way_by_peer(name, &party.to)?],
            None => self.ways_by_order(now, party)?,
        };
        let ourselves = || Uri::sip(Some(OURSELVES), &self.settings.domain);
        let from = party.from.as_ref().map_or_else(ourselves, Uri::without_headers);
        let from = NameAddr::new(from).with_display(party.from_name.as_deref().unwrap_or_default());
        let to = NameAddr::new(party.to.without_headers());
        let mut invitations = Vec::new();
        for way in ways {
            let mut extra = headers.clone();
            self.rewrite(&way.request_uri, false, &mut extra);
            let given = party.credentials.as_ref().map(|(user, password)| Credentials {
                user: user.as_str().into(),
                password: password.as_str().into(),
                realm: None,
            });
            let known = || match way.to_pbx {
                true => self.settings.credentials(&from),
                false => self.settings.peer_credentials(&way.flow),
            };
            invitations.push(Invitation {
                credentials: given.or_else(known),
                flow: way.flow,
                request_uri: way.request_uri,
                routes: way.routes,
                from: from.clone(),
                to: to.clone(),
                offer: voice(),
                extra,
                replaces: None,
                call_id: None,
                ring_timeout: party.ring_timeout,
                max_forwards: 70,
                next: way.next,
                wanted: way.wanted,
                reached: way.reached,
            });
        }
        Ok(invitations)
    }

    /// Its own phones first, whoever keeps their bindings; else as a phone of ours would call it.
    fn ways_by_order(&self, now: Instant, party: &NewParty) -> Result<Vec<Way>, Refusal> {
        let user = party.from.as_ref().and_then(Uri::user);
        let here = self.ways(now, &party.to, Caller::Pbx, user, None);
        let ways = here.or_else(|_| self.ways(now, &party.to, Caller::Phone, user, None));
        ways.map_err(|status| Refusal::Invalid {
            field: "to",
            why: match status {
                480 => "its phone is not registered".to_owned(),
                484 => "it names nobody".to_owned(),
                _ => format!("there is no way to it ({status})"),
            },
        })
    }

    /// The place of a peer: the route or PBX at its addresses, or its one address.
    fn way_by_peer(&self, name: &str, to: &Uri) -> Result<Way, Refusal> {
        let invalid = |field, why: String| Refusal::Invalid { field, why };
        let peer = self.settings.peers.iter().find(|peer| peer.name == name);
        let peer = peer.ok_or_else(|| invalid("peer", format!("there is no [[peer]] `{name}`")))?;
        let user = match to.scheme() {
            Scheme::Sip | Scheme::Sips | Scheme::Tel => to.user(),
            Scheme::Other => None,
        };
        let user = user.ok_or_else(|| invalid("to", "it names nobody".to_owned()))?;
        let (host, place) = self.place_of(peer).ok_or_else(|| {
            let why = format!(
                "`{name}` has no one address: a [[route]] to it, or a [[peer]] match of one address, says where"
            );
            invalid("peer", why)
        })?;
        let identity = &self.transfers.calls.legs.identity;
        Ok(Way {
            request_uri: Uri::sip(Some(user), &host),
            flow: identity.flow_to(&place),
            routes: Vec::new(),
            to_pbx: false,
            next: Vec::new(),
            wanted: None,
            reached: Reached::Place,
        })
    }

    fn place_of(&self, peer: &Peer) -> Option<(String, Place)> {
        let at = |place: &Place| peer.networks.iter().any(|network| network.contains(place.address.ip()));
        let routes = self
            .settings
            .routes
            .iter()
            .map(|route| (route.host.clone(), route.place()));
        let pbx = self.settings.pbx.iter().map(|pbx| (pbx.host.clone(), pbx.place()));
        if let Some(found) = routes.chain(pbx).find(|(_, place)| at(place)) {
            return Some(found);
        }
        let [network] = peer.networks.as_slice() else {
            return None;
        };
        let whole = if network.address.is_ipv4() { 32 } else { 128 };
        let place = Place {
            address: (network.address, 5060).into(),
            transport: Transport::Udp,
        };
        (network.prefix == whole).then(|| (place.address.to_string(), place))
    }
}

/// What a client may put into an INVITE: nothing that SIP itself needs, and nothing that would be a header of its own.
pub(super) fn headers(given: &[(String, String)]) -> Result<Vec<(CompactString, CompactString)>, Refusal> {
    let invalid = |why: String| Refusal::Invalid { field: "headers", why };
    if given.len() > MOST_HEADERS {
        return Err(invalid(format!("more than {MOST_HEADERS}")));
    }
    let mut taken = Vec::with_capacity(given.len());
    for (name, value) in given {
        let token = |octet: u8| octet.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&octet);
        if name.is_empty() || name.len() > 64 || !name.bytes().all(token) {
            return Err(invalid(format!("`{}` is no name of a header", name.escape_debug())));
        }
        if super::invite::is_ours(HeaderName::lookup(name.as_bytes())) {
            return Err(invalid(format!("`{name}` is the edge's own")));
        }
        if value.len() > LONGEST || value.chars().any(char::is_control) {
            return Err(invalid(format!(
                "`{name}` has control characters, or more than {LONGEST} octets"
            )));
        }
        taken.push((name.as_str().into(), value.as_str().into()));
    }
    Ok(taken)
}
