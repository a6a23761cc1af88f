//! Resident bytes of a dialog, each structure in a process of its own: an allocator gives pages back when it likes.

use crate::load::{Joined, Load, Ours, Three};
use std::hint::black_box;
use std::process::Command;

/// Fills a structure and prints by how many bytes a dialog the process has grown.
pub(crate) fn child(case: &str, size: usize) {
    let load = Load::new(size);
    let mut places = vec![None; size];
    black_box(&mut places).iter_mut().for_each(|place| *place = None); // resident before we look
    let before = resident();
    let grown = match case {
        "ours" => grown(before, Ours::table(&load, &mut places)),
        "joined" => grown(before, Joined::new(&load)),
        "three" => grown(before, Three::new(&load)),
        other => panic!("no such case: {other}"),
    };
    println!("{}", grown / load.len());
}

/// Bytes a dialog, payload included; 0 where it cannot be told.
pub(crate) fn per_dialog(case: &str, size: usize) -> usize {
    let program = std::env::current_exe().unwrap_or_default();
    let output = Command::new(program)
        .args(["--resident", case, &size.to_string()])
        .output();
    let printed = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().parse());
    printed.ok().and_then(Result::ok).unwrap_or_default()
}

fn grown<T>(before: usize, structure: T) -> usize {
    black_box(&structure);
    resident().saturating_sub(before)
}

fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: usize = statm
        .split_whitespace()
        .nth(1)
        .and_then(|field| field.parse().ok())
        .unwrap_or_default();
    pages * 4096
}
