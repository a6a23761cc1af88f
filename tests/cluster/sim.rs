//! Virtual time for a whole cluster: hosts with processes, the store, links between them, phones, and the network.
//!
//! Time jumps to the earliest of a delivery and a wake-up. Who has a wake-up stands in an index, so that a hundred nodes
//! cost what they do and not what they could do.

mod driver;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use warmline::cluster::{Alarm, Card, Claim, Held, Holder, Input, Place, Terms};
use warmline::dialog::Seal;
use warmline::engine::{Listener, Peer, PeerAuth, PeerMedia, ReferAnswer, Settings, TransferMode};
use warmline::phone::{Phone, PhoneConfig};
use warmline::transport::{Flow, Network, Transport};

use super::process::Process;
use super::store::{Answer, Question, Shared};

pub(crate) const DOMAIN: &str = "example.org";
pub(crate) const LEASE: Duration = Duration::from_secs(2);
const WIRE: Duration = Duration::from_millis(1);
const LINK: Duration = Duration::from_micros(500);
/// A driver's own patience with the store.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a message waits for whoever takes a number over.
const KEPT: Duration = Duration::from_secs(5);

pub(crate) fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub(crate) fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// How packets for a dead node's address reach a live one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// The address moves to whoever takes the number over (VRRP, or one host).
    Takeover,
    /// A load balancer or DNS sends them to any live node, which passes them on.
    Balancer,
}

/// What passes over the link between two processes.
#[derive(Clone, Debug)]
enum Frame {
    Message {
        flow: Flow,
        bytes: Bytes,
    },
    Send {
        flow: Flow,
        bytes: Bytes,
    },
    Ping(Held),
    Pong {
        asked: Held,
        serves: Option<Held>,
    },
    Told(Claim),
    /// The other end is not there.
    Refused {
        node: Option<u16>,
        link: SocketAddr,
        message: Option<(Flow, Bytes)>,
    },
}

#[derive(Debug)]
enum Flight {
    Edge { flow: Flow, bytes: Bytes },
    Phone { phone: usize, bytes: Bytes },
    Store { host: usize, life: u64, question: Question },
    Answer { host: usize, life: u64, answer: Answer },
    Link { from: usize, to: usize, frame: Frame },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Actor {
    Host(usize),
    Phone(usize),
}

/// A machine, with a process or without.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) sip: SocketAddr,
    pub(crate) link: SocketAddr,
    /// Counts processes: an answer for one that is gone finds nobody.
    life: u64,
    pub(crate) process: Option<Process>,
    /// Neither store nor peers are reached.
    pub(crate) cut: bool,
    /// The store alone is not reached.
    pub(crate) storeless: bool,
    /// Stopped (SIGSTOP, a virtual machine that is moved): what comes meanwhile it hears afterwards.
    frozen: Option<Vec<Flight>>,
}

/// What passed between nodes, counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traffic {
    /// Messages from phones.
    pub(crate) received: u64,
    /// Of them passed on to their owner.
    pub(crate) forwarded: u64,
    /// Messages of an owner that another node sent.
    pub(crate) sent_for: u64,
    pub(crate) pings: u64,
    pub(crate) told: u64,
    /// Wake-ups of hosts.
    pub(crate) wakes: u64,
    /// Messages that had to wait for a take-over.
    pub(crate) kept: u64,
}

/// Something that a test asks for afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Note {
    Served { host: usize, held: Held, home: bool },
    Fenced { host: usize, held: Held },
    Released { held: Held },
    Alarm { host: usize, alarm: Alarm },
}

