//! Observation models of single numbers, in f64.

use pudle_core::Observation;

/// What a number `x` says at `u`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct At {
    /// The loss, as [`Observation::loss`].
    pub loss: f64,
    /// Minus its derivative, `x − mean(u)`.
    pub residual: f64,
    /// Its second derivative.
    pub weight: f64,
}

/// Loss and derivatives of `x` at `u`.
pub(super) fn at(observation: Observation, u: f64, x: f64) -> At {
    match observation {
        Observation::Gaussian(_) => {
            At { loss: 0.5 * (u - x) * (u - x), residual: x - u, weight: 1.0 }
        }
        Observation::Binomial(model) => {
            let n = f64::from(model.n);
            let share = 1.0 / (1.0 + (-u).exp());
            // log(1 + eᵘ) without overflow.
            let log = u.max(0.0) + (-u.abs()).exp().ln_1p();
            At { loss: n * log - x * u, residual: x - n * share, weight: n * share * (1.0 - share) }
        }
        Observation::Poisson(model) => {
            let edge = model.most.ln();
            let beyond = (u - edge).max(0.0);
            let mean = u.min(edge).exp();
            let loss = mean + model.most * (beyond + 0.5 * beyond * beyond) - x * u;
            let weight = if u > edge { model.most } else { mean };
            At { loss, residual: x - mean - model.most * beyond, weight }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{DType, Device, Tensor, TensorData};

    #[test]
    fn numbers_agree_with_tensors() {
        let u = [-5.0, -0.4, 0.0, 0.9, 1.5, 4.0];
        let tensor = |values: [f64; 6]| {
            let data = TensorData::from(values);
            Tensor::<1>::from_data(data, (&Device::flex(), DType::F64))
        };
        let numbers = |t: Tensor<1>| t.into_data().try_to_vec::<f64>().unwrap();
        for name in ["gaussian", "bernoulli", "binomial:4", "poisson:3"] {
            let observation: Observation = name.parse().unwrap();
            for x in [0.0, 1.0] {
                let loss = numbers(observation.loss(tensor(u), tensor([x; 6])));
                let mean = numbers(observation.mean(tensor(u)));
                for k in 0..6 {
                    let found = at(observation, u[k], x);
                    assert!((found.loss - loss[k]).abs() < 1e-12, "{name}");
                    assert!((found.residual - (x - mean[k])).abs() < 1e-12, "{name}");
                    let [above, below] = [1e-5, -1e-5].map(|h| at(observation, u[k] + h, x));
                    let weight = (below.residual - above.residual) / 2e-5;
                    assert!((found.weight - weight).abs() < 1e-5 * (1.0 + weight), "{name}");
                }
            }
        }
    }
}
