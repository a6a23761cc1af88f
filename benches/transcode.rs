//! What transcoding costs: streams of 20 ms frames that one core carries, and what sharing encoded hold music saves.
//!
//! - a stream is one direction: take a packet's payload, decode, resample, encode. Beside the ways through Opus stands
//!   the bare work of the library on the same sound, which nobody can go below;
//! - hold music: what a frame costs each listener when all share one encode, beside an encode for each.
//!
//! Times are CPU-bound wall-clock medians of interleaved rounds in one process; instructions and allocations are
//! callgrind's. The sound is a voice-like buzz that swells and fades, because codecs spend more on it than on silence.
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

#[path = "shared/mod.rs"]
mod shared;

use std::hint::black_box;
use std::time::Instant;

use shared::{callgrind, median};
use warmline::media::audio::{Encoder, Pcm, Prompts, Transcoder};
use warmline::media::{Codec, PromptName};

/// Seconds of a frame.
const FRAME: f64 = 0.020;
/// Frames of a round.
const ROUND: usize = 50;
const COUNTED: &str = "counted_frames";
const LISTENERS: [usize; 3] = [10, 100, 1_000];

/// One way from codec to codec.
struct Case {
    name: &'static str,
    from: Codec,
    to: Codec,
}

fn cases() -> [Case; 7] {
    let case = |name, from, to| Case { name, from, to };
    [
        case("pcmu_opus", Codec::Pcmu, Codec::Opus),
        case("opus_pcmu", Codec::Opus, Codec::Pcmu),
        case("g722_opus", Codec::G722, Codec::Opus),
        case("opus_g722", Codec::Opus, Codec::G722),
        case("g722_pcmu", Codec::G722, Codec::Pcmu),
        case("pcmu_g722", Codec::Pcmu, Codec::G722),
        case("pcma_pcmu", Codec::Pcma, Codec::Pcmu),
    ]
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, name, count] = arguments.as_slice()
        && flag == "--count"
    {
        return count_run(name, count.parse().expect("a number"));
    }
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let (rounds, counted) = if quick { (21, 200) } else { (101, 500) };
    let mut closing = Vec::new();
    streams(rounds, counted, &mut closing);
    music(rounds, &mut closing);
    println!();
    for line in closing {
        println!("{line}");
    }
}

/// A second of sound at a codec's rate: a buzz of 150 Hz that swells four times a second.
fn voice(rate: u32) -> Vec<i16> {
    (0..rate)
        .map(|index| {
            let time = f64::from(index) / f64::from(rate);
            let turn = std::f64::consts::TAU * time;
            let buzz: f64 = (1..12)
                .map(|n| (turn * 150.0 * f64::from(n)).sin() / f64::from(n))
                .sum();
            (buzz * 5_000.0 * (0.55 - 0.45 * (turn * 4.0).cos())) as i16
        })
        .collect()
}

fn payloads(codec: &Codec) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(codec).expect("audio");
    let frame = warmline::media::audio::frame_samples(encoder.rate());
    let sound = voice(encoder.rate());
    let encode = |frame: &[i16]| {
        let mut payload = Vec::new();
        encoder.encode(frame, &mut payload);
        payload
    };
    sound.chunks(frame).map(encode).collect()
}

/// A stream that never ends.
struct Stream {
    transcoder: Transcoder,
    payloads: Vec<Vec<u8>>,
    step: u32,
    sent: u32,
    out: Vec<u8>,
}

impl Stream {
    fn new(case: &Case) -> Stream {
        Stream {
            transcoder: Transcoder::new(&case.from, &case.to).expect("audio"),
            payloads: payloads(&case.from),
            step: case.from.clock() / 50,
            sent: 0,
            out: Vec::new(),
        }
    }

    #[inline(never)]
    fn counted_frames(&mut self, frames: usize) {
        for _ in 0..frames {
            let payload = &self.payloads[self.sent as usize % self.payloads.len()];
            self.transcoder.push(self.sent.wrapping_mul(self.step), payload);
            self.out.clear();
            while self.transcoder.poll(&mut self.out).is_some() {}
            black_box(&self.out);
            self.sent += 1;
        }
    }
}

/// The library alone, at 48 kHz, with the settings of an [`Encoder`] and nothing around it.
struct Bare {
    encoder: Encoder,
    decoder: ropus::Decoder,
    sound: Vec<i16>,
    payloads: Vec<Vec<u8>>,
}

impl Bare {
    fn new() -> Bare {
        Bare {
            encoder: Encoder::new(&Codec::Opus).expect("audio"),
            decoder: ropus::Decoder::new(48_000, ropus::Channels::Mono).expect("settings that exist"),
            sound: voice(48_000),
            payloads: payloads(&Codec::Opus),
        }
    }

