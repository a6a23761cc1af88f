//! The loop while two processes run: giving everything over, and passing messages on afterwards.

use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::time::Instant;

use bytes::Bytes;

use super::clock;
use super::memory::written_to;
use super::run::Shell;
use super::upgrade::{Bond, HandOver, Handed, Heard, Heir, Name, Offer};
use crate::engine::{Input, Listener, Remainder};
use crate::sip::Message;
use crate::store::Writer;
use crate::transport::{Flow, Transport};

/// What is known of the other process.
#[derive(Debug, Default)]
pub(super) enum Beside {
    /// There is none.
    #[default]
    Alone,
    /// A newer one reads the sockets; this one finishes what it could not hand over, until then.
    Newer { bond: Bond, until: Instant },
    /// An older one still finishes what it has begun.
    Older {
        bond: Bond,
        /// Call-IDs of that.
        kept: std::collections::HashSet<String>,
        /// Connections that it keeps open for us.
        connections: std::collections::HashMap<u64, Flow>,
    },
}

impl Beside {
    /// The next thing that the other process says; never, when there is none.
    pub(super) async fn next(&mut self) -> Heard {
        match self {
            Beside::Newer { bond, .. } | Beside::Older { bond, .. } => bond.next().await,
            Beside::Alone => std::future::pending().await,
        }
    }

    /// Whether this process still reads its sockets.
    pub(super) fn reads(&self) -> bool {
        !matches!(self, Beside::Newer { .. })
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Beside::Newer { until, .. } => Some(*until),
            Beside::Alone | Beside::Older { .. } => None,
        }
    }
}

impl Shell {
    /// The process before this one waits for us, and then we take over; what is to be told after the store's records are back.
    /// `None`: it goes on instead.
    pub(super) fn inherit(&mut self, mut heir: Heir) -> Option<Input> {
        if let Err(error) = heir.begin() {
            tracing::error!(%error, "the process before this one goes on");
            return None;
        }
        let (mut flows, ports) = (heir.flows.clone(), heir.ports.clone());
        let connections = flows.iter().map(|flow| (flow.connection, *flow)).collect();
        let kept = heir.kept.iter().cloned().collect();
        match heir.bond() {
            // From here on its connections carry what we say, also the first thing.
            Ok(bond) => {
                self.beside = Beside::Older {
                    bond,
                    kept,
                    connections,
                };
            }
            Err(error) => {
                tracing::error!(%error, "cannot hear the process before this one: what it finishes is lost");
                flows.clear();
            }
        }
        Some(Input::Beside { flows, ports })
    }

    /// Gives everything to a newer process, or goes on as if nothing had been.
    pub(super) fn hand_over(&mut self, mut order: HandOver) {
        let begun = clock::now();
        let told = order.told.take();
        let remainder = self.engine.remainder();
        let outcome = self.give(&mut order, &remainder);
        let outcome = outcome.and_then(|pid| {
            let until = begun + order.deadline;
            let bond = order.go()?;
            self.let_be(bond, until);
            Ok(Handed {
                pid,
                calls: self.engine.totals().calls,
                pause: clock::now().saturating_duration_since(begun),
            })
        });
        if let Err(error) = &outcome {
            tracing::error!(%error, "not handed over: this process goes on");
        }
        if let Some(told) = told {
            told.send(outcome.map_err(|error| error.to_string())).ok(); // nobody waits for it any more
        }
    }

    fn give(&mut self, order: &mut HandOver, remainder: &Remainder) -> std::io::Result<u32> {
        let mut closed = false;
        let given = self.collect(remainder).and_then(|offer| {
            self.keep(Vec::new()); // what the records have not said yet
            if let Some(mut writer) = self.writer.take() {
                let mut forget = remainder.forget.clone();
                forget.extend(self.records.forget_of(&remainder.legs));
                writer.keep(&forget);
                drop(writer); // waits until all is written, and closes the store
                self.held.all_is_kept();
                self.let_go();
                closed = true;
            }
            order.give(&offer)
        });
        if given.is_err() {
            self.take_back(order, closed);
        }
        given
    }

    /// Stops reading, and collects what is to be passed.
    fn collect(&mut self, remainder: &Remainder) -> std::io::Result<Offer> {
        let connections = self.streams.flows();
        let mut sockets = Vec::new();
        for (transport, address, socket) in self.streams.pause_listening()? {
            sockets.push((Name::listener(transport, address), socket));
        }
        for (listener, socket) in &self.udp {
            let copy = socket.as_fd().try_clone_to_owned()?;
            sockets.push((Name::listener(Transport::Udp, listener.address), copy));
        }
        for (port, socket) in self.media.park(remainder.ports.clone())? {
            sockets.push((Name::Media { port }, socket));
        }
        Ok(Offer {
            sockets,
            kept: remainder.call_ids.clone(),
            ports: remainder.ports.clone(),
            connections,
        })
    }

