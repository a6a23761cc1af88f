//! A leg: one INVITE usage between the edge and one party.
//!
//! **Owns** the dialog with the party, its offer/answer state, hold as the party asked for it, the REFER subscription in
//! either direction, and the release. **Refuses** to know who talks with whom: what a party does rises as a [`LegEvent`]
//! to the leg's one [`LegOwner`] (a call or a transfer), and only the owner interprets it. In particular nobody else
//! looks at the BYE, which keeps the customer alive when a transferor hangs up right after its REFER.
//!
//! RFC 3261 §12–15, RFC 3264 §8, RFC 6337, RFC 6026 (2xx and ACK), RFC 3515 §2.4, RFC 3891 §6.2 (`Supported: replaces`).
//!
//! ```text
//! Calling ──18x──▶ Early ──2xx──▶ Confirmed ──release──▶ Releasing ──settled──▶ Ended
//!    │                │               │  ▲                   ▲
//!    │                │               └──┘ re-INVITE         │ BYE is held back until an ACK that is owed has gone
//!    └──final/CANCEL──┴──────────────────────────────────────┘
//!
//! Exchange (at most one in-dialog offer at a time, the rest queues):
//! Stable ──ours──▶ Sent ──2xx──▶ Stable          Stable ──theirs──▶ Received ──2xx──▶ Answered ──ACK──▶ Stable
//!                   └─491─▶ Backoff ──timer──▶ Sent     (theirs while Sent: 491; an UPDATE's 2xx needs no ACK)
//! ```
//!
//! One procedure a file: [`setup_client`], [`setup_server`], [`challenge`], [`early`], [`prack`], [`offer`] (ours), [`offered`] (theirs),
//! [`timer`], [`release`], [`refer`], [`request`], [`place`] (where requests go), [`media`] (whether the party's media passes
//! through the edge), [`voice`] (what it is told when the edge itself is its other side), [`mixing`] (orders of hubs).
//!
//! [`setup_client`]: self
//! [`setup_server`]: self
//! [`offer`]: self
//! [`offered`]: self
//! [`challenge`]: self
//! [`early`]: self
//! [`prack`]: self
//! [`timer`]: self
//! [`release`]: self
//! [`refer`]: self
//! [`request`]: self
//! [`media`]: self
//! [`place`]: self
//! [`voice`]: self
//! [`mixing`]: self

mod abilities;
mod challenge;
mod deadline;
mod dispatch;
mod early;
mod event;
mod flow;
mod identity;
mod invitation;
mod kept;
mod media;
mod mixing;
mod offer;
mod offered;
mod place;
mod prack;
mod refer;
mod release;
mod request;
mod setup_client;
mod setup_server;
mod timer;
mod voice;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use compact_str::CompactString;

pub use crate::vocabulary::{BadHandle, CallHandle, LegHandle, LegOwner, TransferHandle};
pub use abilities::Abilities;
pub use deadline::Deadlines;
pub use event::{Called, LegEvent, Purpose, TransactionUser};
pub use identity::{CallLabel, Identity, LocalAddress};
pub use invitation::{Invitation, Reached};
pub use kept::{StoredCancel, StoredDialog, StoredFlow, StoredLeg, StoredRinging, Unfinished, WallClock};
pub use mixing::{Heard, Hears, Member, PromptName, RecordingName};
pub use offer::Carrier;
pub use refer::ReferProgress;

use crate::dialog::{Dialog, Match, Query, Table};
use crate::media::describe::{Endpoints, MediaSettings, PeerMedia};
use crate::sdp::{Description, Direction};
use crate::sip::{Message, NameAddr, Replaces};
use crate::transaction::{ClientHandle, ServerHandle, Transactions};
use crate::transport::locate::Wanted;
use crate::transport::{Book, Flow, Network};
use crate::vocabulary::{Cause, Event, LegView};
use offer::{Exchange, Offer};
use refer::{Notifier, Subscriber};
pub(crate) use request::description;
pub(crate) use voice::voice;

/// Where a leg stands (module doc).
#[derive(Debug)]
pub(crate) enum State {
    /// Our INVITE is out, or the party's INVITE waits for its first answer.
    Calling(Setup),
    /// A provisional answer with a tag has passed.
    Early(Setup),
    /// 2xx.
    Confirmed,
    /// The end is decided; what is owed is still settled.
    Releasing(release::Release),
    /// Over; only the table's sweep still sees it.
    Ended,
}

/// Who set the dialog up, with what is needed until it is confirmed.
#[derive(Debug)]
pub(crate) enum Setup {
    /// We called.
    Client(Box<setup_client::Client>),
    /// The party called.
    Server(Box<setup_server::Server>),
}

