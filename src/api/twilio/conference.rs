//! Conferences: their names, who is in them, when they begin and end, and who is told.
//!
//! A conference is a hub of the engine. That one who leaves ends it is decided here and not by the hub's own `ends`: the
//! others go on with the rest of their documents.

use std::time::SystemTime;

use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedSender;

use super::App;
use super::call::Signal;
use super::date::rfc2822;
use super::error::Fault;
use super::participant::{Left, Participant};
use super::sid::Sid;
use super::state::{Hub, State};
use super::twiml::Callback;
use crate::api::time;
use crate::engine::{Beep, CallHandle, Command, HubSettings, Part, Reply, Role};

/// One conference.
#[derive(Debug)]
pub(super) struct Conference {
    pub(super) sid: Sid,
    pub(super) name: String,
    pub(super) hub: CallHandle,
    pub(super) started: bool,
    /// Why it ends or has ended, and by whose leaving.
    pub(super) ending: Option<(&'static str, Option<Sid>)>,
    pub(super) over: bool,
    pub(super) created: SystemTime,
    pub(super) updated: SystemTime,
    pub(super) participants: Vec<Participant>,
    /// Of its first participant.
    pub(super) callback: Option<Callback>,
    pub(super) fixed: bool,
    pub(super) sequence: u32,
    pub(super) recorded: bool,
    /// Told when an announcement to all is over.
    pub(super) announcers: Vec<UnboundedSender<String>>,
}

impl Conference {
    pub(super) fn status(&self) -> &'static str {
        match (self.over || self.ending.is_some(), self.started) {
            (true, _) => "completed",
            (false, true) => "in-progress",
            (false, false) => "init",
        }
    }

    pub(super) fn is_live(&self) -> bool {
        self.ending.is_none() && !self.over
    }

    pub(super) fn participant(&mut self, call: &Sid) -> Option<&mut Participant> {
        self.participants.iter_mut().find(|one| one.call == *call)
    }

    /// As the API shows it.
    pub(super) fn json(&self, account: &str) -> Value {
        let uri = format!("/2010-04-01/Accounts/{account}/Conferences/{}", self.sid);
        let (reason, by) = match &self.ending {
            Some((reason, by)) => (Some(reason), by.as_ref()),
            None => (None, None),
        };
        json!({
            "sid": self.sid, "account_sid": account, "friendly_name": self.name, "api_version": "2010-04-01",
            "date_created": rfc2822(self.created), "date_updated": rfc2822(self.updated), "region": "us1",
            "status": self.status(), "reason_conference_ended": reason, "call_sid_ending_conference": by,
            "uri": format!("{uri}.json"),
            "subresource_uris": {"participants": format!("{uri}/Participants.json"), "recordings": format!("{uri}/Recordings.json")},
        })
    }
}

impl State {
    /// The engine's role for a participant.
    pub(super) fn role(&self, conference: &Conference, one: &Participant) -> Role {
        let coached = one.coach.as_ref().and_then(|call| self.leg_of(call));
        let there = |call: &Sid| conference.participants.iter().any(|other| other.call == *call);
        let part = match (one.muted, one.coaching, coached) {
            (true, _, _) => Part::Muted,
            (false, true, Some(of)) if one.coach.as_ref().is_some_and(there) => Part::Coach { of },
            // Who coaches somebody that is not there is heard by nobody.
            (false, true, Some(_) | None) => Part::Muted,
            (false, false, _) => Part::Speaker,
        };
        Role {
            part,
            held: one.hold,
            music: one.music.clone(),
            starts: one.starts,
            ends: false,
            beep: match one.beep {
                (true, true) => Beep::Always,
                (true, false) => Beep::OnEnter,
                (false, true) => Beep::OnExit,
                (false, false) => Beep::Never,
            },
            label: one.label.clone(),
        }
    }

    pub(super) fn role_of(&self, conference: &Sid, call: &Sid) -> Option<Role> {
        let conference = self.conferences.get(conference)?;
        let one = conference.participants.iter().find(|one| one.call == *call)?;
        Some(self.role(conference, one))
    }

    /// The live one of this name or identifier.
    pub(super) fn conference(&self, name: &str) -> Option<&Conference> {
        let mut live = self.conferences.newest().filter(|conference| conference.is_live());
        live.find(|conference| conference.name == name || conference.sid.as_str() == name)
    }
}

