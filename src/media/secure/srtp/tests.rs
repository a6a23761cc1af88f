//! Repeats, roll-over, and what may not be remembered.

use bytes::Bytes;

use super::super::super::{SrtpKey, SrtpProfile};
use super::replay::Window;
use super::{RECEIVED_STREAMS, Receiver, Refused, SENT_STREAMS, Sender};

const PROFILES: [SrtpProfile; 3] = [
    SrtpProfile::AeadAes128Gcm,
    SrtpProfile::AesCm128HmacSha1_80,
    SrtpProfile::AesCm128HmacSha1_32,
];

pub(in super::super) fn key(profile: SrtpProfile, seed: u8) -> SrtpKey {
    let length = match profile {
        SrtpProfile::AeadAes128Gcm => 28,
        SrtpProfile::AesCm128HmacSha1_80 | SrtpProfile::AesCm128HmacSha1_32 => 30,
    };
    SrtpKey {
        profile,
        key_and_salt: (0..length).map(|n: u8| n.wrapping_mul(37) ^ seed).collect::<Bytes>(),
    }
}

pub(in super::super) fn rtp(ssrc: u32, sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(&[0, 0, 0, 1]);
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend_from_slice(&[0x5a; 160]);
    packet
}

fn pair(profile: SrtpProfile) -> (Sender, Receiver) {
    let key = key(profile, 1);
    (Sender::new(&key).expect("key"), Receiver::new(&key).expect("key"))
}

#[test]
fn a_stream_crosses_the_end_of_its_sequence_numbers_twice() {
    for profile in PROFILES {
        let (mut sender, mut receiver) = pair(profile);
        for n in 0..65_536u32 + 100 {
            let clear = rtp(7, 65_530u16.wrapping_add(n as u16));
            let mut packet = clear.clone();
            assert!(sender.protect_rtp(&mut packet));
            assert_ne!(packet.get(12..172), clear.get(12..172), "the payload is encrypted");
            assert_eq!(receiver.open_rtp(&mut packet), Ok(()), "{profile:?}, packet {n}");
            assert_eq!(packet, clear);
        }
        assert_eq!(receiver.streams[0].rtp.index(0).map(|index| index >> 16), Some(2));
    }
}

#[test]
fn a_packet_that_was_overtaken_at_the_roll_over_is_still_read() {
    let (mut sender, mut receiver) = pair(SrtpProfile::AeadAes128Gcm);
    let mut sealed: Vec<Vec<u8>> = [65_534, 65_535, 0, 1]
        .map(|sequence| {
            let mut packet = rtp(7, sequence);
            assert!(sender.protect_rtp(&mut packet));
            packet
        })
        .into();
    for at in [0, 2, 1, 3] {
        assert_eq!(receiver.open_rtp(&mut sealed[at]), Ok(()), "packet {at}");
    }
}

#[test]
fn a_repeated_packet_is_refused() {
    for profile in PROFILES {
        let (mut sender, mut receiver) = pair(profile);
        let mut first = rtp(7, 10);
        assert!(sender.protect_rtp(&mut first));
        let again = first.clone();
        assert_eq!(receiver.open_rtp(&mut first), Ok(()));
        assert_eq!(receiver.open_rtp(&mut again.clone()), Err(Refused::Replayed));
        for sequence in 11..200 {
            let mut packet = rtp(7, sequence);
            assert!(sender.protect_rtp(&mut packet));
            assert_eq!(receiver.open_rtp(&mut packet), Ok(()));
        }
        assert_eq!(
            receiver.open_rtp(&mut again.clone()),
            Err(Refused::Replayed),
            "older than the window"
        );

        let mut report = vec![0x80, 201, 0, 1, 0, 0, 0, 7];
        assert!(sender.protect_rtcp(&mut report));
        let again = report.clone();
        assert_eq!(receiver.open_rtcp(&mut report), Ok(()));
        assert_eq!(receiver.open_rtcp(&mut again.clone()), Err(Refused::Replayed));
    }
}

