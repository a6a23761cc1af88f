//! Tests of loading files and of playing prompts.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::media::{Codec, PromptName};

const CODECS: [Codec; 4] = [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus];

/// Half a second of 440 Hz by other people's encoders (`tests/vectors/audio/make.py`).
const FILES: [(&str, &[u8]); 3] = [
    ("mp3", include_bytes!("../../../tests/vectors/audio/tone.mp3")),
    ("vorbis", include_bytes!("../../../tests/vectors/audio/tone.ogg")),
    ("opus", include_bytes!("../../../tests/vectors/audio/tone.opus")),
];

fn name(name: &str) -> PromptName {
    PromptName(name.into())
}

/// A WAV file of 16-bit samples (or with another format tag and width).
fn wav(rate: u32, channels: u16, tag: u16, bits: u16, data: &[u8]) -> Vec<u8> {
    let align = channels * bits / 8;
    let mut file = b"RIFF".to_vec();
    // Every format but plain PCM says how long its extension is: none.
    let extension: &[u8] = if tag == 1 { &[] } else { &[0, 0] };
    let head = 16 + extension.len() as u32;
    file.extend((20 + head + data.len() as u32).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(head.to_le_bytes());
    file.extend(tag.to_le_bytes());
    file.extend(channels.to_le_bytes());
    file.extend(rate.to_le_bytes());
    file.extend((rate * u32::from(align)).to_le_bytes());
    file.extend(align.to_le_bytes());
    file.extend(bits.to_le_bytes());
    file.extend(extension);
    file.extend(b"data");
    file.extend((data.len() as u32).to_le_bytes());
    file.extend(data);
    file
}

fn wav_16(rate: u32, channels: u16, samples: &[i16]) -> Vec<u8> {
    let data: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    wav(rate, channels, 1, 16, &data)
}

fn is_tone(pcm: &Pcm, hertz: f64, seconds: f64) {
    let samples = pcm.samples();
    let (length, expected) = (samples.len() as f64 / 48_000.0, seconds);
    assert!((length - expected).abs() < 0.1, "{length} s instead of {expected}");
    let middle = &samples[samples.len() / 8..samples.len() * 7 / 8];
    let (found, level) = (measure::frequency(middle, 48_000).unwrap(), measure::level(middle));
    assert!((found - hertz).abs() < 0.01 * hertz, "{found} Hz");
    assert!((level - LEVEL).abs() < 1.0, "{level} dBFS");
}

#[test]
fn files_of_all_three_kinds_are_read_at_the_level_of_a_voice() {
    for (kind, file) in FILES {
        println!("{kind}");
        is_tone(&Pcm::load(file).unwrap(), 440.0, 0.5);
    }
}

#[test]
fn wav_files_of_any_rate_width_and_number_of_channels_are_read() {
    for rate in [8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000] {
        for dbfs in [-40.0, -6.0] {
            let tone = measure::tone(440.0, dbfs, rate, rate as usize);
            is_tone(&Pcm::load(&wav_16(rate, 1, &tone)).unwrap(), 440.0, 1.0);
            let both: Vec<i16> = tone.iter().flat_map(|sample| [*sample, *sample / 2]).collect();
            is_tone(&Pcm::load(&wav_16(rate, 2, &both)).unwrap(), 440.0, 1.0);
        }
    }
    let tone = measure::tone(440.0, -12.0, 8_000, 8_000);
    let octets = |law: fn(i16) -> u8| tone.iter().map(|sample| law(*sample)).collect::<Vec<u8>>();
    is_tone(
        &Pcm::load(&wav(8_000, 1, 7, 8, &octets(g711::mu_law))).unwrap(),
        440.0,
        1.0,
    );
    is_tone(
        &Pcm::load(&wav(8_000, 1, 6, 8, &octets(g711::a_law))).unwrap(),
        440.0,
        1.0,
    );
    let floats: Vec<u8> = tone
        .iter()
        .flat_map(|sample| (f32::from(*sample) / 32_768.0).to_le_bytes())
        .collect();
    is_tone(&Pcm::load(&wav(8_000, 1, 3, 32, &floats)).unwrap(), 440.0, 1.0);
}

#[test]
fn what_is_wrong_with_a_file_is_said() {
    let says = |file: &[u8]| Pcm::load(file).unwrap_err().to_string();
    assert_eq!(says(b""), "the file is empty");
    assert!(
        says(b"<html>not found</html>").starts_with("this is no WAV, MP3 or OGG file"),
        "{}",
        says(b"<html>")
    );
    assert!(says(&vec![0; MOST_OCTETS + 1]).contains("at most"));
    let empty = says(&wav_16(8_000, 1, &[]));
    assert!(empty.contains("damaged") && empty.contains("not one sample"), "{empty}");
    let slow = says(&wav_16(100, 1, &[0; 100]));
    assert!(slow.contains("100 Hz"), "{slow}");
    let long = wav_16(4_000, 1, &vec![0; (MOST_SECONDS + 1) * 4_000]);
    assert_eq!(Pcm::load(&long).unwrap_err(), LoadError::TooLong);
    let silent = Pcm::load(&wav_16(8_000, 1, &[0; 8_000])).unwrap();
    assert!(silent.samples().iter().all(|sample| *sample == 0));
}

#[test]
fn a_file_that_breaks_off_plays_as_far_as_it_goes() {
    let tone = measure::tone(440.0, -12.0, 8_000, 16_000);
    let file = wav_16(8_000, 1, &tone);
    is_tone(&Pcm::load(&file[..44 + 16_000]).unwrap(), 440.0, 1.0);
    let (_, mp3) = FILES[0];
    let (whole, part) = (Pcm::load(mp3).unwrap(), Pcm::load(&mp3[..mp3.len() * 2 / 3]).unwrap());
    let share = part.samples().len() as f64 / whole.samples().len() as f64;
    assert!((0.55..0.7).contains(&share), "{share}");
    // A page of OGG is good only whole, and these files have one page of sound.
    for (kind, file) in &FILES[1..] {
        let error = Pcm::load(&file[..file.len() * 2 / 3]).unwrap_err();
        assert!(matches!(error, LoadError::Damaged(_)), "{kind}: {error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn garbage_is_an_error_or_sound_and_nothing_else(octets in proptest::collection::vec(any::<u8>(), 0..3_000), kind in 0..6_usize) {
        let magic: [&[u8]; 3] = [b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0", b"OggS\0\x02", b"\xff\xfb\x90"];
        let mut file = magic.get(kind).map_or(Vec::new(), |magic| magic.to_vec());
        file.extend(octets);
        Pcm::load(&file).ok();
    }

    #[test]
    fn files_with_flipped_octets_are_an_error_or_sound(kind in 0..4_usize, flips in proptest::collection::vec((0..6_000_usize, any::<u8>()), 1..20)) {
        let mut file = match FILES.get(kind) {
            Some((_, file)) => file.to_vec(),
            None => wav_16(8_000, 2, &[1_000; 2_000]),
        };
        for (place, octet) in flips {
            let place = place % file.len();
            file[place] = octet;
        }
        if let Ok(pcm) = Pcm::load(&file) {
            prop_assert!(pcm.samples().len() <= MOST_SECONDS * 48_000);
        }
    }
}

fn library(pcm: Pcm) -> Prompts {
    let mut prompts = Prompts::default();
    prompts.insert(name("music"), pcm);
    prompts
}

/// What somebody hears who listens to these frames.
fn listen(prompts: &mut Prompts, codec: &Codec, frames: impl Iterator<Item = u64>, again: bool) -> Vec<i16> {
    let mut decoder = Decoder::new(codec).unwrap();
    let mut pcm = Vec::new();
    for index in frames {
        let payload = prompts.frame(&name("music"), codec, index, again).unwrap();
        assert!(decoder.decode(&payload, &mut pcm));
    }
    pcm
}

#[test]
fn all_listeners_get_the_same_octets_of_each_frame() {
    for codec in &CODECS {
        let mut prompts = library(Pcm::builtin());
        let mut first = Vec::new();
        for index in 0..20 {
            first.push(prompts.frame(&name("music"), codec, index, true).unwrap());
        }
        for index in 0..20 {
            let other = prompts.frame(&name("music"), codec, index + 800, true).unwrap();
            assert_eq!(
                other.as_ptr(),
                first[index as usize].as_ptr(),
                "{codec:?} {index}: encoded again"
            );
        }
    }
}

#[test]
fn a_prompt_is_heard_once_from_wherever_one_begins_and_then_ends() {
    let tone = measure::tone(440.0, -12.0, 48_000, 48_000 + 100);
    for codec in &CODECS {
        let mut prompts = library(Pcm::load(&wav_16(48_000, 1, &tone)).unwrap());
        let rate = codec.sample_rate().unwrap();
        assert_eq!(prompts.frames(&name("music")), Some(52));
        for begin in [30, 0, 50] {
            let heard = listen(&mut prompts, codec, begin..52, false);
            assert_eq!(heard.len(), (52 - begin as usize) * frame_samples(rate));
            if begin < 40 {
                let found = measure::frequency(&heard[frame_samples(rate)..heard.len() / 2], rate).unwrap();
                assert!((found - 440.0).abs() < 9.0, "{codec:?} from {begin}: {found} Hz");
                let level = measure::level(&heard[2 * frame_samples(rate)..heard.len() - 3 * frame_samples(rate)]);
                assert!((level - LEVEL).abs() < 3.0, "{codec:?} from {begin}: {level} dBFS");
            }
        }
        assert_eq!(prompts.frame(&name("music"), codec, 52, false), None);
        assert_eq!(prompts.frame(&name("nobody"), codec, 0, false), None);
        let event = Codec::TelephoneEvent { clock: 8_000 };
        assert_eq!(prompts.frame(&name("music"), &event, 0, false), None);
    }
}

/// The steepest step beside the signal's own, in every frame: a click is a step.
fn steps(pcm: &[i16], frame: usize) -> Vec<u16> {
    pcm.chunks(frame)
        .map(|part| part.windows(2).map(|two| two[0].abs_diff(two[1])).max().unwrap_or(0))
        .collect()
}

#[test]
fn a_loop_has_no_click_and_no_gap_where_it_begins_again() {
    // 3 s and a bit of a tone that would jump from its end to its beginning, and the music that has no seam of its own.
    let tone = measure::tone(333.3, -12.0, 48_000, 3 * 48_000 + 517);
    for (what, pcm) in [
        ("tone", Pcm::load(&wav_16(48_000, 1, &tone)).unwrap()),
        ("music", Pcm::builtin()),
    ] {
        let length = match what {
            "tone" => 149,
            _ => 800,
        };
        for codec in &CODECS {
            let frame = frame_samples(codec.sample_rate().unwrap());
            let mut prompts = library(pcm.clone());
            // The first listener makes the first round, a second one listens over the seam.
            listen(&mut prompts, codec, 0..12, true);
            let heard = listen(&mut prompts, codec, length - 20..length + 20, true);
            let steps = steps(&heard, frame);
            let (around, elsewhere) = (&steps[19..22], &steps[4..18]);
            let (worst, usual) = (*around.iter().max().unwrap(), *elsewhere.iter().max().unwrap());
            println!("{what} {codec:?}: {worst} at the seam, {usual} elsewhere");
            assert!(
                f64::from(worst) < 1.6 * f64::from(usual) + 60.0,
                "{what} {codec:?}: {worst} beside {usual}"
            );
            for (index, part) in heard.chunks(frame).enumerate().skip(4) {
                let level = measure::level(part);
                assert!(
                    level > LEVEL - 10.0,
                    "{what} {codec:?}: frame {index} of 40 at {level} dBFS"
                );
            }
        }
    }
}

#[test]
fn listeners_at_many_places_cost_no_more_than_a_few_settlings() {
    let mut prompts = library(Pcm::builtin());
    let mut distinct = BTreeSet::new();
    // Four listeners at a distance, tick by tick, as the sessions ask.
    for tick in 0..30 {
        for begin in [0, 200, 400, 600] {
            let payload = prompts.frame(&name("music"), &Codec::Opus, begin + tick, true).unwrap();
            distinct.insert(payload.as_ptr());
        }
    }
    assert_eq!(distinct.len(), 120);
    for begin in [0, 200, 400, 600] {
        let heard = listen(&mut prompts, &Codec::Opus, begin..begin + 30, true);
        let level = measure::level(&heard[4_800..]);
        assert!((level - LEVEL).abs() < 6.0, "from {begin}: {level} dBFS");
    }
}

#[test]
fn a_playlist_is_one_piece_after_the_other() {
    let piece = |hertz| Pcm::load(&wav_16(48_000, 1, &measure::tone(hertz, -12.0, 48_000, 48_000))).unwrap();
    let list = Pcm::playlist(&[piece(300.0), piece(600.0), piece(900.0)]).unwrap();
    for (index, hertz) in [300.0, 600.0, 900.0].into_iter().enumerate() {
        let part = &list.samples()[index * 48_000 + 4_800..(index + 1) * 48_000 - 4_800];
        let found = measure::frequency(part, 48_000).unwrap();
        assert!((found - hertz).abs() < 3.0, "{found} Hz");
    }
    assert_eq!(Pcm::playlist(&[]), Err(LoadError::Empty));
}

#[test]
fn pieces_shorter_than_a_frame_loop_too() {
    for samples in [1, 100, 959, 960, 961, 3_000] {
        for codec in &CODECS {
            let mut prompts = library(Pcm::load(&wav_16(48_000, 1, &vec![3_000; samples])).unwrap());
            for index in 0..10 {
                assert!(
                    prompts.frame(&name("music"), codec, index, true).is_some(),
                    "{codec:?} {samples}"
                );
            }
            assert!(prompts.frame(&name("music"), codec, u64::MAX, true).is_some());
        }
    }
}
