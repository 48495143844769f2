//! What a stationary dictionary is made of.
//!
//! Where training has come to rest under `½‖X − D Z‖²` (with weight decay `ρ/2 ‖D‖²`),
//!
//! ```text
//! D = X Zᵀ (Z Zᵀ + ρI)⁻¹ = X G Zᵀ,   G = (ZᵀZ + ρI)⁻¹,
//! ```
//!
//! with `X` (`m×n`) the data and `Z` (`p×n`) their codes (Tolooshams & Ba, 2022, section 5). So every atom is a
//! sum of training data, `D_j = Σ_k α_k x_k` with `α = G w_j`, `w_j` the `j`-th row of `Z`, and so is every output:
//! `D z = Σ_k β_k x_k` with `β = G Zᵀ z`. By Woodbury's identity both need `B = (Z Zᵀ + ρI)⁻¹` alone, which is `p×p`
//! whatever the number of data: `α_k = z_kᵀ B e_j` and `β_k = z_kᵀ B z`.
//!
//! Atoms that are projected onto the unit sphere come to rest where the gradient points along each of them,
//! `(X − D Z) w_j = ν_j D_j`, and then `D = X Zᵀ (Z Zᵀ + diag ν)⁻¹` exactly, with `ν_j = D_jᵀ(X − D Z) w_j`: the multipliers of
//! the constraint take the place of the weight decay ([`Ridge::Sphere`]). With codes that solve the lasso,
//! `ν_j = λ ‖w_j‖₁`.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use nalgebra::DMatrix;
use rayon::prelude::*;

use crate::codes::{Row, SparseCodes};
use crate::error::{ExplainError, Result};

/// `Z Zᵀ` and `X Zᵀ`, added up in one pass over the data.
#[derive(Clone, Debug)]
pub struct Moments {
    atoms: usize,
    dim: usize,
    /// `Z Zᵀ`, `p×p`.
    gram: Vec<f64>,
    /// `Z Xᵀ`, `p×m`.
    cross: Vec<f64>,
    count: usize,
}

impl Moments {
    /// Those of no data, for `atoms` atoms of dimension `dim`.
    pub fn new(atoms: usize, dim: usize) -> Self {
        let (gram, cross) = (vec![0.0; atoms * atoms], vec![0.0; atoms * dim]);
        Self { atoms, dim, gram, cross, count: 0 }
    }

    /// Adds the data whose codes are the rows `range` of `codes` and whose values, `m` each, are `targets`. Does not
    /// depend on the number of threads.
    ///
    /// # Panics
    /// Where sizes do not match.
    pub fn add(&mut self, codes: &SparseCodes, range: Range<usize>, targets: &[f32]) {
        assert_eq!(codes.atoms(), self.atoms, "codes over other atoms");
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
        self.count += range.len();
    }

    /// The energy `Σ_k z_kj²` of each atom.
    pub fn energies(&self) -> Vec<f64> {
        (0..self.atoms).map(|j| self.gram[j * self.atoms + j]).collect()
    }

    /// `(D Z − X) Zᵀ`, atom by atom, `p×m` as `dictionary` is: the gradient of `½‖X − D Z‖²` in `D`, codes held fixed.
    pub fn gradient(&self, dictionary: &[f64]) -> Vec<f64> {
        let mut gradient = self.images(dictionary);
        gradient.iter_mut().zip(&self.cross).for_each(|(g, c)| *g -= c);
        gradient
    }

    /// `A Z Zᵀ` for atoms `A`, `p×m`.
    fn images(&self, atoms: &[f64]) -> Vec<f64> {
        let (p, m) = (self.atoms, self.dim);
        let mut images = vec![0.0; p * m];
        images.par_chunks_mut(m).zip(self.gram.par_chunks(p)).for_each(|(image, weights)| {
            for (weight, atom) in weights.iter().zip(atoms.chunks_exact(m)) {
                if *weight != 0.0 {
                    image.iter_mut().zip(atom).for_each(|(i, a)| *i += weight * a);
                }
            }
        });
        images
    }

    /// `‖A Z‖²` for atoms `A`, `p×m`.
    fn output_energy(&self, atoms: &[f64]) -> f64 {
        dot(&self.images(atoms), atoms).max(0.0)
    }

    /// The multipliers `ν_j = D_jᵀ(X − D Z) w_j` of atoms on the unit sphere. Those below a millionth of the atoms' mean energy,
    /// of atoms that nothing uses for example, are that.
    fn multipliers(&self, dictionary: &[f64]) -> Vec<f64> {
        let mean = self.energies().iter().sum::<f64>() / self.atoms as f64;
        let least = if mean > 0.0 { 1e-6 * mean } else { 1.0 };
        let gradient = self.gradient(dictionary);
        let pairs = gradient.chunks_exact(self.dim).zip(dictionary.chunks_exact(self.dim));
        pairs.map(|(gradient, atom)| (-dot(gradient, atom)).max(least)).collect()
    }

