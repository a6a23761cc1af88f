//! What crosses what in a hub: orders and hang-ups at every moment, forks, descriptions that come late. Afterwards nothing is
//! left, whatever came first.

mod world;

use warmline::engine::{Application, AudienceHandle, Beep, Command, HubSettings, Role, Settings};
use warmline::media::{Heard, Hears, MediaCommand, PromptName};
use warmline::phone::CallState;
use warmline::sip::Method;
use world::{ALICE, BOB, CAROL, DAVE, EVERYBODY, Fate, World, millis};

fn sales(settings: &mut Settings) {
    settings.media.hold_music = Some(PromptName("calm".into()));
    settings.applications = vec![Application {
        name: "sales".to_owned(),
        pattern: regex::Regex::new("^1555").expect("a pattern"),
    }];
}

fn music() -> Hears {
    Hears::Music(PromptName("calm".into()))
}

fn held(music: Option<&str>) -> Role {
    Role {
        held: true,
        music: music.map(str::to_owned),
        ..Role::default()
    }
}

/// Cold transfer: the target is added and the agent released, in either order; the customer is never dropped.
#[test]
fn a_cold_transfer_is_two_orders_in_either_order() {
    for agent_first in [false, true] {
        let mut world = World::with(sales);
        let (hub, bob) = world.arrive(BOB, "15551234", Role::default());
        let alice = world.add_and_answer(hub, ALICE, Role::default());
        assert!(world.all_speak(hub, &[bob, alice]));
        if agent_first {
            world.order(Command::HangUpLeg { leg: alice }).expect("alive");
            world.run();
            assert_eq!(world.mixed(hub, bob), (Heard::ByAll, music()), "he waits with music");
        }
        let carol = world.add_and_answer(hub, CAROL, Role::default());
        if !agent_first {
            assert!(world.all_speak(hub, &[bob, alice, carol]));
            world.order(Command::HangUpLeg { leg: alice }).expect("alive");
            world.run();
        }
        assert!(world.all_speak(hub, &[bob, carol]));
        assert_eq!(
            (world.count(BOB, "< BYE"), world.count(BOB, "< INVITE")),
            (0, 0),
            "he hears of nothing"
        );
        world.hang_up(BOB);
        world.hang_up(CAROL);
        world.assert_nothing_left();
    }
}

/// Warm transfer, with a whisper to the agent alone before it.
#[test]
fn a_whisper_and_a_warm_transfer_are_roles() {
    let mut world = World::with(sales);
    let (hub, bob) = world.arrive(BOB, "15551234", Role::default());
    assert_eq!(world.mixed(hub, bob), (Heard::ByAll, music()));
    let alice = world.add_and_answer(hub, ALICE, held(Some("")));
    assert_eq!(
        world.mixed(hub, bob),
        (Heard::ByAll, music()),
        "who is held is not there for him"
    );
    assert_eq!(world.mixed(hub, alice), (Heard::ByNobody, Hears::Nothing));
    let sound = "whisper".to_owned();
    let to = AudienceHandle::Leg(alice);
    world
        .order(Command::Play {
            to,
            sound,
            again: false,
        })
        .expect("her media is here");
    let name = PromptName("whisper".into());
    assert_eq!(
        world.media().last(),
        Some(&MediaCommand::Announce { to, name, again: false })
    );
    world
        .order(Command::SetRole {
            leg: alice,
            role: Role::default(),
        })
        .expect("in the hub");
    assert!(world.all_speak(hub, &[bob, alice]));
    // The customer is held, agent and consult talk, the agent leaves.
    world
        .order(Command::SetRole {
            leg: bob,
            role: held(None),
        })
        .expect("in the hub");
    let carol = world.add_and_answer(hub, CAROL, Role::default());
    assert_eq!(world.mixed(hub, bob), (Heard::ByNobody, music()));
    assert_eq!(world.mixed(hub, carol), (Heard::ByAll, Hears::All));
    world
        .order(Command::SetRole {
            leg: bob,
            role: Role::default(),
        })
        .expect("in the hub");
    world.hang_up(ALICE);
    assert!(world.all_speak(hub, &[bob, carol]));
    assert_eq!(world.count(BOB, "< INVITE"), 0, "all by media alone");
    world.hang_up(BOB);
    world.hang_up(CAROL);
    world.assert_nothing_left();
}

