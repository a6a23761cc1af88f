//! What the configuration wants of media: ports, protection, silence, DTMF; and what a stranger's description may not do.

mod world;

use warmline::engine::{Cause, Command, Event, MediaNote, Network, Peer, PeerAuth, PeerMedia, Refusal, Settings};
use warmline::media::describe::{Mode, Record, Srtp};
use warmline::media::{LegQuality, LocalPort, MediaCommand, MediaEvent, MediaFailure};
use warmline::phone::{CallState, PhoneTransport};
use warmline::sip::Method;
use world::{ALICE, BOB, CAROL, DAVE, Fate, Who, World, millis};

fn relay(change: impl FnOnce(&mut Settings)) -> World {
    World::with(|settings| {
        settings.media.mode = Mode::Relay;
        change(settings);
    })
}

fn peer(who: Who, media: PeerMedia) -> Peer {
    Peer {
        name: who.user().to_owned(),
        networks: vec![Network {
            address: who.address().ip(),
            prefix: 32,
        }],
        auth: PeerAuth::Digest,
        transfer: warmline::engine::TransferMode::Native,
        refer_answer: warmline::engine::ReferAnswer::default(),
        credentials: None,
        keeps_call_id: false,
        media,
    }
}

#[test]
fn an_empty_pool_is_503_and_an_alarm_and_nothing_is_lost() {
    let mut world = relay(|settings| settings.media.ports = (20_000, 20_005));
    world.call(BOB, ALICE);
    let call = world.carol().call(DAVE);
    world.run();
    assert!(matches!(world.phone(CAROL).state(call), Some(CallState::Ended(_))));
    assert!(
        world.lines(CAROL).iter().any(|line| line.starts_with("< 503")),
        "{:?}",
        world.lines(CAROL)
    );
    assert!(
        world
            .events()
            .any(|event| matches!(event, Event::Media(MediaNote::NoPort { taken: 3, .. })))
    );
    // The same in a transfer: nobody loses anybody.
    let mine = world.the(ALICE);
    world.alice().refer(mine, CAROL);
    world.advance(millis(300));
    world.carol().pick_up();
    world.run();
    assert!(world.relayed(BOB, CAROL), "the third port was free again");
    world.hang_up(BOB);
    world.call(CAROL, DAVE);
    world.hang_up(CAROL);
    world.assert_nothing_left();
}

