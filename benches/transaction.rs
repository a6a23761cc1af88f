//! The transaction layer alone: the thirteen datagrams of a call between two dialogs (INVITE, 100, 180, 200, ACK, BYE,
//! 200), server side and client side, with all timers until the last of its four transactions has ended.
//!
//! Messages are read and answers are made before the clock starts; what is measured is matching, the state machines,
//! printing the two requests and the ACK with their branches, and the timers. Transactions live in virtual time, so
//! many calls a second that 1,000, 30,000 or 300,000 of them live at once.
//!
//! There is no other Rust crate whose transaction layer stands alone without sockets. The ratio is to a plain table
//! written for this benchmark (`layers.rs`): one `HashMap` by a text of branch, sent-by and method, and an ordered set of
//! timers. It does less: no CANCEL, no merged requests, nothing that is hard to guess. Both print by the same code.
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

#[path = "transaction/calls.rs"]
mod calls;
#[path = "transaction/layers.rs"]
mod layers;
#[path = "shared/mod.rs"]
mod shared;

use std::time::Duration;

use calls::{COUNTED, DATAGRAMS, Load};
use layers::{Layer, Naive, Ours};
use shared::{callgrind, median};

const SIZES: [usize; 3] = [1_000, 30_000, 300_000];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, layer, live, count] = arguments.as_slice()
        && flag == "--count"
    {
        let (live, count) = (number(live), number(count) as u64);
        return match layer.as_str() {
            "ours" => count_run(Ours::new(), live, count),
            _ => count_run(Naive::new(), live, count),
        };
    }
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let (rounds, calls) = if quick { (7, 1_000) } else { (31, 4_000) };
    let mut closing = Vec::new();
    println!("ns a call, medians of {rounds} interleaved rounds of {calls} calls");
    for live in SIZES {
        let (mut ours, mut naive) = (Load::new(Ours::new(), live), Load::new(Naive::new(), live));
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..rounds {
            times[0].push(timed(&mut ours, calls, live));
            times[1].push(timed(&mut naive, calls, live));
        }
        let ratios: Vec<f64> = times[0]
            .iter()
            .zip(&times[1])
            .map(|(ours, naive)| ours / naive)
            .collect();
        let [ours, naive] = times.map(|list| median(&list));
        println!(
            "{live:>8} live: ours {ours:>7.0}, plain table {naive:>7.0}, ratio {:.3}",
            median(&ratios)
        );
        closing.push(format!("ratio transaction/call_{live} {:.3}", median(&ratios)));
    }
    // Filling the table under valgrind takes its time.
    let counted = if quick { &SIZES[..2] } else { &SIZES };
    for live in counted {
        let size = live.to_string();
        let count = |layer: &str| callgrind::count(COUNTED, &["--count", layer, &size, "1000"]);
        match (count("ours"), count("naive")) {
            (Ok(ours), Ok(naive)) => {
                let each = |count: u64| count as f64 / 1_000.0;
                println!(
                    "{live:>8} live: ours {:.0} instructions and {:.1} allocations, plain table {:.0} and {:.1}",
                    each(ours.instructions),
                    each(ours.allocations),
                    each(naive.instructions),
                    each(naive.allocations)
                );
                closing.push(format!(
                    "instructions transaction/call_{live} {:.0}",
                    each(ours.instructions)
                ));
            }
            (Err(reason), _) | (_, Err(reason)) => println!("not counted: {reason}"),
        }
    }
    println!();
    for line in closing {
        println!("{line}");
    }
}

fn timed<L: Layer>(load: &mut Load<L>, calls: u64, live: usize) -> f64 {
    (load.counting, load.spent, load.datagrams) = (true, Duration::ZERO, 0);
    load.calls(calls, live);
    assert_eq!(load.datagrams, DATAGRAMS * calls);
    load.spent.as_secs_f64() * 1e9 / calls as f64
}

/// Runs under valgrind.
fn count_run<L: Layer>(layer: L, live: usize, count: u64) {
    let mut load = Load::new(layer, live);
    load.counting = true;
    load.calls(count, live);
}

fn number(text: &str) -> usize {
    text.parse().expect("a number")
}
