//! What is announced in a hub: prompts that are mixed in, several at a time.

use crate::media::PromptName;
use crate::media::audio::{PROMPT_RATE, Prompts, Resampler, frame_samples};
use crate::media::session::WIDE;

/// At the same time; the oldest ends for one more.
const MOST: usize = 8;

/// All that sounds.
#[derive(Debug, Default)]
pub(super) struct Sounds {
    list: Vec<Sound>,
}

#[derive(Debug)]
struct Sound {
    name: PromptName,
    again: bool,
    /// Frames since its beginning.
    index: u64,
    /// This tick's, at the prompts' rate.
    frame: Vec<i16>,
    narrow: Option<Resampler>,
    wide: Option<Resampler>,
    pcm: Vec<i16>,
}

impl Sounds {
    /// One more; gives back the one that had to end for it.
    pub(super) fn begin(&mut self, name: PromptName, again: bool) -> Option<PromptName> {
        let oldest = (self.list.len() >= MOST).then(|| self.list.remove(0).name);
        self.list.push(Sound {
            name,
            again,
            index: 0,
            frame: Vec::new(),
            narrow: Resampler::new(PROMPT_RATE, 8_000),
            wide: Resampler::new(PROMPT_RATE, WIDE),
            pcm: Vec::new(),
        });
        oldest
    }

    /// All of it ends.
    pub(super) fn stop(&mut self) {
        self.list.clear();
    }

    /// Another 20 ms; those that are over, or that nobody has.
    pub(super) fn tick(&mut self, prompts: &Prompts) -> Vec<PromptName> {
        let mut over = Vec::new();
        self.list.retain_mut(|sound| {
            let frame = prompts.samples(&sound.name, sound.index, sound.again);
            sound.index += 1;
            let goes_on = frame.is_some();
            match frame {
                Some(frame) => sound.frame = frame,
                None => over.push(sound.name.clone()),
            }
            goes_on
        });
        over
    }

    /// How many sound in this tick.
    pub(super) fn sounding(&self) -> usize {
        self.list.len()
    }

    /// Every one at this rate.
    pub(super) fn each(&mut self, rate: u32, mut add: impl FnMut(&[i16])) {
        for sound in &mut self.list {
            let way = if rate == WIDE {
                &mut sound.wide
            } else {
                &mut sound.narrow
            };
            sound.pcm.clear();
            if let Some(way) = way {
                way.resample(&sound.frame, &mut sound.pcm);
            }
            sound.pcm.resize(frame_samples(rate), 0);
            add(&sound.pcm);
        }
    }
}
