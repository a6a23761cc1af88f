//! The shapes of what is sent, for `/openapi.json`. What is sent itself are the engine's views; a test compares both.

use utoipa::ToSchema;

/// All calls.
#[derive(ToSchema)]
pub struct Calls {
    /// In the order of their handles.
    pub calls: Vec<Call>,
    /// How many there are, however many were asked for.
    pub total: usize,
}

/// A call: the legs that talk together.
#[derive(ToSchema)]
pub struct Call {
    /// Its handle.
    #[schema(example = "call-1f-2")]
    pub id: String,
    /// `alerting`, `connected`, `held`, `hub` or `ended`.
    #[schema(example = "connected")]
    pub state: String,
    /// Its legs: the caller's first.
    pub legs: Vec<Leg>,
    /// Who hears whom, when it is a hub.
    pub hub: Option<Hub>,
}

/// Who is in a hub.
#[derive(ToSchema)]
pub struct Hub {
    /// The client's own name for it.
    pub name: Option<String>,
    /// What those hear who wait or are alone; null: the configured hold music.
    pub music: Option<String>,
    /// No more participants than these.
    pub most: u16,
    /// Whether it lives on while nobody is in it.
    pub stays: bool,
    /// Somebody has come who may start it, and two are there.
    pub started: bool,
    /// In the order in which they came; who still rings at the end.
    pub participants: Vec<Participant>,
    /// The name of its recording, while it is recorded.
    pub recording: Option<String>,
}

/// A participant of a hub.
#[derive(ToSchema)]
pub struct Participant {
    /// Its leg.
    #[schema(example = "leg-3-0")]
    pub leg: String,
    /// `speaker`, `muted`, `monitor` or `coach`.
    pub part: String,
    /// With `coach`: the leg that hears it.
    pub of: Option<String>,
    /// It hears music, or nothing, and nobody hears it.
    pub held: bool,
    /// What it hears while it is held or waits; null: the configured hold music.
    pub music: Option<String>,
    /// Whether the hub may start with this one.
    pub starts: bool,
    /// Whether the hub ends when this one leaves.
    pub ends: bool,
    /// `never`, `on_enter`, `on_exit` or `always`.
    pub beep: String,
    /// The client's own name for it.
    pub label: Option<String>,
    /// Whether it has been answered, or answers.
    pub joined: bool,
    /// Whether it speaks at the moment.
    pub speaking: bool,
}

/// The legs of a party that is called: one for each of its phones. The first that answers joins, the others end.
#[derive(ToSchema)]
pub struct Legs {
    /// Their handles.
    pub legs: Vec<String>,
}

/// A leg: one dialog between the edge and one party.
#[derive(ToSchema)]
pub struct Leg {
    /// Its handle.
    #[schema(example = "leg-3-0")]
    pub id: String,
    /// The party's address of record.
    #[schema(example = "sip:agent1@example.test")]
    pub party: String,
    /// `calling`, `early`, `confirmed`, `releasing` or `ended`.
    #[schema(example = "confirmed")]
    pub state: String,
    /// Whether the edge holds this party.
    pub held: bool,
    /// Whether this party holds the other side.
    pub holding: bool,
    /// The dialog's Call-ID.
    pub call_id: String,
    /// The session description that the party last sent.
    pub description: Option<String>,
    /// The session description that the party was last sent.
    pub sent_description: Option<String>,
    /// Where its messages come from and go to.
    #[schema(example = "192.0.2.7:5060")]
    pub address: String,
    /// `direct`, or `edge`: its media passes through the edge.
    #[schema(example = "edge")]
    pub media: String,
    /// How well, as last counted; null: not yet, or its media does not pass through the edge.
    pub quality: Option<Quality>,
}

/// A recording that has begun.
#[derive(ToSchema)]
pub struct Recording {
    /// Its name: that of the file without its ending.
    #[schema(example = "9f1c2b3a4d5e6f708192a3b4c5d6e7f8")]
    pub recording: String,
}

/// How well a party is heard and hears.
#[derive(ToSchema)]
pub struct Quality {
    /// RTP packets that came from the party and were taken.
    pub received: u64,
    /// RTP packets sent to the party.
    pub sent: u64,
    /// Packets lost on the way to us.
    pub lost: u64,
    /// Packets of strangers, with bad authentication, or repeated.
    pub refused: u64,
    /// Interarrival jitter in milliseconds.
    pub jitter_ms: f32,
    /// By the party's receiver reports.
    pub round_trip_ms: Option<f32>,
    /// Estimated mean opinion score, 1.0 to 4.5.
    pub mos: f32,
}

/// All transfers that are running or ended lately.
#[derive(ToSchema)]
pub struct Transfers {
    /// The oldest first.
    pub transfers: Vec<Transfer>,
    /// How many there are, however many were asked for.
    pub total: usize,
}

/// A transfer, whoever asked for it.
#[derive(ToSchema)]
pub struct Transfer {
    /// Its handle.
    #[schema(example = "transfer-0-0")]
    pub id: String,
    /// `blind`, `attended` or `replaced`.
    pub kind: String,
    /// `native`, `refer` or `pass`.
    pub mode: String,
    /// `trying`, `joining`, `referring`, `recovering`, `reporting`, `completed` or `failed`.
    pub state: String,
    /// The operator's leg.
    pub transferor: String,
    /// The customer's leg.
    pub transferee: String,
    /// The consult's leg, once there is one.
    pub target_leg: Option<String>,
    /// The consult's address.
    pub target: String,
    /// Why it failed: `target_busy`, `target_no_answer`, `target_refused`, `target_unreachable`, `transferee_gone`,
    /// `target_gone`, `join_refused`, `refer_refused`, `no_outcome`,
    /// `cancelled`, `timed_out` or `interrupted` (the edge was restarted before it was decided).
    pub reason: Option<String>,
    /// The SIP status that says so.
    pub status: Option<u16>,
}

