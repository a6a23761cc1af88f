//! The top Via: what we write into ours, what we add to a stranger's, and where the response goes.
//!
//! RFC 3261 §18.2.1 has the receiver of a request add `received` when sent-by does not name the packet's source; RFC
//! 3581 §4 has it fill in `rport` (and `received` then always). [`stamp`] does both by splicing the top Via, and gives
//! back the very same message when there is nothing to add. Destinations are computed from the flow that the request
//! came on, never from a `received` or `maddr` that the network wrote.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use bytes::{BufMut, Bytes, BytesMut};

use super::{Flow, Transport};
use crate::sip::{HeaderName, Message, Via};

/// The Via that we put on a request, by `Display` (RFC 3261 §20.42); over UDP it asks for `rport` (RFC 3581 §3).
#[derive(Clone, Copy, Debug)]
pub struct ViaParam<'a> {
    /// What carries the request.
    pub transport: Transport,
    /// Our `host[:port]`, at which responses reach us; IPv6 in brackets.
    pub sent_by: &'a str,
    /// The branch, magic cookie included.
    pub branch: &'a str,
}

impl fmt::Display for ViaParam<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in [
            "SIP/2.0/",
            self.transport.as_str(),
            " ",
            self.sent_by,
            ";branch=",
            self.branch,
        ] {
            f.write_str(part)?;
        }
        match self.transport {
            Transport::Udp => f.write_str(";rport"),
            Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => Ok(()),
        }
    }
}

/// What the top Via of a request and the flow that it came on say together; read once for all three questions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Reception {
    /// Where the response goes: see [`response_flow`].
    pub(crate) reply: Flow,
    /// Where it may be tried when that fails: see [`response_fallback`].
    pub(crate) fallback: Option<Flow>,
    /// Whether [`stamp`] has something to add.
    pub(crate) wants_stamp: bool,
}

impl Reception {
    pub(crate) fn of(via: &Via<'_>, flow: &Flow) -> Reception {
        let rport = via.param("rport");
        let reply = if flow.transport.is_reliable() || rport.is_some() {
            *flow
        } else {
            Flow {
                remote: at_sent_by(flow, via.port),
                ..*flow
            }
        };
        let fallback = match flow.transport {
            Transport::Tcp | Transport::Tls => {
                let fallback = Flow {
                    remote: at_sent_by(flow, via.port),
                    connection: 0,
                    ..*flow
                };
                (fallback != *flow && fallback.is_sendable()).then_some(fallback)
            }
            Transport::Udp | Transport::Ws | Transport::Wss => None,
        };
        Reception {
            reply,
            fallback,
            wants_stamp: wants_stamp(via, rport, flow.remote.ip()),
        }
    }
}

/// A received request with `received` and `rport` in its top Via as RFC 3261 §18.2.1 and RFC 3581 §4 want them.
///
/// A request whose sent-by is the address in `source` and that does not ask for `rport` comes back as it is, not
/// copied. A response is never changed.
pub fn stamp(message: Message, source: SocketAddr) -> Message {
    let wanted = |via: Via<'_>| wants_stamp(&via, via.param("rport"), source.ip());
    if message.is_request() && message.top_via().is_some_and(wanted) {
        stamped(message, source)
    } else {
        message
    }
}

/// The same, when it is known that there is something to add.
pub(crate) fn stamped(message: Message, source: SocketAddr) -> Message {
    // A message that would no longer parse (the longer line breaks a limit) stays as it was: its responses go by the
    // flow, so that the missing parameters hurt nobody but a client that reads them.
    spliced(&message, source)
        .and_then(|bytes| Message::parse(bytes).ok())
        .unwrap_or(message)
}

/// Where the response to a request goes that came on `flow` (RFC 3261 §18.2.2, RFC 3581 §4).
///
/// A reliable flow answers on its own connection. UDP answers to the source address: to the source port when the
/// request has `rport`, else to sent-by's port. The caller checks [`Flow::is_sendable`] before it sends.
pub fn response_flow(request: &Message, flow: &Flow) -> Flow {
    request.top_via().map_or(*flow, |via| Reception::of(&via, flow).reply)
}

/// Where a response may be tried when the connection of its request has gone (RFC 3261 §18.2.2): a connection to
/// sent-by's port at the request's source. `None` for UDP and for WebSocket, whose clients cannot be called.
pub fn response_fallback(request: &Message, flow: &Flow) -> Option<Flow> {
    Reception::of(&request.top_via()?, flow).fallback
}

fn at_sent_by(flow: &Flow, port: Option<u16>) -> SocketAddr {
    let mut remote = flow.remote; // keeps an IPv6 scope
    remote.set_port(port.unwrap_or(flow.transport.default_port()));
    remote
}

/// RFC 3581 §4: when `rport` is asked for. RFC 3261 §18.2.1: when sent-by's host is not this very address; a name
/// never is.
fn wants_stamp(via: &Via<'_>, rport: Option<Option<&str>>, source: IpAddr) -> bool {
    let host = via.host.trim_start_matches('[').trim_end_matches(']');
    rport == Some(None)
        || !host
            .parse::<IpAddr>()
            .is_ok_and(|ip| ip.to_canonical() == source.to_canonical())
}