impl App {
    /// The live conference of this name; it is opened if there is none.
    pub(super) async fn conference(&self, name: &str, most: u16) -> Result<Sid, Fault> {
        let _alone = self.opening.lock().await;
        if let Some(found) = self.state().conference(name) {
            return Ok(found.sid.clone());
        }
        if Sid::read("CF", name).is_some() {
            return Err(Fault::not_found(&format!("/Conferences/{name}")));
        }
        let settings = HubSettings {
            name: Some(name.to_owned()),
            most,
            ..HubSettings::default()
        };
        let Reply::Call(view) = self.order(Command::OpenHub { settings }).await? else {
            return Err(Fault::new(500, 20_500, "The engine answered another question"));
        };
        let now = time::now();
        let conference = Conference {
            sid: Sid::new("CF"),
            name: name.to_owned(),
            hub: view.id,
            started: false,
            ending: None,
            over: false,
            created: now,
            updated: now,
            participants: Vec::new(),
            callback: None,
            fixed: false,
            sequence: 1,
            recorded: false,
            announcers: Vec::new(),
        };
        let sid = conference.sid.clone();
        let mut state = self.state();
        state.hubs.insert(view.id, Hub::Conference(sid.clone()));
        state
            .conferences
            .add(sid.clone(), conference, |conference| conference.over);
        Ok(sid)
    }

    /// Puts somebody on the list; the move into the hub comes after.
    pub(super) fn enrol(
        &self,
        conference: &Sid,
        participant: Participant,
        callback: Option<Callback>,
    ) -> Result<(), Fault> {
        let mut state = self.state();
        let gone = || Fault::not_found(&format!("/Conferences/{conference}"));
        let found = state
            .conferences
            .get_mut(conference)
            .filter(|found| found.is_live())
            .ok_or_else(gone)?;
        let same = |other: &Participant| participant.label.is_some() && other.label == participant.label;
        if found.participants.iter().any(same) {
            return Err(Fault::new(
                400,
                16_025,
                "A participant with this label is in the conference already",
            ));
        }
        if !found.fixed {
            (found.callback, found.fixed) = (callback, true);
        }
        found.participants.push(participant);
        Ok(())
    }

    /// Tells the conference's application, if it asked for events of this `kind`.
    pub(super) fn tell_of_conference(
        &self,
        conference: &mut Conference,
        kind: &str,
        event: &str,
        more: Vec<(&'static str, String)>,
    ) {
        let Some(callback) = conference.callback.clone() else {
            return;
        };
        if !callback.events.iter().any(|wanted| wanted == kind) {
            return;
        }
        let mut form: Vec<(String, String)> = [
            ("ConferenceSid", conference.sid.to_string()),
            ("FriendlyName", conference.name.clone()),
            ("AccountSid", self.account.account_sid.clone()),
            ("SequenceNumber", conference.sequence.to_string()),
            ("Timestamp", rfc2822(time::now())),
            ("StatusCallbackEvent", event.to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        form.extend(more.into_iter().map(|(name, value)| (name.to_owned(), value)));
        conference.sequence += 1;
        self.notify(
            &format!("{} {}", callback.target.url, conference.sid),
            &callback.target,
            &form,
        );
    }

    /// Sends everybody away; each goes on with its own document, or is hung up.
    pub(super) fn end_conference(
        &self,
        state: &mut State,
        sid: &Sid,
        reason: &'static str,
        by: Option<Sid>,
        left: Left,
    ) {
        let Some(conference) = state.conferences.get_mut(sid).filter(|found| found.is_live()) else {
            return;
        };
        conference.ending = Some((reason, by));
        conference.updated = time::now();
        let calls: Vec<Sid> = conference.participants.iter().map(|one| one.call.clone()).collect();
        for one in &mut conference.participants {
            one.leaving = one.leaving.or(Some(left));
            one.stop_player();
        }
        for call in &calls {
            state.tell(call, &Signal::Out);
        }
        self.end_if_empty(state, sid);
    }

    /// The last one has gone: the conference is over, and its application is told.
    pub(super) fn end_if_empty(&self, state: &mut State, sid: &Sid) {
        let Some(conference) = state.conferences.get_mut(sid) else {
            return;
        };
        if conference.over || !conference.participants.is_empty() {
            return;
        }
        let (reason, by) = conference.ending.clone().unwrap_or(("last-participant-left", None));
        conference.ending = Some((reason, by.clone()));
        conference.over = true;
        conference.updated = time::now();
        let hub = conference.hub;
        let mut more = vec![("ReasonConferenceEnded", reason.to_owned())];
        more.extend(by.map(|call| ("CallSidEndingConference", call.to_string())));
        self.tell_of_conference(conference, "end", "conference-end", more);
        state.hubs.remove(&hub);
        // One into which nobody ever came would wait for somebody.
        let edge = self.edge.clone();
        tokio::spawn(async move { edge.command(Command::HangUpCall { call: hub }).await });
    }
}
