//! RFC 3263 in virtual time: the next place when one fails, look-ups that are slow, wrong or never answered, and a memory
//! of what failed. The name servers here are the test; `tests/dns.rs` has real ones.

#![expect(clippy::unwrap_used, reason = "what a test asks for must be there")]

mod world;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use bytes::Bytes;
use regex::Regex;
use warmline::engine::{Pbx, Register, Route, Settings};
use warmline::phone::{CallState, EndReason};
use warmline::sip::{HeaderName, Message, Method};
use warmline::transport::locate::{Found, LookupFailed, Place, Wanted};
use warmline::transport::{Flow, Named, Transport};

use world::{ALICE, BOB, EDGE, World, millis, seconds};

const ONE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 9, 0, 1)), 5060);
const TWO: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 9, 0, 2)), 5060);
const NUMBER: &str = "sip:4930123@example.org";

fn place(address: SocketAddr) -> Place {
    Place {
        address,
        transport: Transport::Udp,
    }
}

fn trunk_name(life: u64) -> Named {
    Named {
        host: "trunk.example".to_owned(),
        first: place(ONE),
        wanted: Wanted {
            host: "trunk.example".to_owned(),
            port: None,
            transport: None,
            secure: false,
        },
        places: vec![place(ONE), place(TWO)],
        life: seconds(life),
    }
}

/// Numbers go to a trunk with two places.
fn two_places(settings: &mut Settings) {
    settings.names.push(trunk_name(86_400));
    settings.routes.push(Route {
        pattern: Regex::new("^[0-9]+$").unwrap(),
        address: ONE,
        transport: Transport::Udp,
        host: "trunk.example".to_owned(),
        users: Vec::new(),
    });
}

/// Requests of this kind that left for other places than phones, repetitions left out.
fn sent(world: &mut World, method: &Method) -> Vec<(SocketAddr, Message)> {
    let mut seen: Vec<(SocketAddr, Option<String>)> = Vec::new();
    let strays = world.take_strays().into_iter();
    let wanted = strays.filter(|(_, message)| message.is_request() && message.method() == method);
    wanted
        .filter(|(to, message)| {
            let key = (*to, message.branch().map(str::to_owned));
            let new = !seen.contains(&key);
            seen.push(key);
            new
        })
        .collect()
}

fn only(mut sent: Vec<(SocketAddr, Message)>) -> (SocketAddr, Message) {
    assert_eq!(sent.len(), 1, "{sent:?}");
    sent.remove(0)
}

fn answer(world: &mut World, from: SocketAddr, request: &Message, status: u16, more: &str) {
    let head = request.respond(status).to_tag("trunk").print();
    let head = String::from_utf8(head.to_vec()).unwrap();
    let head = head.split("Content-Length").next().unwrap().to_owned();
    let body = if status == 200 && *request.method() == Method::Invite {
        "v=0\r\no=t 1 1 IN IP4 10.9.0.9\r\ns=-\r\nc=IN IP4 10.9.0.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
    } else {
        ""
    };
    let kind = if body.is_empty() {
        ""
    } else {
        "Content-Type: application/sdp\r\n"
    };
    let text = format!("{head}{more}{kind}Content-Length: {}\r\n\r\n{body}", body.len());
    world.inject(from, Bytes::from(text));
    world.advance(millis(20));
}

fn contact(address: SocketAddr) -> String {
    format!("Contact: <sip:trunk@{address}>\r\n")
}

fn ended(world: &World, call: warmline::phone::PhoneCall) -> EndReason {
    match world.phone(ALICE).state(call) {
        Some(CallState::Ended(why)) => why,
        other => panic!("the call is {other:?}"),
    }
}

