//! A request that a phone originates, kept in parts so that a challenge can be answered by printing it again.

use bytes::Bytes;

use crate::sip::{Draft, HeaderName, Method};

/// One request before it is printed.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) uri: String,
    pub(super) cseq: u32,
    headers: Vec<(HeaderName, String)>,
    named: Vec<(String, String)>,
    body: Option<(String, Bytes)>,
}

impl Request {
    /// With the headers that every request has (RFC 3261 §8.1.1).
    pub(super) fn new(method: Method, uri: &str, from: &str, to: &str, call_id: &str, cseq: u32) -> Request {
        let headers = vec![
            (HeaderName::From, from.to_owned()),
            (HeaderName::To, to.to_owned()),
            (HeaderName::CallId, call_id.to_owned()),
        ];
        Request {
            method,
            uri: uri.to_owned(),
            cseq,
            headers,
            named: Vec::new(),
            body: None,
        }
    }

    pub(super) fn header(mut self, name: HeaderName, value: impl Into<String>) -> Request {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn named(mut self, name: &str, value: &str) -> Request {
        self.named.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(super) fn body(mut self, content_type: &str, body: Bytes) -> Request {
        self.body = Some((content_type.to_owned(), body));
        self
    }

    /// The same request with new credentials: RFC 3261 §22.1 wants a new sequence number with them.
    pub(super) fn with_credentials(mut self, name: HeaderName, value: String, cseq: u32) -> Request {
        self.headers.retain(|(header, _)| *header != name);
        self.cseq = cseq;
        self.header(name, value)
    }

    /// The same request with a session interval that the other side takes (RFC 4028 §7.3).
    pub(super) fn with_interval(mut self, least: u32, cseq: u32) -> Request {
        self.headers
            .retain(|(header, _)| *header != HeaderName::SessionExpires && *header != HeaderName::MinSe);
        self.cseq = cseq;
        self.header(HeaderName::SessionExpires, least.to_string())
            .header(HeaderName::MinSe, least.to_string())
    }

    /// CANCEL of this INVITE: same Request-URI, Call-ID, From, To, number and routes (RFC 3261 §9.1).
    pub(super) fn to_cancel(&self) -> Request {
        let kept = |name: &HeaderName| {
            *name == HeaderName::From
                || *name == HeaderName::To
                || *name == HeaderName::CallId
                || *name == HeaderName::Route
        };
        let headers = self.headers.iter().filter(|(name, _)| kept(name)).cloned().collect();
        Request {
            method: Method::Cancel,
            uri: self.uri.clone(),
            cseq: self.cseq,
            headers,
            named: Vec::new(),
            body: None,
        }
    }

    /// ACK of a final answer other than 2xx: as CANCEL, but with the answer's To (RFC 3261 §17.1.1.3).
    pub(super) fn to_ack(&self, to: &str) -> Request {
        let mut ack = self.to_cancel();
        ack.method = Method::Ack;
        for (name, value) in &mut ack.headers {
            if *name == HeaderName::To {
                *value = to.to_owned();
            }
        }
        ack
    }

    /// The whole message with this `Via`.
    pub(super) fn print(&self, via: &str) -> Bytes {
        let mut draft = Draft::request(&self.method, &self.uri);
        let has_max_forwards = self.headers.iter().any(|(name, _)| *name == HeaderName::MaxForwards);
        if !has_max_forwards {
            draft = draft.header(HeaderName::MaxForwards, 70);
        }
        for (name, value) in &self.headers {
            draft = draft.header(*name, value);
        }
        draft = draft.header(HeaderName::CSeq, format_args!("{} {}", self.cseq, self.method));
        for (name, value) in &self.named {
            draft = draft.header_named(name, value);
        }
        if let Some((content_type, body)) = &self.body {
            draft = draft.body(content_type, body.clone());
        }
        draft.print_with_via(via)
    }
}
