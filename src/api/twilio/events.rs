//! Follows the engine's events, and tells each call and conference what concerns it.

use std::sync::Arc;

use super::App;
use super::call::{Call, Direction, Signal, Status};
use super::conference::Conference;
use super::flow::{Flow, Source};
use super::participant::Left;
use super::state::Hub;
use super::twiml::{Callback, Target};
use super::{address, recordings};
use crate::api::{Happened, Subscription, time};
use crate::config::{Hook, TwilioNumber};
use crate::engine::{CallHandle, Cause, Event, HubNote, LegHandle, MediaNote};

/// Runs as long as the engine.
pub(super) async fn follow(app: Arc<App>, mut events: Subscription) {
    loop {
        match events.next().await {
            Happened::Event(stamped) => app.happened(&stamped.event),
            // What was missed cannot be made up for: calls whose end was among it are found gone by their next order.
            Happened::Missed { from, to } => tracing::warn!(from, to, "events were missed"),
        }
    }
}

impl App {
    fn happened(self: &Arc<App>, event: &Event) {
        match event {
            Event::LegStarted {
                leg, call: Some(call), ..
            } => {
                let mut state = self.state();
                if let Some(Hub::Call(sid)) = state.hubs.get(call).cloned() {
                    state.tie(*leg, &sid);
                }
            }
            Event::LegRinging { leg, status } => {
                let sid = self.state().legs.get(leg).cloned();
                if let (Some(sid), 180..) = (sid, status) {
                    self.enter(&sid, Status::Ringing);
                }
            }
            Event::LegEnded { leg, cause } => self.leg_ended(*leg, *cause),
            Event::Media(note) => self.media(note),
            Event::Hub(note) => self.hub(note),
            Event::CallEnded { call, .. } => {
                let mut state = self.state();
                state.hubs.remove(call);
            }
            Event::LegStarted { call: None, .. }
            | Event::LegConfirmed { .. }
            | Event::RegistrationAdded { .. }
            | Event::RegistrationRemoved { .. }
            | Event::CallStarted { .. }
            | Event::CallConnected { .. }
            | Event::CallHeld { .. }
            | Event::CallResumed { .. }
            | Event::CallForwarded { .. }
            | Event::CallRestored { .. }
            | Event::TransferRequested { .. }
            | Event::TransferProgress { .. }
            | Event::TransferCompleted { .. }
            | Event::TransferFailed { .. }
            | Event::MessageRefused { .. }
            | Event::SourceLimited { .. }
            | Event::SourceBanned { .. }
            | Event::WebhookFailed { .. } => {}
        }
    }

    fn leg_ended(&self, leg: LegHandle, cause: Cause) {
        let (sid, status) = {
            let mut state = self.state();
            let Some(call) = state.of_leg(leg) else { return };
            call.ringing.retain(|other| *other != leg);
            if let Cause::Refused { status } = cause {
                call.sip_status = Some(status);
            }
            // Of several that ring, the others still may answer.
            let over = call.leg == Some(leg) || (call.leg.is_none() && call.ringing.is_empty());
            let status = match (call.status, call.canceled) {
                (Status::InProgress, _) => Status::Completed,
                (_, true) => Status::Canceled,
                (_, false) => Status::unanswered(cause, call.direction),
            };
            // Of one that took part in a hub it is still to be told that it left that.
            let (sid, joined) = (call.sid.clone(), call.leg);
            if joined != Some(leg) {
                state.legs.remove(&leg);
            }
            if !over {
                return;
            }
            (sid, status)
        };
        self.enter(&sid, status);
    }

