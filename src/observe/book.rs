//! The ladders of the last calls: what each said and was told, and which rule fired at each step of a transfer.
//!
//! Bounded in every direction: so many calls, so many messages a dialog, and so many dialogs that belong to no call (yet).
//! Messages are kept as they came, and shown only as their first line and a note: no body, no credential leaves the book.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use compact_str::CompactString;
use serde::Serialize;

use super::ladder::{Ladder, Style};
use super::metrics::Way;
use super::redact::Redact;
use crate::engine::{CallHandle, Event, LegHandle, TransferHandle};

/// Dialogs that belong to no call: a stranger can make as many as it likes, and they push out only each other.
const UNCLAIMED: usize = 256;
/// Columns beside the edge's that fit a line; who comes later has a line without a column.
const COLUMNS: usize = 3;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LadderLimits {
    /// Calls; the oldest goes first.
    pub calls: usize,
    /// Messages of one dialog; later ones are counted.
    pub messages: usize,
    /// Whether numbers and names are hidden.
    pub redact: bool,
}

impl Default for LadderLimits {
    fn default() -> Self {
        LadderLimits {
            calls: 200,
            messages: 200,
            redact: false,
        }
    }
}

#[derive(Clone, Debug)]
struct Kept {
    order: u64,
    at: Instant,
    way: Way,
    remote: SocketAddr,
    bytes: Bytes,
}

#[derive(Debug, Default)]
struct Dialog {
    party: String,
    messages: Vec<Kept>,
    more: usize,
}

/// One step of a transfer.
#[derive(Clone, Debug)]
struct Step {
    order: u64,
    at: Instant,
    text: String,
}

#[derive(Debug, Default)]
struct Transfer {
    legs: BTreeSet<LegHandle>,
    target: String,
    ended: bool,
    steps: Vec<Step>,
}

/// What is remembered of the last calls.
#[derive(Debug)]
pub struct Book {
    limits: LadderLimits,
    next: u64,
    dialogs: BTreeMap<CompactString, Dialog>,
    unclaimed: VecDeque<CompactString>,
    legs: BTreeMap<LegHandle, CompactString>,
    calls: BTreeMap<CallHandle, BTreeSet<LegHandle>>,
    order: VecDeque<CallHandle>,
    transfers: BTreeMap<TransferHandle, Transfer>,
}

/// The ladder of one call.
#[derive(Clone, Debug, Serialize)]
pub struct LadderPage {
    /// The call.
    pub call: CallHandle,
    /// Its lines in the order in which they happened.
    pub lines: Vec<LadderLine>,
    /// Messages that were not kept because the dialog had more than the limit.
    pub more: usize,
    /// All of it drawn, for a terminal.
    pub text: String,
}

/// One line of a ladder.
#[derive(Clone, Debug, Serialize)]
pub struct LadderLine {
    /// Milliseconds since the first line.
    pub at_ms: u64,
    /// `in` (to the edge), `out`, or `step` (of a transfer).
    pub way: &'static str,
    /// The party at the other end.
    pub party: Option<String>,
    /// Its address.
    pub address: Option<SocketAddr>,
    /// The message's first line in short, or the step with the rule that fired.
    pub what: String,
    /// What matters for hold and transfer: the session description's direction and port, Refer-To, the outcome.
    pub note: String,
}

impl Book {
    /// An empty one.
    pub fn new(limits: LadderLimits) -> Book {
        Book {
            limits,
            next: 0,
            dialogs: BTreeMap::new(),
            unclaimed: VecDeque::new(),
            legs: BTreeMap::new(),
            calls: BTreeMap::new(),
            order: VecDeque::new(),
            transfers: BTreeMap::new(),
        }
    }

    /// A message passed. Only dialogs that begin with an INVITE are kept.
    pub fn message(&mut self, at: Instant, way: Way, remote: SocketAddr, bytes: &Bytes) {
        let Some(call_id) = call_id(bytes) else { return };
        let order = self.count();
        if !self.dialogs.contains_key(call_id) {
            if !bytes.starts_with(b"INVITE ") {
                return;
            }
            if self.unclaimed.len() >= UNCLAIMED
                && let Some(oldest) = self.unclaimed.pop_front()
            {
                self.dialogs.remove(&oldest);
            }
            self.unclaimed.push_back(call_id.into());
            self.dialogs.insert(call_id.into(), Dialog::default());
        }
        let Some(dialog) = self.dialogs.get_mut(call_id) else {
            return;
        };
        if dialog.messages.len() >= self.limits.messages {
            dialog.more += 1;
            return;
        }
        dialog.messages.push(Kept {
            order,
            at,
            way,
            remote,
            // A slice would keep the whole buffer that a stream was read into.
            bytes: Bytes::copy_from_slice(bytes),
        });
    }

