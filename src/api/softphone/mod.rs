//! The softphone page: SIP over WebSocket in a browser, built into the binary and served at `/phone/`.
//!
//! Owns: the files of `web/softphone/dist`, the page's configuration, and the headers that keep it harmless. The same
//! [`Site`] answers at the API's port and at every `ws` and `wss` listener; at the latter the page and its WebSocket
//! have one origin, and one certificate.
//!
//! Refuses: to know a secret. The page needs no token: it has nothing that the login of a phone would not be asked for.
//! It may connect to the listed servers and to nothing else, and runs no script but its own (CSP), so that a password
//! which is typed into it goes to this edge only.
//!
//! RFC sections: 9110 (HTTP), 7118 (SIP over WebSocket); Content Security Policy Level 3.
//!
//! ```
//! use warmline::api::softphone::{Asked, Site};
//! use warmline::engine::Listener;
//! use warmline::transport::Transport;
//!
//! let address = "0.0.0.0:8443".parse().unwrap();
//! let listeners = [Listener { transport: Transport::Wss, address, advertised: address }];
//! let site = Site::new("example.test", &listeners, &[]);
//! let page = site.answer(&Asked { path: "/phone/", host: Some("edge.example.test:8443"), tls: true, port: 8443 });
//! assert_eq!(page.status(), 200);
//! let policy = page.headers()["content-security-policy"].to_str().unwrap();
//! assert!(policy.contains("connect-src 'self' wss://edge.example.test:8443;"));
//! ```

mod files;
mod servers;

use axum::http::{HeaderValue, Method, Response, StatusCode, header};
use bytes::Bytes;
use serde_json::json;

use crate::engine::Listener;
use files::File;
use servers::Server;

/// Where the page stands.
pub const PATH: &str = "/phone";

/// The page and what it is told.
#[derive(Clone, Debug)]
pub struct Site {
    domain: String,
    /// What the configuration says; they win over those of the listeners.
    named: Vec<String>,
    servers: Vec<Server>,
}

/// What somebody asks for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The path of the request.
    pub path: &'a str,
    /// Its Host header.
    pub host: Option<&'a str>,
    /// Whether it came over TLS.
    pub tls: bool,
    /// The port that it came to.
    pub port: u16,
}

impl Site {
    /// The page of an edge that serves `domain` on these listeners. `named` are WebSocket URLs that stand for them where
    /// a reverse proxy is in front.
    pub fn new(domain: &str, listeners: &[Listener], named: &[String]) -> Site {
        Site {
            domain: domain.to_owned(),
            named: named.to_vec(),
            servers: servers::of(listeners),
        }
    }

    /// Whether there is a server that the page could connect to.
    pub fn is_useful(&self) -> bool {
        !self.named.is_empty() || !self.servers.is_empty()
    }

    /// Whether the path is the page's.
    pub fn owns(path: &str) -> bool {
        path.strip_prefix(PATH)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Answers GET and HEAD, and says of other methods that they are not.
    pub fn respond(&self, method: &Method, asked: &Asked<'_>) -> Response<Bytes> {
        if *method == Method::GET || *method == Method::HEAD {
            return self.answer(asked);
        }
        let mut refusal = text(StatusCode::METHOD_NOT_ALLOWED, "the page is only read\n");
        let allowed = HeaderValue::from_static("GET, HEAD");
        refusal.headers_mut().insert(header::ALLOW, allowed);
        refusal
    }

    /// Answers GET.
    pub fn answer(&self, asked: &Asked<'_>) -> Response<Bytes> {
        let Some(name) = asked.path.strip_prefix(PATH).filter(|_| Site::owns(asked.path)) else {
            return text(StatusCode::NOT_FOUND, "the softphone is at /phone/\n");
        };
        let urls = self.urls(asked);
        match name.strip_prefix('/') {
            // The page's files are named beside it.
            None => moved(),
            Some(_) if !self.is_useful() => {
                let why = "the page needs SIP over WebSocket: add a [[listen]] with transport = \"ws\" or \"wss\"\n";
                text(StatusCode::NOT_FOUND, why)
            }
            Some("config.json") => guarded(self.config(&urls), "application/json", &urls),
            Some(name) => match File::named(if name.is_empty() { "index.html" } else { name }) {
                Some(file) => guarded(Bytes::from_static(file.bytes), file.kind, &urls),
                None => text(StatusCode::NOT_FOUND, "the softphone has no such file\n"),
            },
        }
    }

    fn urls(&self, asked: &Asked<'_>) -> Vec<String> {
        if self.named.is_empty() {
            servers::urls(&self.servers, asked)
        } else {
            self.named.clone()
        }
    }

    fn config(&self, urls: &[String]) -> Bytes {
        let servers: Vec<_> = urls.iter().map(|url| json!({ "url": url })).collect();
        let config = json!({ "domain": self.domain, "servers": servers, "version": env!("CARGO_PKG_VERSION") });
        config.to_string().into()
    }
}

fn text(status: StatusCode, words: &'static str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(words.as_bytes()));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn moved() -> Response<Bytes> {
    let mut response = text(StatusCode::PERMANENT_REDIRECT, "the softphone is at /phone/\n");
    let there = HeaderValue::from_static("/phone/");
    response.headers_mut().insert(header::LOCATION, there);
    response
}

/// A file with everything that a browser can be told to refuse for it: scripts of others and in the text, connections
/// elsewhere, being framed, and devices that a phone does not need.
fn guarded(body: Bytes, kind: &'static str, urls: &[String]) -> Response<Bytes> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self' blob:; \
         connect-src 'self' {}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        urls.join(" ")
    );
    if let Ok(policy) = HeaderValue::try_from(policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        (
            "permissions-policy",
            "microphone=(self), camera=(), geolocation=(), display-capture=()",
        ),
        // A new version of the edge is a new page at once.
        ("cache-control", "no-cache"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests;
