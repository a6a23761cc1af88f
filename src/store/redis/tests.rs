//! Against a real server: `redis-server` on a port of its own (Debian's package of that name).

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, mpsc};

use super::*;
use crate::cluster::{Card, Claim, Holder, StoreAnswer, StoreOrder};
use crate::registrar::{StoredBinding, StoredUser};
use crate::store::rows;

/// A server that ends with the test.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start() -> Server {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new("redis-server")
            .args([
                "--port",
                &port.to_string(),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--dir",
                "/tmp",
            ])
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is missing: apt-get install redis-server");
        let server = Server {
            child,
            url: format!("redis://127.0.0.1:{port}/"),
        };
        let mut store = server.store(0);
        let answers = (0..200).any(|_| {
            std::thread::park_timeout(Duration::from_millis(50)); // until it listens; bounded
            store.ask(|connection| redis::cmd("PING").exec(connection)).is_ok()
        });
        assert!(answers, "redis-server does not answer");
        server
    }

    fn store(&self, node: u16) -> Redis {
        Redis::open(&self.url, "test:", node).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok(); // it may have ended
        self.child.wait().ok(); // likewise
    }
}

fn user(name: &str, cseq: u32) -> Stored {
    let binding = StoredBinding {
        aor: format!("sip:{name}@example.test").into(),
        contact: format!("<sip:{name}@192.0.2.1:5062>"),
        transport: "UDP".into(),
        local: "192.0.2.9:5060".parse().unwrap(),
        remote: "192.0.2.1:5062".parse().unwrap(),
        expires: 1_800_000_000,
        call_id: "r1".into(),
        cseq,
        local_registrar: true,
        instance: None,
        reg_id: None,
        q: 1_000,
        path: vec![],
    };
    Stored::User(StoredUser {
        user: name.into(),
        bindings: vec![binding],
    })
}

fn just(stored: Stored) -> StoredUser {
    let Stored::User(user) = stored else {
        panic!("no user");
    };
    user
}

fn claim(holder: u64) -> Claim {
    Claim {
        node: 0,
        token: 0,
        card: Some(Card {
            holder: Holder(holder),
            link: "192.0.2.1:7060".parse().unwrap(),
        }),
        listeners: vec!["192.0.2.1:5060".parse().unwrap()],
    }
}

fn take(store: &mut Redis, node: u16, expected: Option<u64>, holder: u64) -> StoreAnswer {
    let own = claim(holder);
    let order = StoreOrder::Claim {
        node,
        expected,
        card: own.card.unwrap(),
        listeners: own.listeners.clone(),
        above: 0,
    };
    store.perform(&order).unwrap()
}

fn won(answer: StoreAnswer) -> Held {
    let StoreAnswer::Won(held) = answer else {
        panic!("not won: {answer:?}");
    };
    held
}

fn renew(store: &mut Redis, held: Held, watch: &[u16]) -> (usize, Vec<(u64, u64)>) {
    let order = StoreOrder::Renew {
        held: vec![held],
        watch: watch.to_vec(),
    };
    let StoreAnswer::Renewed { refused, seen } = store.perform(&order).unwrap() else {
        panic!("not renewed");
    };
    let seen = seen.iter().map(|seen| (seen.claim.token, seen.beat));
    (refused.len(), seen.collect())
}

#[test]
fn all_nodes_have_the_key_of_the_first_and_keep_what_they_are_given() {
    let server = Server::start();
    let mut store = server.store(3);
    let first = Identity { key: [7; 16], node: 3 };
    assert_eq!(store.identity(first.clone()).unwrap(), first);
    let second = Identity { key: [8; 16], node: 4 };
    assert_eq!(server.store(4).identity(second).unwrap().key, [7; 16]);
    store.keep(&rows(&[user("alice", 1), user("bob", 1)])).unwrap();
    let nobody = StoredUser {
        user: "bob".into(),
        bindings: Vec::new(),
    };
    store.keep(&rows(&[user("alice", 2), Stored::User(nobody)])).unwrap();
    // Registrations belong to all.
    assert_eq!(server.store(4).records().unwrap(), [user("alice", 2)]);
    // What a node keeps is its own.
    let leg = Row {
        table: "legs",
        key: "leg-0-1".to_owned(),
        value: Some(b"1".to_vec()),
    };
    store.keep(std::slice::from_ref(&leg)).unwrap();
    let count = |node: u16| -> u64 {
        let key = format!("test:{node}:legs");
        server
            .store(0)
            .ask(|connection| redis::cmd("HLEN").arg(&key).query(connection))
            .unwrap()
    };
    assert_eq!((count(3), count(4)), (1, 0));
}

#[test]
fn who_was_taken_over_from_writes_nothing_any_more() {
    let server = Server::start();
    let mut store = server.store(0);
    let old = won(take(&mut store, 3, None, 1));
    assert!(
        matches!(take(&mut store, 3, None, 2), StoreAnswer::Lost { node: 3, by: Some(by) } if by.token == old.token)
    );
    let mut writer = store.of(Some(old), 1);
    writer.keep(&rows(&[user("alice", 1)])).unwrap();
    let new = won(take(&mut store, 3, Some(old.token), 2));
    assert!(new.token > old.token);
    let refused = writer.keep(&rows(&[user("alice", 2)]));
    assert!(
        matches!(refused, Err(StoreError::Fenced { node: 3, stands }) if stands == Some(new.token)),
        "{refused:?}"
    );
    assert_eq!(store.records().unwrap(), [user("alice", 1)], "nothing was written");
    store.of(Some(new), 2).keep(&rows(&[user("alice", 3)])).unwrap();
    assert_eq!(renew(&mut store, old, &[]).0, 1, "and it is told so when it renews");
    assert_eq!(renew(&mut store, new, &[]).0, 0);
}

