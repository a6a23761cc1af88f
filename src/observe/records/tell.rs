//! What legs, calls and transfers do to their record.

use std::sync::Arc;

use super::record::{Came, LegRecord, Outcome, Recording, TransferRecord, Went, bare};
use super::{Key, MOST, Open, Records, Running};
use crate::engine::{CallHandle, Cause, LegHandle, TransferHandle, TransferKind, TransferMode};
use crate::vocabulary::Moment;

impl Records {
    /// Does something with a leg; says in which record it is.
    pub(super) fn leg(&mut self, leg: LegHandle, act: impl FnOnce(&mut LegRecord)) -> Option<Key> {
        let key = *self.legs.get(&leg)?;
        let open = self.open.get_mut(&key)?;
        if let Some(leg) = open.change().leg_mut(leg) {
            act(leg);
        }
        Some(key)
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one event")]
    pub(super) fn leg_started(
        &mut self,
        at: Moment,
        key: Key,
        leg: LegHandle,
        call: Option<CallHandle>,
        transfer: Option<TransferHandle>,
        inbound: bool,
        party: &str,
        call_id: &str,
    ) {
        self.legs.insert(leg, key);
        let Some(open) = self.open.get_mut(&key) else { return };
        open.live.insert(leg);
        if let Some(call) = call {
            open.in_call(call);
        }
        let record = open.change();
        let (came, by) = match transfer {
            Some(transfer) => {
                let asked = record.transfers.iter().find(|asked| asked.transfer == transfer);
                (Came::TransferredTo, asked.map(|asked| asked.transferor_leg))
            }
            None if inbound => (Came::Called, None),
            None => {
                let first = record
                    .legs
                    .iter()
                    .find(|leg| call.is_none_or(|call| leg.calls.contains(&call)));
                (Came::Dialled, first.map(|leg| leg.leg))
            }
        };
        if record.from.is_empty() && record.to.is_empty() {
            // Until `call.started` says better.
            party.clone_into(if inbound { &mut record.from } else { &mut record.to });
        }
        record.involved(party);
        if record.legs.len() >= MOST {
            record.left_out += 1;
            return;
        }
        record.legs.push(LegRecord {
            leg,
            party: party.to_owned(),
            call_id: call_id.to_owned(),
            inbound,
            came,
            by,
            transfer,
            started_at: at,
            ringing_at: None,
            answered_at: None,
            ended_at: None,
            cause: None,
            went: None,
            calls: call.into_iter().collect(),
        });
    }

    pub(super) fn call_started(
        &mut self,
        at: Moment,
        call: CallHandle,
        leg: LegHandle,
        from: &str,
        to: &str,
    ) -> Option<Key> {
        let key = self.key_of(at, Some(call), None);
        let open = self.open.get_mut(&key)?;
        open.in_call(call);
        let record = open.change();
        if record.calls.first() == Some(&call) {
            from.clone_into(&mut record.from);
            to.clone_into(&mut record.to);
        }
        record.involved(from);
        record.involved(to);
        // A party that was sent a REFER calls by itself: the same two addresses, while its REFER is not decided.
        let follows = |(who, whom): &&(String, String)| (who.as_str(), whom.as_str()) == (bare(from), bare(to));
        let referred = self
            .referred
            .iter()
            .find(|(_, two)| follows(two))
            .map(|(transfer, _)| *transfer);
        let Some((transfer, running)) = referred.and_then(|transfer| Some((transfer, *self.transfers.get(&transfer)?)))
        else {
            return Some(key);
        };
        let by = self.transferor_of(running.of, transfer);
        self.leg(leg, |leg| {
            (leg.came, leg.by, leg.transfer) = (Came::Referred, by, Some(transfer));
        });
        self.join(running.of, key);
        Some(running.of)
    }

    fn transferor_of(&self, key: Key, transfer: TransferHandle) -> Option<LegHandle> {
        let asked = self.open.get(&key)?.record.transfers.iter();
        asked
            .rev()
            .find(|asked| asked.transfer == transfer)
            .map(|asked| asked.transferor_leg)
    }

    /// Two talk: their legs are of one record from now on.
    pub(super) fn connected(&mut self, at: Moment, call: CallHandle, legs: &[LegHandle]) -> Option<Key> {
        let known = self.calls.get(&call).copied();
        let key = known.or_else(|| legs.iter().find_map(|leg| self.legs.get(leg).copied()))?;
        self.calls.insert(call, key);
        for leg in legs {
            match self.legs.get(leg).copied() {
                Some(other) if other != key => self.consult(key, other),
                Some(_) | None => {}
            }
        }
        let open = self.open.get_mut(&key)?;
        open.in_call(call);
        let record = open.change();
        record.answered_at.get_or_insert(at);
        for leg in legs {
            if let Some(leg) = record.leg_mut(*leg)
                && leg.calls.last() != Some(&call)
            {
                leg.calls.push(call);
            }
        }
        Some(key)
    }

    /// A call of the operator's own becomes part of the customer's.
    pub(super) fn consult(&mut self, customer: Key, consult: Key) {
        if let Some(open) = self.open.get_mut(&consult) {
            for leg in &mut open.change().legs {
                leg.came = match leg.came {
                    Came::Called | Came::Dialled => Came::Consulted,
                    came @ (Came::Consulted
                    | Came::TransferredTo
                    | Came::Forwarded
                    | Came::TookOver
                    | Came::Referred
                    | Came::Moved) => came,
                };
            }
        }
        self.join(customer, consult);
    }

    /// The phone of this leg sent the call on: what was called since its end was called in its stead.
    pub(super) fn forwarded(&mut self, phone: LegHandle, to: &str) -> Option<Key> {
        let key = *self.legs.get(&phone)?;
        let record = self.open.get_mut(&key)?.change();
        record.involved(to);
        let place = record.legs.iter().rposition(|leg| leg.leg == phone)?;
        let forwards = record.legs.get_mut(place)?;
        forwards.went = Some(Went::Forwarded { to: to.to_owned() });
        let ended = forwards.ended_at;
        for leg in record.legs.iter_mut().skip(place + 1) {
            // Forks that ring beside it were called before.
            if !leg.inbound && leg.ringing_at.is_none() && Some(leg.started_at) >= ended {
                leg.came = Came::Forwarded;
                leg.by = Some(phone);
            }
        }
        Some(key)
    }

    pub(super) fn leg_ended(&mut self, at: Moment, leg: LegHandle, cause: Cause) -> Option<Key> {
        let key = *self.legs.get(&leg)?;
        let open = self.open.get_mut(&key)?;
        open.live.remove(&leg);
        let record = open.change();
        let transferred = (cause == Cause::Transferred).then(|| {
            let took_part = |asked: &&TransferRecord| [asked.transferor_leg, asked.transferee_leg].contains(&leg);
            let named = record.transfers.iter().rev().find(took_part);
            named.or(record.transfers.last()).map(|asked| asked.transfer)
        });
        let Some(kept) = record.leg_mut(leg) else {
            self.legs.remove(&leg); // one that was left out: nothing else leads to it
            return Some(key);
        };
        (kept.ended_at, kept.cause) = (Some(at), Some(cause));
        if let Some(transfer) = transferred.flatten() {
            kept.went.get_or_insert(Went::Transferred { transfer });
        }
        Some(key)
    }

    pub(super) fn requested(&mut self, mut asked: TransferRecord) -> Option<Key> {
        let handle = asked.transfer;
        if let Some(known) = self.transfers.get(&handle) {
            // Of a process before this one, which is told anew.
            return Some(known.of);
        }
        let (transferor, transferee) = (asked.transferor_leg, asked.transferee_leg);
        let key = [transferee, transferor]
            .iter()
            .find_map(|leg| self.legs.get(leg).copied())?;
        let target = asked.target_leg.and_then(|leg| self.legs.get(&leg).copied());
        let refers = matches!(asked.mode, TransferMode::Refer | TransferMode::Pass);
        let party = |leg: LegHandle| {
            let record = &self.open.get(self.legs.get(&leg)?)?.record;
            record.leg(leg).map(|leg| leg.party.clone())
        };
        asked.transferor = party(transferor).unwrap_or_default();
        asked.transferee = party(transferee).unwrap_or_default();
        let consult = target.filter(|target| refers && *target != key);
        self.transfers.insert(handle, Running { of: key, consult });
        if let Some(open) = consult.and_then(|consult| self.open.get_mut(&consult)) {
            open.running.insert(handle);
        }
        if refers && asked.kind == TransferKind::Blind {
            let two = (bare(&asked.transferee).to_owned(), bare(&asked.target).to_owned());
            self.referred.insert(handle, two);
        }
        let newcomer = asked.target_leg.filter(|_| asked.kind == TransferKind::Replaced);
        if let Some((newcomer, theirs)) = newcomer.zip(target) {
            self.leg(newcomer, |leg| {
                (leg.came, leg.by, leg.transfer) = (Came::TookOver, Some(transferor), Some(handle));
            });
            self.join(key, theirs);
        }
        let open = self.open.get_mut(&key)?;
        open.running.insert(handle);
        let record = open.change();
        record.involved(&asked.target);
        if record.transfers.len() < MOST {
            record.transfers.push(asked);
        } else {
            record.left_out += 1;
        }
        Some(key)
    }

    /// A transfer has its end.
    pub(super) fn decided(
        &mut self,
        at: Moment,
        handle: TransferHandle,
        target: Option<LegHandle>,
        outcome: Outcome,
    ) -> [Option<Key>; 2] {
        self.referred.remove(&handle);
        let Some(Running { of, consult }) = self.transfers.get(&handle).copied() else {
            return [None, None];
        };
        let completed = outcome == Outcome::Completed;
        let beyond = target.and_then(|leg| self.legs.get(&leg).copied());
        for other in [beyond, consult]
            .into_iter()
            .flatten()
            .filter(|other| completed && *other != of)
        {
            self.consult(of, other);
        }
        for key in [Some(of), consult].into_iter().flatten() {
            if let Some(open) = self.open.get_mut(&key) {
                open.running.remove(&handle);
            }
        }
        if let Some(open) = self.open.get_mut(&of) {
            let record = open.change();
            let reached = target.and_then(|leg| Some(record.leg(leg)?.party.clone()));
            if let Some(asked) = record.transfers.iter_mut().find(|asked| asked.transfer == handle) {
                (asked.ended_at, asked.outcome) = (Some(at), Some(outcome));
                asked.target_leg = target.or(asked.target_leg);
                if completed {
                    let target = reached.unwrap_or_else(|| asked.target.clone());
                    asked.after = vec![asked.transferee.clone(), target];
                }
            }
        }
        [Some(of), consult.filter(|_| !completed)]
    }
}

impl Open {
    /// A recording began, or is complete.
    pub(super) fn recording(&mut self, name: &str, leg: Option<LegHandle>, milliseconds: Option<u64>) {
        match milliseconds {
            Some(_) => self.writing.remove(name),
            None => self.writing.insert(name.to_owned()),
        };
        let record = Arc::make_mut(&mut self.record);
        let room = record.recordings.len() < MOST;
        match record.recordings.iter_mut().rev().find(|kept| kept.recording == name) {
            Some(kept) => kept.milliseconds = milliseconds.or(kept.milliseconds),
            None if room => record.recordings.push(Recording {
                recording: name.to_owned(),
                leg,
                milliseconds,
            }),
            None => record.left_out += 1,
        }
    }
}
