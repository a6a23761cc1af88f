//! A hub between a network and its codecs: what is late, lost and out of order is hardly heard, nor that an encoder changes.

use super::room::{Room, SAID, assert_steady, longest_gap};
use super::*;
use crate::media::audio::{g711, measure};

/// What a bad network makes of packets: up to 50 ms late, so that they overtake each other; each twenty-third is lost, each
/// seventh comes twice.
fn badly(room: &mut Room, packets: Vec<Vec<u8>>) {
    let start = room.world.now;
    let mut under_way: Vec<(Instant, Vec<u8>)> = Vec::new();
    for (count, packet) in (0_u32..).zip(packets) {
        let late = u64::from(count.wrapping_mul(2_654_435_761) >> 16) % 50;
        let due = start + millis(20 * u64::from(count) + late);
        if count % 23 != 20 {
            under_way.push((due, packet.clone()));
        }
        if count % 7 == 0 {
            under_way.push((due + millis(3), packet));
        }
    }
    under_way.sort_by_key(|(due, _)| *due);
    for (due, packet) in under_way {
        let span = due.saturating_duration_since(room.world.now);
        room.world.advance(span);
        room.arrives(0, &packet);
    }
    room.collect();
}

#[test]
fn jitter_loss_and_disorder_are_hardly_heard() {
    for codec in [Codec::Pcmu, Codec::G722, Codec::Opus] {
        let mut room = Room::new(&[codec.clone(), Codec::Pcma]);
        room.parties[1].talks = false;
        room.conference();
        let packets = (0..200).map(|_| room.packet(0)).collect();
        badly(&mut room, packets);
        assert_steady(&room, 1, 8_000);
        let (pcm, rate) = room.sound(1, 50);
        let (level, at) = (
            measure::level(&pcm),
            measure::level_at(&pcm, rate, room.parties[0].hertz),
        );
        assert!((level - SAID).abs() < 1.5, "{codec:?}: {level}");
        assert!(level - at < 1.5, "{codec:?}: {level} dBFS, of which {at} are the tone");
    }
}

#[test]
fn the_delay_adapts_until_what_is_late_is_heard() {
    let mut room = Room::new(&[Codec::Pcmu, Codec::Pcma]);
    room.parties[1].talks = false;
    room.conference();
    // Each packet has a level of its own, by which it is known again.
    let code = |count: usize| 0x90 + (count % 32) as u8;
    let packet = |count: usize| {
        let mut packet = room.packet(0);
        packet[12..].fill(code(count));
        packet
    };
    let packets = (0..400).map(packet).collect();
    badly(&mut room, packets);
    let (pcm, _) = room.sound(1, 0);
    let heard: Vec<i16> = pcm.chunks(160).map(|frame| frame[159]).collect();
    let level = |count: usize| g711::linear_of_a_law(g711::a_law(g711::linear_of_mu_law(code(count))));
    // In their order, none twice, and nearly all that were not lost: those of the first second may be late. (A concealed
    // frame is a third quieter at its end: ten levels.)
    let (mut next, mut played) = (0, 0);
    for frame in heard {
        if let Some(count) = (next..(next + 5).min(400)).find(|count| level(*count) == frame) {
            (next, played) = (count + 1, played + 1);
        }
    }
    println!("{played} of 400 packets were played, 17 were lost");
    assert!(played >= 370, "{played}");
}

#[test]
fn nobody_hears_that_an_encoder_was_changed() {
    for codec in [Codec::G722, Codec::Opus] {
        let mut room = Room::new(&[Codec::Pcmu, codec.clone(), codec.clone()]);
        room.parties[1].talks = false;
        room.parties[2].talks = false;
        room.conference();
        // Bob hears Alice by the shared encoder, by his own while he says "yes" and for two seconds more, by the shared one.
        room.run(100);
        room.parties[1].talks = true;
        room.run(30);
        room.parties[1].talks = false;
        room.run(200);
        assert_steady(&room, 1, codec.clock());
        let own = |at: usize| &room.parties[at].heard;
        let differ = own(1)
            .iter()
            .zip(own(2))
            .filter(|(one, other)| one.2 != other.2)
            .count();
        assert!((120..180).contains(&differ), "{codec:?}: {differ} frames of his own");
        let (pcm, rate) = room.sound(1, 20);
        let gap = longest_gap(&pcm, rate);
        let loudest = pcm.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0);
        println!("{codec:?}: {gap} ms, peak {loudest}, {differ} frames apart");
        // A sine of -20 dBFS has its peak at 4,634.
        assert!(gap == 0 && loudest < 5_600, "{codec:?}: {gap} ms, {loudest}");
        for block in pcm.chunks(rate as usize / 10) {
            let (level, at) = (
                measure::level(block),
                measure::level_at(block, rate, room.parties[0].hertz),
            );
            assert!(
                (level - SAID).abs() < 1.5 && level - at < 1.5,
                "{codec:?}: {level}, {at}"
            );
        }
    }
}
