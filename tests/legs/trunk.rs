//! A trunk by hand: what a carrier, a forking proxy or a PBX may send, message by message.

use std::net::SocketAddr;

use regex::Regex;
use warmline::engine::{Route, Settings};
use warmline::sip::{HeaderName, Message, Method};
use warmline::transport::Transport;

use crate::world::{World, millis};

pub(crate) const TRUNK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 9, 0, 1)), 5060);
pub(crate) const NUMBER: &str = "sip:4930123@example.org";

/// Numbers go to the trunk.
pub(crate) fn route(settings: &mut Settings) {
    settings.routes.push(Route {
        pattern: Regex::new("^[0-9]+$").expect("a pattern"),
        address: TRUNK,
        transport: Transport::Udp,
        host: "trunk.example".to_owned(),
        users: Vec::new(),
    });
}

pub(crate) fn world() -> World {
    World::with(route)
}

pub(crate) fn sdp(port: u16) -> String {
    format!(
        "v=0\r\no=trunk 1 {port} IN IP4 10.9.0.2\r\ns=-\r\nc=IN IP4 10.9.0.2\r\nt=0 0\r\nm=audio {port} RTP/AVP 0 8\r\na=sendrecv\r\n"
    )
}

/// What came to the trunk since the last time, requests of one kind, repetitions left out.
pub(crate) fn requests(world: &mut World, method: &Method) -> Vec<Message> {
    let mut seen = Vec::new();
    let mut found = Vec::new();
    for (to, message) in world.take_strays() {
        let key = (message.branch().map(str::to_owned), message.method().clone());
        if to == TRUNK && message.is_request() && message.method() == method && !seen.contains(&key) {
            seen.push(key);
            found.push(message);
        }
    }
    found
}

/// All messages that came to the trunk, as `METHOD` or `status METHOD`.
pub(crate) fn arrived(world: &mut World) -> Vec<Message> {
    world
        .take_strays()
        .into_iter()
        .filter(|(to, _)| *to == TRUNK)
        .map(|(_, message)| message)
        .collect()
}

/// Answers a request that came to the trunk.
pub(crate) fn answer(
    world: &mut World,
    request: &Message,
    status: u16,
    tag: &str,
    headers: &[(&str, &str)],
    body: Option<String>,
) {
    let mut draft = request.respond(status).to_tag(tag);
    if *request.method() != Method::Prack && status < 300 {
        draft = draft.header(HeaderName::Contact, format_args!("<sip:{tag}@10.9.0.1>"));
    }
    for (name, value) in headers {
        draft = draft.header_named(name, value);
    }
    if let Some(body) = body {
        draft = draft.body("application/sdp", body);
    }
    world.inject(TRUNK, draft.print());
    world.advance(millis(5));
}
