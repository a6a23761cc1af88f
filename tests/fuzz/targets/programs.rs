//! Programs: what four phones, an API client, the network and strangers do to an engine, in virtual time.
//!
//! Each octet is a decision. People act as in the random walk; messages are lost, repeated, delayed; what a phone has sent
//! comes again with changes; in-dialog requests are forged by whoever knows the identifiers, and by whoever does not; the
//! process may be killed. In the end everybody hangs up: every order was answered, what began has ended exactly once, and
//! no leg, call, transfer, transaction or port is left.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use bytes::Bytes;
use warmline::engine::{Command, HubSettings, NewParty, Part, Role, TransferMode, TransferTarget};
use warmline::media::PromptName;
use warmline::media::describe::Mode;
use warmline::phone::PhoneTransport;
use warmline::sip::Uri;

use super::octets::Octets;
use crate::world::people::{Dice, act, go_home, order};
use crate::world::{ALICE, EVERYBODY, Fate, Who, World, millis, seconds, users};

/// Steps of one program at most.
const STEPS: usize = 60;
/// Messages that may come again.
const REMEMBERED: usize = 24;

impl Dice for Octets<'_> {
    fn throw(&mut self, sides: u64) -> u64 {
        u64::from(self.next()) % sides
    }
}

pub(super) fn run(input: &[u8]) {
    let mut octets = Octets::new(input);
    let mut program = Program::new(octets.next(), octets.next());
    for _ in 0..STEPS {
        if octets.is_empty() {
            break;
        }
        program.step(&mut octets);
        let pause = octets.pick(&[0, 0, 1, 2, 3, 5, 20, 300, 2_500, 33_000]);
        program.world.advance(millis(pause));
        program.live_on();
    }
    program.end();
}

struct Program {
    world: World,
    /// What phones have sent, the latest last.
    said: Rc<RefCell<VecDeque<(Who, Bytes)>>>,
    /// What becomes of the next messages.
    fates: Rc<RefCell<VecDeque<Fate>>>,
    keeps: bool,
    forged: u32,
}

impl Program {
    fn new(ground: u8, more: u8) -> Program {
        let keeps = ground & 0x40 != 0;
        let change = |settings: &mut warmline::engine::Settings| {
            settings.transfer = match ground & 3 {
                0 | 1 => TransferMode::Native,
                2 => TransferMode::Auto,
                _ => [TransferMode::Refer, TransferMode::Pass][usize::from(more & 1)],
            };
            settings.open = ground & 4 == 0;
            settings.users = users();
            if ground & 8 != 0 {
                settings.media.mode = Mode::Relay;
            }
            if ground & 0x10 != 0 {
                settings.media.hold_music = Some(PromptName("hold".into()));
            }
        };
        let transport = |who: Who| match ground & 0x20 != 0 && who != ALICE {
            true => PhoneTransport::Tcp,
            false => PhoneTransport::Udp,
        };
        let mut world = match keeps {
            true => World::keeping_over(change, transport),
            false => {
                let mut world = World::unregistered(change, transport);
                world.register_everybody();
                world
            }
        };
        // What phones see is the input's doing.
        world.tolerate("");
        let said: Rc<RefCell<VecDeque<(Who, Bytes)>>> = Rc::default();
        let fates: Rc<RefCell<VecDeque<Fate>>> = Rc::default();
        let (heard, next) = (Rc::clone(&said), Rc::clone(&fates));
        world.network(move |packet| {
            if packet.to_edge {
                let mut heard = heard.borrow_mut();
                heard.push_back((packet.who, packet.message.bytes().clone()));
                if heard.len() > REMEMBERED {
                    heard.pop_front();
                }
            }
            next.borrow_mut().pop_front().unwrap_or(Fate::Deliver)
        });
        Program {
            world,
            said,
            fates,
            keeps,
            forged: 0,
        }
    }