    fn encode(&mut self) {
        let mut out = Vec::with_capacity(1_500);
        for frame in self.sound.chunks(960) {
            out.clear();
            self.encoder.encode(frame, &mut out);
            black_box(&out);
        }
    }

    fn decode(&mut self) {
        let mut out = vec![0; 5_760];
        for payload in &self.payloads {
            black_box(self.decoder.decode(payload, &mut out, ropus::DecodeMode::Normal).ok());
        }
    }
}

fn seconds(run: impl FnOnce()) -> f64 {
    let start = Instant::now();
    run();
    start.elapsed().as_secs_f64() / ROUND as f64
}

fn streams(rounds: usize, counted: usize, closing: &mut Vec<String>) {
    let cases = cases();
    let mut streams: Vec<Stream> = cases.iter().map(Stream::new).collect();
    let mut bare = Bare::new();
    let mut times = vec![Vec::new(); cases.len() + 2];
    for round in 0..rounds + 1 {
        let mut took: Vec<f64> = streams
            .iter_mut()
            .map(|stream| seconds(|| stream.counted_frames(ROUND)))
            .collect();
        took.push(seconds(|| bare.encode()));
        took.push(seconds(|| bare.decode()));
        // The first round warms the caches.
        if round > 0 {
            times.iter_mut().zip(took).for_each(|(list, time)| list.push(time));
        }
    }
    let medians: Vec<f64> = times.iter().map(|list| median(list)).collect();
    let (encode, decode) = (medians[cases.len()], medians[cases.len() + 1]);
    println!(
        "bare Opus: encode {:.1} us, decode {:.1} us a frame",
        encode * 1e6,
        decode * 1e6
    );
    for (case, time) in cases.iter().zip(&medians) {
        println!(
            "{:<10} {:>7.2} us a frame, {:>7.0} streams a core",
            case.name,
            time * 1e6,
            FRAME / time
        );
        let beside = match (&case.from, &case.to) {
            (Codec::Opus, _) => Some(("decode", decode)),
            (_, Codec::Opus) => Some(("encode", encode)),
            _ => None,
        };
        if let Some((what, bare)) = beside {
            closing.push(format!(
                "ratio transcode/{}_beside_bare_{what} {:.3}",
                case.name,
                time / bare
            ));
        }
        match callgrind::count(COUNTED, &["--count", case.name, &counted.to_string()]) {
            Ok(count) => {
                let instructions = count.instructions / counted as u64;
                let allocations = count.allocations as f64 / counted as f64;
                println!(
                    "{:<10} {instructions:>7} instructions, {allocations:.2} allocations a frame",
                    case.name
                );
                closing.push(format!("instructions transcode/{} {instructions}", case.name));
                closing.push(format!("allocations transcode/{} {allocations:.0}", case.name));
            }
            Err(reason) => println!("not counted: {reason}"),
        }
    }
}

fn count_run(name: &str, count: usize) {
    let cases = cases();
    let case = cases.iter().find(|case| case.name == name).expect("a case");
    Stream::new(case).counted_frames(count);
}

/// Every listener asks for every frame, as sessions do; a fresh library each round, so that each frame is encoded.
fn music(rounds: usize, closing: &mut Vec<String>) {
    let (name, pcm) = (PromptName("music".into()), Pcm::builtin());
    for codec in [Codec::Opus, Codec::Pcmu] {
        let mut listeners = vec![1];
        listeners.extend(LISTENERS);
        let mut times = vec![Vec::new(); listeners.len()];
        for _ in 0..rounds.min(21) {
            for (listeners, list) in listeners.iter().zip(&mut times) {
                let mut prompts = Prompts::default();
                prompts.insert(name.clone(), pcm.clone());
                let time = seconds(|| {
                    for index in 0..ROUND as u64 {
                        for _ in 0..*listeners {
                            black_box(prompts.frame(&name, &codec, index, true));
                        }
                    }
                });
                list.push(time / *listeners as f64);
            }
        }
        let alone = median(&times[0]);
        for (listeners, list) in listeners.iter().zip(&times) {
            let time = median(list);
            println!(
                "music in {codec:?}, {listeners:>4} listeners: {:>9.1} ns a listener and frame",
                time * 1e9
            );
            if *listeners > 1 {
                let codec = format!("{codec:?}").to_lowercase();
                closing.push(format!("ratio transcode/music_{codec}_{listeners} {:.4}", time / alone));
            }
        }
    }
}
