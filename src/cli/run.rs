//! `warmline run`: configuration, driver and API put together; runs until it is asked to stop.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::failure::{CALLS_LEFT, FAILED, Failure, UNSTARTED};
use super::file;
use super::reload::{Level, Reload};
use super::say::say;
use super::{audit, dialects};
use crate::api;
use crate::api::native::{self, Access, Readiness, RecordSource};
use crate::config::{Config, Log};
use crate::driver::{self, CallRecords, DRAIN, Edge, Hangups, Options, StartError};
use crate::engine::Settings;
use crate::observe::{LadderLimits, RecordPage};
use crate::store::{Embedded, Identity, Store};
use crate::transport::Transport;
use crate::vocabulary::RecordQuery;

/// Start the edge
///
/// With a file: as it says. Without: UDP and TCP on 127.0.0.1:5060, any user without a password, and the API on
/// 127.0.0.1:8080 with a random token that is printed once.
///
/// SIGINT or SIGTERM ends it: no new connections, then up to five seconds for what is under way. A second signal ends it at
/// once. SIGHUP reads the file again: users, routes, peers, policies, log level and API token change while calls go on;
/// what cannot change is told. RUST_LOG overrides the level of [log].
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  warmline run --config edge.toml\n  warmline run\n\nExit codes: 0 stopped with nothing under way, \
    2 wrong configuration, 3 could not start, 4 stopped with calls up"
)]
pub(super) struct Args {
    /// The configuration; checked whole before a port is bound
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) fn main(args: &Args) -> Result<(), Failure> {
    let config = match &args.config {
        Some(path) => file::read(path)?,
        None => Config::embedded(),
    };
    let level = log(config.log);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(UNSTARTED, format!("the system refused an event loop: {error}")))?;
    runtime.block_on(run(config, args.config.clone(), level))
}

async fn run(config: Config, file: Option<PathBuf>, level: Option<Level>) -> Result<(), Failure> {
    let mut settings = driver::resolve(&config).await.map_err(unstarted)?;
    // The API's port first: it is the one that a second edge on this machine would miss without a sound.
    let api = listen(&config).await?;
    let mut store = open_store(&config)?;
    let salt = salt(&settings, store.as_deref_mut())?;
    settings.label = dialects::label(&config, salt);
    let hold = settings.hold;
    let domain = settings.domain.clone();
    let open = settings.open;
    let limits = |ladder: crate::config::Ladder| LadderLimits {
        calls: ladder.calls,
        messages: ladder.messages,
        redact: ladder.redact,
    };
    let options = Options {
        ladders: config.ladder.map(limits),
        store,
        confirmed: config.store.as_ref().is_some_and(|store| store.confirmed),
        ..driver::options(&config, &settings)
    };
    let edge = Edge::start(settings, options).map_err(unstarted)?;
    greet(&edge, open, &config, file.is_none());
    let (closing, closed) = watch::channel(false);
    let audited = audit::start(config.audit.as_deref().map(Path::new), edge.handle(), edge.metrics())?;
    let beside = dialects::routes(&config, &domain, edge.handle(), salt)?;
    let queues = dialects::queues(&config, &domain, edge.handle());
    let mut access = None;
    let mut server = None;
    if let Some((listener, token)) = api {
        let given = Access::new(token.text(), hold);
        let options = native::Options {
            queues,
            ..api_options(&edge, given.clone(), dialects::descriptions(&config))
        };
        let router = native::router(options).merge(beside);
        let router = match audited.clone() {
            Some(sink) => router.layer(axum::middleware::from_fn(move |request, next| {
                api::audit::note_orders(Arc::clone(&sink), request, next)
            })),
            None => router,
        };
        server = Some(serve(listener, &token, router, closed)?);
        access = Some(given);
    }
    let reload = file.map(|path| Reload {
        path,
        running: config,
        access,
        level,
        audited: audited.clone(),
    });
    let signal = until_stopped(&edge, reload).await?;
    tracing::info!(signal, "stopping");
    closing.send_replace(true);
    let stopped = stop(edge).await;
    if let Some(sink) = audited {
        sink(serde_json::json!({"what": "stopped", "signal": signal}));
    }
    if let Some(server) = server {
        server.abort(); // clients that read events would never end by themselves
    }
    stopped
}

