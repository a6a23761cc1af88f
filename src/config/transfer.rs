//! `[transfer]`: what is done when a target cannot be had, and the bounds of every transfer.

use std::time::Duration;

use super::fields::{Choice, Fields};
use super::report::Problems;
use crate::engine::{Application, OnFailure, ReferAnswer, Rung, Settings};
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
    Ladder,
}

const WORDS: [Choice<Word>; 4] = [
    ("transferor", Ok(Word::Transferor)),
    ("next", Ok(Word::Next)),
    ("hang_up", Ok(Word::HangUp)),
    ("ladder", Ok(Word::Ladder)),
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
        Some(Word::Transferor | Word::HangUp | Word::Ladder) | None if named => problems.add(
            fields.key_span("next"),
            "`next` is never used",
            "set on_failure = \"next\", or remove it",
        ),
        Some(Word::Next | Word::Transferor | Word::HangUp | Word::Ladder) | None => {}
    }
    let rungs = ladder(&mut fields, word == Some(Word::Ladder), problems);
    transfer.on_failure = match word {
        Some(Word::Ladder) => OnFailure::Ladder(rungs),
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

const RUNGS: &str = "steps are sip:user@host, application:name, transferor, hang_up";

/// The steps of `on_failure = "ladder"`.
fn ladder(fields: &mut Fields<'_>, wanted: bool, problems: &mut Problems) -> Vec<Rung> {
    let ring_timeout = fields
        .number("ladder_ring_s", 1..=600, problems)
        .map(Duration::from_secs);
    let mut rungs = Vec::new();
    for given in fields.texts("ladder", problems) {
        let rung = match given.value {
            "transferor" => Some(Rung::Transferor),
            "hang_up" => Some(Rung::HangUp),
            text => match text.strip_prefix("application:") {
                Some(name) => Some(Rung::Application(name.to_owned())),
                None => Uri::parse(text)
                    .ok()
                    .filter(|uri| uri.scheme() != Scheme::Other && uri.user().is_some())
                    .map(|uri| Rung::Target {
                        uri: uri.without_headers(),
                        ring_timeout,
                    }),
            },
        };
        match rung {
            Some(rung) => rungs.push(rung),
            None => problems.add(
                given.span.clone(),
                format!("`ladder` has no step \"{}\"", given.value.escape_debug()),
                RUNGS,
            ),
        }
    }
    match (wanted, fields.has("ladder")) {
        (true, false) => problems.add(
            fields.key_span("on_failure"),
            "`on_failure = \"ladder\"` has no steps",
            RUNGS,
        ),
        (false, true) => problems.add(
            fields.key_span("ladder"),
            "`ladder` is never used",
            "set on_failure = \"ladder\", or remove it",
        ),
        (true, true) | (false, false) => {}
    }
    rungs
}

/// Every application of the ladder is one of the file's.
pub(super) fn check_applications(
    transfer: &Transfer,
    applications: &[Application],
    span: std::ops::Range<usize>,
    problems: &mut Problems,
) {
    let rungs = match &transfer.on_failure {
        OnFailure::Ladder(rungs) => rungs.as_slice(),
        OnFailure::Transferor | OnFailure::Next(_) | OnFailure::HangUp => &[],
    };
    for rung in rungs {
        if let Rung::Application(name) = rung
            && !applications.iter().any(|known| known.name == *name)
        {
            let what = format!(
                "`ladder` names an application `{}` that is not there",
                name.escape_debug()
            );
            problems.add(
                span.clone(),
                what,
                "add an [[application]] with that name and its numbers",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use crate::engine::{OnFailure, Rung};

    const LISTEN: &str = "[[listen]]\ntransport = \"udp\"\naddress = \"127.0.0.1:5060\"\n[registrar]\nopen = true\n\
        [[application]]\nname = \"queue\"\nmatch = \"^1\"\n";

    #[test]
    fn a_ladder_has_steps_and_the_time_of_each_ring() {
        let text = format!(
            "{LISTEN}[transfer]\non_failure = \"ladder\"\nladder_ring_s = 20\n\
             ladder = [\"sip:a@b\", \"application:queue\", \"transferor\", \"hang_up\"]\n"
        );
        let config = Config::read("edge.toml", &text).unwrap();
        let settings = config.settings([0; 16], |_| None).unwrap();
        let OnFailure::Ladder(rungs) = settings.on_failure else {
            panic!("no ladder")
        };
        let [
            Rung::Target { ring_timeout, .. },
            Rung::Application(name),
            Rung::Transferor,
            Rung::HangUp,
        ] = rungs.as_slice()
        else {
            panic!("{rungs:?}")
        };
        assert_eq!(
            (ring_timeout.map(|time| time.as_secs()), name.as_str()),
            (Some(20), "queue")
        );
    }

    #[test]
    fn a_ladder_that_cannot_be_climbed_is_named() {
        for (bad, wanted) in [
            ("on_failure = \"ladder\"\n", "has no steps"),
            ("ladder = [\"transferor\"]\n", "is never used"),
            (
                "on_failure = \"ladder\"\nladder = [\"carol\"]\n",
                "has no step \"carol\"",
            ),
            (
                "on_failure = \"ladder\"\nladder = [\"application:bot\"]\n",
                "`bot` that is not there",
            ),
        ] {
            let report = Config::read("edge.toml", &format!("{LISTEN}[transfer]\n{bad}")).unwrap_err();
            assert!(report.to_string().contains(wanted), "{report}");
        }
    }
}
