//! Phones on real UDP sockets, in real time.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use warmline::phone::{CallState, Phone, PhoneCall, PhoneConfig};

pub(crate) const DOMAIN: &str = "example.test";

#[expect(clippy::disallowed_methods, reason = "phones on real sockets live in real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "real sockets need real waiting")]
pub(crate) fn pause() {
    std::thread::sleep(Duration::from_millis(2));
}

/// Phones, each on a socket of its own.
#[derive(Default)]
pub(crate) struct Phones(Vec<(Phone, UdpSocket)>);

impl Phones {
    /// One more phone; gives its index.
    pub(crate) fn add(&mut self, name: &str, edge: SocketAddr) -> usize {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(edge).unwrap();
        socket.set_nonblocking(true).unwrap();
        let config = PhoneConfig::new(name, "secret", DOMAIN, socket.local_addr().unwrap(), edge);
        self.0.push((Phone::new(config), socket));
        self.0.len() - 1
    }

    pub(crate) fn phone(&mut self, at: usize) -> &mut Phone {
        &mut self.0[at].0
    }

    /// Moves bytes once; says whether there were any.
    pub(crate) fn step(&mut self) -> bool {
        let mut moved = false;
        let mut buffer = [0; 65_535];
        for (phone, socket) in &mut self.0 {
            while let Ok(length) = socket.recv(&mut buffer) {
                phone.handle(now(), buffer[..length].to_vec().into());
                moved = true;
            }
            if phone.poll_timeout().is_some_and(|at| at <= now()) {
                phone.handle_timeout(now());
            }
            while let Some(bytes) = phone.poll_transmit() {
                socket.send(&bytes).ok(); // nobody listens while the edge restarts
                moved = true;
            }
        }
        moved
    }

    pub(crate) fn until(&mut self, what: &str, mut done: impl FnMut(&mut Phones) -> bool) {
        let deadline = now() + Duration::from_secs(20);
        while !done(self) {
            assert!(now() < deadline, "waited in vain: {what}");
            if !self.step() {
                pause();
            }
        }
    }

    pub(crate) fn register(&mut self, at: usize) {
        self.phone(at).register(now());
        self.until("registered", |phones| phones.phone(at).is_registered());
    }

    /// `from` calls `to`, who answers.
    pub(crate) fn connect(&mut self, from: usize, to: usize, name: &str) -> (PhoneCall, PhoneCall) {
        let outgoing = self.phone(from).call(now(), &format!("sip:{name}@{DOMAIN}"));
        self.until("it rings", |phones| phones.phone(to).latest().is_some());
        let incoming = self.phone(to).latest().unwrap();
        self.until("ringing is heard", |phones| {
            phones.phone(from).state(outgoing) == Some(CallState::Early)
        });
        self.phone(to).answer(now(), incoming).unwrap();
        self.until("they talk", |phones| phones.talk(from, outgoing, to, incoming));
        (outgoing, incoming)
    }

    pub(crate) fn talk(&self, one: usize, call: PhoneCall, other: usize, its: PhoneCall) -> bool {
        self.0[one].0.talks_with(call, &self.0[other].0, its) && !self.0[other].0.is_busy()
    }
}
