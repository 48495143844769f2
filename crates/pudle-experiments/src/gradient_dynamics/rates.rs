//! Rates of convergence of single data.

use burn::tensor::Tensor;
use nalgebra::{DMatrix, SymmetricEigen};
use pudle_core::{GradientEstimator, Noise};

use super::batch::{direct, gradient_of};
use super::settings::GradientDynamics;
use crate::error::Result;
use crate::experiment::Task;
use crate::problem::{double, model, norm, values};
use crate::results::Measurements;
use crate::statistics::slope;

/// A datum takes about as long as so many thousand layers of a datum in a batch.
pub(crate) const WORK: u64 = 150;
/// Number of layers to the converged code of one datum.
const LIMIT: usize = 4000;
/// Rounding dominates the error of ae-lasso from here on, relative to its first value.
const ROUNDING: f64 = 1e-10;
/// Smallest number of points that a slope is fitted to.
const FEWEST: usize = 10;

impl GradientDynamics {
    /// How fast gradients converge, datum by datum.
    pub(crate) fn single(&self, seed: u64, task: &Task<'_>) -> Result<Measurements> {
        let (problem, near) = self.problem(seed, task.device)?;
        let (x, _) = problem.data(self.data);
        let (near, x) = (double(near), double(x));
        let mut measured = Measurements::default();
        for i in 0..self.data {
            let rates = self.rates(&near, x.clone().slice([i..i + 1, 0..self.dim]))?;
            if let Some(rates) = rates {
                for (name, value) in [
                    ("rho", rates.rho),
                    ("settled", rates.settled as f64),
                    ("slope of dec", rates.slopes[0]),
                    ("slope of ae-lasso", rates.slopes[1]),
                ] {
                    measured.curves.entry(name.into()).or_default().push([i as f64, value]);
                }
                for (name, points) in ["dec", "ae-lasso"].iter().zip(rates.curves) {
                    measured.curves.insert(format!("datum {i}, {name}"), points);
                }
            }
            task.progress.add(WORK);
        }
        Ok(measured)
    }

    /// How fast the gradients of one datum converge once its support has settled. `None` if it does not
    /// settle, or not long before rounding ends the descent.
    fn rates(&self, near: &Tensor<2>, x: Tensor<2>) -> Result<Option<Rates>> {
        let limit = model(&self.config(LIMIT, GradientEstimator::DEC), near)?;
        let converged = limit.encode(x.clone(), &Noise::Unknown);
        let support = signs(&converged);
        let local = direct(near, &x, &converged);
        let most = 4 * self.layers;
        let codes = model(&self.config(most, GradientEstimator::DEC), near)?
            .encode_layers(x.clone(), &Noise::Unknown);
        let moving = codes.iter().rposition(|code| signs(code) != support);
        let settled = moving.map_or(1, |t| t + 2);

        let sets: Vec<usize> = (0..self.atoms).filter(|j| support[*j] != 0).collect();
        let d = DMatrix::from_row_slice(self.dim, self.atoms, &values(near.clone()));
        let on_support = d.select_columns(&sets);
        let gram = SymmetricEigen::new(on_support.transpose() * on_support);
        let smallest = gram.eigenvalues.iter().copied().fold(f64::INFINITY, f64::min);
        let rho = 1.0 - self.step * smallest;

        let mut curves = [vec![], vec![]];
        for t in (1..=most).filter(|t| *t <= 20 || t % 2 == 0) {
            let mut errors = [0.0; 2];
            let gradients = [GradientEstimator::DEC, GradientEstimator::AE_LASSO];
            for (error, gradient) in errors.iter_mut().zip(gradients) {
                let model = model(&self.config(t, gradient), near)?;
                *error = norm(gradient_of(model, &x).0 - local.clone());
            }
            for (curve, error) in curves.iter_mut().zip(errors) {
                curve.push([t as f64, error]);
            }
            if errors[1] < ROUNDING * curves[1][0][1] {
                break;
            }
        }
        // The slowest of the modes is alone in the later half of what lies between the support's settling and
        // rounding.
        let end = curves[0].last().map_or(0.0, |p| p[0]);
        let start = (settled as f64 + end) / 2.0;
        let fitted = |curve: &[[f64; 2]]| -> Vec<[f64; 2]> {
            curve
                .iter()
                .filter(|p| p[0] >= start && p[1] > 0.0)
                .map(|p| [p[0], p[1].ln()])
                .collect()
        };
        let points = [fitted(&curves[0]), fitted(&curves[1])];
        if points.iter().any(|points| points.len() < FEWEST) || sets.is_empty() {
            return Ok(None);
        }
        Ok(Some(Rates { rho, settled, slopes: points.map(|points| slope(&points)), curves }))
    }
}

/// How the gradients of one datum converge.
struct Rates {
    /// `1 − α λ_min(D_Sᵀ D_S)` on the support `S`.
    rho: f64,
    /// The first layer from which on the support stays.
    settled: usize,
    /// Of the logarithms of the errors of dec and ae-lasso, per layer.
    slopes: [f64; 2],
    /// The errors.
    curves: [Vec<[f64; 2]>; 2],
}

fn signs(code: &Tensor<2>) -> Vec<i8> {
    values(code.clone()).iter().map(|z| (*z > 0.0) as i8 - (*z < 0.0) as i8).collect()
}
