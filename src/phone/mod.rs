//! A scripted softphone that touches no socket and reads no clock: the other end of every test, of the demo and of the
//! examples.
//!
//! **Owns**: a small user agent of its own (UAC and UAS, several dialogs at once), its script of right and wrong
//! behaviour, a record of all that it sent, received and found wrong with the edge ([`Phone::complaints`]).
//!
//! **Refuses**: to share code with the edge above `sip` and `sdp` — transactions, dialogs, offer/answer and digest are
//! written a second time, so that an error of the edge is not mirrored here; and to play or record audio.
//!
//! **RFC sections**: 3261 §8–§15, §17, §22; 3264 §5, §6.1, §8; 3311; 4028; 3515 §2.4; 3891 §3–§6; 3892 §2; 5589 §6–§7; 7616.
//!
//! | the owner | the phone |
//! |---|---|
//! | moves bytes | [`handle`](Phone::handle), [`poll_transmit`](Phone::poll_transmit): one whole message each, always to the edge |
//! | has the clock | [`poll_timeout`](Phone::poll_timeout), [`handle_timeout`](Phone::handle_timeout) |
//! | learns | [`poll_event`](Phone::poll_event), [`state`](Phone::state), [`remote`](Phone::remote), [`notified`](Phone::notified) |
//! | acts | [`register`](Phone::register), [`call`](Phone::call), [`hold`](Phone::hold), [`refer_attended`](Phone::refer_attended), … |
//! | misbehaves | [`script`](Phone::script) |
//!
//! ```
//! # use std::time::Instant;
//! use warmline::phone::{Phone, PhoneConfig, PhoneEvent};
//!
//! # #[expect(clippy::disallowed_methods, reason = "an example's base")]
//! let now = Instant::now();
//! let here = |port| ([127, 0, 0, 1], port).into();
//! let mut alice = Phone::new(PhoneConfig::new("alice", "secret", "example.org", here(6001), here(5060)));
//! alice.register(now);
//! while let Some(bytes) = alice.poll_transmit() {
//!     assert!(bytes.starts_with(b"REGISTER sip:example.org SIP/2.0\r\n")); // a socket would send it to alice.edge()
//! }
//! assert!(alice.poll_timeout().is_some()); // it will be repeated
//! assert_eq!(alice.poll_event(), None);
//! ```

mod auth;
mod call;
mod client;
mod commands;
mod config;
mod event;
mod request;
mod requests;
mod responses;
mod server;
mod session;
mod state;
mod summary;
mod tasks;
#[cfg(test)]
mod tests;
mod timer;
mod transfer;
mod update;
mod web;

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;

pub use config::{PhoneConfig, PhoneTransport, ReinviteAnswer, Script};
pub use event::{CallState, EndReason, Line, Misuse, Notified, PhoneCall, PhoneEvent};
pub use summary::summary;
pub use timer::PhoneTimer;

use crate::sip::Message;
use call::{Call, Offer, Task};
use client::Client;
use server::Server;
use summary::description;

const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, NOTIFY, REFER, MESSAGE, INFO";

/// A scripted user agent. See the module's page.
#[derive(Debug)]
pub struct Phone {
    config: PhoneConfig,
    script: Script,
    calls: Vec<Call>,
    clients: Vec<Client>,
    servers: Vec<Server>,
    transmits: VecDeque<Bytes>,
    events: VecDeque<PhoneEvent>,
    lines: Vec<Line>,
    complaints: Vec<String>,
    registered: bool,
    unregistering: bool,
    register_cseq: u32,
    counter: u64,
}