/// One leg. Plain data; the procedures are methods of [`Legs`].
#[derive(Debug)]
pub struct Leg {
    /// Its handle; slot and generation are those of the local tag.
    pub handle: LegHandle,
    /// Who interprets what it reports.
    pub owner: LegOwner,
    /// The dialog; half of one before the first response to our INVITE.
    pub dialog: Dialog,
    /// The party's address: From of its INVITE, or To of ours.
    pub party: NameAddr,
    /// The authenticated user, where the local registrar knows one.
    pub user: Option<CompactString>,
    /// What the party last sent.
    pub remote: Option<Description>,
    /// What the party was last sent, and has accepted or offered against.
    pub sent: Option<Description>,
    /// The party's own offer put the other side on hold.
    pub holding: bool,
    /// An API client holds this party.
    pub held_by_command: Option<Direction>,
    /// Observers know that an API client holds this party.
    pub told_held: bool,
    /// The party can be sent REFER, and REFER with Replaces.
    pub abilities: Abilities,
    pub(crate) state: State,
    pub(crate) we_called: bool,
    pub(crate) exchange: Exchange,
    pub(crate) waiting_offers: VecDeque<Offer>,
    pub(crate) timer: Option<timer::SessionTimer>,
    /// The least session interval that the party takes, in seconds.
    pub(crate) min_se: u32,
    pub(crate) origin: (u64, u64),
    pub(crate) notifier: Option<Notifier>,
    pub(crate) subscriber: Option<Subscriber>,
    pub(crate) owed: u16,
    pub(crate) refers: u16,
    /// The number of the last REFER that was accepted: after a restart it may come again.
    pub(crate) referred: Option<u32>,
    /// The ACKs of those INVITEs of ours whose transactions live: a 2xx may come again behind the next re-INVITE's.
    pub(crate) acks: Vec<offer::Acknowledged>,
    pub(crate) cause: Option<Cause>,
    pub(crate) credentials: Option<Box<Credentials>>,
    /// Requests that may be challenged; only of legs with credentials.
    pub(crate) outstanding: Vec<challenge::Outstanding>,
    /// Our Contact towards this party.
    pub(crate) contact: CompactString,
    pub(crate) media: media::LegMedia,
    /// Its requests go to the host of its Contact: we called a configured place, no phone behind a NAT.
    pub(crate) follows_contact: bool,
    /// The places of its next hop; `None`: the one that its flow names.
    pub(crate) hop: Option<Box<place::Hop>>,
}

/// For challenges of the configured PBX or trunk, and of nobody else (LESSONS 37).
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The user.
    pub user: CompactString,
    /// Its password.
    pub password: CompactString,
    /// The realm that it is for; `None`: any realm of the configured PBX.
    pub realm: Option<CompactString>,
}

impl Leg {
    #[expect(clippy::too_many_arguments, reason = "the one place where a leg is made")]
    pub(crate) fn new(
        handle: LegHandle,
        owner: LegOwner,
        dialog: Dialog,
        party: NameAddr,
        we_called: bool,
        state: State,
        origin: u64,
        contact: CompactString,
    ) -> Leg {
        Leg {
            handle,
            contact,
            owner,
            dialog,
            party,
            user: None,
            remote: None,
            sent: None,
            holding: false,
            held_by_command: None,
            told_held: false,
            abilities: Abilities::default(),
            state,
            we_called,
            exchange: Exchange::Stable,
            waiting_offers: Default::default(),
            timer: None,
            min_se: 0,
            origin: (origin, setup_client::FIRST_VERSION),
            notifier: None,
            subscriber: None,
            owed: 0,
            refers: 0,
            referred: None,
            acks: Default::default(),
            cause: None,
            credentials: None,
            outstanding: Vec::new(),
            media: Default::default(),
            follows_contact: false,
            hop: None,
        }
    }
}

impl Leg {
    /// Whether the dialog is confirmed and nobody is ending it.
    pub fn is_confirmed(&self) -> bool {
        matches!(self.state, State::Confirmed)
    }

    /// Whether the INVITE has no final answer yet.
    pub fn is_early(&self) -> bool {
        matches!(self.state, State::Calling(_) | State::Early(_))
    }

    /// Whether the party still takes part: not released and not ended.
    pub fn is_alive(&self) -> bool {
        !matches!(self.state, State::Releasing(_) | State::Ended)
    }

    /// Whether we sent the INVITE that made the dialog.
    pub fn we_called(&self) -> bool {
        self.we_called
    }

    /// Whether no in-dialog offer is under way in either direction, and none waits.
    pub fn is_settled(&self) -> bool {
        matches!(self.exchange, Exchange::Stable) && self.waiting_offers.is_empty()
    }

