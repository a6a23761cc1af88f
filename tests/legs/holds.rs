//! Holds in each other, in every spelling, through refreshes and transfers (RFC 3264 §8.4, RFC 5359 §2.1; LESSONS 28).

use warmline::engine::{Command, HoldDirection, Reply};
use warmline::sdp::Direction;
use warmline::sip::Method;

use crate::world::{ALICE, BOB, CAROL, Who, World, seconds};

/// A phone holds, then the other, then the API: whoever lets go, the rest still holds.
#[test]
fn holds_of_both_sides_and_of_the_api_are_let_go_one_by_one() {
    let orders: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for order in orders {
        let mut world = World::new();
        let (his, mine) = world.call(BOB, ALICE);
        let leg = world.leg_of(BOB).id;
        world.alice().hold(mine);
        world.run();
        world.bob().hold(his);
        world.run();
        let hold = world.command(Command::Hold {
            leg,
            direction: HoldDirection::SendOnly,
            music: None,
        });
        world.run();
        assert!(
            matches!(world.reply(hold), Some(Ok(Reply::Done))),
            "{:?}",
            world.reply(hold)
        );
        for (step, who) in order.into_iter().enumerate() {
            match who {
                0 => world.alice().resume(mine),
                1 => world.bob().resume(his),
                _ => {
                    world.command(Command::Resume { leg });
                }
            }
            world.run();
            if step < 2 {
                let both = (world.phone(ALICE).direction(mine), world.phone(BOB).direction(his));
                assert_ne!(
                    both,
                    (Some(Direction::SendRecv), Some(Direction::SendRecv)),
                    "{order:?} after {step}"
                );
            }
        }
        assert!(world.connected(ALICE, BOB), "{order:?}");
        world.hang_up(BOB);
        world.assert_nothing_left();
    }
}

/// `inactive`, and the `c=0.0.0.0` of RFC 2543: both hold, and the mirror of both is `inactive`.
#[test]
fn a_phone_may_hold_in_every_spelling() {
    for spelling in ["inactive", "0.0.0.0"] {
        let mut world = World::new();
        let (mine, his) = world.call(ALICE, BOB);
        let (address, direction) = match spelling {
            "inactive" => ("10.0.1.11", "inactive"),
            _ => ("0.0.0.0", "sendrecv"),
        };
        let body = format!(
            "v=0\r\no=alice 9 9 IN IP4 10.0.1.11\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\na={direction}\r\n"
        );
        let headers = [("Contact", "<sip:alice@10.0.0.11:5060>")];
        world
            .alice()
            .request(mine, Method::Update, &headers, Some(("application/sdp", &body)));
        world.run();
        let answer = world.phone(ALICE).responses(&Method::Update).pop().expect("the answer");
        let text = String::from_utf8_lossy(&answer.body()).into_owned();
        assert!(
            answer.status() == Some(200) && text.contains("a=inactive"),
            "{spelling}: {text}"
        );
        assert!(world.phone(BOB).is_held(his), "{spelling}");
        assert!(
            world.leg_of(ALICE).holding && world.call_of(BOB).state == "held",
            "{spelling}"
        );
        world.alice().resume(mine);
        world.tolerate("session");
        world.run();
        assert_eq!(world.phone(BOB).direction(his), Some(Direction::SendRecv), "{spelling}");
        assert!(!world.leg_of(ALICE).holding);
        world.hang_up(BOB);
        world.assert_nothing_left();
    }
}

/// Held by whatever: who is transferred talks and listens again, also when the session was refreshed in between.
#[test]
fn a_held_party_that_is_transferred_comes_back_two_way() {
    for refreshed in [false, true] {
        for by_api in [false, true] {
            let mut world = World::new();
            let warm = world.warm();
            if by_api {
                let leg = world.legs_of(BOB).first().expect("bob's leg").id;
                world.command(Command::Hold {
                    leg,
                    direction: HoldDirection::Inactive,
                    music: None,
                });
                world.run();
            }
            if refreshed {
                world.advance(seconds(1_000));
            }
            assert!(world.phone(BOB).is_held(warm.at_bob));
            world.alice().refer_attended(warm.customer, warm.consult);
            world.run();
            assert!(
                world.connected(BOB, CAROL),
                "refreshed {refreshed}, by the API {by_api}"
            );
            world.hang_up(CAROL);
            world.assert_nothing_left();
        }
    }
}

/// A customer who holds the operator himself is not taken out of his own hold by a transfer; he resumes, and talks.
#[test]
fn a_customer_who_holds_resumes_by_himself_after_the_transfer() {
    let mut world = World::new();
    let warm = world.warm();
    world.bob().hold(warm.at_bob);
    world.run();
    world.alice().refer_attended(warm.customer, warm.consult);
    world.run();
    let only: [Who; 2] = [BOB, CAROL];
    assert!(only.iter().all(|who| world.phone(*who).live().len() == 1) && world.phone(ALICE).live().is_empty());
    world.bob().resume(warm.at_bob);
    world.run();
    assert!(world.connected(BOB, CAROL));
    world.hang_up(BOB);
    world.assert_nothing_left();
}
