//! The time in which both processes run: messages for the other one, each way.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::link::{Link, Word, WrittenFlow, taken, written};
use crate::transport::Flow;

/// What the other process says.
#[derive(Debug)]
pub(in crate::driver) enum Heard {
    /// A message came to it that is for us.
    Received { flow: Flow, bytes: Bytes },
    /// A message is to be sent on a connection of ours.
    Send { flow: Flow, bytes: Bytes },
    /// A connection of its has ended.
    Closed { flow: Flow },
    /// It has ended.
    Gone,
}

/// One end, within the engine's loop.
#[derive(Debug)]
pub(in crate::driver) struct Bond {
    outgoing: mpsc::UnboundedSender<Vec<u8>>,
    incoming: mpsc::UnboundedReceiver<Heard>,
    tasks: [JoinHandle<()>; 2],
}

impl Bond {
    /// Within a runtime.
    pub(super) fn new(link: Link) -> io::Result<Bond> {
        let Link { stream, came, .. } = link;
        stream.set_nonblocking(true)?;
        let (mut reader, mut writer) = UnixStream::from_std(stream)?.into_split();
        let (outgoing, mut frames) = mpsc::unbounded_channel::<Vec<u8>>();
        let (heard, incoming) = mpsc::unbounded_channel();
        let writing = tokio::spawn(async move {
            while let Some(frame) = frames.recv().await {
                if writer.write_all(&frame).await.is_err() {
                    return; // the reader notices
                }
            }
        });
        let reading = tokio::spawn(async move {
            let mut came = came;
            while next(&mut reader, &mut came, &heard).await.is_ok_and(|more| more) {}
            heard.send(Heard::Gone).ok(); // the loop has ended
        });
        Ok(Bond {
            outgoing,
            incoming,
            tasks: [writing, reading],
        })
    }

    /// A message came here that is for the other one.
    pub(in crate::driver) fn give(&self, flow: &Flow, bytes: &[u8]) {
        self.frame(
            &Word::Received {
                flow: WrittenFlow::of(flow),
            },
            bytes,
        );
    }

    /// The other one is to send this on a connection of its.
    pub(in crate::driver) fn send(&self, flow: &Flow, bytes: &[u8]) {
        self.frame(
            &Word::Send {
                flow: WrittenFlow::of(flow),
            },
            bytes,
        );
    }

    /// A connection of ours has ended.
    pub(in crate::driver) fn closed(&self, flow: &Flow) {
        self.frame(
            &Word::Closed {
                flow: WrittenFlow::of(flow),
            },
            &[],
        );
    }

    fn frame(&self, word: &Word, bytes: &[u8]) {
        match written(word, bytes) {
            // Nobody reads any more: the other one has gone, and it is told soon.
            Ok(frame) => drop(self.outgoing.send(frame)),
            Err(error) => tracing::error!(%error, "a message for the other process cannot be written"),
        }
    }

    /// The next thing that the other process says.
    pub(in crate::driver) async fn next(&mut self) -> Heard {
        self.incoming.recv().await.unwrap_or(Heard::Gone)
    }
}

impl Drop for Bond {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn next(
    reader: &mut tokio::net::unix::OwnedReadHalf,
    came: &mut BytesMut,
    heard: &mpsc::UnboundedSender<Heard>,
) -> io::Result<bool> {
    while let Some((word, bytes)) = taken(came)? {
        let (flow, said): (_, fn(Flow, Bytes) -> Heard) = match word {
            Word::Received { flow } => (flow, |flow, bytes| Heard::Received { flow, bytes }),
            Word::Send { flow } => (flow, |flow, bytes| Heard::Send { flow, bytes }),
            Word::Closed { flow } => (flow, |flow, _| Heard::Closed { flow }),
            Word::Prepared { .. } | Word::Sockets { .. } | Word::Offered { .. } | Word::Ready { .. } | Word::Go => {
                continue;
            }
        };
        let Some(flow) = flow.flow() else { continue };
        let said = said(flow, bytes);
        if heard.send(said).is_err() {
            return Ok(false);
        }
    }
    Ok(reader.read_buf(came).await? > 0)
}
