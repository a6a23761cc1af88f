//! Which codecs a party is offered or answered, and under which numbers.
//!
//! RFC 3264 §5.1, §6.1, §8.3.2 (a number keeps its meaning for the session's life) · RFC 3551 §6 (static numbers) · RFC 4733
//! §2.5.1 · RFC 7587 §7 · RFC 7874 §3 (what browsers have).
//!
//! | | formats, best first |
//! |---|---|
//! | offer to P | those of Q, then those of ours that are missing if we may transcode; DTMF on each of their clocks |
//! | answer to P | those that P offered and Q takes, in Q's order; else the first of P's that we can transcode; DTMF on their clocks |
//!
//! Comfort noise and redundancy (`red`, `rtx`) are never passed on: their packets name other formats by number.

use compact_str::CompactString;

use super::unusable::Unusable;
use crate::media::{Codec, Payload};

/// The fmtp of DTMF: all sixteen keys.
const KEYS: &str = "0-15";
const OPUS: &str = "minptime=10;useinbandfec=1";

/// Formats of an m-line with their rtpmap and fmtp. A number without a meaning is passed over.
pub(super) fn read(formats: &[&str], maps: &[(u8, &str)], parameters: &[(u8, &str)]) -> Result<Vec<Payload>, Unusable> {
    let mut payloads: Vec<Payload> = Vec::with_capacity(formats.len());
    for format in formats {
        let Some(number) = format.parse::<u8>().ok().filter(|number| *number < 128) else {
            continue;
        };
        if payloads.iter().any(|known| known.number == number) {
            continue;
        }
        let map = maps.iter().find(|(of, _)| *of == number).map(|(_, map)| *map);
        let codec = match map {
            Some(map) => Some(named(map).ok_or(Unusable::Line("rtpmap"))?),
            None => statically(number),
        };
        let said = parameters.iter().find(|(of, _)| *of == number).map(|(_, said)| *said);
        if let Some(codec) = codec {
            payloads.push(Payload {
                number,
                codec,
                parameters: said.unwrap_or_default().into(),
            });
        }
    }
    Ok(payloads)
}

/// `PCMU/8000[/1]`.
fn named(map: &str) -> Option<Codec> {
    let mut parts = map.split('/');
    let name = parts.next()?.trim().to_ascii_lowercase();
    let clock: u32 = parts.next()?.trim().parse().ok()?;
    let channels: u8 = match parts.next() {
        Some(channels) => channels.trim().parse().ok()?,
        None => 1,
    };
    Some(match (name.as_str(), clock, channels) {
        ("pcmu", 8_000, 1) => Codec::Pcmu,
        ("pcma", 8_000, 1) => Codec::Pcma,
        ("g722", 8_000, 1) => Codec::G722,
        ("opus", 48_000, 2) => Codec::Opus,
        ("telephone-event", clock, _) => Codec::TelephoneEvent { clock },
        ("cn", clock, _) => Codec::ComfortNoise { clock },
        _ => Codec::Other {
            name: name.into(),
            clock,
            channels,
        },
    })
}

fn statically(number: u8) -> Option<Codec> {
    let other = |name: &str| Codec::Other {
        name: name.into(),
        clock: 8_000,
        channels: 1,
    };
    match number {
        0 => Some(Codec::Pcmu),
        3 => Some(other("gsm")),
        4 => Some(other("g723")),
        8 => Some(Codec::Pcma),
        9 => Some(Codec::G722),
        13 => Some(Codec::ComfortNoise { clock: 8_000 }),
        15 => Some(other("g728")),
        18 => Some(other("g729")),
        _ => None,
    }
}

/// The text behind `a=rtpmap:<number>`.
pub(super) fn map(codec: &Codec) -> CompactString {
    use compact_str::format_compact;
    match codec {
        Codec::Pcmu => "PCMU/8000".into(),
        Codec::Pcma => "PCMA/8000".into(),
        Codec::G722 => "G722/8000".into(),
        Codec::Opus => "opus/48000/2".into(),
        Codec::TelephoneEvent { clock } => format_compact!("telephone-event/{clock}"),
        Codec::ComfortNoise { clock } => format_compact!("CN/{clock}"),
        Codec::Other {
            name,
            clock,
            channels: 1,
        } => format_compact!("{name}/{clock}"),
        Codec::Other { name, clock, channels } => format_compact!("{name}/{clock}/{channels}"),
    }
}

/// Whether it is audio that can be passed on.
fn is_audio(codec: &Codec) -> bool {
    match codec {
        Codec::Pcmu | Codec::Pcma | Codec::G722 | Codec::Opus => true,
        Codec::TelephoneEvent { .. } | Codec::ComfortNoise { .. } => false,
        Codec::Other { name, .. } => !matches!(name.as_str(), "red" | "rtx" | "ulpfec" | "flexfec-03"),
    }
}

