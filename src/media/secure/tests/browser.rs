//! `str0m`, an independent implementation, as the party: full ICE against our lite one, DTLS-SRTP, RTP and RTCP both ways.

use std::time::Duration;

use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use str0m::Event;

use super::super::super::{DtlsRole, Fingerprint, MediaFailure, Security};
use super::super::{Arrived, Kind, SecureEvent, Why};
use super::world::{Answering, World, address, certificate, certificate_with};

const ROLES: [DtlsRole; 2] = [DtlsRole::Passive, DtlsRole::Active];

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_browser_talks_and_hears_its_echo_whoever_begins_the_handshake() {
    for role in ROLES {
        let mut world = World::connected(role);
        assert_eq!(world.edge_events, [SecureEvent::Connected]);
        assert_eq!(world.edge.remote(), Some(world.public));
        for n in 0..100u8 {
            world.speak(&[n, 1, 2, 3]);
        }
        let said: Vec<Vec<u8>> = (0..100u8).map(|n| vec![n, 1, 2, 3]).collect();
        assert_eq!(world.heard(), said, "{role:?}");
        assert_eq!(world.edge.counts().total(), 0);

        world.report();
        world.speak(&[9, 9]);
        world.advance(seconds(12));
        let reports = world.arrived.iter().filter(|(arrived, _)| *arrived == Arrived::Rtcp);
        assert!(reports.count() > 0, "the browser's reports");
        let feedback = world
            .browser_events
            .iter()
            .any(|event| matches!(event, Event::SenderFeedback(_)));
        assert!(feedback, "our sender report");
    }
}

/// By what protection adds to a packet.
#[test]
fn gcm_is_taken_where_the_browser_has_it_and_sha1_otherwise() {
    let sha1 = certificate_with(SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80);
    for (certificate, tag) in [(certificate(), 16), (sha1, 10)] {
        for role in ROLES {
            let mut world = World::connected_with(role, &certificate);
            world.speak(&[5; 50]);
            assert_eq!(world.heard(), [vec![5; 50]]);
            let mut packet = vec![0x80, 111, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 1, 9, 9];
            assert!(world.edge.protect_rtp(&mut packet));
            assert_eq!(packet.len(), 14 + tag, "{role:?}");
        }
    }
}

#[test]
fn lost_datagrams_only_delay_the_handshake() {
    for role in ROLES {
        for first in 0..8 {
            let certificate = certificate();
            let mut world = World::new(&certificate);
            let answering = Answering {
                role,
                ..Answering::default()
            };
            world.lose = first..first + 3;
            let security = world.security(&answering);
            world.open(&security, &certificate);
            world.answer(&certificate, &answering);
            world.advance(seconds(29));
            assert_eq!(world.edge_events, [SecureEvent::Connected], "{role:?}, from {first} on");
        }
    }
}

#[test]
fn another_certificate_than_the_described_one_is_refused() {
    for role in ROLES {
        let certificate = certificate();
        let mut world = World::new(&certificate);
        let answering = Answering {
            role,
            ..Answering::default()
        };
        let Security::Dtls {
            ice,
            role,
            fingerprint: Some(mut fingerprint),
        } = world.security(&answering)
        else {
            panic!("DTLS");
        };
        fingerprint.0[31] ^= 1;
        let security = Security::Dtls {
            ice,
            role,
            fingerprint: Some(fingerprint),
        };
        world.open(&security, &certificate);
        world.answer(&certificate, &answering);
        world.advance(seconds(3));
        let why = "the certificate is not the described one";
        assert_eq!(world.edge_events, [SecureEvent::Failed(MediaFailure::Dtls(why.into()))]);
        world.speak(&[1, 2, 3]);
        world.advance(seconds(1));
        assert_eq!(world.taken(), Vec::<Vec<u8>>::new());
        assert!(!world.send(&[1]));
        assert!(world.heard().is_empty());
    }
}

