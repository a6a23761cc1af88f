//! A browser's WebSocket breaks in mid-call, and it comes back on another one (LESSONS 32, 33; RFC 5626 §4.5).

mod world;

use warmline::engine::{Cause, Event};
use warmline::phone::PhoneTransport;
use world::{ALICE, BOB, CAROL, World, millis, seconds};

fn browsers() -> World {
    World::over(|_| PhoneTransport::Ws)
}

/// The connection breaks and the edge notices; the phone comes back on another one and registers.
fn back_again(world: &mut World) {
    world.break_flow(ALICE);
    world.reconnect(ALICE);
    world.advance(seconds(3));
    world.alice().register();
    world.run();
}

#[test]
fn a_phone_that_registers_again_has_its_dialogs_back() {
    for caller in [ALICE, BOB] {
        let mut world = browsers();
        let other = if caller == ALICE { BOB } else { ALICE };
        world.call(caller, other);
        back_again(&mut world);
        // It is the other party that wants something first.
        let call = world.the(BOB);
        world.bob().hold(call);
        world.run();
        assert!(world.in_order(ALICE, "> REGISTER", "< INVITE"), "{}", world.ladder());
        world.bob().resume(call);
        world.run();
        assert!(world.connected(ALICE, BOB));
        world.hang_up(BOB);
        world.assert_nothing_left();
    }
}

#[test]
fn a_binding_that_moves_takes_its_dialogs_along() {
    let mut world = browsers();
    world.call(ALICE, BOB);
    // The edge has not noticed yet that the old connection is dead.
    world.reconnect(ALICE);
    world.alice().register();
    world.run();
    let call = world.the(BOB);
    world.bob().hold(call);
    world.run();
    assert!(world.in_order(ALICE, "> REGISTER", "< INVITE"), "{}", world.ladder());
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn a_transfer_reaches_a_customer_who_came_back() {
    let mut world = World::of_browsers();
    let (_, customer) = world.call(ALICE, BOB);
    back_again(&mut world);
    world.bob().hold(customer);
    world.run();
    let (consult, _) = world.call(BOB, CAROL);
    world.bob().refer_attended(customer, consult);
    world.run();
    assert!(world.connected(ALICE, CAROL), "{}", world.ladder());
    assert_eq!(world.completed(), 1);
    world.hang_up(CAROL);
    world.assert_nothing_left();
}

#[test]
fn somebody_elses_registration_takes_no_dialog() {
    let mut world = browsers();
    world.call(ALICE, BOB);
    world.break_flow(ALICE);
    world.reconnect(ALICE);
    world.advance(seconds(3));
    // Carol claims alice's contact for herself.
    let contact = world.phone(ALICE).config().contact();
    let (aor, domain) = (CAROL.uri(), world::DOMAIN);
    let register = format!(
        "REGISTER sip:{domain} SIP/2.0\r\nVia: SIP/2.0/WS x.invalid;branch=z9hG4bKx\r\nFrom: <{aor}>;tag=x\r\nTo: <{aor}>\r\n\
         Call-ID: x\r\nCSeq: 1 REGISTER\r\nMax-Forwards: 70\r\nContact: <{contact}>\r\nContent-Length: 0\r\n\r\n"
    );
    world.say(CAROL, register);
    world.run();
    let call = world.the(BOB);
    let before = world.count(CAROL, "< INVITE");
    world.bob().hold(call);
    world.run();
    assert_eq!(world.count(CAROL, "< INVITE"), before, "{}", world.ladder());
}

#[test]
fn a_browser_that_does_not_come_back_is_given_up() {
    let mut world = browsers();
    world.call(ALICE, BOB);
    world.break_flow(ALICE);
    world.reconnect(ALICE);
    world.advance(millis(31_900));
    assert_eq!(world.phone(BOB).live().len(), 1, "64*T1 are not over");
    world.advance(millis(200));
    world.run();
    assert_eq!(world.phone(BOB).live(), [], "{}", world.ladder());
    let lost = |event: &Event| matches!(event, Event::LegEnded { cause: Cause::Lost, .. });
    assert_eq!(world.events().filter(|event| lost(event)).count(), 1);
    assert_eq!(world.totals().dialogs, 0);
}

#[test]
fn a_tcp_phone_without_a_connection_keeps_its_call() {
    let mut world = World::over(|_| PhoneTransport::Tcp);
    world.call(ALICE, BOB);
    world.break_flow(ALICE);
    world.reconnect(ALICE);
    world.advance(seconds(60));
    assert_eq!(
        world.phone(BOB).live().len(),
        1,
        "it connects when it has something to say"
    );
    // And what it says is enough to be found.
    let call = world.the(ALICE);
    world.alice().hold(call);
    world.run();
    let theirs = world.the(BOB);
    world.bob().bye(theirs);
    world.run();
    assert_eq!(world.phone(ALICE).live(), []);
    world.assert_nothing_left();
}

#[test]
fn who_was_hung_up_while_away_is_told_when_it_is_back() {
    for transport in [PhoneTransport::Ws, PhoneTransport::Tcp] {
        let mut world = World::over(|_| transport);
        world.call(ALICE, BOB);
        world.break_flow(ALICE);
        world.reconnect(ALICE);
        world.hang_up(BOB);
        assert_eq!(world.totals().calls, 0);
        world.advance(seconds(3));
        assert_eq!(world.phone(ALICE).live().len(), 1, "nobody could tell it");
        world.alice().register();
        world.run();
        assert_eq!(world.phone(ALICE).live(), [], "{}", world.ladder());
        world.assert_nothing_left();
    }
}

#[test]
fn a_request_into_the_dead_connection_does_not_lose_the_party() {
    let mut world = World::over(|_| PhoneTransport::Tcp);
    world.call(ALICE, BOB);
    world.break_flow(ALICE);
    world.reconnect(ALICE);
    let call = world.the(BOB);
    world.bob().hold(call);
    world.advance(seconds(3));
    world.alice().register();
    world.run();
    world.bob().resume(call);
    world.run();
    assert!(world.in_order(ALICE, "> REGISTER", "< INVITE"), "{}", world.ladder());
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn a_bye_that_went_into_a_connection_left_behind_is_said_again() {
    let mut world = World::over(|_| PhoneTransport::Tcp);
    world.call(ALICE, BOB);
    // The edge does not know that the old connection is dead, and hears nothing of it.
    world.reconnect(ALICE);
    world.hang_up(BOB);
    world.advance(seconds(3));
    assert_eq!(world.phone(ALICE).live().len(), 1, "nobody could tell it");
    world.alice().register();
    world.run();
    assert_eq!(world.phone(ALICE).live(), [], "{}", world.ladder());
    world.assert_nothing_left();
}
