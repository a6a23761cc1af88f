//! Engines beside the home engine: node numbers that were taken over, each with its records, media and sockets.
//!
//! The loop in `run` holds the home engine as if it were alone; everything that more than one engine makes necessary is here.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::clock;
use super::cluster::{
    Adoption, Change, Cluster, Estate, Joined, Link, LinkEvent, News, Nodes, Owner, Said, adopt, is_of_cluster, listen,
};
use super::held::Held as Patience;
use super::isolate::isolated;
use super::media::MediaThread;
use super::memory::{Kept, Sorted, sorted};
use super::run::Shell;
use super::stream::Door;
use super::{MediaFiles, run::ClusterParts};
use crate::api::moment;
use crate::cluster::{Held, Input as Told};
use crate::engine::{Command, Engine, Event, Input, LookupId, NoteKind, Output, Refusal, Reply, Settings, Totals};
use crate::media::MediaEvent;
use crate::observe::Metrics;
use crate::store::{Stored, StoredUser, Writer, Written};
use crate::transport::Flow;

/// When callers may try again at a process that has lost its number, in seconds: it gets another one.
const RETRY_AFTER: u32 = 2;
/// Look-ups of engines are told apart by what stands above this bit.
const LOOKUP_BITS: u32 = 46;

/// An engine that was taken over.
pub(super) struct Seat {
    pub(super) held: Held,
    pub(super) engine: Engine,
    writer: Option<Writer>,
    patience: Patience,
    media: MediaThread,
    addresses: Vec<SocketAddr>,
}

/// What the cluster adds to the loop.
pub(super) struct Among {
    pub(super) cluster: Cluster,
    /// What serves the home number.
    pub(super) home: Held,
    pub(super) heard: mpsc::UnboundedSender<(u16, MediaEvent)>,
    /// How connections are accepted here.
    pub(super) doors: Vec<Door>,
}

/// A question that several engines are asked, one after the other.
pub(super) struct Asked {
    pub(super) answer: tokio::sync::oneshot::Sender<Result<Reply, Refusal>>,
    /// `None`: one engine is asked.
    pub(super) command: Option<Command>,
    next: usize,
    so_far: Option<Reply>,
}

impl Asked {
    pub(super) fn new(answer: tokio::sync::oneshot::Sender<Result<Reply, Refusal>>, command: Option<Command>) -> Asked {
        Asked {
            answer,
            command,
            next: 0,
            so_far: None,
        }
    }

    /// Whether the next engine is to be asked, too; else what is answered.
    fn take(&mut self, reply: Result<Reply, Refusal>, more: bool) -> Option<Result<Reply, Refusal>> {
        let reply = match (self.so_far.take(), reply) {
            (Some(Reply::Calls(mut all)), Ok(Reply::Calls(these))) => {
                all.extend(these);
                Ok(Reply::Calls(all))
            }
            (Some(Reply::Transfers(mut all)), Ok(Reply::Transfers(these))) => {
                all.extend(these);
                Ok(Reply::Transfers(all))
            }
            (Some(Reply::Totals(all)), Ok(Reply::Totals(these))) => Ok(Reply::Totals(sum(all, these))),
            // The home engine keeps the registrations.
            (Some(Reply::Registrations(all)), _) => Ok(Reply::Registrations(all)),
            (_, reply) => reply,
        };
        match reply {
            Ok(list @ (Reply::Calls(_) | Reply::Transfers(_) | Reply::Totals(_))) if more => {
                self.so_far = Some(list);
                None
            }
            Err(Refusal::NotFound { .. }) if more => None,
            reply => Some(reply),
        }
    }
}

fn sum(all: Totals, these: Totals) -> Totals {
    Totals {
        dialogs: all.dialogs + these.dialogs,
        transactions: all.transactions + these.transactions,
        calls: all.calls + these.calls,
        transfers: all.transfers + these.transfers,
        registrations: all.registrations,
        media_ports: all.media_ports + these.media_ports,
    }
}

fn stamp(node: u16, id: LookupId) -> LookupId {
    LookupId(id.0 | ((u64::from(node) + 1) << LOOKUP_BITS))
}

