//! Requests that a phone received: the last answer is repeated to a repeated request, and a final answer to INVITE is
//! repeated until its ACK (RFC 3261 §17.2, §13.3.1.4).
//!
//! | state | leaves it |
//! |---|---|
//! | `Open` | our final answer: INVITE → `Unacknowledged`, others → `Settled` |
//! | `Unacknowledged` | ACK → `Settled`; 64*T1 → `Settled`, and a call that was answered is ended with BYE |
//! | `Settled` | 64*T1 → gone |

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Phone;
use super::client::{GIVE_UP, T1, T2};
use super::event::PhoneCall;
use crate::sip::{Draft, HeaderName, Message, Method};

/// Names a received request; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ServerId(u64);

/// One received request.
#[derive(Debug)]
pub(super) struct Server {
    id: ServerId,
    branch: String,
    sent_by: String,
    pub(super) request: Message,
    pub(super) call: Option<PhoneCall>,
    last: Option<Bytes>,
    state: ServerState,
}

#[derive(Debug)]
enum ServerState {
    Open,
    Unacknowledged {
        status: u16,
        next: Option<Instant>,
        interval: Duration,
        until: Instant,
    },
    Settled {
        until: Instant,
    },
}

impl Server {
    fn is_invite(&self) -> bool {
        *self.request.method() == Method::Invite
    }

    /// An INVITE that is not answered yet.
    pub(super) fn is_open_invite(&self) -> bool {
        self.is_invite() && matches!(self.state, ServerState::Open)
    }

    /// An INVITE whose ACK has not come.
    pub(super) fn is_unacknowledged(&self) -> bool {
        matches!(self.state, ServerState::Unacknowledged { .. })
    }

    fn deadline(&self) -> Option<Instant> {
        match self.state {
            ServerState::Open | ServerState::Settled { .. } => None,
            ServerState::Unacknowledged { next, until, .. } => Some(next.map_or(until, |next| next.min(until))),
        }
    }
}

fn key(message: &Message) -> (String, String) {
    let sent_by = message
        .top_via()
        .map(|via| format!("{}:{}", via.host, via.port.unwrap_or(5060)));
    (
        message.branch().unwrap_or_default().to_owned(),
        sent_by.unwrap_or_default(),
    )
}

impl Phone {
    pub(super) fn server(&self, id: ServerId) -> Option<&Server> {
        self.servers.iter().find(|server| server.id == id)
    }

    /// The INVITE of `call` that waits for our answer.
    pub(super) fn open_invite(&self, call: PhoneCall) -> Option<ServerId> {
        self.servers
            .iter()
            .find(|server| server.call == Some(call) && server.is_open_invite())
            .map(|server| server.id)
    }

    /// Whether an INVITE that came in `call` is unanswered or unacknowledged.
    pub(super) fn is_served(&self, call: PhoneCall) -> bool {
        let busy = |server: &Server| server.is_open_invite() || server.is_unacknowledged();
        self.servers
            .iter()
            .any(|server| server.call == Some(call) && busy(server))
    }

    /// A request came: absorbs repetitions and ACKs, passes the rest on.
    pub(super) fn handle_request(&mut self, now: Instant, request: Message) {
        let (branch, sent_by) = key(&request);
        let same = |server: &&mut Server| server.branch == branch && server.sent_by == sent_by;
        if *request.method() == Method::Ack {
            return self.handle_ack(now, &request, &branch);
        }
        let repeated = self
            .servers
            .iter_mut()
            .filter(|server| server.request.method() == request.method())
            .find(same);
        if let Some(server) = repeated {
            if let Some(last) = server.last.clone() {
                self.transmit(now, last);
            }
            return;
        }
        self.counter += 1;
        let id = ServerId(self.counter);
        if *request.method() == Method::Cancel {
            let invite = self
                .servers
                .iter_mut()
                .filter(|server| server.is_invite())
                .find(same)
                .map(|invite| invite.id);
            self.servers.push(Server {
                id,
                branch,
                sent_by,
                request: request.clone(),
                call: None,
                last: None,
                state: ServerState::Open,
            });
            return self.handle_cancel(now, id, invite, &request);
        }
        let (state, last, call) = (ServerState::Open, None, None);
        self.servers.push(Server {
            id,
            branch,
            sent_by,
            request: request.clone(),
            call,
            last,
            state,
        });
        self.handle_new_request(now, id, request);
    }

