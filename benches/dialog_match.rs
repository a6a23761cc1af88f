//! Dialog matching: our table beside `std::collections::HashMap`, in one run.
//!
//! Messages are received sixteen at a time into a buffer, as from a socket: their texts are warm, their dialogs are
//! not. Only the look-ups are timed. One by one, a look-up ends with the dialog's payload, which says where the next
//! message lies: so one look-up cannot begin before the one before it has ended. In a batch it ends with the handle.
//!
//! - ours: `Table::find` and `get` for each message; `Table::find_batch` for sixteen;
//! - proxied: our map for dialogs whose tags are not ours, with the hash maps' tags;
//! - joined: one `String` key, joined for the look-up in a buffer that is used again (no allocation);
//! - three: a key of three `String`s, which `std` can only be asked for with three owned ones.
//!
//! The hash maps get a local tag of 10 characters, as most servers make them, not ours of 32: their key is the shorter
//! for it.
//!
//! Structures take turns within a round. A round's figure is the median of its batches, so that a batch in which the
//! machine did something else does not count; a case's figure is the median of its rounds. It is wall-clock time: the
//! thread's CPU clock cannot be read as often without `unsafe`. Instructions are counted by callgrind as the difference
//! between N and 2 N look-ups. `--quick` runs fewer rounds. The closing lines are for machines:
//! `ratio CASE ours/joined`, `instructions CASE COUNT`, `allocations CASE COUNT`.
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

#[path = "dialog_match/count.rs"]
mod count;
#[path = "dialog_match/load.rs"]
mod load;
#[path = "dialog_match/memory.rs"]
mod memory;

use load::{Batch, Finds, Joined, Load, Ours, Proxies, Three, Unchained, times};
use warmline::dialog::BATCH;

const SIZES: [usize; 3] = [1_000, 100_000, 1_000_000];
const BATCHED: usize = 1_000_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, structure, size] = arguments.as_slice() {
        match flag.as_str() {
            "--count" => return count::child(structure, number(size)),
            "--resident" => return memory::child(structure, number(size)),
            _ => {}
        }
    }
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let (rounds, batches) = if quick { (7, 4_000) } else { (41, 10_000) };
    let mut closing = Vec::new();
    println!("ns a look-up: median of {rounds} interleaved rounds of {batches} batches of {BATCH}\n");
    println!(
        "{:<28}{:>8}{:>8}{:>8}{:>14}{:>14}",
        "", "ours", "joined", "three", "ours/joined", "ours/three"
    );
    for size in SIZES {
        let load = Load::new(size);
        let mut ours = Ours::new(&load);
        let mut joined = Joined::new(&load);
        let mut three = Three::new(&load);
        let mut proxies = Proxies::new(&load);
        let mut times = Rounds::default();
        for round in 0..=rounds {
            let start = round * batches;
            let figures = [
                figure(&mut ours, &load, start, batches),
                figure(&mut Batch(&ours), &load, start, batches),
                figure(&mut joined, &load, start, batches),
                figure(&mut three, &load, start, batches),
                figure(&mut proxies, &load, start, batches),
                figure(&mut Unchained(&mut joined), &load, start, batches),
            ];
            if round > 0 {
                times.push(figures); // the first round warms up
            }
        }
        times.print(&format!("dialog_match/{size}"), &times.ours);
        closing.push(format!(
            "ratio dialog_match/{size} {:.3}",
            ratio(&times.ours, &times.joined)
        ));
        if size == BATCHED {
            times.print(&format!("dialog_match/batch_{size}"), &times.batch);
            times.print(&format!("dialog_match/proxied_{size}"), &times.proxied);
            let against_three = ratio(&times.ours, &times.three);
            closing.push(format!("ratio dialog_match/{size}_three_strings {against_three:.3}"));
            closing.push(format!(
                "ratio dialog_match/batch_{size} {:.3}",
                ratio(&times.batch, &times.joined)
            ));
            closing.push(format!(
                "ratio dialog_match/proxied_{size} {:.3}",
                ratio(&times.proxied, &times.joined)
            ));
            println!(
                "\nsixteen look-ups in joined that do not wait for each other: {:.1} ns each, our batch {:.3} of it",
                median(&times.unchained),
                ratio(&times.batch, &times.unchained)
            );
            println!("bytes a dialog: match state {}", ours.match_bytes() / size);
        }
    }
    let [ours, joined, three] = ["ours", "joined", "three"].map(|case| memory::per_dialog(case, BATCHED));
    println!("resident, with a payload of 8 bytes: ours {ours}, joined {joined}, three {three}");
    println!("\ninstructions a look-up, by callgrind:");
    match count::all(&SIZES, BATCHED) {
        Ok(lines) => closing.extend(lines),
        Err(reason) => println!("skipped: {reason}"),
    }
    println!();
    for line in closing {
        println!("{line}");
    }
}

fn number(text: &str) -> usize {
    text.parse().unwrap_or_default()
}

/// Nanoseconds a look-up in one round.
fn figure(finds: &mut impl Finds, load: &Load, start: usize, batches: usize) -> f64 {
    let mut times = times(finds, load, start, batches);
    times.sort_unstable();
    times[times.len() / 2] as f64 / BATCH as f64
}

/// Figures by structure and round.
#[derive(Default)]
struct Rounds {
    ours: Vec<f64>,
    batch: Vec<f64>,
    joined: Vec<f64>,
    three: Vec<f64>,
    proxied: Vec<f64>,
    unchained: Vec<f64>,
}

impl Rounds {
    fn push(&mut self, [ours, batch, joined, three, proxied, unchained]: [f64; 6]) {
        self.ours.push(ours);
        self.batch.push(batch);
        self.joined.push(joined);
        self.three.push(three);
        self.proxied.push(proxied);
        self.unchained.push(unchained);
    }

    fn print(&self, case: &str, ours: &[f64]) {
        let (joined, three) = (ratio(ours, &self.joined), ratio(ours, &self.three));
        let mut pairs = pairs(ours, &self.joined);
        pairs.sort_by(f64::total_cmp);
        println!(
            "{case:<28}{:>8.1}{:>8.1}{:>8.1}{joined:>14.3}{three:>14.3}   (rounds: {:.3} to {:.3} of joined)",
            median(ours),
            median(&self.joined),
            median(&self.three),
            pairs[0],
            pairs[pairs.len() - 1],
        );
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn pairs(ours: &[f64], theirs: &[f64]) -> Vec<f64> {
    ours.iter().zip(theirs).map(|(a, b)| a / b).collect()
}

/// The median of the ratios of rounds that ran side by side.
fn ratio(ours: &[f64], theirs: &[f64]) -> f64 {
    median(&pairs(ours, theirs))
}
