//! What is shown of a call: its lines one by one, and all of them drawn.
//!
//! A message is shown as its first line and a note: no body, no credential leaves the book.

use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use serde::Serialize;

use super::Step;
use super::dialogs::{Dialog, Kept};
use crate::engine::{CallHandle, TransferHandle};
use crate::observe::ladder::{self, Ladder, Style};
use crate::observe::{Redact, Way};

/// Columns beside the edge's that fit a line; who comes later has a line without a column.
const COLUMNS: usize = 3;

/// What the book holds of one call, copied out of it.
#[derive(Clone, Debug)]
pub struct Excerpt {
    pub(super) call: CallHandle,
    pub(super) dialogs: Vec<Dialog>,
    pub(super) steps: Vec<(TransferHandle, Step)>,
    pub(super) redact: bool,
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

enum Entry<'e> {
    Message(&'e Dialog, &'e Kept, &'e [u8]),
    Step(TransferHandle, &'e Step),
}

impl Entry<'_> {
    fn at(&self) -> Instant {
        match self {
            Entry::Message(_, kept, _) => kept.at,
            Entry::Step(_, step) => step.at,
        }
    }

    fn order(&self) -> u64 {
        match self {
            Entry::Message(_, kept, _) => kept.order,
            Entry::Step(_, step) => step.order,
        }
    }
}

impl Excerpt {
    /// Reads the messages and draws them.
    pub fn page(&self) -> LadderPage {
        let messages = self.dialogs.iter().flat_map(|dialog| {
            let messages = dialog.messages();
            messages.map(move |(kept, octets)| Entry::Message(dialog, kept, octets))
        });
        let steps = self.steps.iter().map(|(handle, step)| Entry::Step(*handle, step));
        let mut entries: Vec<Entry<'_>> = messages.chain(steps).collect();
        entries.sort_by_key(Entry::order);
        let mut ladder = self.columns(&entries);
        let mut text = ladder.head();
        let mut lines = Vec::new();
        let start = entries.first().map(Entry::at);
        for entry in &entries {
            let since = start.map_or(0, |start| entry.at().saturating_duration_since(start).as_millis());
            let at_ms = u64::try_from(since).unwrap_or(u64::MAX);
            text.push('\n');
            lines.push(match entry {
                Entry::Message(dialog, kept, octets) => {
                    let bytes = Bytes::copy_from_slice(octets);
                    text.push_str(&ladder.message(kept.at, kept.way, kept.remote, &bytes));
                    self.message(at_ms, dialog, kept, &bytes)
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
        LadderPage {
            call: self.call,
            lines,
            more: self.dialogs.iter().map(|dialog| dialog.more).sum(),
            text,
        }
    }

    fn message(&self, at_ms: u64, dialog: &Dialog, kept: &Kept, bytes: &Bytes) -> LadderLine {
        let (what, note) = ladder::summary(bytes, self.redact);
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

    /// One column for each address, the edge's after the first.
    fn columns(&self, entries: &[Entry<'_>]) -> Ladder {
        let style = Style {
            colour: false,
            unicode: true,
        };
        let mut ladder = Ladder::new(style).redacted(self.redact);
        let mut seen: Vec<SocketAddr> = Vec::new();
        for entry in entries {
            let Entry::Message(dialog, kept, _) = entry else {
                continue;
            };
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
        if self.redact {
            Redact(party).to_string()
        } else {
            party.to_owned()
        }
    }
}
