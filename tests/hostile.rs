//! What the edge takes from strangers, and what it does not: which test fails when a guard is taken out.
//!
//! [`LESSONS`] has the security lines of what went wrong elsewhere, [`LIMITS`] the rows of "Limits and defaults". Each
//! names its tests, and `every_row_names_tests_that_exist` sees that they are there; `tests/prove` takes the guards out.

#![allow(clippy::unwrap_used, reason = "a test stops where something is not as it should be")]

mod world;

use std::net::SocketAddr;
use std::path::Path;

use bytes::Bytes;
use warmline::api::answers;
use warmline::engine::{Command, Reply, Settings};
use warmline::media::describe::Mode;
use warmline::sdp::Description;
use warmline::sip::{Limits, Message, Method};
use world::{ALICE, BOB, CAROL, World, millis, users};

/// A line of the lessons, its guard, the tests that fail without it.
const LESSONS: [(u8, &str, &[&str]); 8] = [
    (
        35,
        "one index for all readers; no controls and no white space in names",
        &[
            "a_control_in_a_name_is_never_part_of_a_known_one",
            "names_that_two_readers_would_read_differently_are_refused",
        ],
    ),
    (
        36,
        "of Refer-To's headers only Replaces; sip, sips, tel",
        &[
            "of_refer_tos_headers_only_replaces_is_taken",
            "only_what_may_be_dialled_is_dialled",
        ],
    ),
    (
        37,
        "challenges of the configured realm only",
        &["nobody_else_is_answered"],
    ),
    (
        38,
        "an address is learnt once, from whom the description or the key names",
        &["strangers_are_not_heard_through_real_sockets"],
    ),
    (
        39,
        "DTLS from validated pairs, MESSAGE-INTEGRITY always",
        &[
            "dtls_from_elsewhere_is_a_stranger_s",
            "a_stranger_s_stun_dtls_and_rtp_change_nothing",
        ],
    ),
    (
        40,
        "every method of a stranger is challenged or refused",
        &[
            "every_method_of_a_stranger_is_challenged_or_refused",
            "a_stranger_reaches_the_pbx_and_nobody_else",
        ],
    ),
    (
        41,
        "one authorisation for HTTP and WebSocket",
        &["events_come_over_a_websocket_to_those_who_may_read"],
    ),
    (
        42,
        "counters begin near their wrap",
        &[
            "numbers_wrap_many_times",
            "own_numbers_wrap_as_well",
            "a_generation_goes_on_over_its_wrap",
            "generations_wrap_and_old_handles_stay_dead",
            "a_call_whose_numbers_are_near_their_end",
            "loss_is_counted_over_the_wrap_and_over_sources",
            "a_repeat_from_before_the_roll_over_is_refused",
            "a_count_is_good_once_in_any_order_within_the_window",
            "reliable_numbers_of_a_party_near_their_end",
        ],
    ),
];

