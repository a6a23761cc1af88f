//! One request over one connection of its own.

use std::io;
use std::net::{IpAddr, SocketAddr};

use axum::http::header::{self, HeaderValue};
use axum::http::uri::PathAndQuery;
use axum::http::{Request, Response, Uri};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::address::forbidden;
use super::{Sender, WebhookError};

/// Of an answer's head, in octets.
const MOST_HEAD: usize = 64 * 1024;

/// Looks the host up once, connects to an address of that answer, and takes one answer.
pub(super) async fn exchange(
    sender: &Sender,
    request: Request<Bytes>,
    most: usize,
) -> Result<Response<Bytes>, WebhookError> {
    let host = request.uri().host().ok_or(WebhookError::BadUrl)?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let tls = match request.uri().scheme_str() {
        Some("http") => false,
        Some("https") => true,
        Some(_) | None => return Err(WebhookError::BadUrl),
    };
    let port = request.uri().port_u16().unwrap_or(if tls { 443 } else { 80 });
    let request = in_origin_form(request)?;
    let stream = connect(&addresses(sender, &host).await?, port).await?;
    let answer = if tls {
        let name = ServerName::try_from(host).map_err(|_| WebhookError::BadUrl)?;
        let stream = sender.tls.connect(name, stream).await;
        talk(
            stream.map_err(|error| WebhookError::Tls(error.to_string()))?,
            request,
            most,
        )
        .await?
    } else {
        talk(stream, request, most).await?
    };
    let status = answer.status();
    if status.is_redirection() {
        return Err(WebhookError::Redirected {
            status: status.as_u16(),
        });
    }
    Ok(answer)
}

/// Those of the host that may be asked. What a second look-up would say is nobody's interest: none is made.
async fn addresses(sender: &Sender, host: &str) -> Result<Vec<IpAddr>, WebhookError> {
    let found = match host.parse::<IpAddr>() {
        Ok(address) => vec![address],
        Err(_) => (sender.resolve)(host.to_owned())
            .await
            .map_err(|_| WebhookError::NotFound)?,
    };
    let mut refused = None;
    let mut good = Vec::new();
    for address in found {
        match forbidden(address, &sender.allow) {
            None => good.push(address),
            Some(why) => refused = refused.or(Some(WebhookError::Forbidden { address, why })),
        }
    }
    match refused {
        Some(error) if good.is_empty() => Err(error),
        None if good.is_empty() => Err(WebhookError::NotFound),
        Some(_) | None => Ok(good),
    }
}

async fn connect(addresses: &[IpAddr], port: u16) -> Result<TcpStream, WebhookError> {
    let mut failed = WebhookError::NotFound;
    for address in addresses {
        match TcpStream::connect(SocketAddr::new(*address, port)).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = lost(&error),
        }
    }
    Err(failed)
}

fn lost(error: &io::Error) -> WebhookError {
    WebhookError::Connection(error.to_string())
}

/// RFC 9112 §3.2.1: path and query only, the rest as Host; user and password of the URL as Authorization (RFC 7617).
fn in_origin_form(mut request: Request<Bytes>) -> Result<Request<Bytes>, WebhookError> {
    let authority = request.uri().authority().ok_or(WebhookError::BadUrl)?.to_string();
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user.to_owned()), host.to_owned()),
        None => (None, authority),
    };
    let path = request.uri().path_and_query().cloned();
    let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
    *request.uri_mut() = Uri::from(path);
    let value = |text: String| HeaderValue::try_from(text).map_err(|_| WebhookError::BadUrl);
    let headers = request.headers_mut();
    headers.insert(header::HOST, value(host)?);
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    let agent = concat!("warmline/", env!("CARGO_PKG_VERSION"));
    headers
        .entry(header::USER_AGENT)
        .or_insert(HeaderValue::from_static(agent));
    if let Some(user) = user {
        let secret = STANDARD.encode(user);
        headers.insert(header::AUTHORIZATION, value(format!("Basic {secret}"))?);
    }
    Ok(request)
}

async fn talk<S>(stream: S, request: Request<Bytes>, most: usize) -> Result<Response<Bytes>, WebhookError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let broken = |error: hyper::Error| WebhookError::Connection(error.to_string());
    let mut builder = http1::Builder::new();
    builder.max_buf_size(MOST_HEAD);
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let ask = async {
        let answer = sender.send_request(request.map(Full::new)).await.map_err(broken)?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, most).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                WebhookError::TooLong
            } else {
                WebhookError::Connection(error.to_string())
            }
        })?;
        Ok(Response::from_parts(head, body.to_bytes()))
    };
    tokio::pin!(connection);
    tokio::pin!(ask);
    // The connection lives here and nowhere else: whoever gives up waiting closes it.
    tokio::select! {
        answer = &mut ask => answer,
        ended = &mut connection => match ended {
            Ok(()) => ask.await,
            Err(error) => Err(broken(error)),
        },
    }
}
