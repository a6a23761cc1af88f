//! The first number of a process, before anything else begins.

use std::time::Duration;

use super::{ClusterOptions, now};
use crate::cluster::{Card, Held, Holder, Input, Membership, Output, Terms};
use crate::driver::{StartError, clock};
use crate::engine::Settings;
use crate::store::{Identity, Redis, Store, StoreError};

/// For how long a home is looked for.
const PATIENCE: Duration = Duration::from_secs(10);

/// A process with a home.
pub(in crate::driver) struct Joined {
    pub(in crate::driver) membership: Membership,
    pub(in crate::driver) store: Redis,
    pub(in crate::driver) home: Held,
    pub(in crate::driver) holder: u64,
}

impl Joined {
    /// Where the others connect to.
    pub(in crate::driver) fn link(&self) -> std::net::SocketAddr {
        self.membership.me().link
    }
}

/// Takes the cluster's key and a number of its own into the settings.
pub(in crate::driver) fn join(settings: &mut Settings, options: ClusterOptions) -> Result<Joined, StartError> {
    let ClusterOptions { mut store, link, lease } = options;
    let identity = store.identity(Identity {
        key: settings.key,
        node: settings.node,
    })?;
    settings.key = identity.key;
    let dice = clock::random().map_err(|source| StartError::System {
        what: "random numbers",
        source,
    })?;
    let holder = u64::from_be_bytes(dice.first_chunk().copied().unwrap_or_default());
    let mut listeners = Vec::new();
    for listener in &settings.listeners {
        for address in [listener.address, listener.advertised] {
            if !listeners.contains(&address) {
                listeners.push(address);
            }
        }
    }
    let terms = Terms {
        lease,
        wanted: Some(settings.node),
        listeners,
        ..Terms::default()
    };
    let card = Card {
        holder: Holder(holder),
        link,
    };
    let begun = now();
    let mut membership = Membership::new(terms, card, begun);
    loop {
        membership.handle_timeout(now());
        if let Some(home) = settle(&mut membership, &mut store)? {
            settings.node = home.node;
            return Ok(Joined {
                membership,
                store,
                home,
                holder,
            });
        }
        if begun + PATIENCE <= now() {
            return Err(StartError::Store(StoreError::Unreachable {
                place: "of the cluster".to_owned(),
                why: "no node number could be had".to_owned(),
            }));
        }
        if let Some(next) = membership.poll_timeout() {
            std::thread::park_timeout(next.saturating_duration_since(now()).min(Duration::from_millis(100)));
        }
    }
}

/// Asks the store what the membership wants to know, until it wants nothing more at this moment.
fn settle(membership: &mut Membership, store: &mut Redis) -> Result<Option<Held>, StartError> {
    let mut home = None;
    while let Some(output) = membership.poll_output() {
        match output {
            Output::Store { id, order } => {
                let answer = store.perform(&order)?;
                membership.handle_input(now(), Input::Answered { id, answer });
            }
            Output::Serve { held, home: true, .. } => home = Some(held),
            // Nobody is taken over by a process that does not run yet: this cannot come before a lease has passed.
            Output::Serve { held, home: false, .. } => {
                membership.handle_input(now(), Input::CannotServe { node: held.node });
            }
            Output::Ping { .. }
            | Output::Reclaimed(_)
            | Output::Fenced(_)
            | Output::Released(_)
            | Output::Tell(_)
            | Output::Alarm(_) => {}
        }
    }
    Ok(home)
}
