//! Changing the sample rate by a whole factor: 8, 16 and 48 kHz into each other.
//!
//! A polyphase FIR: a Kaiser-windowed sinc of [`TAPS`] taps at the lower rate, flat to 0.425 of it (3.4 kHz at 8 kHz) and
//! 70 dB down from 0.575. It takes any number of samples and delays by half its taps: 2 ms at 8 kHz, 1 ms at 16 kHz.
//! (An FFT resampler wants whole blocks and delays by half of one, 10 ms with blocks of a frame.) Other ratios occur in
//! files only, which are read once.

use std::f64::consts::PI;

/// Length of the filter in samples of the lower rate.
const TAPS: usize = 32;
/// Of the Kaiser window: 75 dB.
const BETA: f64 = 7.3;

/// A stream's way from one rate to another.
#[derive(Clone, Debug)]
pub struct Resampler {
    way: Way,
    /// The latest samples that the filter still needs, then the new ones of a call.
    line: Vec<i16>,
}

#[derive(Clone, Debug)]
enum Way {
    Same,
    /// One filter of [`TAPS`] for each of the samples that come out for one that goes in; Q14.
    Up(Vec<[i16; TAPS]>),
    /// One sample comes out for `factor` that go in; Q15.
    Down {
        taps: Vec<i16>,
        factor: usize,
    },
}

impl Resampler {
    /// `None` where neither rate is a multiple of the other up to 12 times.
    pub fn new(from: u32, to: u32) -> Option<Resampler> {
        let whole = |large: u32, small: u32| {
            let factor = large.checked_div(small).filter(|factor| factor * small == large);
            factor
                .filter(|factor| (1..=12).contains(factor))
                .map(|factor| factor as usize)
        };
        let way = match (whole(to, from), whole(from, to)) {
            (Some(1), _) => Way::Same,
            (Some(factor), _) => Way::Up(interpolator(factor)),
            (None, Some(factor)) => Way::Down {
                taps: decimator(factor),
                factor,
            },
            (None, None) => return None,
        };
        let history = match &way {
            Way::Same => 0,
            Way::Up(_) => TAPS - 1,
            // So that the first sample that comes out waits for `factor` that go in.
            Way::Down { taps, factor } => taps.len() - factor,
        };
        Some(Resampler {
            way,
            line: vec![0; history],
        })
    }

    /// Appends what `pcm` becomes. Samples that do not fill one of a lower rate wait for the next call.
    pub fn resample(&mut self, pcm: &[i16], out: &mut Vec<i16>) {
        match &self.way {
            Way::Same => out.extend_from_slice(pcm),
            Way::Up(phases) => {
                self.line.extend_from_slice(pcm);
                for window in self.line.windows(TAPS) {
                    out.extend(phases.iter().map(|taps| sample(dot(window, taps), 14)));
                }
                let used = self.line.len() + 1 - TAPS;
                self.line.drain(..used);
            }
            Way::Down { taps, factor } => {
                self.line.extend_from_slice(pcm);
                let ready = self.line.windows(taps.len()).step_by(*factor);
                let used = ready.len() * factor;
                out.extend(ready.map(|window| sample(dot(window, taps), 15)));
                self.line.drain(..used);
            }
        }
    }

    /// By how many samples of the rate that comes out it is late.
    pub fn delay(&self) -> usize {
        match &self.way {
            Way::Same => 0,
            Way::Up(phases) => TAPS / 2 * phases.len(),
            Way::Down { .. } => TAPS / 2,
        }
    }
}

/// A sum of products; the filters' gains keep it inside 32 bits (their magnitudes sum to less than 2 in Q15).
fn dot(samples: &[i16], taps: &[i16]) -> i32 {
    let products = samples
        .iter()
        .zip(taps)
        .map(|(sample, tap)| i32::from(*sample) * i32::from(*tap));
    products.fold(0, i32::wrapping_add)
}

