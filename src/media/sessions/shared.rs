//! The port of all browser legs: whose datagram it is (RFC 7983; RFC 8445 §7.3).
//!
//! A check names our ufrag; everything else is known by the address that a check proved. Strangers choose neither: a ufrag
//! finds a leg, whose password then decides, and an address is entered after that.

use std::collections::HashMap;
use std::net::SocketAddr;

use compact_str::CompactString;

use crate::media::secure::{Kind, kind, stun_username};

/// Addresses that one leg may have at a time: candidates of its party, the oldest go first.
const ADDRESSES: usize = 8;

/// Who is who on the shared port.
#[derive(Debug, Default)]
pub(super) struct Shared {
    by_name: HashMap<CompactString, u32>,
    by_address: HashMap<SocketAddr, u32>,
    /// By slot, what is to be forgotten with it.
    legs: HashMap<u32, Names>,
}

#[derive(Debug, Default)]
struct Names {
    ufrags: Vec<CompactString>,
    addresses: Vec<SocketAddr>,
}

impl Shared {
    /// These are the leg's names from now on.
    pub(super) fn names(&mut self, slot: u32, ufrags: Vec<CompactString>) {
        let names = self.legs.entry(slot).or_default();
        for ufrag in names.ufrags.drain(..) {
            self.by_name.remove(&ufrag);
        }
        for ufrag in &ufrags {
            self.by_name.insert(ufrag.clone(), slot);
        }
        names.ufrags = ufrags;
    }

    /// The leg's party sends from here.
    pub(super) fn address(&mut self, slot: u32, from: SocketAddr) {
        if self.by_address.insert(from, slot) == Some(slot) {
            return;
        }
        let names = self.legs.entry(slot).or_default();
        names.addresses.push(from);
        if names.addresses.len() > ADDRESSES {
            let oldest = names.addresses.remove(0);
            self.drop_address(slot, oldest);
        }
    }

    /// The leg has left the port.
    pub(super) fn forget(&mut self, slot: u32) {
        let Some(names) = self.legs.remove(&slot) else { return };
        for ufrag in names.ufrags {
            self.by_name.remove(&ufrag);
        }
        for address in names.addresses {
            self.drop_address(slot, address);
        }
    }

    /// Whose datagram this may be.
    pub(super) fn owner(&self, from: SocketAddr, datagram: &[u8]) -> Option<u32> {
        let named = match kind(datagram) {
            Kind::Stun => stun_username(datagram).and_then(|(ours, _)| self.by_name.get(ours)),
            Kind::Dtls | Kind::Rtp | Kind::Rtcp | Kind::Unknown => None,
        };
        named.or_else(|| self.by_address.get(&from)).copied()
    }

    fn drop_address(&mut self, slot: u32, address: SocketAddr) {
        // Another leg may have proved the same address since: a page that was loaded anew.
        if self.by_address.get(&address) == Some(&slot) {
            self.by_address.remove(&address);
        }
    }
}
