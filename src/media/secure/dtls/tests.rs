//! What hostile datagrams do to the screen and to the library behind it: nothing.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::super::super::DtlsRole;
use super::super::tests::certificate;
use super::association::Association;
use super::screen::screen;
use super::{Dtls, HANDSHAKE, Told};

fn epoch() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "the beginning of virtual time")]
    Instant::now()
}

fn record(kind: u8, epoch: u8, sequence: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![kind, 254, 253, 0, epoch, 0, 0, 0, 0, 0, sequence];
    out.extend_from_slice(&(body.len() as u16).to_be_bytes());
    out.extend_from_slice(body);
    out
}

fn handshake(kind: u8, length: u32, sequence: u16, offset: u32, fragment: &[u8]) -> Vec<u8> {
    let mut out = vec![kind];
    out.extend_from_slice(&length.to_be_bytes()[1..]);
    out.extend_from_slice(&sequence.to_be_bytes());
    out.extend_from_slice(&offset.to_be_bytes()[1..]);
    out.extend_from_slice(&(fragment.len() as u32).to_be_bytes()[1..]);
    out.extend_from_slice(fragment);
    out
}

#[test]
fn records_that_no_honest_party_sends_are_left_out() {
    for bad in [
        record(23, 0, 0, b"application data in the clear"),
        record(21, 0, 0, &[1, 0]),
        record(21, 0, 0, &[2]),
        record(20, 0, 0, &[2]),
        record(20, 0, 0, &[1, 1]),
        record(22, 2, 0, &handshake(1, 4, 0, 0, &[0; 4])),
        record(25, 1, 0, &[0; 40]),
        record(22, 0, 0, &[]),
        record(22, 0, 0, &[1, 2, 3]),
        record(22, 0, 0, &handshake(1, 4, 0, 2, &[0; 4])),
        record(22, 0, 0, &handshake(1, 4_000_000, 0, 0, &[0; 400])),
        record(22, 0, 0, &handshake(1, 400, 0, 0, &[0; 100])),
        record(22, 0, 0, &handshake(1, 400, 0, 10, &[])),
        record(22, 0, 0, &handshake(1, 4, 90, 0, &[0; 4])),
        record(22, 0, 0, &handshake(1, 40, 0, 0, &[0; 40])[..30]),
    ] {
        let screened = screen(&bad);
        assert!(screened.records.is_empty() && screened.left_out == 1, "{bad:02x?}");
    }
    let mut version = record(22, 0, 0, &handshake(1, 4, 0, 0, &[0; 4]));
    version[1] = 3;
    assert!(screen(&version).records.is_empty());
}

#[test]
fn honest_records_pass_as_they_are_and_alerts_in_the_clear_are_only_noted() {
    let hello = record(22, 0, 0, &handshake(1, 200, 0, 0, &[0; 200]));
    let screened = screen(&hello);
    assert!(screened.client_hello && screened.records == hello[..]);
    let second = record(22, 0, 1, &handshake(1, 200, 1, 0, &[0; 200]));
    assert!(!screen(&second).client_hello, "with its cookie it is not the first");
    let flight = [
        record(22, 0, 2, &handshake(11, 300, 2, 0, &[0; 150])),
        record(22, 0, 3, &handshake(11, 300, 2, 150, &[0; 150])),
        record(20, 0, 4, &[1]),
        record(22, 1, 0, &[0; 40]),
    ]
    .concat();
    assert_eq!(screen(&flight).records, flight[..]);
    let mixed = [record(21, 0, 0, &[2, 40]), hello.clone(), vec![22, 254]].concat();
    let screened = screen(&mixed);
    assert_eq!((screened.alert, screened.left_out), (Some(40), 1));
    assert_eq!(screened.records, hello[..]);
}

/// Two associations, and every datagram of their handshake.
fn flights() -> Vec<(DtlsRole, Vec<u8>)> {
    let (mine, now) = (certificate(), epoch());
    let mut active = Association::new(now, &mine, DtlsRole::Active);
    let mut passive = Association::new(now, &mine, DtlsRole::Passive);
    let mut all = Vec::new();
    for _ in 0..6 {
        while let Some(flight) = active.poll_transmit() {
            passive.handle(now, screen(&flight).records);
            all.push((DtlsRole::Active, flight));
        }
        while let Some(flight) = passive.poll_transmit() {
            active.handle(now, screen(&flight).records);
            all.push((DtlsRole::Passive, flight));
        }
    }
    assert!(all.len() >= 6, "{}", all.len());
    all
}

