//! The plain data of a leg that is kept: what stands in the store, and how it is read back.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use compact_str::{CompactString, ToCompactString};
use serde::{Deserialize, Serialize};

use super::AHEAD;
use crate::dialog::{Dialog, DialogId, Role};
use crate::media::describe::StoredEnd;
use crate::sdp::Description;
use crate::sip::Uri;
use crate::transport::{Flow, Transport};
use crate::vocabulary::Cause;

/// The time on the wall at one moment of the process.
#[derive(Clone, Copy, Debug)]
pub struct WallClock {
    /// The moment.
    pub now: Instant,
    /// Unix time then, in milliseconds.
    pub unix_ms: u64,
}

impl WallClock {
    /// The Unix time of a moment that is or will be, in milliseconds.
    pub fn unix_ms(&self, at: Instant) -> u64 {
        let after = at.saturating_duration_since(self.now).as_millis();
        let before = self.now.saturating_duration_since(at).as_millis();
        self.unix_ms
            .saturating_add(u64::try_from(after).unwrap_or(u64::MAX))
            .saturating_sub(u64::try_from(before).unwrap_or(u64::MAX))
    }

    /// How long it is until then; nothing for what is over.
    pub fn left(&self, unix_ms: u64) -> Duration {
        Duration::from_millis(unix_ms.saturating_sub(self.unix_ms))
    }
}

/// A flow without its connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFlow {
    /// `UDP`, `TCP`, `TLS`, `WS` or `WSS`.
    pub transport: CompactString,
    /// Our end.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
}

impl StoredFlow {
    /// Of a flow.
    pub fn of(flow: &Flow) -> StoredFlow {
        StoredFlow {
            transport: CompactString::const_new(flow.transport.as_str()),
            local: flow.local,
            remote: flow.remote,
        }
    }

    /// The flow, its connection gone; `None`: an unknown transport.
    pub fn flow(&self) -> Option<Flow> {
        let all = [
            Transport::Udp,
            Transport::Tcp,
            Transport::Tls,
            Transport::Ws,
            Transport::Wss,
        ];
        Some(Flow {
            transport: all.into_iter().find(|known| known.as_str() == self.transport)?,
            local: self.local,
            remote: self.remote,
            connection: 0,
        })
    }
}

/// A dialog as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredDialog {
    /// Call-ID.
    pub call_id: CompactString,
    /// Our tag: slot and generation are in it.
    pub local_tag: CompactString,
    /// The party's tag.
    pub remote_tag: CompactString,
    /// We sent the request that made it.
    pub we_called: bool,
    /// From of our requests.
    pub local: CompactString,
    /// To of our requests.
    pub remote: CompactString,
    /// The remote target.
    pub target: CompactString,
    /// The route set, nearest first.
    pub routes: Vec<CompactString>,
    /// Of our latest request.
    pub local_cseq: u32,
    /// Of the party's latest request.
    pub remote_cseq: Option<u32>,
    /// Where the party is.
    pub flow: StoredFlow,
}

impl StoredDialog {
    pub(in crate::leg) fn of(dialog: &Dialog) -> StoredDialog {
        StoredDialog {
            call_id: dialog.id.call_id.clone(),
            local_tag: dialog.id.local_tag.clone(),
            remote_tag: dialog.id.remote_tag.clone(),
            we_called: dialog.role == Role::Uac,
            local: dialog.local.clone(),
            remote: dialog.remote.clone(),
            target: dialog.remote_target.as_str().into(),
            routes: dialog
                .route_set
                .iter()
                .map(ToCompactString::to_compact_string)
                .collect(),
            local_cseq: dialog.local_cseq,
            remote_cseq: dialog.remote_cseq,
            flow: StoredFlow::of(&dialog.flow),
        }
    }

    /// The dialog, its own sequence further on; `None`: it cannot be read.
    pub(in crate::leg) fn dialog(&self) -> Option<Dialog> {
        Some(Dialog {
            id: DialogId {
                call_id: self.call_id.clone(),
                local_tag: self.local_tag.clone(),
                remote_tag: self.remote_tag.clone(),
            },
            role: if self.we_called { Role::Uac } else { Role::Uas },
            local: self.local.clone(),
            remote: self.remote.clone(),
            remote_target: Uri::parse(&self.target).ok()?,
            route_set: self.routes.iter().map(CompactString::as_str).collect(),
            local_cseq: self.local_cseq.saturating_add(AHEAD),
            remote_cseq: self.remote_cseq,
            flow: self.flow.flow()?,
        })
    }
}

/// A description, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredDescription {
    /// Its octets.
    #[serde(with = "octets")]
    pub octets: Bytes,
    /// The mark of its author's leg.
    pub mark: u64,
}

