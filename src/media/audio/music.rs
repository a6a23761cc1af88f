//! The hold music that needs no file: a slow progression of four chords, made of decaying sines.
//!
//! Notes that ring over the end ring into the beginning, so that the loop has no seam. All of it lies between 100 and
//! 2,500 Hz, where every codec hears.

use std::f32::consts::TAU;

use super::load::Pcm;
use super::{PROMPT_RATE, normal};

/// Four chords of four seconds; MIDI numbers, the bass first.
const CHORDS: [[u8; 5]; 4] = [
    [48, 60, 64, 67, 71], // C major seventh
    [45, 60, 64, 67, 69], // A minor seventh
    [53, 60, 65, 69, 72], // F major
    [43, 59, 62, 67, 69], // G with a second
];
/// Which of a chord's notes its eight half seconds pluck.
const PATTERN: [usize; 8] = [1, 2, 3, 4, 3, 2, 3, 4];
/// A voice above, two notes a chord.
const MELODY: [u8; 8] = [76, 74, 72, 76, 77, 72, 74, 71];
const BEAT: usize = PROMPT_RATE as usize / 2;
const LENGTH: usize = CHORDS.len() * PATTERN.len() * BEAT;

impl Pcm {
    /// The built-in hold music: 16 seconds that repeat without a seam.
    pub fn builtin() -> Pcm {
        let mut sound = vec![0.0; LENGTH];
        for (bar, chord) in CHORDS.iter().enumerate() {
            let start = bar * PATTERN.len() * BEAT;
            pluck(&mut sound, start, chord[0], 0.55, 2.2);
            for (beat, note) in PATTERN.iter().enumerate() {
                pluck(&mut sound, start + beat * BEAT, chord[*note], 0.4, 0.9);
            }
        }
        for (index, note) in MELODY.iter().enumerate() {
            pluck(&mut sound, (4 * index + 2) * BEAT, *note, 0.35, 1.3);
        }
        normal::to_level(&mut sound);
        Pcm::from_samples(&sound, true)
    }
}

/// Adds a note that begins at `start` and dies away with this time constant in seconds.
fn pluck(sound: &mut [f32], start: usize, note: u8, strength: f32, decay: f32) {
    /// Overtones: strength, and how much faster they die.
    const OVERTONES: [(f32, f32); 3] = [(1.0, 1.0), (0.35, 1.6), (0.12, 2.5)];
    let rate = PROMPT_RATE as f32;
    let hertz = 440.0 * ((f32::from(note) - 69.0) / 12.0).exp2();
    let length = (5.0 * decay * rate) as usize;
    let attack = 0.012 * rate;
    for (number, (part, faster)) in OVERTONES.iter().enumerate() {
        let step = TAU * hertz * (number + 1) as f32 / rate;
        let shrink = (-faster / (decay * rate)).exp();
        // A pointer that turns and shrinks; its height is the sound.
        let (turn_sin, turn_cos) = ((step.sin()) * shrink, (step.cos()) * shrink);
        let (mut x, mut y) = (strength * part, 0.0_f32);
        for index in 0..length {
            let rise = (index as f32 / attack).min(1.0);
            // The last tenth fades to nought, so that the note's end is no step.
            let fall = ((length - index) as f32 * 10.0 / length as f32).min(1.0);
            if let Some(sample) = sound.get_mut((start + index) % LENGTH) {
                *sample += y * rise * fall;
            }
            (x, y) = (x * turn_cos - y * turn_sin, x * turn_sin + y * turn_cos);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::media::audio::{LEVEL, Pcm, measure};

    #[test]
    fn the_built_in_music_is_sixteen_seconds_of_sound_without_a_seam() {
        let music = Pcm::builtin();
        let samples = music.samples();
        assert_eq!(samples.len(), 16 * 48_000);
        let level = measure::level(samples);
        assert!((level - LEVEL).abs() < 1.0, "{level} dBFS");
        for (second, part) in samples.chunks(48_000).enumerate() {
            let level = measure::level(part);
            assert!(
                (LEVEL - 6.0..LEVEL + 6.0).contains(&level),
                "second {second}: {level} dBFS"
            );
            let found = measure::frequency(part, 48_000).unwrap();
            assert!((80.0..1_000.0).contains(&found), "second {second}: {found} Hz");
        }
        let step = samples[0].abs_diff(samples[samples.len() - 1]);
        let steepest = samples.windows(2).map(|two| two[0].abs_diff(two[1])).max().unwrap();
        assert!(
            step <= steepest / 2,
            "{step} where it begins again, {steepest} elsewhere"
        );
        assert!(samples.iter().all(|sample| sample.unsigned_abs() < 30_000));
    }
}
