//! What a phone tells its owner, and what its owner may ask.

use std::time::Instant;

use bytes::Bytes;

use crate::sip::{Message, Method};

/// Names a call of one phone; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PhoneCall(pub(super) usize);

/// Where a call of a phone stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallState {
    /// We sent INVITE and heard nothing but 100.
    Calling,
    /// We sent INVITE and the other phone rings.
    Early,
    /// They sent INVITE and we have not answered.
    Ringing,
    /// 200 was sent or received.
    Connected,
    /// Over.
    Ended(EndReason),
}

/// Why a call of a phone is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// We sent BYE.
    HungUp,
    /// They sent BYE.
    HungUpByRemote,
    /// The caller cancelled before the answer.
    Cancelled,
    /// The final answer to the INVITE, theirs or ours.
    Refused(u16),
    /// Nothing came back in 64*T1.
    TimedOut,
}

/// Something an owner may want to act on. What is true at the moment is asked from the phone itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PhoneEvent {
    /// The registrar accepted our contact.
    Registered,
    /// The registrar did not.
    RegistrationFailed {
        /// Its final status, 408 where none came.
        status: u16,
    },
    /// Somebody calls.
    Incoming {
        /// The new call.
        call: PhoneCall,
        /// Its From URI.
        from: String,
    },
    /// The phone that we call rings.
    RingingThere {
        /// Our call.
        call: PhoneCall,
    },
    /// 200 was sent or received.
    Connected {
        /// The call.
        call: PhoneCall,
    },
    /// The other side changed the session by re-INVITE (hold, resume, a new description).
    Changed {
        /// The call.
        call: PhoneCall,
    },
    /// Our REFER got its final answer, which says nothing about the outcome.
    ReferAnswered {
        /// The call.
        call: PhoneCall,
        /// 202 or what else came.
        status: u16,
    },
    /// A NOTIFY came.
    Notified {
        /// The call whose REFER it is about.
        call: PhoneCall,
        /// What it says.
        notified: Notified,
    },
    /// The other side asks us to call somebody.
    Referred {
        /// The call.
        call: PhoneCall,
        /// Whom.
        target: String,
    },
    /// An INVITE with Replaces took the place of a call; the old one gets BYE or CANCEL from us.
    Replaced {
        /// The call that goes.
        old: PhoneCall,
        /// The call that came.
        new: PhoneCall,
    },
    /// A request of ours got its final answer: re-INVITE, BYE, OPTIONS and raw requests.
    Answered {
        /// The call it was sent in; `None` outside of dialogs.
        call: Option<PhoneCall>,
        /// The request's method.
        method: Method,
        /// The final status, 408 where none came.
        status: u16,
    },
    /// The call is over.
    Ended {
        /// The call.
        call: PhoneCall,
        /// Why.
        reason: EndReason,
    },
}

/// What one NOTIFY said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notified {
    /// The sipfrag's status; `None` without a readable body.
    pub status: Option<u16>,
    /// Whether Subscription-State says `terminated`.
    pub terminated: bool,
    /// The NOTIFY's `id` parameter of Event.
    pub id: Option<String>,
}

/// One message that a phone sent or received.
#[derive(Clone, Debug)]
pub struct Line {
    /// When.
    pub at: Instant,
    /// Sent by this phone, or received.
    pub sent: bool,
    /// The message in one line, see [`summary`](super::summary).
    pub summary: String,
    /// The message itself.
    pub bytes: Bytes,
}

impl Line {
    /// The message, if it is one.
    pub fn message(&self) -> Option<Message> {
        Message::parse(self.bytes.clone()).ok()
    }
}

/// A command that does not fit the phone's state. Nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{user} cannot {command} call {call}: it is {state}")]
pub struct Misuse {
    pub(super) user: String,
    pub(super) command: &'static str,
    pub(super) call: usize,
    pub(super) state: String,
}
