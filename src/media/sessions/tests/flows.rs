//! Who hears whom, under which numbers, and who is not heard.

use super::*;

#[test]
fn what_one_says_the_other_hears_as_one_stream_of_ours() {
    let mut world = World::bridged();
    assert_eq!(
        world.sockets,
        [40_000, 40_002]
            .map(|port| [Local::Rtp(port), Local::Rtcp(port)])
            .concat()
    );
    for count in 0..3 {
        world.say(ALICE, 8, 700 + count, &[count as u8; 160]);
        world.advance(millis(20));
    }
    let heard = world.heard(BOB);
    let payloads: Vec<u8> = heard.iter().map(|(_, payload)| payload[0]).collect();
    assert_eq!(payloads, [0, 1, 2]);
    for (at, (header, payload)) in heard.iter().enumerate() {
        assert_eq!((header.ssrc, header.payload_type, payload.len()), (0x2222, 8, 160));
        assert_eq!(header.marker, at == 0);
        assert_eq!(header.timestamp, heard[0].0.timestamp.wrapping_add(160 * at as u32));
    }
    assert_eq!(world.events, [MediaEvent::Flowing { leg: ALICE }]);
}

#[test]
fn a_transfer_and_a_hold_leave_one_stream() {
    let mut world = World::bridged();
    world.open(CAROL, endpoint(CAROL));
    let mut heard = Vec::new();
    for count in 0..30 {
        match count {
            10 => world.hear(BOB, Hear::Nothing),
            20 => world.hear(BOB, Hear::Leg(CAROL)),
            _ => {}
        }
        world.say(ALICE, 8, count, &[1; 160]);
        world.say(CAROL, 8, 40_000 + count, &[3; 160]);
        heard.extend(world.heard(BOB));
        world.advance(millis(20));
    }
    assert_eq!(heard.len(), 20);
    for pair in heard.windows(2) {
        assert_eq!(pair[1].0.sequence, pair[0].0.sequence.wrapping_add(1));
        assert_eq!(pair[1].0.ssrc, pair[0].0.ssrc);
    }
    let step = heard[10].0.timestamp.wrapping_sub(heard[9].0.timestamp);
    // 11 packets' time went by between the last of Alice and the first of Carol.
    assert_eq!((heard[9].1[0], heard[10].1[0], step), (1, 3, 11 * 160));
    assert!(heard[10].0.marker && !heard[9].0.marker);
}

#[test]
fn payload_types_are_translated_by_codec() {
    let mut world = World::bridged();
    world.open(
        BOB,
        Endpoint {
            send: vec![payload(96, Codec::Pcma), event(126, 48_000)],
            ..endpoint(BOB)
        },
    );
    world.say(ALICE, 8, 1, &[1; 160]);
    world.say(ALICE, 101, 2, &[5, 0x0a, 0x00, 0xa0]);
    // No comfort noise for Bob, and no gap where it was.
    world.say(ALICE, 13, 3, &[60]);
    world.say(ALICE, 8, 4, &[4; 160]);
    let heard = world.heard(BOB);
    let types: Vec<u8> = heard.iter().map(|(header, _)| header.payload_type).collect();
    assert_eq!(types, [96, 126, 96]);
    // 160 units of 8 kHz are 960 of 48 kHz.
    assert_eq!(heard[1].1, [5, 0x0a, 0x03, 0xc0]);
    let numbers: Vec<u16> = heard.iter().map(|(header, _)| header.sequence).collect();
    assert_eq!((numbers[1], numbers[2]), (numbers[0] + 1, numbers[0] + 2));
    assert_eq!((world.quality(ALICE).received, world.quality(ALICE).lost), (4, 0));
}

#[test]
fn directions_are_obeyed() {
    let inactive = |direction| Endpoint {
        direction,
        ..endpoint(BOB)
    };
    for (direction, to_bob, from_bob) in [
        (Direction::SendRecv, 1, 1),
        (Direction::SendOnly, 1, 0),
        (Direction::RecvOnly, 0, 1),
        (Direction::Inactive, 0, 0),
    ] {
        let mut world = World::bridged();
        world.open(BOB, inactive(direction));
        world.say(ALICE, 8, 1, &[1; 160]);
        assert_eq!(world.heard(BOB).len(), to_bob, "{direction}");
        world.say(BOB, 8, 1, &[1; 160]);
        assert_eq!(world.heard(ALICE).len(), from_bob, "{direction}");
    }
}

