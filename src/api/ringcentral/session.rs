//! A telephony session: the parties of one call as the vendor's clients see them, numbered in order of appearance.

use std::time::SystemTime;

use serde_json::{Value, json};

use super::party::{Party, party_id};
use super::people::{Directory, Who};
use super::words::{Direction, Origin};
use crate::api::rfc3339;
use crate::engine::CallHandle;

/// Party numbers are one digit: clients find them by a pattern that ends in `-\d`.
pub(super) const MOST_PARTIES: u8 = 9;

/// Which of the vendor's event orders a call follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// A trunk calls an extension, or a trunk by way of us.
    FromTrunk,
    /// One extension calls another.
    Internal,
    /// An extension calls a trunk.
    ToTrunk,
}

impl Order {
    pub(super) fn of(caller: &Who, callee: &Who) -> Order {
        match (caller, callee) {
            (Who::Extension(_), Who::Extension(_)) => Order::Internal,
            (Who::Extension(_), Who::Number(_) | Who::Conference) => Order::ToTrunk,
            (Who::Number(_) | Who::Conference, _) => Order::FromTrunk,
        }
    }
}

/// One session.
#[derive(Clone, Debug)]
pub(super) struct Session {
    /// What `s-` and `p-` ids share.
    pub(super) tail: String,
    /// The numeric id; `0` for a conference.
    pub(super) number: String,
    pub(super) origin: Origin,
    pub(super) voice_call_token: Option<String>,
    pub(super) created: SystemTime,
    pub(super) parties: Vec<Party>,
    /// Of the last event; the first one that is told has 2.
    pub(super) sequence: u64,
    /// Whether its first party has been told of.
    pub(super) announced: bool,
    /// Whether its first two parties have talked.
    pub(super) answered: bool,
    /// The native call that it began as.
    pub(super) call: CallHandle,
}

impl Session {
    pub(super) fn id(&self) -> String {
        format!("s-{}", self.tail)
    }

    pub(super) fn party(&self, number: u8) -> Option<&Party> {
        self.parties.iter().find(|party| party.number == number)
    }

    pub(super) fn party_mut(&mut self, number: u8) -> Option<&mut Party> {
        self.parties.iter_mut().find(|party| party.number == number)
    }

    /// By its whole id.
    pub(super) fn party_named(&self, id: &str) -> Option<&Party> {
        self.parties
            .iter()
            .find(|party| party_id(&self.tail, party.number) == id)
    }

    /// A new party; `None` when all numbers are taken.
    pub(super) fn add(&mut self, who: Who, direction: Direction, from: Who, to: Who) -> Option<&mut Party> {
        let number = self.parties.last().map_or(1, |party| party.number + 1);
        if number > MOST_PARTIES {
            tracing::warn!(session = %self.tail, "a session has no number left for another party");
            return None;
        }
        self.parties.push(Party::new(number, who, direction, from, to));
        self.parties.last_mut()
    }

    /// The called party that is still to be answered.
    pub(super) fn callee(&self) -> Option<&Party> {
        self.parties
            .iter()
            .rev()
            .find(|party| party.number > 1 && party.status.code.rings())
    }

    pub(super) fn is_over(&self) -> bool {
        self.origin != Origin::Conference && self.parties.iter().all(|party| party.status.code.is_last())
    }

    /// The extensions that have or had a part in it.
    pub(super) fn concerns(&self, extension: &str, directory: &Directory) -> bool {
        self.parties
            .iter()
            .any(|party| directory.at(&party.who).is_some_and(|known| known.id == extension))
    }

    /// As it stands in answers.
    pub(super) fn resource(&self, directory: &Directory) -> Value {
        let parties: Vec<_> = self
            .parties
            .iter()
            .map(|party| party.resource(&self.tail, directory))
            .collect();
        let mut session = json!({
            "id": self.id(),
            "origin": { "type": self.origin },
            "parties": parties,
            "creationTime": rfc3339(self.created),
        });
        if let (Some(token), Some(object)) = (&self.voice_call_token, session.as_object_mut()) {
            object.insert("voiceCallToken".to_owned(), json!(token));
        }
        session
    }
}
