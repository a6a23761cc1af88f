//! What a process finds in its store: rows of any content, as a torn disk or another version may have left them. The engine
//! takes back what it can; nothing of it may stop it, now or when its timers fire.
//!
//! A line is a row, `table key json`; an input that begins with `[` is a journal.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use warmline::engine::{Command, CommandId, Engine, Input, Output, Reply, Settings};
use warmline::store::{Embedded, Identity, Memory, Row, Store, Stored};
use warmline::transport::{Flow, Transport};

const TABLES: [&str; 9] = [
    "bindings",
    "legs",
    "calls",
    "transfers",
    "hubs",
    "ringing",
    "bans",
    "records",
    "notes",
];
const EDGE: &str = "192.0.2.1:5060";

pub(super) fn run(octets: &[u8]) {
    let records = match octets.first() {
        Some(b'[') => journal(octets),
        Some(_) | None => rows(octets),
    };
    // What was read says the same when it is written and read again.
    let mut again = Memory::default();
    again.keep(&warmline::store::rows(&records)).expect("memory");
    assert!(again.records().expect("memory").len() <= records.len());
    live(records);
}

fn rows(octets: &[u8]) -> Vec<Stored> {
    let text = String::from_utf8_lossy(octets);
    let row = |line: &str| {
        let (table, rest) = line.split_once(' ')?;
        let (key, value) = rest.split_once(' ')?;
        Some(Row {
            table: TABLES.into_iter().find(|known| *known == table)?,
            key: key.to_owned(),
            value: Some(value.as_bytes().to_vec()),
        })
    };
    let rows: Vec<Row> = text.lines().filter_map(row).collect();
    let mut memory = Memory::default();
    memory.keep(&rows).expect("memory");
    memory.records().expect("memory")
}

/// A process that was killed left this journal beside its tables.
fn journal(octets: &[u8]) -> Vec<Stored> {
    let folder = Folder::new();
    let path = folder.0.join("edge.store");
    std::fs::write(folder.0.join("edge.store-journal0"), octets).expect("a file");
    let mut store = Embedded::open(&path).expect("a journal never keeps an edge from starting");
    let identity = Identity { key: [0; 16], node: 0 };
    store.identity(identity).expect("a new store has none");
    store.records().expect("what can be read")
}

struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        let memory = Path::new("/dev/shm");
        let base = if memory.is_dir() {
            memory.to_owned()
        } else {
            std::env::temp_dir()
        };
        let thread = format!("{:?}", std::thread::current().id());
        let number: String = thread.chars().filter(char::is_ascii_digit).collect();
        let folder = base.join(format!("warmline-fuzz-{}-{number}", std::process::id()));
        std::fs::remove_dir_all(&folder).ok(); // of an input that failed before
        std::fs::create_dir_all(&folder).expect("a folder");
        Folder(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok(); // nothing is lost with it
    }
}

/// An engine takes it back, hears something, and lives for ten minutes.
fn live(records: Vec<Stored>) {
    #[expect(clippy::disallowed_methods, reason = "the one base of virtual time")]
    let start = Instant::now();
    let mut settings = Settings::loopback(EDGE.parse().expect("an address"));
    settings.process.started = Some(1_700_000_000);
    let mut engine = Engine::new(settings, start).keeping(start);
    let mut now = start;
    engine.handle_input(now, Input::Restored { records });
    drain(&mut engine);
    let options = "OPTIONS sip:192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
                   From: <sip:a@b>;tag=1\r\nTo: <sip:192.0.2.1>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";
    let flow = Flow {
        transport: Transport::Udp,
        local: EDGE.parse().expect("an address"),
        remote: "198.51.100.7:5060".parse().expect("an address"),
        connection: 0,
    };
    let bytes = Bytes::from_static(options.as_bytes());
    engine.handle_input(now, Input::Received { flow, bytes });
    assert!(drain(&mut engine).0 > 0, "an edge that answers nobody");
    for (number, command) in [Command::Calls, Command::Registrations, Command::Transfers]
        .into_iter()
        .enumerate()
    {
        let id = CommandId(number as u64);
        engine.handle_input(now, Input::Command { id, command });
        for call in drain(&mut engine).1 {
            let id = CommandId(100);
            engine.handle_input(
                now,
                Input::Command {
                    id,
                    command: Command::HangUpCall { call },
                },
            );
        }
    }
    let end = start + Duration::from_secs(600);
    let mut turns = 0;
    while let Some(at) = engine.poll_timeout().filter(|at| *at <= end) {
        now = at.max(now);
        engine.handle_timeout(now);
        drain(&mut engine);
        turns += 1;
        assert!(turns < 20_000, "time stands still {:?} after the start", now - start);
    }
    let totals = engine.totals();
    assert_eq!(
        (totals.calls, totals.transfers),
        (0, 0),
        "calls and transfers that nobody can end"
    );
}

/// How many messages leave, and which calls were listed.
fn drain(engine: &mut Engine) -> (usize, Vec<warmline::engine::CallHandle>) {
    let (mut messages, mut calls) = (0, Vec::new());
    while let Some(output) = engine.poll_output() {
        match output {
            Output::Transmit { .. } => messages += 1,
            Output::Reply {
                reply: Ok(Reply::Calls(list)),
                ..
            } => calls.extend(list.into_iter().map(|call| call.id)),
            Output::Reply { .. }
            | Output::Store { .. }
            | Output::Media(_)
            | Output::Resolve { .. }
            | Output::Event(_) => {}
        }
    }
    (messages, calls)
}
