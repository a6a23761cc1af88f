//! What the engine must be told before its first message: the checked form of the configuration.
//!
//! `config/` builds this from a file; tests and embedding hosts build it by hand, starting from [`Settings::loopback`].

use std::net::SocketAddr;
use std::time::Duration;

use regex::Regex;

use super::guard::RequestLimits;
use crate::dialog::Seal;
use crate::leg::CallLabel;
pub use crate::media::describe::{MediaSettings, PeerMedia};
use crate::registrar::TokenKeys;
use crate::sip::Algorithm;
use crate::transaction::Timers;
use crate::transport::Named;
use crate::transport::locate::Place;
pub use crate::transport::{Network, Transport};
use crate::vocabulary::{HoldDirection, OnFailure, ReferAnswer, TransferMode};

/// Everything the engine is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The SIP domain: realm of digest, host of addresses of record.
    pub domain: String,
    /// Where the driver listens; the first one of a transport is the source of new flows.
    pub listeners: Vec<Listener>,
    /// The PBX behind the edge; `None`: calls are routed by the local registrar and the routes.
    pub pbx: Option<Pbx>,
    /// Known sources with a profile.
    pub peers: Vec<Peer>,
    /// Who may register and call (local registrar).
    pub users: Vec<User>,
    /// Who may sign access tokens, which stand for a user and its password; `None`: nobody.
    pub tokens: Option<TokenKeys>,
    /// Accept any user without a password. Only for loopback: the embedded default.
    pub open: bool,
    /// Number routing, first match wins.
    pub routes: Vec<Route>,
    /// Numbers whose calls belong to a client of the API, before any route; first match wins.
    pub applications: Vec<Application>,
    /// Transfer mode where no peer profile says otherwise.
    pub transfer: TransferMode,
    /// With what a REFER is accepted, where no peer profile says otherwise.
    pub refer_answer: ReferAnswer,
    /// Where a customer goes when the target of its transfer cannot be had.
    pub on_failure: OnFailure,
    /// How often a call may be transferred, and how many targets one transfer may try.
    pub transfer_depth: u8,
    /// How long a transfer may take until it is decided.
    pub transfer_timeout: Duration,
    /// Whether every authenticated user may take over a call that still rings at another's phone, by INVITE with Replaces.
    pub pick_up: bool,
    /// How a party is held by the API.
    pub hold: HoldDirection,
    /// How long a target may ring: call and transfer.
    pub ring_timeout: Duration,
    /// How long the final NOTIFY may stay unanswered before the BYE goes anyway, and how long we wait for a BYE that the other side owes.
    pub guard: Duration,
    /// The session interval that the edge asks for, in seconds (RFC 4028): after so long without a refresh a call is dead.
    pub session_expires: u32,
    /// The least that it takes, in seconds; 90 at the least.
    pub min_se: u32,
    /// RFC 3261 timers.
    pub timers: Timers,
    /// Bounds of a binding's life, in seconds.
    pub expires: (u32, u32),
    /// Contacts per address of record.
    pub max_contacts: usize,
    /// Digest algorithms, the favourite first. Some phones know MD5 only and stumble over any other.
    pub digest: Vec<Algorithm>,
    /// Seals dialog tags, branches, nonces and flow tokens. Belongs to the cluster.
    pub key: [u8; 16],
    /// This node's number in the cluster.
    pub node: u16,
    /// When media passes through the edge, and how.
    pub media: MediaSettings,
    /// Prompts that can be played, by name.
    pub prompts: Vec<String>,
    /// Whether there is a place for recordings.
    pub recordings: bool,
    /// What no two processes have in common.
    pub process: Process,
    /// By what a phone learns how an API names its call; taken at the start only.
    pub label: Option<CallLabel>,
    /// Host names of PBX and routes, with the places that they lead to now. A host that is an address is not among them.
    pub names: Vec<Named>,
    /// Foreign hosts that calls may go to, where no user, route or PBX takes them: `partner.example`, `*.partner.example`,
    /// `*` for all. Empty: none, the edge is no relay.
    pub reach: Vec<String>,
    /// For how long a place that failed is tried last (RFC 3263 §4.3).
    pub avoid: Duration,
    /// For how long a look-up is waited for.
    pub lookup_timeout: Duration,
    /// How much a source and a user may ask for.
    pub limits: RequestLimits,
}

/// What no two processes have in common. The key outlives a process (it may stand in a store), and under it nothing that
/// must be unique may come twice: branches, tags, Call-IDs (RFC 3261 §8.1.1.4, §8.1.1.7, §19.3), nonces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// Drawn at random at each start.
    pub seed: u64,
    /// Unix time in seconds at the `now` of `Engine::new`; `None`: unknown.
    pub started: Option<u64>,
}

/// A socket the driver listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// How messages come.
    pub transport: Transport,
    /// The bound address.
    pub address: SocketAddr,
    /// What we write into Via and Contact; differs from `address` behind NAT or on a wildcard.
    pub advertised: SocketAddr,
}

/// The PBX behind the edge.
#[derive(Clone, Debug)]
pub struct Pbx {
    /// Its SIP URI host part, for Request-URIs of our own making.
    pub host: String,
    /// Where its messages go.
    pub address: SocketAddr,
    /// How.
    pub transport: Transport,
    /// Who keeps the bindings.
    pub register: Register,
}

