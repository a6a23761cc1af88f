//! An estimate of how a call sounds: ITU-T G.107's E-model, cut down to what a packet counter knows.

use crate::media::{Codec, LegQuality};

/// Mean opinion score of what comes from the party.
///
/// R = 93.2 − Id − Ie,eff (G.107 §7 with every other value at its default), where Id is the delay's part (the short form of
/// G.107's figures by Cole and Rosenbluth), and Ie,eff the codec's and the loss's (G.113, random loss).
pub(super) fn mos(quality: &LegQuality, codec: Option<&Codec>) -> f32 {
    let (impairment, robustness) = match codec {
        // G.113 Appendix I: G.711 with concealment, G.722 at 64 kbit/s on the narrow band's scale.
        Some(Codec::Pcmu | Codec::Pcma) | None => (0.0, 25.1),
        Some(Codec::G722) => (0.0, 13.0),
        // No figures of the ITU for Opus: measured scores put it beside G.711 without loss, and its concealment is better.
        Some(Codec::Opus) => (0.0, 30.0),
        Some(Codec::TelephoneEvent { .. } | Codec::ComfortNoise { .. } | Codec::Other { .. }) => (5.0, 15.0),
    };
    let expected = quality.received + quality.lost;
    let loss = match expected {
        0 => 0.0,
        expected => quality.lost as f32 * 100.0 / expected as f32,
    };
    // One way, with a jitter buffer of twice the jitter and 20 ms for a packet.
    let delay = quality.round_trip_ms.unwrap_or(0.0) / 2.0 + 2.0 * quality.jitter_ms + 20.0;
    let late = if delay > 177.3 { 0.11 * (delay - 177.3) } else { 0.0 };
    let effective = impairment + (95.0 - impairment) * loss / (loss + robustness);
    score(93.2 - 0.024 * delay - late - effective)
}

/// G.107 Annex B.
fn score(r: f32) -> f32 {
    match r {
        r if r <= 6.5 => 1.0,
        r if r >= 100.0 => 4.5,
        r => 1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(lost: u64, jitter_ms: f32, round_trip_ms: f32) -> f32 {
        let quality = LegQuality {
            received: 1_000 - lost,
            lost,
            jitter_ms,
            round_trip_ms: Some(round_trip_ms),
            ..LegQuality::default()
        };
        mos(&quality, Some(&Codec::Pcmu))
    }

    #[test]
    fn it_falls_with_loss_and_delay_and_stays_in_range() {
        let good = heard(0, 1.0, 20.0);
        assert!((4.3..4.5).contains(&good), "{good}");
        let lossy = heard(50, 1.0, 20.0);
        assert!((3.3..4.0).contains(&lossy), "{lossy}");
        assert!(heard(10, 1.0, 20.0) > lossy && heard(0, 1.0, 800.0) < 3.8);
        assert_eq!(heard(1_000, 500.0, 9_000.0), 1.0);
    }
}