/// The message with its first Via value rewritten; every other octet as it came.
fn spliced(message: &Message, source: SocketAddr) -> Option<Bytes> {
    let bytes = message.bytes();
    let line = message.header(HeaderName::Via)?;
    // The header is a slice of these very bytes, so that the distance of the two starts is its offset.
    let start = (line.as_ptr() as usize).checked_sub(bytes.as_ptr() as usize)?;
    let value = line.get(..unquoted(line, b',').next().unwrap_or(line.len()))?;
    let mut out = BytesMut::with_capacity(bytes.len() + 72);
    out.put_slice(bytes.get(..start)?);
    let mut from = 0;
    for end in unquoted(value, b';').chain([value.len()]) {
        let param = value.get(from..end)?;
        let name = param.trim_ascii();
        if from == 0 {
            out.put_slice(param.trim_ascii_end());
        } else if name.eq_ignore_ascii_case(b"rport") {
            out.put_slice(format!(";rport={}", source.port()).as_bytes());
        } else if !is_named(name, b"received") {
            // A client has no business to say what we received it from: only ours stays.
            out.put_u8(b';');
            out.put_slice(param.trim_ascii_end());
        }
        from = end + 1;
    }
    out.put_slice(format!(";received={}", source.ip().to_canonical()).as_bytes());
    out.put_slice(bytes.get(start + value.len()..)?);
    Some(out.freeze())
}

fn is_named(param: &[u8], name: &[u8]) -> bool {
    param
        .split(|b| *b == b'=')
        .next()
        .is_some_and(|word| word.trim_ascii_end().eq_ignore_ascii_case(name))
}

