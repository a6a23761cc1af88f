//! Mixing: everybody hears everybody else.
//!
//! One sum a tick; a speaker hears it without itself, all who are silent hear the same sum, so that one encode serves
//! them all. Who may hear whom beyond that is a list of sounds to leave out and to put in: a coach's whisper, a monitor.
//!
//! Sums wrap, which 60,000 who shout would have to bring about: a check at each sample would keep the compiler from vector
//! instructions.
//!
//! Sums may be louder than 16 bits hold: a [`Limiter`] for each listener turns the sound down within a millisecond and up
//! again over half a second, in place of clipping it.
//!
//! ```
//! use warmline::media::audio::{Limiter, Mixer, measure};
//!
//! let (alice, bob) = (measure::tone(440.0, -20.0, 8_000, 160), measure::tone(300.0, -20.0, 8_000, 160));
//! let mut mixer = Mixer::new(160);
//! mixer.add(&alice);
//! mixer.add(&bob);
//! let mut heard = Vec::new();
//! mixer.hear(&[&alice], &[], &mut Limiter::default(), &mut heard);
//! assert_eq!(heard, bob);
//! ```

/// No sample comes out louder, so that codecs have a little room.
const CEILING: i32 = 31_000;
/// The part of the missing gain that comes back in a frame of 20 ms: half a second to nearly all.
const RECOVERY: f32 = 12.0;
/// What comes back at the least.
const LEAST_RECOVERY: f32 = 1.0 / 32_768.0;
/// The part of a frame in which it turns down.
const ATTACK: usize = 16;

/// The sum of one tick's sounds, of one rate and length.
#[derive(Clone, Debug)]
pub struct Mixer {
    sum: Vec<i32>,
    speakers: usize,
}

/// How far a listener's sound is turned down.
#[derive(Clone, Copy, Debug)]
pub struct Limiter {
    gain: f32,
}

impl Default for Limiter {
    fn default() -> Limiter {
        Limiter { gain: 1.0 }
    }
}

impl Mixer {
    /// For frames of so many samples.
    pub fn new(samples: usize) -> Mixer {
        Mixer {
            sum: vec![0; samples],
            speakers: 0,
        }
    }

    /// A new tick: nobody has spoken.
    pub fn clear(&mut self) {
        self.sum.fill(0);
        self.speakers = 0;
    }

    /// Somebody speaks. A shorter frame is silent at its end.
    pub fn add(&mut self, pcm: &[i16]) {
        for (sum, sample) in self.sum.iter_mut().zip(pcm) {
            *sum = sum.wrapping_add(i32::from(*sample));
        }
        self.speakers += 1;
    }

    /// How many spoke in this tick.
    pub fn speakers(&self) -> usize {
        self.speakers
    }

    /// What a listener hears, in place of what `out` held: the sum, without some (its own voice) and with others (a
    /// whisper).
    pub fn hear(&self, without: &[&[i16]], with: &[&[i16]], limiter: &mut Limiter, out: &mut Vec<i16>) {
        out.clear();
        match (without, with) {
            // These two are nearly all: they want no buffer between.
            ([], []) => limiter.limit(self.sum.iter().copied(), out),
            ([own], []) if own.len() == self.sum.len() => {
                let sound = self
                    .sum
                    .iter()
                    .zip(*own)
                    .map(|(sum, own)| sum.wrapping_sub(i32::from(*own)));
                limiter.limit(sound, out);
            }
            (without, with) => {
                let mut sound = self.sum.clone();
                for (list, sign) in [(without, -1), (with, 1)] {
                    for pcm in list {
                        for (sum, sample) in sound.iter_mut().zip(*pcm) {
                            *sum = sum.wrapping_add(sign * i32::from(*sample));
                        }
                    }
                }
                limiter.limit(sound.iter().copied(), out);
            }
        }
    }
}

impl Limiter {
    fn limit(&mut self, sound: impl ExactSizeIterator<Item = i32> + Clone, out: &mut Vec<i16>) {
        out.resize(sound.len(), 0);
        // All bits that are set in any magnitude are no less than the largest: nearly always that is enough to know.
        let mut bits = 0;
        for (place, sample) in out.iter_mut().zip(sound.clone()) {
            bits |= sample ^ (sample >> 31);
            *place = sample as i16;
        }
        if bits > CEILING || self.gain < 1.0 {
            self.turn(sound, out);
        }
    }

    /// Turns down, or up again.
    fn turn(&mut self, sound: impl ExactSizeIterator<Item = i32> + Clone, out: &mut [i16]) {
        // In whole numbers, whose largest eight lanes may look for; the order of floats matters to the compiler.
        let peak = sound.clone().fold(0, |peak, sample| peak.max(sample ^ (sample >> 31)));
        let ceiling = CEILING as f32;
        let target = if peak >= CEILING {
            ceiling / (peak as f32 + 1.0)
        } else {
            1.0
        };
        let from = self.gain;
        let recovered = from + (1.0 - from) / RECOVERY + LEAST_RECOVERY;
        self.gain = target.min(recovered).min(1.0);
        let change = self.gain - from;
        // No gain in these two is above the peak's own.
        if change > 0.0 {
            let step = change / out.len().max(1) as f32;
            for (index, (place, sample)) in out.iter_mut().zip(sound).enumerate() {
                *place = rounded(sample as f32 * (from + step * (index as i32 as f32 + 1.0)));
            }
            return;
        }
        let gain = self.gain;
        for (place, sample) in out.iter_mut().zip(sound.clone()) {
            *place = rounded(sample as f32 * gain);
        }
        let attack = if change < 0.0 { out.len().div_ceil(ATTACK) } else { 0 };
        for (index, (place, sample)) in out.iter_mut().zip(sound).take(attack).enumerate() {
            let gain = from + change * (index as f32 + 1.0) / attack as f32;
            *place = rounded((sample as f32 * gain).clamp(-ceiling, ceiling));
        }
    }
}

