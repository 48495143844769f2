//! Random numbers that depend on nothing but a seed, a purpose and a counter.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// The purpose of a random stream. Two purposes never share random numbers, even for the same seed.
///
/// The number of a purpose is part of the key: changing it changes all data that are drawn for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u64)]
pub enum Stream {
    /// Order of the data in one pass; `k` is the pass.
    Order = 1,
    /// Position and flips of a crop; `k` is the number of the sample over all steps.
    Crop = 2,
    /// Noise on a sample; `k` is the number of the sample over all steps, or 0 for a single picture.
    Noise = 3,
    /// Noise on a validation picture; `k` is the picture's index.
    ValidationNoise = 4,
    /// A dead leaves picture; `k` is the picture's index.
    DeadLeaves = 5,
    /// The drawn landscape; `k` numbers its parts.
    Scene = 6,
    /// A ground-truth dictionary.
    Dictionary = 7,
    /// A datum of a sparse coding problem; `k` is its index.
    Datum = 8,
    /// The perturbation of a dictionary.
    Perturbation = 9,
    /// A stroke digit; `k` is its index.
    Stroke = 10,
    /// Initial values of a model; for users of this crate.
    Init = 11,
    /// Shifts of a grid of atoms; `k` is the step. For users of this crate.
    Shift = 12,
    /// Which rows of a matrix are for validation.
    Split = 20,
    /// Places of the patches that are the first atoms; `k` is the number of the patch. For users of this crate.
    Start = 30,
    /// Rows of a matrix that stand for all of them, where figures are measured.
    Sample = 21,
    /// Other colours of a crop, and drawings among photographs; `k` is the number of the sample over all steps.
    Variety = 22,
    /// Place of a window of a recording; `k` is the number of the window over all steps.
    Window = 31,
    /// A waveform of a made recording, and its weights; `k` is its number.
    Waveform = 32,
    /// The events of a waveform of a made recording; `k` is its number.
    Event = 33,
    /// Noise of a made recording; `k` is the number of the stretch.
    RecordingNoise = 34,
}

/// The random generator for step (or sample, or picture) `k` of one purpose.
///
/// It is a ChaCha stream with 8 rounds. Its key is `seed` and `stream`, its nonce is `k`. Streams of
/// different `k` are as unrelated as those of different keys, so that the numbers of neighbouring steps need
/// no mixing. Any step can be computed directly.
///
/// ```
/// use pudle_data::{step_rng, Stream};
/// use rand::Rng;
/// let draw = |seed, k| step_rng(seed, Stream::Noise, k).next_u64();
/// assert_eq!(draw(1, 5), draw(1, 5));
/// assert_ne!(draw(1, 5), draw(1, 6));
/// ```
pub fn step_rng(seed: u64, stream: Stream, k: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&(stream as u64).to_le_bytes());
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(k);
    rng
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;

    fn uniforms(seed: u64, stream: Stream, k: u64) -> Vec<f64> {
        let mut rng = step_rng(seed, stream, k);
        (0..4000).map(|_| rng.random::<f64>() - 0.5).collect()
    }

    fn correlation(a: &[f64], b: &[f64]) -> f64 {
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
        dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
    }

    #[test]
    fn neighbouring_streams_are_uncorrelated() {
        let base = uniforms(7, Stream::Crop, 41);
        assert!(correlation(&base, &uniforms(7, Stream::Crop, 41)) > 0.999);
        for other in [
            uniforms(7, Stream::Crop, 42),
            uniforms(8, Stream::Crop, 41),
            uniforms(7, Stream::Noise, 41),
            uniforms(41, Stream::Crop, 7),
        ] {
            // Six standard errors of a correlation over 4000 independent draws.
            assert!(correlation(&base, &other).abs() < 6.0 / 4000f64.sqrt());
        }
    }
}
