//! Two transaction layers and the network between them, in virtual time.

use std::time::{Duration, Instant};

use bytes::Bytes;
use warmline::sip::{Draft, HeaderName, Message, Method};
use warmline::transaction::{ClientHandle, Event, Received, ServerHandle, Timers, Transactions, Transmit};
use warmline::transport::{Flow, Transport};

/// Who sends: the caller or the callee.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Side {
    A,
    B,
}

/// What the network does with a message, by its number in the order of sending (from 1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    Arrives,
    Lost,
    Doubled,
    Late(Duration),
}

pub(crate) struct Wire {
    pub(crate) start: Instant,
    pub(crate) now: Instant,
    pub(crate) a: Transactions<&'static str>,
    pub(crate) b: Transactions<&'static str>,
    flow: Flow,
    underway: Vec<(Instant, usize, Side, Bytes)>,
    sent: usize,
    fate: Box<dyn FnMut(usize) -> Fate>,
    /// Every message sent: "at > INVITE" or "at < 200 INVITE".
    pub(crate) ladder: Vec<String>,
    /// What the users of both layers were told.
    pub(crate) heard: Vec<String>,
    /// The requests that B's user has, with their transactions.
    pub(crate) asked: Vec<(ServerHandle, Message)>,
    /// The last response that A's user has.
    pub(crate) answered: Option<(ClientHandle, Message)>,
}