    /// Whether nothing at all is under way with its party: no offer, no request of ours, no REFER's report.
    pub fn is_quiet(&self) -> bool {
        self.is_confirmed()
            && self.is_settled()
            && self.owed == 0
            && self.notifier.is_none()
            && self.subscriber.is_none()
    }

    /// The port of its own that its media has at the edge; the next one is its RTCP's.
    pub fn media_port(&self) -> Option<u16> {
        match self.our_end()?.local() {
            crate::media::LocalPort::Own(port) => Some(port),
            crate::media::LocalPort::Shared => None,
        }
    }

    /// Whether an offer of ours is under way or waits its turn: its outcome will be told.
    pub fn is_offered(&self) -> bool {
        let sent = matches!(self.exchange, Exchange::Sent { .. } | Exchange::Backoff { .. });
        (sent && !self.exchange.is_refresh()) || !self.waiting_offers.is_empty()
    }

    /// Whether a 2xx with an offer waits for our ACK with the answer.
    pub fn owes_ack(&self) -> bool {
        matches!(self.exchange, Exchange::OwesAck { .. })
    }

    /// The name of the state, as the API says it.
    pub fn state_name(&self) -> &'static str {
        match &self.state {
            State::Calling(_) => "calling",
            State::Early(_) => "early",
            State::Confirmed => "confirmed",
            State::Releasing(_) => "releasing",
            State::Ended => "ended",
        }
    }

    /// Whether the party was last told that it is on hold.
    pub fn is_held(&self) -> bool {
        self.sent
            .as_ref()
            .is_some_and(|sent| matches!(sent.direction(), Direction::SendOnly | Direction::Inactive))
            && !self.holding
    }

    /// Takes a new remote target (RFC 3261 §12.2.2). One that cannot be read changes nothing.
    pub(crate) fn refresh(&mut self, message: &Message) {
        if let Err(error) = self.dialog.refresh_target(message) {
            tracing::debug!(leg = %self.handle, %error, "target not refreshed");
        }
    }

    /// What an observer sees.
    pub fn view(&self) -> LegView {
        let text = |description: &Option<Description>| {
            description
                .as_ref()
                .map(|d| String::from_utf8_lossy(d.bytes()).into_owned())
        };
        LegView {
            id: self.handle,
            party: self.party.uri.to_string(),
            state: self.state_name(),
            held: self.is_held(),
            holding: self.holding,
            call_id: self.dialog.id.call_id.to_string(),
            description: text(&self.remote),
            sent_description: match self.our_text() {
                Some(ours) => Some(String::from_utf8_lossy(ours).into_owned()),
                None => text(&self.sent),
            },
            media: if self.is_anchored() { "edge" } else { "direct" },
            quality: self.quality(),
            address: self.dialog.flow.remote,
        }
    }
}

/// All legs, the transactions below them, and what they have to tell.
#[derive(Debug)]
pub struct Legs {
    pub(crate) table: Table<Leg>,
    /// The layer below.
    pub transactions: Transactions<TransactionUser>,
    /// What parties did, oldest first; the engine hands each to the leg's owner.
    pub reports: VecDeque<(LegHandle, LegEvent)>,
    /// What observers are told.
    pub events: VecDeque<Event>,
    /// Who we are.
    pub identity: Identity,
    pub(crate) deadlines: Deadlines<LegHandle>,
    /// INVITEs of parties without a final answer, for CANCEL.
    pub(crate) invites: BTreeMap<ServerHandle, LegHandle>,
    /// Requests that wait for the other party's answer.
    pub(crate) passed_on: BTreeMap<ServerHandle, Message>,
    pub(crate) ended: Vec<LegHandle>,
    /// Whose dialogs live on which connection; confirmed ones only.
    pub(crate) on_connection: BTreeSet<(u64, LegHandle)>,
    /// Whose connection is gone.
    pub(crate) lost: BTreeMap<LegHandle, flow::Lost>,
    pub(crate) serial: u64,
    /// Ports, keys and orders of legs whose media passes through the edge.
    pub endpoints: Endpoints,
    pub(crate) peers: Vec<(Network, PeerMedia)>,
    /// Where names lead, and which places have failed lately.
    pub book: Book,
    /// What legs want to have looked up; the engine answers each with [`Legs::located`].
    pub lookups: VecDeque<(LegHandle, Wanted)>,
}

impl Legs {
    /// No legs yet.
    pub fn new(identity: Identity, table: Table<Leg>, transactions: Transactions<TransactionUser>) -> Legs {
        Legs {
            table,
            transactions,
            reports: VecDeque::new(),
            events: VecDeque::new(),
            identity,
            deadlines: Deadlines::default(),
            invites: BTreeMap::new(),
            passed_on: BTreeMap::new(),
            ended: Vec::new(),
            on_connection: BTreeSet::new(),
            lost: BTreeMap::new(),
            serial: 0,
            endpoints: Endpoints::new(MediaSettings::default()),
            peers: Vec::new(),
            book: Book::default(),
            lookups: VecDeque::new(),
        }
    }