    fn step(&mut self, octets: &mut Octets<'_>) {
        match octets.next() % 16 {
            0..=5 => act(&mut self.world, octets),
            6 => order(&mut self.world, octets),
            7 => self.hub(octets),
            8 | 9 => {
                let fate = octets.pick(&[
                    Fate::Lose,
                    Fate::Twice,
                    Fate::Delay(millis(30)),
                    Fate::Delay(seconds(3)),
                ]);
                let before = usize::from(octets.next() % 4);
                let mut fates = self.fates.borrow_mut();
                fates.extend(std::iter::repeat_n(Fate::Deliver, before));
                fates.push_back(fate);
            }
            10 | 11 => self.again(octets),
            12 | 13 => self.forge(octets),
            14 => self.stranger(octets),
            _ => match octets.next() % 3 {
                0 if self.keeps => self.world.die_after(usize::from(octets.next() % 12)),
                1 => self.world.break_flow(octets.pick(&EVERYBODY)),
                _ => self.world.advance(seconds(u64::from(octets.next()))),
            },
        }
    }

    fn live_on(&mut self) {
        if self.world.is_dead() {
            self.world.advance(millis(100));
            self.world.start_again();
        }
    }

    /// One order about hubs.
    fn hub(&mut self, octets: &mut Octets<'_>) {
        let calls = self.world.calls();
        let legs: Vec<_> = calls.iter().flat_map(|call| &call.legs).map(|leg| leg.id).collect();
        let (Some(call), Some(leg)) = (
            calls
                .first()
                .map(|_| octets.pick(&calls.iter().map(|call| call.id).collect::<Vec<_>>())),
            legs.first().map(|_| octets.pick(&legs)),
        ) else {
            self.world.command(Command::OpenHub {
                settings: HubSettings::default(),
            });
            return;
        };
        let coached = octets.pick(&legs);
        let part = octets.pick(&[Part::Speaker, Part::Muted, Part::Monitor, Part::Coach { of: coached }]);
        let flags = octets.next();
        let role = Role {
            part,
            held: flags & 1 != 0,
            starts: flags & 2 == 0,
            ends: flags & 4 != 0,
            ..Role::default()
        };
        let to = Uri::parse(&octets.pick(&EVERYBODY).uri()).expect("a URI");
        self.world.command(match octets.next() % 10 {
            0 | 1 => Command::ToHub {
                call,
                settings: HubSettings::default(),
            },
            2 => Command::ToPair { call },
            3 | 4 => Command::AddParty {
                call,
                party: Box::new(NewParty {
                    to,
                    from: None,
                    from_name: None,
                    role,
                    ring_timeout: None,
                    headers: Vec::new(),
                    peer: None,
                    credentials: None,
                }),
            },
            5 => Command::SetRole { leg, role },
            6 => Command::Move { leg, to: call, role },
            7 => Command::Refer { leg, to },
            8 => Command::HangUpLeg { leg },
            _ => Command::StartTransfer {
                transferor: leg,
                target: TransferTarget::Leg(coached),
                mode: None,
                ring_timeout: None,
                on_failure: None,
            },
        });
    }

    /// Something that a phone has said comes again, as it was or changed, from its place or from a stranger's.
    fn again(&mut self, octets: &mut Octets<'_>) {
        let (who, bytes) = {
            let said = self.said.borrow();
            if said.is_empty() {
                return;
            }
            said[usize::from(octets.next()) % said.len()].clone()
        };
        let changes = octets.next();
        let mut text = bytes.to_vec();
        for _ in 0..changes % 4 {
            change(&mut text, octets);
        }
        match changes & 0x80 {
            0 => self.world.say(who, text),
            _ => self.world.inject(stranger(), text),
        }
    }

