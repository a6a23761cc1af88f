//! Properties of the message layer that hold for any input, and agreement with rsip wherever rsip accepts.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its input fails")]

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use rsip::headers::{ToTypedHeader, UntypedHeader};
use rsip::message::HeadersExt;
use std::path::PathBuf;
use warmline::sdp::{Description, Direction};
use warmline::sip::{
    Challenge, Credentials, Forward, HeaderName, Message, NameAddr, ReferTo, Replaces, Sipfrag, SubscriptionState, Uri,
    Via,
};

/// Every message of the vectors, and a plain call.
fn seeds() -> Vec<Vec<u8>> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let mut files = Vec::new();
    for set in ["rfc4475", "rfc5118"] {
        files.extend(
            std::fs::read_dir(root.join(set))
                .unwrap()
                .map(|entry| entry.unwrap().path()),
        );
    }
    files.retain(|path| path.extension().is_some_and(|extension| extension == "dat"));
    files.sort();
    assert_eq!(files.len(), 61);
    let mut seeds: Vec<Vec<u8>> = files.iter().map(|path| std::fs::read(path).unwrap()).collect();
    seeds.push(PLAIN.replace('\n', "\r\n").into_bytes());
    seeds
}

const PLAIN: &str = "INVITE sip:bob@biloxi.com SIP/2.0
Via: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bK776asdhds
Via: SIP/2.0/UDP 192.0.2.7:5070;branch=z9hG4bKprevious, SIP/2.0/TCP h;branch=z9hG4bKfirst
Max-Forwards: 70
To: Bob <sip:bob@biloxi.com>;tag=a6c85cf
From: \"Alice\" <sip:alice@atlanta.com>;tag=1928301774
Call-ID: a84b4c76e66710@pc33.atlanta.com
CSeq: 314159 INVITE
Contact: <sip:alice@pc33.atlanta.com>
Route: <sip:a;lr>, <sip:b;lr>
Content-Length: 3

abc";

/// Reads everything that can be read of a message; what it says does not matter, that it says it does.
fn read_all(message: &Message) {
    let own = message.bytes();
    assert_eq!(Message::parse(own.clone()).expect("its own octets").bytes(), own);
    let _ = (
        message.validate(),
        message.from(),
        message.to(),
        message.contact(),
        message.top_via(),
    );
    let _ = (
        message.reason_phrase(),
        message.request_uri().map(Uri::parse),
        message.body(),
    );
    let _ = (
        Replaces::of(message),
        ReferTo::of(message),
        SubscriptionState::of(message),
    );
    for (id, name, value) in message.all_headers() {
        assert!(!name.is_empty());
        assert!(
            message
                .header_named(std::str::from_utf8(name).expect("a token"))
                .is_some()
        );
        let _ = (
            message.values(id).count(),
            NameAddr::list(message, id),
            message.number(id),
            NameAddr::parse_bytes(value),
        );
        let _ = std::str::from_utf8(value).map(|text| {
            (
                Via::parse(text).is_ok(),
                Credentials::parse(text).is_ok(),
                Challenge::parse(text).is_ok(),
            )
        });
    }
    if message.is_request() {
        let answer = message.respond(486).to_tag("edge").print();
        let answer = Message::parse(answer).expect("our own response");
        assert_eq!(
            (answer.status(), answer.call_id(), answer.cseq()),
            (Some(486), message.call_id(), message.cseq())
        );
        assert_eq!(
            (answer.branch(), answer.from_tag()),
            (message.branch(), message.from_tag())
        );
        assert_eq!(answer.to_tag(), message.to_tag().or(Some("edge")));
        assert!(answer.headers(HeaderName::Via).eq(message.headers(HeaderName::Via)));
    }
}

/// A refusal is printable, parses, and leaks nothing but the routing headers.
fn refuse(octets: &[u8]) {
    if let Some(draft) = Message::salvage(octets) {
        let status = draft.status().expect("a response");
        assert!((400..=599).contains(&status));
        let _ = Message::parse(draft.to_tag("edge").print());
    }
}

fn check(octets: Vec<u8>) {
    match Message::parse(Bytes::from(octets.clone())) {
        Ok(message) => {
            read_all(&message);
            forward(&message);
            agree(&message);
        }
        Err(error) => {
            assert!(matches!(error.status(), 400 | 414 | 505 | 513));
            refuse(&octets);
        }
    }
    let _ = Sipfrag::parse(&octets);
    describe(octets);
}

fn describe(octets: Vec<u8>) {
    let Ok(description) = Description::parse(Bytes::from(octets)) else {
        return;
    };
    let _ = (description.media_address(), description.direction());
    for direction in [Direction::SendRecv, Direction::Inactive] {
        let turned = description.with_direction(direction);
        assert!(turned.same_media(&description));
        assert_eq!(turned.media_count(), description.media_count());
        assert_eq!(turned.with_direction(direction), turned);
    }
    assert!(description.with_origin(1, 2).same_media(&description));
}

