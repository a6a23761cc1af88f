//! This process among others: the membership ([`crate::cluster`]) performed against a store and sockets.
//!
//! Owns: the thread that asks the store, the link to the other nodes, and what waits for an owner. Refuses to decide who serves
//! what, and to hold an engine (the loop does).
//!
//! | the membership says | done here |
//! |---|---|
//! | ask the store | on a thread: a slow server holds up nobody |
//! | ping, tell | over the link |
//! | serve, fenced, released | given to the loop as [`Change`] |
//! | alarm | a log line, a metric |

mod adopt;
mod board;
mod frame;
mod join;
mod link;
mod store;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::{MediaFiles, clock};
use crate::cluster::{Alarm, Claim, Held, Input, Membership, OrderId, Output, Seal, StoreAnswer, StoreOrder, Whereto};
use crate::engine::Settings;
use crate::observe::Metrics;
use crate::sip::Message;
use crate::store::{Redis, StoredUser, Written};
use crate::transport::Flow;

pub use board::Nodes;

pub(super) use adopt::{Adoption, Estate, adopt, is_of_cluster};
pub(super) use frame::Said;
pub(super) use join::{Joined, join};
pub(super) use link::{Link, LinkEvent};
pub(super) use store::listen;

/// Messages that wait for somebody to take over; more are lost, as datagrams are.
const MOST_WAITING: usize = 4_096;
/// For how long: twice what a take-over may last.
const PATIENCE: Duration = Duration::from_secs(6);

/// How this process is one of several.
#[derive(Debug)]
pub struct ClusterOptions {
    /// What all of them share.
    pub store: Redis,
    /// Where the others connect to.
    pub link: SocketAddr,
    /// After so long without a sign of life a node is taken over from.
    pub lease: Duration,
}

/// What comes from threads and tasks.
pub(super) enum News {
    /// The store has answered, or not.
    Store(OrderId, Option<StoreAnswer>),
    /// A number is ready to be served.
    Ready(Box<Adoption>),
    /// It cannot be served here.
    Unready(Held),
    /// Other nodes changed these registrations just now (`true`), or keep them.
    Users(Vec<StoredUser>, bool),
    /// The writer of this number's records tells.
    Written(Held, Written),
}

/// What the loop is to do with its engines.
#[derive(Debug)]
pub(super) enum Change {
    Serve {
        held: Held,
        home: bool,
        from: Option<Claim>,
    },
    /// The same engine under another token; everything is to be kept once more.
    Again {
        held: Held,
    },
    Drop {
        held: Held,
        fenced: bool,
    },
}

/// Where a message is to be handled.
pub(super) enum Owner {
    Home,
    Adopted(u16),
    /// Over the link, or kept for a moment: nothing to do.
    Elsewhere,
}

/// This process among the others.
pub(super) struct Cluster {
    membership: Membership,
    seal: Seal,
    pub(super) store: Redis,
    orders: Sender<(OrderId, StoreOrder)>,
    link: Link,
    waiting: VecDeque<(Instant, Flow, Bytes, bool)>,
    changes: VecDeque<Change>,
    ours: Vec<SocketAddr>,
    metrics: Arc<Metrics>,
    board: Nodes,
    pub(super) settings: Settings,
    /// The newest configuration, if there was one since the start.
    pub(super) reloaded: Option<Settings>,
    pub(super) files: MediaFiles,
    pub(super) confirmed: bool,
    pub(super) news: mpsc::UnboundedSender<News>,
}

impl Cluster {
    pub(super) fn new(
        joined: Joined,
        settings: Settings,
        metrics: Arc<Metrics>,
        link: Link,
        (files, confirmed, board): (MediaFiles, bool, Nodes),
        news: mpsc::UnboundedSender<News>,
    ) -> std::io::Result<Cluster> {
        let orders = store::start(joined.store.of(None, joined.holder), news.clone())?;
        let mut ours: Vec<SocketAddr> = settings.listeners.iter().map(|listener| listener.address).collect();
        ours.extend(settings.listeners.iter().map(|listener| listener.advertised));
        Ok(Cluster {
            membership: joined.membership,
            seal: settings.seal(),
            store: joined.store,
            orders,
            link,
            waiting: VecDeque::new(),
            changes: VecDeque::new(),
            ours,
            metrics,
            board,
            settings,
            reloaded: None,
            files,
            confirmed,
            news,
        })
    }

