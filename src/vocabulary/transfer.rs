//! Words about transfers and holds that orders, events and views share.

use serde::Serialize;

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TransferMode {
    /// The edge joins the legs itself.
    #[default]
    Native,
    /// The edge sends REFER (with Replaces) to the transferee and reports what its NOTIFYs say.
    Refer,
    /// `Refer` when the transferee says that it can (Allow: REFER and, for attended, Supported: replaces), else `Native`.
    Auto,
}

/// What triggered a transfer and how its target is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
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
}