#[test]
fn after_silence_the_next_place_gets_the_same_request_under_another_branch() {
    let mut world = World::with(two_places);
    let call = world.alice().call_uri(NUMBER);
    world.advance(seconds(31));
    let (to, first) = only(sent(&mut world, &Method::Invite));
    assert_eq!(to, ONE);
    world.advance(seconds(2));
    let (to, second) = sent(&mut world, &Method::Invite).pop().unwrap();
    assert_eq!(to, TWO);
    assert_ne!(first.branch(), second.branch());
    assert_eq!(first.call_id(), second.call_id());
    assert_eq!((first.cseq(), first.from_tag()), (second.cseq(), second.from_tag()));
    // It may ring as long as any other: the dead place took nothing of that time.
    answer(&mut world, TWO, &second, 180, "");
    world.advance(seconds(50));
    assert!(sent(&mut world, &Method::Cancel).is_empty(), "its time is not over");
    answer(&mut world, TWO, &second, 200, &contact(TWO));
    assert_eq!(world.phone(ALICE).state(call), Some(CallState::Connected));
    assert_eq!(only(sent(&mut world, &Method::Ack)).0, TWO);
    world.alice().bye(call);
    world.advance(millis(20));
    let (to, bye) = only(sent(&mut world, &Method::Bye));
    assert_eq!(to, TWO);
    answer(&mut world, TWO, &bye, 200, "");
    world.run();
    assert_eq!(world.totals().dialogs, 0);
}

#[test]
fn a_place_that_failed_is_tried_last_for_a_while() {
    let mut world = World::with(two_places);
    let call = world.alice().call_uri(NUMBER);
    world.advance(seconds(33));
    sent(&mut world, &Method::Invite);
    world.alice().cancel(call);
    world.advance(millis(100));
    let second = world.bob().call_uri(NUMBER);
    world.advance(millis(100));
    assert_eq!(
        only(sent(&mut world, &Method::Invite)).0,
        TWO,
        "no waiting at the dead place"
    );
    world.bob().cancel(second);
    world.advance(seconds(33));
    world.take_strays();
    world.seat(world::CAROL).call_uri(NUMBER);
    world.advance(millis(100));
    assert_eq!(only(sent(&mut world, &Method::Invite)).0, ONE, "it has a chance again");
}

#[test]
fn a_503_moves_on_at_once_and_its_retry_after_is_kept() {
    let mut world = World::with(two_places);
    let call = world.alice().call_uri(NUMBER);
    world.advance(millis(100));
    let (_, first) = only(sent(&mut world, &Method::Invite));
    answer(&mut world, ONE, &first, 503, "Retry-After: 120\r\n");
    let (to, second) = only(sent(&mut world, &Method::Invite));
    assert_eq!(to, TWO);
    // What the next place says about the party is the party's answer.
    answer(&mut world, TWO, &second, 486, "");
    assert_eq!(ended(&world, call), EndReason::Refused(486));
    world.advance(seconds(60));
    world.take_strays();
    world.bob().call_uri(NUMBER);
    world.advance(millis(100));
    assert_eq!(only(sent(&mut world, &Method::Invite)).0, TWO);
}

#[test]
fn a_refusal_is_no_failure_of_the_place() {
    for status in [404, 480, 500, 603] {
        let mut world = World::with(two_places);
        let call = world.alice().call_uri(NUMBER);
        world.advance(millis(100));
        let (_, first) = only(sent(&mut world, &Method::Invite));
        answer(&mut world, ONE, &first, status, "");
        assert!(sent(&mut world, &Method::Invite).is_empty(), "{status}");
        assert_eq!(ended(&world, call), EndReason::Refused(status));
    }
}

#[test]
fn a_flow_that_fails_moves_on_and_the_last_failure_is_told() {
    let mut world = World::with(two_places);
    let call = world.alice().call_uri(NUMBER);
    world.advance(millis(100));
    for address in [ONE, TWO] {
        assert_eq!(only(sent(&mut world, &Method::Invite)).0, address);
        let flow = Flow {
            transport: Transport::Udp,
            local: EDGE,
            remote: address,
            connection: 0,
        };
        world.fail_flow(flow);
    }
    world.advance(millis(100));
    assert_eq!(ended(&world, call), EndReason::Refused(503));
    assert!(sent(&mut world, &Method::Invite).is_empty());
    world.run();
    assert_eq!(world.totals().dialogs, 0);
}

