//! Requests that a phone sent: retransmission, final answers, ACK and CANCEL (RFC 3261 §17.1, §9.1).
//!
//! | state | leaves it |
//! |---|---|
//! | `Waiting` | provisional (INVITE) → `Proceeding`; final → `Done`; 64*T1 → 408 |
//! | `Proceeding` | final → `Done`; no timer: a phone may ring for longer than 64*T1 |
//! | `Done` | 64*T1 → gone; meanwhile a repeated final answer to INVITE gets its ACK again |

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Phone;
use super::call::Offer;
use super::event::PhoneCall;
use super::request::Request;
use crate::sip::{HeaderName, Message, Method};

pub(super) const T1: Duration = Duration::from_millis(500);
pub(super) const T2: Duration = Duration::from_secs(4);
/// 64*T1.
pub(super) const GIVE_UP: Duration = Duration::from_secs(32);

/// What a request was sent for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Register,
    Invite(PhoneCall),
    Reinvite(PhoneCall, Offer),
    Update(PhoneCall, Offer),
    Cancel(PhoneCall),
    Bye(PhoneCall),
    Refer(PhoneCall),
    Notify(PhoneCall),
    Raw(Option<PhoneCall>),
}

impl Purpose {
    pub(super) fn call(self) -> Option<PhoneCall> {
        match self {
            Purpose::Register => None,
            Purpose::Invite(call)
            | Purpose::Reinvite(call, _)
            | Purpose::Update(call, _)
            | Purpose::Cancel(call)
            | Purpose::Bye(call)
            | Purpose::Refer(call)
            | Purpose::Notify(call) => Some(call),
            Purpose::Raw(call) => call,
        }
    }
}

/// One request on its way.
#[derive(Debug)]
pub(super) struct Client {
    branch: String,
    via: String,
    pub(super) request: Request,
    pub(super) purpose: Purpose,
    bytes: Bytes,
    state: ClientState,
    /// Challenges answered so far: a second one for the same credentials means that they are wrong.
    challenges: u8,
    /// CANCEL is wanted as soon as a provisional answer allows it.
    cancel: bool,
}

#[derive(Debug)]
enum ClientState {
    Waiting {
        next: Option<Instant>,
        interval: Duration,
        until: Instant,
    },
    Proceeding,
    Done {
        ack: Option<Bytes>,
        tag: Option<String>,
        until: Instant,
    },
}

impl Client {
    pub(super) fn is_pending(&self) -> bool {
        match self.state {
            ClientState::Waiting { .. } | ClientState::Proceeding => true,
            ClientState::Done { .. } => false,
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match self.state {
            ClientState::Waiting { next, until, .. } => Some(next.map_or(until, |next| next.min(until))),
            ClientState::Proceeding => None,
            // Only absorbs repetitions: it may go with the next other message and asks for no wake-up.
            ClientState::Done { .. } => None,
        }
    }
}

impl Phone {
    /// Sends a request and keeps it until its final answer.
    pub(super) fn send(&mut self, now: Instant, request: Request, purpose: Purpose) {
        self.send_again(now, request, purpose, 0);
    }

    fn send_again(&mut self, now: Instant, request: Request, purpose: Purpose, challenges: u8) {
        let branch = format!("z9hG4bK-{}", self.token());
        let via = self.via(&branch);
        let bytes = request.print(&via);
        let next = (!self.is_reliable()).then(|| now + T1);
        let state = ClientState::Waiting {
            next,
            interval: T1,
            until: now + GIVE_UP,
        };
        self.transmit(now, bytes.clone());
        self.clients.push(Client {
            branch,
            via,
            request,
            purpose,
            bytes,
            state,
            challenges,
            cancel: false,
        });
    }

    /// Sends the ACK of a 2xx: a transaction of its own without an answer (RFC 3261 §13.2.2.4).
    pub(super) fn send_ack(&mut self, now: Instant, request: &Request) -> Bytes {
        let branch = format!("z9hG4bK-{}", self.token());
        let bytes = request.print(&self.via(&branch));
        self.transmit(now, bytes.clone());
        bytes
    }

    /// Asks for the CANCEL of the INVITE that made `call`; it goes out once a provisional answer has come.
    pub(super) fn cancel_invite(&mut self, now: Instant, call: PhoneCall) {
        let found = self
            .clients
            .iter_mut()
            .find(|client| client.purpose == Purpose::Invite(call) && client.is_pending());
        let Some(client) = found else { return };
        client.cancel = true;
        self.cancel_if_allowed(now, call);
    }

    fn cancel_if_allowed(&mut self, now: Instant, call: PhoneCall) {
        let wanted = |client: &&mut Client| {
            client.purpose == Purpose::Invite(call) && client.cancel && matches!(client.state, ClientState::Proceeding)
        };
        let Some(client) = self.clients.iter_mut().find(wanted) else {
            return;
        };
        client.cancel = false;
        // RFC 3261 §9.1: CANCEL carries the INVITE's own Via, so that it matches it.
        let (branch, via, request) = (client.branch.clone(), client.via.clone(), client.request.to_cancel());
        let bytes = request.print(&via);
        let next = (!self.is_reliable()).then(|| now + T1);
        let state = ClientState::Waiting {
            next,
            interval: T1,
            until: now + GIVE_UP,
        };
        self.transmit(now, bytes.clone());
        let purpose = Purpose::Cancel(call);
        self.clients.push(Client {
            branch,
            via,
            request,
            purpose,
            bytes,
            state,
            challenges: 0,
            cancel: false,
        });
    }