#[test]
fn a_spray_of_strangers_reaches_nobody() {
    let mut world = World::bridged();
    let natted = Endpoint {
        latch: true,
        source: Some([203, 0, 113, 9].into()),
        ..endpoint(ALICE)
    };
    world.open(ALICE, natted.clone());
    for count in 0..100_000u32 {
        let [_, high, middle, low] = (count * 167).to_be_bytes();
        let from = SocketAddr::from(([198, 51 ^ high, middle, low], 1_024 + (count % 60_000) as u16));
        world.say_from(from, ALICE, 8, count, &[9; 160]);
    }
    assert!(world.sent.is_empty() && world.events.is_empty());
    assert_eq!(world.quality(ALICE).refused, 100_000);
    assert_eq!(world.quality(ALICE).received, 0);

    // The party itself, from behind its NAT, is heard and gets its audio there; a neighbour of its is not.
    let real = SocketAddr::from(([203, 0, 113, 9], 61_000));
    world.say_from(real, ALICE, 8, 1, &[1; 160]);
    assert_eq!(world.heard(BOB).len(), 1);
    world.say_from(SocketAddr::from(([203, 0, 113, 9], 61_001)), ALICE, 8, 2, &[9; 160]);
    world.say_from(party(ALICE), ALICE, 8, 2, &[9; 160]);
    assert!(world.heard(BOB).is_empty());
    world.say(BOB, 8, 1, &[2; 160]);
    assert_eq!(world.sent.last().map(|sent| sent.to), Some(real));

    // The same description again opens nothing; another does.
    world.open(ALICE, natted.clone());
    world.say_from(SocketAddr::from(([203, 0, 113, 9], 61_001)), ALICE, 8, 3, &[9; 160]);
    assert_eq!(world.heard(BOB).len(), 0);
    world.open(
        ALICE,
        Endpoint {
            source: Some([203, 0, 113, 10].into()),
            ..natted
        },
    );
    world.say_from(SocketAddr::from(([203, 0, 113, 10], 700)), ALICE, 8, 4, &[1; 160]);
    assert_eq!(world.heard(BOB).len(), 1);
}

#[test]
fn one_is_heard_by_many_and_may_hear_itself() {
    let mut world = World::bridged();
    world.open(CAROL, endpoint(CAROL));
    world.hear(CAROL, Hear::Leg(ALICE));
    world.hear(ALICE, Hear::Leg(ALICE));
    world.say(ALICE, 8, 1, &[1; 160]);
    let to: Vec<SocketAddr> = world.sent.iter().map(|sent| sent.to).collect();
    assert_eq!(to.len(), 3);
    assert!([ALICE, BOB, CAROL].iter().all(|leg| to.contains(&party(*leg))));
}

#[test]
fn the_same_order_again_leaves_no_seam() {
    let mut world = World::bridged();
    for count in 0..10 {
        world.say(ALICE, 8, count, &[1; 160]);
        world.hear(BOB, Hear::Leg(ALICE));
        world.open(BOB, endpoint(BOB));
    }
    let heard = world.heard(BOB);
    assert_eq!(heard.iter().filter(|(header, _)| header.marker).count(), 1);
    assert!(
        heard
            .windows(2)
            .all(|pair| pair[1].0.timestamp == pair[0].0.timestamp.wrapping_add(160))
    );
}

#[test]
fn a_packet_that_is_none_fixes_no_address() {
    let mut world = World::bridged();
    world.open(
        ALICE,
        Endpoint {
            latch: true,
            ..endpoint(ALICE)
        },
    );
    let elsewhere = SocketAddr::new(party(ALICE).ip(), 9_999);
    for (local, octets) in [
        (Local::Rtp(port(ALICE)), &[0x80, 8, 0][..]),
        (Local::Rtcp(port(ALICE)), &[0x80, 8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1]),
    ] {
        world.datagram(local, elsewhere, octets);
    }
    assert_eq!(world.quality(ALICE).refused, 2);
    world.say(ALICE, 8, 1, &[1; 160]);
    assert_eq!(world.heard(BOB).len(), 1);
}

#[test]
fn orders_may_come_before_the_endpoints_they_speak_of() {
    let mut world = World::new();
    world.hear(BOB, Hear::Leg(CAROL));
    world.open(BOB, endpoint(BOB));
    world.open(CAROL, endpoint(CAROL));
    world.say(CAROL, 8, 1, &[1; 160]);
    assert_eq!(world.heard(BOB).len(), 1);
}