#[test]
fn a_transfer_without_a_port_fails_and_the_call_goes_on() {
    let mut world = relay(|settings| settings.media.ports = (20_000, 20_003));
    let (_, mine) = world.call(BOB, ALICE);
    world.alice().refer(mine, CAROL);
    world.run();
    assert_eq!(world.reported(ALICE).last(), Some(&503));
    assert!(world.relayed(ALICE, BOB));
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn a_port_that_another_program_has_is_changed_in_the_running_call() {
    let mut world = relay(|_| {});
    world.call(BOB, ALICE);
    let bob = world.leg_of(BOB).id;
    let Some(LocalPort::Own(port)) = world.end(bob).map(|end| end.local) else {
        panic!("a port")
    };
    world.tell(MediaEvent::Failed {
        leg: bob,
        why: MediaFailure::Port { port },
    });
    world.run();
    let end = world.end(bob).unwrap();
    assert_ne!(end.local, LocalPort::Own(port));
    let LocalPort::Own(new) = end.local else {
        panic!("a port")
    };
    assert!(
        world.told(BOB).contains(&format!("m=audio {new} ")),
        "{}",
        world.told(BOB)
    );
    assert!(world.relayed(ALICE, BOB));
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn one_peer_is_relayed_and_all_others_talk_directly() {
    let media = PeerMedia {
        mode: Mode::Relay,
        ..PeerMedia::default()
    };
    let mut world = World::with(|settings| settings.peers.push(peer(CAROL, media)));
    world.call(BOB, CAROL);
    assert!(world.relayed(BOB, CAROL));
    world.hang_up(BOB);
    world.call(BOB, ALICE);
    assert!(world.connected(BOB, ALICE));
    assert_eq!(world.ends(), []);
    // Away from the relayed peer, the customer's media goes directly again.
    let mine = world.the(ALICE);
    world.alice().refer(mine, CAROL);
    world.advance(millis(500));
    world.carol().pick_up();
    world.run();
    assert!(world.relayed(BOB, CAROL));
    let hers = world.the(CAROL);
    world.carol().refer(hers, DAVE);
    world.advance(millis(500));
    world.dave().pick_up();
    world.run();
    assert!(world.connected(BOB, DAVE));
    assert_eq!(world.ends(), []);
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn calls_are_recorded_by_policy_once_and_through_a_transfer() {
    for (by_peer, all) in [(false, true), (true, false)] {
        let mut world = World::with(|settings| {
            settings.recordings = true;
            if all {
                settings.media.record = Record::Callers;
            }
            if by_peer {
                let record = Record::Always;
                let media = PeerMedia {
                    record,
                    ..PeerMedia::default()
                };
                settings.peers.push(peer(BOB, media));
            }
        });
        let (_, mine) = world.call(BOB, ALICE);
        assert!(world.relayed(ALICE, BOB));
        let bob = world.leg_of(BOB).id;
        world.alice().refer(mine, CAROL);
        world.advance(millis(500));
        world.carol().pick_up();
        world.run();
        assert!(world.relayed(BOB, CAROL));
        let recorded: Vec<_> = world
            .media()
            .iter()
            .filter_map(|command| {
                let MediaCommand::Record { leg, .. } = command else {
                    return None;
                };
                Some(*leg)
            })
            .collect();
        assert_eq!(recorded, [bob]);
        world.hang_up(BOB);
        // Nobody else's calls are a peer's; a caller is anybody.
        world.call(CAROL, DAVE);
        assert_eq!(world.relayed(CAROL, DAVE), all);
        world.hang_up(CAROL);
        world.assert_nothing_left();
    }
}

#[test]
fn srtp_that_is_preferred_gives_way_and_srtp_that_is_required_does_not() {
    for srtp in [Srtp::Preferred, Srtp::Required] {
        let media = PeerMedia {
            srtp,
            ..PeerMedia::default()
        };
        let mut world = World::with(|settings| settings.peers.push(peer(CAROL, media)));
        let call = world.bob().call(CAROL);
        world.advance(millis(300));
        let rings = world.phone(CAROL).live().len() == 1;
        assert_eq!(rings, srtp == Srtp::Preferred);
        if rings {
            world.carol().pick_up();
            world.run();
            assert!(world.connected(BOB, CAROL), "two plain phones after all");
            assert_eq!(world.ends(), []);
            world.hang_up(BOB);
        } else {
            assert!(matches!(world.phone(BOB).state(call), Some(CallState::Ended(_))));
            let call = world.carol().call(BOB);
            world.run();
            assert!(matches!(world.phone(CAROL).state(call), Some(CallState::Ended(_))));
            assert!(world.lines(CAROL).iter().any(|line| line.starts_with("< 488")));
        }
        world.run();
        world.assert_nothing_left();
    }
}

#[test]
fn a_phone_on_a_websocket_that_is_no_browser_is_offered_what_it_speaks() {
    let mut world = World::unregistered(
        |_| {},
        |who| match who {
            Who::Carol => PhoneTransport::Ws,
            Who::Alice | Who::Bob | Who::Dave => PhoneTransport::Udp,
        },
    );
    world.register_everybody();
    world.call(BOB, CAROL);
    assert!(world.connected(BOB, CAROL));
    assert_eq!(world.ends(), []);
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn a_silent_party_is_hung_up_only_where_the_site_wants_it() {
    for (limit, ends) in [(0, false), (30, true)] {
        let mut world = relay(|settings| settings.media.timeout_s = limit);
        world.call(BOB, ALICE);
        let bob = world.leg_of(BOB).id;
        world.tell(MediaEvent::Silent { leg: bob, seconds: 29 });
        assert!(world.relayed(ALICE, BOB));
        world.tell(MediaEvent::Silent { leg: bob, seconds: 30 });
        world.run();
        assert_eq!(world.phone(ALICE).live().is_empty(), ends);
        if ends {
            assert_eq!(world.ends_of_calls(), [Cause::Lost]);
        } else {
            world.hang_up(BOB);
        }
        world.assert_nothing_left();
    }
}

#[test]
fn a_caller_who_hears_ringing_is_silent_by_right() {
    let mut world = relay(|settings| settings.media.timeout_s = 30);
    let call = world.bob().call(ALICE);
    world.advance(millis(200));
    let bob = world.leg_of(BOB).id;
    world.tell(MediaEvent::Silent { leg: bob, seconds: 40 });
    world.advance(millis(200));
    assert_eq!(world.phone(BOB).state(call), Some(CallState::Early));
    world.alice().pick_up();
    world.run();
    assert!(world.relayed(ALICE, BOB));
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn digits_are_played_to_a_party_and_an_info_becomes_digits() {
    let mut world = relay(|_| {});
    let (his, _) = world.call(BOB, ALICE);
    let (alice, bob) = (world.leg_of(ALICE).id, world.leg_of(BOB).id);
    world.command(Command::Digits {
        leg: bob,
        digits: "42#".to_owned(),
    });
    world.bob().request(
        his,
        Method::Info,
        &[],
        Some(("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n")),
    );
    world.run();
    let played: Vec<_> = world
        .media()
        .iter()
        .filter_map(|command| {
            let MediaCommand::Digits { leg, digits } = command else {
                return None;
            };
            Some((*leg, digits.as_str()))
        })
        .collect();
    assert_eq!(played, [(bob, "42#"), (alice, "5")]);
    assert!(!world.lines(ALICE).iter().any(|line| line.starts_with("< INFO")));
    world.hang_up(BOB);
    let mut world = World::new();
    world.call(BOB, ALICE);
    let leg = world.leg_of(BOB).id;
    for (digits, invalid) in [("12", false), ("", true), ("1x", true)] {
        let refused = world.command(Command::Digits {
            leg,
            digits: digits.to_owned(),
        });
        match world.reply(refused) {
            Some(Err(Refusal::Invalid { field: "digits", .. })) => assert!(invalid),
            Some(Err(Refusal::Conflict { .. })) => assert!(!invalid),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_the_packet_half_tells_reaches_observers_and_the_legs_view() {
    let mut world = relay(|_| {});
    world.call(BOB, ALICE);
    let leg = world.leg_of(BOB).id;
    world.tell(MediaEvent::Flowing { leg });
    world.tell(MediaEvent::Digit {
        leg,
        digit: '5',
        milliseconds: 120,
    });
    let quality = LegQuality {
        received: 50,
        mos: 4.4,
        ..LegQuality::default()
    };
    world.tell(MediaEvent::Quality { leg, quality });
    let notes: Vec<_> = world
        .events()
        .filter_map(|event| {
            let Event::Media(note) = event else { return None };
            Some(note.name())
        })
        .collect();
    assert_eq!(notes, ["media.flowing", "media.digit"]);
    assert_eq!(world.leg_of(BOB).quality.map(|quality| quality.received), Some(50));
    world.hang_up(BOB);
    world.assert_nothing_left();
}

#[test]
fn a_description_that_the_edge_cannot_answer_is_refused_with_the_reason() {
    let mut world = relay(|_| {});
    let bad = |body: &str| {
        format!(
            "INVITE sip:carol@example.org SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.12:5060;branch=z9hG4bKx{}\r\nMax-Forwards: 70\r\n\
             From: <sip:bob@example.org>;tag=x{0}\r\nTo: <sip:carol@example.org>\r\nCall-ID: x{0}\r\nCSeq: 1 INVITE\r\n\
             Contact: <sip:bob@10.0.0.12:5060>\r\nContent-Type: application/sdp\r\nContent-Length: {1}\r\n\r\n{body}",
            body.len(),
            body.len()
        )
    };
    let session = "v=0\r\no=- 1 1 IN IP4 10.0.1.12\r\ns=-\r\nc=IN IP4 10.0.1.12\r\nt=0 0\r\n";
    let lines_of_media = "m=audio 4000 RTP/AVP 0\r\n".repeat(17);
    let formats: String = (0..65).map(|number| format!(" {number}")).collect();
    let formats = format!("m=audio 4000 RTP/AVP{formats}\r\n");
    let keyed = |key: &str| format!("m=audio 4000 RTP/SAVP 0\r\na=crypto:1 AEAD_AES_128_GCM inline:{key}\r\n");
    let (long, split) = (keyed(&"A".repeat(3_000)), "m=audio 4000 UDP/TLS/RTP/SAVPF 0\r\na=ice-ufrag:abcd\r\n\
         a=ice-pwd:abcdefghijklmnopqrstuv\r\na=setup:actpass\r\na=rtcp-mux\r\na=candidate:1 3 udp 1 192.0.2.1 9 typ host\r\n\
         a=fingerprint:sha-256 ".to_owned() + &["AB"; 32].join(":") + "\r\n");
    for (media, status) in [
        (lines_of_media.as_str(), "400 Bad Session Description: too many m-lines"),
        (formats.as_str(), "488 Too Many Codecs"),
        (long.as_str(), "488 No Usable Crypto Line"),
        (split.as_str(), "400 Bad candidate In Session Description"),
        (
            "m=audio 4000 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 opus/48000/2\r\n",
            "488 Fingerprint Missing",
        ),
        (
            "m=audio 4000 RTP/AVP 96\r\na=rtpmap:96 opus\r\n",
            "400 Bad rtpmap In Session Description",
        ),
        ("m=video 4000 RTP/AVP 31\r\n", "488 No Audio"),
    ] {
        world.tolerate("");
        let (told, heard) = std::sync::mpsc::channel();
        world.network(move |packet| {
            if let (false, Some(status), Some(reason)) =
                (packet.to_edge, packet.message.status(), packet.message.reason_phrase())
            {
                told.send(format!("{status} {}", String::from_utf8_lossy(reason))).ok(); // the test may be over
            }
            Fate::Deliver
        });
        world.bob().send_octets(bad(&(session.to_owned() + media)));
        world.run();
        let answers: Vec<String> = heard.try_iter().collect();
        assert!(
            answers
                .iter()
                .all(|answer| answer == status || answer.starts_with("100 ")),
            "{status}, not {answers:?}"
        );
        assert!(
            answers.iter().any(|answer| answer == status),
            "{status}, not {answers:?}"
        );
    }
    assert_eq!(world.ends(), []);
    assert!(world.phone(CAROL).live().is_empty());
}
