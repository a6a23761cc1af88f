//! Where a Request-URI leads: to a phone's flow, to the PBX, or along a configured route.
//!
//! RFC 3261 §16.5, RFC 3327 §5.3 (Path's flow token in Route). A contact is reached on the flow that it registered on,
//! never at the address that it claims.

use std::net::SocketAddr;
use std::time::Instant;

use compact_str::CompactString;

use super::{Engine, Listener, Pbx, PeerAuth, Register, Route, Settings};
use crate::dialog::RouteSet;
use crate::leg::{Credentials, Leg, LegHandle, Reached};
use crate::sip::{HeaderName, Message, NameAddr, Scheme, Uri};
use crate::transaction::Large;
use crate::transfer::Policy;
use crate::transport::locate::{Place, Wanted};
use crate::transport::{Flow, Transport};

/// Who sent a request, as far as its source tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// The PBX behind the edge.
    Pbx,
    /// A peer that needs no authentication.
    Trusted,
    /// Anybody else: whoever proves by digest who it is, or, where the PBX asks for that, a phone on a flow with a
    /// registration that the PBX has accepted.
    Phone,
    /// Where the PBX authenticates: a source of which the PBX has accepted nothing. It reaches the PBX and nobody else.
    Stranger,
}

/// One way to a callee.
pub(super) struct Way {
    pub(super) request_uri: Uri,
    pub(super) flow: Flow,
    pub(super) routes: Vec<CompactString>,
    pub(super) to_pbx: bool,
    /// Where to try when `flow` fails.
    pub(super) next: Vec<Flow>,
    /// The host is to be looked up first; `flow` means nothing until then.
    pub(super) wanted: Option<Wanted>,
    /// What it leads to.
    pub(super) reached: Reached,
}

impl Engine {
    pub(super) fn caller(&self, flow: &Flow, request: &Message) -> Caller {
        if let Some(pbx) = &self.settings.pbx
            && (self.is_pbx(pbx, |place| flow.remote == place)
                || (self.is_pbx(pbx, |place| flow.remote.ip() == place.ip()) && self.flow_in_route(request).is_some()))
        {
            return Caller::Pbx;
        }
        match self.settings.peer(flow.remote.ip()).map(|peer| peer.auth) {
            Some(PeerAuth::None) => Caller::Trusted,
            Some(PeerAuth::Digest) | None => self.phone_or_stranger(flow, request),
        }
    }

    /// Registered is who calls itself as it is registered, on the flow of that registration.
    fn phone_or_stranger(&self, flow: &Flow, request: &Message) -> Caller {
        if !self.settings.registers_through() {
            return Caller::Phone;
        }
        let from = request.from().ok();
        let from = from.as_ref().and_then(|from| from.uri.user_unescaped());
        match self.registered_user(flow) {
            Some(users) if from.is_some_and(|from| users.iter().any(|user| *user == from)) => Caller::Phone,
            Some(_) | None => Caller::Stranger,
        }
    }

    /// Who is registered on this flow; `None`: nobody.
    pub(super) fn registered_user(&self, flow: &Flow) -> Option<Vec<CompactString>> {
        let bindings = self.registrar.by_flow(flow);
        let user = |aor: &str| Uri::parse(aor).ok()?.user_unescaped().map(CompactString::from);
        let users: Vec<_> = bindings.iter().filter_map(|binding| user(&binding.aor)).collect();
        (!users.is_empty()).then_some(users)
    }

    /// The rights of a party of a call that has a target dialled (REFER): those of its own calls.
    pub(super) fn rights_of(&self, leg: LegHandle) -> Caller {
        let Some(leg) = self.transfers.calls.legs.get(leg) else {
            return Caller::Stranger;
        };
        let flow = &leg.dialog.flow;
        let pbx = self.settings.pbx.as_ref();
        let is_pbx = pbx.is_some_and(|pbx| self.is_pbx(pbx, |place| flow.remote.ip() == place.ip()));
        let trusted = self
            .settings
            .peer(flow.remote.ip())
            .is_some_and(|peer| peer.auth == PeerAuth::None);
        let known = !self.settings.registers_through() || is_pbx || trusted || self.registered_user(flow).is_some();
        if known { Caller::Phone } else { Caller::Stranger }
    }

    pub(super) fn is_pbx(&self, pbx: &Pbx, from: impl Fn(SocketAddr) -> bool) -> bool {
        self.transfers.calls.legs.book.is_at(&pbx.host, pbx.place(), from)
    }

    /// The flow that our Path value in the top Route names; a forged token names none.
    fn flow_in_route(&self, request: &Message) -> Option<Flow> {
        let route = request.values(HeaderName::Route).next()?;
        self.flows.open(NameAddr::parse(route).ok()?.uri.user()?)
    }

