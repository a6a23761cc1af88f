//! A recording: a WAV file of two channels, what the party says on the left, what it hears on the right; of one channel where
//! there is but one sound, a hub's.
//!
//! Pure: it makes writes, and the host puts them into a file. The header is true after every write of sound, at most
//! 0.8 s behind the clock, so that a file that is cut anywhere plays up to there. Sound is placed by its timestamps; where
//! there is none, on hold or while nobody is connected, there is silence, and both channels stay abreast of the clock. A
//! stream that changes its source, as after a transfer, begins where the clock is.
//!
//! Microsoft's and IBM's RIFF/WAVE with 16-bit PCM; sizes are 32 bits, therefore a recording ends below 4 GiB, 37 hours at 8 kHz.
//!
//! ```
//! use std::time::{Duration, Instant};
//! use warmline::media::audio::{Recording, Side, measure};
//!
//! let start = Instant::now(); // the host's clock; a recording has none
//! let mut recording = Recording::new(start, 8_000, u64::MAX);
//! recording.push(start, Side::Says, (0, 8_000), &measure::tone(440.0, -20.0, 8_000, 160), 8_000);
//! recording.finish(start + Duration::from_secs(1));
//! let mut file = Vec::new();
//! while let Some(write) = recording.poll_write(start + Duration::from_secs(1)) {
//!     let end = write.offset as usize + write.octets.len();
//!     file.resize(end.max(file.len()), 0);
//!     file[write.offset as usize..end].copy_from_slice(&write.octets);
//! }
//! assert_eq!(file.len(), 44 + 4 * 8_000);
//! ```

use std::time::{Duration, Instant};

use super::Resampler;

/// The size of a RIFF header with one `fmt ` and one `data` chunk.
const HEADER: u64 = 44;
/// Octets of a sample.
const SAMPLE: u64 = 2;
/// Sound of one write.
pub const CHUNK_MS: u64 = 500;
/// How long a write waits for packets that are late.
const PATIENCE: Duration = Duration::from_millis(300);
/// A stream further from the clock than this has changed its source or its mind.
const ASTRAY_MS: u64 = 200;
/// No recording is larger: RIFF's sizes have 32 bits.
const MOST_OCTETS: u64 = u32::MAX as u64 - 1_024;

/// A channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What the party says: left.
    Says,
    /// What the party hears: right.
    Hears,
}

/// Octets for a place in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// From the file's beginning.
    pub offset: u64,
    /// What stands there from now on.
    pub octets: Vec<u8>,
}

/// A recording under way.
#[derive(Debug)]
pub struct Recording {
    began: Instant,
    rate: u32,
    /// 1 or 2.
    channels: u64,
    /// Frames at most.
    most: u64,
    /// Frames that were handed out.
    written: u64,
    /// Frames that the header counts; `None` before it was written.
    counted: Option<u64>,
    ended: Option<Instant>,
    says: Track,
    hears: Track,
}

#[derive(Debug, Default)]
struct Track {
    /// From the first frame that was not handed out.
    line: Vec<i16>,
    resampler: Option<(u32, Resampler)>,
    anchor: Option<Anchor>,
}

/// At which frame a timestamp sounds.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    timestamp: u32,
    clock: u32,
    frame: i64,
}

impl Recording {
    /// Begins now; `rate` is 8,000 or 16,000 Hz. It ends by itself before `octets`.
    pub fn new(now: Instant, rate: u32, octets: u64) -> Recording {
        Recording::of(now, rate, octets, 2)
    }

    /// The same with one channel: all is [`Side::Says`].
    pub fn mono(now: Instant, rate: u32, octets: u64) -> Recording {
        Recording::of(now, rate, octets, 1)
    }

    fn of(now: Instant, rate: u32, octets: u64, channels: u64) -> Recording {
        let most = octets.min(MOST_OCTETS).saturating_sub(HEADER) / (channels * SAMPLE);
        Recording {
            began: now,
            rate,
            channels,
            most,
            written: 0,
            counted: None,
            ended: None,
            says: Track::default(),
            hears: Track::default(),
        }
    }

    /// Sound that one side made. `stamp` is its RTP timestamp and clock, `rate` that of the samples in Hz.
    ///
    /// Sound of a rate that cannot become the recording's, or that comes after the end, is not recorded.
    pub fn push(&mut self, now: Instant, side: Side, stamp: (u32, u32), pcm: &[i16], rate: u32) {
        if self.ended.is_some() {
            return;
        }
        let (here, written) = (self.frames_at(now) as i64, self.written as i64);
        let astray = i64::from(self.rate) * ASTRAY_MS as i64 / 1_000;
        let most = (here + astray - written).clamp(0, i64::from(self.rate) * 60) as usize;
        let own = self.rate;
        let track = match side {
            Side::Says => &mut self.says,
            Side::Hears => &mut self.hears,
        };
        let Some(samples) = track.at_rate(own, pcm, rate) else {
            return;
        };
        let frame = track.place(stamp, here, astray, own);
        // What is late for a write is cut off.
        let late = (written - frame).clamp(0, samples.len() as i64) as usize;
        let start = (frame - written).max(0) as usize;
        let fresh = samples.get(late..).unwrap_or_default();
        let end = (start + fresh.len()).min(most.max(start));
        if track.line.len() < end {
            track.line.resize(end, 0);
        }
        if let Some(place) = track.line.get_mut(start..end) {
            place.copy_from_slice(fresh.get(..place.len()).unwrap_or_default());
        }
    }

