//! Sounds that API clients add: decoded by threads that may take their time, kept within a bound.

use std::collections::VecDeque;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tokio::sync::{Semaphore, mpsc};

use super::MediaThread;
use crate::api::{KEPT_SECONDS, SoundError, SoundOrder, SoundSource};
use crate::media::PromptName;
use crate::media::audio::{PROMPT_RATE, Pcm};

/// Decoded at the same time: more would starve the media thread on a small machine.
const AT_ONCE: usize = 2;
/// Samples of all sounds together.
const MOST: usize = KEPT_SECONDS * PROMPT_RATE as usize;

/// All sounds that were added, and those under way.
#[derive(Debug)]
pub(in crate::driver) struct SoundBox {
    orders: mpsc::Receiver<SoundOrder>,
    made: (mpsc::UnboundedSender<Made>, mpsc::UnboundedReceiver<Made>),
    permits: Arc<Semaphore>,
    kept: Kept,
}

/// A sound that was decoded, or not.
#[derive(Debug)]
pub(in crate::driver) struct Made {
    name: String,
    pcm: Result<Pcm, String>,
    order: SoundOrder,
}

/// Names and lengths, the one that was wanted latest is the last.
#[derive(Debug, Default)]
struct Kept {
    list: VecDeque<(String, usize)>,
    samples: usize,
}

impl Kept {
    /// Whether it is there; if so, it is the latest from now on.
    fn touch(&mut self, name: &str) -> bool {
        let Some(at) = self.list.iter().position(|(known, _)| known == name) else {
            return false;
        };
        let entry = self.list.remove(at);
        self.list.extend(entry);
        true
    }

    /// One more; those that had to go for it.
    fn add(&mut self, name: String, samples: usize) -> Vec<String> {
        self.samples += samples;
        self.list.push_back((name, samples));
        let mut gone = Vec::new();
        while self.samples > MOST
            && self.list.len() > 1
            && let Some((name, samples)) = self.list.pop_front()
        {
            self.samples -= samples;
            gone.push(name);
        }
        gone
    }
}

impl SoundBox {
    pub(in crate::driver) fn new(orders: mpsc::Receiver<SoundOrder>) -> SoundBox {
        SoundBox {
            orders,
            made: mpsc::unbounded_channel(),
            permits: Arc::new(Semaphore::new(AT_ONCE)),
            kept: Kept::default(),
        }
    }

    /// The next sound that was decoded. Nothing is lost where this is dropped before it is ready.
    pub(in crate::driver) async fn next(&mut self) -> Made {
        loop {
            tokio::select! {
                Some(made) = self.made.1.recv() => return made,
                Some(order) = self.orders.recv() => self.begin(order),
                else => std::future::pending().await,
            }
        }
    }

    fn begin(&mut self, order: SoundOrder) {
        let name = name(&order.source);
        if self.kept.touch(&name) {
            order.answer.send(Ok(name)).ok(); // whoever asked has gone
            return;
        }
        let (made, permits) = (self.made.0.clone(), Arc::clone(&self.permits));
        tokio::spawn(async move {
            let _permit = permits.acquire_owned().await;
            let source = order.source.clone();
            let pcm = tokio::task::spawn_blocking(move || decode(&source)).await;
            let pcm = pcm.unwrap_or_else(|_| Err("its decoder gave up".to_owned()));
            made.send(Made { name, pcm, order }).ok(); // the edge has stopped
        });
    }

    /// Gives the media thread a sound, then tells who asked: what it orders next finds the sound there.
    pub(in crate::driver) fn keep(&mut self, made: Made, media: &MediaThread) {
        let Made { name, pcm, order } = made;
        let answer = match pcm {
            Ok(pcm) if !self.kept.touch(&name) => {
                let gone = self.kept.add(name.clone(), pcm.samples().len());
                media.insert_prompt(PromptName(name.as_str().into()), pcm);
                for name in gone {
                    media.remove_prompt(PromptName(name.into()));
                }
                Ok(name)
            }
            Ok(_) => Ok(name),
            Err(why) => Err(SoundError::Unplayable(why)),
        };
        order.answer.send(answer).ok(); // whoever asked has gone
    }
}

/// By content, so that the same sound is kept once; no prompt of a configuration is called so by accident.
fn name(source: &SoundSource) -> String {
    match source {
        SoundSource::File(octets) => {
            let digest = Sha256::digest(octets);
            let start: String = digest.iter().take(16).map(|octet| format!("{octet:02x}")).collect();
            format!("sound-{start}")
        }
        SoundSource::Tone { hertz, milliseconds } => format!("sound-tone-{hertz}-{milliseconds}"),
    }
}