    /// All ways to `target`, to be tried at once.
    ///
    /// # Errors
    /// The status that tells the caller why there is none: 403 not for this user, 404 unknown, 416 scheme, 480 not registered, 484 no user.
    pub(super) fn ways(
        &self,
        now: Instant,
        target: &Uri,
        caller: Caller,
        user_of: Option<&str>,
        request: Option<&Message>,
    ) -> Result<Vec<Way>, u16> {
        super::secure::kept_secure(target, self.ways_of_any_kind(now, target, caller, user_of, request)?)
    }

    fn ways_of_any_kind(
        &self,
        now: Instant,
        target: &Uri,
        caller: Caller,
        user_of: Option<&str>,
        request: Option<&Message>,
    ) -> Result<Vec<Way>, u16> {
        if target.scheme() == Scheme::Other {
            return Err(416);
        }
        if caller == Caller::Pbx
            && let Some(flow) = request.and_then(|request| self.flow_in_route(request))
        {
            return Ok(vec![Way {
                request_uri: target.without_headers(),
                flow,
                routes: Vec::new(),
                to_pbx: false,
                next: Vec::new(),
                wanted: None,
                reached: Reached::Token,
            }]);
        }
        if let Some(way) = request.and_then(|request| self.way_by_route(now, target, caller, request)) {
            return Ok(vec![way]);
        }
        let identity = &self.transfers.calls.legs.identity;
        let here = target.scheme() == Scheme::Tel
            || target.host().eq_ignore_ascii_case(&self.settings.domain)
            || identity.is_us(target.host(), target.port());
        let user = target.user_unescaped();
        let through = self.settings.registers_through() && caller != Caller::Pbx;
        if !through {
            let bindings = match &user {
                Some(user) if here || caller == Caller::Pbx => self.registrar.lookup(now, user),
                Some(_) | None => self
                    .registrar
                    .all(now)
                    .into_iter()
                    .filter(|binding| !binding.waiting && binding.contact.uri.same_user(target))
                    .collect(),
            };
            let ways: Vec<_> = bindings
                .into_iter()
                .map(|binding| Way {
                    request_uri: binding.contact.uri.without_headers(),
                    flow: binding.flow,
                    routes: binding.path.clone(),
                    to_pbx: false,
                    next: Vec::new(),
                    wanted: None,
                    reached: Reached::Phone,
                })
                .collect();
            if !ways.is_empty() {
                return Ok(ways);
            }
        }
        if here
            && caller != Caller::Stranger
            && let Some(user) = &user
            && let Some(route) = self.settings.routes.iter().find(|route| route.pattern.is_match(user))
        {
            // A transferor's dialling rights are those of its own calls.
            let may = route.users.is_empty() || user_of.is_some_and(|user| route.users.iter().any(|name| name == user));
            if !may {
                return Err(403);
            }
            let uri = Uri::sip(Some(target.user().unwrap_or_default()), &route.host);
            return Ok(vec![self.way_out(now, uri, &route.host, route.place(), false)]);
        }
        // What the PBX authenticates goes to the PBX; it may send it out again.
        if !here
            && caller != Caller::Stranger
            && (caller != Caller::Phone || !self.settings.registers_through())
            && let Some(way) = self.way_abroad(now, target.without_headers(), target, Vec::new())
        {
            return Ok(vec![way]);
        }
        if let Some(pbx) = self.settings.pbx.as_ref().filter(|_| caller != Caller::Pbx) {
            let uri = target.without_headers();
            return Ok(vec![self.way_out(now, uri, &pbx.host, pbx.place(), true)]);
        }
        match &user {
            None => Err(484),
            Some(user) if here && self.settings.users.iter().any(|known| known.name == *user) => Err(480),
            Some(_) => Err(404),
        }
    }

    fn way_out(&self, now: Instant, request_uri: Uri, host: &str, first: Place, to_pbx: bool) -> Way {
        let (flow, next) = self.flows_to(now, host, first);
        Way {
            request_uri,
            flow,
            routes: Vec::new(),
            to_pbx,
            next,
            wanted: None,
            reached: Reached::Place,
        }
    }

    /// A way to a foreign host that the site allows (`[edge] reach`): the place of `hop`, which is looked up if it is a name.
    fn way_abroad(&self, now: Instant, request_uri: Uri, hop: &Uri, routes: Vec<CompactString>) -> Option<Way> {
        let wanted = Wanted::of(hop).filter(|wanted| self.settings.reaches_out_to(&wanted.host))?;
        let way = match wanted.place() {
            Some(place) => Way {
                routes,
                ..self.way_out(now, request_uri, &wanted.host, place, false)
            },
            None => Way {
                request_uri,
                flow: self.transfers.calls.legs.identity.flow_nowhere(),
                routes,
                to_pbx: false,
                next: Vec::new(),
                wanted: Some(wanted),
                reached: Reached::Place,
            },
        };
        Some(way)
    }

