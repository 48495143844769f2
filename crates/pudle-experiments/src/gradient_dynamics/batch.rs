//! Gradients of a batch.

use burn::module::Module;
use burn::tensor::Tensor;
use pudle_core::{Dictionary, GradientEstimator, Noise};

use super::settings::GradientDynamics;
use crate::error::Result;
use crate::experiment::Task;
use crate::problem::{Dense, model, norm};
use crate::results::Measurements;
use crate::statistics::slope;

impl GradientDynamics {
    /// The gradients of a batch in each number of layers: distances to the local direction and to the gradient at the
    /// true code.
    pub(crate) fn batch(&self, seed: u64, task: &Task<'_>) -> Result<Measurements> {
        let (problem, near) = self.problem(seed, task.device)?;
        let (x, z) = problem.data(self.count);
        let limit = model(&self.config(self.limit, GradientEstimator::DEC), &near)?;
        let converged = limit.encode(x.clone(), &Noise::Unknown);
        let local = direct(&near, &x, &converged);
        let global = direct(&near, &x, &z);
        let mut measured = Measurements::default();
        let mut add = |name: &str, t: usize, value: f64| -> Result<()> {
            let value = task.finite(name, value)?;
            measured.curves.entry(name.into()).or_default().push([t as f64, value]);
            Ok(())
        };
        for t in self.grid() {
            for (gradient, name) in self.gradients(t).into_iter().zip(self.names()) {
                let model = model(&self.config(t, gradient), &near)?;
                let (gradient, code) = gradient_of(model, &x);
                if name == "dec" {
                    let off = (code - converged.clone()).square().sum_dim(1).sqrt().mean();
                    add("code", t, off.into_scalar::<f64>())?;
                }
                add(&name, t, norm(gradient.clone() - local.clone()))?;
                add(&format!("{name}, true code"), t, norm(gradient - global.clone()))?;
                task.progress.add(t as u64 * self.count as u64 / 1000);
            }
        }
        let tail = |name: &str| {
            let points = measured.curve(name).iter().filter(|p| p[0] >= 0.2 * self.layers as f64);
            slope(&points.map(|p| [p[0], p[1].ln()]).collect::<Vec<_>>())
        };
        let slopes: Vec<(String, f64)> =
            ["dec", "ae-lasso"].map(|name| (format!("slope of {name}"), tail(name))).into();
        measured.values.extend(slopes);
        Ok(measured)
    }
}

/// `(D z − x) zᵀ`, mean over the data, `[m, p]`.
pub(crate) fn direct(d: &Tensor<2>, x: &Tensor<2>, z: &Tensor<2>) -> Tensor<2> {
    let count = x.dims()[0] as f64;
    let residual = z.clone().matmul(d.clone().transpose()) - x.clone();
    residual.transpose().matmul(z.clone()) / count
}

/// The model's gradient in its atoms, `[m, p]`, mean over the data, and the code.
pub(crate) fn gradient_of(model: Dense, x: &Tensor<2>) -> (Tensor<2>, Tensor<2>) {
    let model = model.train();
    let x = x.clone().autodiff();
    let objective = model.objective(x.clone(), x, &Noise::Unknown);
    let grads = objective.loss.backward();
    let gradient = model.dictionary().atoms().grad(&grads).expect("atoms are trained");
    (gradient, objective.code.inner())
}
