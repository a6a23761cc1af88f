//! Sounds that need no file: what tells a conference that somebody comes or goes, and plain tones.

use std::f32::consts::TAU;

use super::load::Pcm;
use super::{LEVEL, MOST_SECONDS, PROMPT_RATE};

/// The name under which every edge has the tone that tells of somebody's coming and going. No prompt of a configuration can
/// have it: their names have no colon.
pub const BEEP: &str = "builtin:beep";

/// Two notes of 120 ms, a fifth apart: nothing else on a line sounds so.
const NOTES: [f32; 2] = [587.33, 880.0];
const NOTE_MS: u32 = 120;
/// A tone rises and falls in this time, so that it makes no click.
const RAMP_MS: u32 = 8;

impl Pcm {
    /// [`BEEP`].
    pub fn beep() -> Pcm {
        let mut samples = Vec::new();
        for hertz in NOTES {
            note(&mut samples, hertz, NOTE_MS);
        }
        Pcm::from_samples(&samples, false)
    }

    /// A plain tone, as loud as every prompt; 1 ms to [`MOST_SECONDS`], 50 Hz to 3,400 Hz.
    pub fn tone(hertz: u32, milliseconds: u32) -> Pcm {
        let mut samples = Vec::new();
        let longest = MOST_SECONDS as u32 * 1_000;
        note(
            &mut samples,
            hertz.clamp(50, 3_400) as f32,
            milliseconds.clamp(1, longest),
        );
        Pcm::from_samples(&samples, false)
    }
}

fn note(samples: &mut Vec<f32>, hertz: f32, milliseconds: u32) {
    let peak = (10_f64.powf(LEVEL / 20.0) * std::f64::consts::SQRT_2) as f32;
    let length = milliseconds * (PROMPT_RATE / 1_000);
    let ramp = (RAMP_MS * (PROMPT_RATE / 1_000)) as f32;
    let step = f64::from(hertz) / f64::from(PROMPT_RATE);
    samples.extend((0..length).map(|index| {
        let strength = (index.min(length - index) as f32 / ramp).min(1.0);
        let turn = (f64::from(index) * step).fract() as f32;
        peak * strength * (turn * TAU).sin()
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::audio::measure;

    #[test]
    fn tones_have_their_frequency_length_and_level() {
        let tone = Pcm::tone(440, 500);
        assert_eq!(tone.samples().len(), 24_000);
        assert!((measure::frequency(tone.samples(), PROMPT_RATE).unwrap() - 440.0).abs() < 2.0);
        assert!((measure::level(tone.samples()) - LEVEL).abs() < 0.5);
        let beep = Pcm::beep();
        assert_eq!(beep.samples().len(), 2 * 120 * 48);
        for (half, hertz) in beep.samples().chunks(120 * 48).zip(NOTES) {
            assert!((measure::frequency(half, PROMPT_RATE).unwrap() - f64::from(hertz)).abs() < 10.0);
        }
        assert_eq!(
            (Pcm::tone(0, 0).samples().len(), Pcm::tone(9_999, 1).samples().len()),
            (48, 48)
        );
    }
}
