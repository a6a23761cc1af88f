//! Without ICE: keys in descriptions (SDES), DTLS with a SIP phone (another endpoint of ours), nothing at all.

use std::time::Duration;

use super::super::super::{DtlsRole, Fingerprint, MediaFailure, Security, SrtpKey, SrtpProfile};
use super::super::srtp::tests::{key, rtp};
use super::super::{Arrived, Certificate, Kind, Secure, SecureEvent, Why, kind, stun_username};
use super::world::{address, certificate, epoch};

fn sdes(ours: &SrtpKey, theirs: Option<&SrtpKey>) -> Security {
    Security::Sdes {
        ours: ours.clone(),
        theirs: theirs.cloned(),
    }
}

/// Sends a packet from one to the other.
fn carry(from: &mut Secure, to: &mut Secure, ssrc: u32, sequence: u16) -> Arrived {
    let clear = rtp(ssrc, sequence);
    let mut packet = clear.clone();
    assert!(from.protect_rtp(&mut packet));
    let arrived = to.handle_datagram(epoch(), address("192.0.2.9:4000"), &mut packet);
    if arrived == Arrived::Rtp {
        assert_eq!(packet, clear);
    }
    arrived
}

#[test]
fn keys_of_descriptions_protect_both_ways_across_the_roll_over() {
    let certificate = certificate();
    for profile in [
        SrtpProfile::AeadAes128Gcm,
        SrtpProfile::AesCm128HmacSha1_80,
        SrtpProfile::AesCm128HmacSha1_32,
    ] {
        let (a, b) = (key(profile, 1), key(profile, 2));
        let mut edge = Secure::new(epoch(), &sdes(&a, Some(&b)), &certificate);
        let mut phone = Secure::new(epoch(), &sdes(&b, Some(&a)), &certificate);
        assert_eq!(edge.poll_event(), Some(SecureEvent::Connected));
        for n in 0..300 {
            assert_eq!(
                carry(&mut edge, &mut phone, 1, 65_400u16.wrapping_add(n)),
                Arrived::Rtp,
                "{n}"
            );
            assert_eq!(
                carry(&mut phone, &mut edge, 2, 65_400u16.wrapping_add(n)),
                Arrived::Rtp,
                "{n}"
            );
            if n == 200 {
                // A re-INVITE with the same keys, after the roll-over (LESSONS 30).
                edge.update(epoch(), &sdes(&a, Some(&b)));
                phone.update(epoch(), &sdes(&b, Some(&a)));
            }
        }
        let mut report = vec![0x80, 201, 0, 1, 0, 0, 0, 1];
        assert!(edge.protect_rtcp(&mut report));
        assert_ne!(report.get(..8), None);
        assert_eq!(
            phone.handle_datagram(epoch(), address("192.0.2.9:4001"), &mut report),
            Arrived::Rtcp
        );
        assert_eq!(report, [0x80, 201, 0, 1, 0, 0, 0, 1]);
        assert_eq!(edge.counts().total() + phone.counts().total(), 0);
        assert_eq!(edge.poll_event(), None, "told once");
    }
}

#[test]
fn media_before_the_party_s_key_is_early_and_sending_goes() {
    let certificate = certificate();
    let (a, b) = (key(SrtpProfile::AeadAes128Gcm, 1), key(SrtpProfile::AeadAes128Gcm, 2));
    let mut edge = Secure::new(epoch(), &sdes(&a, None), &certificate);
    let mut phone = Secure::new(epoch(), &sdes(&b, Some(&a)), &certificate);
    assert_eq!(carry(&mut phone, &mut edge, 2, 1), Arrived::Dropped(Why::TooEarly));
    assert_eq!(carry(&mut edge, &mut phone, 1, 1), Arrived::Rtp);
    assert_eq!(edge.poll_event(), None);
    edge.update(epoch(), &sdes(&a, Some(&b)));
    assert_eq!(edge.poll_event(), Some(SecureEvent::Connected));
    assert_eq!(carry(&mut phone, &mut edge, 2, 2), Arrived::Rtp);
    assert_eq!(edge.counts().too_early, 1);
}

#[test]
fn a_new_key_takes_over_and_the_old_one_serves_until_it_does() {
    let certificate = certificate();
    let (a, old) = (
        key(SrtpProfile::AeadAes128Gcm, 1),
        key(SrtpProfile::AesCm128HmacSha1_80, 2),
    );
    let new = key(SrtpProfile::AeadAes128Gcm, 3);
    let mut edge = Secure::new(epoch(), &sdes(&a, Some(&old)), &certificate);
    let mut before = Secure::new(epoch(), &sdes(&old, Some(&a)), &certificate);
    let mut after = Secure::new(epoch(), &sdes(&new, Some(&a)), &certificate);
    assert_eq!(carry(&mut before, &mut edge, 2, 1), Arrived::Rtp);
    edge.update(epoch(), &sdes(&a, Some(&new)));
    assert_eq!(
        carry(&mut before, &mut edge, 2, 2),
        Arrived::Rtp,
        "on its way when the key changed"
    );
    assert_eq!(carry(&mut after, &mut edge, 2, 3), Arrived::Rtp);
    assert_eq!(carry(&mut before, &mut edge, 2, 4), Arrived::Dropped(Why::NotAuthentic));
}

