//! What must be true after a warm transfer, and whether it was.

use std::time::Duration;

use super::super::say::say;
use super::stage::{Stage, Stuck, Who};
use crate::engine::{Command, Event, LegView, Reply};
use crate::observe::Style;
use crate::phone::{Phone, PhoneCall};
use crate::sdp::Description;
use crate::sip::{HeaderName, Message};

/// The points that were looked at.
#[derive(Default)]
pub(super) struct Verdict {
    points: Vec<(bool, String)>,
}

/// Whether an event ends a transfer.
pub(super) fn is_outcome(event: &Event) -> bool {
    is_completed(event) || matches!(event, Event::TransferFailed { .. })
}

fn is_completed(event: &Event) -> bool {
    matches!(event, Event::TransferCompleted { .. })
}

impl Verdict {
    fn point(&mut self, good: bool, text: impl Into<String>) {
        self.points.push((good, text.into()));
    }

    /// A step that did not come to its end.
    pub(super) fn stuck(&mut self, stuck: &Stuck) {
        self.point(false, stuck.0.clone());
    }

    /// Looked at while customer and consult talk.
    pub(super) async fn talking(&mut self, stage: &Stage, customer: PhoneCall, consult: PhoneCall) {
        let (one, other) = (stage.phone(Who::Customer), stage.phone(Who::Consult));
        let told = one.remote_media(customer).unwrap_or_else(|| "nobody".to_owned());
        let told_other = other.remote_media(consult).unwrap_or_else(|| "nobody".to_owned());
        let talk = one.talks_with(customer, other, consult);
        self.point(
            talk,
            format!("customer sends audio to {told} (the consult), consult to {told_other} (the customer)"),
        );
        let same = is_description_of(one.remote(customer), other, consult)
            && is_description_of(other.remote(consult), one, customer);
        self.point(
            same,
            "each has the other's own session description, unchanged but for origin and direction",
        );
        let operator = stage.phone(Who::Operator);
        self.point(operator.live().is_empty(), "the operator's two dialogs have ended");
        let completed = stage.events().filter(|event| is_completed(event)).count();
        let outcomes = stage.events().filter(|event| is_outcome(event)).count();
        self.point(
            completed == 1 && outcomes == 1,
            format!("transfer.completed came once (seen: {completed}, outcomes: {outcomes})"),
        );
        let seen = parties(stage).await;
        let good = seen == ["consult", "customer"];
        self.point(
            good,
            format!("the edge has one call with two legs: {}", seen.join(" and ")),
        );
    }

    /// Looked at after the last hang-up. What was said last may still be on its way through the edge.
    pub(super) async fn over(&mut self, stage: &mut Stage) {
        let mut left = None;
        for _ in 0..40 {
            left = stage.totals().await;
            if left.is_some_and(|left| left.calls + left.dialogs + left.transfers == 0) {
                break;
            }
            stage.pause(Duration::from_millis(50)).await;
        }
        match left {
            Some(left) => {
                let (calls, dialogs, transfers) = (left.calls, left.dialogs, left.transfers);
                let good = calls + dialogs + transfers == 0;
                self.point(
                    good,
                    format!("left behind: {calls} calls, {dialogs} dialogs, {transfers} transfers"),
                );
            }
            None => self.point(false, "the edge does not answer any more"),
        }
        let complaints: Vec<String> = Who::ALL
            .iter()
            .flat_map(|who| {
                stage
                    .phone(*who)
                    .complaints()
                    .iter()
                    .map(|text| format!("{}: {text}", who.name()))
            })
            .collect();
        match complaints.as_slice() {
            [] => self.point(true, "no phone has anything to complain about"),
            some => self.point(false, format!("complaints: {}", some.join("; "))),
        }
    }

    pub(super) fn is_good(&self) -> bool {
        !self.points.is_empty() && self.points.iter().all(|(good, _)| *good)
    }

    pub(super) fn print(&self, style: Style) {
        say!();
        let (yes, no) = if style.unicode {
            ("✔", "✘")
        } else {
            ("ok  ", "FAIL")
        };
        for (good, text) in &self.points {
            let mark = if *good {
                style.paint("32", yes)
            } else {
                style.paint("31", no)
            };
            say!("{mark} {text}");
        }
        say!();
        if self.is_good() {
            say!(
                "{}",
                style.paint(
                    "1;32",
                    "The warm transfer worked: the customer talks with the consult, and nothing was left behind."
                )
            );
            say!("Next: `warmline run` starts an edge here; `warmline run --config edge.toml` starts yours.");
        } else {
            say!("{}", style.paint("1;31", "The warm transfer failed."));
        }
    }
}

/// The parties of the only call that the edge has, in alphabetical order; empty if it has none or several.
async fn parties(stage: &Stage) -> Vec<String> {
    let Ok(Reply::Calls(calls)) = stage.edge().handle().command(Command::Calls).await else {
        return Vec::new();
    };
    let [call] = calls.as_slice() else {
        return vec![format!("{} calls", calls.len())];
    };
    let name = |leg: &LegView| {
        let known = Who::ALL.iter().find(|who| leg.party.contains(who.name()));
        known.map_or_else(|| leg.party.clone(), |who| who.name().to_owned())
    };
    let mut names: Vec<String> = call.legs.iter().map(name).collect();
    names.sort();
    names
}

/// Whether `got` is what `phone` last said about itself in `call`.
fn is_description_of(got: Option<&Description>, phone: &Phone, call: PhoneCall) -> bool {
    let said = phone
        .lines()
        .iter()
        .rev()
        .filter(|line| line.sent)
        .filter_map(|line| line.message());
    let mut said = said
        .filter(|message| Some(message.call_id()) == phone.call_id(call))
        .filter_map(|message| description(&message));
    matches!((got, said.next()), (Some(got), Some(said)) if got.same_media(&said))
}

fn description(message: &Message) -> Option<Description> {
    let kind = message.text(HeaderName::ContentType)?;
    let is_sdp = kind
        .split(';')
        .next()
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/sdp"));
    if is_sdp {
        Description::parse(message.body()).ok()
    } else {
        None
    }
}
