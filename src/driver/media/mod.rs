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
//! let media = MediaThread::start(MediaOptions::default(), events).unwrap();
//! media.stop();
//! ```

mod run;
mod sockets;

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;

use tokio::sync::mpsc::UnboundedSender;

use super::clock;
use crate::media::{MediaCommand, MediaEvent, MediaSettings};

/// How media is driven.
#[derive(Clone, Debug)]
pub struct MediaOptions {
    /// The address that every media socket is bound to.
    pub address: IpAddr,
    /// Times.
    pub settings: MediaSettings,
}

impl Default for MediaOptions {
    /// Every IPv4 address of the host.
    fn default() -> Self {
        MediaOptions {
            address: Ipv4Addr::UNSPECIFIED.into(),
            settings: MediaSettings::new(clock::now()),
        }
    }
}

/// A running media thread. Dropping it stops it.
#[derive(Debug)]
pub struct MediaThread {
    commands: Option<Sender<MediaCommand>>,
    waker: Arc<mio::Waker>,
    thread: Option<JoinHandle<()>>,
}

impl MediaThread {
    /// Starts it; what it has to tell goes to `events`, whose reader may go.
    pub fn start(options: MediaOptions, events: UnboundedSender<MediaEvent>) -> io::Result<MediaThread> {
        let (commands, orders) = mpsc::channel();
        let poll = mio::Poll::new()?;
        let waker = Arc::new(mio::Waker::new(poll.registry(), run::WAKER)?);
        let parts = run::Parts {
            poll,
            orders,
            events,
            options,
        };
        let thread = std::thread::Builder::new()
            .name("warmline-media".to_owned())
            .spawn(move || run::run(parts))?;
        Ok(MediaThread {
            commands: Some(commands),
            waker,
            thread: Some(thread),
        })
    }

    /// Gives it an order; in vain once it has stopped.
    pub fn send(&self, command: MediaCommand) {
        if let Some(commands) = &self.commands {
            commands.send(command).ok(); // it has ended, and so have all legs
            self.waker.wake().ok(); // it looks at its orders at the next packet or deadline, too
        }
    }

    /// Closes every endpoint (RTCP BYE) and every socket, and waits for it.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.commands = None;
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
