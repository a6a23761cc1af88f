//! Virtual time: one engine, four phones, a network in memory.
//!
//! ```text
//! let mut world = World::new();                       // alice, bob, carol and dave are registered
//! let warm = world.warm();                            // bob called alice; alice holds him and talks with carol
//! world.alice().refer_attended(warm.customer, warm.consult);
//! world.advance(millis(280));
//! world.alice().bye(warm.customer);
//! world.run();
//! assert!(world.connected(BOB, CAROL));
//! ```
//!
//! Time jumps to the earliest of: a delivery, a phone's timer, the engine's wake-up. Nothing sleeps. A test that fails
//! prints the whole message ladder, the engine's events among the messages.

#![allow(
    dead_code,
    unused_imports,
    reason = "every test file uses its own part of the harness"
)]

mod hub;
mod media;
mod network;
pub(crate) mod people;
mod restart;
mod seat;
mod setup;
mod view;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use warmline::engine::{Command, CommandId, Engine, Event, Input, LookupId, Output, Plugin, Refusal, Reply, Settings};
use warmline::media::MediaCommand;
use warmline::observe::Records;
use warmline::phone::{Phone, PhoneConfig, PhoneEvent, PhoneTransport};
use warmline::transport::locate::{Found, LookupFailed, Wanted};
use warmline::transport::{Flow, Transport};
use warmline::vocabulary::Moment;

pub(crate) use hub::party;
pub(crate) use network::{Fate, Packet};
pub(crate) use seat::Seat;
pub(crate) use setup::{Warm, users};

use network::Delivery;

/// A party of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    Alice,
    Bob,
    Carol,
    Dave,
}

/// The operator: transferor.
pub(crate) const ALICE: Who = Who::Alice;
/// The customer: transferee.
pub(crate) const BOB: Who = Who::Bob;
/// The consult: target.
pub(crate) const CAROL: Who = Who::Carol;
/// A stranger.
pub(crate) const DAVE: Who = Who::Dave;

pub(crate) const EVERYBODY: [Who; 4] = [ALICE, BOB, CAROL, DAVE];

pub(crate) const DOMAIN: &str = "example.org";
pub(crate) const EDGE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 1)), 5060);

/// How long nothing may happen before [`World::run`] believes that nothing will: longer than T2 and than the longest
/// wait after a 491 (4 s).
const QUIET: Duration = Duration::from_millis(4_600);
/// How long [`World::run`] goes on at most.
const BOUND: Duration = Duration::from_secs(180);

pub(crate) fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub(crate) fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

impl Who {
    pub(crate) fn user(self) -> &'static str {
        match self {
            Who::Alice => "alice",
            Who::Bob => "bob",
            Who::Carol => "carol",
            Who::Dave => "dave",
        }
    }

    pub(crate) fn uri(self) -> String {
        format!("sip:{}@{DOMAIN}", self.user())
    }

    pub(crate) fn password(self) -> String {
        format!("secret of {}", self.user())
    }

    pub(crate) fn address(self) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 11 + self as u8], 5060))
    }
}

/// The engine, the phones and what is between them.
pub(crate) struct World {
    pub(crate) now: Instant,
    start: Instant,
    engine: Engine,
    phones: Vec<Phone>,
    heard: Vec<(Who, PhoneEvent)>,
    events: Vec<(Instant, Event)>,
    /// Shown every event, whether a test forgets them or not.
    records: Records,
    legs_started: usize,
    replies: BTreeMap<u64, Result<Reply, Refusal>>,
    next_command: u64,
    in_flight: BTreeMap<(Instant, u64), Delivery>,
    serial: u64,
    latency: Duration,
    /// How often each phone has come back on a new connection.
    reconnected: BTreeMap<Who, u64>,
    rule: Box<dyn FnMut(&Packet) -> Fate>,
    last_message: Instant,
    /// What went to an address where no phone is: what a PBX or trunk of the test would get.
    strays: Vec<(Flow, Bytes)>,
    /// What the packet half was told, oldest first.
    media: Vec<MediaCommand>,
    /// Look-ups that the test has not answered yet.
    questions: Vec<(LookupId, Wanted)>,
    ladder: Vec<String>,
    tolerated: Vec<&'static str>,
    why: Vec<String>,
    process: restart::Process,
}

