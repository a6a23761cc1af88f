//! A leg of the process before this one comes back, and what it owed is paid.

use std::time::Instant;

use bytes::Bytes;
use compact_str::CompactString;

use super::{AHEAD, StoredDescription, StoredEnd, StoredExchange, StoredLeg, WallClock};
use crate::leg::offer::{AwaitAck, Exchange, OurInvite};
use crate::leg::refer::{Notifier, Subscriber};
use crate::leg::timer::SessionTimer;
use crate::leg::{Abilities, Credentials, Leg, LegHandle, LegOwner, Legs, State};
use crate::media::{PromptName, RecordingName};
use crate::sdp::Direction;
use crate::sip::{Message, NameAddr};
use crate::transport::{Flow, Transport};
use crate::vocabulary::Cause;

/// What a leg still has to do when everything that belongs to it is back.
#[derive(Debug)]
pub struct Unfinished {
    leg: LegHandle,
    exchange: StoredExchange,
    report: Option<u16>,
    ending: Option<Cause>,
}

impl Unfinished {
    /// Whose it is.
    pub fn leg(&self) -> LegHandle {
        self.leg
    }
}

impl Legs {
    /// Takes a leg back under the handle that it had, without an owner and without a word to its party. `None`: it cannot be
    /// read, or its place is taken. `credentials` gives the configured password of a user.
    pub fn restore(
        &mut self,
        clock: &WallClock,
        stored: StoredLeg,
        credentials: impl Fn(&str, Option<&str>) -> Option<Credentials>,
    ) -> Option<Unfinished> {
        let dialog = stored.dialog.dialog()?;
        let party = NameAddr::parse(&stored.party).ok()?;
        let (we_called, flow) = (stored.dialog.we_called, dialog.flow);
        let policy = self.media_policy(flow.remote.ip());
        let (tag, call_id, remote_tag) = (
            dialog.id.local_tag.clone(),
            dialog.id.call_id.clone(),
            dialog.id.remote_tag.clone(),
        );
        let handle = self.table.adopt(&tag, &call_id, Some(&remote_tag), |handle, _| {
            let contact = stored.contact.clone();
            let (origin, state) = (stored.origin.0, State::Confirmed);
            let mut leg = Leg::new(
                handle.into(),
                LegOwner::Nobody,
                dialog,
                party,
                we_called,
                state,
                origin,
                contact,
            );
            leg.take_back(&stored);
            leg.media.policy = policy;
            leg
        })?;
        let handle = LegHandle::from(handle);
        let known = stored
            .credentials
            .as_ref()
            .and_then(|(user, realm)| credentials(user, realm.as_deref()));
        let recording = stored.recorded.then(|| RecordingName(self.fresh_token()));
        if let Some(leg) = self.get_mut(handle) {
            leg.credentials = known.map(Box::new);
            if recording.is_some() || stored.music.is_some() {
                let more = leg.media.more.get_or_insert_default();
                more.recording = recording.map(|name| (name, false));
                more.music = stored.music.clone().map(PromptName);
            }
        }
        if stored.ending.is_none() {
            self.restore_end(handle, stored.end.as_ref());
            let timer = stored.timer.map(|timer| SessionTimer::restored(&timer, clock));
            self.run_timer(handle, timer);
        }
        Some(Unfinished {
            leg: handle,
            exchange: match stored.exchange {
                StoredExchange::Answered { until, .. } if clock.left(until).is_zero() => StoredExchange::Quiet,
                exchange @ (StoredExchange::Quiet
                | StoredExchange::Answered { .. }
                | StoredExchange::Offered { .. }
                | StoredExchange::OwesAck { .. }
                | StoredExchange::Asked { .. }) => exchange,
            },
            report: stored
                .notifier
                .filter(|notifier| notifier.over)
                .map(|notifier| notifier.said),
            ending: stored.ending,
        })
    }

