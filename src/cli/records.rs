//! `warmline records`: what became of calls, from a running edge or from the file that it writes.

use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use super::client::{Target, ask};
use super::failure::{FAILED, Failure, WRONG};
use super::say::say;
use crate::observe::{Record, page_of_records};
use crate::vocabulary::{Moment, RecordQuery};

/// List call records: one a customer's call, with all its legs and transfers
///
/// The newest first, those of calls that are up included. With --file the edge need not run.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  warmline records --token TOKEN\n  warmline records --party agent1 --json --token TOKEN | jq .records[0]\n  \
    warmline records --file /var/lib/warmline/calls.jsonl"
)]
pub(super) struct Records {
    /// Only those with this party: sip:user@host, or the user alone
    #[arg(long)]
    party: Option<String>,
    /// Only those that began then or later: 2026-11-20T10:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// At most so many, up to 200
    #[arg(long, default_value_t = 50)]
    limit: usize,
    /// As the API gives them
    #[arg(long)]
    json: bool,
    /// Read the file of [records] instead of asking the edge
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
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
    token: Option<String>,
}

pub(super) fn records(args: &Records) -> Result<(), Failure> {
    let answer = match (&args.file, &args.token) {
        (Some(file), _) => from_file(args, file)?,
        (None, Some(token)) => {
            let target = Target::new(args.api.clone(), token.clone());
            ask(&target, "GET", &path(args), None)?
        }
        (None, None) => {
            let hint = "give --token for a running edge, or --file for the file that it writes";
            return Err(Failure::new(WRONG, "which records?").hint(hint));
        }
    };
    if args.json {
        say!("{answer:#}");
        return Ok(());
    }
    let records = answer["records"].as_array().map(Vec::as_slice).unwrap_or_default();
    if records.is_empty() {
        say!("no records");
        return Ok(());
    }
    let head = ["started", "seconds", "from", "to", "cause", "legs", "transfers"];
    say!("{}", line(&head.map(str::to_owned)));
    for record in records {
        say!("{}", line(&row(record)));
    }
    if let Some(total) = answer["total"].as_u64().filter(|total| *total > records.len() as u64) {
        say!(
            "{} of {total}; --limit, --since and --party choose others",
            records.len()
        );
    }
    Ok(())
}

fn path(args: &Records) -> String {
    let escaped = |text: &str| -> String {
        let octet = |octet: u8| match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(octet).to_string(),
            octet => format!("%{octet:02X}"),
        };
        text.bytes().map(octet).collect()
    };
    let mut path = format!("/v1/records?limit={}", args.limit);
    if let Some(party) = &args.party {
        path.push_str(&format!("&party={}", escaped(party)));
    }
    if let Some(since) = &args.since {
        path.push_str(&format!("&since={}", escaped(&since.to_string())));
    }
    path
}

fn from_file(args: &Records, path: &Path) -> Result<Value, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::new(FAILED, format!("{}: {error}", path.display()));
    let file = std::fs::File::open(path).map_err(|error| failed(&error))?;
    let (mut records, mut others) = (Vec::new(), 0_u64);
    for line in std::io::BufReader::new(file).lines() {
        let line = line.map_err(|error| failed(&error))?;
        match serde_json::from_str::<Record>(&line) {
            Ok(record) => records.push(Arc::new(record)),
            Err(_) => others += u64::from(!line.trim().is_empty()),
        }
    }
    if others > 0 {
        eprintln!("{others} lines are no call records");
    }
    let page = page_of_records(
        records,
        &RecordQuery {
            party: args.party.clone(),
            since: args.since,
            limit: args.limit,
            ..RecordQuery::default()
        },
    );
    let plain: Vec<_> = page.records.iter().map(|record| json!(**record)).collect();
    Ok(json!({ "records": plain, "total": page.total, "next": page.next }))
}

fn row(record: &Value) -> [String; 7] {
    let text = |name: &str| record[name].as_str().unwrap_or("-").to_owned();
    let at = |name: &str| record[name].as_str().and_then(|text| text.parse::<Moment>().ok());
    let count = |name: &str| record[name].as_array().map_or(0, Vec::len).to_string();
    let talked = match (at("answered_at"), at("ended_at")) {
        (Some(answered), Some(ended)) => (ended.0.saturating_sub(answered.0) / 1_000).to_string(),
        (Some(_), None) => "up".to_owned(),
        (None, _) => "-".to_owned(),
    };
    let cause = match &record["cause"] {
        Value::String(cause) => cause.clone(),
        Value::Object(cause) => cause.keys().next().cloned().unwrap_or_default(),
        _ => "-".to_owned(),
    };
    let party = |name: &str| text(name).trim_start_matches("sip:").to_owned();
    [
        text("started_at"),
        talked,
        party("from"),
        party("to"),
        cause,
        count("legs"),
        count("transfers"),
    ]
}

fn line(cells: &[String; 7]) -> String {
    let [started, seconds, from, to, cause, legs, transfers] = cells;
    format!("{started:<25}{seconds:>7}  {from:<28} {to:<28} {cause:<12}{legs:>5}{transfers:>11}")
}
