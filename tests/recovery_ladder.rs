//! The ladder: a customer whose target cannot be had is rung on, offered to a queue, given back, offered to a bot, hung up.

mod world;

use warmline::engine::{
    Application, Command, HubSettings, OnFailure, Refusal, Role, Rung, Settings, TransferFailure, TransferTarget,
};
use warmline::media::{Hears, PromptName};
use warmline::phone::PhoneCall;
use warmline::sip::Uri;
use world::{ALICE, BOB, CAROL, DAVE, Who, World, millis, seconds};

fn to(who: Who, seconds: Option<u64>) -> Rung {
    Rung::Target {
        uri: Uri::parse(&who.uri()).expect("an address"),
        ring_timeout: seconds.map(std::time::Duration::from_secs),
    }
}

fn application(name: &str) -> Rung {
    Rung::Application(name.to_owned())
}

fn with(rungs: Vec<Rung>) -> World {
    World::with(|settings: &mut Settings| {
        let application = |name: &str, pattern: &str| Application {
            name: name.to_owned(),
            pattern: regex::Regex::new(pattern).expect("a pattern"),
        };
        settings.applications = vec![application("queue", "^1"), application("bot", "^2")];
        settings.on_failure = OnFailure::Ladder(rungs);
        settings.media.hold_music = Some(PromptName("calm".into()));
    })
}

/// Bob called alice, who refers him to carol; carol rejects.
fn referred(world: &mut World) -> PhoneCall {
    let (_, customer) = world.call(BOB, ALICE);
    world.carol().rejects_with(486);
    world.alice().refer(customer, CAROL);
    world.run();
    customer
}

fn arrivals(world: &World) -> usize {
    world.hub_notes().iter().filter(|name| **name == "hub.arrived").count()
}

#[test]
fn a_queue_takes_the_customer_and_the_transferor_is_released() {
    let mut world = with(vec![application("queue"), Rung::Transferor]);
    referred(&mut world);
    let (hub, bob) = world.arrived();
    assert_eq!(
        world.mixed(hub, bob).1,
        Hears::Music(PromptName("calm".into())),
        "while he waits"
    );
    assert_eq!(world.phone(ALICE).live().len(), 1, "until somebody has taken him");
    assert_eq!(world.reported(ALICE), [100, 182]);
    let role = Role {
        label: Some("customer".to_owned()),
        ..Role::default()
    };
    world.order(Command::Answer { leg: bob, role }).expect("he waits");
    world.run();
    assert_eq!(world.reported(ALICE), [100, 182, 200]);
    assert!(world.phone(ALICE).live().is_empty());
    assert!(world.in_order(ALICE, "< NOTIFY", "< BYE"));
    let dave = world.add_and_answer(hub, DAVE, Role::default());
    assert!(world.all_speak(hub, &[bob, dave]), "the queue has found somebody");
    assert_eq!(world.completed(), 1);
    world.everybody_leaves(&[BOB, DAVE]);
    world.assert_nothing_left();
}

#[test]
fn a_queue_that_does_not_want_him_gives_him_back_with_his_audio() {
    for silent in [false, true] {
        let mut world = with(vec![application("queue"), Rung::Transferor, application("bot")]);
        referred(&mut world);
        let (_, bob) = world.arrived();
        if silent {
            world.advance(seconds(61));
        } else {
            world
                .order(Command::Reject { leg: bob, status: 480 })
                .expect("he waits");
        }
        world.run();
        assert!(world.connected(ALICE, BOB), "silent: {silent}");
        assert_eq!(world.failures(), [(TransferFailure::TargetNoAnswer, Some(480))]);
        assert_eq!(arrivals(&world), 1, "the bot was not asked: alice is there");
        world.hang_up(BOB);
        world.assert_nothing_left();
    }
}

#[test]
fn a_transferor_that_has_gone_is_passed_over() {
    let mut world = with(vec![
        application("queue"),
        Rung::Transferor,
        application("bot"),
        Rung::HangUp,
    ]);
    let customer = referred(&mut world);
    let (_, bob) = world.arrived();
    world.tolerate("NOTIFY");
    world.alice().bye(customer);
    world.run();
    world
        .order(Command::Reject { leg: bob, status: 480 })
        .expect("he waits");
    world.run();
    assert_eq!(arrivals(&world), 2);
    let (hub, bob) = world.arrived();
    assert!(world.mix(hub).len() == 1);
    world
        .order(Command::Reject { leg: bob, status: 480 })
        .expect("he waits");
    world.run();
    assert!(world.phone(BOB).live().is_empty(), "the last step is the end");
    world.assert_nothing_left();
}

