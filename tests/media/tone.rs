#![allow(dead_code, reason = "each test uses a part of it")]
//! Tones in G.711 µ-law, made and found: an implementation of the test's own, so that the edge's cannot excuse itself.

use std::f64::consts::TAU;

pub(crate) const RATE: f64 = 8_000.0;

/// So many samples of a tone, from this sample on.
pub(crate) fn make(frequency: f64, from: usize, count: usize) -> Vec<u8> {
    let sample = |at: usize| (TAU * frequency * at as f64 / RATE).sin() * 8_000.0;
    (from..from + count).map(|at| encode(sample(at) as i32)).collect()
}

/// Whether more than half of the power is at this frequency (Goertzel's algorithm).
pub(crate) fn is(octets: &[u8], frequency: f64) -> bool {
    let samples: Vec<i16> = octets.iter().map(|octet| decode(*octet) as i16).collect();
    is_in(&samples, frequency)
}

/// How much of the power is at this frequency, 0 to 1; of silence nothing.
pub(crate) fn share(octets: &[u8], frequency: f64) -> f64 {
    let samples: Vec<f64> = octets.iter().map(|octet| f64::from(decode(*octet))).collect();
    let (power, total) = power(&samples, frequency);
    if total > 1_000_000.0 { power / total } else { 0.0 }
}

/// The same of samples.
pub(crate) fn is_in(samples: &[i16], frequency: f64) -> bool {
    let samples: Vec<f64> = samples.iter().map(|sample| f64::from(*sample)).collect();
    let (power, total) = power(&samples, frequency);
    total > 1_000.0 && power > total / 2.0
}

/// The power at a frequency, and all of it.
fn power(samples: &[f64], frequency: f64) -> (f64, f64) {
    let total: f64 = samples.iter().map(|sample| sample * sample).sum();
    let factor = 2.0 * (TAU * frequency / RATE).cos();
    let (mut before, mut last) = (0.0, 0.0);
    for sample in samples {
        (before, last) = (last, sample + factor * last - before);
    }
    let power = (last * last + before * before - factor * last * before) / samples.len().max(1) as f64 * 2.0;
    (power, total)
}

/// A file with so many samples of a tone (RIFF/WAVE, mono, 16 bits).
pub(crate) fn wav(frequency: f64, count: usize) -> Vec<u8> {
    let length = 2 * count as u32;
    let mut file = b"RIFF".to_vec();
    file.extend((36 + length).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16_u32.to_le_bytes());
    file.extend([1, 0, 1, 0]);
    file.extend(8_000_u32.to_le_bytes());
    file.extend(16_000_u32.to_le_bytes());
    file.extend([2, 0, 16, 0]);
    file.extend(b"data");
    file.extend(length.to_le_bytes());
    let sample = |at: usize| (TAU * frequency * at as f64 / RATE).sin() * 8_000.0;
    file.extend((0..count).flat_map(|at| (sample(at) as i16).to_le_bytes()));
    file
}

fn encode(sample: i32) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = (sample.abs() + 132).min(32_635);
    let exponent = (7..15)
        .rev()
        .find(|bit| magnitude >> bit & 1 == 1)
        .map_or(0, |bit| bit - 7);
    let mantissa = (magnitude >> (exponent + 3)) & 0x0f;
    !(sign | (exponent << 4) as u8 | mantissa as u8)
}

fn decode(octet: u8) -> i32 {
    let octet = !octet;
    let (exponent, mantissa) = (i32::from(octet >> 4 & 7), i32::from(octet & 0x0f));
    let magnitude = (((mantissa << 3) + 132) << exponent) - 132;
    if octet & 0x80 != 0 { -magnitude } else { magnitude }
}
