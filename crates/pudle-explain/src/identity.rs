//! What a stationary dictionary is made of.
//!
//! If training has come to rest under `½‖X − D Z‖²` (with weight decay `ρ/2 ‖D‖²`), then
//!
//! ```text
//! D = X Zᵀ (Z Zᵀ + ρI)⁻¹ = X G Zᵀ,   G = (ZᵀZ + ρI)⁻¹,
//! ```
//!
//! with `X` (`m×n`) the data and `Z` (`p×n`) their codes (Tolooshams & Ba, 2022, section 5). So every atom is a
//! sum of training data, `D_j = Σ_k α_k x_k` with `α = G w_j`, `w_j` the `j`-th row of `Z`, and so is every output:
//! `D z = Σ_k β_k x_k` with `β = G Zᵀ z`. By Woodbury's identity both need only `B = (Z Zᵀ + ρI)⁻¹`, which is `p×p`
//! for any number of data: `α_k = z_kᵀ B e_j` and `β_k = z_kᵀ B z`.
//!
//! Atoms that are projected onto the unit sphere come to rest where the gradient points along each of them,
//! `(X − D Z) w_j = ν_j D_j`, and then `D = X Zᵀ (Z Zᵀ + diag ν)⁻¹` exactly, with `ν_j = D_jᵀ(X − D Z) w_j`: the multipliers of
//! the constraint take the place of the weight decay ([`Ridge::Sphere`]). With codes that solve the lasso,
//! `ν_j = λ ‖w_j‖₁`.

use nalgebra::DMatrix;
use rayon::prelude::*;

use crate::codes::Row;
use crate::error::{ExplainError, Result};
use crate::moments::Moments;
use crate::ridge::Ridge;
use crate::vectors::cosine;

/// `B = (Z Zᵀ + ρI)⁻¹` and how well the identity holds.
#[derive(Clone, Debug)]
pub struct Identity {
    atoms: usize,
    dim: usize,
    ridge: Ridge,
    used: Vec<bool>,
    /// `B`, `p×p`.
    inverse: Vec<f64>,
    /// `D`, atom by atom, `p×m`.
    dictionary: Vec<f32>,
    /// `X Zᵀ B`, atom by atom, `p×m`.
    estimate: Vec<f32>,
    residuals: Residuals,
}

/// Relative differences between the dictionary and its estimate from training data.
#[derive(Clone, Copy, Debug)]
struct Residuals {
    all: f64,
    used: f64,
    by_energy: f64,
    outputs: f64,
    stationarity_gap: f64,
}

impl Identity {
    /// Solves for `B`. `dictionary` is `D` atom by atom, `p×m`.
    ///
    /// # Errors
    /// Returns an error if the ridge is negative or not finite, or if the matrix is singular with it.
    ///
    /// # Panics
    /// Panics if the dictionary has another size than the moments.
    pub fn new(moments: &Moments, dictionary: Vec<f32>, ridge: Ridge) -> Result<Self> {
        if let Ridge::Decay(rho) = ridge
            && !(rho >= 0.0 && rho.is_finite())
        {
            return Err(ExplainError::range("ridge", rho, "a number ≥ 0"));
        }
        let (p, m) = (moments.atoms(), moments.dim());
        assert_eq!(dictionary.len(), p * m, "a dictionary of the moments' size");
        let used: Vec<bool> = moments.energies().iter().map(|energy| *energy > 0.0).collect();
        let d = wide(&dictionary);
        let diagonal = match ridge {
            Ridge::Sphere => moments.multipliers(&d),
            Ridge::Decay(rho) => vec![rho; p],
        };
        let inverse = inverse(moments, &diagonal).ok_or_else(|| ExplainError::Singular {
            ridge,
            unused: used.iter().filter(|used| !**used).count(),
            atoms: p,
        })?;
        let estimate = estimate(moments, &inverse);
        let residuals = Residuals::new(moments, &used, &d, &wide(&estimate));
        Ok(Self { atoms: p, dim: m, ridge, used, inverse, dictionary, estimate, residuals })
    }

