#![expect(clippy::disallowed_methods, reason = "an Instant to count from; nothing waits")]

use super::*;

fn message(length: &str, body: &str) -> String {
    format!(
        "MESSAGE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.9;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
         From: <sip:a@example.com>;tag=1\r\nTo: <sip:bob@example.com>\r\nCall-ID: c1\r\nCSeq: 1 MESSAGE\r\n\
         {length}\r\n{body}"
    )
}

fn whole(body: &str) -> String {
    message(&format!("Content-Length: {}\r\n", body.len()), body)
}

fn drain(framer: &mut StreamFramer) -> Result<Vec<Frame>, FrameError> {
    let mut frames = Vec::new();
    while let Some(frame) = framer.next()? {
        frames.push(frame);
    }
    Ok(frames)
}

fn frames(octets: &[u8]) -> Result<Vec<Frame>, FrameError> {
    let mut framer = StreamFramer::new();
    framer.push(Instant::now(), octets);
    drain(&mut framer)
}

fn msg(text: &str) -> Frame {
    Frame::Message(Bytes::copy_from_slice(text.as_bytes()))
}

#[test]
fn several_messages_in_one_read() {
    let stream = [whole("one"), whole(""), whole("three\r\n\r\n"), whole("4")].concat();
    assert_eq!(
        frames(stream.as_bytes()).unwrap(),
        [
            msg(&whole("one")),
            msg(&whole("")),
            msg(&whole("three\r\n\r\n")),
            msg(&whole("4"))
        ]
    );
}

#[test]
fn chopped_byte_by_byte_it_is_the_same() {
    let stream = ["\r\n\r\n", &whole("one"), &whole("a\r\n\r\nb"), "\r\n\r\n", &whole("")].concat();
    let now = Instant::now();
    for size in 1..7 {
        let mut framer = StreamFramer::new();
        let mut found = Vec::new();
        for piece in stream.as_bytes().chunks(size) {
            framer.push(now, piece);
            found.extend(drain(&mut framer).unwrap());
        }
        // How keepalives are told apart depends on the cut; messages and pings do not.
        found.retain(|frame| *frame != Frame::Pong);
        let expected = [
            Frame::Ping,
            msg(&whole("one")),
            msg(&whole("a\r\n\r\nb")),
            Frame::Ping,
            msg(&whole("")),
        ];
        assert_eq!(found, expected, "in pieces of {size}");
        assert_eq!(framer.pending(), 0);
        assert_eq!(framer.incomplete_since(), None);
    }
}

#[test]
fn octets_that_trickle_are_searched_once() {
    let mut framer = StreamFramer::new();
    let head = whole("");
    let now = Instant::now();
    for (place, octet) in head.bytes().enumerate().take(head.len() - 1) {
        framer.push(now, &[octet]);
        assert_eq!(framer.next(), Ok(None));
        assert!(framer.searched >= place, "searched {} of {place}", framer.searched);
    }
}

#[test]
fn keepalives_of_rfc_5626() {
    assert_eq!(frames(b"\r\n\r\n").unwrap(), [Frame::Ping]);
    assert_eq!(frames(b"\r\n").unwrap(), [Frame::Pong]);
    assert_eq!(frames(b"\r\n\r\n\r\n\r\n").unwrap(), [Frame::Ping, Frame::Ping]);
    // RFC 3261 §7.5: CRLF before the start line is skipped
    assert_eq!(
        frames(format!("\r\n{}", whole("x")).as_bytes()).unwrap(),
        [msg(&whole("x"))]
    );
    assert_eq!(
        frames(format!("\r\n\r\n{}", whole("x")).as_bytes()).unwrap(),
        [Frame::Ping, msg(&whole("x"))]
    );
}

#[test]
fn two_pongs_are_no_ping() {
    let now = Instant::now();
    let mut framer = StreamFramer::new();
    framer.push(now, b"\r\n");
    assert_eq!(drain(&mut framer).unwrap(), [Frame::Pong]);
    framer.push(now + Duration::from_secs(30), b"\r\n");
    assert_eq!(drain(&mut framer).unwrap(), [Frame::Pong]);
    // nor are CRLFs with a message between them
    framer.push(now + Duration::from_secs(30), whole("x").as_bytes());
    framer.push(now + Duration::from_secs(30), b"\r\n");
    assert_eq!(drain(&mut framer).unwrap(), [msg(&whole("x")), Frame::Pong]);
}

#[test]
fn every_way_to_write_the_length() {
    for line in [
        "Content-Length: 4",
        "content-length:4",
        "l: 4",
        "L :  4 ",
        "CONTENT-LENGTH\t:\t4",
        "l:\r\n 4",
        "l: 4\r\n \t",
    ] {
        let text = message(&format!("{line}\r\n"), "body");
        assert_eq!(frames(text.as_bytes()).unwrap(), [msg(&text)], "{line:?}");
    }
    let twice = message("l: 4\r\nContent-Length: 04\r\n", "body");
    assert_eq!(
        frames(twice.as_bytes()).unwrap(),
        [msg(&twice)],
        "the same length twice is one length"
    );
    let decoy = message(
        "X-Content-Length: 1\r\nSubject: l: 2\r\nX: a\r\n Content-Length: 3\r\nl: 4\r\n",
        "body",
    );
    assert_eq!(frames(decoy.as_bytes()).unwrap(), [msg(&decoy)], "a fold is no header");
}