    /// The part of the gradient along the atoms' spheres, over `‖X Zᵀ‖_F`.
    fn stationarity_gap(&self, dictionary: &[f64]) -> f64 {
        let gradient = self.gradient(dictionary);
        let pairs = gradient.chunks_exact(self.dim).zip(dictionary.chunks_exact(self.dim));
        let squares: f64 = pairs
            .map(|(gradient, atom)| {
                let along = dot(gradient, atom).powi(2) / dot(atom, atom).max(f64::MIN_POSITIVE);
                (dot(gradient, gradient) - along).max(0.0)
            })
            .sum();
        (squares / dot(&self.cross, &self.cross).max(f64::MIN_POSITIVE)).sqrt()
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// What is added to the diagonal of `Z Zᵀ`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Ridge {
    /// The multipliers of atoms that are kept at unit norm.
    #[default]
    Sphere,
    /// `ρ ≥ 0`, the same for each atom: weight decay.
    Decay(f64),
}

impl FromStr for Ridge {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match (text, text.parse()) {
            ("sphere", _) => Ok(Self::Sphere),
            (_, Ok(rho)) if rho >= 0.0 && f64::is_finite(rho) => Ok(Self::Decay(rho)),
            _ => Err(format!("\"{text}\" is neither a number of at least 0 nor \"sphere\"")),
        }
    }
}

impl fmt::Display for Ridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sphere => f.write_str("sphere"),
            Self::Decay(rho) => write!(f, "{rho}"),
        }
    }
}

/// `B = (Z Zᵀ + ρI)⁻¹` and how well the identity holds.
#[derive(Clone, Debug)]
pub struct Identity {
    atoms: usize,
    dim: usize,
    ridge: Ridge,
    used: Vec<bool>,
    /// `B`, `p×p`.
    inverse: Vec<f64>,
    /// `D` and `X Zᵀ B`, atom by atom, `p×m` each.
    dictionary: Vec<f32>,
    estimate: Vec<f32>,
    residual: f64,
    residual_of_used: f64,
    residual_by_energy: f64,
    residual_of_outputs: f64,
    gap: f64,
}

