//! G.711: both companding laws by tables that the compiler fills.
//!
//! 16-bit samples hold the standard's 14-bit (µ-law) and 13-bit (A-law) values in their upper bits, as everybody does.
//! Decoding is a look-up among 256 values; encoding looks the upper bits up, because neither law sees the lower ones.
//!
//! ITU-T G.711 (1988) tables 1 and 2; RFC 3551 §4.5.14.
//!
//! ```
//! use warmline::media::audio::g711;
//!
//! assert_eq!(g711::mu_law(0), 0xff);
//! assert_eq!(g711::linear_of_mu_law(0xff), 0);
//! ```

/// µ-law adds this to every magnitude so that its segments begin at powers of two (14-bit units).
const MU_BIAS: u16 = 33;
/// The largest biased magnitude of µ-law.
const MU_CLIP: u16 = 8_191;
/// A-law inverts every other bit, so that a quiet line still has transitions.
const A_TOGGLE: u8 = 0x55;

static MU_TO_LINEAR: [i16; 256] = {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        table[code] = expand_mu(code as u8);
        code += 1;
    }
    table
};

static A_TO_LINEAR: [i16; 256] = {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        table[code] = expand_a(code as u8);
        code += 1;
    }
    table
};

/// By the upper 14 bits of a sample.
static LINEAR_TO_MU: [u8; 1 << 14] = {
    let mut table = [0; 1 << 14];
    let mut upper = 0;
    while upper < table.len() {
        table[upper] = compress_mu(((upper as u16) << 2) as i16);
        upper += 1;
    }
    table
};

/// By the upper 12 bits: A-law's smallest step is two of its 13-bit units.
static LINEAR_TO_A: [u8; 1 << 12] = {
    let mut table = [0; 1 << 12];
    let mut upper = 0;
    while upper < table.len() {
        table[upper] = compress_a(((upper as u16) << 4) as i16);
        upper += 1;
    }
    table
};

/// The µ-law code of a sample.
pub fn mu_law(sample: i16) -> u8 {
    LINEAR_TO_MU[usize::from(sample as u16 >> 2)]
}

/// The A-law code of a sample.
pub fn a_law(sample: i16) -> u8 {
    LINEAR_TO_A[usize::from(sample as u16 >> 4)]
}

/// The sample that a µ-law code stands for.
pub fn linear_of_mu_law(code: u8) -> i16 {
    MU_TO_LINEAR[usize::from(code)]
}

/// The sample that an A-law code stands for.
pub fn linear_of_a_law(code: u8) -> i16 {
    A_TO_LINEAR[usize::from(code)]
}

/// Negative samples mirror positive ones by one's complement: -1 is the quietest of them, as 0 is of the others.
const fn magnitude(sample: i16) -> u16 {
    (if sample < 0 { !sample } else { sample }) as u16
}

const fn compress_mu(sample: i16) -> u8 {
    let biased = (magnitude(sample) >> 2) + MU_BIAS;
    let biased = if biased > MU_CLIP { MU_CLIP } else { biased };
    // Segment 0 begins at 2^5: its five leading bits are one 1 and the four that are sent.
    let segment = 10 - biased.leading_zeros() as u16;
    let step = (biased >> (segment + 1)) & 0x0f;
    // All bits are sent inverted, the sign too.
    let sign = if sample < 0 { 0x80 } else { 0 };
    !(sign | (segment << 4 | step) as u8)
}

const fn expand_mu(code: u8) -> i16 {
    let code = !code;
    let (segment, step) = ((code >> 4) & 0x07, (code & 0x0f) as i32);
    // The middle of the interval, without the bias.
    let magnitude = ((2 * step + MU_BIAS as i32) << segment) - MU_BIAS as i32;
    let sample = (magnitude << 2) as i16;
    if code & 0x80 == 0 { sample } else { -sample }
}

const fn compress_a(sample: i16) -> u8 {
    let magnitude = magnitude(sample) >> 4;
    // Segments 0 and 1 have the same step and count straight up; from there each one doubles it.
    let shift = if magnitude < 32 {
        0
    } else {
        11 - magnitude.leading_zeros() as u16
    };
    let code = (magnitude >> shift) + (shift << 4);
    let sign = if sample < 0 { 0 } else { 0x80 };
    (sign | code as u8) ^ A_TOGGLE
}

