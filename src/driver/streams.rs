//! All connections: who is connected, which connection serves an address, and how many a source may have.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::stream::{self, Door, Events, StreamEvent, StreamLimits};
use super::trust::Connector;
use crate::transport::locate::Found;
use crate::transport::{Flow, Transport, source_of};

/// Messages that may wait for a connection to take them; one that is further behind is given up.
const QUEUE: usize = 256;

/// For the last messages to be written when the edge stops.
const FAREWELL: Duration = Duration::from_millis(200);

struct Connection {
    flow: Flow,
    outgoing: mpsc::Sender<Bytes>,
    /// Whether it counts against its source: connections that we opened do not.
    accepted: bool,
    /// The flow with connection 0 by which the engine used it, if it did.
    used_as: Option<Flow>,
    task: JoinHandle<()>,
}

/// The table of connections. Lives in the engine's loop.
pub(super) struct Streams {
    connections: HashMap<u64, Connection>,
    /// The newest connection to an address.
    by_remote: HashMap<(Transport, SocketAddr), u64>,
    by_source: HashMap<IpAddr, usize>,
    next: u64,
    events: Events,
    limits: StreamLimits,
    connector: Connector,
    acceptors: Vec<JoinHandle<()>>,
    listening: Vec<(Door, Arc<TcpListener>)>,
}

impl Streams {
    pub(super) fn new(events: Events, limits: StreamLimits, connector: Connector, first: u64) -> Streams {
        Streams {
            connections: HashMap::new(),
            by_remote: HashMap::new(),
            by_source: HashMap::new(),
            // A sealed flow of an earlier process names no connection of this one.
            next: first,
            events,
            limits,
            connector,
            acceptors: Vec::new(),
            listening: Vec::new(),
        }
    }

    /// Begins to accept connections on a listener.
    pub(super) fn listen(&mut self, door: Door, listener: TcpListener) {
        let listener = Arc::new(listener);
        self.listening.push((door.clone(), Arc::clone(&listener)));
        self.accept(door, listener);
    }

