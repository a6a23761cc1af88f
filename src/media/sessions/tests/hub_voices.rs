//! What members of a hub say: in silence, with keys in between, as they come and go; who is told to speak.

use super::room::{HUB, Room, SAID, assert_steady, mark, number, speaker};
use super::*;
use crate::media::audio::measure;
use crate::media::{Heard, Hears, Member};

const MIXED: [Codec; 4] = [Codec::Pcmu, Codec::G722, Codec::Opus, Codec::Pcma];

fn members(room: &Room) -> Vec<Member> {
    room.parties.iter().map(|party| speaker(party.leg)).collect()
}

fn speaking(room: &mut Room) -> Vec<(u32, bool)> {
    let events = std::mem::take(&mut room.world.events).into_iter();
    let told = events.filter_map(|event| {
        if let MediaEvent::Speaking { call, leg, on } = event {
            assert_eq!(call, HUB);
            Some((leg.slot, on))
        } else {
            None
        }
    });
    told.collect()
}

#[test]
fn keys_are_told_and_are_no_noise() {
    let mut room = Room::new(&[Codec::Pcmu, Codec::Opus, Codec::Pcma]);
    (1..3).for_each(|at| room.parties[at].talks = false);
    room.conference();
    room.run(30);
    room.parties.iter_mut().for_each(|party| party.heard.clear());
    // 160 ms of a key, its end three times, then the voice goes on.
    let (count, leg) = (room.parties[0].count, room.leg(0));
    let mut sequence = (count as u16).wrapping_add(65_530);
    for packet in 0..10_u16 {
        let (end, duration) = (packet >= 7, (packet.min(7) + 1) * 160);
        let header = Header {
            marker: packet == 0,
            payload_type: 101,
            sequence,
            timestamp: count * 160,
            ssrc: 0xaaaa + leg.slot,
        };
        let [high, low] = duration.to_be_bytes();
        let mut octets = Vec::new();
        header.write(&[5, if end { 0x8a } else { 0x0a }, high, low], &mut octets);
        room.arrives(0, &octets);
        sequence = sequence.wrapping_add(1);
        if packet < 7 {
            room.world.advance(millis(20));
        }
    }
    room.collect();
    let quiet = room.sound(2, 4).0;
    assert!(
        measure::level(&quiet) < -60.0,
        "{} dBFS while a key is pressed",
        measure::level(&quiet)
    );
    let digits: Vec<&MediaEvent> = room
        .world
        .events
        .iter()
        .filter(|event| matches!(event, MediaEvent::Digit { .. }))
        .collect();
    assert!(
        matches!(digits[..], [MediaEvent::Digit { digit: '5', leg: who, .. }] if *who == leg),
        "{digits:?}"
    );
    // The voice goes on behind the event: ten numbers were its own, and eight packets' time has gone.
    room.parties.iter_mut().for_each(|party| party.heard.clear());
    for step in 0..30_u32 {
        let mut packet = room.packet(0);
        packet[2..4].copy_from_slice(&sequence.wrapping_add(step as u16).to_be_bytes());
        packet[4..8].copy_from_slice(&((count + 8 + step) * 160).to_be_bytes());
        room.arrives(0, &packet);
        room.world.advance(millis(20));
    }
    room.collect();
    assert_steady(&room, 2, 8_000);
    let (pcm, rate) = room.sound(2, 4);
    assert!(measure::level_at(&pcm, rate, room.parties[0].hertz) > SAID - 1.5);
}

#[test]
fn whoever_speaks_is_told_when_it_lasts() {
    let mut room = Room::new(&MIXED);
    let mut all = members(&room);
    all[3].heard = Heard::ByNobody;
    room.mix(all.clone());
    room.parties[1].talks = false;
    room.run(4);
    assert_eq!(speaking(&mut room), []);
    room.run(10);
    assert_eq!(speaking(&mut room), [(0, true), (2, true)]);
    // A breath is no end; a second is one.
    room.parties[2].talks = false;
    room.run(30);
    room.parties[2].talks = true;
    room.run(20);
    assert_eq!(speaking(&mut room), []);
    room.parties[2].talks = false;
    room.run(60);
    assert_eq!(speaking(&mut room), [(2, false)]);
    // Whoever is muted speaks no more, at once.
    all[0].heard = Heard::ByNobody;
    room.mix(all);
    room.run(1);
    assert_eq!(speaking(&mut room), [(0, false)]);
}