impl Shell {
    /// The earliest thing to be done, of all engines and the cluster.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let adopted = self.adopted.iter();
        let adopted = adopted.flat_map(|seat| [seat.engine.poll_timeout(), seat.patience.deadline()]);
        let among = self.among.as_ref().and_then(|among| among.cluster.poll_timeout());
        adopted.chain([self.engine.poll_timeout(), among]).flatten().min()
    }

    /// What is due at the engines beside, and in the cluster.
    pub(super) fn time_has_come_beside(&mut self, now: Instant) {
        let metrics = Arc::clone(&self.metrics);
        for seat in &mut self.adopted {
            if seat.engine.poll_timeout().is_some_and(|deadline| deadline <= now) {
                isolated(&metrics, "timeout", || seat.engine.handle_timeout(now));
            }
            seat.patience.give_up(now);
        }
        if self
            .among
            .as_ref()
            .and_then(|among| among.cluster.poll_timeout())
            .is_some_and(|due| due <= now)
        {
            self.note_emptied(now);
            if let Some(among) = &mut self.among {
                among.cluster.handle_timeout(now);
            }
            self.change(now);
            self.count_store();
        }
    }

    fn count_store(&self) {
        let writers = self
            .adopted
            .iter()
            .filter_map(|seat| seat.writer.as_ref())
            .chain(&self.writer);
        let (mut waiting, mut dropped) = (0, 0);
        for writer in writers {
            waiting += writer.waiting() as u64;
            dropped += writer.dropped();
        }
        self.metrics.cluster.set_store(waiting, dropped);
    }

    /// Performs what the engines beside ask for.
    pub(super) fn perform_beside(&mut self, now: Instant) {
        for at in 0..self.adopted.len() {
            while let Some(seat) = self.adopted.get_mut(at) {
                if let Some(output) = seat.patience.next(now) {
                    self.act_beside(now, at, output);
                    continue;
                }
                let Some(output) = seat.engine.poll_output() else { break };
                if let Output::Store { changes } = output {
                    seat.keep(changes);
                    continue;
                }
                if let Output::Event(event) = &output {
                    self.records.event(moment(clock::wall()), event);
                }
                let Some(seat) = self.adopted.get_mut(at) else { break };
                if let Some(output) = seat.patience.pass(now, output) {
                    self.act_beside(now, at, output);
                }
            }
        }
    }

    fn act_beside(&mut self, now: Instant, at: usize, output: Output) {
        let Some(seat) = self.adopted.get_mut(at) else { return };
        match output {
            Output::Resolve { id, wanted, ours, seed } => {
                let id = stamp(seat.held.node, id);
                self.names.resolve(now, id, wanted, ours, seed);
            }
            Output::Media(command) => seat.media.send(command),
            Output::Store { changes } => seat.keep(changes),
            // Whoever is registered is so at the home engine.
            Output::Event(Event::RegistrationAdded { .. } | Event::RegistrationRemoved { .. }) => {}
            output @ (Output::Transmit { .. } | Output::Event(_) | Output::Reply { .. }) => self.act(now, output),
        }
    }

    /// An answer for an engine beside, if it is for one.
    pub(super) fn resolved_beside(&mut self, id: LookupId) -> Option<(usize, LookupId)> {
        let node = (id.0 >> LOOKUP_BITS).checked_sub(1)?;
        let at = self.adopted.iter().position(|seat| u64::from(seat.held.node) == node);
        // Of an engine that has gone: nobody wants it.
        Some((at.unwrap_or(usize::MAX), LookupId(id.0 & ((1 << LOOKUP_BITS) - 1))))
    }

    /// Tells something to an engine beside.
    pub(super) fn input_beside(&mut self, now: Instant, at: usize, input: Input) {
        let metrics = Arc::clone(&self.metrics);
        if let Some(seat) = self.adopted.get_mut(at) {
            isolated(&metrics, "input", || seat.engine.handle_input(now, input));
        }
    }

    /// A phone that comes back on another flow gets its dialogs back from every engine that has some.
    pub(super) fn learned_beside(&mut self, now: Instant, users: &[StoredUser], live: bool) {
        self.tell_beside(now, || Input::Learned {
            users: users.to_vec(),
            live,
        });
    }

    /// What the home engine has just written of registrations.
    pub(super) fn noted_at_home(&mut self, changes: &[Stored]) {
        if self.adopted.is_empty() {
            return;
        }
        let mut users = Vec::new();
        for change in changes {
            if let Stored::User(user) = change {
                users.push(user.clone());
            }
        }
        if !users.is_empty() {
            self.learned_beside(clock::now(), &users, true);
            self.again = true;
        }
    }

    /// A reply of one engine; the next one may know more.
    pub(super) fn replied(&mut self, now: Instant, id: crate::engine::CommandId, reply: Result<Reply, Refusal>) {
        let engines = self.adopted.len();
        let Some(asked) = self.waiting.get_mut(&id) else { return };
        let command = asked.command.clone().filter(|_| asked.next < engines);
        match asked.take(reply, command.is_some()) {
            Some(reply) => {
                if let Some(asked) = self.waiting.remove(&id) {
                    asked.answer.send(reply).ok(); // the asker may have gone
                }
            }
            None => {
                let at = asked.next;
                asked.next += 1;
                if let Some(command) = command {
                    self.input_beside(now, at, Input::Command { id, command });
                    self.again = true;
                }
            }
        }
    }

    /// A message of somebody else's dialog goes to its owner; `true`: it is taken care of.
    pub(super) fn taken_elsewhere(&mut self, now: Instant, flow: Flow, bytes: &Bytes, by_link: bool) -> bool {
        let Some(among) = &mut self.among else { return false };
        match among.cluster.owner(now, flow, bytes, by_link) {
            Owner::Home => false,
            Owner::Elsewhere => true,
            Owner::Adopted(node) => {
                match self.adopted.iter().position(|seat| seat.held.node == node) {
                    Some(at) => {
                        let bytes = bytes.clone();
                        self.input_beside(now, at, Input::Received { flow, bytes });
                        self.perform(now);
                    }
                    // Its records are still being read.
                    None => among.cluster.wait(now, flow, bytes.clone(), by_link),
                }
                true
            }
        }
    }

    /// What the threads of the cluster tell.
    pub(super) fn news(&mut self, news: News) {
        let now = clock::now();
        match news {
            News::Store(id, answer) => self.told(
                now,
                match answer {
                    Some(answer) => Told::Answered { id, answer },
                    None => Told::Failed { id },
                },
            ),
            News::Ready(ready) => self.ready(now, *ready),
            News::Unready(held) => self.told(now, Told::CannotServe { node: held.node }),
            News::Users(users, live) => {
                self.learned_beside(now, &users, live);
                self.input(now, Input::Learned { users, live });
                self.perform(now);
            }
            News::Written(held, written) => self.written(now, held, &written),
        }
    }

    fn written(&mut self, now: Instant, held: Held, written: &Written) {
        match written {
            Written::UpTo(number) => {
                if let Some(seat) = self.adopted.iter_mut().find(|seat| seat.held == held) {
                    seat.patience.committed(*number);
                    self.perform(now);
                } else if self.among.as_ref().is_some_and(|among| among.home == held) {
                    self.committed(*number);
                }
            }
            Written::Failing => self.metrics.cluster.set_store_up(false),
            Written::Again => self.metrics.cluster.set_store_up(true),
            Written::Fenced { stands } => self.told(now, Told::WriteRefused { held, stands: *stands }),
        }
    }

    /// What the link tells.
    pub(super) fn link_event(&mut self, event: LinkEvent) {
        let now = clock::now();
        match event {
            LinkEvent::Heard(Said::Arrived { flow, bytes }) => {
                if !self.taken_elsewhere(now, flow, &bytes, true) {
                    self.input(now, Input::Received { flow, bytes });
                    self.perform(now);
                }
            }
            LinkEvent::Heard(Said::Send { flow, bytes }) => {
                if self.transmit_here(flow, bytes).is_err()
                    && let Some(among) = &mut self.among
                {
                    for peer in among.cluster.everybody() {
                        among.cluster.say_failed(peer, flow);
                    }
                }
            }
            LinkEvent::Heard(Said::Failed { flow }) => {
                self.failed.push_back(flow);
                self.perform(now);
            }
            LinkEvent::Heard(said) => {
                if let Some(among) = &mut self.among {
                    among.cluster.heard(now, said);
                }
                self.change(now);
            }
            LinkEvent::Lost(link) => self.told(now, Told::LinkLost { link }),
            LinkEvent::Unreachable(said) => {
                if let Some(among) = &mut self.among {
                    self.failed.extend(among.cluster.undelivered(now, said));
                }
                self.change(now);
                self.perform(now);
            }
        }
    }

    /// Media of an engine beside, or of a home that was begun later.
    pub(super) fn heard_beside(&mut self, node: u16, event: MediaEvent) {
        let now = clock::now();
        match self.adopted.iter().position(|seat| seat.held.node == node) {
            Some(at) => self.input_beside(now, at, Input::Media(event)),
            None if self.among.as_ref().is_some_and(|among| among.home.node == node) => {
                self.input(now, Input::Media(event));
            }
            None => {}
        }
        self.perform(now);
    }

    fn told(&mut self, now: Instant, told: Told) {
        if let Some(among) = &mut self.among {
            among.cluster.tell(now, told);
        }
        self.change(now);
    }

    /// Runs and drops engines as the membership says, and looks again at what waited for one.
    fn change(&mut self, now: Instant) {
        let mut changed = false;
        while let Some(change) = self.among.as_mut().and_then(|among| among.cluster.next_change()) {
            changed = true;
            match change {
                Change::Serve { held, home, from } => {
                    let Some(among) = &self.among else { return };
                    tracing::info!(node = held.node, token = held.token, home, "a node number is ours");
                    let estate = Estate {
                        held,
                        home,
                        from,
                        store: among.cluster.store.of(Some(held), among.cluster.holder()),
                        settings: among.cluster.settings.clone(),
                        doors: among.doors.clone(),
                        files: among.cluster.files.clone(),
                        metrics: Arc::clone(&self.metrics),
                    };
                    adopt(estate, among.cluster.news.clone());
                }
                Change::Again { held } => self.write_again(now, held),
                Change::Drop { held, fenced } => self.drop_engine(now, held, fenced),
            }
        }
        if changed || self.among.as_ref().is_some_and(|among| among.cluster.is_waiting()) {
            self.look_again(now);
        }
    }

    fn look_again(&mut self, now: Instant) {
        let waiting = self.among.as_mut().map(|among| among.cluster.take_waiting());
        for (since, flow, bytes, by_link) in waiting.into_iter().flatten() {
            // It keeps its age: whoever waits too long waits in vain.
            if !self.taken_elsewhere(since, flow, &bytes, by_link) {
                self.input(now, Input::Received { flow, bytes });
                self.perform(now);
            }
        }
    }

    fn ready(&mut self, now: Instant, ready: Adoption) {
        let Some(among) = &mut self.among else { return };
        let Adoption {
            held,
            home,
            settings,
            records,
            udp,
            tcp,
            media,
            mut heard,
        } = ready;
        if !among.cluster.serves(held) {
            return;
        }
        let (told, confirmed) = (among.heard.clone(), among.cluster.confirmed);
        tokio::spawn(async move {
            while let Some(event) = heard.recv().await {
                if told.send((held.node, event)).is_err() {
                    return;
                }
            }
        });
        let writer = writer(&among.cluster, held);
        let mut engine = Engine::new(settings.clone(), now).keeping(now);
        if let Some(reloaded) = among.cluster.reloaded.clone() {
            engine.handle_input(
                now,
                Input::Reloaded {
                    settings: Box::new(reloaded),
                },
            );
        }
        if home {
            among.home = held;
            among.cluster.settings = settings;
            self.engine = engine;
            self.writer = writer;
            self.held = Patience::new(confirmed);
            self.media = media;
            let Sorted { records, .. } = sorted(records);
            self.tell(Input::Restored { records });
            return;
        }
        for (door, socket) in tcp {
            match tokio::net::TcpListener::from_std(socket) {
                Ok(socket) => self.streams.listen(door, socket),
                Err(error) => tracing::warn!(%error, "cannot use a socket"),
            }
        }
        let mut addresses = Vec::new();
        for (listener, socket) in udp {
            match UdpSocket::from_std(socket) {
                Ok(socket) => {
                    addresses.push(listener.address);
                    self.udp.push((listener, socket));
                }
                Err(error) => tracing::warn!(%error, address = %listener.address, "cannot use a socket"),
            }
        }
        let seat = Seat {
            held,
            engine,
            writer,
            patience: Patience::new(confirmed),
            media,
            addresses,
        };
        self.adopted.push(seat);
        let at = self.adopted.len() - 1;
        let Sorted { records, calls, .. } = sorted(records);
        self.inherit_records(at, &calls);
        self.input_beside(now, at, Input::Restored { records });
        if let Some(seat) = self.adopted.get(at) {
            self.records.settle_restored(moment(clock::wall()), &seat.engine);
        }
        self.keep(Vec::new());
        let legs = self.adopted.get(at).map_or(0, |seat| seat.engine.totals().dialogs);
        self.metrics.cluster.adopted(legs as u64);
        tracing::warn!(node = held.node, token = held.token, legs, "node_adopted");
        self.perform(now);
        self.look_again(now);
    }

    /// The store came back empty, and the number is ours again under another token.
    fn write_again(&mut self, now: Instant, held: Held) {
        let Some(among) = &mut self.among else { return };
        tracing::warn!(node = held.node, token = held.token, "everything is written once more");
        let (fresh, confirmed) = (writer(&among.cluster, held), among.cluster.confirmed);
        if among.home.node == held.node {
            among.home = held;
            // What waited for the writer before this one has waited long enough.
            self.committed(u64::MAX);
            if let Some(writer) = std::mem::replace(&mut self.writer, fresh) {
                writer.abandon();
            }
            self.held = Patience::new(confirmed);
            self.tell(Input::StoreForgot);
        } else if let Some(at) = self.adopted.iter().position(|seat| seat.held.node == held.node) {
            if let Some(seat) = self.adopted.get_mut(at) {
                seat.held = held;
                seat.patience.committed(u64::MAX);
            }
            self.perform(now);
            if let Some(seat) = self.adopted.get_mut(at) {
                seat.patience = Patience::new(confirmed);
                if let Some(writer) = std::mem::replace(&mut seat.writer, fresh) {
                    writer.abandon();
                }
            }
            self.input_beside(now, at, Input::StoreForgot);
            self.perform(now);
        }
    }

    /// Call records under way come with the calls; from now on they are kept under the home number.
    fn inherit_records(&mut self, at: usize, texts: &[String]) {
        let kept = self.records.take_back(texts);
        let forgotten = kept
            .iter()
            .map(|(id, _)| Stored::Note(NoteKind::Record, id.as_str().into(), None));
        let forgotten = forgotten.collect();
        let note = |(id, text): (String, String)| Stored::Note(NoteKind::Record, id.into(), Some(text));
        self.keep(kept.into_iter().map(note).collect());
        if let Some(seat) = self.adopted.get_mut(at) {
            seat.keep(forgotten);
        }
    }

    /// A number that is not ours any more; or that has nothing left.
    fn drop_engine(&mut self, now: Instant, held: Held, fenced: bool) {
        if fenced {
            self.metrics.cluster.fenced();
            tracing::error!(
                node = held.node,
                token = held.token,
                "node_fenced: another process goes on with its calls"
            );
        }
        if let Some(at) = self.adopted.iter().position(|seat| seat.held == held) {
            let seat = self.adopted.remove(at);
            self.udp
                .retain(|(listener, _)| !seat.addresses.contains(&listener.address));
            seat.end(fenced);
        } else if fenced
            && let Some(among) = &self.among
            && among.home == held
        {
            let mut settings = among.cluster.settings.clone();
            settings.node = u16::MAX;
            self.engine = Engine::new(settings, now);
            if let Some(writer) = self.writer.take() {
                writer.abandon();
            }
            self.held = Patience::new(false);
            self.media.forget_all();
            self.tell(Input::Draining {
                retry_after: RETRY_AFTER,
            });
        }
    }

    fn note_emptied(&mut self, now: Instant) {
        let empty = |seat: &&Seat| {
            let totals = seat.engine.totals();
            totals.dialogs + totals.calls + totals.transfers + totals.transactions == 0
        };
        let emptied: Vec<u16> = self.adopted.iter().filter(empty).map(|seat| seat.held.node).collect();
        for node in emptied {
            self.told(now, Told::Emptied { node });
        }
    }

    /// Tells every engine beside the same.
    pub(super) fn tell_beside(&mut self, now: Instant, input: impl Fn() -> Input) {
        for at in 0..self.adopted.len() {
            self.input_beside(now, at, input());
        }
    }

    /// The configuration was read again.
    pub(super) fn reloaded(&mut self, settings: Settings) {
        let now = clock::now();
        self.tell_beside(now, || Input::Reloaded {
            settings: Box::new(settings.clone()),
        });
        if let Some(among) = &mut self.among {
            among.cluster.reloaded = Some(settings.clone());
        }
        self.tell(Input::Reloaded {
            settings: Box::new(settings),
        });
    }

    /// On the way out: everything that is still to be written is written, and the numbers are given up.
    pub(super) fn leave(&mut self) {
        let Some(mut among) = self.among.take() else { return };
        self.writer = None;
        for seat in self.adopted.drain(..) {
            drop(seat.writer);
        }
        among.cluster.leave(clock::now());
    }
}

