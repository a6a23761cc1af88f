//! The sections that may come several times, and those that name addresses.

use std::net::{IpAddr, SocketAddr};

use regex::Regex;

use super::check::TRANSFER;
use super::fields::{Fields, Found};
use super::report::Problems;
use super::target::{socket_address, target};
use super::{Api, Ladder, Softphone, Target, Tls};
use crate::engine::{
    Listener, Network, Peer, PeerAuth, PeerCredentials, PeerMedia, ReferAnswer, Register, TransferMode, User,
};
use crate::transport::Transport;

pub(super) fn listeners(file: &mut Fields<'_>, tls: &mut Tls, problems: &mut Problems) -> Vec<Listener> {
    let words = [
        ("udp", Ok(Transport::Udp)),
        ("tcp", Ok(Transport::Tcp)),
        ("tls", Ok(Transport::Tls)),
        ("ws", Ok(Transport::Ws)),
        ("wss", Ok(Transport::Wss)),
    ];
    let tables = file.tables("listen", "[[listen]]", problems);
    if tables.is_empty() {
        let hint = "add [[listen]] with transport = \"udp\" and address = \"127.0.0.1:5060\"";
        problems.add(file.key_span("listen"), "the edge listens nowhere", hint);
    }
    let mut listeners: Vec<Listener> = Vec::new();
    for mut fields in tables {
        let transport = if fields.required("transport", "\"udp\"", problems).is_some() {
            fields.choice("transport", &words, problems)
        } else {
            None
        };
        let given = fields.required("address", "\"127.0.0.1:5060\"", problems);
        let address = given.and_then(|given| socket_address("address", &given, problems));
        let advertised = fields.text("advertise", problems);
        let extras = super::tls::extras(&mut fields, transport, problems);
        if let (Some(transport), Some(address)) = (transport, address) {
            let advertised = advertise(&address, advertised, problems);
            // UDP has its own ports; all the others share those of TCP.
            let twin = |other: &Listener| {
                other.transport.is_reliable() == transport.is_reliable() && other.address == address.value
            };
            if address.value.port() != 0 && listeners.iter().any(twin) {
                let what = format!("a second {} listener on {}", transport.as_str(), address.value);
                problems.add(address.span, what, "remove one of them");
            }
            listeners.push(Listener {
                transport,
                address: address.value,
                advertised,
            });
            tls.listeners.push(extras);
        }
        fields.finish(problems);
    }
    listeners
}

/// What the listener calls itself in Via and Contact.
fn advertise(address: &Found<SocketAddr>, given: Option<Found<&str>>, problems: &mut Problems) -> SocketAddr {
    let bound = address.value;
    let Some(given) = given else {
        if bound.ip().is_unspecified() {
            let hint = "add advertise = \"…\" with the address that phones and the PBX reach this machine by";
            problems.add(
                address.span.clone(),
                format!("nobody can answer to {}", bound.ip()),
                hint,
            );
        }
        return bound;
    };
    let parsed = given.value.parse::<SocketAddr>().ok();
    let parsed = parsed.or_else(|| {
        given
            .value
            .parse::<IpAddr>()
            .ok()
            .map(|ip| SocketAddr::new(ip, bound.port()))
    });
    match parsed {
        Some(advertised) if !advertised.ip().is_unspecified() => advertised,
        Some(_) | None => {
            problems.add(
                given.span,
                "`advertise` is no address",
                "write an IP, or IP:port, that others reach this machine by",
            );
            bound
        }
    }
}

pub(super) fn pbx(
    file: &mut Fields<'_>,
    text: &str,
    listeners: &[Listener],
    tls: &mut Tls,
    problems: &mut Problems,
) -> Option<(Target, Register)> {
    let mut fields = file.table("pbx", "[pbx]", problems)?;
    let uri = fields.required("uri", "\"sip:127.0.0.1:5080\"", problems);
    let target = uri.and_then(|uri| target("[pbx] uri", &uri, text, listeners, problems));
    let words = [("through", Ok(Register::Through)), ("local", Ok(Register::Local))];
    let register = fields.choice("register", &words, problems).unwrap_or(Register::Through);
    tls.verify_pbx = fields.flag("verify", problems).is_none_or(|verify| verify.value);
    tls.pbx_identity = super::tls::identity(&mut fields, problems);
    fields.finish(problems);
    target.map(|target| (target, register))
}

