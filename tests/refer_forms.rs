//! The forms of REFER: without a subscription (RFC 4488, 7614), 200 or 202 (RFC 7647), outside of dialogs (RFC 4538); and
//! who may ask for what.

mod world;

use warmline::engine::{Event, Peer, PeerAuth, ReferAnswer, TransferMode};
use warmline::phone::PhoneCall;
use warmline::sip::{HeaderName, Message, Method};
use world::{ALICE, BOB, CAROL, DAVE, Who, World, millis};

fn refer(world: &mut World, call: PhoneCall, headers: &[(&str, &str)]) -> Message {
    world.alice().request(call, Method::Refer, headers, None);
    world.advance(millis(300));
    world.phone(ALICE).responses(&Method::Refer).pop().expect("an answer")
}

fn finish(world: &mut World) {
    world.carol().pick_up();
    world.run();
    assert!(world.connected(BOB, CAROL));
    assert_eq!((world.completed(), world.failures().len()), (1, 0));
    world.hang_up(BOB);
    world.assert_nothing_left();
}

const CONTACT: (&str, &str) = ("Contact", "<sip:alice@10.0.0.11:5060>");
const TO_CAROL: (&str, &str) = ("Refer-To", "<sip:carol@example.org>");

/// RFC 7614 §4.3.
#[test]
fn nosub_is_answered_200_and_nobody_is_notified() {
    let mut world = World::new();
    let (_, customer) = world.call(BOB, ALICE);
    let answer = refer(&mut world, customer, &[CONTACT, TO_CAROL, ("Require", "nosub")]);
    assert_eq!(answer.status(), Some(200));
    assert_eq!(answer.header(HeaderName::ReferSub), None);
    let progress = world
        .events()
        .filter(|event| matches!(event, Event::TransferProgress { .. }));
    assert!(progress.count() > 0, "LESSONS 13: observers see it all the same");
    world.carol().pick_up();
    world.run();
    assert_eq!(world.phone(ALICE).requests(&Method::Notify).len(), 0);
    assert!(world.connected(BOB, CAROL));
    world.hang_up(BOB);
    world.assert_nothing_left();
}

/// RFC 7614 §4.1: there is no URI to subscribe to here, so it is said instead of half done.
#[test]
fn explicitsub_is_refused_by_name() {
    let mut world = World::new();
    let (_, customer) = world.call(BOB, ALICE);
    let answer = refer(&mut world, customer, &[CONTACT, TO_CAROL, ("Require", "explicitsub")]);
    assert_eq!(
        (answer.status(), answer.text(HeaderName::Unsupported)),
        (Some(420), Some("explicitsub"))
    );
    assert!(world.connected(ALICE, BOB));
    assert_eq!(world.transfers().len(), 0);
    world.hang_up(BOB);
    world.assert_nothing_left();
}

/// RFC 7647 §5: 200 to who knows it; the field expects 202.
#[test]
fn a_refer_is_accepted_with_202_or_with_200() {
    let gruu = ("Contact", "<sip:alice@10.0.0.11:5060;gr=urn:uuid:1>");
    let table = [
        (ReferAnswer::Auto, CONTACT, 202),
        (ReferAnswer::Auto, gruu, 200),
        (ReferAnswer::Ok, CONTACT, 200),
        (ReferAnswer::Accepted, gruu, 202),
    ];
    for (setting, contact, status) in table {
        let mut world = World::with(|settings| {
            let network = warmline::engine::Network {
                address: ALICE.address().ip(),
                prefix: 32,
            };
            settings.peers = vec![Peer {
                credentials: None,
                keeps_call_id: false,
                media: Default::default(),
                name: "alice's phones".to_owned(),
                networks: vec![network],
                auth: PeerAuth::Digest,
                transfer: TransferMode::Native,
                refer_answer: setting,
            }];
        });
        let (_, customer) = world.call(BOB, ALICE);
        let answer = refer(&mut world, customer, &[contact, TO_CAROL]);
        assert_eq!(answer.status(), Some(status), "{setting:?} {contact:?}");
        finish(&mut world);
    }
}

