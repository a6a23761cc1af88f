//! What a record says. Serialised as the API and the lines of the file give it.

use serde::{Deserialize, Serialize};

use crate::engine::{CallHandle, Cause, LegHandle, TransferFailure, TransferHandle, TransferKind, TransferMode};
use crate::vocabulary::Moment;

/// One customer's call, from its first INVITE to the end of its last leg, whoever it was handed to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// Unique also among those of earlier processes.
    pub id: String,
    /// Ids of the records that this one has taken in: consults, and calls that were moved here.
    pub joined: Vec<String>,
    /// The caller's address.
    pub from: String,
    /// Whom it called.
    pub to: String,
    /// The first INVITE.
    pub started_at: Moment,
    /// When two talked, or the edge itself answered.
    pub answered_at: Option<Moment>,
    /// When the last leg was gone; `None`: not yet.
    pub ended_at: Option<Moment>,
    /// Why it ended.
    pub cause: Option<Cause>,
    /// Every address that was involved, in the order in which they were.
    pub parties: Vec<String>,
    /// The calls that it was made of, in the order in which they began.
    pub calls: Vec<CallHandle>,
    /// Its legs, in the order in which they began.
    pub legs: Vec<LegRecord>,
    /// Its transfers, in the order in which they were asked for.
    pub transfers: Vec<TransferRecord>,
    /// What was recorded.
    pub recordings: Vec<Recording>,
    /// Legs, transfers and recordings that were too many for one record.
    pub left_out: usize,
}

/// One dialog with one party. [`LegRecord::by`] makes a tree of them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LegRecord {
    /// Its handle while it lived.
    pub leg: LegHandle,
    /// The party's address.
    pub party: String,
    /// Of its dialog, to be found in traces.
    pub call_id: String,
    /// True: the party called the edge.
    pub inbound: bool,
    /// How it came in.
    pub came: Came,
    /// The leg because of which it is there: the caller, who transferred, who forwarded.
    pub by: Option<LegHandle>,
    /// The transfer by which it came.
    pub transfer: Option<TransferHandle>,
    /// When it was invited.
    pub started_at: Moment,
    /// When it first rang.
    pub ringing_at: Option<Moment>,
    /// When it was answered.
    pub answered_at: Option<Moment>,
    /// When it was gone.
    pub ended_at: Option<Moment>,
    /// Why.
    pub cause: Option<Cause>,
    /// Where it went, when it did not just end.
    pub went: Option<Went>,
    /// The calls that it was in, in that order.
    pub calls: Vec<CallHandle>,
}

/// How a leg came into a customer's call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Came {
    /// It called.
    Called,
    /// It was dialled for the caller, or by an order.
    Dialled,
    /// In a call of the operator's own, which was joined to the customer's.
    Consulted,
    /// A blind transfer's target.
    TransferredTo,
    /// Another phone sent the call on to it.
    Forwarded,
    /// It took somebody's place by INVITE with Replaces.
    TookOver,
    /// It followed a REFER of the edge by a call of its own.
    Referred,
    /// An order moved it here out of another call.
    Moved,
}

/// Where a leg went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Went {
    /// It sent the call on.
    Forwarded {
        /// To whom.
        to: String,
    },
    /// It handed its party over, or its place was taken.
    Transferred {
        /// By which transfer.
        transfer: TransferHandle,
    },
    /// An order moved it into a call whose record is another one.
    Moved {
        /// That record.
        record: String,
    },
}

/// One transfer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TransferRecord {
    /// Its handle.
    pub transfer: TransferHandle,
    /// What it was.
    pub kind: TransferKind,
    /// Who performed it.
    pub mode: TransferMode,
    /// Who asked for it.
    pub requested_at: Moment,
    /// When it was decided.
    pub ended_at: Option<Moment>,
    /// Who handed over.
    pub transferor_leg: LegHandle,
    /// Its address.
    pub transferor: String,
    /// Who was handed over.
    pub transferee_leg: LegHandle,
    /// Its address.
    pub transferee: String,
    /// Where to.
    pub target: String,
    /// The leg that it went to.
    pub target_leg: Option<LegHandle>,
    /// What became of it; `None`: not decided yet.
    pub outcome: Option<Outcome>,
    /// The addresses that talk with each other because of it.
    pub after: Vec<String>,
}

/// What became of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Customer and target talk.
    Completed,
    /// They do not.
    Failed {
        /// Why.
        reason: TransferFailure,
        /// The SIP status that says so.
        status: Option<u16>,
    },
}

/// One recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recording {
    /// Of the file, without its folder and ending.
    pub recording: String,
    /// Of whom; `None`: of all.
    pub leg: Option<LegHandle>,
    /// Of audio; `None`: not complete yet.
    pub milliseconds: Option<u64>,
}

impl Record {
    /// The addresses that were involved once this transfer was decided: those that it joined, and everybody who came later.
    pub fn after(&self, transfer: TransferHandle) -> Vec<&str> {
        let Some(done) = self.transfers.iter().find(|kept| kept.transfer == transfer) else {
            return Vec::new();
        };
        let Some(ended) = done.ended_at else { return Vec::new() };
        let mut found: Vec<&str> = done.after.iter().map(String::as_str).collect();
        let later = self.legs.iter().filter(|leg| leg.started_at >= ended);
        for party in later.map(|leg| leg.party.as_str()) {
            if !found.contains(&party) {
                found.push(party);
            }
        }
        found
    }

    pub(super) fn leg_mut(&mut self, leg: LegHandle) -> Option<&mut LegRecord> {
        self.legs.iter_mut().rev().find(|kept| kept.leg == leg)
    }

    pub(super) fn leg(&self, leg: LegHandle) -> Option<&LegRecord> {
        self.legs.iter().rev().find(|kept| kept.leg == leg)
    }

    pub(super) fn involved(&mut self, party: &str) {
        let party = bare(party);
        let known = || self.parties.iter().any(|known| known == party);
        if !party.is_empty() && self.parties.len() < 2 * super::MOST && !known() {
            self.parties.push(party.to_owned());
        }
    }
}

/// An address without parameters and headers: two that differ in those are one party.
pub(super) fn bare(address: &str) -> &str {
    address.split([';', '?', '>']).next().unwrap_or_default()
}
