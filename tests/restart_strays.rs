//! What a process that was killed had begun with phones, and the next one must end or not begin again.

mod world;

use warmline::sip::Method;
use world::{ALICE, BOB, CAROL, World, millis, seconds};

/// Bob talks with alice, and nobody answers for carol.
fn cold() -> World {
    let mut world = World::keeping(|_| {});
    for complaint in ["no answer", "no ACK", "timer", "a NOTIFY", "retransmission", "BYE"] {
        world.tolerate(complaint);
    }
    world.call(BOB, ALICE);
    world
}

#[test]
fn a_target_that_rings_when_the_process_dies_is_told_to_stop() {
    let mut world = cold();
    let call = world.the(ALICE);
    world.alice().refer(call, CAROL);
    world.advance(millis(300));
    assert_eq!(world.phone(CAROL).live().len(), 1, "carol rings");
    world.restart(millis(100));
    world.advance(seconds(2));
    assert_eq!(
        world.phone(CAROL).live(),
        [],
        "nobody waits for carol any more\n{}",
        world.ladder()
    );
    assert_eq!(world.phone(CAROL).requests(&Method::Cancel).len(), 1);
}

/// The process dies before its 202 is on the wire, and the phone says its REFER again to the next one.
#[test]
fn a_refer_whose_answer_was_lost_is_answered_and_not_done_twice() {
    let mut accepted_twice = 0;
    for after in 0..8 {
        let mut world = cold();
        let call = world.the(ALICE);
        world.die_after(after);
        world.alice().refer(call, CAROL);
        world.advance(millis(100));
        if !world.is_dead() {
            continue;
        }
        let dialled = world.phone(CAROL).requests(&Method::Invite).len();
        let known = world.kept().contains_key("transfer");
        world.start_again();
        world.advance(seconds(3));
        assert_eq!(world.phone(ALICE).refer_status(call), Some(202), "killed at {after}");
        let finals: Vec<u16> = world
            .reported(ALICE)
            .into_iter()
            .filter(|status| *status >= 200)
            .collect();
        let again = world.phone(CAROL).requests(&Method::Invite).len() - dialled;
        if known {
            accepted_twice += 1;
            assert_eq!(
                (again, finals.as_slice()),
                (0, &[503][..]),
                "killed at {after}\n{}",
                world.ladder()
            );
        }
    }
    assert!(accepted_twice >= 3, "{accepted_twice}");
}
