//! What coming, going and moving in hubs means for the records.

use super::record::{Came, LegRecord, Went, bare};
use super::{Key, MOST, Records};
use crate::engine::{CallHandle, Cause, HubNote, LegHandle};
use crate::vocabulary::Moment;

impl Records {
    pub(super) fn hub(&mut self, at: Moment, note: &HubNote) -> [Option<Key>; 2] {
        match note {
            HubNote::Opened { call, .. } => {
                self.hubs.insert(*call);
                [self.calls.get(call).copied(), None]
            }
            HubNote::Arrived {
                call, leg, from, to, ..
            } => {
                self.hubs.insert(*call);
                let known = self.legs.get(leg).copied();
                let key = known.unwrap_or_else(|| self.key_of(at, Some(*call), None));
                self.calls.insert(*call, key);
                if let Some(open) = self.open.get_mut(&key) {
                    open.in_call(*call);
                    let record = open.change();
                    from.clone_into(&mut record.from);
                    to.clone_into(&mut record.to);
                    record.involved(from);
                    record.involved(to);
                }
                [Some(key), None]
            }
            HubNote::Joined { call, leg, .. } => {
                self.hubs.insert(*call);
                self.joined(at, *call, *leg)
            }
            HubNote::Paired { call } => {
                self.hubs.remove(call);
                [self.calls.get(call).copied(), None]
            }
            HubNote::Recorded {
                call,
                recording,
                milliseconds,
            } => {
                let key = self.calls.get(call).copied();
                if let Some(open) = key.and_then(|key| self.open.get_mut(&key)) {
                    open.recording(recording, None, Some(*milliseconds));
                }
                [key, None]
            }
            HubNote::Changed { .. }
            | HubNote::Left { .. }
            | HubNote::Started { .. }
            | HubNote::Speaking { .. }
            | HubNote::Announced { .. }
            | HubNote::Referred { .. } => [None, None],
        }
    }

    fn joined(&mut self, at: Moment, call: CallHandle, leg: LegHandle) -> [Option<Key>; 2] {
        let Some(theirs) = self.legs.get(&leg).copied() else {
            return [None, None];
        };
        let there = *self.calls.entry(call).or_insert(theirs);
        let mut touched = [Some(there), None];
        if there != theirs {
            if self.is_one_customers(there, theirs, leg) {
                let (older, younger) = (there.min(theirs), there.max(theirs));
                self.leg(leg, |leg| leg.came = moved(leg.came));
                self.join(older, younger);
                touched = [Some(older), None];
            } else {
                self.leaves(at, leg, theirs, there);
                touched = [Some(there), Some(theirs)];
            }
        }
        if let [Some(key), _] = touched
            && let Some(open) = self.open.get_mut(&key)
        {
            open.in_call(call);
            let record = open.change();
            record.answered_at.get_or_insert(at);
            if let Some(leg) = record.leg_mut(leg)
                && leg.calls.last() != Some(&call)
            {
                leg.calls.push(call);
            }
        }
        touched
    }

    /// A leg comes here out of another record: nobody stays behind there who is not here too, so that this is the same
    /// customer's call; what was left is an operator who consulted.
    fn is_one_customers(&self, here: Key, there: Key, moves: LegHandle) -> bool {
        let (Some(here), Some(there)) = (self.open.get(&here), self.open.get(&there)) else {
            return true;
        };
        let party = |leg: &LegHandle| there.record.leg(*leg).map(|leg| bare(&leg.party));
        let is_here = |party: &str| {
            let legs = here.live.iter().filter_map(|leg| here.record.leg(*leg));
            legs.into_iter().any(|leg| bare(&leg.party) == party)
        };
        let behind = there.live.iter().filter(|leg| **leg != moves);
        behind.filter_map(party).all(is_here)
    }

    /// Another customer's call goes on behind this leg: it is in both records.
    fn leaves(&mut self, at: Moment, leg: LegHandle, from: Key, to: Key) {
        let Some(record) = self.open.get(&to).map(|open| open.record.id.clone()) else {
            return;
        };
        let Some(old) = self.open.get_mut(&from) else { return };
        old.live.remove(&leg);
        let Some(kept) = old.change().leg_mut(leg) else { return };
        let before = kept.clone();
        kept.ended_at = Some(at);
        kept.cause = Some(Cause::Transferred);
        kept.went = Some(Went::Moved { record });
        self.legs.insert(leg, to);
        let Some(new) = self.open.get_mut(&to) else { return };
        new.live.insert(leg);
        let record = new.change();
        record.involved(&before.party);
        if record.legs.len() >= MOST {
            record.left_out += 1;
            return;
        }
        record.legs.push(LegRecord {
            came: Came::Moved,
            by: None,
            transfer: None,
            started_at: at,
            calls: Vec::new(),
            ..before
        });
    }
}

fn moved(came: Came) -> Came {
    match came {
        // How the customer itself came, and how a consult did, says more than that it was moved.
        Came::Called | Came::Consulted | Came::TookOver | Came::Referred | Came::Forwarded | Came::TransferredTo => {
            came
        }
        Came::Dialled => Came::Consulted,
        Came::Moved => Came::Moved,
    }
}
