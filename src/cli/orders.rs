//! The small clients: calls, hold, resume, transfer, hangup.

use std::time::Duration;

use serde_json::{Value, json};

use super::client::{Target, ask};
use super::failure::{FAILED, Failure, WRONG};
use super::say::say;

/// List the calls of a running edge
///
/// One line a leg, with the handles that hold, transfer and hangup take.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  warmline calls --token TOKEN\n  WARMLINE_TOKEN=TOKEN warmline calls --json | jq .calls[0]"
)]
pub(super) struct Calls {
    #[command(flatten)]
    target: Target,
    /// As the API gives it
    #[arg(long)]
    json: bool,
}

/// Put the party of a leg on hold
///
/// Waits until the party has agreed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  warmline hold leg-2-0 --direction inactive --token TOKEN")]
pub(super) struct Hold {
    /// The leg of the party to be held, from `warmline calls`
    leg: String,
    /// sendonly: the party keeps listening; inactive: no media either way. Default: as configured
    #[arg(long, value_parser = ["sendonly", "inactive"])]
    direction: Option<String>,
    #[command(flatten)]
    target: Target,
}

/// Take the party of a leg back from hold
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  warmline resume leg-2-0 --token TOKEN")]
pub(super) struct Resume {
    /// The leg of the held party
    leg: String,
    #[command(flatten)]
    target: Target,
}

/// Transfer the party that talks with a leg
///
/// Blind when the target is a SIP URI: it is dialled, and the present call stays until the target answers. Attended when the
/// target is another leg of the same operator: the two parties are joined.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  warmline transfer leg-2-0 sip:agent2@example.test --token TOKEN --wait\n  \
    warmline transfer leg-2-0 leg-3-0 --token TOKEN"
)]
pub(super) struct Transfer {
    /// The operator's leg in the call with the customer
    transferor: String,
    /// sip:user@host, or the operator's leg in the call with the consult
    to: String,
    /// Who performs it. Default: by the customer's peer profile
    #[arg(long, value_parser = ["native", "refer", "auto"])]
    mode: Option<String>,
    /// How long the target may ring
    #[arg(long, value_name = "SECONDS")]
    ring_timeout: Option<u64>,
    /// Wait for the outcome; exit with 1 if it fails
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    target: Target,
}

/// Hang up a call or a leg
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  warmline hangup call-1-0 --token TOKEN\n  warmline hangup leg-2-0 --token TOKEN")]
pub(super) struct Hangup {
    /// A handle from `warmline calls`: call-… or leg-…
    what: String,
    #[command(flatten)]
    target: Target,
}

/// Call one party and, when it has answered, the other
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  warmline dial sip:agent1@example.test sip:+4930123456@example.test --token TOKEN")]
pub(super) struct Dial {
    /// Rings first
    from: String,
    /// Rings when the first has answered
    to: String,
    /// How long each may ring
    #[arg(long, value_name = "SECONDS")]
    ring_timeout: Option<u64>,
    #[command(flatten)]
    target: Target,
}

pub(super) fn dial(args: &Dial) -> Result<(), Failure> {
    let mut body = json!({ "from": args.from, "to": args.to });
    if let Some(seconds) = args.ring_timeout {
        body["ring_timeout_s"] = json!(seconds);
    }
    let call = ask(&args.target, "POST", "/v1/calls", Some(&body))?;
    say!("{}  {}", text(&call["id"]), text(&call["state"]));
    Ok(())
}

