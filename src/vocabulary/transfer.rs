//! Words about transfers and holds that orders, events and views share.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::LegHandle;
use crate::sip::Uri;

/// How a held party is told (RFC 3264 §8.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HoldDirection {
    /// The party keeps listening: music or silence (RFC 5359 §2.1).
    #[default]
    SendOnly,
    /// No media either way.
    Inactive,
}

/// Who a transfer goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransferTarget {
    /// Dial this (blind).
    Uri(Uri),
    /// Join the party that talks with this leg of the transferor (attended).
    Leg(LegHandle),
}

/// Who performs a transfer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TransferMode {
    /// The edge joins the legs itself.
    #[default]
    Native,
    /// The edge sends REFER (with Replaces) to the transferee and reports what its NOTIFYs say.
    Refer,
    /// The transferor's REFER goes end to end to the transferee, who accepts or refuses it; what it says comes back.
    Pass,
    /// `Refer` when the transferee says that it can (Allow: REFER and, for attended, Supported: replaces), else `Native`.
    Auto,
}

/// What triggered a transfer and how its target is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TransferKind {
    /// The target is dialled (RFC 5589 §6).
    Blind,
    /// The target already talks with the transferor (RFC 5589 §7).
    Attended,
    /// A party took over a dialog with INVITE and Replaces (RFC 3891).
    Replaced,
}

/// Why a transfer failed; the original call is intact unless its party has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransferFailure {
    /// 486 or 600.
    TargetBusy,
    /// 408, 480, or the ring timeout.
    TargetNoAnswer,
    /// 603, 403 and other refusals.
    TargetRefused,
    /// 404, 410, 604, transport errors.
    TargetUnreachable,
    /// The customer hung up.
    TransfereeGone,
    /// The consult hung up before the join held.
    TargetGone,
    /// A side refused the join's offer.
    JoinRefused,
    /// In mode `refer`: the transferee refused the REFER or its subscription ended without an outcome.
    ReferRefused,
    /// In mode `refer`: no final NOTIFY came in time.
    NoOutcome,
    /// An API client took it back.
    Cancelled,
    /// It took longer than any transfer may.
    TimedOut,
    /// The edge was restarted before it was decided.
    Interrupted,
}

/// Where the transferee goes when the target cannot be had.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// Back to the transferor; released if that one has gone.
    #[default]
    Transferor,
    /// To the first of these that answers; then as [`OnFailure::Transferor`].
    Next(Vec<Uri>),
    /// Nowhere: the transferee is released, and so is the transferor.
    HangUp,
    /// Step by step, until one takes it; after the last as [`OnFailure::Transferor`].
    Ladder(Vec<Rung>),
}

/// A step of [`OnFailure::Ladder`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rung {
    /// Somebody is rung.
    Target {
        /// Whom.
        uri: Uri,
        /// How long; `None`: as the first target.
        ring_timeout: Option<Duration>,
    },
    /// An application is offered the transferee: a queue, a bot. It takes it by answering or moving it; it does not by
    /// rejecting it, or by doing nothing for as long as a target may ring.
    Application(String),
    /// Back to the transferor, if it is still there.
    Transferor,
    /// The end of both.
    HangUp,
}

/// With what a REFER is accepted. RFC 7647 §5 says 200, the field expects 202.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReferAnswer {
    /// 200 to a party whose Contact is a GRUU (it knows RFC 7647), 202 to all others.
    #[default]
    Auto,
    /// Always 200.
    Ok,
    /// Always 202.
    Accepted,
}

/// A refusal by policy: what the party that asked is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The SIP status.
    pub status: u16,
    /// Its reason phrase.
    pub reason: String,
}

impl Denied {
    /// A refusal with this status and these words.
    pub fn new(status: u16, reason: impl Into<String>) -> Denied {
        Denied {
            status,
            reason: reason.into(),
        }
    }
}
