//! Tests of codecs and transcoding by what is heard: a tone goes in, a tone of that frequency and level comes out.

use super::*;
use crate::media::Codec;
use proptest::prelude::*;

const CODECS: [Codec; 4] = [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus];

/// A codec's packets of this sound, of `frames` times 20 ms each where the codec can be put together by octets.
fn packets(codec: &Codec, pcm_48: &[i16], frames: usize) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(codec).unwrap();
    let mut at_rate = Vec::new();
    Resampler::new(48_000, encoder.rate())
        .unwrap()
        .resample(pcm_48, &mut at_rate);
    let payloads: Vec<Vec<u8>> = at_rate
        .chunks(frame_samples(encoder.rate()))
        .map(|frame| {
            let mut payload = Vec::new();
            encoder.encode(frame, &mut payload);
            payload
        })
        .collect();
    payloads.chunks(frames).map(|group| group.concat()).collect()
}

fn heard(codec: &Codec, payloads: &[Vec<u8>]) -> Vec<i16> {
    let mut decoder = Decoder::new(codec).unwrap();
    let mut pcm = Vec::new();
    for payload in payloads {
        assert!(decoder.decode(payload, &mut pcm), "{codec:?}");
    }
    pcm
}

#[test]
fn tones_survive_each_codec() {
    for codec in &CODECS {
        let rate = codec.sample_rate().unwrap();
        for hertz in [300.0, 440.0, 1_000.0, 3_000.0] {
            for dbfs in [-10.0, -20.0, -40.0] {
                let sent = measure::tone(hertz, dbfs, 48_000, 48_000);
                let pcm = heard(codec, &packets(codec, &sent, 1));
                assert_eq!(pcm.len(), rate as usize);
                let steady = &pcm[rate as usize / 5..];
                let (found, level) = (measure::frequency(steady, rate).unwrap(), measure::level(steady));
                assert!((found - hertz).abs() < 0.01 * hertz, "{codec:?} {hertz} Hz: {found}");
                assert!(
                    (level - dbfs).abs() < 3.0,
                    "{codec:?} {hertz} Hz at {dbfs} dBFS: {level}"
                );
            }
        }
    }
}

#[test]
fn noise_lies_as_far_below_a_tone_as_the_codecs_promise() {
    // G.712 asks 33 dB of companding laws; G.722 and Opus at these rates leave a tone cleaner than speech needs.
    for (codec, promised) in [
        (Codec::Pcmu, 35.0),
        (Codec::Pcma, 35.0),
        (Codec::G722, 50.0),
        (Codec::Opus, 30.0),
    ] {
        let rate = codec.sample_rate().unwrap();
        let sent = measure::tone(440.0, -15.0, rate, rate as usize);
        let mut sent_48 = Vec::new();
        Resampler::new(rate, 48_000).unwrap().resample(&sent, &mut sent_48);
        let pcm = heard(&codec, &packets(&codec, &sent_48, 1));
        let found = measure::signal_to_noise(&sent[rate as usize / 2..][..4_000], &pcm[rate as usize / 2..], 1_500);
        println!("{codec:?}: {found:.1} dB");
        assert!(found > promised, "{codec:?}: {found} dB");
    }
}

#[test]
fn every_codec_becomes_every_other_with_pitch_level_and_timestamps() {
    let sent = measure::tone(440.0, -20.0, 48_000, 96_000);
    for from in &CODECS {
        for to in &CODECS {
            let mut transcoder = Transcoder::new(from, to).unwrap();
            let (mut timestamp, mut expected, mut payloads) = (0xffff_ff00_u32, 0, Vec::new());
            for packet in packets(from, &sent, 1) {
                assert_eq!(transcoder.push(timestamp, &packet), Pushed::Taken);
                timestamp = timestamp.wrapping_add(from.clock() / 50);
                let mut payload = Vec::new();
                let made = transcoder.poll(&mut payload).unwrap();
                assert_eq!((made.timestamp, made.marker), (expected, expected == 0));
                assert_eq!(transcoder.poll(&mut payload), None);
                expected += to.clock() / 50;
                payloads.push(payload);
            }
            let (rate, pcm) = (to.sample_rate().unwrap(), heard(to, &payloads));
            let steady = &pcm[rate as usize / 5..];
            let (found, level) = (measure::frequency(steady, rate).unwrap(), measure::level(steady));
            assert!((found - 440.0).abs() < 4.4, "{from:?} to {to:?}: {found} Hz");
            assert!((level + 20.0).abs() < 3.0, "{from:?} to {to:?}: {level} dBFS");
        }
    }
}

