//! Whose a message is: decided from the message and the seal, before any engine sees it.
//!
//! | what the message says | whose it is |
//! |---|---|
//! | a request's To tag is one of the cluster's (RFC 3261 §12.2.2) | that node's |
//! | a request without To tag, with Replaces, Join or Target-Dialog that names such a tag (RFC 3891 §3, RFC 3911 §4, RFC 4538 §4) | that node's |
//! | a response's From tag is one of the cluster's (RFC 3261 §17.1.3: we were UAC) | that node's |
//! | any other response: its top Via is what a node wrote (RFC 3261 §18.1.2) | that node's home |
//! | anything else: new requests, foreign dialogs, forged tags | the node that it reached |

use std::net::SocketAddr;

use super::membership::{Membership, Place};
use crate::dialog::{Opened, Seal};
use crate::sip::{HeaderName, Message, Replaces, TargetDialog};

/// Where a message belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whereto {
    /// It names no node: the home engine of the process that it reached.
    Home,
    /// The engine of this number, in this process.
    Here(u16),
    /// Whole over the link to the peer that serves this number.
    Peer {
        /// The number.
        node: u16,
        /// The peer's link address.
        link: SocketAddr,
    },
    /// The number's process does not answer, and nobody has taken over from it yet: keep the message for some seconds and
    /// ask again. A phone on a stream does not send it twice (RFC 3261 §17.1.2.2).
    Wait(u16),
    /// No process of the cluster serves or has served this number: the home engine answers 481, and
    /// [`Input::Missed`](super::Input::Missed) makes sure.
    Nobody(u16),
}

/// The node that a message names, if it names one; forged tags name none.
pub fn named(seal: &Seal, message: &Message) -> Option<u16> {
    if !message.is_request() {
        return message.from_tag().and_then(|tag| node_of(seal, tag));
    }
    match message.to_tag() {
        Some(tag) => node_of(seal, tag),
        None => named_elsewhere(seal, message),
    }
}

/// Most requests have none of these: their presence costs one look into the index each.
fn named_elsewhere(seal: &Seal, message: &Message) -> Option<u16> {
    let replaces = message.header(HeaderName::Replaces).and(Replaces::of(message).ok()?);
    let join = message.header(HeaderName::Join).and(Replaces::of_join(message).ok()?);
    if let Some(taken) = replaces.or(join) {
        return node_of(seal, &taken.to_tag);
    }
    let target = message.header(HeaderName::TargetDialog)?;
    let target = TargetDialog::parse(std::str::from_utf8(target).ok()?).ok()?;
    node_of(seal, &target.local_tag)
}

fn node_of(seal: &Seal, tag: &str) -> Option<u16> {
    match seal.read(tag) {
        Opened::Ours(parts) => Some(parts.node),
        Opened::NotOurs | Opened::Forged => None,
    }
}

impl Membership {
    /// Where a message belongs that reached this process, at a socket or (`by_link`) from a peer that took it for ours.
    ///
    /// A message goes over one link at the most: two nodes that both believe the other to be the owner would pass it to
    /// and fro until one of them learns better.
    pub fn whereto(&self, seal: &Seal, message: &Message, by_link: bool) -> Whereto {
        if let Some(node) = named(seal, message) {
            return match self.place_of(node) {
                Place::Here => Whereto::Here(node),
                Place::Peer(_) if by_link => Whereto::Wait(node),
                Place::Peer(link) => Whereto::Peer { node, link },
                Place::Nowhere => Whereto::Wait(node),
                Place::Unknown => Whereto::Nobody(node),
            };
        }
        if message.is_request() || by_link {
            return Whereto::Home;
        }
        match self.sent_by(message) {
            Some((node, link)) => Whereto::Peer { node, link },
            None => Whereto::Home,
        }
    }

    /// The peer that wrote the top Via of a response to a request that it passed on.
    fn sent_by(&self, response: &Message) -> Option<(u16, SocketAddr)> {
        let via = response.top_via()?;
        let port = via.port.unwrap_or(5060);
        let written: SocketAddr = SocketAddr::new(via.host.trim_matches(['[', ']']).parse().ok()?, port);
        if self.has_listener(written) {
            return None;
        }
        let claim = self.at(written)?;
        Some((claim.node, claim.card?.link))
    }
}
