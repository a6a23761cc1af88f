//! SIGUSR2: the program that now lies on disk takes over from this process. See `driver::upgrade` for how.

use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::failure::{Failure, UNSTARTED};
use super::run::open_store;
use super::say::say;
use crate::config::Config;
use crate::driver::{Edge, HandOver, Handed, Inherited, Link};
use crate::store::StoreError;

/// In the environment of a process that takes over: its standard input is the link.
const TAKES_OVER: &str = "WARMLINE_TAKES_OVER";
/// For the new process to read its configuration and look its names up; calls go on meanwhile.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whether this process takes over from another one.
pub(super) fn is_heir() -> bool {
    std::env::var_os(TAKES_OVER).is_some()
}

/// What a process before this one passes on, if there is one. Everything that can fail by the configuration has not failed.
pub(super) fn inherit() -> Result<Option<Inherited>, Failure> {
    if !is_heir() {
        return Ok(None);
    }
    let wrong = |error: std::io::Error| {
        let what = format!("cannot take over from the process that started this one: {error}");
        Failure::new(UNSTARTED, what).hint("it goes on")
    };
    let link = std::io::stdin().as_fd().try_clone_to_owned().map_err(wrong)?;
    let inherited = Inherited::receive(Link::new(UnixStream::from(link))).map_err(wrong)?;
    Ok(Some(inherited))
}

/// Starts the program anew and hands everything over to it. An error: this process goes on as it was.
pub(super) async fn begin(
    edge: &Edge,
    config: &Config,
    (file, node): (Option<PathBuf>, u16),
    api: Option<TcpListener>,
    before: impl FnOnce(),
) -> Result<Handed, String> {
    let Some(file) = file else {
        return Err("without a configuration file there is no [store], and so nothing to take over".to_owned());
    };
    if config.store.is_none() {
        return Err("an upgrade needs a [store]: it is how calls get to the next process".to_owned());
    }
    if config.cluster.is_some() {
        return Err("within a cluster a node is stopped and started: the others take its calls over".to_owned());
    }
    let started = tokio::task::spawn_blocking(move || start(&file)).await;
    let (mut child, link) = started
        .map_err(|error| error.to_string())?
        .map_err(|error| format!("the next process has not come to be: {error}"))?;
    before();
    let (config, deadline) = (config.clone(), config.drain.upgrade);
    let reopen = move || match open_store(&config, node)? {
        Some(store) => Ok(store),
        None => Err(StoreError::Broken {
            path: String::new(),
            why: "there is none".to_owned(),
        }),
    };
    let (order, answer) = HandOver::new(link, api, reopen, deadline);
    edge.hand_over(order);
    let outcome = answer.await.unwrap_or_else(|_| Err("the engine has ended".to_owned()));
    if outcome.is_err() {
        child.kill().ok(); // it has ended by itself
        tokio::task::spawn_blocking(move || child.wait()).await.ok(); // nothing of it is of use
    }
    outcome
}

/// The program under the name that this process was started by: an upgrade has put another one there.
fn start(file: &std::path::Path) -> std::io::Result<(Child, Link)> {
    let (ours, theirs) = UnixStream::pair()?;
    let program = std::env::args_os().next().unwrap_or_else(|| "warmline".into());
    let mut child = Command::new(program)
        .args(["run", "--config"])
        .arg(file)
        .env(TAKES_OVER, "1")
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .spawn()?;
    let mut link = Link::new(ours);
    match HandOver::prepared(&mut link, PATIENCE) {
        Ok(()) => Ok((child, link)),
        Err(error) => {
            child.kill().ok(); // it has ended by itself
            child.wait().ok(); // nothing of it is of use
            Err(error)
        }
    }
}

/// Says to systemd what is going on (sd_notify(3)); elsewhere nobody listens.
pub(super) fn notify(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd does not listen");
    }
}

/// Tells what was handed over.
pub(super) fn tell(handed: &Handed) {
    let Handed { pid, calls, pause } = handed;
    let pause = pause.as_millis();
    say!("process {pid} goes on, after {pause} ms; {calls} call(s) are finished here");
    tracing::info!(pid, calls, pause_ms = pause, "handed over");
}