pub(crate) struct Sim {
    pub(crate) now: Instant,
    pub(crate) start: Instant,
    pub(crate) way: Way,
    pub(crate) store: Shared,
    pub(crate) store_latency: Duration,
    pub(crate) hosts: Vec<Host>,
    pub(crate) phones: Vec<Phone>,
    pub(crate) traffic: Traffic,
    pub(crate) notes: Vec<(Instant, Note)>,
    pub(crate) durable: bool,
    /// Sound passes through the edge.
    pub(crate) relayed: bool,
    /// Phones whose messages reach this host, whatever they are addressed to.
    pub(crate) detour: BTreeMap<usize, usize>,
    addresses: BTreeMap<SocketAddr, usize>,
    by_address: BTreeMap<SocketAddr, usize>,
    flying: BTreeMap<(Instant, u64), Flight>,
    serial: u64,
    wakes: BTreeSet<(Instant, Actor)>,
    wake_of: BTreeMap<Actor, Instant>,
    seal: Seal,
    holders: u64,
}

impl Sim {
    /// That many hosts, none with a process yet.
    #[expect(clippy::disallowed_methods, reason = "the one base of virtual time")]
    pub(crate) fn new(hosts: usize, way: Way) -> Sim {
        let now = Instant::now();
        let address = |n: usize, port| SocketAddr::from(([10, 1, (n / 250) as u8, (n % 250) as u8 + 1], port));
        let host = |n| Host {
            sip: address(n, 5060),
            link: address(n, 7060),
            life: 0,
            process: None,
            cut: false,
            storeless: false,
            frozen: None,
        };
        Sim {
            now,
            start: now,
            way,
            store: Shared::new(),
            store_latency: Duration::from_micros(300),
            hosts: (0..hosts).map(host).collect(),
            phones: Vec::new(),
            traffic: Traffic::default(),
            notes: Vec::new(),
            durable: false,
            relayed: false,
            detour: BTreeMap::new(),
            addresses: (0..hosts).map(|n| (address(n, 5060), n)).collect(),
            by_address: BTreeMap::new(),
            flying: BTreeMap::new(),
            serial: 0,
            wakes: BTreeSet::new(),
            wake_of: BTreeMap::new(),
            seal: settings(address(0, 5060)).seal(),
            holders: 0,
        }
    }

