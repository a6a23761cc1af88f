//! A leg's stream while what it hears changes: another leg, a hub, music, announcements.

use super::room::{HUB, Room, SAID, longest_gap, speaker, steps};
use super::*;
use crate::media::audio::{BEEP, Pcm, measure};
use crate::media::{Heard, Hears, Member, PromptName};
use crate::vocabulary::AudienceHandle;

fn named(name: &str) -> PromptName {
    PromptName(name.into())
}

/// Two who talk as a pair, and a third one.
fn pair(codecs: &[Codec]) -> Room {
    let mut room = Room::new(codecs);
    let (alice, bob) = (room.leg(0), room.leg(1));
    room.world.hear(alice, Hear::Leg(bob));
    room.world.hear(bob, Hear::Leg(alice));
    room
}

/// One stream without a seam: numbers without a gap, timestamps that follow the clock, one packet at least every 60 ms.
fn assert_whole(room: &Room, at: usize, clock: u32) {
    let heard = &room.parties[at].heard;
    assert!(heard.iter().all(|(_, header, _)| header.ssrc == heard[0].1.ssrc));
    for (step, pair) in steps(heard).into_iter().zip(heard.windows(2)) {
        let gone = (pair[1].0 - pair[0].0).as_millis() as u32;
        assert_eq!(step.0, 1, "at {:?}", pair[1].0);
        assert!(gone <= 60, "{gone} ms without a packet at {:?}", pair[1].0);
        // The clock says what the timestamp says, to a packet.
        let ticks = gone.max(20) * clock / 1_000;
        assert!(step.1.abs_diff(ticks) <= clock / 50, "{} after {gone} ms", step.1);
    }
}

#[test]
fn a_pair_becomes_a_hub_and_a_pair_again_and_nobody_notices() {
    for codec in [Codec::Pcmu, Codec::G722, Codec::Opus] {
        let mut room = pair(&[codec.clone(), codec.clone(), Codec::Pcma]);
        room.parties[2].talks = false;
        room.run(20);
        room.world.advance(millis(7));
        room.parties.iter_mut().for_each(|party| party.heard.clear());
        room.conference();
        room.run(30);
        room.world.advance(millis(11));
        room.mix(Vec::new());
        room.run(30);
        room.world.advance(millis(3));
        room.conference();
        room.run(30);
        let clock = codec.clock();
        assert_whole(&room, 0, clock);
        assert_whole(&room, 1, clock);
        // Bob is heard all the time.
        let (pcm, rate) = room.sound(0, 5);
        let gap = longest_gap(&pcm, rate);
        println!("{codec:?}: {gap} ms without sound");
        assert!(gap <= 60, "{codec:?}: {gap} ms");
        assert!((measure::level(&pcm) - SAID).abs() < 2.0);
    }
}