/// The nodes of the cluster, as this one sees them.
#[derive(ToSchema)]
pub struct Nodes {
    /// By number; none without a cluster.
    pub nodes: Vec<Node>,
    /// Whether the shared store answers.
    pub store_up: bool,
}

/// A node number.
#[derive(ToSchema)]
pub struct Node {
    /// As it stands in tags.
    pub node: u16,
    /// Its fencing token.
    pub token: u64,
    /// Whether this process serves it.
    pub here: bool,
    /// Whether this process begins new calls under it.
    pub home: bool,
    /// Where the process that serves it takes links; null: nobody serves it at the moment.
    pub link: Option<String>,
    /// Where its SIP comes and goes.
    pub listeners: Vec<String>,
}

/// All bindings.
#[derive(ToSchema)]
pub struct Registrations {
    /// In the order of their addresses of record.
    pub registrations: Vec<Registration>,
    /// How many there are, however many were asked for.
    pub total: usize,
}

/// A binding: where a phone is reached.
#[derive(ToSchema)]
pub struct Registration {
    /// Address of record.
    #[schema(example = "sip:agent1@example.test")]
    pub aor: String,
    /// The contact as registered.
    pub contact: String,
    /// Seconds until it expires.
    pub expires_s: u64,
    /// Where its messages come from.
    pub address: String,
    /// `local` (kept here) or `through` (kept by the PBX).
    pub kept: String,
    /// `false`: its connection ended with an earlier process, and the phone has not come back yet.
    pub reachable: bool,
}

/// That the engine answers.
#[derive(ToSchema)]
pub struct Health {
    /// `ok`.
    #[schema(example = "ok")]
    pub status: String,
}

/// What was said in a call.
#[derive(ToSchema)]
pub struct Ladder {
    /// The call.
    pub call: String,
    /// In the order in which they happened.
    pub lines: Vec<LadderLine>,
    /// Messages that were not kept because a dialog had more than the limit.
    pub more: usize,
    /// All of it drawn, for a terminal.
    pub text: String,
}

/// One message, or one step of a transfer.
#[derive(ToSchema)]
pub struct LadderLine {
    /// Milliseconds since the first line.
    pub at_ms: u64,
    /// `in` (to the edge), `out`, or `step` (of a transfer).
    pub way: String,
    /// The party at the other end.
    pub party: Option<String>,
    /// Its address.
    pub address: Option<String>,
    /// The message in short, or the step with the rule that fired.
    pub what: String,
    /// Direction and port of the session description, Refer-To, an outcome.
    pub note: String,
}

/// That the edge can take calls.
#[derive(ToSchema)]
pub struct Ready {
    /// `ready`.
    #[schema(example = "ready")]
    pub status: String,
    /// Whether the PBX answers; null without a PBX.
    pub pbx_up: Option<bool>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::*;
    use utoipa::PartialSchema;

    fn keys(value: serde_json::Value) -> Vec<String> {
        let mut keys: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
        keys.sort();
        keys
    }

    fn properties<S: PartialSchema>() -> Vec<String> {
        keys(serde_json::to_value(S::schema()).unwrap()["properties"].clone())
    }

    #[test]
    fn the_shapes_are_those_of_the_views() {
        let (leg, call) = (
            LegHandle { slot: 1, generation: 0 },
            CallHandle { slot: 1, generation: 0 },
        );
        let address = "192.0.2.1:5060".parse().unwrap();
        let view = LegView {
            id: leg,
            party: String::new(),
            state: "early",
            held: false,
            holding: false,
            call_id: String::new(),
            description: None,
            sent_description: None,
            address,
            media: "direct",
            quality: None,
        };
        assert_eq!(keys(serde_json::to_value(&view).unwrap()), properties::<Leg>());
        let view = CallView {
            id: call,
            state: "held",
            legs: vec![view],
            hub: Some(HubView {
                settings: HubSettings::default(),
                started: false,
                participants: Vec::new(),
                recording: None,
            }),
        };
        let hub = view.hub.clone().unwrap();
        assert_eq!(keys(serde_json::to_value(hub).unwrap()), properties::<Hub>());
        let participant = ParticipantView {
            leg,
            role: Role {
                part: Part::Coach { of: leg },
                ..Role::default()
            },
            joined: true,
            speaking: false,
        };
        assert_eq!(
            keys(serde_json::to_value(participant).unwrap()),
            properties::<Participant>()
        );
        assert_eq!(keys(serde_json::to_value(view).unwrap()), properties::<Call>());
        let view = TransferView {
            id: TransferHandle { slot: 0, generation: 0 },
            kind: TransferKind::Blind,
            mode: TransferMode::Native,
            state: "trying",
            transferor: leg,
            transferee: leg,
            target_leg: None,
            target: String::new(),
            reason: None,
            status: None,
        };
        assert_eq!(keys(serde_json::to_value(view).unwrap()), properties::<Transfer>());
        let aor = String::new();
        let view = RegistrationView {
            aor,
            contact: String::new(),
            expires_s: 1,
            address,
            kept: "local",
            reachable: true,
        };
        assert_eq!(keys(serde_json::to_value(view).unwrap()), properties::<Registration>());
    }
}
