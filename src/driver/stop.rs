//! How the edge ends: asked by the system, drained, and saying what was left.

use std::time::Duration;

use super::Edge;
use crate::api::CommandError;
use crate::engine::{Command, Reply, Totals};

/// Resolves at the first SIGINT or SIGTERM; says which.
pub async fn asked_to_stop() -> std::io::Result<&'static str> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => Ok("SIGINT"),
        _ = terminate.recv() => Ok("SIGTERM"),
    }
}

/// One kind of signal as it comes. From the first look on, it no longer ends the process.
#[derive(Debug)]
pub struct Signals(tokio::signal::unix::Signal);

impl Signals {
    /// SIGHUP: the configuration is to be read again.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn hangups() -> std::io::Result<Signals> {
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).map(Signals)
    }

    /// SIGUSR2: the next process is to take over.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn upgrades() -> std::io::Result<Signals> {
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::user_defined2()).map(Signals)
    }

    /// Resolves at the next one.
    pub async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending::<()>().await; // there will never be another one
        }
    }
}

/// How long requests without a call (REGISTER, OPTIONS) may still take. Transactions stay for 32 s to catch repetitions
/// (RFC 3261 §17.2.2): those are not waited for.
const GRACE: Duration = Duration::from_millis(500);

/// Stops accepting connections, waits until no call or transfer is left or `deadline` has passed, and gives what is left.
/// Calls are not hung up: their parties may find another node with their next request.
pub async fn drain(edge: &Edge, deadline: Duration) -> Result<Totals, CommandError> {
    edge.stop_accepting();
    settle(edge, deadline, |left| left.calls + left.transfers == 0).await?;
    settle(edge, GRACE.min(deadline), |left| left.transactions == 0).await
}

/// Hangs up every call, and waits a moment until their parties know.
pub async fn hang_up_all(edge: &Edge) -> Result<Totals, CommandError> {
    if let Reply::Calls(calls) = edge.handle().command(Command::Calls).await? {
        for call in calls {
            let order = Command::HangUpCall { call: call.id };
            edge.handle().command(order).await.ok(); // it may have ended by itself
        }
    }
    settle(edge, FAREWELL, |left| left.calls + left.dialogs == 0).await
}

/// For the BYEs to be answered, once more if need be (RFC 3261 §17.1.2.1: T1 is half a second).
const FAREWELL: Duration = Duration::from_secs(2);

/// Waits until `done` or for as long as `limit`.
async fn settle(edge: &Edge, limit: Duration, done: impl Fn(&Totals) -> bool) -> Result<Totals, CommandError> {
    let step = Duration::from_millis(50);
    let mut waited = Duration::ZERO;
    loop {
        let left = totals(edge).await?;
        if done(&left) || waited >= limit {
            return Ok(left);
        }
        tokio::time::sleep(step).await;
        waited += step;
    }
}

/// What lives in the engine now.
pub async fn totals(edge: &Edge) -> Result<Totals, CommandError> {
    match edge.handle().command(Command::Totals).await? {
        Reply::Totals(totals) => Ok(totals),
        Reply::Calls(_)
        | Reply::FirstCalls { .. }
        | Reply::Call(_)
        | Reply::Transfers(_)
        | Reply::Transfer(_)
        | Reply::Registrations(_)
        | Reply::Recording(_)
        | Reply::Legs(_)
        | Reply::Done => Err(CommandError::Stopped),
    }
}