/// One header line of the original: name without the white space before the colon, and everything from the colon on.
fn lines(octets: &[u8], message: &Message) -> Vec<Vec<u8>> {
    let body = octets.len() - message.body().len();
    let text = &octets[..body];
    let mut list: Vec<Vec<u8>> = Vec::new();
    for line in text.split_inclusive(|octet| *octet == b'\n') {
        match (line.first(), list.last_mut()) {
            (Some(b' ' | b'\t'), Some(last)) => last.extend_from_slice(line),
            _ => list.push(line.to_vec()),
        }
    }
    for line in list.iter_mut().skip(1) {
        if let Some(colon) = line.iter().position(|octet| *octet == b':') {
            let name = line[..colon].trim_ascii_end().len();
            line.drain(name..colon);
        }
    }
    list
}

/// Forwarding adds what it was told to and leaves every other line and the body as they were.
fn forward(message: &Message) {
    let before = lines(message.bytes(), message);
    let printed = Forward::new(message)
        .push_via("SIP/2.0/UDP edge;branch=z9hG4bKnew")
        .max_forwards(7)
        .print();
    let after_message = Message::parse(printed.clone()).expect("forwarded");
    assert_eq!(after_message.body(), message.body());
    assert_eq!(after_message.branch(), Some("z9hG4bKnew"));
    assert_eq!(after_message.number(HeaderName::MaxForwards), Some(7));
    let foreign = |line: &Vec<u8>| {
        let colon = line.iter().position(|octet| *octet == b':').unwrap_or(0);
        HeaderName::lookup(&line[..colon]) != HeaderName::MaxForwards
    };
    let mut after = lines(&printed, &after_message);
    let ours = after
        .iter()
        .position(|line| line.starts_with(b"Via: SIP/2.0/UDP edge;"))
        .expect("our Via");
    after.remove(ours);
    assert!(
        before
            .iter()
            .filter(|line| foreign(line))
            .eq(after.iter().filter(|line| foreign(line)))
    );
    // What was pushed pops again.
    let back = Message::parse(Forward::new(&after_message).pop_via().print()).expect("popped");
    assert!(back.values(HeaderName::Via).eq(message.values(HeaderName::Via)));
    // Without edits nothing but that white space changes.
    let untouched = Message::parse(Forward::new(message).print()).expect("untouched");
    assert_eq!(lines(untouched.bytes(), &untouched), before);
}

/// Where rsip accepts a request and its typed headers, both read the same.
fn agree(message: &Message) -> bool {
    let Ok(theirs) = rsip::Request::try_from(&message.bytes()[..]) else {
        return false;
    };
    if message.validate().is_err() {
        return false;
    }
    assert_eq!(message.method().as_str(), theirs.method().to_string());
    // rsip keeps the blanks that surround an untyped value, and knows no compact names: then it has no such header.
    if let Ok(call_id) = theirs.call_id_header() {
        assert_eq!(message.call_id(), call_id.value().trim());
    }
    // It does not take white space out of parameters: `;tag =1` and ` ;tag=1` are no tags to it.
    let plain = |name| {
        let value = message.header(name).unwrap_or_default();
        let params = value.iter().position(|octet| *octet == b';').unwrap_or(value.len());
        !value[params.saturating_sub(1)..].iter().any(u8::is_ascii_whitespace)
    };
    if let Ok(Ok(from)) = theirs.from_header().map(|from| from.clone().typed())
        && plain(HeaderName::From)
    {
        assert_eq!(message.from_tag(), from.tag().map(|tag| tag.value()));
    }
    if let Ok(Ok(to)) = theirs.to_header().map(|to| to.clone().typed())
        && plain(HeaderName::To)
    {
        assert_eq!(message.to_tag(), to.tag().map(|tag| tag.value()));
    }
    if let Ok(Ok(cseq)) = theirs.cseq_header().map(|cseq| cseq.clone().typed()) {
        assert_eq!(
            (message.cseq(), message.method().as_str()),
            (cseq.seq, cseq.method.to_string().as_str())
        );
    }
    true
}

#[test]
fn every_vector_reads_forwards_and_agrees() {
    let mut agreed = 0;
    for seed in seeds() {
        agreed += usize::from(Message::parse(Bytes::from(seed.clone())).is_ok_and(|message| agree(&message)));
        check(seed);
    }
    assert!(
        agreed >= 10,
        "rsip accepts only {agreed}: the comparison compares nothing"
    );
}

