//! From the text of a configuration file to what the edge may rely on.
//!
//! Owns: the keys, their defaults and bounds, and the report that names every mistake at once with its line and a hint.
//!
//! Refuses: reading files, looking up host names, reading clocks or random numbers (the command line and the driver
//! do that), and keys that would do nothing in this version: a setting that is silently ignored is a lie.
//!
//! ```toml
//! [edge]
//! domain = "example.test"       # default: the address of the first listener
//! node = 0                      # this node's number in the cluster
//! transfer = "native"           # native refer pass auto
//! hold = "sendonly"             # sendonly inactive
//! ring_timeout_s = 60
//! session_expires_s = 1800         # a call that nobody refreshes for so long is ended (RFC 4028)
//! min_se_s = 90                    # what phones may ask for at the least
//! reach = ["*.partner.example"] # foreign hosts that calls may go to, "*" for all; default none: the edge is no relay
//! [dns]                         # RFC 3263: NAPTR, SRV, addresses; again when their life is over
//! servers = ["192.0.2.53"]      # default: the system's
//! timeout_ms = 5000             # for one look-up
//! avoid_s = 32                  # a place that failed is tried last for so long; 0: never
//! [limits]                      # of sources and users; the values are the defaults
//! requests_per_minute = 6000    # outside of dialogs, by source address (IPv6: by /64); 0: no limit
//! requests_burst = 1000         # at once
//! calls_per_minute = 60         # by user; also calls_burst
//! transfers_per_minute = 30     # by user; also transfers_burst
//! failures = 10                 # wrong passwords that ban a source; 0: nobody is banned
//! failures_within_s = 60
//! ban_s = 900                   # doubled each time
//! longest_ban_s = 86400
//! allow = ["127.0.0.0/8", "::1"] # never limited, as are peers and the PBX
//! [transfer]
//! on_failure = "next"           # transferor (default: the call is given back) next hang_up
//! next = ["sip:reception@example.test"]
//!                               # or ladder: ring these, offer to an application ([[application]]), give back, hang up
//! # ladder = ["sip:a@example.test", "application:queue", "transferor", "application:bot", "hang_up"]
//! # ladder_ring_s = 20          # how long each of its targets rings; default: [edge] ring_timeout_s
//! refer_answer = "auto"         # auto 200 202: with what REFER is accepted; also in [[peer]]
//! max_depth = 5                 # transfers of one call, and targets of one transfer
//! timeout_s = 300               # until a transfer is decided
//! pick_up = false               # true: any user may take a call that rings at another's phone (INVITE with Replaces)
//! [[listen]]
//! transport = "udp"             # udp tcp tls ws wss
//! address = "127.0.0.1:5060"    # port 0: any free port
//! advertise = "203.0.113.7"     # what we call ourselves, behind NAT or on a wildcard
//! [[listen]]
//! transport = "wss"
//! address = "127.0.0.1:8443"
//! certificate = "edge.pem"      # tls, wss: PEM; default: that of [tls]
//! key = "edge.key"
//! client_ca = "trunks.pem"       # tls, wss: only who shows a certificate of these authorities is let in
//! origins = ["https://phones.example.test"] # ws, wss: default any page on loopback, elsewhere pages of our own host
//! [tls]
//! certificate = "edge.pem"      # omit: one that the edge signs itself on its first start
//! key = "edge.key"
//! state = "/var/lib/warmline"   # where that one is kept; default: the user's state folder
//! ca = "roots.pem"              # whom our own connections trust; default: the system's roots
//! [pbx]                         # omit: local registrar and routing
//! uri = "sip:127.0.0.1:5080"    # host names: NAPTR, SRV, addresses; the next one on failure
//! register = "through"          # through local
//! verify = true                 # false: any certificate will do, if the URI says transport=tls
//! certificate = "edge.pem"      # what we show when it asks for a certificate; with key; here and in [[peer]]
//! key = "edge.key"
//! [[peer]]                      # trunks, PBXs, phones with a profile
//! name = "carrier"
//! match = ["192.0.2.0/24"]      # source addresses
//! auth = "none"                 # digest none; default digest
//! transfer = "auto"             # native refer pass auto; default: that of [edge]
//! call_id = "hide"              # hide keep; default hide
//! media = "auto"                # auto relay direct; default: [media] mode. direct: only where nothing else works
//! srtp = "off"                  # off preferred required; default: that of [media]
//! username = "edge"             # for its challenges, in this realm only; all three or none
//! password = "…"
//! realm = "carrier.example"
//! verify = true                 # false: any certificate will do when we connect to it by TLS
//! [[user]]
//! name = "agent1"
//! password = "a long one"
//! [[route]]
//! match = "^\\+?[0-9]+$"        # of the dialled user part; first match wins
//! to = "sip:127.0.0.1:5090"
//! users = ["agent1"]            # who may call and transfer there; default: everybody
//! [[application]]               # calls for these numbers wait until a client of the API answers, moves or rejects them
//! name = "sales"
//! match = "^\\+1555"            # of the dialled user part, before any route; first match wins
//! [registrar]
//! min_expires_s = 60
//! max_expires_s = 3600
//! max_contacts = 5
//! digest = ["sha-256", "md5"]   # offered to phones, the favourite first (RFC 8760)
//! open = false                  # true: no passwords; on loopback only
//! [timers]                      # RFC 3261 §17.1.1.1
//! t1_ms = 500
//! t2_ms = 4000
//! t4_ms = 5000
//! guard_ms = 4000               # how long we wait for a NOTIFY's answer or a BYE that a peer owes
//! [api]                         # omit: no API
//! listen = "127.0.0.1:8080"
//! token = "a-long-random-word"  # omit on loopback: a random one, printed at start
//! [softphone]                   # the page at /phone/ of the API and of every ws and wss listener
//! page = true                   # false: none
//! servers = ["wss://phones.example.test/sip"] # what browsers connect to behind a reverse proxy; default: those listeners
//! [drain]
//! stop_s = 5                    # how long SIGTERM waits for calls to end
//! then = "leave"                # or "hang-up"; with a [store] the next process goes on with what is left
//! upgrade_s = 3600              # how long a process that was taken over finishes what it could not hand over
//!
//! [audit]                       # omit: no audit log
//! file = "audit.jsonl"          # hash-chained; `warmline audit FILE` checks it
//! [store]                       # omit: calls and bindings end with the process
//! path = "warmline.db"          # made if it is not there; a path from where warmline is started
//! # url = "redis://10.0.0.9"    # in place of path: Redis or Valkey, which several nodes share
//! # prefix = "warmline:"        # in front of every key there
//! durability = "relaxed"        # relaxed: it survives the process at any moment. confirmed: the machine, too; messages wait for the disk
//! # [cluster]                   # several nodes on one store with a url; omit: this one is alone
//! # link = "10.0.0.1:7060"      # where the others connect to: a network of one's own (authenticated, not encrypted)
//! # lease_ms = 1500             # after so long without a sign of life a node's calls are taken over
//! [media]
//! mode = "auto"                 # auto relay off: when media passes through the edge; also in [[peer]], as `media`
//! address = "203.0.113.7"       # default: what the listener is called on which the party came
//! ports = [20000, 20999]        # of phones and trunks, two each
//! browser_port = 19990          # of all browsers
//! transcode = true              # false: a call without a codec in common is refused
//! srtp = "off"                  # off preferred required: keys in the descriptions (RFC 4568); also in [[peer]]
//! hold_music = "builtin"        # or a WAV, MP3 or OGG file; omit: none
//! recordings = "recordings"     # folder; omit: nothing is recorded
//! record = "none"               # all: every call, on its caller's leg; [[peer]] record = true: every leg of that peer
//! timeout_s = 0                 # a party that is silent for so long although it may speak is hung up; 0: never
//! [[prompt]]                    # further files for held parties and announcements
//! name = "sales"
//! file = "sales.ogg"
//! [webhook]                     # HTTP that the edge sends to applications
//! allow = ["127.0.0.0/8"]       # private, loopback and other special networks that may be asked; default: none
//! ca = "own-roots.pem"          # trusted beside the system's roots
//! [ringcentral]                 # the RingCentral-style API at /restapi/ of [api] listen; omit: none
//! client_id = "my-app"
//! client_secret = "…"
//! account = "400100200"         # the account's id
//! url = "https://edge.example"  # what clients reach it by; default: http:// and [api] listen
//! requests_per_minute = 60000   # of one extension
//! [[ringcentral.extension]]     # who may log in
//! user = "agent1"               # of a [[user]]
//! number = "101"
//! id = "600001"                 # default: counted from there
//! name = "Ann"
//! admin = true                  # may see, control and supervise the calls of others; default false
//! flip = ["+4917155501"]        # its other phones: `callFlipId` 1 is the first
//! jwt = "a-long-random-word"    # the assertion of its JWT login
//! password = "…"                # for the password grant
//! [twilio]                      # calls, conferences and TwiML for applications written for that API; omit: none
//! account_sid = "AC00000000000000000000000000000001" # AC and 32 hexadecimal digits
//! auth_token = "32-random-hexadecimal-digits-are-good" # its password; signs what applications are sent
//! base_url = "https://edge.example.test" # how clients reach this API; default: [api] listen
//! [[twilio.key]]                # API keys, also for access tokens of browsers
//! sid = "SK00000000000000000000000000000001"
//! secret = "…"
//! [[twilio.number]]
//! application = "sales"         # the [[application]] whose calls it answers
//! phone_number = "+15550001"    # only calls to this one; omit: all of that application
//! app_sid = "AP00000000000000000000000000000001" # its name as a TwiML application
//! voice_url = "https://app.example.test/voice" # says what to do; voice_method = "POST"
//! fallback_url = "https://other.example.test/" # when that cannot; fallback_method = "POST"
//! status_callback = "https://app.example.test/ended" # status_callback_method = "POST"
//! [ladder]                      # messages of the last calls, for `warmline ladder`; kept by default
//! calls = 200                   # 0: none
//! messages = 200                # of one dialog
//! redact = false                # true: numbers and names are hidden
//! [records]                     # one record a customer's call, with all its legs and transfers
//! keep = 1000                   # complete ones in memory, for GET /v1/records
//! file = "calls.jsonl"          # appended, a line of JSON each; opened again at SIGHUP; omit: none
//! [[queue]]                     # callers wait with music until an agent is free
//! name = "sales"
//! application = "sales"         # whose callers; omit: only those that overflow from another queue
//! agents = ["agent1"]           # users; default: every [[agent]] with the skills
//! skills = ["french"]
//! music = "sales"               # a [[prompt]]; default: the hold music
//! whisper = "next-is-sales"     # a [[prompt]] that the agent alone hears before it talks
//! ring_s = 20                   # then the next agent is rung
//! total_s = 600                 # then the caller overflows; 0: never
//! wrap_up_s = 10                # after each call of an agent
//! most = 1000                   # callers
//! overflow = "sip:night@example.test" # another queue, an address, or hang_up; also when nobody is there
//! [[agent]]                     # away until PUT /v1/agents/agent1 {"state": "available"}
//! name = "agent1"
//! skills = ["french", "german"]
//! [[bot.channel]]               # callers of an application talk with a bot over HTTP
//! application = "robot"
//! url = "https://bot.example.test/turn" # each turn is posted there; [webhook] allow lists private addresses
//! name = "robot"                # what the bot is told: channelBotId and botId; default: the application
//! bot_id = "robot"
//! token = "a-long-one"          # with which the bot may ask for its channels; omit: it may not
//! start = "/start"              # the first query
//! ringing = false               # true: the bot is asked before the call is answered, and may refuse it
//! language = "en"               # of its texts
//! record = false                # true: the customer is recorded
//! music = "sales"               # a [[prompt]] while a target rings; default: the hold music
//! fallback = "sip:reception@example.test" # when the bot does not answer; omit: the caller is hung up
//! digit_pause_ms = 1500         # a query of keys ends with # or this pause
//! silence_s = 10                # nothing pressed for so long: event noDtmfAnswerEvent; 0: never
//! [log]
//! level = "info"                # error warn info debug trace
//! format = "text"               # text json
//! ```
//!
//! ```
//! use warmline::config::Config;
//!
//! let report = Config::read("edge.toml", "[[listen]]\ntransport = \"udb\"\n").unwrap_err();
//! assert!(report.to_string().contains("did you mean \"udp\"?"));
//! ```