#[test]
fn plain_rtp_passes_and_nothing_else_does() {
    let certificate = certificate();
    let mut edge = Secure::new(epoch(), &Security::None, &certificate);
    let from = address("192.0.2.9:4000");
    let mut take = |mut octets: Vec<u8>| edge.handle_datagram(epoch(), from, &mut octets);
    assert_eq!(take(rtp(1, 1)), Arrived::Rtp);
    assert_eq!(take(vec![0x80, 201, 0, 1, 0, 0, 0, 1]), Arrived::Rtcp);
    assert_eq!(take(vec![0x80, 0, 0]), Arrived::Dropped(Why::Malformed));
    assert_eq!(take(vec![0x80, 201, 0]), Arrived::Dropped(Why::Malformed));
    assert_eq!(take(vec![22, 254, 253]), Arrived::Dropped(Why::NotForUs));
    assert_eq!(
        take(b"\0\x01\0\0\x21\x12\xa4\x42transaction!".to_vec()),
        Arrived::Dropped(Why::NotForUs)
    );
    assert_eq!(take(Vec::new()), Arrived::Dropped(Why::NotForUs));
    assert_eq!(edge.counts().total(), 5);
    assert!(edge.protect_rtp(&mut rtp(1, 1)) && edge.protect_rtp(&mut rtp(1, 1)));
}

#[test]
fn a_downgrade_takes_effect_only_as_a_whole() {
    let certificate = certificate();
    let (a, b) = (key(SrtpProfile::AeadAes128Gcm, 1), key(SrtpProfile::AeadAes128Gcm, 2));
    let mut edge = Secure::new(epoch(), &sdes(&a, Some(&b)), &certificate);
    let from = address("192.0.2.9:4000");
    assert!(matches!(
        edge.handle_datagram(epoch(), from, &mut rtp(2, 1)),
        Arrived::Dropped(Why::NotAuthentic)
    ));
}

struct Phones {
    certificates: [Certificate; 2],
    ends: [Secure; 2],
    now: std::time::Instant,
}

impl Phones {
    /// The first one is active.
    fn new(told: Option<Fingerprint>) -> Phones {
        let certificates = [certificate(), certificate()];
        let now = epoch();
        let security = |role, fingerprint| Security::Dtls {
            ice: None,
            role: Some(role),
            fingerprint: Some(fingerprint),
        };
        let second = told.unwrap_or(certificates[1].fingerprint());
        let ends = [
            Secure::new(now, &security(DtlsRole::Active, second), &certificates[0]),
            Secure::new(
                now,
                &security(DtlsRole::Passive, certificates[0].fingerprint()),
                &certificates[1],
            ),
        ];
        Phones {
            certificates,
            ends,
            now,
        }
    }

    fn address(at: usize) -> std::net::SocketAddr {
        address(["192.0.2.1:4000", "192.0.2.2:4000"][at])
    }

    fn introduce(&mut self) {
        for at in [0, 1] {
            self.ends[at].set_remote(self.now, Some(Phones::address(1 - at)));
        }
        self.run();
    }

    fn run(&mut self) {
        let mut quiet = 0;
        while quiet < 2 {
            quiet += 1;
            for at in [0, 1] {
                while let Some((to, mut datagram)) = self.ends[at].poll_transmit() {
                    assert_eq!(to, Phones::address(1 - at));
                    self.ends[1 - at].handle_datagram(self.now, Phones::address(at), &mut datagram);
                    quiet = 0;
                }
            }
        }
    }

    fn advance(&mut self, by: Duration) {
        let end = self.now + by;
        while let Some(at) = self
            .ends
            .iter()
            .filter_map(Secure::poll_timeout)
            .min()
            .filter(|at| *at <= end)
        {
            assert!(at >= self.now, "a timer of the past");
            self.now = at;
            for end in &mut self.ends {
                end.handle_timeout(at);
            }
            self.run();
        }
        self.now = end;
    }
}

#[test]
fn two_sip_phones_shake_hands_without_ice() {
    let mut phones = Phones::new(None);
    assert_eq!(phones.ends[0].poll_transmit(), None, "nowhere to send to");
    phones.introduce();
    for end in &mut phones.ends {
        assert_eq!(end.poll_event(), Some(SecureEvent::Connected));
        assert!(end.is_connected());
    }
    let [a, b] = &mut phones.ends;
    assert_eq!(carry(a, b, 1, 1), Arrived::Rtp);
    assert_eq!(carry(b, a, 2, 1), Arrived::Rtp);
    assert_eq!(
        phones.ends.iter().filter_map(Secure::poll_timeout).min(),
        None,
        "nothing is left to wait for"
    );
}

