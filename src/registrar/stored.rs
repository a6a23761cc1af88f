//! Bindings as plain data: what is kept for the next process, and what that process makes of it.
//!
//! A binding over UDP is reached again at once: its flow is two addresses. One over a connection is not: the connection
//! ended with the process. It *waits*: it is listed, keeps its Call-ID and CSeq, and nobody dials it until its phone has
//! registered over a new connection (RFC 5626 §4.2, §6).

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::binding::{Binding, Kept};
use super::{Change, Registrar};
use crate::sip::NameAddr;
use crate::transport::{Flow, Transport};

/// A binding without clocks and connections of the process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredBinding {
    /// Address of record.
    pub aor: CompactString,
    /// The contact as registered.
    pub contact: String,
    /// `UDP`, `TCP`, `TLS`, `WS` or `WSS`.
    pub transport: CompactString,
    /// Our end of the flow.
    pub local: SocketAddr,
    /// The phone's end of the flow.
    pub remote: SocketAddr,
    /// Unix time in seconds; from then on it does not exist.
    pub expires: u64,
    /// Call-ID of the last REGISTER.
    pub call_id: CompactString,
    /// CSeq of the last REGISTER.
    pub cseq: u32,
    /// Whether the edge keeps it (`true`), or the PBX.
    pub local_registrar: bool,
    /// `+sip.instance`.
    pub instance: Option<CompactString>,
    /// `reg-id`.
    pub reg_id: Option<u32>,
    /// Preference in thousandths.
    pub q: u16,
    /// The Path of the REGISTER.
    pub path: Vec<CompactString>,
}

/// All that is kept of one user. Without bindings: forget the user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredUser {
    /// The unescaped user part of the address of record.
    pub user: CompactString,
    /// In the order in which they were made.
    pub bindings: Vec<StoredBinding>,
}

const TRANSPORTS: [Transport; 5] = [
    Transport::Udp,
    Transport::Tcp,
    Transport::Tls,
    Transport::Ws,
    Transport::Wss,
];

impl Registrar {
    /// Whatever was kept is lost: [`Registrar::poll_stored`] tells of every user again.
    pub fn store_all(&mut self) {
        self.bindings.all_changed();
    }

    /// The next user whose bindings have changed since it was last asked about, in the order of their names.
    pub fn poll_stored(&mut self) -> Option<StoredUser> {
        let user = self.bindings.next_changed()?;
        let bindings = self.bindings.of(&user).iter().map(|binding| self.stored(binding));
        Some(StoredUser {
            bindings: bindings.collect(),
            user,
        })
    }

    fn stored(&self, binding: &Binding) -> StoredBinding {
        let flow = binding.flow;
        StoredBinding {
            aor: binding.aor.clone(),
            contact: binding.contact.to_string(),
            transport: flow.transport.as_str().into(),
            local: flow.local,
            remote: flow.remote,
            expires: self.age(binding.expires).as_secs(),
            call_id: binding.call_id.clone(),
            cseq: binding.cseq,
            local_registrar: binding.kept == Kept::Local,
            instance: binding.instance.clone(),
            reg_id: binding.reg_id,
            q: binding.q,
            path: binding.path.clone(),
        }
    }

    /// Takes back what an earlier process kept. What has expired, what cannot be read, and users that are configured no
    /// more are left out. Needs the wall clock ([`Registrar::with_wall_clock`]).
    pub fn restore(&mut self, now: Instant, users: Vec<StoredUser>) -> Vec<Change> {
        let mut changes = Vec::new();
        for StoredUser { user, bindings } in users {
            // A phone that came back faster than the store knows better.
            if !self.bindings.of(&user).is_empty() {
                continue;
            }
            let restored = bindings
                .into_iter()
                .filter_map(|stored| self.restored(now, &user, stored));
            let restored: Vec<Binding> = restored.collect();
            let numbered = restored.into_iter().map(|binding| Binding {
                id: self.bindings.next_id(),
                ..binding
            });
            let numbered = numbered.collect();
            changes.extend(self.bindings.commit(&user, numbered));
        }
        changes
    }

