//! The thirteen datagrams of a call between two dialogs of a back-to-back user agent, through a transaction layer.

use std::time::{Duration, Instant};

use bytes::Bytes;
use warmline::sip::{Draft, HeaderName, Message, Method};

use crate::layers::Layer;

/// What callgrind counts: the layer's work and nothing else.
pub(crate) const COUNTED: &str = "spent_in_layer";

pub(crate) const DATAGRAMS: u64 = 13;

/// A call's four transactions live 32, 32, 32 and 5 seconds.
const LIVES: f64 = 101.0;
const BATCH: u64 = 10;

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0 101\r\n\
    a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\n";

pub(crate) struct Load<L> {
    pub(crate) layer: L,
    pub(crate) counting: bool,
    pub(crate) spent: Duration,
    pub(crate) datagrams: u64,
    now: Instant,
    next: u64,
}

#[inline(never)]
fn spent_in_layer<R>(work: impl FnOnce() -> R) -> R {
    work()
}

impl<L: Layer> Load<L> {
    /// A layer in which about `live` transactions live.
    pub(crate) fn new(layer: L, live: usize) -> Load<L> {
        let mut load = Load {
            layer,
            counting: false,
            spent: Duration::ZERO,
            datagrams: 0,
            now: Instant::now(),
            next: 0,
        };
        // Two seconds after the first transactions end, as many end as begin.
        let until = load.now + Duration::from_secs(34);
        while load.now < until {
            load.calls(BATCH, live);
        }
        let found = load.layer.live() as f64 / live as f64;
        assert!(
            (0.8..1.2).contains(&found),
            "{} live instead of {live}",
            load.layer.live()
        );
        load
    }

    /// Calls, so many a second that `live` transactions live.
    pub(crate) fn calls(&mut self, count: u64, live: usize) {
        for _ in (0..count).step_by(BATCH as usize) {
            self.batch();
            self.now += Duration::from_secs_f64(LIVES * BATCH as f64 / live as f64);
            let now = self.now;
            self.work(|layer| layer.advance(now));
        }
    }

    fn work<R>(&mut self, work: impl FnOnce(&mut L) -> R) -> R {
        if self.counting {
            let start = Instant::now();
            let done = spent_in_layer(|| work(&mut self.layer));
            self.spent += start.elapsed();
            done
        } else {
            work(&mut self.layer)
        }
    }

    /// What the layer has sent.
    fn sent(&mut self, count: usize) -> Vec<Bytes> {
        let mut sent = Vec::with_capacity(count);
        self.work(|layer| layer.transmitted(&mut sent));
        assert_eq!(sent.len(), count);
        self.datagrams += sent.len() as u64;
        sent
    }

    fn batch(&mut self) {
        let (now, first) = (self.now, self.next);
        self.next += BATCH;
        let calls = || first..first + BATCH;
        let size = BATCH as usize;
        let invites: Vec<Message> = calls().map(|call| theirs(call, "INVITE")).collect();
        let drafts: Vec<Draft> = calls().map(|call| ours(call, &Method::Invite)).collect();
        let answers = |status| -> Vec<Bytes> { invites.iter().map(|invite| answer(invite, status)).collect() };
        let (ringing, ok) = (answers(180), answers(200));
        self.datagrams += BATCH;
        let came = invites.clone();
        let servers: Vec<_> = self.work(|layer| {
            let both = came.into_iter().zip(&drafts).map(|(invite, draft)| {
                let server = layer.request_came(now, invite);
                layer.request(now, draft);
                server
            });
            both.collect()
        });
        let sent = self.sent(size);
        self.responses(&sent, 100);
        self.responses(&sent, 180);
        self.respond(&servers, &ringing, 180);
        self.responses(&sent, 200);
        let acks: Vec<Draft> = calls().map(|call| ours(call, &Method::Ack)).collect();
        self.work(|layer| acks.iter().for_each(|ack| layer.send_ack(ack)));
        self.sent(size);
        self.respond(&servers, &ok, 200);
        let acks: Vec<Message> = calls().map(|call| theirs(call, "ACK")).collect();
        self.datagrams += BATCH;
        self.work(|layer| acks.into_iter().for_each(|ack| layer.ack_came(now, ack)));

        let byes: Vec<Message> = calls().map(|call| theirs(call, "BYE")).collect();
        let drafts: Vec<Draft> = calls().map(|call| ours(call, &Method::Bye)).collect();
        let gone: Vec<Bytes> = byes.iter().map(|bye| answer(bye, 200)).collect();
        self.datagrams += BATCH;
        let servers: Vec<_> = self.work(|layer| byes.into_iter().map(|bye| layer.request_came(now, bye)).collect());
        self.respond(&servers, &gone, 200);
        self.work(|layer| drafts.iter().for_each(|draft| layer.request(now, draft)));
        let sent = self.sent(size);
        self.responses(&sent, 200);
    }

    fn responses(&mut self, sent: &[Bytes], status: u16) {
        let now = self.now;
        let read = |bytes: &Bytes| Message::parse(bytes.clone()).expect("a message");
        let responses: Vec<Message> = sent
            .iter()
            .map(|request| read(&answer(&read(request), status)))
            .collect();
        self.datagrams += BATCH;
        let found = self.work(|layer| {
            let found = responses
                .into_iter()
                .filter(|response| layer.response_came(now, response.clone()));
            found.count()
        });
        assert_eq!(found, sent.len());
    }

    fn respond(&mut self, servers: &[L::Server], responses: &[Bytes], status: u16) {
        let now = self.now;
        self.work(|layer| {
            let pairs = servers.iter().zip(responses);
            pairs.for_each(|(server, response)| layer.respond(now, server, response, status));
        });
        self.sent(servers.len());
    }
}

fn answer(request: &Message, status: u16) -> Bytes {
    request.respond(status).to_tag("8321234356").print()
}

/// A request of the caller.
fn theirs(call: u64, method: &str) -> Message {
    let tag = if method == "INVITE" { "" } else { ";tag=8321234356" };
    let body = if method == "INVITE" { SDP } else { "" };
    let cseq = if method == "BYE" { 2 } else { 1 };
    let text = format!(
        "{method} sip:service@10.0.0.1 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK-4711-{call}-{method}\r\n\
         From: <sip:caller@10.0.0.2>;tag=4711u{call}\r\nTo: <sip:service@10.0.0.1>{tag}\r\n\
         Call-ID: {call}-4711@10.0.0.2\r\nCSeq: {cseq} {method}\r\nContact: <sip:caller@10.0.0.2>\r\n\
         Max-Forwards: 70\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    Message::parse(text.into()).expect("a message")
}

/// A request of the edge.
fn ours(call: u64, method: &Method) -> Draft {
    let draft = Draft::request(method, "sip:service@10.0.0.3")
        .header(HeaderName::MaxForwards, 70)
        .header(HeaderName::From, format_args!("<sip:caller@10.0.0.1>;tag=815a{call}"))
        .header(HeaderName::To, "<sip:service@10.0.0.3>")
        .header(HeaderName::CallId, format_args!("{call:032x}"))
        .header(HeaderName::CSeq, format_args!("1 {method}"));
    if *method == Method::Invite {
        draft.body("application/sdp", SDP)
    } else {
        draft
    }
}
