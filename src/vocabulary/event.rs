//! What happened, for observers.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::{CallHandle, HubNote, LegHandle, MediaNote, TransferFailure, TransferHandle, TransferKind, TransferMode};

/// What happened. Serialised with its name under `event`.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event")]
pub enum Event {
    /// A phone registered, or refreshed from another contact.
    #[serde(rename = "registration.added")]
    RegistrationAdded {
        /// Address of record.
        aor: String,
        /// The contact.
        contact: String,
    },
    /// A binding was removed or expired.
    #[serde(rename = "registration.removed")]
    RegistrationRemoved {
        /// Address of record.
        aor: String,
        /// The contact.
        contact: String,
    },
    /// An INVITE was accepted for routing.
    #[serde(rename = "call.started")]
    CallStarted {
        /// The call.
        call: CallHandle,
        /// The caller's leg.
        leg: LegHandle,
        /// From.
        from: String,
        /// The Request-URI.
        to: String,
    },
    /// Both legs are confirmed and have each other's description.
    #[serde(rename = "call.connected")]
    CallConnected {
        /// The call.
        call: CallHandle,
        /// Its legs.
        legs: Vec<LegHandle>,
    },
    /// A party was put on hold.
    #[serde(rename = "call.held")]
    CallHeld {
        /// The call.
        call: CallHandle,
        /// The leg of the party that is held.
        leg: LegHandle,
    },
    /// A party was taken back from hold.
    #[serde(rename = "call.resumed")]
    CallResumed {
        /// The call.
        call: CallHandle,
        /// The leg of the party that was held.
        leg: LegHandle,
    },
    /// A phone sends the call on to somebody else (RFC 5359 §2.7).
    #[serde(rename = "call.forwarded")]
    CallForwarded {
        /// The call.
        call: CallHandle,
        /// The leg of the phone.
        leg: LegHandle,
        /// Where to.
        to: String,
    },
    /// The edge was restarted, and the call goes on. What began before is told once more by the new process, just before
    /// this: `leg.started`, `leg.confirmed`, `call.started`, `call.connected`.
    #[serde(rename = "call.restored")]
    CallRestored {
        /// The call, under the handle that it had.
        call: CallHandle,
        /// Its legs, under the handles that they had.
        legs: Vec<LegHandle>,
    },
    /// The call has ended.
    #[serde(rename = "call.ended")]
    CallEnded {
        /// The call.
        call: CallHandle,
        /// Why.
        cause: Cause,
    },
    /// A leg was created.
    #[serde(rename = "leg.started")]
    LegStarted {
        /// The leg.
        leg: LegHandle,
        /// Its call.
        call: Option<CallHandle>,
        /// The transfer that dials it.
        transfer: Option<TransferHandle>,
        /// True: the party called the edge. False: the edge calls the party.
        inbound: bool,
        /// The party.
        party: String,
        /// The dialog's Call-ID.
        call_id: String,
    },
    /// The party's phone rings.
    #[serde(rename = "leg.ringing")]
    LegRinging {
        /// The leg.
        leg: LegHandle,
        /// The provisional status.
        status: u16,
    },
    /// The dialog is confirmed.
    #[serde(rename = "leg.confirmed")]
    LegConfirmed {
        /// The leg.
        leg: LegHandle,
        /// The dialog's tag of who sent the INVITE.
        from_tag: String,
        /// The tag of who answered it.
        to_tag: String,
    },
    /// The dialog has ended.
    #[serde(rename = "leg.ended")]
    LegEnded {
        /// The leg.
        leg: LegHandle,
        /// Why.
        cause: Cause,
    },
    /// Somebody asked for a transfer, and it was accepted.
    #[serde(rename = "transfer.requested")]
    TransferRequested {
        /// The transfer.
        transfer: TransferHandle,
        /// What it is.
        kind: TransferKind,
        /// The mode that was chosen.
        mode: TransferMode,
        /// The operator's leg.
        transferor: LegHandle,
        /// The customer's leg.
        transferee: LegHandle,
        /// The consult's address.
        target: String,
        /// The consult's leg, if there is one already: attended, or the newcomer with its Replaces.
        target_leg: Option<LegHandle>,
    },
    /// The target rings, or a step was reached; the rule that fired is named.
    #[serde(rename = "transfer.progress")]
    TransferProgress {
        /// The transfer.
        transfer: TransferHandle,
        /// The state that was entered.
        state: &'static str,
        /// The SIP status that caused it, if one did.
        status: Option<u16>,
        /// Section and rule.
        rule: &'static str,
    },
    /// Customer and consult talk. Terminal.
    #[serde(rename = "transfer.completed")]
    TransferCompleted {
        /// The transfer.
        transfer: TransferHandle,
        /// The customer's leg.
        transferee: LegHandle,
        /// The consult's leg; `None` in mode `refer`, where the parties have a dialog of their own.
        target: Option<LegHandle>,
        /// The call in which they now talk.
        call: Option<CallHandle>,
    },
    /// It did not happen. Terminal.
    #[serde(rename = "transfer.failed")]
    TransferFailed {
        /// The transfer.
        transfer: TransferHandle,
        /// Why.
        reason: TransferFailure,
        /// The SIP status that says so.
        status: Option<u16>,
    },
    /// A message was refused: malformed, forged, unauthorised, over a limit.
    #[serde(rename = "message.refused")]
    MessageRefused {
        /// Where it came from.
        source: SocketAddr,
        /// The answer; `None`: dropped in silence.
        status: Option<u16>,
        /// What was wrong.
        why: String,
    },
    /// A notification to an application was given up: its webhook was not reached, or refused it.
    #[serde(rename = "webhook.failed")]
    WebhookFailed {
        /// Scheme, host and port: what follows may be secret.
        to: String,
        /// In words.
        why: String,
        /// How often it was sent.
        tries: u32,
    },
    /// A source asks for more than it may: what it sends outside of dialogs is dropped in silence. Told once, and again
    /// when it was calm in between.
    #[serde(rename = "source.limited")]
    SourceLimited {
        /// The address, or any of its IPv6 /64.
        source: IpAddr,
    },
    /// A source showed too many wrong passwords: what it sends outside of dialogs is dropped in silence for a while.
    #[serde(rename = "source.banned")]
    SourceBanned {
        /// The address, or any of its IPv6 /64.
        source: IpAddr,
        /// For how long.
        seconds: u64,
    },
    /// Something about media that passes through the edge.
    #[serde(untagged)]
    Media(MediaNote),
    /// Something about a hub.
    #[serde(untagged)]
    Hub(HubNote),
}

/// Why a leg or a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The party of the leg hung up or cancelled.
    Party,
    /// The other party hung up.
    OtherParty,
    /// The target refused the call with this kind of answer.
    Refused {
        /// The final status.
        status: u16,
    },
    /// Nobody answered in time.
    NoAnswer,
    /// The party left because it was transferred, or its place was taken.
    Transferred,
    /// An API client ended it.
    Command,
    /// Messages to the party are lost or unanswered (408, 481, transport errors).
    Lost,
}