impl Identity {
    /// Solves for `B`. `dictionary` is `D` atom by atom, `p×m`.
    ///
    /// # Errors
    /// A ridge out of range, or one that leaves the matrix singular.
    pub fn new(moments: &Moments, dictionary: Vec<f32>, ridge: Ridge) -> Result<Self> {
        if let Ridge::Decay(rho) = ridge
            && !(rho >= 0.0 && rho.is_finite())
        {
            return Err(ExplainError::range("ridge", rho, "a number ≥ 0"));
        }
        let (p, m) = (moments.atoms, moments.dim);
        assert_eq!(dictionary.len(), p * m, "a dictionary of the moments' size");
        let wide = |values: &[f32]| values.iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
        let d = wide(&dictionary);
        let mut system = DMatrix::from_column_slice(p, p, &moments.gram);
        let diagonal = match ridge {
            Ridge::Sphere => moments.multipliers(&d),
            Ridge::Decay(rho) => vec![rho; p],
        };
        diagonal.iter().enumerate().for_each(|(j, add)| system[(j, j)] += add);
        let used: Vec<bool> = moments.energies().iter().map(|energy| *energy > 0.0).collect();
        let singular = || ExplainError::Singular {
            ridge,
            unused: used.iter().filter(|used| !**used).count(),
            atoms: p,
        };
        let inverse = system.cholesky().ok_or_else(singular)?.inverse();
        let inverse = inverse.as_slice().to_vec();
        if !inverse.iter().all(|value| value.is_finite()) {
            return Err(singular());
        }
        // Row j is X Zᵀ B e_j.
        let mut estimate = vec![0.0f32; p * m];
        estimate.par_chunks_mut(m).enumerate().for_each(|(j, row)| {
            let mut sum = vec![0.0f64; m];
            for (weight, cross) in
                inverse[j * p..(j + 1) * p].iter().zip(moments.cross.chunks_exact(m))
            {
                sum.iter_mut().zip(cross).for_each(|(s, c)| *s += weight * c);
            }
            row.iter_mut().zip(sum).for_each(|(r, s)| *r = s as f32);
        });
        let norm =
            |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
        let e = wide(&estimate);
        let residual_of = |counts: &dyn Fn(usize) -> bool| {
            let of = |i: &usize| counts(i / m);
            norm(&mut (0..p * m).filter(of).map(|i| d[i] - e[i]))
                / norm(&mut (0..p * m).filter(of).map(|i| d[i])).max(f64::MIN_POSITIVE)
        };
        let (residual, residual_of_used) = (residual_of(&|_| true), residual_of(&|j| used[j]));
        let (energies, mut off) = (moments.energies(), 0.0);
        for (j, energy) in energies.iter().enumerate() {
            let atom = j * m..(j + 1) * m;
            let size: f64 = d[atom.clone()].iter().map(|v| v * v).sum();
            let left: f64 = atom.map(|i| (d[i] - e[i]).powi(2)).sum();
            off += energy * left / size.max(f64::MIN_POSITIVE);
        }
        let residual_by_energy = (off / energies.iter().sum::<f64>().max(f64::MIN_POSITIVE)).sqrt();
        let left: Vec<f64> = d.iter().zip(&e).map(|(d, e)| d - e).collect();
        let residual_of_outputs = (moments.output_energy(&left)
            / moments.output_energy(&d).max(f64::MIN_POSITIVE))
        .sqrt();
        let gap = moments.stationarity_gap(&d);
        Ok(Self {
            atoms: p,
            dim: m,
            ridge,
            used,
            inverse,
            dictionary,
            estimate,
            residual,
            residual_of_used,
            residual_by_energy,
            residual_of_outputs,
            gap,
        })
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

    /// `‖D − X G Zᵀ‖_F / ‖D‖_F`: what the explanation leaves out, 0 where it is exact.
    pub fn residual(&self) -> f64 {
        self.residual
    }

    /// The same over the atoms that some datum uses: of the others no data can tell.
    pub fn residual_of_used(&self) -> f64 {
        self.residual_of_used
    }

    /// The root mean square of the atoms' own relative residuals, each counted by its energy: what it leaves out of the
    /// atoms that matter.
    pub fn residual_by_energy(&self) -> f64 {
        self.residual_by_energy
    }

    /// `‖(D − X G Zᵀ) Z‖_F / ‖D Z‖_F`: what it leaves out of the training data's outputs, in which atoms that are alike can stand in
    /// for each other.
    pub fn residual_of_outputs(&self) -> f64 {
        self.residual_of_outputs
    }

    /// `‖D_j − Σ_k α_k x_k‖ / ‖D_j‖` of one atom.
    pub fn residual_of(&self, j: usize) -> f64 {
        let norm = |values: &mut dyn Iterator<Item = f32>| {
            values.map(|v| f64::from(v).powi(2)).sum::<f64>().sqrt()
        };
        let (atom, estimate) = (self.atom(j), self.estimate(j));
        norm(&mut atom.iter().zip(estimate).map(|(a, b)| a - b))
            / norm(&mut atom.iter().copied()).max(f64::MIN_POSITIVE)
    }

    /// `B`, row by row.
    pub fn inverse(&self) -> &[f64] {
        &self.inverse
    }

    /// The gradient `(D Z − X) Zᵀ` that training by `dec` would follow, along the unit sphere of each atom, over
    /// `‖X Zᵀ‖_F`: 0 at rest.
    pub fn stationarity_gap(&self) -> f64 {
        self.gap
    }

    /// Atom `j`, as learned.
    pub fn atom(&self, j: usize) -> &[f32] {
        &self.dictionary[j * self.dim..(j + 1) * self.dim]
    }

    /// Atom `j`, rebuilt as `Σ_k α_k x_k`.
    pub fn estimate(&self, j: usize) -> &[f32] {
        &self.estimate[j * self.dim..(j + 1) * self.dim]
    }

    /// The cosine between the two.
    pub fn cosine(&self, j: usize) -> f64 {
        cosine(self.atom(j), self.estimate(j))
    }

    /// The output that the identity gives for a code: `Σ_k β_k x_k`.
    pub fn output(&self, code: Row<'_>) -> Vec<f32> {
        combine(&self.estimate, self.dim, code)
    }

    /// The decoder's output for it, `D z`.
    pub fn decoded(&self, code: Row<'_>) -> Vec<f32> {
        combine(&self.dictionary, self.dim, code)
    }

    /// `α_k = z_kᵀ B e_j` of a datum for every atom `j`, from its code.
    pub fn shares(&self, code: Row<'_>) -> Vec<f64> {
        self.times(code)
    }

    /// `B z`: with a datum's code `z_k` it gives `β_k = z_kᵀ B z`.
    pub fn weights(&self, code: Row<'_>) -> Vec<f64> {
        self.times(code)
    }

    fn times(&self, code: Row<'_>) -> Vec<f64> {
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

/// A code times a `p×p` matrix.
pub(crate) fn rows_times(matrix: &[f64], atoms: usize, code: Row<'_>) -> Vec<f64> {
    let mut sum = vec![0.0; atoms];
    for (atom, value) in code.iter() {
        let row = &matrix[atom * atoms..(atom + 1) * atoms];
        sum.iter_mut().zip(row).for_each(|(s, b)| *s += f64::from(value) * b);
    }
    sum
}

fn combine(atoms: &[f32], dim: usize, code: Row<'_>) -> Vec<f32> {
    let mut sum = vec![0.0; dim];
    for (atom, value) in code.iter() {
        let atom = &atoms[atom * dim..(atom + 1) * dim];
        sum.iter_mut().zip(atom).for_each(|(s, a)| *s += value * a);
    }
    sum
}

/// The cosine of two vectors, 0 where one is zero.
pub fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    let norms = (dot(a, a) * dot(b, b)).sqrt();
    if norms > 0.0 { dot(a, b) / norms } else { 0.0 }
}