#[test]
fn targets_ring_one_after_the_other_each_for_its_time() {
    let mut world = with(vec![to(DAVE, Some(10)), application("queue")]);
    referred(&mut world);
    assert_eq!(world.count(DAVE, "< INVITE"), 1);
    world.advance(seconds(9));
    assert_eq!(arrivals(&world), 0);
    world.advance(seconds(2));
    assert_eq!((world.count(DAVE, "< CANCEL"), arrivals(&world)), (1, 1));
    let (_, bob) = world.arrived();
    let hub = world.open_hub(HubSettings::default());
    let dave = world.add_and_answer(hub, DAVE, Role::default());
    world
        .order(Command::Move {
            leg: bob,
            to: hub,
            role: Role::default(),
        })
        .expect("he waits");
    world.run();
    assert!(world.all_speak(hub, &[dave, bob]), "taken by a move as well");
    assert_eq!(world.completed(), 1);
    world.everybody_leaves(&[BOB, DAVE]);
    world.assert_nothing_left();
}

#[test]
fn when_the_time_is_over_no_more_targets_ring_but_the_ladder_goes_on() {
    let mut world = with(vec![to(DAVE, None), to(DAVE, None), application("bot")]);
    world.network(|_| world::Fate::Deliver);
    let (_, customer) = world.call(BOB, ALICE);
    let id = {
        let transferor = world.leg_of(ALICE).id;
        world.command(Command::StartTransfer {
            transferor,
            target: TransferTarget::Uri(Uri::parse(&CAROL.uri()).expect("an address")),
            mode: None,
            ring_timeout: Some(seconds(150)),
            on_failure: None,
        })
    };
    assert!(world.reply(id).is_some_and(Result::is_ok));
    world.advance(seconds(301));
    world.run();
    assert_eq!(
        world.count(DAVE, "< INVITE"),
        1,
        "carol for 150 s, dave until the 300 s are over"
    );
    assert_eq!(arrivals(&world), 1);
    let (_, bob) = world.arrived();
    world
        .order(Command::Answer {
            leg: bob,
            role: Role::default(),
        })
        .expect("he waits");
    world.run();
    assert!(world.phone(ALICE).state(customer).is_some() && world.phone(ALICE).live().is_empty());
    world.everybody_leaves(&[BOB, CAROL, DAVE]);
    world.assert_nothing_left();
}

#[test]
fn who_leaves_while_he_waits_for_an_application_leaves_nothing_behind() {
    for leaver in [BOB, ALICE] {
        let mut world = with(vec![application("queue"), Rung::Transferor]);
        referred(&mut world);
        world.tolerate("NOTIFY");
        world.everybody_leaves(&[leaver]);
        world.advance(millis(500));
        world.everybody_leaves(&[ALICE, BOB]);
        world.assert_nothing_left();
    }
}

#[test]
fn a_transfer_that_waits_for_an_application_can_be_taken_back() {
    let mut world = with(vec![application("queue")]);
    referred(&mut world);
    let transfer = world.transfers()[0].id;
    world.order(Command::CancelTransfer { transfer }).expect("not decided");
    world.run();
    assert!(world.connected(ALICE, BOB));
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn a_ladder_with_an_unknown_application_is_refused() {
    let mut world = with(Vec::new());
    world.call(BOB, ALICE);
    let order = Command::StartTransfer {
        transferor: world.leg_of(ALICE).id,
        target: TransferTarget::Uri(Uri::parse(&CAROL.uri()).expect("an address")),
        mode: None,
        ring_timeout: None,
        on_failure: Some(OnFailure::Ladder(vec![application("nobody")])),
    };
    assert!(matches!(
        world.order(order),
        Err(Refusal::Invalid { field: "ladder", .. })
    ));
    assert!(world.connected(ALICE, BOB));
    world.hang_up(BOB);
    world.assert_nothing_left();
}
