//! Looking for records, outside of whatever guards them.

use std::sync::Arc;

use super::record::{Record, bare};
use crate::vocabulary::RecordQuery;

/// What was found, the newest first.
#[derive(Clone, Debug)]
pub struct RecordPage {
    /// At most as many as were asked for.
    pub records: Vec<Arc<Record>>,
    /// How many there are in all, on every page.
    pub total: usize,
    /// The id to ask for the next page with; `None`: this was the last.
    pub next: Option<String>,
}

/// One page of what is asked for.
pub fn page(all: Vec<Arc<Record>>, query: &RecordQuery) -> RecordPage {
    let mut found: Vec<Arc<Record>> = all.into_iter().filter(|record| matches(record, query)).collect();
    found.sort_by_key(|record| std::cmp::Reverse(place(&record.id)));
    let total = found.len();
    if let Some(after) = &query.after {
        let last = place(after);
        found.retain(|record| place(&record.id) < last);
    }
    let more = found.len() > query.limit;
    found.truncate(query.limit);
    let next = found.last().filter(|_| more).map(|record| record.id.clone());
    RecordPage {
        records: found,
        total,
        next,
    }
}

/// The record with this id, or the one that has taken it in.
pub fn find(all: Vec<Arc<Record>>, id: &str) -> Option<Arc<Record>> {
    all.into_iter()
        .find(|record| record.id == id || record.joined.iter().any(|joined| joined == id))
}

/// Where a record stands among all; what is no id stands behind all.
fn place(id: &str) -> (u64, u64) {
    let number = |text: &str| u64::from_str_radix(text, 16).ok();
    let parts = id.split_once('-');
    let place = parts.and_then(|(at, key)| Some((number(at)?, number(key)?)));
    place.unwrap_or_default()
}

fn matches(record: &Record, query: &RecordQuery) -> bool {
    let RecordQuery {
        party,
        call,
        since,
        until,
        ended,
        after: _,
        limit: _,
    } = query;
    party.as_ref().is_none_or(|party| is_in(record, party))
        && call.is_none_or(|call| record.calls.contains(&call))
        && since.is_none_or(|since| record.started_at >= since)
        && until.is_none_or(|until| record.started_at < until)
        && ended.is_none_or(|ended| record.ended_at.is_some() == ended)
}

fn is_in(record: &Record, wanted: &str) -> bool {
    let user = |address: &str| {
        let (_, rest) = address.split_once(':').unwrap_or(("", address));
        rest.rsplit_once('@').map_or(rest, |(user, _)| user) == wanted
    };
    record.parties.iter().any(|party| party == bare(wanted) || user(party))
}
