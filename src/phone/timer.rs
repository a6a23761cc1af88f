//! Session timers of a phone (RFC 4028), written apart from the edge's.
//!
//! | we | do |
//! |---|---|
//! | call or offer again | say `timer`, our interval and who shall refresh; after 422 its `Min-SE` |
//! | answer | take the smaller interval; the caller refreshes unless it says otherwise or cannot |
//! | refresh | re-INVITE with the same description after half of the interval |
//! | wait | hang up when nobody has refreshed by the end, and complain if that was the edge's part |

use std::time::{Duration, Instant};

use super::Phone;
use super::call::{Offer, Task};
use super::event::PhoneCall;
use super::request::Request;
use crate::sip::{Draft, HeaderName, Message};

/// How a phone keeps its sessions alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhoneTimer {
    /// The interval that it asks for, in seconds.
    pub expires: u32,
    /// The least that it takes; less is answered 422.
    pub min_se: u32,
    /// Whether it wants to refresh by itself, or the other side to; `None`: it leaves that open.
    pub refreshes: Option<bool>,
    /// It never refreshes, whatever it has agreed to.
    pub forgets: bool,
}

/// What was agreed in one call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timer {
    pub(super) interval: u32,
    pub(super) ours: bool,
    refresh: Option<Instant>,
    end: Instant,
}

impl Timer {
    pub(super) fn next(&self) -> Instant {
        self.refresh.map_or(self.end, |refresh| refresh.min(self.end))
    }
}

fn expires(message: &Message) -> Option<(u32, Option<String>)> {
    let value = message.text(HeaderName::SessionExpires)?;
    let (seconds, params) = value.split_once(';').unwrap_or((value, ""));
    let refresher = params.trim().strip_prefix("refresher=").map(str::to_owned);
    Some((seconds.trim().parse().ok()?, refresher))
}

impl Phone {
    /// The session interval in force in a call, in seconds, and whether we refresh.
    pub fn session_timer(&self, call: PhoneCall) -> Option<(u32, bool)> {
        let timer = self.calls.get(call.0)?.timer?;
        Some((timer.interval, timer.ours))
    }

    /// Headers of an INVITE of ours.
    pub(super) fn timed(&self, call: PhoneCall, request: Request) -> Request {
        let Some(config) = self.config.timer else {
            return request;
        };
        let (timer, least) = match self.calls.get(call.0) {
            Some(call) => (call.timer, call.min_se),
            None => (None, 0),
        };
        let ours = timer.map(|timer| timer.ours).or(config.refreshes);
        let seconds = timer.map_or(config.expires, |timer| timer.interval).max(least);
        let value = match ours {
            Some(true) => format!("{seconds};refresher=uac"),
            Some(false) => format!("{seconds};refresher=uas"),
            None => seconds.to_string(),
        };
        let request = request.header(HeaderName::SessionExpires, value);
        match least.max(config.min_se) {
            least @ 91.. => request.header(HeaderName::MinSe, least.to_string()),
            _ => request,
        }
    }

    /// 422 to our INVITE: the same once more with the interval that the other side takes (§7.3).
    pub(super) fn lengthened(&mut self, call: PhoneCall, request: &Request, response: &Message) -> Option<Request> {
        self.config.timer?;
        let least = response.number(HeaderName::MinSe)?;
        let call = self.calls.get_mut(call.0).filter(|call| call.min_se < least)?;
        call.min_se = least;
        call.local_cseq += 1;
        Some(request.clone().with_interval(least, call.local_cseq))
    }

    /// The `Min-SE` of the 422 that an INVITE to us deserves.
    pub(super) fn too_short(&self, request: &Message) -> Option<u32> {
        let least = self.config.timer?.min_se;
        let (seconds, _) = expires(request)?;
        (seconds < least && request.has_token(HeaderName::Supported, "timer")).then_some(least)
    }

    /// The 2xx to our INVITE or UPDATE says what was agreed.
    pub(super) fn take_timer(&mut self, now: Instant, call: PhoneCall, response: &Message) {
        let agreed = expires(response);
        if let Some((seconds, refresher)) = &agreed {
            match refresher.as_deref() {
                Some("uac") if self.config.timer.is_none() => {
                    self.complain("we shall refresh, and never said that we can: RFC 4028 §9".to_owned());
                }
                Some("uac") if !response.has_token(HeaderName::Require, "timer") => {
                    self.complain("refresher=uac without Require: timer: RFC 4028 §9".to_owned());
                }
                Some("uac" | "uas") => {}
                _ => self.complain("Session-Expires in a 2xx without refresher: RFC 4028 §9".to_owned()),
            }
            if self.config.timer.is_some_and(|timer| *seconds > timer.expires.max(90)) && self.call_min_se(call) == 0 {
                self.complain(format!("the interval grew to {seconds}: RFC 4028 §9"));
            }
        }
        self.start(
            now,
            call,
            agreed.map(|(seconds, refresher)| (seconds, refresher.as_deref() == Some("uac"))),
        );
    }

    /// Agrees as the called side, and writes it into the 2xx.
    pub(super) fn agree(&mut self, now: Instant, call: PhoneCall, request: &Message, draft: Draft) -> Draft {
        let Some(config) = self.config.timer else { return draft };
        let Some((asked, refresher)) = expires(request) else {
            return draft;
        };
        let seconds = asked
            .min(config.expires)
            .max(request.number(HeaderName::MinSe).unwrap_or(90));
        let theirs = match refresher.as_deref() {
            Some("uac") => true,
            Some("uas") => false,
            _ => config.refreshes != Some(true),
        };
        self.start(now, call, Some((seconds, !theirs)));
        let refresher = if theirs { "uac" } else { "uas" };
        draft
            .header(
                HeaderName::SessionExpires,
                format_args!("{seconds};refresher={refresher}"),
            )
            .header(HeaderName::Require, "timer")
    }

    fn call_min_se(&self, call: PhoneCall) -> u32 {
        self.calls.get(call.0).map_or(0, |call| call.min_se)
    }

    fn start(&mut self, now: Instant, handle: PhoneCall, agreed: Option<(u32, bool)>) {
        let forgets = self.config.timer.is_none_or(|timer| timer.forgets);
        let Some(call) = self.calls.get_mut(handle.0) else {
            return;
        };
        call.timer = agreed.filter(|_| self.config.timer.is_some()).map(|(interval, ours)| {
            let whole = Duration::from_secs(u64::from(interval));
            Timer {
                interval,
                ours,
                refresh: (ours && !forgets).then(|| now + whole / 2),
                end: now + whole,
            }
        });
    }

    pub(super) fn timer_timeouts(&mut self, now: Instant) {
        for at in 0..self.calls.len() {
            let handle = PhoneCall(at);
            let Some(timer) = self.calls[at].timer.filter(|timer| timer.next() <= now) else {
                continue;
            };
            if !self.calls[at].is_live() || self.script.unplugged {
                self.calls[at].timer = None;
            } else if timer.end <= now {
                self.calls[at].timer = None;
                if !timer.ours {
                    self.complain("the session was not refreshed in time: RFC 4028 §10".to_owned());
                }
                self.send_bye(now, handle);
            } else {
                let holding = self.calls[at].session.holding;
                self.calls[at].timer = Some(Timer { refresh: None, ..timer });
                self.tasks(
                    handle,
                    Task::Offer(Offer {
                        holding,
                        described: true,
                    }),
                );
            }
        }
    }
}
