//! A request that passes without a dialog of ours: to one place or to several, and the one answer that goes back.
//!
//! RFC 3261 §16.6 (targets, forks), §16.7 (best response), §16.8 (timer C is for INVITE, which never comes here); RFC 3263
//! §4.3 (the next place); RFC 4320 §4.2 (silence stays silence); RFC 5393 (loops, breadth); RFC 5626 §5.3 (430).
//!
//! | a branch says | what goes back |
//! |---|---|
//! | 100 | nothing |
//! | 101–199 | the same, at once |
//! | 2xx | the same, at once; what others say later is dropped |
//! | 503, silence, a flow that fails, and there is another place | nothing yet: the next place is tried |
//! | anything else | nothing until the last branch has spoken; then the best: 6xx, else the lowest class |
//! | 401, 407 as the best | with the challenges of all branches |
//! | silence of some for three quarters of 64*T1 | the best of the others |
//! | silence of all | nothing |

use std::time::Instant;

use super::Engine;
use super::locate::Asker;
use super::route::Caller;
use super::secure::{is_secure, onward_secure, wants_sips};
use crate::leg::TransactionUser;
use crate::proxy::{self, Refused};
use crate::sip::{Forward, HeaderName, Message, Method, Uri};
use crate::transaction::{ClientHandle, ServerHandle};
use crate::transport::Flow;
use crate::transport::locate::{LookupFailed, Place, Wanted};

/// RFC 5393 §5.3.3: where the request does not say how broadly it may be forked.
pub(super) const MAX_BREADTH: u32 = 60;

/// One way on for a request.
#[derive(Clone, Debug)]
pub(super) struct Onward {
    pub(super) flow: Flow,
    /// Where to try when `flow` fails.
    pub(super) next: Vec<Flow>,
    /// The new Request-URI; `None`: it stays, or names the PBX.
    pub(super) target: Option<Uri>,
    /// The host is to be looked up first.
    pub(super) wanted: Option<Wanted>,
    /// A phone's own flow: when it has gone there is no other way to that phone.
    pub(super) phone: bool,
}

#[derive(Debug)]
struct Branch {
    number: u32,
    /// `None`: it waits for a look-up.
    client: Option<ClientHandle>,
    onward: Onward,
}

/// A request on its way, for its responses.
#[derive(Debug)]
pub(super) struct Passing {
    from: Flow,
    request: Message,
    branches: Vec<Branch>,
    /// The final responses that have come.
    finals: Vec<Message>,
    /// What the edge says of branches that nobody answered, if it says anything.
    failed: Option<(u16, String)>,
    breadth: Option<u32>,
}

impl Engine {
    /// Passes a request on along all these ways at once.
    pub(super) fn forward(
        &mut self,
        now: Instant,
        from: Flow,
        server: ServerHandle,
        request: Message,
        ways: Vec<Onward>,
    ) {
        let ways = onward_secure(&request, ways);
        if ways.is_empty() || (wants_sips(&request) && !is_secure(&from)) {
            self.refuse_sips(now, server, &request);
            return;
        }
        let pbx = self.caller(&from, &request) == Caller::Pbx;
        if self.proxy.has_looped(&request, pbx) {
            self.legs().refuse(now, server, &request, 482, Some("Loop Detected"));
            return;
        }
        // RFC 5393 §5.3.3: the sum over all branches is at most what came.
        let breadth = request.number(HeaderName::MaxBreadth);
        let count = u32::try_from(ways.len()).unwrap_or(u32::MAX).max(1);
        let share = breadth.unwrap_or(MAX_BREADTH) / count;
        if share == 0 {
            self.legs().refuse(now, server, &request, 440, None);
            return;
        }
        let numbered = ways.into_iter().zip(0..);
        let branches: Vec<_> = numbered
            .map(|(onward, number)| Branch {
                number,
                client: None,
                onward,
            })
            .collect();
        let waiting: Vec<_> = branches.iter().map(|branch| branch.number).collect();
        if waiting.len() > 1 {
            // The sender gives up when its timer F comes, and with it our transaction: an answer that waits for a phone which
            // is silent until then would wait for nobody.
            let patience = self.settings.timers.give_up() * 3 / 4;
            self.patience.add(now + patience, server);
        }
        self.forwarded.insert(
            server,
            Passing {
                from,
                request,
                branches,
                finals: Vec::new(),
                failed: None,
                breadth: (breadth.is_some() || count > 1).then_some(share),
            },
        );
        for number in waiting {
            if let Err(refusal) = self.send_branch(now, server, number) {
                // What is wrong with the request is wrong with every branch: none has gone out.
                self.forwarded.remove(&server);
                self.answer(now, server, &refusal);
                return;
            }
        }
    }

