//! `[transfer]`: what is done when a target cannot be had, and the bounds of every transfer.

use std::time::Duration;

use super::fields::{Choice, Fields};
use super::report::Problems;
use crate::engine::{OnFailure, ReferAnswer, Settings};
use crate::sip::{Scheme, Uri};

/// The section, checked.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Transfer {
    pub(super) on_failure: OnFailure,
    pub(super) refer_answer: ReferAnswer,
    pub(super) depth: u8,
    pub(super) timeout: Duration,
    pub(super) pick_up: bool,
}

impl Default for Transfer {
    fn default() -> Transfer {
        let defaults = Settings::loopback(std::net::SocketAddr::from(([127, 0, 0, 1], 5060)));
        Transfer {
            on_failure: defaults.on_failure,
            refer_answer: defaults.refer_answer,
            depth: defaults.transfer_depth,
            timeout: defaults.transfer_timeout,
            pick_up: defaults.pick_up,
        }
    }
}

/// The words of `refer_answer`, here and in a peer's profile.
pub(super) const ANSWERS: [Choice<ReferAnswer>; 3] = [
    ("auto", Ok(ReferAnswer::Auto)),
    ("200", Ok(ReferAnswer::Ok)),
    ("202", Ok(ReferAnswer::Accepted)),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Transferor,
    Next,
    HangUp,
}

const WORDS: [Choice<Word>; 3] = [
    ("transferor", Ok(Word::Transferor)),
    ("next", Ok(Word::Next)),
    ("hang_up", Ok(Word::HangUp)),
];

pub(super) fn transfer(file: &mut Fields<'_>, problems: &mut Problems) -> Transfer {
    let mut transfer = Transfer::default();
    let Some(mut fields) = file.table("transfer", "[transfer]", problems) else {
        return transfer;
    };
    let word = fields.choice("on_failure", &WORDS, problems);
    let mut next = Vec::new();
    for given in fields.texts("next", problems) {
        match Uri::parse(given.value) {
            Ok(uri) if uri.scheme() != Scheme::Other && uri.user().is_some() => next.push(uri.without_headers()),
            Ok(_) | Err(_) => problems.add(
                given.span.clone(),
                format!("`next` has no address to dial: \"{}\"", given.value.escape_debug()),
                "write sip:user@host or tel:number",
            ),
        }
    }
    let named = fields.has("next");
    match word {
        Some(Word::Next) if !named => problems.add(
            fields.key_span("on_failure"),
            "`on_failure = \"next\"` has nobody to go to",
            "add next = [\"sip:reception@example.test\"]",
        ),
        Some(Word::Transferor | Word::HangUp) | None if named => problems.add(
            fields.key_span("next"),
            "`next` is never used",
            "set on_failure = \"next\", or remove it",
        ),
        Some(Word::Next | Word::Transferor | Word::HangUp) | None => {}
    }
    transfer.on_failure = match word {
        Some(Word::Next) => OnFailure::Next(next),
        Some(Word::HangUp) => OnFailure::HangUp,
        Some(Word::Transferor) | None => OnFailure::Transferor,
    };
    if let Some(answer) = fields.choice("refer_answer", &ANSWERS, problems) {
        transfer.refer_answer = answer;
    }
    if let Some(depth) = fields.number("max_depth", 1..=50, problems) {
        transfer.depth = u8::try_from(depth).unwrap_or(5);
    }
    if let Some(seconds) = fields.number("timeout_s", 10..=3_600, problems) {
        transfer.timeout = Duration::from_secs(seconds);
    }
    if let Some(pick_up) = fields.flag("pick_up", problems) {
        transfer.pick_up = pick_up.value;
    }
    fields.finish(problems);
    transfer
}