/// Begins to be one of several; inside of the runtime. The writer of the home number goes to `kept`.
pub(super) fn among(
    joined: Joined,
    listener: std::net::TcpListener,
    settings: Settings,
    metrics: &Arc<Metrics>,
    (files, doors): ((MediaFiles, bool, Nodes), Vec<Door>),
    kept: &mut Kept,
) -> Option<ClusterParts> {
    let refused = |error: &std::io::Error| tracing::error!(%error, "the system refused the cluster's link or a thread");
    listener.set_nonblocking(true).inspect_err(refused).ok()?;
    let listener = tokio::net::TcpListener::from_std(listener).inspect_err(refused).ok()?;
    let (news, told) = mpsc::unbounded_channel();
    let (events, linked) = mpsc::unbounded_channel();
    let (sender, heard) = mpsc::unbounded_channel();
    let (home, holder) = (joined.home, joined.holder);
    let link = Link::new(listener, settings.key, events);
    let cluster = Cluster::new(joined, settings, Arc::clone(metrics), link, files, news.clone())
        .inspect_err(refused)
        .ok()?;
    kept.writer = writer(&cluster, home);
    listen(cluster.store.of(None, holder), Arc::new(AtomicBool::new(true)), news);
    Some(ClusterParts {
        among: Among {
            cluster,
            home,
            heard: sender,
            doors,
        },
        news: told,
        linked,
        heard,
    })
}

