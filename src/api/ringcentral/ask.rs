//! What every request goes through: who asks, for which account, with what body.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::header;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::fault::Fault;
use super::people::Extension;
use super::state::Shared;
use crate::api::native::body::{DEPTH, depth};
use crate::api::time;

/// The most octets that a body may have.
const LIMIT: usize = 256 * 1024;

/// Somebody who has logged in.
pub(super) struct Caller {
    /// Its place in the directory.
    pub(super) extension: usize,
    /// Tokens of one login end together.
    pub(super) login: u64,
}

impl Caller {
    pub(super) fn is<'a>(&self, shared: &'a Shared) -> Result<&'a Extension, Fault> {
        shared
            .directory
            .extensions
            .get(self.extension)
            .ok_or_else(Fault::unavailable)
    }
}

impl FromRequestParts<Arc<Shared>> for Caller {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Caller, Fault> {
        let given = parts.headers.get(header::AUTHORIZATION);
        let given = given.map(|given| given.to_str().unwrap_or_default());
        let (extension, login) = shared.access().admit(time::now(), given)?;
        Ok(Caller { extension, login })
    }
}

/// What the path names; what it does not is empty.
#[derive(Debug, Default)]
pub(super) struct Named {
    pub(super) session: String,
    pub(super) party: String,
    pub(super) extension: String,
    pub(super) subscription: String,
    pub(super) recording: String,
}

impl Named {
    /// Session and party.
    pub(super) fn party(&self) -> (&str, &str) {
        (&self.session, &self.party)
    }
}

impl FromRequestParts<Arc<Shared>> for Named {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Named, Fault> {
        let path: Result<Path<Vec<(String, String)>>, _> = Path::from_request_parts(parts, shared).await;
        let Path(path) = path.map_err(|_| Fault::uri())?;
        let mut named = Named::default();
        for (name, value) in path {
            match name.as_str() {
                "account" if value == "~" || value == shared.directory.account => {}
                "account" => return Err(Fault::not_found("accountId")),
                "session" => named.session = value,
                "party" => named.party = value,
                "extension" => named.extension = value,
                "subscription" => named.subscription = value,
                "recording" => named.recording = value,
                _ => {}
            }
        }
        Ok(named)
    }
}

/// The octets of a body, bounded.
pub(super) struct Octets(pub(super) Vec<u8>);

impl FromRequest<Arc<Shared>> for Octets {
    type Rejection = Fault;

    async fn from_request(request: Request, _: &Arc<Shared>) -> Result<Octets, Fault> {
        read(request.into_body()).await
    }
}

async fn read(body: Body) -> Result<Octets, Fault> {
    let octets = to_bytes(body, LIMIT).await.map_err(|_| Fault::too_large())?;
    Ok(Octets(octets.to_vec()))
}

impl Octets {
    /// What they mean, with the field of a mistake. An empty body is an empty object: clients send either.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        let octets: &[u8] = match self.0.trim_ascii() {
            b"" | b"null" => b"{}",
            octets => octets,
        };
        if depth(octets) > DEPTH {
            return Err(Fault::body(format_args!("nested deeper than {DEPTH} levels")));
        }
        let mut reader = serde_json::Deserializer::from_slice(octets);
        let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            let path = error.path().to_string();
            match error.inner().classify() {
                serde_json::error::Category::Data => {
                    let field = missing(&error.inner().to_string()).unwrap_or(path);
                    Fault::parameter(&field, "")
                }
                serde_json::error::Category::Io
                | serde_json::error::Category::Syntax
                | serde_json::error::Category::Eof => Fault::body(error.inner()),
            }
        })?;
        reader.end().map_err(Fault::body)?;
        Ok(value)
    }
}

/// The field that serde names in backquotes when it has no path to it.
fn missing(what: &str) -> Option<String> {
    let name = what.strip_prefix("missing field `")?;
    name.split('`').next().map(str::to_owned)
}

/// Texts and numbers alike: clients send ids as either.
pub(super) fn text_or_number<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Either {
        Text(String),
        Number(u64),
    }
    let given: Option<Either> = serde::Deserialize::deserialize(deserializer)?;
    Ok(given.map(|given| match given {
        Either::Text(text) => text,
        Either::Number(number) => number.to_string(),
    }))
}
