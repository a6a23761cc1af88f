//! The loop that owns the engine: takes what came, tells the engine the time, performs what the engine asks for.

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};

use super::adopted::{Among, Asked, Seat};
use super::clock;
use super::cluster::{LinkEvent, News};
use super::dns::Dns;
use super::handing::Beside;
use super::held::Held;
use super::isolate::isolated;
use super::ladders::Ladders;
use super::media::{MediaThread, SoundBox};
use super::memory::Kept;
use super::names::{Answer, Names};
use super::records::RecordMaker;
use super::refusals::Refusals;
use super::stream::{Door, StreamEvent, StreamLimits};
use super::streams::Streams;
use super::tap::{Tap, Tapped};
use super::trust::Connector;
use super::upgrade::{HandOver, Heir};
use crate::api::{EventLog, NoteChange, Order, moment};
use crate::engine::{CommandId, Engine, Input, Listener, NoteKind, Output, Settings, Stored};
use crate::media::MediaEvent;
use crate::observe::{self, Metrics, Seen, Way};
use crate::store::Writer;
use crate::transport::{Flow, Transport, stun};

/// Datagrams taken from one socket before timers and commands get their turn.
const BATCH: usize = 64;
/// The longest datagram there is (RFC 768), and so the longest message over UDP.
const DATAGRAM: usize = 65_535;
/// Stream events that may wait for the engine; more make their connections wait.
const QUEUE: usize = 1_024;

/// When a caller who was refused by an edge on its way out may try again: another process is up by then, in seconds.
const RETRY_AFTER: u32 = 10;

/// How far the edge is on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Serving,
    /// No new connections, no new calls.
    Draining,
    Stopped,
}

/// What the loop is given.
pub(super) struct Parts {
    pub(super) engine: Engine,
    pub(super) udp: Vec<(Listener, UdpSocket)>,
    pub(super) doors: Vec<(Door, tokio::net::TcpListener)>,
    pub(super) connector: Connector,
    pub(super) dns: Dns,
    pub(super) orders: mpsc::Receiver<Order>,
    pub(super) noted: mpsc::UnboundedReceiver<NoteChange>,
    pub(super) phase: watch::Receiver<Phase>,
    pub(super) reloaded: mpsc::UnboundedReceiver<Settings>,
    pub(super) handed_over: mpsc::UnboundedReceiver<HandOver>,
    /// A process before this one waits until this one is ready.
    pub(super) heir: Option<Heir>,
    pub(super) events: Arc<EventLog>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) tap: Option<Tap>,
    pub(super) limits: StreamLimits,
    pub(super) kept: Kept,
    pub(super) ladders: Option<Ladders>,
    pub(super) records: RecordMaker,
    pub(super) media: MediaThread,
    pub(super) heard: mpsc::UnboundedReceiver<MediaEvent>,
    pub(super) sounds: SoundBox,
    pub(super) cluster: Option<ClusterParts>,
}

/// What makes the process one of several.
pub(super) struct ClusterParts {
    pub(super) among: Among,
    pub(super) news: mpsc::UnboundedReceiver<News>,
    pub(super) linked: mpsc::UnboundedReceiver<LinkEvent>,
    pub(super) heard: mpsc::UnboundedReceiver<(u16, MediaEvent)>,
}

pub(super) struct Shell {
    pub(super) engine: Engine,
    pub(super) among: Option<Box<Among>>,
    pub(super) adopted: Vec<Seat>,
    /// An engine that was looked at already has more to say.
    pub(super) again: bool,
    pub(super) udp: Vec<(Listener, UdpSocket)>,
    /// Another process reads these; they are only sent from.
    pub(super) mute: Vec<(Listener, std::net::UdpSocket)>,
    pub(super) beside: Beside,
    pub(super) streams: Streams,
    pub(super) names: Names,
    pub(super) waiting: HashMap<CommandId, Asked>,
    next_command: u64,
    pub(super) failed: VecDeque<Flow>,
    buffer: Vec<u8>,
    pub(super) events: Arc<EventLog>,
    pub(super) metrics: Arc<Metrics>,
    tap: Option<Tap>,
    pub(super) writer: Option<Writer>,
    /// Where a writer tells how far it is.
    pub(super) committed: mpsc::UnboundedSender<u64>,
    pub(super) held: Held,
    ladders: Option<Ladders>,
    pub(super) records: RecordMaker,
    pub(super) media: MediaThread,
    stun: Stun,
    refusals: Refusals,
}

