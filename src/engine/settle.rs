//! Hands on what the layers report until nothing is left to hand on. The engine's only loop; every input ends in it.

use std::time::Instant;

use super::locate::Asker;
use super::plugin::{MOST_ROUNDS, PLUGIN};
use super::{Command, Engine, Event, Output};
use crate::leg::LegOwner;
use crate::registrar::Change;

impl Engine {
    pub(super) fn settle(&mut self, now: Instant) {
        for _ in 0..MOST_ROUNDS {
            self.hand_on(now);
            let orders = self.flush(now);
            if orders.is_empty() {
                return;
            }
            for command in orders {
                self.command(now, PLUGIN, command);
            }
        }
        tracing::warn!("the plugin orders something for every event of its own orders; the last ones are dropped");
        self.hand_on(now);
        let _ = self.flush(now);
    }

    fn hand_on(&mut self, now: Instant) {
        loop {
            if let Some(event) = self.legs().transactions.poll_event() {
                self.transaction_event(now, event);
            } else if let Some((leg, event)) = self.legs().reports.pop_front() {
                let owner = self.legs().get(leg).map(|leg| leg.owner);
                let Some(event) = owner.and_then(|owner| self.diverted(now, leg, owner, event)) else {
                    continue;
                };
                match owner {
                    Some(LegOwner::Call(call)) => {
                        if let Some(demand) = self.transfers.calls.handle(now, call, leg, event) {
                            self.demanded(now, demand);
                        }
                    }
                    Some(LegOwner::Transfer(transfer)) => self.transfers.handle(now, transfer, leg, event),
                    Some(LegOwner::Nobody) => self.legs().unclaimed(now, leg, event),
                    None => {}
                }
            } else if let Some((leg, wanted)) = self.legs().lookups.pop_front() {
                self.look_up(now, Asker::Leg(leg), wanted);
            } else if let Some(dial) = self.transfers.dials.pop_front() {
                let transfer = dial.transfer;
                let ways = self.transfer_ways(now, dial);
                self.transfers.dial(now, transfer, ways);
            } else if !self.transfers.entrusted_said(now) {
                break;
            }
        }
        self.legs().sweep();
    }

    /// Puts everything out; what the plugin orders in view of it is done next.
    fn flush(&mut self, now: Instant) -> Vec<Command> {
        let mut orders = Vec::new();
        self.note_changes(now);
        // Before messages: a port is open before a party hears of it.
        while let Some(command) = self.legs().endpoints.commands.pop_front() {
            self.outputs.push_back(Output::Media(command));
        }
        while let Some(transmit) = self.legs().transactions.poll_transmit() {
            self.outputs.push_back(Output::Transmit {
                flow: transmit.flow,
                bytes: transmit.bytes,
            });
        }
        while let Some(event) = self.legs().events.pop_front() {
            if let Some(plugin) = &mut self.plugin {
                orders.extend(plugin.observe(now, &event));
            }
            self.outputs.push_back(Output::Event(event));
        }
        while let Some((id, reply)) = self.transfers.calls.replies.pop_front() {
            if id != PLUGIN {
                self.outputs.push_back(Output::Reply { id, reply });
            }
        }
        orders
    }

    pub(super) fn note_bindings(&mut self, now: Instant, changes: Vec<Change>) {
        for change in changes {
            let event = match change {
                Change::Added {
                    aor,
                    contact,
                    flow,
                    before,
                } => {
                    // A phone that comes back finds its dialogs where it is.
                    self.legs().flow_found(now, &aor, &contact.uri, flow, before);
                    self.stop_ringing_on(&contact.uri, flow);
                    Event::RegistrationAdded {
                        aor: aor.to_string(),
                        contact: contact.to_string(),
                    }
                }
                Change::Removed { aor, contact } => Event::RegistrationRemoved {
                    aor: aor.to_string(),
                    contact: contact.to_string(),
                },
            };
            self.event(event);
        }
    }
}
