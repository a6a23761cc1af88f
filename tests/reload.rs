//! SIGHUP: the file is read again while a call is up; and the way out, while a call is up.

#![allow(clippy::unwrap_used, reason = "a test stops where something is not as it should be")]

mod sockets;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use sockets::{DOMAIN, Phones, now};
use warmline::phone::{CallState, EndReason};

/// `warmline run` as a process of its own, and what it says.
struct Running {
    process: Child,
    said: Receiver<String>,
    complained: Receiver<String>,
    file: PathBuf,
    address: SocketAddr,
}

fn lines(source: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(source).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

fn said(lines: &Receiver<String>, words: &str) -> String {
    loop {
        let line = lines.recv_timeout(Duration::from_secs(20));
        let line = line.unwrap_or_else(|_| panic!("`{words}` was never said"));
        if line.contains(words) {
            return line;
        }
    }
}

fn text(users: &[&str], domain: &str) -> String {
    let user = |name: &&str| format!("[[user]]\nname = \"{name}\"\npassword = \"secret\"\n");
    let users: String = users.iter().map(user).collect();
    format!(
        "[edge]\ndomain = \"{domain}\"\n[[listen]]\ntransport = \"udp\"\naddress = \"127.0.0.1:0\"\n[log]\nlevel = \"warn\"\n{users}"
    )
}

impl Running {
    fn start(name: &str, users: &[&str]) -> Running {
        let file = std::env::temp_dir().join(format!("warmline-reload-{}-{name}.toml", std::process::id()));
        std::fs::write(&file, text(users, DOMAIN)).unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_warmline"))
            .args(["run", "--config", file.to_str().unwrap()])
            .env_remove("RUST_LOG")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let heard = lines(process.stdout.take().unwrap());
        let complained = lines(process.stderr.take().unwrap());
        let line = said(&heard, "sip   udp ");
        let address = line.split_whitespace().last().unwrap().parse().unwrap();
        Running {
            process,
            said: heard,
            complained,
            file,
            address,
        }
    }

    fn signal(&self, name: &str) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    fn reload(&self, text: &str) {
        std::fs::write(&self.file, text).unwrap();
        self.signal("-HUP");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.process.kill().ok(); // it has ended already
        self.process.wait().ok(); // likewise
        std::fs::remove_file(&self.file).ok(); // a leftover in the temporary folder is no failure
    }
}

#[test]
fn a_reload_adds_a_user_and_the_call_goes_on() {
    let edge = Running::start("adds", &["alice", "bob"]);
    let mut phones = Phones::default();
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| phones.add(name, edge.address));
    phones.register(alice);
    phones.register(bob);
    let (call, at_bob) = phones.connect(alice, bob, "bob");

    edge.reload(&text(&["alice", "bob", "carol"], "elsewhere.test"));
    let told = said(&edge.said, "reloaded:");
    assert!(told.contains("users: 1 added"), "{told}");
    assert!(told.contains("left until the next start: [edge] domain"), "{told}");
    phones.register(carol);
    assert!(phones.talk(alice, call, bob, at_bob));

    // A bad file is told whole and changes nothing.
    edge.reload("[edge]\ndomian = \"x\"\n[[listen]]\ntransport = \"udb\"\n");
    said(&edge.complained, "did you mean `domain`?");
    said(&edge.complained, "did you mean \"udp\"?");
    said(&edge.complained, "the running configuration stays");
    phones.register(carol);
    phones.phone(alice).bye(now(), call).unwrap();
    phones.until("bob hears it", |phones| {
        phones.phone(bob).state(at_bob) == Some(CallState::Ended(EndReason::HungUpByRemote))
    });

    // Who is taken out is not reachable any more.
    edge.reload(&text(&["alice", "carol"], DOMAIN));
    assert!(said(&edge.said, "reloaded:").contains("1 removed"));
    let call = phones.phone(alice).call(now(), &format!("sip:bob@{DOMAIN}"));
    phones.until("nobody is there", |phones| {
        phones.phone(alice).state(call) == Some(CallState::Ended(EndReason::Refused(404)))
    });
}

#[test]
fn an_edge_that_stops_takes_no_new_call_and_lets_the_running_one_end() {
    let mut edge = Running::start("drains", &["alice", "bob", "carol"]);
    let mut phones = Phones::default();
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| phones.add(name, edge.address));
    for phone in [alice, bob, carol] {
        phones.register(phone);
    }
    let (call, at_bob) = phones.connect(alice, bob, "bob");
    edge.signal("-TERM");
    // The signal is on its way: until it has come, a call may still ring.
    let refused = Some(CallState::Ended(EndReason::Refused(503)));
    let mut tried = phones.phone(carol).call(now(), &format!("sip:alice@{DOMAIN}"));
    phones.until("a new call is refused", |phones| {
        let state = phones.phone(carol).state(tried);
        if state == Some(CallState::Early) {
            phones.phone(carol).cancel(now(), tried).unwrap();
        } else if matches!(state, Some(CallState::Ended(_))) && state != refused {
            tried = phones.phone(carol).call(now(), &format!("sip:alice@{DOMAIN}"));
        }
        state == refused
    });
    assert!(phones.talk(alice, call, bob, at_bob));
    phones.phone(alice).bye(now(), call).unwrap();
    phones.until("bob hears it", |phones| {
        phones.phone(bob).state(at_bob) == Some(CallState::Ended(EndReason::HungUpByRemote))
    });
    said(&edge.said, "nothing was left");
    assert_eq!(edge.process.wait().unwrap().code(), Some(0));
}
