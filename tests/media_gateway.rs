//! Browsers that talk with ordinary phones: each is described in its own kind, and the browser's session never changes
//! its shape (LESSONS 30, 31; RFC 8829, RFC 3264).

mod world;

use warmline::engine::{Command, HoldDirection, Settings};
use warmline::media::describe::Mode;
use warmline::media::{Codec, Hear, LocalPort, MediaCommand, Security};
use warmline::phone::{CallState, PhoneTransport};
use warmline::sdp::Direction;
use world::{ALICE, BOB, CAROL, DAVE, Who, World, millis};

/// Alice and dave are browsers.
fn world(change: impl FnOnce(&mut Settings)) -> World {
    let mut world = World::unregistered(change, |who| match who {
        Who::Alice | Who::Dave => PhoneTransport::Wss,
        Who::Bob | Who::Carol => PhoneTransport::Udp,
    });
    for who in [ALICE, DAVE] {
        world.seat(who).configure(|config| config.browser = true);
    }
    world.register_everybody();
    world
}

#[test]
fn a_browser_and_a_phone_talk_whoever_calls() {
    for (caller, callee) in [(ALICE, BOB), (BOB, ALICE)] {
        let mut world = world(|_| {});
        world.call(caller, callee);
        assert!(world.relayed(ALICE, BOB));
        let (browser, phone) = (world.told(ALICE), world.told(BOB));
        for wanted in [
            "UDP/TLS/RTP/SAVPF ",
            "\r\na=ice-lite\r\n",
            "\r\na=group:BUNDLE 0\r\n",
            "\r\na=rtcp-mux\r\n",
            "\r\na=setup:",
        ] {
            assert!(browser.contains(wanted), "{wanted:?} is not in {browser}");
        }
        assert!(
            phone.contains("\r\nm=audio 20000 RTP/AVP ") && !phone.contains("ice"),
            "{phone}"
        );
        let (alice, bob) = (world.leg_of(ALICE).id, world.leg_of(BOB).id);
        let (a, b) = (world.end(alice).unwrap(), world.end(bob).unwrap());
        assert_eq!((a.local, a.remote), (LocalPort::Shared, None));
        assert!(
            matches!(&a.security, Security::Dtls { ice: Some(ice), role: Some(_), fingerprint: Some(_) }
            if ice.remote_ufrag == "alice" && browser.contains(&format!("a=ice-ufrag:{}\r\n", ice.local_ufrag)))
        );
        assert_eq!(
            (b.local, b.remote),
            (LocalPort::Own(20_000), Some("10.0.1.12:40002".parse().unwrap()))
        );
        assert_eq!(b.security, Security::None);
        // Both speak PCMU, so nothing is transcoded; DTMF has each side's number.
        assert_eq!((&a.send[0].codec, &b.send[0].codec), (&Codec::Pcmu, &Codec::Pcmu));
        let dtmf = |payloads: &[warmline::media::Payload]| {
            payloads
                .iter()
                .find(|p| p.codec == Codec::TelephoneEvent { clock: 8_000 })
                .map(|p| p.number)
        };
        assert_eq!(dtmf(&b.send), Some(101));
        assert!(dtmf(&a.send).is_some());
        world.hang_up(BOB);
        world.assert_nothing_left();
    }
}