#[test]
fn a_repeat_from_before_the_roll_over_is_refused() {
    let (mut sender, mut receiver) = pair(SrtpProfile::AesCm128HmacSha1_80);
    let mut old = Vec::new();
    for n in 0..70_000u32 {
        let mut packet = rtp(7, n as u16);
        assert!(sender.protect_rtp(&mut packet));
        if n == 5_000 {
            old = packet.clone();
        }
        assert_eq!(receiver.open_rtp(&mut packet), Ok(()));
    }
    // The same sequence number is fresh again, under a roll-over counter that the tag does not have.
    assert_eq!(receiver.open_rtp(&mut old), Err(Refused::NotAuthentic));
}

#[test]
fn every_changed_octet_is_noticed() {
    for profile in PROFILES {
        let (mut sender, mut receiver) = pair(profile);
        let mut sealed = rtp(7, 10);
        assert!(sender.protect_rtp(&mut sealed));
        let mut report = vec![0x80, 201, 0, 2, 0, 0, 0, 7, 1, 2, 3, 4];
        assert!(sender.protect_rtcp(&mut report));
        for at in 0..sealed.len() {
            let mut forged = sealed.clone();
            forged[at] ^= 0x10;
            assert!(
                receiver.open_rtp(&mut forged).is_err(),
                "{profile:?}: octet {at} of RTP"
            );
        }
        for at in 0..report.len() {
            let mut forged = report.clone();
            forged[at] ^= 0x10;
            assert!(
                receiver.open_rtcp(&mut forged).is_err(),
                "{profile:?}: octet {at} of RTCP"
            );
        }
        assert_eq!(receiver.open_rtp(&mut sealed), Ok(()));
        assert_eq!(receiver.open_rtcp(&mut report), Ok(()));
    }
}

#[test]
fn short_packets_and_those_in_the_clear_are_refused() {
    for profile in PROFILES {
        let (mut sender, mut receiver) = pair(profile);
        let mut sealed = rtp(7, 10);
        assert!(sender.protect_rtp(&mut sealed));
        for length in 0..sealed.len() {
            assert!(receiver.open_rtp(&mut sealed[..length].to_vec()).is_err());
        }
        let mut report = vec![0x80, 201, 0, 1, 0, 0, 0, 7];
        assert!(sender.protect_rtcp(&mut report));
        for length in 0..report.len() {
            assert!(receiver.open_rtcp(&mut report[..length].to_vec()).is_err());
        }
        assert_eq!(
            receiver.open_rtcp(&mut vec![0x80, 201, 0, 1, 0, 0, 0, 7]),
            Err(Refused::Malformed)
        );
        assert!(receiver.streams.is_empty(), "nothing is remembered of it");
    }
}

#[test]
fn a_million_forged_packets_of_as_many_streams_leave_no_trace() {
    let (mut sender, mut receiver) = pair(SrtpProfile::AeadAes128Gcm);
    let mut first = rtp(7, 10);
    assert!(sender.protect_rtp(&mut first));
    assert_eq!(receiver.open_rtp(&mut first), Ok(()));
    let mut forged = Vec::with_capacity(64);
    for n in 0..1_000_000u32 {
        forged.clear();
        forged.extend_from_slice(&[0x80, 0, 0, 11, 0, 0, 0, 0]);
        forged.extend_from_slice(&n.to_be_bytes());
        forged.extend_from_slice(&[n as u8; 36]);
        assert_eq!(receiver.open_rtp(&mut forged), Err(Refused::NotAuthentic));
    }
    assert_eq!(receiver.streams.len(), 1);
    let mut second = rtp(7, 11);
    assert!(sender.protect_rtp(&mut second));
    assert_eq!(receiver.open_rtp(&mut second), Ok(()), "the call lives");
}

