//! What goes into the engine and what comes out of it.
//!
//! Everything that waits is outside: the driver turns bytes and API calls into an [`Input`], and performs each
//! [`Output`]. One [`Command`] and [`Event`] vocabulary serves the HTTP API, the command line, the tests and an
//! embedding host alike; the dialects under `api/` only translate it.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use crate::leg::{CallHandle, LegHandle, TransferHandle};
use crate::sip::Uri;
use crate::transport::Flow;

/// Names one [`Command`] until its [`Output::Reply`]; chosen by the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CommandId(pub u64);

/// What the outside tells the engine.
#[derive(Debug)]
pub enum Input {
    /// One whole message: a datagram, or what [`crate::transport::StreamFramer`] cut from a stream.
    Received {
        /// Where it came from.
        flow: Flow,
        /// The message.
        bytes: Bytes,
    },
    /// The flow can carry no more messages: a connection closed, could not be opened, or a send failed.
    FlowFailed {
        /// The flow, as it was given in [`Output::Transmit`] or [`Input::Received`].
        flow: Flow,
    },
    /// An order from an API client; answered by exactly one [`Output::Reply`] with the same id.
    Command {
        /// Echoed in the reply.
        id: CommandId,
        /// The order.
        command: Command,
    },
}

/// What the engine asks the outside to do.
#[derive(Debug)]
pub enum Output {
    /// Send this message. A stream flow with connection 0 means: any connection to that remote address, opened if there is none.
    Transmit {
        /// Where to.
        flow: Flow,
        /// One whole message.
        bytes: Bytes,
    },
    /// Something happened that an observer may want to know.
    Event(Event),
    /// The answer to a command.
    Reply {
        /// The command's id.
        id: CommandId,
        /// What came of it.
        reply: Result<Reply, Refusal>,
    },
}

/// An order or a question from outside. Handles are those of [`Event`]s and [`CallView`]s.
#[derive(Clone, Debug)]
pub enum Command {
    /// List all calls.
    Calls,
    /// Show one call.
    Call {
        /// Which.
        call: CallHandle,
    },
    /// List all transfers that are still running, and the last ones that ended.
    Transfers,
    /// Show one transfer.
    Transfer {
        /// Which.
        transfer: TransferHandle,
    },
    /// List all bindings of the registrar.
    Registrations,
    /// Count what lives in the engine.
    Totals,
    /// Put the party of this leg on hold by re-INVITE (RFC 5359 §2.1). Answered when the party has agreed.
    Hold {
        /// The leg of the party to be held.
        leg: LegHandle,
        /// `sendonly` or `inactive`.
        direction: HoldDirection,
    },
    /// Take the party of this leg back from hold.
    Resume {
        /// The leg of the held party.
        leg: LegHandle,
    },
    /// End one leg, and with it its call.
    HangUpLeg {
        /// The leg.
        leg: LegHandle,
    },
    /// End a call: all its legs are released.
    HangUpCall {
        /// The call.
        call: CallHandle,
    },
    /// Transfer the party that talks with `transferor` to `target`.
    StartTransfer {
        /// The leg of the operator who leaves.
        transferor: LegHandle,
        /// Who comes instead.
        target: TransferTarget,
        /// How; `None`: the transferee's peer profile decides.
        mode: Option<TransferMode>,
        /// How long the target may ring; `None`: the configured time.
        ring_timeout: Option<Duration>,
    },
}

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

/// The answer to a [`Command`] that was carried out.
#[derive(Clone, Debug)]
pub enum Reply {
    /// To [`Command::Calls`].
    Calls(Vec<CallView>),
    /// To [`Command::Call`].
    Call(CallView),
    /// To [`Command::Transfers`].
    Transfers(Vec<TransferView>),
    /// To [`Command::Transfer`], and to [`Command::StartTransfer`] as soon as it is accepted.
    Transfer(TransferView),
    /// To [`Command::Registrations`].
    Registrations(Vec<RegistrationView>),
    /// To [`Command::Totals`].
    Totals(Totals),
    /// Done.
    Done,
}

/// Why a command was not carried out. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such call, leg or transfer, or it has ended.
    #[error("{what} {handle} does not exist or has ended")]
    NotFound {
        /// `call`, `leg` or `transfer`.
        what: &'static str,
        /// As it was given.
        handle: String,
    },
    /// The object exists, but its state does not allow this.
    #[error("{why}")]
    Conflict {
        /// What stands against it, and what to do.
        why: String,
    },
    /// The party answered with a SIP error.
    #[error("the party answered {status}")]
    Party {
        /// Its final status.
        status: u16,
    },
    /// A value is not acceptable; `field` names it as the API does.
    #[error("{field}: {why}")]
    Invalid {
        /// The API's field.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

/// What lives in the engine at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Legs, early or confirmed.
    pub dialogs: usize,
    /// Client and server transactions.
    pub transactions: usize,
    /// Calls.
    pub calls: usize,
    /// Transfers without a terminal event.
    pub transfers: usize,
    /// Bindings in the registrar.
    pub registrations: usize,
}

/// A call as an observer sees it.
#[derive(Clone, Debug, Serialize)]
pub struct CallView {
    /// Its handle.
    pub id: CallHandle,
    /// `alerting`, `connected`, `held` or `ended`.
    pub state: &'static str,
    /// Its legs: the caller's first.
    pub legs: Vec<LegView>,
}

/// A leg as an observer sees it.
#[derive(Clone, Debug, Serialize)]
pub struct LegView {
    /// Its handle.
    pub id: LegHandle,
    /// The party's address of record, as its From or To says it.
    pub party: String,
    /// `calling`, `early`, `confirmed`, `releasing` or `ended`.
    pub state: &'static str,
    /// Whether the edge holds this party (by API, or because the other side asked for it).
    pub held: bool,
    /// Whether this party holds the other side.
    pub holding: bool,
    /// The dialog's Call-ID.
    pub call_id: String,
    /// The session description that the party last sent, as text.
    pub description: Option<String>,
    /// The session description that the party was last sent.
    pub sent_description: Option<String>,
    /// Where its messages come from and go to.
    pub address: SocketAddr,
}

/// A transfer as an observer sees it.
#[derive(Clone, Debug, Serialize)]
pub struct TransferView {
    /// Its handle.
    pub id: TransferHandle,
    /// `blind`, `attended` or `replaced`.
    pub kind: TransferKind,
    /// `native` or `refer`.
    pub mode: TransferMode,
    /// `trying`, `joining`, `reporting`, `completed`, `failed`.
    pub state: &'static str,
    /// The operator's leg.
    pub transferor: LegHandle,
    /// The customer's leg.
    pub transferee: LegHandle,
    /// The consult's leg, once there is one.
    pub target_leg: Option<LegHandle>,
    /// The consult's address.
    pub target: String,
    /// Why it failed.
    pub reason: Option<TransferFailure>,
    /// The SIP status that says so.
    pub status: Option<u16>,
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

/// A binding as an observer sees it.
#[derive(Clone, Debug, Serialize)]
pub struct RegistrationView {
    /// Address of record.
    pub aor: String,
    /// The contact as registered.
    pub contact: String,
    /// Seconds until it expires.
    pub expires_s: u64,
    /// Where its messages come from.
    pub address: SocketAddr,
    /// `local` (kept here) or `through` (kept by the PBX).
    pub kept: &'static str,
}

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
}

/// Why a leg or a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
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
