//! The engine in virtual time, and what it spends.

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use regex::Regex;
use warmline::engine::{Engine, Event, Input, Network, Output, Peer, PeerAuth, Route, Settings, TransferMode};
use warmline::transport::{Flow, Transport};

pub(crate) const EDGE: SocketAddr = at(1);
pub(crate) const CALLER: SocketAddr = at(2);
pub(crate) const CALLEE: SocketAddr = at(3);

/// What callgrind counts, and the clock: the engine's work and nothing else.
pub(crate) const COUNTED: &str = "spent_in_engine";

pub(crate) const fn at(host: u8) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, host)), 5060)
}

/// The edge that `benches/load` measures: one trusted peer, everything routed to one address.
pub(crate) fn settings() -> Settings {
    Settings {
        peers: vec![Peer {
            credentials: None,
            keeps_call_id: false,
            media: Default::default(),
            refer_answer: warmline::engine::ReferAnswer::Auto,
            name: "caller".to_owned(),
            networks: vec![Network {
                address: CALLER.ip(),
                prefix: 32,
            }],
            auth: PeerAuth::None,
            transfer: TransferMode::Native,
        }],
        routes: vec![Route {
            users: Vec::new(),
            pattern: Regex::new(".").expect("a pattern"),
            address: CALLEE,
            transport: Transport::Udp,
            host: CALLEE.to_string(),
        }],
        ..Settings::loopback(EDGE)
    }
}

pub(crate) struct Edge {
    engine: Engine,
    pub(crate) now: Instant,
    /// Whether what the engine does is being counted.
    pub(crate) counting: bool,
    pub(crate) spent: Duration,
    pub(crate) received: u64,
    pub(crate) sent: u64,
    pub(crate) completed: u64,
}

impl Edge {
    pub(crate) fn new(settings: Settings) -> Edge {
        let now = Instant::now();
        Edge {
            engine: Engine::new(settings, now),
            now,
            counting: false,
            spent: Duration::ZERO,
            received: 0,
            sent: 0,
            completed: 0,
        }
    }

    /// The same with a host that keeps what it should.
    pub(crate) fn keeping(settings: Settings) -> Edge {
        let edge = Edge::new(settings);
        Edge {
            engine: edge.engine.keeping(edge.now),
            ..edge
        }
    }

    /// Messages that come from one address at the same time, and what the engine sends for them.
    pub(crate) fn receive(&mut self, from: SocketAddr, messages: Vec<Bytes>) -> Vec<(SocketAddr, Bytes)> {
        let flow = Flow {
            transport: Transport::Udp,
            local: EDGE,
            remote: from,
            connection: 0,
        };
        let inputs: Vec<_> = messages
            .into_iter()
            .map(|bytes| Input::Received { flow, bytes })
            .collect();
        self.work(Work::Inputs(inputs))
    }

    /// Lets time go by; what the engine sends meanwhile comes back.
    pub(crate) fn advance(&mut self, duration: Duration) -> Vec<(SocketAddr, Bytes)> {
        let end = self.now + duration;
        let mut sent = Vec::new();
        while let Some(due) = self.engine.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            sent.extend(self.work(Work::Timeout));
        }
        self.now = end;
        sent
    }

    pub(crate) fn totals(&self) -> (usize, usize) {
        let totals = self.engine.totals();
        (totals.dialogs, totals.transactions)
    }

    fn work(&mut self, work: Work) -> Vec<(SocketAddr, Bytes)> {
        let messages = work.messages();
        let mut outputs = Vec::with_capacity(8 * messages + 8);
        if self.counting {
            let start = Instant::now();
            spent_in_engine(&mut self.engine, self.now, work, &mut outputs);
            self.spent += start.elapsed();
        } else {
            prepared(&mut self.engine, self.now, work, &mut outputs);
        }
        let mut sent = Vec::new();
        for output in outputs {
            match output {
                Output::Transmit { flow, bytes } => sent.push((flow.remote, bytes)),
                Output::Event(Event::TransferCompleted { .. }) => self.completed += 1,
                Output::Event(_)
                | Output::Reply { .. }
                | Output::Store { .. }
                | Output::Media(_)
                | Output::Resolve { .. } => {}
            }
        }
        if self.counting {
            self.received += messages as u64;
            self.sent += sent.len() as u64;
        }
        sent
    }
}

enum Work {
    Inputs(Vec<Input>),
    Timeout,
}

impl Work {
    fn messages(&self) -> usize {
        match self {
            Work::Inputs(inputs) => inputs.len(),
            Work::Timeout => 0,
        }
    }
}

#[inline(never)]
fn spent_in_engine(engine: &mut Engine, now: Instant, work: Work, outputs: &mut Vec<Output>) {
    black_box("counted"); // so that the compiler does not make one function of the two
    perform(engine, now, work, outputs);
}

/// The same under another name.
#[inline(never)]
fn prepared(engine: &mut Engine, now: Instant, work: Work, outputs: &mut Vec<Output>) {
    perform(engine, now, work, outputs);
}

#[inline(always)]
fn perform(engine: &mut Engine, now: Instant, work: Work, outputs: &mut Vec<Output>) {
    match work {
        Work::Timeout => {
            engine.handle_timeout(now);
            outputs.extend(std::iter::from_fn(|| engine.poll_output()));
        }
        Work::Inputs(inputs) => {
            for input in inputs {
                engine.handle_input(now, input);
                outputs.extend(std::iter::from_fn(|| engine.poll_output()));
            }
        }
    }
}
