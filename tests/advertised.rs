//! What the edge says that it can do (LESSONS 9): without `Supported: replaces` phones fall back to blind transfer.

mod world;

use warmline::sip::{HeaderName, Message, Method};
use world::{ALICE, BOB, World};

/// RFC 3891 §6.2 makes it a MUST; REFER is what an operator's phone looks for.
fn assert_advertises(message: &Message) {
    let what = format!("{} {:?}", message.method(), message.status());
    assert!(
        message.has_token(HeaderName::Supported, "replaces"),
        "{what} says Supported: replaces"
    );
    for method in ["INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "REFER", "NOTIFY"] {
        assert!(
            message.has_token(HeaderName::Allow, method),
            "{what} says Allow: {method}"
        );
    }
}

fn success(responses: Vec<Message>) -> Message {
    responses
        .into_iter()
        .find(|answer| answer.status() == Some(200))
        .expect("a 200")
}

#[test]
fn invite_and_its_answer_say_replaces_and_refer() {
    let mut world = World::new();
    world.call(ALICE, BOB);
    assert_advertises(&world.phone(BOB).requests(&Method::Invite).remove(0));
    assert_advertises(&success(world.phone(ALICE).responses(&Method::Invite)));
}

#[test]
fn reinvite_and_its_answer_say_it_again() {
    let mut world = World::new();
    let (at_alice, _) = world.call(ALICE, BOB);
    world.alice().hold(at_alice);
    world.run();
    assert_advertises(&world.phone(BOB).requests(&Method::Invite).pop().expect("the re-INVITE"));
    assert_advertises(&world.phone(ALICE).responses(&Method::Invite).pop().expect("its answer"));
}

#[test]
fn options_to_the_edge_are_answered_with_it() {
    let mut world = World::new();
    world.alice().options("sip:example.org");
    world.run();
    assert_advertises(&success(world.phone(ALICE).responses(&Method::Options)));
}

#[test]
fn options_within_a_dialog_are_answered_with_it() {
    let mut world = World::new();
    let (at_alice, _) = world.call(ALICE, BOB);
    world.alice().request(at_alice, Method::Options, &[], None);
    world.run();
    assert_advertises(&success(world.phone(ALICE).responses(&Method::Options)));
    assert!(world.connected(ALICE, BOB));
}

#[test]
fn what_is_required_and_not_supported_is_420_and_named() {
    let mut world = World::new();
    let call = world
        .alice()
        .invite_with(&BOB.uri(), &[(HeaderName::Require, "timetravel")]);
    world.run();
    assert!(
        world.phone(ALICE).live().is_empty(),
        "{:?}",
        world.phone(ALICE).state(call)
    );
    let answer = world.phone(ALICE).responses(&Method::Invite).pop().expect("an answer");
    assert_eq!(
        (answer.status(), answer.text(HeaderName::Unsupported)),
        (Some(420), Some("timetravel"))
    );
    assert_eq!(world.line(BOB, "< INVITE"), None);
    world.assert_nothing_left();
}

#[test]
fn a_method_that_is_not_advertised_is_refused() {
    let mut world = World::new();
    let (at_alice, _) = world.call(ALICE, BOB);
    for (method, status) in [(Method::Publish, 405), (Method::Extension("JUMP".into()), 501)] {
        world.alice().request(at_alice, method.clone(), &[], None);
        world.run();
        let answer = world.phone(ALICE).responses(&method).pop().expect("an answer");
        assert_eq!(answer.status(), Some(status), "{method}");
    }
    assert!(world.connected(ALICE, BOB));
}
