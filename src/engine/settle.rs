//! Hands on what the layers report until nothing is left to hand on. The engine's only loop; every input ends in it.

use std::time::Instant;

use super::{Engine, Event, Output};
use crate::call::Demand;
use crate::leg::LegOwner;
use crate::registrar::Change;

impl Engine {
    pub(super) fn settle(&mut self, now: Instant) {
        loop {
            if let Some(event) = self.legs().transactions.poll_event() {
                self.transaction_event(now, event);
            } else if let Some((leg, event)) = self.legs().reports.pop_front() {
                match self.legs().get(leg).map(|leg| leg.owner) {
                    Some(LegOwner::Call(call)) => {
                        if let Some(demand) = self.transfers.calls.handle(now, call, leg, event) {
                            self.demanded(now, demand);
                        }
                    }
                    Some(LegOwner::Transfer(transfer)) => self.transfers.handle(now, transfer, leg, event),
                    Some(LegOwner::Nobody) => self.legs().unclaimed(now, leg, event),
                    None => {}
                }
            } else if let Some(dial) = self.transfers.dials.pop_front() {
                let transfer = dial.transfer;
                let ways = self.transfer_ways(now, dial);
                self.transfers.dial(now, transfer, ways);
            } else {
                break;
            }
        }
        self.legs().sweep();
        self.flush();
    }

    fn flush(&mut self) {
        while let Some(transmit) = self.legs().transactions.poll_transmit() {
            self.outputs.push_back(Output::Transmit {
                flow: transmit.flow,
                bytes: transmit.bytes,
            });
        }
        while let Some(user) = self.registrar.poll_stored() {
            self.outputs.push_back(Output::Store { user });
        }
        while let Some(event) = self.legs().events.pop_front() {
            self.outputs.push_back(Output::Event(event));
        }
        while let Some((id, reply)) = self.transfers.calls.replies.pop_front() {
            self.outputs.push_back(Output::Reply { id, reply });
        }
    }

    fn demanded(&mut self, now: Instant, demand: Demand) {
        match demand {
            Demand::Dial { call, dialled } => self.dial_on(now, call, &dialled),
            Demand::Refer {
                call,
                transferor,
                server,
                request,
            } => {
                let settings = &self.settings;
                self.transfers
                    .refer_received(now, call, transferor, server, &request, |transferee| {
                        settings.transfer_policy(transferee)
                    });
            }
        }
    }

    pub(super) fn note_bindings(&mut self, changes: Vec<Change>) {
        for change in changes {
            let event = match change {
                Change::Added { aor, contact } => Event::RegistrationAdded {
                    aor: aor.to_string(),
                    contact: contact.to_string(),
                },
                Change::Removed { aor, contact } => Event::RegistrationRemoved {
                    aor: aor.to_string(),
                    contact: contact.to_string(),
                },
            };
            self.event(event);
        }
    }
}
