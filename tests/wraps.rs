//! LESSONS 42: numbers of a party that begin near their end.

mod world;

use std::net::SocketAddr;

use warmline::engine::Route;
use warmline::sip::{HeaderName, Message, Method};
use world::{ALICE, BOB, World, millis};

const TRUNK: &str = "10.0.9.9:5060";

fn trunk() -> SocketAddr {
    TRUNK.parse().expect("an address")
}

fn sdp(version: u64) -> String {
    format!(
        "v=0\r\no=- {version} {version} IN IP4 10.0.9.9\r\ns=-\r\nc=IN IP4 10.0.9.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
    )
}

fn request(method: &str, cseq: u32, to_tag: &str, body: &str) -> String {
    format!(
        "{method} sip:bob@example.org SIP/2.0\r\nVia: SIP/2.0/UDP {TRUNK};branch=z9hG4bK{method}{cseq}\r\nMax-Forwards: 70\r\n\
         From: <sip:t@example.org>;tag=t\r\nTo: <sip:bob@example.org>{to_tag}\r\nCall-ID: near\r\nCSeq: {cseq} {method}\r\n\
         Contact: <sip:t@{TRUNK}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn answer_to(world: &mut World, method: &Method) -> Option<Message> {
    let strays = world.take_strays().into_iter().map(|(_, message)| message);
    strays
        .filter(|message| message.status() >= Some(200) && message.method() == method)
        .last()
}

/// CSeq and the numbers of the o-line: set up, re-INVITE, BYE.
#[test]
fn a_call_whose_numbers_are_near_their_end() {
    for last in [(1_u32 << 31) - 1, u32::MAX] {
        let mut world = World::new();
        world.inject(trunk(), request("INVITE", last - 3, "", &sdp(u64::MAX - 1)));
        world.advance(millis(50));
        world.bob().pick_up();
        world.advance(millis(50));
        let ok = answer_to(&mut world, &Method::Invite).expect("an answer");
        assert_eq!(ok.status(), Some(200));
        let tag = format!(";tag={}", ok.to_tag().expect("a tag"));
        world.inject(trunk(), request("ACK", last - 3, &tag, ""));
        world.inject(trunk(), request("INVITE", last - 1, &tag, &sdp(u64::MAX)));
        world.advance(millis(200));
        let again = answer_to(&mut world, &Method::Invite).expect("an answer");
        assert_eq!(again.status(), Some(200), "{last}\n{}", world.ladder());
        world.inject(trunk(), request("ACK", last - 1, &tag, ""));
        world.inject(trunk(), request("BYE", last, &tag, ""));
        world.advance(millis(200));
        assert_eq!(
            answer_to(&mut world, &Method::Bye).and_then(|ok| ok.status()),
            Some(200),
            "{last}"
        );
        world.advance(millis(40_000));
        world.assert_nothing_left();
    }
}

/// RFC 3262 §3: numbers go up by one; a party that goes beyond 2^32 - 1 begins at 0 or is not followed, and the call lives.
#[test]
fn reliable_numbers_of_a_party_near_their_end() {
    let mut world = World::with(|settings| {
        settings.routes = vec![Route {
            pattern: regex::Regex::new("^00").expect("a pattern"),
            address: trunk(),
            transport: warmline::transport::Transport::Udp,
            host: "trunk.example.org".into(),
            users: Vec::new(),
        }];
    });
    world.tolerate("");
    let call = world.alice().call_uri("sip:0049@example.org");
    world.advance(millis(50));
    let invite = world
        .take_strays()
        .into_iter()
        .map(|(_, message)| message)
        .find(|message| *message.method() == Method::Invite);
    let invite = invite.expect("an INVITE");
    let mut racks = Vec::new();
    for number in [u32::MAX - 1, u32::MAX, 0, 1] {
        let ringing = invite
            .respond(183)
            .to_tag("far")
            .header(HeaderName::Contact, format!("<sip:t@{TRUNK}>"))
            .header(HeaderName::Require, "100rel")
            .header(HeaderName::RSeq, number);
        world.inject(trunk(), ringing.print());
        world.advance(millis(50));
        let sent = world.take_strays().into_iter().map(|(_, message)| message);
        for prack in sent.filter(|message| message.is_request() && *message.method() == Method::Prack) {
            racks.extend(
                prack
                    .text(HeaderName::RAck)
                    .map(|rack| rack.split(' ').next().unwrap_or_default().to_owned()),
            );
            world.inject(trunk(), prack.respond(200).print());
        }
    }
    racks.dedup();
    assert_eq!(racks, ["4294967294", "4294967295", "0", "1"]);
    world.alice().cancel(call);
    world.advance(millis(300));
    assert!(world.phone(BOB).live().is_empty() && world.phone(ALICE).calls().count() == 1);
}
