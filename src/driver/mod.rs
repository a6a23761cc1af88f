//! The shell around the engine: sockets, connections, clocks, signals. The only asynchronous code below the API.
//!
//! Owns: one thread with the [`Engine`] and every socket, so that a message crosses no thread between the kernel and
//! its answer; the clock that the engine is told; opening and reuse of connections; the way out.
//!
//! Refuses: to understand a message (a stream is only cut), and to decide anything that a protocol decides.
//!
//! RFC sections: 3261 §18 (transport), 5626 §4.4 (keepalive), limits of streams.
//!
//! | the engine says | the driver does |
//! |---|---|
//! | transmit on a UDP flow | sends from the listener that the flow names |
//! | transmit on a connection | queues there; gone or full: [`Input::FlowFailed`] |
//! | transmit on connection 0 | takes the newest connection to that address, or opens one; failed: [`Input::FlowFailed`] with 0 |
//! | media | gives the order to the media thread, and its events back to the engine |
//! | event | counts it, numbers and dates it, shows it to readers |
//! | reply | gives it to whoever asked |
//!
//! [`Input::FlowFailed`]: crate::engine::Input::FlowFailed
//!
//! ```
//! use warmline::driver::{Edge, Options};
//! use warmline::engine::{Command, Settings};
//!
//! let settings = Settings::loopback("127.0.0.1:0".parse().unwrap());
//! let edge = Edge::start(settings, Options::default()).unwrap();
//! let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
//! assert!(runtime.block_on(edge.handle().command(Command::Calls)).is_ok());
//! edge.stop();
//! ```

mod adopted;
mod bind;
mod clock;
mod cluster;
mod dns;
mod dtls_certificate;
mod handing;
mod held;
mod isolate;
mod ladders;
mod media;
mod memory;
mod names;
mod page;
mod probe;
mod records;
mod refusals;
mod resolve;
mod run;
mod stop;
mod stream;
mod streams;
mod tap;
mod tls;
mod trust;
mod upgrade;
mod websocket;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{mpsc, watch};

pub use bind::{StartError, bind_hint};
pub use cluster::{ClusterOptions, Nodes};
pub use dtls_certificate::{DtlsCertificateError, dtls_certificate};
pub use ladders::Ladders;
pub use media::{MediaFiles, MediaOptions, MediaThread};
pub use records::{CallRecords, RecordOptions};
pub use resolve::{options, resolve};
pub use stop::{Signals, asked_to_stop, drain, hang_up_all, totals};
pub use stream::StreamLimits;
pub use tap::{Tap, Tapped};
pub use tls::{KeyFiles, TlsOptions};
pub use upgrade::{HandOver, Handed, Inherited, Link};
#[doc(hidden)]
pub use websocket::websocket_limits;

use crate::api::softphone::Site;
use crate::api::{EngineHandle, EventLog, Notes, Sounds};
use crate::engine::{Engine, Listener, Plugin, Settings};
use crate::observe::{LadderLimits, Metrics};
use crate::store::Store;
use crate::transport::Transport;
use bind::Bound;
use records::RecordMaker;
use run::{Parts, Phase};
use stream::Door;
use tls::Acceptor;
use trust::{Connector, SharedTrust, Trust};
use websocket::Origins;

/// The time and dice that the rest of the shell (command line, demo) shares with the driver.
pub(crate) use clock::{now, random};

