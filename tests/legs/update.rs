//! UPDATE (RFC 3311): a change of the session without INVITE, passed to the other side in what that side allows.

use warmline::phone::PhoneEvent;
use warmline::sdp::Direction;
use warmline::sip::{HeaderName, Method};

use crate::trunk::{self, NUMBER, answer, requests, sdp};
use crate::world::{ALICE, BOB, Who, World, millis};

fn world(of: &[Who]) -> World {
    let mut world = World::new();
    for who in of {
        world.seat(*who).configure(|config| config.update = true);
    }
    world
}

fn status_of_update(world: &World) -> Option<u16> {
    world.heard(ALICE).into_iter().rev().find_map(|event| {
        let PhoneEvent::Answered {
            method: Method::Update,
            status,
            ..
        } = event
        else {
            return None;
        };
        Some(*status)
    })
}

/// §5.1: to a party that says Allow: UPDATE by UPDATE, to another by re-INVITE.
#[test]
fn a_hold_by_update_reaches_the_other_side_as_it_can() {
    for both in [true, false] {
        let mut world = world(if both { &[ALICE, BOB] } else { &[ALICE] });
        let (mine, his) = world.call(ALICE, BOB);
        let invites = world.count(BOB, "< INVITE");
        for holding in [true, false] {
            world.alice().update(mine, holding);
            world.run();
            assert_eq!(status_of_update(&world), Some(200));
            assert_eq!(world.phone(BOB).is_held(his), holding);
            let wanted = if holding {
                Direction::RecvOnly
            } else {
                Direction::SendRecv
            };
            assert_eq!(world.phone(BOB).direction(his), Some(wanted));
        }
        let came = (world.count(BOB, "< UPDATE"), world.count(BOB, "< INVITE") - invites);
        assert_eq!(came, if both { (2, 0) } else { (0, 2) });
        assert!(world.connected(ALICE, BOB));
        world.hang_up(BOB);
        world.assert_nothing_left();
    }
}

/// §5.2: 491 against an offer of ours, 500 with Retry-After against one of the party's own.
#[test]
fn an_update_that_meets_another_offer_is_refused() {
    let mut world = world(&[ALICE, BOB]);
    let (mine, _) = world.call(ALICE, BOB);
    let leg = world.leg_of(ALICE).id;
    world.command(warmline::engine::Command::Hold {
        leg,
        direction: warmline::engine::HoldDirection::SendOnly,
        music: None,
    });
    // The edge's UPDATE is under way, alice's crosses it.
    world.alice().update(mine, true);
    world.run();
    assert!(
        world
            .phone(ALICE)
            .responses(&Method::Update)
            .iter()
            .any(|answer| answer.status() == Some(491))
    );
    world.hang_up(BOB);
    world.assert_nothing_left();

    let mut world = self::world(&[ALICE]);
    let (mine, _) = world.call(ALICE, BOB);
    world.bob().leaves_reinvite_unanswered();
    world.alice().hold(mine);
    world.advance(millis(5));
    let body = sdp(7_100);
    world.alice().request(
        mine,
        Method::Update,
        &[("Contact", "<sip:alice@10.0.0.11:5060>")],
        Some(("application/sdp", &body)),
    );
    world.advance(millis(5));
    let refused = world.phone(ALICE).responses(&Method::Update).pop().expect("an answer");
    assert_eq!(refused.status(), Some(500));
    assert!(
        refused
            .number(HeaderName::RetryAfter)
            .is_some_and(|seconds| seconds < 10)
    );
}

/// An UPDATE without a description refreshes the session and the target, and concerns nobody else.
#[test]
fn an_update_without_offer_is_answered_by_the_edge() {
    let mut world = world(&[]);
    let (mine, _) = world.call(ALICE, BOB);
    let before = world.lines(BOB).len();
    let headers = [
        ("Contact", "<sip:alice@10.0.0.11:5060;moved=1>"),
        ("Supported", "timer"),
        ("Session-Expires", "600;refresher=uac"),
    ];
    world.alice().request(mine, Method::Update, &headers, None);
    world.run();
    let ok = world.phone(ALICE).responses(&Method::Update).pop().expect("an answer");
    assert_eq!(
        (ok.status(), ok.text(HeaderName::SessionExpires)),
        (Some(200), Some("600;refresher=uac"))
    );
    assert_eq!(world.lines(BOB).len(), before);
    world.hang_up(BOB);
    let bye = world.phone(ALICE).requests(&Method::Bye).pop().expect("the BYE");
    assert_eq!(bye.request_uri(), Some("sip:alice@10.0.0.11:5060;moved=1"));
    world.assert_nothing_left();
}

