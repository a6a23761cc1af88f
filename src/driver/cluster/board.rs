//! What an operator sees of the cluster; written by the loop, read by the API.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::cluster::{Claim, Membership};

/// The nodes, as this process sees them at this moment.
#[derive(Clone, Debug)]
pub struct Nodes(Arc<Mutex<Value>>);

impl Default for Nodes {
    fn default() -> Nodes {
        Nodes(Arc::new(Mutex::new(json!({ "nodes": [], "store_up": true }))))
    }
}

impl Nodes {
    /// As the API shows them.
    pub fn json(&self) -> Value {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn note(&self, membership: &Membership) {
        let home = membership.home();
        let row = |claim: &Claim, here: bool| {
            json!({
                "node": claim.node,
                "token": claim.token,
                "here": here,
                "home": here && home.is_some_and(|home| home.node == claim.node),
                "link": claim.card.map(|card| card.link.to_string()),
                "listeners": claim.listeners.iter().map(ToString::to_string).collect::<Vec<_>>(),
            })
        };
        let own: Vec<Claim> = membership
            .held()
            .filter_map(|held| membership.claim_of(held.node))
            .collect();
        let mut rows: Vec<(u16, Value)> = own.iter().map(|claim| (claim.node, row(claim, true))).collect();
        rows.extend(membership.others().map(|claim| (claim.node, row(claim, false))));
        rows.sort_by_key(|(node, _)| *node);
        let rows: Vec<Value> = rows.into_iter().map(|(_, row)| row).collect();
        let seen = json!({ "nodes": rows, "store_up": membership.store_answers() });
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = seen;
    }
}