/// A row of the limits, and its tests.
const LIMITS: [(&str, &[&str]); 27] = [
    (
        "message ≤ 64 KiB",
        &["a_message_is_taken_up_to_its_limits_and_no_further"],
    ),
    (
        "header line ≤ 8 KiB",
        &["a_message_is_taken_up_to_its_limits_and_no_further"],
    ),
    ("128 headers", &["a_message_is_taken_up_to_its_limits_and_no_further"]),
    ("URI ≤ 1 KiB", &["a_message_is_taken_up_to_its_limits_and_no_further"]),
    ("SDP ≤ 32 KiB, 16 m-lines", &["what_is_no_description_is_refused"]),
    ("multipart is not opened", &["a_multipart_body_is_not_looked_into"]),
    (
        "Content-Length one unsigned decimal",
        &["lengths_that_two_readers_would_read_differently_are_refused"],
    ),
    (
        "a message completes in 10 s",
        &["a_message_that_does_not_complete_ends_its_connection"],
    ),
    ("handshake 5 s", &["a_handshake_that_does_not_come_ends_the_connection"]),
    (
        "64 connections a source",
        &["one_source_has_so_many_connections_and_no_more"],
    ),
    (
        "/64 for IPv6",
        &["a_source_is_an_ipv4_address_or_the_64_of_an_ipv6_one"],
    ),
    ("idle 120 s", &["a_silent_connection_ends"]),
    (
        "nonce sealed, counted",
        &["a_count_is_good_once_in_any_order_within_the_window"],
    ),
    (
        "≤ 5 contacts, 60 to 3,600 s",
        &["limits_are_checked_and_have_their_defaults"],
    ),
    ("rate by source", &["a_flood_of_one_source_is_dropped_and_told_once"]),
    ("rate by user", &["a_user_has_so_many_transfers_a_minute"]),
    (
        "bans",
        &[
            "guessing_passwords_bans_the_source_and_nobody_else",
            "a_forged_source_address_bans_nobody",
        ],
    ),
    (
        "unauthenticated UDP: one answer",
        &["a_stranger_s_request_has_one_answer_that_is_not_repeated"],
    ),
    ("transfer depth ≤ 5", &["a_call_is_transferred_five_times_and_no_more"]),
    (
        "targets by the transferor's own rights",
        &["a_transfer_reaches_no_place_that_its_transferor_may_not_call"],
    ),
    (
        "Refer-To: Replaces only",
        &["of_refer_tos_headers_only_replaces_is_taken"],
    ),
    ("API body ≤ 1 MiB", &["a_bad_body_is_told_with_its_field"]),
    ("JSON depth ≤ 32", &["json_is_read_to_a_depth_of_32"]),
    (
        "WebSocket Origin",
        &[
            "events_come_over_a_websocket_to_those_who_may_read",
            "a_page_of_an_origin_that_is_not_listed_is_refused",
        ],
    ),
    ("API token", &["nothing_is_told_without_the_token"]),
    (
        "webhooks",
        &[
            "a_redirect_is_not_followed",
            "an_answer_has_bounds",
            "addresses_of_our_own_network_are_refused_before_a_connection",
            "a_name_is_looked_up_once_and_the_judged_address_is_the_one_that_is_asked",
            "who_is_slow_or_closes_is_not_waited_for",
        ],
    ),
    ("recordings have names of ours", &["a_recording_s_name_is_made_here"]),
];

#[test]
fn every_row_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = String::new();
    let mut folders = vec![root.join("src"), root.join("tests")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.extension().and_then(|extension| extension.to_str()) {
                None if path.is_dir() => folders.push(path),
                Some("rs") => sources += &std::fs::read_to_string(path).unwrap(),
                Some(_) | None => {}
            }
        }
    }
    let lessons = LESSONS.iter().flat_map(|(_, _, tests)| tests.iter());
    let limits = LIMITS.iter().flat_map(|(_, tests)| tests.iter());
    let missing: Vec<_> = lessons
        .chain(limits)
        .filter(|name| !sources.contains(&format!("fn {name}(")))
        .collect();
    assert_eq!(missing, Vec::<&&str>::new());
    assert!(LESSONS.iter().map(|(line, ..)| *line).eq(35..=42));
}

const STRANGER: &str = "203.0.113.66:5060";

fn options(more: &str) -> String {
    format!(
        "OPTIONS sip:bob@example.org SIP/2.0\r\nVia: SIP/2.0/UDP {STRANGER};branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
         From: <sip:x@example.org>;tag=1\r\nTo: <sip:bob@example.org>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n{more}\
         Content-Length: 0\r\n\r\n"
    )
}

fn taken(text: &str) -> Result<(), u16> {
    Message::parse(Bytes::copy_from_slice(text.as_bytes()))
        .map(drop)
        .map_err(|error| error.status())
}

/// LESSONS 35: white space before the colon is cut away when a message goes on; a control is never let in.
#[test]
fn names_that_two_readers_would_read_differently_are_refused() {
    for name in [
        "Call\rID",
        "Call\u{0}-ID",
        "To\t\u{b}",
        "Fr om",
        "Content\rLength",
        "X\u{7f}Y",
        "\u{1}",
        "",
    ] {
        assert_eq!(taken(&options(&format!("{name}: x\r\n"))), Err(400), "{name:?}");
    }
    let instead = options("").replace("Call-ID: c", "Call\rID: c");
    assert_eq!(taken(&instead), Err(400));
    assert_eq!(taken(&options("X-Odd : x\r\n")), Ok(()));
}

