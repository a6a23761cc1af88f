//! What a conference costs.
//!
//! First the arithmetic alone, a participant in 20 ms: decode its G.711, add it, take it out of the sum, limit, encode.
//!
//! - everybody talks: each hears all others, so that each has an encode of its own;
//! - everybody is loud: so much so that every sum is turned down as well (the worst case);
//! - three talk: the others share one mix and one encode.
//!
//! PERFORMANCE.md's target is 200 ns of DSP a participant, and no growth with their number. Times are medians of
//! interleaved rounds; instructions and allocations are callgrind's.
//!
//! Then whole hubs as the media thread runs them, without sockets: packets, jitter buffers, codecs, sums, encoders, packets.
//! Three talk, or all; participants per core are how many of those a core could serve that does nothing else.
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

#[path = "mixer/hub.rs"]
mod hub;
#[path = "mixer/janus.rs"]
mod janus;
#[path = "shared/mod.rs"]
mod shared;

use std::hint::black_box;
use std::time::Instant;

use shared::{callgrind, median};
use warmline::media::Codec;
use warmline::media::audio::{Limiter, Mixer, g711, measure};

const TARGET: f64 = 200e-9;
const COUNTED: &str = "counted_tick";
const SIZES: [usize; 3] = [8, 50, 500];
/// Members of whole hubs.
const HUBS: [usize; 4] = [3, 10, 50, 250];

struct Hub {
    payloads: Vec<Vec<u8>>,
    heard: Vec<Vec<i16>>,
    limiters: Vec<Limiter>,
    mixer: Mixer,
    mix: Vec<i16>,
    out: Vec<u8>,
    /// How many talk; the others are silent.
    talkers: usize,
}

impl Hub {
    fn new(size: usize, talkers: usize, dbfs: f64) -> Hub {
        let voice = |index: usize| {
            let tone = measure::tone(200.0 + index as f64, dbfs, Codec::Pcmu.clock(), 160);
            tone.into_iter().map(g711::mu_law).collect()
        };
        Hub {
            payloads: (0..size).map(voice).collect(),
            heard: vec![Vec::new(); size],
            limiters: vec![Limiter::default(); size],
            mixer: Mixer::new(160),
            mix: Vec::new(),
            out: Vec::new(),
            talkers,
        }
    }

    #[inline(never)]
    fn counted_tick(&mut self) {
        let talkers = self.talkers;
        self.mixer.clear();
        for (payload, pcm) in self.payloads.iter().zip(&mut self.heard).take(talkers) {
            pcm.clear();
            pcm.extend(payload.iter().map(|code| g711::linear_of_mu_law(*code)));
            self.mixer.add(pcm);
        }
        for (pcm, limiter) in self.heard.iter().zip(&mut self.limiters).take(talkers) {
            self.mixer.hear(&[pcm], &[], limiter, &mut self.mix);
            encode(&self.mix, &mut self.out);
        }
        if talkers < self.payloads.len() {
            let limiter = &mut self.limiters[talkers];
            self.mixer.hear(&[], &[], limiter, &mut self.mix);
            encode(&self.mix, &mut self.out);
            // The same octets for each of them.
            for _ in talkers..self.payloads.len() {
                black_box(&self.out);
            }
        }
    }
}