    /// Where the Route behind our own says (RFC 3261 §16.4, §16.6 step 6): only for those whom we trust to route, and
    /// only to hosts that the site allows.
    fn way_by_route(&self, now: Instant, target: &Uri, caller: Caller, request: &Message) -> Option<Way> {
        match caller {
            Caller::Pbx | Caller::Trusted => {}
            Caller::Phone | Caller::Stranger => return None,
        }
        let beyond: RouteSet = request
            .values(HeaderName::Route)
            .skip_while(|route| NameAddr::parse(route).is_ok_and(|route| self.proxy.is_edge(&route.uri)))
            .collect();
        let hop = beyond.first()?;
        let target = target.without_headers();
        let (request_uri, routes) = beyond.apply(&target);
        self.way_abroad(now, Uri::parse(&request_uri).ok()?, hop, routes.into_iter().collect())
    }

    /// A flow of ours to an address that we were configured with.
    pub(super) fn flow_to(&self, transport: Transport, address: SocketAddr) -> Flow {
        let place = Place { address, transport };
        self.transfers.calls.legs.identity.flow_to(&place)
    }

    /// Configured places that are reached by UDP, and by TCP with what is too large for a datagram (RFC 3261 §18.1.1).
    pub(super) fn large(&self) -> Vec<Large> {
        let configured = self.settings.pbx.iter().map(Pbx::place);
        let configured = configured.chain(self.settings.routes.iter().map(Route::place));
        let book = &self.transfers.calls.legs.book;
        let by_udp = configured
            .chain(book.every_place())
            .filter(|place| place.transport == Transport::Udp);
        let mut large: Vec<Large> = by_udp.filter_map(|place| self.settings.large(place)).collect();
        large.sort_by_key(|large| large.remote);
        large.dedup();
        large
    }
}

impl Settings {
    fn large(&self, place: Place) -> Option<Large> {
        let fits = |listener: &&Listener| {
            listener.transport == Transport::Tcp && listener.address.is_ipv4() == place.address.is_ipv4()
        };
        let listener = self.listeners.iter().find(fits)?;
        Some(Large {
            remote: place.address,
            local: listener.address,
            sent_by: compact_str::format_compact!("{}", listener.advertised),
        })
    }

    /// Whether phones register through the edge with the PBX.
    pub fn registers_through(&self) -> bool {
        self.pbx.as_ref().is_some_and(|pbx| pbx.register == Register::Through)
    }

    /// What holds for the media of known sources.
    pub(super) fn media_peers(&self) -> Vec<(super::Network, super::PeerMedia)> {
        let of = |peer: &super::Peer| {
            let media = peer.media;
            peer.networks.clone().into_iter().map(move |network| (network, media))
        };
        self.peers.iter().flat_map(of).collect()
    }

    pub(super) fn peer(&self, address: std::net::IpAddr) -> Option<&super::Peer> {
        self.peers
            .iter()
            .find(|peer| peer.networks.iter().any(|network| network.contains(address)))
    }

    /// How this party is transferred: its peer's profile, else the edge's own; and how the one who asks is answered.
    pub(super) fn transfer_policy(&self, transferor: &Leg, transferee: &Leg) -> Policy {
        let peer = |leg: &Leg| self.peer(leg.dialog.flow.remote.ip());
        Policy {
            mode: peer(transferee).map_or(self.transfer, |peer| peer.transfer),
            answer: peer(transferor).map_or(self.refer_answer, |peer| peer.refer_answer),
            on_failure: self.on_failure.clone(),
        }
    }

    /// What challenges of the peer on this flow are answered with.
    pub(super) fn peer_credentials(&self, flow: &Flow) -> Option<Credentials> {
        let known = self.peer(flow.remote.ip())?.credentials.as_ref()?;
        Some(Credentials {
            user: known.user.as_str().into(),
            password: known.password.as_str().into(),
            realm: Some(known.realm.as_str().into()),
        })
    }

    /// Whether dialogs with the peer on this flow keep the Call-ID of the other side.
    pub(super) fn keeps_call_id(&self, flow: &Flow) -> bool {
        self.peer(flow.remote.ip()).is_some_and(|peer| peer.keeps_call_id)
    }

    /// What a leg of a process before this one answers challenges with, as the configuration has it now.
    pub(super) fn credentials_of(&self, user: &str, realm: Option<&str>) -> Option<Credentials> {
        let password = match realm {
            Some(realm) => {
                let known = self.peers.iter().filter_map(|peer| peer.credentials.as_ref());
                let mut known = known.filter(|known| known.user == user && known.realm == realm);
                &known.next()?.password
            }
            None => &self.users.iter().find(|known| known.name == user)?.password,
        };
        Some(Credentials {
            user: user.into(),
            password: password.as_str().into(),
            realm: realm.map(Into::into),
        })
    }

    /// The configured password of a party, for challenges of the PBX.
    pub(super) fn credentials(&self, party: &NameAddr) -> Option<Credentials> {
        let user = party.uri.user()?;
        let found = self.users.iter().find(|known| known.name == user)?;
        Some(Credentials {
            user: found.name.as_str().into(),
            password: found.password.as_str().into(),
            realm: None,
        })
    }
}