pub(super) fn peers(
    file: &mut Fields<'_>,
    default: TransferMode,
    answer: ReferAnswer,
    media: PeerMedia,
    tls: &mut Tls,
    problems: &mut Problems,
) -> Vec<Peer> {
    let mut peers: Vec<Peer> = Vec::new();
    for mut fields in file.tables("peer", "[[peer]]", problems) {
        let name = fields.required("name", "\"carrier\"", problems);
        let blocks = fields.texts("match", problems);
        if !fields.has("match") {
            let hint = "add match = [\"192.0.2.0/24\"] with the addresses that its messages come from";
            problems.add(fields.span.clone(), "[[peer]] matches no address", hint);
        }
        let networks: Vec<Network> = blocks.iter().filter_map(|block| network(block, problems)).collect();
        if fields.flag("verify", problems).is_some_and(|verify| !verify.value) {
            tls.unverified.extend(&networks);
        }
        if let Some(shown) = super::tls::identity(&mut fields, problems) {
            tls.clients
                .extend(networks.iter().map(|network| (*network, shown.clone())));
        }
        let words = [("none", Ok(PeerAuth::None)), ("digest", Ok(PeerAuth::Digest))];
        let auth = fields.choice("auth", &words, problems).unwrap_or(PeerAuth::Digest);
        let transfer = fields.choice("transfer", &TRANSFER, problems).unwrap_or(default);
        let refer_answer = fields
            .choice("refer_answer", &super::transfer::ANSWERS, problems)
            .unwrap_or(answer);
        let call_ids = [("keep", Ok(true)), ("hide", Ok(false))];
        let keeps_call_id = fields.choice("call_id", &call_ids, problems).unwrap_or(false);
        let media = super::media::peer(&mut fields, media, problems);
        let credentials = peer_credentials(&mut fields, problems);
        if let Some(name) = name {
            if peers.iter().any(|peer| peer.name == name.value) {
                problems.add(
                    name.span,
                    format!("a second peer `{}`", name.value),
                    "give each peer its own name",
                );
            }
            peers.push(Peer {
                name: name.value.to_owned(),
                networks,
                auth,
                transfer,
                refer_answer,
                credentials,
                keeps_call_id,
                media,
            });
        }
        fields.finish(problems);
    }
    peers
}

/// All three keys or none: a password without its realm would answer anybody's challenge.
fn peer_credentials(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<PeerCredentials> {
    let keys = ["username", "password", "realm"];
    let given = keys.iter().filter(|key| fields.has(key)).count();
    let [user, password, realm] = keys.map(|key| fields.text(key, problems).map(|found| found.value.to_owned()));
    match (user, password, realm) {
        (Some(user), Some(password), Some(realm)) => Some(PeerCredentials { user, password, realm }),
        (_, _, _) if given == 0 || given == keys.len() => None,
        (_, _, _) => {
            let what = "`username`, `password` and `realm` of a peer belong together";
            problems.add(
                fields.span.clone(),
                what,
                "add what is missing: challenges are answered in that realm only",
            );
            None
        }
    }
}

pub(super) fn network(block: &Found<&str>, problems: &mut Problems) -> Option<Network> {
    let (address, prefix) = match block.value.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (block.value, None),
    };
    let address = address.parse::<IpAddr>().ok();
    let width = address.map(|address| if address.is_ipv4() { 32 } else { 128 });
    let bits = match prefix {
        Some(text) => text.parse::<u8>().ok(),
        None => width,
    };
    match (address, bits, width) {
        (Some(address), Some(prefix), Some(width)) if prefix <= width => Some(Network { address, prefix }),
        (_, _, _) => {
            let what = format!("`{}` is no address block", block.value.escape_debug());
            problems.add(
                block.span.clone(),
                what,
                "write an IP, or a block as in 192.0.2.0/24 or 2001:db8::/32",
            );
            None
        }
    }
}

pub(super) fn users(file: &mut Fields<'_>, problems: &mut Problems) -> Vec<User> {
    let mut users: Vec<User> = Vec::new();
    for mut fields in file.tables("user", "[[user]]", problems) {
        let name = fields.required("name", "\"agent1\"", problems);
        let password = fields.required("password", "\"…\"", problems);
        if let Some(password) = &password
            && (password.value.is_empty() || password.value.chars().any(char::is_control))
        {
            problems.add(
                password.span.clone(),
                "`password` is empty or has control characters",
                "give the phone a long random word",
            );
        }
        if let Some(name) = name {
            // RFC 3261 §25.1: unreserved and user-unreserved; what needs escaping would never match.
            let good = |c: char| c.is_ascii_alphanumeric() || "-_.!~*'()&=+$,?/".contains(c);
            if name.value.is_empty() || !name.value.chars().all(good) {
                problems.add(
                    name.span,
                    "`name` is no user part of a SIP address",
                    "letters, digits and -_.+ as in \"agent1\"",
                );
            } else if users.iter().any(|user| user.name == name.value) {
                problems.add(
                    name.span,
                    format!("a second user `{}`", name.value),
                    "remove one of them: a name has one password",
                );
            } else {
                let password = password.map_or_else(String::new, |password| password.value.to_owned());
                users.push(User {
                    name: name.value.to_owned(),
                    password,
                });
            }
        }
        fields.finish(problems);
    }
    users
}