/// Serves until a signal ends it; SIGHUPs on the way are carried out.
async fn until_stopped(edge: &Edge, reload: Option<Reload>) -> Result<&'static str, Failure> {
    let system = |error| Failure::new(FAILED, error);
    let reloading = async {
        // Without a file there is nothing to read again, and a SIGHUP means what it always meant: the terminal has gone.
        let Some(mut reload) = reload else {
            return std::future::pending().await;
        };
        let mut hangups = match Hangups::watch() {
            Ok(hangups) => hangups,
            Err(error) => return error,
        };
        loop {
            hangups.next().await;
            reload.again(edge).await;
        }
    };
    tokio::select! {
        signal = driver::asked_to_stop() => signal.map_err(system),
        () = edge.ended() => Err(Failure::new(FAILED, "the engine has stopped by itself: this is a defect")),
        error = reloading => Err(system(error)),
    }
}

fn open_store(config: &Config) -> Result<Option<Box<dyn Store>>, Failure> {
    let Some(store) = &config.store else { return Ok(None) };
    let store =
        Embedded::open(store.path.as_ref()).map_err(|error| Failure::new(UNSTARTED, &error).hint(error.hint()))?;
    Ok(Some(Box::new(store)))
}

async fn stop(edge: Edge) -> Result<(), Failure> {
    let left = tokio::select! {
        left = driver::drain(&edge, DRAIN) => left.map_err(|error| Failure::new(FAILED, error))?,
        _ = driver::asked_to_stop() => driver::totals(&edge).await.map_err(|error| Failure::new(FAILED, error))?,
    };
    // Joins the engine's thread: not for the thread that serves others.
    tokio::task::spawn_blocking(move || edge.stop())
        .await
        .map_err(|error| Failure::new(FAILED, error))?;
    if left.calls > 0 {
        let what = format!(
            "stopped with {} call(s) and {} dialog(s) still up",
            left.calls, left.dialogs
        );
        return Err(Failure::new(CALLS_LEFT, what)
            .hint("with a [store] the next process goes on with them; without one their phones are answered 481"));
    }
    say!("stopped; nothing was left");
    Ok(())
}

/// Binds the API's port, and has a token for it.
async fn listen(config: &Config) -> Result<Option<(TcpListener, Token)>, Failure> {
    let Some(api) = &config.api else { return Ok(None) };
    let refused = |error: std::io::Error| {
        let failure = Failure::new(UNSTARTED, format!("API {}: {error}", api.listen));
        match driver::bind_hint("tcp", api.listen, &error) {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    };
    let listener = TcpListener::bind(api.listen).await.map_err(refused)?;
    let token = match &api.token {
        Some(token) => Token::Given(token.clone()),
        None => Token::Random(random_token()?),
    };
    Ok(Some((listener, token)))
}

enum Token {
    Given(String),
    Random(String),
}

impl Token {
    fn text(&self) -> &str {
        match self {
            Token::Given(text) | Token::Random(text) => text,
        }
    }
}

/// Tells the ids that dialects give here from those of other edges. Handles of calls outlive the process with a store, and so
/// does this: an id that a client knows names the same call afterwards.
fn salt(settings: &Settings, store: Option<&mut (dyn Store + 'static)>) -> Result<u32, Failure> {
    let octets = match store {
        Some(store) => {
            let fresh = Identity {
                key: settings.key,
                node: settings.node,
            };
            let found = store.identity(fresh);
            let found = found.map_err(|error| Failure::new(UNSTARTED, &error).hint(error.hint()))?;
            Sha256::digest([found.key.as_slice(), b"ids of dialects"].concat()).to_vec()
        }
        None => random()?.to_vec(),
    };
    let first = octets.iter().take(4);
    Ok(first.fold(0, |salt, octet| salt << 8 | u32::from(*octet)))
}

fn random() -> Result<[u8; 16], Failure> {
    driver::random().map_err(|error| Failure::new(UNSTARTED, format!("no random numbers: {error}")))
}

fn random_token() -> Result<String, Failure> {
    Ok(random()?.iter().map(|octet| format!("{octet:02x}")).collect())
}

fn serve(
    listener: TcpListener,
    token: &Token,
    router: axum::Router,
    mut closed: watch::Receiver<bool>,
) -> Result<JoinHandle<()>, Failure> {
    let address = listener.local_addr().map_err(|error| Failure::new(UNSTARTED, error))?;
    match token {
        Token::Given(_) => say!("  api   http://{address}  (token as configured)"),
        Token::Random(token) => {
            say!("  api   http://{address}  token {token}  (for this run only)");
            say!("  try   WARMLINE_TOKEN={token} warmline calls{}", elsewhere(address));
        }
    }
    let shutdown = async move {
        closed.wait_for(|closed| *closed).await.ok(); // the sender has gone: the process ends
    };
    Ok(tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>())
            .with_graceful_shutdown(shutdown)
            .await
        {
            tracing::error!(%error, "the API has ended");
        }
    }))
}

