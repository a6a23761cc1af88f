//! RFC 3261 §22, RFC 7616, RFC 8760: who may register, and what a challenge says to whom.

use super::*;
use crate::sip::digest::Algorithm;

const DESK: &str = "Contact: <sip:alice@10.0.0.7:5062>";

#[test]
fn a_phone_registers_with_either_hash_and_sha_256_is_offered_first() {
    for pick in [0, 1] {
        let mut world = World::closed();
        let challenges = world.challenges(&request("r", 1, DESK));
        assert_eq!(challenges.len(), 2);
        assert_eq!(
            (challenges[0].algorithm, challenges[1].algorithm),
            (Algorithm::Sha256, Algorithm::Md5)
        );
        assert!(
            challenges
                .iter()
                .all(|c| c.qop_auth && !c.stale && c.realm == "example.com")
        );
        let line = authorization(&challenges[pick], "alice", "wonder");
        assert_eq!(world.status(&request("r", 2, &format!("{line}{DESK}"))), 200);
        assert_eq!(world.contacts().len(), 1);
    }
}

#[test]
fn a_user_registers_for_nobody_else() {
    let mut world = World::closed();
    let challenges = world.challenges(&request("r", 1, DESK));
    let line = authorization(&challenges[0], "bob", "builder");
    assert_eq!(world.status(&request("r", 2, &format!("{line}{DESK}"))), 403);
    assert!(world.registrar.is_empty());
}

#[test]
fn an_algorithm_that_is_not_offered_is_not_taken() {
    let mut world = World::closed();
    world.registrar.config.digest = vec![Algorithm::Sha256];
    let challenge = world.challenges(&request("r", 1, DESK)).remove(0);
    let weaker = Challenge {
        algorithm: Algorithm::Md5,
        ..challenge.clone()
    };
    let line = authorization(&weaker, "alice", "wonder");
    let again = world.challenges(&request("r", 2, &format!("{line}{DESK}")));
    assert_eq!((again.len(), again[0].algorithm), (1, Algorithm::Sha256));
    let line = authorization(&challenge, "alice", "wonder");
    assert_eq!(world.status(&request("r", 3, &format!("{line}{DESK}"))), 200);
}

/// The response without what differs in every response: the nonce.
fn shape(response: &Message) -> (Option<u16>, Vec<String>) {
    let without_nonce = |value: &str| {
        let challenge = Challenge::parse(value).unwrap();
        Challenge {
            nonce: "n".into(),
            ..challenge
        }
        .to_string()
    };
    let lines = response.headers(HeaderName::WwwAuthenticate);
    (
        response.status(),
        lines
            .map(|line| without_nonce(std::str::from_utf8(line).unwrap()))
            .collect(),
    )
}

#[test]
fn a_wrong_password_an_unknown_user_and_a_wrong_realm_look_the_same() {
    let mut world = World::closed();
    let first = world.challenges(&request("r", 1, DESK)).remove(0);
    let foreign = Challenge {
        realm: "example.org".into(),
        ..first.clone()
    };
    let lines = [
        authorization(&first, "alice", "guess"),
        authorization(&first, "mallory", "guess"),
        // What an unknown user is compared with is no password of anybody.
        authorization(&first, "mallory", "no password is this one"),
        authorization(&foreign, "alice", "wonder"),
        "Authorization: Basic YWxpY2U6d29uZGVy\n".to_owned(),
        String::new(),
    ];
    let shapes: Vec<_> = lines
        .iter()
        .map(|line| shape(&world.send(&request("r", 2, &format!("{line}{DESK}"))).0))
        .collect();
    assert_eq!(shapes[0].0, Some(401));
    assert!(shapes.iter().all(|other| *other == shapes[0]), "{shapes:#?}");
    assert!(shapes[0].1.iter().all(|line| !line.contains("stale")));
}

#[test]
fn only_a_nonce_that_is_old_is_called_stale() {
    let mut world = World::closed();
    let first = world.challenges(&request("r", 1, DESK)).remove(0);
    world.now += seconds(60) + Duration::from_millis(1);
    let wrong = authorization(&first, "alice", "guess");
    assert!(
        world
            .challenges(&request("r", 2, &format!("{wrong}{DESK}")))
            .iter()
            .all(|challenge| !challenge.stale)
    );
    let right = authorization(&first, "alice", "wonder");
    let fresh = world.challenges(&request("r", 3, &format!("{right}{DESK}")));
    assert!(fresh.iter().all(|challenge| challenge.stale));
    let line = authorization(&fresh[1], "alice", "wonder");
    assert_eq!(world.status(&request("r", 4, &format!("{line}{DESK}"))), 200);
}

#[test]
fn a_nonce_is_good_to_its_last_moment() {
    let mut world = World::closed();
    let first = world.challenges(&request("r", 1, DESK)).remove(0);
    world.now += seconds(60);
    let line = authorization(&first, "alice", "wonder");
    assert_eq!(world.status(&request("r", 2, &format!("{line}{DESK}"))), 200);
}