impl World {
    /// An open edge and four phones that are registered at it.
    pub(crate) fn new() -> World {
        World::with(|_| {})
    }

    /// The same with other settings.
    pub(crate) fn with(change: impl FnOnce(&mut Settings)) -> World {
        let mut world = World::unregistered(change, |_| PhoneTransport::Udp);
        world.register_everybody();
        world
    }

    /// The same with a site's policy.
    pub(crate) fn with_plugin(change: impl FnOnce(&mut Settings), plugin: impl Plugin + 'static) -> World {
        let mut world = World::unregistered(change, |_| PhoneTransport::Udp);
        // Nothing has happened yet that the engine without its plugin could have known.
        let bare = Engine::new(Settings::loopback(EDGE), world.now);
        world.engine = std::mem::replace(&mut world.engine, bare).with_plugin(plugin);
        world.register_everybody();
        world
    }

    /// The same with phones that use TCP.
    pub(crate) fn over(transport: impl Fn(Who) -> PhoneTransport) -> World {
        let mut world = World::unregistered(|_| {}, transport);
        world.register_everybody();
        world
    }

    /// The same with browsers: WebSocket, and ICE in their descriptions.
    pub(crate) fn of_browsers() -> World {
        let mut world = World::unregistered(|_| {}, |_| PhoneTransport::Ws);
        for who in EVERYBODY {
            let config = world.phone(who).config().clone();
            world.phones[who as usize] = Phone::new(PhoneConfig { ice: true, ..config });
        }
        world.register_everybody();
        world
    }

    /// Phones that nobody has registered yet.
    #[expect(clippy::disallowed_methods, reason = "the one base of virtual time")]
    pub(crate) fn unregistered(change: impl FnOnce(&mut Settings), transport: impl Fn(Who) -> PhoneTransport) -> World {
        let now = Instant::now();
        let mut settings = setup::settings();
        change(&mut settings);
        let process = restart::Process::new(&settings);
        let phone = |who: Who| {
            let config = PhoneConfig::new(who.user(), &who.password(), DOMAIN, who.address(), EDGE);
            let media = SocketAddr::from(([10, 0, 1, 11 + who as u8], 40_000 + 2 * who as u16));
            Phone::new(PhoneConfig {
                media,
                transport: transport(who),
                ..config
            })
        };
        World {
            now,
            start: now,
            engine: Engine::new(settings, now),
            phones: EVERYBODY.into_iter().map(phone).collect(),
            heard: Vec::new(),
            events: Vec::new(),
            records: Records::new(10_000),
            legs_started: 0,
            replies: BTreeMap::new(),
            next_command: 1,
            in_flight: BTreeMap::new(),
            serial: 0,
            latency: millis(1),
            reconnected: BTreeMap::new(),
            rule: Box::new(|_| Fate::Deliver),
            last_message: now,
            strays: Vec::new(),
            media: Vec::new(),
            questions: Vec::new(),
            ladder: Vec::new(),
            tolerated: Vec::new(),
            why: Vec::new(),
            process,
        }
    }

    /// A phone, to be asked.
    pub(crate) fn phone(&self, who: Who) -> &Phone {
        &self.phones[who as usize]
    }

