//! Held parties hear music from the edge; their call moves to the edge for it and back (RFC 5359 §2.2, RFC 3264 §8.4).

mod world;

use warmline::engine::{Command, Event, HoldDirection, LegHandle, MediaNote, Refusal, Reply, Settings};
use warmline::media::describe::Mode;
use warmline::media::{Hear, MediaCommand, PromptName};
use warmline::phone::CallState;
use warmline::sdp::Direction;
use world::{ALICE, BOB, CAROL, World, millis};

fn music(name: &str) -> Option<Hear> {
    Some(Hear::Prompt {
        name: PromptName(name.into()),
        again: true,
    })
}

fn world(change: impl FnOnce(&mut Settings)) -> World {
    World::with(|settings| {
        settings.media.hold_music = Some(PromptName("hold".into()));
        settings.prompts = vec!["hold".to_owned(), "sales".to_owned()];
        change(settings);
    })
}

#[test]
fn a_phone_that_holds_lets_the_other_hear_music_until_it_takes_it_back() {
    for (caller, callee) in [(BOB, ALICE), (ALICE, BOB)] {
        let mut world = world(|_| {});
        world.call(caller, callee);
        assert!(world.connected(ALICE, BOB) && world.media().is_empty());
        let (mine, his) = (world.the(ALICE), world.the(BOB));
        let bob = world.leg_of(BOB).id;
        world.alice().hold(mine);
        world.run();
        assert!(world.phone(BOB).is_held(his));
        assert_eq!(world.hears(bob), music("hold"));
        let end = world.end(bob).unwrap();
        assert_eq!(
            (end.direction, end.remote),
            (Direction::SendOnly, Some("10.0.1.12:40002".parse().unwrap()))
        );
        assert!(world.told(BOB).contains("\r\na=sendonly\r\n"), "{}", world.told(BOB));
        world.alice().resume(mine);
        world.run();
        assert!(world.connected(ALICE, BOB));
        assert_eq!(world.ends(), []);
        world.hang_up(BOB);
        world.assert_nothing_left();
    }
}

#[test]
fn the_api_holds_with_the_music_that_it_names() {
    for named in [None, Some("sales")] {
        for (caller, callee) in [(BOB, ALICE), (ALICE, BOB)] {
            let mut world = world(|_| {});
            world.call(caller, callee);
            let leg = world.leg_of(BOB).id;
            let music_name = named.map(str::to_owned);
            world.command(Command::Hold {
                leg,
                direction: HoldDirection::SendOnly,
                music: music_name,
            });
            world.run();
            assert_eq!(world.hears(leg), music(named.unwrap_or("hold")));
            world.command(Command::Resume { leg });
            world.run();
            assert!(world.connected(ALICE, BOB));
            assert_eq!(world.ends(), []);
            world.hang_up(BOB);
            world.assert_nothing_left();
        }
    }
}

