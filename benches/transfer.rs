//! What the engine spends on calls and transfers, in virtual time: no sockets, no clock but for the measuring.
//!
//! - call: a bridged call, INVITE to BYE on both legs, with the twelve messages of `benches/load` (whose UAS answers
//!   within 200 ms, so that there is no 100). The other side's messages come from templates;
//! - transfer: REFER with Replaces between three scripted phones, from the REFER until its last transaction has ended:
//!   202, NOTIFYs, the re-INVITEs that join customer and consult, the operator's two BYEs.
//!
//! - kept call: the call once more, with a host that keeps what outlives the process.
//!
//! Counted and timed is the engine alone, timers included; what the phones and templates cost is not. Instructions and
//! allocations are callgrind's; times are wall-clock medians of rounds. Memory is the growth of a process that holds
//! calls whose transactions have ended, divided by the calls: both legs, the call and every table's share.
//!
//! Beside them stand the targets: of PERFORMANCE.md, Kamailio's 284,000 user instructions a proxied call (tm + rr +
//! dialog, sockets included) and its 1,438 bytes a dialog, of which a call of two legs has two.
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

#[path = "transfer/calls.rs"]
mod calls;
#[path = "transfer/edge.rs"]
mod edge;
#[path = "transfer/memory.rs"]
mod memory;
#[path = "shared/mod.rs"]
mod shared;
#[path = "transfer/warm.rs"]
mod warm;

use std::time::Duration;

use edge::{COUNTED, Edge};
use shared::{callgrind, median};

/// Kamailio 5.6 with tm, rr and dialog.
const THEIR_INSTRUCTIONS: f64 = 284_000.0;
const THEIR_BYTES: f64 = 1_438.0;

const BATCH: u64 = 10;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, rest @ ..] = arguments.as_slice() {
        match (flag.as_str(), rest) {
            ("--count", [case, count]) => return count_run(case, number(count)),
            ("--memory", [size]) => return memory::child(number(size)),
            _ => {}
        }
    }
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let (rounds, counted_calls, counted_transfers) = if quick { (9, 400, 10) } else { (41, 2_000, 40) };
    let mut closing = Vec::new();
    call(rounds, counted_calls, &mut closing);
    kept(counted_calls, &mut closing);
    transfer(rounds, counted_transfers, &mut closing);
    println!("\nresident bytes of an established two-leg call, everything shared counted:");
    for size in [10_000, 100_000] {
        let bytes = memory::per_call(size);
        let ratio = bytes as f64 / (2.0 * THEIR_BYTES);
        println!("{size:>8} held: {bytes} bytes, Kamailio 2 x {THEIR_BYTES} for two dialogs");
        closing.push(format!("ratio transfer/memory_{size} {ratio:.3}"));
    }
    println!();
    for line in closing {
        println!("{line}");
    }
}

fn call(rounds: usize, counted: u64, closing: &mut Vec<String>) {
    let mut edge = Edge::new(edge::settings());
    run_calls(&mut edge, 0, 4_000);
    let mut times = Vec::new();
    for round in 0..rounds as u64 {
        edge.counting = true;
        edge.spent = Duration::ZERO;
        run_calls(&mut edge, 4_000 + round * 1_000, 1_000);
        times.push(edge.spent.as_secs_f64() * 1e9 / 1_000.0);
    }
    let messages = (edge.received + edge.sent) as f64 / (rounds as f64 * 1_000.0);
    assert!((messages - calls::MESSAGES as f64).abs() < 0.01, "{messages} messages");
    println!("call      {:>8.0} ns, {messages:.0} messages", median(&times));
    let count = match callgrind::count(COUNTED, &["--count", "call", &counted.to_string()]) {
        Ok(count) => count,
        Err(reason) => return println!("not counted: {reason}"),
    };
    let instructions = count.instructions as f64 / counted as f64;
    let allocations = count.allocations as f64 / counted as f64;
    println!(
        "call      {instructions:>8.0} instructions, {allocations:.1} allocations; Kamailio {THEIR_INSTRUCTIONS} \
         instructions, its sockets included"
    );
    closing.push(format!("ratio transfer/call {:.3}", instructions / THEIR_INSTRUCTIONS));
    closing.push(format!("instructions transfer/call {instructions:.0}"));
    closing.push(format!("allocations transfer/call {allocations:.0}"));
}

/// The same call where the host keeps it for the next process: what the engine says of it, not what writing it costs.
fn kept(counted: u64, closing: &mut Vec<String>) {
    let count = match callgrind::count(COUNTED, &["--count", "kept", &counted.to_string()]) {
        Ok(count) => count,
        Err(reason) => return println!("not counted: {reason}"),
    };
    let instructions = count.instructions as f64 / counted as f64;
    let allocations = count.allocations as f64 / counted as f64;
    println!("kept call {instructions:>8.0} instructions, {allocations:.1} allocations");
    closing.push(format!("instructions transfer/kept_call {instructions:.0}"));
    closing.push(format!("allocations transfer/kept_call {allocations:.0}"));
}

fn transfer(rounds: usize, counted: u64, closing: &mut Vec<String>) {
    let mut world = warm::World::new();
    world.transfer(false);
    let mut times = Vec::new();
    for _ in 0..rounds {
        world.edge.spent = Duration::ZERO;
        world.transfer(true);
        times.push(world.edge.spent.as_secs_f64() * 1e9);
    }
    let messages = (world.edge.received + world.edge.sent) as f64 / rounds as f64;
    println!("transfer  {:>8.0} ns, {messages:.0} messages", median(&times));
    let count = match callgrind::count(COUNTED, &["--count", "transfer", &counted.to_string()]) {
        Ok(count) => count,
        Err(reason) => return println!("not counted: {reason}"),
    };
    let instructions = count.instructions as f64 / counted as f64;
    let allocations = count.allocations as f64 / counted as f64;
    println!("transfer  {instructions:>8.0} instructions, {allocations:.1} allocations");
    closing.push(format!("instructions transfer/transfer {instructions:.0}"));
    closing.push(format!("allocations transfer/transfer {allocations:.0}"));
}

/// Calls one batch after the other, so many a second that those whose transactions still live are a few hundred.
fn run_calls(edge: &mut Edge, first: u64, count: u64) {
    for first in (first..first + count).step_by(BATCH as usize) {
        let up = calls::up(edge, first, BATCH);
        calls::down(edge, up);
        edge.advance(Duration::from_millis(920));
    }
}

/// Runs under valgrind.
fn count_run(case: &str, count: u64) {
    match case {
        "call" => {
            let mut edge = Edge::new(edge::settings());
            run_calls(&mut edge, 0, 400);
            edge.counting = true;
            run_calls(&mut edge, 400, count);
        }
        "kept" => {
            let mut edge = Edge::keeping(edge::settings());
            run_calls(&mut edge, 0, 400);
            edge.counting = true;
            run_calls(&mut edge, 400, count);
        }
        "transfer" => {
            let mut world = warm::World::new();
            world.transfer(false);
            for _ in 0..count {
                world.transfer(true);
            }
        }
        other => panic!("no such case: {other}"),
    }
}

fn number(text: &str) -> u64 {
    text.parse().expect("a number")
}