#[test]
fn silence_goes_on_and_is_encoded_once() {
    let mut room = Room::new(&MIXED);
    room.conference();
    room.run(30);
    room.parties.iter_mut().for_each(|party| party.talks = false);
    room.run(150);
    room.parties.iter_mut().for_each(|party| party.heard.clear());
    let before = room.world.sessions.encoded(HUB);
    room.run(50);
    assert_eq!(room.world.sessions.encoded(HUB), before, "silence is encoded");
    for (at, codec) in MIXED.iter().enumerate() {
        assert_steady(&room, at, codec.clock());
        let heard = &room.parties[at].heard;
        assert_eq!(heard.len(), 50);
        assert!(
            heard
                .iter()
                .all(|(_, header, octets)| *octets == heard[0].2 && !header.marker)
        );
        let (pcm, _) = room.sound(at, 2);
        assert!(measure::level(&pcm) < -65.0, "{codec:?}: {}", measure::level(&pcm));
    }
    assert!(
        room.parties[2].heard[0].2.len() < 30,
        "{}",
        room.parties[2].heard[0].2.len()
    );
    // The first word after it is heard.
    room.parties.iter_mut().for_each(|party| party.talks = true);
    assert_eq!(room.matrix(), [".###", "#.##", "##.#", "###."]);
}

#[test]
fn two_hundred_and_fifty_hear_three_by_one_encode_a_codec() {
    let codecs: Vec<Codec> = MIXED.iter().cycle().take(250).cloned().collect();
    let mut room = Room::new(&codecs);
    for at in 3..250 {
        room.parties[at].talks = false;
    }
    room.conference();
    room.run(59);
    let before = room.world.sessions.encoded(HUB);
    room.run(1);
    // One for each of the three who speak, and one a codec for all others.
    assert_eq!(room.world.sessions.encoded(HUB) - before, 3 + 4);
    for at in 3..250 {
        let twin = 3 + (at + 1) % 4; // the first silent one of the same codec
        let (mine, other) = (&room.parties[at].heard, &room.parties[twin].heard);
        assert_eq!((mine.len(), number(&codecs[at])), (other.len(), number(&codecs[twin])));
        assert!(
            mine.iter().zip(other).all(|(mine, other)| mine.2 == other.2),
            "{at} has its own encode"
        );
        assert_steady(&room, at, codecs[at].clock());
    }
    for at in (0..11).chain([100, 249]) {
        let (pcm, rate) = room.sound(at, 20);
        let heard: String = (0..3)
            .map(|voice| mark(&pcm, rate, room.parties[voice].hertz))
            .collect();
        let expected: String = (0..3).map(|voice| if voice == at { '.' } else { '#' }).collect();
        assert_eq!(heard, expected, "{at}");
    }
}

#[test]
fn one_that_goes_in_the_middle_of_a_packet_disturbs_nobody() {
    let mut room = Room::new(&[Codec::Pcmu, Codec::Opus, Codec::G722, Codec::Pcma]);
    let mut all = members(&room);
    all[1].heard = Heard::By(room.leg(2));
    room.mix(all.clone());
    room.run(20);
    // Its packet is there and not yet played when it ends; the hub still names it.
    let packet = room.packet(1);
    room.arrives(1, &packet);
    let gone = room.leg(1);
    room.world.command(MediaCommand::Close { leg: gone });
    room.parties[1].talks = false;
    room.world.advance(millis(10));
    assert_eq!(room.matrix(), ["..##", "nothing", "#..#", "#.#."]);
    // Another leg in its place, before the hub knows of it and after.
    let next = LegHandle { generation: 4, ..gone };
    room.world.open(next, super::room::in_codec(next, &Codec::Opus));
    room.parties[1].leg = next;
    room.parties[1].talks = true;
    assert_eq!(room.matrix(), ["..##", "nothing", "#..#", "#.#."]);
    all[1] = speaker(next);
    room.mix(all);
    assert_eq!(room.matrix(), [".###", "#.##", "##.#", "###."]);
    // And out again, in the middle of a word, with the hub.
    let packet = room.packet(0);
    room.arrives(0, &packet);
    room.mix(Vec::new());
    room.world.advance(millis(50));
    room.collect();
    assert_eq!(room.matrix(), ["nothing"; 4]);
    assert!(
        room.world.sessions.poll_timeout().unwrap() > room.world.now + millis(20),
        "nobody is left to mix"
    );
}

