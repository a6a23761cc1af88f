//! A hub: a call in which more than two may talk, and in which not everybody hears everybody.
//!
//! | part | hears | is heard by |
//! |---|---|---|
//! | speaker | all | all |
//! | muted | all | nobody |
//! | monitor | all | nobody, and nobody is told of it |
//! | coach | all | the coached one alone |
//! | any of them, held | music | nobody |

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{CallHandle, Cause, LegHandle};
use crate::sip::Uri;

/// What a participant does in a hub.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "part")]
pub enum Part {
    /// Hears all and is heard by all.
    #[default]
    Speaker,
    /// Hears all and is heard by nobody.
    Muted,
    /// As muted; it neither counts as somebody nor beeps.
    Monitor,
    /// Hears all and is heard by one alone.
    Coach {
        /// By whom. One that leaves leaves its coach to be heard by nobody.
        of: LegHandle,
    },
}

/// What a participant is told of others that come and go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Beep {
    /// Nothing.
    #[default]
    Never,
    /// A tone to all when this one comes.
    OnEnter,
    /// A tone to all when this one leaves.
    OnExit,
    /// Both.
    Always,
}

/// A participant's place in a hub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// Whom it hears and who hears it.
    #[serde(flatten)]
    pub part: Part,
    /// It hears music, or nothing, and nobody hears it.
    pub held: bool,
    /// What it hears while it is held or waits; `None`: the configured hold music.
    pub music: Option<String>,
    /// The hub starts when somebody comes who may start it; who came before waits with music.
    pub starts: bool,
    /// The hub ends when this one leaves.
    pub ends: bool,
    /// Whether its coming and going is heard.
    pub beep: Beep,
    /// The client's own name for it, unique in the hub.
    pub label: Option<String>,
}

impl Default for Role {
    fn default() -> Role {
        Role {
            part: Part::Speaker,
            held: false,
            music: None,
            starts: true,
            ends: false,
            beep: Beep::Never,
            label: None,
        }
    }
}

/// What holds for a whole hub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubSettings {
    /// The client's own name for it.
    pub name: Option<String>,
    /// What those hear who wait for its start, or are alone in it; `None`: the configured hold music.
    pub music: Option<String>,
    /// No more participants than these; monitors count.
    pub most: u16,
    /// Whether it lives on while nobody is in it. One that nobody has ever joined always does, for its first 60 s.
    pub stays: bool,
}

impl Default for HubSettings {
    fn default() -> HubSettings {
        HubSettings {
            name: None,
            music: None,
            most: 250,
            stays: false,
        }
    }
}

/// Somebody whom the edge calls into a hub.
#[derive(Clone, Debug)]
pub struct NewParty {
    /// Whom.
    pub to: Uri,
    /// As whom (From); `None`: as the edge.
    pub from: Option<Uri>,
    /// The name that the party's phone shows.
    pub from_name: Option<String>,
    /// Its place once it has answered.
    pub role: Role,
    /// How long it may ring; `None`: the configured time.
    pub ring_timeout: Option<Duration>,
    /// Further headers of the INVITE: none that SIP itself needs.
    pub headers: Vec<(String, String)>,
    /// The `[[peer]]` by which it is reached, whatever the routes say.
    pub peer: Option<String>,
    /// User and password for a challenge of its side.
    pub credentials: Option<(String, String)>,
}