mod application;
mod audit;
mod bot;
mod check;
mod cluster;
mod dns;
mod drain;
mod fields;
mod limits;
mod media;
mod parts;
mod queue;
mod records;
mod reload;
mod report;
mod ringcentral;
mod store;
mod target;
mod tls;
mod transfer;
mod twilio;
mod webhook;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use regex::Regex;

use crate::engine::{
    Application, HoldDirection, Listener, MediaSettings, Pbx, Peer, Process, Register, RequestLimits, Route, Settings,
    TransferMode, User,
};
use crate::sip::digest::Algorithm;
use crate::transaction::Timers;
use crate::transport::locate::{Found, Place};
use crate::transport::{Named, Transport};

pub use bot::{Bot, BotChannel};
pub use cluster::Cluster;
pub use dns::Dns;
pub use drain::Drain;
pub use media::MediaFiles;
pub use queue::{QueueRules, Queues};
pub use records::Records;
pub use reload::Changes;
pub use report::{Problem, Report};
pub use ringcentral::{RingCentral, RingCentralExtension, Secret};
pub use store::{StoreFile, StorePlace};
pub use target::Target;
pub use tls::{ListenExtras, PemFiles, Tls};
pub use twilio::{Hook, Twilio, TwilioNumber};
pub use webhook::Webhook;

