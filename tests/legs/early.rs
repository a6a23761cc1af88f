//! Early dialogs: forks behind a trunk, descriptions that come early, CANCEL races (RFC 3261 §9, §13.2.2.4; LESSONS 29).

use warmline::phone::{CallState, EndReason};
use warmline::sip::{HeaderName, Message, Method};

use crate::trunk::{self, NUMBER, answer, requests, sdp};
use crate::world::{ALICE, BOB, Fate, World, millis, seconds};

fn invited() -> (World, warmline::phone::PhoneCall, Message) {
    let mut world = trunk::world();
    let call = world.alice().call_uri(NUMBER);
    world.advance(millis(5));
    let invite = requests(&mut world, &Method::Invite).pop().expect("the INVITE");
    (world, call, invite)
}

fn hang_up(world: &mut World) {
    world.hang_up(ALICE);
    let byes = requests(world, &Method::Bye);
    for bye in byes {
        answer(world, &bye, 200, "x", &[], None);
    }
    world.assert_nothing_left();
}

/// LESSONS 29: the description of the 183 is the answer.
#[test]
fn a_200_without_description_takes_that_of_its_183() {
    let (mut world, call, invite) = invited();
    answer(&mut world, &invite, 183, "a", &[], Some(sdp(7_000)));
    let progress = world.phone(ALICE).responses(&Method::Invite).pop().expect("the 183");
    assert!(
        String::from_utf8_lossy(&progress.body()).contains("m=audio 7000"),
        "early media passes"
    );
    answer(&mut world, &invite, 200, "a", &[], None);
    assert_eq!(world.phone(ALICE).state(call), Some(CallState::Connected));
    assert_eq!(world.phone(ALICE).remote_media(call).as_deref(), Some("10.9.0.2:7000"));
    assert_eq!(requests(&mut world, &Method::Ack).len(), 1);
    hang_up(&mut world);
}

/// Each tag is an early dialog of its own; the 200 picks, with its target, its route set and its description.
#[test]
fn the_200_picks_the_fork_and_takes_nothing_of_the_others() {
    let (mut world, call, invite) = invited();
    answer(
        &mut world,
        &invite,
        183,
        "a",
        &[("Record-Route", "<sip:10.9.0.1:5060;lr;of=a>")],
        Some(sdp(7_000)),
    );
    answer(
        &mut world,
        &invite,
        183,
        "b",
        &[("Record-Route", "<sip:10.9.0.1:5060;lr;of=b>")],
        Some(sdp(7_002)),
    );
    let second = world
        .phone(ALICE)
        .responses(&Method::Invite)
        .pop()
        .expect("the second 183");
    assert!(
        second.body().is_empty(),
        "with two forks the caller could not tell whom it hears"
    );
    answer(
        &mut world,
        &invite,
        200,
        "b",
        &[("Record-Route", "<sip:10.9.0.1:5060;lr;of=b>")],
        None,
    );
    assert_eq!(world.phone(ALICE).remote_media(call).as_deref(), Some("10.9.0.2:7002"));
    let ack = requests(&mut world, &Method::Ack).pop().expect("the ACK");
    assert_eq!(
        (ack.to_tag(), ack.request_uri(), ack.cseq()),
        (Some("b"), Some("sip:b@10.9.0.1"), invite.cseq())
    );
    assert_eq!(ack.text(HeaderName::Route), Some("<sip:10.9.0.1:5060;lr;of=b>"));
    hang_up(&mut world);
}

/// §13.2.2.4: acknowledged and ended, in its own dialog; the call stays with the first.
#[test]
fn a_late_200_of_another_fork_is_acknowledged_and_ended() {
    let (mut world, call, invite) = invited();
    answer(&mut world, &invite, 183, "b", &[], Some(sdp(7_002)));
    answer(&mut world, &invite, 200, "a", &[], Some(sdp(7_000)));
    trunk::arrived(&mut world);
    answer(&mut world, &invite, 200, "b", &[], Some(sdp(7_002)));
    let messages = trunk::arrived(&mut world);
    let of_b: Vec<_> = messages
        .iter()
        .filter(|message| message.to_tag() == Some("b"))
        .map(|message| message.method().clone())
        .collect();
    assert_eq!(of_b, [Method::Ack, Method::Bye]);
    let bye = messages
        .iter()
        .find(|message| *message.method() == Method::Bye)
        .expect("the BYE");
    assert_eq!(bye.request_uri(), Some("sip:b@10.9.0.1"));
    answer(&mut world, bye, 200, "b", &[], None);
    assert_eq!(world.phone(ALICE).remote_media(call).as_deref(), Some("10.9.0.2:7000"));
    hang_up(&mut world);
}

#[test]
fn a_200_that_crosses_the_cancel_is_acknowledged_and_ended() {
    let (mut world, call, invite) = invited();
    answer(&mut world, &invite, 180, "a", &[], None);
    world.alice().cancel(call);
    world.advance(millis(5));
    let cancel = requests(&mut world, &Method::Cancel).pop().expect("the CANCEL");
    answer(&mut world, &cancel, 200, "a", &[], None);
    answer(&mut world, &invite, 200, "a", &[], Some(sdp(7_000)));
    let methods: Vec<_> = trunk::arrived(&mut world)
        .iter()
        .map(|message| message.method().clone())
        .collect();
    assert_eq!(methods, [Method::Ack, Method::Bye]);
    assert_eq!(
        world.phone(ALICE).state(call),
        Some(CallState::Ended(EndReason::Cancelled))
    );
    world.run();
    world.advance(seconds(40));
    assert_eq!((world.totals().dialogs, world.totals().transactions), (0, 0));
}

/// §9.1: nothing may be cancelled before a provisional answer; the CANCEL waits for it.
#[test]
fn a_cancel_waits_for_the_first_provisional_answer() {
    let (mut world, call, invite) = invited();
    world.alice().cancel(call);
    world.advance(millis(200));
    assert_eq!(requests(&mut world, &Method::Cancel).len(), 0);
    answer(&mut world, &invite, 180, "a", &[], None);
    let cancel = requests(&mut world, &Method::Cancel).pop().expect("now it goes");
    assert_eq!(cancel.branch(), invite.branch());
    answer(&mut world, &cancel, 200, "a", &[], None);
    answer(&mut world, &invite, 487, "a", &[], None);
    assert_eq!(requests(&mut world, &Method::Ack).len(), 1);
    world.assert_nothing_left();
}

/// The 487 never comes: 64*T1 after the CANCEL the INVITE is given up, and nobody waits for it.
#[test]
fn a_487_that_is_lost_leaves_nothing_behind() {
    let (mut world, call, invite) = invited();
    answer(&mut world, &invite, 180, "a", &[], None);
    world.alice().cancel(call);
    world.advance(seconds(1));
    assert!(matches!(world.phone(ALICE).state(call), Some(CallState::Ended(_))));
    world.advance(seconds(70));
    assert_eq!(
        (
            world.totals().dialogs,
            world.totals().calls,
            world.totals().transactions
        ),
        (0, 0, 0)
    );

    // As UAS: our 487 is lost and repeated until its ACK.
    let mut world = World::new();
    let call = world.alice().call(BOB);
    world.advance(millis(300));
    world.once(Fate::Lose, |packet| packet.is_answer_to(ALICE, Method::Invite, 487));
    world.alice().cancel(call);
    world.run();
    assert_eq!(
        world.phone(ALICE).state(call),
        Some(CallState::Ended(EndReason::Cancelled))
    );
    world.assert_nothing_left();
}
