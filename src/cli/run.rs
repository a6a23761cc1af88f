//! `warmline run`: configuration, driver and API put together; runs until it is asked to stop.

use std::net::{SocketAddr, TcpListener as Listening};
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
use super::{audit, dialects, upgrade};
use crate::api;
use crate::api::native::{self, Access, Readiness, RecordSource};
use crate::config::{Config, Drain, Log, StorePlace};
use crate::driver::{self, CallRecords, ClusterOptions, Edge, Handed, Inherited, Options, Signals, StartError};
use crate::engine::Settings;
use crate::observe::{LadderLimits, RecordPage};
use crate::store::{Embedded, Identity, Redis, Store, StoreError};
use crate::transport::Transport;
use crate::vocabulary::RecordQuery;

/// Start the edge
///
/// With a file: as it says. Without: UDP and TCP on 127.0.0.1:5060, any user without a password, and the API on
/// 127.0.0.1:8080 with a random token that is printed once.
///
/// SIGINT or SIGTERM ends it: no new connections, then up to five seconds ([drain]) for what is under way. A second signal ends
/// it at once. SIGUSR2 has the program that is on disk now take over, with every call and without a lost one. SIGHUP reads the file again: users, routes, peers, policies, log level and API token change while calls go on;
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
    driver::check(&settings, &driver::options(&config, &settings)).map_err(unstarted)?;
    let mut inherited = upgrade::inherit()?;
    // The API's port first: it is the one that a second edge on this machine would miss without a sound.
    let api = listen(&config, inherited.as_mut())?;
    let store = open_store(&config, settings.node);
    let mut store = store.map_err(|error| Failure::new(UNSTARTED, &error).hint(error.hint()))?;
    let mut cluster = open_cluster(&config)?;
    let salt = match &mut cluster {
        Some(cluster) => salt(&settings, Some(&mut cluster.store))?,
        None => salt(&settings, store.as_deref_mut())?,
    };
    settings.label = dialects::label(&config, salt);
    let hold = settings.hold;
    let (domain, node) = (settings.domain.clone(), settings.node);
    let open = settings.open;
    let limits = |ladder: crate::config::Ladder| LadderLimits {
        calls: ladder.calls,
        messages: ladder.messages,
        redact: ladder.redact,
    };
    let options = Options {
        ladders: config.ladder.map(limits),
        store,
        cluster,
        inherited,
        confirmed: config.store.as_ref().is_some_and(|store| store.confirmed),
        ..driver::options(&config, &settings)
    };
    let edge = Edge::start(settings, options).map_err(unstarted)?;
    greet(&edge, open, &config, file.is_none());
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
        token.tell(listener.local_addr().map_err(|error| Failure::new(UNSTARTED, error))?);
        server = Some(Server::start(listener, router)?);
        access = Some(given);
    }
    let mut reload = file.clone().map(|path| Reload {
        path,
        running: config.clone(),
        access,
        level,
        audited: audited.clone(),
    });
    upgrade::notify(&[sd_notify::NotifyState::Ready]);
    let signal = loop {
        match until_asked(&edge, reload.as_mut()).await? {
            Asked::Stop(signal) => break signal,
            Asked::Upgrade => {
                let running = reload.as_ref().map_or(&config, |reload| &reload.running);
                if let Some(handed) = take_over(&edge, running, (&file, node), server.as_mut()).await? {
                    return leave(edge, &handed).await;
                }
            }
        }
    };
    tracing::info!(signal, "stopping");
    upgrade::notify(&[sd_notify::NotifyState::Stopping]);
    if let Some(server) = &server {
        server.close();
    }
    let drain = reload.map_or(config.drain, |reload| reload.running.drain);
    let stopped = stop(edge, drain).await;
    if let Some(sink) = audited {
        sink(serde_json::json!({"what": "stopped", "signal": signal}));
    }
    if let Some(server) = server {
        server.task.abort(); // clients that read events would never end by themselves
    }
    stopped
}

