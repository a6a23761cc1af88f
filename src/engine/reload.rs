//! What may change while calls are up, and what an earlier process left.

use std::time::Instant;

use super::{Engine, Settings};
use crate::registrar::StoredUser;

impl Engine {
    /// Takes over what [`super::Input::Reloaded`] names. Legs, transactions and bindings of users that stay are untouched.
    pub(super) fn reload(&mut self, now: Instant, new: Settings) {
        let users: Vec<_> = new
            .users
            .iter()
            .map(|user| (user.name.clone(), user.password.clone()))
            .collect();
        let changes = self.registrar.set_users(&users, new.open);
        self.note_bindings(now, changes);
        self.registrar
            .set_bounds(new.expires, new.max_contacts, new.digest.clone());
        self.legs().identity.ring_timeout = new.ring_timeout;
        self.transfers.limits.depth = new.transfer_depth;
        self.transfers.limits.total = new.transfer_timeout;
        self.transfers.limits.pick_up = new.pick_up;
        let mut names = new.names;
        // The PBX stays the one of the start, under the place by which it is known since then.
        if let (Some(kept), Some(new)) = (&self.settings.pbx, &new.pbx)
            && let Some(name) = names
                .iter_mut()
                .find(|name| name.host == kept.host && name.first == new.place())
        {
            name.first = kept.place();
        }
        self.legs().book.rename(names.clone(), new.avoid, now);
        let kept = &mut self.settings;
        kept.names = names;
        kept.reach = new.reach;
        kept.avoid = new.avoid;
        kept.lookup_timeout = new.lookup_timeout;
        kept.users = new.users;
        kept.open = new.open;
        kept.routes = new.routes;
        kept.applications = new.applications;
        kept.peers = new.peers;
        kept.transfer = new.transfer;
        kept.refer_answer = new.refer_answer;
        kept.on_failure = new.on_failure;
        kept.transfer_depth = new.transfer_depth;
        kept.transfer_timeout = new.transfer_timeout;
        kept.pick_up = new.pick_up;
        kept.hold = new.hold;
        kept.ring_timeout = new.ring_timeout;
        kept.expires = new.expires;
        kept.max_contacts = new.max_contacts;
        kept.digest = new.digest;
        kept.limits = new.limits;
        self.guard.reload(self.settings.limits.clone());
        let peers = self.settings.media_peers();
        self.legs().set_media_peers(peers);
        let large = self.large();
        self.legs().transactions.large_to(large);
    }

    /// Bindings of an earlier process. It may have listened elsewhere: what goes to them goes out where we listen now.
    pub(super) fn restored_users(&mut self, now: Instant, mut users: Vec<StoredUser>) {
        for binding in users.iter_mut().flat_map(|user| &mut user.bindings) {
            let ours = |listener: &super::Listener| listener.address == binding.local;
            if !self.settings.listeners.iter().any(ours) {
                binding.local = self.flow_to(crate::transport::Transport::Udp, binding.remote).local;
            }
        }
        let changes = self.registrar.restore(now, users);
        self.note_bindings(now, changes);
    }
}
