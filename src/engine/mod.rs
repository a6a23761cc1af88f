//! The engine: the pure core as one object. Messages, time and orders go in; messages, events and answers come out.
//!
//! It never waits: the host gives it each [`Input`] with the time, performs every [`Output`], and wakes it at
//! [`Engine::poll_timeout`]. The same engine runs in the server, in the virtual-time tests and in any program that can
//! move bytes. The layers lie in each other, the lower one owned by the upper one: events rise as return values and
//! queues, orders go down as calls.
//!
//! | file | what |
//! |---|---|
//! | `receive` | a message to its transaction, then to its dialog |
//! | `invite` | an INVITE outside of dialogs: authentication, Replaces, a new call |
//! | `register` | REGISTER and whatever else is not a call |
//! | `forward` | what passes without a dialog of ours: forks, the best answer, the next place |
//! | `route` | where a Request-URI leads |
//! | `secure` | `sips:`: TLS on every hop |
//! | `locate` | host names, and the places that they lead to |
//! | `refer` | REFER: what the site says to it, and those outside of dialogs |
//! | `plugin` | site policy as code |
//! | `command` | orders of API clients |
//! | `kept` | what outlives the process |
//! | `learned` | what other nodes know of registrations |
//! | `reload` | what may change while calls are up |
//! | `remain` | what stays with a process that hands the rest over to the next one |
//! | `dial` | calls that an API client has the edge make |
//! | `application` | calls that belong to an API client |
//! | `hub` | who is called into a hub, and how |
//! | `seat` | REFER, Replaces and Join that concern a hub |
//! | `media` | what the packet half tells, digits, recordings |
//! | `divert` | phones that send their calls on by 3xx |
//! | `settle` | hands on what the layers report until nothing is left to hand on |
//!
//! ```
//! use std::time::Instant;
//! use warmline::engine::{Engine, Input, Output, Settings};
//! use warmline::transport::{Flow, Transport};
//!
//! let now = Instant::now(); // the host's clock; the engine has none
//! let edge = "127.0.0.1:5060".parse().unwrap();
//! let mut engine = Engine::new(Settings::loopback(edge), now);
//! let flow = Flow { transport: Transport::Udp, local: edge, remote: "127.0.0.1:5070".parse().unwrap(), connection: 0 };
//! let options = "OPTIONS sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK1\r\n\
//!     From: <sip:a@127.0.0.1>;tag=1\r\nTo: <sip:127.0.0.1>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\
//!     Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n";
//! engine.handle_input(now, Input::Received { flow, bytes: options.into() });
//! let Some(Output::Transmit { bytes, .. }) = engine.poll_output() else { panic!("no answer") };
//! assert!(bytes.starts_with(b"SIP/2.0 200 OK"));
//! ```

mod application;
mod command;
mod dial;
mod divert;
mod forward;
mod guard;
mod hub;
mod invite;
mod io;
mod kept;
mod learned;
mod locate;
mod media;
mod plugin;
mod receive;
mod refer;
mod register;
mod reload;
mod remain;
mod ringing;
mod route;
mod seat;
mod secure;
mod settings;
mod settle;
mod welcome;

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use compact_str::CompactString;

pub use guard::{Rate, RequestLimits, StoredBan};

pub use crate::transfer::Asked as TransferAsked;
pub use crate::vocabulary::*;
pub use io::{Input, LookupId, Output};
pub use kept::{NoteKind, Stored};
pub use plugin::{NewCall, Outgoing, PLUGIN, Plugin, Routing};
pub use remain::Remainder;
pub use settings::*;

use crate::call::Calls;
use crate::dialog::Table;
pub use crate::leg::CallLabel;
use crate::leg::{Deadlines, Identity, Legs, LocalAddress};
use crate::media::describe::Endpoints;
use forward::Passing;
use guard::Guard;
use locate::Lookups;

