//! Webhook subscriptions over a restart: a client that asked to be told for a week is told for a week.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::grants::millis;
use super::people::Directory;
use super::subscribe::{Delivery, Subscription, filters};
use crate::api::Notes;

const KEYS: &str = "ringcentral/subscription/";

/// A subscription as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// The extension's id.
    owner: String,
    filters: Vec<String>,
    address: String,
    verification: Option<String>,
    /// Unix time in milliseconds.
    created: u64,
    until: u64,
}

/// Keeps them.
#[derive(Debug, Default)]
pub(super) struct Keeper {
    notes: Notes,
    extensions: Vec<String>,
}

impl Keeper {
    /// What there was; one whose owner or filters are no more is forgotten.
    pub(super) fn found(notes: Notes, directory: &Directory) -> (Keeper, BTreeMap<String, Subscription>) {
        let extensions: Vec<_> = directory.extensions.iter().map(|known| known.id.clone()).collect();
        let mut all = BTreeMap::new();
        for (id, text) in notes.under(KEYS) {
            let known = || {
                let kept: Kept = serde_json::from_str(&text).ok()?;
                let owner = extensions.iter().position(|known| *known == kept.owner)?;
                let (filters, disabled) = filters(&kept.filters, owner, directory).ok()?;
                Some(Subscription {
                    id: id.clone(),
                    owner,
                    filters,
                    disabled,
                    delivery: Delivery::Webhook {
                        address: kept.address,
                        verification: kept.verification,
                    },
                    created: UNIX_EPOCH + Duration::from_millis(kept.created),
                    until: UNIX_EPOCH + Duration::from_millis(kept.until),
                })
            };
            match known() {
                Some(subscription) => drop(all.insert(id, subscription)),
                None => notes.keep(format!("{KEYS}{id}"), None),
            }
        }
        (Keeper { notes, extensions }, all)
    }

    pub(super) fn keep(&self, subscription: &Subscription) {
        let (address, verification) = match &subscription.delivery {
            Delivery::Webhook { address, verification } => (address.clone(), verification.clone()),
            Delivery::Socket(_) => return,
        };
        let kept = Kept {
            owner: self.extensions.get(subscription.owner).cloned().unwrap_or_default(),
            filters: subscription.filters.iter().map(|filter| filter.text.clone()).collect(),
            address,
            verification,
            created: millis(subscription.created),
            until: millis(subscription.until),
        };
        if let Ok(text) = serde_json::to_string(&kept) {
            self.notes.keep(format!("{KEYS}{}", subscription.id), Some(text));
        }
    }

    pub(super) fn forget(&self, id: &str) {
        self.notes.keep(format!("{KEYS}{id}"), None);
    }
}