/// Where `mark` stands outside of quotes.
fn unquoted(text: &[u8], mark: u8) -> impl Iterator<Item = usize> + '_ {
    let (mut quoted, mut escaped) = (false, false);
    text.iter().enumerate().filter_map(move |(place, byte)| {
        if escaped {
            escaped = false;
        } else if quoted && *byte == b'\\' {
            escaped = true;
        } else if *byte == b'"' {
            quoted = !quoted;
        } else if *byte == mark && !quoted {
            return Some(place);
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(via: &str) -> Message {
        let text = format!(
            "OPTIONS sip:bob@example.com SIP/2.0\r\n{via}\r\nMax-Forwards: 70\r\nFrom: <sip:a@example.com>;tag=1\r\n\
             To: <sip:bob@example.com>\r\nCall-ID: c1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 4\r\n\r\nbody"
        );
        Message::parse(Bytes::from(text)).unwrap()
    }

    fn stamped(via: &str, source: &str) -> String {
        let message = stamp(request(via), source.parse().unwrap());
        assert_eq!(&message.body()[..], b"body", "what follows the Via is untouched");
        assert!(message.bytes().ends_with(b"Content-Length: 4\r\n\r\nbody"));
        String::from_utf8(message.bytes().to_vec())
            .unwrap()
            .lines()
            .nth(1)
            .unwrap()
            .to_owned()
    }

    fn udp(remote: &str) -> Flow {
        Flow {
            transport: Transport::Udp,
            local: "192.0.2.1:5060".parse().unwrap(),
            remote: remote.parse().unwrap(),
            connection: 0,
        }
    }

    #[test]
    fn a_plain_request_is_not_copied() {
        for (via, source) in [
            ("Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK1", "192.0.2.9:5060"),
            ("Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK1", "192.0.2.9:61000"), // §18.2.1 speaks of the address
            ("v: SIP/2.0/UDP [2001:db8::9];branch=z9hG4bK1", "[2001:db8::9]:5060"),
            ("Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1", "[::ffff:192.0.2.9]:5060"),
        ] {
            let message = request(via);
            let before = message.bytes().as_ptr();
            assert_eq!(
                stamp(message, source.parse().unwrap()).bytes().as_ptr(),
                before,
                "{via}"
            );
        }
    }

    #[test]
    fn received_is_added_when_sent_by_is_not_the_source() {
        for (via, source, expected) in [
            (
                "Via: SIP/2.0/UDP bobspc.biloxi.com:5060",
                "192.0.2.4:5060",
                "Via: SIP/2.0/UDP bobspc.biloxi.com:5060;received=192.0.2.4",
            ),
            (
                "Via: SIP/2.0/UDP 10.1.1.1:4540;branch=z9hG4bKkjshdyff",
                "192.0.2.1:9988",
                "Via: SIP/2.0/UDP 10.1.1.1:4540;branch=z9hG4bKkjshdyff;received=192.0.2.1",
            ),
            (
                "v: SIP / 2.0 / TCP a.example.com ;branch=z9hG4bK1 , SIP/2.0/UDP b;branch=z9hG4bK2;rport",
                "[2001:db8::7]:5060",
                "v: SIP / 2.0 / TCP a.example.com;branch=z9hG4bK1;received=2001:db8::7, SIP/2.0/UDP b;branch=z9hG4bK2;rport",
            ),
        ] {
            assert_eq!(stamped(via, source).replace(" ,", ","), expected);
        }
    }

    #[test]
    fn rport_is_filled_in_as_in_rfc_3581_section_6() {
        assert_eq!(
            stamped(
                "Via: SIP/2.0/UDP 10.1.1.1:4540;rport;branch=z9hG4bKkjshdyff",
                "192.0.2.1:9988"
            ),
            "Via: SIP/2.0/UDP 10.1.1.1:4540;rport=9988;branch=z9hG4bKkjshdyff;received=192.0.2.1"
        );
        // received is inserted with rport even when it is the same as sent-by
        assert_eq!(
            stamped("Via: SIP/2.0/UDP 10.1.1.1:4540;branch=z9hG4bK1;RPORT", "10.1.1.1:4540"),
            "Via: SIP/2.0/UDP 10.1.1.1:4540;branch=z9hG4bK1;rport=4540;received=10.1.1.1"
        );
    }

    #[test]
    fn a_received_that_the_client_wrote_does_not_stay() {
        assert_eq!(
            stamped(
                "Via: SIP/2.0/UDP a.example.com;received=203.0.113.1;branch=z9hG4bK1",
                "192.0.2.1:9988"
            ),
            "Via: SIP/2.0/UDP a.example.com;branch=z9hG4bK1;received=192.0.2.1"
        );
        assert_eq!(
            stamped(
                "Via: SIP/2.0/UDP a.example.com;x=\";received=1,2\";branch=z9hG4bK1",
                "192.0.2.1:9988"
            ),
            "Via: SIP/2.0/UDP a.example.com;x=\";received=1,2\";branch=z9hG4bK1;received=192.0.2.1"
        );
    }

    #[test]
    fn where_responses_go() {
        for (via, source, expected) in [
            (
                "Via: SIP/2.0/UDP 10.1.1.1:4540;rport;branch=z9hG4bK1",
                "192.0.2.9:9988",
                "192.0.2.9:9988",
            ),
            (
                "Via: SIP/2.0/UDP 10.1.1.1:4540;branch=z9hG4bK1",
                "192.0.2.9:9988",
                "192.0.2.9:4540",
            ),
            (
                "Via: SIP/2.0/UDP 10.1.1.1;branch=z9hG4bK1",
                "192.0.2.9:9988",
                "192.0.2.9:5060",
            ),
            // neither maddr nor a received of the client's own aims us
            (
                "Via: SIP/2.0/UDP a.example.com;maddr=224.0.1.75;branch=z9hG4bK1",
                "192.0.2.9:9988",
                "192.0.2.9:5060",
            ),
            (
                "Via: SIP/2.0/UDP a.example.com;received=203.0.113.1;branch=z",
                "192.0.2.9:9988",
                "192.0.2.9:5060",
            ),
        ] {
            let flow = udp(source);
            assert_eq!(response_flow(&request(via), &flow), udp(expected), "{via}");
            assert_eq!(
                response_flow(&stamp(request(via), flow.remote), &flow),
                udp(expected),
                "stamped {via}"
            );
        }
        let tcp = Flow {
            transport: Transport::Tcp,
            connection: 4,
            ..udp("192.0.2.9:40000")
        };
        assert_eq!(
            response_flow(&request("Via: SIP/2.0/TCP 10.1.1.1:4540;branch=z9hG4bK1"), &tcp),
            tcp
        );
    }

    #[test]
    fn where_responses_may_be_tried_when_the_connection_has_gone() {
        let tcp = Flow {
            transport: Transport::Tcp,
            connection: 4,
            ..udp("192.0.2.9:40000")
        };
        let plain = request("Via: SIP/2.0/TCP 10.1.1.1:4540;branch=z9hG4bK1");
        let there = Flow {
            remote: "192.0.2.9:4540".parse().unwrap(),
            connection: 0,
            ..tcp
        };
        assert_eq!(response_fallback(&plain, &tcp), Some(there));
        assert_eq!(response_fallback(&plain, &there), None, "not the same place twice");
        assert_eq!(
            response_fallback(
                &plain,
                &Flow {
                    transport: Transport::Wss,
                    ..tcp
                }
            ),
            None
        );
        assert_eq!(response_fallback(&plain, &udp("192.0.2.9:40000")), None);
        let tls = response_fallback(
            &request("Via: SIP/2.0/TLS a.example.com;branch=z9hG4bK1"),
            &Flow {
                transport: Transport::Tls,
                ..tcp
            },
        );
        assert_eq!(tls.map(|flow| flow.remote.port()), Some(5061));
    }

    #[test]
    fn our_own_via() {
        let via = ViaParam {
            transport: Transport::Udp,
            sent_by: "192.0.2.1:5060",
            branch: "z9hG4bKx",
        };
        assert_eq!(via.to_string(), "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx;rport");
        let via = ViaParam {
            transport: Transport::Wss,
            sent_by: "[2001:db8::1]",
            branch: "z9hG4bKx",
        };
        assert_eq!(via.to_string(), "SIP/2.0/WSS [2001:db8::1];branch=z9hG4bKx");
    }
}
