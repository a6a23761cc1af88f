//! Somebody's place in a conference.

use std::time::SystemTime;

use serde_json::{Value, json};
use tokio::task::AbortHandle;

use super::call::{Call, Status};
use super::date::rfc2822;
use super::sid::Sid;
use super::twiml::Wait;

/// Why somebody takes part no more, as callbacks say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    EndedByApi,
    EndedByModerator,
    UpdatedByApi,
    HungUp,
    AddFailed,
}

impl Left {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Left::EndedByApi => "conference_ended_via_api",
            Left::EndedByModerator => "moderator_ended_conference",
            Left::UpdatedByApi => "participant_updated_via_api",
            Left::HungUp => "participant_hung_up",
            Left::AddFailed => "participant_add_failed",
        }
    }
}

/// One participant.
#[derive(Debug)]
pub(super) struct Participant {
    pub(super) call: Sid,
    pub(super) label: Option<String>,
    pub(super) muted: bool,
    pub(super) hold: bool,
    pub(super) coaching: bool,
    pub(super) coach: Option<Sid>,
    pub(super) starts: bool,
    pub(super) ends: bool,
    /// When it comes, when it leaves.
    pub(super) beep: (bool, bool),
    pub(super) wait: Wait,
    /// What it hears while it is held or waits; `None`: the edge's hold music.
    pub(super) music: Option<String>,
    /// Plays a document to it while it waits or is held.
    pub(super) player: Option<AbortHandle>,
    /// It is in the hub.
    pub(super) joined: bool,
    /// It is being sent away.
    pub(super) leaving: Option<Left>,
    pub(super) created: SystemTime,
    pub(super) updated: SystemTime,
}

impl Participant {
    pub(super) fn new(call: Sid, now: SystemTime) -> Participant {
        Participant {
            call,
            label: None,
            muted: false,
            hold: false,
            coaching: false,
            coach: None,
            starts: true,
            ends: false,
            beep: (true, true),
            wait: Wait::Music,
            music: None,
            player: None,
            joined: false,
            leaving: None,
            created: now,
            updated: now,
        }
    }

    pub(super) fn stop_player(&mut self) -> bool {
        let player = self.player.take();
        player.inspect(AbortHandle::abort).is_some()
    }

    /// As the API shows it.
    pub(super) fn json(&self, account: &str, conference: &Sid, call: Option<&Call>) -> Value {
        let status = match call.map_or(Status::Failed, |call| call.status) {
            _ if self.joined => "connected",
            Status::Queued => "queued",
            Status::Ringing => "ringing",
            Status::InProgress => "connecting",
            Status::Completed => "complete",
            Status::Busy | Status::Failed | Status::NoAnswer | Status::Canceled => "failed",
        };
        json!({
            "account_sid": account, "call_sid": self.call, "label": self.label, "conference_sid": conference,
            "call_sid_to_coach": self.coach, "coaching": self.coaching, "muted": self.muted, "hold": self.hold,
            "date_created": rfc2822(self.created), "date_updated": rfc2822(self.updated),
            "start_conference_on_enter": self.starts, "end_conference_on_exit": self.ends, "status": status,
            "queue_time": call.map_or(0, |call| call.queue_seconds * 1_000).to_string(),
            "uri": format!("/2010-04-01/Accounts/{account}/Conferences/{conference}/Participants/{}.json", self.call),
        })
    }

    /// What callbacks tell of it.
    pub(super) fn parameters(&self) -> Vec<(&'static str, String)> {
        let mut told = vec![
            ("CallSid", self.call.to_string()),
            ("Muted", self.muted.to_string()),
            ("Hold", self.hold.to_string()),
            ("Coaching", self.coaching.to_string()),
            ("EndConferenceOnExit", self.ends.to_string()),
            ("StartConferenceOnEnter", self.starts.to_string()),
        ];
        told.extend(self.label.iter().map(|label| ("ParticipantLabel", label.clone())));
        told.extend(self.coach.iter().map(|coach| ("CallSidToCoach", coach.to_string())));
        told
    }
}
