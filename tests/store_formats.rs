//! A store of every format that was ever written is opened and goes on, or is refused loudly. `tests/store/format-N.db.txt`
//! has such a file as it was left by `kill -9` in the middle of a warm transfer: a line for each part that is not zeros.

#![allow(clippy::unwrap_used, reason = "a test stops where something is not as it should be")]
#![expect(clippy::disallowed_methods, reason = "the base of virtual time")]

use std::path::{Path, PathBuf};
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use warmline::engine::{CallHandle, Engine, Input, Process, Settings, Stored};
use warmline::store::{Embedded, Identity, Store, StoreError, rows};

/// The store of a former version, in a folder of its own.
fn written_by(format: u8, test: &str) -> (PathBuf, PathBuf) {
    let folder = std::env::temp_dir().join(format!("warmline-format-{}-{test}", std::process::id()));
    std::fs::remove_dir_all(&folder).ok(); // of an earlier run
    std::fs::create_dir(&folder).unwrap();
    let of = |end: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/store/format-{format}.{end}"));
    let text = std::fs::read_to_string(of("db.txt")).unwrap();
    let mut lines = text.lines();
    let mut octets = vec![0; lines.next().unwrap().parse().unwrap()];
    for line in lines {
        let (at, part) = line.split_once(' ').unwrap();
        let (at, part) = (at.parse::<usize>().unwrap(), STANDARD.decode(part).unwrap());
        octets[at..at + part.len()].copy_from_slice(&part);
    }
    let path = folder.join("store.db");
    std::fs::write(&path, octets).unwrap();
    std::fs::copy(of("journal"), folder.join("store.db-journal0")).unwrap();
    (folder, path)
}

fn counts(records: &[Stored]) -> [usize; 4] {
    let count = |is: fn(&Stored) -> bool| records.iter().filter(|record| is(record)).count();
    [
        count(|record| matches!(record, Stored::User(_))),
        count(|record| matches!(record, Stored::Leg(..))),
        count(|record| matches!(record, Stored::Call(..))),
        count(|record| matches!(record, Stored::Hub(..))),
    ]
}

#[test]
fn a_store_of_format_2_is_taken_over_and_its_calls_go_on() {
    let (folder, path) = written_by(2, "goes-on");
    let mut store = Embedded::open(&path).unwrap();
    let fresh = Identity { key: [0; 16], node: 0 };
    let key = store.identity(fresh).unwrap().key;
    assert_ne!(key, [0; 16], "the key that its tags are sealed with");
    let records = store.records().unwrap();
    assert_eq!(counts(&records), [3, 4, 2, 0]);
    let now = Instant::now();
    let mut settings = Settings::loopback("127.0.0.1:5060".parse().unwrap());
    settings.key = key;
    settings.process = Process {
        seed: 1,
        started: Some(1_795_206_000),
    };
    let mut engine = Engine::new(settings, now).keeping(now);
    engine.handle_input(now, Input::Restored { records });
    let totals = engine.totals();
    assert_eq!((totals.registrations, totals.dialogs, totals.calls), (3, 4, 2));
    // What this version adds has its place there, and comes back from there.
    let call = CallHandle { slot: 9, generation: 9 };
    let hub = serde_json::json!({
        "settings": {"name": null, "music": null, "most": 2, "stays": true}, "participants": [], "wanted": [],
        "leaving": [], "started": false, "until": null, "recorded": false, "transfers": 0,
    });
    let hub = Stored::Hub(call, Some(serde_json::from_value(hub).unwrap()));
    store.keep(&rows(std::slice::from_ref(&hub))).unwrap();
    drop(store);
    let mut store = Embedded::open(&path).unwrap();
    let records = store.records().unwrap();
    assert_eq!(counts(&records), [3, 4, 2, 1]);
    assert!(records.contains(&hub));
    drop(store);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_store_of_a_newer_version_is_refused_and_left_alone() {
    let (folder, path) = written_by(2, "newer");
    let table = redb::TableDefinition::<&str, &[u8]>::new("warmline");
    let database = redb::Database::open(&path).unwrap();
    let write = database.begin_write().unwrap();
    write
        .open_table(table)
        .unwrap()
        .insert("format", b"4".as_slice())
        .unwrap();
    write.commit().unwrap();
    drop(database);
    let refused = Embedded::open(&path).unwrap_err();
    assert!(
        matches!(refused, StoreError::Newer { found: 4, known: 3, .. }),
        "{refused}"
    );
    assert!(refused.to_string().contains("store.db"), "{refused}");
    std::fs::remove_dir_all(folder).unwrap();
}
