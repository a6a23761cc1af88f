//! Registrations that other nodes of the cluster keep: every node can call every phone.

use std::time::Instant;

use super::Engine;
use crate::registrar::StoredUser;

impl Engine {
    /// A phone that is on another node's flow is called over that flow: the host brings the message there.
    pub(super) fn learned(&mut self, now: Instant, users: Vec<StoredUser>, live: bool) {
        let listeners = self.settings.listeners.iter().filter(|_| !live);
        let ours: Vec<_> = listeners.map(|listener| listener.address).collect();
        let changes = self.registrar.take_over(now, users, &ours);
        self.note_bindings(now, changes);
    }
}
