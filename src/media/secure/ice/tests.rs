//! Checks written by hand: who may nominate, what is answered, what is kept.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::super::super::IceCredentials;
use super::stun::{Class, Message, attribute, seal, stun_username};
use super::{CONSENT, Checked, IceLite, PAIRS};

const PASSWORD: &str = "edge-password-of-22-characters";

fn epoch() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "the beginning of virtual time")]
    Instant::now()
}

fn credentials(local: &str, remote: &str) -> IceCredentials {
    IceCredentials {
        local_ufrag: local.into(),
        local_password: PASSWORD.into(),
        remote_ufrag: remote.into(),
        remote_password: "not used by a lite agent".into(),
    }
}

fn party(last: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, last], 4_000))
}

/// A binding request as a full agent writes it.
struct Check {
    username: &'static str,
    password: &'static str,
    priority: u32,
    nominate: bool,
    more: Vec<(u16, Vec<u8>)>,
}

impl Check {
    fn new() -> Check {
        Check {
            username: "edge:party",
            password: PASSWORD,
            priority: 100,
            nominate: false,
            more: vec![(0x802a, vec![1; 8])],
        }
    }

    fn nominating(priority: u32) -> Check {
        Check {
            priority,
            nominate: true,
            ..Check::new()
        }
    }

    fn octets(&self) -> Vec<u8> {
        let mut out = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
        out.extend_from_slice(b"transaction!");
        attribute(&mut out, 0x0006, self.username.as_bytes());
        attribute(&mut out, 0x0024, &self.priority.to_be_bytes());
        for (kind, value) in &self.more {
            attribute(&mut out, *kind, value);
        }
        if self.nominate {
            attribute(&mut out, 0x0025, &[]);
        }
        seal(&mut out, self.password);
        out
    }
}

fn answered(checked: &Checked) -> &[u8] {
    match checked {
        Checked::Answer(answer) => answer,
        Checked::Ignored | Checked::Malformed | Checked::NotAuthentic => panic!("no answer: {checked:?}"),
    }
}

/// The value of an attribute of an answer.
fn value(message: &[u8], wanted: u16) -> Option<&[u8]> {
    let mut at = 20;
    while at < message.len() {
        let kind = u16::from_be_bytes([message[at], message[at + 1]]);
        let size = usize::from(u16::from_be_bytes([message[at + 2], message[at + 3]]));
        if kind == wanted {
            return Some(&message[at + 4..at + 4 + size]);
        }
        at += 4 + size.next_multiple_of(4);
    }
    None
}

fn error_code(message: &[u8]) -> Option<u16> {
    value(message, 0x0009).map(|value| u16::from(value[2]) * 100 + u16::from(value[3]))
}

fn ice(now: Instant) -> IceLite {
    IceLite::new(now, &credentials("edge", "party"))
}

/// RFC 5769 §2.1, with the padding of spaces that it has.
#[test]
fn the_sample_request_of_rfc_5769_is_read_and_authentic() {
    let request: Vec<u8> = [
        "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74",
        "002400046e0001ff80290008932ff9b151263b36000600096576746a3a68367659202020",
        "000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf",
    ]
    .concat()
    .as_bytes()
    .chunks(2)
    .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).expect("digits"), 16).expect("digits"))
    .collect();
    let message = Message::read(&request).expect("a message");
    assert_eq!(message.class, Class::Request);
    assert_eq!(message.username, Some(("evtj", "h6vY")));
    assert_eq!(message.priority, 0x6e00_01ff);
    assert!(message.controlled && !message.controlling && !message.use_candidate);
    assert!(message.authentic("VOkJxbRl1RmTxUk/WvJxBt"));
    assert!(!message.authentic("VOkJxbRl1RmTxUk/WvJxBu"));
    assert_eq!(stun_username(&request), Some(("evtj", "h6vY")));
    for at in 0..request.len() {
        let mut forged = request.clone();
        forged[at] ^= 1;
        assert!(Message::read(&forged).is_none(), "octet {at} is under FINGERPRINT");
        assert!(Message::read(&request[..at]).is_none());
    }
}