    /// Our end of the media, where it was.
    fn restore_end(&mut self, handle: LegHandle, stored: Option<&StoredEnd>) {
        let Some(stored) = stored else { return };
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return;
        };
        let end = leg
            .remote
            .as_ref()
            .and_then(|remote| self.endpoints.restore(handle, stored, remote, leg.origin.0));
        match end {
            Some(end) => leg.media.end = Some(Box::new(end)),
            // The party is offered another one.
            None => leg.sent = None,
        }
    }

    /// Does what the leg owed when its process died. A request that must be taken once more is given back.
    pub fn finish_restored(&mut self, now: Instant, unfinished: Unfinished) -> Option<(Flow, Bytes)> {
        let Unfinished {
            leg: handle,
            exchange,
            report,
            ending,
        } = unfinished;
        if let Some(cause) = ending {
            if let Some(leg) = self.get_mut(handle) {
                // Observers have been told.
                leg.cause = Some(cause);
            }
            self.release(now, handle, cause);
            return None;
        }
        if let Some(leg) = self.table.get_mut(handle.into())
            && let Some(end) = &mut leg.media.end
        {
            end.tell(&mut self.endpoints.commands);
        }
        if let Some(status) = report {
            self.report(now, handle, status, true);
        }
        self.start_recording_again(handle);
        let flow = self.get(handle)?.dialog.flow;
        match exchange {
            StoredExchange::Quiet => {}
            StoredExchange::Answered {
                response,
                cseq,
                offered,
                ..
            } => self.answer_again(now, handle, response, cseq, offered),
            StoredExchange::Offered { acknowledge } => {
                if let Some(cseq) = acknowledge {
                    self.acknowledge_unseen(handle, cseq);
                }
            }
            StoredExchange::OwesAck { cseq } => {
                if let Some(leg) = self.get_mut(handle) {
                    leg.exchange = Exchange::OwesAck(OurInvite { cseq, client: None });
                }
                self.acknowledge_as_before(now, handle);
            }
            StoredExchange::Asked { request } => return Some((flow, request)),
        }
        None
    }

    /// Sends a 2xx of the process before this one once more, a few times.
    fn answer_again(&mut self, now: Instant, handle: LegHandle, response: Bytes, cseq: u32, offered: bool) {
        let interval = self.identity.t1;
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return;
        };
        let flow = leg.dialog.flow;
        leg.exchange = Exchange::Answered(AwaitAck {
            server: None,
            response: response.clone(),
            cseq,
            offered,
            refresh: !offered,
            interval,
            next: now + interval,
            until: now + interval * 4,
        });
        self.transactions.send_stateless(flow, response);
        self.deadlines.add(now + interval, handle);
    }

    /// A re-INVITE of the process before this one may have been accepted: a party that waits for no ACK ignores this one.
    fn acknowledge_unseen(&mut self, handle: LegHandle, cseq: u32) {
        if let Some(leg) = self.get(handle) {
            let draft = leg.dialog.ack_for_2xx(cseq);
            self.send_ack(handle, OurInvite { cseq, client: None }, &draft);
        }
    }

    /// A 2xx to an INVITE of a process before this one: its dialog is acknowledged and, where it is not ours any more,
    /// ended. `true`: the leg lives, and what its party was offered is in doubt.
    pub fn stray_accepted(&mut self, handle: LegHandle, response: &Message) -> bool {
        let Some(leg) = self.get_mut(handle) else { return false };
        let cseq = response.cseq();
        if leg.acks.iter().any(|kept| kept.is_of(cseq)) {
            self.acknowledge_again(handle, cseq);
            return false;
        }
        let offer = crate::leg::request::description_of(handle, response);
        if let (true, Some(offer), Exchange::Stable) = (leg.sent.is_none(), offer, &leg.exchange) {
            // It was asked for an offer, or its answer was awaited; either way it has something new of ours soon.
            leg.remote.get_or_insert(offer);
        }
        self.acknowledge_unseen(handle, cseq);
        true
    }

    /// The leg's connection ended with the process before this one: its phone is waited for as after any loss.
    pub fn restored_lost(&mut self, now: Instant, handle: LegHandle, aors: Vec<CompactString>) {
        let Some(leg) = self.get(handle) else { return };
        let until = match leg.dialog.flow.transport {
            Transport::Udp => return,
            Transport::Tcp | Transport::Tls => None,
            Transport::Ws | Transport::Wss => Some(now + self.identity.t1 * 64),
        };
        self.note_lost(handle, aors, until);
    }

    /// Whether the party's connection is gone and nobody can reach it.
    pub fn is_lost(&self, handle: LegHandle) -> bool {
        self.lost.contains_key(&handle)
    }

    fn start_recording_again(&mut self, handle: LegHandle) {
        if self.get(handle).is_some_and(Leg::is_anchored) {
            self.start_recording(handle);
        }
    }

    /// A leg that has no call to go back to: the party is told by BYE, observers by event.
    pub fn give_up_restored(&mut self, now: Instant, handle: LegHandle) {
        if self.get(handle).is_some_and(|leg| leg.cause.is_none()) {
            tracing::warn!(leg = %handle, "a leg of the process before this one belongs to no call: it is ended");
            self.release(now, handle, Cause::Lost);
        }
    }
}

impl Leg {
    fn take_back(&mut self, stored: &StoredLeg) {
        self.user = stored.user.clone();
        self.remote = stored.remote.as_ref().and_then(StoredDescription::description);
        self.sent = stored.sent.as_ref().and_then(StoredDescription::description);
        self.holding = stored.holding;
        self.held_by_command = stored
            .held
            .as_ref()
            .and_then(|name| Direction::from_attribute(name.as_bytes()));
        self.told_held = stored.told_held;
        let (refer, replaces, update) = stored.abilities;
        self.abilities = Abilities {
            refer,
            replaces,
            update,
        };
        self.min_se = stored.min_se;
        self.origin = (stored.origin.0, stored.origin.1.saturating_add(u64::from(AHEAD)));
        (self.refers, self.referred) = stored.refers;
        self.follows_contact = stored.follows_contact;
        if stored.ending.is_none() {
            self.notifier = stored.notifier.as_ref().map(Notifier::restored);
            self.subscriber = stored.subscribed.then(Subscriber::restored);
        }
        match &stored.exchange {
            // Nobody knows which of two descriptions the party has: it is offered what holds now.
            StoredExchange::Offered { .. } => self.sent = None,
            StoredExchange::Quiet
            | StoredExchange::Answered { .. }
            | StoredExchange::OwesAck { .. }
            | StoredExchange::Asked { .. } => {}
        }
    }
}