    pub(super) fn holder(&self) -> u64 {
        self.membership.me().holder.0
    }

    /// Whether a number is served here, under this token.
    pub(super) fn serves(&self, held: Held) -> bool {
        self.membership.held().any(|own| own == held)
    }

    /// Whether any message waits for an owner.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let patience = self.waiting.front().map(|(since, ..)| *since + PATIENCE);
        self.membership.poll_timeout().into_iter().chain(patience).min()
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.membership.handle_timeout(now);
        while let Some((since, ..)) = self.waiting.front()
            && *since + PATIENCE <= now
        {
            self.waiting.pop_front();
            self.metrics.cluster.lost();
        }
        self.pump(now);
    }

    pub(super) fn tell(&mut self, now: Instant, input: Input) {
        self.membership.handle_input(now, input);
        self.pump(now);
    }

    /// The next thing to do with an engine.
    pub(super) fn next_change(&mut self) -> Option<Change> {
        self.changes.pop_front()
    }

    /// What waited for an owner and may have one now.
    pub(super) fn take_waiting(&mut self) -> Vec<(Instant, Flow, Bytes, bool)> {
        std::mem::take(&mut self.waiting).into()
    }

    fn pump(&mut self, _now: Instant) {
        while let Some(output) = self.membership.poll_output() {
            match output {
                Output::Store { id, order } => {
                    self.orders.send((id, order)).ok(); // the thread ends only after us
                }
                Output::Ping { held, link } => {
                    let said = Said::Ping {
                        node: held.node,
                        token: held.token,
                        reply: self.membership.me().link,
                    };
                    self.link.say(link, said).ok(); // silence is an answer, too
                }
                Output::Serve { held, home, from } => self.changes.push_back(Change::Serve { held, home, from }),
                Output::Reclaimed(held) => self.changes.push_back(Change::Again { held }),
                Output::Fenced(held) => self.changes.push_back(Change::Drop { held, fenced: true }),
                Output::Released(held) => self.changes.push_back(Change::Drop { held, fenced: false }),
                Output::Tell(claim) => {
                    let peers: Vec<SocketAddr> = self.peers();
                    for peer in peers {
                        self.link.say(peer, Said::Tell(claim.clone())).ok(); // the store tells it as well
                    }
                }
                Output::Alarm(alarm) => self.alarm(&alarm),
            }
        }
        self.board.note(&self.membership);
        self.metrics.cluster.set(
            self.membership.held().count() as u64,
            self.peers().len() as u64,
            self.waiting.len() as u64,
        );
    }

    fn peers(&self) -> Vec<SocketAddr> {
        let mut peers: Vec<SocketAddr> = self
            .membership
            .others()
            .filter_map(|claim| Some(claim.card.as_ref()?.link))
            .collect();
        peers.sort_unstable();
        peers.dedup();
        peers
    }

    fn alarm(&self, alarm: &Alarm) {
        match alarm {
            Alarm::StoreUnreachable => {
                self.metrics.cluster.set_store_up(false);
                tracing::error!("store_unreachable: calls go on, and nobody is taken over");
            }
            Alarm::StoreForgot(held) => tracing::error!(node = held.node, "store_forgot: it came back empty"),
            Alarm::StoreSlow { trip } => tracing::warn!(?trip, "store_slow"),
            Alarm::StoreBack { after } => {
                self.metrics.cluster.set_store_up(true);
                tracing::info!(?after, "store_back");
            }
            Alarm::PoolExhausted => tracing::error!("every node number is taken: no new calls here"),
        }
    }

    /// Who handles a message. One that belongs to another process goes there at once; one whose owner nobody knows waits.
    pub(super) fn owner(&mut self, now: Instant, flow: Flow, bytes: &Bytes, by_link: bool) -> Owner {
        let Ok(message) = Message::parse(bytes.clone()) else {
            return Owner::Home;
        };
        match self.membership.whereto(&self.seal, &message, by_link) {
            Whereto::Home => Owner::Home,
            Whereto::Here(node) if self.membership.home().is_some_and(|home| home.node == node) => Owner::Home,
            Whereto::Here(node) => Owner::Adopted(node),
            Whereto::Peer { link, .. } => {
                let bytes = bytes.clone();
                match self.link.say(link, Said::Arrived { flow, bytes }) {
                    Ok(()) => self.metrics.cluster.forwarded(),
                    Err(_) => self.metrics.cluster.lost(),
                }
                Owner::Elsewhere
            }
            Whereto::Wait(_) => {
                self.wait(now, flow, bytes.clone(), by_link);
                Owner::Elsewhere
            }
            Whereto::Nobody(node) => {
                self.tell(now, Input::Missed { node });
                Owner::Home
            }
        }
    }

    /// Keeps a message until somebody serves its number.
    pub(super) fn wait(&mut self, since: Instant, flow: Flow, bytes: Bytes, by_link: bool) {
        if self.waiting.len() >= MOST_WAITING {
            self.metrics.cluster.lost();
            return;
        }
        self.waiting.push_back((since, flow, bytes, by_link));
    }

    /// Has another process send what leaves by its sockets; gives it back when it is to leave by ours.
    pub(super) fn send_elsewhere(&mut self, flow: Flow, bytes: Bytes) -> Result<(), Bytes> {
        if self.ours.contains(&flow.local) || self.membership.has_listener(flow.local) {
            return Err(bytes);
        }
        let owner = self
            .membership
            .others()
            .find(|claim| claim.listeners.contains(&flow.local));
        let Some(link) = owner.and_then(|claim| Some(claim.card.as_ref()?.link)) else {
            return Err(bytes);
        };
        match self.link.say(link, Said::Send { flow, bytes }) {
            Ok(()) => Ok(()),
            Err(Said::Send { bytes, .. }) => Err(bytes),
            Err(_) => Ok(()),
        }
    }

    /// Says to whoever has this socket that nothing can be sent by it any more.
    pub(super) fn say_failed(&mut self, to: SocketAddr, flow: Flow) {
        self.link.say(to, Said::Failed { flow }).ok(); // its timers find out as well
    }

    /// Every other process.
    pub(super) fn everybody(&self) -> Vec<SocketAddr> {
        self.peers()
    }

    /// What a peer says of the membership.
    pub(super) fn heard(&mut self, now: Instant, said: Said) {
        match said {
            Said::Ping { node, token, reply } => {
                let mine = self.membership.held().any(|held| held == Held { node, token });
                let said = match mine {
                    true => Said::Pong { node, token },
                    false => Said::NotMine { node },
                };
                self.link.say(reply, said).ok(); // it asks again
            }
            Said::Pong { node, token } => self.tell(now, Input::PeerPinged(Held { node, token })),
            Said::NotMine { node } => self.tell(now, Input::PeerSilent { node }),
            Said::Tell(claim) => self.tell(now, Input::Told(claim)),
            // Those are the loop's.
            Said::Arrived { .. } | Said::Send { .. } | Said::Failed { .. } => {}
        }
    }

    /// What was not delivered says who is silent; messages among it wait for whoever takes over.
    pub(super) fn undelivered(&mut self, now: Instant, said: Vec<Said>) -> Vec<Flow> {
        let mut failed = Vec::new();
        for said in said {
            match said {
                Said::Ping { node, .. } => self.tell(now, Input::PeerSilent { node }),
                Said::Arrived { flow, bytes } => self.wait(now, flow, bytes, false),
                Said::Send { flow, .. } => failed.push(flow),
                Said::Pong { .. } | Said::NotMine { .. } | Said::Tell(_) | Said::Failed { .. } => {}
            }
        }
        failed
    }

    /// Gives everything up that is served here, before the process ends; waits for the store a moment.
    pub(super) fn leave(&mut self, now: Instant) {
        self.membership.handle_input(now, Input::Ending);
        let mut store = self.store.of(None, self.holder()).with_patience(Duration::from_secs(1));
        while let Some(output) = self.membership.poll_output() {
            if let Output::Store { order, .. } = output
                && matches!(order, StoreOrder::Release { .. })
                && let Err(error) = store.perform(&order)
            {
                tracing::warn!(%error, "the others find out by themselves that this node has gone");
                return;
            }
        }
    }
}

/// The present, for those that are told later.
pub(super) fn now() -> Instant {
    clock::now()
}