#[test]
fn streams_are_bounded_and_the_one_in_use_stays() {
    let (mut sender, mut receiver) = pair(SrtpProfile::AeadAes128Gcm);
    let sealed = |ssrc, sequence| {
        let mut sender = Sender::new(&key(SrtpProfile::AeadAes128Gcm, 1)).expect("key");
        let mut packet = rtp(ssrc, sequence);
        assert!(sender.protect_rtp(&mut packet));
        packet
    };
    for ssrc in 0..3 * RECEIVED_STREAMS as u32 {
        assert_eq!(receiver.open_rtp(&mut sealed(1_000, ssrc as u16)), Ok(()), "in use");
        assert_eq!(receiver.open_rtp(&mut sealed(ssrc, 1)), Ok(()));
    }
    assert_eq!(receiver.streams.len(), RECEIVED_STREAMS);
    assert_eq!(
        receiver.open_rtp(&mut sealed(1_000, 5)),
        Err(Refused::Replayed),
        "its window is kept"
    );

    for ssrc in 0..SENT_STREAMS as u32 {
        assert!(sender.protect_rtp(&mut rtp(ssrc, 1)));
    }
    assert!(
        !sender.protect_rtp(&mut rtp(99, 1)),
        "a forgotten stream would repeat its keystream"
    );
    assert!(sender.protect_rtp(&mut rtp(0, 2)));
    assert!(!sender.protect_rtp(&mut rtp(0, 2)), "an index is used once");
}

#[test]
fn the_window_knows_128_packets() {
    let mut window = Window::default();
    window.accept(1_000);
    assert!(!window.fresh(1_000));
    assert!(window.fresh(1_000 - 127));
    assert!(!window.fresh(1_000 - 128));
    window.accept(1_000 - 127);
    assert!(!window.fresh(1_000 - 127));
    window.accept(1_001);
    assert!(!window.fresh(1_000) && !window.fresh(1_001) && window.fresh(999));
    window.accept(5_000);
    assert!(window.fresh(4_999) && !window.fresh(1_001));
}

#[test]
fn the_first_packets_may_be_out_of_order_but_not_before_the_beginning() {
    let mut window = Window::default();
    window.accept(3);
    assert_eq!(window.index(2), Some(2));
    assert_eq!(window.index(65_535), None, "there is no roll-over counter below 0");
}

#[test]
fn keys_of_a_wrong_length_are_refused() {
    for (profile, length) in [
        (SrtpProfile::AeadAes128Gcm, 30),
        (SrtpProfile::AesCm128HmacSha1_80, 28),
        (SrtpProfile::AesCm128HmacSha1_32, 0),
    ] {
        let key = SrtpKey {
            profile,
            key_and_salt: Bytes::from(vec![0; length]),
        };
        assert!(Sender::new(&key).is_none());
        assert!(Receiver::new(&key).is_none());
    }
}

#[test]
fn a_stream_of_a_process_before_is_read_at_whatever_roll_over_it_is() {
    for profile in PROFILES {
        let (mut sender, mut first) = pair(profile);
        let mut last = Vec::new();
        // 2.4 times round.
        for n in 0..160_000u32 {
            last = rtp(7, n as u16);
            assert!(sender.protect_rtp(&mut last));
        }
        assert_eq!(first.open_rtp(&mut last.clone()), Err(Refused::NotAuthentic));
        let mut second = Receiver::new(&key(profile, 1)).expect("key");
        second.adopt();
        let strange = vec![0x80; 200];
        assert_eq!(second.open_rtp(&mut strange.clone()), Err(Refused::NotAuthentic));
        assert_eq!(second.open_rtp(&mut last.clone()), Ok(()), "{profile:?}");
        assert_eq!(second.open_rtp(&mut last), Err(Refused::Replayed), "{profile:?}");
        let mut next = rtp(7, 160_000u32 as u16);
        assert!(sender.protect_rtp(&mut next));
        assert_eq!(second.open_rtp(&mut next), Ok(()), "{profile:?}");
    }
}