    fn media(&self, note: &MediaNote) {
        let signal = match note {
            MediaNote::Digit { digit, .. } => Signal::Digit(*digit),
            MediaNote::PromptEnded { prompt, .. } | MediaNote::PromptMissing { prompt, .. } => {
                Signal::Played(prompt.clone())
            }
            MediaNote::RecordingFinished {
                recording,
                milliseconds,
                ..
            } => {
                recordings::finished(self, recording, *milliseconds);
                Signal::Recorded {
                    name: recording.clone(),
                    milliseconds: *milliseconds,
                }
            }
            MediaNote::Flowing { .. }
            | MediaNote::Silent { .. }
            | MediaNote::OneWay { .. }
            | MediaNote::RecordingStarted { .. }
            | MediaNote::Failed { .. }
            | MediaNote::NoPort { .. } => return,
        };
        if let Some(call) = self.state().of_leg(note.leg()) {
            call.tell(&signal);
        }
    }

    fn hub(self: &Arc<App>, note: &HubNote) {
        match note {
            HubNote::Arrived {
                call,
                leg,
                application,
                from,
                to,
                headers,
            } => self.arrived(*call, *leg, application, (from, to), headers),
            HubNote::Joined { call, leg, .. } => self.joined(*call, *leg),
            HubNote::Left { call, leg, cause } => self.left(*call, *leg, *cause),
            HubNote::Started { call } => self.of_conference(*call, |app, conference| {
                conference.started = true;
                conference.updated = time::now();
                app.tell_of_conference(conference, "start", "conference-start", Vec::new());
            }),
            HubNote::Speaking { call, leg, on } => {
                let sid = self.state().legs.get(leg).cloned();
                let event = if *on {
                    "participant-speech-start"
                } else {
                    "participant-speech-stop"
                };
                self.of_conference(*call, |app, conference| {
                    let told = sid.and_then(|sid| conference.participant(&sid).map(|one| one.parameters()));
                    app.tell_of_conference(conference, "speaker", event, told.unwrap_or_default());
                });
            }
            HubNote::Announced { call, sound } => self.of_conference(*call, |_, conference| {
                conference
                    .announcers
                    .retain(|waiting| waiting.send(sound.clone()).is_ok());
            }),
            HubNote::Recorded {
                recording,
                milliseconds,
                ..
            } => recordings::finished(self, recording, *milliseconds),
            HubNote::Referred { leg, status, last, .. } => {
                if let Some(call) = self.state().of_leg(*leg) {
                    call.tell(&Signal::Referred {
                        status: *status,
                        last: *last,
                    });
                }
            }
            HubNote::Opened { .. } | HubNote::Changed { .. } | HubNote::Paired { .. } => {}
        }
        if let HubNote::Started { call } = note {
            self.stop_waiting(*call);
        }
    }

    fn of_conference(self: &Arc<App>, hub: CallHandle, then: impl FnOnce(&Arc<App>, &mut Conference)) {
        let mut state = self.state();
        if let Some(Hub::Conference(sid)) = state.hubs.get(&hub).cloned()
            && let Some(conference) = state.conferences.get_mut(&sid)
        {
            then(self, conference);
        }
    }

    fn joined(self: &Arc<App>, hub: CallHandle, leg: LegHandle) {
        let sid = {
            let mut state = self.state();
            let of = state.hubs.get(&hub).cloned();
            let Some(call) = state.of_leg(leg) else { return };
            call.leg = Some(leg);
            let sid = call.sid.clone();
            if let Some(Hub::Conference(conference)) = of {
                call.conference = Some(conference.clone());
                if let Some(found) = state.conferences.get_mut(&conference) {
                    let told = found.participant(&sid).map(|one| {
                        one.joined = true;
                        one.parameters()
                    });
                    self.tell_of_conference(found, "join", "participant-join", told.unwrap_or_default());
                }
            }
            sid
        };
        self.enter(&sid, Status::InProgress);
        if let Some(call) = self.state().calls.get_mut(&sid) {
            call.tell(&Signal::Joined);
        }
    }

