//! What outlives an edge: it is stopped and started again on the same port, with the same store.

#![allow(clippy::unwrap_used, reason = "a test stops where something is not as it should be")]

mod sockets;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;

use sockets::{DOMAIN, Phones, now};
use warmline::driver::{Edge, Options, StartError};
use warmline::engine::{Command, RegistrationView, Reply, Settings, User};
use warmline::phone::{CallState, EndReason};
use warmline::store::{Embedded, Memory, Store};
use warmline::transport::Transport;

struct File(PathBuf);

impl File {
    fn new(name: &str) -> File {
        let path = std::env::temp_dir().join(format!("warmline-restart-{}-{name}.db", std::process::id()));
        std::fs::remove_file(&path).ok();
        File(path)
    }

    fn open(&self) -> Box<dyn Store> {
        Box::new(Embedded::open(&self.0).unwrap())
    }
}

impl Drop for File {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).ok(); // a leftover in the temporary folder is no failure
    }
}

fn settings(address: SocketAddr, open: bool) -> Settings {
    let mut settings = Settings::loopback(address);
    settings.domain = DOMAIN.to_owned();
    settings.open = open;
    settings.users = ["alice", "bob"]
        .map(|name| User {
            name: name.to_owned(),
            password: "secret".to_owned(),
        })
        .into();
    let udp = settings.listeners[0];
    settings.listeners.push(warmline::engine::Listener {
        transport: Transport::Tcp,
        ..udp
    });
    // What a configuration without a store would draw at random.
    settings.key = random();
    settings
}

fn random() -> [u8; 16] {
    use std::hash::{BuildHasher, RandomState};
    let half = RandomState::new().hash_one(0);
    (u128::from(half) << 64 | u128::from(half)).to_be_bytes()
}

fn start(address: SocketAddr, open: bool, store: Box<dyn Store>) -> Edge {
    let options = Options {
        store: Some(store),
        ..Options::default()
    };
    Edge::start(settings(address, open), options).unwrap()
}

fn registrations(edge: &Edge) -> Vec<RegistrationView> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    match runtime.block_on(edge.handle().command(Command::Registrations)) {
        Ok(Reply::Registrations(views)) => views,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_phone_is_reached_after_a_restart_without_registering_again() {
    let file = File::new("udp");
    let first = start("127.0.0.1:0".parse().unwrap(), false, file.open());
    let address = first.listeners()[0].address;
    let mut phones = Phones::default();
    let (alice, bob) = (phones.add("alice", address), phones.add("bob", address));
    phones.register(alice);
    phones.register(bob);
    first.stop();

    let second = start(address, false, file.open());
    let views = registrations(&second);
    assert_eq!(views.len(), 2, "{views:?}");
    assert!(views.iter().all(|view| view.reachable && view.expires_s > 0));
    // Alice calls at once; her phone knows a nonce of the first process at most, and is asked for a new answer.
    let (call, at_bob) = phones.connect(alice, bob, "bob");
    phones.phone(alice).bye(now(), call).unwrap();
    phones.until("bob hears it", |phones| {
        phones.phone(bob).state(at_bob) == Some(CallState::Ended(EndReason::HungUpByRemote))
    });
    second.stop();
}

#[test]
fn the_key_is_that_of_the_process_before_and_the_nonces_are_not() {
    let store = Memory::default();
    let challenge = |edge: &Edge| {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(edge.listeners()[0].address).unwrap();
        socket
            .set_read_timeout(Some(std::time::Duration::from_secs(5)))
            .unwrap();
        socket.send(register("alice", "UDP", "1").as_bytes()).unwrap();
        let mut octets = [0; 4_096];
        let length = socket.recv(&mut octets).unwrap();
        let text = String::from_utf8_lossy(&octets[..length]).into_owned();
        assert!(text.starts_with("SIP/2.0 401"), "{text}");
        let nonce = text.split("nonce=\"").nth(1).unwrap().split('"').next().unwrap();
        nonce.to_owned()
    };
    let first = start("127.0.0.1:0".parse().unwrap(), false, Box::new(store.clone()));
    let one = challenge(&first);
    first.stop();
    let second = start("127.0.0.1:0".parse().unwrap(), false, Box::new(store.clone()));
    assert_ne!(one, challenge(&second));
    second.stop();
    let identity = |key| warmline::store::Identity { key, node: 0 };
    let kept = store.clone().identity(identity([1; 16])).unwrap();
    assert_eq!(store.clone().identity(identity([2; 16])).unwrap(), kept);
}

fn register(user: &str, transport: &str, cseq: &str) -> String {
    format!(
        "REGISTER sip:{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/{transport} 127.0.0.1:9;rport;branch=z9hG4bK{user}{cseq}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:{user}@{DOMAIN}>;tag=1\r\nTo: <sip:{user}@{DOMAIN}>\r\nCall-ID: r-{user}\r\n\
         CSeq: {cseq} REGISTER\r\nContact: <sip:{user}@127.0.0.1:9;transport={}>\r\nExpires: 600\r\nContent-Length: 0\r\n\r\n",
        transport.to_ascii_lowercase()
    )
}

fn over_tcp(address: SocketAddr, cseq: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(std::time::Duration::from_secs(5)))
        .unwrap();
    stream.write_all(register("bob", "TCP", cseq).as_bytes()).unwrap();
    let mut octets = [0; 4_096];
    let length = stream.read(&mut octets).unwrap();
    let text = String::from_utf8_lossy(&octets[..length]).into_owned();
    assert!(text.starts_with("SIP/2.0 200"), "{text}");
    stream
}

#[test]
fn a_phone_whose_connection_is_gone_is_not_dialled_until_it_comes_back() {
    let file = File::new("tcp");
    let first = start("127.0.0.1:0".parse().unwrap(), true, file.open());
    let address = first.listeners()[0].address;
    let connection = over_tcp(address, "1");
    first.stop();
    drop(connection);

    let second = start(address, true, file.open());
    let views = registrations(&second);
    assert_eq!((views.len(), views[0].reachable), (1, false), "{views:?}");
    let mut phones = Phones::default();
    let alice = phones.add("alice", address);
    phones.register(alice);
    let call = phones.phone(alice).call(now(), &format!("sip:bob@{DOMAIN}"));
    phones.until("the call fails at once", |phones| {
        matches!(
            phones.phone(alice).state(call),
            Some(CallState::Ended(EndReason::Refused(404 | 480)))
        )
    });
    // The same CSeq rules as before the restart, and the phone is back.
    let mut connection = over_tcp(address, "2");
    let views = registrations(&second);
    let bob = views.iter().find(|view| view.aor.contains("bob")).unwrap();
    assert!(bob.reachable && views.len() == 2, "{views:?}");
    phones.phone(alice).call(now(), &format!("sip:bob@{DOMAIN}"));
    for _ in 0..50 {
        phones.step();
        sockets::pause();
    }
    let mut octets = [0; 4_096];
    let length = connection.read(&mut octets).unwrap();
    assert!(octets[..length].starts_with(b"INVITE sip:bob@127.0.0.1:9"));
    second.stop();
}

#[test]
fn a_store_of_another_node_is_not_touched() {
    let store = Memory::default();
    start("127.0.0.1:0".parse().unwrap(), true, Box::new(store.clone())).stop();
    let mut settings = settings("127.0.0.1:0".parse().unwrap(), true);
    settings.node = 7;
    let options = Options {
        store: Some(Box::new(store)),
        ..Options::default()
    };
    let error = Edge::start(settings, options).unwrap_err();
    assert!(
        matches!(error, StartError::Store(_)) && error.hint().is_some(),
        "{error}"
    );
}
