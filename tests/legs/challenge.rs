//! Challenges to the edge's own requests: answered for the configured trunk and realm, for nobody else (LESSONS 19, 37).

use warmline::engine::{Network, Peer, PeerAuth, PeerCredentials, TransferMode};
use warmline::phone::PhoneCall;
use warmline::sip::{Credentials, HeaderName, Message, Method};

use crate::trunk::{self, NUMBER, TRUNK, answer, requests, sdp};
use crate::world::{ALICE, World, millis};

const CHALLENGE: &str = "Digest realm=\"carrier.example\", nonce=\"n1\", algorithm=SHA-256, qop=\"auth\"";

fn peer(keeps_call_id: bool, credentials: bool) -> Peer {
    Peer {
        refer_answer: warmline::engine::ReferAnswer::default(),
        name: "carrier".to_owned(),
        networks: vec![Network {
            address: TRUNK.ip(),
            prefix: 32,
        }],
        auth: PeerAuth::None,
        transfer: TransferMode::Native,
        credentials: credentials.then(|| PeerCredentials {
            user: "edge".to_owned(),
            password: "hush".to_owned(),
            realm: "carrier.example".to_owned(),
        }),
        keeps_call_id,
        media: Default::default(),
    }
}

fn talking(keeps_call_id: bool, credentials: bool) -> (World, PhoneCall, Message) {
    let mut world = World::with(|settings| {
        trunk::route(settings);
        settings.peers.push(peer(keeps_call_id, credentials));
    });
    let call = world.alice().call_uri(NUMBER);
    world.advance(millis(5));
    let invite = requests(&mut world, &Method::Invite).pop().expect("the INVITE");
    answer(&mut world, &invite, 200, "a", &[], Some(sdp(7_000)));
    (world, call, invite)
}

/// Challenges the next request of this kind; what comes then.
fn challenged(world: &mut World, method: &Method, status: u16, challenge: &str) -> (Message, Option<Message>) {
    let first = requests(world, method).pop().expect("the request");
    let name = if status == 407 {
        "Proxy-Authenticate"
    } else {
        "WWW-Authenticate"
    };
    answer(world, &first, status, "a", &[(name, challenge)], None);
    let second = requests(world, method)
        .pop()
        .filter(|second| second.branch() != first.branch());
    (first, second)
}

#[test]
fn a_challenged_reinvite_and_bye_go_again_with_the_answer() {
    for (status, header) in [(401, HeaderName::Authorization), (407, HeaderName::ProxyAuthorization)] {
        let (mut world, call, _) = talking(false, true);
        world.alice().hold(call);
        world.advance(millis(5));
        let (first, second) = challenged(&mut world, &Method::Invite, status, CHALLENGE);
        let second = second.expect("the re-INVITE again");
        assert_eq!((second.cseq(), second.body()), (first.cseq() + 1, first.body()));
        let value = second.text(header).expect("credentials");
        assert!(
            value.contains("username=\"edge\"") && value.contains("realm=\"carrier.example\""),
            "{value}"
        );
        assert!(Credentials::parse(value).is_ok() && !value.contains("hush"));
        let held = sdp(7_000).replace("sendrecv", "recvonly");
        answer(&mut world, &second, 200, "a", &[], Some(held));
        assert!(world.phone(ALICE).is_holding(call));
        world.alice().bye(call);
        world.advance(millis(5));
        let (_, again) = challenged(&mut world, &Method::Bye, status, CHALLENGE);
        let again = again.expect("the BYE again");
        assert!(again.header(header).is_some());
        answer(&mut world, &again, 200, "a", &[], None);
        world.assert_nothing_left();
    }
}

/// LESSONS 37: another realm, a peer without credentials, a second challenge: nothing is said.
#[test]
fn nobody_else_is_answered() {
    let other = CHALLENGE.replace("carrier.example", "evil.example");
    for (credentials, challenge) in [(true, other.as_str()), (false, CHALLENGE)] {
        let (mut world, call, _) = talking(false, credentials);
        world.alice().bye(call);
        world.advance(millis(5));
        let (_, again) = challenged(&mut world, &Method::Bye, 407, challenge);
        assert!(again.is_none(), "{challenge}");
        world.assert_nothing_left();
    }
    let (mut world, call, _) = talking(false, true);
    world.alice().bye(call);
    world.advance(millis(5));
    let (_, again) = challenged(&mut world, &Method::Bye, 401, CHALLENGE);
    let again = again.expect("once");
    answer(&mut world, &again, 401, "a", &[("WWW-Authenticate", CHALLENGE)], None);
    assert!(
        requests(&mut world, &Method::Bye).is_empty(),
        "the credentials are wrong: not a third time"
    );
    world.assert_nothing_left();
}

/// A phone that challenges the edge gets no credentials, whatever realm it names.
#[test]
fn a_phone_that_challenges_learns_nothing() {
    let (mut world, call, _) = talking(false, true);
    let bye = requests(&mut world, &Method::Bye);
    assert!(bye.is_empty());
    world
        .alice()
        .script()
        .reinvites
        .push_back(warmline::phone::ReinviteAnswer::Status(407));
    let leg = world.leg_of(ALICE).id;
    world.command(warmline::engine::Command::Hold {
        leg,
        direction: warmline::engine::HoldDirection::SendOnly,
        music: None,
    });
    world.advance(millis(20));
    let sent = world.phone(ALICE).requests(&Method::Invite);
    assert!(
        sent.iter()
            .all(|invite| invite.header(HeaderName::ProxyAuthorization).is_none())
    );
    assert!(world.phone(ALICE).live().contains(&call));
}

/// Hidden, unless the peer's profile keeps it.
#[test]
fn the_call_id_is_hidden_unless_the_peer_keeps_it() {
    for keeps in [false, true] {
        let (world, call, invite) = talking(keeps, false);
        assert_eq!(world.phone(ALICE).call_id(call) == Some(invite.call_id()), keeps);
    }
}

/// What the inside says of itself stays inside: no address, no Via, no Record-Route, no tag or Call-ID of a phone.
#[test]
fn the_trunk_learns_nothing_of_the_inside() {
    let (mut world, call, invite) = talking(false, false);
    let tag = world.phone(ALICE).requests(&Method::Ack).len();
    assert_eq!(tag, 0);
    let call_id = world.phone(ALICE).call_id(call).expect("a call").to_owned();
    world.alice().hold(call);
    world.advance(millis(5));
    let reinvite = requests(&mut world, &Method::Invite).pop().expect("the re-INVITE");
    let held = sdp(7_000).replace("sendrecv", "recvonly");
    answer(&mut world, &reinvite, 200, "a", &[], Some(held));
    world.alice().bye(call);
    world.advance(millis(5));
    let mut messages = trunk::arrived(&mut world);
    assert!(messages.iter().any(|message| *message.method() == Method::Bye));
    messages.extend([invite, reinvite]);
    for message in &messages {
        let text = String::from_utf8_lossy(message.bytes()).into_owned();
        let head = text.split("\r\n\r\n").next().unwrap_or_default();
        assert!(!head.contains("10.0.0.11"), "alice's address in {head}");
        assert!(!head.contains(&call_id), "alice's Call-ID in {head}");
        assert_eq!(message.values(HeaderName::Via).count(), 1, "{head}");
        assert_eq!(message.header(HeaderName::RecordRoute), None, "{head}");
        let origin = text.lines().find(|line| line.starts_with("o="));
        assert!(origin.is_none_or(|origin| origin.starts_with("o=- ")), "{origin:?}");
    }
}
