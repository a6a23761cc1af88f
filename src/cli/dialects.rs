//! The dialects that the file names, as routes beside the native API.

use std::sync::Arc;

use axum::Router;
use axum::http::Request;
use bytes::Bytes;
use utoipa::openapi::OpenApi;

use super::failure::{Failure, UNSTARTED};
use crate::api::{EngineHandle, Sounds, bot, ringcentral, twilio, webhook};
use crate::config::Config;

/// Starts what the file names, and gives its routes: each has prefixes and an authentication of its own. `domain` is the
/// edge's own.
pub(super) fn routes(config: &Config, domain: &str, edge: &EngineHandle) -> Result<Router, Failure> {
    let options = webhook::Options::from(&config.webhook);
    let unreadable = |error| Failure::new(UNSTARTED, format!("[webhook] ca: {error}"));
    let hooks = webhook::Client::new(options, edge.clone()).map_err(unreadable)?;
    let mut routes = Router::new();
    if !config.bot.channels.is_empty() {
        let voice = Fetched {
            hooks: hooks.clone(),
            sounds: edge.sounds().clone(),
        };
        routes = routes.merge(bot::start(bot::Options {
            bot: config.bot.clone(),
            domain: domain.to_owned(),
            edge: edge.clone(),
            hooks: hooks.clone(),
            voice: Arc::new(voice),
        }));
    }
    if let (Some(section), Some(api)) = (&config.ringcentral, &config.api) {
        let random = |error| Failure::new(UNSTARTED, format!("no random numbers: {error}"));
        let listens = format!("http://{}", api.listen);
        let router =
            ringcentral::router(section, &config.domain(), &listens, edge.clone(), hooks.clone()).map_err(random)?;
        routes = routes.merge(router);
    }
    let listen = config.api.as_ref().map(|api| api.listen);
    if let (Some(account), Some(listen)) = (config.twilio.clone(), listen) {
        routes = routes.merge(twilio::start(twilio::Options {
            base_url: account.base_url.clone().unwrap_or_else(|| format!("http://{listen}")),
            account,
            domain: domain.to_owned(),
            edge: edge.clone(),
            hooks,
        }));
    }
    Ok(routes)
}

/// What `/openapi.json` says of them.
pub(super) fn descriptions(config: &Config) -> Vec<OpenApi> {
    let ringcentral = config.ringcentral.as_ref().map(|_| ringcentral::openapi());
    let twilio = config.twilio.as_ref().map(|_| twilio::openapi());
    ringcentral.into_iter().chain(twilio).collect()
}

/// What bots say: sounds that are fetched.
struct Fetched {
    hooks: webhook::Client,
    sounds: Sounds,
}

impl bot::Voice for Fetched {
    fn say(&self, _text: &str, _language: &str) -> bot::Brought {
        Box::pin(async { Err("no speech synthesiser is installed".to_owned()) })
    }

    fn fetch(&self, url: &str) -> bot::Brought {
        let (hooks, sounds) = (self.hooks.clone(), self.sounds.clone());
        let request = Request::get(url).body(Bytes::new());
        Box::pin(async move {
            let request = request.map_err(|_| "this is no URL".to_owned())?;
            let answer = hooks.send(request).await.map_err(|error| error.to_string())?;
            if !answer.status().is_success() {
                return Err(format!("the answer was {}", answer.status().as_u16()));
            }
            sounds.add(answer.into_body()).await.map_err(|error| error.to_string())
        })
    }
}
