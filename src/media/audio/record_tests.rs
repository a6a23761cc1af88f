//! Tests of recordings: the file is read back by another's reader and listened to.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

#[expect(clippy::disallowed_methods, reason = "virtual time begins somewhere")]
fn beginning() -> Instant {
    Instant::now()
}

/// A recording and the file that a host would have.
struct Host {
    began: Instant,
    recording: Recording,
    file: Vec<u8>,
}

impl Host {
    fn new(rate: u32, octets: u64) -> Host {
        let began = beginning();
        Host {
            began,
            recording: Recording::new(began, rate, octets),
            file: Vec::new(),
        }
    }

    fn at(&self, milliseconds: u64) -> Instant {
        self.began + Duration::from_millis(milliseconds)
    }

    /// 20 ms of a tone from one side.
    fn say(&mut self, at: u64, side: Side, stamp: (u32, u32), hertz: f64, rate: u32) {
        // A tone's phase goes on with the timestamp.
        let skip = (u64::from(stamp.0) * u64::from(rate) / u64::from(stamp.1)) as usize % rate as usize;
        let tone = measure::tone(hertz, -20.0, rate, skip + rate as usize / 50);
        self.recording.push(self.at(at), side, stamp, &tone[skip..], rate);
    }

    fn write(&mut self, at: u64) {
        while let Some(write) = self.recording.poll_write(self.at(at)) {
            let end = write.offset as usize + write.octets.len();
            self.file.resize(end.max(self.file.len()), 0);
            self.file[write.offset as usize..end].copy_from_slice(&write.octets);
        }
    }
}

/// Both channels, by hound's reader.
fn read(file: &[u8]) -> (u32, Vec<i16>, Vec<i16>) {
    let mut reader = hound::WavReader::new(file).unwrap();
    let spec = reader.spec();
    assert_eq!((spec.channels, spec.bits_per_sample), (2, 16));
    let samples: Vec<i16> = reader.samples().collect::<Result<_, _>>().unwrap();
    let side = |first| samples.iter().skip(first).step_by(2).copied().collect();
    (spec.sample_rate, side(0), side(1))
}

fn is_tone(pcm: &[i16], rate: u32, hertz: f64) {
    let found = measure::frequency(pcm, rate).unwrap();
    assert!((found - hertz).abs() < 0.01 * hertz, "{found} Hz instead of {hertz}");
    let level = measure::level(pcm);
    assert!((level + 20.0).abs() < 0.5, "{level} dBFS");
}

#[test]
fn the_left_channel_speaks_and_the_right_one_hears_through_hold_and_transfer() {
    for rate in [8_000, 16_000] {
        let mut host = Host::new(rate, u64::MAX);
        for packet in 0..500_u32 {
            let at = u64::from(packet) * 20;
            // The party says 440 Hz in G.711; it hears 300 Hz, then 2 s nothing, then another source with other timestamps.
            host.say(at, Side::Says, (packet * 160, 8_000), 440.0, 8_000);
            match packet {
                0..200 => host.say(at, Side::Hears, (77_000 + packet * 160, 8_000), 300.0, 16_000),
                200..300 => {}
                _ => host.say(at, Side::Hears, (4_000_000_000 + packet * 960, 48_000), 600.0, 48_000),
            }
            host.write(at);
        }
        host.recording.finish(host.at(10_000));
        host.write(10_000);
        let (found, left, right) = read(&host.file);
        assert_eq!(
            (found, left.len(), right.len()),
            (rate, 10 * rate as usize, 10 * rate as usize)
        );
        assert_eq!(host.recording.milliseconds(), 10_000);
        let part = |pcm: &[i16], from: f64, to: f64| {
            pcm[(from * f64::from(rate)) as usize..(to * f64::from(rate)) as usize].to_vec()
        };
        is_tone(&part(&left, 0.1, 9.9), rate, 440.0);
        is_tone(&part(&right, 0.1, 3.9), rate, 300.0);
        assert_eq!(measure::level(&part(&right, 4.1, 5.9)), measure::SILENCE);
        is_tone(&part(&right, 6.1, 9.9), rate, 600.0);
    }
}

#[test]
fn a_file_cut_at_any_moment_plays_and_its_header_is_at_most_a_second_behind() {
    let mut host = Host::new(8_000, u64::MAX);
    for packet in 0..400_u32 {
        let at = u64::from(packet) * 20;
        host.say(at, Side::Says, (packet * 160, 8_000), 440.0, 8_000);
        while let Some(write) = host.recording.poll_write(host.at(at)) {
            let end = write.offset as usize + write.octets.len();
            host.file.resize(end.max(host.file.len()), 0);
            host.file[write.offset as usize..end].copy_from_slice(&write.octets);
            // Between any two writes the power may fail.
            let counted = u32::from_le_bytes(host.file[40..44].try_into().unwrap()) as usize;
            assert!(counted + 44 <= host.file.len(), "the header counts what is not there");
            let (_, left, _) = read(&host.file);
            assert_eq!(left.len() * 4, counted);
            assert!(
                left.len() as u64 * 1_000 / 8_000 + 1_000 + 20 >= at,
                "{} of {at} ms",
                left.len() / 8
            );
        }
    }
    is_tone(&read(&host.file).1[800..], 8_000, 440.0);
}