    /// Number of atoms `p`.
    pub fn atoms(&self) -> usize {
        self.atoms
    }

    /// What was added to the diagonal.
    pub fn ridge(&self) -> Ridge {
        self.ridge
    }

    /// Whether any datum uses atom `j`.
    pub fn is_used(&self, j: usize) -> bool {
        self.used[j]
    }

    /// `‖D − X G Zᵀ‖_F / ‖D‖_F`: the part of the dictionary that the explanation leaves out, 0 if it is exact.
    pub fn residual(&self) -> f64 {
        self.residuals.all
    }

    /// The same residual over the atoms that some datum uses. The data say nothing about the other atoms.
    pub fn residual_of_used(&self) -> f64 {
        self.residuals.used
    }

    /// The root mean square of the atoms' own relative residuals, each weighted by the atom's energy.
    pub fn residual_by_energy(&self) -> f64 {
        self.residuals.by_energy
    }

    /// `‖(D − X G Zᵀ) Z‖_F / ‖D Z‖_F`: the part of the training data's outputs that the explanation leaves out. It can be small
    /// while single atoms are off, because similar atoms can replace each other in an output.
    pub fn residual_of_outputs(&self) -> f64 {
        self.residuals.outputs
    }

    /// `‖D_j − Σ_k α_k x_k‖ / ‖D_j‖` of atom `j`.
    pub fn residual_of(&self, j: usize) -> f64 {
        let norm = |values: &mut dyn Iterator<Item = f32>| {
            values.map(|v| f64::from(v).powi(2)).sum::<f64>().sqrt()
        };
        let (atom, estimate) = (self.atom(j), self.estimate(j));
        norm(&mut atom.iter().zip(estimate).map(|(a, b)| a - b))
            / norm(&mut atom.iter().copied()).max(f64::MIN_POSITIVE)
    }

    /// `B`, row by row, `p×p`.
    pub fn inverse(&self) -> &[f64] {
        &self.inverse
    }

    /// The gradient `(D Z − X) Zᵀ` that training by `dec` would follow, along the unit sphere of each atom, divided by
    /// `‖X Zᵀ‖_F`: 0 at rest.
    pub fn stationarity_gap(&self) -> f64 {
        self.residuals.stationarity_gap
    }

    /// Atom `j` as learned, `m` values.
    pub fn atom(&self, j: usize) -> &[f32] {
        &self.dictionary[j * self.dim..(j + 1) * self.dim]
    }

    /// Atom `j` as rebuilt from training data, `Σ_k α_k x_k`.
    pub fn estimate(&self, j: usize) -> &[f32] {
        &self.estimate[j * self.dim..(j + 1) * self.dim]
    }

    /// The cosine between atom `j` and its estimate.
    pub fn cosine(&self, j: usize) -> f64 {
        cosine(self.atom(j), self.estimate(j))
    }

    /// The output that the identity gives for a code, `Σ_k β_k x_k`.
    pub fn output(&self, code: Row<'_>) -> Vec<f32> {
        combine(&self.estimate, self.dim, code)
    }

    /// The decoder's output for a code, `D z`.
    pub fn decoded(&self, code: Row<'_>) -> Vec<f32> {
        combine(&self.dictionary, self.dim, code)
    }

    /// `α_k = z_kᵀ B e_j` of a datum for every atom `j`, from its code.
    pub fn shares(&self, code: Row<'_>) -> Vec<f64> {
        rows_times(&self.inverse, self.atoms, code)
    }

    /// `B z`. Its product with a datum's code `z_k` is `β_k = z_kᵀ B z`.
    pub fn weights(&self, code: Row<'_>) -> Vec<f64> {
        rows_times(&self.inverse, self.atoms, code)
    }

    /// `DᵀD`, `p×p`.
    pub(crate) fn coherence(&self) -> Vec<f64> {
        let (p, m) = (self.atoms, self.dim);
        let mut coherence = vec![0.0; p * p];
        coherence.par_chunks_mut(p).enumerate().for_each(|(j, row)| {
            for (value, other) in row.iter_mut().zip(self.dictionary.chunks_exact(m)) {
                let products = self.atom(j).iter().zip(other);
                *value = products.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            }
        });
        coherence
    }
}