#[test]
fn a_forged_nonce_registers_nobody() {
    let mut world = World::closed();
    let first = world.challenges(&request("r", 1, DESK)).remove(0);
    for nonce in [
        "",
        "0",
        "dcd98b7102dd2f0e8b11d0f600bfb0c093",
        &first.nonce[1..],
        &first.nonce.replace('0', "1"),
    ] {
        let forged = Challenge {
            nonce: nonce.into(),
            ..first.clone()
        };
        let line = authorization(&forged, "alice", "wonder");
        assert_eq!(world.status(&request("r", 2, &format!("{line}{DESK}"))), 401, "{nonce}");
    }
    assert!(world.registrar.is_empty());
}

#[test]
fn credentials_are_no_good_from_another_source() {
    let mut world = World::closed();
    let first = world.challenges(&request("r", 1, DESK)).remove(0);
    let line = authorization(&first, "alice", "wonder");
    world.from = flow("203.0.113.66:5062");
    assert_eq!(world.status(&request("r", 2, &format!("{line}{DESK}"))), 401);
    // The port is the NAT's: the same address on another one is the same phone.
    world.from = flow("198.51.100.7:61000");
    assert_eq!(world.status(&request("r", 2, &format!("{line}{DESK}"))), 200);
}

#[test]
fn credentials_are_good_once() {
    let mut world = World::closed();
    let first = world.challenges(&request("r", 1, DESK)).remove(0);
    let line = authorization(&first, "alice", "wonder");
    assert_eq!(world.status(&request("r", 2, &format!("{line}{DESK}"))), 200);
    let again = world.challenges(&request("r", 3, &format!("{line}Contact: <sip:mallory@203.0.113.66>")));
    assert!(
        again.iter().all(|challenge| challenge.stale),
        "a phone that never counts is not locked out"
    );
    assert_eq!(world.contacts(), ["sip:alice@10.0.0.7:5062"]);
}

#[test]
fn credentials_without_a_count_are_refused() {
    let mut world = World::closed();
    let first = world.challenges(&request("r", 1, DESK)).remove(0);
    let rfc_2069 = Challenge {
        qop_auth: false,
        ..first
    };
    let line = authorization(&rfc_2069, "alice", "wonder");
    assert_eq!(world.status(&request("r", 2, &format!("{line}{DESK}"))), 401);
}

#[test]
fn two_phones_that_are_challenged_at_the_same_moment_get_different_nonces() {
    let mut world = World::closed();
    let one = world.challenges(&request("r", 1, DESK)).remove(0);
    let two = world.challenges(&request("s", 1, DESK)).remove(0);
    assert_ne!(one.nonce, two.nonce);
    for (call_id, challenge) in [("r", one), ("s", two)] {
        let line = authorization(&challenge, "alice", "wonder");
        let contact = format!("Contact: <sip:alice@{call_id}.example.net>");
        assert_eq!(world.status(&request(call_id, 2, &format!("{line}{contact}"))), 200);
    }
    assert_eq!(world.contacts().len(), 2);
}

#[test]
fn a_proxy_challenges_with_407_and_reads_the_other_header() {
    let mut world = World::closed();
    let invite = |line: &str| message("INVITE sip:bob@example.com", "sip:bob@example.com", "c", 1, line);
    let refused = world
        .registrar
        .authenticate(world.now, world.from, &invite(""), true)
        .unwrap_err();
    let response = parse(&refused);
    assert_eq!(
        (
            response.status(),
            response.headers(HeaderName::ProxyAuthenticate).count()
        ),
        (Some(407), 2)
    );
    let challenge = Challenge::parse(response.text(HeaderName::ProxyAuthenticate).unwrap()).unwrap();
    let value = answer(
        &challenge,
        "alice",
        "wonder",
        &Method::Invite,
        "sip:bob@example.com",
        "c0ffee",
    );
    let wrong_header = invite(&format!("Authorization: {value}"));
    assert!(
        world
            .registrar
            .authenticate(world.now, world.from, &wrong_header, true)
            .is_err()
    );
    let right_header = invite(&format!("Proxy-Authorization: {value}"));
    let user = world
        .registrar
        .authenticate(world.now, world.from, &right_header, true)
        .unwrap();
    assert_eq!(user.as_deref(), Some("alice"));
}

#[test]
fn a_nonce_of_an_earlier_process_is_stale_and_never_fresh() {
    let mut world = World::closed();
    let config = world.registrar.config.clone();
    world.registrar = Registrar::new(config.clone(), world.now).with_wall_clock(1_700_000_000);
    world.now += seconds(1_000);
    let old = world.challenges(&request("r", 1, DESK)).remove(0);
    let line = authorization(&old, "alice", "wonder");
    // The process starts again a minute later; its own clock begins at zero and reaches the old nonce's time again.
    let restart = world.now + seconds(61);
    world.registrar = Registrar::new(config, restart).with_wall_clock(1_700_001_061);
    for uptime in [1, 1_000] {
        world.now = restart + seconds(uptime);
        assert!(
            world
                .challenges(&request("r", 2, &format!("{line}{DESK}")))
                .iter()
                .all(|challenge| challenge.stale)
        );
    }
}

#[test]
fn an_open_domain_asks_nobody() {
    let mut world = World::open();
    assert_eq!(
        world
            .registrar
            .authenticate(world.now, world.from, &request("r", 1, ""), false)
            .unwrap(),
        None
    );
}

#[test]
fn no_secret_is_in_a_debug_print() {
    let world = World::closed();
    let text = format!("{:?}", world.registrar);
    assert!(!text.contains("wonder") && !text.contains("7, 7"), "{text}");
}