fn sample(sum: i32, shift: u32) -> i16 {
    let rounded = (sum >> (shift - 1)).saturating_add(1) >> 1;
    rounded.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
}

/// The low-pass at `factor` times the lower rate, sum 1, its middle between two samples where `offset` is a half.
fn low_pass(factor: usize) -> Vec<f64> {
    let length = TAPS * factor;
    let middle = (length / 2) as f64;
    let taps: Vec<f64> = (0..length)
        .map(|index| {
            let from_middle = (index as f64 - middle) / factor as f64;
            let sinc = if from_middle == 0.0 {
                1.0
            } else {
                (PI * from_middle).sin() / (PI * from_middle)
            };
            let place = from_middle / (TAPS / 2) as f64;
            sinc * bessel(BETA * (1.0 - place * place).max(0.0).sqrt()) / bessel(BETA)
        })
        .collect();
    let sum: f64 = taps.iter().sum();
    taps.into_iter().map(|tap| tap / sum).collect()
}

/// Each phase sums to one exactly, so that no tone of the lower rate rides on a steady level.
fn interpolator(factor: usize) -> Vec<[i16; TAPS]> {
    let prototype = low_pass(factor);
    (0..factor)
        .map(|phase| {
            // Windows run from the oldest sample to the newest; the newest meets the prototype's beginning.
            let picked: Vec<f64> = prototype.iter().skip(phase).step_by(factor).rev().copied().collect();
            let mut taps = [0; TAPS];
            for (place, tap) in taps.iter_mut().zip(quantised(&picked, 14)) {
                *place = tap;
            }
            taps
        })
        .collect()
}

fn decimator(factor: usize) -> Vec<i16> {
    quantised(&low_pass(factor), 15)
}

/// Fixed-point taps whose sum is one exactly: the largest takes what rounding left.
fn quantised(taps: &[f64], shift: u32) -> Vec<i16> {
    let one = f64::from(1_u32 << shift);
    let sum: f64 = taps.iter().sum();
    let mut rounded: Vec<i16> = taps.iter().map(|tap| (tap / sum * one).round() as i16).collect();
    let left = (1 << shift) - rounded.iter().map(|tap| i32::from(*tap)).sum::<i32>();
    if let Some(largest) = rounded.iter_mut().max_by_key(|tap| **tap) {
        *largest = (i32::from(*largest) + left) as i16;
    }
    rounded
}