    /// Sends one branch to where it goes now, or asks where that is.
    fn send_branch(&mut self, now: Instant, server: ServerHandle, number: u32) -> Result<(), Refused> {
        let Some(passing) = self.forwarded.get(&server) else {
            return Ok(());
        };
        let Some(branch) = passing.branches.iter().find(|branch| branch.number == number) else {
            return Ok(());
        };
        let (onward, from, request) = (branch.onward.clone(), passing.from, passing.request.clone());
        let breadth = passing.breadth;
        let (out, target) = (onward.flow, onward.target.as_ref());
        let edge = self.transfers.calls.legs.identity.host_port(&out);
        let pbx = self.caller(&from, &request) == Caller::Pbx;
        let mut forward = match request.method() {
            // RFC 3327 §5.1: the PBX keeps the binding and will come back along our Path.
            Method::Register => self
                .proxy
                .register_through(&request, &from, &self.flows, &edge, out.transport)?,
            // What comes later in this dialog, from either side, finds the phone along its flow.
            Method::Subscribe => {
                let phone = if pbx { &out } else { &from };
                let identity = &self.transfers.calls.legs.identity;
                let sides = [&from, &out].map(|flow| (flow.transport, identity.host_port(flow)));
                self.proxy
                    .forward_recorded(&request, phone, &self.flows, &sides, target)?
            }
            Method::Invite
            | Method::Ack
            | Method::Bye
            | Method::Cancel
            | Method::Options
            | Method::Refer
            | Method::Notify
            | Method::Prack
            | Method::Update
            | Method::Info
            | Method::Message
            | Method::Publish
            | Method::Extension(_) => self.proxy.forward(&request, &self.flows, target)?,
        };
        if let Some(share) = breadth {
            forward = forward.set(HeaderName::MaxBreadth, share);
        }
        if let Some(wanted) = onward.wanted {
            self.look_up(now, Asker::Forward(server, number), wanted);
            return Ok(());
        }
        let mark = self.proxy.loop_mark(&request, pbx);
        let method = forward.method().clone();
        let user = TransactionUser::Forwarded(server);
        let print = |via: crate::transport::ViaParam<'_>| -> bytes::Bytes {
            let branch = format!("{}.{mark}", via.branch);
            let via = crate::transport::ViaParam { branch: &branch, ..via };
            forward.clone().push_via(via).print()
        };
        let transactions = &mut self.transfers.calls.legs.transactions;
        let client = transactions.forward(now, out, &edge, method, user, print);
        if let Some(branch) = self.branch(server, number) {
            branch.client = Some(client);
        }
        Ok(())
    }

    fn branch(&mut self, server: ServerHandle, number: u32) -> Option<&mut Branch> {
        let passing = self.forwarded.get_mut(&server)?;
        passing.branches.iter_mut().find(|branch| branch.number == number)
    }

    /// What came of a branch's look-up.
    pub(super) fn forward_located(
        &mut self,
        now: Instant,
        server: ServerHandle,
        number: u32,
        wanted: &Wanted,
        found: Result<Vec<Place>, LookupFailed>,
    ) {
        let flows = found.map(|places| {
            let identity = &self.transfers.calls.legs.identity;
            places.iter().map(|place| identity.flow_to(place)).collect::<Vec<_>>()
        });
        match flows {
            Ok(flows) => {
                let mut flows = flows.into_iter();
                if let (Some(branch), Some(first)) = (self.branch(server, number), flows.next()) {
                    (branch.onward.wanted, branch.onward.flow, branch.onward.next) = (None, first, flows.collect());
                    self.send_branch(now, server, number).ok(); // it passed all checks before the look-up
                }
            }
            Err(why) => {
                if let Some(passing) = self.forwarded.get_mut(&server) {
                    passing.branches.retain(|branch| branch.number != number);
                    passing.failed = Some((why.status(), why.reason(&wanted.host)));
                }
                self.conclude(now, server);
            }
        }
    }

    /// A response to one branch.
    pub(super) fn forwarded_answered(
        &mut self,
        now: Instant,
        server: ServerHandle,
        client: ClientHandle,
        response: Message,
    ) {
        let status = response.status().unwrap_or(0);
        let Some(passing) = self.forwarded.get_mut(&server) else {
            return;
        };
        let Some(at) = passing.branches.iter().position(|branch| branch.client == Some(client)) else {
            return;
        };
        match status {
            // RFC 3261 §16.7 step 5: 100 is for one hop.
            0..=100 => {}
            101..=199 => {
                let bytes = proxy::response_back(&response);
                self.legs().transactions.respond(now, server, bytes, status);
            }
            _ => {
                if status == 503 && self.try_next(now, server, at, Some(&response)) {
                    return;
                }
                let Some(passing) = self.forwarded.get_mut(&server) else {
                    return;
                };
                passing.branches.swap_remove(at);
                passing.finals.push(response);
                if status < 300 {
                    passing.branches.clear();
                }
                self.conclude(now, server);
            }
        }
    }

    /// No response to one branch: 408 for silence, 503 for a transport error.
    pub(super) fn forwarded_unanswered(
        &mut self,
        now: Instant,
        server: ServerHandle,
        client: ClientHandle,
        status: u16,
    ) {
        let Some(passing) = self.forwarded.get_mut(&server) else {
            return;
        };
        let Some(at) = passing.branches.iter().position(|branch| branch.client == Some(client)) else {
            return;
        };
        if self.try_next(now, server, at, None) {
            return;
        }
        let Some(passing) = self.forwarded.get_mut(&server) else {
            return;
        };
        let branch = passing.branches.swap_remove(at);
        // RFC 3261 §16.9: a transport error is 503; RFC 5626 §5.3.2: a phone's flow that has gone is 430, so that whoever
        // knows another flow of it tries that; RFC 4320 §4.2: silence is passed on as silence.
        match (status, branch.onward.phone) {
            (408, _) => {}
            (_, true) => passing.failed = Some((430, "Flow Failed".to_owned())),
            (_, false) => passing.failed = Some((503, format!("{} Unreachable", branch.onward.flow.remote))),
        }
        self.conclude(now, server);
    }

    /// RFC 3263 §4.3. `true`: the branch is out again.
    fn try_next(&mut self, now: Instant, server: ServerHandle, at: usize, response: Option<&Message>) -> bool {
        let Some(branch) = self
            .forwarded
            .get_mut(&server)
            .and_then(|passing| passing.branches.get_mut(at))
        else {
            return false;
        };
        let (failed, number, phone) = (branch.onward.flow, branch.number, branch.onward.phone);
        if !phone {
            let place = Place {
                address: failed.remote,
                transport: failed.transport,
            };
            let after = response.and_then(|response| response.number(HeaderName::RetryAfter));
            let after = after.map(|seconds| std::time::Duration::from_secs(u64::from(seconds)));
            self.legs().book.failed(now, place, after);
        }
        let Some(branch) = self
            .branch(server, number)
            .filter(|branch| !branch.onward.next.is_empty())
        else {
            return false;
        };
        branch.onward.flow = branch.onward.next.remove(0);
        let to = branch.onward.flow.remote;
        tracing::info!(from = %failed.remote, %to, "the next place is tried");
        self.send_branch(now, server, number).is_ok()
    }

    /// Who has answered by now decides; phones that are silent are waited for no longer, if another one has spoken.
    pub(super) fn patience_ends(&mut self, now: Instant) {
        while let Some(server) = self.patience.pop_due(now) {
            if let Some(passing) = self.forwarded.get_mut(&server)
                && !passing.finals.is_empty()
            {
                passing.branches.clear();
                self.conclude(now, server);
            }
        }
    }

    /// Sends the best answer, when no branch is left.
    fn conclude(&mut self, now: Instant, server: ServerHandle) {
        if self
            .forwarded
            .get(&server)
            .is_none_or(|passing| !passing.branches.is_empty())
        {
            return;
        }
        let Some(passing) = self.forwarded.remove(&server) else {
            return;
        };
        let best = passing.finals.iter().min_by_key(|response| rank(response.status()));
        let ours = passing.failed.as_ref().map(|(status, _)| *status);
        match (best, &passing.failed) {
            (Some(best), _) if ours.is_none() || rank(best.status()) <= rank(ours) => {
                let status = best.status().unwrap_or(500);
                let bytes = response_of_all(best, &passing.finals);
                self.legs().transactions.respond(now, server, bytes, status);
                if *passing.request.method() == Method::Register {
                    let changes = self.registrar.learn(now, passing.from, &passing.request, best);
                    self.note_bindings(now, changes);
                }
            }
            (_, Some((status, reason))) => {
                self.legs().refuse(now, server, &passing.request, *status, Some(reason));
            }
            (_, None) => {}
        }
    }
}

/// RFC 3261 §16.7 step 6: 2xx, then 6xx, then the lowest class, and within 4xx first what tells the sender what to do.
fn rank(status: Option<u16>) -> u16 {
    match status.unwrap_or(500) {
        200..=299 => 0,
        600.. => 1,
        300..=399 => 2,
        401 | 407 | 415 | 420 | 484 => 3,
        400..=499 => 4,
        503 => 6,
        _ => 5,
    }
}

/// RFC 3261 §16.7 step 7: a challenge goes back with those of the other branches, or their phones would never ring.
fn response_of_all(best: &Message, all: &[Message]) -> bytes::Bytes {
    if !matches!(best.status(), Some(401 | 407)) {
        return proxy::response_back(best);
    }
    let mut forward = Forward::new(best).pop_via();
    for other in all.iter().filter(|other| !std::ptr::eq(*other, best)) {
        for name in [HeaderName::WwwAuthenticate, HeaderName::ProxyAuthenticate] {
            for value in other.headers(name) {
                forward = forward.push(name, String::from_utf8_lossy(value));
            }
        }
    }
    forward.print()
}
