//! Session timers: a session that nobody refreshes in time is dead, and is ended.
//!
//! RFC 4028 §7–10. Each leg negotiates with its own party; the two sides of a call know nothing of each other's timers.
//!
//! | we are | message | what is done |
//! |---|---|---|
//! | UAC | INVITE, re-INVITE, UPDATE | `Session-Expires`, with the refresher in force once there is one (§7.1, §7.4) |
//! | UAC | 2xx with `Session-Expires` | the interval runs anew; `refresher=uac` is us (§7.2) |
//! | UAC | 2xx without | nothing expires (§7.2); we ask after the party all the same, to notice that it has vanished |
//! | UAC | 422 | asked again with the party's `Min-SE` (§7.3) |
//! | UAS | too small an interval | 422 with our `Min-SE`, to a party that says `timer` (§9) |
//! | UAS | any other | the smaller of both intervals, never below either's minimum; the refresher that the party named; with none named the party itself, or we where it does not say `timer` (§9) |
//! | refresher | half of the interval has gone | UPDATE where the party allows it, else a re-INVITE with the description that it has (§10) |
//! | both | a third of the interval, at most 32 s, before its end | BYE, cause `Lost` (§10) |
//!
//! A refresh changes nothing: the re-INVITE carries the last description byte for byte, so that hold stays hold and the
//! version in `o=` stays. One that fails is tried again until the end of the interval.

use std::time::{Duration, Instant};

use super::kept::{StoredTimer, WallClock};
use super::offer::{Carrier, Exchange, Offer};
use super::{Abilities, Leg, LegEvent, LegHandle, Legs};
use crate::sip::{Draft, HeaderName, Message};
use crate::vocabulary::Cause;

/// RFC 4028 §4: the smallest minimum that there is.
const LEAST: u32 = 90;
/// A party that wants to be refreshed less often than once a day wants no timer.
const MOST: u32 = 86_400;
/// How long a refresh that failed, or found no room, waits for its next try.
const AGAIN: Duration = Duration::from_secs(8);

/// What was agreed with one party.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionTimer {
    /// In seconds.
    interval: u32,
    /// We refresh.
    ours: bool,
    /// The party takes part: without a refresh the session is over.
    agreed: bool,
    /// When we refresh next.
    refresh: Option<Instant>,
    /// When the session is given up.
    end: Instant,
}

impl SessionTimer {
    fn start(now: Instant, interval: u32, ours: bool) -> SessionTimer {
        let interval = interval.clamp(LEAST, MOST);
        let whole = Duration::from_secs(u64::from(interval));
        let early = (whole / 3).min(Duration::from_secs(32));
        SessionTimer {
            interval,
            ours,
            agreed: true,
            refresh: ours.then(|| now + whole / 2),
            end: now + whole - early,
        }
    }

    /// Without the clock of the process.
    pub(super) fn stored(&self, clock: &WallClock) -> StoredTimer {
        StoredTimer {
            interval: self.interval,
            ours: self.ours,
            agreed: self.agreed,
            refresh: self.refresh.map(|at| clock.unix_ms(at)),
            end: clock.unix_ms(self.end),
        }
    }

    /// As it was. A clock that was set meanwhile neither ends the session at once nor makes it immortal.
    pub(super) fn restored(stored: &StoredTimer, clock: &WallClock) -> SessionTimer {
        let interval = stored.interval.clamp(LEAST, MOST);
        let whole = Duration::from_secs(u64::from(interval));
        let refresh = stored.refresh.map(|at| clock.now + clock.left(at).min(whole));
        let end = clock
            .left(stored.end)
            .clamp(Duration::from_secs(u64::from(LEAST)), whole);
        SessionTimer {
            interval,
            ours: stored.ours,
            agreed: stored.agreed,
            refresh,
            end: clock.now + end,
        }
    }

    /// When the session is given up.
    pub(super) fn end(&self) -> Instant {
        self.end
    }

