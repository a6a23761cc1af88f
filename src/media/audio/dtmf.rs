//! DTMF as tones: made for parties that take no telephone-event, found in what a party sends.
//!
//! Q.23's eight frequencies, one of each group at a time. A digit lasts [`ON_MS`] and is followed by [`OFF_MS`] of silence.
//! The finder follows Q.24: 1.5 % off is a digit, 3.5 % off is none; 40 ms are heard, 20 ms are not; a voice is none.
//!
//! ```
//! use warmline::media::audio::{Dialling, DigitFinder, frame_samples};
//!
//! let mut dialling = Dialling::new("5#", 8_000);
//! let mut finder = DigitFinder::new(8_000).expect("8 kHz is known");
//! let (mut frame, mut found) = (Vec::new(), String::new());
//! while dialling.frame(&mut frame) {
//!     assert_eq!(frame.len(), frame_samples(8_000));
//!     finder.push(&frame, |digit| found.push(digit.digit));
//!     frame.clear();
//! }
//! assert_eq!(found, "5#");
//! ```

use std::collections::VecDeque;
use std::f64::consts::TAU;

use super::{FRAME_MS, Resampler, frame_samples};

/// How long a digit sounds.
pub const ON_MS: u32 = 100;
/// How long it is silent after one.
pub const OFF_MS: u32 = 60;

const LOW: [f64; 4] = [697.0, 770.0, 852.0, 941.0];
const HIGH: [f64; 4] = [1_209.0, 1_336.0, 1_477.0, 1_633.0];
const DIGITS: [[char; 4]; 4] = [
    ['1', '2', '3', 'A'],
    ['4', '5', '6', 'B'],
    ['7', '8', '9', 'C'],
    ['*', '0', '#', 'D'],
];

/// Peak of each tone, of full scale: -12 and -10 dBFS, the higher one louder because lines lose it sooner.
const LOW_PEAK: f64 = 0.355;
const HIGH_PEAK: f64 = 0.447;
/// Rises and falls in this time, so that it makes no click.
const RAMP_MS: u32 = 4;

/// The two frequencies of a digit (Q.23), in Hz; letters in either case.
pub fn frequencies(digit: char) -> Option<(f64, f64)> {
    let digit = digit.to_ascii_uppercase();
    let (row, column) = DIGITS.iter().enumerate().find_map(|(row, digits)| {
        let column = digits.iter().position(|other| *other == digit)?;
        Some((row, column))
    })?;
    Some((*LOW.get(row)?, *HIGH.get(column)?))
}

/// Digits as sound, frame by frame.
#[derive(Clone, Debug)]
pub struct Dialling {
    rate: u32,
    digits: VecDeque<(f64, f64)>,
    /// Milliseconds of the first digit that have sounded.
    sounded: u32,
}

impl Dialling {
    /// What is no digit is left out.
    pub fn new(digits: &str, rate: u32) -> Dialling {
        let mut dialling = Dialling {
            rate,
            digits: VecDeque::new(),
            sounded: 0,
        };
        dialling.add(digits);
        dialling
    }

    /// More digits, behind those that are there.
    pub fn add(&mut self, digits: &str) {
        self.digits.extend(digits.chars().filter_map(frequencies));
    }

    /// Appends the next 20 ms; false when all has sounded.
    pub fn frame(&mut self, out: &mut Vec<i16>) -> bool {
        let Some((low, high)) = self.digits.front().copied() else {
            return false;
        };
        let samples = frame_samples(self.rate);
        let begin = (self.rate / 1_000 * self.sounded) as usize;
        let (length, ramp) = (
            (self.rate / 1_000 * ON_MS) as usize,
            (self.rate / 1_000 * RAMP_MS) as usize,
        );
        out.extend((begin..begin + samples).map(|index| {
            let Some(left) = length.checked_sub(index) else {
                return 0;
            };
            let strength = (index.min(left) as f64 / ramp as f64).min(1.0);
            let turn = TAU * index as f64 / f64::from(self.rate);
            let sound = LOW_PEAK * (turn * low).sin() + HIGH_PEAK * (turn * high).sin();
            (sound * strength * 32_767.0) as i16
        }));
        self.sounded += FRAME_MS;
        if self.sounded >= ON_MS + OFF_MS {
            self.digits.pop_front();
            self.sounded = 0;
        }
        true
    }
}