#[test]
fn packets_of_any_length_come_out_as_frames_of_20_ms() {
    let sent = measure::tone(440.0, -20.0, 48_000, 96_000);
    for from in [Codec::Pcmu, Codec::Pcma, Codec::G722] {
        // All octets of one long stream, cut anew.
        let octets = packets(&from, &sent, 100).concat();
        for milliseconds in [10, 20, 30, 40, 60] {
            let mut transcoder = Transcoder::new(&from, &Codec::Opus).unwrap();
            let (mut timestamp, mut frames, mut payloads) = (7_u32, 0, Vec::new());
            for packet in octets.chunks(8 * milliseconds) {
                transcoder.push(timestamp, packet);
                timestamp += packet.len() as u32;
                let mut payload = Vec::new();
                while let Some(made) = transcoder.poll(&mut payload) {
                    assert_eq!(made.timestamp, 960 * frames);
                    frames += 1;
                    payloads.push(std::mem::take(&mut payload));
                }
            }
            assert_eq!(frames, 100, "{from:?} {milliseconds} ms");
            let pcm = heard(&Codec::Opus, &payloads);
            let found = measure::frequency(&pcm[9_600..], 48_000).unwrap();
            assert!((found - 440.0).abs() < 4.4, "{from:?} {milliseconds} ms: {found} Hz");
        }
    }
}

#[test]
fn opus_of_every_length_and_two_channels_becomes_mono() {
    let sent = measure::tone(440.0, -20.0, 48_000, 96_000);
    for samples in [120, 240, 480, 960, 1_920, 2_880, 5_760] {
        let mut encoder = ropus::Encoder::builder(48_000, ropus::Channels::Stereo, ropus::Application::Audio)
            .bitrate(ropus::Bitrate::Bits(64_000))
            .build()
            .unwrap();
        let mut transcoder = Transcoder::new(&Codec::Opus, &Codec::Pcmu).unwrap();
        let (mut octets, mut timestamp) = (Vec::new(), 0);
        let mut packet = [0; 1_500];
        for frame in sent.chunks_exact(samples) {
            let stereo: Vec<i16> = frame.iter().flat_map(|sample| [*sample, *sample]).collect();
            let length = encoder.encode(&stereo, &mut packet).unwrap();
            assert_eq!(transcoder.push(timestamp, &packet[..length]), Pushed::Taken);
            timestamp += samples as u32;
            while transcoder.poll(&mut octets).is_some() {}
        }
        assert!(
            octets.len().abs_diff(96_000 / samples * samples / 6) <= 160,
            "{samples}: {}",
            octets.len()
        );
        let pcm = heard(&Codec::Pcmu, &[octets[3_200..4_800].to_vec()]);
        let (found, level) = (measure::frequency(&pcm, 8_000).unwrap(), measure::level(&pcm));
        assert!(
            (found - 440.0).abs() < 4.4 && (level + 20.0).abs() < 3.0,
            "{samples}: {found} Hz, {level} dBFS"
        );
    }
}

/// A tone in packets of 20 ms through a transcoder; packet `index` is lost, late or doubled as `fate` says.
fn through(from: &Codec, to: &Codec, fate: impl Fn(usize) -> bool) -> (Vec<u32>, Vec<i16>) {
    let sent = measure::tone(440.0, -20.0, 48_000, 96_000);
    let mut transcoder = Transcoder::new(from, to).unwrap();
    let (mut timestamps, mut payloads) = (Vec::new(), Vec::new());
    for (index, packet) in packets(from, &sent, 1).iter().enumerate() {
        if !fate(index) {
            continue;
        }
        transcoder.push(index as u32 * from.clock() / 50, packet);
        let mut payload = Vec::new();
        while let Some(made) = transcoder.poll(&mut payload) {
            timestamps.push(made.timestamp);
            payloads.push(std::mem::take(&mut payload));
        }
    }
    (timestamps, heard(to, &payloads))
}

#[test]
fn a_lost_packet_is_heard_as_sound_and_no_timestamp_is_missing() {
    for from in &CODECS {
        for to in [Codec::Pcma, Codec::Opus] {
            let (timestamps, pcm) = through(from, &to, |index| index % 10 != 7);
            let step = to.clock() / 50;
            assert!(
                timestamps
                    .iter()
                    .enumerate()
                    .all(|(index, timestamp)| *timestamp == index as u32 * step)
            );
            assert_eq!(timestamps.len(), 100, "{from:?} to {to:?}");
            let rate = to.sample_rate().unwrap();
            let level = measure::level(&pcm[rate as usize / 5..]);
            assert!((level + 20.0).abs() < 1.5, "{from:?} to {to:?}: {level} dBFS");
            for (index, frame) in pcm.chunks(frame_samples(rate)).enumerate().skip(10) {
                let level = measure::level(frame);
                // To Opus a steady tone is background noise, of which it sends no second copy.
                let least = if *from == Codec::Opus { -40.0 } else { -26.0 };
                assert!(
                    (least..-16.0).contains(&level),
                    "{from:?} to {to:?}: frame {index} at {level} dBFS"
                );
            }
        }
    }
}

