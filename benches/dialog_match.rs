//! Dialog matching: our table beside `std::collections::HashMap`, in one run.
//!
//! Every look-up starts with the three texts that a message brings and ends with the dialog's payload in hand; the
//! payload decides which message is looked at next, so that one look-up cannot begin before the one before it has
//! ended (`/batch_*`: one batch). Messages lie in memory in the order in which they are looked up, as receive buffers
//! do; dialogs lie in another, random one.
//!
//! - ours: `Table::find` and `get`, or `Table::find_batch` over 16 messages and `get` for each;
//! - joined: one `String` key, joined for the look-up in a buffer that is used again (no allocation);
//! - three: a key of three `String`s, which `std` can only be asked for with three owned ones.
//!
//! The hash maps get a local tag of 10 characters, as most servers make them, not ours of 29: their key is the shorter for it.
//!
//! Rounds are interleaved; times are the thread's CPU time and medians; instructions are counted by callgrind as the
//! difference between N and 2 N look-ups. `--quick` runs fewer rounds. The closing lines are for machines:
//! `ratio CASE ours/joined`, `instructions CASE COUNT`, `allocations CASE COUNT`.
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

#[path = "dialog_match/count.rs"]
mod count;
#[path = "dialog_match/load.rs"]
mod load;

use load::{Joined, Load, Ours, Three};
use std::hint::black_box;
use std::time::{Duration, Instant};

const SIZES: [usize; 3] = [1_000, 100_000, 1_000_000];
const BATCHED: usize = 1_000_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, case, size, lookups] = arguments.as_slice()
        && flag == "--count"
    {
        return count::child(case, number(size), number(lookups));
    }
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let (rounds, lookups) = if quick { (7, 200_000) } else { (21, 500_000) };
    let mut closing = Vec::new();
    println!("ns a look-up, thread CPU time, median of {rounds} interleaved rounds of {lookups}\n");
    println!(
        "{:<28}{:>8}{:>8}{:>8}{:>14}{:>14}",
        "", "ours", "joined", "three", "ours/joined", "ours/three"
    );
    for size in SIZES {
        let load = Load::new(size);
        let ours = Ours::new(&load);
        let joined = Joined::new(&load);
        let three = Three::new(&load);
        let mut times = Rounds::default();
        for round in 0..=rounds {
            let start = round * lookups % size;
            let one = timed(lookups, || ours.one_by_one(&load, start, lookups));
            let std_joined = timed(lookups, || joined.one_by_one(&load, start, lookups));
            let std_three = timed(lookups, || three.one_by_one(&load, start, lookups));
            let batch = timed(lookups, || ours.batches(&load, start, lookups));
            if round > 0 {
                times.push(one, batch, std_joined, std_three); // the first round warms up
            }
        }
        times.print(&format!("dialog_match/{size}"), &times.ours);
        closing.push(format!(
            "ratio dialog_match/{size} {:.3}",
            ratio(&times.ours, &times.joined)
        ));
        if size == BATCHED {
            times.print(&format!("dialog_match/batch_{size}"), &times.batch);
            let against_three = ratio(&times.ours, &times.three);
            closing.push(format!("ratio dialog_match/{size}_three_strings {against_three:.3}"));
            closing.push(format!(
                "ratio dialog_match/batch_{size} {:.3}",
                ratio(&times.batch, &times.joined)
            ));
            println!(
                "\nbytes a dialog: match state {} (rows {}), resident with a payload of 8 bytes: ours {}, joined {}, three {}",
                ours.match_bytes() / size,
                128,
                ours.resident / size,
                joined.resident / size,
                three.resident / size
            );
        }
    }
    println!("\ninstructions a look-up, and allocations, by callgrind:");
    let sizes = if quick { &SIZES[..2] } else { &SIZES[..] };
    match count::all(sizes, BATCHED) {
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

/// Nanoseconds a look-up, by structure and round.
#[derive(Default)]
struct Rounds {
    ours: Vec<f64>,
    batch: Vec<f64>,
    joined: Vec<f64>,
    three: Vec<f64>,
}

impl Rounds {
    fn push(&mut self, ours: f64, batch: f64, joined: f64, three: f64) {
        self.ours.push(ours);
        self.batch.push(batch);
        self.joined.push(joined);
        self.three.push(three);
    }

    fn print(&self, case: &str, ours: &[f64]) {
        let (joined, three) = (ratio(ours, &self.joined), ratio(ours, &self.three));
        let (low, high) = spread(ours, &self.joined);
        println!(
            "{case:<28}{:>8.1}{:>8.1}{:>8.1}{joined:>14.3}{three:>14.3}   ({low:.3} to {high:.3} of joined)",
            median(ours),
            median(&self.joined),
            median(&self.three)
        );
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn pairs(ours: &[f64], theirs: &[f64]) -> Vec<f64> {
    ours.iter().zip(theirs).map(|(a, b)| a / b).collect()
}

/// The median of the ratios of rounds that ran side by side.
fn ratio(ours: &[f64], theirs: &[f64]) -> f64 {
    median(&pairs(ours, theirs))
}

fn spread(ours: &[f64], theirs: &[f64]) -> (f64, f64) {
    let pairs = pairs(ours, theirs);
    (
        pairs.iter().copied().fold(f64::INFINITY, f64::min),
        pairs.iter().copied().fold(0.0, f64::max),
    )
}

fn timed(lookups: usize, run: impl FnOnce() -> usize) -> f64 {
    let before = cpu_time();
    let found = black_box(run());
    let spent = cpu_time() - before;
    assert_eq!(found, lookups, "every look-up finds its dialog");
    spent.as_nanos() as f64 / lookups as f64
}

/// CPU time of this thread; wall-clock time where the kernel does not tell.
fn cpu_time() -> Duration {
    thread_local!(static START: Instant = Instant::now());
    // The kernel brings the figure up to date when the thread gives way.
    std::thread::yield_now();
    let spent = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let spent = spent.and_then(|text| text.split_whitespace().next().and_then(|field| field.parse().ok()));
    spent.map_or_else(|| START.with(Instant::elapsed), Duration::from_nanos)
}
