//! The dialects that the file names, as routes beside the native API.

use axum::Router;

use super::failure::{Failure, UNSTARTED};
use crate::api::{EngineHandle, ringcentral, webhook};
use crate::config::Config;

/// Starts what the file names, and gives its routes: each has prefixes and an authentication of its own.
pub(super) fn routes(config: &Config, edge: &EngineHandle) -> Result<Router, Failure> {
    let options = webhook::Options::from(&config.webhook);
    let unreadable = |error| Failure::new(UNSTARTED, format!("[webhook] ca: {error}"));
    let hooks = webhook::Client::new(options, edge.clone()).map_err(unreadable)?;
    let mut routes = Router::new();
    if let (Some(section), Some(api)) = (&config.ringcentral, &config.api) {
        let random = |error| Failure::new(UNSTARTED, format!("no random numbers: {error}"));
        let listens = format!("http://{}", api.listen);
        let router = ringcentral::router(section, &config.domain(), &listens, edge.clone(), hooks).map_err(random)?;
        routes = routes.merge(router);
    }
    Ok(routes)
}
