//! When the target cannot be had: the next target, the transferor, or an end that everybody hears of; and transfers that
//! are taken back.

mod world;

use warmline::engine::{
    Command, LegHandle, OnFailure, Refusal, Reply, TransferFailure, TransferHandle, TransferMode, TransferTarget,
};
use warmline::sip::{Method, Uri};
use world::{ALICE, BOB, CAROL, DAVE, Who, World, millis, seconds};

fn to(who: Who) -> Uri {
    Uri::parse(&who.uri()).expect("a URI")
}

fn next_is_dave() -> World {
    World::with(|settings| settings.on_failure = OnFailure::Next(vec![to(DAVE)]))
}

fn order(transferor: LegHandle, target: Who, on_failure: Option<OnFailure>) -> Command {
    Command::StartTransfer {
        transferor,
        target: TransferTarget::Uri(to(target)),
        mode: None,
        ring_timeout: None,
        on_failure,
    }
}

fn running(world: &mut World) -> TransferHandle {
    let transfers = world.transfers();
    transfers.last().expect("a transfer").id
}

#[test]
fn a_busy_target_is_followed_by_the_next() {
    let mut world = next_is_dave();
    let (_, customer) = world.call(BOB, ALICE);
    world.carol().rejects_with(486);
    world.alice().refer(customer, CAROL);
    world.advance(millis(300));
    assert_eq!(world.failures(), [], "it is not over");
    assert!(world.reported(ALICE).contains(&181), "alice is told that it goes on");
    world.dave().pick_up();
    world.run();
    assert!(world.connected(BOB, DAVE));
    assert_eq!((world.completed(), world.failures().len()), (1, 0));
    assert_eq!(world.reported(ALICE).last(), Some(&200));
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn when_all_have_refused_the_transferor_has_the_call() {
    let mut world = next_is_dave();
    let (_, customer) = world.call(BOB, ALICE);
    world.carol().rejects_with(486);
    world.dave().rejects_with(603);
    world.alice().refer(customer, CAROL);
    world.run();
    assert_eq!(world.failures(), [(TransferFailure::TargetRefused, Some(603))]);
    assert!(world.connected(ALICE, BOB));
    assert_eq!(world.reported(ALICE).last(), Some(&603));
    world.hang_up(ALICE);
    world.assert_nothing_left();
}

/// Never silence for ever: the transferor has hung up, so somebody else must come, or the end.
#[test]
fn a_transferor_who_left_early_leaves_the_customer_to_the_next_or_to_an_end() {
    for next_answers in [true, false] {
        let mut world = next_is_dave();
        let (at_bob, customer) = world.call(BOB, ALICE);
        world.alice().refer(customer, CAROL);
        world.advance(millis(280));
        world.alice().bye(customer);
        world.advance(millis(100));
        world.carol().reject(486);
        world.advance(millis(300));
        if next_answers {
            world.dave().pick_up();
            world.run();
            assert!(world.connected(BOB, DAVE));
            world.hang_up(BOB);
        } else {
            world.dave().reject(480);
            world.run();
            assert_eq!(world.phone(BOB).live(), [], "{:?}", world.phone(BOB).state(at_bob));
            assert_eq!(world.failures(), [(TransferFailure::TargetNoAnswer, Some(480))]);
        }
        world.assert_nothing_left();
    }
}

#[test]
fn hang_up_releases_the_customer_and_then_the_operator() {
    let mut world = World::with(|settings| settings.on_failure = OnFailure::HangUp);
    let (_, customer) = world.call(BOB, ALICE);
    world.carol().rejects_with(486);
    world.alice().refer(customer, CAROL);
    world.run();
    assert_eq!(world.failures(), [(TransferFailure::TargetBusy, Some(486))]);
    assert_eq!(world.reported(ALICE).last(), Some(&486));
    assert_eq!((world.phone(ALICE).live(), world.phone(BOB).live()), (vec![], vec![]));
    world.assert_nothing_left();
}

#[test]
fn an_attended_transfer_whose_consult_leaves_in_the_join_goes_to_the_next() {
    let mut world = next_is_dave();
    let warm = world.warm();
    world.latency(millis(20));
    world.alice().refer_attended(warm.customer, warm.consult);
    world.advance(millis(30));
    world.carol().bye(warm.at_carol);
    world.advance(millis(25));
    assert_eq!(world.completed(), 0, "the join has not held");
    world.advance(millis(400));
    world.dave().pick_up();
    world.run();
    assert!(world.connected(BOB, DAVE));
    assert_eq!((world.completed(), world.failures().len()), (1, 0));
    assert_eq!(world.phone(CAROL).live(), []);
    world.everybody_leaves(&world::EVERYBODY);
    world.assert_nothing_left();
}

#[test]
fn a_refused_refer_goes_to_the_next_by_the_edge_itself() {
    let mut world = World::with(|settings| {
        settings.transfer = TransferMode::Refer;
        settings.on_failure = OnFailure::Next(vec![to(DAVE)]);
    });
    let (_, customer) = world.call(BOB, ALICE);
    world.bob().script().refer_answer = Some(603);
    world.alice().refer(customer, CAROL);
    world.advance(millis(300));
    world.dave().pick_up();
    world.run();
    assert!(world.connected(BOB, DAVE));
    world.hang_up(DAVE);
    world.assert_nothing_left();
}

#[test]
fn one_transfer_tries_at_most_five_targets() {
    let mut world = World::with(|settings| settings.on_failure = OnFailure::Next(vec![to(CAROL); 9]));
    let (_, customer) = world.call(BOB, ALICE);
    world.carol().rejects_with(486);
    world.alice().refer(customer, CAROL);
    world.run();
    assert_eq!(world.count(CAROL, "< INVITE"), 5);
    assert_eq!(world.failures().len(), 1);
    assert!(world.connected(ALICE, BOB));
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn a_call_is_transferred_at_most_as_often_as_configured() {
    let mut world = World::with(|settings| settings.transfer_depth = 2);
    world.call(BOB, ALICE);
    for (from, target) in [(ALICE, CAROL), (CAROL, DAVE)] {
        let call = world.the(from);
        world.seat(from).refer(call, target);
        world.advance(millis(300));
        world.seat(target).pick_up();
        world.run();
        assert!(world.connected(BOB, target));
    }
    let call = world.the(DAVE);
    world.dave().refer(call, ALICE);
    world.run();
    let answer = world.phone(DAVE).responses(&Method::Refer).pop().expect("an answer");
    assert_eq!(answer.status(), Some(403));
    assert!(world.connected(BOB, DAVE));
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn a_transfer_that_takes_too_long_is_ended_by_its_own_timer() {
    let mut world = World::with(|settings| settings.transfer_timeout = seconds(20));
    let (_, customer) = world.call(BOB, ALICE);
    world.alice().refer(customer, CAROL);
    world.advance(seconds(19));
    assert_eq!(world.failures(), []);
    world.advance(seconds(2));
    world.run();
    assert_eq!(world.failures(), [(TransferFailure::TimedOut, Some(408))]);
    assert!(world.connected(ALICE, BOB));
    assert_eq!(world.phone(CAROL).live(), []);
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn one_order_says_what_happens_when_it_fails() {
    let mut world = World::new();
    world.call(BOB, ALICE);
    let transferor = world.leg_of(ALICE).id;
    world.carol().rejects_with(486);
    world.command(order(transferor, CAROL, Some(OnFailure::Next(vec![to(DAVE)]))));
    world.advance(millis(300));
    world.dave().pick_up();
    world.run();
    assert!(world.connected(BOB, DAVE));
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn a_blind_transfer_is_taken_back_while_the_target_rings() {
    let mut world = World::new();
    world.call(BOB, ALICE);
    let transferor = world.leg_of(ALICE).id;
    world.command(order(transferor, CAROL, None));
    world.advance(millis(300));
    let transfer = running(&mut world);
    let id = world.command(Command::CancelTransfer { transfer });
    assert!(matches!(world.reply(id), Some(Ok(Reply::Transfer(view))) if view.state == "failed"));
    world.run();
    assert_eq!(world.failures(), [(TransferFailure::Cancelled, Some(487))]);
    assert!(world.line(CAROL, "< CANCEL").is_some());
    assert!(world.connected(ALICE, BOB));
    let again = world.command(Command::CancelTransfer { transfer });
    assert!(matches!(world.reply(again), Some(Err(Refusal::Conflict { .. }))));
    let nothing = TransferHandle {
        slot: 77,
        generation: 0,
    };
    let unknown = world.command(Command::CancelTransfer { transfer: nothing });
    assert!(matches!(world.reply(unknown), Some(Err(Refusal::NotFound { .. }))));
    world.hang_up(BOB);
    world.assert_nothing_left();
}

/// At every moment of an attended transfer: either it is decided, or everything is as it was.
#[test]
fn an_attended_transfer_is_taken_back_at_any_moment_or_not_at_all() {
    for mode in [TransferMode::Native, TransferMode::Refer, TransferMode::Pass] {
        let mut taken_back = 0;
        for moment in 1..24 {
            let mut world = World::with(|settings| settings.transfer = mode);
            world.tolerate("");
            let warm = world.warm();
            world.alice().refer_attended(warm.customer, warm.consult);
            world.advance(millis(moment));
            let Some(transfer) = world.transfers().first().map(|transfer| transfer.id) else {
                continue;
            };
            let id = world.command(Command::CancelTransfer { transfer });
            let done = matches!(world.reply(id), Some(Ok(_)));
            world.run();
            if done && mode == TransferMode::Native {
                taken_back += 1;
                assert_eq!(world.completed(), 0);
                assert_eq!(
                    world.phone(ALICE).live().len(),
                    2,
                    "both of alice's calls, after {moment} ms"
                );
                assert!(world.phone(ALICE).is_holding(warm.customer));
                assert!(
                    world.phone(BOB).is_held(warm.at_bob),
                    "held as he was, after {moment} ms"
                );
                let carol = world.phone(CAROL).config().media.to_string();
                assert_eq!(
                    world.phone(ALICE).remote_media(warm.consult),
                    Some(carol),
                    "after {moment} ms"
                );
            }
            world.everybody_leaves(&world::EVERYBODY);
            world.assert_nothing_left();
        }
        assert!(mode != TransferMode::Native || taken_back >= 3, "{taken_back}");
    }
}
