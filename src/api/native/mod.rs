//! The native API: [`Command`]s and events as HTTP and JSON.
//!
//! Owns: paths, JSON shapes, the bearer token, problem documents, idempotency, the event stream, `/openapi.json`.
//!
//! Refuses: to bind a port (whoever serves the [`router`] does), to hold call state, to decide what a call may do.
//!
//! RFC sections: 9110, 9457 (problems), 6750 (bearer); Idempotency-Key as its IETF draft has it.
//!
//! | path | methods |
//! |---|---|
//! | `/v1/calls`, `/v1/calls/{call}` | GET, POST (all), DELETE (one) |
//! | `/v1/calls/{call}/ladder` | GET |
//! | `/v1/legs/{leg}` | DELETE |
//! | `/v1/legs/{leg}/digits` | POST |
//! | `/v1/legs/{leg}/recording` | POST, DELETE |
//! | `/v1/legs/{leg}/hold`, `/v1/legs/{leg}/resume` | POST |
//! | `/v1/hubs`, `/v1/calls/{call}/parties`, `…/to-hub`, `…/to-pair` | POST |
//! | `/v1/calls/{call}/play`, `…/recording` | POST, DELETE |
//! | `/v1/legs/{leg}/ring`, `…/answer`, `…/reject`, `…/move`, `…/refer` | POST |
//! | `/v1/legs/{leg}/role` | PUT |
//! | `/v1/legs/{leg}/play` | POST, DELETE |
//! | `/v1/transfers`, `/v1/transfers/{transfer}` | GET, POST (all) |
//! | `/v1/registrations` | GET |
//! | `/v1/records`, `/v1/records/{record}` | GET |
//! | `/v1/nodes` | GET |
//! | `/v1/queues`, `/v1/queues/{queue}/callers`, `/v1/agents` | GET |
//! | `/v1/agents/{agent}` | PUT |
//! | `/v1/events` | GET (server-sent events, or WebSocket) |
//! | `/healthz`, `/readyz` (no token), `/metrics`, `/openapi.json` | GET |
//! | `/phone/` (no token) | GET, the softphone page |
//!
//! ```
//! use std::sync::Arc;
//! use warmline::api::{EngineHandle, EventLog, native};
//! use warmline::engine::HoldDirection;
//!
//! let (edge, _orders) = EngineHandle::new(Arc::new(EventLog::new()));
//! let access = native::Access::new("secret", HoldDirection::SendOnly);
//! let router: axum::Router = native::router(native::Options::new(edge, access));
//! # drop(router);
//! ```

mod access;
mod auth;
pub(super) mod body;
mod calls;
mod dial;
mod hubs;
mod idempotency;
mod ladder;
mod media;
mod members;
mod named;
mod nodes;
mod order;
mod page;
mod problem;
mod queues;
pub mod record_schema;
mod records;
mod role;
pub mod schema;
mod softphone;
mod stream;
mod system;
mod transfers;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::{Method, StatusCode, Uri};
use axum::response::IntoResponse;
use axum::{Router, middleware};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Components, Info, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use access::Access;
pub use nodes::NodeSource;
pub use problem::Problem;
pub use records::RecordSource;
pub use system::Readiness;

use super::EngineHandle;
use super::softphone::Site;
use crate::engine::{CallHandle, Command, Reply, Totals};
use idempotency::Answers;

/// Prints the metrics; given what lives in the engine at the moment.
pub type MetricsPage = Arc<dyn Fn(&Totals) -> String + Send + Sync>;

/// Says whether the edge can take calls.
pub type ReadyCheck = Arc<dyn Fn() -> Readiness + Send + Sync>;

/// Gives the ladder of a call as JSON with its drawing in `text`; `None`: it is not remembered.
pub type LadderSource = Arc<dyn Fn(CallHandle) -> Option<serde_json::Value> + Send + Sync>;

/// The longest that a command may take: a party that never answers a re-INVITE is given up after 64*T1 (RFC 3261
/// §17.1.1.2), and a glare may come before that.
const PATIENCE: Duration = Duration::from_secs(45);

/// What the API is made of.
pub struct Options {
    /// The engine.
    pub edge: EngineHandle,
    /// Who may use it.
    pub access: Access,
    /// For `/metrics`.
    pub metrics: MetricsPage,
    /// For `/readyz`.
    pub ready: ReadyCheck,
    /// For `/v1/calls/{call}/ladder`.
    pub ladder: LadderSource,
    /// For `/v1/nodes`.
    pub nodes: NodeSource,
    /// For `/v1/records`.
    pub records: Arc<dyn RecordSource>,
    /// For `/v1/queues` and `/v1/agents`; `None`: there are none.
    pub queues: Option<super::queue::Handle>,
    /// For `/phone/`; `None`: no page.
    pub softphone: Option<Arc<Site>>,
    /// The descriptions of dialects that are served beside it, for `/openapi.json`.
    pub dialects: Vec<OpenApi>,
}

