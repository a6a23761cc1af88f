//! Call records: one for each customer's call, whoever it was handed to.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use serde_json::Value;

use super::problem::Problem;
use super::{Shared, record_schema as schema};
use crate::engine::BadHandle;
use crate::vocabulary::{BadMoment, Moment, RecordQuery};

/// The most that one page has.
const MOST: usize = 200;

/// Gives call records as JSON.
pub trait RecordSource: Send + Sync {
    /// `records`, `total` and `next` of what is asked for.
    fn page(&self, query: &RecordQuery) -> Value;
    /// The record with this id; `None`: it is not remembered.
    fn find(&self, id: &str) -> Option<Value>;
}

/// Which records are wanted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    party: Option<String>,
    call: Option<String>,
    since: Option<String>,
    until: Option<String>,
    ended: Option<bool>,
    after: Option<String>,
    limit: Option<usize>,
}

impl Wanted {
    fn query(self) -> Result<RecordQuery, Problem> {
        let time = |field: &'static str, text: Option<String>| {
            let read = text.map(|text| text.parse::<Moment>()).transpose();
            read.map_err(|error: BadMoment| Problem::malformed(error.to_string()).field(field))
        };
        let call = self.call.map(|call| call.parse()).transpose();
        let limit = self.limit.unwrap_or(50);
        if !(1..=MOST).contains(&limit) {
            return Err(Problem::malformed(format!("from 1 to {MOST}")).field("limit"));
        }
        Ok(RecordQuery {
            party: self.party,
            call: call.map_err(|error: BadHandle| Problem::malformed(error.to_string()).field("call"))?,
            since: time("since", self.since)?,
            until: time("until", self.until)?,
            ended: self.ended,
            after: self.after,
            limit,
        })
    }
}

/// Call records, the newest first: one for each customer's call, across its transfers, consults and moves.
#[utoipa::path(get, path = "/v1/records", tag = "records",
    params(("party" = Option<String>, Query, description = "Only with this party: its address, or its user part alone"),
        ("call" = Option<String>, Query, description = "Only that of this call"),
        ("since" = Option<String>, Query, description = "Only those that began then or later (RFC 3339, UTC)"),
        ("until" = Option<String>, Query, description = "Only those that began before"),
        ("ended" = Option<bool>, Query, description = "Only complete ones, or only those of calls that are up"),
        ("after" = Option<String>, Query, description = "The `next` of the page before"),
        ("limit" = Option<usize>, Query, description = "1 to 200; default 50")),
    responses((status = 200, body = schema::Records), (status = 400, body = Problem)))]
pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    wanted: Result<Query<Wanted>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(wanted) = wanted.map_err(|error| Problem::malformed(error.body_text()))?;
    Ok(Json(shared.records.page(&wanted.query()?)))
}

/// One record; also by the id of one that was joined to it.
#[utoipa::path(get, path = "/v1/records/{record}", tag = "records",
    params(("record" = String, Path, description = "Its id")),
    responses((status = 200, body = schema::CallRecord), (status = 404, body = Problem)))]
pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    Path(record): Path<String>,
) -> Result<Json<Value>, Problem> {
    let found = shared.records.find(&record);
    found.map(Json).ok_or_else(|| Problem::no_record(&record))
}

/// None at all, for an edge that keeps none.
pub(super) struct Nothing;

impl RecordSource for Nothing {
    fn page(&self, _: &RecordQuery) -> Value {
        serde_json::json!({ "records": [], "total": 0, "next": null })
    }

    fn find(&self, _: &str) -> Option<Value> {
        None
    }
}
