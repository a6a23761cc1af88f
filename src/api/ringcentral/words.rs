//! The vendor's words, spelled as its clients read them.

use serde::Serialize;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $word:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
        pub(super) enum $name {
            $($(#[$word_doc])* #[serde(rename = $text)] $word,)*
        }

        impl $name {
            #[allow(dead_code, reason = "not every list is asked for its words as text")]
            pub(super) fn text(self) -> &'static str {
                match self {
                    $($name::$word => $text,)*
                }
            }
        }
    };
}

words!(
    /// Where a party stands.
    Code {
        /// It is about to be called, or calls.
        Setup = "Setup",
        /// It rings, or hears ringing.
        Proceeding = "Proceeding",
        /// It talks.
        Answered = "Answered",
        /// It has pressed hold.
        Hold = "Hold",
        /// It waits in an orbit.
        Parked = "Parked",
        /// Its leg has ended.
        Disconnected = "Disconnected",
        /// Its place is taken by a party elsewhere, which `peerId` names.
        Gone = "Gone",
    }
);

impl Code {
    /// Whether no event of this party can follow.
    pub(super) fn is_last(self) -> bool {
        match self {
            Code::Disconnected | Code::Gone => true,
            Code::Setup | Code::Proceeding | Code::Answered | Code::Hold | Code::Parked => false,
        }
    }

    /// Whether it has been answered and not ended.
    pub(super) fn talks(self) -> bool {
        match self {
            Code::Answered | Code::Hold => true,
            Code::Setup | Code::Proceeding | Code::Parked | Code::Disconnected | Code::Gone => false,
        }
    }

    /// Whether it is still to be answered.
    pub(super) fn rings(self) -> bool {
        match self {
            Code::Setup | Code::Proceeding => true,
            Code::Answered | Code::Hold | Code::Parked | Code::Disconnected | Code::Gone => false,
        }
    }
}

words!(
    /// Why it stands there. A normal hang-up has no reason.
    Reason {
        /// Somebody else took the call.
        Pickup = "Pickup",
        /// It listens to a call as supervisor.
        Supervising = "Supervising",
        /// It sent the other party on.
        BlindTransfer = "BlindTransfer",
        /// It joined two calls, or was joined.
        AttendedTransfer = "AttendedTransfer",
        /// It went on on another phone.
        CallFlip = "CallFlip",
        /// It put the call into an orbit.
        CallPark = "CallPark",
        /// It refused.
        Rejected = "Rejected",
        /// The caller hung up first.
        Cancelled = "Cancelled",
        /// Something failed on the way.
        InternalError = "InternalError",
        /// Nobody answered in time.
        NoAnswer = "NoAnswer",
        /// 486 or 600.
        TargetBusy = "TargetBusy",
        /// 404, 410, 604.
        InvalidNumber = "InvalidNumber",
        /// It was sent on before it was answered.
        CallRedirected = "CallRedirected",
        /// It was answered with a text.
        CallReplied = "CallReplied",
        /// The connection was lost.
        CallDropped = "CallDropped",
        /// Its call is a conference now. Seen live, though the vendor's list lacks it.
        Conference = "Conference",
    }
);

words!(
    /// Whether a party called or was called.
    Direction {
        /// It was called.
        Inbound = "Inbound",
        /// It called.
        Outbound = "Outbound",
    }
);

words!(
    /// How a session began.
    Origin {
        /// Somebody called.
        Call = "Call",
        /// An API client had the edge call.
        CallOut = "CallOut",
        /// An API client opened a conference.
        Conference = "Conference",
    }
);

words!(
    /// What a party is in a conference.
    ConferenceRole {
        /// Who opened it.
        Host = "Host",
        /// Everybody else.
        Participant = "Participant",
    }
);
