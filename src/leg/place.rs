//! Where the requests of a leg go: the places of a host, the next one when one fails, and the wait for a look-up.
//!
//! RFC 3263 §4.3 (failover), RFC 3261 §8.1.2 (next hop), §12.2.1.1 (route set). A leg knows places in the order in which the
//! engine gave them and never looks one up itself: it asks by [`Legs::lookups`] and goes on in [`Legs::located`].
//!
//! | at a place | the INVITE that makes the dialog | a request inside it |
//! |---|---|---|
//! | silence (timer B, F), a flow that fails, 503 | the next place, a new branch, the same number; the ring time begins anew | the same |
//! | anything else | it is the party's answer | it is the party's answer |
//! | no place is left | 408 or 503 to the owner | 408 or 503 to the owner |
//! | the host cannot be looked up | 502 or 503 to the owner, which names the host | they go where the dialog was made |
//!
//! A place that failed is entered into the [`Book`](crate::transport::Book), so that the next leg begins elsewhere.

use std::time::{Duration, Instant};

use super::offer::{Exchange, OurInvite};
use super::release::Release;
use super::{Identity, Leg, LegHandle, Legs, Purpose, Reached, Setup, State, TransactionUser};
use crate::dialog::Dialog;
use crate::sip::{Draft, HeaderName, Message, Scheme};
use crate::transport::Flow;
use crate::transport::locate::{LookupFailed, Place, Wanted};

/// Requests that wait for one look-up; a party that is to be told more meanwhile is out of luck.
const MOST_HELD: usize = 16;

/// The next hop of a dialog, where it has more than one place.
#[derive(Debug, Default)]
pub(crate) struct Hop {
    /// Where to try after the dialog's flow.
    pub(crate) next: Vec<Flow>,
    /// What waits for a look-up that is under way.
    waiting: Option<Vec<Held>>,
    /// Looked up once: a target refresh does not move the leg again.
    looked_up: bool,
}

/// A message that waits to know where it goes.
#[derive(Debug)]
enum Held {
    Ack { invite: OurInvite, draft: Draft },
    Request { draft: Draft, purpose: Purpose },
}

impl Leg {
    /// Whether a request that fails may be tried elsewhere.
    pub(crate) fn has_next_place(&self) -> bool {
        self.hop.as_ref().is_some_and(|hop| !hop.next.is_empty())
    }

    fn waits(&mut self) -> Option<&mut Vec<Held>> {
        self.hop
            .as_mut()?
            .waiting
            .as_mut()
            .filter(|held| held.len() < MOST_HELD)
    }

    /// Keeps a request until it is known where it goes. `true`: it is kept.
    pub(crate) fn hold_request(&mut self, draft: &Draft, purpose: Purpose) -> bool {
        let Some(waiting) = self.waits() else { return false };
        waiting.push(Held::Request {
            draft: draft.clone(),
            purpose,
        });
        true
    }

    /// The same with the ACK of a 2xx.
    pub(crate) fn hold_ack(&mut self, invite: OurInvite, draft: &Draft) -> bool {
        let Some(waiting) = self.waits() else { return false };
        waiting.push(Held::Ack {
            invite,
            draft: draft.clone(),
        });
        true
    }
}