/// The datagrams of a handshake, one of them spoilt, then the rest: no panic, an end in time, and bounded work.
#[test]
fn spoilt_handshakes_neither_panic_nor_last() {
    let (mine, now) = (certificate(), epoch());
    let all = flights();
    let spoil = (0..all.len(), any::<proptest::sample::Index>(), any::<u8>(), 0..4u8);
    let config = ProptestConfig::with_cases(400);
    proptest!(config, |((which, index, octet, how) in spoil)| {
        for role in [DtlsRole::Active, DtlsRole::Passive] {
            let mut dtls = Dtls::new(&mine, Some(role), Some(mine.fingerprint()));
            dtls.path_is_there(now);
            for (at, (from, flight)) in all.iter().enumerate() {
                if *from == role {
                    continue;
                }
                let mut flight = flight.clone();
                if at == which {
                    let place = index.index(flight.len());
                    match how {
                        0 => flight[place] = octet,
                        1 => flight.truncate(place),
                        2 => flight.insert(place, octet),
                        _ => { flight.swap_remove(place); }
                    }
                }
                dtls.handle_datagram(now, &flight, 0);
                if let Some(association) = &dtls.association {
                    prop_assert!(!association.panicked(), "{which} {how}");
                }
            }
            let end = now + 2 * HANDSHAKE;
            let mut timers = 0;
            while let Some(at) = dtls.poll_timeout().filter(|at| *at <= end) {
                timers += 1;
                prop_assert!(timers < 200);
                if let Told::Failed(reason) = dtls.handle_timeout(at) {
                    prop_assert!(!reason.contains("panicked"), "{reason}");
                }
            }
            prop_assert_eq!(dtls.poll_timeout(), None);
        }
    });
}

/// What passes the screen is thrown at the library in any order and shape.
#[test]
fn any_records_are_survived() {
    let (mine, now) = (certificate(), epoch());
    let body = prop_oneof![
        (0..25u8, 0..300usize, 0..6u16, any::<u8>()).prop_map(|(kind, length, sequence, fill)| {
            handshake(kind, length as u32, sequence, 0, &vec![fill; length])
        }),
        (0..25u8, 128..400usize, 0..6u16, 0..400u32, any::<u8>()).prop_map(|(kind, length, sequence, offset, fill)| {
            handshake(kind, length as u32 + offset, sequence, offset, &vec![fill; length])
        }),
        proptest::collection::vec(any::<u8>(), 1..300),
        Just(vec![1]),
    ];
    let one = (20..24u8, 0..2u8, any::<u8>(), body)
        .prop_map(|(kind, epoch, sequence, body)| record(kind, epoch, sequence, &body));
    let many = proptest::collection::vec(one, 1..30);
    proptest!(ProptestConfig::with_cases(400), |(records in many)| {
        for role in [DtlsRole::Active, DtlsRole::Passive] {
            let mut association = Association::new(now, &mine, role);
            for record in &records {
                association.handle(now, screen(record).records);
                prop_assert!(!association.panicked());
            }
            association.handle_timeout(now + Duration::from_secs(1));
            prop_assert!(!association.panicked());
        }
    });
}

#[test]
fn a_flood_is_taken_up_to_its_bound_only() {
    let (mine, now) = (certificate(), epoch());
    let mut dtls = Dtls::new(&mine, Some(DtlsRole::Active), Some(mine.fingerprint()));
    dtls.path_is_there(now);
    let mut useful = 0;
    for n in 0..10_000u32 {
        // Future records, which the library keeps until it has keys.
        let mut future = record(22, 1, 0, &[0; 1_000]);
        future[7..11].copy_from_slice(&n.to_be_bytes());
        useful += usize::from(dtls.handle_datagram(now, &future, 0).1);
    }
    assert_eq!(useful, 64);
}

#[test]
fn a_forged_alert_only_shortens_the_wait() {
    let (mine, now) = (certificate(), epoch());
    let mut dtls = Dtls::new(&mine, Some(DtlsRole::Active), Some(mine.fingerprint()));
    dtls.path_is_there(now);
    dtls.handle_datagram(now, &record(21, 0, 0, &[2, 42]), 0);
    let mut passive = Association::new(now, &mine, DtlsRole::Passive);
    let mut complete = false;
    for _ in 0..6 {
        while let Some(flight) = dtls.poll_transmit() {
            passive.handle(now, screen(&flight).records);
        }
        while let Some(flight) = passive.poll_transmit() {
            complete |= matches!(dtls.handle_datagram(now, &flight, 0).0, Told::Keys(_));
        }
    }
    assert!(complete, "the handshake goes on");
}