#[test]
fn dtls_from_elsewhere_is_a_stranger_s() {
    let mut phones = Phones::new(None);
    phones.ends[0].set_remote(phones.now, Some(Phones::address(1)));
    let (_, hello) = phones.ends[0].poll_transmit().unwrap();
    let passive = &mut phones.ends[1];
    for known in [None, Some(Phones::address(0))] {
        passive.set_remote(phones.now, known);
        let arrived = passive.handle_datagram(phones.now, address("203.0.113.1:1"), &mut hello.clone());
        assert_eq!(arrived, Arrived::Dropped(Why::Stranger));
        assert_eq!(passive.poll_transmit(), None);
    }
    let arrived = passive.handle_datagram(phones.now, Phones::address(0), &mut hello.clone());
    assert_eq!(arrived, Arrived::Consumed);
}

#[test]
fn a_handshake_that_nobody_answers_fails_after_thirty_seconds() {
    let mut phones = Phones::new(None);
    phones.ends[0].set_remote(phones.now, Some(Phones::address(1)));
    let mut hellos = 0;
    let start = phones.now;
    while let Some(at) = phones.ends[0].poll_timeout() {
        phones.ends[0].handle_timeout(at);
        phones.now = at;
        while phones.ends[0].poll_transmit().is_some() {
            hellos += 1;
        }
    }
    assert_eq!(phones.now, start + Duration::from_secs(30));
    assert!((40..80).contains(&hellos), "{hellos}");
    let Some(SecureEvent::Failed(MediaFailure::Dtls(_))) = phones.ends[0].poll_event() else {
        panic!("failed");
    };
    assert_eq!(phones.ends[0].poll_event(), None);
}

#[test]
fn the_same_description_again_keeps_the_association_and_another_fingerprint_begins_anew() {
    let mut phones = Phones::new(None);
    phones.introduce();
    let [a, b] = &mut phones.ends;
    assert_eq!(carry(a, b, 1, 60_000), Arrived::Rtp);
    let security = |role, certificate: &Certificate| Security::Dtls {
        ice: None,
        role: Some(role),
        fingerprint: Some(certificate.fingerprint()),
    };
    let again = security(DtlsRole::Active, &phones.certificates[1]);
    a.update(phones.now, &again);
    assert_eq!(a.poll_transmit(), None);
    assert_eq!(carry(a, b, 1, 60_001), Arrived::Rtp);

    // The call moves to another phone, which has its own certificate.
    let third = certificate();
    let mut other = Secure::new(
        phones.now,
        &security(DtlsRole::Passive, &phones.certificates[0]),
        &third,
    );
    other.set_remote(phones.now, Some(Phones::address(0)));
    a.update(phones.now, &security(DtlsRole::Active, &third));
    phones.ends[1] = other;
    phones.run();
    let [a, other] = &mut phones.ends;
    assert_eq!(carry(a, other, 1, 60_002), Arrived::Rtp);
    assert_eq!(carry(other, a, 3, 1), Arrived::Rtp);
}

#[test]
fn a_wrong_fingerprint_between_phones_is_refused_by_who_knows_it() {
    let mut phones = Phones::new(Some(Fingerprint([1; 32])));
    phones.introduce();
    phones.advance(Duration::from_secs(60));
    assert!(matches!(
        phones.ends[0].poll_event(),
        Some(SecureEvent::Failed(MediaFailure::Dtls(_)))
    ));
    assert!(!phones.ends[0].is_connected());
    assert!(!phones.ends[0].protect_rtp(&mut rtp(1, 1)));
}

#[test]
fn closing_says_goodbye() {
    let mut phones = Phones::new(None);
    phones.introduce();
    phones.ends[0].close(phones.now);
    phones.run();
    assert_eq!(phones.ends[1].poll_event(), Some(SecureEvent::Connected));
    assert_eq!(phones.ends[1].poll_event(), Some(SecureEvent::Closed));
    assert!(!phones.ends[0].protect_rtp(&mut rtp(1, 1)));
    assert!(!phones.ends[1].protect_rtp(&mut rtp(1, 1)));
}

#[test]
fn datagrams_are_told_apart_by_their_first_octets() {
    let stun = b"\0\x01\0\0\x21\x12\xa4\x42transaction!";
    assert_eq!(kind(stun), Kind::Stun);
    assert_eq!(
        kind(b"\0\x01\0\0\x21\x12\xa4\x43transaction!"),
        Kind::Unknown,
        "RFC 3489 has no cookie"
    );
    for first in 0..=255u8 {
        let mut datagram = [first, 96, 0, 0, 0x21, 0x12, 0xa4, 0x42];
        let expected = match first {
            0..=3 => Kind::Stun,
            20..=63 => Kind::Dtls,
            128..=191 => Kind::Rtp,
            _ => Kind::Unknown,
        };
        assert_eq!(kind(&datagram), expected, "{first}");
        datagram[1] = 200;
        if expected == Kind::Rtp {
            assert_eq!(kind(&datagram), Kind::Rtcp);
        }
    }
    assert_eq!(kind(&[0x80]), Kind::Unknown);
    assert_eq!(kind(&[]), Kind::Unknown);
    assert_eq!(stun_username(stun), None);
    assert_eq!(stun_username(&[]), None);
}
