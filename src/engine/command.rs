//! Orders and questions of API clients: each is answered exactly once, at once or when the parties have agreed.

use std::time::Instant;

use super::{Command, CommandId, Denied, Engine, Refusal, RegistrationView, Reply};
use crate::transfer::{Asked, Policy};
use crate::vocabulary::{Cause, LegHandle, LegOwner, TransferHandle};

impl Engine {
    pub(super) fn command(&mut self, now: Instant, id: CommandId, command: Command) {
        if let Some(reply) = self.carry_out(now, id, command).transpose() {
            self.transfers.calls.replies.push_back((id, reply));
        }
    }

    /// `None`: the answer comes later.
    fn carry_out(&mut self, now: Instant, id: CommandId, command: Command) -> Result<Option<Reply>, Refusal> {
        let reply = match command {
            Command::Calls => Reply::Calls(self.transfers.calls.views()),
            Command::FirstCalls { limit } => Reply::FirstCalls {
                calls: self.transfers.calls.first_views(limit),
                total: self.transfers.calls.len(),
            },
            Command::Call { call } => {
                let view = self.transfers.calls.view(call);
                Reply::Call(view.ok_or_else(|| Refusal::NotFound {
                    what: "call",
                    handle: call.to_string(),
                })?)
            }
            Command::Transfers => Reply::Transfers(self.transfers.views()),
            Command::Transfer { transfer } => self.transfer_view(transfer)?,
            Command::Registrations => Reply::Registrations(self.registrations(now)),
            Command::Totals => Reply::Totals(self.totals()),
            Command::Hold { leg, music, .. } if self.is_in_hub(leg) => {
                done(self.transfers.calls.hold_member(leg, true, music))?
            }
            Command::Resume { leg } if self.is_in_hub(leg) => done(self.transfers.calls.hold_member(leg, false, None))?,
            Command::Hold { leg, direction, music } => {
                self.hold(now, id, leg, direction, music.as_deref())?;
                return Ok(None);
            }
            Command::Digits { leg, digits } => self.digits(leg, &digits)?,
            Command::Record { leg } => self.record(now, leg, true)?,
            Command::StopRecording { leg } => self.record(now, leg, false)?,
            Command::Resume { leg } => {
                self.transfers.calls.hold(now, id, leg, None)?;
                return Ok(None);
            }
            Command::Divert { leg, to, headers } => done(self.divert(now, leg, &to, &headers))?,
            Command::HangUpLeg { leg } => self.hang_up_leg(now, leg)?,
            Command::HangUpCall { call } => {
                self.transfers.calls.hang_up(now, call)?;
                Reply::Done
            }
            Command::Dial { from, to, ring_timeout } => self.dial(now, &from, &to, ring_timeout)?,
            Command::StartTransfer {
                transferor,
                target,
                mode,
                ring_timeout,
                on_failure,
            } => {
                self.check_ladder(on_failure.as_ref())?;
                let Engine {
                    settings,
                    transfers,
                    plugin,
                    ..
                } = self;
                let ask = |asked: &Asked<'_>| -> Result<Policy, Denied> {
                    if let Some(plugin) = plugin {
                        plugin.allow(asked)?;
                    }
                    let policy = settings.transfer_policy(asked.transferor, asked.transferee);
                    Ok(Policy {
                        mode: mode.unwrap_or(policy.mode),
                        on_failure: on_failure.unwrap_or(policy.on_failure),
                        ..policy
                    })
                };
                let transfer = transfers.command(now, transferor, target, ring_timeout, ask)?;
                self.transfer_view(transfer)?
            }
            Command::CancelTransfer { transfer } => {
                self.transfers.cancel(now, transfer)?;
                self.transfer_view(transfer)?
            }
            Command::OpenHub { settings } => self.open_hub(now, settings)?,
            Command::AddParty { call, party } => self.add_party(now, call, *party)?,
            Command::ToHub { call, settings } => done(self.transfers.calls.to_hub(now, call, settings))?,
            Command::ToPair { call } => done(self.transfers.calls.to_pair(now, call))?,
            Command::Ring { leg } => done(self.transfers.calls.ring_caller(now, leg))?,
            Command::Answer { leg, role } => done(self.transfers.calls.answer_caller(now, leg, role))?,
            Command::Reject { leg, status } => done(self.transfers.calls.reject_caller(now, leg, status))?,
            Command::Move { leg, to, role } => done(self.transfers.calls.move_to(now, leg, to, role))?,
            Command::SetRole { leg, role } => done(self.transfers.calls.set_role(leg, role))?,
            Command::Play { to, sound, again } => done(self.transfers.calls.play(to, &sound, again))?,
            Command::StopPlaying { to } => done(self.transfers.calls.stop_playing(to))?,
            Command::RecordHub { call } => self.record_hub(call)?,
            Command::StopRecordingHub { call } => done(self.transfers.calls.stop_recording_hub(call))?,
            Command::Refer { leg, to } => done(self.transfers.calls.refer_party(now, leg, &to))?,
        };
        Ok(Some(reply))
    }

    pub(super) fn is_in_hub(&self, leg: LegHandle) -> bool {
        self.transfers.calls.hub_of(leg).is_ok()
    }

    fn transfer_view(&self, transfer: TransferHandle) -> Result<Reply, Refusal> {
        let view = self.transfers.view(transfer);
        Ok(Reply::Transfer(view.ok_or_else(|| Refusal::NotFound {
            what: "transfer",
            handle: transfer.to_string(),
        })?))
    }

    fn hang_up_leg(&mut self, now: Instant, handle: LegHandle) -> Result<Reply, Refusal> {
        let leg = self.transfers.calls.legs.get(handle).filter(|leg| leg.is_alive());
        let owner = leg.map(|leg| leg.owner).ok_or_else(|| Refusal::NotFound {
            what: "leg",
            handle: handle.to_string(),
        })?;
        match owner {
            // As if its party had hung up: whoever owns the leg decides what follows.
            LegOwner::Call(_) | LegOwner::Transfer(_) => self.legs().hang_up(now, handle),
            LegOwner::Nobody => self.legs().release(now, handle, Cause::Command),
        }
        Ok(Reply::Done)
    }

    fn registrations(&self, now: Instant) -> Vec<RegistrationView> {
        let view = |binding: &crate::registrar::Binding| RegistrationView {
            aor: binding.aor.to_string(),
            contact: binding.contact.to_string(),
            expires_s: binding.expires_in(now),
            address: binding.flow.remote,
            kept: binding.kept.as_str(),
            reachable: !binding.waiting,
        };
        self.registrar.all(now).into_iter().map(view).collect()
    }
}

fn done(result: Result<(), Refusal>) -> Result<Reply, Refusal> {
    result.map(|()| Reply::Done)
}