#[test]
fn a_length_that_cannot_be_trusted_closes_the_stream() {
    for (lines, kind) in [
        ("", FrameErrorKind::LengthMissing),
        ("X: 1\r\n", FrameErrorKind::LengthMissing),
        ("Content-Length: -4\r\n", FrameErrorKind::LengthBad),
        ("Content-Length: +4\r\n", FrameErrorKind::LengthBad),
        ("Content-Length: 4, 4\r\n", FrameErrorKind::LengthBad),
        ("Content-Length: 0x4\r\n", FrameErrorKind::LengthBad),
        ("Content-Length: 4 4\r\n", FrameErrorKind::LengthBad),
        ("Content-Length: 1\r\n 0\r\n", FrameErrorKind::LengthBad),
        ("Content-Length:\r\n", FrameErrorKind::LengthBad),
        ("Content-Length: 18446744073709551620\r\n", FrameErrorKind::LengthBad),
        ("Content-Length: 4\r\nl: 5\r\n", FrameErrorKind::LengthContradicts),
        ("Content-Length: 99999\r\n", FrameErrorKind::TooLarge),
        ("Content-Length: 999999999\r\n", FrameErrorKind::TooLarge),
        ("X: a\nContent-Length: 4\r\n", FrameErrorKind::StrayLineBreak),
        ("X: a\rContent-Length: 4\r\n", FrameErrorKind::StrayLineBreak),
    ] {
        let error = frames(message(lines, "body").as_bytes()).unwrap_err();
        assert_eq!(error.kind, kind, "{lines:?}");
        let answer = Message::parse(error.answer.expect("an answer")).unwrap();
        let status = if kind == FrameErrorKind::TooLarge { 513 } else { 400 };
        assert_eq!(answer.status(), Some(status), "{lines:?}");
        assert_eq!((answer.branch(), answer.call_id()), (Some("z9hG4bK1"), "c1"));
    }
}

#[test]
fn the_messages_before_the_error_still_come_and_nothing_after_it() {
    let mut framer = StreamFramer::new();
    let now = Instant::now();
    framer.push(now, [whole("one"), message("", ""), whole("two")].concat().as_bytes());
    assert_eq!(framer.next(), Ok(Some(msg(&whole("one")))));
    assert!(framer.next().unwrap_err().answer.is_some());
    framer.push(now, whole("three").as_bytes());
    assert_eq!(
        framer.next(),
        Err(FrameError {
            kind: FrameErrorKind::LengthMissing,
            answer: None
        }),
        "answered once"
    );
    assert_eq!(framer.pending(), 0, "a refused stream takes no memory");
}

#[test]
fn an_ack_and_a_response_are_never_answered() {
    let ack = message("", "").replace("MESSAGE", "ACK");
    assert_eq!(frames(ack.as_bytes()).unwrap_err().answer, None);
    let response = message("", "").replace("MESSAGE sip:bob@example.com SIP/2.0", "SIP/2.0 200 OK");
    assert_eq!(frames(response.as_bytes()).unwrap_err().answer, None);
}

#[test]
fn a_message_has_64_kib() {
    let head = whole("").len() + 4; // four digits more than "0"
    let largest = whole(&"x".repeat(MESSAGE_LIMIT - head));
    assert_eq!(largest.len(), MESSAGE_LIMIT);
    assert_eq!(frames(largest.as_bytes()).unwrap(), [msg(&largest)]);
    assert_eq!(
        frames(whole(&"x".repeat(MESSAGE_LIMIT - head + 1)).as_bytes())
            .unwrap_err()
            .kind,
        FrameErrorKind::TooLarge
    );
    // and a header section that never ends is not kept
    let endless = "X: y\r\n".repeat(MESSAGE_LIMIT / 6 + 1);
    let error = frames(endless.as_bytes()).unwrap_err();
    assert_eq!((error.kind, error.answer), (FrameErrorKind::TooLarge, None));
}

#[test]
fn an_incomplete_message_tells_since_when() {
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let text = whole("body");
    let (head, tail) = text.split_at(40);
    let mut framer = StreamFramer::new();
    assert_eq!(framer.incomplete_since(), None);
    framer.push(at(1), head.as_bytes());
    drain(&mut framer).unwrap();
    assert_eq!(framer.incomplete_since(), Some(at(1)));
    framer.push(at(5), &tail.as_bytes()[..10]);
    drain(&mut framer).unwrap();
    assert_eq!(framer.incomplete_since(), Some(at(1)), "dripping octets win no time");
    // the rest comes together with the start of the next message, whose time begins now
    framer.push(at(9), [&tail[10..], head].concat().as_bytes());
    assert_eq!(drain(&mut framer).unwrap(), [msg(&text)]);
    assert_eq!(framer.incomplete_since(), Some(at(9)));
    framer.push(at(10), tail.as_bytes());
    assert_eq!(drain(&mut framer).unwrap(), [msg(&text)]);
    assert_eq!(framer.incomplete_since(), None);
    framer.push(at(11), b"\r\n\r\n");
    drain(&mut framer).unwrap();
    assert_eq!(framer.incomplete_since(), None, "a keepalive is whole");
}