/// Something about a hub. Serialised with its name under `event`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event")]
pub enum HubNote {
    /// A call is a hub from now on.
    #[serde(rename = "hub.opened")]
    Opened {
        /// The call.
        call: CallHandle,
        /// The client's own name for it.
        name: Option<String>,
    },
    /// A call came for an application: it waits to be answered, rejected or moved.
    #[serde(rename = "hub.arrived")]
    Arrived {
        /// A hub with this caller alone in it.
        call: CallHandle,
        /// The caller's leg, not yet answered.
        leg: LegHandle,
        /// Which, by the configuration.
        application: String,
        /// The caller's address.
        from: String,
        /// Whom it called: the Request-URI.
        to: String,
        /// Headers that SIP itself does not know (`X-…`, `P-…`, `User-to-User`, `Diversion`, `Call-Info`).
        headers: Vec<(String, String)>,
    },
    /// Somebody takes part.
    #[serde(rename = "hub.joined")]
    Joined {
        /// The hub.
        call: CallHandle,
        /// Whose leg.
        leg: LegHandle,
        /// Its place.
        role: Role,
    },
    /// Somebody's place is another one.
    #[serde(rename = "hub.changed")]
    Changed {
        /// The hub.
        call: CallHandle,
        /// Whose leg.
        leg: LegHandle,
        /// Its place.
        role: Role,
    },
    /// Somebody takes part no more; its leg may live on elsewhere.
    #[serde(rename = "hub.left")]
    Left {
        /// The hub.
        call: CallHandle,
        /// Whose leg.
        leg: LegHandle,
        /// Why; `transferred`: it was moved.
        cause: Cause,
    },
    /// Somebody has come who may start it, and two are there.
    #[serde(rename = "hub.started")]
    Started {
        /// The hub.
        call: CallHandle,
    },
    /// Two are left, and talk without the mixer.
    #[serde(rename = "hub.paired")]
    Paired {
        /// The call.
        call: CallHandle,
    },
    /// Somebody speaks, or does no more.
    #[serde(rename = "hub.speaking")]
    Speaking {
        /// The hub.
        call: CallHandle,
        /// Who.
        leg: LegHandle,
        /// Begins or ends.
        on: bool,
    },
    /// An announcement to all is over.
    #[serde(rename = "hub.announced")]
    Announced {
        /// The hub.
        call: CallHandle,
        /// What was played.
        sound: String,
    },
    /// A recording of a hub is complete.
    #[serde(rename = "hub.recorded")]
    Recorded {
        /// The hub.
        call: CallHandle,
        /// Of the file, without its folder and ending.
        recording: String,
        /// Of audio.
        milliseconds: u64,
    },
    /// What a party that was sent a REFER says of it (the status of its NOTIFY, or its refusal).
    #[serde(rename = "hub.referred")]
    Referred {
        /// The call.
        call: CallHandle,
        /// Who was referred.
        leg: LegHandle,
        /// By its NOTIFY, or its refusal of the REFER itself.
        status: u16,
        /// No more will be told.
        last: bool,
    },
}

impl HubNote {
    /// Every name that [`HubNote::name`] can give, in alphabetical order.
    pub const NAMES: [&'static str; 11] = [
        "hub.announced",
        "hub.arrived",
        "hub.changed",
        "hub.joined",
        "hub.left",
        "hub.opened",
        "hub.paired",
        "hub.recorded",
        "hub.referred",
        "hub.speaking",
        "hub.started",
    ];

    /// The name under which it is serialised.
    pub fn name(&self) -> &'static str {
        match self {
            HubNote::Opened { .. } => "hub.opened",
            HubNote::Arrived { .. } => "hub.arrived",
            HubNote::Joined { .. } => "hub.joined",
            HubNote::Changed { .. } => "hub.changed",
            HubNote::Left { .. } => "hub.left",
            HubNote::Started { .. } => "hub.started",
            HubNote::Paired { .. } => "hub.paired",
            HubNote::Speaking { .. } => "hub.speaking",
            HubNote::Announced { .. } => "hub.announced",
            HubNote::Recorded { .. } => "hub.recorded",
            HubNote::Referred { .. } => "hub.referred",
        }
    }

    /// Which call it is about.
    pub fn call(&self) -> CallHandle {
        match self {
            HubNote::Opened { call, .. }
            | HubNote::Arrived { call, .. }
            | HubNote::Joined { call, .. }
            | HubNote::Changed { call, .. }
            | HubNote::Left { call, .. }
            | HubNote::Started { call }
            | HubNote::Paired { call }
            | HubNote::Speaking { call, .. }
            | HubNote::Announced { call, .. }
            | HubNote::Recorded { call, .. }
            | HubNote::Referred { call, .. } => *call,
        }
    }
}

/// A hub as an observer sees it.
#[derive(Clone, Debug, Serialize)]
pub struct HubView {
    /// What holds for all.
    #[serde(flatten)]
    pub settings: HubSettings,
    /// Somebody has come who may start it, and two are there.
    pub started: bool,
    /// In the order in which they came.
    pub participants: Vec<ParticipantView>,
    /// The name of its recording, while it is recorded.
    pub recording: Option<String>,
}

/// A participant as an observer sees it.
#[derive(Clone, Debug, Serialize)]
pub struct ParticipantView {
    /// Its leg.
    pub leg: LegHandle,
    /// Its place.
    #[serde(flatten)]
    pub role: Role,
    /// Whether it has been answered, or answers: until then it only rings.
    pub joined: bool,
    /// Whether it speaks at the moment.
    pub speaking: bool,
}
