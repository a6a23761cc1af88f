//! A call in which more than two may talk: who is in it, in which role, and who hears whom.
//!
//! **Owns** the participants, those who still ring, and the one list that the mixer is told ([`Legs::mix`]), whole
//! each time and only when it differs. **Refuses** to know how a party is reached (the engine finds the ways) and what a
//! client wants with the hub: every rule here is one of [`Role`] or [`HubSettings`].
//!
//! Holding, muting, coaching are media alone: nobody is re-INVITEd for them. A party is offered the edge's own voice
//! ([`crate::leg`]) once, when it comes, if it does not talk with the edge already.
//!
//! | event | then |
//! |---|---|
//! | a caller comes for an application | a hub of its own, in which it waits unanswered |
//! | it is answered, or moved into another hub | it takes part there |
//! | a party that we called answers | the others of its forks end, it takes part |
//! | all forks of a party refuse | nobody comes; each leg has told so |
//! | a participant's re-INVITE | answered at once, in the mirror of what it offers; while it holds, nobody hears it |
//! | somebody takes a participant's place (REFER, Replaces) | in its role; the other is released when it knows |
//! | a participant leaves | who is alone hears music; one that `ends` takes all along; without anybody the hub ends |
//! | nobody has ever come for 60 s, or a caller is answered by nobody | the hub ends |
//!
//! "Somebody" is who speaks or could: a speaker, a muted one. Supervisors (monitor, coach) keep no hub alive.
//!
//! RFC 4353 §3, §5 (focus and mixer), RFC 5359 §2.10, RFC 3911.
//!
//! [`Legs::mix`]: crate::leg::Legs::mix

mod entrust;
mod join;
mod kept;
mod leave;
mod media;
mod open;
mod party;
mod place;
mod report;
mod roles;
mod sound;

pub use entrust::Entrusted;
pub use kept::StoredHub;
pub use sound::BEEP;

use std::time::{Duration, Instant};

use super::{Call, CallState, Calls};
use crate::leg::{Leg, Member, RecordingName};
use crate::vocabulary::{
    CallHandle, Event, HubNote, HubSettings, HubView, LegHandle, LegOwner, Part, ParticipantView, Refusal, Role,
    TransferHandle,
};

/// How long a hub waits for its first participant.
const EMPTY: Duration = Duration::from_secs(60);

/// A hub's own data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hub {
    pub(crate) settings: HubSettings,
    /// In the order in which they came; also a caller that nobody has answered yet.
    pub(crate) participants: Vec<Participant>,
    /// Who rings.
    pub(crate) invited: Vec<Invited>,
    pub(crate) started: bool,
    /// The first participant has to have come by then; `None`: somebody has.
    pub(crate) until: Option<Instant>,
    pub(crate) recording: Option<RecordingName>,
    /// The transfer whose transferee waits here for an application.
    pub(crate) entrusted_by: Option<TransferHandle>,
    /// Whose place somebody else has: each waits for the answer to its last NOTIFY, at most until then.
    pub(crate) leaving: Vec<(LegHandle, Instant)>,
    /// What the mixer was told last.
    mixed: Vec<Member>,
}

/// Somebody in a hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Participant {
    pub(crate) leg: LegHandle,
    pub(crate) role: Role,
    /// `false`: a caller that is not answered yet.
    pub(crate) joined: bool,
    pub(crate) speaking: bool,
    /// It refused the edge's voice once and was asked for its own offer.
    pub(crate) asked: bool,
}

/// Somebody who is called into a hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invited {
    /// Those of its phones that have not refused.
    pub(crate) forks: Vec<LegHandle>,
    pub(crate) role: Role,
    /// The best refusal so far.
    pub(crate) best: Option<u16>,
    /// The participant whose place it takes, and who is told what comes of it (REFER).
    pub(crate) instead_of: Option<LegHandle>,
}

impl Participant {
    fn new(leg: LegHandle, role: Role, joined: bool) -> Participant {
        Participant {
            leg,
            role,
            joined,
            speaking: false,
            asked: false,
        }
    }

    /// Whether a hub lives on for this one.
    fn is_somebody(&self) -> bool {
        match self.role.part {
            Part::Speaker | Part::Muted => true,
            Part::Monitor | Part::Coach { .. } => false,
        }
    }
}

impl Hub {
    fn new(settings: HubSettings, until: Option<Instant>) -> Hub {
        Hub {
            settings,
            participants: Vec::new(),
            invited: Vec::new(),
            started: false,
            until,
            recording: None,
            entrusted_by: None,
            leaving: Vec::new(),
            mixed: Vec::new(),
        }
    }

    /// The participant with this leg.
    pub fn participant(&self, leg: LegHandle) -> Option<&Participant> {
        self.participants.iter().find(|participant| participant.leg == leg)
    }

