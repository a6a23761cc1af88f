#![expect(clippy::disallowed_methods, reason = "an Instant to count from; nothing waits")]

use super::*;

const AUDIO: u32 = 8_000;

fn packet(slot: u32, sequence: u16, timestamp: u32) -> Incoming {
    Incoming {
        slot,
        header: Header {
            marker: false,
            payload_type: 0,
            sequence,
            timestamp,
            ssrc: 1_000 + slot,
        },
        clock: AUDIO,
        event: false,
    }
}

fn event(sequence: u16, timestamp: u32, clock: u32) -> Incoming {
    Incoming {
        clock,
        event: true,
        ..packet(1, sequence, timestamp)
    }
}

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

#[test]
fn a_switch_of_sources_is_one_stream() {
    let start = Instant::now();
    let mut out = Outgoing::new(42, 20);
    let first = out.relay(start, &packet(1, 65_535, 500), 8, AUDIO).unwrap();
    let second = out.relay(start + millis(20), &packet(1, 0, 660), 8, AUDIO).unwrap();
    // Another source, other numbers, 60 ms later.
    let third = out.relay(start + millis(80), &packet(2, 7_000, 9), 8, AUDIO).unwrap();
    let fourth = out
        .relay(start + millis(100), &packet(2, 7_001, 169), 8, AUDIO)
        .unwrap();
    let steps = |of: fn(&Header) -> u32| {
        let all = [first, second, third, fourth];
        [1, 2, 3].map(|at| of(&all[at]).wrapping_sub(of(&all[at - 1])))
    };
    assert_eq!(steps(|header| u32::from(header.sequence)), [1, 1, 1]);
    assert_eq!(steps(|header| header.timestamp), [160, 480, 160]);
    assert_eq!(
        [first, second, third, fourth].map(|header| (header.marker, header.ssrc)),
        [(true, 42), (false, 42), (true, 42), (false, 42)]
    );
}

#[test]
fn loss_and_disorder_stay_what_they_are() {
    let start = Instant::now();
    let mut out = Outgoing::new(42, 20);
    let first = out.relay(start, &packet(1, 10, 0), 8, AUDIO).unwrap();
    let lost_one = out.relay(start, &packet(1, 12, 320), 8, AUDIO).unwrap();
    let late = out.relay(start, &packet(1, 11, 160), 8, AUDIO).unwrap();
    assert_eq!(lost_one.sequence, first.sequence.wrapping_add(2));
    assert_eq!(
        (late.sequence, late.timestamp),
        (first.sequence.wrapping_add(1), first.timestamp.wrapping_add(160))
    );
    // The switch comes after the newest, not after the one that came last.
    let other = out.relay(start + millis(20), &packet(2, 1, 1), 8, AUDIO).unwrap();
    assert_eq!(other.sequence, lost_one.sequence.wrapping_add(1));
    // What the new source sent before is not for this stream.
    assert!(out.relay(start + millis(20), &packet(2, 0, 0), 8, AUDIO).is_none());
}

#[test]
fn what_the_party_cannot_take_leaves_no_gap() {
    let start = Instant::now();
    let mut out = Outgoing::new(42, 20);
    let first = out.relay(start, &packet(1, 10, 0), 8, AUDIO).unwrap();
    out.skip(&packet(1, 11, 160));
    let next = out.relay(start, &packet(1, 12, 320), 8, AUDIO).unwrap();
    assert_eq!(next.sequence, first.sequence.wrapping_add(1));
    assert_eq!(next.timestamp, first.timestamp.wrapping_add(320));
    // Number 10 again would get a number that 9 had.
    assert!(out.relay(start, &packet(1, 10, 0), 8, AUDIO).is_none());
}

#[test]
fn numbers_wrap_many_times() {
    let start = Instant::now();
    let mut out = Outgoing::new(42, 20);
    let mut last = out.relay(start, &packet(1, 10, 0), 8, AUDIO).unwrap();
    for count in 1..200_000u32 {
        let next = packet(1, 10u16.wrapping_add(count as u16), count * 160);
        let next = out.relay(start + millis(20) * count, &next, 8, AUDIO).unwrap();
        assert_eq!(next.sequence, last.sequence.wrapping_add(1));
        assert!(!next.marker);
        last = next;
    }
}

