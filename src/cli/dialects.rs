//! The dialects that the file names, as routes beside the native API.

use axum::Router;
use utoipa::openapi::OpenApi;

use super::failure::{Failure, UNSTARTED};
use crate::api::{EngineHandle, bot, queue, ringcentral, twilio, webhook};
use crate::config::Config;
use crate::engine::CallLabel;

/// By what phones learn the ids of their calls; `salt` is that of [`routes`].
pub(super) fn label(config: &Config, salt: u32) -> Option<CallLabel> {
    config.ringcentral.as_ref().map(|_| ringcentral::label(salt))
}

/// Starts what the file names, and gives its routes: each has prefixes and an authentication of its own. `domain` is the
/// edge's own.
pub(super) fn routes(config: &Config, domain: &str, edge: &EngineHandle, salt: u32) -> Result<Router, Failure> {
    let options = webhook::Options::from(&config.webhook);
    let unreadable = |error| Failure::new(UNSTARTED, format!("[webhook] ca: {error}"));
    let hooks = webhook::Client::new(options, edge.clone()).map_err(unreadable)?;
    let mut routes = Router::new();
    if !config.bot.channels.is_empty() {
        routes = routes.merge(bot::start(bot::Options {
            bot: config.bot.clone(),
            domain: domain.to_owned(),
            edge: edge.clone(),
            hooks: hooks.clone(),
        }));
    }
    if let (Some(section), Some(api)) = (&config.ringcentral, &config.api) {
        let listens = format!("http://{}", api.listen);
        routes = routes.merge(ringcentral::router(ringcentral::Options {
            section,
            domain,
            listens: &listens,
            salt,
            edge: edge.clone(),
            hooks: hooks.clone(),
        }));
    }
    let listen = config.api.as_ref().map(|api| api.listen);
    if let (Some(account), Some(listen)) = (config.twilio.clone(), listen) {
        routes = routes.merge(twilio::start(twilio::Options {
            base_url: account.base_url.clone().unwrap_or_else(|| format!("http://{listen}")),
            account,
            domain: domain.to_owned(),
            edge: edge.clone(),
            hooks,
            recordings: config.media_files.recordings.clone().map(Into::into),
        }));
    }
    Ok(routes)
}

/// What `/openapi.json` says of them.
pub(super) fn descriptions(config: &Config) -> Vec<OpenApi> {
    let ringcentral = config.ringcentral.as_ref().map(|_| ringcentral::openapi());
    let twilio = config.twilio.as_ref().map(|_| twilio::openapi());
    let bot = (!config.bot.channels.is_empty()).then(bot::openapi);
    ringcentral.into_iter().chain(twilio).chain(bot).collect()
}

/// Serves the callers of the queues that the file names; gives what the API asks about them.
pub(super) fn queues(config: &Config, domain: &str, edge: &EngineHandle) -> Option<queue::Handle> {
    let queues = config.queues.clone();
    (!queues.queues.is_empty()).then(|| queue::start(queues, domain.to_owned(), edge.clone()))
}
