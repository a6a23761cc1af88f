//! Our transaction layer, and a plain one to stand beside it, behind the same few verbs.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use bytes::Bytes;
use warmline::sip::{Draft, Message, Method};
use warmline::transaction::{Received, ServerHandle, Timers, Transactions};
use warmline::transport::{Flow, Transport, ViaParam};

const US: &str = "10.0.0.1:5060";

pub(crate) trait Layer {
    type Server;
    fn request_came(&mut self, now: Instant, request: Message) -> Self::Server;
    fn ack_came(&mut self, now: Instant, ack: Message);
    /// Whether it belongs to a request of ours.
    fn response_came(&mut self, now: Instant, response: Message) -> bool;
    fn request(&mut self, now: Instant, draft: &Draft);
    fn send_ack(&mut self, draft: &Draft);
    fn respond(&mut self, now: Instant, server: &Self::Server, response: &Bytes, status: u16);
    /// Everything that is due by then.
    fn advance(&mut self, now: Instant);
    fn transmitted(&mut self, to: &mut Vec<Bytes>);
    fn live(&self) -> usize;
}

fn flow(host: u8) -> Flow {
    Flow {
        transport: Transport::Udp,
        local: US.parse().expect("an address"),
        remote: ([10, 0, 0, host], 5060).into(),
        connection: 0,
    }
}

pub(crate) struct Ours {
    table: Transactions<u64>,
    caller: Flow,
    callee: Flow,
}

impl Ours {
    pub(crate) fn new() -> Ours {
        Ours {
            table: Transactions::new(Timers::default(), [7; 16]),
            caller: flow(2),
            callee: flow(3),
        }
    }
}

impl Layer for Ours {
    type Server = ServerHandle;

    fn request_came(&mut self, now: Instant, request: Message) -> ServerHandle {
        match self.table.receive(now, self.caller, request) {
            Some(Received::Request { server, .. }) => server,
            other => panic!("a new request became {other:?}"),
        }
    }

    fn ack_came(&mut self, now: Instant, ack: Message) {
        let received = self.table.receive(now, self.caller, ack);
        assert!(matches!(received, Some(Received::Ack { .. })));
    }

    fn response_came(&mut self, now: Instant, response: Message) -> bool {
        let received = self.table.receive(now, self.callee, response);
        matches!(received, Some(Received::Response { user: 4711, .. }))
    }

    fn request(&mut self, now: Instant, draft: &Draft) {
        self.table.request(now, self.callee, US, draft, 4711);
    }

    fn send_ack(&mut self, draft: &Draft) {
        self.table.send_ack(self.callee, US, draft);
    }

    fn respond(&mut self, now: Instant, server: &ServerHandle, response: &Bytes, status: u16) {
        assert!(self.table.respond(now, *server, response.clone(), status));
    }

    fn advance(&mut self, now: Instant) {
        while let Some(due) = self.table.poll_timeout().filter(|due| *due <= now) {
            self.table.handle_timeout(due);
            while self.table.poll_event().is_some() {}
        }
    }

    fn transmitted(&mut self, to: &mut Vec<Bytes>) {
        to.extend(std::iter::from_fn(|| self.table.poll_transmit()).map(|transmit| transmit.bytes));
    }

    fn live(&self) -> usize {
        let (clients, servers) = self.table.live();
        clients + servers
    }
}

/// A table as one writes it on the first day: one map by a text made of branch, sent-by and method; one ordered set of
/// timers; a timer is taken out and put in again whenever a transaction changes. It does the same for a call that goes
/// well, and nothing for one that does not: no CANCEL, no merged requests, no failed flows.
pub(crate) struct Naive {
    map: HashMap<String, Entry>,
    timers: BTreeSet<(Instant, String)>,
    sent: Vec<Bytes>,
    branches: u64,
}

struct Entry {
    /// What would be sent again.
    last: Bytes,
    again: bool,
    interval: Duration,
    due: Instant,
    user: u64,
}