/// RFC 5769 §2.2 and §2.3 give the same transaction's mapped addresses.
#[test]
fn an_answer_tells_the_address_that_the_check_came_from() {
    let now = epoch();
    let mut ice = ice(now);
    for (from, expected) in [
        ("192.0.2.1:32853", &[0u8, 1, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43][..]),
        ("[::ffff:192.0.2.1]:32853", &[0, 1, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43]),
    ] {
        let from = from.parse::<SocketAddr>().expect("address");
        let checked = ice.handle_stun(now, from, &Check::new().octets());
        let answer = answered(&checked);
        assert_eq!(&answer[..2], [1, 1]);
        assert_eq!(&answer[8..20], b"transaction!");
        assert_eq!(value(answer, 0x0020), Some(expected));
        assert!(Message::read(answer).is_some_and(|message| message.authentic(PASSWORD)));
    }
    let from = "[2001:db8::1]:9".parse::<SocketAddr>().expect("address");
    let checked = ice.handle_stun(now, from, &Check::new().octets());
    let mapped = value(answered(&checked), 0x0020).expect("mapped");
    assert_eq!(mapped[1], 2);
    assert_eq!(mapped[4..8], [0x20 ^ 0x21, 0x01 ^ 0x12, 0x0d ^ 0xa4, 0xb8 ^ 0x42]);
    assert_eq!(mapped[8..20], *b"transaction\x20", "the last octet of the address is 1");
}

#[test]
fn only_the_right_name_password_and_fingerprint_are_answered() {
    let now = epoch();
    let mut ice = ice(now);
    let other = |username, password| {
        Check {
            username,
            password,
            ..Check::new()
        }
        .octets()
    };
    for request in [
        other("edge:other", PASSWORD),
        other("other:party", PASSWORD),
        other("edge", PASSWORD),
        other("", PASSWORD),
        other("edge:party", "wrong"),
    ] {
        assert_eq!(ice.handle_stun(now, party(1), &request), Checked::NotAuthentic);
    }
    let mut bare = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    bare.extend_from_slice(b"transaction!");
    assert_eq!(
        ice.handle_stun(now, party(1), &bare),
        Checked::Malformed,
        "no FINGERPRINT"
    );
    let mut answer = Check::new().octets();
    answer[0] = 1;
    assert_eq!(ice.handle_stun(now, party(1), &answer), Checked::Malformed);
    assert!(!ice.validated(now, party(1)));
    assert_eq!(ice.selected(), None);
}

/// What follows MESSAGE-INTEGRITY is not the party's (RFC 8489 §14.5).
#[test]
fn a_nomination_smuggled_in_behind_the_integrity_does_not_count() {
    let now = epoch();
    let mut ice = ice(now);
    let mut request = Check::new().octets();
    request.truncate(request.len() - 8);
    let good_tag = request.clone();
    attribute(&mut request, 0x0025, &[]);
    let mut sealed = request.clone();
    seal(&mut sealed, "whatever");
    // Take the forged FINGERPRINT of a message with two MESSAGE-INTEGRITY attributes; the first one is right.
    assert!(sealed.starts_with(&good_tag[4..4]));
    let checked = ice.handle_stun(now, party(1), &sealed);
    assert!(matches!(checked, Checked::Answer(_)));
    assert!(ice.validated(now, party(1)));
    assert_eq!(ice.selected(), None);
}

#[test]
fn both_sides_controlled_is_a_role_conflict_and_nonsense_is_refused() {
    let now = epoch();
    let mut ice = ice(now);
    let with = |more| {
        Check {
            more,
            nominate: true,
            ..Check::new()
        }
        .octets()
    };
    let conflict = ice.handle_stun(now, party(1), &with(vec![(0x8029, vec![1; 8])]));
    assert_eq!(error_code(answered(&conflict)), Some(487));
    let both = ice.handle_stun(now, party(1), &with(vec![(0x8029, vec![1; 8]), (0x802a, vec![1; 8])]));
    assert_eq!(error_code(answered(&both)), Some(400));
    let unknown = ice.handle_stun(now, party(1), &with(vec![(0x7abc, vec![1; 3])]));
    assert_eq!(error_code(answered(&unknown)), Some(420));
    assert_eq!(value(answered(&unknown), 0x000a), Some(&[0x7a, 0xbc][..]));
    assert!(Message::read(answered(&unknown)).is_some_and(|message| message.authentic(PASSWORD)));
    let fine = ice.handle_stun(now, party(1), &with(vec![(0xc057, vec![1; 4])]));
    assert_eq!(
        error_code(answered(&fine)),
        None,
        "what need not be understood is ignored"
    );
}

