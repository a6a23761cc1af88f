//! Attended transfers between three scripted phones; only the edge's part is counted.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use warmline::engine::{Settings, TransferMode};
use warmline::phone::{CallState, Phone, PhoneCall, PhoneConfig};

use crate::edge::{EDGE, Edge, at};

const DOMAIN: &str = "example.org";
/// Longer than any transaction lives.
const LONG: Duration = Duration::from_secs(40);

pub(crate) fn settings() -> Settings {
    Settings {
        domain: DOMAIN.to_owned(),
        transfer: TransferMode::Native,
        ..Settings::loopback(EDGE)
    }
}

/// Customer, operator and consult.
pub(crate) struct World {
    pub(crate) edge: Edge,
    phones: [Phone; 3],
}

const CUSTOMER: usize = 0;
const OPERATOR: usize = 1;
const CONSULT: usize = 2;
const NAMES: [&str; 3] = ["bob", "alice", "carol"];

fn address(who: usize) -> SocketAddr {
    at(11 + who as u8)
}

impl World {
    pub(crate) fn new() -> World {
        let phone = |who: usize| {
            let config = PhoneConfig::new(NAMES[who], "secret", DOMAIN, address(who), EDGE);
            let mut phone = Phone::new(config);
            phone.script().auto_answer = Some(Duration::from_millis(20));
            phone.script().hang_up_on_success = true;
            phone
        };
        World {
            edge: Edge::new(settings()),
            phones: [CUSTOMER, OPERATOR, CONSULT].map(phone),
        }
    }

    /// One warm transfer. Counted is what happens from the REFER until its last transaction has ended.
    pub(crate) fn transfer(&mut self, counted: bool) {
        for phone in &mut self.phones {
            phone.register(self.edge.now);
        }
        self.run(Duration::from_secs(1));
        self.call(CUSTOMER, OPERATOR);
        let customer = self.phones[OPERATOR].latest().expect("the customer's call");
        self.phones[OPERATOR]
            .hold(self.edge.now, customer)
            .expect("a call that is up");
        self.run(Duration::from_secs(1));
        let consult = self.call(OPERATOR, CONSULT);
        self.run(LONG);
        let completed = self.edge.completed;
        self.edge.counting = counted;
        self.phones[OPERATOR]
            .refer_attended(self.edge.now, customer, consult)
            .expect("two calls that are up");
        self.run(LONG);
        self.edge.counting = false;
        assert_eq!(self.edge.completed, completed + 1, "transferred");
        assert_eq!(
            self.edge.totals(),
            (2, 0),
            "the operator has left, no transaction lives"
        );
        let call = self.phones[CUSTOMER].latest().expect("its call");
        self.phones[CUSTOMER].bye(self.edge.now, call).expect("it is up");
        self.run(LONG);
        assert_eq!(self.edge.totals(), (0, 0));
    }

    fn call(&mut self, from: usize, to: usize) -> PhoneCall {
        let now = self.edge.now;
        let call = self.phones[from].call(now, &format!("sip:{}@{DOMAIN}", NAMES[to]));
        self.run(Duration::from_secs(1));
        assert_eq!(self.phones[from].state(call), Some(CallState::Connected));
        call
    }

    /// Lets time go by; messages take none.
    fn run(&mut self, duration: Duration) {
        let end = self.edge.now + duration;
        self.deliver(Vec::new());
        while self.edge.now < end {
            let next = self.phones.iter().filter_map(Phone::poll_timeout).min();
            let next = next.map_or(end, |next| next.min(end));
            let sent = self.edge.advance(next.saturating_duration_since(self.edge.now));
            self.deliver(sent);
            for phone in &mut self.phones {
                if phone.poll_timeout().is_some_and(|at| at <= self.edge.now) {
                    phone.handle_timeout(self.edge.now);
                }
            }
            self.deliver(Vec::new());
        }
    }

    fn deliver(&mut self, mut sent: Vec<(SocketAddr, Bytes)>) {
        loop {
            for (remote, bytes) in sent.drain(..) {
                let who = (CUSTOMER..=CONSULT)
                    .find(|who| address(*who) == remote)
                    .expect("a phone");
                self.phones[who].handle(self.edge.now, bytes);
            }
            for who in CUSTOMER..=CONSULT {
                while self.phones[who].poll_event().is_some() {}
                let bytes: Vec<_> = std::iter::from_fn(|| self.phones[who].poll_transmit()).collect();
                if !bytes.is_empty() {
                    sent.extend(self.edge.receive(address(who), bytes));
                }
            }
            if sent.is_empty() {
                return;
            }
        }
    }
}
