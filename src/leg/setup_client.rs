//! Calling a party: INVITE, provisional and final answers, forks, challenges, the ring timeout.
//!
//! RFC 3261 §13.2. A 2xx first promotes the leg and then sends the ACK: the party's BYE may follow on its heels
//! (LESSONS 6). A further 2xx of another fork is acknowledged and released at once (§13.2.2.4).

use std::time::Instant;

use compact_str::{CompactString, format_compact};

use super::early::EarlyDialog;
use super::offer::{Exchange, OurInvite};
use super::release::Release;
use super::{
    Abilities, Called, Identity, Invitation, Leg, LegEvent, LegHandle, LegOwner, Legs, Purpose, Setup, State,
    TransactionUser,
};
use crate::dialog::{Dialog, DialogId, Role, RouteSet};
use crate::sdp::Description;
use crate::sip::{ALLOW, SUPPORTED, SUPPORTED_UNRELIABLE};
use crate::sip::{Draft, HeaderName, Message, Method, Scheme};
use crate::transaction::ClientHandle;
use crate::vocabulary::{Cause, Event};

/// The version in the `o=` of the first description that a party gets.
pub(super) const FIRST_VERSION: u64 = 1;

/// What is needed until our INVITE has its final answer.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) invite: Option<ClientHandle>,
    pub(crate) invitation: Invitation,
    pub(crate) ring_deadline: Instant,
    /// When the INVITE first went to the place that it is at.
    pub(crate) sent: Instant,
    pub(crate) timed_out: bool,
    pub(crate) challenged: bool,
    /// The forks that have said something.
    pub(crate) early: Vec<EarlyDialog>,
}

impl Legs {
    /// How a party was called that has not answered yet.
    pub(crate) fn invitation(&self, handle: LegHandle) -> Option<&Invitation> {
        match &self.get(handle)?.state {
            State::Calling(Setup::Client(client)) | State::Early(Setup::Client(client)) => Some(&client.invitation),
            State::Calling(Setup::Server(_))
            | State::Early(Setup::Server(_))
            | State::Confirmed
            | State::Releasing(_)
            | State::Ended => None,
        }
    }

