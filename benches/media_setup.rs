//! What it costs to take a browser in: its offer is read and answered, the packet half opens the leg, DTLS shakes hands.
//!
//! - answer: the description of Chromium's audio offer is parsed, an end is opened and described, the packet half gets the
//!   endpoint with ICE credentials and keys to come. The DTLS handshake is not in it, and neither is SIP (see the `transfer`
//!   bench);
//! - handshake: what our side of a whole DTLS 1.2 handshake takes, certificates included; the other side is not counted.
//!   Most of it is elliptic curves;
//! - memory: the growth of a process that holds legs whose handshake is done, divided by the legs.
//!
//! Times are wall-clock medians of rounds, instructions and allocations callgrind's.
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

#[path = "media_setup/browsers.rs"]
mod browsers;
#[path = "shared/mod.rs"]
mod shared;

use browsers::{Answers, Handshakes};
use shared::{callgrind, median};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, rest @ ..] = arguments.as_slice() {
        match (flag.as_str(), rest) {
            ("--count", [case, count]) => return count_run(case, number(count)),
            ("--memory", [count]) => return println!("{}", browsers::memory(number(count))),
            _ => {}
        }
    }
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let (rounds, answers, handshakes) = if quick { (9, 500, 20) } else { (31, 2_000, 200) };
    let (mut answering, mut shaking) = (Answers::new(), Handshakes::new());
    let answer: Vec<f64> = (0..rounds).map(|_| answering.timed(answers)).collect();
    let handshake: Vec<f64> = (0..rounds).map(|_| shaking.timed(handshakes)).collect();
    println!("medians of {rounds} rounds");
    for (name, times) in [("answer", &answer), ("handshake", &handshake)] {
        let each = median(times);
        println!("{name:>10}: {:>7.1} µs, {:>7.0} a second", each / 1e3, 1e9 / each);
    }
    let mut closing = Vec::new();
    for (name, inside, some) in [("answer", "answer_one", 200), ("handshake", "ours", 10)] {
        // The first ones fill tables; the difference of two counts is what one costs from then on.
        let count = |many: usize| callgrind::count(inside, &["--count", name, &many.to_string()]);
        match (count(some), count(2 * some)) {
            (Ok(few), Ok(many)) => {
                let each = |of: fn(&callgrind::Count) -> u64| (of(&many) - of(&few)) as f64 / some as f64;
                let (instructions, allocations) = (each(|count| count.instructions), each(|count| count.allocations));
                println!("{name:>10}: {instructions:.0} instructions, {allocations:.1} allocations");
                closing.push(format!("instructions media_setup/{name} {instructions:.0}"));
            }
            (Err(reason), _) | (_, Err(reason)) => println!("not counted: {reason}"),
        }
    }
    for count in if quick { vec![500] } else { vec![500, 4_000] } {
        println!(
            "    memory: {} bytes a leg with DTLS, {count} legs",
            in_a_process(count)
        );
    }
    println!();
    for line in closing {
        println!("{line}");
    }
}

/// Memory is measured where nothing else has been.
fn in_a_process(count: usize) -> String {
    let program = std::env::current_exe().unwrap_or_default();
    let output = std::process::Command::new(program)
        .args(["--memory", &count.to_string()])
        .output();
    output.map_or_else(
        |error| error.to_string(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

/// Runs under valgrind.
fn count_run(case: &str, count: usize) {
    match case {
        "answer" => {
            Answers::new().timed(count);
        }
        "handshake" => {
            Handshakes::new().timed(count);
        }
        other => panic!("no such case: {other}"),
    }
}

fn number(text: &str) -> usize {
    text.parse().expect("a number")
}
