//! `warmline audit`: whether an audit log is as it was written. And the log of a running edge.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::failure::{FAILED, Failure, UNSTARTED};
use super::say::say;
use crate::api::{EngineHandle, audit, rfc3339_now};
use crate::observe::Metrics;
use crate::store::{Audit, Chain};

/// Check that nobody has changed an audit log
///
/// Every line of the file carries the hash of the line before it. Prints how many there are and the last hash: note it
/// somewhere else, and lines that are cut off from the end will be missed as well. Exits with 1 at the first line that was
/// changed, taken out, put in or moved.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  warmline audit /var/lib/warmline/audit.jsonl")]
pub(super) struct Args {
    /// The file of `[audit] file`
    file: PathBuf,
}

pub(super) fn main(args: &Args) -> Result<(), Failure> {
    let path = args.file.display();
    let text = std::fs::read_to_string(&args.file).map_err(|error| Failure::new(FAILED, format!("{path}: {error}")))?;
    let chain = Chain::of(&text).map_err(|broken| {
        Failure::new(FAILED, format!("{path}: {broken}")).hint("the lines before it are as they were written")
    })?;
    say!(
        "{path}: {} lines, all as they were written; the last hash is {}",
        chain.number(),
        chain.last()
    );
    if !text.is_empty() && !text.ends_with('\n') {
        say!("  a last line was cut off when its process died; it is not counted");
    }
    Ok(())
}

/// The log of a running edge: the API's orders go to the sink, events follow by themselves.
pub(super) fn start(
    file: Option<&Path>,
    edge: &EngineHandle,
    metrics: &Metrics,
) -> Result<Option<audit::Sink>, Failure> {
    let Some(file) = file else { return Ok(None) };
    let log = Audit::open(file, &rfc3339_now()).map_err(|error| {
        Failure::new(UNSTARTED, error).hint("move the file away to begin a new one; `warmline audit FILE` checks it")
    })?;
    metrics.set_audit_lost(log.lost());
    let sink: audit::Sink = Arc::new(move |entry| log.note(rfc3339_now(), entry));
    sink(serde_json::json!({"what": "started", "version": env!("CARGO_PKG_VERSION")}));
    tokio::spawn(audit::note_events(edge.log(), Arc::clone(&sink)));
    Ok(Some(sink))
}
