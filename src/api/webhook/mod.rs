//! Outgoing HTTP: what the edge tells and asks the applications of others.
//!
//! Owns: which addresses may be asked (see [`forbidden`](address::forbidden)), the one look-up and the one connection of a
//! request, the bounds of its time and its answer, and the ordered, bounded retries of notifications.
//!
//! Refuses: redirects (whoever answers one could send us anywhere), addresses of private networks that `[webhook] allow`
//! does not list, more than [`MOST_BODY`] octets of answer (sounds have a bound of their own), proxies, cookies, compressed answers, and to say in an event or
//! a log what was sent or where exactly: URLs carry tokens.
//!
//! RFC sections: 9110, 9112 (HTTP/1.1), 6890 and 4291 (special addresses), 7617 (user and password in a URL).
//!
//! ```
//! use std::sync::Arc;
//! use axum::http::Request;
//! use bytes::Bytes;
//! use warmline::api::{EngineHandle, EventLog, webhook};
//!
//! let (edge, _orders) = EngineHandle::new(Arc::new(EventLog::new()));
//! let hooks = webhook::Client::new(webhook::Options::default(), edge).unwrap();
//! let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
//! let request = Request::post("http://127.0.0.1:9/calls").body(Bytes::from_static(b"CallSid=CA1")).unwrap();
//! let refused = runtime.block_on(hooks.send(request)).unwrap_err();
//! assert!(matches!(refused, webhook::WebhookError::Forbidden { .. }));
//! ```

mod address;
mod exchange;
mod queue;
#[cfg(test)]
mod tests;

use std::fmt;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{Request, Response, Uri};
use bytes::Bytes;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

pub use queue::Retry;

use super::EngineHandle;
use crate::config::Webhook;
use crate::engine::Network;
use queue::Queue;

/// The longest answer that is taken, in octets.
pub const MOST_BODY: usize = 1024 * 1024;
/// For look-up, connection, TLS, request and answer together.
const PATIENCE: Duration = Duration::from_secs(5);
/// Where Debian and its kin keep the roots that everybody trusts.
const SYSTEM_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";

/// What a look-up brings.
pub type Addresses = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Looks a host name up.
pub type Resolve = Arc<dyn Fn(String) -> Addresses + Send + Sync>;

/// How webhooks are sent.
#[derive(Clone)]
pub struct Options {
    /// Networks that are asked although they are nobody's business from outside.
    pub allow: Vec<Network>,
    /// Roots trusted beside those of the system, as a PEM file.
    pub ca: Option<PathBuf>,
    /// For one request and its answer, all in all.
    pub patience: Duration,
    /// How notifications are repeated.
    pub retry: Retry,
    /// Asks for addresses; by default the system.
    pub resolve: Resolve,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            allow: Vec::new(),
            ca: None,
            patience: PATIENCE,
            retry: Retry::default(),
            resolve: Arc::new(|host| Box::pin(system(host))),
        }
    }
}

impl From<&Webhook> for Options {
    fn from(section: &Webhook) -> Options {
        Options {
            allow: section.allow.clone(),
            ca: section.ca.as_ref().map(PathBuf::from),
            ..Options::default()
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("allow", &self.allow)
            .finish_non_exhaustive()
    }
}

async fn system(host: String) -> io::Result<Vec<IpAddr>> {
    let found = tokio::net::lookup_host((host, 0)).await?;
    Ok(found.map(|address| address.ip()).collect())
}

/// Why a request brought no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// No http or https URL with a host.
    #[error("this is no http or https URL with a host")]
    BadUrl,
    /// The host name has no address.
    #[error("the host was not found")]
    NotFound,
    /// An address that may not be asked.
    #[error("{address} is {why}; `[webhook] allow` does not list it")]
    Forbidden {
        /// Which.
        address: IpAddr,
        /// What it is.
        why: &'static str,
    },
    /// No connection, or it broke, or what came was no HTTP.
    #[error("the connection failed: {0}")]
    Connection(String),
    /// The certificate is not to be trusted, or is for somebody else.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// Not all was there in time.
    #[error("no answer within {} ms", .0.as_millis())]
    Late(Duration),
    /// More than may be.
    #[error("the answer is too long")]
    TooLong,
    /// The answer sends us elsewhere.
    #[error("the answer is a redirect ({status}), and none is followed")]
    Redirected {
        /// 300 to 399.
        status: u16,
    },
}

/// Sends requests to applications. Cheap to clone: clones share their queues.
#[derive(Clone, Debug)]
pub struct Client {
    sender: Arc<Sender>,
    queue: Arc<Queue>,
}

/// What one request needs.
struct Sender {
    allow: Vec<Network>,
    patience: Duration,
    resolve: Resolve,
    tls: TlsConnector,
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("allow", &self.allow)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Reads the roots. `edge`'s event log is where it is said that a notification was given up.
    pub fn new(options: Options, edge: EngineHandle) -> io::Result<Client> {
        let roots = roots(options.ca.as_deref())?;
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let sender = Arc::new(Sender {
            allow: options.allow,
            patience: options.patience,
            resolve: options.resolve,
            tls: TlsConnector::from(Arc::new(config)),
        });
        let queue = Arc::new(Queue::new(options.retry, Arc::clone(&sender), edge));
        Ok(Client { sender, queue })
    }

    /// Sends a request to the absolute URL in it and waits for its answer, whatever its status, but for redirects.
    pub async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, WebhookError> {
        self.sender.send(request, MOST_BODY).await
    }

    /// As [`Client::send`], for an answer that may be `most` octets long.
    pub async fn download(&self, request: Request<Bytes>, most: usize) -> Result<Response<Bytes>, WebhookError> {
        self.sender.send(request, most).await
    }

    /// Sends a notification when those before it in the same `lane` are delivered or given up, and again where nobody takes
    /// it (no connection, no answer, 429, 5xx). Says `false` when too many wait already: then it is given up at once.
    ///
    /// A lane is whatever has an order of its own: a subscription, or a URL with the call that it is told of.
    pub fn queue(&self, lane: &str, request: Request<Bytes>) -> bool {
        Queue::push(&self.queue, lane, request)
    }
}

impl Sender {
    async fn send(&self, request: Request<Bytes>, most: usize) -> Result<Response<Bytes>, WebhookError> {
        let exchange = exchange::exchange(self, request, most);
        let late = |_| WebhookError::Late(self.patience);
        tokio::time::timeout(self.patience, exchange).await.map_err(late)?
    }
}

/// Scheme, host and port: as much of a URL as may be told.
fn origin(uri: &Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or("http");
    let port = uri.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{scheme}://{}{port}", uri.host().unwrap_or_default())
}

fn roots(ca: Option<&Path>) -> io::Result<RootCertStore> {
    let mut store = RootCertStore::empty();
    let system = Some(Path::new(SYSTEM_ROOTS)).filter(|path| path.exists());
    for path in system.into_iter().chain(ca) {
        let wrong = |what: String| io::Error::other(format!("{}: {what}", path.display()));
        let certificates = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| wrong(error.to_string()))?;
        let (added, _) = store.add_parsable_certificates(certificates);
        if added == 0 {
            return Err(wrong("no usable certificate in it".to_owned()));
        }
    }
    Ok(store)
}
