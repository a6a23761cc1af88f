//! What the packet half asks its driver to do, and the buffers that carry packets there.

use std::collections::VecDeque;
use std::net::SocketAddr;

use super::audio::Write;
use super::{Local, MediaEvent, RecordingName};
use crate::vocabulary::AudienceHandle;

/// A step for the driver, in the order in which they are given.
#[derive(Debug, PartialEq)]
pub enum MediaOutput<'a> {
    /// Open this socket; [`Sessions::bind_failed`](super::Sessions::bind_failed) if it cannot be.
    Bind(Local),
    /// Close this socket.
    Unbind(Local),
    /// Send a datagram; what cannot be sent is lost.
    Send {
        /// From this socket.
        local: Local,
        /// Whereto.
        to: SocketAddr,
        /// All of it.
        octets: &'a [u8],
    },
    /// Tell the engine.
    Event(MediaEvent),
    /// For the recordings' files.
    Record(RecordingStep),
}

/// What is to be done with a recording's file, in the order in which it is given.
#[derive(Debug, PartialEq)]
pub enum RecordingStep {
    /// Write this into the file, which is made for the first write of a name.
    Write {
        /// Whose recording, for whom a failure concerns.
        of: AudienceHandle,
        /// Which.
        name: RecordingName,
        /// From the file's beginning.
        offset: u64,
        /// What stands there from now on.
        octets: Vec<u8>,
    },
    /// It is complete: close its file, then tell [`MediaEvent::Recorded`] or [`MediaEvent::HubRecorded`].
    Recorded {
        /// Whose.
        of: AudienceHandle,
        /// Which.
        name: RecordingName,
        /// Of audio.
        milliseconds: u64,
    },
}

/// Buffers that wait to be used again; more than these are given back to the allocator.
const KEPT: usize = 1_024;
/// What a buffer has room for from the beginning: a packet of the usual size with its authentication tag.
const ROOM: usize = 1_500;

#[derive(Debug)]
enum Queued {
    Bind(Local),
    Unbind(Local),
    Send(Local, SocketAddr, Vec<u8>),
    Event(MediaEvent),
    Record(RecordingStep),
}

/// The queue of outputs, and its buffers: a packet that is relayed costs no allocation.
#[derive(Debug, Default)]
pub(super) struct Outputs {
    queue: VecDeque<Queued>,
    free: Vec<Vec<u8>>,
    /// What the driver looks at.
    current: Vec<u8>,
}

impl Outputs {
    /// An empty buffer.
    pub(super) fn buffer(&mut self) -> Vec<u8> {
        self.free.pop().unwrap_or_else(|| Vec::with_capacity(ROOM))
    }

    /// Gives a buffer back that is not sent.
    pub(super) fn give_back(&mut self, mut buffer: Vec<u8>) {
        if self.free.len() < KEPT {
            buffer.clear();
            self.free.push(buffer);
        }
    }

    pub(super) fn send(&mut self, local: Local, to: SocketAddr, octets: Vec<u8>) {
        self.queue.push_back(Queued::Send(local, to, octets));
    }

    pub(super) fn event(&mut self, event: MediaEvent) {
        self.queue.push_back(Queued::Event(event));
    }

    pub(super) fn write(&mut self, of: AudienceHandle, name: RecordingName, write: Write) {
        let Write { offset, octets } = write;
        self.queue.push_back(Queued::Record(RecordingStep::Write {
            of,
            name,
            offset,
            octets,
        }));
    }

    pub(super) fn recorded(&mut self, of: AudienceHandle, name: RecordingName, milliseconds: u64) {
        self.queue
            .push_back(Queued::Record(RecordingStep::Recorded { of, name, milliseconds }));
    }

    pub(super) fn bind(&mut self, local: Local) {
        self.queue.push_back(Queued::Bind(local));
    }

    pub(super) fn unbind(&mut self, local: Local) {
        self.queue.push_back(Queued::Unbind(local));
    }

    /// The next step; its octets are there until the next call.
    pub(super) fn poll(&mut self) -> Option<MediaOutput<'_>> {
        let next = self.queue.pop_front()?;
        Some(match next {
            Queued::Bind(local) => MediaOutput::Bind(local),
            Queued::Unbind(local) => MediaOutput::Unbind(local),
            Queued::Event(event) => MediaOutput::Event(event),
            Queued::Record(step) => MediaOutput::Record(step),
            Queued::Send(local, to, octets) => {
                let before = std::mem::replace(&mut self.current, octets);
                self.give_back(before);
                MediaOutput::Send {
                    local,
                    to,
                    octets: &self.current,
                }
            }
        })
    }
}