    /// Ties a received request to a call.
    pub(super) fn assign(&mut self, id: ServerId, call: PhoneCall) {
        if let Some(server) = self.servers.iter_mut().find(|server| server.id == id) {
            server.call = Some(call);
        }
    }

    /// Sends an answer without more to it.
    pub(super) fn answer_plainly(&mut self, now: Instant, id: ServerId, status: u16) {
        if let Some(draft) = self.response(id, status) {
            self.respond(now, id, &draft, status);
        }
    }

    /// An answer with what all our answers have: our tag, and the Record-Route that makes the route set (§12.1.1).
    pub(super) fn response(&self, id: ServerId, status: u16) -> Option<Draft> {
        let server = self.server(id)?;
        let tag = match server.call.and_then(|call| self.calls.get(call.0)) {
            Some(call) => call.local_tag.clone(),
            None => format!("{}-none", self.config.user),
        };
        let mut draft = server.request.respond(status).to_tag(&tag);
        if server.is_invite() && status < 300 {
            draft = draft.copy(&server.request, HeaderName::RecordRoute);
        }
        Some(draft)
    }

    /// Sends an answer, and repeats it as long as RFC 3261 wants.
    pub(super) fn respond(&mut self, now: Instant, id: ServerId, draft: &Draft, status: u16) {
        let bytes = draft.print();
        let reliable = self.is_reliable();
        let Some(server) = self.servers.iter_mut().find(|server| server.id == id) else {
            return;
        };
        server.last = Some(bytes.clone());
        if status >= 200 {
            // §13.3.1.4: a 2xx is repeated end to end even over a stream; other final answers only over datagrams.
            let next = (!reliable || status < 300).then(|| now + T1);
            server.state = match server.is_invite() {
                true => ServerState::Unacknowledged {
                    status,
                    next,
                    interval: T1,
                    until: now + GIVE_UP,
                },
                false => ServerState::Settled { until: now + GIVE_UP },
            };
        }
        self.transmit(now, bytes);
    }

    fn handle_ack(&mut self, now: Instant, ack: &Message, branch: &str) {
        let matches = |server: &&mut Server| match server.state {
            ServerState::Unacknowledged { status: ..300, .. } => {
                server.request.call_id() == ack.call_id() && server.request.cseq() == ack.cseq()
            }
            ServerState::Unacknowledged { .. } => server.branch == branch,
            ServerState::Open | ServerState::Settled { .. } => false,
        };
        let Some(server) = self.servers.iter_mut().find(matches) else {
            return;
        };
        let (call, answered) = (
            server.call,
            matches!(server.state, ServerState::Unacknowledged { status: ..300, .. }),
        );
        server.state = ServerState::Settled { until: now + GIVE_UP };
        if let (Some(call), true) = (call, answered) {
            self.acknowledged(now, call, ack);
        }
    }

    pub(super) fn server_deadline(&self) -> Option<Instant> {
        self.servers.iter().filter_map(Server::deadline).min()
    }

    pub(super) fn server_timeouts(&mut self, now: Instant) {
        self.servers.retain(|server| match server.state {
            ServerState::Settled { until } => until > now,
            ServerState::Open | ServerState::Unacknowledged { .. } => true,
        });
        let mut repeat = Vec::new();
        let mut given_up = Vec::new();
        for server in &mut self.servers {
            match &mut server.state {
                ServerState::Unacknowledged { until, status, .. } if *until <= now => {
                    if *status < 300 {
                        given_up.extend(server.call);
                    }
                    server.state = ServerState::Settled { until: now + GIVE_UP };
                }
                ServerState::Unacknowledged {
                    next: Some(next),
                    interval,
                    ..
                } if *next <= now => {
                    repeat.extend(server.last.clone());
                    *interval = (*interval * 2).min(T2);
                    *next = now + *interval;
                }
                ServerState::Open | ServerState::Unacknowledged { .. } | ServerState::Settled { .. } => {}
            }
        }
        for bytes in repeat {
            self.transmit(now, bytes);
        }
        for call in given_up {
            // §13.3.1.4: no ACK in 64*T1: the session is ended with BYE.
            self.complain("a 200 to INVITE was never acknowledged".to_owned());
            self.send_bye(now, call);
        }
    }
}