#[test]
fn late_and_reordered_sound_finds_its_place_and_lost_sound_is_silence() {
    let mut host = Host::new(8_000, u64::MAX);
    for packet in 0..300_u32 {
        // Pairs change places, and every 50th is lost.
        let sent = packet ^ 1;
        let at = u64::from(packet) * 20;
        if sent % 50 != 10 {
            host.say(
                at,
                Side::Hears,
                ((u32::MAX - 9_000).wrapping_add(sent * 160), 8_000),
                400.0,
                8_000,
            );
        }
        host.write(at);
    }
    host.recording.finish(host.at(6_000));
    host.write(6_000);
    let (_, left, right) = read(&host.file);
    assert_eq!(measure::level(&left), measure::SILENCE);
    let frames: Vec<f64> = right.chunks(160).map(measure::level).collect();
    let silent: Vec<usize> = (2..298).filter(|frame| frames[*frame] < -60.0).collect();
    assert_eq!(silent.len(), 6, "{silent:?}");
    assert!(silent.windows(2).all(|two| two[1] - two[0] == 50));
}

#[test]
fn sound_that_comes_unevenly_is_placed_evenly() {
    let mut host = Host::new(8_000, u64::MAX);
    let mut arrivals: Vec<(u64, u32)> = (0..300)
        .map(|packet| (u64::from(packet) * 20 + u64::from(packet * 7_919 % 97), packet))
        .collect();
    arrivals.sort();
    for (at, packet) in arrivals {
        host.say(at, Side::Says, (packet * 160, 8_000), 400.0, 8_000);
        host.write(at);
    }
    host.recording.finish(host.at(6_000));
    host.write(6_000);
    let (_, left, _) = read(&host.file);
    let steady = &left[1_600..46_400];
    let own = measure::level_at(steady, 8_000, 400.0);
    assert!((own + 20.0).abs() < 0.2, "{own} dBFS at its frequency");
    assert!((measure::level(steady) + 20.0).abs() < 0.2);
}

#[test]
fn nothing_said_for_an_hour_is_an_hour_of_silence_in_small_writes() {
    let mut host = Host::new(8_000, u64::MAX);
    let end = host.at(3_600_000);
    host.recording.finish(end);
    let (mut total, mut largest) = (0, 0);
    while let Some(write) = host.recording.poll_write(end) {
        total = total.max(write.offset as usize + write.octets.len());
        largest = largest.max(write.octets.len());
    }
    assert_eq!((total, largest), (44 + 3_600 * 32_000, 16_000));
    assert_eq!(
        (host.recording.poll_timeout(), host.recording.milliseconds()),
        (None, 3_600_000)
    );
}

#[test]
fn a_full_recording_stops_before_its_limit() {
    let mut host = Host::new(8_000, 100_000);
    for packet in 0..500_u32 {
        let at = u64::from(packet) * 20;
        host.say(at, Side::Says, (packet * 160, 8_000), 440.0, 8_000);
        host.write(at);
    }
    assert!(host.recording.is_full() && host.recording.poll_timeout().is_none());
    assert_eq!(host.file.len(), 100_000 / 4 * 4);
    is_tone(&read(&host.file).1[800..], 8_000, 440.0);
}

#[test]
fn writes_come_when_the_timeout_says() {
    let mut host = Host::new(16_000, u64::MAX);
    let mut now = host.began;
    for _ in 0..20 {
        let due = host.recording.poll_timeout().unwrap();
        assert!(due >= now && due <= now + Duration::from_millis(900));
        now = due;
        assert!(
            host.recording.poll_write(now).is_some(),
            "nothing at {:?}",
            now - host.began
        );
        while host.recording.poll_write(now).is_some() {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_timestamps_leave_a_file_that_reads(packets in proptest::collection::vec((any::<u32>(), 0..4_u8, 0..3_000_usize, 0..400_u64), 0..60)) {
        let mut host = Host::new(8_000, 400_000);
        let mut at = 0;
        for (timestamp, what, samples, later) in packets {
            at += later;
            let side = if what % 2 == 0 { Side::Says } else { Side::Hears };
            let clock = [8_000, 48_000, 0, 8_000][usize::from(what)];
            let rate = [8_000, 48_000, 16_000, 44_100][usize::from(what)];
            host.recording.push(host.at(at), side, (timestamp, clock), &vec![1; samples], rate);
            host.write(at);
        }
        host.recording.finish(host.at(at));
        host.write(at);
        let (_, left, _) = read(&host.file);
        prop_assert_eq!(left.len() as u64, (at * 8).min(99_989));
        prop_assert!(host.file.len() <= 400_000);
    }
}
