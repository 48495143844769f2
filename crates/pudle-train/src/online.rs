//! The update of online dictionary learning: sums over past codes, and descent over the atoms one by one.

use burn::module::{Module, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Tensor, TensorData};
use pudle_core::{DenseConfig, Dictionary, DictionaryConfig, Pudle};
use rayon::prelude::*;

/// Steps that the sums remember at the start.
const FIRST_STEPS: f32 = 10.0;
/// Share of all steps that they remember on top. Codes change with the atoms, so older ones are worth little.
const SHARE: f32 = 0.05;
/// An atom stays as it is if the mean square of its codes is below this part of the largest one: no datum has used it for long.
const LEAST_USE: f32 = 1e-7;
/// Atoms whose residuals are computed together.
const BLOCK: usize = 32;

/// Weighted means over the data of past steps, of their codes `z` and targets `x`.
///
/// With them, `½⟨DᵀD, A⟩ − ⟨D, B⟩` is the mean of `½‖x − D z‖²` up to a constant, for codes that are held. Its descent over the atoms is
/// that of Mairal, Bach, Ponce & Sapiro, *Online Learning for Matrix Factorization and Sparse Coding*, JMLR 11, 2010, algorithm 2, for
/// atoms of unit norm.
#[derive(Module, Debug)]
pub(crate) struct Sums {
    /// `A`, the mean of `z zᵀ`, `[p, p]`. No sum has a gradient; they are parameters so that checkpoints hold them.
    gram: Param<Tensor<2>>,
    /// `Bᵀ`, the mean of `z xᵀ`, `[p, m]`.
    products: Param<Tensor<2>>,
    /// Number of steps, `[1]`.
    steps: Param<Tensor<1>>,
}

/// The atoms that a descent may change, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Descent {
    /// The part of the way to the best value of an atom, in (0, 1].
    pub rate: f32,
    /// Number of first atoms that stay as they are.
    pub fixed: usize,
    /// Whether atoms are ≥ 0.
    pub nonnegative: bool,
}

impl Sums {
    /// The sums before the first step; `None` if the atoms are filters, whose codes overlap.
    pub fn of<const D: usize, A: Dictionary<D>>(model: &Pudle<D, A>) -> Option<Self> {
        let DictionaryConfig::Dense(DenseConfig { dim, atoms: p }) = model.config().dictionary
        else {
            return None;
        };
        let atoms = model.dictionary().atoms();
        let options = (&atoms.device(), atoms.dtype());
        let held = |value: Tensor<2>| Param::from_tensor(value).set_require_grad(false);
        Some(Self {
            gram: held(Tensor::zeros([p, p], options)),
            products: held(Tensor::zeros([p, dim], options)),
            steps: Param::from_tensor(Tensor::zeros([1], options)).set_require_grad(false),
        })
    }

    /// What a batch adds, in place of gradients: the means of `z zᵀ` and `z xᵀ` over codes `[b, p]` and targets `[b, m]`.
    pub fn of_batch(&self, code: Tensor<2>, target: Tensor<2>) -> GradientsParams {
        let scale = 1.0 / target.dims()[0] as f64;
        let transposed = code.clone().transpose() * scale;
        let mut means = GradientsParams::new();
        means.register(self.gram.id, transposed.clone().matmul(code));
        means.register(self.products.id, transposed.matmul(target));
        means
    }

    /// The sums with those of a batch, from [`of_batch`](Self::of_batch). Of `n` steps, the last `n/20 + 10` count.
    pub fn with(self, mut batch: GradientsParams) -> Self {
        let steps = self.steps.val().inner() + 1.0;
        let count = steps.clone().into_scalar::<f32>();
        let weight = f64::from(1.0 / count.min(FIRST_STEPS + SHARE * count));
        let mut add = |sum: Param<Tensor<2>>| {
            let new = batch.remove::<2>(sum.id).expect("a step has the means of its batch");
            replaced(sum, |old| old * (1.0 - weight) + new * weight)
        };
        let (gram, products) = (add(self.gram), add(self.products));
        Self { gram, products, steps: replaced(self.steps, |_| steps) }
    }

    /// The sums as if no datum had used these atoms.
    pub fn without(self, atoms: &[usize]) -> Self {
        let [p, m] = self.products.dims();
        let mut kept = vec![1.0f32; p];
        atoms.iter().for_each(|atom| kept[*atom] = 0.0);
        let kept = |shape: [usize; 2], like: &Tensor<2>| {
            let column = TensorData::new(kept.clone(), shape);
            Tensor::<2>::from_data(column, (&like.device(), like.dtype()))
        };
        let gram = replaced(self.gram, |old| {
            let (rows, columns) = (kept([p, 1], &old), kept([1, p], &old));
            old * rows.expand([p, p]) * columns.expand([p, p])
        });
        let products =
            replaced(self.products, |old| old.clone() * kept([p, 1], &old).expand([p, m]));
        Self { gram, products, ..self }
    }

    /// The atoms `[m, p]` after one pass over them: each moves towards the value that is best while the others stay.
    pub fn descend(&self, atoms: Tensor<2>, descent: Descent) -> Tensor<2> {
        let options = (&atoms.device(), atoms.dtype());
        let [m, p] = atoms.dims();
        let mut rows = numbers(atoms.transpose());
        let (gram, products) =
            (numbers(self.gram.val().inner()), numbers(self.products.val().inner()));
        Pass { gram: &gram, products: &products, width: m, descent }.run(&mut rows);
        Tensor::<2>::from_data(TensorData::new(rows, [p, m]), options).transpose()
    }
}