use crate::proxy::{Proxy, ProxyConfig};
use crate::registrar::{Registrar, RegistrarConfig};
use crate::transaction::{ServerHandle, Transactions};
use crate::transfer::{Limits, Transfers};
use crate::transport::{Book, FlowSeal};

/// The whole core.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    transfers: Transfers,
    registrar: Registrar,
    proxy: Proxy,
    flows: FlowSeal,
    /// Requests that were forwarded, for their responses: what came, and from where.
    forwarded: BTreeMap<ServerHandle, Passing>,
    lookups: Lookups,
    /// Forks that are waited for, until then.
    patience: Deadlines<ServerHandle>,
    guard: Guard,
    outputs: VecDeque<Output>,
    plugin: Option<Box<dyn Plugin>>,
    /// On the way out: when callers may try again, in seconds.
    draining: Option<u32>,
    /// `None`: the host keeps nothing but registrations.
    keeper: Option<Box<kept::Keeper>>,
    /// Phones that ring for a call of the process before this one, and have no connection.
    rings_on: Vec<ringing::RingsOn>,
    /// Who the caller of the INVITE that is being taken up proved to be to the process before this one.
    proven: Option<CompactString>,
}

impl Engine {
    /// An engine that knows nobody yet. `now` is only the beginning of its time.
    pub fn new(settings: Settings, now: Instant) -> Engine {
        // What need not outlive the process is made under a key that does not.
        let own = of_process(settings.key, settings.process.seed);
        let identity = Identity {
            addresses: settings
                .listeners
                .iter()
                .map(|listener| LocalAddress {
                    transport: listener.transport,
                    bound: listener.address,
                    written: compact_str::format_compact!("{}", listener.advertised),
                })
                .collect(),
            ring_timeout: settings.ring_timeout,
            guard: settings.guard,
            session_expires: settings.session_expires,
            min_se: settings.min_se,
            t1: settings.timers.t1,
            t2: settings.timers.t2,
            key: derive(own, 1),
            label: settings.label.clone(),
        };
        let transactions = Transactions::new(settings.timers, derive(own, 2));
        let table = Table::new(settings.seal(), settings.process.seed as u32);
        let mut registrar = Registrar::new(
            RegistrarConfig {
                domain: settings.domain.clone(),
                users: settings
                    .users
                    .iter()
                    .map(|user| (user.name.clone(), user.password.clone()))
                    .collect(),
                open: settings.open,
                expires: settings.expires,
                max_contacts: settings.max_contacts,
                digest: settings.digest.clone(),
                key: derive(own, 4),
            },
            now,
        );
        registrar = registrar.with_tokens(settings.tokens.clone());
        if let Some(started) = settings.process.started {
            registrar = registrar.with_wall_clock(started);
        }
        let proxy = Proxy::new(ProxyConfig {
            domain: settings.domain.clone(),
            edges: settings
                .listeners
                .iter()
                .flat_map(|listener| [listener.address.to_string(), listener.advertised.to_string()])
                .collect(),
            pbx_host: settings.pbx.as_ref().map(|pbx| pbx.host.clone()),
            key: derive(settings.key, 6),
        });
        let mut legs = Legs::new(identity, table, transactions);
        legs.endpoints = Endpoints::new(settings.media.clone());
        legs.set_media_peers(settings.media_peers());
        legs.book = Book::new(settings.names.clone(), settings.avoid, now);
        let mut transfers = Transfers::new(Calls::new(legs));
        transfers.limits = Limits {
            depth: settings.transfer_depth,
            total: settings.transfer_timeout,
            pick_up: settings.pick_up,
        };
        let mut engine = Engine {
            proxy,
            transfers,
            registrar,
            flows: FlowSeal::new(derive(settings.key, 5)),
            forwarded: BTreeMap::new(),
            lookups: Lookups::default(),
            patience: Deadlines::default(),
            guard: Guard::new(settings.limits.clone()),
            outputs: VecDeque::new(),
            plugin: None,
            draining: None,
            keeper: None,
            rings_on: Vec::new(),
            proven: None,
            settings,
        };
        let large = engine.large();
        engine.legs().transactions.large_to(large);
        engine
    }

