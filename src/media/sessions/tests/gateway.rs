//! One side in the clear, the other protected.

use bytes::Bytes;

use super::*;
use crate::media::secure::{Arrived, Secure};
use crate::media::{Security, SrtpKey, SrtpProfile};

fn key(fill: u8) -> SrtpKey {
    SrtpKey {
        profile: SrtpProfile::AesCm128HmacSha1_80,
        key_and_salt: Bytes::from(vec![fill; 30]),
    }
}

/// Bob's leg is SDES-SRTP and latches; the other end of his protection comes with it.
fn world() -> (World, Secure) {
    let mut world = World::bridged();
    world.open(BOB, sdes());
    let phone = Security::Sdes {
        ours: key(2),
        theirs: Some(key(1)),
    };
    let mut phone = Secure::new(world.now, &phone, &certificate());
    phone.set_remote(world.now, Some(party(BOB)));
    (world, phone)
}

fn sdes() -> Endpoint {
    Endpoint {
        security: Security::Sdes {
            ours: key(1),
            theirs: Some(key(2)),
        },
        latch: true,
        ..endpoint(BOB)
    }
}

fn rtp(sequence: u16, payload: &[u8]) -> Vec<u8> {
    let header = Header {
        marker: false,
        payload_type: 8,
        sequence,
        timestamp: u32::from(sequence) * 160,
        ssrc: 0xb0b,
    };
    let mut packet = Vec::new();
    header.write(payload, &mut packet);
    packet
}

/// What Bob's phone can open of what was sent to it.
fn opened(world: &mut World, phone: &mut Secure) -> Vec<Vec<u8>> {
    let sent = std::mem::take(&mut world.sent);
    let mine = sent.into_iter().filter(|sent| sent.local == Local::Rtp(port(BOB)));
    mine.filter_map(|mut sent| {
        let arrived = phone.handle_datagram(world.now, party(BOB), &mut sent.octets);
        (arrived == Arrived::Rtp).then(|| sent.octets[12..].to_vec())
    })
    .collect()
}

#[test]
fn clear_audio_becomes_protected_and_back() {
    let (mut world, mut phone) = world();
    for count in 0..70_000u32 {
        world.say(ALICE, 8, count, &[count as u8; 160]);
        // Over the wrap of sequence numbers: both sides' roll-over counters count.
        let heard = opened(&mut world, &mut phone);
        assert_eq!(heard, [vec![count as u8; 160]], "{count}");
        if count == 66_000 {
            world.open(BOB, sdes());
        }
    }
    let mut packet = rtp(1, &[7; 160]);
    assert!(phone.protect_rtp(&mut packet) && packet.len() > 172);
    world.datagram(Local::Rtp(port(BOB)), party(BOB), &packet);
    let heard = world.heard(ALICE);
    assert_eq!((heard.len(), &heard[0].1[..]), (1, &[7; 160][..]));
}

#[test]
fn an_address_is_learnt_from_an_authentic_packet_only() {
    let (mut world, mut phone) = world();
    let host = party(BOB).ip();
    let (forger, behind_nat) = (SocketAddr::new(host, 666), SocketAddr::new(host, 777));
    for sequence in 0..1_000 {
        world.datagram(
            Local::Rtp(port(BOB)),
            forger,
            &[rtp(sequence, &[9; 160]), vec![0; 10]].concat(),
        );
    }
    assert_eq!(world.quality(BOB).refused, 1_000);
    assert!(world.sent.is_empty() && world.events.is_empty());
    let mut packet = rtp(1, &[7; 160]);
    phone.protect_rtp(&mut packet);
    world.datagram(Local::Rtp(port(BOB)), behind_nat, &packet);
    world.say(ALICE, 8, 1, &[1; 160]);
    assert_eq!(world.sent.last().map(|sent| sent.to), Some(behind_nat));
    // The same packet again is a replay.
    world.heard(ALICE);
    world.datagram(Local::Rtp(port(BOB)), behind_nat, &packet);
    assert!(world.heard(ALICE).is_empty());
    assert_eq!(world.quality(BOB).refused, 1_001);
}

