//! The dialects that the file names, as routes beside the native API.

use axum::Router;

use super::failure::{Failure, UNSTARTED};
use crate::api::{EngineHandle, webhook};
use crate::config::Config;

/// Starts what the file names, and gives its routes: each has prefixes and an authentication of its own.
pub(super) fn routes(config: &Config, edge: &EngineHandle) -> Result<Router, Failure> {
    let options = webhook::Options::from(&config.webhook);
    let unreadable = |error| Failure::new(UNSTARTED, format!("[webhook] ca: {error}"));
    let _hooks = webhook::Client::new(options, edge.clone()).map_err(unreadable)?;
    Ok(Router::new())
}