    /// Takes one input. Everything that follows from it at this moment is done when it returns.
    pub fn handle_input(&mut self, now: Instant, input: Input) {
        match input {
            Input::Received { flow, bytes } => self.received(now, flow, bytes),
            Input::FlowFailed { flow } => {
                self.legs().transactions.flow_failed(now, &flow);
                if flow.transport.is_reliable() {
                    let theirs = self.registrar.by_flow(&flow);
                    let aors: Vec<_> = theirs.into_iter().map(|binding| binding.aor.clone()).collect();
                    self.legs().flow_lost(now, &flow, &aors);
                    let changes = self.registrar.flow_gone(&flow);
                    self.note_bindings(now, changes);
                }
            }
            Input::Resolved { id, found } => self.resolved(now, id, found),
            Input::Restored { records } => self.restored(now, records),
            Input::Beside { flows, ports } => self.beside(now, &flows, &ports),
            Input::Alone => self.legs().endpoints.allow(),
            Input::Learned { users, live } => self.learned(now, users, live),
            Input::StoreForgot => self.keep_again(),
            Input::Reloaded { settings } => self.reload(now, *settings),
            Input::Draining { retry_after } => self.draining = Some(retry_after),
            Input::Command { id, command } => self.command(now, id, command),
            Input::Media(event) => self.media_event(now, event),
        }
        self.settle(now);
    }

    /// Does what is due at `now`. To be called when [`Engine::poll_timeout`] has come; earlier calls do no harm.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.legs().transactions.handle_timeout(now);
        self.lookups_due(now);
        self.patience_ends(now);
        self.legs().handle_timeout(now);
        self.settle(now);
        self.transfers.handle_timeout(now);
        let changes = self.registrar.handle_timeout(now);
        self.note_bindings(now, changes);
        self.settle(now);
    }

    /// The next moment at which [`Engine::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let legs = &self.transfers.calls.legs;
        let lookups = [
            self.lookups.poll_timeout(),
            legs.book.poll_timeout(),
            self.patience.next(),
        ];
        [
            legs.poll_timeout(),
            self.transfers.poll_timeout(),
            self.registrar.poll_timeout(),
        ]
        .into_iter()
        .chain(lookups)
        .flatten()
        .min()
    }

    /// The next thing to do outside, in the order in which it came up.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// What lives in the engine now.
    pub fn totals(&self) -> Totals {
        let legs = &self.transfers.calls.legs;
        let (clients, servers) = legs.transactions.live();
        Totals {
            dialogs: legs.len(),
            transactions: clients + servers,
            calls: self.transfers.calls.len(),
            transfers: self.transfers.len(),
            registrations: self.registrar.len(),
            media_ports: legs.endpoints.ports_taken(),
        }
    }

    fn legs(&mut self) -> &mut Legs {
        &mut self.transfers.calls.legs
    }

    fn event(&mut self, event: Event) {
        self.transfers.calls.legs.events.push_back(event);
    }
}

/// A key that ends with the process.
fn of_process(key: [u8; 16], seed: u64) -> [u8; 16] {
    let mut mixed = derive(key, 7);
    for (octet, part) in mixed.iter_mut().zip(seed.to_be_bytes()) {
        *octet ^= part;
    }
    derive(mixed, 8)
}

/// A key of its own for each use, so that a token of one kind is never one of another.
fn derive(key: [u8; 16], purpose: u8) -> [u8; 16] {
    use std::hash::Hasher;
    let half = |half: u8| {
        let mut hasher = siphasher::sip::SipHasher24::new_with_key(&key);
        hasher.write(&[purpose, half]);
        hasher.finish().to_be_bytes()
    };
    let mut derived = [0; 16];
    derived[..8].copy_from_slice(&half(0));
    derived[8..].copy_from_slice(&half(1));
    derived
}
