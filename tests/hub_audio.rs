//! Who hears whom in a hub, measured: the whole edge over real sockets, four phones that each send a tone of their own, and
//! an ear at each that says which tones it hears. Every role is one matrix.
#![allow(clippy::unwrap_used, reason = "a test stops where something is not as it should be")]

#[path = "media/phone.rs"]
mod phone;
mod sockets;
#[path = "media/tone.rs"]
mod tone;

use std::collections::BTreeSet;

use sockets::{DOMAIN, Phones, now};
use warmline::driver::{Edge, MediaFiles, Options};
use warmline::engine::*;
use warmline::media::PromptName;
use warmline::media::describe::Mode;
use warmline::phone::CallState;
use warmline::sip::Uri;

const NAMES: [&str; 4] = ["alice", "bob", "carol", "dave"];
/// A tone for each phone, then the hold music, then an announcement: no one is another's harmonic.
const TONES: [f64; 6] = [440.0, 700.0, 1_000.0, 1_300.0, 1_700.0, 2_300.0];
const MUSIC: usize = 4;
const SOUND: usize = 5;
const A: usize = 0;
const B: usize = 1;
const C: usize = 2;
const D: usize = 3;
/// So many packets of 20 ms tell which tones there are.
const WINDOW: usize = 20;

struct World {
    edge: Edge,
    phones: Phones,
    ears: Vec<phone::Phone>,
    runtime: tokio::runtime::Runtime,
    /// Who has a call at the moment, and so sends.
    speaking: BTreeSet<usize>,
    sent: usize,
}

impl World {
    fn new(test: &str) -> World {
        World::with(test, |_| {})
    }