    /// Calls a party. What comes of it rises to `owner`.
    pub fn invite(&mut self, now: Instant, owner: LegOwner, mut invitation: Invitation) -> LegHandle {
        let wanted = invitation.wanted.clone();
        let call_id = self.fresh_token();
        let call_id = invitation.call_id.clone().unwrap_or(call_id);
        let origin = self.identity.hash(self.serial, 3) >> 2;
        invitation.offer = invitation.offer.map(|offer| offer.with_origin(origin, FIRST_VERSION));
        let ring_deadline = now + invitation.ring_timeout.unwrap_or(self.identity.ring_timeout);
        let party = invitation.to.clone();
        let identity = &self.identity;
        let policy = self.media_policy(invitation.flow.remote.ip());
        let handle = self.table.insert_with(&call_id, None, |handle, tag| {
            let dialog = Dialog {
                id: DialogId {
                    call_id: call_id.clone(),
                    local_tag: tag.as_str().into(),
                    remote_tag: CompactString::default(),
                },
                role: Role::Uac,
                local: format_compact!("{};tag={tag}", invitation.from),
                remote: format_compact!("{}", invitation.to),
                remote_target: invitation.request_uri.clone(),
                route_set: RouteSet::default(),
                local_cseq: 0,
                remote_cseq: None,
                flow: invitation.flow,
            };
            let credentials = invitation.credentials.clone();
            let follows_contact = invitation.reached == super::Reached::Place;
            let contact = identity.contact(
                &invitation.flow,
                invitation.from.uri.user(),
                invitation.request_uri.scheme() == Scheme::Sips,
            );
            let client = Box::new(Client {
                invite: None,
                invitation,
                ring_deadline,
                sent: now,
                timed_out: false,
                challenged: false,
                early: Vec::new(),
            });
            let mut leg = Leg::new(
                handle.into(),
                owner,
                dialog,
                party,
                true,
                State::Calling(Setup::Client(client)),
                origin,
                contact,
            );
            leg.credentials = credentials.map(Box::new);
            leg.media.policy = policy;
            leg.follows_contact = follows_contact;
            leg
        });
        let handle = LegHandle::from(handle);
        self.deadlines.add(ring_deadline, handle);
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
                inbound: false,
                party: leg.party.uri.to_string(),
                call_id: leg.dialog.id.call_id.to_string(),
            };
            self.events.push_back(event);
        }
        self.record_by_policy(handle, policy, false);
        // It may end at once, where there is no media port left: after its beginning has been told.
        match wanted {
            Some(wanted) => self.lookups.push_back((handle, wanted)),
            None => self.send_invite(now, handle, None),
        }
        handle
    }

    /// Sends the INVITE of a leg in setup, with an answer to a challenge if there was one.
    pub(super) fn send_invite(
        &mut self,
        now: Instant,
        handle: LegHandle,
        authorization: Option<(HeaderName, CompactString)>,
    ) {
        let offer = match self
            .offer_of_setup(handle)
            .map(|offer| self.present(handle, &offer, false))
            .transpose()
        {
            Ok(offer) => offer,
            Err(error) => {
                self.setup_failed(now, handle, error.status(), None);
                return;
            }
        };
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return;
        };
        let (State::Calling(Setup::Client(client)) | State::Early(Setup::Client(client))) = &mut leg.state else {
            return;
        };
        let invitation = &client.invitation;
        leg.dialog.local_cseq = leg.dialog.local_cseq.wrapping_add(1);
        let mut draft = Draft::request(&Method::Invite, invitation.request_uri.as_str());
        for route in &invitation.routes {
            draft = draft.header(HeaderName::Route, route);
        }
        draft = draft
            .header(HeaderName::MaxForwards, invitation.max_forwards)
            .header(HeaderName::From, &leg.dialog.local)
            .header(HeaderName::To, &leg.dialog.remote)
            .header(HeaderName::CallId, &leg.dialog.id.call_id)
            .header(HeaderName::CSeq, format_args!("{} INVITE", leg.dialog.local_cseq))
            .header(HeaderName::Contact, &leg.contact)
            .header(HeaderName::Allow, ALLOW)
            // An offer in a provisional answer would have to be answered before the caller has answered (RFC 3262 §5).
            .header(
                HeaderName::Supported,
                if invitation.offer.is_some() {
                    SUPPORTED
                } else {
                    SUPPORTED_UNRELIABLE
                },
            );
        draft = Leg::first_timer(draft, leg.min_se, self.identity.session_expires);
        if let Some(replaces) = &invitation.replaces {
            draft = draft.header(HeaderName::Replaces, replaces);
        }
        if let Some((name, value)) = authorization {
            draft = draft.header(name, value);
        }
        for (name, value) in &invitation.extra {
            draft = draft.header_named(name, value);
        }
        if let (Some(label), LegOwner::Call(call)) = (&self.identity.label, leg.owner)
            && invitation.reached != super::Reached::Place
            && !invitation
                .extra
                .iter()
                .any(|(name, _)| name.eq_ignore_ascii_case(&label.header))
        {
            draft = draft.header_named(&label.header, label.text(call, true));
        }
        if let Some(offer) = offer {
            draft = draft.body("application/sdp", offer.wire);
        }
        let flow = invitation.flow;
        let sent_by = self.identity.host_port(&flow);
        let invite = self.transactions.request(
            now,
            flow,
            &sent_by,
            &draft,
            TransactionUser::Leg(handle, Purpose::Setup),
        );
        client.invite = Some(invite);
        client.sent = now;
        leg.owed += 1;
    }

    /// What the party is offered by our INVITE, as its author said it.
    fn offer_of_setup(&self, handle: LegHandle) -> Option<Description> {
        match &self.get(handle)?.state {
            State::Calling(Setup::Client(client)) | State::Early(Setup::Client(client)) => {
                client.invitation.offer.clone()
            }
            State::Calling(Setup::Server(_))
            | State::Early(Setup::Server(_))
            | State::Confirmed
            | State::Releasing(_)
            | State::Ended => None,
        }
    }

    /// A response to the INVITE that makes the dialog; also late ones, when the leg is confirmed or being released.
    pub(crate) fn setup_answered(&mut self, now: Instant, handle: LegHandle, response: &Message) {
        let Some(status) = response.status() else { return };
        match status {
            0..=100 => {}
            101..=199 => self.setup_progress(now, handle, status, response),
            200..=299 => self.setup_succeeded(now, handle, response),
            _ => self.setup_failed(now, handle, status, Some(response)),
        }
    }

    fn setup_progress(&mut self, now: Instant, handle: LegHandle, status: u16, response: &Message) {
        let Some(description) = self.early_progress(now, handle, response) else {
            return;
        };
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return;
        };
        let state = std::mem::replace(&mut leg.state, State::Ended);
        leg.state = match state {
            State::Calling(setup) if response.to_tag().is_some() => State::Early(setup),
            other @ (State::Calling(_) | State::Early(_) | State::Confirmed | State::Releasing(_) | State::Ended) => {
                other
            }
        };
        if matches!(leg.state, State::Calling(_) | State::Early(_)) {
            self.events.push_back(Event::LegRinging { leg: handle, status });
            self.tell(handle, LegEvent::Ringing { status, description });
        }
    }

    fn setup_succeeded(&mut self, now: Instant, handle: LegHandle, response: &Message) {
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return;
        };
        let Some(remote_tag) = response.to_tag() else { return };
        if !leg.dialog.id.remote_tag.is_empty() {
            if leg.dialog.id.remote_tag == remote_tag {
                self.acknowledge_again(handle, response.cseq());
            } else {
                self.release_fork(now, handle, response);
            }
            return;
        }
        // Promote, then ACK: from here on the party's requests find their leg.
        let cancelled = matches!(leg.state, State::Releasing(_));
        let early = match &mut leg.state {
            State::Calling(Setup::Client(client)) | State::Early(Setup::Client(client)) => {
                std::mem::take(&mut client.early)
            }
            State::Calling(Setup::Server(_))
            | State::Early(Setup::Server(_))
            | State::Confirmed
            | State::Releasing(_)
            | State::Ended => Vec::new(),
        };
        // The INVITE's number is that of its ACK; the next request has a number that no fork has seen.
        leg.dialog.local_cseq = early
            .iter()
            .map(|early| early.dialog.local_cseq)
            .fold(leg.dialog.local_cseq, u32::max);
        let picked = early.into_iter().find(|early| early.tag == remote_tag);
        if let Some(picked) = &picked {
            leg.dialog.remote_cseq = picked.dialog.remote_cseq;
        }
        let state = std::mem::replace(&mut leg.state, State::Confirmed);
        leg.establish(response, remote_tag, &self.identity);
        self.look_for_next_hop(handle);
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return;
        };
        leg.abilities = Abilities::of(response);
        leg.owed = leg.owed.saturating_sub(1);
        let (client, offer) = match state {
            State::Calling(Setup::Client(client)) | State::Early(Setup::Client(client)) => {
                (client.invite, client.invitation.offer)
            }
            State::Releasing(Release::Cancelling { offer, .. }) => (None, offer),
            State::Calling(Setup::Server(_))
            | State::Early(Setup::Server(_))
            | State::Confirmed
            | State::Releasing(_)
            | State::Ended => (None, None),
        };
        // LESSONS 29: what its 18x said is the answer, if the 2xx says nothing.
        let description = super::request::description_of(handle, response);
        let description = description.or(picked.and_then(|picked| picked.description));
        let offered = offer.is_some();
        leg.sent = offer;
        let description = if offered {
            self.usable(handle, description)
        } else {
            description
        };
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return;
        };
        leg.remote = description.clone();
        let cseq = response.cseq();
        leg.exchange = Exchange::OwesAck(OurInvite { cseq, client });
        let (call_id, tag) = (leg.dialog.id.call_id.clone(), CompactString::from(remote_tag));
        self.table.set_remote_tag(handle.into(), &tag);
        self.note_connection(handle);
        tracing::debug!(leg = %handle, %call_id, "leg confirmed");
        if cancelled {
            // RFC 3261 §15.1.1, §9.1: the 2xx crossed our CANCEL.
            self.acknowledge(now, handle, None);
            if let Some(leg) = self.get_mut(handle) {
                leg.state = State::Releasing(Release::Settling { until: now });
            }
            self.bye_when_settled(now, handle);
            return;
        }
        if offered {
            self.acknowledge(now, handle, None);
        }
        self.take_timer(now, handle, response);
        self.tell_confirmed(handle);
        self.tell(handle, LegEvent::Answered { description });
    }

    /// The INVITE failed: by a final response, or by silence (408) or a transport error (503) without one.
    pub(crate) fn setup_failed(&mut self, now: Instant, handle: LegHandle, status: u16, response: Option<&Message>) {
        if let (401 | 407, Some(response)) = (status, response)
            && self.answer_challenge(now, handle, response)
        {
            return;
        }
        if self.set_up_elsewhere(now, handle, status, response) {
            return;
        }
        let gone = self.flow_of_token_gone(handle, status, response);
        let (status, response) = gone.as_ref().map_or((status, response), |gone| (430, Some(gone)));
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return;
        };
        leg.owed = leg.owed.saturating_sub(1);
        // RFC 4028 §7.3.
        if let (422, Some(response)) = (status, response)
            && leg.is_early()
            && leg.take_min_se(response)
        {
            self.send_invite(now, handle, None);
            return;
        }
        if matches!(status, 415 | 488 | 606) && response.is_some() && leg.is_early() && self.speak_plainly(handle) {
            self.send_invite(now, handle, None);
            return;
        }
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return;
        };
        let state = std::mem::replace(&mut leg.state, State::Releasing(Release::Lingering));
        let status = match &state {
            State::Calling(Setup::Client(client)) | State::Early(Setup::Client(client)) if client.timed_out => 408,
            State::Calling(_) | State::Early(_) | State::Confirmed | State::Releasing(_) | State::Ended => status,
        };
        let told = matches!(state, State::Calling(_) | State::Early(_));
        let rang = matches!(state, State::Early(_));
        let called = match state {
            State::Calling(Setup::Client(client)) | State::Early(Setup::Client(client)) if status / 100 == 3 => {
                Some(Called {
                    invitation: Box::new(client.invitation),
                    rang,
                })
            }
            State::Calling(_) | State::Early(_) | State::Confirmed | State::Releasing(_) | State::Ended => None,
        };
        self.note_end(
            handle,
            if status == 408 {
                Cause::NoAnswer
            } else {
                Cause::Refused { status }
            },
        );
        if told {
            self.tell(
                handle,
                LegEvent::Refused {
                    status,
                    response: response.cloned(),
                    called,
                },
            );
        }
        self.finish_if_settled(handle);
    }

    /// Answers a challenge once, if the leg has credentials: only legs to the configured PBX have (LESSONS 19, 37).
    fn answer_challenge(&mut self, now: Instant, handle: LegHandle, response: &Message) -> bool {
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return false;
        };
        let Some(credentials) = leg.credentials.clone() else {
            return false;
        };
        let (State::Calling(Setup::Client(client)) | State::Early(Setup::Client(client))) = &mut leg.state else {
            return false;
        };
        if client.challenged {
            return false;
        }
        let uri = client.invitation.request_uri.to_string();
        let cnonce = self.identity.token(u64::from(leg.dialog.local_cseq) ^ leg.origin.0);
        let Some(answer) = super::challenge::answer(response, &credentials, &Method::Invite, &uri, &cnonce) else {
            return false;
        };
        client.challenged = true;
        leg.owed = leg.owed.saturating_sub(1);
        self.send_invite(now, handle, Some(answer));
        true
    }

    /// RFC 3261 §13.2.2.4: every 2xx is acknowledged; a fork that lost is then released.
    fn release_fork(&mut self, now: Instant, handle: LegHandle, response: &Message) {
        let Some(leg) = self.get(handle) else { return };
        let mut fork = leg.dialog.clone();
        establish(
            &mut fork,
            response,
            response.to_tag().unwrap_or_default(),
            &self.identity,
        );
        let flow = fork.flow;
        let sent_by = self.sent_by(&flow);
        let ack = fork.ack_for_2xx(response.cseq());
        let _ = self.transactions.send_ack(flow, &sent_by, &ack);
        let bye = fork.next_request(&Method::Bye);
        self.transactions
            .request(now, flow, &sent_by, &bye, TransactionUser::Nobody);
    }

    /// The party did not answer in time: CANCEL, and 408 to the owner when the INVITE's final answer comes.
    pub(crate) fn ring_timeout(&mut self, now: Instant, handle: LegHandle) {
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return;
        };
        let (State::Calling(Setup::Client(client)) | State::Early(Setup::Client(client))) = &mut leg.state else {
            return;
        };
        if now < client.ring_deadline || client.timed_out {
            return;
        }
        client.timed_out = true;
        match client.invite {
            Some(invite) => {
                let user = TransactionUser::Leg(handle, Purpose::Cancel);
                self.transactions.cancel(now, invite, user);
            }
            // Its host was not found in all that time.
            None => self.setup_failed(now, handle, 408, None),
        }
    }
}

/// RFC 3261 §12.1.2: what the first 2xx makes of the dialog. A Contact or Record-Route that cannot be read leaves the
/// target where the party was called: the party can still be released there.
pub(crate) fn establish(dialog: &mut Dialog, response: &Message, remote_tag: &str, identity: &Identity) {
    dialog.id.remote_tag = remote_tag.into();
    if let Some(to) = response.text(HeaderName::To) {
        dialog.remote = to.into();
    }
    if let Err(error) = dialog.confirm(response) {
        tracing::debug!(call_id = %dialog.id.call_id, %error, "2xx without a usable target");
    }
    super::place::follow_route(dialog, identity);
}

impl Leg {
    fn establish(&mut self, response: &Message, remote_tag: &str, identity: &Identity) {
        establish(&mut self.dialog, response, remote_tag, identity);
    }
}
