//! The packet half alone: what one RTP packet costs between the socket it came in by and the socket it goes out by.
//!
//! Streams are legs of bridged calls, each sends a packet every 20 ms. `plain`: RTP on both sides. `gateway`: RTP on one,
//! SRTP on the other, so that every second packet is protected and every other one opened. Packets are made before the
//! clock starts, and no socket is touched. Then the media thread is measured with its sockets, by the kernel's account.
//!
//! Cost must not grow with the number of streams: that is the first ratio, 2,000 streams beside 10 of the same run. The
//! second says what protection adds. The ciphers alone stand beside rtc-srtp's in `benches/srtp.rs`.
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

#[path = "shared/mod.rs"]
mod shared;
#[path = "relay/streams.rs"]
mod streams;
#[path = "relay/wire.rs"]
mod wire;

use shared::{callgrind, median};
use streams::{Protection, Streams};

const SIZES: [usize; 3] = [10, 200, 2_000];
const CASES: [(&str, Protection); 3] = [
    ("plain", Protection::None),
    ("gateway_gcm", Protection::Gcm),
    ("gateway_sha1", Protection::Sha1),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, case, size, rounds] = arguments.as_slice()
        && flag == "--count"
    {
        let found = CASES.iter().find(|(name, _)| name == case).expect("a case");
        let mut streams = Streams::new(found.1, number(size));
        for _ in 0..number(rounds) {
            streams.round();
        }
        return;
    }
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let (rounds, packets) = if quick { (9, 20_000) } else { (31, 200_000) };
    let (mut closing, mut plain): (Vec<String>, Option<Vec<f64>>) = (Vec::new(), None);
    println!("ns a packet in and out, medians of {rounds} interleaved rounds of {packets} packets");
    for (name, protection) in CASES {
        let mut all: Vec<Streams> = SIZES.iter().map(|size| Streams::new(protection, *size)).collect();
        let mut times = vec![Vec::new(); SIZES.len()];
        for _ in 0..rounds {
            for (streams, times) in all.iter_mut().zip(&mut times) {
                times.push(streams.timed(packets));
            }
        }
        for (size, times) in SIZES.iter().zip(&times) {
            println!("{name:>13} {size:>5} streams: {:>6.0}", median(times));
        }
        let ratio = |over: &[f64], under: &[f64]| {
            let each: Vec<f64> = over.iter().zip(under).map(|(over, under)| over / under).collect();
            median(&each)
        };
        closing.push(format!(
            "ratio relay/{name}_2000_beside_10 {:.3}",
            ratio(&times[2], &times[0])
        ));
        if let Some(plain) = &plain {
            closing.push(format!(
                "ratio relay/{name}_200_over_plain {:.3}",
                ratio(&times[1], plain)
            ));
        }
        plain.get_or_insert(times.swap_remove(1));
    }
    for (name, _) in CASES {
        for size in if quick { &SIZES[..2] } else { &SIZES[..] } {
            // The first rounds fill buffers; the difference of two counts is what a packet costs from then on.
            let rounds = (4_000 / size).max(2);
            let count = |rounds: usize| {
                callgrind::count("relay_one", &["--count", name, &size.to_string(), &rounds.to_string()])
            };
            match (count(rounds), count(2 * rounds)) {
                (Ok(some), Ok(more)) => {
                    let packets = (rounds * size) as f64;
                    let each = |of: fn(&callgrind::Count) -> u64| (of(&more) - of(&some)) as f64 / packets;
                    let (instructions, allocations) =
                        (each(|count| count.instructions), each(|count| count.allocations));
                    println!(
                        "{name:>13} {size:>5} streams: {instructions:.0} instructions, {allocations:.2} allocations"
                    );
                    closing.push(format!("instructions relay/{name}_{size} {instructions:.0}"));
                }
                (Err(reason), _) | (_, Err(reason)) => println!("not counted: {reason}"),
            }
        }
    }
    for streams in [20, 200] {
        match wire::measure(streams, if quick { 2 } else { 10 }) {
            Some(spent) => println!("media thread with sockets, {streams} streams: {spent:.2} µs a packet in and out"),
            None => println!("media thread with sockets: not measured here"),
        }
    }
    println!();
    for line in closing {
        println!("{line}");
    }
}

fn number(text: &str) -> usize {
    text.parse().expect("a number")
}
