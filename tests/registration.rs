//! REGISTER at the edge's own registrar and through it to the PBX (RFC 3261 §10, RFC 3327, RFC 7616).

mod world;

use std::net::SocketAddr;

use warmline::engine::{Command, Event, Pbx, Register, RegistrationView, Reply, Settings};
use warmline::phone::{CallState, EndReason, PhoneEvent, PhoneTransport};
use warmline::sip::{HeaderName, Message, Method};
use warmline::transport::Transport;
use world::{ALICE, BOB, CAROL, DOMAIN, EVERYBODY, World, millis, seconds, users};

fn closed(settings: &mut Settings) {
    settings.open = false;
    settings.users = users();
}

fn registrations(world: &mut World) -> Vec<RegistrationView> {
    let id = world.command(Command::Registrations);
    match world.reply(id) {
        Some(Ok(Reply::Registrations(registrations))) => registrations.clone(),
        other => panic!("no list of registrations: {other:?}"),
    }
}

#[test]
fn a_phone_registers_with_its_password() {
    let mut world = World::with(closed);
    let challenges = world.phone(ALICE).responses(&Method::Register);
    assert_eq!(challenges.first().and_then(|answer| answer.status()), Some(401));
    let offered: Vec<_> = challenges[0]
        .headers(HeaderName::WwwAuthenticate)
        .map(String::from_utf8_lossy)
        .collect();
    assert!(
        offered.first().is_some_and(|first| first.contains("SHA-256")),
        "the strongest first: {offered:?}"
    );
    let views = registrations(&mut world);
    assert_eq!(views.len(), EVERYBODY.len());
    let alice = views
        .iter()
        .find(|view| view.aor == ALICE.uri())
        .expect("alice's binding");
    assert_eq!((alice.address, alice.kept), (ALICE.address(), "local"));
    assert!(alice.expires_s <= 3_600);
    let added = |event: &&Event| matches!(event, Event::RegistrationAdded { .. });
    assert_eq!(world.events().filter(added).count(), EVERYBODY.len());
}

#[test]
fn a_wrong_password_registers_nobody() {
    let mut world = World::unregistered(
        |settings| {
            closed(settings);
            settings.users.retain(|user| user.name != "alice");
            settings.users.push(warmline::engine::User {
                name: "alice".into(),
                password: "another".into(),
            });
        },
        |_| PhoneTransport::Udp,
    );
    world.alice().register();
    world.run();
    assert!(!world.phone(ALICE).is_registered());
    let failed = |event: &&PhoneEvent| matches!(event, PhoneEvent::RegistrationFailed { status: 401 | 403 });
    assert_eq!(world.heard(ALICE).into_iter().filter(|event| failed(event)).count(), 1);
    assert_eq!(world.totals().registrations, 0);
}

#[test]
fn calls_of_a_closed_edge_are_challenged_too() {
    let mut world = World::with(closed);
    world.call(ALICE, BOB);
    assert_eq!(
        world
            .phone(ALICE)
            .responses(&Method::Invite)
            .first()
            .and_then(|answer| answer.status()),
        Some(407)
    );
    assert!(world.connected(ALICE, BOB));
    world.hang_up(BOB);
    world.assert_nothing_left();
}

/// LESSONS 40: nothing of a stranger reaches a phone, whatever the method.
#[test]
fn every_method_of_a_stranger_is_challenged_or_refused() {
    let mut world = World::with(closed);
    let stranger = "10.0.0.66:5060".parse().unwrap();
    for method in [
        "INVITE",
        "MESSAGE",
        "SUBSCRIBE",
        "INFO",
        "PUBLISH",
        "REFER",
        "NOTIFY",
        "UPDATE",
        "PRACK",
        "BYE",
        "OPTIONS",
        "REGISTER",
        "HELLO",
    ] {
        let request = format!(
            "{method} sip:bob@example.org SIP/2.0\r\nVia: SIP/2.0/UDP {stranger};branch=z9hG4bK{method}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:alice@example.org>;tag=1\r\nTo: <sip:bob@example.org>\r\nCall-ID: {method}\r\n\
             CSeq: 1 {method}\r\nContact: <sip:alice@{stranger}>\r\nRefer-To: <sip:carol@example.org>\r\nEvent: presence\r\n\
             Content-Length: 0\r\n\r\n"
        );
        world.inject(stranger, request);
        world.advance(millis(50));
        let answers: Vec<_> = world
            .take_strays()
            .into_iter()
            .filter_map(|(_, answer)| answer.status())
            .collect();
        assert!(
            matches!(answers[..], [401 | 403 | 405 | 407 | 481 | 501]),
            "{method}: {answers:?}"
        );
        assert_eq!(world.count(BOB, method), 0, "{method}");
    }
    world.run();
    world.assert_nothing_left();
}