    /// A phone, to be commanded.
    pub(crate) fn seat(&mut self, who: Who) -> Seat<'_> {
        Seat::new(self, who)
    }

    pub(crate) fn alice(&mut self) -> Seat<'_> {
        self.seat(ALICE)
    }

    pub(crate) fn bob(&mut self) -> Seat<'_> {
        self.seat(BOB)
    }

    pub(crate) fn carol(&mut self) -> Seat<'_> {
        self.seat(CAROL)
    }

    pub(crate) fn dave(&mut self) -> Seat<'_> {
        self.seat(DAVE)
    }

    /// Gives the engine an order; its answer is in [`World::reply`] once the engine has it.
    pub(crate) fn command(&mut self, command: Command) -> CommandId {
        let id = CommandId(self.next_command);
        self.next_command += 1;
        let line = format!("{:>8}  ⌘ {command:?}", self.clock());
        if !matches!(
            command,
            Command::Calls | Command::Totals | Command::Transfers | Command::Registrations
        ) {
            self.ladder.push(line);
        }
        self.engine.handle_input(self.now, Input::Command { id, command });
        self.pump();
        id
    }

    /// The answer to an order.
    pub(crate) fn reply(&self, id: CommandId) -> Option<&Result<Reply, Refusal>> {
        self.replies.get(&id.0)
    }

    /// Lets `duration` go by.
    pub(crate) fn advance(&mut self, duration: Duration) {
        let end = self.now + duration;
        self.pump();
        while let Some(next) = self.next().filter(|next| *next <= end) {
            self.step(next);
        }
        self.now = end;
    }

    /// Goes on until nothing is under way any more. Long timers (ringing, bindings) are left alone.
    pub(crate) fn run(&mut self) {
        self.pump();
        self.last_message = self.now;
        let bound = self.now + BOUND;
        while let Some(next) = self.next().filter(|next| *next <= self.last_message + QUIET) {
            assert!(next < bound, "the network does not become quiet within {BOUND:?}");
            self.step(next);
        }
    }

    /// The earliest thing that will happen.
    fn next(&self) -> Option<Instant> {
        let delivery = self.in_flight.keys().next().map(|(at, _)| *at);
        let phones = self.phones.iter().filter_map(Phone::poll_timeout);
        phones.chain(delivery).chain(self.engine.poll_timeout()).min()
    }

    fn step(&mut self, next: Instant) {
        self.now = self.now.max(next);
        for _ in 0..1_000 {
            self.happen();
            self.pump();
            if self.next().is_none_or(|next| next > self.now) {
                return;
            }
        }
        panic!("time stands still: somebody asks for a wake-up and does nothing with it");
    }

    fn happen(&mut self) {
        while let Some(entry) = self.in_flight.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let delivery = entry.remove();
            self.last_message = self.now;
            self.deliver(delivery);
            self.pump();
        }
        for phone in &mut self.phones {
            if phone.poll_timeout().is_some_and(|at| at <= self.now) {
                phone.handle_timeout(self.now);
            }
        }
        if self.engine.poll_timeout().is_some_and(|at| at <= self.now) {
            self.engine.handle_timeout(self.now);
        }
    }

    fn deliver(&mut self, delivery: Delivery) {
        match delivery {
            Delivery::ToEdge { .. } | Delivery::Dead { .. } if self.process.is_dead() => {}
            Delivery::ToEdge { flow, bytes } => self.engine.handle_input(self.now, Input::Received { flow, bytes }),
            Delivery::ToPhone { who, bytes } => self.phones[who as usize].handle(self.now, bytes),
            Delivery::Dead { flow } => self.fail_flow(flow),
        }
    }

    /// Takes what everybody wants to send or say, and puts it on the wire or on record.
    pub(crate) fn pump(&mut self) {
        self.take_outputs();
    }

    /// As the driver does: what is to be kept is kept before anything leaves, with what it means for the records.
    fn kept_and_others(&mut self) -> Vec<Output> {
        let (mut outputs, mut changes) = (Vec::new(), Vec::new());
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Store { changes: more } => changes.extend(more),
                Output::Event(event) => {
                    self.records.event(self.moment(), &event);
                    outputs.push(Output::Event(event));
                }
                output @ (Output::Transmit { .. }
                | Output::Resolve { .. }
                | Output::Media(_)
                | Output::Reply { .. }) => outputs.push(output),
            }
        }
        if !changes.is_empty() {
            if self.dies_now() {
                return Vec::new();
            }
            self.keep(changes);
        }
        self.keep_records();
        outputs
    }

    fn take_outputs(&mut self) {
        for who in EVERYBODY {
            while let Some(bytes) = self.phones[who as usize].poll_transmit() {
                let flow = self.flow_of(who);
                self.post(Some(who), flow, bytes);
            }
            while let Some(event) = self.phones[who as usize].poll_event() {
                self.heard.push((who, event));
            }
        }
        for output in self.kept_and_others() {
            if self.dies_now() {
                return;
            }
            match output {
                Output::Transmit { flow, bytes } => self.post(None, flow, bytes),
                Output::Store { changes } => self.keep(changes),
                Output::Media(command) => {
                    self.ladder.push(format!("{:>8}  ♪ {command:?}", self.clock()));
                    self.media.push(command);
                }
                Output::Resolve { id, wanted, .. } => {
                    self.ladder.push(format!("{:>8}  ? {wanted}", self.clock()));
                    self.questions.push((id, wanted));
                }
                Output::Event(event) => {
                    let text = serde_json::to_string(&event).expect("an event is plain data");
                    self.ladder.push(format!("{:>8}  · {text}", self.clock()));
                    self.legs_started += usize::from(matches!(event, Event::LegStarted { .. }));
                    self.events.push((self.now, event));
                }
                Output::Reply { id, reply } => {
                    self.replies.insert(id.0, reply);
                }
            }
        }
    }

    /// The flow on which a phone's messages arrive at the edge.
    pub(crate) fn flow_of(&self, who: Who) -> Flow {
        let again = 100 * self.reconnected.get(&who).copied().unwrap_or_default();
        let (transport, connection) = match self.phone(who).config().transport {
            PhoneTransport::Udp => (Transport::Udp, 0),
            PhoneTransport::Tcp => (Transport::Tcp, 1 + who as u64),
            PhoneTransport::Tls => (Transport::Tls, 1 + who as u64),
            PhoneTransport::Ws => (Transport::Ws, 1 + who as u64),
            PhoneTransport::Wss => (Transport::Wss, 1 + who as u64),
        };
        Flow {
            transport,
            local: EDGE,
            remote: who.address(),
            connection: if connection == 0 { 0 } else { connection + again },
        }
    }

    /// The phone is on another connection from now on; the one that it was on carries nothing any more.
    pub(crate) fn reconnect(&mut self, who: Who) {
        *self.reconnected.entry(who).or_default() += 1;
    }

    /// What the engine wants to have looked up; each is given once.
    pub(crate) fn take_questions(&mut self) -> Vec<(LookupId, Wanted)> {
        std::mem::take(&mut self.questions)
    }

    /// The answer of a name server.
    pub(crate) fn resolved(&mut self, id: LookupId, found: Result<Found, LookupFailed>) {
        self.engine.handle_input(self.now, Input::Resolved { id, found });
        self.pump();
    }

    /// A flow to a place of the test can carry nothing.
    pub(crate) fn fail_flow(&mut self, flow: Flow) {
        self.engine.handle_input(self.now, Input::FlowFailed { flow });
        self.pump();
    }

    /// Tells the engine that a phone's connection is gone.
    pub(crate) fn break_flow(&mut self, who: Who) {
        let flow = self.flow_of(who);
        self.engine.handle_input(self.now, Input::FlowFailed { flow });
        self.pump();
    }

    /// The time of day in this world, which began in 1970.
    pub(crate) fn moment(&self) -> Moment {
        let since = self.now.duration_since(self.start);
        Moment(u64::try_from(since.as_millis()).expect("not that long"))
    }

    /// Milliseconds since the beginning, for ladders.
    fn clock(&self) -> String {
        let elapsed = self.now.duration_since(self.start);
        format!("{}.{:03}", elapsed.as_secs(), elapsed.subsec_millis())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.ladder());
            for why in &self.why {
                eprintln!("not connected: {why}");
            }
            for phone in &self.phones {
                for complaint in phone.complaints() {
                    eprintln!("{} complains: {complaint}", phone.config().user);
                }
            }
        }
    }
}