#[test]
fn a_beat_grows_with_each_renewal_and_watchers_see_it() {
    let server = Server::start();
    let mut store = server.store(0);
    let (one, two) = (won(take(&mut store, 1, None, 1)), won(take(&mut store, 2, None, 2)));
    assert_ne!(one.token, two.token);
    let before = renew(&mut store, two, &[1, 9]).1;
    renew(&mut store, one, &[]);
    let after = renew(&mut store, two, &[1, 9]).1;
    assert_eq!((before.len(), after.len()), (1, 1), "who is not there is not shown");
    assert!(after[0].1 > before[0].1 && after[0].0 == one.token);
    let StoreAnswer::Looked(seen) = store.perform(&StoreOrder::Look).unwrap() else {
        panic!("not looked");
    };
    assert_eq!(seen.len(), 2);
}

#[test]
fn a_server_that_has_forgotten_everything_says_so_and_tokens_go_on() {
    let server = Server::start();
    let mut store = server.store(0);
    let held = won(take(&mut store, 3, None, 1));
    store.ask(|connection| redis::cmd("FLUSHALL").exec(connection)).unwrap();
    assert_eq!(
        renew(&mut store, held, &[3]),
        (1, vec![]),
        "refused, and nothing stands there"
    );
    let refused = store.of(Some(held), 1).keep(&rows(&[user("alice", 1)]));
    assert!(
        matches!(refused, Err(StoreError::Fenced { node: 3, stands: None })),
        "{refused:?}"
    );
    let own = claim(1);
    let order = StoreOrder::Claim {
        node: 3,
        expected: None,
        card: own.card.unwrap(),
        listeners: own.listeners.clone(),
        above: 41,
    };
    assert_eq!(won(store.perform(&order).unwrap()).token, 42, "tokens never come twice");
    let next = won(take(&mut store, 4, None, 3));
    assert_eq!(next.token, 43);
    // What was given up with records stays, for whoever comes first.
    let order = StoreOrder::Release {
        held: next,
        empty: false,
    };
    store.perform(&order).unwrap();
    let taken = won(take(&mut store, 4, Some(next.token), 1));
    assert!(taken.token > next.token);
    let order = StoreOrder::Release {
        held: taken,
        empty: true,
    };
    store.perform(&order).unwrap();
    assert_eq!(renew(&mut store, taken, &[4]), (1, vec![]));
}

#[test]
fn the_others_hear_of_a_registration_and_its_writer_does_not() {
    let server = Server::start();
    let mut store = server.store(0);
    store.keep(&rows(&[user("alice", 1)])).unwrap();
    let (told, heard) = mpsc::channel();
    let wanted = Arc::new(AtomicBool::new(true));
    let listener = store.of(None, 2);
    let news: News = Box::new(move |users, live| drop(told.send((users, live))));
    let still = Arc::clone(&wanted);
    let thread = std::thread::spawn(move || listener.listen(&still, &news));
    let patience = Duration::from_secs(10);
    let first = heard.recv_timeout(patience).unwrap();
    assert_eq!(first, (vec![just(user("alice", 1))], false), "first everybody");
    store.of(None, 2).keep(&rows(&[user("bob", 1)])).unwrap();
    store.of(None, 1).keep(&rows(&[user("carol", 1)])).unwrap();
    let users = heard.recv_timeout(patience).unwrap();
    assert_eq!(users, (vec![just(user("carol", 1))], true));
    wanted.store(false, std::sync::atomic::Ordering::Relaxed);
    thread.join().unwrap();
}

#[test]
fn a_server_that_is_gone_slow_full_or_may_only_be_read_is_an_error_and_nothing_more() {
    let server = Server::start();
    let ask = |words: &[&str]| {
        let mut command = redis::cmd(words[0]);
        for word in &words[1..] {
            command.arg(*word);
        }
        server.store(0).ask(|connection| command.exec(connection)).unwrap();
    };
    let mut store = server.store(0).with_patience(Duration::from_millis(200));
    let held = won(take(&mut store, 3, None, 1));
    let mut writer = store.of(Some(held), 1);
    let keep = |writer: &mut Redis| writer.keep(&rows(&[user("alice", 1)]));
    let troubles: [(&[&str], &[&str]); 3] = [
        (
            &["CONFIG", "SET", "maxmemory", "1"],
            &["CONFIG", "SET", "maxmemory", "0"],
        ),
        (&["REPLICAOF", "127.0.0.1", "1"], &["REPLICAOF", "NO", "ONE"]),
        (&["CLIENT", "PAUSE", "600", "ALL"], &["PING"]),
    ];
    for (trouble, end) in troubles {
        keep(&mut writer).unwrap();
        ask(trouble);
        assert!(
            matches!(keep(&mut writer), Err(StoreError::Unreachable { .. })),
            "{trouble:?}"
        );
        ask(end);
        keep(&mut writer).unwrap();
    }
    drop(server);
    let error = keep(&mut writer).unwrap_err();
    assert!(matches!(error, StoreError::Unreachable { .. }) && !error.hint().is_empty());
}
