//! REFER, Replaces and Join that concern a hub: who takes whose place, who is told, and who is left.

mod world;

use warmline::engine::{CallHandle, Cause, Command, Event, HubSettings, LegHandle, Part, Role};
use warmline::media::Heard;
use warmline::phone::{CallState, EndReason, PhoneCall};
use warmline::sip::{HeaderName, Method, Replaces};
use world::{ALICE, BOB, CAROL, DAVE, Who, World, millis};

/// Alice and bob in a hub: it, and their legs.
fn two(world: &mut World, alice: Role) -> (CallHandle, LegHandle, LegHandle) {
    let hub = world.open_hub(HubSettings::default());
    let alice = world.add_and_answer(hub, ALICE, alice);
    let bob = world.add_and_answer(hub, BOB, Role::default());
    assert!(world.all_speak(hub, &[alice, bob]));
    (hub, alice, bob)
}

fn legs(world: &mut World, hub: CallHandle) -> Vec<LegHandle> {
    world.hub(hub).participants.iter().map(|part| part.leg).collect()
}

fn join(id: &Replaces) -> String {
    format!("{};to-tag={};from-tag={}", id.call_id, id.to_tag, id.from_tag)
}

fn refused(world: &World, who: Who, call: PhoneCall, status: u16) {
    assert_eq!(
        world.phone(who).state(call),
        Some(CallState::Ended(EndReason::Refused(status)))
    );
}

#[test]
fn the_target_of_a_participant_s_refer_has_its_place_and_role() {
    let mut world = World::new();
    let role = Role {
        label: Some("agent".to_owned()),
        ends: true,
        ..Role::default()
    };
    let (hub, _, bob) = two(&mut world, role.clone());
    let own = world.the(ALICE);
    world.alice().refer(own, CAROL);
    world.advance(millis(300));
    world.carol().pick_up();
    world.run();
    let carol = world.leg_of(CAROL).id;
    assert!(world.all_speak(hub, &[bob, carol]));
    assert_eq!(world.hub(hub).participants[1].role, role);
    assert_eq!(world.reported(ALICE), [100, 180, 200]);
    assert!(world.in_order(ALICE, "< NOTIFY", "< BYE"), "told, then released");
    world.hang_up(CAROL);
    assert_eq!(world.count(BOB, "< BYE"), 1, "the role went over: it ends the hub");
    world.assert_nothing_left();
}

#[test]
fn a_participant_whose_target_refuses_stays_and_is_told() {
    let mut world = World::new();
    let (hub, alice, bob) = two(&mut world, Role::default());
    let own = world.the(ALICE);
    world.carol().rejects_with(486);
    world.alice().refer(own, CAROL);
    world.run();
    assert_eq!(world.reported(ALICE), [100, 486]);
    assert!(world.all_speak(hub, &[alice, bob]));
    world.alice().refer_to(own, "<sip:nobody@example.org>");
    world.run();
    assert_eq!(world.reported(ALICE).last(), Some(&404));
    assert!(world.all_speak(hub, &[alice, bob]));
    world.hang_up(ALICE);
    world.hang_up(BOB);
    world.assert_nothing_left();
}

/// LESSONS 3: the transferor's BYE comes at every moment, with a role that would end the hub.
#[test]
fn a_participant_that_hangs_up_after_its_refer_stops_nothing() {
    for wait in [0, 1, 2, 3, 100, 299, 300, 301, 302, 303, 400] {
        let mut world = World::new();
        world.carol().answers_after(millis(300));
        let (hub, _, bob) = two(
            &mut world,
            Role {
                ends: true,
                ..Role::default()
            },
        );
        let own = world.the(ALICE);
        world.tolerate("NOTIFY");
        world.alice().refer(own, CAROL);
        world.advance(millis(wait));
        if world.phone(ALICE).state(own) == Some(CallState::Connected) {
            world.alice().bye(own);
        }
        world.run();
        let carol = world.leg_of(CAROL).id;
        assert!(world.all_speak(hub, &[bob, carol]), "after {wait} ms");
        world.hang_up(CAROL);
        world.assert_nothing_left();
    }
}

#[test]
fn a_participant_that_has_gone_and_whose_target_refuses_ends_what_it_would_have_ended() {
    for (ends, left) in [(true, 0), (false, 1)] {
        let mut world = World::new();
        let (_, _, _) = two(
            &mut world,
            Role {
                ends,
                ..Role::default()
            },
        );
        let own = world.the(ALICE);
        world.tolerate("NOTIFY");
        world.alice().refer(own, CAROL);
        world.advance(millis(100));
        world.alice().bye(own);
        world.advance(millis(100));
        world.carol().reject(486);
        world.run();
        assert_eq!(world.phone(BOB).live().len(), left);
        world.everybody_leaves(&[BOB]);
        world.assert_nothing_left();
    }
}