#[test]
fn a_refused_check_makes_no_pair() {
    let now = epoch();
    let mut ice = ice(now);
    let request = Check {
        more: vec![(0x8029, vec![1; 8])],
        nominate: true,
        ..Check::new()
    }
    .octets();
    ice.handle_stun(now, party(1), &request);
    assert!(!ice.validated(now, party(1)));
    assert_eq!(ice.selected(), None);
}

#[test]
fn a_party_that_nominates_regularly_moves_to_its_latest_pair() {
    let now = epoch();
    let mut ice = ice(now);
    for last in [1, 2] {
        ice.handle_stun(now, party(last), &Check::new().octets());
    }
    assert_eq!(ice.selected(), None, "a check does not nominate");
    ice.handle_stun(now, party(1), &Check::nominating(200).octets());
    assert_eq!(ice.selected(), Some(party(1)));
    ice.handle_stun(now, party(2), &Check::nominating(50).octets());
    assert_eq!(
        ice.selected(),
        Some(party(2)),
        "a worse network, but the one it is on now"
    );
}

#[test]
fn a_party_that_nominates_every_pair_stays_on_the_best() {
    let mut now = epoch();
    let mut ice = ice(now);
    for _ in 0..3 {
        for (last, priority) in [(1, 10), (2, 200), (3, 50)] {
            ice.handle_stun(now, party(last), &Check::nominating(priority).octets());
        }
        assert_eq!(ice.selected(), Some(party(2)));
        now += Duration::from_secs(2);
    }
    now += Duration::from_secs(5);
    ice.handle_stun(now, party(3), &Check::nominating(50).octets());
    assert_eq!(ice.selected(), Some(party(3)), "the best one fell silent");
}

#[test]
fn a_pair_lives_for_thirty_seconds_after_a_check() {
    let start = epoch();
    let mut ice = ice(start);
    ice.handle_stun(start, party(1), &Check::nominating(1).octets());
    let mut now = start + Duration::from_secs(20);
    ice.handle_stun(now, party(1), &Check::new().octets());
    assert_eq!(ice.poll_timeout(), Some(now + CONSENT));
    now += CONSENT - Duration::from_millis(1);
    assert!(!ice.handle_timeout(now) && ice.validated(now, party(1)));
    now += Duration::from_millis(1);
    assert!(!ice.validated(now, party(1)), "even before the timer");
    assert!(ice.handle_timeout(now));
    assert_eq!(ice.selected(), None);
    assert!(!ice.handle_timeout(now + CONSENT), "told once");
    assert_eq!(ice.poll_timeout(), None);
    ice.handle_stun(now, party(1), &Check::nominating(1).octets());
    assert_eq!(ice.selected(), Some(party(1)));
    assert!(ice.handle_timeout(now + CONSENT), "and again after it came back");
}

#[test]
fn the_next_nominated_pair_takes_over_from_a_dead_one() {
    let start = epoch();
    let mut ice = ice(start);
    ice.handle_stun(start, party(1), &Check::nominating(1).octets());
    let later = start + Duration::from_secs(10);
    ice.handle_stun(later, party(2), &Check::new().octets());
    ice.handle_stun(start, party(1), &Check::nominating(1).octets());
    ice.handle_stun(later, party(3), &Check::nominating(0).octets());
    assert_eq!(ice.selected(), Some(party(3)));
    ice.handle_stun(start + Duration::from_secs(5), party(2), &Check::nominating(0).octets());
    assert_eq!(ice.selected(), Some(party(2)));
    ice.handle_stun(start + Duration::from_secs(25), party(3), &Check::new().octets());
    assert!(!ice.handle_timeout(start + Duration::from_secs(45)));
    assert_eq!(ice.selected(), Some(party(3)));
}

#[test]
fn nobody_waits_for_checks_before_the_party_is_known() {
    let start = epoch();
    let mut ice = IceLite::new(start, &credentials("edge", ""));
    assert_eq!(ice.poll_timeout(), None);
    let answer = ice.handle_stun(
        start,
        party(1),
        &Check {
            username: "edge:anything",
            ..Check::new()
        }
        .octets(),
    );
    assert!(
        matches!(answer, Checked::Answer(_)),
        "RFC 8445 §7.3: a check may come before the description"
    );
    ice.handle_timeout(start + CONSENT);
    let answered = start + Duration::from_secs(100);
    ice.update(answered, &credentials("edge", "party"));
    assert_eq!(ice.poll_timeout(), Some(answered + CONSENT));
    assert!(ice.handle_timeout(answered + CONSENT));
}

