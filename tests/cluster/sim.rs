//! Virtual time for a whole cluster: hosts with processes, the store, links between them, phones, and the network.
//!
//! Time jumps to the earliest of a delivery and a wake-up. Who has a wake-up stands in an index, so that a hundred nodes
//! cost what they do and not what they could do.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use warmline::cluster::{Alarm, Card, Claim, Held, Holder, Input, Output as Order, Place, Terms, Whereto};
use warmline::dialog::Seal;
use warmline::engine::{Listener, Peer, PeerAuth, PeerMedia, ReferAnswer, Settings, TransferMode};
use warmline::phone::{Phone, PhoneConfig};
use warmline::sip::Message;
use warmline::transport::{Flow, Network, Transport};

use super::process::{Process, Wish};
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

    /// A message of a phone: to whoever has the address, or to whoever the balancer picks.
    fn at_edge(&mut self, mut flow: Flow, bytes: Bytes) {
        let phone = self.by_address.get(&flow.remote).copied();
        let addressed = self.addresses.get(&flow.local).copied();
        let picked = phone
            .and_then(|phone| self.detour.get(&phone).copied())
            .or(addressed)
            .filter(|host| self.lives(*host));
        let host = match (picked, self.way) {
            (Some(host), _) => host,
            (None, Way::Takeover) => return,
            (None, Way::Balancer) => {
                let live: Vec<usize> = (0..self.hosts.len()).filter(|host| self.lives(*host)).collect();
                let Some(host) = live.get(phone.unwrap_or_default() % live.len().max(1)) else {
                    return;
                };
                *host
            }
        };
        if self.way == Way::Balancer || phone.is_some_and(|phone| self.detour.contains_key(&phone)) {
            flow.local = self.hosts[host].sip;
        }
        self.traffic.received += 1;
        self.dispatch(host, flow, bytes, false);
        self.pump(host);
    }

    /// To the engine that it belongs to, or over the link; or it waits.
    fn dispatch(&mut self, host: usize, flow: Flow, bytes: Bytes, by_link: bool) {
        let now = self.now;
        let Some(process) = &mut self.hosts[host].process else {
            return;
        };
        let Ok(message) = Message::parse(bytes.clone()) else {
            return;
        };
        let taken = match process.membership.whereto(&self.seal, &message, by_link) {
            Whereto::Home => {
                // Nobody is home yet: a caller asks again.
                let home = process.home();
                home.is_none_or(|home| process.received(now, home, flow, bytes.clone()) || true)
            }
            Whereto::Here(node) => process.received(now, node, flow, bytes.clone()),
            Whereto::Peer { node, link } => {
                self.traffic.forwarded += 1;
                let frame = Frame::Message {
                    flow,
                    bytes: bytes.clone(),
                };
                self.link(host, Some(node), link, frame);
                true
            }
            Whereto::Wait(_) => false,
            Whereto::Nobody(node) => {
                process.membership.handle_input(now, Input::Missed { node });
                process
                    .home()
                    .is_some_and(|home| process.received(now, home, flow, bytes.clone()))
            }
        };
        if !taken && let Some(process) = &mut self.hosts[host].process {
            self.traffic.kept += 1;
            process.waiting.push((now, flow, bytes, by_link));
        }
    }

    fn again(&mut self, host: usize) {
        let now = self.now;
        let Some(process) = &mut self.hosts[host].process else {
            return;
        };
        for (since, flow, bytes, by_link) in std::mem::take(&mut process.waiting) {
            if since + KEPT > now {
                let before = self.process(host).waiting.len();
                self.dispatch(host, flow, bytes, by_link);
                let process = self.hosts[host].process.as_mut().expect("it lives");
                if process.waiting.len() > before
                    && let Some(last) = process.waiting.last_mut()
                {
                    self.traffic.kept -= 1;
                    last.0 = since;
                }
            }
        }
    }

    /// Sends a frame to whoever is at that address.
    fn link(&mut self, host: usize, node: Option<u16>, link: SocketAddr, frame: Frame) {
        let to = self.hosts.iter().position(|host| host.link == link);
        let open = to.filter(|to| self.lives(*to) && !self.hosts[*to].cut && !self.hosts[host].cut);
        match open {
            Some(to) => self.fly(LINK, Flight::Link { from: host, to, frame }),
            None => {
                let message = match frame {
                    Frame::Message { flow, bytes } => Some((flow, bytes)),
                    Frame::Send { .. }
                    | Frame::Ping(_)
                    | Frame::Pong { .. }
                    | Frame::Told(_)
                    | Frame::Refused { .. } => None,
                };
                let frame = Frame::Refused { node, link, message };
                self.fly(
                    LINK,
                    Flight::Link {
                        from: host,
                        to: host,
                        frame,
                    },
                );
            }
        }
    }

    fn linked(&mut self, from: usize, to: usize, frame: Frame) {
        let now = self.now;
        let Some(process) = &mut self.hosts[to].process else {
            return;
        };
        match frame {
            Frame::Message { flow, bytes } => self.dispatch(to, flow, bytes, true),
            Frame::Send { flow, bytes } => self.transmit(to, flow, bytes),
            Frame::Ping(asked) => {
                let serves = process.membership.held().find(|held| held.node == asked.node);
                self.fly(
                    LINK,
                    Flight::Link {
                        from: to,
                        to: from,
                        frame: Frame::Pong { asked, serves },
                    },
                );
            }
            Frame::Pong { asked, serves } => {
                let input = match serves.filter(|held| held.token >= asked.token) {
                    Some(held) => Input::PeerPinged(held),
                    None => Input::PeerSilent { node: asked.node },
                };
                process.membership.handle_input(now, input);
            }
            Frame::Told(claim) => process.membership.handle_input(now, Input::Told(claim)),
            Frame::Refused { node, link, message } => {
                process.membership.handle_input(now, Input::LinkLost { link });
                if let Some(node) = node {
                    process.membership.handle_input(now, Input::PeerSilent { node });
                }
                if let Some((flow, bytes)) = message {
                    process.waiting.push((now, flow, bytes, false));
                    self.traffic.kept += 1;
                }
            }
        }
        self.pump(to);
    }

    /// Puts a message on the wire, from here or from whoever has the address.
    fn transmit(&mut self, host: usize, flow: Flow, bytes: Bytes) {
        let owner = self.addresses.get(&flow.local).copied();
        if owner == Some(host) {
            if let Some(phone) = self.by_address.get(&flow.remote).copied() {
                self.fly(WIRE, Flight::Phone { phone, bytes });
            } else if self.addresses.contains_key(&flow.remote) {
                // One edge to another, as any two do.
                let (local, remote) = (flow.remote, flow.local);
                let flow = Flow { local, remote, ..flow };
                self.fly(WIRE, Flight::Edge { flow, bytes });
            }
            return;
        }
        // Processes tell each other which sockets they have: a number's address and the number may be at two of them.
        if let Some(to) = owner.filter(|to| self.lives(*to)) {
            self.traffic.sent_for += 1;
            let link = self.hosts[to].link;
            self.link(host, None, link, Frame::Send { flow, bytes });
        }
    }

    fn answered(&mut self, host: usize, answer: Answer) {
        let (now, start) = (self.now, self.start);
        let Some(process) = &mut self.hosts[host].process else {
            return;
        };
        match answer {
            Answer::Order(id, Some(answer)) => process.membership.handle_input(now, Input::Answered { id, answer }),
            Answer::Order(id, None) => process.membership.handle_input(now, Input::Failed { id }),
            Answer::Written(held, done) => {
                process.written(held, done.map(|stands| stands == Some(held.token)));
                match done {
                    Some(stands) if stands != Some(held.token) => {
                        process
                            .membership
                            .handle_input(now, Input::WriteRefused { held, stands });
                    }
                    Some(_) => {}
                    None => self.retry_later(host),
                }
            }
            Answer::Users(done) => {
                process.users_written(done);
                if done.is_none() {
                    self.retry_later(host);
                }
            }
            Answer::Records(held, Some(records)) => {
                let claim = process.membership.claim_of(held.node);
                let own = process.settings.listeners[0].address;
                let listeners = match self.way {
                    Way::Takeover => claim.map_or(vec![own], |claim| claim.listeners),
                    Way::Balancer => vec![own],
                };
                process.begin(now, held, &listeners, start, records);
                if self.way == Way::Takeover {
                    for address in listeners {
                        // An address whose host has a process of its own does not move.
                        let native = self.hosts.iter().position(|host| host.sip == address);
                        if native.is_none_or(|native| !self.lives(native) || self.hosts[native].cut) {
                            self.addresses.insert(address, host);
                        }
                    }
                }
            }
            Answer::Records(held, None) => self.ask(host, Question::Read(held), seconds(1)),
        }
        self.pump(host);
    }

    /// The queue is looked at again; nothing else is due.
    fn retry_later(&mut self, host: usize) {
        let life = self.hosts[host].life;
        let answer = Answer::Users(Some(()));
        // An answer to nothing wakes the host.
        self.fly(LEASE / 8, Flight::Answer { host, life, answer });
    }

    fn ask(&mut self, host: usize, question: Question, after: Duration) {
        let life = self.hosts[host].life;
        if self.hosts[host].cut || self.hosts[host].storeless {
            // Silence: membership has a patience of its own, the driver one for the rest.
            let answer = match question {
                Question::Order(..) => return,
                Question::Write { held, .. } => Answer::Written(held, None),
                Question::Users(_) => Answer::Users(None),
                Question::Read(held) => Answer::Records(held, None),
            };
            self.fly(PATIENCE, Flight::Answer { host, life, answer });
            return;
        }
        self.fly(self.store_latency + after, Flight::Store { host, life, question });
    }

    /// Does what the process wants done, and what follows from it at once.
    fn pump(&mut self, host: usize) {
        self.again(host);
        for _ in 0..100 {
            let Some(process) = &mut self.hosts[host].process else {
                break;
            };
            let wishes = process.wishes(true);
            if wishes.is_empty() {
                break;
            }
            for wish in wishes {
                match wish {
                    Wish::Store(question) => self.ask(host, question, Duration::ZERO),
                    Wish::Transmit(flow, bytes) => self.transmit(host, flow, bytes),
                    Wish::Cluster(order) => self.obey(host, order),
                }
            }
            if let Some(process) = &mut self.hosts[host].process {
                for node in process.emptied() {
                    process.membership.handle_input(self.now, Input::Emptied { node });
                }
            }
        }
        self.touch(Actor::Host(host));
    }

    fn obey(&mut self, host: usize, order: Order) {
        let note = |sim: &mut Sim, note| sim.notes.push((sim.now, note));
        match order {
            Order::Store { id, order } => self.ask(host, Question::Order(id, order), Duration::ZERO),
            Order::Ping { held, link } => {
                self.traffic.pings += 1;
                self.link(host, Some(held.node), link, Frame::Ping(held));
            }
            Order::Serve { held, home, .. } => {
                note(self, Note::Served { host, held, home });
                self.process_mut(host).serve(held, home);
                self.ask(host, Question::Read(held), Duration::ZERO);
            }
            Order::Reclaimed(held) => {
                let now = self.now;
                self.process_mut(host).reclaimed(now, held);
            }
            Order::Fenced(held) => {
                note(self, Note::Fenced { host, held });
                self.process_mut(host).serving.remove(&held.node);
            }
            Order::Released(held) => {
                note(self, Note::Released { held });
                self.process_mut(host).serving.remove(&held.node);
            }
            Order::Tell(claim) => {
                for to in 0..self.hosts.len() {
                    if to != host && self.lives(to) && !self.hosts[to].cut && !self.hosts[host].cut {
                        self.traffic.told += 1;
                        let frame = Frame::Told(claim.clone());
                        self.fly(LINK, Flight::Link { from: host, to, frame });
                    }
                }
            }
            Order::Alarm(alarm) => note(self, Note::Alarm { host, alarm }),
        }
    }

    fn process_mut(&mut self, host: usize) -> &mut Process {
        self.hosts[host].process.as_mut().expect("it lives")
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
