//! How the edge ends: asked by the system, drained, and saying what was left.

use std::time::Duration;

use super::Edge;
use crate::api::CommandError;
use crate::engine::{Command, Reply, Totals};

/// How long calls and transactions may take to end by themselves.
pub const DRAIN: Duration = Duration::from_secs(5);

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

/// Stops accepting connections, waits until nothing is under way or `deadline` has passed, and gives what is left.
/// Calls are not hung up: their parties may find another node with their next request.
pub async fn drain(edge: &Edge, deadline: Duration) -> Result<Totals, CommandError> {
    edge.stop_accepting();
    let mut left = totals(edge).await?;
    let empty = async {
        while left.calls + left.transactions + left.transfers > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            left = totals(edge).await?;
        }
        Ok::<(), CommandError>(())
    };
    match tokio::time::timeout(deadline, empty).await {
        Ok(result) => result?,
        Err(_) => left = totals(edge).await?,
    }
    Ok(left)
}

/// What lives in the engine now.
pub async fn totals(edge: &Edge) -> Result<Totals, CommandError> {
    match edge.handle().command(Command::Totals).await? {
        Reply::Totals(totals) => Ok(totals),
        Reply::Calls(_)
        | Reply::Call(_)
        | Reply::Transfers(_)
        | Reply::Transfer(_)
        | Reply::Registrations(_)
        | Reply::Done => Err(CommandError::Stopped),
    }
}
