//! Synthetic sparse coding problems with a known dictionary.

use std::sync::OnceLock;

use rand::RngExt;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::error::{DataError, Result, check_count, check_real};
use crate::noise::add_noise;
use crate::order::Order;
use crate::rng::{Stream, step_rng};
use crate::source::{Batch, Source};

/// Which entries of a code share their sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignRule {
    /// One random sign for all entries of a datum.
    PerDatum,
    /// A random sign for every entry.
    PerEntry,
}

/// The law of a code's nonzero entries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amplitude {
    /// Uniform on `[low, high]`, times a random sign.
    Uniform {
        /// Smallest magnitude, 0 to `high`.
        low: f32,
        /// Largest magnitude, positive, up to 10⁶.
        high: f32,
        /// How signs are drawn.
        sign: SignRule,
    },
    /// Normal, times a random sign for every entry.
    Gaussian {
        /// Mean before the sign, -10⁶ to 10⁶.
        mean: f32,
        /// Standard deviation, 0 to 10⁶.
        sd: f32,
    },
}

/// What [`SparseCoding`] generates.
#[derive(Clone, Debug, PartialEq)]
pub struct SparseCodingConfig {
    /// m, the length of a datum, 1 to 65536.
    pub dim: usize,
    /// p, the number of atoms, 1 to 65536; m · p at most 2²⁸.
    pub atoms: usize,
    /// s, the number of atoms in each datum, 1 to p.
    pub sparsity: usize,
    /// n, the number of distinct data, at least 1.
    pub count: usize,
    /// Data per batch, 1 to n; n gives all of them, in order, at every step. batch · m is at most
    /// 2³¹.
    pub batch: usize,
    /// The law of the nonzero entries.
    pub amplitude: Amplitude,
    /// Standard deviation of Gaussian noise added to the datum, 0 to 10⁶, on the scale of `x`.
    pub noise_sd: f32,
    /// Seed of dictionary, data and order.
    pub seed: u64,
}

impl SparseCodingConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// The first field out of its range.
    pub fn validate(&self) -> Result<()> {
        const LARGE: f32 = 1e6;
        check_count("dim", self.dim, 1, 1 << 16)?;
        check_count("atoms", self.atoms, 1, 1 << 16)?;
        check_count("dim times atoms", self.dim * self.atoms, 1, 1 << 28)?;
        check_count("sparsity", self.sparsity, 1, self.atoms)?;
        check_count("count", self.count, 1, usize::MAX)?;
        check_count("batch", self.batch, 1, self.count)?;
        check_count("batch times dim", self.batch.saturating_mul(self.dim), 1, 1 << 31)?;
        check_real("noise_sd", self.noise_sd, 0.0, LARGE)?;
        match self.amplitude {
            Amplitude::Uniform { low, high, .. } => {
                // With both bounds 0 a code would not have the sparsity it was asked for.
                check_real("amplitude.high", high, f32::MIN_POSITIVE, LARGE)?;
                check_real("amplitude.low", low, 0.0, high)
            }
            Amplitude::Gaussian { mean, sd } => {
                check_real("amplitude.mean", mean, -LARGE, LARGE)?;
                check_real("amplitude.sd", sd, 0.0, LARGE)?;
                if mean == 0.0 && sd == 0.0 {
                    return Err(DataError::range("amplitude.sd", sd, "positive for a mean of 0"));
                }
                Ok(())
            }
        }
    }
}

/// Data `x = D* z + noise` of a known dictionary `D*` and codes `z` with exactly `s` nonzeros.
///
/// The columns of `D*` (m × p) are standard normal vectors scaled to unit length; a code's support
/// is uniform among all sets of `s` atoms. Datum `i` is a function of the settings and `i` alone.
///
/// As a [`Source`] it gives `[batch, m]` with the target equal to the input, in a fresh random
/// order for every pass over the data, or all of them in order if `batch` equals their number.
#[derive(Debug)]
pub struct SparseCoding {
    config: SparseCodingConfig,
    dictionary: Vec<f32>,
    /// D* once more, transposed, as data are made of whole columns.
    columns: Vec<f32>,
    /// All data, once a step has asked for all of them: every further step will too.
    full: OnceLock<Vec<f32>>,
    order: Order,
}

