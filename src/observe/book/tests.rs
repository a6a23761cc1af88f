use std::time::Duration;

use bytes::Bytes;

use super::dialogs::UNCLAIMED;
use super::*;
use crate::engine::{TransferFailure, TransferKind, TransferMode};

#[expect(clippy::disallowed_methods, reason = "a test's base")]
fn base() -> Instant {
    Instant::now()
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn call(slot: u32) -> CallHandle {
    CallHandle { slot, generation: 0 }
}

fn leg(slot: u32) -> LegHandle {
    LegHandle { slot, generation: 0 }
}

fn message(start: &str, call_id: &str) -> Bytes {
    let cseq = start
        .split(' ')
        .next()
        .filter(|word| !word.contains('/'))
        .unwrap_or("INVITE");
    format!(
        "{start}\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1\r\nFrom: <sip:+4930123456@x>;tag=1\r\nTo: <sip:bob@x>\r\n\
         i : {call_id}\r\nCSeq: 1 {cseq}\r\nAuthorization: Digest response=\"0123456789\"\r\nContent-Length: 0\r\n\r\n"
    )
    .into()
}

fn dialled_for(transfer: TransferHandle, slot: u32, party: &str, call_id: &str) -> Event {
    Event::LegStarted {
        leg: leg(slot),
        call: None,
        transfer: Some(transfer),
        inbound: false,
        party: party.to_owned(),
        call_id: call_id.to_owned(),
    }
}

fn started(slot: u32, of: Option<CallHandle>, party: &str, call_id: &str) -> Event {
    Event::LegStarted {
        leg: leg(slot),
        call: of,
        transfer: None,
        inbound: false,
        party: party.to_owned(),
        call_id: call_id.to_owned(),
    }
}

fn say(book: &mut Book, at: Instant, way: Way, remote: SocketAddr, message: Bytes) {
    book.message(&Seen {
        at,
        way,
        remote,
        bytes: &message,
    });
}

/// Alice calls bob, who transfers her to a busy carol.
fn story(limits: LadderLimits) -> Book {
    let (mut book, now) = (Book::new(limits), base());
    let later = |millis| now + Duration::from_millis(millis);
    say(
        &mut book,
        now,
        Way::In,
        address(1),
        message("INVITE sip:bob@x SIP/2.0", "a"),
    );
    say(
        &mut book,
        later(1),
        Way::Out,
        address(2),
        message("INVITE sip:bob@x SIP/2.0", "b"),
    );
    book.event(later(1), &started(1, Some(call(1)), "sip:+4930123456@x", "a"));
    book.event(later(1), &started(2, Some(call(1)), "sip:bob@x", "b"));
    let transfer = TransferHandle { slot: 0, generation: 0 };
    book.event(
        later(5),
        &Event::TransferRequested {
            transfer,
            kind: TransferKind::Blind,
            mode: TransferMode::Native,
            transferor: leg(2),
            transferee: leg(1),
            target: "sip:carol@x".to_owned(),
            target_leg: None,
        },
    );
    say(
        &mut book,
        later(6),
        Way::Out,
        address(3),
        message("INVITE sip:carol@x SIP/2.0", "c"),
    );
    book.event(later(6), &dialled_for(transfer, 3, "sip:x7f@192.0.2.9", "c"));
    say(
        &mut book,
        later(7),
        Way::In,
        address(3),
        message("SIP/2.0 486 Busy Here", "c"),
    );
    book.event(
        later(8),
        &Event::TransferProgress {
            transfer,
            state: "recovering",
            status: Some(486),
            rule: "RFC 5589 §6: the original call is kept",
        },
    );
    book.event(
        later(9),
        &Event::TransferFailed {
            transfer,
            reason: TransferFailure::TargetBusy,
            status: Some(486),
        },
    );
    book
}

#[test]
fn a_ladder_shows_the_call_its_transfer_and_the_rules() {
    let book = story(LadderLimits::default());
    let page = book.excerpt(call(1)).unwrap().page();
    let what: Vec<&str> = page.lines.iter().map(|line| line.what.as_str()).collect();
    let expect = [
        "INVITE bob",
        "INVITE bob",
        "transfer-0-0 blind transfer requested, mode native",
        "INVITE carol",
        "486 Busy Here (INVITE)",
        "transfer-0-0 recovering (486): RFC 5589 §6: the original call is kept",
        "transfer-0-0 failed: target_busy (486)",
    ];
    assert_eq!(what, expect);
    assert!(page.text.contains("+4930123456") && page.text.contains("edge") && page.text.contains("carol"));
    assert!(!page.text.contains("0123456789"), "a credential\n{}", page.text);
    assert_eq!(page.lines[4].at_ms, 7);
    assert!(book.excerpt(call(2)).is_none());
}

#[test]
fn people_are_hidden_where_that_is_configured() {
    let book = story(LadderLimits {
        redact: true,
        ..LadderLimits::default()
    });
    let page = book.excerpt(call(1)).unwrap().page();
    let all = format!("{}\n{}", page.text, serde_json::to_string(&page.lines).unwrap());
    for person in ["+4930123456", "bob", "carol"] {
        assert!(!all.contains(person), "{person} in\n{all}");
    }
    assert!(all.contains("***56"));
}

#[test]
fn memory_is_bounded_in_every_direction() {
    let mut book = Book::new(LadderLimits {
        calls: 2,
        messages: 3,
        redact: false,
    });
    let now = base();
    let register = message("REGISTER sip:x SIP/2.0", "r");
    say(&mut book, now, Way::In, address(1), register);
    assert!(book.dialogs.len() == 0, "no dialog");
    for slot in 0..1_000 {
        let id = format!("stranger{slot}");
        say(
            &mut book,
            now,
            Way::In,
            address(1),
            message("INVITE sip:x SIP/2.0", &id),
        );
    }
    assert_eq!(book.dialogs.len(), UNCLAIMED);
    for slot in 0..5 {
        let id = format!("call{slot}");
        for _ in 0..9 {
            say(
                &mut book,
                now,
                Way::In,
                address(1),
                message("INVITE sip:x SIP/2.0", &id),
            );
        }
        book.event(now, &started(slot, Some(call(slot)), "sip:x@x", &id));
    }
    assert_eq!((book.calls.len(), book.legs.len()), (2, 2));
    assert!(book.dialogs.len() <= UNCLAIMED + 2);
    let page = book.excerpt(call(4)).unwrap().page();
    assert_eq!((page.lines.len(), page.more), (3, 6));
    assert!(book.excerpt(call(0)).is_none());
}

#[test]
fn octets_are_bounded_too_and_less_for_strangers() {
    let mut book = Book::new(LadderLimits::default());
    let now = base();
    let mut large = message("INVITE sip:bob@x SIP/2.0", "large").to_vec();
    large.resize(30_000, b'x');
    let repeat = |book: &mut Book, times| {
        for _ in 0..times {
            say(book, now, Way::In, address(1), Bytes::from(large.clone()));
        }
    };
    repeat(&mut book, 3);
    book.event(now, &started(1, Some(call(1)), "sip:bob@x", "large"));
    let stranger = book.excerpt(call(1)).unwrap().page();
    assert_eq!((stranger.lines.len(), stranger.more), (0, 3));
    repeat(&mut book, 10);
    let known = book.excerpt(call(1)).unwrap().page();
    assert_eq!((known.lines.len(), known.more), (8, 5));
}

#[test]
fn what_belongs_to_no_call_leaves_nothing_behind() {
    let mut book = Book::new(LadderLimits {
        calls: 2,
        ..LadderLimits::default()
    });
    let now = base();
    for slot in 0..1_000 {
        // The calls of these legs are forgotten long since, their transfers go on.
        let (transfer, target) = (TransferHandle { slot, generation: 0 }, 2_000 + slot);
        book.event(
            now,
            &Event::TransferRequested {
                transfer,
                kind: TransferKind::Blind,
                mode: TransferMode::Native,
                transferor: leg(9_000),
                transferee: leg(9_001),
                target: "sip:carol@x".to_owned(),
                target_leg: None,
            },
        );
        let id = format!("target{slot}");
        say(
            &mut book,
            now,
            Way::Out,
            address(3),
            message("INVITE sip:carol@x SIP/2.0", &id),
        );
        book.event(now, &dialled_for(transfer, target, "sip:carol@x", &id));
    }
    assert!(book.transfers.is_empty());
    assert_eq!((book.dialogs.len(), book.legs.len()), (UNCLAIMED, UNCLAIMED));
}
