//! An end through offers and answers with parties of every kind.

use super::*;
use crate::media::{Codec, DtlsRole, Endpoint, Hear, Security, SrtpProfile};
use crate::sdp::Direction;

const LEG: LegHandle = LegHandle { slot: 1, generation: 0 };
const PEER: LegHandle = LegHandle { slot: 2, generation: 0 };

const PHONE: &str = "v=0\r\no=q 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8 0 101\r\n\
    a=rtpmap:101 telephone-event/8000\r\n";
const GCM: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGw==";
const COUNTER: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd";

fn description(text: &str) -> Description {
    Description::parse(text.to_owned().into()).unwrap()
}

/// An offer or answer of RTP/SAVP with these key lines.
fn keyed(lines: &[(u8, &str, &str)]) -> Description {
    let keys: String = lines
        .iter()
        .map(|(tag, suite, key)| format!("a=crypto:{tag} {suite} inline:{key}\r\n"))
        .collect();
    description(&(PHONE.replace("RTP/AVP", "RTP/SAVP") + &keys))
}

fn browser(setup: &str, more: &str) -> Description {
    let print = vec!["AB"; 32].join(":");
    description(&format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE a v\r\na=fingerprint:sha-256 {print}\r\n\
         m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:v\r\na=rtpmap:96 VP8/90000\r\na=ice-ufrag:abcd\r\n\
         m=audio 9 UDP/TLS/RTP/SAVPF 111 0 126\r\nc=IN IP4 0.0.0.0\r\na=mid:a\r\na=rtpmap:111 opus/48000/2\r\n\
         a=rtpmap:126 telephone-event/8000\r\na=rtcp-mux\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n\
         a=setup:{setup}\r\na=sendrecv\r\n{more}"
    ))
}

struct Bench {
    endpoints: Endpoints,
    end: OurEnd,
    version: u64,
}

impl Bench {
    fn new(kind: Kind) -> Bench {
        let mut endpoints = Endpoints::new(MediaSettings::default());
        let end = endpoints
            .open(LEG, kind, "198.51.100.1".parse().unwrap(), None)
            .unwrap();
        Bench {
            endpoints,
            end,
            version: 1,
        }
    }

    fn describe(&mut self, other: &str, direction: Direction, is_answer: bool) -> Result<String, Unusable> {
        let choice = Choice {
            settings: &self.endpoints.settings,
            direction,
            hear: Hear::Leg(PEER),
            origin: (7, self.version),
            first: true,
        };
        let (text, version) = self.end.describe(&description(other), choice, is_answer)?;
        self.version = version;
        self.end.tell(&mut self.endpoints.commands);
        Ok(String::from_utf8(text.to_vec()).unwrap())
    }

    fn endpoint(&mut self) -> Endpoint {
        self.end.tell(&mut self.endpoints.commands);
        let endpoints = self.endpoints.commands.iter().rev();
        let mut endpoints = endpoints.filter_map(|command| match command {
            MediaCommand::Endpoint { endpoint, .. } => Some((**endpoint).clone()),
            MediaCommand::Hear { .. }
            | MediaCommand::Digits { .. }
            | MediaCommand::Record { .. }
            | MediaCommand::StopRecording { .. }
            | MediaCommand::Mix { .. }
            | MediaCommand::Announce { .. }
            | MediaCommand::StopAnnouncing { .. }
            | MediaCommand::RecordHub { .. }
            | MediaCommand::StopRecordingHub { .. }
            | MediaCommand::Close { .. } => None,
        });
        endpoints.next().unwrap()
    }
}

#[test]
fn keys_are_chosen_from_an_offer_and_stay_in_the_next_one() {
    let mut bench = Bench::new(Kind::Keys);
    let offer = keyed(&[
        (1, "F8_128_HMAC_SHA1_80", COUNTER),
        (7, "AES_CM_128_HMAC_SHA1_80", COUNTER),
        (9, "AEAD_AES_128_GCM", GCM),
    ]);
    bench.end.take(&offer, true).unwrap();
    let answer = bench.describe(PHONE, Direction::SendRecv, true).unwrap();
    assert!(answer.contains("m=audio 20000 RTP/SAVP 8 0 101\r\n"), "{answer}");
    assert!(
        answer.contains("\r\na=crypto:7 AES_CM_128_HMAC_SHA1_80 inline:") && answer.matches("a=crypto").count() == 1
    );
    let Security::Sdes {
        ours,
        theirs: Some(theirs),
    } = bench.endpoint().security
    else {
        panic!("no keys")
    };
    assert_eq!(
        (ours.profile, theirs.profile),
        (SrtpProfile::AesCm128HmacSha1_80, SrtpProfile::AesCm128HmacSha1_80)
    );
    assert_ne!(ours, theirs);
    // Its next offer has the better one first; what runs goes on.
    let again = keyed(&[(1, "AEAD_AES_128_GCM", GCM), (2, "AES_CM_128_HMAC_SHA1_80", COUNTER)]);
    bench.end.take(&again, true).unwrap();
    let again = bench.describe(PHONE, Direction::SendRecv, true).unwrap();
    assert!(again.contains("a=crypto:2 AES_CM"), "{again}");
    // So has ours, behind what runs.
    let ours_again = bench.describe(PHONE, Direction::SendRecv, false).unwrap();
    let place = |suite| ours_again.find(suite).unwrap();
    assert!(
        place(" AES_CM_128_HMAC_SHA1_80 ") < place(" AEAD_AES_128_GCM "),
        "{ours_again}"
    );
    bench.end.refused();
    assert!(matches!(bench.endpoint().security, Security::Sdes { ours: same, .. } if same == ours));
}

