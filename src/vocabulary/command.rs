//! Orders and questions from outside, and their answers.

use std::time::Duration;

use super::{
    AudienceHandle, CallHandle, CallView, HoldDirection, HubSettings, LegHandle, NewParty, OnFailure, RegistrationView,
    Role, Totals, TransferHandle, TransferMode, TransferTarget, TransferView,
};
use crate::sip::Uri;

/// Names one [`Command`] until its reply; chosen by the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CommandId(pub u64);

/// An order or a question from outside. Handles are those of [`Event`](super::Event)s and [`CallView`]s.
#[derive(Clone, Debug)]
pub enum Command {
    /// List all calls.
    Calls,
    /// Some calls, and how many there are: where there are thousands, a page of them costs no more than a page.
    FirstCalls {
        /// At most so many.
        limit: usize,
    },
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
        /// The prompt that it hears; `None`: the configured hold music, if there is one.
        music: Option<String>,
    },
    /// Play DTMF to the party of this leg. Its media must pass through the edge.
    Digits {
        /// Who hears it.
        leg: LegHandle,
        /// 1 to 64 of `0`–`9`, `*`, `#`, `A`–`D`.
        digits: String,
    },
    /// Record the party of this leg and what it hears, through holds and transfers, until its end. Once.
    Record {
        /// Whom.
        leg: LegHandle,
    },
    /// End the recording of this leg.
    StopRecording {
        /// Whose.
        leg: LegHandle,
    },
    /// Take the party of this leg back from hold.
    Resume {
        /// The leg of the held party.
        leg: LegHandle,
    },
    /// Call somebody else in the place of a phone that rings, as if it had answered 302: all phones of that party ring no
    /// more. Refused when there is no way to `to`; the phones ring on then.
    Divert {
        /// The leg of a phone that rings.
        leg: LegHandle,
        /// Whom.
        to: Uri,
        /// Further headers of the INVITE: none that SIP itself needs.
        headers: Vec<(String, String)>,
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
    /// Ring `from`, and when it has answered, `to` (RFC 3725).
    Dial {
        /// Rings first.
        from: Uri,
        /// Rings when `from` has answered.
        to: Uri,
        /// How long each may ring; `None`: the configured time.
        ring_timeout: Option<Duration>,
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
        /// Where the customer goes when the target cannot be had; `None`: as configured.
        on_failure: Option<OnFailure>,
    },
    /// Take a transfer back that is not decided yet: everybody is as before.
    CancelTransfer {
        /// Which.
        transfer: TransferHandle,
    },
    /// Open a hub with nobody in it.
    OpenHub {
        /// What holds for all in it.
        settings: HubSettings,
    },
    /// Make a hub of a pair: both go on hearing each other.
    ToHub {
        /// The call.
        call: CallHandle,
        /// What holds for all in it.
        settings: HubSettings,
    },
    /// Make a pair of a hub with two speakers in it.
    ToPair {
        /// The call.
        call: CallHandle,
    },
    /// Call somebody into a hub.
    AddParty {
        /// The hub.
        call: CallHandle,
        /// Who.
        party: Box<NewParty>,
    },
    /// Send 180 to a caller that waits for an application.
    Ring {
        /// Its leg.
        leg: LegHandle,
    },
    /// Answer a caller that waits for an application: it is in a hub of its own from then on.
    Answer {
        /// Its leg.
        leg: LegHandle,
        /// Its place there.
        role: Role,
    },
    /// Refuse a caller that waits for an application.
    Reject {
        /// Its leg.
        leg: LegHandle,
        /// 400 to 699.
        status: u16,
    },
    /// Move a party into a hub, out of whatever call it is in. Who is left behind there stays, in a hub with music.
    Move {
        /// Its leg, confirmed, or that of a caller that waits for an application: it is answered by this.
        leg: LegHandle,
        /// The hub.
        to: CallHandle,
        /// Its place there.
        role: Role,
    },
    /// Give a participant another place in its hub.
    SetRole {
        /// Its leg.
        leg: LegHandle,
        /// The whole of it.
        role: Role,
    },
    /// Play a sound. Its end is [`MediaNote::PromptEnded`](super::MediaNote) to a leg, or [`HubNote::Announced`](super::HubNote).
    Play {
        /// To whom.
        to: AudienceHandle,
        /// A prompt's name, or one that the host has added.
        sound: String,
        /// For ever, or once.
        again: bool,
    },
    /// End what [`Command::Play`] began.
    StopPlaying {
        /// For whom.
        to: AudienceHandle,
    },
    /// Record a hub: all that is said in it, in one file.
    RecordHub {
        /// Which.
        call: CallHandle,
    },
    /// End the recording of a hub.
    StopRecordingHub {
        /// Whose.
        call: CallHandle,
    },
    /// Send a party away by REFER (RFC 3515): it calls somebody else by itself, and the edge drops out.
    Refer {
        /// Whom.
        leg: LegHandle,
        /// Where to.
        to: Uri,
    },
}

/// The answer to a [`Command`] that was carried out.
#[derive(Clone, Debug)]
pub enum Reply {
    /// To [`Command::Calls`].
    Calls(Vec<CallView>),
    /// To [`Command::FirstCalls`].
    FirstCalls {
        /// In the order of their handles.
        calls: Vec<CallView>,
        /// How many there are.
        total: usize,
    },
    /// To [`Command::Call`], and to [`Command::Dial`] as soon as the first party is called.
    Call(CallView),
    /// To [`Command::Transfers`].
    Transfers(Vec<TransferView>),
    /// To [`Command::Transfer`], to [`Command::CancelTransfer`], and to [`Command::StartTransfer`] as soon as it is accepted.
    Transfer(TransferView),
    /// To [`Command::Registrations`].
    Registrations(Vec<RegistrationView>),
    /// To [`Command::Totals`].
    Totals(Totals),
    /// To [`Command::Record`] and [`Command::RecordHub`]: the name of the recording.
    Recording(String),
    /// To [`Command::AddParty`]: the legs that ring, one for each contact. The first to answer joins, the others end.
    Legs(Vec<LegHandle>),
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
