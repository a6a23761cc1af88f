//! A call as this API knows it: one party of it, with a status of its own.

use std::time::SystemTime;

use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedSender;

use super::date::{rfc2822, seconds};
use super::sid::Sid;
use super::twiml::Callback;
use crate::engine::{CallHandle, Cause, LegHandle};

/// Who called whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Inbound,
    OutboundApi,
    OutboundDial,
}

impl Direction {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Direction::Inbound => "inbound",
            Direction::OutboundApi => "outbound-api",
            Direction::OutboundDial => "outbound-dial",
        }
    }
}

/// Where a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Queued,
    Ringing,
    InProgress,
    Completed,
    Busy,
    Failed,
    NoAnswer,
    Canceled,
}

impl Status {
    pub(super) const ALL: [Status; 8] = [
        Status::Queued,
        Status::Ringing,
        Status::InProgress,
        Status::Completed,
        Status::Busy,
        Status::Failed,
        Status::NoAnswer,
        Status::Canceled,
    ];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Status::Queued => "queued",
            Status::Ringing => "ringing",
            Status::InProgress => "in-progress",
            Status::Completed => "completed",
            Status::Busy => "busy",
            Status::Failed => "failed",
            Status::NoAnswer => "no-answer",
            Status::Canceled => "canceled",
        }
    }

    pub(super) fn is_over(self) -> bool {
        match self {
            Status::Queued | Status::Ringing | Status::InProgress => false,
            Status::Completed | Status::Busy | Status::Failed | Status::NoAnswer | Status::Canceled => true,
        }
    }

    /// The name of the callback event that says so.
    pub(super) fn event(self) -> &'static str {
        match self {
            Status::Queued => "initiated",
            Status::Ringing => "ringing",
            Status::InProgress => "answered",
            Status::Completed | Status::Busy | Status::Failed | Status::NoAnswer | Status::Canceled => "completed",
        }
    }

    /// What a call is that ends before anybody talked in it.
    pub(super) fn unanswered(cause: Cause, direction: Direction) -> Status {
        match (cause, direction) {
            (
                Cause::Refused {
                    status: 486 | 600 | 603,
                },
                _,
            ) => Status::Busy,
            (Cause::Refused { status: 408 | 480 }, _) | (Cause::NoAnswer, _) => Status::NoAnswer,
            (Cause::Refused { status: 487 }, _) => Status::Canceled,
            (Cause::Refused { .. } | Cause::Lost, _) => Status::Failed,
            (Cause::Party, Direction::Inbound) => Status::Canceled,
            (Cause::Party, Direction::OutboundApi | Direction::OutboundDial) => Status::Failed,
            (Cause::OtherParty | Cause::Transferred | Cause::Command, _) => Status::Canceled,
        }
    }
}

/// Something that the task of a call must know.
#[derive(Clone, Debug)]
pub(super) enum Signal {
    /// It was answered, or moved, and is in a hub.
    Joined,
    /// It is in this hub no more.
    Left(CallHandle),
    /// It is over.
    Ended,
    /// Its party pressed a key.
    Digit(char),
    /// A sound is over, or could not be played.
    Played(String),
    /// A client wants something else of it.
    Redirect(super::flow::Source),
    /// It has to leave the conference or the queue that it is in.
    Out,
    /// Somebody takes it out of its queue.
    Dequeued(super::queue::Dequeue),
    /// What a party that was referred says of it.
    Referred { status: u16, last: bool },
    /// A recording of it is complete.
    Recorded { name: String, milliseconds: u64 },
}