/// Whether two formats mean the same: for codecs that we do not know, with the same parameters.
fn same(one: &Payload, other: &Payload) -> bool {
    let known = !matches!(one.codec, Codec::Other { .. });
    one.codec == other.codec && (known || one.parameters == other.parameters)
}

/// The numbers that formats have had in a dialog.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Numbers(Vec<Payload>);

impl Numbers {
    /// The party uses these: its numbers come before what we would choose.
    pub(super) fn note(&mut self, theirs: &[Payload]) {
        for payload in theirs {
            self.0
                .retain(|known| known.number != payload.number && !same(known, payload));
            self.0.push(payload.clone());
        }
    }

    fn give(&mut self, wanted: &Payload) -> Payload {
        if let Some(known) = self.0.iter().find(|known| same(known, wanted)) {
            return Payload {
                number: known.number,
                ..wanted.clone()
            };
        }
        let fixed = match &wanted.codec {
            Codec::Pcmu => Some(0),
            Codec::Pcma => Some(8),
            Codec::G722 => Some(9),
            Codec::Opus | Codec::TelephoneEvent { .. } | Codec::ComfortNoise { .. } | Codec::Other { .. } => None,
        };
        let free = |number: &u8| !self.0.iter().any(|known| known.number == *number);
        let usual = match &wanted.codec {
            Codec::Opus => 111,
            Codec::TelephoneEvent { clock: 8_000 } => 101,
            Codec::TelephoneEvent { .. } => 110,
            Codec::Pcmu | Codec::Pcma | Codec::G722 | Codec::ComfortNoise { .. } | Codec::Other { .. } => 96,
        };
        let theirs = Some(wanted.number).filter(|number| statically(*number).is_some() || (96..=127).contains(number));
        let chosen = fixed
            .into_iter()
            .chain(theirs)
            .chain([usual])
            .chain(96..=127)
            .find(free);
        let given = Payload {
            number: chosen.unwrap_or(wanted.number),
            ..wanted.clone()
        };
        self.0.push(given.clone());
        given
    }
}

/// Ours, the best first. A browser hears Opus best; a phone that does not know it passes it over.
fn ours(browser: bool) -> Vec<Payload> {
    let payload = |number, codec, parameters: &str| Payload {
        number,
        codec,
        parameters: parameters.into(),
    };
    let mut ours = Vec::new();
    if browser {
        ours.push(payload(111, Codec::Opus, OPUS));
    }
    ours.push(payload(9, Codec::G722, ""));
    ours.push(payload(0, Codec::Pcmu, ""));
    ours.push(payload(8, Codec::Pcma, ""));
    ours
}

fn event(clock: u32) -> Payload {
    Payload {
        number: 0xff,
        codec: Codec::TelephoneEvent { clock },
        parameters: KEYS.into(),
    }
}

fn clocks(audio: &[Payload]) -> Vec<u32> {
    let mut clocks: Vec<u32> = Vec::new();
    for payload in audio {
        if !clocks.contains(&payload.codec.clock()) {
            clocks.push(payload.codec.clock());
        }
    }
    clocks
}

/// What we offer to a party, to whom we would bring somebody who has `others`.
pub(super) fn offer(numbers: &mut Numbers, others: &[Payload], browser: bool, transcode: bool) -> Option<Vec<Payload>> {
    let mut list: Vec<Payload> = Vec::new();
    let added = if transcode { ours(browser) } else { Vec::new() };
    for wanted in others.iter().chain(&added).filter(|payload| is_audio(&payload.codec)) {
        if !list.iter().any(|known| same(known, wanted)) {
            list.push(numbers.give(wanted));
        }
    }
    if list.is_empty() {
        return None;
    }
    for clock in clocks(&list) {
        list.push(numbers.give(&event(clock)));
    }
    Some(list)
}

/// What we answer to a party that offered `theirs`, when the other side has `others`. The numbers are the party's.
pub(super) fn answer(theirs: &[Payload], others: &[Payload], transcode: bool) -> Option<Vec<Payload>> {
    let mut list: Vec<Payload> = Vec::new();
    for other in others.iter().filter(|payload| is_audio(&payload.codec)) {
        if let Some(mine) = theirs.iter().find(|mine| same(mine, other))
            && !list.contains(mine)
        {
            list.push(mine.clone());
        }
    }
    if list.is_empty() && transcode {
        list.extend(
            theirs
                .iter()
                .find(|payload| payload.codec.sample_rate().is_some())
                .cloned(),
        );
    }
    if list.is_empty() {
        return None;
    }
    for payload in &mut list {
        if payload.codec == Codec::Opus {
            payload.parameters = OPUS.into();
        }
    }
    let clocks = clocks(&list);
    for payload in theirs {
        if let Codec::TelephoneEvent { clock } = payload.codec
            && clocks.contains(&clock)
        {
            list.push(Payload {
                parameters: KEYS.into(),
                ..payload.clone()
            });
        }
    }
    Some(list)
}