/// How an edge is driven; the default is right for a server.
#[derive(Debug, Default)]
pub struct Options {
    /// A copy of every message goes here.
    pub tap: Option<Tap>,
    /// How patient we are with streams.
    pub streams: StreamLimits,
    /// Ladders of the last calls; `None`: not kept.
    pub ladders: Option<LadderLimits>,
    /// Call records.
    pub records: RecordOptions,
    /// What outlives the process; `None`: nothing.
    pub store: Option<Box<dyn Store>>,
    /// How this process is one of several, which share a store; in place of `store`.
    pub cluster: Option<ClusterOptions>,
    /// Messages wait until the store has what led to them.
    pub confirmed: bool,
    /// Certificates and trust.
    pub tls: TlsOptions,
    /// Name servers for what is looked up while the edge runs; empty: those of the system.
    pub name_servers: Vec<SocketAddr>,
    /// What single listeners have of their own, in the order of the settings' listeners; it may be shorter.
    pub listeners: Vec<ListenerOptions>,
    /// The softphone page at `ws` and `wss` listeners; `None`: not served.
    pub softphone: Option<SoftphoneOptions>,
    /// Prompts and recordings.
    pub media: MediaFiles,
    /// What a process before this one has passed on.
    pub inherited: Option<Inherited>,
    /// Site policy of the embedding host.
    pub plugin: Option<Box<dyn Plugin>>,
}

/// What the softphone page is told beyond what the listeners say.
#[derive(Clone, Debug, Default)]
pub struct SoftphoneOptions {
    /// WebSocket URLs that stand for the listeners', where a reverse proxy is in front.
    pub servers: Vec<String>,
}

/// What one listener has of its own.
#[derive(Clone, Debug, Default)]
pub struct ListenerOptions {
    /// Its certificate; `None`: that of all.
    pub identity: Option<KeyFiles>,
    /// Authorities: only who shows a certificate of theirs is let in. `None`: everybody.
    pub client_ca: Option<PathBuf>,
    /// Whose pages may open a WebSocket (RFC 6455 §10.2). Empty: any page on loopback, elsewhere those from our own host.
    pub origins: Vec<String>,
}

/// What connections to each listener must do; read whole before a port is bound.
fn doors(settings: &Settings, options: &Options) -> Result<Vec<Door>, StartError> {
    let nothing = ListenerOptions::default();
    let door = |(at, listener): (usize, &Listener)| {
        let own = options.listeners.get(at).unwrap_or(&nothing);
        let tls = match listener.transport {
            Transport::Tls | Transport::Wss => Some(Acceptor::new(certificate_of(own, options, settings)?)),
            Transport::Udp | Transport::Tcp | Transport::Ws => None,
        };
        let origins = match listener.address.ip().is_loopback() {
            _ if !own.origins.is_empty() => Origins::Listed(own.origins.clone().into()),
            true => Origins::Any,
            false => Origins::Same,
        };
        Ok(Door {
            transport: listener.transport,
            local: listener.address,
            tls,
            origins,
            site: None,
        })
    };
    settings.listeners.iter().enumerate().map(door).collect()
}

/// Whether certificates and trust can be used, as [`Edge::start`] would: for those who must know before they stop anything.
///
/// # Errors
/// What [`Edge::start`] would say.
pub fn check(settings: &Settings, options: &Options) -> Result<(), StartError> {
    doors(settings, options)?;
    Connector::new(&options.tls, settings).map(drop)
}

fn certificate_of(
    own: &ListenerOptions,
    options: &Options,
    settings: &Settings,
) -> Result<tokio_rustls::TlsAcceptor, StartError> {
    tls::acceptor(own.identity.as_ref(), own.client_ca.as_deref(), &options.tls, settings)
}

/// A running edge. Dropping it stops it.
#[derive(Debug)]
pub struct Edge {
    handle: EngineHandle,
    listeners: Vec<Listener>,
    metrics: Arc<Metrics>,
    ladders: Option<Ladders>,
    nodes: Nodes,
    records: CallRecords,
    site: Option<Arc<Site>>,
    phase: watch::Sender<Phase>,
    reloads: mpsc::UnboundedSender<Settings>,
    hand_overs: mpsc::UnboundedSender<HandOver>,
    /// What listeners show, by the listener's number; and what our own connections do.
    acceptors: Vec<(usize, Acceptor)>,
    trust: SharedTrust,
    thread: Option<JoinHandle<()>>,
}

