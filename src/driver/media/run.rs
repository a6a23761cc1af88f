//! The loop of the media thread.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};
use tokio::sync::mpsc::UnboundedSender;

use super::batch::Batch;
use super::files::Files;
use super::sockets::Sockets;
use super::{MediaOptions, Order};
use crate::driver::clock;
use crate::driver::isolate::isolated;
use crate::media::{Local, MediaEvent, MediaOutput, Sessions};
use crate::observe::Metrics;

/// What epoll calls the arrival of an order.
pub(super) const WAKER: Token = Token(usize::MAX);
/// Batches taken from one socket before the others get their turn: a flood on one port delays nobody else.
const BATCHES: usize = 4;
/// Orders taken in one turn.
const ORDERS: usize = 256;
/// Room for a packet of the usual size.
const ROOM: usize = 2_048;
/// When epoll itself fails, it is not asked again at once.
const BREATH: Duration = Duration::from_millis(10);

/// What the thread is given.
pub(super) struct Parts {
    pub(super) poll: Poll,
    pub(super) sockets: Sockets,
    pub(super) files: Files,
    pub(super) orders: Receiver<Order>,
    pub(super) events: UnboundedSender<MediaEvent>,
    pub(super) options: MediaOptions,
}

struct Shell {
    poll: Poll,
    orders: Receiver<Order>,
    events: UnboundedSender<MediaEvent>,
    sessions: Sessions,
    sockets: Sockets,
    files: Files,
    /// Places of sockets that may have something to read.
    ready: Vec<usize>,
    batch: Batch,
    packet: Vec<u8>,
    failures: u64,
    metrics: Arc<Metrics>,
}

/// Runs until the other end of the orders is gone.
pub(super) fn run(parts: Parts) {
    let mut shell = Shell {
        poll: parts.poll,
        orders: parts.orders,
        events: parts.events,
        sessions: Sessions::new(parts.options.settings, parts.options.certificate),
        sockets: parts.sockets,
        files: parts.files,
        ready: Vec::new(),
        batch: Batch::new(),
        packet: Vec::with_capacity(ROOM),
        failures: 0,
        metrics: parts.options.metrics,
    };
    for (name, pcm) in parts.options.prompts {
        shell.sessions.prompts().insert(name, pcm);
    }
    let mut happened = Events::with_capacity(1_024);
    let mut more_orders = true;
    let metrics = Arc::clone(&shell.metrics);
    while isolated(&metrics, "media", || shell.turn(&mut happened, &mut more_orders)).unwrap_or(true) {}
    shell.sessions.close_all(clock::now());
    shell.perform();
}

impl Shell {
    /// Waits for something and does it; false when the thread is to end.
    fn turn(&mut self, happened: &mut Events, more_orders: &mut bool) -> bool {
        let wait = if *more_orders || !self.ready.is_empty() {
            Some(Duration::ZERO)
        } else {
            let now = clock::now();
            self.sessions.poll_timeout().map(|at| at.saturating_duration_since(now))
        };
        if let Err(error) = self.poll.poll(happened, wait)
            && error.kind() != io::ErrorKind::Interrupted
        {
            tracing::warn!(%error, "the media thread cannot wait");
            std::thread::park_timeout(BREATH);
        }
        for event in happened.iter() {
            if event.token() == WAKER {
                *more_orders = true;
            } else if let Some(socket) = self.sockets.at(event.token().0)
                && !socket.ready
            {
                socket.ready = true;
                self.ready.push(event.token().0);
            }
        }
        if *more_orders {
            match self.take_orders() {
                Ok(more) => *more_orders = more,
                Err(TryRecvError::Disconnected | TryRecvError::Empty) => return false,
            }
        }
        self.drain();
        self.time(clock::now());
        true
    }

    /// Whether there may be more; an error when nobody gives orders any more.
    fn take_orders(&mut self) -> Result<bool, TryRecvError> {
        for _ in 0..ORDERS {
            match self.orders.try_recv() {
                Ok(Order::Command(command)) => self.sessions.handle_command(clock::now(), command),
                Ok(Order::Prompt(name, pcm)) => self.sessions.prompts().insert(name, pcm),
                Ok(Order::CloseAll) => self.sessions.close_all(clock::now()),
                Ok(Order::Forget(name)) => self.sessions.prompts().remove(&name),
                Ok(Order::Park(keep, answer)) => {
                    let copies = self.sockets.park(self.poll.registry(), &keep);
                    answer.send(copies).ok(); // who asked has gone, and so is everything soon
                }
                Ok(Order::Unpark) => self.sockets.unpark(self.poll.registry()),
                Ok(Order::Release) => self.sockets.release(),
                Ok(Order::ForgetInherited) => {
                    // What the orders before this one want is bound first.
                    self.perform();
                    self.sockets.forget_inherited();
                }
                Err(TryRecvError::Empty) => {
                    self.perform();
                    return Ok(false);
                }
                Err(TryRecvError::Disconnected) => return Err(TryRecvError::Disconnected),
            }
        }
        self.perform();
        Ok(true)
    }

    /// Reads every socket that has something until it is empty or its turn is over.
    fn drain(&mut self) {
        let mut at = 0;
        while let Some(&place) = self.ready.get(at) {
            if self.read(place) {
                at += 1;
            } else {
                self.ready.swap_remove(at);
            }
            self.perform();
        }
    }

    /// Whether there may be more to read.
    fn read(&mut self, place: usize) -> bool {
        let now = clock::now();
        for _ in 0..BATCHES {
            let Some(socket) = self.sockets.at(place) else {
                return false;
            };
            match self.batch.receive(&socket.udp) {
                Ok(count) => {
                    let local = socket.local;
                    // epoll tells of whatever comes after this call.
                    socket.ready = count == Batch::SIZE;
                    let more = socket.ready;
                    (0..count).for_each(|at| self.take(now, local, at));
                    if !more {
                        return false;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    socket.ready = false;
                    return false;
                }
                // An ICMP answer to an earlier datagram: the next read gets the next datagram.
                Err(error) => tracing::trace!(%error, "media receive error"),
            }
        }
        true
    }

    /// One datagram of the batch.
    fn take(&mut self, now: Instant, local: Local, at: usize) {
        if let Some((octets, from)) = self.batch.datagram(at) {
            self.packet.clear();
            self.packet.extend_from_slice(octets);
            self.sessions.handle_datagram(now, local, from, &mut self.packet);
        }
    }

    fn time(&mut self, now: Instant) {
        if self.sessions.poll_timeout().is_some_and(|at| at <= now) {
            self.sessions.handle_timeout(now);
            self.perform();
        }
    }

    fn perform(&mut self) {
        let mut failed: Vec<Local> = Vec::new();
        loop {
            while let Some(output) = self.sessions.poll_output() {
                match output {
                    MediaOutput::Send { local, to, octets } => {
                        if let Err(error) = self.sockets.send(local, to, octets) {
                            self.failures += 1;
                            tracing::trace!(?local, %to, %error, "media not sent");
                        }
                    }
                    MediaOutput::Bind(local) => {
                        if let Err(error) = self.sockets.bind(self.poll.registry(), local) {
                            tracing::warn!(?local, %error, "a media port cannot be bound");
                            failed.push(local);
                        }
                    }
                    MediaOutput::Record(step) => self.files.give(step),
                    MediaOutput::Unbind(local) => self.sockets.unbind(local),
                    MediaOutput::Event(event) => {
                        self.events.send(event).ok(); // whom it concerned has gone
                    }
                }
            }
            let Some(local) = failed.pop() else { return };
            self.sessions.bind_failed(local);
        }
    }
}
