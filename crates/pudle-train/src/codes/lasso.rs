//! The lasso's solution for data in a matrix of atoms, to which the layers converge.

use pudle_core::{DenseDictionary, Dictionary, Proximal, Pudle};
use rayon::prelude::*;

use crate::cholesky::cholesky_solve;

/// Atoms that join the active ones at a time, at least.
const JOIN: usize = 16;
/// Rounds of joining atoms and solving; each but the last brings the solution closer.
const ROUNDS: usize = 100;
/// Sweeps over the active atoms in a round.
const SWEEPS: usize = 400;
/// An atom joins if its correlation with the residual is above `λ` by more than this part of the largest correlation.
const SLACK: f32 = 2e-6;

/// Minimises `½‖x − D z‖² + Σ λ_j |z_j|` over `z`, or over `z ≥ 0`.
///
/// A set of active atoms grows until no other atom's correlation with the residual exceeds its `λ`. On the active ones,
/// coordinate descent finds the support (Friedman, Hastie & Tibshirani, *Regularization Paths for Generalized Linear Models
/// via Coordinate Descent*, 2010), and the optimality condition `D_Sᵀ(x − D_S z_S) = λ_S sign(z_S)` is then solved for the codes
/// on it, as in the feature-sign search of Lee et al. (*Efficient sparse coding algorithms*, 2006).
#[derive(Clone, Debug)]
pub(super) struct Lasso {
    /// `DᵀD`, `[p, p]`.
    gram: Vec<f32>,
    /// `λ` of each atom.
    lambda: Vec<f32>,
    atoms: usize,
    nonnegative: bool,
}

impl Lasso {
    /// The lasso of a model whose layers are tied, with one `λ` for every atom or for all.
    pub fn new(model: &Pudle<2, DenseDictionary>, lambda: &[f32]) -> Self {
        let d = model.dictionary().atoms();
        let atoms = d.dims()[1];
        let gram = d.clone().transpose().matmul(d).into_data();
        let lambda = match lambda {
            [one] => vec![*one; atoms],
            many => many.to_vec(),
        };
        let nonnegative = model.config().prox == Proximal::Relu;
        Self { gram: gram.iter::<f32>().collect(), lambda, atoms, nonnegative }
    }

    /// The solutions for data with these correlations `Dᵀx`, `[b, p]`.
    pub fn solve(&self, correlations: &[f32]) -> Vec<f32> {
        let mut codes = vec![0.0; correlations.len()];
        let rows = codes.par_chunks_mut(self.atoms).zip(correlations.par_chunks(self.atoms));
        rows.for_each_init(|| Row::new(self), |row, (code, b)| row.solve(b, code));
        codes
    }

    fn gram_row(&self, atom: usize) -> &[f32] {
        &self.gram[atom * self.atoms..][..self.atoms]
    }
}

/// Memory for the solution of one datum.
struct Row<'a> {
    lasso: &'a Lasso,
    /// `Dᵀ(x − D z)`, `[p]`.
    gradient: Vec<f32>,
    active: Vec<usize>,
    is_active: Vec<bool>,
    /// The codes of the active atoms, and their gradients.
    z: Vec<f32>,
    q: Vec<f32>,
    /// The Gram matrix of the active atoms.
    sub: Vec<f32>,
    joining: Vec<(f32, usize)>,
    factor: Vec<f64>,
}

impl<'a> Row<'a> {
    fn new(lasso: &'a Lasso) -> Self {
        let (gradient, is_active) = (vec![0.0; lasso.atoms], vec![false; lasso.atoms]);
        let (active, z, q, sub, joining, factor) = (vec![], vec![], vec![], vec![], vec![], vec![]);
        Self { lasso, gradient, active, is_active, z, q, sub, joining, factor }
    }

    /// Writes the solution for the correlations `b` to `code`.
    fn solve(&mut self, b: &[f32], code: &mut [f32]) {
        let largest = b.iter().fold(0.0f32, |most, value| most.max(value.abs()));
        self.gradient.copy_from_slice(b);
        self.active.clear();
        self.z.clear();
        self.is_active.fill(false);
        let (mut tolerance, mut exact) = (1e-3 * largest, false);
        for _ in 0..ROUNDS {
            let joined = self.join(SLACK * largest);
            if !joined && (exact || tolerance < 1e-7 * largest) {
                break;
            }
            self.gather();
            self.descend(tolerance);
            exact = !joined && self.solve_support(b);
            self.update_gradient(b);
            if !exact && !joined {
                tolerance *= 0.1;
            }
        }
        for (atom, value) in self.active.iter().zip(&self.z) {
            code[*atom] = *value;
        }
    }