#[test]
fn keys_that_we_offer_are_those_of_the_line_that_the_answer_names() {
    let mut bench = Bench::new(Kind::Keys);
    let offer = bench.describe(PHONE, Direction::SendRecv, false).unwrap();
    assert!(offer.contains("a=crypto:1 AEAD_AES_128_GCM ") && offer.contains("a=crypto:2 AES_CM_128_HMAC_SHA1_80 "));
    bench
        .end
        .take(&keyed(&[(2, "AES_CM_128_HMAC_SHA1_80", COUNTER)]), false)
        .unwrap();
    let Security::Sdes { ours, .. } = bench.endpoint().security else {
        panic!("no keys")
    };
    assert!(offer.contains(&super::secrets::inline(&ours)));
    assert_eq!(ours.profile, SrtpProfile::AesCm128HmacSha1_80);
    // A line that we never offered is no answer.
    let mut bench = Bench::new(Kind::Keys);
    bench.describe(PHONE, Direction::SendRecv, false).unwrap();
    assert_eq!(
        bench
            .end
            .take(&keyed(&[(3, "AES_CM_128_HMAC_SHA1_80", COUNTER)]), false),
        Err(Unusable::Key)
    );
}

#[test]
fn protection_is_never_given_up() {
    let mut bench = Bench::new(Kind::Keys);
    bench.end.take(&keyed(&[(1, "AEAD_AES_128_GCM", GCM)]), true).unwrap();
    assert_eq!(bench.end.take(&description(PHONE), true), Err(Unusable::Changed));
    let mut bench = Bench::new(Kind::Browser);
    bench.end.take(&browser("actpass", ""), true).unwrap();
    assert_eq!(
        bench.end.take(&keyed(&[(1, "AEAD_AES_128_GCM", GCM)]), true),
        Err(Unusable::Changed)
    );
}

#[test]
fn bad_keys_fingerprints_and_candidates_are_refused_by_name() {
    let long = "A".repeat(4_000);
    for (text, why, status) in [
        (keyed(&[(1, "AEAD_AES_128_GCM", COUNTER)]), Unusable::Key, 488),
        (keyed(&[(1, "AEAD_AES_128_GCM", &long)]), Unusable::Key, 488),
        (
            keyed(&[(1, "AEAD_AES_128_GCM", &format!("{GCM}|2^20|1:4"))]),
            Unusable::Key,
            488,
        ),
        (keyed(&[]), Unusable::Key, 488),
        (browser("holdconn", ""), Unusable::Line("setup"), 400),
        (
            browser("actpass", "a=candidate:1 3 udp 1 192.0.2.1 9 typ host\r\n"),
            Unusable::Line("candidate"),
            400,
        ),
        (browser("actpass", "a=ice-pwd:short\r\n"), Unusable::Ice, 488),
        (browser("actpass", "a=fingerprint:sha-1 AB:CD\r\n"), Unusable::Hash, 488),
        (
            browser("actpass", "a=fingerprint:sha-256 AB:CD\r\n"),
            Unusable::Line("fingerprint"),
            400,
        ),
        (
            description(&PHONE.replace("RTP/AVP", "UDP/TLS/RTP/SAVP")),
            Unusable::Fingerprint,
            488,
        ),
        (
            description(&PHONE.replace("RTP/AVP", "TCP/MSRP")),
            Unusable::Line("transport protocol"),
            400,
        ),
        (
            description(&PHONE.replace("m=audio", "m=video")),
            Unusable::NoAudio,
            488,
        ),
        (description(&PHONE.replace("4000", "0")), Unusable::NoAudio, 488),
        (
            description(&PHONE.replace("8 0", &(1..90).map(|n| n.to_string()).collect::<Vec<_>>().join(" "))),
            Unusable::TooManyFormats,
            488,
        ),
    ] {
        let refused = check(&text).unwrap_err();
        assert_eq!((refused.status(), refused), (status, why));
    }
    assert_eq!(
        check(&browser("actpass", "a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n")),
        Ok(())
    );
}