#[test]
fn who_hangs_up_while_a_place_is_silent_is_not_called_at_the_next() {
    let mut world = World::with(two_places);
    let call = world.alice().call_uri(NUMBER);
    world.advance(seconds(10));
    world.alice().cancel(call);
    world.advance(seconds(120));
    let places = sent(&mut world, &Method::Invite);
    assert!(places.iter().all(|(to, _)| *to == ONE), "{places:?}");
    assert_eq!(world.totals().dialogs, 0);
}

fn partners(settings: &mut Settings) {
    settings.reach = vec!["*.partner.example".to_owned()];
}

const ABROAD: &str = "sip:bob@sip.partner.example";

fn found(places: &[Place]) -> Result<Found, LookupFailed> {
    Ok(Found {
        places: places.to_vec(),
        life: seconds(60),
    })
}

#[test]
fn a_foreign_host_is_looked_up_before_anything_is_sent() {
    let mut world = World::with(partners);
    let call = world.alice().call_uri(ABROAD);
    world.advance(seconds(1));
    assert!(world.take_strays().is_empty());
    let questions = world.take_questions();
    assert_eq!(questions.len(), 1);
    let (id, wanted) = questions[0].clone();
    assert_eq!((wanted.host.as_str(), wanted.port), ("sip.partner.example", None));
    let tcp = Place {
        transport: Transport::Tcp,
        ..place(ONE)
    };
    world.resolved(id, found(&[tcp, place(TWO)]));
    let (to, invite) = only(sent(&mut world, &Method::Invite));
    assert_eq!((to, invite.request_uri()), (ONE, Some(ABROAD)));
    assert!(invite.text(HeaderName::Via).unwrap().starts_with("SIP/2.0/TCP"));
    assert!(
        invite.text(HeaderName::Contact).unwrap().contains("transport=tcp"),
        "the Contact is reached as the flow is"
    );
    answer(&mut world, ONE, &invite, 503, "");
    let (to, invite) = only(sent(&mut world, &Method::Invite));
    assert_eq!(to, TWO);
    assert!(invite.text(HeaderName::Via).unwrap().starts_with("SIP/2.0/UDP"));
    assert!(!invite.text(HeaderName::Contact).unwrap().contains("transport"));
    answer(&mut world, TWO, &invite, 200, &contact(TWO));
    assert_eq!(world.phone(ALICE).state(call), Some(CallState::Connected));
}

#[test]
fn a_host_that_is_not_allowed_is_never_looked_up() {
    for uri in [
        "sip:bob@partner.example.evil",
        "sip:bob@192.0.2.7",
        "sip:bob@sip.partner.example;maddr=evil.example",
    ] {
        let mut world = World::with(partners);
        let call = world.alice().call_uri(uri);
        world.advance(seconds(1));
        assert!(world.take_questions().is_empty(), "{uri}");
        assert!(world.take_strays().is_empty(), "{uri}");
        assert_eq!(ended(&world, call), EndReason::Refused(404), "{uri}");
    }
}

