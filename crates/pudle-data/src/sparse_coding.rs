//! Vectors that are sparse combinations of known atoms.

use rand::seq::index;

use crate::amplitude::{Amplitude, AmplitudeFields, sign};
use crate::draws::Draws;
use crate::error::{Result, check_count, check_real};
use crate::known_dictionary::KnownDictionary;
use crate::noise::add_noise;
use crate::rng::{Stream, step_rng};
use crate::source::{Batch, Source};

/// The settings of [`SparseCoding`].
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
    /// Data per batch, 1 to n; n gives all data, in order, at every step. batch · m is at most
    /// 2³¹.
    pub batch: usize,
    /// Distribution of the non-zeros.
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
    /// Returns an error for the first field that is out of its range.
    pub fn validate(&self) -> Result<()> {
        check_count("dim", self.dim, 1, 1 << 16)?;
        check_count("atoms", self.atoms, 1, 1 << 16)?;
        check_count("dim times atoms", self.dim * self.atoms, 1, 1 << 28)?;
        check_count("sparsity", self.sparsity, 1, self.atoms)?;
        check_count("count", self.count, 1, usize::MAX)?;
        check_count("batch", self.batch, 1, self.count)?;
        check_count("batch times dim", self.batch.saturating_mul(self.dim), 1, 1 << 31)?;
        check_real("noise_sd", self.noise_sd, 0.0, 1e6)?;
        self.amplitude.check(&AmplitudeFields {
            low: "amplitude.low",
            high: "amplitude.high",
            mean: "amplitude.mean",
            sd: "amplitude.sd",
        })?;
        Ok(())
    }
}

/// Data `x = D* z + noise` of a known dictionary `D*` and codes `z` with exactly `s` non-zeros.
///
/// The columns of `D*` (m × p) are standard normal vectors scaled to unit length. The support of a code
/// is uniform among all sets of `s` atoms. Datum `i` is a function of the settings and `i` alone.
///
/// As a [`Source`] it gives `[batch, m]` with the target equal to the input, in a new random
/// order for every pass over the data, or all data in order if `batch` equals their number.
#[derive(Debug)]
pub struct SparseCoding {
    config: SparseCodingConfig,
    dictionary: KnownDictionary,
    /// D* transposed, as data are sums of whole columns.
    columns: Vec<f32>,
    draws: Draws,
}

impl SparseCoding {
    /// Draws the dictionary. Data are drawn when they are asked for.
    ///
    /// # Errors
    /// Returns an error if a setting is out of range.
    pub fn new(config: SparseCodingConfig) -> Result<Self> {
        config.validate()?;
        let SparseCodingConfig { dim, atoms, count, batch, seed, .. } = config;
        let dictionary = KnownDictionary::matrix(dim, atoms, seed);
        let columns = (0..atoms)
            .flat_map(|atom| dictionary.values().iter().skip(atom).step_by(atoms))
            .copied()
            .collect();
        Ok(Self { config, dictionary, columns, draws: Draws::new(count, batch, seed) })
    }

    /// The settings.
    pub fn config(&self) -> &SparseCodingConfig {
        &self.config
    }

    /// `D*`, m × p, row-major: entry (row, atom) is at `row * p + atom`.
    pub fn dictionary(&self) -> &[f32] {
        self.dictionary.values()
    }

    /// `D*` with its shape.
    pub fn known_dictionary(&self) -> &KnownDictionary {
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
            z[atom] = self.config.amplitude.draw(common, &mut rng);
            let column = &self.columns[atom * dim..(atom + 1) * dim];
            x.iter_mut().zip(column).for_each(|(x, d)| *x += d * z[atom]);
        }
        add_noise(&mut x, noise_sd, &mut rng);
        (x, z)
    }

    /// A dictionary near the true one, to start from: the columns of D* + sd · N(0, 1) scaled to
    /// unit length, m × p, row-major. `sd = 0` gives D* itself.
    pub fn perturbed(&self, sd: f32, seed: u64) -> Vec<f32> {
        self.dictionary.perturbed(sd, seed).values().to_vec()
    }
}

impl Source for SparseCoding {
    fn batch(&self, step: u64) -> Result<Batch> {
        let SparseCodingConfig { dim, batch, .. } = self.config;
        let input = self.draws.batch(step, |i| self.datum(i).0);
        Ok(Batch {
            shape: vec![batch, dim],
            target: input.clone(),
            input,
            noise: vec![],
            support: None,
        })
    }

    fn describe(&self) -> String {
        let SparseCodingConfig { dim, atoms, sparsity, count, noise_sd, .. } = self.config;
        format!("{count} data of length {dim}, {sparsity} of {atoms} atoms each, noise {noise_sd}")
    }
}

#[cfg(test)]
mod tests;
