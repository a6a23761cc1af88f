//! A pair becomes a hub, a hub a pair; a party is moved out of a pair.

mod world;

use warmline::engine::{Command, HubSettings, MediaSettings, Refusal, Reply, Role};
use warmline::media::describe::Mode;
use warmline::media::{Hear, Heard, Hears, MediaCommand, PromptName, Security};
use warmline::phone::PhoneTransport;
use warmline::sip::Method;
use world::{ALICE, BOB, CAROL, Fate, Who, World, millis};

fn relayed(settings: &mut warmline::engine::Settings) {
    settings.media = MediaSettings {
        mode: Mode::Relay,
        ..settings.media.clone()
    };
}

#[test]
fn a_pair_whose_media_goes_directly_becomes_a_hub_by_one_offer_each_and_goes_back() {
    let mut world = World::new();
    world.call(BOB, ALICE);
    let call = world.call_of(BOB).id;
    world
        .order(Command::ToHub {
            call,
            settings: HubSettings::default(),
        })
        .expect("a pair");
    world.run();
    let (alice, bob) = (world.leg_of(ALICE).id, world.leg_of(BOB).id);
    assert!(world.all_speak(call, &[bob, alice]));
    assert_eq!((world.count(ALICE, "< INVITE"), world.count(BOB, "< INVITE")), (2, 1));
    assert_eq!(world.call_of(BOB).state, "hub");
    world.order(Command::ToPair { call }).expect("two speakers");
    world.run();
    assert!(world.mix(call).is_empty());
    assert!(world.connected(ALICE, BOB), "directly, as before");
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn a_pair_through_the_edge_becomes_a_hub_and_goes_back_without_a_message() {
    let mut world = World::with(relayed);
    world.call(BOB, ALICE);
    let call = world.call_of(BOB).id;
    let before = world.lines(BOB).len() + world.lines(ALICE).len();
    world
        .order(Command::ToHub {
            call,
            settings: HubSettings::default(),
        })
        .expect("a pair");
    world.run();
    let (alice, bob) = (world.leg_of(ALICE).id, world.leg_of(BOB).id);
    assert!(world.all_speak(call, &[bob, alice]));
    let mark = world.media().len();
    world.order(Command::ToPair { call }).expect("two speakers");
    world.run();
    assert_eq!(
        world.media()[mark..],
        [
            MediaCommand::Hear {
                leg: bob,
                what: Hear::Leg(alice)
            },
            MediaCommand::Hear {
                leg: alice,
                what: Hear::Leg(bob)
            },
            MediaCommand::Mix { call, members: vec![] }
        ],
        "each hears the other before the mixer stops"
    );
    assert!(world.relayed(ALICE, BOB));
    assert_eq!(
        world.lines(BOB).len() + world.lines(ALICE).len(),
        before,
        "nobody is sent anything"
    );
    world.hang_up(ALICE);
    world.assert_nothing_left();
}

#[test]
fn a_browser_s_description_stays_from_pair_to_hub_and_back() {
    let mut world = World::unregistered(
        |_| {},
        |who| match who {
            Who::Bob => PhoneTransport::Wss,
            Who::Alice | Who::Carol | Who::Dave => PhoneTransport::Udp,
        },
    );
    world.bob().configure(|config| config.browser = true);
    world.register_everybody();
    world.call(BOB, ALICE);
    let call = world.call_of(BOB).id;
    let (alice, bob) = (world.leg_of(ALICE).id, world.leg_of(BOB).id);
    let (told, ssrc, lines) = (
        world.told(BOB),
        world.end(bob).expect("an end").ssrc,
        world.lines(BOB).len(),
    );
    assert!(told.contains(&format!("a=ssrc:{ssrc} ")), "{told}");
    let settings = HubSettings::default();
    world.order(Command::ToHub { call, settings }).expect("a pair");
    world.run();
    assert!(world.all_speak(call, &[bob, alice]));
    let carol = world.add_and_answer(call, CAROL, Role::default());
    assert!(world.all_speak(call, &[bob, alice, carol]));
    world.hang_up(CAROL);
    world.order(Command::ToPair { call }).expect("two speakers");
    world.run();
    assert!(world.relayed(ALICE, BOB));
    assert_eq!(world.lines(BOB).len(), lines, "the browser hears of nothing");
    assert_eq!((world.told(BOB), world.end(bob).expect("an end").ssrc), (told, ssrc));
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn a_browser_is_called_into_a_hub_and_answered_from_one() {
    let mut world = World::unregistered(|_| {}, |_| PhoneTransport::Wss);
    for who in [ALICE, BOB] {
        world.seat(who).configure(|config| config.browser = true);
    }
    world.register_everybody();
    let hub = world.open_hub(HubSettings::default());
    let alice = world.add_and_answer(hub, ALICE, Role::default());
    let bob = world.add_and_answer(hub, BOB, Role::default());
    assert!(world.all_speak(hub, &[alice, bob]));
    for (who, leg) in [(ALICE, alice), (BOB, bob)] {
        let told = world.told(who);
        assert!(
            told.contains("UDP/TLS/RTP/SAVPF ") && told.contains("a=ice-lite"),
            "{told}"
        );
        assert!(matches!(
            world.end(leg).expect("an end").security,
            Security::Dtls { ice: Some(_), .. }
        ));
    }
    world.hang_up(ALICE);
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn who_is_left_behind_by_a_move_waits_with_music() {
    let mut world = World::with(|settings| settings.media.hold_music = Some(PromptName("calm".into())));
    let hub = world.open_hub(HubSettings::default());
    let carol = world.add_and_answer(hub, CAROL, Role::default());
    world.call(BOB, ALICE);
    let (call, bob) = (world.call_of(BOB).id, world.leg_of(BOB).id);
    let alice = world.leg_of(ALICE).id;
    world
        .order(Command::Move {
            leg: bob,
            to: hub,
            role: Role::default(),
        })
        .expect("confirmed");
    world.run();
    assert!(world.all_speak(hub, &[carol, bob]));
    assert_eq!(
        world.mixed(call, alice),
        (Heard::ByAll, Hears::Music(PromptName("calm".into())))
    );
    let again = Command::Move {
        leg: bob,
        to: hub,
        role: Role::default(),
    };
    assert!(matches!(world.order(again), Err(Refusal::Conflict { .. })));
    world.hang_up(ALICE);
    world.hang_up(BOB);
    world.hang_up(CAROL);
    world.assert_nothing_left();
}

#[test]
fn a_party_that_re_invites_while_its_pair_becomes_a_hub_is_answered() {
    for holder in [ALICE, BOB] {
        let mut world = World::new();
        let (at_bob, at_alice) = world.call(BOB, ALICE);
        let call = world.call_of(BOB).id;
        let (other, own) = if holder == ALICE {
            (BOB, at_alice)
        } else {
            (ALICE, at_bob)
        };
        // The relayed offer waits for the other side's answer when the order comes.
        world.once(Fate::Delay(millis(200)), move |packet| {
            packet.is_answer_from(other, Method::Invite, 200)
        });
        world.seat(holder).hold(own);
        world.advance(millis(100));
        world
            .order(Command::ToHub {
                call,
                settings: HubSettings::default(),
            })
            .expect("a pair");
        world.run();
        assert!(world.phone(holder).is_holding(own), "its hold was answered");
        let (held, holding) = (world.leg_of(other).id, world.leg_of(holder).id);
        assert_eq!(world.mixed(call, holding).0, Heard::ByNobody, "nobody hears its music");
        assert_eq!(world.mixed(call, held), (Heard::ByAll, Hears::Nothing));
        world.seat(holder).resume(own);
        world.run();
        let legs: Vec<_> = world.hub(call).participants.iter().map(|part| part.leg).collect();
        assert!(world.all_speak(call, &legs));
        world.hang_up(ALICE);
        world.hang_up(BOB);
        world.assert_nothing_left();
    }
}

#[test]
fn glare_between_the_hub_s_offer_and_a_party_s_is_settled_by_the_leg() {
    let mut world = World::new();
    let (_, at_alice) = world.call(BOB, ALICE);
    let call = world.call_of(BOB).id;
    world
        .order(Command::ToHub {
            call,
            settings: HubSettings::default(),
        })
        .expect("a pair");
    world.alice().hold(at_alice);
    world.run();
    assert!(world.phone(ALICE).is_holding(at_alice));
    assert!(world.leg_of(ALICE).media == "edge" && world.leg_of(BOB).media == "edge");
    world.alice().resume(at_alice);
    world.run();
    let legs: Vec<_> = world.hub(call).participants.iter().map(|part| part.leg).collect();
    assert!(world.all_speak(call, &legs));
    world.hang_up(ALICE);
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn who_is_held_by_the_api_in_a_pair_is_held_by_its_role_in_a_hub() {
    let mut world = World::with(relayed);
    world.call(BOB, ALICE);
    let (call, bob) = (world.call_of(BOB).id, world.leg_of(BOB).id);
    let hold = world.command(Command::Hold {
        leg: bob,
        direction: Default::default(),
        music: None,
    });
    world.run();
    assert!(matches!(world.reply(hold), Some(Ok(Reply::Done))));
    world
        .order(Command::ToHub {
            call,
            settings: HubSettings::default(),
        })
        .expect("a pair");
    world.run();
    assert_eq!(world.mixed(call, bob), (Heard::ByNobody, Hears::Nothing));
    assert!(world.leg_of(BOB).held);
    world.order(Command::Resume { leg: bob }).expect("in a hub");
    let alice = world.leg_of(ALICE).id;
    assert!(world.all_speak(call, &[bob, alice]));
    world.hang_up(BOB);
    world.hang_up(ALICE);
    world.assert_nothing_left();
}