/// A checked configuration. Only host names are still to be looked up: [`Config::settings`].
#[derive(Clone, Debug)]
pub struct Config {
    edge: Edge,
    transfer: transfer::Transfer,
    listeners: Vec<Listener>,
    pbx: Option<(Target, Register)>,
    peers: Vec<Peer>,
    users: Vec<User>,
    routes: Vec<(Regex, Target, Vec<String>)>,
    applications: Vec<Application>,
    registrar: Registrar,
    timers: Timers,
    guard: Duration,
    /// The native API; `None`: not started.
    pub api: Option<Api>,
    /// What is logged and how.
    pub log: Log,
    /// Ladders of the last calls; `None`: not kept.
    pub ladder: Option<Ladder>,
    /// What is kept of calls.
    pub records: Records,
    /// Bots and their callers.
    pub bot: Bot,
    /// Queues and who serves them.
    pub queues: Queues,
    /// What outlives the process; `None`: nothing, calls and bindings end with it.
    pub store: Option<StoreFile>,
    /// How the process ends.
    pub drain: Drain,
    /// Whether and how it is one of several nodes.
    pub cluster: Option<Cluster>,
    /// The file of the audit log.
    pub audit: Option<String>,
    /// The softphone page; `None`: not served.
    pub softphone: Option<Softphone>,
    /// Certificates, trust and origins.
    pub tls: Tls,
    /// When media passes through the edge, and how.
    pub media: MediaSettings,
    /// Files and folders of media.
    pub media_files: MediaFiles,
    /// How host names are looked up.
    pub dns: Dns,
    /// Whom the API may tell and ask over HTTP.
    pub webhook: Webhook,
    /// The RingCentral-style API; `None`: not served.
    pub ringcentral: Option<RingCentral>,
    /// The Twilio-style API; `None`: not served.
    pub twilio: Option<Twilio>,
    /// How much a source and a user may ask for.
    pub limits: RequestLimits,
}