#[test]
fn two_browsers_and_two_phones_talk_directly() {
    let mut world = world(|_| {});
    world.call(ALICE, DAVE);
    assert!(world.connected(ALICE, DAVE));
    assert_eq!(world.leg_of(ALICE).media, "direct");
    world.hang_up(ALICE);
    world.call(BOB, CAROL);
    assert!(world.connected(BOB, CAROL));
    assert_eq!(world.media(), []);
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn everything_passes_through_the_edge_in_relay_mode() {
    let mut world = world(|settings| settings.media.mode = Mode::Relay);
    world.call(BOB, CAROL);
    assert!(world.relayed(BOB, CAROL));
    assert!(world.told(BOB).contains("c=IN IP4 127.0.0.1\r\n"));
    world.call(ALICE, DAVE);
    assert!(world.relayed(ALICE, DAVE));
    assert_eq!(world.totals().media_ports, 2);
    world.hang_up(ALICE);
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn nothing_passes_through_the_edge_when_media_is_off() {
    let mut world = world(|settings| settings.media.mode = Mode::Off);
    let call = world.alice().call(BOB);
    world.advance(millis(300));
    assert!(
        matches!(world.phone(ALICE).state(call), Some(CallState::Ended(_))),
        "bob cannot speak with a browser"
    );
    assert_eq!(world.media(), []);
    world.run();
    world.assert_nothing_left();
}

#[test]
fn a_browser_is_held_and_taken_back() {
    let mut world = world(|_| {});
    let (mine, his) = world.call(ALICE, BOB);
    let (alice, bob) = (world.leg_of(ALICE).id, world.leg_of(BOB).id);
    world.bob().hold(his);
    world.run();
    assert!(world.phone(ALICE).is_held(mine));
    assert_eq!(world.end(alice).unwrap().direction, Direction::SendOnly);
    world.bob().resume(his);
    world.run();
    assert!(world.relayed(ALICE, BOB));
    world.alice().hold(mine);
    world.run();
    assert_eq!(world.end(bob).unwrap().direction, Direction::SendOnly);
    world.alice().resume(mine);
    world.run();
    let direction = HoldDirection::Inactive;
    world.command(Command::Hold {
        leg: alice,
        direction,
        music: None,
    });
    world.run();
    assert_eq!(
        (world.end(alice).unwrap().direction, world.hears(alice)),
        (Direction::Inactive, Some(Hear::Nothing))
    );
    world.command(Command::Resume { leg: alice });
    world.run();
    assert!(world.relayed(ALICE, BOB));
    world.hang_up(ALICE);
    world.assert_nothing_left();
}

#[test]
fn a_browser_hears_the_new_party_after_a_blind_transfer() {
    for (caller, callee) in [(ALICE, BOB), (BOB, ALICE)] {
        let mut world = world(|_| {});
        world.call(caller, callee);
        let alice = world.leg_of(ALICE).id;
        let before = world.end(alice).unwrap();
        let his = world.the(BOB);
        world.bob().refer(his, CAROL);
        world.advance(millis(500));
        world.carol().pick_up();
        world.run();
        assert!(world.relayed(ALICE, CAROL));
        let after = world.end(alice).unwrap();
        assert_eq!(
            (before.ssrc, before.security, before.local),
            (after.ssrc, after.security, after.local)
        );
        world.hang_up(ALICE);
        world.assert_nothing_left();
    }
}

#[test]
fn a_browser_transfers_a_phone_to_a_phone_and_leaves_them_alone() {
    let mut world = world(|_| {});
    let warm = world.warm();
    assert_eq!(world.ends().len(), 4);
    world.alice().refer_attended(warm.customer, warm.consult);
    world.run();
    // Two phones need nobody between them.
    assert!(world.connected(BOB, CAROL));
    assert_eq!(world.ends(), []);
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn a_phone_transfers_a_browser_to_a_browser_that_goes_on_talking_with_the_edge() {
    let mut world = world(|_| {});
    let (_, his) = world.call(ALICE, BOB);
    world.bob().refer(his, DAVE);
    world.advance(millis(500));
    world.dave().pick_up();
    world.run();
    assert!(world.relayed(ALICE, DAVE));
    assert_eq!(world.totals().media_ports, 0, "browsers share one port");
    let closed = world
        .media()
        .iter()
        .filter(|command| matches!(command, MediaCommand::Close { .. }))
        .count();
    assert_eq!(closed, 1, "bob's");
    world.hang_up(DAVE);
    world.assert_nothing_left();
}