#[test]
fn a_look_up_that_fails_ends_the_call_with_the_name_of_the_host() {
    let cases = [
        (
            Some(Err(LookupFailed::NoSuchHost)),
            502,
            "No Address For sip.partner.example",
        ),
        (
            Some(Err(LookupFailed::NoAnswer)),
            503,
            "No Answer From The Name Servers About sip.partner.example",
        ),
        // IPv6 only, and no listener of ours speaks it.
        (
            Some(found(&[place("[2001:db8::1]:5060".parse().unwrap())])),
            502,
            "No Listener Reaches sip.partner.example",
        ),
        // Nobody ever answers.
        (None, 503, "No Answer From The Name Servers About sip.partner.example"),
    ];
    for (outcome, status, text) in cases {
        let mut world = World::with(partners);
        let heard = Rc::new(RefCell::new(String::new()));
        let hears = Rc::clone(&heard);
        world.network(move |packet| {
            if packet.is_answer_to(ALICE, Method::Invite, status) {
                *hears.borrow_mut() = String::from_utf8_lossy(packet.message.bytes()).into_owned();
            }
            world::Fate::Deliver
        });
        let call = world.alice().call_uri(ABROAD);
        world.advance(millis(100));
        let (id, _) = world.take_questions().remove(0);
        match outcome {
            Some(outcome) => world.resolved(id, outcome),
            None => {
                world.advance(millis(4_800));
                assert_eq!(
                    world.phone(ALICE).state(call),
                    Some(CallState::Calling),
                    "five seconds are not over"
                );
            }
        }
        world.advance(millis(200));
        assert_eq!(ended(&world, call), EndReason::Refused(status), "{text}");
        let answer = heard.borrow().clone();
        assert!(answer.starts_with(&format!("SIP/2.0 {status} {text}\r\n")), "{answer}");
        let reason = format!("Reason: SIP;cause={status};text=\"{text}\"\r\n");
        assert!(answer.contains(&reason), "{answer}");
        // An answer that comes too late calls nobody.
        world.resolved(id, found(&[place(ONE)]));
        world.run();
        assert!(world.take_strays().is_empty());
        assert_eq!(world.totals().dialogs, 0);
    }
}

#[test]
fn who_hangs_up_during_a_look_up_calls_nobody() {
    let mut world = World::with(partners);
    let call = world.alice().call_uri(ABROAD);
    world.advance(millis(300));
    let (id, _) = world.take_questions().remove(0);
    world.alice().cancel(call);
    world.advance(millis(100));
    world.resolved(id, found(&[place(ONE)]));
    world.run();
    assert!(world.take_strays().is_empty());
    assert_eq!(world.totals().dialogs, 0);
}

#[test]
fn a_transfer_to_a_foreign_host_looks_it_up() {
    for works in [true, false] {
        let mut world = World::with(partners);
        let (_, at_alice) = world.call(BOB, ALICE);
        world.alice().refer_to(at_alice, &format!("<{ABROAD}>"));
        world.advance(millis(100));
        let (id, _) = world.take_questions().remove(0);
        if works {
            world.resolved(id, found(&[place(ONE)]));
            let (to, invite) = only(sent(&mut world, &Method::Invite));
            assert_eq!(to, ONE);
            answer(&mut world, ONE, &invite, 200, &contact(ONE));
            world.run();
            assert_eq!(world.failures(), []);
        } else {
            world.resolved(id, Err(LookupFailed::NoSuchHost));
            world.run();
            assert_eq!(world.failures().len(), 1);
            // The call is as it was.
            assert!(world.connected(BOB, ALICE));
        }
    }
}

/// A call to the trunk whose 2xx names this as its next hop: the ACK has not been looked for yet.
fn call_with(world: &mut World, headers: &str) -> warmline::phone::PhoneCall {
    let call = world.alice().call_uri(NUMBER);
    world.advance(millis(100));
    let (_, invite) = only(sent(world, &Method::Invite));
    answer(world, ONE, &invite, 200, headers);
    call
}

#[test]
fn a_route_set_that_is_a_name_is_looked_up_before_the_ack() {
    let route = "Record-Route: <sip:proxy.trunk.example;lr>\r\nContact: <sip:gw@10.9.0.77>\r\n";
    let mut world = World::with(two_places);
    let call = call_with(&mut world, route);
    assert_eq!(world.phone(ALICE).state(call), Some(CallState::Connected));
    assert!(sent(&mut world, &Method::Ack).is_empty(), "nobody knows yet where to");
    // Hanging up meanwhile does not overtake the ACK.
    world.alice().bye(call);
    world.advance(millis(50));
    let (id, wanted) = world.take_questions().remove(0);
    assert_eq!(wanted.host, "proxy.trunk.example");
    let three: SocketAddr = "10.9.0.3:5060".parse().unwrap();
    world.resolved(id, found(&[place(TWO), place(three)]));
    let strays = world.take_strays();
    let order: Vec<_> = strays
        .iter()
        .map(|(to, message)| (*to, message.method().clone()))
        .collect();
    assert_eq!(order, [(TWO, Method::Ack), (TWO, Method::Bye)]);
    let bye = &strays[1].1;
    assert_eq!(bye.text(HeaderName::Route), Some("<sip:proxy.trunk.example;lr>"));
    // The proxy has gone: the next place of its name gets the BYE, under the same number and another branch.
    world.advance(seconds(33));
    let again = sent(&mut world, &Method::Bye);
    let (to, last) = again.last().unwrap();
    assert_eq!((*to, last.cseq()), (three, bye.cseq()));
    assert_ne!(last.branch(), bye.branch());
    answer(&mut world, three, last, 200, "");
    world.run();
    assert_eq!(world.totals().dialogs, 0);
}