#[test]
fn whoever_moves_to_another_hub_hears_that_one() {
    let mut room = Room::new(&MIXED);
    room.conference();
    room.run(5);
    let call = crate::vocabulary::CallHandle { slot: 8, generation: 1 };
    let members = vec![speaker(room.leg(1)), speaker(room.leg(3)), speaker(room.leg(3))];
    room.world.command(MediaCommand::Mix { call, members });
    assert_eq!(room.matrix(), ["..#.", "...#", "#...", ".#.."]);
}

#[test]
fn one_that_says_another_codec_than_it_hears_does_not_hear_itself() {
    let mut room = Room::new(&[Codec::Pcmu, Codec::G722, Codec::Opus]);
    for (at, hears) in [(0, Codec::G722), (1, Codec::Pcma)] {
        let (leg, said) = (room.leg(at), [Codec::Pcmu, Codec::G722][at].clone());
        let mut endpoint = super::room::in_codec(leg, &hears);
        endpoint.receive = super::room::in_codec(leg, &said).receive;
        room.world.open(leg, endpoint);
        room.parties[at].hears_in(&hears);
    }
    room.conference();
    assert_eq!(room.matrix(), [".##", "#.#", "##."]);
}

#[test]
fn a_member_s_own_recording_goes_on_in_a_hub() {
    let mut room = Room::new(&[Codec::Pcmu, Codec::Opus, Codec::Pcma]);
    let leg = room.leg(0);
    let name = crate::media::RecordingName("leg".into());
    room.world.command(MediaCommand::Record { leg, name });
    room.conference();
    room.run(150);
    room.world.command(MediaCommand::StopRecording { leg });
    let reader = hound::WavReader::new(&room.world.file[..]).unwrap();
    assert_eq!((reader.spec().channels, reader.spec().sample_rate), (2, 8_000));
    let samples: Vec<i16> = reader.into_samples().map(Result::unwrap).collect();
    let row = |side: usize| -> String {
        let pcm: Vec<i16> = samples
            .iter()
            .skip(side + 4_000)
            .step_by(2)
            .take(18_000)
            .copied()
            .collect();
        let tones = room.parties.iter().map(|party| party.hertz);
        tones.map(|hertz| mark(&pcm, 8_000, hertz)).collect()
    };
    assert_eq!([row(0), row(1)], ["#..", ".##"]);
}

#[test]
fn music_on_hold_has_no_seam_when_others_come_and_go() {
    let mut room = Room::new(&MIXED);
    let name = crate::media::PromptName("music".into());
    let prompts = room.world.sessions.prompts();
    prompts.insert(name.clone(), crate::media::audio::Pcm::tone(2_500, 20_000));
    let mut all = members(&room);
    all[2].hears = Hears::Music(name);
    all[2].heard = Heard::ByNobody;
    room.mix(all.clone());
    room.run(20);
    for count in [3, 4, 3] {
        room.mix(all[..count].to_vec());
        room.run(7);
    }
    assert_steady(&room, 2, 48_000);
    assert_eq!(
        room.parties[2]
            .heard
            .iter()
            .filter(|(_, header, _)| header.marker)
            .count(),
        1
    );
    let (pcm, rate) = room.sound(2, 5);
    assert!(measure::level(&pcm) - measure::level_at(&pcm, rate, 2_500.0) < 0.5);
    // Back from hold it hears all and is heard.
    room.conference();
    assert_eq!(room.matrix(), [".###", "#.##", "##.#", "###."]);
}
