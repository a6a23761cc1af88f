//! What outlives a process of a leg, and what the next process makes of it.
//!
//! Only dialogs that are confirmed are kept: what rings when the process dies is dialled anew by whoever wanted it. A leg
//! comes back under its handle, with its tag, its numbers, its descriptions and its timer, and what it owed is paid:
//!
//! | when the process died | the next one |
//! |---|---|
//! | our 2xx may not have arrived | sends it once more; a party that has it acknowledges it once more (RFC 3261 §13.2.2.4) |
//! | our re-INVITE was out | acknowledges it unseen and offers anew: nobody knows what the party has |
//! | a 2xx with an offer waited for our ACK | answers it with what the party had before |
//! | the party's re-INVITE was unanswered | takes it as if it came now |
//! | a final NOTIFY was under way | says it once more |
//! | a BYE was under way | sends it once more |
//!
//! What was written last may be a moment older than what was sent last. So our sequence goes on [`AHEAD`] further (RFC
//! 3261 §12.2.2 allows gaps), and so does the version of our description.
//!
//! RFC 3261 §12, §13.2.2.4, §14; RFC 3264 §8; RFC 4028 §10.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use compact_str::{CompactString, ToCompactString};
use serde::{Deserialize, Serialize};

use super::offer::{AwaitAck, Exchange, OurInvite};
use super::refer::{Notifier, Subscriber};
use super::timer::SessionTimer;
use super::{Abilities, Credentials, Leg, LegHandle, LegOwner, Legs, Setup, State, TransactionUser};
use crate::dialog::{Dialog, DialogId, Role, RouteSet};
use crate::media::describe::StoredEnd;
use crate::media::{PromptName, RecordingName};
use crate::sdp::{Description, Direction};
use crate::sip::{Draft, HeaderName, Message, Method, NameAddr, Uri};
use crate::transport::{Flow, Transport};
use crate::vocabulary::Cause;