    fn next(&self) -> Instant {
        self.refresh.map_or(self.end, |refresh| refresh.min(self.end))
    }
}

/// `Session-Expires: 1800;refresher=uas`.
fn session_expires(message: &Message) -> Option<(u32, Option<bool>)> {
    let value = message.text(HeaderName::SessionExpires)?;
    let mut parts = value.split(';').map(str::trim);
    let seconds = parts.next()?.parse().ok()?;
    let by_uac = parts
        .filter_map(|param| param.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("refresher"));
    let by_uac = by_uac.and_then(|(_, who)| match who.trim() {
        who if who.eq_ignore_ascii_case("uac") => Some(true),
        who if who.eq_ignore_ascii_case("uas") => Some(false),
        _ => None,
    });
    Some((seconds, by_uac))
}

fn says_timer(message: &Message) -> bool {
    message.has_token(HeaderName::Supported, "timer") || message.has_token(HeaderName::Require, "timer")
}

impl Leg {
    /// The headers of the INVITE that makes the dialog. The party may choose who refreshes.
    pub(crate) fn first_timer(draft: Draft, min_se: u32, wanted: u32) -> Draft {
        let draft = draft.header(HeaderName::SessionExpires, wanted.max(min_se));
        // §7.1: to be repeated once the party has said 422.
        if min_se > 0 {
            draft.header(HeaderName::MinSe, min_se)
        } else {
            draft
        }
    }

    /// The headers of a re-INVITE or UPDATE of ours.
    pub(crate) fn ask_for_timer(&self, draft: Draft, wanted: u32) -> Draft {
        let Some(timer) = &self.timer else {
            return Leg::first_timer(draft, self.min_se, wanted);
        };
        let refresher = if timer.ours { "uac" } else { "uas" };
        let draft = draft.header(
            HeaderName::SessionExpires,
            format_args!("{};refresher={refresher}", timer.interval.max(self.min_se)),
        );
        if self.min_se > 0 {
            draft.header(HeaderName::MinSe, self.min_se)
        } else {
            draft
        }
    }

    /// The party's 422: whether asking again makes sense.
    pub(crate) fn take_min_se(&mut self, response: &Message) -> bool {
        match response.number(HeaderName::MinSe) {
            Some(least) if least > self.min_se && least <= MOST => {
                self.min_se = least;
                true
            }
            Some(_) | None => false,
        }
    }
}

impl Legs {
    /// The minimum that an INVITE of the party falls short of: it is answered 422 with this `Min-SE`.
    pub fn interval_too_small(&self, request: &Message) -> Option<u32> {
        let (asked, _) = session_expires(request)?;
        let least = self.identity.min_se.max(LEAST);
        // §9: a party that does not say `timer` would not understand the 422.
        (asked < least && says_timer(request)).then_some(least)
    }

    /// Agrees on a timer as UAS, and writes it into the 2xx.
    pub(crate) fn agree_on_timer(&mut self, now: Instant, handle: LegHandle, request: &Message, draft: Draft) -> Draft {
        let (wanted, least) = (self.identity.session_expires, self.identity.min_se.max(LEAST));
        let Some(leg) = self.get_mut(handle) else { return draft };
        let asked = session_expires(request);
        let theirs = request.number(HeaderName::MinSe).unwrap_or(LEAST).min(MOST);
        let interval = asked
            .map_or(wanted, |(asked, _)| asked.min(wanted))
            .max(theirs)
            .max(least);
        let ours = match asked.and_then(|(_, by_uac)| by_uac) {
            Some(by_uac) => !by_uac,
            // §9, table 2: whoever refreshes now goes on; who cannot, does not.
            None if says_timer(request) => leg.timer.is_some_and(|timer| timer.ours),
            None => true,
        };
        let timer = SessionTimer::start(now, interval, ours);
        self.run_timer(handle, Some(timer));
        let refresher = if ours { "uas" } else { "uac" };
        let draft = draft.header(
            HeaderName::SessionExpires,
            format_args!("{};refresher={refresher}", timer.interval),
        );
        if says_timer(request) {
            draft.header(HeaderName::Require, "timer")
        } else {
            draft
        }
    }

