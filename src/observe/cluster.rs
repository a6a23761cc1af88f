//! What is counted of a node among others.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters and gauges of store and cluster; without either they stay as they begin.
#[derive(Debug)]
pub struct ClusterMetrics {
    store_up: AtomicU64,
    store_waiting: AtomicU64,
    store_dropped: AtomicU64,
    numbers: AtomicU64,
    peers: AtomicU64,
    waiting: AtomicU64,
    adopted: AtomicU64,
    adopted_legs: AtomicU64,
    fenced: AtomicU64,
    forwarded: AtomicU64,
    lost: AtomicU64,
}

impl Default for ClusterMetrics {
    fn default() -> ClusterMetrics {
        let zero = || AtomicU64::new(0);
        ClusterMetrics {
            store_up: AtomicU64::new(1),
            store_waiting: zero(),
            store_dropped: zero(),
            numbers: zero(),
            peers: zero(),
            waiting: zero(),
            adopted: zero(),
            adopted_legs: zero(),
            fenced: zero(),
            forwarded: zero(),
            lost: zero(),
        }
    }
}

impl ClusterMetrics {
    /// Whether the store does what it is asked.
    pub fn set_store_up(&self, up: bool) {
        self.store_up.store(u64::from(up), Ordering::Relaxed);
    }

    /// Rows that wait for the store, and those that were given up since the start.
    pub fn set_store(&self, waiting: u64, dropped: u64) {
        self.store_waiting.store(waiting, Ordering::Relaxed);
        self.store_dropped.store(dropped, Ordering::Relaxed);
    }

    /// Node numbers that are served, other processes that are known, messages that wait for an owner.
    pub fn set(&self, numbers: u64, peers: u64, waiting: u64) {
        self.numbers.store(numbers, Ordering::Relaxed);
        self.peers.store(peers, Ordering::Relaxed);
        self.waiting.store(waiting, Ordering::Relaxed);
    }

    /// A number with so many legs was taken over.
    pub fn adopted(&self, legs: u64) {
        self.adopted.fetch_add(1, Ordering::Relaxed);
        self.adopted_legs.fetch_add(legs, Ordering::Relaxed);
    }

    /// A number of ours was taken over by somebody else.
    pub fn fenced(&self) {
        self.fenced.fetch_add(1, Ordering::Relaxed);
    }

    /// A message went to its owner over the link.
    pub fn forwarded(&self) {
        self.forwarded.fetch_add(1, Ordering::Relaxed);
    }

    /// A message found no owner in time.
    pub fn lost(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
    }

    /// Name, kind, meaning and value of each.
    pub(super) fn families(&self) -> [(&'static str, &'static str, &'static str, u64); 11] {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        [
            (
                "warmline_store_up",
                "gauge",
                "Whether the store takes what it is given.",
                read(&self.store_up),
            ),
            (
                "warmline_store_waiting",
                "gauge",
                "Rows that wait for the store.",
                read(&self.store_waiting),
            ),
            (
                "warmline_store_dropped_total",
                "counter",
                "Rows given up because too many waited.",
                read(&self.store_dropped),
            ),
            (
                "warmline_cluster_numbers",
                "gauge",
                "Node numbers that are served here.",
                read(&self.numbers),
            ),
            (
                "warmline_cluster_peers",
                "gauge",
                "Other processes of the cluster.",
                read(&self.peers),
            ),
            (
                "warmline_cluster_waiting",
                "gauge",
                "Messages that wait for an owner.",
                read(&self.waiting),
            ),
            (
                "warmline_cluster_adopted_total",
                "counter",
                "Node numbers taken over.",
                read(&self.adopted),
            ),
            (
                "warmline_cluster_adopted_legs_total",
                "counter",
                "Legs taken over with them.",
                read(&self.adopted_legs),
            ),
            (
                "warmline_cluster_fenced_total",
                "counter",
                "Node numbers lost to another process.",
                read(&self.fenced),
            ),
            (
                "warmline_cluster_forwarded_total",
                "counter",
                "Messages that went to their owner over the link.",
                read(&self.forwarded),
            ),
            (
                "warmline_cluster_lost_total",
                "counter",
                "Messages that found no owner.",
                read(&self.lost),
            ),
        ]
    }
}
