//! `?limit=N` of lists that can be long.

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use serde::Deserialize;

use super::problem::Problem;

/// How much of a list is wanted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    limit: Option<usize>,
}

impl Page {
    /// At most so many.
    pub(super) fn limit(&self) -> usize {
        self.limit.unwrap_or(usize::MAX)
    }

    /// The first of a list.
    pub(super) fn first<T>(&self, mut list: Vec<T>) -> Vec<T> {
        list.truncate(self.limit());
        list
    }

    /// The last of a list: the newest, where the oldest stand first.
    pub(super) fn last<T>(&self, mut list: Vec<T>) -> Vec<T> {
        let skipped = list.len().saturating_sub(self.limit());
        list.split_off(skipped)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Page {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let wrong = || {
            Problem::malformed("the only query parameter here is `limit`, a number from 1 on")
                .field("limit")
                .hint("as in ?limit=50; `total` in the answer says how many there are")
        };
        let Query(page) = Query::<Page>::from_request_parts(parts, state)
            .await
            .map_err(|_| wrong())?;
        if page.limit == Some(0) { Err(wrong()) } else { Ok(page) }
    }
}