fn decode(source: &SoundSource) -> Result<Pcm, String> {
    match source {
        SoundSource::File(octets) => Pcm::load(octets).map_err(|error| error.to_string()),
        SoundSource::Tone { hertz, milliseconds } => Ok(Pcm::tone(*hertz, *milliseconds)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Sounds;
    use crate::driver::MediaOptions;
    use crate::media::audio::{g711, measure};
    use crate::media::{Codec, Endpoint, LocalPort, MediaCommand, MediaEvent, Payload, Security};
    use crate::vocabulary::{AudienceHandle, LegHandle};

    #[test]
    fn the_sound_that_nobody_wanted_for_longest_goes_first() {
        let mut kept = Kept::default();
        let third = MOST / 3;
        for name in ["a", "b", "c"] {
            assert!(kept.add(name.to_owned(), third).is_empty());
        }
        assert!(kept.touch("a") && !kept.touch("x"));
        assert_eq!(kept.add("d".to_owned(), third), ["b"]);
        assert_eq!(kept.add("e".to_owned(), MOST), ["c", "a", "d"]);
        assert_eq!((kept.list.len(), kept.samples), (1, MOST));
    }

    #[test]
    fn names_tell_sounds_apart_by_what_is_in_them() {
        let file = |octets: &'static [u8]| name(&SoundSource::File(octets.into()));
        assert_eq!(file(b"one"), file(b"one"));
        assert_ne!(file(b"one"), file(b"two"));
        assert_eq!(file(b"one").len(), "sound-".len() + 32);
        let (hertz, milliseconds) = (440, 1_000);
        assert_eq!(name(&SoundSource::Tone { hertz, milliseconds }), "sound-tone-440-1000");
    }

    /// A leg of the media thread whose party is this socket.
    fn endpoint(party: &std::net::UdpSocket) -> Endpoint {
        let free = |_| {
            std::net::UdpSocket::bind("127.0.0.1:0")
                .unwrap()
                .local_addr()
                .unwrap()
                .port()
        };
        let mut pairs = (0..)
            .map(free)
            .filter(|port| std::net::UdpSocket::bind(("127.0.0.1", port + 1)).is_ok());
        let remote = party.local_addr().unwrap();
        let payloads = vec![Payload {
            number: 0,
            codec: Codec::Pcmu,
            parameters: "".into(),
        }];
        Endpoint {
            local: LocalPort::Own(pairs.next().unwrap()),
            remote: Some(remote),
            remote_rtcp: None,
            latch: false,
            adopted: false,
            source: None,
            security: Security::None,
            receive: payloads.clone(),
            send: payloads,
            direction: crate::sdp::Direction::SendRecv,
            ssrc: 9,
            cname: "edge".into(),
            packet_ms: 20,
        }
    }

    /// Half a second of 2 kHz.
    fn whistle() -> Vec<u8> {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: 8_000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut wav = Vec::new();
        let mut writer = hound::WavWriter::new(std::io::Cursor::new(&mut wav), spec).unwrap();
        let tone = measure::tone(2_000.0, -15.0, 8_000, 4_000);
        tone.into_iter().for_each(|sample| writer.write_sample(sample).unwrap());
        writer.finalize().unwrap();
        wav
    }

    #[tokio::test]
    async fn what_was_added_is_heard_by_its_name_and_garbage_is_told() {
        let (events, mut told) = mpsc::unbounded_channel();
        let options = MediaOptions::new([127, 0, 0, 1].into(), crate::driver::dtls_certificate().unwrap());
        let media = MediaThread::start(options, events).unwrap();
        let (sounds, orders) = Sounds::new();
        let mut sound_box = SoundBox::new(orders);
        let client = tokio::spawn(async move {
            let wav = bytes::Bytes::from(whistle());
            let first = sounds.add(wav.clone()).await.unwrap();
            assert_eq!(sounds.add(wav).await.as_ref(), Ok(&first));
            let garbage = sounds.add(vec![7; 5_000].into()).await;
            assert!(matches!(garbage, Err(SoundError::Unplayable(_))), "{garbage:?}");
            let octets = crate::api::MOST_OCTETS + 1;
            assert_eq!(
                sounds.add(vec![0; octets].into()).await,
                Err(SoundError::TooLarge { octets })
            );
            (first, sounds.tone(1_000, 300).await.unwrap())
        });
        let (whistle, tone) = tokio::select! {
            names = client => names.unwrap(),
            () = async { loop { let made = sound_box.next().await; sound_box.keep(made, &media) } } => unreachable!(),
        };
        let party = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let leg = LegHandle { slot: 0, generation: 0 };
        let endpoint = Box::new(endpoint(&party));
        media.send(MediaCommand::Endpoint { leg, endpoint });
        for (name, hertz) in [(whistle, 2_000.0), (tone, 1_000.0)] {
            let (to, again) = (AudienceHandle::Leg(leg), false);
            let name = PromptName(name.into());
            media.send(MediaCommand::Announce {
                to,
                name: name.clone(),
                again,
            });
            while told.recv().await.unwrap()
                != (MediaEvent::PromptEnded {
                    leg,
                    name: name.clone(),
                })
            {}
            party.set_nonblocking(true).unwrap();
            let (mut packet, mut heard) = ([0; 500], Vec::new());
            while let Ok(length) = party.recv(&mut packet) {
                heard.extend(packet[12..length].iter().map(|code| g711::linear_of_mu_law(*code)));
            }
            assert!(heard.len() >= 2_400, "{}", heard.len());
            let found = measure::frequency(&heard[..2_048], 8_000).unwrap();
            assert!((found - hertz).abs() < 10.0, "{found} Hz");
        }
        media.stop();
    }
}