#[test]
fn reports_are_protected_as_well() {
    let (mut world, mut phone) = world();
    world.say(ALICE, 8, 1, &[1; 160]);
    world.advance(Duration::from_secs(7));
    let report = world.sent.iter().find(|sent| sent.local == Local::Rtcp(port(BOB)));
    let mut octets = report.unwrap().octets.clone();
    let mut read = Vec::new();
    rtcp::read(&octets, |told| read.push(told));
    assert_eq!(phone.handle_datagram(world.now, party(BOB), &mut octets), Arrived::Rtcp);
    let mut opened = Vec::new();
    rtcp::read(&octets, |told| opened.push(told));
    assert!(read != opened && matches!(opened[..], [Told::Sent { ssrc: 0x2222, .. }]));
}

#[test]
fn nothing_goes_before_there_are_keys() {
    let mut world = World::bridged();
    let security = Security::Dtls {
        ice: None,
        role: None,
        fingerprint: None,
    };
    world.open(
        BOB,
        Endpoint {
            security,
            ..endpoint(BOB)
        },
    );
    world.say(ALICE, 8, 1, &[1; 160]);
    world.advance(Duration::from_secs(7));
    assert!(
        world
            .sent
            .iter()
            .all(|sent| sent.to.ip() != party(BOB).ip() || sent.octets.is_empty())
    );
    assert_eq!(world.quality(BOB).sent, 0);
    // And nothing in the clear is taken from him.
    world.say(BOB, 8, 1, &[1; 160]);
    assert!(world.heard(ALICE).is_empty());
}

#[test]
fn dtls_without_ice_comes_up_from_behind_a_nat() {
    let mut world = World::bridged();
    let (ours, theirs) = (certificate(), certificate());
    world.sessions.set_certificate(ours.clone());
    let dtls = |role, other: &Certificate| Security::Dtls {
        ice: None,
        role: Some(role),
        fingerprint: Some(other.fingerprint()),
    };
    world.command(MediaCommand::Close { leg: BOB });
    let bob = LegHandle { generation: 1, ..BOB };
    let from = SocketAddr::from(([203, 0, 113, 9], 5_555));
    world.open(
        bob,
        Endpoint {
            security: dtls(crate::media::DtlsRole::Passive, &theirs),
            latch: true,
            source: Some(from.ip()),
            ..endpoint(bob)
        },
    );
    world.hear(bob, Hear::Leg(ALICE));
    let mut phone = Secure::new(world.now, &dtls(crate::media::DtlsRole::Active, &ours), &theirs);
    let edge = SocketAddr::from(([192, 0, 2, 1], port(bob)));
    phone.set_remote(world.now, Some(edge));
    world.sent.clear();
    for _ in 0..10 {
        while let Some((_, octets)) = phone.poll_transmit() {
            world.datagram(Local::Rtp(port(bob)), from, &octets);
        }
        for mut sent in std::mem::take(&mut world.sent) {
            assert_eq!((sent.to, sent.local), (from, Local::Rtp(port(bob))));
            phone.handle_datagram(world.now, edge, &mut sent.octets);
        }
    }
    assert!(phone.is_connected());
    let mut packet = rtp(1, &[7; 160]);
    assert!(phone.protect_rtp(&mut packet));
    world.datagram(Local::Rtp(port(bob)), from, &packet);
    assert_eq!(world.events.last(), Some(&MediaEvent::Flowing { leg: bob }));
    world.say(ALICE, 8, 1, &[3; 160]);
    let mut sent = world.sent.pop().unwrap();
    assert_eq!(phone.handle_datagram(world.now, edge, &mut sent.octets), Arrived::Rtp);
    assert_eq!((sent.to, &sent.octets[12..]), (from, &[3; 160][..]));
}