impl Legs {
    /// The INVITE of a leg in setup failed at one place: is it out again, to the next one?
    pub(crate) fn set_up_elsewhere(
        &mut self,
        now: Instant,
        handle: LegHandle,
        status: u16,
        response: Option<&Message>,
    ) -> bool {
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return false;
        };
        let State::Calling(Setup::Client(client)) = &mut leg.state else {
            return false;
        };
        if !failed_here(status, response) || client.timed_out || client.invite.is_none() {
            return false;
        }
        let failed = leg.dialog.flow;
        // A phone that is gone is no place that others would go to.
        if client.invitation.reached == Reached::Place {
            self.book.failed(now, place_of(&failed), retry_after(response));
        }
        if client.invitation.next.is_empty() {
            return false;
        }
        let flow = client.invitation.next.remove(0);
        tracing::info!(leg = %handle, from = %failed.remote, to = %flow.remote, status, "the next place is tried");
        // RFC 3263 §4.3: the same request but for its branch, so also under the same number. Who did not ring at the dead
        // place still has the whole time to ring.
        leg.dialog.local_cseq = leg.dialog.local_cseq.saturating_sub(1);
        client.ring_deadline += now.saturating_duration_since(client.sent);
        client.challenged = false;
        leg.owed = leg.owed.saturating_sub(1);
        let deadline = client.ring_deadline;
        self.deadlines.add(deadline, handle);
        self.set_up_at(now, handle, flow);
        true
    }

    /// RFC 5626 §5.3.2: the flow that a token of ours names has gone, which is the party's 430 and no 503 of ours.
    pub(crate) fn flow_of_token_gone(
        &self,
        handle: LegHandle,
        status: u16,
        response: Option<&Message>,
    ) -> Option<Message> {
        if status != 503 || response.is_some() {
            return None;
        }
        match &self.get(handle)?.state {
            State::Calling(Setup::Client(client)) | State::Early(Setup::Client(client)) => {
                let token = client.invitation.reached == Reached::Token;
                token.then(|| made_here(430, "Flow Failed")).flatten()
            }
            State::Calling(Setup::Server(_))
            | State::Early(Setup::Server(_))
            | State::Confirmed
            | State::Releasing(_)
            | State::Ended => None,
        }
    }

    /// What came of the look-up for a leg ([`Legs::lookups`]): its places, the first one first.
    pub fn located(
        &mut self,
        now: Instant,
        handle: LegHandle,
        wanted: &Wanted,
        found: Result<Vec<Place>, LookupFailed>,
    ) {
        let flows = |legs: &Legs, places: Vec<Place>| -> Vec<Flow> {
            places.iter().map(|place| legs.identity.flow_to(place)).collect()
        };
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return;
        };
        let in_setup = match &mut leg.state {
            State::Calling(Setup::Client(client)) => client.invite.is_none(),
            State::Calling(Setup::Server(_))
            | State::Early(_)
            | State::Confirmed
            | State::Releasing(_)
            | State::Ended => false,
        };
        match (in_setup, found) {
            (true, Ok(places)) => {
                let mut flows = flows(self, places).into_iter();
                let Some(first) = flows.next() else { return };
                if let Some(leg) = self.table.get_mut(handle.into())
                    && let State::Calling(Setup::Client(client)) = &mut leg.state
                {
                    client.invitation.next = flows.collect();
                }
                self.set_up_at(now, handle, first);
            }
            (true, Err(why)) => {
                let response = made_here(why.status(), &why.reason(&wanted.host));
                self.setup_failed(now, handle, why.status(), response.as_ref());
            }
            (false, Ok(places)) => {
                let flows = flows(self, places);
                self.go_on(now, handle, flows);
            }
            (false, Err(why)) => {
                tracing::warn!(leg = %handle, host = %wanted.host, %why, "the next hop of a dialog is not found: its requests go where it was made");
                self.go_on(now, handle, Vec::new());
            }
        }
    }

    /// Sends the INVITE of a leg in setup along this flow.
    fn set_up_at(&mut self, now: Instant, handle: LegHandle, flow: Flow) {
        let policy = self.media_policy(flow.remote.ip());
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return;
        };
        let (State::Calling(Setup::Client(client)) | State::Early(Setup::Client(client))) = &mut leg.state else {
            return;
        };
        client.invitation.flow = flow;
        let secure = client.invitation.request_uri.scheme() == Scheme::Sips;
        leg.contact = self.identity.contact(&flow, client.invitation.from.uri.user(), secure);
        leg.dialog.flow = flow;
        leg.media.policy = policy;
        self.record_by_policy(handle, policy, false);
        self.send_invite(now, handle, None);
    }

    /// The dialog has its route set: a next hop that is a name is looked up, and until then nothing leaves. RFC 3261 §8.1.2.
    pub(crate) fn look_for_next_hop(&mut self, handle: LegHandle) {
        let Some(leg) = self.get_mut(handle) else { return };
        let routed = !leg.dialog.route_set.is_empty();
        // A Contact is a next hop only where we called a configured place: a phone is reached on its flow alone.
        if !routed && !leg.follows_contact {
            return;
        }
        if leg.hop.as_ref().is_some_and(|hop| hop.looked_up) {
            return;
        }
        let Some(wanted) = Wanted::of(leg.dialog.next_hop()).filter(|wanted| wanted.place().is_none()) else {
            return;
        };
        leg.hop = Some(Box::new(Hop {
            next: Vec::new(),
            waiting: Some(Vec::new()),
            looked_up: true,
        }));
        self.lookups.push_back((handle, wanted));
    }

    /// The next hop is known (or, with no flows, never will be): what waited goes out, in its order.
    fn go_on(&mut self, now: Instant, handle: LegHandle, mut flows: Vec<Flow>) {
        let Some(leg) = self.get_mut(handle) else { return };
        let Some(hop) = &mut leg.hop else { return };
        let waiting = hop.waiting.take().unwrap_or_default();
        // The place that the dialog was made by is as good as any other of the same name, and knows it.
        let here = |flow: &Flow| (flow.transport, flow.remote) == (leg.dialog.flow.transport, leg.dialog.flow.remote);
        if let Some(at) = flows.iter().position(here) {
            flows.remove(at);
        } else if !flows.is_empty() {
            leg.dialog.flow = flows.remove(0);
        }
        hop.next = flows;
        for held in waiting {
            match held {
                Held::Ack { invite, draft } => self.send_ack(handle, invite, &draft),
                Held::Request { draft, purpose } => {
                    // It was counted as owed when it was held back.
                    self.paid_silently(handle);
                    let client = self.request(now, handle, &draft, purpose);
                    self.note_offer(handle, purpose, client);
                }
            }
        }
    }

    /// A request inside the dialog failed at one place: is it out again, to the next one?
    pub(crate) fn goes_elsewhere(
        &mut self,
        now: Instant,
        handle: LegHandle,
        purpose: Purpose,
        status: u16,
        response: Option<&Message>,
    ) -> bool {
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return false;
        };
        if purpose == Purpose::Setup || !failed_here(status, response) || !leg.has_next_place() {
            return false;
        }
        let same = |sent: &super::challenge::Outstanding| {
            sent.purpose == purpose && response.is_none_or(|response| response.cseq() == sent.cseq)
        };
        let Some(sent) = leg.outstanding.iter().position(same) else {
            return false;
        };
        let draft = leg.outstanding[sent].draft.clone();
        let Some(hop) = &mut leg.hop else { return false };
        let flow = hop.next.remove(0);
        let failed = std::mem::replace(&mut leg.dialog.flow, flow);
        self.book.failed(now, place_of(&failed), retry_after(response));
        tracing::info!(leg = %handle, from = %failed.remote, to = %flow.remote, status, "the next place is tried");
        let sent_by = self.sent_by(&flow);
        let user = TransactionUser::Leg(handle, purpose);
        let client = self.transactions.request(now, flow, &sent_by, &draft, user);
        self.note_offer(handle, purpose, Some(client));
        true
    }

    /// An offer that went out anew is cancelled by its new transaction.
    fn note_offer(&mut self, handle: LegHandle, purpose: Purpose, client: Option<crate::transaction::ClientHandle>) {
        if purpose == Purpose::Offer
            && let Some(leg) = self.get_mut(handle)
            && let Exchange::Sent { client: sent, .. } = &mut leg.exchange
        {
            *sent = client;
        }
    }

    fn paid_silently(&mut self, handle: LegHandle) {
        if let Some(leg) = self.get_mut(handle) {
            leg.owed = leg.owed.saturating_sub(1);
        }
    }

    /// A leg whose INVITE never left: there is nothing to cancel.
    pub(crate) fn end_unsent(&mut self, handle: LegHandle) {
        if let Some(leg) = self.get_mut(handle) {
            leg.state = State::Releasing(Release::Lingering);
        }
    }
}