/// STUN keepalives that are answered in one second: 100,000 phones at 25 s each, and no more for a flood.
const STUN_PER_SECOND: u32 = 4_000;

/// What may still be answered in this second.
struct Stun {
    second: Instant,
    left: u32,
}

impl Stun {
    fn answer(&mut self, now: Instant, socket: &UdpSocket, request: &[u8], source: SocketAddr) {
        if now.saturating_duration_since(self.second) >= Duration::from_secs(1) {
            *self = Stun {
                second: now,
                left: STUN_PER_SECOND,
            };
        }
        let Some(left) = self.left.checked_sub(1) else { return };
        if let Some(answer) = stun::answer(request, source) {
            self.left = left;
            socket.try_send_to(&answer, source).ok(); // lost like any datagram; the phone asks again
        }
    }
}

/// Runs until the phase says stop.
pub(super) async fn run(parts: Parts) {
    let Parts {
        engine,
        udp,
        doors,
        connector,
        dns,
        mut orders,
        mut noted,
        mut phase,
        mut reloaded,
        mut handed_over,
        heir,
        events,
        metrics,
        tap,
        limits,
        kept,
        ladders,
        records,
        media,
        mut heard,
        mut sounds,
        cluster,
    } = parts;
    let Kept {
        records: kept,
        writer,
        confirmed,
        mut committed,
        commit,
        first_connection,
        ..
    } = kept;
    let (answers, mut looked_up) = mpsc::unbounded_channel();
    let (sender, mut stream_events) = mpsc::channel(QUEUE);
    let mut streams = Streams::new(sender, limits, connector, first_connection);
    for (door, socket) in doors {
        streams.listen(door, socket);
    }
    let (among, mut news, mut linked, mut heard_beside) = match cluster {
        Some(parts) => (
            Some(Box::new(parts.among)),
            Some(parts.news),
            Some(parts.linked),
            Some(parts.heard),
        ),
        None => (None, None, None, None),
    };
    let mut shell = Shell {
        engine,
        among,
        adopted: Vec::new(),
        again: false,
        udp,
        mute: Vec::new(),
        beside: Beside::Alone,
        streams,
        names: Names::new(dns, answers),
        waiting: HashMap::new(),
        next_command: 1,
        failed: VecDeque::new(),
        buffer: vec![0; DATAGRAM],
        events,
        metrics,
        tap,
        writer,
        committed: commit,
        held: Held::new(confirmed),
        ladders,
        records,
        media,
        refusals: Refusals::new(clock::now()),
        stun: Stun {
            second: clock::now(),
            left: STUN_PER_SECOND,
        },
    };
    let heir = match heir.map(|heir| shell.inherit(heir)) {
        Some(None) => return,
        Some(heir) => heir,
        None => None,
    };
    shell.tell(Input::Restored { records: kept });
    if let Some(beside) = heir {
        shell.tell(beside);
        shell.media.forget_inherited();
    }
    shell.records.settle_restored(moment(clock::wall()), &shell.engine);
    shell.keep(Vec::new());
    loop {
        let deadline = shell.deadline();
        let patience = shell.held.deadline();
        let (reads, leaves) = (shell.beside.reads(), shell.beside.deadline());
        if shell.is_done() {
            break;
        }
        tokio::select! {
            biased;
            () = until(deadline) => shell.time_has_come(),
            changed = phase.changed() => match (changed, *phase.borrow_and_update()) {
                (Ok(()), Phase::Serving) => {}
                (Ok(()), Phase::Draining) => {
                    shell.streams.stop_listening();
                    shell.tell_beside(clock::now(), || Input::Draining { retry_after: RETRY_AFTER });
                    shell.tell(Input::Draining { retry_after: RETRY_AFTER });
                }
                (Ok(()), Phase::Stopped) | (Err(_), _) => break,
            },
            Some(settings) = reloaded.recv() => shell.reloaded(settings),
            Some(order) = handed_over.recv(), if reads => shell.hand_over(order),
            said = shell.beside.next() => shell.heard_other(said),
            () = until(leaves) => {}
            Some(told) = next(&mut news) => shell.news(told),
            Some(event) = next(&mut linked) => shell.link_event(event),
            Some((node, event)) = next(&mut heard_beside) => shell.heard_beside(node, event),
            Some(answer) = looked_up.recv() => shell.looked_up(answer),
            Some(number) = committed.recv() => shell.committed(number),
            () = until(patience) => shell.give_up(),
            Some(event) = heard.recv() => shell.tell(Input::Media(event)),
            made = sounds.next() => sounds.keep(made, &shell.media),
            Some(order) = orders.recv() => shell.order(order),
            Some((key, text)) = noted.recv() => shell.keep(vec![Stored::Note(NoteKind::Api, key.into(), text)]),
            Some(event) = stream_events.recv() => {
                shell.stream_event(event);
                // Whatever else is there shares this turn's look at the clock and the sockets.
                for _ in 0..BATCH {
                    let Ok(event) = stream_events.try_recv() else { break };
                    shell.stream_event(event);
                }
            }
            ready = readable(&shell.udp) => shell.drain(ready),
        }
    }
    shell.leave();
    shell.streams.finish().await;
}

