//! Sums over the training data that the identity is computed from.

use std::ops::Range;

use rayon::prelude::*;

use crate::codes::SparseCodes;
use crate::vectors::dot;

/// `Z Zᵀ` and `X Zᵀ`, added up in one pass over the data.
#[derive(Clone, Debug)]
pub struct Moments {
    atoms: usize,
    dim: usize,
    /// `Z Zᵀ`, `p×p`.
    gram: Vec<f64>,
    /// `Z Xᵀ`, `p×m`.
    cross: Vec<f64>,
}

impl Moments {
    /// The moments of no data, for `atoms` atoms of `dim` values each.
    pub fn new(atoms: usize, dim: usize) -> Self {
        let (gram, cross) = (vec![0.0; atoms * atoms], vec![0.0; atoms * dim]);
        Self { atoms, dim, gram, cross }
    }

    /// Adds data: their codes are the rows `range` of `codes`, their values, `m` each, are `targets`. The result does not
    /// depend on the number of threads.
    ///
    /// # Panics
    /// Panics if `codes` has another number of atoms, or `targets` another length than `m` for each row.
    pub fn add(&mut self, codes: &SparseCodes, range: Range<usize>, targets: &[f32]) {
        assert_eq!(codes.atoms(), self.atoms, "codes over another number of atoms");
        assert_eq!(targets.len(), range.len() * self.dim, "targets of another number or size");
        let columns = codes.by_atom(range.clone());
        let (atoms, dim) = (self.atoms, self.dim);
        let rows = self.gram.par_chunks_mut(atoms).zip(self.cross.par_chunks_mut(dim));
        rows.zip(&columns).for_each(|((gram, cross), column)| {
            for &(k, value) in column {
                let value = f64::from(value);
                codes.row(k).iter().for_each(|(i, other)| gram[i] += value * f64::from(other));
                let start = (k - range.start) * dim;
                let target = &targets[start..start + dim];
                cross.iter_mut().zip(target).for_each(|(c, x)| *c += value * f64::from(*x));
            }
        });
    }

    /// Number of atoms `p`.
    pub(crate) fn atoms(&self) -> usize {
        self.atoms
    }

    /// Number of values of an atom, `m`.
    pub(crate) fn dim(&self) -> usize {
        self.dim
    }

    /// `Z Zᵀ`, `p×p`.
    pub(crate) fn gram(&self) -> &[f64] {
        &self.gram
    }

    /// `Z Xᵀ`, `p×m`.
    pub(crate) fn cross(&self) -> &[f64] {
        &self.cross
    }

    /// The energy `Σ_k z_kj²` of each atom.
    pub fn energies(&self) -> Vec<f64> {
        (0..self.atoms).map(|j| self.gram[j * self.atoms + j]).collect()
    }

    /// `(D Z − X) Zᵀ`, atom by atom, `p×m` as `dictionary` is: the gradient of `½‖X − D Z‖²` in `D` for fixed codes.
    pub fn gradient(&self, dictionary: &[f64]) -> Vec<f64> {
        let mut gradient = self.times_gram(dictionary);
        gradient.iter_mut().zip(&self.cross).for_each(|(g, c)| *g -= c);
        gradient
    }

    /// `A Z Zᵀ` for atoms `A`, `p×m`.
    fn times_gram(&self, atoms: &[f64]) -> Vec<f64> {
        let (p, m) = (self.atoms, self.dim);
        let mut products = vec![0.0; p * m];
        products.par_chunks_mut(m).zip(self.gram.par_chunks(p)).for_each(|(product, weights)| {
            for (weight, atom) in weights.iter().zip(atoms.chunks_exact(m)) {
                if *weight != 0.0 {
                    product.iter_mut().zip(atom).for_each(|(i, a)| *i += weight * a);
                }
            }
        });
        products
    }

    /// `‖A Z‖²` for atoms `A`, `p×m`.
    pub(crate) fn output_energy(&self, atoms: &[f64]) -> f64 {
        dot(&self.times_gram(atoms), atoms).max(0.0)
    }

    /// The multipliers `ν_j = D_jᵀ(X − D Z) w_j` of atoms on the unit sphere. The least multiplier is a millionth of the
    /// atoms' mean energy, so that atoms that no datum uses leave the matrix regular.
    pub(crate) fn multipliers(&self, dictionary: &[f64]) -> Vec<f64> {
        let mean = self.energies().iter().sum::<f64>() / self.atoms as f64;
        let least = if mean > 0.0 { 1e-6 * mean } else { 1.0 };
        let gradient = self.gradient(dictionary);
        let pairs = gradient.chunks_exact(self.dim).zip(dictionary.chunks_exact(self.dim));
        pairs.map(|(gradient, atom)| (-dot(gradient, atom)).max(least)).collect()
    }

    /// The norm of the gradient along the atoms' spheres, divided by `‖X Zᵀ‖_F`.
    pub(crate) fn stationarity_gap(&self, dictionary: &[f64]) -> f64 {
        let gradient = self.gradient(dictionary);
        let pairs = gradient.chunks_exact(self.dim).zip(dictionary.chunks_exact(self.dim));
        let squares: f64 = pairs
            .map(|(gradient, atom)| {
                let radial = dot(gradient, atom).powi(2) / dot(atom, atom).max(f64::MIN_POSITIVE);
                (dot(gradient, gradient) - radial).max(0.0)
            })
            .sum();
        (squares / dot(&self.cross, &self.cross).max(f64::MIN_POSITIVE)).sqrt()
    }
}