#[test]
fn lengths_that_two_readers_would_read_differently_are_refused() {
    for length in [
        "-1",
        "+0",
        "0x0",
        "0 0",
        "0,0",
        "99999999999999999999",
        "",
        "0\r\nContent-Length: 1",
    ] {
        let text = options("").replace("Content-Length: 0", &format!("Content-Length: {length}"));
        assert_eq!(taken(&text), Err(400), "{length:?}");
    }
}

#[test]
fn a_message_is_taken_up_to_its_limits_and_no_further() {
    let Limits {
        message,
        header_line,
        headers,
        uri,
        ..
    } = Limits::DEFAULT;
    assert_eq!((message, header_line, headers, uri), (65_536, 8_192, 128, 1_024));
    let line = |length: usize| options(&format!("X: {}\r\n", "a".repeat(length - 5)));
    assert_eq!(
        (taken(&line(header_line)), taken(&line(header_line + 1))),
        (Ok(()), Err(513))
    );
    let many = |count: usize| options(&"X: a\r\n".repeat(count - 7));
    assert_eq!((taken(&many(headers)), taken(&many(headers + 1))), (Ok(()), Err(513)));
    let named = |length: usize| {
        options("").replace(
            "OPTIONS sip:bob@example.org",
            &format!("OPTIONS sip:{}@example.org", "b".repeat(length - 16)),
        )
    };
    assert_eq!((taken(&named(uri)), taken(&named(uri + 1))), (Ok(()), Err(414)));
    let long = |length: usize| {
        let head = options("").replace("Content-Length: 0", "Content-Length: 64000").len();
        options("").replace("Content-Length: 0", &format!("Content-Length: {}", length - head))
            + &"b".repeat(length - head)
    };
    assert_eq!((taken(&long(message)), taken(&long(message + 1))), (Ok(()), Err(513)));
}

/// There is no depth to be counted: a body of parts goes on as it is, and is no session description to us.
#[test]
fn a_multipart_body_is_not_looked_into() {
    let parts = "--b\r\nContent-Type: multipart/mixed;boundary=b\r\n\r\n".repeat(500);
    assert!(Description::parse(Bytes::from(parts.clone())).is_err());
    let mut world = World::new();
    let invite = format!(
        "INVITE sip:bob@example.org SIP/2.0\r\nVia: SIP/2.0/UDP {STRANGER};branch=z9hG4bK2\r\nMax-Forwards: 70\r\n\
         From: <sip:x@example.org>;tag=1\r\nTo: <sip:bob@example.org>\r\nCall-ID: m\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:x@{STRANGER}>\r\nContent-Type: multipart/mixed;boundary=b\r\nContent-Length: {}\r\n\r\n{parts}",
        parts.len()
    );
    world.inject(STRANGER.parse().unwrap(), invite);
    world.advance(millis(100));
    assert_eq!(answers_of(&mut world), [415]);
    assert_eq!(world.line(BOB, "< INVITE"), None);
}

/// Final answers to the stranger since the last time.
fn answers_of(world: &mut World) -> Vec<u16> {
    let strays = world.take_strays().into_iter();
    strays
        .filter_map(|(_, answer)| answer.status())
        .filter(|status| *status >= 200)
        .collect()
}

fn closed(settings: &mut Settings) {
    settings.open = false;
    settings.users = users();
}

#[test]
fn a_stranger_s_request_has_one_answer_that_is_not_repeated() {
    for method in ["INVITE", "MESSAGE", "OPTIONS", "SUBSCRIBE"] {
        let mut world = World::with(closed);
        let request = options("")
            .replace("OPTIONS", method)
            .replace("Max-", "Contact: <sip:x@h>\r\nMax-");
        let length = request.len();
        world.inject(STRANGER.parse::<SocketAddr>().unwrap(), request);
        world.advance(millis(40_000));
        let answers: Vec<usize> = world
            .take_strays()
            .iter()
            .map(|(_, answer)| answer.bytes().len())
            .collect();
        // Two challenges are longer than the shortest request there is; whoever forges a source gains no more than this.
        assert!(
            answers.iter().all(|answer| answer * 10 <= length * 22),
            "{method}: {length} octets, {answers:?} back"
        );
        assert_eq!(answers.len(), 1, "{method}");
        assert_eq!(world.totals().transactions, 0);
    }
}

