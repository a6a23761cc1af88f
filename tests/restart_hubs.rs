//! The process is killed while people are in hubs, and another one goes on (issue 6 §1). Virtual time.

mod world;

use warmline::engine::{Application, CallHandle, Command, HubSettings, LegHandle, Part, Role};
use warmline::media::MediaCommand;
use warmline::phone::CallState;
use world::{ALICE, BOB, CAROL, DAVE, EVERYBODY, Who, World, millis, party, seconds};

fn world() -> World {
    World::keeping(|settings| {
        settings.recordings = true;
        settings.applications = vec![Application {
            name: "sales".to_owned(),
            pattern: regex::Regex::new("^1555").expect("a pattern"),
        }];
    })
}

fn part(part: Part) -> Role {
    Role {
        part,
        ..Role::default()
    }
}

/// Everybody leaves, and neither the edge nor the store has anything of a call.
fn ends_clean(world: &mut World) {
    world.everybody_leaves(&EVERYBODY);
    world.run();
    world.advance(seconds(100));
    world.run();
    let totals = world.totals();
    let left = (totals.dialogs, totals.calls, totals.transactions, totals.media_ports);
    assert_eq!(left, (0, 0, 0, 0), "{}", world.ladder());
    let kept = world.kept();
    for kind in ["leg", "call", "hub", "transfer"] {
        assert_eq!(kept.get(kind), None, "{kept:?}\n{}", world.ladder());
    }
    for who in EVERYBODY {
        assert_eq!(world.phone(who).live(), [], "{}\n{}", who.user(), world.ladder());
    }
}

/// Alice and bob in a hub.
fn two(world: &mut World) -> (CallHandle, LegHandle, LegHandle) {
    let hub = world.open_hub(HubSettings::default());
    let alice = world.add_and_answer(hub, ALICE, Role::default());
    let bob = world.add_and_answer(hub, BOB, Role::default());
    assert!(world.all_speak(hub, &[alice, bob]));
    (hub, alice, bob)
}

#[test]
fn roles_music_and_recording_come_back_and_nobody_is_asked_for_anything() {
    let mut world = world();
    let hub = world.open_hub(HubSettings {
        name: Some("team".to_owned()),
        music: Some("waltz".to_owned()),
        ..HubSettings::default()
    });
    let alice = world.add_and_answer(
        hub,
        ALICE,
        Role {
            label: Some("agent".to_owned()),
            ends: true,
            ..Role::default()
        },
    );
    world.add_and_answer(
        hub,
        BOB,
        Role {
            held: true,
            music: Some("tango".to_owned()),
            ..Role::default()
        },
    );
    world.add_and_answer(hub, CAROL, part(Part::Muted));
    let dave = world.add_and_answer(hub, DAVE, part(Part::Coach { of: alice }));
    world.order(Command::RecordHub { call: hub }).expect("people are in it");
    let (before, mixed) = (world.hub(hub), world.mix(hub));
    let invited = EVERYBODY.map(|who| world.count(who, "< INVITE"));
    for _ in 0..2 {
        world.restart(millis(300));
        world.run();
        let after = world.hub(hub);
        assert_eq!(
            format!("{:?}", after.participants),
            format!("{:?}", before.participants)
        );
        assert_eq!((&after.settings, after.started), (&before.settings, true));
        assert!(after.recording.is_some(), "it is recorded on");
        assert_ne!(
            after.recording, before.recording,
            "into another file: the first one is closed"
        );
        assert_eq!(world.mix(hub), mixed);
        assert_eq!(
            EVERYBODY.map(|who| world.count(who, "< INVITE")),
            invited,
            "{}",
            world.ladder()
        );
    }
    world
        .order(Command::SetRole {
            leg: dave,
            role: Role::default(),
        })
        .expect("it is in the hub");
    world
        .order(Command::StopRecordingHub { call: hub })
        .expect("it is recorded");
    assert!(matches!(
        world.media().last(),
        Some(MediaCommand::StopRecordingHub { call }) if *call == hub
    ));
    world.hang_up(ALICE);
    assert_eq!(world.count(BOB, "< BYE"), 1, "the role came back: it ends the hub");
    ends_clean(&mut world);
}

#[test]
fn a_hub_that_stays_is_there_without_anybody_and_one_that_waits_ends_in_time() {
    let mut world = world();
    let stays = world.open_hub(HubSettings {
        stays: true,
        ..HubSettings::default()
    });
    let waits = world.open_hub(HubSettings::default());
    world.advance(seconds(40));
    world.restart(millis(300));
    world.advance(seconds(10));
    assert_eq!(world.calls().len(), 2);
    world.advance(seconds(15));
    let left: Vec<_> = world.calls().iter().map(|call| call.id).collect();
    assert_eq!(left, [stays], "{waits} had 60 s, over the restart");
    let alice = world.add_and_answer(stays, ALICE, Role::default());
    world.restart(millis(300));
    assert_eq!(world.hub(stays).participants[0].leg, alice);
    world.order(Command::HangUpCall { call: stays }).expect("a hub");
    ends_clean(&mut world);
}