#[test]
fn a_warm_transfer_works_at_a_closed_edge() {
    let mut world = World::with(closed);
    let warm = world.warm();
    world.alice().refer_attended(warm.customer, warm.consult);
    world.run();
    assert!(world.connected(BOB, CAROL));
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn nobody_calls_in_anothers_name() {
    let mut world = World::with(closed);
    // Dave knows his own password only.
    let request = "INVITE sip:bob@example.org SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.14:5060;branch=z9hG4bK-d1\r\nMax-Forwards: 70\r\n\
                   From: <sip:alice@example.org>;tag=d\r\nTo: <sip:bob@example.org>\r\nCall-ID: d1\r\nCSeq: 1 INVITE\r\n\
                   Contact: <sip:dave@10.0.0.14>\r\nContent-Length: 0\r\n\r\n";
    world.tolerate("407 to a");
    world.dave().send_octets(request);
    world.advance(millis(20));
    assert!(world.line(world::DAVE, "< 407 INVITE").is_some());
    assert_eq!(world.line(BOB, "< INVITE"), None, "bob hears nothing of it");
}

#[test]
fn a_phone_that_takes_its_contact_back_is_called_no_more() {
    let mut world = World::new();
    world.bob().unregister();
    world.run();
    assert_eq!(world.totals().registrations, EVERYBODY.len() - 1);
    let removed = |event: &&Event| matches!(event, Event::RegistrationRemoved { aor, .. } if *aor == BOB.uri());
    assert_eq!(world.events().filter(removed).count(), 1);
    let call = world.alice().call(BOB);
    world.run();
    assert!(matches!(
        world.phone(ALICE).state(call),
        Some(CallState::Ended(EndReason::Refused(404 | 480)))
    ));
    assert_eq!(world.line(BOB, "< INVITE"), None);
    world.assert_nothing_left();
}

#[test]
fn a_binding_that_is_not_refreshed_expires() {
    let mut world = World::new();
    world.advance(seconds(3_000));
    world.alice().register();
    world.run();
    world.advance(seconds(700));
    let left: Vec<_> = registrations(&mut world).into_iter().map(|view| view.aor).collect();
    assert_eq!(left, [ALICE.uri()]);
    let removed = |event: &&Event| matches!(event, Event::RegistrationRemoved { .. });
    assert_eq!(world.events().filter(removed).count(), EVERYBODY.len() - 1);
}

#[test]
fn a_refreshed_registration_is_one_binding() {
    let mut world = World::new();
    for _ in 0..5 {
        world.alice().register();
        world.run();
    }
    assert_eq!(world.totals().registrations, EVERYBODY.len());
    world.advance(seconds(40));
    assert_eq!(world.totals().transactions, 0);
}

#[test]
fn a_lost_register_is_repeated_and_answered_once() {
    let mut world = World::unregistered(|_| {}, |_| PhoneTransport::Udp);
    world.once(world::Fate::Lose, |packet| {
        packet.is_answer_to(ALICE, Method::Register, 200)
    });
    world.alice().register();
    world.run();
    assert!(world.phone(ALICE).is_registered());
    assert_eq!(world.totals().registrations, 1);
    let added = |event: &&Event| matches!(event, Event::RegistrationAdded { .. });
    assert_eq!(world.events().filter(added).count(), 1);
}

/// A PBX that the test plays by hand.
const PBX: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 9, 1)), 5060);

fn through(settings: &mut Settings) {
    settings.pbx = Some(Pbx {
        host: DOMAIN.to_owned(),
        address: PBX,
        transport: Transport::Udp,
        register: Register::Through,
    });
}