/// The hub ends at every moment while three are on their way into it.
#[test]
fn a_hub_that_ends_at_any_moment_leaves_nothing() {
    for wait in (0..=8).chain([99, 100, 101, 102, 103, 104, 198, 200, 202, 300]) {
        let mut world = World::with(sales);
        for who in [ALICE, CAROL, DAVE] {
            let after = millis(100 * (1 + who as u64 % 2));
            world.seat(who).answers_after(after);
        }
        let (hub, _) = world.arrive(BOB, "15551234", Role::default());
        for who in [ALICE, CAROL, DAVE] {
            world.add(hub, who, Role::default());
        }
        world.advance(millis(wait));
        world.order(Command::HangUpCall { call: hub }).expect("a hub");
        world.run();
        assert!(world.hub_notes().iter().filter(|name| **name == "hub.joined").count() >= 1);
        world.assert_nothing_left();
    }
}

/// The customer hangs up at every moment while somebody rings for him.
#[test]
fn a_customer_who_leaves_while_somebody_rings_cancels_it() {
    for wait in [0, 1, 2, 50, 99, 100, 101, 102, 103, 104] {
        let mut world = World::with(sales);
        world.carol().answers_after(millis(100));
        let (hub, _) = world.arrive(BOB, "15551234", Role::default());
        let call = world.the(BOB);
        world.add(hub, CAROL, Role::default());
        world.advance(millis(wait));
        world.bob().bye(call);
        world.run();
        world.everybody_leaves(&[CAROL]);
        world.assert_nothing_left();
    }
}

/// A party that rings is hung up by order at every moment, also when its 200 crosses the CANCEL.
#[test]
fn who_is_hung_up_while_ringing_does_not_join_afterwards() {
    for wait in [0, 1, 2, 50, 100, 101] {
        let mut world = World::new();
        world.carol().answers_after(millis(100));
        let hub = world.open_hub(HubSettings::default());
        let alice = world.add_and_answer(hub, ALICE, Role::default());
        let legs = world.add(hub, CAROL, Role::default());
        world.advance(millis(wait));
        world.order(Command::HangUpLeg { leg: legs[0] }).expect("it rings");
        world.run();
        let left: Vec<_> = world.hub(hub).participants.iter().map(|part| part.leg).collect();
        assert_eq!(left, [alice], "after {wait} ms");
        world.everybody_leaves(&EVERYBODY);
        world.assert_nothing_left();
    }
}

/// Carol has two phones: the first that answers joins, the other is cancelled; one that refuses leaves the other ringing.
#[test]
fn the_first_of_a_party_s_phones_joins() {
    for refuses in [false, true] {
        let mut world = World::new();
        world.another_phone(DAVE, CAROL);
        world.dave().register();
        world.run();
        let hub = world.open_hub(HubSettings::default());
        let alice = world.add_and_answer(hub, ALICE, Role::default());
        let legs = world.add(hub, CAROL, Role::default());
        assert_eq!(legs.len(), 2);
        world.run();
        if refuses {
            world.dave().reject(486);
            world.run();
            assert_eq!(world.phone(CAROL).live().len(), 1, "it rings on");
        }
        world.carol().pick_up();
        world.run();
        assert_eq!(world.count(DAVE, "< CANCEL"), usize::from(!refuses));
        let carol = world.leg_of(CAROL).id;
        assert!(world.all_speak(hub, &[alice, carol]));
        assert_eq!(world.hub(hub).participants.len(), 2);
        world.everybody_leaves(&EVERYBODY);
        world.assert_nothing_left();
    }
}

/// Two of carol's phones answer at once: one joins, the other is acknowledged and released.
#[test]
fn of_two_phones_that_answer_at_once_one_joins() {
    let mut world = World::new();
    world.another_phone(DAVE, CAROL);
    world.dave().register();
    world.run();
    for who in [CAROL, DAVE] {
        world.seat(who).answers_after(millis(100));
    }
    let hub = world.open_hub(HubSettings::default());
    world.add_and_answer(hub, ALICE, Role::default());
    world.add(hub, CAROL, Role::default());
    world.run();
    assert_eq!(world.hub(hub).participants.len(), 2);
    assert_eq!(world.phone(CAROL).live().len() + world.phone(DAVE).live().len(), 1);
    world.everybody_leaves(&EVERYBODY);
    world.assert_nothing_left();
}