    /// Whether a request of this kind still waits for its final answer.
    pub(super) fn is_waiting(&self, wanted: impl Fn(Purpose) -> bool) -> bool {
        self.clients
            .iter()
            .any(|client| client.is_pending() && wanted(client.purpose))
    }

    pub(super) fn client_deadline(&self) -> Option<Instant> {
        self.clients.iter().filter_map(Client::deadline).min()
    }

    /// Repeats what is due and gives up what is overdue (RFC 3261 §17.1.1.2, §17.1.2.2).
    pub(super) fn client_timeouts(&mut self, now: Instant) {
        self.clients.retain(|client| match client.state {
            ClientState::Done { until, .. } => until > now,
            ClientState::Waiting { .. } | ClientState::Proceeding => true,
        });
        let mut repeat = Vec::new();
        let mut overdue = Vec::new();
        for client in &mut self.clients {
            match &mut client.state {
                ClientState::Waiting { until, .. } if *until <= now => {
                    overdue.push((client.purpose, client.request.method.clone()));
                    client.state = ClientState::Done {
                        ack: None,
                        tag: None,
                        until: now + GIVE_UP,
                    };
                }
                ClientState::Waiting {
                    next: Some(next),
                    interval,
                    ..
                } if *next <= now => {
                    repeat.push(client.bytes.clone());
                    // INVITE doubles without a cap, all others up to T2.
                    *interval = match client.request.method == Method::Invite {
                        true => *interval * 2,
                        false => (*interval * 2).min(T2),
                    };
                    *next = now + *interval;
                }
                ClientState::Waiting { .. } | ClientState::Proceeding | ClientState::Done { .. } => {}
            }
        }
        for bytes in repeat {
            self.transmit(now, bytes);
        }
        for (purpose, method) in overdue {
            self.timed_out(now, purpose, &method);
        }
    }

    /// A response came.
    pub(super) fn handle_response(&mut self, now: Instant, response: Message, status: u16) {
        let matches = |client: &&mut Client| {
            Some(client.branch.as_str()) == response.branch() && client.request.method == *response.method()
        };
        let Some(client) = self.clients.iter_mut().find(matches) else {
            self.complain(format!("{status} to a {} that nobody sent", response.method()));
            return;
        };
        let purpose = client.purpose;
        let is_invite = client.request.method == Method::Invite;
        match &client.state {
            ClientState::Done { ack, tag, .. } => {
                // RFC 3261 §13.2.2.4, §17.1.1.2: a repeated final answer gets the same ACK again.
                match (ack.clone(), tag.as_deref() == response.to_tag()) {
                    (Some(ack), true) => self.transmit(now, ack),
                    (Some(_), false) if is_invite && status < 300 => self.refuse_fork(now, purpose, &response),
                    (Some(_), false) | (None, _) => {}
                }
            }
            ClientState::Waiting { .. } | ClientState::Proceeding if status < 200 => {
                if is_invite {
                    client.state = ClientState::Proceeding;
                    if let Purpose::Invite(call) = purpose {
                        self.cancel_if_allowed(now, call);
                    }
                }
                self.provisional(now, purpose, &response, status);
            }
            ClientState::Waiting { .. } | ClientState::Proceeding => self.finish(now, response, status),
        }
    }

    fn finish(&mut self, now: Instant, response: Message, status: u16) {
        let Some(at) = self.clients.iter().position(|client| {
            Some(client.branch.as_str()) == response.branch() && client.request.method == *response.method()
        }) else {
            return;
        };
        let (request, purpose, challenges) = {
            let client = &self.clients[at];
            (client.request.clone(), client.purpose, client.challenges)
        };
        let mut ack = None;
        if request.method == Method::Invite && status >= 300 {
            let to = response.text(HeaderName::To).unwrap_or_default().to_owned();
            let bytes = request.to_ack(&to).print(&self.clients[at].via);
            self.transmit(now, bytes.clone());
            ack = Some(bytes);
        }
        let tag = response.to_tag().map(str::to_owned);
        self.clients[at].state = ClientState::Done {
            ack,
            tag: tag.clone(),
            until: now + GIVE_UP,
        };
        if matches!(status, 401 | 407)
            && challenges < 2
            && let Some((name, value)) = self.credentials(&response, status, &request)
        {
            let cseq = self.number_again(purpose, request.cseq);
            self.send_again(
                now,
                request.with_credentials(name, value, cseq),
                purpose,
                challenges + 1,
            );
            return;
        }
        if let (422, Purpose::Invite(call) | Purpose::Reinvite(call, _)) = (status, purpose)
            && let Some(request) = self.lengthened(call, &request, &response)
        {
            self.send_again(now, request, purpose, challenges);
            return;
        }
        let ack = self.completed(now, purpose, &request, response, status);
        if let (Some(ack), Some(client)) = (ack, self.clients.get_mut(at)) {
            client.state = ClientState::Done {
                ack: Some(ack),
                tag,
                until: now + GIVE_UP,
            };
        }
    }
}
