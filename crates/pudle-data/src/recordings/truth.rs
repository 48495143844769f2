//! What is known of a recording that was made.

/// Waveforms over channels, `[p, C, k]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Waveforms {
    /// The numbers, row-major.
    pub values: Vec<f32>,
    /// Number of waveforms, channels, and samples of a waveform.
    pub shape: [usize; 3],
}

/// An event of a recording whose events are known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrueEvent {
    /// First sample of the waveform.
    pub start: usize,
    /// Number of the waveform.
    pub waveform: usize,
    /// Its factor.
    pub amplitude: f32,
}

impl Waveforms {
    /// Number of waveforms.
    pub fn count(&self) -> usize {
        self.shape[0]
    }

    /// Waveform `j`, `[C, k]`.
    pub fn waveform(&self, j: usize) -> &[f32] {
        let size = self.shape[1] * self.shape[2];
        &self.values[j * size..][..size]
    }

    /// The norm of waveform `j`.
    pub fn norm(&self, j: usize) -> f32 {
        self.waveform(j).iter().map(|value| value * value).sum::<f32>().sqrt()
    }

    /// The largest cosine of two waveforms over all shifts of one against the other, each `[C, k]` (of any lengths), and its lag:
    /// `b` is most like `a` where it starts `lag` samples after the start of `a`. With `either_sign`, the largest in absolute
    /// value.
    pub fn similarity(a: &[f32], b: &[f32], channels: usize, either_sign: bool) -> (f32, isize) {
        let norm = |w: &[f32]| w.iter().map(|v| v * v).sum::<f32>().sqrt();
        let norms = (norm(a) * norm(b)).max(f32::MIN_POSITIVE);
        let (length, other) = (a.len() / channels, b.len() / channels);
        let mut best = (0.0, 0);
        for lag in 1 - other as isize..length as isize {
            let (from, of_b) = (lag.max(0) as usize, (-lag).max(0) as usize);
            let product: f32 = a
                .chunks_exact(length)
                .zip(b.chunks_exact(other))
                .map(|(a, b)| a[from..].iter().zip(&b[of_b..]).map(|(a, b)| a * b).sum::<f32>())
                .sum();
            let size = |value: f32| if either_sign { value.abs() } else { value };
            if size(product / norms) > size(best.0) {
                best = (product / norms, lag);
            }
        }
        best
    }
}