const fn expand_a(code: u8) -> i16 {
    let code = code ^ A_TOGGLE;
    let (segment, step) = ((code >> 4) & 0x07, (code & 0x0f) as i16);
    let sample = match segment {
        0 => (step << 4) + 8,
        _ => ((step << 4) + 264) << (segment - 1),
    };
    if code & 0x80 == 0 { -sample } else { sample }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Table 2a/G.711: where each µ-law interval ends, in 14-bit units: 8 segments of 16 steps of 2, 4, 8 … 256,
    /// but the very first step is 1.
    fn mu_decisions() -> Vec<i32> {
        let mut ends = vec![1];
        for segment in 0..8 {
            let steps = if segment == 0 { 15 } else { 16 };
            for _ in 0..steps {
                ends.push(ends.last().unwrap() + (2 << segment));
            }
        }
        ends
    }

    /// Table 1a/G.711: the same for A-law in its own units (4096 at full scale): steps of 2, 2, 4, 8 … 128.
    fn a_decisions() -> Vec<i32> {
        let mut ends = vec![0];
        for segment in 0..8 {
            for _ in 0..16 {
                ends.push(ends.last().unwrap() + [2, 2, 4, 8, 16, 32, 64, 128][segment]);
            }
        }
        ends.remove(0);
        ends
    }

    /// The interval that holds a magnitude; the last one is open.
    fn interval(ends: &[i32], magnitude: i32) -> usize {
        ends.iter().position(|end| magnitude < *end).unwrap_or(127).min(127)
    }

    #[test]
    fn every_sample_has_the_mu_law_code_of_the_standards_decision_values() {
        let ends = mu_decisions();
        assert_eq!((ends.len(), ends[127]), (128, 8_159));
        for sample in i16::MIN..=i16::MAX {
            let magnitude = i32::from(magnitude(sample));
            // 14-bit units are four of ours; an interval's number counts down from 0x7F in the code.
            let number = interval(&ends, magnitude >> 2) as u8;
            let sign = if sample < 0 { 0 } else { 0x80 };
            assert_eq!(mu_law(sample), sign | (0x7f - number), "{sample}");
        }
    }

    #[test]
    fn every_sample_has_the_a_law_code_of_the_standards_decision_values() {
        let ends = a_decisions();
        assert_eq!((ends.len(), ends[127]), (128, 4_096));
        for sample in i16::MIN..=i16::MAX {
            let magnitude = i32::from(magnitude(sample));
            let number = interval(&ends, magnitude >> 3) as u8;
            let sign = if sample < 0 { 0 } else { 0x80 };
            assert_eq!(a_law(sample), (sign | number) ^ 0x55, "{sample}");
        }
    }

    #[test]
    fn every_code_stands_for_the_middle_of_its_interval() {
        for (ends, unit, decode, toggle) in [
            (mu_decisions(), 4, linear_of_mu_law as fn(u8) -> i16, 0x7f),
            (a_decisions(), 8, linear_of_a_law as fn(u8) -> i16, 0x55),
        ] {
            for number in 0..128_u8 {
                let low = number.checked_sub(1).map_or(0, |before| ends[usize::from(before)]);
                let middle = match (toggle, number) {
                    (0x7f, 0) => 0, // µ-law's first interval is around nought
                    _ => (low + ends[usize::from(number)]) * unit / 2,
                };
                assert_eq!(i32::from(decode((0x80 | number) ^ toggle)), middle, "{number}");
                assert_eq!(i32::from(decode(number ^ toggle)), -middle, "-{number}");
            }
        }
    }

    #[test]
    fn codes_survive_the_way_there_and_back_and_samples_keep_their_order() {
        for code in 0..=255 {
            // µ-law has a negative nought that linear samples cannot say.
            let kept = if code == 0x7f { 0xff } else { code };
            assert_eq!(mu_law(linear_of_mu_law(code)), kept);
            assert_eq!(a_law(linear_of_a_law(code)), code);
        }
        for sample in i16::MIN..i16::MAX {
            assert!(linear_of_mu_law(mu_law(sample)) <= linear_of_mu_law(mu_law(sample + 1)));
            assert!(linear_of_a_law(a_law(sample)) <= linear_of_a_law(a_law(sample + 1)));
        }
    }

    #[test]
    fn the_ends_of_both_laws_are_the_standards() {
        assert_eq!([0x80, 0x00, 0xff, 0x7f].map(linear_of_mu_law), [32_124, -32_124, 0, 0]);
        assert_eq!([0xaa, 0x2a, 0xd5, 0x55].map(linear_of_a_law), [32_256, -32_256, 8, -8]);
    }
}
