//! The whole edge over real sockets, SIP and RTP: a call through the edge, held with music, and moved to somebody else.
//! After each step a tone goes in at one end and is looked for at the other.
#![allow(clippy::unwrap_used, reason = "a test stops where something is not as it should be")]

#[path = "media/phone.rs"]
mod phone;
mod sockets;
#[path = "media/tone.rs"]
mod tone;

use sockets::{DOMAIN, Phones, now};
use warmline::driver::{Edge, MediaFiles, Options};
use warmline::engine::{Settings, User};
use warmline::media::PromptName;
use warmline::media::describe::Mode;
use warmline::phone::{CallState, PhoneCall};

const MUSIC: f64 = 1_500.0;

struct World {
    edge: Edge,
    phones: Phones,
    ears: Vec<phone::Phone>,
}

impl World {
    fn new(test: &str) -> World {
        let names = ["alice", "bob", "carol"];
        let mut settings = Settings::loopback("127.0.0.1:0".parse().unwrap());
        settings.domain = DOMAIN.to_owned();
        settings.open = false;
        let user = |name: &str| User {
            name: name.to_owned(),
            password: "secret".to_owned(),
        };
        settings.users = names.map(user).into();
        settings.key = [7; 16];
        settings.media.mode = Mode::Relay;
        let first = phone::ports();
        settings.media.ports = (first, first + 99);
        settings.media.hold_music = Some(PromptName("hold".into()));
        let file = std::env::temp_dir().join(format!("warmline-{test}-{}.wav", std::process::id()));
        std::fs::write(&file, tone::wav(MUSIC, 16_000)).unwrap();
        let options = Options {
            media: MediaFiles {
                prompts: vec![(PromptName("hold".into()), Some(file.clone()))],
                recordings: None,
            },
            ..Options::default()
        };
        let edge = Edge::start(settings, options).unwrap();
        std::fs::remove_file(&file).unwrap();
        let (mut phones, mut ears) = (Phones::default(), Vec::new());
        for (host, name) in (2..).zip(names) {
            let at = phones.add(name, edge.listeners()[0].address);
            ears.push(phone::Phone::new([127, 0, 0, host]));
            phones.phone(at).configure().media = ears[at].address();
            phones.register(at);
        }
        World { edge, phones, ears }
    }

    fn connect(&mut self, from: usize, to: usize, name: &str) -> (PhoneCall, PhoneCall) {
        let outgoing = self.phones.phone(from).call(now(), &format!("sip:{name}@{DOMAIN}"));
        self.phones
            .until("it rings", |phones| phones.phone(to).latest().is_some());
        let incoming = self.phones.phone(to).latest().unwrap();
        self.phones.until("ringing is heard", |phones| {
            phones.phone(from).state(outgoing) == Some(CallState::Early)
        });
        self.phones.phone(to).answer(now(), incoming).unwrap();
        self.settled("they talk", &[(from, outgoing), (to, incoming)]);
        (outgoing, incoming)
    }

    fn settled(&mut self, what: &str, calls: &[(usize, PhoneCall)]) {
        self.phones.until(what, |phones| {
            let calm = |(at, call): &(usize, PhoneCall)| {
                let phone = phones.phone(*at);
                phone.state(*call) == Some(CallState::Connected) && !phone.is_busy()
            };
            calls.iter().all(calm)
        });
        for (at, call) in calls {
            let told = self.phones.phone(*at).remote_media(*call).unwrap();
            let edge = told.parse::<std::net::SocketAddr>().unwrap();
            // Through the edge: nobody is told another phone's address.
            assert!(self.ears.iter().all(|ear| ear.address() != edge), "{told}");
            self.ears[*at].set_edge(edge);
        }
    }

    /// Whether tones go through each way.
    fn talk(&self, one: usize, other: usize) {
        for (from, to, frequency) in [(one, other, 440.0), (other, one, 1_000.0)] {
            let (from, to) = (&self.ears[from], &self.ears[to]);
            from.knock(to);
            assert!(tone::is(&from.play(frequency, 50, to), frequency), "{frequency}");
        }
    }

    /// Whether a party hears the hold music.
    fn hears_music(&self, at: usize) {
        self.ears[at].flush();
        let heard: Vec<u8> = std::iter::from_fn(|| self.ears[at].hear()).take(50).flatten().collect();
        assert!(tone::is(&heard, MUSIC));
    }
}

#[test]
fn a_call_goes_through_the_edge_is_held_with_music_and_moved() {
    let mut world = World::new("calls");
    let (alice, bob, carol) = (0, 1, 2);
    let (call, at_bob) = world.connect(alice, bob, "bob");
    world.talk(alice, bob);

    world.phones.phone(alice).hold(now(), call).unwrap();
    world.settled("held", &[(alice, call), (bob, at_bob)]);
    world.hears_music(bob);

    let (consult, at_carol) = world.connect(alice, carol, "carol");
    world.talk(alice, carol);
    world.hears_music(bob);

    world.phones.phone(alice).refer_attended(now(), call, consult).unwrap();
    world
        .phones
        .until("alice is out", |phones| phones.phone(alice).live().is_empty());
    world.settled("moved", &[(bob, at_bob), (carol, at_carol)]);
    world.ears[bob].flush();
    world.talk(bob, carol);

    world.phones.phone(bob).bye(now(), at_bob).unwrap();
    world
        .phones
        .until("all is over", |phones| phones.phone(carol).live().is_empty());
    world.edge.stop();
}