/// A party that said Allow: UPDATE and answers 405 is offered the same by re-INVITE.
#[test]
fn an_update_that_is_405_becomes_a_reinvite() {
    let mut world = world(&[ALICE, BOB]);
    let (mine, his) = world.call(ALICE, BOB);
    world.bob().configure(|config| config.update = false);
    world.alice().update(mine, true);
    world.run();
    assert!(world.phone(BOB).is_held(his));
    assert_eq!(status_of_update(&world), Some(200));
    world.hang_up(BOB);
    world.assert_nothing_left();
}

/// The answer to an UPDATE with an offer from alice.
fn offered(world: &mut World, call: warmline::phone::PhoneCall) -> warmline::sip::Message {
    let body = sdp(7_100);
    let contact = [("Contact", "<sip:alice@10.0.0.11:5060>")];
    world
        .alice()
        .request(call, Method::Update, &contact, Some(("application/sdp", &body)));
    world.advance(millis(5));
    world.phone(ALICE).responses(&Method::Update).pop().expect("an answer")
}

/// §5.2, early: one without a description is answered; one with an offer meets what is open.
#[test]
fn an_update_in_an_early_dialog_is_answered() {
    let mut world = trunk::world();
    let call = world.alice().call_uri(NUMBER);
    world.advance(millis(5));
    let invite = requests(&mut world, &Method::Invite).pop().expect("the INVITE");
    answer(&mut world, &invite, 180, "a", &[], None);
    let contact = [("Contact", "<sip:alice@10.0.0.11:5060>")];
    world.alice().request(call, Method::Update, &contact, None);
    world.advance(millis(5));
    assert_eq!(status_of_update(&world), Some(200));
    // Her own offer, in the INVITE, has no answer yet.
    let refused = offered(&mut world, call);
    assert_eq!(refused.status(), Some(500));
    assert!(
        refused
            .number(HeaderName::RetryAfter)
            .is_some_and(|seconds| seconds < 10)
    );
    answer(&mut world, &invite, 486, "a", &[], None);
    world.assert_nothing_left();
}

/// §5.2, early, when a reliable 183 has answered: it would change what the callee, who has not picked up, has to agree to.
#[test]
fn an_early_offer_after_the_answer_is_504_and_one_that_crosses_ours_is_491() {
    let mut world = trunk::world();
    let call = world.alice().invite_with(NUMBER, &[(HeaderName::Supported, "100rel")]);
    world.advance(millis(5));
    let invite = requests(&mut world, &Method::Invite).pop().expect("the INVITE");
    // The trunk offers before it has answered what it was offered.
    answer(&mut world, &invite, 180, "a", &[], None);
    let update = |cseq: u32| {
        let (from, to) = (
            invite.text(HeaderName::To).unwrap(),
            invite.text(HeaderName::From).unwrap(),
        );
        let body = sdp(7_200);
        format!(
            "UPDATE sip:edge@127.0.0.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 10.9.0.1:5060;branch=z9hG4bKupd{cseq}\r\n\
             Max-Forwards: 70\r\nFrom: {from};tag=a\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: {cseq} UPDATE\r\n\
             Contact: <sip:a@10.9.0.1>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            invite.call_id(),
            body.len()
        )
    };
    let answered = |world: &mut World, cseq| {
        world.inject(trunk::TRUNK, update(cseq));
        world.advance(millis(5));
        let answers = trunk::arrived(world).into_iter();
        answers.filter_map(|message| message.status()).next_back()
    };
    assert_eq!(answered(&mut world, 1), Some(491));
    let reliable = [("Require", "100rel"), ("RSeq", "41")];
    answer(&mut world, &invite, 183, "a", &reliable, Some(sdp(7_000)));
    let prack = requests(&mut world, &Method::Prack).pop().expect("PRACK");
    answer(&mut world, &prack, 200, "a", &[], None);
    assert_eq!(answered(&mut world, 2), Some(504));
    assert_eq!(offered(&mut world, call).status(), Some(504));
    answer(&mut world, &invite, 486, "a", &[], None);
    world.run();
}
