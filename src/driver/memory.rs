//! What the process takes from the one before it, and leaves to the next.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::bind::StartError;
use super::clock;
use super::cluster::Joined;
use crate::engine::{NoteKind, Process, Settings};
use crate::observe::Metrics;
use crate::store::{Identity, Store, Stored, Told, Writer, Written};

/// What was kept, and who keeps on keeping.
pub(super) struct Kept {
    pub(super) records: Vec<Stored>,
    /// Call records of the process before this one; `None`: there is no store.
    pub(super) calls: Option<Vec<String>>,
    /// What the API keeps, by key.
    pub(super) notes: BTreeMap<String, String>,
    pub(super) writer: Option<Writer>,
    /// Messages wait until the store has what led to them, which is told here.
    pub(super) confirmed: bool,
    pub(super) committed: mpsc::UnboundedReceiver<u64>,
    /// The other end, for a writer that is started later.
    pub(super) commit: mpsc::UnboundedSender<u64>,
    /// Connections are numbered from here: a sealed flow of an earlier process must not name one of this process.
    pub(super) first_connection: u64,
}

/// As [`recall`]; of a process among others the records come from its home number.
pub(super) fn recall_with(
    settings: &mut Settings,
    store: Option<Box<dyn Store>>,
    joined: Option<Joined>,
    confirmed: bool,
    metrics: &Arc<Metrics>,
) -> Result<(Kept, Option<Joined>), StartError> {
    let mut kept = recall(settings, store, confirmed, metrics)?;
    if let Some(joined) = &joined {
        let Sorted { records, calls, notes } = sorted(joined.store.of(Some(joined.home), joined.holder).records()?);
        (kept.records, kept.calls, kept.notes) = (records, Some(calls), notes);
        kept.confirmed = confirmed;
    }
    Ok((kept, joined))
}

/// Makes this process different from every other one; with a store, gives it the key of the one before it.
pub(super) fn recall(
    settings: &mut Settings,
    store: Option<Box<dyn Store>>,
    confirmed: bool,
    metrics: &Arc<Metrics>,
) -> Result<Kept, StartError> {
    let system = |what| move |source| StartError::System { what, source };
    let dice = clock::random().map_err(system("random numbers"))?;
    let started = clock::wall().duration_since(std::time::UNIX_EPOCH);
    settings.process = Process {
        seed: dice
            .iter()
            .fold(0, |seed: u64, octet| seed.rotate_left(8) ^ u64::from(*octet)),
        started: started.ok().map(|since| since.as_secs()),
    };
    // Room for 2^63 connections before it wraps.
    let first_connection = (settings.process.seed >> 1).max(1);
    let (sender, committed) = mpsc::unbounded_channel();
    let Some(mut store) = store else {
        return Ok(Kept {
            records: Vec::new(),
            calls: None,
            notes: BTreeMap::new(),
            writer: None,
            confirmed: false,
            committed,
            commit: sender,
            first_connection,
        });
    };
    let identity = store.identity(Identity {
        key: settings.key,
        node: settings.node,
    })?;
    settings.key = identity.key;
    let Sorted { records, calls, notes } = sorted(store.records()?);
    let journal = store.journal()?;
    let commit = sender.clone();
    let told = written_to(sender, metrics);
    let writer = Writer::start(store, journal, told).map_err(system("a thread"))?;
    tracing::info!(records = records.len(), "read from the store");
    Ok(Kept {
        records,
        calls: Some(calls),
        notes,
        writer: Some(writer),
        confirmed,
        committed,
        commit,
        first_connection,
    })
}

/// What a writer tells goes to the loop, and to the metrics.
pub(super) fn written_to(sender: mpsc::UnboundedSender<u64>, metrics: &Arc<Metrics>) -> Told {
    let counted = Arc::clone(metrics);
    Box::new(move |written| match written {
        Written::UpTo(number) => {
            sender.send(number).ok(); // an edge that has ended waits for nothing
        }
        Written::Failing => counted.cluster.set_store_up(false),
        Written::Again => counted.cluster.set_store_up(true),
        // A store that is fenced belongs to a cluster, and the cluster starts the writers of its own.
        Written::Fenced { .. } => {}
    })
}

/// What a store has kept, by who wants it back.
pub(super) struct Sorted {
    /// The engine.
    pub(super) records: Vec<Stored>,
    /// The call records.
    pub(super) calls: Vec<String>,
    /// The API.
    pub(super) notes: BTreeMap<String, String>,
}

/// Gives everybody what is his.
pub(super) fn sorted(all: Vec<Stored>) -> Sorted {
    let (mut records, mut calls, mut notes) = (Vec::new(), Vec::new(), BTreeMap::new());
    for record in all {
        match record {
            Stored::Note(NoteKind::Record, _, text) => calls.extend(text),
            Stored::Note(NoteKind::Api, key, text) => drop(text.map(|text| notes.insert(key.into(), text))),
            record @ (Stored::User(_)
            | Stored::Leg(..)
            | Stored::Call(..)
            | Stored::Transfer(..)
            | Stored::Hub(..)
            | Stored::Ringing(..)
            | Stored::Ban(..)) => records.push(record),
        }
    }
    Sorted { records, calls, notes }
}