impl Pbx {
    /// The place that the configuration knows it by.
    pub fn place(&self) -> Place {
        Place {
            address: self.address,
            transport: self.transport,
        }
    }
}

/// Who keeps the bindings of phones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// The PBX does; the edge adds Path and remembers the flow.
    Through,
    /// The edge does.
    Local,
}

/// A known source: trunk, PBX, or phones with a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// For logs and metrics.
    pub name: String,
    /// Source networks.
    pub networks: Vec<Network>,
    /// Whether its requests are challenged.
    pub auth: PeerAuth,
    /// How its parties are transferred.
    pub transfer: TransferMode,
    /// With what its REFERs are accepted.
    pub refer_answer: ReferAnswer,
    /// What its challenges are answered with, in its realm only.
    pub credentials: Option<PeerCredentials>,
    /// Its dialogs get the Call-ID of the other side's; else one of the edge's own.
    pub keeps_call_id: bool,
    /// Whether its media passes through the edge, and how it is protected.
    pub media: PeerMedia,
}

/// User, password and realm at a peer.
#[derive(Clone, PartialEq, Eq)]
pub struct PeerCredentials {
    /// The user.
    pub user: String,
    /// Its password.
    pub password: String,
    /// The one realm that it is for.
    pub realm: String,
}

impl std::fmt::Debug for PeerCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PeerCredentials")
            .field("user", &self.user)
            .field("realm", &self.realm)
            .finish_non_exhaustive()
    }
}

/// Whether a peer's requests are challenged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerAuth {
    /// Trusted by its source address.
    None,
    /// Digest by the configured users.
    Digest,
}

/// A user of the local registrar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The user part of its address of record.
    pub name: String,
    /// Its digest password.
    pub password: String,
}

/// A rule for dialled numbers.
#[derive(Clone, Debug)]
pub struct Route {
    /// Matched against the user part of the Request-URI.
    pub pattern: Regex,
    /// Where its calls go.
    pub address: SocketAddr,
    /// How.
    pub transport: Transport,
    /// The host part of the new Request-URI.
    pub host: String,
    /// Who may use it, by calling and by transferring; empty: everybody.
    pub users: Vec<String>,
}

/// Numbers whose calls belong to a client of the API.
#[derive(Clone, Debug)]
pub struct Application {
    /// By which the client knows them.
    pub name: String,
    /// Matched against the user part of the Request-URI.
    pub pattern: Regex,
}

impl PartialEq for Application {
    fn eq(&self, other: &Application) -> bool {
        self.name == other.name && self.pattern.as_str() == other.pattern.as_str()
    }
}

impl Route {
    /// The place that the configuration knows it by.
    pub fn place(&self) -> Place {
        Place {
            address: self.address,
            transport: self.transport,
        }
    }
}

impl Settings {
    /// Opens and makes the dialog tags of this cluster, as this node: whose a message is can be read before any engine
    /// sees it.
    pub fn seal(&self) -> Seal {
        Seal::new(super::derive(self.key, 3), self.node)
    }

    /// Whether calls may go to this foreign host.
    pub fn reaches_out_to(&self, host: &str) -> bool {
        self.reach.iter().any(|pattern| match pattern.strip_prefix('*') {
            Some("") => true,
            Some(suffix) => {
                host.len() > suffix.len() && host.to_ascii_lowercase().ends_with(&suffix.to_ascii_lowercase())
            }
            None => pattern.eq_ignore_ascii_case(host),
        })
    }

    /// The embedded default: one UDP listener, open local registrar, no PBX. Give it an address on loopback only.
    pub fn loopback(address: SocketAddr) -> Settings {
        Settings {
            domain: address.ip().to_string(),
            listeners: vec![Listener {
                transport: Transport::Udp,
                address,
                advertised: address,
            }],
            pbx: None,
            peers: Vec::new(),
            users: Vec::new(),
            tokens: None,
            open: true,
            routes: Vec::new(),
            applications: Vec::new(),
            transfer: TransferMode::Native,
            refer_answer: ReferAnswer::Auto,
            on_failure: OnFailure::Transferor,
            transfer_depth: 5,
            transfer_timeout: Duration::from_secs(300),
            pick_up: false,
            hold: HoldDirection::SendOnly,
            ring_timeout: Duration::from_secs(60),
            guard: Duration::from_secs(4),
            session_expires: 1_800,
            min_se: 90,
            timers: Timers::default(),
            expires: (60, 3_600),
            max_contacts: 5,
            digest: vec![Algorithm::Sha256, Algorithm::Md5],
            key: [0; 16],
            node: 0,
            // Many edges may live on one loopback: the system chooses.
            media: MediaSettings {
                browser_port: 0,
                ..MediaSettings::default()
            },
            prompts: Vec::new(),
            recordings: false,
            process: Process::default(),
            label: None,
            names: Vec::new(),
            reach: Vec::new(),
            avoid: Duration::from_secs(32),
            lookup_timeout: Duration::from_secs(5),
            limits: RequestLimits::default(),
        }
    }
}
