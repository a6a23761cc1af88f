//! Asks the API of a running edge: one request, one connection.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use super::failure::{FAILED, Failure, WRONG};

/// A little longer than the API's own patience, so that its answer arrives.
const PATIENCE: Duration = Duration::from_secs(50);
const LARGEST: usize = 64 * 1024 * 1024;

/// Which edge to ask, and as whom.
#[derive(Debug, clap::Args)]
pub(super) struct Target {
    /// Where the API is
    #[arg(
        long,
        env = "WARMLINE_API",
        value_name = "URL",
        default_value = "http://127.0.0.1:8080"
    )]
    api: String,
    /// The bearer token: that of [api], or the one printed at start
    #[arg(long, env = "WARMLINE_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    token: String,
}

impl Target {
    pub(super) fn new(api: String, token: String) -> Target {
        Target { api, token }
    }
}

/// Sends one request; gives the answer's JSON, or what the edge says is wrong.
pub(super) fn ask(target: &Target, method: &str, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(FAILED, format!("the system refused an event loop: {error}")))?;
    let answer = async { tokio::time::timeout(PATIENCE, exchange(target, method, path, body)).await };
    runtime
        .block_on(answer)
        .map_err(|_| Failure::new(FAILED, "the edge did not answer in time"))?
}

async fn exchange(target: &Target, method: &str, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
    let wrong =
        || Failure::new(WRONG, format!("`{}` is no address of an API", target.api)).hint("write http://127.0.0.1:8080");
    let authority = target
        .api
        .strip_prefix("http://")
        .ok_or_else(wrong)?
        .trim_end_matches('/');
    if authority.is_empty() || authority.contains('/') {
        return Err(wrong());
    }
    let address = if authority
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok())
    {
        authority.to_owned()
    } else {
        format!("{authority}:80")
    };
    let stream = TcpStream::connect(&address).await.map_err(|error| {
        Failure::new(FAILED, format!("{address}: {error}"))
            .hint("is the edge running with [api]? `warmline run` prints where; give it with --api")
    })?;
    let lost = |error: hyper::Error| Failure::new(FAILED, format!("{address}: {error}"));
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(lost)?;
    tokio::spawn(connection);
    let octets = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("Host", authority)
        .header("Authorization", format!("Bearer {}", target.token));
    if body.is_some() {
        request = request.header("Content-Type", "application/json");
    }
    let request = request
        .body(Full::new(octets))
        .map_err(|error| Failure::new(WRONG, error))?;
    let response = sender.send_request(request).await.map_err(lost)?;
    let status = response.status();
    let body = Limited::new(response.into_body(), LARGEST).collect().await;
    let body = body
        .map_err(|error| Failure::new(FAILED, format!("{address}: {error}")))?
        .to_bytes();
    let value = if body.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&body).unwrap_or(Value::Null)
    };
    if status.is_success() {
        Ok(value)
    } else {
        Err(refused(status.as_u16(), &value))
    }
}

/// A problem document in words.
fn refused(status: u16, problem: &Value) -> Failure {
    let text = |name: &str| problem[name].as_str().map(str::to_owned);
    let title = text("title").unwrap_or_else(|| format!("the API answered {status}"));
    let detail = text("detail").map(|detail| format!(": {detail}")).unwrap_or_default();
    let field = text("field").map(|field| format!(" ({field})")).unwrap_or_default();
    let failure = Failure::new(FAILED, format!("{title}{detail}{field}"));
    match text("hint") {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
