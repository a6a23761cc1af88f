//! REFER in both directions and the subscription that each makes.
//!
//! RFC 3515 §2.4: a REFER that is accepted makes a subscription; its NOTIFYs carry a sipfrag (RFC 3420) and the last one
//! says `terminated`. RFC 4488: `Refer-Sub: false` makes none. The outcome of a REFER that we send is the sipfrag, the end
//! of the subscription or the timer, never the 202 (LESSONS 21, 22). A NOTIFY that fails ends the subscription and
//! nothing else (LESSONS 23).

use std::fmt::Display;
use std::time::{Duration, Instant};

use super::kept::{StoredDialog, StoredNotifier};
use super::{LegEvent, LegHandle, Legs, Purpose};
use crate::dialog::{Dialog, Match};
use crate::sip::{HeaderName, Message, Method, SUPPORTED, Sipfrag, TargetDialog};
use crate::transaction::ServerHandle;

/// The party sent REFER: we owe it NOTIFYs.
#[derive(Debug)]
pub(crate) struct Notifier {
    /// `;id=` of the Event header: none for the first REFER in a dialog (RFC 3515 §2.4.6).
    id: Option<u32>,
    outstanding: bool,
    /// What waits for the outstanding NOTIFY's answer: status, and whether it is the last.
    queued: Option<(u16, bool)>,
    /// The status that was reported last.
    said: u16,
    /// Nothing more is to be said: the next answer ends it.
    over: bool,
    /// Where the NOTIFYs go when the REFER came outside of the leg's dialog.
    dialog: Option<Box<Dialog>>,
}

impl Notifier {
    /// What outlives the process: what was said last, or waits to be said.
    pub(super) fn stored(&self) -> StoredNotifier {
        let (said, over) = self.queued.unwrap_or((self.said, self.over));
        StoredNotifier {
            id: self.id,
            said,
            over,
            dialog: self.dialog.as_deref().map(StoredDialog::of),
        }
    }

    /// One that has said nothing yet in this process.
    pub(super) fn restored(stored: &StoredNotifier) -> Notifier {
        Notifier {
            id: stored.id,
            outstanding: false,
            queued: None,
            said: stored.said,
            over: false,
            dialog: stored.dialog.as_ref().and_then(StoredDialog::dialog).map(Box::new),
        }
    }

    /// Changes when what outlives the process does.
    pub(super) fn stamp(&self) -> u64 {
        let (said, over) = self.queued.unwrap_or((self.said, self.over));
        1 | u64::from(over) << 1 | u64::from(said) << 2
    }
}

impl Subscriber {
    /// One whose REFER a process before this one has sent.
    pub(super) fn restored() -> Subscriber {
        Subscriber { accepted: true }
    }
}

/// We sent REFER: the party owes us NOTIFYs.
#[derive(Debug)]
pub(crate) struct Subscriber {
    accepted: bool,
}

/// How a REFER of ours goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReferProgress {
    /// 2xx: accepted, nothing more.
    Accepted,
    /// Refused with this status; 408 and 503 also stand for silence and transport errors.
    Refused(u16),
    /// A sipfrag with a provisional status.
    Trying(u16),
    /// A sipfrag with a final status.
    Final(u16),
    /// The subscription ended and said nothing of the outcome.
    Ended,
}