#[test]
fn a_browser_is_answered_line_by_line_and_keeps_its_shape() {
    let mut bench = Bench::new(Kind::Browser);
    bench.end.take(&browser("actpass", ""), true).unwrap();
    let answer = bench.describe(PHONE, Direction::SendRecv, true).unwrap();
    let shape: Vec<_> = answer
        .lines()
        .filter(|line| line.starts_with("m=") || line.starts_with("a=mid"))
        .collect();
    assert_eq!(
        shape,
        [
            "m=video 0 UDP/TLS/RTP/SAVPF 96",
            "a=mid:v",
            "m=audio 19990 UDP/TLS/RTP/SAVPF 0 126",
            "a=mid:a"
        ]
    );
    assert!(
        answer.contains("\r\na=group:BUNDLE a\r\n") && answer.contains("\r\na=setup:passive\r\n"),
        "{answer}"
    );
    let endpoint = bench.endpoint();
    assert!(
        matches!(&endpoint.security, Security::Dtls { ice: Some(ice), role: Some(DtlsRole::Passive), .. } if ice.remote_ufrag == "abcd")
    );
    assert_eq!((endpoint.remote, endpoint.send[0].codec.clone()), (None, Codec::Pcmu));
    // Another phone joins: the same shape, one version on, and nothing of ours has changed.
    let offer = bench
        .describe(&PHONE.replace(" 8 0", " 18"), Direction::SendRecv, false)
        .unwrap();
    let again: Vec<_> = offer
        .lines()
        .filter(|line| {
            line.starts_with("a=mid")
                || line.starts_with("a=msid")
                || line.starts_with("a=ssrc")
                || line.starts_with("a=ice-")
        })
        .collect();
    assert!(again.iter().all(|line| answer.contains(*line)), "{again:?}");
    assert!(offer.starts_with("v=0\r\no=- 7 2 "), "{offer}");
    assert!(offer.contains("\r\na=setup:actpass\r\n"));
    // It restarts ICE: so do we.
    let restarted = browser("actpass", "").bytes().to_vec();
    let restarted = String::from_utf8(restarted).unwrap().replace("abcd", "efgh");
    bench.end.take(&description(&restarted), true).unwrap();
    let answer = bench.describe(PHONE, Direction::SendRecv, true).unwrap();
    let ufrag = again.iter().find(|line| line.starts_with("a=ice-ufrag")).unwrap();
    assert!(!answer.contains(*ufrag), "{answer}");
}

#[test]
fn the_version_counts_changes_and_nothing_else() {
    let mut bench = Bench::new(Kind::Plain);
    let first = bench.describe(PHONE, Direction::SendRecv, false).unwrap();
    assert_eq!(bench.describe(PHONE, Direction::SendRecv, false).unwrap(), first);
    let held = bench.describe(PHONE, Direction::SendOnly, false).unwrap();
    assert!(first.starts_with("v=0\r\no=- 7 1 ") && held.starts_with("v=0\r\no=- 7 2 "));
}

#[test]
fn what_is_offered_holds_when_it_is_answered_and_never_when_it_is_refused() {
    let mut bench = Bench::new(Kind::Plain);
    bench.describe(PHONE, Direction::SendRecv, false).unwrap();
    assert!(bench.endpoint().send.is_empty());
    bench
        .end
        .take(&description(&PHONE.replace("192.0.2.9", "192.0.2.7")), false)
        .unwrap();
    let endpoint = bench.endpoint();
    assert_eq!(
        (endpoint.direction, endpoint.remote),
        (
            Direction::SendRecv,
            Some("192.0.2.7:4000".parse::<std::net::SocketAddr>().unwrap())
        )
    );
    bench.describe(PHONE, Direction::SendOnly, false).unwrap();
    assert_eq!(bench.endpoint().direction, Direction::SendRecv);
    bench.end.refused();
    assert_eq!(bench.endpoint().direction, Direction::SendRecv);
    bench.describe(PHONE, Direction::SendOnly, false).unwrap();
    bench
        .end
        .take(&description(&(PHONE.to_owned() + "a=recvonly\r\n")), false)
        .unwrap();
    assert_eq!(bench.endpoint().direction, Direction::SendOnly);
    // `c=0.0.0.0` and port 0.
    bench
        .end
        .take(
            &description(&PHONE.replace("c=IN IP4 192.0.2.9", "c=IN IP4 0.0.0.0")),
            true,
        )
        .unwrap();
    bench.describe(PHONE, Direction::SendRecv, true).unwrap();
    assert_eq!(
        (bench.endpoint().direction, bench.endpoint().remote),
        (Direction::Inactive, None)
    );
    bench.end.take(&description(&PHONE.replace("4000", "0")), true).unwrap();
    let refused = bench.describe(PHONE, Direction::SendRecv, true).unwrap();
    assert!(refused.contains("m=audio 0 RTP/AVP"), "{refused}");
}

#[test]
fn without_a_codec_in_common_there_is_no_answer() {
    let mut bench = Bench::new(Kind::Plain);
    bench
        .end
        .take(&description(&PHONE.replace(" 8 0 101", " 18")), true)
        .unwrap();
    assert_eq!(bench.describe(PHONE, Direction::SendRecv, true), Err(Unusable::NoCodec));
}