    /// The 2xx to a request of ours says what the party agreed to.
    pub(crate) fn take_timer(&mut self, now: Instant, handle: LegHandle, response: &Message) {
        let timer = match session_expires(response) {
            // §7.2: without a name it is the UAC, us.
            Some((interval, by_uac)) => SessionTimer::start(now, interval, by_uac.unwrap_or(true)),
            None => SessionTimer {
                agreed: false,
                ..SessionTimer::start(now, self.identity.session_expires, true)
            },
        };
        self.run_timer(handle, Some(timer));
    }

    /// Lets this timer run instead of the one that ran.
    pub(crate) fn run_timer(&mut self, handle: LegHandle, timer: Option<SessionTimer>) {
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return;
        };
        if let Some(old) = std::mem::replace(&mut leg.timer, timer) {
            self.deadlines.remove(old.next(), handle);
        }
        if let Some(timer) = timer {
            self.deadlines.add(timer.next(), handle);
        }
    }

    /// Refreshes the session, or gives it up.
    pub(crate) fn session_timeout(&mut self, now: Instant, handle: LegHandle) {
        let Some(leg) = self.get(handle) else { return };
        let Some(timer) = leg.timer.filter(|timer| timer.next() <= now) else {
            return;
        };
        if !leg.is_confirmed() {
            self.run_timer(handle, None);
            return;
        }
        if timer.end <= now && !timer.agreed {
            let again = SessionTimer {
                agreed: false,
                ..SessionTimer::start(now, timer.interval, true)
            };
            self.run_timer(handle, Some(again));
            return;
        }
        if timer.end <= now {
            tracing::info!(leg = %handle, "session not refreshed in time");
            self.run_timer(handle, None);
            self.release(now, handle, Cause::Lost);
            self.tell(handle, LegEvent::Released { cause: Cause::Lost });
            return;
        }
        // An exchange that is under way refreshes as well, if it succeeds; else there is another try.
        let free = leg.is_settled();
        let refresh = Offer::refresh(leg.sent.clone(), leg.abilities);
        self.run_timer(
            handle,
            Some(SessionTimer {
                refresh: Some(now + AGAIN),
                ..timer
            }),
        );
        if free {
            self.send_offer(now, handle, refresh, 0);
        }
    }

    /// A refresh came to its end: nobody else asked for it, but somebody may have waited for the exchange to be free.
    pub(crate) fn refreshed(&mut self, now: Instant, handle: LegHandle, changed: bool) {
        self.tell(handle, LegEvent::Refreshed { changed });
        self.next_offer(now, handle);
    }
}

impl Offer {
    /// §7.4: UPDATE needs no description; a re-INVITE carries the last one, for without it the party would offer anew.
    fn refresh(sent: Option<crate::sdp::Description>, abilities: Abilities) -> Offer {
        match sent {
            Some(description) if !abilities.update => Offer {
                description: Some(description),
                carrier: Carrier::Invite,
                refresh: true,
            },
            Some(_) | None if abilities.update => Offer {
                description: None,
                carrier: Carrier::Update,
                refresh: true,
            },
            description @ (Some(_) | None) => Offer {
                description,
                carrier: Carrier::Invite,
                refresh: true,
            },
        }
    }
}

impl Exchange {
    /// Whether it is a refresh of ours that is under way.
    pub(crate) fn is_refresh(&self) -> bool {
        match self {
            Exchange::Sent { offer, .. } | Exchange::Backoff { offer, .. } => offer.refresh,
            Exchange::Stable | Exchange::OwesAck { .. } | Exchange::Received { .. } | Exchange::Answered(_) => false,
        }
    }
}