/// A seed with some octets replaced, removed or put in.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let octet = prop_oneof![
        any::<u8>(),
        prop::sample::select(b" \t\r\n:;,=<>\"\\@?%/[]0\0".to_vec()),
    ];
    let change = (any::<prop::sample::Index>(), 0..3u8, octet);
    (prop::sample::select(seeds()), vec(change, 0..6)).prop_map(|(mut octets, changes)| {
        for (at, kind, octet) in changes {
            if octets.is_empty() {
                break;
            }
            let at = at.index(octets.len());
            match kind {
                0 => octets[at] = octet,
                1 => octets.insert(at, octet),
                _ => {
                    octets.remove(at);
                }
            }
        }
        octets
    })
}

/// Header lines made of pieces that mean something, in any order.
fn assembled() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "Via: SIP/2.0/UDP h;branch=z9hG4bKx",
        "v:SIP/2.0/UDP h",
        "From: <sip:a@b>;tag=1",
        "f: sip:a@b",
        "To : \"x\" <sip:c@d>",
        "t: c;tag=2",
        "Call-ID: x@y",
        "i:z",
        "CSeq: 1 INVITE",
        "CSeq: 2 ACK",
        "Content-Length: 3",
        "l: 0",
        "Max-Forwards: 0",
        "Contact: *",
        "m: <sip:a@b>;q=0.1, <tel:1>",
        "Replaces: a;to-tag=1;from-tag=2",
        "r: <sip:a@b?Replaces=c%3Bto-tag=1%3Bfrom-tag=2>",
        " folded",
        "X: \u{fc}",
        "Route: <sip:r;lr>",
        "broken",
        ":",
        "",
    ]);
    let start = prop::sample::select(vec![
        "INVITE sip:a@b SIP/2.0",
        "SIP/2.0 200 OK",
        "ACK sip:a@b SIP/2.0",
        "SIP/2.0 200",
        "X a:b SIP/2.0",
    ]);
    (start, vec(piece, 0..14), "[a-c]{0,5}").prop_map(|(start, lines, body)| {
        let mut text = start.to_owned() + "\r\n";
        for line in lines {
            text += line;
            text += "\r\n";
        }
        (text + "\r\n" + &body).into_bytes()
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1_000,
        failure_persistence: None,
        // The same cases every time: a test that fails by chance is repaired by chance. Another seed searches on.
        rng_seed: RngSeed::Fixed(4475),
        ..ProptestConfig::default()
    })]

    #[test]
    fn arbitrary_octets_never_panic(octets in vec(any::<u8>(), 0..400)) {
        check(octets);
    }

    #[test]
    fn mutated_vectors_never_panic_and_keep_their_octets(octets in mutated()) {
        check(octets);
    }

    #[test]
    fn assembled_messages_never_panic_and_keep_their_octets(octets in assembled()) {
        check(octets);
    }

    #[test]
    fn descriptions_keep_what_is_not_theirs_to_change(lines in vec(prop::sample::select(vec![
        "o=a 1 2 IN IP4 h", "s=-", "c=IN IP4 192.0.2.1", "c=IN IP4 0.0.0.0", "m=audio 5 RTP/AVP 0", "m=audio 0 RTP/AVP 0",
        "m=video 7 RTP/AVP 1", "a=sendonly", "a=inactive", "a=x", "", "a=bundle-only", "t=0 0",
    ]), 0..12), lf in any::<bool>()) {
        let end = if lf { "\n" } else { "\r\n" };
        describe(("v=0".to_owned() + end + &lines.join(end)).into_bytes());
    }

    #[test]
    fn uris_and_parties_print_what_they_read(text in "(sips?|tel|x):[a-z%;=?@:.0-9\\[\\]&-]{0,24}") {
        if let Ok(uri) = Uri::parse(&text) {
            prop_assert_eq!(uri.as_str(), &text);
            prop_assert!(uri.same_user(&uri));
            let _ = (uri.addr(), uri.host_port(), uri.without_headers(), rsip::Uri::try_from(&uri).is_ok());
            let added = uri.clone().with_param("lr", None);
            prop_assert!(Uri::parse(added.as_str()).is_ok());
            let party = NameAddr::new(uri).with_display("A \"b\" \\").with_param("tag", Some("1"));
            prop_assert_eq!(NameAddr::parse(&party.to_string()).unwrap(), party);
        }
    }

    #[test]
    fn replaces_survives_a_uri(call_id in "[!-+.-9<-~-]{1,30}", to in "[a-zA-Z0-9.!%*_+`'~-]{1,12}", from in "[a-z0-9]{1,12}", early in any::<bool>()) {
        let replaces = Replaces { call_id: call_id.into(), to_tag: to.into(), from_tag: from.into(), early_only: early };
        prop_assume!(Replaces::parse(&replaces.to_string()).is_ok());
        prop_assert_eq!(&Replaces::parse(&replaces.to_string()).unwrap(), &replaces);
        let uri = Uri::parse(&format!("sip:c@d?{}", replaces.to_uri_header())).unwrap();
        prop_assert_eq!(Replaces::in_refer_to(&uri).unwrap().unwrap(), replaces);
    }
}