/// The modified Bessel function of the first kind, order nought.
fn bessel(x: f64) -> f64 {
    let quarter = x * x / 4.0;
    let mut term = 1.0;
    let mut sum = 1.0;
    for k in 1..40 {
        term *= quarter / f64::from(k * k);
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::audio::measure;

    const RATES: [u32; 3] = [8_000, 16_000, 48_000];

    fn resampled(from: u32, to: u32, pcm: &[i16], chunk: usize) -> Vec<i16> {
        let mut resampler = Resampler::new(from, to).unwrap();
        let mut out = Vec::new();
        for chunk in pcm.chunks(chunk) {
            resampler.resample(chunk, &mut out);
        }
        out
    }

    #[test]
    fn tones_of_the_telephone_band_keep_their_frequency_and_level() {
        for from in RATES {
            for to in RATES {
                for hertz in [200.0, 440.0, 1_000.0, 2_500.0, 3_400.0] {
                    let tone = measure::tone(hertz, -10.0, from, from as usize / 2);
                    let heard = resampled(from, to, &tone, from as usize / 50);
                    assert_eq!(heard.len(), to as usize / 2);
                    let steady = &heard[to as usize / 10..];
                    let (level, found) = (measure::level(steady), measure::frequency(steady, to).unwrap());
                    assert!((level + 10.0).abs() < 0.1, "{hertz} Hz {from} to {to}: {level} dBFS");
                    assert!(
                        (found - hertz).abs() < hertz * 0.003,
                        "{hertz} Hz {from} to {to}: {found}"
                    );
                    let own = measure::level_at(steady, to, hertz);
                    assert!(
                        (own - level).abs() < 0.1,
                        "{hertz} Hz {from} to {to}: images or aliases"
                    );
                }
            }
        }
    }

    #[test]
    fn what_a_lower_rate_cannot_hold_is_gone_and_images_do_not_appear() {
        for (from, to, hertz, alias) in [
            (48_000, 8_000, 5_000.0, 3_000.0),
            (48_000, 8_000, 7_000.0, 1_000.0),
            (16_000, 8_000, 4_700.0, 3_300.0),
            (48_000, 16_000, 10_000.0, 6_000.0),
        ] {
            let heard = resampled(from, to, &measure::tone(hertz, -6.0, from, from as usize / 2), 160);
            let level = measure::level_at(&heard[800..], to, alias);
            assert!(
                level < -70.0,
                "{hertz} Hz from {from} to {to} came back at {level} dBFS"
            );
        }
        for (from, to, hertz) in [
            (8_000, 48_000, 3_300.0),
            (8_000, 16_000, 1_000.0),
            (16_000, 48_000, 6_500.0),
        ] {
            let heard = resampled(from, to, &measure::tone(hertz, -6.0, from, from as usize / 2), 160);
            let image = measure::level_at(&heard[2_400..], to, f64::from(from) - hertz);
            assert!(
                image < -70.0,
                "{hertz} Hz from {from} to {to} has an image at {image} dBFS"
            );
        }
    }

    #[test]
    fn chunks_of_any_length_come_out_as_one_stream_and_as_late_as_promised() {
        for (from, to) in [
            (8_000, 48_000),
            (48_000, 8_000),
            (16_000, 8_000),
            (16_000, 48_000),
            (8_000, 8_000),
        ] {
            let tone = measure::tone(700.0, -12.0, from, 9_600);
            let whole = resampled(from, to, &tone, 9_600);
            for chunk in [1, 7, 160, 441] {
                assert_eq!(resampled(from, to, &tone, chunk), whole);
            }
            let mut impulse = vec![0; 4_800];
            impulse[2_400] = 20_000;
            let heard = resampled(from, to, &impulse, 160);
            let peak = (0..heard.len()).max_by_key(|index| heard[*index].abs()).unwrap();
            let expected = 2_400 * to as usize / from as usize + Resampler::new(from, to).unwrap().delay();
            assert!(peak.abs_diff(expected) <= 1, "{from} to {to}: {peak}, not {expected}");
        }
    }

    #[test]
    fn the_loudest_noise_does_not_wrap_and_odd_ratios_are_refused() {
        let noise: Vec<i16> = (0..9_600)
            .map(|index| if index * index % 7 < 3 { i16::MAX } else { i16::MIN })
            .collect();
        for (from, to) in [(8_000, 48_000), (48_000, 8_000), (16_000, 8_000)] {
            let heard = resampled(from, to, &noise, 160);
            let steep = heard
                .windows(2)
                .filter(|two| two[0] == i16::MAX && two[1] == i16::MIN)
                .count();
            assert_eq!(steep, if to > from { 0 } else { steep }, "{from} to {to} wrapped");
        }
        for (from, to) in [(44_100, 48_000), (0, 8_000), (8_000, 0), (8_000, 192_000)] {
            assert!(Resampler::new(from, to).is_none());
        }
        let steady = resampled(8_000, 48_000, &[10_000; 800], 160);
        assert!(steady[1_000..].iter().all(|sample| *sample == 10_000));
    }

    #[test]
    fn no_filter_can_overflow_its_sum() {
        for factor in [2, 3, 6, 12] {
            for taps in interpolator(factor) {
                assert!(taps.iter().map(|tap| i32::from(*tap).abs()).sum::<i32>() < 1 << 16);
            }
            assert!(decimator(factor).iter().map(|tap| i32::from(*tap).abs()).sum::<i32>() < 1 << 16);
        }
    }
}
