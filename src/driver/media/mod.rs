//! The media thread: it owns every media socket, tells [`Sessions`] the time and performs what they ask for.
//!
//! One thread moves the packets of all legs: a call's two legs, and whom a transfer joins later, are always in one table.
//! It waits in epoll for sockets, commands and the next deadline; a packet crosses no other thread between the kernel and
//! the kernel. Nothing that a peer or a full buffer does ends it.
//!
//! Refuses to understand a packet. RFC sections: none of its own; see [`crate::media`].
//!
//! ```
//! use warmline::driver::{MediaOptions, MediaThread};
//!
//! let (events, _told) = tokio::sync::mpsc::unbounded_channel();
//! let options = MediaOptions::new("127.0.0.1".parse()?, warmline::driver::dtls_certificate()?);
//! let media = MediaThread::start(options, events)?;
//! media.stop();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod batch;
mod files;
mod run;
mod sockets;
mod sounds;
mod wire;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;

use files::Files;
use sockets::Sockets;
pub(super) use sounds::SoundBox;
use tokio::sync::mpsc::UnboundedSender;
pub use wire::MediaFiles;
pub(super) use wire::wire;

use super::clock;
use crate::media::audio::Pcm;
use crate::media::secure::Certificate;
use crate::media::{MediaCommand, MediaEvent, MediaSettings, PromptName};
use crate::observe::Metrics;

/// How media is driven.
#[derive(Debug)]
pub struct MediaOptions {
    /// The address that the legs' own sockets are bound to.
    pub address: IpAddr,
    /// The one port of all legs with ICE, where there are any; port 0: the system chooses.
    pub shared: Option<SocketAddr>,
    /// Another port will do where that one is taken.
    pub elsewhere: bool,
    /// What endpoints with DTLS show.
    pub certificate: Certificate,
    /// What may be played, by name.
    pub prompts: Vec<(PromptName, Pcm)>,
    /// The folder of recordings; `None`: none are made.
    pub recordings: Option<PathBuf>,
    /// Times.
    pub settings: MediaSettings,
    /// Where panics are counted.
    pub metrics: Arc<Metrics>,
    /// Sockets of a process before this one, by port; 0 is the shared one.
    pub inherited: HashMap<u16, std::net::UdpSocket>,
}

impl MediaOptions {
    /// The usual times; no shared port, no prompts, no recordings.
    pub fn new(address: IpAddr, certificate: Certificate) -> MediaOptions {
        MediaOptions {
            address,
            shared: None,
            elsewhere: false,
            certificate,
            prompts: Vec::new(),
            recordings: None,
            settings: MediaSettings::new(clock::now()),
            metrics: Arc::default(),
            inherited: HashMap::new(),
        }
    }
}

/// What the thread is told.
#[derive(Debug)]
enum Order {
    Command(MediaCommand),
    Prompt(PromptName, Pcm),
    Forget(PromptName),
    /// Sockets go to another process, but for those of these ports.
    Park(Vec<u16>, Sender<io::Result<Vec<(u16, OwnedFd)>>>),
    /// They come back.
    Unpark,
    /// They do not.
    Release,
    /// Whoever wanted one of an earlier process has it.
    ForgetInherited,
    CloseAll,
}

/// A running media thread. Dropping it stops it.
#[derive(Debug)]
pub struct MediaThread {
    orders: Option<Sender<Order>>,
    waker: Arc<mio::Waker>,
    shared: Option<SocketAddr>,
    thread: Option<JoinHandle<()>>,
}

impl MediaThread {
    /// Starts it; what it has to tell goes to `events`, whose reader may go.
    ///
    /// # Errors
    ///
    /// When the shared port cannot be bound, or the system has no thread.
    pub fn start(options: MediaOptions, events: UnboundedSender<MediaEvent>) -> io::Result<MediaThread> {
        let (sender, orders) = mpsc::channel();
        let poll = mio::Poll::new()?;
        let waker = Arc::new(mio::Waker::new(poll.registry(), run::WAKER)?);
        let mut options = options;
        let mut sockets = Sockets::new(options.address, std::mem::take(&mut options.inherited));
        let mut share = |address| sockets.share(poll.registry(), address);
        let shared = options.shared.map(|address| match share(address) {
            Err(error) if options.elsewhere && error.kind() == io::ErrorKind::AddrInUse => {
                share(SocketAddr::new(address.ip(), 0))
            }
            shared => shared,
        });
        let shared = shared.transpose()?;
        let files = Files::start(options.recordings.clone(), events.clone())?;
        let parts = run::Parts {
            files,
            poll,
            sockets,
            orders,
            events,
            options,
        };
        let thread = std::thread::Builder::new()
            .name("warmline-media".to_owned())
            .spawn(move || run::run(parts))?;
        Ok(MediaThread {
            orders: Some(sender),
            waker,
            shared,
            thread: Some(thread),
        })
    }

    /// Where the shared port is, if there is one.
    pub fn shared(&self) -> Option<SocketAddr> {
        self.shared
    }

    /// Gives it an order; in vain once it has stopped.
    pub fn send(&self, command: MediaCommand) {
        self.order(Order::Command(command));
    }

    /// Adds a prompt or replaces the one of that name, also for those who hear it now.
    pub fn insert_prompt(&self, name: PromptName, pcm: Pcm) {
        self.order(Order::Prompt(name, pcm));
    }

    /// Removes a prompt; those who hear it now hear silence.
    pub fn remove_prompt(&self, name: PromptName) {
        self.order(Order::Forget(name));
    }

    /// Reads its sockets no more, but for those of the ports `keep`, and gives copies of their descriptors by port; the
    /// shared one has port 0. To be followed by [`MediaThread::unpark`] or [`MediaThread::release`].
    ///
    /// # Errors
    /// When the system refuses, or the thread has ended.
    pub fn park(&self, keep: Vec<u16>) -> io::Result<Vec<(u16, OwnedFd)>> {
        let (sender, answer) = mpsc::channel();
        self.order(Order::Park(keep, sender));
        answer.recv().unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into()))
    }

    /// Reads again what was given away.
    pub fn unpark(&self) {
        self.order(Order::Unpark);
    }

    /// Another process has the sockets that were given away.
    pub fn release(&self) {
        self.order(Order::Release);
    }

    /// Closes sockets of an earlier process that nobody has asked for.
    pub fn forget_inherited(&self) {
        self.order(Order::ForgetInherited);
    }

    /// Closes every endpoint: the calls go on elsewhere.
    pub fn forget_all(&self) {
        self.order(Order::CloseAll);
    }

    fn order(&self, order: Order) {
        if let Some(orders) = &self.orders {
            orders.send(order).ok(); // it has ended, and so have all legs
            self.waker.wake().ok(); // it looks at its orders at the next packet or deadline, too
        }
    }

    /// Closes every endpoint (RTCP BYE) and every socket, and waits for it.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.orders = None;
        self.waker.wake().ok(); // as above
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the media thread panicked");
        }
    }
}

impl Drop for MediaThread {
    fn drop(&mut self) {
        self.end();
    }
}