    pub(crate) fn participant_mut(&mut self, leg: LegHandle) -> Option<&mut Participant> {
        self.participants.iter_mut().find(|participant| participant.leg == leg)
    }

    /// Those who take part.
    fn joined(&self) -> impl Iterator<Item = &Participant> {
        self.participants.iter().filter(|participant| participant.joined)
    }

    /// All legs: participants, then those who ring.
    pub(crate) fn legs(&self) -> Vec<LegHandle> {
        let participants = self.participants.iter().map(|participant| participant.leg);
        let forks = self.invited.iter().flat_map(|invited| invited.forks.iter().copied());
        participants.chain(forks).collect()
    }

    fn view(&self) -> HubView {
        let view = |participant: &Participant| ParticipantView {
            leg: participant.leg,
            role: participant.role.clone(),
            joined: participant.joined,
            speaking: participant.speaking,
        };
        let ringing = self.invited.iter().flat_map(|invited| {
            let of = |leg: &LegHandle| ParticipantView {
                leg: *leg,
                role: invited.role.clone(),
                joined: false,
                speaking: false,
            };
            invited.forks.iter().map(of)
        });
        HubView {
            settings: self.settings.clone(),
            started: self.started,
            participants: self.participants.iter().map(view).chain(ringing).collect(),
            recording: self.recording.as_ref().map(|name| name.0.to_string()),
        }
    }
}

impl Call {
    /// The hub, if it is one.
    pub fn hub(&self) -> Option<&Hub> {
        match &self.state {
            CallState::Hub(hub) => Some(hub),
            CallState::Alerting { .. } | CallState::Connected { .. } => None,
        }
    }

    pub(crate) fn hub_mut(&mut self) -> Option<&mut Hub> {
        match &mut self.state {
            CallState::Hub(hub) => Some(hub),
            CallState::Alerting { .. } | CallState::Connected { .. } => None,
        }
    }
}

impl Calls {
    /// The hub behind a handle.
    pub fn hub(&self, handle: CallHandle) -> Option<&Hub> {
        self.get(handle).and_then(Call::hub)
    }

    pub(crate) fn hub_mut(&mut self, handle: CallHandle) -> Option<&mut Hub> {
        self.table.get_mut(handle).and_then(Call::hub_mut)
    }

    /// The same, or why there is none.
    pub(crate) fn known_hub(&self, handle: CallHandle) -> Result<&Hub, Refusal> {
        let call = self.get(handle).ok_or_else(|| not_found("call", handle))?;
        call.hub().ok_or_else(|| {
            conflict(format!(
                "{handle} is no hub; POST /v1/calls/{handle}/to-hub makes one of it"
            ))
        })
    }

    /// The hub in which a living leg is a participant.
    pub(crate) fn hub_of(&self, leg: LegHandle) -> Result<CallHandle, Refusal> {
        let found = self.legs.get(leg).filter(|leg| leg.is_alive());
        let owner = found.map(|leg| leg.owner).ok_or_else(|| not_found("leg", leg))?;
        match owner {
            LegOwner::Call(call) if self.hub(call).is_some_and(|hub| hub.participant(leg).is_some()) => Ok(call),
            LegOwner::Call(call) if self.hub(call).is_some() => {
                Err(conflict(format!("{leg} still rings; wait for hub.joined")))
            }
            LegOwner::Call(call) => Err(conflict(format!(
                "{leg} is in {call}, which is no hub; POST /v1/calls/{call}/to-hub makes one of it"
            ))),
            LegOwner::Transfer(transfer) => Err(conflict(format!(
                "{leg} is being moved by {transfer}; wait for its end"
            ))),
            LegOwner::Nobody => Err(conflict(format!("{leg} is in no call"))),
        }
    }

    /// What an observer sees of a hub; its held participants are held legs.
    pub(crate) fn hub_view(&self, hub: &Hub) -> (Vec<crate::vocabulary::LegView>, HubView) {
        let legs = hub.legs().into_iter().filter_map(|leg| {
            let mut view = self.legs.get(leg).map(Leg::view)?;
            view.held = hub.participant(leg).is_some_and(|participant| participant.role.held);
            Some(view)
        });
        (legs.collect(), hub.view())
    }

    fn note(&mut self, note: HubNote) {
        self.legs.events.push_back(Event::Hub(note));
    }
}

pub(crate) fn conflict(why: String) -> Refusal {
    Refusal::Conflict { why }
}

pub(crate) fn not_found(what: &'static str, handle: impl std::fmt::Display) -> Refusal {
    Refusal::NotFound {
        what,
        handle: handle.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A call of two pays nothing for what a hub has: its state is no larger than the forks of a call that rings.
    #[test]
    fn a_pair_is_no_larger_for_hubs() {
        let forks = size_of::<(Vec<LegHandle>, Option<u16>)>();
        assert_eq!(size_of::<CallState>(), forks);
        assert!(size_of::<Hub>() > forks, "a hub is boxed");
    }
}
