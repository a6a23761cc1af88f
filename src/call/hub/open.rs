//! How a hub begins: empty, with a caller that waits, or from a pair; and how it becomes a pair again.

use std::time::Instant;

use compact_str::CompactString;

use super::super::bridge::Bridge;
use super::super::{Call, CallState, Calls, NOBODY};
use super::{EMPTY, Hub, Participant, conflict, not_found};
use crate::dialog::DialogError;
use crate::leg::Leg;
use crate::sdp::Description;
use crate::sip::Message;
use crate::transaction::ServerHandle;
use crate::transport::Flow;
use crate::vocabulary::{CallHandle, Event, HubNote, HubSettings, LegHandle, LegOwner, Part, Refusal, Reply, Role};

impl Calls {
    /// A hub with nobody in it.
    pub fn open_hub(&mut self, now: Instant, settings: HubSettings) -> CallHandle {
        let until = now + EMPTY;
        let name = settings.name.clone();
        let handle = self.table.insert_with(|handle| Call {
            state: CallState::Hub(Box::new(Hub::new(settings, Some(until)))),
            ..Call::alerting(handle)
        });
        self.deadlines.add(until, handle);
        self.note(HubNote::Opened { call: handle, name });
        handle
    }

    /// A call came for an application: a hub in which its caller waits, with nothing answered. Who has not answered it
    /// when it has rung as long as anybody may, does not want it.
    ///
    /// # Errors
    /// When the INVITE's own headers cannot be read; nothing was started.
    #[expect(
        clippy::too_many_arguments,
        reason = "what an INVITE is: its flow, transaction, message, user, offer"
    )]
    pub fn arrive(
        &mut self,
        now: Instant,
        flow: Flow,
        server: ServerHandle,
        request: &Message,
        user: Option<CompactString>,
        offer: Option<Description>,
        application: &str,
        headers: Vec<(String, String)>,
    ) -> Result<LegHandle, DialogError> {
        let handle = self.table.insert_with(Call::alerting);
        let leg = match self
            .legs
            .incoming(LegOwner::Call(handle), flow, server, request, user, offer)
        {
            Ok(leg) => leg,
            Err(error) => {
                self.table.remove(handle);
                return Err(error);
            }
        };
        let until = now + self.legs.identity.ring_timeout;
        let mut hub = Hub::new(HubSettings::default(), Some(until));
        hub.participants.push(Participant::new(leg, Role::default(), false));
        if let Some(call) = self.table.get_mut(handle) {
            call.state = CallState::Hub(Box::new(hub));
        }
        self.deadlines.add(until, handle);
        let party = self.legs.get(leg).map(|leg| leg.party.uri.to_string());
        let (from, to) = (
            party.unwrap_or_default(),
            request.request_uri().unwrap_or_default().to_owned(),
        );
        self.legs.events.push_back(Event::CallStarted {
            call: handle,
            leg,
            from: from.clone(),
            to: to.clone(),
        });
        self.note(HubNote::Opened {
            call: handle,
            name: None,
        });
        self.note(HubNote::Arrived {
            call: handle,
            leg,
            application: application.to_owned(),
            from,
            to,
            headers,
        });
        Ok(leg)
    }

    /// Makes a hub of a pair: both go on hearing each other, and whoever the API holds stays held.
    ///
    /// # Errors
    /// When there is no such call, or not two who talk in it.
    pub fn to_hub(&mut self, now: Instant, handle: CallHandle, settings: HubSettings) -> Result<(), Refusal> {
        let call = self.get(handle).ok_or_else(|| not_found("call", handle))?;
        let callee = match &call.state {
            CallState::Connected { callee } => *callee,
            CallState::Hub(_) => return Err(conflict(format!("{handle} is a hub already"))),
            CallState::Alerting { .. } => return Err(conflict(format!("{handle} is not answered yet"))),
        };
        let both = [call.caller, callee];
        for leg in both {
            let leg = self.legs.get(leg).ok_or_else(|| not_found("call", handle))?;
            if let LegOwner::Transfer(transfer) = leg.owner {
                return Err(conflict(format!(
                    "{handle} is being transferred by {transfer}; wait for its end"
                )));
            }
            if !leg.is_confirmed() || leg.owes_ack() {
                return Err(conflict(format!("{handle} is not answered yet, or ending")));
            }
        }
        let name = settings.name.clone();
        let Some(call) = self.table.get_mut(handle) else {
            return Err(not_found("call", handle));
        };
        call.state = CallState::Hub(Box::new(Hub::new(settings, None)));
        call.caller = NOBODY;
        let bridge = std::mem::replace(&mut call.bridge, Bridge::Quiet);
        self.note(HubNote::Opened { call: handle, name });
        for leg in both {
            let held = self.legs.get(leg).is_some_and(|leg| leg.held_by_command.is_some());
            let role = Role {
                held,
                ..Role::default()
            };
            self.join_hub(now, handle, leg, role);
        }
        match bridge {
            // Its offer is answered by the mixer; what the other side was offered on its behalf is settled by the leg.
            Bridge::Relaying { from, .. } => self.answer_member(now, handle, from),
            Bridge::Matching {
                command: Some(command), ..
            } => self.replies.push_back((command, Ok(Reply::Done))),
            Bridge::Matching { command: None, .. } | Bridge::Quiet => {}
        }
        Ok(())
    }

    /// Makes a pair of a hub with two speakers in it. They hear each other without the mixer at once; if their media need
    /// not pass through the edge any more, it goes its own way afterwards.
    ///
    /// # Errors
    /// When there is no such hub, or not two speakers alone in it.
    pub fn to_pair(&mut self, now: Instant, handle: CallHandle) -> Result<(), Refusal> {
        let hub = self.known_hub(handle)?;
        let [one, other] = hub.participants.as_slice() else {
            let count = hub.participants.len();
            return Err(conflict(format!("{handle} has {count} participants, a pair has two")));
        };
        if !hub.invited.is_empty() {
            return Err(conflict(format!("somebody still rings for {handle}")));
        }
        for participant in [one, other] {
            let confirmed = self.legs.get(participant.leg).is_some_and(Leg::is_confirmed);
            if !participant.joined || !confirmed || participant.role.held || participant.role.part != Part::Speaker {
                let leg = participant.leg;
                return Err(conflict(format!("{leg} does not speak; in a pair both do")));
            }
        }
        let (one, other) = (one.leg, other.leg);
        // Before the hub's end: what they hear then is each other, without a gap.
        self.legs.hear_each_other(one, other);
        self.unmix(handle);
        let leaving = self.hub_mut(handle).map(|hub| std::mem::take(&mut hub.leaving));
        for (leg, _) in leaving.into_iter().flatten() {
            self.release_leaving(now, leg);
        }
        if let Some(call) = self.table.get_mut(handle) {
            call.caller = one;
            call.state = CallState::Connected { callee: other };
            call.bridge = Bridge::Quiet;
        }
        self.note(HubNote::Paired { call: handle });
        self.bring_together(now, handle, None);
        Ok(())
    }
}
