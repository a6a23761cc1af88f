//! Bridged calls: the messages of `benches/load`'s two SIPp scenarios, made from templates.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use warmline::sip::{HeaderName, Message};

use crate::edge::{CALLEE, CALLER, EDGE, Edge};

pub(crate) const MESSAGES: u64 = 12;

const SDP: &str = "v=0\r\no=- 53655765 2353687637 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\n\
    m=audio 6000 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n\
    a=ptime:20\r\na=sendrecv\r\n";

/// Calls `first` to `first + count`, up and running.
pub(crate) struct Up {
    first: u64,
    /// The answers that the callers got.
    answers: Vec<Message>,
}

/// Sets calls up, all at once; each stage 10 ms after the one before, and the answer 50 ms after the ringing.
pub(crate) fn up(edge: &mut Edge, first: u64, count: u64) -> Up {
    let calls = first..first + count;
    let invites: Vec<Bytes> = calls.clone().map(invite).collect();
    let invites = parsed(edge.receive(CALLER, invites), CALLEE, count);
    edge.advance(Duration::from_millis(10));
    let ringing = replies(&invites, first, 180);
    let ringing = edge.receive(CALLEE, ringing);
    assert_eq!(parsed(ringing, CALLER, count)[0].status(), Some(180));
    edge.advance(Duration::from_millis(50));
    let answers = edge.receive(CALLEE, replies(&invites, first, 200));
    let (acks, answers): (Vec<_>, Vec<_>) = answers.into_iter().partition(|(remote, _)| *remote == CALLEE);
    assert_eq!(acks.len() as u64, count, "the edge acknowledges at once");
    let answers = parsed(answers, CALLER, count);
    assert_eq!(answers[0].status(), Some(200));
    edge.advance(Duration::from_millis(10));
    let acks = (calls.zip(&answers))
        .map(|(call, answer)| follow_up(call, answer, "ACK", 1))
        .collect();
    assert_eq!(edge.receive(CALLER, acks), []);
    Up { first, answers }
}

/// The callers hang up.
pub(crate) fn down(edge: &mut Edge, up: Up) {
    let calls = up.first..;
    let count = up.answers.len() as u64;
    let byes = (calls.zip(&up.answers))
        .map(|(call, answer)| follow_up(call, answer, "BYE", 2))
        .collect();
    let (to_callers, byes): (Vec<_>, Vec<_>) = edge
        .receive(CALLER, byes)
        .into_iter()
        .partition(|(remote, _)| *remote == CALLER);
    assert_eq!(parsed(to_callers, CALLER, count)[0].status(), Some(200));
    edge.advance(Duration::from_millis(10));
    let byes = parsed(byes, CALLEE, count);
    let last = byes.iter().map(|bye| bye.respond(200).print()).collect();
    assert_eq!(edge.receive(CALLEE, last), []);
}

fn parsed(sent: Vec<(SocketAddr, Bytes)>, to: SocketAddr, count: u64) -> Vec<Message> {
    assert_eq!(sent.len() as u64, count, "one message a call");
    let read = |(remote, bytes): (SocketAddr, Bytes)| {
        assert_eq!(remote, to);
        Message::parse(bytes).expect("a message")
    };
    sent.into_iter().map(read).collect()
}

/// A header section and a body, as SIPp would send it.
fn message(head: &str, sdp: bool) -> Bytes {
    let (sort, body) = if sdp {
        ("Content-Type: application/sdp\r\n", SDP)
    } else {
        ("", "")
    };
    Bytes::from(format!("{head}{sort}Content-Length: {}\r\n\r\n{body}", body.len()))
}

fn invite(call: u64) -> Bytes {
    let head = format!(
        "INVITE sip:service@{EDGE} SIP/2.0\r\n\
         Via: SIP/2.0/UDP {CALLER};branch=z9hG4bK-4711-{call}-0\r\n\
         From: <sip:caller@{CALLER}>;tag=4711u{call}\r\n\
         To: <sip:service@{EDGE}>\r\n\
         Call-ID: {call}-4711@10.0.0.2\r\n\
         CSeq: 1 INVITE\r\n\
         Contact: <sip:caller@{CALLER};transport=UDP>\r\n\
         Max-Forwards: 70\r\n\
         Allow: INVITE, ACK, CANCEL, BYE, REFER, NOTIFY\r\n\
         Supported: replaces\r\n"
    );
    message(&head, true)
}

/// ACK or BYE of the caller.
fn follow_up(call: u64, answer: &Message, method: &str, cseq: u32) -> Bytes {
    let contact = answer.contact().expect("it reads").expect("there is one");
    let head = format!(
        "{method} {} SIP/2.0\r\n\
         Via: SIP/2.0/UDP {CALLER};branch=z9hG4bK-4711-{call}-{method}\r\n\
         From: <sip:caller@{CALLER}>;tag=4711u{call}\r\n\
         To: {}\r\n\
         Call-ID: {call}-4711@10.0.0.2\r\n\
         CSeq: {cseq} {method}\r\n\
         Max-Forwards: 70\r\n",
        contact.uri,
        answer.text(HeaderName::To).unwrap_or_default()
    );
    message(&head, false)
}

fn replies(invites: &[Message], first: u64, status: u16) -> Vec<Bytes> {
    (first..)
        .zip(invites)
        .map(|(call, invite)| reply(invite, call, status))
        .collect()
}

/// An answer of the callee to its INVITE.
fn reply(invite: &Message, call: u64, status: u16) -> Bytes {
    let mut head = if status == 200 {
        "SIP/2.0 200 OK\r\n".to_owned()
    } else {
        "SIP/2.0 180 Ringing\r\n".to_owned()
    };
    let names = [
        HeaderName::Via,
        HeaderName::From,
        HeaderName::To,
        HeaderName::CallId,
        HeaderName::CSeq,
    ];
    for name in names {
        let value = invite.text(name).expect("it is there");
        let tag = if name == HeaderName::To {
            format!(";tag=815s{call}")
        } else {
            String::new()
        };
        head += &format!("{name}: {value}{tag}\r\n");
    }
    head += &format!("Contact: <sip:{CALLEE};transport=UDP>\r\n");
    if status == 200 {
        head += "Allow: INVITE, ACK, CANCEL, BYE, REFER, NOTIFY\r\nSupported: replaces\r\n";
    }
    message(&head, status == 200)
}