    /// Ends it here. Fetch the last writes.
    pub fn finish(&mut self, now: Instant) {
        self.ended.get_or_insert(now);
    }

    /// How much of it there is, in milliseconds.
    pub fn milliseconds(&self) -> u64 {
        self.written * 1_000 / u64::from(self.rate.max(1))
    }

    /// It has grown as large as it may; nothing more is written.
    pub fn is_full(&self) -> bool {
        self.written >= self.most
    }

    /// The next octets for the file, in this order; `None` until [`poll_timeout`](Self::poll_timeout).
    pub fn poll_write(&mut self, now: Instant) -> Option<Write> {
        let chunk = u64::from(self.rate) * CHUNK_MS / 1_000;
        // The header follows each chunk, so that it never counts what is not there.
        if self.counted != Some(self.written) {
            self.counted = Some(self.written);
            return Some(self.header());
        }
        let (ready, least) = match self.ended {
            Some(end) => (self.frames_at(end), 1),
            None => (self.frames_at(now.checked_sub(PATIENCE)?), chunk),
        };
        let frames = ready.min(self.most).saturating_sub(self.written).min(chunk);
        let last = self.written + frames == self.most && frames > 0;
        (frames >= least || last).then(|| self.sound(frames))
    }

    /// When the next write is due; `None` when there will be none.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.ended {
            Some(end) if self.counted == Some(self.written) && self.frames_at(end).min(self.most) <= self.written => {
                None
            }
            Some(end) => Some(end),
            None if self.counted != Some(self.written) => Some(self.began),
            None if self.is_full() => None,
            None => {
                let due = self.milliseconds() + CHUNK_MS + 1;
                Some(self.began + PATIENCE + Duration::from_millis(due))
            }
        }
    }

    fn frames_at(&self, now: Instant) -> u64 {
        let passed = now.saturating_duration_since(self.began).as_micros();
        (passed * u128::from(self.rate) / 1_000_000) as u64
    }

    fn sound(&mut self, frames: u64) -> Write {
        let (count, frame) = (frames as usize, self.channels * SAMPLE);
        let mut octets = Vec::with_capacity(count * frame as usize);
        for index in 0..count {
            for track in [&self.says, &self.hears].into_iter().take(self.channels as usize) {
                octets.extend(track.line.get(index).copied().unwrap_or(0).to_le_bytes());
            }
        }
        for track in [&mut self.says, &mut self.hears] {
            track.line.drain(..count.min(track.line.len()));
        }
        let offset = HEADER + self.written * frame;
        self.written += frames;
        Write { offset, octets }
    }

    fn header(&self) -> Write {
        let frame = self.channels * SAMPLE;
        let data = (self.written * frame) as u32;
        let mut octets = Vec::with_capacity(HEADER as usize);
        octets.extend(b"RIFF");
        octets.extend((data + HEADER as u32 - 8).to_le_bytes());
        octets.extend(b"WAVEfmt \x10\0\0\0\x01\0"); // 16 octets follow: PCM
        octets.extend((self.channels as u16).to_le_bytes());
        octets.extend(self.rate.to_le_bytes());
        octets.extend((self.rate * frame as u32).to_le_bytes());
        octets.extend((frame as u16).to_le_bytes());
        octets.extend(b"\x10\0data"); // bits of a sample
        octets.extend(data.to_le_bytes());
        Write { offset: 0, octets }
    }
}

impl Track {
    fn at_rate(&mut self, own: u32, pcm: &[i16], rate: u32) -> Option<Vec<i16>> {
        if self.resampler.as_ref().is_none_or(|(from, _)| *from != rate) {
            self.resampler = Some((rate, Resampler::new(rate, own)?));
        }
        let (_, resampler) = self.resampler.as_mut()?;
        let mut samples = Vec::with_capacity(pcm.len());
        resampler.resample(pcm, &mut samples);
        Some(samples)
    }

    /// The frame at which this sounds: by its timestamp while that agrees with the clock.
    fn place(&mut self, (timestamp, clock): (u32, u32), here: i64, astray: i64, own: u32) -> i64 {
        if let Some(anchor) = self.anchor.filter(|anchor| anchor.clock == clock && clock > 0) {
            let ticks = i64::from(timestamp.wrapping_sub(anchor.timestamp) as i32);
            let frame = anchor.frame + ticks * i64::from(own) / i64::from(clock);
            if (frame - here).abs() <= astray {
                return frame;
            }
        }
        self.anchor = Some(Anchor {
            timestamp,
            clock,
            frame: here,
        });
        here
    }
}