/// The whole number next to a value of 16 bits. Added to 1.5 × 2^23 it stands in the lowest bits, where a conversion that
/// asks for what does not fit would cost three times as much.
fn rounded(value: f32) -> i16 {
    (value + 12_582_912.0).to_bits() as i16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::audio::measure;

    const TONES: [f64; 4] = [300.0, 500.0, 700.0, 1_100.0];

    /// A second of so many voices; what each hears, and what a silent listener does.
    fn conference(levels: &[f64]) -> Vec<Vec<i16>> {
        let voices: Vec<Vec<i16>> = levels
            .iter()
            .zip(TONES)
            .map(|(level, hertz)| measure::tone(hertz, *level, 8_000, 8_000))
            .collect();
        let (mut mixer, mut limiters) = (Mixer::new(160), vec![Limiter::default(); levels.len() + 1]);
        let mut heard = vec![Vec::new(); levels.len() + 1];
        let mut out = Vec::new();
        for frame in 0..50 {
            let part = |voice: usize| &voices[voice][frame * 160..(frame + 1) * 160];
            mixer.clear();
            (0..levels.len()).for_each(|voice| mixer.add(part(voice)));
            assert_eq!(mixer.speakers(), levels.len());
            for (voice, limiter) in limiters.iter_mut().enumerate() {
                let own = [if voice < levels.len() { part(voice) } else { &[] }];
                mixer.hear(if voice < levels.len() { &own } else { &[] }, &[], limiter, &mut out);
                heard[voice].extend_from_slice(&out);
            }
        }
        heard
    }

    #[test]
    fn everybody_hears_all_others_and_not_themselves() {
        let heard = conference(&[-20.0; 4]);
        for (listener, pcm) in heard.iter().enumerate() {
            for (voice, hertz) in TONES.into_iter().enumerate() {
                let level = measure::level_at(pcm, 8_000, hertz);
                if voice == listener {
                    assert!(level < -80.0, "{listener} hears itself at {level} dBFS");
                } else {
                    assert!((level + 20.0).abs() < 0.1, "{listener} hears {voice} at {level} dBFS");
                }
            }
        }
    }

    #[test]
    fn loud_voices_are_turned_down_and_not_clipped() {
        let heard = conference(&[-5.0; 4]);
        for pcm in &heard {
            assert!(pcm.iter().all(|sample| i32::from(*sample).abs() <= CEILING));
        }
        let all = &heard[4][1_600..];
        // Where clipping would put sound: sums and differences of the tones, thirds of them.
        for hertz in [100.0, 900.0, 1_300.0, 1_500.0, 1_700.0, 2_100.0, 3_300.0] {
            let level = measure::level_at(all, 8_000, hertz);
            assert!(level < -40.0, "{level} dBFS at {hertz} Hz");
        }
        let levels = TONES.map(|hertz| measure::level_at(all, 8_000, hertz));
        assert!(levels.iter().all(|level| (-16.0..-8.0).contains(level)), "{levels:?}");
    }

    #[test]
    fn the_sound_comes_back_after_somebody_shouted() {
        let (mut mixer, mut limiter, mut out) = (Mixer::new(160), Limiter::default(), Vec::new());
        let quiet = measure::tone(500.0, -20.0, 8_000, 160);
        let loud = measure::tone(500.0, -4.0, 8_000, 160);
        let mut level = |frames: usize, voices: &[&[i16]]| {
            for _ in 0..frames {
                mixer.clear();
                voices.iter().for_each(|voice| mixer.add(voice));
                mixer.hear(&[], &[], &mut limiter, &mut out);
            }
            measure::level(&out)
        };
        assert!((level(1, &[&quiet]) + 20.0).abs() < 0.1);
        level(3, &[&loud, &loud, &loud]);
        let after = level(1, &[&quiet]);
        assert!((-29.0..-26.0).contains(&after), "{after}");
        let later = level(40, &[&quiet]);
        assert!((later + 20.0).abs() < 0.5, "{later}");
    }

    #[test]
    fn a_whisper_reaches_its_listener_alone() {
        let [agent, customer, coach] = [300.0, 500.0, 700.0].map(|hertz| measure::tone(hertz, -20.0, 8_000, 1_600));
        let mut mixer = Mixer::new(1_600);
        mixer.add(&agent);
        mixer.add(&customer);
        let (mut to_agent, mut to_customer) = (Vec::new(), Vec::new());
        mixer.hear(&[&agent], &[&coach], &mut Limiter::default(), &mut to_agent);
        mixer.hear(&[&customer], &[], &mut Limiter::default(), &mut to_customer);
        assert!(measure::level_at(&to_agent, 8_000, 700.0) > -21.0);
        assert_eq!(to_customer, agent);
    }
}