/// Samples of a block at 8 kHz: 20 ms, 50 Hz apart; they overlap by half.
const BLOCK: usize = 160;
const HOP: usize = BLOCK / 2;
/// Blocks in a row that make a digit, and that end one.
const HITS: u32 = 3;
const MISSES: u32 = 2;
/// Mean square of the quietest digit: -45 dBFS.
const QUIETEST: f64 = 3.2e-5;
/// Of a block's power, both tones have at least this part; a voice has it elsewhere.
const PURE: f64 = 0.55;
/// One tone is at most so many times the other (8 dB, and what 1.5 % of detuning costs).
const TWIST: f64 = 10.0;
/// The best of a group is at least so many times the second.
const CLEAR: f64 = 4.0;

/// A digit that was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digit {
    /// `0`–`9`, `*`, `#`, `A`–`D`.
    pub digit: char,
    /// How long it sounded, to about 10 ms.
    pub milliseconds: u32,
}

/// Finds digits in sound (Goertzel's filters).
#[derive(Debug)]
pub struct DigitFinder {
    resampler: Resampler,
    /// At 8 kHz.
    line: Vec<i16>,
    state: Finding,
}

#[derive(Clone, Copy, Debug)]
enum Finding {
    Silence,
    /// Heard in so many blocks in a row, too few to be sure.
    Perhaps {
        digit: char,
        hits: u32,
    },
    Sounding {
        digit: char,
        hits: u32,
        misses: u32,
    },
}

impl DigitFinder {
    /// For sound at 8, 16 or 48 kHz.
    pub fn new(rate: u32) -> Option<DigitFinder> {
        let resampler = Resampler::new(rate, 8_000)?;
        Some(DigitFinder {
            resampler,
            line: Vec::new(),
            state: Finding::Silence,
        })
    }

    /// Takes sound and tells each digit once, at its end.
    pub fn push(&mut self, pcm: &[i16], mut found: impl FnMut(Digit)) {
        self.resampler.resample(pcm, &mut self.line);
        while let Some(block) = self.line.get(..BLOCK) {
            let heard = digit_in(block);
            if let Some(digit) = self.state.block(heard) {
                found(digit);
            }
            self.line.drain(..HOP);
        }
    }
}

impl Finding {
    fn block(&mut self, heard: Option<char>) -> Option<Digit> {
        let fresh = heard.map_or(Finding::Silence, |digit| Finding::Perhaps { digit, hits: 1 });
        let (next, ended) = match *self {
            Finding::Silence => (fresh, None),
            Finding::Perhaps { digit, hits } if heard == Some(digit) && hits + 1 >= HITS => (
                Finding::Sounding {
                    digit,
                    hits: hits + 1,
                    misses: 0,
                },
                None,
            ),
            Finding::Perhaps { digit, hits } if heard == Some(digit) => {
                (Finding::Perhaps { digit, hits: hits + 1 }, None)
            }
            Finding::Perhaps { .. } => (fresh, None),
            Finding::Sounding { digit, hits, misses } if heard == Some(digit) => (
                Finding::Sounding {
                    digit,
                    hits: hits + misses + 1,
                    misses: 0,
                },
                None,
            ),
            Finding::Sounding { digit, hits, misses } if misses + 1 < MISSES => (
                Finding::Sounding {
                    digit,
                    hits,
                    misses: misses + 1,
                },
                None,
            ),
            Finding::Sounding { digit, hits, .. } => {
                let milliseconds = (hits + 1) * HOP as u32 / 8;
                (fresh, Some(Digit { digit, milliseconds }))
            }
        };
        *self = next;
        ended
    }
}

fn digit_in(block: &[i16]) -> Option<char> {
    let samples = || block.iter().map(|sample| f64::from(*sample) / 32_768.0);
    let whole = samples().map(|sample| sample * sample).sum::<f64>() / block.len() as f64;
    if whole < QUIETEST {
        return None;
    }
    let power = |hertz: f64| {
        let coefficient = 2.0 * (TAU * hertz / 8_000.0).cos();
        let (last, before) = samples().fold((0.0, 0.0), |(last, before), sample| {
            (sample + coefficient * last - before, last)
        });
        // Of a sine, the mean square is half of its amplitude's square.
        2.0 * (last * last + before * before - coefficient * last * before) / (block.len() * block.len()) as f64
    };
    let (row, low) = strongest(LOW.map(power))?;
    let (column, high) = strongest(HIGH.map(power))?;
    let pure = low + high >= PURE * whole && low <= TWIST * high && high <= TWIST * low;
    DIGITS.get(row)?.get(column).copied().filter(|_| pure)
}

/// The strongest of a group, where it is clearly so.
fn strongest(powers: [f64; 4]) -> Option<(usize, f64)> {
    let (place, best) = powers.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1))?;
    let clear = powers
        .iter()
        .enumerate()
        .all(|(other, power)| other == place || power * CLEAR <= *best);
    clear.then_some((place, *best))
}

#[cfg(test)]
mod tests;