/// The PBX's answer to a request that it has got.
fn answer(request: &Message, status: u16, headers: &[(HeaderName, &str)]) -> bytes::Bytes {
    let draft = request.respond(status).to_tag("pbx");
    headers
        .iter()
        .fold(draft, |draft, (name, value)| draft.header(*name, value))
        .print()
}

#[test]
fn the_pbx_keeps_the_binding_and_comes_back_along_our_path() {
    let mut world = World::unregistered(through, |_| PhoneTransport::Udp);
    world.alice().register();
    world.advance(millis(5));
    let (to, register) = world.take_strays().pop().expect("the PBX gets the REGISTER");
    assert_eq!((to, register.method()), (PBX, &Method::Register));
    let path = register
        .text(HeaderName::Path)
        .expect("RFC 3327 §5.2: our Path")
        .to_owned();
    let contact = register
        .text(HeaderName::Contact)
        .expect("the phone's own contact")
        .to_owned();
    assert!(contact.contains("alice@10.0.0.11"), "{contact}");
    assert_eq!(register.values(HeaderName::Via).count(), 2);
    let listed = format!("{contact};expires=3600");
    world.inject(
        PBX,
        answer(
            &register,
            200,
            &[(HeaderName::Contact, &listed), (HeaderName::Path, &path)],
        ),
    );
    world.run();
    assert!(world.phone(ALICE).is_registered());
    let kept: Vec<_> = registrations(&mut world).into_iter().map(|view| view.kept).collect();
    assert_eq!(kept, ["through"]);
    // The PBX calls alice: its INVITE has our Path as Route and her contact as Request-URI.
    let invite = format!(
        "INVITE sip:alice@10.0.0.11:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.9.1:5060;branch=z9hG4bK-pbx1\r\nMax-Forwards: 70\r\n\
         Route: {path}\r\nFrom: <sip:bob@example.org>;tag=p\r\nTo: <sip:alice@example.org>\r\nCall-ID: pbx1\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:pbx@10.0.9.1:5060>\r\nContent-Type: application/sdp\r\nContent-Length: 116\r\n\r\n\
         v=0\r\no=- 1 1 IN IP4 10.0.9.1\r\ns=-\r\nc=IN IP4 10.0.9.1\r\nt=0 0\r\nm=audio 7000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=sendrecv"
    );
    let invite = invite.replace(
        "Content-Length: 116",
        &format!("Content-Length: {}", invite.len() - invite.find("v=0").unwrap_or(0) + 2),
    ) + "\r\n";
    world.inject(PBX, invite);
    world.advance(millis(20));
    assert!(world.line(ALICE, "< INVITE alice").is_some(), "alice's phone rings");
    let call = world.alice().pick_up();
    world.advance(millis(20));
    let answered = world
        .take_strays()
        .into_iter()
        .any(|(to, message)| to == PBX && message.status() == Some(200));
    assert!(answered, "the PBX hears the answer");
    assert_eq!(world.phone(ALICE).remote_media(call), Some("10.0.9.1:7000".to_owned()));
}

#[test]
fn what_the_pbx_refuses_is_no_binding() {
    let mut world = World::unregistered(through, |_| PhoneTransport::Udp);
    world.alice().register();
    world.advance(millis(5));
    let (_, register) = world.take_strays().pop().expect("the PBX gets the REGISTER");
    world.inject(PBX, answer(&register, 403, &[]));
    world.run();
    assert!(!world.phone(ALICE).is_registered());
    assert_eq!(world.totals().registrations, 0);
}

#[test]
fn the_pbx_challenges_the_phone_and_the_phone_answers_through_us() {
    let mut world = World::unregistered(through, |_| PhoneTransport::Udp);
    world.alice().register();
    world.advance(millis(5));
    let (_, register) = world.take_strays().pop().expect("the PBX gets the REGISTER");
    let challenge = "Digest realm=\"pbx\", nonce=\"abc\", algorithm=MD5, qop=\"auth\"";
    world.inject(PBX, answer(&register, 401, &[(HeaderName::WwwAuthenticate, challenge)]));
    world.advance(millis(5));
    let (_, again) = world.take_strays().pop().expect("the second REGISTER");
    let credentials = again
        .text(HeaderName::Authorization)
        .expect("the phone's own credentials");
    assert!(credentials.contains("username=\"alice\"") && credentials.contains("realm=\"pbx\""));
}