impl Wire {
    pub(crate) fn new(transport: Transport) -> Wire {
        Wire::starting_at(transport, 0)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the only instant there is to begin with; nothing waits"
    )]
    pub(crate) fn starting_at(transport: Transport, generation: u32) -> Wire {
        let start = Instant::now();
        Wire {
            start,
            now: start,
            a: Transactions::starting_at(Timers::default(), [1; 16], generation),
            b: Transactions::starting_at(Timers::default(), [2; 16], generation),
            flow: Flow {
                transport,
                local: "192.0.2.1:5060".parse().unwrap(),
                remote: "192.0.2.2:5060".parse().unwrap(),
                connection: if transport == Transport::Udp { 0 } else { 5 },
            },
            underway: Vec::new(),
            sent: 0,
            fate: Box::new(|_| Fate::Arrives),
            ladder: Vec::new(),
            heard: Vec::new(),
            asked: Vec::new(),
            answered: None,
        }
    }

    /// Decides what becomes of each message.
    pub(crate) fn fate(&mut self, fate: impl FnMut(usize) -> Fate + 'static) {
        self.fate = Box::new(fate);
    }

    /// Loses the messages with these numbers.
    pub(crate) fn lose(&mut self, numbers: &[usize]) {
        let numbers = numbers.to_vec();
        self.fate(move |number| {
            if numbers.contains(&number) {
                Fate::Lost
            } else {
                Fate::Arrives
            }
        });
    }

    pub(crate) fn lose_all_after(&mut self, last: usize) {
        self.fate(move |number| if number > last { Fate::Lost } else { Fate::Arrives });
    }

    pub(crate) fn flow_of(&self, side: Side) -> Flow {
        match side {
            Side::A => self.flow,
            Side::B => Flow {
                local: self.flow.remote,
                remote: self.flow.local,
                ..self.flow
            },
        }
    }

    /// A sends a request.
    pub(crate) fn request(&mut self, method: Method) -> ClientHandle {
        let draft = draft(&method);
        let handle = self.a.request(self.now, self.flow, "192.0.2.1:5060", &draft, "a");
        self.collect();
        handle
    }

    /// B answers the request that came last (or the `n`th).
    pub(crate) fn respond(&mut self, status: u16) -> bool {
        self.respond_to(self.asked.len() - 1, status)
    }

    pub(crate) fn respond_to(&mut self, n: usize, status: u16) -> bool {
        let (server, request) = &self.asked[n];
        let response = request.respond(status).to_tag("b1").print();
        let taken = self.b.respond(self.now, *server, response, status);
        self.collect();
        taken
    }

    pub(crate) fn cancel(&mut self, invite: ClientHandle) -> bool {
        let taken = self.a.cancel(self.now, invite, "cancel");
        self.collect();
        taken
    }

    /// A acknowledges a 2xx.
    pub(crate) fn ack(&mut self) -> Bytes {
        let draft = draft(&Method::Ack);
        let bytes = self.a.send_ack(self.flow, "192.0.2.1:5060", &draft).bytes;
        self.collect();
        bytes
    }

    /// Puts bytes on the wire that no layer sent.
    pub(crate) fn inject(&mut self, from: Side, bytes: Bytes) {
        self.deliver(from, bytes);
    }

    pub(crate) fn advance(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.next().filter(|at| *at <= until) {
            self.now = at.max(self.now);
            self.underway.sort_by_key(|(at, number, ..)| (*at, *number));
            if self.underway.first().is_some_and(|(at, ..)| *at <= self.now) {
                let (_, _, from, bytes) = self.underway.remove(0);
                self.deliver(from, bytes);
            } else {
                self.a.handle_timeout(self.now);
                self.b.handle_timeout(self.now);
            }
            self.collect();
        }
        self.now = until;
    }

    pub(crate) fn ms(&mut self, millis: u64) {
        self.advance(Duration::from_millis(millis));
    }

    /// Nothing is left: neither transactions nor deadlines.
    pub(crate) fn assert_over(&mut self) {
        self.advance(Duration::from_secs(200));
        assert_eq!((self.a.live(), self.b.live()), ((0, 0), (0, 0)), "{:#?}", self.ladder);
        assert_eq!((self.a.poll_timeout(), self.b.poll_timeout()), (None, None));
    }

    fn next(&self) -> Option<Instant> {
        let arrival = self.underway.iter().map(|(at, ..)| *at).min();
        [arrival, self.a.poll_timeout(), self.b.poll_timeout()]
            .into_iter()
            .flatten()
            .min()
    }

    fn stamp(&self) -> u128 {
        (self.now - self.start).as_millis()
    }

    fn collect(&mut self) {
        while let Some(transmit) = self.a.poll_transmit() {
            self.send(Side::A, transmit);
        }
        while let Some(transmit) = self.b.poll_transmit() {
            self.send(Side::B, transmit);
        }
        while let Some(event) = self.a.poll_event() {
            self.heard.push(format!("{} a {}", self.stamp(), name(&event)));
        }
        while let Some(event) = self.b.poll_event() {
            self.heard.push(format!("{} b {}", self.stamp(), name(&event)));
        }
    }

    fn send(&mut self, from: Side, transmit: Transmit) {
        assert_eq!(transmit.flow, self.flow_of(from));
        let message = Message::parse(transmit.bytes.clone()).expect("what a layer sends can be read");
        let arrow = if from == Side::A { '>' } else { '<' };
        self.ladder
            .push(format!("{} {arrow} {}", self.stamp(), title(&message)));
        self.sent += 1;
        let mut put = |delay| {
            self.underway
                .push((self.now + delay, self.sent, from, transmit.bytes.clone()))
        };
        match (self.fate)(self.sent) {
            Fate::Arrives => put(Duration::ZERO),
            Fate::Lost => {}
            Fate::Doubled => {
                put(Duration::ZERO);
                put(Duration::from_millis(1));
            }
            Fate::Late(delay) => put(delay),
        }
    }

    fn deliver(&mut self, from: Side, bytes: Bytes) {
        let message = Message::parse(bytes).expect("what a layer sends can be read");
        let stamp = self.stamp();
        let (to, layer) = match from {
            Side::A => (Side::B, &mut self.b),
            Side::B => (Side::A, &mut self.a),
        };
        let flow = match to {
            Side::A => self.flow,
            Side::B => Flow {
                local: self.flow.remote,
                remote: self.flow.local,
                ..self.flow
            },
        };
        let what = match layer.receive(self.now, flow, message) {
            None => return self.collect(),
            Some(Received::Request { server, message }) => {
                let what = title(&message);
                self.asked.push((server, message));
                what
            }
            Some(Received::Ack { message }) => title(&message),
            Some(Received::Cancel { invite, .. }) => {
                format!(
                    "CANCEL of {:?}",
                    invite.and_then(|i| self.asked.iter().position(|(server, _)| *server == i))
                )
            }
            Some(Received::Response { client, user, message }) => {
                let what = format!("{} for {user}", title(&message));
                self.answered = Some((client, message));
                what
            }
        };
        self.heard
            .push(format!("{stamp} {} {what}", if to == Side::A { 'a' } else { 'b' }));
        self.collect();
    }
}

pub(crate) fn draft(method: &Method) -> Draft {
    Draft::request(method, "sip:b@192.0.2.2")
        .header(HeaderName::MaxForwards, 70)
        .header(HeaderName::From, "<sip:a@example.com>;tag=a1")
        .header(HeaderName::To, "<sip:b@example.com>")
        .header(HeaderName::CallId, "c1")
        .header(HeaderName::CSeq, format!("1 {method}"))
}

pub(crate) fn title(message: &Message) -> String {
    match message.status() {
        Some(status) => format!("{status} {}", message.method()),
        None => message.method().to_string(),
    }
}

fn name(event: &Event<&'static str>) -> String {
    match event {
        Event::TimedOut { user, .. } => format!("timed out for {user}"),
        Event::TransportFailed { user, .. } => format!("failed for {user}"),
        Event::Ended { user, .. } => format!("ended for {user}"),
        Event::ServerTimedOut { .. } => "server timed out".to_owned(),
        Event::ServerTransportFailed { .. } => "server failed".to_owned(),
    }
}

impl Wire {
    /// B answers at once what has just been sent.
    pub(crate) fn respond_soon(&mut self, status: u16) {
        self.ms(0);
        self.respond(status);
    }
}
