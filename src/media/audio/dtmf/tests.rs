//! Tests of DTMF tones, by ear and through every codec.

use super::*;
use crate::media::Codec;
use crate::media::audio::{Decoder, Encoder, Pcm, measure};

const ALL: &str = "1234567890*#ABCD";

fn found(rate: u32, pcm: &[i16]) -> Vec<Digit> {
    let mut finder = DigitFinder::new(rate).unwrap();
    let mut digits = Vec::new();
    for chunk in pcm.chunks(frame_samples(rate)) {
        finder.push(chunk, |digit| digits.push(digit));
    }
    digits
}

fn dialled(digits: &str, rate: u32) -> Vec<i16> {
    let mut dialling = Dialling::new(digits, rate);
    let mut pcm = Vec::new();
    while dialling.frame(&mut pcm) {}
    pcm
}

#[test]
fn every_digit_sounds_100_ms_in_its_two_frequencies() {
    for (digit, low, high) in [
        ('1', 697.0, 1_209.0),
        ('0', 941.0, 1_336.0),
        ('d', 941.0, 1_633.0),
        ('6', 770.0, 1_477.0),
    ] {
        assert_eq!(frequencies(digit), Some((low, high)));
        let pcm = dialled(&digit.to_string(), 8_000);
        assert_eq!(pcm.len(), 8 * 160);
        assert!((measure::level_at(&pcm[..800], 8_000, low) + 12.0).abs() < 1.0);
        assert!((measure::level_at(&pcm[..800], 8_000, high) + 10.0).abs() < 1.0);
        assert_eq!(measure::level(&pcm[800..]), measure::SILENCE);
    }
    assert!(dialled("x y", 8_000).is_empty());
}

#[test]
fn digits_are_found_once_each_through_every_codec() {
    for codec in [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus] {
        let (mut encoder, mut decoder) = (Encoder::new(&codec).unwrap(), Decoder::new(&codec).unwrap());
        let rate = encoder.rate();
        let mut heard = Vec::new();
        for frame in dialled(ALL, rate).chunks(frame_samples(rate)) {
            let mut payload = Vec::new();
            encoder.encode(frame, &mut payload);
            decoder.decode(&payload, &mut heard);
        }
        let digits = found(rate, &heard);
        let text: String = digits.iter().map(|digit| digit.digit).collect();
        assert_eq!(text, ALL, "{codec:?}");
        assert!(
            digits.iter().all(|digit| (80..=120).contains(&digit.milliseconds)),
            "{codec:?}: {digits:?}"
        );
    }
}

/// A pair of tones with silence around them.
fn pair(low: f64, high: f64, levels: (f64, f64), milliseconds: usize) -> Vec<i16> {
    let (low, high) = (
        measure::tone(low, levels.0, 8_000, 8 * milliseconds),
        measure::tone(high, levels.1, 8_000, 8 * milliseconds),
    );
    let silence = vec![0; 800];
    let tones = low.iter().zip(&high).map(|(low, high)| low + high);
    silence
        .iter()
        .copied()
        .chain(tones)
        .chain(silence.iter().copied())
        .collect()
}

#[test]
fn frequency_length_twist_and_level_decide_as_q_24_says() {
    let equal = (-15.0, -15.0);
    for (row, low) in LOW.iter().enumerate() {
        for (column, high) in HIGH.iter().enumerate() {
            let expected = [Digit {
                digit: DIGITS[row][column],
                milliseconds: 60,
            }];
            for off in [0.985, 1.0, 1.015] {
                let digits = found(8_000, &pair(low * off, high * off, equal, 60));
                assert_eq!(digits.len(), 1, "{off} of {expected:?}");
                assert_eq!(digits[0].digit, expected[0].digit);
            }
            for off in [0.965, 1.035] {
                assert_eq!(
                    found(8_000, &pair(low * off, high * off, equal, 60)),
                    [],
                    "{off} of {expected:?}"
                );
            }
            for levels in [(-15.0, -21.0), (-21.0, -15.0), (-40.0, -40.0), (-9.5, -9.5)] {
                let digits = found(8_000, &pair(*low, *high, levels, 60));
                assert_eq!(digits.len(), 1, "{levels:?} of {expected:?}");
            }
            assert_eq!(found(8_000, &pair(*low, *high, (-15.0, -30.0), 60)), []);
            assert_eq!(found(8_000, &pair(*low, *high, (-60.0, -60.0), 60)), []);
            assert_eq!(found(8_000, &pair(*low, *high, equal, 20)), []);
            assert_eq!(found(8_000, &pair(*low, *high, equal, 45)).len(), 1);
        }
    }
}

#[test]
fn music_noise_and_single_tones_are_no_digits() {
    assert_eq!(found(48_000, Pcm::builtin().samples()), []);
    let mut state = 1_u32;
    let noise: Vec<i16> = (0..80_000)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 18) as i16 - 8_192
        })
        .collect();
    assert_eq!(found(8_000, &noise), []);
    for hertz in LOW.iter().chain(&HIGH) {
        assert_eq!(found(8_000, &measure::tone(*hertz, -10.0, 8_000, 8_000)), []);
    }
}