    fn accept(&mut self, door: Door, listener: Arc<TcpListener>) {
        let events = self.events.clone();
        self.acceptors.push(tokio::spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, remote)) => {
                        let door = door.clone();
                        if events
                            .send(StreamEvent::Accepted { stream, door, remote })
                            .await
                            .is_err()
                        {
                            return;
                        }
                    }
                    Err(error) => {
                        // Out of descriptors, mostly: asking again at once would burn the processor.
                        tracing::warn!(local = %door.local, %error, "cannot accept a connection");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
            }
        }));
    }

    /// Whose certificate is asked for at these places (RFC 5922 §4): the name that led there.
    pub(super) fn learn_names(&mut self, found: &Found, host: &str) {
        for place in &found.places {
            if place.transport == Transport::Tls {
                self.connector.learn(place.address, host);
            }
        }
    }

    /// Accepts nothing more; what is connected stays.
    pub(super) fn stop_listening(&mut self) {
        for acceptor in self.acceptors.drain(..) {
            acceptor.abort();
        }
    }

    /// Accepts nothing until [`Streams::go_on_listening`]; copies of the sockets, for another process.
    pub(super) fn pause_listening(&mut self) -> std::io::Result<Vec<(Transport, SocketAddr, OwnedFd)>> {
        self.stop_listening();
        let copy = |(door, listener): &(Door, Arc<TcpListener>)| {
            Ok((door.transport, door.local, listener.as_fd().try_clone_to_owned()?))
        };
        self.listening.iter().map(copy).collect()
    }

    pub(super) fn go_on_listening(&mut self) {
        for (door, listener) in self.listening.clone() {
            self.accept(door, listener);
        }
    }

    /// Another process listens there now.
    pub(super) fn release_listeners(&mut self) {
        self.listening.clear();
    }

    /// All connections that carry messages.
    pub(super) fn flows(&self) -> Vec<Flow> {
        let mut flows: Vec<Flow> = self.connections.values().map(|connection| connection.flow).collect();
        flows.sort_unstable_by_key(|flow| flow.connection);
        flows
    }

    /// Lets every connection write what it was given, within a moment, and ends them all.
    pub(super) async fn finish(mut self) {
        self.stop_listening();
        let connections = std::mem::take(&mut self.connections);
        let tasks: Vec<JoinHandle<()>> = connections.into_values().map(|connection| connection.task).collect();
        let written = async {
            for task in tasks {
                task.await.ok(); // a task that was aborted has nothing more to write
            }
        };
        tokio::time::timeout(FAREWELL, written).await.ok(); // who does not take it now never will
    }

    /// Takes a connection in, unless its source has too many.
    pub(super) fn accepted(&mut self, stream: TcpStream, door: Door, remote: SocketAddr) {
        let count = self.by_source.entry(source_of(remote.ip())).or_default();
        if *count >= self.limits.per_source {
            tracing::warn!(source = %remote.ip(), limit = self.limits.per_source, "too many connections from one source");
            return;
        }
        *count += 1;
        let flow = self.flow(door.transport, door.local, remote);
        let (outgoing, queue) = mpsc::channel(QUEUE);
        let events = self.events.clone();
        let task = tokio::spawn(stream::serve(stream, door, flow, queue, events, self.limits));
        self.insert(Connection {
            flow,
            outgoing,
            accepted: true,
            used_as: None,
            task,
        });
    }

    /// Sends a message by its connection, or by any to its address, opened if there is none. `Err` gives the flows that
    /// have failed.
    pub(super) fn send(&mut self, flow: Flow, bytes: Bytes) -> Result<(), Vec<Flow>> {
        let id = match flow.connection {
            0 => match self.by_remote.get(&(flow.transport, flow.remote)) {
                Some(id) => *id,
                None => self.open(flow),
            },
            id => id,
        };
        let Some(connection) = self.connections.get_mut(&id) else {
            return Err(vec![flow]);
        };
        if flow.connection == 0 {
            connection.used_as = Some(flow);
        }
        match connection.outgoing.try_send(bytes) {
            Ok(()) => Ok(()),
            Err(_) => {
                connection.task.abort();
                Err(self.closed(id))
            }
        }
    }

    /// Forgets a connection; gives the flows that the engine knew it by.
    pub(super) fn closed(&mut self, id: u64) -> Vec<Flow> {
        let Some(connection) = self.connections.remove(&id) else {
            return Vec::new();
        };
        let Flow { transport, remote, .. } = connection.flow;
        if self.by_remote.get(&(transport, remote)) == Some(&id) {
            self.by_remote.remove(&(transport, remote));
        }
        if connection.accepted {
            self.release(source_of(remote.ip()));
        }
        [Some(connection.flow), connection.used_as]
            .into_iter()
            .flatten()
            .collect()
    }

    fn release(&mut self, source: IpAddr) {
        if let Some(count) = self.by_source.get_mut(&source) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.by_source.remove(&source);
            }
        }
    }

    fn open(&mut self, wanted: Flow) -> u64 {
        let flow = self.flow(wanted.transport, wanted.local, wanted.remote);
        let (outgoing, queue) = mpsc::channel(QUEUE);
        let (connector, events) = (self.connector.clone(), self.events.clone());
        let task = tokio::spawn(stream::open(flow, connector, queue, events, self.limits));
        self.insert(Connection {
            flow,
            outgoing,
            accepted: false,
            used_as: Some(wanted),
            task,
        })
    }

    fn flow(&mut self, transport: Transport, local: SocketAddr, remote: SocketAddr) -> Flow {
        let connection = self.next;
        self.next += 1;
        Flow {
            transport,
            local,
            remote,
            connection,
        }
    }

    fn insert(&mut self, connection: Connection) -> u64 {
        let id = connection.flow.connection;
        let Flow { transport, remote, .. } = connection.flow;
        self.by_remote.insert((transport, remote), id);
        self.connections.insert(id, connection);
        id
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        self.stop_listening();
    }
}
