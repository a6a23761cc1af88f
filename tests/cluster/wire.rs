//! Messages: to the process that a phone reaches, to their owner over the link, and out again.

use std::net::SocketAddr;

use bytes::Bytes;
use warmline::cluster::{Input, Whereto};
use warmline::sip::Message;
use warmline::transport::Flow;

use super::{Flight, Frame, KEPT, LINK, Sim, WIRE, Way};

impl Sim {
    /// A message of a phone: to whoever has the address, or to whoever the balancer picks.
    pub(super) fn at_edge(&mut self, mut flow: Flow, bytes: Bytes) {
        let phone = self.by_address.get(&flow.remote).copied();
        let addressed = self.addresses.get(&flow.local).copied();
        let picked = phone
            .and_then(|phone| self.detour.get(&phone).copied())
            .or(addressed)
            .filter(|host| self.lives(*host));
        let host = match (picked, self.way) {
            (Some(host), _) => host,
            (None, Way::Takeover) => return,
            (None, Way::Balancer) => {
                let live: Vec<usize> = (0..self.hosts.len()).filter(|host| self.lives(*host)).collect();
                let Some(host) = live.get(phone.unwrap_or_default() % live.len().max(1)) else {
                    return;
                };
                *host
            }
        };
        if self.way == Way::Balancer || phone.is_some_and(|phone| self.detour.contains_key(&phone)) {
            flow.local = self.hosts[host].sip;
        }
        self.traffic.received += 1;
        self.dispatch(host, flow, bytes, false);
        self.pump(host);
    }

    /// To the engine that it belongs to, or over the link; or it waits.
    pub(super) fn dispatch(&mut self, host: usize, flow: Flow, bytes: Bytes, by_link: bool) {
        let now = self.now;
        let Some(process) = &mut self.hosts[host].process else {
            return;
        };
        let Ok(message) = Message::parse(bytes.clone()) else {
            return;
        };
        let taken = match process.membership.whereto(&self.seal, &message, by_link) {
            Whereto::Home => {
                // Nobody is home yet: a caller asks again.
                if let Some(home) = process.home() {
                    process.received(now, home, flow, bytes.clone());
                }
                true
            }
            Whereto::Here(node) => process.received(now, node, flow, bytes.clone()),
            Whereto::Peer { node, link } => {
                self.traffic.forwarded += 1;
                let frame = Frame::Message {
                    flow,
                    bytes: bytes.clone(),
                };
                self.link(host, Some(node), link, frame);
                true
            }
            Whereto::Wait(_) => false,
            Whereto::Nobody(node) => {
                process.membership.handle_input(now, Input::Missed { node });
                process
                    .home()
                    .is_some_and(|home| process.received(now, home, flow, bytes.clone()))
            }
        };
        if !taken && let Some(process) = &mut self.hosts[host].process {
            self.traffic.kept += 1;
            process.waiting.push((now, flow, bytes, by_link));
        }
    }

    pub(super) fn again(&mut self, host: usize) {
        let now = self.now;
        let Some(process) = &mut self.hosts[host].process else {
            return;
        };
        for (since, flow, bytes, by_link) in std::mem::take(&mut process.waiting) {
            if since + KEPT > now {
                let before = self.process(host).waiting.len();
                self.dispatch(host, flow, bytes, by_link);
                let process = self.hosts[host].process.as_mut().expect("it lives");
                if process.waiting.len() > before
                    && let Some(last) = process.waiting.last_mut()
                {
                    self.traffic.kept -= 1;
                    last.0 = since;
                }
            }
        }
    }

    /// Sends a frame to whoever is at that address.
    pub(super) fn link(&mut self, host: usize, node: Option<u16>, link: SocketAddr, frame: Frame) {
        let to = self.hosts.iter().position(|host| host.link == link);
        let open = to.filter(|to| self.lives(*to) && !self.hosts[*to].cut && !self.hosts[host].cut);
        match open {
            Some(to) => self.fly(LINK, Flight::Link { from: host, to, frame }),
            None => {
                let message = match frame {
                    Frame::Message { flow, bytes } => Some((flow, bytes)),
                    Frame::Send { .. }
                    | Frame::Ping(_)
                    | Frame::Pong { .. }
                    | Frame::Told(_)
                    | Frame::Refused { .. } => None,
                };
                let frame = Frame::Refused { node, link, message };
                self.fly(
                    LINK,
                    Flight::Link {
                        from: host,
                        to: host,
                        frame,
                    },
                );
            }
        }
    }

    pub(super) fn linked(&mut self, from: usize, to: usize, frame: Frame) {
        let now = self.now;
        let Some(process) = &mut self.hosts[to].process else {
            return;
        };
        match frame {
            Frame::Message { flow, bytes } => self.dispatch(to, flow, bytes, true),
            Frame::Send { flow, bytes } => self.transmit(to, flow, bytes),
            Frame::Ping(asked) => {
                let serves = process.membership.held().find(|held| held.node == asked.node);
                self.fly(
                    LINK,
                    Flight::Link {
                        from: to,
                        to: from,
                        frame: Frame::Pong { asked, serves },
                    },
                );
            }
            Frame::Pong { asked, serves } => {
                let input = match serves.filter(|held| held.token >= asked.token) {
                    Some(held) => Input::PeerPinged(held),
                    None => Input::PeerSilent { node: asked.node },
                };
                process.membership.handle_input(now, input);
            }
            Frame::Told(claim) => process.membership.handle_input(now, Input::Told(claim)),
            Frame::Refused { node, link, message } => {
                process.membership.handle_input(now, Input::LinkLost { link });
                if let Some(node) = node {
                    process.membership.handle_input(now, Input::PeerSilent { node });
                }
                if let Some((flow, bytes)) = message {
                    process.waiting.push((now, flow, bytes, false));
                    self.traffic.kept += 1;
                }
            }
        }
        self.pump(to);
    }

    /// Puts a message on the wire, from here or from whoever has the address.
    pub(super) fn transmit(&mut self, host: usize, flow: Flow, bytes: Bytes) {
        let owner = self.addresses.get(&flow.local).copied();
        if owner == Some(host) {
            if let Some(phone) = self.by_address.get(&flow.remote).copied() {
                self.fly(WIRE, Flight::Phone { phone, bytes });
            } else if self.addresses.contains_key(&flow.remote) {
                // One edge to another, as any two do.
                let (local, remote) = (flow.remote, flow.local);
                let flow = Flow { local, remote, ..flow };
                self.fly(WIRE, Flight::Edge { flow, bytes });
            }
            return;
        }
        // Processes tell each other which sockets they have: a number's address and the number may be at two of them.
        if let Some(to) = owner.filter(|to| self.lives(*to)) {
            self.traffic.sent_for += 1;
            let link = self.hosts[to].link;
            self.link(host, None, link, Frame::Send { flow, bytes });
        }
    }
}
