use super::*;
use std::time::Duration;

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 20004 RTP/AVP 0\r\na=sendonly\r\n";

fn message(start: &str, more: &str, body: &str) -> Bytes {
    let length = body.len();
    let (kind, cseq) = if body.is_empty() {
        ("", start)
    } else {
        ("Content-Type: application/sdp\r\n", start)
    };
    let method = more.split(' ').next().unwrap_or_default();
    let rest = more.split_once(' ').map_or("", |(_, rest)| rest);
    let text = format!(
        "{cseq}\r\nVia: SIP/2.0/UDP 127.0.0.1:6001;branch=z9hG4bKa\r\nMax-Forwards: 70\r\nFrom: <sip:a@x>;tag=1\r\n\
         To: <sip:b@x>\r\nCall-ID: c\r\nCSeq: 1 {method}\r\n{rest}{kind}Content-Length: {length}\r\n\r\n{body}"
    );
    text.into()
}

fn ladder() -> Ladder {
    let at = |port: u16| Some(SocketAddr::from(([127, 0, 0, 1], port)));
    let ladder = Ladder::new(Style {
        colour: false,
        unicode: true,
    });
    ladder
        .column("customer", at(6001))
        .column("edge", None)
        .column("operator", at(6002))
        .column("consult", at(6003))
}

#[expect(clippy::disallowed_methods, reason = "a test's base")]
fn base() -> Instant {
    Instant::now()
}

fn at(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

#[test]
fn messages_are_arrows_between_the_columns() {
    let (mut ladder, now) = (ladder(), base());
    let mut drawn = vec![ladder.head()];
    let invite = message("INVITE sip:operator@x SIP/2.0", "INVITE ", SDP);
    drawn.push(ladder.message(now, Way::In, at(6001), &invite));
    drawn.push(ladder.message(now + Duration::from_millis(12), Way::Out, at(6002), &invite));
    drawn.push(ladder.message(now + Duration::from_millis(512), Way::Out, at(6002), &invite));
    let ringing = message("SIP/2.0 180 Ringing", "INVITE ", "");
    drawn.push(ladder.message(now + Duration::from_secs(1), Way::In, at(6003), &ringing));
    let refused = message("SIP/2.0 481 Call/Transaction Does Not Exist", "BYE ", "");
    drawn.push(ladder.message(now + Duration::from_secs(61), Way::Out, at(6001), &refused));
    let expect = "        customer                edge                operator               consult
  0.000     │── INVITE operator ─▶│                     │                     │  SDP sendonly :20004
  0.012     │                     │── INVITE operator ─▶│                     │  SDP sendonly :20004
  0.512     │                     │── INVITE operator ─▶│                     │  repeated: SDP sendonly :20004
  1.000     │                     │◀────────────────────┼──── 180 Ringing ────│
 61.000     │◀──── 481 (BYE) ─────│                     │                     │";
    assert_eq!(drawn.join("\n"), expect, "\n{}", drawn.join("\n"));
}

#[test]
fn a_line_fits_whatever_the_message_says() {
    let (mut ladder, now) = (ladder(), base());
    let long = "x".repeat(300);
    let refer = format!("REFER Refer-To: <sip:{long}@x?Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc>\r\n");
    let drawn = ladder.message(
        now,
        Way::In,
        at(6003),
        &message("REFER sip:operator@x SIP/2.0", &refer, SDP),
    );
    assert!(drawn.chars().count() <= WIDTH, "{drawn}");
    assert!(drawn.contains("Refer-To xxx"), "{drawn}");
    assert!(ladder.heading("Three phones register").chars().count() <= WIDTH);
}

#[test]
fn strangers_and_noise_have_their_line_too() {
    let (mut ladder, now) = (ladder(), base());
    let bye = message("BYE sip:b@x SIP/2.0", "BYE ", "");
    assert!(
        ladder
            .message(now, Way::In, at(9), &bye)
            .ends_with("BYE b from 127.0.0.1:9")
    );
    assert!(
        ladder
            .message(now, Way::In, at(6001), &Bytes::from_static(b"hello"))
            .contains("5 octets")
    );
}

#[test]
fn ascii_and_colour_are_a_choice() {
    let style = Style {
        colour: true,
        unicode: false,
    };
    let mut ladder = Ladder::new(style).column("a", Some(at(1))).column("edge", None);
    let drawn = ladder.message(base(), Way::In, at(1), &message("BYE sip:b@x SIP/2.0", "BYE ", ""));
    assert!(drawn.is_ascii() && drawn.contains("\u{1b}[33m"), "{drawn:?}");
}