/// A party of a pair hangs up at every moment of the offers that make a hub of it, or a pair again.
#[test]
fn who_leaves_between_pair_and_hub_leaves_nothing() {
    for back in [false, true] {
        for wait in [0, 1, 2, 3, 4] {
            let mut world = World::with(sales);
            let (at_bob, _) = world.call(BOB, ALICE);
            let call = world.call_of(BOB).id;
            let settings = HubSettings::default();
            world.order(Command::ToHub { call, settings }).expect("a pair");
            if back {
                world.run();
                world.order(Command::ToPair { call }).expect("two speakers");
            }
            world.advance(millis(wait));
            world.bob().bye(at_bob);
            world.run();
            assert_eq!(
                world.phone(ALICE).live().len(),
                usize::from(!back),
                "in a hub she waits, a pair is over"
            );
            world.everybody_leaves(&EVERYBODY);
            world.assert_nothing_left();
        }
    }
}

/// Orders that come on each other's heels, before any phone has answered the first.
#[test]
fn a_hub_made_and_unmade_at_once_is_a_pair() {
    let mut world = World::new();
    world.call(BOB, ALICE);
    let call = world.call_of(BOB).id;
    for _ in 0..3 {
        let settings = HubSettings::default();
        world.order(Command::ToHub { call, settings }).expect("a pair");
        world.order(Command::ToPair { call }).expect("two speakers");
    }
    world.run();
    assert!(world.connected(ALICE, BOB));
    world.hang_up(BOB);
    world.assert_nothing_left();
}

/// RFC 3261 §13.2.1: an INVITE without an offer gets ours in the 200, and the ACK has the answer.
#[test]
fn a_caller_without_an_offer_gets_one() {
    let mut world = World::with(|settings| {
        sales(settings);
        settings.applications[0].pattern = regex::Regex::new("^carol$").expect("a pattern");
    });
    let call = world.bob().call_without_offer(CAROL);
    world.run();
    let (hub, bob) = world.arrived();
    world
        .order(Command::Answer {
            leg: bob,
            role: Role::default(),
        })
        .expect("he waits");
    world.run();
    assert_eq!(world.phone(BOB).state(call), Some(CallState::Connected));
    let alice = world.add_and_answer(hub, ALICE, Role::default());
    assert!(world.all_speak(hub, &[bob, alice]));
    world.bob().reinvite_without_offer(call);
    world.run();
    assert!(
        world.all_speak(hub, &[bob, alice]),
        "and whoever asks for one later gets the same"
    );
    world.everybody_leaves(&EVERYBODY);
    world.assert_nothing_left();
}

#[test]
fn a_participant_s_session_refresh_and_a_lost_ack_do_no_harm() {
    let mut world = World::with(sales);
    world.once(Fate::Lose, |packet| packet.is_from(BOB, Method::Ack));
    let (hub, bob) = world.arrive(BOB, "15551234", Role::default());
    world.run();
    let alice = world.add_and_answer(hub, ALICE, Role::default());
    // Half of the session interval: whoever refreshes does.
    world.advance(world::seconds(1_000));
    world.run();
    assert!(world.all_speak(hub, &[bob, alice]));
    world.everybody_leaves(&EVERYBODY);
    world.assert_nothing_left();
}

#[test]
fn who_may_not_start_a_hub_waits_for_one_who_may() {
    let mut world = World::with(sales);
    let hub = world.open_hub(HubSettings {
        music: Some("lobby".to_owned()),
        ..HubSettings::default()
    });
    let waits = Role {
        starts: false,
        ..Role::default()
    };
    let bob = world.add_and_answer(hub, BOB, waits.clone());
    let carol = world.add_and_answer(hub, CAROL, waits);
    let lobby = Hears::Music(PromptName("lobby".into()));
    assert_eq!(
        (world.mixed(hub, bob).1, world.mixed(hub, carol).1),
        (lobby.clone(), lobby)
    );
    let beeps = Role {
        beep: Beep::Always,
        ..Role::default()
    };
    let alice = world.add_and_answer(hub, ALICE, beeps);
    assert!(world.hub(hub).started && world.all_speak(hub, &[bob, carol, alice]));
    let beep = |world: &World| {
        let to = AudienceHandle::Hub(hub);
        let is = |command: &&MediaCommand| matches!(command, MediaCommand::Announce { to: audience, name, .. } if *audience == to && name.0 == "builtin:beep");
        world.media().iter().filter(is).count()
    };
    assert_eq!(beep(&world), 1, "her coming");
    world.hang_up(ALICE);
    assert_eq!(beep(&world), 2, "her going");
    assert!(world.all_speak(hub, &[bob, carol]), "it has started");
    world.everybody_leaves(&EVERYBODY);
    world.assert_nothing_left();
}