/// What the edge makes itself: music, keys, a hub's sound.
#[test]
fn own_numbers_wrap_as_well() {
    let start = Instant::now();
    let mut out = Outgoing::new(42, 20);
    let mut last = out.own(start, 8, AUDIO, Moment::Now);
    for count in 1..70_000 {
        let next = out.own(start + millis(20) * count, 8, AUDIO, Moment::Now);
        assert_eq!(next.sequence, last.sequence.wrapping_add(1));
        assert_eq!(next.timestamp, last.timestamp.wrapping_add(160));
        last = next;
    }
}

#[test]
fn a_sender_that_begins_anew_is_a_switch() {
    let start = Instant::now();
    let mut out = Outgoing::new(42, 20);
    let first = out.relay(start, &packet(1, 10, 0), 8, AUDIO).unwrap();
    let next = out
        .relay(start + millis(20), &packet(1, 30_000, 99_999), 8, AUDIO)
        .unwrap();
    assert_eq!(next.sequence, first.sequence.wrapping_add(1));
    assert_eq!(next.timestamp, first.timestamp.wrapping_add(160));
    assert!(next.marker);
}

#[test]
fn an_event_keeps_the_timestamp_of_its_beginning() {
    let start = Instant::now();
    // On the audio's clock: the moment of the audio.
    let mut out = Outgoing::new(42, 20);
    let audio = out.relay(start, &packet(1, 1, 0), 8, AUDIO).unwrap();
    for (sequence, after) in [(2, 20), (3, 40), (4, 60)] {
        let header = out.relay(start + millis(after), &event(sequence, 160, AUDIO), 101, AUDIO);
        assert_eq!(header.unwrap().timestamp, audio.timestamp.wrapping_add(160));
    }
    let again = out.relay(start + millis(80), &packet(1, 5, 640), 8, AUDIO).unwrap();
    assert_eq!(
        (again.timestamp, again.marker),
        (audio.timestamp.wrapping_add(640), false)
    );

    // On another clock than ours, with audio between its packets: still one event.
    let mut out = Outgoing::new(42, 20);
    let audio = out.relay(start, &packet(1, 1, 0), 8, AUDIO).unwrap();
    let first = out
        .relay(start + millis(20), &event(2, 960, 48_000), 101, AUDIO)
        .unwrap();
    out.relay(start + millis(30), &packet(1, 3, 160), 8, AUDIO).unwrap();
    let second = out
        .relay(start + millis(40), &event(4, 960, 48_000), 101, AUDIO)
        .unwrap();
    assert_eq!(first.timestamp, audio.timestamp.wrapping_add(160));
    assert_eq!(second.timestamp, first.timestamp);
    // Nor does audio that we make, where the source's is transcoded.
    out.own(start + millis(50), 8, AUDIO, Moment::Now);
    let third = out
        .relay(start + millis(60), &event(5, 960, 48_000), 101, AUDIO)
        .unwrap();
    assert_eq!((third.timestamp, third.marker), (first.timestamp, false));
}

#[test]
fn another_clock_goes_on_at_the_same_moment() {
    let start = Instant::now();
    let mut out = Outgoing::new(42, 20);
    let opus = |sequence, timestamp| Incoming {
        clock: 48_000,
        ..packet(1, sequence, timestamp)
    };
    let first = out.relay(start, &opus(1, 0), 8, AUDIO).unwrap();
    let second = out.relay(start + millis(20), &opus(2, 960), 8, AUDIO).unwrap();
    let late = out.relay(start + millis(40), &opus(0x8000, 0), 8, AUDIO);
    assert_eq!(second.timestamp.wrapping_sub(first.timestamp), 160);
    assert!(late.is_some_and(|header| header.marker));
    let own = out.own(start + millis(60), 101, AUDIO, Moment::Now);
    assert_eq!(own.sequence, second.sequence.wrapping_add(2));
}
