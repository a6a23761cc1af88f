//! What happened to media, for observers.

use serde::Serialize;

use super::LegHandle;

/// Something about the media of a leg that passes through the edge. Serialised with its name under `event`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event")]
pub enum MediaNote {
    /// The party's first packet arrived, after ICE and DTLS where there are any.
    #[serde(rename = "media.flowing")]
    Flowing {
        /// Whose.
        leg: LegHandle,
    },
    /// Nothing comes from the party although it may send.
    #[serde(rename = "media.silent")]
    Silent {
        /// Whose.
        leg: LegHandle,
        /// For how long, in seconds.
        seconds: u32,
    },
    /// Audio goes one way only.
    #[serde(rename = "media.one_way")]
    OneWay {
        /// Whose.
        leg: LegHandle,
        /// True: the party is not heard. False: nothing is there for the party.
        unheard: bool,
    },
    /// The party pressed a key.
    #[serde(rename = "media.digit")]
    Digit {
        /// Who.
        leg: LegHandle,
        /// `0`–`9`, `*`, `#`, `A`–`D`.
        digit: char,
        /// How long, in milliseconds.
        milliseconds: u32,
    },
    /// A prompt that plays once is over.
    #[serde(rename = "media.prompt_ended")]
    PromptEnded {
        /// Who heard it.
        leg: LegHandle,
        /// Which.
        prompt: String,
    },
    /// A prompt or the hold music cannot be played; silence is sent instead.
    #[serde(rename = "media.prompt_missing")]
    PromptMissing {
        /// Who would have heard it.
        leg: LegHandle,
        /// Which.
        prompt: String,
    },
    /// The party is recorded from now on.
    #[serde(rename = "media.recording_started")]
    RecordingStarted {
        /// Whose.
        leg: LegHandle,
        /// Of the file, without its folder and ending.
        recording: String,
    },
    /// A recording is complete.
    #[serde(rename = "media.recording_finished")]
    RecordingFinished {
        /// Whose.
        leg: LegHandle,
        /// Of the file, without its folder and ending.
        recording: String,
        /// Of audio.
        milliseconds: u64,
    },
    /// The leg's media cannot work.
    #[serde(rename = "media.failed")]
    Failed {
        /// Whose.
        leg: LegHandle,
        /// In words.
        why: String,
    },
    /// Alarm: no port was left for a leg; its call or transfer was refused with 503, or it goes without hold music.
    #[serde(rename = "media.no_port")]
    NoPort {
        /// Whose.
        leg: LegHandle,
        /// How many are taken.
        taken: usize,
    },
}

impl MediaNote {
    /// Every name that [`MediaNote::name`] can give, in alphabetical order.
    pub const NAMES: [&'static str; 10] = [
        "media.digit",
        "media.failed",
        "media.flowing",
        "media.no_port",
        "media.one_way",
        "media.prompt_ended",
        "media.prompt_missing",
        "media.recording_finished",
        "media.recording_started",
        "media.silent",
    ];

    /// The name under which it is serialised.
    pub fn name(&self) -> &'static str {
        match self {
            MediaNote::Flowing { .. } => "media.flowing",
            MediaNote::Silent { .. } => "media.silent",
            MediaNote::OneWay { .. } => "media.one_way",
            MediaNote::Digit { .. } => "media.digit",
            MediaNote::PromptEnded { .. } => "media.prompt_ended",
            MediaNote::PromptMissing { .. } => "media.prompt_missing",
            MediaNote::RecordingStarted { .. } => "media.recording_started",
            MediaNote::RecordingFinished { .. } => "media.recording_finished",
            MediaNote::Failed { .. } => "media.failed",
            MediaNote::NoPort { .. } => "media.no_port",
        }
    }

    /// Whose media it is about.
    pub fn leg(&self) -> LegHandle {
        match self {
            MediaNote::Flowing { leg }
            | MediaNote::Silent { leg, .. }
            | MediaNote::OneWay { leg, .. }
            | MediaNote::Digit { leg, .. }
            | MediaNote::PromptEnded { leg, .. }
            | MediaNote::PromptMissing { leg, .. }
            | MediaNote::RecordingStarted { leg, .. }
            | MediaNote::RecordingFinished { leg, .. }
            | MediaNote::Failed { leg, .. }
            | MediaNote::NoPort { leg, .. } => *leg,
        }
    }
}
