//! The rules of the registrar, one test each, in virtual time.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Change, Registrar, RegistrarConfig};
use crate::sip::digest::{Challenge, answer};
use crate::sip::{Draft, HeaderName, Message, Method};
use crate::transport::{Flow, Transport};

mod bindings;
mod credentials;
mod through;

const HOME: &str = "198.51.100.7:5062";

fn flow(remote: &str) -> Flow {
    Flow {
        transport: Transport::Udp,
        local: "192.0.2.1:5060".parse().unwrap(),
        remote: remote.parse().unwrap(),
        connection: 0,
    }
}

fn tcp(remote: &str, connection: u64) -> Flow {
    Flow {
        transport: Transport::Tcp,
        connection,
        ..flow(remote)
    }
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A REGISTER of alice with these lines in place of Contact and Expires.
fn request(call_id: &str, cseq: u32, lines: &str) -> Message {
    message(
        "REGISTER sip:example.com",
        "sip:alice@example.com",
        call_id,
        cseq,
        lines,
    )
}

fn message(start: &str, to: &str, call_id: &str, cseq: u32, lines: &str) -> Message {
    let method = start.split(' ').next().unwrap();
    let lines: String = lines.lines().map(|line| format!("{}\r\n", line.trim())).collect();
    let text = format!(
        "{start} SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.7:5062;branch=z9hG4bK{call_id}{cseq}\r\nFrom: <{to}>;tag=f\r\n\
         To: <{to}>\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\nMax-Forwards: 70\r\n{lines}Content-Length: 0\r\n\r\n"
    );
    Message::parse(Bytes::from(text)).unwrap()
}

fn parse(draft: &Draft) -> Message {
    Message::parse(draft.print()).unwrap()
}

/// A registrar, its clock, and a phone that knows how to answer a challenge.
struct World {
    now: Instant,
    registrar: Registrar,
    from: Flow,
}

impl World {
    fn open() -> World {
        World::new(true)
    }

    fn closed() -> World {
        World::new(false)
    }

    #[expect(clippy::disallowed_methods, reason = "an Instant to count from; nothing waits")]
    fn new(open: bool) -> World {
        let now = Instant::now();
        let config = RegistrarConfig {
            domain: "example.com".into(),
            users: vec![("alice".into(), "wonder".into()), ("bob".into(), "builder".into())],
            open,
            expires: (60, 3_600),
            max_contacts: 3,
            digest: vec![crate::sip::Algorithm::Sha256, crate::sip::Algorithm::Md5],
            key: [7; 16],
        };
        World {
            now,
            registrar: Registrar::new(config, now),
            from: flow(HOME),
        }
    }

    fn advance(&mut self, by: Duration) -> Vec<Change> {
        self.now += by;
        self.registrar.handle_timeout(self.now)
    }

    fn send(&mut self, request: &Message) -> (Message, Vec<Change>) {
        let (draft, changes) = self.registrar.register(self.now, self.from, request);
        (parse(&draft), changes)
    }

    fn status(&mut self, request: &Message) -> u16 {
        self.send(request).0.status().unwrap()
    }

    /// The contacts of alice, in the order of a lookup.
    fn contacts(&self) -> Vec<String> {
        let found = self.registrar.lookup(self.now, "alice");
        found.iter().map(|binding| binding.contact.uri.to_string()).collect()
    }

    /// The challenges of a refused REGISTER.
    fn challenges(&mut self, request: &Message) -> Vec<Challenge> {
        let (response, changes) = self.send(request);
        assert_eq!((response.status(), changes.len()), (Some(401), 0));
        let lines = response.headers(HeaderName::WwwAuthenticate);
        lines
            .map(|line| Challenge::parse(std::str::from_utf8(line).unwrap()).unwrap())
            .collect()
    }
}

/// The Authorization line that answers `challenge`, as `user`.
fn authorization(challenge: &Challenge, user: &str, password: &str) -> String {
    let value = answer(
        challenge,
        user,
        password,
        &Method::Register,
        "sip:example.com",
        "c0ffee",
    );
    format!("Authorization: {value}\n")
}

fn added(changes: &[Change]) -> Vec<String> {
    let of = |change: &Change| match change {
        Change::Added { contact, .. } => Some(contact.uri.to_string()),
        Change::Removed { .. } => None,
    };
    changes.iter().filter_map(of).collect()
}

fn removed(changes: &[Change]) -> Vec<String> {
    let of = |change: &Change| match change {
        Change::Removed { contact, .. } => Some(contact.uri.to_string()),
        Change::Added { .. } => None,
    };
    changes.iter().filter_map(of).collect()
}
