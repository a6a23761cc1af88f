//! The words that every room above the dialog layer shares: handles, orders, events, views.
//!
//! Owns no behaviour. It lies below `leg` so that a leg, a call and a transfer can say what happened in the words in
//! which the API will tell it; `engine` re-exports all of it, and embedding hosts import it from there.

mod command;
mod event;
mod handle;
mod hub;
mod media;
mod record;
mod slots;
mod time;
mod transfer;
mod view;

pub use command::{Command, CommandId, Refusal, Reply};
pub use event::{Cause, Event};
pub use handle::{AudienceHandle, BadHandle, CallHandle, LegHandle, LegOwner, TransferHandle};
pub use hub::{Beep, HubNote, HubSettings, HubView, NewParty, Part, ParticipantView, Role};
pub use media::MediaNote;
pub use record::RecordQuery;
pub use slots::{Handle, Slots};
pub use time::{BadMoment, Moment};
pub use transfer::{
    Denied, HoldDirection, OnFailure, ReferAnswer, Rung, TransferFailure, TransferKind, TransferMode, TransferTarget,
};
pub use view::{CallView, LegView, QualityView, RegistrationView, Totals, TransferView};
