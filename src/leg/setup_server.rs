//! Being called by a party: INVITE received, ringing, answer, refusal, CANCEL.
//!
//! RFC 3261 §13.3. The 2xx is sent again until its ACK comes (§13.3.1.4), by the same state that a re-INVITE's 2xx uses.

use std::time::Instant;

use compact_str::CompactString;

use super::offer::Exchange;
use super::release::Release;
use super::{Abilities, CallLabel, Leg, LegEvent, LegHandle, LegOwner, Legs, Setup, State};
use crate::dialog::{Dialog, DialogError};
use crate::sdp::Description;
use crate::sip::{ALLOW, SUPPORTED};
use crate::sip::{Draft, HeaderName, Message};
use crate::transaction::ServerHandle;
use crate::transport::Flow;
use crate::vocabulary::{Cause, Event};

/// What is needed until the party's INVITE has its final answer.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) server: ServerHandle,
    pub(crate) request: Message,
    pub(crate) reliable: super::prack::Reliable,
}

impl Legs {
    /// A leg for an INVITE that was accepted for routing, with what it offers. Nothing is answered yet.
    ///
    /// # Errors
    /// When From, To or Contact cannot be read; the caller answers with the error's status.
    pub fn incoming(
        &mut self,
        owner: LegOwner,
        flow: Flow,
        server: ServerHandle,
        request: &Message,
        user: Option<CompactString>,
        offer: Option<Description>,
    ) -> Result<LegHandle, DialogError> {
        let party = request.from()?;
        self.serial = self.serial.wrapping_add(1);
        let origin = self.identity.hash(self.serial, 3) >> 2;
        // Everything that can fail is read before the table is touched.
        let mut dialog = Dialog::from_uas(request, "", flow)?;
        super::place::follow_route(&mut dialog, &self.identity);
        let contact = self.identity.contact(
            &flow,
            request
                .to()
                .ok()
                .and_then(|to| to.uri.user().map(CompactString::from))
                .as_deref(),
            request.request_uri().is_some_and(|uri| uri.starts_with("sips:")),
        );
        let policy = self.media_policy(flow.remote.ip());
        let handle = self
            .table
            .insert_with(request.call_id(), request.from_tag(), |handle, tag| {
                dialog.id.local_tag = tag.as_str().into();
                dialog.local.push_str(tag.as_str());
                let setup = Setup::Server(Box::new(Server {
                    server,
                    request: request.clone(),
                    reliable: Default::default(),
                }));
                let mut leg = Leg::new(
                    handle.into(),
                    owner,
                    dialog,
                    party,
                    false,
                    State::Calling(setup),
                    origin,
                    contact,
                );
                leg.remote = offer.map(|offer| offer.marked(super::media::mark(leg.handle)));
                leg.media.policy = policy;
                leg.user = user;
                leg.abilities = Abilities::of(request);
                leg
            });
        let handle = LegHandle::from(handle);
        self.invites.insert(server, handle);
        self.look_for_next_hop(handle);
        if let Some(leg) = self.get(handle) {
            let (call, transfer) = match leg.owner {
                LegOwner::Call(call) => (Some(call), None),
                LegOwner::Transfer(transfer) => (None, Some(transfer)),
                LegOwner::Nobody => (None, None),
            };
            let event = Event::LegStarted {
                leg: handle,
                call,
                transfer,
                inbound: true,
                party: leg.party.uri.to_string(),
                call_id: leg.dialog.id.call_id.to_string(),
            };
            self.events.push_back(event);
        }
        self.record_by_policy(handle, policy, true);
        Ok(handle)
    }

    /// The INVITE of a party that has no final answer yet.
    pub fn invite_of(&self, handle: LegHandle) -> Option<&Message> {
        match &self.get(handle)?.state {
            State::Calling(Setup::Server(server)) | State::Early(Setup::Server(server)) => Some(&server.request),
            State::Calling(Setup::Client(_))
            | State::Early(Setup::Client(_))
            | State::Confirmed
            | State::Releasing(_)
            | State::Ended => None,
        }
    }

    /// As [`Legs::ring`], but so that it arrives, if the caller knows how (RFC 3262).
    pub fn ring_as(
        &mut self,
        now: Instant,
        handle: LegHandle,
        status: u16,
        description: Option<&Description>,
        reliable: bool,
    ) {
        if !(reliable && self.ring_reliably(now, handle, status, description)) {
            self.ring(now, handle, status, description);
        }
    }