    /// The leg, until it has ended.
    pub fn get(&self, handle: LegHandle) -> Option<&Leg> {
        self.table.get(handle.into())
    }

    pub(crate) fn get_mut(&mut self, handle: LegHandle) -> Option<&mut Leg> {
        self.table.get_mut(handle.into())
    }

    /// The leg that a message belongs to.
    pub fn find(&self, message: &Message) -> Match {
        Query::of(message).map_or(Match::NotOurs, |query| {
            self.table.find(query.local_tag, query.call_id, query.remote_tag)
        })
    }

    /// The leg whose dialog a Replaces names, with us at the end that it is meant for.
    pub fn find_replaced(&self, replaces: &Replaces) -> Match {
        self.table.find_replaced(replaces)
    }

    /// The leg whose dialog a Replaces names as its far end knows it: the tag of ours is the from-tag.
    pub fn find_beyond(&self, replaces: &Replaces) -> Option<LegHandle> {
        self.table
            .find(&replaces.from_tag, &replaces.call_id, &replaces.to_tag)
            .handle()
            .map(LegHandle::from)
    }

    /// How many legs live.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.table.len() == 0
    }

    /// Gives the leg to an owner; from now on only that one hears of it.
    pub fn set_owner(&mut self, handle: LegHandle, owner: LegOwner) {
        if let Some(leg) = self.get_mut(handle) {
            leg.owner = owner;
        }
    }

    /// An API client holds this party, or does no more; the re-INVITE is the owner's.
    pub fn set_hold(&mut self, handle: LegHandle, direction: Option<Direction>) {
        if let Some(leg) = self.get_mut(handle) {
            leg.held_by_command = direction;
        }
    }

    /// The party refused to be held or taken back: it stays as observers know it.
    pub(crate) fn forget_hold(&mut self, handle: LegHandle) {
        if let Some(leg) = self.get_mut(handle) {
            leg.held_by_command = leg.held_by_command.filter(|_| leg.told_held);
        }
    }

    /// Observers were told that an API client holds this party, or that it does no more.
    pub(crate) fn note_held(&mut self, handle: LegHandle, held: bool) {
        if let Some(leg) = self.get_mut(handle) {
            leg.told_held = held;
        }
    }

    /// The next moment at which [`Legs::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.deadlines.next(), self.transactions.poll_timeout()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Another process has it now: nobody here is told, and nothing is sent.
    pub(crate) fn forget(&mut self, handle: LegHandle) {
        self.forget_connection(handle);
        self.table.remove(handle.into());
    }

    /// Takes legs out of the table whose end is settled; the tag is dead afterwards (RFC 3891: 603).
    pub fn sweep(&mut self) {
        while let Some(handle) = self.ended.pop() {
            self.forget_connection(handle);
            self.close_end(handle);
            self.table.remove(handle.into());
        }
    }

    /// A token that no other call of this process had: for Call-IDs of our own.
    pub(crate) fn fresh_token(&mut self) -> CompactString {
        self.serial = self.serial.wrapping_add(1);
        self.identity.token(self.serial)
    }

    pub(crate) fn tell(&mut self, handle: LegHandle, event: LegEvent) {
        self.reports.push_back((handle, event));
    }

    pub(crate) fn sent_by(&self, flow: &Flow) -> CompactString {
        self.identity.host_port(flow)
    }

    /// Sends an in-dialog request through a transaction of its own.
    pub(crate) fn request(
        &mut self,
        now: Instant,
        handle: LegHandle,
        draft: &crate::sip::Draft,
        purpose: Purpose,
    ) -> Option<ClientHandle> {
        let leg = self.get_mut(handle)?;
        if leg.hold_request(draft, purpose) {
            leg.owed += 1;
            return None;
        }
        let flow = leg.dialog.flow;
        self.request_on(now, handle, flow, draft, purpose)
    }

    /// The same on another flow: that of a subscription with a dialog of its own.
    pub(crate) fn request_on(
        &mut self,
        now: Instant,
        handle: LegHandle,
        flow: Flow,
        draft: &crate::sip::Draft,
        purpose: Purpose,
    ) -> Option<ClientHandle> {
        let sent_by = self.sent_by(&flow);
        if let Some(leg) = self.get_mut(handle) {
            leg.owed += 1;
        }
        self.remember(handle, purpose, draft);
        Some(
            self.transactions
                .request(now, flow, &sent_by, draft, TransactionUser::Leg(handle, purpose)),
        )
    }
}
