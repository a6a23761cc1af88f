//! Hiding lost packets of codecs that cannot do it themselves (G.711, G.722).
//!
//! The idea of G.711's Appendix I, made small: the latest pitch period goes on, quieter and quieter, until it is silent
//! after [`FADE_MS`]; what comes after the gap is blended in.

/// The lowest and the highest pitch that is looked for, in Hz.
const PITCH: (u32, u32) = (66, 400);
/// How much of the latest sound is compared with what came a period before.
const COMPARED_MS: u32 = 10;
/// A gap is silent after this.
const FADE_MS: u32 = 60;
/// How long the sound that goes on is blended with what follows a gap.
const BLEND_MS: u32 = 4;

/// Remembers enough of a stream to go on without it for a moment.
#[derive(Debug)]
pub(crate) struct Concealer {
    rate: u32,
    /// The latest sound, as much as [`longest`](Self::longest) says.
    history: Vec<i16>,
    gap: Option<Gap>,
}

#[derive(Debug)]
struct Gap {
    /// One pitch period, repeated.
    period: Vec<i16>,
    /// Samples made of it so far.
    made: usize,
}

impl Concealer {
    pub(crate) fn new(rate: u32) -> Concealer {
        Concealer {
            rate,
            history: Vec::new(),
            gap: None,
        }
    }

    fn samples(&self, milliseconds: u32) -> usize {
        (self.rate * milliseconds / 1_000) as usize
    }

    /// What a search for the pitch looks at.
    fn longest(&self) -> usize {
        (self.rate / PITCH.0) as usize + self.samples(COMPARED_MS)
    }

    /// These samples were decoded; the first after a gap are blended with what would have gone on.
    pub(crate) fn heard(&mut self, pcm: &mut [i16]) {
        if let Some(mut gap) = self.gap.take() {
            let blend = self.samples(BLEND_MS).min(pcm.len());
            let fade = self.samples(FADE_MS);
            for (index, sample) in pcm.iter_mut().take(blend).enumerate() {
                let (new, old) = (i32::from(*sample), i32::from(gap.next(fade)));
                *sample = (old + (new - old) * (index as i32 + 1) / (blend as i32 + 1)) as i16;
            }
        }
        self.remember(pcm);
    }

    /// Appends `samples` that nobody will miss.
    pub(crate) fn conceal(&mut self, samples: usize, out: &mut Vec<i16>) {
        let fade = self.samples(FADE_MS);
        let mut gap = match self.gap.take() {
            Some(gap) => gap,
            None => Gap {
                period: self.period(),
                made: 0,
            },
        };
        out.extend((0..samples).map(|_| gap.next(fade)));
        self.gap = Some(gap);
    }

    fn remember(&mut self, pcm: &[i16]) {
        let longest = self.longest();
        let latest = pcm.get(pcm.len().saturating_sub(longest)..).unwrap_or_default();
        let surplus = (self.history.len() + latest.len()).saturating_sub(longest);
        self.history.drain(..surplus);
        self.history.extend_from_slice(latest);
    }

    /// The latest period: the lag at which the latest sound is most like itself.
    fn period(&self) -> Vec<i16> {
        let compared = self.samples(COMPARED_MS);
        let (shortest, longest) = ((self.rate / PITCH.1) as usize, (self.rate / PITCH.0) as usize);
        let Some(start) = self.history.len().checked_sub(compared) else {
            return Vec::new();
        };
        let latest = self.history.get(start..).unwrap_or_default();
        let likeness = |lag: usize| {
            let before = self.history.get(start.checked_sub(lag)?..)?.get(..compared)?;
            let (mut cross, mut energy) = (0.0_f32, 1.0_f32);
            for (latest, before) in latest.iter().zip(before) {
                cross += f32::from(*latest) * f32::from(*before);
                energy += f32::from(*before) * f32::from(*before);
            }
            Some(cross / energy.sqrt())
        };
        let lags = (shortest..=longest).filter_map(|lag| likeness(lag).map(|alike| (lag, alike)));
        let best = lags.max_by(|a, b| a.1.total_cmp(&b.1)).map(|(lag, _)| lag);
        best.and_then(|lag| self.history.get(self.history.len().checked_sub(lag)?..))
            .unwrap_or_default()
            .to_vec()
    }
}

impl Gap {
    fn next(&mut self, fade: usize) -> i16 {
        let left = fade.saturating_sub(self.made);
        let place = self.made % self.period.len().max(1);
        self.made += 1;
        let sample = self.period.get(place).copied().unwrap_or(0);
        (i64::from(sample) * left as i64 / fade.max(1) as i64) as i16
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::audio::measure;

    #[test]
    fn a_lost_frame_of_a_tone_goes_on_without_a_step() {
        for (rate, hertz) in [(8_000, 180.0), (8_000, 440.0), (16_000, 300.0), (16_000, 95.0)] {
            let frame = rate as usize / 50;
            let tone = measure::tone(hertz, -12.0, rate, 10 * frame);
            let mut concealer = Concealer::new(rate);
            let mut out = Vec::new();
            for (index, frame) in tone.chunks(frame).enumerate() {
                if index == 5 {
                    concealer.conceal(frame.len(), &mut out);
                    continue;
                }
                let mut frame = frame.to_vec();
                concealer.heard(&mut frame);
                out.extend(frame);
            }
            let steepest = |pcm: &[i16]| pcm.windows(2).map(|two| two[0].abs_diff(two[1])).max().unwrap();
            let (own, gap) = (steepest(&tone), steepest(&out[5 * frame - 1..7 * frame]));
            // A period is a whole number of samples: half a sample of error is half a step.
            assert!(
                f32::from(gap) < 1.6 * f32::from(own),
                "{hertz} Hz: a step of {gap}, the tone's own is {own}"
            );
            let lost = &out[5 * frame..6 * frame];
            assert!(
                measure::level(lost) > -16.0,
                "{hertz} Hz: {} dBFS in the gap",
                measure::level(lost)
            );
        }
    }

    #[test]
    fn a_long_gap_is_silent_and_nothing_heard_before_means_silence() {
        let mut concealer = Concealer::new(8_000);
        let mut out = Vec::new();
        concealer.conceal(160, &mut out);
        assert_eq!(out, [0; 160]);
        concealer.heard(&mut measure::tone(200.0, -10.0, 8_000, 480));
        out.clear();
        concealer.conceal(800, &mut out);
        assert!(measure::level(&out[..160]) > -14.0);
        assert_eq!(out[480..], [0; 320]);
    }
}
