//! The table of bindings: by user, by flow, and by deadline.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Instant;

use compact_str::CompactString;

use super::Change;
use super::binding::Binding;
use crate::transport::Flow;

/// A flow in an order that is the same in every run.
type FlowKey = (&'static str, SocketAddr, SocketAddr, u64);

/// All bindings. The three maps agree after every [`Bindings::commit`], the one place that writes them.
#[derive(Debug, Default)]
pub(super) struct Bindings {
    users: BTreeMap<CompactString, Vec<Binding>>,
    flows: BTreeSet<(FlowKey, CompactString)>,
    /// The earliest deadline of each user that has bindings.
    deadlines: BTreeSet<(Instant, CompactString)>,
    count: usize,
    last_id: u64,
    /// Users whose bindings are not kept yet as they are now.
    changed: BTreeSet<CompactString>,
}

impl Bindings {
    /// The bindings of a user, in the order they were made; expired ones may still be among them.
    pub(super) fn of(&self, user: &str) -> &[Binding] {
        self.users.get(user).map(Vec::as_slice).unwrap_or_default()
    }

    /// A name for a new binding, or for one that moves to a new flow.
    pub(super) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Replaces the bindings of a user. RFC 3261 §10.3 step 7: a REGISTER's changes become visible all at once.
    pub(super) fn commit(&mut self, user: &CompactString, new: Vec<Binding>) -> Vec<Change> {
        let old = self.users.remove(user).unwrap_or_default();
        let named = |list: &[Binding], id: u64| list.iter().any(|binding| binding.id == id);
        let same_contact = |list: &[Binding], one: &Binding| {
            list.iter()
                .any(|other| other.contact.uri == one.contact.uri && other.aor == one.aor)
        };
        let removed = old
            .iter()
            .filter(|binding| !named(&new, binding.id) && !same_contact(&new, binding))
            .map(|binding| Change::Removed {
                aor: binding.aor.clone(),
                contact: binding.contact.clone(),
            });
        let added = new
            .iter()
            .filter(|binding| !named(&old, binding.id))
            .map(|binding| Change::Added {
                aor: binding.aor.clone(),
                contact: binding.contact.clone(),
                flow: binding.flow,
                before: old
                    .iter()
                    .find(|before| before.contact.uri == binding.contact.uri)
                    .map(|before| before.flow),
            });
        let changes = removed.chain(added).collect();
        if !old.is_empty() || !new.is_empty() {
            self.changed.insert(user.clone());
        }

        if let Some(earliest) = earliest(&old) {
            self.deadlines.remove(&(earliest, user.clone()));
        }
        for binding in &old {
            self.flows.remove(&(key(&binding.flow), user.clone()));
        }
        for binding in &new {
            self.flows.insert((key(&binding.flow), user.clone()));
        }
        self.deadlines
            .extend(earliest(&new).map(|earliest| (earliest, user.clone())));
        self.count = self.count + new.len() - old.len();
        if !new.is_empty() {
            self.users.insert(user.clone(), new);
        }
        changes
    }

    /// Removes the bindings of these users that `gone` picks.
    fn remove(&mut self, users: Vec<CompactString>, gone: impl Fn(&Binding) -> bool) -> Vec<Change> {
        let mut changes = Vec::new();
        for user in users {
            let kept = self
                .of(&user)
                .iter()
                .filter(|binding| !gone(binding))
                .cloned()
                .collect();
            changes.extend(self.commit(&user, kept));
        }
        changes
    }

    /// Removes what `gone` picks.
    pub(super) fn remove_where(&mut self, gone: impl Fn(&CompactString, &Binding) -> bool) -> Vec<Change> {
        let concerned = |(user, list): &(&CompactString, &Vec<Binding>)| list.iter().any(|binding| gone(user, binding));
        let users: Vec<CompactString> = self
            .users
            .iter()
            .filter(concerned)
            .map(|(user, _)| user.clone())
            .collect();
        let mut changes = Vec::new();
        for user in users {
            changes.extend(self.remove(vec![user.clone()], |binding| gone(&user, binding)));
        }
        changes
    }

    /// What was changed of this user is kept already.
    pub(super) fn forget_changed(&mut self, user: &str) {
        self.changed.remove(user);
    }

    /// No user's bindings are kept as they are now.
    pub(super) fn all_changed(&mut self) {
        self.changed.extend(self.users.keys().cloned());
    }

    /// Takes the next user out whose bindings have changed.
    pub(super) fn next_changed(&mut self) -> Option<CompactString> {
        self.changed.pop_first()
    }

    pub(super) fn expire(&mut self, now: Instant) -> Vec<Change> {
        let due = self.deadlines.iter().take_while(|(deadline, _)| *deadline <= now);
        let users = due.map(|(_, user)| user.clone()).collect();
        self.remove(users, |binding| binding.expires <= now)
    }

    pub(super) fn flow_gone(&mut self, flow: &Flow) -> Vec<Change> {
        let users = self.users_of(flow).cloned().collect();
        self.remove(users, |binding| binding.flow == *flow)
    }

    pub(super) fn by_flow(&self, flow: &Flow) -> impl Iterator<Item = &Binding> {
        self.users_of(flow)
            .flat_map(|user| self.of(user))
            .filter(move |binding| binding.flow == *flow)
    }

    pub(super) fn users_of(&self, flow: &Flow) -> impl Iterator<Item = &CompactString> {
        let key = key(flow);
        let start = (key, CompactString::const_new(""));
        self.flows
            .range(start..)
            .take_while(move |(other, _)| *other == key)
            .map(|(_, user)| user)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Binding> {
        self.users.values().flatten()
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }
}

fn earliest(list: &[Binding]) -> Option<Instant> {
    list.iter().map(|binding| binding.expires).min()
}

fn key(flow: &Flow) -> FlowKey {
    (flow.transport.as_str(), flow.local, flow.remote, flow.connection)
}