/// What the softphone page is told beyond what the listeners say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Softphone {
    /// WebSocket URLs that stand for the listeners'.
    pub servers: Vec<String>,
}

#[derive(Clone, Debug)]
struct Edge {
    domain: Option<String>,
    node: u16,
    transfer: TransferMode,
    hold: HoldDirection,
    ring_timeout: Duration,
    session_expires: u32,
    min_se: u32,
    reach: Vec<String>,
}

#[derive(Clone, Debug)]
struct Registrar {
    expires: (u32, u32),
    max_contacts: usize,
    digest: Vec<Algorithm>,
    open: bool,
}

/// Where the native API listens and who may use it.
#[derive(Clone, Debug)]
pub struct Api {
    /// Loopback unless there is a token.
    pub listen: SocketAddr,
    /// The bearer token; `None`: make a random one and print it once.
    pub token: Option<String>,
}

/// How much of the last calls' messages is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ladder {
    /// Calls.
    pub calls: usize,
    /// Messages of one dialog.
    pub messages: usize,
    /// Whether numbers and names are hidden.
    pub redact: bool,
}

impl Default for Ladder {
    fn default() -> Self {
        Ladder {
            calls: 200,
            messages: 200,
            redact: false,
        }
    }
}

/// What is logged and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// The least important level that is written.
    pub level: tracing::Level,
    /// One JSON object a line instead of text.
    pub json: bool,
}