impl StoredDescription {
    pub(super) fn of(description: &Description) -> StoredDescription {
        StoredDescription {
            octets: description.bytes().clone(),
            mark: description.mark(),
        }
    }

    pub(super) fn description(&self) -> Option<Description> {
        let parsed = Description::parse(self.octets.clone()).ok()?;
        Some(parsed.marked(self.mark))
    }
}

/// A session timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredTimer {
    /// In seconds.
    pub interval: u32,
    /// We refresh.
    pub ours: bool,
    /// The party takes part.
    pub agreed: bool,
    /// When we refresh next: Unix time in milliseconds.
    pub refresh: Option<u64>,
    /// When the session is given up: Unix time in milliseconds.
    pub end: u64,
}

/// The subscription of a REFER of the party.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredNotifier {
    /// `;id=` of the Event header.
    pub id: Option<u32>,
    /// The status that was reported last, or is about to be.
    pub said: u16,
    /// It was the last one.
    pub over: bool,
    /// The dialog of its own that it has.
    pub dialog: Option<StoredDialog>,
}

/// What was under way in the dialog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StoredExchange {
    /// Nothing.
    Quiet,
    /// Our 2xx was not acknowledged yet.
    Answered {
        /// The whole 2xx.
        #[serde(with = "octets")]
        response: Bytes,
        /// Its number.
        cseq: u32,
        /// It had the offer.
        offered: bool,
        /// Until when its ACK was waited for: Unix time in milliseconds.
        until: u64,
    },
    /// An offer of ours was out, or waited; `acknowledge`: the number of a re-INVITE that had an offer.
    Offered {
        /// See above.
        acknowledge: Option<u32>,
    },
    /// A 2xx with this number waited for our answer.
    OwesAck {
        /// See above.
        cseq: u32,
    },
    /// The party's request waited for our answer.
    Asked {
        /// The whole request.
        #[serde(with = "octets")]
        request: Bytes,
    },
}

/// A CANCEL that was not needed yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredCancel {
    /// Where it goes.
    pub flow: StoredFlow,
    /// The whole request.
    #[serde(with = "octets")]
    pub request: Bytes,
}

/// A confirmed leg as plain data, without clocks and connections of the process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredLeg {
    /// Its dialog.
    pub dialog: StoredDialog,
    /// The party.
    pub party: CompactString,
    /// The authenticated user.
    pub user: Option<CompactString>,
    /// What the party last said.
    pub remote: Option<StoredDescription>,
    /// What it was last sent.
    pub sent: Option<StoredDescription>,
    /// It holds the other side.
    pub holding: bool,
    /// An API client holds it so.
    pub held: Option<CompactString>,
    /// Observers know of that.
    pub told_held: bool,
    /// REFER, Replaces, UPDATE.
    pub abilities: (bool, bool, bool),
    /// It was on its way out, for this reason.
    pub ending: Option<Cause>,
    /// The exchange of offers.
    pub exchange: StoredExchange,
    /// The session timer.
    pub timer: Option<StoredTimer>,
    /// The party's least interval.
    pub min_se: u32,
    /// Session id and version of our description.
    pub origin: (u64, u64),
    /// The subscription of its REFER.
    pub notifier: Option<StoredNotifier>,
    /// We sent it REFER, and the outcome is open.
    pub subscribed: bool,
    /// How many REFERs it has sent, and the number of the last.
    pub refers: (u16, Option<u32>),
    /// Our Contact.
    pub contact: CompactString,
    /// Its requests go to the host of its Contact.
    pub follows_contact: bool,
    /// Challenges of this realm are answered as this user; the password is the configuration's.
    pub credentials: Option<(CompactString, Option<CompactString>)>,
    /// Our end of its media.
    pub end: Option<StoredEnd>,
    /// It is recorded.
    pub recorded: bool,
    /// What it hears when it is held.
    pub music: Option<CompactString>,
}

/// Octets as text, one character each: readable, and nothing is lost of what is not UTF-8.
pub(super) mod octets {
    use bytes::Bytes;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(in crate::leg::kept) fn serialize<S: Serializer>(octets: &Bytes, to: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(octets) {
            Ok(text) if text.is_ascii() => to.serialize_str(text),
            Ok(_) | Err(_) => to.serialize_str(&octets.iter().map(|octet| char::from(*octet)).collect::<String>()),
        }
    }

    pub(in crate::leg::kept) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Bytes, D::Error> {
        let text = String::deserialize(from)?;
        if text.is_ascii() {
            return Ok(text.into());
        }
        let octet = |c: char| u8::try_from(u32::from(c)).map_err(serde::de::Error::custom);
        text.chars().map(octet).collect::<Result<Vec<u8>, _>>().map(Bytes::from)
    }
}