fn encode(mix: &[i16], out: &mut Vec<u8>) {
    out.clear();
    out.extend(mix.iter().map(|sample| g711::mu_law(*sample)));
    black_box(out);
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, size, talkers, dbfs, ticks] = arguments.as_slice()
        && flag == "--count"
    {
        let number = |text: &String| text.parse::<usize>().expect("a number");
        let mut hub = Hub::new(number(size), number(talkers), dbfs.parse().expect("a level"));
        hub.counted_tick(); // buffers grow once
        (0..number(ticks)).for_each(|_| hub.counted_tick());
        return;
    }
    let codecs = |name: &str| hub::MIXES.iter().find(|(known, _)| *known == name).expect("a mix").1;
    match arguments.as_slice() {
        [flag, mix, size] if flag == "--resident" => {
            return hub::print_memory(codecs(mix), size.parse().expect("a number"));
        }
        [flag, mix, size, talkers, ticks] if flag == "--count-hub" => {
            let number = |text: &String| text.parse::<usize>().expect("a number");
            hub::Hub::new(codecs(mix), number(size), number(talkers)).timed(number(ticks));
            return;
        }
        _ => {}
    }
    if arguments.iter().any(|argument| argument == "--janus") {
        let mut closing = Vec::new();
        for size in [10, 50] {
            if let Err(reason) = janus::compare(size, &mut closing) {
                println!("not compared: {reason}");
            }
        }
        return closing.iter().for_each(|line| println!("{line}"));
    }
    let rounds = if arguments.iter().any(|argument| argument == "--quick") {
        101
    } else {
        1_001
    };
    let mut closing = Vec::new();
    for (what, all, dbfs) in [("talk", true, -50.0), ("loud", true, -25.0), ("three", false, -25.0)] {
        let mut hubs = SIZES.map(|size| Hub::new(size, if all { size } else { 3 }, dbfs));
        let mut times: [Vec<f64>; SIZES.len()] = Default::default();
        for _ in 0..rounds {
            for ((hub, size), list) in hubs.iter_mut().zip(SIZES).zip(&mut times) {
                let ticks = 2_000 / size;
                let start = Instant::now();
                (0..ticks).for_each(|_| hub.counted_tick());
                list.push(start.elapsed().as_secs_f64() / (ticks * size) as f64);
            }
        }
        let medians = times.map(|list| median(&list));
        for (size, time) in SIZES.into_iter().zip(medians) {
            println!("{what:<5} {size:>4} participants: {:>6.1} ns each", time * 1e9);
        }
        closing.push(format!("ratio mixer/{what}_500 {:.3}", medians[2] / TARGET));
        if what == "talk" {
            closing.push(format!("ratio mixer/growth_8_to_500 {:.3}", medians[2] / medians[0]));
        }
        let talkers = if all { 50 } else { 3 };
        match callgrind::count(
            COUNTED,
            &["--count", "50", &talkers.to_string(), &dbfs.to_string(), "99"],
        ) {
            Ok(count) => {
                closing.push(format!("instructions mixer/{what}_50 {}", count.instructions / 5_000));
                closing.push(format!("allocations mixer/{what}_50 {}", count.allocations / 100));
            }
            Err(reason) => println!("not counted: {reason}"),
        }
    }
    whole_hubs(if rounds > 500 { 51 } else { 11 }, &mut closing);
    println!();
    for line in closing {
        println!("{line}");
    }
}

fn whole_hubs(rounds: usize, closing: &mut Vec<String>) {
    for (name, codecs) in hub::MIXES {
        for all in [false, true] {
            let talkers = |size: usize| if all { size } else { size.min(3) };
            let mut hubs = HUBS.map(|size| hub::Hub::new(codecs, size, talkers(size)));
            let mut times: [Vec<f64>; HUBS.len()] = Default::default();
            for round in 0..=rounds {
                for ((hub, size), list) in hubs.iter_mut().zip(HUBS).zip(&mut times) {
                    let time = hub.timed((500 / size).max(2));
                    if round > 0 {
                        list.push(time);
                    }
                }
            }
            let medians = times.map(|list| median(&list));
            let who = if all { "all" } else { "three" };
            for (size, time) in HUBS.into_iter().zip(medians) {
                let core = 0.020 / time;
                println!(
                    "{name:<5} {size:>4} members, {who:>5} talk: {:>8.0} ns each, {core:>7.0} a core",
                    time * 1e9
                );
            }
            let growth = medians[3] / medians[2];
            closing.push(format!("ratio mixer/hub_{name}_{who}_250_beside_50 {growth:.3}"));
        }
        let octets = [10, 250].map(|size| hub::memory(name, size));
        println!(
            "{name:<5} memory of a member: {} octets in hubs of 10, {} in hubs of 250",
            octets[0], octets[1]
        );
    }
    let count = |ticks: &str| callgrind::count("counted_hub_tick", &["--count-hub", "g711", "50", "50", ticks]);
    match (count("50"), count("100")) {
        (Ok(some), Ok(more)) => {
            let each = |of: fn(&callgrind::Count) -> u64| (of(&more) - of(&some)) as f64 / 2_500.0;
            closing.push(format!(
                "instructions mixer/hub_g711_all_50 {:.0}",
                each(|count| count.instructions)
            ));
            closing.push(format!(
                "allocations mixer/hub_g711_all_50 {:.2}",
                each(|count| count.allocations)
            ));
        }
        (Err(reason), _) | (_, Err(reason)) => println!("not counted: {reason}"),
    }
}
