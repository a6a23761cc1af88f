//! Provisional answers that must arrive (RFC 3262), on both sides of the edge.

use warmline::phone::CallState;
use warmline::sip::{HeaderName, Message, Method};

use crate::trunk::{self, NUMBER, answer, requests, sdp};
use crate::world::{ALICE, World, millis, seconds};

const RELIABLE: [(&str, &str); 2] = [("Require", "100rel"), ("RSeq", "41")];

/// Alice calls the trunk and says that she takes 100rel, or needs it.
fn invited(header: HeaderName) -> (World, warmline::phone::PhoneCall, Message) {
    let mut world = trunk::world();
    let call = world.alice().invite_with(NUMBER, &[(header, "100rel")]);
    world.advance(millis(5));
    let invite = requests(&mut world, &Method::Invite).pop().expect("the INVITE");
    (world, call, invite)
}

fn progress(world: &World) -> Vec<Message> {
    let provisional = |message: &Message| message.status().is_some_and(|status| (101..200).contains(&status));
    world
        .phone(ALICE)
        .responses(&Method::Invite)
        .into_iter()
        .filter(provisional)
        .collect()
}

fn prack(world: &mut World, call: warmline::phone::PhoneCall, response: &Message) -> Option<u16> {
    let rack = format!(
        "{} {} INVITE",
        response.number(HeaderName::RSeq).unwrap_or_default(),
        response.cseq()
    );
    world.alice().request(call, Method::Prack, &[("RAck", &rack)], None);
    world.advance(millis(5));
    world
        .phone(ALICE)
        .responses(&Method::Prack)
        .pop()
        .and_then(|answer| answer.status())
}

#[test]
fn a_reliable_183_is_acknowledged_and_passed_on_reliably() {
    for header in [HeaderName::Supported, HeaderName::Require] {
        let (mut world, call, invite) = invited(header);
        assert!(invite.has_token(HeaderName::Supported, "100rel"));
        answer(&mut world, &invite, 183, "a", &RELIABLE, Some(sdp(7_000)));
        let theirs = requests(&mut world, &Method::Prack).pop().expect("PRACK to the trunk");
        assert_eq!(
            theirs.text(HeaderName::RAck),
            Some(format!("41 {} INVITE", invite.cseq()).as_str())
        );
        assert_eq!(
            (theirs.to_tag(), theirs.request_uri()),
            (Some("a"), Some("sip:a@10.9.0.1"))
        );
        answer(&mut world, &theirs, 200, "a", &[], None);
        let ours = progress(&world).pop().expect("the 183");
        assert!(ours.has_token(HeaderName::Require, "100rel") && !ours.body().is_empty());
        assert_eq!(prack(&mut world, call, &ours), Some(200));
        world.tolerate("a 200 to an offer brought no answer"); // it was in the 183, which this phone does not read
        answer(&mut world, &invite, 200, "a", &[], Some(sdp(7_000)));
        let success = world.phone(ALICE).responses(&Method::Invite).pop().expect("the 200");
        assert!(
            success.status() == Some(200) && success.body().is_empty(),
            "RFC 3261 §13.2.1: one answer"
        );
        let ack = requests(&mut world, &Method::Ack).pop().expect("the ACK");
        assert_eq!(ack.cseq(), invite.cseq(), "the INVITE's number, not the PRACK's");
        assert_eq!(world.phone(ALICE).state(call), Some(CallState::Connected));
        world.hang_up(ALICE);
        let bye = requests(&mut world, &Method::Bye).pop().expect("the BYE");
        assert!(bye.cseq() > theirs.cseq());
        answer(&mut world, &bye, 200, "a", &[], None);
        world.assert_nothing_left();
    }
}

/// §4: in order; a repetition is not acknowledged anew, one too far ahead waits until the gap is filled.
#[test]
fn reliable_answers_are_taken_in_their_order() {
    let (mut world, _, invite) = invited(HeaderName::Supported);
    for (rseq, pracks) in [("41", 1), ("41", 0), ("43", 0), ("42", 1), ("43", 1)] {
        answer(
            &mut world,
            &invite,
            180,
            "a",
            &[("Require", "100rel"), ("RSeq", rseq)],
            None,
        );
        let came = requests(&mut world, &Method::Prack);
        assert_eq!(came.len(), pracks, "RSeq {rseq}");
        for prack in came {
            answer(&mut world, &prack, 200, "a", &[], None);
        }
    }
    // Another fork has numbers of its own.
    answer(
        &mut world,
        &invite,
        180,
        "b",
        &[("Require", "100rel"), ("RSeq", "7")],
        None,
    );
    let prack = requests(&mut world, &Method::Prack).pop().expect("PRACK to the fork");
    assert_eq!(prack.to_tag(), Some("b"));
    answer(&mut world, &prack, 200, "b", &[], None);
    answer(&mut world, &invite, 486, "a", &[], None);
    world.assert_nothing_left();
}

