//! The handle in a path, with the path's own name for it in case it is none.

use std::str::FromStr;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;

use super::problem::Problem;
use crate::engine::BadHandle;

/// The only parameter of a path, read as a handle.
pub(super) struct Named<H>(pub(super) H);

impl<S: Send + Sync, H: FromStr<Err = BadHandle>> FromRequestParts<S> for Named<H> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let unreadable = || Problem::malformed("the path is no text");
        let params = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|_| unreadable())?;
        let (name, text) = params.iter().next().ok_or_else(unreadable)?;
        let handle = text
            .parse()
            .map_err(|error: BadHandle| Problem::malformed(error.to_string()).field(name))?;
        Ok(Named(handle))
    }
}