    /// A request within a dialog that its phone never sent, and one that nearly is.
    fn forge(&mut self, octets: &mut Octets<'_>) {
        let who = octets.pick(&EVERYBODY);
        let live = self.world.phone(who).live();
        if live.is_empty() {
            return;
        }
        let call = octets.pick(&live);
        let Some(dialog) = self.world.phone(who).replaces(call) else {
            return;
        };
        let method = octets.pick(&METHODS);
        // Numbers near their wrap among them (LESSONS 42).
        let cseq = octets.pick(&[1_u32, 2, 50, 1 << 31, (1 << 31) - 1, u32::MAX]);
        self.forged += 1;
        let (branch, header) = (self.forged, octets.pick(&HEADERS));
        // The phone's dialog as others name it: its own tag is their to-tag.
        let (ours, theirs) = match octets.next() % 4 {
            0 => (dialog.from_tag.as_str(), dialog.to_tag.as_str()),
            1 => (dialog.to_tag.as_str(), "nobody"),
            _ => (dialog.to_tag.as_str(), dialog.from_tag.as_str()),
        };
        let (body, kind) = octets.pick(&BODIES);
        let address = who.address();
        let text = format!(
            "{method} sip:edge@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {address};branch=z9hG4bKforged{branch}\r\n\
             Max-Forwards: 70\r\nFrom: <{uri}>;tag={ours}\r\nTo: <sip:x@example.org>;tag={theirs}\r\n\
             Call-ID: {call_id}\r\nCSeq: {cseq} {method}\r\nContact: <sip:x@{address}>\r\n{header}{kind}\
             Content-Length: {length}\r\n\r\n{body}",
            uri = who.uri(),
            call_id = dialog.call_id,
            length = body.len(),
        );
        match octets.next() & 1 {
            0 => self.world.say(who, text),
            _ => self.world.inject(stranger(), text),
        }
    }

    /// A request of somebody who is not known at all.
    fn stranger(&mut self, octets: &mut Octets<'_>) {
        let method = octets.pick(&METHODS);
        let (whom, header) = (octets.pick(&EVERYBODY), octets.pick(&HEADERS));
        let (body, kind) = octets.pick(&BODIES);
        self.forged += 1;
        let (serial, length) = (self.forged, body.len());
        let address = stranger();
        let text = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {address};branch=z9hG4bKstranger{serial}\r\nMax-Forwards: 70\r\n\
             From: <sip:mallory@example.org>;tag=s{serial}\r\nTo: <{uri}>\r\nCall-ID: stranger{serial}\r\n\
             CSeq: 1 {method}\r\nContact: <sip:m@{address}>\r\n{header}{kind}Content-Length: {length}\r\n\r\n{body}",
            uri = whom.uri(),
        );
        self.world.inject(address, text);
    }

    fn end(mut self) {
        self.world.live_on();
        self.fates.borrow_mut().clear();
        self.world.heal();
        // Longer than a phone rings, and than a re-INVITE is tried.
        self.world.advance(seconds(100));
        self.live_on();
        go_home_at_length(&mut self.world);
        for _ in 0..3 {
            for call in self.world.calls() {
                self.world.command(Command::HangUpCall { call: call.id });
            }
            self.world.advance(seconds(40));
        }
        // Longer than Timer C, than the outcome of a REFER is waited for, and than answers are repeated.
        self.world.advance(seconds(400));
        let totals = self.world.totals();
        let left = (totals.dialogs, totals.calls, totals.transfers, totals.media_ports);
        assert_eq!(left, (0, 0, 0, 0), "legs, calls, transfers, ports");
        assert_eq!(totals.transactions, 0, "transactions");
        if !self.keeps {
            self.world.assert_answered();
            self.world.assert_ended_once();
        }
    }
}

/// As [`go_home`], but by the clock: what a stranger began may never become quiet.
fn go_home_at_length(world: &mut World) {
    for _ in 0..4 {
        go_home(world);
        world.advance(seconds(33));
    }
}

fn stranger() -> std::net::SocketAddr {
    std::net::SocketAddr::from(([203, 0, 113, 66], 5_060))
}