/// Show what was said in a call, message by message
///
/// One column a party, with the rule that fired at each step of a transfer. Works for calls that have ended, as long as the
/// edge remembers them ([ladder] in its configuration).
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  warmline ladder call-1-0 --token TOKEN\n  warmline ladder call-1-0 --json | jq .lines"
)]
pub(super) struct LadderOf {
    /// The call, from `warmline calls` or an event
    call: String,
    /// As the API gives it
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

pub(super) fn ladder(args: &LadderOf) -> Result<(), Failure> {
    let path = format!("/v1/calls/{}/ladder", handle(&args.call, &["call"])?);
    let answer = ask(&args.target, "GET", &path, None)?;
    if args.json {
        say!("{answer:#}");
        return Ok(());
    }
    say!("{}", text(&answer["text"]));
    match answer["more"].as_u64() {
        Some(0) | None => {}
        Some(more) => say!("and {more} more that were not kept"),
    }
    Ok(())
}

pub(super) fn calls(args: &Calls) -> Result<(), Failure> {
    let answer = ask(&args.target, "GET", "/v1/calls", None)?;
    if args.json {
        say!("{answer:#}");
        return Ok(());
    }
    let calls = answer["calls"].as_array().map(Vec::as_slice).unwrap_or_default();
    if calls.is_empty() {
        say!("no calls");
    }
    for call in calls {
        say!("{}  {}", text(&call["id"]), text(&call["state"]));
        for leg in call["legs"].as_array().map(Vec::as_slice).unwrap_or_default() {
            let held = match (&leg["held"], &leg["holding"]) {
                (Value::Bool(true), Value::Bool(true)) => "  held, holding",
                (Value::Bool(true), _) => "  held",
                (_, Value::Bool(true)) => "  holding",
                (_, _) => "",
            };
            say!(
                "  {:<12} {:<10} {}  {}{held}",
                text(&leg["id"]),
                text(&leg["state"]),
                text(&leg["party"]),
                text(&leg["address"])
            );
        }
    }
    Ok(())
}

pub(super) fn hold(args: &Hold) -> Result<(), Failure> {
    let body = args
        .direction
        .as_ref()
        .map(|direction| json!({ "direction": direction }));
    ask(
        &args.target,
        "POST",
        &format!("/v1/legs/{}/hold", handle(&args.leg, &["leg"])?),
        body.as_ref(),
    )?;
    say!("{} is on hold", args.leg);
    Ok(())
}

pub(super) fn resume(args: &Resume) -> Result<(), Failure> {
    ask(
        &args.target,
        "POST",
        &format!("/v1/legs/{}/resume", handle(&args.leg, &["leg"])?),
        None,
    )?;
    say!("{} is back", args.leg);
    Ok(())
}

pub(super) fn hang_up(args: &Hangup) -> Result<(), Failure> {
    let what = handle(&args.what, &["call", "leg"])?;
    let kind = if what.starts_with("call-") { "calls" } else { "legs" };
    ask(&args.target, "DELETE", &format!("/v1/{kind}/{what}"), None)?;
    say!("{what} is hung up");
    Ok(())
}

pub(super) fn transfer(args: &Transfer) -> Result<(), Failure> {
    let mut body = json!({ "transferor": handle(&args.transferor, &["leg"])?, "target": args.to });
    if let Some(mode) = &args.mode {
        body["mode"] = json!(mode);
    }
    if let Some(seconds) = args.ring_timeout {
        body["ring_timeout_s"] = json!(seconds);
    }
    let mut view = ask(&args.target, "POST", "/v1/transfers", Some(&body))?;
    let path = format!("/v1/transfers/{}", handle(&text(&view["id"]), &["transfer"])?);
    let mut shown = String::new();
    loop {
        let state = text(&view["state"]);
        if state != shown {
            say!("{}  {state}", text(&view["id"]));
            shown.clone_from(&state);
        }
        if state == "failed" {
            let status = view["status"]
                .as_u64()
                .map(|status| format!(" ({status})"))
                .unwrap_or_default();
            return Err(Failure::new(
                FAILED,
                format!("the transfer failed: {}{status}", text(&view["reason"])),
            ));
        }
        if !args.wait || state == "completed" {
            return Ok(());
        }
        pause();
        view = ask(&args.target, "GET", &path, None)?;
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a command that polls has nothing else to do meanwhile"
)]
fn pause() {
    std::thread::sleep(Duration::from_millis(200));
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A handle fit for a path: the API would say the same, but not name the argument.
fn handle<'a>(given: &'a str, kinds: &[&str]) -> Result<&'a str, Failure> {
    let fits = |kind: &str| given.strip_prefix(kind).is_some_and(|rest| rest.starts_with('-'));
    let plain = given.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if plain && kinds.iter().any(|kind| fits(kind)) {
        return Ok(given);
    }
    let example = kinds
        .iter()
        .map(|kind| format!("{kind}-1f-2"))
        .collect::<Vec<_>>()
        .join(" or ");
    Err(Failure::new(WRONG, format!("`{given}` is no handle"))
        .hint(format!("it looks like {example}; `warmline calls` lists them")))
}