/// Target-Dialog as `who` must write it: the edge's tag is local for the edge, which is the recipient (RFC 4538 §4).
fn target_dialog(world: &World, who: Who, call: PhoneCall) -> String {
    let id = world.phone(who).replaces(call).expect("a dialog");
    format!("{};local-tag={};remote-tag={}", id.call_id, id.to_tag, id.from_tag)
}

fn outside(world: &mut World, who: Who, target_dialog: &str) -> Option<u16> {
    let contact = format!("<sip:{}@{}>", who.user(), who.address());
    let headers = [
        ("Contact", contact.as_str()),
        TO_CAROL,
        ("Require", "tdialog"),
        ("Target-Dialog", target_dialog),
    ];
    world
        .seat(who)
        .request_outside(Method::Refer, "sip:example.org", &headers);
    world.advance(millis(300));
    let answer = world.phone(who).responses(&Method::Refer).pop().expect("an answer");
    answer.status()
}

#[test]
fn a_refer_outside_that_names_its_dialog_works_as_one_inside() {
    let mut world = World::new();
    world.tolerate("");
    let (_, customer) = world.call(BOB, ALICE);
    let named = target_dialog(&world, ALICE, customer);
    assert_eq!(outside(&mut world, ALICE, &named), Some(202));
    world.carol().pick_up();
    world.run();
    assert!(world.connected(BOB, CAROL));
    let refer = world.phone(ALICE).responses(&Method::Refer).pop().expect("the 202");
    let notifies = world.phone(ALICE).requests(&Method::Notify);
    let notify = notifies.first().expect("a NOTIFY");
    assert_eq!(notify.call_id(), refer.call_id(), "in the dialog that the REFER made");
    assert_eq!(notify.from_tag(), refer.to_tag());
    assert_eq!(notify.to_tag(), refer.from_tag());
    assert_eq!(notify.text(HeaderName::Event), Some("refer"));
    assert_eq!(world.completed(), 1);
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn a_refer_outside_needs_a_live_dialog_of_its_own_sender() {
    let mut world = World::new();
    let (at_bob, customer) = world.call(BOB, ALICE);
    let alices = target_dialog(&world, ALICE, customer);
    let one_tag_wrong = format!("{alices}x");
    let swapped = {
        let id = world.phone(ALICE).replaces(customer).expect("a dialog");
        format!("{};local-tag={};remote-tag={}", id.call_id, id.from_tag, id.to_tag)
    };
    for (who, named, status) in [
        (DAVE, alices.as_str(), 403),
        (BOB, alices.as_str(), 403),
        (ALICE, one_tag_wrong.as_str(), 481),
        (ALICE, swapped.as_str(), 481),
        (ALICE, "nonsense", 400),
        (ALICE, "a@b;local-tag=c", 400),
    ] {
        assert_eq!(outside(&mut world, who, named), Some(status), "{} {named}", who.user());
        world.run();
    }
    assert_eq!(world.transfers().len(), 0);
    assert_eq!(world.line(CAROL, "< INVITE"), None, "the target heard nothing");
    assert!(world.connected(ALICE, BOB));
    world.bob().bye(at_bob);
    world.run();
    assert_eq!(outside(&mut world, ALICE, &alices), Some(481), "ended");
    world.assert_nothing_left();
}

/// LESSONS 11.
#[test]
fn a_refer_outside_that_names_no_dialog_is_refused() {
    let mut world = World::new();
    world.call(BOB, ALICE);
    world
        .alice()
        .request_outside(Method::Refer, "sip:example.org", &[CONTACT, TO_CAROL]);
    world.run();
    let answer = world.phone(ALICE).responses(&Method::Refer).pop().expect("an answer");
    assert_eq!(answer.status(), Some(403));
    assert!(world.connected(ALICE, BOB));
    world.hang_up(BOB);
    world.assert_nothing_left();
}

/// RFC 3911 §8: what is supported is advertised.
#[test]
fn join_and_tdialog_are_advertised() {
    let mut world = World::new();
    world.call(BOB, ALICE);
    let invite = world.phone(ALICE).requests(&Method::Invite).remove(0);
    assert!(invite.has_token(HeaderName::Supported, "join"));
    assert!(invite.has_token(HeaderName::Supported, "tdialog"));
    world.hang_up(BOB);
    world.assert_nothing_left();
}

/// LESSONS 36 and more: what a REFER can name, and what becomes of it. Nobody is called in any row that refuses.
#[test]
fn only_what_may_be_dialled_is_dialled() {
    let table = [
        ("<sip:carol@example.org>", 202),
        ("<tel:carol>", 202),
        ("<http://example.org/carol>", 416),
        ("<mailto:carol@example.org>", 416),
        ("<sip:example.org>", 484),
        ("<sip:carol@example.org;method=BYE>", 501),
        ("<sip:carol@example.org?Replaces=a%3Bto-tag%3Db>", 400),
        ("<sip:carol@example.org>, <sip:dave@example.org>", 400),
        ("<tel:carol?Route=%3Csip%3Aevil%3E>", 400),
    ];
    for (refer_to, status) in table {
        let mut world = World::new();
        let (_, customer) = world.call(BOB, ALICE);
        let answer = refer(&mut world, customer, &[CONTACT, ("Refer-To", refer_to)]);
        assert_eq!(answer.status(), Some(status), "{refer_to}");
        if status == 202 {
            finish(&mut world);
            continue;
        }
        assert_eq!(world.line(CAROL, "< INVITE"), None, "{refer_to}");
        assert!(world.connected(ALICE, BOB));
        world.hang_up(BOB);
        world.assert_nothing_left();
    }
}

/// LESSONS 36.
#[test]
fn of_refer_tos_headers_only_replaces_is_taken() {
    let mut world = World::new();
    let (_, customer) = world.call(BOB, ALICE);
    let refer_to = "<sip:carol@example.org?Route=%3Csip%3Aevil%3E&X-Pin=1234&Subject=x>";
    let answer = refer(&mut world, customer, &[CONTACT, ("Refer-To", refer_to)]);
    assert_eq!(answer.status(), Some(202));
    let invite = world.phone(CAROL).requests(&Method::Invite).remove(0);
    let text = String::from_utf8_lossy(invite.bytes()).into_owned();
    assert!(
        !text.contains("evil") && !text.contains("X-Pin") && !text.contains("Subject"),
        "{text}"
    );
    finish(&mut world);
}

/// A transferor's dialling rights are those of its own calls.
#[test]
fn a_route_for_some_is_closed_to_the_transfers_of_others() {
    for (user, opened) in [("alice", true), ("dave", false)] {
        let mut world = World::with(|settings| {
            settings.open = false;
            settings.users = world::users();
            settings.routes = vec![warmline::engine::Route {
                pattern: "^00".parse().expect("a pattern"),
                address: CAROL.address(),
                transport: warmline::transport::Transport::Udp,
                host: "trunk.example".to_owned(),
                users: vec![user.to_owned()],
            }];
        });
        let (_, customer) = world.call(BOB, ALICE);
        let answer = refer(
            &mut world,
            customer,
            &[CONTACT, ("Refer-To", "<sip:0049123@example.org>")],
        );
        assert_eq!(answer.status(), Some(202));
        if opened {
            finish(&mut world);
        } else {
            world.run();
            assert_eq!(world.failures().first().and_then(|(_, status)| *status), Some(403));
            assert_eq!(world.line(CAROL, "< INVITE"), None);
            assert!(world.connected(ALICE, BOB));
            world.hang_up(BOB);
            world.assert_nothing_left();
        }
    }
}