#[test]
fn a_pause_is_a_pause_on_the_other_side_too() {
    for (from, to) in [
        (Codec::Pcmu, Codec::Opus),
        (Codec::Opus, Codec::G722),
        (Codec::G722, Codec::Pcmu),
    ] {
        let mut transcoder = Transcoder::new(&from, &to).unwrap();
        let sent = measure::tone(440.0, -20.0, 48_000, 9_600);
        let packets = packets(&from, &sent, 1);
        let mut made = Vec::new();
        // Packets 0 to 4, then 1 s later the others, then one that is late, one from another stream.
        let frame = from.clock() / 50;
        let times = (0..5).chain(55..60).chain([57]).chain([4_000_000]);
        for (index, packet) in times.zip(packets.iter().cycle()) {
            let pushed = transcoder.push(index * frame, packet);
            assert_eq!(
                pushed,
                if made.len() == 10 && index == 57 {
                    Pushed::Late
                } else {
                    Pushed::Taken
                }
            );
            while let Some(frame) = transcoder.poll(&mut Vec::new()) {
                made.push((frame.timestamp / (to.clock() / 50), frame.marker));
            }
        }
        let expected = (0..5).chain(55..61).map(|index| (index, index == 0 || index == 55));
        assert_eq!(made, expected.collect::<Vec<_>>(), "{from:?} to {to:?}");
    }
}

#[test]
fn a_pause_in_the_middle_of_a_frame_fills_it_and_keeps_the_clock() {
    let mut transcoder = Transcoder::new(&Codec::Pcmu, &Codec::Opus).unwrap();
    let mut made = Vec::new();
    for timestamp in [0, 240, 240 + 240 + 8_000] {
        transcoder.push(timestamp, &[0x80; 240]);
        while let Some(frame) = transcoder.poll(&mut Vec::new()) {
            made.push((frame.timestamp, frame.marker));
        }
    }
    // 60 ms before the pause, then 1 s nothing, then 20 of the 30 ms.
    assert_eq!(made, [(0, true), (960, false), (1_920, false), (2_880 + 48_000, true)]);
    // 30 ms, a pause, 30 ms: the first half frame is filled from the pause.
    let mut transcoder = Transcoder::new(&Codec::Pcmu, &Codec::Opus).unwrap();
    made.clear();
    for timestamp in [0, 240 + 8_000] {
        transcoder.push(timestamp, &[0x80; 240]);
        while let Some(frame) = transcoder.poll(&mut Vec::new()) {
            made.push((frame.timestamp, frame.marker));
        }
    }
    assert_eq!(made, [(0, true), (960, false), (1_440 + 48_000, true)]);
}

#[test]
fn fec_brings_back_what_a_lost_packet_said() {
    // A tone that changes its pitch in the lost packet alone: concealment cannot know it, FEC can.
    let rate = 48_000;
    let mut sent = measure::tone(300.0, -15.0, rate, 50 * 960);
    for burst in [20, 30, 40] {
        sent.splice(burst * 960..(burst + 1) * 960, measure::tone(900.0, -12.0, rate, 960));
    }
    let packets = packets(&Codec::Opus, &sent, 1);
    let play = |fec: bool| {
        let mut decoder = Decoder::new(&Codec::Opus).unwrap();
        let mut pcm = Vec::new();
        for (index, packet) in packets.iter().enumerate() {
            if [20, 30, 40].contains(&index) {
                decoder.conceal(960, fec.then(|| packets[index + 1].as_slice()), &mut pcm);
            } else {
                decoder.decode(packet, &mut pcm);
            }
        }
        assert_eq!(pcm.len(), sent.len());
        [20, 30, 40].map(|burst| measure::level_at(&pcm[burst * 960 + 312..(burst + 1) * 960 + 312], rate, 900.0))
    };
    let (with, without) = (play(true), play(false));
    println!("{with:?} {without:?}");
    assert!(
        with.iter().zip(&without).all(|(with, without)| *with > without + 6.0),
        "{with:?} {without:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn garbage_is_survived_and_bounded(payloads in proptest::collection::vec((any::<u32>(), proptest::collection::vec(any::<u8>(), 0..1_700)), 1..12)) {
        for from in &CODECS {
            for to in [Codec::Pcmu, Codec::Opus] {
                let mut transcoder = Transcoder::new(from, &to).unwrap();
                let mut out = Vec::new();
                for (timestamp, payload) in &payloads {
                    transcoder.push(*timestamp, payload);
                    let mut frames = 0;
                    while transcoder.poll(&mut out).is_some() {
                        frames += 1;
                    }
                    // 200 ms of G.711 and 120 ms of concealment at the most.
                    prop_assert!(frames <= 17);
                }
            }
        }
    }
}