    /// A process begins on this host.
    pub(crate) fn boot(&mut self, host: usize) {
        self.holders += 1;
        let holder = Holder(self.holders.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let machine = &mut self.hosts[host];
        machine.life += 1;
        let me = Card {
            holder,
            link: machine.link,
        };
        let terms = Terms {
            lease: LEASE,
            wanted: u16::try_from(host).ok(),
            listeners: vec![machine.sip],
            ..Terms::default()
        };
        let mut own = settings(machine.sip);
        if self.relayed {
            own.media.mode = warmline::media::describe::Mode::Relay;
        }
        own.media.secret = [self.holders as u8; 32];
        own.media.fingerprint = warmline::media::Fingerprint([self.holders as u8; 32]);
        machine.process = Some(Process::new(own, terms, me, self.now, self.durable));
        self.addresses.insert(machine.sip, host);
        self.touch(Actor::Host(host));
    }

    /// Boots every host, at moments of their own within a quarter of a lease.
    pub(crate) fn boot_all(&mut self) {
        for host in 0..self.hosts.len() {
            self.boot(host);
            if host % 4 == 3 {
                self.advance(LEASE / 4 * 4 / u32::try_from(self.hosts.len()).expect("few") + millis(1));
            }
        }
        self.advance(seconds(3));
        for host in 0..self.hosts.len() {
            assert!(self.process(host).home().is_some(), "host {host} has no number");
        }
    }

    /// The process dies: what it has not said is never said.
    pub(crate) fn kill(&mut self, host: usize) {
        self.hosts[host].process = None;
        self.hosts[host].frozen = None;
        self.touch(Actor::Host(host));
    }

    pub(crate) fn process(&self, host: usize) -> &Process {
        self.hosts[host].process.as_ref().expect("it lives")
    }

    pub(crate) fn lives(&self, host: usize) -> bool {
        self.hosts[host].process.is_some()
    }

    /// A phone that knows this host's address.
    pub(crate) fn add_phone(&mut self, user: &str, host: usize) -> usize {
        let n = self.phones.len();
        let address = SocketAddr::from(([10, 200, (n / 250) as u8, (n % 250) as u8 + 1], 5060));
        let media = SocketAddr::from(([10, 201, (n / 250) as u8, (n % 250) as u8 + 1], 40_000));
        let config = PhoneConfig::new(user, user, DOMAIN, address, self.hosts[host].sip);
        self.phones.push(Phone::new(PhoneConfig { media, ..config }));
        self.by_address.insert(address, n);
        n
    }

    /// Does something with a phone at the present moment.
    pub(crate) fn at<T>(&mut self, phone: usize, act: impl FnOnce(&mut Phone, Instant) -> T) -> T {
        let done = act(&mut self.phones[phone], self.now);
        self.pump_phone(phone);
        done
    }

    /// Lets `duration` go by.
    pub(crate) fn advance(&mut self, duration: Duration) {
        let end = self.now + duration;
        let mut still = 0;
        while let Some(next) = self.next().filter(|next| *next <= end) {
            still = if next <= self.now { still + 1 } else { 0 };
            assert!(still < 100_000, "time stands still");
            self.now = self.now.max(next);
            self.step();
        }
        self.now = end;
    }

    /// Until this holds, as long as `bound`; says after how long.
    pub(crate) fn until(&mut self, bound: Duration, holds: impl Fn(&Sim) -> bool) -> Option<Duration> {
        let begin = self.now;
        while !holds(self) {
            if self.now - begin >= bound {
                return None;
            }
            self.advance(millis(10));
        }
        Some(self.now - begin)
    }

    fn next(&self) -> Option<Instant> {
        let flight = self.flying.keys().next().map(|(at, _)| *at);
        let wake = self.wakes.first().map(|(at, _)| *at);
        flight.into_iter().chain(wake).min()
    }

    fn step(&mut self) {
        if let Some(entry) = self.flying.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let flight = entry.remove();
            self.land(flight);
        } else if let Some((_, actor)) = self.wakes.first().copied().filter(|(at, _)| *at <= self.now) {
            let now = self.now;
            match actor {
                Actor::Phone(phone) => {
                    self.phones[phone].handle_timeout(now);
                    self.pump_phone(phone);
                }
                Actor::Host(host) => {
                    self.traffic.wakes += 1;
                    if let Some(process) = &mut self.hosts[host].process {
                        process.handle_timeout(now);
                    }
                    self.pump(host);
                }
            }
        }
    }

    fn fly(&mut self, time: Duration, flight: Flight) {
        self.serial += 1;
        self.flying.insert((self.now + time, self.serial), flight);
    }

    /// Its wake-up may be another one.
    fn touch(&mut self, actor: Actor) {
        let wake = match actor {
            Actor::Phone(phone) => self.phones[phone].poll_timeout(),
            Actor::Host(host) => match &self.hosts[host] {
                Host { frozen: Some(_), .. } | Host { process: None, .. } => None,
                Host {
                    process: Some(process), ..
                } => process.poll_timeout(),
            },
        };
        let before = match wake {
            Some(wake) => self.wake_of.insert(actor, wake),
            None => self.wake_of.remove(&actor),
        };
        before.map(|before| self.wakes.remove(&(before, actor)));
        wake.map(|wake| self.wakes.insert((wake, actor)));
    }

    fn pump_phone(&mut self, phone: usize) {
        while let Some(bytes) = self.phones[phone].poll_transmit() {
            let config = self.phones[phone].config();
            let flow = Flow {
                transport: Transport::Udp,
                local: config.edge,
                remote: config.address,
                connection: 0,
            };
            self.fly(WIRE, Flight::Edge { flow, bytes });
        }
        while self.phones[phone].poll_event().is_some() {}
        self.touch(Actor::Phone(phone));
    }

