//! A hub from its beginning to its end: who comes, who hears whom, who leaves.

mod world;

use warmline::engine::{Application, Cause, Command, HubSettings, Part, Refusal, Role, Settings};
use warmline::media::{Heard, Hears, LocalPort, MediaEvent, MediaFailure};
use warmline::phone::CallState;
use world::{ALICE, BOB, CAROL, DAVE, World, seconds};

fn sales(settings: &mut Settings) {
    settings.applications = vec![Application {
        name: "sales".to_owned(),
        pattern: regex::Regex::new("^1555").expect("a pattern"),
    }];
}

#[test]
fn a_caller_for_an_application_waits_until_it_is_answered() {
    let mut world = World::with(sales);
    let call = world.bob().call_uri("sip:15551234@example.org");
    world.run();
    let (hub, leg) = world.arrived();
    assert_eq!(world.phone(BOB).state(call), Some(CallState::Calling));
    world.order(Command::Ring { leg }).expect("it waits");
    world.run();
    assert_eq!(world.phone(BOB).state(call), Some(CallState::Early));
    world
        .order(Command::Answer {
            leg,
            role: Role::default(),
        })
        .expect("it waits");
    world.run();
    assert_eq!(world.phone(BOB).state(call), Some(CallState::Connected));
    assert_eq!(
        world.mixed(hub, leg),
        (Heard::ByAll, Hears::Nothing),
        "nobody else, no music"
    );
    assert!(world.hub(hub).participants[0].joined);
    assert!(matches!(
        world.order(Command::Answer {
            leg,
            role: Role::default()
        }),
        Err(Refusal::Conflict { .. })
    ));
    world.bob().bye(call);
    world.assert_nothing_left();
    assert_eq!(
        world.hub_notes(),
        ["hub.opened", "hub.arrived", "hub.joined", "hub.left"]
    );
}

#[test]
fn a_caller_for_an_application_can_be_rejected_or_give_up() {
    let mut world = World::with(sales);
    world.bob().call_uri("sip:15551234@example.org");
    world.run();
    let (_, leg) = world.arrived();
    assert!(matches!(
        world.order(Command::Reject { leg, status: 200 }),
        Err(Refusal::Invalid { field: "status", .. })
    ));
    world.order(Command::Reject { leg, status: 486 }).expect("it waits");
    world.run();
    assert_eq!(world.count(BOB, "< 486"), 1);
    let call = world.carol().call_uri("sip:15551234@example.org");
    world.run();
    let (_, leg) = world.arrived();
    world.order(Command::Ring { leg }).expect("it waits");
    world.run();
    world.carol().cancel(call);
    world.assert_nothing_left();
    assert_eq!(world.ends_of_calls(), [Cause::Refused { status: 486 }, Cause::Party]);
}

#[test]
fn a_caller_whom_no_client_wants_is_told_so() {
    let mut world = World::with(sales);
    world.bob().call_uri("sip:15551234@example.org");
    world.advance(seconds(61));
    assert_eq!(world.count(BOB, "< 480"), 1);
    world.assert_nothing_left();
    assert_eq!(world.ends_of_calls(), [Cause::NoAnswer]);
}

#[test]
fn three_are_called_into_an_empty_hub() {
    let mut world = World::new();
    let hub = world.open_hub(HubSettings::default());
    let alice = world.add_and_answer(hub, ALICE, Role::default());
    assert_eq!(world.mixed(hub, alice), (Heard::ByAll, Hears::Nothing));
    let bob = world.add_and_answer(hub, BOB, Role::default());
    assert!(world.all_speak(hub, &[alice, bob]));
    let carol = world.add_and_answer(hub, CAROL, Role::default());
    assert!(world.all_speak(hub, &[alice, bob, carol]));
    world.hang_up(ALICE);
    assert!(world.all_speak(hub, &[bob, carol]));
    world.hang_up(BOB);
    world.hang_up(CAROL);
    world.assert_nothing_left();
    assert_eq!(
        world.hub_notes(),
        [
            "hub.opened",
            "hub.joined",
            "hub.joined",
            "hub.started",
            "hub.joined",
            "hub.left",
            "hub.left",
            "hub.left"
        ]
    );
    assert_eq!(
        world.media().last(),
        Some(&warmline::media::MediaCommand::Mix {
            call: hub,
            members: vec![]
        })
    );
}

#[test]
fn a_waiting_caller_is_moved_into_a_hub_and_answered_by_it() {
    let mut world = World::with(sales);
    let hub = world.open_hub(HubSettings::default());
    let alice = world.add_and_answer(hub, ALICE, Role::default());
    let call = world.bob().call_uri("sip:15551234@example.org");
    world.run();
    let (own, bob) = world.arrived();
    world
        .order(Command::Move {
            leg: bob,
            to: hub,
            role: Role::default(),
        })
        .expect("it waits");
    world.run();
    assert_eq!(world.phone(BOB).state(call), Some(CallState::Connected));
    assert!(world.all_speak(hub, &[alice, bob]));
    assert!(matches!(
        world.order(Command::Call { call: own }),
        Err(Refusal::NotFound { .. })
    ));
    world.order(Command::HangUpCall { call: hub }).expect("a hub");
    world.assert_nothing_left();
}