#[test]
fn a_browser_that_refuses_our_certificate_is_told_as_failed() {
    let certificate = certificate();
    let mut world = World::new(&certificate);
    let answering = Answering {
        told_fingerprint: Some(Fingerprint([7; 32])),
        ..Answering::default()
    };
    let security = world.security(&answering);
    world.open(&security, &certificate);
    world.answer(&certificate, &answering);
    world.advance(seconds(40));
    assert!(!world.browser.is_connected());
    let failed = world
        .edge_events
        .iter()
        .any(|event| !matches!(event, SecureEvent::Connected));
    assert!(failed, "{:?}", world.edge_events);
}

#[test]
fn a_wrong_password_gets_no_answer() {
    let certificate = certificate();
    let mut world = World::new(&certificate);
    let answering = Answering {
        told_password: Some("not-the-password-of-this-edge"),
        ..Answering::default()
    };
    let security = world.security(&answering);
    world.open(&security, &certificate);
    world.answer(&certificate, &answering);
    world.advance(seconds(29));
    assert!(world.edge.counts().not_authentic > 5, "{:?}", world.edge.counts());
    assert_eq!(world.sent, []);
    assert_eq!(world.edge_events, []);
    world.advance(seconds(2));
    assert_eq!(world.edge_events, [SecureEvent::Failed(MediaFailure::Ice)]);
}

#[test]
fn a_stranger_s_stun_dtls_and_rtp_change_nothing() {
    let mut world = World::connected(DtlsRole::Passive);
    world.speak(&[1, 2, 3]);
    let stranger = address("203.0.113.66:6666");
    let sent = world.sent.len();
    for wanted in [Kind::Dtls, Kind::Rtp] {
        let datagram = world.last_on_wire(wanted);
        assert_eq!(
            world.inject(stranger, &datagram),
            Arrived::Dropped(Why::Stranger),
            "{wanted:?}"
        );
    }
    let mut forged = world.last_on_wire(Kind::Stun);
    forged[30] ^= 1;
    assert_eq!(world.inject(stranger, &forged), Arrived::Dropped(Why::Malformed));
    assert_eq!(world.edge.counts().stranger, 2);
    assert_eq!(world.sent.len(), sent, "no answer");
    assert_eq!(world.edge.remote(), Some(world.public));
    world.speak(&[4]);
    assert_eq!(world.heard(), [vec![1, 2, 3], vec![4]]);
}

#[test]
fn a_repeated_packet_is_refused() {
    let mut world = World::connected(DtlsRole::Passive);
    world.speak(&[1, 2, 3]);
    let packet = world.last_on_wire(Kind::Rtp);
    assert_eq!(world.inject(world.public, &packet), Arrived::Dropped(Why::Replayed));
    assert_eq!(world.taken().len(), 1);
}

#[test]
fn a_million_bad_packets_are_counted_and_the_call_lives() {
    let mut world = World::connected(DtlsRole::Passive);
    world.speak(&[1]);
    let from = world.public;
    let mut packet = world.last_on_wire(Kind::Rtp);
    let last = packet.len() - 1;
    packet[last] ^= 1;
    // Far enough ahead to be no repeat.
    packet[3] = packet[3].wrapping_add(100);
    for n in 0..1_000_000u32 {
        packet[8] = n as u8;
        assert_eq!(
            world.edge.handle_datagram(world.now, from, &mut packet.clone()),
            Arrived::Dropped(Why::NotAuthentic)
        );
    }
    assert_eq!(world.edge.counts().not_authentic, 1_000_000);
    world.speak(&[2]);
    assert_eq!(world.heard(), [vec![1], vec![2]]);
}