impl Legs {
    /// Accepts a REFER with `status` (200 or 202) and says 100 in a first NOTIFY. With `Refer-Sub: false` (RFC 4488) or
    /// `Require: nosub` (RFC 7614 §4.3) nothing more is reported. `outside`: the dialog of its own that a REFER outside
    /// of the leg's dialog makes (RFC 4538); its NOTIFYs go there.
    pub fn accept_refer(
        &mut self,
        now: Instant,
        handle: LegHandle,
        server: ServerHandle,
        request: &Message,
        status: u16,
        outside: Option<Dialog>,
    ) {
        let refer_sub = request
            .text(HeaderName::ReferSub)
            .and_then(|value| value.split(';').next());
        let without = refer_sub.is_some_and(|value| value.trim().eq_ignore_ascii_case("false"));
        let nosub = request.has_token(HeaderName::Require, "nosub");
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return;
        };
        // RFC 7614 §4.3: without a subscription there is nothing that 202 could promise.
        let status = if nosub { 200 } else { status };
        let mut draft = request.respond(status).header(HeaderName::Contact, &leg.contact);
        if let Some(dialog) = &outside {
            draft = draft.to_tag(&dialog.id.local_tag);
        }
        if nosub {
            draft = draft.header(HeaderName::Supported, SUPPORTED);
        } else if without {
            draft = draft.header(HeaderName::ReferSub, "false");
        }
        // RFC 3515 §2.4.6: from the second REFER of a dialog on, its NOTIFYs are told apart by an id.
        let first = leg.refers == 0 || outside.is_some();
        if outside.is_none() {
            leg.refers = leg.refers.saturating_add(1);
            leg.referred = Some(request.cseq());
        }
        self.transactions.respond(now, server, draft.print(), status);
        if !without && !nosub {
            leg.notifier = Some(Notifier {
                id: (!first).then(|| request.cseq()),
                outstanding: false,
                queued: None,
                said: 100,
                over: false,
                dialog: outside.map(Box::new),
            });
            self.report(now, handle, 100, false);
        }
    }

    /// A REFER that was accepted already, by a process that could not say so any more.
    pub(crate) fn accept_again(&mut self, now: Instant, handle: LegHandle, server: ServerHandle, request: &Message) {
        let Some(leg) = self.get(handle) else { return };
        let draft = request.respond(202).header(HeaderName::Contact, &leg.contact);
        self.transactions.respond(now, server, draft.print(), 202);
    }

    /// The leg whose dialog a Target-Dialog names (RFC 4538 §5): both tags and the Call-ID.
    pub fn find_target(&self, target: &TargetDialog) -> Match {
        self.table.find(&target.local_tag, &target.call_id, &target.remote_tag)
    }

    /// Whether the party was sent a REFER whose outcome is not known yet.
    pub fn is_referred(&self, handle: LegHandle) -> bool {
        self.get(handle).is_some_and(|leg| leg.subscriber.is_some())
    }

    /// Whether the party waits for the outcome of a REFER.
    pub fn owes_report(&self, handle: LegHandle) -> bool {
        self.get(handle).is_some_and(|leg| leg.notifier.is_some())
    }

    /// Reports `status` to the party whose REFER it was; `last` ends the subscription. While a NOTIFY is unanswered the
    /// newest report waits: sent side by side, they could arrive in the wrong order.
    pub fn report(&mut self, now: Instant, handle: LegHandle, status: u16, last: bool) {
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return;
        };
        let Some(notifier) = &mut leg.notifier else { return };
        if notifier.over || notifier.queued.is_some_and(|(_, last)| last) {
            return;
        }
        if notifier.outstanding {
            notifier.queued = Some((status, last));
            return;
        }
        notifier.outstanding = true;
        (notifier.over, notifier.said) = (last, status);
        let event = match notifier.id {
            Some(id) => format!("refer;id={id}"),
            None => "refer".to_owned(),
        };
        let dialog = notifier.dialog.as_deref_mut().unwrap_or(&mut leg.dialog);
        let flow = dialog.flow;
        let draft = dialog
            .next_request(&Method::Notify)
            .header(HeaderName::Contact, &leg.contact)
            .header(HeaderName::Event, event)
            .header(
                HeaderName::SubscriptionState,
                if last {
                    "terminated;reason=noresource"
                } else {
                    "active;expires=60"
                },
            )
            .body("message/sipfrag;version=2.0", Sipfrag::new(status).to_string());
        self.request_on(now, handle, flow, &draft, Purpose::Notify);
    }

    /// A NOTIFY of ours was answered, refused, or lost.
    pub(crate) fn report_answered(&mut self, now: Instant, handle: LegHandle, status: u16) {
        self.paid(handle);
        let Some(leg) = self.get_mut(handle) else { return };
        let Some(notifier) = &mut leg.notifier else { return };
        notifier.outstanding = false;
        let queued = notifier.queued.take();
        if notifier.over || status >= 300 {
            // RFC 6665 §4.2.2: 481 and its like remove the subscription.
            leg.notifier = None;
            self.tell(handle, LegEvent::ReportSettled);
            self.finish_if_settled(handle);
        } else if let Some((status, last)) = queued {
            self.report(now, handle, status, last);
        }
    }

    /// Our BYE ends what is left of the subscription: a NOTIFY behind it would find no dialog (LESSONS 5).
    pub(crate) fn end_reports(&mut self, handle: LegHandle) {
        let Some(leg) = self.get_mut(handle) else { return };
        leg.notifier = leg
            .notifier
            .take()
            .filter(|notifier| notifier.outstanding)
            .map(|notifier| Notifier {
                queued: None,
                over: true,
                ..notifier
            });
    }

    /// Sends REFER to the party. Its outcome rises as [`LegEvent::Progress`].
    pub fn refer(&mut self, now: Instant, handle: LegHandle, refer_to: impl Display, referred_by: Option<&str>) {
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return;
        };
        let mut draft = leg
            .dialog
            .next_request(&Method::Refer)
            .header(HeaderName::Contact, &leg.contact)
            .header(HeaderName::ReferTo, refer_to);
        if let Some(referred_by) = referred_by {
            draft = draft.header(HeaderName::ReferredBy, referred_by);
        }
        leg.subscriber = Some(Subscriber { accepted: false });
        self.request(now, handle, &draft, Purpose::Refer);
    }

    /// The answer to our REFER, or its absence.
    pub(crate) fn refer_answered(&mut self, handle: LegHandle, status: u16) {
        self.paid(handle);
        let Some(leg) = self.get_mut(handle) else { return };
        let Some(subscriber) = &mut leg.subscriber else { return };
        let progress = if status < 300 {
            subscriber.accepted = true;
            ReferProgress::Accepted
        } else {
            leg.subscriber = None;
            ReferProgress::Refused(status)
        };
        self.tell(handle, LegEvent::Progress(progress));
    }

    /// The party's NOTIFY. One that belongs to no subscription of ours gets 481 (RFC 6665 §4.1.3).
    pub(crate) fn notify_received(&mut self, now: Instant, handle: LegHandle, server: ServerHandle, request: &Message) {
        let event = request.text(HeaderName::Event).unwrap_or_default();
        let ours = event
            .split(';')
            .next()
            .is_some_and(|package| package.trim().eq_ignore_ascii_case("refer"));
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return;
        };
        if !ours || leg.subscriber.is_none() {
            let status = if ours { 481 } else { 489 };
            self.transactions
                .respond(now, server, request.respond(status).print(), status);
            return;
        }
        self.transactions
            .respond(now, server, request.respond(200).print(), 200);
        let terminated = request.text(HeaderName::SubscriptionState).is_some_and(|state| {
            state
                .split(';')
                .next()
                .is_some_and(|state| state.trim().eq_ignore_ascii_case("terminated"))
        });
        let progress = match Sipfrag::parse(&request.body()).map(|fragment| fragment.status) {
            Some(status) if status >= 200 => ReferProgress::Final(status),
            _ if terminated => ReferProgress::Ended,
            Some(status) => ReferProgress::Trying(status),
            None => return,
        };
        if matches!(progress, ReferProgress::Final(_) | ReferProgress::Ended) {
            leg.subscriber = None;
        }
        self.tell(handle, LegEvent::Progress(progress));
    }
}

impl Legs {
    /// What the party still has to say of a REFER of ours is of no interest any more.
    pub fn end_subscription(&mut self, handle: LegHandle) {
        if let Some(leg) = self.get_mut(handle) {
            leg.subscriber = None;
        }
        self.finish_if_settled(handle);
    }

    /// How long an outcome may take after a REFER of ours was accepted: ringing included.
    pub fn outcome_timeout(&self) -> Duration {
        self.identity.ring_timeout + self.identity.guard
    }
}
