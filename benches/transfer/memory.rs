//! Resident bytes of an established two-leg call, each size in a process of its own.

use std::process::Command;
use std::time::Duration;

use crate::calls;
use crate::edge::{Edge, settings};

/// Calls a second in virtual time: the transactions that live at once are those of 32 seconds, and all calls are up before
/// the first session is refreshed (after 15 minutes).
const RATE: u64 = 250;
const BATCH: u64 = 25;

/// Sets calls up, lets their transactions end, and prints by how many bytes a call the process has grown.
pub(crate) fn child(size: u64) {
    let mut edge = Edge::new(settings());
    // What is touched once: code, first chunks, the peak of transactions.
    warm_up(&mut edge);
    let before = resident();
    for first in (0..size).step_by(BATCH as usize) {
        drop(calls::up(&mut edge, 1_000_000 + first, BATCH));
        edge.advance(Duration::from_millis(1_000 * BATCH / RATE - 70));
    }
    edge.advance(Duration::from_secs(70));
    assert_eq!(
        edge.totals(),
        (2 * size as usize, 0),
        "the calls are up, no transaction lives"
    );
    println!("{}", resident().saturating_sub(before) / size);
}

fn warm_up(edge: &mut Edge) {
    for first in (0..RATE * 40).step_by(BATCH as usize) {
        let up = calls::up(edge, first, BATCH);
        calls::down(edge, up);
        edge.advance(Duration::from_millis(1_000 * BATCH / RATE - 80));
    }
    edge.advance(Duration::from_secs(70));
    assert_eq!(edge.totals(), (0, 0));
}

/// Bytes a call; 0 where it cannot be told.
pub(crate) fn per_call(size: u64) -> u64 {
    let program = std::env::current_exe().unwrap_or_default();
    let output = Command::new(program).args(["--memory", &size.to_string()]).output();
    let printed = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().parse());
    printed.ok().and_then(Result::ok).unwrap_or_default()
}

fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = statm
        .split_whitespace()
        .nth(1)
        .and_then(|field| field.parse().ok())
        .unwrap_or_default();
    pages * 4096
}
