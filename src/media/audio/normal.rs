//! How loud prompts are: as loud as a voice on the line, whatever the file was.

/// Loudness of every prompt in dBFS (root mean square of what is not silence).
pub const LEVEL: f64 = -20.0;
/// No sample is louder than this part of full scale.
const PEAK: f32 = 0.9;
/// Blocks of 20 ms at 48 kHz.
const BLOCK: usize = 960;
/// A block below this counts as silence.
const SILENT: f64 = 1e-6;
/// A whisper is not blown up to noise.
const MOST_GAIN: f32 = 32.0;

/// Brings sound to [`LEVEL`].
pub(super) fn to_level(samples: &mut [f32]) {
    let power = |block: &[f32]| block.iter().map(|sample| f64::from(sample * sample)).sum::<f64>() / block.len() as f64;
    let loud: Vec<f64> = samples
        .chunks(BLOCK)
        .map(power)
        .filter(|power| *power > SILENT)
        .collect();
    let peak = samples.iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
    if loud.is_empty() || peak == 0.0 {
        return samples.fill(0.0);
    }
    let mean = loud.iter().sum::<f64>() / loud.len() as f64;
    let wanted = (10_f64.powf(LEVEL / 20.0) / mean.sqrt()) as f32;
    let gain = wanted.min(PEAK / peak).min(MOST_GAIN);
    for sample in samples {
        *sample *= gain;
    }
}
