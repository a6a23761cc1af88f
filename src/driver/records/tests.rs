use std::path::Path;

use super::*;
use crate::engine::{CallHandle, Cause, LegHandle};

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("warmline-records-{}-{name}", std::process::id()));
    std::fs::remove_dir_all(&folder).ok(); // of an earlier run
    std::fs::create_dir(&folder).unwrap();
    folder
}

fn call(maker: &RecordMaker, slot: u32) {
    let (leg, call) = (LegHandle { slot, generation: 0 }, CallHandle { slot, generation: 0 });
    let started = Event::LegStarted {
        leg,
        call: Some(call),
        transfer: None,
        inbound: true,
        party: format!("sip:{slot}@example.test"),
        call_id: "a".to_owned(),
    };
    let cause = Cause::Party;
    for event in [
        started,
        Event::LegEnded { leg, cause },
        Event::CallEnded { call, cause },
    ] {
        maker.event(Moment(1_000), &event);
    }
}

fn lines(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    let read = |line: &str| {
        let value: serde_json::Value = serde_json::from_str(line).expect("a line is one JSON object");
        value["from"].as_str().unwrap().to_owned()
    };
    text.lines().map(read).collect()
}

fn counted(metrics: &Metrics) -> bool {
    let page = metrics.render(&crate::engine::Totals::default());
    !page.lines().any(|line| line == "warmline_records_lost_total 0")
}

#[test]
fn complete_calls_are_lines_of_json_and_a_moved_file_is_opened_again() {
    let folder = folder("rotation");
    let (path, moved) = (folder.join("calls.jsonl"), folder.join("calls.1"));
    let metrics = Arc::new(Metrics::new());
    let options = RecordOptions {
        keep: 2,
        file: Some(path.clone()),
    };
    let maker = RecordMaker::start(&options, &metrics, None).unwrap();
    call(&maker, 1);
    drop(maker); // waits for the line
    let maker = RecordMaker::start(&options, &metrics, None).unwrap();
    std::fs::rename(&path, &moved).unwrap();
    maker.records().reopen();
    (2..5).for_each(|slot| call(&maker, slot));
    let kept = maker.records().page(&RecordQuery {
        limit: 10,
        ..RecordQuery::default()
    });
    assert_eq!(kept.total, 2, "in memory, the last two");
    drop(maker);
    assert_eq!(lines(&moved), ["sip:1@example.test"]);
    assert_eq!(
        lines(&path),
        ["sip:2@example.test", "sip:3@example.test", "sip:4@example.test"]
    );
    assert!(!counted(&metrics));
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_disk_that_takes_nothing_costs_lines_that_are_counted() {
    let metrics = Arc::new(Metrics::new());
    let options = RecordOptions {
        keep: 10,
        file: Some("/dev/full".into()),
    };
    let maker = RecordMaker::start(&options, &metrics, None).unwrap();
    call(&maker, 1);
    call(&maker, 2);
    assert_eq!(
        maker
            .records()
            .page(&RecordQuery {
                limit: 9,
                ..RecordQuery::default()
            })
            .total,
        2
    );
    drop(maker);
    assert!(counted(&metrics));
}

#[test]
fn a_file_that_cannot_be_made_is_told_before_anything_starts() {
    let options = RecordOptions {
        keep: 1,
        file: Some("/nowhere/at/all/calls.jsonl".into()),
    };
    let refused = RecordMaker::start(&options, &Arc::new(Metrics::new()), None).unwrap_err();
    assert!(refused.to_string().contains("call records"), "{refused}");
}

/// What a store would have of it.
fn kept(maker: &RecordMaker, rows: &mut std::collections::BTreeMap<String, String>) {
    for change in maker.changes() {
        let Stored::Note(NoteKind::Record, id, text) = change else {
            panic!("{change:?} is no record")
        };
        match text {
            Some(text) => drop(rows.insert(id.into(), text)),
            None => drop(rows.remove(id.as_str())),
        }
    }
}

/// Killed before the line, in it, behind it, and when the store knows of it: it is there once.
#[test]
fn a_record_is_in_the_file_once_wherever_the_process_is_killed() {
    let folder = folder("once");
    let path = folder.join("calls.jsonl");
    let metrics = Arc::new(Metrics::new());
    let options = RecordOptions {
        keep: 2,
        file: Some(path.clone()),
    };
    let nowhere = RecordOptions {
        file: None,
        ..options.clone()
    };
    // One whose line nobody writes: the store has it.
    let (mut rows, maker) = (
        Default::default(),
        RecordMaker::start(&nowhere, &metrics, Some(Vec::new())).unwrap(),
    );
    call(&maker, 7);
    kept(&maker, &mut rows);
    assert_eq!(rows.len(), 1);
    let back = |rows: &std::collections::BTreeMap<String, String>| Some(rows.values().cloned().collect());
    drop(maker);
    for cut in [None, Some(40)] {
        if let Some(octets) = cut {
            std::fs::OpenOptions::new()
                .write(true)
                .open(&path)
                .unwrap()
                .set_len(octets)
                .unwrap();
        }
        let maker = RecordMaker::start(&options, &metrics, back(&rows)).unwrap();
        drop(maker); // waits for the line
        assert_eq!(lines(&path), ["sip:7@example.test"], "{cut:?}");
    }
    // The line is there, and the store does not know it.
    let maker = RecordMaker::start(&options, &metrics, back(&rows)).unwrap();
    kept(&maker, &mut rows);
    assert!(rows.is_empty(), "the store need not keep it any more");
    let page = maker.records().page(&RecordQuery {
        limit: 9,
        ..RecordQuery::default()
    });
    assert_eq!(page.total, 1, "it is remembered by its line");
    drop(maker);
    assert_eq!(lines(&path), ["sip:7@example.test"]);
    std::fs::remove_dir_all(folder).unwrap();
}
