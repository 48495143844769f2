//! Whether the layers of a model can diverge.

use pudle_core::{
    Algorithm, AnyPudle, Configured, Dictionary, DictionaryConfig, ModelVisitor, Pudle, Step,
};

/// Side of the data on which the norm of filters is measured, in samples.
const SIDE: usize = 32;

/// A line that says so if the step size of a model is above the bound of [`line`].
pub(crate) fn step_above_bound(model: &AnyPudle) -> Option<String> {
    model.clone().visit(Bound)
}

struct Bound;

impl ModelVisitor for Bound {
    type Output = Option<String>;

    fn visit<const D: usize, A: Configured<D>>(
        self,
        model: Option<Pudle<D, A>>,
        _: fn(Pudle<D, A>) -> AnyPudle,
    ) -> Self::Output {
        line(&model?)
    }
}

/// A line that says so if the step size of a model is above `2/‖D‖²`, the bound below which a layer of proximal gradient
/// descent never increases its objective. Many layers of FISTA, whose momentum comes near 1, are stable below
/// `4/(3‖D‖²)` on a quadratic function.
pub(crate) fn line<const D: usize, A: Dictionary<D>>(model: &Pudle<D, A>) -> Option<String> {
    // This step is 1/‖D‖² itself.
    if matches!(model.config().step, Step::Auto) {
        return None;
    }
    let mut extent = [SIDE; D];
    extent[0] = 1;
    extent[1] = match model.config().dictionary {
        DictionaryConfig::Dense(dense) => dense.dim,
        _ => model.dictionary().atoms().dims()[1],
    };
    let extent = model.dictionary().covering(extent);
    let (factor, name) = match model.config().algorithm {
        Algorithm::Ista => (2.0, "2/‖D‖²"),
        Algorithm::Fista => (4.0 / 3.0, "4/(3‖D‖²)"),
    };
    let (alpha, bound) = (model.step(extent), factor / model.dictionary().squared_norm(extent));
    (alpha > bound).then(|| {
        format!("the step size {alpha:.3e} is above {name} = {bound:.3e}: the layers can diverge")
    })
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use pudle_core::{ConvConfig, DenseConfig, PudleConfig};

    use super::*;

    #[test]
    fn fista_has_a_smaller_bound() {
        // An orthogonal dictionary: ‖D‖² = 1.
        let config = PudleConfig::dense(DenseConfig { dim: 2, atoms: 2 }).with_step(1.5);
        let atoms = burn::tensor::TensorData::from([[1.0f32, 0.0], [0.0, 1.0]]);
        for (algorithm, told) in [(Algorithm::Ista, false), (Algorithm::Fista, true)] {
            let config = config.clone().with_algorithm(algorithm);
            let model = AnyPudle::from_data(&config, atoms.clone(), &Device::flex()).unwrap();
            assert_eq!(step_above_bound(&model).is_some(), told);
        }
    }

    #[test]
    fn a_step_above_the_bound_is_told() {
        let filters = ConvConfig { atoms: 6, channels: 1, size: 5, stride: 2 };
        let dense = DenseConfig { dim: 8, atoms: 12 };
        for config in
            [PudleConfig::dense(dense), PudleConfig::conv1d(filters), PudleConfig::conv2d(filters)]
        {
            for (step, told) in [(0.05, false), (20.0, true)] {
                let config = config.clone().with_step(step);
                let model = AnyPudle::new(&config, 1, &Device::flex()).unwrap();
                let line = step_above_bound(&model);
                assert_eq!(line.is_some(), told, "{step}: {line:?}");
                assert!(
                    line.is_none_or(|line| line.contains("2.000e1") && line.contains("2/‖D‖²"))
                );
            }
        }
    }
}