#[test]
fn a_prompt_that_nobody_has_is_refused() {
    let mut world = world(|_| {});
    world.call(BOB, ALICE);
    let leg = world.leg_of(BOB).id;
    for (direction, name) in [
        (HoldDirection::SendOnly, "nonsense"),
        (HoldDirection::Inactive, "sales"),
    ] {
        let music = Some(name.to_owned());
        let hold = world.command(Command::Hold { leg, direction, music });
        assert!(matches!(
            world.reply(hold),
            Some(Err(Refusal::Invalid { field: "music", .. }))
        ));
    }
    world.run();
    assert!(world.connected(ALICE, BOB));
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn a_held_browser_goes_on_talking_with_the_edge_and_hears_the_other_again() {
    let mut world = World::unregistered(
        |settings| settings.media.hold_music = Some(PromptName("hold".into())),
        |_| warmline::phone::PhoneTransport::Wss,
    );
    for who in [ALICE, BOB] {
        world.seat(who).configure(|config| config.browser = true);
    }
    world.register_everybody();
    world.call(BOB, ALICE);
    assert!(world.media().is_empty(), "two browsers talk directly");
    let (mine, bob) = (world.the(ALICE), world.leg_of(BOB).id);
    world.alice().hold(mine);
    world.run();
    assert_eq!(world.hears(bob), music("hold"));
    assert!(
        world.told(BOB).contains("\r\na=setup:active\r\n"),
        "we take alice's place: {}",
        world.told(BOB)
    );
    world.alice().resume(mine);
    world.run();
    assert!(world.relayed(ALICE, BOB));
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn the_customer_hears_music_while_the_consult_is_asked_and_the_consult_afterwards() {
    for relay in [false, true] {
        let mut world = world(|settings| {
            if relay {
                settings.media.mode = Mode::Relay;
            }
        });
        let warm = world.warm();
        let customer = world.leg_of(BOB).id;
        assert_eq!(world.hears(customer), music("hold"));
        world.alice().refer_attended(warm.customer, warm.consult);
        world.run();
        if relay {
            assert!(world.relayed(BOB, CAROL));
        } else {
            assert!(world.connected(BOB, CAROL));
            assert_eq!(world.ends(), []);
        }
        world.hang_up(BOB);
        world.assert_nothing_left();
    }
}

#[test]
fn a_transfer_that_fails_leaves_the_customer_with_the_operator() {
    let mut world = world(|settings| settings.media.mode = Mode::Relay);
    let (_, mine) = world.call(BOB, ALICE);
    let bob = world.leg_of(BOB).id;
    world.carol().rejects_with(486);
    world.alice().refer(mine, CAROL);
    world.run();
    assert!(world.relayed(ALICE, BOB));
    // The join itself fails: bob refuses what he is offered, and hears what he heard.
    world.carol().script().reject_with = None;
    world.bob().answers_reinvite_with(500);
    world.bob().answers_reinvite_with(500);
    world.alice().refer(mine, CAROL);
    world.advance(millis(500));
    world.carol().pick_up();
    world.run();
    let alice = world.leg_of(ALICE).id;
    assert_eq!(world.hears(bob), Some(Hear::Leg(alice)));
    world.hang_up(BOB);
    world.run();
    world.assert_nothing_left();
}

#[test]
fn without_a_port_there_is_no_music_but_there_is_a_hold_and_an_alarm() {
    let mut world = world(|settings| settings.media.ports = (20_000, 20_001));
    world.call(BOB, ALICE);
    world.call(CAROL, world::DAVE);
    let (mine, carol) = (world.the(ALICE), world.the(CAROL));
    for (holder, call) in [(ALICE, mine), (CAROL, carol)] {
        world.seat(holder).hold(call);
        world.run();
    }
    assert!(world.phone(BOB).is_held(world.the(BOB)));
    let alarms = world
        .events()
        .filter(|event| matches!(event, Event::Media(MediaNote::NoPort { .. })))
        .count();
    assert!(alarms > 0);
    for (holder, call) in [(ALICE, mine), (CAROL, carol)] {
        world.seat(holder).resume(call);
        world.run();
    }
    assert!(world.connected(ALICE, BOB));
    world.hang_up(BOB);
    world.hang_up(CAROL);
    world.assert_nothing_left();
}

#[test]
fn a_recording_moves_its_call_to_the_edge_and_goes_on_through_hold_and_transfer() {
    let mut world = world(|settings| settings.recordings = true);
    let (_, mine) = world.call(BOB, ALICE);
    let leg = world.leg_of(BOB).id;
    let record = world.command(Command::Record { leg });
    let Some(Ok(Reply::Recording(name))) = world.reply(record).cloned() else {
        panic!("{:?}", world.reply(record));
    };
    world.run();
    assert!(world.relayed(ALICE, BOB));
    let marks = |world: &World, of: LegHandle| {
        let begun = world
            .media()
            .iter()
            .filter(|c| matches!(c, MediaCommand::Record { leg, .. } if *leg == of))
            .count();
        let ended = world
            .media()
            .iter()
            .filter(|c| matches!(c, MediaCommand::StopRecording { leg } if *leg == of))
            .count();
        (begun, ended)
    };
    assert_eq!(marks(&world, leg), (1, 0));
    world.alice().hold(mine);
    world.run();
    world.alice().resume(mine);
    world.run();
    world.alice().refer(mine, CAROL);
    world.advance(millis(500));
    world.carol().pick_up();
    world.run();
    assert!(world.relayed(BOB, CAROL));
    assert_eq!(marks(&world, leg), (1, 0));
    world.command(Command::StopRecording { leg });
    world.run();
    assert!(world.connected(BOB, CAROL), "nothing else wants it at the edge");
    assert_eq!((marks(&world, leg), world.ends()), ((1, 1), vec![]));
    let started = world.events().any(
        |event| matches!(event, Event::Media(MediaNote::RecordingStarted { recording, .. }) if *recording == name),
    );
    assert!(started);
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn two_phones_that_hold_each_other_end_up_talking() {
    let mut world = world(|_| {});
    let (his, mine) = world.call(BOB, ALICE);
    world.alice().hold(mine);
    world.run();
    world.bob().hold(his);
    world.run();
    world.alice().resume(mine);
    world.run();
    world.bob().resume(his);
    world.run();
    assert!(world.connected(ALICE, BOB));
    assert_eq!(world.ends(), []);
    assert_eq!(world.phone(BOB).state(his), Some(CallState::Connected));
    world.hang_up(BOB);
    world.assert_nothing_left();
}