#[test]
fn roles_say_who_hears_whom() {
    let mut world = World::with(|settings| settings.media.hold_music = Some(music("calm")));
    let hub = world.open_hub(HubSettings::default());
    let customer = world.add_and_answer(hub, BOB, Role::default());
    assert_eq!(
        world.mixed(hub, customer),
        (Heard::ByAll, Hears::Music(music("calm"))),
        "alone"
    );
    let agent = world.add_and_answer(hub, ALICE, Role::default());
    let coach = Role {
        part: Part::Coach { of: agent },
        ..Role::default()
    };
    let supervisor = world.add_and_answer(hub, CAROL, coach);
    assert_eq!(world.mixed(hub, supervisor), (Heard::By(agent), Hears::All));
    let mut set = |role: Role| {
        world
            .order(Command::SetRole { leg: supervisor, role })
            .expect("in the hub");
        world.mixed(hub, supervisor)
    };
    assert_eq!(
        set(Role {
            part: Part::Monitor,
            ..Role::default()
        }),
        (Heard::ByNobody, Hears::All)
    );
    assert_eq!(
        set(Role {
            part: Part::Muted,
            ..Role::default()
        }),
        (Heard::ByNobody, Hears::All)
    );
    assert_eq!(set(Role::default()), (Heard::ByAll, Hears::All), "barge");
    let held = Role {
        held: true,
        music: Some("jazz".to_owned()),
        ..Role::default()
    };
    assert_eq!(set(held), (Heard::ByNobody, Hears::Music(music("jazz"))));
    let quiet = Role {
        held: true,
        music: Some(String::new()),
        ..Role::default()
    };
    assert_eq!(set(quiet), (Heard::ByNobody, Hears::Nothing));
    let before = world.count(CAROL, "< INVITE");
    assert_eq!(before, 1, "nobody is re-INVITEd for a role");
    // The coached one leaves: its coach is heard by nobody, and the customer is alone.
    let coach = Role {
        part: Part::Coach { of: agent },
        ..Role::default()
    };
    world
        .order(Command::SetRole {
            leg: supervisor,
            role: coach,
        })
        .expect("in the hub");
    world.hang_up(ALICE);
    assert_eq!(world.mixed(hub, supervisor), (Heard::ByNobody, Hears::All));
    assert_eq!(world.mixed(hub, customer), (Heard::ByAll, Hears::Music(music("calm"))));
    // Nobody but a supervisor is left: it ends.
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn a_hub_ends_with_who_ends_it_and_cancels_who_rings() {
    let mut world = World::new();
    let hub = world.open_hub(HubSettings::default());
    world.add_and_answer(
        hub,
        ALICE,
        Role {
            ends: true,
            ..Role::default()
        },
    );
    world.add_and_answer(hub, BOB, Role::default());
    world.add(hub, CAROL, Role::default());
    world.run();
    world.hang_up(ALICE);
    assert_eq!(world.count(CAROL, "< CANCEL"), 1);
    assert_eq!(world.count(BOB, "< BYE"), 1);
    world.assert_nothing_left();
}

#[test]
fn an_order_that_cannot_be_is_refused_and_changes_nothing() {
    let mut world = World::new();
    let hub = world.open_hub(HubSettings {
        most: 2,
        ..HubSettings::default()
    });
    let named = Role {
        label: Some("agent".to_owned()),
        ..Role::default()
    };
    let alice = world.add_and_answer(hub, ALICE, named.clone());
    let add = |who, role| Command::AddParty {
        call: hub,
        party: Box::new(world::party(who, role)),
    };
    assert!(
        matches!(world.order(add(BOB, named)), Err(Refusal::Conflict { .. })),
        "the label is taken"
    );
    let coach = Role {
        part: Part::Coach { of: alice },
        ..Role::default()
    };
    let myself = Command::SetRole {
        leg: alice,
        role: coach,
    };
    assert!(matches!(world.order(myself), Err(Refusal::Invalid { field: "of", .. })));
    world.add_and_answer(hub, BOB, Role::default());
    assert!(
        matches!(world.order(add(DAVE, Role::default())), Err(Refusal::Conflict { .. })),
        "it is full"
    );
    assert_eq!(world.hub(hub).participants.len(), 2);
    world.order(Command::HangUpCall { call: hub }).expect("a hub");
    world.assert_nothing_left();
}

#[test]
fn a_hub_to_which_nobody_comes_ends_after_a_minute() {
    let mut world = World::new();
    let hub = world.open_hub(HubSettings::default());
    world.add(hub, ALICE, Role::default());
    world.run();
    world.alice().reject(486);
    world.run();
    assert!(world.hub(hub).participants.is_empty());
    world.advance(seconds(61));
    world.assert_nothing_left();
    assert_eq!(world.ends_of_calls(), [Cause::NoAnswer]);
}

fn music(name: &str) -> warmline::media::PromptName {
    warmline::media::PromptName(name.into())
}

/// Another program has the port that a participant was told: it is told the next one, before and after it has answered.
#[test]
fn a_participant_whose_port_is_taken_is_told_another() {
    for early in [false, true] {
        let mut world = World::new();
        let hub = world.open_hub(HubSettings::default());
        let alice = world.add_and_answer(hub, ALICE, Role::default());
        let bob = world.add(hub, BOB, Role::default())[0];
        world.run();
        let lost = |world: &mut World| {
            let LocalPort::Own(port) = world.end(bob).expect("an end").local else {
                panic!("a port of its own")
            };
            let why = MediaFailure::Port { port };
            world.tell(MediaEvent::Failed { leg: bob, why });
            port
        };
        let before = early.then(|| lost(&mut world));
        world.bob().pick_up();
        world.run();
        let before = before.unwrap_or_else(|| lost(&mut world));
        world.run();
        let LocalPort::Own(now) = world.end(bob).expect("an end").local else {
            panic!("a port of its own")
        };
        assert_ne!(now, before);
        let told = world.phone(BOB).remote_media(world.the(BOB));
        assert_eq!(told, Some(format!("127.0.0.1:{now}")), "early: {early}");
        assert!(world.all_speak(hub, &[alice, bob]));
        world.order(Command::HangUpCall { call: hub }).expect("a hub");
        world.assert_nothing_left();
    }
}