#[test]
fn an_announcement_takes_the_place_of_all_and_ends() {
    for in_hub in [false, true] {
        let mut room = pair(&[Codec::Pcmu, Codec::Opus, Codec::Pcma]);
        if in_hub {
            room.conference();
        }
        let prompts = room.world.sessions.prompts();
        prompts.insert(named("news"), Pcm::tone(2_000, 600));
        room.run(20);
        let to = AudienceHandle::Leg(room.leg(0));
        let announce = |room: &mut Room, name: &str| {
            room.parties.iter_mut().for_each(|party| party.heard.clear());
            let (name, again) = (named(name), false);
            room.world.command(MediaCommand::Announce { to, name, again });
        };
        announce(&mut room, "news");
        room.run(25);
        let bob = room.parties[1].hertz;
        let (pcm, rate) = room.sound(0, 2);
        assert!(measure::level_at(&pcm, rate, 2_000.0) > -23.0, "{in_hub}");
        assert!(measure::level_at(&pcm, rate, bob) < -60.0);
        // Bob hears nothing of it and goes on hearing Alice.
        let (pcm, rate) = room.sound(1, 5);
        assert!(measure::level_at(&pcm, rate, 2_000.0) < -60.0);
        assert!(measure::level_at(&pcm, rate, room.parties[0].hertz) > -23.0);
        assert_eq!(ended(&mut room), []);
        room.run(30);
        assert_whole(&room, 0, 8_000);
        let leg = room.leg(0);
        assert_eq!(
            ended(&mut room),
            [MediaEvent::PromptEnded {
                leg,
                name: named("news")
            }]
        );
        room.parties[0].heard.clear();
        room.run(20);
        let (pcm, rate) = room.sound(0, 2);
        assert!(measure::level_at(&pcm, rate, bob) > -23.0, "{in_hub}");

        // One that is stopped ends without an event; one that nobody has ends at once.
        announce(&mut room, "news");
        room.run(5);
        room.world.command(MediaCommand::StopAnnouncing { to });
        room.run(20);
        let (pcm, rate) = room.sound(0, 10);
        assert!(measure::level_at(&pcm, rate, bob) > -23.0, "{in_hub}");
        assert_eq!(ended(&mut room), []);
        announce(&mut room, "nobody has it");
        room.run(2);
        let name = named("nobody has it");
        let told = [
            MediaEvent::PromptMissing {
                leg,
                name: name.clone(),
            },
            MediaEvent::PromptEnded { leg, name },
        ];
        assert_eq!(ended(&mut room), told);
        room.run(20);
        assert_whole(&room, 0, 8_000);
    }
}

/// Ends of prompts that were told.
fn ended(room: &mut Room) -> Vec<MediaEvent> {
    let mut events = std::mem::take(&mut room.world.events);
    events.retain(|event| {
        matches!(
            event,
            MediaEvent::PromptEnded { .. } | MediaEvent::PromptMissing { .. } | MediaEvent::Announced { .. }
        )
    });
    events
}

#[test]
fn all_hear_what_is_announced_in_a_hub_but_those_on_hold() {
    let mut room = Room::new(&[Codec::Pcmu, Codec::Opus, Codec::G722, Codec::Pcma]);
    let prompts = room.world.sessions.prompts();
    prompts.insert(named("news"), Pcm::tone(2_000, 1_000));
    prompts.insert(named("music"), Pcm::tone(3_000, 5_000));
    let mut members: Vec<Member> = (0..3).map(|at| speaker(room.leg(at))).collect();
    members.push(Member {
        leg: room.leg(3),
        heard: Heard::ByNobody,
        hears: Hears::Music(named("music")),
    });
    room.mix(members);
    room.run(20);
    let to = AudienceHandle::Hub(HUB);
    for name in ["news", BEEP, "nobody has it"] {
        let (name, again) = (named(name), false);
        room.world.command(MediaCommand::Announce { to, name, again });
    }
    room.parties.iter_mut().for_each(|party| party.heard.clear());
    room.run(40);
    for at in 0..4 {
        let (pcm, rate) = room.sound(at, 2);
        let level = |hertz: f64| measure::level_at(&pcm, rate, hertz);
        assert_eq!(level(2_000.0) > -24.0, at < 3, "{at}: {}", level(2_000.0));
        assert_eq!(level(3_000.0) > -24.0, at == 3, "{at}: {}", level(3_000.0));
        let others = (0..3).filter(|other| *other != at && at < 3);
        others.for_each(|other| assert!(level(room.parties[other].hertz) > -24.0, "{at} does not hear {other}"));
        // The beep is there for its quarter of a second.
        let beep = measure::level_at(&pcm[..pcm.len() / 4], rate, 880.0);
        assert_eq!(beep > -40.0, at < 3, "{at}: {beep}");
    }
    let over = |name: &str| MediaEvent::Announced {
        call: HUB,
        name: named(name),
    };
    assert_eq!(ended(&mut room), [over("nobody has it"), over(BEEP)]);
    room.run(20);
    assert_eq!(ended(&mut room), [over("news")]);
    // Into a hub that nobody knows: it is over as well.
    let call = crate::vocabulary::CallHandle {
        slot: 99,
        generation: 0,
    };
    room.world.command(MediaCommand::Announce {
        to: AudienceHandle::Hub(call),
        name: named("news"),
        again: false,
    });
    assert_eq!(
        ended(&mut room),
        [MediaEvent::Announced {
            call,
            name: named("news")
        }]
    );
}