    fn count(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Something happened.
    pub fn event(&mut self, at: Instant, event: &Event) {
        match event {
            Event::LegStarted {
                leg,
                call,
                party,
                call_id,
            } => self.leg_started(*leg, *call, party, call_id),
            Event::CallConnected { call, legs } => legs.iter().for_each(|leg| self.belongs(*call, *leg)),
            Event::TransferRequested {
                transfer,
                kind,
                mode,
                transferor,
                transferee,
                target,
            } => {
                let text = format!("{kind:?} transfer requested, mode {mode:?}").to_lowercase();
                let legs = [*transferor, *transferee].into();
                let target = target.clone();
                self.transfers.insert(
                    *transfer,
                    Transfer {
                        legs,
                        target,
                        ..Transfer::default()
                    },
                );
                self.step(at, *transfer, text);
            }
            Event::TransferProgress {
                transfer,
                state,
                status,
                rule,
            } => {
                let status = status.map(|status| format!(" ({status})")).unwrap_or_default();
                self.step(at, *transfer, format!("{state}{status}: {rule}"));
            }
            Event::TransferCompleted { transfer, target, .. } => {
                if let Some(kept) = self.transfers.get_mut(transfer) {
                    kept.legs.extend(*target);
                    kept.ended = true;
                }
                self.step(at, *transfer, "completed".to_owned());
            }
            Event::TransferFailed {
                transfer,
                reason,
                status,
            } => {
                if let Some(kept) = self.transfers.get_mut(transfer) {
                    kept.ended = true;
                }
                let status = status.map(|status| format!(" ({status})")).unwrap_or_default();
                self.step(at, *transfer, format!("failed: {}{status}", reason.name()));
            }
            Event::RegistrationAdded { .. }
            | Event::RegistrationRemoved { .. }
            | Event::CallStarted { .. }
            | Event::CallHeld { .. }
            | Event::CallResumed { .. }
            | Event::CallEnded { .. }
            | Event::LegRinging { .. }
            | Event::LegConfirmed { .. }
            | Event::LegEnded { .. }
            | Event::Media(_)
            | Event::MessageRefused { .. } => {}
        }
    }

    fn step(&mut self, at: Instant, transfer: TransferHandle, text: String) {
        let order = self.count();
        if let Some(kept) = self.transfers.get_mut(&transfer) {
            kept.steps.push(Step { order, at, text });
        }
    }

    fn leg_started(&mut self, leg: LegHandle, call: Option<CallHandle>, party: &str, call_id: &str) {
        self.unclaimed.retain(|other| other != call_id);
        self.dialogs.entry(call_id.into()).or_default().party = party.to_owned();
        self.legs.insert(leg, call_id.into());
        match call {
            Some(call) => self.belongs(call, leg),
            // The target of a transfer, dialled for it: of the newest one that goes there.
            None => {
                let goes_there = |kept: &&mut Transfer| !kept.ended && user(&kept.target) == user(party);
                match self.transfers.values_mut().rev().find(goes_there) {
                    Some(kept) => {
                        kept.legs.insert(leg);
                    }
                    None => self.unclaimed.push_back(call_id.into()),
                }
            }
        }
    }

    fn belongs(&mut self, call: CallHandle, leg: LegHandle) {
        if !self.calls.contains_key(&call) {
            self.order.push_back(call);
        }
        self.calls.entry(call).or_default().insert(leg);
        while self.order.len() > self.limits.calls.max(1)
            && let Some(oldest) = self.order.pop_front()
        {
            self.forget(oldest);
        }
    }

    /// Forgets a call, its transfers, and every leg that is in no other one.
    fn forget(&mut self, call: CallHandle) {
        let mut legs = self.calls.remove(&call).unwrap_or_default();
        let gone: Vec<_> = self.transfers_of(&legs).map(|(handle, _)| handle).collect();
        for transfer in gone {
            let others = |leg: &LegHandle| self.calls.values().any(|others| others.contains(leg));
            if self
                .transfers
                .get(&transfer)
                .is_some_and(|kept| !kept.legs.iter().any(others))
            {
                legs.extend(
                    self.transfers
                        .remove(&transfer)
                        .map(|kept| kept.legs)
                        .unwrap_or_default(),
                );
            }
        }
        for leg in legs {
            if !self.calls.values().any(|others| others.contains(&leg))
                && let Some(call_id) = self.legs.remove(&leg)
            {
                self.dialogs.remove(&call_id);
            }
        }
    }

    fn transfers_of(&self, legs: &BTreeSet<LegHandle>) -> impl Iterator<Item = (TransferHandle, &Transfer)> {
        let shares = move |kept: &Transfer| kept.legs.iter().any(|leg| legs.contains(leg));
        let all = self.transfers.iter();
        all.filter(move |(_, kept)| shares(kept))
            .map(|(handle, kept)| (*handle, kept))
    }

    /// The ladder of a call, with the legs and steps of its transfers; `None`: it is not remembered.
    pub fn page(&self, call: CallHandle) -> Option<LadderPage> {
        let own = self.calls.get(&call)?;
        let transfers: Vec<_> = self.transfers_of(own).collect();
        let mut legs = own.clone();
        legs.extend(transfers.iter().flat_map(|(_, kept)| kept.legs.iter().copied()));
        let dialogs: BTreeSet<&CompactString> = legs.iter().filter_map(|leg| self.legs.get(leg)).collect();
        let dialogs: Vec<&Dialog> = dialogs.into_iter().filter_map(|id| self.dialogs.get(id)).collect();

        let mut entries: Vec<(u64, Entry<'_>)> = Vec::new();
        for dialog in &dialogs {
            let messages = dialog.messages.iter();
            entries.extend(messages.map(|kept| (kept.order, Entry::Message(dialog, kept))));
        }
        for (handle, kept) in &transfers {
            let steps = kept.steps.iter();
            entries.extend(steps.map(|step| (step.order, Entry::Step(*handle, step))));
        }
        entries.sort_by_key(|(order, _)| *order);
        let entries: Vec<Entry<'_>> = entries.into_iter().map(|(_, entry)| entry).collect();
        let (lines, text) = self.draw(&entries);
        Some(LadderPage {
            call,
            lines,
            more: dialogs.iter().map(|dialog| dialog.more).sum(),
            text,
        })
    }

    fn draw(&self, entries: &[Entry<'_>]) -> (Vec<LadderLine>, String) {
        let mut ladder = self.columns(entries);
        let mut text = ladder.head();
        let mut lines = Vec::new();
        let start = entries.first().map(Entry::at);
        for entry in entries {
            let since = start.map_or(0, |start| entry.at().saturating_duration_since(start).as_millis());
            let at_ms = u64::try_from(since).unwrap_or(u64::MAX);
            text.push('\n');
            lines.push(match entry {
                Entry::Message(dialog, kept) => {
                    text.push_str(&ladder.message(kept.at, kept.way, kept.remote, &kept.bytes));
                    let (what, note) = super::ladder::summary(&kept.bytes, self.limits.redact);
                    LadderLine {
                        at_ms,
                        way: match kept.way {
                            Way::In => "in",
                            Way::Out => "out",
                        },
                        party: Some(self.shown(&dialog.party)),
                        address: Some(kept.remote),
                        what,
                        note,
                    }
                }
                Entry::Step(transfer, step) => {
                    let what = format!("{transfer} {}", step.text);
                    text.push_str(&ladder.heading(&what));
                    LadderLine {
                        at_ms,
                        way: "step",
                        party: None,
                        address: None,
                        what,
                        note: String::new(),
                    }
                }
            });
        }
        (lines, text)
    }

    /// One column for each address, the edge's after the first.
    fn columns(&self, entries: &[Entry<'_>]) -> Ladder {
        let style = Style {
            colour: false,
            unicode: true,
        };
        let mut ladder = Ladder::new(style).redacted(self.limits.redact);
        let mut seen: Vec<SocketAddr> = Vec::new();
        for entry in entries {
            let Entry::Message(dialog, kept) = entry else { continue };
            if seen.contains(&kept.remote) || seen.len() == COLUMNS {
                continue;
            }
            seen.push(kept.remote);
            let shown = self.shown(&dialog.party);
            let name = shown.split_once('@').map_or(shown.as_str(), |(name, _)| name);
            let name = name.split_once(':').map_or(name, |(_, name)| name);
            let name: String = name.chars().take(18).collect();
            ladder = ladder.column(&name, Some(kept.remote));
            if seen.len() == 1 {
                ladder = ladder.column("edge", None);
            }
        }
        ladder
    }

    fn shown(&self, party: &str) -> String {
        if self.limits.redact {
            Redact(party).to_string()
        } else {
            party.to_owned()
        }
    }
}

enum Entry<'b> {
    Message(&'b Dialog, &'b Kept),
    Step(TransferHandle, &'b Step),
}

impl Entry<'_> {
    fn at(&self) -> Instant {
        match self {
            Entry::Message(_, kept) => kept.at,
            Entry::Step(_, step) => step.at,
        }
    }
}

/// The user part of a URI in text.
fn user(uri: &str) -> &str {
    let bare = uri.split_once(':').map_or(uri, |(_, bare)| bare);
    bare.split(['@', ';', '?']).next().unwrap_or_default()
}

/// The Call-ID of a message, without parsing the rest of it.
fn call_id(bytes: &[u8]) -> Option<&str> {
    let mut rest = bytes;
    while let Some(end) = memchr::memchr(b'\n', rest) {
        let line = rest.get(..end)?.trim_ascii_end();
        rest = rest.get(end + 1..)?;
        if line.is_empty() {
            return None;
        }
        let Some(colon) = line.iter().take(12).position(|octet| *octet == b':') else {
            continue;
        };
        let (name, value) = line.split_at_checked(colon)?;
        let name = name.trim_ascii_end();
        if name.eq_ignore_ascii_case(b"call-id") || name.eq_ignore_ascii_case(b"i") {
            return std::str::from_utf8(value.get(1..)?.trim_ascii()).ok();
        }
    }
    None
}

#[cfg(test)]
mod tests;
