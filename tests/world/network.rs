//! The network in memory: every message takes its time, and a rule of the test may lose, repeat or delay it.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use warmline::phone::summary;
use warmline::sip::{Message, Method};
use warmline::transport::{Flow, Transport};

use super::{EDGE, EVERYBODY, Who, World};

/// A message on its way.
#[derive(Debug)]
pub(crate) enum Delivery {
    ToEdge {
        flow: Flow,
        bytes: Bytes,
    },
    ToPhone {
        who: Who,
        bytes: Bytes,
    },
    /// The edge wrote into a connection that is gone.
    Dead {
        flow: Flow,
    },
}

/// What becomes of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Deliver,
    Lose,
    /// Delivered twice.
    Twice,
    /// Delivered later; whatever is sent meanwhile overtakes it.
    Delay(Duration),
}

/// What a rule sees of a message: sent by the phone to the edge, or by the edge to the phone.
pub(crate) struct Packet {
    pub(crate) who: Who,
    pub(crate) to_edge: bool,
    pub(crate) message: Message,
}

impl Packet {
    /// A request of this kind from the edge to `who`.
    pub(crate) fn is_to(&self, who: Who, method: Method) -> bool {
        !self.to_edge && self.who == who && self.message.is_request() && *self.message.method() == method
    }

    /// A request of this kind from `who` to the edge.
    pub(crate) fn is_from(&self, who: Who, method: Method) -> bool {
        self.to_edge && self.who == who && self.message.is_request() && *self.message.method() == method
    }

    /// An answer of the edge to `who`.
    pub(crate) fn is_answer_to(&self, who: Who, method: Method, status: u16) -> bool {
        !self.to_edge && self.who == who && self.message.status() == Some(status) && *self.message.method() == method
    }

    /// An answer of `who` to the edge.
    pub(crate) fn is_answer_from(&self, who: Who, method: Method, status: u16) -> bool {
        self.to_edge && self.who == who && self.message.status() == Some(status) && *self.message.method() == method
    }
}

impl World {
    /// Sets the rule that decides what becomes of each message from now on.
    pub(crate) fn network(&mut self, rule: impl FnMut(&Packet) -> Fate + 'static) {
        self.rule = Box::new(rule);
    }

    /// The network is as it should be again.
    pub(crate) fn heal(&mut self) {
        self.network(|_| Fate::Deliver);
    }

    /// The first message that `wanted` picks meets this fate, all others are delivered.
    pub(crate) fn once(&mut self, fate: Fate, wanted: impl Fn(&Packet) -> bool + 'static) {
        let mut done = false;
        self.network(move |packet| match !done && wanted(packet) {
            true => {
                done = true;
                fate
            }
            false => Fate::Deliver,
        });
    }

    /// Every message takes this long from now on.
    pub(crate) fn latency(&mut self, latency: Duration) {
        self.latency = latency;
    }

    /// Puts a message on the wire; `from: None` is the edge.
    pub(super) fn post(&mut self, from: Option<Who>, flow: Flow, bytes: Bytes) {
        let who = from.or_else(|| EVERYBODY.into_iter().find(|who| who.address() == flow.remote));
        let parsed = Message::parse(bytes.clone());
        let text = match &parsed {
            Ok(message) => {
                let call_id: String = message.call_id().chars().take(12).collect();
                format!("{}  ({call_id} {})", summary(message), message.cseq())
            }
            Err(error) => format!("octets ({})", error.reason()),
        };
        let Some(who) = who else {
            self.ladder
                .push(format!("{:>8}  edge  ───▶ {}  {text}", self.clock(), flow.remote));
            self.strays.push((flow, bytes));
            return;
        };
        if from.is_none() && flow.connection != 0 && flow.connection != self.flow_of(who).connection {
            self.ladder.push(format!(
                "{:>8}  {:5}  ✗── edge  {text} on a dead connection",
                self.clock(),
                who.user()
            ));
            self.fly(self.latency, Delivery::Dead { flow });
            return;
        }
        let fate = match parsed {
            Ok(message) => (self.rule)(&Packet {
                who,
                to_edge: from.is_some(),
                message,
            }),
            Err(_) => Fate::Deliver,
        };
        let (arrow, mark) = match (from.is_some(), fate) {
            (true, Fate::Lose) => ("──✗ ", "lost"),
            (false, Fate::Lose) => (" ✗──", "lost"),
            (true, _) => ("───▶", ""),
            (false, _) => ("◀───", ""),
        };
        let line = format!("{:>8}  {:5} {arrow} edge  {text} {mark}", self.clock(), who.user());
        self.ladder.push(line.trim_end().to_owned());
        let delivery = |bytes| match from {
            Some(_) => Delivery::ToEdge { flow, bytes },
            None => Delivery::ToPhone { who, bytes },
        };
        match fate {
            Fate::Deliver => self.fly(self.latency, delivery(bytes)),
            Fate::Lose => {}
            Fate::Twice => {
                self.fly(self.latency, delivery(bytes.clone()));
                self.fly(self.latency, delivery(bytes));
            }
            Fate::Delay(extra) => self.fly(self.latency + extra, delivery(bytes)),
        }
    }

    fn fly(&mut self, after: Duration, delivery: Delivery) {
        self.serial += 1;
        self.in_flight.insert((self.now + after, self.serial), delivery);
    }

    /// Octets that a phone's owner types into its connection.
    pub(crate) fn say(&mut self, who: Who, bytes: impl Into<Bytes>) {
        let flow = self.flow_of(who);
        self.post(Some(who), flow, bytes.into());
    }

    /// Octets from an address where no phone is: a PBX, a trunk, an attacker.
    pub(crate) fn inject(&mut self, from: SocketAddr, bytes: impl Into<Bytes>) {
        let flow = Flow {
            transport: Transport::Udp,
            local: EDGE,
            remote: from,
            connection: 0,
        };
        let bytes = bytes.into();
        let text = Message::parse(bytes.clone()).map_or_else(|_| "octets".to_owned(), |message| summary(&message));
        self.ladder
            .push(format!("{:>8}  {from} ───▶ edge  {text}", self.clock()));
        self.fly(self.latency, Delivery::ToEdge { flow, bytes });
    }

    /// What the edge has sent to addresses where no phone is, since the last time.
    pub(crate) fn take_strays(&mut self) -> Vec<(SocketAddr, Message)> {
        let strays = std::mem::take(&mut self.strays);
        strays
            .into_iter()
            .filter_map(|(flow, bytes)| Some((flow.remote, Message::parse(bytes).ok()?)))
            .collect()
    }
}