#[test]
fn a_restart_keeps_the_old_pair_until_the_new_generation_nominates() {
    let now = epoch();
    let mut ice = ice(now);
    ice.handle_stun(now, party(1), &Check::nominating(200).octets());
    ice.update(now, &credentials("second", ""));
    ice.update(now, &credentials("second", "again"));
    assert_eq!(ice.selected(), Some(party(1)));
    assert_eq!(ice.local_ufrags().collect::<Vec<_>>(), ["second", "edge"]);
    let old = ice.handle_stun(now, party(1), &Check::nominating(200).octets());
    assert!(matches!(old, Checked::Answer(_)), "the old pair keeps its consent");
    let new = |nominate| {
        Check {
            username: "second:again",
            priority: 1,
            nominate,
            ..Check::new()
        }
        .octets()
    };
    ice.handle_stun(now, party(2), &new(false));
    assert_eq!(ice.selected(), Some(party(1)));
    ice.handle_stun(now, party(2), &new(true));
    assert_eq!(ice.selected(), Some(party(2)), "whatever its priority");
    assert_eq!(ice.local_ufrags().collect::<Vec<_>>(), ["second"]);
    assert_eq!(ice.generation_of(party(2)), 1);
    assert!(!ice.validated(now, party(1)));
    let old = ice.handle_stun(now, party(1), &Check::nominating(200).octets());
    assert_eq!(old, Checked::NotAuthentic);
    assert_eq!(ice.selected(), Some(party(2)));
}

#[test]
fn two_restarts_in_a_row_keep_the_pair_in_use() {
    let now = epoch();
    let mut ice = ice(now);
    ice.handle_stun(now, party(1), &Check::nominating(200).octets());
    ice.update(now, &credentials("second", "again"));
    ice.update(now, &credentials("third", "more"));
    assert_eq!(ice.selected(), Some(party(1)));
    let old = ice.handle_stun(now, party(1), &Check::nominating(200).octets());
    assert!(matches!(old, Checked::Answer(_)));
    let third = Check {
        username: "third:more",
        nominate: true,
        ..Check::new()
    }
    .octets();
    ice.handle_stun(now, party(1), &third);
    assert_eq!(ice.local_ufrags().collect::<Vec<_>>(), ["third"]);
    assert_eq!(ice.selected(), Some(party(1)));
}

#[test]
fn pairs_are_bounded_and_the_selected_one_stays() {
    let now = epoch();
    let mut ice = ice(now);
    ice.handle_stun(now, party(1), &Check::nominating(1).octets());
    for last in 2..=200 {
        ice.handle_stun(
            now + Duration::from_millis(u64::from(last)),
            party(last),
            &Check::new().octets(),
        );
    }
    assert_eq!(ice.pairs.len(), PAIRS);
    assert!(ice.validated(now, party(1)) && ice.validated(now, party(200)) && !ice.validated(now, party(100)));
}

#[test]
fn any_octets_are_survived() {
    use proptest::prelude::*;
    let now = epoch();
    let sample = Check::nominating(7).octets();
    let changed = (0..sample.len(), any::<u8>(), 0..=sample.len()).prop_map(move |(at, octet, length)| {
        let mut forged = sample.clone();
        forged[at] = octet;
        forged.truncate(length);
        // A right FINGERPRINT brings it past the first gate.
        if forged.len() >= 20 {
            forged.truncate(forged.len() / 4 * 4);
            seal(&mut forged, "another password");
        }
        forged
    });
    let anything = proptest::collection::vec(any::<u8>(), 0..200);
    proptest!(|(octets in prop_oneof![changed, anything])| {
        let mut ice = ice(now);
        stun_username(&octets);
        let checked = ice.handle_stun(now, party(1), &octets);
        // Only a whole check, its own MESSAGE-INTEGRITY in front, is authentic.
        if let Checked::Answer(answer) = checked {
            prop_assert!(answer.len() <= octets.len() + 24);
        }
    });
}
