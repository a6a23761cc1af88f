//! What the edge makes itself: another codec, prompts.

use super::*;
use crate::media::PromptName;
use crate::media::audio::{Decoder, Encoder, Pcm, measure};

const RATE: u32 = 8_000;

fn wideband(leg: LegHandle) -> Endpoint {
    let payloads = vec![payload(111, Codec::Opus), event(126, 48_000)];
    Endpoint {
        receive: payloads.clone(),
        send: payloads,
        ..endpoint(leg)
    }
}

/// So many packets of a tone in A-law.
fn tone(frequency: f64, packets: usize) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(&Codec::Pcma).unwrap();
    let samples = measure::tone(frequency, -15.0, RATE, 160 * packets);
    let frame = |pcm: &[i16]| {
        let mut octets = Vec::new();
        encoder.encode(pcm, &mut octets);
        octets
    };
    samples.chunks(160).map(frame).collect()
}

/// The audio of these payloads, without the codec's beginning.
fn sound(codec: &Codec, heard: &[(Header, Vec<u8>)]) -> Vec<i16> {
    let mut decoder = Decoder::new(codec).unwrap();
    let mut pcm = Vec::new();
    for (_, payload) in heard {
        assert!(decoder.decode(payload, &mut pcm));
    }
    pcm.split_off(pcm.len() / 4)
}

/// Whether nearly all of the sound is at this frequency.
fn is(sound: &[i16], frequency: f64, rate: u32) -> bool {
    let at = measure::level_at(sound, rate, frequency);
    measure::level(sound) > -30.0 && measure::level(sound) - at < 2.0
}

fn steps(heard: &[(Header, Vec<u8>)]) -> Vec<(u16, u32)> {
    let step = |pair: &[(Header, Vec<u8>)]| {
        let (before, after) = (pair[0].0, pair[1].0);
        (
            after.sequence.wrapping_sub(before.sequence),
            after.timestamp.wrapping_sub(before.timestamp),
        )
    };
    heard.windows(2).map(step).collect()
}

#[test]
fn a_tone_is_the_same_tone_in_the_others_codec() {
    let mut world = World::bridged();
    world.open(BOB, wideband(BOB));
    for (count, frame) in tone(440.0, 60).iter().enumerate() {
        world.say(ALICE, 8, count as u32, frame);
        world.advance(millis(20));
    }
    let heard = world.heard(BOB);
    assert!(heard.len() >= 59, "{}", heard.len());
    assert!(steps(&heard).iter().all(|step| *step == (1, 960)));
    assert!(
        heard
            .iter()
            .enumerate()
            .all(|(at, (header, _))| header.marker == (at == 0))
    );
    assert!(
        heard
            .iter()
            .all(|(header, _)| (header.payload_type, header.ssrc) == (111, 0x2222))
    );
    let pcm = sound(&Codec::Opus, &heard);
    assert!(is(&pcm, 440.0, 48_000) && !is(&pcm, 1_000.0, 48_000));

    // A key in between is one event on Bob's clock, and the audio goes on behind it.
    let start = world.now;
    for (count, (flags, duration)) in [(0x0a, 0xa0), (0x0a, 0xf0), (0x8a, 0xf0)].iter().enumerate() {
        let header = Header {
            marker: count == 0,
            payload_type: 101,
            sequence: 60 + count as u16,
            timestamp: 60 * 160,
            ssrc: 0xaaaa,
        };
        let mut packet = Vec::new();
        header.write(&[5, *flags, 0, *duration], &mut packet);
        world.datagram(Local::Rtp(port(ALICE)), party(ALICE), &packet);
        world.advance(millis(20));
    }
    for (count, frame) in tone(440.0, 10).iter().enumerate() {
        world.say(ALICE, 8, 63 + count as u32, frame);
        world.advance(millis(20));
    }
    let heard = world.heard(BOB);
    let keys: Vec<&(Header, Vec<u8>)> = heard.iter().filter(|(header, _)| header.payload_type == 126).collect();
    assert_eq!(keys.len(), 3);
    assert!(keys.iter().all(|(header, _)| header.timestamp == keys[0].0.timestamp));
    assert_eq!(keys[2].1, [5, 0x8a, 0x05, 0xa0]);
    assert!(steps(&heard).iter().all(|(sequence, _)| *sequence == 1));
    let (last, _) = &heard[heard.len() - 1];
    let gone = (world.now - start).as_millis() as u32 * 48;
    let late = gone.wrapping_sub(last.timestamp.wrapping_sub(keys[0].0.timestamp));
    assert!(late <= 3 * 960, "{late}");
}