/// RFC 3261 §8.1.2: with a route set, requests go to its first proxy. Without one they go back on the flow that the
/// party came by: its Contact may be an address behind NAT that leads nowhere. A transport that the URI does not say is
/// the one that we have.
pub(crate) fn follow_route(dialog: &mut Dialog, identity: &Identity) {
    let Some(first) = dialog.route_set.first() else { return };
    let Some(place) = Wanted::of(first).and_then(|wanted| wanted.place()) else {
        return;
    };
    let said = first.param("transport").is_some() || first.scheme() == Scheme::Sips;
    let transport = if said { place.transport } else { dialog.flow.transport };
    let place = Place { transport, ..place };
    if place.transport != dialog.flow.transport {
        dialog.flow = identity.flow_to(&place);
    } else if place.address != dialog.flow.remote {
        dialog.flow = Flow {
            remote: place.address,
            connection: 0,
            ..dialog.flow
        };
    }
}

/// RFC 3263 §4.3: a place has failed with 503, by silence or by its transport; every other answer is the party's.
fn failed_here(status: u16, response: Option<&Message>) -> bool {
    match response {
        Some(_) => status == 503,
        None => matches!(status, 408 | 503),
    }
}

fn place_of(flow: &Flow) -> Place {
    Place {
        address: flow.remote,
        transport: flow.transport,
    }
}

fn retry_after(response: Option<&Message>) -> Option<Duration> {
    let seconds = response?.number(HeaderName::RetryAfter)?;
    Some(Duration::from_secs(u64::from(seconds)))
}

/// RFC 3261 §8.1.3.1: what fails before anybody could answer is treated as if this had been the answer.
fn made_here(status: u16, reason: &str) -> Option<Message> {
    let reason: String = reason
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || " .:-_[]%".contains(*c))
        .take(120)
        .collect();
    let text = format!(
        "SIP/2.0 {status} {reason}\r\nVia: SIP/2.0/UDP 0.0.0.0\r\nFrom: <sip:0.0.0.0>\r\nTo: <sip:0.0.0.0>\r\nCall-ID: 0\r\n\
         CSeq: 1 INVITE\r\nReason: SIP;cause={status};text=\"{reason}\"\r\nContent-Length: 0\r\n\r\n"
    );
    Message::parse(text.into()).ok()
}