impl Edge {
    /// Binds every listener and starts the engine's thread. On error nothing is left running.
    pub fn start(mut settings: Settings, mut options: Options) -> Result<Edge, StartError> {
        let doors = doors(&settings, &options)?;
        let connector = Connector::new(&options.tls, &settings)?;
        let mut inherited = options.inherited.take();
        let bound = bind::bind(&mut settings.listeners, inherited.as_mut())?;
        let trust = connector.trust();
        let acceptors = doors.iter().enumerate();
        let acceptors = acceptors
            .filter_map(|(at, door)| Some((at, door.tls.clone()?)))
            .collect();
        let dns = dns::Dns::new(&options.name_servers, settings.lookup_timeout);
        let Options {
            tap,
            streams: limits,
            ladders,
            records,
            store,
            cluster,
            confirmed,
            softphone,
            media,
            plugin,
            ..
        } = options;
        let metrics = Arc::new(Metrics::new());
        let sockets = inherited.as_mut().map(Inherited::media).unwrap_or_default();
        let media_files = media.clone();
        let (media, heard) = media::wire(&mut settings, media, &metrics, sockets)?;
        // The ports are known by now.
        let site = softphone
            .map(|SoftphoneOptions { servers }| Arc::new(Site::new(&settings.domain, &settings.listeners, &servers)));
        let ladders = ladders.map(Ladders::new);
        let written = ladders.clone();
        let files = media_files;
        let nodes = Nodes::default();
        let board = nodes.clone();
        let joined = cluster
            .map(|options| cluster::join(&mut settings, options))
            .transpose()?;
        let (mut kept, joined) = memory::recall_with(&mut settings, store, joined, confirmed, &metrics)?;
        let linked = joined.map(|joined| Ok((std::net::TcpListener::bind(joined.link())?, joined)));
        let linked = linked
            .transpose()
            .map_err(|source: std::io::Error| StartError::System {
                what: "the link of the cluster",
                source,
            })?;
        let keeps = kept.calls.is_some();
        let maker = RecordMaker::start(&records, &metrics, kept.calls.take())?;
        let records = maker.records();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|source| StartError::System {
                what: "an event loop",
                source,
            })?;
        let Bound { udp, streams } = bound;
        let (udp, doors) = {
            let _context = runtime.enter();
            let system = |source| StartError::System {
                what: "a socket",
                source,
            };
            let udp = udp
                .into_iter()
                .map(|(listener, socket)| Ok((listener, UdpSocket::from_std(socket)?)));
            let mut open = Vec::new();
            for (at, socket) in streams {
                if let (Some(door), Some(listener)) = (doors.get(at), settings.listeners.get(at)) {
                    let door = Door {
                        local: listener.address,
                        site: site.clone(),
                        ..door.clone()
                    };
                    open.push((door, TcpListener::from_std(socket).map_err(system)?));
                }
            }
            (udp.collect::<Result<_, _>>().map_err(system)?, open)
        };
        let listeners = settings.listeners.clone();
        let events = Arc::new(EventLog::new());
        let (handle, orders) = EngineHandle::new(Arc::clone(&events));
        let (sounds, made) = Sounds::new();
        let (notes, noted) = match keeps {
            true => Notes::new(std::mem::take(&mut kept.notes)),
            false => (Notes::default(), mpsc::unbounded_channel().1),
        };
        let handle = handle.with_sounds(sounds).with_notes(notes);
        let (phase, watched) = watch::channel(Phase::Serving);
        let (reloads, reloaded) = mpsc::unbounded_channel();
        let (hand_overs, handed_over) = mpsc::unbounded_channel();
        let counted = Arc::clone(&metrics);
        let (asked, told) = (settings.clone(), Arc::clone(&metrics));
        let serve = move || {
            let now = clock::now();
            let cluster = linked.and_then(|(listener, joined)| {
                let _context = runtime.enter();
                adopted::among(
                    joined,
                    listener,
                    settings.clone(),
                    &counted,
                    (
                        (files, confirmed, board),
                        doors.iter().map(|(door, _)| door.clone()).collect(),
                    ),
                    &mut kept,
                )
            });
            let engine = Engine::new(settings, now);
            let engine = if kept.writer.is_some() {
                engine.keeping(now)
            } else {
                engine
            };
            let engine = match plugin {
                Some(plugin) => engine.with_boxed_plugin(plugin),
                None => engine,
            };
            let parts = Parts {
                engine,
                udp,
                doors,
                connector,
                dns,
                orders,
                noted,
                phase: watched,
                reloaded,
                handed_over,
                heir: inherited.map(Inherited::heir),
                events,
                metrics: counted,
                tap,
                limits,
                kept,
                ladders: written,
                records: maker,
                media,
                heard,
                sounds: media::SoundBox::new(made),
                cluster,
            };
            runtime.spawn(probe::ask(asked, told));
            runtime.block_on(run::run(parts));
        };
        let thread = std::thread::Builder::new()
            .name("warmline-engine".to_owned())
            .spawn(serve);
        let thread = thread.map_err(|source| StartError::System {
            what: "a thread",
            source,
        })?;
        Ok(Edge {
            handle,
            listeners,
            metrics,
            ladders,
            nodes,
            records,
            site,
            phase,
            reloads,
            hand_overs,
            acceptors,
            trust,
            thread: Some(thread),
        })
    }

    /// Gives orders to the engine and reads its events.
    pub fn handle(&self) -> &EngineHandle {
        &self.handle
    }

    /// Where it listens; port 0 has become the port that the system chose.
    pub fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    /// What has been counted.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// What was said in the last calls, where that is kept.
    pub fn ladders(&self) -> Option<&Ladders> {
        self.ladders.as_ref()
    }

    /// The nodes of the cluster, as this one sees them.
    pub fn nodes(&self) -> &Nodes {
        &self.nodes
    }

    /// One record for each customer's call.
    pub fn records(&self) -> &CallRecords {
        &self.records
    }

    /// The softphone page, where it is served.
    pub fn softphone(&self) -> Option<&Arc<Site>> {
        self.site.as_ref()
    }

    /// Gives the engine other settings while calls go on; [`Input::Reloaded`] says which of them it takes over.
    ///
    /// [`Input::Reloaded`]: crate::engine::Input::Reloaded
    pub fn reload(&self, settings: Settings) {
        self.reloads.send(settings).ok(); // an edge that has ended needs no settings
    }

    /// Reads certificates, keys and authorities again. Connections from now on are made with them, those that are up stay
    /// as they are. Which files they are is what [`Edge::start`] was told.
    ///
    /// # Errors
    /// When one of them cannot be used; nothing is exchanged then.
    pub fn reload_certificates(&self, settings: &Settings, options: &Options) -> Result<(), StartError> {
        let nothing = ListenerOptions::default();
        let mut fresh = Vec::new();
        for (at, acceptor) in &self.acceptors {
            let own = options.listeners.get(*at).unwrap_or(&nothing);
            let named = own.identity.is_some() || options.tls.identity.is_some() || options.tls.state.is_some();
            // One that lives in memory only has no file to be read again.
            if named {
                fresh.push((acceptor, certificate_of(own, options, settings)?));
            }
        }
        self.trust.replace(Trust::read(&options.tls)?);
        for (acceptor, new) in fresh {
            acceptor.replace(new);
        }
        Ok(())
    }

    /// Hands everything over to another process; what comes of it is told by the answer that came with the order. When it
    /// was done, [`Edge::ended`] says when what could not be handed over is finished, too.
    pub fn hand_over(&self, order: HandOver) {
        self.hand_overs.send(order).ok(); // an edge that has ended has nothing to give
    }

    /// Takes no more connections and no more calls; everything else goes on.
    pub fn stop_accepting(&self) {
        self.metrics.set_draining();
        self.phase.send_replace(Phase::Draining);
    }

    /// Resolves when the engine's thread has ended. It ends by [`Edge::stop`], and some time after [`Edge::hand_over`];
    /// anything else is a defect.
    pub async fn ended(&self) {
        self.phase.closed().await;
    }

    /// Stops, and waits until every socket is closed.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.phase.send_replace(Phase::Stopped);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the engine's thread panicked");
        }
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests;