    fn with(test: &str, change: impl FnOnce(&mut Settings)) -> World {
        let mut settings = Settings::loopback("127.0.0.1:0".parse().unwrap());
        settings.domain = DOMAIN.to_owned();
        settings.key = [7; 16];
        let first = phone::ports();
        settings.media.ports = (first, first + 99);
        settings.media.hold_music = Some(PromptName("hold".into()));
        change(&mut settings);
        let mut prompts = Vec::new();
        let mut files = Vec::new();
        for (name, tone, samples) in [("hold", MUSIC, 16_000), ("sound", SOUND, 80_000)] {
            let file = std::env::temp_dir().join(format!("warmline-{test}-{name}-{}.wav", std::process::id()));
            std::fs::write(&file, tone::wav(TONES[tone], samples)).unwrap();
            prompts.push((PromptName(name.into()), Some(file.clone())));
            files.push(file);
        }
        let media = MediaFiles {
            prompts,
            recordings: None,
        };
        let options = Options {
            media,
            ..Options::default()
        };
        let edge = Edge::start(settings, options).unwrap();
        for file in files {
            std::fs::remove_file(file).unwrap();
        }
        let (mut phones, mut ears) = (Phones::default(), Vec::new());
        for (host, name) in (2..).zip(NAMES) {
            let at = phones.add(name, edge.listeners()[0].address);
            ears.push(phone::Phone::new([127, 0, 0, host]));
            phones.phone(at).configure().media = ears[at].address();
            phones.register(at);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        World {
            edge,
            phones,
            ears,
            runtime,
            speaking: BTreeSet::new(),
            sent: 0,
        }
    }

    fn order(&self, command: Command) -> Reply {
        self.runtime.block_on(self.edge.handle().command(command)).unwrap()
    }

    fn open(&self) -> CallHandle {
        let settings = HubSettings::default();
        let Reply::Call(call) = self.order(Command::OpenHub { settings }) else {
            panic!("no hub")
        };
        call.id
    }

    /// Calls a phone into a hub; it answers and sends its tone from then on.
    fn add(&mut self, call: CallHandle, who: usize, role: Role) -> LegHandle {
        let party = NewParty {
            to: Uri::parse(&format!("sip:{}@{DOMAIN}", NAMES[who])).unwrap(),
            from: None,
            from_name: None,
            role,
            ring_timeout: None,
            headers: Vec::new(),
            peer: None,
            credentials: None,
        };
        let party = Box::new(party);
        let Reply::Legs(legs) = self.order(Command::AddParty { call, party }) else {
            panic!("nobody is called")
        };
        self.phones.until("it rings", |phones| {
            let latest = phones.phone(who).latest();
            latest.is_some_and(|call| phones.phone(who).state(call) == Some(CallState::Ringing))
        });
        let incoming = self.phones.phone(who).latest().unwrap();
        self.phones.phone(who).answer(now(), incoming).unwrap();
        self.settled(who);
        legs[0]
    }

    /// The phone's call is up and calm.
    fn settled(&mut self, who: usize) {
        let call = self.phones.phone(who).latest().unwrap();
        self.phones.until("it is up", |phones| {
            phones.phone(who).state(call) == Some(CallState::Connected) && !phones.phone(who).is_busy()
        });
        self.speaking.insert(who);
    }

    fn role(&self, leg: LegHandle, role: Role) {
        assert!(matches!(self.order(Command::SetRole { leg, role }), Reply::Done));
    }

    /// Everybody sends for as long as a window is; what each has heard in it.
    fn listen(&mut self) -> Vec<BTreeSet<usize>> {
        let mut heard: Vec<Vec<u8>> = vec![Vec::new(); NAMES.len()];
        for ear in &self.ears {
            ear.flush();
        }
        for _ in 0..WINDOW {
            for who in &self.speaking {
                // Where it was told last: the edge, or another phone.
                let call = self.phones.phone(*who).latest().unwrap();
                let told = self.phones.phone(*who).remote_media(call).unwrap();
                self.ears[*who].set_edge(told.parse().unwrap());
                let payload = tone::make(TONES[*who], self.sent * 160, 160);
                self.ears[*who].send(0, &payload);
            }
            self.sent += 1;
            frame();
            self.phones.step();
        }
        for (ear, heard) in self.ears.iter().zip(&mut heard) {
            heard.extend(ear.waiting().into_iter().flatten());
        }
        heard.iter().map(|heard| tones(heard)).collect()
    }

    /// Waits until everybody who is named hears just these tones, for two windows in a row.
    fn hears(&mut self, what: &str, wanted: &[(usize, &[usize])]) {
        let wanted: Vec<(usize, BTreeSet<usize>)> = wanted
            .iter()
            .map(|(who, tones)| (*who, tones.iter().copied().collect()))
            .collect();
        let right = |heard: &[BTreeSet<usize>]| wanted.iter().all(|(who, tones)| heard[*who] == *tones);
        let (mut heard, mut in_a_row) = (Vec::new(), 0);
        for _ in 0..50 {
            heard = self.listen();
            // Once could be on the way from one state to the next; a machine that is busy may miss one in between.
            in_a_row = if right(&heard) { in_a_row + 1 } else { 0 };
            if in_a_row == 2 {
                return;
            }
        }
        panic!("{what}: wanted {wanted:?}, heard {heard:?}");
    }

    fn hang_up(&mut self, who: usize) {
        let call = self.phones.phone(who).latest().unwrap();
        self.phones.phone(who).bye(now(), call).unwrap();
        self.speaking.remove(&who);
        self.phones
            .until("it is over", |phones| phones.phone(who).live().is_empty());
    }

    fn over(mut self) {
        let speaking: Vec<_> = self.speaking.iter().copied().collect();
        for who in speaking {
            if !self.phones.phone(who).live().is_empty() {
                self.hang_up(who);
            }
        }
        let World {
            edge,
            mut phones,
            runtime,
            ..
        } = self;
        phones.until("nothing is left", |_| {
            let reply = runtime.block_on(edge.handle().command(Command::Totals));
            matches!(reply, Ok(Reply::Totals(totals)) if (totals.calls, totals.dialogs, totals.media_ports) == (0, 0, 0))
        });
        edge.stop();
    }
}

/// The length of a packet: phones on real sockets send in real time.
#[expect(clippy::disallowed_methods, reason = "real audio has a real clock")]
fn frame() {
    std::thread::sleep(std::time::Duration::from_millis(20));
}

/// Which of the tones are in what was heard.
fn tones(octets: &[u8]) -> BTreeSet<usize> {
    let share = |frequency: f64| tone::share(octets, frequency);
    (0..TONES.len()).filter(|at| share(TONES[*at]) > 0.12).collect()
}

fn part(part: Part) -> Role {
    Role {
        part,
        ..Role::default()
    }
}

#[test]
fn each_role_hears_and_is_heard_as_it_should() {
    let mut world = World::new("roles");
    let hub = world.open();
    let customer = world.add(hub, B, Role::default());
    world.hears("alone: music", &[(B, &[MUSIC])]);
    let agent = world.add(hub, A, Role::default());
    world.hears("a pair of speakers", &[(A, &[B]), (B, &[A])]);
    world.add(hub, C, Role::default());
    world.hears("three", &[(A, &[B, C]), (B, &[A, C]), (C, &[A, B])]);
    let boss = world.add(hub, D, part(Part::Monitor));
    world.hears("monitor", &[(A, &[B, C]), (B, &[A, C]), (C, &[A, B]), (D, &[A, B, C])]);
    world.role(boss, part(Part::Coach { of: agent }));
    world.hears(
        "whisper",
        &[(A, &[B, C, D]), (B, &[A, C]), (C, &[A, B]), (D, &[A, B, C])],
    );
    world.role(boss, part(Part::Speaker));
    world.hears(
        "barge",
        &[(A, &[B, C, D]), (B, &[A, C, D]), (C, &[A, B, D]), (D, &[A, B, C])],
    );
    world.role(boss, part(Part::Muted));
    world.hears("mute", &[(A, &[B, C]), (B, &[A, C]), (C, &[A, B]), (D, &[A, B, C])]);
    let held = Role {
        held: true,
        ..Role::default()
    };
    world.role(customer, held);
    world.hears("hold", &[(A, &[C]), (B, &[MUSIC]), (C, &[A]), (D, &[A, C])]);
    world.role(customer, Role::default());
    world.hears("back", &[(A, &[B, C]), (B, &[A, C]), (C, &[A, B]), (D, &[A, B, C])]);
    world.over();
}

#[test]
fn a_whisper_before_the_call_is_for_the_agent_alone_and_a_transfer_leaves_nobody_in_silence() {
    let mut world = World::new("whisper");
    let hub = world.open();
    let customer = world.add(hub, B, Role::default());
    let quiet = Role {
        held: true,
        music: Some(String::new()),
        ..Role::default()
    };
    let agent = world.add(hub, A, quiet);
    world.hears("the agent is not there yet", &[(B, &[MUSIC]), (A, &[])]);
    let to = AudienceHandle::Leg(agent);
    let sound = "sound".to_owned();
    world.order(Command::Play { to, sound, again: true });
    world.hears("whisper", &[(B, &[MUSIC]), (A, &[SOUND])]);
    world.order(Command::StopPlaying { to });
    world.role(agent, Role::default());
    world.hears("joined", &[(B, &[A]), (A, &[B])]);
    // Warm: the customer is held, agent and consult talk, then the agent leaves.
    let held = Role {
        held: true,
        ..Role::default()
    };
    world.role(customer, held);
    world.add(hub, C, Role::default());
    world.hears("consultation", &[(B, &[MUSIC]), (A, &[C]), (C, &[A])]);
    world.role(customer, Role::default());
    world.hears("all three", &[(B, &[A, C]), (A, &[B, C]), (C, &[A, B])]);
    world.hang_up(A);
    world.hears("transferred", &[(B, &[C]), (C, &[B])]);
    let to = AudienceHandle::Hub(hub);
    let sound = "sound".to_owned();
    world.order(Command::Play { to, sound, again: true });
    world.hears("an announcement to all", &[(B, &[C, SOUND]), (C, &[B, SOUND])]);
    world.order(Command::StopPlaying { to });
    world.order(Command::ToPair { call: hub });
    // Through the edge at first, and directly, phone to phone, as soon as both have agreed.
    world.hears("a pair", &[(B, &[C]), (C, &[B])]);
    let there = world.ears[C].address();
    assert_eq!(world.ears[B].edge(), there, "what each is told is where the other is");
    world.hears("and it stays so", &[(B, &[C]), (C, &[B])]);
    world.over();
}

#[test]
fn a_phone_s_own_hold_does_not_play_into_the_hub() {
    let mut world = World::new("holds");
    let hub = world.open();
    world.add(hub, A, Role::default());
    world.add(hub, B, Role::default());
    world.add(hub, C, Role::default());
    world.hears("three", &[(A, &[B, C]), (B, &[A, C]), (C, &[A, B])]);
    let call = world.phones.phone(A).latest().unwrap();
    world.phones.phone(A).hold(now(), call).unwrap();
    world.settled(A);
    // She goes on sending: a phone with music of its own does.
    world.hears("she holds", &[(A, &[]), (B, &[C]), (C, &[B])]);
    world.phones.phone(A).resume(now(), call).unwrap();
    world.settled(A);
    world.hears("she is back", &[(A, &[B, C]), (B, &[A, C]), (C, &[A, B])]);
    world.over();
}

/// A pair through the edge becomes a hub and a pair again while one talks: what the other hears has no gap of more than
/// 60 ms. A machine that is busy with other things makes gaps of its own, so one round of several has to be without.
#[test]
fn between_pair_and_hub_nobody_notices_anything() {
    const ROUNDS: usize = 6;
    const MOST: usize = 3;
    let mut world = World::with("gap", |settings| settings.media.mode = Mode::Relay);
    let outgoing = world.phones.phone(A).call(now(), &format!("sip:bob@{DOMAIN}"));
    world.phones.until("it rings", |phones| {
        phones.phone(A).state(outgoing) == Some(CallState::Early) && phones.phone(B).latest().is_some()
    });
    let incoming = world.phones.phone(B).latest().unwrap();
    world.phones.phone(B).answer(now(), incoming).unwrap();
    world.settled(A);
    world.settled(B);
    world.hears("a pair", &[(A, &[B]), (B, &[A])]);
    let Reply::Calls(calls) = world.order(Command::Calls) else {
        panic!("no calls")
    };
    let call = calls[0].id;
    let gaps: Vec<usize> = (0..ROUNDS).map(|_| world.round(call)).collect();
    let least = gaps.iter().min().unwrap();
    assert!(*least <= MOST, "packets in a row without the tone: {gaps:?}");
    world.over();
}

impl World {
    /// To a hub and back, while one talks; the longest row of packets without his tone that the other hears.
    fn round(&mut self, call: CallHandle) -> usize {
        const FRAMES: usize = 90;
        self.ears[B].flush();
        let mut heard: Vec<Vec<u8>> = Vec::new();
        for at in 0..FRAMES {
            self.ears[A].send(0, &tone::make(TONES[A], self.sent * 160, 160));
            self.sent += 1;
            let settings = HubSettings::default();
            match at {
                30 => drop(self.order(Command::ToHub { call, settings })),
                60 => drop(self.order(Command::ToPair { call })),
                _ => {}
            }
            frame();
            self.phones.step();
            heard.extend(self.ears[B].waiting());
        }
        let is_tone = |payload: &Vec<u8>| tone::share(payload, TONES[A]) > 0.5;
        let tones = heard.iter().filter(|payload| is_tone(payload)).count();
        let missing = FRAMES.saturating_sub(tones + 2);
        let longest = heard.split(is_tone).map(<[Vec<u8>]>::len).max().unwrap_or_default();
        longest.max(missing)
    }
}
