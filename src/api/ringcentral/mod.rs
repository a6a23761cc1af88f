//! The RingCentral-style API (`/restapi/…`): telephony sessions over the edge's own calls.
//!
//! Owns: ids, objects, event orders and errors as the vendor's clients expect them; logins and tokens; subscriptions over
//! webhook and WebSocket; look-ups that clients make at their start.
//!
//! Refuses: call logic. A party's order becomes a [`Command`], what clients are told comes from native events alone, and
//! what the engine refuses is 409 with nothing changed.
//!
//! | room | holds |
//! |---|---|
//! | `words`, `people`, `party`, `session` | the objects |
//! | `desk`, `follow`, `moves`, `rooms` | native events in, notices out; pure |
//! | `notice`, `filter`, `subscribe`, `socket` | who is told what |
//! | `access`, `oauth` | who may ask |
//! | `control`, `calls`, `parties`, `divert`, `park`, `conference`, `lookups` | what may be asked |
//!
//! RFC sections: 6749 (tokens), 6750 (bearer), 7009 (revocation), 7523 (assertions), 6455 (WebSocket).
//!
//! ```
//! use std::sync::Arc;
//! use warmline::api::{EngineHandle, EventLog, ringcentral, webhook};
//! use warmline::config::Config;
//!
//! let config = Config::read("edge.toml", r#"
//! [[listen]]
//! transport = "udp"
//! address = "127.0.0.1:5060"
//! [[user]]
//! name = "agent1"
//! password = "a long one"
//! [ringcentral]
//! client_id = "my-app"
//! client_secret = "hush"
//! [[ringcentral.extension]]
//! user = "agent1"
//! number = "101"
//! jwt = "a-long-random-word"
//! "#).unwrap();
//! let (edge, _orders) = EngineHandle::new(Arc::new(EventLog::new()));
//! let hooks = webhook::Client::new(webhook::Options::default(), edge.clone()).unwrap();
//! let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
//! let _in_it = runtime.enter();
//! let section = config.ringcentral.clone().unwrap();
//! let router: axum::Router = ringcentral::router(ringcentral::Options {
//!     section: &section,
//!     domain: &config.domain(),
//!     listens: "http://127.0.0.1:8080",
//!     salt: 0x5eed,
//!     edge,
//!     hooks,
//! });
//! # drop(router);
//! ```

mod access;
mod ask;
mod calls;
mod conference;
mod control;
mod desk;
mod divert;
mod fault;
mod filter;
mod follow;
mod grants;
mod keeper;
mod lookups;
mod moves;
mod notice;
mod oauth;
#[cfg(test)]
mod orders;
mod park;
mod parties;
mod party;
mod people;
mod rooms;
mod session;
mod socket;
mod state;
mod subscribe;
mod subscriptions;
mod words;

use std::sync::Arc;

use axum::Router;
use axum::routing::any;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use compact_str::format_compact;

use super::{EngineHandle, webhook};
use crate::config::RingCentral;
use crate::engine::CallLabel;
use fault::Fault;
pub use people::Extension;
use state::Shared;

/// What the dialect is made of.
#[derive(Debug)]
pub struct Options<'a> {
    /// Who may use it.
    pub section: &'a RingCentral,
    /// The domain of our users' addresses.
    pub domain: &'a str,
    /// Where the API is reached unless the section says otherwise: `http://127.0.0.1:8080`.
    pub listens: &'a str,
    /// Tells the ids of this process from those of an earlier one: draw it at random.
    pub salt: u32,
    /// The engine.
    pub edge: EngineHandle,
    /// For webhooks.
    pub hooks: webhook::Client,
}

/// The header by which a phone learns the ids of its call. `salt` is that of [`Options`].
pub fn label(salt: u32) -> CallLabel {
    CallLabel {
        header: LABEL.into(),
        value: format_compact!("party-id=p-{salt:08x}z{{call}}-{{party}};session-id=s-{salt:08x}z{{call}}"),
    }
}

const LABEL: &str = "P-Rc-Api-Ids";

/// The whole dialect, following the engine from now on: call it within a Tokio runtime.
pub fn router(options: Options<'_>) -> Router {
    let shared = Arc::new(Shared::new(options));
    // From this moment, not from the task's first turn: nothing that happens in between is missed.
    let events = shared.edge.events(None);
    tokio::spawn(state::follow(Arc::clone(&shared), events));
    let (router, _) = routes().split_for_parts();
    let router = router
        .route("/restapi/ws", any(socket::connect))
        .method_not_allowed_fallback(async || Fault::method())
        .route("/restapi/{*rest}", any(async || Fault::uri()));
    router.with_state(shared)
}

/// The description of these paths, for `/openapi.json`.
pub fn openapi() -> OpenApi {
    routes().split_for_parts().1
}

fn routes() -> OpenApiRouter<Arc<Shared>> {
    OpenApiRouter::new()
        .routes(routes!(oauth::token))
        .routes(routes!(oauth::revoke))
        .routes(routes!(oauth::socket_token))
        .routes(routes!(subscriptions::list, subscriptions::create))
        .routes(routes!(
            subscriptions::show,
            subscriptions::update,
            subscriptions::remove
        ))
        .routes(routes!(subscriptions::renew))
        .routes(routes!(lookups::extension))
        .routes(routes!(lookups::presence))
        .routes(routes!(lookups::account_presence))
        .routes(routes!(lookups::devices))
        .routes(routes!(calls::call_out))
        .routes(routes!(calls::show, calls::drop_session))
        .routes(routes!(parties::show, parties::update, parties::remove))
        .routes(routes!(parties::hold))
        .routes(routes!(parties::unhold))
        .routes(routes!(parties::transfer))
        .routes(routes!(parties::bridge))
        .routes(routes!(parties::reject))
        .routes(routes!(parties::ignore))
        .routes(routes!(parties::reply))
        .routes(routes!(divert::forward))
        .routes(routes!(divert::answer))
        .routes(routes!(divert::flip))
        .routes(routes!(divert::record))
        .routes(routes!(divert::set_recording))
        .routes(routes!(park::park))
        .routes(routes!(park::pick_up))
        .routes(routes!(conference::create))
        .routes(routes!(conference::bring_in))
        .routes(routes!(conference::supervise_session))
        .routes(routes!(conference::supervise_party))
}
