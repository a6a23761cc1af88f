//! The Twilio-style API: calls, conferences and participants over REST, TwiML, TaskRouter.
//!
//! Owns: its paths (`/2010-04-01/…`, `/v1/Workspaces/…`), identifiers, statuses, error and page shapes, the TwiML of each
//! call (one task that gives the engine orders), conference names and callbacks, signatures.
//!
//! Refuses: call logic of its own (who hears whom, ringing, answering and moving are the engine's), to wait for an
//! application before it answers a client, and to fetch a private address that `[webhook] allow` does not list.
//!
//! | path under `/2010-04-01/Accounts/{AC}` | methods |
//! |---|---|
//! | `/Calls.json`, `/Calls/{CA}.json` | GET, POST, DELETE (one) |
//! | `/Calls/{CA}/Recordings.json`, `/Calls/{CA}/Recordings/{RE}.json` | GET, POST |
//! | `/Conferences.json`, `/Conferences/{CF}.json` | GET, POST (one) |
//! | `/Conferences/{CF}/Participants.json`, `/Conferences/{CF}/Participants/{CA}.json` | GET, POST, DELETE (one) |
//! | `/Recordings.json`, `/Recordings/{RE}.json` | GET, DELETE (one) |
//! | `/Recordings/{RE}`, `/Recordings/{RE}.wav` | GET: the sound itself |
//! | `/Queues.json`, `/Queues/{QU}.json`, `/Queues/{QU}/Members.json`, `/Queues/{QU}/Members/{CA}.json` | GET, POST, DELETE |
//!
//! RFC sections: 2822 (dates), 7617 (Basic), 7519 (access tokens).
//!
//! ```
//! use std::sync::Arc;
//! use warmline::api::{EngineHandle, EventLog, twilio, webhook};
//! use warmline::config::Twilio;
//!
//! let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
//! let (edge, _orders) = EngineHandle::new(Arc::new(EventLog::new()));
//! let hooks = webhook::Client::new(webhook::Options::default(), edge.clone()).unwrap();
//! let account = Twilio {
//!     account_sid: "AC00000000000000000000000000000001".into(),
//!     auth_token: "a secret of 32 hexadecimal digits".into(),
//!     keys: Vec::new(),
//!     base_url: None,
//!     numbers: Vec::new(),
//! };
//! let base_url = "http://127.0.0.1:8080".to_owned();
//! let domain = "example.test".to_owned();
//! let _guard = runtime.enter(); // its tasks live there
//! let router: axum::Router = twilio::start(twilio::Options { account, base_url, domain, edge, hooks, recordings: None });
//! # drop(router);
//! ```

mod address;
mod auth;
mod call;
mod callback;
mod calls;
mod conference;
mod conferences;
mod date;
mod error;
mod events;
mod fetch;
mod flow;
mod form;
mod openapi;
mod page;
mod participant;
mod participants;
mod path;
mod queue;
mod recording_file;
mod recordings;
mod router;
mod sid;
mod sign;
pub(crate) mod sound;
mod state;
mod table;
mod twiml;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::{Router, middleware};

pub use openapi::openapi;
pub(in crate::api) use router::fits;

use super::webhook::Client;
use super::{CommandError, EngineHandle};
use crate::config::Twilio;
use crate::engine::{Command, Reply};
use error::Fault;
use sound::Shop;
use state::State;

/// What the API is made of.
#[derive(Debug)]
pub struct Options {
    /// The `[twilio]` of the file.
    pub account: Twilio,
    /// How clients reach this API, without a `/` at its end.
    pub base_url: String,
    /// Of addresses that are no whole SIP URI: `client:agent1` is agent1 there.
    pub domain: String,
    /// The engine.
    pub edge: EngineHandle,
    /// Reaches applications.
    pub hooks: Client,
    /// The folder of recordings; `None`: none are made.
    pub recordings: Option<PathBuf>,
}

/// Everything, shared by requests and by the tasks of calls.
struct App {
    account: Twilio,
    base_url: String,
    domain: String,
    edge: EngineHandle,
    hooks: Client,
    folder: Option<PathBuf>,
    sounds: Shop,
    state: Mutex<State>,
    /// Held while a conference is looked for and opened: two that come at once must meet.
    opening: tokio::sync::Mutex<()>,
}

impl App {
    // Every change is complete before the lock is given back, and nobody waits while it is held.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn order(&self, command: Command) -> Result<Reply, CommandError> {
        self.edge.command(command).await
    }

    /// An order whose failure means that what it would have changed is gone already.
    async fn try_order(&self, command: Command) {
        if let Err(error) = self.edge.command(command).await {
            tracing::debug!(%error, "an order came too late");
        }
    }
}

/// Starts to listen to the engine, and gives the routes.
pub fn start(options: Options) -> Router {
    let app = Arc::new(App {
        sounds: Shop::new(
            options.hooks.clone(),
            Some(options.account.auth_token.clone()),
            options.edge.sounds().clone(),
        ),
        account: options.account,
        base_url: options.base_url,
        domain: options.domain,
        edge: options.edge,
        hooks: options.hooks,
        folder: options.recordings,
        state: Mutex::default(),
        opening: tokio::sync::Mutex::default(),
    });
    let events = app.edge.events(None);
    tokio::spawn(events::follow(Arc::clone(&app), events));
    let account = Router::new()
        .merge(calls::routes())
        .merge(conferences::routes())
        .merge(participants::routes())
        .merge(recordings::routes())
        .merge(queue::routes());
    Router::new()
        .nest("/2010-04-01/Accounts/{account}", account)
        .merge(router::routes())
        .route(
            "/v1/Workspaces/{workspace}/{list}/{sid}/{*rest}",
            axum::routing::any(nothing),
        )
        .route("/2010-04-01/{*rest}", axum::routing::any(nothing))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), auth::check))
        .with_state(app)
}

async fn nothing(uri: axum::http::Uri) -> Fault {
    Fault::not_found(uri.path())
}

/// How many verbs a document has, for [`answers`](super::answers).
pub(super) fn verbs(text: &str) -> Option<usize> {
    twiml::parse(text).ok().map(|verbs| verbs.len())
}
