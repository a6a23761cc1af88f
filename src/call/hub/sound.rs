//! Sounds into a hub or to one party, and the recording of a hub.

use super::super::Calls;
use super::{conflict, not_found};
use crate::leg::{Leg, RecordingName};
use crate::vocabulary::{AudienceHandle, CallHandle, LegHandle, Refusal};

/// The tone of comings and goings.
pub const BEEP: &str = "builtin:beep";

impl Calls {
    pub(super) fn beep(&mut self, handle: CallHandle) {
        if self.hub(handle).is_some_and(|hub| hub.started) {
            self.legs.announce(AudienceHandle::Hub(handle), BEEP, false);
        }
    }

    /// Whether somebody can hear a sound there.
    fn check_audience(&self, to: AudienceHandle) -> Result<(), Refusal> {
        match to {
            AudienceHandle::Hub(call) => self.known_hub(call).map(drop),
            AudienceHandle::Leg(leg) => {
                let found = self.legs.get(leg).filter(|leg| leg.is_alive());
                match found.ok_or_else(|| not_found("leg", leg))? {
                    leg if leg.is_confirmed() && leg.is_anchored() => Ok(()),
                    Leg { handle, .. } => Err(conflict(format!(
                        "the media of {handle} does not pass through the edge; it does in a hub, once the leg is answered"
                    ))),
                }
            }
        }
    }

    /// Plays a sound.
    ///
    /// # Errors
    /// When nobody can hear it there.
    pub fn play(&mut self, to: AudienceHandle, sound: &str, again: bool) -> Result<(), Refusal> {
        self.check_audience(to)?;
        let good = !sound.is_empty() && sound.len() <= 200 && !sound.chars().any(char::is_control);
        if !good {
            return Err(Refusal::Invalid {
                field: "sound",
                why: "the name of a prompt has 1 to 200 characters".to_owned(),
            });
        }
        self.legs.announce(to, sound, again);
        Ok(())
    }

    /// Ends what [`Calls::play`] began.
    ///
    /// # Errors
    /// When there is no such audience.
    pub fn stop_playing(&mut self, to: AudienceHandle) -> Result<(), Refusal> {
        self.check_audience(to)?;
        self.legs.stop_announcing(to);
        Ok(())
    }

    /// Records a hub from now on; one that is recorded already keeps its recording.
    ///
    /// # Errors
    /// When there is no such hub, or nobody in it.
    pub fn record_hub(&mut self, handle: CallHandle) -> Result<RecordingName, Refusal> {
        let hub = self.known_hub(handle)?;
        if let Some(name) = &hub.recording {
            return Ok(name.clone());
        }
        if hub.mixed.is_empty() {
            return Err(conflict(format!("nobody is in {handle}")));
        }
        let name = self.legs.record_hub(handle);
        if let Some(hub) = self.hub_mut(handle) {
            hub.recording = Some(name.clone());
        }
        Ok(name)
    }

    /// Ends the recording of a hub.
    ///
    /// # Errors
    /// When it is not recorded.
    pub fn stop_recording_hub(&mut self, handle: CallHandle) -> Result<(), Refusal> {
        self.known_hub(handle)?;
        let taken = self.hub_mut(handle).and_then(|hub| hub.recording.take());
        taken.ok_or_else(|| conflict(format!("{handle} is not recorded")))?;
        self.legs.stop_recording_hub(handle);
        Ok(())
    }

    /// What the mixer says of a participant, for whoever looks.
    pub fn note_speaking(&mut self, handle: CallHandle, leg: LegHandle, on: bool) {
        if let Some(participant) = self.hub_mut(handle).and_then(|hub| hub.participant_mut(leg)) {
            participant.speaking = on;
        }
    }
}
