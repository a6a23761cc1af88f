//! What a talk hears: keys, ends of prompts, and who comes and goes in its hub.

use tokio::time::{Instant, timeout_at};

use super::talk::{End, Talk};
use crate::api::follow::Followed;
use crate::engine::{Cause, Command, Event, HubNote, LegHandle, MediaNote, Reply};

/// One thing that a talk is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// The customer pressed a key.
    Digit(char),
    /// What was played to the customer is over, or could not be played.
    PromptEnded(String),
    /// The customer's phone has confirmed the answer.
    Confirmed,
    /// Somebody was called into the hub.
    Called(LegHandle),
    /// Somebody takes part in the hub.
    Joined(LegHandle),
    /// Somebody takes part no more, or never did.
    Left(LegHandle, Cause),
    /// What the customer's phone says of our REFER.
    Referred { status: u16, last: bool },
    /// It is late.
    Late,
}

impl Talk {
    /// The next thing that concerns this talk. `Err`: the customer is not ours any more.
    pub(super) async fn hear(&mut self, until: Option<Instant>) -> Result<Heard, End> {
        loop {
            let next = self.follower.recv();
            let followed = match until {
                None => next.await,
                Some(until) => match timeout_at(until, next).await {
                    Ok(followed) => followed,
                    Err(_) => return Ok(Heard::Late),
                },
            };
            match followed {
                // Nobody reads the event log any more: the process ends.
                None => return Err(End::Gone(Cause::Lost)),
                Some(Followed::Missed) => self.check().await?,
                Some(Followed::Event(stamped)) => {
                    if let Some(heard) = self.means(&stamped.event)? {
                        return Ok(heard);
                    }
                }
            }
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a talk cares for few events, and for none that is new"
    )]
    fn means(&self, event: &Event) -> Result<Option<Heard>, End> {
        let heard = match event {
            Event::LegEnded { leg, cause } if *leg == self.leg => return Err(End::Gone(*cause)),
            Event::CallEnded { cause, .. } => return Err(End::Gone(*cause)),
            Event::Hub(HubNote::Left { leg, cause, .. }) if *leg == self.leg => {
                return Err(match cause {
                    Cause::Transferred => End::Moved,
                    Cause::Party
                    | Cause::OtherParty
                    | Cause::Refused { .. }
                    | Cause::NoAnswer
                    | Cause::Command
                    | Cause::Lost => End::Gone(*cause),
                });
            }
            Event::LegConfirmed { leg, .. } if *leg == self.leg => Heard::Confirmed,
            Event::LegStarted { leg, .. } => Heard::Called(*leg),
            Event::Hub(HubNote::Joined { leg, .. }) if *leg != self.leg => Heard::Joined(*leg),
            Event::Hub(HubNote::Left { leg, cause, .. }) | Event::LegEnded { leg, cause } => Heard::Left(*leg, *cause),
            Event::Hub(HubNote::Referred { leg, status, last, .. }) if *leg == self.leg => Heard::Referred {
                status: *status,
                last: *last,
            },
            Event::Media(MediaNote::Digit { leg, digit, .. }) if *leg == self.leg => Heard::Digit(*digit),
            Event::Media(MediaNote::PromptEnded { leg, prompt } | MediaNote::PromptMissing { leg, prompt })
                if *leg == self.leg =>
            {
                Heard::PromptEnded(prompt.clone())
            }
            _ => return Ok(None),
        };
        Ok(Some(heard))
    }

    /// Events were missed: is the customer still there?
    async fn check(&mut self) -> Result<(), End> {
        let call = self.call;
        match self.shared.edge.command(Command::Call { call }).await {
            Ok(Reply::Call(view)) if view.legs.iter().any(|leg| leg.id == self.leg) => Ok(()),
            _ => Err(End::Gone(Cause::Lost)),
        }
    }

    /// Whether anybody but the customer is in its call, or is being called into it.
    pub(super) async fn is_alone(&self) -> bool {
        let call = self.call;
        match self.shared.edge.command(Command::Call { call }).await {
            Ok(Reply::Call(view)) => !view.legs.iter().any(|leg| leg.id != self.leg),
            _ => true,
        }
    }
}