/// The formats of `theirs` that `ours` has as well, in the order of whoever answered.
pub(super) fn agreed(theirs: &[Payload], ours: &[Payload], we_answered: bool) -> Vec<Payload> {
    if we_answered {
        let theirs = |mine: &Payload| theirs.iter().find(|payload| payload.codec == mine.codec).cloned();
        return ours.iter().filter_map(theirs).collect();
    }
    let has = |payload: &&Payload| ours.iter().any(|mine| mine.codec == payload.codec);
    theirs.iter().filter(has).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &[(u8, &str)]) -> Vec<Payload> {
        let formats: Vec<String> = text.iter().map(|(number, _)| number.to_string()).collect();
        let formats: Vec<&str> = formats.iter().map(String::as_str).collect();
        read(&formats, text, &[]).unwrap()
    }

    fn shown(list: &[Payload]) -> Vec<String> {
        list.iter()
            .map(|payload| format!("{} {}", payload.number, map(&payload.codec)))
            .collect()
    }

    #[test]
    fn an_offer_has_the_other_sides_codecs_first_and_then_ours() {
        let phone = list(&[(8, "PCMA/8000"), (101, "telephone-event/8000"), (13, "CN/8000")]);
        let offer = offer(&mut Numbers::default(), &phone, true, true).unwrap();
        assert_eq!(
            shown(&offer),
            [
                "8 PCMA/8000",
                "111 opus/48000/2",
                "9 G722/8000",
                "0 PCMU/8000",
                "101 telephone-event/8000",
                "110 telephone-event/48000"
            ]
        );
        assert_eq!(
            shown(&super::offer(&mut Numbers::default(), &phone, true, false).unwrap()),
            ["8 PCMA/8000", "101 telephone-event/8000"]
        );
    }

    #[test]
    fn a_number_keeps_its_meaning_and_a_clash_gets_another() {
        let mut numbers = Numbers::default();
        numbers.note(&list(&[(101, "opus/48000/2"), (96, "telephone-event/8000")]));
        let offered = offer(
            &mut numbers,
            &list(&[(0, "PCMU/8000"), (101, "AMR/8000")]),
            false,
            false,
        )
        .unwrap();
        assert_eq!(
            shown(&offered),
            ["0 PCMU/8000", "97 amr/8000", "96 telephone-event/8000"]
        );
        let again = offer(
            &mut numbers,
            &list(&[(120, "opus/48000/2"), (99, "AMR/8000")]),
            false,
            false,
        )
        .unwrap();
        assert_eq!(shown(&again)[..2], ["101 opus/48000/2", "97 amr/8000"]);
    }

    #[test]
    fn an_answer_takes_what_both_have_or_what_can_be_transcoded() {
        let browser = list(&[
            (111, "opus/48000/2"),
            (63, "red/48000/2"),
            (9, "G722/8000"),
            (0, "PCMU/8000"),
            (8, "PCMA/8000"),
            (110, "telephone-event/48000"),
            (126, "telephone-event/8000"),
        ]);
        let phone = list(&[(8, "PCMA/8000"), (0, "PCMU/8000"), (101, "telephone-event/8000")]);
        let both = answer(&browser, &phone, true).unwrap();
        assert_eq!(shown(&both), ["8 PCMA/8000", "0 PCMU/8000", "126 telephone-event/8000"]);
        let odd = list(&[(18, "G729/8000")]);
        let transcoded = answer(&browser, &odd, true).unwrap();
        assert_eq!(shown(&transcoded), ["111 opus/48000/2", "110 telephone-event/48000"]);
        assert_eq!(answer(&browser, &odd, false), None);
        assert_eq!(answer(&odd, &browser, true), None);
    }

    #[test]
    fn formats_without_a_meaning_are_passed_over_and_bad_ones_refused() {
        assert_eq!(
            shown(&read(&["0", "35", "200", "0"], &[], &[]).unwrap()),
            ["0 PCMU/8000"]
        );
        assert_eq!(read(&["96"], &[(96, "opus")], &[]), Err(Unusable::Line("rtpmap")));
        assert_eq!(read(&["96"], &[(96, "opus/fast")], &[]), Err(Unusable::Line("rtpmap")));
    }
}