/// §3: repeated after T1, doubled, until the PRACK; the next waits for it; the 200 waits where an answer is under way.
#[test]
fn what_is_not_acknowledged_is_repeated_and_holds_back_what_follows() {
    let (mut world, call, invite) = invited(HeaderName::Require);
    answer(&mut world, &invite, 183, "a", &[], Some(sdp(7_000)));
    answer(&mut world, &invite, 180, "a", &[], None);
    world.advance(seconds(4));
    let seen = progress(&world);
    assert_eq!(seen.len(), 4, "at 0, 0.5, 1.5 and 3.5 s, and no 180");
    assert!(seen.iter().all(|message| message.status() == Some(183)));
    answer(&mut world, &invite, 200, "a", &[], Some(sdp(7_000)));
    assert_eq!(
        world.phone(ALICE).state(call),
        Some(CallState::Early),
        "§3: no 2xx before the answer has arrived"
    );
    let wrong = seen[0].cseq() + 1;
    world
        .alice()
        .request(call, Method::Prack, &[("RAck", &format!("1 {wrong} INVITE"))], None);
    world.advance(millis(5));
    assert_eq!(
        world
            .phone(ALICE)
            .responses(&Method::Prack)
            .pop()
            .and_then(|answer| answer.status()),
        Some(481)
    );
    world.tolerate("a 200 to an offer brought no answer");
    assert_eq!(prack(&mut world, call, &seen[0]), Some(200));
    assert_eq!(world.phone(ALICE).state(call), Some(CallState::Connected));
    world.hang_up(ALICE);
    let bye = requests(&mut world, &Method::Bye).pop().expect("the BYE");
    answer(&mut world, &bye, 200, "a", &[], None);
    world.assert_nothing_left();
}

#[test]
fn a_180_without_answer_holds_nothing_back() {
    let (mut world, call, invite) = invited(HeaderName::Require);
    answer(&mut world, &invite, 180, "a", &[], None);
    answer(&mut world, &invite, 200, "a", &[], Some(sdp(7_000)));
    assert_eq!(world.phone(ALICE).state(call), Some(CallState::Connected));
    assert_eq!(world.phone(ALICE).remote_media(call).as_deref(), Some("10.9.0.2:7000"));
    let rings = progress(&world).len();
    world.advance(seconds(5));
    assert_eq!(progress(&world).len(), rings, "the final answer ends the repetition");
    world.hang_up(ALICE);
    let bye = requests(&mut world, &Method::Bye).pop().expect("the BYE");
    answer(&mut world, &bye, 200, "a", &[], None);
    world.assert_nothing_left();
}

/// A caller that never acknowledges is given up after 64*T1; one that cancels is not asked any more.
#[test]
fn without_prack_the_call_ends_and_with_cancel_at_once() {
    for cancel in [true, false] {
        let (mut world, call, invite) = invited(HeaderName::Require);
        answer(&mut world, &invite, 183, "a", &[], Some(sdp(7_000)));
        if cancel {
            world.alice().cancel(call);
            world.advance(millis(5));
        } else {
            world.advance(seconds(33));
            let last = world
                .phone(ALICE)
                .responses(&Method::Invite)
                .pop()
                .and_then(|answer| answer.status());
            assert_eq!(last, Some(504));
        }
        let cancelled = requests(&mut world, &Method::Cancel)
            .pop()
            .expect("CANCEL to the trunk");
        answer(&mut world, &cancelled, 200, "a", &[], None);
        answer(&mut world, &invite, 487, "a", &[], None);
        world.assert_nothing_left();
    }
}

/// The 18x of one fork has answered reliably, another fork picks up: both sides are brought together after the ACK.
#[test]
fn another_fork_that_picks_up_is_told_to_the_caller_after_the_ack() {
    let (mut world, call, invite) = invited(HeaderName::Supported);
    answer(&mut world, &invite, 183, "a", &RELIABLE, Some(sdp(7_000)));
    let theirs = requests(&mut world, &Method::Prack).pop().expect("PRACK to the trunk");
    answer(&mut world, &theirs, 200, "a", &[], None);
    let ours = progress(&world).pop().expect("the 183");
    assert_eq!(prack(&mut world, call, &ours), Some(200));
    world.tolerate("a 200 to an offer brought no answer");
    answer(&mut world, &invite, 200, "b", &[], Some(sdp(7_002)));
    world.run();
    assert_eq!(world.phone(ALICE).remote_media(call).as_deref(), Some("10.9.0.2:7002"));
}
