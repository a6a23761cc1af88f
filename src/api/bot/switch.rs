//! Handing the customer to somebody else, and what the bot is told of it.

use std::collections::BTreeSet;

use super::listen::Heard;
use super::talk::{End, Talk};
use super::wire::{Method, Reply, Switch, Target, TransferStatus, Turn};
use crate::engine::{Command, LegHandle, NewParty, Role};
use crate::sip::Uri;

/// What came of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Nobody came.
    Failed,
    /// Somebody came, and has left again before the customer.
    Left,
    /// The customer talks elsewhere by itself.
    Away,
}

impl Switch {
    /// A plain transfer there, for good.
    pub(super) fn to(target: Target) -> Switch {
        Switch {
            target,
            timeout: None,
            headers: Vec::new(),
            channel: None,
            continue_call: false,
            continue_recording: true,
            method: Method::Invite,
        }
    }

    /// The number or the address's user: what the status names.
    fn number(&self) -> String {
        match &self.target {
            Target::Number(number) => number.clone(),
            Target::Address(address) => super::user_of(address).to_owned(),
        }
    }
}

impl Talk {
    /// Carries a transfer out to its end; gives what the bot says to it, if the customer comes back.
    pub(super) async fn switch(&mut self, switch: &Switch) -> Result<Vec<Reply>, End> {
        let mut answered = false;
        let done = match switch.method {
            Method::Invite => self.invite(switch, &mut answered).await,
            Method::Refer => self.refer(switch, &mut answered).await,
        };
        let status = |success: bool, hangup| {
            Turn::Transfer(TransferStatus {
                status: if success { "SUCCESS" } else { "FAIL" },
                hangup,
                number: switch.number(),
            })
        };
        let refers = switch.method == Method::Refer;
        match done {
            Ok(outcome) => {
                let turn = status(outcome != Outcome::Failed, false);
                let goes_on = match outcome {
                    Outcome::Failed => switch.continue_call || refers,
                    Outcome::Left => switch.continue_call,
                    Outcome::Away => false,
                };
                if goes_on {
                    return self.ask(&turn).await;
                }
                self.notify(&turn);
                Err(self.hang_up().await)
            }
            Err(End::Gone(cause)) => {
                self.notify(&status(answered, true));
                Err(End::Gone(cause))
            }
            Err(end @ (End::Moved | End::Over)) => Err(end),
        }
    }

    fn address(&self, switch: &Switch) -> Option<Uri> {
        match &switch.target {
            // `#` would end the user part of a URI.
            Target::Number(number) => {
                Uri::parse(&format!("sip:{}@{}", number.replace('#', "%23"), self.shared.domain)).ok()
            }
            Target::Address(address) => {
                let has_scheme = ["sip:", "sips:", "tel:"].iter().any(|scheme| {
                    address
                        .get(..scheme.len())
                        .is_some_and(|begin| begin.eq_ignore_ascii_case(scheme))
                });
                let whole = if has_scheme {
                    address.clone()
                } else {
                    format!("sip:{address}")
                };
                Uri::parse(&whole).ok().map(|uri| uri.without_headers())
            }
        }
    }

    async fn invite(&mut self, switch: &Switch, answered: &mut bool) -> Result<Outcome, End> {
        let Some(to) = self.address(switch) else {
            return Ok(Outcome::Failed);
        };
        if self.recorded && !switch.continue_recording {
            self.recorded = false;
            self.order(Command::StopRecording { leg: self.leg }).await.ok(); // it has ended by itself
        }
        // Music while it rings.
        let waiting = Role {
            music: self.channel.music.clone(),
            ..self.alone()
        };
        self.set_role(waiting).await;
        let party = NewParty {
            to,
            from: Uri::parse(&self.from).ok().map(|uri| uri.without_headers()),
            from_name: None,
            role: Role {
                ends: !switch.continue_call,
                ..Role::default()
            },
            ring_timeout: switch.timeout,
            headers: switch.headers.clone(),
            peer: switch.channel.clone(),
            credentials: None,
        };
        let call = self.call;
        let party = Box::new(party);
        if let Err(error) = self.order(Command::AddParty { call, party }).await {
            tracing::info!(%call, %error, "a bot's target cannot be called");
            self.set_role(self.alone()).await;
            return Ok(Outcome::Failed);
        }
        let outcome = self.until_left(answered).await?;
        self.set_role(self.alone()).await;
        Ok(outcome)
    }

    /// Until the target has refused, or has come and gone.
    async fn until_left(&mut self, answered: &mut bool) -> Result<Outcome, End> {
        let mut called: BTreeSet<LegHandle> = BTreeSet::new();
        let mut operator = None;
        loop {
            match self.hear(None).await? {
                Heard::Called(leg) => {
                    called.insert(leg);
                }
                Heard::Joined(leg) => {
                    called.remove(&leg);
                    operator = Some(leg);
                    *answered = true;
                }
                Heard::Left(leg, _) if operator == Some(leg) => return Ok(Outcome::Left),
                Heard::Left(leg, _) => {
                    let was_called = called.remove(&leg);
                    // Where a phone sent the call on, somebody else is called in its stead.
                    if was_called && called.is_empty() && operator.is_none() && self.is_alone().await {
                        return Ok(Outcome::Failed);
                    }
                }
                Heard::Digit(_) if *answered => {} // between the two
                Heard::Digit(digit) => self.press(digit),
                Heard::PromptEnded(_) | Heard::Confirmed | Heard::Referred { .. } | Heard::Late => {}
            }
        }
    }

    async fn refer(&mut self, switch: &Switch, answered: &mut bool) -> Result<Outcome, End> {
        let Some(to) = self.address(switch) else {
            return Ok(Outcome::Failed);
        };
        if self.order(Command::Refer { leg: self.leg, to }).await.is_err() {
            return Ok(Outcome::Failed);
        }
        loop {
            match self.hear(None).await? {
                Heard::Referred {
                    status: 200..=299,
                    last,
                } => {
                    // A phone that has reached the target may hang up here before it says the last word.
                    *answered = true;
                    if last {
                        return Ok(Outcome::Away);
                    }
                }
                Heard::Referred { status: 300.., .. } => return Ok(Outcome::Failed),
                Heard::Referred { last: true, .. } => return Ok(Outcome::Failed),
                Heard::Referred { .. } => {}
                Heard::Digit(digit) => self.press(digit),
                Heard::PromptEnded(_)
                | Heard::Confirmed
                | Heard::Called(_)
                | Heard::Joined(_)
                | Heard::Left(..)
                | Heard::Late => {}
            }
        }
    }

    async fn set_role(&self, role: Role) {
        let leg = self.leg;
        self.order(Command::SetRole { leg, role }).await.ok(); // it has left; its events say so
    }
}