#[test]
fn audio_goes_on_while_ice_restarts_and_the_association_stays() {
    let mut world = World::connected(DtlsRole::Passive);
    let certificate = world.edge.certificate.clone();
    world.speak(&[1]);
    assert_eq!(world.edge.local_ufrags().collect::<Vec<_>>(), ["edgeufrag"]);
    world.restart_ice();
    let answering = Answering {
        local_ufrag: "second",
        local_password: "another-password-of-the-edge",
        ..Answering::default()
    };
    let security = world.security(&answering);
    world.edge.update(world.now, &security);
    assert_eq!(world.edge.local_ufrags().collect::<Vec<_>>(), ["second", "edgeufrag"]);
    assert!(world.send(&[2]), "the old pair still carries packets");
    world.answer(&certificate, &answering);
    world.advance(seconds(3));
    assert_eq!(world.edge.local_ufrags().collect::<Vec<_>>(), ["second"]);
    assert!(world.browser.is_connected());
    world.speak(&[3]);
    assert_eq!(world.heard(), [vec![1], vec![2], vec![3]]);
    assert_eq!(world.edge_events, [SecureEvent::Connected], "one handshake");
}

#[test]
fn a_browser_whose_nat_forgot_it_takes_its_audio_along() {
    let mut world = World::connected(DtlsRole::Passive);
    world.speak(&[1]);
    world.public = address("192.0.2.50:61000");
    world.speak(&[2]);
    assert_eq!(world.dropped(Why::Stranger), 1, "not before it proved itself");
    world.advance(seconds(6));
    assert_eq!(world.edge.remote(), Some(world.public), "by its next check");
    world.speak(&[3]);
    assert_eq!(world.heard(), [vec![1], vec![3]]);
}

#[test]
fn a_silent_browser_loses_consent_and_comes_back() {
    let mut world = World::connected(DtlsRole::Passive);
    world.speak(&[1]);
    world.cut = true;
    world.advance(seconds(25));
    assert!(world.send(&[2]));
    world.advance(seconds(7));
    assert_eq!(
        world.edge_events,
        [SecureEvent::Connected, SecureEvent::Failed(MediaFailure::Ice)]
    );
    assert_eq!(world.edge.remote(), None);
    assert!(!world.send(&[3]), "no consent, no packets (RFC 7675 §5.1)");
    // It restarts ICE when its network is back, as browsers do.
    world.cut = false;
    world.restart_ice();
    let answering = Answering {
        local_ufrag: "second",
        ..Answering::default()
    };
    let (security, certificate) = (world.security(&answering), world.edge.certificate.clone());
    world.edge.update(world.now, &security);
    world.answer(&certificate, &answering);
    world.advance(seconds(3));
    assert_eq!(world.edge_events.last(), Some(&SecureEvent::Connected));
    world.speak(&[4]);
    assert_eq!(world.heard(), [vec![1], vec![2], vec![4]]);
}

#[test]
fn media_from_before_the_description_waits_for_the_fingerprint() {
    let certificate = certificate();
    let mut world = World::new(&certificate);
    let answering = Answering::default();
    let security = world.security(&answering);
    let Security::Dtls { ice, .. } = security.clone() else {
        panic!("DTLS")
    };
    let early = Security::Dtls {
        ice,
        role: None,
        fingerprint: None,
    };
    world.open(&early, &certificate);
    world.answer(&certificate, &answering);
    world.advance(seconds(3));
    assert!(world.browser.is_connected());
    world.speak(&[1]);
    assert_eq!(world.edge_events, []);
    assert!(world.dropped(Why::TooEarly) >= 1);
    world.edge.update(world.now, &security);
    world.run();
    assert_eq!(world.edge_events, [SecureEvent::Connected]);
    world.speak(&[2]);
    assert_eq!(world.heard(), [vec![2]]);
}

#[test]
fn each_side_hears_that_the_other_closed() {
    let mut world = World::connected(DtlsRole::Passive);
    world.edge.close(world.now);
    world.advance(seconds(1));
    let closed = world.browser_events.iter().any(|event| matches!(event, Event::Closed));
    assert!(closed);

    let mut world = World::connected(DtlsRole::Active);
    world.browser.close().unwrap();
    world.advance(seconds(1));
    assert_eq!(world.edge_events, [SecureEvent::Connected, SecureEvent::Closed]);
}