    /// The newer process did not come to be.
    fn take_back(&mut self, order: &HandOver, closed: bool) {
        self.media.unpark();
        self.streams.go_on_listening();
        if !closed {
            return;
        }
        let opened = (order.reopen)().and_then(|mut store| Ok((store.journal()?, store)));
        match opened {
            Ok((journal, store)) => {
                let told = written_to(self.committed.clone(), &self.metrics);
                match Writer::start(store, journal, told) {
                    Ok(writer) => {
                        self.writer = Some(writer);
                        self.tell(Input::StoreForgot);
                    }
                    Err(error) => tracing::error!(%error, "nothing is stored any more"),
                }
            }
            Err(error) => tracing::error!(%error, "the store cannot be opened again: nothing is stored any more"),
        }
    }

    /// Only what was not handed over is ours.
    fn let_be(&mut self, bond: Bond, until: Instant) {
        self.media.release();
        self.streams.release_listeners();
        self.engine.keep_remainder();
        // Sockets that nobody here reads must not wake this loop.
        for (listener, socket) in self.udp.drain(..) {
            match socket.into_std() {
                Ok(socket) => self.mute.push((listener, socket)),
                Err(error) => tracing::error!(%error, "a socket is lost"),
            }
        }
        self.beside = Beside::Newer { bond, until };
        self.events.close();
    }

    /// Whether a process that finishes what it could not hand over is done.
    pub(super) fn is_done(&self) -> bool {
        match &self.beside {
            Beside::Newer { until, .. } => {
                let idle = self.engine.is_finished() && self.streams.flows().is_empty();
                idle || clock::now() >= *until
            }
            Beside::Alone | Beside::Older { .. } => false,
        }
    }

    /// Whether a message that came here is the other process's; then it has it.
    pub(super) fn is_passed_on(&self, flow: &Flow, bytes: &Bytes) -> bool {
        let (bond, theirs) = match &self.beside {
            Beside::Alone => return false,
            Beside::Newer { bond, .. } => match Message::parse(bytes.clone()) {
                // It has begun nothing new since.
                Ok(message) => {
                    let new = message.is_request() && message.to_tag().is_none();
                    let ours = self.engine.has(&message);
                    (bond, !ours && (new || !self.engine.knows(&message)))
                }
                Err(_) => (bond, true),
            },
            Beside::Older { bond, kept, .. } => match Message::parse(bytes.clone()) {
                Ok(message) => {
                    let begun = message.to_tag().is_none() && message.is_request() && kept.contains(message.call_id());
                    (
                        bond,
                        !self.engine.knows(&message) || (begun && !self.engine.has(&message)),
                    )
                }
                Err(_) => (bond, false),
            },
        };
        if theirs {
            bond.give(flow, bytes);
        }
        theirs
    }

    /// Whether this goes out by a connection that the other process keeps open.
    pub(super) fn is_sent_beside(&self, flow: &Flow, bytes: &Bytes) -> bool {
        match &self.beside {
            Beside::Older { bond, connections, .. } => {
                let by = match flow.connection {
                    0 if flow.transport.is_reliable() => connections
                        .values()
                        .find(|known| known.transport == flow.transport && known.remote == flow.remote),
                    0 => None,
                    connection => connections.get(&connection),
                };
                if let Some(by) = by {
                    bond.send(by, bytes);
                }
                by.is_some()
            }
            Beside::Alone | Beside::Newer { .. } => false,
        }
    }

    /// A connection of ours has ended: it may carry the other process's calls.
    pub(super) fn tell_closed(&self, flow: &Flow) {
        if let Beside::Newer { bond, .. } = &self.beside {
            bond.closed(flow);
        }
    }

    /// What the other process says.
    pub(super) fn heard_other(&mut self, heard: Heard) {
        match heard {
            Heard::Received { flow, bytes } => self.take_in(clock::now(), flow, bytes),
            Heard::Send { flow, bytes } => self.transmit(clock::now(), flow, bytes),
            Heard::Closed { flow } => {
                if let Beside::Older { connections, .. } = &mut self.beside {
                    connections.remove(&flow.connection);
                }
                self.tell(Input::FlowFailed { flow });
            }
            Heard::Gone => match std::mem::take(&mut self.beside) {
                Beside::Older { connections, .. } => {
                    let mut flows: Vec<Flow> = connections.into_values().collect();
                    flows.sort_unstable_by_key(|flow| flow.connection);
                    for flow in flows {
                        self.tell(Input::FlowFailed { flow });
                    }
                    self.tell(Input::Alone);
                    tracing::info!("the process before this one has ended");
                }
                // It has the calls; without it nobody reads the sockets, and this process cannot take them back.
                Beside::Newer { bond, .. } => {
                    tracing::error!("the process after this one has ended");
                    self.beside = Beside::Newer {
                        bond,
                        until: clock::now(),
                    };
                }
                Beside::Alone => {}
            },
        }
    }

    /// Sends from a socket that the other process reads.
    pub(super) fn send_mute(&self, flow: Flow, bytes: &[u8]) -> Option<std::io::Result<usize>> {
        let of = |wanted: &dyn Fn(&Listener) -> bool| self.mute.iter().find(|(listener, _)| wanted(listener));
        let exact = of(&|listener| listener.address == flow.local || listener.advertised == flow.local);
        let family = || of(&|listener| listener.address.is_ipv4() == flow.remote.is_ipv4());
        let (_, socket): &(Listener, UdpSocket) = exact.or_else(family)?;
        Some(socket.send_to(bytes, flow.remote))
    }
}