/// One change of a message's text: an octet, a line away, a line twice, a number, a method.
fn change(text: &mut Vec<u8>, octets: &mut Octets<'_>) {
    let lines: Vec<usize> = memchr::memmem::find_iter(text, b"\r\n").collect();
    let at = usize::from(octets.next());
    let line = lines.get(at % lines.len().max(1)).copied().unwrap_or_default();
    let next = lines.iter().copied().find(|end| *end > line).unwrap_or(text.len());
    match octets.next() % 6 {
        0 => {
            let place = (line + usize::from(octets.next())) % text.len().max(1);
            if let Some(octet) = text.get_mut(place) {
                *octet = octets.pick(b" \t:;,=<>\"@?%0919azZ\r\n");
            }
        }
        1 if next > line => drop(text.drain(line..next)),
        2 => {
            let copy = text[line..next].to_vec();
            text.splice(line..line, copy);
        }
        3 => {
            let header = octets.pick(&HEADERS);
            if let Some(header) = header.strip_suffix("\r\n") {
                let header = format!("\r\n{header}");
                text.splice(line..line, header.into_bytes());
            }
        }
        4 => {
            // A branch of its own: no retransmission.
            if let Some(place) = memchr::memmem::find(text, b"z9hG4bK") {
                text.splice(place + 7..place + 7, [octets.pick(b"abcd")]);
            }
        }
        _ => {
            if let Some(place) = memchr::memmem::find(text, b"CSeq: ") {
                let number = octets.pick(&["4294967295", "2147483647", "0", "7"]);
                let end = text[place + 6..].iter().position(|octet| *octet == b' ').unwrap_or(0);
                text.splice(place + 6..place + 6 + end, number.bytes());
            }
        }
    }
}

const METHODS: [&str; 15] = [
    "INVITE",
    "BYE",
    "REFER",
    "NOTIFY",
    "UPDATE",
    "ACK",
    "CANCEL",
    "PRACK",
    "INFO",
    "SUBSCRIBE",
    "MESSAGE",
    "OPTIONS",
    "REGISTER",
    "PUBLISH",
    "FOO",
];

const HEADERS: [&str; 16] = [
    "",
    "Refer-To: <sip:carol@example.org>\r\n",
    "Refer-To: <sip:dave@example.org?Replaces=x%3Bto-tag%3D1%3Bfrom-tag%3D2>\r\n",
    "Replaces: x;to-tag=1;from-tag=2\r\n",
    "Join: x;to-tag=1;from-tag=2\r\n",
    "Event: refer\r\nSubscription-State: terminated\r\n",
    "Event: refer\r\nSubscription-State: active;expires=4294967295\r\n",
    "Event: dialog\r\n",
    "RAck: 4294967295 1 INVITE\r\n",
    "Require: 100rel, replaces, timer\r\n",
    "Session-Expires: 90;refresher=uas\r\nSupported: timer\r\n",
    "Session-Expires: 4294967295\r\nMin-SE: 4294967295\r\n",
    "Target-Dialog: x;local-tag=1;remote-tag=2\r\n",
    "Max-Forwards: 0\r\n",
    "Contact: *\r\nExpires: 0\r\n",
    "Route: <sip:127.0.0.1;lr>\r\n",
];

const BODIES: [(&str, &str); 4] = [
    ("", ""),
    (
        "v=0\r\no=- 1 18446744073709551615 IN IP4 10.0.1.11\r\ns=-\r\nc=IN IP4 10.0.1.11\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0 8\r\na=sendonly\r\n",
        "Content-Type: application/sdp\r\n",
    ),
    ("SIP/2.0 200 OK\r\n", "Content-Type: message/sipfrag\r\n"),
    ("v=0\r\nm=audio 0 RTP/AVP 0\r\n", "Content-Type: application/sdp\r\n"),
];