/// `[transfer] max_depth`: five for everybody who does not say otherwise.
#[test]
fn a_call_is_transferred_five_times_and_no_more() {
    assert_eq!(Settings::loopback("127.0.0.1:5060".parse().unwrap()).transfer_depth, 5);
    let mut world = World::new();
    world.tolerate("");
    let (_, mut operator) = world.call(BOB, ALICE);
    let (mut who, mut next) = (ALICE, CAROL);
    for _ in 0..5 {
        world.seat(who).refer(operator, next);
        world.advance(millis(100));
        operator = world.seat(next).pick_up();
        world.run();
        assert!(world.connected(BOB, next), "{} has bob", next.user());
        (who, next) = (next, who);
    }
    world.seat(who).refer(operator, next);
    world.run();
    assert_eq!(world.phone(who).refer_status(operator), Some(403));
    assert!(world.connected(BOB, who));
}

/// A number that only bob may call is not reached by alice's transfer, nor by bob's call that she moves.
#[test]
fn a_transfer_reaches_no_place_that_its_transferor_may_not_call() {
    let trunk: SocketAddr = "10.0.9.9:5060".parse().unwrap();
    let mut world = World::with(|settings| {
        closed(settings);
        settings.routes = vec![warmline::engine::Route {
            pattern: regex::Regex::new("^00").unwrap(),
            address: trunk,
            transport: warmline::transport::Transport::Udp,
            host: "trunk.example.org".into(),
            users: vec!["bob".into()],
        }];
    });
    world.tolerate("");
    let (_, operator) = world.call(BOB, ALICE);
    world.alice().refer_to(operator, "<sip:0049301234@example.org>");
    world.advance(millis(1_000));
    assert_eq!(world.take_strays().len(), 0, "the trunk hears nothing");
    assert!(world.connected(ALICE, BOB));
    // The rule is no wall: who may, reaches it.
    world.bob().call_uri("sip:0049301234@example.org");
    world.advance(millis(1_000));
    let reached = world
        .take_strays()
        .iter()
        .any(|(to, request)| *to == trunk && *request.method() == Method::Invite);
    assert!(reached, "{}", world.ladder());
}

#[test]
fn a_user_has_so_many_transfers_a_minute() {
    let mut world = World::with(|settings| {
        closed(settings);
        settings.limits.transfers = warmline::engine::Rate {
            per_minute: 1,
            burst: 2,
        };
        settings.limits.allow.clear();
    });
    world.tolerate("");
    let (_, operator) = world.call(BOB, ALICE);
    let mut statuses = Vec::new();
    for _ in 0..3 {
        world.carol().rejects_with(486);
        world.alice().refer(operator, CAROL);
        world.advance(millis(2_000));
        statuses.push(world.phone(ALICE).refer_status(operator));
    }
    assert_eq!(statuses, [Some(202), Some(202), Some(503)], "{}", world.ladder());
}

#[test]
fn json_is_read_to_a_depth_of_32() {
    let nested = |depth: usize| format!("{{\"data\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
    assert!(answers::bot(nested(32).as_bytes()).is_some());
    assert!(answers::bot(nested(33).as_bytes()).is_none());
}

/// Nothing of a name comes from outside: the order has none, and what is made has nothing that a path could be made of.
#[test]
fn a_recording_s_name_is_made_here() {
    let mut world = World::with(|settings| {
        settings.media.mode = Mode::Relay;
        settings.recordings = true;
    });
    world.call(BOB, ALICE);
    let leg = world.leg_of(BOB).id;
    let id = world.command(Command::Record { leg });
    let Some(Ok(Reply::Recording(name))) = world.reply(id) else {
        panic!("no recording: {:?}", world.reply(id))
    };
    let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
    assert!(!name.is_empty() && name.chars().all(plain), "{name:?}");
}