/// A parameter with another value, outside any graph.
fn replaced<const D: usize>(
    param: Param<Tensor<D>>,
    f: impl FnOnce(Tensor<D>) -> Tensor<D>,
) -> Param<Tensor<D>> {
    param.map(|value| match value.is_autodiff() {
        true => f(value.inner()).autodiff().set_require_grad(false),
        false => f(value),
    })
}

fn numbers(tensor: Tensor<2>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().try_into_vec().expect("converted to f32")
}

/// One pass of block coordinate descent.
struct Pass<'a> {
    /// `A`, `[p, p]`.
    gram: &'a [f32],
    /// `Bᵀ`, `[p, m]`.
    products: &'a [f32],
    /// `m`.
    width: usize,
    descent: Descent,
}

impl Pass<'_> {
    /// Changes the atoms, rows of `[p, m]`. The result does not depend on the number of threads.
    fn run(&self, atoms: &mut [f32]) {
        let (m, p) = (self.width, self.products.len() / self.width);
        let largest = (0..p).fold(0.0f32, |most, j| most.max(self.gram[j * p + j]));
        let least = LEAST_USE * largest;
        for first in (self.descent.fixed..p).step_by(BLOCK) {
            let count = BLOCK.min(p - first);
            // Row j of Bᵀ − A Dᵀ, the negative gradient of atom j.
            let mut slopes = self.products[first * m..][..count * m].to_vec();
            slopes.par_chunks_exact_mut(m).enumerate().for_each(|(k, slope)| {
                subtract(slope, &self.gram[(first + k) * p..][..p], atoms);
            });
            for k in 0..count {
                let own = self.gram[(first + k) * p + first + k];
                let (done, later) = slopes.split_at_mut((k + 1) * m);
                let atom = &mut atoms[(first + k) * m..][..m];
                if own.is_nan() || own <= least {
                    continue;
                }
                let Some(change) = self.step(atom, &done[k * m..], own) else { continue };
                for (later, slope) in later.chunks_exact_mut(m).enumerate() {
                    let other = first + k + 1 + later;
                    subtract(slope, &[self.gram[other * p + first + k]], &change);
                }
            }
        }
    }

    /// Moves an atom along its slope, and returns its change; `None` if there is no direction to move to.
    fn step(&self, atom: &mut [f32], slope: &[f32], own: f32) -> Option<Vec<f32>> {
        let Descent { rate, nonnegative, .. } = self.descent;
        let mut moved: Vec<f32> =
            atom.iter().zip(slope).map(|(d, slope)| d + rate / own * slope).collect();
        if nonnegative {
            moved.iter_mut().for_each(|d| *d = d.max(0.0));
        }
        let norm = moved.iter().map(|d| d * d).sum::<f32>().sqrt();
        if !(norm > 0.0 && norm.is_finite()) {
            return None;
        }
        for (moved, atom) in moved.iter_mut().zip(atom) {
            let new = *moved / norm;
            *moved = new - *atom;
            *atom = new;
        }
        Some(moved)
    }
}

/// Subtracts from `sum` the rows, each times its factor. Four rows at a time, so that the sum is read and written less.
fn subtract(sum: &mut [f32], factors: &[f32], rows: &[f32]) {
    let m = sum.len();
    let (fours, rest) = factors.as_chunks::<4>();
    for ([a, b, c, d], rows) in fours.iter().zip(rows.chunks_exact(4 * m)) {
        let ((first, second), (third, fourth)) =
            (rows[..2 * m].split_at(m), rows[2 * m..].split_at(m));
        for k in 0..m {
            sum[k] -= a * first[k] + b * second[k] + (c * third[k] + d * fourth[k]);
        }
    }
    let rows = rows[4 * m * fours.len()..].chunks_exact(m);
    for (factor, row) in rest.iter().zip(rows) {
        sum.iter_mut().zip(row).for_each(|(sum, value)| *sum -= factor * value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_subtracted() {
        for count in 0..10 {
            let factors: Vec<f32> = (0..count).map(|i| 0.5 - i as f32).collect();
            let rows: Vec<f32> = (0..3 * count).map(|i| (i as f32).cos()).collect();
            let mut sum = [1.0, 2.0, 3.0];
            subtract(&mut sum, &factors, &rows);
            for (k, found) in sum.into_iter().enumerate() {
                let products =
                    factors.iter().enumerate().map(|(i, factor)| factor * rows[3 * i + k]);
                let expected = (k + 1) as f32 - products.sum::<f32>();
                assert!((found - expected).abs() < 1e-4, "{count} rows: {found}, not {expected}");
            }
        }
    }

    #[test]
    fn an_atom_without_codes_or_direction_stays() {
        let (gram, products) = ([1.0, 0.0, 0.0, 1e-9], [-1.0, 0.0, 0.0, 1.0]);
        let descent = Descent { rate: 1.0, fixed: 0, nonnegative: true };
        let pass = Pass { gram: &gram, products: &products, width: 2, descent };
        // The best first atom would be (−1, 0), and nothing of it is left at or above zero.
        let start = [0.6, 0.8, 1.0, 0.0];
        let mut atoms = start;
        pass.run(&mut atoms);
        assert_eq!(atoms, start);
    }
}