    /// Stops a process without its knowing.
    pub(crate) fn freeze(&mut self, host: usize) {
        self.hosts[host].frozen = Some(Vec::new());
        self.touch(Actor::Host(host));
    }

    pub(crate) fn is_frozen(&self, host: usize) -> bool {
        self.hosts[host].frozen.is_some()
    }

    /// It goes on as if no time had passed; phones' messages come first.
    pub(crate) fn thaw(&mut self, host: usize) {
        let mut missed = self.hosts[host].frozen.take().unwrap_or_default();
        missed.sort_by_key(|flight| !matches!(flight, Flight::Edge { .. }));
        for flight in missed {
            self.land(flight);
        }
        self.pump(host);
    }

    fn land(&mut self, flight: Flight) {
        let now = self.now;
        let host = match &flight {
            Flight::Edge { flow, .. } => self.addresses.get(&flow.local).copied(),
            Flight::Answer { host, .. } | Flight::Link { to: host, .. } => Some(*host),
            Flight::Phone { .. } | Flight::Store { .. } => None,
        };
        if let Some(missed) = host.and_then(|host| self.hosts[host].frozen.as_mut()) {
            missed.push(flight);
            return;
        }
        match flight {
            Flight::Phone { phone, bytes } => {
                self.phones[phone].handle(now, bytes);
                self.pump_phone(phone);
            }
            Flight::Edge { flow, bytes } => self.at_edge(flow, bytes),
            Flight::Store { host, life, question } => {
                let answer = self.store.ask(question);
                self.fly(self.store_latency, Flight::Answer { host, life, answer });
            }
            Flight::Answer { host, life, answer } if self.hosts[host].life == life => self.answered(host, answer),
            Flight::Answer { .. } => {}
            Flight::Link { from, to, frame } => self.linked(from, to, frame),
        }
    }

    /// Tells a process something.
    pub(crate) fn tell(&mut self, host: usize, input: Input) {
        let now = self.now;
        self.process_mut(host).membership.handle_input(now, input);
        self.pump(host);
    }

    /// What a phone sent and heard last, for a test that fails.
    pub(crate) fn print_lines(&self, phone: usize) {
        let lines = self.phones[phone].lines();
        for line in lines.iter().skip(lines.len().saturating_sub(30)) {
            let arrow = if line.sent { "──▶" } else { "◀──" };
            eprintln!("{:>10.3?} {arrow} {}", line.at - self.start, line.summary);
        }
        eprintln!("{:?}", self.notes);
    }

    /// Which host serves that number now.
    pub(crate) fn server_of(&self, node: u16) -> Option<usize> {
        (0..self.hosts.len())
            .find(|host| self.lives(*host) && self.process(*host).membership.place_of(node) == Place::Here)
    }

    pub(crate) fn served_by_others(&self, host: usize) -> usize {
        let live = self.hosts.get(host).and_then(|host| host.process.as_ref());
        live.map_or(0, |process| process.serving.len().saturating_sub(1))
    }
}

/// One edge of the cluster.
fn settings(address: SocketAddr) -> Settings {
    Settings {
        domain: DOMAIN.to_owned(),
        listeners: vec![Listener {
            transport: Transport::Udp,
            address,
            advertised: address,
        }],
        key: *b"one cluster, one",
        // A Refer-To names the Contact that the phone was given, at whatever node.
        peers: vec![nodes()],
        reach: vec!["*".to_owned()],
        ..Settings::loopback(address)
    }
}

/// The other nodes: trusted by their addresses.
fn nodes() -> Peer {
    Peer {
        name: "nodes".to_owned(),
        networks: vec![Network {
            address: [10, 1, 0, 0].into(),
            prefix: 16,
        }],
        auth: PeerAuth::None,
        transfer: TransferMode::Native,
        refer_answer: ReferAnswer::Auto,
        credentials: None,
        keeps_call_id: false,
        media: PeerMedia::default(),
    }
}
