//! Dial Conference: a place in a conference, until it is left.

use std::time::Duration;

use tokio::time::Instant;

use super::super::call::{Signal, Status};
use super::super::participant::Participant;
use super::super::sid::Sid;
use super::super::twiml::{Callback, ConferenceNoun, Dial, Wait};
use super::dial::Dialled;
use super::{Flow, Stop, deadline, start_player};
use crate::api::time;
use crate::engine::{CallHandle, Command};

impl Flow {
    pub(super) async fn conference(&mut self, dial: &Dial, noun: &ConferenceNoun) -> Result<Dialled, Stop> {
        let mut place = Participant::new(self.sid.clone(), time::now());
        place.label = noun.label.clone();
        place.muted = noun.muted;
        (place.starts, place.ends, place.beep) = (noun.starts, noun.ends, noun.beep);
        place.coach = noun.coach.as_deref().and_then(|call| Sid::read("CA", call));
        place.coaching = noun.coach.is_some();
        place.wait = match &noun.wait {
            Wait::Document(target) => Wait::Document(self.absolute(target)),
            Wait::Music | Wait::Silence => noun.wait.clone(),
        };
        let callback = noun.callback.clone().map(|mut callback| {
            callback.target = self.absolute(&callback.target);
            callback
        });
        self.attend(
            &noun.name,
            noun.most,
            place,
            callback,
            noun.record,
            dial.longest,
            dial.hangup_on_star,
        )
        .await
    }

    /// Takes a place in the conference of this name, and keeps it until somebody ends that.
    #[expect(clippy::too_many_arguments, reason = "what a noun says of a place")]
    async fn attend(
        &mut self,
        name: &str,
        most: u16,
        place: Participant,
        callback: Option<Callback>,
        record: bool,
        longest: Duration,
        star: bool,
    ) -> Result<Dialled, Stop> {
        self.answer().await?;
        let app = std::sync::Arc::clone(&self.app);
        let refused = |error: super::super::error::Fault| {
            tracing::warn!(code = error.code, why = error.message, "a conference cannot be joined");
            Stop::HangUp
        };
        let sid = app.conference(name, most).await.map_err(refused)?;
        app.enrol(&sid, place, callback).map_err(refused)?;
        self.stay(&sid, record, longest, star).await
    }

    /// Takes the place that is kept for it, and stays until somebody ends that.
    pub(in crate::api::twilio) async fn stay(
        &mut self,
        sid: &Sid,
        record: bool,
        longest: Duration,
        star: bool,
    ) -> Result<Dialled, Stop> {
        let app = std::sync::Arc::clone(&self.app);
        let hub = match self.take_place(sid).await {
            Ok(hub) => hub,
            Err(stop) => {
                self.withdraw(sid);
                return Err(stop);
            }
        };
        if record {
            app.record_conference(sid).await;
        }
        let began = Instant::now();
        let out = self.inside(hub, deadline(longest), star).await;
        let seconds = (began.elapsed() + Duration::from_millis(500)).as_secs();
        match out {
            // With nothing behind it the call ends here: whoever moved it out first would be heard for a moment by nobody.
            Ok(true) if !self.more => {}
            Ok(true) => self.come_home().await?,
            Ok(false) => {}
            Err(Stop::Goto(source)) => {
                self.come_home().await?;
                return Err(Stop::Goto(source));
            }
            Err(stop) => return Err(stop),
        }
        Ok(Dialled {
            status: Status::Completed,
            call: None,
            seconds,
            bridged: true,
        })
    }

    async fn take_place(&mut self, conference: &Sid) -> Result<CallHandle, Stop> {
        let app = std::sync::Arc::clone(&self.app);
        let (hub, wait) = {
            let mut state = app.state();
            let found = state.conferences.get_mut(conference).ok_or(Stop::HangUp)?;
            // Who comes may be the one that starts it: then there is nothing to wait for.
            let here = |one: &&Participant| one.joined || one.call == self.sid;
            let begins = found.participants.iter().filter(here).count() > 1
                && found.participants.iter().filter(here).any(|one| one.starts);
            let (hub, started) = (found.hub, found.started || begins);
            let place = found.participant(&self.sid).ok_or(Stop::HangUp)?;
            if place.wait != Wait::Music {
                place.music = Some(String::new());
            }
            let wait = match &place.wait {
                Wait::Document(target) if !started => Some(target.clone()),
                Wait::Document(_) | Wait::Music | Wait::Silence => None,
            };
            (hub, wait)
        };
        let role = app.state().role_of(conference, &self.sid).ok_or(Stop::HangUp)?;
        let (leg, to) = (self.leg, hub);
        if let Err(error) = app.order(Command::Move { leg, to, role }).await {
            tracing::warn!(call = %self.sid, %error, "a conference cannot be joined");
            return Err(Stop::HangUp);
        }
        if let Some(target) = wait {
            start_player(&app, conference, &self.sid, target);
        }
        Ok(hub)
    }

    fn withdraw(&self, conference: &Sid) {
        let mut state = self.app.state();
        if let Some(found) = state.conferences.get_mut(conference) {
            found.participants.retain(|one| one.call != self.sid);
            if found.participants.is_empty() {
                self.app.end_if_empty(&mut state, conference);
            }
        }
    }

    /// `true`: it has to be taken out; `false`: it is out already.
    async fn inside(&mut self, hub: CallHandle, until: Instant, star: bool) -> Result<bool, Stop> {
        loop {
            match self.next(Some(until)).await? {
                None | Some(Signal::Out) => return Ok(true),
                Some(Signal::Digit('*')) if star => return Ok(true),
                Some(Signal::Left(from)) if from == hub => return Ok(false),
                Some(_) => {}
            }
        }
    }
}