#[test]
fn the_party_of_a_participant_s_other_call_has_its_place() {
    for early in [false, true] {
        let mut world = World::new();
        let (hub, _, bob) = two(&mut world, Role::default());
        let own = world.the(ALICE);
        let consult = world.alice().call(CAROL);
        world.advance(millis(300));
        if !early {
            world.carol().pick_up();
            world.run();
        }
        world.alice().refer_attended(own, consult);
        world.advance(millis(200));
        if early {
            assert!(
                world.phone(ALICE).state(own) == Some(CallState::Connected),
                "until carol answers"
            );
            world.carol().pick_up();
        }
        world.run();
        let carol = world.leg_of(CAROL).id;
        assert!(world.all_speak(hub, &[bob, carol]), "early: {early}");
        assert!(
            world.phone(ALICE).live().is_empty(),
            "both legs of the transferor are released"
        );
        assert_eq!(world.reported(ALICE).last(), Some(&200));
        world.hang_up(CAROL);
        world.hang_up(BOB);
        world.assert_nothing_left();
    }
}

#[test]
fn a_customer_is_sent_into_the_hub_in_its_agent_s_place() {
    let mut world = World::new();
    let (hub, _, bob) = two(&mut world, Role::default());
    let (seat, customer) = (world.the(ALICE), world.carol().call(ALICE));
    world.advance(millis(300));
    let with_carol = world.alice().pick_up();
    world.run();
    world.alice().refer_attended(with_carol, seat);
    world.run();
    let carol = world.leg_of(CAROL).id;
    assert!(world.all_speak(hub, &[bob, carol]));
    assert!(world.phone(ALICE).live().is_empty());
    assert_eq!(world.phone(CAROL).state(customer), Some(CallState::Connected));
    assert_eq!(world.reported(ALICE).last(), Some(&200));
    world.hang_up(CAROL);
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn two_hubs_are_not_made_one() {
    let mut world = World::new();
    let (hub, alice, bob) = two(&mut world, Role::default());
    let own = world.the(ALICE);
    let other = world.open_hub(HubSettings::default());
    world.add(other, ALICE, Role::default());
    world.run();
    let second = world.alice().pick_up();
    world.run();
    world.alice().refer_attended(own, second);
    world.run();
    let answer = world.phone(ALICE).responses(&Method::Refer).pop().expect("an answer");
    assert_eq!(answer.status(), Some(488));
    assert!(world.all_speak(hub, &[alice, bob]));
    world.everybody_leaves(&[ALICE, BOB]);
    world.assert_nothing_left();
}

#[test]
fn a_newcomer_with_replaces_has_the_place_of_a_participant_or_of_one_that_rings() {
    for ringing in [false, true] {
        let mut world = World::new();
        let (hub, alice, bob) = two(&mut world, Role::default());
        let coach = Role {
            part: Part::Coach { of: alice },
            ..Role::default()
        };
        let dave = world.add_and_answer(hub, DAVE, coach);
        // Another phone of alice's, or of carol's who rings.
        let (user, named) = if ringing {
            world.add(hub, CAROL, Role::default());
            world.run();
            (CAROL, world.carol().ringing())
        } else {
            (ALICE, world.the(ALICE))
        };
        let id = world.phone(user).replaces(named).expect("a dialog");
        if ringing {
            // Only the phone itself knows that it is carol's.
            let call = world.carol().invite_with_replaces(&ALICE.uri(), &id);
            world.run();
            assert_eq!(world.phone(CAROL).state(call), Some(CallState::Connected));
            assert_eq!(world.count(CAROL, "< CANCEL"), 1);
            assert_eq!(world.hub(hub).participants.len(), 4);
        } else {
            let call = world.alice().invite_with_replaces(&ALICE.uri(), &id);
            world.run();
            assert_eq!(world.phone(ALICE).state(call), Some(CallState::Connected));
            let newcomer = world.leg_of(ALICE).id;
            assert_eq!(world.hub(hub).participants.len(), 3);
            assert_eq!(world.mixed(hub, dave).0, Heard::By(newcomer), "who coached goes on");
            assert_eq!(world.mixed(hub, bob).0, Heard::ByAll);
            assert_eq!(world.count(ALICE, "< BYE"), 1);
        }
        world.everybody_leaves(&[ALICE, BOB, CAROL, DAVE]);
        world.assert_nothing_left();
    }
}

#[test]
fn a_stranger_has_nobody_s_place_in_a_hub() {
    let mut world = World::new();
    let (hub, alice, bob) = two(&mut world, Role::default());
    let id = world.phone(ALICE).replaces(world.the(ALICE)).expect("a dialog");
    let call = world.dave().invite_with_replaces(&ALICE.uri(), &id);
    world.run();
    refused(&world, DAVE, call, 403);
    let call = world
        .dave()
        .invite_with(&ALICE.uri(), &[(HeaderName::Join, &join(&id))]);
    world.run();
    refused(&world, DAVE, call, 403);
    assert!(world.all_speak(hub, &[alice, bob]));
    world.everybody_leaves(&[ALICE, BOB]);
    world.assert_nothing_left();
}

/// RFC 3911: alice joins her own call with bob twice more: a pair becomes a hub, a hub grows.
#[test]
fn join_makes_a_hub_of_a_pair_and_adds_to_a_hub() {
    let mut world = World::new();
    let (_, at_alice) = world.call(BOB, ALICE);
    let id = world.phone(ALICE).replaces(at_alice).expect("a dialog");
    // Not authenticated here, so it must be the same address of record from the same host: alice's own phone.
    let call = world.alice().invite_with(&BOB.uri(), &[(HeaderName::Join, &join(&id))]);
    world.run();
    assert_eq!(world.phone(ALICE).state(call), Some(CallState::Connected));
    let hub = world.call_of(BOB).id;
    assert_eq!(world.call_of(BOB).state, "hub");
    let three = legs(&mut world, hub);
    assert!(three.len() == 3 && world.all_speak(hub, &three));
    let call = world.alice().invite_with(
        &BOB.uri(),
        &[(HeaderName::Join, &join(&id)), (HeaderName::Require, "join")],
    );
    world.run();
    assert_eq!(world.phone(ALICE).state(call), Some(CallState::Connected));
    let four = legs(&mut world, hub);
    assert!(four.len() == 4 && world.all_speak(hub, &four));
    world.everybody_leaves(&[ALICE, BOB]);
    world.assert_nothing_left();
}

#[test]
fn a_join_that_matches_nothing_is_481_and_one_of_an_ended_dialog_603() {
    let mut world = World::new();
    let (at_bob, at_alice) = world.call(BOB, ALICE);
    let id = world.phone(ALICE).replaces(at_alice).expect("a dialog");
    let wrong = Replaces {
        from_tag: "nobody".into(),
        ..id.clone()
    };
    for (header, status) in [
        (join(&wrong), 481),
        ("x;to-tag=a;from-tag=b".to_owned(), 481),
        ("x;to-tag=a".to_owned(), 400),
    ] {
        let call = world.alice().invite_with(&BOB.uri(), &[(HeaderName::Join, &header)]);
        world.run();
        refused(&world, ALICE, call, status);
    }
    world
        .alice()
        .request(at_alice, Method::Info, &[("Join", join(&id).as_str())], None);
    world.run();
    let answer = world.phone(ALICE).responses(&Method::Info).pop().expect("an answer");
    assert_eq!(answer.status(), Some(400));
    assert!(world.connected(ALICE, BOB));
    world.bob().bye(at_bob);
    world.run();
    let call = world.alice().invite_with(&BOB.uri(), &[(HeaderName::Join, &join(&id))]);
    world.run();
    refused(&world, ALICE, call, 603);
    world.assert_nothing_left();
    let causes: Vec<Cause> = world.ends_of_calls();
    assert_eq!(causes, [Cause::Party]);
}

#[test]
fn a_party_is_sent_away_by_refer_and_the_edge_drops_out() {
    let mut world = World::new();
    let (hub, _, bob) = two(&mut world, Role::default());
    world.carol().answers_after(millis(100));
    let to = warmline::sip::Uri::parse(&CAROL.uri()).expect("an address");
    world
        .order(Command::Refer {
            leg: bob,
            to: to.clone(),
        })
        .expect("confirmed");
    assert!(world.order(Command::Refer { leg: bob, to }).is_err(), "once");
    world.run();
    assert!(world.connected(BOB, CAROL), "by a call of their own");
    assert_eq!(world.hub(hub).participants.len(), 1);
    let told: Vec<_> = world
        .events()
        .filter_map(|event| {
            let Event::Hub(warmline::engine::HubNote::Referred { status, last, .. }) = event else {
                return None;
            };
            Some((*status, *last))
        })
        .collect();
    assert_eq!(told.last(), Some(&(200, true)), "{told:?}");
    world.everybody_leaves(&[ALICE, BOB, CAROL]);
    world.assert_nothing_left();
}

#[test]
fn a_party_that_refuses_to_be_sent_away_stays() {
    let mut world = World::new();
    let (hub, alice, bob) = two(&mut world, Role::default());
    world.carol().rejects_with(486);
    let to = warmline::sip::Uri::parse(&CAROL.uri()).expect("an address");
    world.order(Command::Refer { leg: bob, to }).expect("confirmed");
    world.run();
    assert!(world.all_speak(hub, &[alice, bob]));
    world.everybody_leaves(&[ALICE, BOB, CAROL]);
    world.assert_nothing_left();
}