pub(super) fn routes(
    file: &mut Fields<'_>,
    text: &str,
    listeners: &[Listener],
    problems: &mut Problems,
) -> Vec<(Regex, Target, Vec<String>)> {
    let mut routes = Vec::new();
    for mut fields in file.tables("route", "[[route]]", problems) {
        let pattern = fields.required("match", "\"^[0-9]+$\"", problems);
        let users = fields.texts("users", problems);
        let users = users.iter().map(|user| user.value.to_owned()).collect();
        let to = fields.required("to", "\"sip:127.0.0.1:5090\"", problems);
        let pattern = pattern.and_then(|pattern| regular_expression(&pattern, problems));
        let target = to.and_then(|to| target("[[route]] to", &to, text, listeners, problems));
        if let (Some(pattern), Some(target)) = (pattern, target) {
            routes.push((pattern, target, users));
        }
        fields.finish(problems);
    }
    routes
}

/// The `match` of a route or an application.
pub(super) fn regular_expression(pattern: &Found<&str>, problems: &mut Problems) -> Option<Regex> {
    match Regex::new(pattern.value) {
        Ok(regex) => Some(regex),
        Err(error) => {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            let what = format!(
                "`match` is no regular expression: {}",
                last.trim_start_matches("error: ")
            );
            let hint = "in TOML, 'single quotes' keep backslashes as they are";
            problems.add(pattern.span.clone(), what, hint);
            None
        }
    }
}

pub(super) fn ladder(file: &mut Fields<'_>, problems: &mut Problems) -> Option<Ladder> {
    let mut ladder = Ladder::default();
    if let Some(mut fields) = file.table("ladder", "[ladder]", problems) {
        let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        if let Some(calls) = fields.number("calls", 0..=100_000, problems) {
            ladder.calls = size(calls);
        }
        if let Some(messages) = fields.number("messages", 1..=10_000, problems) {
            ladder.messages = size(messages);
        }
        if let Some(redact) = fields.flag("redact", problems) {
            ladder.redact = redact.value;
        }
        fields.finish(problems);
    }
    (ladder.calls > 0).then_some(ladder)
}

pub(super) fn softphone(file: &mut Fields<'_>, problems: &mut Problems) -> Option<Softphone> {
    let Some(mut fields) = file.table("softphone", "[softphone]", problems) else {
        return Some(Softphone::default());
    };
    let page = fields.flag("page", problems).is_none_or(|page| page.value);
    let mut servers = Vec::new();
    for server in fields.texts("servers", problems) {
        let rest = ["wss://", "ws://"]
            .iter()
            .find_map(|scheme| server.value.strip_prefix(scheme));
        // It goes into a browser's policy: nothing that could end the list of what it may connect to.
        let good = |c: char| c.is_ascii_alphanumeric() || "-._~:/[]%".contains(c);
        if rest.is_some_and(|rest| !rest.is_empty() && rest.chars().all(good)) {
            servers.push(server.value.to_owned());
        } else {
            let what = format!("`{}` is no WebSocket URL", server.value.escape_debug());
            problems.add(server.span, what, "as in \"wss://phones.example.test/sip\"");
        }
    }
    fields.finish(problems);
    page.then_some(Softphone { servers })
}

pub(super) fn api(file: &mut Fields<'_>, problems: &mut Problems) -> Option<Api> {
    let mut fields = file.table("api", "[api]", problems)?;
    let given = fields.text("listen", problems);
    let token = fields.text("token", problems);
    let listen = match &given {
        Some(given) => socket_address("listen", given, problems).map(|address| address.value),
        None => Some(SocketAddr::from(([127, 0, 0, 1], 8080))),
    };
    let outside = listen.is_some_and(|listen| !listen.ip().to_canonical().is_loopback());
    match (&token, given) {
        (None, Some(given)) if outside => {
            let what = format!("the API is open to the network on {} without a token", given.value);
            problems.add(given.span, what, "add token = \"…\", or listen on 127.0.0.1");
        }
        (Some(token), _) => {
            // RFC 6750 §2.1: the characters of a bearer token.
            let good = |c: char| c.is_ascii_alphanumeric() || "-._~+/=".contains(c);
            if token.value.is_empty() || !token.value.chars().all(good) {
                let hint = "letters, digits and -._~+/= (RFC 6750 §2.1), as `openssl rand -hex 16` prints them";
                problems.add(
                    token.span.clone(),
                    "`token` cannot stand in an Authorization header",
                    hint,
                );
            } else if outside && token.value.len() < 16 {
                let hint = "take one from `openssl rand -hex 16`";
                problems.add(
                    token.span.clone(),
                    "`token` is too short for an API that others can reach",
                    hint,
                );
            }
        }
        (None, _) => {}
    }
    fields.finish(problems);
    listen.map(|listen| Api {
        listen,
        token: token.map(|token| token.value.to_owned()),
    })
}
