//! The edge's process: it may die, and another one begins with what it left in the store.

use std::collections::BTreeMap;
use std::time::Duration;

use warmline::engine::{Engine, Input, NoteKind, Settings, Stored};
use warmline::observe::{Living, Records};
use warmline::store::{Memory, Row, Store, rows};

use super::World;

/// When the first process of a world began, Unix time in seconds.
const STARTED: u64 = 1_800_000_000;

/// What belongs to the process, and what outlives it.
#[derive(Debug)]
pub(super) struct Process {
    settings: Settings,
    store: Memory,
    number: u64,
    /// It dies when it has said so much more.
    left: Option<usize>,
    said: usize,
    dead: bool,
}

impl Process {
    pub(super) fn new(settings: &Settings) -> Process {
        Process {
            settings: settings.clone(),
            store: Memory::default(),
            number: 1,
            left: None,
            said: 0,
            dead: false,
        }
    }

    pub(super) fn is_dead(&self) -> bool {
        self.dead
    }
}

impl World {
    /// A world whose edge keeps what it should, from the first message on.
    pub(crate) fn keeping(change: impl FnOnce(&mut Settings)) -> World {
        World::keeping_over(change, |_| warmline::phone::PhoneTransport::Udp)
    }

    /// The same with phones that use this.
    pub(crate) fn keeping_over(
        change: impl FnOnce(&mut Settings),
        transport: impl Fn(super::Who) -> warmline::phone::PhoneTransport,
    ) -> World {
        let mut world = World::unregistered(change, transport);
        world.records = Records::new(10_000).keeping();
        world.start_process();
        world.register_everybody();
        world
    }

    fn start_process(&mut self) {
        let number = self.process.number;
        let mut settings = self.process.settings.clone();
        settings.process.seed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let age = self.now.duration_since(self.start).as_secs();
        settings.process.started = Some(STARTED + age);
        settings.media.secret = [number as u8; 32];
        settings.media.fingerprint = warmline::media::Fingerprint([number as u8; 32]);
        self.engine = Engine::new(settings, self.now).keeping(self.now);
        self.process.dead = false;
    }

    /// The process is killed when it has said `outputs` more things.
    pub(crate) fn die_after(&mut self, outputs: usize) {
        self.process.left = Some(outputs);
    }

    /// It is not killed any more.
    pub(crate) fn live_on(&mut self) {
        self.process.left = None;
        if self.process.dead {
            self.start_again();
        }
    }

    /// How many things it has said so far.
    pub(crate) fn said(&self) -> usize {
        self.process.said
    }

    /// Whether it was killed.
    pub(crate) fn is_dead(&self) -> bool {
        self.process.dead
    }

    /// Kills the process: what it has not said is never said.
    pub(crate) fn kill(&mut self) {
        self.process.left = None;
        self.process.dead = true;
        self.ladder
            .push(format!("{:>8}  ✝ the process is killed", self.clock()));
        // One that hears nothing and has nothing to do.
        self.engine = Engine::new(self.process.settings.clone(), self.now);
        // What it knew of records and was not written went with it, and its packets.
        self.records = Records::new(10_000);
        self.media.clear();
    }

    /// Another process begins where the last one was killed.
    pub(crate) fn start_again(&mut self) {
        assert!(self.process.dead, "the last process lives");
        self.process.number += 1;
        self.start_process();
        self.ladder.push(format!("{:>8}  ✶ another process", self.clock()));
        let records = self.process.store.records().expect("memory is always there");
        let record = |record: &Stored| {
            let Stored::Note(NoteKind::Record, _, Some(text)) = record else {
                return None;
            };
            serde_json::from_str(text).ok()
        };
        self.records = Records::new(10_000).keeping();
        self.records.take_back(records.iter().filter_map(record).collect());
        self.engine.handle_input(self.now, Input::Restored { records });
        self.take_outputs();
        if self.is_dead() {
            return;
        }
        let (legs, calls, transfers) = self.engine.living();
        let living = Living {
            legs: legs.into_iter().collect(),
            calls: calls.into_iter().collect(),
            transfers: transfers.into_iter().collect(),
        };
        self.records.settle_restored(self.moment(), &living);
        self.keep_records();
    }