    /// A connection of the process before this one is still there: who waits on it for its phone need not wait.
    pub fn flow_back(&mut self, flow: &Flow) -> Vec<Change> {
        let before = Flow { connection: 0, ..*flow };
        let on = |binding: &Binding| binding.waiting && binding.flow == before;
        let users: Vec<CompactString> = self.bindings.users_of(&before).cloned().collect();
        let mut changes = Vec::new();
        for user in users {
            let mut bindings = self.bindings.of(&user).to_vec();
            for binding in bindings.iter_mut().filter(|binding| on(binding)) {
                (binding.flow, binding.waiting) = (*flow, false);
                binding.id = self.bindings.next_id();
            }
            changes.extend(self.bindings.commit(&user, bindings));
        }
        changes
    }

    /// Takes over what another node of the cluster keeps of these users. What stands there of a connection to `ours` (listeners)
    /// is of an earlier process: it waits for its phone.
    pub fn take_over(&mut self, now: Instant, users: Vec<StoredUser>, ours: &[SocketAddr]) -> Vec<Change> {
        let mut changes = Vec::new();
        for StoredUser { user, bindings } in users {
            let known: Vec<Binding> = self.bindings.of(&user).to_vec();
            let mut next: Vec<Binding> = Vec::new();
            for stored in bindings {
                let same = known.iter().find(|binding| {
                    binding.call_id == stored.call_id
                        && binding.cseq == stored.cseq
                        && binding.contact.to_string() == stored.contact
                });
                if let Some(same) = same {
                    next.push(same.clone());
                } else if let Some(restored) = self.restored(now, &user, stored) {
                    let waiting = restored.waiting && ours.contains(&restored.flow.local);
                    next.push(Binding { waiting, ..restored });
                }
            }
            let is_news = next.len() != known.len() || next.iter().any(|binding| binding.id == 0);
            if !is_news {
                continue;
            }
            for binding in &mut next {
                if binding.id == 0 {
                    binding.id = self.bindings.next_id();
                }
            }
            changes.extend(self.bindings.commit(&user, next));
            self.bindings.forget_changed(&user);
        }
        changes
    }

    fn restored(&self, now: Instant, user: &CompactString, stored: StoredBinding) -> Option<Binding> {
        let known = self.config.open || self.passwords.contains_key(user) || !stored.local_registrar;
        let left = stored.expires.saturating_sub(self.age(now).as_secs());
        let transport = TRANSPORTS
            .into_iter()
            .find(|transport| transport.as_str() == stored.transport)?;
        // A clock that was set back must not make a binding immortal, and takes none away: its phone was told that it is registered.
        let most = u64::from(if stored.local_registrar {
            self.config.expires.1
        } else {
            86_400
        });
        let left = left.min(most);
        if !known || left == 0 {
            return None;
        }
        Some(Binding {
            aor: stored.aor,
            contact: NameAddr::parse(&stored.contact).ok()?,
            flow: Flow {
                transport,
                local: stored.local,
                remote: stored.remote,
                connection: 0,
            },
            expires: now + Duration::from_secs(left),
            call_id: stored.call_id,
            cseq: stored.cseq,
            kept: if stored.local_registrar {
                Kept::Local
            } else {
                Kept::Through
            },
            instance: stored.instance,
            reg_id: stored.reg_id,
            q: stored.q,
            path: stored.path,
            waiting: transport.is_reliable(),
            id: 0,
        })
    }

    /// Other users and passwords from now on. Who is configured no more is not reachable any more either.
    pub fn set_users(&mut self, users: &[(String, String)], open: bool) -> Vec<Change> {
        self.config.open = open;
        self.passwords = super::passwords(users);
        let passwords = &self.passwords;
        // Who came by a token is in no list.
        let open = open || self.tokens.is_some();
        self.bindings
            .remove_where(|user, binding| !open && binding.kept == Kept::Local && !passwords.contains_key(user))
    }

    /// Other bounds from now on; bindings that exist keep theirs until they are refreshed.
    pub fn set_bounds(&mut self, expires: (u32, u32), max_contacts: usize, digest: Vec<crate::sip::Algorithm>) {
        self.config.expires = expires;
        self.config.max_contacts = max_contacts;
        self.config.digest = digest;
    }
}
