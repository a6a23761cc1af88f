//! Where a Request-URI leads: to a phone's flow, to the PBX, or along a configured route.
//!
//! RFC 3261 §16.5, RFC 3327 §5.3 (Path's flow token in Route). A contact is reached on the flow that it registered on,
//! never at the address that it claims.

use std::time::Instant;

use compact_str::CompactString;

use super::{Engine, Listener, PeerAuth, Register, Settings};
use crate::leg::{Credentials, Leg};
use crate::sip::{HeaderName, Message, NameAddr, Scheme, Uri};
use crate::transaction::Large;
use crate::transfer::Policy;
use crate::transport::{Flow, Transport};

/// Who sent a request, as far as its source tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// The PBX behind the edge.
    Pbx,
    /// A peer that needs no authentication.
    Trusted,
    /// Anybody else.
    Phone,
}

/// One way to a callee.
pub(super) struct Way {
    pub(super) request_uri: Uri,
    pub(super) flow: Flow,
    pub(super) routes: Vec<CompactString>,
    pub(super) to_pbx: bool,
}

impl Engine {
    pub(super) fn caller(&self, flow: &Flow, request: &Message) -> Caller {
        if let Some(pbx) = &self.settings.pbx
            && (flow.remote == pbx.address
                || (flow.remote.ip() == pbx.address.ip() && self.flow_in_route(request).is_some()))
        {
            return Caller::Pbx;
        }
        match self.settings.peer(flow.remote.ip()).map(|peer| peer.auth) {
            Some(PeerAuth::None) => Caller::Trusted,
            Some(PeerAuth::Digest) | None => Caller::Phone,
        }
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
            }]);
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
                })
                .collect();
            if !ways.is_empty() {
                return Ok(ways);
            }
        }
        if here
            && let Some(user) = &user
            && let Some(route) = self.settings.routes.iter().find(|route| route.pattern.is_match(user))
        {
            // A transferor's dialling rights are those of its own calls.
            let may = route.users.is_empty() || user_of.is_some_and(|user| route.users.iter().any(|name| name == user));
            if !may {
                return Err(403);
            }
            let uri = Uri::sip(Some(target.user().unwrap_or_default()), &route.host);
            return Ok(vec![self.way_out(uri, route.transport, route.address, false)]);
        }
        if let Some(pbx) = self.settings.pbx.as_ref().filter(|_| caller != Caller::Pbx) {
            return Ok(vec![self.way_out(
                target.without_headers(),
                pbx.transport,
                pbx.address,
                true,
            )]);
        }
        match &user {
            None => Err(484),
            Some(user) if here && self.settings.users.iter().any(|known| known.name == *user) => Err(480),
            Some(_) => Err(404),
        }
    }

    fn way_out(&self, request_uri: Uri, transport: Transport, remote: std::net::SocketAddr, to_pbx: bool) -> Way {
        Way {
            request_uri,
            flow: self.flow_to(transport, remote),
            routes: Vec::new(),
            to_pbx,
        }
    }

    /// A flow of ours to an address that we were configured with.
    pub(super) fn flow_to(&self, transport: Transport, remote: std::net::SocketAddr) -> Flow {
        let same_family = |address: &std::net::SocketAddr| address.is_ipv4() == remote.is_ipv4();
        let of_transport = || {
            self.settings
                .listeners
                .iter()
                .filter(|listener| listener.transport == transport)
                .map(|l| l.address)
        };
        let any = || self.settings.listeners.iter().map(|listener| listener.address);
        let local = of_transport()
            .find(same_family)
            .or_else(|| of_transport().next())
            .or_else(|| any().next());
        Flow {
            transport,
            local: local.unwrap_or(remote),
            remote,
            connection: 0,
        }
    }
}

impl Settings {
    /// Configured places that are reached by UDP, and by TCP with what is too large for a datagram (RFC 3261 §18.1.1).
    pub(super) fn large(&self) -> Vec<Large> {
        let pbx = self.pbx.iter().map(|pbx| (pbx.transport, pbx.address));
        let routes = self.routes.iter().map(|route| (route.transport, route.address));
        let by_udp = pbx.chain(routes).filter(|(transport, _)| *transport == Transport::Udp);
        let large = by_udp.filter_map(|(_, remote)| {
            let fits = |listener: &&Listener| {
                listener.transport == Transport::Tcp && listener.address.is_ipv4() == remote.is_ipv4()
            };
            let listener = self.listeners.iter().find(fits)?;
            Some(Large {
                remote,
                local: listener.address,
                sent_by: compact_str::format_compact!("{}", listener.advertised),
            })
        });
        large.collect()
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

    fn peer(&self, address: std::net::IpAddr) -> Option<&super::Peer> {
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
