//! Has this request been here before? RFC 5393 §4.2: a mark in the branch of each request that passes.
//!
//! The mark is a keyed hash of everything that decides where the request goes: Request-URI, Route, the side that it came
//! from, Proxy-Require, the proxies' credentials, Call-ID, CSeq number and both tags. One that comes back with the same mark in a Via of
//! ours would go the same way again: 482. One that comes back changed spirals, which is allowed (RFC 3261 §16.3 step 4).

use std::hash::Hasher;

use siphasher::sip::SipHasher24;

use super::Proxy;
use crate::sip::{HeaderName, Message, Uri, Via};

impl Proxy {
    /// What is added to the branch, behind a dot. `pbx`: the request came from the PBX, and goes elsewhere for that.
    pub fn loop_mark(&self, request: &Message, pbx: bool) -> String {
        let mut hasher = SipHasher24::new_with_key(&self.config.key);
        let mut field = |octets: &[u8]| {
            hasher.write(octets);
            hasher.write_usize(octets.len());
        };
        field(&[u8::from(pbx)]);
        field(request.request_uri().unwrap_or_default().as_bytes());
        field(request.call_id().as_bytes());
        field(&request.cseq().to_be_bytes());
        field(request.from_tag().unwrap_or_default().as_bytes());
        field(request.to_tag().unwrap_or_default().as_bytes());
        for name in [
            HeaderName::Route,
            HeaderName::ProxyRequire,
            HeaderName::ProxyAuthorization,
        ] {
            for value in request.headers(name) {
                field(value);
            }
        }
        format!("{:016x}", hasher.finish())
    }

    /// Whether the request has passed here just as it is now.
    pub fn has_looped(&self, request: &Message, pbx: bool) -> bool {
        let marks = request.values(HeaderName::Via).filter_map(|value| {
            let via = Via::parse(value).ok()?;
            let ours = self.is_edge(&Uri::sip(None, &sent_by(&via)));
            let (_, mark) = via.param("branch").flatten()?.split_once('.')?;
            ours.then(|| mark.to_owned())
        });
        let mut marks = marks.peekable();
        // Most requests have no Via of ours: nothing is hashed for them.
        if marks.peek().is_none() {
            return false;
        }
        let mark = self.loop_mark(request, pbx);
        marks.any(|other| other == mark)
    }
}

fn sent_by(via: &Via<'_>) -> String {
    match via.port {
        Some(port) => format!("{}:{port}", via.host),
        None => via.host.to_owned(),
    }
}
