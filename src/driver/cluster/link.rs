//! The link: one TCP connection to each node that we have something to say to. What comes over it speaks one way; answers
//! take the other node's own connection to us.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::frame::{LONGEST, NONCE, Said, Sealed};
use crate::driver::clock;

/// Frames that wait for one peer; more are refused.
const QUEUE: usize = 2_048;
/// A peer that does not accept, or does not take what is written, within this time is gone.
const PATIENCE: Duration = Duration::from_secs(1);
/// Connections from others at a time: a cluster has a thousand nodes at the most.
const MOST: usize = 2_048;

/// What the link tells.
#[derive(Debug)]
pub(in crate::driver) enum LinkEvent {
    /// A peer says this.
    Heard(Said),
    /// A connection to this address broke that had stood.
    Lost(SocketAddr),
    /// There is none, and these were not delivered.
    Unreachable(Vec<Said>),
}

/// The connections of this node.
pub(in crate::driver) struct Link {
    key: [u8; 16],
    events: mpsc::UnboundedSender<LinkEvent>,
    peers: HashMap<SocketAddr, mpsc::Sender<Said>>,
    acceptor: JoinHandle<()>,
}

impl Link {
    /// Accepts from now on; inside of the runtime.
    pub(in crate::driver) fn new(
        listener: TcpListener,
        key: [u8; 16],
        events: mpsc::UnboundedSender<LinkEvent>,
    ) -> Link {
        let told = events.clone();
        let acceptor = tokio::spawn(accept(listener, key, told));
        Link {
            key,
            events,
            peers: HashMap::new(),
            acceptor,
        }
    }

    /// Says something to a peer; gives it back when it cannot be said now.
    pub(in crate::driver) fn say(&mut self, peer: SocketAddr, said: Said) -> Result<(), Said> {
        let mut said = said;
        if let Some(queue) = self.peers.get(&peer) {
            match queue.try_send(said) {
                Ok(()) => return Ok(()),
                Err(mpsc::error::TrySendError::Full(back)) => return Err(back),
                Err(mpsc::error::TrySendError::Closed(back)) => said = back,
            }
        }
        let (queue, waiting) = mpsc::channel(QUEUE);
        let sent = queue.try_send(said).map_err(mpsc::error::TrySendError::into_inner);
        tokio::spawn(connect(peer, self.key, waiting, self.events.clone()));
        self.peers.insert(peer, queue);
        sent
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

async fn connect(
    peer: SocketAddr,
    key: [u8; 16],
    mut waiting: mpsc::Receiver<Said>,
    events: mpsc::UnboundedSender<LinkEvent>,
) {
    let Some((mut stream, mut sealed)) = timeout(PATIENCE, greet(peer, key)).await.ok().flatten() else {
        waiting.close();
        let mut undelivered = Vec::new();
        while let Some(said) = waiting.recv().await {
            undelivered.push(said);
        }
        events.send(LinkEvent::Unreachable(undelivered)).ok(); // the edge is stopping
        return;
    };
    let mut nothing = [0; 1];
    loop {
        let said = tokio::select! {
            said = waiting.recv() => match said {
                Some(said) => said,
                None => return,
            },
            // The other end says nothing here; what comes is its end.
            _ = stream.read(&mut nothing) => break,
        };
        let Some(frame) = sealed.seal(&said) else { continue };
        let written = timeout(PATIENCE, stream.write_all(&frame)).await;
        if !matches!(written, Ok(Ok(()))) {
            break;
        }
    }
    events.send(LinkEvent::Lost(peer)).ok(); // the edge is stopping
}

async fn greet(peer: SocketAddr, key: [u8; 16]) -> Option<(TcpStream, Sealed)> {
    let mut stream = TcpStream::connect(peer).await.ok()?;
    stream.set_nodelay(true).ok()?;
    let own = clock::random().ok()?;
    stream.write_all(&own).await.ok()?;
    let mut theirs = [0; NONCE];
    stream.read_exact(&mut theirs).await.ok()?;
    Some((stream, Sealed::new(&key, &theirs, &own)))
}

async fn accept(listener: TcpListener, key: [u8; 16], events: mpsc::UnboundedSender<LinkEvent>) {
    let turns = std::sync::Arc::new(tokio::sync::Semaphore::new(MOST));
    loop {
        let Ok(turn) = std::sync::Arc::clone(&turns).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, remote)) => {
                let events = events.clone();
                tokio::spawn(async move {
                    if read(stream, key, &events).await.is_none() {
                        tracing::warn!(%remote, "a link was closed: what came over it is no word of this cluster");
                    }
                    drop(turn);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a link");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Reads until the other end closes; `None`: it does not know the cluster's key.
async fn read(mut stream: TcpStream, key: [u8; 16], events: &mpsc::UnboundedSender<LinkEvent>) -> Option<()> {
    let own = clock::random().ok()?;
    let mut theirs = [0; NONCE];
    let greeted = async {
        stream.write_all(&own).await.ok()?;
        stream.read_exact(&mut theirs).await.ok()
    };
    timeout(PATIENCE, greeted).await.ok()??;
    let mut sealed = Sealed::new(&key, &own, &theirs);
    loop {
        let mut length = [0; 4];
        if stream.read_exact(&mut length).await.is_err() {
            return Some(());
        }
        let length = usize::try_from(u32::from_be_bytes(length))
            .ok()
            .filter(|length| *length <= LONGEST)?;
        let mut frame = vec![0; length];
        if stream.read_exact(&mut frame).await.is_err() {
            return Some(());
        }
        let said = sealed.open(&Bytes::from(frame))?;
        events.send(LinkEvent::Heard(said)).ok()?;
    }
}