/// One party.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) sid: Sid,
    pub(super) parent: Option<Sid>,
    pub(super) to: String,
    pub(super) from: String,
    pub(super) direction: Direction,
    pub(super) status: Status,
    pub(super) created: SystemTime,
    pub(super) updated: SystemTime,
    pub(super) started: Option<SystemTime>,
    pub(super) ended: Option<SystemTime>,
    /// The one that talks; `None` while several ring, or none yet.
    pub(super) leg: Option<LegHandle>,
    /// All that ring.
    pub(super) ringing: Vec<LegHandle>,
    /// The hub that was opened for it alone.
    pub(super) home: Option<CallHandle>,
    pub(super) inboxes: Vec<UnboundedSender<Signal>>,
    pub(super) callback: Option<Callback>,
    /// Of its next callback.
    pub(super) sequence: u32,
    pub(super) sip_status: Option<u16>,
    pub(super) conference: Option<Sid>,
    /// A client has ended it before it was answered.
    pub(super) canceled: bool,
    pub(super) queue_seconds: u64,
    /// Who sent it on, if somebody did.
    pub(super) forwarded_from: Option<String>,
}

impl Call {
    pub(super) fn new(direction: Direction, from: &str, to: &str, now: SystemTime) -> Call {
        Call {
            sid: Sid::new("CA"),
            parent: None,
            to: to.to_owned(),
            from: from.to_owned(),
            direction,
            status: Status::Queued,
            created: now,
            updated: now,
            started: None,
            ended: None,
            leg: None,
            ringing: Vec::new(),
            home: None,
            inboxes: Vec::new(),
            callback: None,
            sequence: 0,
            sip_status: None,
            conference: None,
            canceled: false,
            queue_seconds: 0,
            forwarded_from: None,
        }
    }

    /// Tells everybody who waits for something of it.
    pub(super) fn tell(&mut self, signal: &Signal) {
        self.inboxes.retain(|inbox| inbox.send(signal.clone()).is_ok());
    }

    /// Seconds of talk.
    pub(super) fn duration(&self) -> Option<u64> {
        let ended = self.ended?;
        Some(self.started.map_or(0, |started| seconds(started, ended)))
    }

    /// As the API shows it.
    pub(super) fn json(&self, account: &str) -> Value {
        let uri = format!("/2010-04-01/Accounts/{account}/Calls/{}", self.sid);
        let names = [
            "notifications",
            "recordings",
            "payments",
            "events",
            "siprec",
            "streams",
            "transcriptions",
        ];
        let name = |word: &str| {
            let (first, rest) = word.split_at(1);
            format!("{uri}/{}{rest}.json", first.to_uppercase())
        };
        let parts: serde_json::Map<String, Value> = names
            .iter()
            .map(|word| ((*word).to_owned(), name(word).into()))
            .collect();
        json!({
            "sid": self.sid, "account_sid": account, "parent_call_sid": self.parent,
            "date_created": rfc2822(self.created), "date_updated": rfc2822(self.updated),
            "to": self.to, "to_formatted": self.to, "from": self.from, "from_formatted": self.from,
            "phone_number_sid": null, "status": self.status.as_str(),
            "start_time": self.started.map(rfc2822), "end_time": self.ended.map(rfc2822),
            "duration": self.duration().map(|seconds| seconds.to_string()),
            "price": null, "price_unit": "USD", "direction": self.direction.as_str(), "answered_by": null,
            "api_version": "2010-04-01", "forwarded_from": self.forwarded_from, "group_sid": null, "caller_name": null,
            "queue_time": (self.queue_seconds * 1_000).to_string(), "trunk_sid": null, "annotation": null,
            "uri": format!("{uri}.json"), "subresource_uris": parts,
        })
    }

    /// What every request about it tells an application.
    pub(super) fn parameters(&self, account: &str) -> Vec<(String, String)> {
        let mut told = vec![
            ("CallSid", self.sid.to_string()),
            ("AccountSid", account.to_owned()),
            ("From", self.from.clone()),
            ("To", self.to.clone()),
            ("Caller", self.from.clone()),
            ("Called", self.to.clone()),
            ("CallStatus", self.status.as_str().to_owned()),
            ("ApiVersion", "2010-04-01".to_owned()),
            ("Direction", self.direction.as_str().to_owned()),
        ];
        told.extend(self.parent.iter().map(|sid| ("ParentCallSid", sid.to_string())));
        told.extend(self.forwarded_from.iter().map(|from| ("ForwardedFrom", from.clone())));
        told.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}