    fn left(self: &Arc<App>, hub: CallHandle, leg: LegHandle, cause: Cause) {
        let mut state = self.state();
        let of = state.hubs.get(&hub).cloned();
        let Some(call) = state.of_leg(leg) else { return };
        let (sid, over) = (call.sid.clone(), call.status.is_over());
        call.tell(&Signal::Left(hub));
        if over {
            state.legs.remove(&leg);
        }
        let Some(Hub::Conference(conference)) = of else { return };
        let Some(call) = state.calls.get_mut(&sid) else { return };
        if call.conference.as_ref() == Some(&conference) {
            call.conference = None;
        }
        let Some(found) = state.conferences.get_mut(&conference) else {
            return;
        };
        let place = found.participants.iter().position(|one| one.call == sid);
        let Some(mut one) = place.map(|place| found.participants.remove(place)) else {
            return;
        };
        one.stop_player();
        let kicked = one.leaving.is_some() && cause != Cause::Party;
        let reason = if kicked {
            one.leaving.unwrap_or(Left::HungUp)
        } else {
            Left::HungUp
        };
        let mut told = one.parameters();
        let status = if cause == Cause::Transferred {
            "in-progress"
        } else {
            "completed"
        };
        told.push(("ParticipantCallStatus", status.to_owned()));
        told.push(("ReasonParticipantLeft", reason.as_str().to_owned()));
        self.tell_of_conference(found, "leave", "participant-leave", told);
        let alone = found.participants.is_empty();
        if found.is_live() {
            let (word, left) = match (one.ends, kicked) {
                (true, true) => ("participant-with-end-conference-on-exit-kicked", Left::EndedByModerator),
                (true, false) => ("participant-with-end-conference-on-exit-left", Left::EndedByModerator),
                (false, true) => ("last-participant-kicked", Left::EndedByApi),
                (false, false) => ("last-participant-left", Left::EndedByApi),
            };
            if one.ends || alone {
                self.end_conference(&mut state, &conference, word, Some(sid), left);
            }
        }
        self.end_if_empty(&mut state, &conference);
    }

    /// A call for one of the numbers: its application says what to do.
    fn arrived(
        self: &Arc<App>,
        hub: CallHandle,
        leg: LegHandle,
        application: &str,
        (from, to): (&str, &str),
        headers: &[(String, String)],
    ) {
        let called = address::shown(to, &self.domain);
        let user = |number: &str| number.trim_start_matches('+').to_owned();
        let fits = |number: &&TwilioNumber| {
            let own = number.phone_number.as_ref();
            number.application == application && own.is_none_or(|own| user(own) == user(&called))
        };
        let Some(number) = self.account.numbers.iter().find(fits) else {
            return;
        };
        let mut call = Call::new(
            Direction::Inbound,
            &address::shown(from, &self.domain),
            &called,
            time::now(),
        );
        call.status = Status::Ringing;
        (call.leg, call.home) = (Some(leg), Some(hub));
        let diversion = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("Diversion"));
        call.forwarded_from = diversion.map(|(_, value)| {
            let uri = value.split(['<', '>']).nth(1).unwrap_or(value);
            address::shown(uri, &self.domain)
        });
        call.callback = number.status_callback.as_ref().map(|hook| Callback {
            target: target(hook),
            events: vec!["completed".to_owned()],
        });
        let (inbox, receiver) = tokio::sync::mpsc::unbounded_channel();
        call.inboxes.push(inbox);
        let source = Source::voice(target(&number.voice), number.fallback.as_ref().map(target));
        let sid = {
            let mut state = self.state();
            let sid = state.add_call(call);
            state.hubs.insert(hub, Hub::Call(sid.clone()));
            state.legs.insert(leg, sid.clone());
            sid
        };
        let flow = Flow::new(Arc::clone(self), sid, leg, receiver, false);
        tokio::spawn(flow.run(source));
    }
}

/// How a configured URL is asked.
pub(super) fn target(hook: &Hook) -> Target {
    Target {
        url: hook.url.clone(),
        method: if hook.get {
            axum::http::Method::GET
        } else {
            axum::http::Method::POST
        },
    }
}