    /// Lets the atoms join whose correlation exceeds `λ` the most, and returns whether there are any.
    fn join(&mut self, slack: f32) -> bool {
        let Self { lasso, gradient, active, is_active, z, joining, .. } = self;
        joining.clear();
        for (atom, gradient) in gradient.iter().enumerate() {
            let size = if lasso.nonnegative { *gradient } else { gradient.abs() };
            let excess = size - lasso.lambda[atom];
            if excess > slack && !is_active[atom] {
                joining.push((excess, atom));
            }
        }
        let most = JOIN.max(active.len() / 2);
        if joining.len() > most {
            joining.select_nth_unstable_by(most, |a, b| b.0.total_cmp(&a.0));
            joining.truncate(most);
        }
        for (_, atom) in &*joining {
            active.push(*atom);
            is_active[*atom] = true;
            z.push(0.0);
        }
        !joining.is_empty()
    }

    /// Gathers gradients and Gram matrix of the active atoms.
    fn gather(&mut self) {
        let Self { lasso, gradient, active, q, sub, .. } = self;
        q.clear();
        sub.clear();
        for atom in &*active {
            q.push(gradient[*atom]);
            let row = lasso.gram_row(*atom);
            sub.extend(active.iter().map(|other| row[*other]));
        }
    }

    /// The code of an atom whose correlation with the residual without it is `value`.
    fn shrunk(&self, atom: usize, value: f32) -> f32 {
        let lambda = self.lasso.lambda[atom];
        if value > lambda {
            value - lambda
        } else if value < -lambda && !self.lasso.nonnegative {
            value + lambda
        } else {
            0.0
        }
    }

    /// Coordinate descent on the active atoms, until no correlation changes by more than `tolerance`.
    fn descend(&mut self, tolerance: f32) {
        let count = self.active.len();
        for _ in 0..SWEEPS {
            let mut most = 0.0f32;
            for k in 0..count {
                let norm = self.sub[k * count + k];
                if norm <= 0.0 {
                    continue;
                }
                let value = self.shrunk(self.active[k], self.q[k] + norm * self.z[k]) / norm;
                let change = value - self.z[k];
                if change != 0.0 {
                    self.z[k] = value;
                    most = most.max(change.abs() * norm);
                    let row = &self.sub[k * count..][..count];
                    self.q.iter_mut().zip(row).for_each(|(q, gram)| *q -= change * gram);
                }
            }
            if most <= tolerance {
                return;
            }
        }
    }

    /// Solves the optimality condition on the support, and takes its solution if all signs stay. The active atoms are those of
    /// the support then.
    fn solve_support(&mut self, b: &[f32]) -> bool {
        let count = self.active.len();
        let support: Vec<usize> = (0..count).filter(|k| self.z[*k] != 0.0).collect();
        let size = support.len();
        self.factor.clear();
        let mut solution: Vec<f64> = Vec::with_capacity(size);
        for k in &support {
            let atom = self.active[*k];
            let sign = f64::from(self.z[*k].signum());
            solution.push(f64::from(b[atom]) - f64::from(self.lasso.lambda[atom]) * sign);
            self.factor.extend(support.iter().map(|other| f64::from(self.sub[k * count + other])));
        }
        if !cholesky_solve(&mut self.factor, &mut solution) {
            return false;
        }
        let same =
            support.iter().zip(&solution).all(|(k, value)| f64::from(self.z[*k]) * value > 0.0);
        if !same {
            return false;
        }
        let kept: Vec<usize> = support.iter().map(|k| self.active[*k]).collect();
        for atom in &self.active {
            self.is_active[*atom] = false;
        }
        kept.iter().for_each(|atom| self.is_active[*atom] = true);
        self.active = kept;
        self.z = solution.into_iter().map(|value| value as f32).collect();
        true
    }

    fn update_gradient(&mut self, b: &[f32]) {
        self.gradient.copy_from_slice(b);
        for (atom, value) in self.active.iter().zip(&self.z).filter(|(_, value)| **value != 0.0) {
            let row = self.lasso.gram_row(*atom);
            self.gradient
                .iter_mut()
                .zip(row)
                .for_each(|(gradient, gram)| *gradient -= value * gram);
        }
    }
}