/// Kills after every output of `act`, one after the other, and lets the next process settle; `judge` looks at what there is.
fn sweep<T>(
    begin: impl Fn() -> (World, T),
    act: impl Fn(&mut World, &T),
    judge: impl Fn(&mut World) -> bool,
) -> (usize, usize) {
    let (mut whole, what) = begin();
    let from = whole.said();
    act(&mut whole, &what);
    whole.advance(seconds(1));
    whole.run();
    let outputs = whole.said() - from;
    let (mut with, mut without) = (0, 0);
    for after in 0..outputs {
        let (mut world, what) = begin();
        for complaint in ["no answer", "no ACK", "timer", "a NOTIFY", "retransmission", "BYE"] {
            world.tolerate(complaint);
        }
        world.die_after(after);
        act(&mut world, &what);
        for _ in 0..200 {
            if world.is_dead() {
                break;
            }
            world.advance(millis(10));
        }
        if !world.is_dead() {
            continue;
        }
        world.advance(millis(200));
        world.start_again();
        // A phone that nobody can tell to stop ringing is released when it answers.
        world.advance(seconds(5));
        world.run();
        match judge(&mut world) {
            true => with += 1,
            false => without += 1,
        }
        ends_clean(&mut world);
    }
    println!("killed at {outputs} points: {with} with, {without} without");
    (with, without)
}

fn the_hub(world: &mut World) -> CallHandle {
    let hubs: Vec<_> = world
        .calls()
        .iter()
        .filter(|call| call.state == "hub")
        .map(|call| call.id)
        .collect();
    let [hub] = hubs.as_slice() else {
        panic!("{hubs:?}\n{}", world.ladder())
    };
    *hub
}

/// Those whose phones have a call are in the hub, and hear each other.
fn the_same_everywhere(world: &mut World) -> Vec<Who> {
    let there: Vec<Who> = EVERYBODY
        .into_iter()
        .filter(|who| !world.phone(*who).live().is_empty())
        .collect();
    let hub = the_hub(world);
    let legs: Vec<_> = world.hub(hub).participants.iter().map(|part| part.leg).collect();
    assert_eq!(legs.len(), there.len(), "{there:?} {legs:?}\n{}", world.ladder());
    for who in &there {
        for call in world.phone(*who).live() {
            assert_eq!(
                world.phone(*who).state(call),
                Some(CallState::Connected),
                "{}",
                world.ladder()
            );
        }
    }
    assert!(world.all_speak(hub, &legs), "{}", world.ladder());
    there
}

/// Alice and bob in a hub, and carol answers soon whatever comes.
fn three() -> (World, CallHandle) {
    let mut world = world();
    let (hub, ..) = two(&mut world);
    world.carol().answers_after(millis(200));
    (world, hub)
}

#[test]
fn somebody_called_into_a_hub_is_in_it_or_rings_no_more() {
    let call = |world: &mut World, hub: &CallHandle| {
        world.command(Command::AddParty {
            call: *hub,
            party: Box::new(party(CAROL, Role::default())),
        });
    };
    let (with, without) = sweep(three, call, |world| the_same_everywhere(world).contains(&CAROL));
    assert!(with > 2 && without > 2, "{with} {without}");
}

#[test]
fn a_participant_s_refer_ends_with_one_of_the_two_in_the_hub() {
    let refer = |world: &mut World, _: &CallHandle| {
        let own = world.the(ALICE);
        world.alice().refer(own, CAROL);
    };
    let (with, without) = sweep(three, refer, |world| {
        world.advance(seconds(3));
        let there = the_same_everywhere(world);
        assert!(
            there == [BOB, CAROL] || there == [ALICE, BOB],
            "{there:?}\n{}",
            world.ladder()
        );
        there.contains(&CAROL)
    });
    assert!(with > 2 && without > 2, "{with} {without}");
}

#[test]
fn a_pair_that_becomes_a_hub_is_one_or_the_other() {
    let begin = || {
        let mut world = world();
        world.call(ALICE, BOB);
        let call = world.calls()[0].id;
        (world, call)
    };
    let change = |world: &mut World, call: &CallHandle| {
        world.command(Command::ToHub {
            call: *call,
            settings: HubSettings::default(),
        });
    };
    let (hub, pair) = sweep(begin, change, |world| {
        if world.calls()[0].state == "hub" {
            assert_eq!(the_same_everywhere(world), [ALICE, BOB]);
            return true;
        }
        assert!(world.connected(ALICE, BOB), "{}", world.ladder());
        false
    });
    assert!(hub > 2 && pair <= 1, "written before it is said: {hub} {pair}");
}

#[test]
fn a_hub_that_becomes_a_pair_is_one_or_the_other() {
    let begin = || {
        let mut world = world();
        let (hub, ..) = two(&mut world);
        (world, hub)
    };
    let change = |world: &mut World, call: &CallHandle| {
        world.command(Command::ToPair { call: *call });
    };
    let (pair, _) = sweep(begin, change, |world| {
        if world.calls()[0].state == "hub" {
            assert_eq!(the_same_everywhere(world), [ALICE, BOB]);
            return false;
        }
        world.assert_paired();
        true
    });
    assert!(pair > 2, "{pair}");
}

#[test]
fn a_caller_that_is_answered_into_its_hub_is_in_it_or_comes_anew() {
    let begin = || {
        let mut world = world();
        world.bob().call_uri("sip:15551234@example.org");
        world.run();
        let (_, leg) = world.arrived();
        (world, leg)
    };
    let answer = |world: &mut World, leg: &LegHandle| {
        world.command(Command::Answer {
            leg: *leg,
            role: Role::default(),
        });
    };
    let (answered, _) = sweep(begin, answer, |world| {
        let call = world.the(BOB);
        let answered = world.phone(BOB).state(call) == Some(CallState::Connected);
        if !answered {
            // The client hears of it anew, and answers as it did.
            let (_, leg) = world.arrived();
            world
                .order(Command::Answer {
                    leg,
                    role: Role::default(),
                })
                .expect("it waits");
            world.run();
        }
        let hub = the_hub(world);
        assert!(
            world.hub(hub).participants[0].joined && world.mix(hub).len() == 1,
            "{}",
            world.ladder()
        );
        answered
    });
    assert!(answered > 1, "{answered}");
}
