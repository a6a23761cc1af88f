//! What applications are told of a call, without anybody waiting for them.

use std::time::SystemTime;

use super::App;
use super::call::{Call, Signal, Status};
use super::date::rfc2822;
use super::fetch::request;
use super::sid::Sid;
use super::twiml::Target;
use crate::api::time;
use crate::engine::Command;

impl App {
    /// Sends a notification in the order of its lane; a URL that is none is told as one that nobody answers.
    pub(super) fn notify(&self, lane: &str, target: &Target, form: &[(String, String)]) {
        match request(&self.account.auth_token, target, form) {
            Some(request) => {
                self.hooks.queue(lane, request);
            }
            None => tracing::warn!(lane, "a callback has no URL that can be asked"),
        }
    }

    /// A call enters a status, and whoever wants to know is told.
    pub(super) fn enter(&self, sid: &Sid, status: Status) {
        let now = time::now();
        let mut state = self.state();
        let answered = state.calls.get(sid).is_some_and(|call| call.started.is_some());
        if let Some(call) = state.enter(sid, status, now) {
            if status.is_over() {
                call.tell(&Signal::Ended);
            }
            let home = if status.is_over() && !answered {
                call.home.take()
            } else {
                None
            };
            if let Some(call) = home {
                // Nobody ever came into the hub that was opened for it, which would wait for somebody.
                let edge = self.edge.clone();
                tokio::spawn(async move { edge.command(Command::HangUpCall { call }).await });
            }
            self.tell_of_call(call, status.event(), now);
        }
    }

    /// Tells the application of a call what has become of it, if it asked for that.
    pub(super) fn tell_of_call(&self, call: &mut Call, event: &str, now: SystemTime) {
        let Some(callback) = call.callback.clone() else { return };
        if !callback.events.iter().any(|wanted| wanted == event) {
            return;
        }
        let mut form = call.parameters(&self.account.account_sid);
        let mut add = |name: &str, value: String| form.push((name.to_owned(), value));
        add("Timestamp", rfc2822(now));
        add("CallbackSource", "call-progress-events".to_owned());
        add("SequenceNumber", call.sequence.to_string());
        if let Some(seconds) = call.duration() {
            add("CallDuration", seconds.to_string());
            add("Duration", seconds.div_ceil(60).to_string());
        }
        if let Some(status) = call.sip_status {
            add("SipResponseCode", status.to_string());
        }
        call.sequence += 1;
        self.notify(
            &format!("{} {}", callback.target.url, call.sid),
            &callback.target,
            &form,
        );
    }
}
