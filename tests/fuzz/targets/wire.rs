//! The index of a message: what parses says the same when it is printed and parsed again; what does not is refused politely.

use bytes::Bytes;
use warmline::sip::{Forward, HeaderName, Limits, Message, NameAddr, Sipfrag, Uri};
use warmline::transport::{Flow, Transport, stun};
use warmline::transport::{response_fallback, response_flow, stamp};

pub(super) fn run(octets: &[u8]) {
    match Message::parse(Bytes::copy_from_slice(octets)) {
        Ok(message) => {
            within_limits(&message);
            read(&message);
            reprint(&message);
            if message.is_request() {
                answer(&message);
            }
        }
        Err(error) => {
            assert!(matches!(error.status(), 400 | 414 | 505 | 513), "{error:?}");
            refuse(octets);
        }
    }
    let _ = Sipfrag::parse(octets);
    // Amplification: an answer to whoever forges a source is never much longer than what it answers.
    let source = "198.51.100.7:5060".parse().expect("an address");
    if let Some(answer) = stun::answer(octets, source) {
        assert!(answer.len() <= octets.len() + 16);
    }
}

fn within_limits(message: &Message) {
    let limits = Limits::DEFAULT;
    assert!(message.bytes().len() <= limits.message);
    assert!(message.all_headers().count() <= limits.headers);
    assert!(message.request_uri().is_none_or(|uri| uri.len() <= limits.uri));
    for (_, name, value) in message.all_headers() {
        assert!(name.len() + value.len() <= limits.header_line);
        // LESSONS 35: two readers that see other names would see other tags.
        assert!(
            name.iter().all(|octet| octet.is_ascii_graphic() && *octet != b':'),
            "a name with {name:?}"
        );
    }
}

fn read(message: &Message) {
    let valid = message.validate();
    if let Err(error) = &valid {
        assert!((400..600).contains(&error.status()));
    }
    let _ = (message.from(), message.to(), message.contact(), message.top_via());
    let _ = (message.reason_phrase(), message.body(), message.content_length());
    for (id, name, value) in message.all_headers() {
        let name = std::str::from_utf8(name).expect("a token");
        assert!(message.header_named(name).is_some());
        let _ = (message.values(id).count(), message.number(id));
        let _ = (NameAddr::list(message, id), NameAddr::parse_bytes(value));
        let _ = (message.text(id), message.has_token(id, "replaces"));
    }
    if valid.is_ok()
        && let Some(uri) = message.request_uri()
    {
        let uri = Uri::parse(uri).expect("what is valid has a URI that can be read");
        assert!(uri.same_user(&uri));
    }
}

/// Printed by any of our ways it is the same message to the next reader.
fn reprint(message: &Message) {
    let own = message.bytes().clone();
    assert_eq!(Message::parse(own.clone()).expect("its own octets").bytes(), &own);
    let printed = Forward::new(message)
        .push_via("SIP/2.0/UDP edge;branch=z9hG4bKnew")
        .max_forwards(7)
        .print();
    // One that was at a limit is beyond it with our Via.
    let Ok(after) = Message::parse(printed) else {
        let room = Limits::DEFAULT;
        assert!(own.len() + 120 > room.message || message.all_headers().count() + 2 > room.headers);
        return;
    };
    assert_eq!(after.branch(), Some("z9hG4bKnew"));
    assert_eq!(identity(&after), identity(message));
    assert_eq!(after.body(), message.body());
    let back = Message::parse(Forward::new(&after).pop_via().print()).expect("what was pushed pops again");
    assert!(back.values(HeaderName::Via).eq(message.values(HeaderName::Via)));
}

/// What the edge and whoever reads it next must agree upon.
fn identity(message: &Message) -> (String, Option<String>, Option<String>, u32, Option<u16>, String) {
    (
        message.call_id().to_owned(),
        message.from_tag().map(str::to_owned),
        message.to_tag().map(str::to_owned),
        message.cseq(),
        message.status(),
        message.request_uri().unwrap_or_default().to_owned(),
    )
}

fn answer(message: &Message) {
    let flow = Flow {
        transport: Transport::Udp,
        local: "192.0.2.1:5060".parse().expect("an address"),
        remote: "198.51.100.7:5060".parse().expect("an address"),
        connection: 0,
    };
    let _ = (response_flow(message, &flow), response_fallback(message, &flow));
    let stamped = stamp(message.clone(), flow.remote);
    assert_eq!(identity(&stamped), identity(message));
    let printed = message.respond(486).to_tag("edge").print();
    let Ok(answer) = Message::parse(printed) else {
        assert!(message.bytes().len() + 200 > Limits::DEFAULT.message);
        return;
    };
    assert_eq!((answer.status(), answer.cseq()), (Some(486), message.cseq()));
    assert_eq!(answer.call_id(), message.call_id());
    assert_eq!(answer.from_tag(), message.from_tag());
    assert_eq!(answer.to_tag(), message.to_tag().or(Some("edge")));
    assert!(answer.headers(HeaderName::Via).eq(message.headers(HeaderName::Via)));
    // CSeq may name another method than the start line, which is refused; the answer has CSeq as it came.
    if message.validate().is_ok() {
        assert_eq!(answer.method(), message.method());
    }
    assert!(!message.method().as_str().is_empty(), "a method without a name");
}

/// A refusal parses and is no longer than what it refuses allows.
fn refuse(octets: &[u8]) {
    let Some(draft) = Message::salvage(octets) else { return };
    let status = draft.status().expect("a response");
    assert!((400..=599).contains(&status));
    let _ = Message::parse(draft.to_tag("edge").print());
}