#[test]
fn a_hub_s_recording_has_all_who_are_heard_by_all() {
    let mut room = Room::new(&[Codec::Pcmu, Codec::G722, Codec::Pcma, Codec::Opus, Codec::Pcmu]);
    let mut members: Vec<Member> = (0..5).map(|at| speaker(room.leg(at))).collect();
    members[2].heard = Heard::ByNobody;
    members[3].heard = Heard::By(room.leg(0));
    room.mix(members);
    let name = crate::media::RecordingName("hub".into());
    room.world.command(MediaCommand::RecordHub { call: HUB, name });
    room.run(100);
    // What is on disk while it goes on plays as well.
    assert!(hound::WavReader::new(&room.world.file[..]).unwrap().len() >= 16_000);
    // The last one goes on hold in the middle.
    let mut members: Vec<Member> = (0..5).map(|at| speaker(room.leg(at))).collect();
    members[2].heard = Heard::ByNobody;
    members[3].heard = Heard::By(room.leg(0));
    members[4].heard = Heard::ByNobody;
    room.mix(members);
    room.run(100);
    room.world.command(MediaCommand::StopRecordingHub { call: HUB });
    let reader = hound::WavReader::new(&room.world.file[..]).unwrap();
    assert_eq!((reader.spec().channels, reader.spec().sample_rate), (1, 16_000));
    let samples: Vec<i16> = reader.into_samples().map(Result::unwrap).collect();
    let heard = |part: &[i16]| -> String {
        let tones = room.parties.iter().map(|party| party.hertz);
        tones.map(|hertz| super::room::mark(part, 16_000, hertz)).collect()
    };
    assert_eq!(heard(&samples[3_200..30_000]), "##..#");
    assert_eq!(heard(&samples[36_000..62_000]), "##...");
    assert!(
        (3_980..=4_020).contains(&room.world.recorded.unwrap()),
        "{:?}",
        room.world.recorded
    );
}

#[test]
fn an_announcement_waits_until_its_party_can_hear_it() {
    let mut world = World::new();
    world.sessions.prompts().insert(named("news"), Pcm::tone(2_000, 600));
    let to = AudienceHandle::Leg(ALICE);
    let (name, again) = (named("news"), false);
    // Nothing is there yet, then the endpoint without its party's description, then all of it.
    world.command(MediaCommand::Announce { to, name, again });
    world.advance(millis(500));
    world.open(
        ALICE,
        Endpoint {
            remote: None,
            ..endpoint(ALICE)
        },
    );
    world.advance(millis(500));
    world.open(ALICE, endpoint(ALICE));
    world.advance(millis(1_000));
    let heard = world.heard(ALICE);
    assert!((30..=32).contains(&heard.len()), "{}", heard.len());
    let ended = MediaEvent::PromptEnded {
        leg: ALICE,
        name: named("news"),
    };
    assert_eq!(world.events, [ended]);
    // Whom nobody can reach does not keep it for ever.
    world.open(
        BOB,
        Endpoint {
            remote: None,
            ..endpoint(BOB)
        },
    );
    let (to, name) = (AudienceHandle::Leg(BOB), named("news"));
    world.command(MediaCommand::Announce { to, name, again });
    world.advance(millis(7_000));
    let ended = world
        .events
        .iter()
        .filter(|event| matches!(event, MediaEvent::PromptEnded { leg: BOB, .. }));
    assert_eq!(ended.count(), 1);
}