const T1: Duration = Duration::from_millis(500);

impl Naive {
    pub(crate) fn new() -> Naive {
        Naive {
            map: HashMap::new(),
            timers: BTreeSet::new(),
            sent: Vec::new(),
            branches: 0,
        }
    }

    fn put(&mut self, key: String, last: Bytes, again: bool, due: Instant) {
        let entry = Entry {
            last,
            again,
            interval: T1,
            due,
            user: 4711,
        };
        self.timers.insert((due, key.clone()));
        if let Some(old) = self.map.insert(key.clone(), entry) {
            self.timers.remove(&(old.due, key));
        }
    }

    fn branch(&mut self) -> String {
        self.branches += 1;
        format!("z9hG4bK{:016x}", self.branches.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn print(&mut self, branch: &str, draft: &Draft) -> Bytes {
        let via = ViaParam {
            transport: Transport::Udp,
            sent_by: US,
            branch,
        };
        let bytes = draft.print_with_via(via);
        self.sent.push(bytes.clone());
        bytes
    }
}

fn server_key(request: &Message, method: &Method) -> String {
    let via = request.top_via().expect("a Via");
    let branch = request.branch().expect("a branch");
    format!("{branch} {}:{} {method}", via.host, via.port.unwrap_or(5060))
}

impl Layer for Naive {
    type Server = String;

    fn request_came(&mut self, now: Instant, request: Message) -> String {
        let key = server_key(&request, request.method());
        assert!(!self.map.contains_key(&key), "a new request");
        let due = now + Duration::from_millis(200);
        self.put(key.clone(), request.bytes().clone(), false, due);
        key
    }

    fn ack_came(&mut self, _: Instant, ack: Message) {
        // The ACK of a 2xx has a branch of its own and goes to the user.
        assert!(!self.map.contains_key(&server_key(&ack, &Method::Invite)));
    }

    fn response_came(&mut self, now: Instant, response: Message) -> bool {
        let key = format!("{} {}", response.branch().unwrap_or_default(), response.method());
        let Some(entry) = self.map.get_mut(&key) else {
            return false;
        };
        let user = entry.user;
        self.timers.remove(&(entry.due, key.clone()));
        entry.again = false;
        let wait = match (response.status(), response.method()) {
            (Some(100..=199), _) => 3_600,
            (_, Method::Invite) => 32,
            _ => 5,
        };
        entry.due = now + Duration::from_secs(wait);
        self.timers.insert((entry.due, key));
        user == 4711
    }

    fn request(&mut self, now: Instant, draft: &Draft) {
        let branch = self.branch();
        let bytes = self.print(&branch, draft);
        let key = format!("{branch} {}", draft.method().expect("a request"));
        self.put(key, bytes, true, now + T1);
    }

    fn send_ack(&mut self, draft: &Draft) {
        let branch = self.branch();
        self.print(&branch, draft);
    }

    fn respond(&mut self, now: Instant, server: &String, response: &Bytes, status: u16) {
        let wait = if status < 200 { 3_600 } else { 32 };
        self.put(server.clone(), response.clone(), false, now + Duration::from_secs(wait));
        self.sent.push(response.clone());
    }

    fn advance(&mut self, now: Instant) {
        while let Some((due, key)) = self.timers.first().filter(|(due, _)| *due <= now).cloned() {
            self.timers.pop_first();
            match self.map.get_mut(&key) {
                Some(entry) if entry.again => {
                    entry.interval *= 2;
                    entry.due = due + entry.interval;
                    self.sent.push(entry.last.clone());
                    self.timers.insert((entry.due, key));
                }
                Some(_) | None => drop(self.map.remove(&key)),
            }
        }
    }

    fn transmitted(&mut self, to: &mut Vec<Bytes>) {
        to.append(&mut self.sent);
    }

    fn live(&self) -> usize {
        self.map.len()
    }
}