#[test]
fn what_both_know_is_never_decoded() {
    let mut world = World::bridged();
    world.open(
        BOB,
        Endpoint {
            send: vec![payload(111, Codec::Opus), payload(8, Codec::Pcma)],
            ..endpoint(BOB)
        },
    );
    world.say(ALICE, 8, 1, &[0x55; 160]);
    assert_eq!(world.heard(BOB)[0].1, [0x55; 160]);
}

fn music() -> PromptName {
    PromptName("music".into())
}

fn with_prompt(seconds: usize) -> World {
    let mut world = World::bridged();
    let samples = measure::tone(1_000.0, -15.0, 8_000, 8_000 * seconds);
    let mut wav = Vec::new();
    let header = hound::WavSpec {
        channels: 1,
        sample_rate: 8_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::new(std::io::Cursor::new(&mut wav), header).unwrap();
    samples.iter().for_each(|sample| writer.write_sample(*sample).unwrap());
    writer.finalize().unwrap();
    world.sessions.prompts().insert(music(), Pcm::load(&wav).unwrap());
    world
}

fn prompt(name: PromptName, again: bool) -> Hear {
    Hear::Prompt { name, again }
}

#[test]
fn music_is_heard_by_many_in_their_codecs_and_ends_with_the_hold() {
    let mut world = with_prompt(1);
    world.open(BOB, wideband(BOB));
    // The one who holds goes on talking; nobody hears it.
    world.say(ALICE, 8, 1, &[0x55; 160]);
    world.heard(BOB);
    world.hear(ALICE, prompt(music(), true));
    world.advance(millis(7));
    world.hear(BOB, prompt(music(), true));
    world.advance(Duration::from_secs(3));
    world.say(ALICE, 8, 2, &[0x55; 160]);
    let sent = std::mem::take(&mut world.sent);
    for (leg, codec, clock) in [(ALICE, Codec::Pcma, 8), (BOB, Codec::Opus, 48)] {
        world.sent = sent.clone();
        let heard = world.heard(leg);
        assert!((149..=151).contains(&heard.len()), "{}", heard.len());
        let even = (1, clock * 20);
        assert!(steps(&heard).iter().all(|step| *step == even));
        assert_eq!(heard.iter().filter(|(header, _)| header.marker).count(), 1);
        let rate = codec.sample_rate().unwrap();
        assert!(is(&sound(&codec, &heard), 1_000.0, rate));
    }
    // All listeners get their frames at the same moments.
    let moments = |leg: LegHandle| -> Vec<Duration> {
        let mine = sent.iter().filter(|sent| sent.to == party(leg) && sent.rtp().is_some());
        mine.map(|sent| sent.at).skip(1).take(100).collect()
    };
    assert_eq!(moments(ALICE)[1..99], moments(BOB)[..98]);

    world.hear(BOB, Hear::Leg(ALICE));
    world.sent.clear();
    world.advance(Duration::from_secs(1));
    world.open(BOB, endpoint(BOB));
    world.say(ALICE, 8, 3, &[0x55; 160]);
    let heard = world.heard(BOB);
    assert_eq!((heard.len(), &heard[0].1[..]), (1, &[0x55; 160][..]));
    assert!(
        world
            .events
            .iter()
            .all(|event| !matches!(event, MediaEvent::PromptEnded { .. } | MediaEvent::PromptMissing { .. }))
    );
}

#[test]
fn a_prompt_that_plays_once_tells_its_end() {
    let mut world = with_prompt(1);
    world.hear(BOB, prompt(music(), false));
    world.advance(Duration::from_secs(5));
    let heard = world.heard(BOB);
    assert!((50..=52).contains(&heard.len()), "{}", heard.len());
    let ended = MediaEvent::PromptEnded {
        leg: BOB,
        name: music(),
    };
    assert_eq!(world.events.iter().filter(|event| **event == ended).count(), 1);
    // Nobody listens any more: nothing ticks.
    assert!(world.sessions.poll_timeout().unwrap() > world.now + millis(20));
}

#[test]
fn a_missing_prompt_is_silence_and_told() {
    let mut world = World::bridged();
    let name = PromptName("nothing".into());
    world.hear(BOB, prompt(name.clone(), false));
    world.advance(Duration::from_secs(1));
    let heard = world.heard(BOB);
    assert!(heard.len() >= 50);
    assert!(measure::level(&sound(&Codec::Pcma, &heard)) < -60.0);
    assert_eq!(world.events, [MediaEvent::PromptMissing { leg: BOB, name }]);
}

#[test]
fn a_prompt_is_not_heard_by_whom_nothing_is_sent() {
    let mut world = with_prompt(1);
    world.open(
        BOB,
        Endpoint {
            direction: Direction::RecvOnly,
            ..endpoint(BOB)
        },
    );
    world.hear(BOB, prompt(music(), true));
    world.advance(Duration::from_secs(1));
    assert!(world.heard(BOB).is_empty());
    world.command(MediaCommand::Close { leg: BOB });
    world.advance(millis(40));
    assert!(world.sessions.poll_timeout().unwrap() > world.now + millis(20));
}

#[test]
fn digits_are_tones_for_whom_takes_no_events() {
    let mut world = World::bridged();
    let audio = vec![payload(8, Codec::Pcma)];
    world.open(
        BOB,
        Endpoint {
            send: audio,
            ..endpoint(BOB)
        },
    );
    for digits in ["1", "2#x"] {
        world.command(MediaCommand::Digits {
            leg: BOB,
            digits: digits.into(),
        });
        world.advance(millis(50));
    }
    world.say(ALICE, 8, 1, &[0x55; 160]);
    world.advance(Duration::from_secs(1));
    let heard = world.heard(BOB);
    assert!(steps(&heard).iter().all(|step| *step == (1, 160)));
    let mut pcm = Vec::new();
    let mut decoder = Decoder::new(&Codec::Pcma).unwrap();
    for (_, payload) in &heard {
        decoder.decode(payload, &mut pcm);
    }
    let mut found = String::new();
    let mut finder = crate::media::audio::DigitFinder::new(RATE).unwrap();
    pcm.resize(pcm.len() + 800, 0);
    finder.push(&pcm, |digit| found.push(digit.digit));
    assert_eq!(found, "12#");
    // Then Alice is heard again.
    world.say(ALICE, 8, 2, &[0x55; 160]);
    assert_eq!(world.heard(BOB).len(), 1);
}

#[test]
fn a_recording_has_both_sides_and_spans_a_transfer() {
    let mut world = World::bridged();
    world.open(CAROL, wideband(CAROL));
    world.command(MediaCommand::Record {
        leg: ALICE,
        name: crate::media::RecordingName("one".into()),
    });
    let (says, hears) = (tone(440.0, 200), tone(1_000.0, 100));
    let mut opus = crate::media::audio::Transcoder::new(&Codec::Pcma, &Codec::Opus).unwrap();
    for (count, frame) in says.iter().enumerate() {
        world.say(ALICE, 8, count as u32, frame);
        match count {
            0..100 => world.say(BOB, 8, count as u32, &hears[count]),
            100 => world.hear(ALICE, Hear::Leg(CAROL)),
            _ => {}
        }
        if count >= 100 {
            opus.push(count as u32 * 160, &tone(1_500.0, 1)[0]);
            let mut octets = Vec::new();
            while let Some(made) = opus.poll(&mut octets) {
                let header = Header {
                    marker: made.marker,
                    payload_type: 111,
                    sequence: count as u16,
                    timestamp: made.timestamp,
                    ssrc: 0xca,
                };
                let mut packet = Vec::new();
                header.write(&octets, &mut packet);
                world.datagram(Local::Rtp(port(CAROL)), party(CAROL), &packet);
                octets.clear();
            }
        }
        world.advance(millis(20));
    }
    // What is on disk while it goes on plays as well.
    assert!(hound::WavReader::new(&world.file[..]).unwrap().len() > 2 * 8_000);
    world.command(MediaCommand::Close { leg: ALICE });
    let reader = hound::WavReader::new(&world.file[..]).unwrap();
    assert_eq!((reader.spec().channels, reader.spec().sample_rate), (2, 8_000));
    let samples: Vec<i16> = reader.into_samples().map(Result::unwrap).collect();
    let side = |side: usize, from: usize, to: usize| -> Vec<i16> {
        samples
            .iter()
            .skip(side)
            .step_by(2)
            .copied()
            .skip(from)
            .take(to - from)
            .collect()
    };
    assert!(is(&side(0, 1_000, 31_000), 440.0, RATE));
    assert!(is(&side(1, 1_000, 15_000), 1_000.0, RATE));
    assert!(is(&side(1, 18_000, 31_000), 1_500.0, RATE));
    assert!(
        (3_980..=4_020).contains(&world.recorded.unwrap()),
        "{:?}",
        world.recorded
    );
}
