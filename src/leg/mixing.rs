//! What a hub orders of the packet half. The layers above know legs and handles only, and speak of the mixer in these words.

use super::{CallHandle, Legs};
use crate::media::MediaCommand;
use crate::vocabulary::AudienceHandle;

pub use crate::media::{Heard, Hears, Member, PromptName, RecordingName};

impl Legs {
    /// Who hears whom in a hub from now on; nobody: it ends.
    pub fn mix(&mut self, call: CallHandle, members: Vec<Member>) {
        self.endpoints.commands.push_back(MediaCommand::Mix { call, members });
    }

    /// Plays a prompt, once or for ever.
    pub fn announce(&mut self, to: AudienceHandle, name: &str, again: bool) {
        let name = PromptName(name.into());
        self.endpoints
            .commands
            .push_back(MediaCommand::Announce { to, name, again });
    }

    /// Ends what [`Legs::announce`] began.
    pub fn stop_announcing(&mut self, to: AudienceHandle) {
        self.endpoints.commands.push_back(MediaCommand::StopAnnouncing { to });
    }

    /// Records a hub; the name of the recording.
    pub fn record_hub(&mut self, call: CallHandle) -> RecordingName {
        let name = RecordingName(self.fresh_token());
        let order = MediaCommand::RecordHub {
            call,
            name: name.clone(),
        };
        self.endpoints.commands.push_back(order);
        name
    }

    /// Ends the recording of a hub.
    pub fn stop_recording_hub(&mut self, call: CallHandle) {
        self.endpoints
            .commands
            .push_back(MediaCommand::StopRecordingHub { call });
    }

    /// What a held party hears where nobody says: by the configuration.
    pub fn hold_music(&self) -> Option<&PromptName> {
        self.endpoints.settings.hold_music.as_ref()
    }
}