/// What the API is told of the edge.
fn api_options(edge: &Edge, access: Access, dialects: Vec<utoipa::openapi::OpenApi>) -> native::Options {
    let (metrics, state) = (Arc::clone(edge.metrics()), Arc::clone(edge.metrics()));
    let ladders = edge.ladders().cloned();
    native::Options {
        softphone: edge.softphone().cloned(),
        dialects,
        records: Arc::new(Records(edge.records().clone())),
        ladder: Arc::new(move |call| serde_json::to_value(ladders.as_ref()?.page(call)?).ok()),
        metrics: Arc::new(move |totals| metrics.render(totals)),
        ready: Arc::new(move || Readiness {
            draining: state.is_draining(),
            pbx_up: state.pbx_up(),
        }),
        ..native::Options::new(edge.handle().clone(), access)
    }
}

/// The edge's call records, as the API gives them.
struct Records(CallRecords);

impl RecordSource for Records {
    fn page(&self, query: &RecordQuery) -> Value {
        let RecordPage { records, total, next } = self.0.page(query);
        let records: Vec<_> = records
            .iter()
            .filter_map(|record| serde_json::to_value(&**record).ok())
            .collect();
        json!({ "records": records, "total": total, "next": next })
    }

    fn find(&self, id: &str) -> Option<Value> {
        serde_json::to_value(&*self.0.find(id)?).ok()
    }
}

fn elsewhere(address: SocketAddr) -> String {
    if address.port() == 8080 {
        String::new()
    } else {
        format!(" --api http://{address}")
    }
}

fn greet(edge: &Edge, open: bool, config: &Config, embedded: bool) {
    say!("warmline {}", env!("CARGO_PKG_VERSION"));
    for listener in edge.listeners() {
        let name = listener.transport.param();
        let advertised = if listener.advertised == listener.address {
            String::new()
        } else {
            format!(" as {}", listener.advertised)
        };
        say!("  sip   {name} {}{advertised}", listener.address);
    }
    if edge.softphone().is_some_and(|site| site.is_useful()) {
        let web = edge.listeners().iter().filter_map(|listener| match listener.transport {
            Transport::Ws => Some(("http", listener.address)),
            Transport::Wss => Some(("https", listener.address)),
            Transport::Udp | Transport::Tcp | Transport::Tls => None,
        });
        for (scheme, address) in web {
            say!("  phone {scheme}://{address}/phone/");
        }
    }
    if let Some(store) = &config.store {
        say!("  store {}", store.path);
    }
    if embedded {
        say!("  no --config: the embedded default, on loopback only");
    }
    if open {
        say!("  any user may register and call without a password");
    }
}

fn unstarted(error: StartError) -> Failure {
    let failure = Failure::new(UNSTARTED, &error);
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// Which events are logged: as the environment says, else as the file does.
pub(super) fn filter(log: Log) -> EnvFilter {
    EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(log.level.to_string()))
}

/// Logs go to standard error: fields, not sentences. `None`: somebody else's subscriber is there, and keeps its level.
fn log(log: Log) -> Option<Level> {
    let (filter, level) = tracing_subscriber::reload::Layer::new(filter(log));
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(super::colour(&std::io::stderr()))
        .with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(filter);
    let set = if log.json {
        registry.with(lines.json()).try_init()
    } else {
        registry.with(lines).try_init()
    };
    set.is_ok().then_some(level)
}