/// What a signal asks for.
enum Asked {
    Stop(&'static str),
    Upgrade,
}

/// Serves until a signal asks for something; SIGHUPs on the way are carried out.
async fn until_asked(edge: &Edge, reload: Option<&mut Reload>) -> Result<Asked, Failure> {
    let system = |error| Failure::new(FAILED, error);
    let mut upgrades = Signals::upgrades().map_err(system)?;
    let reloading = async {
        // Without a file there is nothing to read again, and a SIGHUP means what it always meant: the terminal has gone.
        let Some(reload) = reload else {
            return std::future::pending().await;
        };
        let mut hangups = match Signals::hangups() {
            Ok(hangups) => hangups,
            Err(error) => return error,
        };
        loop {
            hangups.next().await;
            if let Ok(now) = sd_notify::NotifyState::monotonic_usec_now() {
                upgrade::notify(&[sd_notify::NotifyState::Reloading, now]);
            }
            reload.again(edge).await;
            upgrade::notify(&[sd_notify::NotifyState::Ready]);
        }
    };
    tokio::select! {
        signal = driver::asked_to_stop() => signal.map(Asked::Stop).map_err(system),
        () = upgrades.next() => Ok(Asked::Upgrade),
        () = edge.ended() => Err(Failure::new(FAILED, "the engine has stopped by itself: this is a defect")),
        error = reloading => Err(system(error)),
    }
}

/// Lets the program that is on disk take over; `None`: it did not, and this process goes on.
async fn take_over(
    edge: &Edge,
    config: &Config,
    (file, node): (&Option<PathBuf>, u16),
    mut server: Option<&mut Server>,
) -> Result<Option<Handed>, Failure> {
    tracing::info!("asked to let the next process take over");
    let api = server.as_ref().and_then(|server| server.listener.try_clone().ok());
    let closing = server.as_ref().map(|server| server.closing.clone());
    let before = || {
        if let Some(closing) = closing {
            closing.send_replace(true);
        }
    };
    match upgrade::begin(edge, config, (file.clone(), node), api, before).await {
        Ok(handed) => Ok(Some(handed)),
        Err(error) => {
            tracing::error!(%error, "no upgrade: this process goes on");
            say!("no upgrade: {error}; this process goes on");
            if let Some(server) = &mut server
                && *server.closing.borrow()
            {
                let listener = server.listener.try_clone();
                let listener = listener.map_err(|error| Failure::new(FAILED, error))?;
                **server = Server::start(listener, server.router.clone())?;
            }
            Ok(None)
        }
    }
}

/// Another process goes on; this one finishes what it could not give away.
async fn leave(edge: Edge, handed: &Handed) -> Result<(), Failure> {
    upgrade::tell(handed);
    upgrade::notify(&[sd_notify::NotifyState::MainPid(handed.pid)]);
    tokio::select! {
        () = edge.ended() => {}
        _ = driver::asked_to_stop() => {}
    }
    tokio::task::spawn_blocking(move || edge.stop())
        .await
        .map_err(|error| Failure::new(FAILED, error))
}

pub(super) fn open_store(config: &Config, node: u16) -> Result<Option<Box<dyn Store>>, StoreError> {
    let Some(store) = &config.store else { return Ok(None) };
    let opened: Result<Box<dyn Store>, StoreError> = match &store.place {
        StorePlace::File(path) => Embedded::open(path.as_ref()).map(|store| Box::new(store) as Box<dyn Store>),
        // The cluster opens it by itself, once it knows under which number.
        StorePlace::Redis { .. } if config.cluster.is_some() => return Ok(None),
        StorePlace::Redis { url, prefix } => {
            Redis::open(url, prefix, node).map(|store| Box::new(store) as Box<dyn Store>)
        }
    };
    opened.map(Some)
}

fn open_cluster(config: &Config) -> Result<Option<ClusterOptions>, Failure> {
    let (Some(cluster), Some(store)) = (&config.cluster, &config.store) else {
        return Ok(None);
    };
    match &store.place {
        StorePlace::File(_) => Ok(None),
        StorePlace::Redis { url, prefix } => {
            let store = Redis::open(url, prefix, 0);
            Ok(Some(ClusterOptions {
                store: store.map_err(|error| Failure::new(UNSTARTED, &error).hint(error.hint()))?,
                link: cluster.link,
                lease: cluster.lease,
            }))
        }
    }
}

async fn stop(edge: Edge, drain: Drain) -> Result<(), Failure> {
    let mut left = tokio::select! {
        left = driver::drain(&edge, drain.stop) => left.map_err(|error| Failure::new(FAILED, error))?,
        _ = driver::asked_to_stop() => driver::totals(&edge).await.map_err(|error| Failure::new(FAILED, error))?,
    };
    if drain.hang_up && left.calls > 0 {
        left = driver::hang_up_all(&edge)
            .await
            .map_err(|error| Failure::new(FAILED, error))?;
    }
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
fn listen(config: &Config, inherited: Option<&mut Inherited>) -> Result<Option<(Listening, Token)>, Failure> {
    let Some(api) = &config.api else { return Ok(None) };
    let refused = |error: std::io::Error| {
        let failure = Failure::new(UNSTARTED, format!("API {}: {error}", api.listen));
        match driver::bind_hint("tcp", api.listen, &error) {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    };
    let listener = match inherited.and_then(|inherited| inherited.api(api.listen)) {
        Some(listener) => listener,
        None => Listening::bind(api.listen).map_err(refused)?,
    };
    listener.set_nonblocking(true).map_err(refused)?;
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

    fn tell(&self, address: SocketAddr) {
        match self {
            Token::Given(_) => say!("  api   http://{address}  (token as configured)"),
            Token::Random(token) => {
                say!("  api   http://{address}  token {token}  (for this run only)");
                say!("  try   WARMLINE_TOKEN={token} warmline calls{}", elsewhere(address));
            }
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

/// The API while it is served. Its port stays open when it is closed, so that another process can go on there.
struct Server {
    listener: Listening,
    router: axum::Router,
    closing: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Server {
    fn start(listener: Listening, router: axum::Router) -> Result<Server, Failure> {
        let system = |error| Failure::new(UNSTARTED, error);
        let (closing, mut closed) = watch::channel(false);
        let accepting = TcpListener::from_std(listener.try_clone().map_err(system)?).map_err(system)?;
        let served = router.clone();
        let shutdown = async move {
            closed.wait_for(|closed| *closed).await.ok(); // the sender has gone: the process ends
        };
        let task = tokio::spawn(async move {
            let service = served.into_make_service_with_connect_info::<SocketAddr>();
            let serving = axum::serve(accepting, service).with_graceful_shutdown(shutdown);
            if let Err(error) = serving.await {
                tracing::error!(%error, "the API has ended");
            }
        });
        Ok(Server {
            listener,
            router,
            closing,
            task,
        })
    }

    /// Accepts no more connections.
    fn close(&self) {
        self.closing.send_replace(true);
    }
}

/// What the API is told of the edge.
fn api_options(edge: &Edge, access: Access, dialects: Vec<utoipa::openapi::OpenApi>) -> native::Options {
    let (metrics, state) = (Arc::clone(edge.metrics()), Arc::clone(edge.metrics()));
    let ladders = edge.ladders().cloned();
    let nodes = edge.nodes().clone();
    native::Options {
        softphone: edge.softphone().cloned(),
        dialects,
        records: Arc::new(Records(edge.records().clone())),
        nodes: Arc::new(move || nodes.json()),
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
        say!("  store {}", store.place);
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
