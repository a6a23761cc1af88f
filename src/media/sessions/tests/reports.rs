//! Reports, quality, silence, keepalive.

use super::*;
use crate::media::rtcp::{Compound, ReportBlock, SenderInfo};

fn talk(world: &mut World, leg: LegHandle, packets: std::ops::Range<u32>) {
    for count in packets {
        world.say(leg, 8, count, &[1; 160]);
        world.advance(millis(20));
    }
}

fn kinds(world: &World) -> Vec<&'static str> {
    let kind = |event: &MediaEvent| match event {
        MediaEvent::Flowing { .. } => "flowing",
        MediaEvent::Silent { .. } => "silent",
        MediaEvent::OneWay { unheard: true, .. } => "unheard",
        MediaEvent::OneWay { unheard: false, .. } => "unserved",
        MediaEvent::Quality { .. } => "quality",
        MediaEvent::Digit { .. }
        | MediaEvent::PromptEnded { .. }
        | MediaEvent::PromptMissing { .. }
        | MediaEvent::Recorded { .. }
        | MediaEvent::Speaking { .. }
        | MediaEvent::Announced { .. }
        | MediaEvent::HubRecorded { .. }
        | MediaEvent::Failed { .. } => "other",
    };
    world.events.iter().map(kind).collect()
}

#[test]
fn reports_go_every_five_seconds_and_say_what_is_heard() {
    let mut world = World::bridged();
    talk(&mut world, ALICE, 0..500);
    let reports: Vec<Sent> = world
        .sent
        .iter()
        .filter(|sent| !sent.rtcp().is_empty())
        .cloned()
        .collect();
    let to = |leg: LegHandle| {
        let mut address = party(leg);
        address.set_port(4_001);
        address
    };
    let to_alice: Vec<&Sent> = reports.iter().filter(|sent| sent.to == to(ALICE)).collect();
    let to_bob: Vec<&Sent> = reports.iter().filter(|sent| sent.to == to(BOB)).collect();
    assert!((1..=2).contains(&to_alice.len()) && (1..=2).contains(&to_bob.len()));
    // Alice is heard and gets nothing: a receiver report. Bob hears and is silent: a sender report without a block.
    assert!(matches!(
        to_alice[0].rtcp()[..],
        [Told::Heard(ReportBlock {
            ssrc: 0xaaaa,
            fraction_lost: 0,
            lost: 0,
            ..
        })]
    ));
    let [Told::Sent { ssrc: 0x2222, info }] = to_bob[0].rtcp()[..] else {
        panic!("{:?}", to_bob[0].rtcp());
    };
    assert_eq!(info.packets, (to_bob[0].at.as_millis() / 20) as u32 + 1);
    assert_eq!(info.octets, 160 * info.packets);
    // The report's timestamp is the moment's, on the stream that Bob hears.
    let stream: Vec<(Duration, Header)> = world
        .sent
        .iter()
        .filter_map(|sent| Some((sent.at, sent.rtp()?.0)))
        .collect();
    let first = stream[0];
    let gone = (to_bob[0].at - first.0).as_micros() * 8 / 1_000;
    assert_eq!(info.timestamp.wrapping_sub(first.1.timestamp), gone as u32);
}

#[test]
fn the_round_trip_comes_from_the_partys_reports() {
    let mut world = World::bridged();
    talk(&mut world, ALICE, 0..400);
    let is_bobs = |sent: &&Sent| sent.local == Local::Rtcp(port(BOB));
    let report = world.sent.iter().find(is_bobs).unwrap().clone();
    let [Told::Sent { info, .. }] = report.rtcp()[..] else {
        panic!()
    };
    // Bob got it after 30 ms, kept it a second, and his answer is 30 ms under way.
    world.now = world.start + report.at + millis(1_060);
    let compound = Compound {
        ssrc: 5,
        cname: "bob",
        sent: Some(SenderInfo {
            time: 9 << 32,
            timestamp: 0,
            packets: 0,
            octets: 0,
        }),
        heard: Some(ReportBlock {
            ssrc: 0x2222,
            lost: 3,
            last_report: rtcp::middle(info.time),
            since_report: 65_536,
            ..ReportBlock::default()
        }),
        bye: false,
    };
    let mut packet = Vec::new();
    compound.write(&mut packet);
    let mut from = party(BOB);
    from.set_port(4_001);
    world.datagram(Local::Rtcp(port(BOB)), from, &packet);
    let quality = world.quality(BOB);
    let trip = quality.round_trip_ms.unwrap();
    assert!((59.0..61.0).contains(&trip), "{trip}");
    assert_eq!(quality.party_lost, Some(3));
    // A stranger's report changes nothing.
    from.set_ip([198, 51, 100, 1].into());
    packet[27] = 0xff;
    world.datagram(Local::Rtcp(port(BOB)), from, &packet);
    assert_eq!(
        (world.quality(BOB).party_lost, world.quality(BOB).refused),
        (Some(3), 1)
    );
    // His report's moment comes back in our next one.
    world.sent.clear();
    world.advance(Duration::from_secs(10));
    world.say(BOB, 8, 1, &[1; 160]);
    world.advance(Duration::from_secs(10));
    let blocks = world.sent.iter().filter(is_bobs).flat_map(Sent::rtcp);
    let back: Vec<u32> = blocks
        .filter_map(|told| match told {
            Told::Heard(block) => Some(block.last_report),
            Told::Sent { .. } | Told::Bye { .. } => None,
        })
        .collect();
    assert!(
        !back.is_empty() && back.iter().all(|middle| *middle == 9 << 16),
        "{back:?}"
    );
}