/// Writes what an engine keeps under this number and token.
pub(super) fn writer(cluster: &Cluster, held: Held) -> Option<Writer> {
    let store = cluster.store.of(Some(held), cluster.holder());
    let news = cluster.news.clone();
    let told = Box::new(move |written| {
        news.send(News::Written(held, written)).ok(); // the edge is stopping
    });
    Writer::start(Box::new(store), None, told)
        .map_err(|error| tracing::error!(%error, "the system refused a thread"))
        .ok()
}

impl Seat {
    fn keep(&mut self, changes: Vec<Stored>) {
        let own: Vec<_> = changes.into_iter().filter(|change| !is_of_cluster(change)).collect();
        if let Some(writer) = self.writer.as_mut().filter(|_| !own.is_empty()) {
            let number = writer.keep(&own);
            self.patience.wait_for(number);
        }
    }

    /// Ends it away from the loop: its writer and its media thread take their time.
    fn end(mut self, fenced: bool) {
        let writer = self.writer.take();
        let rest = move || {
            match writer {
                Some(writer) if fenced => writer.abandon(),
                Some(_) | None => {}
            }
            drop(self);
        };
        let ended = std::thread::Builder::new().name("warmline-end".to_owned()).spawn(rest);
        if let Err(error) = ended {
            tracing::error!(%error, "the system refused a thread");
        }
    }
}