impl Residuals {
    /// Compares atoms `d` with their estimates `e`, `p×m` each.
    fn new(moments: &Moments, used: &[bool], d: &[f64], e: &[f64]) -> Self {
        let (p, m) = (moments.atoms(), moments.dim());
        let norm =
            |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
        let over = |includes: &dyn Fn(usize) -> bool| {
            let included = |i: &usize| includes(i / m);
            norm(&mut (0..p * m).filter(included).map(|i| d[i] - e[i]))
                / norm(&mut (0..p * m).filter(included).map(|i| d[i])).max(f64::MIN_POSITIVE)
        };
        let (energies, mut weighted) = (moments.energies(), 0.0);
        for (j, energy) in energies.iter().enumerate() {
            let atom = j * m..(j + 1) * m;
            let size: f64 = d[atom.clone()].iter().map(|v| v * v).sum();
            let rest: f64 = atom.map(|i| (d[i] - e[i]).powi(2)).sum();
            weighted += energy * rest / size.max(f64::MIN_POSITIVE);
        }
        let rest: Vec<f64> = d.iter().zip(e).map(|(d, e)| d - e).collect();
        Self {
            all: over(&|_| true),
            used: over(&|j| used[j]),
            by_energy: (weighted / energies.iter().sum::<f64>().max(f64::MIN_POSITIVE)).sqrt(),
            outputs: (moments.output_energy(&rest)
                / moments.output_energy(d).max(f64::MIN_POSITIVE))
            .sqrt(),
            stationarity_gap: moments.stationarity_gap(d),
        }
    }
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|v| f64::from(*v)).collect()
}

/// `(Z Zᵀ + diagonal)⁻¹`, `p×p`, or nothing if the matrix is singular.
fn inverse(moments: &Moments, diagonal: &[f64]) -> Option<Vec<f64>> {
    let p = moments.atoms();
    let mut system = DMatrix::from_column_slice(p, p, moments.gram());
    diagonal.iter().enumerate().for_each(|(j, add)| system[(j, j)] += add);
    let inverse = system.cholesky()?.inverse().as_slice().to_vec();
    inverse.iter().all(|value| value.is_finite()).then_some(inverse)
}

/// `X Zᵀ B`, atom by atom, `p×m`: row `j` is `X Zᵀ B e_j`.
fn estimate(moments: &Moments, inverse: &[f64]) -> Vec<f32> {
    let (p, m) = (moments.atoms(), moments.dim());
    let mut estimate = vec![0.0f32; p * m];
    estimate.par_chunks_mut(m).enumerate().for_each(|(j, row)| {
        let mut sum = vec![0.0f64; m];
        for (weight, cross) in
            inverse[j * p..(j + 1) * p].iter().zip(moments.cross().chunks_exact(m))
        {
            sum.iter_mut().zip(cross).for_each(|(s, c)| *s += weight * c);
        }
        row.iter_mut().zip(sum).for_each(|(r, s)| *r = s as f32);
    });
    estimate
}

/// The product of a code and a `p×p` matrix.
pub(crate) fn rows_times(matrix: &[f64], atoms: usize, code: Row<'_>) -> Vec<f64> {
    let mut sum = vec![0.0; atoms];
    for (atom, value) in code.iter() {
        let row = &matrix[atom * atoms..(atom + 1) * atoms];
        sum.iter_mut().zip(row).for_each(|(s, b)| *s += f64::from(value) * b);
    }
    sum
}

/// The sum of atoms of `dim` values each, weighted by a code.
pub(crate) fn combine(atoms: &[f32], dim: usize, code: Row<'_>) -> Vec<f32> {
    let mut sum = vec![0.0; dim];
    for (atom, value) in code.iter() {
        let atom = &atoms[atom * dim..(atom + 1) * dim];
        sum.iter_mut().zip(atom).for_each(|(s, a)| *s += value * a);
    }
    sum
}
