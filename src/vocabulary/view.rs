//! What an observer sees of calls, legs, transfers and bindings.

use std::net::SocketAddr;

use serde::Serialize;

use super::{CallHandle, HubView, LegHandle, TransferFailure, TransferHandle, TransferKind, TransferMode};

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
    /// UDP ports of media endpoints that are taken.
    pub media_ports: usize,
}

/// A call as an observer sees it.
#[derive(Clone, Debug, Serialize)]
pub struct CallView {
    /// Its handle.
    pub id: CallHandle,
    /// `alerting`, `connected`, `held`, `hub` or `ended`.
    pub state: &'static str,
    /// Its legs: the caller's first.
    pub legs: Vec<LegView>,
    /// Who hears whom, when it is a hub.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hub: Option<HubView>,
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
    /// `direct`, or `edge`: its media passes through the edge.
    pub media: &'static str,
    /// How well, as last counted; `None`: not yet, or its media does not pass through the edge.
    pub quality: Option<QualityView>,
}

/// How well a party is heard and hears.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct QualityView {
    /// RTP packets that came from the party and were taken.
    pub received: u64,
    /// RTP packets sent to the party.
    pub sent: u64,
    /// Packets lost on the way to us.
    pub lost: u64,
    /// Packets of strangers, with bad authentication, or repeated.
    pub refused: u64,
    /// Interarrival jitter in milliseconds (RFC 3550 §6.4.1).
    pub jitter_ms: f32,
    /// By the party's receiver reports.
    pub round_trip_ms: Option<f32>,
    /// Estimated mean opinion score, 1.0 to 4.5.
    pub mos: f32,
}

/// A transfer as an observer sees it.
#[derive(Clone, Debug, Serialize)]
pub struct TransferView {
    /// Its handle.
    pub id: TransferHandle,
    /// `blind`, `attended` or `replaced`.
    pub kind: TransferKind,
    /// `native`, `refer` or `pass`.
    pub mode: TransferMode,
    /// `trying`, `joining`, `referring`, `recovering`, `reporting`, `completed`, `failed`.
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
    /// Whether it can be called; `false`: its connection ended with an earlier process, and the phone has not come back.
    pub reachable: bool,
}
