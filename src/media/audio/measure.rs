//! What tests and benchmarks ask of PCM: how loud, which frequency, how much noise.
//!
//! Decibels are relative to full scale by root mean square: a square wave of 32,768 is 0 dBFS, a full sine -3.01.
//!
//! ```
//! use warmline::media::audio::measure;
//!
//! let tone = measure::tone(440.0, -20.0, 8_000, 8_000);
//! assert!((measure::level(&tone) + 20.0).abs() < 0.1);
//! assert!((measure::frequency(&tone, 8_000).expect("a tone") - 440.0).abs() < 1.0);
//! ```

use std::f64::consts::{SQRT_2, TAU};

/// What [`level`] says of digital silence.
pub const SILENCE: f64 = -120.0;

/// A sine of `hertz`, as loud as `dbfs` says, from phase nought.
pub fn tone(hertz: f64, dbfs: f64, rate: u32, samples: usize) -> Vec<i16> {
    let amplitude = 32_768.0 * SQRT_2 * 10_f64.powf(dbfs / 20.0);
    let step = TAU * hertz / f64::from(rate);
    (0..samples)
        .map(|index| (amplitude * (step * index as f64).sin()).round() as i16)
        .collect()
}

/// Loudness in dBFS; [`SILENCE`] for nothing but noughts.
pub fn level(pcm: &[i16]) -> f64 {
    let sum: f64 = pcm.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    if sum == 0.0 {
        return SILENCE;
    }
    10.0 * (sum / pcm.len() as f64 / 32_768_f64.powi(2)).log10()
}

/// The power at one frequency in dBFS (Goertzel's filter behind a Hann window).
pub fn level_at(pcm: &[i16], rate: u32, hertz: f64) -> f64 {
    let coefficient = 2.0 * (TAU * hertz / f64::from(rate)).cos();
    let (mut last, mut before) = (0.0, 0.0);
    for (index, sample) in pcm.iter().enumerate() {
        let next = f64::from(*sample) * hann(index, pcm.len()) + coefficient * last - before;
        before = last;
        last = next;
    }
    let power = last * last + before * before - coefficient * last * before;
    // The window passes half of an amplitude, the sum half of the samples; root mean square is amplitude / √2.
    let amplitude = power.max(0.0).sqrt() * 4.0 / pcm.len().max(1) as f64;
    10.0 * (amplitude.powi(2) / 2.0 / 32_768_f64.powi(2) + 1e-12).log10()
}

/// The strongest frequency in Hz, to a small part of a spectral line; `None` below -70 dBFS or 64 samples.
///
/// Looks at the latest 2^n samples; give it 100 ms or more.
pub fn frequency(pcm: &[i16], rate: u32) -> Option<f64> {
    if pcm.len() < 64 || level(pcm) < -70.0 {
        return None;
    }
    let size = 1 << pcm.len().ilog2();
    let latest = pcm.get(pcm.len() - size..)?;
    let mut bins: Vec<(f64, f64)> = latest
        .iter()
        .enumerate()
        .map(|(index, sample)| (f64::from(*sample) * hann(index, size), 0.0))
        .collect();
    transform(&mut bins);
    let power: Vec<f64> = bins.iter().take(size / 2).map(|(re, im)| re * re + im * im).collect();
    // A direct current is no tone.
    let (peak, _) = power.iter().enumerate().skip(2).max_by(|a, b| a.1.total_cmp(b.1))?;
    let log = |index: usize| power.get(index).map_or(0.0, |power| (power + 1e-9).ln());
    let (left, middle, right) = (log(peak - 1), log(peak), log(peak + 1));
    let bend = left - 2.0 * middle + right;
    let shift = if bend == 0.0 { 0.0 } else { 0.5 * (left - right) / bend };
    Some((peak as f64 + shift) * f64::from(rate) / size as f64)
}

/// How far the noise of `heard` lies below `sent` in dB, after the best delay up to `most` samples and the best gain.
pub fn signal_to_noise(sent: &[i16], heard: &[i16], most: usize) -> f64 {
    let at = |delay: usize| {
        let (mut cross, mut own, mut other) = (0.0, 0.0, 0.0);
        for (sent, heard) in sent.iter().zip(heard.iter().skip(delay)) {
            let (sent, heard) = (f64::from(*sent), f64::from(*heard));
            cross += sent * heard;
            own += sent * sent;
            other += heard * heard;
        }
        // What the best multiple of the sent signal explains, and what is left.
        let explained = if own == 0.0 { 0.0 } else { cross * cross / own };
        if cross <= 0.0 {
            f64::NEG_INFINITY
        } else {
            10.0 * (explained / (other - explained).max(1e-9)).log10()
        }
    };
    (0..=most).map(at).fold(f64::NEG_INFINITY, f64::max)
}

fn hann(index: usize, size: usize) -> f64 {
    0.5 - 0.5 * (TAU * index as f64 / size as f64).cos()
}

/// The discrete Fourier transform of 2^n complex values, in place.
fn transform(values: &mut [(f64, f64)]) {
    let size = values.len();
    if size < 2 {
        return;
    }
    let shift = usize::BITS - size.ilog2();
    for index in 0..size {
        let mirrored = index.reverse_bits() >> shift;
        if index < mirrored {
            values.swap(index, mirrored);
        }
    }
    let mut half = 1;
    while half < size {
        for group in values.chunks_exact_mut(2 * half) {
            let (even, odd) = group.split_at_mut(half);
            for (index, (a, b)) in even.iter_mut().zip(odd).enumerate() {
                let (sin, cos) = (-TAU * index as f64 / (2 * half) as f64).sin_cos();
                let turned = (b.0 * cos - b.1 * sin, b.0 * sin + b.1 * cos);
                *b = (a.0 - turned.0, a.1 - turned.1);
                *a = (a.0 + turned.0, a.1 + turned.1);
            }
        }
        half *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tones_are_found_where_they_are_at_every_rate() {
        for rate in [8_000, 16_000, 48_000] {
            for hertz in [100.0, 440.0, 697.0, 1_000.3, 3_100.0] {
                let tone = tone(hertz, -23.0, rate, rate as usize / 4);
                let found = frequency(&tone, rate).unwrap();
                assert!((found - hertz).abs() < hertz * 0.003, "{hertz} at {rate}: {found}");
                assert!((level(&tone) + 23.0).abs() < 0.1, "{}", level(&tone));
                assert!((level_at(&tone, rate, hertz) + 23.0).abs() < 0.2);
                assert!(level_at(&tone, rate, hertz + 200.0) < -60.0);
            }
        }
        assert_eq!((level(&[0; 160]), frequency(&[0; 1_600], 8_000)), (SILENCE, None));
    }

    #[test]
    fn noise_of_a_known_level_is_measured_through_delay_and_gain() {
        let sent = tone(440.0, -20.0, 8_000, 8_000);
        let noise = tone(1_234.5, -60.0, 8_000, 8_000);
        let mut heard = vec![0; 37];
        heard.extend(sent.iter().zip(&noise).map(|(sent, noise)| sent / 2 + noise));
        let found = signal_to_noise(&sent, &heard, 50);
        assert!((found - 34.0).abs() < 0.5, "{found}"); // -26 above -60
    }
}