impl SparseCoding {
    /// Draws the dictionary; data are made when asked for.
    ///
    /// # Errors
    /// If a setting is out of range.
    pub fn new(config: SparseCodingConfig) -> Result<Self> {
        config.validate()?;
        let mut rng = step_rng(config.seed, Stream::Dictionary, 0);
        let mut dictionary = normal(&mut rng, config.dim * config.atoms);
        normalise(&mut dictionary, config.atoms);
        let order = Order::new(config.seed, config.count);
        let columns = (0..config.atoms)
            .flat_map(|atom| dictionary.iter().skip(atom).step_by(config.atoms))
            .copied()
            .collect();
        Ok(Self { config, dictionary, columns, full: OnceLock::new(), order })
    }

    /// The settings.
    pub fn config(&self) -> &SparseCodingConfig {
        &self.config
    }

    /// `D*`, m × p, row-major: entry (row, atom) is at `row * p + atom`.
    pub fn dictionary(&self) -> &[f32] {
        &self.dictionary
    }

    /// Datum `i` as `x` (length m) and its code `z` (length p). `i` may exceed `count`.
    pub fn datum(&self, i: usize) -> (Vec<f32>, Vec<f32>) {
        let SparseCodingConfig { dim, atoms, sparsity, noise_sd, seed, .. } = self.config;
        let mut rng = step_rng(seed, Stream::Datum, i as u64);
        let mut x = vec![0.0; dim];
        let mut z = vec![0.0; atoms];
        let common = sign(&mut rng);
        for atom in index::sample(&mut rng, atoms, sparsity) {
            z[atom] = self.amplitude(common, &mut rng);
            let column = &self.columns[atom * dim..(atom + 1) * dim];
            x.iter_mut().zip(column).for_each(|(x, d)| *x += d * z[atom]);
        }
        add_noise(&mut x, noise_sd, &mut rng);
        (x, z)
    }

    fn amplitude(&self, common: f32, rng: &mut ChaCha8Rng) -> f32 {
        match self.config.amplitude {
            Amplitude::Uniform { low, high, sign: rule } => {
                let magnitude = rng.random_range(low..=high);
                match rule {
                    SignRule::PerDatum => common * magnitude,
                    SignRule::PerEntry => sign(rng) * magnitude,
                }
            }
            Amplitude::Gaussian { mean, sd } => {
                let draw: f32 = StandardNormal.sample(rng);
                sign(rng) * (mean + sd * draw)
            }
        }
    }

    /// A dictionary near the true one, to start from: the columns of D* + sd · N(0, 1) scaled to
    /// unit length, m × p, row-major. `sd = 0` gives D* itself.
    pub fn perturbed(&self, sd: f32, seed: u64) -> Vec<f32> {
        let mut rng = step_rng(seed, Stream::Perturbation, 0);
        let noise = normal(&mut rng, self.dictionary.len());
        let mut near: Vec<f32> =
            self.dictionary.iter().zip(noise).map(|(d, noise)| d + sd * noise).collect();
        if sd != 0.0 {
            normalise(&mut near, self.config.atoms);
        }
        near
    }
}

fn sign(rng: &mut ChaCha8Rng) -> f32 {
    if rng.random() { 1.0 } else { -1.0 }
}

fn normal(rng: &mut ChaCha8Rng, n: usize) -> Vec<f32> {
    StandardNormal.sample_iter(rng).take(n).collect()
}

/// Scales the columns of a row-major matrix to unit length; a column of zeros stays.
fn normalise(matrix: &mut [f32], columns: usize) {
    let mut squares = vec![0.0f64; columns];
    for row in matrix.chunks_exact(columns) {
        for (sum, &v) in squares.iter_mut().zip(row) {
            *sum += f64::from(v).powi(2);
        }
    }
    for row in matrix.chunks_exact_mut(columns) {
        for (v, &square) in row.iter_mut().zip(&squares) {
            if square > 0.0 {
                *v = (f64::from(*v) / square.sqrt()) as f32;
            }
        }
    }
}

impl Source for SparseCoding {
    fn batch(&self, step: u64) -> Result<Batch> {
        let SparseCodingConfig { dim, count, batch, .. } = self.config;
        let mut input = Vec::with_capacity(batch * dim);
        if batch == count {
            let all = || (0..count).flat_map(|i| self.datum(i).0).collect();
            input.extend_from_slice(self.full.get_or_init(all));
        } else {
            for (_, i) in self.order.batch(step, batch) {
                input.extend(self.datum(i).0);
            }
        }
        Ok(Batch { shape: vec![batch, dim], target: input.clone(), input, noise: vec![] })
    }

    fn describe(&self) -> String {
        let SparseCodingConfig { dim, atoms, sparsity, count, noise_sd, .. } = self.config;
        format!("{count} data of length {dim}, {sparsity} of {atoms} atoms each, noise {noise_sd}")
    }
}

#[cfg(test)]
mod tests;