#[test]
fn a_closed_leg_leaves_nothing_and_its_successor_is_somebody_else() {
    let mut world = World::bridged();
    world.say(ALICE, 8, 1, &[1; 160]);
    world.heard(BOB);
    world.command(MediaCommand::Close { leg: ALICE });
    assert_eq!(world.sockets, [Local::Rtp(40_002), Local::Rtcp(40_002)]);
    assert!(
        world
            .sent
            .iter()
            .any(|sent| sent.rtcp().contains(&Told::Bye { ssrc: 0x1111 }))
    );
    world.sent.clear();
    let next = LegHandle { generation: 1, ..ALICE };
    world.open(next, endpoint(next));
    world.say(next, 8, 1, &[1; 160]);
    // Bob heard the one who left.
    assert!(world.heard(BOB).is_empty());
    world.hear(BOB, Hear::Leg(next));
    world.say(next, 8, 2, &[1; 160]);
    assert_eq!(world.heard(BOB).len(), 1);
    world.command(MediaCommand::Close { leg: ALICE });
    assert_eq!(world.sessions.len(), 2);
    world.command(MediaCommand::Close { leg: next });
    world.command(MediaCommand::Close { leg: BOB });
    assert!(world.sessions.is_empty() && world.sockets.is_empty());
}

#[test]
fn malformed_packets_are_counted_and_go_nowhere() {
    let mut world = World::bridged();
    for octets in [
        &[0x80, 8][..],
        &[0x00; 40],
        &[0xbf; 13],
        &[0x90, 8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0],
    ] {
        world.datagram(Local::Rtp(port(ALICE)), party(ALICE), octets);
    }
    world.datagram(Local::Rtp(port(ALICE)), party(ALICE), &[]);
    world.datagram(Local::Rtp(9), party(ALICE), &[0; 40]);
    assert!(world.sent.is_empty());
    assert_eq!((world.quality(ALICE).refused, world.sessions.stray()), (4, 1));
}

#[test]
fn keys_are_told_once_and_pressed_for_the_party() {
    let mut world = World::bridged();
    world.say(ALICE, 8, 1, &[1; 160]);
    for (count, (flags, duration)) in [(0x0a, 1), (0x0a, 2), (0x8a, 3), (0x8a, 3), (0x8a, 3)]
        .iter()
        .enumerate()
    {
        // One event has one timestamp.
        let header = Header {
            marker: count == 0,
            payload_type: 101,
            sequence: 2 + count as u16,
            timestamp: 320,
            ssrc: 0xaaaa,
        };
        let mut packet = Vec::new();
        header.write(&[11, *flags, *duration, 0x20], &mut packet);
        world.datagram(Local::Rtp(port(ALICE)), party(ALICE), &packet);
    }
    let digit = |event: &&MediaEvent| matches!(event, MediaEvent::Digit { .. });
    let told: Vec<&MediaEvent> = world.events.iter().filter(digit).collect();
    let wanted = MediaEvent::Digit {
        leg: ALICE,
        digit: '#',
        milliseconds: 100,
    };
    assert_eq!(told, [&wanted]);
    // Bob gets all of them, with one timestamp.
    let heard = world.heard(BOB);
    assert_eq!(heard.len(), 6);
    assert!(
        heard[1..]
            .iter()
            .all(|(header, _)| header.timestamp == heard[1].0.timestamp)
    );

    world.command(MediaCommand::Digits {
        leg: BOB,
        digits: "7".into(),
    });
    // Meanwhile Alice talks; Bob hears the key alone, then her again.
    for count in 7..27 {
        world.say(ALICE, 8, count, &[1; 160]);
        world.advance(millis(20));
    }
    let heard = world.heard(BOB);
    let events: Vec<&(Header, Vec<u8>)> = heard.iter().filter(|(header, _)| header.payload_type == 101).collect();
    assert_eq!(events.len(), 7);
    assert_eq!(events[6].1, [7, 0x8a, 0x03, 0x20]);
    for pair in heard.windows(2) {
        assert_eq!(pair[1].0.sequence, pair[0].0.sequence.wrapping_add(1));
    }
    let (last, _) = &heard[heard.len() - 1];
    assert!(heard.len() < 27 && last.payload_type == 8);
    // 380 ms after the first event packet.
    assert_eq!(last.timestamp.wrapping_sub(events[0].0.timestamp), 19 * 160);
}