impl Options {
    /// An API that counts nothing and is always ready.
    pub fn new(edge: EngineHandle, access: Access) -> Options {
        Options {
            edge,
            access,
            metrics: Arc::new(|_| String::new()),
            ready: Arc::new(Readiness::default),
            ladder: Arc::new(|_| None),
            nodes: Arc::new(|| serde_json::json!({ "nodes": [], "store_up": true })),
            records: Arc::new(records::Nothing),
            queues: None,
            softphone: None,
            dialects: Vec::new(),
        }
    }
}

struct Shared {
    edge: EngineHandle,
    access: Access,
    metrics: MetricsPage,
    ready: ReadyCheck,
    ladder: LadderSource,
    nodes: NodeSource,
    records: Arc<dyn RecordSource>,
    queues: Option<super::queue::Handle>,
    answers: Mutex<Answers>,
    description: String,
}

impl Shared {
    async fn ask(&self, command: Command) -> Result<Reply, Problem> {
        let reply = tokio::time::timeout(PATIENCE, self.edge.command(command)).await;
        Ok(reply.map_err(|_| Problem::late())??)
    }

    async fn done(&self, command: Command) -> Result<StatusCode, Problem> {
        let Reply::Done = self.ask(command).await? else {
            return Err(self.confused());
        };
        Ok(StatusCode::NO_CONTENT)
    }

    fn confused(&self) -> Problem {
        Problem::defect("the engine answered another question")
    }

    // Every change to the memory is complete before the lock is given back.
    fn answers(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The whole API, ready to be served or to be asked directly.
pub fn router(options: Options) -> Router {
    let (router, description) = routes().split_for_parts();
    let Options {
        edge,
        access,
        metrics,
        ready,
        ladder,
        nodes,
        records,
        queues,
        softphone,
        dialects,
    } = options;
    let mut description = describe(description);
    for dialect in dialects {
        description.merge(dialect);
    }
    let description = serde_json::to_string_pretty(&description).unwrap_or_default();
    let answers = Mutex::new(Answers::default());
    let shared = Arc::new(Shared {
        edge,
        access,
        metrics,
        ready,
        ladder,
        nodes,
        records,
        queues,
        answers,
        description,
    });
    router
        .fallback(async |uri: Uri| Problem::no_such_path(uri.path()).into_response())
        .method_not_allowed_fallback(async |method: Method| Problem::no_such_method(method.as_str()).into_response())
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), auth::check))
        .with_state(shared)
        // Beside what needs the token: a browser has none.
        .merge(softphone::routes(softphone))
}

/// The description that `/openapi.json` gives.
pub fn openapi() -> OpenApi {
    describe(routes().split_for_parts().1)
}

fn routes() -> OpenApiRouter<Arc<Shared>> {
    OpenApiRouter::new()
        .routes(routes!(calls::list, dial::dial))
        .routes(routes!(calls::show, calls::hang_up))
        .routes(routes!(ladder::ladder))
        .routes(routes!(nodes::nodes))
        .routes(routes!(calls::hold))
        .routes(routes!(calls::resume))
        .routes(routes!(calls::drop_leg))
        .routes(routes!(media::digits))
        .routes(routes!(media::record, media::stop))
        .routes(routes!(calls::registrations))
        .routes(routes!(records::list))
        .routes(routes!(records::show))
        .routes(routes!(queues::list))
        .routes(routes!(queues::callers))
        .routes(routes!(queues::agents))
        .routes(routes!(queues::set_state))
        .routes(routes!(hubs::open))
        .routes(routes!(hubs::add))
        .routes(routes!(hubs::to_hub))
        .routes(routes!(hubs::to_pair))
        .routes(routes!(hubs::play, hubs::stop_playing))
        .routes(routes!(hubs::record, hubs::stop))
        .routes(routes!(members::ring))
        .routes(routes!(members::answer))
        .routes(routes!(members::reject))
        .routes(routes!(members::set_role))
        .routes(routes!(members::move_to))
        .routes(routes!(members::play, members::stop_playing))
        .routes(routes!(members::refer))
        .routes(routes!(transfers::list, transfers::start))
        .routes(routes!(transfers::show, transfers::cancel))
        .routes(routes!(stream::events))
        .routes(routes!(system::health))
        .routes(routes!(system::ready))
        .routes(routes!(system::metrics))
        .routes(routes!(system::description))
}

fn describe(mut description: OpenApi) -> OpenApi {
    description.info = Info::new("warmline", env!("CARGO_PKG_VERSION"));
    description.info.description = Some("Calls, hold and warm transfer through a SIP edge.".to_owned());
    let bearer = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
    let components = description.components.get_or_insert_with(Components::new);
    components.add_security_scheme("token", bearer);
    description.security = Some(vec![SecurityRequirement::new::<_, [&str; 0], &str>("token", [])]);
    description
}
