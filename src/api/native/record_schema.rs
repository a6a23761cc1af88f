//! The shapes of call records, for `/openapi.json`; a test compares them with what is sent.

use utoipa::ToSchema;

/// One page of call records.
#[derive(ToSchema)]
pub struct Records {
    /// The newest first.
    pub records: Vec<CallRecord>,
    /// How many match, on all pages.
    pub total: usize,
    /// What `after` takes for the next page; null: this was the last.
    pub next: Option<String>,
}

/// One customer's call, from its first INVITE to the end of its last leg, whoever it was handed to.
#[derive(ToSchema)]
pub struct CallRecord {
    /// Unique also among those of earlier processes.
    #[schema(example = "19a4f0c2b11-1")]
    pub id: String,
    /// Ids of the records that this one has taken in: consults, and calls that were moved here.
    pub joined: Vec<String>,
    /// The caller's address.
    pub from: String,
    /// Whom it called.
    pub to: String,
    /// The first INVITE.
    pub started_at: String,
    /// When two talked, or the edge itself answered.
    pub answered_at: Option<String>,
    /// When the last leg was gone; null: not yet.
    pub ended_at: Option<String>,
    /// Why it ended: a word, or `{"refused": {"status": 486}}`.
    pub cause: Option<serde_json::Value>,
    /// Every address that was involved, in the order in which they were.
    pub parties: Vec<String>,
    /// The calls that it was made of.
    pub calls: Vec<String>,
    /// Its legs, in the order in which they began.
    pub legs: Vec<RecordedLeg>,
    /// Its transfers, in the order in which they were asked for.
    pub transfers: Vec<RecordedTransfer>,
    /// What was recorded.
    pub recordings: Vec<RecordedAudio>,
    /// Legs, transfers and recordings that were too many for one record.
    pub left_out: usize,
}

/// One dialog with one party. `by` makes a tree of them.
#[derive(ToSchema)]
pub struct RecordedLeg {
    /// Its handle while it lived.
    pub leg: String,
    /// The party's address.
    pub party: String,
    /// Of its dialog.
    pub call_id: String,
    /// True: the party called the edge.
    pub inbound: bool,
    /// `called`, `dialled`, `consulted`, `transferred_to`, `forwarded`, `took_over`, `referred` or `moved`.
    #[schema(example = "transferred_to")]
    pub came: String,
    /// The leg because of which it is there.
    pub by: Option<String>,
    /// The transfer by which it came.
    pub transfer: Option<String>,
    /// When it was invited.
    pub started_at: String,
    /// When it first rang.
    pub ringing_at: Option<String>,
    /// When it was answered.
    pub answered_at: Option<String>,
    /// When it was gone.
    pub ended_at: Option<String>,
    /// Why.
    pub cause: Option<serde_json::Value>,
    /// `{"forwarded": {"to": …}}`, `{"transferred": {"transfer": …}}` or `{"moved": {"record": …}}`.
    pub went: Option<serde_json::Value>,
    /// The calls that it was in.
    pub calls: Vec<String>,
}

/// One transfer.
#[derive(ToSchema)]
pub struct RecordedTransfer {
    /// Its handle.
    pub transfer: String,
    /// `blind`, `attended` or `replaced`.
    pub kind: String,
    /// `native`, `refer` or `pass`.
    pub mode: String,
    /// When it was asked for.
    pub requested_at: String,
    /// When it was decided.
    pub ended_at: Option<String>,
    /// Who handed over.
    pub transferor_leg: String,
    /// Its address.
    pub transferor: String,
    /// Who was handed over.
    pub transferee_leg: String,
    /// Its address.
    pub transferee: String,
    /// Where to.
    pub target: String,
    /// The leg that it went to.
    pub target_leg: Option<String>,
    /// `completed`, or `{"failed": {"reason": …, "status": …}}`.
    pub outcome: Option<serde_json::Value>,
    /// The addresses that talk with each other because of it.
    pub after: Vec<String>,
}

/// One recording.
#[derive(ToSchema)]
pub struct RecordedAudio {
    /// Of the file, without its folder and ending.
    pub recording: String,
    /// Of whom; null: of all.
    pub leg: Option<String>,
    /// Of audio; null: not complete yet.
    pub milliseconds: Option<u64>,
}