    /// Kills the process, and starts another one after this time.
    pub(crate) fn restart(&mut self, after: Duration) {
        self.kill();
        self.advance(after);
        self.start_again();
    }

    /// The edge has every call that both of its phones have.
    pub(crate) fn assert_paired_if_answered(&mut self) {
        use warmline::phone::CallState;
        let connected = |world: &World, who: super::Who| {
            let phone = world.phone(who);
            phone
                .live()
                .iter()
                .any(|call| phone.state(*call) == Some(CallState::Connected))
        };
        if super::EVERYBODY.into_iter().filter(|who| connected(self, *who)).count() == 2 {
            self.assert_paired();
        }
    }

    /// Another process after the same settings.
    pub(crate) fn reconfigure(&mut self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.process.settings);
    }

    pub(super) fn keep(&mut self, changes: Vec<Stored>) {
        let kinds: Vec<String> = changes.iter().map(name).collect();
        self.ladder.push(format!("{:>8}  ▣ {}", self.clock(), kinds.join(", ")));
        self.process
            .store
            .keep(&rows(&changes))
            .expect("memory is always there");
    }

    /// What is in the store, as its back end has it.
    pub(crate) fn kept_rows(&self) -> Vec<Row> {
        let records = self.process.store.clone().records().expect("memory is always there");
        rows(&records)
    }

    /// What is new of the call records.
    pub(super) fn keep_records(&mut self) {
        while let Some((id, stored)) = self.records.poll_changed() {
            let text = stored.map(|stored| serde_json::to_string(&stored).expect("plain data"));
            let changes = [Stored::Note(NoteKind::Record, id.into(), text)];
            self.process
                .store
                .keep(&rows(&changes))
                .expect("memory is always there");
        }
    }

    /// What is in the store, by kind: users, legs, calls, transfers.
    pub(crate) fn kept(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        let records = self.process.store.clone().records().expect("memory is always there");
        for record in records {
            let kind = match record {
                Stored::User(_) => "user",
                Stored::Leg(..) => "leg",
                Stored::Call(..) => "call",
                Stored::Hub(..) => "hub",
                Stored::Ringing(..) => "ringing",
                Stored::Ban(..) => "ban",
                Stored::Note(..) => "note",
                Stored::Transfer(..) => "transfer",
            };
            *counts.entry(kind).or_default() += 1;
        }
        counts
    }

    pub(super) fn dies_now(&mut self) -> bool {
        if self.process.dead {
            return true;
        }
        match &mut self.process.left {
            Some(0) => {
                self.kill();
                return true;
            }
            Some(left) => *left -= 1,
            None => {}
        }
        self.process.said += 1;
        false
    }
}

fn name(record: &Stored) -> String {
    let mark = |is: bool| if is { "" } else { "−" };
    match record {
        Stored::User(user) => format!("{}{}", mark(!user.bindings.is_empty()), user.user),
        Stored::Leg(leg, stored) => format!("{}{leg}", mark(stored.is_some())),
        Stored::Call(call, stored) => format!("{}{call}", mark(stored.is_some())),
        Stored::Ringing(leg, stored) => format!("{}{leg} rings", mark(stored.is_some())),
        Stored::Ban(source, stored) => format!("{}ban of {source}", mark(stored.is_some())),
        Stored::Note(_, key, stored) => format!("{}note {key}", mark(stored.is_some())),
        Stored::Hub(call, stored) => format!("{}{call} as a hub", mark(stored.is_some())),
        Stored::Transfer(transfer, stored) => format!("{}{transfer}", mark(stored.is_some())),
    }
}