/// How much further our sequence and our description's version go on: more than passes between two writes.
const AHEAD: u32 = 64;

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
    pub(super) fn of(dialog: &Dialog) -> StoredDialog {
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
    pub(super) fn dialog(&self) -> Option<Dialog> {
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
    fn of(description: &Description) -> StoredDescription {
        StoredDescription {
            octets: description.bytes().clone(),
            mark: description.mark(),
        }
    }

    fn description(&self) -> Option<Description> {
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
mod octets {
    use bytes::Bytes;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(octets: &Bytes, to: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(octets) {
            Ok(text) if text.is_ascii() => to.serialize_str(text),
            Ok(_) | Err(_) => to.serialize_str(&octets.iter().map(|octet| char::from(*octet)).collect::<String>()),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Bytes, D::Error> {
        let text = String::deserialize(from)?;
        if text.is_ascii() {
            return Ok(text.into());
        }
        let octet = |c: char| u8::try_from(u32::from(c)).map_err(serde::de::Error::custom);
        text.chars().map(octet).collect::<Result<Vec<u8>, _>>().map(Bytes::from)
    }
}

/// Mixes one more word into a stamp.
fn mix(stamp: u64, word: u64) -> u64 {
    (stamp.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95)
}

fn place(description: &Option<Description>) -> u64 {
    let octets = description.as_ref().map(Description::bytes);
    octets.map_or(0, |octets| octets.as_ptr() as u64 ^ (octets.len() as u64) << 48)
}

impl Leg {
    /// Changes whenever something changes that outlives the process; `None`: nothing of the leg does. Messages that only
    /// count the sequence up change it once in a while, less often than [`AHEAD`] allows.
    fn stamp(&self) -> Option<u64> {
        let ending = match &self.state {
            State::Confirmed => 0,
            State::Releasing(_) if self.dialog.id.remote_tag.is_empty() => return None,
            State::Releasing(super::release::Release::Cancelling { .. }) => return None,
            State::Releasing(_) => 1,
            State::Calling(_) | State::Early(_) | State::Ended => return None,
        };
        let exchange = match &self.exchange {
            // That an ACK has come need not be written: who gets a 2xx once more acknowledges it once more.
            Exchange::Stable | Exchange::Answered(_) if self.waiting_offers.is_empty() => 0,
            Exchange::Stable | Exchange::Answered(_) | Exchange::Backoff { .. } => 1,
            Exchange::Sent { .. } => 2,
            Exchange::OwesAck(_) => 3,
            Exchange::Received { .. } => 4,
        };
        let flags = [
            ending != 0,
            self.holding,
            self.told_held,
            self.abilities.refer,
            self.abilities.replaces,
            self.abilities.update,
            self.subscriber.is_some(),
        ];
        let flags = flags.iter().fold(0, |flags, flag| flags << 1 | u64::from(*flag));
        let held = self.held_by_command.map_or(0, |direction| 1 + direction as u64);
        let mut stamp = mix(
            flags,
            exchange | held << 4 | u64::from(self.dialog.local_cseq / (AHEAD / 2)) << 8,
        );
        stamp = mix(stamp, self.dialog.flow.remote.port().into());
        stamp = mix(stamp, self.dialog.flow.connection);
        stamp = mix(stamp, place(&self.remote));
        stamp = mix(stamp, place(&self.sent) ^ self.origin.1);
        stamp = mix(stamp, self.notifier.as_ref().map_or(0, Notifier::stamp));
        stamp = mix(stamp, self.media.stamp());
        if let Some(timer) = &self.timer {
            use std::hash::{Hash, Hasher};
            let mut hasher = siphasher::sip::SipHasher13::new();
            timer.end().hash(&mut hasher);
            stamp = mix(stamp, hasher.finish());
        }
        Some(stamp)
    }

    fn stored_exchange(&self, clock: &WallClock) -> StoredExchange {
        match &self.exchange {
            Exchange::Stable if self.waiting_offers.is_empty() => StoredExchange::Quiet,
            Exchange::Stable | Exchange::Backoff { .. } => StoredExchange::Offered { acknowledge: None },
            Exchange::Sent { offer, .. } => StoredExchange::Offered {
                acknowledge: (offer.carrier == super::Carrier::Invite && offer.description.is_some())
                    .then_some(self.dialog.local_cseq),
            },
            Exchange::OwesAck(invite) => StoredExchange::OwesAck { cseq: invite.cseq },
            Exchange::Received { request, .. } => StoredExchange::Asked {
                request: request.bytes().clone(),
            },
            Exchange::Answered(waiting) => StoredExchange::Answered {
                response: waiting.response.clone(),
                cseq: waiting.cseq,
                offered: waiting.offered,
                until: clock.unix_ms(waiting.until),
            },
        }
    }

    fn stored(&self, clock: &WallClock) -> StoredLeg {
        let more = self.media.more.as_ref();
        StoredLeg {
            dialog: StoredDialog::of(&self.dialog),
            party: self.party.to_compact_string(),
            user: self.user.clone(),
            remote: self.remote.as_ref().map(StoredDescription::of),
            sent: self.sent.as_ref().map(StoredDescription::of),
            holding: self.holding,
            held: self
                .held_by_command
                .map(|direction| CompactString::const_new(direction.as_str())),
            told_held: self.told_held,
            abilities: (self.abilities.refer, self.abilities.replaces, self.abilities.update),
            ending: self
                .cause
                .filter(|_| !self.is_alive())
                .or_else(|| (!self.is_alive()).then_some(Cause::OtherParty)),
            exchange: self.stored_exchange(clock),
            timer: self.timer.map(|timer| timer.stored(clock)),
            min_se: self.min_se,
            origin: self.origin,
            notifier: self.notifier.as_ref().map(Notifier::stored),
            subscribed: self.subscriber.is_some(),
            refers: (self.refers, self.referred),
            contact: self.contact.clone(),
            follows_contact: self.follows_contact,
            credentials: self
                .credentials
                .as_ref()
                .map(|known| (known.user.clone(), known.realm.clone())),
            end: self.our_end().and_then(|end| end.stored()),
            recorded: more.is_some_and(|more| more.recording.is_some()),
            music: more.and_then(|more| more.music.as_ref().map(|name| name.0.clone())),
        }
    }
}

/// What a leg still has to do when everything that belongs to it is back.
#[derive(Debug)]
pub struct Unfinished {
    leg: LegHandle,
    exchange: StoredExchange,
    report: Option<u16>,
    ending: Option<Cause>,
}

impl Unfinished {
    /// Whose it is.
    pub fn leg(&self) -> LegHandle {
        self.leg
    }
}

impl Legs {
    /// From now on it is noted which legs have changed.
    pub fn watch(&mut self) {
        self.table.watch();
    }

    /// Which legs may have changed since this was asked last.
    pub fn take_touched(&mut self) -> Vec<LegHandle> {
        self.table.take_touched().into_iter().map(LegHandle::from).collect()
    }

    /// Somebody wants to know what has become of this leg.
    pub fn touch(&mut self, handle: LegHandle) {
        self.get_mut(handle);
    }

    /// Changes with what outlives the process of a leg; `None`: nothing does, or there is no such leg.
    pub fn stamp(&self, handle: LegHandle) -> Option<u64> {
        self.get(handle)?.stamp()
    }

    /// What outlives the process.
    pub fn stored(&self, handle: LegHandle, clock: &WallClock) -> Option<StoredLeg> {
        self.get(handle).map(|leg| leg.stored(clock))
    }

    /// What stops a phone from ringing that we called, whoever sends it.
    pub fn cancel_of(&self, handle: LegHandle) -> Option<StoredCancel> {
        match &self.get(handle)?.state {
            State::Calling(Setup::Client(client)) | State::Early(Setup::Client(client)) => {
                let (flow, request) = self.transactions.cancel_of(client.invite?)?;
                Some(StoredCancel {
                    flow: StoredFlow::of(&flow),
                    request,
                })
            }
            State::Calling(Setup::Server(_))
            | State::Early(Setup::Server(_))
            | State::Confirmed
            | State::Releasing(_)
            | State::Ended => None,
        }
    }

    /// Stops a phone from ringing that a process before this one has called. One that did not hear it is released when it
    /// answers ([`Legs::end_stray`]).
    pub fn cancel_stray(&mut self, cancel: &StoredCancel) {
        if let Some(flow) = cancel.flow.flow() {
            self.transactions.send_stateless(flow, cancel.request.clone());
        }
    }

    /// A refusal of an INVITE of a process before this one is acknowledged, so that it is not repeated (RFC 3261 §17.1.1.3).
    pub fn acknowledge_stray(&mut self, flow: Flow, response: &Message) {
        let value = |name| response.text(name).unwrap_or_default();
        let (Some(via), Ok(to)) = (response.values(HeaderName::Via).next(), response.to()) else {
            return;
        };
        // Its Request-URI is not known any more; the branch is what it is found by.
        let ack = Draft::request(&Method::Ack, to.uri.without_headers().as_str())
            .header(HeaderName::Via, via)
            .header(HeaderName::MaxForwards, 70)
            .header(HeaderName::From, value(HeaderName::From))
            .header(HeaderName::To, value(HeaderName::To))
            .header(HeaderName::CallId, response.call_id())
            .header(HeaderName::CSeq, format_args!("{} ACK", response.cseq()));
        self.transactions.send_stateless(flow, ack.print());
    }

    /// Ends a dialog that a party made by accepting an INVITE of a process before this one.
    pub fn end_stray(&mut self, now: Instant, flow: Flow, response: &Message) {
        let value = |name| response.text(name).unwrap_or_default();
        let (Ok(Some(contact)), Ok(route_set)) = (response.contact(), RouteSet::of_response(response)) else {
            return;
        };
        let mut dialog = Dialog {
            id: DialogId {
                call_id: response.call_id().into(),
                local_tag: response.from_tag().unwrap_or_default().into(),
                remote_tag: response.to_tag().unwrap_or_default().into(),
            },
            role: Role::Uac,
            local: value(HeaderName::From).into(),
            remote: value(HeaderName::To).into(),
            remote_target: contact.uri.without_headers(),
            route_set,
            local_cseq: response.cseq(),
            remote_cseq: None,
            flow,
        };
        let sent_by = self.sent_by(&flow);
        let ack = dialog.ack_for_2xx(response.cseq());
        self.transactions.send_ack(flow, &sent_by, &ack);
        let bye = dialog.next_request(&Method::Bye);
        self.transactions
            .request(now, flow, &sent_by, &bye, TransactionUser::Nobody);
    }

    /// Takes a leg back under the handle that it had, without an owner and without a word to its party. `None`: it cannot be
    /// read, or its place is taken. `credentials` gives the configured password of a user.
    pub fn restore(
        &mut self,
        clock: &WallClock,
        stored: StoredLeg,
        credentials: impl Fn(&str, Option<&str>) -> Option<Credentials>,
    ) -> Option<Unfinished> {
        let dialog = stored.dialog.dialog()?;
        let party = NameAddr::parse(&stored.party).ok()?;
        let (we_called, flow) = (stored.dialog.we_called, dialog.flow);
        let policy = self.media_policy(flow.remote.ip());
        let (tag, call_id, remote_tag) = (
            dialog.id.local_tag.clone(),
            dialog.id.call_id.clone(),
            dialog.id.remote_tag.clone(),
        );
        let handle = self.table.adopt(&tag, &call_id, Some(&remote_tag), |handle, _| {
            let contact = stored.contact.clone();
            let (origin, state) = (stored.origin.0, State::Confirmed);
            let mut leg = Leg::new(
                handle.into(),
                LegOwner::Nobody,
                dialog,
                party,
                we_called,
                state,
                origin,
                contact,
            );
            leg.take_back(&stored);
            leg.media.policy = policy;
            leg
        })?;
        let handle = LegHandle::from(handle);
        let known = stored
            .credentials
            .as_ref()
            .and_then(|(user, realm)| credentials(user, realm.as_deref()));
        let recording = stored.recorded.then(|| RecordingName(self.fresh_token()));
        if let Some(leg) = self.get_mut(handle) {
            leg.credentials = known.map(Box::new);
            if recording.is_some() || stored.music.is_some() {
                let more = leg.media.more.get_or_insert_default();
                more.recording = recording.map(|name| (name, false));
                more.music = stored.music.clone().map(PromptName);
            }
        }
        if stored.ending.is_none() {
            self.restore_end(handle, stored.end.as_ref());
            let timer = stored.timer.map(|timer| SessionTimer::restored(&timer, clock));
            self.run_timer(handle, timer);
        }
        Some(Unfinished {
            leg: handle,
            exchange: match stored.exchange {
                StoredExchange::Answered { until, .. } if clock.left(until).is_zero() => StoredExchange::Quiet,
                exchange @ (StoredExchange::Quiet
                | StoredExchange::Answered { .. }
                | StoredExchange::Offered { .. }
                | StoredExchange::OwesAck { .. }
                | StoredExchange::Asked { .. }) => exchange,
            },
            report: stored
                .notifier
                .filter(|notifier| notifier.over)
                .map(|notifier| notifier.said),
            ending: stored.ending,
        })
    }

    /// Our end of the media, where it was.
    fn restore_end(&mut self, handle: LegHandle, stored: Option<&StoredEnd>) {
        let Some(stored) = stored else { return };
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return;
        };
        let end = leg
            .remote
            .as_ref()
            .and_then(|remote| self.endpoints.restore(handle, stored, remote, leg.origin.0));
        match end {
            Some(end) => leg.media.end = Some(Box::new(end)),
            // The party is offered another one.
            None => leg.sent = None,
        }
    }

    /// Does what the leg owed when its process died. A request that must be taken once more is given back.
    pub fn finish_restored(&mut self, now: Instant, unfinished: Unfinished) -> Option<(Flow, Bytes)> {
        let Unfinished {
            leg: handle,
            exchange,
            report,
            ending,
        } = unfinished;
        if let Some(cause) = ending {
            if let Some(leg) = self.get_mut(handle) {
                // Observers have been told.
                leg.cause = Some(cause);
            }
            self.release(now, handle, cause);
            return None;
        }
        if let Some(leg) = self.table.get_mut(handle.into())
            && let Some(end) = &mut leg.media.end
        {
            end.tell(&mut self.endpoints.commands);
        }
        if let Some(status) = report {
            self.report(now, handle, status, true);
        }
        self.start_recording_again(handle);
        let flow = self.get(handle)?.dialog.flow;
        match exchange {
            StoredExchange::Quiet => {}
            StoredExchange::Answered {
                response,
                cseq,
                offered,
                ..
            } => self.answer_again(now, handle, response, cseq, offered),
            StoredExchange::Offered { acknowledge } => {
                if let Some(cseq) = acknowledge {
                    self.acknowledge_unseen(handle, cseq);
                }
            }
            StoredExchange::OwesAck { cseq } => {
                if let Some(leg) = self.get_mut(handle) {
                    leg.exchange = Exchange::OwesAck(OurInvite { cseq, client: None });
                }
                self.acknowledge_as_before(now, handle);
            }
            StoredExchange::Asked { request } => return Some((flow, request)),
        }
        None
    }

    /// Sends a 2xx of the process before this one once more, a few times.
    fn answer_again(&mut self, now: Instant, handle: LegHandle, response: Bytes, cseq: u32, offered: bool) {
        let interval = self.identity.t1;
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return;
        };
        let flow = leg.dialog.flow;
        leg.exchange = Exchange::Answered(AwaitAck {
            server: None,
            response: response.clone(),
            cseq,
            offered,
            refresh: !offered,
            interval,
            next: now + interval,
            until: now + interval * 4,
        });
        self.transactions.send_stateless(flow, response);
        self.deadlines.add(now + interval, handle);
    }

    /// A re-INVITE of the process before this one may have been accepted: a party that waits for no ACK ignores this one.
    fn acknowledge_unseen(&mut self, handle: LegHandle, cseq: u32) {
        if let Some(leg) = self.get(handle) {
            let draft = leg.dialog.ack_for_2xx(cseq);
            self.send_ack(handle, OurInvite { cseq, client: None }, &draft);
        }
    }

    /// A 2xx to an INVITE of a process before this one: its dialog is acknowledged and, where it is not ours any more,
    /// ended. `true`: the leg lives, and what its party was offered is in doubt.
    pub fn stray_accepted(&mut self, handle: LegHandle, response: &Message) -> bool {
        let Some(leg) = self.get_mut(handle) else { return false };
        let cseq = response.cseq();
        if leg.acks.iter().any(|kept| kept.is_of(cseq)) {
            self.acknowledge_again(handle, cseq);
            return false;
        }
        let offer = super::request::description_of(handle, response);
        if let (true, Some(offer), Exchange::Stable) = (leg.sent.is_none(), offer, &leg.exchange) {
            // It was asked for an offer, or its answer was awaited; either way it has something new of ours soon.
            leg.remote.get_or_insert(offer);
        }
        self.acknowledge_unseen(handle, cseq);
        true
    }

    /// The leg's connection ended with the process before this one: its phone is waited for as after any loss.
    pub fn restored_lost(&mut self, now: Instant, handle: LegHandle, aors: Vec<CompactString>) {
        let Some(leg) = self.get(handle) else { return };
        let until = match leg.dialog.flow.transport {
            Transport::Udp => return,
            Transport::Tcp | Transport::Tls => None,
            Transport::Ws | Transport::Wss => Some(now + self.identity.t1 * 64),
        };
        self.note_lost(handle, aors, until);
    }

    /// Whether the party's connection is gone and nobody can reach it.
    pub fn is_lost(&self, handle: LegHandle) -> bool {
        self.lost.contains_key(&handle)
    }

    fn start_recording_again(&mut self, handle: LegHandle) {
        if self.get(handle).is_some_and(Leg::is_anchored) {
            self.start_recording(handle);
        }
    }

    /// A leg that has no call to go back to: the party is told by BYE, observers by event.
    pub fn give_up_restored(&mut self, now: Instant, handle: LegHandle) {
        if self.get(handle).is_some_and(|leg| leg.cause.is_none()) {
            tracing::warn!(leg = %handle, "a leg of the process before this one belongs to no call: it is ended");
            self.release(now, handle, Cause::Lost);
        }
    }
}

impl Leg {
    fn take_back(&mut self, stored: &StoredLeg) {
        self.user = stored.user.clone();
        self.remote = stored.remote.as_ref().and_then(StoredDescription::description);
        self.sent = stored.sent.as_ref().and_then(StoredDescription::description);
        self.holding = stored.holding;
        self.held_by_command = stored
            .held
            .as_ref()
            .and_then(|name| Direction::from_attribute(name.as_bytes()));
        self.told_held = stored.told_held;
        let (refer, replaces, update) = stored.abilities;
        self.abilities = Abilities {
            refer,
            replaces,
            update,
        };
        self.min_se = stored.min_se;
        self.origin = (stored.origin.0, stored.origin.1.saturating_add(u64::from(AHEAD)));
        (self.refers, self.referred) = stored.refers;
        self.follows_contact = stored.follows_contact;
        if stored.ending.is_none() {
            self.notifier = stored.notifier.as_ref().map(Notifier::restored);
            self.subscriber = stored.subscribed.then(Subscriber::restored);
        }
        match &stored.exchange {
            // Nobody knows which of two descriptions the party has: it is offered what holds now.
            StoredExchange::Offered { .. } => self.sent = None,
            StoredExchange::Quiet
            | StoredExchange::Answered { .. }
            | StoredExchange::OwesAck { .. }
            | StoredExchange::Asked { .. } => {}
        }
    }
}