    /// Sends a provisional answer (180, 183), with early media if there is some.
    pub fn ring(&mut self, now: Instant, handle: LegHandle, status: u16, description: Option<&Description>) {
        let required = self.get(handle).is_some_and(|leg| match &leg.state {
            State::Calling(Setup::Server(server)) | State::Early(Setup::Server(server)) => {
                server.requires_reliable() || server.reliable.is_used()
            }
            State::Calling(Setup::Client(_))
            | State::Early(Setup::Client(_))
            | State::Confirmed
            | State::Releasing(_)
            | State::Ended => false,
        });
        if required && self.ring_reliably(now, handle, status, description) {
            return;
        }
        if !self.get(handle).is_some_and(Leg::is_early) {
            return;
        }
        // Early media that cannot be described is left out; the 2xx says why.
        let is_answer = self.get(handle).is_some_and(|leg| leg.remote.is_some());
        let presented = description.and_then(|description| self.present(handle, description, is_answer).ok());
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return;
        };
        let state = std::mem::replace(&mut leg.state, State::Ended);
        leg.state = match state {
            State::Calling(Setup::Server(server)) | State::Early(Setup::Server(server)) => {
                let mut draft = server
                    .request
                    .respond(status)
                    .to_tag(&leg.dialog.id.local_tag)
                    .header(HeaderName::Contact, &leg.contact);
                draft = labelled(draft, self.identity.label.as_ref(), leg.owner, leg.user.is_some());
                if let Some(presented) = presented {
                    draft = draft.body("application/sdp", presented.wire);
                }
                self.transactions.respond(now, server.server, draft.print(), status);
                State::Early(Setup::Server(server))
            }
            other @ (State::Calling(_) | State::Early(_) | State::Confirmed | State::Releasing(_) | State::Ended) => {
                other
            }
        };
    }

    /// Answers the party's INVITE with 200. `description` is the answer, or the offer if the INVITE had none.
    pub fn answer(&mut self, now: Instant, handle: LegHandle, description: Option<&Description>) {
        if self.answer_waits(handle, description) {
            return;
        }
        let answered = |server: &Server| server.reliable.answered;
        let Some(leg) = self.get(handle) else { return };
        let described = match &leg.state {
            State::Calling(Setup::Server(server)) | State::Early(Setup::Server(server)) => answered(server),
            State::Calling(Setup::Client(_))
            | State::Early(Setup::Client(_))
            | State::Confirmed
            | State::Releasing(_)
            | State::Ended => return,
        };
        let is_answer = leg.remote.is_some();
        let description = description.filter(|_| !described);
        let presented = match description
            .map(|description| self.present(handle, description, is_answer))
            .transpose()
        {
            Ok(presented) => presented,
            Err(error) => {
                let cause = Cause::Refused { status: error.status() };
                self.reject(now, handle, error.status(), None, cause);
                self.tell(handle, LegEvent::Released { cause });
                return;
            }
        };
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return;
        };
        let state = std::mem::replace(&mut leg.state, State::Confirmed);
        let (State::Calling(Setup::Server(server)) | State::Early(Setup::Server(server))) = state else {
            leg.state = state;
            return;
        };
        let mut draft = server
            .request
            .respond(200)
            .to_tag(&leg.dialog.id.local_tag)
            .header(HeaderName::Contact, &leg.contact)
            .copy(&server.request, HeaderName::RecordRoute)
            .header(HeaderName::Allow, ALLOW)
            .header(HeaderName::Supported, SUPPORTED);
        draft = labelled(draft, self.identity.label.as_ref(), leg.owner, leg.user.is_some());
        if let Some(presented) = presented {
            draft = draft.body("application/sdp", presented.wire);
            leg.sent = Some(presented.kept);
        }
        let offered = leg.remote.is_none();
        let cseq = server.request.cseq();
        self.invites.remove(&server.server);
        self.note_connection(handle);
        let draft = self.agree_on_timer(now, handle, &server.request, draft);
        self.await_ack(now, handle, server.server, draft.print(), cseq, offered, false);
        self.tell_confirmed(handle);
    }

    /// Refuses the party's INVITE. `why` is a response whose challenges, Retry-After, Warning and Contact (of 3xx) are passed on.
    pub fn reject(&mut self, now: Instant, handle: LegHandle, status: u16, why: Option<&Message>, cause: Cause) {
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return;
        };
        let state = std::mem::replace(&mut leg.state, State::Releasing(Release::Lingering));
        let (State::Calling(Setup::Server(server)) | State::Early(Setup::Server(server))) = state else {
            leg.state = state;
            return;
        };
        let mut draft = server.request.respond(status).to_tag(&leg.dialog.id.local_tag);
        if let Some(why) = why {
            draft = pass_reasons(draft, why, status);
        }
        self.transactions.respond(now, server.server, draft.print(), status);
        self.invites.remove(&server.server);
        self.note_end(handle, cause);
        self.finish_if_settled(handle);
    }

    /// CANCEL of an INVITE without final answer: 487 to a setup, the session as before for a re-INVITE.
    pub(crate) fn cancelled(&mut self, now: Instant, invite: ServerHandle) {
        let Some(handle) = self.invites.get(&invite).copied() else {
            return;
        };
        let Some(leg) = self.get(handle) else { return };
        if leg.is_early() {
            self.reject(now, handle, 487, None, Cause::Party);
            self.tell(handle, LegEvent::Released { cause: Cause::Party });
        } else if matches!(leg.exchange, Exchange::Received { .. }) {
            self.refuse_offer(now, handle, 487);
        }
    }
}

fn pass_reasons(mut draft: Draft, why: &Message, status: u16) -> Draft {
    let names = [
        HeaderName::WwwAuthenticate,
        HeaderName::ProxyAuthenticate,
        HeaderName::RetryAfter,
        HeaderName::Warning,
        HeaderName::Reason,
    ];
    for name in names {
        draft = draft.copy(why, name);
    }
    if (300..400).contains(&status) || status == 485 {
        draft = draft.copy(why, HeaderName::Contact);
    }
    match why.reason_phrase().and_then(|phrase| std::str::from_utf8(phrase).ok()) {
        Some(phrase) if why.status() == Some(status) => draft.reason_phrase(phrase),
        Some(_) | None => draft,
    }
}

/// Phones of ours learn how an API names their call; nobody else does.
fn labelled(draft: Draft, label: Option<&CallLabel>, owner: LegOwner, user: bool) -> Draft {
    match (label, owner) {
        (Some(label), LegOwner::Call(call)) if user => draft.header_named(&label.header, label.text(call, false)),
        (Some(_) | None, LegOwner::Call(_) | LegOwner::Transfer(_) | LegOwner::Nobody) => draft,
    }
}