impl Phone {
    /// A phone that has sent nothing yet.
    pub fn new(config: PhoneConfig) -> Phone {
        Phone {
            config,
            script: Script::default(),
            calls: Vec::new(),
            clients: Vec::new(),
            servers: Vec::new(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            lines: Vec::new(),
            complaints: Vec::new(),
            registered: false,
            unregistering: false,
            register_cseq: 0,
            counter: 0,
        }
    }

    /// What it does by itself, and wrong on purpose.
    pub fn script(&mut self) -> &mut Script {
        &mut self.script
    }

    /// One whole message from the edge.
    pub fn handle(&mut self, now: Instant, bytes: Bytes) {
        if self.script.unplugged || bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
            return;
        }
        match Message::parse(bytes.clone()) {
            Ok(message) => {
                let summary = summary(&message);
                self.lines.push(Line {
                    at: now,
                    sent: false,
                    summary,
                    bytes,
                });
                match message.status() {
                    Some(status) => self.handle_response(now, message, status),
                    None => self.handle_request(now, message),
                }
                self.perform_tasks(now);
            }
            Err(error) => {
                let summary = format!("octets: {}", error.reason());
                self.complain(format!("a message that is none: {}", error.reason()));
                self.lines.push(Line {
                    at: now,
                    sent: false,
                    summary,
                    bytes,
                });
            }
        }
    }

    /// The next message for the edge; ask until `None` after every other call.
    pub fn poll_transmit(&mut self) -> Option<Bytes> {
        self.transmits.pop_front()
    }

    /// The next thing that happened; ask until `None`.
    pub fn poll_event(&mut self) -> Option<PhoneEvent> {
        self.events.pop_front()
    }

    /// When [`handle_timeout`](Phone::handle_timeout) wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let of_calls = self
            .calls
            .iter()
            .flat_map(|call| {
                let timer = call.timer.map(|timer| timer.next());
                [call.answer_at, call.retry.map(|(at, _)| at), timer]
            })
            .flatten();
        of_calls
            .chain(self.client_deadline())
            .chain(self.server_deadline())
            .min()
    }

    /// Time has come to `now`: repeats, gives up, answers, offers again.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.client_timeouts(now);
        self.server_timeouts(now);
        self.timer_timeouts(now);
        for at in 0..self.calls.len() {
            if self.calls[at].answer_at.is_some_and(|at| at <= now) {
                self.accept(now, PhoneCall(at));
            }
            if let Some((_, offer)) = self.calls[at].retry.take_if(|(at, _)| *at <= now) {
                self.calls[at].tasks.push_back(Task::Offer(Offer { ..offer }));
            }
        }
        self.perform_tasks(now);
    }

    fn transmit(&mut self, now: Instant, bytes: Bytes) {
        if self.script.unplugged {
            return;
        }
        let summary = Message::parse(bytes.clone()).map_or_else(|_| "octets".to_owned(), |message| summary(&message));
        self.lines.push(Line {
            at: now,
            sent: true,
            summary,
            bytes: bytes.clone(),
        });
        self.transmits.push_back(bytes);
    }

    fn emit(&mut self, event: PhoneEvent) {
        self.events.push_back(event);
    }

    fn complain(&mut self, complaint: String) {
        self.complaints.push(complaint);
    }

    fn is_reliable(&self) -> bool {
        match self.config.transport {
            PhoneTransport::Udp => false,
            PhoneTransport::Tcp | PhoneTransport::Tls | PhoneTransport::Ws | PhoneTransport::Wss => true,
        }
    }

    // RFC 3581 §3: `rport` asks for the answer to come back to where the request came from.
    fn via(&self, branch: &str) -> String {
        format!(
            "SIP/2.0/{} {};rport;branch={branch}",
            self.config.transport.as_str(),
            self.config.sent_by()
        )
    }

    /// A text that no other token of this phone, nor of one with another seed, is equal to.
    fn token(&mut self) -> String {
        self.counter += 1;
        format!("{}-{:x}-{:x}", self.config.user, self.config.seed, self.counter)
    }

    /// A number that differs from one use to the next, in place of dice.
    fn spread(&mut self) -> u32 {
        self.counter += 1;
        let mixed = (self.counter ^ self.config.seed).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed >> 40) as u32
    }
}
