//! Roles, and what the mixer is told of them: who hears whom, all of it, whenever it changes.
//!
//! | participant | heard by | hears |
//! |---|---|---|
//! | speaker | all | all; music while it waits for the start, or nobody else is there for it |
//! | muted, monitor | nobody | the same as a speaker; a monitor no music |
//! | coach | the coached one | all |
//! | held, or holding us by its own re-INVITE | nobody | music; one that holds us listens to nothing |

use super::super::Calls;
use super::{Hub, Participant, conflict};
use crate::leg::{Heard, Hears, Leg, Member, PromptName};
use crate::vocabulary::{CallHandle, HubNote, LegHandle, Part, Refusal, Role};

impl Calls {
    /// Whether one more may come.
    pub(crate) fn check_room(&self, handle: CallHandle) -> Result<(), Refusal> {
        let hub = self.known_hub(handle)?;
        let count = hub.participants.len() + hub.invited.len();
        if count >= usize::from(hub.settings.most) {
            return Err(conflict(format!("{handle} is full: {count} are in it or ring for it")));
        }
        Ok(())
    }

    /// Whether somebody may have this role; `of`: who has another one there already.
    pub(crate) fn check_role(&self, handle: CallHandle, role: &Role, of: Option<LegHandle>) -> Result<(), Refusal> {
        let hub = self.known_hub(handle)?;
        if let Some(label) = &role.label {
            let others = hub.participants.iter().filter(|other| Some(other.leg) != of);
            let labels = others.map(|other| &other.role.label);
            let mut labels = labels.chain(hub.invited.iter().map(|invited| &invited.role.label));
            if labels.any(|known| known.as_ref() == Some(label)) {
                return Err(conflict(format!("somebody else is `{label}` in {handle}")));
            }
        }
        match role.part {
            Part::Coach { of: coached } if Some(coached) == of || !hub.legs().contains(&coached) => {
                Err(Refusal::Invalid {
                    field: "of",
                    why: format!("{coached} is nobody else in {handle}"),
                })
            }
            Part::Coach { .. } | Part::Speaker | Part::Muted | Part::Monitor => Ok(()),
        }
    }

    /// Gives a participant another place.
    ///
    /// # Errors
    /// When it is in no hub, or may not have this one.
    pub fn set_role(&mut self, leg: LegHandle, role: Role) -> Result<(), Refusal> {
        let handle = self.hub_of(leg)?;
        self.check_role(handle, &role, Some(leg))?;
        let participant = self.hub_mut(handle).and_then(|hub| hub.participant_mut(leg));
        let Some(participant) = participant.filter(|participant| participant.joined) else {
            return Err(conflict(format!(
                "{leg} is not answered yet; its role comes with POST /v1/legs/{leg}/answer"
            )));
        };
        if participant.role == role {
            return Ok(());
        }
        participant.role = role.clone();
        self.note(HubNote::Changed {
            call: handle,
            leg,
            role,
        });
        self.start_if_due(handle);
        self.remix(handle);
        Ok(())
    }

    /// Holds a participant, or takes it back: by media alone.
    ///
    /// # Errors
    /// When it is in no hub, or is not held.
    pub fn hold_member(&mut self, leg: LegHandle, held: bool, music: Option<String>) -> Result<(), Refusal> {
        let handle = self.hub_of(leg)?;
        let Some(role) = self
            .hub(handle)
            .and_then(|hub| hub.participant(leg))
            .map(|found| &found.role)
        else {
            return Ok(());
        };
        if !held && !role.held {
            return Err(conflict(format!("{leg} is not held")));
        }
        let music = if held {
            music.or_else(|| role.music.clone())
        } else {
            role.music.clone()
        };
        let role = Role {
            held,
            music,
            ..role.clone()
        };
        self.set_role(leg, role)
    }

    /// Tells the mixer who hears whom, if that is not what it was told last.
    pub(crate) fn remix(&mut self, handle: CallHandle) {
        let Some(hub) = self.hub(handle) else { return };
        // Who was talking before it came here waits with music.
        let there = |participant: &&Participant| {
            participant.joined || self.legs.get(participant.leg).is_some_and(Leg::is_confirmed)
        };
        let present = hub.participants.iter().filter(there);
        let members: Vec<_> = present.map(|participant| self.member(hub, participant)).collect();
        if members.is_empty() {
            self.unmix_keeping_record(handle);
            return;
        }
        let Some(hub) = self.hub_mut(handle) else { return };
        if hub.mixed != members {
            hub.mixed.clone_from(&members);
            self.legs.mix(handle, members);
        }
    }

    fn member(&self, hub: &Hub, participant: &Participant) -> Member {
        let role = &participant.role;
        let holding = self.holds_us(participant);
        if !participant.joined {
            return Member {
                leg: participant.leg,
                heard: Heard::ByNobody,
                hears: self.music([None, hub.settings.music.as_deref()]),
            };
        }
        let heard = match role.part {
            Part::Coach { of } if !role.held && !holding && hub.joined().any(|other| other.leg == of) => Heard::By(of),
            Part::Speaker if !role.held && !holding => Heard::ByAll,
            Part::Coach { .. } | Part::Speaker | Part::Muted | Part::Monitor => Heard::ByNobody,
        };
        // A coach is somebody to the one that it coaches, and to nobody else.
        let present = |other: &Participant| match other.role.part {
            Part::Coach { of } => of == participant.leg,
            Part::Speaker | Part::Muted | Part::Monitor => other.is_somebody(),
        };
        let there = |other: &Participant| {
            other.leg != participant.leg && present(other) && !other.role.held && !self.holds_us(other)
        };
        let alone = participant.is_somebody() && !hub.joined().any(there);
        let waits = participant.is_somebody() && !hub.started;
        let hears = if role.held {
            self.music([role.music.as_deref(), None])
        } else if alone || waits {
            self.music([role.music.as_deref(), hub.settings.music.as_deref()])
        } else {
            Hears::All
        };
        Member {
            leg: participant.leg,
            heard,
            hears,
        }
    }

    /// A party that holds by its own re-INVITE sends music of its own, or nothing: as bridges do, it is muted.
    fn holds_us(&self, participant: &Participant) -> bool {
        self.legs.get(participant.leg).is_some_and(|leg| leg.holding)
    }

    /// The first music that is named, else the configured one; an empty name is silence.
    fn music(&self, named: [Option<&str>; 2]) -> Hears {
        let configured = self.legs.hold_music();
        match named.into_iter().flatten().next() {
            Some("") => Hears::Nothing,
            Some(name) => Hears::Music(PromptName(name.into())),
            None => configured.map_or(Hears::Nothing, |name| Hears::Music(name.clone())),
        }
    }

    /// Nobody is in it at the moment, and it stays.
    fn unmix_keeping_record(&mut self, handle: CallHandle) {
        let Some(hub) = self.hub_mut(handle) else { return };
        if !std::mem::take(&mut hub.mixed).is_empty() {
            // The mixer ends a hub without members, and with it its recording.
            hub.recording = None;
            self.legs.mix(handle, Vec::new());
        }
    }
}