#[test]
fn a_name_that_leads_to_where_the_dialog_was_made_moves_nothing() {
    let mut world = World::with(two_places);
    call_with(&mut world, "Contact: <sip:gw@gw.trunk.example>\r\n");
    let (id, _) = world.take_questions().remove(0);
    world.resolved(id, found(&[place(TWO), place(ONE)]));
    assert_eq!(only(sent(&mut world, &Method::Ack)).0, ONE);
}

#[test]
fn a_contact_that_cannot_be_looked_up_leaves_the_dialog_where_it_was_made() {
    let mut world = World::with(two_places);
    call_with(&mut world, "Contact: <sip:gw@gw.trunk.example>\r\n");
    assert!(sent(&mut world, &Method::Ack).is_empty());
    world.advance(seconds(6));
    assert_eq!(only(sent(&mut world, &Method::Ack)).0, ONE, "the wait is bounded");
}

#[test]
fn a_phones_contact_is_never_looked_up() {
    let mut world = World::new();
    world.call(ALICE, BOB);
    assert!(world.take_questions().is_empty());
}

fn pbx_of_two(settings: &mut Settings) {
    settings.pbx = Some(Pbx {
        host: "trunk.example".to_owned(),
        address: ONE,
        transport: Transport::Udp,
        register: Register::Through,
    });
    settings.names = vec![trunk_name(60)];
}

fn register_alice(world: &mut World) -> (SocketAddr, Message) {
    world.alice().register();
    world.advance(millis(100));
    only(sent(world, &Method::Register))
}

#[test]
fn the_name_of_the_pbx_is_asked_again_when_its_records_end() {
    let mut world = World::unregistered(pbx_of_two, |_| warmline::phone::PhoneTransport::Udp);
    world.advance(seconds(59));
    assert!(world.take_questions().is_empty());
    world.advance(seconds(2));
    let (id, wanted) = world.take_questions().remove(0);
    assert_eq!(wanted.host, "trunk.example");
    // Until the answer is there, and if there is none, the old places serve.
    world.resolved(id, Err(LookupFailed::NoAnswer));
    let (to, register) = register_alice(&mut world);
    assert_eq!(to, ONE);
    answer(&mut world, ONE, &register, 403, "");
    world.advance(seconds(31));
    let (id, _) = world.take_questions().remove(0);
    let three: SocketAddr = "10.9.0.3:5060".parse().unwrap();
    world.resolved(id, found(&[place(three)]));
    assert_eq!(register_alice(&mut world).0, three);
}

#[test]
fn what_the_proxy_passes_goes_to_the_next_place_too() {
    let mut world = World::unregistered(pbx_of_two, |_| warmline::phone::PhoneTransport::Udp);
    let (to, register) = register_alice(&mut world);
    assert_eq!(to, ONE);
    answer(&mut world, ONE, &register, 503, "");
    let (to, again) = only(sent(&mut world, &Method::Register));
    assert_eq!(to, TWO);
    assert_ne!(again.branch(), register.branch());
    let contact = format!("Contact: {};expires=600\r\n", again.text(HeaderName::Contact).unwrap());
    answer(&mut world, TWO, &again, 200, &contact);
    assert!(world.phone(ALICE).is_registered());
    // The next one does not begin at the place that failed.
    assert_eq!(register_alice(&mut world).0, TWO);
}