/// A host name of the configuration that has no address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unresolved {
    /// Which one.
    pub target: Target,
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "host name `{}` was not found ({})",
            self.target.host, self.target.place
        )
    }
}

impl std::error::Error for Unresolved {}

impl Config {
    /// Checks the text of a file called `name`; on any mistake, all mistakes.
    pub fn read(name: &str, text: &str) -> Result<Config, Report> {
        check::read(name, text)
    }

    /// What runs without a file: UDP and TCP on 127.0.0.1:5060, an open local registrar, the API on 127.0.0.1:8080.
    pub fn embedded() -> Config {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 5060));
        let listener = |transport| Listener {
            transport,
            address,
            advertised: address,
        };
        let defaults = Settings::loopback(address);
        Config {
            edge: Edge {
                domain: None,
                node: defaults.node,
                transfer: defaults.transfer,
                hold: defaults.hold,
                ring_timeout: defaults.ring_timeout,
                session_expires: defaults.session_expires,
                min_se: defaults.min_se,
                reach: defaults.reach,
            },
            transfer: transfer::Transfer::default(),
            listeners: vec![listener(Transport::Udp), listener(Transport::Tcp)],
            pbx: None,
            peers: Vec::new(),
            users: Vec::new(),
            routes: Vec::new(),
            applications: Vec::new(),
            registrar: Registrar {
                expires: defaults.expires,
                max_contacts: defaults.max_contacts,
                digest: defaults.digest,
                open: true,
            },
            timers: defaults.timers,
            guard: defaults.guard,
            api: Some(Api {
                listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
                token: None,
            }),
            log: Log {
                level: tracing::Level::INFO,
                json: false,
            },
            ladder: Some(Ladder::default()),
            records: Records::default(),
            bot: Bot::default(),
            queues: Queues::default(),
            store: None,
            cluster: None,
            audit: None,
            drain: Drain::default(),
            softphone: Some(Softphone::default()),
            tls: Tls::default(),
            media: MediaSettings::default(),
            media_files: MediaFiles::default(),
            dns: Dns::default(),
            webhook: Webhook::default(),
            ringcentral: None,
            twilio: None,
            limits: RequestLimits::default(),
        }
    }

    /// The domain of our users' addresses: as configured, else what the first listener is called.
    pub fn domain(&self) -> String {
        let first = self.listeners.first().map(|listener| listener.advertised.ip());
        let domain = self.edge.domain.clone().or_else(|| first.map(|ip| ip.to_string()));
        domain.unwrap_or_else(|| Ipv4Addr::LOCALHOST.to_string())
    }

    /// Host names that somebody must look up before [`Config::settings`].
    pub fn names(&self) -> Vec<&Target> {
        let pbx = self.pbx.iter().map(|(target, _)| target);
        let routes = self.routes.iter().map(|(_, target, _)| target);
        pbx.chain(routes).filter(|target| target.address().is_none()).collect()
    }

    /// Whether a listener speaks this place's transport and family (IPv4 or IPv6): it must be one that we can send to.
    pub fn reaches(&self, place: &Place) -> bool {
        self.listeners.iter().any(|listener| {
            listener.transport == place.transport && listener.address.is_ipv4() == place.address.is_ipv4()
        })
    }

    /// What we can send by, in the order of the file, without WebSocket.
    pub fn transports(&self) -> Vec<Transport> {
        let mut ours = Vec::new();
        for listener in &self.listeners {
            let known = ours.contains(&listener.transport);
            if !known && !matches!(listener.transport, Transport::Ws | Transport::Wss) {
                ours.push(listener.transport);
            }
        }
        ours
    }

    /// What the engine is told. `key` seals dialog tags; `lookup` answers for each of [`Config::names`].
    pub fn settings(
        &self,
        key: [u8; 16],
        mut lookup: impl FnMut(&Target) -> Option<Found>,
    ) -> Result<Settings, Unresolved> {
        let mut names = Vec::new();
        let mut place = |target: &Target| {
            let transport = target.transport;
            if let Some(address) = target.address() {
                return Ok(Place { address, transport });
            }
            let unresolved = || Unresolved { target: target.clone() };
            let Found { places, life } = lookup(target).ok_or_else(unresolved)?;
            let first = *places.first().ok_or_else(unresolved)?;
            names.push(Named {
                host: target.uri_host(),
                first,
                wanted: target.wanted(),
                places,
                life,
            });
            Ok(first)
        };
        let mut pbx = None;
        if let Some((target, register)) = &self.pbx {
            let Place { address, transport } = place(target)?;
            pbx = Some(Pbx {
                host: target.uri_host(),
                address,
                transport,
                register: *register,
            });
        }
        let mut routes = Vec::new();
        for (pattern, target, users) in &self.routes {
            let Place { address, transport } = place(target)?;
            routes.push(Route {
                pattern: pattern.clone(),
                address,
                transport,
                host: target.uri_host(),
                users: users.clone(),
            });
        }
        Ok(Settings {
            domain: self.domain(),
            listeners: self.listeners.clone(),
            pbx,
            peers: self.peers.clone(),
            users: self.users.clone(),
            tokens: self.twilio.as_ref().map(Twilio::token_keys),
            open: self.registrar.open,
            routes,
            applications: self.applications.clone(),
            transfer: self.edge.transfer,
            refer_answer: self.transfer.refer_answer,
            on_failure: self.transfer.on_failure.clone(),
            transfer_depth: self.transfer.depth,
            transfer_timeout: self.transfer.timeout,
            pick_up: self.transfer.pick_up,
            hold: self.edge.hold,
            ring_timeout: self.edge.ring_timeout,
            session_expires: self.edge.session_expires,
            min_se: self.edge.min_se,
            guard: self.guard,
            timers: self.timers,
            expires: self.registrar.expires,
            max_contacts: self.registrar.max_contacts,
            digest: self.registrar.digest.clone(),
            key,
            node: self.edge.node,
            media: self.media.clone(),
            prompts: self.media_files.prompts.iter().map(|(name, _)| name.clone()).collect(),
            recordings: self.media_files.recordings.is_some(),
            process: Process::default(),
            label: None,
            names,
            reach: self.edge.reach.clone(),
            avoid: self.dns.avoid,
            lookup_timeout: self.dns.timeout,
            limits: self.limits.clone(),
        })
    }
}

#[cfg(test)]
mod tests;