/// The next one of a channel, where there is one.
async fn next<T>(channel: &mut Option<mpsc::UnboundedReceiver<T>>) -> Option<T> {
    match channel {
        Some(channel) => channel.recv().await,
        None => std::future::pending().await,
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

/// The first socket that has something to read.
async fn readable(sockets: &[(Listener, UdpSocket)]) -> usize {
    poll_fn(|context| {
        for (at, (_, socket)) in sockets.iter().enumerate() {
            if socket.poll_recv_ready(context).is_ready() {
                return Poll::Ready(at);
            }
        }
        Poll::Pending
    })
    .await
}

impl Shell {
    pub(super) fn tell(&mut self, input: Input) {
        let now = clock::now();
        self.input(now, input);
        self.perform(now);
    }

    pub(super) fn input(&mut self, now: Instant, input: Input) {
        isolated(&self.metrics, "input", || self.engine.handle_input(now, input));
    }

    fn timeout(&mut self, now: Instant) {
        isolated(&self.metrics, "timeout", || self.engine.handle_timeout(now));
    }

    fn looked_up(&mut self, answer: Answer) {
        self.names.note(clock::now(), &answer);
        if let Ok(found) = &answer.found {
            self.streams.learn_names(found, &answer.wanted.host);
        }
        let Answer { id, found, .. } = answer;
        match self.resolved_beside(id) {
            Some((at, id)) => {
                let now = clock::now();
                self.input_beside(now, at, Input::Resolved { id, found });
                self.perform(now);
            }
            None => self.tell(Input::Resolved { id, found }),
        }
    }

    fn time_has_come(&mut self) {
        let now = clock::now();
        self.timeout(now);
        self.time_has_come_beside(now);
        self.perform(now);
    }

    /// Timers that fell due while messages kept us busy are not left to wait for a quiet moment.
    fn catch_up(&mut self, now: Instant) {
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            self.timeout(now);
            self.time_has_come_beside(now);
            self.perform(now);
        }
    }

    fn order(&mut self, order: Order) {
        let id = CommandId(self.next_command);
        self.next_command += 1;
        let command = self.among.is_some().then(|| order.command.clone());
        self.waiting.insert(id, Asked::new(order.answer, command));
        let now = clock::now();
        self.input(
            now,
            Input::Command {
                id,
                command: order.command,
            },
        );
        self.perform(now);
    }

    fn stream_event(&mut self, event: StreamEvent) {
        match event {
            StreamEvent::Accepted { stream, door, remote } => self.streams.accepted(stream, door, remote),
            StreamEvent::Message { flow, bytes } => self.received(clock::now(), flow, bytes),
            StreamEvent::Closed { flow } => {
                self.tell_closed(&flow);
                self.failed.extend(self.streams.closed(flow.connection));
                self.perform(clock::now());
            }
        }
    }

    /// Reads a socket until it is empty or the batch is full.
    fn drain(&mut self, first: usize) {
        let now = clock::now();
        // The other sockets are looked at too, so that a busy one cannot starve them.
        for step in 0..self.udp.len() {
            let at = (first + step) % self.udp.len();
            for _ in 0..BATCH {
                let Some((listener, socket)) = self.udp.get(at) else {
                    return;
                };
                let local = listener.address;
                match socket.try_recv_from(&mut self.buffer) {
                    Ok((length, remote)) => {
                        let octets = self.buffer.get(..length).unwrap_or_default();
                        // RFC 5626 §4.4.2 and phones' habits: an empty datagram or one of line ends keeps a NAT binding open.
                        if octets.iter().all(|octet| matches!(octet, b'\r' | b'\n' | 0 | b' ')) {
                            continue;
                        }
                        if stun::is_stun(octets) {
                            self.stun.answer(now, socket, octets, remote);
                            continue;
                        }
                        // Copied, so that a dialog that keeps a header does not keep a 64 KiB buffer.
                        let bytes = Bytes::copy_from_slice(octets);
                        self.received(
                            now,
                            Flow {
                                transport: Transport::Udp,
                                local,
                                remote,
                                connection: 0,
                            },
                            bytes,
                        );
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    // An ICMP message about an earlier datagram: it names no flow, and a timer will notice the loss.
                    Err(error) => tracing::debug!(%local, %error, "receive error"),
                }
            }
        }
        self.catch_up(clock::now());
    }

    fn received(&mut self, now: Instant, flow: Flow, bytes: Bytes) {
        if !self.is_passed_on(&flow, &bytes) {
            self.take_in(now, flow, bytes);
        }
    }

    pub(super) fn take_in(&mut self, now: Instant, flow: Flow, bytes: Bytes) {
        self.metrics.message(Way::In, flow.transport);
        self.tapped(now, Way::In, flow, &bytes);
        if self.taken_elsewhere(now, flow, &bytes, false) {
            return;
        }
        self.input(now, Input::Received { flow, bytes });
        self.perform(now);
    }

    /// Performs everything that the engine asks for, and tells it what could not be performed.
    pub(super) fn perform(&mut self, now: Instant) {
        loop {
            for output in self.outputs() {
                if let Some(output) = self.held.pass(now, output) {
                    self.act(now, output);
                }
            }
            self.perform_beside(now);
            if std::mem::take(&mut self.again) {
                continue;
            }
            let Some(flow) = self.failed.pop_front() else { return };
            self.tell_beside(now, || Input::FlowFailed { flow });
            self.engine.handle_input(now, Input::FlowFailed { flow });
        }
    }

    /// What the engine wants done, but for what it wants kept: that is noted before anything leaves, and in one piece with
    /// what it means for the call records, so that no record misses what the engine will never say again.
    fn outputs(&mut self) -> Vec<Output> {
        let (mut outputs, mut changes) = (Vec::new(), Vec::new());
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Store { changes: more } => changes.extend(more),
                Output::Event(event) => {
                    self.records.event(moment(clock::wall()), &event);
                    outputs.push(Output::Event(event));
                }
                output @ (Output::Transmit { .. }
                | Output::Resolve { .. }
                | Output::Media(_)
                | Output::Reply { .. }) => outputs.push(output),
            }
        }
        self.keep(changes);
        outputs
    }

    pub(super) fn keep(&mut self, mut changes: Vec<Stored>) {
        self.noted_at_home(&changes);
        let Some(writer) = &mut self.writer else { return };
        // Nobody waits for a binding or a record.
        let waits = |change: &Stored| !matches!(change, Stored::User(_) | Stored::Note(..));
        let waits = changes.iter().any(waits);
        changes.extend(self.records.changes());
        if changes.is_empty() {
            return;
        }
        let number = writer.keep(&changes);
        if waits {
            self.held.wait_for(number);
        }
    }

    /// The store has everything up to here.
    pub(super) fn committed(&mut self, number: u64) {
        self.held.committed(number);
        self.let_go();
    }

    fn give_up(&mut self) {
        self.held.give_up(clock::now());
        self.let_go();
    }

    pub(super) fn let_go(&mut self) {
        let now = clock::now();
        while let Some(output) = self.held.next(now) {
            self.act(now, output);
        }
        self.perform(now);
    }

    pub(super) fn act(&mut self, now: Instant, output: Output) {
        match output {
            Output::Transmit { flow, bytes } => self.transmit(now, flow, bytes),
            Output::Resolve { id, wanted, ours, seed } => self.names.resolve(now, id, wanted, ours, seed),
            Output::Store { changes } => self.keep(changes),
            Output::Media(command) => self.media.send(command),
            Output::Event(event) => {
                self.metrics.event(&event);
                if !self.refusals.is_told(now, &event) {
                    return;
                }
                observe::log(&event);
                if let Some(ladders) = &self.ladders {
                    ladders.event(now, &event);
                }
                let at = clock::wall();
                self.events.push(at, event);
            }
            Output::Reply { id, reply } => self.replied(now, id, reply),
        }
    }

    pub(super) fn transmit(&mut self, now: Instant, flow: Flow, bytes: Bytes) {
        self.metrics.message(Way::Out, flow.transport);
        self.tapped(now, Way::Out, flow, &bytes);
        if self.is_sent_beside(&flow, &bytes) {
            return;
        }
        let bytes = match &mut self.among {
            Some(among) => match among.cluster.send_elsewhere(flow, bytes) {
                Ok(()) => return,
                Err(bytes) => bytes,
            },
            None => bytes,
        };
        let failed = self.transmit_here(flow, bytes);
        if let Err(flows) = failed {
            self.metrics.send_failure();
            self.failed.extend(flows);
        }
    }

    /// By a socket of this process.
    pub(super) fn transmit_here(&mut self, flow: Flow, bytes: Bytes) -> Result<(), Vec<Flow>> {
        match flow.transport {
            Transport::Udp => self.send_datagram(flow, &bytes),
            Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => self.streams.send(flow, bytes),
        }
    }

    fn send_datagram(&self, flow: Flow, bytes: &[u8]) -> Result<(), Vec<Flow>> {
        let exact = self
            .udp
            .iter()
            .find(|(listener, _)| listener.address == flow.local || listener.advertised == flow.local);
        let family = || {
            self.udp
                .iter()
                .find(|(listener, _)| listener.address.is_ipv4() == flow.remote.is_ipv4())
        };
        let sent = match exact.or_else(family) {
            Some((_, socket)) => socket.try_send_to(bytes, flow.remote),
            None => match self.send_mute(flow, bytes) {
                Some(sent) => sent,
                None => return Err(vec![flow]),
            },
        };
        match sent {
            Ok(_) => Ok(()),
            // A full send buffer is a lost datagram; SIP over UDP repeats what is lost (RFC 3261 §17).
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.metrics.send_failure();
                Ok(())
            }
            // Left over from an ICMP answer to an earlier datagram: this one was not sent, but may be repeated.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                self.metrics.send_failure();
                Ok(())
            }
            Err(error) => {
                tracing::debug!(remote = %flow.remote, %error, "cannot send");
                Err(vec![flow])
            }
        }
    }

    /// Shows a message to those who look on.
    fn tapped(&self, at: Instant, way: Way, flow: Flow, bytes: &Bytes) {
        if let Some(ladders) = &self.ladders {
            let remote = flow.remote;
            ladders.message(&Seen { at, way, remote, bytes });
        }
        if let Some(tap) = &self.tap {
            let bytes = bytes.clone();
            tap.send(Tapped { at, way, flow, bytes }).ok(); // nobody looks on any more
        }
    }
}
