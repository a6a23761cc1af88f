//! What participants hear of a document: while they wait, while they are held, and when something is announced.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::super::App;
use super::super::call::Signal;
use super::super::fetch::{Document, absolute};
use super::super::sid::Sid;
use super::super::sound::NoSound;
use super::super::state::Hub;
use super::super::twiml::{Target, Verb};
use crate::engine::{AudienceHandle, CallHandle, Command, LegHandle};

/// Documents in a row that redirect to each other.
const MOST: u32 = 10_000;

/// Plays a document to a participant until somebody stops it (see [`App::stop_waiting`]).
pub(in crate::api::twilio) fn start_player(app: &Arc<App>, conference: &Sid, call: &Sid, target: Target) {
    let mut state = app.state();
    let Some(leg) = state.leg_of(call) else { return };
    let (sender, inbox) = unbounded_channel();
    if let Some(call) = state.calls.get_mut(call) {
        call.inboxes.push(sender);
    }
    let player = Player {
        app: Arc::clone(app),
        to: AudienceHandle::Leg(leg),
        form: state
            .calls
            .get(call)
            .map(|call| call.parameters(&app.account.account_sid))
            .unwrap_or_default(),
        inbox: Inbox::Leg(inbox),
    };
    let Some(place) = state
        .conferences
        .get_mut(conference)
        .and_then(|found| found.participant(call))
    else {
        return;
    };
    place.stop_player();
    place.player = Some(tokio::spawn(player.forever(target)).abort_handle());
}

/// Plays a document once, to a participant or to all; says whether all of it was heard.
pub(in crate::api::twilio) async fn announce(
    app: Arc<App>,
    conference: Sid,
    call: Option<Sid>,
    target: Target,
) -> bool {
    let player = {
        let mut state = app.state();
        match &call {
            Some(call) => {
                let (sender, inbox) = unbounded_channel();
                let Some(found) = state.calls.get_mut(call) else {
                    return false;
                };
                let Some(leg) = found.leg else { return false };
                found.inboxes.push(sender);
                let form = found.parameters(&app.account.account_sid);
                let (app, to) = (Arc::clone(&app), AudienceHandle::Leg(leg));
                Player {
                    app,
                    to,
                    form,
                    inbox: Inbox::Leg(inbox),
                }
            }
            None => {
                let (sender, inbox) = unbounded_channel();
                let Some(found) = state.conferences.get_mut(&conference) else {
                    return false;
                };
                found.announcers.push(sender);
                let form = vec![("ConferenceSid".to_owned(), conference.to_string())];
                let (app, to) = (Arc::clone(&app), AudienceHandle::Hub(found.hub));
                Player {
                    app,
                    to,
                    form,
                    inbox: Inbox::Hub(inbox),
                }
            }
        }
    };
    player.once(target).await
}

/// Where it is told that a sound is over.
enum Inbox {
    Leg(UnboundedReceiver<Signal>),
    Hub(UnboundedReceiver<String>),
}

struct Player {
    app: Arc<App>,
    to: AudienceHandle,
    form: Vec<(String, String)>,
    inbox: Inbox,
}

impl Player {
    async fn forever(mut self, target: Target) {
        // What an earlier document plays may have no end.
        let to = self.to;
        self.app.try_order(Command::StopPlaying { to }).await;
        let mut next = Some(target);
        for _ in 0..MOST {
            // At a document's end there is silence: that of the role.
            let Some(target) = next else { return };
            let Ok(document) = self.app.document(&target, &self.form).await else {
                return;
            };
            (_, next) = self.play(&document).await;
        }
    }

    async fn once(mut self, target: Target) -> bool {
        match self.app.document(&target, &self.form).await {
            Ok(document) => self.play(&document).await.0,
            Err(_) => false,
        }
    }

    /// Whether all of it was heard, and where it redirects to.
    async fn play(&mut self, document: &Document) -> (bool, Option<Target>) {
        let base = document.base.as_ref();
        let mut whole = true;
        for verb in &document.verbs {
            let (name, times) = match verb {
                Verb::Play(play) => {
                    let target = Target {
                        url: play.url.clone(),
                        method: axum::http::Method::GET,
                    };
                    (self.app.sounds.fetch(&absolute(base, &target).url).await, play.times)
                }
                Verb::Say(say) => (self.app.speech(&say.text, say.language.as_deref()).await, say.times),
                Verb::Pause(length) => {
                    tokio::time::sleep(*length).await;
                    continue;
                }
                Verb::Redirect(target) => {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    return (whole, Some(absolute(base, target)));
                }
                // §2.4: nothing else has a meaning for somebody who waits.
                Verb::Gather(_)
                | Verb::Record(_)
                | Verb::Dial(_)
                | Verb::Enqueue(_)
                | Verb::Reject { .. }
                | Verb::Refer { .. }
                | Verb::Hangup
                | Verb::Leave
                | Verb::Unknown(_) => continue,
            };
            whole &= self.hear_times(name, times).await;
        }
        (whole, None)
    }

    /// What cannot be had is silence, and told; what comes behind it is heard all the same.
    async fn hear_times(&mut self, name: Result<String, NoSound>, times: u32) -> bool {
        let name = match name {
            Ok(name) => name,
            Err(error) => {
                self.app.unheard(&error);
                return false;
            }
        };
        for _ in 0..times.max(1) {
            if self.hear(&name, times == 0).await.is_none() {
                return false;
            }
        }
        true
    }

    async fn hear(&mut self, name: &str, again: bool) -> Option<()> {
        let (to, sound) = (self.to, name.to_owned());
        let played = self.app.order(Command::Play { to, sound, again }).await;
        played
            .inspect_err(|error| tracing::warn!(%error, "a sound cannot be played"))
            .ok()?;
        loop {
            let over = match &mut self.inbox {
                Inbox::Leg(inbox) => match inbox.recv().await? {
                    Signal::Played(over) => over,
                    Signal::Ended => return None,
                    Signal::Joined
                    | Signal::Left(_)
                    | Signal::Digit(_)
                    | Signal::Redirect(_)
                    | Signal::Out
                    | Signal::Dequeued(_)
                    | Signal::Referred { .. }
                    | Signal::Recorded { .. } => continue,
                },
                Inbox::Hub(inbox) => inbox.recv().await?,
            };
            if over == name {
                return Some(());
            }
        }
    }
}

impl App {
    /// A conference has begun: nobody in it waits any more, but for those who are held.
    pub(in crate::api::twilio) fn stop_waiting(self: &Arc<App>, hub: CallHandle) {
        let mut legs: Vec<LegHandle> = Vec::new();
        {
            let mut state = self.state();
            let Some(Hub::Conference(sid)) = state.hubs.get(&hub).cloned() else {
                return;
            };
            let mut calls = Vec::new();
            if let Some(conference) = state.conferences.get_mut(&sid) {
                for place in conference.participants.iter_mut().filter(|place| !place.hold) {
                    if place.stop_player() {
                        calls.push(place.call.clone());
                    }
                }
            }
            legs.extend(calls.iter().filter_map(|call| state.leg_of(call)));
        }
        let app = Arc::clone(self);
        tokio::spawn(async move {
            for leg in legs {
                let to = AudienceHandle::Leg(leg);
                app.try_order(Command::StopPlaying { to }).await;
            }
        });
    }
}