#[test]
fn quality_is_told_every_ten_seconds_and_at_the_end() {
    let mut world = World::bridged();
    for count in (0..1_600).filter(|count| count % 20 != 7) {
        world.say(ALICE, 8, count, &[1; 160]);
        world.say(BOB, 8, count, &[1; 160]);
        world.advance(millis(20));
    }
    world.command(MediaCommand::Close { leg: ALICE });
    let quality = |event: &MediaEvent| {
        if let MediaEvent::Quality { leg: ALICE, quality } = event {
            Some(*quality)
        } else {
            None
        }
    };
    let told: Vec<LegQuality> = world.events.iter().filter_map(quality).collect();
    assert!((3..=5).contains(&told.len()), "{}", told.len());
    let last = told[told.len() - 1];
    assert_eq!(
        (last.received, last.lost, last.sent, last.refused),
        (1_520, 80, 1_520, 0)
    );
    assert!((3.3..4.0).contains(&last.mos), "{}", last.mos);
}

#[test]
fn silence_is_told_once_until_there_is_something_again() {
    let mut world = World::bridged();
    talk(&mut world, ALICE, 0..100);
    world.advance(Duration::from_secs(100));
    talk(&mut world, ALICE, 100..110);
    world.advance(Duration::from_secs(29));
    let silent = |world: &World| {
        let mine = |event: &&MediaEvent| {
            matches!(
                event,
                MediaEvent::Silent {
                    leg: ALICE,
                    seconds: 30
                }
            )
        };
        world.events.iter().filter(mine).count()
    };
    assert_eq!(silent(&world), 1);
    world.advance(Duration::from_secs(2));
    assert_eq!(silent(&world), 2);
    // A party that has not answered yet is not silent, nor one that may not send.
    let mut world = World::bridged();
    let unanswered = Endpoint {
        remote: None,
        remote_rtcp: None,
        ..endpoint(BOB)
    };
    world.open(BOB, unanswered);
    world.open(
        ALICE,
        Endpoint {
            direction: Direction::Inactive,
            ..endpoint(ALICE)
        },
    );
    world.advance(Duration::from_secs(100));
    assert!(!kinds(&world).contains(&"silent"));
    world.open(BOB, endpoint(BOB));
    world.advance(Duration::from_secs(29));
    assert!(!kinds(&world).contains(&"silent"));
    world.advance(Duration::from_secs(2));
    assert!(kinds(&world).contains(&"silent"));
    let mut world = World::bridged();
    for leg in [ALICE, BOB] {
        world.open(
            leg,
            Endpoint {
                direction: Direction::SendOnly,
                ..endpoint(leg)
            },
        );
    }
    world.advance(Duration::from_secs(100));
    assert!(!kinds(&world).contains(&"silent"));
}

#[test]
fn one_way_audio_is_told_once_a_leg() {
    let mut world = World::bridged();
    talk(&mut world, ALICE, 0..1_000);
    let one_way: Vec<MediaEvent> = world
        .events
        .iter()
        .filter(|event| matches!(event, MediaEvent::OneWay { .. }))
        .cloned()
        .collect();
    let unheard = MediaEvent::OneWay {
        leg: BOB,
        unheard: true,
    };
    let unserved = MediaEvent::OneWay {
        leg: ALICE,
        unheard: false,
    };
    assert_eq!(one_way.len(), 2, "{one_way:?}");
    assert!(one_way.contains(&unheard) && one_way.contains(&unserved));
}

#[test]
fn a_port_through_which_nothing_goes_is_kept_open() {
    let mut world = World::bridged();
    world.advance(Duration::from_secs(60));
    let empty = |sent: &&Sent| sent.octets.is_empty() && sent.to == party(BOB) && sent.local == Local::Rtp(port(BOB));
    let kept = world.sent.iter().filter(empty).count();
    assert!((2..=4).contains(&kept), "{kept}");
    world.sent.clear();
    talk(&mut world, ALICE, 0..3_000);
    assert_eq!(world.sent.iter().filter(empty).count(), 0);
}

#[test]
fn a_port_that_cannot_be_bound_is_told() {
    let mut world = World::bridged();
    world.sessions.bind_failed(Local::Rtcp(port(BOB)));
    world.perform();
    let why = MediaFailure::Port { port: 40_003 };
    assert_eq!(world.events, [MediaEvent::Failed { leg: BOB, why }]);
}

#[test]
fn deadlines_do_not_pile_up() {
    let mut world = World::bridged();
    for _ in 0..1_000 {
        world.open(ALICE, endpoint(ALICE));
        world.advance(millis(500));
    }
    assert!(
        world.sessions.deadlines.len() <= 8,
        "{}",
        world.sessions.deadlines.len()
    );
}
